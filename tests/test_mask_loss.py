"""The settled squared error against the plain one: the antialiased picture minus its target, squared and summed."""

import numpy as np
import pytest
import warp as wp

from tests.silhouette_scenes import make_scene
from warpprior.kernels import mask_loss
from warpprior.kernels.silhouette import Crop, cover_pixels
from warpprior.render.canvas import Canvas
from warpprior.render.window import whole_window
from warpprior.system.motion import MotionState
from warpprior.system.targets import TARGET_BACKGROUND, TARGET_IGNORE

SCALES = np.array([[0.7, 0.0], [1.3, 0.4]], dtype=np.float32)
SIGMA = 2.5


@pytest.fixture
def drawn(device):
    """Canvas and screen of two frames, the picture (frame, channel, height, width), and targets with all cases."""
    scene = make_scene(frames=2)
    state = MotionState(scene, device, point_count=16)
    canvas = Canvas(state.assembly, [0, 1], [True, True], whole_window(2, 128, 128), device)
    picture = canvas.read_coverage(state.screen).astype(np.float64)
    hard = np.where(picture[:, 0] > 0.5, 0, np.where(picture[:, 1] > 0.5, 1, TARGET_BACKGROUND)).astype(np.uint8)
    targets = np.roll(hard, (2, -3), axis=(1, 2))
    targets[:, 40:60, 30:50] = TARGET_IGNORE
    return canvas, state.screen, picture, targets


def settle(canvas, screen, targets, *, lanes=1):
    """Rows, derivative by coverage and the coverage left over, with poisoned derivative."""
    device = canvas.device
    shape = (2, 2, canvas.keys.shape[1])
    coverage = wp.zeros(shape, dtype=wp.float32, device=device)
    differences = wp.full(shape, 1e30, dtype=wp.float32, device=device)
    rows = wp.zeros((3, 2), dtype=wp.float32, device=device)
    labels = wp.array(targets.reshape(2, -1), dtype=wp.uint8, device=device)
    scales = wp.array(SCALES, dtype=wp.float32, device=device)
    sigma = wp.full(1, SIGMA, dtype=wp.float32, device=device)
    outline, stride = canvas.outline(screen), canvas.stride
    cover_pixels(outline, stride=stride, coverage_out=coverage)
    mask_loss.compare_labels(canvas.keys, labels, scales, sigma, canvas.crop, 1, lanes=lanes, rows_out=rows)
    mask_loss.mark_residuals(outline, labels, scales, sigma, stride=stride, differences_out=differences)
    mask_loss.settle_coverage(
        outline,
        labels,
        scales,
        sigma,
        1,
        stride=stride,
        coverage_out=coverage,
        differences_out=differences,
        rows_out=rows,
    )
    return rows.numpy(), differences.numpy().reshape(2, 2, 128, 128), coverage.numpy()


@pytest.mark.parametrize("lanes", [1, 5])
def test_settled_error_is_the_plain_one(drawn, lanes):
    """The value of each frame, in its own row, is the weighted sum over channels and pixels."""
    canvas, screen, picture, targets = drawn
    rows, _, coverage = settle(canvas, screen, targets, lanes=lanes)
    residual = (picture - (targets[:, None] == np.arange(2)[:, None, None])) * (targets != TARGET_IGNORE)[:, None]
    expected = (SCALES * (residual**2).sum(axis=(2, 3))).sum(axis=1) / SIGMA
    np.testing.assert_allclose(rows[1], expected, rtol=1e-5)
    assert (rows[[0, 2]] == 0.0).all() and (coverage == 0.0).all()


def test_derivative_is_written_where_it_is_read(drawn):
    """At both pixels of every owned pair: twice the residual, scaled; nowhere else."""
    canvas, screen, picture, targets = drawn
    _, differences, _ = settle(canvas, screen, targets)
    residual = (picture - (targets[:, None] == np.arange(2)[:, None, None])) * (targets != TARGET_IGNORE)[:, None]
    owners = canvas.owners.numpy().reshape(2, 2, 128, 128)
    owned = (owners >> np.uint64(48)) == np.uint64(canvas.epoch.numpy()[0])
    read = np.zeros((2, 128, 128), dtype=bool)
    read |= owned[:, 0] | np.roll(owned[:, 0], 1, axis=2) | owned[:, 1] | np.roll(owned[:, 1], 1, axis=1)
    written = differences != np.float32(1e30)
    np.testing.assert_array_equal(written, np.broadcast_to(read[:, None], written.shape))
    expected = 2.0 * SCALES[:, :, None, None] / SIGMA * residual
    np.testing.assert_allclose(differences[written], expected[written], atol=1e-6)


def test_hard_labels_alone(drawn):
    """Without antialiasing the value counts the pixels whose label differs, once for each channel concerned."""
    canvas, screen, _, targets = drawn
    keys = canvas.keys.numpy().reshape(2, 128, 128)
    labels = np.where(keys == 0, TARGET_BACKGROUND, (keys >> np.uint64(28)) & np.uint64(15))
    rows = wp.zeros((1, 2), dtype=wp.float32, device=canvas.device)
    mask_loss.compare_labels(
        canvas.keys,
        wp.array(targets.reshape(2, -1), dtype=wp.uint8, device=canvas.device),
        wp.array(SCALES, dtype=wp.float32, device=canvas.device),
        wp.ones(1, dtype=wp.float32, device=canvas.device),
        canvas.crop,
        0,
        lanes=1,
        rows_out=rows,
    )
    wrong = (labels != targets) & (targets != TARGET_IGNORE)
    expected = [
        sum(SCALES[frame, c] * (wrong & ((labels == c) | (targets == c)))[frame].sum() for c in range(2))
        for frame in range(2)
    ]
    np.testing.assert_allclose(rows.numpy()[0], expected, rtol=1e-6)
    assert screen.shape[0] == 2


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("width", [5, 21, 32])
def test_what_is_passed_over_adds_nothing(device, width, lanes):
    """Rows of any length, most of whose pixels are right, and some do not care: each wrong one counts."""
    random, shape = np.random.default_rng(width), (2, 6, width)
    labels = random.choice([0, 1, TARGET_BACKGROUND], shape).repeat(3, axis=2)[:, :, :width].astype(np.uint8)
    wrong, unknown = random.random(shape) < 0.06, random.random(shape) < 0.1
    targets = np.where(wrong, (labels + 1) % 2, labels)
    targets[unknown] = TARGET_IGNORE
    channels = np.where(labels == TARGET_BACKGROUND, 0, labels).astype(np.uint64)
    drawn = np.uint64(0x3F80000000000005) | (channels << np.uint64(28))
    keys = np.where(labels == TARGET_BACKGROUND, np.uint64(0), drawn)
    scales = np.array([[1.0, 4.0], [2.0, 8.0]], dtype=np.float32)
    crop = Crop()
    crop.width, crop.height, crop.channel_count = width, 6, 2
    rows = wp.zeros((1, 2), dtype=wp.float32, device=device)
    mask_loss.compare_labels(
        wp.array(keys.reshape(2, -1), dtype=wp.uint64, device=device),
        wp.array(targets.reshape(2, -1), dtype=wp.uint8, device=device),
        wp.array(scales, dtype=wp.float32, device=device),
        wp.ones(1, dtype=wp.float32, device=device),
        crop,
        0,
        lanes=lanes,
        rows_out=rows,
    )
    counted = (labels != targets) & ~unknown
    expected = [
        sum(scales[f, c] * (counted & ((labels == c) | (targets == c)))[f].sum() for c in range(2)) for f in range(2)
    ]
    assert counted.any() and unknown.any()
    np.testing.assert_array_equal(rows.numpy()[0], expected)
