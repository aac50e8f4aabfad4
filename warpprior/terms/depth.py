"""Depth: what a depth camera sees of a body lies on the surface that was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from warpprior.support.limits import positive, share, weight
from warpprior.terms.term import BoundTerm, DrawnTerm, Term

if TYPE_CHECKING:
    from warpprior.kernels.depth import DepthView
    from warpprior.kernels.rows import System
    from warpprior.render.parts import Part
    from warpprior.render.window import Window
    from warpprior.scene import SceneBody
    from warpprior.system.problem import Problem
    from warpprior.system.stage import Stage


@dataclass(frozen=True)
class Depth(Term):
    """Distance of a body's points from what was measured in their pixels, along the normals of their faces.

    Where there are labels, only pixels of the body's own count, and points that the body itself hides do not.  Off by
    default: depth images are often not aligned with the labels.

    Attributes:
        sigma_m: error of measured depth [m]; None: what the scene says.
        correlated_points: what a depth camera does wrong it does alike in neighbouring points: so many count as one.
        least_cosine: steeper surfaces are measured badly and do not count.
        clearance_m: deeper than this behind what is drawn is hidden [m].
    """

    name: ClassVar[str] = "depth"
    observes: ClassVar[bool] = True
    draws: ClassVar[bool] = True
    in_parts: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("read_depth",)

    weight: float = weight(0.0)
    sigma_m: float | None = positive(None)
    correlated_points: float = positive(10.0)
    least_cosine: float = share(0.2)
    clearance_m: float = positive(0.004)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each estimated body of which some pixel has a depth.

        Raises:
            InputError: a depth image has not the size of the camera's pictures.
        """
        from warpprior.support.stored import forget

        if problem.motion.scene.read_depth is None:
            return
        for body in problem.motion.estimated:
            window, depths = measured_depths(body, problem)
            told = depths.any()
            forget(depths)
            if told:
                yield BoundDepth(self, body, problem, window, depths)


class BoundDepth(DrawnTerm):
    """The measured depth of one body."""

    term: Depth

    def __init__(self, term: Depth, body: SceneBody, problem: Problem, window: Window, depths: np.ndarray):
        import warp as wp

        from warpprior.kernels.depth import DepthView
        from warpprior.kernels.robust import Scale
        from warpprior.system.contacts import point_body

        super().__init__(term, body, problem)
        motion, device = problem.motion, problem.motion.device
        view = self._view = DepthView()
        view.depths = wp.array(depths.reshape(motion.frame_count, -1), dtype=wp.float32, device=device, copy=False)
        view.origins, view.width, view.height = window.device_origins(device), window.width, window.height
        view.sizes, self._window = window.device_sizes(device), window
        view.center, view.clearance = motion.center, term.clearance_m
        view.least_cosine = term.least_cosine
        self._parts: dict[Part, DepthView] = {}
        self._points = motion.points[body.name]
        self._places = point_body(body, motion, problem.equations.starts[body.name])
        self._seen, self._normals = (wp.zeros(self._points.shape, dtype=wp.vec3, device=device) for _ in range(2))
        self._scale = wp.zeros(1, dtype=Scale, device=device)
        self._lanes = 1 if device.is_cpu else 32

    def across(self, joined: Problem, clips: Sequence[BoundTerm]) -> BoundTerm:
        from warpprior.render.window import Window
        from warpprior.support.stored import stored_zeros

        own = [clip for clip in clips if isinstance(clip, BoundDepth)]
        window, parts = Window.joined([clip._window for clip in own]), [part for part, _ in joined.motion.clips]
        depths = stored_zeros((joined.motion.frame_count, window.width * window.height), np.float32)
        for clip, part in zip(own, parts, strict=True):
            depths[part.frames, : clip._view.depths.shape[1]] = clip._view.depths.numpy()
        whole = BoundDepth(self.term, joined.motion.scene.body(self.body.name), joined, window, depths)
        for clip, part in zip(own, parts, strict=True):
            clip._view.depths = part.of(whole._view.depths)
            clip._parts.clear()
        return whole

    def enter(self, stage: Stage) -> None:
        term = self.term
        weight = term.weight / term.correlated_points
        self._scale.assign([self.problem.robust_scale("depth", stage, weight, term.sigma_m)])

    def _view_of(self, part: Part) -> DepthView:
        """What is seen in a part of the frames."""
        from warpprior.kernels.depth import DepthView
        from warpprior.kernels.slabs import frames_of

        if part not in self._parts:
            self._parts[part] = frames_of(DepthView, self._view, ("depths", "origins", "sizes"), part.of)
        view, problem = self._parts[part], self.problem
        if problem.observed.labels is not None:
            canvas = problem.drawings.alone[self.body.name]
            view.keys, view.key_origins = canvas.keys, canvas.origins
            view.key_width, view.key_height = canvas.window.width, canvas.window.height
            view.key_sizes = canvas.sizes
        view.focal = problem.motion.focal
        return view

    def freeze_part(self, part: Part) -> None:
        from warpprior.kernels.depth import match_depths
        from warpprior.support.stored import forget

        match_depths(
            part.of(self._points),
            part.of(self.problem.motion.vertices),
            self._places,
            self._view_of(part),
            observed_out=part.of(self._seen),
            normals_out=part.of(self._normals),
        )
        if not part.whole:
            forget(part.of(self._view.depths))

    def add_part(self, system: System, part: Part) -> None:
        from warpprior.kernels.depth import add_depths

        add_depths(
            part.of(self._points),
            part.of(self._seen),
            part.of(self._normals),
            self._places,
            part.of(self.problem.motion.states[self.body.name].poses),
            self._scale,
            system,
            lanes=self._lanes,
            cost_out=part.of(self.costs),
        )


def measured_depths(body: SceneBody, problem: Problem) -> tuple[Window, np.ndarray]:
    """A crop around the body's label, and its depth in it (frame, height, width) float32 [m], 0 where there is none."""
    from warpprior.render.window import whole_window
    from warpprior.scene import depth_image
    from warpprior.support.stored import forget, stored_zeros

    motion, observed = problem.motion, problem.observed
    scene, camera = motion.scene, motion.scene.camera
    assert scene.read_depth is not None, "the scene has depth"
    window = whole_window(motion.frame_count, camera.width, camera.height)
    if observed.labels is not None:
        window = observed.crop_around(body)
    depths = stored_zeros((motion.frame_count, window.height, window.width), np.float32)
    for frame, (column, row) in enumerate(window.origins):
        image = depth_image(scene, frame)
        if image is None:
            continue
        depths[frame] = image[row : row + window.height, column : column + window.width]
        if observed.labels is not None:
            depths[frame][~observed.mask_around(body, frame)] = 0.0
        depths[frame][~np.isfinite(depths[frame])] = 0.0
        forget(depths[frame])
    return window, depths
