"""Bodies given as a moving surface: its vertices at every frame, from ``.npz`` and USD files.  Always known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from warpprior.bodies.body import Body, rigid_body
from warpprior.bodies.readers.animated_usd import MOST_BYTES, name_of, read_usd_animation
from warpprior.bodies.readers.kinds import MAX_EXTENT, MIN_EXTENT, BodyKind, BodySource, BodyTarget
from warpprior.bodies.readers.usd_surface import MOST_PLACES
from warpprior.bodies.repair import MAX_FACES, repair_faces
from warpprior.support.arrays import to_numpy
from warpprior.support.errors import InputError
from warpprior.support.npz import read_npz
from warpprior.support.openusd import ENDINGS as USD_ENDINGS
from warpprior.support.openusd import is_prim, is_stage

if TYPE_CHECKING:
    from pxr import Usd

FAR_M = 100.0
_KEYS = ("vertices", "faces", "colors")


def read_animated(
    path: Path | str | Usd.Stage | Usd.Prim,
    name: str,
    *,
    frame_count: int,
    fps: float = 30.0,
    prim: str | None = None,
    camera: str | None = None,
) -> Body:
    """A body from a file that has its surface at every frame.

    Args:
        path: ``.npz`` with ``vertices`` (frame, vertex, 3) [m], ``faces`` (face, 3), and ``colors`` (vertex, 3) in
            [0, 1] if there are any; or a USD file with a mesh in motion, see
            :func:`warpprior.bodies.readers.animated_usd.read_usd_animation`; or a stage that is open, or a prim.
        name: of the body.
        frame_count: frames of the sequence, which the file must have.
        fps: frames per second of the sequence; what a USD file shows at its frames is taken.
        prim: the mesh of a USD file, or what is above all of its meshes; None where it is the only one.
        camera: the camera prim of a USD file; None where it is the only one or there is none.

    Returns:
        a body of one link, its ``animation`` in the frame of the file: the camera frame (OpenCV axes), unless the
        sequence gives poses of the body.

    Raises:
        InputError: damaged, of another number of frames, not finite, not in metres, or not a surface.
        MissingExtraError: a USD file, and OpenUSD is not installed.
    """
    if is_stage(path) or is_prim(path):
        vertices, faces, notes = read_usd_animation(path, frame_count, fps, prim, camera)
        return animated_body(name, vertices, faces, where=name_of(path), notes=notes)
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        if prim is not None or camera is not None:
            raise InputError(f"{path}", "prim or camera given", "an .npz file has neither; leave them out")
        return _read_arrays(path, name, frame_count)
    if suffix not in USD_ENDINGS:
        found = f"{path.suffix!r} files are not read" if suffix else "has no file extension"
        raise InputError(str(path), found, f"give one of .npz, {', '.join(USD_ENDINGS)}")
    vertices, faces, notes = read_usd_animation(path, frame_count, fps, prim, camera)
    return animated_body(name, vertices, faces, where=str(path), notes=notes)


def animated_body(
    name: str,
    animation: np.ndarray,
    faces: np.ndarray,
    *,
    colors: np.ndarray | None = None,
    where: str | None = None,
    notes: tuple[str, ...] = (),
) -> Body:
    """A body of one link whose surface is given at every frame.

    Args:
        name: of the body.
        animation: (frame, vertex, 3) [m]; arrays may be any that :mod:`warpprior.support.arrays` takes.
        faces: triangles (face, 3), counter-clockwise seen from outside; those that are not are turned.
        colors: vertex colours in [0, 1] (vertex, 3), or None.
        where: names the body in messages.
        notes: warnings that come before those of the repair.

    Raises:
        InputError: shapes that do not fit, numbers that are not finite or beyond 100 m, sizes below 1 mm or above
            5 m, faces that name no vertex, or none that has area.
    """
    where = f"body {name!r}" if where is None else where
    animation, faces = to_numpy(animation, f"{where}: vertices"), to_numpy(faces, f"{where}: faces")
    colors = None if colors is None else to_numpy(colors, f"{where}: colors")
    _check_arrays(where, animation, faces, colors)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is found
        animation = np.ascontiguousarray(animation, dtype=np.float32)
    _check_places(where, animation)
    faces = _places_of_vertices(animation)[faces.astype(np.int64)]
    split = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    if not split.any():
        raise InputError(where, f"none of the {len(faces)} faces has any area", "give a surface with area")
    if not split.all():
        notes = (*notes, f"dropped {np.count_nonzero(~split)} of {len(faces)} faces, which have no area")
    faces, closed, remarks = repair_faces(animation[0].astype(np.float64), faces[split])
    body = rigid_body(
        name,
        animation[0],
        faces,
        colors=None if colors is None else colors.astype(np.float32),
        closed=closed,
        warnings=(*notes, *remarks),
    )
    return replace(body, kind="vertices", animation=animation)


def _read_arrays(path: Path, name: str, frame_count: int) -> Body:
    accepted = "give vertices (frame, vertex, 3) in metres and faces (face, 3), as numpy.savez writes them"
    what = "an .npz file of vertices and faces"
    arrays = read_npz(path, what, accepted, _KEYS, limit=MOST_BYTES, unpacked=MOST_BYTES)
    for key in ("vertices", "faces"):
        if key not in arrays:
            raise InputError(str(path), f"has no array {key!r}", accepted)
    vertices = arrays["vertices"]
    if vertices.ndim == 3 and len(vertices) != frame_count:
        raise InputError(f"{path}: vertices", f"{len(vertices)} frames", f"the sequence has {frame_count}")
    return animated_body(name, vertices, arrays["faces"], colors=arrays.get("colors"), where=str(path))


def _check_arrays(where: str, animation: np.ndarray, faces: np.ndarray, colors: np.ndarray | None) -> None:
    """Shapes, types, ranges of indices."""
    good = animation.ndim == 3 and animation.shape[2] == 3 and animation.size > 0 and animation.dtype.kind in "fiu"
    if not good:
        found = f"{animation.dtype} of shape {animation.shape}"
        raise InputError(f"{where}: vertices", found, "numbers of shape (frame, vertex, 3)")
    if animation.size > 3 * MOST_PLACES:
        found = f"{animation.shape[0]} frames of {animation.shape[1]} vertices"
        raise InputError(f"{where}: vertices", found, f"at most {MOST_PLACES} vertices in all frames together")
    if faces.ndim != 2 or faces.shape[1] != 3 or len(faces) == 0 or faces.dtype.kind not in "iu":
        raise InputError(f"{where}: faces", f"{faces.dtype} of shape {faces.shape}", "integers of shape (face, 3)")
    if len(faces) > MAX_FACES:
        raise InputError(f"{where}: faces", f"{len(faces)} faces", f"simplify it to at most {MAX_FACES}")
    count = animation.shape[1]
    if faces.min() < 0 or faces.max() >= count:
        found = f"name vertices from {faces.min()} to {faces.max()}"
        raise InputError(f"{where}: faces", found, f"vertices are numbered from 0 to {count - 1}")
    if colors is not None:
        if colors.shape != (count, 3) or colors.dtype.kind != "f" or not ((colors >= 0.0) & (colors <= 1.0)).all():
            found = f"{colors.dtype} of shape {colors.shape}"
            raise InputError(f"{where}: colors", found, f"numbers from 0 to 1 of shape ({count}, 3)")


def _check_places(where: str, animation: np.ndarray) -> None:
    """Finite numbers in metres, at every frame."""
    low, high = animation.min(axis=1), animation.max(axis=1)  # NaN spreads, infinity stays
    bad = np.flatnonzero(~(np.isfinite(low) & np.isfinite(high)).all(axis=1))
    if len(bad):
        vertex = int(np.flatnonzero(~np.isfinite(animation[bad[0]]).all(axis=1))[0])
        accepted = "finite numbers at every frame: fill gaps before, or cut the sequence"
        raise InputError(f"{where}: vertices, frame {bad[0]}", f"vertex {vertex} is not finite", accepted)
    extents = (high - low).max(axis=1)
    frame = int(np.argmax(extents))
    if extents[frame] > MAX_EXTENT:
        accepted = "sizes from 1 mm to 5 m are accepted: divide by 1000 if these are millimetres"
        raise InputError(f"{where}: vertices, frame {frame}", f"its size is {extents[frame]:.4g} m", accepted)
    frame = int(np.argmin(extents))
    if extents[frame] < MIN_EXTENT:
        found = f"its size is {extents[frame]:.4g} m"
        raise InputError(f"{where}: vertices, frame {frame}", found, "sizes from 1 mm to 5 m are accepted")
    away = np.maximum(np.abs(low), np.abs(high)).max(axis=1)
    frame = int(np.argmax(away))
    if away[frame] > FAR_M:
        found = f"it reaches to {away[frame]:.4g} m"
        raise InputError(f"{where}: vertices, frame {frame}", found, f"metres, at most {FAR_M:g} from the origin")


def _places_of_vertices(animation: np.ndarray) -> np.ndarray:
    """The first vertex that is where each vertex is, at every frame (vertex,): seams of textures split vertices."""
    paths = np.ascontiguousarray(animation.swapaxes(0, 1)).reshape(animation.shape[1], -1)
    paths = paths + np.float32(0.0)  # minus zero is zero
    _, first, ids = np.unique(
        paths.view(np.dtype((np.void, paths.dtype.itemsize * paths.shape[1]))).reshape(-1),
        return_index=True,
        return_inverse=True,
    )
    return first[ids.reshape(-1)]


@dataclass(frozen=True)
class AnimatedKeys:
    """Keys of a surface at every frame in ``scene.toml``: prims of a USD file, see :func:`read_animated`."""

    prim: str | None = None
    camera: str | None = None


class AnimatedKind(BodyKind):
    """A surface at every frame, written as ``.npz``."""

    name = "vertices"
    Keys = AnimatedKeys
    given = True

    def read(self, source: BodySource) -> tuple[Body, None]:
        """The surface at the frames of the sequence."""
        keys, rate = source.keys, {"frame_count": source.frame_count, "fps": source.fps}
        return read_animated(source.file, source.name, **rate, prim=keys.prim, camera=keys.camera), None

    def write(self, body: Body, target: BodyTarget) -> dict[str, Any]:
        """The surface at every frame of the scene, in the frame of the body's poses."""
        shown = np.asarray(body.animation)[slice(None) if target.moments is None else target.moments]
        arrays: dict[str, Any] = {"vertices": shown, "faces": body.faces}
        if body.colors is not None:
            arrays["colors"] = body.colors
        path = target.folder / f"{target.stem}.npz"
        np.savez(path, **arrays)
        return {"path": path.name}


KIND = AnimatedKind()
