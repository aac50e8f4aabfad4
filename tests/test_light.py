"""The light that is fitted between a model's colours and a picture's, against least squares in float64."""

import numpy as np
import warp as wp

from tests.gradcheck import POISON
from tests.reference import shading as reference
from warpprior.kernels.light import fit_light


def test_light_matches_least_squares_despite_highlights(device):
    """Gains and offsets equal the twin's with a fifth of the samples blown out; plain colours keep the gain at one."""
    random = np.random.default_rng(5)
    shades = random.uniform(0.1, 0.9, (3, 200, 3)).astype(np.float32)
    normals = random.normal(size=(3, 200, 3)) - [0.0, 0.0, 1.5]
    normals = (normals / np.linalg.norm(normals, axis=2, keepdims=True)).astype(np.float32)
    truth = 0.7 + normals @ np.array([0.2, -0.1, -0.15])
    seen = (truth[..., None] * shades + 0.1 + 0.01 * random.normal(size=shades.shape)).astype(np.float32)
    seen[0, :40] = 1.0
    shades[1], normals[1] = 0.4, [0.0, 0.6, -0.8]
    faces = np.zeros((3, 200), dtype=np.int32)
    faces[0, ::7] = -1
    faces[2] = -1
    gains = wp.full((3, 200, 3), POISON, dtype=wp.float32, device=device)
    offsets = wp.full((3, 3), POISON, dtype=wp.float32, device=device)
    counts = wp.full(3, POISON, dtype=wp.float32, device=device)
    fit_light(
        wp.array(shades, dtype=wp.vec3, device=device),
        wp.array(normals, dtype=wp.vec3, device=device),
        wp.array(seen, dtype=wp.vec3, device=device),
        wp.array(faces, dtype=wp.int32, device=device),
        wp.full(1, 0.05, dtype=wp.float32, device=device),
        gains_out=gains,
        offsets_out=offsets,
        counts_out=counts,
    )
    use = faces[0] >= 0
    for channel in range(3):
        given = (values[0, use].astype(float) for values in (shades[..., channel], normals, seen[..., channel]))
        gain, offset = reference.fit_light(*given, 0.05)
        np.testing.assert_allclose(gains.numpy()[0, use, channel], gain, atol=2e-6)
        np.testing.assert_allclose(offsets.numpy()[0, channel], offset, atol=2e-6)
        assert np.abs(gain - truth[0, use]).mean() < 0.05
    np.testing.assert_allclose(gains.numpy()[1], 1.0, atol=0.02)
    np.testing.assert_allclose(0.4 * gains.numpy()[1, 0] + offsets.numpy()[1], seen[1].mean(axis=0), atol=0.02)
    np.testing.assert_array_equal(gains.numpy()[2], 1.0)
    np.testing.assert_array_equal(offsets.numpy()[2], 0.0)
    np.testing.assert_array_equal(counts.numpy(), [use.sum(), 200, 0])
