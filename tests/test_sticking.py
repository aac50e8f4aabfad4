"""Which contacts stick and which slide, against a float64 twin, and what that does to a motion."""

import numpy as np
import pytest
import warp as wp

from tests.fit_samples import as_device, one_of
from tests.gradcheck import POISON
from warpprior.kernels.contacts import Contacts
from warpprior.kernels.sliding import Slip
from warpprior.kernels.sticking import believe_sliding, find_sliding, share_sliding

SLIDE, DRIFTING, DEEPEST, FREE = 1.2e-3, 0.1, 2e-3, 0.5
SEGMENTS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 2])
PACES = np.array([1.0, 0.5, 1.25, 0.8, 1.0, 0.3, 2.0, 1.0, 0.5, 1.0])


def weigh(places, weights, samples, *, segments=SEGMENTS, paces=PACES, around=1, device="cpu"):
    """What the kernel makes of places (frame, point, 3), outputs poisoned first."""
    contacts = Contacts()
    contacts.places, contacts.frozen = as_device(places, wp.vec3, device), as_device(samples, wp.vec4, device)
    contacts.weights = as_device(weights, wp.float32, device)
    scales = {"free_normal": FREE, "slide": SLIDE, "drifting": DRIFTING, "deepest": DEEPEST}
    slip = one_of(Slip, device, **scales)
    found, drifts = (wp.full(weights.shape, wp.vec4(POISON), dtype=wp.vec4, device=device) for _ in range(2))
    shares = wp.full(len(weights), POISON, dtype=wp.float32, device=device)
    times = (as_device(segments, wp.int32, device), as_device(paces, wp.float32, device))
    find_sliding(contacts, *times, slip, around, found_out=found)
    share_sliding(contacts.weights, found, shares_out=shares)
    believe_sliding(found, shares, slip, drifts_out=drifts)
    return drifts.numpy()


def twin(places, weights, samples, around):
    """The same in float64, with windows and pairs of intervals spelt out."""
    frames, points = weights.shape
    found = np.zeros((frames, points, 4))
    for frame, point in np.ndindex(frames, points):
        window = [
            other
            for other in range(max(frame - around, 1), min(frame + around, frames - 1) + 1)
            if len({SEGMENTS[other], SEGMENTS[other - 1], SEGMENTS[frame]}) == 1
            and samples[other - 1 : other + 1, point, 3].min() > -DEEPEST
        ]
        both = np.array([np.sqrt(weights[other, point] * weights[other - 1, point]) for other in window])
        moves = np.array([places[other, point] - places[other - 1, point] for other in window]).reshape(-1, 3)
        across = samples[window, point, :3]
        moves = (moves - FREE * across * np.sum(across * moves, axis=1, keepdims=True)) * PACES[window, None]
        pairs = np.outer(both, both) * (1.0 - np.eye(len(window)))
        if pairs.sum() > 0.1 * both.sum() ** 2:
            onward = np.sum(pairs * (moves @ moves.T)) / pairs.sum()
            found[frame, point, :3] = (both @ moves) / both.sum()
            found[frame, point, 3] = 1.0 / (1.0 + np.exp(5.0 * (1.0 - onward / SLIDE**2)))
    share = np.sum(weights * found[..., 3], axis=1) / np.maximum(weights.sum(axis=1), 1e-12)
    slides = found[..., 3:] * (share**2 / (share**2 + (1.0 - share) ** 2))[:, None, None]
    return np.concatenate([slides * found[..., :3], 1.0 - slides * (1.0 - DRIFTING)], axis=2)


@pytest.mark.parametrize("around", [0, 1, 3])
def test_the_twin_agrees(device, around):
    """Sequences of five, four and one frame at uneven times; some contacts come and go."""
    random = np.random.default_rng(3)
    places = (1.5e-3 + 1e-3 * random.normal(size=(10, 7, 3))).cumsum(axis=0)
    weights = random.uniform(size=(10, 7)) * (random.uniform(size=(10, 7)) < 0.7)
    normals = random.normal(size=(10, 7, 3))
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    samples = np.concatenate([normals, 2e-3 * random.normal(size=(10, 7, 1))], axis=2)
    found = weigh(places, weights, samples, around=around, device=device)
    assert (found[..., 3] < 0.5).any() == (around > 0)
    np.testing.assert_allclose(found, twin(places, weights, samples, around), rtol=2e-4, atol=2e-8)


def test_what_returns_or_jumps_sticks_and_what_goes_on_slides():
    """Contacts that move by 3 mm in each frame and return, that jump by 25 mm, and that go on by 3 mm."""
    frames = np.arange(10)
    ways = np.stack([3e-3 * (frames % 2), 25e-3 * (frames > 5), 3e-3 * frames], axis=1)
    options = {"segments": np.zeros(10), "paces": np.ones(10), "around": 2}

    def drifts(count):
        places = np.zeros((10, 2 + count, 3))
        places[:, :, 0] = ways[:, [0, 1, *[2] * count]]
        return weigh(places, np.ones((10, 2 + count)), np.zeros((10, 2 + count, 4)), **options)[1:]

    most, alone = drifts(20), drifts(1)
    assert (most[:, :2, 3] > 0.98).all() and (np.abs(most[:, :2, :3]) < 0.1e-3).all()
    assert (most[:, 2:, 3] < 0.12).all() and (most[:, 2:, 0] > 2.8e-3).all()
    assert (alone[..., 3] > 0.8).all(), "what slips alone is not believed"
