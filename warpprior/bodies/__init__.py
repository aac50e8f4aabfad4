"""Bodies: what moves.  One articulated, skinned class for objects, robots and hands, and the readers of their files."""

from importlib import import_module as _import_module

from warpprior.bodies.body import Body, JointType, Keypoints, PosePrior, rigid_body
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

# These need Warp, which is imported when one of them is first used.
_late = {
    "BodyModel": "warpprior.bodies.model",
    "BodyState": "warpprior.bodies.model",
    "assign_poses": "warpprior.bodies.posing",
    "link_transforms": "warpprior.bodies.posing",
    "posed_keypoints": "warpprior.bodies.posing",
    "posed_vertices": "warpprior.bodies.posing",
}


def __getattr__(name: str):
    if name not in _late:
        raise AttributeError(f"module 'warpprior.bodies' has no attribute {name!r}")
    value = getattr(_import_module(_late[name]), name)
    globals()[name] = value
    return value
