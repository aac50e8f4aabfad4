"""Write motions as a USD stage that opens in usdview, Omniverse, Isaac Sim and Blender."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import warpprior
from warpprior.result import ContactPoints, Result
from warpprior.scene import Poses, Scene
from warpprior.support.errors import InputError
from warpprior.support.openusd import is_stage, need_openusd
from warpprior.support.progress import Progress
from warpprior.usd.author import author
from warpprior.usd.files import check_ending, write_file
from warpprior.usd.layers import MARK, TAKES
from warpprior.usd.lights import define_lights
from warpprior.usd.options import StageOptions
from warpprior.usd.take import Take
from warpprior.usd.write import Written, write

if TYPE_CHECKING:
    from pxr import Usd

ROOT = "/World"  # of the stages that are written whole
_USUAL = StageOptions()


def export_usd(
    scene: Scene,
    poses: Mapping[str, Poses],
    path: str | os.PathLike | Usd.Stage,
    *,
    contacts: Sequence[ContactPoints] = (),
    heat: Mapping[str, np.ndarray] | None = None,
    metadata: Mapping[str, str | int | float | bool] | None = None,
    world_from_camera: Sequence[float] | np.ndarray | None = None,
    options: StageOptions = _USUAL,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Written | None:
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
        path: ``.usdc``, ``.usd``, ``.usda`` or ``.usdz`` file to write; its folder is created if needed.  Or a
            ``Usd.Stage``, which is written to as :func:`warpprior.usd.write` does.
        contacts: contact points to turn into heat.
        heat: contact heat given directly, ``{body: (frame, vertex)}`` in [0, 1]; goes before ``contacts``.
        metadata: plain values to keep in the stage's ``customLayerData["warpprior"]``, such as the seed.
        world_from_camera: where the camera stands, position [m] then quaternion xyzw (7,), or in each frame (frame, 7);
            OpenCV camera axes; None: one metre above the origin, level, and one that moves as
            :func:`warpprior.usd.camera.stage_from_camera` has it.
        options: what else there is to choose.
        device: Warp device that poses the surfaces.
        progress: called with bodies done, bodies in all, and what is being done.

    Returns:
        Of a stage, what :func:`warpprior.usd.write` returns.

    Raises:
        InputError: unknown file ending, a body without poses, frames that do not match, or numbers that are not finite.
        MissingExtraError: OpenUSD is not installed.
        RunError: the file could not be written.
    """
    take = Take(scene, poses, contacts, heat, metadata or {}, world_from_camera)
    if is_stage(path):
        return write(path, take, options=options, device=device, progress=progress)
    export_take(take, path, options=options, device=device, progress=progress)
    return None


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
    check_ending(path)
    need_openusd("USD export")
    stage = _new_stage(take.scene.fps, take.scene.frame_count, take.stand)
    author(stage, take, ROOT, options=options, device=device, progress=progress)
    stage.GetRootLayer().customLayerData = {MARK: take.about}
    write_file(stage.GetRootLayer(), path)


def export_takes(
    takes: Mapping[str, Take | Result],
    path: str | os.PathLike,
    *,
    options: StageOptions = _USUAL,
    device: str = "cpu",
    progress: Progress | None = None,
) -> None:
    """Write several motions to one stage, of which one is shown at a time.

    They are variants of the variant set ``take`` of ``/World``; the first one is chosen.  So each is found at the same
    paths, and no player or physics engine meets two of them at once.  The stage is as long as the longest, at the rate
    of the first; others keep their own pace.  What is said about a take is in ``customData["warpprior"]`` of its
    ``/World``.

    Args:
        takes: by name, one or more.
        path: as for :func:`export_usd`.
        options, device: as for :func:`export_usd`.
        progress: called with takes done, takes in all, and what is being done.

    Raises:
        InputError: no takes, or as for :func:`export_usd`.
        MissingExtraError: OpenUSD is not installed.
        RunError: the file could not be written.
    """
    path = Path(path)
    check_ending(path)
    if not takes:
        raise InputError("takes", "none", "one or more, by name")
    need_openusd("USD export")
    scenes = [take.scene for take in takes.values()]
    rate = scenes[0].fps
    last = max((scene.frame_count - 1) * (rate / scene.fps) for scene in scenes)
    first = next(iter(takes.values()))
    stage = _new_stage(rate, last + 1, (Take.of(first) if isinstance(first, Result) else first).stand)
    stage.GetPrimAtPath(ROOT).SetCustomDataByKey(MARK, {TAKES: True})
    for number, (name, take) in enumerate(takes.items()):
        write(stage, take, prim=ROOT, take=name, options=options, device=device)
        if progress is not None:
            progress(number + 1, len(takes), "writing the stage")
    stage.GetRootLayer().customLayerData = {MARK: {"version": warpprior.__version__}}
    write_file(stage.GetRootLayer(), path)


def _new_stage(fps: float, frame_count: float, world_from_camera: np.ndarray) -> Usd.Stage:
    """A stage in memory of so many frames, Z up, in metres and kilograms, with gravity and light."""
    from pxr import Gf, Usd, UsdGeom, UsdPhysics

    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, UsdGeom.LinearUnits.meters)
    UsdPhysics.SetStageKilogramsPerUnit(stage, UsdPhysics.MassUnits.kilograms)
    stage.SetTimeCodesPerSecond(fps)
    stage.SetFramesPerSecond(fps)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(frame_count - 1)
    world = UsdGeom.Xform.Define(stage, ROOT).GetPrim()
    Usd.ModelAPI(world).SetKind("assembly")
    stage.SetDefaultPrim(world)
    physics = UsdPhysics.Scene.Define(stage, f"{ROOT}/PhysicsScene")
    physics.CreateGravityDirectionAttr(Gf.Vec3f(0.0, 0.0, -1.0))
    physics.CreateGravityMagnitudeAttr(9.81)
    define_lights(stage, ROOT, world_from_camera)
    return stage
