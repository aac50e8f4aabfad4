"""The stacked update of an error-state filter: gating, robust weights, Joseph form, and what innovations say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtrs  # pyright: ignore[reportAttributeAccessIssue] - made at import
from scipy.stats import chi2

from warpprior.tracking.belief import Belief
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.slip import Added, Slip

MOST_ROWS = 512
ASSUMED = ("contact",)  # rows that nothing observed
LEAST_LEFT = 1e-8  # of a variance: where less remains, rounding would be felt, and Joseph's form is taken


@dataclass(slots=True)
class Block:
    """Rows of one measurement, such as one keypoint, that are taken or left together.

    Attributes:
        sensor: name of the sensor.
        key: which measurement of the sensor, over time.
        start, stop: its rows.
        taken: it counts; the update leaves others out.
        gate: share of true ones that pass; None: as many as the settings say.
        fits: what it looks for was found; if not, the little that it says counts as rejected.
        whole: it shows the whole pose of an object, and
        anew: it was found by a search that no belief went into.
    """

    sensor: str
    key: tuple
    start: int
    stop: int
    taken: bool = True
    gate: float | None = None
    fits: bool = True
    whole: bool = False
    anew: bool = False

    @property
    def believed(self) -> bool:
        """It counts, or will."""
        return (self.taken and self.fits) or self.anew


@dataclass
class Innovation:
    """What one sensor said in one frame, compared with what was expected.

    Attributes:
        nis: normalised innovation squared of the blocks that were taken, 0 without any.
        dof: its degrees of freedom.
        rejected: how many blocks were left out.
        whitened: innovations of the blocks that were taken, times the inverse root of their covariance (dof,).
    """

    nis: float
    dof: int
    rejected: int
    whitened: np.ndarray


class Rows:
    """The rows of one update in the making; nothing is allocated while they are added.

    Args:
        width: columns.

    Attributes:
        residual: observed minus expected (row,).
        jacobian: of what is expected, by the errors of the belief (row, column).
        variance: of the noise (row,).
    """

    def __init__(self, width: int):
        self.residual = np.zeros(MOST_ROWS)
        self.jacobian = np.zeros((MOST_ROWS, width))
        self.variance = np.zeros(MOST_ROWS)
        self.count = 0
        self.blocks: list[Block] = []

    def clear(self) -> None:
        """Begin anew."""
        self.jacobian[: self.count] = 0.0
        self.count = 0
        self.blocks.clear()

    def add(
        self, sensor: str, key: tuple, residual: np.ndarray, variance, *, gate: float | None = None
    ) -> np.ndarray | None:
        """Add one measurement.

        Args:
            sensor: name of the sensor.
            key: which measurement.
            residual: (n,).
            variance: of all, or (n,).
            gate: share of true measurements that pass; None: as many as the settings say.

        Returns:
            Its rows of the Jacobian (n, column), zero and to be filled; or None: it is not finite, or there is no room.
        """
        count = len(residual)
        if self.count + count > MOST_ROWS or not np.isfinite(residual).all():
            return None
        start, self.count = self.count, self.count + count
        self.residual[start : self.count] = residual
        self.variance[start : self.count] = variance
        self.blocks.append(Block(sensor, key, start, self.count, gate=gate))
        return self.jacobian[start : self.count]

    def add_many(
        self,
        sensor: str,
        keys: Sequence[tuple],
        residuals: np.ndarray,
        variances,
        jacobians: np.ndarray,
        columns: slice = slice(None),
    ) -> None:
        """Add measurements of one size at once; those that are not finite are left out, and all if there is no room.

        Args:
            sensor: name of the sensor.
            keys: which measurements.
            residuals: (measurement, n).
            variances: of all, or (measurement, 1).
            jacobians: by some of the columns (measurement, n, some).
            columns: which these are.
        """
        size = residuals.shape[1]
        good = np.isfinite(residuals).all(axis=1)
        if not good.all():
            keys = [keys[number] for number in np.flatnonzero(good).tolist()]
            residuals, jacobians = residuals[good], jacobians[good]
            variances = variances[good] if np.ndim(variances) else variances
        start, stop = self.count, self.count + residuals.size
        if stop > MOST_ROWS:
            return
        self.count = stop
        self.residual[start:stop] = residuals.reshape(-1)
        self.variance[start:stop].reshape(-1, size)[...] = variances
        self.blocks += [Block(sensor, key, start + n * size, start + (n + 1) * size) for n, key in enumerate(keys)]
        self.jacobian[start:stop].reshape(-1, size, self.jacobian.shape[1])[:, :, columns] = jacobians

    def believed(self) -> dict[tuple[str, int], bool]:
        """By sensor and what it looks at, whether more than half of what it says is taken; assumptions do not count."""
        votes: dict[tuple[str, int], list[bool]] = {}
        for block in self.blocks:
            if block.sensor not in ASSUMED:
                votes.setdefault((block.sensor, block.key[0]), []).append(block.believed)
        return {about: 2 * sum(own) > len(own) for about, own in votes.items()}


class Updater:
    """Applies rows to a belief.

    Args:
        settings: of the tracker.
        slip: learns how contacts slip; None: they do as the settings say.

    Attributes:
        slipped: process noise that the last update's contacts turned out to have.
        scales: how many times larger than set the noise of each sensor seems, as variances, if it is learnt.
    """

    def __init__(self, settings: TrackSettings, slip: Slip | None = None, learn_speeds: Callable | None = None):
        self.settings, self.slip, self.learn_speeds = settings, slip, learn_speeds
        self.slipped: list[Added] = []
        self.scales: dict[str, float] = {}
        self._windows: dict[str, list[tuple[float, float]]] = {}
        # By the size of a block; larger ones are judged as the largest.
        self._gates = [np.inf, *chi2.ppf(settings.gate, np.arange(1, 13))] if settings.gate > 0.0 else None

    def __call__(self, belief: Belief, rows: Rows) -> tuple[np.ndarray, dict[str, Innovation]]:
        """Update a belief.

        What remains of the covariance is P - (P H' S^-1/2) (P H' S^-1/2)', or, where little does, Joseph's form, which
        stays positive whatever the gain's rounding.

        Returns:
            The change of the mean (width,), and what each sensor said.
        """
        count, used = rows.count, belief.used
        change = np.zeros(belief.width)
        if not count:
            return change, {}
        jacobian, residual, noise = rows.jacobian[:count, :used], rows.residual[:count], rows.variance[:count]
        for sensor, scale in self.scales.items():
            for block in rows.blocks:
                if block.sensor == sensor:
                    noise[block.start : block.stop] *= scale
        covariance = belief.covariance[:used, :used]  # what is not in use is correlated with nothing
        spread = covariance @ jacobian.T
        innovation = jacobian @ spread
        expected = np.diagonal(innovation).copy()
        diagonal = innovation.reshape(-1)[:: count + 1]
        diagonal += noise
        self.slipped = self._judge(rows, residual, innovation, noise, belief)
        for added in self.slipped:
            columns = added.columns[:, None]
            covariance[columns, added.columns] += added.covariance
            spread[columns, added.rows] += added.spread
        innovations = self._measure(rows, residual, innovation, expected)
        taken = [block for block in rows.blocks if block.taken]
        if not taken:
            return change, innovations
        kept = picked_rows(taken)
        if isinstance(kept, np.ndarray) or kept != slice(0, count):
            jacobian, residual, noise = jacobian[kept], residual[kept], noise[kept]
            spread, innovation = spread[:, kept], _part(innovation, kept, kept)
        root = _root(innovation)
        white = dtrtrs(root, spread.T, lower=1)[0]
        change[:used] = dtrtrs(root, residual, lower=1)[0] @ white
        after = covariance - white.T @ white
        if (after.diagonal() < LEAST_LEFT * covariance.diagonal()).any():
            gain = dpotrs(root, spread.T, lower=1)[0].T
            shrink = np.eye(used) - gain @ jacobian
            after = shrink @ covariance @ shrink.T + (gain * noise) @ gain.T
        covariance[...] = after
        belief.move(change)
        belief.reset(change)
        belief.symmetrise()
        return change, innovations

    def judge(self, belief: Belief, rows: Rows) -> None:
        """Mark the blocks that would be left out, and change nothing else."""
        count, used = rows.count, belief.used
        if count:
            jacobian = rows.jacobian[:count, :used]
            innovation = jacobian @ belief.covariance[:used, :used] @ jacobian.T + np.diag(rows.variance[:count])
            self._judge(rows, rows.residual[:count], innovation, rows.variance[:count].copy())

    def _judge(
        self,
        rows: Rows,
        residual: np.ndarray,
        innovation: np.ndarray,
        noise: np.ndarray,
        belief: Belief | None = None,
    ) -> list[Added]:
        """Leave unlikely blocks out, or trust them less: first what was observed, then what is only assumed.

        Contacts that stick are judged in the light of what was observed.  They are many and agree with each other:
        together they would outvote the mask that shows the release.

        Returns:
            How far contacts seem to have slipped, which is in ``innovation`` then; nothing without a ``belief``.
        """
        if self._gates is None or self.settings.robust == "none":
            return []
        assumed = [block for block in rows.blocks if block.sensor in ASSUMED]
        observed = [block for block in rows.blocks if block.sensor not in ASSUMED] if assumed else rows.blocks
        slipped = []
        if belief is not None and self.learn_speeds is not None:
            slipped = self.learn_speeds(rows, residual, innovation)
            for added in slipped:
                innovation[added.rows[:, None], added.rows] += added.innovation
        self._judge_blocks(observed, residual, innovation, noise)
        taken = [block for block in observed if block.taken]
        given = None
        if assumed and taken:
            seen = picked_rows(taken)
            across = np.column_stack([_part(innovation, seen, picked_rows(assumed)), residual[seen]])
            given = dtrtrs(_root(_part(innovation, seen, seen)), across, lower=1)[0]
        if assumed and belief is not None and self.slip is not None:
            places = np.array([block.start for block in assumed])[:, None] + np.arange(3)
            picked = picked_rows(assumed)
            values, parts = residual[picked], _part(innovation, picked, picked)
            if given is not None:
                parts, values = parts - given[:, :-1].T @ given[:, :-1], values - given[:, :-1].T @ given[:, -1]
            slots = np.array([block.key[0] for block in assumed])
            by_contacts = self.slip.learn(belief, slots, places, values.reshape(-1, 3), parts)
            for added in by_contacts:
                innovation[added.rows[:, None], added.rows] += added.innovation
            slipped += by_contacts
        self._judge_blocks(assumed, residual, innovation, noise, given)
        return slipped

    def _judge_blocks(
        self,
        blocks: list[Block],
        residual: np.ndarray,
        innovation: np.ndarray,
        noise: np.ndarray,
        given: np.ndarray | None = None,
    ) -> None:
        """Judge blocks by their residuals and by how large these are expected to be.

        Args:
            blocks: to be judged.
            residual, innovation, noise: of all rows.
            given: what other rows say of these, if anything: their whitened covariance with the rows of the blocks, and
                last their whitened residual (other row, row + 1).
        """
        gates_by_size = self._gates
        assert gates_by_size is not None, "blocks are judged only by settings with a gate"
        sizes = [block.stop - block.start for block in blocks]
        gated = any(block.gate is not None for block in blocks)
        starts, places = np.array([block.start for block in blocks]), np.cumsum([0, *sizes])
        kinds = sorted(set(sizes))
        for size in kinds:
            chosen = np.arange(len(sizes)) if len(kinds) == 1 else (np.array(sizes) == size).nonzero()[0]
            own = starts[chosen, None] + np.arange(size)
            parts, values = innovation[own[:, :, None], own[:, None, :]], residual[own]
            if given is not None:
                known = given.T[places[chosen, None] + np.arange(size)]
                parts = parts - known @ known.transpose(0, 2, 1)
                values = values - known @ given[:, -1]
            distances = np.einsum("bi,bi->b", values, np.linalg.solve(parts, values[:, :, None])[:, :, 0])
            usual = gates_by_size[min(size, len(gates_by_size) - 1)]
            if not gated and (distances <= usual).all():
                continue
            gates = np.full(len(chosen), usual)
            for place, number in enumerate(chosen.tolist() if gated else ()):
                if blocks[number].gate is not None:
                    gates[place] = self._own_gate(blocks[number].gate, size)
            for number in (~(distances <= gates)).nonzero()[0]:
                if self.settings.robust == "huber":
                    more = noise[own[number]] * (np.sqrt(distances[number] / gates[number]) - 1.0)
                    noise[own[number]] += more
                    innovation[own[number], own[number]] += more
                else:
                    blocks[chosen[number]].taken = False

    @staticmethod
    @cache
    def _own_gate(share: float, size: int) -> float:
        """Squared distance within which this share of true blocks of so many rows is; 0: all pass."""
        return float(chi2.ppf(share, size)) if share > 0.0 else np.inf

    def _measure(
        self, rows: Rows, residual: np.ndarray, innovation: np.ndarray, expected: np.ndarray
    ) -> dict[str, Innovation]:
        found = {}
        blocks: dict[str, list[Block]] = {}
        for block in rows.blocks:
            blocks.setdefault(block.sensor, []).append(block)
        for sensor, own in blocks.items():
            taken = [block for block in own if block.taken]
            rejected = sum(not (block.taken and block.fits) for block in own)
            if not taken:
                found[sensor] = Innovation(0.0, 0, rejected, np.zeros(0))
                continue
            pick = picked_rows(taken)
            white = dtrtrs(_root(_part(innovation, pick, pick)), residual[pick], lower=1)[0]
            found[sensor] = Innovation(float(white @ white), len(white), rejected, white)
            if self.settings.adaptive:
                self._learn(sensor, residual[pick], expected[pick], rows.variance[pick])
        return found

    def _learn(self, sensor: str, residual: np.ndarray, expected: np.ndarray, noise: np.ndarray) -> None:
        """Sage-Husa in one number: the noise is what innovations have beyond what the belief expects."""
        scale = self.scales.get(sensor, 1.0)
        window = self._windows.setdefault(sensor, [])
        window.append((float(np.mean((residual**2 - expected) * scale / noise)), float(len(residual))))
        del window[: -self.settings.adaptive_window]
        if len(window) == self.settings.adaptive_window:
            values, weights = np.array(window).T
            self.scales[sensor] = float(np.clip(np.average(values, weights=weights), 0.25, 16.0))

    def snapshot(self) -> dict[str, np.ndarray]:
        """What was learnt of the sensors' noise, to be kept."""
        kept = {f"scale/{name}": np.array(scale) for name, scale in self.scales.items()}
        return kept | {f"window/{name}": np.array(window) for name, window in self._windows.items()}

    def restore(self, kept: dict[str, np.ndarray]) -> None:
        """Take what :meth:`snapshot` returned."""
        split = [(*key.split("/", 1), values) for key, values in kept.items()]
        self.scales = {name: float(values) for kind, name, values in split if kind == "scale"}
        self._windows = {name: [tuple(row) for row in values] for kind, name, values in split if kind == "window"}


def picked_rows(blocks: Sequence[Block]) -> slice | np.ndarray:
    """The rows of blocks, in their order; there must be some."""
    first, last = blocks[0], blocks[-1]
    if last.stop - first.start == sum([block.stop - block.start for block in blocks]):  # in order, without gaps
        return slice(first.start, last.stop)
    return np.concatenate([np.arange(block.start, block.stop) for block in blocks])


def _part(matrix: np.ndarray, rows: slice | np.ndarray, columns: slice | np.ndarray) -> np.ndarray:
    """Some rows and columns of a matrix."""
    return matrix[rows][:, columns]


def _root(matrix: np.ndarray) -> np.ndarray:
    """Lower Cholesky factor of a symmetric matrix; what is above the diagonal means nothing."""
    root, failed = dpotrf(matrix.T, lower=1, clean=0)
    if failed:
        raise np.linalg.LinAlgError("the covariance of innovations is not positive")
    return root
