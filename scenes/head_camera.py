"""A camera on a head that sways, turns and drifts, and what a headset makes of its poses."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.scene import Camera, Poses
from warpprior.scenes import studio
from warpprior.scenes.observe import Actor, Pictures, cast_actors
from warpprior.support.errors import InputError
from warpprior.support.stored import stored_zeros
from warpprior.world import CameraNoise, CameraPath, World

MOTIONS = ("head",)
CAMERA_NOISE = {
    "exact": None,
    "headset": CameraNoise(jitter_m=0.005, jitter_rad=float(np.radians(0.5)), drift_m=0.02, drift_rad=0.02),
}
_SWAY_M, _SWAY_HZ = 0.035, (0.25, 0.8)  # of each of two swings per axis, at most, and how often
_TURN_RAD, _TURN_HZ = 0.05, (0.25, 0.9)
_WALK_M_S = 0.06  # sideways and on, while it goes on looking where it looked
Stand: TypeAlias = "tuple[float, tuple[float, float] | None]"
_DOWN = np.array([0.0, 0.0, -1.0])


class HeadView:
    """A camera that moves: poses in the world, and of the world's bodies in its frame."""

    def __init__(self, path: CameraPath):
        self.path = path

    def poses(self, position, rotation: Rotation, joints) -> Poses:
        """Poses in the camera frame of a motion in the world, of as many frames as the camera has."""
        placed, turned = self.path.seen(np.asarray(position, dtype=float), rotation.as_quat())
        return Poses(placed, turned, np.asarray(joints, dtype=float))

    def sees(self, points: np.ndarray) -> np.ndarray:
        """Points of the world (frame, point, 3) in the camera frame."""
        turn = Rotation.from_quat(self.path.rotation).as_matrix()
        return np.einsum("fba,fpb->fpa", turn, points - self.path.position[:, None])

    def at(self, frame: int) -> studio.View:
        """The view of one frame."""
        return studio.View.of(self.path.position[frame], Rotation.from_quat(self.path.rotation[frame]).inv())


def move_head(view: studio.View, target: np.ndarray, frame_count: int, fps: float, random) -> HeadView:
    """A head that looks at ``target`` (3,) from where a view does, and does not keep still."""
    times = np.arange(frame_count) / fps
    side = view.rotation.inv().apply([1.0, 0.0, 0.0])
    away = np.linalg.norm(target - view.eye)
    walk = (
        random.uniform(-_WALK_M_S, _WALK_M_S) * side
        + random.uniform(-0.3, 0.3) * _WALK_M_S * (target - view.eye) / away
    )
    eyes = view.eye + times[:, None] * walk + _swings(times, _SWAY_M, _SWAY_HZ, random)
    turns = Rotation.from_rotvec(_swings(times, _TURN_RAD, _TURN_HZ, random))
    looks = [studio.View(eye, target).rotation.inv() for eye in eyes]
    rotation = Rotation.concatenate(looks) * turns
    return HeadView(CameraPath(eyes, rotation.as_quat()))


def _swings(times: np.ndarray, size: float, often: tuple[float, float], random) -> np.ndarray:
    """Two swings per axis (frame, 3)."""
    sizes, hertz = random.uniform(0.3 * size, size, (2, 3)), random.uniform(*often, (2, 3))
    phases = random.uniform(0.0, 2.0 * np.pi, (2, 3))
    return (sizes * np.sin(2.0 * np.pi * hertz * times[:, None, None] + phases)).sum(axis=1)


def camera_noise(level: str | CameraNoise) -> CameraNoise | None:
    """The noise of a level; None where poses of the camera are exact, and known.

    Raises:
        InputError: no such level.
    """
    if isinstance(level, CameraNoise):
        return level
    if level not in CAMERA_NOISE:
        raise InputError("camera_noise", repr(level), f"one of {', '.join(CAMERA_NOISE)}, or a CameraNoise")
    return CAMERA_NOISE[level]


def recorded_world(truth: CameraPath, noise: CameraNoise | None, fps: float, random) -> World:
    """What a headset says of the world: its own poses, off by jitter and drift, and gravity."""
    if noise is None:
        return World(truth, _DOWN, truth=truth)
    count = truth.frame_count
    drawn = random.normal(size=(4, count, 3))
    grown = np.cumsum(np.concatenate([np.zeros((2, 1, 3)), drawn[2:, 1:]], axis=1), axis=1) / fps**0.5
    shift = noise.jitter_m * drawn[0] + noise.drift_m * grown[0]
    turn = Rotation.from_rotvec(noise.jitter_rad * drawn[1] + noise.drift_rad * grown[1])
    rotation = (turn * Rotation.from_quat(truth.rotation)).as_quat()
    return World(replace(truth, position=truth.position + shift, rotation=rotation), _DOWN, noise, truth)


def film_moving(
    camera: Camera, view: HeadView, actors: list[Actor], shoot, stand: Stand, device
) -> tuple[Pictures, np.ndarray]:
    """Exact pictures of the actors, and colours as a sensor has them (frame, height, width, 3) uint8.

    Args:
        camera, actors, device: as of :func:`warpprior.scenes.observe.cast_actors`.
        view: of the camera.
        shoot: as of :func:`warpprior.scenes.observe.film_actors`.
        stand: table height and pedestal of :func:`warpprior.scenes.studio.build_backdrop`.
    """
    count, size = view.path.frame_count, (camera.height, camera.width)
    frames = stored_zeros((count, *size, 3), np.uint8)
    labels, depths = np.zeros((count, *size), dtype=np.uint8), stored_zeros((count, *size), np.float32)
    for frame in range(count):
        own = view.at(frame)
        light = studio.camera_light(own, studio.world_light())
        backdrop = studio.build_backdrop(camera, own, stand[0], stand[1], light)
        there = [replace(actor, poses=actor.poses.frames([frame])) for actor in actors]
        found = cast_actors(camera, there, backdrop=backdrop, light=light, device=device)
        assert found.colors is not None  # there is a light
        labels[frame], depths[frame] = found.labels[0], found.depths[0]
        frames[frame] = shoot(frame, found.colors[0])
    return Pictures(labels, depths, None), frames
