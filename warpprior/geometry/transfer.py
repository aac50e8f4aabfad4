"""Transfer: where bodies go when their contacts move, for many frames at once (the paper's Eq. 9 in its right form)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from warpprior.geometry.posed import poses_of
from warpprior.kernels import quasistatic, transfer_covariance
from warpprior.support.arrays import device_of, is_warp, to_warp
from warpprior.support.errors import InputError


@dataclass(frozen=True, eq=False)
class Transferred:
    """Answers of :func:`transfer`; NumPy, or Warp arrays on the device.

    Attributes:
        poses: camera_from_body after the contacts moved [pair] transform: position [m], quaternion xyzw.
        covariance: of the errors of position [m] and rotation vector [rad], both along the camera's axes, that
            independent errors of the contacts make (pair, 6, 6) float32; pi squared where nothing determines a turn.
        rank: directions of rotation that contacts and prior determine (pair,) int32.
    """

    poses: Any
    covariance: Any
    rank: Any


def transfer(
    points_before: Any,
    points_after: Any,
    poses_before: Any,
    weights: Any = None,
    *,
    prior_motions: Any = None,
    contact_sigma_m: float = 1e-3,
    prior_angle: float = 0.3,
    prior_shift_m: float = 0.1,
    device: Any = None,
) -> Transferred:
    """Where a body goes when its contact points move: the rigid motion that fits them best, given what was expected.

    On the tape that is recording, ``poses`` is differentiable in points, weights, poses before and prior motions.
    Where contacts and prior together do not determine a rotation, the prior's is taken.

    Args:
        points_before, points_after: contact points in the camera frame [pair, contact] vec3 or (pair, contact, 3) [m].
        poses_before: [pair] transform, (pair, 7), a tuple of position and rotation, or a :class:`warpprior.Poses`.
        weights: of the contacts (pair, contact), zero for none; None for 1 everywhere.
        prior_motions: expected displacement of the body's origin [m] and rotation, camera axes [pair] transform or
            (pair, 7); None for none.
        contact_sigma_m: noise of a contact point [m].
        prior_angle: how far the body may turn against the expected motion [rad].
        prior_shift_m: how far it may shift against it [m].
        device: where to work; None takes the arrays' device, the CPU for arrays of the host.

    Returns:
        Warp arrays where any argument is one, or a device is given; otherwise NumPy.

    Raises:
        InputError: an array that is refused, shapes that do not fit each other, or a sigma that is not positive.
    """
    parts = poses_before if isinstance(poses_before, tuple) else (poses_before,)
    given = (points_before, points_after, *parts, weights, prior_motions)
    in_warp = device is not None or any(map(is_warp, given))
    device = device_of(*given, device=device)
    sigmas = {"contact_sigma_m": contact_sigma_m, "prior_angle": prior_angle, "prior_shift_m": prior_shift_m}
    for name, sigma in sigmas.items():
        if not 0.0 < sigma < 1e6:
            raise InputError(f"transfer: {name}", f"{sigma}", "a number above zero")
    before = to_warp(points_before, "points before", wp.vec3, 2, device)
    after = to_warp(points_after, "points after", wp.vec3, 2, device, shape=before.shape)
    poses = poses_of(poses_before, "poses before", device, count=before.shape[0])
    if weights is None:
        weights = wp.full(before.shape, 1.0, dtype=float, device=device)
    weights = to_warp(weights, "weights", float, 2, device, shape=before.shape)
    carrier = Transfer(len(poses), device, **sigmas)
    if prior_motions is not None:
        carrier.prior_motions = poses_of(prior_motions, "prior motions", device, count=before.shape[0])
    carrier.carry(before, after, weights, poses)
    found = Transferred(carrier.poses_after, *carrier.measure(contact_sigma_m))
    return found if in_warp else Transferred(*(values.numpy() for values in vars(found).values()))


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
        device: wp.DeviceLike = "cpu",
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
        no_motion = np.zeros((pair_count, 7), dtype=np.float32)
        no_motion[:, 6] = 1.0
        self.prior_motions = wp.array(no_motion, dtype=wp.transform, device=device)
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

    def measure(self, contact_sigma_m: float) -> tuple[wp.array, wp.array]:
        """Covariance [pair, 6, 6] and rank [pair] of what :meth:`carry` did last, as :class:`Transferred` has them."""
        device, count = self.poses_after.device, len(self.poses_after)
        turns = wp.zeros(count, dtype=wp.mat33, device=device)
        spreads, smallest = (wp.zeros(count, dtype=float, device=device) for _ in range(2))
        rank = wp.zeros(count, dtype=int, device=device)
        weight_sums, sums_before, _ = self._sums
        quasistatic.measure_transfer(
            self._moments,
            self._rotations,
            weight_sums,
            wp.array([contact_sigma_m], dtype=float, device=device),
            rotation_covariance_out=turns,
            centroid_variance_out=spreads,
            rank_out=rank,
            smallest_out=smallest,
        )
        covariance = wp.zeros((count, 6, 6), dtype=float, device=device)
        transfer_covariance.spread_transfer(
            self._rotations, weight_sums, sums_before, turns, spreads, covariance_out=covariance
        )
        return covariance, rank
