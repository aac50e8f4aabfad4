"""Signed distance of a hand's points to an object: exact, and by the grid the loop uses."""

import numpy as np
import warp as wp

from warpprior.bench.harness import Trial, case
from warpprior.bodies import rigid_body
from warpprior.geometry.signed_distance import DistanceField
from warpprior.kernels import distance

POINTS = 778
RADIUS = 0.04
EXACT_ERROR = 2e-4  # the polyhedron lies this much inside its sphere [m]
OPEN3D = "Open3D 1.48 ms, one thread"


def sphere(rings: int = 51, sectors: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of a closed sphere of radius ``RADIUS``, about ``2 * rings * sectors`` faces."""
    polar = np.linspace(0.0, np.pi, rings + 1)[1:-1, None]
    around = np.arange(sectors)[None, :] * (2.0 * np.pi / sectors)
    rows = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar) + 0 * around], -1)
    vertices = np.concatenate([rows.reshape(-1, 3), [[0, 0, 1.0], [0, 0, -1.0]]]) * RADIUS
    index = np.arange((rings - 1) * sectors).reshape(rings - 1, sectors)
    here, right = index[:-1].ravel(), np.roll(index, -1, axis=1)[:-1].ravel()
    below, below_right = index[1:].ravel(), np.roll(index, -1, axis=1)[1:].ravel()
    top, bottom = np.full(sectors, len(vertices) - 2), np.full(sectors, len(vertices) - 1)
    faces = [
        np.stack([here, below, right], -1),
        np.stack([right, below, below_right], -1),
        np.stack([top, index[0], np.roll(index[0], -1)], -1),
        np.stack([bottom, np.roll(index[-1], -1), index[-1]], -1),
    ]
    return vertices, np.concatenate(faces)


def points_near_the_sphere() -> tuple[np.ndarray, np.ndarray]:
    """Points [P, 3], and how far each is from the sphere, positive outside [m]."""
    random = np.random.default_rng(0)
    directions = random.normal(size=(POINTS, 3))
    lengths = RADIUS + random.uniform(-0.003, 0.003, (POINTS, 1))  # a grasping hand is within a few millimetres
    points = (directions / np.linalg.norm(directions, axis=1, keepdims=True) * lengths).astype(np.float32)
    return points, lengths[:, 0] - RADIUS


def _prepare(device: str):
    """A 10,000-face sphere's field, points near it, and arrays for the answers."""
    field = DistanceField(rigid_body("ball", *sphere()), device)
    points, truth = points_near_the_sphere()
    answers = wp.empty(POINTS, dtype=wp.float32, device=device), wp.empty(POINTS, dtype=wp.vec3, device=device)
    return field, wp.array(points, dtype=wp.vec3, device=device), truth, answers


def _compare(distances: wp.array, truth: np.ndarray, allowed: float) -> str | None:
    error = float(np.max(np.abs(distances.numpy() - truth)))
    return None if error <= allowed else f"off by {1e3 * error:.3f} mm, {1e3 * allowed:.3f} mm is allowed"


@case("distance/exact_778_points", unit="ms", target=0.7, reference=OPEN3D)
def prepare_exact(device: str) -> Trial:
    """Exact signed distance and normal on the mesh."""
    field, points, truth, (distances, normals) = _prepare(device)
    found = wp.empty(POINTS, dtype=wp.int32, device=device)
    return Trial(
        run=lambda: field.surface.launch(points, 1.0, distances, normals, found),
        check=lambda: _compare(distances, truth, EXACT_ERROR),
    )


@case("distance/grid_778_points", unit="ms", target=0.05, reference=OPEN3D)
def prepare_grid(device: str) -> Trial:
    """Signed distance and gradient from the baked grid."""
    field, points, truth, (distances, gradients) = _prepare(device)

    def run() -> None:
        distance.sample_grid_gradient(
            points,
            field.grid,
            field.origin,
            field.inverse_spacing,
            distance_out=distances,
            gradient_out=gradients,
        )

    return Trial(run=run, check=lambda: _compare(distances, truth, EXACT_ERROR + 2.0 * field.grid_error_m))
