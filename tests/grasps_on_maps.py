"""Grasps for tests of contact maps: a jointed finger on a box, small enough to be quick."""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import CAMERA, make_arm, make_block, make_motion
from warpprior.scene import Scene, SceneBody


def finger_on_box(frames=2, *, robot=True):
    """A finger of three links that is bent around two sides of a box, which is known; that is the truth, too."""
    arm, box = make_arm(influences=1 if robot else 2), make_block(half=(0.03, 0.03, 0.03))
    bent = np.tile([0.45, 0.6], (frames, 1))
    poses = make_motion((-0.045, -0.062, 0.4), (0.0, 0.0, 0.35), frames=frames, joints=bent)
    still = make_motion((0.0, 0.0, 0.4), (0.0, 0.0, 0.0), frames=frames)
    bodies = SceneBody(arm, 1, False, poses, poses), SceneBody(box, 2, True, still, still)
    return Scene("finger", CAMERA, 30.0, bodies)


def perturbed(scene, name="arm", *, shift=0.02, turn=0.15, joints=0.2, seed=0):
    """The scene whose body starts elsewhere."""
    random, start = np.random.default_rng(seed), scene.body(name).initial
    turns = Rotation.from_rotvec(turn * random.normal(size=(start.frame_count, 3)))
    moved = replace(
        start,
        position=start.position + shift * random.normal(size=start.position.shape),
        rotation=(turns * Rotation.from_quat(start.rotation)).as_quat(),
        joints=start.joints + joints * random.normal(size=start.joints.shape),
    )
    return scene.with_poses({name: moved})
