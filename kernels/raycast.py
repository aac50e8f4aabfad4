"""Ray casting of pixels against one triangle mesh per frame: labels, depth, faces, normals and shaded colour.

It renders the observations of simulated scenes and is the independent check of the rasteriser: nothing is shared with
it, not even the projection.  Forward only.
"""

import warp as wp

wp.set_module_options({"enable_backward": False})

FARTHEST = wp.constant(1.0e4)  # [m] rays end here


@wp.struct
class Hits:
    """What the rays of an image hit, as :func:`cast_pixels` writes it."""

    depths: wp.array3d[wp.float32]  # [frame, row, column] [m], 0 where nothing was hit
    faces: wp.array3d[wp.int32]  # [frame, row, column] -1 where nothing was hit
    barycentrics: wp.array3d[wp.vec2]  # [frame, row, column] weights of the face's first two vertices
    normals: wp.array3d[wp.vec3]  # [frame, row, column] camera frame, towards the camera


@wp.struct
class Backdrop:
    """An image that lies behind everything."""

    depths: wp.array2d[wp.float32]  # [row, column] [m], 0 where there is nothing
    colors: wp.array2d[wp.vec3]  # [row, column] in [0, 1]


@wp.struct
class Lamp:
    """A light far away, and what its shadows leave."""

    direction: wp.vec3  # unit vector towards it, camera frame
    ambient: wp.float32  # share of light that comes from everywhere
    shadow: wp.float32  # share of the lamp's light that shadows take, in [0, 1]


@wp.func
def pixel_ray(row: int, column: int, focal: wp.vec2, center: wp.vec2) -> wp.vec3:
    """Direction of the ray through a pixel's centre, of unit depth: its parameter is the depth."""
    return wp.vec3(
        (float(column) + 0.5 - center[0]) / focal[0],
        (float(row) + 0.5 - center[1]) / focal[1],
        1.0,
    )


@wp.kernel
def _bound_vertices(
    vertices: wp.array2d[wp.vec3],  # [frame, vertex] camera frame
    focal: wp.vec2,
    center: wp.vec2,
    near: float,
    boxes_out: wp.array2d[int],  # [frame, 4] first row, first column, last row, last column (inclusive)
):
    """Pixels that one vertex of one frame can cover, joined to those of the others."""
    frame, vertex = wp.tid()
    point = vertices[frame, vertex]
    # A vertex at or behind the camera may project anywhere: it opens the box on all sides.
    first_row = int(-1000000)
    first_column = int(-1000000)
    last_row = int(1000000)
    last_column = int(1000000)
    if point[2] > near:
        column = int(wp.floor(wp.clamp(focal[0] * point[0] / point[2] + center[0], -1.0e6, 1.0e6)))
        row = int(wp.floor(wp.clamp(focal[1] * point[1] / point[2] + center[1], -1.0e6, 1.0e6)))
        first_row = row - 1
        first_column = column - 1
        last_row = row + 1
        last_column = column + 1
    wp.atomic_min(boxes_out, frame, 0, first_row)
    wp.atomic_min(boxes_out, frame, 1, first_column)
    wp.atomic_max(boxes_out, frame, 2, last_row)
    wp.atomic_max(boxes_out, frame, 3, last_column)


def bound_vertices(vertices, focal, center, near, *, boxes_out):
    """Grow ``boxes_out`` to the pixels that the vertices of each frame can cover; start it at (max, max, min, min)."""
    wp.launch(
        _bound_vertices,
        dim=vertices.shape,
        inputs=[vertices, focal, center, near],
        outputs=[boxes_out],
        device=boxes_out.device,
    )


@wp.kernel
def _cast_pixels(
    meshes: wp.array[wp.uint64],  # [frame]
    boxes: wp.array2d[int],  # [frame, 4] first row, first column, last row, last column
    face_labels: wp.array[wp.uint8],  # [face]
    backdrop_depths: wp.array2d[float],  # [row, column] 0 where there is nothing
    focal: wp.vec2,
    center: wp.vec2,
    labels_out: wp.array3d[wp.uint8],  # [frame, row, column] 0 where nothing was hit
    depths_out: wp.array3d[float],  # [frame, row, column] 0 where nothing was hit
    faces_out: wp.array3d[int],  # [frame, row, column] -1 where nothing was hit
    barycentrics_out: wp.array3d[wp.vec2],  # [frame, row, column] weights of the face's first two vertices
    normals_out: wp.array3d[wp.vec3],  # [frame, row, column] camera frame, towards the camera
):
    """One ray through the centre of one pixel of one frame."""
    frame, row, column = wp.tid()
    label = wp.uint8(0)
    depth = float(0.0)
    face = int(-1)
    barycentric = wp.vec2(0.0, 0.0)
    normal = wp.vec3(0.0, 0.0, 0.0)
    inside = (
        row >= boxes[frame, 0] and column >= boxes[frame, 1] and row <= boxes[frame, 2] and column <= boxes[frame, 3]
    )
    if inside:
        direction = pixel_ray(row, column, focal, center)
        farthest = wp.where(backdrop_depths[row, column] > 0.0, backdrop_depths[row, column], FARTHEST)
        query = wp.mesh_query_ray(meshes[frame], wp.vec3(0.0, 0.0, 0.0), direction, farthest)
        if query.result:
            face = query.face
            label = face_labels[face]
            depth = query.t
            barycentric = wp.vec2(query.u, query.v)
            normal = wp.normalize(query.normal)
            if wp.dot(normal, direction) > 0.0:
                normal = -normal
    labels_out[frame, row, column] = label
    depths_out[frame, row, column] = depth
    faces_out[frame, row, column] = face
    barycentrics_out[frame, row, column] = barycentric
    normals_out[frame, row, column] = normal


def cast_pixels(
    meshes,
    boxes,
    face_labels,
    backdrop_depths,
    focal,
    center,
    *,
    labels_out,
    depths_out,
    faces_out,
    barycentrics_out,
    normals_out,
):
    """Cast one ray per pixel and frame at ``wp.Mesh`` ids; what lies outside a frame's box, or
    behind the backdrop, is not seen.
    """
    wp.launch(
        _cast_pixels,
        dim=labels_out.shape,
        inputs=[meshes, boxes, face_labels, backdrop_depths, focal, center],
        outputs=[labels_out, depths_out, faces_out, barycentrics_out, normals_out],
        device=labels_out.device,
    )


@wp.kernel
def _shade_pixels(
    meshes: wp.array[wp.uint64],  # [frame]
    hits: Hits,
    triangles: wp.array2d[int],  # [face, 3]
    colors: wp.array[wp.vec3],  # [vertex] in [0, 1]
    backdrop: Backdrop,
    lamp: Lamp,
    focal: wp.vec2,
    center: wp.vec2,
    colors_out: wp.array3d[wp.vec3],  # [frame, row, column] in [0, 1]
):
    """Colour of one pixel of one frame."""
    frame, row, column = wp.tid()
    face = hits.faces[frame, row, column]
    color = backdrop.colors[row, column]
    if face < 0:
        distance = backdrop.depths[row, column]
        if distance > 0.0 and lamp.shadow > 0.0:
            lit = distance * pixel_ray(row, column, focal, center) + 1.0e-3 * lamp.direction
            if wp.mesh_query_ray(meshes[frame], lit, lamp.direction, FARTHEST).result:
                color = (1.0 - lamp.shadow) * color
    else:
        weights = hits.barycentrics[frame, row, column]
        albedo = (
            weights[0] * colors[triangles[face, 0]]
            + weights[1] * colors[triangles[face, 1]]
            + (1.0 - weights[0] - weights[1]) * colors[triangles[face, 2]]
        )
        normal = hits.normals[frame, row, column]
        light = wp.max(wp.dot(normal, lamp.direction), 0.0)
        if light > 0.0 and lamp.shadow > 0.0:
            start = hits.depths[frame, row, column] * pixel_ray(row, column, focal, center) + 5.0e-4 * normal
            if wp.mesh_query_ray(meshes[frame], start, lamp.direction, FARTHEST).result:
                light = (1.0 - lamp.shadow) * light
        # A weak second light from the camera keeps unlit sides readable.
        fill = wp.max(-wp.dot(normal, wp.normalize(pixel_ray(row, column, focal, center))), 0.0)
        color = wp.min(albedo * (lamp.ambient + 0.15 * fill + (0.85 - lamp.ambient) * light), wp.vec3(1.0, 1.0, 1.0))
    colors_out[frame, row, column] = color


def shade_pixels(meshes, hits, triangles, colors, backdrop, lamp, focal, center, *, colors_out):
    """Lambert shading of what :func:`cast_pixels` hit, over a backdrop.

    What the meshes hide from the lamp lies in shadow, on themselves and on the backdrop.
    """
    wp.launch(
        _shade_pixels,
        dim=colors_out.shape,
        inputs=[meshes, hits, triangles, colors, backdrop, lamp, focal, center],
        outputs=[colors_out],
        device=colors_out.device,
    )
