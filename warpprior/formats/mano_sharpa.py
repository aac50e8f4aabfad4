"""``mano_sharpa``: the older parquet files of video_to_data's retargeting, of some 62 columns and no schema version.

Hands of MANO and of a robot beside an object, in the world
(robotic_grounding/retarget/data_logger.py, state of June 2026).  What MANO's numbers mean differs from source to
source and stands in the file: ``mano_flat_hand_mean``, and ``mano_center_idx``: 0 where ``trans`` is the wrist itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bodies.hand_parts import KEYPOINT_NAMES
from warpprior.bodies.posing import link_transforms, posed_keypoints
from warpprior.bodies.readers.hand import read_hand
from warpprior.formats.format import Format
from warpprior.formats.parts.keypoints import ORDERS, SIZES, guess_order, reordered
from warpprior.formats.parts.mano_hands import ManoHand, find_mano, hand_of
from warpprior.formats.parts.parquet_row import ParquetRow, find_row_file
from warpprior.formats.parts.row_contacts import link_contacts
from warpprior.formats.parts.row_objects import changed_objects, read_row_objects, scene_objects, xyzw_of
from warpprior.formats.parts.row_parts import RowParts
from warpprior.formats.parts.row_recording import RowOptions, recognised_by, row_recording
from warpprior.formats.parts.virtual_camera import into_camera, into_world, points_into_camera, points_into_world
from warpprior.formats.recording import Recording
from warpprior.io.standing_camera import standing_camera
from warpprior.io.world import CameraPath
from warpprior.scene import Poses, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.options import option

SIDES = ("right", "left")
_OFF_M = 0.003  # stored joints that are farther off were made with other conventions
_ACCEPTED = "needs the columns of the older parquet form; newer ones are read by motion_v1"


@dataclass(frozen=True)
class ManoSharpaOptions(RowOptions):
    """Options of ``mano_sharpa``."""

    mano: Path | None = option("folder of the MANO models (default: $WARPPRIOR_MANO)", metavar="DIR")
    hands: str = option(
        "hands of MANO by their parameters (mano), our own fitted to their joints (joints), or none",
        "mano",
        choices=("mano", "joints", "none"),
    )


class ManoSharpaFormat(Format):
    """Parquet files of 62 columns."""

    name = "mano_sharpa"
    title = "an older parquet file of NVIDIA video_to_data (62 columns), or a folder of them"
    reads = (
        "objects by their meshes, both hands of MANO by parameters, or our own fitted to their joints; extra `formats`"
    )
    writes = "back in place: MANO parameters and joints, object poses, contacts; columns of robots stay as they were"
    verified = "files written by pyarrow in its layout, joints by an independent MANO; no genuine file could be had"
    Options = ManoSharpaOptions

    def recognises(self, path: Path) -> str:
        return recognised_by(path, "mano_right_trans", "mano_left_trans")

    def read(self, source: Path, options: ManoSharpaOptions) -> Recording:
        return _Reader(source, options).read()

    def write(self, recording: Recording, folder: Path, options: ManoSharpaOptions) -> tuple[str, ...]:
        if recording.origin is None or recording.origin.format != self.name:
            raise InputError("format mano_sharpa", "is written back only", "write motion_v1, which is made anew")
        return _write_back(recording, folder, options)


class _Reader:
    """One file being read."""

    def __init__(self, source: Path, options: ManoSharpaOptions):
        self.options, self.notes = options, []
        self.row = row = ParquetRow(find_row_file(source, options.sequence, options.of_robot))
        if row.text("schema_version"):
            raise InputError(row.place("schema_version"), f"is {row.text('schema_version')!r}", _ACCEPTED)
        self.objects, self.parts = read_row_objects(row, self.notes), RowParts([], [])
        self.sides = [side for side in SIDES if row.array(f"mano_{side}_trans", (None, 3)) is not None]
        self.places = {side: row.array(f"mano_{side}_joints", (None, 21, 3)) for side in self.sides}
        counts = {len(row.needed(f"mano_{side}_trans", (None, 3))) for side in self.sides}
        counts |= set() if self.objects is None else {self.objects.frame_count}
        if len(counts) != 1:
            raise InputError(str(row.path), f"has arrays of {sorted(counts) or 'no'} frames", _ACCEPTED)
        self.count = counts.pop()
        self.camera, self.path = standing_camera(self._seen(), self.count)

    def _seen(self) -> np.ndarray:
        found = [self.row.needed(f"mano_{side}_trans", (self.count, 3)) for side in self.sides]
        found += [] if self.objects is None else [self.objects.position.reshape(-1, 3)]
        return np.concatenate(found)

    def read(self) -> Recording:
        row, notes, options = self.row, self.notes, self.options
        notes.append("no camera is in the file: one was made up that stands and sees everything")
        self.read_objects()
        bodies = list(self.parts.items)
        keypoints: dict[str, np.ndarray] = {}
        if options.hands == "none":
            notes.append("hands were left out, as asked")
        for side in () if options.hands == "none" else self.sides:
            label = len(bodies) + 1
            bodies.append(self.mano(side, label) if options.hands == "mano" else self._fitted(side, label, keypoints))
        if not bodies:
            raise InputError(str(row.path), "has no object and no hand that is read", _ACCEPTED)
        return row_recording(row, self.camera, self.path, bodies, keypoints, notes, pose_sigma=options.pose_sigma)

    def read_objects(self) -> None:
        """Make bodies of the objects."""
        if self.objects is not None:
            self.parts = scene_objects(self.objects, self.path, self.row, self.options, self.notes)

    def mano(self, side: str, label: int) -> SceneBody:
        """A hand of MANO by its parameters."""
        from scipy.spatial.transform import Rotation

        row, key = self.row, f"mano_{side}"
        hand = find_mano(self.options.mano, side)
        shape = row.needed(f"{key}_betas", (10,))
        orient, trans = (row.needed(f"{key}_{name}", (self.count, 3)) for name in ("global_orient", "trans"))
        fingers = row.needed(f"{key}_finger_pose", (self.count, 45))
        flat, centre = self._conventions()
        joints = hand.model.full_pose(fingers, pca=False, flat_hand_mean=flat)
        wrist = trans if centre else trans + hand.root(shape)
        turns = Rotation.from_rotvec(orient).as_quat()
        position, rotation = into_camera(self.path, wrist, turns)
        item = hand.scene_body(f"hand_{side}", label, Poses(position, rotation, joints, shape))
        self._compare(item, side)
        return item

    def _conventions(self) -> tuple[bool, bool]:
        """Zero is the flat hand, and the translation is that of the wrist."""
        row = self.row
        flat, centre = row.array("mano_flat_hand_mean", ()), row.array("mano_center_idx", ())
        if flat is None:
            raise InputError(row.place("mano_flat_hand_mean"), "is missing", "needs to say what zero finger poses mean")
        if centre is not None and int(centre) not in (-1, 0):
            raise InputError(
                row.place("mano_center_idx"), f"is {int(centre)}", "0 for the wrist, or -1 or null for none"
            )
        return bool(flat), centre is not None and int(centre) == 0

    def _compare(self, item: SceneBody, side: str) -> None:
        """A note where stored joints are not where the parameters put them."""
        stored = self.places[side]
        if stored is None or len(stored) != self.count:
            return
        _, off = self.order_of(item, stored)
        if off > _OFF_M:
            said = f"its stored joints are up to {1000 * off:.3g} mm off what its parameters give"
            self.notes.append(f"{item.name}: {said}: another model, or other conventions than the file states")

    def order_of(self, item: SceneBody, stored: np.ndarray) -> tuple[str, float]:
        """The order of stored joints (frame, 21, 3) that is nearest to what parameters give, and how far off [m]."""
        made = posed_keypoints(item.body, item.initial).astype(np.float64)
        made = points_into_world(self.path, made)
        bones = [index for index, name in enumerate(KEYPOINT_NAMES) if not name.endswith("_tip")]
        off = {
            order: float(np.linalg.norm(made - reordered(stored, order), axis=2)[:, bones].max()) for order in SIZES[21]
        }
        best = min(off, key=lambda order: off[order])
        return best, off[best]

    def _fitted(self, side: str, label: int, keypoints: dict[str, np.ndarray]) -> SceneBody:
        """Our own hand, fitted to the joints."""
        stored, name = self.row.needed(f"mano_{side}_joints", (self.count, 21, 3)), f"hand_{side}"
        order = guess_order(stored)
        self.notes.append(f"{name}: our own hand, fitted to its joints in the order {order}, by their distances")
        places = points_into_camera(self.path, reordered(stored, order))
        keypoints[name] = np.concatenate([places, np.ones((*places.shape[:2], 1))], axis=2)
        return SceneBody(read_hand(side, name=name), label, False)  # its start is fitted


def _write_back(recording: Recording, folder: Path, options: ManoSharpaOptions) -> tuple[str, ...]:
    """The file that was read, with the poses of the recording in it."""
    origin, scene = recording.origin, recording.scene
    assert origin is not None, "it was read from a file"
    reader = _Reader(origin.path, options)
    recording.check_frames(reader.count, reader.row.path)
    row, path, said = reader.row, reader.path, []
    hands = {side: item for side in reader.sides for item in scene.bodies if item.name == f"hand_{side}"}
    reader.read_objects()
    objects = reader.parts.among(scene.bodies)
    new: dict[str, Any] = {}
    if reader.objects is not None and not all(item.known for item in objects):
        new.update(changed_objects(row, reader.objects, reader.parts, objects, path))
        said.append(f"{', '.join(item.name for item in objects)} in {reader.count} frames")
    words: list[str] = []
    for side, item in hands.items():
        if item.body.kind != "mano":
            found = f"was fitted to joints: it is of kind {item.body.kind}"
            raise InputError(item.name, found, "its parameters are written of MANO's model: --hands mano --mano DIR")
        new.update(_hand_columns(reader, side, item))
        said.append(f"{item.name} in {reader.count} frames")
        contacts = _contact_columns(row, side, item, reader.parts.moved(objects), path, options)
        new.update(contacts)
        words += [] if contacts else [f"{item.name}: contacts are those of the motion before"]
    robots = [name for name in row.names if name.startswith("robot_") and "position" in name]
    if robots and hands:
        words.append("columns of robots are of the motion before: retarget again")
    inside = row.path.relative_to(origin.path) if origin.path.is_dir() else Path(row.path.name)
    row.write(folder / inside, {name: values for name, values in new.items() if name in row.names})
    return (f"{inside}: {', '.join(said) or 'nothing'} written; all else is as it was", *words)


def _hand_columns(reader: _Reader, side: str, item: SceneBody) -> dict[str, Any]:
    """Parameters and joints of a hand in the file's conventions."""
    from scipy.spatial.transform import Rotation

    hand: ManoHand = hand_of(item)
    poses, key, row = item.initial, f"mano_{side}", reader.row
    flat, centre = reader._conventions()
    mean = hand.model.full_pose(np.zeros((1, 45)), pca=False, flat_hand_mean=flat)
    wrist, turns = into_world(reader.path, poses.position, poses.rotation)
    new: dict[str, Any] = {
        f"{key}_betas": poses.shape,
        f"{key}_trans": wrist if centre else wrist - hand.root(poses.shape),
        f"{key}_global_orient": Rotation.from_quat(turns).as_rotvec(),
        f"{key}_finger_pose": poses.joints - mean,
    }
    stored = reader.places[side]
    if stored is None:
        return new
    first = reader.mano(side, item.label)
    order = list(ORDERS[reader.order_of(first, stored)[0]])
    before, after = (posed_keypoints(one.body, one.initial).astype(np.float64) for one in (first, item))
    shifts = np.einsum("fab,fkb->fka", reader.path.matrices()[:, :3, :3], after - before)
    moved = stored.copy()
    moved[:, order] += shifts
    new[f"{key}_joints"] = moved
    turned = row.array(f"{key}_joints_wxyz", (reader.count, 21, 4))
    if turned is not None:
        new[f"{key}_joints_wxyz"] = _turned(reader, first, item, turned, order)
    return new


def _turned(reader: _Reader, first: SceneBody, item: SceneBody, stored: np.ndarray, order: list[int]) -> np.ndarray:
    """Quaternions wxyz (frame, 21, 4) of joints, each turned along with its link."""
    from scipy.spatial.transform import Rotation

    before, after = (link_transforms(one.body, one.initial).astype(np.float64)[..., 3:] for one in (first, item))
    (before, after) = (into_world(reader.path, np.zeros((*one.shape[:2], 3)), one)[1] for one in (before, after))
    made, keypoints = stored.copy(), item.body.keypoints
    assert keypoints is not None, "hands of MANO have some"
    for ours, theirs in enumerate(order):
        link = int(keypoints.links[ours])
        moved = Rotation.from_quat(after[:, link]) * Rotation.from_quat(before[:, link]).inv()
        old = Rotation.from_quat(xyzw_of(stored[:, theirs], f"mano joint {theirs}", []))
        turned = (moved * old).as_quat()[:, [3, 0, 1, 2]]
        flip = np.sum(turned * stored[:, theirs], axis=1, keepdims=True) < 0.0
        made[:, theirs] = np.where(flip, -turned, turned)
    return made


def _contact_columns(
    row: ParquetRow,
    side: str,
    item: SceneBody,
    objects: list[SceneBody],
    path: CameraPath,
    options: ManoSharpaOptions,
) -> dict[str, Any]:
    """Contacts in the new poses; of the still older form, positions have the part in a fourth column."""
    names, key = row.texts("mano_link_names"), f"mano_{side}"
    stored = row.array(f"{key}_object_contact_positions", (None, None, None))
    if stored is None or not objects or stored.shape[1] != len(names):
        return {}
    found = link_contacts(item, objects, names, path, options.contact_distance)
    if found is None:
        return {}
    places = {"link": found.link_positions, "object": found.object_positions}
    if stored.shape[2] == 4:
        places = {name: np.concatenate([values, found.parts[..., None]], axis=2) for name, values in places.items()}
    return {
        f"{key}_link_contact_positions": places["link"],
        f"{key}_object_contact_positions": places["object"],
        f"{key}_link_contact_normals": found.link_normals,
        f"{key}_object_contact_normals": found.object_normals,
        f"{key}_object_contact_part_ids": found.parts,
    }


FORMAT = ManoSharpaFormat()
