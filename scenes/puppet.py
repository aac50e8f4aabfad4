"""The robot hand as a puppet: points on its surface at any number of configurations, by finger and phalanx."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body
from warpprior.bodies.model import BodyModel, BodyState
from warpprior.scenes.robot_hand import FINGERS

POINTS_PER_LINK = 150
SPARSE_POINTS_PER_LINK = 40
PALM = -1  # finger index of the base


class Puppet:
    """A robot hand (:func:`warpprior.scenes.robot_hand.robot_hand`) with points on its surface.

    Args:
        body: the hand.
        seed: of the points, which are its vertices and ``POINTS_PER_LINK`` random points per link.

    Attributes:
        finger: index of the finger each point belongs to, ``PALM`` for the base (point,).
        phalanx: 0 to 3 along the finger, the joint of the same number moves it (point,).
        sparse: a few of the points on every link, for searching.
    """

    def __init__(self, body: Body, seed: int = 0):
        self.body = body
        random = np.random.default_rng(seed)
        corners = body.vertices[body.faces].astype(np.float64)
        areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        owners = body.skin_links[body.faces[:, 0], 0]
        points, links = [body.vertices.astype(np.float64)], [body.skin_links[:, 0]]
        sparse = []
        for link in np.unique(owners):
            shares = np.where(owners == link, areas, 0.0)
            faces = random.choice(len(areas), POINTS_PER_LINK, p=shares / shares.sum())
            sparse.append(sum(map(len, points)) + np.arange(SPARSE_POINTS_PER_LINK))
            weights = random.dirichlet([1.0, 1.0, 1.0], POINTS_PER_LINK)
            points.append(np.einsum("pc,pcx->px", weights, corners[faces]))
            links.append(np.full(POINTS_PER_LINK, link))
        self.rest = np.concatenate(points)
        self.links = np.concatenate(links).astype(int)
        self.sparse = np.concatenate(sparse)
        names = [body.link_names[link].rpartition("_") for link in self.links]
        self.finger = np.array([FINGERS.index(name) if name in FINGERS else PALM for name, _, _ in names])
        self.phalanx = np.array([int(number) if name in FINGERS else 0 for name, _, number in names])
        self._model = BodyModel(body, "cpu")
        self._states: dict[int, BodyState] = {}

    def points(self, position: np.ndarray, rotation: Rotation, joints: np.ndarray, chosen=slice(None)) -> np.ndarray:
        """Surface points (configuration, point, 3) [m] of base poses and joint coordinates.

        Args:
            position: of the base (configuration, 3) [m].
            rotation: of the base, one per configuration.
            joints: (configuration, 16) [rad].
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
        links, rest = self.links[chosen], self.rest[chosen]
        out = np.empty((count, len(links), 3))
        for link in np.unique(links):
            owned = links == link
            out[:, owned] = rest[owned] @ matrices[:, link].transpose(0, 2, 1) + offsets[:, link, None]
        return out
