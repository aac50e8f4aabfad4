"""Articulated bodies from URDF files: revolute, continuous, prismatic and fixed joints, mimics and limits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from warpprior.bodies.body import Body, JointType
from warpprior.bodies.readers.kinds import BodyKind, BodySource, BodyTarget
from warpprior.bodies.readers.link_tree import Joint, assemble, listed, sort_links
from warpprior.bodies.readers.mesh_files.companions import named_files
from warpprior.bodies.readers.safe_xml import read_xml
from warpprior.bodies.readers.urdf_dynamics import read_dynamics
from warpprior.bodies.readers.urdf_geometry import (
    ShapeReader,
    find_mesh,
    read_color,
    read_numbers,
    read_origin,
)
from warpprior.bodies.readers.urdf_root import ROOT_TYPES, joint_end, place_freely
from warpprior.bodies.repair import MAX_FACES, UNPAINTED, Surface
from warpprior.bodies.simplify import LEAST_ERROR, MOST_ERROR, allowed_error, simplify_links
from warpprior.support.errors import InputError
from warpprior.support.limits import RANGE
from warpprior.support.progress import Progress

SIZE_HINT = "write the URDF in metres; scale a mesh with <mesh scale=...>"
JOINT_TYPES = {
    "revolute": JointType.HINGE,
    "continuous": JointType.HINGE,
    "prismatic": JointType.SLIDE,
    "fixed": JointType.FIXED,
}


def read_urdf(
    path: Path | str,
    name: str,
    *,
    mesh_folder: Path | str | None = None,
    simplify: bool | float = True,
    progress: Progress | None = None,
) -> Body:
    """An articulated body from a URDF file; its frame is that of the root link.

    A floating or planar joint that leads from empty links to the whole robot is its pose, and those links are left out;
    the plane of a planar one is not kept, which is a warning.  Links keep their own visual shapes, or their collision
    shapes where there are no visual ones.  The joint coordinates are the moving joints that mimic no other, in the
    order of the file.  Masses, inertia and what limits and brakes joints are kept for physics engines.

    Args:
        path: the file.
        name: name of the body.
        mesh_folder: every mesh must lie in it or below; the file's own folder by default.
        simplify: how far the surface may be from what the file has, for fewer faces [m]; True: 0.2 mm where it has more
            than 40,000 faces; False: not at all.  What was done is a warning of the body.
        progress: called while that goes on, with faces done, faces in all, and what is being done.

    Raises:
        InputError: damaged XML, a document type, joints that do not form one tree, a joint type, mimic or number that
            is not accepted (naming the joint or link), a floating or planar joint elsewhere, missing meshes (all of
            them), meshes outside the folder.
    """
    path, error = Path(path), allowed_error(f"{name}: simplify", simplify)
    robot = read_xml(path, "a URDF file")
    if robot.tag != "robot":
        raise InputError(str(path), f"its root element is <{robot.tag[:60]}>", "give a URDF file: <robot>")
    if any(element.tag.startswith("xacro:") for element in robot.iter()):
        raise InputError(str(path), "holds xacro macros", "expand them first: xacro robot.urdf.xacro > robot.urdf")
    warnings: list[str] = []
    links = _named(path, robot, "link")
    elements = place_freely(path, links, _named(path, robot, "joint"), warnings)
    joints = {key: _read_joint(path, element, warnings) for key, element in elements.items()}
    order = sort_links(str(path), links, joints)
    folder = path.parent if mesh_folder is None else Path(mesh_folder)
    surfaces = _read_shapes(path, folder, robot, {link: links[link] for link, _ in order}, warnings)
    said = read_dynamics(
        {link: links[link] for link, _ in order},
        [joint and elements[joint.name] for _, joint in order],
        surfaces,
        warnings,
    )
    if error is not None:
        surfaces = simplify_links(surfaces, error, warnings, always=simplify is not True, progress=progress)
    body = replace(assemble(str(path), name, order, joints, surfaces, warnings, size_hint=SIZE_HINT), dynamics=said)
    return body if simplify is True else replace(body, keys={"simplify": simplify})


def _named(path: Path, robot: ElementTree.Element, tag: str) -> dict[str, ElementTree.Element]:
    """Direct children of that tag by name."""
    found: dict[str, ElementTree.Element] = {}
    for element in robot.findall(tag):
        key = element.get("name", "")
        if not key or key in found:
            what = f"two {tag}s are called {key!r}" if key else f"a {tag} without a name"
            raise InputError(str(path), what, f"give every {tag} its own name")
        found[key] = element
    return found


def _read_joint(path: Path, element: ElementTree.Element, warnings: list[str]) -> Joint:
    name = element.get("name", "")
    where = f"{path}, joint {name!r}"
    kind = element.get("type", "")
    if kind not in JOINT_TYPES:
        accepted = f"accepted types: {', '.join(JOINT_TYPES)}, and at the root {' and '.join(ROOT_TYPES)}"
        raise InputError(where, f"type {kind[:60]!r}", accepted)
    ends = {end: joint_end(element, end) for end in ("parent", "child")}
    for end, link in ends.items():
        if not link:
            raise InputError(where, f"has no {end} link", f'give <{end} link="..."/>')
    axis = np.array([1.0, 0.0, 0.0])
    joint_type = JOINT_TYPES[kind]
    if joint_type != JointType.FIXED and (found := element.find("axis")) is not None:
        axis = read_numbers(where, found, "xyz", 3, default=(1.0, 0.0, 0.0))
    length = np.linalg.norm(np.clip(axis, -1e9, 1e9))
    if not 1e-6 <= length <= 1e6:
        found = "its axis has no length" if length < 1e-6 else f"its axis has length {length:.4g}"
        raise InputError(where, found, "give the axis as a unit vector")
    if abs(length - 1.0) > 1e-3:
        warnings.append(f"joint {name!r}: its axis has length {length:.4g}; it was brought to unit length")
    lower, upper = -np.inf, np.inf
    if kind in ("revolute", "prismatic"):
        limit = element.find("limit")
        if limit is None or (limit.get("lower") is None and limit.get("upper") is None):
            warnings.append(f"joint {name!r}: has no limits; it may move without bound")
        else:
            lower, upper = (float(read_numbers(where, limit, n, 1, default=(0.0,))[0]) for n in ("lower", "upper"))
            if lower > upper:
                raise InputError(where, f"lower limit {lower} exceeds upper limit {upper}", "give lower <= upper")
    source, gain, bias = name, 1.0, 0.0
    mimic = element.find("mimic")
    if mimic is not None and joint_type != JointType.FIXED:
        source = mimic.get("joint", "")
        if source == name:
            raise InputError(where, "mimics itself", "mimic a joint that moves by itself")
        gain = float(read_numbers(where, mimic, "multiplier", 1, default=(1.0,))[0])
        bias = float(read_numbers(where, mimic, "offset", 1, default=(0.0,))[0])
    return Joint(
        name=name,
        parent=ends["parent"],
        child=ends["child"],
        type=joint_type,
        origin=read_origin(where, element),
        axis=axis / length,
        lower=lower,
        upper=upper,
        source=source,
        gain=gain,
        bias=bias,
    )


def _read_shapes(
    path: Path,
    folder: Path,
    robot: ElementTree.Element,
    links: dict[str, ElementTree.Element],
    warnings: list[str],
) -> dict[str, list[Surface]]:
    """Surfaces of each link in its own frame [m], repaired."""
    materials: dict[str, np.ndarray | str] = {}
    # Those of the robot first; one that a link defines may be named by any other.
    for material in [*robot.findall("material"), *robot.iterfind("link/visual/material")]:
        color = read_color(material)
        if color is not None:
            materials.setdefault(material.get("name", ""), color)
    shapes = [(link, f"{path}, link {link!r}", shape) for link, element in links.items() for shape in _drawn(element)]
    reader = ShapeReader(path, folder, materials)
    reader.check_meshes([(where, shape) for _, where, shape in shapes])
    surfaces: dict[str, list[Surface]] = {link: [] for link in links}
    total = 0
    for link, where, shape in shapes:
        surface = reader.read(where, shape)
        total += len(surface.faces)
        if total > MAX_FACES:
            raise InputError(str(path), f"more than {MAX_FACES} faces", f"simplify it to at most {MAX_FACES}")
        surfaces[link].append(surface)
    if total == 0:
        raise InputError(str(path), "no link has a shape", "give at least one link a visual or collision geometry")
    warnings += reader.color_warnings()
    bare = [link for link, found in surfaces.items() if any(surface.colors is None for surface in found)]
    if bare and any(surface.colors is not None for found in surfaces.values() for surface in found):
        warnings.append(f"{len(bare)} links have shapes without a colour; they are grey ({UNPAINTED}): {listed(bare)}")
    return surfaces


@dataclass(frozen=True)
class UrdfKeys:
    """Keys of a robot in ``scene.toml``: ``simplify`` is whether, or how far [m], its surface may be simplified."""

    simplify: bool | float = field(default=True, metadata={RANGE: (LEAST_ERROR, MOST_ERROR)})


class UrdfKind(BodyKind):
    """A robot; its file is copied with the meshes that it names, which keep their places."""

    name = "urdf"
    Keys = UrdfKeys

    def read(self, source: BodySource) -> tuple[Body, None]:
        """The robot; its meshes must lie in the topmost folder below the scene folder that holds its file."""
        folder, simplify = model_root(source.folder, source.file), source.keys.simplify
        body = read_urdf(source.file, source.name, mesh_folder=folder, simplify=simplify, progress=source.progress)
        return body, None

    def write(self, body: Body, target: BodyTarget) -> dict[str, Any]:
        """The file and its meshes, in a folder of their own; written anew where the body came without a file."""
        from warpprior.bodies.readers.urdf_writer import is_writable, write_urdf

        if target.source is None and is_writable(body):
            return {"path": write_urdf(body, target.folder / target.stem).relative_to(target.folder).as_posix()}
        which = " with joints that follow others or turn as balls" if target.source is None else ""
        source, origin = target.source_file(body, which=which), target.origin
        root = source.parent
        if origin is not None and source.is_relative_to(origin.resolve()):
            root = model_root(origin, source)
        copy = _copy_with_meshes(source, root, target.folder / target.stem)
        return {"path": copy.relative_to(target.folder).as_posix(), **body.keys}


KIND = UrdfKind()


def model_root(folder: Path, model: Path) -> Path:
    """The folder a model's own files must lie in: the topmost one below the scene folder that holds the model.

    Robots often come as ``robot/urdf/robot.urdf`` with meshes in ``robot/meshes``.
    """
    parts = model.relative_to(os.path.realpath(folder)).parts
    return model.parents[len(parts) - 2] if len(parts) > 1 else model.parent


def _drawn(link: ElementTree.Element) -> list[ElementTree.Element]:
    """The shapes of a link that are its surface."""
    return link.findall("visual") or link.findall("collision")


def _mesh_files(source: Path, root: Path) -> Iterator[Path]:
    """Meshes below the root that a URDF names; InputError where one that is drawn is elsewhere."""
    for link in read_xml(source, "a URDF file").iter("link"):
        drawn = [mesh for shape in _drawn(link) for mesh in shape.iter("mesh")]
        for mesh in link.iter("mesh"):
            try:
                file = find_mesh(f"{source}, link {link.get('name', '')!r}", source, root, mesh.get("filename", ""))
            except InputError:
                if mesh in drawn:
                    raise
                continue
            if file is not None:
                yield file


def _copy_with_meshes(source: Path, root: Path, target: Path) -> Path:
    """Copy a URDF file, what it names and what that names, keeping their places; the path of the copy."""
    meshes = [*_mesh_files(source, root)]
    others = [file for mesh in meshes for file in named_files(mesh) if file.is_relative_to(root)]
    for origin in dict.fromkeys([source, *meshes, *others]):
        copy = target / origin.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(origin, copy)
    return target / source.relative_to(root)
