"""Chosen points of bodies and how they move with errors of the pose: against float64 twins and their differences."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
import warp as wp
from scipy.spatial.transform import Rotation

from tests.body_samples import MANO_PARENTS, make_ball_body, make_rigid_body, make_tree_body
from tests.fit_samples import wander
from tests.gradcheck import POISON, compare_gradients
from tests.reference.tracking import body_points, differentiate, moved
from warpprior.bodies import BodyModel, read_hand, rigid_body
from warpprior.geometry.signed_distance import DistanceField
from warpprior.kernels.tracked_points import UNUSED, linearise_points, measure_clearance
from warpprior.system.surface_motion import descendants

FRAMES = 2


@pytest.fixture(scope="module")
def bodies():
    """All joint types with three influences or one, pose blend shapes, ball joints, a real hand, one link."""
    return {
        "tree": make_tree_body(vertices=24, pose_blend=False),
        "one influence": make_tree_body(vertices=24, influences=1, pose_blend=False),
        "pose blend": make_tree_body(vertices=24),
        "ball joints": make_ball_body(MANO_PARENTS, vertices=40),
        "hand": read_hand("left"),
        "rigid": make_rigid_body(),
    }


def some_places(body, count=10):
    """Vertices, origins of links, and two slots without a point, in mixed order; other ones in every frame."""
    random = np.random.default_rng(1)
    links = -1 - random.permutation(body.link_count)[: min(6, body.link_count)]
    places = [
        np.concatenate([random.integers(0, body.vertex_count, count), links, [UNUSED] * 2]) for _ in range(FRAMES)
    ]
    return np.array([random.permutation(row) for row in places]).astype(np.int32)


def linearise(body, motion, places, device):
    """Points (frame, slot, 3) and Jacobians (frame, slot, 3, column) from the kernel, over rubbish."""
    model = BodyModel(body, device)
    state = model.state(len(places), requires_grad=False)
    state.poses.assign(np.hstack([motion.position, motion.rotation]).astype(np.float32))
    if body.coordinate_count:
        state.joints.assign(motion.joints.astype(np.float32))
    if body.shape_count:
        state.shape.assign(motion.shape.astype(np.float32))
    state.scale.fill_(motion.scale)
    model.shape(state)
    model.pose(state)
    model.skin(state, wp.zeros((len(places), body.vertex_count), dtype=wp.vec3, device=device))
    points = wp.full(places.shape, wp.vec3(POISON), dtype=wp.vec3, device=device)
    jacobians = wp.full((*places.shape, 3, 6 + body.coordinate_count), POISON, dtype=float, device=device)
    linearise_points(
        wp.array(places, dtype=wp.int32, device=device),
        model.tree,
        wp.array(descendants(body), dtype=wp.int32, device=device),
        wp.array(motion.position.astype(np.float32), dtype=wp.vec3, device=device),
        state.joints,
        state.links,
        state.skin,
        state.rest_vertices.reshape((1, -1)) if state.blended is None else state.blended,
        model.skin_links,
        model.skin_weights,
        points_out=points,
        jacobians_out=jacobians,
    )
    return points.numpy().copy(), jacobians.numpy().copy()


@pytest.mark.parametrize("bend", ["zero", 0.7, "pi"])
@pytest.mark.parametrize("name", ["tree", "one influence", "pose blend", "ball joints", "hand", "rigid"])
def test_points_and_jacobians_match_the_twin(device, bodies, name, bend):
    """Vertices and origins of links under shift, turn and every joint; another shape and size than at rest."""
    body = bodies[name]
    motion = replace(wander(body, FRAMES, bend=bend, seed=4), scale=1.3)
    places = some_places(body)
    points, jacobians = linearise(body, motion, places, device)
    for frame in range(FRAMES):
        used = places[frame] != UNUSED
        pose = (motion.position[frame], motion.rotation[frame], motion.joints[frame])

        def place(error, pose=pose, chosen=places[frame][used]):
            return body_points(body, chosen, *moved(*pose, error), motion.shape, motion.scale, blend_joints=pose[2])

        np.testing.assert_allclose(points[frame, used], place(np.zeros(6 + body.coordinate_count)), atol=2e-6)
    numeric = differentiate(place, 6 + body.coordinate_count, 1e-4)  # of the last frame
    numeric[np.abs(numeric) < 1e-12] = 0.0
    label = f"linearise_points {name} at {bend}"
    compare_gradients(jacobians[-1, used], numeric, name=label, worst=2e-3, cosine=0.9999999, bias=1e-5)
    np.testing.assert_allclose(jacobians[-1, used], numeric, atol=5e-6)


def test_slots_without_a_point_are_zero(device, bodies):
    """Nothing of what they held before is left, in points or Jacobians."""
    body = bodies["tree"]
    places = some_places(body)
    points, jacobians = linearise(body, wander(body, FRAMES), places, device)
    assert (places == UNUSED).sum() == 2 * FRAMES
    assert not points[places == UNUSED].any() and not jacobians[places == UNUSED].any()
    nothing = np.full_like(places, UNUSED)
    points, jacobians = linearise(body, wander(body, FRAMES), nothing, device)
    assert not points.any() and not jacobians.any()


@pytest.mark.parametrize("angle", [0.0, 1e-6, np.pi - 1e-6, np.pi])
def test_turns_of_the_root_at_their_limits(device, bodies, angle):
    """Errors of a rotation are the same for all rotations: their columns are cross products with the arm."""
    body = bodies["tree"]
    motion = wander(body, FRAMES, seed=2)
    turn = Rotation.from_rotvec(angle * np.array([0.0, 0.6, -0.8]))
    motion = replace(motion, rotation=np.tile(turn.as_quat(), (FRAMES, 1)))
    places = some_places(body)
    points, jacobians = linearise(body, motion, places, device)
    used = places != UNUSED
    arms = (points - motion.position[:, None])[used]
    for axis in range(3):
        unit = np.eye(3)[axis]
        np.testing.assert_array_equal(jacobians[used][:, :, axis], np.tile(unit, (used.sum(), 1)))
        np.testing.assert_allclose(jacobians[used][:, :, 3 + axis], np.cross(unit, arms), atol=1e-6)


def test_joints_move_only_what_follows_them(device, bodies):
    """Columns of joints that a point does not depend on are exact zeros; a mimic adds to the joint it follows."""
    body = bodies["one influence"]
    motion = wander(body, 1, bend=0.5)
    places = (-1 - np.arange(body.link_count))[None].astype(np.int32)
    _, jacobians = linearise(body, motion, places, device)
    # Link 7 follows link 2's coordinate along a branch that link 2 does not carry; link 0 follows nothing.
    shared = 6 + body.coordinate_starts[2]
    assert body.coordinate_starts[7] == body.coordinate_starts[2]
    assert not jacobians[0, 0, :, 6:].any() and not jacobians[0, 6, :, shared].any()
    assert jacobians[0, 3:6, :, shared].any(axis=1).all()


def test_clearance_is_the_distance_field(device):
    """Signed distance and place in the body's frame of points around a turned body, each written."""
    mesh = trimesh.creation.cylinder(0.03, 0.1)
    field = DistanceField(rigid_body("can", mesh.vertices, mesh.faces), device)
    random = np.random.default_rng(0)
    local = random.uniform(-0.06, 0.06, (200, 3)).astype(np.float32)
    pose = Rotation.from_rotvec([0.5, -1.0, 2.0]), np.array([0.1, -0.2, 0.7])
    points = (pose[0].apply(local) + pose[1]).astype(np.float32)
    found = wp.full(200, POISON, dtype=float, device=device)
    placed, slopes = (wp.full(200, wp.vec3(POISON), dtype=wp.vec3, device=device) for _ in range(2))
    measure_clearance(
        wp.array(points, dtype=wp.vec3, device=device),
        wp.array(np.concatenate([pose[1], pose[0].as_quat()])[None].astype(np.float32), wp.transform, device=device),
        field.grid,
        field.origin,
        field.inverse_spacing,
        distance_out=found,
        local_out=placed,
        gradient_out=slopes,
    )
    np.testing.assert_allclose(placed.numpy(), local, atol=1e-6)
    radial = np.hypot(local[:, 0], local[:, 1]) - 0.03
    axial = np.abs(local[:, 2]) - 0.05
    exact = np.hypot(np.maximum(radial, 0.0), np.maximum(axial, 0.0)) + np.minimum(np.maximum(radial, axial), 0.0)
    near = np.abs(exact) < 0.01
    assert near.sum() > 50
    np.testing.assert_allclose(found.numpy()[near], exact[near], atol=1e-3)
    assert (np.sign(found.numpy()) == np.sign(exact))[np.abs(exact) > 1e-3].all()
    side = near & (np.abs(local[:, 2]) < 0.035) & (np.abs(radial) < 0.006)
    outward = np.column_stack([local[:, :2], np.zeros(200)]) / np.hypot(local[:, 0], local[:, 1])[:, None]
    assert side.sum() > 10
    np.testing.assert_allclose(slopes.numpy()[side], outward[side], atol=0.1)
