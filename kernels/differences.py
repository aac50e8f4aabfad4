"""First and second differences of a body's motion, and how they depend on the frames: what the terms of motion share.

``paces[frame]`` is the nominal time between two frames over the true one since the frame before.  A difference times
its pace is what it would be at the nominal frame rate; with frames evenly spaced all paces are 1.
"""

import warp as wp

from warpprior.kernels.rotations import so3_log, so3_right_jacobian_inverse
from warpprior.kernels.rows import (
    BACK,
    BACK_TWO,
    COSTS,
    GRADIENT,
    OWN,
    System,
    point_derivative,
    slope,
    vec6d,
)

# Unrolled, the 6x6 sums make the CUDA compiler work for a minute and run no faster.
wp.set_module_options({"enable_backward": False, "max_unroll": 1})

JUMP_SIGMAS = wp.constant(3.0)  # motion beyond this many sigmas is a jump and costs only in proportion


@wp.struct
class Stiffness:
    """Inverse squares of the differences that count one."""

    position: wp.float32  # [1/m^2]
    rotation: wp.float32  # [1/rad^2]
    joints: wp.float32  # [1/rad^2 or 1/m^2]


@wp.struct
class Robust:
    """A cost of one residual and the weight that it gives it."""

    cost: wp.float64
    weight: wp.float64


@wp.func
def pseudo_huber(size: float, stiffness: float) -> Robust:
    """A jump costs in proportion, so that stray frames are called back."""
    sigmas = size * wp.sqrt(stiffness) / JUMP_SIGMAS
    root = wp.sqrt(1.0 + sigmas * sigmas)
    found = Robust()
    found.weight = wp.float64(stiffness / root)
    found.cost = wp.float64(stiffness * size * size * 2.0 / (root + 1.0))
    return found


@wp.func
def has_before(segments: wp.array[wp.int32], frame: int, count: int) -> bool:
    """So many frames before belong to the same sequence."""
    if frame < count:
        return False
    for back in range(1, count + 1):
        if segments[frame - back] != segments[frame]:
            return False
    return True


@wp.func
def bend_factors(paces: wp.array[wp.float32], frame: int) -> wp.vec3:
    """Factors of the frame, the one before and the one before that in a second difference at the nominal rate."""
    after = paces[frame]
    before = paces[frame - 1]
    both = 2.0 / (1.0 / after + 1.0 / before)
    return wp.vec3(both * after, -both * (after + before), both * before)


@wp.func
def bend_of(last: wp.transform, middle: wp.transform, first: wp.transform, factors: wp.vec3) -> wp.vec3:
    """Second difference of the positions of three poses, by factors of :func:`bend_factors`."""
    after = wp.transform_get_translation(last) - wp.transform_get_translation(middle)
    before = wp.transform_get_translation(middle) - wp.transform_get_translation(first)
    return after * factors[0] - before * factors[2]


@wp.func
def position_derivative(pose: wp.transform, axis: int, factor: float) -> vec6d:
    """Derivative of a multiple of one coordinate of the position by the pose's increment."""
    direction = wp.vec3(0.0, 0.0, 0.0)
    direction[axis] = factor
    return point_derivative(pose, wp.vec3(0.0, 0.0, 0.0), direction)


@wp.func
def turn_derivative(jacobian: wp.mat33, axis: int) -> vec6d:
    """Derivative of one coordinate of a rotation vector by the increment, whose turn acts through ``jacobian``."""
    return vec6d(
        wp.float64(0.0), wp.float64(0.0), wp.float64(0.0),
        wp.float64(jacobian[axis, 0]), wp.float64(jacobian[axis, 1]), wp.float64(jacobian[axis, 2]),
    )  # fmt: skip


@wp.func
def add_steps(
    system: System,
    frame: int,
    start: int,
    at_last: vec6d,
    at_middle: vec6d,
    at_first: vec6d,
    back: int,  # how many frames before the residual depends on, too: none, one or two
    weight: wp.float64,
    pull: wp.float64,
):
    """Add a residual that depends on six unknowns, as of a body's root, in up to three frames in a row."""
    if system.mode == COSTS:
        return
    if system.mode == GRADIENT:
        scale = slope(system, frame, pull)
        for i in range(6):
            wp.atomic_add(system.unknown_gradients, frame, start + i, float(at_last[i]) * scale)
            if back > 0:
                wp.atomic_add(system.unknown_gradients, frame - 1, start + i, float(at_middle[i]) * scale)
            if back > 1:
                wp.atomic_add(system.unknown_gradients, frame - 2, start + i, float(at_first[i]) * scale)
        return
    for i in range(6):
        row = start + i
        wp.atomic_add(system.gradient, frame, 0, row, pull * at_last[i])
        if back > 0:
            wp.atomic_add(system.gradient, frame - 1, 0, row, pull * at_middle[i])
        if back > 1:
            wp.atomic_add(system.gradient, frame - 2, 0, row, pull * at_first[i])
        for j in range(6):
            column = start + j
            wp.atomic_add(system.hessian, frame, OWN, row, column, weight * at_last[i] * at_last[j])
            if back > 0:
                wp.atomic_add(system.hessian, frame - 1, OWN, row, column, weight * at_middle[i] * at_middle[j])
                wp.atomic_add(system.hessian, frame, BACK, row, column, weight * at_last[i] * at_middle[j])
            if back > 1:
                first_scale = weight * at_first[j]
                wp.atomic_add(system.hessian, frame - 2, OWN, row, column, first_scale * at_first[i])
                wp.atomic_add(system.hessian, frame - 1, BACK, row, column, first_scale * at_middle[i])
                wp.atomic_add(system.hessian, frame, BACK_TWO, row, column, first_scale * at_last[i])


@wp.func
def add_position_step(
    system: System, frame: int, start: int, poses: wp.array[wp.transform], pace: float, weight: wp.float64
):
    """Add the first difference of a body's position, all three coordinates with one weight."""
    last = poses[frame]
    middle = poses[frame - 1]
    step = (wp.transform_get_translation(last) - wp.transform_get_translation(middle)) * pace
    for axis in range(3):
        at_last = position_derivative(last, axis, pace)
        at_middle = position_derivative(middle, axis, -pace)
        add_steps(system, frame, start, at_last, at_middle, at_last, 1, weight, weight * wp.float64(step[axis]))


@wp.func
def turn_between(before: wp.transform, after: wp.transform) -> wp.vec3:
    """Rotation vector from one pose to the other, in the axes of the body before [rad]."""
    return so3_log(wp.quat_inverse(wp.transform_get_rotation(before)) * wp.transform_get_rotation(after))


@wp.func
def add_turn_step(
    system: System, frame: int, start: int, poses: wp.array[wp.transform], pace: float, weight: wp.float64
):
    """Add the first difference of a body's rotation, in the axes of the frame before."""
    turn = turn_between(poses[frame - 1], poses[frame])
    jacobian = so3_right_jacobian_inverse(turn) * pace
    turned = wp.transpose(jacobian)  # the middle frame's turn acts from the left, through the transpose
    for axis in range(3):
        at_last = turn_derivative(jacobian, axis)
        at_middle = -turn_derivative(turned, axis)
        add_steps(system, frame, start, at_last, at_middle, at_last, 1, weight, weight * wp.float64(turn[axis] * pace))


@wp.func
def add_coordinate(
    system: System, frame: int, column: int, factors: wp.vec3, second: int, weight: wp.float64, pull: wp.float64
):
    """Add a residual that depends on one joint coordinate in two or three frames in a row, by these factors."""
    if system.mode == COSTS:
        return
    if system.mode == GRADIENT:
        scale = slope(system, frame, pull)
        wp.atomic_add(system.unknown_gradients, frame, column, factors[0] * scale)
        wp.atomic_add(system.unknown_gradients, frame - 1, column, factors[1] * scale)
        if second == 1:
            wp.atomic_add(system.unknown_gradients, frame - 2, column, factors[2] * scale)
        return
    last = wp.float64(factors[0])
    middle = wp.float64(factors[1])
    wp.atomic_add(system.hessian, frame, OWN, column, column, last * last * weight)
    wp.atomic_add(system.hessian, frame - 1, OWN, column, column, middle * middle * weight)
    wp.atomic_add(system.hessian, frame, BACK, column, column, last * middle * weight)
    wp.atomic_add(system.gradient, frame, 0, column, last * pull)
    wp.atomic_add(system.gradient, frame - 1, 0, column, middle * pull)
    if second == 1:
        first = wp.float64(factors[2])
        wp.atomic_add(system.hessian, frame - 2, OWN, column, column, first * first * weight)
        wp.atomic_add(system.hessian, frame - 1, BACK, column, column, middle * first * weight)
        wp.atomic_add(system.hessian, frame, BACK_TWO, column, column, last * first * weight)
        wp.atomic_add(system.gradient, frame - 2, 0, column, first * pull)
