"""Legs and arms of our human body, as soft solids of its left half."""

from __future__ import annotations

import numpy as np

from warpprior.scenes.human_body_measures import Measures, arm_frame
from warpprior.scenes.human_body_solid import Cone, Ellipsoid, Loft, Part, shifted

# Place along the bone; radii outwards, inwards, to the front, to the back.
_THIGH = np.array(
    [
        (-0.08, 0.080, 0.072, 0.080, 0.085),
        (0.05, 0.090, 0.078, 0.088, 0.090),
        (0.22, 0.087, 0.078, 0.090, 0.084),
        (0.50, 0.073, 0.068, 0.081, 0.072),
        (0.75, 0.058, 0.055, 0.065, 0.060),
        (0.88, 0.051, 0.050, 0.057, 0.054),
        (0.97, 0.049, 0.050, 0.056, 0.049),
        (1.05, 0.047, 0.049, 0.053, 0.047),
    ]
)
_SHANK = np.array(
    [
        (-0.06, 0.047, 0.049, 0.052, 0.046),
        (0.03, 0.048, 0.049, 0.052, 0.048),
        (0.10, 0.050, 0.048, 0.049, 0.055),
        (0.20, 0.054, 0.054, 0.044, 0.068),
        (0.32, 0.052, 0.055, 0.041, 0.073),
        (0.46, 0.045, 0.047, 0.038, 0.063),
        (0.62, 0.036, 0.036, 0.034, 0.046),
        (0.80, 0.030, 0.030, 0.030, 0.036),
        (0.93, 0.033, 0.033, 0.031, 0.034),
        (1.02, 0.034, 0.034, 0.034, 0.036),
    ]
)
# Place along the bone; radii to the front, to the back, inwards (below a raised arm), outwards.
_UPPER_ARM = np.array(
    [
        (-0.05, 0.046, 0.044, 0.048, 0.044),
        (0.15, 0.051, 0.050, 0.049, 0.051),
        (0.30, 0.051, 0.049, 0.045, 0.051),
        (0.50, 0.048, 0.045, 0.041, 0.043),
        (0.75, 0.041, 0.040, 0.036, 0.038),
        (0.92, 0.036, 0.037, 0.036, 0.037),
        (1.05, 0.035, 0.036, 0.036, 0.037),
    ]
)
_FOREARM = np.array(
    [
        (-0.05, 0.036, 0.036, 0.036, 0.037),
        (0.08, 0.041, 0.038, 0.038, 0.041),
        (0.22, 0.043, 0.039, 0.038, 0.042),
        (0.45, 0.037, 0.035, 0.034, 0.036),
        (0.70, 0.030, 0.029, 0.026, 0.027),
        (0.90, 0.027, 0.026, 0.021, 0.022),
        (1.03, 0.028, 0.027, 0.019, 0.020),
    ]
)
_PALM = np.array(
    [
        (-0.05, 0.027, 0.027, 0.018, 0.018),
        (0.30, 0.033, 0.035, 0.019, 0.016),
        (0.65, 0.038, 0.039, 0.017, 0.0145),
        (1.00, 0.039, 0.038, 0.012, 0.0125),
    ]
)
# Place from heel to toes; radii outwards, inwards, up, down.
_FOOT = np.array(
    [
        (0.00, 0.029, 0.028, 0.048, 0.033),
        (0.18, 0.033, 0.031, 0.060, 0.031),
        (0.36, 0.036, 0.034, 0.052, 0.027),
        (0.54, 0.041, 0.040, 0.036, 0.023),
        (0.68, 0.046, 0.045, 0.026, 0.020),
        (0.80, 0.044, 0.043, 0.019, 0.018),
        (0.88, 0.038, 0.037, 0.015, 0.016),
    ]
)
# Across from the middle of the palm, beyond the knuckles; lengths of the three bones; direction to the thumb [degrees].
_FINGERS = (
    (0.0285, -0.004, (0.040, 0.025, 0.021), 0.0092, 5.0),
    (0.0095, 0.001, (0.044, 0.029, 0.022), 0.0094, 1.5),
    (-0.0100, -0.002, (0.041, 0.027, 0.022), 0.0090, -2.5),
    (-0.0280, -0.011, (0.033, 0.020, 0.019), 0.0080, -7.0),
)
_FINGER_CURL = (8.0, 20.0, 30.0)  # towards the palm [degrees]
# Across from the axis of the foot, where a toe starts and ends along it [m], radius.
_TOES = (
    (-0.026, 0.170, 0.205, 0.0150),
    (0.000, 0.182, 0.206, 0.0100),
    (0.0175, 0.176, 0.198, 0.0095),
    (0.0325, 0.166, 0.186, 0.0090),
    (0.0455, 0.152, 0.171, 0.0088),
)


_SIDE = np.array([1.0, 0.0, 0.0])


def make_leg(body: Measures) -> list[Part]:
    """Thigh, shank and foot without toes."""
    hip, knee, ankle = (body.joints[f"left_{name}"] for name in ("hip", "knee", "ankle"))
    thigh = _thicker(_THIGH, body.radius(1.0, -0.03, 1.0))
    shank = _thicker(_SHANK, body.radius(0.7, 0.02, 1.0))
    foot, ahead = foot_frame(body)
    cap = shifted(knee, 0.0, 0.012, 0.044)
    length = 0.258 * ahead
    heel = shifted(foot, -0.004, 0.033, 0.0)
    return [
        Part(0.0, Loft(hip, knee, _across(hip, knee), thigh, 2.1, 0.05)),
        Part(0.03, Loft(knee, ankle, _across(knee, ankle), shank, 2.1, 0.03)),
        Part(0.02, Ellipsoid(cap, np.array([0.026, 0.030, 0.020]) * body.radius(0.4))),
        Part(0.035, Loft(heel, shifted(heel, 0.010, -0.015, length), _SIDE, _FOOT, 2.3, 0.030)),
        Part(0.012, Ellipsoid(shifted(ankle, 0.030, -0.002, -0.004), np.array([0.010, 0.013, 0.012]))),
        Part(0.012, Ellipsoid(shifted(ankle, -0.030, 0.006, 0.002), np.array([0.010, 0.014, 0.012]))),
    ]


def foot_frame(body: Measures) -> tuple[np.ndarray, float]:
    """Below the back end of the heel, on the floor (3,) [m], and the factor of the foot's length."""
    ankle = body.joints["left_ankle"]
    floor = body.joints["left_foot"][1] - 0.022 * body.leg
    return np.array([ankle[0], floor, ankle[2] - 0.022]), body.leg


def make_toes(body: Measures) -> list[Cone]:
    """Five toes."""
    heel, ahead = foot_frame(body)
    toes: list[Cone] = []
    for across, start, end, radius in _TOES:
        begin = shifted(heel, 0.006 + across, 0.95 * radius + 0.002, ahead * (start - 0.022))
        tip = shifted(heel, 0.006 + 1.06 * across, 0.85 * radius, ahead * end)
        toes.append(Cone(begin, radius, tip, 0.88 * radius))
    return toes


def make_arm(body: Measures) -> list[Part]:
    """Upper arm with the shoulder, and forearm."""
    shoulder, elbow, wrist = (body.joints[f"left_{name}"] for name in ("shoulder", "elbow", "wrist"))
    axes = arm_frame()
    upper = _thicker(_UPPER_ARM, body.radius(0.9, 0.05, 1.6))
    lower = _thicker(_FOREARM, body.radius(0.6, 0.05, 1.0))
    round_shoulder = np.array([0.072, 0.041, 0.051]) * body.radius(0.5, 0.05, 1.4)
    return [
        Part(0.0, Loft(shoulder, elbow, axes[2], upper, 2.0, 0.05)),
        Part(0.03, Ellipsoid(shoulder + axes.T @ (0.038, 0.007, 0.0), round_shoulder, axes)),
        Part(0.03, Loft(elbow, wrist, axes[2], lower, 2.1, 0.03)),
        Part(0.015, Ellipsoid(elbow + axes.T @ (-0.004, 0.006, -0.028), np.array([0.016, 0.014, 0.013]), axes)),
    ]


def make_hand(body: Measures) -> tuple[list[Part], list[list[Part]]]:
    """Palm with the ball of the thumb; the thumb and four fingers."""
    wrist, hand, axes, s = body.joints["left_wrist"], body.joints["left_hand"], arm_frame(), body.arm

    def place(along: float, out: float, front: float) -> np.ndarray:
        return wrist + s * (axes.T @ (along, out, front))

    palm = [
        Part(0.0, Loft(wrist, hand, axes[2], _thicker(_PALM, s), 2.4, 0.010 * s)),
        Part(0.012, Cone(place(0.018, -0.010, 0.018), 0.0165 * s, place(0.050, -0.014, 0.034), 0.0145 * s)),
        Part(0.012, Cone(place(0.016, -0.008, -0.020), 0.0150 * s, place(0.060, -0.008, -0.027), 0.0125 * s)),
    ]
    thumb = [place(0.020, -0.008, 0.022), place(0.054, -0.017, 0.046), place(0.082, -0.023, 0.058)]
    thumb.append(place(0.104, -0.028, 0.063))
    fingers = [_chain(thumb, [0.0150 * s, 0.0125 * s, 0.0108 * s, 0.0092 * s])]
    for across, ahead, lengths, radius, side in _FINGERS:
        joint, turn, bones = place(0.086 + ahead, 0.0, across), np.radians(side), [place(0.060, 0.001, 0.9 * across)]
        bend = 0.0
        for length, curl in zip((0.0, *lengths), (0.0, *_FINGER_CURL), strict=True):
            bend += np.radians(curl)
            step = np.array([np.cos(bend) * np.cos(turn), -np.sin(bend), np.cos(bend) * np.sin(turn)])
            joint = joint + s * length * (axes.T @ step)
            bones.append(joint)
        sizes = s * radius * np.array([1.0, 1.06, 1.0, 0.93, 0.80])
        fingers.append(_chain(bones, list(sizes)))
    return palm, fingers


def _chain(joints: list[np.ndarray], radii: list[float]) -> list[Part]:
    cones = zip(joints, radii, joints[1:], radii[1:], strict=False)
    return [Part(0.003, Cone(*cone)) for cone in cones]


def _thicker(profile: np.ndarray, factor: float) -> np.ndarray:
    return np.column_stack([profile[:, 0], factor * profile[:, 1:]])


def _across(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Outwards, square to a bone that goes down (3,)."""
    axis = (end - start) / np.linalg.norm(end - start)
    side = _SIDE - (_SIDE @ axis) * axis
    return side / np.linalg.norm(side)
