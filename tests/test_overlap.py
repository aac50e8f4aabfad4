"""Overlap of drawing and label: counts and centroids against NumPy."""

import numpy as np
import warp as wp

from warpprior.kernels.overlap import count_bare, measure_overlap
from warpprior.system.label_fields import label_boxes


def test_counts_and_centroids(device):
    """Where the label is the body's or background the drawing counts; other labels and don't-care are left out."""
    random = np.random.default_rng(0)
    height, width, label = 13, 17, 3
    labels = random.choice([0, 3, 5, 255], size=(2, height, width)).astype(np.uint8)
    covered = random.random((2, height, width)) < 0.4
    other = ~covered & (random.random(covered.shape) < 0.3)
    keys = np.where(covered, np.uint64(1) << np.uint64(40), np.uint64(0))
    keys = np.where(other, keys | (np.uint64(1) << np.uint64(40)) | (np.uint64(2) << np.uint64(28)), keys)
    drawn = wp.zeros((2, 3), dtype=wp.float32, device=device)
    labelled = wp.zeros((2, 3), dtype=wp.float32, device=device)
    shared = wp.zeros(2, dtype=wp.float32, device=device)
    # Label images begin in column 40 and row 30 of the picture, drawings a little to the right and below, or before.
    origins = np.array([[42, 33], [38, 29]])
    inside = np.zeros(covered.shape, dtype=bool)
    canvases = np.zeros((2, 8, 9), dtype=np.uint64)
    for frame, (column, row) in enumerate(origins - [40, 30]):
        for v, u in np.ndindex(8, 9):
            if row + v >= 0 and column + u >= 0:
                canvases[frame, v, u] = keys[frame, row + v, column + u]
                inside[frame, row + v, column + u] = True
    covered &= inside
    boxes = label_boxes(labels, label).astype(np.int32)
    given = (
        wp.array(canvases.reshape(2, -1), dtype=wp.uint64, device=device),
        wp.array(origins, dtype=wp.vec2i, device=device),
        9,
        wp.array(labels.reshape(2, -1), dtype=wp.uint8, device=device),
        wp.array([[40, 30], [40, 30]], dtype=wp.vec2i, device=device),
        label,
        width,
        wp.array(boxes, dtype=wp.vec4i, device=device),
    )
    measure_overlap(*given, drawn_out=drawn, labelled_out=labelled, shared_out=shared)
    bare = wp.full(2, -1.0, dtype=wp.float32, device=device)
    count_bare(*given, bare_out=bare)
    np.testing.assert_array_equal(bare.numpy(), ((labels == label) & ~covered).sum(axis=(1, 2)))
    v, u = np.mgrid[:height, :width] + 0.5
    for frame in range(2):
        own = labels[frame] == label
        open_drawn = covered[frame] & (own | (labels[frame] == 0))
        for found, mask in ((drawn, open_drawn), (labelled, own)):
            expected = [mask.sum(), u[mask].sum(), v[mask].sum()]
            np.testing.assert_allclose(found.numpy()[frame], expected, rtol=1e-5)
        assert shared.numpy()[frame] == (covered[frame] & own).sum()


def test_bare_pixels_of_a_label_are_counted(device):
    """Those of the label where the body is not drawn, whatever else is; a frame without the label has none."""
    random = np.random.default_rng(1)
    height, width, label = 11, 19, 3
    labels = np.zeros((3, height, width), dtype=np.uint8)
    labels[0, 2:9, 5:19] = random.choice([0, 3, 5], size=(7, 14))
    labels[1, 10, 0] = label
    channels = random.integers(-1, 2, labels.shape)  # -1: nothing is drawn
    keys = np.where(channels < 0, 0, (np.uint64(1) << np.uint64(40)) | (channels.astype(np.uint64) << np.uint64(28)))
    boxes = np.array([[5, 2, 19, 9], [0, 10, 1, 11], [0, 0, 0, 0]], dtype=np.int32)
    bare = wp.full(3, -1.0, dtype=wp.float32, device=device)
    count_bare(
        wp.array(keys.reshape(3, -1), dtype=wp.uint64, device=device),
        wp.zeros(3, dtype=wp.vec2i, device=device),
        width,
        wp.array(labels.reshape(3, -1), dtype=wp.uint8, device=device),
        wp.zeros(3, dtype=wp.vec2i, device=device),
        label,
        width,
        wp.array(boxes, dtype=wp.vec4i, device=device),
        bare_out=bare,
    )
    expected = ((labels == label) & (channels != 0)).sum(axis=(1, 2))
    assert expected[0] > 10
    np.testing.assert_array_equal(bare.numpy(), expected)
