"""Settings of the refinement: plain dataclasses, every number with its unit in its name.  Imports no Warp."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar

import numpy as np

from warpprior.support.errors import InputError
from warpprior.support.limits import check_ranges, number, positive, share, weight
from warpprior.system.stage import Stage
from warpprior.system.unknown_settings import UnknownSettings
from warpprior.terms import TERMS as TERM_CLASSES
from warpprior.terms import Term, default, literal_terms
from warpprior.terms.term import check_terms

TERMS = tuple(term.name for term in TERM_CLASSES)
STEPS = ("start", "gauss_newton", "hypotheses", "adam")

STAGES = (
    Stage(
        name="coarse",
        iterations=12,
        reach_px=20.0,
        reach_factor=5.0,
        contact_distance_m=0.04,
        contact_softness_m=0.01,
        sigma_slip_m_s=0.05,
        free_normal=0.0,
        slides=False,
        penetration_share=0.1,
        rests=False,
        image_blur_px=0.0,
    ),
    Stage(
        name="middle",
        iterations=12,
        reach_px=8.0,
        reach_factor=1.5,
        contact_distance_m=0.015,
        contact_softness_m=0.004,
        sigma_slip_m_s=0.025,
        free_normal=0.0,
        slides=False,
        penetration_share=0.5,
        rests=False,
        image_blur_px=4.0,
        half_turns=True,
        carry_frames=6,
    ),
    Stage(
        name="fine",
        iterations=16,
        reach_px=3.0,
        reach_factor=1.0,
        contact_distance_m=0.004,
        contact_softness_m=0.001,
        sigma_slip_m_s=0.0125,
        free_normal=0.5,
        carry_frames=12,
    ),
    Stage(
        name="firm",
        iterations=12,
        reach_px=3.0,
        reach_factor=1.0,
        contact_distance_m=0.003,
        contact_softness_m=0.0007,
        sigma_slip_m_s=0.002,
        free_normal=0.5,
        hardness=20.0,
        articulated_only=True,
    ),
)


LAST_OF_ADAM = Stage(
    name="adam", contact_distance_m=0.003, contact_softness_m=0.001, sigma_slip_m_s=0.03, free_normal=1.0
)


@dataclass(frozen=True)
class GaussNewtonSettings:
    """Gauss-Newton on all bodies and frames at once.

    Attributes:
        damping: relative Levenberg damping.
        tolerance: a stage ends when four iterations change its cost by less than this share.
        rest_px: it ends, too, when surfaces have no more than this to go, at their depth [px], as their last two steps
            foretell; before other stages 4 times as much.
        stages: coarse to fine; none switches it off.
    """

    damping: float = weight(1e-3)
    tolerance: float = share(1e-3)
    rest_px: float = weight(0.05)
    stages: tuple[Stage, ...] = STAGES


@dataclass(frozen=True)
class AdamSettings:
    """Gradient descent on the energy, recorded on a tape.

    Attributes:
        iterations: how many; None: 200 where Gauss-Newton is off, else none.
        rate: length of a step at the start, in unit steps; it falls to ``final_rate`` of that.
        tolerance: after half of the iterations it ends when ten change the energy by less than this share.
        step_px, step_log_depth, step_rad, step_joint: unit steps of bearing [px], log depth, rotation [rad], joints.
        coarse: contact begins this many times farther away, and slip is this many times freer, at the start.
        stage: what terms take at the end; its iterations do not count.
    """

    iterations: int | None = field(default=None, metadata={"range": (0, 50_000)})
    rate: float = positive(1.0)
    final_rate: float = number(0.03, 1e-9, 1.0)
    tolerance: float = share(1e-4)
    step_px: float = positive(0.5)
    step_log_depth: float = positive(0.004)
    step_rad: float = positive(0.01)
    step_joint: float = positive(0.01)
    coarse: float = number(10.0, 1.0)
    stage: Stage = LAST_OF_ADAM


@dataclass(frozen=True)
class CovarianceSettings:
    """How sure the result is said to be.

    Attributes:
        stated: work it out at all.
        border_length_px: label borders err alike over about this length [px]; how much they err, residuals tell.
        alike_frames: so many frames in a row err alike, in what was observed and in first guesses.
    """

    stated: bool = True
    border_length_px: float = positive(30.0)
    alike_frames: float = number(4.0, 1.0, 10_000.0)


_ONE_TERM = "terms have one setting for both solvers; see {0}.weight and its neighbours"
OLD_KEYS = {
    "initialise_passes": "start_passes",
    "align.sigma_contour_px": "contour.sigma_px",
    "align.contour_weight": "contour.weight",
    "align.clearance_m": "contour.clearance_m",
    "align.sliding_weight": "sliding.weight",
    "align.penetration_weight": "penetration.weight",
    "align.sigma_penetration_m": "penetration.sigma_m",
    "align.allowance_m": "penetration.allowance_m",
    "align.smoothness_weight": "smoothness.weight",
    "align.sigma_acceleration_m_s2": "smoothness.sigma_m_s2",
    "align.sigma_acceleration_rad_s2": "smoothness.sigma_rad_s2",
    "align.sigma_joint_acceleration_rad_s2": "smoothness.sigma_joint_rad_s2",
    "align.consistency_weight": "consistency.weight",
    "align.sigma_velocity_m_s": "consistency.sigma_m_s",
    "align.sigma_velocity_rad_s": "consistency.sigma_rad_s",
    "align.sigma_joint_velocity_rad_s": "consistency.sigma_joint_rad_s",
    "align.rest_weight": "rest.weight",
    "align.sigma_rest_m": "rest.sigma_m",
    "align.sigma_rest_rad": "rest.sigma_rad",
    "align.rest_speed_m_s": "rest.speed_m_s",
    "align.pose_weight": "pose.weight",
    "align.sigma_limit_rad": "pose.sigma_limit_rad",
    "align.sigma_prior": "pose.sigma_prior",
    "align.sigma_guess_rad": "pose.sigma_guess_rad",
    "align.keypoint_weight": "keypoints.weight",
    "align.sigma_keypoint_px": "keypoints.sigma_px",
    "align.box_weight": "boxes.weight",
    "align.sigma_box_px": "boxes.sigma_px",
    "align.depth_weight": "depth.weight",
    "align.sigma_depth_m": "depth.sigma_m",
    "align.image_weight": "image.weight",
    "align.image.": "image.",
    "align.seek_mask_bias": "unknowns.estimate_mask_bias",
    "align.seek_shape": "unknowns.estimate_shape",
    "align.seek_focal": "unknowns.estimate_focal",
    "align.sigma_mask_bias_px": "unknowns.sigma_mask_bias_px",
    "align.sigma_shape": "unknowns.sigma_shape",
    "align.sigma_focal": "unknowns.sigma_focal",
    "align.": "gauss_newton.",
    "polish.mask_weight": "coverage.weight",
    "polish.mask.": "coverage.",
    "polish.far_weight": "far.weight",
    "polish.far.": "far.",
    **{f"polish.{name}_weight": _ONE_TERM.format(name) for name in ("image", "sliding", "penetration")},
    **{f"polish.{name}_weight": _ONE_TERM.format(name) for name in ("consistency", "smoothness")},
    **{f"polish.{name}.": _ONE_TERM.format(name) for name in ("image", "sliding", "penetration")},
    **{f"polish.{name}.": _ONE_TERM.format(name) for name in ("consistency", "smoothness")},
    "polish.": "adam.",
}
"""What settings are called now; see :mod:`warpprior.support.overrides`."""

OLD_NAMES = {
    "mask": ("contour", "coverage", "softras"),
    "initialise": ("start",),
    "align": ("gauss_newton",),
    "polish": ("adam",),
}
"""What terms and steps are called now."""


@dataclass(frozen=True)
class RefineSettings:
    """Offline refinement of a sequence.

    Attributes:
        seed: of everything random.
        iterations: upper bound on the iterations of each part; None leaves it to the parts.
        start_passes: passes of the closed-form start, at most: it ends when it hardly moves; 0 is off.
        calibrate_masks: measure on the known bodies how much too large or too small label images are.
        contact_points: points per body that feel contact.
        leave_out: leave out frames of labels and detections that contradict the rest.
        guard: put a body back where a part led it away from its labels.
        window_margin: space around the labels, as a share of their size.
        stand_in_px: how far off on the screen lighter meshes may be that stand in for those of more than 5,000 faces
            [px]; 0 takes all faces, and so do terms of your own.
        unknowns: what is estimated besides poses.
        terms: what makes a motion right; each by its own name, as in ``contour.sigma_px``.
        gauss_newton: least squares on all frames at once.
        adam: gradient descent on the energy.
        covariance: how sure the result is said to be; of Gauss-Newton.
        without: names of terms and steps that are left out.
    """

    OPEN: ClassVar[tuple[str, ...]] = ("terms",)  # ``--set contour.sigma_px=3`` reaches into it
    OLD_KEYS: ClassVar[dict[str, str]] = OLD_KEYS

    seed: int = number(0, 0, 2**31 - 1)
    iterations: int | None = field(default=None, metadata={"range": (0, 50_000)})
    start_passes: int = number(40, 0, 100)
    calibrate_masks: bool = True
    contact_points: int = number(512, 1, 8192)
    leave_out: bool = True
    guard: bool = True
    window_margin: float = number(0.25, 0.0, 10.0)
    stand_in_px: float = number(0.1, 0.0, 10.0)
    unknowns: UnknownSettings = field(default_factory=UnknownSettings)
    terms: tuple[Term, ...] = field(default_factory=default)
    gauss_newton: GaussNewtonSettings = field(default_factory=GaussNewtonSettings)
    adam: AdamSettings = field(default_factory=AdamSettings)
    covariance: CovarianceSettings = field(default_factory=CovarianceSettings)
    without: tuple[str, ...] = ()

    def __post_init__(self):
        check_ranges(self)
        object.__setattr__(self, "terms", check_terms(self.terms))
        names = [term.name for term in self.terms]
        known = (*dict.fromkeys((*TERMS, *names)), *STEPS)
        for name in self.without:
            if name not in known:
                if name in OLD_NAMES:
                    raise InputError("without", repr(name), f"called {' and '.join(OLD_NAMES[name])} now")
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise InputError("--without", f"no term {name!r}", f"{hint}one of {', '.join(known)}")

    @classmethod
    def paper_literal(cls) -> RefineSettings:
        """The paper's equations as printed, but for the sign of Eq. 3: SoftRas union masks, plain sums, Adam alone."""
        return cls(
            calibrate_masks=False,
            leave_out=False,
            guard=False,
            terms=literal_terms(),
            adam=AdamSettings(iterations=300),
            without=("start", "gauss_newton"),
        )

    def leaving_out(self, names: Iterable[str]) -> RefineSettings:
        """The same settings without some more terms or steps.

        Raises:
            InputError: there is no such term.
        """
        current = []
        for name in names:
            if name in OLD_NAMES:
                warnings.warn(f"--without {name}: it is called {' and '.join(OLD_NAMES[name])} now", stacklevel=2)
            current += OLD_NAMES.get(name, (name,))
        return replace(self, without=(*self.without, *current))

    def used_by(self, solver: str) -> list[Term]:
        """Terms that a solver uses: those that name it, are not left out and have a weight."""
        return [
            term
            for term in self.terms
            if solver in term.solvers and term.name not in self.without and term.weight > 0.0
        ]

    def as_dict(self) -> dict:
        """The settings as plain data; terms and stages by their names."""
        plain = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name != "terms"}
        stages = {stage.name: _plain(stage) for stage in self.gauss_newton.stages}
        plain["gauss_newton"]["stages"] = stages
        return {**plain, **{term.name: _plain(term) for term in self.terms}}


def _plain(value: object) -> Any:
    """A value as JSON has it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
