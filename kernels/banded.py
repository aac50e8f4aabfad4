"""Block-banded least squares over a sequence: one banded Cholesky per sequence.  Forward only.

The unknowns are one increment of six numbers per frame.  Blocks ``hessian[frame, lag]`` couple a frame with the one
``lag`` frames before it; terms with velocities need lag 1, accelerations lag 2.
"""

import warp as wp

wp.set_module_options({"enable_backward": False})

SINGULAR = wp.constant(1.0e-14)  # share of its diagonal below which a pivot is rounding
HELD = wp.constant(1.0e30)  # root of the pivot of an unknown that does not move


@wp.func
def low_of(first: int, frame: int) -> int:
    """First column of the band in a frame's rows."""
    return wp.max(first, 6 * (frame - 2))


@wp.kernel
def _solve_band(
    starts: wp.array[wp.int32],  # [segment + 1] first frame of each sequence, then the number of frames
    damping: wp.array[wp.float64],  # [1] relative
    floor: wp.array[wp.float64],  # [6] absolute
    hessian: wp.array4d[wp.float64],  # [frame, lag, 6, 6]
    gradient: wp.array2d[wp.float64],  # [frame, 6]
    factor_out: wp.array2d[wp.float64],  # [6 * frame, band] workspace: lower triangle, row by row
    steps_out: wp.array2d[wp.float64],  # [frame, 6] minus the solution
):
    """Banded Cholesky of one sequence per thread: steps = -(H + damping diag(H) + floor)^-1 gradient."""
    segment = wp.tid()
    first = 6 * starts[segment]
    last = 6 * starts[segment + 1]
    for i in range(first, last):
        frame = i // 6
        low = low_of(first, frame)
        for j in range(low, i + 1):
            other = j // 6
            value = hessian[frame, frame - other, i - 6 * frame, j - 6 * other]
            diagonal = wp.float64(0.0)
            if i == j:
                value = value * (wp.float64(1.0) + damping[0]) + floor[i - 6 * frame]
                diagonal = value
            for k in range(wp.max(low, low_of(first, other)), j):
                value -= factor_out[i, k - low] * factor_out[j, k - low_of(first, other)]
            if i == j:
                # An unknown that nothing observes, or that rounding made negative, is held: its step is zero.
                pivot = wp.float64(HELD)
                if value > wp.float64(SINGULAR) * diagonal:
                    pivot = wp.sqrt(value)
                factor_out[i, j - low] = pivot
            else:
                factor_out[i, j - low] = value / factor_out[j, j - low_of(first, other)]
    for i in range(first, last):
        frame = i // 6
        low = low_of(first, frame)
        value = -gradient[frame, i - 6 * frame]
        for k in range(low, i):
            value -= factor_out[i, k - low] * steps_out[k // 6, k % 6]
        steps_out[frame, i - 6 * frame] = value / factor_out[i, i - low]
    for back in range(first, last):
        i = last - 1 - (back - first)
        frame = i // 6
        value = steps_out[frame, i - 6 * frame]
        for k in range(i + 1, wp.min(last, 6 * (frame + 3))):
            value -= factor_out[k, i - low_of(first, k // 6)] * steps_out[k // 6, k % 6]
        steps_out[frame, i - 6 * frame] = value / factor_out[i, i - low_of(first, frame)]


def solve_band(starts, damping, floor, hessian, gradient, *, factor_out, steps_out):
    """Launch :func:`_solve_band`, one thread per sequence."""
    wp.launch(
        _solve_band,
        dim=starts.shape[0] - 1,
        inputs=[starts, damping, floor, hessian, gradient],
        outputs=[factor_out, steps_out],
        device=steps_out.device,
    )


@wp.kernel
def _bound_steps(
    steps: wp.array2d[wp.float64],  # [frame, 6]
    limits: wp.array[wp.float32],  # [6]
    increments_out: wp.array2d[wp.float32],  # [frame, 6+]
):
    """Steps no longer than a linearisation can be trusted."""
    frame = wp.tid()
    ratio = float(1.0)
    for i in range(6):
        ratio = wp.max(ratio, wp.abs(float(steps[frame, i])) / limits[i])
    for i in range(6):
        value = float(steps[frame, i]) / ratio
        if not wp.isfinite(value):
            value = 0.0
        increments_out[frame, i] = value


def bound_steps(steps, limits, *, increments_out):
    """Launch :func:`_bound_steps` over all frames."""
    wp.launch(
        _bound_steps,
        dim=increments_out.shape[0],
        inputs=[steps, limits],
        outputs=[increments_out],
        device=increments_out.device,
    )
