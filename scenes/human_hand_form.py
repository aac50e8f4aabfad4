"""The form of our human hand: a skeleton from published proportions, and a soft solid around it.

Everything is in millimetres in the root frame of a right hand: origin at the wrist, x towards the fingers, y towards
the thumb, z out of the back.  docs/hand.md says where the numbers come from.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

FINGERS = ("index", "middle", "ring", "pinky")  # from the thumb outwards
DIGITS = ("index", "middle", "pinky", "ring", "thumb")  # the order of MANO's joints

# What one unit of each shape parameter does: a standard deviation among adults.  Size takes along everything; the
# others are what is left of a measure's variation when size is taken out.
SHAPES = {
    "size": 0.063,
    "thumb_length": 0.05,
    "index_length": 0.05,
    "middle_length": 0.05,
    "ring_length": 0.05,
    "pinky_length": 0.05,
    "finger_thickness": 0.06,
    "palm_width": 0.05,
    "palm_thickness": 0.07,
    "palm_length": 0.04,
}

# Centre of the first knuckle; lengths from there to the next joints and to the tip; direction within the plane of the
# palm [degrees towards the thumb]; thickness relative to the middle finger.
_RAYS = {
    "index": ((87.0, 27.0, 1.0), (42.8, 23.4, 22.7), 8.5, 0.97),
    "middle": ((88.0, 5.5, 2.5), (47.6, 27.3, 24.4), 1.0, 1.0),
    "ring": ((82.0, -15.5, 1.0), (44.4, 26.7, 24.3), -8.0, 0.94),
    "pinky": ((74.0, -34.5, -2.5), (35.2, 19.1, 22.2), -18.0, 0.83),
}
_THUMB_ROOT = (21.0, 21.0, -9.0)
_THUMB_LENGTHS = (40.0, 34.0, 31.8)
_THUMB_PLANE, _THUMB_DROP = 42.0, 18.0  # direction of its metacarpal: towards the thumb, towards the palm [degrees]
_THUMB_TURN = 62.0  # its nail looks that far away from the back of the hand [degrees]
_THUMB_BEND = 14.0  # between metacarpal and the rest of it [degrees]

# Half width, height above the axis and depth below it of the middle finger at parts of its length (0 is the first
# knuckle, 1, 2 and 3 are the next joints and the tip), and of the thumb (1 is its first free knuckle).
_FINGER_PROFILE = np.array(
    [
        (-0.20, 9.0, 9.2, 10.5),
        (0.42, 9.1, 8.8, 10.0),
        (0.70, 8.8, 8.2, 9.3),
        (0.90, 9.15, 8.7, 8.7),
        (1.00, 9.3, 8.9, 8.4),
        (1.14, 9.0, 8.4, 8.3),
        (1.50, 8.3, 7.4, 8.5),
        (1.85, 8.15, 6.9, 7.7),
        (2.00, 8.2, 6.8, 7.2),
        (2.20, 8.0, 6.3, 7.4),
        (2.50, 8.0, 5.7, 7.8),
        (3.00, 7.5, 5.0, 7.1),
    ]
)
_THUMB_PROFILE = np.array(
    [
        (0.70, 10.9, 10.3, 11.2),
        (1.00, 11.0, 10.5, 10.7),
        (1.25, 10.0, 9.5, 10.1),
        (1.50, 9.5, 8.9, 10.1),
        (1.85, 10.2, 9.0, 9.6),
        (2.00, 10.5, 8.9, 9.1),
        (2.25, 10.4, 7.9, 9.1),
        (2.50, 10.2, 6.8, 9.6),
        (3.00, 9.1, 5.7, 8.6),
    ]
)
_CHORDS = 1.03  # rings have eight corners: this makes up for what their sides cut off


def _smooth(profile: np.ndarray) -> np.ndarray:
    """A profile with a row for every hundredth of a part, without corners."""
    from scipy.interpolate import PchipInterpolator

    places = np.arange(profile[0, 0], profile[-1, 0] + 5e-3, 0.01)
    return np.column_stack([places, _CHORDS * PchipInterpolator(profile[:, 0], profile[:, 1:])(places)])


_TIP_ROUNDING = {"thumb": 14.0}  # length of the rounded end; 10 mm times the thickness for fingers
WEB = 0.43  # where fingers part, in lengths of the first phalanx


@dataclass(frozen=True)
class Digit:
    """A finger or the thumb at rest: joints (3, 3), tip (3,), frames (3, 3, 3) with columns x, y, z of each link.

    The straight part has its axis through ``joints[first]``; ``lengths`` are the distances from joint to joint.
    """

    name: str
    joints: np.ndarray
    tip: np.ndarray
    frames: np.ndarray
    lengths: np.ndarray
    thickness: float
    profile: np.ndarray
    first: int

    def station(self, points: np.ndarray) -> np.ndarray:
        """Place along the digit: 0, 1, 2 at the joints, 3 at the tip."""
        marks = np.r_[0.0, np.cumsum(self.lengths)]
        if self.first == 0:
            along = (points - self.joints[0]) @ self.frames[0][:, 2]
        else:
            near = (points - self.joints[0]) @ self.frames[0][:, 2]
            far = (points - self.joints[1]) @ self.frames[1][:, 2] + self.lengths[0]
            along = np.where(near + far < 2.0 * self.lengths[0], near, far)
        inside = np.interp(along, marks, np.arange(4.0))
        before, after = along / self.lengths[0], 3.0 + (along - marks[3]) / self.lengths[2]
        return np.where(along < 0.0, before, np.where(along > marks[3], after, inside))

    def axis(self, station: float) -> tuple[np.ndarray, np.ndarray]:
        """Point on the bones at a station, and the frame there; halfway between two links at a joint."""
        link = int(np.clip(np.floor(station), 0, 2))
        point = self.joints[link] + (station - link) * self.lengths[link] * self.frames[link][:, 2]
        frame = self.frames[link]
        if self.first == 1 and abs(station - 1.0) < 0.3:
            share = np.clip((station - 0.7) / 0.6, 0.0, 1.0)
            frame = (1.0 - share) * self.frames[0] + share * self.frames[1]
            frame = np.linalg.svd(frame)[0] @ np.linalg.svd(frame)[2]
        return point, frame

    def field(self, points: np.ndarray) -> np.ndarray:
        """About the distance to the straight part's surface, negative inside (point,)."""
        local = (points - self.joints[self.first]) @ self.frames[self.first]
        ends = self.lengths.sum() - (self.lengths[0] if self.first else 0.0)
        station = self.station(points)
        rounding = _TIP_ROUNDING.get(self.name, 10.0) * self.thickness
        low = self.profile[0, 0]
        width, height, depth = (
            np.interp(station, self.profile[:, 0], row) * self.thickness for row in self.profile.T[1:]
        )
        vertical = np.where(local[:, 1] > 0.0, height, depth)
        power = 2.25
        around = (np.abs(local[:, 0] / width) ** power + np.abs(local[:, 1] / vertical) ** power) ** (1.0 / power)
        beyond = np.maximum(local[:, 2] - (ends - rounding), 0.0) / rounding
        before = np.maximum((low - station) * self.lengths[self.first], 0.0) / 8.0
        norm = np.sqrt(around**2 + beyond**2 + before**2)
        return (norm - 1.0) * np.minimum(width, vertical)


@dataclass(frozen=True)
class Form:
    """A hand of one shape: its digits, and how far the palm is stretched along x, y and z."""

    digits: dict[str, Digit]
    stretch: np.ndarray
    _cones: list = field(default_factory=list)

    def palm(self, points: np.ndarray) -> np.ndarray:
        """About the distance to the palm's surface, negative inside (point,)."""
        inside = points / self.stretch
        value = _wrist(inside)
        for blend, *cone in _PALM:
            value = blend_min(value, _round_cone(inside, *cone), blend)
        thumb = self.digits["thumb"]
        radii = 11.5 * thumb.thickness, 11.2 * thumb.thickness
        bone = _round_cone(points, thumb.joints[0], radii[0], thumb.joints[1], radii[1])
        return blend_min(value, bone, 9.0)

    def field(self, points: np.ndarray) -> np.ndarray:
        """About the distance to the hand's surface, negative inside (point,)."""
        palm = self.palm(points)
        return np.min([blend_min(palm, digit.field(points), 5.0) for digit in self.digits.values()], axis=0)


def blend_min(a: np.ndarray, b: np.ndarray, reach: float) -> np.ndarray:
    """The smaller of two distances, with a fillet where they differ by less than ``reach``."""
    overlap = np.maximum(reach - np.abs(a - b), 0.0) / reach
    return np.minimum(a, b) - 0.25 * reach * overlap**2


def _round_cone(points: np.ndarray, start, start_radius: float, end, end_radius: float) -> np.ndarray:
    """About the distance to a cone with round ends."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    axis = end - start
    share = np.clip((points - start) @ axis / (axis @ axis), 0.0, 1.0)
    radius = start_radius + share * (end_radius - start_radius)
    return np.linalg.norm(points - start - share[:, None] * axis, axis=1) - radius


def _wrist(points: np.ndarray) -> np.ndarray:
    """The end of the forearm: an oval tube that ends inside the palm."""
    share = np.clip((points[:, 0] + 16.0) / 36.0, 0.0, 1.0)
    share = share * share * (3.0 - 2.0 * share)
    width, height, power = 27.0 + 4.0 * share, 18.5 - 3.5 * share, 2.4
    across = np.abs(points[:, 1] / width) ** power + np.abs((points[:, 2] + 3.5) / height) ** power
    beyond = np.maximum(points[:, 0] - 12.0, 0.0) / 25.0
    return (np.sqrt(across ** (2.0 / power) + beyond**2) - 1.0) * height


def _palm_cones() -> list[tuple]:
    """Blend, start, radius, end, radius of the cones that make up the palm of the mean hand."""
    cones = []
    knuckles = [np.array(_RAYS[name][0]) for name in FINGERS]
    tubes = [1.03, 1.0, 0.95, 0.94]
    for knuckle, size in zip(knuckles, tubes, strict=True):
        x, y, z = knuckle
        cones.append((14.0, (14.0, 0.62 * y, -1.5), 11.5, (x - 2.0, y, z - 1.0), 10.0 * size))  # metacarpal
        cones.append((7.0, (26.0, 0.75 * y, -7.0), 9.0, (x + 4.0, y, -7.0), 10.0 * size))  # flesh below it
        cones.append((5.0, (x - 3.0, y, z + 3.0), 7.6 * size, (x + 5.0, y, z + 2.5), 7.6 * size))  # knuckle
    for a, b, web in ((0, 1, 104.5), (1, 2, 103.0), (2, 3, 96.0)):
        middle = 0.5 * (knuckles[a] + knuckles[b])
        shift = 0.5 * (knuckles[b][1] - knuckles[a][1])
        start = (middle[0] - 4.0, middle[1], -5.0)
        across = (web - middle[0]) * np.tan(np.radians(0.5 * (_RAYS[FINGERS[a]][2] + _RAYS[FINGERS[b]][2])))
        cones.append((4.0, start, 9.0, (web - 4.0, middle[1] + across, -4.5), min(5.0, abs(shift))))
    cones += [
        (9.0, (16.0, 15.0, -10.0), 12.5, (44.0, 32.0, -17.5), 12.5),  # thenar
        (9.0, (46.0, 27.0, -12.0), 9.0, (66.0, 27.0, -8.0), 8.0),
        (10.0, (42.0, 33.0, -15.0), 8.0, (78.0, 28.0, -6.0), 6.0),  # between thumb and index finger
        (9.0, (14.0, -17.0, -9.0), 12.5, (56.0, -27.5, -9.0), 11.5),  # hypothenar
    ]
    return cones


_PALM = _palm_cones()


def make_form(shape: np.ndarray | None = None) -> Form:
    """The hand of one shape: ``shape`` (10,) in the order of SHAPES, the mean hand by default."""
    step = dict(zip(SHAPES, np.zeros(len(SHAPES)) if shape is None else np.asarray(shape, float), strict=True))
    gain = {name: 1.0 + SHAPES["size"] * step["size"] + SHAPES[name] * step[name] for name in list(SHAPES)[1:]}
    stretch = np.array([gain["palm_length"], gain["palm_width"], gain["palm_thickness"]])
    digits = {}
    for name in FINGERS:
        knuckle, lengths, angle, thickness = _RAYS[name]
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        frame = np.array([(-s, 0.0, c), (c, 0.0, s), (0.0, 1.0, 0.0)])  # columns: sideways, back, along
        lengths = np.array(lengths) * gain[f"{name}_length"]
        marks = np.r_[0.0, np.cumsum(lengths)]
        line = np.array(knuckle) * stretch + marks[:, None] * frame[:, 2]
        size = thickness * gain["finger_thickness"]
        digits[name] = Digit(name, line[:3], line[3], np.stack([frame] * 3), lengths, size, _smooth(_FINGER_PROFILE), 0)
    digits["thumb"] = _make_thumb(gain, stretch)
    return Form(digits, stretch)


def _make_thumb(gain: dict[str, float], stretch: np.ndarray) -> Digit:
    plane, drop, turn = np.radians([_THUMB_PLANE, _THUMB_DROP, _THUMB_TURN])
    along = np.array([np.cos(plane) * np.cos(drop), np.sin(plane) * np.cos(drop), -np.sin(drop)])
    level = np.cross([0.0, 0.0, 1.0], along)
    level /= np.linalg.norm(level)
    back = np.cos(turn) * np.cross(along, level) + np.sin(turn) * level
    base = np.stack([np.cross(back, along), back, along], axis=1)
    bend = np.radians(_THUMB_BEND)  # about x; positive closes
    c, s = np.cos(bend), np.sin(bend)
    free = base @ np.array([(1.0, 0.0, 0.0), (0.0, c, -s), (0.0, s, c)])
    lengths = np.array(_THUMB_LENGTHS) * gain["thumb_length"]
    joints = [np.array(_THUMB_ROOT) * stretch]
    frames = np.stack([base, free, free])
    for frame, length in zip(frames, lengths, strict=True):
        joints.append(joints[-1] + length * frame[:, 2])
    line = np.array(joints)
    return Digit("thumb", line[:3], line[3], frames, lengths, gain["finger_thickness"], _smooth(_THUMB_PROFILE), 1)
