"""Hands of other people: of another shape, or of a surface that no shape of ours has, with an object and one beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from warpprior.bench.robustness.harness import Sequences, Trial, each_twice, errors, named, row
from warpprior.bodies import posed_keypoints
from warpprior.bodies.body import Body
from warpprior.result import Result
from warpprior.scenes import simulate

HELD = [("grasp_lift", "can"), ("in_hand_turn", "box"), ("pour", "mug"), ("slip", "bowl"), ("grasp_lift", "bottle")]
LEVELS = ("M0", "M1", "M2")
SEQUENCES = [
    (name, thing, LEVELS[number % len(LEVELS)], seed)
    for number, (name, thing, seed) in enumerate(each_twice(HELD, first_seed=860))
]
FRAMES = 16
BESIDE = "drill"
OFFSET_M, ROUGHNESS_M, REACH_M = 0.002, 0.003, 0.03  # of a surface that is not ours

Change = Callable[[Body, np.random.Generator], Body]


def of_another_shape(body: Body, random: np.random.Generator) -> Body:
    """The mean hand of somebody whose own shape parameters, seen from the true hand, are drawn as people's are."""
    shape = random.normal(size=body.shape_count).astype(np.float32)
    offsets = body.joint_offsets.copy()
    offsets[:, :3] += body.joint_shape_directions @ shape
    return replace(body, vertices=body.vertices + body.shape_directions @ shape, joint_offsets=offsets)


def of_another_surface(body: Body, random: np.random.Generator) -> Body:
    """A surface too far out or too far in all over, and wavy by a hand's breadth."""
    corners = body.vertices[body.faces].astype(np.float64)
    normals = np.zeros(body.vertices.shape)
    for corner in range(3):
        np.add.at(
            normals, body.faces[:, corner], np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        )
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    centers = body.vertices[random.permutation(body.vertex_count)[:40]]
    near = np.exp(-0.5 * ((body.vertices[:, None] - centers) ** 2).sum(axis=2) / REACH_M**2)
    waves = near @ random.normal(size=(len(centers), 3))
    waves *= ROUGHNESS_M / np.sqrt((waves**2).sum(axis=1).mean())
    moved = body.vertices + waves + random.choice([-1.0, 1.0]) * OFFSET_M * normals
    return replace(body, vertices=moved.astype(np.float32))


def as_it_is(body: Body, random: np.random.Generator) -> Body:
    """The true hand."""
    return body


def make_trial(name: str, thing: str, level: str, seed: int, *, change: Change, frames: int = FRAMES) -> Trial:
    """A hand that is not the one that was seen; what was observed, and where it starts, are of the one that was."""
    scene = simulate(name, object=thing, second_object=BESIDE, mask_noise=level, seed=seed, frame_count=frames)
    hand = scene.body("hand")
    assert hand.truth is not None, "simulated scenes have truth"
    changed = change(hand.body, np.random.default_rng(seed))
    bodies = [replace(body, body=changed) if body.name == "hand" else body for body in scene.bodies]
    true = posed_keypoints(hand.body, hand.truth)

    def score(result: Result) -> dict[str, float]:
        found = posed_keypoints(changed, result.poses["hand"])
        held, beside = (errors(scene, result, body)["add_mm"] for body in (thing, BESIDE))
        return {
            "held_mm": float(np.median(held)),
            "held_worst_mm": float(held.max()),
            "beside_mm": float(np.median(beside)),
            "keypoint_mm": 1e3 * float(np.median(np.linalg.norm(found - true, axis=2).mean(axis=1))),
        }

    return Trial(replace(scene, bodies=tuple(bodies)), score)


@row("hands_shape", "the hand is somebody else's: ten shape parameters are a standard deviation off")
def _shape() -> Sequences:
    return named(make_trial, SEQUENCES, change=of_another_shape)


@row("hands_surface", "the hand's surface is 2 mm out or in, and wavy by 3 mm, as no shape parameter makes it")
def _surface() -> Sequences:
    return named(make_trial, SEQUENCES, change=of_another_surface)


@row("hands_own", "the same with the true hand: labels alone are biased, by 0, 1 or 2 px")
def _own() -> Sequences:
    return named(make_trial, SEQUENCES, change=as_it_is)
