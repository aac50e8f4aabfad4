"""First guesses of an object that are turned far away, all alike or each frame in its own way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bench.robustness.harness import Trial, errors, named, row
from warpprior.result import Result
from warpprior.scene import Scene
from warpprior.scenes import simulate
from warpprior.scenes.objects import make_object

FRAMES = 16
SEQUENCES = tuple(
    (name, thing, degrees, 780 + number)
    for number, (name, thing, degrees) in enumerate(
        [
            ("grasp_lift", "mug", 45.0),
            ("grasp_lift", "drill", 90.0),
            ("in_hand_turn", "box", 135.0),
            ("in_hand_turn", "banana", 180.0),
            ("pour", "mug", 90.0),
            ("pour", "cracker_box", 45.0),
            ("slip", "drill", 135.0),
            ("held_object", "box", 45.0),
            ("held_object", "mug", 180.0),
            ("held_object", "drill", 90.0),
            ("robot_lift", "box", 135.0),
            ("robot_lift", "bottle", 90.0),
        ]
    )
)


def _scene(name: str, thing: str, seed: int, images: bool) -> Scene:
    if name == "held_object":
        return simulate(name, mesh=make_object(thing).body, seed=seed, frame_count=FRAMES, images=images)
    return simulate(name, object=thing, seed=seed, frame_count=FRAMES, images=images)


def _turn(scene: Scene, thing: str, degrees: float, seed: int, each: bool) -> Scene:
    """The scene with the object's first guess turned by so much about generic axes."""
    axes = np.random.default_rng(seed).normal(size=(FRAMES if each else 1, 3))
    axes *= np.radians(degrees) / np.linalg.norm(axes, axis=1, keepdims=True)
    start = scene.body(thing).initial
    turned = Rotation.from_quat(start.rotation) * Rotation.from_rotvec(np.broadcast_to(axes, (FRAMES, 3)).copy())
    return scene.with_poses({thing: replace(start, rotation=turned.as_quat())})


def _trial(name: str, thing: str, degrees: float, seed: int, *, each: bool = False, images: bool = True) -> Trial:
    scene = _scene(name, thing, seed, images)
    body = next(body.name for body in scene.bodies if body.body.is_rigid and not body.known)
    if degrees:
        scene = _turn(scene, body, degrees, seed, each)

    def score(result: Result) -> dict[str, float]:
        found = errors(scene, result, body)
        return {
            "rotation_deg": float(np.median(found["rotation_deg"])),
            "rotation_worst_deg": float(found["rotation_deg"].max()),
            "add_mm": float(np.median(found["add_mm"])),
        }

    return Trial(scene, score)


row("turned", "objects turned alike in all frames, by 45 to 180 degrees")(lambda: named(_trial, SEQUENCES))
row("turned_apart", "objects turned by as much in each frame, about another axis each time")(
    lambda: named(_trial, SEQUENCES, each=True)
)
row("turned_no_colours", "objects turned alike, without pictures")(lambda: named(_trial, SEQUENCES, images=False))
row("not_turned", "the same sequences with their own first guesses, to compare times with")(
    lambda: named(_trial, [(name, thing, 0.0, seed) for name, thing, _, seed in SEQUENCES])
)
