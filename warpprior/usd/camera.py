"""The camera prim, and where the camera stands in the exported world."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from warpprior.scene import Camera, Scene

if TYPE_CHECKING:
    from pxr import Usd

# World: Z up, metres.  The camera stands one metre above the origin and looks horizontally along +Y, with +X to its
# right, so that what is upright in the picture is upright in the stage: world_from_camera, position then xyzw.
WORLD_FROM_CAMERA = (0.0, 0.0, 1.0, -math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5))

_APERTURE = 0.20955  # tenths of a metre: a sensor 20.955 mm wide
_LENS = "omni:lensdistortion"
_COEFFICIENTS = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2", "s1", "s2", "s3", "s4")


def stage_from_camera(scene: Scene) -> np.ndarray:
    """Where the camera stands in a stage (7,), or goes (frame, 7): position [m] then quaternion xyzw.

    A camera that moves goes through its own world, turned so that things fall along -z; where nobody says which way
    they fall, it begins where one stands that does not move.
    """
    from scipy.spatial.transform import Rotation

    world = scene.world
    if world is None or not world.moves or world.camera is None:
        return np.array(WORLD_FROM_CAMERA)
    if world.gravity is None:
        stand, path = np.array(WORLD_FROM_CAMERA), world.camera.from_its_first()
        turn, shift = Rotation.from_quat(stand[3:]), stand[:3]
    else:
        turn, shift, path = Rotation.align_vectors([[0.0, 0.0, -1.0]], [world.gravity])[0], np.zeros(3), world.camera
    rotation = (turn * Rotation.from_quat(path.rotation)).as_quat()
    return np.concatenate([turn.apply(path.position) + shift, rotation], axis=1)


def turned(world_from_camera: np.ndarray, up_axis: str) -> np.ndarray:
    """Poses (..., 7) of a world in which Z is up, in one whose ``up_axis`` is Z, which is the same, or Y."""
    from scipy.spatial.transform import Rotation

    if up_axis == "Z":
        return world_from_camera
    lying = Rotation.from_rotvec([-0.5 * np.pi, 0.0, 0.0])
    place = lying.apply(world_from_camera[..., :3])
    return np.concatenate([place, (lying * Rotation.from_quat(world_from_camera[..., 3:])).as_quat()], axis=-1)


def define_camera(stage: Usd.Stage, path: str, camera: Camera, world_from_camera: np.ndarray) -> None:
    """Write the pinhole camera three ways, for readers differ.

    Plain USD: focal length, apertures and both aperture offsets (the offsets follow ``Gf.Camera``; Omniverse ignores
    them).  ``OmniLensDistortionOpenCvPinholeAPI``: the intrinsics in pixels, which RTX prefers over the former.
    ``customData``: the matrix K for everyone else.

    Args:
        stage: the stage to write to.
        path: prim path.
        camera: intrinsics [px].
        world_from_camera: OpenCV camera pose, position [m] then quaternion xyzw (7,), or (frame, 7) where it moves.
    """
    from pxr import Gf, Sdf, Usd, UsdGeom

    prim = UsdGeom.Camera.Define(stage, path)
    focal = camera.fx * _APERTURE / camera.width
    vertical = focal * camera.height / camera.fy
    prim.CreateProjectionAttr(UsdGeom.Tokens.perspective)
    prim.CreateFocalLengthAttr(focal)
    prim.CreateHorizontalApertureAttr(_APERTURE)
    prim.CreateVerticalApertureAttr(vertical)
    prim.CreateHorizontalApertureOffsetAttr((camera.width / 2 - camera.cx) / camera.width * _APERTURE)
    prim.CreateVerticalApertureOffsetAttr((camera.cy - camera.height / 2) / camera.height * vertical)
    prim.CreateClippingRangeAttr(Gf.Vec2f(0.01, 1000.0))

    translate, orient = prim.AddTranslateOp(), prim.AddOrientOp()
    moves = np.ndim(world_from_camera) == 2
    for frame, pose in enumerate(np.atleast_2d(world_from_camera).tolist()):
        x, y, z, qx, qy, qz, qw = pose
        # USD cameras look down -Z with +Y up: turn the OpenCV axes by half a turn about X.
        opencv_from_usd = Gf.Quatd(0.0, 1.0, 0.0, 0.0)
        code = Usd.TimeCode(frame) if moves else Usd.TimeCode.Default()
        translate.Set(Gf.Vec3d(x, y, z), code)
        orient.Set(Gf.Quatf((Gf.Quatd(qw, qx, qy, qz) * opencv_from_usd).GetNormalized()), code)

    schema = prim.GetPrim()
    schema.AddAppliedSchema("OmniLensDistortionOpenCvPinholeAPI")
    schema.CreateAttribute(f"{_LENS}:model", Sdf.ValueTypeNames.Token, custom=False).Set("opencvPinhole")
    values = {"fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy, **dict.fromkeys(_COEFFICIENTS, 0.0)}
    for name, value in values.items():
        schema.CreateAttribute(f"{_LENS}:opencvPinhole:{name}", Sdf.ValueTypeNames.Float, custom=False).Set(value)
    size = schema.CreateAttribute(f"{_LENS}:opencvPinhole:imageSize", Sdf.ValueTypeNames.Int2, custom=False)
    size.Set(Gf.Vec2i(camera.width, camera.height))
    schema.SetCustomDataByKey("warpprior:K", Gf.Matrix3d(camera.fx, 0, camera.cx, 0, camera.fy, camera.cy, 0, 0, 1))
    schema.SetCustomDataByKey("warpprior:width", camera.width)
    schema.SetCustomDataByKey("warpprior:height", camera.height)
