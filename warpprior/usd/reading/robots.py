"""A robot from what a stage says of its links and joints."""

from __future__ import annotations

from typing import Any

import numpy as np

from warpprior.bodies.body import Body, JointType
from warpprior.bodies.readers.link_tree import Joint, assemble, sort_links
from warpprior.bodies.readers.rig import LIMIT
from warpprior.bodies.repair import Surface, repair_surface
from warpprior.support.errors import InputError
from warpprior.usd.reading.joints import link_offsets, solve_joints
from warpprior.usd.reading.motion import Rigid, over, split_rigid, transforms

_TYPES = {"hinge": JointType.HINGE, "slide": JointType.SLIDE, "ball": JointType.BALL, "fixed": JointType.FIXED}
_LIMITED = 1e-3  # [rad or m], by which positions may leave limits before it is said
_AGREE_RAD, _AGREE_M = 1e-3, 1e-3  # between joint positions and links


def build_robot(
    where: str, said: dict[str, Any], arrays: dict[str, np.ndarray], frame_count: int, unit_scale: float
) -> tuple[Body, np.ndarray, np.ndarray, list[str]]:
    """A robot, world_from_body (frame, 4, 4), its joint coordinates (frame, coordinate), and what is to be said.

    Links keep their own axes; a link's origin is where its joint is.

    Args:
        where: the stage, for messages.
        said, arrays: of :mod:`warpprior.usd.reading.extract`.
        frame_count: of the sequence.
        unit_scale: metres per unit of the stage, in which limits and positions of slides are.
    """
    notes: list[str] = []
    names = said["tree"]["link_names"] if said["tree"] else said["links"]
    motions = [_rigid(where, name, arrays[f"link{row}"]) for row, name in enumerate(names)]
    if said["tree"]:
        body = _of_tree(where, said, arrays, motions)
        links = _placed(motions, frame_count)
    else:
        body, links = _of_joints(where, said, arrays, motions, frame_count, notes, unit_scale)
    world, joints, away = solve_joints(body, links, link_offsets(body, np.zeros(0), 1.0))
    moved = any(len(arrays[f"link{row}"]) > 1 for row in range(len(names)))
    if away > _AGREE_M and moved:
        notes.append(f"its links are up to {1e3 * away:.3g} mm from where its joints let them be")
    joints = _stated(said, body, joints, moved, notes, unit_scale)
    return body, world, joints, notes


def _rigid(where: str, name: str, placed: np.ndarray) -> Rigid:
    motion = split_rigid(placed)
    if motion is None or not motion.is_rigid:
        raise InputError(where, f"link {name!r} changes its size or has none", "links that move and turn only")
    return motion


def _placed(motions: list[Rigid], frame_count: int) -> np.ndarray:
    """world_from_link (frame, link, 4, 4)."""
    moved = [over(transforms(motion.rotation, motion.position), frame_count) for motion in motions]
    return np.stack(moved, axis=1)


def _surfaces(where: str, arrays: dict[str, np.ndarray], row: int, count: int, motion: Rigid) -> list[Surface]:
    """Surfaces of a link in its frame [m], repaired."""
    frame = np.linalg.inv(transforms(motion.rotation[0], motion.position[0]))
    found = []
    for number in range(count):
        stem = f"link{row}/"
        within = frame @ arrays[f"{stem}placed{number}"][0]
        points = arrays[f"{stem}points{number}"]
        points = (points[0] if points.ndim == 3 else points).astype(np.float64)
        faces = arrays[f"{stem}faces{number}"]
        faces = faces[:, ::-1] if np.linalg.det(within[:3, :3]) < 0.0 else faces
        placed = exact(within, points)
        colors = arrays.get(f"{stem}colors{number}")
        found.append(repair_surface(where, Surface(placed, faces.astype(np.int64), colors)))
    return found


def exact(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (vertex, 3) under an affine transform; as they are where it does nothing but for rounding."""
    if np.abs(matrix - np.eye(4)).max() < 2e-6:
        return points
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _of_tree(where: str, said: dict[str, Any], arrays: dict[str, np.ndarray], motions: list[Rigid]) -> Body:
    """By the tree that a stage of our own says."""
    tree = said["tree"]
    count, coordinates = len(tree["link_names"]), len(tree["coordinate_names"])
    widths = {"joint_offsets": 7, "joint_axes": 3}
    for name in ("parents", "joint_types", "joint_offsets", "joint_axes", "coordinate_starts"):
        if len(tree[name]) != count * widths.get(name, 1):
            raise InputError(where, f"says a tree of links whose {name} do not fit", "a stage that is not damaged")
    values = {name: np.array(tree[name], dtype=np.float64) for name in tree if not name.endswith("_names")}
    good = all(np.isfinite(values[name]).all() for name in values if name not in ("lower", "upper"))
    if not good or len(values["lower"]) != coordinates or len(values["upper"]) != coordinates:
        raise InputError(where, "says a tree of links that is not finite", "a stage that is not damaged")
    parts, links = [], []
    whole = np.eye(4)[None].repeat(count, axis=0)
    from scipy.spatial.transform import Rotation

    offsets = values["joint_offsets"].reshape(count, 7)
    for link in range(count):
        parent = int(values["parents"][link])
        if not (-1 <= parent < link or link == 0) or np.linalg.norm(offsets[link, 3:]) < 1e-6:
            raise InputError(where, "says a tree of links whose order is wrong", "a stage that is not damaged")
        own = transforms(Rotation.from_quat(offsets[link, 3:]).as_matrix(), offsets[link, :3])
        whole[link] = own if parent < 0 else whole[parent] @ own
        for surface in _surfaces(where, arrays, link, said["counts"][link], motions[link]):
            parts.append((exact(whole[link], surface.vertices), surface))
            links.append(np.full(len(surface.vertices), link, dtype=np.int32))
    if not parts:
        raise InputError(where, "no link has a surface", "one link with a surface at least")
    starts = np.cumsum([0, *(len(points) for points, _ in parts)])
    colored = all(surface.colors is not None for _, surface in parts)
    vertices = np.concatenate([points for points, _ in parts]).astype(np.float32)
    single, whole_number = np.float32, np.int32
    try:
        return Body(
            name=said["name"],
            kind="urdf",
            vertices=vertices,
            faces=np.concatenate([s.faces + start for (_, s), start in zip(parts, starts, strict=False)]).astype(
                whole_number
            ),
            link_names=tuple(tree["link_names"]),
            parents=values["parents"].astype(whole_number),
            joint_types=values["joint_types"].astype(whole_number),
            joint_offsets=offsets.astype(single),
            joint_axes=values["joint_axes"].reshape(count, 3).astype(single),
            coordinate_starts=values["coordinate_starts"].astype(whole_number),
            coordinate_gains=values["coordinate_gains"].astype(single),
            coordinate_biases=values["coordinate_biases"].astype(single),
            coordinate_names=tuple(tree["coordinate_names"]),
            lower=values["lower"].astype(single),
            upper=values["upper"].astype(single),
            skin_links=np.concatenate(links)[:, None],
            skin_weights=np.ones((len(vertices), 1), dtype=single),
            shape_directions=np.zeros((len(vertices), 3, 0), dtype=single),
            joint_shape_directions=np.zeros((count, 3, 0), dtype=single),
            pose_directions=np.zeros((len(vertices), 3, 0), dtype=single),
            colors=np.concatenate([s.colors for _, s in parts]).astype(single) if colored else None,  # type: ignore[misc]
            closed=all(surface.closed for _, surface in parts),
        )
    except ValueError as error:
        raise InputError(where, f"says a tree of links that makes no body ({error})", "a stage of ours") from None


def _of_joints(
    where: str,
    said: dict[str, Any],
    arrays: dict[str, np.ndarray],
    motions: list[Rigid],
    frame_count: int,
    notes: list[str],
    unit: float,
) -> tuple[Body, np.ndarray]:
    """By joints of UsdPhysics: the body, and world_from_link (frame, link, 4, 4) in its order of links."""
    from scipy.spatial.transform import Rotation

    names = said["links"]
    # Lengths in a link's own units are the size of its transform; the joint's place is in them.
    origins = np.zeros((len(names), 3))
    for joint in said["joints"]:
        child = joint["child"]
        origins[child] = motions[child].stretch @ np.array(joint["place1"][:3])
    links: dict[str, Joint] = {}
    for joint in said["joints"]:
        parent, child = joint["parent"], joint["child"]
        turns = [Rotation.from_quat(joint[key][3:]) for key in ("place0", "place1")]
        place = motions[parent].stretch @ np.array(joint["place0"][:3]) - origins[parent]
        kind = _TYPES[joint["type"]]
        factor = np.pi / 180.0 if kind == JointType.HINGE else unit
        ends = [joint["lower"], joint["upper"]]
        reach = [sign * LIMIT if kind == JointType.BALL else sign * np.inf for sign in (-1.0, 1.0)]
        low, high = (away if end is None else factor * end for end, away in zip(ends, reach, strict=True))
        source, gain, bias = joint["name"], 1.0, 0.0
        if joint["mimic"] is not None:
            source, gain, bias = joint["mimic"][0], joint["mimic"][1], factor * joint["mimic"][2]
        links[joint["name"]] = Joint(
            name=joint["name"],
            parent=names[parent],
            child=names[child],
            type=kind,
            origin=transforms((turns[0] * turns[1].inv()).as_matrix(), place),
            axis=turns[1].apply(joint["axis"]),
            lower=low,
            upper=high,
            source=source,
            gain=gain,
            bias=bias,
        )
    used = {said["paths"].index(said["root"])} | {joint["child"] for joint in said["joints"]}
    kept = [name for row, name in enumerate(names) if row in used]
    if len(kept) < len(names):
        notes.append(f"{len(names) - len(kept)} links hang on no joint that is used and are left out")
    order = sort_links(where, kept, links)
    surfaces = {}
    for row, name in enumerate(names):
        if row in used:
            found = _surfaces(where, arrays, row, said["counts"][row], motions[row])
            surfaces[name] = [_shifted(surface, origins[row]) for surface in found]
    if not any(surfaces.values()):
        raise InputError(where, "no link has a surface", "one link with a surface at least")
    warnings: list[str] = []
    body = assemble(where, said["name"], order, links, surfaces, warnings, size_hint="set metersPerUnit of the stage")
    notes += warnings
    placed = _placed(motions, frame_count)
    shifts = np.tile(np.eye(4), (len(names), 1, 1))
    shifts[:, :3, 3] = origins
    rows = [names.index(name) for name in body.link_names]
    return body, (placed @ shifts)[:, rows]


def _shifted(surface: Surface, origin: np.ndarray) -> Surface:
    from dataclasses import replace

    return replace(surface, vertices=surface.vertices - origin) if origin.any() else surface


def _stated(
    said: dict[str, Any], body: Body, found: np.ndarray, moved: bool, notes: list[str], unit: float
) -> np.ndarray:
    """Joint coordinates (frame, coordinate): as joints say, where they have samples or links do not move."""
    joints, apart = found.copy(), 0.0
    told = {joint["name"]: joint for joint in said["joints"]}
    targets = []
    for column, name in enumerate(body.coordinate_names):
        joint = told.get(name)
        if joint is None or joint["type"] not in ("hinge", "slide"):
            continue
        factor = np.pi / 180.0 if joint["type"] == "hinge" else unit
        state = joint["state"]
        if state is None and not moved and joint["target"] is not None:
            state = joint["target"]
            targets.append(name)
        if state is None or (moved and len(state) == 1 and len(found) > 1):
            continue
        values = factor * np.array(state)
        off = float(np.abs(values - found[:, column]).max())
        if moved:
            apart = max(apart, off)
        joints[:, column] = values
    if apart > _AGREE_RAD:
        notes.append(f"positions of joints, which are taken, differ by up to {apart:.3g} from places of links")
    if targets:
        notes.append(f"{len(targets)} joints say no position; where they are driven to is taken")
    ends = np.maximum(body.lower - joints, joints - body.upper) if joints.size else np.zeros((1, 1))
    outside = float(ends.max(initial=0.0))
    if outside > _LIMITED:
        name = body.coordinate_names[int(ends.max(axis=0).argmax())]
        notes.append(f"joint {name} is up to {outside:.3g} beyond its limits")
    return joints
