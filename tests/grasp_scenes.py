"""A finger of two links and a box that it touches: small scenes for the physics."""

from dataclasses import replace

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from warpprior.bodies import JointType, rigid_body
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.problem import Problem

FRAMES, POINTS = 4, 96


def make_box(name, size, center=(0.0, 0.0, 0.0)):
    """A box body [m]."""
    mesh = trimesh.creation.box(size)
    return rigid_body(name, mesh.vertices + np.array(center), np.asarray(mesh.faces))


def make_finger():
    """Two boxes of 20 x 20 x 40 mm along z, the second on a turned hinge 50 mm up."""
    mesh = trimesh.creation.box((0.02, 0.02, 0.04))
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    turn = Rotation.from_rotvec([0.0, 0.0, 0.5])
    offsets = np.array([[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.05, *turn.as_quat()]])
    ahead = vertices + np.array([0.0, 0.0, 0.05])
    body = rigid_body("finger", np.concatenate([vertices, ahead]), np.concatenate([faces, faces + 8]))
    return replace(
        body,
        kind="urdf",
        link_names=("near", "far"),
        parents=np.array([-1, 0], dtype=np.int32),
        joint_types=np.array([JointType.FREE, JointType.HINGE], dtype=np.int32),
        joint_offsets=offsets.astype(np.float32),
        joint_axes=np.array([[0, 0, 0], [1, 0, 0]], dtype=np.float32),
        coordinate_starts=np.array([-1, 0], dtype=np.int32),
        coordinate_gains=np.ones(2, dtype=np.float32),
        coordinate_biases=np.zeros(2, dtype=np.float32),
        coordinate_names=("bend",),
        lower=np.full(1, -np.inf, dtype=np.float32),
        upper=np.full(1, np.inf, dtype=np.float32),
        skin_links=np.repeat([[0], [1]], 8, axis=0).astype(np.int32),
        skin_weights=np.ones((16, 1), dtype=np.float32),
        joint_shape_directions=np.zeros((2, 3, 0), dtype=np.float32),
    )


def make_motion(positions, turns, joints=None):
    """Poses from positions (frame, 3) [m] and rotation vectors (frame, 3) [rad]."""
    joints = np.zeros((len(positions), 0)) if joints is None else joints
    return Poses(np.asarray(positions, float), Rotation.from_rotvec(turns).as_quat(), np.asarray(joints, float))


def make_grasp():
    """Bodies and motions of a finger that bends and of a box that turns, together, the finger's tip in the box."""
    steps = np.arange(FRAMES)[:, None]
    finger_places, finger_turns = steps * [0.004, -0.003, 0.002] + [0.0, 0.0, 0.6], steps * [0.05, 0.1, -0.02]
    box_places, box_turns = steps * [0.003, -0.002, 0.003] + [0.0, -0.02, 0.675], steps * [0.06, 0.08, 0.0]
    finger_motion = make_motion(finger_places, finger_turns, 0.2 + 0.1 * steps)
    box_motion = make_motion(box_places, box_turns + np.array([0.1, 0.2, 0.3]))
    return (make_finger(), make_box("box", (0.05, 0.06, 0.04))), (finger_motion, box_motion)


def make_problem(bodies, motions, device, points=POINTS):
    """The problem of a scene of estimated bodies."""
    parts = tuple(SceneBody(body, i + 1, False, m) for i, (body, m) in enumerate(zip(bodies, motions, strict=True)))
    scene = Scene("test", Camera(640, 480, 600.0, 600.0, 320.0, 240.0), 30.0, parts)
    motion = MotionState(scene, device, point_count=points)
    return Problem(motion, observe_picture(motion, 0.5, calibrate=False))
