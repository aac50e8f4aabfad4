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


def weigh(places, weights, normals, *, segments=SEGMENTS, paces=PACES, around=1, device="cpu"):
    """What the kernel makes of places (frame, point, 3), outputs poisoned first."""
    frames, points = weights.shape
    contacts = Contacts()
    contacts.places = as_device(places, wp.vec3, device)
    frozen = np.concatenate([normals, np.zeros((frames, points, 1))], axis=2)
    contacts.frozen, contacts.weights = as_device(frozen, wp.vec4, device), as_device(weights, wp.float32, device)
    slip = one_of(Slip, device, weight=1.0, width=0.01, free_normal=FREE, slide=SLIDE, drifting=DRIFTING)
    drifts = wp.full((frames, points), wp.vec4(POISON), dtype=wp.vec4, device=device)
    given = (as_device(segments, wp.int32, device), as_device(paces, wp.float32, device))
    weigh_sticking(contacts, *given, slip, around, drifts_out=drifts)
    return drifts.numpy()


def twin(places, weights, normals, around):
    """The same in float64, with loops over windows spelt out."""
    frames, points = weights.shape
    found = np.zeros((frames, points, 4))
    for frame in range(frames):
        total, pairs = np.zeros((points, 3)), np.full(points, 1e-300)
        for other in range(max(frame - around, 1), min(frame + around, frames - 1) + 1):
            if len({SEGMENTS[other], SEGMENTS[other - 1], SEGMENTS[frame]}) == 1:
                move = places[other] - places[other - 1]
                move = move - FREE * normals[other] * np.sum(normals[other] * move, axis=1, keepdims=True)
                both = np.sqrt(weights[other] * weights[other - 1])
                total, pairs = total + both[:, None] * PACES[other] * move, pairs + both
        mean = total / pairs[:, None]
        slides = 1.0 - (1.0 + np.sum(mean**2, axis=1) / SLIDE**2) ** -2
        found[frame] = np.column_stack([slides[:, None] * mean, DRIFTING + (1.0 - slides) * (1.0 - DRIFTING)])
    return found


@pytest.mark.parametrize("around", [0, 1, 3])
def test_the_twin_agrees(device, around):
    """Sequences of five, four and one frame at uneven times; some contacts come and go."""
    random = np.random.default_rng(3)
    places = 1e-3 * random.normal(size=(10, 7, 3)).cumsum(axis=0)
    weights = random.uniform(size=(10, 7)) * (random.uniform(size=(10, 7)) < 0.7)
    normals = random.normal(size=(10, 7, 3))
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    found = weigh(places, weights, normals, around=around, device=device)
    np.testing.assert_allclose(found, twin(places, weights, normals, around), rtol=2e-4, atol=2e-8)


def test_what_goes_to_and_fro_sticks_and_what_goes_on_slides():
    """Of two contacts that move by 3 mm in each frame, the one that returns sticks."""
    frames = 10
    places = np.zeros((frames, 2, 3))
    places[:, 0, 0] = 3e-3 * (np.arange(frames) % 2)
    places[:, 1, 0] = 3e-3 * np.arange(frames)
    options = {"segments": np.zeros(frames), "paces": np.ones(frames), "around": 2}
    drifts = weigh(places, np.ones((frames, 2)), np.zeros((frames, 2, 3)), **options)[2:-2]
    assert (drifts[:, 0, 3] > 0.6).all() and (np.abs(drifts[:, 0, :3]) < 0.3e-3).all()
    assert (drifts[:, 1, 3] < 0.2).all() and (drifts[:, 1, 0] > 2.5e-3).all()
