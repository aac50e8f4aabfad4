"""From solutions of the equations to steps that are taken.  Forward only."""

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.struct
class StepLimits:
    """How far the unknowns of a body may step, and how far its joints go."""

    first: wp.int32  # column of its root among those that were solved for
    longest: wp.array(dtype=wp.float64)  # [unknown] beyond, the linearisation is off
    lower: wp.array(dtype=wp.float32)  # [coordinate]
    upper: wp.array(dtype=wp.float32)  # [coordinate]


@wp.kernel
def _take_steps(
    steps: wp.array2d[wp.float64],  # [frame, column]
    limits: StepLimits,
    joints: wp.array2d[wp.float32],  # [frame, coordinate]
    increments_out: wp.array2d[wp.float32],  # [frame, unknown]
):
    """Shorten the steps of a body in a frame alike, until none is too long; joints end within their limits."""
    frame = wp.tid()
    count = increments_out.shape[1]
    ratio = wp.float64(1.0)
    for i in range(count):
        ratio = wp.max(ratio, wp.abs(steps[frame, limits.first + i]) / limits.longest[i])
    for i in range(count):
        step = wp.float32(steps[frame, limits.first + i] / ratio)
        if i >= 6:
            now = joints[frame, i - 6]
            step = wp.min(wp.max(now + step, limits.lower[i - 6]), limits.upper[i - 6]) - now
        increments_out[frame, i] = step


def take_steps(steps, limits, joints, *, increments_out):
    """Launch :func:`_take_steps` over all frames."""
    wp.launch(
        _take_steps,
        dim=increments_out.shape[0],
        inputs=[steps, limits, joints],
        outputs=[increments_out],
        device=increments_out.device,
    )


@wp.kernel
def _advance_shared(
    steps: wp.array2d[wp.float64],  # [segment, shared]
    values_out: wp.array2d[wp.float64],  # [segment, shared]
    single_out: wp.array2d[wp.float32],  # [segment, shared]
):
    """Add steps to shared unknowns, which others read in single precision."""
    segment, k = wp.tid()
    value = values_out[segment, k] + steps[segment, k]
    values_out[segment, k] = value
    single_out[segment, k] = wp.float32(value)


def advance_shared(steps, *, values_out, single_out):
    """Launch :func:`_advance_shared` over all segments and shared unknowns."""
    wp.launch(
        _advance_shared,
        dim=values_out.shape,
        inputs=[steps],
        outputs=[values_out, single_out],
        device=values_out.device,
    )
