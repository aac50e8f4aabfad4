"""Settings of the colour term of the alignment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warpprior.bodies.body import Body
from warpprior.support.errors import InputError
from warpprior.terms.prior import check_positive


@dataclass(frozen=True)
class ImageFitSettings:
    """How alike colours should be, and where they are compared.

    Attributes:
        sigma_grey: difference in hue that counts as one sigma [grey levels of 0 to 1], where frames do not differ more
            from the model all over; beyond two sigmas differences count less and less.
        sigma_shade: share of its brightness by which shadows and highlights change a colour; added to the above along
            the direction in which a colour only gets brighter.
        sample_count: places on the surface.
        margin_px: pixels this near to the border of the body's label are not compared [px].
        least_cosine: faces seen more obliquely than this are not compared.
    """

    sigma_grey: float = 0.02
    sigma_shade: float = 0.3
    sample_count: int = 1024
    margin_px: int = 2
    least_cosine: float = 0.3

    def __post_init__(self):
        check_positive("image fit", self, zero_allowed=("sigma_shade", "margin_px", "least_cosine"))
        for name in ("sample_count", "margin_px"):
            value = getattr(self, name)
            if value != int(value):
                raise InputError(f"image fit: {name}", f"{value!r}", "a whole number")
        if self.least_cosine >= 1.0:
            raise InputError("image fit: least_cosine", f"{self.least_cosine!r}", "less than 1")


def surface_area(body: Body) -> float:
    """Of a body at rest [m^2]."""
    corners = body.vertices[body.faces].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return 0.5 * float(np.linalg.norm(normals, axis=1).sum())
