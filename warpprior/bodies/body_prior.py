"""What a person's joints can do, and what they like to do: limits and a pose prior that needs no training data.

Coordinates are those of :func:`warpprior.bodies.read_human_body`: a rotation vector per joint in SMPL's axes, x to the
person's left, y up, z to the front, 0 in the rest pose with level arms.  docs/body.md names the sources.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from warpprior.bodies.body import PosePrior

# Least and greatest angle about x, y and z [degrees]: of the left side and of the middle.
_LIMITS = {
    "hip": ((-125.0, 30.0), (-45.0, 45.0), (-35.0, 60.0)),
    "knee": ((-5.0, 150.0), (-15.0, 15.0), (-8.0, 8.0)),
    "ankle": ((-30.0, 50.0), (-25.0, 25.0), (-25.0, 25.0)),
    "foot": ((-60.0, 35.0), (-5.0, 5.0), (-5.0, 5.0)),
    "spine1": ((-20.0, 45.0), (-15.0, 15.0), (-20.0, 20.0)),
    "spine2": ((-15.0, 35.0), (-20.0, 20.0), (-18.0, 18.0)),
    "spine3": ((-15.0, 30.0), (-20.0, 20.0), (-15.0, 15.0)),
    "neck": ((-35.0, 40.0), (-45.0, 45.0), (-25.0, 25.0)),
    "head": ((-35.0, 35.0), (-45.0, 45.0), (-25.0, 25.0)),
    "collar": ((-10.0, 10.0), (-25.0, 25.0), (-12.0, 40.0)),
    "shoulder": ((-90.0, 90.0), (-130.0, 50.0), (-95.0, 100.0)),
    "elbow": ((-90.0, 90.0), (-150.0, 5.0), (-10.0, 10.0)),
    "wrist": ((-40.0, 40.0), (-30.0, 30.0), (-75.0, 75.0)),
    "hand": ((-5.0, 5.0), (-10.0, 10.0), (-80.0, 30.0)),
}
# A relaxed person, and how far people in use are from it: mean and one sigma about x, y and z [degrees].
_RELAXED = {
    "hip": ((-15.0, 0.0, 0.0), (35.0, 12.0, 12.0)),
    "knee": ((20.0, 0.0, 0.0), (40.0, 4.0, 3.0)),
    "ankle": ((0.0, 0.0, 0.0), (15.0, 8.0, 8.0)),
    "foot": ((0.0, 0.0, 0.0), (12.0, 2.0, 2.0)),
    "spine1": ((4.0, 0.0, 0.0), (15.0, 8.0, 8.0)),
    "spine2": ((3.0, 0.0, 0.0), (12.0, 8.0, 7.0)),
    "spine3": ((3.0, 0.0, 0.0), (10.0, 8.0, 6.0)),
    "neck": ((0.0, 0.0, 0.0), (12.0, 15.0, 8.0)),
    "head": ((0.0, 0.0, 0.0), (12.0, 15.0, 8.0)),
    "collar": ((0.0, 0.0, -4.0), (5.0, 10.0, 10.0)),
    "shoulder": ((0.0, -20.0, -55.0), (30.0, 40.0, 35.0)),
    "elbow": ((-10.0, -35.0, 0.0), (35.0, 35.0, 5.0)),
    "wrist": ((0.0, 0.0, 0.0), (15.0, 10.0, 20.0)),
    "hand": ((0.0, 0.0, -8.0), (2.0, 4.0, 20.0)),
}
_SPINE = ("spine1", "spine2", "spine3")
_SPINE_SIGMA = 8.0  # neighbouring joints of the spine bend alike [degrees]
_NECK_SIGMA = 10.0  # the head turns about the neck as far as the neck about the trunk [degrees]
_MIRROR = np.array([1.0, -1.0, -1.0])  # of a rotation vector, where left and right are exchanged


def joint_limits(joint_names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest value of every coordinate [rad], for joints such as ``left_knee``: two arrays (3 * joint,)."""
    rows = []
    for name in joint_names:
        low, high = np.array(_LIMITS[name.removeprefix("left_").removeprefix("right_")]).T
        if name.startswith("right_"):
            low, high = np.where(_MIRROR > 0.0, low, -high), np.where(_MIRROR > 0.0, high, -low)
        rows.append((low, high))
    lower, upper = np.radians(np.array(rows)).swapaxes(0, 1).reshape(2, -1).astype(np.float32)
    return lower, upper


def posture_prior(joint_names: tuple[str, ...]) -> PosePrior:
    """A Gaussian around a relaxed person in which the joints of the spine, and neck and head, bend alike."""
    count = 3 * len(joint_names)
    first = {name: 3 * number for number, name in enumerate(joint_names)}
    mean, precision = np.zeros(count), np.zeros((count, count))
    for name, start in first.items():
        middle, sigma = _RELAXED[name.removeprefix("left_").removeprefix("right_")]
        mean[start : start + 3] = np.radians(middle) * (_MIRROR if name.startswith("right_") else 1.0)
        precision[range(start, start + 3), range(start, start + 3)] = 1.0 / np.radians(sigma) ** 2
    alike = [(a, b, _SPINE_SIGMA) for a, b in pairwise(_SPINE)] + [("neck", "head", _NECK_SIGMA)]
    for a, b, sigma in alike:
        for axis in range(3):
            row = np.zeros(count)
            row[first[a] + axis], row[first[b] + axis] = 1.0, -1.0
            precision += np.outer(row, row) / np.radians(sigma) ** 2
    return PosePrior(mean, precision)
