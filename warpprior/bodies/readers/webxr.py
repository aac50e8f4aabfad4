"""Hands with the joints of the WebXR Hand Input specification (W3C): how they hang together, and how they move.

Joint frames of the specification: -z towards the finger tip, y out of the back of the hand; so -x closes a finger, y
spreads it, and z twists it, on both hands.
"""

from __future__ import annotations

import numpy as np

from warpprior.bodies.body import Keypoints, PosePrior
from warpprior.bodies.hand_parts import FINGERS, KEYPOINT_NAMES
from warpprior.bodies.hand_prior import synergy_prior

_PARTS = ("metacarpal", "phalanx-proximal", "phalanx-intermediate", "phalanx-distal", "tip")


def _chain(finger: str) -> tuple[str, ...]:
    if finger == "thumb":
        return tuple(f"thumb-{part}" for part in _PARTS if part != "phalanx-intermediate")
    return tuple(f"{finger}-finger-{part}" for part in _PARTS)


CHAINS = {finger: _chain(finger) for finger in FINGERS}
JOINT_NAMES = ("wrist", *(name for chain in CHAINS.values() for name in chain))
PARENTS = {child: parent for chain in CHAINS.values() for parent, child in zip(("wrist", *chain), chain, strict=False)}
PADS = {finger: chain[-2] for finger, chain in CHAINS.items()}
PALM = ("wrist", *(chain[0] for chain in CHAINS.values()))  # the ball of the thumb is a part of it

# Wide limits [rad] of the coordinates x, y, z, by kind of joint.  A finger's flexion reaches about 90, 110 and 80
# degrees at its three joints; metacarpals give by some degrees.
_FINGER_BASE = ((-1.9, 0.8), (-0.6, 0.6), (-0.3, 0.3))
_FINGER = ((-2.2, 0.5), (-0.15, 0.15), (-0.15, 0.15))
_METACARPAL = ((-0.3, 0.2), (-0.15, 0.15), (-0.15, 0.15))
_THUMB_BASE = ((-1.2, 1.2), (-1.2, 1.2), (-1.0, 1.0))
_THUMB = ((-1.8, 0.8), (-0.6, 0.6), (-0.4, 0.4))
_METACARPAL_SIGMA = 0.05  # [rad]


def is_webxr(names) -> bool:
    """Do the names hold every joint of a WebXR hand?"""
    return set(JOINT_NAMES) <= set(names)


def webxr_keypoints(names: tuple[str, ...]) -> Keypoints:
    """The 21 keypoints, all of them joints: the metacarpals of the four fingers are left out."""
    wanted = ["wrist", *CHAINS["thumb"]]
    wanted += [name for finger in FINGERS if finger != "thumb" for name in CHAINS[finger][1:]]
    links = np.array([names.index(name) for name in wanted], dtype=np.int32)
    return Keypoints(KEYPOINT_NAMES, links, np.full(len(links), -1, dtype=np.int32))


def webxr_side(placed: dict[str, np.ndarray]) -> str:
    """``left`` or ``right``, from the joints' frames (4, 4) by name."""
    wrist, index, pinky = (placed[name][:3, 3] for name in ("wrist", CHAINS["index"][1], CHAINS["pinky"][1]))
    middle = placed[CHAINS["middle"][1]]
    back = np.cross(middle[:3, 3] - wrist, index - pinky)
    return "right" if back @ middle[:3, 1] > 0.0 else "left"


def webxr_motion(coordinate_names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, PosePrior]:
    """Lower and upper limits (coordinate,) and a prior on the joint coordinates, named ``joint.x``, ``.y``, ``.z``.

    The prior is that of our own hand, whose x turns the other way, and a narrow one for the metacarpals.
    """
    limits = np.array([_limits(name.rpartition(".")[0])["xyz".index(name[-1])] for name in coordinate_names])
    ours = {f"{finger}{part}": chain[part - 4 - 1] for finger, chain in CHAINS.items() for part in (1, 2, 3)}
    prior = synergy_prior(tuple(ours))
    columns = [coordinate_names.index(f"{joint}.{axis}") for joint in ours.values() for axis in "xyz"]
    signs = np.tile([-1.0, 1.0, 1.0], len(ours))
    mean = np.zeros(len(coordinate_names))
    precision = np.eye(len(coordinate_names)) / _METACARPAL_SIGMA**2
    mean[columns] = signs * prior.mean
    precision[columns] = 0.0
    precision[np.ix_(columns, columns)] = prior.precision * np.outer(signs, signs)
    lower, upper = limits.T.astype(np.float32)
    return lower, upper, PosePrior(mean, precision)


def _limits(joint: str) -> tuple[tuple[float, float], ...]:
    thumb = joint.startswith("thumb")
    if joint.endswith("metacarpal"):
        return _THUMB_BASE if thumb else _METACARPAL
    if thumb:
        return _THUMB
    return _FINGER_BASE if joint.endswith("proximal") else _FINGER
