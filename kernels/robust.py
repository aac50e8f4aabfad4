"""Robust losses: residuals that are too large to be true count less."""

import warp as wp


@wp.struct
class Scale:
    """What a residual costs."""

    weight: wp.float32  # of its square
    reach: wp.float32  # residuals beyond this count less and less


@wp.func
def log_one_plus(x: wp.float64) -> wp.float64:
    """log(1 + x) for x >= 0, precise near zero."""
    if x < wp.float64(1.0e-5):
        return x * (wp.float64(1.0) - wp.float64(0.5) * x)
    return wp.log(wp.float64(1.0) + x)


@wp.func
def trust_of(miss: float, reach: float) -> float:
    """How far a residual is believed (Geman-McClure): 1 when small beside ``reach``."""
    ratio = miss / reach
    return 1.0 / (1.0 + ratio * ratio)
