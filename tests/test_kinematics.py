"""Forward kinematics: link transforms and their gradients against the float64 twin."""

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.body_samples import MANO_PARENTS, make_ball_body, make_motion, make_tree_body
from tests.gradcheck import POISON, compare_gradients, finite_difference
from tests.reference import kinematics as reference
from warpprior.bodies import BodyModel
from warpprior.kernels.rotations import so3_exp

TREE = make_tree_body()
HAND = make_ball_body(MANO_PARENTS, vertices=5)
ANGLES = ("zero", 1e-6, 1.0, "pi", 6.0)


def run(body, motion, device, *, weights=None):
    """State after the launches; with weights of the link transforms' entries, after the backward pass too."""
    model = BodyModel(body, device)
    state = model.state(len(motion["poses"]), shape_requires_grad=True)
    for key, values in motion.items():
        getattr(state, key).assign(values)
    for array in (state.offsets, state.rest_links, state.links, state.skin):
        array.fill_(POISON)
    with wp.Tape() as tape:
        model.shape(state)
        model.pose(state)
    if weights is not None:
        tape.backward(grads={state.links: wp.array(weights, dtype=wp.transform, device=device)})
    return state


def weighted(body, motion, weights):
    """The same weighted sum as a function of each input, in float64; only the position entries have weights."""
    values = {key: value.astype(np.float64) for key, value in motion.items()}

    def evaluate(**changed):
        now = {**values, **changed}
        total = 0.0
        for frame, pose in enumerate(reference.matrices(now["poses"])):
            placed = reference.links(body, pose, now["joints"][frame], now["shape"], now["scale"][0])
            total += (weights[frame, :, :3] * placed[:, :3, 3]).sum()
        return total

    return evaluate, values


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("body", [TREE, HAND], ids=["tree", "hand"])
def test_links_equal_the_twin(device, body, angle, frames):
    """Positions and rotations of all links, for joint angles from zero to beyond a turn."""
    motion = make_motion(body, frames, angle=angle)
    state = run(body, motion, device)
    found = reference.matrices(state.links.numpy())
    for frame, pose in enumerate(reference.matrices(motion["poses"])):
        expected = reference.links(
            body, pose, motion["joints"][frame].astype(float), motion["shape"], motion["scale"][0]
        )
        np.testing.assert_allclose(found[frame], expected, atol=2e-6)


def test_rest_and_skin_transforms_equal_the_twin(device):
    """Rest links follow shape and scale; camera_from_rest undoes them."""
    motion = make_motion(TREE, 2)
    state = run(TREE, motion, device)
    rest = reference.rest_links(TREE, motion["shape"], motion["scale"][0])
    np.testing.assert_allclose(reference.matrices(state.rest_links.numpy()), rest, atol=1e-6)
    expected = reference.matrices(state.links.numpy()) @ np.linalg.inv(rest)
    np.testing.assert_allclose(reference.matrices(state.skin.numpy()), expected, atol=2e-6)


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("body", [TREE, HAND], ids=["tree", "hand"])
@pytest.mark.parametrize("key", ["joints", "shape", "scale"])
def test_gradients_of_link_positions(device, body, angle, key):
    """Gradients by joint coordinates, shape and scale over several frames."""
    frames = 3 if body is TREE else 2
    motion = make_motion(body, frames, angle=angle)
    weights = np.random.default_rng(1).normal(size=(frames, body.link_count, 7)).astype(np.float32)
    weights[:, :, 3:] = 0.0
    state = run(body, motion, device, weights=weights)
    evaluate, values = weighted(body, motion, weights.astype(np.float64))
    numeric = finite_difference(lambda x: evaluate(**{key: x}), values[key], step=1e-4)
    kind = "tree" if body is TREE else "hand"
    name = f"pose_links {kind}, {key}, joints {angle}"
    compare_gradients(getattr(state, key).grad.numpy(), numeric, name=name, worst=1e-4, bias=5e-5)


@wp.kernel
def _turn_poses(poses: wp.array[wp.transform], tangents: wp.array2d[wp.vec3], poses_out: wp.array[wp.transform]):
    frame = wp.tid()
    pose = poses[frame]
    rotation = wp.transform_get_rotation(pose) * so3_exp(tangents[frame, 1])
    poses_out[frame] = wp.transform(wp.transform_get_translation(pose) + tangents[frame, 0], rotation)


@pytest.mark.parametrize("size", [0.0, 0.5])
def test_gradients_of_rotations_and_positions_by_pose_tangent(device, size):
    """From a tangent step of the root pose through quaternion and chain to where a point of every link lands."""
    body, frames = TREE, 2
    motion = make_motion(body, frames)
    random = np.random.default_rng(2)
    tangents = (size * random.normal(size=(frames, 2, 3))).astype(np.float32)
    arms = random.normal(scale=0.1, size=(body.link_count, 3))
    weights = random.normal(size=(frames, body.link_count, 3))

    model = BodyModel(body, device)
    state = model.state(frames)
    for key in ("joints", "shape", "scale"):
        getattr(state, key).assign(motion[key])
    base = wp.array(motion["poses"], dtype=wp.transform, device=device)
    step = wp.array(tangents, dtype=wp.vec3, device=device, requires_grad=True)
    tips = wp.zeros((frames, body.link_count), dtype=wp.vec3, device=device, requires_grad=True)
    model.shape(state)
    with wp.Tape() as tape:
        wp.launch(_turn_poses, dim=frames, inputs=[base, step], outputs=[state.poses], device=device)
        model.pose(state)
        arm_array = wp.array(arms, dtype=wp.vec3, device=device)
        wp.launch(_reach_arms, dim=tips.shape, inputs=[state.links, arm_array], outputs=[tips], device=device)
    tape.backward(grads={tips: wp.array(weights, dtype=wp.vec3, device=device)})

    def evaluate(x):
        total = 0.0
        for frame, pose in enumerate(reference.matrices(motion["poses"])):
            turned = pose.copy()
            turned[:3, 3] += x[frame, 0]
            turned[:3, :3] = pose[:3, :3] @ Rotation.from_rotvec(x[frame, 1]).as_matrix()
            joints = motion["joints"][frame].astype(np.float64)
            placed = reference.links(body, turned, joints, motion["shape"], float(motion["scale"][0]))
            ends = np.einsum("lxy,ly->lx", placed[:, :3, :3], arms) + placed[:, :3, 3]
            total += (weights[frame] * ends).sum()
        return total

    numeric = finite_difference(evaluate, tangents, step=1e-4)
    compare_gradients(step.grad.numpy(), numeric, name=f"pose_links root tangent of {size}", worst=1e-4, bias=1e-5)


@wp.kernel
def _reach_arms(links: wp.array2d[wp.transform], arms: wp.array[wp.vec3], tips_out: wp.array2d[wp.vec3]):
    frame, link = wp.tid()
    tips_out[frame, link] = wp.transform_point(links[frame, link], arms[link])


def test_frames_do_not_mix(device):
    """A gradient seeded in one frame reaches the joints and the pose of that frame only."""
    motion = make_motion(TREE, 4)
    weights = np.zeros((4, TREE.link_count, 7), dtype=np.float32)
    weights[2] = 1.0
    state = run(TREE, motion, device, weights=weights)
    for gradient in (state.joints.grad.numpy(), state.poses.grad.numpy()):
        assert gradient[2].any()
        assert not gradient[[0, 1, 3]].any()


def test_moving_the_body_moves_its_links_rigidly(device):
    """Another root pose multiplies every link transform from the left."""
    motion = make_motion(TREE, 3)
    here = reference.matrices(run(TREE, motion, device).links.numpy())
    moved = make_motion(TREE, 3, seed=5)["poses"]
    there = reference.matrices(run(TREE, {**motion, "poses": moved}, device).links.numpy())
    change = reference.matrices(moved) @ np.linalg.inv(reference.matrices(motion["poses"]))
    np.testing.assert_allclose(there, change[:, None] @ here, atol=5e-6)
