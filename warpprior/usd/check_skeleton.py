"""Checks of UsdSkel characters, of which validators see the binding alone; in the process that :mod:`.check` starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pxr import Usd, UsdSkel

_SUM = 1.0e-3  # weights of a vertex may add up to 1 but for this


def skeleton_findings(prim: Usd.Prim) -> Iterator[tuple[str, str, str]]:
    """Prim, what is at fault and what is wrong: of a mesh that follows joints, a skeleton, or an animation."""
    from pxr import UsdGeom, UsdSkel

    if prim.IsA(UsdSkel.Skeleton):
        yield from _skeleton(UsdSkel.Skeleton(prim))
    elif prim.IsA(UsdSkel.Animation):
        yield from _animation(UsdSkel.Animation(prim))
    elif prim.IsA(UsdGeom.Mesh) and prim.HasAPI(UsdSkel.BindingAPI):
        yield from _skinned(prim)


def _skeleton(skeleton: UsdSkel.Skeleton) -> Iterator[tuple[str, str, str]]:
    path, count = str(skeleton.GetPath()), len(skeleton.GetJointsAttr().Get() or ())
    for attribute in (skeleton.GetBindTransformsAttr(), skeleton.GetRestTransformsAttr()):
        matrices = np.array(attribute.Get() if attribute.HasAuthoredValue() else ()).reshape(-1, 4, 4)
        if len(matrices) != count:
            yield path, attribute.GetName(), f"has {len(matrices)} values for {count} joints"
        elif count and not (np.abs(np.linalg.det(matrices[:, :3, :3])) > 1e-9).all():
            yield path, attribute.GetName(), "has a transform that cannot be undone"


def _animation(animation: UsdSkel.Animation) -> Iterator[tuple[str, str, str]]:
    path, joints = str(animation.GetPath()), len(animation.GetJointsAttr().Get() or ())
    shapes = len(animation.GetBlendShapesAttr().Get() or ())
    for attribute, count, needed in (
        (animation.GetTranslationsAttr(), joints, True),
        (animation.GetRotationsAttr(), joints, True),
        (animation.GetScalesAttr(), joints, True),
        (animation.GetBlendShapeWeightsAttr(), shapes, False),
    ):
        name = attribute.GetName()
        if not attribute.HasAuthoredValue():
            if needed and count:
                yield path, name, "is missing: OpenUSD finds no transforms of joints without it"
            continue
        for time in (None, *attribute.GetTimeSamples()):
            values = attribute.Get() if time is None else attribute.Get(time)
            where = name if time is None else f"{name} at {time:g}"
            if values is None or len(values) != count:
                yield path, where, f"has {len(values or ())} values where {count} are needed"
            elif name == "rotations" and count:
                lengths = np.linalg.norm(np.array([[q.GetReal(), *q.GetImaginary()] for q in values]), axis=1)
                if np.abs(lengths - 1.0).max() > 1e-4:
                    yield path, where, f"holds a quaternion of length {lengths[np.abs(lengths - 1.0).argmax()]:g}"


def _skinned(prim: Usd.Prim) -> Iterator[tuple[str, str, str]]:
    from pxr import UsdGeom, UsdSkel

    path, binding = str(prim.GetPath()), UsdSkel.BindingAPI(prim)
    vertices = len(UsdGeom.Mesh(prim).GetPointsAttr().Get() or ())
    skeleton = binding.GetInheritedSkeleton()
    joints = len((skeleton.GetJointsAttr().Get() if skeleton else None) or ())
    if joints == 0:
        yield path, "skel:skeleton", "follows no skeleton with joints"
        return
    joints = len(binding.GetJointsAttr().Get() or ()) or joints
    indices, weights = binding.GetJointIndicesPrimvar(), binding.GetJointWeightsPrimvar()
    named, shares = np.asarray(indices.Get() or (), np.int64), np.asarray(weights.Get() or (), np.float64)
    if len(named) and (named.min() < 0 or named.max() >= joints):
        yield path, indices.GetName(), f"span {named.min()}..{named.max()} for {joints} joints"
    rows = 1 if weights.GetInterpolation() == UsdGeom.Tokens.constant else vertices
    size = weights.GetElementSize()
    if len(shares) != len(named) or len(shares) != rows * size:
        yield path, weights.GetName(), f"has {len(shares)} values, and {len(named)} indices, for {rows} of {size} each"
    elif len(shares):
        sums = shares.reshape(rows, size).sum(axis=1)
        if not np.abs(sums - 1.0).max() <= _SUM:
            worst = int(np.abs(sums - 1.0).argmax())
            yield path, weights.GetName(), f"add up to {sums[worst]:g} at vertex {worst}, not to 1"
    targets = binding.GetBlendShapeTargetsRel().GetTargets()
    if len(targets) != len(binding.GetBlendShapesAttr().Get() or ()):
        yield (
            path,
            "skel:blendShapes",
            f"are {len(binding.GetBlendShapesAttr().Get() or ())} for {len(targets)} targets",
        )
    for target in targets:
        shape = UsdSkel.BlendShape.Get(prim.GetStage(), target)
        if not shape:
            yield path, "skel:blendShapeTargets", f"names {target}, which is not there"
            continue
        moved = np.asarray(shape.GetPointIndicesAttr().Get() or (), np.int64)
        offsets = len(shape.GetOffsetsAttr().Get() or ())
        if offsets != (len(moved) or vertices):
            yield str(target), "offsets", f"has {offsets} values where {len(moved) or vertices} are needed"
        if len(moved) and (moved.min() < 0 or moved.max() >= vertices):
            yield str(target), "pointIndices", f"span {moved.min()}..{moved.max()} for {vertices} points"
