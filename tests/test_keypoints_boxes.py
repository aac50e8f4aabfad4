"""Detected keypoints and boxes, at link origins and at vertices, for rows and energy, against float64 twins."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from tests.body_samples import make_tree_body
from tests.fit_samples import CAMERA, Sample, check_equations, wander, with_keypoints
from tests.reference.keypoints import Boxes, Keypoints
from warpprior import terms
from warpprior.kernels import boxes as box_kernels
from warpprior.kernels import keypoints as keypoint_kernels
from warpprior.kernels.robust import Scale
from warpprior.settings import STAGES
from warpprior.system.observed import observe_picture
from warpprior.system.problem import Problem

FOCAL, CENTER = np.array([CAMERA.fx, CAMERA.fy]), np.array([CAMERA.cx, CAMERA.cy])
TREE = with_keypoints(make_tree_body(vertices=24, pose_blend=False))
SCALE = (0.04, 30.0)


@pytest.fixture(params=["apart", "shared focal length"])
def sample(request, device):
    """A tree of all joint types behind another body's columns, three frames, in one case with a shared unknown."""
    other = replace(TREE, name="other", keypoints=None)
    motions = [wander(other, 3, seed=1), wander(TREE, 3, bend=0.7)]
    shared = ("focal",) if request.param == "shared focal length" else ()
    return Sample([other, TREE], motions, device, shared=shared, points=4)


def detections(sample, error=6.0):
    """Where keypoints would be found, some pixels off, with confidences; one far off and one of no confidence."""
    random = np.random.default_rng(5)
    row = np.zeros(sample.width)
    places = np.stack([sample.twin.keypoints(TREE.name, frame, row) for frame in range(sample.frames)])
    seen = places[..., :2] / places[..., 2:] * FOCAL + CENTER + error * random.normal(size=(*places.shape[:2], 2))
    seen[-1, 2] += 200.0
    found = np.concatenate([seen, random.uniform(0.3, 1.0, (*seen.shape[:2], 1))], axis=2)
    found[0, 1, 2] = 0.0
    return found.astype(np.float32).astype(float)


def keypoint_places(sample):
    """Places of the tree's keypoints on the device [frame, keypoint], their output poisoned."""
    first = sample.state.first_vertex(TREE.name)
    vertices = np.where(TREE.keypoints.vertices >= 0, TREE.keypoints.vertices + first, -1)
    table = np.column_stack([vertices, TREE.keypoints.links])
    places = wp.full((sample.frames, len(table)), wp.vec3(1e9), dtype=wp.vec3, device=sample.device)
    links = sample.state.states[TREE.name].links
    keypoint_kernels.place_keypoints(sample.constants(table, wp.vec2i), sample.state.vertices, links, points_out=places)
    return places


def add_keypoints(sample, detected, *, scale=SCALE, places=None):
    """Add the term's residuals, and return its twin."""
    state = sample.state
    sample.add(
        keypoint_kernels.add_keypoints,
        keypoint_places(sample) if places is None else places,
        sample.constants(sample.surfaces.keypoint_places[TREE.name], wp.int32),
        sample.constants(detected, wp.vec3),
        state.states[TREE.name].poses,
        state.focal,
        state.center,
        sample.one(Scale, weight=scale[0], reach=scale[1]),
        sample.equations.starts[TREE.name],
    )
    return Keypoints(detected, sample.twin, TREE.name, FOCAL, CENTER, scale, sample.system.focal_column)


def test_keypoints_are_where_the_twin_has_them(sample):
    """Origins of links and vertices, in the order of the body's table."""
    row = np.zeros(sample.width)
    expected = np.stack([sample.twin.keypoints(TREE.name, frame, row) for frame in range(sample.frames)])
    np.testing.assert_allclose(keypoint_places(sample).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("reach", [1e4, 12.0], ids=["squares", "robust"])
def test_keypoint_gradient_and_curvature_match_the_twin(sample, reach):
    """Root, hinge, slide, ball and mimic joints and the focal length; outliers far beyond the reach hardly pull."""
    twin = add_keypoints(sample, detections(sample), scale=(0.04, reach))
    check_equations(sample, twin, f"keypoints reach {reach:.0f}")
    others = [*range(sample.equations.counts["other"])]
    assert not sample.system.gradient.numpy()[..., others].any()


@pytest.mark.parametrize("bend", ["zero", "pi", 3.0])
def test_hard_joint_angles(device, bend):
    """Joints at zero, half a turn and near it."""
    sample = Sample([TREE], [wander(TREE, 1, bend=bend, wag=0.01)], device, points=4)
    twin = add_keypoints(sample, detections(sample), scale=(0.04, 1e4))
    check_equations(sample, twin, f"keypoints joints at {bend}")


def test_what_is_not_seen_adds_nothing(nan_allowed, sample):
    """No confidence, negative or NaN: exact zeros, whatever the place says."""
    for confidence in (0.0, -1.0, np.nan):
        sample.clear()
        detected = detections(sample)
        detected[..., 2] = confidence
        add_keypoints(sample, detected)
        for values in sample.bits():
            np.testing.assert_array_equal(values, 0.0)


def test_keypoints_behind_the_camera_add_nothing(device):
    """A frame that the near plane cuts counts with what is in front; one behind the camera not at all."""
    motion = wander(TREE, 2, bend=0.7)
    position = motion.position.copy()
    position[1, 2] = 0.06
    sample = Sample([TREE], [replace(motion, position=position)], device, points=4)
    depths = keypoint_places(sample).numpy()[..., 2]
    assert (depths[1] > 0.05).any() and (depths[1] < 0.05).any()
    detected = np.tile([40.0, 40.0, 0.8], (2, TREE.keypoint_count, 1))
    twin = add_keypoints(sample, detected, scale=(1e-4, 1e3))
    check_equations(sample, twin, "keypoints behind the camera", worst=3e-3)
    sample.clear()
    places = keypoint_places(sample).numpy().copy()
    places[1, :, 2] = np.minimum(places[1, :, 2], 0.05) * np.linspace(-1.0, 1.0, TREE.keypoint_count)
    add_keypoints(sample, detected, places=sample.constants(places, wp.vec3))
    _, gradient, cost = sample.read()
    assert cost[1] == 0.0 and not gradient[1].any() and cost[0] > 0.0


def test_a_perfect_detection_pulls_nothing(device):
    """At zero residual there is curvature, but neither cost nor pull."""
    sample = Sample([TREE], [wander(TREE, 2, bend=0.7)], device, points=4)
    places = keypoint_places(sample).numpy().astype(float)
    detected = np.concatenate([places[..., :2] / places[..., 2:] * FOCAL + CENTER, np.ones((*places.shape[:2], 1))], 2)
    add_keypoints(sample, detected)
    matrix, gradient, cost = sample.read()
    assert cost.max() < 1e-7 and np.abs(gradient).max() < 1e-3 * np.sqrt(np.abs(matrix).max())
    assert matrix.any()


BOXES = np.array([[20.0, 15.0, 70.0, 60.0], [30.0, np.nan, 80.0, np.nan], [np.nan] * 4])


def add_boxes(sample, boxes, *, scale=SCALE):
    """Add the term's residuals, and return its twin."""
    state = sample.state
    sample.add(
        box_kernels.add_boxes,
        state.screen,
        state.vertices,
        state.first_vertex(TREE.name),
        TREE.vertex_count,
        sample.constants(boxes),
        state.states[TREE.name].poses,
        state.focal,
        sample.one(Scale, weight=scale[0], reach=scale[1]),
        sample.equations.starts[TREE.name],
    )
    return Boxes(boxes, sample.twin, TREE.name, FOCAL, CENTER, scale, sample.system.focal_column)


@pytest.mark.parametrize("reach", [1e4, 15.0], ids=["squares", "robust"])
def test_box_gradient_and_curvature_match_the_twin(nan_allowed, sample, reach):
    """Four sides, two sides and none: the outermost vertices are pulled to what is known."""
    twin = add_boxes(sample, BOXES, scale=(0.04, reach))
    cost = check_equations(sample, twin, f"boxes reach {reach:.0f}")
    assert cost[0] > 0.0 and cost[1] > 0.0 and cost[2] == 0.0
    assert not sample.system.gradient.numpy()[2].any()


def test_boxes_of_bodies_that_the_near_plane_cuts(device):
    """The outermost vertices of what is in front of the camera count; with nothing there, nothing does."""
    motion = wander(TREE, 2, bend=0.7)
    position = motion.position.copy()
    position[1, 2] = 0.08
    sample = Sample([TREE], [replace(motion, position=position)], device, points=4)
    assert (sample.state.screen.numpy()[1, :, 2] < 0.05).any()
    twin = add_boxes(sample, np.tile(BOXES[:1], (2, 1)), scale=(1e-4, 1e4))
    check_equations(sample, twin, "boxes behind the camera", worst=3e-3)
    sample.clear()
    screen = sample.state.screen.numpy().copy()
    screen[1, :, 2] = -0.1
    sample.state.screen.assign(screen)
    add_boxes(sample, np.tile(BOXES[:1], (2, 1)))
    _, gradient, cost = sample.read()
    assert cost[1] == 0.0 and not gradient[1].any() and cost[0] > 0.0


def test_detections_that_are_not_finite_never_reach_the_kernels(device):
    """NaN and infinity in keypoints, with any confidence, count as not seen; the others count as ever."""
    sample = Sample([TREE], [wander(TREE, 3, bend=0.7)], device, points=4)
    detected = detections(sample)
    holes = [(0, 3, 0, np.nan), (1, 4, 1, np.inf), (2, 5, 2, np.nan)]
    costs = []
    for bad in (False, True):
        given = detected.copy()
        for frame, keypoint, part, value in holes:
            given[frame, keypoint] = 0.0
            if bad:
                given[frame, keypoint] = [40.0, 40.0, 1.0]
                given[frame, keypoint, part] = value
        costs.append(term_cost(sample, given))
    assert np.isfinite(costs).all() and costs[0].any()
    np.testing.assert_array_equal(*costs)


def term_cost(sample, keypoints, **settings):
    """Cost of each frame (frame,) as the term adds it up."""
    sample.state.scene = replace(sample.scene, keypoints2d={TREE.name: keypoints})
    problem = Problem(sample.state, observe_picture(sample.state, 0.25))
    (term,) = terms.Keypoints(**settings).bind(problem)
    term.enter(replace(STAGES[0], reach_factor=1.5))
    term.add(problem.system)
    assert np.isfinite(problem.equations.hessian.numpy()).all()
    return term.costs.numpy()


def test_the_scene_says_how_well_keypoints_are_detected(device):
    """Where the settings say nothing: noise given with the scene counts as that given with the term."""
    sample = Sample([TREE], [wander(TREE, 3, bend=0.7)], device, points=4)
    detected = detections(sample)
    said = term_cost(sample, detected, sigma_px=3.0)
    sample.scene = replace(sample.scene, noise={"keypoints2d": 3.0})
    np.testing.assert_array_equal(term_cost(sample, detected), said)
    assert not np.array_equal(term_cost(sample, detected, sigma_px=4.0), said)


def test_adding_twice_adds_twice(sample):
    """Outputs are added to; nothing in the workspace is carried over."""
    detected = detections(sample)
    for launch in (lambda: add_keypoints(sample, detected), lambda: add_boxes(sample, np.tile(BOXES[:1], (3, 1)))):
        sample.clear()
        launch()
        once = sample.bits()
        launch()
        sample.read()
        for first, both in zip(once, sample.bits(), strict=True):
            np.testing.assert_allclose(both, 2.0 * first, rtol=1e-12, atol=1e-12 * np.abs(first).max())
