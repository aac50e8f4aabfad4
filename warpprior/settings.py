"""Settings of the estimators: plain dataclasses, every number with its unit in its name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar

from warpprior.support.errors import InputError
from warpprior.support.limits import check_ranges
from warpprior.terms.consistency import ConsistencySettings
from warpprior.terms.far import FarSettings
from warpprior.terms.image import ImageSettings
from warpprior.terms.image_settings import ImageFitSettings
from warpprior.terms.penetration import PenetrationSettings
from warpprior.terms.silhouette import SilhouetteSettings
from warpprior.terms.sliding import SlidingSettings
from warpprior.terms.smoothness import SmoothnessSettings

TERMS = (
    "image",
    "mask",
    "far",
    "sliding",
    "penetration",
    "consistency",
    "smoothness",
    "rest",
    "pose",
    "keypoints",
    "boxes",
)
STEPS = ("initialise", "align", "hypotheses", "polish")
ALIGNED_ONLY = {"rest": "rest_weight", "pose": "pose_weight", "keypoints": "keypoint_weight", "boxes": "box_weight"}
ALIGNED_TERMS = ("image", "sliding", "penetration", "consistency", "smoothness")


@dataclass(frozen=True)
class AlignStage:
    """One stage of the alignment, coarse to fine.

    Attributes:
        iterations: Gauss-Newton iterations, at most.
        reach_px: contour residuals beyond this count less and less [px].
        contact_distance_m: points of other bodies closer than this count as contacts [m].
        contact_softness_m: how gradually they begin to [m].
        sigma_slip_m_s: how fast contacts slip [m/s].
        free_normal: share of the motion along the contact normal that is not slip.
        penetration_share: share of the penetration weight that acts.
        hardness: factor of that between bodies that are both estimated; the surface of one that is known, as a robot's,
            may be a shell around what really touches.
        seeding_rounds: before the stage, good frames seed neighbours up to this many frames away.
        half_turns: before the stage, try half turns about the body's axes.
        rests: what nothing touches, and did not seem to move when the stage began, does not move.
        image_blur_px: blur of the pictures whose colours are compared [px]; 0 compares none.
        keypoint_reach: detections farther off than about this many sigmas count less and less.
        for_hands: the stage is for scenes in which an articulated body is estimated; where only rigid ones are, what
            touches them is known, and its measured motion is no firmer than its contacts.
    """

    iterations: int
    reach_px: float
    contact_distance_m: float
    contact_softness_m: float
    sigma_slip_m_s: float
    free_normal: float
    penetration_share: float
    hardness: float
    seeding_rounds: int
    half_turns: bool
    rests: bool
    image_blur_px: float
    keypoint_reach: float
    for_hands: bool = False


@dataclass(frozen=True)
class AlignSettings:
    """Gauss-Newton alignment of rigid bodies.  Weights are factors of the terms; zero is off.

    Attributes:
        sigma_contour_px: error of label borders [px].
        clearance_m: another body must be this far behind the contour to count as behind it [m].
        sigma_penetration_m: penetration beyond the allowance that counts one [m].
        allowance_m: penetration that soft contact excuses [m].
        sigma_acceleration_m_s2, sigma_acceleration_rad_s2: accelerations that count one.
        sigma_velocity_m_s, sigma_velocity_rad_s: velocities that count one.
        sigma_rest_m, sigma_rest_rad: motion between two frames of what rests that counts one.
        rest_speed_m_s: what moves slower across the line of sight may be at rest.
        sigma_limit_rad: how far beyond a joint's limit counts one [rad or m].
        sigma_prior: how unlikely a pose is, in sigmas of the body's pose prior, that counts one.
        sigma_guess_rad: how far joint coordinates stray from the first guess [rad or m].
        sigma_joint_acceleration_rad_s2, sigma_joint_velocity_rad_s: of joint coordinates, that count one.
        sigma_keypoint_px, sigma_box_px: errors of detected keypoints and boxes [px].
        estimate_mask_bias: estimate how much too large or too small all labels are, where no known body tells.
        sigma_mask_bias_px: how much that may be [px].
        estimate_shape: estimate the shape parameters of moving bodies that have some.
        sigma_shape: how far shapes stray from the first guess, in standard deviations of people.
        estimate_focal: estimate the focal length.
        sigma_focal: relative error of the camera's focal length.
        depth_weight: of depth images, where the scene has some.
        sigma_depth_m: error of measured depth [m].
        image: the comparison of colours, of rigid bodies that have some.
        damping: relative Levenberg damping.
        tolerance: a stage ends when four iterations change its cost by less than this share.
        stages: coarse to fine.
    """

    OLD_KEYS: ClassVar[dict[str, str]] = {
        "seek_shape": "estimate_shape",
        "seek_focal": "estimate_focal",
        "seek_mask_bias": "estimate_mask_bias",
    }
    sigma_contour_px: float = 2.0
    clearance_m: float = 0.004
    contour_weight: float = 1.0
    sliding_weight: float = 1.0
    penetration_weight: float = 1.0
    sigma_penetration_m: float = 0.002
    allowance_m: float = 0.001
    smoothness_weight: float = 1.0
    sigma_acceleration_m_s2: float = 1.0
    sigma_acceleration_rad_s2: float = 10.0
    rest_weight: float = 1.0
    sigma_rest_m: float = 0.001
    sigma_rest_rad: float = 0.01
    rest_speed_m_s: float = 0.03
    consistency_weight: float = 0.01
    sigma_velocity_m_s: float = 1.0
    sigma_velocity_rad_s: float = 10.0
    pose_weight: float = 1.0
    sigma_limit_rad: float = 0.05
    sigma_prior: float = 5.0
    sigma_guess_rad: float = 0.4
    sigma_joint_acceleration_rad_s2: float = 30.0
    sigma_joint_velocity_rad_s: float = 10.0
    keypoint_weight: float = 1.0
    sigma_keypoint_px: float = 8.0
    box_weight: float = 1.0
    sigma_box_px: float = 10.0
    estimate_mask_bias: bool = True
    sigma_mask_bias_px: float = 1.5
    estimate_shape: bool = False
    sigma_shape: float = 1.0
    estimate_focal: bool = False
    sigma_focal: float = 0.05
    depth_weight: float = 0.0
    sigma_depth_m: float = 0.005
    image_weight: float = 1.0
    image: ImageFitSettings = field(default_factory=ImageFitSettings)
    damping: float = 1e-3
    tolerance: float = 1e-3
    stages: tuple[AlignStage, ...] = field(
        default=(
            AlignStage(12, 20.0, 0.04, 0.01, 0.05, 0.0, 0.1, 1.0, 0, False, False, 0.0, 20.0),
            AlignStage(12, 8.0, 0.015, 0.004, 0.025, 0.0, 0.5, 1.0, 6, True, False, 4.0, 6.0),
            AlignStage(16, 3.0, 0.004, 0.001, 0.0125, 0.5, 1.0, 1.0, 12, False, True, 2.0, 4.0),
            AlignStage(12, 3.0, 0.003, 0.0007, 0.002, 0.5, 1.0, 20.0, 0, False, True, 2.0, 4.0, True),
        )
    )


@dataclass(frozen=True)
class PolishSettings:
    """Adam on the full energy (Eq. 6 and the physics terms): ``weight * value``, values in units of sigma.

    Attributes:
        iterations: how many; None: 200 where bodies move that Gauss-Newton does not align, else none.
        rate: length of a step at the start, in unit steps; it falls to ``final_rate`` of that.
        tolerance: after half of the iterations it ends when ten change the energy by less than this share.
        step_px, step_log_depth, step_rad, step_joint: unit steps of bearing [px], log depth, rotation [rad], joints.
    """

    iterations: int | None = None
    rate: float = 1.0
    final_rate: float = 0.03
    tolerance: float = 1e-4
    step_px: float = 0.5
    step_log_depth: float = 0.004
    step_rad: float = 0.01
    step_joint: float = 0.01
    image_weight: float = 0.0
    mask_weight: float = 1.0
    far_weight: float = 1.0
    sliding_weight: float = 1.0
    penetration_weight: float = 1.0
    consistency_weight: float = 0.01
    smoothness_weight: float = 0.1
    image: ImageSettings = field(default_factory=ImageSettings)
    mask: SilhouetteSettings = field(default_factory=SilhouetteSettings)
    far: FarSettings = field(default_factory=FarSettings)
    sliding: SlidingSettings = field(default_factory=SlidingSettings)
    penetration: PenetrationSettings = field(default_factory=PenetrationSettings)
    consistency: ConsistencySettings = field(default_factory=ConsistencySettings)
    smoothness: SmoothnessSettings = field(default_factory=SmoothnessSettings)


@dataclass(frozen=True)
class RefineSettings:
    """Offline refinement of a sequence.

    Attributes:
        seed: of everything random.
        iterations: upper bound on the iterations of each part; None leaves it to the parts.
        initialise_passes: passes of the closed-form start; 0 is off.
        calibrate_masks: measure on the known bodies how much too large or too small label images are.
        contact_points: points per body that feel contact.
        guard: undo a part after which the bodies overlap their labels clearly less than before.
        window_margin: space around the labels, as a share of their size.
        align: Gauss-Newton on rigid bodies.
        polish: Adam on everything.
    """

    seed: int = 0
    iterations: int | None = None
    initialise_passes: int = 4
    calibrate_masks: bool = True
    contact_points: int = 512
    guard: bool = True
    window_margin: float = 0.25
    align: AlignSettings = field(default_factory=AlignSettings)
    polish: PolishSettings = field(default_factory=PolishSettings)

    def __post_init__(self):
        check_ranges(self)

    @classmethod
    def paper_literal(cls) -> RefineSettings:
        """The paper's equations as printed, but for the sign of Eq. 3: SoftRas union masks, plain sums, Adam alone.

        The paper gives no weights; these make the terms of one size at a pose 1 cm off.
        """
        return cls(
            initialise_passes=0,
            calibrate_masks=False,
            guard=False,
            align=AlignSettings(stages=()),
            polish=PolishSettings(
                iterations=300,
                mask_weight=1e-3,
                far_weight=0.0,
                sliding_weight=50.0,
                penetration_weight=40.0,
                consistency_weight=1.0,
                smoothness_weight=1.0,
                mask=SilhouetteSettings(method="softras", mode="union", normalise=False),
                sliding=SlidingSettings(literal=True),
                penetration=PenetrationSettings(literal=True),
                consistency=ConsistencySettings(literal=True),
                smoothness=SmoothnessSettings(literal=True),
                image=ImageSettings(literal=True),
            ),
        )

    def leaving_out(self, terms: Iterable[str]) -> RefineSettings:
        """The same settings without some terms or steps.

        Raises:
            InputError: there is no such term.
        """
        settings = self
        for term in terms:
            if term not in TERMS + STEPS:
                near = difflib.get_close_matches(term, TERMS + STEPS, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise InputError("--without", f"no term {term!r}", f"{hint}one of {', '.join(TERMS + STEPS)}")
            settings = settings._without(term)
        return settings

    def _without(self, term: str) -> RefineSettings:
        if term == "initialise":
            return replace(self, initialise_passes=0)
        if term == "align":
            return replace(self, align=replace(self.align, stages=()))
        if term == "polish":
            return replace(self, polish=replace(self.polish, iterations=0))
        if term == "hypotheses":
            stages = tuple(replace(stage, seeding_rounds=0, half_turns=False) for stage in self.align.stages)
            return replace(self, align=replace(self.align, stages=stages))
        if term in ALIGNED_ONLY:
            return replace(self, align=replace(self.align, **{ALIGNED_ONLY[term]: 0.0}))
        weight = {f"{term}_weight": 0.0}
        settings = replace(self, polish=replace(self.polish, **weight))
        if term == "mask":
            return replace(settings, align=replace(self.align, contour_weight=0.0))
        return replace(settings, align=replace(self.align, **weight)) if term in ALIGNED_TERMS else settings

    def as_dict(self) -> dict:
        """The settings as plain data."""
        return asdict(self)
