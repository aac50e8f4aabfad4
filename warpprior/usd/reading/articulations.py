"""Links that joints of UsdPhysics hold together: which belong to each other, and what each joint says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from warpprior.support.errors import InputError
from warpprior.usd.reading.opening import each_prim
from warpprior.usd.reading.places import StageFrames

if TYPE_CHECKING:
    from pxr import Usd

MOST_LINKS = 1024
_AXES = {"X": [1.0, 0.0, 0.0], "Y": [0.0, 1.0, 0.0], "Z": [0.0, 0.0, 1.0]}
_TURNS, _SHIFTS = ("rotX", "rotY", "rotZ"), ("transX", "transY", "transZ")


def joints_of(stage: Usd.Stage) -> list[Usd.Prim]:
    """Joints of a stage that hold something, in their order."""
    from pxr import UsdPhysics

    return [prim for prim in each_prim(stage.GetPseudoRoot()) if prim.IsA(UsdPhysics.Joint) and any(ends(prim))]


def ends(joint: Usd.Prim) -> tuple[str, str]:
    """Paths of the rigid bodies that a joint holds together; empty for the world."""
    from pxr import UsdPhysics

    found = UsdPhysics.Joint(joint)
    first, second = (_body(joint, relation) for relation in (found.GetBody0Rel(), found.GetBody1Rel()))
    return first, second


def _body(joint: Usd.Prim, relation: Usd.Relationship) -> str:
    """The rigid body that a relation points at or into."""
    from pxr import UsdPhysics

    targets = relation.GetTargets() if relation else []
    prim = joint.GetStage().GetPrimAtPath(targets[0]) if targets else None
    while prim and not prim.IsPseudoRoot():
        if prim.HasAPI(UsdPhysics.RigidBodyAPI):
            return str(prim.GetPath())
        prim = prim.GetParent()
    return ""


def group_links(joints: list[Usd.Prim]) -> list[list[str]]:
    """Links that hang together, two or more in a group, in the order in which joints name them."""
    group: dict[str, list[str]] = {}
    for joint in joints:
        first, second = ends(joint)
        if not first or not second or first == second:
            continue
        one, other = group.setdefault(first, [first]), group.setdefault(second, [second])
        if one is not other:
            one += other
            for path in other:
                group[path] = one
    unique = {id(members): members for members in group.values()}
    return list(unique.values())


def read_joints(source: StageFrames, links: list[str], notes: list[str]) -> tuple[list[dict[str, Any]], str]:
    """What joints say of links that hang together, and the link that is the root.

    Each joint: ``name``, ``type`` (hinge, slide, ball, fixed), ``parent`` and ``child`` as places in ``links``,
    ``place0`` and ``place1``, link_from_joint of both (position in the link's own units, quaternion xyzw), ``axis``,
    ``lower`` and ``upper`` [degrees, units or None], ``state`` [degrees or units] by frame, one number or None, and
    ``mimic``: name of the joint it follows, coefficient and offset.

    Raises:
        InputError: a joint of a kind that is not read.
    """
    from pxr import UsdPhysics

    if len(links) > MOST_LINKS:
        raise InputError(source.where, f"{len(links)} links in one articulation", f"at most {MOST_LINKS}")
    joints = joints_of(source.stage)
    inner, anchored = [], []
    for prim in joints:
        first, second = ends(prim)
        if first in links and second in links:
            inner.append(prim)
        elif (first or second) in links:
            anchored.append(prim)
    enabled = [prim for prim in inner if UsdPhysics.Joint(prim).GetJointEnabledAttr().Get() is not False]
    if len(enabled) < len(inner):
        notes.append(f"{len(inner) - len(enabled)} of its joints are disabled and left out")
    root = _root(source.stage, links, enabled, anchored)
    for prim in anchored:
        if not prim.IsA(UsdPhysics.FixedJoint):
            notes.append(f"{prim.GetName()} joins it to the world by a joint that moves; its root is free instead")
    names = _names(enabled)
    described, reached, waiting = [], {root}, [root]
    left = list(enabled)
    while waiting:
        link = waiting.pop(0)
        for prim in list(left):
            first, second = ends(prim)
            if link not in (first, second):
                continue
            left.remove(prim)
            other = second if link == first else first
            excluded = UsdPhysics.Joint(prim).GetExcludeFromArticulationAttr().Get()
            if other in reached or excluded:
                notes.append(f"joint {prim.GetName()} closes a loop and is left out")
                continue
            reached.add(other)
            waiting.append(other)
            described.append(_describe(source, prim, names, links, forward=link == first, notes=notes))
    order = {name: row for row, name in enumerate(names.values())}
    described.sort(key=lambda joint: order[joint["name"]])
    return described, root


def _names(joints: list[Usd.Prim]) -> dict[str, str]:
    """Names of joints by path, no two alike."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for prim in joints:
        name = plain_name(prim)
        while name in taken:
            name += "_"
        taken.add(name)
        names[str(prim.GetPath())] = name
    return names


def plain_name(prim: Usd.Prim) -> str:
    """What a prim is called: its display name, or its own without escapes."""
    from warpprior.usd.names import text_of

    return prim.GetDisplayName() or text_of(prim.GetName())


def _root(stage: Usd.Stage, links: list[str], joints: list[Usd.Prim], anchored: list[Usd.Prim]) -> str:
    """The link that is fixed to the world, the root of the articulation, or the one that no joint leads to."""
    from pxr import UsdPhysics

    for prim in anchored:
        if prim.IsA(UsdPhysics.FixedJoint):
            return next(filter(None, ends(prim)))
    for prim in anchored:
        return next(filter(None, ends(prim)))
    for path in links:
        if stage.GetPrimAtPath(path).HasAPI(UsdPhysics.ArticulationRootAPI):
            return path
    led = {ends(prim)[1] for prim in joints}
    return next((path for path in links if path not in led), links[0])


def _describe(
    source: StageFrames, prim: Usd.Prim, names: dict[str, str], links: list[str], *, forward: bool, notes: list[str]
) -> dict[str, Any]:
    from pxr import UsdPhysics

    joint = UsdPhysics.Joint(prim)
    first, second = ends(prim)
    places = [
        [*_triple(joint.GetLocalPos0Attr().Get()), *_quaternion(joint.GetLocalRot0Attr().Get())],
        [*_triple(joint.GetLocalPos1Attr().Get()), *_quaternion(joint.GetLocalRot1Attr().Get())],
    ]
    kind, axis, lower, upper = _kind(source, prim, notes)
    if not np.isfinite(np.array(places)).all():
        raise InputError(f"{source.where}: {prim.GetPath()}", "its frames are not finite", "finite numbers")
    word = "linear" if kind == "slide" else "angular"
    return {
        "name": names[str(prim.GetPath())],
        "type": kind,
        "parent": links.index(first if forward else second),
        "child": links.index(second if forward else first),
        "place0": places[0 if forward else 1],
        "place1": places[1 if forward else 0],
        "axis": axis if forward else [-value for value in axis],
        "lower": lower,
        "upper": upper,
        "state": _sampled(source, prim, f"state:{word}:physics:position"),
        "target": _sampled(source, prim, f"drive:{word}:physics:targetPosition"),
        "mimic": _mimic(prim, names, axis),
    }


def _triple(value: Any) -> list[float]:
    return [0.0, 0.0, 0.0] if value is None else [float(part) for part in value]


def _quaternion(value: Any) -> list[float]:
    """xyzw; none at all where it has no length."""
    if value is None:
        return [0.0, 0.0, 0.0, 1.0]
    found = np.array([*value.GetImaginary(), value.GetReal()], dtype=np.float64)
    length = np.linalg.norm(found)
    return (found / length).tolist() if length > 1e-6 else [0.0, 0.0, 0.0, 1.0]


def _kind(source: StageFrames, prim: Usd.Prim, notes: list[str]) -> tuple[str, list[float], float | None, float | None]:
    """Type, axis in the joint's frame and limits of a joint."""
    from pxr import UsdPhysics

    if prim.IsA(UsdPhysics.FixedJoint):
        return "fixed", _AXES["X"], None, None
    for schema, kind in ((UsdPhysics.RevoluteJoint, "hinge"), (UsdPhysics.PrismaticJoint, "slide")):
        if prim.IsA(schema):
            joint = schema(prim)
            low, high = _limits(prim, joint.GetLowerLimitAttr().Get(), joint.GetUpperLimitAttr().Get(), notes)
            return kind, _AXES.get(str(joint.GetAxisAttr().Get()), _AXES["X"]), low, high
    if prim.IsA(UsdPhysics.SphericalJoint):
        return "ball", _AXES["X"], None, None
    if prim.IsA(UsdPhysics.DistanceJoint):
        raise InputError(f"{source.where}: {prim.GetPath()}", "is a distance joint", "hinges, slides, balls, fixed")
    return _free_ways(source, prim, notes)


def _limits(prim: Usd.Prim, low: Any, high: Any, notes: list[str]) -> tuple[float | None, float | None]:
    low = float(low) if low is not None and np.isfinite(low) else None
    high = float(high) if high is not None and np.isfinite(high) else None
    if low is not None and high is not None and low > high:
        notes.append(f"joint {prim.GetName()} has its limits the wrong way round; it has none here")
        return None, None
    return low, high


def _free_ways(
    source: StageFrames, prim: Usd.Prim, notes: list[str]
) -> tuple[str, list[float], float | None, float | None]:
    """A joint of six ways to move of which some are locked: those that are left make it one that is read."""
    from pxr import UsdPhysics

    free, ranges = [], {}
    for way in (*_TURNS, *_SHIFTS):
        limit = UsdPhysics.LimitAPI.Get(prim, way) if prim.HasAPI(UsdPhysics.LimitAPI, way) else None
        low, high = (None, None) if limit is None else (limit.GetLowAttr().Get(), limit.GetHighAttr().Get())
        if low is None or high is None or low < high:
            free.append(way)
            ranges[way] = (low, high)
    turns, shifts = [way for way in free if way in _TURNS], [way for way in free if way in _SHIFTS]
    if not free:
        return "fixed", _AXES["X"], None, None
    if len(free) == 1:
        kind = "hinge" if turns else "slide"
        low, high = _limits(prim, ranges[free[0]][0], ranges[free[0]][1], notes)
        return kind, _AXES[free[0][-1]], low, high
    if not shifts:
        if len(turns) == 2:
            notes.append(f"joint {prim.GetName()} turns about two axes and is taken as one that turns about three")
        return "ball", _AXES["X"], None, None
    raise InputError(
        f"{source.where}: {prim.GetPath()}", f"moves in {len(free)} ways", "hinges, slides, balls and fixed joints"
    )


def _sampled(source: StageFrames, prim: Usd.Prim, name: str) -> list[float] | None:
    """Values of an attribute by frame, or its one value, or None."""
    attribute = prim.GetAttribute(name)
    if not attribute or not attribute.HasAuthoredValue():
        return None
    times = source.times() if attribute.GetNumTimeSamples() > 1 else source.times()[:1]
    values = [attribute.Get(time) for time in times]
    good = all(value is not None and np.isfinite(value) for value in values)
    return [float(value) for value in values] if good else None


def _mimic(prim: Usd.Prim, names: dict[str, str], axis: list[float]) -> list[Any] | None:
    """The joint that this one follows, its coefficient, and the offset in the joint's own unit."""

    def value(name: str, usual: float) -> float:
        attribute = prim.GetAttribute(name)
        found = attribute.Get() if attribute else None
        return usual if found is None or not np.isfinite(found) else float(found)

    def target(name: str) -> str | None:
        relation = prim.GetRelationship(name)
        targets = relation.GetTargets() if relation else []
        return names.get(str(targets[0])) if targets else None

    leader = target("newton:mimicJoint")
    enabled = prim.GetAttribute("newton:mimicEnabled")
    if leader is not None and not (enabled and enabled.Get() is False):
        return [leader, value("newton:mimicCoef1", 1.0), value("newton:mimicCoef0", 0.0)]
    for way in (*_TURNS, *_SHIFTS):
        leader = target(f"physxMimicJoint:{way}:referenceJoint")
        if leader is not None:  # q + gearing * reference + offset = 0
            stem = f"physxMimicJoint:{way}"
            return [leader, -value(f"{stem}:gearing", 1.0), -value(f"{stem}:offset", 0.0)]
    return None
