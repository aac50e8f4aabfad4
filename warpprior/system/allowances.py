"""How much deeper than usual bodies may overlap at no cost: an unknown of each pair, with a prior by kind of body.

A known body is where it is said to be, but its surface may be a shell around what really touches: flesh gives way, and
captured hands overlap what they hold by 5 to 20 mm.  Labels tell how deep, for they see the other body; the prior is
half a normal distribution, for nothing less than usual is ever needed.  Between bodies that are both estimated nothing
is: labels say little about depth there, and they would sink into each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from warpprior.scene import SceneBody

DEEPEST_OVERLAP = 0.025  # [m]
OVERLAP_STEP = 0.005  # the most that one iteration changes [m]
SIGMA_SOFT = 0.014  # of people and surfaces in motion: the median over captured grasps is 10.5 mm, 1 mm of it usual [m]
SIGMA_LINKS = 0.003  # of links, as a robot's, whose meshes are to look at [m]
CLEARLY = 0.002  # less is not worth a sentence [m]


def overlap_name(known: SceneBody, body: SceneBody) -> str:
    """Name of the unknown of a known body and a rigid one that is estimated."""
    return f"{known.name} in {body.name}"


def overlap_priors(body: SceneBody, others: Iterable[SceneBody]) -> dict[str, float]:
    """Sigma of the overlap of an estimated body with each of the others for which it is estimated, by its name [m]."""
    found = {}
    for known in others:
        if known.known and not known.body.is_rigid and body.body.is_rigid:
            links = known.body.coordinate_count > 0 and known.body.shape_count == 0
            found[overlap_name(known, body)] = SIGMA_LINKS if links else SIGMA_SOFT
    return found


def overlap_notes(values: Mapping[str, float], usual_m: float) -> list[str]:
    """What is to be said of overlaps ``values``, by pair, how much deeper than ``usual_m`` contact was allowed [m]."""
    return [
        f"{name}: labels contradict contact; they put the one about {1e3 * (usual_m + value):.1f} mm into the other, "
        "and contact is allowed that much."
        for name, value in values.items()
        if value > CLEARLY
    ]
