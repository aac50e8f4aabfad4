"""The closed-form start: depth and bearing from area and centroid, hidden parts, lost bodies and missing labels."""

from dataclasses import replace

import numpy as np
import pytest

from tests.estimator_scenes import CAMERA, disturb, make_ball, make_block, make_motion, make_problem, make_scene
from warpprior.refinement.start import start_from_labels

FRAMES = 5


@pytest.fixture(scope="module")
def truth():
    """A body drifting through the picture."""
    return make_motion((0.004, -0.003, 0.45), drift=(0.004, 0.002, 0.006), spin=(0.05, 0.1, 0.06), frames=FRAMES)


def ball_scene(truth, start, **options):
    """A ball, of which every view is as good as another."""
    return make_scene((make_ball(),), (truth,), (start,), **options)


def start_of(scene, device, *, passes=4, name="ball"):
    """Pose of a body after the closed-form start, and the overlap it had before."""
    problem = make_problem(scene, device, points=8)
    overlap = start_from_labels(scene.body(name), problem, passes=passes)
    return problem.motion.read()[name], overlap


@pytest.mark.parametrize("depth", [0.12, 0.3, 0.6])
def test_depth_and_bearing_from_far(device, truth, depth):
    """A ball whose depth is off by up to 60 % ends within 1 % of it and 0.2 mm of its bearing; turns are kept."""
    scene = ball_scene(truth, disturb(truth, depth=depth, bearing=0.03))
    found, overlap = start_of(scene, device)
    np.testing.assert_allclose(found.position[:, 2], truth.position[:, 2], rtol=0.01)
    bearing, expected = (p.position[:, :2] / p.position[:, 2:] for p in (found, truth))
    np.testing.assert_allclose(bearing, expected, atol=5e-4)
    np.testing.assert_allclose(found.rotation, scene.body("ball").initial.rotation, atol=1e-6)
    assert 0.0 < overlap < 0.9


def test_the_truth_is_left_where_it_is(device, truth):
    """Drawing and label agree from the start."""
    found, overlap = start_of(ball_scene(truth, truth), device)
    assert overlap == 1.0
    np.testing.assert_allclose(found.position, truth.position, atol=1e-6)


@pytest.mark.parametrize(
    "place",
    [(2.0, 1.0, 0.5), (0.0, 0.0, -0.5), (0.0, 0.0, 0.0), (0.0, 0.0, 200.0), (0.0, 0.0, 0.03)],
    ids=["beside", "behind", "in the camera", "too small", "around the camera"],
)
def test_bodies_that_are_not_drawn_are_put_on_the_ray(device, truth, place):
    """Wherever the ball is lost, it is found along the ray through its label."""
    lost = replace(truth, position=np.tile(place, (FRAMES, 1)))
    found, overlap = start_of(ball_scene(truth, lost), device)
    assert overlap < 0.1
    np.testing.assert_allclose(found.position[:, 2], truth.position[:, 2], rtol=0.02)
    bearing, expected = (p.position[:, :2] / p.position[:, 2:] for p in (found, truth))
    np.testing.assert_allclose(bearing, expected, atol=2e-3)


def test_a_scaled_body_is_put_at_its_depth(device, truth):
    """The cross-section counts the scale."""
    half = replace(truth, scale=0.5)
    lost = replace(half, position=np.tile([2.0, 0.0, 0.5], (FRAMES, 1)))
    found, _ = start_of(ball_scene(half, lost), device)
    np.testing.assert_allclose(found.position[:, 2], truth.position[:, 2], rtol=0.03)


def test_frames_without_a_label_follow_their_neighbours(device, truth):
    """Their correction is interpolated, at the ends it is the nearest one's."""
    scene = ball_scene(truth, replace(truth, position=truth.position * 1.1))
    labels = scene.labels.copy()
    labels[[0, 2]] = 0
    found, _ = start_of(replace(scene, labels=labels), device)
    np.testing.assert_allclose(found.position[:, 2], truth.position[:, 2], rtol=0.02)


def test_what_hides_behind_another_label_does_not_count(device, truth):
    """A ball half behind a known plate: only its open part is compared, so its depth does not suffer."""
    plate = make_motion((0.02, 0.0, 0.3), (0.0, 0.0, 0.0), frames=FRAMES)
    start = replace(truth, position=truth.position * np.array([1.04, 1.04, 1.04]))
    bodies = (make_block("plate", (0.02, 0.08, 0.001)), make_ball())
    scene = make_scene(bodies, (plate, truth), (plate, start), known=("plate",))
    alone = (ball_scene(truth, truth).labels == 1).sum(axis=(1, 2))
    assert ((scene.labels == 2).sum(axis=(1, 2)) < 0.7 * alone).all()
    found, _ = start_of(scene, device, passes=8)
    error = np.linalg.norm(found.position - truth.position, axis=1)
    assert np.median(error) < 0.5 * np.linalg.norm(start.position - truth.position, axis=1).min()


def test_no_pass_and_no_label_change_nothing(device, truth):
    """Without passes, or without a usable label, poses stay."""
    start = replace(truth, position=truth.position * 1.1)
    scene = ball_scene(truth, start)
    assert start_of(scene, device, passes=0)[1] == 0.0
    nothing = replace(scene, labels=np.zeros_like(scene.labels))
    found, overlap = start_of(nothing, device)
    assert overlap == 0.0
    np.testing.assert_allclose(found.position, start.position, rtol=1e-6)


def test_two_bodies_are_started_one_by_one(device):
    """Each is drawn alone: another moving body in front does not change its area."""
    first = make_motion((-0.03, 0.0, 0.45), frames=2)
    second = make_motion((0.03, 0.0, 0.4), frames=2)
    camera = replace(CAMERA, width=128, cx=64.0)
    scene = make_scene(
        (make_ball("a"), make_ball("b")),
        (first, second),
        tuple(replace(p, position=p.position * 1.15) for p in (first, second)),
        camera=camera,
    )
    for name, true in (("a", first), ("b", second)):
        found, _ = start_of(scene, device, name=name)
        np.testing.assert_allclose(found.position, true.position, atol=0.006)
