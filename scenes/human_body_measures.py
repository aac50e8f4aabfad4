"""Proportions of our human body: what its shape parameters mean, and where its joints are.

Everything is in metres, for the middle and the left half of a body that stands with its arms lowered: x to its left,
y up, z to the front, the floor at y = 0.  docs/body.md says where the numbers come from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# What one unit of each shape parameter does, in parts of what it changes (of "sex": half of the difference between the
# average woman and the average man); see docs/body.md.
SHAPES = {
    "size": 0.054,
    "girth": 0.09,
    "sex": 1.0,
    "muscle": 0.06,
    "torso_length": 0.04,
    "leg_length": 0.04,
    "arm_length": 0.04,
    "shoulder_width": 0.05,
    "hip_width": 0.05,
    "head_size": 0.04,
}
ARM_DROP = np.radians(45.0)  # of the arms below the horizontal, in the pose in which the form is drawn

# Joints of the mean body; those of the arms follow from lengths.
_JOINTS = {
    "pelvis": (0.0, 0.885, 0.005),
    "left_hip": (0.085, 0.885, 0.005),
    "left_knee": (0.112, 0.482, 0.004),
    "left_ankle": (0.124, 0.078, -0.034),
    "left_foot": (0.133, 0.022, 0.088),
    "spine1": (0.0, 1.035, -0.015),
    "spine2": (0.0, 1.165, -0.020),
    "spine3": (0.0, 1.285, -0.022),
    "neck": (0.0, 1.455, -0.022),
    "head": (0.0, 1.540, 0.006),
    "left_collar": (0.040, 1.390, 0.012),
    "left_shoulder": (0.178, 1.388, -0.012),
}
_ARM = {"left_elbow": 0.285, "left_wrist": 0.250, "left_hand": 0.088}  # lengths from the joint before
_LEG = ("left_knee", "left_ankle", "left_foot")


@dataclass(frozen=True)
class Measures:
    """A body of some shape, but for its size: joints, and factors of its parts.

    Attributes:
        joints: of the middle and the left, the arms lowered {name: (3,)} [m].
        girth, sex, muscle: how much of these it has; 0 is the mean.
        torso, leg, arm, shoulders, hips, head: factors of lengths and widths.
    """

    joints: dict[str, np.ndarray]
    girth: float
    sex: float
    muscle: float
    torso: float
    leg: float
    arm: float
    shoulders: float
    hips: float
    head: float

    @classmethod
    def of(cls, shape: np.ndarray | None = None) -> Measures:
        """The measures that shape parameters (10,) say; the mean without any."""
        parameters = np.zeros(len(SHAPES)) if shape is None else np.asarray(shape, float)
        unit = dict(zip(SHAPES, parameters * list(SHAPES.values()), strict=True))
        factors = {
            "torso": 1.0 + unit["torso_length"],
            "leg": 1.0 + unit["leg_length"],
            "arm": 1.0 + unit["arm_length"],
            "shoulders": 1.0 + unit["shoulder_width"] + 0.05 * unit["sex"],
            "hips": 1.0 + unit["hip_width"] - 0.02 * unit["sex"],
            "head": 1.0 + unit["head_size"],
        }
        return cls(_place_joints(factors), unit["girth"], unit["sex"], unit["muscle"], **factors)

    def radius(self, soft: float = 1.0, sex: float = 0.02, muscle: float = 1.0) -> float:
        """Factor of the radii of a part that girth, sex and muscle change so much."""
        return 1.0 + soft * self.girth + sex * self.sex + muscle * self.muscle

    def upper(self, point) -> np.ndarray:
        """A point of the mean body's trunk, moved with the length of the trunk and the width of the shoulders (3,)."""
        return _stretched(np.asarray(point, float), self.torso, self.shoulders)

    def face(self, point) -> np.ndarray:
        """A point of the mean body's head, moved with its size (3,)."""
        mean = np.array(_JOINTS["head"])
        return self.joints["head"] + self.head * (np.asarray(point, float) - mean)


def _stretched(point: np.ndarray, torso: float, shoulders: float) -> np.ndarray:
    """Above the hips lengths grow with the trunk; widths grow with the shoulders from the waist upwards."""
    hips, waist, neck = _JOINTS["pelvis"][1], 1.08, _JOINTS["neck"][1]
    share = np.clip((point[1] - waist) / (1.36 - waist), 0.0, 1.0)
    above = np.clip(point[1] - hips, 0.0, neck - hips)
    return np.array([point[0] * (1.0 + share * (shoulders - 1.0)), point[1] + above * (torso - 1.0), point[2]])


def _place_joints(factors: dict[str, float]) -> dict[str, np.ndarray]:
    joints = {name: np.array(place) for name, place in _JOINTS.items()}
    for name in ("spine1", "spine2", "spine3", "neck", "head", "left_collar", "left_shoulder"):
        joints[name] = _stretched(joints[name], factors["torso"], factors["shoulders"])
    joints["left_hip"] = joints["left_hip"] * (factors["hips"], 1.0, 1.0)
    place, before = joints["left_hip"], np.array(_JOINTS["left_hip"])
    for name in _LEG:
        step = np.array(_JOINTS[name]) - before
        place, before = place + factors["leg"] * step, np.array(_JOINTS[name])
        joints[name] = place
    place = joints["left_shoulder"]
    for name, length in _ARM.items():
        place = place + factors["arm"] * length * arm_frame()[0]
        joints[name] = place
    return joints


def arm_frame() -> np.ndarray:
    """Unit vectors along the lowered left arm, out of the back of its hand, and to the front (3, 3)."""
    cosine, sine = np.cos(ARM_DROP), np.sin(ARM_DROP)
    return np.array([(cosine, -sine, 0.0), (sine, cosine, 0.0), (0.0, 0.0, 1.0)])
