"""The surface of our human hand: a fixed net of rings around the digits and rows across the palm, drawn onto the form.

The net is the same for every shape, so that the difference of two surfaces is a direction to blend along.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from warpprior.scenes.human_hand_form import FINGERS, WEB, Form

ROWS = np.array([0.0, 0.14, 0.27, 0.40, 0.53, 0.66, 0.78, 0.89, 1.0, 1.5, 2.0])  # 1: the knuckles, 2: the webs
KNUCKLES = int(np.flatnonzero(ROWS == 1.0)[0])
COLUMNS = 3 * len(FINGERS)
HOLE = 4  # the thumb leaves the side of the palm between this row and the next but one
WRIST = -20.0  # where the forearm is cut off [mm]

# Corners of a ring, seen along the digit, as angles from sideways (x) over the back (y) [degrees].
_CORNERS = np.array([42.0, 90.0, 138.0, 180.0, 222.0, 270.0, 318.0, 360.0])
# Places of the rings: a joint or, after the plus, how far beyond it [mm at mean size].
_FINGER_RINGS = (
    (0, 0.66),
    (1, -7.5),
    (1, -2.8),
    (1, 2.2),
    (1, 7.0),
    (1, 0.5),
    (2, -6.0),
    (2, -2.0),
    (2, 2.2),
    (2, 7.0),
)
_THUMB_RINGS = ((1, -7.0), (1, -2.2), (1, 2.4), (1, 7.5), (1, 0.5), (2, -7.0), (2, -2.3), (2, 2.4), (2, 8.0))
_TIP_RINGS = (12.5, 6.2, 1.9)  # before the tip [mm]
_THUMB_START, _THUMB_INNER = 0.62, 228.0  # its first ring; the corner angle that looks at the index finger
_THUMB_SLANTS = (0.50, 0.34, 0.26, 0.19, 0.09)  # how much further out the first rings are there


@dataclass(frozen=True)
class Net:
    """Who is connected to whom, and what each vertex belongs to.

    Attributes:
        faces: (face, 3), counter-clockwise seen from outside.
        palm: (row, column, 2) vertices of the back and of the inside of the palm.
        sides: (row, 2) vertices halfway down the thumb's side and the far side; -1 where the thumb leaves.
        webs: (finger, 2) vertices halfway down both sides of a finger's first ring.
        cap: vertices inside the cut at the wrist (column - 2,).
        rings: {digit: (ring, 8)}, the first one shared with the palm; tips: {digit: vertex}.
        vertex_count: number of vertices.
    """

    faces: np.ndarray
    palm: np.ndarray
    sides: np.ndarray
    webs: np.ndarray
    cap: np.ndarray
    rings: dict[str, np.ndarray]
    tips: dict[str, int]
    vertex_count: int


def make_net() -> Net:
    """The net of the hand."""
    count = 0

    def take(*shape: int) -> np.ndarray:
        nonlocal count
        numbers = np.arange(count, count + int(np.prod(shape))).reshape(shape)
        count += numbers.size
        return numbers

    rows, last = len(ROWS), len(ROWS) - 1
    palm = take(rows, COLUMNS, 2)
    sides = np.full((rows, 2), -1)
    for row in range(rows):
        for side in (0, 1):
            if not (row == HOLE + 1 and side == 0):
                sides[row, side] = take(1)[0]
    webs = np.full((len(FINGERS), 2), -1)
    webs[0, 0], webs[-1, 1] = sides[last]
    for finger in range(len(FINGERS) - 1):
        webs[finger, 1], webs[finger + 1, 0] = take(2)
    cap = take(COLUMNS - 2)

    rings, tips = {}, {}
    for finger, name in enumerate(FINGERS):
        a, b, c = palm[last, 3 * finger : 3 * finger + 3]
        base = [a[0], b[0], c[0], webs[finger, 1], c[1], b[1], a[1], webs[finger, 0]]
        rings[name] = np.vstack([base, take(len(_FINGER_RINGS) + len(_TIP_RINGS), 8)])
        tips[name] = int(take(1)[0])
    up, down = palm[HOLE : HOLE + 3, 0].T
    base = [sides[HOLE, 0], up[0], up[1], up[2], sides[HOLE + 2, 0], down[2], down[1], down[0]]
    rings["thumb"] = np.vstack([base, take(len(_THUMB_RINGS) + len(_TIP_RINGS), 8)])
    tips["thumb"] = int(take(1)[0])

    faces = _palm_faces(palm, sides, webs, cap) + _tube_faces(rings, tips)
    return Net(_triangles(faces), palm, sides, webs, cap, rings, tips, count)


def joint_rings(name: str) -> list[int]:
    """The rings beside the free joints of a digit."""
    places = _THUMB_RINGS if name == "thumb" else _FINGER_RINGS
    return [1 + number for number, (_, offset) in enumerate(places) if 1.0 < abs(offset) < 5.0]


def _palm_faces(palm, sides, webs, cap) -> list[tuple]:
    """Polygons of the palm, counter-clockwise seen from outside."""
    faces, last = [], len(palm) - 1
    for row in range(last):
        for column in range(COLUMNS - 1):
            a, b = palm[row, column], palm[row, column + 1]
            c, d = palm[row + 1, column + 1], palm[row + 1, column]
            faces += [(a[0], b[0], c[0], d[0]), (a[1], d[1], c[1], b[1])]
        for side, column in ((0, 0), (1, COLUMNS - 1)):
            if side == 0 and row in (HOLE, HOLE + 1):
                continue
            near, far = palm[row, column], palm[row + 1, column]
            strip = [
                (near[0], far[0], sides[row + 1, side], sides[row, side]),
                (sides[row, side], sides[row + 1, side], far[1], near[1]),
            ]
            faces += strip if side == 0 else [polygon[::-1] for polygon in strip]
    for finger in range(len(webs) - 1):
        a, b = palm[last, 3 * finger + 2], palm[last, 3 * finger + 3]
        left, right = webs[finger, 1], webs[finger + 1, 0]
        faces += [(a[0], b[0], right, left), (left, right, b[1], a[1])]
    middle = [sides[0, 0], *cap, sides[0, 1]]
    for column in range(COLUMNS - 1):
        a, b = palm[0, column], palm[0, column + 1]
        faces += [(b[0], a[0], middle[column], middle[column + 1]), (middle[column + 1], middle[column], a[1], b[1])]
    return faces


def _tube_faces(rings, tips) -> list[tuple]:
    faces = []
    for name, tube in rings.items():
        for near, far in pairwise(tube):
            for i in range(8):
                j = (i + 1) % 8
                faces.append((near[i], near[j], far[j], far[i]))
        faces += [(tube[-1][i], tube[-1][(i + 1) % 8], tips[name]) for i in range(8)]
    return faces


def _triangles(polygons: list[tuple]) -> np.ndarray:
    """Cuts quadrilaterals in two; every second one along the other diagonal, so that no side is favoured."""
    triangles = []
    for number, polygon in enumerate(polygons):
        if len(polygon) == 3:
            triangles.append(polygon)
        else:
            a, b, c, d = polygon
            triangles += [(a, b, c), (a, c, d)] if number % 2 else [(a, b, d), (b, c, d)]
    return np.array(triangles, dtype=np.int32)


def shape_vertices(net: Net, form: Form) -> np.ndarray:
    """The surface of one hand (vertex, 3) [mm]: rings by rays from the bones, the palm by rays and relaxation."""
    vertices = np.zeros((net.vertex_count, 3))
    for name, tube in net.rings.items():
        _draw_digit(vertices, form, name, tube, net.tips[name])
    _draw_palm(vertices, net, form)
    _relax(vertices, net, form)
    return vertices


def _stations(form: Form, name: str) -> list[float]:
    """Places of a digit's rings, the first included: 0, 1, 2 at the joints, 3 at the tip."""
    digit = form.digits[name]
    places = [_THUMB_START if name == "thumb" else WEB]
    for joint, offset in _THUMB_RINGS if name == "thumb" else _FINGER_RINGS:
        lengths = digit.lengths
        if 0.0 < offset < 1.0:
            places.append(joint + offset)
        else:
            mean = digit.thickness
            places.append(joint + offset * mean / lengths[joint - 1 if offset < 0.0 else joint])
    scale = 1.25 if name == "thumb" else digit.thickness
    return places + [3.0 - scale * before / digit.lengths[2] for before in _TIP_RINGS]


def _draw_digit(vertices, form: Form, name: str, tube, tip: int) -> None:
    digit = form.digits[name]
    stations = _stations(form, name)
    free = 1.2 if name == "thumb" else WEB + 0.1
    slants = _THUMB_SLANTS if name == "thumb" else ()
    starts, directions = np.zeros((len(tube), 8, 3)), np.zeros((len(tube), 8, 3))
    for number, station in enumerate(stations):
        slant = slants[number] if number < len(slants) else 0.0
        for corner, angle in enumerate(np.radians(_CORNERS)):
            lean = 0.5 + 0.5 * np.cos(angle - np.radians(_THUMB_INNER))
            starts[number, corner], frame = digit.axis(station + slant * lean)
            directions[number, corner] = np.cos(angle) * frame[:, 0] + np.sin(angle) * frame[:, 1]
    beyond = np.array(stations) > free  # there other digits must not stop the rays
    for chosen, solid in ((beyond, digit.field), (~beyond, form.field)):
        ends = cast(solid, starts[chosen].reshape(-1, 3), directions[chosen].reshape(-1, 3), 20.0)
        vertices[tube[chosen]] = ends.reshape(-1, 8, 3)
    vertices[tip] = digit.tip


def cast(solid, starts: np.ndarray, directions: np.ndarray, reach: float) -> np.ndarray:
    """Where rays from inside leave a solid (ray, 3), at the end of their reach at the latest."""
    steps = np.linspace(0.0, reach, 50)
    along = starts[:, None] + steps[None, :, None] * directions[:, None]
    outside = solid(along.reshape(-1, 3)).reshape(along.shape[:2]) > 0.0
    outside[:, -1] = True
    first = np.maximum(outside.argmax(axis=1), 1)
    low, high = steps[first - 1], steps[first]
    for _ in range(20):
        middle = 0.5 * (low + high)
        out = solid(starts + middle[:, None] * directions) > 0.0
        low, high = np.where(out, low, middle), np.where(out, middle, high)
    return starts + (0.5 * (low + high))[:, None] * directions


def _draw_palm(vertices, net: Net, form: Form) -> None:
    """A first guess of the palm: lines from the wrist through the knuckles to the webs, pushed up and down."""
    last = len(ROWS) - 1
    across = np.linspace(1.0, -1.0, COLUMNS) * 27.0 * form.stretch[1]
    places = np.zeros((last, COLUMNS, 3))
    for column in range(COLUMNS):
        digit = form.digits[FINGERS[column // 3]]
        sideways = (1.0, 0.0, -1.0)[column % 3] * 8.5 * digit.thickness
        wrist = np.array([WRIST * form.stretch[0], across[column], -2.0])
        knuckle = digit.joints[0] + sideways * digit.frames[0][:, 0]
        web = vertices[net.palm[last, column]].mean(axis=0)
        before = np.minimum(ROWS[:last, None], 1.0)
        after = np.maximum(ROWS[:last, None] - 1.0, 0.0)
        places[:, column] = wrist + before * (knuckle - wrist) + after * (web - knuckle)
    starts = (places * (1.0, 0.8, 0.0) + (0.0, 0.0, -3.0)).reshape(-1, 3)
    drawn = np.ones((last, COLUMNS), dtype=bool)
    drawn[HOLE : HOLE + 3, 0] = False  # the rim of the hole is the thumb's first ring
    for side, up in ((0, 1.0), (1, -1.0)):
        directions = np.tile([0.0, 0.0, up], (last, COLUMNS, 1))
        directions[:, 0], directions[:, -1] = (0.0, 0.57, 0.82 * up), (0.0, -0.57, 0.82 * up)
        ends = cast(form.palm, starts, directions.reshape(-1, 3), 30.0).reshape(last, COLUMNS, 3)
        vertices[net.palm[:last, :, side][drawn]] = ends[drawn]
    for side, column in ((0, 0), (1, COLUMNS - 1)):
        rows = [row for row in range(1, last) if side == 1 or not HOLE <= row <= HOLE + 2]
        vertices[net.sides[rows, side]] = vertices[net.palm[rows, column]].mean(axis=1)
    _draw_wrist(vertices, net, form)


def _draw_wrist(vertices, net: Net, form: Form) -> None:
    """The rim of the cut and the vertices within it."""
    across = np.linspace(0.9, -0.9, COLUMNS) * 27.0 * form.stretch[1]
    starts = np.column_stack([np.full(COLUMNS, WRIST * form.stretch[0]), across, np.full(COLUMNS, -3.5)])
    for side, up in ((0, 1.0), (1, -1.0)):
        vertices[net.palm[0, :, side]] = cast(form.palm, starts, np.tile([0.0, 0.0, up], (COLUMNS, 1)), 30.0)
    for side, column in ((0, 0), (1, COLUMNS - 1)):
        out = np.array([[0.0, 1.0 - 2.0 * side, 0.0]])
        vertices[net.sides[0, side]] = cast(form.palm, starts[column : column + 1], out, 20.0)[0]
    vertices[net.cap] = vertices[net.palm[0, 1:-1]].mean(axis=1) - (1.5, 0.0, 0.0)


def _relax(vertices, net: Net, form: Form, rounds: int = 60) -> None:
    """Evens out the palm and the first rings within the surface; what lies further out stays."""
    count = len(vertices)
    pairs = np.concatenate([net.faces[:, [0, 1]], net.faces[:, [1, 2]], net.faces[:, [2, 0]]])
    freedom = np.zeros(count)
    freedom[net.palm] = 1.0
    freedom[net.sides[net.sides >= 0]] = 1.0
    freedom[net.webs] = 0.5
    freedom[net.palm[-1]] = 0.25
    freedom[net.rings["thumb"][0]] = 0.9
    freedom[net.rings["thumb"][1]] = 0.5
    freedom[net.rings["thumb"][2]] = 0.25
    freedom[np.r_[net.palm[0].ravel(), net.sides[0]]] = 0.0
    moving = np.flatnonzero(freedom)
    degree = np.bincount(pairs[:, 0], minlength=count)[:, None]
    for turn in range(rounds):
        mean = np.stack([np.bincount(pairs[:, 0], vertices[pairs[:, 1], i], count) for i in range(3)], 1) / degree
        vertices[moving] += 0.5 * freedom[moving, None] * (mean - vertices)[moving]
        if turn % 4 == 0:
            slopes = _slopes(form.field, vertices[moving])
        vertices[moving] = _project(form.field, vertices[moving], slopes)
    for _ in range(4):
        vertices[moving] = _project(form.field, vertices[moving], _slopes(form.field, vertices[moving]))


def _slopes(solid, points: np.ndarray) -> np.ndarray:
    """Gradient of a distance by differences at the corners of a tetrahedron (point, 3)."""
    corners = 0.05 * np.array([(1.0, 1.0, 1.0), (1.0, -1.0, -1.0), (-1.0, 1.0, -1.0), (-1.0, -1.0, 1.0)])
    values = solid((points + corners[:, None]).reshape(-1, 3)).reshape(4, -1)
    return values.T @ corners / (4.0 * 0.05**2)


def _project(solid, points: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Moves points along the gradient towards a surface, by 3 mm at most."""
    move = solid(points)[:, None] * slopes / np.maximum((slopes**2).sum(axis=1), 0.05)[:, None]
    length = np.linalg.norm(move, axis=1, keepdims=True)
    return points - move * np.minimum(1.0, 3.0 / np.maximum(length, 1e-9))
