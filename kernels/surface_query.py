"""Exact signed distance to a surface that bends, in every frame at once.  Positive outside, metres.  Forward only.

One mesh holds a copy of the surface per frame, each in a cell of its own on a lattice, so that one tree over the
triangles of all frames serves one launch over all queries.  Distances are measured between the camera-frame points
themselves: the lattice only chooses the triangle.

A query that finds nothing, because the point is farther than the reach, the point is not finite, or the surface of
its frame is not, is a *miss*: its distance is the reach, its normal zero and its face -1, so that it never looks like
contact.
"""

import warp as wp

from warpprior.kernels.distance import is_usable, outward_normal
from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False})

SLACK = wp.constant(1.0e-5)  # [m] more than the lattice's rounding
ACCURACY = wp.constant(1.0)  # of winding numbers: how many of their own sizes away triangles are taken together
ON_FEATURE = wp.constant(1.0e-6)  # barycentrics below this put the closest point on an edge or a corner


@wp.kernel
def _center_surfaces(
    vertices: wp.array2d[wp.vec3],  # [frame, scene vertex] camera frame
    anchors: wp.array[wp.int32],  # [anchor] scene vertices
    centers_out: wp.array[wp.vec3],  # [frame]
    usable_out: wp.array[wp.int32],  # [frame]
):
    """Middle of some vertices of each frame; zero, and the frame not usable, where they are not finite."""
    frame = wp.tid()
    total = wp.vec3(0.0, 0.0, 0.0)
    for anchor in range(anchors.shape[0]):
        total += vertices[frame, anchors[anchor]]
    center = total / float(anchors.shape[0])
    usable_out[frame] = 1
    if not is_usable(center):
        center = wp.vec3(0.0, 0.0, 0.0)
        usable_out[frame] = 0
    centers_out[frame] = center


def center_surfaces(vertices, anchors, *, centers_out, usable_out):
    """Launch :func:`_center_surfaces` over all frames."""
    wp.launch(
        _center_surfaces,
        dim=centers_out.shape[0],
        inputs=[vertices, anchors],
        outputs=[centers_out, usable_out],
        device=centers_out.device,
        record_tape=False,
    )


@wp.kernel
def _place_surfaces(
    vertices: wp.array2d[wp.vec3],  # [frame, scene vertex] camera frame
    first_vertex: int,
    centers: wp.array[wp.vec3],  # [frame]
    cells: wp.array[wp.vec3],  # [frame] middle of the frame's cell
    half_extent: float,
    points_out: wp.array2d[wp.vec3],  # [frame, vertex] on the lattice
    usable_out: wp.array[wp.int32],  # [frame] zero where a vertex would leave its cell
):
    """One vertex of one frame into its cell; what is not finite or too far out goes to the middle of the cell."""
    frame, vertex = wp.tid()
    local = vertices[frame, first_vertex + vertex] - centers[frame]
    size = wp.max(wp.abs(local[0]), wp.max(wp.abs(local[1]), wp.abs(local[2])))
    if not (is_usable(local) and size < half_extent):
        local = wp.vec3(0.0, 0.0, 0.0)
        usable_out[frame] = 0
    points_out[frame, vertex] = cells[frame] + local


def place_surfaces(vertices, first_vertex, centers, cells, half_extent, *, points_out, usable_out):
    """Launch :func:`_place_surfaces` over all frames and vertices; the mesh must be refitted afterwards."""
    wp.launch(
        _place_surfaces,
        dim=points_out.shape,
        inputs=[vertices, first_vertex, centers, cells, half_extent],
        outputs=[points_out, usable_out],
        device=points_out.device,
        record_tape=False,
    )


@wp.func
def face_normal(vertices: wp.array2d[wp.vec3], frame: int, first_vertex: int, face: wp.vec3i) -> wp.vec3:
    """Outward unit normal of a triangle of a frame; zero where it has no area."""
    a = vertices[frame, first_vertex + face[0]]
    b = vertices[frame, first_vertex + face[1]] - a
    c = vertices[frame, first_vertex + face[2]] - a
    return wp.normalize(wp.cross(b, c))


@wp.func
def corner_normal(
    vertices: wp.array2d[wp.vec3],
    frame: int,
    first_vertex: int,
    faces: wp.array[wp.vec3i],
    ring_starts: wp.array[wp.int32],
    ring_faces: wp.array[wp.int32],
    vertex: int,
) -> wp.vec3:
    """Mean of the normals of the triangles around a vertex, weighted by their angles there; not of unit length."""
    total = wp.vec3(0.0, 0.0, 0.0)
    middle = vertices[frame, first_vertex + vertex]
    for slot in range(ring_starts[vertex], ring_starts[vertex + 1]):
        face = faces[ring_faces[slot]]
        after = face[1]
        before = face[2]
        if face[1] == vertex:
            after = face[2]
            before = face[0]
        elif face[2] == vertex:
            after = face[0]
            before = face[1]
        u = vertices[frame, first_vertex + after] - middle
        v = vertices[frame, first_vertex + before] - middle
        across = wp.cross(u, v)
        total += wp.normalize(across) * wp.atan2(wp.length(across), wp.dot(u, v))
    return total


@wp.func
def feature_normal(
    vertices: wp.array2d[wp.vec3],
    frame: int,
    first_vertex: int,
    faces: wp.array[wp.vec3i],
    across: wp.array[wp.vec3i],
    ring_starts: wp.array[wp.int32],
    ring_faces: wp.array[wp.int32],
    face: int,
    weights: wp.vec3,
) -> wp.vec3:
    """Outward unit normal of the triangle, edge or vertex that a closest point lies on, by its barycentrics.

    Its side tells inside from outside wherever the surface is closed (Baerentzen and Aanaes 2005).
    """
    corners = faces[face]
    own = face_normal(vertices, frame, first_vertex, corners)
    normal = own
    zeros = int(0)
    corner = int(0)  # the one with weight, where two have none
    side = int(0)  # the edge opposite the corner without weight, where one has none
    for k in range(3):
        if weights[k] < ON_FEATURE:
            zeros += 1
            side = (k + 1) % 3
        else:
            corner = k
    if zeros == 2:
        normal = corner_normal(vertices, frame, first_vertex, faces, ring_starts, ring_faces, corners[corner])
    elif zeros == 1:
        neighbour = across[face][side]
        if neighbour >= 0:
            normal = own + face_normal(vertices, frame, first_vertex, faces[neighbour])
    if wp.length(normal) < 1.0e-6:
        normal = own
    return wp.normalize(normal)


@wp.func
def closest_offset(
    vertices: wp.array2d[wp.vec3], frame: int, first_vertex: int, face: wp.vec3i, position: wp.vec3, weights: wp.vec3
) -> wp.vec3:
    """From the place with these barycentrics to a point.  Differences first: they are small and nearly exact."""
    return (
        (position - vertices[frame, first_vertex + face[0]]) * weights[0]
        + (position - vertices[frame, first_vertex + face[1]]) * weights[1]
        + (position - vertices[frame, first_vertex + face[2]]) * weights[2]
    )


@wp.kernel
def _query_surfaces(
    first_frame: int,
    points: wp.array2d[wp.vec3],  # [frame, point] camera frame
    mesh_id: wp.uint64,
    centers: wp.array[wp.vec3],  # [frame]
    cells: wp.array[wp.vec3],  # [frame]
    usable: wp.array[wp.int32],  # [frame]
    half_extent: float,
    reach: float,
    vertices: wp.array2d[wp.vec3],  # [frame, scene vertex] camera frame
    first_vertex: int,
    faces: wp.array[wp.vec3i],  # [face]
    across: wp.array[wp.vec3i],  # [face] the faces beyond the edges 01, 12 and 20, -1 for none
    ring_starts: wp.array[wp.int32],  # [vertex + 1]
    ring_faces: wp.array[wp.int32],  # [3 face] the faces around each vertex
    winding: int,  # 1: the mesh knows winding numbers, and they give the sign
    distances_out: wp.array2d[wp.float32],  # [frame, point] [m]
    normals_out: wp.array2d[wp.vec3],  # [frame, point] gradient of the distance
    faces_out: wp.array2d[wp.int32],  # [frame, point]
    barycentrics_out: wp.array2d[wp.vec3],  # [frame, point] of the closest point
):
    """One point of one frame against the surface of that frame."""
    slab_frame, point = wp.tid()
    frame = first_frame + slab_frame
    position = points[frame, point]
    local = position - centers[frame]
    size = wp.max(wp.abs(local[0]), wp.max(wp.abs(local[1]), wp.abs(local[2])))
    face = int(-1)
    weights = wp.vec3(0.0, 0.0, 0.0)
    if usable[frame] == 1 and is_usable(local) and size < half_extent + reach:
        query = wp.mesh_query_point_no_sign(mesh_id, cells[frame] + local, reach)
        found = query.face - frame * faces.shape[0]
        if query.result and found >= 0 and found < faces.shape[0]:
            face = found
            weights = wp.vec3(query.u, query.v, 1.0 - query.u - query.v)
    distance = reach
    gradient = wp.vec3(0.0, 0.0, 0.0)
    if face >= 0:
        offset = closest_offset(vertices, frame, first_vertex, faces[face], position, weights)
        normal = feature_normal(vertices, frame, first_vertex, faces, across, ring_starts, ring_faces, face, weights)
        length = wp.length(offset)
        sign = 1.0
        if wp.dot(offset, normal) < 0.0:
            sign = -1.0
        if winding == 1:
            # The distance is known: searched no farther, this costs little but the winding number itself.
            signed = wp.mesh_query_point_sign_winding_number(
                mesh_id, cells[frame] + local, length * 1.001 + SLACK, ACCURACY, 0.5
            )
            if signed.result and signed.sign != sign:
                sign = signed.sign
                normal = -normal
        distance = sign * length
        gradient = outward_normal(offset, length, sign, normal)
    distances_out[frame, point] = distance
    normals_out[frame, point] = gradient
    faces_out[frame, point] = face
    barycentrics_out[frame, point] = weights


def query_surfaces(
    points, mesh_id, centers, cells, usable, half_extent, reach, vertices, first_vertex, faces, across,
    ring_starts, ring_faces, winding, *, distances_out, normals_out, faces_out, barycentrics_out,
):  # fmt: skip
    """Launch :func:`_query_surfaces` over all frames and points."""
    launch_slabs(
        _query_surfaces,
        dim=distances_out.shape,
        inputs=[
            points, mesh_id, centers, cells, usable, half_extent, reach, vertices, first_vertex, faces, across,
            ring_starts, ring_faces, winding,
        ],
        outputs=[distances_out, normals_out, faces_out, barycentrics_out],
        device=distances_out.device,
    )  # fmt: skip
