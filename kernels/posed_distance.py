"""Exact distances to surfaces in motion, as functions of points and surfaces.

Which place of the surface is closest is found by :mod:`warpprior.kernels.surface_query` and held; a distance
changes with the point along the normal, and with the corners of its face against it, by their barycentric weights.
That is the distance's true derivative.
"""

import warp as wp


@wp.kernel(enable_backward=False)
def _push_to_points(
    distance_gradients: wp.array2d[wp.float32],  # [frame, point]
    normals: wp.array2d[wp.vec3],  # [frame, point] zero for a miss
    point_gradients_out: wp.array2d[wp.vec3],  # [frame, point] added to
):
    """Adjoint of the distances by their points."""
    frame, point = wp.tid()
    gradient = distance_gradients[frame, point] * normals[frame, point]
    point_gradients_out[frame, point] = point_gradients_out[frame, point] + gradient


def push_to_points(distance_gradients, normals, *, point_gradients_out):
    """Launch :func:`_push_to_points` over all frames and points."""
    wp.launch(
        _push_to_points,
        dim=normals.shape,
        inputs=[distance_gradients, normals],
        outputs=[point_gradients_out],
        device=normals.device,
        record_tape=False,
    )


@wp.kernel(enable_backward=False)
def _push_to_surface(
    distance_gradients: wp.array2d[wp.float32],  # [frame, point]
    normals: wp.array2d[wp.vec3],  # [frame, point]
    faces: wp.array2d[wp.int32],  # [frame, point] -1 for a miss
    barycentrics: wp.array2d[wp.vec3],  # [frame, point]
    corners: wp.array2d[wp.int32],  # [face, 3]
    vertex_gradients_out: wp.array2d[wp.vec3],  # [frame, vertex] added to
):
    """Adjoint of the distances by the surface."""
    frame, point = wp.tid()
    face = faces[frame, point]
    if face >= 0:
        gradient = -distance_gradients[frame, point] * normals[frame, point]
        for corner in range(3):
            share = barycentrics[frame, point][corner]
            wp.atomic_add(vertex_gradients_out, frame, corners[face, corner], share * gradient)


def push_to_surface(distance_gradients, normals, faces, barycentrics, corners, *, vertex_gradients_out):
    """Launch :func:`_push_to_surface` over all frames and points."""
    wp.launch(
        _push_to_surface,
        dim=normals.shape,
        inputs=[distance_gradients, normals, faces, barycentrics, corners],
        outputs=[vertex_gradients_out],
        device=normals.device,
        record_tape=False,
    )


@wp.kernel
def _place_closest(
    vertices: wp.array2d[wp.vec3],  # [frame, vertex]
    corners: wp.array2d[wp.int32],  # [face, 3]
    faces: wp.array2d[wp.int32],  # [frame, point] -1 for a miss
    barycentrics: wp.array2d[wp.vec3],  # [frame, point]
    missing: float,
    closest_out: wp.array2d[wp.vec3],  # [frame, point] ``missing`` in all axes for a miss
):
    """The closest place of the surface, which moves with its face.  Gradients: vertices."""
    frame, point = wp.tid()
    face = faces[frame, point]
    if face < 0:
        closest_out[frame, point] = wp.vec3(missing, missing, missing)
    else:
        weights = barycentrics[frame, point]
        closest_out[frame, point] = (
            vertices[frame, corners[face, 0]] * weights[0]
            + vertices[frame, corners[face, 1]] * weights[1]
            + vertices[frame, corners[face, 2]] * weights[2]
        )


def place_closest(vertices, corners, faces, barycentrics, missing, *, closest_out):
    """Launch :func:`_place_closest` over all frames and points."""
    wp.launch(
        _place_closest,
        dim=closest_out.shape,
        inputs=[vertices, corners, faces, barycentrics, missing],
        outputs=[closest_out],
        device=closest_out.device,
    )
