"""Poses of positions and rotations, together or apart: quaternions of any length, or matrices."""

import warp as wp


@wp.func
def unit_quaternion(q: wp.quat) -> wp.quat:
    """The rotation that a quaternion of any length stands for; none where it has no length."""
    length = wp.length(q)
    if length < 1.0e-12:
        return wp.quat(0.0, 0.0, 0.0, 1.0)
    return q / length


@wp.kernel
def _join_quaternions(
    positions: wp.array[wp.vec3],  # [frame]
    rotations: wp.array[wp.quat],  # [frame] of any length
    poses_out: wp.array[wp.transform],  # [frame]
):
    """One frame's pose.  Gradients: positions, rotations; none along a quaternion, whose length does not matter."""
    frame = wp.tid()
    poses_out[frame] = wp.transform(positions[frame], unit_quaternion(rotations[frame]))


def join_quaternions(positions, rotations, *, poses_out):
    """Launch :func:`_join_quaternions` over all frames."""
    wp.launch(
        _join_quaternions,
        dim=poses_out.shape[0],
        inputs=[positions, rotations],
        outputs=[poses_out],
        device=poses_out.device,
    )


@wp.kernel
def _join_matrices(
    positions: wp.array[wp.vec3],  # [frame]
    rotations: wp.array[wp.mat33],  # [frame] orthonormal
    poses_out: wp.array[wp.transform],  # [frame]
):
    """One frame's pose.  Gradients: positions, rotations."""
    frame = wp.tid()
    poses_out[frame] = wp.transform(positions[frame], unit_quaternion(wp.quat_from_matrix(rotations[frame])))


def join_matrices(positions, rotations, *, poses_out):
    """Launch :func:`_join_matrices` over all frames."""
    wp.launch(
        _join_matrices,
        dim=poses_out.shape[0],
        inputs=[positions, rotations],
        outputs=[poses_out],
        device=poses_out.device,
    )


@wp.kernel
def _unit_poses(
    poses: wp.array[wp.transform],  # [frame] quaternions of any length
    poses_out: wp.array[wp.transform],  # [frame]
):
    """One frame's pose.  Gradients: poses; none along a quaternion, whose length does not matter."""
    frame = wp.tid()
    rotation = unit_quaternion(wp.transform_get_rotation(poses[frame]))
    poses_out[frame] = wp.transform(wp.transform_get_translation(poses[frame]), rotation)


def unit_poses(poses, *, poses_out):
    """Launch :func:`_unit_poses` over all frames."""
    wp.launch(_unit_poses, dim=poses_out.shape[0], inputs=[poses], outputs=[poses_out], device=poses_out.device)
