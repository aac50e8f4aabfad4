"""The stacked update of an error-state filter: gating, robust weights, Joseph form, and what innovations tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.stats import chi2

from warpprior.tracking.belief import Belief
from warpprior.tracking.settings import TrackSettings

MOST_ROWS = 512
ASSUMED = ("contact",)  # rows that nothing observed


@dataclass
class Block:
    """Rows of one measurement, such as one keypoint, that are taken or left together.

    Attributes:
        sensor: name of the sensor.
        key: which measurement of the sensor, over time.
        start, stop: its rows.
    """

    sensor: str
    key: tuple
    start: int
    stop: int
    taken: bool = True


@dataclass
class Innovation:
    """What one sensor said in one frame, compared with what was expected.

    Attributes:
        nis: normalised innovation squared of the blocks that were taken.
        dof: its degrees of freedom.
        rejected: how many blocks were left out.
        whitened: innovations times the inverse root of their covariance.
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

    def add(self, sensor: str, key: tuple, residual: np.ndarray, variance) -> np.ndarray | None:
        """Add one measurement; returns its rows of the Jacobian (n, column), to be filled, or None if it is useless."""
        count = len(residual)
        if self.count + count > MOST_ROWS or not np.isfinite(residual).all():
            return None
        start, self.count = self.count, self.count + count
        self.residual[start : self.count] = residual
        self.variance[start : self.count] = variance
        self.blocks.append(Block(sensor, key, start, self.count))
        return self.jacobian[start : self.count]


class Updater:
    """Applies rows to a belief.

    Args:
        settings: of the tracker.

    Attributes:
        scales: how many times larger than set the noise of each sensor seems, as variances, if it is learnt.
    """

    def __init__(self, settings: TrackSettings):
        self.settings = settings
        self.scales: dict[str, float] = {}
        self._windows: dict[str, list[tuple[float, float]]] = {}
        self._gates = [np.inf, *chi2.ppf(settings.gate, np.arange(1, 13))] if settings.gate > 0.0 else None

    def __call__(self, belief: Belief, rows: Rows) -> tuple[np.ndarray, dict[str, Innovation]]:
        """Update a belief.

        Returns:
            The change of the mean (width,), and what each sensor told.
        """
        count = rows.count
        if not count:
            return np.zeros(belief.width), {}
        jacobian, residual, noise = rows.jacobian[:count], rows.residual[:count], rows.variance[:count]
        for block in rows.blocks:
            noise[block.start : block.stop] *= self.scales.get(block.sensor, 1.0)
        spread = jacobian @ belief.covariance
        expected = spread @ jacobian.T
        innovation = expected + np.diag(noise)
        self._judge(rows, residual, innovation, noise)
        told = self._measure(rows, residual, innovation, expected)
        kept = np.concatenate([np.arange(b.start, b.stop) for b in rows.blocks if b.taken] or [np.zeros(0, int)])
        if not len(kept):
            return np.zeros(belief.width), told
        if len(kept) < count:
            jacobian, residual, noise = jacobian[kept], residual[kept], noise[kept]
            spread, innovation = spread[kept], innovation[np.ix_(kept, kept)]
        gain = cho_solve(cho_factor(innovation, lower=True, check_finite=False), spread, check_finite=False).T
        change = gain @ residual
        # Joseph's form stays positive whatever the gain's rounding.
        shrink = np.eye(belief.width)
        shrink -= gain @ jacobian
        belief.covariance[...] = shrink @ belief.covariance @ shrink.T + (gain * noise) @ gain.T
        belief.move(change)
        belief.reset(change)
        belief.symmetrise()
        return change, told

    def _judge(self, rows: Rows, residual: np.ndarray, innovation: np.ndarray, noise: np.ndarray) -> None:
        """Leave unlikely blocks out, or trust them less: first what was observed, then what is only assumed.

        Contacts that stick are judged in the light of what was observed.  They are many and agree with each other:
        together they would outvote the mask that shows that the hand has let go.
        """
        if self._gates is None or self.settings.robust == "none":
            return
        observed = [block for block in rows.blocks if block.sensor not in ASSUMED]
        self._judge_blocks(observed, residual, innovation, noise, innovation)
        assumed = [block for block in rows.blocks if block.sensor in ASSUMED]
        seen = [np.arange(block.start, block.stop) for block in observed if block.taken]
        if not assumed or not seen:
            self._judge_blocks(assumed, residual, innovation, noise, innovation)
            return
        pick = np.concatenate(seen)
        factor = cho_factor(innovation[np.ix_(pick, pick)], lower=True, check_finite=False)
        explained = cho_solve(factor, innovation[pick], check_finite=False)
        remaining = innovation - innovation[:, pick] @ explained
        self._judge_blocks(assumed, residual - explained.T @ residual[pick], remaining, noise, innovation)

    def _judge_blocks(
        self, blocks: list[Block], residual: np.ndarray, expected: np.ndarray, noise: np.ndarray, innovation: np.ndarray
    ) -> None:
        """Judge blocks by their residuals and how large these are expected to be."""
        for block in blocks:
            own = slice(block.start, block.stop)
            distance = residual[own] @ np.linalg.solve(expected[own, own], residual[own])
            gate = self._gates[min(block.stop - block.start, len(self._gates) - 1)]
            if distance <= gate:
                continue
            if self.settings.robust == "huber":
                more = noise[own] * (np.sqrt(distance / gate) - 1.0)
                noise[own] += more
                innovation[own, own] += np.diag(more)
            else:
                block.taken = False

    def _measure(
        self, rows: Rows, residual: np.ndarray, innovation: np.ndarray, expected: np.ndarray
    ) -> dict[str, Innovation]:
        told = {}
        for sensor in dict.fromkeys(block.sensor for block in rows.blocks):
            own = [block for block in rows.blocks if block.sensor == sensor]
            taken = [np.arange(block.start, block.stop) for block in own if block.taken]
            rejected = len(own) - len(taken)
            if not taken:
                told[sensor] = Innovation(0.0, 0, rejected, np.zeros(0))
                continue
            pick = np.concatenate(taken)
            root = np.linalg.cholesky(innovation[np.ix_(pick, pick)])
            white = solve_triangular(root, residual[pick], lower=True, check_finite=False)
            told[sensor] = Innovation(float(white @ white), len(pick), rejected, white)
            if self.settings.adaptive:
                self._learn(sensor, residual[pick], np.diag(expected)[pick], rows.variance[pick])
        return told

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
