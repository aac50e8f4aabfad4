"""Sequences to calibrate verdicts on: right ones, and each kind of fault, with what is wrong in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from warpprior.bench.checks.faults import FAULTS, OF_HANDS, applies
from warpprior.bench.verdicts.faults import OWN_FAULTS, UNTRACED
from warpprior.bodies import posed_keypoints
from warpprior.metrics import evaluate
from warpprior.result import Result
from warpprior.scene import Camera, Scene
from warpprior.scenes import simulate

SCENES = ("grasp_lift", "pour", "slip", "in_hand_turn", "robot_lift", "handover")
OBJECTS = ("mug", "bottle", "box", "can", "banana", "drill", "bowl")
ROBOT_OBJECTS = ("bottle", "box")
LEVELS = ("M0", "M1", "M2", "M3")
CAMERA = Camera(480, 360, 460.0, 460.0, 240.0, 180.0)
FRAMES = 12
WRONG_MM, WRONG_DEG = 20.0, 20.0  # farther off than this is wrong
VERSIONS = 3  # of each scene: right, and with two faults
DEPTH_EVERY = 3  # scenes have depth images


@dataclass(frozen=True)
class Sequence:
    """A scene, with its fault's name, empty for none; truth stays that of the right scene."""

    name: str
    fault: str
    scene: Scene
    truth: Scene
    seed: int

    @property
    def traced(self) -> bool:
        """Can any evidence show the fault?"""
        return self.fault not in UNTRACED


def sequences(count: int, seed: int, skip: int = 0) -> Iterator[Sequence]:
    """Scenes, objects, noise and faults go round; the first ``skip`` are left out."""
    kinds = [(code, name) for code, named in FAULTS.items() for name in named]
    random = np.random.default_rng(seed)
    waiting: list[str | tuple[str, str]] = []
    for first in range(0, count, VERSIONS):
        number = first // VERSIONS
        scene_name = SCENES[number % len(SCENES)]
        things = ROBOT_OBJECTS if scene_name == "robot_lift" else OBJECTS
        thing, level = things[random.integers(len(things))], LEVELS[random.integers(len(LEVELS))]
        if len(waiting) < 2 * VERSIONS:
            waiting += [kinds[k] for k in random.permutation(len(kinds))]
            waiting += list(OWN_FAULTS) * 2
            waiting = [waiting[k] for k in random.permutation(len(waiting))]
        deep = number % DEPTH_EVERY == 0
        with_keypoints = scene_name != "robot_lift"
        chosen = [f for f in waiting if with_keypoints or isinstance(f, str) or _of_robots(*f)][: VERSIONS - 1]
        for fault in chosen:
            waiting.remove(fault)
        if first + VERSIONS <= skip:
            continue
        options = {"object": thing, "mask_noise": level, "seed": seed + number, "frame_count": FRAMES}
        right = simulate(scene_name, **options, camera=CAMERA, depth=deep and with_keypoints)
        name = f"{scene_name} {thing} {level} {seed + number}"
        made = [("", right)] + [_made(fault, right) for fault in chosen]
        for version, (fault, scene) in enumerate(made):
            if skip <= first + version < count:
                yield Sequence(name, fault, scene, right, seed + number)


def _of_robots(code: str, name: str) -> bool:
    return not (code.startswith(OF_HANDS) or name.startswith("keypoints"))


def _made(fault: str | tuple[str, str], right: Scene) -> tuple[str, Scene]:
    if isinstance(fault, str):
        return fault, OWN_FAULTS[fault](right)
    code, kind = fault
    assert applies(code, kind, right), f"{code} {kind} is of hands"
    return f"{code} {kind}", FAULTS[code][kind](right)


def errors(sequence: Sequence, result: Result) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """How far each estimated body is off [mm], and turned [degrees], modulo symmetry (frame,) each, by name.

    A hand is as far off as its root, or its keypoints on average if that is more: one of the other side is.
    """
    poses = {
        body.name: result.poses[body.name]
        for body in sequence.truth.bodies
        if not body.known and body.truth is not None
    }
    bodies = tuple(replace(body, known=body.name not in poses) for body in sequence.truth.bodies)
    rows = evaluate(replace(sequence.truth, bodies=bodies), poses, device="cpu")["per_frame"]
    zero = np.zeros(sequence.truth.frame_count)
    found = {}
    for name, own in poses.items():
        off = np.array(rows[name]["translation_mm"], dtype=float)
        true = sequence.truth.body(name)
        if true.body.kind == "hand" and true.truth is not None:
            apart = posed_keypoints(result.scene.body(name).body, own) - posed_keypoints(true.body, true.truth)
            off = np.maximum(off, 1e3 * np.linalg.norm(apart, axis=2).mean(axis=1))
        found[name] = off, np.array(rows[name].get("rotation_deg", zero), dtype=float)
    return found


def is_wrong(off: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """Frames in which a body is more than 2 cm or 20 degrees off (frame,) bool."""
    return (off > WRONG_MM) | (turned > WRONG_DEG)
