"""Boxes around what is seen: which of their sides are believed, and the start from boxes that the picture cuts off."""

from dataclasses import replace

import numpy as np
import pytest

from tests.estimator_scenes import CAMERA, disturb, make_ball, make_motion, make_scene
from warpprior.refinement.start_from_detections import start_from_detections
from warpprior.system.motion import MotionState
from warpprior.terms.boxes import cut_off, useful_sides

INSIDE = [20.0, 30.0, 60.0, 70.0]


@pytest.fixture
def truth():
    """A ball at the left border of the picture, which hides a part of it."""
    left = -0.5 * CAMERA.width / CAMERA.fx * 0.4
    return make_motion((left + 0.004, 0.0, 0.4), drift=(0.001, 0.0, 0.0), frames=3)


def boxes_of(truth, radius):
    """Bounding boxes of a ball's outline, cut off at the picture's borders (frame, 4)."""
    x, y, z = truth.position.T
    reach = np.arcsin(radius / np.hypot(x, z))
    sides = [CAMERA.fx * np.tan(np.arctan2(x, z) + sign * reach) + CAMERA.cx for sign in (-1, 1)]
    reach = np.arcsin(radius / np.hypot(y, z))
    ends = [CAMERA.fy * np.tan(np.arctan2(y, z) + sign * reach) + CAMERA.cy for sign in (-1, 1)]
    boxes = np.stack([sides[0], ends[0], sides[1], ends[1]], axis=1)
    return np.clip(boxes, 0.0, [CAMERA.width, CAMERA.height, CAMERA.width, CAMERA.height])


def test_only_sides_inside_the_picture_say_where_a_body_ends():
    """Each side at its border is left out, the others and missing boxes stay as they are."""
    boxes = np.tile(INSIDE, (6, 1))
    borders = [0.0, 1.0, CAMERA.width, CAMERA.height - 1.0]
    for side, border in enumerate(borders):
        boxes[side, side] = border
    boxes[5] = np.nan
    found = useful_sides(boxes, None, 1, CAMERA)
    np.testing.assert_array_equal(cut_off(boxes, CAMERA)[:4], np.eye(4, dtype=bool))
    np.testing.assert_array_equal(np.isnan(found[:4]), np.eye(4, dtype=bool))
    np.testing.assert_array_equal(found[4], INSIDE)
    assert np.isnan(found[5]).all()
    np.testing.assert_array_equal(boxes[0], [0.0, *INSIDE[1:]])  # what was given is left alone


def test_labels_say_better_than_boxes():
    """Where a body's own label is seen its box counts no more; another label changes nothing."""
    labels = np.zeros((3, 8, 9), np.uint8)
    labels[0, 2:4, 3:5] = 2
    labels[1, 2:4, 3:5] = 1
    labels[2] = 255
    found = useful_sides(np.tile(INSIDE, (3, 1)), labels, 2, CAMERA)
    assert np.isnan(found[0]).all()
    np.testing.assert_array_equal(found[1:], [INSIDE, INSIDE])


@pytest.mark.parametrize("side", range(4))
def test_sides_beyond_which_another_body_is_seen_do_not_say_where_a_body_ends(side):
    """What touches a box from outside may hide the rest; the background, and what nobody knows, do not."""
    left, top, right, bottom = map(int, INSIDE)
    beyond = [(top, left - 9), (top - 9, left), (top, right + 2), (bottom + 2, left)][side]
    size = (bottom - top, 8) if side in (0, 2) else (8, right - left)
    labels = np.zeros((3, CAMERA.height, CAMERA.width), np.uint8)
    for frame, shown in enumerate((1, 255, 0)):
        labels[frame, beyond[0] : beyond[0] + size[0], beyond[1] : beyond[1] + size[1]] = shown
    found = useful_sides(np.tile(INSIDE, (3, 1)), labels, 2, CAMERA)
    np.testing.assert_array_equal(np.isnan(found[0]), np.arange(4) == side)
    np.testing.assert_array_equal(found[1:], [INSIDE, INSIDE])


def test_start_from_boxes_that_are_cut_off(device, truth):
    """A ball half outside the picture starts at its depth, not where a whole one would fill the rest of the box."""
    ball = make_ball()
    radius = float(np.linalg.norm(ball.vertices, axis=1).max())
    boxes = boxes_of(truth, radius)
    assert (boxes[:, 0] == 0.0).all() and (boxes[:, 2] - boxes[:, 0] < 0.7 * (boxes[:, 3] - boxes[:, 1])).all()
    scene = make_scene((ball,), (truth,), (disturb(truth, depth=0.2),))
    scene = replace(scene, labels=None, boxes={ball.name: boxes})
    state = MotionState(scene, device, point_count=8)
    assert start_from_detections(scene.body(ball.name), state, passes=6)
    np.testing.assert_allclose(state.read()[ball.name].position[:, 2], truth.position[:, 2], rtol=0.03)


def test_start_from_labels_where_there_are_some(device, truth):
    """A box around the visible part of a body moves it only where no label shows the body."""
    ball = make_ball()
    scene = make_scene((ball,), (truth,), (disturb(truth, depth=0.2),))
    scene = replace(scene, boxes={ball.name: np.tile(INSIDE, (3, 1))})
    hidden = replace(scene, labels=np.zeros_like(scene.labels))
    for case, used in ((scene, False), (hidden, True)):
        state = MotionState(case, device, point_count=8)
        assert start_from_detections(case.body(ball.name), state, passes=2) == used
        moved = state.read()[ball.name].position - case.body(ball.name).initial.position
        assert (np.abs(moved).max() > 0.01) == used
