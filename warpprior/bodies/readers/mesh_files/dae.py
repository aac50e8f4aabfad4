"""COLLADA files (.dae): the triangles and polygons of their scene; counted before they are placed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from warpprior.bodies.readers.mesh_files.dae_colors import DaeColors, Part
from warpprior.bodies.readers.mesh_files.dae_tree import DaeTree, read_floats, read_integers
from warpprior.bodies.readers.polygons import split_fans
from warpprior.bodies.readers.unreadable import refuse_unreadable
from warpprior.bodies.repair import MAX_FACES, Surface
from warpprior.support.errors import InputError

MOST_SHOWN = 200_000  # nodes and what is in them, as often as they are shown
MOST_PARTS = 20_000  # as often as they are shown
DEEPEST = 64
MOST_INPUTS = 32
_WIDTHS = {"VERTEX": 3, "COLOR": 3, "TEXCOORD": 2}
_SHAPES = ("triangles", "polylist", "polygons", "tristrips", "trifans")


def read_dae(path: Path) -> Surface:
    """Surface of a COLLADA file [m]: every mesh of its scene, by the unit that the file says, in its own axes.

    Raises:
        InputError: damaged, a document type, without triangles, or too large, as often as nodes show its meshes.
    """
    where = str(path)
    with refuse_unreadable(where, "give a complete COLLADA file (.dae) with triangles"):
        tree = DaeTree(path)
        colors = DaeColors(tree)
        parts: dict[str, list[Part]] = {}
        painted_parts: dict[tuple[str, int, str], np.ndarray | None] = {}
        placed: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        start = face_count = 0
        colored = False
        for name, matrix, bound in _instances(tree):
            if name not in parts:
                parts[name] = list(_parts(tree, name))
            turned = np.linalg.det(matrix[:3, :3]) < 0.0
            for number, part in enumerate(parts[name]):
                face_count += len(part.faces)
                if face_count > MAX_FACES or start > 3 * MAX_FACES or len(placed) >= MOST_PARTS:
                    found = f"shows more than {MAX_FACES} faces or {MOST_PARTS} parts"
                    raise InputError(where, found, f"simplify it to at most {MAX_FACES} faces")
                key = (name, number, bound.get(part.material, part.material))
                if key not in painted_parts:
                    painted_parts[key] = colors.read(part, key[2])
                painted = painted_parts[key]
                colored = colored or painted is not None
                bare = np.broadcast_to(np.nan, part.vertices.shape) if painted is None else painted
                faces = part.faces[:, ::-1] if turned else part.faces
                placed.append((part.vertices @ matrix[:3, :3].T + matrix[:3, 3], faces + start, bare))
                start += len(part.vertices)
        if not placed:
            return Surface(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64))
        vertices, faces, painted = (np.concatenate(values) for values in zip(*placed, strict=True))
        return Surface(vertices * tree.unit, faces, painted if colored else None, color_warnings=colors.warnings)


def _instances(tree: DaeTree) -> Iterator[tuple[str, np.ndarray, dict[str, str]]]:
    """Geometries that the scene shows: address, scene_from_geometry (4, 4), material by symbol."""
    scene = tree.scene()
    if scene is None:
        yield from ((f"#{geometry.get('id')}", np.eye(4), {}) for geometry in tree.root.iterfind("*/geometry"))
        return
    waiting: list[tuple[Element, np.ndarray, int]] = [(node, np.eye(4), 0) for node in scene.findall("node")[::-1]]
    bindings: dict[Element, dict[str, str]] = {}
    shown = 0
    while waiting:
        node, above, depth = waiting.pop()
        shown += 1 + len(node)
        if shown > MOST_SHOWN or depth > DEEPEST:
            found = f"shows more than {MOST_SHOWN} nodes" if shown > MOST_SHOWN else f"nodes more than {DEEPEST} deep"
            raise InputError(str(tree.path), found, "simplify it")
        matrix = above @ _node_matrix(node)
        below = []
        for child in node:
            if child.tag == "node":
                below.append((child, matrix, depth + 1))
            elif child.tag == "instance_node":
                below.append((tree.named(child.get("url", "")), matrix, depth + 1))
            elif child.tag in ("instance_geometry", "instance_controller"):
                name, inner = _geometry(tree, child)
                if child not in bindings:
                    bindings[child] = _bindings(child)
                yield name, matrix @ inner, bindings[child]
        waiting.extend(below[::-1])


def _geometry(tree: DaeTree, instance: Element) -> tuple[str, np.ndarray]:
    """The address of a geometry, and scene_from_geometry (4, 4) within its node: a skin as it was bound."""
    name = instance.get("url", "")
    if instance.tag == "instance_geometry":
        return name, np.eye(4)
    skin = tree.named(name).find("skin")
    if skin is None:
        raise InputError(str(tree.path), "has a controller that is no skin", "save it as a plain mesh")
    bind = skin.find("bind_shape_matrix")
    return skin.get("source", ""), np.eye(4) if bind is None else read_floats(bind, 16).reshape(4, 4)


def _bindings(instance: Element) -> dict[str, str]:
    bound = instance.iterfind("bind_material/technique_common/instance_material")
    return {material.get("symbol", ""): material.get("target", "").removeprefix("#") for material in bound}


def _node_matrix(node: Element) -> np.ndarray:
    """parent_from_node (4, 4): the product of its transforms, in their order."""
    from scipy.spatial.transform import Rotation

    result = np.eye(4)
    for child in node:
        step = np.eye(4)
        if child.tag == "matrix":
            step = read_floats(child, 16).reshape(4, 4)
        elif child.tag == "translate":
            step[:3, 3] = read_floats(child, 3)
        elif child.tag == "scale":
            step[:3, :3] = np.diag(read_floats(child, 3))
        elif child.tag == "rotate":
            *axis, degrees = read_floats(child, 4)
            length = float(np.linalg.norm(axis))
            turn = np.array(axis) * (np.deg2rad(degrees) / length if length > 0.0 else 0.0)
            step[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
        elif child.tag in ("lookat", "skew"):
            raise ValueError(f"a transform by {child.tag}, which is not read")
        else:
            continue
        result = result @ step
    if not np.isfinite(result).all():
        raise ValueError("a node without a finite place")
    return result


def _parts(tree: DaeTree, name: str) -> Iterator[Part]:
    """The triangles of a geometry, by material."""
    mesh = tree.named(name).find("mesh")
    for element in mesh if mesh is not None else ():
        if element.tag in _SHAPES:
            part = _read_part(tree, element)
            if part is not None:
                yield part


def _read_part(tree: DaeTree, element: Element) -> Part | None:
    where = str(tree.path)
    inputs = element.findall("input")
    offsets = [int(entry.get("offset", "0")) for entry in inputs]
    if not inputs or not all(0 <= offset < MOST_INPUTS for offset in offsets):
        raise InputError(where, f"a <{element.tag}> whose inputs make no sense", "the file is damaged")
    stride = max(offsets) + 1
    lists = [read_integers(p) for p in element.iterfind("p")]
    corners = np.concatenate(lists).reshape(-1, stride) if lists else np.zeros((0, stride), dtype=np.int64)
    sides = np.array([len(found) // stride for found in lists], dtype=np.int64)
    if element.tag == "polylist" and (vcount := element.find("vcount")) is not None:
        sides = read_integers(vcount)
    if element.tag == "triangles":
        sides = np.full(len(corners) // 3, 3)
    if sides.min(initial=0) < 0 or sides.sum() > len(corners):
        raise InputError(where, f"a <{element.tag}> with more corners than it lists", "the file is damaged")
    polygons, triangles = split_fans(where, sides)
    if element.tag == "tristrips":  # neighbours in a strip run in turn
        within = np.arange(len(triangles)) - np.searchsorted(polygons, polygons)
        first = (np.cumsum(sides) - sides)[polygons] + within
        triangles = np.column_stack([first, first + 1 + within % 2, first + 2 - within % 2])
    if len(triangles) == 0:
        return None
    columns: dict[str, np.ndarray] = {}
    faults: list[str] = []
    for entry, offset in zip(inputs, offsets, strict=True):
        kind = entry.get("semantic", "")
        if kind not in _WIDTHS or kind in columns:
            continue
        try:
            source, index = tree.array(entry.get("source", "")), corners[triangles, offset]
            if source.shape[1] < _WIDTHS[kind] or index.min() < 0 or index.max() >= len(source):
                raise ValueError(f"{kind}: a corner names element {index.max()} of {len(source)}, or it is too short")
            columns[kind] = index if kind == "VERTEX" else source[index][..., : _WIDTHS[kind]]
        except (InputError, ValueError, IndexError) as error:
            if kind == "VERTEX":
                raise
            faults.append(error.found if isinstance(error, InputError) else str(error))
    if "VERTEX" not in columns:
        raise InputError(where, f"a <{element.tag}> without vertices", "the file is damaged")
    used, faces = np.unique(columns["VERTEX"], return_inverse=True)
    faces = faces.reshape(-1, 3)
    points = tree.array(next(entry.get("source", "") for entry in inputs if entry.get("semantic") == "VERTEX"))
    color = None
    if "COLOR" in columns:
        color = np.zeros((len(used), 3))
        color[faces] = np.clip(columns["COLOR"], 0.0, 1.0)
    return Part(element.get("material", ""), points[used][:, :3], faces, color, columns.get("TEXCOORD"), tuple(faults))
