"""What compares frames where the camera moves: motion of a body's root in the world.  Forward only.

The residuals are those of :mod:`warpprior.kernels.smoothness`, :mod:`warpprior.kernels.consistency` and
:mod:`warpprior.kernels.rest`, of poses in the world.  There a turn of a body is still one in its own axes, and a shift
is the camera's axes turned; a camera whose poses are unknowns moves all that it sees.
"""

import warp as wp

from warpprior.kernels.camera import NEAR
from warpprior.kernels.camera_motion import Viewer
from warpprior.kernels.differences import (
    Robust,
    Stiffness,
    bend_factors,
    bend_of,
    has_before,
    pseudo_huber,
    turn_between,
)
from warpprior.kernels.rest import TOUCH, let_move
from warpprior.kernels.rotations import so3_right_jacobian_inverse
from warpprior.kernels.rows import BACK, BACK_TWO, COSTS, GRADIENT, OWN, System, point_derivative, slope

# Unrolled, the 12x12 sums make the CUDA compiler work for minutes and run no faster.
wp.set_module_options({"enable_backward": False, "max_unroll": 1})

vec12d = wp.types.vector(length=12, dtype=wp.float64)


@wp.struct
class Pair:
    """Columns of a body's root and of the camera's unknowns, -1 where these are known."""

    body: wp.int32
    camera: wp.int32


@wp.func
def column_of(pair: Pair, index: int) -> int:
    """Column of one of the twelve unknowns, of the body and then of the camera."""
    if index < 6:
        return pair.body + index
    return pair.camera + index - 6


@wp.func
def in_world(viewer: Viewer, poses: wp.array[wp.transform], frame: int) -> wp.transform:
    """World_from_body."""
    return viewer.poses[frame] * poses[frame]


@wp.func
def place_derivative(viewer: Viewer, pose: wp.transform, frame: int, axis: int, factor: float) -> vec12d:
    """Derivative of a multiple of one coordinate of a body's place in the world."""
    camera = wp.transform_get_rotation(viewer.poses[frame])
    direction = wp.vec3(0.0, 0.0, 0.0)
    direction[axis] = factor
    own = point_derivative(pose, wp.vec3(0.0, 0.0, 0.0), wp.quat_rotate_inv(camera, direction))
    arm = wp.quat_rotate(camera, wp.transform_get_translation(pose))
    turn = wp.transpose(viewer.turns[frame]) * wp.cross(arm, direction)
    return vec12d(
        own[0], own[1], own[2], own[3], own[4], own[5],
        wp.float64(direction[0]), wp.float64(direction[1]), wp.float64(direction[2]),
        wp.float64(turn[0]), wp.float64(turn[1]), wp.float64(turn[2]),
    )  # fmt: skip


@wp.func
def turn_derivative(viewer: Viewer, world: wp.transform, frame: int, jacobian: wp.mat33, axis: int) -> vec12d:
    """Derivative of one coordinate of a rotation vector, on which the body's turn acts through ``jacobian``."""
    by_camera = jacobian * wp.transpose(wp.quat_to_matrix(wp.transform_get_rotation(world))) * viewer.turns[frame]
    zero = wp.float64(0.0)
    return vec12d(
        zero, zero, zero,
        wp.float64(jacobian[axis, 0]), wp.float64(jacobian[axis, 1]), wp.float64(jacobian[axis, 2]),
        zero, zero, zero,
        wp.float64(by_camera[axis, 0]), wp.float64(by_camera[axis, 1]), wp.float64(by_camera[axis, 2]),
    )  # fmt: skip


@wp.func
def add_world_steps(
    system: System,
    frame: int,
    pair: Pair,
    at_last: vec12d,
    at_middle: vec12d,
    at_first: vec12d,
    second: int,  # 1: the residual depends on the frame two before, too
    weight: wp.float64,
    pull: wp.float64,
) -> int:
    """Add a residual that depends on a body's root and the camera in two or three frames in a row."""
    if system.mode == COSTS:
        return 0
    count = int(6)
    if pair.camera >= 0:
        count = 12
    if system.mode == GRADIENT:
        scale = slope(system, frame, pull)
        for i in range(count):
            column = column_of(pair, i)
            wp.atomic_add(system.unknown_gradients, frame, column, float(at_last[i]) * scale)
            wp.atomic_add(system.unknown_gradients, frame - 1, column, float(at_middle[i]) * scale)
            if second == 1:
                wp.atomic_add(system.unknown_gradients, frame - 2, column, float(at_first[i]) * scale)
        return count
    for i in range(count):
        row = column_of(pair, i)
        wp.atomic_add(system.gradient, frame, 0, row, pull * at_last[i])
        wp.atomic_add(system.gradient, frame - 1, 0, row, pull * at_middle[i])
        if second == 1:
            wp.atomic_add(system.gradient, frame - 2, 0, row, pull * at_first[i])
        for j in range(count):
            column = column_of(pair, j)
            wp.atomic_add(system.hessian, frame, OWN, row, column, weight * at_last[i] * at_last[j])
            wp.atomic_add(system.hessian, frame - 1, OWN, row, column, weight * at_middle[i] * at_middle[j])
            wp.atomic_add(system.hessian, frame, BACK, row, column, weight * at_last[i] * at_middle[j])
            if second == 1:
                first_scale = weight * at_first[j]
                wp.atomic_add(system.hessian, frame - 2, OWN, row, column, first_scale * at_first[i])
                wp.atomic_add(system.hessian, frame - 1, BACK, row, column, first_scale * at_middle[i])
                wp.atomic_add(system.hessian, frame, BACK_TWO, row, column, first_scale * at_last[i])
    return count


@wp.kernel
def _add_world_smoothness(
    poses: wp.array[wp.transform],  # [frame] camera_from_body
    viewer: Viewer,
    segments: wp.array[wp.int32],  # [frame]
    paces: wp.array[wp.float32],  # [frame]
    stiffness: wp.array[Stiffness],  # [frame] of accelerations at the nominal rate
    pair: Pair,
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to, at the last of three frames
):
    """Acceleration of a body's root in the world."""
    frame = wp.tid()
    if not has_before(segments, frame, 2):
        return
    if wp.min(poses[frame][2], wp.min(poses[frame - 1][2], poses[frame - 2][2])) < NEAR:
        return
    last = in_world(viewer, poses, frame)
    middle = in_world(viewer, poses, frame - 1)
    first = in_world(viewer, poses, frame - 2)
    factors = bend_factors(paces, frame)
    bend = bend_of(last, middle, first, factors)
    found = pseudo_huber(wp.length(bend), stiffness[frame].position)
    if found.weight > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, found.cost)
        for axis in range(3):
            at_last = place_derivative(viewer, poses[frame], frame, axis, factors[0])
            at_middle = place_derivative(viewer, poses[frame - 1], frame - 1, axis, factors[1])
            at_first = place_derivative(viewer, poses[frame - 2], frame - 2, axis, factors[2])
            pull = found.weight * wp.float64(bend[axis])
            add_world_steps(system, frame, pair, at_last, at_middle, at_first, 1, found.weight, pull)
    turn_after = turn_between(middle, last)
    turn_back = turn_between(middle, first)
    spin = turn_after * factors[0] + turn_back * factors[2]
    found = pseudo_huber(wp.length(spin), stiffness[frame].rotation)
    if found.weight > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, found.cost)
        jacobian_last = so3_right_jacobian_inverse(turn_after) * factors[0]
        jacobian_first = so3_right_jacobian_inverse(turn_back) * factors[2]
        # The middle frame's turn acts from the left, through the transposes.
        jacobian_middle = -(wp.transpose(jacobian_last) + wp.transpose(jacobian_first))
        for axis in range(3):
            at_last = turn_derivative(viewer, last, frame, jacobian_last, axis)
            at_middle = turn_derivative(viewer, middle, frame - 1, jacobian_middle, axis)
            at_first = turn_derivative(viewer, first, frame - 2, jacobian_first, axis)
            pull = found.weight * wp.float64(spin[axis])
            add_world_steps(system, frame, pair, at_last, at_middle, at_first, 1, found.weight, pull)


def add_world_smoothness(poses, viewer, segments, paces, stiffness, pair, system, *, cost_out):
    """Launch :func:`_add_world_smoothness` over all frames."""
    wp.launch(
        _add_world_smoothness,
        dim=cost_out.shape[0],
        inputs=[poses, viewer, segments, paces, stiffness, pair, system],
        outputs=[cost_out],
        device=cost_out.device,
        record_tape=False,
    )


@wp.func
def add_world_step(
    system: System,
    poses: wp.array[wp.transform],
    viewer: Viewer,
    frame: int,
    pair: Pair,
    pace: float,
    place: Robust,
    turn: Robust,
) -> int:
    """Add the first differences of a body's place and turn in the world, each with its weight."""
    last = in_world(viewer, poses, frame)
    before = in_world(viewer, poses, frame - 1)
    step = (wp.transform_get_translation(last) - wp.transform_get_translation(before)) * pace
    between = turn_between(before, last)
    jacobian = so3_right_jacobian_inverse(between) * pace
    turned = -wp.transpose(jacobian)  # the frame before turns from the left, through the transpose
    for axis in range(3):
        if place.weight > wp.float64(0.0):
            at_last = place_derivative(viewer, poses[frame], frame, axis, pace)
            at_before = place_derivative(viewer, poses[frame - 1], frame - 1, axis, -pace)
            pull = place.weight * wp.float64(step[axis])
            add_world_steps(system, frame, pair, at_last, at_before, at_last, 0, place.weight, pull)
        if turn.weight > wp.float64(0.0):
            at_last = turn_derivative(viewer, last, frame, jacobian, axis)
            at_before = turn_derivative(viewer, before, frame - 1, turned, axis)
            pull = turn.weight * wp.float64(between[axis] * pace)
            add_world_steps(system, frame, pair, at_last, at_before, at_last, 0, turn.weight, pull)
    return 3


@wp.kernel
def _add_world_rest(
    poses: wp.array[wp.transform],  # [frame] camera_from_body
    viewer: Viewer,
    segments: wp.array[wp.int32],  # [frame]
    paces: wp.array[wp.float32],  # [frame]
    touch: wp.array[wp.float32],  # [frame] contact weight shared with the frame before
    resting: wp.array[wp.float32],  # [frame] 1: the body does not seem to move between this frame and the one before
    stiffness: wp.array[Stiffness],  # [1] of motion since the frame before, at the nominal rate
    pair: Pair,
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Motion of a body's root in the world where it rests.  Touch is held."""
    frame = wp.tid()
    if not has_before(segments, frame, 1):
        return
    if wp.min(poses[frame][2], poses[frame - 1][2]) < NEAR:
        return
    last = in_world(viewer, poses, frame)
    before = in_world(viewer, poses, frame - 1)
    step = wp.length(wp.transform_get_translation(last) - wp.transform_get_translation(before))
    untouched = resting[frame] / (1.0 + (touch[frame] / TOUCH) * (touch[frame] / TOUCH))
    place = let_move(step * paces[frame], stiffness[0].position, untouched)
    turn = let_move(wp.length(turn_between(before, last)) * paces[frame], stiffness[0].rotation, untouched)
    if place.weight > wp.float64(0.0) or turn.weight > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, place.cost + turn.cost)
        add_world_step(system, poses, viewer, frame, pair, paces[frame], place, turn)


def add_world_rest(poses, viewer, segments, paces, touch, resting, stiffness, pair, system, *, cost_out):
    """Launch :func:`_add_world_rest` over all frames."""
    wp.launch(
        _add_world_rest,
        dim=cost_out.shape[0],
        inputs=[poses, viewer, segments, paces, touch, resting, stiffness, pair, system],
        outputs=[cost_out],
        device=cost_out.device,
        record_tape=False,
    )


@wp.kernel
def _add_world_consistency(
    poses: wp.array[wp.transform],  # [frame] camera_from_body
    viewer: Viewer,
    segments: wp.array[wp.int32],  # [frame]
    paces: wp.array[wp.float32],  # [frame]
    stiffness: wp.array[Stiffness],  # [1] of velocities at the nominal rate
    pair: Pair,
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to, at the later frame
):
    """Velocity of a body's root in the world; a jump costs in proportion."""
    frame = wp.tid()
    if not has_before(segments, frame, 1):
        return
    if wp.min(poses[frame][2], poses[frame - 1][2]) < NEAR:
        return
    last = in_world(viewer, poses, frame)
    before = in_world(viewer, poses, frame - 1)
    step = wp.length(wp.transform_get_translation(last) - wp.transform_get_translation(before))
    place = pseudo_huber(step * paces[frame], stiffness[0].position)
    turn = pseudo_huber(wp.length(turn_between(before, last)) * paces[frame], stiffness[0].rotation)
    wp.atomic_add(cost_out, frame, place.cost + turn.cost)
    add_world_step(system, poses, viewer, frame, pair, paces[frame], place, turn)


def add_world_consistency(poses, viewer, segments, paces, stiffness, pair, system, *, cost_out):
    """Launch :func:`_add_world_consistency` over all frames."""
    wp.launch(
        _add_world_consistency,
        dim=cost_out.shape[0],
        inputs=[poses, viewer, segments, paces, stiffness, pair, system],
        outputs=[cost_out],
        device=cost_out.device,
        record_tape=False,
    )
