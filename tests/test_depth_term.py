"""Measured depth: matches against what NumPy looks up, rows and energy against a float64 twin, and its worth."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from tests.body_samples import make_tree_body
from tests.estimator_scenes import errors_of, make_block, make_motion, make_scene
from tests.fit_samples import CAMERA, POISON, Sample, Spread, check_equations, wander
from tests.reference.depth import Depths as Twin
from warpprior import terms
from warpprior.kernels.depth import DepthView, add_depths, match_depths
from warpprior.kernels.robust import Scale
from warpprior.kernels.rows import PointBody
from warpprior.refinement.run import refine
from warpprior.render.images import render_depth
from warpprior.settings import STAGES, RefineSettings
from warpprior.support.errors import InputError
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.problem import Problem

LEAST_COSINE = terms.Depth().least_cosine
TREE = make_tree_body(vertices=24, influences=2, pose_blend=False)
SCALE = (4.0e4, 0.02)
FOCAL, CENTER = np.array([CAMERA.fx, CAMERA.fy]), np.array([CAMERA.cx, CAMERA.cy])


class Seen:
    """A body of all joint types with points on it, places measured near them and normals, and a twin."""

    def __init__(self, device, *, shared=("focal",), shapes=(TREE.name,), count=14, error=0.01):
        other = replace(TREE, name="other")
        motions = [wander(other, 3, seed=1), wander(TREE, 3, bend=0.7)]
        self.sample = Sample([other, TREE], motions, device, shared=shared, shapes=shapes, points=count)
        state, random = self.sample.state, np.random.default_rng(4)
        faces, barycentrics = state.point_places(TREE.name)
        self.corners, self.barycentrics = TREE.faces[faces.numpy()], barycentrics.numpy().astype(float)
        shape = (self.sample.frames, count, 3)
        normals = random.normal(size=shape)
        normals /= np.linalg.norm(normals, axis=2, keepdims=True)
        normals[:, 2], normals[1] = 0.0, np.where(random.random((count, 1)) < 0.5, 0.0, normals[1])
        points = state.points[TREE.name].numpy()
        self.observed = self._exact(points + error * random.normal(size=shape))
        self.normals = self._exact(normals)

    @staticmethod
    def _exact(values):
        return values.astype(np.float32).astype(float)

    def add(self, scale=SCALE, lanes=1):
        """Add the term's residuals; returns its twin."""
        sample, state = self.sample, self.sample.state
        sample.add(
            add_depths,
            state.points[TREE.name],
            sample.constants(self.observed, wp.vec3),
            sample.constants(self.normals, wp.vec3),
            sample.points_of(TREE.name),
            state.states[TREE.name].poses,
            sample.one(Scale, weight=scale[0], reach=scale[1]),
            lanes=lanes,
        )
        column = sample.system.focal_column
        twin = Twin(sample.twin, TREE.name, self.corners, self.barycentrics, self.observed, self.normals, scale, column)
        return Spread(twin, sample.inner)


@pytest.mark.parametrize("reach", [1e3, 0.01], ids=["squares", "robust"])
def test_gradient_and_curvature_match_the_twin(device, reach):
    """Root, joints of all types, focal length and shape; what is far beyond the reach hardly pulls."""
    seen = Seen(device)
    twin = seen.add((4.0e4, reach))
    check_equations(seen.sample, twin, f"depth reach {reach:g}")
    others = [*range(seen.sample.equations.counts["other"])]
    assert not seen.sample.system.gradient.numpy()[..., others].any()


def test_without_focal_length_or_shape(device):
    """The columns of the body only."""
    seen = Seen(device, shared=(), shapes=())
    check_equations(seen.sample, seen.add(), "depth alone")


def test_lanes_share_the_points(device):
    """One thread or four per frame: the same sums."""
    found = []
    for lanes in (1, 4):
        seen = Seen(device)
        seen.add(lanes=lanes)
        found.append(seen.sample.read())
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-9 * np.abs(one).max())


def test_what_was_not_measured_adds_nothing(device):
    """Zero normals mark points that do not count: exact zeros, wherever they are."""
    seen = Seen(device)
    seen.normals[:] = 0.0
    seen.observed[:] = 1e6
    seen.add()
    for values in seen.sample.bits():
        np.testing.assert_array_equal(values, 0.0)


def make_depth_scene(frames=3, *, off=0.03, camera=CAMERA, drift=(0.004, 0.0, 0.01), **change):
    """A box with labels and exact depth images whose start is off by ``off`` [m] along the line of sight."""
    truth = make_motion((0.01, -0.02, 0.45), (0.5, -0.4, 0.3), drift=drift, spin=(0.05, 0.1, 0.0), frames=frames)
    start = replace(truth, position=truth.position * (1.0 + off / truth.position[:, 2:]))
    scene = make_scene((make_block(),), (truth,), (start,), camera=camera)
    depths = render_depth(scene, {"box": truth})
    return replace(scene, read_depth=lambda frame: depths[frame], **change), depths


def bound_depth(scene, device):
    """The term, bound to a scene's body."""
    state = MotionState(scene, device, point_count=200)
    problem = Problem(state, observe_picture(state, 0.5))
    (term,) = terms.Depth(weight=1.0).bind(problem)
    return term


@pytest.mark.parametrize("labels", [True, False])
def test_matches_are_what_was_measured_in_the_pixel_of_the_point(device, labels):
    """Of the points that face the camera; unlabelled and unmeasured pixels match nothing."""
    scene, depths = make_depth_scene()
    depths[:, :, :75] *= np.where(np.arange(75) % 2, 1.0, 0.0)  # every other column is not measured
    scene = scene if labels else replace(scene, labels=None, keypoints2d={}, boxes={"box": np.ones((3, 4))})
    term = bound_depth(scene, device)
    body, state = scene.bodies[0], term.problem.motion
    term._seen.fill_(POISON)
    term._normals.fill_(POISON)
    term.enter(STAGES[0])
    term.freeze()
    term.add(term.problem.system)
    points = state.points["box"].numpy().astype(float)
    faces = state.point_places("box")[0].numpy()
    corners = state.vertices.numpy()[:, body.body.faces[faces]].astype(float)
    normals = np.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    cosines = -np.sum(normals * points, axis=2) / np.linalg.norm(points, axis=2)
    pixels = np.floor(points[..., :2] / points[..., 2:] * FOCAL + CENTER).astype(int)
    frames = np.arange(3)[:, None]
    measured = depths[frames, pixels[..., 1], pixels[..., 0]]
    if labels:
        measured = np.where(scene.labels[frames, pixels[..., 1], pixels[..., 0]] == 1, measured, 0.0)
    counts = (cosines > LEAST_COSINE) & (measured > 0.0)
    sure = np.abs(cosines - LEAST_COSINE) > 1e-4
    found = np.linalg.norm(term._normals.numpy(), axis=2) > 0.5
    assert 60 < counts.sum() < 500
    assert not found[sure & ~counts].any()
    # Pixels are as wide as the clearance: where faces are steep, a neighbour may hide them from its pixel's centre.
    assert (counts & ~found)[sure].sum() <= (0.05 * counts.sum() if labels else 0)
    rays = np.concatenate([(pixels + 0.5 - CENTER) / FOCAL, np.ones((*pixels.shape[:2], 1))], axis=2)
    expected = rays * measured[..., None]
    np.testing.assert_allclose(term._seen.numpy()[found], expected[found], atol=1e-6)
    np.testing.assert_allclose(term._normals.numpy()[found], normals[found], atol=1e-4)
    assert not term._normals.numpy()[~found].any()
    assert not term._seen.numpy()[~found].any()


def test_what_the_body_itself_hides_is_not_matched(device):
    """Two plates behind each other, both facing the camera: points of the far one have no match."""
    plate = np.array([[-0.05, -0.05, 0.5], [0.05, -0.05, 0.5], [0.0, 0.05, 0.5]])
    vertices = np.concatenate([plate, 1.2 * plate])[None]
    view = DepthView()
    view.depths = wp.full((1, 120 * 160), 0.5, dtype=wp.float32, device=device)
    view.origins = wp.zeros(1, dtype=wp.vec2i, device=device)
    view.width, view.height = 160, 120
    view.focal, view.center = wp.vec2(*FOCAL), wp.vec2(*CENTER)
    view.clearance, view.least_cosine = 0.004, LEAST_COSINE
    body = PointBody()
    body.corners = wp.array([[0, 2, 1], [3, 5, 4]], dtype=wp.vec3i, device=device)
    body.barycentrics = wp.array(np.full((2, 3), 1.0 / 3.0), dtype=wp.vec3, device=device)
    points = vertices[:, [[0, 2, 1], [3, 5, 4]]].mean(axis=2)
    found = {}
    for drawn in (False, True):
        if drawn:  # as the near plate is drawn: inverse depth in the upper half of the key
            bits = int(np.float32(1.0 / 0.5).view(np.uint32)) << 32
            view.keys = wp.array(np.full((1, 120 * 160), bits, dtype=np.uint64), dtype=wp.uint64, device=device)
            view.key_origins, view.key_width, view.key_height = view.origins, 160, 120
        outputs = [wp.full((1, 2), wp.vec3(POISON), dtype=wp.vec3, device=device) for _ in range(2)]
        match_depths(
            wp.array(points, dtype=wp.vec3, device=device),
            wp.array(vertices, dtype=wp.vec3, device=device),
            body,
            view,
            observed_out=outputs[0],
            normals_out=outputs[1],
        )
        found[drawn] = np.linalg.norm(outputs[1].numpy()[0], axis=1) > 0.5
    np.testing.assert_array_equal(found[False], [True, True])
    np.testing.assert_array_equal(found[True], [True, False])


# Measured depth and nothing else that looks.
ALONE = RefineSettings(start_passes=0, contact_points=200, without=("contour", "image"))


def with_depth(settings=ALONE, **changes):
    """Settings in which depth counts."""
    others = [term for term in settings.terms if term.name != "depth"]
    return replace(settings, terms=(*others, terms.Depth(weight=1.0, **changes)))


def test_measured_depth_alone_takes_a_depth_error_away(device):
    """From 3 cm off to less than a millimetre; without the term it stays off."""
    scene, _ = make_depth_scene()
    assert errors_of(refine(scene, with_depth(), device=device), "box").max() < 1.0
    assert errors_of(refine(scene, ALONE, device=device), "box").min() > 15.0


def test_something_else_in_the_way_hardly_matters(device):
    """A quarter of the body's pixels measure something 10 cm nearer, and some are not finite."""
    scene, depths = make_depth_scene()
    depths[:, ::2, ::2] -= 0.1
    depths[:, 1::8, 1::8] = np.nan
    assert errors_of(refine(scene, with_depth(), device=device), "box").max() < 4.0


def test_frames_without_a_depth_image(device):
    """They follow the others."""
    scene, depths = make_depth_scene(5, drift=(0.0, 0.0, 0.0))
    scene = replace(scene, read_depth=lambda frame: None if frame == 2 else depths[frame])
    result = refine(scene, with_depth(RefineSettings(contact_points=200)), device=device)
    assert errors_of(result, "box").max() < 1.5
    assert result.history["depth"][-1] > 0.0


def test_a_depth_image_of_another_size_is_refused(device):
    """In words, before anything is computed."""
    scene, _ = make_depth_scene()
    scene = replace(scene, read_depth=lambda frame: np.ones((4, 5), dtype=np.float32))
    with pytest.raises(InputError, match=r"frame 0.*shape \(4, 5\)"):
        refine(scene, with_depth(), device=device)
