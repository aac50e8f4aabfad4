"""Points of one body at a rigid one: where they are, how far from it, how much they touch, and the sums of that."""

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.contact_samples import BLOCK, Pair
from tests.fit_samples import one_of, wander
from warpprior.kernels.contacts import Reach, weigh_contacts


def test_sums_of_weights(device):
    """A frame's own weight, and the geometric mean shared with the frame before; the first frame shares none."""
    pair = Pair(device)
    contacts, touch = pair.contacts(pair.weights)
    sums = contacts.sums.numpy()
    shared = np.sqrt(pair.weights[1:] * pair.weights[:-1]).sum(axis=1)
    expected = np.column_stack([pair.weights.sum(axis=1), [0.0, *shared]])
    np.testing.assert_allclose(sums, expected, rtol=1e-5)
    np.testing.assert_allclose(touch.numpy(), 0.25 + expected[:, 1], rtol=1e-5)


class Weighed:
    """Points near an inclined plane, baked on a grid, and what was looked up of them."""

    def __init__(self, device, *, hold_weights=False):
        self.normal, offset = np.array([0.6, -0.48, 0.64]), -0.01
        ticks = np.linspace(-0.1, 0.1, 9)
        grid = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1) @ self.normal + offset
        motion = wander(BLOCK, 2)
        poses = np.hstack([motion.position, motion.rotation])
        self.expected_places = np.random.default_rng(3).uniform(-0.09, 0.09, (2, 30, 3))
        self.distance = self.expected_places @ self.normal + offset
        turns = Rotation.from_quat(poses[:, 3:]).as_matrix()
        points = np.einsum("fij,fpj->fpi", turns, self.expected_places) + poses[:, None, :3]
        points[1, 4] = np.nan
        self.bad = np.zeros((2, 30), dtype=bool)
        self.bad[1, 4] = True

        def make(values, dtype):
            return wp.array(np.asarray(values, dtype=np.float32), dtype=dtype, device=device)

        found = [wp.full((2, 30), dtype(1e9), dtype=dtype, device=device) for dtype in (wp.vec3, wp.vec4, wp.float32)]
        weigh_contacts(
            make(points, wp.vec3), make(np.full(30, 1.0 / 30.0), wp.float32), make(poses, wp.transform),
            make(grid, wp.float32), wp.vec3(-0.1, -0.1, -0.1), 40.0, make([1.0], wp.float32),
            one_of(Reach, device, distance=0.003, softness=0.001), int(hold_weights),
            places_out=found[0], samples_out=found[1], weights_out=found[2],
        )  # fmt: skip
        self.places, self.samples, self.weights = (array.numpy() for array in found)


@pytest.mark.parametrize("hold_weights", [False, True])
def test_weighing_looks_up_places_and_distances(nan_allowed, device, hold_weights):
    """On a grid of an inclined plane places and distances are exact and weights a sigmoid's; NaN weighs nothing."""
    found = Weighed(device, hold_weights=hold_weights)
    good = ~found.bad
    np.testing.assert_allclose(found.places[good], found.expected_places[good], atol=1e-6)
    np.testing.assert_allclose(found.samples[good, 3], found.distance[good], atol=1e-6)
    np.testing.assert_allclose(found.samples[good, :3], np.tile(found.normal, (59, 1)), atol=1e-4)
    assert np.isfinite(found.samples[found.bad]).all()
    if hold_weights:
        np.testing.assert_array_equal(found.weights, np.float32(1e9))
        return
    expected = 1.0 / 30.0 / (1.0 + np.exp(np.clip((found.distance - 0.003) / 0.001, -30.0, 30.0)))
    np.testing.assert_allclose(found.weights[good], expected[good], rtol=2e-3, atol=1e-12)
    assert (found.weights[found.bad] < 1e-10).all()
