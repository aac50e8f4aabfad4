"""Which unknowns all frames share, and what is likely of them."""

from __future__ import annotations

from dataclasses import dataclass

from warpprior.support.limits import positive


@dataclass(frozen=True)
class UnknownSettings:
    """Unknowns besides poses; a Gaussian holds each at its first value.

    Attributes:
        estimate_mask_bias: estimate how much too large or too small all labels are, where no known body shows it.
        sigma_mask_bias_px: how much that may be [px].
        estimate_misfit: estimate how far the surfaces of hands and others that bend lie inside their labels, each body
            for itself: what is wrong with one surface is no bias of labels.
        sigma_misfit: how far that may be, as a share of the body's length.
        estimate_shape: estimate the shape parameters of estimated bodies; None: where a term compares measured depth,
            without which a larger body farther away looks the same; bodies of few parameters, and they are kept where
            they are clearly not those of the first guess.
        sigma_shape: how far shapes stray from the first guess, in standard deviations of people.
        estimate_focal: estimate the focal length.
        sigma_focal: relative error of the camera's focal length.
        estimate_camera: estimate poses of a camera that moves, with the noise of :class:`warpprior.world.CameraNoise`
            where the scene has none; None: as the scene has it.
        estimate_allowance: estimate how much deeper than ``penetration.allowance_m`` a known body and a rigid one that
            is estimated overlap at no cost, one value for the whole sequence.
    """

    estimate_mask_bias: bool = True
    sigma_mask_bias_px: float = positive(1.5)
    estimate_misfit: bool = True
    sigma_misfit: float = positive(0.01)
    estimate_shape: bool | None = None
    sigma_shape: float = positive(1.0)
    estimate_focal: bool = False
    sigma_focal: float = positive(0.05)
    estimate_camera: bool | None = None
    estimate_allowance: bool = True
