"""A moving camera on a device: where it is in the world, as known, or as unknowns of the same problem."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import warp as wp

from warpprior.kernels.camera_motion import Expected, Viewer, advance_camera, place_camera
from warpprior.kernels.world_motion import Pair
from warpprior.scene import Scene
from warpprior.world import CameraPath, World

UNKNOWNS = 6  # of a frame: shift and turn
LONGEST_STEP_M, LONGEST_STEP_RAD = 0.1, 0.2


class MovingCamera:
    """Poses of a camera, world_from_camera; the world is its first frame, so that numbers stay small.

    Where they are estimated, unknowns are offsets from what was measured (:mod:`warpprior.kernels.camera_motion`).

    Args:
        world: of the scene; its camera moves.
        times: when each frame was taken (frame,) [s].
        device: Warp device.

    Attributes:
        estimated: its poses are unknowns.
        poses: world_from_camera [frame] transform.
        offsets: from what was measured [frame, 6] float64.
    """

    def __init__(self, world: World, times: np.ndarray, device):
        assert world.camera is not None, "the camera moves"
        self._world, self._times, self._device = world, times, device
        self.estimated = world.noise is not None
        own = world.camera.from_its_first()
        measured: Any = np.concatenate([own.position, own.rotation], axis=1).astype(np.float32)
        self._measured = wp.array(measured, dtype=wp.transform, device=device)
        self.poses = wp.clone(self._measured)
        self._turns = wp.zeros(len(times), dtype=wp.mat33, device=device)
        self.offsets = wp.zeros((len(times), UNKNOWNS), dtype=wp.float64, device=device)
        longest = [LONGEST_STEP_M] * 3 + [LONGEST_STEP_RAD] * 3
        self._longest = wp.array(longest, dtype=wp.float64, device=device)
        self._place()

    def _place(self) -> None:
        place_camera(self._measured, self.offsets, poses_out=self.poses, turns_out=self._turns)

    def hold(self) -> None:
        """Take its poses as they are: they are no unknowns."""
        self.estimated = False

    def viewer(self, start: int = -1) -> Viewer:
        """What kernels take; ``start`` is the column of its unknowns, -1 to hold it."""
        found = Viewer()
        found.start, found.poses, found.turns = start, self.poses, self._turns
        return found

    def take(self, steps: wp.array, start: int) -> None:
        """Add steps [frame, column] float64, whose columns begin with ``start``; launches only."""
        advance_camera(steps, start, self._longest, offsets_out=self.offsets)
        self._place()

    def assign(self, offsets: np.ndarray) -> None:
        """Take other offsets (frame, 6); such as are not finite are none."""
        self.offsets.assign(np.where(np.isfinite(offsets).all(axis=1, keepdims=True), offsets, 0.0))
        self._place()

    def path(self) -> CameraPath:
        """Where the camera is now, in the scene's own world."""
        from scipy.spatial.transform import Rotation

        given = self._world.camera
        assert given is not None
        if not self.estimated:
            return given
        first = Rotation.from_quat(given.rotation[0])
        offsets = self.offsets.numpy()
        turn = Rotation.from_rotvec(first.apply(offsets[:, 3:])) * Rotation.from_quat(given.rotation)
        return replace(given, position=given.position + first.apply(offsets[:, :3]), rotation=turn.as_quat())

    def now(self) -> CameraPath:
        """Where the camera is now, in the world of its first frame."""
        rows = self.poses.numpy().astype(np.float64)
        return CameraPath(rows[:, :3], rows[:, 3:] / np.linalg.norm(rows[:, 3:], axis=1, keepdims=True))

    def covariance_in_world(self, covariance: np.ndarray) -> np.ndarray:
        """Of the offsets (frame, 6, 6), as that of errors along the axes of the scene's own world."""
        from scipy.spatial.transform import Rotation

        assert self._world.camera is not None
        axes = np.kron(np.eye(2), Rotation.from_quat(self._world.camera.rotation[0]).as_matrix())
        return axes @ covariance @ axes.T

    def expected(self, weight: float) -> wp.array:
        """What measured poses say of the offset of each frame, given those of the two before [frame] Expected.

        Errors that have a share of their own in each frame and one that adds up are no process of a few frames; they
        are taken for the one of second order that has the same covariance over any three frames in a row.
        """
        noise = self._world.noise
        assert noise is not None, "the camera is estimated"
        since = self._times - self._times[0]
        layout: Any = Expected.numpy_dtype()
        found: Any = np.zeros(len(since), dtype=np.dtype(layout))
        for frame in range(len(since)):
            near = since[max(frame - 2, 0) : frame + 1][::-1]  # the frame itself comes first
            for covariance, name in zip(noise.covariances(near), ("shift", "turn"), strict=True):
                shares = np.linalg.solve(covariance[1:, 1:], covariance[1:, 0])
                found[name][frame, : len(near)] = [1.0, *-shares]
                found[f"{name}_stiffness"][frame] = weight / (covariance[0, 0] - shares @ covariance[1:, 0])
        return wp.array(found, dtype=Expected, device=self._device)

    def smoothed_start(self, paces: np.ndarray, place_stiffness: float, turn_stiffness: float) -> None:
        """Begin where the camera's own measured poses, and that it goes smoothly, have it: jitter is taken out.

        Args:
            paces: nominal time between two frames over the true one since the frame before (frame,).
            place_stiffness, turn_stiffness: what a second difference of place [1/m^2] and turn [1/rad^2] costs, at the
                nominal rate.
        """
        from scipy.linalg import solveh_banded
        from scipy.spatial.transform import Rotation

        count, own = len(self._times), self.now()
        rows: Any = self.expected(1.0).numpy()
        if count < 3:
            return
        after, before = paces[2:].astype(np.float64), paces[1:-1].astype(np.float64)
        both = 2.0 / (1.0 / after + 1.0 / before)
        bend = np.zeros((count, 3))
        bend[2:] = np.stack([both * after, -both * (after + before), both * before], axis=1)
        turns = Rotation.from_quat(own.rotation)
        steps = turns[:-1].apply((turns[:-1].inv() * turns[1:]).as_rotvec())
        found = np.zeros((2, count, 3))
        found[0, 2:] = sum(bend[2:, back, None] * own.position[2 - back : count - back] for back in range(3))
        found[1, 2:] = bend[2:, :1] * steps[1:] - bend[2:, 2:] * steps[:-1]
        offsets = np.zeros((count, UNKNOWNS))
        for part, (name, stiffness) in enumerate((("shift", place_stiffness), ("turn", turn_stiffness))):
            expected, weights = rows[name].astype(np.float64), rows[f"{name}_stiffness"].astype(np.float64)
            normal = _band(expected, weights) + _band(bend, np.full(count, stiffness))
            pull = np.zeros((count, 3))
            for back in range(3):
                pull[: count - back] += (bend[:, back, None] * stiffness * found[part])[back:]
            offsets[:, 3 * part : 3 * part + 3] = solveh_banded(normal, -pull, lower=True)
        self.assign(offsets)


def _band(factors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Lower band (3, frame) of what rows of factors of a frame and of the two before (frame, 3) add up to."""
    count, band = len(factors), np.zeros((3, len(factors)))
    for one in range(3):
        for other in range(one, 3):
            products = weights * factors[:, one] * factors[:, other]
            band[other - one, : count - other] += products[other:]
    return band


def moving_camera(scene: Scene, device) -> MovingCamera | None:
    """The camera of a scene, None where it stands."""
    if scene.world is None or not scene.world.moves:
        return None
    return MovingCamera(scene.world, scene.times, device)


def columns_of(start: int, camera: int) -> Pair:
    """Columns of a body's root, and of the camera's unknowns, -1 where they are known."""
    pair = Pair()
    pair.body, pair.camera = start, camera
    return pair
