"""Poses of a person that meet a wish: feet that stand where they stood, hands that lie against an object."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body, with_vertices
from warpprior.bodies.body_parts import LINK_NAMES
from warpprior.bodies.posing import posed_vertices
from warpprior.scene import Poses

UPRIGHT = Rotation.from_euler("x", 90.0, degrees=True)  # world_from_root: the body's y is up, it faces -y of the world
Distance = Callable[[np.ndarray], np.ndarray]
"""Signed distance of points (..., 3) in the root frame of the person [m], negative inside."""

_ARM = ("left_shoulder", "left_elbow", "left_wrist")
_FREE = tuple(f"{link}.{axis}" for link in _ARM for axis in "xyz")
_EASY = np.radians([-40.0, -65.0, -35.0, -40.0, -60.0, 0.0, 0.0, 0.0, 0.0])  # of them: where the search begins
_PRESSED = 0.001  # how deep the flesh of a palm gives way [m]
_STEP = 1e-3  # of finite differences [rad]
# What a residual of one is worth.
_PLACE, _FLAT, _INSIDE, _GAP, _EASE = 0.002, 0.005, 0.001, 0.0005, 1.0  # [m] four times, [rad]


class Poser:
    """Poses of one person, symmetric about the middle of the body.

    Args:
        person: our human body (:func:`warpprior.bodies.readers.human_body.read_human_body`).
    """

    def __init__(self, person: Body):
        self.person = person
        self._soles = np.concatenate([person.contact_zones[f"{side}_sole"] for side in ("left", "right")])
        strongest = person.skin_links[np.arange(person.vertex_count), person.skin_weights.argmax(axis=1)]
        links = [LINK_NAMES.index(name) for name in ("left_shoulder", "left_elbow", "left_wrist", "left_hand")]
        self._arm = np.flatnonzero(np.isin(strongest, links))
        self._palm = np.searchsorted(self._arm, np.intersect1d(self._arm, person.contact_zones["left_palm"]))
        self._reaching = with_vertices(person, self._arm)
        self._standing = with_vertices(person, self._soles)
        self._free = [person.coordinate_names.index(name) for name in _FREE]

    def joints(self, degrees: dict[str, float]) -> np.ndarray:
        """Coordinates (69,) [rad] of angles of the left side and the middle [degrees]; the right side does the same."""
        names = self.person.coordinate_names
        out = np.zeros(len(names))
        for part, angle in degrees.items():
            for side in ("", "left_"):
                if side + part in names:
                    out[names.index(side + part)] = np.radians(angle)
        return self.mirrored(out)

    def mirrored(self, joints: np.ndarray) -> np.ndarray:
        """The same coordinates (69,), the right side a mirror image of the left."""
        names, out = self.person.coordinate_names, joints.copy()
        for at, name in enumerate(names):
            if name.startswith("left_"):
                sign = 1.0 if name.endswith("x") else -1.0
                out[names.index(f"right_{name[5:]}")] = sign * joints[at]
        return out

    def stands(self, joints: np.ndarray, turn: Rotation) -> np.ndarray:
        """Where the root is (frame, 3) [m] if the middle of both soles stays at the origin of a ground z = 0.

        Args:
            joints: (frame, 69) [rad].
            turn: world_from_root, one per frame.
        """
        soles = self._posed(self._standing, joints)
        world = np.stack([rotation.apply(points) for rotation, points in zip(turn, soles, strict=True)])
        root = -world.mean(axis=1)
        root[:, 2] = -world[..., 2].min(axis=1)
        return root

    def reach(self, joints: np.ndarray, spot: np.ndarray, distance: Distance, start: np.ndarray | None = None):
        """Coordinates (69,) with both palms against an object that is its own mirror image.

        Args:
            joints: of the whole body (69,) [rad]; the arms are found.
            spot: where the middle of the left palm is wanted, root frame (3,) [m].
            distance: of the object.
            start: coordinates (69,) to begin with, those of the frame before; None for an easy pose.
        """
        lower, upper = (np.asarray(limit, float)[self._free] for limit in (self.person.lower, self.person.upper))
        first = _EASY if start is None else start[self._free]

        def residuals(rows: np.ndarray) -> np.ndarray:
            poses = np.repeat(joints[None], len(rows), axis=0)
            poses[:, self._free] = rows
            points = self._posed(self._reaching, poses)
            depths = distance(points)
            palm = depths[:, self._palm]
            return np.concatenate(
                [
                    (points[:, self._palm].mean(axis=1) - spot) / _PLACE,
                    palm / (_FLAT * np.sqrt(palm.shape[1])),
                    np.minimum(depths, 0.0) / _INSIDE,
                    (palm.min(axis=1, keepdims=True) + _PRESSED) / _GAP,
                    (rows - _EASY) / _EASE,
                ],
                axis=1,
            )

        def slopes(row: np.ndarray) -> np.ndarray:
            values = residuals(np.concatenate([row + _STEP * np.eye(len(row)), row - _STEP * np.eye(len(row))]))
            return ((values[: len(row)] - values[len(row) :]) / (2.0 * _STEP)).T

        inside = np.clip(first, lower + 1e-6, upper - 1e-6)
        found = least_squares(
            lambda row: residuals(row[None])[0],
            inside,
            slopes,  # pyright: ignore[reportArgumentType]  # its stubs know the names of methods alone
            bounds=(lower, upper),
            max_nfev=60,
        )
        out = joints.copy()
        out[self._free] = found.x
        return self.mirrored(out)

    def _posed(self, body: Body, joints: np.ndarray) -> np.ndarray:
        """Vertices (pose, vertex, 3) [m] of a part of the person in the root frame."""
        count = len(joints)
        still = Poses(np.zeros((count, 3)), np.tile([0.0, 0.0, 0.0, 1.0], (count, 1)), joints)
        return posed_vertices(body, still).astype(float)
