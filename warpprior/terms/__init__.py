"""What makes a motion right: one file per term, each with its settings, its name and its physics.

A term of your own is a dataclass that derives from :class:`Term`; docs/extending.md shows how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from warpprior.terms.boxes import Boxes
from warpprior.terms.camera import CameraMotion
from warpprior.terms.consistency import Consistency
from warpprior.terms.contact_map import ContactMaps
from warpprior.terms.contour import Contour
from warpprior.terms.coverage import Coverage
from warpprior.terms.depth import Depth
from warpprior.terms.far import Far
from warpprior.terms.given import Given
from warpprior.terms.image import Image
from warpprior.terms.keypoints import Keypoints
from warpprior.terms.literal import (
    LiteralConsistency,
    LiteralImage,
    LiteralPenetration,
    LiteralSliding,
    LiteralSmoothness,
)
from warpprior.terms.loss import Loss
from warpprior.terms.penetration import Penetration
from warpprior.terms.pose import Pose
from warpprior.terms.rest import Rest
from warpprior.terms.sliding import Sliding
from warpprior.terms.smoothness import Smoothness
from warpprior.terms.softras import Softras
from warpprior.terms.term import ADAM, GAUSS_NEWTON, SOLVERS, BoundTerm, Term
from warpprior.terms.touch import Touch

if TYPE_CHECKING:
    from warpprior.scene import Scene

__all__ = [
    "ADAM",
    "GAUSS_NEWTON",
    "SOLVERS",
    "BoundTerm",
    "Boxes",
    "CameraMotion",
    "Consistency",
    "ContactMaps",
    "Contour",
    "Coverage",
    "Depth",
    "Far",
    "Given",
    "Image",
    "Keypoints",
    "Loss",
    "Penetration",
    "Pose",
    "Rest",
    "Sliding",
    "Smoothness",
    "Softras",
    "Term",
    "Touch",
    "default",
    "literal_terms",
]

TERMS: tuple[type[Term], ...] = (
    Contour,
    Coverage,
    Softras,
    Far,
    Image,
    Sliding,
    Penetration,
    Smoothness,
    Consistency,
    Rest,
    Pose,
    Keypoints,
    Boxes,
    Depth,
    Given,
    CameraMotion,
    Touch,
    ContactMaps,
)
"""Every term there is, in the order in which they are added up and listed."""


def default(scene: Scene | None = None) -> tuple[Term, ...]:
    """The terms of :func:`warpprior.refine`, with their default settings; each says which solvers use it.

    Args:
        scene: leave out terms that find nothing in it.
    """
    terms = tuple(term() for term in TERMS)
    return terms if scene is None else tuple(term for term in terms if not term.lacks(scene))


def literal_terms() -> tuple[Term, ...]:
    """The paper's energy.  It gives no weights; these make the terms of one size at a pose 1 cm off."""
    return (
        LiteralImage(weight=0.0),
        Softras(weight=1e-3, normalise=False, solvers=(ADAM,)),
        LiteralSliding(weight=50.0),
        LiteralPenetration(weight=40.0),
        LiteralConsistency(),
        LiteralSmoothness(),
    )
