"""First guesses far off in a stretch of frames: upside down, elsewhere, or both; the frames around it know better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bench.robustness.harness import Trial, errors, named, row
from warpprior.result import Result
from warpprior.scene import Scene
from warpprior.scenes import simulate

FRAMES = 16
FLIPPED, ELSEWHERE, BOTH = "flipped", "elsewhere", "both"
AWAY_M = 0.15
SEQUENCES = tuple(
    (name, thing, fault, length, 860 + number)
    for number, (name, thing, fault, length) in enumerate(
        [
            ("grasp_lift", "mug", FLIPPED, 5),
            ("grasp_lift", "can", ELSEWHERE, 6),
            ("grasp_lift", "bottle", BOTH, 4),
            ("in_hand_turn", "box", FLIPPED, 6),
            ("in_hand_turn", "drill", ELSEWHERE, 5),
            ("pour", "bowl", FLIPPED, 5),
            ("pour", "mug", BOTH, 6),
            ("slip", "banana", ELSEWHERE, 4),
            ("slip", "can", FLIPPED, 5),
            ("handover", "cracker_box", BOTH, 5),
            ("robot_lift", "box", BOTH, 6),
            ("robot_lift", "bottle", FLIPPED, 5),
        ]
    )
)


def _mislead(scene: Scene, thing: str, fault: str, length: int, seed: int) -> tuple[Scene, slice]:
    """The scene with the object's first guess off in a stretch of frames, and which these are."""
    random = np.random.default_rng(seed)
    first = int(random.integers(0, FRAMES - length + 1))
    stretch, start = slice(first, first + length), scene.body(thing).initial
    position, rotation = start.position.copy(), start.rotation.copy()
    if fault != ELSEWHERE:
        turn = Rotation.from_rotvec(np.pi * np.eye(3)[random.integers(3)])
        rotation[stretch] = (Rotation.from_quat(rotation[stretch]) * turn).as_quat()
    if fault != FLIPPED:
        shift = random.normal(size=3)
        position[stretch] += AWAY_M * shift / np.linalg.norm(shift)
    return scene.with_poses({thing: replace(start, position=position, rotation=rotation)}), stretch


def _trial(name: str, thing: str, fault: str, length: int, seed: int) -> Trial:
    scene, stretch = _mislead(simulate(name, object=thing, seed=seed, frame_count=FRAMES), thing, fault, length, seed)

    def score(result: Result) -> dict[str, float]:
        found = errors(scene, result, thing)
        return {
            "stretch_add_mm": float(np.median(found["add_mm"][stretch])),
            "worst_add_mm": float(found["add_mm"].max()),
            "stretch_chamfer_mm": float(np.median(found["chamfer_mm"][stretch])),
        }

    return Trial(scene, score)


row("seeding", "a stretch of frames whose first guesses are upside down, 15 cm off, or both")(
    lambda: named(_trial, SEQUENCES)
)
