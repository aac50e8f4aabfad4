"""Mitsuba 3: silhouettes sampled by its projective integrator, four samples per pixel, by LLVM on one thread."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bench.peers.harness import Library, MissingLibraryError, Work, installed
from warpprior.bench.peers.topics import MaskAnswer, MaskData

SAMPLES = 4  # per pixel, of the image and of its borders
VARIANT = "llvm_ad_rgb"
COLOURS = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
POSITIONS = ("hand.vertex_positions", "object.vertex_positions")


def _version() -> str:
    mi = installed("mitsuba")
    if VARIANT not in mi.variants():
        raise MissingLibraryError(f"this Mitsuba has no {VARIANT}")
    mi.set_variant(VARIANT)
    mi.set_log_level(mi.LogLevel.Error)
    try:
        installed("drjit").eval(mi.Float(1.0) + 1.0)
    except Exception as error:
        raise MissingLibraryError(f"LLVM: {error}") from error
    return mi.__version__


def _shape(mi: Any, vertices: np.ndarray, faces: np.ndarray, colour: list[float], file: Path) -> dict:
    """A body that shines in one colour and reflects nothing."""
    mesh = mi.Mesh(file.stem, len(vertices), len(faces))
    values = mi.traverse(mesh)
    values["vertex_positions"] = mi.Float(vertices.astype(np.float32).ravel())
    values["faces"] = mi.UInt32(faces.astype(np.uint32).ravel())
    values.update()
    mesh.write_ply(str(file))
    return {
        "type": "ply",
        "filename": str(file),
        "face_normals": True,
        "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.0}},
        "emitter": {"type": "area", "radiance": {"type": "rgb", "value": colour}},
    }


def _mask(data: MaskData) -> Work:
    dr, mi = installed("drjit"), installed("mitsuba")
    dr.set_thread_count(1)
    _, height, width = data.target.shape
    with tempfile.TemporaryDirectory() as folder:
        shapes = {}
        for number, name in enumerate(("hand", "object")):
            mine = data.body == number
            faces = np.cumsum(mine)[data.faces[mine[data.faces[:, 0]]]] - 1
            shapes[name] = _shape(mi, data.vertices[mine], faces, COLOURS[number], Path(folder) / f"{name}.ply")
        scene = mi.load_dict(
            {
                "type": "scene",
                "integrator": {"type": "direct_projective", "sppc": SAMPLES, "sppp": SAMPLES, "sppi": 0},
                "sensor": {
                    "type": "perspective",
                    "fov": math.degrees(2.0 * math.atan(width / (2.0 * data.focal))),
                    "fov_axis": "x",
                    "near_clip": 0.01,
                    "to_world": mi.ScalarTransform4f().look_at([0, 0, 0], [0, 0, 1], [0, -1, 0]),
                    "film": {"type": "hdrfilm", "width": width, "height": height, "rfilter": {"type": "box"}},
                    "sampler": {"type": "independent"},
                },
                **shapes,
            }
        )
    values = mi.traverse(scene)
    target = mi.TensorXf(np.ascontiguousarray(data.target.transpose(1, 2, 0)))
    metres_per_pixel = data.vertices[:, 2] / data.focal
    count = 0

    def run() -> tuple[Any, list[Any]]:
        nonlocal count
        count += 1
        for name in POSITIONS:
            dr.enable_grad(values[name])
            dr.set_grad(values[name], 0.0)
        values.update()
        image = mi.render(scene, values, spp=SAMPLES, seed=count)
        loss = dr.sum(dr.square(image[:, :, :2] - target)) / (width * height)
        dr.backward(loss)
        gradients = [dr.grad(values[name]) for name in POSITIONS]
        dr.eval(loss, *gradients)
        dr.sync_thread()
        return loss, gradients

    def read(found: tuple[Any, list[Any]]) -> MaskAnswer:
        loss, gradients = found
        slope = 0.0
        for number, gradient in enumerate(gradients):
            columns = np.array(gradient).reshape(-1, 3)[:, 0]
            slope += float(columns @ metres_per_pixel[data.body == number])
        return MaskAnswer(float(np.array(loss).ravel()[0]), slope)

    return Work(run, read)


LIBRARY = Library(
    name="Mitsuba",
    install="pip install mitsuba; on Debian also: apt install libllvm19 (15 ends the process), "
    "or name another in DRJIT_LIBLLVM_PATH",
    version=_version,
    topics={"mask": _mask},
)
