"""Transfer: where bodies go when their contacts move, for many frames at once (the paper's Eq. 9 in its right form)."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.kernels import quasistatic


class Transfer:
    """Buffers and launches of the quasi-static transfer of one body between pairs of frames.

    Args:
        pair_count: number of frame pairs.
        device: Warp device.
        contact_sigma_m: noise of a contact point [m].
        prior_angle: how far the body may turn against the prior motion [rad].
        prior_shift_m: how far it may shift against it [m].

    Attributes:
        prior_motions: expected displacement [m] and rotation of each pair, identity unless assigned [pair] transform.
        poses_after: result of :meth:`carry` [pair] transform, with gradients.
    """

    def __init__(
        self,
        pair_count: int,
        device="cpu",
        *,
        contact_sigma_m: float = 1e-3,
        prior_angle: float = 0.3,
        prior_shift_m: float = 0.1,
    ):
        def zeros(dtype):
            return wp.zeros(pair_count, dtype=dtype, device=device, requires_grad=True)

        variance = contact_sigma_m**2
        self._weight = wp.array([variance / prior_shift_m**2], dtype=float, device=device)
        self._strength = wp.array([variance / (2.0 * prior_angle**2)], dtype=float, device=device)
        still = np.zeros((pair_count, 7), dtype=np.float32)
        still[:, 6] = 1.0
        self.prior_motions = wp.array(still, dtype=wp.transform, device=device)
        self._sums = (zeros(float), zeros(wp.vec3), zeros(wp.vec3))
        self._moments = zeros(wp.mat33)
        self._rotations = zeros(wp.mat33)
        self.poses_after = zeros(wp.transform)

    def carry(self, points_before: wp.array, points_after: wp.array, weights: wp.array, poses_before: wp.array) -> None:
        """Fill :attr:`poses_after`.

        Args:
            points_before, points_after: contact points in the camera frame [pair, contact] vec3 [m].
            weights: of the contacts [pair, contact]; zero is no contact.
            poses_before: camera_from_body [pair] transform.
        """
        contacts = (points_before, points_after, weights, poses_before, self.prior_motions, self._weight)
        weight_sums, sums_before, sums_after = self._sums
        quasistatic.sum_contacts(
            *contacts, weight_sums_out=weight_sums, sums_before_out=sums_before, sums_after_out=sums_after
        )
        quasistatic.correlate_contacts(*contacts, self._strength, *self._sums, moments_out=self._moments)
        quasistatic.carry_poses(
            poses_before,
            self.prior_motions,
            *self._sums,
            self._moments,
            rotations_out=self._rotations,
            poses_after_out=self.poses_after,
        )
