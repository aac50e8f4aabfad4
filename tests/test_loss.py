"""The terms as a loss on the caller's tape: gradients by poses and joints, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

import warpprior
from tests.estimator_scenes import make_grasp
from tests.two_uses_scenes import STAGE, tree_scene
from warpprior.support.errors import InputError
from warpprior.terms import Coverage, Keypoints, Loss, Pose, Smoothness


@pytest.fixture(scope="module")
def scene():
    """An articulated body with keypoints, four frames at uneven times."""
    return tree_scene()


def parts_of(scene, shift=0.0, seed=0):
    """Position, rotation and joints of every estimated body as float32, moved at random by ``shift``."""
    random, found = np.random.default_rng(seed), {}
    for body in scene.bodies:
        if not body.known:
            motion = body.initial
            values = (motion.position, motion.rotation, motion.joints)
            found[body.name] = tuple((v + shift * random.normal(size=v.shape)).astype(np.float32) for v in values)
    return found


def on_tape(parts, device):
    """The same as Warp arrays with gradients."""
    kinds = (wp.vec3, wp.quat, wp.float32)
    return {
        name: tuple(wp.array(v, dtype=k, device=device, requires_grad=True) for v, k in zip(own, kinds, strict=True))
        for name, own in parts.items()
    }


def differentiate(loss, arrays, seeds):
    """Gradients by position, rotation and joints of every body, by a tape."""
    with wp.Tape() as tape:
        costs = loss(arrays)
    tape.backward(grads={costs: wp.array(seeds, dtype=wp.float32, device=loss.device)})
    return {name: tuple(array.grad.numpy().astype(float) for array in own) for name, own in arrays.items()}


@pytest.mark.parametrize("term", [Keypoints(sigma_px=4.0), Smoothness(), Pose()], ids=lambda term: term.name)
def test_gradients_are_those_of_the_costs(scene, device, term):
    """By central differences along random directions, quaternions of any length included."""
    loss = Loss(scene, [term], device=device, stage=STAGE, contact_points=16)
    start = parts_of(scene, 0.01)
    start = {name: (p, 1.3 * q, j) for name, (p, q, j) in start.items()}
    seeds = np.arange(1.0, 1.0 + scene.frame_count, dtype=np.float32)
    gradients = differentiate(loss, on_tape(start, device), seeds)
    random = np.random.default_rng(1)
    for _ in range(3):
        ways = {name: tuple(random.normal(size=v.shape) for v in own) for name, own in start.items()}
        ways = {name: (0.1 * p, q, j) for name, (p, q, j) in ways.items()}
        values = []
        for step in (1e-3, -1e-3):
            moved = {name: tuple(v + step * w for v, w in zip(start[name], ways[name], strict=True)) for name in start}
            values.append(float(loss(moved).numpy().astype(float) @ seeds))
        expected = (values[0] - values[1]) / 2e-3
        found = sum(float((g * w).sum()) for name in start for g, w in zip(gradients[name], ways[name], strict=True))
        assert abs(found - expected) < 0.02 * abs(expected) + 1e-3 * np.abs(values).max()


def test_another_call_before_the_backward_pass_changes_nothing(scene, device):
    """Each call comes back to its own poses."""
    loss = Loss(scene, ["keypoints", "pose"], device=device, contact_points=16)
    seeds = np.ones(scene.frame_count, dtype=np.float32)
    alone = differentiate(loss, on_tape(parts_of(scene, 0.01), device), seeds)
    arrays = on_tape(parts_of(scene, 0.01), device)
    with wp.Tape() as tape:
        costs = loss(arrays)
    loss(parts_of(scene, 0.05, seed=7))
    tape.backward(grads={costs: wp.array(seeds, dtype=wp.float32, device=device)})
    for name, own in arrays.items():
        for array, expected in zip(own, alone[name], strict=True):
            np.testing.assert_array_equal(array.grad.numpy(), expected.astype(np.float32))


def test_costs_add_up_and_are_said_by_term(scene, device):
    """Without arrays that require gradients there is nothing on the tape."""
    loss = Loss(scene, ["keypoints", Pose(weight=2.0)], device=device, contact_points=16)
    costs = loss(parts_of(scene, 0.01))
    assert not costs.requires_grad and set(loss.by_term) == {"keypoints", "pose"}
    np.testing.assert_allclose(costs.numpy(), sum(loss.by_term.values()), rtol=1e-5)
    once = Loss(scene, [Pose()], device=device, contact_points=16)
    once(parts_of(scene, 0.01))
    np.testing.assert_allclose(loss.by_term["pose"], 2.0 * once.by_term["pose"], rtol=1e-4)


def test_poses_come_in_any_form(scene, device):
    """Whole motions, transforms, and bodies left out cost the same."""
    loss = Loss(scene, ["pose", "keypoints"], device=device, contact_points=16)
    motions = {body.name: body.initial for body in scene.bodies if not body.known}
    expected = loss(motions).numpy()
    np.testing.assert_allclose(loss({}).numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(loss(parts_of(scene)).numpy(), expected, rtol=1e-3)


def test_bodies_left_out_are_where_the_scene_has_them(scene, device):
    """Wherever an earlier call put them; joints that are left out likewise."""
    loss = Loss(scene, ["pose", "keypoints"], device=device, contact_points=16)
    expected = loss({}).numpy()
    motions = {body.name: body.initial for body in scene.bodies if not body.known}
    assert np.abs(loss(parts_of(scene, 0.2)).numpy() - expected).max() > 1e-3
    np.testing.assert_array_equal(loss({}).numpy(), expected)
    loss(parts_of(scene, 0.2))
    bare = {name: (motion.position, motion.rotation) for name, motion in motions.items()}
    np.testing.assert_allclose(loss(bare).numpy(), expected, rtol=1e-5)


def test_what_cannot_be_is_refused(scene, device):
    """One sentence each."""
    with pytest.raises(InputError, match="no term 'penetratio'"):
        Loss(scene, ["penetratio"], device=device)
    with pytest.raises(InputError, match="'pose' twice"):
        Loss(scene, ["pose", Pose(weight=2.0)], device=device)
    with pytest.raises(InputError, match="'depth', which has no weight by default"):
        Loss(scene, ["depth"], device=device)
    bare = replace(scene, keypoints2d={})
    for term in ("keypoints", Keypoints()):
        with pytest.raises(InputError, match="'keypoints', but scene .* has no keypoints2d"):
            Loss(bare, [term], device=device)
    with pytest.raises(InputError, match="the class Coverage"):
        Loss(scene, [Coverage], device=device)
    with pytest.raises(InputError, match="'pose'; a list"):
        Loss(scene, "pose", device=device)
    known = tuple(replace(body, known=True) for body in scene.bodies)
    with pytest.raises(InputError, match="every body is known"):
        Loss(replace(scene, bodies=known), device=device)
    loss = Loss(scene, ["pose"], device=device, contact_points=16)
    with pytest.raises(InputError, match="poses: a tuple; a dict"):
        loss(tuple(parts_of(scene).values()))
    with pytest.raises(InputError, match="no estimated body 'thing'"):
        loss({"thing": parts_of(scene)})


def test_a_loss_makes_no_normal_equations(scene, device):
    """They would be most of its memory, and nothing adds to them."""
    loss = Loss(scene, ["pose", "keypoints", "smoothness"], device=device, contact_points=16)
    differentiate(loss, on_tape(parts_of(scene, 0.01), device), np.ones(scene.frame_count, dtype=np.float32))
    made = vars(loss._energy.problem.equations)
    assert not {"hessian", "gradient", "row_values", "row_marks", "row_active"} & set(made)


def test_poses_that_are_none_are_refused(scene):
    """Where numbers lie on the host, Warp arrays too: NaN costs as much as a body that is out of sight."""
    loss = Loss(scene, ["pose"], device="cpu", contact_points=16)
    for name, parts in on_tape(parts_of(scene), "cpu").items():
        position, rotation, joints = parts
        undefined = wp.array(np.full((*position.shape, 3), np.nan, np.float32), dtype=wp.vec3, device="cpu")
        with pytest.raises(InputError, match=r"position at \(0, 0\): nan; finite numbers"):
            loss({name: (undefined, rotation, joints)})
        empty = np.zeros((len(rotation), 4))
        with pytest.raises(InputError, match="rotation, frame 0: a quaternion of length 0"):
            loss({name: (position, empty, joints)})
        with pytest.raises(InputError, match="frame 0: a quaternion of length 0"):
            loss({name: np.zeros((len(rotation), 7))})


def test_joints_of_a_rigid_body_are_refused():
    """They would be dropped."""
    grasp = make_grasp(2)
    box = grasp.body("box").initial
    loss = Loss(grasp, ["pose"], device="cpu", contact_points=16)
    assert np.isfinite(loss({"box": box}).numpy()).all()
    with pytest.raises(InputError, match="joints of 'box': some; none"):
        loss({"box": (box.position, box.rotation, np.zeros((2, 3)))})


def test_the_default_terms_are_those_of_adam(scene):
    """Those that find something in the scene."""
    names = [term.name for term in Loss(scene, device="cpu", contact_points=16).terms]
    assert "keypoints" in names and "contour" not in names
    assert (Coverage.name in names) == (scene.labels is not None)
    assert warpprior.terms.Loss is Loss
