"""Hands of Dyn-HaMR and HaWoR written back: the arrays of their results, in the world and in their own terms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from warpprior.bodies.readers.plain_pickle import read_changeable
from warpprior.formats.parts.dynhamr_files import KEYS
from warpprior.formats.parts.hawor_files import RESULT
from warpprior.formats.parts.mano_hands import find_mano
from warpprior.formats.parts.motion import MIRROR
from warpprior.formats.parts.npz_back import replace_arrays
from warpprior.formats.parts.timeline import Timeline
from warpprior.formats.parts.virtual_camera import into_world, still
from warpprior.formats.parts.world_hands import HandTrack, WorldHands
from warpprior.io.world import CameraPath
from warpprior.scene import SceneBody
from warpprior.support.errors import InputError
from warpprior.support.npz import NpzArrays

_BYTES = 1 << 30
_SAME = 1e-6  # of values that stay as they are

New = Mapping[int, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]  # by track: rows, orient, joints, transl


def write_world_hands(
    world: WorldHands,
    folder: Path,
    items: Mapping[str, SceneBody],
    path: CameraPath | None,
    timeline: Timeline,
    mano: Path | None,
) -> tuple[list[str], list[str]]:
    """Write the results of a program with the hands of a scene in their place.

    Args:
        world: what was read.
        folder: of the new files.
        items: hands of the scene by name.
        path: of the camera in the world, as the scene has it.
        timeline: the frames.
        mano: folder of the models.

    Returns:
        names of the files, and what is to be said, one sentence each.
    """
    if not world.in_world:
        return [], [f"hands of {world.where.name}: cam_space is not written back, only {RESULT}"]
    frames = np.arange(timeline.count)
    rows = frames if world.count == timeline.count else frames - world.begin
    there = (rows >= 0) & (rows < world.count)
    new: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = {}
    said: list[str] = []
    for side, track in world.tracks.items():
        item = items.get(f"hand_{side}")
        if item is None or item.known:
            continue
        if item.body.kind != "mano":
            said.append(f"{item.name} stays as it was: it is no hand of MANO")
            continue
        at = np.flatnonzero(there)
        at = at[track.valid[rows[at]]]
        new[track.index] = (rows[at], *_values(side, track, item, path, at, rows[at], mano))
        if np.abs(item.initial.shape - np.median(track.shapes[track.valid], axis=0)).max(initial=0.0) > 1e-6:
            said.append(f"{item.name}: its shape was estimated, and stays in the file as it was")
    if not new:
        return [], said
    if world.where.is_dir():
        return _hawor(world.where, folder, new, said)
    arrays = NpzArrays(world.where, "results of Dyn-HaMR", "", limit=_BYTES, unpacked=_BYTES)
    changed = {}
    for key, part in zip(KEYS[:3], (3, 1, 2), strict=True):
        whole = np.array(arrays[key], dtype=np.float64)
        changed[key] = _put(whole, new, part).reshape(whole.shape)
    replace_arrays(world.where, folder / world.where.name, changed)
    return [world.where.name], said


def _values(
    side: str,
    track: HandTrack,
    item: SceneBody,
    path: CameraPath | None,
    frames: np.ndarray,
    rows: np.ndarray,
    mano: Path | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotation vectors (row, 3), joints (row, 45) and translations (row, 3) of some frames, in the file's terms."""
    from scipy.spatial.transform import Rotation

    mirrored = side == "left" and track.of_right
    hand = find_mano(mano, side, mirrored=mirrored, correct_left_shape=side == "left" and not mirrored)
    flip, turn_flip = (np.array([-1.0, 1.0, 1.0]), MIRROR) if mirrored else (np.ones(3), np.ones(3))
    poses = item.initial.frames(frames)
    way = still(len(frames)) if path is None else path.frames(frames)
    wrist, turned = into_world(way, poses.position, poses.rotation)
    roots = np.array([hand.root(one) for one in track.shapes[rows]]).reshape(-1, 3)
    turns = Rotation.from_quat(turned)
    own = Rotation.from_rotvec(track.orient[rows] * turn_flip)
    same = ((turns * own.inv()).magnitude() < _SAME)[:, None]
    orient = np.where(same, track.orient[rows], turns.as_rotvec() * turn_flip)
    return orient, (poses.joints.reshape(-1, 15, 3) * turn_flip).reshape(-1, 45), (wrist - roots) * flip


def _put(whole: np.ndarray, new: New, part: int) -> np.ndarray:
    """Numbers of an array (track, frame, ...) with those of some frames changed; what is the same stays."""
    made = whole.reshape(*whole.shape[:2], -1).copy()
    for track, values in new.items():
        rows, now = values[0], values[part].reshape(len(values[0]), -1)
        before = made[track, rows]
        made[track, rows] = np.where(np.abs(now - before) < _SAME, before, now)
    return made


def _hawor(folder: Path, target: Path, new: New, said: list[str]) -> tuple[list[str], list[str]]:
    """The joblib list of trans, rot, hand_pose, changed in place."""
    try:
        plain = read_changeable(folder / RESULT, "results of HaWoR")
    except InputError as error:
        return [], [*said, f"hands of {RESULT}: not written, for it {error.found}"]
    tree, lying = plain.tree, {id(array) for array, *_ in plain.placed}
    if not all(id(array) in lying for array in tree[:3]):
        return [], [*said, f"hands of {RESULT}: not written, for its numbers do not lie in it as they are"]
    for array, part in zip(tree[:3], (3, 1, 2), strict=True):
        array[...] = _put(array.astype(np.float64), new, part).reshape(array.shape)
    (target / folder.name).mkdir(parents=True, exist_ok=True)
    (target / folder.name / RESULT).write_bytes(plain.changed())
    return [f"{folder.name}/{RESULT}"], said
