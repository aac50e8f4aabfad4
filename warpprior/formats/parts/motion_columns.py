"""Columns of a motion_v1 file that is made anew, of any recording."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bodies.body import Body, rigid_body
from warpprior.bodies.hand_parts import KEYPOINT_NAMES
from warpprior.bodies.posing import link_transforms
from warpprior.bodies.readers.urdf_writer import is_writable
from warpprior.formats.parts.parquet_row import arrow
from warpprior.formats.parts.row_contacts import MANO_LINKS, LinkContacts, frames_of_links, link_contacts
from warpprior.formats.parts.row_objects import row_of_objects
from warpprior.formats.parts.virtual_camera import into_world, still
from warpprior.formats.recording import Recording
from warpprior.io.world import CameraPath
from warpprior.scene import Poses, SceneBody
from warpprior.support.errors import InputError

# What each column of contacts is of :class:`LinkContacts`.
CONTACTS = {
    "hand_link_contact_positions": "link_positions",
    "hand_object_contact_positions": "object_positions",
    "hand_link_contact_normals": "link_normals",
    "hand_object_contact_normals": "object_normals",
    "hand_object_contact_part_ids": "parts",
    "hand_contact_active": "active",
}
_SIDES = ("left", "right")


def contact_columns(sides: list[LinkContacts | None]) -> dict[str, Any]:
    """The six columns of contacts, by side."""
    return {name: [[] if one is None else getattr(one, key) for one in sides] for name, key in CONTACTS.items()}


def fresh_columns(recording: Recording, folder: Path, options: Any) -> tuple[dict[str, tuple[Any, Any]], list[str]]:
    """Arrow types and values of all columns by name, and what is to be said; meshes are written beside them.

    Args:
        recording: hands are bodies with a side; objects are rigid, or articulated beside hands or without a file of
            their own, each link a part; an articulated body of a file without hands is a robot.
        folder: of the new files.
        options: ``contact_distance`` and ``robot_name`` of the format.

    Raises:
        InputError: there is nothing to write, or two hands of one side, or two robots.
    """
    scene, said = recording.scene, []
    path = level_world(recording, said)
    moving = [item for item in scene.bodies if not item.body.is_rigid and item.body.animation is None]
    hands = {side: [item for item in moving if item.body.side == side] for side in _SIDES}
    jointed = [item for item in moving if item.body.side is None]
    robots = [] if hands["left"] + hands["right"] else [item for item in jointed if item.source is not None]
    if any(len(found) > 1 for found in (*hands.values(), robots)):
        raise InputError(f"scene {scene.name!r}", "has two hands of one side, or two robots", "one of each")
    things = [item for item in scene.bodies if item.body.is_rigid or (item in jointed and item not in robots)]
    for item in things:
        if not item.body.is_rigid and not is_writable(item.body):
            raise InputError(f"body {item.name!r}", "has skin over several links", "links with surfaces of their own")
    objects = [part for item in things for part in ([item] if item.body.is_rigid else _links(item))]
    values = {
        "schema_version": "motion_v1",
        "sequence_id": scene.name,
        "robot_name": options.robot_name,
        "motion_kind": "single_robot" if robots else "dual_hand",
        "source_dataset": "warpprior",
        "coord_frame": "world",
        "source_kind": "mano" if any(item.body.kind == "mano" for item in moving) else "",
        "fps": scene.fps,
        **_objects(objects, path, folder),
        **_articulation(things, said),
        **_hands([item for side in _SIDES for item in hands[side]], objects, path, options.contact_distance),
        **(_robot(robots[0], path) if robots else {}),
        **_ends(robots or [item for side in _SIDES for item in hands[side]], path),
    }
    return {name: (kind, values.get(name, default)) for name, (kind, default) in _types().items()}, said


def level_world(recording: Recording, said: list[str]) -> CameraPath:
    """Poses of the camera in a world whose z axis points up, where gravity is known."""
    from scipy.spatial.transform import Rotation

    world = recording.world
    path = still(recording.scene.frame_count) if world.camera is None else world.camera
    if world.gravity is None:
        said.append("z may not point up: the direction of gravity is not known")
        return path
    turn = Rotation.align_vectors([[0.0, 0.0, -1.0]], [world.gravity])[0]
    if turn.magnitude() < 1e-6:
        return path
    return CameraPath(turn.apply(path.position), (turn * Rotation.from_quat(path.rotation)).as_quat(), path.valid)


def _objects(items: list[SceneBody], path: CameraPath, folder: Path) -> dict[str, Any]:
    from scipy.spatial.transform import Rotation

    if not items:
        return {}
    position, wxyz = row_of_objects(items, path)
    names = [item.name for item in items]
    meshes = [f"meshes/{name}.obj" for name in names]
    for item, mesh in zip(items, meshes, strict=True):
        write_obj(folder / mesh, item.body, item.initial.scale)
    radii = [float(np.linalg.norm(_around(item), axis=1).max()) for item in items]
    return {
        "object_name": names[0],
        "safe_object_name": names[0],
        "object_body_names": names,
        "safe_object_body_names": names,
        "object_mesh_paths": meshes,
        "object_mesh_radius": radii,
        "object_articulation": np.zeros(len(position)),
        "object_root_position": position[:, 0],
        "object_root_axis_angle": Rotation.from_quat(wxyz[:, 0, [1, 2, 3, 0]]).as_rotvec(),
        "object_body_position": position,
        "object_body_wxyz": wxyz,
    }


def _links(item: SceneBody) -> list[SceneBody]:
    """The links of an articulated body that have a surface, each as a rigid body."""
    from scipy.spatial.transform import Rotation

    body, still = item.body, Poses.identity(1)
    rest = link_transforms(body, replace(still, joints=np.zeros((1, body.coordinate_count))))[0].astype(np.float64)
    moved, found = link_transforms(body, item.initial).astype(np.float64), []
    for link, name in enumerate(body.link_names):
        chosen = body.faces[(body.skin_links[:, 0] == link)[body.faces].all(axis=1)]
        if not len(chosen):
            continue
        used, faces = np.unique(chosen, return_inverse=True)
        turn = Rotation.from_quat(rest[link, 3:]).inv()
        own = turn.apply(body.vertices[used].astype(np.float64) - rest[link, :3])
        part = rigid_body(f"{item.name}_{name}", own, faces.reshape(-1, 3), closed=body.closed)
        poses = Poses(moved[:, link, :3], moved[:, link, 3:], np.zeros((len(moved), 0)), scale=item.initial.scale)
        found.append(SceneBody(part, item.label, item.known, poses))
    return found


def _articulation(things: list[SceneBody], said: list[str]) -> dict[str, Any]:
    """The angle of the object's joint, where there is one object with one."""
    jointed = [item for item in things if item.body.coordinate_count]
    if len(things) == 1 and len(jointed) == 1 and jointed[0].body.coordinate_count == 1:
        return {"object_name": jointed[0].name, "object_articulation": jointed[0].initial.joints[:, 0]}
    if jointed:
        names = ", ".join(item.name for item in jointed)
        said.append(
            f"object_articulation holds one joint of one object: those of {names} are in the poses of its parts"
        )
    return {}


def _ends(items: list[SceneBody], path: CameraPath) -> dict[str, Any]:
    """End effectors: wrists of hands, or links of a robot that no other follows."""
    names, poses = [], []
    for item in items:
        body, links = item.body, link_transforms(item.body, item.initial).astype(np.float64)
        ends = [0] if body.side is not None else sorted(set(range(body.link_count)) - set(body.parents.tolist()))
        names += [f"{body.side}_wrist" if body.side is not None else body.link_names[link] for link in ends]
        position, rotation = into_world(path, links[:, ends, :3], links[:, ends, 3:])
        poses.append(np.concatenate([position, rotation[..., [3, 0, 1, 2]]], axis=2))
    return {"ee_link_names": names, "ee_pose_w": np.concatenate(poses, axis=1)} if poses else {}


def _around(item: SceneBody) -> np.ndarray:
    vertices = item.initial.scale * item.body.vertices.astype(np.float64)
    return vertices - vertices.mean(axis=0)


def _hands(items: list[SceneBody], objects: list[SceneBody], path: CameraPath, reach: float) -> dict[str, Any]:
    if not items:
        return {}
    frames, contacts, links = [], [], []
    for item in items:
        poses = frames_of_links(item)
        position, rotation = into_world(path, poses[..., :3], poses[..., 3:])
        frames.append(np.concatenate([position, rotation[..., [3, 0, 1, 2]]], axis=2))
        named = list(MANO_LINKS) if item.body.keypoints is not None else list(item.body.link_names)
        found = link_contacts(item, objects, named, path, reach)
        contacts.append(found)
        links.append(named if found is not None else [])
    robots = [item.body.kind == "urdf" for item in items]
    return {
        "hand_sides": [item.body.side for item in items],
        "hand_frame_names": [
            list(item.body.link_names if item.body.keypoints is None else KEYPOINT_NAMES) for item in items
        ],
        "hand_frames_w": frames,
        "hand_finger_joint_names": [
            list(item.body.coordinate_names) if robot else [] for item, robot in zip(items, robots, strict=True)
        ],
        "hand_finger_joints": [item.initial.joints if robot else [] for item, robot in zip(items, robots, strict=True)],
        "hand_contact_link_names": links,
        **contact_columns(contacts),
    }


def _robot(item: SceneBody, path: CameraPath) -> dict[str, Any]:
    position, rotation = into_world(path, item.initial.position, item.initial.rotation)
    return {
        "robot_joint_names": list(item.body.coordinate_names),
        "robot_root_position": position,
        "robot_root_wxyz": rotation[:, [3, 0, 1, 2]],
        "robot_joint_positions": item.initial.joints,
    }


def _types() -> dict[str, tuple[Any, Any]]:
    """Arrow type and value where there is none, of each column."""
    pa, _ = arrow()
    text, real, whole = pa.string(), pa.float32(), pa.int32()
    names, numbers = pa.list_(text), pa.list_(real)
    places, pose = pa.list_(numbers), pa.list_(real, 7)
    by_side, poses = pa.list_(pa.list_(places)), pa.list_(pa.list_(pa.list_(pose)))
    kinds: dict[str, tuple[Any, Any]] = dict.fromkeys(
        ("schema_version", "sequence_id", "robot_name", "motion_kind", "source_dataset", "raw_motion_file",
         "coord_frame", "source_kind"), (text, ""))  # fmt: skip
    kinds |= {"fps": (real, 0.0), "source_payload": (pa.binary(), b""), "source_joint_names": (names, [])}
    kinds |= {"robot_joint_names": (names, []), "robot_root_position": (places, []), "robot_root_wxyz": (places, [])}
    kinds |= {
        "robot_joint_positions": (places, []),
        "ee_link_names": (names, []),
        "ee_pose_w": (pa.list_(pa.list_(pose)), []),
    }
    kinds |= {"hand_sides": (names, []), "hand_frame_names": (pa.list_(names), []), "hand_frames_w": (poses, [])}
    kinds |= {"hand_finger_joint_names": (pa.list_(names), []), "hand_finger_joints": (pa.list_(places), [])}
    kinds |= {"object_name": (text, ""), "safe_object_name": (text, "")}
    texts = "object_body_names", "safe_object_body_names", "object_mesh_paths", "object_urdf_paths"
    kinds |= dict.fromkeys(texts, (names, []))
    kinds |= {"object_mesh_radius": (numbers, []), "object_articulation": (numbers, [])}
    kinds |= dict.fromkeys(("object_root_axis_angle", "object_root_position"), (places, []))
    kinds |= dict.fromkeys(("object_body_position", "object_body_wxyz"), (pa.list_(places), []))
    kinds |= {"hand_contact_link_names": (pa.list_(names), [])}
    kinds |= dict.fromkeys(list(CONTACTS)[:4], (by_side, []))
    kinds |= {"hand_object_contact_part_ids": (pa.list_(pa.list_(pa.list_(whole))), [])}
    kinds |= {"hand_contact_active": (places, [])}
    kinds |= {"ik_error_per_frame": (numbers, []), "ik_num_iterations": (pa.list_(whole), [])}
    kinds |= {"frame_task_errors": (places, [])}
    return kinds


def write_obj(target: Path, body: Body, scale: float = 1.0) -> None:
    """The surface of a body at rest as a Wavefront OBJ file, in metres."""
    lines = ["v {:.9g} {:.9g} {:.9g}".format(*place) for place in (scale * body.vertices.astype(np.float64)).tolist()]
    lines += ["f {} {} {}".format(*face) for face in (body.faces + 1).tolist()]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(lines) + "\n", encoding="ascii")
