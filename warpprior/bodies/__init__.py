"""Bodies: what moves.  One articulated, skinned class for objects, robots and hands, and the readers of their files."""

from warpprior.bodies.body import Body, JointType, Keypoints, PosePrior, rigid_body
from warpprior.bodies.model import BodyModel, BodyState
from warpprior.bodies.posing import assign_poses, link_transforms, posed_keypoints, posed_vertices
from warpprior.bodies.readers.animated import animated_body, read_animated
from warpprior.bodies.readers.hand import read_hand
from warpprior.bodies.readers.kinds import BodyKind, BodySource, BodyTarget, register_kind
from warpprior.bodies.readers.mano import read_mano
from warpprior.bodies.readers.mesh import read_mesh
from warpprior.bodies.readers.skin import read_skin
from warpprior.bodies.readers.smpl import read_smpl
from warpprior.bodies.readers.urdf import read_urdf

__all__ = [
    "Body",
    "BodyKind",
    "BodyModel",
    "BodySource",
    "BodyState",
    "BodyTarget",
    "JointType",
    "Keypoints",
    "PosePrior",
    "animated_body",
    "assign_poses",
    "link_transforms",
    "posed_keypoints",
    "posed_vertices",
    "read_animated",
    "read_hand",
    "read_mano",
    "read_mesh",
    "read_skin",
    "read_smpl",
    "read_urdf",
    "register_kind",
    "rigid_body",
]
