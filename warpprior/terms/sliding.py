"""Sliding: what is in contact should not slide over the body it touches."""

from __future__ import annotations

from dataclasses import dataclass

import warp as wp

from warpprior.kernels import contact
from warpprior.terms.prior import check_positive, single


@dataclass(frozen=True)
class SlidingSettings:
    """What counts as contact, and how much it may slide.

    Attributes:
        sigma_slip_m: slip between two frames that counts as one sigma [m].
        contact_distance_m: distance at which a point is half in contact [m].
        softness_m: width of the transition; contact begins one of these closer and ends two farther away [m].
        knee: slip in sigmas beyond which the cost grows linearly.
        contact_area_floor: share of the surface; contacts smaller than this together count less.
        literal: the paper's equation: the sum of the unsquared ways [m] of the points nearer than ``literal_m``,
            normal motion included.
        literal_m: its threshold, printed without unit as 0.1: taken for centimetres [m].
    """

    sigma_slip_m: float = 0.001
    contact_distance_m: float = 0.003
    softness_m: float = 0.001
    knee: float = 3.0
    contact_area_floor: float = 0.001
    literal: bool = False
    literal_m: float = 0.001

    def __post_init__(self):
        check_positive("sliding", self)


class SlidingPrior:
    """Slip of the contact points of ``body`` over ``other``, averaged over what is in contact.

    Args:
        body: name of the body that owns the contact points.
        other: name of the body they touch.
        field: the ``DistanceField`` or ``LinkFields`` of ``other``; kept alive here.
        frame_count, point_count: shape of ``state.points[body]``.
        settings: sigmas and thresholds.
        device: a Warp device or its name, that of ``field``.

    Attributes:
        sigma, contact_distance, softness: the settings on the device [1] float32; may be changed between iterations.
        distance: distance of each point to ``other`` when last frozen [frame, point] float32 [m].
        weight: its contact weight, 0 out of contact [frame, point] float32.
        total: contact shared by each frame and the one before, as a share of the surface [frame] float32.
    """

    def __init__(
        self,
        body: str,
        other: str,
        field,
        frame_count: int,
        point_count: int,
        settings: SlidingSettings | None = None,
        device="cpu",
    ):
        self.settings = SlidingSettings() if settings is None else settings
        self.name = f"sliding {body} {other}"
        self.unit = "m" if self.settings.literal else "sigma^2"
        self.body, self.other, self.field = body, other, field
        self.sigma = single(self.settings.sigma_slip_m, device)
        self.contact_distance = single(self.settings.contact_distance_m, device)
        self.softness = single(self.settings.softness_m, device)
        shape = (frame_count, point_count)
        self.distance = wp.zeros(shape, dtype=wp.float32, device=device)
        self.weight = wp.zeros(shape, dtype=wp.float32, device=device)
        self.total = wp.zeros(frame_count, dtype=wp.float32, device=device)
        self._normal = wp.zeros(shape, dtype=wp.vec3, device=device)
        self._grid = wp.zeros(shape, dtype=wp.int32, device=device)
        self._pair_weight = wp.zeros(shape, dtype=wp.float32, device=device)
        self._pair_normal = wp.zeros(shape, dtype=wp.vec3, device=device)

    def freeze(self, state) -> None:
        """Find what is in contact now, with hysteresis from the last time."""
        contact.weigh_contacts(
            state.points[self.body],
            state.states[self.other].links,
            self.field.grids.device_grids,
            contact_distance=self.contact_distance,
            softness=self.softness,
            distance_out=self.distance,
            normal_out=self._normal,
            grid_out=self._grid,
            weight_out=self.weight,
        )
        self.total.zero_()
        contact.pair_contacts(
            self.weight,
            self._normal,
            self._grid,
            state.point_areas[self.body],
            state.segments,
            pair_weight_out=self._pair_weight,
            pair_normal_out=self._pair_normal,
            total_out=self.total,
        )

    def evaluate(self, state, rows, row: int) -> None:
        """Add each frame's slip to ``rows[row]``; gradients to points of ``body`` and links of ``other``."""
        points, links = state.points[self.body], state.states[self.other].links
        if self.settings.literal:
            contact.add_sliding_literal(
                points,
                links,
                links=self.field.grids.links,
                grid=self._grid,
                distance=self.distance,
                segment=state.segments,
                threshold=self.settings.literal_m,
                row=row,
                rows_out=rows,
            )
            return
        contact.add_sliding(
            points,
            links,
            links=self.field.grids.links,
            grid=self._grid,
            pair_weight=self._pair_weight,
            pair_normal=self._pair_normal,
            total=self.total,
            sigma=self.sigma,
            knee=self.settings.knee,
            area_floor=self.settings.contact_area_floor,
            row=row,
            rows_out=rows,
        )
