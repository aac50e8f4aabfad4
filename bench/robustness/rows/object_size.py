"""Meshes of another size than the object's, as image-to-3D networks make them: what tells it, and what does not."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from warpprior.bench.robustness.harness import Sequences, Trial, each_twice, errors, named, row
from warpprior.result import Result
from warpprior.scene import Scene, SceneBody
from warpprior.scenes import simulate

FRAMES = 16
SEED = 1000
TOLD = 0.25  # sigma of the logarithm, below which the size is said to be known

# Factor of the mesh, and whether first poses are as much too far away (wrong) or not (right).
HELD = (
    ("grasp_lift", "mug", 0.5, "wrong"),
    ("grasp_lift", "can", 2.0, "right"),
    ("in_hand_turn", "box", 0.7, "right"),
    ("in_hand_turn", "banana", 1.5, "wrong"),
    ("pour", "bottle", 2.0, "wrong"),
)
HANDED_OVER = tuple(
    ("handover", "cracker_box", factor, depth)
    for factor, depth in ((0.6, "wrong"), (1.7, "right"), (0.5, "right"), (2.0, "wrong"), (1.3, "wrong"))
)
ALONE = (
    ("grasp_lift", "mug", 0.6, "wrong"),
    ("pour", "bottle", 1.7, "right"),
    ("in_hand_turn", "box", 0.5, "right"),
    ("slip", "can", 2.0, "wrong"),
    ("grasp_lift", "bowl", 1.4, "wrong"),
)
WITH_DEPTH = (
    ("grasp_lift", "bowl", 0.6, "wrong"),
    ("pour", "can", 1.8, "right"),
    ("slip", "box", 0.5, "right"),
    ("in_hand_turn", "mug", 1.4, "wrong"),
    ("slip", "banana", 2.0, "wrong"),
)


def _with_size(item: SceneBody, factor: float, depth: str) -> SceneBody:
    """A body whose mesh is so many times too large, its size to be estimated where that can be done."""
    body = replace(item.body, vertices=(item.body.vertices * factor).astype(np.float32))
    initial = item.initial
    if depth == "wrong":
        initial = replace(initial, position=initial.position * factor)
    assert item.truth is not None, "it was simulated"
    changed = replace(item, body=body, initial=initial, truth=replace(item.truth, scale=item.truth.scale / factor))
    if any(field.name == "size" for field in fields(SceneBody)):
        from warpprior.bodies.size_prior import SizePrior

        changed = replace(changed, size=SizePrior())
    return changed


def _of_size(scene: Scene, thing: str, factor: float, depth: str) -> Scene:
    bodies = tuple(_with_size(item, factor, depth) if item.name == thing else item for item in scene.bodies)
    return replace(scene, bodies=bodies)


def _alone(scene: Scene, thing: str) -> Scene:
    """The scene without anything but one body."""
    nothing = {"keypoints2d": {}, "keypoints3d": {}, "boxes": {}, "centers": {}}
    return replace(scene, bodies=(scene.body(thing),), **nothing)


def _trial(name: str, thing: str, factor: float, depth: str, seed: int, *, kind: str = "held") -> Trial:
    options: dict[str, Any] = {} if name == "handover" else {"object": thing}
    scene = _of_size(
        simulate(name, seed=seed, frame_count=FRAMES, depth=kind == "depth", **options), thing, factor, depth
    )
    if kind == "alone":
        scene = _alone(scene, thing)

    def score(result: Result) -> dict[str, float]:
        true, poses = scene.body(thing).truth, result.poses[thing]
        assert true is not None, "it was simulated"
        sigma = result.shared.get(f"{thing} size", {}).get("sigma")
        error = abs(poses.scale / true.scale - 1.0)
        found = {
            "size_percent": 100.0 * error,
            "depth_mm": float(1e3 * np.median(np.abs(poses.position[:, 2] - true.position[:, 2]))),
            "add_mm": float(np.nanmedian(errors(scene, result, thing)["add_mm"])),
            "said_to_be_known": float(sigma is None or sigma < TOLD),
        }
        if kind == "alone":
            return {"moved_percent": 100.0 * abs(poses.scale - 1.0), "said_to_be_known": found["said_to_be_known"]}
        if sigma:
            found["in_sigmas"] = error / sigma
        return found

    return Trial(scene, score)


@row("object_size", "meshes 0.5 to 2 times as large as the object that a hand takes; nothing else tells its size")
def held() -> Sequences:
    """Ten sequences."""
    return named(_trial, each_twice(HELD, SEED))


@row("object_size_of_two_hands", "the same, handed over from one hand to another")
def handed_over() -> Sequences:
    """Ten sequences."""
    return named(_trial, each_twice(HANDED_OVER, SEED + 20))


@row("object_size_with_depth", "the same with a hand, and with pictures of a depth camera")
def with_depth() -> Sequences:
    """Ten sequences."""
    return named(_trial, each_twice(WITH_DEPTH, SEED + 30), kind="depth")


@row("object_size_untold", "the object alone: no picture tells it from a smaller one nearer by, and nothing is found")
def untold() -> Sequences:
    """Ten sequences; a size that moved, or is said to be known, was invented."""
    return named(_trial, each_twice(ALONE, SEED + 40), kind="alone")
