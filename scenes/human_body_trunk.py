"""Trunk, neck and head of our human body, as soft solids of its left half."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.scenes.human_body_measures import Measures
from warpprior.scenes.human_body_solid import Cone, Ellipsoid, Loft, Part

# Place along pelvis to neck; half width, front and back; what girth and sex add to the three, in parts.
_TORSO = np.array(
    [
        # y      width  front  back    girth             sex
        (0.790, 0.085, 0.055, 0.075, 0.5, 0.6, 0.6, 0.00, 0.00, 0.00),
        (0.830, 0.135, 0.082, 0.098, 0.8, 0.9, 0.8, -0.02, 0.00, -0.02),
        (0.885, 0.168, 0.097, 0.106, 0.9, 1.0, 0.8, -0.035, 0.00, -0.03),
        (0.930, 0.166, 0.103, 0.101, 0.9, 1.4, 0.8, -0.025, 0.00, -0.03),
        (0.980, 0.151, 0.104, 0.090, 1.1, 2.0, 0.8, 0.01, 0.02, 0.00),
        (1.030, 0.138, 0.100, 0.080, 1.3, 2.3, 0.8, 0.05, 0.03, 0.02),
        (1.080, 0.133, 0.098, 0.080, 1.3, 2.2, 0.8, 0.06, 0.03, 0.03),
        (1.130, 0.137, 0.101, 0.088, 1.1, 1.6, 0.8, 0.06, 0.04, 0.04),
        (1.190, 0.147, 0.107, 0.099, 0.9, 1.0, 0.7, 0.06, 0.05, 0.05),
        (1.250, 0.155, 0.110, 0.108, 0.8, 0.7, 0.7, 0.07, 0.05, 0.05),
        (1.300, 0.158, 0.106, 0.111, 0.7, 0.6, 0.7, 0.07, 0.05, 0.05),
        (1.345, 0.150, 0.092, 0.105, 0.5, 0.5, 0.6, 0.07, 0.05, 0.05),
        (1.385, 0.130, 0.072, 0.094, 0.4, 0.4, 0.5, 0.06, 0.05, 0.05),
        (1.420, 0.095, 0.050, 0.080, 0.3, 0.3, 0.4, 0.05, 0.05, 0.05),
        (1.455, 0.060, 0.036, 0.066, 0.3, 0.3, 0.4, 0.05, 0.05, 0.05),
    ]
)
_SIDE = np.array([1.0, 0.0, 0.0])


def _turn(x: float, y: float, z: float) -> np.ndarray:
    """Rows are the axes of a frame that is turned about x, then y, then z [rad] (3, 3)."""
    return Rotation.from_euler("xyz", (x, y, z)).as_matrix().T


_EAR, _BROW = _turn(0.18, -0.30, -0.12), _turn(0.0, 0.35, -0.1)


def make_trunk(body: Measures) -> list[Part]:
    """From the crotch to the top of the head."""
    return [*_torso(body), *_flesh(body), *_neck(body), *_head(body), *_face(body)]


def _torso(body: Measures) -> list[Part]:
    hips, neck = body.joints["pelvis"], body.joints["neck"]
    mean = Measures.of().joints
    place = (_TORSO[:, 0] - mean["pelvis"][1]) / (mean["neck"][1] - mean["pelvis"][1])
    gain = 1.0 + body.girth * _TORSO[:, 4:7] + body.sex * _TORSO[:, 7:10] + 0.3 * body.muscle
    width, front, back = (_TORSO[:, 1:4] * gain).T
    low, high = np.clip((1.05 - _TORSO[:, 0]) / 0.1, 0.0, 1.0), np.clip((_TORSO[:, 0] - 1.05) / 0.2, 0.0, 1.0)
    width = width * (1.0 + low * (body.hips - 1.0) + high * (body.shoulders - 1.0))
    profile = np.column_stack([place, width, width, back, front])  # the axis goes up, so its front is the back
    top = np.array([0.0, neck[1], hips[2] - 0.012])
    return [Part(0.0, Loft(np.array([0.0, *hips[1:]]), top, _SIDE, profile, 2.25, 0.03))]


def _flesh(body: Measures) -> list[Part]:
    """Muscles and fat on the trunk."""
    muscle, soft = body.radius(0.3, 0.05, 1.2), body.radius(1.0, -0.02, 0.3)
    breast = 0.35 - 0.75 * body.sex + body.girth
    turned = _turn(0.0, 0.0, -0.35)
    seat = np.array([0.078 * body.hips, 0.872, -0.062])
    return [
        Part(0.045, Ellipsoid(seat, soft * np.array([0.082, 0.088, 0.070]))),
        Part(0.05, Ellipsoid(body.upper((0.082, 1.308, 0.062)), muscle * np.array([0.078, 0.058, 0.036]), turned)),
        Part(
            0.03,
            Ellipsoid(body.upper((0.082, 1.262, 0.082)), np.array([0.052, 0.050, 0.031 + 0.022 * breast])),
        ),
        Part(0.06, Ellipsoid(body.upper((0.125, 1.26, -0.045)), muscle * np.array([0.040, 0.110, 0.055]))),
        Part(
            0.04,
            Ellipsoid(body.upper((0.088, 1.315, -0.088)), muscle * np.array([0.060, 0.078, 0.034]), _turn(0, 0, 0.2)),
        ),
        Part(
            0.05,
            Cone(
                body.upper((0.040, 1.445, -0.045)), 0.040 * muscle, body.upper((0.150, 1.412, -0.022)), 0.032 * muscle
            ),
        ),
        Part(0.03, Cone(body.upper((0.030, 1.400, 0.030)), 0.018, body.upper((0.150, 1.412, 0.010)), 0.022)),
    ]


def _neck(body: Measures) -> list[Part]:
    thick = body.radius(0.5, 0.06, 0.8)
    top = body.face((0.0, 1.560, 0.000))
    base = body.joints["neck"] + (0.0, -0.03, 0.010)
    width, back, front = thick * np.array(
        [(0.064, 0.056, 0.054, 0.056), (0.060, 0.056, 0.055, 0.058), (0.060, 0.055, 0.054, 0.052)]
    )
    profile = np.column_stack([(-0.1, 0.35, 0.7, 1.05), width, width, back, front])
    return [Part(0.035, Loft(base, top, _SIDE, profile, 2.0, 0.03))]


def _head(body: Measures) -> list[Part]:
    """Skull, jaw, ears."""
    s = body.head
    jaw = 1.0 + 0.04 * body.sex + 0.35 * body.girth
    return [
        Part(0.030, Ellipsoid(body.face((0.0, 1.618, -0.006)), s * np.array([0.0745, 0.084, 0.094]))),
        Part(0.030, Ellipsoid(body.face((0.0, 1.570, 0.038)), s * np.array([0.0605 * jaw, 0.078, 0.064]))),
        Part(0.025, Ellipsoid(body.face((0.0, 1.528, 0.044)), s * jaw * np.array([0.0515, 0.040, 0.052]))),
        Part(0.022, Ellipsoid(body.face((0.0, 1.496, 0.080)), s * jaw * np.array([0.023, 0.018, 0.020]))),
        Part(
            0.006,
            Ellipsoid(body.face((0.076, 1.578, -0.006)), s * np.array([0.0085, 0.031, 0.0185]), _EAR),
        ),
    ]


def _face(body: Measures) -> list[Part]:
    s = body.head
    brow = 1.0 + 0.06 * body.sex
    return [
        Part(0.025, Ellipsoid(body.face((0.036, 1.558, 0.068)), s * np.array([0.028, 0.024, 0.026]))),  # cheek
        Part(-0.016, Ellipsoid(body.face((0.033, 1.590, 0.116)), s * np.array([0.020, 0.014, 0.022]))),  # socket
        Part(
            0.018,
            Ellipsoid(body.face((0.028, 1.6090, 0.083)), s * brow * np.array([0.027, 0.0080, 0.013]), _BROW),
        ),
        Part(0.006, Ellipsoid(body.face((0.032, 1.589, 0.0835)), s * np.array([0.0150, 0.0120, 0.0125]))),  # eye
        Part(
            0.014, Cone(body.face((0.0, 1.602, 0.0955)), 0.0070 * s, body.face((0.0, 1.5625, 0.1155)), 0.0105 * s)
        ),  # nose
        Part(0.007, Ellipsoid(body.face((0.0105, 1.5575, 0.1065)), s * np.array([0.0085, 0.0075, 0.010]))),
        Part(0.010, Ellipsoid(body.face((0.0, 1.5315, 0.0955)), s * np.array([0.024, 0.0065, 0.0125]))),  # lips
        Part(0.010, Ellipsoid(body.face((0.0, 1.5205, 0.0945)), s * np.array([0.021, 0.0070, 0.0125]))),
    ]
