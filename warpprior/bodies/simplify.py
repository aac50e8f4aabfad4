"""Surfaces with fewer faces, at an error that is measured; what was found once is kept beside the kernel cache."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from warpprior.bodies import decimation_cache
from warpprior.bodies.balance import balance, vertex_normals
from warpprior.bodies.decimate import decimate
from warpprior.bodies.repair import Surface, is_closed
from warpprior.bodies.triangles import doubled_areas
from warpprior.support.errors import InputError
from warpprior.support.limits import within
from warpprior.support.progress import Progress

ERROR = 2e-4  # [m]
LEAST_ERROR, MOST_ERROR = 1e-6, 1e-2  # [m]
MANY_FACES = 40_000  # of robots that are simplified unasked
FEWEST_FACES = 200  # of surfaces that are worth it
SHARES = (0.75, 0.5, 0.3)  # of the error that is asked for: some of it is left for what lies between what is watched
SPREAD_POINTS = 20_000


def allowed_error(where: str, simplify: bool | float) -> float | None:
    """The error [m] that ``simplify`` allows, None where nothing is to be simplified; InputError for no such number."""
    if isinstance(simplify, bool):
        return ERROR if simplify else None
    if not within(simplify, LEAST_ERROR, MOST_ERROR):
        accepted = f"needs true, false, or metres from {LEAST_ERROR:g} to {MOST_ERROR:g}"
        raise InputError(where, f"is {simplify!r}", accepted)
    return float(simplify)


def simplify_links(
    surfaces: dict[str, list[Surface]],
    error: float,
    warnings: list[str],
    *,
    always: bool,
    progress: Progress | None = None,
) -> dict[str, list[Surface]]:
    """Surfaces of each link with fewer faces; what that did is appended to the warnings.

    Args:
        surfaces: by link, repaired [m].
        error: as of :func:`simplify_surface`.
        warnings: of the body.
        always: also where they have few faces.
        progress: called with faces done, faces in all, and what is being done.
    """
    flat = [(link, surface) for link, shapes in surfaces.items() for surface in shapes]
    before = sum(len(surface.faces) for _, surface in flat)
    if before <= MANY_FACES and not always:
        return surfaces
    simplified: dict[str, list[Surface]] = {link: [] for link in surfaces}
    measured, done = 0.0, 0
    for link, surface in flat:
        if progress is not None:
            progress(done, before, f"simplifying meshes ({link})")
        lighter, distance = simplify_surface(surface, error)
        simplified[link].append(lighter)
        measured, done = max(measured, distance), done + len(surface.faces)
    after = sum(len(surface.faces) for shapes in simplified.values() for surface in shapes)
    if after < before:
        found = f"{before} faces were simplified to {after}, at most {1e3 * measured:.2f} mm off"
        warnings.append(f"{found}; simplify = false keeps them, simplify = 0.0005 allows 0.5 mm")
    return simplified


def simplify_surface(surface: Surface, error: float) -> tuple[Surface, float]:
    """The surface between fewer of its vertices, and how far the two are apart.

    Args:
        surface: repaired [m].
        error: the most that a point of either surface may be from the other [m]; colours may be 0.1 off.

    Returns:
        the surface, as closed as it was, itself where it has few faces or cannot do with fewer; and the largest
        distance that was measured: of vertices, middles of edges and of faces, and points spread over both [m].
    """
    found = simplified(surface, error)
    if len(found.faces) == len(surface.faces):
        return surface, found.error
    colors = None if surface.colors is None else surface.colors[found.kept]
    return replace(surface, vertices=surface.vertices[found.kept], faces=found.faces, colors=colors), found.error


def simplified(surface: Surface, error: float, *, balanced: bool = False) -> decimation_cache.Decimated:
    """The same, as faces between some of its vertices.

    Args:
        surface, error: as of :func:`simplify_surface`.
        balanced: vertices are moved along their normals so that neither surface lies inside the other.
    """
    if len(surface.faces) < FEWEST_FACES:
        return decimation_cache.Decimated(np.arange(len(surface.vertices)), surface.faces, 0.0)
    key = decimation_cache.key_of(surface.vertices, surface.faces, surface.colors, error, balanced)
    found = decimation_cache.load(key, len(surface.vertices), len(surface.faces), error)
    if found is None or is_closed(found.faces) != surface.closed:
        found = _simplify(surface, error, balanced)
        decimation_cache.store(key, found)
    return found


def moved(surface: Surface, found: decimation_cache.Decimated) -> np.ndarray:
    """Where the vertices are that are left (kept, 3) [m]."""
    places = surface.vertices[found.kept]
    return places if found.shifts is None else places + found.shifts[:, None] * vertex_normals(places, found.faces)


def _simplify(surface: Surface, error: float, balanced: bool) -> decimation_cache.Decimated:
    for share in SHARES:
        kept, faces = decimate(surface.vertices, surface.faces, surface.colors, share * error)
        if is_closed(faces) == surface.closed:
            given = (surface.vertices, surface.faces)
            shifts = balance(surface.vertices[kept], faces, *given, error) if balanced else None
            found = decimation_cache.Decimated(kept, faces, error, shifts)
            measured = distance_between(*given, moved(surface, found), faces, 2.0 * error)
            if measured <= error:
                return replace(found, error=measured)
    return decimation_cache.Decimated(np.arange(len(surface.vertices)), surface.faces, 0.0)


def distance_between(
    vertices: np.ndarray, faces: np.ndarray, other_vertices: np.ndarray, other_faces: np.ndarray, most: float
) -> float:
    """How far two surfaces are apart where they are farthest, both ways, looked for up to ``most`` [m]."""
    there = _distance(_points_on(vertices, faces), other_vertices, other_faces, most)
    return max(there, _distance(_points_on(other_vertices, other_faces), vertices, faces, most))


def _points_on(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Points (point, 3) all over a surface: dense where it has many faces, and not sparse elsewhere."""
    corners = vertices[faces]
    middles = 0.5 * (corners + np.roll(corners, -1, axis=1)).reshape(-1, 3)
    areas = doubled_areas(corners)
    random = np.random.default_rng(0)
    chosen = random.choice(len(faces), SPREAD_POINTS, p=areas / areas.sum())
    far, along = np.sqrt(random.random((SPREAD_POINTS, 1))), random.random((SPREAD_POINTS, 1))
    a, b, c = np.moveaxis(corners[chosen], 1, 0)
    spread = (1.0 - far) * a + far * (1.0 - along) * b + far * along * c
    return np.concatenate([vertices, corners.mean(axis=1), middles, spread])


def _distance(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray, most: float) -> float:
    """Of the point that is farthest from a surface, at most ``most``."""
    import warp as wp

    from warpprior.kernels.frame_distance import measure_frames

    middle = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
    corners = wp.array(faces.reshape(-1).astype(np.int32), dtype=wp.int32, device="cpu")
    mesh = wp.Mesh(wp.array(vertices - middle, dtype=wp.vec3, device="cpu"), corners)
    distances = np.empty(len(points), dtype=np.float32)
    measure_frames(
        wp.array(points - middle, dtype=wp.vec3, device="cpu"),
        wp.zeros(len(points), dtype=wp.int32, device="cpu"),
        wp.array([mesh.id], dtype=wp.uint64, device="cpu"),
        most,
        False,
        distance_out=wp.array(distances, dtype=wp.float32, device="cpu", copy=False),
    )
    return float(distances.max())
