"""Articulated bodies as URDF files of their own, for bodies that no file was read for."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from warpprior.bodies.body import Body, JointType
from warpprior.bodies.mass import MassProperties

_TYPES = {JointType.HINGE: "revolute", JointType.SLIDE: "prismatic", JointType.FIXED: "fixed"}


def is_writable(body: Body) -> bool:
    """Can a body be written: every vertex follows one link, and each joint moves by itself?"""
    own = body.coordinate_starts[body.coordinate_starts >= 0]
    plain = bool((body.coordinate_gains == 1.0).all() and not body.coordinate_biases.any())
    kinds = all(JointType(int(kind)) in _TYPES for kind in body.joint_types[1:])
    return body.skin_links.shape[1] == 1 and plain and kinds and len(set(own.tolist())) == len(own) and not body.keys


def write_urdf(body: Body, folder: Path) -> Path:
    """Write a body whose vertices each follow one link as a URDF file and an OBJ file for each link; the URDF's path.

    Args:
        body: links joined by hinges, slides and fixed joints.
        folder: is made.
    """
    from scipy.spatial.transform import Rotation

    folder.mkdir(parents=True)
    robot = ElementTree.Element("robot", name=body.name)
    rest = np.tile(np.eye(4), (len(body.link_names), 1, 1))
    for number, name in enumerate(body.link_names):
        link = ElementTree.SubElement(robot, "link", name=name)
        parent, offset = int(body.parents[number]), body.joint_offsets[number].astype(np.float64)
        if parent >= 0:
            here = np.eye(4)
            here[:3, :3], here[:3, 3] = Rotation.from_quat(offset[3:]).as_matrix(), offset[:3]
            rest[number] = rest[parent] @ here
            _add_joint(robot, body, number, offset)
        if body.dynamics is not None and (mass := body.dynamics.masses[number]) is not None:
            _add_inertial(link, mass)
        chosen = (body.skin_links[:, 0] == number)[body.faces].all(axis=1)
        if chosen.any():
            file = f"link_{number}.obj"
            _write_obj(body, rest[number], body.faces[chosen], folder / file)
            shape = ElementTree.SubElement(ElementTree.SubElement(link, "visual"), "geometry")
            ElementTree.SubElement(shape, "mesh", filename=file)
    path = folder / "body.urdf"
    ElementTree.ElementTree(robot).write(path, encoding="utf-8", xml_declaration=True)
    return path


def _add_joint(robot: ElementTree.Element, body: Body, number: int, offset: np.ndarray) -> None:
    from scipy.spatial.transform import Rotation

    start = int(body.coordinate_starts[number])
    name = body.coordinate_names[start] if start >= 0 else f"to_{body.link_names[number]}"
    kind = _TYPES[JointType(int(body.joint_types[number]))]
    limited = start >= 0 and np.isfinite([body.lower[start], body.upper[start]]).all()
    kind = "continuous" if kind == "revolute" and not limited else kind
    joint = ElementTree.SubElement(robot, "joint", name=name, type=kind)
    ElementTree.SubElement(joint, "parent", link=body.link_names[int(body.parents[number])])
    ElementTree.SubElement(joint, "child", link=body.link_names[number])
    turn = Rotation.from_quat(offset[3:]).as_euler("xyz")
    ElementTree.SubElement(joint, "origin", xyz=_words(offset[:3]), rpy=_words(turn))
    if start >= 0:
        ElementTree.SubElement(joint, "axis", xyz=_words(body.joint_axes[number]))
    if limited:
        lower, upper = (f"{limits[start]:.9g}" for limits in (body.lower, body.upper))
        limit = {"lower": lower, "upper": upper} | _forces(body, number, ("effort", "velocity"))
        ElementTree.SubElement(joint, "limit", limit)
    braked = _forces(body, number, ("damping", "friction"))
    if any(value != "0" for value in braked.values()):
        ElementTree.SubElement(joint, "dynamics", braked)


def _forces(body: Body, number: int, words: tuple[str, str]) -> dict[str, str]:
    """What is known of the joint that leads to a link; 0 where nothing is."""
    forces = None if body.dynamics is None else body.dynamics.forces
    values = {word: np.nan if forces is None else float(getattr(forces, word)[number]) for word in words}
    return {word: "0" if np.isnan(value) else f"{value:.9g}" for word, value in values.items()}


def _add_inertial(link: ElementTree.Element, mass: MassProperties) -> None:
    from scipy.spatial.transform import Rotation

    element = ElementTree.SubElement(link, "inertial")
    turn = Rotation.from_quat(mass.axes).as_euler("xyz")
    ElementTree.SubElement(element, "origin", xyz=_words(mass.center), rpy=_words(turn))
    ElementTree.SubElement(element, "mass", value=f"{mass.mass:.9g}")
    moments = {f"i{axis}{axis}": f"{moment:.9g}" for axis, moment in zip("xyz", mass.moments, strict=True)}
    ElementTree.SubElement(element, "inertia", moments | dict.fromkeys(("ixy", "ixz", "iyz"), "0"))


def _words(values: np.ndarray) -> str:
    return " ".join(f"{float(value):.9g}" for value in values)


def _write_obj(body: Body, place: np.ndarray, faces: np.ndarray, path: Path) -> None:
    """A part of the surface in its link's frame."""
    used, faces = np.unique(faces, return_inverse=True)
    points = (body.vertices[used].astype(np.float64) - place[:3, 3]) @ place[:3, :3]
    columns = [points] if body.colors is None else [points, body.colors[used]]
    rows = ("v " + _words(row) for row in np.concatenate(columns, axis=1))
    corners = ("f {} {} {}".format(*(face + 1)) for face in faces.reshape(-1, 3))
    path.write_text("\n".join([*rows, *corners, ""]), encoding="ascii", newline="\n")
