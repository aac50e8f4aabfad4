"""Files of what touches what: maps as arrays, meshes coloured by contact, and a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from warpprior.bodies import posed_vertices
from warpprior.contacts.predict import PredictedMap
from warpprior.io.array_files import write_arrays
from warpprior.io.atomic import atomic_folder
from warpprior.io.scene_writer import file_stems
from warpprior.scene import Poses, Scene
from warpprior.support.errors import MissingExtraError

MAPS_FILE, STAGE_FILE = "contact_maps.npz", "scene.usdc"
PLAIN = 0.8  # grey of what touches nothing


def write_contact(
    scene: Scene,
    poses: Mapping[str, Poses],
    maps: Sequence[PredictedMap],
    folder: str | Path,
    *,
    frame: int | None = None,
    device: str = "cpu",
    overwrite: bool = False,
) -> list[str]:
    """Write ``contact_maps.npz``, which scenes and ``warpprior contact`` read, a ``.ply`` of each body, ``scene.usdc``.

    The arrays are those of :mod:`warpprior.io.contact_maps`, and besides, of each pair, ``faces``, ``links`` and
    ``other_links`` of :class:`warpprior.contacts.predict.PredictedMap`.  Meshes are posed, in the camera frame, with
    the largest contact value of each vertex as ``quality`` and as colour.

    Args:
        scene: the bodies.
        poses: motion of every body.
        maps: of them.
        folder: written as a whole.
        frame: of the meshes; None: the one in which most touches.
        device: Warp device that poses the surfaces.
        overwrite: replace the folder.

    Returns:
        what was not written, one sentence each.

    Raises:
        InputError: the folder exists.
        RunError: the file system refused.
    """
    values: dict[str, np.ndarray] = {}
    for found in maps:
        here = np.nan_to_num(found.values)
        values[found.body] = np.maximum(values.get(found.body, 0.0), here)
    if frame is None:
        frame = int(np.argmax(sum(field.sum(axis=1) for field in values.values())))
    notes = []
    stems = file_stems([body.name for body in scene.bodies])
    with atomic_folder(folder, overwrite=overwrite) as target:
        arrays = {}
        for found in maps:
            fields = ("distances", "normals", "faces", "links", "other_links")
            arrays |= {f"{found.body}/{found.other}/{name}": getattr(found, name) for name in fields}
        write_arrays(target / MAPS_FILE, arrays)
        for name, field in values.items():
            body = scene.body(name).body
            surface = posed_vertices(body, poses[name].frames(np.array([frame])), device)[0]
            write_ply(target / f"{stems[name]}.ply", surface, body.faces, field[frame])
        try:
            from warpprior.usd import export_usd

            export_usd(scene, dict(poses), target / STAGE_FILE, heat=values, device=device)
        except MissingExtraError as error:
            notes.append(f"{STAGE_FILE} was not written: {error}")
    return notes


def write_ply(path: Path, vertices: np.ndarray, faces: np.ndarray, values: np.ndarray) -> None:
    """Write a surface (vertex, 3) [m] with a value in [0, 1] of each vertex, as number and colour, as binary PLY."""
    from warpprior.usd.heat import warm_colors

    colors = np.rint(255.0 * warm_colors(values, np.full(3, PLAIN))).astype(np.uint8)
    kind = [("place", "<f4", 3), ("quality", "<f4"), ("color", "u1", 3)]
    points = np.empty(len(vertices), dtype=kind)
    points["place"], points["quality"], points["color"] = vertices, values, colors
    corners = np.empty(len(faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    corners["count"], corners["corners"] = 3, faces
    lines = [
        *("ply", "format binary_little_endian 1.0"),
        "comment metres; quality is the contact value, 1 mm over the distance",
        f"element vertex {len(vertices)}",
        *(f"property float {name}" for name in ("x", "y", "z", "quality")),
        *(f"property uchar {name}" for name in ("red", "green", "blue")),
        f"element face {len(faces)}",
        *("property list uchar int vertex_indices", "end_header", ""),
    ]
    path.write_bytes("\n".join(lines).encode() + points.tobytes() + corners.tobytes())
