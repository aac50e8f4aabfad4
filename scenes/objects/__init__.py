"""Objects of our own making: closed meshes with vertex colours, in metres, standing along z.

Their sizes are near those published for the objects of the YCB set (Calli et al., Benchmarking in Manipulation
Research, IEEE Robotics & Automation Magazine 22(3), 2015); shapes and prints are ours.  Origins are at mid height, on
the axis where an object has one, else in the middle of the bounding box.
"""

from __future__ import annotations

import numpy as np

from warpprior.scenes.objects import drill as _drill
from warpprior.scenes.objects import mug as _mug
from warpprior.scenes.objects import vessels as _vessels
from warpprior.scenes.objects.banana import banana
from warpprior.scenes.objects.bottle import bottle
from warpprior.scenes.objects.cuboids import CRACKER_SIZE, box, cracker_box
from warpprior.scenes.objects.drill import drill
from warpprior.scenes.objects.mug import mug
from warpprior.scenes.objects.spec import Hold, ObjectSpec
from warpprior.scenes.objects.vessels import bowl, can
from warpprior.support.errors import InputError

__all__ = ["OBJECTS", "Hold", "ObjectSpec", "bottle", "box", "make_object"]

OBJECTS = {
    "cracker_box": cracker_box,
    "bottle": bottle,
    "box": box,
    "mug": mug,
    "can": can,
    "bowl": bowl,
    "drill": drill,
    "banana": banana,
}
"""Name -> function that makes the object's :class:`~warpprior.bodies.body.Body`."""

_SYMMETRIES = {"can": "z", "bowl": "z"}
_ACROSS_X, _ACROSS_Y, _UP = np.eye(3)


def make_object(name: str) -> ObjectSpec:
    """One of :data:`OBJECTS` with its symmetry and where to hold it.

    Raises:
        InputError: no object of that name.
    """
    if name not in OBJECTS:
        raise InputError("object", repr(name), f"one of {', '.join(OBJECTS)}")
    return ObjectSpec(OBJECTS[name](name), _SYMMETRIES.get(name, "none"), _HOLDS[name])


def _hold(name, center, axis, length, width, palm=None) -> Hold:
    palm = None if palm is None else np.asarray(palm, dtype=float)
    axis = np.asarray(axis, dtype=float)
    return Hold(name, np.asarray(center, dtype=float), axis / np.linalg.norm(axis), length, width, palm)


_DRILL_MIDDLE = 0.5 * (_drill.HANDLE_TOP + _drill.HANDLE_BOTTOM) - _drill.MIDDLE
_HOLDS = {
    "cracker_box": tuple(
        _hold(place, (x, 0.0, 0.0), _UP, 0.5 * CRACKER_SIZE[2], CRACKER_SIZE[1], (-np.sign(x), 0.0, 0.0))
        for place, x in (("right side", 0.045), ("left side", -0.045))
    ),
    "bottle": (_hold("body", (0.0, 0.0, -0.015), _UP, 0.07, 0.057),),
    "box": (_hold("body", (0.0, 0.0, 0.0), _UP, 0.08, 0.058),),
    "mug": (
        _hold("body", (0.0, 0.0, 0.0), _UP, 0.03, 2.0 * _mug.RADIUS, (1.0, 0.0, 0.0)),
        _hold("handle", (_mug.RADIUS + _mug.REACH - 0.004, 0.0, 0.0), _UP, 0.02, 0.009, (-1.0, 0.0, 0.0)),
    ),
    "can": (_hold("body", (0.0, 0.0, 0.0), _UP, 0.04, 2.0 * _vessels.CAN_RADIUS),),
    "bowl": tuple(
        _hold("rim", (x, y, 0.4 * _vessels.BOWL_HEIGHT), (-y, x, 0.0), 0.02, 0.004, (0.0, 0.0, -1.0))
        for x, y in 0.078 * np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])
    ),
    "drill": (_hold("handle", _DRILL_MIDDLE, _drill.HANDLE_TOP - _drill.HANDLE_BOTTOM, 0.03, 0.032, (1.0, 0.0, 0.0)),),
    "banana": (_hold("middle", (0.0, -0.015, 0.0), _ACROSS_X, 0.06, 0.036, (0.0, 0.0, -1.0)),),
}
