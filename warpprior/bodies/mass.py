"""What bodies are made of, and what that makes of their shape: mass, centre of mass, inertia."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from warpprior.support.errors import InputError
from warpprior.support.limits import RANGE, describe, number, within

DENSITY = 1000.0  # of bodies of which nothing is said: water's, and nearly that of hands [kg/m^3]
FRICTION = 0.6  # coefficient between bodies of which nothing is said: skin on plastic or glazed clay
_LEAST_KG, _MOST_KG = 1e-6, 1e6
_THINNEST = 1e-3  # of a body of no volume, on each side [m]


@dataclass(frozen=True)
class Matter:
    """What a body is made of; None where nothing is known.

    Attributes:
        mass: of the whole body [kg].
        density: of what its surface encloses [kg/m^3]; with a mass it says nothing.
        friction: coefficient of friction, at rest and sliding alike.
    """

    mass: float | None = number(None, _LEAST_KG, _MOST_KG)
    density: float | None = number(None, 1e-3, 1e5)
    friction: float | None = number(None, 0.0, 100.0)

    def check(self, where: str) -> None:
        """Refuse values out of range.

        Raises:
            InputError: names the value.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not within(value, *field.metadata[RANGE]):
                raise InputError(f"{where}: {field.name}", f"{value}", describe(*field.metadata[RANGE]))

    @property
    def friction_used(self) -> float:
        """The coefficient, or the default."""
        return FRICTION if self.friction is None else self.friction

    def density_of(self, volume: float) -> float:
        """Density [kg/m^3] of a body that fills ``volume`` [m^3]."""
        if self.mass is not None:
            return self.mass / volume
        return DENSITY if self.density is None else self.density


UNKNOWN = Matter()  # a body of which nothing is said


@dataclass(frozen=True, eq=False)
class MassProperties:
    """How a rigid body resists being moved.

    Attributes:
        mass: [kg].
        center: centre of mass in the body's frame (3,) [m].
        moments: principal moments of inertia about it (3,) [kg m^2].
        axes: the principal axes in the body's frame, a unit quaternion xyzw (4,).
    """

    mass: float
    center: np.ndarray
    moments: np.ndarray
    axes: np.ndarray

    def scaled(self, factor: float) -> MassProperties:
        """Of the same body that many times as large, at the same density."""
        if factor == 1.0:
            return self
        return MassProperties(self.mass * factor**3, self.center * factor, self.moments * factor**5, self.axes)


@dataclass(frozen=True, eq=False)
class Solid:
    """Volume [m^3], centre (3,) [m] and second moments about it (3, 3) [m^5] of what a surface encloses."""

    volume: float
    center: np.ndarray
    second: np.ndarray

    def weighed(self, density: float) -> MassProperties:
        """Its mass properties at a density [kg/m^3]."""
        spread = density * self.second
        return along_axes(density * self.volume, self.center, np.trace(spread) * np.eye(3) - spread)


def along_axes(mass: float, center: np.ndarray, inertia: np.ndarray) -> MassProperties:
    """Mass properties of an inertia (3, 3) [kg m^2] about the centre of mass, by its principal axes."""
    from scipy.spatial.transform import Rotation

    moments, axes = np.linalg.eigh(inertia)
    axes[:, 2] *= np.sign(np.linalg.det(axes))
    return MassProperties(mass, center, moments, Rotation.from_matrix(axes).as_quat())


def solid_of(vertices: np.ndarray, faces: np.ndarray, *, closed: bool = True) -> Solid:
    """What a surface encloses, exactly; of one with openings, or inside out, what its convex hull does.

    Args:
        vertices: (vertex, 3) [m].
        faces: (face, 3), counter-clockwise seen from outside.
        closed: the surface has an inside.
    """
    vertices = np.asarray(vertices, dtype=np.float64)
    used = vertices[np.unique(faces)]
    middle = used.mean(axis=0)
    found = _enclosed(vertices[faces] - middle) if closed else None
    if found is None:
        found = _enclosed(_hull_corners(used - middle))
    if found is None:  # flat: a plate
        size = np.maximum(np.ptp(used, axis=0), _THINNEST)
        volume = float(size.prod())
        found = Solid(volume, 0.5 * (used.min(axis=0) + used.max(axis=0)) - middle, volume / 12.0 * np.diag(size**2))
    return Solid(found.volume, found.center + middle, found.second)


def together(solids: list[Solid]) -> Solid:
    """Several solids as one."""
    volume = sum(solid.volume for solid in solids)
    center = sum(solid.volume * solid.center for solid in solids) / volume
    second = sum(
        solid.second + solid.volume * np.outer(solid.center - center, solid.center - center) for solid in solids
    )
    return Solid(volume, np.asarray(center), np.asarray(second))


def _enclosed(corners: np.ndarray) -> Solid | None:
    """Sums over the tetrahedra between faces (face, 3, 3) and the origin; None where they enclose next to nothing."""
    if len(corners) == 0:
        return None
    volumes = np.linalg.det(corners) / 6.0
    volume = float(volumes.sum())
    if volume <= 1e-7 * np.ptp(corners.reshape(-1, 3), axis=0).max() ** 3:
        return None
    sums = corners.sum(axis=1)
    center = np.einsum("f,fi->i", volumes, sums) / (4.0 * volume)
    # The integral of x x' over a tetrahedron with one corner at the origin.
    squares = np.einsum("f,fki,fkj->ij", volumes, corners, corners) + np.einsum("f,fi,fj->ij", volumes, sums, sums)
    second = squares / 20.0 - volume * np.outer(center, center)
    return Solid(volume, center, second) if np.linalg.eigvalsh(second)[0] > 0.0 else None


def _hull_corners(points: np.ndarray) -> np.ndarray:
    """Corners of the faces of the convex hull of points, outward; none of flat points."""
    from scipy.spatial import ConvexHull, QhullError

    if len(points) < 4:
        return np.zeros((0, 3, 3))
    try:
        hull = ConvexHull(points)
    except QhullError:
        return np.zeros((0, 3, 3))
    corners = points[hull.simplices]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inward = np.einsum("fi,fi->f", normals, hull.equations[:, :3]) < 0.0
    corners[inward] = corners[inward][:, ::-1]
    return corners
