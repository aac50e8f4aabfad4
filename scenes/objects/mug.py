"""A mug with a handle that fingers fit through: one closed surface of genus 1."""

from __future__ import annotations

import numpy as np

from warpprior.bodies.body import Body, rigid_body
from warpprior.scenes.objects.rings import arc, cylindrical, revolve, zip_all

RADIUS, HEIGHT = 0.040, 0.090  # of the cup [m]
REACH = 0.037  # of the handle's outside from the cup's wall [m]
_WALL = 0.004  # [m]
_ENDS = (0.24, 0.76)  # where the handle leaves the wall, shares of its height
_GRIP = (0.0065, 0.0042)  # half width and half thickness of the handle [m]
_FILLET = 0.004  # distance over which the handle's ends widen [m]
_PATCH = 4  # columns and rows of the wall that an end of the handle takes the place of, even


def mug(name: str = "mug", *, edge: float = 0.0050) -> Body:
    """A mug, 80 mm wide and 90 mm high, its handle towards +x; its origin is on the cup's axis at mid height."""
    inner = RADIUS - _WALL
    outline = [(0.0, 0.0), *arc((RADIUS - 0.004, 0.004), 0.004, -90.0, 0.0, 2)]
    outline += [*arc((RADIUS - 0.5 * _WALL, HEIGHT - 0.5 * _WALL), 0.5 * _WALL, 0.0, 180.0)]
    outline += [*arc((inner - 0.006, _WALL + 0.007), 0.006, 0.0, -90.0, 3), (0.0, _WALL + 0.001)]
    cup, faces, rings = revolve(np.array(outline), edge)
    wall = [ring for ring in rings if np.hypot(*cup[ring[0], :2]) > RADIUS - 1e-9]
    half = 0.5 * _PATCH * (cup[wall[2][0], 2] - cup[wall[1][0], 2])

    ends, inside, heights = [], [], []
    for share, up in zip(_ENDS, (-1.0, 1.0), strict=True):
        middle = round(share * len(wall))
        border, within = _patch(wall[middle - _PATCH // 2 : middle + _PATCH // 2 + 1])
        patch = np.isin(faces, [*border, *within]).all(axis=1)
        faces = faces[~patch]
        height = cup[wall[middle][0], 2]
        # Seen along the handle its rings turn one way, so the border of the lower end is run through backwards.
        border = border if up > 0.0 else [border[0], *border[:0:-1]]
        turn = 2.0 * np.pi * np.arange(len(border)) / len(border)
        angle = half / RADIUS * np.cos(turn)
        cup[border, 0], cup[border, 1] = RADIUS * np.cos(angle), RADIUS * np.sin(angle)
        cup[border, 2] = height + up * half * np.sin(turn)
        ends.append(np.array(border))
        inside += within
        heights.append(height)

    handle = _handle(heights, half, len(ends[0]), edge)
    numbers = len(cup) + np.arange(handle[..., 0].size).reshape(handle.shape[:2])
    vertices = np.concatenate([cup, handle.reshape(-1, 3)])
    faces = np.concatenate([faces, zip_all([ends[1], *numbers, ends[0]])])
    colors = _glaze(vertices, len(cup))
    used = np.setdiff1d(np.arange(len(vertices)), inside)
    renumbered = np.zeros(len(vertices), dtype=np.int32)
    renumbered[used] = np.arange(len(used))
    vertices[:, 2] -= 0.5 * HEIGHT
    return rigid_body(name, vertices[used], renumbered[faces], colors=colors[used].astype(np.float32))


def _patch(rings: list[np.ndarray]) -> tuple[list[int], list[int]]:
    """Border, counter-clockwise from the middle of its +y side, and inside of the patch of a wall around the x axis."""
    columns = np.arange(-(_PATCH // 2), _PATCH // 2 + 1)
    grid = np.array([[ring[column % len(ring)] for column in columns] for ring in rings])
    middle = _PATCH // 2
    border = [*grid[middle:, -1], *grid[-1, -2::-1], *grid[-2::-1, 0], *grid[0, 1:], *grid[1:middle, -1]]
    return [int(number) for number in border], [int(number) for number in grid[1:-1, 1:-1].ravel()]


def _handle(heights: list[float], half: float, count: int, edge: float) -> np.ndarray:
    """Rings (ring, count, 3) of the handle, an ellipse swept along half an ellipse, from the upper end to the lower."""
    out, rise = REACH - _GRIP[1], 0.5 * (heights[1] - heights[0])
    fine = np.linspace(0.0, np.pi, 400)
    path = np.stack([RADIUS + out * np.sin(fine), 0.5 * sum(heights) + rise * np.cos(fine)], axis=1)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    at = np.linspace(0.0, length[-1], round(length[-1] / edge) + 1)[1:-1]
    sweep = np.interp(at, length, fine)
    x, z = RADIUS + out * np.sin(sweep), 0.5 * sum(heights) + rise * np.cos(sweep)
    tangent = np.stack([out * np.cos(sweep), -rise * np.sin(sweep)], axis=1)
    tangent /= np.linalg.norm(tangent, axis=1)[:, None]
    widening = np.exp(-np.minimum(at, length[-1] - at) / _FILLET)
    wide, thick = (grip + (half - grip) * widening for grip in _GRIP)
    turn = 2.0 * np.pi * np.arange(count) / count
    side, normal = wide[:, None] * np.cos(turn), thick[:, None] * np.sin(turn)
    return np.stack([x[:, None] - tangent[:, 1:] * normal, side, z[:, None] + tangent[:, :1] * normal], axis=-1)


def _glaze(vertices: np.ndarray, cup_count: int) -> np.ndarray:
    """Vertex colours: blue with a striped band, two white spots and a bare foot; white inside, a dark handle."""
    angle, height, radius = cylindrical(vertices)
    colors = np.tile(np.array([0.13, 0.36, 0.62]), (len(vertices), 1))
    outside = radius > RADIUS - 1e-6
    colors[(radius < RADIUS - 0.5 * _WALL) & (height > 0.004)] = (0.95, 0.94, 0.90)
    band = outside & (height > 0.034) & (height < 0.058)
    colors[band & (np.sin(6.0 * angle) > 0.0)] = (0.95, 0.80, 0.25)
    spots = np.hypot((np.abs(angle) - 2.2) * RADIUS, height - 0.046) < 0.016
    colors[outside & spots & (angle > 0.0)] = (0.85, 0.25, 0.20)
    colors[outside & spots & (angle < 0.0)] = (0.93, 0.93, 0.90)
    colors[outside & (height < 0.006)] = (0.55, 0.45, 0.38)
    colors[cup_count:] = (0.10, 0.26, 0.46)
    return colors
