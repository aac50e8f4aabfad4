"""Formats: others' files, one module each, read into a :class:`Recording` and written from one."""

from importlib import import_module as _import_module

__all__ = [
    "CameraPath",
    "Format",
    "Origin",
    "Place",
    "Recording",
    "World",
    "all_formats",
    "find_format",
    "guess_format",
    "open_recording",
    "open_scene",
    "read",
    "register_format",
    "write",
]  # fmt: skip

# Where each name lives; its module is imported when it is first used.
_homes = {
    "CameraPath": "warpprior.world",
    "Format": "warpprior.formats.format",
    "Origin": "warpprior.formats.recording",
    "Place": "warpprior.formats.place",
    "Recording": "warpprior.formats.recording",
    "World": "warpprior.world",
    "all_formats": "warpprior.formats.registry",
    "find_format": "warpprior.formats.registry",
    "guess_format": "warpprior.formats.registry",
    "open_recording": "warpprior.formats.opening",
    "open_scene": "warpprior.formats.opening",
    "read": "warpprior.formats.opening",
    "register_format": "warpprior.formats.registry",
    "write": "warpprior.formats.opening",
}


def __getattr__(name: str):
    if name not in _homes:
        raise AttributeError(f"module 'warpprior.formats' has no attribute {name!r}")
    value = getattr(_import_module(_homes[name]), name)
    globals()[name] = value
    return value
