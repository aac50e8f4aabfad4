"""Smoothness (Eq. 5): a body's velocity changes little from one frame to the next."""

from __future__ import annotations

from dataclasses import dataclass

from warpprior.kernels import smoothness
from warpprior.terms.prior import MotionPrior, check_positive


@dataclass(frozen=True)
class SmoothnessSettings:
    """Change of the motion per frame that counts as one sigma.

    Attributes:
        sigma_m: of a rigid body's surface, of an articulated body's root and of its slide joints [m per frame^2].
        sigma_rad: of an articulated body's root rotation and of its other joints [rad per frame^2].
        literal: the paper's equation: sums instead of means, without sigmas [m^2, rad^2].
    """

    sigma_m: float = 0.002
    sigma_rad: float = 0.03
    literal: bool = False

    def __post_init__(self):
        check_positive("smoothness", self)


class SmoothnessPrior(MotionPrior):
    """Acceleration of one body, each frame's value at the middle frame.  Arguments: :class:`MotionPrior`."""

    term = "smoothness"
    settings = SmoothnessSettings
    add_rigid = staticmethod(smoothness.add_rigid_acceleration)
    add_root = staticmethod(smoothness.add_root_acceleration)
    add_joints = staticmethod(smoothness.add_joint_acceleration)
