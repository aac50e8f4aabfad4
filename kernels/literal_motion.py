"""Consistency and smoothness (Eq. 4 and 5) as the paper prints them, on a tape, frame by frame.

A rigid surface moves by ``dp + dR x``; the mean of its square over the surface is
``|dp + dR c|^2 + tr(dR C dR^T)`` with the surface's centroid ``c`` and covariance ``C``: twelve numbers, no vertices.
An articulated body is compared by its root's position and rotation and by its joint coordinates.

``dt[frame]`` is the time since the previous frame in nominal frame intervals: 1, or 2 where one frame is missing.
Differences are taken only between frames with the same ``segment``.  Velocities are stored at the later frame,
accelerations at the middle one.  All values are ``(x / sigma)^2 / 2``, added to ``rows_out[row, frame]``; sigmas make
them the sums that the paper has.
"""

import warp as wp

from warpprior.kernels.rotations import so3_log


@wp.func
def mean_square(shift: wp.vec3, turn: wp.mat33, centroid: wp.vec3, covariance: wp.mat33) -> float:
    """Mean of ``|shift + turn x|^2`` over a surface."""
    center = shift + turn * centroid
    return wp.dot(center, center) + wp.trace(turn * covariance * wp.transpose(turn))


@wp.func
def shift_between(before: wp.transform, after: wp.transform) -> wp.vec3:
    """Change of position."""
    return wp.transform_get_translation(after) - wp.transform_get_translation(before)


@wp.func
def turn_between(before: wp.transform, after: wp.transform) -> wp.mat33:
    """Change of the rotation matrix."""
    return wp.quat_to_matrix(wp.transform_get_rotation(after)) - wp.quat_to_matrix(wp.transform_get_rotation(before))


@wp.func
def angle_between(before: wp.transform, after: wp.transform) -> wp.vec3:
    """Rotation vector from one pose to the other, in the body's axes [rad]."""
    return so3_log(wp.quat_inverse(wp.transform_get_rotation(before)) * wp.transform_get_rotation(after))


@wp.func
def has_previous(segment: wp.array[wp.int32], frame: int) -> bool:
    """The frame before exists and belongs to the same sequence."""
    if frame < 1:
        return False
    return segment[frame] == segment[frame - 1]


@wp.func
def has_neighbours(segment: wp.array[wp.int32], frame: int) -> bool:
    """The frames before and after exist and belong to the same sequence."""
    if frame < 1 or frame + 1 >= segment.shape[0]:
        return False
    return segment[frame] == segment[frame - 1] and segment[frame] == segment[frame + 1]


@wp.kernel
def _add_rigid_velocity(
    poses: wp.array[wp.transform],  # [frame]
    centroid: wp.vec3,
    covariance: wp.mat33,
    segment: wp.array[wp.int32],  # [frame]
    dt: wp.array[wp.float32],  # [frame]
    sigma: wp.array[wp.float32],  # [1] [m per frame]
    row: int,
    # outputs:
    rows_out: wp.array2d[wp.float32],  # [term, frame]
):
    """One frame: mean square velocity of the surface since the previous frame.  Gradients flow to both poses."""
    frame = wp.tid()
    if has_previous(segment, frame):
        scale = 1.0 / (dt[frame] * sigma[0])
        shift = shift_between(poses[frame - 1], poses[frame])
        turn = turn_between(poses[frame - 1], poses[frame])
        wp.atomic_add(rows_out, row, frame, 0.5 * scale * scale * mean_square(shift, turn, centroid, covariance))


def add_rigid_velocity(poses, *, centroid, covariance, segment, dt, sigma, row, rows_out):
    """Add the object's part of Eq. 4 per frame."""
    wp.launch(
        _add_rigid_velocity,
        dim=rows_out.shape[1],
        inputs=[poses, centroid, covariance, segment, dt, sigma, row],
        outputs=[rows_out],
        device=rows_out.device,
    )


@wp.kernel
def _add_rigid_acceleration(
    poses: wp.array[wp.transform],  # [frame]
    centroid: wp.vec3,
    covariance: wp.mat33,
    segment: wp.array[wp.int32],  # [frame]
    dt: wp.array[wp.float32],  # [frame]
    sigma: wp.array[wp.float32],  # [1] [m per frame^2]
    row: int,
    # outputs:
    rows_out: wp.array2d[wp.float32],  # [term, frame]
):
    """One frame with neighbours: mean square acceleration of the surface.  Gradients flow to the three poses."""
    frame = wp.tid()
    if has_neighbours(segment, frame):
        scale = 2.0 / ((dt[frame] + dt[frame + 1]) * sigma[0])
        shift = (
            shift_between(poses[frame], poses[frame + 1]) / dt[frame + 1]
            - shift_between(poses[frame - 1], poses[frame]) / dt[frame]
        )
        turn = (
            turn_between(poses[frame], poses[frame + 1]) / dt[frame + 1]
            - turn_between(poses[frame - 1], poses[frame]) / dt[frame]
        )
        wp.atomic_add(rows_out, row, frame, 0.5 * scale * scale * mean_square(shift, turn, centroid, covariance))


def add_rigid_acceleration(poses, *, centroid, covariance, segment, dt, sigma, row, rows_out):
    """Add the object's Eq. 5 per frame."""
    wp.launch(
        _add_rigid_acceleration,
        dim=rows_out.shape[1],
        inputs=[poses, centroid, covariance, segment, dt, sigma, row],
        outputs=[rows_out],
        device=rows_out.device,
    )


@wp.kernel
def _add_root_velocity(
    poses: wp.array[wp.transform],  # [frame]
    segment: wp.array[wp.int32],  # [frame]
    dt: wp.array[wp.float32],  # [frame]
    position_sigma: wp.array[wp.float32],  # [1] [m per frame]
    rotation_sigma: wp.array[wp.float32],  # [1] [rad per frame]
    row: int,
    # outputs:
    rows_out: wp.array2d[wp.float32],  # [term, frame]
):
    """One frame: velocity of the root, ``Log(R_{t-1}^T R_t)`` for its rotation.  Gradients flow to both poses."""
    frame = wp.tid()
    if has_previous(segment, frame):
        shift = shift_between(poses[frame - 1], poses[frame]) / (dt[frame] * position_sigma[0])
        angle = angle_between(poses[frame - 1], poses[frame]) / (dt[frame] * rotation_sigma[0])
        wp.atomic_add(rows_out, row, frame, 0.5 * (wp.dot(shift, shift) + wp.dot(angle, angle)))


def add_root_velocity(poses, *, segment, dt, position_sigma, rotation_sigma, row, rows_out):
    """Add the root's part of Eq. 4 per frame."""
    wp.launch(
        _add_root_velocity,
        dim=rows_out.shape[1],
        inputs=[poses, segment, dt, position_sigma, rotation_sigma, row],
        outputs=[rows_out],
        device=rows_out.device,
    )


@wp.kernel
def _add_root_acceleration(
    poses: wp.array[wp.transform],  # [frame]
    segment: wp.array[wp.int32],  # [frame]
    dt: wp.array[wp.float32],  # [frame]
    position_sigma: wp.array[wp.float32],  # [1] [m per frame^2]
    rotation_sigma: wp.array[wp.float32],  # [1] [rad per frame^2]
    row: int,
    # outputs:
    rows_out: wp.array2d[wp.float32],  # [term, frame]
):
    """One frame with neighbours: acceleration of the root.  Both angular velocities are in the middle frame's axes."""
    frame = wp.tid()
    if has_neighbours(segment, frame):
        scale = 2.0 / (dt[frame] + dt[frame + 1])
        shift = (
            shift_between(poses[frame], poses[frame + 1]) / dt[frame + 1]
            - shift_between(poses[frame - 1], poses[frame]) / dt[frame]
        ) * (scale / position_sigma[0])
        angle = (
            angle_between(poses[frame], poses[frame + 1]) / dt[frame + 1]
            - angle_between(poses[frame - 1], poses[frame]) / dt[frame]
        ) * (scale / rotation_sigma[0])
        wp.atomic_add(rows_out, row, frame, 0.5 * (wp.dot(shift, shift) + wp.dot(angle, angle)))


def add_root_acceleration(poses, *, segment, dt, position_sigma, rotation_sigma, row, rows_out):
    """Add the root's Eq. 5 per frame."""
    wp.launch(
        _add_root_acceleration,
        dim=rows_out.shape[1],
        inputs=[poses, segment, dt, position_sigma, rotation_sigma, row],
        outputs=[rows_out],
        device=rows_out.device,
    )


@wp.kernel
def _add_joint_velocity(
    joints: wp.array2d[wp.float32],  # [frame, coordinate]
    segment: wp.array[wp.int32],  # [frame]
    dt: wp.array[wp.float32],  # [frame]
    sigmas: wp.array[wp.float32],  # [coordinate] [rad or m per frame]
    share: float,
    row: int,
    # outputs:
    rows_out: wp.array2d[wp.float32],  # [term, frame]
):
    """One joint coordinate at one frame: its velocity, as a share of the mean over the coordinates."""
    frame, coordinate = wp.tid()
    if has_previous(segment, frame):
        change = (joints[frame, coordinate] - joints[frame - 1, coordinate]) / (dt[frame] * sigmas[coordinate])
        wp.atomic_add(rows_out, row, frame, 0.5 * share * change * change)


def add_joint_velocity(joints, *, segment, dt, sigmas, row, rows_out):
    """Add the joints' part of Eq. 4 per frame, averaged over the coordinates."""
    wp.launch(
        _add_joint_velocity,
        dim=joints.shape,
        inputs=[joints, segment, dt, sigmas, 1.0 / joints.shape[1], row],
        outputs=[rows_out],
        device=rows_out.device,
    )


@wp.kernel
def _add_joint_acceleration(
    joints: wp.array2d[wp.float32],  # [frame, coordinate]
    segment: wp.array[wp.int32],  # [frame]
    dt: wp.array[wp.float32],  # [frame]
    sigmas: wp.array[wp.float32],  # [coordinate] [rad or m per frame^2]
    share: float,
    row: int,
    # outputs:
    rows_out: wp.array2d[wp.float32],  # [term, frame]
):
    """One joint coordinate at one frame with neighbours: its acceleration, as a share of the mean."""
    frame, coordinate = wp.tid()
    if has_neighbours(segment, frame):
        ahead = (joints[frame + 1, coordinate] - joints[frame, coordinate]) / dt[frame + 1]
        behind = (joints[frame, coordinate] - joints[frame - 1, coordinate]) / dt[frame]
        change = 2.0 * (ahead - behind) / ((dt[frame] + dt[frame + 1]) * sigmas[coordinate])
        wp.atomic_add(rows_out, row, frame, 0.5 * share * change * change)


def add_joint_acceleration(joints, *, segment, dt, sigmas, row, rows_out):
    """Add the joints' Eq. 5 per frame, averaged over the coordinates."""
    wp.launch(
        _add_joint_acceleration,
        dim=joints.shape,
        inputs=[joints, segment, dt, sigmas, 1.0 / joints.shape[1], row],
        outputs=[rows_out],
        device=rows_out.device,
    )
