"""Surfaces that follow their links, batched over frames, and points on those surfaces.

Every body writes at its own offset into one array [frame, vertex] that holds the whole scene.
"""

import warp as wp

from warpprior.kernels.kinematics import Turn, TurnDirections, blend_directions


@wp.kernel
def _shape_vertices(
    rest_vertices: wp.array[wp.vec3],  # [vertex]
    shape_directions: wp.array2d[wp.vec3],  # [vertex, shape]
    shape: wp.array[float],  # [shape]
    scale: wp.array[float],  # [1]
    # outputs:
    vertices_out: wp.array[wp.vec3],  # [vertex]
):
    """One vertex of the rest surface for this body's shape and size.  Gradients: shape, scale."""
    vertex = wp.tid()
    vertices_out[vertex] = (rest_vertices[vertex] + blend_directions(shape_directions, shape, vertex)) * scale[0]


def shape_vertices(rest_vertices, shape_directions, shape, scale, *, vertices_out):
    """Launch :func:`_shape_vertices` over all vertices of the body."""
    wp.launch(
        _shape_vertices,
        dim=vertices_out.shape[0],
        inputs=[rest_vertices, shape_directions, shape, scale],
        outputs=[vertices_out],
        device=vertices_out.device,
    )


@wp.func
def blend_turns(
    pose_directions: wp.array2d[TurnDirections],  # [vertex, link - 1]
    turns: wp.array2d[Turn],  # [frame, link - 1]
    frame: int,
    vertex: int,
):
    """Displacement of one vertex by the turns of all joints."""
    displacement = wp.vec3(0.0, 0.0, 0.0)
    for child in range(turns.shape[1]):
        displacement += pose_directions[vertex, child] * turns[frame, child]
    return displacement


@wp.kernel
def _blend_pose(
    vertices: wp.array[wp.vec3],  # [vertex]
    pose_directions: wp.array2d[TurnDirections],  # [vertex, link - 1]
    turns: wp.array2d[Turn],  # [frame, link - 1]
    scale: wp.array[float],  # [1]
    # outputs:
    blended_out: wp.array2d[wp.vec3],  # [frame, vertex]
):
    """One vertex of one frame: the rest surface corrected for this pose.  Gradients: vertices, turns, scale."""
    frame, vertex = wp.tid()
    blended_out[frame, vertex] = vertices[vertex] + blend_turns(pose_directions, turns, frame, vertex) * scale[0]


def blend_pose(vertices, pose_directions, turns, scale, *, blended_out):
    """Launch :func:`_blend_pose` over all frames and vertices."""
    wp.launch(
        _blend_pose,
        dim=blended_out.shape,
        inputs=[vertices, pose_directions, turns, scale],
        outputs=[blended_out],
        device=blended_out.device,
    )


@wp.func
def blend_links(
    skin: wp.array2d[wp.transform],  # [frame, link]
    skin_links: wp.array2d[int],  # [vertex, influence]
    skin_weights: wp.array2d[float],  # [vertex, influence]
    frame: int,
    vertex: int,
    point: wp.vec3,
):
    """Linear blend of where each link would carry the point."""
    carried = wp.vec3(0.0, 0.0, 0.0)
    for influence in range(skin_links.shape[1]):
        link = skin_links[vertex, influence]
        carried += wp.transform_point(skin[frame, link], point) * skin_weights[vertex, influence]
    return carried


@wp.kernel
def _skin_vertices(
    skin: wp.array2d[wp.transform],  # [frame, link]
    vertices: wp.array2d[wp.vec3],  # [1 or frame, vertex]
    skin_links: wp.array2d[int],  # [vertex, influence]
    skin_weights: wp.array2d[float],  # [vertex, influence]
    vertex_offset: int,
    # outputs:
    vertices_out: wp.array2d[wp.vec3],  # [frame, scene vertex]
):
    """One vertex of one frame by linear blend skinning, in the camera frame.  Gradients: skin, vertices."""
    frame, vertex = wp.tid()
    point = vertices[wp.min(frame, vertices.shape[0] - 1), vertex]
    carried = blend_links(skin, skin_links, skin_weights, frame, vertex, point)
    vertices_out[frame, vertex_offset + vertex] = carried


def skin_vertices(skin, vertices, skin_links, skin_weights, *, vertex_offset, vertices_out):
    """Launch :func:`_skin_vertices` over all frames and vertices; they are written from ``vertex_offset`` on."""
    wp.launch(
        _skin_vertices,
        dim=(vertices_out.shape[0], skin_links.shape[0]),
        inputs=[skin, vertices, skin_links, skin_weights, vertex_offset],
        outputs=[vertices_out],
        device=vertices_out.device,
    )


@wp.kernel
def _carry_vertices(
    skin: wp.array2d[wp.transform],  # [frame, link]
    vertices: wp.array2d[wp.vec3],  # [1 or frame, vertex]
    vertex_links: wp.array[int],  # [vertex]
    vertex_offset: int,
    # outputs:
    vertices_out: wp.array2d[wp.vec3],  # [frame, scene vertex]
):
    """One vertex of one frame that follows a single link: robots and rigid bodies.  Gradients: skin, vertices."""
    frame, vertex = wp.tid()
    point = vertices[wp.min(frame, vertices.shape[0] - 1), vertex]
    vertices_out[frame, vertex_offset + vertex] = wp.transform_point(skin[frame, vertex_links[vertex]], point)


def carry_vertices(skin, vertices, vertex_links, *, vertex_offset, vertices_out):
    """Launch :func:`_carry_vertices` over all frames and vertices; they are written from ``vertex_offset`` on."""
    wp.launch(
        _carry_vertices,
        dim=(vertices_out.shape[0], vertex_links.shape[0]),
        inputs=[skin, vertices, vertex_links, vertex_offset],
        outputs=[vertices_out],
        device=vertices_out.device,
    )


@wp.kernel
def _interpolate_points(
    vertices: wp.array2d[wp.vec3],  # [frame, scene vertex]
    faces: wp.array2d[int],  # [face, 3], the body's own vertex numbers
    point_faces: wp.array[int],  # [point]
    barycentrics: wp.array[wp.vec3],  # [point]
    vertex_offset: int,
    # outputs:
    points_out: wp.array2d[wp.vec3],  # [frame, point]
):
    """One surface point of one frame, from the corners of its face.  Gradients: vertices."""
    frame, point = wp.tid()
    face = point_faces[point]
    weights = barycentrics[point]
    points_out[frame, point] = (
        vertices[frame, vertex_offset + faces[face, 0]] * weights[0]
        + vertices[frame, vertex_offset + faces[face, 1]] * weights[1]
        + vertices[frame, vertex_offset + faces[face, 2]] * weights[2]
    )


def interpolate_points(vertices, faces, point_faces, barycentrics, *, vertex_offset, points_out):
    """Launch :func:`_interpolate_points`; the body's vertices start at ``vertex_offset`` of the scene's."""
    wp.launch(
        _interpolate_points,
        dim=points_out.shape,
        inputs=[vertices, faces, point_faces, barycentrics, vertex_offset],
        outputs=[points_out],
        device=points_out.device,
    )
