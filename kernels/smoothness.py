"""Smoothness (Eq. 5): second differences of position, rotation and joint coordinates; robust against jumps."""

import warp as wp

from warpprior.kernels.camera import NEAR
from warpprior.kernels.differences import (
    Stiffness,
    add_coordinate,
    add_steps,
    bend_factors,
    bend_of,
    has_before,
    position_derivative,
    pseudo_huber,
    turn_between,
    turn_derivative,
)
from warpprior.kernels.rotations import so3_right_jacobian_inverse
from warpprior.kernels.rows import System

# Unrolled, the 6x6 sums make the CUDA compiler work for a minute and run no faster.
wp.set_module_options({"enable_backward": False, "max_unroll": 1})


@wp.kernel
def _add_root_smoothness(
    poses: wp.array[wp.transform],  # [frame]
    segments: wp.array[wp.int32],  # [frame]
    paces: wp.array[wp.float32],  # [frame]
    stiffness: wp.array[Stiffness],  # [frame] of accelerations at the nominal rate
    start: int,  # column of the body's root
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to, at the last of three frames
):
    """Acceleration of a body's root."""
    frame = wp.tid()
    if not has_before(segments, frame, 2):
        return
    last = poses[frame]
    middle = poses[frame - 1]
    first = poses[frame - 2]
    if wp.min(last[2], wp.min(middle[2], first[2])) < NEAR:
        return
    factors = bend_factors(paces, frame)
    bend = bend_of(last, middle, first, factors)
    found = pseudo_huber(wp.length(bend), stiffness[frame].position)
    if found.weight > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, found.cost)
        for axis in range(3):
            at_last = position_derivative(last, axis, factors[0])
            at_middle = position_derivative(middle, axis, factors[1])
            at_first = position_derivative(first, axis, factors[2])
            pull = found.weight * wp.float64(bend[axis])
            add_steps(system, frame, start, at_last, at_middle, at_first, 2, found.weight, pull)
    turn_after = turn_between(middle, last)
    turn_back = turn_between(middle, first)
    spin = turn_after * factors[0] + turn_back * factors[2]
    found = pseudo_huber(wp.length(spin), stiffness[frame].rotation)
    if found.weight > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, found.cost)
        jacobian_last = so3_right_jacobian_inverse(turn_after) * factors[0]
        jacobian_first = so3_right_jacobian_inverse(turn_back) * factors[2]
        # The middle frame's turn acts from the left, through the transposes.
        jacobian_middle = wp.transpose(jacobian_last) + wp.transpose(jacobian_first)
        for axis in range(3):
            at_last = turn_derivative(jacobian_last, axis)
            at_middle = -turn_derivative(jacobian_middle, axis)
            at_first = turn_derivative(jacobian_first, axis)
            pull = found.weight * wp.float64(spin[axis])
            add_steps(system, frame, start, at_last, at_middle, at_first, 2, found.weight, pull)


def add_root_smoothness(poses, segments, paces, stiffness, start, system, *, cost_out):
    """Launch :func:`_add_root_smoothness` over all frames."""
    wp.launch(
        _add_root_smoothness,
        dim=cost_out.shape[0],
        inputs=[poses, segments, paces, stiffness, start, system],
        outputs=[cost_out],
        device=cost_out.device,
        record_tape=False,
    )


@wp.kernel
def _add_joint_smoothness(
    joints: wp.array2d[wp.float32],  # [frame, coordinate]
    segments: wp.array[wp.int32],  # [frame]
    paces: wp.array[wp.float32],  # [frame]
    stiffness: wp.array[Stiffness],  # [frame]
    start: int,  # column of the first coordinate
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to, at the last of three frames
):
    """Acceleration of one joint coordinate."""
    frame, coordinate = wp.tid()
    if not has_before(segments, frame, 2) or stiffness[frame].joints == 0.0:
        return
    factors = bend_factors(paces, frame)
    step = joints[frame, coordinate] - joints[frame - 1, coordinate]
    bend = step * factors[0] - (joints[frame - 1, coordinate] - joints[frame - 2, coordinate]) * factors[2]
    found = pseudo_huber(wp.abs(bend), stiffness[frame].joints)
    wp.atomic_add(cost_out, frame, found.cost)
    pull = found.weight * wp.float64(bend)
    add_coordinate(system, frame, start + coordinate, factors, 1, found.weight, pull)


def add_joint_smoothness(joints, segments, paces, stiffness, start, system, *, cost_out):
    """Launch :func:`_add_joint_smoothness` over all frames and coordinates."""
    wp.launch(
        _add_joint_smoothness,
        dim=joints.shape,
        inputs=[joints, segments, paces, stiffness, start, system],
        outputs=[cost_out],
        device=cost_out.device,
        record_tape=False,
    )
