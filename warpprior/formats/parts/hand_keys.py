"""Names that networks and people give to what a hand's record holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

# What is meant -> names that networks and people give it, the surest first.
KEYS: dict[str, tuple[str, ...]] = {
    "pose": ("hand_pose", "pose_body", "finger_pose", "init_hand_pose", "body_pose"),
    "orient": ("global_orient", "root_orient", "wrist_orient", "init_root_orient", "global_orientation", "orient"),
    "shape": ("betas", "init_betas", "shape", "mano_betas"),
    "cam_t": ("pred_cam_t_full", "cam_t_full", "cam_t", "cam_trans", "camera_translation", "pred_cam_t_global"),
    "transl": ("transl", "init_trans", "trans", "translation"),
    "side": ("is_right", "right", "handedness", "hand_side", "side", "hand_type"),
    "focal": ("scaled_focal_length", "scaled_focal", "img_focal", "focal_length", "focal"),
    "size": ("img_size", "image_size"),
    "keypoints3d": ("pred_keypoints_3d", "keypoints_3d", "pred_joints", "joints_3d", "joints3d", "kp3d"),
    "keypoints2d": ("pred_keypoints_2d_full", "pred_keypoints_2d", "keypoints_2d", "kp2d"),
    "crop_camera": ("pred_cam",),
    "crop_center": ("box_center",),
    "crop_size": ("box_size",),
    "score": ("score", "scores", "conf", "confidence", "hand_conf"),
    "valid": ("is_valid", "valid", "vis_mask"),
    "frame": ("frame", "frame_idx", "frame_id", "frame_index", "frame_number", "frames"),
    "picture": ("img_name", "imgname", "image_name", "img_path", "image_path", "image", "img_fn", "file_name"),
}  # fmt: skip
MARKS = ("hand_pose", "pred_keypoints_3d", "pred_mano_params", "wilor_preds")  # what only such files mention
_INNER = ("pred_mano_params", "mano_params", "mano", "wilor_preds", "wilor_pred", "params")
SIDES = {"left": "left", "right": "right", "lh": "left", "rh": "right", "l": "left", "r": "right"}
# Keys that are frames: digits, a word for a picture before them, or the name of a picture.
_FRAME_KEY = re.compile(r"^(?:(?:frame|img|image|f|rgb|color)[_-]?)?[0-9]+$|\.(?:png|jpe?g|bmp|webp)$", re.IGNORECASE)
_PREFIXES = ("hand_", "hand-")
ACCEPTED = "needs MANO parameters or keypoints of hands, as HaMeR and WiLoR give them"


def side_of(value: Any) -> str | None:
    """Of a word, of a number (1 right, 0 left), or of what holds one of them."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0].item()
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        text = value.lower()
        for prefix in _PREFIXES:
            text = text.removeprefix(prefix)
        return SIDES.get(text.removesuffix("_hand").removesuffix(" hand"))
    if isinstance(value, (bool, int, float)) and value == value:
        return "right" if value > 0.5 else "left"
    return None


def frame_of(key: Any) -> int | None:
    """The number of a key: a whole number, or a text that ends with one, as 000012.jpg does."""
    if isinstance(key, bool):
        return None
    if isinstance(key, (int, np.integer)):
        return int(key)
    if isinstance(key, float) and key.is_integer():
        return int(key)
    if not isinstance(key, str):
        return None
    stem = key.replace("\\", "/").rpartition("/")[2]
    stem = stem.rpartition(".")[0] if "." in stem else stem
    digits = stem[len(stem.rstrip("0123456789")) :]
    return int(digits) if 1 <= len(digits) < 19 and digits.isascii() else None


def merged(node: Mapping[str, Any]) -> dict[str, Any]:
    """A record with the dictionaries of parameters in it laid open."""
    found = {key: value for key, value in node.items() if not (key in _INNER and isinstance(value, dict))}
    for key in _INNER:
        value = node.get(key)
        if isinstance(value, dict):
            found = {**merged(value), **found}
            if key.startswith("wilor_pred"):
                found["wilor_preds"] = True
    return found


def holder(node: Mapping[str, Any], what: str) -> tuple[dict[str, Any], str] | None:
    """The dictionary of a record, itself or one in it, and the key under which :func:`first` finds a thing."""
    for name in KEYS[what]:
        found = _holding(node, name)
        if found is not None:
            return found, name
    return None


def _holding(node: Any, name: str) -> dict[str, Any] | None:
    if not isinstance(node, dict):
        return None
    inner = [node[key] for key in _INNER if isinstance(node.get(key), dict)]
    if node.get(name) is not None and not any(node[name] is each for each in inner):
        return node
    return next((found for each in inner if (found := _holding(each, name)) is not None), None)


def first(node: Mapping[str, Any], what: str, *, scalar: bool = False) -> Any:
    """The value of the surest name that a thing has, or None."""
    for name in KEYS[what]:
        value = node.get(name)
        if value is None or (scalar and not _is_one(value)):
            continue
        if scalar and isinstance(value, np.ndarray):
            return value.ravel()[0].item()
        return value
    return None


def _is_one(value: Any) -> bool:
    """Is it one value, not a list of several?"""
    return value.size == 1 if isinstance(value, np.ndarray) else not isinstance(value, (list, dict))


def number_of(keys: Iterable[Any]) -> dict[Any, int]:
    """Numbers of frames by key, where all keys of a dictionary are such: 12, "000012", "frame_12", "a/000012.jpg"."""
    found = {}
    for key in keys:
        plain = isinstance(key, int) or (isinstance(key, str) and _FRAME_KEY.search(key) is not None)
        number = frame_of(key) if plain else None
        if number is None:
            return {}
        found[key] = number
    return found if len(set(found.values())) == len(found) else {}
