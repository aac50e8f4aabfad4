"""Decimation in float64, one vertex and one candidate after the other."""

import numpy as np

THIN, TURN, SHORT = 0.02, 0.5, 1e-4


def walk(faces, vertex):
    """Neighbours of a vertex in their order and the faces behind them; empty where they form no single fan."""
    after, behind = {}, {}
    for index, face in enumerate(faces):
        if vertex in face:
            place = list(face).index(vertex)
            start = int(face[(place + 1) % 3])
            if start in after:
                return [], []
            after[start], behind[start] = int(face[(place + 2) % 3]), index
    first = next(iter(after), None)
    ring = [first]
    while after.get(ring[-1]) not in (None, first) and len(ring) <= len(after):
        ring.append(after[ring[-1]])
    whole = len(ring) == len(after) and after.get(ring[-1]) == first and len(after) >= 3
    return (ring, [behind[v] for v in ring]) if whole else ([], [])


def closest(point, a, b, c):
    """Closest place of a triangle as weights, by minimising over its inside and its sides."""
    corners = np.array([a, b, c])
    solution = np.linalg.lstsq((corners[1:] - a).T, point - a, rcond=None)[0]
    weights = np.array([1.0 - solution.sum(), *solution])
    if (weights >= 0.0).all():
        return weights
    best, least = None, np.inf
    for start in range(3):
        end = (start + 1) % 3
        side = corners[end] - corners[start]
        share = np.clip((point - corners[start]) @ side / max(side @ side, 1e-300), 0.0, 1.0)
        weights = np.zeros(3)
        weights[start], weights[end] = 1.0 - share, share
        distance = np.linalg.norm(weights @ corners - point)
        if distance < least:
            best, least = weights, distance
    return best


def distance(point, vertices, faces):
    """Distance of a point to a mesh: to planes where the point is over a face, and to all sides."""
    corners = vertices[np.asarray(faces)]
    sides = np.roll(corners, -1, axis=1) - corners
    normals = np.cross(sides[:, 0], sides[:, 1])
    over = np.einsum("fsk,fsk->fs", np.cross(normals[:, None], sides), point - corners)
    inside = (over >= 0.0).all(axis=1)
    heights = np.abs(np.einsum("fk,fk->f", normals, point - corners[:, 0])) / np.linalg.norm(normals, axis=1)
    shares = np.einsum("fsk,fsk->fs", point - corners, sides) / np.maximum((sides**2).sum(axis=2), 1e-300)
    nearest = corners + np.clip(shares, 0.0, 1.0)[:, :, None] * sides
    return min(np.linalg.norm(point - nearest, axis=2).min(), heights[inside].min(initial=np.inf))


def thickness(corners):
    """Height of a triangle over its longest side."""
    sides = np.roll(corners, -1, axis=0) - corners
    return np.linalg.norm(np.cross(sides[0], sides[1])) / max((sides**2).sum(axis=1).max(), 1e-300)


def new_faces(ring, goal):
    """Faces that are left around the goal, as (place in the ring, three vertices)."""
    count = len(ring)
    kept = [j for j in range(count) if j != goal and (j + 1) % count != goal]
    return [(j, [ring[goal], ring[j], ring[(j + 1) % count]]) for j in kept]


def stays_manifold(faces, ring, goal):
    """No other vertex of the ring is a neighbour of the goal, and no face is made twice."""
    count = len(ring)
    near = {int(v) for face in faces if ring[goal] in face for v in face}
    others = [ring[j] for j in range(count) if j != goal and (j - goal) % count not in (1, count - 1)]
    if count == 3 and any(set(ring) == {int(v) for v in face} for face in faces):
        return False
    return not near.intersection(others)


def keeps_faces(vertices, vertex, ring, goal):
    """No face turns by more than 60 degrees or gets too thin."""
    count = len(ring)
    before = [vertices[[vertex, ring[j], ring[(j + 1) % count]]] for j in range(count)]
    thinnest = min(thickness(corners) for corners in before)
    for place, face in new_faces(ring, goal):
        old = np.cross(before[place][1] - before[place][0], before[place][2] - before[place][0])
        corners = vertices[face]
        new = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        if old @ new <= TURN * np.linalg.norm(old) * np.linalg.norm(new):
            return False
        if thickness(corners) < min(THIN, thinnest):
            return False
    return True


def settle(mesh, site, ring, goal):
    """Which new face a site is nearest to, as a place in the ring, and its cost."""
    best, least, found = 0, np.inf, None
    for place, face in new_faces(ring, goal):
        weights = closest(mesh["sites"][site], *mesh["vertices"][face])
        far = np.linalg.norm(weights @ mesh["vertices"][face] - mesh["sites"][site])
        if far < least:
            best, least, found = place, far, weights @ mesh["colors"][face]
    off = np.linalg.norm(found - mesh["site_colors"][site]) / mesh["color_reach"]
    return best, max((least / mesh["reach"]) ** 2, off**2)


def propose(mesh, vertex):
    """The neighbour a vertex goes into, and its cost; (-1, None) for none."""
    vertices, faces = mesh["vertices"], mesh["faces"]
    ring, around = walk(faces, vertex)
    best, least = -1, None
    for goal in range(len(ring)):
        if not stays_manifold(faces, ring, goal) or not keeps_faces(vertices, vertex, ring, goal):
            continue
        sites = [vertex, *(s for face in around for s in np.flatnonzero(mesh["owners"] == face))]
        worst = max(settle(mesh, site, ring, goal)[1] for site in sites)
        cost = worst + SHORT * ((vertices[vertex] - vertices[ring[goal]]) ** 2).sum() / mesh["reach"] ** 2
        if worst > 1.0 or (least is not None and cost >= least):
            continue
        if all(distance(p, *mesh["first"]) < mesh["reach"] for p in checked_points(vertices, ring, goal)):
            best, least = ring[goal], cost
    return best, least


def checked_points(vertices, ring, goal):
    """Middles of new faces, and three places of each new side."""
    count = len(ring)
    for place, face in new_faces(ring, goal):
        yield vertices[face].mean(axis=0)
        if (place + 2) % count != goal:
            start, end = vertices[face[0]], vertices[face[2]]
            yield from (start + share * (end - start) for share in (0.25, 0.5, 0.75))
