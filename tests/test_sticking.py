"""Which contacts stick and which slide, against a float64 twin, and what that does to a motion."""

import numpy as np
import pytest
import warp as wp

from tests.fit_samples import as_device, one_of
from tests.gradcheck import POISON
from warpprior.kernels.contacts import Contacts
from warpprior.kernels.sliding import Slip
from warpprior.kernels.sticking import weigh_sticking

SLIDE, DRIFTING, FREE = 1.2e-3, 0.1, 0.5
SEGMENTS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 2])
PACES = np.array([1.0, 0.5, 1.25, 0.8, 1.0, 0.3, 2.0, 1.0, 0.5, 1.0])


def weigh(places, weights, normals, *, segments=SEGMENTS, paces=PACES, around=1, axis=(0, 0, 0), device="cpu"):
    """What the kernel makes of places (frame, point, 3), outputs poisoned first."""
    frames, points = weights.shape
    contacts = Contacts()
    contacts.places = as_device(places, wp.vec3, device)
    frozen = np.concatenate([normals, np.zeros((frames, points, 1))], axis=2)
    contacts.frozen, contacts.weights = as_device(frozen, wp.vec4, device), as_device(weights, wp.float32, device)
    slip = one_of(Slip, device, weight=1.0, width=0.01, free_normal=FREE, slide=SLIDE, drifting=DRIFTING, symmetry=axis)
    drifts = wp.full((frames, points), wp.vec4(POISON), dtype=wp.vec4, device=device)
    given = (as_device(segments, wp.int32, device), as_device(paces, wp.float32, device))
    weigh_sticking(contacts, *given, slip, around, drifts_out=drifts)
    return drifts.numpy()


def twin(places, weights, normals, around, axis):
    """The same in float64, with loops over windows spelt out."""
    frames, points = weights.shape
    found = np.zeros((frames, points, 4))
    for frame in range(frames):
        window = [
            other
            for other in range(max(frame - around, 1), min(frame + around, frames - 1) + 1)
            if len({SEGMENTS[other], SEGMENTS[other - 1], SEGMENTS[frame]}) == 1
        ]
        for point in range(points):
            both = np.array([np.sqrt(weights[other, point] * weights[other - 1, point]) for other in window])
            moves = np.array([places[other, point] - places[other - 1, point] for other in window]).reshape(-1, 3)
            across = normals[window, point]
            moves = (moves - FREE * across * np.sum(across * moves, axis=1, keepdims=True)) * PACES[window, None]
            unseen = np.cross(axis, places[frame, point]) / max(
                np.linalg.norm(np.cross(axis, places[frame, point])), 1e-9
            )
            moves = moves - unseen * np.sum(unseen * moves, axis=1, keepdims=True)
            pairs = np.outer(both, both) * (1.0 - np.eye(len(window)))
            found[frame, point] = [0.0, 0.0, 0.0, 1.0]
            if pairs.sum() > 0.1 * both.sum() ** 2:
                onward = np.sum(pairs * (moves @ moves.T)) / pairs.sum()
                slides = 1.0 / (1.0 + np.exp(5.0 * (1.0 - onward / SLIDE**2)))
                found[frame, point, :3] = slides * (both @ moves) / both.sum()
                found[frame, point, 3] = DRIFTING + (1.0 - slides) * (1.0 - DRIFTING)
    return found


@pytest.mark.parametrize(("around", "axis"), [(0, (0, 0, 0)), (1, (0, 0, 0)), (3, (0, 0, 0)), (2, (0, 1, 0))])
def test_the_twin_agrees(device, around, axis):
    """Sequences of five, four and one frame at uneven times; some contacts come and go."""
    random = np.random.default_rng(3)
    places = 1e-3 * random.normal(size=(10, 7, 3)).cumsum(axis=0)
    weights = random.uniform(size=(10, 7)) * (random.uniform(size=(10, 7)) < 0.7)
    normals = random.normal(size=(10, 7, 3))
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    found = weigh(places, weights, normals, around=around, axis=axis, device=device)
    np.testing.assert_allclose(found, twin(places, weights, normals, around, axis), rtol=2e-4, atol=2e-8)


def test_what_returns_or_jumps_sticks_and_what_goes_on_slides():
    """Three contacts: one moves by 3 mm in each frame and returns, one jumps by 25 mm, one goes on by 3 mm."""
    frames = np.arange(10)
    places = np.zeros((10, 3, 3))
    places[:, :, 0] = np.stack([3e-3 * (frames % 2), 25e-3 * (frames > 5), 3e-3 * frames], axis=1)
    options = {"segments": np.zeros(10), "paces": np.ones(10), "around": 2}
    drifts = weigh(places, np.ones((10, 3)), np.zeros((10, 3, 3)), **options)
    assert (drifts[:, :2, 3] > 0.98).all() and (np.abs(drifts[:, :2, :3]) < 0.1e-3).all()
    assert (drifts[1:, 2, 3] < 0.11).all() and (drifts[1:, 2, 0] > 2.9e-3).all()
