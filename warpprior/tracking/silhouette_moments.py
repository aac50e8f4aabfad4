"""Silhouette moments as an observation: what a mask's area, centroid and spread say of a rigid body's pose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import warp as wp

from warpprior.bodies.assembly import assemble
from warpprior.bodies.clustering import clustered
from warpprior.bodies.model import BodyModel, BodyState
from warpprior.kernels import moment_border
from warpprior.kernels import moments as kernels
from warpprior.render.canvas import Canvas
from warpprior.render.window import whole_window
from warpprior.scene import IGNORE_LABEL, Camera, SceneBody
from warpprior.support.device import warp_device
from warpprior.support.errors import InputError
from warpprior.support.replay import Replay
from warpprior.tracking.twin_arrays import twin_zeros

WATCHED_FACES = 20_000  # more are merged
OTHER_FACES = 3_000
UNKNOWN_SHARE = 0.05  # of a label's border: more next to don't-care pixels, and its moments say nothing
QUANTISATION = 1.0 / 12.0  # variance of a border that is known to whole pixels [px^2]


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Silhouette:
    """Moments of the part of a body that the picture shows, at given poses.  All zero where it shows nothing.

    Attributes:
        values: area [px^2], centroid u, v [px], central second moments uu, uv, vv [px^2] (6,) float64.
        jacobians: their derivatives by each body's pose (moment, 6): position along the camera's axes [1/m], then
            rotation about them through the body's origin [1/rad], by body name.  What hides the body has one too:
            it moves the border between the two.
        border: line integral of ``g g'`` along the border of what is seen (6, 6) [px times the units of both], where
            ``g`` is what the moments gain per pixel that the border moves outwards; ``border[0, 0]`` is its length.
            The border of the picture does not count.
    """

    values: np.ndarray
    jacobians: dict[str, np.ndarray]
    border: np.ndarray

    def noise(self, sigma_px: float, length_px: float, bias_px: float = 0.0) -> np.ndarray:
        """Covariance of the moments of a mask whose border is not where the silhouette's is (6, 6).

        Where the border lies outwards by ``e(s)``, the moments gain ``integral of g(s) e(s) ds``.  With errors of
        standard deviation ``sigma_px`` whose correlation along the border has the integral ``length_px`` (2 l for
        exp(-|s| / l)), short beside the silhouette, the covariance is ``sigma^2 length`` times the integral of
        ``g g'``.  So the area's standard deviation grows with the square root of the border's length, and the
        centroid's is that of the border's mean distance from it over the area.  A common offset of the whole border,
        of standard deviation ``bias_px``, adds the square of ``integral of g ds``, which is ``border[0]``.  Pixels add
        the error of rounding, 1/12 px^2, independent from one to the next.

        Args:
            sigma_px: standard deviation of the border's place [px].
            length_px: how far along the border an error reaches [px].
            bias_px: standard deviation of what is the same all along the border [px].
        """
        common = bias_px * self.border[0]
        return (sigma_px**2 * length_px + QUANTISATION) * self.border + np.outer(common, common)


class SilhouetteMoments:
    """Moments of a body's visible silhouette at given poses of all bodies, with exact derivatives, one frame a time.

    The bodies are drawn in a window around the watched one, magnified or reduced so that it fills the window: cost and
    relative precision do not depend on its size in the picture.  What hides it is drawn with it; large surfaces are
    merged into fewer faces.  Nothing is allocated after the first call, and the host waits for 6 + 36 (1 + bodies)
    numbers only.

    Args:
        camera: whose pictures are measured.
        bodies: all that is drawn; their initial shape and scale are taken, and their first pose until they move.
        watched: name of the body whose silhouette it is; it must be rigid.
        device: Warp device.
        size: width and height of the window [its pixels].
        watched_faces, other_faces: surfaces of more faces are simplified.

    Raises:
        InputError: there is no such body, or it is not rigid.
    """

    def __init__(
        self,
        camera: Camera,
        bodies: Sequence[SceneBody],
        watched: str,
        device: wp.DeviceLike = "cpu",
        *,
        size: tuple[int, int] = (96, 96),
        watched_faces: int = WATCHED_FACES,
        other_faces: int = OTHER_FACES,
    ):
        self.device = warp_device(device)
        self.names = tuple(body.name for body in bodies)
        if watched not in self.names:
            raise InputError("body to watch", repr(watched), f"one of {list(self.names)}")
        self.index = self.names.index(watched)
        if not bodies[self.index].body.is_rigid:
            raise InputError(
                f"body to watch {watched!r}", f"{bodies[self.index].body.link_count} links", "a rigid body"
            )
        limits = [watched_faces if name == watched else other_faces for name in self.names]
        drawn = [clustered(body.body, limit) for body, limit in zip(bodies, limits, strict=True)]
        self._kept = {name: kept for name, (_, kept) in zip(self.names, drawn, strict=True)}
        assembly = assemble([body for body, _ in drawn])
        self._starts = assembly.vertex_starts
        self.view = kernels.PictureView()
        self.view.focal = wp.vec2(camera.fx, camera.fy)
        self.view.center = wp.vec2(camera.cx, camera.cy)
        self.view.size = wp.vec2(camera.width, camera.height)
        count = len(bodies)
        channels, outlined = list(range(count)), [True] * count
        self.canvas = Canvas(assembly, channels, outlined, whole_window(1, *size), self.device)
        self.lanes = 1 if self.device.is_cpu else 2 * size[1]
        self._allocate(count, [body.coordinate_count for body, _ in drawn])
        self._models = [BodyModel(body, self.device) for body, _ in drawn]
        self._states = [self._state(index, body) for index, body in enumerate(bodies)]
        for index, body in enumerate(bodies):
            start = body.initial
            self._assign(index, np.concatenate([start.position[0], start.rotation[0], start.joints[0]]))
        self._corners = self._box(bodies[self.index])
        self._replay = Replay(self._launch, self.device, capture=True)
        self._scales = [float(body.initial.scale) for body in bodies]

    def _allocate(self, count: int, coordinates: list[int]) -> None:
        """Device arrays, and the host's halves of those that are written and read in each step."""

        def zeros(shape, dtype):
            return wp.zeros(shape, dtype=dtype, device=self.device)

        self._joint_starts = np.concatenate([[0], np.cumsum(coordinates)]).astype(int)
        self._poses = twin_zeros(count, wp.transform, self.device)
        self._joints = twin_zeros(max(int(self._joint_starts[-1]), 1), wp.float32, self.device)
        self._vertices = zeros((1, int(self._starts[-1])), wp.vec3)
        self._screen = zeros((1, int(self._starts[-1])), wp.vec3)
        self._aim = zeros(1, kernels.Aim)
        self._total = zeros(1, kernels.Moments)
        self._sums = zeros(1 + count, kernels.MomentMatrix)  # border, jacobians
        self._border, self._jacobians = self._sums[:1], self._sums[1:]
        self._drawing = drawing = moment_border.Drawing()
        drawing.outline, drawing.faces = self.canvas.outline(self._screen), self.canvas.faces
        drawing.edge_bodies = self.canvas.edge_channels
        drawing.vertices, drawing.poses = self._vertices, self._poses.array
        drawing.aim, drawing.view = self._aim, self.view
        self._result = twin_zeros(2 + count, kernels.MomentMatrix, self.device)

    def _state(self, index: int, body: SceneBody) -> BodyState:
        """The body's motion, as views of the arrays that hold all bodies'."""
        model = self._models[index]
        state = model.state(1, requires_grad=False)
        all_poses: Any = self._poses.array  # of which a slice is an array, too
        all_joints: Any = self._joints.array
        poses = all_poses[index : index + 1]
        first, stop = self._joint_starts[index : index + 2]
        links = poses.reshape((1, 1)) if model.follows_pose else state.links
        skin = links if model.follows_pose else state.skin
        joints = all_joints[first:stop].reshape((1, stop - first)) if stop > first else state.joints
        state = replace(state, poses=poses, joints=joints, links=links, skin=skin)
        if np.size(body.initial.shape):
            state.shape.assign(np.asarray(body.initial.shape, dtype=np.float32))
        state.scale.fill_(float(body.initial.scale))
        model.shape(state)
        return state

    def _assign(self, index: int, row: np.ndarray) -> None:
        """Write a body's pose and joints on the host."""
        self._poses.host[index] = row[:7]
        first, stop = self._joint_starts[index : index + 2]
        self._joints.host[first:stop] = row[7:]

    def _box(self, body: SceneBody) -> wp.array:
        """Corners of the box around the watched body at rest, in its own frame [8]."""
        surface = self._states[self.index].rest_vertices.numpy()
        low, high = surface.min(axis=0), surface.max(axis=0)
        corners = np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), axis=-1).reshape(8, 3)
        return wp.array(corners, dtype=wp.vec3, device=self.device)

    def _launch(self) -> None:
        view, crop, canvas, poses = self.view, self.canvas.crop, self.canvas, self._poses.array
        for model, state, first in zip(self._models, self._states, self._starts[:-1], strict=True):
            model.pose(state)
            model.skin(state, self._vertices, int(first))
        kernels.aim_window(poses, self.index, self._corners, view, crop, aim_out=self._aim)
        kernels.project_window(self._vertices, self._aim, view, screen_out=self._screen)
        canvas.draw(self._screen)
        self._total.zero_()
        self._sums.zero_()
        kernels.sum_pixels(canvas.keys, self.index, self._aim, view, crop, lanes=self.lanes, sums_out=self._total)
        moment_border.sum_border(
            self._drawing,
            self.index,
            lanes=self.lanes,
            sums_out=self._total,
            border_out=self._border,
            jacobians_out=self._jacobians,
        )
        kernels.finish_moments(
            self._total, self._border, self._jacobians, self._aim, crop, result_out=self._result.array
        )

    def measure(self, poses: Mapping[str, np.ndarray], surfaces: Mapping[str, np.ndarray] | None = None) -> Silhouette:
        """Moments of the watched body at these poses.

        Args:
            poses: of the bodies that moved since the last call, or since their first frame, by name: position [m],
                quaternion xyzw and joint coordinates (7 + coordinate,), camera_from_body.
            surfaces: of bodies whose vertices are animated: (vertex, 3) [m] in the body's own frame, before its scale,
                by name.
        """
        for name, row in poses.items():
            self._assign(self.names.index(name), row)
        for name, vertices in (surfaces or {}).items():
            index = self.names.index(name)
            rest = np.asarray(vertices)[self._kept[name]] * self._scales[index]
            self._states[index].rest_vertices.assign(rest.astype(np.float32))
        self._poses.push()
        self._joints.push()
        self.canvas.renew_claims()
        self._replay()
        result = self._result.pull()
        return Silhouette(
            values=result[0, 0].copy(),
            jacobians={name: result[2 + index].copy() for index, name in enumerate(self.names)},
            border=result[1].copy(),
        )


def label_moments(labels: np.ndarray, label: int, ignore: int = IGNORE_LABEL) -> np.ndarray:
    """Moments of a label in one label image, as :attr:`Silhouette.values`; NaN says nothing.

    Args:
        labels: (height, width) uint8; the top-left pixel covers [0, 1] x [0, 1], its middle is (0.5, 0.5).
        label: the body's label.
        ignore: label of don't-care pixels.

    Returns:
        (6,) float64.  Where the label does not occur the area is zero and the others are NaN.  Where don't-care pixels
        hide where it ends, all are NaN.
    """
    own = labels == label
    rows = np.flatnonzero(own.any(axis=1))
    if len(rows) == 0:
        return np.array([0.0, *[np.nan] * 5])
    columns = np.flatnonzero(own[rows[0] : rows[-1] + 1].any(axis=0))
    # All that counts lies in its box and the pixels around that.
    top, left = max(rows[0] - 1, 0), max(columns[0] - 1, 0)
    box = (slice(top, rows[-1] + 2), slice(left, columns[-1] + 2))
    own = own[box]
    if _unknown_share(own, labels[box] == ignore) > UNKNOWN_SHARE:
        return np.full(6, np.nan)
    height, width = own.shape
    x, y = np.arange(width) + 0.5 - 0.5 * width, np.arange(height) + 0.5 - 0.5 * height
    count, sums, squares = (own.astype(np.float64) @ np.stack([np.ones(width), x, x * x], axis=1)).T
    area = count.sum()
    u, v = sums.sum() / area, (y * count).sum() / area
    # Pixels are squares, not points: each adds its own spread.
    uu = squares.sum() / area - u * u + 1.0 / 12.0
    uv = (y * sums).sum() / area - u * v
    vv = (y * y * count).sum() / area - v * v + 1.0 / 12.0
    return np.array([area, left + 0.5 * width + u, top + 0.5 * height + v, uu, uv, vv])


def _unknown_share(own: np.ndarray, unknown: np.ndarray) -> float:
    """Share of a label's border within the picture at which don't-care pixels lie."""
    if not unknown.any():
        return 0.0
    border, touched = 0, 0
    for axis in (0, 1):
        label, blind = np.moveaxis(own, axis, 0), np.moveaxis(unknown, axis, 0)
        for inner, outer in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
            leaves = label[inner] & ~label[outer]
            border += np.count_nonzero(leaves)
            touched += np.count_nonzero(leaves & blind[outer])
    return touched / max(border, 1)
