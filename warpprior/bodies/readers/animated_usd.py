"""Surfaces in motion from USD files, which OpenUSD reads in a process of its own: a damaged file can crash it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpprior.bodies.readers.usd_surface import ACCEPTED
from warpprior.support.errors import InputError
from warpprior.support.openusd import has_openusd, missing_openusd
from warpprior.support.separate_process import Limits, run_separately

MOST_BYTES = 2 << 30  # of a file


def read_usd_animation(
    path: Path, frame_count: int, fps: float, prim: str | None, camera: str | None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Meshes of a USD file at the frames of a sequence, in the camera frame.

    Frame i is shown i / fps seconds after the stage's start; between its samples the stage interpolates.  World
    transforms are applied, those of the camera too: the camera frame is that of the file's camera, turned to OpenCV
    axes.  A file without a camera has its points in the camera frame already, in OpenCV axes whatever its up axis is.
    Lengths are in ``metersPerUnit``, and polygons are split into fans.

    Nothing but this file is opened: one that is composed of others is refused.

    Args:
        path: ``.usd``, ``.usda`` or ``.usdc``.
        frame_count, fps: of the sequence.
        prim: the mesh, or what is above all meshes wanted; None where there is one mesh, or one that bends.
        camera: the camera; None where it is the only one or there is none.

    Returns:
        points (frame, vertex, 3) float32 [m], triangles (face, 3) int64, and remarks.

    Raises:
        InputError: damaged, composed of other files, no such prim, a choice between prims that is not made, faces
            that change over time, another length than the sequence, or more time or memory than such a file may take.
        MissingExtraError: OpenUSD is not installed.
        RunError: no Python can be started to read it.
    """
    if not has_openusd():
        raise missing_openusd("reading USD files")
    where = str(path)
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        found = "is not a file" if not path.is_file() else f"has {path.stat().st_size / 2**20:.0f} MiB"
        raise InputError(where, found, f"give a USD file of up to {MOST_BYTES >> 20} MiB")
    arrays, remarks = run_separately(
        "warpprior.bodies.readers.usd_surface:read",
        {"path": str(path.resolve()), "where": where, "frame_count": frame_count, "fps": fps}
        | {"prim": prim, "camera": camera},
        where=where,
        accepted=ACCEPTED,
        limits=_limits(path.stat().st_size),
    )
    return arrays["points"], arrays["faces"], tuple(remarks)


def _limits(size: int) -> Limits:
    """What reading a file of so many bytes may take, four times what OpenUSD needs for the largest."""
    seconds = size / 2**20
    return Limits(cpu_s=8.0 + seconds, memory_bytes=(2 << 30) + 4 * size, wall_s=120.0 + seconds, answer_bytes=4 << 30)
