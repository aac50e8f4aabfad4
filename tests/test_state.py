"""The motion state: poses in and out, increments and their settling, contact points, frames that became infinite."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import CAMERA, disturb, make_arm, make_block, make_motion, make_scene
from warpprior.bodies import posed_vertices
from warpprior.scene import Poses
from warpprior.system.motion import MotionState


@pytest.fixture(scope="module")
def scene():
    """A known box, an arm of two joints and another box, five frames."""
    still = make_motion((-0.05, 0.03, 0.5), frames=5)
    arm = make_motion(
        (-0.05, -0.02, 0.5), spin=(0.1, 0.0, 0.2), frames=5, joints=np.linspace(-0.5, 0.5, 10).reshape(5, 2)
    )
    brick = make_motion((0.06, 0.01, 0.45), drift=(0.01, 0.0, 0.02), spin=(0.3, 0.1, 0.0), frames=5)
    bodies = (make_block(), make_arm(), make_block("brick", (0.015, 0.018, 0.025)))
    motions = (still, arm, replace(brick, scale=1.5))
    return make_scene(bodies, motions, motions, known=("box",))


def scale_free(poses: Poses) -> np.ndarray:
    """Position and rotation, the quaternion's sign fixed."""
    rotation = poses.rotation * np.sign(poses.rotation[:, 3:])
    return np.concatenate([poses.position, rotation], axis=1)


def test_reading_returns_what_was_given(device, scene):
    """Known bodies exactly, moving ones to single precision, scale and joints included, in the scene's order."""
    poses = MotionState(scene, device, point_count=16).read()
    assert list(poses) == ["box", "arm", "brick"]
    assert poses["box"] is scene.body("box").initial
    for name in ("arm", "brick"):
        np.testing.assert_allclose(scale_free(poses[name]), scale_free(scene.body(name).initial), atol=1e-6)
        np.testing.assert_allclose(poses[name].joints, scene.body(name).initial.joints, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(poses[name].rotation, axis=1), 1.0, atol=1e-12)
        assert poses[name].scale == scene.body(name).initial.scale


def test_surfaces_and_projections(device, scene):
    """Vertices are those of the bodies posed on their own; the screen is the pinhole's, body after body."""
    state = MotionState(scene, device, point_count=16)
    vertices, screen = state.vertices.numpy(), state.screen.numpy()
    for name in ("arm", "brick"):
        part = scene.body(name)
        first = state.first_vertex(name)
        cut = slice(first, first + part.body.vertex_count)
        np.testing.assert_allclose(vertices[:, cut], posed_vertices(part.body, part.initial), atol=1e-6)
    focal, center = np.array([CAMERA.fx, CAMERA.fy]), np.array([CAMERA.cx, CAMERA.cy])
    np.testing.assert_allclose(screen[..., :2], vertices[..., :2] / vertices[..., 2:] * focal + center, atol=1e-3)
    np.testing.assert_array_equal(screen[..., 2], vertices[..., 2])


def test_contact_points_lie_on_the_surfaces(device, scene):
    """Points of known and moving bodies ride on their faces; their areas sum to one."""
    state = MotionState(scene, device, point_count=200)
    for part in scene.bodies:
        points = state.points[part.name].numpy()
        assert points.shape == (5, 200, 3)
        np.testing.assert_allclose(state.point_areas[part.name].numpy().sum(), 1.0, atol=1e-5)
        local = Rotation.from_quat(part.initial.rotation[0]).inv().apply(points[0] - part.initial.position[0])
        if part.body.is_rigid:
            half = part.initial.scale * part.body.vertices.max(axis=0)
            assert (np.abs(local) <= half + 1e-6).all()
            np.testing.assert_allclose((half - np.abs(local)).min(axis=1), 0.0, atol=1e-6)


def test_increments_move_and_settle(device, scene):
    """A settled increment is folded into the base, leaves the poses as they were, and is zero again."""
    state = MotionState(scene, device, point_count=16)
    start = state.read()["arm"]
    step = np.zeros((5, 8), dtype=np.float32)
    step[:, :6] = [0.02, -0.01, 0.05, 0.1, -0.2, 0.3]
    step[:, 6:] = [0.07, -0.04]
    state.increments["arm"].assign(step)
    state.pose()
    moved = state.read()["arm"]
    depth = start.position[:, 2] * np.exp(0.05)
    np.testing.assert_allclose(moved.position[:, 2], depth, rtol=1e-5)
    bearing = start.position[:, :2] / start.position[:, 2:] + [0.02, -0.01]
    np.testing.assert_allclose(moved.position[:, :2] / moved.position[:, 2:], bearing, atol=1e-6)
    turned = Rotation.from_quat(start.rotation) * Rotation.from_rotvec([0.1, -0.2, 0.3])
    assert (turned.inv() * Rotation.from_quat(moved.rotation)).magnitude().max() < 1e-5
    np.testing.assert_allclose(moved.joints, start.joints + np.array([0.07, -0.04]), atol=1e-6)
    surface = state.vertices.numpy()
    state.settle()
    np.testing.assert_array_equal(state.increments["arm"].numpy(), 0.0)
    state.pose()
    np.testing.assert_allclose(state.vertices.numpy(), surface, atol=1e-6)
    np.testing.assert_array_equal(state.read()["brick"].position, MotionState(scene, device).read()["brick"].position)


def test_rotations_stay_unit_over_many_steps(device, scene):
    """A thousand small steps leave quaternions of length one to a part in ten thousand, and the surface rigid."""
    state = MotionState(scene, device, point_count=8)
    random = np.random.default_rng(0)
    for _ in range(1000):
        state.increments["brick"].assign(random.normal(scale=0.02, size=(5, 6)).astype(np.float32) * [0, 0, 0, 1, 1, 1])
        state.pose()
        state.settle()
    lengths = np.linalg.norm(state.read_transforms()["brick"][:, 3:7], axis=1)
    np.testing.assert_allclose(lengths, 1.0, atol=1e-4)


def test_transforms_come_back_bit_for_bit(device, scene):
    """What was read and assigned to a fresh state gives the same bits, joints included."""
    state = MotionState(scene, device, point_count=16)
    state.increments["arm"].assign(np.random.default_rng(0).normal(scale=0.1, size=(5, 8)).astype(np.float32))
    state.pose()
    state.settle()
    state.pose()
    kept = state.read_transforms()
    other = MotionState(scene, device, point_count=16)
    other.assign_transforms(kept)
    for name, values in other.read_transforms().items():
        np.testing.assert_array_equal(values, kept[name])
    np.testing.assert_array_equal(other.vertices.numpy(), state.vertices.numpy())


def test_assigning_poses_moves_only_those(device, scene):
    """Other poses of one body; known bodies and bodies not named stay."""
    state = MotionState(scene, device, point_count=16)
    before = state.read()
    changed = disturb(scene.body("brick").initial)
    state.assign({"brick": changed, "box": disturb(scene.body("box").initial)})
    after = state.read()
    np.testing.assert_allclose(after["brick"].position, changed.position, atol=1e-6)
    np.testing.assert_array_equal(after["arm"].position, before["arm"].position)
    assert after["box"] is before["box"]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("column", [0, 4, 8], ids=["position", "rotation", "joint"])
def test_infinite_frames_go_back_to_their_start(nan_allowed, device, scene, bad, column):
    """Only the frame that is not finite is put back, and its body named."""
    state = MotionState(scene, device, point_count=16)
    moved = state.read_transforms()
    moved["arm"][:, 0] += 0.01
    good = {name: values.copy() for name, values in moved.items()}
    moved["arm"][2, column] = bad
    state.assign_transforms(moved)
    assert state.hold_finite() == ["arm"]
    after = state.read_transforms()
    start = scene.body("arm").initial
    np.testing.assert_allclose(after["arm"][2, :3], start.position[2], atol=1e-6)
    np.testing.assert_allclose(after["arm"][2, 7:], start.joints[2], atol=1e-6)
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(after["arm"][others], good["arm"][others])
    np.testing.assert_array_equal(after["brick"], good["brick"])
    assert np.isfinite(state.vertices.numpy()).all()
    assert state.hold_finite() == []


def test_everything_differentiated_has_gradients(device, scene):
    """One array without would silently cut what comes before it off."""
    state = MotionState(scene, device, point_count=16)
    arrays = [state.vertices, state.screen, *state.poses.values(), *state.increments.values(), *state.points.values()]
    assert all(array.requires_grad for array in arrays)
    assert state.joints["arm"].requires_grad


def test_a_scene_of_known_bodies_only(device, scene):
    """Nothing moves: no surface, no increments, but contact points."""
    known = replace(scene, bodies=scene.bodies[:1])
    state = MotionState(known, device, point_count=16)
    assert state.estimated == ()
    assert state.vertices.shape == (5, 0)
    assert state.increments == {}
    assert np.isfinite(state.points["box"].numpy()).all()
    assert state.read()["box"] is known.bodies[0].initial
    assert isinstance(state.segments, wp.array)
