"""Settings of the tracker: plain dataclasses, every number with its unit in its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from warpprior.observations import CHANNELS, LEAST_SIGMA, MOST_SIGMA
from warpprior.support.errors import InputError
from warpprior.support.limits import MOST_WHOLE, RANGE, check_ranges, number, weight

SIGMAS = {
    "keypoints3d": "keypoint3d_m",
    "centers": "center_m",
    "keypoints2d": "keypoint2d_px",
    "boxes": "box_px",
    "labels": "border_px",
    "joints": "joint_rad",
    "depth": "depth_m",
}
"""Settings that stand in for a scene's noise, by name of the channel."""


def sigma(default: float | None) -> Any:
    """A field that is divided by; its square stays well within double precision."""
    return number(default, LEAST_SIGMA, MOST_SIGMA)


Robust = Literal["gate", "huber", "none"]


@dataclass(frozen=True)
class ControlNoise:
    """How the given poses of a hand, the control, differ from the truth.  Standard deviations; see ``correlation_s``.

    Attributes:
        lateral_m: of the root across the line of sight [m].
        depth_m: of the root along it [m].
        rotation_rad: of the root, per axis [rad].
        joint_rad: of each joint coordinate, but at most a sixth of its range [rad or m].
        correlation_s: the errors of two frames this far apart are alike to 1/e [s]; 0: independent.
    """

    lateral_m: float = weight(MISSING)
    depth_m: float = weight(MISSING)
    rotation_rad: float = weight(MISSING)
    joint_rad: float = weight(MISSING)
    correlation_s: float = weight(MISSING)


@dataclass(frozen=True)
class TrackSettings:
    """Tracking with the error-state filter.  Noise is given as standard deviations.

    Speeds and accelerations make the noise of motion: over a frame of dt, a speed adds an error of itself times dt, in
    each frame anew.

    Attributes:
        estimated: control noise of bodies whose poses are estimates, such as a network's.
        measured: of bodies that are known: encoders and a calibrated camera.
        initial_lateral_m, initial_depth_m, initial_rotation_rad: how far off the objects' first poses may be,
            across the line of sight and along it [m], and turned per axis [rad].
        hold_speed_m_s, hold_speed_rad_s: how much faster than its contacts say a held object may move.
        touch_speed_m_s, touch_speed_rad_s: motion of an object that a hand is near to but does not hold.
        rest_speed_m_s, rest_speed_rad_s: motion of an object that rests.
        free_acceleration_m_s2, free_acceleration_rad_s2: of an object that flies.
        flight_speed_m_s: an object that is released flies if it is faster than this, until half as fast.
        gap_speed_m_s, gap_speed_rad_s: how fast a hand moves while its poses are missing, and what it holds.
        contact_distance_m: points of a hand that stay nearer than this to an object come into contact.
        stick_frames: for how many frames they stay so, and
        stick_distance_m: how little they move over it in that time; twice that where they rest themselves, and more
            where it comes along with them.
        release_distance_m: contact ends where the point is farther than this from the surface.
        contact_spacing_m: contacts of one object are at least this far apart.
        contact_points: points per hand that may come into contact, at most.
        anchors: how many contacts are remembered at a time; 0: none, motion is carried from frame to frame.
        sigma_contact_m: how far a contact gives way, in each frame anew.
        sigma_slip_m: how far a contact slips in a second, growing with the square root of time.
        keypoint3d_m, center_m, keypoint2d_px, box_px, joint_rad, depth_m: noise of the sensors, per coordinate;
            ``keypoint2d_px`` over the confidence.  None: what the scene says (:meth:`warpprior.Scene.sigma`), and so
        border_px: how far the borders of masks are off [px], alike over ``border_length_px`` along them, and
        border_bias_px: all along them.
        alike_frames: so many pictures in a row err alike; each mask, box and depth image counts that much less.
        gate: share of true observations that pass; those that are less likely do not.  0: all pass.
        robust: ``gate`` leaves out what does not pass, ``huber`` counts it less, ``none`` takes all as it is.
        contact_patience: rejections in a row after which a contact is given up.
        patience: rejections in a row after which what a sensor sees becomes more uncertain.
        adaptive: learn the noise of each sensor from its innovations.
        adaptive_window: frames to learn from.
        control_noise: a hand's errors live on from frame to frame and, without anchors, reach what it holds.  If not,
            the paper's equations as printed.
        literal: the paper's Eq. 9 as printed, in which contacts turn objects but never shift them.
        seed: of the points that may come into contact.
    """

    estimated: ControlNoise = field(default=ControlNoise(0.004, 0.008, 0.04, 0.12, 0.15))
    measured: ControlNoise = field(default=ControlNoise(0.001, 0.001, 0.003, 0.003, 1.0))
    initial_lateral_m: float = sigma(0.02)
    initial_depth_m: float = sigma(0.04)
    initial_rotation_rad: float = sigma(0.2)
    hold_speed_m_s: float = weight(0.2)
    hold_speed_rad_s: float = weight(1.2)
    touch_speed_m_s: float = weight(0.05)
    touch_speed_rad_s: float = weight(0.25)
    rest_speed_m_s: float = weight(0.01)
    rest_speed_rad_s: float = weight(0.05)
    free_acceleration_m_s2: float = weight(10.0)
    free_acceleration_rad_s2: float = weight(50.0)
    flight_speed_m_s: float = weight(0.3)
    gap_speed_m_s: float = weight(0.5)
    gap_speed_rad_s: float = weight(2.0)
    contact_distance_m: float = weight(0.008)
    stick_frames: int = number(3, 0, 1000)
    stick_distance_m: float = weight(0.005)
    release_distance_m: float = weight(0.02)
    contact_spacing_m: float = weight(0.015)
    contact_points: int = number(384, 1, 8192)
    anchors: int = number(12, 0, 64)
    sigma_contact_m: float = sigma(0.001)
    sigma_slip_m: float = sigma(0.007)
    keypoint3d_m: float | None = sigma(None)
    center_m: float | None = sigma(None)
    keypoint2d_px: float | None = sigma(None)
    box_px: float | None = sigma(None)
    border_px: float | None = sigma(None)
    border_length_px: float = sigma(12.0)
    border_bias_px: float = sigma(1.0)
    alike_frames: float = sigma(4.0)
    joint_rad: float | None = sigma(None)
    depth_m: float | None = sigma(None)
    gate: float = number(0.99, 0.0, 0.999999)
    robust: Robust = "gate"
    contact_patience: int = number(3, 1, 10_000)
    patience: int = number(5, 1, 10_000)
    adaptive: bool = False
    adaptive_window: int = number(30, 2, 100_000)
    control_noise: bool = True
    literal: bool = False
    seed: int = number(0, 0, MOST_WHOLE)

    def __post_init__(self):
        check_ranges(self)
        if self.robust not in get_args(Robust):
            raise InputError("settings: robust", repr(self.robust), f"one of {', '.join(get_args(Robust))}")

    @classmethod
    def paper_literal(cls) -> TrackSettings:
        """The paper's equations as printed: Eq. 9, no noise of the control, no contact remembered, nothing gated."""
        return cls(anchors=0, control_noise=False, literal=True, robust="none")

    def with_noise(self, **estimated: float) -> TrackSettings:
        """The same settings with other control noise of estimated bodies; the fields of :class:`ControlNoise`."""
        return replace(self, estimated=replace(self.estimated, **estimated))

    def with_sigmas(self, noise: Mapping[str, float]) -> TrackSettings:
        """The same settings, in which no noise of a sensor is None.

        Args:
            noise: one sigma by name of the channel, as :attr:`warpprior.Scene.noise`; the table's default otherwise.
        """
        missing = {channel: name for channel, name in SIGMAS.items() if getattr(self, name) is None}
        return replace(self, **{name: float(noise.get(key, CHANNELS[key].sigma)) for key, name in missing.items()})

    def noise_of(self, channel: str) -> float:
        """Standard deviation of a channel of :data:`SIGMAS`, once :meth:`with_sigmas` has filled it in."""
        found = getattr(self, SIGMAS[channel])
        assert found is not None, f"with_sigmas fills in {SIGMAS[channel]}"
        return found

    def as_dict(self) -> dict:
        """The settings as plain data."""
        return asdict(self)


DIVIDED = tuple(own.name for own in fields(TrackSettings) if own.metadata.get(RANGE) == (LEAST_SIGMA, MOST_SIGMA))
"""Settings that are divided by, or matrices of nothing else."""
