"""Colour of a surface at pixel centres, compared with an image (Eq. 1).

Which face a pixel sees is looked up once and frozen; where in that face the pixel's ray falls is computed from the
vertices, so that gradients flow to them.  Colours are grey levels in [0, 1], linear in the barycentrics.
"""

import warp as wp

from warpprior.kernels.visibility import key_channel, key_face

vec5d = wp.types.vector(length=5, dtype=wp.float64)
mat55d = wp.types.matrix(shape=(5, 5), dtype=wp.float64)

FIT_PASSES = wp.constant(3)  # of reweighting, when the light is fitted
RIDGE = wp.constant(1.0e-4)  # colour variance below which the gain stays near one: the visible part is plain
SHADE_RIDGE = wp.constant(1.0e-3)  # the same for how the gain depends on the normal
LEAST_GAIN = wp.constant(0.1)
LARGEST_GAIN = wp.constant(10.0)


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


# Not forward-only: Warp 1.12 would then build ray_color without its adjoint for every kernel of this file.
@wp.kernel
def _shade_samples(
    vertices: wp.array2d[wp.vec3],  # [frame, vertex]
    corners: wp.array[wp.vec3i],  # [face]
    colors: wp.array[wp.vec3],  # [vertex]
    rays: wp.array2d[wp.vec2],  # [frame, sample]
    faces: wp.array2d[wp.int32],  # [frame, sample]
    shades_out: wp.array2d[wp.vec3],  # [frame, sample] 0 where there is no face
):
    """The model's own colour at each sample."""
    frame, sample = wp.tid()
    face = faces[frame, sample]
    if face < 0:
        shades_out[frame, sample] = wp.vec3(0.0, 0.0, 0.0)
        return
    i = corners[face][0]
    j = corners[face][1]
    k = corners[face][2]
    shades_out[frame, sample] = ray_color(
        rays[frame, sample],
        vertices[frame, i],
        vertices[frame, j],
        vertices[frame, k],
        colors[i],
        colors[j],
        colors[k],
    )


def shade_samples(vertices, corners, colors, rays, faces, *, shades_out):
    """Launch :func:`_shade_samples` over all frames and samples."""
    wp.launch(
        _shade_samples,
        dim=shades_out.shape,
        inputs=[vertices, corners, colors, rays, faces],
        outputs=[shades_out],
        device=shades_out.device,
    )


@wp.func
def solve_spd(matrix: mat55d, right: vec5d) -> vec5d:
    """Solution of a symmetric positive definite system, by elimination."""
    a = matrix
    x = right
    for i in range(5):
        for j in range(i + 1, 5):
            ratio = a[j, i] / a[i, i]
            for k in range(i, 5):
                a[j, k] = a[j, k] - ratio * a[i, k]
            x[j] = x[j] - ratio * x[i]
    for back in range(5):
        i = 4 - back
        for k in range(i + 1, 5):
            x[i] = x[i] - a[i, k] * x[k]
        x[i] = x[i] / a[i, i]
    return x


@wp.func
def light_row(shade: float, normal: wp.vec3) -> vec5d:
    """What the five numbers of the light multiply: gain, its change along the normal's x, y and z, and offset."""
    return vec5d(
        wp.float64(shade),
        wp.float64(shade * normal[0]),
        wp.float64(shade * normal[1]),
        wp.float64(shade * normal[2]),
        wp.float64(1.0),
    )


@wp.kernel(enable_backward=False)
def _fit_light(
    shades: wp.array2d[wp.vec3],  # [frame, sample]
    normals: wp.array2d[wp.vec3],  # [frame, sample]
    observed: wp.array2d[wp.vec3],  # [frame, sample]
    faces: wp.array2d[wp.int32],  # [frame, sample]
    sigma: wp.array[wp.float32],  # [1] grey levels
    gains_out: wp.array3d[wp.float32],  # [frame, sample, channel]
    offsets_out: wp.array2d[wp.float32],  # [frame, channel]
    counts_out: wp.array[wp.float32],  # [frame] samples that see the body
):
    """The light that makes the model's colours most like the image's: weighted least squares in closed form.

    The image is a gain times the colour plus an offset.  The gain is affine in the normal: ambient light and one
    lamp.  Samples that fit badly, in a highlight, a shadow or through an error of the pose, count less on the next
    pass.
    """
    frame, channel = wp.tid()
    light = vec5d()
    light[0] = wp.float64(1.0)
    count = int(0)
    for fit in range(FIT_PASSES):
        count = int(0)
        total = wp.float64(0.0)
        matrix = mat55d()
        right = vec5d()
        for sample in range(shades.shape[1]):
            if faces[frame, sample] >= 0:
                row = light_row(shades[frame, sample][channel], normals[frame, sample])
                seen = wp.float64(observed[frame, sample][channel])
                weight = wp.float64(1.0)
                if fit > 0:
                    ratio = (wp.dot(row, light) - seen) / wp.float64(sigma[0])
                    weight = wp.float64(1.0) / wp.sqrt(wp.float64(1.0) + ratio * ratio)
                count += 1
                total += weight
                matrix += wp.outer(row * weight, row)
                right += row * (weight * seen)
        if count > 0:
            pull = wp.float64(RIDGE) * total
            matrix[0, 0] = matrix[0, 0] + pull
            right[0] = right[0] + pull
            for i in range(1, 4):
                matrix[i, i] = matrix[i, i] + wp.float64(SHADE_RIDGE) * total
            light = solve_spd(matrix, right)
    for sample in range(shades.shape[1]):
        normal = normals[frame, sample]
        gain = float(light[0]) + float(light[1]) * normal[0] + float(light[2]) * normal[1] + float(light[3]) * normal[2]
        gains_out[frame, sample, channel] = wp.clamp(gain, LEAST_GAIN, LARGEST_GAIN)
    offsets_out[frame, channel] = float(light[4])
    if channel == 0:
        counts_out[frame] = float(count)


def fit_light(shades, normals, observed, faces, sigma, *, gains_out, offsets_out, counts_out):
    """Launch :func:`_fit_light` over all frames and channels."""
    wp.launch(
        _fit_light,
        dim=offsets_out.shape,
        inputs=[shades, normals, observed, faces, sigma],
        outputs=[gains_out, offsets_out, counts_out],
        device=gains_out.device,
    )


@wp.func
def charbonnier(ratio: float) -> float:
    """Half the square near zero, linear far out: sqrt(1 + x^2) - 1 without its cancellation."""
    return ratio * ratio / (wp.sqrt(1.0 + ratio * ratio) + 1.0)


@wp.kernel
def _add_image(
    vertices: wp.array2d[wp.vec3],  # [frame, vertex]
    corners: wp.array[wp.vec3i],  # [face]
    colors: wp.array[wp.vec3],  # [vertex]
    rays: wp.array2d[wp.vec2],  # [frame, sample]
    faces: wp.array2d[wp.int32],  # [frame, sample]
    observed: wp.array2d[wp.vec3],  # [frame, sample]
    gains: wp.array3d[wp.float32],  # [frame, sample, channel]
    offsets: wp.array2d[wp.float32],  # [frame, channel]
    counts: wp.array[wp.float32],  # [frame]
    least_counts: wp.array[wp.float32],  # [frame]
    sigma: wp.array[wp.float32],  # [1] grey levels
    row: int,
    rows_out: wp.array2d[wp.float32],  # [term, frame] added to
):
    """Mean Charbonnier cost of the colour differences of a frame.  Gradients flow to the vertices."""
    frame, sample = wp.tid()
    face = faces[frame, sample]
    if face >= 0:
        i = corners[face][0]
        j = corners[face][1]
        k = corners[face][2]
        color = ray_color(
            rays[frame, sample],
            vertices[frame, i],
            vertices[frame, j],
            vertices[frame, k],
            colors[i],
            colors[j],
            colors[k],
        )
        seen = observed[frame, sample]
        red = (gains[frame, sample, 0] * color[0] + offsets[frame, 0] - seen[0]) / sigma[0]
        green = (gains[frame, sample, 1] * color[1] + offsets[frame, 1] - seen[1]) / sigma[0]
        blue = (gains[frame, sample, 2] * color[2] + offsets[frame, 2] - seen[2]) / sigma[0]
        cost = charbonnier(red) + charbonnier(green) + charbonnier(blue)
        wp.atomic_add(rows_out, row, frame, cost / (3.0 * wp.max(counts[frame], least_counts[frame])))


def add_image(
    vertices, corners, colors, rays, faces, observed, gains, offsets, counts, least_counts, sigma, row,
    *, rows_out,
):  # fmt: skip
    """Launch :func:`_add_image` over all frames and samples."""
    wp.launch(
        _add_image,
        dim=faces.shape,
        inputs=[
            vertices, corners, colors, rays, faces, observed, gains, offsets, counts, least_counts, sigma, row,
        ],
        outputs=[rows_out],
        device=rows_out.device,
    )  # fmt: skip


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
    """Sum of squared differences of rendered and masked image, as Eq. 1 is printed; unrendered pixels are black."""
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
