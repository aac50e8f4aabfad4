"""Transforms over time as rigid motions: what turns and moves, and the stretch that belongs to the shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_EXACT = 2e-6  # stretches that differ less from one number, or from 1, are that: orientations are in single precision
STEADY = 1e-3  # relative change of a stretch over time, above which a body is not rigid


@dataclass(frozen=True, eq=False)
class Rigid:
    """A motion of what keeps its shape: ``placed = motion @ stretch``.

    Attributes:
        position: (frame, 3) [m].
        rotation: matrices (frame, 3, 3).
        stretch: of the shape, before it is moved (3, 3); symmetric, mirrored where its determinant is negative.
        change: how much the stretch varies over time, relative to itself.
    """

    position: np.ndarray
    rotation: np.ndarray
    stretch: np.ndarray
    change: float

    @property
    def is_rigid(self) -> bool:
        return self.change < STEADY

    def bake(self, points: np.ndarray) -> np.ndarray:
        """Points (vertex, 3) of the shape in metres, as they are carried."""
        return points @ self.stretch.T

    def wind(self, faces: np.ndarray) -> np.ndarray:
        """Faces that still look outwards after :meth:`bake`."""
        return faces[:, ::-1] if np.linalg.det(self.stretch) < 0.0 else faces


def split_rigid(placed: np.ndarray) -> Rigid | None:
    """The rigid motion in transforms (frame, 4, 4); None where the first one flattens what it carries."""
    linear = placed[:, :3, :3]
    left, sizes, right = np.linalg.svd(linear[0])
    if sizes[-1] <= 1e-9 * sizes[0] or sizes[0] == 0.0:
        return None
    stretch = right.T @ np.diag(sizes) @ right
    mean = float(np.cbrt(sizes.prod()))
    if np.abs(stretch - mean * np.eye(3)).max() < _EXACT * mean:
        stretch = (1.0 if abs(mean - 1.0) < _EXACT else mean) * np.eye(3)
    if np.linalg.det(left @ right) < 0.0:
        stretch = -stretch
    unstretched = linear @ np.linalg.inv(stretch)
    rotation = nearest_rotations(unstretched)
    change = float(np.abs(unstretched - rotation).max())
    return Rigid(placed[:, :3, 3].copy(), rotation, stretch, change)


def nearest_rotations(matrices: np.ndarray) -> np.ndarray:
    """The rotations (n, 3, 3) nearest to matrices (n, 3, 3)."""
    left, _, right = np.linalg.svd(matrices)
    mirrored = np.linalg.det(left @ right) < 0.0
    left[mirrored, :, 2] *= -1.0
    return left @ right


def transforms(rotation: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) and positions (..., 3) as (..., 4, 4)."""
    matrices = np.zeros((*position.shape[:-1], 4, 4))
    matrices[..., :3, :3], matrices[..., :3, 3], matrices[..., 3, 3] = rotation, position, 1.0
    return matrices


def inverse(matrices: np.ndarray) -> np.ndarray:
    """Inverses of rigid transforms (..., 4, 4)."""
    turned = np.swapaxes(matrices[..., :3, :3], -1, -2)
    return transforms(turned, -np.einsum("...ij,...j->...i", turned, matrices[..., :3, 3]))


def over(matrices: np.ndarray, count: int) -> np.ndarray:
    """Transforms of one or all frames as those of ``count`` frames."""
    return np.broadcast_to(matrices, (count, *matrices.shape[1:])) if len(matrices) == 1 else matrices
