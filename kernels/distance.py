"""Signed distance to surfaces: exact on a triangle mesh, and fast on a grid baked from it.  Positive outside, metres.

Exact queries answer three things: the distance, the outward unit normal (the gradient of the distance), and whether
anything was found.  A point that is not finite, or farther than ``max_distance``, is *not found*: its distance is
``max_distance`` and its normal zero, so that a failed query never looks like contact.

The grid is interpolated trilinearly and its gradient is exactly that of the interpolant.  Outside the grid the
distance to the box is added to the value on its boundary: an upper bound of the true distance, continuous everywhere.
Forward only; :mod:`warpprior.kernels.grid_distance` has what tapes record.
"""

import warp as wp

wp.set_module_options({"enable_backward": False})

FAR = wp.constant(1.0e6)  # distance of a point that is not finite [m]
ON_SURFACE = wp.constant(1.0e-5)  # below this the direction to the closest point is rounding noise [m]


@wp.struct
class GridSet:
    """Baked grids of the rigid parts of one body.  Constants: no gradient flows to them."""

    values: wp.array4d[wp.float32]  # [grid, x, y, z] signed distance at the nodes [m]
    origins: wp.array[wp.vec3]  # [grid] position of node 0 in the frame of the part [m]
    inverse_spacings: wp.array[wp.float32]  # [grid] nodes per metre
    links: wp.array[wp.int32]  # [grid] the part's link: column of camera_from_link


@wp.func
def is_usable(point: wp.vec3) -> bool:
    """Finite, and small enough for its square to be finite too."""
    return wp.abs(point[0]) < 1.0e9 and wp.abs(point[1]) < 1.0e9 and wp.abs(point[2]) < 1.0e9


@wp.func
def grid_sample(
    values: wp.array3d[wp.float32],
    origin: wp.vec3,
    inverse_spacing: float,
    point: wp.vec3,
) -> wp.vec4:
    """Gradient of the distance (x, y, z) and the distance (w) of a point in the frame of the grid."""
    local = (point - origin) * inverse_spacing
    if not is_usable(local):
        return wp.vec4(0.0, 0.0, 0.0, FAR)
    count_x = values.shape[0]
    count_y = values.shape[1]
    count_z = values.shape[2]
    x = wp.clamp(local[0], 0.0, float(count_x - 1))
    y = wp.clamp(local[1], 0.0, float(count_y - 1))
    z = wp.clamp(local[2], 0.0, float(count_z - 1))
    i = wp.min(int(x), count_x - 2)
    j = wp.min(int(y), count_y - 2)
    k = wp.min(int(z), count_z - 2)
    u = x - float(i)
    v = y - float(j)
    w = z - float(k)
    # Along z first: d.. are the differences, c.. the values on the four z edges of the cell.
    v000 = values[i, j, k]
    v010 = values[i, j + 1, k]
    v100 = values[i + 1, j, k]
    v110 = values[i + 1, j + 1, k]
    d00 = values[i, j, k + 1] - v000
    d01 = values[i, j + 1, k + 1] - v010
    d10 = values[i + 1, j, k + 1] - v100
    d11 = values[i + 1, j + 1, k + 1] - v110
    c00 = v000 + w * d00
    c01 = v010 + w * d01
    c10 = v100 + w * d10
    c11 = v110 + w * d11
    low = c00 + v * (c01 - c00)
    high = c10 + v * (c11 - c10)
    distance = low + u * (high - low)
    slope_x = high - low
    slope_y = (c01 - c00) + u * ((c11 - c10) - (c01 - c00))
    slope_z = (d00 + v * (d01 - d00)) * (1.0 - u) + (d10 + v * (d11 - d10)) * u

    beyond = wp.vec3(local[0] - x, local[1] - y, local[2] - z)
    reach = wp.length(beyond)
    if reach > 0.0:
        if beyond[0] != 0.0:
            slope_x = 0.0
        if beyond[1] != 0.0:
            slope_y = 0.0
        if beyond[2] != 0.0:
            slope_z = 0.0
        distance = distance + reach / inverse_spacing
    direction = wp.normalize(beyond)
    return wp.vec4(
        slope_x * inverse_spacing + direction[0],
        slope_y * inverse_spacing + direction[1],
        slope_z * inverse_spacing + direction[2],
        distance,
    )


@wp.kernel
def _sample_grid_gradient(
    points: wp.array[wp.vec3],  # [point]
    values: wp.array3d[wp.float32],  # [x, y, z]
    origin: wp.vec3,
    inverse_spacing: float,
    # outputs:
    distance_out: wp.array[wp.float32],  # [point]
    gradient_out: wp.array[wp.vec3],  # [point]
):
    """One point: interpolated distance and the gradient of the interpolant."""
    point = wp.tid()
    sample = grid_sample(values, origin, inverse_spacing, points[point])
    distance_out[point] = sample[3]
    gradient_out[point] = wp.vec3(sample[0], sample[1], sample[2])


def sample_grid_gradient(points, values, origin, inverse_spacing, *, distance_out, gradient_out):
    """Signed distance of points in the grid's frame and its gradient; forward only."""
    wp.launch(
        _sample_grid_gradient,
        dim=distance_out.shape,
        inputs=[points, values, origin, inverse_spacing],
        outputs=[distance_out, gradient_out],
        device=distance_out.device,
    )


@wp.func
def outward_normal(offset: wp.vec3, distance: float, sign: float, surface_normal: wp.vec3) -> wp.vec3:
    """Gradient of the signed distance: along the offset from the closest point, or the surface's own on the surface."""
    if distance > ON_SURFACE:
        return offset * (sign / distance)
    return surface_normal


@wp.kernel
def _exact_distance(
    points: wp.array[wp.vec3],  # [point]
    mesh_id: wp.uint64,
    max_distance: float,
    # outputs:
    distance_out: wp.array[wp.float32],  # [point]
    normal_out: wp.array[wp.vec3],  # [point]
    found_out: wp.array[wp.int32],  # [point]
):
    """One point: distance to the closest triangle, signed by the winding number (inside where it exceeds 1/2)."""
    point = wp.tid()
    distance_out[point] = max_distance
    normal_out[point] = wp.vec3(0.0, 0.0, 0.0)
    found_out[point] = 0
    position = points[point]
    if is_usable(position):
        query = wp.mesh_query_point_sign_winding_number(mesh_id, position, max_distance, 2.0, 0.5)
        if query.result:
            offset = position - wp.mesh_eval_position(mesh_id, query.face, query.u, query.v)
            distance = wp.length(offset)
            distance_out[point] = query.sign * distance
            face_normal = wp.mesh_eval_face_normal(mesh_id, query.face)
            normal_out[point] = outward_normal(offset, distance, query.sign, face_normal)
            found_out[point] = 1


def exact_distance(points, mesh_id, max_distance, *, distance_out, normal_out, found_out):
    """Exact signed distance to any mesh, open or closed; the mesh must have been built with winding-number support."""
    wp.launch(
        _exact_distance,
        dim=distance_out.shape,
        inputs=[points, mesh_id, max_distance],
        outputs=[distance_out, normal_out, found_out],
        device=distance_out.device,
    )


@wp.func
def pseudo_normal(
    face: int,
    u: float,
    v: float,
    faces: wp.array2d[wp.int32],
    face_normals: wp.array[wp.vec3],
    edge_normals: wp.array2d[wp.vec3],
    vertex_normals: wp.array[wp.vec3],
) -> wp.vec3:
    """Normal of the feature (face, edge or vertex) that a closest point with these barycentrics lies on."""
    w = 1.0 - u - v
    on_v1 = v < 1.0e-6 and w < 1.0e-6
    if u < 1.0e-6 and w < 1.0e-6:
        return vertex_normals[faces[face, 1]]
    if u < 1.0e-6 and v < 1.0e-6:
        return vertex_normals[faces[face, 2]]
    if on_v1:
        return vertex_normals[faces[face, 0]]
    if w < 1.0e-6:
        return edge_normals[face, 0]
    if u < 1.0e-6:
        return edge_normals[face, 1]
    if v < 1.0e-6:
        return edge_normals[face, 2]
    return face_normals[face]


@wp.kernel
def _exact_distance_closed(
    points: wp.array[wp.vec3],  # [point]
    mesh_id: wp.uint64,
    max_distance: float,
    faces: wp.array2d[wp.int32],  # [face, 3]
    face_normals: wp.array[wp.vec3],  # [face]
    edge_normals: wp.array2d[wp.vec3],  # [face, edge 01, 12, 20]
    vertex_normals: wp.array[wp.vec3],  # [vertex]
    # outputs:
    distance_out: wp.array[wp.float32],  # [point]
    normal_out: wp.array[wp.vec3],  # [point]
    found_out: wp.array[wp.int32],  # [point]
):
    """One point: distance to the closest triangle, signed by the angle-weighted pseudo-normal of its closest feature.

    Right for closed meshes that do not intersect themselves (Baerentzen and Aanaes 2005), at a tenth of the cost of a
    winding number.
    """
    point = wp.tid()
    distance_out[point] = max_distance
    normal_out[point] = wp.vec3(0.0, 0.0, 0.0)
    found_out[point] = 0
    position = points[point]
    if is_usable(position):
        query = wp.mesh_query_point_no_sign(mesh_id, position, max_distance)
        if query.result:
            offset = position - wp.mesh_eval_position(mesh_id, query.face, query.u, query.v)
            distance = wp.length(offset)
            normal = pseudo_normal(query.face, query.u, query.v, faces, face_normals, edge_normals, vertex_normals)
            sign = 1.0
            if wp.dot(offset, normal) < 0.0:
                sign = -1.0
            distance_out[point] = sign * distance
            normal_out[point] = outward_normal(offset, distance, sign, normal)
            found_out[point] = 1


def exact_distance_closed(
    points,
    mesh_id,
    max_distance,
    *,
    faces,
    face_normals,
    edge_normals,
    vertex_normals,
    distance_out,
    normal_out,
    found_out,
):
    """Exact signed distance to a closed mesh without self-intersections."""
    wp.launch(
        _exact_distance_closed,
        dim=distance_out.shape,
        inputs=[points, mesh_id, max_distance, faces, face_normals, edge_normals, vertex_normals],
        outputs=[distance_out, normal_out, found_out],
        device=distance_out.device,
    )


@wp.func
def unsigned_distance(mesh_id: wp.uint64, position: wp.vec3, bound: float) -> float:
    """Distance to the closest triangle, searched within ``bound`` first; FAR where there is nothing to find."""
    query = wp.mesh_query_point_no_sign(mesh_id, position, bound)
    if not query.result:
        query = wp.mesh_query_point_no_sign(mesh_id, position, FAR)
    if query.result:
        return wp.length(position - wp.mesh_eval_position(mesh_id, query.face, query.u, query.v))
    return FAR


@wp.func
def winding_sign(mesh_id: wp.uint64, position: wp.vec3, distance: float) -> float:
    """-1 inside, 1 outside; ``distance`` to the closest triangle is known and only bounds the search."""
    query = wp.mesh_query_point_sign_winding_number(mesh_id, position, distance * 1.001 + 1.0e-6, 2.0, 0.5)
    if query.result:
        return query.sign
    return 1.0


@wp.kernel
def _bake_coarse(
    mesh_id: wp.uint64,
    origin: wp.vec3,
    spacing: float,
    stride: int,
    # outputs:
    values_out: wp.array3d[wp.float32],  # [x, y, z]
):
    """One node of the coarsest lattice (every ``stride``-th node): exact signed distance."""
    a, b, c = wp.tid()
    x = a * stride
    y = b * stride
    z = c * stride
    position = origin + wp.vec3(float(x), float(y), float(z)) * spacing
    distance = unsigned_distance(mesh_id, position, FAR)
    values_out[x, y, z] = distance * winding_sign(mesh_id, position, distance)


def bake_coarse(mesh_id, origin, spacing, stride, *, values_out):
    """Signed distance at every ``stride``-th node; the node counts must be one more than multiples of ``stride``."""
    wp.launch(
        _bake_coarse,
        dim=tuple((count - 1) // stride + 1 for count in values_out.shape),
        inputs=[mesh_id, origin, spacing, stride],
        outputs=[values_out],
        device=values_out.device,
    )


@wp.kernel
def _bake_finer(
    mesh_id: wp.uint64,
    origin: wp.vec3,
    spacing: float,
    stride: int,
    band: float,
    closed: int,
    # outputs:
    values_out: wp.array3d[wp.float32],  # [x, y, z], known at every second multiple of `stride`
):
    """One node of the lattice of ``stride``: exact within ``band`` of the surface, else the mean of known neighbours.

    The neighbours bound the search, because distance changes by at most the way between two nodes.  For the same
    reason the sign of a closed surface is a neighbour's wherever that one is farther from the surface than from here,
    which spares most winding numbers.
    """
    a, b, c = wp.tid()
    if a % 2 == 0 and b % 2 == 0 and c % 2 == 0:
        return
    x = a * stride
    y = b * stride
    z = c * stride
    step_x = (a % 2) * stride
    step_y = (b % 2) * stride
    step_z = (c % 2) * stride
    way = spacing * wp.sqrt(float(step_x * step_x + step_y * step_y + step_z * step_z))
    total = float(0.0)
    lowest = float(FAR)  # of the magnitudes
    highest = float(0.0)
    farthest = float(0.0)  # the signed value of largest magnitude
    negative = int(0)
    for corner in range(8):
        value = values_out[
            x + (2 * (corner & 1) - 1) * step_x,
            y + ((corner & 2) - 1) * step_y,
            z + ((corner & 4) // 2 - 1) * step_z,
        ]
        total += value
        lowest = wp.min(lowest, wp.abs(value))
        if wp.abs(value) > highest:
            highest = wp.abs(value)
            farthest = value
        if value < 0.0:
            negative += 1
    mean = total * 0.125
    if lowest > band and (negative == 0 or negative == 8):
        values_out[x, y, z] = mean
        return
    position = origin + wp.vec3(float(x), float(y), float(z)) * spacing
    distance = unsigned_distance(mesh_id, position, (lowest + way) * 1.0001 + 1.0e-6)
    sign = wp.sign(farthest)
    if closed == 0 or highest <= 1.001 * way:
        sign = winding_sign(mesh_id, position, distance)
    values_out[x, y, z] = sign * distance


def bake_finer(mesh_id, origin, spacing, stride, band, closed, *, values_out):
    """Fill the lattice of ``stride`` from that of twice the stride; ``closed`` is 1 where the mesh is watertight."""
    wp.launch(
        _bake_finer,
        dim=tuple((count - 1) // stride + 1 for count in values_out.shape),
        inputs=[mesh_id, origin, spacing, stride, band, closed],
        outputs=[values_out],
        device=values_out.device,
    )
