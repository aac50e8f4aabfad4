"""Checks of an exported stage that the usual validators leave out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from warpprior.support.errors import InputError
from warpprior.support.openusd import has_openusd, is_stage, missing_openusd
from warpprior.support.separate_process import Limits, run_separately
from warpprior.usd.check_choices import missing_files, other_choices
from warpprior.usd.check_physics import physics_findings
from warpprior.usd.check_skeleton import skeleton_findings

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom

_UNIT = 1.0e-4  # a quaternion may be this far from unit length
_EXTENT = 1.0e-5  # an extent may be this far from its points [m]


@dataclass(frozen=True)
class Finding:
    """Something wrong with a stage.

    Attributes:
        prim: path of the prim, ``/`` for the stage itself.
        what: the attribute or metadata at fault, with the time code where it varies.
        message: what is wrong.
    """

    prim: str
    what: str
    message: str

    def __str__(self) -> str:
        return f"{self.prim} {self.what}: {self.message}"


def check_stage(path: str | os.PathLike | Usd.Stage) -> list[Finding]:
    """Everything that is found wrong with a stage; an empty list for a sound one.

    At every authored time and at the default: numbers finite, quaternions of unit length, face indices in range,
    primvars and normals as long as their interpolation asks for, indices of primvars in range, extents around their
    points; all samples within the stage's time range and with a default value, which physics engines read; and a
    default prim, Z up and metres.  Rigid bodies have mass, and colliders where they have a surface, but not too many;
    joints are where both their bodies have them.  Joints of skeletons, weights and blend shapes fit each other
    (:mod:`.check_skeleton`); files that are referred to are there; variants that are not selected are looked at, too.
    Validators of OpenUSD and NVIDIA miss most of these (they pass NaN points, zero quaternions and colours of the wrong
    length).

    A file is read in a process of its own, which a damaged one may crash; a stage that is open, where it is.

    Args:
        path: a USD file, or a ``Usd.Stage``.

    Raises:
        InputError: the file cannot be opened as a stage.
        MissingExtraError: OpenUSD is not installed.
        RunError: no Python can be started to read it.
    """
    if is_stage(path):
        return _faults_of(path)
    if not has_openusd():
        raise missing_openusd("checking USD files")
    where = os.fspath(path)
    mebibytes = os.path.getsize(where) / 2**20 if os.path.isfile(where) else 0.0
    limits = Limits(
        cpu_s=20.0 + 4.0 * mebibytes,
        memory_bytes=(4 << 30) + int(8 * mebibytes * 2**20),
        wall_s=240.0 + 8.0 * mebibytes,
    )
    _, found = run_separately(
        "warpprior.usd.check:find_faults",
        {"path": where},
        where=where,
        accepted="a .usdc, .usd, .usda or .usdz file",
        limits=limits,
    )
    return [Finding(*texts) for texts in found]


def find_faults(path: str) -> tuple[dict[str, np.ndarray], list[tuple[str, str, str]]]:
    """What :func:`check_stage` finds, as texts; runs apart."""
    from pxr import Tf, Usd

    try:
        stage = Usd.Stage.Open(path)
    except Tf.ErrorException as error:
        raise InputError(path, "not a readable stage", "a .usdc, .usd, .usda or .usdz file") from error
    return {}, [(one.prim, one.what, one.message) for one in _faults_of(stage)]


def _faults_of(stage: Usd.Stage) -> list[Finding]:
    from pxr import Usd

    findings = list(_stage_findings(stage))
    findings += _prim_findings(stage, stage.Traverse())
    findings += [Finding(*texts) for texts in (*physics_findings(stage), *missing_files(stage))]
    for choice, other, prim in other_choices(stage):
        found = [*_prim_findings(other, Usd.PrimRange(prim)), *(Finding(*texts) for texts in physics_findings(other))]
        findings += [Finding(f"{one.prim}{choice}", one.what, one.message) for one in found if one not in findings]
    return findings


def _prim_findings(stage: Usd.Stage, prims: Iterable[Usd.Prim]) -> Iterator[Finding]:
    from pxr import UsdGeom

    for prim in prims:
        yield from _value_findings(stage, prim)
        if prim.IsA(UsdGeom.Mesh):
            yield from _mesh_findings(UsdGeom.Mesh(prim))
        elif prim.IsA(UsdGeom.Points):
            yield from _points_findings(UsdGeom.Points(prim))
        else:
            yield from _constant_findings(prim)
        yield from (Finding(*texts) for texts in skeleton_findings(prim))


def _stage_findings(stage: Usd.Stage) -> Iterator[Finding]:
    from pxr import UsdGeom

    if not stage.GetDefaultPrim():
        yield Finding("/", "defaultPrim", "is not set")
    if UsdGeom.GetStageUpAxis(stage) != UsdGeom.Tokens.z:
        yield Finding("/", "upAxis", f"is {UsdGeom.GetStageUpAxis(stage)}, not Z")
    if UsdGeom.GetStageMetersPerUnit(stage) != 1.0:
        yield Finding("/", "metersPerUnit", f"is {UsdGeom.GetStageMetersPerUnit(stage)}, not 1")
    if stage.GetTimeCodesPerSecond() != stage.GetFramesPerSecond():
        yield Finding("/", "timeCodesPerSecond", "differs from framesPerSecond")
    if stage.GetEndTimeCode() < stage.GetStartTimeCode():
        yield Finding("/", "endTimeCode", "comes before startTimeCode")


def _value_findings(stage: Usd.Stage, prim: Usd.Prim) -> Iterator[Finding]:
    """Numbers and times of every authored attribute."""
    from pxr import Gf

    path = str(prim.GetPath())
    for attribute in prim.GetAuthoredAttributes():
        times = attribute.GetTimeSamples()
        if times and (times[0] < stage.GetStartTimeCode() or times[-1] > stage.GetEndTimeCode()):
            span = f"{times[0]:g}..{times[-1]:g}"
            yield Finding(path, attribute.GetName(), f"has samples at {span}, outside the stage's time range")
        if times and not _has_default(attribute):
            yield Finding(path, attribute.GetName(), "has samples but no default value, which physics engines read")
        for code in _codes(attribute):
            value = attribute.Get(code)
            numbers = _numbers(value)
            if numbers is not None and not np.all(np.isfinite(numbers)):
                yield Finding(path, _at(attribute, code), "holds a number that is not finite")
            elif isinstance(value, Gf.Quatf | Gf.Quatd | Gf.Quath) and abs(value.GetLength() - 1.0) > _UNIT:
                yield Finding(path, _at(attribute, code), f"is a quaternion of length {value.GetLength():g}")


def _mesh_findings(mesh: UsdGeom.Mesh) -> Iterator[Finding]:
    from pxr import UsdGeom

    path, points = str(mesh.GetPath()), mesh.GetPointsAttr()
    counts = np.asarray(mesh.GetFaceVertexCountsAttr().Get(), dtype=np.int64)
    indices = np.asarray(mesh.GetFaceVertexIndicesAttr().Get(), dtype=np.int64)
    if counts.sum() != len(indices):
        yield Finding(path, "faceVertexCounts", f"add up to {counts.sum()} for {len(indices)} indices")
    vertex_counts = {len(points.Get(code)) for code in _codes(points)}
    if len(vertex_counts) != 1:
        yield Finding(path, "points", f"are {sorted(vertex_counts)} in number over time")
        return
    vertex_count = vertex_counts.pop()
    if len(indices) and (indices.min() < 0 or indices.max() >= vertex_count):
        yield Finding(path, "faceVertexIndices", f"span {indices.min()}..{indices.max()} for {vertex_count} points")
    sizes = {
        UsdGeom.Tokens.constant: 1,
        UsdGeom.Tokens.uniform: len(counts),
        UsdGeom.Tokens.vertex: vertex_count,
        UsdGeom.Tokens.varying: vertex_count,
        UsdGeom.Tokens.faceVarying: len(indices),
    }
    yield from _length_findings(path, mesh.GetNormalsAttr(), sizes[mesh.GetNormalsInterpolation()])
    for primvar in UsdGeom.PrimvarsAPI(mesh).GetPrimvarsWithAuthoredValues():
        expected = sizes[primvar.GetInterpolation()]
        if primvar.IsIndexed():
            yield from _length_findings(path, primvar.GetIndicesAttr(), expected)
            yield from _index_findings(path, primvar)
        else:
            yield from _length_findings(path, primvar.GetAttr(), expected * primvar.GetElementSize())
    yield from _extent_findings(path, mesh)


def _constant_findings(prim: Usd.Prim) -> Iterator[Finding]:
    """Primvars of a prim without a surface, which those below it inherit: one element, if they are arrays."""
    from pxr import UsdGeom

    for primvar in UsdGeom.PrimvarsAPI(prim).GetPrimvarsWithAuthoredValues():
        if primvar.GetTypeName().isArray and not primvar.IsIndexed():
            yield from _length_findings(str(prim.GetPath()), primvar.GetAttr(), primvar.GetElementSize())


def _points_findings(points: UsdGeom.Points) -> Iterator[Finding]:
    from pxr import UsdGeom

    path, count = str(points.GetPath()), len(points.GetPointsAttr().Get() or ())
    yield from _length_findings(path, points.GetPointsAttr(), count)
    for primvar in UsdGeom.PrimvarsAPI(points).GetPrimvarsWithAuthoredValues():
        if primvar.GetInterpolation() != UsdGeom.Tokens.vertex:
            continue
        if primvar.IsIndexed():
            yield from _length_findings(path, primvar.GetIndicesAttr(), count)
            yield from _index_findings(path, primvar)
        else:
            yield from _length_findings(path, primvar.GetAttr(), count * primvar.GetElementSize())


def _length_findings(path: str, attribute: Usd.Attribute, expected: int) -> Iterator[Finding]:
    for code in _codes(attribute):
        found = len(attribute.Get(code))
        if found != expected:
            yield Finding(path, _at(attribute, code), f"has {found} values where {expected} are needed")


def _index_findings(path: str, primvar: UsdGeom.Primvar) -> Iterator[Finding]:
    indices = primvar.GetIndicesAttr()
    for code in _codes(indices):
        values = len(primvar.Get(code) or ()) // max(primvar.GetElementSize(), 1)
        named = np.asarray(indices.Get(code))
        if len(named) and (named.min() < 0 or named.max() >= values):
            yield Finding(path, _at(indices, code), f"span {named.min()}..{named.max()} for {values} values")


def _extent_findings(path: str, mesh: UsdGeom.Mesh) -> Iterator[Finding]:
    extent, points = mesh.GetExtentAttr(), mesh.GetPointsAttr()
    if not extent.HasAuthoredValue():
        yield Finding(path, "extent", "is missing")
        return
    if extent.GetTimeSamples() != points.GetTimeSamples():
        yield Finding(path, "extent", "is not sampled at the times of the points")
        return
    for code in _codes(points):
        positions, box = np.asarray(points.Get(code)), np.asarray(extent.Get(code))
        if np.abs(box - [positions.min(axis=0), positions.max(axis=0)]).max() > _EXTENT:
            yield Finding(path, _at(extent, code), "does not fit the points")


def _codes(attribute: Usd.Attribute) -> list[Usd.TimeCode]:
    """The times at which the attribute has a value of its own, the default first."""
    from pxr import Usd

    default = [Usd.TimeCode.Default()] if _has_default(attribute) else []
    return default + [Usd.TimeCode(time) for time in attribute.GetTimeSamples()]


def _has_default(attribute: Usd.Attribute) -> bool:
    from pxr import Usd

    return attribute.GetResolveInfo(Usd.TimeCode.Default()).GetSource() == Usd.ResolveInfoSourceDefault


def _numbers(value: Any) -> np.ndarray | None:
    """The numbers in an attribute's value, or None for text and the like."""
    from pxr import Gf

    if isinstance(value, Gf.Quatf | Gf.Quatd | Gf.Quath):
        return np.array([value.GetReal(), *value.GetImaginary()], dtype=np.float64)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return None
    return array if array.dtype.kind == "f" else None


def _at(attribute: Usd.Attribute, code: Usd.TimeCode) -> str:
    return attribute.GetName() if code.IsDefault() else f"{attribute.GetName()} at {code.GetValue():g}"
