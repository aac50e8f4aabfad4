"""How a human hand is shaped before it grasps: from open to closed, and where thumb and fingers would meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body
from warpprior.scenes.puppet import PALM, Puppet

_STEPS = 13  # shapes between the open and the closed hand
# Angles [rad] of the open and the nearly closed hand: knuckle, middle and last joint of the fingers; of the thumb,
# flexion, abduction and twist of its saddle joint, and flexion of the two others.
_OPEN_FINGER, _CLOSED_FINGER = (0.05, 0.35, 0.20), (1.10, 0.70, 0.45)
_OPEN_THUMB, _CLOSED_THUMB = (-0.25, 0.55, -0.38, 0.05, 0.05), (0.40, 0.48, -0.38, 0.45, 0.15)
_IDLE_FINGER = (0.55, 0.65, 0.40)
_SPREAD = {"index": 0.05, "middle": 0.0, "ring": -0.03, "pinky": -0.08}


@dataclass(frozen=True, eq=False)
class Preshape:
    """A hand about to grasp, base frame.

    Attributes:
        joints: (coordinate,) [rad].
        center: half-way between the pads of thumb and fingers (3,) [m].
        axes: columns: out of the hand towards what it grasps; across; from thumb to fingers (3, 3).
        aperture: distance between the pads [m].
    """

    joints: np.ndarray
    center: np.ndarray
    axes: np.ndarray
    aperture: float


def bend(body: Body, finger, thumb) -> np.ndarray:
    """Joint coordinates (coordinate,) of fingers bent by three angles and a thumb by five [rad], within the limits."""
    at = body.coordinate_names.index
    joints = np.zeros(body.coordinate_count)
    for name, spread in _SPREAD.items():
        for k, angle in enumerate(finger, start=1):
            joints[at(f"{name}{k}.x")] = angle
        joints[at(f"{name}1.y")] = spread
    for name, angle in zip(("thumb1.x", "thumb1.y", "thumb1.z", "thumb2.x", "thumb3.x"), thumb, strict=True):
        joints[at(name)] = angle
    return np.clip(joints, body.lower, body.upper).astype(float)


def idle_joints(body: Body) -> np.ndarray:
    """Joint coordinates of fingers that have nothing to do."""
    return bend(body, _IDLE_FINGER, _OPEN_THUMB)


def preshapes(puppet: Puppet, fingers: int = 2) -> list[Preshape]:
    """Shapes of the closing hand, widest first.

    Args:
        puppet: a hand with the contact zones ``thumb_pad``, ``index_pad``, ``middle_pad``, ....
        fingers: how many fingers oppose the thumb, from the index on.
    """
    body = puppet.body
    share = np.linspace(0.0, 1.0, _STEPS)[:, None]
    ends = [bend(body, *pair) for pair in ((_OPEN_FINGER, _OPEN_THUMB), (_CLOSED_FINGER, _CLOSED_THUMB))]
    joints = ends[0] + share * (ends[1] - ends[0])
    points = puppet.points(np.zeros((_STEPS, 3)), Rotation.identity(_STEPS), joints)
    zone = lambda name: points[:, body.contact_zones[f"{name}_pad"]].mean(axis=1)  # noqa: E731
    thumb = zone("thumb")
    pads = np.mean([zone(name) for name in puppet.digits.names[:fingers]], axis=0)
    palm = points[:, puppet.finger == PALM].mean(axis=1)
    shapes = []
    for index in range(_STEPS):
        gap = pads[index] - thumb[index]
        center = 0.5 * (pads[index] + thumb[index])
        opposition = gap / np.linalg.norm(gap)
        ahead = center - palm[index]
        ahead = ahead - (ahead @ opposition) * opposition
        ahead /= np.linalg.norm(ahead)
        axes = np.stack([ahead, np.cross(opposition, ahead), opposition], axis=1)
        shapes.append(Preshape(joints[index], center, axes, float(np.linalg.norm(gap))))
    return shapes
