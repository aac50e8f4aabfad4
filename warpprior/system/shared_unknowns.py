"""Unknowns that all frames share: how biased labels are, the focal length, the shapes of bodies."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.system.allowances import DEEPEST_OVERLAP, OVERLAP_STEP, overlap_priors
from warpprior.system.motion import MotionState
from warpprior.system.observed import ObservedPicture
from warpprior.system.unknown_settings import UnknownSettings

LARGEST_BIAS = 4.0  # [px]
SMALL_BIAS = 0.4  # priors that are a little off, not labels, make up as much [px]
LARGEST_ZOOM = 0.3  # logarithm of the factor of the focal length
LARGEST_SHAPE = 4.0  # change of a shape parameter, in standard deviations of people
ZOOM_STEP, SHAPE_STEP = 0.05, 1.0  # the most that one iteration changes: the linearisation is off beyond


class SharedUnknowns:
    """The values of all shared unknowns, what is likely of them, and what follows from them.

    A Gaussian holds each where it is unlikely to be far from the first guess; the mean of a bias is zero.

    Args:
        motion: of all bodies; it is given focal length and shapes.
        observed: the label images.
        settings: which are estimated, and their sigmas.

    Attributes:
        names: ``bias``, ``focal`` (logarithm of a factor), and ``BODY shape K``, of those that are estimated.
        values: of each (shared,) float64.
        bias: the value of ``bias`` on the device, 0 where it is not estimated [1] [px]: how far label borders lie
            outside the true ones, beyond what the picture was calibrated to.
        overlaps: of each pair whose overlap is estimated, how much deeper than usual it is [1] [m].
        shapes: place of the first shape parameter of each body whose shape is estimated among ``names``.
    """

    def __init__(self, motion: MotionState, observed: ObservedPicture, settings: UnknownSettings):
        self._motion = motion
        self.bias = wp.zeros(1, dtype=wp.float32, device=motion.device)
        self.shapes: dict[str, int] = {}
        rows: list[tuple[str, float, float, float, float]] = []  # name, mean, sigma, farthest, longest step
        articulated = any(not body.body.is_rigid for body in motion.estimated)
        if settings.estimate_mask_bias and observed.labels is not None and not motion.known and articulated:
            rows.append(("bias", 0.0, settings.sigma_mask_bias_px, LARGEST_BIAS, LARGEST_BIAS))
        if settings.estimate_focal:
            rows.append(("focal", 0.0, settings.sigma_focal, LARGEST_ZOOM, ZOOM_STEP))
        for body in motion.estimated:
            if settings.estimate_shape and body.body.shape_count:
                self.shapes[body.name] = len(rows)
                for k, mean in enumerate(motion.states[body.name].shape.numpy()):
                    name = f"{body.name} shape {k}"
                    rows.append((name, float(mean), settings.sigma_shape, LARGEST_SHAPE, SHAPE_STEP))
        self.overlaps: dict[str, wp.array] = {}
        if settings.estimate_allowance and observed.labels is not None:
            for name, sigma in overlap_priors(motion.scene.bodies).items():
                self.overlaps[name] = wp.zeros(1, dtype=wp.float32, device=motion.device)
                rows.append((name, 0.0, sigma, DEEPEST_OVERLAP, OVERLAP_STEP))
        self.names = tuple(row[0] for row in rows)
        self._mean, sigma, self._farthest, self._longest = np.array([row[1:] for row in rows]).reshape(-1, 4).T
        self.floor = 1.0 / sigma**2
        self.values = self._mean.copy()
        self._one_sided = np.array([name in self.overlaps for name in self.names], dtype=bool)
        self._held = np.zeros(len(rows), dtype=bool)

    @property
    def pull(self) -> np.ndarray:
        """Gradient of what is likely (shared,)."""
        return self.floor * (self.values - self._mean)

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and largest steps (shared,)."""
        moved = self.values - self._mean
        low = np.clip(np.where(self._one_sided, 0.0, -self._farthest) - moved, -self._longest, 0.0)
        high = np.clip(self._farthest - moved, 0.0, self._longest)
        return np.where(self._held, 0.0, low), np.where(self._held, 0.0, high)

    def drop_small_bias(self) -> None:
        """Take labels to be exact where the bias found so far is too small to differ from none."""
        if "bias" in self.names:
            place = self.names.index("bias")
            if abs(self.values[place]) < SMALL_BIAS:
                values = self.values.copy()
                values[place], self._held[place] = 0.0, True
                self.assign(values)

    def assign(self, values: np.ndarray) -> None:
        """Take other values (shared,) and let bias, focal length and shapes follow; then ``motion.pose()`` is due."""
        self.values = np.array(values, dtype=np.float64)
        named = dict(zip(self.names, self.values, strict=True))
        if "bias" in named:
            self.bias.fill_(named["bias"])
        if "focal" in named:
            self._motion.zoom(named["focal"])
        for name, beyond in self.overlaps.items():
            beyond.fill_(named[name])
        for name, start in self.shapes.items():
            count = self._motion.models[name].body.shape_count
            self._motion.assign_shape(name, self.values[start : start + count])
