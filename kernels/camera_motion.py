"""A moving camera: where it is, what is known of that beforehand, and how smoothly it goes.  Forward only.

The unknowns of a frame are six offsets from the pose that was measured: a shift [m] and a rotation vector [rad], both
along the axes of the world: ``position = measured + shift``, ``R = Exp(turn) R_measured``.
"""

import warp as wp

from warpprior.kernels.differences import add_steps, bend_factors, bend_of, has_before, pseudo_huber, turn_between
from warpprior.kernels.rotations import so3_exp, so3_right_jacobian, so3_right_jacobian_inverse
from warpprior.kernels.rows import System, vec6d

# Unrolled, the 6x6 sums make the CUDA compiler work for a minute and run no faster.
wp.set_module_options({"enable_backward": False, "max_unroll": 1})


@wp.struct
class Viewer:
    """Where the camera is."""

    start: wp.int32  # column of its unknowns, -1 where its poses are known
    poses: wp.array(dtype=wp.transform)  # [frame] world_from_camera
    turns: wp.array(dtype=wp.mat33)  # [frame] what a change of the rotation vector turns the camera by, world axes


@wp.struct
class Expected:
    """What measured poses say of the offset of a frame, given those of the two frames before."""

    shift: wp.vec3  # factors of the frame's own offset and of those before, whose sum is expected to be zero
    turn: wp.vec3
    shift_stiffness: wp.float32  # [1/m^2]
    turn_stiffness: wp.float32  # [1/rad^2]


@wp.kernel
def _place_camera(
    measured: wp.array[wp.transform],  # [frame] world_from_camera
    offsets: wp.array2d[wp.float64],  # [frame, 6]
    poses_out: wp.array[wp.transform],  # [frame]
    turns_out: wp.array[wp.mat33],  # [frame]
):
    """Pose of the camera in a frame."""
    frame = wp.tid()
    shift = wp.vec3(float(offsets[frame, 0]), float(offsets[frame, 1]), float(offsets[frame, 2]))
    turn = wp.vec3(float(offsets[frame, 3]), float(offsets[frame, 4]), float(offsets[frame, 5]))
    position = wp.transform_get_translation(measured[frame]) + shift
    rotation = so3_exp(turn) * wp.transform_get_rotation(measured[frame])
    poses_out[frame] = wp.transform(position, wp.normalize(rotation))
    turns_out[frame] = so3_right_jacobian(-turn)  # of a change on the left


def place_camera(measured, offsets, *, poses_out, turns_out):
    """Launch :func:`_place_camera` over all frames."""
    wp.launch(
        _place_camera,
        dim=poses_out.shape[0],
        inputs=[measured, offsets],
        outputs=[poses_out, turns_out],
        device=poses_out.device,
    )


@wp.kernel
def _advance_camera(
    steps: wp.array2d[wp.float64],  # [frame, column]
    start: int,  # column of the camera's unknowns
    longest: wp.array[wp.float64],  # [6]
    offsets_out: wp.array2d[wp.float64],  # [frame, 6]
):
    """Add a frame's step, shortened until no part is too long."""
    frame = wp.tid()
    ratio = wp.float64(1.0)
    for i in range(6):
        ratio = wp.max(ratio, wp.abs(steps[frame, start + i]) / longest[i])
    for i in range(6):
        offsets_out[frame, i] = offsets_out[frame, i] + steps[frame, start + i] / ratio


def advance_camera(steps, start, longest, *, offsets_out):
    """Launch :func:`_advance_camera` over all frames."""
    wp.launch(
        _advance_camera,
        dim=offsets_out.shape[0],
        inputs=[steps, start, longest],
        outputs=[offsets_out],
        device=offsets_out.device,
    )


@wp.func
def at_place(axis: int, factor: float, first: int) -> vec6d:
    """Derivative of a multiple of one number, counted from ``first``, of six."""
    found = vec6d()
    found[first + axis] = wp.float64(factor)
    return found


@wp.func
def offset_part(offsets: wp.array2d[wp.float64], frame: int, first: int) -> wp.vec3d:
    """Shift or turn of a frame's offset."""
    return wp.vec3d(offsets[frame, first], offsets[frame, first + 1], offsets[frame, first + 2])


@wp.func
def add_expected(
    system: System,
    offsets: wp.array2d[wp.float64],
    frame: int,
    start: int,
    first: int,  # 0: of the shift, 3: of the turn
    factors: wp.vec3,
    stiffness: float,
    cost_out: wp.array[wp.float64],
) -> int:
    """Add how far a shift or turn is from what those before let expect; a jump costs in proportion."""
    back = wp.min(frame, 2)
    apart = offset_part(offsets, frame, first) * wp.float64(factors[0])
    if back > 0:
        apart += offset_part(offsets, frame - 1, first) * wp.float64(factors[1])
    if back > 1:
        apart += offset_part(offsets, frame - 2, first) * wp.float64(factors[2])
    found = pseudo_huber(float(wp.length(apart)), stiffness)
    wp.atomic_add(cost_out, frame, found.cost)
    for axis in range(3):
        last = at_place(axis, factors[0], first)
        middle = at_place(axis, factors[1], first)
        before = at_place(axis, factors[2], first)
        add_steps(system, frame, start, last, middle, before, back, found.weight, found.weight * apart[axis])
    return 3


@wp.kernel
def _add_measured_poses(
    offsets: wp.array2d[wp.float64],  # [frame, 6]
    expected: wp.array[Expected],  # [frame]
    start: int,
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """What was measured of the camera's poses: offsets are as likely as its noise has them."""
    frame = wp.tid()
    own = expected[frame]
    add_expected(system, offsets, frame, start, 0, own.shift, own.shift_stiffness, cost_out)
    add_expected(system, offsets, frame, start, 3, own.turn, own.turn_stiffness, cost_out)


def add_measured_poses(offsets, expected, start, system, *, cost_out):
    """Launch :func:`_add_measured_poses` over all frames."""
    wp.launch(
        _add_measured_poses,
        dim=cost_out.shape[0],
        inputs=[offsets, expected, start, system],
        outputs=[cost_out],
        device=cost_out.device,
        record_tape=False,
    )


@wp.func
def turned_six(jacobian: wp.mat33, viewer: Viewer, frame: int, axis: int) -> vec6d:
    """Derivative of one coordinate of a rotation vector by the offset of the camera, whose turn acts through
    ``jacobian`` in its own axes.
    """
    by_turn = jacobian * wp.transpose(wp.quat_to_matrix(wp.transform_get_rotation(viewer.poses[frame])))
    by_turn = by_turn * viewer.turns[frame]
    return vec6d(
        wp.float64(0.0), wp.float64(0.0), wp.float64(0.0),
        wp.float64(by_turn[axis, 0]), wp.float64(by_turn[axis, 1]), wp.float64(by_turn[axis, 2]),
    )  # fmt: skip


@wp.kernel
def _add_camera_smoothness(
    viewer: Viewer,
    segments: wp.array[wp.int32],  # [frame]
    paces: wp.array[wp.float32],  # [frame]
    place_stiffness: wp.array[wp.float32],  # [1] of accelerations at the nominal rate
    turn_stiffness: wp.array[wp.float32],  # [1]
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to, at the last of three frames
):
    """Acceleration of the camera."""
    frame = wp.tid()
    if not has_before(segments, frame, 2):
        return
    last = viewer.poses[frame]
    middle = viewer.poses[frame - 1]
    first = viewer.poses[frame - 2]
    factors = bend_factors(paces, frame)
    bend = bend_of(last, middle, first, factors)
    turn_after = turn_between(middle, last)
    turn_back = turn_between(middle, first)
    spin = turn_after * factors[0] + turn_back * factors[2]
    place = pseudo_huber(wp.length(bend), place_stiffness[0])
    turn = pseudo_huber(wp.length(spin), turn_stiffness[0])
    wp.atomic_add(cost_out, frame, place.cost + turn.cost)
    jacobian_last = so3_right_jacobian_inverse(turn_after) * factors[0]
    jacobian_first = so3_right_jacobian_inverse(turn_back) * factors[2]
    # The middle frame's turn acts from the left, through the transposes.
    jacobian_middle = -(wp.transpose(jacobian_last) + wp.transpose(jacobian_first))
    for axis in range(3):
        at_last = at_place(axis, factors[0], 0)
        at_middle = at_place(axis, factors[1], 0)
        at_first = at_place(axis, factors[2], 0)
        pull = place.weight * wp.float64(bend[axis])
        add_steps(system, frame, viewer.start, at_last, at_middle, at_first, 2, place.weight, pull)
        at_last = turned_six(jacobian_last, viewer, frame, axis)
        at_middle = turned_six(jacobian_middle, viewer, frame - 1, axis)
        at_first = turned_six(jacobian_first, viewer, frame - 2, axis)
        pull = turn.weight * wp.float64(spin[axis])
        add_steps(system, frame, viewer.start, at_last, at_middle, at_first, 2, turn.weight, pull)


def add_camera_smoothness(viewer, segments, paces, place_stiffness, turn_stiffness, system, *, cost_out):
    """Launch :func:`_add_camera_smoothness` over all frames."""
    wp.launch(
        _add_camera_smoothness,
        dim=cost_out.shape[0],
        inputs=[viewer, segments, paces, place_stiffness, turn_stiffness, system],
        outputs=[cost_out],
        device=cost_out.device,
        record_tape=False,
    )
