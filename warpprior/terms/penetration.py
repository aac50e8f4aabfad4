"""Penetration (Eq. 3): points of one body should not be inside another."""

from __future__ import annotations

from dataclasses import dataclass

from warpprior.kernels import contact
from warpprior.terms.prior import check_positive, single


@dataclass(frozen=True)
class PenetrationSettings:
    """How deep is too deep.

    Attributes:
        sigma_m: depth that counts as one sigma [m].
        allowance_m: depth that costs nothing: soft tissue gives way, and true motions penetrate too [m].
        cap_m: depth at which the cost levels off; deeper, the nearest way out says little [m].
        knee: depth in sigmas beyond which the cost grows linearly.
        literal: the paper's equation, mended in sign only: the sum of the depths [m], no allowance.
    """

    sigma_m: float = 0.001
    allowance_m: float = 0.002
    cap_m: float = 0.02
    knee: float = 5.0
    literal: bool = False

    def __post_init__(self):
        check_positive("penetration", self, zero_allowed=("allowance_m",))


class PenetrationPrior:
    """Contact points of ``body`` inside ``other``, averaged over the surface of ``body``.

    Two of these, with the bodies swapped, make the term two-sided.

    Args:
        body: name of the body whose points are tested.
        other: name of the body they should stay out of.
        field: the ``DistanceField`` or ``LinkFields`` of ``other``; kept alive here.
        settings: sigmas and limits.
        device: a Warp device or its name, that of ``field``.

    Attributes:
        sigma: ``settings.sigma_m`` on the device [1] float32; may be changed between iterations.
    """

    def __init__(self, body: str, other: str, field, settings: PenetrationSettings | None = None, device="cpu"):
        self.settings = PenetrationSettings() if settings is None else settings
        self.name = f"penetration {body} {other}"
        self.unit = "m" if self.settings.literal else "sigma^2"
        self.body, self.other, self.field = body, other, field
        self.sigma = single(self.settings.sigma_m, device)

    def freeze(self, state) -> None:
        """Nothing is frozen: distances are looked up on the tape."""

    def evaluate(self, state, rows, row: int) -> None:
        """Add each frame's penetration to ``rows[row]``; gradients to points of ``body`` and links of ``other``."""
        points, links = state.points[self.body], state.states[self.other].links
        grids, settings = self.field.grids.device_grids, self.settings
        if settings.literal:
            contact.add_penetration_literal(points, links, grids, row=row, rows_out=rows)
            return
        contact.add_penetration(
            points,
            links,
            grids,
            state.point_areas[self.body],
            sigma=self.sigma,
            allowance=settings.allowance_m,
            knee=settings.knee,
            cap=settings.cap_m,
            row=row,
            rows_out=rows,
        )
