"""The quasi-static transfer of one object: where it goes when its contacts move, and how that depends on them."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.geometry.transfer import Transfer
from warpprior.support.replay import Replay
from warpprior.tracking.manifold import hat
from warpprior.tracking.twin_arrays import TwinArray, twin_zeros

OUTPUTS = 6  # shift and rotation: one copy of the pair of frames for each, so that one pass differentiates them all
PRIOR_ANGLE, PRIOR_SHIFT = 0.3, 0.1  # how far an object may go against its expected motion [rad], [m]
IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])


class ObjectTransfer:
    """The quasi-static transfer of one object from one frame to the next.

    Args:
        contact_count: contacts at most.
        sigma_m: noise of a contact [m].
        device: Warp device.
        differentiable: :meth:`differentiate` will be called.
        literal: the paper's Eq. 9 as printed: no prior, and the object's position stays where it is.

    Attributes:
        by_before, by_after: derivatives of shift and rotation, camera axes, by the contact points before and after
            (6, contact, 3), current after :meth:`differentiate`.
        noise: covariance of shift and rotation for independent errors of the contacts (6, 6), likewise.
    """

    def __init__(
        self, contact_count: int, sigma_m: float, device, *, differentiable: bool = False, literal: bool = False
    ):
        pairs = OUTPUTS if differentiable else 1
        self._sigma, self._literal = sigma_m, literal
        self._transfer = Transfer(
            pairs, device, contact_sigma_m=sigma_m, prior_angle=PRIOR_ANGLE, prior_shift_m=PRIOR_SHIFT
        )
        shape = (pairs, contact_count)
        self._before = twin_zeros(shape, wp.vec3, device, requires_grad=differentiable)
        self._after = twin_zeros(shape, wp.vec3, device, requires_grad=differentiable)
        self._weights = twin_zeros(shape, wp.float32, device)
        self._pose = twin_zeros(pairs, wp.transform, device)
        self._prior = TwinArray(self._transfer.prior_motions)
        self._result = TwinArray(self._transfer.poses_after)
        self._carrying = Replay(self._launch, device, capture=True)
        self._tape, self._seeds = wp.Tape(), twin_zeros(pairs, wp.transform, device)
        if differentiable:
            self._pose.host[:, 6] = 1.0
            self._pose.push()
            with self._tape:
                self._launch()

    def _launch(self) -> None:
        self._transfer.carry(self._before.array, self._after.array, self._weights.array, self._pose.array)

    def __call__(
        self,
        before: np.ndarray,
        after: np.ndarray,
        position: np.ndarray,
        rotation: np.ndarray,
        prior_shift: np.ndarray,
        prior_turn: np.ndarray = IDENTITY,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Carry the object along with its contacts.

        Args:
            before, after: contact points (contact, 3), camera frame [m].
            position, rotation: pose before, camera_from_object.
            prior_shift, prior_turn: expected motion of its origin [m] and rotation, quaternion xyzw.

        Returns:
            Position (3,) and quaternion (4,) after.
        """
        self._weights.host[:] = 0.0
        self._weights.host[:, : len(before)] = 1.0
        # Offsets from the object keep digits that single precision would lose.
        self._before.host[:, : len(before)] = before - position
        self._after.host[:, : len(after)] = after - position
        self._pose.host[:, :3], self._pose.host[:, 3:] = 0.0, rotation
        self._prior.host[:, :3], self._prior.host[:, 3:] = prior_shift, prior_turn
        for twin in (self._weights, self._before, self._after, self._pose, self._prior):
            twin.push()
        self._carrying()
        found = self._result.pull()[0].astype(np.float64)
        place = position if self._literal else position + found[:3]
        return place, found[3:] / np.linalg.norm(found[3:])

    def differentiate(self) -> None:
        """Differentiate the last result by all contact points."""
        q = self._result.host[0, 3:].astype(np.float64)
        seeds = self._seeds.host
        seeds[:] = 0.0
        seeds[[0, 1, 2], [0, 1, 2]] = 1.0
        seeds[3:, 3:6] = 2.0 * (q[3] * np.eye(3) + hat(q[:3]))
        seeds[3:, 6] = -2.0 * q[:3]
        self._tape.zero()
        self._tape.backward(grads={self._transfer.poses_after: self._seeds.push()})
        before, after = self._before.array.grad, self._after.array.grad
        assert before is not None and after is not None, "made to be differentiated"
        self.by_before = before.numpy().astype(np.float64)
        self.by_after = after.numpy().astype(np.float64)
        if self._literal:
            self.by_before[:3] = 0.0
            self.by_after[:3] = 0.0
        self.noise = self._sigma**2 * np.einsum("acx,bcx->ab", self.by_after, self.by_after)
