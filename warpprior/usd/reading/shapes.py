"""The surfaces below a prim: meshes, simple solids and instances, each with its place at every frame."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from warpprior.bodies.primitives import make_box, make_capsule, make_cone, make_cylinder, make_sphere
from warpprior.bodies.readers.polygons import split_fans
from warpprior.bodies.readers.usd_prims import only_value
from warpprior.bodies.readers.usd_surface import MOST_PLACES
from warpprior.bodies.repair import MAX_FACES, Surface
from warpprior.support.errors import InputError
from warpprior.support.separate_process import allow_more
from warpprior.usd.reading.colors import one_color, paint
from warpprior.usd.reading.opening import each_prim
from warpprior.usd.reading.places import StageFrames

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom

MOST_PARTS = 1024
_TO_AXIS = {  # from z, along which our solids stand
    "X": np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]),
    "Y": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "Z": np.eye(3),
}


@dataclass(frozen=True, eq=False)
class Shape:
    """A surface in its own frame.

    Attributes:
        points: (vertex, 3) or, where they are sampled, (frame, vertex, 3).
        faces: triangles (face, 3), counter-clockwise from outside.
        colors: (vertex, 3), NaN for none; or None.
        placed: world_from_shape (1 or frame, 4, 4), to metres.
    """

    points: np.ndarray
    faces: np.ndarray
    colors: np.ndarray | None
    placed: np.ndarray

    @property
    def bends(self) -> bool:
        return self.points.ndim == 3


def is_shape(prim: Usd.Prim) -> bool:
    """Is it a surface that is read, or instances of some?"""
    from pxr import UsdGeom

    return any(prim.IsA(kind) for kind in (UsdGeom.Mesh, UsdGeom.PointInstancer)) or prim.GetTypeName() in _SOLIDS


def bends(prim: Usd.Prim) -> bool:
    """Is it a mesh whose points are sampled?"""
    from pxr import UsdGeom

    return prim.IsA(UsdGeom.Mesh) and UsdGeom.Mesh(prim).GetPointsAttr().GetNumTimeSamples() > 1


def find_shapes(source: StageFrames, root: Usd.Prim, without: Collection[str] = ()) -> list[Usd.Prim]:
    """Surfaces at or below a prim that are shown, without those at or below the paths ``without``."""
    found = []
    for prim in each_prim(root):
        path = str(prim.GetPath())
        beside = any(path == other or path.startswith(f"{other}/") for other in without)
        if is_shape(prim) and not beside and source.imaginable(prim):
            found.append(prim)
    return found


def find_colliders(source: StageFrames, root: Usd.Prim) -> list[Usd.Prim]:
    """Surfaces at or below a prim that engines collide with, shown or not."""
    from pxr import UsdPhysics

    return [prim for prim in each_prim(root) if is_shape(prim) and prim.HasAPI(UsdPhysics.CollisionAPI)]


def read_shapes(source: StageFrames, prims: list[Usd.Prim], notes: list[str]) -> list[Shape]:
    """What :func:`find_shapes` found, instances one by one.

    Raises:
        InputError: a surface that is damaged or changes its faces, or too many.
    """
    from pxr import UsdGeom

    if len(prims) > MOST_PARTS:
        raise InputError(source.where, f"{len(prims)} surfaces in one body", f"at most {MOST_PARTS}")
    placed = source.place(prims)
    shapes: list[Shape] = []
    for prim, matrices in zip(prims, placed, strict=True):
        if prim.IsA(UsdGeom.PointInstancer):
            shapes += _instances(source, UsdGeom.PointInstancer(prim), matrices, notes)
        elif prim.IsA(UsdGeom.Mesh):
            shapes.append(_mesh(source, UsdGeom.Mesh(prim), matrices, notes))
        else:
            shapes.append(_solid(source, prim, matrices, notes))
    shapes = [shape for shape in shapes if len(shape.faces)]
    vertices = sum(shape.points.shape[-2] * (len(source.codes) if shape.bends else 1) for shape in shapes)
    if sum(len(shape.faces) for shape in shapes) > MAX_FACES or vertices > MOST_PLACES:
        raise InputError(source.where, f"more than {MAX_FACES} faces in one body", "simplify it")
    return shapes


def _mesh(source: StageFrames, mesh: UsdGeom.Mesh, placed: np.ndarray, notes: list[str]) -> Shape:
    from pxr import UsdGeom

    where, path = source.where, mesh.GetPath()
    counts_attribute, corners_attribute = mesh.GetFaceVertexCountsAttr(), mesh.GetFaceVertexIndicesAttr()
    if counts_attribute.GetNumTimeSamples() > 1 or corners_attribute.GetNumTimeSamples() > 1:
        raise InputError(where, f"the faces of {path} change over time", "faces must stay the same")
    counts = np.asarray(only_value(counts_attribute), dtype=np.int64).reshape(-1)
    corners = np.asarray(only_value(corners_attribute), dtype=np.int64).reshape(-1)
    points = _points(source, mesh, notes)
    count = points.shape[-2]
    if counts.min(initial=3) < 3 or counts.sum() != len(corners):
        raise InputError(where, f"{len(counts)} faces of {path} do not fit its {len(corners)} corners", _FACES)
    if corners.min(initial=0) < 0 or corners.max(initial=-1) >= count:
        raise InputError(where, f"faces of {path} name vertices that its {count} points are not", _FACES)
    scheme = mesh.GetSubdivisionSchemeAttr()
    if scheme.HasAuthoredValue() and scheme.Get() != UsdGeom.Tokens.none:
        notes.append("its cage is taken, without subdivision")
    colors = paint(mesh, count, corners, np.repeat(np.arange(len(counts)), counts), notes)
    polygons, places = split_fans(where, counts)
    holes = np.asarray(mesh.GetHoleIndicesAttr().Get() or (), dtype=np.int64).reshape(-1)
    faces = corners[places[~np.isin(polygons, holes)]]
    if mesh.GetOrientationAttr().Get() == UsdGeom.Tokens.leftHanded:
        faces = faces[:, ::-1]
    return Shape(points, faces, colors, placed)


_FACES = "faces of three corners or more that use vertices the mesh has"


def _points(source: StageFrames, mesh: UsdGeom.Mesh, notes: list[str]) -> np.ndarray:
    """Points of a mesh (vertex, 3), or (frame, vertex, 3) float32 where they are sampled."""
    attribute, path = mesh.GetPointsAttr(), mesh.GetPath()
    if not bends(mesh.GetPrim()):
        return np.asarray(only_value(attribute), dtype=np.float64).reshape(-1, 3)
    times = source.times()
    first = np.asarray(attribute.Get(times[0]) or (), dtype=np.float32).reshape(-1, 3)
    if len(first) * len(times) > MOST_PLACES:
        found = f"{len(times)} frames of {len(first)} vertices of {path}"
        raise InputError(source.where, found, f"at most {MOST_PLACES} vertices in all frames together")
    if source.limited:
        allow_more(cpu_s=1e-6 * len(first) * len(times), memory_bytes=64 * len(first) * len(times))
    points = np.empty((len(times), *first.shape), dtype=np.float32)
    for frame, time in enumerate(times):
        own = np.asarray(attribute.Get(time) or (), dtype=np.float32).reshape(-1, 3)
        if own.shape != first.shape:
            found = f"{path} has {len(own)} points in frame {frame} and {len(first)} in frame 0"
            raise InputError(source.where, found, "the same number of points at every frame")
        points[frame] = own
    return points


def _size(prim: Usd.Prim, name: str, usual: float) -> float:
    value = only_value(prim.GetAttribute(name))
    return usual if isinstance(value, tuple) else float(value)


def _box(prim: Usd.Prim) -> Surface:
    return make_box(np.full(3, _size(prim, "size", 2.0)))


def _sphere(prim: Usd.Prim) -> Surface:
    return make_sphere(_size(prim, "radius", 1.0))


def _cylinder(prim: Usd.Prim) -> Surface:
    return make_cylinder(_size(prim, "radius", 1.0), _size(prim, "height", 2.0))


def _capsule(prim: Usd.Prim) -> Surface:
    return make_capsule(_size(prim, "radius", 0.5), _size(prim, "height", 1.0))


def _cone(prim: Usd.Prim) -> Surface:
    return make_cone(_size(prim, "radius", 1.0), _size(prim, "height", 2.0))


_SOLIDS = {"Cube": _box, "Sphere": _sphere, "Cylinder": _cylinder, "Capsule": _capsule, "Cone": _cone}


def _solid(source: StageFrames, prim: Usd.Prim, placed: np.ndarray, notes: list[str]) -> Shape:
    """A cube, sphere, cylinder, capsule or cone as triangles."""
    made = _SOLIDS[prim.GetTypeName()](prim)
    if not np.isfinite(made.vertices).all():
        raise InputError(source.where, f"the size of {prim.GetPath()} is not finite", "finite numbers")
    axis = prim.GetAttribute("axis").Get() if prim.GetAttribute("axis") else None
    points = made.vertices @ _TO_AXIS.get(str(axis), np.eye(3)).T
    color = one_color(prim, notes)
    return Shape(points, made.faces, None if color is None else np.tile(color, (len(points), 1)), placed)


def _instances(
    source: StageFrames, instancer: UsdGeom.PointInstancer, placed: np.ndarray, notes: list[str]
) -> list[Shape]:
    """Every instance of a point instancer."""
    from pxr import UsdGeom

    stage, where = source.stage, source.where
    prototypes = [stage.GetPrimAtPath(path) for path in instancer.GetPrototypesRel().GetTargets()]
    which = np.asarray(only_value(instancer.GetProtoIndicesAttr()), dtype=np.int64).reshape(-1)
    if len(which) > MOST_PARTS:
        raise InputError(where, f"{instancer.GetPath()} has {len(which)} instances", f"at most {MOST_PARTS}")
    if which.min(initial=0) < 0 or which.max(initial=-1) >= len(prototypes) or not all(prototypes):
        raise InputError(where, f"{instancer.GetPath()} names prototypes that are not there", "indices of prototypes")
    names = ("positions", "orientations", "orientationsf", "scales")
    attributes = [instancer.GetPrim().GetAttribute(name) for name in names]
    moving = any(attribute and attribute.GetNumTimeSamples() > 1 for attribute in attributes)
    frames = []
    for time in source.times() if moving else source.times()[:1]:
        whole = UsdGeom.PointInstancer.IncludeProtoXform, UsdGeom.PointInstancer.IgnoreMask
        found = instancer.ComputeInstanceTransformsAtTime(time, time, *whole)
        if len(found) != len(which):
            raise InputError(where, f"{instancer.GetPath()} places {len(found)} of {len(which)} instances", "all")
        frames.append(np.array([np.array(matrix).T for matrix in found]).reshape(-1, 4, 4))
    local = np.array(frames)
    if not np.isfinite(local).all():
        raise InputError(where, f"instances of {instancer.GetPath()} have no finite places", "finite numbers")
    shapes = []
    for number, prototype in enumerate(prototypes):
        rows = np.flatnonzero(which == number)
        if not len(rows):
            continue
        parts = [prim for prim in each_prim(prototype) if prim.IsA(UsdGeom.Mesh) or prim.GetTypeName() in _SOLIDS]
        if not parts:
            continue
        (base,) = source.place([prototype])
        for shape in read_shapes(source, parts, notes):
            within = np.linalg.inv(base) @ shape.placed  # in metres both: the unit drops out
            for row in rows:
                shapes.append(Shape(shape.points, shape.faces, shape.colors, placed @ local[:, row] @ within))
                if len(shapes) > MOST_PARTS:
                    raise InputError(where, f"{instancer.GetPath()} shows too many surfaces", f"at most {MOST_PARTS}")
    return shapes
