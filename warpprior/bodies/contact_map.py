"""Contact maps: where, and how nearly, one body is to touch another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from warpprior.bodies.body import Body
from warpprior.support.arrays import take
from warpprior.support.errors import InputError

TOUCHING_M = 0.001  # what is nearer than this touches: its contact value is 1 [m]
NEIGHBOURS = 16  # places that vouch for each other
SLACK_M = 0.004  # beside how far they are apart: of surfaces that bend, and of distances that are capped [m]


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class ContactMap:
    """How near places of one body are to be to another's surface, or are.

    Attributes:
        body: name of the body whose places these are.
        other: name of the body that they are near to.
        distances: (place,), or (frame, place) of a sequence [m]; up to 1 mm, and inside, is contact; NaN says nothing.
        places: on the body at rest, in its own size (place, 3) [m]; None: its vertices.
        normals: outward normals of the body at its places, in the frame of the other's root, of the same shape with 3
            behind it; NaN says nothing; None: nowhere.

    Whatever :mod:`warpprior.support.arrays` takes is taken.

    Raises:
        InputError: on construction: shapes that do not fit each other, or places that are not finite.
    """

    body: str
    other: str
    distances: np.ndarray
    places: np.ndarray | None = None
    normals: np.ndarray | None = None

    def __post_init__(self):
        where = f"contact map of {self.body} on {self.other}"
        for name in ("distances", "places", "normals"):
            take(self, name, f"{where}: {name}", np.float64)
        if self.body == self.other:
            raise InputError(where, "one body twice", "two bodies")
        if self.distances.ndim not in (1, 2):
            raise InputError(f"{where}: distances", f"shape {self.distances.shape}", "(place,) or (frame, place)")
        if np.isinf(self.distances).any():
            raise InputError(f"{where}: distances", "not finite", "metres, or NaN for what is not known")
        if self.normals is not None and self.normals.shape != (*self.distances.shape, 3):
            accepted = f"shape {(*self.distances.shape, 3)}"
            raise InputError(f"{where}: normals", f"shape {self.normals.shape}", accepted)
        if self.places is not None and self.places.shape != (self.distances.shape[-1], 3):
            accepted = f"shape {(self.distances.shape[-1], 3)}"
            raise InputError(f"{where}: places", f"shape {self.places.shape}", accepted)
        if not self.distances.shape[-1]:
            raise InputError(f"{where}: distances", "of no place", "one place or more")
        if self.places is not None and not np.isfinite(self.places).all():
            raise InputError(f"{where}: places", "not finite", "finite metres")

    @classmethod
    def from_values(
        cls,
        body: str,
        other: str,
        values: np.ndarray,
        *,
        places: np.ndarray | None = None,
        normals: np.ndarray | None = None,
    ) -> ContactMap:
        """A map of contact values in (0, 1]: 1 mm over the distance, 1 for contact (the paper's CO, IV-D).

        Args:
            body, other, places, normals: as of the class.
            values: (place,) or (frame, place); 0 and NaN say nothing, as where ContactPose's maps were not scanned.

        Raises:
            InputError: a value below 0 or above 1.
        """
        values = np.asarray(values, dtype=np.float64)
        if np.any(values < 0.0) or np.any(values > 1.0):
            place = f"contact map of {body} on {other}: values"
            raise InputError(place, f"{np.nanmin(values):g} to {np.nanmax(values):g}", "from 0 to 1")
        told = values > 0.0  # NaN is not
        distances = np.where(told, TOUCHING_M / np.where(told, values, 1.0), np.nan)
        return cls(body, other, distances, places, normals)

    @property
    def values(self) -> np.ndarray:
        """Contact values in (0, 1], NaN where nothing is told; of the shape of the distances."""
        return TOUCHING_M / np.maximum(self.distances, TOUCHING_M)

    def check(self, where: str, bodies: Sequence[Body], frame_count: int) -> None:
        """Refuse a map of bodies that there are not, of other vertices, or of other frames.

        Raises:
            InputError: names the map.
        """
        where = f"{where}: {self.body} on {self.other}"
        owner = _owners(where, (self.body, self.other), bodies)[0]
        count = owner.vertex_count if self.places is None else len(self.places)
        wanted = (frame_count, count)
        if self.distances.shape not in (wanted, wanted[1:]):
            accepted = f"shape {wanted[1:]} or {wanted}, a number for each vertex of {self.body}"
            raise InputError(f"{where}: distances", f"shape {self.distances.shape}", accepted)

    def trust(self, body: Body) -> np.ndarray:
        """How far each distance is believed, in [0, 1], by those around it; of their shape, 0 where nothing is told.

        The distance to a surface changes by no more than one goes.  It is the share of the 16 nearest places at rest
        whose distances differ by no more, squared: one wrong distance among right ones has next to nothing.
        """
        from scipy.spatial import KDTree

        places = body.vertices.astype(np.float64) if self.places is None else self.places
        apart, near = KDTree(places).query(places, k=min(NEIGHBOURS + 1, len(places)))
        apart, near = apart.reshape(len(places), -1)[:, 1:] + SLACK_M, near.reshape(len(places), -1)[:, 1:]
        believed = np.isfinite(self.distances).astype(np.float64)
        for frame in np.ndindex(self.distances.shape[:-1]):
            # All that is inside touches, and how deep it is says nothing of what is beside it.
            found = np.maximum(self.distances[frame], 0.0)
            away = np.abs(found[near] - found[:, None])  # NaN where either says nothing
            count, agrees = np.isfinite(away).sum(axis=1), (away <= apart).sum(axis=1)
            believed[frame] *= np.divide(agrees, count, out=np.ones(len(places)), where=count > 0) ** 2
        return believed

    def in_frames(self, frame_count: int) -> ContactMap:
        """The map with distances and normals of every frame."""
        if self.distances.ndim == 2:
            return self
        normals = None if self.normals is None else np.tile(self.normals, (frame_count, 1, 1))
        return replace(self, distances=np.tile(self.distances, (frame_count, 1)), normals=normals)

    def frames(self, selection) -> ContactMap:
        """The map at selected frames (slice or index array)."""
        if self.distances.ndim == 1:
            return self
        normals = None if self.normals is None else self.normals[selection]
        return replace(self, distances=self.distances[selection], normals=normals)


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class TouchingPoints:
    """Points of two bodies that are to touch, each one of the other.

    Attributes:
        body, other: names of the bodies.
        points: on the first at rest, in its own size (pair, 3) [m].
        other_points: on the other at rest (pair, 3) [m].
        touch: whether they do (pair,), or (frame, pair) of a sequence; None: all do.

    Raises:
        InputError: on construction: shapes that do not fit each other, or points that are not finite.
    """

    body: str
    other: str
    points: np.ndarray
    other_points: np.ndarray
    touch: np.ndarray | None = None

    def __post_init__(self):
        where = f"touching points of {self.body} and {self.other}"
        for name, kind in (("points", np.float64), ("other_points", np.float64), ("touch", bool)):
            take(self, name, f"{where}: {name}", kind)
        if self.body == self.other:
            raise InputError(where, "one body twice", "two bodies")
        for name in ("points", "other_points"):
            points = getattr(self, name)
            if points.ndim != 2 or points.shape != (len(self.points), 3):
                raise InputError(f"{where}: {name}", f"shape {points.shape}", "shape (pair, 3), alike of both bodies")
            if not np.isfinite(points).all():
                raise InputError(f"{where}: {name}", "not finite", "finite metres")
        if self.touch is not None and (self.touch.ndim not in (1, 2) or self.touch.shape[-1] != len(self.points)):
            accepted = f"shape ({len(self.points)},) or (frame, {len(self.points)})"
            raise InputError(f"{where}: touch", f"shape {self.touch.shape}", accepted)

    @classmethod
    def of_vertices(cls, body: Body, other: Body, pairs: np.ndarray) -> TouchingPoints:
        """Pairs of vertex numbers of both bodies (pair, 2) int.

        Raises:
            InputError: a number of no vertex.
        """
        pairs, where = np.asarray(pairs), f"touching points of {body.name} and {other.name}: pairs"
        if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
            raise InputError(where, f"{pairs.dtype} of shape {pairs.shape}", "vertex numbers (pair, 2)")
        for column, owner in enumerate((body, other)):
            chosen = pairs[:, column]
            if len(chosen) and not (chosen.min() >= 0 and chosen.max() < owner.vertex_count):
                accepted = f"vertices of {owner.name}, 0 to {owner.vertex_count - 1}"
                raise InputError(where, f"{chosen.min()} to {chosen.max()}", accepted)
        return cls(body.name, other.name, body.vertices[pairs[:, 0]], other.vertices[pairs[:, 1]])

    def check(self, where: str, bodies: Sequence[Body], frame_count: int) -> None:
        """Refuse points of bodies that there are not, or of other frames.

        Raises:
            InputError: names the bodies.
        """
        where = f"{where}: points of {self.body} and {self.other}"
        _owners(where, (self.body, self.other), bodies)
        if self.touch is not None and self.touch.ndim == 2 and len(self.touch) != frame_count:
            raise InputError(f"{where}: touch", f"{len(self.touch)} frames", f"{frame_count} frames")

    def in_frames(self, frame_count: int) -> np.ndarray:
        """Whether they touch in every frame (frame, pair) bool."""
        touch = np.ones(len(self.points), dtype=bool) if self.touch is None else self.touch
        return np.broadcast_to(touch, (frame_count, len(self.points)))

    def frames(self, selection) -> TouchingPoints:
        """The same at selected frames (slice or index array)."""
        if self.touch is None or self.touch.ndim == 1:
            return self
        return replace(self, touch=self.touch[selection])


def _owners(where: str, names: tuple[str, str], bodies: Sequence[Body]) -> list[Body]:
    """The bodies of these names."""
    found = {body.name: body for body in bodies}
    for name in names:
        if name not in found:
            raise InputError(where, f"there is no body {name!r}", f"two of {', '.join(found)}")
    return [found[name] for name in names]
