"""The size of a rigid body as an unknown: what follows from it, and how its surface moves with it.  Forward only.

A body that grows about the camera's centre, surface and distance alike, looks the same in every picture.  So the
unknown is that: with it goes the depth of the body in all frames, and a point v of its surface moves by v itself.  What
pictures say of poses and what other things say of the size are then apart, however far the size is off.
"""

import warp as wp

from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False})


@wp.kernel
def _take_size(
    log_factor: wp.array[wp.float32],  # [1] natural logarithm
    given: float,  # size that the body was given with
    factor_out: wp.array[wp.float32],  # [1]
    scale_out: wp.array[wp.float32],  # [1]
):
    """The factor of a body's size, and its size."""
    factor = wp.exp(log_factor[0])
    factor_out[0] = factor
    scale_out[0] = given * factor


def take_size(log_factor, given, *, factor_out, scale_out):
    """Launch :func:`_take_size`."""
    wp.launch(
        _take_size,
        dim=1,
        inputs=[log_factor, given],
        outputs=[factor_out, scale_out],
        device=factor_out.device,
        record_tape=False,
    )


@wp.kernel
def _carry_depth(
    steps: wp.array2d[wp.float64],  # [segment, shared]
    column: int,  # of the size among what is shared
    segments: wp.array[wp.int32],  # [frame]
    increments_out: wp.array2d[wp.float32],  # [frame, unknown] added to
):
    """Move a body away as it grows."""
    frame = wp.tid()
    increments_out[frame, 2] = increments_out[frame, 2] + wp.float32(steps[segments[frame], column])


def carry_depth(steps, column, segments, *, increments_out):
    """Launch :func:`_carry_depth` over all frames."""
    wp.launch(
        _carry_depth,
        dim=increments_out.shape[0],
        inputs=[steps, column, segments],
        outputs=[increments_out],
        device=increments_out.device,
        record_tape=False,
    )


@wp.kernel
def _differentiate_size(
    first_frame: int,
    places: wp.array[wp.vec2i],  # [place] scene vertex (-1 for the origin of the body), entry
    vertices: wp.array2d[wp.vec3],  # [frame, scene vertex] camera frame
    poses: wp.array[wp.transform],  # [frame] camera_from_body
    values_out: wp.array2d[wp.vec3],  # [frame, entry]
):
    """Derivative of one vertex, or of the body's origin, by the logarithm of the size, camera frame."""
    slab_frame, place = wp.tid()
    frame = first_frame + slab_frame
    vertex = places[place][0]
    if vertex < 0:
        values_out[frame, places[place][1]] = wp.transform_get_translation(poses[frame])
    else:
        values_out[frame, places[place][1]] = vertices[frame, vertex]


def differentiate_size(places, vertices, poses, *, values_out):
    """Launch :func:`_differentiate_size` over all frames and places."""
    launch_slabs(
        _differentiate_size,
        dim=(values_out.shape[0], places.shape[0]),
        inputs=[places, vertices, poses],
        outputs=[values_out],
        device=values_out.device,
    )


@wp.kernel
def _scale_areas(
    areas: wp.array[wp.float32],  # [sample] of the size that was given [m^2]
    factor: wp.array[wp.float32],  # [1] of the size
    areas_out: wp.array[wp.float32],  # [sample] [m^2]
):
    """Areas of a surface's samples at its size."""
    sample = wp.tid()
    areas_out[sample] = areas[sample] * factor[0] * factor[0]


def scale_areas(areas, factor, *, areas_out):
    """Launch :func:`_scale_areas` over all samples."""
    wp.launch(
        _scale_areas,
        dim=areas.shape[0],
        inputs=[areas, factor],
        outputs=[areas_out],
        device=areas_out.device,
        record_tape=False,
    )
