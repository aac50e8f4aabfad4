"""Normal equations of consistency, smoothness and rest of a body's root, for Gauss-Newton.  Forward only."""

import warp as wp

from warpprior.kernels.camera import NEAR
from warpprior.kernels.robust import log_one_plus
from warpprior.kernels.rotations import so3_log, so3_right_jacobian_inverse
from warpprior.kernels.rows import BACK, BACK_TWO, OWN, point_derivative, vec6d

# Unrolled, the 6x6 sums make the CUDA compiler work for a minute and run no faster.
wp.set_module_options({"enable_backward": False, "max_unroll": 1})

TOUCH = wp.constant(0.002)  # share of the surface in contact from which a body no longer rests
SMOOTH_SIGMAS = wp.constant(3.0)  # motion beyond this many sigmas is a jump and costs only in proportion


@wp.func
def position_derivative(pose: wp.transform, axis: int) -> vec6d:
    """Derivative of one coordinate of the position by the pose's increment."""
    direction = wp.vec3(0.0, 0.0, 0.0)
    direction[axis] = 1.0
    return point_derivative(pose, wp.vec3(0.0, 0.0, 0.0), direction)


@wp.func
def turn_derivative(jacobian: wp.mat33, axis: int) -> vec6d:
    """Derivative of one coordinate of a rotation vector by the increment, whose turn acts through ``jacobian``."""
    return vec6d(
        wp.float64(0.0), wp.float64(0.0), wp.float64(0.0),
        wp.float64(jacobian[axis, 0]), wp.float64(jacobian[axis, 1]), wp.float64(jacobian[axis, 2]),
    )  # fmt: skip


@wp.kernel
def _accumulate_smoothness(
    poses: wp.array[wp.transform],  # [frame]
    segments: wp.array[wp.int32],  # [frame]
    stiffness: wp.array[wp.float32],  # [6] of acceleration, velocity, rest, each [1/m^2], [1/rad^2]
    touch: wp.array[wp.float32],  # [frame] contact weight shared with the frame before
    resting: wp.array[wp.float32],  # [frame] 1: the body does not seem to move between this frame and the one before
    start: int,  # column of the body's root
    hessian_out: wp.array4d[wp.float64],  # [frame, 4, column, column] added to
    gradient_out: wp.array3d[wp.float64],  # [frame, 2, column] added to
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Consistency (Eq. 4) and smoothness (Eq. 5) of a rigid body's position and rotation; robust against jumps.

    Rest is consistency of what nothing touches and does not seem to move: then it does not move at all.
    """
    frame = wp.tid()
    if frame < 1:
        return
    if segments[frame - 1] != segments[frame]:
        return
    second = bool(False)
    if frame > 1:
        second = segments[frame - 2] == segments[frame]
    last = poses[frame]
    middle = poses[frame - 1]
    first = middle
    if second:
        first = poses[frame - 2]
    p_last = wp.transform_get_translation(last)
    p_middle = wp.transform_get_translation(middle)
    p_first = wp.transform_get_translation(first)
    if wp.min(p_last[2], wp.min(p_middle[2], p_first[2])) < NEAR:
        return
    q_middle = wp.quat_inverse(wp.transform_get_rotation(middle))
    turn_after = so3_log(q_middle * wp.transform_get_rotation(last))
    turn_before = -so3_log(q_middle * wp.transform_get_rotation(first))
    velocity = p_last - p_middle
    acceleration = velocity - (p_middle - p_first)
    spin = turn_after - turn_before
    jacobian_last = so3_right_jacobian_inverse(turn_after)
    jacobian_first = so3_right_jacobian_inverse(-turn_before)
    untouched = resting[frame] / (1.0 + (touch[frame] / TOUCH) * (touch[frame] / TOUCH))
    for term in range(6):
        miss = wp.length(velocity)
        if term == 0:
            miss = wp.length(acceleration)
        elif term == 1:
            miss = wp.length(spin)
        elif term % 2 == 1:
            miss = wp.length(turn_after)
        # Pseudo-Huber: a jump costs in proportion, so that stray frames are still called back.
        sigmas = miss * wp.sqrt(stiffness[term]) / SMOOTH_SIGMAS
        root = wp.sqrt(1.0 + sigmas * sigmas)
        scale = wp.float64(stiffness[term] / root)
        amount = wp.float64(stiffness[term] * miss * miss * 2.0 / (root + 1.0))
        if term >= 4:
            # Cauchy: what moves all the same, or a camera that does, is let go.
            scale = wp.float64(untouched * stiffness[term] / (root * root))
            amount = wp.float64(untouched * SMOOTH_SIGMAS * SMOOTH_SIGMAS) * log_one_plus(wp.float64(sigmas * sigmas))
        if scale > wp.float64(0.0) and (term >= 2 or second):
            wp.atomic_add(cost_out, frame, amount)
            # The middle frame's turn acts from the left, through the transposes.
            jacobian_middle = wp.transpose(jacobian_last)
            if term == 1:
                jacobian_middle = jacobian_middle + wp.transpose(jacobian_first)
            for axis in range(3):
                if term % 2 == 0:
                    at_last = position_derivative(last, axis)
                    at_middle = -position_derivative(middle, axis)
                    at_first = position_derivative(first, axis)
                    residual = wp.float64(velocity[axis])
                    if term == 0:
                        at_middle = at_middle * wp.float64(2.0)
                        residual = wp.float64(acceleration[axis])
                else:
                    at_last = turn_derivative(jacobian_last, axis)
                    at_middle = -turn_derivative(jacobian_middle, axis)
                    at_first = turn_derivative(jacobian_first, axis)
                    residual = wp.float64(turn_after[axis])
                    if term == 1:
                        residual = wp.float64(spin[axis])
                for i in range(6):
                    row = start + i
                    wp.atomic_add(gradient_out, frame, 0, row, scale * residual * at_last[i])
                    wp.atomic_add(gradient_out, frame - 1, 0, row, scale * residual * at_middle[i])
                    if term < 2:
                        wp.atomic_add(gradient_out, frame - 2, 0, row, scale * residual * at_first[i])
                    for j in range(6):
                        column = start + j
                        wp.atomic_add(hessian_out, frame, OWN, row, column, scale * at_last[i] * at_last[j])
                        wp.atomic_add(hessian_out, frame - 1, OWN, row, column, scale * at_middle[i] * at_middle[j])
                        wp.atomic_add(hessian_out, frame, BACK, row, column, scale * at_last[i] * at_middle[j])
                        if term < 2:
                            first_scale = scale * at_first[j]
                            wp.atomic_add(hessian_out, frame - 2, OWN, row, column, first_scale * at_first[i])
                            wp.atomic_add(hessian_out, frame - 1, BACK, row, column, first_scale * at_middle[i])
                            wp.atomic_add(hessian_out, frame, BACK_TWO, row, column, first_scale * at_last[i])


def accumulate_smoothness(poses, segments, stiffness, touch, resting, *, start, hessian_out, gradient_out, cost_out):
    """Launch :func:`_accumulate_smoothness` over all frames."""
    wp.launch(
        _accumulate_smoothness,
        dim=cost_out.shape[0],
        inputs=[poses, segments, stiffness, touch, resting, start],
        outputs=[hessian_out, gradient_out, cost_out],
        device=cost_out.device,
    )
