"""Adam on increments of poses and joints, frame by frame, with everything that changes kept on the device.

Increments are folded into the base poses after every step and zeroed, so the update *is* the new increment.  The
moments live in the moving tangent space; between two steps it turns by far less than the gradient's own noise.
A captured graph replays the same launch: the count of steps, the rate and the decays are arrays.  Forward only.
"""

import warp as wp

wp.set_module_options({"enable_backward": False})

LARGEST = wp.constant(1.0e18)  # gradients beyond have squares that overflow: as bad as one that is not finite
EPSILON = wp.constant(1.0e-12)  # gradients this small in a unit step are no direction


@wp.kernel
def _adam_step(
    gradients: wp.array2d[wp.float32],  # [frame, coordinate]
    scales: wp.array[wp.float32],  # [coordinate] unit step of each coordinate
    rate: wp.array[wp.float32],  # [1] length of a step in unit steps
    decays: wp.array[wp.float32],  # [2] of the first and of the second moment
    clip: wp.array[wp.float32],  # [1] longest gradient of a frame, counted per unit steps; 0 leaves all as they are
    active: wp.array[wp.int32],  # [frame] 0: the frame stays where it is
    steps_out: wp.array[wp.int32],  # [frame] steps taken, added to
    first_moment_out: wp.array2d[wp.float32],  # [frame, coordinate] updated
    second_moment_out: wp.array2d[wp.float32],  # [frame, coordinate] updated
    increments_out: wp.array2d[wp.float32],  # [frame, coordinate]
    skipped_out: wp.array[wp.int32],  # [frame] gradients that could not be used, added to
):
    """One step of one frame; a frame whose gradient is not finite stays, keeps its moments and is counted."""
    frame = wp.tid()
    count = gradients.shape[1]
    largest = float(0.0)
    usable = bool(True)
    for coordinate in range(count):
        gradient = gradients[frame, coordinate] * scales[coordinate]
        usable = usable and wp.isfinite(gradient)
        largest = wp.max(largest, wp.abs(gradient))
    usable = usable and largest <= LARGEST
    if active[frame] == 0 or not usable:
        if active[frame] != 0:
            skipped_out[frame] = skipped_out[frame] + 1
        for coordinate in range(count):
            increments_out[frame, coordinate] = 0.0
        return

    shrink = float(1.0)
    if clip[0] > 0.0 and largest > 0.0:
        square = float(0.0)
        for coordinate in range(count):
            share = gradients[frame, coordinate] * scales[coordinate] / largest
            square += share * share
        shrink = wp.min(clip[0] / (largest * wp.sqrt(square)), 1.0)
    step = steps_out[frame] + 1
    steps_out[frame] = step
    # In double precision: 1 - 0.999^step has three digits less than its terms.
    one = wp.float64(1.0)
    first_share = float(one / (one - wp.pow(wp.float64(decays[0]), wp.float64(step))))
    second_share = float(one / (one - wp.pow(wp.float64(decays[1]), wp.float64(step))))
    for coordinate in range(count):
        gradient = gradients[frame, coordinate] * scales[coordinate] * shrink
        first = decays[0] * first_moment_out[frame, coordinate] + (1.0 - decays[0]) * gradient
        second = decays[1] * second_moment_out[frame, coordinate] + (1.0 - decays[1]) * gradient * gradient
        first_moment_out[frame, coordinate] = first
        second_moment_out[frame, coordinate] = second
        unit = first * first_share / (wp.sqrt(second * second_share) + EPSILON)
        increments_out[frame, coordinate] = -rate[0] * scales[coordinate] * unit


def adam_step(
    gradients,
    scales,
    rate,
    decays,
    clip,
    active,
    *,
    steps_out,
    first_moment_out,
    second_moment_out,
    increments_out,
    skipped_out,
):
    """Launch :func:`_adam_step` over all frames; safe to capture in a graph and to replay."""
    wp.launch(
        _adam_step,
        dim=increments_out.shape[0],
        inputs=[gradients, scales, rate, decays, clip, active],
        outputs=[steps_out, first_moment_out, second_moment_out, increments_out, skipped_out],
        device=increments_out.device,
    )
