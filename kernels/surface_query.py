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


@wp.struct
class Surface:
    """The surface of one body, in all frames, and the mesh that holds a copy of it per frame."""

    mesh: wp.uint64
    winding: wp.int32  # 1: the mesh knows winding numbers, and they give the sign
    vertices: wp.array2d[wp.vec3]  # [frame, scene vertex] camera frame
    first_vertex: wp.int32  # of the body
    faces: wp.array[wp.vec3i]  # [face]
    across: wp.array[wp.vec3i]  # [face] the faces beyond the edges 01, 12 and 20, -1 for none
    ring_starts: wp.array[wp.int32]  # [vertex + 1]
    ring_faces: wp.array[wp.int32]  # [3 face] the faces around each vertex
    centers: wp.array[wp.vec3]  # [frame] middle of the surface, camera frame
    cells: wp.array[wp.vec3]  # [frame] middle of the frame's cell, on the lattice
    half_extent: wp.float32  # of a cell without its margin [m]
    usable: wp.array[wp.int32]  # [frame] 0: the surface is not finite, or leaves its cell


@wp.func
def corner(surface: Surface, frame: int, vertex: int) -> wp.vec3:
    """Where a vertex of the body is, camera frame."""
    return surface.vertices[frame, surface.first_vertex + vertex]


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
    surface: Surface,
    points_out: wp.array2d[wp.vec3],  # [frame, vertex] on the lattice
    usable_out: wp.array[wp.int32],  # [frame] zero where a vertex would leave its cell
):
    """One vertex of one frame into its cell; what is not finite or too far out goes to the middle of the cell."""
    frame, vertex = wp.tid()
    local = corner(surface, frame, vertex) - surface.centers[frame]
    size = wp.max(wp.abs(local[0]), wp.max(wp.abs(local[1]), wp.abs(local[2])))
    if not (is_usable(local) and size < surface.half_extent):
        local = wp.vec3(0.0, 0.0, 0.0)
        usable_out[frame] = 0
    points_out[frame, vertex] = surface.cells[frame] + local


def place_surfaces(surface, *, points_out, usable_out):
    """Launch :func:`_place_surfaces` over all frames and vertices; the mesh must be refitted afterwards."""
    wp.launch(
        _place_surfaces,
        dim=points_out.shape,
        inputs=[surface],
        outputs=[points_out, usable_out],
        device=points_out.device,
        record_tape=False,
    )


@wp.func
def face_normal(surface: Surface, frame: int, face: wp.vec3i) -> wp.vec3:
    """Outward unit normal of a triangle of a frame; zero where it has no area."""
    a = corner(surface, frame, face[0])
    b = corner(surface, frame, face[1]) - a
    c = corner(surface, frame, face[2]) - a
    return wp.normalize(wp.cross(b, c))


@wp.func
def corner_normal(surface: Surface, frame: int, vertex: int) -> wp.vec3:
    """Mean of the normals of the triangles around a vertex, weighted by their angles there; not of unit length."""
    total = wp.vec3(0.0, 0.0, 0.0)
    middle = corner(surface, frame, vertex)
    for slot in range(surface.ring_starts[vertex], surface.ring_starts[vertex + 1]):
        face = surface.faces[surface.ring_faces[slot]]
        after = face[1]
        before = face[2]
        if face[1] == vertex:
            after = face[2]
            before = face[0]
        elif face[2] == vertex:
            after = face[0]
            before = face[1]
        u = corner(surface, frame, after) - middle
        v = corner(surface, frame, before) - middle
        across = wp.cross(u, v)
        total += wp.normalize(across) * wp.atan2(wp.length(across), wp.dot(u, v))
    return total


@wp.func
def feature_normal(surface: Surface, frame: int, face: int, weights: wp.vec3) -> wp.vec3:
    """Outward unit normal of the triangle, edge or vertex that a closest point lies on, by its barycentrics.

    Its side separates inside from outside wherever the surface is closed (Baerentzen and Aanaes 2005).
    """
    corners = surface.faces[face]
    own = face_normal(surface, frame, corners)
    normal = own
    zeros = int(0)
    full = int(0)  # the one with weight, where two have none
    side = int(0)  # the edge opposite the corner without weight, where one has none
    for k in range(3):
        if weights[k] < ON_FEATURE:
            zeros += 1
            side = (k + 1) % 3
        else:
            full = k
    if zeros == 2:
        normal = corner_normal(surface, frame, corners[full])
    elif zeros == 1:
        neighbour = surface.across[face][side]
        if neighbour >= 0:
            normal = own + face_normal(surface, frame, surface.faces[neighbour])
    if wp.length(normal) < 1.0e-6:
        normal = own
    return wp.normalize(normal)


@wp.func
def closest_offset(surface: Surface, frame: int, face: wp.vec3i, position: wp.vec3, weights: wp.vec3) -> wp.vec3:
    """From the place with these barycentrics to a point.  Differences first: they are small and nearly exact."""
    return (
        (position - corner(surface, frame, face[0])) * weights[0]
        + (position - corner(surface, frame, face[1])) * weights[1]
        + (position - corner(surface, frame, face[2])) * weights[2]
    )


@wp.func
def wait_for(distance: float, bounds: wp.vec2) -> float:
    """How far point and surface may move, together, before the distance passes one of two bounds; 0 below the first."""
    return wp.max(wp.min(distance - bounds[0], wp.abs(distance - bounds[1])) - 2.0 * SLACK, 0.0)


@wp.kernel
def _query_surfaces(
    first_frame: int,
    points: wp.array2d[wp.vec3],  # [frame, point] camera frame
    surface: Surface,
    reach: float,
    bounds: wp.vec2,  # distances that decide [m]
    distances_out: wp.array2d[wp.float32],  # [frame, point] [m]
    normals_out: wp.array2d[wp.vec3],  # [frame, point] gradient of the distance
    faces_out: wp.array2d[wp.int32],  # [frame, point]
    barycentrics_out: wp.array2d[wp.vec3],  # [frame, point] of the closest point
    waits_out: wp.array2d[wp.float32],  # [frame, point] how far all may move before it is asked again [m]; may be empty
):
    """One point of one frame against the surface of that frame; where it waits, what was found before stays."""
    slab_frame, point = wp.tid()
    frame = first_frame + slab_frame
    waits = waits_out.shape[0] > 0
    if waits and surface.usable[frame] == 1:
        if waits_out[frame, point] > 0.0:
            return
    position = points[frame, point]
    local = position - surface.centers[frame]
    size = wp.max(wp.abs(local[0]), wp.max(wp.abs(local[1]), wp.abs(local[2])))
    face = int(-1)
    weights = wp.vec3(0.0, 0.0, 0.0)
    if surface.usable[frame] == 1 and is_usable(local) and size < surface.half_extent + reach:
        query = wp.mesh_query_point_no_sign(surface.mesh, surface.cells[frame] + local, reach)
        found = query.face - frame * surface.faces.shape[0]
        if query.result and found >= 0 and found < surface.faces.shape[0]:
            face = found
            weights = wp.vec3(query.u, query.v, 1.0 - query.u - query.v)
    distance = reach
    gradient = wp.vec3(0.0, 0.0, 0.0)
    if face >= 0:
        offset = closest_offset(surface, frame, surface.faces[face], position, weights)
        normal = feature_normal(surface, frame, face, weights)
        length = wp.length(offset)
        sign = 1.0
        if wp.dot(offset, normal) < 0.0:
            sign = -1.0
        if surface.winding == 1:
            # The distance is known: searched no farther, this costs little but the winding number itself.
            signed = wp.mesh_query_point_sign_winding_number(
                surface.mesh, surface.cells[frame] + local, length * 1.001 + SLACK, ACCURACY, 0.5
            )
            if signed.result and signed.sign != sign:
                sign = signed.sign
                normal = -normal
        distance = sign * length
        gradient = outward_normal(offset, length, sign, normal)
    if waits:
        wait = float(0.0)  # of a miss, too, for it may be deep inside
        if face >= 0:
            wait = wait_for(distance, bounds)
        waits_out[frame, point] = wait
    distances_out[frame, point] = distance
    normals_out[frame, point] = gradient
    faces_out[frame, point] = face
    barycentrics_out[frame, point] = weights


def query_surfaces(
    points, surface, reach, *, distances_out, normals_out, faces_out, barycentrics_out,
    bounds=(0.0, 0.0), waits_out=None,
):  # fmt: skip
    """Launch :func:`_query_surfaces` over all frames and points; without ``waits_out`` all are asked."""
    launch_slabs(
        _query_surfaces,
        dim=distances_out.shape,
        inputs=[points, surface, reach, wp.vec2(*bounds)],
        outputs=[distances_out, normals_out, faces_out, barycentrics_out, waits_out],
        device=distances_out.device,
    )
