"""Given: a body stays near the poses that it was given, where it is said that they were observed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from warpprior.support.limits import positive
from warpprior.terms.term import BoundTerm, Term

if TYPE_CHECKING:
    from warpprior.kernels.rows import System
    from warpprior.scene import Scene, SceneBody
    from warpprior.system.problem import Problem
    from warpprior.system.stage import Stage

POINT_COUNT = 32  # of each body
CHANNEL = "poses"  # a scene that states its noise says that its poses are observations


@dataclass(frozen=True)
class Given(Term):
    """Distance of points of the surface from where the given poses put them; frames without a pose say nothing.

    A body of unknown size stays near its given poses, whatever size it has.

    Attributes:
        sigma_m: error of given poses [m], alike all over each link of the body; None: what the scene says.  Where
            the scene says nothing, a number makes its poses observations.
    """

    name: ClassVar[str] = "given"
    observes: ClassVar[bool] = True

    sigma_m: float | None = positive(None)

    def lacks(self, scene: Scene) -> tuple[str, ...]:
        """The noise of given poses, with which a scene says that they are observations."""
        return () if self.sigma_m is not None or CHANNEL in scene.noise else (f"noise.{CHANNEL}",)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each estimated body without keypoints and boxes; label images may show it, or show little of it."""
        motion = problem.motion
        if self.lacks(motion.scene):
            return []
        return [BoundGiven(self, body, problem) for body in motion.estimated if not is_detected(motion.scene, body)]


def is_detected(scene: Scene, body: SceneBody) -> bool:
    """The body has keypoints or boxes in the picture."""
    return body.name in scene.keypoints2d or body.name in scene.boxes


def is_unseen(scene: Scene, body: SceneBody) -> bool:
    """Nothing in pictures shows the body, and its poses are said to be observations."""
    return CHANNEL in scene.noise and scene.labels is None and not is_detected(scene, body)


class BoundGiven(BoundTerm):
    """The given poses of one body."""

    term: Given

    def __init__(self, term: Given, body: SceneBody, problem: Problem):
        import warp as wp

        from warpprior.bodies.posing import posed_vertices
        from warpprior.geometry.sampling import spread_vertices
        from warpprior.kernels.robust import Scale

        super().__init__(term, body, problem)
        motion, device = problem.motion, problem.motion.device
        chosen = spread_vertices(body.body.vertices, POINT_COUNT)
        places = posed_vertices(body.body, body.initial, device)[:, chosen]
        imputed = body.initial.imputed
        trusted = np.ones(len(places)) if imputed is None else ~imputed
        self._chosen = wp.array(motion.first_vertex(body.name) + chosen, dtype=wp.int32, device=device)
        self._given = wp.array(np.ascontiguousarray(places), dtype=wp.vec3, device=device)
        origins = np.ascontiguousarray(body.initial.position, dtype=np.float32)
        self._origins = wp.array(origins, dtype=wp.vec3, device=device)
        self._size_column = problem.size_columns.get(body.name, -1)
        self._trusted = wp.array(trusted.astype(np.float32), dtype=wp.float32, device=device)
        self._scale = wp.zeros(1, dtype=Scale, device=device)
        self._start = problem.equations.starts[body.name]
        links = len(np.unique(body.body.skin_links[chosen, 0]))
        self._share = links / len(chosen)  # points of one link err alike: together they count as one

    def enter(self, stage: Stage) -> None:
        term = self.term
        scale = self.problem.robust_scale(CHANNEL, stage, term.weight * self._share, term.sigma_m)
        self._scale.assign([scale])

    def add(self, system: System, *, alone: bool = False) -> None:
        from warpprior.kernels.given import add_given

        motion = self.problem.motion
        add_given(
            motion.vertices,
            self._chosen,
            self._given,
            self._origins,
            self._trusted,
            motion.states[self.body.name].poses,
            self._scale,
            self._start,
            motion.factors[self.body.name],
            self._size_column,
            system,
            cost_out=self.costs,
        )
