"""Contact points of a motion: where two bodies touch, by exact distances."""

from dataclasses import replace

import numpy as np
import pytest
from result_samples import make_arm, make_arm_poses, make_box, make_scene
from scipy.spatial.transform import Rotation

from warpprior.contacts import find_contacts
from warpprior.contacts.touching import CLEAR, TOUCH, slip_speed
from warpprior.scene import Poses, SceneBody

HALF = (0.04, 0.03, 0.06)


def boxes_apart(gaps):
    """A given slab beside a box at distances ``gaps`` [m], one per frame, both turned the same way in the camera."""
    turn = Rotation.from_rotvec([0.3, -0.5, 0.2])
    count = len(gaps)
    place = np.tile([0.0, 0.0, 0.7], (count, 1))
    quaternion = np.tile(turn.as_quat(), (count, 1))
    box = Poses(place, quaternion, np.zeros((count, 0)))
    beside = place + turn.apply(np.stack([2 * HALF[0] + np.array(gaps), np.zeros(count), np.zeros(count)], axis=1))
    slab = Poses(beside, quaternion, np.zeros((count, 0)))
    bodies = (
        SceneBody(make_box("slab", HALF), 2, True, slab),
        SceneBody(make_box("box", HALF), 1, False, box),
    )
    return replace(make_scene(count), bodies=bodies), {"box": box, "slab": slab}


def test_weight_follows_the_gap(device):
    """Touching and entering points weigh 1, clear ones 0, in between linearly; points lie on the slab's near side."""
    gaps = [-0.01, 0.0, 0.9 * TOUCH, 0.5 * (TOUCH + CLEAR), 1.1 * CLEAR]
    scene, poses = boxes_apart(gaps)
    (contact,) = find_contacts(scene, poses, device=device)
    assert (contact.body, contact.other) == ("slab", "box")
    np.testing.assert_allclose(contact.weight.max(axis=1), [1.0, 1.0, 1.0, 0.5, 0.0], atol=1e-3)
    side = Rotation.from_quat(poses["box"].rotation[1]).inv().apply(contact.points[1] - poses["box"].position[1])
    facing = contact.weight[1] == 1.0
    assert facing.sum() > 100
    assert np.all(np.abs(side[facing, 1:]) <= np.array(HALF[1:]) + TOUCH + 1e-6)


def test_deep_points_count(device):
    """Points of a slab pushed half way through a big box weigh 1, however deep they are."""
    scene, poses = boxes_apart([-HALF[0]])
    (contact,) = find_contacts(scene, poses, device=device)
    inside = Rotation.from_quat(poses["box"].rotation[0]).inv().apply(contact.points[0] - poses["box"].position[0])
    deep = np.all(np.abs(inside) < np.array(HALF) - 1e-4, axis=1)
    assert deep.any() and np.all(contact.weight[0, deep] == 1.0)


def test_bodies_apart_do_not_touch(device):
    """No contact is no entry, and a body alone touches nothing."""
    scene, poses = boxes_apart([0.05, 0.06])
    assert find_contacts(scene, poses, device=device) == ()
    alone = replace(scene, bodies=scene.bodies[1:])
    assert find_contacts(alone, poses, device=device) == ()


def test_arm_touches_box(device):
    """Points of an articulated body belong to it and follow its surface; two articulated bodies are left alone."""
    arm = make_arm()
    motion = make_arm_poses(arm)
    box = Poses(motion.position, motion.rotation, np.zeros((5, 0)))
    scene = make_scene(arm=arm)
    (contact,) = find_contacts(scene, {"box": box, "arm": motion}, device=device)
    assert (contact.body, contact.other) == ("arm", "box")
    assert contact.points.shape[:2] == contact.weight.shape
    both = replace(scene, bodies=(scene.bodies[1], replace(scene.bodies[1], body=replace(arm, name="arm 2"), label=9)))
    assert find_contacts(both, {"arm": motion, "arm 2": motion}, device=device) == ()


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_scale_moves_the_surface(device, scale):
    """A body's size factor counts: the enlarged box reaches the slab."""
    scene, poses = boxes_apart([0.3 * HALF[0]])
    poses["box"] = replace(poses["box"], scale=scale)
    assert (find_contacts(scene, poses, device=device) != ()) == (scale > 1.0)


def test_normals_depth_and_slip(device):
    """The slab slides along a side of the box that drifts and turns: speed, the side's normal, how deep."""
    scene, poses = boxes_apart([-0.001] * 4)
    turn = Rotation.from_rotvec([0.0, 0.1, 0.0])
    for name, motion in poses.items():  # both move as one, but for 2 mm per frame along the side
        place, rotation = motion.position.copy(), motion.rotation.copy()
        for frame in range(4):
            if name == "slab":
                place[frame] += Rotation.from_quat(rotation[frame]).apply([0.0, 0.002 * frame, 0.0])
            place[frame] = (turn**frame).apply(place[frame]) + 0.01 * frame
            rotation[frame] = (turn**frame * Rotation.from_quat(rotation[frame])).as_quat()
        poses[name] = Poses(place, rotation, motion.joints)
    (contact,) = find_contacts(scene, poses, device=device)
    facing = (np.abs(contact.depth - 0.001) < 1e-5).all(axis=0) & (contact.weight == 1.0).all(axis=0)
    assert facing.sum() > 100
    np.testing.assert_allclose(contact.slip[:, facing], 0.002 * scene.fps, rtol=1e-3)
    for frame in range(4):
        side = Rotation.from_quat(poses["box"].rotation[frame]).apply([1.0, 0.0, 0.0])
        np.testing.assert_allclose(contact.normals[frame, facing], np.tile(side, (facing.sum(), 1)), atol=1e-4)
    outside = contact.weight == 0.0
    assert np.all(contact.depth[outside] <= -CLEAR + 1e-6)


def test_slip_needs_two_frames():
    """A point that touches in one frame alone has none; one that comes has that of the frame after."""
    places = np.zeros((4, 1, 3))
    places[:, 0, 0] = [0.0, 0.0, 0.01, 0.03]
    up = np.tile([0.0, 0.0, 1.0], (4, 1, 1))
    touching = np.array([[False], [True], [True], [False]])
    np.testing.assert_allclose(slip_speed(places, up, touching, 10.0)[:, 0], [0.0, 0.1, 0.1, 0.0], atol=1e-6)
    touching = np.array([[True], [False], [True], [False]])
    assert not slip_speed(places, up, touching, 10.0).any()
