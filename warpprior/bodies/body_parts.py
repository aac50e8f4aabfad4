"""Names of the parts of a person that models share: joints in SMPL's order, and the keypoints of detectors."""

from __future__ import annotations

from typing import Literal

LINK_NAMES = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle"),
    *("right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    *("left_hand", "right_hand"),
)
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

KeypointOrder = Literal["coco17", "body25", "smpl24"]
# Names of keypoints in the order in which detectors give them; what is not a link is a vertex.
KEYPOINT_ORDERS: dict[KeypointOrder, tuple[str, ...]] = {
    "coco17": (
        *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
        *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
        *("left_knee", "right_knee", "left_ankle", "right_ankle"),
    ),
    "body25": (
        *("nose", "throat", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow"),
        *("left_wrist", "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
        *("right_eye", "left_eye", "right_ear", "left_ear", "left_big_toe", "left_small_toe", "left_heel"),
        *("right_big_toe", "right_small_toe", "right_heel"),
    ),
    "smpl24": LINK_NAMES,
}


def other_side(name: str) -> str:
    """The name of the mirror image of a part."""
    if name.startswith("left_"):
        return "right_" + name[5:]
    return "left_" + name[6:] if name.startswith("right_") else name
