"""What Blender makes of a stage, against what OpenUSD says of it, at every frame; runs in Blender's Python.

python .ci/blender_stage.py STAGE      prints one line of JSON
"""

from __future__ import annotations

import json
import sys

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from pxr import Usd, UsdGeom


def main() -> None:
    """Import, step through all frames, compare."""
    path = sys.argv[1]
    stage = Usd.Stage.Open(path)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.usd_import(filepath=path)
    scene = bpy.context.scene
    meshes = [UsdGeom.Mesh(prim) for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]
    meshes = [mesh for mesh in meshes if mesh.ComputePurpose() == UsdGeom.Tokens.default_]
    shown = {one.data.name: one for one in bpy.data.objects if one.type == "MESH"}
    camera = UsdGeom.Camera(next(prim for prim in stage.Traverse() if prim.IsA(UsdGeom.Camera)))
    scene.camera = next(one for one in bpy.data.objects if one.type == "CAMERA")
    calibrated = camera.GetPrim().GetCustomDataByKey("warpprior")
    matrix, width, height = np.array(calibrated["K"]), calibrated["width"], calibrated["height"]
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = width, height, 100
    worst = {"vertices_mm": 0.0, "camera_px": 0.0, "missing": 0}
    for code in range(int(stage.GetStartTimeCode()), int(stage.GetEndTimeCode()) + 1):
        scene.frame_set(code)
        known = bpy.context.evaluated_depsgraph_get()
        cache = UsdGeom.XformCache(code)
        worst["missing"] = 0
        for mesh in meshes:
            points = np.array(mesh.GetPointsAttr().Get(code), dtype=np.float64)
            there = moved(np.array(cache.GetLocalToWorldTransform(mesh.GetPrim())).T, points)
            seen = nearest(shown, mesh.GetPrim().GetName(), known, there)
            if seen is None:
                worst["missing"] += 1
                continue
            worst["vertices_mm"] = max(worst["vertices_mm"], 1e3 * float(np.linalg.norm(seen - there, axis=1).max()))
        worst["camera_px"] = max(worst["camera_px"], off_in_pixels(scene, camera, cache, matrix, (width, height)))
    print(json.dumps(worst))


def moved(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def nearest(shown: dict, name: str, known, there: np.ndarray) -> np.ndarray | None:
    """World vertices of the object made of a mesh of that name; Blender numbers those of one name."""
    best = None
    for data_name, one in shown.items():
        if data_name.split(".")[0] == name and len(one.data.vertices) == len(there):
            made = one.evaluated_get(known).to_mesh()
            flat = np.empty(3 * len(made.vertices))
            made.vertices.foreach_get("co", flat)
            seen = moved(np.array(one.evaluated_get(known).matrix_world), flat.reshape(-1, 3))
            if best is None or np.abs(seen - there).max() < np.abs(best - there).max():
                best = seen
    return best


def off_in_pixels(scene, camera, cache, matrix: np.ndarray, size: tuple[int, int]) -> float:
    """How far Blender draws points from where the calibration has them."""
    world = np.array(cache.GetLocalToWorldTransform(camera.GetPrim())).T
    worst = 0.0
    for u, v in ((0.1, 0.1), (0.9, 0.2), (0.5, 0.5), (0.2, 0.9), (0.8, 0.8)):
        pixel = np.array([u * size[0], v * size[1], 1.0])
        ray = 0.7 * np.linalg.solve(matrix, pixel)
        place = moved(world, (ray * [1.0, -1.0, -1.0])[None])[0]  # OpenCV axes to USD's
        drawn = world_to_camera_view(scene, scene.camera, Vector(place))
        there = np.array([drawn.x * size[0], (1.0 - drawn.y) * size[1]])
        worst = max(worst, float(np.abs(there - pixel[:2]).max()))
    return worst


if __name__ == "__main__":
    main()
