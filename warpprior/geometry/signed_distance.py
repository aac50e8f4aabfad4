"""Signed distance to bodies: exact queries on the surface, and grids baked from it for use inside the loop."""

from __future__ import annotations

from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np
import warp as wp

from warpprior.bodies import Body, BodyModel
from warpprior.bodies.triangles import doubled_areas
from warpprior.kernels import distance
from warpprior.support.device import warp_device
from warpprior.support.errors import InputError

COARSEST = 4  # the bake starts from every fourth node
BAND = 4.0  # nodes within this many spacings of the surface hold exact distances
TESTED_POINTS = 1000
UNBOUNDED = 1.0e6  # search distance that reaches everything [m]


class Surface:
    """A triangle surface checked, cleaned and ready for exact queries; owns the mesh and every array it refers to.

    Vertices at the same place are welded, degenerate and repeated faces dropped, and a surface whose enclosed volume is
    negative is turned inside out; each repair adds a sentence to ``notes``.  Inside is where the winding number exceeds
    one half.  Where the surface is closed and pseudo-normals agree with winding numbers on random points, the cheaper
    pseudo-normals give the sign.

    Args:
        vertices: (vertex, 3) [m].
        faces: (face, 3), counter-clockwise seen from outside.
        where: names the surface in errors.
        device: a Warp device or its name.

    Attributes:
        vertices, faces: the cleaned surface (vertex, 3) float32 [m], (face, 3) int32.
        closed: every edge joins exactly two faces that agree on which side is out.
        simple: closed, and signed by pseudo-normals.
        notes: what was repaired, one sentence each.

    Raises:
        InputError: a vertex is not finite, a face refers to no vertex, or no face has area.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, where: str, device: wp.DeviceLike = "cpu"):
        self.device = warp_device(device)
        self.notes: list[str] = []
        self.vertices, self.faces = self._clean(vertices, faces, where)
        edges = np.sort(self.faces[:, [[0, 1], [1, 2], [2, 0]]], axis=2).reshape(-1, 2)
        _, self._edge_ids, uses = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
        self._edge_ids = self._edge_ids.reshape(-1, 3)
        directions = np.where(self.faces < np.roll(self.faces, -1, axis=1), 1, -1)
        balance = np.bincount(self._edge_ids.ravel(), weights=directions.ravel())
        self.closed = bool(np.all(uses == 2) and np.all(balance == 0))
        self._points = wp.array(self.vertices, dtype=wp.vec3, device=self.device)
        self._corners = wp.array(self.faces, dtype=wp.int32, device=self.device)
        self.mesh = wp.Mesh(self._points, self._corners.flatten(), support_winding_number=True)
        face_normals, edge_normals, vertex_normals = self._pseudo_normals()
        self._face_normals = wp.array(face_normals, dtype=wp.vec3, device=self.device)
        self._edge_normals = wp.array(edge_normals, dtype=wp.vec3, device=self.device)
        self._vertex_normals = wp.array(vertex_normals, dtype=wp.vec3, device=self.device)
        self.simple = False
        self.simple = self.closed and self._pseudo_normals_agree()

    def _clean(self, vertices: np.ndarray, faces: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
        vertices, faces = np.asarray(vertices, dtype=np.float32), np.asarray(faces)
        if vertices.ndim != 2 or vertices.shape[1:] != (3,) or len(vertices) == 0:
            raise InputError(f"{where}: vertices", f"shape {vertices.shape}", "give (vertex, 3), at least one vertex")
        if faces.ndim != 2 or faces.shape[1:] != (3,) or len(faces) == 0:
            raise InputError(f"{where}: faces", f"shape {faces.shape}", "give (face, 3) with at least one triangle")
        bad = np.flatnonzero(~(np.abs(vertices) < 1e9).all(axis=1))
        if len(bad):
            raise InputError(f"{where}: vertex {bad[0]}", f"coordinates {vertices[bad[0]]}", "give finite metres")
        if not np.issubdtype(faces.dtype, np.integer) or faces.min() < 0 or faces.max() >= len(vertices):
            found = f"{faces.dtype} indices from {faces.min()} to {faces.max()}"
            raise InputError(f"{where}: faces", found, f"integers from 0 to {len(vertices) - 1}")
        welded, ids = np.unique(vertices, axis=0, return_inverse=True)
        faces = ids.ravel()[faces].astype(np.int32)
        corners = welded[faces].astype(np.float64)
        sides = corners - np.roll(corners, 1, axis=1)
        doubled = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
        # Warp skips slivers below 1e-6 of this ratio; they would leave holes in the edge count too.
        useful = doubled > 1e-6 * np.sum(sides**2, axis=(1, 2))
        if not useful.any():
            raise InputError(f"{where}: faces", "no face has area", "give a surface")
        first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)[1]
        kept = np.zeros(len(faces), dtype=bool)
        kept[first] = True
        if not useful.all():
            self.notes.append(f"{where}: {np.count_nonzero(~useful)} faces without area were ignored.")
        if np.any(useful & ~kept):
            self.notes.append(f"{where}: {np.count_nonzero(useful & ~kept)} repeated faces were ignored.")
        faces = faces[useful & kept]
        corners = welded[faces].astype(np.float64) - welded.mean(axis=0)
        if np.einsum("fx,fx->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) < 0.0:
            faces = np.ascontiguousarray(faces[:, ::-1])
            self.notes.append(f"{where}: the surface was inside out and was turned.")
        return np.ascontiguousarray(welded), faces

    def _pseudo_normals(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit normals of faces (face, 3), of each face's edges (face, 3, 3) and of vertices, weighted by angle."""
        corners = self.vertices[self.faces].astype(np.float64)
        ahead = np.roll(corners, -1, axis=1) - corners
        ahead = ahead / np.linalg.norm(ahead, axis=2, keepdims=True)
        behind = -np.roll(ahead, 1, axis=1)
        normals = np.cross(ahead[:, 0], behind[:, 0])
        normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
        angles = np.arccos(np.clip(np.sum(ahead * behind, axis=2), -1.0, 1.0))
        at_vertices = np.zeros((len(self.vertices), 3))
        np.add.at(at_vertices, self.faces, angles[:, :, None] * normals[:, None])
        at_edges = np.zeros((self._edge_ids.max() + 1, 3))
        np.add.at(at_edges, self._edge_ids, np.broadcast_to(normals[:, None], corners.shape))
        lengths = [np.linalg.norm(n, axis=1, keepdims=True) for n in (at_vertices, at_edges)]
        at_vertices, at_edges = at_vertices / np.maximum(lengths[0], 1e-9), at_edges / np.maximum(lengths[1], 1e-9)
        return normals.astype(np.float32), at_edges[self._edge_ids].astype(np.float32), at_vertices.astype(np.float32)

    def _pseudo_normals_agree(self) -> bool:
        """Both signs agree on random points in the box around the surface and near it."""
        random = np.random.default_rng(0)
        lower, upper = self.vertices.min(axis=0), self.vertices.max(axis=0)
        spread = random.uniform(lower - 0.1 * (upper - lower), upper + 0.1 * (upper - lower), (TESTED_POINTS // 2, 3))
        near = self.sample_near(TESTED_POINTS // 2, 0.05 * float(np.max(upper - lower)), random)
        points = np.concatenate([spread, near]).astype(np.float32)
        winding, _, _ = self.measure(points)
        self.simple = True
        pseudo, _, _ = self.measure(points)
        clear = np.abs(winding) > 1e-6 * np.max(np.abs(self.vertices))
        return bool(np.all((winding < 0.0)[clear] == (pseudo < 0.0)[clear]))

    def sample_near(self, count: int, reach: float, random: np.random.Generator) -> np.ndarray:
        """Random points (count, 3) at most ``reach`` [m] from random places of the surface."""
        corners = self.vertices[self.faces].astype(np.float64)
        areas = doubled_areas(corners)
        faces = random.choice(len(areas), size=count, p=areas / areas.sum())
        on_surface = np.einsum("pc,pcx->px", random.dirichlet([1.0, 1.0, 1.0], count), corners[faces])
        away = random.normal(size=(count, 3))
        return on_surface + away * (reach * random.random((count, 1)) / np.linalg.norm(away, axis=1, keepdims=True))

    def launch(self, points: wp.array, max_distance: float, distance_out, normal_out, found_out) -> None:
        """Exact distances of ``points`` [point] vec3 on the device; see :mod:`warpprior.kernels.distance`."""
        if self.simple:
            distance.exact_distance_closed(
                points,
                self.mesh.id,
                max_distance,
                faces=self._corners,
                face_normals=self._face_normals,
                edge_normals=self._edge_normals,
                vertex_normals=self._vertex_normals,
                distance_out=distance_out,
                normal_out=normal_out,
                found_out=found_out,
            )
        else:
            distance.exact_distance(
                points,
                self.mesh.id,
                max_distance,
                distance_out=distance_out,
                normal_out=normal_out,
                found_out=found_out,
            )

    def measure(self, points: np.ndarray, max_distance: float = UNBOUNDED) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Exact signed distance of points in the surface's frame.

        Args:
            points: (point, 3) [m]; none at all is fine.
            max_distance: how far to search [m].

        Returns:
            ``distance`` (point,) float32 [m], ``normal`` (point, 3) float32, the outward gradient of the distance, and
            ``found`` (point,) bool: False for points that are not finite or farther than ``max_distance``, whose
            distance is ``max_distance`` and whose normal is zero.
        """
        points = np.ascontiguousarray(points, dtype=np.float32).reshape(-1, 3)
        count = len(points)
        if count == 0:
            return np.zeros(0, np.float32), np.zeros((0, 3), np.float32), np.zeros(0, bool)
        where = wp.array(points, dtype=wp.vec3, device=self.device)
        distances = wp.zeros(count, dtype=wp.float32, device=self.device)
        normals = wp.zeros(count, dtype=wp.vec3, device=self.device)
        found = wp.empty(count, dtype=wp.int32, device=self.device)
        self.launch(where, max_distance, distances, normals, found)
        return distances.numpy(), normals.numpy(), found.numpy() > 0


class Grids:
    """Signed distance grids of one or more surfaces, stacked.

    Attributes:
        device_grids: all of the arrays below as the contact kernels take them.
        values: signed distance at the nodes [grid, x, y, z] float32 [m].
        origins: position of node 0 of each grid in its surface's frame [grid] vec3 [m].
        inverse_spacings: nodes per metre of each grid [grid] float32.
        links: the link that carries each grid [grid] int32; indexes ``camera_from_link[frame, link]``.
        spacings: the inverse of ``inverse_spacings``, on the host (grid,) float64 [m].
    """

    def __init__(self, surfaces: list[Surface], links: list[int], resolution: int, padding: float | None, device):
        boxes = []
        for surface in surfaces:
            lower, upper = surface.vertices.min(axis=0).astype(float), surface.vertices.max(axis=0).astype(float)
            margin = 0.1 * float(np.max(upper - lower)) if padding is None else padding
            boxes.append((lower - margin, upper - lower + 2.0 * margin))
        sizes = np.array([size for _, size in boxes])
        if len(surfaces) == 1:
            self.spacings = np.prod(sizes, axis=1) ** (1.0 / 3.0) / resolution
        else:  # equal cubes: proportions that suit one part would be wasted on the others
            self.spacings = np.max(sizes, axis=1) / resolution
        cells = np.max(sizes / self.spacings[:, None], axis=0)
        counts = tuple(int(np.ceil(count / COARSEST - 1e-9)) * COARSEST + 1 for count in cells)
        # A grid with more nodes than its surface needs is centred on it.
        origins = [
            lower + 0.5 * size - 0.5 * spacing * (np.array(counts) - 1)
            for (lower, size), spacing in zip(boxes, self.spacings, strict=True)
        ]
        self.values = wp.zeros((len(surfaces), *counts), dtype=wp.float32, device=device)
        self.origins = wp.array(np.array(origins, dtype=np.float32), dtype=wp.vec3, device=device)
        self.inverse_spacings = wp.array((1.0 / self.spacings).astype(np.float32), dtype=wp.float32, device=device)
        self.links = wp.array(np.array(links, dtype=np.int32), dtype=wp.int32, device=device)
        self.device_grids = distance.GridSet()
        self.device_grids.values, self.device_grids.origins = self.values, self.origins
        self.device_grids.inverse_spacings, self.device_grids.links = self.inverse_spacings, self.links
        baked: dict[int, int] = {}
        for index, surface in enumerate(surfaces):
            first, values = baked.setdefault(id(surface), index), cast(wp.array, self.values[index])
            if first < index:
                wp.copy(values, cast(wp.array, self.values[first]))
            else:
                self._bake(surface, wp.vec3(*origins[index]), float(self.spacings[index]), values)

    @staticmethod
    def _bake(surface: Surface, origin: wp.vec3, spacing: float, values: wp.array) -> None:
        distance.bake_coarse(surface.mesh.id, origin, spacing, COARSEST, values_out=values)
        stride = COARSEST // 2
        while stride > 0:
            band = BAND * stride * spacing
            distance.bake_finer(surface.mesh.id, origin, spacing, stride, band, int(surface.closed), values_out=values)
            stride //= 2
        if not surface.closed:
            values.assign(_close_openings(values.numpy(), spacing))

    def interpolate(self, index: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance (point,) [m] and its gradient (point, 3) from one grid, of points in its surface's frame."""
        points = np.ascontiguousarray(points, dtype=np.float32).reshape(-1, 3)
        count, device = len(points), self.values.device
        if count == 0:
            return np.zeros(0, np.float32), np.zeros((0, 3), np.float32)
        distances = wp.zeros(count, dtype=wp.float32, device=device)
        gradients = wp.zeros(count, dtype=wp.vec3, device=device)
        distance.sample_grid_gradient(
            wp.array(points, dtype=wp.vec3, device=device),
            self.values[index],
            wp.vec3(*self.origins.numpy()[index]),
            1.0 / float(self.spacings[index]),
            distance_out=distances,
            gradient_out=gradients,
        )
        return distances.numpy(), gradients.numpy()


def _close_openings(values: np.ndarray, spacing: float) -> np.ndarray:
    """Signed distances at nodes, none larger than the way to the nearest node of the other sign [m].

    Where inside meets outside without a surface between, across the mouth of an open mesh, the distance would jump
    from one sign to the other; so it passes through zero there.  Elsewhere nothing changes: a signed distance never
    exceeds the way to a point of the other sign.
    """
    from scipy.ndimage import distance_transform_edt

    inside = values < 0.0
    if inside.all() or not inside.any():
        return values
    nodes: Any = distance_transform_edt(inside), distance_transform_edt(~inside)
    to_other = spacing * (nodes[0] + nodes[1])
    return np.clip(values, -to_other, to_other).astype(np.float32)


def _check_settings(resolution: int, padding: float | None, scale: float) -> None:
    if not 8 <= resolution <= 512:
        raise InputError("distance field: resolution", f"{resolution}", "from 8 to 512")
    if padding is not None and not 0.0 < padding < 1e3:
        raise InputError("distance field: padding", f"{padding}", "a positive number of metres")
    if not 0.0 < scale < 1e6:
        raise InputError("distance field: scale", f"{scale}", "a positive size factor")


def _grid_error(surface: Surface, grids: Grids, index: int) -> float:
    """Largest difference between grid and exact distance on random points within 5 mm or 5 % of the surface [m]."""
    extent = float(np.max(surface.vertices.max(axis=0) - surface.vertices.min(axis=0)))
    points = surface.sample_near(2 * TESTED_POINTS, min(0.005, 0.05 * extent), np.random.default_rng(1))
    return float(np.max(np.abs(grids.interpolate(index, points)[0] - surface.measure(points)[0])))


class DistanceField:
    """Signed distance to a rigid body, in the body's own frame.

    Args:
        body: a body of one link.
        device: a Warp device or its name.
        resolution: the grid has about this many nodes cubed, whatever the body's proportions.
        padding: how far the grid reaches beyond the body [m]; None takes a tenth of the body's largest extent.
        scale: size factor of the rest surface.

    Attributes:
        surface: exact queries.
        grids: one grid, as the contact kernels take it.
        grid, origin, inverse_spacing: the same for ``grid_distance``: [x, y, z] float32 [m], wp.vec3 [m], [1/m].
        spacing: distance of the grid's nodes [m].
        grid_error_m: largest difference between grid and exact distance measured near the surface [m].
        notes: what was repaired, one sentence each.

    Raises:
        InputError: the body moves in itself, its surface cannot be used, or a setting is out of range.
    """

    def __init__(
        self,
        body: Body,
        device: wp.DeviceLike = "cpu",
        *,
        resolution: int = 64,
        padding: float | None = None,
        scale: float = 1.0,
    ):
        _check_settings(resolution, padding, scale)
        if body.link_count != 1 or body.animation is not None:
            found = f"{body.link_count} links" if body.animation is None else "a surface that bends"
            raise InputError(f"body {body.name!r}", found, "a rigid body, or use LinkFields")
        self.device = warp_device(device)
        self.surface = Surface(body.vertices * np.float32(scale), body.faces, f"body {body.name!r}", device)
        self.grids = Grids([self.surface], [0], resolution, padding, self.device)
        self.grid = self.grids.values[0]
        self.origin = wp.vec3(*self.grids.origins.numpy()[0])
        self.spacing = float(self.grids.spacings[0])
        self.inverse_spacing = 1.0 / self.spacing
        self.grid_error_m = _grid_error(self.surface, self.grids, 0)
        self.notes = tuple(self.surface.notes)

    def signed_distance(self, points: np.ndarray) -> np.ndarray:
        """Exact signed distance (point,) float32 [m] of points (point, 3) in the body's frame; not finite: 1e6."""
        return self.surface.measure(points)[0]

    def closest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Closest points of the surface and its outward normals, each (point, 3) float32; NaN where not finite."""
        distances, normals, found = self.surface.measure(points)
        points = np.asarray(points, dtype=np.float32).reshape(-1, 3)
        missing = np.where(found, np.float32(0.0), np.float32(np.nan))[:, None]
        return points - distances[:, None] * normals + missing, normals + missing


_FIELDS: WeakKeyDictionary[Body, dict[tuple[type, str, float], Any]] = WeakKeyDictionary()


def shared_field(body: Body, device: wp.DeviceLike = "cpu", *, scale: float = 1.0) -> DistanceField:
    """A :class:`DistanceField` that is baked once and kept as long as its body lives; not to be written to."""
    return _shared(DistanceField, body, device, scale)


def shared_link_fields(body: Body, device: wp.DeviceLike = "cpu", *, scale: float = 1.0) -> LinkFields:
    """:class:`LinkFields` likewise."""
    return _shared(LinkFields, body, device, scale)


def _shared(kind: type, body: Body, device: wp.DeviceLike, scale: float) -> Any:
    kept, key = _FIELDS.setdefault(body, {}), (kind, str(warp_device(device)), float(scale))
    if key not in kept:
        kept[key] = kind(body, device, scale=scale)
    return kept[key]


class LinkFields:
    """Signed distance to an articulated body of rigid links: one grid per link, in the link's frame.

    The distance to the body is the least over its links.  Args and errors as for :class:`DistanceField`, but the
    resolution is per link.

    Attributes:
        surfaces: exact queries, one per grid; links of the same shape share one.
        grids: the grids; ``grids.links`` names the links that have a surface.
        grid_error_m: largest difference between grid and exact distance measured near any link's surface [m].
        notes: what was repaired, one sentence each.
    """

    def __init__(
        self,
        body: Body,
        device: wp.DeviceLike = "cpu",
        *,
        resolution: int = 32,
        padding: float | None = None,
        scale: float = 1.0,
    ):
        _check_settings(resolution, padding, scale)
        where = f"body {body.name!r}"
        if body.skin_links.shape[1] != 1 or body.shape_count or body.animation is not None:
            raise InputError(where, "a surface that bends", "a body of rigid links")
        self.device = warp_device(device)
        model = BodyModel(body, "cpu")
        state = model.state(1, requires_grad=False)
        state.scale.fill_(float(scale))
        model.shape(state)
        rest_links, vertices = state.rest_links.numpy().reshape(-1, 7).astype(float), state.rest_vertices.numpy()
        owners = body.skin_links[body.faces[:, 0], 0]
        self.surfaces, shapes, links = [], [], []
        for link in np.unique(owners):
            faces = body.faces[owners == link]
            used, local = np.unique(faces, return_inverse=True)
            position, (x, y, z, w) = rest_links[link, :3], rest_links[link, 3:]
            link_from_root = _inverse_rotation(x, y, z, w)
            points = (vertices[used] - position) @ link_from_root.T
            shapes.append((points, local.reshape(-1, 3)))
            # Hands repeat their fingers: links of one shape share one surface.
            twin = next((i for i, shape in enumerate(shapes) if _same_shape(shape, shapes[-1])))
            name = f"{where}: link {body.link_names[link]!r}"
            new = twin == len(links)
            self.surfaces.append(Surface(points, shapes[-1][1], name, device) if new else self.surfaces[twin])
            links.append(int(link))
        self.grids = Grids(self.surfaces, links, resolution, padding, self.device)
        firsts = {id(surface): i for i, surface in reversed(list(enumerate(self.surfaces)))}
        self.grid_error_m = max(_grid_error(self.surfaces[i], self.grids, i) for i in firsts.values())
        self.notes = tuple(note for i in sorted(firsts.values()) for note in self.surfaces[i].notes)


def _same_shape(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> bool:
    """Equal faces, and vertices within a micrometre."""
    if one[0].shape != other[0].shape or not np.array_equal(one[1], other[1]):
        return False
    return bool(np.abs(one[0] - other[0]).max() < 1e-6)


def _inverse_rotation(x: float, y: float, z: float, w: float) -> np.ndarray:
    """Transposed matrix of a unit quaternion."""
    skew = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return (np.eye(3) + 2.0 * w * skew + 2.0 * skew @ skew).T
