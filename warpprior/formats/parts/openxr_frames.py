"""Hand joints as OpenXR numbers and names them: 26 of XR_EXT_hand_tracking, or the 25 of WebXR, without the palm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from warpprior.formats.parts.hand_frames import OPENXR
from warpprior.support.errors import InputError

COUNT = len(OPENXR)
POSITION_VALID = 2  # of locationFlags
_ACCEPTED = "needs 26 joints of OpenXR, or 25 of WebXR, for each hand and frame"
_FINGERS = {
    "thumb": "thumb",
    "index": "index",
    "middle": "middle",
    "ring": "ring",
    "little": "little",
    "pinky": "little",
}
_PARTS = ("metacarpal", "proximal", "intermediate", "distal", "tip")
_PLACE_KEYS, _TURN_KEYS = ("position", "pos", "p", "translation"), ("orientation", "rotation", "quaternion", "rot", "q")
_FLAG_KEYS, _ACTIVE_KEYS = ("locationFlags", "flags"), ("isActive", "active", "tracked", "isTracked", "valid")
_JOINT_KEYS = ("joints", "jointLocations", "joint_locations", "poses", "jointPoses")
_MOST_M = 1e4
_BONES = tuple(  # (joint, the next one along its finger)
    (row, row + 1) for row, name in enumerate(OPENXR[:-1]) if not name.endswith("tip") and name not in ("palm", "wrist")
)


def joint_row(name: str) -> int | None:
    """The number of a joint by its name in OpenXR, WebXR or like them, None where it is none."""
    text = re.sub(r"[^a-z]", " ", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()).split()
    text = [word for word in text if word not in ("xr", "hand", "joint", "ext", "finger", "phalanx", "left", "right")]
    if len(text) == 1 and text[0] in ("palm", "wrist"):
        return OPENXR.index(text[0])
    finger = next((_FINGERS[word] for word in text if word in _FINGERS), None)
    part = next((word for word in text if word in _PARTS), None)
    if finger is None or part is None or len(text) != 2 or f"{finger}_{part}" not in OPENXR:
        return None
    return OPENXR.index(f"{finger}_{part}")


@dataclass(frozen=True, eq=False)
class XrHand:
    """One hand.

    Attributes:
        places: of its joints (frame, 26, 3) [m], NaN where there is none.
        turns: their quaternions as stored (frame, 26, 4), NaN where there are none.
    """

    places: np.ndarray
    turns: np.ndarray

    @staticmethod
    def empty(count: int) -> XrHand:
        return XrHand(np.full((count, COUNT, 3), np.nan), np.full((count, COUNT, 4), np.nan))


def fill_frame(hand: XrHand, frame: int, node: Any, where: str) -> None:
    """Take the joints of one hand in one frame: a dictionary by name, or a list by number; None says nothing.

    Raises:
        InputError: something that is no joints.
    """
    if isinstance(node, dict):
        if any(node.get(key) is False for key in _ACTIVE_KEYS):
            return
        listed = next((node[key] for key in _JOINT_KEYS if key in node), node)
    else:
        listed = node
    if listed is None or listed == []:
        return
    if isinstance(listed, dict):
        rows = {row: value for name, value in listed.items() if (row := joint_row(str(name))) is not None}
    elif isinstance(listed, list) and len(listed) in (COUNT, COUNT - 1):
        rows = dict(enumerate(listed, start=COUNT - len(listed)))
        named = {joint_row(str(one.get("name", one.get("joint", "")))): one for one in listed if isinstance(one, dict)}
        whole = {row: one for row, one in named.items() if row is not None}
        rows = whole if len(whole) == len(listed) else rows
    else:
        found = f"has {len(listed)} joints" if isinstance(listed, list) else f"is a {type(listed).__name__}"
        raise InputError(where, found, _ACCEPTED)
    if not rows:
        raise InputError(where, "names no joint of OpenXR", _ACCEPTED)
    for row, value in rows.items():
        _fill_joint(hand, frame, row, value, where)


def _fill_joint(hand: XrHand, frame: int, row: int, value: Any, where: str) -> None:
    if value is None:
        return
    if isinstance(value, Mapping):
        flags = next((value[key] for key in _FLAG_KEYS if key in value), None)
        if isinstance(flags, int) and not flags & POSITION_VALID:
            return
        pose = value["pose"] if isinstance(value.get("pose"), Mapping) else value
        place = next((pose[key] for key in _PLACE_KEYS if key in pose), None)
        turn = next((pose[key] for key in _TURN_KEYS if key in pose), None)
    else:
        place = value[:3] if isinstance(value, (list, tuple)) else None
        turn = value[3:7] if isinstance(value, (list, tuple)) and len(value) >= 7 else None
    found = _numbers(place, "xyz", where)
    if found is None:
        return
    hand.places[frame, row] = found
    spun = _numbers(turn, "xyzw", where) if turn is not None else None
    if spun is not None:
        hand.turns[frame, row] = spun


def _numbers(value: Any, axes: str, where: str) -> np.ndarray | None:
    """Numbers by name or in order; None where there are none, or they are not finite."""
    if isinstance(value, Mapping):
        lowered = {str(key).lower(): part for key, part in value.items()}
        value = [lowered.get(axis) for axis in axes]
    if value is None or (isinstance(value, (list, tuple)) and any(part is None for part in value)):
        return None
    try:
        found = np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raise InputError(where, "has a joint that is no numbers", _ACCEPTED) from None
    if found.shape != (len(axes),):
        raise InputError(where, f"has a joint of {found.shape} numbers", f"needs {', '.join(axes)}")
    return found if np.isfinite(found).all() and np.abs(found).max() < _MOST_M else None


def of_array(values: np.ndarray, where: str) -> XrHand:
    """A hand of joints (frame, 26 or 25, 3 or more): places, and quaternions where there are seven numbers."""
    good = values.ndim == 3 and values.shape[1] in (COUNT, COUNT - 1) and 3 <= values.shape[2] <= 16
    if not good or values.dtype.kind not in "fiu":
        raise InputError(where, f"{values.dtype} of shape {values.shape}", _ACCEPTED)
    hand = XrHand.empty(len(values))
    with np.errstate(invalid="ignore"):  # of numbers that are none, in a form of their own
        stored = values.astype(np.float64)
    stored[~(np.abs(stored) < _MOST_M)] = np.nan
    hand.places[:, COUNT - values.shape[1] :] = stored[..., :3]
    if values.shape[2] >= 7:
        hand.turns[:, COUNT - values.shape[1] :] = stored[..., 3:7]
    gone = ~np.isfinite(hand.places).all(axis=2) | (np.abs(hand.places).max(axis=2) == 0.0)
    hand.places[gone] = np.nan
    return hand


def left_handed(hands: Mapping[str, XrHand]) -> tuple[bool, float] | None:
    """Are axes those of a left-handed frame, as Unity's, z forward: by the quaternions; and how surely, as a cosine.

    OpenXR's z axis of a joint points away from the tip, so that a bone runs along -z; in a left-handed copy along +z.

    Returns:
        None where there are no quaternions, or they do not say it.
    """
    from scipy.spatial.transform import Rotation

    alongs: dict[tuple[int, int], list[np.ndarray]] = {}
    for hand in hands.values():
        bones = np.stack([hand.places[:, after] - hand.places[:, before] for before, after in _BONES], axis=1)
        lengths = np.linalg.norm(bones, axis=2)
        turns = hand.turns[:, [before for before, _ in _BONES]]
        good = (lengths > 1e-4) & np.isfinite(lengths) & (np.abs(np.linalg.norm(turns, axis=2) - 1.0) < 0.05)
        if not good.any():
            continue
        for order, columns in enumerate(([0, 1, 2, 3], [1, 2, 3, 0])):
            z = Rotation.from_quat(turns[good][:, columns]).as_matrix()[:, :, 2]
            cosines = np.sum(z * bones[good] / lengths[good][:, None], axis=1)
            for sign in (1, -1):
                alongs.setdefault((order, sign), []).append(sign * cosines)
    if not alongs:
        return None
    surest = {key: float(np.median(np.concatenate(values))) for key, values in alongs.items()}
    key = max(surest, key=lambda key: surest[key])
    return (key[1] > 0, surest[key]) if surest[key] > 0.7 else None


def told_side(hand: XrHand) -> str | None:
    """Which hand it is, by the joints' y axes, which point out of its back; None without quaternions xyzw."""
    from scipy.spatial.transform import Rotation

    rows = [OPENXR.index(f"{finger}_proximal") for finger in ("index", "middle", "ring", "little")]
    wrist, index, little = (hand.places[:, row] for row in (OPENXR.index("wrist"), rows[0], rows[-1]))
    turns = hand.turns[:, rows]
    good = np.isfinite(turns).all(axis=(1, 2)) & np.isfinite(wrist + index + little).all(axis=1)
    good &= (np.abs(np.linalg.norm(turns, axis=2) - 1.0) < 0.05).all(axis=1)
    if not good.any():
        return None
    out = Rotation.from_quat(turns[good].reshape(-1, 4)).as_matrix()[:, :, 1].reshape(-1, len(rows), 3).mean(axis=1)
    right = np.cross(little - wrist, index - wrist)[good]  # out of the back of a right hand
    return "right" if np.median(np.sum(out * right, axis=1)) > 0.0 else "left"
