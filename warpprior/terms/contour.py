"""Contour (Eq. 2): the contour of each body comes to lie on the border of its label.

The contour is drawn as if the body were alone, and the depth of the other bodies says of each piece of it whether it
may hide there or must coincide with the label's border: occlusion becomes evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from warpprior.support.limits import positive
from warpprior.system.misfit import misfit_name
from warpprior.terms.term import GAUSS_NEWTON, BoundTerm, DrawnTerm, Term

if TYPE_CHECKING:
    from warpprior.kernels.contour import Borders
    from warpprior.kernels.rows import System
    from warpprior.render.parts import Part
    from warpprior.scene import SceneBody
    from warpprior.system.problem import Problem
    from warpprior.system.stage import Stage


@dataclass(frozen=True)
class Contour(Term):
    """Distance of contours from label borders along the contour's normal; a stage's ``reach_px`` bounds its pull.

    Attributes:
        sigma_px: error of label borders [px]; None: what the scene says.
        correlation_px: neighbouring contour pixels err together over about this length [px].
        clearance_m: another body must be this far behind the contour to count as behind it [m].
    """

    name: ClassVar[str] = "contour"
    observes: ClassVar[bool] = True
    compares_labels: ClassVar[bool] = True
    draws: ClassVar[bool] = True
    in_parts: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("labels",)

    sigma_px: float | None = positive(None)
    correlation_px: float = positive(10.0)
    clearance_m: float = positive(0.004)
    solvers: tuple[str, ...] = (GAUSS_NEWTON,)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each estimated body, where there are labels."""
        if problem.observed.labels is None:
            return []
        return [BoundContour(self, body, problem) for body in problem.motion.estimated]


class BoundContour(DrawnTerm):
    """The contour of one body."""

    term: Contour

    def __init__(self, term: Contour, body: SceneBody, problem: Problem):
        import warp as wp

        from warpprior.kernels.contour import Borders
        from warpprior.kernels.robust import Scale
        from warpprior.system.link_blocks import LinkSamples

        super().__init__(term, body, problem)
        motion, device = problem.motion, problem.motion.device
        self._canvas, self._overlap = problem.drawings.alone[body.name], problem.overlap(body)
        self._visible = problem.observed.shows(body).astype(np.float32)
        borders = self._borders = Borders()
        in_file = None if problem.holding.distances else problem.drawings.parts
        self._distances = problem.observed.border_distances(body, in_file)
        borders.clearance = term.clearance_m
        borders.shares = wp.array(self._visible, dtype=wp.float32, device=device)
        borders.clips = motion.segments
        borders.bias, borders.center = problem.shared.bias, motion.center
        misfit = problem.shared.misfits.get(body.name)
        if misfit is not None:
            borders.misfit, borders.misfit_column = misfit, problem.equations.shared[misfit_name(body)]
        self._links = None
        sums = problem.links(body)
        if sums is not None:
            edges: np.ndarray = self._canvas.edges.numpy()[:, :2] - motion.first_vertex(body.name)
            self._links = LinkSamples(sums, edges, motion, problem.equations.starts)
            borders.carriers = self._links.carriers
        sigma, _ = problem.noise("labels", term.sigma_px)
        self._weight = term.weight / (term.correlation_px * sigma**2)
        self._sigma = sigma
        self._parts: dict[Part, Borders] = {}
        self._scale = wp.zeros(1, dtype=Scale, device=device)
        self._start = problem.equations.starts[body.name]
        # Each thread has a row of its own; one alone goes from edge to edge, where memory is near.
        self._stride = 1 if device.is_cpu else min(self._canvas.stride, problem.equations.lanes)

    def across(self, joined: Problem, clips: Sequence[BoundTerm]) -> BoundTerm:
        return BoundContour(self.term, joined.motion.scene.body(self.body.name), joined)

    def enter(self, stage: Stage) -> None:
        from warpprior.kernels.robust import Scale

        scale = Scale()
        scale.weight, scale.reach = self._weight, stage.reach_px
        self._scale.assign([scale])

    def _borders_of(self, part: Part) -> Borders:
        """What is seen in a part of the frames."""
        from warpprior.kernels.contour import BORDERS_OF_FRAMES, Borders
        from warpprior.kernels.slabs import frames_of

        if part not in self._parts:
            self._parts[part] = frames_of(Borders, self._borders, BORDERS_OF_FRAMES, part.of)
            if self._links is not None:
                self._parts[part].carriers = self._links.carriers_of(part)
        borders = self._parts[part]
        self._distances.look(borders, part)
        self.problem.drawings.show_others(self.body.name, borders)
        borders.focal = self.problem.motion.focal
        return borders

    def add_part(self, system: System, part: Part) -> None:
        from warpprior.kernels.contour import add_contour

        motion = self.problem.motion
        borders = self._borders_of(part)

        def launch() -> None:
            add_contour(
                self._canvas.outline(motion.screen),
                borders,
                self._scale,
                part.of(motion.states[self.body.name].poses),
                self._start,
                system,
                stride=self._stride,
                cost_out=part.of(self.costs),
            )

        if self._links is None:
            launch()
        else:
            misfit = -1 if borders.misfit is None else borders.misfit_column
            self._links.gather(system, launch, (system.bias_column, misfit, system.focal_column), part)

    def measurements(self, pixels: float) -> float:
        return pixels * self._sigma**2

    def gauge_part(self, part: Part) -> None:
        self._overlap.count_bare(part)

    def observed_costs(self) -> np.ndarray:
        """The contour alone would be content with a body that is out of sight: label pixels left bare cost, too."""
        bare = self._overlap.bare_on_device.numpy()
        return self.costs.numpy() + np.float32(self._weight) * self._visible * bare
