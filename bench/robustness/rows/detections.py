"""Detections that are wrong, in some frames or in all, and first guesses that are far off or missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from warpprior.bench.robustness.harness import Trial, each_twice, errors, named, row
from warpprior.result import Result
from warpprior.scene import Scene
from warpprior.scenes import simulate
from warpprior.support.errors import InputError

SEQUENCES = each_twice(
    [("grasp_lift", "can"), ("in_hand_turn", "box"), ("pour", "mug"), ("slip", "bowl"), ("grasp_lift", "bottle")],
    first_seed=760,
)
FRAMES = 16
SHARE_OF_POINTS = 0.2
MANO = (0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20)

Spoil = Callable[[Scene, np.random.Generator], Scene]


def _with_points(scene: Scene, change: Callable[[np.ndarray], np.ndarray]) -> Scene:
    return replace(scene, keypoints2d={"hand": change(np.array(scene.keypoints2d["hand"]))})


def _with_hand(scene: Scene, **changes) -> Scene:
    bodies = tuple(replace(body, **changes) if body.name == "hand" else body for body in scene.bodies)
    return replace(scene, bodies=bodies)


def _outliers(scene: Scene, random: np.random.Generator) -> Scene:
    def change(points: np.ndarray) -> np.ndarray:
        stray = random.random(points.shape[:2]) < SHARE_OF_POINTS
        size = [scene.camera.width, scene.camera.height]
        points[stray] = np.column_stack([random.uniform(0.0, size, (stray.sum(), 2)), np.ones(stray.sum())])
        return points

    return _with_points(scene, change)


def _mirrored(share: float) -> Spoil:
    def spoil(scene: Scene, random: np.random.Generator) -> Scene:
        frames = random.permutation(FRAMES)[: round(share * FRAMES)]

        def change(points: np.ndarray) -> np.ndarray:
            points[frames, :, 0] = scene.camera.width - 1 - points[frames, :, 0]
            return points

        return _with_points(scene, change)

    return spoil


def _swapped_fingers(scene: Scene, random: np.random.Generator) -> Scene:
    def change(points: np.ndarray) -> np.ndarray:
        points[:, 5:13] = points[:, [*range(9, 13), *range(5, 9)]]
        return points

    return _with_points(scene, change)


def _other_order(scene: Scene, random: np.random.Generator) -> Scene:
    return _with_points(scene, lambda points: points[:, MANO])


def _far(factor: float) -> Spoil:
    def spoil(scene: Scene, random: np.random.Generator) -> Scene:
        initial = scene.body("hand").initial
        return _with_hand(scene, initial=replace(initial, position=initial.position * factor))

    return spoil


def _no_start(only: tuple[str, ...]) -> Spoil:
    def spoil(scene: Scene, random: np.random.Generator) -> Scene:
        fields = {key: getattr(scene, key) if key in only else {} for key in ("keypoints2d", "keypoints3d")}
        # Where no first guess can be left out, one that knows nothing: half a metre away, unturned, as at rest.
        hand = scene.body("hand")
        count = scene.frame_count
        nothing = replace(
            hand.initial,
            position=np.tile([0.0, 0.0, 0.5], (count, 1)),
            rotation=np.tile([0.0, 0.0, 0.0, 1.0], (count, 1)),
            joints=np.zeros((count, hand.body.coordinate_count)),
        )
        spoilt = replace(_with_hand(scene, initial=nothing), **fields)
        try:
            return _with_hand(spoilt, initial=None)
        except (AttributeError, InputError):
            return spoilt

    return spoil


def _trial(name: str, thing: str, seed: int, spoil: Spoil) -> Trial:
    scene = simulate(name, object=thing, seed=seed, frame_count=FRAMES)

    def score(result: Result) -> dict[str, float]:
        held, hand = errors(scene, result, thing)["add_mm"], errors(scene, result, "hand")
        return {
            "add_mm": float(np.nanmedian(held)),
            "add_p95_mm": float(np.nanpercentile(held, 95)),
            "keypoint_mm": float(np.nanmedian(hand["keypoint_mm"])),
            "keypoint_p95_mm": float(np.nanpercentile(hand["keypoint_mm"], 95)),
            "keypoint_root_mm": float(np.nanmedian(hand["keypoint_root_mm"])),
        }

    return Trial(spoil(scene, np.random.default_rng(seed)), score)


KINDS: dict[str, tuple[str, Spoil]] = {
    "detections_right": ("nothing is wrong with them", lambda scene, random: scene),
    "keypoint_outliers": ("20 % of the keypoints anywhere in the picture, confidence 1", _outliers),
    "keypoints_mirrored": ("keypoints of the mirrored picture", _mirrored(1.0)),
    "keypoints_mirrored_at_times": (
        "keypoints of the mirrored picture in 30 % of the frames",
        _mirrored(0.3),
    ),
    "fingers_swapped": ("keypoints of index and middle finger exchanged", _swapped_fingers),
    "keypoints_in_other_order": ("keypoints in the order of MANO", _other_order),
    "hand_20_times_as_far": ("first guess of the hand 20 times as far away", _far(20.0)),
    "hand_40_times_as_far": ("first guess of the hand 40 times as far away", _far(40.0)),
    "no_start": ("no first guess of the hand, 2D keypoints", _no_start(("keypoints2d",))),
    "no_start_3d": ("no first guess of the hand, 2D and 3D keypoints", _no_start(("keypoints2d", "keypoints3d"))),
}


for _name, (_title, _spoil) in KINDS.items():
    row(_name, _title)(lambda spoil=_spoil: named(_trial, SEQUENCES, spoil=spoil))
