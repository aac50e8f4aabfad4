"""Carries an object by its contacts from one frame to the next, with the quasi-static dynamics."""

from __future__ import annotations

import numpy as np
import warp as wp
from scipy.spatial.transform import Rotation

from warpprior.geometry.transfer import Transfer

CONTACT_SIGMA = 5.0e-4  # noise of a contact point [m]
PRIOR_ANGLE = 0.10  # how far the object may turn against the expected motion in one frame [rad]
PRIOR_SHIFT = 0.10  # and shift [m]


class Carrier:
    """The transfer of one object over one step, for at most ``capacity`` contacts."""

    def __init__(self, capacity: int, device="cpu"):
        self.capacity = capacity
        self._transfer = Transfer(
            1, device, contact_sigma_m=CONTACT_SIGMA, prior_angle=PRIOR_ANGLE, prior_shift_m=PRIOR_SHIFT
        )
        self._before = wp.zeros((1, capacity), dtype=wp.vec3, device=device)
        self._after = wp.zeros((1, capacity), dtype=wp.vec3, device=device)
        self._weights = wp.zeros((1, capacity), dtype=float, device=device)
        self._pose = wp.zeros(1, dtype=wp.transform, device=device)

    def step(self, before, after, weights, position, rotation: Rotation, shift, turn: Rotation):
        """Where the object is after its contacts moved.

        Args:
            before, after: contact points (contact, 3) [m]; those beyond the capacity are left out.
            weights: of the contacts (contact,).
            position, rotation: of the object before.
            shift, turn: displacement of its origin [m] and rotation to expect where contacts do not say.

        Returns:
            Position (3,) [m] and rotation of the object after.
        """
        self._before.assign(self._padded(before, (3,)))
        self._after.assign(self._padded(after, (3,)))
        self._weights.assign(self._padded(weights, ()))
        self._pose.assign(np.concatenate([position, rotation.as_quat()])[None].astype(np.float32))
        self._transfer.prior_motions.assign(np.concatenate([shift, turn.as_quat()])[None].astype(np.float32))
        self._transfer.carry(self._before, self._after, self._weights, self._pose)
        pose = self._transfer.poses_after.numpy()[0].astype(float)
        return pose[:3], Rotation.from_quat(pose[3:])

    def _padded(self, values: np.ndarray, item: tuple[int, ...]) -> np.ndarray:
        padded = np.zeros((1, self.capacity, *item), dtype=np.float32)
        count = min(len(values), self.capacity)
        padded[0, :count] = values[:count]
        return padded
