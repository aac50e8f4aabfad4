"""Names that others give to the parts of a hand, and which of our keypoints they mean."""

from __future__ import annotations

import re

from warpprior.bodies.hand_parts import FINGERS, KEYPOINT_NAMES

_SIDE = re.compile(r"^(left|right|lh|rh|l|r)[_\-. ]+|[_\-. ]+(left|right|l|r)$", re.IGNORECASE)
_ROOT = ("wrist", "palm", "hand", "handwrist", "root")
_PARTS = {
    "1": "1", "2": "2", "3": "3", "4": "_tip", "tip": "_tip", "fingertip": "_tip",
    "mcp": "1", "pip": "2", "dip": "3", "proximal": "1", "intermediate": "2", "distal": "3",
}  # fmt: skip
_THUMB = {**_PARTS, "cmc": "1", "mcp": "2", "ip": "3", "metacarpal": "1", "proximal": "2"}


def keypoint_of(name: str) -> str | None:
    """Our keypoint of a name such as ``right_index_mcp``, ``thumb3`` or ``little_tip``; None where it means none."""
    text = name.lower()
    while (shorter := _SIDE.sub("", text)) != text:
        text = shorter
    text = re.sub(r"[^a-z0-9]", "", text).replace("little", "pinky").replace("small", "pinky")
    text = text.removeprefix("mano").removeprefix("hand") or "hand"
    if text in _ROOT:
        return KEYPOINT_NAMES[0]
    finger = next((finger for finger in FINGERS if text.startswith(finger)), None)
    if finger is None:
        return None
    rest = text.removeprefix(finger)
    rest = rest.removeprefix("finger") if rest != "fingertip" else rest
    part = (_THUMB if finger == "thumb" else _PARTS).get(rest)
    return None if part is None else f"{finger}{part}"


def keypoint_rows(names: list[str]) -> dict[int, int]:
    """Row of ours -> row of theirs, for the names that mean a keypoint; the first where two mean one."""
    found: dict[int, int] = {}
    for row, name in enumerate(names):
        keypoint = keypoint_of(name)
        if keypoint is not None:
            found.setdefault(KEYPOINT_NAMES.index(keypoint), row)
    return found
