"""Soft solids that a human form is put together from: each gives about the distance to its surface, negative inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

_STEPS = 257  # samples of a profile along its axis


class Solid(Protocol):
    """What a form is made of."""

    def field(self, points: np.ndarray) -> np.ndarray:
        """About the distance to the surface, negative inside (point,) [m]."""
        ...


def blend_min(a: np.ndarray, b: np.ndarray, reach: float) -> np.ndarray:
    """The smaller of two distances, with a fillet where they differ by less than ``reach``."""
    overlap = np.maximum(reach - np.abs(a - b), 0.0)
    return np.minimum(a, b) - 0.25 * overlap**2 / reach


@dataclass(frozen=True)
class Part:
    """A solid, and how wide the fillet is where it joins what is before it [m]; where negative, it is cut off."""

    reach: float
    solid: Solid


def shifted(point: np.ndarray, x: float, y: float, z: float) -> np.ndarray:
    """A point beside another (3,)."""
    return point + np.array([x, y, z])


def union(parts: list[Part], points: np.ndarray) -> np.ndarray:
    """What parts make, put together one after the other: about the distance to the surface (point,) [m]."""
    value = parts[0].solid.field(points)
    for part in parts[1:]:
        other = part.solid.field(points)
        value = blend_min(value, other, part.reach) if part.reach > 0.0 else -blend_min(-value, other, -part.reach)
    return value


@dataclass(frozen=True)
class Cone:
    """A cone with round ends."""

    start: np.ndarray
    start_radius: float
    end: np.ndarray
    end_radius: float

    def field(self, points: np.ndarray) -> np.ndarray:
        """About the distance to the surface (point,)."""
        axis = np.asarray(self.end) - self.start
        share = np.clip((points - self.start) @ axis / max(axis @ axis, 1e-12), 0.0, 1.0)
        radius = self.start_radius + share * (self.end_radius - self.start_radius)
        return np.linalg.norm(points - self.start - share[:, None] * axis, axis=1) - radius


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid; the rows of ``frame`` are its axes."""

    centre: np.ndarray
    radii: np.ndarray
    frame: np.ndarray = field(default_factory=lambda: np.eye(3))

    def field(self, points: np.ndarray) -> np.ndarray:
        """About the distance to the surface (point,)."""
        local = (points - self.centre) @ np.asarray(self.frame).T / self.radii
        size = np.linalg.norm(local, axis=1)
        slope = np.linalg.norm(local / self.radii, axis=1)
        return np.where(slope > 1e-9, size * (size - 1.0) / np.maximum(slope, 1e-9), -np.min(self.radii))


@dataclass(frozen=True)
class Loft:
    """A straight tube whose cross-section, four quarters of ovals, varies along its axis.

    Attributes:
        start, end: of the axis, at 0 and 1 of the profile (3,).
        side: unit vector across (3,); the front is ``cross(axis, side)``.
        profile: rows of: place along the axis; radii to the side, against it, to the front, against it [m].
        power: 2 is an oval, more is squarer.
        rounding: length of the round ends beyond the profile [m].
    """

    start: np.ndarray
    end: np.ndarray
    side: np.ndarray
    profile: np.ndarray
    power: float = 2.0
    rounding: float = 0.03

    def field(self, points: np.ndarray) -> np.ndarray:
        """About the distance to the surface (point,)."""
        axis = np.asarray(self.end) - self.start
        length = np.linalg.norm(axis)
        axis = axis / length
        local = points - self.start
        along = local @ axis / length
        across, front = local @ self.side, local @ np.cross(axis, self.side)
        low, high = self.profile[0, 0], self.profile[-1, 0]
        radii = self._radii()
        index = np.clip((along - low) / (high - low), 0.0, 1.0) * (_STEPS - 1)
        first = np.minimum(index.astype(int), _STEPS - 2)
        share = (index - first)[:, None]
        at = (1.0 - share) * radii[first] + share * radii[first + 1]
        width = np.where(across > 0.0, at[:, 0], at[:, 1])
        depth = np.where(front > 0.0, at[:, 2], at[:, 3])
        around = (np.abs(across / width) ** self.power + np.abs(front / depth) ** self.power) ** (2.0 / self.power)
        beyond = np.maximum(np.maximum(along - high, low - along), 0.0) * length / self.rounding
        norm = np.sqrt(around + beyond**2)
        return (norm - 1.0) * np.minimum(width, depth)

    def _radii(self) -> np.ndarray:
        """The radii at even steps along the profile (step, 4)."""
        from scipy.interpolate import PchipInterpolator

        places = np.linspace(self.profile[0, 0], self.profile[-1, 0], _STEPS)
        return PchipInterpolator(self.profile[:, 0], self.profile[:, 1:])(places)
