"""Settings of contact refinement: plain dataclasses, every number with its unit in its name."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from warpprior.support.limits import check_ranges, number, positive, weight
from warpprior.system.stage import Stage
from warpprior.terms import ContactMaps, Penetration, Pose, Term

STAGES = (
    Stage(name="coarse", iterations=10, reach_factor=10.0, penetration_share=0.0, contact_distance_m=0.02),
    Stage(name="middle", iterations=8, reach_factor=3.0, penetration_share=0.3, contact_distance_m=0.01),
    Stage(name="fine", iterations=12, reach_factor=1.0, penetration_share=1.0, contact_distance_m=0.004),
)


@dataclass(frozen=True)
class ContactSettings:
    """How a grasp is moved until it meets a map of contact.

    Attributes:
        restarts: starts of each grasp, the given one and others around it; the one that ends best is kept.
        finalists: so many of them are followed to the end.
        coarse_places: places of a map that decide who those are.
        seed: of the starts.
        spread_m, spread_rad: sigma of each axis of their positions and rotation vectors.
        spread_joints: sigma of their joints, in sigmas of the pose prior; of a tenth of the range where there is none.
        damping: relative Levenberg damping.
        terms: what makes a grasp right.
        stages: coarse to fine; finalists are chosen after the first.
    """

    restarts: int = number(8, 1, 1000)
    finalists: int = number(2, 1, 1000)
    coarse_places: int = number(200, 1, 100_000)
    seed: int = number(0, 0, 2**63 - 1)
    spread_m: float = weight(0.025)
    spread_rad: float = weight(0.35)
    spread_joints: float = weight(0.4)
    damping: float = positive(1e-2)
    terms: tuple[Term, ...] = (ContactMaps(), Penetration(), Pose())
    stages: tuple[Stage, ...] = STAGES

    def __post_init__(self):
        check_ranges(self, prefix="contact.")

    def describe(self) -> dict[str, Any]:
        """The settings as plain data, terms and stages by their names."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("terms", "stages"):
            plain[name] = {part.name: asdict(part) for part in plain[name]}
        return plain
