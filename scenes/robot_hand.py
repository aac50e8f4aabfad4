"""A robot hand of our own making in the Allegro hand's proportions: 16 joints, primitive shapes, one URDF file.

The joint layout, link lengths and joint limits are those Wonik Robotics publishes for the right Allegro hand (three
fingers of 54.0, 38.4 and 26.7 mm, a thumb of 51.4 and 42.3 mm, fingers 43.5 mm apart and splayed by 5 degrees).  The
shapes, colours and masses are ours.  Frame of the base: x out of the palm, z along the straight fingers, y towards the
index finger; the origin is at the knuckle of the middle finger.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from warpprior.bodies.body import Body

URDF_PATH = Path(__file__).parent / "assets" / "robot_hand" / "robot_hand.urdf"

FINGERS = ("index", "middle", "ring", "thumb")
KNUCKLE_HEIGHT = 0.0164  # first joint of a finger to its second [m]
PHALANGES = (0.0540, 0.0384, 0.0267)  # [m], the last to the centre of the tip
THUMB_PHALANGES = (0.0514, 0.0423)
TIP_RADIUS = 0.0120

_COLORS = {
    "shell": (0.30, 0.32, 0.36),
    "bone": (0.62, 0.64, 0.67),
    "joint": (0.16, 0.17, 0.19),
    "pad": (0.93, 0.92, 0.88),
}


@dataclass(frozen=True)
class _Joint:
    """A hinge: where its frame sits in the parent's, its axis there, and its limits [rad]."""

    parent: str
    xyz: tuple[float, float, float]
    rpy: tuple[float, float, float]
    axis: tuple[float, float, float]
    lower: float
    upper: float


def _joints() -> dict[str, _Joint]:
    joints: dict[str, _Joint] = {}
    straight = (0.0, 0.0, 0.0)
    for finger, side in (("index", 1.0), ("middle", 0.0), ("ring", -1.0)):
        root = (0.0, 0.0435 * side, -0.001542 if side else 0.0007)
        splay = (-math.radians(5.0) * side, 0.0, 0.0)
        flexion = (0.0, 1.0, 0.0)
        joints[f"{finger}_0"] = _Joint("base", root, splay, (0.0, 0.0, 1.0), -0.47, 0.47)
        joints[f"{finger}_1"] = _Joint(f"{finger}_0", (0.0, 0.0, KNUCKLE_HEIGHT), straight, flexion, -0.196, 1.61)
        joints[f"{finger}_2"] = _Joint(f"{finger}_1", (0.0, 0.0, PHALANGES[0]), straight, flexion, -0.174, 1.709)
        joints[f"{finger}_3"] = _Joint(f"{finger}_2", (0.0, 0.0, PHALANGES[1]), straight, flexion, -0.227, 1.618)
    thumb_root = (-0.0182, 0.019333, -0.045987)
    joints["thumb_0"] = _Joint(
        "base", thumb_root, (0.0, -math.radians(95.0), -math.pi / 2), (-1.0, 0.0, 0.0), 0.263, 1.396
    )
    joints["thumb_1"] = _Joint("thumb_0", (-0.027, 0.005, 0.0399), straight, (0.0, 0.0, 1.0), -0.105, 1.163)
    joints["thumb_2"] = _Joint("thumb_1", (0.0, 0.0, 0.0177), straight, (0.0, 1.0, 0.0), -0.189, 1.644)
    joints["thumb_3"] = _Joint("thumb_2", (0.0, 0.0, THUMB_PHALANGES[0]), straight, (0.0, 1.0, 0.0), -0.162, 1.719)
    return joints


def _shapes() -> dict[str, list[tuple]]:
    """Per link: (kind, sizes [m], centre [m], roll-pitch-yaw, colour)."""
    straight, sideways = (0.0, 0.0, 0.0), (math.pi / 2, 0.0, 0.0)

    def box(size, center, color):
        return ("box", size, center, straight, color)

    def sphere(radius, center, color):
        return ("sphere", (radius,), center, straight, color)

    def rod(radius, start, end, color):
        return ("cylinder", (radius, end - start), (0.0, 0.0, 0.5 * (start + end)), straight, color)

    def hinge(center, color="joint"):
        return ("cylinder", (0.0110, 0.0250), center, sideways, color)

    def phalanx(length):
        return [hinge((0.0, 0.0, 0.0)), box((0.0180, 0.0215, length - 0.019), (0.0, 0.0, 0.5 * length), "bone")]

    def fingertip(length):
        return [
            hinge((0.0, 0.0, 0.0)),
            rod(0.0100, 0.0, length, "bone"),
            sphere(TIP_RADIUS, (0.0, 0.0, length), "pad"),
        ]

    shapes = {
        "base": [
            box((0.0330, 0.1100, 0.0420), (-0.0100, 0.0, -0.0240), "shell"),
            box((0.0330, 0.0640, 0.0400), (-0.0100, -0.0180, -0.0650), "shell"),
            ("cylinder", (0.0260, 0.0220), (-0.0100, 0.0, -0.0960), straight, "joint"),
        ],
    }
    for finger in FINGERS[:3]:
        shapes[f"{finger}_0"] = [("cylinder", (0.0105, 0.0130), (0.0, 0.0, 0.0065), straight, "joint")]
        shapes[f"{finger}_1"] = phalanx(PHALANGES[0])
        shapes[f"{finger}_2"] = phalanx(PHALANGES[1])
        shapes[f"{finger}_3"] = fingertip(PHALANGES[2])
    shapes |= {
        "thumb_0": [box((0.0300, 0.0280, 0.0400), (-0.0200, 0.0060, 0.0150), "shell")],
        "thumb_1": [("cylinder", (0.0105, 0.0177), (0.0, 0.0, 0.0089), straight, "joint")],
        "thumb_2": phalanx(THUMB_PHALANGES[0]),
        "thumb_3": fingertip(THUMB_PHALANGES[1]),
    }
    return shapes


def _numbers(values) -> str:
    return " ".join(f"{value:.6g}" for value in values)


def _geometry(kind: str, sizes: tuple[float, ...]) -> str:
    if kind == "box":
        return f'<box size="{_numbers(sizes)}"/>'
    if kind == "sphere":
        return f'<sphere radius="{_numbers(sizes)}"/>'
    return f'<cylinder radius="{sizes[0]:.6g}" length="{sizes[1]:.6g}"/>'


def robot_hand_urdf() -> str:
    """The text of the hand's URDF file."""
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        "<!-- Written by warpprior.scenes.robot_hand; edit that file, not this one. -->",
        '<robot name="robot_hand">',
    ]
    for name, color in _COLORS.items():
        lines.append(f'  <material name="{name}"><color rgba="{_numbers((*color, 1.0))}"/></material>')
    for link, shapes in _shapes().items():
        lines.append(f'  <link name="{link}">')
        for kind, sizes, center, rpy, color in shapes:
            origin = f'<origin xyz="{_numbers(center)}" rpy="{_numbers(rpy)}"/>'
            geometry = f"<geometry>{_geometry(kind, sizes)}</geometry>"
            lines.append(f'    <visual>{origin}{geometry}<material name="{color}"/></visual>')
            lines.append(f"    <collision>{origin}{geometry}</collision>")
        lines.append("  </link>")
    for name, joint in _joints().items():
        lines += [
            f'  <joint name="{name}_joint" type="revolute">',
            f'    <parent link="{joint.parent}"/><child link="{name}"/>',
            f'    <origin xyz="{_numbers(joint.xyz)}" rpy="{_numbers(joint.rpy)}"/>',
            f'    <axis xyz="{_numbers(joint.axis)}"/>',
            f'    <limit lower="{joint.lower}" upper="{joint.upper}" effort="0.7" velocity="6.28"/>',
            "  </joint>",
        ]
    lines.append("</robot>")
    return "\n".join(lines) + "\n"


def robot_hand(name: str = "hand") -> Body:
    """The hand as a :class:`Body`; coordinates ``index_0_joint`` to ``thumb_3_joint``, four per finger, thumb last."""
    from warpprior.bodies.readers.urdf import read_urdf

    return read_urdf(URDF_PATH, name)
