"""warpprior: physically consistent motion of hands and objects from noisy per-frame estimates.

Data falls one way: files -> :class:`Scene` -> device arrays -> terms -> solver -> :class:`Result` -> files.
Importing this package imports neither pxr, cv2 nor torch, nor Warp before it is needed.
"""

import os as _os
from importlib import import_module as _import_module

# A checkout has kernels/ and scenes/ beside this folder; a wheel has them inside it.
_here = _os.path.dirname(_os.path.realpath(__file__))
_root = _os.path.dirname(_here)
if not _os.path.isdir(f"{_here}/kernels") and _os.path.isfile(f"{_root}/kernels/__init__.py"):
    __path__.append(_root)
del _os, _here, _root

__version__ = "0.1.0"

# Where each public name lives; its module is imported when the name is first used.
_homes = {
    "Body": "warpprior.bodies.body",
    "Camera": "warpprior.scene",
    "ContactMap": "warpprior.bodies.contact_map",
    "ContactSettings": "warpprior.contacts.settings",
    "Finding": "warpprior.finding",
    "HandPose": "warpprior.observations",
    "InputError": "warpprior.support.errors",
    "MissingExtraError": "warpprior.support.errors",
    "Measurement": "warpprior.tracking.sensors",
    "Observation": "warpprior.observations",
    "Poses": "warpprior.scene",
    "Recording": "warpprior.formats.recording",
    "RefineSettings": "warpprior.settings",
    "RefinedClip": "warpprior.batches.record",
    "RefinedFolder": "warpprior.cli.many",
    "Result": "warpprior.result",
    "RunError": "warpprior.support.errors",
    "Scene": "warpprior.scene",
    "SceneBody": "warpprior.scene",
    "Sensor": "warpprior.tracking.sensors",
    "SizePrior": "warpprior.bodies.size_prior",
    "TouchingPoints": "warpprior.bodies.contact_map",
    "TrackSettings": "warpprior.tracking.settings",
    "TrackedBody": "warpprior.tracking.live",
    "Tracker": "warpprior.tracking.tracker",
    "WarppriorError": "warpprior.support.errors",
    "animated_body": "warpprior.bodies",
    "batch": "warpprior.batches.run",
    "check": "warpprior.checks.run",
    "demo": "warpprior.cli.commands.demo",
    "evaluate": "warpprior.metrics",
    "export_usd": "warpprior.usd",
    "find_contacts": "warpprior.contacts",
    "info": "warpprior.support.environment",
    "load_poses": "warpprior.io",
    "load_scene": "warpprior.io",
    "predict_contact": "warpprior.contacts",
    "read": "warpprior.formats.opening",
    "read_animated": "warpprior.bodies",
    "read_hand": "warpprior.bodies",
    "read_mano": "warpprior.bodies",
    "read_mesh": "warpprior.bodies",
    "read_skin": "warpprior.bodies",
    "read_smpl": "warpprior.bodies",
    "read_urdf": "warpprior.bodies",
    "refine": "warpprior.refinement.run",
    "refine_contact": "warpprior.contacts",
    "refine_folders": "warpprior.cli.many",
    "refine_many": "warpprior.refinement.many",
    "rigid_body": "warpprior.bodies",
    "save_poses": "warpprior.io",
    "save_result": "warpprior.io",
    "save_scene": "warpprior.io",
    "simulate": "warpprior.scenes",
    "track": "warpprior.tracking.run",
}

__all__ = [*_homes]  # noqa: PLE0604 - all of them are strings

# Public packages, imported when first used; not in __all__, where ``torch`` would take the place of another.
_rooms = ("formats", "geometry", "render", "terms", "torch")


def __getattr__(name: str):
    if name in _rooms:
        return _import_module(f"warpprior.{name}")
    if name not in _homes:
        raise AttributeError(f"module 'warpprior' has no attribute {name!r}")
    value = getattr(_import_module(_homes[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_homes, *_rooms})
