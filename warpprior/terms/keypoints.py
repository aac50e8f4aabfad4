"""Keypoints: a body's keypoints are drawn where a detector found them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from warpprior.support.limits import positive
from warpprior.terms.term import BoundTerm, Term

if TYPE_CHECKING:
    from warpprior.kernels.rows import System
    from warpprior.scene import SceneBody
    from warpprior.system.problem import Problem
    from warpprior.system.stage import Stage


@dataclass(frozen=True)
class Keypoints(Term):
    """Distance of projected keypoints from detected ones; a stage's ``reach_factor`` makes outliers count less.

    Attributes:
        sigma_px: error of detected keypoints [px]; None: what the scene says, :meth:`warpprior.Scene.sigma`.
    """

    name: ClassVar[str] = "keypoints"
    observes: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("keypoints2d",)

    sigma_px: float | None = positive(None)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each estimated body with detected keypoints."""
        found = problem.motion.scene.keypoints2d
        return [BoundKeypoints(self, body, problem) for body in problem.motion.estimated if body.name in found]


class BoundKeypoints(BoundTerm):
    """The keypoints of one body."""

    term: Keypoints

    def __init__(self, term: Keypoints, body: SceneBody, problem: Problem):
        import warp as wp

        from warpprior.kernels.robust import Scale

        super().__init__(term, body, problem)
        motion, device = problem.motion, problem.motion.device
        detected = np.array(motion.scene.keypoints2d[body.name], dtype=np.float32)
        detected[~np.isfinite(detected).all(axis=2)] = 0.0
        keypoints = body.body.keypoints
        assert keypoints is not None, "it has what was detected of it"
        vertices = np.where(keypoints.vertices >= 0, keypoints.vertices + motion.first_vertex(body.name), -1)
        table = np.column_stack([vertices, keypoints.links]).astype(np.int32)
        self._detected = wp.array(detected, dtype=wp.vec3, device=device)
        self._keypoints = wp.array(table, dtype=wp.vec2i, device=device)
        self._places = wp.array(problem.surfaces.keypoint_places[body.name], dtype=wp.int32, device=device)
        self._points = wp.zeros(detected.shape[:2], dtype=wp.vec3, device=device)
        self._scale = wp.zeros(1, dtype=Scale, device=device)
        self._start = problem.equations.starts[body.name]

    def across(self, joined: Problem, clips: Sequence[BoundTerm]) -> BoundTerm:
        return BoundKeypoints(self.term, joined.motion.scene.body(self.body.name), joined)

    def enter(self, stage: Stage) -> None:
        term = self.term
        self._scale.assign([self.problem.robust_scale("keypoints2d", stage, term.weight, term.sigma_px)])

    def add(self, system: System, *, alone: bool = False) -> None:
        from warpprior.kernels.keypoints import add_keypoints, place_keypoints

        motion = self.problem.motion
        own = motion.states[self.body.name]
        place_keypoints(self._keypoints, motion.vertices, own.links, points_out=self._points)
        add_keypoints(
            self._points,
            self._places,
            self._detected,
            own.poses,
            motion.focal,
            motion.center,
            self._scale,
            self._start,
            system,
            cost_out=self.costs,
        )

    def measurements(self, pixels: float) -> float:
        sigma, _ = self.problem.noise("keypoints2d", self.term.sigma_px)
        return pixels * sigma**2
