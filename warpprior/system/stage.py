"""One stage of a solver: how coarsely terms look, for they go from coarse to fine together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from warpprior.support.limits import number, positive, share, weight


@dataclass(frozen=True)
class Stage:
    """What terms take when a stage begins.

    Attributes:
        name: of the stage, in progress and history.
        iterations: at most.
        reach_px: contour residuals beyond this count less and less [px].
        reach_factor: keypoints, boxes and depths farther off than this times the robust reach of their channel
            (:data:`warpprior.observations.CHANNELS`) count less and less.
        contact_distance_m: points of other bodies closer than this count as contacts [m].
        contact_softness_m: how gradually they begin to [m].
        sigma_slip_m_s: how fast contacts slip [m/s].
        free_normal: share of the motion along the contact normal that is not slip.
        slides: contacts may slide; else all slip is an error, and what hardly fits yet holds together.
        penetration_share: share of the penetration weight that acts.
        hardness: factor of that between bodies that are both estimated; the surface of one that is known, as a robot's,
            may be a shell around what really touches.
        rests: what nothing touches, and did not seem to move when the stage began, does not move.
        image_blur_px: blur of the pictures whose colours are compared [px]; 0 compares none.
        half_turns: before the stage, try half turns of rigid bodies about their axes.
        carry_frames: before the stage, good frames hand their pose to neighbours up to this many frames away.
        articulated_only: the stage is for scenes in which an articulated body is estimated; where only rigid ones are,
            what touches them is known, and its measured motion is no firmer than its contacts.
    """

    OLD_KEYS: ClassVar[dict[str, str]] = {
        "keypoint_reach": "set reach_factor, in units of the channel's reach of 4 sigmas",
        "seeding_rounds": "carry_frames",
        "for_hands": "articulated_only",
    }

    name: str = "stage"
    iterations: int = number(12, 0, 50_000)  # a captured graph draws at most warpprior.render.canvas.EPOCH_LIMIT times
    reach_px: float = positive(3.0)
    reach_factor: float = positive(1.0)
    contact_distance_m: float = positive(0.004)
    contact_softness_m: float = positive(0.001)
    sigma_slip_m_s: float = positive(0.0125)
    free_normal: float = share(0.5)
    slides: bool = True
    penetration_share: float = share(1.0)
    hardness: float = weight(1.0)
    rests: bool = True
    image_blur_px: float = weight(2.0)
    half_turns: bool = False
    carry_frames: int = number(0, 0, 10_000)
    articulated_only: bool = False
