"""A camera on a head: what is the same in the world, seen by one that stands, one that moves, one that is measured."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bench.robustness.harness import Sequences, Trial, errors, named, row
from warpprior.metrics import evaluate
from warpprior.result import Result
from warpprior.scene import Scene
from warpprior.scenes import simulate

FRAMES = 16
SEQUENCES = (
    ("grasp_lift", "mug", 710),
    ("grasp_lift", "can", 711),
    ("grasp_lift", "bowl", 712),
    ("in_hand_turn", "box", 713),
    ("in_hand_turn", "can", 714),
    ("pour", "mug", 715),
    ("pour", "bottle", 716),
    ("slip", "can", 717),
    ("slip", "banana", 718),
    ("robot_lift", "bottle", 719),
)
MEASURED = {"camera_motion": "head", "camera_noise": "headset"}


def _trial(name: str, thing: str, seed: int, *, camera: dict, changed=lambda scene: scene) -> Trial:
    made = simulate(name, object=thing, seed=seed, frame_count=FRAMES, **camera)
    return Trial(changed(made), partial(_score, made, thing))


def _score(made: Scene, thing: str, result: Result) -> dict[str, float]:
    """Errors in the camera's frame, of the bodies to each other, and in the world."""
    held, hands = errors(made, result, thing), [item for item in made.bodies if not item.known and item.name == "hand"]
    found = {
        "add_mm": float(np.nanmedian(held["add_mm"])),
        "add_p95_mm": float(np.nanpercentile(held["add_mm"], 95)),
        "chamfer_mm": float(np.nanmedian(held["chamfer_mm"])),
    }
    own, hand = made.body(thing), made.body("hand")
    assert own.truth is not None and hand.truth is not None
    apart = [result.poses[thing].position - result.poses["hand"].position, own.truth.position - hand.truth.position]
    found["apart_mm"] = 1e3 * float(np.median(np.linalg.norm(apart[0] - apart[1], axis=1)))
    if hands:
        found["keypoint_mm"] = float(np.nanmedian(errors(made, result, "hand")["keypoint_mm"]))
    if made.world is not None:
        found |= _in_world(made, thing, result)
    return found


def _in_world(made: Scene, thing: str, result: Result) -> dict[str, float]:
    """The same in the world, with the camera as it was found, and before."""
    found = {}
    after = made if result.scene.world is None else replace(made, world=result.scene.world)
    start = {item.name: item.initial for item in made.bodies}
    for when, scene, poses in (("before", made, start), ("after", after, result.poses)):
        figures = evaluate(scene, poses, device="cpu")
        summary, camera = figures["summary"][thing], figures["camera"]["summary"]
        found |= {
            f"world_{when}_mm": summary["world_mm"]["median"],
            f"jitter_{when}_mm": summary["acceleration_error_mm"]["mean"],
            f"camera_{when}_mm": camera["translation_mm"]["median"],
            f"camera_{when}_deg": camera["rotation_deg"]["median"],
            f"camera_jitter_{when}_mm": camera["acceleration_error_mm"]["mean"],
            f"camera_jitter_{when}_deg": _spins(scene),
        }
    return found


def _spins(scene: Scene) -> float:
    """Mean change of the error of the camera's turn [degrees per frame]."""
    assert scene.world is not None and scene.world.camera is not None and scene.world.truth is not None
    wrong = Rotation.from_quat(scene.world.camera.rotation) * Rotation.from_quat(scene.world.truth.rotation).inv()
    return float(np.degrees(np.linalg.norm(np.diff(wrong.as_rotvec(), 2, axis=0), axis=1)).mean())


@row("camera_stands", "scenes of moving cameras, before one that stands")
def stands() -> Sequences:
    """Ten sequences."""
    return named(_trial, SEQUENCES, camera={})


@row("camera_known", "the camera is on a head, its poses are known")
def known() -> Sequences:
    """The same before a camera that moves."""
    return named(_trial, SEQUENCES, camera={"camera_motion": "head"})


@row("camera_measured", "the same, its poses off by 5 mm, 0.5 degrees and drift, and estimated")
def measured() -> Sequences:
    """The same with poses of a headset."""
    return named(_trial, SEQUENCES, camera=MEASURED)


@row("camera_believed", "the same poses, taken for exact")
def believed() -> Sequences:
    """What comes of believing them."""

    def changed(scene: Scene) -> Scene:
        assert scene.world is not None
        return replace(scene, world=replace(scene.world, noise=None))

    return named(_trial, SEQUENCES, camera=MEASURED, changed=changed)


@row("camera_ignored", "the camera is on a head, and nobody says so")
def ignored() -> Sequences:
    """As if it stood."""
    return named(_trial, SEQUENCES, camera={"camera_motion": "head"}, changed=lambda scene: replace(scene, world=None))
