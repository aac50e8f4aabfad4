"""How a stage is to be written, where there is a choice."""

from __future__ import annotations

from dataclasses import dataclass, fields

from warpprior.support.errors import InputError
from warpprior.support.stage_choices import COLLIDERS, ROBOTS


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

    Raises:
        InputError: on construction: no such choice.
    """

    colliders: str = "convex_hulls"
    robot: str = "kinematic"

    def __post_init__(self):
        accepted = {"colliders": COLLIDERS, "robot": ROBOTS}
        for field in fields(self):
            value = getattr(self, field.name)
            if value not in accepted[field.name]:
                raise InputError(f"stage: {field.name}", repr(value), f"one of {', '.join(accepted[field.name])}")
