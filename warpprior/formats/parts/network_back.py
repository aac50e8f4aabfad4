"""Hands of networks written back: poses and places of the dictionaries that they were read from, in their own terms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bodies.posing import posed_keypoints
from warpprior.bodies.readers.plain_pickle import PlainFile, read_changeable
from warpprior.formats.parts.crop_camera import into_picture
from warpprior.formats.parts.hand_arrays import HandRecord
from warpprior.formats.parts.hand_records import open_hands, read_hand_records
from warpprior.formats.parts.mano_hands import ManoHand
from warpprior.formats.parts.motion import MIRROR
from warpprior.formats.parts.network_hands import OPENGL, HandChoices, HandOfSide, records_by_frame
from warpprior.formats.parts.npz_back import replace_arrays
from warpprior.formats.parts.timeline import Timeline
from warpprior.scene import Camera, Poses, SceneBody
from warpprior.support.errors import InputError

_ROUNDS, _ENOUGH_M = 50, 1e-9  # of finding where a network's camera has a hand that ours has somewhere
_FLIP = np.array([-1.0, 1.0, 1.0])


class HandFiles:
    """Files of hands of a network, opened to be changed.

    Args:
        path: a file, or a folder of them.
    """

    def __init__(self, path: Path):
        self.path = path
        self._trees: dict[Path, Any] = {}
        self._plain: dict[Path, PlainFile] = {}
        self._refused: list[str] = []
        self.records = read_hand_records(path, self._open)

    def _open(self, file: Path) -> Any:
        if file.suffix.lower() not in (".json", ".npz"):
            try:
                self._plain[file] = read_changeable(file, "hands")
                self._trees[file] = self._plain[file].tree
            except InputError as error:
                self._refused.append(f"{file.name} {error.found}")
        if file not in self._trees:
            self._trees[file] = open_hands(file)
        return self._trees[file]

    def write(self, folder: Path) -> tuple[list[str], list[str]]:
        """Write the files as they are now; names of those, and what could not be written, one sentence each."""
        written, said = [], [f"hands of {name}: not written" for name in self._refused[:4]]
        for file, tree in self._trees.items():
            inside = Path(self.path.name) / file.relative_to(self.path) if self.path.is_dir() else Path(file.name)
            target = folder / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.suffix.lower() == ".json":
                target.write_text(json.dumps(tree), encoding="utf-8")
            elif file.suffix.lower() == ".npz":
                plain = {key: value for key, value in tree.items() if isinstance(value, np.ndarray)}
                if len(plain) < len(tree):
                    said.append(f"hands of {file.name}: not written, for it holds objects of Python")
                    continue
                replace_arrays(file, target, plain)
            elif file in self._plain and self._plain[file].placed:
                target.write_bytes(self._plain[file].changed())
            else:
                words = "for its numbers are not arrays that lie in it as they are"
                said += [f"hands of {file.name}: not written, {words}"] if file in self._plain else []
                continue
            written.append(str(inside))
        return written, said


def write_network_hands(
    path: Path,
    folder: Path,
    items: Mapping[str, SceneBody],
    camera: Camera,
    timeline: Timeline,
    choices: HandChoices,
) -> tuple[list[str], list[str]]:
    """Write the files of hands with those of a scene in their place.

    Poses, places and keypoints in space change, in the convention, camera and form that the file has them in; vertices,
    2D keypoints, shapes and all else stay.

    Args:
        path: the file or folder; folder: of the new files.
        items: hands of the scene by name.
        camera, timeline, choices: as they were read.

    Returns:
        names of the files, and what is to be said, one sentence each.
    """
    files, said = HandFiles(path), []
    for side in ("left", "right"):
        item = items.get(f"hand_{side}")
        records = [record for record in files.records if record.side == side]
        rows = records_by_frame(records, side, path.name, timeline, [])
        if item is None or not rows or item.known:
            continue
        if item.body.kind != "mano":
            said.append(f"{item.name} stays as it was: it was read by keypoints, which do not tell its parameters")
            continue
        reader = HandOfSide(side, rows, path.name, camera, timeline, choices, [])
        said += _put(reader, item)
    written, more = files.write(folder)
    return written, [*said, *more]


def _put(reader: HandOfSide, item: SceneBody) -> list[str]:
    """Put the poses of a hand into its records; what is to be said."""
    shapes = reader.stacked("shape")
    shapes = np.zeros((len(reader.records), 10)) if shapes is None else shapes
    shape = np.median(shapes, axis=0)
    hand, (way, flat), orient, _, about = reader.told(shape)
    roots = np.stack([hand.root(one) for one in shapes])
    orient, about, wrists = reader.in_front(orient, about, roots + reader.need("translation"))
    reader.seen(about, wrists)  # finds the network's camera
    poses = item.initial.frames(reader.frames)
    now = _about(item, poses)
    wrists = _in_network(reader, now, wrists, poses.position)
    said = []
    if len(poses.shape) and np.abs(poses.shape - shape).max() > 1e-6:
        said.append(f"{item.name}: its shape was estimated, and stays in the file as it was; places are of the file's")
    from scipy.spatial.transform import Rotation

    turns, mirrored, moved = Rotation.from_quat(poses.rotation), way == "right" and reader.side == "left", now - about
    if reader.turned:
        turns, wrists, moved = Rotation.from_matrix(OPENGL) * turns, wrists @ OPENGL, moved @ OPENGL
    flip = MIRROR if mirrored else np.ones(3)
    turned = turns.as_rotvec() * flip
    bent = (poses.joints.reshape(-1, 15, 3) * flip).reshape(-1, 45)
    source = reader.model("right", False) if mirrored else hand
    pose, lost = _of_file(reader, source, bent, flat)
    if lost > 1e-6:
        said.append(f"{item.name}: principal components hold its joints to {np.degrees(lost):.2g} degrees (median)")
    hindered: set[str] = set()
    for row, record in enumerate(reader.records):
        values = {
            "orient": _as_stored(record, "orient", Rotation.from_rotvec(turned[row : row + 1])),
            "pose": pose[row] if reader.given()[2] else _as_stored(record, "pose", _rotations(pose[row])),
            **_places(record, wrists[row] - roots[row]),
        }
        if record.keypoints3d is not None:
            values["keypoints3d"] = record.keypoints3d + moved[row] * _ways(reader, about)
        hindered |= {word for what, value in values.items() if (word := record.spots[what].put(value))}
    said += [f"{item.name}: {', '.join(sorted(hindered))}; that was not written"] if hindered else []
    return said


def _about(item: SceneBody, poses: Poses) -> np.ndarray:
    """Keypoints about the wrist (row, 21, 3) [m]."""
    still = Poses(np.zeros_like(poses.position), poses.rotation, poses.joints, poses.shape)
    return posed_keypoints(item.body, still).astype(np.float64)


def _in_network(reader: HandOfSide, about: np.ndarray, start: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Wrists (row, 3) in the network's camera which ours sees where they are wanted, from where they were."""
    network = reader.network
    if network is None:
        return wanted
    found = start
    for _ in range(_ROUNDS):
        seen = into_picture(about, found, network, reader.camera, reader.choices.points)
        if np.abs(wanted - seen).max() < _ENOUGH_M:
            break
        there, here = (into_picture(about, places, reader.camera, network) for places in (wanted, seen))
        found = found + there - here
    return found


def _of_file(reader: HandOfSide, hand: ManoHand, joints: np.ndarray, flat: bool) -> tuple[np.ndarray, float]:
    """Joints in the file's terms: vectors (row, 45) or components (row, n); and what those lose [rad], median."""
    stored, pca = reader.given()[1:]
    mean = hand.full_pose(np.zeros((1, 45)), pca=False, flat_hand_mean=flat)
    if not pca:
        return joints - mean, 0.0
    count = stored.shape[1]
    basis = hand.full_pose(np.eye(count), pca=True, flat_hand_mean=flat) - hand.full_pose(
        np.zeros((1, count)), pca=True, flat_hand_mean=flat
    )
    found = np.linalg.lstsq(basis.T, (joints - mean).T, rcond=None)[0].T
    return found, float(np.median(np.linalg.norm((found @ basis - joints + mean).reshape(-1, 3), axis=1)))


def _rotations(vectors: np.ndarray) -> Any:
    from scipy.spatial.transform import Rotation

    return Rotation.from_rotvec(vectors.reshape(-1, 3))


def _as_stored(record: HandRecord, what: str, turns: Any) -> np.ndarray:
    """Rotations as the file has them: matrices, or vectors by the turn that is nearest to those there."""
    spot = record.spots[what]
    stored = np.asarray(spot.node[spot.key], dtype=np.float64)
    if stored.size == spot.count * 9 * len(turns):
        return turns.as_matrix()
    own = stored.reshape(spot.count, -1)[min(spot.row, spot.count - 1)].reshape(-1, 3)
    same = (turns * _rotations(own).inv()).magnitude() < 1e-7
    return np.where(same[:, None], own, turns.as_rotvec()) if own.shape == (len(turns), 3) else turns.as_rotvec()


def _places(record: HandRecord, translation: np.ndarray) -> dict[str, np.ndarray]:
    """The translation by the name that the file gives it, or as the camera of the crop has it."""
    for what in ("cam_t", "transl"):
        if what in record.spots:
            return {what: translation}
    assert record.translation is not None, "read from the crop's camera"
    spot = record.spots["crop_camera"]
    size, across, down = np.asarray(spot.node[spot.key], np.float64).reshape(spot.count, 3)[spot.row]
    sign = 1.0 if record.side == "right" else -1.0
    grown = record.translation[2] / translation[2]
    # (s, x, y) sees the hand at x + c / s: what c is follows from where it was.
    offset = size * (record.translation[:2] - [across * sign, down])
    place = translation[:2] - offset / (size * grown)
    return {"crop_camera": np.array([size * grown, place[0] * sign, place[1]])}


def _ways(reader: HandOfSide, about: np.ndarray) -> np.ndarray:
    """How keypoints of a file lie to ours: as they are, or mirrored."""
    stored = reader.need("keypoints3d")
    if reader.side == "right":
        return np.ones(3)
    own = stored - stored[:, :1]
    own = own @ OPENGL if reader.turned else own
    misses = [np.median(np.linalg.norm(about - own * way, axis=2)) for way in (np.ones(3), _FLIP)]
    return np.ones(3) if misses[0] <= misses[1] else _FLIP
