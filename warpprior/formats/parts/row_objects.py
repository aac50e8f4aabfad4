"""Objects of video_to_data's parquet files: the parts of one object, each with a mesh and poses in the world."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from warpprior.bodies.body import Body
from warpprior.bodies.readers.mesh import read_mesh
from warpprior.formats.parts.motion import complete, filled
from warpprior.formats.parts.own_files import leads_out
from warpprior.formats.parts.parquet_row import ParquetRow
from warpprior.formats.parts.row_parts import RowParts, put_together
from warpprior.formats.parts.virtual_camera import into_camera, into_world
from warpprior.io.rotations import read_rotations
from warpprior.io.world import CameraPath
from warpprior.scene import SceneBody
from warpprior.support.errors import InputError

if TYPE_CHECKING:
    from warpprior.formats.parts.row_recording import RowOptions

_UNITS = {0.01: "centimetres", 0.001: "millimetres"}
_ABOVE = 5  # folders above the file in which paths of meshes are looked for
_WRONG_ORDER = 0.3, 0.9  # of quaternions: the first value never beyond, the last one beyond in all frames


@dataclass(frozen=True, eq=False)
class RowObjects:
    """Poses of the parts of an object in the world, as the file has them.

    Attributes:
        names: of the parts.
        position: (frame, part, 3) [m].
        rotation: (frame, part, 4) xyzw.
        meshes: paths of their meshes, as stated.
        radii: of their meshes, as stated [m]; None where they are not.
        whole: name of the object that they are parts of.
        angles: of its joint, as stated (frame,) [rad], or None.
    """

    names: list[str]
    position: np.ndarray
    rotation: np.ndarray
    meshes: list[str]
    radii: np.ndarray | None
    whole: str = "object"
    angles: np.ndarray | None = None

    @property
    def frame_count(self) -> int:
        return len(self.position)


def read_row_objects(row: ParquetRow, notes: list[str]) -> RowObjects | None:
    """The object of a file; None where it has none.

    Raises:
        InputError: columns that do not fit each other.
    """
    position = row.array("object_body_position", (None, None, 3))
    if position is None:
        return None
    frames, parts = position.shape[:2]
    stored = row.needed("object_body_wxyz", (frames, parts, 4))
    rotation = np.stack(
        [xyzw_of(stored[:, part], f"{row.place('object_body_wxyz')}, part {part}", notes) for part in range(parts)],
        axis=1,
    )
    names = row.texts("object_body_names") or row.texts("safe_object_body_names")
    names = names or [f"object{part}" if parts > 1 else "object" for part in range(parts)]
    meshes, radii = row.texts("object_mesh_paths"), row.array("object_mesh_radius", (None,))
    for what, count in (("object_body_names", len(names)), ("object_mesh_paths", len(meshes))):
        if count != parts:
            raise InputError(row.place(what), f"has {count} entries", f"needs {parts}, as object_body_position has")
    radii = radii if radii is not None and len(radii) == parts else None
    whole, angles = row.text("object_name") or "object", row.array("object_articulation", (None,))
    if angles is not None and len(angles) != frames:
        raise InputError(row.place("object_articulation"), f"has {len(angles)} frames", f"{frames}, as its parts")
    return RowObjects(names, position, rotation, meshes, radii, whole, angles)


def xyzw_of(stored: np.ndarray, where: str, notes: list[str]) -> np.ndarray:
    """Quaternions xyzw of wxyz (frame, 4), with a note where the writer of these files would have refused them:

    the first value is small and the last one near one in all frames, which half a turn about z is, and no turn in
    another order.
    """
    small, large = _WRONG_ORDER
    sound = stored[complete(stored)]
    if len(sound) and np.abs(sound[:, 0]).max() < small and np.abs(sound[:, 3]).min() > large:
        notes.append(f"{where}: half a turn about z in all frames; no turn at all if these are x, y, z, w")
    rotation = read_rotations(stored[:, [1, 2, 3, 0]], where, where, notes)
    if np.isnan(rotation).any():
        raise InputError(where, "has quaternions of zeros", "needs a rotation in every frame")
    return rotation


def body_name(text: str) -> str:
    """A name that a body may have."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_") or "object"
    return name if not name[0].isdigit() else f"object_{name}"


def scene_objects(
    found: RowObjects, path: CameraPath, row: ParquetRow, options: RowOptions, notes: list[str]
) -> RowParts:
    """The parts as bodies in the camera's frame.

    Args:
        found: what the file says.
        path: of the camera.
        row: the file.
        options: ``meshes``: in which folder meshes are looked for, None: the file's and those above it; ``mesh_scale``:
            metres per unit of the meshes, None finds it by the stated radius; ``parts``: how they hang together.
        notes: what was guessed is appended.
    """
    taken, items = set(), []
    for part, (text, stated) in enumerate(zip(found.names, found.meshes, strict=True)):
        name = body_name(text)
        name = name if name not in taken else f"{name}_{part + 1}"
        taken.add(name)
        mesh = find_mesh(stated, row.path, options.meshes, text)
        radius = None if found.radii is None else float(found.radii[part])
        body = _metric(mesh, name, radius, options.mesh_scale, notes)
        notes += [f"{mesh.name}: {warning}" for warning in body.warnings]
        position, rotation = into_camera(path, found.position[:, part], found.rotation[:, part])
        poses = filled(row.path, name, position, rotation, np.ones(found.frame_count, dtype=bool), notes)
        items.append(SceneBody(body, part + 1, False, poses, source=mesh))
    return put_together(str(row.path), body_name(found.whole), items, found.angles, options.parts, notes)


def find_mesh(stated: str, file: Path, folder: Path | None, name: str) -> Path:
    """The mesh file that a stated path means, which somebody else wrote: below a folder that is named or near the file.

    Raises:
        InputError: it is not there.
    """
    parts = [part for part in Path(stated).parts if part not in ("..", ".", "/")]
    above = file.absolute().parents
    roots = [folder.absolute()] if folder is not None else list(above[: min(_ABOVE, max(1, len(above) - 2))])
    for root in roots:
        for start in range(len(parts)):
            path = root.joinpath(*parts[start:])
            if parts and path.is_file() and not leads_out(path, root):
                return path
    where = str(folder) if folder is not None else f"the folders above {file.name}"
    raise InputError(
        f"mesh of {name}", f"{stated[:80] or 'no path'} is not in {where}", "name their folder: --meshes DIR"
    )


def _metric(mesh: Path, name: str, radius: float | None, scale: float | None, notes: list[str]) -> Body:
    """The mesh in metres."""
    if scale is None and radius is not None and radius > 0.0:
        from warpprior.bodies.readers.mesh import read_surface

        vertices = read_surface(mesh).vertices
        reach = float(np.linalg.norm(vertices - vertices.mean(axis=0), axis=1).max())
        scale = next((unit for unit in _UNITS if 0.4 < unit * reach / radius < 2.5), None)
        if scale is not None:
            notes.append(f"{mesh.name}: taken for {_UNITS[scale]}, by the stated radius of {radius:.3g} m")
    return read_mesh(mesh, name, scale=1.0 if scale is None else scale)


def row_of_objects(items: list[SceneBody], path: CameraPath) -> tuple[np.ndarray, np.ndarray]:
    """Positions (frame, part, 3) and quaternions wxyz (frame, part, 4) in the world."""
    position = np.stack([item.initial.position for item in items], axis=1)
    rotation = np.stack([item.initial.rotation for item in items], axis=1)
    position, rotation = into_world(path, position, rotation)
    return position, rotation[..., [3, 0, 1, 2]]


def changed_objects(
    row: ParquetRow, found: RowObjects, made: RowParts, items: list[SceneBody], path: CameraPath
) -> dict[str, np.ndarray]:
    """Columns of the objects in new poses; roots go along with the first part.

    Args:
        row, found: the file, and what it says.
        made: the bodies that were made of it.
        items: those bodies in new poses.
        path: of the camera.
    """
    from scipy.spatial.transform import Rotation

    position, wxyz = row_of_objects(made.moved(items), path)
    wxyz = np.where(np.sum(wxyz[..., [1, 2, 3, 0]] * found.rotation, axis=-1, keepdims=True) < 0.0, -wxyz, wxyz)
    new = {"object_body_position": position, "object_body_wxyz": wxyz}
    angles = made.angles(items)
    if angles is not None:
        new["object_articulation"] = angles
    rotation = wxyz[..., [1, 2, 3, 0]]
    root, turn = row.array("object_root_position", (None, 3)), row.array("object_root_axis_angle", (None, 3))
    if root is not None and turn is not None and len(root) == len(turn) == found.frame_count:
        before, after = Rotation.from_quat(found.rotation[:, 0]), Rotation.from_quat(rotation[:, 0])
        moved = after * before.inv()
        new["object_root_position"] = position[:, 0] + moved.apply(root - found.position[:, 0])
        turned = (moved * Rotation.from_rotvec(turn)).as_rotvec()
        new["object_root_axis_angle"] = _near(turned, turn)
    return new


def _near(vectors: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Rotation vectors (frame, 3), each by whole turns nearest to another that may exceed half a turn."""
    angle = np.linalg.norm(vectors, axis=1, keepdims=True)
    axis = np.where(angle > 1e-9, vectors / np.maximum(angle, 1e-9), 0.0)
    other = np.where(angle > 1e-9, axis * (angle - 2.0 * np.pi), vectors)
    closer = np.linalg.norm(other - like, axis=1) < np.linalg.norm(vectors - like, axis=1)
    return np.where(closer[:, None], other, vectors)
