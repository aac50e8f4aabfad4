"""The window: large enough for every box and its margin, within the picture, and cut as the kernels read it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warpprior.render.window import Window, whole_window, window_around


def test_whole_pictures():
    """Every pixel of every frame, from the corner."""
    window = whole_window(3, 40, 30)
    images = np.arange(3 * 30 * 40).reshape(3, 30, 40)
    np.testing.assert_array_equal(window.cut(images), images)
    assert window.origins.shape == (3, 2)
    assert window.origins.dtype == np.int32


def test_cuts_are_where_the_origins_say():
    """Columns first in origins, rows first in pictures; trailing axes come along."""
    boxes = np.array([[100.0, 50.0, 120.0, 90.0], [300.0, 200.0, 310.0, 210.0]])
    window = window_around(boxes, 640, 480)
    rows, columns = np.mgrid[:480, :640]
    images = np.stack([np.stack([columns, rows], axis=2)] * 2)
    crops = window.cut(images)
    assert crops.shape == (2, window.height, window.width, 2)
    np.testing.assert_array_equal(crops[:, 0, 0], window.origins)
    crop = window.crop(3)
    assert (crop.width, crop.height, crop.channel_count) == (window.width, window.height, 3)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(8, 700),
    height=st.integers(8, 500),
    margin=st.floats(0.0, 1.0),
    corners=st.lists(st.tuples(*[st.floats(-100, 800)] * 4), min_size=1, max_size=5),
)
def test_windows_hold_every_box_and_stay_in_the_picture(width, height, margin, corners):
    """For any boxes, partly or wholly outside too, the visible part of each is inside its crop."""
    boxes = np.array([[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in corners])
    window = window_around(boxes, width, height, margin)
    limits = [width - window.width, height - window.height]
    assert (window.origins >= 0).all()
    assert (window.origins <= limits).all()
    seen = np.clip(boxes, 0, [width, height, width, height])
    inside = (seen[:, 2] > seen[:, 0]) & (seen[:, 3] > seen[:, 1])
    ends = window.origins + np.array([window.width, window.height])
    assert (window.origins[inside] <= seen[inside, :2] + 1e-9).all()
    assert (ends[inside] >= seen[inside, 2:] - 1e-9).all()


def test_frames_without_a_box_take_the_middle_of_the_others():
    """A frame that shows nothing looks where the others do; without any box at all it looks everywhere."""
    box = [100.0, 80.0, 140.0, 120.0]
    boxes = np.array([box, [np.nan] * 4, box])
    window = window_around(boxes, 640, 480)
    np.testing.assert_array_equal(window.origins[1], window.origins[0])
    nothing = window_around(np.full((2, 4), np.nan), 64, 48)
    assert (nothing.width, nothing.height) == (64, 48)


@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_margins(margin):
    """The crop has the margin on both sides, and no more than it and a few pixels."""
    window = window_around(np.array([[200.0, 200.0, 240.0, 280.0]]), 640, 480, margin)
    assert 40 * (1 + 2 * margin) <= window.width <= 40 * (1 + 2 * margin) + 24
    assert 80 * (1 + 2 * margin) <= window.height <= 80 * (1 + 2 * margin) + 24
    np.testing.assert_allclose(window.origins[0] + np.array([window.width, window.height]) / 2, [220, 240], atol=1)


@settings(max_examples=60, deadline=None)
@given(
    moves=st.lists(st.lists(st.tuples(*[st.floats(-50, 400)] * 4), min_size=3, max_size=3), min_size=1, max_size=4),
    empty=st.integers(0, 3),
)
def test_crops_that_follow_hold_what_is_drawn(moves, empty):
    """After any moves, within the window that they may not leave, and not much larger than they need be."""
    whole = Window(np.array([[0, 0], [20, 10], [60, 40]], dtype=np.int32), 240, 160)
    window = whole
    for boxes in moves:
        low = np.array([np.minimum(box[:2], box[2:]) for box in boxes])
        high = np.array([np.maximum(box[:2], box[2:]) for box in boxes])
        low[:empty], high[:empty] = np.inf, -np.inf
        window = whole.around(low, high, window, np.arange(3))
        ends, size = window.origins + np.array([window.width, window.height]), np.array([240, 160])
        assert (window.origins >= whole.origins).all() and (ends <= whole.origins + size).all()
        seen = [np.clip(each, whole.origins, whole.origins + size) for each in (low, high)]
        inside = (seen[1] > seen[0]).all(axis=1)
        assert (window.origins[inside] <= seen[0][inside]).all() and (ends[inside] >= seen[1][inside]).all()
        needed = np.maximum(seen[1] - seen[0], 0.0).max(axis=0) + 28.0
        assert window.width * window.height <= 1.5 * needed.prod() or window.width == 240 or window.height == 160
    assert whole.around(low, high, window, np.arange(3)) is window


def test_crops_of_clips_stay_within_their_own():
    """Those of two clips, of which one is narrow: each follows what it shows as far as it may alone."""
    wide = Window(np.zeros((1, 2), dtype=np.int32), 240, 160)
    narrow = Window(np.array([[100, 40], [90, 30]], dtype=np.int32), 48, 160)
    both = Window.joined([wide, narrow])
    assert (both.width, both.height) == (240, 160)
    np.testing.assert_array_equal(both.sizes, [[240, 160], [48, 160], [48, 160]])
    assert Window.joined([wide, wide]).sizes is None
    low, high = (
        np.array([[30.0, 30.0], [80.0, 50.0], [95.0, 60.0]]),
        np.array([[150.0, 80.0], [200.0, 90.0], [110.0, 80.0]]),
    )
    found = both.around(low, high, both, np.arange(3))
    assert found.width * found.height < 240 * 160 and found.width > 48
    assert (found.origins >= both.origins).all() and (found.origins + found.sizes <= both.origins + both.sizes).all()
    ends = both.origins + both.sizes
    assert (found.origins <= np.clip(low, both.origins, ends)).all()
    assert (found.origins + found.sizes >= np.clip(high, both.origins, ends)).all()
    assert both.around(low, high, found, np.arange(3)) is found
    views = found.views("cpu").numpy()
    np.testing.assert_array_equal(views, np.concatenate([found.origins, found.sizes], axis=1))
