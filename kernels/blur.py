"""Pictures blurred by Gaussians, of what is of one body alone.  Forward only."""

import warp as wp

from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False})

EMPTY = wp.constant(1.0e-3)  # below this share of the body a pixel has no colour


@wp.kernel
def _shrink_pictures(
    first_frame: int,
    pictures: wp.array3d[wp.uint8],  # [frame, pixel, 4] red, green, blue, 255 where the pixel is of the body
    width: int,
    shrink: int,
    small_width: int,
    small_height: int,
    small_out: wp.array2d[wp.vec4],  # [frame, small pixel] colour times share, share
):
    """Mean over squares of ``shrink`` by ``shrink`` pixels of what is of the body."""
    slab_frame, pixel = wp.tid()
    frame = first_frame + slab_frame
    if pixel >= small_width * small_height:
        return
    total = wp.vec4(0.0, 0.0, 0.0, 0.0)
    corner = (pixel // small_width) * shrink * width + (pixel % small_width) * shrink
    for row in range(shrink):
        for column in range(shrink):
            place = corner + row * width + column
            if pictures[frame, place, 3] > wp.uint8(0):
                total += wp.vec4(
                    float(pictures[frame, place, 0]) / 255.0,
                    float(pictures[frame, place, 1]) / 255.0,
                    float(pictures[frame, place, 2]) / 255.0,
                    1.0,
                )
    small_out[frame, pixel] = total / float(shrink * shrink)


def shrink_pictures(pictures, width, shrink, small_width, small_height, *, small_out):
    """Launch :func:`_shrink_pictures`; pixels beyond the last whole square are left out."""
    launch_slabs(
        _shrink_pictures,
        dim=(small_out.shape[0], small_width * small_height),
        inputs=[pictures, width, shrink, small_width, small_height],
        outputs=[small_out],
        device=small_out.device,
    )


@wp.kernel
def _blur_pictures(
    first_frame: int,
    pictures: wp.array2d[wp.vec4],  # [frame, pixel]
    width: int,
    height: int,
    sigma: float,
    radius: int,
    vertical: int,
    finish: int,
    blurred_out: wp.array2d[wp.vec4],  # [frame, pixel]
):
    """Gaussian blur along rows or columns; outside of the picture nothing is of the body.

    To ``finish`` divides colours by the share, so that what is not of the body leaves no trace in them.
    """
    slab_frame, pixel = wp.tid()
    frame = first_frame + slab_frame
    place = pixel % width
    end = width
    step = int(1)
    if vertical == 1:
        place = pixel // width
        end = height
        step = width
    total = wp.vec4(0.0, 0.0, 0.0, 0.0)
    weights = float(0.0)
    for shift in range(-radius, radius + 1):
        ratio = float(shift) / sigma
        weight = wp.exp(-0.5 * ratio * ratio)
        weights += weight
        if place + shift >= 0 and place + shift < end:
            total += pictures[frame, pixel + shift * step] * weight
    total = total / weights
    if finish == 1:
        share = total[3]
        if share > EMPTY:
            total = wp.vec4(total[0] / share, total[1] / share, total[2] / share, share)
        else:
            total = wp.vec4(0.0, 0.0, 0.0, 0.0)
    blurred_out[frame, pixel] = total


def blur_pictures(pictures, width, height, sigma, radius, *, vertical, finish, blurred_out):
    """Launch :func:`_blur_pictures` over the first ``width * height`` pixels of all frames."""
    launch_slabs(
        _blur_pictures,
        dim=(blurred_out.shape[0], width * height),
        inputs=[pictures, width, height, sigma, radius, int(vertical), int(finish)],
        outputs=[blurred_out],
        device=blurred_out.device,
    )
