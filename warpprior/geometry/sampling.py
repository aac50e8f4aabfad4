"""Points spread evenly over a body's surface."""

from __future__ import annotations

import numpy as np

from warpprior.bodies.body import Body

CANDIDATES_PER_POINT = 16


def sample_surface(body: Body, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points spread over the rest surface at nearly equal distances, the same for the same seed.

    Farthest-point selection among area-uniform candidates.  A candidate's distance counts its normal too, so that the
    two sides of a thin wall, a finger's front and back, are sampled independently.

    Args:
        body: the body; its faces must have area.
        count: number of points.
        seed: of the candidates.

    Returns:
        ``faces`` (point,) int32, ``barycentrics`` (point, 3) float32, rows sum to one, and ``areas`` (point,) float32:
        the share of the surface that is nearest to each point, summing to one.
    """
    random = np.random.default_rng(seed)
    corners = body.vertices[body.faces].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    doubled = np.linalg.norm(normals, axis=1)
    total = doubled.sum()
    if not (total > 0.0 and count > 0):
        raise ValueError(f"cannot place {count} points on a surface of area {0.5 * total}")
    candidate_count = max(CANDIDATES_PER_POINT * count, 2048)
    # Stratified in accumulated area: every face gets its share to within one candidate.
    strata = (np.arange(candidate_count) + random.random(candidate_count)) / candidate_count
    faces = np.searchsorted(np.cumsum(doubled / total), strata, side="right").clip(max=len(doubled) - 1)
    faces = np.where(doubled[faces] > 0.0, faces, np.argmax(doubled))
    root, split = np.sqrt(random.random(candidate_count)), random.random(candidate_count)
    barycentrics = np.stack([1.0 - root, root * (1.0 - split), root * split], axis=1)
    points = np.einsum("pc,pcx->px", barycentrics, corners[faces])
    spacing = np.sqrt(0.5 * total / count)
    features = np.concatenate([points, 0.5 * spacing * normals[faces] / doubled[faces, None]], axis=1)
    features = np.ascontiguousarray(features.T)

    chosen = np.empty(count, dtype=np.int64)
    chosen[0] = np.argmax(np.sum((points - points.mean(axis=0)) ** 2, axis=1))
    nearest = np.full(candidate_count, np.inf)
    owners = np.zeros(candidate_count, dtype=np.int64)
    for point in range(count):
        if point > 0:
            chosen[point] = np.argmax(nearest)
        distance = np.sum((features - features[:, chosen[point], None]) ** 2, axis=0)
        owners[distance < nearest] = point
        np.minimum(nearest, distance, out=nearest)
    areas = np.bincount(owners, minlength=count) / candidate_count
    return faces[chosen].astype(np.int32), barycentrics[chosen].astype(np.float32), areas.astype(np.float32)


def spread_vertices(vertices: np.ndarray, count: int) -> np.ndarray:
    """Numbers of vertices (vertex, 3) that lie far from each other, each the farthest from those before (count,)."""
    chosen = [int(np.argmax(np.linalg.norm(vertices - vertices.mean(axis=0), axis=1)))]
    away = np.full(len(vertices), np.inf)
    while len(chosen) < min(count, len(vertices)):
        away = np.minimum(away, np.linalg.norm(vertices - vertices[chosen[-1]], axis=1))
        chosen.append(int(np.argmax(away)))
    return np.array(sorted(set(chosen)), dtype=np.int32)
