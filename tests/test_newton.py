"""Stages in Newton, a physics engine of others: bodies where the poses have them, and a hand that catches a ball.

Newton wants another OpenUSD than the newest one: these tests run where it is installed, in an environment of its own.
"""

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation
from stage_samples import make_gripper_scene, make_hand_scene

from warpprior.bodies import link_transforms
from warpprior.usd import StageOptions, export_usd
from warpprior.usd.camera import WORLD_FROM_CAMERA

newton = pytest.importorskip("newton", reason="Newton is not installed")
pytest.importorskip("pxr", reason="OpenUSD is not installed")

PLACE = 1e-5  # [m]


def load(path):
    """A builder with the stage, and what its importer says of it."""
    builder, resolvers = newton.ModelBuilder(), [newton.usd.SchemaResolverNewton(), newton.usd.SchemaResolverPhysx()]
    return builder, builder.add_usd(str(path), schema_resolvers=resolvers)


def expected_links(body, poses):
    """World poses of the links at the first frame (link, 7), position and xyzw."""
    links = link_transforms(body, poses)[0].astype(np.float64)
    turn = Rotation.from_quat(WORLD_FROM_CAMERA[3:])
    places = turn.apply(links[:, :3]) + WORLD_FROM_CAMERA[:3]
    return np.hstack([places, (turn * Rotation.from_quat(links[:, 3:])).as_quat()])


def check_places(builder, info, body, poses, below):
    """Each link that is a body of Newton's is where the poses have it; how many there were."""
    count = 0
    for name, expected in zip(body.link_names, expected_links(body, poses), strict=True):
        number = info["path_body_map"].get(f"{below}/{name}", -1)
        if number < 0:
            continue
        found = np.array(list(builder.body_q[number]), np.float64)
        np.testing.assert_allclose(found[:3], expected[:3], atol=PLACE, err_msg=name)
        np.testing.assert_allclose(abs(found[3:] @ expected[3:]), 1.0, atol=1e-6, err_msg=name)
        shapes = np.flatnonzero(np.asarray(builder.shape_body) == number)
        hits = [int(builder.shape_flags[shape]) & int(newton.ShapeFlags.COLLIDE_SHAPES) for shape in shapes]
        count += any(hits)
    return count


def test_a_hand_catches_a_ball(tmp_path):
    """Every bone is where it should be and collides; a ball dropped on the palm rolls to the fingers and stays."""
    scene, poses = make_hand_scene(tilt=(0.25, 0.3, 0.0))
    export_usd(scene, poses, tmp_path / "a.usdc")
    builder, info = load(tmp_path / "a.usdc")
    body = scene.bodies[0].body
    assert check_places(builder, info, body, poses["hand"], "/World/hand/Joints") == body.link_count
    links = expected_links(body, poses["hand"])
    named = dict(zip(body.link_names, links[:, :3], strict=True))
    palm = 0.5 * (named["wrist"] + 0.5 * (named["middle1"] + named["ring1"]))
    radius = 0.02
    start = palm + np.array([0.0, 0.0, 0.06])
    ball = builder.add_body(xform=wp.transform(wp.vec3(*start), wp.quat_identity()))
    builder.add_shape_sphere(ball, radius=radius)
    model = builder.finalize(device="cpu")
    solver, states, control = newton.solvers.SolverXPBD(model), [model.state(), model.state()], model.control()
    newton.eval_fk(model, model.joint_q, model.joint_qd, states[0])
    pipeline = newton.CollisionPipeline(model)
    contacts = pipeline.contacts()
    step = 1.0 / 300.0
    for _ in range(150):  # half a second, in which it would fall 1.2 m
        states[0].clear_forces()
        pipeline.collide(states[0], contacts)
        solver.step(states[0], states[1], control, contacts, step)
        states.reverse()
    places = states[0].body_q.numpy()
    assert np.linalg.norm(places[ball, :3] - palm) < 0.08
    np.testing.assert_allclose(places[info["path_body_map"]["/World/hand/Joints/wrist"], :3], named["wrist"], atol=1e-4)


@pytest.mark.parametrize("robot", ["kinematic", "articulation"])
def test_robots_are_where_they_should_be(tmp_path, robot):
    """Links are where the poses have them; of an articulation, joints say so, too, and one follows the other."""
    scene, poses = make_gripper_scene(tmp_path)
    export_usd(scene, poses, tmp_path / "a.usdc", options=StageOptions(robot=robot))
    builder, info = load(tmp_path / "a.usdc")
    body = scene.bodies[0].body
    assert check_places(builder, info, body, poses["gripper"], "/World/gripper") == 4
    if robot == "kinematic":
        return
    model = builder.finalize(device="cpu")
    state = model.state()
    newton.eval_fk(model, model.joint_q, model.joint_qd, state)
    placed = state.body_q.numpy()
    for name, expected in zip(body.link_names, expected_links(body, poses["gripper"]), strict=True):
        found = placed[info["path_body_map"][f"/World/gripper/{name}"]]
        np.testing.assert_allclose(found[:3], expected[:3], atol=PLACE, err_msg=name)
        np.testing.assert_allclose(abs(found[3:] @ expected[3:]), 1.0, atol=1e-6, err_msg=name)
    follows = model.joint_mimic_joint.numpy() >= 0
    np.testing.assert_allclose(model.joint_mimic_coeffs.numpy()[follows], [[0.1, -0.5]], atol=1e-6)
