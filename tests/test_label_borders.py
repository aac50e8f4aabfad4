"""Distances from label borders where a contour is, and what label and drawing do not share: against whole pictures."""

import numpy as np
import pytest
import warp as wp

from warpprior.kernels import label_borders
from warpprior.kernels.label_borders import Runs, count_gap, list_runs
from warpprior.kernels.pixel_rows import next_edge
from warpprior.kernels.screen_bounds import bound_vertices
from warpprior.scene import IGNORE_LABEL
from warpprior.system.label_fields import contour_fields

OWN = 2


@wp.kernel(enable_backward=False)
def _measure_all(runs: Runs, own: int, distances_out: wp.array3d[wp.float32]):
    layer, row, column = wp.tid()
    distances_out[layer, row, column] = label_borders.border_distance(runs, column, row, own, layer)


def picture(seed, height=37, width=53):
    """Ellipses of some labels over each other, and in every second picture noise, too."""
    random = np.random.default_rng(seed)
    image = np.zeros((height, width), dtype=np.uint8)
    rows, columns = np.mgrid[:height, :width]
    for label in (1, OWN, 3, IGNORE_LABEL):
        row, column, radius = random.uniform(0, height), random.uniform(0, width), random.uniform(3, 15)
        image[(rows - row) ** 2 + (columns - column) ** 2 * random.uniform(0.5, 2.0) < radius**2] = label
    if seed % 2:
        noisy = random.random(image.shape) < 0.1
        image[noisy] = random.choice([0, 1, OWN, IGNORE_LABEL], size=noisy.sum())
    return image


def as_runs(image, device):
    """Runs of a label image."""
    height, width = image.shape
    words = np.zeros(-(-image.size // 8) * 8, dtype=np.uint8)
    words[: image.size] = image.reshape(-1)
    runs = Runs()
    runs.words = wp.array(words.view(np.uint64), dtype=wp.uint64, device=device)
    runs.labels = wp.array(words, dtype=wp.uint8, device=device)
    runs.starts = wp.full((height, width), 77, dtype=wp.int16, device=device)
    runs.counts = wp.full(height, 77, dtype=wp.int32, device=device)
    runs.width, runs.height = width, height
    list_runs(runs)
    return runs


@pytest.mark.parametrize("seed", range(4))
def test_distances_are_those_of_whole_pictures(device, seed):
    """To the bit, inside and outside, where the body may hide and where it may not."""
    image = picture(seed)
    found = wp.full((2, *image.shape), np.nan, dtype=wp.float32, device=device)
    wp.launch(_measure_all, found.shape, inputs=[as_runs(image, device), OWN], outputs=[found], device=device)
    np.testing.assert_array_equal(found.numpy(), contour_fields(image[None], OWN)[0])


def test_what_there_is_none_of_is_far_away(device):
    """As far as the picture is wide and high together."""
    image = np.full((5, 11), OWN, dtype=np.uint8)
    found = wp.zeros((2, 5, 11), dtype=wp.float32, device=device)
    wp.launch(_measure_all, found.shape, inputs=[as_runs(image, device), OWN], outputs=[found], device=device)
    np.testing.assert_array_equal(found.numpy(), 0.5 - 16.0)


@pytest.mark.parametrize("seed", range(6))
def test_pixels_that_are_not_shared(device, seed):
    """Those of the label without the body, and those of the body, not hidden, on background; and the label's border."""
    image, random = picture(seed), np.random.default_rng(seed)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    drawn = (rows - 16) ** 2 + (columns - 25) ** 2 < 12**2
    keys = np.where(drawn, random.integers(1, 9, image.shape), 0).astype(np.uint64)
    others = np.where(random.random(image.shape) < 0.5, random.integers(1, 9, image.shape), 0).astype(np.uint64)
    own, origin = image == OWN, (100, 200)
    inner = own[1:-1, 1:-1]
    edge = inner & ~(own[:-2, 1:-1] & own[2:, 1:-1] & own[1:-1, :-2] & own[1:-1, 2:])
    bare = (own & ~drawn) | (drawn & (image == 0) & (keys > others))
    place = np.array([[13.0 + 100, 4.0 + 200, 0.5], [37.0 + 100, 28.0 + 200, 0.5]], dtype=np.float32)
    bounds, counts = wp.zeros(6, dtype=wp.float32, device=device), wp.zeros(3, dtype=wp.int32, device=device)
    bound_vertices(wp.array(place[None], dtype=wp.vec3, device=device), 0, 2, bounds_out=bounds)
    given = [wp.array(each.reshape(1, -1), dtype=wp.uint64, device=device) for each in (keys, others)]
    corner = wp.array([origin], dtype=wp.vec2i, device=device)
    count_gap(as_runs(image, device), OWN, bounds, corner, *given, counts_out=counts)
    assert counts.numpy().tolist() == [own.sum(), edge.sum(), bare.sum()]


@wp.kernel(enable_backward=False)
def _mark_edges(
    keys: wp.array2d[wp.uint64], width: int, height: int, left: int, right: int, edges_out: wp.array2d[int]
):
    row = wp.tid()
    column = left - 1
    while column + 1 < right:
        column = next_edge(keys[0], width, height, row, column + 1, right)
        edges_out[row, column] = 1


@pytest.mark.parametrize("left, right", [(0, 53), (3, 40)])
def test_what_is_passed_over_is_no_edge(device, left, right):
    """Every drawn pixel that has an empty one beside it, or at a corner, is looked at, and not many others."""
    drawn = np.pad(picture(2) > 0, 1)
    beside = [drawn[r : r + 37, c : c + 53] for r in range(3) for c in range(3)]
    drawn = drawn[1:-1, 1:-1]
    keys = wp.array(np.where(drawn, 2**40 + 1, 0).astype(np.uint64).reshape(1, -1), dtype=wp.uint64, device=device)
    marks = wp.zeros((37, 53), dtype=int, device=device)
    wp.launch(_mark_edges, 37, inputs=[keys, 53, 37, left, right], outputs=[marks], device=device)
    marks = marks.numpy().astype(bool)
    edge = drawn & ~np.logical_and.reduce(beside)
    edge[[0, -1]] = edge[:, [0, -1]] = False  # what is beyond the picture is not empty
    assert (marks | ~edge)[:, left:right].all() and not marks[:, :left].any() and not marks[:, right:].any()
    if wp.get_device(device).is_cpu:
        assert marks[2:-2, left + 2 : right - 10].mean() < 0.8


def test_bounds_tell_what_has_no_place(device):
    """The box around some vertices among others; not finite ones, and those behind the camera, show in the depth."""
    random = np.random.default_rng(0)
    places = random.normal(size=(1, 40, 3)).astype(np.float32) + 5.0
    bounds = wp.zeros(6, dtype=wp.float32, device=device)

    def found():
        bound_vertices(wp.array(places, dtype=wp.vec3, device=device), 10, 20, bounds_out=bounds)
        return bounds.numpy()

    inside = places[0, 10:30]
    np.testing.assert_array_equal(found(), np.concatenate([inside.min(axis=0), inside.max(axis=0)]))
    places[0, 5] = np.nan
    assert found()[2] > 0.0
    places[0, 15, 0] = np.inf
    assert found()[2] < 0.0
