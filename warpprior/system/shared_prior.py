"""What is likely of the unknowns that all frames of a clip share, as arrays that both solvers read."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np
import warp as wp

from warpprior.render.parts import cut
from warpprior.support.device import warp_device

ARRAYS = ("values", "first", "weight", "lowest", "highest", "longest", "held")  # [segment, shared]


class SharedPrior:
    """Values of shared unknowns, and a Gaussian and limits of each.

    Args:
        first: where they start, the means of the Gaussians (segment, shared).
        sigma: of the Gaussians.
        limits: least and largest change of the first values.
        longest: step.
        device: Warp device.

    What is not (segment, shared) is the same for all segments.

    Attributes:
        values, first, weight, lowest, highest, longest: [segment, shared] float64: of ``values`` the change from
            ``first`` lies between ``lowest`` and ``highest``; ``weight`` is 1 / sigma^2.
        held: 1 where a value is estimated no more [segment, shared] int32.
    """

    def __init__(
        self,
        first: np.ndarray,
        sigma: np.ndarray,
        limits: tuple[np.ndarray, np.ndarray],
        longest: np.ndarray,
        device,
    ):
        device = warp_device(device)
        shape = np.shape(first)

        def array(values: np.ndarray) -> wp.array:
            return wp.array(np.broadcast_to(values, shape).astype(np.float64), dtype=wp.float64, device=device)

        self.values, self.first, self.weight = array(first), array(first), array(1.0 / np.square(sigma))
        self.lowest, self.highest, self.longest = array(limits[0]), array(limits[1]), array(longest)
        self.held = wp.zeros(shape, dtype=wp.int32, device=device)

    @classmethod
    def joined(cls, priors: Sequence[SharedPrior]) -> tuple[SharedPrior, list[SharedPrior]]:
        """Those of several clips as one, and the part of it that each of them is."""
        whole, parts = copy(priors[0]), [copy(prior) for prior in priors]
        for name in ARRAYS:
            values = np.concatenate([getattr(prior, name).numpy() for prior in priors])
            array = wp.array(values, device=whole.held.device)
            setattr(whole, name, array)
            for number, part in enumerate(parts):
                setattr(part, name, cut(array, number, number + 1))
        return whole, parts

    def hold(self, held: np.ndarray | Sequence[bool]) -> None:
        """Say which are estimated no more (segment, shared) or (shared,) bool."""
        self.held.assign(np.broadcast_to(held, self.held.shape).astype(np.int32))

    def pull(self) -> np.ndarray:
        """Gradient of what is likely (segment, shared)."""
        return self.weight.numpy() * (self.values.numpy() - self.first.numpy())

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and largest steps (segment, shared)."""
        moved, longest = self.values.numpy() - self.first.numpy(), self.longest.numpy()
        low = np.clip(self.lowest.numpy() - moved, -longest, 0.0)
        high = np.clip(self.highest.numpy() - moved, 0.0, longest)
        held = self.held.numpy().astype(bool)
        return np.where(held, 0.0, low), np.where(held, 0.0, high)
