"""Objects at the scale of a person: closed meshes with vertex colours, in metres, standing along z."""

from __future__ import annotations

from warpprior.bodies.body import Body
from warpprior.scenes.objects.cuboids import box

BOX_SIZE = (0.40, 0.30, 0.30)  # [m]


def moving_box(name: str = "box") -> Body:
    """A box of 40 x 30 x 30 cm, origin at its centre; six plain colours."""
    return box(name, size=BOX_SIZE, spacing=0.025)
