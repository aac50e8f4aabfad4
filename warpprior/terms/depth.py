"""Measured depth of one body, as normal equations."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.kernels.depth_fit import DepthView, accumulate_depths, match_depths
from warpprior.render.window import Window, whole_window
from warpprior.scene import SceneBody
from warpprior.support.errors import InputError
from warpprior.system.problem import Problem
from warpprior.terms.contact_rows import point_body

CORRELATED_POINTS = 10.0  # what a depth camera does wrong it does alike in neighbouring points: so many count as one
LEAST_COSINE = 0.2  # steeper surfaces are measured badly


class Depths:
    """The contact points of a body, those the camera sees, onto the surface that was measured.

    Where there are labels, only pixels of the body's own count, and points that the body itself hides do not.

    Args:
        body: a moving body of a scene with depth images.
        problem: the sequence's.

    Attributes:
        active: some pixel of the body has a depth; if not, :meth:`enter` and :meth:`add` do nothing.

    Raises:
        InputError: a depth image has not the size of the camera's pictures.
    """

    def __init__(self, body: SceneBody, problem: Problem):
        self.body, self.problem = body, problem
        state = problem.state
        device, frame_count = state.device, state.frame_count
        window, depths = _measured(body, problem)
        self.active = bool(depths.any())
        if not self.active:
            return
        view = DepthView()
        view.depths = wp.array(depths.reshape(frame_count, -1), dtype=wp.float32, device=device)
        view.origins, view.width, view.height = window.device_origins(device), window.width, window.height
        view.center, view.clearance = state.center, problem.settings.clearance_m
        view.least_cosine = LEAST_COSINE
        if problem.picture.labels is not None:
            canvas = problem.drawings.alone[body.name]
            view.keys, view.key_origins = canvas.keys, canvas.origins
            view.key_width, view.key_height = canvas.window.width, canvas.window.height
        self._view, self._points = view, point_body(body, problem)
        shape = state.points[body.name].shape
        self.observed, self.normals = (wp.zeros(shape, dtype=wp.vec3, device=device) for _ in range(2))
        self._scale = wp.zeros(2, dtype=wp.float32, device=device)
        self._lanes = 1 if device.is_cpu else 32

    def enter(self, reach: float) -> None:
        """Take the scales of a stage: what is farther off than about ``reach`` sigmas is something else."""
        if not self.active:
            return
        s = self.problem.settings
        weight = s.depth_weight / (CORRELATED_POINTS * s.sigma_depth_m**2)
        self._scale.assign(np.array([weight, reach * s.sigma_depth_m], dtype=np.float32))

    def add(self, cost: wp.array) -> None:
        """Add to the equations and to ``cost`` [frame]; launches only."""
        if not self.active:
            return
        problem, state = self.problem, self.problem.state
        self._view.focal = state.focal
        points = state.points[self.body.name]
        match_depths(
            points, state.vertices, self._points, self._view, observed_out=self.observed, normals_out=self.normals
        )
        accumulate_depths(
            points,
            self.observed,
            self.normals,
            self._points,
            state.states[self.body.name].poses,
            self._scale,
            problem.surfaces.chains,
            problem.equations.rows,
            lanes=self._lanes,
            focal_column=problem.equations.shared.get("focal", -1),
            hessian_out=problem.equations.hessian,
            gradient_out=problem.equations.gradient,
            cost_out=cost,
        )


def _measured(body: SceneBody, problem: Problem) -> tuple[Window, np.ndarray]:
    """A crop around the body's label, and its depth in it (frame, height, width) float32 [m], 0 where there is none."""
    state, picture = problem.state, problem.picture
    scene, camera = state.scene, state.scene.camera
    window = whole_window(state.frame_count, camera.width, camera.height)
    own = None
    if picture.labels is not None:
        window, own = picture.crop_around(body.label)
    depths = np.zeros((state.frame_count, window.height, window.width), dtype=np.float32)
    for frame, (column, row) in enumerate(window.origins):
        image = scene.read_depth(frame)
        if image is None:
            continue
        if np.shape(image) != (camera.height, camera.width):
            found = f"a depth image of shape {np.shape(image)}"
            raise InputError(f"scene {scene.name!r}, frame {frame}", found, f"{(camera.height, camera.width)}")
        depths[frame] = image[row : row + window.height, column : column + window.width]
    depths[~np.isfinite(depths)] = 0.0
    if own is not None:
        depths[~own] = 0.0
    return window, depths
