"""The covariance of a transferred pose against its equation in float64 (trials: tests/test_geometry_public.py)."""

import numpy as np
import warp as wp
from scipy.spatial.transform import Rotation

from tests.gradcheck import POISON
from warpprior.kernels.transfer_covariance import spread_transfer

PAIRS = 3


def hat(v):
    return np.array([[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]])


def test_a_turn_about_the_middle_moves_the_origin(device):
    """Position and turn vary together by the arm from the origin to the contacts; without weight there is no arm."""
    random = np.random.default_rng(0)
    turns = Rotation.random(PAIRS, random_state=1).as_matrix()
    roots = random.normal(scale=0.1, size=(PAIRS, 3, 3))
    spreads, variances = roots @ roots.swapaxes(1, 2), random.uniform(1e-6, 1e-4, PAIRS)
    sums, weights = random.normal(scale=0.1, size=(PAIRS, 3)), np.array([2.0, 0.5, 0.0])
    covariance = wp.full((PAIRS, 6, 6), POISON, dtype=wp.float32, device=device)
    spread_transfer(
        wp.array(turns, dtype=wp.mat33, device=device),
        wp.array(weights, dtype=wp.float32, device=device),
        wp.array(sums, dtype=wp.vec3, device=device),
        wp.array(spreads, dtype=wp.mat33, device=device),
        wp.array(variances, dtype=wp.float32, device=device),
        covariance_out=covariance,
    )
    for pair in range(PAIRS):
        turn = turns[pair] @ spreads[pair] @ turns[pair].T
        arm = turns[pair] @ sums[pair] / weights[pair] if weights[pair] else np.zeros(3)
        moved = np.vstack([hat(arm), np.eye(3)])
        expected = moved @ turn @ moved.T
        expected[:3, :3] += variances[pair] * np.eye(3)
        np.testing.assert_allclose(covariance.numpy()[pair], expected, rtol=1e-4, atol=1e-8)
