"""Frames whose label is of something else, found before anything is fitted, and what a run makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.estimator_scenes import errors_of, make_block, make_grasp, make_motion, make_scene
from warpprior.refinement.evidence import believed_scene, judge_evidence
from warpprior.refinement.label_outliers import find_label_outliers
from warpprior.refinement.run import refine
from warpprior.scene import IGNORE_LABEL, Camera
from warpprior.settings import RefineSettings

CAMERA = Camera(160, 120, 230.0, 230.0, 80.0, 60.0)
FRAMES = 10


@pytest.fixture(scope="module")
def held():
    """A box in a known clamp, ten frames."""
    return make_grasp(FRAMES, camera=CAMERA)


def with_decoy(scene, frames, shift=(60, 0)):
    """In these frames the box's label lies elsewhere: the same shape, moved by columns and rows."""
    label, labels = scene.body("box").label, scene.labels.copy()
    for frame in frames:
        own = labels[frame] == label
        labels[frame][own] = 0
        labels[frame][np.roll(own, shift, axis=(1, 0))] = label
    return replace(scene, labels=labels)


@pytest.mark.parametrize("frames", [(4,), (0,), (2, 6), (3, 8, 9), (0, 1), (4, 5, 6)])
def test_labels_that_jump_away_and_back_are_found(held, frames):
    """Single frames, runs of them, and both ends, up to three of ten; the reason says how far away they are."""
    found = find_label_outliers(with_decoy(held, frames), held.body("box"))
    assert found.frames == frames
    assert found.reason.endswith("px away from where those around them have it")


@pytest.mark.parametrize("kind", ["full", "noise"])
def test_labels_that_are_everywhere_are_found(held, kind):
    """All pixels, or random ones; a label that is missing contradicts nothing."""
    scene, random = held, np.random.default_rng(0)
    label, labels = scene.body("box").label, scene.labels.copy()
    for frame in (1, 5, 9):
        labels[frame] = label if kind == "full" else label * random.integers(0, 2, labels[frame].shape)
    labels[3] = 0
    found = find_label_outliers(replace(scene, labels=labels), scene.body("box"))
    assert found.frames == (1, 5, 9)
    assert "times as far spread out" in found.reason


def test_where_labels_disagree_by_halves_none_is_left_out(held):
    """Five of ten elsewhere may be the right ones."""
    evidence = judge_evidence(with_decoy(held, (5, 6, 7, 8, 9)))
    assert evidence.left_out == {}
    assert evidence.scene.labels is not None
    (note,) = evidence.notes
    assert note.startswith("box: its labels jump") and "at most 5 of 10 frames" in note


def test_quick_motion_is_no_outlier():
    """Half a body per frame, a sudden start, and a throw of two bodies per frame that goes on for a while."""
    block = make_block()
    for drift in ((0.0, 0, 0, 0, 0.03, 0.03, 0.03, 0.03), (0.0, 0, 0, 0.11, 0.11, 0.11, 0, 0)):
        path = np.cumsum(drift)
        motion = make_motion((-0.1, 0.0, 0.5), frames=len(path))
        motion = replace(motion, position=motion.position + path[:, None] * [1.0, 0.0, 0.0])
        scene = make_scene([block], [motion], [motion], camera=CAMERA)
        assert find_label_outliers(scene, scene.body("box")).frames == ()


def behind_a_wall(scene, wall, widths):
    """The box at rest behind a wall of the clamp's label; of it are seen columns left and right of the wall."""
    (top, bottom), (left, right) = (40, 80), (wall - 20, wall + 20)
    labels = np.zeros_like(scene.labels)
    labels[:, top - 20 : bottom + 20, left:right] = scene.body("clamp").label
    for image, (before, after) in zip(labels, widths, strict=True):
        image[top:bottom, left - before : left] = scene.body("box").label
        image[top:bottom, right : right + after] = scene.body("box").label
    return replace(scene, labels=labels)


def test_what_is_seen_on_both_sides_of_a_hand_does_not_jump(held):
    """Left of what hides it, then right of it: that is one body; without anything to hide it, it is not."""
    widths = [(50, 0), (50, 0), (50, 0), (20, 0), (8, 0), (0, 8), (0, 8), (0, 8), (0, 8), (0, 8)]
    scene = behind_a_wall(held, 80, widths)
    assert find_label_outliers(scene, scene.body("box")).frames == ()
    own = scene.body("box").label
    bare = replace(scene, labels=np.where(scene.labels == own, own, 0).astype(np.uint8))
    found = find_label_outliers(bare, scene.body("box"))
    assert found.frames or found.undecided


def test_what_comes_out_from_behind_a_hand_may_grow(held):
    """A corner in seven frames, all of it in three, the good ones; with nothing to hide it they have grown."""
    own, scene = held.body("box").label, behind_a_wall(held, 60, [(0, 0)] * FRAMES)
    scene.labels[:7, 55:65, 80:85] = own
    scene.labels[7:, 40:80, 45:85] = own
    assert find_label_outliers(scene, scene.body("box")).frames == ()
    bare = replace(scene, labels=np.where(scene.labels == own, own, 0).astype(np.uint8))
    assert find_label_outliers(bare, scene.body("box")).frames == (7, 8, 9)


def test_what_is_left_out_is_unsaid(held):
    """Labels are don't-care there and boxes unknown, in a copy; other frames and bodies stay."""
    boxes = {"box": np.ones((FRAMES, 4))}
    scene = replace(held, boxes=boxes)
    believed = believed_scene(scene, {"box": {"labels": (2,)}})
    label = scene.body("box").label
    assert (believed.labels[2] == IGNORE_LABEL).sum() == (scene.labels[2] == label).sum() > 0
    assert not (believed.labels[2] == label).any()
    np.testing.assert_array_equal(believed.labels[3:], scene.labels[3:])
    assert np.isnan(believed.boxes["box"][2]).all() and np.isfinite(believed.boxes["box"][3]).all()
    assert np.isfinite(boxes["box"]).all()
    assert believed_scene(scene, {}) is scene


def test_wrong_instances_do_not_ruin_the_rest(held):
    """Three of ten labels on a decoy: the good frames are as good as without, the others are carried, and named."""
    frames = (3, 8, 9)
    settings = RefineSettings(contact_points=64)
    clean = refine(held, settings, device="cpu")
    result = refine(with_decoy(held, frames), settings, device="cpu")
    errors, good = errors_of(result, "box"), ~np.isin(np.arange(FRAMES), frames)
    assert np.median(errors[good]) <= 1.5 * np.median(errors_of(clean, "box")) + 0.5
    assert errors.max() < 5.0
    assert result.left_out == {"box": {"labels": frames}}
    assert any("frames 3, 8-9" in note and "left out" in note for note in result.notes)
    believing = refine(with_decoy(held, frames), replace(settings, leave_out=False), device="cpu")
    assert np.median(errors_of(believing, "box")[good]) > 2.0 * np.median(errors[good])
    assert believing.left_out == {} and any("hardly agree" in note for note in believing.notes)
