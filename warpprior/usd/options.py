"""How a stage is to be written, where there is a choice."""

from __future__ import annotations

from dataclasses import dataclass, fields

from warpprior.support.errors import InputError
from warpprior.support.stage_choices import COLLIDERS, HAND_RIGS, ROBOTS


@dataclass(frozen=True)
class StageOptions:
    """How a stage is to be written.

    Attributes:
        colliders: ``convex_hulls``, found by us and bounded in number (:mod:`warpprior.geometry.hulls`);
            ``convex_hull``, one for each rigid part; or the mesh itself, for the engine to decompose
            (``convexDecomposition``) or to take as a signed distance field (``sdf``).  Bones of hands have one hull
            each.
        robot: ``kinematic``, links that follow the motion; or ``articulation``, links held together by joints with
            limits and drives, whose positions are the motion.
        hand_rig: ``points``, a surface at every frame of what bends; or ``skel``, the same and a UsdSkel character, to
            be chosen by the variant set ``handRepresentation`` (:mod:`warpprior.usd.skeleton`).

    Raises:
        InputError: on construction: no such choice.
    """

    colliders: str = "convex_hulls"
    robot: str = "kinematic"
    hand_rig: str = "points"

    def __post_init__(self):
        accepted = {"colliders": COLLIDERS, "robot": ROBOTS, "hand_rig": HAND_RIGS}
        for field in fields(self):
            value = getattr(self, field.name)
            if value not in accepted[field.name]:
                raise InputError(f"stage: {field.name}", repr(value), f"one of {', '.join(accepted[field.name])}")
