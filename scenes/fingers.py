"""Fingers that close until they touch: distances of a hand's phalanges to an object, and the joints that follow."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.geometry.signed_distance import DistanceField
from warpprior.scenes.puppet import JOINTS, Puppet

TOUCH = 0.0015  # points closer than this touch [m]
_STEP_LIMIT = 0.06  # [rad]
_SETTLED = 5.0e-5  # [rad]
_FARTHEST = 0.03  # exact distances are not looked for beyond this; a finger moves by less in one step [m]


def close_fingers(
    puppet: Puppet,
    field: DistanceField,
    positions: np.ndarray,
    rotations: Rotation,
    joints: np.ndarray,
    chosen: np.ndarray,
    *,
    exact: bool,
    steps: int,
    only_open: bool = False,
) -> np.ndarray:
    """Close every finger until it touches: a joint stops when anything it moves does.

    Args:
        puppet: the hand.
        field: distance to the object, in the frame of the positions.
        positions: of the base (configuration, 3) [m].
        rotations: of the base, one per configuration.
        joints: where to start (configuration, coordinate) [rad]; fingers that are too deep open.
        chosen: the hand's points that may touch; phalanges without any hold still.
        exact: ask the surface for distances, not the grid.
        steps: moves towards contact at most.
        only_open: fingers that are too deep open, the others stay.

    Returns:
        Joint angles (configuration, coordinate) [rad].
    """
    digits = puppet.digits
    coordinates = digits.coordinates.ravel()
    lower, upper = (limit.astype(float)[coordinates] for limit in (puppet.body.lower, puppet.body.upper))
    joints = np.array(joints, dtype=float)
    for _ in range(steps):
        nearest = nearest_phalanges(puppet, field, positions, rotations, joints, chosen, exact=exact)
        # What joint k of a finger moves: its phalanges from k on.
        moved = np.minimum.accumulate(nearest[:, :, ::-1], axis=2)[:, :, ::-1].reshape(len(joints), -1)
        wanted = np.clip((moved + digits.squeeze) / digits.lever, -_STEP_LIMIT, _STEP_LIMIT)
        step = np.where(np.isfinite(moved), np.minimum(wanted, 0.0) if only_open else wanted, 0.0)
        before = joints[:, coordinates]
        after = np.clip(before + step * digits.rates.ravel(), lower, upper)
        joints[:, coordinates] = after
        if np.abs(after - before).max() < _SETTLED:
            break
    return joints


def nearest_phalanges(puppet, field, positions, rotations, joints, chosen, *, exact: bool = False) -> np.ndarray:
    """Least signed distance of each phalanx (configuration, finger, JOINTS) [m]; infinite where it has no point."""
    points = puppet.points(positions, rotations, joints, chosen)
    flat = points.reshape(-1, 3)
    distances = field.surface.measure(flat, _FARTHEST)[0] if exact else field.grids.interpolate(0, flat)[0]
    distances = distances.reshape(points.shape[:-1])
    finger, phalanx = puppet.finger[chosen], puppet.phalanx[chosen]
    nearest = np.full((len(distances), len(puppet.digits.names), JOINTS), np.inf)
    for f in range(len(puppet.digits.names)):
        for k in range(JOINTS):
            owned = (finger == f) & (phalanx == k)
            if owned.any():
                nearest[:, f, k] = distances[:, owned].min(axis=1)
    return nearest
