"""Far: a body whose drawing hardly meets its label is pulled towards it, until masks can take over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from warpprior.support.errors import InputError
from warpprior.support.limits import positive, share, weight
from warpprior.terms.term import ADAM, BoundTerm, Term

if TYPE_CHECKING:
    import warp as wp

    from warpprior.render.window import Window
    from warpprior.scene import SceneBody
    from warpprior.system.problem import Problem

SURFACE_SPREAD = 4.0 / 3.0  # mean square radius of a sphere's surface on the screen, over that of its disc
FEWEST_PIXELS = 50  # drawings smaller than this say nothing about a body's shape
MOST_HIDDEN = 0.1  # share of the label's border that may touch what hides it; beyond, its size says nothing


@dataclass(frozen=True)
class Far(Term):
    """Distance between the centre and size of a body on the screen and those of its label.  Energy alone.

    Attributes:
        sigma_px: distance between centres that counts as one sigma [px]; costs grow linearly beyond.
        overlap_begin, overlap_end: overlap (IoU) below which the pull is full, and from which it is off.
    """

    name: ClassVar[str] = "far"
    uses: ClassVar[tuple[str, ...]] = (ADAM,)
    compares_labels: ClassVar[bool] = True
    draws: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("labels",)

    weight: float = weight(4.0)
    sigma_px: float = positive(1.0)
    overlap_begin: float = share(0.3)
    overlap_end: float = share(0.5)

    def __post_init__(self):
        super().__post_init__()
        if self.overlap_begin >= self.overlap_end:
            raise InputError(
                "settings: far.overlap_begin", f"{self.overlap_begin!r}", f"less than {self.overlap_end!r}"
            )

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each estimated body, where there are labels."""
        if problem.observed.labels is None:
            return []
        return [BoundFar(self, body, problem) for body in problem.motion.estimated]


class BoundFar(BoundTerm):
    """The pull on one body.

    Its moments are those of its surface points, so that it may be anywhere, outside the picture too.  They stand in for
    the silhouette's and are not quite the same, which is why the pull ends where the masks begin to overlap.

    Attributes:
        gates: share of the pull that acts, as last frozen [frame] float32.
    """

    term: Far

    def __init__(self, term: Far, body: SceneBody, problem: Problem):
        import warp as wp

        from warpprior.system.targets import channel_targets

        super().__init__(term, body, problem)
        self.factor = term.weight
        motion, observed, device = problem.motion, problem.observed, problem.motion.device
        self._sigma = wp.full(1, term.sigma_px, dtype=wp.float32, device=device)
        limits = np.array([term.overlap_begin, term.overlap_end], dtype=np.float32)
        self._limits = wp.array(limits, dtype=wp.float32, device=device)
        self._overlap = problem.overlap(body)
        self._moments = wp.zeros(motion.frame_count, dtype=wp.vec3, device=device, requires_grad=True)
        self.gates = wp.zeros(motion.frame_count, dtype=wp.float32, device=device)
        labels = observed.unbiased_labels
        assert labels is not None, "the sequence has labels"
        targets = channel_targets(labels, {body.label: 0}, observed.window, motion.scene.camera)
        goals = label_moments(targets, observed.window) - [motion.center[0], motion.center[1], 0.0, 0.0]
        goals[:, 2] *= self._surface_ratio()
        self._targets = wp.array(goals.astype(np.float32), dtype=wp.vec4, device=device)

    def _surface_ratio(self) -> float:
        """Root mean square radius of the surface points on the screen, over that of the silhouette, at present."""
        from warpprior.system.targets import TARGET_IGNORE

        canvas = self._overlap.canvas
        window = canvas.window
        canvas.draw_faces(self.problem.motion.screen)
        masks = (canvas.keys.numpy() != 0).reshape(-1, window.height, window.width)
        edge = masks[:, [0, -1]].any(axis=(1, 2)) | masks[:, :, [0, -1]].any(axis=(1, 2))
        whole = ~edge & (masks.sum(axis=(1, 2)) >= FEWEST_PIXELS)
        self._gather()
        means = self._moments.numpy()[whole].astype(np.float64)
        spreads = means[:, 2] - means[:, 0] ** 2 - means[:, 1] ** 2
        radii = label_moments(np.where(masks, 0, TARGET_IGNORE), window)[whole, 2]
        return float(np.median(np.sqrt(np.maximum(spreads, 0.0)) / radii)) if whole.any() else SURFACE_SPREAD**0.5

    def _gather(self) -> None:
        from warpprior.kernels.far import gather_moments

        motion = self.problem.motion
        self._moments.zero_()
        points, areas = motion.points[self.body.name], motion.point_areas[self.body.name]
        gather_moments(points, areas, motion.focal, moments_out=self._moments)

    def freeze(self) -> None:
        """Find which frames overlap enough to be left to the masks."""
        from warpprior.kernels.far import close_gates

        overlap = self._overlap
        overlap.compare()
        close_gates(
            overlap.drawn_on_device,
            overlap.labelled_on_device,
            overlap.shared_on_device,
            self._limits,
            gates_out=self.gates,
        )

    def evaluate(self, rows: wp.array, row: int) -> None:
        from warpprior.kernels.far import compare_moments

        self._gather()
        compare_moments(self._moments, self._targets, self.gates, self._sigma, row, rows_out=rows)


def label_moments(targets: np.ndarray, window: Window) -> np.ndarray:
    """Centre u, v [px], root mean square radius [px] of channel 0, and 1 where that radius is to be trusted (frame, 4).

    It is not where much of the region's border touches ignored pixels: more of the body may be there.
    """
    from warpprior.system.targets import TARGET_IGNORE

    moments = np.zeros((len(targets), 4))
    for frame, image in enumerate(targets):
        own = image == 0
        rows, columns = np.nonzero(own)
        if len(rows) == 0:
            continue
        places = np.column_stack([columns, rows]) + 0.5
        spread = places.var(axis=0).sum() + 1.0 / 6.0  # pixels are squares, not points
        moments[frame, :2] = places.mean(axis=0) + window.origins[frame]
        borders = [own[1:] != own[:-1], own[:, 1:] != own[:, :-1]]
        ignored = image == TARGET_IGNORE
        hidden = [ignored[1:] | ignored[:-1], ignored[:, 1:] | ignored[:, :-1]]
        length = sum(border.sum() for border in borders)
        touching = sum((border & hide).sum() for border, hide in zip(borders, hidden, strict=True))
        moments[frame, 2:] = np.sqrt(spread), touching <= MOST_HIDDEN * length
    return moments
