"""Layers on which masks are drawn and compared: all bodies on one, each on its own, or all as one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import warp as wp

from warpprior.system.backdrop import draw_known
from warpprior.system.problem import Problem
from warpprior.system.targets import TARGET_BACKGROUND, channel_targets

MODES = ("modal", "amodal-ignore", "union")


@dataclass(frozen=True)
class MaskLayer:
    """One drawing of estimated bodies and what it should show.

    Attributes:
        places: channel of each estimated body, None for those that are left out.
        targets: channel that each pixel should show (frame, height, width) uint8; see :mod:`warpprior.system.targets`.
        backdrop: keys of what does not move [frame, pixel] uint64, or None.
    """

    places: list[int | None]
    targets: np.ndarray
    backdrop: wp.array | None

    @property
    def channel_count(self) -> int:
        return max(place for place in self.places if place is not None) + 1


def mask_layers(problem: Problem, mode: str) -> list[MaskLayer]:
    """The layers of a mode.

    Args:
        problem: of a sequence with labels.
        mode: ``modal``: the visible parts of all bodies, known ones included; ``amodal-ignore``: each estimated body
            alone, other bodies' labels ignored; ``union``: all bodies as one.
    """
    motion, observed = problem.motion, problem.observed
    estimated, camera = motion.estimated, motion.scene.camera
    labels = observed.unbiased_labels
    assert labels is not None, "the sequence has labels"

    def layer(places: list[int | None], channels: dict[int, int], backdrop: wp.array | None) -> MaskLayer:
        targets = channel_targets(labels, channels, observed.window, camera)
        return MaskLayer(places, targets, backdrop)

    if mode == "modal":
        places = [motion.scene.bodies.index(body) for body in estimated]
        channels = {body.label: TARGET_BACKGROUND for body in motion.known}
        channels.update({body.label: place for body, place in zip(estimated, places, strict=True)})
        return [layer([*places], channels, observed.backdrop)]
    if mode == "amodal-ignore":
        return [
            layer([0 if other is body else None for other in estimated], {body.label: 0}, None) for body in estimated
        ]
    channels = {body.label: 0 for body in motion.scene.bodies}
    backdrop = draw_known(motion, observed.window, [0] * len(motion.known))
    return [layer([0] * len(estimated), channels, backdrop)]
