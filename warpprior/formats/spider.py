"""``spider``: keypoints for the retargeter SPIDER, written: trajectory_keypoints.npz and task_info.json.

Poses are x, y, z, w, x, y, z in a world whose z points up (facebookresearch/spider:spider/process_datasets).  Wrists
are palm frames, as of its hot3d and gigahand sets; fingers are tips, thumb to little finger, without a turn.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warpprior.bodies.hand_parts import FINGERS, KEYPOINT_NAMES
from warpprior.formats.format import Format
from warpprior.formats.parts.hand_frames import palm_frames, world_keypoints
from warpprior.formats.parts.motion_columns import level_world, write_obj
from warpprior.formats.parts.row_contacts import REACH_M
from warpprior.formats.parts.virtual_camera import into_world
from warpprior.formats.recording import Recording
from warpprior.io.array_files import write_arrays
from warpprior.scene import SceneBody
from warpprior.support.errors import InputError
from warpprior.support.limits import number
from warpprior.support.options import option

_TIPS = [KEYPOINT_NAMES.index(f"{finger}_tip") for finger in FINGERS]
_SPREAD_M = 0.1  # a place of contact that wanders more is none


@dataclass(frozen=True)
class SpiderOptions:
    """Options of ``spider``."""

    dataset: str = option("name of the data set in its folders", "warpprior", metavar="NAME")
    data_id: int = option("number of the sequence in its folders", number(0, 0, 1_000_000))
    contact_distance: float = option("how near a fingertip is that touches, in metres", number(REACH_M, 1e-4, 0.1))


class SpiderFormat(Format):
    """Keypoints for SPIDER."""

    name = "spider"
    sizes = "and its mesh is written in that size"
    title = "keypoints for the retargeter SPIDER (trajectory_keypoints.npz, task_info.json)"
    writes = "wrists as palm frames, fingertips, objects, contacts with places on the object, meshes; z up"
    verified = "its layout, as its code reads it; the retargeter did not run here"
    Options = SpiderOptions

    def write(self, recording: Recording, folder: Path, options: SpiderOptions) -> tuple[str, ...]:
        scene, said = recording.scene, []
        path = level_world(recording, said)
        hands = {
            str(item.body.side): item for item in scene.bodies if item.body.side and item.body.keypoints is not None
        }
        objects = [item for item in scene.bodies if item.body.is_rigid and item.body.animation is None]
        if not hands or not objects:
            raise InputError(f"scene {scene.name!r}", "has no hand or no object", "needs both")
        embodiment = "bimanual" if len(hands) > 1 else next(iter(hands))
        place = folder / "processed" / options.dataset / "mano" / embodiment / scene.name / str(options.data_id)
        arrays: dict[str, np.ndarray] = {}
        info: dict[str, object] = {
            "task": scene.name,
            "dataset_name": options.dataset,
            "robot_type": "mano",
            "embodiment_type": embodiment,
            "data_id": options.data_id,
            "right_object_mesh_dir": None,
            "left_object_mesh_dir": None,
            "ref_dt": 1.0 / scene.fps,
        }
        taken: set[str] = set()
        for side in ("right", "left"):
            hand = hands.get(side)
            if hand is None:
                continue
            keypoints = world_keypoints(hand, path)
            tips = keypoints[:, _TIPS]
            still = np.tile([1.0, 0.0, 0.0, 0.0], (*tips.shape[:2], 1))
            arrays[f"qpos_wrist_{side}"] = palm_frames(keypoints, side)
            arrays[f"qpos_finger_{side}"] = np.concatenate([tips, still], axis=2)
            left = [item for item in objects if item.name not in taken]
            if not left:
                arrays[f"qpos_obj_{side}"] = np.tile([0.0, 0, 0, 1, 0, 0, 0], (scene.frame_count, 1))
                said.append(f"one object for two hands: it is the {'right' if side == 'left' else 'left'} one's")
                continue
            distances = [_distances(item, hand) for item in left]
            item, away = min(zip(left, distances, strict=True), key=lambda pair: float(np.median(pair[1].min(axis=1))))
            taken.add(item.name)
            position, rotation = into_world(path, item.initial.position, item.initial.rotation)
            arrays[f"qpos_obj_{side}"] = np.concatenate([position, rotation[:, [3, 0, 1, 2]]], axis=1)
            touching = away <= options.contact_distance
            arrays[f"contact_{side}"], arrays[f"contact_pos_{side}"] = _contacts(touching, tips, position, rotation)
            mesh = folder / "processed" / options.dataset / "assets" / "objects" / item.name
            write_obj(mesh / "visual.obj", item.body, item.initial.scale)
            info[f"{side}_object_mesh_dir"] = str(mesh.relative_to(folder))
        place.mkdir(parents=True)
        write_arrays(place / "trajectory_keypoints.npz", arrays)
        (place.parent / "task_info.json").write_text(json.dumps(info, indent=2), encoding="utf-8")
        return (f"{embodiment} in {scene.frame_count} frames: {place.relative_to(folder)}", *said)


def _distances(item: SceneBody, hand: SceneBody) -> np.ndarray:
    """How far fingertips are from the surface of an object (frame, 5) [m]."""
    from scipy.spatial.transform import Rotation

    from warpprior.bodies.posing import posed_keypoints
    from warpprior.geometry.signed_distance import Surface

    poses = item.initial
    surface = Surface(item.body.vertices * poses.scale, item.body.faces, item.name)
    tips = posed_keypoints(hand.body, hand.initial)[:, _TIPS].astype(np.float64)
    turns = Rotation.from_quat(poses.rotation).as_matrix()
    own = np.einsum("fpb,fbc->fpc", tips - poses.position[:, None], turns)
    return surface.measure(own.reshape(-1, 3))[0].reshape(own.shape[:2]).astype(np.float64)


def _contacts(touching, tips, position, rotation) -> tuple[np.ndarray, np.ndarray]:
    """Flags (frame, 5) and mean places in the object's frame (5, 3) of tips that touch; those that wander are none."""
    from scipy.spatial.transform import Rotation

    turns = Rotation.from_quat(rotation).as_matrix()
    own = np.einsum("fpb,fbc->fpc", tips - position[:, None], turns)
    flags, places = touching.astype(np.float64), np.zeros((tips.shape[1], 3))
    for tip in range(tips.shape[1]):
        met = own[touching[:, tip], tip]
        if len(met) and met.std(axis=0).max() <= _SPREAD_M:
            places[tip] = met.mean(axis=0)
        else:
            flags[:, tip] = 0.0
    return flags, places


FORMAT = SpiderFormat()
