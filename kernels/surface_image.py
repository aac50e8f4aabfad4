"""What each pixel sees of a surface: normals, colours, and the adjoint of depth.  Forward only.

Which face a pixel sees is in its key; where in the face its centre falls follows from the projected corners, on which
inverse depth is affine.  Everything here is held to the face: that another face comes into sight is not in the adjoint.
"""

import warp as wp

from warpprior.kernels.slabs import launch_slabs
from warpprior.kernels.visibility import key_channel, key_face

wp.set_module_options({"enable_backward": False})


@wp.func
def screen_weights(a: wp.vec3, b: wp.vec3, c: wp.vec3, x: float, y: float) -> wp.vec3:
    """Affine weights of a triangle's corners on the screen; those of its middle where it has no area."""
    bx = b[0] - a[0]
    by = b[1] - a[1]
    cx = c[0] - a[0]
    cy = c[1] - a[1]
    area = bx * cy - by * cx
    if wp.abs(area) < 1.0e-12:
        return wp.vec3(1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0)
    weight_b = ((x - a[0]) * cy - (y - a[1]) * cx) / area
    weight_c = (bx * (y - a[1]) - by * (x - a[0])) / area
    return wp.vec3(1.0 - weight_b - weight_c, weight_b, weight_c)


@wp.func
def unproject(corner: wp.vec3, focal: wp.vec2, center: wp.vec2) -> wp.vec3:
    """Place in the camera frame of u, v [px] and depth [m]."""
    return wp.vec3(
        (corner[0] - center[0]) / focal[0] * corner[2], (corner[1] - center[1]) / focal[1] * corner[2], corner[2]
    )


@wp.kernel
def _read_normals(
    keys: wp.array2d[wp.uint64],  # [frame, pixel] of the whole picture
    screen: wp.array2d[wp.vec3],  # [frame, vertex] u, v, depth
    faces: wp.array[wp.vec3i],  # [face]
    focal: wp.vec2,
    center: wp.vec2,
    normals_out: wp.array2d[wp.vec3],  # [frame, pixel] camera frame, towards the camera; zero where there is nothing
):
    """Unit normal of the face that a pixel sees."""
    frame, pixel = wp.tid()
    normal = wp.vec3(0.0, 0.0, 0.0)
    key = keys[frame, pixel]
    if key != wp.uint64(0):
        corners = faces[key_face(key)]
        a = unproject(screen[frame, corners[0]], focal, center)
        b = unproject(screen[frame, corners[1]], focal, center)
        c = unproject(screen[frame, corners[2]], focal, center)
        normal = wp.normalize(wp.cross(b - a, c - a))
        if wp.dot(normal, a + b + c) > 0.0:
            normal = -normal
    normals_out[frame, pixel] = normal


def read_normals(keys, screen, faces, focal, center, *, normals_out):
    """Launch :func:`_read_normals` over all pixels."""
    wp.launch(
        _read_normals,
        dim=normals_out.shape,
        inputs=[keys, screen, faces, focal, center],
        outputs=[normals_out],
        device=normals_out.device,
        record_tape=False,
    )


@wp.kernel
def _read_colors(
    keys: wp.array2d[wp.uint64],  # [frame, pixel] of the whole picture
    screen: wp.array2d[wp.vec3],  # [frame, vertex]
    faces: wp.array[wp.vec3i],  # [face]
    colors: wp.array[wp.vec3],  # [vertex]
    width: int,
    colors_out: wp.array2d[wp.vec3],  # [frame, pixel] zero where there is nothing
):
    """Colour of the surface at a pixel's centre, perspective-correct, without light."""
    frame, pixel = wp.tid()
    color = wp.vec3(0.0, 0.0, 0.0)
    key = keys[frame, pixel]
    if key != wp.uint64(0):
        corners = faces[key_face(key)]
        a = screen[frame, corners[0]]
        b = screen[frame, corners[1]]
        c = screen[frame, corners[2]]
        weights = screen_weights(a, b, c, float(pixel % width) + 0.5, float(pixel // width) + 0.5)
        near = wp.vec3(weights[0] / a[2], weights[1] / b[2], weights[2] / c[2])
        color = colors[corners[0]] * near[0] + colors[corners[1]] * near[1] + colors[corners[2]] * near[2]
        color = color / (near[0] + near[1] + near[2])
    colors_out[frame, pixel] = color


def read_colors(keys, screen, faces, colors, width, *, colors_out):
    """Launch :func:`_read_colors` over all pixels."""
    wp.launch(
        _read_colors,
        dim=colors_out.shape,
        inputs=[keys, screen, faces, colors, width],
        outputs=[colors_out],
        device=colors_out.device,
        record_tape=False,
    )


@wp.kernel
def _push_depths(
    keys: wp.array2d[wp.uint64],  # [frame, pixel] of the whole picture
    screen: wp.array2d[wp.vec3],  # [frame, vertex]
    faces: wp.array[wp.vec3i],  # [face]
    width: int,
    depth_gradients: wp.array2d[wp.float32],  # [frame, pixel]
    screen_gradients_out: wp.array2d[wp.vec3],  # [frame, vertex] added to
):
    """Adjoint of depth at pixel centres.

    With inverse depth w = sum(share_i / z_i), a corner's own depth counts by its share, and a corner that moves on the
    screen takes the face's slope with it.
    """
    frame, pixel = wp.tid()
    gradient = depth_gradients[frame, pixel]
    key = keys[frame, pixel]
    if gradient == 0.0 or key == wp.uint64(0):
        return
    corners = faces[key_face(key)]
    a = screen[frame, corners[0]]
    b = screen[frame, corners[1]]
    c = screen[frame, corners[2]]
    shares = screen_weights(a, b, c, float(pixel % width) + 0.5, float(pixel // width) + 0.5)
    inverse = shares[0] / a[2] + shares[1] / b[2] + shares[2] / c[2]
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    slope = wp.vec2(0.0, 0.0)
    if wp.abs(area) > 1.0e-12:
        rise_b = 1.0 / b[2] - 1.0 / a[2]
        rise_c = 1.0 / c[2] - 1.0 / a[2]
        slope = wp.vec2(
            (rise_b * (c[1] - a[1]) - rise_c * (b[1] - a[1])) / area,
            (rise_c * (b[0] - a[0]) - rise_b * (c[0] - a[0])) / area,
        )
    factor = gradient / wp.max(inverse * inverse, 1.0e-12)
    for corner in range(3):
        z = screen[frame, corners[corner]][2]
        share = factor * shares[corner]
        wp.atomic_add(screen_gradients_out, frame, corners[corner], share * wp.vec3(slope[0], slope[1], 1.0 / (z * z)))


def push_depths(keys, screen, faces, width, depth_gradients, *, screen_gradients_out):
    """Launch :func:`_push_depths` over all pixels."""
    wp.launch(
        _push_depths,
        dim=depth_gradients.shape,
        inputs=[keys, screen, faces, width, depth_gradients],
        outputs=[screen_gradients_out],
        device=screen_gradients_out.device,
        record_tape=False,
    )


@wp.kernel
def _fill_coverage(
    first_frame: int,
    keys: wp.array2d[wp.uint64],  # [frame, pixel]
    coverage_out: wp.array3d[wp.float32],  # [frame, channel, pixel] zeroed before
):
    """Hard masks, to which antialiasing is added: 1 where the pixel's centre sees the channel."""
    slab_frame, pixel = wp.tid()
    frame = first_frame + slab_frame
    seen = key_channel(keys[frame, pixel])
    if seen < coverage_out.shape[1]:
        coverage_out[frame, seen, pixel] = 1.0


def fill_coverage(keys, *, coverage_out):
    """Launch :func:`_fill_coverage` over all pixels; ``coverage_out`` must have been zeroed."""
    launch_slabs(_fill_coverage, dim=keys.shape, inputs=[keys], outputs=[coverage_out], device=coverage_out.device)
