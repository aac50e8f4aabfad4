"""What a human hand's joints can do, and what they like to do: limits and a pose prior that needs no training data.

Coordinates are those of :func:`warpprior.read_hand`: a rotation vector per joint, x flexion, y sideways,
z twist, 0 in the flat rest pose.  docs/hand.md names the sources.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from warpprior.bodies.body import PosePrior

FINGERS = ("index", "middle", "ring", "pinky")

# Least and greatest angle about x, y and z [degrees] of the three joints.
_LIMITS = {
    "finger1": ((-25.0, 90.0), (-15.0, 15.0), (-8.0, 8.0)),
    "finger2": ((-5.0, 110.0), (-3.0, 3.0), (-4.0, 4.0)),
    "finger3": ((-10.0, 85.0), (-3.0, 3.0), (-4.0, 4.0)),
    "pinky1": ((-30.0, 95.0), (-22.0, 22.0), (-10.0, 10.0)),
    "thumb1": ((-25.0, 40.0), (-35.0, 35.0), (-25.0, 30.0)),
    "thumb2": ((-20.0, 60.0), (-10.0, 10.0), (-8.0, 8.0)),
    "thumb3": ((-20.0, 80.0), (-4.0, 4.0), (-4.0, 4.0)),
}
# Angles of a relaxed hand about x [degrees] and how far hands in use are from them (one sigma about x, y, z).
_RELAXED = {
    "index": (25.0, 33.0, 22.0),
    "middle": (30.0, 36.0, 24.0),
    "ring": (32.0, 36.0, 24.0),
    "pinky": (34.0, 33.0, 22.0),
    "thumb": (5.0, 10.0, 15.0),
}
_SPREAD = {
    "finger": ((35.0, 8.0, 4.0), (35.0, 2.0, 2.0), (25.0, 2.0, 2.0)),
    "thumb": ((18.0, 18.0, 12.0), (22.0, 5.0, 4.0), (30.0, 2.0, 2.0)),
}
_TIP_RATIO, _TIP_SIGMA = 2.0 / 3.0, 10.0  # the last joint of a finger bends with the one before
_NEIGHBOUR_SIGMAS = (12.0, 14.0)  # first and second joints of neighbouring fingers bend alike [degrees]


def joint_limits(joint_names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest value of every coordinate [rad], for joints such as ``index2``: two arrays (3 * joint,)."""
    rows = []
    for name in joint_names:
        rows += _LIMITS.get(name, _LIMITS.get(f"finger{name[-1]}", ((0.0, 0.0),) * 3))
    limits = np.radians(np.array(rows))
    return limits[:, 0].astype(np.float32), limits[:, 1].astype(np.float32)


def synergy_prior(joint_names: tuple[str, ...]) -> PosePrior:
    """A Gaussian around the relaxed hand in which a finger's last two joints and neighbouring fingers bend together."""
    coordinates = {f"{name}.{axis}": 3 * j + a for j, name in enumerate(joint_names) for a, axis in enumerate("xyz")}
    mean, precision = np.zeros(len(coordinates)), np.zeros((len(coordinates),) * 2)

    def expect(sigma: float, factors: dict[str, float]) -> None:
        """A sum of coordinates stays near its value at the mean; sigma [degrees]."""
        row = np.zeros(len(coordinates))
        for name, factor in factors.items():
            row[coordinates[name]] = factor
        precision[...] += np.outer(row, row) / np.radians(sigma) ** 2

    for digit, angles in _RELAXED.items():
        sigmas = _SPREAD["thumb" if digit == "thumb" else "finger"]
        for number in (1, 2, 3):
            mean[coordinates[f"{digit}{number}.x"]] = np.radians(angles[number - 1])
            for axis, sigma in zip("xyz", sigmas[number - 1], strict=True):
                expect(sigma, {f"{digit}{number}.{axis}": 1.0})
    for finger in FINGERS:
        expect(_TIP_SIGMA, {f"{finger}3.x": 1.0, f"{finger}2.x": -_TIP_RATIO})
    for a, b in pairwise(FINGERS):
        for number, sigma in zip((1, 2), _NEIGHBOUR_SIGMAS, strict=True):
            expect(sigma, {f"{a}{number}.x": 1.0, f"{b}{number}.x": -1.0})
    return PosePrior(mean, precision)
