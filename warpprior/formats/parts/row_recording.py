"""What both kinds of video_to_data's parquet files share: options, how a file is known, and the recording it makes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warpprior.formats.parts.parquet_row import ParquetRow, column_names, row_files
from warpprior.formats.parts.row_contacts import REACH_M
from warpprior.formats.parts.row_parts import PARTS
from warpprior.formats.recording import Recording
from warpprior.io.world import CameraPath, World
from warpprior.scene import Camera, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.limits import number
from warpprior.support.options import option


@dataclass(frozen=True)
class RowOptions:
    """Options of both kinds."""

    sequence: str | None = option("sequence to take, of a folder of several", metavar="NAME")
    of_robot: str | None = option("robot to take, of a folder of several", metavar="NAME")
    meshes: Path | None = option("folder of the objects' meshes (default: near the file)", metavar="DIR")
    mesh_scale: float | None = option(
        "metres per unit of the meshes (default: by the stated radius)", number(None, 1e-6, 1e3)
    )
    pose_sigma: float = option(
        "how far given poses are off, in metres: they are held to that", number(0.005, 1e-5, 1.0)
    )
    parts: str = option(
        "how parts of an object hang together: on a hinge, as objects of their own, or known as they are",
        PARTS[0],
        choices=PARTS,
    )
    contact_distance: float = option("how near a link is that touches, in metres", number(REACH_M, 1e-4, 0.1))


def recognised_by(path: Path, *columns: str) -> str:
    """The file that is, or the first below a folder, in a few words, if it has one of the columns; else empty."""
    if path.is_file() and path.suffix.lower() != ".parquet":
        return ""
    files = [path] if path.is_file() else row_files(path)[:1]
    found = [file.name for file in files if set(columns) & set(column_names(file))]
    return f"columns of {found[0]}" if found else ""


def row_recording(
    row: ParquetRow,
    camera: Camera,
    path: CameraPath,
    bodies: list[SceneBody],
    keypoints: dict[str, np.ndarray],
    notes: list[str],
    *,
    pose_sigma: float,
    axes: str = "its coordinates",
) -> Recording:
    """The recording of a file: its poses are held to what they are said to be off, and gravity points along -z.

    Args:
        row: the file.
        camera, path: what was made up to see everything, and its poses.
        bodies: of the scene.
        keypoints: in space, of hands that are fitted to them.
        notes: of the scene.
        pose_sigma: how far given poses are off [m].
        axes: what the file's coordinates are called in the note about gravity.

    Raises:
        InputError: the file does not say how many frames a second has.
    """
    fps = row.array("fps", ())
    if fps is None or not fps > 0.0:
        raise InputError(row.place("fps"), "is missing or not above zero", "needs frames per second")
    notes.append(f"no picture shows anything: given poses are held to {1000 * pose_sigma:g} mm, and physics mends them")
    notes.append(f"gravity was taken to point along -z of {axes}")
    scene = Scene(
        name=row.text("sequence_id") or row.path.stem,
        camera=camera,
        fps=float(fps),
        bodies=tuple(bodies),
        keypoints3d=keypoints,
        warnings=tuple(notes),
        noise={"poses": pose_sigma},
    )
    return Recording(scene, World(path, np.array([0.0, 0.0, -1.0])))
