"""The light of a picture: gain and offset between a model's own colours and those that are seen.  Forward only."""

import warp as wp

from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False, "max_unroll": 1})

vec5d = wp.types.vector(length=5, dtype=wp.float64)
mat55d = wp.types.matrix(shape=(5, 5), dtype=wp.float64)

FIT_PASSES = wp.constant(3)  # of reweighting, when the light is fitted
RIDGE = wp.constant(1.0e-4)  # colour variance below which the gain stays near one: the visible part is plain
SHADE_RIDGE = wp.constant(1.0e-3)  # the same for how the gain depends on the normal
LEAST_GAIN = wp.constant(0.1)
LARGEST_GAIN = wp.constant(10.0)


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


@wp.kernel
def _fit_light(
    first_frame: int,
    shades: wp.array2d[wp.vec3],  # [frame, sample]
    normals: wp.array2d[wp.vec3],  # [frame, sample]
    observed: wp.array2d[wp.vec3],  # [frame, sample]
    faces: wp.array2d[wp.int32],  # [frame, sample]
    sigma: wp.array[wp.float32],  # [1] grey levels
    gains_out: wp.array3d[wp.float32],  # [frame, sample, channel]
    offsets_out: wp.array2d[wp.float32],  # [frame, channel]
    counts_out: wp.array[wp.float32],  # [frame] samples that see the body
):
    """The light that makes the model's colours most like the picture's: weighted least squares in closed form.

    The picture is a gain times the colour plus an offset.  The gain is affine in the normal: ambient light and one
    lamp.  Samples that fit badly, in a highlight, a shadow or through an error of the pose, count less on the next
    pass.
    """
    slab_frame, channel = wp.tid()
    frame = first_frame + slab_frame
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
    launch_slabs(
        _fit_light,
        dim=offsets_out.shape,
        inputs=[shades, normals, observed, faces, sigma],
        outputs=[gains_out, offsets_out, counts_out],
        device=gains_out.device,
    )
