"""Unknowns that all frames share: how biased labels are, the focal length, the shapes of bodies."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
import warp as wp
from scipy.special import chdtrc

from warpprior.kernels.steps import advance_shared
from warpprior.render.parts import cut
from warpprior.system.allowances import DEEPEST_OVERLAP, OVERLAP_STEP, overlap_priors
from warpprior.system.misfit import Likeness, body_length, is_likeness, misfit_name
from warpprior.system.motion import MotionState
from warpprior.system.observed import ObservedPicture
from warpprior.system.shared_prior import SharedPrior
from warpprior.system.unknown_settings import UnknownSettings

LARGEST_BIAS = 4.0  # [px]
SMALL_BIAS = 0.4  # priors that are a little off, not labels, make up as much [px]
LARGEST_MISFIT = 4.0  # sigmas
LARGEST_ZOOM = 0.3  # logarithm of the factor of the focal length
SIZE_STEP = 0.2  # of the logarithm of a size
LARGEST_SHAPE = 4.0  # change of a shape parameter, in standard deviations of people
ZOOM_STEP, SHAPE_STEP = 0.05, 1.0  # the most that one iteration changes: the linearisation is off beyond
MOST_SHAPE = 16  # parameters that are estimated unasked; more cost more than they tell
BY_CHANCE = 0.01  # what noise alone makes look as large this often is not told from the first guess


class SharedUnknowns:
    """The values of all shared unknowns, what is likely of them, and what follows from them.

    A Gaussian holds each where it is unlikely to be far from the first guess; the mean of a bias is zero.

    What lies between a contour and the label's border may be a bias of all labels, or that one surface or shape is not
    the true one.  A rigid body has no misfit of its own, so a bias is what its border says, its depth being known from
    what touches it; a hand's border alone tells the sum.  What is not clear once poses have been found is dropped
    (:meth:`settle`): it does not act on others.

    Args:
        motion: of all bodies; it is given focal length and shapes.
        observed: the label images.
        settings: which are estimated, and their sigmas.

    Attributes:
        names: ``bias``, ``focal`` (logarithm of a factor), ``BODY misfit`` [m], ``BODY shape K`` and ``BODY size``
            (logarithm of a factor), of those that are estimated.
        prior: their values on the device, and what is likely of them.
        bias: the value of ``bias`` on the device, 0 where it is not estimated [1] [px]: how far label borders lie
            outside the true ones, beyond what the picture was calibrated to.
        sigmas: how sure each value is (shared,); NaN before anything was learnt, 0 where it is held.
        misfits: how far the true surface of a body lies outside its own, on the device, by name [1] [m].
        overlaps: of each pair whose overlap is estimated, how much deeper than usual it is [1] [m].
        shapes: place of the first shape parameter of each body whose shape is estimated among ``names``.
        shape_counts: how many it has of them.
        sizes: place of the logarithm of the size factor of each body whose size is estimated among ``names``.
        first: values at the start, the means of the Gaussians (shared,).
        held: which are estimated no more (shared,) bool.
    """

    def __init__(self, motion: MotionState, observed: ObservedPicture, settings: UnknownSettings):
        self._motion = motion
        self.shapes: dict[str, int] = {}
        self.shape_counts: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        limits: dict[str, tuple[float, float]] = {}  # least and largest change, where they are not alike
        rows: list[tuple[str, float, float, float, float]] = []  # name, mean, sigma, farthest, longest step
        articulated = any(not body.body.is_rigid for body in motion.estimated)
        seen = observed.likeness
        if settings.estimate_mask_bias and observed.labels is not None and (seen or (articulated and not motion.known)):
            mean, sigma = _likely_bias(settings, seen)
            rows.append(("bias", mean, sigma, LARGEST_BIAS, LARGEST_BIAS))
        if settings.estimate_focal:
            rows.append(("focal", 0.0, settings.sigma_focal, LARGEST_ZOOM, ZOOM_STEP))
        stood_in: list[str] = []
        overlaps: list[str] = []
        self._own: dict[str, slice] = {}
        overlap = settings.estimate_allowance and observed.labels is not None
        for body in motion.estimated:
            first = len(rows)
            asked = settings.estimate_shape
            shaped = body.body.shape_count > 0 and (body.body.shape_count <= MOST_SHAPE if asked is None else asked)
            # Of a body alone it looks like a bias, which is likelier, and misleads nobody else.
            misfits = settings.estimate_misfit and observed.labels is not None and len(motion.scene.bodies) > 1
            if misfits and is_likeness(body.body) and not shaped:
                sigma = settings.sigma_misfit * body_length(body)
                stood_in.append(body.name)
                rows.append((misfit_name(body), 0.0, sigma, LARGEST_MISFIT * sigma, LARGEST_MISFIT * sigma))
            if shaped:
                self.shapes[body.name], self.shape_counts[body.name] = len(rows), body.body.shape_count
                for k, mean in enumerate(motion.states[body.name].shape.numpy()):
                    name = f"{body.name} shape {k}"
                    rows.append((name, float(mean), settings.sigma_shape, LARGEST_SHAPE, SHAPE_STEP))
            if body.size is not None:
                self.sizes[body.name], name = len(rows), size_name(body.name)
                limits[name] = body.size.limits
                rows.append((name, 0.0, body.size.sigma, 1.0, SIZE_STEP))
            for name, sigma in (overlap_priors(body, motion.scene.bodies) if overlap else {}).items():
                overlaps.append(name)
                rows.append((name, 0.0, sigma, DEEPEST_OVERLAP, OVERLAP_STEP))
            self._own[body.name] = slice(first, len(rows))
        self.names = tuple(row[0] for row in rows)
        self.first, sigma, farthest, longest = np.array([row[1:] for row in rows]).reshape(-1, 4).T
        lowest = np.where([name in overlaps for name in self.names], 0.0, -farthest)
        for name, (least, most) in limits.items():
            place = self.names.index(name)
            lowest[place], farthest[place] = least, most
        self.prior = SharedPrior(self.first[None], sigma, (lowest, farthest), longest, motion.device)
        self.held = np.zeros(len(rows), dtype=bool)
        self.sigmas = np.full(len(rows), np.nan)
        self._single = wp.array(self.first[None], dtype=wp.float32, device=motion.device)
        self.bias = wp.zeros(1, dtype=float, device=motion.device)
        self.misfits, self.overlaps = dict.fromkeys(stood_in, self.bias), dict.fromkeys(overlaps, self.bias)
        self._find_places()
        self._doubted = self._groups(settings.estimate_shape is None)

    def _find_places(self) -> None:
        """Say where on the device those values are that kernels read."""
        if "bias" in self.names:
            self.bias = self._place("bias")
        self.misfits = {name: self._place(f"{name} misfit") for name in self.misfits}
        self.overlaps = {name: self._place(name) for name in self.overlaps}

    def _lie_in(self, single: wp.array, prior: SharedPrior) -> None:
        """Have values be in other arrays [segment, shared]."""
        self._single, self.prior = single, prior
        self._find_places()

    def _place(self, name: str, count: int = 1) -> wp.array:
        """Where a value, and those after it, lie on the device [count], in single precision."""
        place = self.names.index(name)
        # Slices of arrays are arrays.
        return self._single.flatten()[place : place + count]  # pyright: ignore[reportReturnType]

    def _groups(self, shapes: bool) -> list[np.ndarray]:
        """Places of what is kept together or not at all."""
        single = [name for name in ("bias", *(f"{body} misfit" for body in self.misfits)) if name in self.names]
        found = [np.array([self.names.index(name)]) for name in single]
        if shapes:
            found += [start + np.arange(self.shape_counts[name]) for name, start in self.shapes.items()]
        return found

    def own(self, body: str) -> slice:
        """Places of what goes with one estimated body: its shape, its misfit, how deep others may be in it."""
        return self._own[body]

    def found(self) -> dict[str, dict[str, float | None]]:
        """Value of each and how sure it is, None where nothing was learnt of it: {name: {"value", "sigma"}}."""
        sigmas = [float(sigma) if np.isfinite(sigma) else None for sigma in self.sigmas]
        each = zip(self.names, self.values, sigmas, strict=True)
        return {name: {"value": float(value), "sigma": sigma} for name, value, sigma in each}

    @property
    def values(self) -> np.ndarray:
        """Of each (shared,) float64, a copy."""
        return self.prior.values.numpy()[0].copy()

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and largest steps (shared,)."""
        low, high = self.prior.bounds()
        return low[0], high[0]

    def learn(self, information: np.ndarray) -> None:
        """Read how sure the values are from their information, all else being free (shared, shared)."""
        free = ~self.held
        self.sigmas = np.zeros(len(self.values))
        self.sigmas[free] = np.sqrt(np.maximum(np.diag(np.linalg.pinv(information[np.ix_(free, free)])), 0.0))

    def state(self, sigmas: dict[str, float]) -> None:
        """Take how sure each value is from elsewhere, by name; those that are held stay so."""
        for place, name in enumerate(self.names):
            if not self.held[place]:
                self.sigmas[place] = sigmas[name]

    def settle(self, information: np.ndarray) -> None:
        """Put back what noise may have made, and hold it; the others make the best of it.

        A bias, a misfit, and the whole shape of a body are each kept or not.  The bias is asked first, for it acts on
        all bodies: what a misfit or a shape may explain as well is theirs.  Of the others the least clear goes first.

        Args:
            information: of all values, all else being free (shared, shared).
        """
        values, usual = self.values.copy(), self._usual()
        doubted = [group for group in self._doubted if not self.held[group].any()]
        while doubted:
            free = np.flatnonzero(~self.held)
            covariance = np.full(information.shape, np.nan)
            covariance[np.ix_(free, free)] = np.linalg.pinv(information[np.ix_(free, free)])
            chances = [self._chance(group, values - usual, covariance) for group in doubted]
            number = int(np.argmax(chances))
            if self.names[doubted[0][0]] == "bias" and chances[0] >= BY_CHANCE:
                number = 0
            if chances[number] < BY_CHANCE:
                break
            group = doubted.pop(number)
            change = np.linalg.solve(covariance[np.ix_(group, group)], (usual - values)[group])
            values[free] += covariance[np.ix_(free, group)] @ change
            values[group], self.held[group] = usual[group], True
        self.prior.hold(self.held)
        lowest, highest = self.prior.lowest.numpy()[0], self.prior.highest.numpy()[0]
        self.assign(np.clip(values, self.first + lowest, self.first + highest))
        self.learn(information)

    def _usual(self) -> np.ndarray:
        """Values where nothing is unusual (shared,): exact labels and the first guess."""
        usual = self.first.copy()
        if "bias" in self.names:
            usual[self.names.index("bias")] = 0.0
        return usual

    def _chance(self, group: np.ndarray, apart: np.ndarray, covariance: np.ndarray) -> float:
        """How often noise alone makes values lie this far from the usual ones."""
        if self.names[group[0]] == "bias" and abs(apart[group[0]]) < SMALL_BIAS:
            return 1.0
        square = apart[group] @ np.linalg.solve(covariance[np.ix_(group, group)], apart[group])
        return float(chdtrc(len(group), max(square, 0.0)))

    def assign(self, values: np.ndarray) -> None:
        """Take other values (shared,) and let bias, focal length and shapes follow; then ``motion.pose()`` is due."""
        values = np.array(values, dtype=np.float64)[None]
        self.prior.values.assign(values)
        self._single.assign(values.astype(np.float32))
        self._follow()

    def advance(self, steps: wp.array) -> None:
        """Add steps [segment, shared] float64, and let bodies go away that grow; then ``motion.pose()`` is due.

        Launches only, unless the focal length is estimated, which is an argument of launches.
        """
        advance_shared(steps, values_out=self.prior.values, single_out=self._single)
        self.carry(steps)
        self._follow()

    def carry(self, steps: wp.array) -> None:
        """Let bodies go as much farther away as they grow by steps [segment, shared] float64; launches only."""
        for name, place in self.sizes.items():
            self._motion.grow(name, steps, place)

    def _follow(self) -> None:
        """Let the focal length and shapes follow; what else there is reads its value where it lies."""
        if "focal" in self.names:
            self._motion.zoom(self.values[self.names.index("focal")])
        for name, start in self.shapes.items():
            self._motion.assign_shape(name, self._place(self.names[start], self.shape_counts[name]))
        for name in self.sizes:
            self._motion.assign_size(name, self._place(size_name(name)))

    def arrays(self) -> dict[str, np.ndarray]:
        """All that was learnt, to be kept."""
        return {"shared": self.values.copy(), "held": self.held.copy(), "sigmas": self.sigmas.copy()}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from what :meth:`arrays` returned."""
        self.held, self.sigmas = arrays["held"].astype(bool), np.array(arrays["sigmas"], dtype=np.float64)
        self.prior.hold(self.held)
        self.assign(arrays["shared"])


def size_name(body: str) -> str:
    """What the logarithm of a body's size factor is called."""
    return f"{body} size"


def joined_unknowns(clips: Sequence[SharedUnknowns]) -> SharedUnknowns:
    """Where the values of several clips lie on the device one behind the other; all of the same names, without sizes.

    Its arrays ``bias``, ``misfits[name]``, ``overlaps[name]`` are [clip], its prior is of all clips, whose own arrays
    become a part of these; before anybody asks them where their values lie.
    """
    whole, first = copy(clips[0]), clips[0]
    prior, parts = SharedPrior.joined([clip.prior for clip in clips])
    values = np.concatenate([clip._single.numpy() for clip in clips])
    single: Any = wp.array(values, device=first._single.device)  # slices of arrays are arrays
    whole._single, whole.prior = single, prior
    whole.bias = wp.zeros(len(clips), dtype=float, device=first._single.device)
    if "bias" in first.names:
        whole.bias = single[:, first.names.index("bias")]
    whole.misfits = {name: single[:, first.names.index(f"{name} misfit")] for name in first.misfits}
    whole.overlaps = {name: single[:, first.names.index(name)] for name in first.overlaps}
    for number, (clip, part) in enumerate(zip(clips, parts, strict=True)):
        clip._lie_in(cut(single, number, number + 1), part)
    return whole


def _likely_bias(settings: UnknownSettings, seen: Likeness | None) -> tuple[float, float]:
    """Mean and sigma of the bias of labels [px]: what a surface shows that may be as wrong tells a part of it."""
    sigma = settings.sigma_mask_bias_px
    if seen is None:
        return 0.0, sigma
    misfit = settings.sigma_misfit * seen.length_px
    share = sigma**2 / (sigma**2 + misfit**2)
    return share * seen.pixels, np.sqrt(share) * misfit
