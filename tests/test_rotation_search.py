"""Rotations that are far off: the grid, when it is searched, and that what is right is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh
import warp as wp
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import make_block, make_grasp, make_motion, make_scene
from tests.test_hypotheses import errors, problem
from warpprior import SizePrior
from warpprior.bodies import rigid_body
from warpprior.refinement.hypotheses import choose_poses
from warpprior.refinement.rotation_search import rotation_grid, search_rotations
from warpprior.refinement.run import refine
from warpprior.scene import Camera
from warpprior.settings import RefineSettings

FRAMES = 5


def turned(poses, degrees, axis=(0.5, -0.7, 0.5), frames=slice(None)):
    """Poses with some frames turned in the body's own axes."""
    axis = np.asarray(axis) / np.linalg.norm(axis)
    rotation = poses.rotation.copy()
    turn = Rotation.from_rotvec(np.radians(degrees) * axis)
    rotation[frames] = (Rotation.from_quat(rotation[frames]) * turn).as_quat()
    return replace(poses, rotation=rotation)


def make_jack(name="box"):
    """Three bars of different lengths along the axes, which look like themselves from no other side."""
    parts = []
    for axis, length in enumerate((0.07, 0.045, 0.025)):
        size, middle = np.full(3, 0.012), np.zeros(3)
        size[axis], middle[axis] = length, 0.5 * length
        part = trimesh.creation.box(size).subdivide().subdivide()
        part.apply_translation(middle)
        parts.append(part)
    mesh = trimesh.util.concatenate(parts)
    return rigid_body(name, mesh.vertices - 0.015, np.asarray(mesh.faces))


def alone(degrees, frames=slice(None)):
    """A jack drifting by; its first guess turned."""
    truth = make_motion((0.0, 0.0, 0.4), (0.3, 0.4, 0.1), drift=(0.003, 0.002, 0.0), spin=(0.03, 0.05, 0.02), frames=5)
    start = turned(truth, degrees, frames=frames)
    return make_scene((make_jack(),), (truth,), (start,), camera=Camera(160, 160, 420.0, 420.0, 80.0, 80.0))


def test_the_grid_leaves_no_rotation_far_away():
    """Sixty rotations, identity first, none farther than 45 degrees; looks of a body of revolution are fewer."""
    grid = rotation_grid()
    assert len(grid) == 60
    np.testing.assert_allclose(np.abs(grid[0]), [0.0, 0.0, 0.0, 1.0], atol=1e-12)
    anywhere = Rotation.random(400, random_state=0).as_quat()
    nearest = 2.0 * np.arccos(np.clip(np.abs(anywhere @ grid.T).max(axis=1), 0.0, 1.0))
    assert np.degrees(nearest.max()) < 45.0
    directions = Rotation.from_quat(rotation_grid("z")).apply([0.0, 0.0, 1.0])
    assert 10 <= len(directions) <= 32
    apart = np.degrees(np.arccos(np.clip(directions @ directions.T, -1.0, 1.0)))
    assert (apart + 360.0 * np.eye(len(apart))).min() > 20.0


def test_good_poses_are_not_searched(device):
    """At the truth there is nothing to look for, neither for all frames nor for single ones."""
    _, fit = problem(alone(0.0), device)
    fit.linearise()
    before = fit.poses
    assert search_rotations(fit, shared=True) is None and search_rotations(fit, shared=False) is None
    np.testing.assert_array_equal(fit.poses, before)


@pytest.mark.parametrize("degrees", [75.0, 120.0])
def test_a_turn_that_all_frames_share_is_found(device, degrees):
    """The same wrong turn in every frame: one of the grid's leads back, and the run says so."""
    scene = alone(degrees)
    state, fit = problem(scene, device)
    choose_poses(fit, 2)
    assert errors(scene, state).max() < 4.0
    (note,) = fit.problem.notes
    assert note.startswith("box: another rotation, ") and "frames 0-4" in note


def test_single_frames_are_found(device):
    """One frame of a body that nothing holds and that jumps from frame to frame, so that no neighbour mends it."""
    scene = alone(100.0, frames=[3])
    _, fit = problem(scene, device)
    fit.linearise()
    found = search_rotations(fit, shared=False)
    assert found is not None and found.frames.tolist() == [3]
    truth = Rotation.from_quat(scene.body("box").truth.rotation[3])
    off = [np.degrees((truth.inv() * Rotation.from_quat(tried[3, 3:])).magnitude()) for tried in found.tries]
    assert min(off) < 45.0  # from where contours pull it at full size
    for tried in found.tries:
        np.testing.assert_allclose(tried[[0, 1, 2, 4]], fit.poses[[0, 1, 2, 4]], atol=1e-6)


def test_a_body_inside_a_known_one_is_searched(device):
    """A block that lies deep in known jaws fits its label by chance: depth alone sets the search going."""
    scene = make_grasp(FRAMES, camera=Camera(160, 120, 300.0, 300.0, 80.0, 60.0))
    start = turned(scene.body("box").truth, 40.0, (0.6, 0.5, 0.6))
    result = refine(scene.with_poses({"box": start}), RefineSettings(contact_points=200), device=device)
    found = Rotation.from_quat(result.poses["box"].rotation)
    looks = Rotation.create_group("D2")  # a block looks the same after half turns
    off = [(Rotation.from_quat(scene.body("box").truth.rotation).inv() * found * turn).magnitude() for turn in looks]
    assert np.degrees(np.min(off, axis=0)).max() < 3.0


def test_nothing_is_searched_where_nothing_tells(device):
    """Spheres look the same all round."""
    truth = make_motion((0.0, 0.0, 0.4), frames=3)
    scene = make_scene((make_block(),), (truth,), (turned(truth, 90.0),), symmetry={"box": "sphere"})
    _, fit = problem(scene, device)
    fit.linearise()
    assert search_rotations(fit, shared=True) is None


def test_a_body_is_searched_in_the_size_that_it_has_now(device):
    """Its mesh is twice as large and its first guess twice as far away; it has come back half the way."""
    scene = alone(120.0)
    far, near = scene.body("box"), 1.0 / np.sqrt(2.0)
    body = replace(far.body, vertices=2.0 * far.body.vertices)
    start = replace(far.initial, position=2.0 * far.initial.position)
    scene = replace(scene, bodies=(replace(far, body=body, initial=start, truth=None, size=SizePrior()),))
    _, fit = problem(scene, device)
    shared = fit.problem.shared
    shared.advance(wp.array([[np.log(near)] + [0.0] * (len(shared.names) - 1)], dtype=wp.float64, device=device))
    fit.motion.pose()
    fit.place(np.concatenate([near * start.position, start.rotation], axis=1))
    fit.linearise()
    assert fit.motion.read_size(fit.body) == pytest.approx(near, rel=1e-5)
    found = search_rotations(fit, shared=True)
    assert found is not None
    depths = [tried[found.frames, 2] / (near * start.position[found.frames, 2]) for tried in found.tries]
    assert np.median(depths) == pytest.approx(1.0, abs=0.1)
