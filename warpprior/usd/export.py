"""Write a motion as a USD stage that opens in usdview, Omniverse, Isaac Sim and Blender."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from warpprior.io.atomic import atomic_path, writing_alone
from warpprior.result import ContactPoints
from warpprior.scene import Poses, Scene
from warpprior.support.errors import InputError, RunError
from warpprior.support.openusd import need_openusd
from warpprior.support.progress import Progress
from warpprior.usd.author import author
from warpprior.usd.options import StageOptions
from warpprior.usd.take import Take

if TYPE_CHECKING:
    from pxr import Usd

FORMATS = (".usdc", ".usd", ".usda", ".usdz")
ROOT = "/World"  # of the stages that are written whole
_USUAL = StageOptions()


def export_usd(
    scene: Scene,
    poses: Mapping[str, Poses],
    path: str | os.PathLike,
    *,
    contacts: Sequence[ContactPoints] = (),
    heat: Mapping[str, np.ndarray] | None = None,
    metadata: Mapping[str, str | int | float | bool] | None = None,
    world_from_camera: Sequence[float] | np.ndarray | None = None,
    options: StageOptions = _USUAL,
    device: str = "cpu",
    progress: Progress | None = None,
) -> None:
    """Write the scene's bodies in motion, its camera and the contact heat to ``path``.

    The stage is Z up, in metres, one time code per frame at the scene's rate, under ``/World``:

    - a rigid body is an Xform with translate and orient samples over one static mesh, a kinematic rigid body to
      physics engines, with mass, inertia, friction and colliders;
    - an articulated body whose vertices each follow one link (a robot) is one such Xform per link, under its root; or
      an articulation (:mod:`warpprior.usd.articulation`);
    - any other body is a mesh with points, extent and normals at every frame; where it has links, each is an Xform
      besides, below ``Joints``, and a kinematic rigid body with a hull (:mod:`warpprior.usd.hand_joints`);
    - a frame whose pose comes with a covariance carries it (:mod:`warpprior.usd.uncertainty`);
    - ``/World/Camera`` has the intrinsics (:func:`warpprior.usd.camera.define_camera`); one that moves is animated, and
      bodies are in its world.

    Each body's symmetry is in its ``customData``, and ``/World/Contacts`` holds the points that touch
    (:mod:`warpprior.usd.contact_prims`).  Bodies touched by a contact carry ``primvars:contact`` in [0, 1] and a
    ``displayColor`` that turns red with it; their long edges are cut so that there are vertices to carry it
    (:func:`warpprior.usd.detail.detailed`).  ``.usda`` is text and large; the others are binary.  The file appears
    whole or not at all.

    Args:
        scene: camera, rate and bodies.
        poses: motion of every body of the scene, camera_from_body.
        path: ``.usdc``, ``.usd``, ``.usda`` or ``.usdz`` file to write; its folder is created if needed.
        contacts: contact points to turn into heat.
        heat: contact heat given directly, ``{body: (frame, vertex)}`` in [0, 1]; goes before ``contacts``.
        metadata: plain values to keep in the stage's ``customLayerData["warpprior"]``, such as the seed.
        world_from_camera: where the camera stands, position [m] then quaternion xyzw (7,), or in each frame (frame, 7);
            OpenCV camera axes; None: one metre above the origin, level, and one that moves as
            :func:`warpprior.usd.camera.stage_from_camera` has it.
        options: what else there is to choose.
        device: Warp device that poses the surfaces.
        progress: called with bodies done, bodies in all, and what is being done.

    Raises:
        InputError: unknown file ending, a body without poses, frames that do not match, or numbers that are not finite.
        MissingExtraError: OpenUSD is not installed.
        RunError: the file could not be written.
    """
    take = Take(scene, poses, contacts, heat, metadata or {}, world_from_camera)
    export_take(take, path, options=options, device=device, progress=progress)


def export_take(
    take: Take,
    path: str | os.PathLike,
    *,
    options: StageOptions = _USUAL,
    device: str = "cpu",
    progress: Progress | None = None,
) -> None:
    """:func:`export_usd` of a take."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise InputError(str(path), f"file ending {path.suffix!r}", f"one of {', '.join(FORMATS)}")
    need_openusd("USD export")
    stage = _new_stage(take)
    author(stage, take, ROOT, options=options, device=device, progress=progress)
    _write_whole(stage, path)


def _new_stage(take: Take) -> Usd.Stage:
    """A stage in memory as long as the take, Z up, in metres and kilograms, with gravity and light."""
    from pxr import Gf, Usd, UsdGeom, UsdLux, UsdPhysics

    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, UsdGeom.LinearUnits.meters)
    UsdPhysics.SetStageKilogramsPerUnit(stage, UsdPhysics.MassUnits.kilograms)
    stage.SetTimeCodesPerSecond(take.scene.fps)
    stage.SetFramesPerSecond(take.scene.fps)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(take.scene.frame_count - 1)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, ROOT).GetPrim())
    stage.GetRootLayer().customLayerData = {"warpprior": take.about}
    physics = UsdPhysics.Scene.Define(stage, f"{ROOT}/PhysicsScene")
    physics.CreateGravityDirectionAttr(Gf.Vec3f(0.0, 0.0, -1.0))
    physics.CreateGravityMagnitudeAttr(9.81)
    sky = UsdLux.DomeLight.Define(stage, f"{ROOT}/Light")
    sky.CreateIntensityAttr(1.0)
    return stage


def _write_whole(stage: Usd.Stage, path: Path) -> None:
    from pxr import Tf

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with writing_alone(path), atomic_path(path) as partial:
            written = _package if path.suffix.lower() == ".usdz" else _export
            if not written(stage, str(partial)):
                raise RunError(f"{path}: OpenUSD could not write the file")
    except Tf.ErrorException as error:  # its text is a list of places in OpenUSD's sources, each with a reason
        reasons = re.findall(r" : '(.*)'", str(error)) or [str(error).strip()]
        raise RunError(f"{path}: cannot write it: {reasons[0]}") from error
    except OSError as error:
        raise RunError(f"{path}: cannot write it: {error.strerror or error}") from error


def _export(stage: Usd.Stage, path: str) -> bool:
    return stage.GetRootLayer().Export(path)


def _package(stage: Usd.Stage, path: str) -> bool:
    """Write the stage as a package, whose first layer is ``scene.usdc``."""
    from pxr import Sdf, UsdUtils

    with tempfile.TemporaryDirectory() as folder:
        layer, package = os.path.join(folder, "scene.usdc"), os.path.join(folder, "scene.usdz")
        if not (_export(stage, layer) and UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(layer), package)):
            return False
        shutil.copyfile(package, path)
    return True
