"""How sure the unknowns of a sequence are: the blocks of the inverse of a block-banded matrix with a border.

The whole inverse is dense, and hardly any of it is asked for.  The blocks on the diagonal, and those beside it, follow
from the factor alone, backwards frame by frame (Takahashi, Fagan and Chen, "Formation of a sparse bus impedance matrix
and its application to short circuit study", PICA 1973); the border adds a correction of its own rank.

Blocks of long sequences are in temporary files, and few frames of them in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from warpprior.support.blas import one_thread
from warpprior.support.pieces import pieces
from warpprior.support.stored import forget, stored_zeros

LAGS = 2  # frames before that a frame is coupled with
PIECE = 64  # frames that are looked at together
HELD_FRAMES = 256  # sequences of more are in files
_LEAST = 1e-12  # of a curvature, as a share of the largest of its unknown: less is rounding


def _blocks(frame_count: int, size: int) -> np.ndarray:
    """Zeros (frame, size, size)."""
    few = None if frame_count <= HELD_FRAMES else 0
    return stored_zeros((frame_count, size, size), np.float64, few=few)


def diagonals(hessian: np.ndarray) -> np.ndarray:
    """Diagonals of the blocks of frames with themselves (frame, column), as kernels add to them; see below."""
    found = hessian[:, 0].diagonal(axis1=1, axis2=2).copy()
    found[:-1] += hessian[1:, 3].diagonal(axis1=1, axis2=2)
    return found


class Information:
    """What residuals say of all unknowns: a quadratic form in a frame's unknowns and, behind them, the shared ones.

    Args:
        diagonal: of the blocks of frames with themselves (frame, column).
        lags: how many frames before those are that frames are coupled with.

    Attributes:
        frame_count, column_count: of the blocks.
    """

    def __init__(self, diagonal: np.ndarray, lags: Sequence[int]):
        self.frame_count, self.column_count = diagonal.shape
        self._most = diagonal.max(axis=0)
        self._used = np.flatnonzero(self._most != 0.0)  # most terms know of few
        size = len(self._used)
        self._own = _blocks(self.frame_count, size)
        self._back = {lag: _blocks(self.frame_count, size) for lag in lags}

    @classmethod
    def read(cls, hessian: np.ndarray, share: float = 1.0) -> Information:
        """From a share of the blocks that kernels add to (frame, 4, column, column).

        See :mod:`warpprior.kernels.rows`.
        """
        lags = [lag for lag in range(1, 1 + LAGS) if hessian[:, lag].any()]
        found = cls(share * diagonals(hessian), lags)
        for piece in pieces(found.frame_count, PIECE):
            lower = hessian[piece, 0]
            after = hessian[piece.start + 1 : piece.stop + 1, 3]
            lower = np.concatenate([lower[: len(after)] + after, lower[len(after) :]])
            found._put(piece, share * (np.tril(lower) + np.tril(lower, -1).transpose(0, 2, 1)), found._own)
            for lag, blocks in found._back.items():
                found._put(piece, share * hessian[piece, lag], blocks)
        return found

    def _put(self, piece: slice, values: np.ndarray, blocks: np.ndarray) -> None:
        """Store blocks (frame, column, column) of some frames."""
        blocks[piece] = values[:, self._used[:, None], self._used]
        forget(blocks[piece])

    def own(self, frames: slice) -> np.ndarray:
        """Blocks of some frames with themselves, symmetric (frame, column, column)."""
        return self._dense(self._own, frames)

    def back(self, lag: int, frames: slice) -> np.ndarray | None:
        """Blocks of some frames with those so many before, zero where there are none; None where none are coupled."""
        return self._dense(self._back[lag], frames) if lag in self._back else None

    def _dense(self, blocks: np.ndarray, frames: slice) -> np.ndarray:
        found = np.zeros((len(blocks[frames]), self.column_count, self.column_count))
        found[:, self._used[:, None], self._used] = blocks[frames]
        forget(blocks[frames])
        return found

    def alike(self, frames: float) -> Information:
        """The same where the errors of so many frames in a row are alike; of residuals that concern one frame each.

        Errors e_t of the residuals go on from frame to frame as a first-order process of correlation
        rho = (frames - 1) / (frames + 1): the mean of many is as sure as if they were so many times fewer, and a frame
        alone is as sure as before.  In differences (e_t - rho e_{t-1}) / sqrt(1 - rho^2), which are independent, each
        frame is coupled with the one before.  Residuals of one frame and the next are paired by the symmetric roots of
        what they say of the unknowns.
        """
        rho = (frames - 1.0) / (frames + 1.0)
        if rho <= 0.0 or not len(self._used):
            return self
        scale = np.sqrt(self._most[self._used])
        scaling = np.outer(scale, scale)
        surplus = rho**2 / (1.0 - rho**2)
        found = Information(np.broadcast_to(self._most, (self.frame_count, self.column_count)), [1])
        for piece in pieces(self.frame_count, PIECE):
            first = max(piece.start - 1, 0)  # with the frame before, and the one after
            part, count = self._own[first : piece.stop + 1], piece.stop - piece.start
            with one_thread():
                spread, axes = np.linalg.eigh(part / scaling)
                roots = (axes * np.sqrt(np.maximum(spread, 0.0))[:, None]) @ axes.transpose(0, 2, 1)
                across = np.zeros_like(part)
                across[1:] = roots[1:] @ roots[:-1] * scaling
            # A frame that shows nothing ends a run of frames that err alike.
            seen = np.any(part != 0.0, axis=(1, 2)).astype(np.float64)
            follows = np.append(0.0, seen[1:] * seen[:-1])
            led = np.append(follows[1:], 0.0)
            here = slice(piece.start - first, piece.start - first + count)
            found._own[piece] = (part * (1.0 + surplus * (follows + led))[:, None, None])[here]
            found._back[1][piece] = (-rho / (1.0 - rho**2) * across * follows[:, None, None])[here]
            for blocks in (self._own, found._own, found._back[1]):
                forget(blocks[piece])
        return found


@dataclass(frozen=True, eq=False)
class Piece:
    """Covariance of the unknowns of some frames.

    Attributes:
        frames: which.
        own: of each frame's unknowns and, behind them, the shared ones (frame, column, column).
        ahead: of the next frame with each, and of the one after that with each, two arrays (frame, column, column);
            zero where there are none.
    """

    frames: slice
    own: np.ndarray
    ahead: tuple[np.ndarray, np.ndarray]


class Marginals:
    """Covariance of the unknowns of each frame and of the shared ones, all others being unknown as well.

    Attributes:
        shared: covariance of the shared unknowns (shared, shared).
        width: so many of the columns are the frame's own.
    """

    def __init__(self, factor: _Factor, scale: np.ndarray, solved: np.ndarray, shared: np.ndarray):
        self._factor, self._scaling, self._solved = factor, np.outer(scale, scale), solved
        self.shared, self.width = shared, len(scale)
        self._cross = -solved @ shared

    def each(self) -> Iterator[Piece]:
        """Some frames at a time, the last first."""
        frame_count, width = self._solved.shape[:2]
        inner, outer = slice(0, width), slice(width, None)
        columns = width + len(self.shared)
        blocks = self._factor.inverse()
        for frames in reversed(pieces(frame_count, PIECE)):
            found = np.zeros((1 + LAGS, frames.stop - frames.start, columns, columns))
            with one_thread():
                for place in range(frames.stop - frames.start - 1, -1, -1):
                    for lag, block in enumerate(next(blocks)):
                        found[lag, place, inner, inner] = block * self._scaling
                for lag in range(1 + LAGS):
                    later = slice(frames.start + lag, min(frames.stop + lag, frame_count))
                    count = max(later.stop - later.start, 0)
                    earlier, here = slice(frames.start, frames.start + count), found[lag, :count]
                    if count:
                        here[:, inner, inner] -= self._cross[later] @ self._solved[earlier].transpose(0, 2, 1)
                        here[:, inner, outer] = self._cross[later]
                        here[:, outer, inner] = self._cross[earlier].transpose(0, 2, 1)
                        here[:, outer, outer] = self.shared
            yield Piece(frames, found[0], (found[1], found[2]))

    def explained(self, told: Sequence[Information]) -> np.ndarray:
        """How many degrees of freedom of residuals the unknowns take up: traces of informations times covariance."""
        total = np.zeros(len(told))
        for piece in self.each():
            for number, information in enumerate(told):
                total[number] += np.vdot(information.own(piece.frames), piece.own)
                for lag, ahead in enumerate(piece.ahead, start=1):
                    back = information.back(lag, slice(piece.frames.start + lag, piece.frames.stop + lag))
                    if back is not None:
                        total[number] += 2.0 * np.vdot(back, ahead[: len(back)])
        return total


def invert(
    told: Sequence[tuple[float, Information]], width: int, floor: np.ndarray, considered: Sequence[int] = ()
) -> Marginals:
    """The blocks of the inverse that :class:`Marginals` holds.

    Args:
        told: informations, which add up, each times a factor; at least one.
        width: so many of the columns are a frame's own, the others are shared.
        floor: added to the diagonal, of a frame's columns in each frame, of the shared ones once (column,).
        considered: shared columns that were held while the others were found: residuals have not told of them, so
            they are as unsure as their floor says, and all others by as much as they follow from them (a consider
            covariance: Schmidt 1966).

    Raises:
        numpy.linalg.LinAlgError: the matrix is not positive definite, whatever is added.
    """
    frame_count, column_count = told[0][1].frame_count, told[0][1].column_count
    outer = slice(width, None)
    inside = [_blocks(frame_count, width) for _ in range(1 + LAGS)]
    border = np.zeros((frame_count, width, column_count - width))
    corner, most = np.zeros((column_count - width,) * 2), np.zeros(width)
    for frames in pieces(frame_count, PIECE):
        own, back = _total(told, frames)
        _add_border(own, back, frames, border, corner)
        for blocks, values in zip(inside, (own, *back), strict=True):
            blocks[frames] = values[:, :width, :width]
        inside[0][frames] += np.diag(floor[:width])
        np.maximum(most, inside[0][frames].diagonal(axis1=1, axis2=2).max(axis=0), out=most)
        for blocks in inside:
            forget(blocks[frames])
    # Unknowns differ in unit by many orders of magnitude; in these all curvatures are at most one.
    scale = 1.0 / np.sqrt(most)
    with one_thread():
        factor = _Factor(inside, np.outer(scale, scale))
        solved = factor.solve(border * scale[:, None]) * scale[:, None]
        left = corner + np.diag(floor[outer]) - np.einsum("fik,fil->kl", border, solved)
        shared = np.linalg.inv(_held(left, floor[outer], np.array(considered, dtype=int) - width))
    return Marginals(factor, scale, solved, 0.5 * (shared + shared.T))


def _total(told: Sequence[tuple[float, Information]], frames: slice) -> tuple[np.ndarray, list[np.ndarray]]:
    """The sum of informations in some frames, each times a factor."""
    first = told[0][1].own(frames)
    own, back = np.zeros_like(first), [np.zeros_like(first) for _ in range(LAGS)]
    for factor, information in told:
        own += factor * information.own(frames)
        for lag, total in enumerate(back, start=1):
            blocks = information.back(lag, frames)
            if blocks is not None:
                total += factor * blocks
    return own, back


def _add_border(own: np.ndarray, back: list[np.ndarray], frames: slice, border: np.ndarray, corner: np.ndarray) -> None:
    """Add how the shared unknowns are coupled with some frames' (frame, column, shared), and with each other."""
    width = border.shape[1]
    inner, outer = slice(0, width), slice(width, None)
    border[frames] += own[:, inner, outer]
    corner += own[:, outer, outer].sum(axis=0)
    for lag, blocks in enumerate(back, start=1):
        border[frames] += blocks[:, inner, outer]
        later = blocks[max(lag - frames.start, 0) :]
        start = max(frames.start - lag, 0)
        border[start : start + len(later)] += later[:, outer, inner].transpose(0, 2, 1)
        across = blocks[:, outer, outer].sum(axis=0)
        corner += across + across.T


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


class _Factor:
    """L D L' of a block-banded matrix, L being unit lower triangular by blocks.

    Args:
        blocks: of each frame with itself, with the one before and the one before that, each (frame, n, n); the factor
            takes their place.
        scaling: what they are multiplied by (n, n).
    """

    def __init__(self, blocks: Sequence[np.ndarray], scaling: np.ndarray):
        self._roots = blocks[0]  # Cholesky factors of D
        self._lower = blocks[1:]  # L of a frame with the ones before
        count = len(self._roots)
        for frame in range(count):
            block = self._roots[frame] * scaling
            block[range(len(block)), range(len(block))] += _LEAST
            links = [self._lower[lag - 1][frame] * scaling if frame >= lag else None for lag in (1, 2)]
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
            self._looked_at(frame)

    def _looked_at(self, frame: int) -> None:
        """Give the memory back that some frames take, when the last of them in a row was looked at."""
        if frame % PIECE == 0:
            for blocks in (self._roots, *self._lower):
                forget(blocks[max(frame - PIECE, 0) : frame + PIECE])

    def _back_substitute(self, frame: int, half: np.ndarray) -> np.ndarray:
        return solve_triangular(self._roots[frame], half, lower=True, trans=1, check_finite=False).T

    def _own_inverse(self, frame: int) -> np.ndarray:
        root = solve_triangular(self._roots[frame], np.eye(len(self._roots[frame])), lower=True, check_finite=False)
        return root.T @ root

    def inverse(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Blocks of the inverse, frame by frame from the last: with itself, of the next with it, of the one after that.

        They are zero where there is no such frame.
        """
        count = len(self._roots)
        nothing = np.zeros_like(self._roots[0])
        after, after_two, between = nothing, nothing, nothing  # of the next, of the one after that, and of both
        for frame in range(count - 1, -1, -1):
            block = self._own_inverse(frame)
            near = far = nothing
            if frame + 1 < count:
                one = self._lower[0][frame + 1]
                near = -after @ one
                if frame + 2 < count:
                    two = self._lower[1][frame + 2]
                    near -= between.T @ two
                    far = -between @ one - after_two @ two
                    block -= two.T @ far
                block -= one.T @ near
            own = 0.5 * (block + block.T)
            self._looked_at(frame)
            yield own, near, far
            after, after_two, between = own, after, near

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Solutions (frame, n, k) for right-hand sides (frame, n, k)."""
        found = right.copy()
        count = len(found)
        for frame in range(count):
            for lag in (1, 2):
                if frame >= lag:
                    found[frame] -= self._lower[lag - 1][frame] @ found[frame - lag]
            self._looked_at(frame)
        for frame in range(count - 1, -1, -1):
            root = self._roots[frame]
            half = solve_triangular(root, found[frame], lower=True, check_finite=False)
            found[frame] = solve_triangular(root, half, lower=True, trans=1, check_finite=False)
            for lag in (1, 2):
                if frame + lag < count:
                    found[frame] -= self._lower[lag - 1][frame + lag].T @ found[frame + lag]
            self._looked_at(frame)
        return found
