"""Mask (Eq. 2): the bodies' silhouettes should be those of the label images.

Three silhouettes behind one interface.  ``edge`` draws antialiased masks and moves them by the edge crossings that own
their borders: nothing is blurred, so nothing is biased, and occlusion between bodies is exact.  ``contour`` blurs by
the distance to the nearest contour, ``softras`` is the paper's product over all faces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import warp as wp

from warpprior.render.canvas import Canvas
from warpprior.render.silhouettes import ContourMask, EdgeMask, SoftrasMask
from warpprior.support.errors import InputError
from warpprior.system.backdrop import draw_known, known_screen
from warpprior.system.targets import TARGET_BACKGROUND, channel_scales, channel_targets, contour_distances
from warpprior.terms.prior import single

if TYPE_CHECKING:
    from warpprior.render.window import Window
    from warpprior.system.motion import MotionState

MODES = {
    "edge": ("modal", "amodal-ignore", "union"),
    "contour": ("amodal-ignore", "union"),
    "softras": ("union", "amodal-ignore"),
}


@dataclass(frozen=True)
class SilhouetteSettings:
    """Which masks are compared, and how.

    Attributes:
        method: ``edge`` (exact antialiased coverage), ``contour`` (soft by the distance to the contour) or
            ``softras`` (the paper's; dilated, so that bodies end up 5 % too far away).
        mode: ``modal``: the visible parts of all bodies, known ones included, against the labels;
            ``amodal-ignore``: each moving body alone, other bodies' labels ignored;
            ``union``: all bodies as one, as in the paper.  Empty: the first that the method has.
        sigma_px: displacement of the contour that counts as one sigma [px].
        tau_px: softness of ``contour`` [px].
        softras_sigma: softness of ``softras``, in squared halves of the picture's shorter side.
        normalise: the mean displacement of the contour in sigmas; without, the plain sum of squared differences
            [px], as in the paper.
    """

    method: str = "edge"
    mode: str = ""
    sigma_px: float = 1.0
    tau_px: float = 1.0
    softras_sigma: float = 1e-4
    normalise: bool = True

    def __post_init__(self):
        if self.method not in MODES:
            raise InputError("mask: method", repr(self.method), f"one of {', '.join(MODES)}")
        modes = MODES[self.method]
        if self.mode and self.mode not in modes:
            raise InputError("mask: mode", repr(self.mode), f"for {self.method}, one of {', '.join(modes)}")
        for name in ("sigma_px", "tau_px", "softras_sigma"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0.0):
                raise InputError(f"mask: {name}", f"{value!r}", "a finite number, positive")

    @property
    def chosen_mode(self) -> str:
        """``mode``, or the first that the method has."""
        return self.mode or MODES[self.method][0]


class SilhouettePrior:
    """Difference between drawn and labelled masks of all moving bodies.

    Masks are drawn at each evaluation, for ownership of pixels must belong to the very positions the tape records.

    Args:
        state: the motion; its moving bodies are fitted.
        labels: label images within the window (frame, height, width) uint8.
        window: the crop of each frame.
        settings: method, mode, sigma.
        backdrop: keys of the still bodies, channels being their places in the scene [frame, pixel] uint64; drawn here
            when None or when the mode is not ``modal``.

    Attributes:
        sigma, tau, softness: ``settings.sigma_px``, ``tau_px`` and ``softras_sigma`` [px^2] on the device [1] float32;
            may be changed between iterations.
    """

    name = "mask"

    def __init__(
        self,
        state: MotionState,
        labels: np.ndarray,
        window: Window,
        settings: SilhouetteSettings | None = None,
        *,
        backdrop: wp.array | None = None,
    ):
        self.settings = SilhouetteSettings() if settings is None else settings
        self.unit = "sigma" if self.settings.normalise else "px"
        expected = (state.frame_count, window.height, window.width)
        if labels.shape != expected:
            raise InputError("mask: label images", f"shape {labels.shape}", f"{expected}, cut to the window")
        camera = state.scene.camera
        self.sigma = single(self.settings.sigma_px if self.settings.normalise else 1.0, state.device)
        self.tau = single(self.settings.tau_px, state.device)
        half = 0.5 * min(camera.width, camera.height)
        self.softness = single(self.settings.softras_sigma * half**2, state.device)
        layers = {"modal": self._modal, "amodal-ignore": self._amodal, "union": self._union}[self.settings.chosen_mode]
        self.masks = layers(state, labels, window, backdrop)

    def _modal(self, state, labels, window, backdrop) -> list:
        """All bodies on one layer, each on the channel of its place in the scene; only moving ones have a target."""
        scene = state.scene
        places = [scene.bodies.index(body) for body in state.estimated]
        if backdrop is None:
            backdrop = draw_known(state, window, [scene.bodies.index(body) for body in state.known])
        channels = {body.label: TARGET_BACKGROUND for body in state.known}
        channels.update({body.label: place for body, place in zip(state.estimated, places, strict=True)})
        return [self._mask(state, labels, window, places, channels, backdrop)]

    def _amodal(self, state, labels, window, _) -> list:
        """Each moving body alone on its layer, as channel 0."""
        masks = []
        for body in state.estimated:
            places = [0 if other is body else None for other in state.estimated]
            masks.append(self._mask(state, labels, window, places, {body.label: 0}, None))
        return masks

    def _union(self, state, labels, window, _) -> list:
        """All bodies on one layer, all on channel 0."""
        backdrop = draw_known(state, window, [0] * len(state.known))
        channels = {body.label: 0 for body in state.scene.bodies}
        return [self._mask(state, labels, window, [0] * len(state.estimated), channels, backdrop)]

    def _mask(self, state, labels, window, places, channels, backdrop):
        targets = channel_targets(labels, channels, window, state.scene.camera)
        channel_count = max(place for place in places if place is not None) + 1
        scales = channel_scales(targets, channel_count, self.settings.normalise)
        if self.settings.method == "softras":
            return self._softras(state, places, window, targets, scales)
        outlined = [place is not None for place in places]
        canvas = Canvas(state.assembly, places, outlined, window, state.device, backdrop=backdrop)
        if self.settings.method == "contour":
            return ContourMask(canvas, contour_distances(targets), scales[:, 0], self.sigma, self.tau)
        return EdgeMask(canvas, targets, scales, self.sigma)

    def _softras(self, state, places, window, targets, scales) -> SoftrasMask:
        common = {"sigma": self.sigma, "softness": self.softness, "device": state.device}
        mask = SoftrasMask(state.assembly, places, window, targets, scales, **common)
        if self.settings.chosen_mode == "union" and state.known:
            assembly, screen = known_screen(state)
            still = SoftrasMask(assembly, [0] * len(state.known), window, targets, scales, **common)
            mask.backdrop = still.draw(screen)
        return mask

    def freeze(self, state: MotionState) -> None:
        """Nothing is frozen."""

    def evaluate(self, state: MotionState, rows: wp.array, row: int) -> None:
        """Add each frame's mask error to ``rows[row]``; gradients to ``state.screen``."""
        for mask in self.masks:
            mask.evaluate(state.screen, rows, row)
