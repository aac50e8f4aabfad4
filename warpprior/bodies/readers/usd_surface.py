"""The meshes of a stage, at the frames of a sequence or at rest.  Files are opened in a process of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from warpprior.bodies.readers.mesh_files.linear_light import to_srgb
from warpprior.bodies.readers.polygons import split_fans
from warpprior.bodies.readers.usd_layers import ACCEPTED, MOST_PRIMS, STANDS_ALONE, check_prims, look_through
from warpprior.bodies.readers.usd_prims import is_carried, metres_per_unit, only_value
from warpprior.support.errors import InputError
from warpprior.support.openusd import openusd_reason
from warpprior.support.separate_process import allow_more

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom

MOST_MESHES = 256
MOST_PLACES = 1 << 27  # vertices times frames, whatever the file
_OPENCV_FROM_USD = np.diag([1.0, -1.0, -1.0, 1.0])  # USD cameras look down -Z with +Y up


Arrays = tuple[dict[str, np.ndarray], list[str]]


def read(path: str, where: str, frame_count: int, fps: float, prim: str | None, camera: str | None) -> Arrays:
    """What :func:`warpprior.bodies.readers.animated_usd.read_usd_animation` returns, ``path`` being named ``where``."""
    with reporting(where):
        return take_animation(_open(path, where), where, frame_count, fps, prim, camera, allow=allow_more)


def read_still(path: str, where: str, prim: str | None) -> Arrays:
    """What :func:`warpprior.bodies.readers.usd_mesh.read_usd_mesh` returns, ``path`` being named ``where``."""
    with reporting(where):
        return take_still(_open(path, where), where, prim)


@contextmanager
def reporting(where: str) -> Iterator[None]:
    """Errors of OpenUSD as one sentence."""
    from pxr import Tf

    try:
        yield
    except Tf.ErrorException as error:
        found = f"cannot be read ({' '.join(openusd_reason(error).split())[:160] or 'it is damaged'})"
        raise InputError(where, found, ACCEPTED) from error


def take_animation(
    stage: Usd.Stage,
    where: str,
    frame_count: int,
    fps: float,
    prim: str | None,
    camera: str | None,
    *,
    allow: Callable[..., None] = lambda **_: None,
) -> Arrays:
    """Points, triangles and remarks of the meshes at every frame; OpenUSD's errors pass.

    Args:
        stage: open.
        where: names it.
        frame_count, fps, prim, camera: as for :func:`warpprior.bodies.readers.animated_usd.read_usd_animation`.
        allow: told how much computing and memory the frames need, when they have been counted.
    """
    meshes = _find_meshes(stage, where, prim)
    codes = _time_codes(stage, where, meshes, frame_count, fps)
    view = _find_camera(stage, where, camera)
    topologies = [_triangles(mesh, where) for mesh in meshes]
    counts = [len(mesh.GetPointsAttr().Get(codes[0]) or ()) for mesh in meshes]
    places = sum(counts) * frame_count
    if places > MOST_PLACES:
        found = f"{frame_count} frames of {sum(counts)} vertices"
        raise InputError(where, found, f"at most {MOST_PLACES} vertices in all frames together")
    allow(cpu_s=1.0e-6 * places, memory_bytes=32 * places)
    faces = _joined(where, meshes, topologies, counts)
    points = _place(stage, where, meshes, counts, codes, view)
    return {"points": points, "faces": faces}, list(_remarks(meshes))


def take_still(stage: Usd.Stage, where: str, prim: str | None) -> Arrays:
    """Points (vertex, 3) [m], triangles, colours if there are any, and remarks, of meshes that are rigid together.

    They are in the frame of ``prim`` (whatever size its transform has), or of the stage's world, at the first time.
    """
    from pxr import Sdf, Usd, UsdGeom

    meshes = _find_meshes(stage, where, prim, alone=False)
    topologies = [_triangles(mesh, where) for mesh in meshes]
    first = Usd.TimeCode.EarliestTime()
    cache = UsdGeom.XformCache(first)
    to_frame = np.eye(4)
    if prim is not None:
        frame = stage.GetPrimAtPath(Sdf.Path(prim))
        to_frame = np.linalg.inv(_without_size(np.array(cache.GetLocalToWorldTransform(frame)).T, frame, where))
    places, colors, remarks = [], [], []
    for mesh in meshes:
        own = np.asarray(mesh.GetPointsAttr().Get(first) or np.empty((0, 3)), dtype=np.float64).reshape(-1, 3)
        matrix = to_frame @ np.array(cache.GetLocalToWorldTransform(mesh.GetPrim())).T
        places.append(own @ matrix[:3, :3].T + matrix[:3, 3])
        colors.append(_vertex_colors(mesh, len(own)))
    arrays = {
        "points": metres_per_unit(stage, where) * np.concatenate(places),
        "faces": _joined(where, meshes, topologies, [len(own) for own in places]),
    }
    if any(painted is not None for painted in colors):
        arrays["colors"] = np.concatenate(
            [np.full((len(own), 3), np.nan) if c is None else c for own, c in zip(places, colors, strict=True)]
        )
    elif any(_is_painted(mesh) for mesh in meshes):
        remarks.append("its colours are left out: only displayColor of vertices, or of a whole mesh, is read")
    return arrays, [*_said_of(meshes), *remarks]


def _joined(where: str, meshes: list[UsdGeom.Mesh], topologies: list[np.ndarray], counts: list[int]) -> np.ndarray:
    """Triangles of all meshes (face, 3), whose vertices are one behind the other."""
    for mesh, faces, count in zip(meshes, topologies, counts, strict=True):
        if faces.max(initial=-1) >= count:
            found = f"faces of {mesh.GetPath()} name vertex {faces.max()} of {count}"
            raise InputError(where, found, "faces must use vertices the file has")
    starts = np.cumsum(counts) - counts
    return np.concatenate([faces + start for faces, start in zip(topologies, starts, strict=True)])


def _vertex_colors(mesh: UsdGeom.Mesh, count: int) -> np.ndarray | None:
    """``displayColor`` as pictures have it (vertex, 3), where it is one for each vertex or one for all."""
    from pxr import Usd, UsdGeom

    primvar = UsdGeom.PrimvarsAPI(mesh).FindPrimvarWithInheritance("displayColor")
    values = primvar.ComputeFlattened(Usd.TimeCode.EarliestTime()) if primvar and primvar.HasValue() else None
    if values is None or len(values) not in (1, count):
        return None
    shown = to_srgb(np.asarray(values, dtype=np.float64).reshape(-1, 3))
    return np.broadcast_to(shown, (count, 3))


def _is_painted(mesh: UsdGeom.Mesh) -> bool:
    """Whether it has a colour or material of any kind."""
    from pxr import UsdGeom, UsdShade

    colored = UsdGeom.PrimvarsAPI(mesh).FindPrimvarWithInheritance("displayColor").HasValue()
    return colored or bool(UsdShade.MaterialBindingAPI(mesh.GetPrim()).ComputeBoundMaterial()[0])


def _open(path: str, where: str) -> Usd.Stage:
    """The stage of one file that refers to no other."""
    from pxr import Sdf, Usd

    layer = Sdf.Layer.OpenAsAnonymous(path)
    if layer is None:
        raise InputError(where, "cannot be read as a USD file", ACCEPTED)
    others = sorted(filter(None, layer.GetCompositionAssetDependencies()))  # an empty one is the file itself
    if others:
        raise InputError(where, f"is composed of other files: {others[0][:80]!r}", STANDS_ALONE)
    prims = look_through(layer, where)
    if prims > MOST_PRIMS:
        raise InputError(where, f"holds {prims} prims", f"at most {MOST_PRIMS} are read")
    stage = Usd.Stage.Open(layer)
    check_prims(stage, where)
    return stage


def _find_meshes(stage: Usd.Stage, where: str, prim: str | None, *, alone: bool = True) -> list[UsdGeom.Mesh]:
    """The meshes at or below ``prim``; without one, all; ``alone``: the only one, or the only sampled one."""
    from pxr import Sdf, UsdGeom

    root = stage.GetPseudoRoot()
    if prim is not None:
        valid = Sdf.Path.IsValidPathString(prim)
        root = stage.GetPrimAtPath(prim) if (valid[0] if isinstance(valid, tuple) else valid) else None
        if not root:
            names = ", ".join(str(found.GetPath()) for found in _list_meshes(stage.GetPseudoRoot())[:8])
            raise InputError(where, f"has no prim {prim[:80]!r}", f"its meshes are {names or 'none'}")
    found = [UsdGeom.Mesh(p) for p in _list_meshes(root)]
    if not found:
        raise InputError(where, "holds no mesh" if prim is None else f"{prim} holds no mesh", "give a UsdGeom mesh")
    if len(found) > MOST_MESHES:
        raise InputError(where, f"{len(found)} meshes", f"at most {MOST_MESHES} make a body")
    if alone and prim is None and len(found) > 1:
        bending = [mesh for mesh in found if mesh.GetPointsAttr().GetNumTimeSamples() > 1]
        if len(bending) != 1:
            names = ", ".join(str(mesh.GetPath()) for mesh in found[:8]) + (", ..." if len(found) > 8 else "")
            raise InputError(where, f"holds {len(found)} meshes", f'say which with prim = "...": one of {names}')
        found = bending
    return found


def _list_meshes(root: Usd.Prim) -> list[Usd.Prim]:
    """Every mesh at or below a prim, in instances too; below it, guides are not, which colliders are."""
    from pxr import Usd, UsdGeom

    meshes = [prim for prim in Usd.PrimRange(root, Usd.TraverseInstanceProxies()) if prim.IsA(UsdGeom.Mesh)]
    guide = UsdGeom.Tokens.guide
    return [prim for prim in meshes if prim == root or UsdGeom.Imageable(prim).ComputePurpose() != guide]


def _find_camera(stage: Usd.Stage, where: str, camera: str | None) -> Usd.Prim | None:
    """The camera prim whose frame is the camera frame; None where the file has none."""
    from pxr import Usd, UsdGeom

    cameras = [prim for prim in Usd.PrimRange(stage.GetPseudoRoot()) if prim.IsA(UsdGeom.Camera)]
    names = ", ".join(str(prim.GetPath()) for prim in cameras[:8])
    if camera is not None:
        chosen = [prim for prim in cameras if str(prim.GetPath()) == camera]
        if not chosen:
            raise InputError(where, f"has no camera {camera[:80]!r}", f"its cameras are {names or 'none'}")
        return chosen[0]
    if len(cameras) > 1:
        raise InputError(where, f"holds {len(cameras)} cameras", f'say which with camera = "...": one of {names}')
    return cameras[0] if cameras else None


def _time_codes(
    stage: Usd.Stage, where: str, meshes: list[UsdGeom.Mesh], frame_count: int, fps: float
) -> list[Usd.TimeCode]:
    """The time code of every frame; InputError where the stage is not as long as the sequence."""
    from pxr import Usd

    if stage.HasAuthoredTimeCodeRange():
        start, end = stage.GetStartTimeCode(), stage.GetEndTimeCode()
    else:
        samples = sorted({code for mesh in meshes for code in mesh.GetPointsAttr().GetTimeSamples()})
        start, end = (samples[0], samples[-1]) if samples else (0.0, 0.0)
    step = stage.GetTimeCodesPerSecond() / fps
    if not (np.isfinite([start, end, step]).all() and step > 0.0):
        raise InputError(where, f"time codes {start:g} to {end:g}, {step:g} per frame", "a range of finite numbers")
    count = round((end - start) / step) + 1
    if count != frame_count:
        found = f"{count} frames at {fps:g} per second (time codes {start:g} to {end:g})"
        raise InputError(where, found, f"the sequence has {frame_count}")
    return [Usd.TimeCode(min(start + frame * step, end)) for frame in range(frame_count)]


def _remarks(meshes: list[UsdGeom.Mesh]) -> tuple[str, ...]:
    """What is not taken from the file, and what looks wrong."""
    said = _said_of(meshes)
    moving = any(mesh.GetPointsAttr().GetNumTimeSamples() > 1 or is_carried(mesh.GetPrim()) for mesh in meshes)
    return tuple(said) if moving else (*said, "it does not move")


def _said_of(meshes: list[UsdGeom.Mesh]) -> list[str]:
    """What is not taken of meshes, moving or not."""
    from pxr import UsdGeom

    said = []
    schemes = [mesh.GetSubdivisionSchemeAttr() for mesh in meshes]
    if any(scheme.HasAuthoredValue() and scheme.Get() != UsdGeom.Tokens.none for scheme in schemes):
        said.append("its cage is taken, without subdivision")
    if any(prim.HasRelationship("skel:skeleton") for prim in (mesh.GetPrim() for mesh in meshes)):
        said.append("it hangs on a skeleton, which is not moved: bake its skinning into points")
    return said


def _triangles(mesh: UsdGeom.Mesh, where: str) -> np.ndarray:
    """Faces as triangles (face, 3) int64, counter-clockwise from outside in the mesh's own frame."""
    from pxr import UsdGeom

    counts_attribute, corners_attribute = mesh.GetFaceVertexCountsAttr(), mesh.GetFaceVertexIndicesAttr()
    if counts_attribute.GetNumTimeSamples() > 1 or corners_attribute.GetNumTimeSamples() > 1:
        raise InputError(where, f"the faces of {mesh.GetPath()} change over time", "faces must stay the same")
    counts = np.asarray(only_value(counts_attribute), dtype=np.int64).reshape(-1)
    corners = np.asarray(only_value(corners_attribute), dtype=np.int64).reshape(-1)
    if counts.min(initial=3) < 3 or counts.sum() != len(corners) or corners.min(initial=0) < 0:
        found = f"{len(counts)} faces of {mesh.GetPath()} do not fit its {len(corners)} corners"
        raise InputError(where, found, "faces of three corners or more")
    triangles = corners[split_fans(where, counts)[1]]
    left = mesh.GetOrientationAttr().Get() == UsdGeom.Tokens.leftHanded
    return triangles[:, ::-1] if left else triangles


def _place(
    stage: Usd.Stage,
    where: str,
    meshes: list[UsdGeom.Mesh],
    counts: list[int],
    codes: list[Usd.TimeCode],
    camera: Usd.Prim | None,
) -> np.ndarray:
    """Points (frame, vertex, 3) float32 [m] in the camera frame."""
    from pxr import UsdGeom

    unit = metres_per_unit(stage, where)
    points = np.empty((len(codes), sum(counts), 3), dtype=np.float32)
    ends = np.cumsum(counts)
    for frame, code in enumerate(codes):
        cache = UsdGeom.XformCache(code)
        camera_from_world = np.eye(4) if camera is None else _camera_from_world(cache, camera, where)
        for mesh, count, end in zip(meshes, counts, ends, strict=True):
            own = np.asarray(mesh.GetPointsAttr().Get(code), dtype=np.float64).reshape(-1, 3)
            if len(own) != count:
                found = f"{mesh.GetPath()} has {len(own)} points in frame {frame} and {count} in frame 0"
                raise InputError(where, found, "the same number of points at every frame")
            to_camera = camera_from_world @ np.array(cache.GetLocalToWorldTransform(mesh.GetPrim())).T
            with np.errstate(over="ignore", invalid="ignore"):  # numbers beyond all bounds are reported later
                points[frame, end - count : end] = unit * (own @ to_camera[:3, :3].T + to_camera[:3, 3])
    return points


def _camera_from_world(cache: UsdGeom.XformCache, camera: Usd.Prim, where: str) -> np.ndarray:
    """OpenCV axes of the camera at the cache's time (4, 4), whatever size its transform has."""
    matrix = _without_size(np.array(cache.GetLocalToWorldTransform(camera)).T, camera, where)
    return _OPENCV_FROM_USD @ np.linalg.inv(matrix)


def _without_size(matrix: np.ndarray, prim: Usd.Prim, where: str) -> np.ndarray:
    """Where a prim is and how it is turned (4, 4)."""
    left, sizes, right = np.linalg.svd(matrix[:3, :3])
    if not (np.isfinite(matrix).all() and sizes[-1] > 1e-9 * sizes[0] and np.linalg.det(left @ right) > 0.0):
        what = "camera" if prim.GetTypeName() == "Camera" else "frame"
        raise InputError(where, f"the transform of {prim.GetPath()} is no place of a {what}", "turn and move only")
    matrix = matrix.copy()
    matrix[:3, :3] = left @ right
    return matrix
