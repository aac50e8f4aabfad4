"""The blocks of a banded inverse with a border against the dense inverse, and what errors that are alike do to it."""

import numpy as np
import pytest

from tests.reference.equations import assemble
from warpprior.system import covariance
from warpprior.system.covariance import Information, invert

WIDTH = 5


def random_blocks(frames, shared, seed=0, spread=0.0, breaks=()):
    """Blocks as kernels leave them, of residuals over up to three frames; none cross a break."""
    random = np.random.default_rng(seed)
    total = WIDTH + shared
    hessian = np.zeros((frames, 4, total, total))
    scale = 10.0 ** random.uniform(-spread, spread, total)
    for frame in range(frames):
        for _ in range(3 * WIDTH):
            reach = min(frame, int(random.integers(0, 3)))
            while any(frame - reach < stop <= frame for stop in breaks):
                reach -= 1
            rows = random.normal(size=(reach + 1, total)) * scale
            for lag in range(reach + 1):
                hessian[frame - lag, 0] += np.outer(rows[lag], rows[lag])
            for lag in range(1, reach + 1):
                hessian[frame, lag] += np.outer(rows[0], rows[lag])
            if reach == 2:
                hessian[frame - 1, 1] += np.outer(rows[1], rows[2])
    return hessian


def blocks_of(own, back):
    """Blocks as kernels leave them, of frames with themselves and with the ones before."""
    return np.stack([own, back, np.zeros_like(own), np.zeros_like(own)], axis=1)


def whole(found, frames):
    """All blocks of frames with themselves, and with the one and the two before."""
    blocks = np.zeros((3, frames, *next(found.each()).own.shape[1:]))
    for piece in found.each():
        for lag, values in enumerate((piece.own, *piece.ahead)):
            for frame, value in enumerate(values, piece.frames.start):
                if frame + lag < frames:
                    blocks[lag, frame + lag] = value
    return blocks


def dense_inverse(blocks, floor):
    """The inverse of the whole matrix, with the shared unknowns last."""
    frames, _, total, _ = blocks.shape
    shared = total - WIDTH
    # One copy of the shared unknowns per frame, then all copies are one.
    copies = assemble(blocks)
    join = np.zeros((frames * total, frames * WIDTH + shared))
    for frame in range(frames):
        join[frame * total : frame * total + WIDTH, frame * WIDTH : (frame + 1) * WIDTH] = np.eye(WIDTH)
        join[frame * total + WIDTH : (frame + 1) * total, frames * WIDTH :] = np.eye(shared)
    matrix = join.T @ copies @ join + np.diag(np.concatenate([np.tile(floor[:WIDTH], frames), floor[WIDTH:]]))
    return join @ np.linalg.inv(matrix) @ join.T


@pytest.mark.parametrize("frames", [1, 2, 3, 8])
@pytest.mark.parametrize("shared", [0, 1, 3])
@pytest.mark.parametrize(("spread", "breaks"), [(0.0, ()), (3.0, ()), (0.0, (3, 5))], ids=["", "scaled", "segments"])
@pytest.mark.parametrize("piece", [64, 3], ids=["at once", "three at a time"])
def test_blocks_are_those_of_the_dense_inverse(frames, shared, spread, breaks, piece, monkeypatch):
    """Own blocks, those with the two frames before and the shared ones, to 1e-7 of their scale."""
    monkeypatch.setattr(covariance, "PIECE", piece)
    monkeypatch.setattr(covariance, "HELD_FRAMES", piece)  # more are in files
    given = random_blocks(frames, shared, 7, spread, breaks)
    total = WIDTH + shared
    floor = 1e-3 * covariance.diagonals(given).max(axis=0)
    expected = dense_inverse(given, floor).reshape(frames, total, frames, total)
    found = invert([(0.75, Information.read(given)), (2.0, Information.read(given, 0.125))], WIDTH, floor)
    sigma = np.sqrt(expected.reshape(frames * total, -1).diagonal()).reshape(frames, total)
    for lag, blocks in enumerate(whole(found, frames)):
        for frame in range(lag, frames):
            before = frame - lag
            scale = np.outer(sigma[frame], sigma[before])
            np.testing.assert_allclose(blocks[frame] / scale, expected[frame, :, before] / scale, atol=1e-7)
    np.testing.assert_array_equal(found.shared, next(found.each()).own[0, WIDTH:, WIDTH:])


def test_unknowns_take_up_as_many_degrees_of_freedom_as_there_are(monkeypatch):
    """Information times covariance has the trace of the unknowns where nothing else holds them."""
    information = Information.read(random_blocks(6, 2, 3))
    found = invert([(1.0, information)], WIDTH, np.zeros(WIDTH + 2))
    half = Information.read(random_blocks(6, 2, 3), 0.5)
    monkeypatch.setattr(covariance, "PIECE", 4)
    assert found.explained([information, half]) == pytest.approx([6 * WIDTH + 2, 3 * WIDTH + 1], rel=1e-6)


def test_errors_that_are_alike_count_once_in_a_mean_and_fully_in_a_frame():
    """A constant is as sure as from so many frames fewer; frames that nothing ties are as sure as before."""
    frames, alike = 400, 4.0
    own = np.zeros((frames, 2, 2))
    own[:, 0, 0] = 25.0
    nothing = np.zeros_like(own)
    seen = Information.read(blocks_of(own, nothing)).alike(alike)
    alone = invert([(1.0, seen)], 1, np.array([0.0, 1.0]))
    np.testing.assert_allclose(whole(alone, frames)[0, :, 0, 0], 1.0 / 25.0, rtol=1e-6)
    stiff, back = np.zeros_like(own), np.zeros_like(own)  # no frame differs from the one before
    stiff[1:, 0, 0] += 1e9
    stiff[:-1, 0, 0] += 1e9
    back[1:, 0, 0] = -1e9
    tied = invert([(1.0, seen), (1.0, Information.read(blocks_of(stiff, back)))], 1, np.array([0.0, 1.0]))
    variance = whole(tied, frames)[0, frames // 2, 0, 0]
    assert variance == pytest.approx(alike / (25.0 * frames), rel=0.05)


@pytest.mark.parametrize("shared", [1, 3])
def test_what_was_held_makes_others_unsure(shared):
    """The covariance without the last unknown, and on top of it what follows from its spread, which is its own."""
    frames, sigma = 4, 0.7
    given = random_blocks(frames, shared, 5)
    total = WIDTH + shared
    floor = np.full(total, 1e-3)
    floor[-1] = 1.0 / sigma**2
    found = invert([(1.0, Information.read(given))], WIDTH, floor, considered=[total - 1])
    own_blocks = whole(found, frames)[0]
    assert found.shared[-1, -1] == pytest.approx(sigma**2)
    inner = [frame * total + column for frame in range(frames) for column in range(WIDTH)]
    inner += range(WIDTH, total)  # the shared ones are alike in all frames
    matrix = np.linalg.inv(dense_inverse(given, floor)[np.ix_(inner, inner)])
    others, last = slice(0, -1), [-1]
    alone = np.linalg.inv(matrix[others, others])
    follows = alone @ matrix[others, last]
    expected = alone + sigma**2 * follows @ follows.T
    for frame in range(frames):
        own = slice(frame * WIDTH, (frame + 1) * WIDTH)
        np.testing.assert_allclose(own_blocks[frame, :WIDTH, :WIDTH], expected[own, own], rtol=1e-6, atol=1e-9)
