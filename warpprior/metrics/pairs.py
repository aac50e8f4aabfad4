"""What two bodies do to each other: distance, penetration, shared volume, slip, and contacts found again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warpprior.metrics.contact import CONTACT_M, contact_metrics, distances_to
from warpprior.metrics.surfaces import PosedBody, pieces
from warpprior.metrics.volume import PITCH_M, grid_pitch, shared_volumes

_BORDER_SPACINGS = 1.5  # around penetrating points: between those that were looked at, surfaces may go deeper


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Pair:
    """Two bodies in some frames, and how far the points of each are from the other.

    Attributes:
        bodies: the two; where one is rigid, the first is, and of two rigid ones the first is estimated.
        points: points of each in the frame of the *other* (frame, point, 3) [m].
        distances: their signed distances to the other (frame, point) [m], infinite where they do not matter.
    """

    bodies: tuple[PosedBody, PosedBody]
    points: tuple[np.ndarray, np.ndarray]
    distances: tuple[np.ndarray, np.ndarray]

    @property
    def key(self) -> str:
        """The names of the two, in the order of :attr:`bodies`."""
        return f"{self.bodies[0].name}+{self.bodies[1].name}"

    @property
    def touching(self) -> np.ndarray:
        """Points of the second body that touch the first (frame, point)."""
        return self.distances[1] < CONTACT_M

    def seen_by(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The other body's points in the frame of the named one, and their distances to it."""
        side = 1 if self.bodies[0].name == name else 0
        return self.points[side], self.distances[side]


def make_pair(one: PosedBody, other: PosedBody) -> Pair:
    """Measure each body's points against the other."""
    bodies = (one, other) if _comes_first(one, other) else (other, one)
    points, distances = [], []
    for body, target in (bodies, bodies[::-1]):
        points.append(target.to_own(body.points))
        distances.append(distances_to(target, points[-1], body.leaders))
    return Pair(bodies, tuple(points), tuple(distances))


def _comes_first(one: PosedBody, other: PosedBody) -> bool:
    if one.is_rigid != other.is_rigid:
        return one.is_rigid
    return other.item.known or not one.item.known


def pair_metrics(pair: Pair) -> dict[str, np.ndarray]:
    """Metrics per frame (frame,), but for the shared volume.

    ``distance_mm`` and ``penetration_mm`` look from both sides; ``slip_mm`` is that of the second body's points on the
    first, if that is rigid.
    """
    rows = contact_metrics(pair.distances[1], pair.points[1])
    other = contact_metrics(pair.distances[0], pair.points[0])
    rows["distance_mm"] = np.minimum(rows["distance_mm"], other["distance_mm"])
    rows["penetration_mm"] = np.maximum(rows["penetration_mm"], other["penetration_mm"])
    if not pair.bodies[0].is_rigid:
        del rows["slip_mm"]
    return rows


def shared_boxes(pair: Pair) -> np.ndarray:
    """Box around what two bodies share (frame, 2, 3): least and greatest corner, in the first body's frame [m].

    What is shared is bounded by parts of either surface that lie inside the other, so the box around the penetrating
    points of both holds it.  Where no point penetrates, the corners have changed places.
    """
    first, second = pair.bodies
    frame_count = len(pair.distances[0])
    lower, upper = np.full((frame_count, 3), np.inf), np.full((frame_count, 3), -np.inf)
    own = first.to_own(first.points)
    for points, distances in ((own, pair.distances[0]), (pair.points[1], pair.distances[1])):
        inside = (distances < 0.0)[:, :, None]
        lower = np.minimum(lower, np.where(inside, points, np.inf).min(axis=1))
        upper = np.maximum(upper, np.where(inside, points, -np.inf).max(axis=1))
    border = _BORDER_SPACINGS * max(first.spacing, second.spacing)
    return np.stack([lower - border, upper + border], axis=1)


def shared_volume(first: PosedBody, second: PosedBody, boxes: np.ndarray) -> tuple[np.ndarray, float]:
    """Volume that two closed bodies share (frame,) [m^3], and the pitch of the grid on which it was counted [m].

    Args:
        first, second: the bodies.
        boxes: of :func:`shared_boxes`.
    """
    met = np.flatnonzero((boxes[:, 1] > boxes[:, 0]).all(axis=1))
    volume, pitch = np.zeros(len(boxes)), PITCH_M
    if len(met):
        pitch = max(grid_pitch(*boxes[frame]) for frame in met)
    for part in pieces(len(met)) if len(met) else ():
        some = met[part]
        one, other = ((first.to_own_at(some, body.vertices[some]), body.outward_faces) for body in (first, second))
        volume[some] = shared_volumes(one, other, boxes[some, 0], boxes[some, 1], pitch, device=first.device)
    return volume, pitch


def contact_scores(touching: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, float]:
    """F1 of contacts found again, per frame (frame,) and over all frames.

    Args:
        touching, truth: which points of a body touch in the estimate and in truth (frame, point) bool.

    Returns:
        2 * both / (estimated + true), NaN where neither has a contact.
    """
    both = np.count_nonzero(touching & truth, axis=1)
    all_of = np.count_nonzero(touching, axis=1) + np.count_nonzero(truth, axis=1)
    per_frame = np.where(all_of > 0, 2.0 * both / np.maximum(all_of, 1), np.nan)
    return per_frame, float(2.0 * both.sum() / all_of.sum()) if all_of.any() else float("nan")


def zones_touching(posed: PosedBody, touching: np.ndarray) -> np.ndarray | None:
    """Which named zones of a body have a point that touches (frame, zone); None where it has no zones."""
    body = posed.item.body
    if not body.contact_zones:
        return None
    found = []
    for vertices in body.contact_zones.values():
        member = np.zeros(body.vertex_count, dtype=bool)
        member[vertices] = True
        found.append(touching[:, member[posed.corners].all(axis=1)].any(axis=1))
    return np.stack(found, axis=1)
