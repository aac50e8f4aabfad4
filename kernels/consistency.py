"""Consistency (Eq. 4): first differences of position, rotation and joint coordinates."""

import warp as wp

from warpprior.kernels.camera import NEAR
from warpprior.kernels.differences import (
    Stiffness,
    add_coordinate,
    add_position_step,
    add_turn_step,
    has_before,
    pseudo_huber,
    turn_between,
)
from warpprior.kernels.rows import System

# Unrolled, the 6x6 sums make the CUDA compiler work for a minute and run no faster.
wp.set_module_options({"enable_backward": False, "max_unroll": 1})


@wp.kernel
def _add_root_consistency(
    poses: wp.array[wp.transform],  # [frame]
    segments: wp.array[wp.int32],  # [frame]
    paces: wp.array[wp.float32],  # [frame]
    stiffness: wp.array[Stiffness],  # [1] of velocities at the nominal rate
    start: int,  # column of the body's root
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to, at the later frame
):
    """Velocity of a body's root; a jump costs in proportion."""
    frame = wp.tid()
    if not has_before(segments, frame, 1):
        return
    last = wp.transform_get_translation(poses[frame])
    before = wp.transform_get_translation(poses[frame - 1])
    if wp.min(last[2], before[2]) < NEAR:
        return
    pace = paces[frame]
    found = pseudo_huber(wp.length(last - before) * pace, stiffness[0].position)
    if found.weight > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, found.cost)
        add_position_step(system, frame, start, poses, pace, found.weight)
    found = pseudo_huber(wp.length(turn_between(poses[frame - 1], poses[frame])) * pace, stiffness[0].rotation)
    if found.weight > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, found.cost)
        add_turn_step(system, frame, start, poses, pace, found.weight)


def add_root_consistency(poses, segments, paces, stiffness, start, system, *, cost_out):
    """Launch :func:`_add_root_consistency` over all frames."""
    wp.launch(
        _add_root_consistency,
        dim=cost_out.shape[0],
        inputs=[poses, segments, paces, stiffness, start, system],
        outputs=[cost_out],
        device=cost_out.device,
        record_tape=False,
    )


@wp.kernel
def _add_joint_consistency(
    joints: wp.array2d[wp.float32],  # [frame, coordinate]
    segments: wp.array[wp.int32],  # [frame]
    paces: wp.array[wp.float32],  # [frame]
    stiffness: wp.array[Stiffness],  # [1]
    start: int,  # column of the first coordinate
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to, at the later frame
):
    """Velocity of one joint coordinate."""
    frame, coordinate = wp.tid()
    if not has_before(segments, frame, 1) or stiffness[0].joints == 0.0:
        return
    pace = paces[frame]
    step = (joints[frame, coordinate] - joints[frame - 1, coordinate]) * pace
    weight = wp.float64(stiffness[0].joints)
    wp.atomic_add(cost_out, frame, wp.float64(stiffness[0].joints * step * step))
    factors = wp.vec3(pace, -pace, 0.0)
    add_coordinate(system, frame, start + coordinate, factors, 0, weight, weight * wp.float64(step))


def add_joint_consistency(joints, segments, paces, stiffness, start, system, *, cost_out):
    """Launch :func:`_add_joint_consistency` over all frames and coordinates."""
    wp.launch(
        _add_joint_consistency,
        dim=joints.shape,
        inputs=[joints, segments, paces, stiffness, start, system],
        outputs=[cost_out],
        device=cost_out.device,
        record_tape=False,
    )
