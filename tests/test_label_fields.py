"""Distance pictures of labels: borders half-way between pixels, what hides, what is unknown, bias, boxes."""

import sys

import numpy as np
import pytest

from warpprior.scene import IGNORE_LABEL
from warpprior.system.label_fields import contour_fields, distance_to, label_boxes, unbias_labels

OWN, OTHER = 2, 5


@pytest.fixture
def picture():
    """A body of 10 columns beside another, both on background: columns 0-7 nothing, 8-17 own, 18-23 other, 24-31."""
    image = np.zeros((24, 32), dtype=np.uint8)
    image[:, 8:18] = OWN
    image[:, 18:24] = OTHER
    return image


@pytest.mark.parametrize("with_opencv", [True, False])
def test_distances_are_those_to_the_nearest_pixel(monkeypatch, with_opencv):
    """Against brute force, with OpenCV and with SciPy in its place."""
    if not with_opencv:
        monkeypatch.setitem(sys.modules, "cv2", None)
    mask = np.random.default_rng(0).random((17, 23)) < 0.03
    rows, columns = np.nonzero(mask)
    y, x = np.mgrid[:17, :23]
    expected = np.sqrt((y[..., None] - rows) ** 2 + (x[..., None] - columns) ** 2).min(axis=2)
    found = distance_to(mask)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_distances_do_not_depend_on_where_they_are_in_memory():
    """The same picture at every offset in memory, as runs come upon it, gives the same bits."""
    random = np.random.default_rng(0)
    mask = random.random((67, 93)) < 0.002
    expected = distance_to(mask)
    store = np.zeros(mask.size + 64, dtype=bool)
    for offset in range(64):
        view = store[offset : offset + mask.size].reshape(mask.shape)
        view[:] = mask
        np.testing.assert_array_equal(distance_to(view), expected)
    squares = np.square(expected.astype(np.float64))
    np.testing.assert_allclose(squares, np.rint(squares), atol=1e-3)


def test_nothing_is_far_away():
    """Without any pixel of the kind all are farther than the picture is wide."""
    np.testing.assert_array_equal(distance_to(np.zeros((3, 5), dtype=bool)), 8.0)


def test_fields_against_the_background(picture):
    """Minus half a pixel on the innermost side of a border, plus half on the other, and so on."""
    hiding, own = contour_fields(picture[None], OWN)[0]
    row = 12
    np.testing.assert_allclose(hiding[row, 4:8], [3.5, 2.5, 1.5, 0.5])
    np.testing.assert_allclose(hiding[row, 8:12], [-0.5, -1.5, -2.5, -3.5])
    np.testing.assert_allclose(own[row, 4:12], hiding[row, 4:12])


def test_another_body_may_hide_what_is_behind_it(picture):
    """The first picture is zero all over the other body; the second says how far the own label is."""
    hiding, own = contour_fields(picture[None], OWN)[0]
    np.testing.assert_array_equal(hiding[:, 18:24], 0.0)
    np.testing.assert_allclose(own[12, 18:24], np.arange(6) + 0.5)
    # Inside, the border to the other body counts like any other.
    np.testing.assert_allclose(hiding[12, 14:18], [-3.5, -2.5, -1.5, -0.5])
    # Beyond it the nearest place to be is the other body, for it may hide there.
    np.testing.assert_allclose(hiding[12, 24:27], [0.5, 1.5, 2.5])
    np.testing.assert_allclose(own[12, 24:27], [6.5, 7.5, 8.5])


def test_unknown_pixels_hide_and_pull_nowhere(picture):
    """Don't-care is zero in both pictures."""
    picture[:, 18:24] = IGNORE_LABEL
    hiding, own = contour_fields(picture[None], OWN)[0]
    np.testing.assert_array_equal(hiding[:, 18:24], 0.0)
    np.testing.assert_array_equal(own[:, 18:24], 0.0)


@pytest.mark.parametrize("bias", [-1.0, 0.7, 2.0])
def test_bias_moves_borders_with_the_background_only(picture, bias):
    """Labels too large by ``bias`` have their true border that much farther in; borders between bodies stay."""
    plain, moved = contour_fields(picture[None], OWN), contour_fields(picture[None], OWN, bias)
    np.testing.assert_allclose(moved[0, :, 12, 2:12], plain[0, :, 12, 2:12] + bias)
    np.testing.assert_allclose(moved[0, 0, 12, 15:18], plain[0, 0, 12, 15:18])
    np.testing.assert_array_equal(moved[0, 0, :, 18:24], 0.0)


@pytest.mark.parametrize("fill", [0, OWN, OTHER, IGNORE_LABEL])
def test_uniform_pictures_are_finite(fill):
    """A frame without the body, or with nothing else, has large distances and no NaN."""
    fields = contour_fields(np.full((2, 12, 16), fill, dtype=np.uint8), OWN)
    assert fields.shape == (2, 2, 12, 16)
    assert fields.dtype == np.float32
    assert np.isfinite(fields).all()
    if fill == OWN:
        assert (fields < -8.0).all()
    if fill == 0:
        assert (fields > 8.0).all()


@pytest.mark.parametrize(
    ("bias", "left", "right"), [(0.0, 8, 18), (1.0, 9, 18), (2.0, 10, 18), (-1.0, 7, 18), (0.4, 8, 18)]
)
def test_unbiased_labels(picture, bias, left, right):
    """The border with the background moves by whole pixels; other bodies and the original are left alone."""
    before = picture.copy()
    moved = unbias_labels(picture[None], OWN, bias)[0]
    columns = np.flatnonzero((moved == OWN).all(axis=0))
    assert (columns[0], columns[-1] + 1) == (left, right)
    np.testing.assert_array_equal(moved == OTHER, picture == OTHER)
    np.testing.assert_array_equal(picture, before)


def test_boxes():
    """Left, top, right, bottom of a label, the last two past the end; NaN without it."""
    labels = np.zeros((3, 20, 30), dtype=np.uint8)
    labels[0, 4:9, 10:25] = OWN
    labels[1, 19, 29] = OWN
    labels[2] = OTHER
    boxes = label_boxes(labels, OWN)
    np.testing.assert_array_equal(boxes[:2], [[10, 4, 25, 9], [29, 19, 30, 20]])
    assert np.isnan(boxes[2]).all()
