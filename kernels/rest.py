"""Rest: what nothing touches, and does not seem to move, does not move at all."""

import warp as wp

from warpprior.kernels.camera import NEAR
from warpprior.kernels.differences import (
    JUMP_SIGMAS,
    Robust,
    Stiffness,
    add_position_step,
    add_turn_step,
    has_before,
    turn_between,
)
from warpprior.kernels.robust import log_one_plus
from warpprior.kernels.rows import System

# Unrolled, the 6x6 sums make the CUDA compiler work for a minute and run no faster.
wp.set_module_options({"enable_backward": False, "max_unroll": 1})

TOUCH = wp.constant(0.002)  # share of the surface in contact from which a body no longer rests


@wp.func
def let_move(size: float, stiffness: float, untouched: float) -> Robust:
    """Cauchy: what moves all the same, or a camera that does, hardly costs more."""
    sigmas = size * wp.sqrt(stiffness) / JUMP_SIGMAS
    square = sigmas * sigmas
    found = Robust()
    found.weight = wp.float64(untouched * stiffness / (1.0 + square))
    found.cost = wp.float64(untouched * JUMP_SIGMAS * JUMP_SIGMAS) * log_one_plus(wp.float64(square))
    return found


@wp.kernel
def _add_rest(
    poses: wp.array[wp.transform],  # [frame]
    segments: wp.array[wp.int32],  # [frame]
    paces: wp.array[wp.float32],  # [frame]
    touch: wp.array[wp.float32],  # [frame] contact weight shared with the frame before
    resting: wp.array[wp.float32],  # [frame] 1: the body does not seem to move between this frame and the one before
    stiffness: wp.array[Stiffness],  # [1] of motion since the frame before, at the nominal rate
    start: int,  # column of the body's root
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Motion of a body's root where it rests.  Touch is held."""
    frame = wp.tid()
    if not has_before(segments, frame, 1):
        return
    last = wp.transform_get_translation(poses[frame])
    before = wp.transform_get_translation(poses[frame - 1])
    if wp.min(last[2], before[2]) < NEAR:
        return
    pace = paces[frame]
    untouched = resting[frame] / (1.0 + (touch[frame] / TOUCH) * (touch[frame] / TOUCH))
    found = let_move(wp.length(last - before) * pace, stiffness[0].position, untouched)
    if found.weight > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, found.cost)
        add_position_step(system, frame, start, poses, pace, found.weight)
    turn = turn_between(poses[frame - 1], poses[frame])
    found = let_move(wp.length(turn) * pace, stiffness[0].rotation, untouched)
    if found.weight > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, found.cost)
        add_turn_step(system, frame, start, poses, pace, found.weight)


def add_rest(poses, segments, paces, touch, resting, stiffness, start, system, *, cost_out):
    """Launch :func:`_add_rest` over all frames."""
    wp.launch(
        _add_rest,
        dim=cost_out.shape[0],
        inputs=[poses, segments, paces, touch, resting, stiffness, start, system],
        outputs=[cost_out],
        device=cost_out.device,
        record_tape=False,
    )
