"""Scenes for tests of what physics engines make of a stage: an open hand, a robot of every simple joint."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies import link_transforms, posed_vertices, read_hand, read_urdf
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.usd.camera import WORLD_FROM_CAMERA

CAMERA = Camera(160, 120, 150.0, 150.0, 80.0, 60.0)

# Two fingers of which the second follows the first, a slide, and a link without a surface.
ROBOT = """
<robot name="gripper">
  <link name="base"><visual><geometry><box size="0.08 0.08 0.03"/></geometry></visual></link>
  <link name="mount"/>
  <link name="near"><visual><origin xyz="0 0 0.03"/><geometry><box size="0.02 0.02 0.06"/></geometry></visual></link>
  <link name="far"><visual><origin xyz="0 0 0.03"/><geometry><box size="0.02 0.02 0.06"/></geometry></visual></link>
  <link name="push"><visual><geometry><box size="0.02 0.02 0.02"/></geometry></visual></link>
  <joint name="fix" type="fixed"><parent link="base"/><child link="mount"/><origin xyz="0 0 0.02"/></joint>
  <joint name="bend" type="revolute"><parent link="mount"/><child link="near"/>
    <origin xyz="0.03 0 0" rpy="0.3 0 0.2"/><axis xyz="0 0.6 0.8"/>
    <limit lower="-1" upper="1.2" effort="1" velocity="1"/>
  </joint>
  <joint name="too" type="revolute"><parent link="mount"/><child link="far"/><origin xyz="-0.03 0 0"/>
    <axis xyz="-1 0 0"/><limit lower="-2" upper="2" effort="1" velocity="1"/>
    <mimic joint="bend" multiplier="-0.5" offset="0.1"/></joint>
  <joint name="reach" type="prismatic"><parent link="base"/><child link="push"/><origin xyz="0 0.05 0"/>
    <axis xyz="0 1 0"/><limit lower="0" upper="0.1" effort="1" velocity="1"/></joint>
</robot>
"""


def issues_of(stage, path):
    """What OpenUSD's validators and NVIDIA's, as far as they are installed, say of a stage and its file."""
    said = []
    if find_spec("usd_validation_nvidia"):
        from usd_validation_nvidia import ValidationEngine

        said += [f"{issue.rule}: {issue.message}" for issue in ValidationEngine().validate(str(path)).issues()]
    from pxr import Usd

    if Usd.GetVersion() >= (0, 26, 3):  # none before is sound
        from pxr import UsdValidation

        validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
        errors = UsdValidation.ValidationContext(validators).Validate(stage)
        said += [f"{error.GetName()}: {error.GetMessage()}" for error in errors]
    return said


def make_gripper(folder):
    """The robot as a body."""
    path = folder / "gripper.urdf"
    path.write_text(ROBOT)
    return read_urdf(path, "gripper")


def make_gripper_scene(folder, *, frames=4, still=True):
    """A scene of the gripper alone, its joints moving; and its motion."""
    body, time = make_gripper(folder), np.linspace(0.0, 1.0, frames)
    assert body.coordinate_names == ("bend", "reach")
    joints = np.stack([0.2 + 0.5 * time, 0.02 + 0.05 * time], axis=1)
    position = np.tile([0.02, 0.01, 0.5], (frames, 1)) + (0.0 if still else 0.1) * time[:, None]
    turn = Rotation.from_rotvec([0.4, 0.2, -0.3]).as_quat()
    poses = Poses(position, np.tile(turn, (frames, 1)), joints)
    return Scene("gripper", CAMERA, 30.0, (SceneBody(body, 1, True, poses, poses),)), {"gripper": poses}


def make_hand_scene(frames=3, *, covariance=False, tilt=(0.0, 0.0, 0.0)):
    """A right hand whose palm looks up but for a tilt, its fingers bent upwards, that drifts; and its motion."""
    body = read_hand("right", name="hand")
    rest = Poses(np.zeros((1, 3)), np.array([[0.0, 0.0, 0.0, 1.0]]), np.zeros((1, body.coordinate_count)))
    places = link_transforms(body, rest)[0]
    named = dict(zip(body.link_names, places[:, :3].astype(np.float64), strict=True))
    along = named["middle1"] - named["wrist"]
    across = named["index1"] - named["pinky1"]
    palm = np.cross(along, across)  # out of the palm or the back
    surface = posed_vertices(body, rest)[0].astype(np.float64)
    prior = body.pose_prior
    joints = 1.4 * prior.mean
    bent = posed_vertices(body, replace(rest, joints=np.asarray(joints, np.float64)[None]))[0].astype(np.float64)
    tips = [int(v) for v, tip in zip(body.keypoints.vertices, body.keypoints.tips, strict=True) if tip and v >= 0]
    if np.mean((bent - surface)[tips] @ palm) < 0.0:  # fingers bend to where the palm looks
        palm = -palm
    axes = np.stack([along, np.cross(palm, along), palm], axis=1)
    axes /= np.linalg.norm(axes, axis=0)
    # World: x to the fingers, z out of the palm; the camera's turn takes the world back.
    upright = Rotation.from_rotvec(tilt) * Rotation.from_matrix(axes).inv()
    turn = Rotation.from_quat(WORLD_FROM_CAMERA[3:]).inv() * upright
    time = np.linspace(0.0, 1.0, frames)[:, None]
    position = np.array([0.0, 0.1, 0.6]) + 0.01 * time
    sure = np.tile(np.diag(np.full(6 + body.coordinate_count, 1e-4)), (frames, 1, 1)) if covariance else None
    poses = Poses(
        position, np.tile(turn.as_quat(), (frames, 1)), np.tile(joints, (frames, 1)).astype(float), covariance=sure
    )
    return Scene("hand", CAMERA, 30.0, (SceneBody(body, 1, False, poses, poses),)), {"hand": poses}
