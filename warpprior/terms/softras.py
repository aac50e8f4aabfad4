"""SoftRas (Eq. 2 as the paper draws it): masks as a soft product over all faces.

Dilated, so that bodies end up some 5 % too far away; kept to compare with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from warpprior.support.errors import InputError
from warpprior.support.limits import positive
from warpprior.terms.term import ADAM, BoundTerm, Term

if TYPE_CHECKING:
    import warp as wp

    from warpprior.system.problem import Problem

MODES = ("union", "amodal-ignore")


@dataclass(frozen=True)
class Softras(Term):
    """Squared difference of soft and labelled masks.  Energy alone.

    Attributes:
        mode: ``union``: all bodies as one, as in the paper; ``amodal-ignore``: each estimated body alone.
        sigma_px: displacement of the contour that counts as one sigma [px], where values are normalised.
        softness: of faces' borders, in squared halves of the picture's shorter side.
        normalise: the mean displacement of the contour in sigmas; without, the plain sum of squared differences
            [px], as in the paper.
    """

    name: ClassVar[str] = "softras"
    uses: ClassVar[tuple[str, ...]] = (ADAM,)
    compares_labels: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("labels",)

    mode: Literal["union", "amodal-ignore"] = "union"
    sigma_px: float = positive(1.0)
    softness: float = positive(1e-4)
    normalise: bool = True
    solvers: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if self.mode not in MODES:
            raise InputError("settings: softras.mode", repr(self.mode), f"one of {', '.join(MODES)}")

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for all estimated bodies, where there are labels."""
        return [] if problem.observed.labels is None else [BoundSoftras(self, problem)]


class BoundSoftras(BoundTerm):
    """The soft masks of all estimated bodies.

    Attributes:
        masks: one per layer.
    """

    term: Softras

    def __init__(self, term: Softras, problem: Problem):
        import warp as wp

        from warpprior.render.silhouettes import SoftrasMask
        from warpprior.system.backdrop import known_screen
        from warpprior.system.mask_layers import mask_layers
        from warpprior.system.targets import channel_scales

        motion, window = problem.motion, problem.observed.window
        super().__init__(term, motion.estimated[0], problem)
        self.factor = term.weight
        half = 0.5 * min(motion.scene.camera.width, motion.scene.camera.height)
        sigma = wp.full(1, term.sigma_px if term.normalise else 1.0, dtype=wp.float32, device=motion.device)
        softness = wp.full(1, term.softness * half**2, dtype=wp.float32, device=motion.device)
        self.masks = []
        for layer in mask_layers(problem, term.mode):
            scales = channel_scales(layer.targets, layer.channel_count, term.normalise)
            common = (window, layer.targets, scales, sigma, softness, motion.device)
            mask = SoftrasMask(motion.assembly, layer.places, *common)
            if term.mode == "union" and motion.known:
                assembly, screen = known_screen(motion)
                known = SoftrasMask(assembly, [0] * len(motion.known), *common)
                mask.backdrop = known.draw(screen)
            self.masks.append(mask)

    def evaluate(self, rows: wp.array, row: int) -> None:
        for mask in self.masks:
            mask.evaluate(self.problem.motion.screen, rows, row)
