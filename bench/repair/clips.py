"""Clips as published pipelines leave them: hands a few centimetres deep in what they hold, and everything trembles."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import combinations, product
from typing import Any

import numpy as np

from warpprior.bodies import posed_vertices
from warpprior.geometry.signed_distance import Surface
from warpprior.metrics.pairs import make_pair, pair_metrics
from warpprior.metrics.surfaces import POINT_COUNT, PosedBody, SurfacePoints
from warpprior.scene import Poses, Scene, SceneBody
from warpprior.scenes import simulate
from warpprior.scenes.noise import HandNoise, PoseNoise, disturb_hand, disturb_poses

SCENES = ("grasp_lift", "in_hand_turn", "pour", "slip", "handover")
OBJECTS = ("bottle", "box", "cracker_box", "mug", "can", "bowl", "drill", "banana")
SEED = 1400  # of no sequence that anything was tuned on
WHOLE, FIRST, FRAMES = 48, 6, 20  # of the whole motion: as quick as hands are, from the grasp on
WINDOW = 11  # frames of the high-pass filter
JITTER_PX = 3.0
FEW = 600  # points of each body, while it is tried how far to push
DEPTHS_M = (0.010, 0.040)
MOST_SHIFT_M, STEPS, CONE = 0.04, 9, np.radians(20.0)

# What trembles with the picture's 3 px, and what is off in all frames alike: our guess of what such pipelines leave.
# Sizes of people's hands differ by 5 %, which a picture does not show.
TREMBLING = HandNoise(joints=np.radians(2.0), rotation=np.radians(2.0), depth=0.005, correlation=0.0)
STEADY = HandNoise(joints=np.radians(5.0), rotation=np.radians(3.0), shape=0.5, steady=1.0, correlation=0.0)
TREMBLING_OBJECT = PoseNoise(0.0, 0.0, np.radians(1.5), depth_jitter=0.005, correlation=0.0)
STEADY_OBJECT = PoseNoise(np.radians(3.0), 0.0, 0.0, lateral_jitter=0.0, depth_jitter=0.0)


@dataclass(frozen=True)
class Clip:
    """One clip.

    Attributes:
        name: the scene, the object and the hand's side.
        scene: simulated, with its truth and exact poses.
        poses: as the pipeline leaves them, by body.
        wanted_mm: how deep the deepest point should be in the worst frame.
    """

    name: str
    scene: Scene
    poses: dict[str, Poses]
    wanted_mm: float


def kinds() -> list[tuple[str, str, str]]:
    """Scene, object and side of all forty, so that the first few differ in all."""
    every = list(product(SCENES, OBJECTS))
    order = sorted(range(len(every)), key=lambda number: (number * 17) % len(every))
    return [(*every[number], ("right", "left")[place % 2]) for place, number in enumerate(order)]


def make_clip(number: int, frames: int = FRAMES) -> Clip:
    """One of the forty."""
    name, thing, side = kinds()[number]
    exact: Any = {"pose_noise": "exact", "hand_noise": "exact", "mask_noise": "M1"}
    whole = simulate(name, object=thing, side=side, seed=SEED + number, frame_count=WHOLE, **exact)
    scene = part_of(whole, FIRST, frames)
    random = np.random.default_rng(SEED + number)
    low, high = DEPTHS_M
    wanted = low + (high - low) * ((number * 13) % 40 + 0.5) / 40.0
    trembling = {
        item.name: _disturbed(scene, item.name, (SEED + number, place)) for place, item in enumerate(scene.bodies)
    }
    towards = {item.name: _push(scene, item.name, random) for item in scene.bodies if not item.body.is_rigid}
    poses = _pushed_to(wanted, scene, trembling, towards)
    return Clip(f"{name} {thing} {side}", scene, poses, 1e3 * wanted)


def high_pass_px(scene: Scene, name: str, poses: Poses) -> np.ndarray:
    """Motion of a body's middle in the picture less its mean over 11 frames (frame - 10, 2) [px]."""
    middle = posed_vertices(scene.body(name).body, poses).astype(np.float64).mean(axis=1)
    camera = scene.camera
    pixels = middle[:, :2] / middle[:, 2:] * [camera.fx, camera.fy]
    windows = np.lib.stride_tricks.sliding_window_view(pixels, WINDOW, axis=0)
    half = WINDOW // 2
    return pixels[half : len(pixels) - half] - windows.mean(axis=2)


def deepest_mm(scene: Scene, poses: dict[str, Poses], points: int = POINT_COUNT) -> np.ndarray:
    """How deep the deepest point of any body is in any other (frame,)."""

    def surface(item: SceneBody, scale: float) -> Surface:
        return Surface(item.body.vertices * np.float32(scale), item.body.faces, item.name, "cpu")

    posed = [
        PosedBody(item, poses[item.name], SurfacePoints(item.body, points), surface, "cpu") for item in scene.bodies
    ]
    pairs = [pair_metrics(make_pair(one, other)) for one, other in combinations(posed, 2)]
    return np.max([rows["penetration_mm"] for rows in pairs], axis=0)


def jitter_px(scene: Scene, name: str, poses: Poses) -> float:
    """Root mean square of the high-pass motion that is not the truth's."""
    less = high_pass_px(scene, name, poses) - high_pass_px(scene, name, scene.body(name).initial)
    return float(np.sqrt((less**2).sum(axis=1).mean()))


def part_of(scene: Scene, first: int, count: int) -> Scene:
    """Part of a simulated scene, without what no pipeline leaves."""
    cut, read, measure = slice(first, first + count), scene.read_rgb, scene.read_depth
    assert scene.labels is not None and read is not None, "simulated clips have pictures and labels"
    bodies = [replace(item, initial=item.initial.frames(cut)) for item in scene.bodies]
    return replace(
        scene,
        bodies=tuple(replace(item, truth=item.initial) for item in bodies),
        labels=scene.labels[cut],
        read_rgb=lambda frame: read(first + frame),
        read_depth=None if measure is None else lambda frame: measure(first + frame),
        keypoints2d={},
        boxes={},
        keypoints3d={},
        centers={},
    )


def _disturbed(scene: Scene, name: str, seed: tuple[int, int]) -> Poses:
    """Off in all frames alike, and trembling by 3 px."""
    item = scene.body(name)
    truth, rigid = item.initial, item.body.is_rigid
    alike, share = np.random.default_rng((*seed, 0)), 1.0
    steady = disturb_poses(truth, STEADY_OBJECT, alike) if rigid else disturb_hand(truth, item.body, STEADY, alike)
    for _ in range(2):  # it is nearly in proportion
        metres = JITTER_PX * float(np.median(truth.position[:, 2])) / scene.camera.fx / np.sqrt(2.0)
        random = np.random.default_rng((*seed, 1))
        if rigid:
            found = disturb_poses(steady, _times(replace(TREMBLING_OBJECT, lateral_jitter=metres), share), random)
        else:
            found = disturb_hand(steady, item.body, _times(replace(TREMBLING, lateral=metres), share), random)
        share *= JITTER_PX / jitter_px(scene, name, found)
    return found


def _times(noise, share: float):
    """The noise, so many times as large."""
    return replace(noise, **{field.name: share * getattr(noise, field.name) for field in fields(noise)})


def _push(scene: Scene, name: str, random: np.random.Generator) -> np.ndarray:
    """Where a hand is wrongly put, per metre (frame, 3): within 20 degrees of the line of sight, and drifting."""
    position = scene.body(name).initial.position
    ray = position / np.linalg.norm(position, axis=1)[:, None]
    aside = random.normal(size=3)
    aside -= aside @ ray[0] * ray[0]
    aside *= np.tan(CONE) * random.random() / np.linalg.norm(aside)
    drift = 1.0 + 0.3 * np.sin(2.0 * np.pi * (random.random() + np.arange(len(ray)) / len(ray)))
    return (ray + aside) * drift[:, None]


def _pushed_to(
    wanted: float, scene: Scene, poses: dict[str, Poses], towards: dict[str, np.ndarray]
) -> dict[str, Poses]:
    """Hands pushed until the deepest point of the worst frame is as deep as wanted, or as near to that as it gets."""

    def pushed(shift: float) -> dict[str, Poses]:
        moved = {name: replace(poses[name], position=poses[name].position + shift * by) for name, by in towards.items()}
        return poses | moved

    shifts = sorted(np.linspace(-MOST_SHIFT_M, MOST_SHIFT_M, STEPS), key=abs)
    apart = [abs(deepest_mm(scene, pushed(shift), FEW).max() - 1e3 * wanted) for shift in shifts]
    return pushed(shifts[int(np.argmin(apart))])
