"""Colour of a surface at pixel centres, compared with a picture as Eq. 1 is printed.

Which face a pixel sees is looked up once and frozen; where in that face the pixel's ray falls is computed from the
vertices, so that gradients flow to them.  Colours are grey levels in [0, 1], linear in the barycentrics.
"""

import warp as wp

from warpprior.kernels.visibility import key_channel, key_face


@wp.func
def beside(ray: wp.vec2, vertex: wp.vec3) -> wp.vec2:
    """How far a vertex is beside the ray (x/z, y/z) at its own depth [m]: small numbers that cancel little."""
    return wp.vec2(vertex[0] - ray[0] * vertex[2], vertex[1] - ray[1] * vertex[2])


@wp.func
def cross2(a: wp.vec2, b: wp.vec2) -> float:
    """Signed area of two vectors in the plane."""
    return a[0] * b[1] - a[1] * b[0]


@wp.func
def ray_color(
    ray: wp.vec2,
    a: wp.vec3,
    b: wp.vec3,
    c: wp.vec3,
    color_a: wp.vec3,
    color_b: wp.vec3,
    color_c: wp.vec3,
) -> wp.vec3:
    """Colour where the ray (x/z, y/z) meets the plane of a triangle; perspective-correct, not clamped to it.

    The weight of a corner is the triple product of the ray and the other two corners.
    """
    beside_a = beside(ray, a)
    beside_b = beside(ray, b)
    beside_c = beside(ray, c)
    weight_a = cross2(beside_b, beside_c)
    weight_b = cross2(beside_c, beside_a)
    weight_c = cross2(beside_a, beside_b)
    total = weight_a + weight_b + weight_c
    return (color_a * weight_a + color_b * weight_b + color_c * weight_c) / total


@wp.kernel(enable_backward=False)
def _find_faces(
    keys: wp.array2d[wp.uint64],  # [frame, pixel]
    pixels: wp.array2d[wp.int32],  # [frame, sample] -1 for none
    rays: wp.array2d[wp.vec2],  # [frame, sample] x/z, y/z of the pixel's centre
    vertices: wp.array2d[wp.vec3],  # [frame, vertex] camera frame
    corners: wp.array[wp.vec3i],  # [face]
    channel: int,
    least_cosine: float,
    faces_out: wp.array2d[wp.int32],  # [frame, sample] -1 for none
    normals_out: wp.array2d[wp.vec3],  # [frame, sample] of the face, towards the camera
):
    """The face of the body that each sample sees; none where another body is seen, or the face is too oblique."""
    frame, sample = wp.tid()
    faces_out[frame, sample] = -1
    normals_out[frame, sample] = wp.vec3(0.0, 0.0, 0.0)
    pixel = pixels[frame, sample]
    if pixel < 0:
        return
    key = keys[frame, pixel]
    if key_channel(key) != channel:
        return
    face = key_face(key)
    if face >= corners.shape[0]:
        return
    a = vertices[frame, corners[face][0]]
    normal = wp.cross(vertices[frame, corners[face][1]] - a, vertices[frame, corners[face][2]] - a)
    ray = wp.vec3(rays[frame, sample][0], rays[frame, sample][1], 1.0)
    away = wp.dot(normal, ray)
    if wp.abs(away) > least_cosine * wp.length(normal) * wp.length(ray):
        faces_out[frame, sample] = face
        normals_out[frame, sample] = -wp.sign(away) * wp.normalize(normal)


def find_faces(keys, pixels, rays, vertices, corners, channel, least_cosine, *, faces_out, normals_out):
    """Launch :func:`_find_faces` over all frames and samples."""
    wp.launch(
        _find_faces,
        dim=faces_out.shape,
        inputs=[keys, pixels, rays, vertices, corners, channel, least_cosine],
        outputs=[faces_out, normals_out],
        device=faces_out.device,
    )


@wp.kernel
def _add_image_literal(
    vertices: wp.array2d[wp.vec3],  # [frame, vertex]
    corners: wp.array[wp.vec3i],  # [face]
    colors: wp.array[wp.vec3],  # [vertex]
    rays: wp.array2d[wp.vec2],  # [frame, sample]
    faces: wp.array2d[wp.int32],  # [frame, sample]
    observed: wp.array2d[wp.vec3],  # [frame, sample] 0 off the object's mask
    row: int,
    rows_out: wp.array2d[wp.float32],  # [term, frame] added to
):
    """Sum of squared differences of rendered and masked picture, as Eq. 1 is printed; unrendered pixels are black."""
    frame, sample = wp.tid()
    face = faces[frame, sample]
    difference = -observed[frame, sample]
    if face >= 0:
        i = corners[face][0]
        j = corners[face][1]
        k = corners[face][2]
        difference = difference + ray_color(
            rays[frame, sample],
            vertices[frame, i],
            vertices[frame, j],
            vertices[frame, k],
            colors[i],
            colors[j],
            colors[k],
        )
    wp.atomic_add(rows_out, row, frame, wp.dot(difference, difference))


def add_image_literal(vertices, corners, colors, rays, faces, observed, row, *, rows_out):
    """Launch :func:`_add_image_literal` over all frames and samples."""
    wp.launch(
        _add_image_literal,
        dim=faces.shape,
        inputs=[vertices, corners, colors, rays, faces, observed, row],
        outputs=[rows_out],
        device=rows_out.device,
    )
