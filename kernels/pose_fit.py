"""Normal equations of joint coordinates: limits, likely poses, the first guess, smoothness.  For Gauss-Newton."""

import warp as wp

from warpprior.kernels.rows import BACK, BACK_TWO, OWN

wp.set_module_options({"enable_backward": False})

# Places in `stiffness`.
LIMIT = wp.constant(0)
PRIOR = wp.constant(1)
GUESS = wp.constant(2)
ACCELERATION = wp.constant(3)
VELOCITY = wp.constant(4)
ROBUST_SIGMAS = wp.constant(3.0)  # changes beyond this many sigmas cost only in proportion


@wp.func
def prior_pull(
    joints: wp.array2d[wp.float32],
    mean: wp.array[wp.float32],
    precision: wp.array2d[wp.float32],
    frame: int,
    coordinate: int,
) -> float:
    """One row of precision times the difference from the mean."""
    total = float(0.0)
    for other in range(mean.shape[0]):
        total += precision[coordinate, other] * (joints[frame, other] - mean[other])
    return total


@wp.kernel
def _accumulate_pose(
    joints: wp.array2d[wp.float32],  # [frame, coordinate]
    lower: wp.array[wp.float32],  # [coordinate]
    upper: wp.array[wp.float32],  # [coordinate]
    mean: wp.array[wp.float32],  # [coordinate], or empty
    precision: wp.array2d[wp.float32],  # [coordinate, coordinate]
    guess: wp.array2d[wp.float32],  # [frame, coordinate] the first guess
    segments: wp.array[wp.int32],  # [frame]
    stiffness: wp.array[wp.float32],  # [5] of limits, prior, first guess, acceleration, velocity
    start: int,  # column of the first coordinate
    hessian_out: wp.array4d[wp.float64],  # [frame, 4, column, column] added to
    gradient_out: wp.array3d[wp.float64],  # [frame, 2, column] added to
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """One coordinate of one frame."""
    frame, coordinate = wp.tid()
    column = start + coordinate
    value = joints[frame, coordinate]
    beyond = value - wp.clamp(value, lower[coordinate], upper[coordinate])
    strayed = value - guess[frame, coordinate]
    pull = stiffness[LIMIT] * beyond + stiffness[GUESS] * strayed
    hold = stiffness[GUESS]
    cost = stiffness[LIMIT] * beyond * beyond + stiffness[GUESS] * strayed * strayed
    if beyond != 0.0:
        hold += stiffness[LIMIT]
    if mean.shape[0] > 0:
        likely = prior_pull(joints, mean, precision, frame, coordinate)
        pull += stiffness[PRIOR] * likely
        cost += stiffness[PRIOR] * likely * (value - mean[coordinate])
        for other in range(coordinate + 1):
            change = wp.float64(stiffness[PRIOR] * precision[coordinate, other])
            wp.atomic_add(hessian_out, frame, OWN, column, start + other, change)
    wp.atomic_add(hessian_out, frame, OWN, column, column, wp.float64(hold))
    wp.atomic_add(gradient_out, frame, 0, column, wp.float64(pull))
    joined = bool(False)
    second = bool(False)
    if frame > 0:
        joined = segments[frame - 1] == segments[frame]
    if frame > 1:
        second = joined and segments[frame - 2] == segments[frame]
    if joined:
        before = joints[frame - 1, coordinate]
        velocity = value - before
        scale = wp.float64(stiffness[VELOCITY])
        cost += stiffness[VELOCITY] * velocity * velocity
        wp.atomic_add(hessian_out, frame, OWN, column, column, scale)
        wp.atomic_add(hessian_out, frame - 1, OWN, column, column, scale)
        wp.atomic_add(hessian_out, frame, BACK, column, column, -scale)
        wp.atomic_add(gradient_out, frame, 0, column, scale * wp.float64(velocity))
        wp.atomic_add(gradient_out, frame - 1, 0, column, -scale * wp.float64(velocity))
        if second:
            bend = velocity - (before - joints[frame - 2, coordinate])
            # Pseudo-Huber: a jump costs in proportion, so that stray frames are still called back.
            sigmas = wp.abs(bend) * wp.sqrt(stiffness[ACCELERATION]) / ROBUST_SIGMAS
            root = wp.sqrt(1.0 + sigmas * sigmas)
            scale = wp.float64(stiffness[ACCELERATION] / root)
            residual = wp.float64(bend)
            cost += stiffness[ACCELERATION] * bend * bend * 2.0 / (root + 1.0)
            two = wp.float64(2.0)
            wp.atomic_add(hessian_out, frame, OWN, column, column, scale)
            wp.atomic_add(hessian_out, frame - 1, OWN, column, column, two * two * scale)
            wp.atomic_add(hessian_out, frame - 2, OWN, column, column, scale)
            wp.atomic_add(hessian_out, frame, BACK, column, column, -two * scale)
            wp.atomic_add(hessian_out, frame - 1, BACK, column, column, -two * scale)
            wp.atomic_add(hessian_out, frame, BACK_TWO, column, column, scale)
            wp.atomic_add(gradient_out, frame, 0, column, scale * residual)
            wp.atomic_add(gradient_out, frame - 1, 0, column, -two * scale * residual)
            wp.atomic_add(gradient_out, frame - 2, 0, column, scale * residual)
    wp.atomic_add(cost_out, frame, wp.float64(cost))


def accumulate_pose(
    joints, lower, upper, mean, precision, guess, segments, stiffness,
    *, start, hessian_out, gradient_out, cost_out,
):  # fmt: skip
    """Launch :func:`_accumulate_pose` over all frames and coordinates."""
    wp.launch(
        _accumulate_pose,
        dim=joints.shape,
        inputs=[joints, lower, upper, mean, precision, guess, segments, stiffness, start],
        outputs=[hessian_out, gradient_out, cost_out],
        device=cost_out.device,
    )
