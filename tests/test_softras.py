"""The SoftRas product against a brute-force float64 product, and what is wrong with it."""

import numpy as np
import pytest
import trimesh
import warp as wp

from tests.gradcheck import compare_gradients, finite_difference
from tests.reference import softras as twin
from warpprior.kernels.silhouette import BACKGROUND, IGNORE, Crop
from warpprior.kernels.softras import compare_products, push_log_gradient, scatter_logs

WIDTH, HEIGHT = 32, 28
SOFTNESS = 1.7


def make_crop(channels=1):
    """The whole picture."""
    crop = Crop()
    crop.width, crop.height, crop.channel_count = WIDTH, HEIGHT, channels
    return crop


def make_blob(seed=0, subdivisions=1):
    """A small bumpy ball on the screen, partly outside: vertices (vertex, 3) u, v, depth and faces."""
    random = np.random.default_rng(seed)
    ball = trimesh.creation.icosphere(subdivisions=subdivisions, radius=9.0)
    spots = ball.vertices[:, :2] * [1.0, 0.7] + random.normal(scale=0.3, size=(len(ball.vertices), 2)) + [10.3, 14.6]
    return np.column_stack([spots, 0.5 + 0.001 * ball.vertices[:, 2]]), np.asarray(ball.faces)


def draw(screen, faces, device, channels=None, count=1):
    """Logs of one minus the mask, and the device arrays they came from."""
    points = wp.array(screen[None].astype(np.float32), dtype=wp.vec3, device=device, requires_grad=True)
    channels = np.zeros(len(faces)) if channels is None else channels
    arrays = [
        wp.array(faces.astype(np.int32), dtype=wp.vec3i, device=device),
        wp.array(np.asarray(channels, dtype=np.int32), dtype=wp.int32, device=device),
        wp.zeros(1, dtype=wp.vec2i, device=device),
        make_crop(count),
        wp.full(1, SOFTNESS, dtype=wp.float32, device=device),
    ]
    logs = wp.zeros((1, count, WIDTH * HEIGHT), dtype=wp.float32, device=device)
    scatter_logs(points, *arrays, logs_out=logs)
    return points, arrays, logs


def compare(logs, targets, device):
    """Loss (unit scale) and minus its derivative by the logs, from poisoned output."""
    rows = wp.zeros((1, 1), dtype=wp.float32, device=device, requires_grad=True)
    differences = wp.full(logs.shape, 1e30, dtype=wp.float32, device=device)
    compare_products(
        logs,
        wp.array(targets.reshape(1, -1), dtype=wp.uint8, device=device),
        wp.ones((1, logs.shape[1]), dtype=wp.float32, device=device),
        wp.ones(1, dtype=wp.float32, device=device),
        make_crop(logs.shape[1]),
        0,
        lanes=1,
        rows_out=rows,
        differences_out=differences,
    )
    return rows, differences


def make_targets(seed=3):
    """A disc of channel 0 on background, some pixels ignored."""
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    targets = np.where((u - 14) ** 2 + (v - 13) ** 2 < 80, 0, int(BACKGROUND)).astype(np.uint8)
    targets[np.random.default_rng(seed).random(targets.shape) < 0.1] = int(IGNORE)
    return targets


def twin_loss(spots, faces, targets):
    """The squared error in float64."""
    residual = twin.mask(spots, faces, WIDTH, HEIGHT, SOFTNESS) - (targets == 0)
    return float((residual[targets != int(IGNORE)] ** 2).sum())


def test_mask_equals_the_product(device):
    """Every pixel, inside, outside and beyond the picture's border."""
    screen, faces = make_blob()
    logs = draw(screen, faces, device)[2]
    found = 1.0 - np.exp(logs.numpy().astype(np.float64)).reshape(HEIGHT, WIDTH)
    np.testing.assert_allclose(found, twin.mask(screen[:, :2], faces, WIDTH, HEIGHT, SOFTNESS), atol=2e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_loss_and_gradient_equal_the_twin(device, seed):
    """The squared error and its gradient by every vertex."""
    screen, faces = make_blob(seed, subdivisions=0)
    targets = make_targets()
    points, arrays, logs = draw(screen, faces, device)
    rows, differences = compare(logs, targets, device)
    np.testing.assert_allclose(rows.numpy()[0, 0], twin_loss(screen[:, :2], faces, targets), rtol=1e-5)
    seeds = wp.full((1, 1), 1.5, dtype=wp.float32, device=device)
    push_log_gradient(points, *arrays, differences, 0, seeds, screen_gradients_out=points.grad)
    found = points.grad.numpy()[0] / 1.5
    assert (found[:, 2] == 0.0).all()
    truth = finite_difference(lambda spots: twin_loss(spots, faces, targets), screen[:, :2])
    compare_gradients(found[:, :2], truth, name=f"softras vertices, seed {seed}", worst=5e-3)


def test_union_is_the_product_of_the_bodies(device):
    """Two channels multiply to the one of both bodies together."""
    screen, faces = make_blob()
    halves = (np.arange(len(faces)) % 2).astype(np.int32)
    apart = draw(screen, faces, device, channels=halves, count=2)[2].numpy()
    np.testing.assert_allclose(apart.sum(axis=1), draw(screen, faces, device)[2].numpy()[:, 0], atol=1e-5)


def test_faces_that_cannot_be_seen(device):
    """Edge-on, behind the camera and far outside: no mark, no gradient, nothing that is not finite."""
    screen = np.array(
        [
            [5.0, 5, 0.5],
            [9, 9, 0.5],
            [13, 13, 0.5],
            [5, 5, -1],
            [9, 5, 1],
            [9, 9, 1],
            [900, 5, 1],
            [950, 9, 1],
            [940, 1, 1],
        ]
    )
    faces = np.arange(9).reshape(3, 3)
    points, arrays, logs = draw(screen, faces, device)
    assert (logs.numpy() == 0.0).all()
    rows, differences = compare(logs, np.full((HEIGHT, WIDTH), int(BACKGROUND), np.uint8), device)
    assert rows.numpy()[0, 0] == 0.0
    differences.fill_(1.0)
    push_log_gradient(
        points, *arrays, differences, 0, wp.ones((1, 1), dtype=wp.float32, device=device),
        screen_gradients_out=points.grad,
    )  # fmt: skip
    assert (points.grad.numpy() == 0.0).all()


def test_ignored_pictures_say_nothing(device):
    """All pixels ignored: no loss and no derivative."""
    screen, faces = make_blob()
    logs = draw(screen, faces, device)[2]
    rows, differences = compare(logs, np.full((HEIGHT, WIDTH), int(IGNORE), np.uint8), device)
    assert rows.numpy()[0, 0] == 0.0
    assert (differences.numpy()[logs.numpy() != 0.0] == 0.0).all()


def test_masks_grow_with_the_mesh(device):
    """The bias that depends on the mesh: the same disc in more faces is larger, and both are larger than the disc."""
    areas = []
    for subdivisions in (1, 3):
        ball = trimesh.creation.icosphere(subdivisions=subdivisions, radius=9.0)
        screen = np.column_stack([ball.vertices[:, :2] + [16.0, 14.0], np.full(len(ball.vertices), 0.5)])
        logs = draw(screen, np.asarray(ball.faces), device)[2].numpy().astype(np.float64)
        areas.append((1.0 - np.exp(logs)).sum())
    assert areas[1] > 1.05 * areas[0] > 1.05 * np.pi * 9.0**2
