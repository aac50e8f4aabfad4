"""Contact: where bodies touch in a motion, and grasps that are to touch as a map has it."""

from importlib import import_module as _import_module

_homes = {
    "PredictedMap": "warpprior.contacts.predict",
    "find_contacts": "warpprior.contacts.touching",
    "predict_contact": "warpprior.contacts.predict",
    "refine_contact": "warpprior.contacts.refine",
}

__all__ = [*_homes]  # noqa: PLE0604 - all of them are strings


def __getattr__(name: str):
    if name not in _homes:
        raise AttributeError(f"module 'warpprior.contacts' has no attribute {name!r}")
    return getattr(_import_module(_homes[name]), name)
