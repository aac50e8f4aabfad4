"""Meshes of USD: of files, which OpenUSD reads in a process of its own, for a damaged one can crash it; and of stages
that are open, which are the caller's own and read where they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from warpprior.bodies.readers.usd_layers import ACCEPTED
from warpprior.bodies.readers.usd_surface import reporting, take_animation, take_still
from warpprior.support.errors import InputError
from warpprior.support.openusd import has_openusd, is_prim, missing_openusd
from warpprior.support.separate_process import Limits, run_separately

if TYPE_CHECKING:
    from pxr import Usd

MOST_BYTES = 2 << 30  # of a file


def read_usd_animation(
    source: Path | Usd.Stage | Usd.Prim, frame_count: int, fps: float, prim: str | None, camera: str | None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Meshes of a USD file at the frames of a sequence, in the camera frame.

    Frame i is shown i / fps seconds after the stage's start; between its samples the stage interpolates.  World
    transforms are applied, those of the camera too: the camera frame is that of the file's camera, turned to OpenCV
    axes.  A file without a camera has its points in the camera frame already, in OpenCV axes whatever its up axis is.
    Lengths are in ``metersPerUnit``, and polygons are split into fans.

    Of a file, nothing but it is opened: one that is composed of others is refused.

    Args:
        source: a ``.usd``, ``.usda``, ``.usdc`` or ``.usdz`` file; or a stage, or a prim, which goes before ``prim``.
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
    if not isinstance(source, Path):
        stage, where, prim = _opened(source, prim)
        with reporting(where):
            arrays, remarks = take_animation(stage, where, frame_count, fps, prim, camera)
    else:
        arguments = {"frame_count": frame_count, "fps": fps, "prim": prim, "camera": camera}
        arrays, remarks = _read_apart(source, "read", arguments)
    return arrays["points"], arrays["faces"], tuple(remarks)


def read_usd_mesh(
    source: Path | Usd.Stage | Usd.Prim, prim: str | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """All meshes of a USD file or stage, or those at and below a prim, at its first time.

    They are in the frame of the prim, or of the stage's world.  Instances, polygons, guides and ``metersPerUnit`` are
    as for :func:`read_usd_animation`, and so are the errors.

    Args:
        source: a file, stage or prim.
        prim: path of what is wanted, or None.

    Returns:
        points (vertex, 3) float64 [m], triangles (face, 3) int64, colours (vertex, 3) in [0, 1], NaN for none, or None,
        and remarks.
    """
    if not isinstance(source, Path):
        stage, where, prim = _opened(source, prim)
        with reporting(where):
            arrays, remarks = take_still(stage, where, prim)
    else:
        arrays, remarks = _read_apart(source, "read_still", {"prim": prim})
    return arrays["points"], arrays["faces"], arrays.get("colors"), tuple(remarks)


def name_of(source: Path | Usd.Stage | Usd.Prim) -> str:
    """What messages call a file, stage or prim."""
    if isinstance(source, Path):
        return str(source)
    if is_prim(source):
        return f"{name_of(source.GetStage())}: {source.GetPath()}"
    layer = source.GetRootLayer()
    return str(layer.realPath or f"stage {layer.GetDisplayName()}")


def _opened(source: Usd.Stage | Usd.Prim, prim: str | None) -> tuple[Usd.Stage, str, str | None]:
    """Stage, what it is called, and the path of the prim that is wanted of it."""
    if not is_prim(source):
        return source, name_of(source), prim
    return source.GetStage(), name_of(source.GetStage()), str(source.GetPath())


def _read_apart(path: Path, function: str, arguments: dict) -> tuple[dict[str, np.ndarray], list[str]]:
    """What a function of :mod:`warpprior.bodies.readers.usd_surface` makes of a file, in another process."""
    if not has_openusd():
        raise missing_openusd("reading USD files")
    where = str(path)
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        found = "is not a file" if not path.is_file() else f"has {path.stat().st_size / 2**20:.0f} MiB"
        raise InputError(where, found, f"give a USD file of up to {MOST_BYTES >> 20} MiB")
    return run_separately(
        f"warpprior.bodies.readers.usd_surface:{function}",
        {"path": str(path.resolve()), "where": where, **arguments},
        where=where,
        accepted=ACCEPTED,
        limits=_limits(path.stat().st_size),
    )


def _limits(size: int) -> Limits:
    """What reading a file of so many bytes may take, four times what OpenUSD needs for the largest."""
    seconds = size / 2**20
    return Limits(cpu_s=8.0 + seconds, memory_bytes=(2 << 30) + 4 * size, wall_s=120.0 + seconds, answer_bytes=4 << 30)
