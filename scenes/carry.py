"""Carries an object by its contacts from one frame to the next, with the quasi-static dynamics."""

from __future__ import annotations

import numpy as np
import warp as wp
from scipy.spatial.transform import Rotation

from warpprior.kernels import quasistatic

CONTACT_SIGMA = 5.0e-4  # noise of a contact point [m]
PRIOR_ANGLE = 0.10  # how far the object may turn against the expected motion in one frame [rad]
PRIOR_SHIFT = 0.10  # and shift [m]


class Carrier:
    """Buffers of the transfer of one object over one step, for at most ``capacity`` contacts."""

    def __init__(self, capacity: int, device="cpu"):
        self.capacity = capacity
        variance = CONTACT_SIGMA**2
        self._weight = wp.array([variance / PRIOR_SHIFT**2], dtype=float, device=device)
        self._strength = wp.array([variance / (2.0 * PRIOR_ANGLE**2)], dtype=float, device=device)
        self._before = wp.zeros((1, capacity), dtype=wp.vec3, device=device)
        self._after = wp.zeros((1, capacity), dtype=wp.vec3, device=device)
        self._weights = wp.zeros((1, capacity), dtype=float, device=device)
        self._pose_before = wp.zeros(1, dtype=wp.transform, device=device)
        self._pose_after = wp.zeros(1, dtype=wp.transform, device=device)
        self._prior = wp.zeros(1, dtype=wp.transform, device=device)
        self._weight_sums = wp.zeros(1, dtype=float, device=device)
        self._sums_before = wp.zeros(1, dtype=wp.vec3, device=device)
        self._sums_after = wp.zeros(1, dtype=wp.vec3, device=device)
        self._moments = wp.zeros(1, dtype=wp.mat33, device=device)
        self._rotations = wp.zeros(1, dtype=wp.mat33, device=device)

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
        self._pose_before.assign(np.concatenate([position, rotation.as_quat()])[None].astype(np.float32))
        self._prior.assign(np.concatenate([shift, turn.as_quat()])[None].astype(np.float32))
        contacts = (self._before, self._after, self._weights, self._pose_before, self._prior, self._weight)
        sums = (self._weight_sums, self._sums_before, self._sums_after)
        quasistatic.sum_contacts(*contacts, weight_sums_out=sums[0], sums_before_out=sums[1], sums_after_out=sums[2])
        quasistatic.correlate_contacts(*contacts, self._strength, *sums, moments_out=self._moments)
        quasistatic.carry_poses(
            self._pose_before,
            self._prior,
            *sums,
            self._moments,
            rotations_out=self._rotations,
            poses_after_out=self._pose_after,
        )
        pose = self._pose_after.numpy()[0].astype(float)
        return pose[:3], Rotation.from_quat(pose[3:])

    def _padded(self, values: np.ndarray, item: tuple[int, ...]) -> np.ndarray:
        padded = np.zeros((1, self.capacity, *item), dtype=np.float32)
        count = min(len(values), self.capacity)
        padded[0, :count] = values[:count]
        return padded
