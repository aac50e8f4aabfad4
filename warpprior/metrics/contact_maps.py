"""How well a motion meets maps of contact."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from warpprior.bodies.contact_map import ContactMap
from warpprior.geometry import signed_distance, surface_points
from warpprior.metrics.contact import CONTACT_M
from warpprior.scene import Scene
from warpprior.system.surface_places import places_near

NEAR_M = 0.02  # places that are to be nearer than this are compared by distance [m]
REACH_M = 0.1

Rows = dict[str, np.ndarray]


def map_rows(
    scene: Scene, surfaces: Mapping[str, np.ndarray], scales: Mapping[str, float], device: str
) -> dict[str, Rows]:
    """Per frame (frame,), by ``BODY on OTHER`` of each map of the scene, NaN where it tells nothing.

    Of several maps of the same two bodies, the second is ``BODY on OTHER (2)``.

    ``map_f1``: places within 2 mm or inside, against those of the map: 2 both / (found + wanted), 1 where there are
    none; ``map_mm``: how far distances are from those of the map, mean over places that are to be within 2 cm.

    Args:
        scene: with maps; points that are to touch are not among what is compared here.
        surfaces: posed vertices of every body (frame, vertex, 3) [m], camera frame.
        scales: size factor of every body.
        device: Warp device.
    """
    found: dict[str, Rows] = {}
    for wanted in scene.contact_maps:
        if isinstance(wanted, ContactMap):
            points = _points(scene, wanted, surfaces[wanted.body])
            given = {"reach_m": REACH_M, "scale": scales[wanted.other], "device": device}
            answers = signed_distance(scene.body(wanted.other).body, points, surfaces[wanted.other], **given)
            rows = _compared(answers.distance.numpy(), wanted.in_frames(scene.frame_count).distances)
            key = f"{wanted.body} on {wanted.other}"
            again = sum(name == key or name.startswith(f"{key} (") for name in found)
            found[f"{key} ({again + 1})" if again else key] = rows
    return found


def _points(scene: Scene, wanted: ContactMap, surface: np.ndarray) -> np.ndarray:
    """Where the places of a map are (frame, place, 3)."""
    if wanted.places is None:
        return surface
    body = scene.body(wanted.body).body
    places, _ = places_near(body, wanted.places)
    return np.asarray(surface_points(body, surface, places.faces, places.barycentrics))


def _compared(distances: np.ndarray, wanted: np.ndarray) -> Rows:
    told = np.isfinite(wanted)
    touch, touches = told & (np.nan_to_num(wanted, nan=1.0) < CONTACT_M), told & (distances < CONTACT_M)
    some = touch.sum(axis=1) + touches.sum(axis=1)
    f1 = np.where(some > 0, 2.0 * (touch & touches).sum(axis=1) / np.maximum(some, 1), 1.0)
    near = told & (np.nan_to_num(wanted, nan=1.0) < NEAR_M)
    # Contact is contact, however deep either has it: that is penetration's affair.
    off = np.abs(np.maximum(distances, 0.0) - np.maximum(np.nan_to_num(wanted), 0.0))
    count = near.sum(axis=1)
    mean = np.where(count > 0, 1e3 * np.sum(off, axis=1, where=near) / np.maximum(count, 1), np.nan)
    return {"map_f1": np.where(told.any(axis=1), f1, np.nan), "map_mm": mean}
