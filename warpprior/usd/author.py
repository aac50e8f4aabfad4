"""A take as prims below a root: camera, bodies in motion, their materials, and where they touch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from warpprior.scene import Scene
from warpprior.support.errors import InputError
from warpprior.support.progress import Progress
from warpprior.usd import prims
from warpprior.usd.body_writer import BodyWriter, Looks
from warpprior.usd.camera import define_camera
from warpprior.usd.contact_prims import write_contacts
from warpprior.usd.detail import detailed
from warpprior.usd.heat import contact_heat, quantised
from warpprior.usd.names import prim_name
from warpprior.usd.options import StageOptions
from warpprior.usd.physics import add_friction
from warpprior.usd.take import Take

if TYPE_CHECKING:
    from pxr import Usd

# Colours of bodies that bring none, in order (sRGB): quiet, so that heat stands out.
_BODY_COLORS = ((0.60, 0.68, 0.78), (0.78, 0.74, 0.66), (0.62, 0.74, 0.64), (0.74, 0.64, 0.74))


def author(
    stage: Usd.Stage,
    take: Take,
    root: str,
    *,
    options: StageOptions,
    device: str = "cpu",
    progress: Progress | None = None,
) -> None:
    """Write a take below a prim: one time code per frame from 0 on, lengths in metres.

    What belongs to a whole stage (up axis, units, time range, gravity, light) is left alone.

    Args:
        stage: to write to, at its edit target; nothing is below ``root`` yet.
        take: what to write.
        root: path of the prim; it is made an assembly.
        options: what there is to choose.
        device: Warp device that poses the surfaces.
        progress: called with bodies done, bodies in all, and what is being done.

    Raises:
        InputError: heat of no body or of a wrong shape.
    """
    from pxr import Usd, UsdGeom

    solids = {body.name: body.body for body in take.scene.bodies}
    scene = _with_detail(take)
    surfaces = _surfaces(scene, take, device)
    warmth = _warmth(take, surfaces)
    _check_heat(scene, warmth)

    Usd.ModelAPI(UsdGeom.Xform.Define(stage, root).GetPrim()).SetKind("assembly")
    define_camera(stage, f"{root}/Camera", scene.camera, take.stand)
    UsdGeom.Scope.Define(stage, f"{root}/Looks")
    for index, body in enumerate(scene.bodies):
        color = np.asarray(_BODY_COLORS[index % len(_BODY_COLORS)]) if body.body.colors is None else body.body.colors
        material = prims.define_material(stage, f"{root}/Looks/{prim_name(body.name)}")
        add_friction(material, body.matter)
        looks = Looks(material, color, warmth.get(body.name))
        writer = BodyWriter(stage, root, body, solids[body.name], looks, options)
        writer.write(take.poses[body.name], surfaces.get(body.name), take.stand, device)
        if progress is not None:
            progress(index + 1, len(scene.bodies), "writing the stage")
    write_contacts(stage, root, take.contacts, take.stand)


def _touched(take: Take) -> set[str]:
    """Bodies whose heat must be found of contacts; those with heat per vertex stay as they are."""
    return {name for contact in take.contacts for name in (contact.body, contact.other)} - set(take.heat or ())


def _with_detail(take: Take) -> Scene:
    """The scene with surfaces fine enough for the heat of contacts."""
    touched = _touched(take)
    bodies = tuple(replace(b, body=detailed(b.body)) if b.name in touched else b for b in take.scene.bodies)
    return replace(take.scene, bodies=bodies)


def _surfaces(scene: Scene, take: Take, device: str) -> dict[str, np.ndarray]:
    """Posed surfaces (frame, vertex, 3) of the bodies whose heat must be found."""
    from warpprior.bodies import posed_vertices

    touched = _touched(take)
    return {b.name: posed_vertices(b.body, take.poses[b.name], device) for b in scene.bodies if b.name in touched}


def _warmth(take: Take, surfaces: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Heat of each body that has any (frame, vertex), quantised."""
    given = {name: quantised(np.asarray(field)) for name, field in (take.heat or {}).items()}
    return {**contact_heat(take.contacts, surfaces), **given}


def _check_heat(scene: Scene, heat: Mapping[str, np.ndarray]) -> None:
    for name, field in heat.items():
        body = next((b.body for b in scene.bodies if b.name == name), None)
        if body is None:
            raise InputError(f"heat of {name}", "no such body", f"one of {[b.name for b in scene.bodies]}")
        if field.shape != (scene.frame_count, body.vertex_count):
            raise InputError(f"heat of {name}", f"shape {field.shape}", f"{(scene.frame_count, body.vertex_count)}")
        if not np.all(np.isfinite(field)):
            raise InputError(f"heat of {name}", "not a finite number", "numbers in [0, 1]")
