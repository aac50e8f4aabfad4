"""Bodies: what moves.  One articulated, skinned class for objects, robots and hands; readers of the files they come in."""

from warpprior.bodies.body import Body, JointType, rigid_body
from warpprior.bodies.model import BodyModel, BodyState
from warpprior.bodies.motion import assign_poses, link_transforms, posed_vertices
from warpprior.bodies.sampling import sample_surface

__all__ = [
    "Body",
    "BodyModel",
    "BodyState",
    "JointType",
    "assign_poses",
    "link_transforms",
    "posed_vertices",
    "rigid_body",
    "sample_surface",
]
