"""Sequences to calibrate verdicts on: right ones, and each kind of fault, with what is wrong in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from warpprior.bench.checks.faults import FAULTS, applies
from warpprior.metrics import evaluate
from warpprior.result import Result
from warpprior.scene import Camera, Scene
from warpprior.scenes import simulate
from warpprior.scenes.scene_options import SceneOptions

SCENES = ("grasp_lift", "pour", "slip", "in_hand_turn", "robot_lift", "handover")
OBJECTS = ("mug", "bottle", "box", "can", "banana", "drill", "bowl")
ROBOT_OBJECTS = ("bottle", "box")
LEVELS = ("M0", "M1", "M2", "M3")
CAMERA = Camera(320, 240, 300.0, 300.0, 160.0, 120.0)
FRAMES = 12
WRONG_MM, WRONG_DEG = 20.0, 20.0  # farther off than this is wrong
CLEAN = 0.4  # share of sequences without a fault


@dataclass(frozen=True)
class Sequence:
    """A scene, with its fault's name, empty for none; truth stays that of the right scene."""

    name: str
    fault: str
    scene: Scene
    truth: Scene


def sequences(count: int, seed: int) -> Iterator[Sequence]:
    """Scenes, objects, noise and faults go round."""
    faults = [(code, name) for code, kinds in FAULTS.items() for name in kinds]
    random = np.random.default_rng(seed)
    for number in range(count):
        scene_name = SCENES[number % len(SCENES)]
        things = ROBOT_OBJECTS if scene_name == "robot_lift" else OBJECTS
        thing, level = things[random.integers(len(things))], LEVELS[random.integers(len(LEVELS))]
        right = simulate(
            scene_name,
            SceneOptions(
                object=thing, mask_noise=level, seed=seed + number, frame_count=FRAMES, camera=CAMERA, images=False
            ),
        )
        name = f"{scene_name} {thing} {level} {seed + number}"
        if random.random() < CLEAN:
            yield Sequence(name, "", right, right)
            continue
        order = random.permutation(len(faults))
        code, kind = next(faults[k] for k in order if applies(*faults[k], right))
        yield Sequence(name, f"{code} {kind}", FAULTS[code][kind](right), right)


def wrong_frames(sequence: Sequence, result: Result) -> dict[str, np.ndarray]:
    """Frames in which a body is more than 2 cm or 20 degrees off, modulo symmetry (frame,) bool, by name."""
    poses = {
        body.name: result.poses[body.name]
        for body in sequence.truth.bodies
        if not body.known and body.truth is not None
    }
    bodies = tuple(replace(body, known=False) if body.name in poses else body for body in sequence.truth.bodies)
    rows = evaluate(replace(sequence.truth, bodies=bodies), poses, device="cpu")["per_frame"]
    found = {}
    for name in poses:
        off = np.array(rows[name]["translation_mm"], dtype=float)
        turned = np.array(rows[name]["rotation_deg"], dtype=float)
        found[name] = (off > WRONG_MM) | (turned > WRONG_DEG)
    return found
