"""Settings of the estimators: plain dataclasses, every number with its unit in its name."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class AlignStage:
    """One stage of the alignment, coarse to fine.

    Attributes:
        iterations: Gauss-Newton iterations.
        reach_px: contour residuals beyond this count less and less [px].
        contact_distance_m: points of other bodies closer than this count as contacts [m].
        contact_softness_m: how gradually they begin to [m].
        sigma_slip_m: how far contacts slip from one frame to the next [m].
        free_normal: share of the motion along the contact normal that is not slip.
        penetration_share: share of the penetration weight that acts.
    """

    iterations: int
    reach_px: float
    contact_distance_m: float
    contact_softness_m: float
    sigma_slip_m: float
    free_normal: float = 0.0
    penetration_share: float = 1.0


@dataclass(frozen=True)
class AlignSettings:
    """Gauss-Newton alignment of rigid bodies.

    Attributes:
        sigma_contour_px: error of label borders [px].
        clearance_m: another body must be this far behind the contour to count as behind it [m].
        slip_weight, penetration_weight, smoothness_weight, consistency_weight: factors of the terms; 0 is off.
        sigma_penetration_m: penetration beyond the allowance that counts one [m].
        allowance_m: penetration that soft contact excuses [m].
        sigma_acceleration_m, sigma_acceleration_rad: change of velocity per frame that counts one.
        sigma_velocity_m, sigma_velocity_rad: motion per frame that counts one.
        damping: relative Levenberg damping.
    """

    sigma_contour_px: float = 1.0
    clearance_m: float = 0.004
    slip_weight: float = 1.0
    penetration_weight: float = 1.0
    sigma_penetration_m: float = 0.002
    allowance_m: float = 0.001
    smoothness_weight: float = 1.0
    sigma_acceleration_m: float = 0.01
    sigma_acceleration_rad: float = 0.1
    consistency_weight: float = 0.0
    sigma_velocity_m: float = 0.05
    sigma_velocity_rad: float = 0.5
    damping: float = 1e-3
    stages: tuple[AlignStage, ...] = field(
        default=(
            AlignStage(12, 20.0, 0.04, 0.01, 0.004, 0.0, 0.1),
            AlignStage(12, 8.0, 0.015, 0.004, 0.002, 0.0, 0.5),
            AlignStage(12, 3.0, 0.004, 0.001, 0.001, 0.5, 1.0),
        )
    )
