"""Skinning: surfaces and their gradients against the float64 twin, from rigid bodies to MANO- and SMPL-shaped ones."""

import numpy as np
import pytest
import warp as wp

from tests.body_samples import MANO_PARENTS, SMPL_PARENTS, make_ball_body, make_motion, make_rigid_body, make_tree_body
from tests.gradcheck import POISON, compare_gradients, finite_difference
from tests.reference import kinematics, skinning
from warpprior.bodies import BodyModel
from warpprior.geometry.sampling import sample_surface
from warpprior.kernels.skinning import interpolate_points

BODIES = {
    "tree": make_tree_body(vertices=25),
    "one influence": make_tree_body(influences=1, shapes=0, pose_blend=False),
    "rigid": make_rigid_body(),
    "mano": make_ball_body(MANO_PARENTS, vertices=778),
    "smpl": make_ball_body(SMPL_PARENTS, vertices=300),
}
EDGE = 7  # scene vertices before and after the body's own


def run(body, motion, device, *, weights=None):
    """State and scene vertices; with weights of the body's vertices, after the backward pass too."""
    frames = len(motion["poses"])
    model = BodyModel(body, device)
    state = model.state(frames, shape_requires_grad=True)
    for key, values in motion.items():
        if values.size:
            getattr(state, key).assign(values)
    total = body.vertex_count + 2 * EDGE
    vertices = wp.empty((frames, total), dtype=wp.vec3, device=device, requires_grad=True)
    for array in (vertices, state.rest_vertices, state.turns, state.blended):
        if array is not None:
            array.fill_(POISON)
    with wp.Tape() as tape:
        model.shape(state)
        model.pose(state)
        model.skin(state, vertices, EDGE)
    if weights is not None:
        seed = np.zeros((frames, total, 3), dtype=np.float32)
        seed[:, EDGE:-EDGE] = weights
        tape.backward(grads={vertices: wp.array(seed, dtype=wp.vec3, device=device)})
    return state, vertices.numpy()


def twin(body, motion, frame, **changed):
    """Vertices of one frame in float64, with some inputs replaced."""
    now = {key: value.astype(np.float64) for key, value in motion.items()} | changed
    pose = kinematics.matrices(now["poses"][frame])
    return skinning.surface(body, pose, now["joints"][frame], now["shape"], now["scale"][0])


@pytest.mark.parametrize("angle", ["zero", 1.0, "pi"])
@pytest.mark.parametrize("kind", BODIES)
def test_surface_equals_the_twin(device, kind, angle):
    """Every vertex of every frame, at the body's own offset; nothing is written outside."""
    body = BODIES[kind]
    motion = make_motion(body, 3, angle=angle)
    _, vertices = run(body, motion, device)
    for frame in range(3):
        np.testing.assert_allclose(vertices[frame, EDGE:-EDGE], twin(body, motion, frame), atol=3e-6)
    assert (vertices[:, :EDGE] == POISON).all() and (vertices[:, -EDGE:] == POISON).all()


def test_full_size_smpl_shape(device):
    """6,890 vertices, 24 joints, 207 pose directions: no size is hard-wired."""
    body = make_ball_body(SMPL_PARENTS, vertices=6890)
    motion = make_motion(body, 1)
    _, vertices = run(body, motion, device)
    np.testing.assert_allclose(vertices[0, EDGE:-EDGE], twin(body, motion, 0), atol=5e-6)


@pytest.mark.parametrize("angle", ["zero", 1.0, "pi"])
@pytest.mark.parametrize("kind", ["tree", "one influence", "mano"])
def test_gradient_by_joints(device, kind, angle):
    """Through pose blend shapes and skinning to the joint coordinates; frame by frame in the twin."""
    body, frames = BODIES[kind], 2
    motion = make_motion(body, frames, angle=angle)
    weights = np.random.default_rng(1).normal(size=(frames, body.vertex_count, 3))
    state, _ = run(body, motion, device, weights=weights)
    numeric = np.zeros((frames, body.coordinate_count))
    for frame in range(frames):
        joints = motion["joints"].astype(np.float64)

        def evaluate(x, frame=frame, joints=joints):
            return (weights[frame] * twin(body, motion, frame, joints=[*joints[:frame], x, *joints[frame + 1 :]])).sum()

        numeric[frame] = finite_difference(evaluate, joints[frame], step=1e-4)
    name = f"skin_vertices {kind}, joints {angle}"
    compare_gradients(state.joints.grad.numpy(), numeric, name=name, worst=1e-4, bias=1e-5)


@pytest.mark.parametrize(
    ("kind", "key"),
    [*((kind, key) for kind in ("tree", "mano", "smpl") for key in ("shape", "scale")), ("rigid", "scale")],
)
def test_gradient_by_shape_and_scale(device, kind, key):
    """Through surface, joint places and rest transforms to shape and scale, summed over frames."""
    body, frames = BODIES[kind], 2
    motion = make_motion(body, frames)
    weights = np.random.default_rng(2).normal(size=(frames, body.vertex_count, 3))
    state, _ = run(body, motion, device, weights=weights)

    def evaluate(x):
        return sum((weights[frame] * twin(body, motion, frame, **{key: x})).sum() for frame in range(frames))

    numeric = finite_difference(evaluate, motion[key], step=1e-3)
    name = f"skin_vertices {kind}, {key}"
    compare_gradients(getattr(state, key).grad.numpy(), numeric, name=name, worst=1e-4, bias=1e-5)


@pytest.mark.parametrize("kind", ["tree", "one influence", "rigid"])
def test_gradient_by_root_pose(device, kind):
    """Position and, projected to the tangent, rotation of the root, for every kind of skinning."""
    body, frames = BODIES[kind], 2
    motion = make_motion(body, frames)
    weights = np.random.default_rng(3).normal(size=(frames, body.vertex_count, 3))
    state, vertices = run(body, motion, device, weights=weights)
    gradient = state.poses.grad.numpy()
    arms = vertices[:, EDGE:-EDGE].astype(np.float64) - motion["poses"][:, None, :3]
    rotation = kinematics.matrices(motion["poses"])[:, :3, :3]
    # dv = R (dw x R^T arm): the exact gradient by a right perturbation.
    tangent = np.einsum("fyx,fy->fx", rotation, np.cross(arms, weights).sum(axis=1))
    found = np.stack([tangent_gradient(q, g) for q, g in zip(motion["poses"][:, 3:], gradient[:, 3:], strict=True)])
    name = f"skin_vertices {kind}, root"
    compare_gradients(gradient[:, :3], weights.sum(axis=1), name=f"{name} position", worst=1e-4, bias=1e-5)
    compare_gradients(found, tangent, name=f"{name} rotation", worst=1e-4, bias=1e-5)


def tangent_gradient(q, gradient):
    """Gradient by a right perturbation from the gradient by the quaternion xyzw: half of q^-1 * gradient."""
    v, w = -q[:3].astype(np.float64), float(q[3])
    return 0.5 * (w * gradient[:3] + gradient[3] * v + np.cross(v, gradient[:3]))


def test_fixed_shape_gets_no_gradient(device):
    """Without shape gradients the rest surface has no gradient buffer and joints still get theirs."""
    body = BODIES["tree"]
    model = BodyModel(body, device)
    state = model.state(2)
    vertices = wp.zeros((2, body.vertex_count), dtype=wp.vec3, device=device, requires_grad=True)
    model.shape(state)
    with wp.Tape() as tape:
        model.pose(state)
        model.skin(state, vertices)
    tape.backward(grads={vertices: wp.full_like(vertices, wp.vec3(1.0, 0.5, 0.2))})
    assert state.rest_vertices.grad is None and state.shape.grad is None
    assert state.joints.grad.numpy().any() and state.poses.grad.numpy().any()


def test_replay_equals_eager(device):
    """Running the launches again after a change gives the bits of a fresh state: nothing accumulates."""
    body = BODIES["mano"]
    first, second = make_motion(body, 2, seed=1), make_motion(body, 2, seed=2)
    model = BodyModel(body, device)
    state = model.state(2)
    vertices = wp.zeros((2, body.vertex_count), dtype=wp.vec3, device=device)
    for motion in (first, second):
        for key, values in motion.items():
            getattr(state, key).assign(values)
        model.shape(state)
        model.pose(state)
        model.skin(state, vertices)
    _, fresh = run(body, second, device)
    np.testing.assert_array_equal(vertices.numpy(), fresh[:, EDGE:-EDGE])


def test_no_allocation_after_the_first_run(device):
    """Shape, pose and skin allocate nothing on the device."""
    body = BODIES["tree"]
    model = BodyModel(body, device)
    state = model.state(3)
    vertices = wp.zeros((3, body.vertex_count), dtype=wp.vec3, device=device)
    pointers = [array.ptr for array in vars(state).values() if array is not None]
    model.shape(state)
    model.pose(state)
    model.skin(state, vertices)
    assert pointers == [array.ptr for array in vars(state).values() if array is not None]


def test_surface_points_and_their_gradient(device):
    """Points are the barycentric mean of their face's corners, and hand their gradient back in those shares."""
    random = np.random.default_rng(4)
    body, frames = BODIES["tree"], 2
    faces, shares, _ = sample_surface(body, 16, seed=0)
    scene = random.normal(size=(frames, body.vertex_count + EDGE, 3)).astype(np.float32)
    vertices = wp.array(scene, dtype=wp.vec3, device=device, requires_grad=True)
    points = wp.empty((frames, 16), dtype=wp.vec3, device=device, requires_grad=True)
    points.fill_(POISON)
    with wp.Tape() as tape:
        interpolate_points(
            vertices,
            wp.array(body.faces, dtype=int, device=device),
            wp.array(faces, dtype=int, device=device),
            wp.array(shares, dtype=wp.vec3, device=device),
            vertex_offset=EDGE,
            points_out=points,
        )
    weights = random.normal(size=(frames, 16, 3)).astype(np.float32)
    tape.backward(grads={points: wp.array(weights, dtype=wp.vec3, device=device)})
    corners = scene[:, EDGE + body.faces[faces]].astype(np.float64)
    np.testing.assert_allclose(points.numpy(), np.einsum("pc,fpcx->fpx", shares, corners), atol=1e-6)
    expected = np.zeros(scene.shape)
    for frame in range(frames):
        np.add.at(expected[frame], EDGE + body.faces[faces], shares[:, :, None] * weights[frame][:, None])
    compare_gradients(vertices.grad.numpy(), expected, name="interpolate_points vertices", worst=1e-5, bias=1e-6)
