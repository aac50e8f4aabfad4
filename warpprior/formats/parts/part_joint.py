"""How two parts of one object hang together, told by how they move against each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from warpprior.scene import Poses

if TYPE_CHECKING:
    from scipy.spatial.transform import Rotation

LEAST_TURN = np.radians(5.0)  # of a hinge whose axis can be told
_OFF_AXIS, _OFF_PLACE = np.radians(1.0), 0.003  # of parts on a hinge, root mean square [rad], [m]
_STILL, _STILL_M = np.radians(0.5), 0.001  # of parts that do not move against each other
_AGREES = np.radians(1.0)  # of stated angles and those of the parts


@dataclass(frozen=True, eq=False)
class Hinge:
    """A joint of one angle, in the frame of the first part.

    Attributes:
        axis: unit vector (3,).
        pivot: a place on the axis (3,) [m].
        angles: (frame,) [rad].
        rotation, position: of the second part at an angle of zero, xyzw (4,) and (3,) [m].
        stated: angles are those that the file states.
        off_rad, off_m: root mean square of what the parts' poses are off a hinge.
    """

    axis: np.ndarray
    pivot: np.ndarray
    angles: np.ndarray
    rotation: np.ndarray
    position: np.ndarray
    stated: bool
    off_rad: float
    off_m: float


def relative(first: Poses, second: Poses) -> tuple[np.ndarray, Rotation]:
    """Places (frame, 3) and rotations of the second part in the frame of the first."""
    from scipy.spatial.transform import Rotation

    back = Rotation.from_quat(first.rotation).inv()
    return back.apply(second.position - first.position), back * Rotation.from_quat(second.rotation)


def are_still(first: Poses, second: Poses) -> bool:
    """Do two parts not move against each other?"""
    places, turns = relative(first, second)
    moved = float(np.linalg.norm(places - places.mean(axis=0), axis=1).max())
    return moved < _STILL_M and float((turns * turns.mean().inv()).magnitude().max()) < _STILL


def fit_hinge(first: Poses, second: Poses, stated: np.ndarray | None) -> Hinge | None:
    """The hinge that two parts turn about; None where they do not, or hardly, or move otherwise.

    Args:
        first, second: poses of the parts in one frame.
        stated: angles (frame,) [rad] of the file, which are taken where they are those of the parts but for their sign
            and zero; None, or all the same, where there are none.
    """
    from scipy.spatial.transform import Rotation

    places, turns = relative(first, second)
    vectors = (turns * turns.mean().inv()).as_rotvec()
    axis = np.linalg.svd(vectors, full_matrices=False)[2][0]
    angles = vectors @ axis
    if np.ptp(angles) < LEAST_TURN:
        return None
    taken = _as_stated(angles, stated)
    if taken is not None:
        angles, sign = taken
        axis = sign * axis
    swings = Rotation.from_rotvec(angles[:, None] * axis)
    start = (swings.inv() * turns).mean()
    off = float(np.sqrt(np.mean((swings * start * turns.inv()).magnitude() ** 2)))
    # A place on the axis stands still in both parts: pivot = turn * own + place.
    count = len(places)
    rows = np.concatenate([np.tile(np.eye(3), (count, 1, 1)), -turns.as_matrix()], axis=2).reshape(3 * count, 6)
    found = np.linalg.lstsq(rows, places.ravel(), rcond=1e-9)[0]
    off_place = float(np.sqrt(np.mean(np.sum((rows @ found - places.ravel()).reshape(count, 3) ** 2, axis=1))))
    if off > _OFF_AXIS or off_place > _OFF_PLACE:
        return None
    pivot = found[:3]
    return Hinge(
        axis=axis,
        pivot=pivot,
        angles=angles,
        rotation=start.as_quat(),
        position=pivot - start.apply(found[3:]),
        stated=taken is not None,
        off_rad=off,
        off_m=off_place,
    )


def _as_stated(angles: np.ndarray, stated: np.ndarray | None) -> tuple[np.ndarray, float] | None:
    """Stated angles and the sign of the axis that they are about; None where they are not those of the parts."""
    if stated is None or np.ptp(stated) < _AGREES:
        return None
    sign = 1.0 if np.dot(angles - angles.mean(), stated - stated.mean()) >= 0.0 else -1.0
    off = sign * angles - stated
    return (stated, sign) if np.abs(off - off.mean()).max() < _AGREES else None
