"""Draw docs/pictures/stages/*.jpg: exported stages as Blender shows them.  `make stage-pictures` runs it.

It runs in Blender's own Python, as ``pip install bpy usd-core pillow`` gives it (CPython 3.11, 1 GB); the stages
are made by the commands in the Makefile.  Camera, lights and ellipsoids are made here; the rest is read from them.

    python docs/stage_pictures.py out/stages [heat sure ...]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector
from PIL import Image
from pxr import Usd, UsdGeom

PICTURES = Path(__file__).resolve().parent / "pictures" / "stages"
SIZE = (440, 400)  # of each half [px]
SAMPLES = 48
PAPER = (0.92, 0.92, 0.92)
SIGMAS = 3.0  # size of ellipsoids


def open_stage(path: Path, *, guides: bool = False) -> None:
    """Load a stage into an empty scene; the purpose ``guide`` is that of colliders."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.usd_import(filepath=str(path), import_guide=guides, import_render=True, import_lights=False)
    world = bpy.data.worlds.new("paper")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs[0].default_value = (*PAPER, 1.0)
    world.node_tree.nodes["Background"].inputs[1].default_value = 0.75
    bpy.context.scene.world = world


def placed(path: Path, prim: str, frame: float) -> np.ndarray:
    """World matrix of a prim."""
    stage = Usd.Stage.Open(str(path))
    return np.array(UsdGeom.XformCache(Usd.TimeCode(frame)).GetLocalToWorldTransform(stage.GetPrimAtPath(prim))).T


def look(target: np.ndarray, direction: tuple[float, float, float], distance: float) -> None:
    """Put camera and light; the direction is from the target to the camera."""
    scene, way = bpy.context.scene, Vector(direction).normalized()
    camera = bpy.data.objects.new("view", bpy.data.cameras.new("view"))
    camera.data.lens, camera.data.clip_start = 60.0, 0.01
    camera.location = Vector(target) + distance * way
    camera.rotation_euler = (-way).to_track_quat("-Z", "Y").to_euler()
    light = bpy.data.objects.new("key", bpy.data.lights.new("key", "AREA"))
    light.data.energy, light.data.size = 14.0 * distance**2, 0.7 * distance
    light.location = camera.location + distance * Vector((-0.7, 0.2, 1.0))
    light.rotation_euler = (Vector(target) - light.location).to_track_quat("-Z", "Y").to_euler()
    for one in (camera, light):
        scene.collection.objects.link(one)
    scene.camera = camera


def draw(frame: int) -> Image.Image:
    """Render one frame."""
    scene = bpy.context.scene
    scene.frame_set(frame)
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", SAMPLES, True
    scene.cycles.seed = 0
    scene.render.resolution_x, scene.render.resolution_y = SIZE
    scene.view_settings.view_transform = "Standard"
    scene.render.filepath = str(Path(bpy.app.tempdir) / "half.png")
    bpy.ops.render.render(write_still=True)
    return Image.open(scene.render.filepath).convert("RGB")


def material(color: tuple[float, float, float], alpha: float = 1.0) -> bpy.types.Material:
    """A plain material."""
    made = bpy.data.materials.new("plain")
    made.use_nodes = True
    surface = made.node_tree.nodes["Principled BSDF"]
    surface.inputs["Base Color"].default_value = (*color, 1.0)
    surface.inputs["Alpha"].default_value = alpha
    surface.inputs["Roughness"].default_value = 0.6
    return made


def ellipsoids(path: Path, prim: str, frames: range, color: tuple[float, float, float]) -> None:
    """Where a frame of the stage is, as ellipsoids of its position's covariance."""
    stage, looks = Usd.Stage.Open(str(path)), material(color, 0.75)
    values = stage.GetPrimAtPath(prim).GetAttribute("primvars:warpprior:pose_covariance")
    for frame in frames:
        variances, axes = np.linalg.eigh(np.array(values.Get(frame), dtype=np.float64).reshape(6, 6)[:3, :3])
        shape = np.eye(4)
        shape[:3, :3] = axes * (SIGMAS * np.sqrt(np.maximum(variances, 0.0)))
        shape[:3, 3] = placed(path, prim, frame)[:3, 3]
        bpy.ops.mesh.primitive_uv_sphere_add(radius=1.0, segments=32, ring_count=16)
        ball = bpy.context.object
        ball.matrix_world = Matrix(shape.tolist())
        ball.data.materials.append(looks)
        for face in ball.data.polygons:
            face.use_smooth = True


def fade(names: tuple[str, ...], alpha: float) -> None:
    """Make what the stage holds transparent."""
    for one in bpy.data.objects:
        if one.type == "MESH" and one.name.startswith(names):
            looks = material((0.75, 0.78, 0.82), alpha)
            one.data.materials.clear()
            one.data.materials.append(looks)


def before_after(folder: Path) -> list[Image.Image]:
    """The rough poses, and the estimate, from the side: most of the error is in depth."""
    halves = []
    target = placed(folder / "demo/result/scene.usdc", "/World/mug", 25)[:3, 3] + np.array([0.0, 0.06, 0.0])
    for path in (folder / "before.usdc", folder / "demo/result/scene.usdc"):
        open_stage(path)
        look(target + np.array([-0.06, -0.04, 0.0]), (1.0, -0.55, 0.35), 0.85)
        halves.append(draw(25))
    return halves


def heat(folder: Path) -> list[Image.Image]:
    """Contact heat from both sides."""
    path, halves = folder / "demo/result/scene.usdc", []
    for direction in ((0.25, -1.0, 0.35), (0.3, 1.0, 0.25)):
        open_stage(path)
        look(placed(path, "/World/mug", 30)[:3, 3] + np.array([-0.03, 0.0, 0.0]), direction, 0.52)
        halves.append(draw(30))
    return halves


def sure(folder: Path) -> list[Image.Image]:
    """Ellipsoids of a tracked bottle, from the camera and from the side: depth is least certain."""
    path, halves = folder / "track/result/scene.usdc", []
    target = placed(path, "/World/bottle", 18)[:3, 3]
    for direction in ((0.0, -1.0, 0.15), (1.0, -0.25, 0.15)):
        open_stage(path)
        fade(("hand", "bottle"), 0.25)
        ellipsoids(path, "/World/bottle", range(0, 40, 3), (0.85, 0.1, 0.35))
        ellipsoids(path, "/World/hand/Joints/wrist", range(0, 40, 3), (0.1, 0.35, 0.85))
        look(target, direction, 0.62)
        halves.append(draw(36))
    return halves


def colliders(folder: Path) -> list[Image.Image]:
    """What renderers show, and what physics engines see."""
    path, halves = folder / "demo/result/scene.usdc", []
    for guides in (False, True):
        open_stage(path, guides=guides)
        colors = ((0.55, 0.68, 0.85), (0.85, 0.7, 0.5), (0.6, 0.78, 0.6), (0.8, 0.6, 0.75))
        for number, one in enumerate([one for one in bpy.data.objects if one.type == "MESH"] if guides else []):
            if one.name.startswith("hull"):
                one.data.materials.clear()
                one.data.materials.append(material(colors[number % len(colors)]))
            else:
                one.hide_render = True
        look(placed(path, "/World/mug", 30)[:3, 3] + np.array([-0.03, 0.0, 0.0]), (0.25, -1.0, 0.35), 0.52)
        halves.append(draw(30))
    return halves


DRAWN: tuple[Callable[[Path], list[Image.Image]], ...] = (before_after, heat, sure, colliders)


def main() -> None:
    """Draw all pictures, or those that are named."""
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    PICTURES.mkdir(parents=True, exist_ok=True)
    for made in DRAWN:
        if names and made.__name__ not in names:
            continue
        halves = made(folder)
        sheet = Image.new("RGB", (len(halves) * SIZE[0], SIZE[1]))
        for index, half in enumerate(halves):
            sheet.paste(half, (index * SIZE[0], 0))
        sheet.save(PICTURES / f"{made.__name__}.jpg", quality=85, optimize=True)


if __name__ == "__main__":
    main()
