"""What poses would be in the other conventions that the field knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.scene import Poses

OPENGL, PYTORCH3D = np.array([1.0, -1.0, -1.0]), np.array([-1.0, -1.0, 1.0])
LARGEST_OF_RADIANS = np.radians(np.pi * np.sqrt(3.0))  # of a rotation whose radians were taken for degrees


@dataclass(frozen=True)
class Reading:
    """What poses would be if they were stored in another convention.

    Attributes:
        code: of the finding.
        words: what they look like.
        cure: what to do with them.
        position, rotation: of ours, so read (frame, 3) [m], (frame, 4).
    """

    code: str
    words: str
    cure: str
    position: np.ndarray
    rotation: np.ndarray


def readings(poses: Poses, *, everything: bool = False) -> Iterator[Reading]:
    """All conventions that are tried, of poses in some frames; those that are two at once come last.

    Angles in another unit come after them, where ``everything`` is asked for.
    """
    yield from _directions(poses.position, poses.rotation, "", "")
    order = poses.rotation[:, [1, 2, 3, 0]]
    words, cure = "quaternions in the order w, x, y, z", "reorder the quaternions: rotation[:, [1, 2, 3, 0]]"
    yield Reading("quaternion_order", words, cure, poses.position, order)
    yield from _eulers(poses.position, poses.rotation)
    yield from _directions(poses.position, order, f"{words}, and ", f"{cure}; then ")
    if everything:
        yield from _radians(poses.position, poses.rotation)


def _radians(place: np.ndarray, rotation: np.ndarray) -> Iterator[Reading]:
    """Radians that were taken for degrees, which leaves hardly any rotation."""
    turn = Rotation.from_quat(rotation)
    for axes in ("xyz", "zyx", "XYZ", "ZYX"):
        other = Rotation.from_euler(axes, turn.as_euler(axes, degrees=True))
        words = f"Euler angles about {axes} in radians that were taken for degrees"
        yield Reading("euler_or_degrees", words, f"Rotation.from_euler({axes!r}, angles)", place, other.as_quat())
    other = Rotation.from_rotvec(np.degrees(turn.as_rotvec()))
    words = "rotation vectors in radians that were taken for degrees"
    yield Reading("euler_or_degrees", words, "Rotation.from_rotvec(vectors)", place, other.as_quat())


def _directions(place: np.ndarray, rotation: np.ndarray, words: str, cure: str) -> Iterator[Reading]:
    turn = Rotation.from_quat(rotation)
    inverse = turn.inv()
    back = -inverse.apply(place)

    def reading(code: str, what: str, how: str, position: np.ndarray, turned: Rotation) -> Reading:
        return Reading("quaternion_order" if words else code, words + what, cure + how, position, turned.as_quat())

    transposed = "transpose the rotations: rotation.transpose(0, 2, 1), or negate x, y, z of the quaternions"
    yield reading(
        "rotation_transposed", "rotations transposed (camera axes in the body's frame)", transposed, place, inverse
    )
    invert = "invert the poses: numpy.linalg.inv of the 4 x 4 matrices"
    yield reading("pose_inverse", "inverse poses (camera in the body's frame)", invert, back, inverse)
    for axes, name, signs in ((OPENGL, "OpenGL", "1, -1, -1"), (PYTORCH3D, "PyTorch3D", "-1, -1, 1")):
        flipped, both = (Rotation.from_matrix(axes[:, None] * each.as_matrix()) for each in (turn, inverse))
        flip = f"multiply rotations and positions by diag({signs}) from the left"
        yield reading("opengl_axes", f"poses in {name}'s camera axes", flip, place * axes, flipped)
        yield reading(
            "opengl_axes", f"inverse poses in {name}'s camera axes", f"invert, then {flip}", back * axes, both
        )


def _eulers(place: np.ndarray, rotation: np.ndarray) -> Iterator[Reading]:
    """Euler angles that were put together in the other order, about the same axes or about those of the body."""
    turn = Rotation.from_quat(rotation)
    for made in ("xyz", "zyx"):
        angles = turn.as_euler(made)
        for meant in (made.upper(), made[::-1]):
            values = angles if meant.upper() == made.upper() else angles[:, ::-1]
            if meant == made[::-1].upper():
                continue
            other = Rotation.from_euler(meant, values)
            words = f"Euler angles about {meant} that were put together about {made}"
            yield Reading("euler_or_degrees", words, f"Rotation.from_euler({meant!r}, angles)", place, other.as_quat())


def may_be_radians(poses: Poses) -> bool:
    """Are rotations as small as radians that were taken for degrees make them, in all frames?"""
    turn = Rotation.from_quat(poses.rotation).magnitude()
    return bool(turn.max() < LARGEST_OF_RADIANS and turn.max() > 0.0)
