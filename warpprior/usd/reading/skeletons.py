"""Skinned meshes of UsdSkel: surfaces as they were bound, weights, and what every joint does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from warpprior.bodies.readers.rig import MOST_JOINTS, MOST_WEIGHTS
from warpprior.support.errors import InputError
from warpprior.support.separate_process import allow_more
from warpprior.usd.reading.opening import each_prim
from warpprior.usd.reading.places import StageFrames
from warpprior.usd.reading.shapes import find_shapes, read_shapes

if TYPE_CHECKING:
    from pxr import Usd, UsdSkel

_ACCEPTED = "meshes bound to a Skeleton below a SkelRoot"


def skinned_meshes(root: Usd.Prim) -> list[Usd.Prim]:
    """Meshes at or below a prim that hang on a skeleton."""
    from pxr import UsdGeom, UsdSkel

    found = []
    for prim in each_prim(root):
        if prim.IsA(UsdGeom.Mesh) and prim.HasAPI(UsdSkel.BindingAPI):
            api = UsdSkel.BindingAPI(prim)
            if api.GetJointIndicesPrimvar().HasValue() and api.GetInheritedSkeleton():
                found.append(prim)
    return found


def read_skeleton(
    source: StageFrames, root: Usd.Prim, notes: list[str]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts of the skinned meshes below a prim, in the frame of their skeleton.

    Arrays: ``bind`` skeleton_from_joint (joint, 4, 4), ``local`` parent_from_joint (frame, joint, 4, 4), ``placed``
    world_from_skeleton (1 or frame, 4, 4) to metres, ``parents`` (joint,), and ``points``, ``faces``, ``colors``,
    ``weight_links`` and ``weights`` (vertex, k).

    Raises:
        InputError: no such meshes, or numbers that fit nothing.
    """
    from pxr import Usd, UsdSkel

    where = f"{source.where}: {root.GetPath()}"
    meshes = [prim for prim in skinned_meshes(root) if source.imaginable(prim)]
    by_skeleton: dict[str, list[Usd.Prim]] = {}
    for prim in meshes:
        path = str(UsdSkel.BindingAPI(prim).GetInheritedSkeleton().GetPath())
        by_skeleton.setdefault(path, []).append(prim)
    if not by_skeleton:
        raise InputError(where, "has no skinned mesh that is shown", _ACCEPTED)
    path = max(by_skeleton, key=lambda one: len(by_skeleton[one]))
    if len(by_skeleton) > 1:
        notes.append(f"it has {len(by_skeleton)} skeletons; {path} is taken")
    meshes = by_skeleton[path]
    others = [prim for prim in find_shapes(source, root) if prim not in meshes]
    if others:
        notes.append(f"{len(others)} of its surfaces do not hang on the skeleton and are left out")
    top = UsdSkel.Root.Find(meshes[0])
    if not top:
        raise InputError(where, "its skinned mesh is below no SkelRoot", _ACCEPTED)
    cache = UsdSkel.Cache()
    cache.Populate(top, Usd.TraverseInstanceProxies())
    skeleton = UsdSkel.Skeleton(source.stage.GetPrimAtPath(path))
    query = cache.GetSkelQuery(skeleton)
    if not query:
        raise InputError(where, "its skeleton cannot be used", "a Skeleton with joints, bind and rest transforms")
    names = [str(name) for name in query.GetJointOrder()]
    if not 1 <= len(names) <= MOST_JOINTS:
        raise InputError(where, f"has {len(names)} joints", f"1 to {MOST_JOINTS} are read")
    bind = _matrices(skeleton.GetBindTransformsAttr().Get(), len(names), where, "bindTransforms")
    arrays, said = _skin(source, cache, meshes, names, where, notes)
    arrays["bind"], arrays["local"] = bind, _animate(source, query, names, where, notes)
    arrays["parents"] = np.array([query.GetTopology().GetParent(row) for row in range(len(names))], dtype=np.int64)
    (arrays["placed"],) = source.place([skeleton.GetPrim()])
    animation = query.GetAnimQuery()
    said["joints"] = names
    said["animation"] = str(animation.GetPrim().GetPath()) if animation else None
    return arrays, said


def _matrices(values: Any, count: int, where: str, name: str) -> np.ndarray:
    found = np.array([np.array(matrix).T for matrix in values or ()], dtype=np.float64).reshape(-1, 4, 4)
    if len(found) != count:
        raise InputError(where, f"has {len(found)} {name} for {count} joints", "one for each joint")
    if not np.isfinite(found).all():
        raise InputError(where, f"its {name} are not finite", "finite numbers")
    return found


def _animate(
    source: StageFrames, query: UsdSkel.SkeletonQuery, names: list[str], where: str, notes: list[str]
) -> np.ndarray:
    """parent_from_joint of every joint (frame, joint, 4, 4)."""
    if source.limited:
        allow_more(cpu_s=2e-5 * len(names) * len(source.codes), memory_bytes=512 * len(names) * len(source.codes))
    if not query.GetAnimQuery():
        notes.append("its skeleton has no animation; it stays in its rest pose")
    frames = []
    for time in source.times():
        found = query.ComputeJointLocalTransforms(time)
        frames.append(_matrices(found, len(names), where, "joint transforms"))
        if not query.GetAnimQuery():
            break
    return np.array(frames)


def _skin(
    source: StageFrames, cache: UsdSkel.Cache, meshes: list[Usd.Prim], names: list[str], where: str, notes: list[str]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """All meshes as one, in the skeleton's frame as they were bound."""
    points, faces, colors, links, weights = [], [], [], [], []
    first = 0
    for prim, shape in zip(meshes, _bound(source, meshes, notes), strict=True):
        query = cache.GetSkinningQuery(prim)
        if not query or not query.HasJointInfluences():
            raise InputError(f"{source.where}: {prim.GetPath()}", "has no joint influences", _ACCEPTED)
        bound = np.array(query.GetGeomBindTransform()).T
        count = len(shape.points)
        found = query.ComputeVaryingJointInfluences(count)
        if found is None:
            raise InputError(f"{source.where}: {prim.GetPath()}", "joint influences do not fit its points", _ACCEPTED)
        indices, shares = found
        width = max(1, len(indices) // max(count, 1))
        rows = np.asarray(indices, dtype=np.int64)
        share = np.asarray(shares, dtype=np.float64)
        own = query.GetJointOrder()
        order = names if own is None else [str(name) for name in own]
        if len(rows) != count * width or len(share) != len(rows):
            raise InputError(f"{source.where}: {prim.GetPath()}", "joint influences do not fit its points", _ACCEPTED)
        unknown = [name for name in order if name not in names]
        if unknown or rows.min(initial=0) < 0 or rows.max(initial=-1) >= len(order):
            raise InputError(
                f"{source.where}: {prim.GetPath()}", "its influences name joints that are not there", where
            )
        if not (np.isfinite(share).all() and share.min(initial=0.0) >= 0.0 and np.isfinite(bound).all()):
            raise InputError(f"{source.where}: {prim.GetPath()}", "weights are negative or not finite", _ACCEPTED)
        if count * len(names) > MOST_WEIGHTS:
            much = f"{count} vertices with {len(names)} joints"
            raise InputError(where, much, f"simplify it to at most {MOST_WEIGHTS // len(names)} vertices")
        table = np.array([names.index(name) for name in order], dtype=np.int64)
        if query.HasBlendShapes():
            notes.append("blend shapes are left out")
        placed = shape.points @ bound[:3, :3].T + bound[:3, 3]
        points.append(placed)
        faces.append((shape.faces[:, ::-1] if np.linalg.det(bound[:3, :3]) < 0.0 else shape.faces) + first)
        colors.append(np.full(placed.shape, np.nan) if shape.colors is None else shape.colors)
        links.append(table[rows].reshape(count, width))
        weights.append(share.reshape(count, width))
        first += count
    widest = max(part.shape[1] for part in links)
    wide = lambda part: np.pad(part, ((0, 0), (0, widest - part.shape[1])))  # noqa: E731
    arrays = {
        "points": np.concatenate(points),
        "faces": np.concatenate(faces),
        "colors": np.concatenate(colors),
        "weight_links": np.concatenate([wide(part) for part in links]),
        "weights": np.concatenate([wide(part) for part in weights]),
    }
    return arrays, {}


def _bound(source: StageFrames, meshes: list[Usd.Prim], notes: list[str]):
    """Surfaces of the meshes, in their own order; points that are sampled are taken from the first frame."""
    from dataclasses import replace

    for prim in meshes:
        found = read_shapes(source, [prim], notes)
        if not found:
            raise InputError(f"{source.where}: {prim.GetPath()}", "has no faces", "a mesh with faces")
        shape = found[0]
        if shape.bends:
            notes.append("its points change besides, which is left out")
            shape = replace(shape, points=shape.points[0].astype(np.float64))
        yield shape
