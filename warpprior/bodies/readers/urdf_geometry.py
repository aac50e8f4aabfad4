"""Shapes of URDF links: meshes inside the robot's folder, and primitives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np

from warpprior.bodies.primitives import make_box, make_capsule, make_cylinder, make_sphere
from warpprior.bodies.readers.mesh import READERS, read_surface
from warpprior.bodies.repair import Surface, repair_surface
from warpprior.support.errors import InputError

MOST_SAID = 4  # of what is wrong with colours
PRIMITIVES = {
    "box": (make_box, ("size",), (3,)),
    "cylinder": (make_cylinder, ("radius", "length"), (1, 1)),
    "sphere": (make_sphere, ("radius",), (1,)),
    "capsule": (make_capsule, ("radius", "length"), (1, 1)),
}


def read_numbers(where: str, element: ElementTree.Element, name: str, count: int, default=None) -> np.ndarray:
    """``count`` finite numbers of an attribute (count,).

    Raises:
        InputError: missing without a default, another number of them, or not finite.
    """
    text = element.get(name)
    if text is None and default is not None:
        return np.array(default, dtype=np.float64)
    accepted = f"give {name} = {count} finite number{'s' if count > 1 else ''}"
    if text is None:
        raise InputError(f"{where}: <{element.tag}>", f"has no {name!r}", accepted)
    try:
        values = np.array([float(word) for word in text.split()])
    except ValueError:
        values = np.array([np.nan])
    if len(values) != count or not np.isfinite(values).all():
        raise InputError(f"{where}: <{element.tag}>", f"{name} is {text[:60]!r}", accepted)
    return values


def read_origin(where: str, element: ElementTree.Element) -> np.ndarray:
    """Placement of the ``origin`` child, identity without one (4, 4): fixed-axis roll, pitch, yaw, then xyz."""
    origin = element.find("origin")
    matrix = np.eye(4)
    if origin is None:
        return matrix
    roll, pitch, yaw = read_numbers(where, origin, "rpy", 3, default=(0.0, 0.0, 0.0))
    cr, sr, cp, sp, cy, sy = (f(a) for a in (roll, pitch, yaw) for f in (np.cos, np.sin))
    matrix[:3, :3] = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    matrix[:3, 3] = read_numbers(where, origin, "xyz", 3, default=(0.0, 0.0, 0.0))
    return matrix


class ShapeReader:
    """Reads the shapes of one robot; a mesh used several times is read once.

    Args:
        urdf: the URDF file.
        folder: every mesh must lie in it or below.
        materials: by name, what :func:`read_color` gave.

    Its ``color_warnings`` say what could not be read of colours that were wanted.
    """

    def __init__(self, urdf: Path, folder: Path, materials: dict[str, np.ndarray | str]):
        self.urdf, self.folder, self.materials = urdf, folder.resolve(), materials
        self.surfaces: dict[Path, Surface] = {}
        self._colorless: dict[str, tuple[str, ...]] = {}  # what was said, by the name of the mesh or material

    def check_meshes(self, shapes: list[tuple[str, ElementTree.Element]]) -> None:
        """Every mesh of these (where, visual or collision element) must be there: all that are not, in one message.

        Raises:
            InputError: listing the missing files, or the first that lies outside the folder.
        """
        missing = []
        for where, shape in shapes:
            for mesh in shape.iterfind("geometry/mesh"):
                name = mesh.get("filename")
                if name is None:
                    raise InputError(
                        f"{where}: <mesh>", "has no filename", "give filename = a path below the robot's folder"
                    )
                if find_mesh(where, self.urdf, self.folder, name) is None and name not in missing:
                    missing.append(name)
        if missing:
            shown = ", ".join(repr(name[:120]) for name in missing[:20]) + (", ..." if len(missing) > 20 else "")
            found = f"{len(missing)} mesh file{'s are' if len(missing) > 1 else ' is'} missing: {shown}"
            raise InputError(str(self.urdf), found, f"put them below {self.folder}")

    def read(self, where: str, shape: ElementTree.Element) -> Surface:
        """Surface of a visual or collision element in the link's frame [m].

        Raises:
            InputError: no geometry, or one that is not accepted.
        """
        geometry = shape.find("geometry")
        kinds = list(geometry) if geometry is not None else []
        accepted = f"give one of mesh, {', '.join(PRIMITIVES)}"
        if len(kinds) != 1:
            raise InputError(f"{where}: <{shape.tag}>", f"has {len(kinds)} geometries", accepted)
        element = kinds[0]
        if element.tag == "mesh":
            surface = self._read_mesh(where, element)
        elif element.tag in PRIMITIVES:
            surface = _read_primitive(where, element)
        else:
            raise InputError(f"{where}: <geometry>", f"{element.tag!r} is not accepted", accepted)
        origin = read_origin(where, shape)
        color = self._color(shape)
        if color is not None:
            surface = replace(surface, colors=np.tile(color, (len(surface.vertices), 1)))
        elif surface.color_warnings:
            self._colorless[Path(element.get("filename", "")).name[-80:]] = surface.color_warnings
        return replace(surface, vertices=surface.vertices @ origin[:3, :3].T + origin[:3, 3])

    def color_warnings(self) -> list[str]:
        """What was said of the first meshes and materials, and how many more there are."""
        said = [f"{name}: {'; '.join(found)}" for name, found in self._colorless.items()]
        more = [f"so it is with {len(said) - MOST_SAID} more meshes or materials"] if len(said) > MOST_SAID else []
        return said[:MOST_SAID] + more

    def _read_mesh(self, where: str, mesh: ElementTree.Element) -> Surface:
        file = find_mesh(where, self.urdf, self.folder, mesh.get("filename", ""))
        assert file is not None  # those that are not there were refused all together
        if file.suffix.lower() not in READERS:
            found = f"{file.name!r} is not a format that is read"
            raise InputError(f"{where}: <mesh>", found, f"convert it to one of {', '.join(READERS)}")
        warnings: tuple[str, ...] = ()
        if file not in self.surfaces:
            self.surfaces[file] = repair_surface(str(file), read_surface(file))
            warnings = tuple(f"{file.name}: {warning}" for warning in self.surfaces[file].warnings)
        surface = self.surfaces[file]
        scale = read_numbers(where, mesh, "scale", 3, default=(1.0, 1.0, 1.0))
        if (scale == 0.0).any():
            raise InputError(f"{where}: <mesh>", "has a scale of 0", "give a scale other than 0 along each axis")
        faces = surface.faces[:, ::-1] if np.prod(scale) < 0.0 else surface.faces
        return replace(surface, vertices=surface.vertices * scale, faces=faces, warnings=warnings)

    def _color(self, shape: ElementTree.Element) -> np.ndarray | None:
        material = shape.find("material")
        if material is None:
            return None
        color, name = read_color(material), material.get("name", "")
        color = self.materials.get(name) if color is None else color
        if isinstance(color, np.ndarray):
            return color
        texture = material.find("texture") is not None
        why = "is a texture, which is not read" if texture else "has no colour, here or elsewhere in the file"
        self._colorless[f"material {name[:60]!r}"] = (color or why,)
        return None


def find_mesh(where: str, urdf: Path, folder: Path, name: str) -> Path | None:
    """The file that a URDF names, or None when it is not there.

    ``package://name/rest`` is looked for as ``name/rest`` and as ``rest`` below the folder.

    Args:
        where: the element, for messages.
        urdf: the URDF file.
        folder: every mesh must lie in it or below.
        name: as the file has it.

    Raises:
        InputError: it lies outside the folder.
    """
    scheme, separator, rest = name.partition("://")
    base, candidates = urdf.parent, [name]
    if separator and scheme == "package":
        rest = unquote(rest).lstrip("/")
        base, candidates = folder, [rest, rest.partition("/")[2]]
    elif separator and scheme == "file":
        candidates = [unquote(rest)]
    elif separator:
        raise InputError(f"{where}: <mesh>", f"{name[:120]!r} is not a file", "give a path below the robot's folder")
    for candidate in filter(None, candidates):
        try:
            file = (base / candidate.replace("\\", "/")).resolve()
            inside = file.is_relative_to(folder.resolve())
            there = inside and file.is_file()
        except (OSError, ValueError, RuntimeError):
            raise InputError(f"{where}: <mesh>", f"{name[:120]!r} is not a path", "give a relative path") from None
        if not inside:
            found = f"{name[:120]!r} lies outside {folder}"
            accepted = "give a folder above both as mesh_folder; in a scene, put URDF and meshes into one folder"
            raise InputError(f"{where}: <mesh>", found, accepted)
        if there:
            return file
    return None


def read_color(material: ElementTree.Element) -> np.ndarray | str | None:
    """RGB in [0, 1] of a material element, or why it cannot be read, or None where there is none."""
    color = material.find("color")
    try:
        return None if color is None else np.clip(read_numbers("", color, "rgba", 4)[:3], 0.0, 1.0)
    except InputError as error:
        return f"its colour cannot be read ({error.found})"


def _read_primitive(where: str, element: ElementTree.Element) -> Surface:
    make, names, counts = PRIMITIVES[element.tag]
    sizes = [read_numbers(where, element, name, count) for name, count in zip(names, counts, strict=True)]
    for name, size in zip(names, sizes, strict=True):
        if (size <= 0.0).any():
            raise InputError(
                f"{where}: <{element.tag}>", f"{name} is {element.get(name)!r}", f"give {name} more than 0"
            )
    return make(*(size if len(size) > 1 else float(size[0]) for size in sizes))
