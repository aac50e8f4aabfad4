"""Coverage (Eq. 2): the area that each body covers in the picture is that of its label.

Masks are antialiased, and moved by the edge crossings that own their borders: nothing is blurred, so nothing is biased,
and occlusion between bodies is exact.  Or they are softened by the distance to the nearest contour, labels alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from warpprior.support.errors import InputError
from warpprior.support.limits import positive, weight
from warpprior.terms.term import ADAM, BoundTerm, Term

if TYPE_CHECKING:
    import warp as wp

    from warpprior.system.problem import Problem

MODES = {"edge": ("modal", "amodal-ignore", "union"), "soft": ("amodal-ignore", "union")}


@dataclass(frozen=True)
class Coverage(Term):
    """Squared difference of drawn and labelled masks, over the length of the contour: its mean displacement.

    Energy alone: an area has no residual per sample.

    Attributes:
        method: ``edge`` (exact antialiased coverage) or ``soft`` (by the distance to the contour).
        mode: ``modal``: the visible parts of all bodies, known ones included, against the labels;
            ``amodal-ignore``: each estimated body alone, other bodies' labels ignored; ``union``: all bodies as one, as
            in the paper.  Empty: the first that the method has.
        sigma_px: displacement of the contour that counts as one sigma [px].
        tau_px: softness of ``soft`` [px].
    """

    name: ClassVar[str] = "coverage"
    uses: ClassVar[tuple[str, ...]] = (ADAM,)
    compares_labels: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("labels",)

    weight: float = weight(40.0)  # a contour of some 400 px errs alike over 10: it counts as so many measurements
    method: Literal["edge", "soft"] = "edge"
    mode: Literal["", "modal", "amodal-ignore", "union"] = ""
    sigma_px: float = positive(1.0)
    tau_px: float = positive(1.0)

    def __post_init__(self):
        super().__post_init__()
        if self.method not in MODES:
            raise InputError("settings: coverage.method", repr(self.method), f"one of {', '.join(MODES)}")
        modes = MODES[self.method]
        if self.mode and self.mode not in modes:
            accepted = f"for {self.method}, one of {', '.join(modes)}"
            raise InputError("settings: coverage.mode", repr(self.mode), accepted)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for all estimated bodies, where there are labels."""
        return [] if problem.observed.labels is None else [BoundCoverage(self, problem)]


class BoundCoverage(BoundTerm):
    """The masks of all estimated bodies.

    They are drawn at each evaluation, for ownership of pixels must belong to the very positions the tape records.

    Attributes:
        masks: one per layer.
    """

    term: Coverage

    def __init__(self, term: Coverage, problem: Problem):
        import warp as wp

        from warpprior.render.canvas import Canvas
        from warpprior.render.silhouettes import ContourMask, EdgeMask
        from warpprior.system.mask_layers import mask_layers
        from warpprior.system.targets import channel_scales, contour_distances

        motion, window = problem.motion, problem.observed.window
        super().__init__(term, motion.estimated[0], problem)
        self.factor = term.weight
        sigma, tau = (wp.full(1, v, dtype=wp.float32, device=motion.device) for v in (term.sigma_px, term.tau_px))
        self.masks = []
        for layer in mask_layers(problem, term.mode or MODES[term.method][0]):
            scales = channel_scales(layer.targets, layer.channel_count, True)
            outlined = [place is not None for place in layer.places]
            canvas = Canvas(motion.assembly, layer.places, outlined, window, motion.device, backdrop=layer.backdrop)
            if term.method == "soft":
                mask = ContourMask(canvas, contour_distances(layer.targets), scales[:, 0], sigma, tau)
            else:
                mask = EdgeMask(canvas, layer.targets, scales, sigma)
            self.masks.append(mask)

    def evaluate(self, rows: wp.array, row: int) -> None:
        for mask in self.masks:
            mask.evaluate(self.problem.motion.screen, rows, row)
