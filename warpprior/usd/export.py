"""Write a motion as a USD stage that opens in usdview, Omniverse, Isaac Sim and Blender."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import warpprior
from warpprior.io.atomic import atomic_path, writing_alone
from warpprior.result import ContactPoints
from warpprior.scene import Poses, Scene
from warpprior.support.errors import InputError, MissingExtraError, RunError
from warpprior.support.interrupts import postponed
from warpprior.support.progress import Progress
from warpprior.usd import prims
from warpprior.usd.body_writer import BodyWriter, Looks
from warpprior.usd.camera import define_camera, stage_from_camera
from warpprior.usd.contact_prims import write_contacts
from warpprior.usd.detail import detailed
from warpprior.usd.heat import contact_heat, quantised
from warpprior.usd.names import prim_name
from warpprior.usd.options import StageOptions
from warpprior.usd.physics import add_friction

if TYPE_CHECKING:
    from pxr import Usd

FORMATS = (".usdc", ".usd", ".usda", ".usdz")
_USUAL = StageOptions()

# Colours of bodies that bring none, in order (sRGB): quiet, so that heat stands out.
_BODY_COLORS = ((0.60, 0.68, 0.78), (0.78, 0.74, 0.66), (0.62, 0.74, 0.64), (0.74, 0.64, 0.74))


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
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise InputError(str(path), f"file ending {path.suffix!r}", f"one of {', '.join(FORMATS)}")
    _import_openusd()
    from pxr import Usd

    _check_poses(scene, poses)
    solids = {body.name: body.body for body in scene.bodies}
    scene = _with_detail(scene, contacts, heat)
    surfaces = _surfaces(scene, poses, contacts, heat, device)
    given = {} if heat is None else {name: quantised(np.asarray(field)) for name, field in heat.items()}
    warmth = {**contact_heat(contacts, surfaces), **given}
    _check_heat(scene, warmth)

    stage = Usd.Stage.CreateInMemory()
    stand = stage_from_camera(scene) if world_from_camera is None else np.asarray(world_from_camera, dtype=np.float64)
    _define_world(stage, scene, metadata or {}, stand)
    for index, body in enumerate(scene.bodies):
        color = np.asarray(_BODY_COLORS[index % len(_BODY_COLORS)]) if body.body.colors is None else body.body.colors
        material = prims.define_material(stage, f"/World/Looks/{prim_name(body.name)}")
        add_friction(material, body.matter)
        looks = Looks(material, color, warmth.get(body.name))
        writer = BodyWriter(stage, body, solids[body.name], looks, options)
        writer.write(poses[body.name], surfaces.get(body.name), stand, device)
        if progress is not None:
            progress(index + 1, len(scene.bodies), "writing the stage")
    write_contacts(stage, contacts, stand)
    _write_whole(stage, path)


def _import_openusd() -> None:
    """Import what the export needs; interrupts wait, for OpenUSD would print them and go on without what it lacks."""
    try:
        with postponed():
            from pxr import Gf, Kind, Sdf, Tf, Usd, UsdGeom, UsdLux, UsdPhysics, UsdShade, Vt  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("USD export", "usd") from error


def _define_world(stage: Usd.Stage, scene: Scene, metadata: Mapping, world_from_camera: np.ndarray) -> None:
    """Stage metadata, root prim, camera, light, physics scene, and a place for materials."""
    from pxr import Gf, Usd, UsdGeom, UsdLux, UsdPhysics, Vt

    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, UsdGeom.LinearUnits.meters)
    UsdPhysics.SetStageKilogramsPerUnit(stage, UsdPhysics.MassUnits.kilograms)
    stage.SetTimeCodesPerSecond(scene.fps)
    stage.SetFramesPerSecond(scene.fps)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(scene.frame_count - 1)
    world = UsdGeom.Xform.Define(stage, "/World").GetPrim()
    Usd.ModelAPI(world).SetKind("assembly")
    stage.SetDefaultPrim(world)
    about = {"version": warpprior.__version__, "scene": scene.name, **metadata}
    about["worldFromCamera"] = Vt.DoubleArray(np.atleast_2d(world_from_camera)[0].tolist())
    stage.GetRootLayer().customLayerData = {"warpprior": about}
    define_camera(stage, "/World/Camera", scene.camera, world_from_camera)
    physics = UsdPhysics.Scene.Define(stage, "/World/PhysicsScene")
    physics.CreateGravityDirectionAttr(Gf.Vec3f(0.0, 0.0, -1.0))
    physics.CreateGravityMagnitudeAttr(9.81)
    UsdGeom.Scope.Define(stage, "/World/Looks")
    sky = UsdLux.DomeLight.Define(stage, "/World/Light")
    sky.CreateIntensityAttr(1.0)


def _with_detail(scene: Scene, contacts: Sequence[ContactPoints], heat: Mapping[str, np.ndarray] | None) -> Scene:
    """The scene with surfaces fine enough for the heat of contacts; those with heat per vertex stay as they are."""
    touched = {name for contact in contacts for name in (contact.body, contact.other)} - set(heat or ())
    bodies = tuple(replace(b, body=detailed(b.body)) if b.name in touched else b for b in scene.bodies)
    return replace(scene, bodies=bodies)


def _surfaces(
    scene: Scene,
    poses: Mapping[str, Poses],
    contacts: Sequence[ContactPoints],
    heat: Mapping[str, np.ndarray] | None,
    device: str,
) -> dict[str, np.ndarray]:
    """Posed surfaces (frame, vertex, 3) of the bodies whose heat must be found."""
    from warpprior.bodies import posed_vertices

    wanted = {name for contact in contacts for name in (contact.body, contact.other)} - set(heat or ())
    return {b.name: posed_vertices(b.body, poses[b.name], device) for b in scene.bodies if b.name in wanted}


def _check_poses(scene: Scene, poses: Mapping[str, Poses]) -> None:
    for body in scene.bodies:
        if body.name not in poses:
            raise InputError(f"poses of {body.name}", "missing", f"poses of {[b.name for b in scene.bodies]}")
        motion = poses[body.name]
        if motion.frame_count != scene.frame_count:
            raise InputError(f"poses of {body.name}", f"{motion.frame_count} frames", f"{scene.frame_count} frames")
        for field in ("position", "rotation", "joints", "shape", "scale"):
            values = np.asarray(getattr(motion, field))
            if not np.all(np.isfinite(values)):
                where = f"poses of {body.name}: {field}"
                if values.ndim == 2:
                    where += f", frame {int(np.argmin(np.isfinite(values).all(axis=1)))}"
                raise InputError(where, "not a finite number", "finite numbers")
        lengths = np.linalg.norm(motion.rotation, axis=1)
        if np.any(lengths < 1.0e-6):
            raise InputError(f"poses of {body.name}: rotation, frame {int(np.argmin(lengths))}", "zero", "a quaternion")
        size = 6 + body.body.coordinate_count
        if motion.covariance is not None and motion.covariance.shape != (scene.frame_count, size, size):
            accepted = f"shape {(scene.frame_count, size, size)}"
            raise InputError(f"poses of {body.name}: covariance", f"shape {motion.covariance.shape}", accepted)


def _check_heat(scene: Scene, heat: Mapping[str, np.ndarray]) -> None:
    for name, field in heat.items():
        body = next((b.body for b in scene.bodies if b.name == name), None)
        if body is None:
            raise InputError(f"heat of {name}", "no such body", f"one of {[b.name for b in scene.bodies]}")
        if field.shape != (scene.frame_count, body.vertex_count):
            raise InputError(f"heat of {name}", f"shape {field.shape}", f"{(scene.frame_count, body.vertex_count)}")
        if not np.all(np.isfinite(field)):
            raise InputError(f"heat of {name}", "not a finite number", "numbers in [0, 1]")


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
