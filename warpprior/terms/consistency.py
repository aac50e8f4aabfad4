"""Consistency (Eq. 4): a body moves little from one frame to the next."""

from __future__ import annotations

from dataclasses import dataclass

from warpprior.kernels import smoothness
from warpprior.terms.prior import MotionPrior, check_positive


@dataclass(frozen=True)
class ConsistencySettings:
    """Motion per frame that counts as one sigma.  A velocity penalty shrinks motion: keep these wide.

    Attributes:
        sigma_m: of a rigid body's surface, of an articulated body's root and of its slide joints [m per frame].
        sigma_rad: of an articulated body's root rotation and of its other joints [rad per frame].
        literal: the paper's equation: sums instead of means, without sigmas [m^2, rad^2].
    """

    sigma_m: float = 0.02
    sigma_rad: float = 0.2
    literal: bool = False

    def __post_init__(self):
        check_positive("consistency", self)


class ConsistencyPrior(MotionPrior):
    """Velocity of one body, each frame's value at the later frame.  Arguments: :class:`MotionPrior`."""

    term = "consistency"
    settings = ConsistencySettings
    add_rigid = staticmethod(smoothness.add_rigid_velocity)
    add_root = staticmethod(smoothness.add_root_velocity)
    add_joints = staticmethod(smoothness.add_joint_velocity)
