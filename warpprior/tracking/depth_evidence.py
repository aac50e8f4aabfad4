"""A depth image as an observation of the poses of rigid bodies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import warp as wp

from warpprior.kernels.depth import DepthView, add_depths, match_depths
from warpprior.kernels.robust import Scale
from warpprior.kernels.rows import PointBody
from warpprior.kernels.skinning import interpolate_points
from warpprior.scene import Poses, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.terms import Depth
from warpprior.tracking.evidence import NO_EVIDENCE, Evidence
from warpprior.tracking.single_frame import PoseEquations, SingleFrame, coarse_to_fine, relinearise

SIGMAS, WIDEST = 2.0, 0.1  # depth is compared within so many sigmas of a prior, but no more [m]
MARGIN = 8.0  # [px] around a body, which later linearisations may move


class DepthResidual:
    """Points of rigid bodies onto what a depth camera measured, along the normals of their faces, reduced to the poses.

    Args:
        scene: camera and bodies; bodies that are estimated and rigid are watched, all others only hide them.
        device: Warp device.
        frame: where the bodies are placed, to share it with other observations; None makes one.
        sigma_depth_m: error of measured depth [m].
        correlated_points: so many of the body's points err alike.
        correlated_frames: so many pictures in a row err alike, and each counts that much less.
        reaches: points are matched and linearised so many times, each time where the time before led; what is farther
            off than these, in sigmas, counts less and less.  Where a prior says that the pose is less sure than the
            first of them, it begins with wider ones.
        clearance_m: deeper than this behind what is drawn is hidden [m].
    """

    def __init__(
        self,
        scene: Scene,
        device: wp.DeviceLike = "cpu",
        *,
        frame: SingleFrame | None = None,
        sigma_depth_m: float = 0.005,
        correlated_points: float = 10.0,
        correlated_frames: float = 1.0,
        reaches: tuple[float, ...] = (8.0, 4.0, 4.0),
        clearance_m: float = 0.004,
    ):
        self.frame = frame = SingleFrame(scene, device) if frame is None else frame
        self._reaches = [reach * sigma_depth_m for reach in reaches]
        self._weight = 1.0 / (correlated_frames * correlated_points * sigma_depth_m**2)
        self._scale = wp.zeros(1, dtype=Scale, device=frame.device)
        self._lanes = 1 if frame.device.is_cpu else 32
        self._canvas = frame.canvas([body.name for body in scene.bodies], outlined=False)
        self._views = {body.name: _View(body, frame, self._lanes, clearance_m) for body in frame.watched}

    def measure(
        self,
        depths: np.ndarray | None,
        poses: Mapping[str, Poses],
        *,
        labels: np.ndarray | None = None,
        prior: Mapping[str, np.ndarray] | None = None,
        surfaces: Mapping[str, np.ndarray] | None = None,
    ) -> dict[str, Evidence]:
        """What a depth image says about the errors of the watched bodies' poses, others being where they are.

        Args:
            depths: (height, width) float32 [m], 0 and what is not finite: not measured; None says nothing.
            poses: predicted poses of one frame, by name.
            labels: (height, width) uint8; with them only pixels of a body's own label count.
            prior: how sure the poses are: information (6, 6) in the error of the pose, by name.  It keeps later
                linearisations near and is no part of what is returned.
            surfaces: see :meth:`SingleFrame.place`.

        Returns:
            By name of watched body; all zero where nothing was measured.

        Raises:
            InputError: the image has not the size of the camera's pictures.
        """
        found = dict.fromkeys(self._views, NO_EVIDENCE)
        if depths is None:
            return found
        size = (self.frame.camera.height, self.frame.camera.width)
        for where, image in (("depth image", depths), ("label image", labels)):
            if image is not None and image.shape != size:
                raise InputError(where, f"shape {image.shape}", f"shape {size}")
        self.frame.place(poses, surfaces)
        for view in self._views.values():
            view.look(depths, labels)
        active = {name: self._plan(name, prior) for name, view in self._views.items() if view.active}
        return found | relinearise(self.frame, poses, active, prior, self._linearise, self._size)

    def _plan(self, name: str, prior: Mapping[str, np.ndarray] | None) -> list[float]:
        """Reaches, coarse to fine [m]."""
        if prior is None or name not in prior:
            return list(self._reaches)
        widest = SIGMAS * self.frame.spread(name, np.linalg.inv(prior[name]))[1]
        return coarse_to_fine(widest, self._reaches, WIDEST)

    def _size(self, name: str, step: np.ndarray) -> float:
        """How far a step moves the surface of a body along the line of sight [m]."""
        return self.frame.spread(name, np.outer(step, step))[1]

    def _linearise(self, name: str, reach: float) -> Evidence:
        view, state = self._views[name], self.frame.state
        scale = Scale()
        scale.weight, scale.reach = self._weight, reach
        self._scale.assign([scale])
        assert view.window is not None, "an active view has looked"
        self._canvas.look_at(view.window)
        self._canvas.draw_faces(state.screen)
        view.match(self._canvas)
        equations = view.equations
        equations.clear()
        add_depths(
            view.points,
            view.observed,
            view.normals,
            view.places,
            state.states[name].poses,
            self._scale,
            equations.system,
            lanes=self._lanes,
            cost_out=equations.cost,
        )
        return equations.read(self.frame, view.body)


class _View:
    """One watched body: points on it, and what was measured where they are seen."""

    def __init__(self, body: SceneBody, frame: SingleFrame, lanes: int, clearance: float):
        self.body, self._frame = body, frame
        state, device = frame.state, frame.device
        self._first = state.first_vertex(body.name)
        self._faces, self._barycentrics = state.point_places(body.name)
        self.places = PointBody()
        self.places.start = 0
        chosen: np.ndarray = self._faces.numpy()
        corners = body.body.faces[chosen] + self._first
        self.places.corners = wp.array(corners.astype(np.int32), dtype=wp.vec3i, device=device)
        self.places.barycentrics = self._barycentrics
        self.points = state.points[body.name]
        self.observed, self.normals = (wp.zeros(self.points.shape, dtype=wp.vec3, device=device) for _ in range(2))
        self.equations = PoseEquations(frame, lanes)
        self.window, self.active = None, False
        self._view = view = DepthView()
        pixels = frame.camera.width * frame.camera.height
        view.depths = wp.zeros((1, pixels), dtype=wp.float32, device=device)
        view.origins = wp.zeros(1, dtype=wp.vec2i, device=device)
        view.focal, view.center = state.focal, state.center
        view.clearance, view.least_cosine = clearance, Depth.least_cosine

    def look(self, depths: np.ndarray, labels: np.ndarray | None) -> None:
        """Look at the depth image around the body; without any depth there is nothing to see."""
        self.window = window = self._frame.window([self.body], MARGIN)
        self.active = False
        if window is None:
            return
        image = window.cut(depths[None]).astype(np.float32)
        image[~np.isfinite(image)] = 0.0
        if labels is not None:
            image[window.cut(labels[None]) != self.body.label] = 0.0
        self.active = bool(image.any())
        view = self._view
        view.width, view.height = window.width, window.height
        view.origins.assign(window.origins)
        wp.copy(view.depths, wp.array(image.ravel(), dtype=wp.float32, device=self._frame.device), count=image.size)

    def match(self, canvas) -> None:
        """What was measured at each point of the body where it is placed, as far as ``canvas`` does not hide it."""
        frame, view = self._frame, self._view
        state = frame.state
        interpolate_points(
            state.vertices,
            state.models[self.body.name].faces,
            self._faces,
            self._barycentrics,
            vertex_offset=self._first,
            points_out=self.points,
        )
        view.keys, view.key_origins = canvas.keys, canvas.origins
        view.key_width, view.key_height = canvas.window.width, canvas.window.height
        match_depths(
            self.points, state.vertices, self.places, view, observed_out=self.observed, normals_out=self.normals
        )
