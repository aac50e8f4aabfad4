"""Bodies: what moves.  One articulated, skinned class for objects, robots and hands, and the readers of their files."""

from importlib import import_module as _import_module

from warpprior.bodies.body import Body, JointType, Keypoints, PosePrior, rigid_body
from warpprior.bodies.readers.kinds import BodyKind, BodySource, BodyTarget, register_kind

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
    "read_human_body",
    "read_mano",
    "read_mesh",
    "read_skin",
    "read_smpl",
    "read_urdf",
    "register_kind",
    "rigid_body",
]

# Imported when one of them is first used: some need Warp, a scene needs few of the readers.
_late = {
    "BodyModel": "warpprior.bodies.model",
    "BodyState": "warpprior.bodies.model",
    "assign_poses": "warpprior.bodies.posing",
    "link_transforms": "warpprior.bodies.posing",
    "posed_keypoints": "warpprior.bodies.posing",
    "posed_vertices": "warpprior.bodies.posing",
    "animated_body": "warpprior.bodies.readers.animated",
    "read_animated": "warpprior.bodies.readers.animated",
    "read_hand": "warpprior.bodies.readers.hand",
    "read_human_body": "warpprior.bodies.readers.human_body",
    "read_mano": "warpprior.bodies.readers.mano",
    "read_mesh": "warpprior.bodies.readers.mesh",
    "read_skin": "warpprior.bodies.readers.skin",
    "read_smpl": "warpprior.bodies.readers.smpl",
    "read_urdf": "warpprior.bodies.readers.urdf",
}


def __getattr__(name: str):
    if name not in _late:
        raise AttributeError(f"module 'warpprior.bodies' has no attribute {name!r}")
    value = getattr(_import_module(_late[name]), name)
    globals()[name] = value
    return value
