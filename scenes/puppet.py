"""Hands as puppets: points on their surface at any number of configurations, by finger and phalanx."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body
from warpprior.bodies.model import BodyModel, BodyState
from warpprior.bodies.triangles import doubled_areas
from warpprior.scenes.robot_hand import FINGERS

POINTS_PER_LINK = 150
SPARSE_POINTS_PER_LINK = 40
EVERY = slice(None)  # of the points
PALM = -1  # finger index of the base
JOINTS = 4  # per finger: one that spreads, three that close
_HUMAN_FINGERS = ("index", "middle", "ring", "pinky", "thumb")


@dataclass(frozen=True, eq=False)
class Digits:
    """The fingers of a hand, thumb last.

    Attributes:
        names: of the fingers.
        finger: the finger each link belongs to, ``PALM`` for the base (link,).
        phalanx: 0 to 3 along the finger; the joint of the same number moves it (link,).
        coordinates: joint coordinate of each finger's joints, the one that spreads first (finger, JOINTS).
        rates: how fast each of them closes (finger, JOINTS).
        lever: longer than any finger: an angle times this bounds how far a point moves [m].
        squeeze: fingers close until they are this deep in the surface, as a soft finger may be [m].
    """

    names: tuple[str, ...]
    finger: np.ndarray
    phalanx: np.ndarray
    coordinates: np.ndarray
    rates: np.ndarray
    lever: float
    squeeze: float


def robot_digits(body: Body) -> Digits:
    """Of the robot hand (:func:`warpprior.scenes.robot_hand.robot_hand`)."""
    names = [name.rpartition("_") for name in body.link_names]
    finger = np.array([FINGERS.index(name) if name in FINGERS else PALM for name, _, _ in names])
    phalanx = np.array([int(number) if name in FINGERS else 0 for name, _, number in names])
    coordinates = np.arange(JOINTS * len(FINGERS)).reshape(-1, JOINTS)
    rates = np.array([[0.0, 0.9, 1.0, 1.0]] * 3 + [[0.0, 0.6, 1.0, 1.0]])
    return Digits(FINGERS, finger, phalanx, coordinates, rates, lever=0.16, squeeze=0.0004)


def human_digits(body: Body) -> Digits:
    """Of our human hand (:func:`warpprior.read_hand`): its ball joints close about x and spread about y."""
    names = [(name.rstrip("123"), name[-1]) for name in body.link_names]
    finger = np.array([_HUMAN_FINGERS.index(name) if name in _HUMAN_FINGERS else PALM for name, _ in names])
    phalanx = np.array([int(number) if name in _HUMAN_FINGERS else 0 for name, number in names])
    at = body.coordinate_names.index
    coordinates = [[at(f"{name}1.y"), *(at(f"{name}{k}.x") for k in (1, 2, 3))] for name in _HUMAN_FINGERS]
    # The last joint follows the middle one at about two thirds of its angle.
    rates = np.array([[0.0, 1.0, 1.0, 0.67]] * 4 + [[0.0, 0.5, 1.0, 1.0]])
    return Digits(_HUMAN_FINGERS, finger, phalanx, np.array(coordinates), rates, lever=0.11, squeeze=0.0008)


class Puppet:
    """A hand with points on its surface.

    Args:
        body: the hand.
        digits: its fingers.
        seed: of the points, which are its vertices and ``POINTS_PER_LINK`` random points per link.
        every_face: take the middle of every face instead of most of the random points, for a surface whose faces are
            about as fine everywhere.

    Attributes:
        finger: index of the finger each point belongs to, ``PALM`` for the base (point,).
        phalanx: 0 to 3 along the finger, the joint of the same number moves it (point,).
        sparse: a few of the points on every link, for searching.
    """

    def __init__(self, body: Body, digits: Digits, seed: int = 0, *, every_face: bool = False):
        self.body, self.digits = body, digits
        random = np.random.default_rng(seed)
        corners = body.vertices[body.faces].astype(np.float64)
        areas = doubled_areas(corners)
        shares = np.zeros((body.vertex_count, body.link_count))
        np.add.at(shares, (np.arange(body.vertex_count)[:, None], body.skin_links), body.skin_weights)
        owners = shares[body.faces[:, 0]].argmax(axis=1)
        points, blends = [body.vertices.astype(np.float64)], [shares]
        sparse = []
        per_link = SPARSE_POINTS_PER_LINK if every_face else POINTS_PER_LINK
        for link in np.unique(owners):
            chances = np.where(owners == link, areas, 0.0)
            faces = random.choice(len(areas), per_link, p=chances / chances.sum())
            sparse.append(sum(map(len, points)) + np.arange(SPARSE_POINTS_PER_LINK))
            weights = random.dirichlet([1.0, 1.0, 1.0], per_link)
            points.append(np.einsum("pc,pcx->px", weights, corners[faces]))
            blends.append(np.einsum("pc,pcl->pl", weights, shares[body.faces[faces]]))
        if every_face:
            points.append(corners.mean(axis=1))
            blends.append(shares[body.faces].mean(axis=1))
        self.rest = np.concatenate(points)
        self._blend = np.concatenate(blends)
        links = self._blend.argmax(axis=1)
        self.sparse = np.concatenate(sparse)
        self.finger, self.phalanx = digits.finger[links], digits.phalanx[links]
        self._model = BodyModel(body, "cpu")
        self._states: dict[int, BodyState] = {}

    def points(
        self, position: np.ndarray, rotation: Rotation, joints: np.ndarray, chosen: slice | np.ndarray = EVERY
    ) -> np.ndarray:
        """Surface points (configuration, point, 3) [m] of base poses and joint coordinates.

        Args:
            position: of the base (configuration, 3) [m].
            rotation: of the base, one per configuration.
            joints: (configuration, coordinate) [rad].
            chosen: which of the points.
        """
        count = len(position)
        if count not in self._states:
            self._states[count] = self._model.state(count, requires_grad=False)
            self._model.shape(self._states[count])
        state = self._states[count]
        # The base stays at the origin on the device: float32 is then good for 1e-8 m.
        state.joints.assign(np.ascontiguousarray(joints, dtype=np.float32))
        self._model.pose(state)
        skin = state.skin.numpy().reshape(count, -1, 7).astype(np.float64)
        turned = Rotation.from_quat(skin[..., 3:].reshape(-1, 4)).as_matrix().reshape(count, -1, 3, 3)
        base = rotation.as_matrix().reshape(-1, 3, 3)
        matrices = base[:, None] @ turned
        offsets = np.einsum("nij,nlj->nli", base, skin[..., :3]) + np.asarray(position)[:, None]
        blend, rest = self._blend[chosen], self.rest[chosen]
        out = np.zeros((count, len(rest), 3))
        for link in np.flatnonzero(blend.any(axis=0)):
            owned = np.flatnonzero(blend[:, link])
            carried = rest[owned] @ matrices[:, link].transpose(0, 2, 1) + offsets[:, link, None]
            out[:, owned] += blend[owned, link, None] * carried
        return out
