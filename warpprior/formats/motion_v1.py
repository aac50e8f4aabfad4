"""``motion_v1``: one sequence of hands or of a robot with an object, as video_to_data's retargeting stores it.

One parquet file of one row, poses in the world as x, y, z, qw, qx, qy, qz
(robotic_grounding/motion_schema/{schema,writer}.py, state of June 2026).  Normals of objects at contacts point into
them.  ``source_payload`` is a pickle, which is carried along and never opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from warpprior.bodies.hand_parts import KEYPOINT_NAMES
from warpprior.bodies.readers.hand import read_hand
from warpprior.bodies.readers.urdf import read_urdf
from warpprior.formats.format import Format
from warpprior.formats.parts.frame_names import keypoint_rows
from warpprior.formats.parts.hand_records import side_in
from warpprior.formats.parts.motion import filled
from warpprior.formats.parts.motion_columns import contact_columns, fresh_columns
from warpprior.formats.parts.parquet_row import ParquetRow, find_row_file, write_row
from warpprior.formats.parts.row_contacts import LinkContacts, link_contacts
from warpprior.formats.parts.row_frames import LinkMotion
from warpprior.formats.parts.row_objects import (
    changed_objects,
    read_row_objects,
    scene_objects,
    xyzw_of,
)
from warpprior.formats.parts.row_parts import RowParts
from warpprior.formats.parts.row_recording import RowOptions, recognised_by, row_recording
from warpprior.formats.parts.virtual_camera import into_camera, points_into_camera
from warpprior.formats.recording import Recording
from warpprior.io.standing_camera import standing_camera
from warpprior.io.world import CameraPath
from warpprior.scene import SceneBody
from warpprior.support.errors import InputError
from warpprior.support.options import option

VERSION = "motion_v1"
SIDES = ("left", "right")
FEWEST_KEYPOINTS = 11  # of 21, from which our hand is fitted


@dataclass(frozen=True)
class MotionOptions(RowOptions):
    """Options of ``motion_v1``."""

    urdf: Path | None = option("URDF file of the whole robot", metavar="FILE")
    urdf_left: Path | None = option("URDF file of the left robot hand", metavar="FILE")
    urdf_right: Path | None = option("URDF file of the right robot hand", metavar="FILE")
    estimate_robot: bool = option("estimate a whole robot, which is known otherwise, and write it back", False)
    robot_name: str = option("name of the hands or robot, where a file is made anew", "hands", metavar="NAME")


class MotionFormat(Format):
    """motion_v1 parquet files."""

    name = "motion_v1"
    sizes = "and its mesh is written in that size"
    title = "a motion_v1 parquet file of NVIDIA video_to_data, or a folder of them"
    reads = (
        "objects by their meshes, two parts on a hinge as one articulated body; hands by frames that are named as a "
        "hand's joints are (fitted), robots and robot hands with their URDF files; extra `formats`"
    )
    writes = "back in place, or anew: poses, frames, joints, contacts with positions, inward normals, parts and flags"
    verified = "files written by pyarrow in its layout; no genuine file could be had"
    Options = MotionOptions

    def recognises(self, path: Path) -> str:
        return recognised_by(path, "hand_object_contact_part_ids")

    def read(self, source: Path, options: MotionOptions) -> Recording:
        return _Reader(source, options).read()

    def write(self, recording: Recording, folder: Path, options: MotionOptions) -> tuple[str, ...]:
        origin = recording.origin
        if origin is not None and origin.format == self.name:
            return _write_back(recording, folder, options)
        name = recording.scene.name
        columns, said = fresh_columns(recording, folder, options)
        target = folder / f"sequence_id={quote(name, safe='')}" / f"robot_name={quote(options.robot_name, safe='')}"
        write_row(target / "data.parquet", columns)
        return (f"{name}: {recording.scene.frame_count} frames in {target.relative_to(folder)}", *said)


@dataclass(frozen=True, eq=False)
class _Hand:
    """One hand or robot as the file has it.

    Attributes:
        name: of the body.
        side: number of its side in the file; None for a whole robot.
        frames: names of its frames; poses (frame, k, 7), xyzw, in the world.
        joints: names of its joints; values (frame, j), or None.
    """

    name: str
    side: int | None
    frames: list[str]
    poses: np.ndarray
    joints: list[str]
    values: np.ndarray | None


class _Reader:
    """One file being read."""

    def __init__(self, source: Path, options: MotionOptions):
        self.options, self.notes = options, []
        self.row = row = ParquetRow(find_row_file(source, options.sequence, options.of_robot))
        version = row.text("schema_version")
        if version != VERSION:
            accepted = "the older form without schema_version is read by mano_sharpa"
            raise InputError(row.place("schema_version"), repr(version) if version else "is missing", accepted)
        for key in ("sequence_id", "robot_name"):
            stated = row.partitions.get(key)
            if stated is not None and key in row.names and row.text(key) != stated:
                raise InputError(row.place(key), f"is {row.text(key)!r}", f"the folder says {stated!r}")
        self.objects, self.parts = read_row_objects(row, self.notes), RowParts([], [])
        self.sides = row.texts("hand_sides")
        self.hands = self._hands()
        self.count = self._count()

    def _hands(self) -> list[_Hand]:
        row, found = self.row, []
        frames, joints = row.text_lists("hand_frame_names"), row.text_lists("hand_finger_joint_names")
        count = len(self.sides)
        poses, values = (row.sides(key, count, shape) for key, shape in _HAND_COLUMNS.items())
        for place, side in enumerate(self.sides):
            if side not in SIDES:
                raise InputError(row.place("hand_sides"), f"has {side!r}", f"one of {', '.join(SIDES)}")
            stored = poses[place]
            if stored is None:
                continue
            names = frames[place] if place < len(frames) else []
            if len(names) != stored.shape[1]:
                found_words = f"{len(names)} names for {stored.shape[1]} frames"
                raise InputError(row.place("hand_frame_names"), found_words, "a name for each frame")
            named = joints[place] if place < len(joints) else []
            found.append(_Hand(f"hand_{side}", place, names, self._xyzw(stored), named, values[place]))
        root = row.array("robot_root_position", (None, 3))
        if root is not None:
            turn = xyzw_of(row.needed("robot_root_wxyz", (len(root), 4)), row.place("robot_root_wxyz"), self.notes)
            poses_of_root = np.concatenate([root, turn], axis=1)[:, None]
            positions = row.array("robot_joint_positions", (len(root), None))
            found.append(_Hand("robot", None, [], poses_of_root, row.texts("robot_joint_names"), positions))
        return found

    def _xyzw(self, stored: np.ndarray) -> np.ndarray:
        where = self.row.place("hand_frames_w")
        frames, links = stored.shape[:2]
        rotation = xyzw_of(stored[..., 3:].reshape(-1, 4), where, self.notes).reshape(frames, links, 4)
        return np.concatenate([stored[..., :3], rotation], axis=2)

    def _count(self) -> int:
        counts = {len(hand.poses) for hand in self.hands}
        counts |= {len(hand.values) for hand in self.hands if hand.values is not None}
        counts |= {self.objects.frame_count} if self.objects is not None else set()
        if len(counts) != 1:
            raise InputError(str(self.row.path), f"has arrays of {sorted(counts) or 'no'} frames", "needs one length")
        return counts.pop()

    def read(self) -> Recording:
        row, notes, options = self.row, self.notes, self.options
        camera, path = standing_camera(self._places(), self.count)
        notes.append("no camera is in the file: one was made up that stands and sees everything")
        if self.objects is not None:
            self.parts = scene_objects(self.objects, path, row, options, notes)
        bodies = list(self.parts.items)
        keypoints: dict[str, np.ndarray] = {}
        links: set[str] = set()
        for hand in sorted(
            self.hands, key=lambda hand: hand.side is not None
        ):  # the robot first: it may have the hands
            if hand.frames and set(hand.frames) <= links:
                notes.append(f"{hand.name}: its frames are links of the robot, and go along with it")
                continue
            item = self._body(hand, len(bodies) + 1, path, keypoints)
            bodies += [] if item is None else [item]
            links |= set(item.body.link_names) if item is not None and hand.side is None else set()
        if not bodies:
            raise InputError(str(row.path), "has no object and no hand that can be read", "; ".join(notes[-2:]))
        axes = f"its coordinates ({row.text('coord_frame', 'world')})"
        return row_recording(row, camera, path, bodies, keypoints, notes, pose_sigma=options.pose_sigma, axes=axes)

    def _places(self) -> np.ndarray:
        """What a camera has to see (place, 3) [m], world."""
        found = [hand.poses[..., :3].reshape(-1, 3) for hand in self.hands]
        found += [] if self.objects is None else [self.objects.position.reshape(-1, 3)]
        return np.concatenate(found)

    def _body(self, hand: _Hand, label: int, path: CameraPath, keypoints: dict[str, np.ndarray]) -> SceneBody | None:
        file = self._urdf(hand)
        if file is not None:
            return self._robot(hand, file, label, path)
        rows = keypoint_rows(hand.frames)
        if len(rows) < FEWEST_KEYPOINTS:
            what = f"{len(rows)} of its frames are named as joints of a hand are" if hand.frames else "it is a robot"
            flag = "--urdf" if hand.side is None else f"--urdf-{self.sides[hand.side]}"
            self.notes.append(f"{hand.name} was left out: {what}, and {flag} names no URDF file")
            return None
        places = points_into_camera(path, hand.poses[..., :3])
        seen = np.zeros((self.count, len(KEYPOINT_NAMES), 4))
        for ours, theirs in rows.items():
            seen[:, ours, :3], seen[:, ours, 3] = places[:, theirs], 1.0
        keypoints[hand.name] = seen
        self.notes.append(f"{hand.name}: our own hand, fitted to {len(rows)} of its frames")
        side = hand.name.removeprefix("hand_")
        return SceneBody(read_hand(side, name=hand.name), label, False)  # its start is fitted

    def _urdf(self, hand: _Hand) -> Path | None:
        options = self.options
        return {"hand_left": options.urdf_left, "hand_right": options.urdf_right, "robot": options.urdf}[hand.name]

    def _robot(self, hand: _Hand, file: Path, label: int, path: CameraPath) -> SceneBody:
        body = read_urdf(file, hand.name)
        root = body.link_names[0]
        if hand.side is not None and root not in hand.frames:
            raise InputError(str(file), f"its root link is {root}", f"one of the frames: {', '.join(hand.frames[:6])}")
        poses = hand.poses[:, hand.frames.index(root) if hand.side is not None else 0]
        position, rotation = into_camera(path, poses[:, :3], poses[:, 3:])
        missing = [name for name in body.coordinate_names if name not in hand.joints]
        values = np.zeros((self.count, body.coordinate_count))
        if body.coordinate_count and (missing or hand.values is None or hand.values.shape[1] != len(hand.joints)):
            words = f"has no values of {', '.join(missing[:4]) or 'its joints'}"
            raise InputError(str(self.row.path), words, f"the joints of {file.name}")
        for column, name in enumerate(body.coordinate_names):
            values[:, column] = hand.values[:, hand.joints.index(name)]  # type: ignore[index]
        valid = np.ones(self.count, dtype=bool)
        known = hand.side is None and not self.options.estimate_robot
        if known:
            self.notes.append("robot: its poses are known, for its joints were commanded: --estimate-robot")
        self.notes += [f"{file.name}: {warning}" for warning in body.warnings]
        return SceneBody(
            body,
            label,
            known,
            filled(self.row.path, hand.name, position, rotation, valid, self.notes, joints=values),
            source=file,
        )


_HAND_COLUMNS = {"hand_frames_w": (None, None, 7), "hand_finger_joints": (None, None)}


def _write_back(recording: Recording, folder: Path, options: MotionOptions) -> tuple[str, ...]:
    """The file that was read, with the poses of the recording in it."""
    origin = recording.origin
    assert origin is not None, "it was read from a file"
    reader = _Reader(origin.path, options)
    recording.check_frames(reader.count, reader.row.path)
    before, path = reader.read(), recording.world.camera
    assert path is not None, "reading made one"
    row, new, said = reader.row, {}, []
    items = {item.name: item for item in recording.scene.bodies}
    first = {item.name: item for item in before.scene.bodies}
    objects = reader.parts.among(recording.scene.bodies)
    if reader.objects is not None and not all(item.known for item in objects):
        new.update(changed_objects(row, reader.objects, reader.parts, objects, path))
        said.append(f"{', '.join(item.name for item in objects if not item.known)} in {reader.count} frames")
    motions = {
        name: LinkMotion(first[name], item, path)
        for name, item in items.items()
        if name in first and name in {hand.name for hand in reader.hands} and not item.known
    }
    frames: list[Any] = [None] * len(reader.sides)
    joints: list[Any] = [None] * len(reader.sides)
    for hand in reader.hands:
        motion = motions.get(hand.name)
        if hand.side is None:
            new.update({} if motion is None else _robot_columns(row, hand, motion))
        elif motion is not None or ("robot" in motions and hand.name not in first):
            motion = motion or motions["robot"]
            frames[hand.side] = motion.frames(hand.poses, hand.frames)
            joints[hand.side] = _joint_values(hand, motion.after)
        said += [f"{hand.name} in {reader.count} frames"] if motion is not None else []
    new.update(_sides(row, "hand_frames_w", frames))
    new.update(_sides(row, "hand_finger_joints", joints))
    ends, words = _ends(reader, motions)
    new.update(ends)
    contacts, more = _new_contacts(row, reader, items, reader.parts.moved(objects), path, options)
    new.update(contacts)
    inside = row.path.relative_to(origin.path) if origin.path.is_dir() else Path(row.path.name)
    row.write(folder / inside, new)
    return (f"{inside}: {', '.join(said) or 'nothing'} written; all else is as it was", *words, *more)


def _robot_columns(row: ParquetRow, hand: _Hand, motion: LinkMotion) -> dict[str, Any]:
    """Columns of a whole robot in new poses."""
    moved = motion.root(hand.poses[:, 0])
    values = _joint_values(hand, motion.after)
    found = {"robot_root_position": moved[:, :3], "robot_root_wxyz": moved[:, 3:]}
    return found if values is None else {**found, "robot_joint_positions": values}


def _joint_values(hand: _Hand, item: SceneBody) -> np.ndarray | None:
    """Values (frame, joint) of a file's joints: those that the body has are its own, others stay; None without any."""
    columns = {name: column for column, name in enumerate(item.body.coordinate_names) if name in hand.joints}
    if hand.values is None or item.body.kind != "urdf" or not columns:
        return None
    values = hand.values.copy()
    for name, column in columns.items():
        values[:, hand.joints.index(name)] = item.initial.joints[:, column]
    return values


def _ends(reader: _Reader, motions: dict[str, LinkMotion]) -> tuple[dict[str, Any], list[str]]:
    """End effectors (frame, end, 7) moved along with what they are of, and those of which it cannot be told."""
    row = reader.row
    names, stored = row.texts("ee_link_names"), row.array("ee_pose_w", (reader.count, None, 7))
    if stored is None or not motions or len(names) != stored.shape[1]:
        return {}, []
    new, left = stored.copy(), []
    for end, name in enumerate(names):
        owner = next((hand.name for hand in reader.hands if name in hand.frames and hand.name in motions), None)
        if owner is None and "robot" in motions:
            owner = "robot"
        if owner is None:
            owner = next((key for key in motions if key == f"hand_{side_in(name)}"), None)
        if owner is None:
            left.append(name)
            continue
        poses = stored[:, end : end + 1]
        turned = np.concatenate([poses[..., :3], xyzw_of(poses[:, 0, 3:], row.place("ee_pose_w"), [])[:, None]], axis=2)
        new[:, end] = motions[owner].frames(turned, [name])[:, 0]
    said = [f"ee_pose_w of {', '.join(left)} stays: it cannot be told what it is of"] if left else []
    return {"ee_pose_w": new}, said


def _sides(row: ParquetRow, name: str, made: list[Any]) -> dict[str, Any]:
    """A column of arrays by side, those that were not made as they were; nothing where none was made."""
    if all(one is None for one in made):
        return {}
    stored = row.sides(name, len(made), _HAND_COLUMNS[name])
    return {
        name: [new if new is not None else ([] if old is None else old) for new, old in zip(made, stored, strict=True)]
    }


def _new_contacts(
    row: ParquetRow,
    reader: _Reader,
    items: dict[str, SceneBody],
    objects: list[SceneBody],
    path: CameraPath,
    options: MotionOptions,
) -> tuple[dict[str, Any], list[str]]:
    """Columns of contacts in the new poses, where the file has them, and what is to be said."""
    names = row.text_lists("hand_contact_link_names")
    if not any(names) or not objects:
        return {}, []
    robot = items.get("robot")
    sides: list[LinkContacts | None] = []
    for place, side in enumerate(reader.sides):
        item = items.get(f"hand_{side}", robot)
        linked = names[place] if place < len(names) else []
        found = None
        if item is not None and linked:
            found = link_contacts(item, objects, linked, path, options.contact_distance)
        sides.append(found)
    if any(one is None and linked for one, linked in zip(sides, names, strict=False)):
        return {}, ["contacts are those of the motion before: the hands do not have all of their links"]
    return contact_columns(sides), [f"contacts were found anew: links within {1000 * options.contact_distance:g} mm"]


FORMAT = MotionFormat()
