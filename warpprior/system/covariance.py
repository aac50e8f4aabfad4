"""How sure the unknowns of a sequence are: the blocks of the inverse of a block-banded matrix with a border.

The whole inverse is dense, and hardly any of it is asked for.  The blocks on the diagonal, and those beside it, follow
from the factor alone, backwards frame by frame (Takahashi, Fagan and Chen, "Formation of a sparse bus impedance matrix
and its application to short circuit study", PICA 1973); the border adds a correction of its own rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from warpprior.support.blas import one_thread

LAGS = 2  # frames before that a frame is coupled with
_LEAST = 1e-12  # of a curvature, as a share of the largest of its unknown: less is rounding


@dataclass(frozen=True, eq=False)
class Information:
    """What residuals say of all unknowns: a quadratic form in a frame's unknowns and, behind them, the shared ones.

    Attributes:
        own: of each frame with itself, symmetric (frame, column, column) float64.
        back: of each frame with the one before and with the one before that, two arrays (frame, column, column); those
            of frames that have none before are zero.
    """

    own: np.ndarray
    back: tuple[np.ndarray, np.ndarray]

    @classmethod
    def read(cls, hessian: np.ndarray) -> Information:
        """From the blocks that kernels add to (frame, 4, column, column), see :mod:`warpprior.kernels.rows`."""
        lower = hessian[:, 0].copy()
        lower[:-1] += hessian[1:, 3]
        own = np.tril(lower) + np.tril(lower, -1).transpose(0, 2, 1)
        one, two = (hessian[:, lag].copy() if hessian[:, lag].any() else _nothing(own) for lag in (1, 2))
        return cls(own, (one, two))

    @classmethod
    def total(cls, parts: Iterable[tuple[float, Information]]) -> Information:
        """The sum of several, each times a factor; at least one."""
        own, back = np.zeros(()), [np.zeros(()), np.zeros(())]
        for factor, part in parts:
            own = own + factor * part.own
            for lag in range(LAGS):
                if not _is_nothing(part.back[lag]):
                    back[lag] = back[lag] + factor * part.back[lag]
        one, two = (each if each.ndim else _nothing(own) for each in back)
        return cls(own, (one, two))

    def alike(self, frames: float) -> Information:
        """The same where the errors of so many frames in a row are alike; of residuals that concern one frame each.

        Errors e_t of the residuals go on from frame to frame as a first-order process of correlation
        rho = (frames - 1) / (frames + 1): the mean of many is as sure as if they were so many times fewer, and a frame
        alone is as sure as before.  In differences (e_t - rho e_{t-1}) / sqrt(1 - rho^2), which are independent, each
        frame is coupled with the one before.  Residuals of one frame and the next are paired by the symmetric roots of
        what they say of the unknowns.
        """
        rho = (frames - 1.0) / (frames + 1.0)
        used = np.flatnonzero(self.own.diagonal(axis1=1, axis2=2).max(axis=0) > 0.0)
        if rho <= 0.0 or not len(used):
            return self
        part = self.own[:, used][:, :, used]
        scale = np.sqrt(part.diagonal(axis1=1, axis2=2).max(axis=0))
        with one_thread():
            spread, axes = np.linalg.eigh(part / np.outer(scale, scale))
            roots = (axes * np.sqrt(np.maximum(spread, 0.0))[:, None]) @ axes.transpose(0, 2, 1)
            across = np.zeros_like(part)
            across[1:] = roots[1:] @ roots[:-1] * np.outer(scale, scale)
        # A frame that shows nothing ends a run of frames that err alike.
        seen = np.any(part != 0.0, axis=(1, 2)).astype(np.float64)
        follows = np.append(0.0, seen[1:] * seen[:-1])
        led = np.append(follows[1:], 0.0)
        surplus = rho**2 / (1.0 - rho**2)
        own, back = np.zeros_like(self.own), np.zeros_like(self.own)
        rows, columns = used[:, None], used[None, :]
        own[:, rows, columns] = part * (1.0 + surplus * (follows + led))[:, None, None]
        back[:, rows, columns] = -rho / (1.0 - rho**2) * across * follows[:, None, None]
        return Information(own, (back, _nothing(own)))


def _nothing(like: np.ndarray) -> np.ndarray:
    """Zeros of a shape that take no memory: most terms tie no frames."""
    return np.broadcast_to(0.0, like.shape)


def _is_nothing(blocks: np.ndarray) -> bool:
    return not any(blocks.strides)


@dataclass(frozen=True, eq=False)
class Marginals:
    """Covariance of the unknowns of each frame and of the shared ones, all others being unknown as well.

    Attributes:
        own: of each frame's unknowns and, behind them, the shared ones (frame, column, column).
        back: of each frame with the one before, and with the one before that, two arrays (frame, column, column); those
            of frames that have none before are zero.
        width: so many of the columns are the frame's own.
    """

    own: np.ndarray
    back: tuple[np.ndarray, np.ndarray]
    width: int

    @property
    def shared(self) -> np.ndarray:
        """Covariance of the shared unknowns (shared, shared)."""
        return self.own[0, self.width :, self.width :]

    def explained(self, information: Information) -> float:
        """How many degrees of freedom of residuals the unknowns take up: the trace of information times covariance."""
        total = np.vdot(information.own, self.own)
        tied = [pair for pair in zip(information.back, self.back, strict=True) if not _is_nothing(pair[0])]
        return float(total + 2.0 * sum(np.vdot(*pair) for pair in tied))


def invert(information: Information, width: int, floor: np.ndarray, considered: Sequence[int] = ()) -> Marginals:
    """The blocks of the inverse that :class:`Marginals` holds.

    Args:
        information: of all residuals.
        width: so many of the columns are a frame's own, the others are shared.
        floor: added to the diagonal, of a frame's columns in each frame, of the shared ones once (column,).
        considered: shared columns that were held while the others were found: residuals have not told of them, so
            they are as unsure as their floor says, and all others by as much as they follow from them (a consider
            covariance: Schmidt 1966).

    Raises:
        numpy.linalg.LinAlgError: the matrix is not positive definite, whatever is added.
    """
    frame_count, column_count = information.own.shape[:2]
    inner, outer = slice(0, width), slice(width, None)
    own = information.own[:, inner, inner] + np.diag(floor[inner])
    back = [information.back[lag][:, inner, inner] for lag in range(LAGS)]
    # Unknowns differ in unit by many orders of magnitude; in these all curvatures are at most one.
    scale = 1.0 / np.sqrt(own.diagonal(axis1=1, axis2=2).max(axis=0))
    scaling = np.outer(scale, scale)
    own = own * scaling
    own[:, range(width), range(width)] += _LEAST
    border, corner = _border(information, width)
    with one_thread():
        factor = _Factor(own, [each * scaling for each in back])
        blocks = factor.inverse()
        solved = factor.solve(border * scale[:, None]) * scale[:, None]
        told = corner + np.diag(floor[outer]) - np.einsum("fik,fil->kl", border, solved)
        shared = np.linalg.inv(_held(told, floor[outer], np.array(considered, dtype=int) - width))
        shared = 0.5 * (shared + shared.T)
        cross = -solved @ shared
        found = [np.zeros((frame_count, column_count, column_count)) for _ in range(1 + LAGS)]
        for lag, block in enumerate(blocks):
            later, earlier = slice(lag, None), slice(0, frame_count - lag)
            carried = -cross[later] @ solved[earlier].transpose(0, 2, 1)
            found[lag][later, inner, inner] = block[later] * scaling + carried
            found[lag][later, inner, outer] = cross[later]
            found[lag][later, outer, inner] = cross[earlier].transpose(0, 2, 1)
            found[lag][later, outer, outer] = shared
    return Marginals(found[0], (found[1], found[2]), width)


def _held(matrix: np.ndarray, floor: np.ndarray, considered: np.ndarray) -> np.ndarray:
    """The information of shared unknowns, of some of which residuals have told nothing."""
    if not len(considered):
        return matrix
    others = np.setdiff1d(np.arange(len(matrix)), considered)
    across = matrix[np.ix_(others, considered)]
    followed = across.T @ np.linalg.solve(matrix[np.ix_(others, others)], across)
    held = matrix.copy()
    held[np.ix_(considered, considered)] = np.diag(floor[considered]) + followed
    return held


def _border(information: Information, width: int) -> tuple[np.ndarray, np.ndarray]:
    """How the shared unknowns are coupled with each frame's (frame, column, shared), and with each other."""
    inner, outer = slice(0, width), slice(width, None)
    border = information.own[:, inner, outer].copy()
    corner = information.own[:, outer, outer].sum(axis=0)
    for lag, back in enumerate(information.back, start=1):
        border += back[:, inner, outer]
        border[:-lag] += back[lag:, outer, inner].transpose(0, 2, 1)
        across = back[:, outer, outer].sum(axis=0)
        corner = corner + across + across.T
    return border, corner


class _Factor:
    """L D L' of a block-banded matrix, L being unit lower triangular by blocks.

    Args:
        own: diagonal blocks (frame, n, n).
        back: blocks of each frame with the one before and the one before that, each (frame, n, n).
    """

    def __init__(self, own: np.ndarray, back: list[np.ndarray]):
        count = len(own)
        self._lower = [np.zeros_like(own) for _ in range(LAGS)]  # L of a frame with the ones before
        self._roots = np.zeros_like(own)  # Cholesky factors of D
        for frame in range(count):
            block = own[frame].copy()
            links = [back[lag - 1][frame] if frame >= lag else None for lag in (1, 2)]
            near, far = links
            if far is not None:
                half = solve_triangular(self._roots[frame - 2], far.T, lower=True, check_finite=False)
                self._lower[1][frame] = self._back_substitute(frame - 2, half)
                block -= half.T @ half
                # What the frame shares with the one before through the frame before that.
                near = near - far @ self._lower[0][frame - 1].T if near is not None else None
            if near is not None:
                half = solve_triangular(self._roots[frame - 1], near.T, lower=True, check_finite=False)
                self._lower[0][frame] = self._back_substitute(frame - 1, half)
                block -= half.T @ half
            self._roots[frame] = np.linalg.cholesky(block)

    def _back_substitute(self, frame: int, half: np.ndarray) -> np.ndarray:
        return solve_triangular(self._roots[frame], half, lower=True, trans=1, check_finite=False).T

    def _own_inverse(self, frame: int) -> np.ndarray:
        root = solve_triangular(self._roots[frame], np.eye(len(self._roots[frame])), lower=True, check_finite=False)
        return root.T @ root

    def inverse(self) -> list[np.ndarray]:
        """Blocks of the inverse: of each frame with itself, with the one before, and with the one before that."""
        count = len(self._roots)
        own, near, far = (np.zeros_like(self._roots) for _ in range(1 + LAGS))
        for frame in range(count - 1, -1, -1):
            block = self._own_inverse(frame)
            one = self._lower[0][frame + 1] if frame + 1 < count else None
            two = self._lower[1][frame + 2] if frame + 2 < count else None
            if one is not None:
                near[frame + 1] = -own[frame + 1] @ one
                if two is not None:
                    near[frame + 1] -= near[frame + 2].T @ two
                    far[frame + 2] = -near[frame + 2] @ one - own[frame + 2] @ two
                    block -= two.T @ far[frame + 2]
                block -= one.T @ near[frame + 1]
            own[frame] = 0.5 * (block + block.T)
        return [own, near, far]

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Solutions (frame, n, k) for right-hand sides (frame, n, k)."""
        found = right.copy()
        count = len(found)
        for frame in range(count):
            for lag in (1, 2):
                if frame >= lag:
                    found[frame] -= self._lower[lag - 1][frame] @ found[frame - lag]
        for frame in range(count - 1, -1, -1):
            root = self._roots[frame]
            half = solve_triangular(root, found[frame], lower=True, check_finite=False)
            found[frame] = solve_triangular(root, half, lower=True, trans=1, check_finite=False)
            for lag in (1, 2):
                if frame + lag < count:
                    found[frame] -= self._lower[lag - 1][frame + lag].T @ found[frame + lag]
        return found
