"""What is likely of the size of an object whose mesh has none of its own, as those of image-to-3D networks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from warpprior.support.errors import InputError
from warpprior.support.limits import describe, within

SIGMA = 0.5  # of the logarithm: factors of 0.6 to 1.6 are within one sigma, 0.5 and 2 within one and a half
RANGE = (0.33, 3.0)
SIGMAS, LEAST_FACTORS, MOST_FACTORS = (1e-4, 5.0), (1e-3, 1.0), (1.0, 1e3)


@dataclass(frozen=True)
class SizePrior:
    """A rigid body's size is estimated: one factor of its whole surface, about the origin of its own frame.

    Attributes:
        sigma: of the natural logarithm of the factor, a Gaussian around the size that was given.
        range: the least and the largest factor.

    Raises:
        InputError: on construction: a sigma or factors that make no sense, or a range without 1 in it.
    """

    sigma: float = SIGMA
    range: tuple[float, float] = RANGE

    def __post_init__(self):
        if not within(self.sigma, *SIGMAS):
            raise InputError("size: sigma", f"is {self.sigma!r}", f"{describe(*SIGMAS)}, of the logarithm of a factor")
        least, most = self.range if len(self.range) == 2 else (None, None)
        if not (within(least, *LEAST_FACTORS) and within(most, *MOST_FACTORS) and least != most):
            accepted = f"two factors: {describe(*LEAST_FACTORS)}, and {describe(*MOST_FACTORS)}"
            raise InputError("size: range", f"is {self.range!r}", accepted)

    @property
    def limits(self) -> tuple[float, float]:
        """The range of the logarithm."""
        return math.log(self.range[0]), math.log(self.range[1])
