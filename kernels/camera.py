"""Pinhole projection, and poses as increments of (x/z, y/z, log z) and a rotation on the manifold."""

import warp as wp

from warpprior.kernels.rotations import so3_exp

NEAR = wp.constant(0.05)  # [m] depths are clamped here: nothing divides by zero, and gradients in depth stop


@wp.func
def advance_pose(pose: wp.transform, step: wp.vec3, turn: wp.vec3) -> wp.transform:
    """Move a pose by increments of (x/z, y/z, log z) and turn it on the right: R <- R Exp(turn)."""
    position = wp.transform_get_translation(pose)
    depth = wp.max(position[2], NEAR)
    moved_depth = depth * wp.exp(step[2])
    bearing_x = position[0] / depth + step[0]
    bearing_y = position[1] / depth + step[1]
    moved = wp.vec3(bearing_x * moved_depth, bearing_y * moved_depth, moved_depth)
    return wp.transform(moved, wp.transform_get_rotation(pose) * so3_exp(turn))


@wp.kernel
def _advance_poses(
    poses: wp.array[wp.transform],  # [frame]
    increments: wp.array2d[wp.float32],  # [frame, 6+] (x/z, y/z, log z, turn)
    poses_out: wp.array[wp.transform],  # [frame]
):
    """Poses after an increment; differentiable in the increments, taken at any value."""
    frame = wp.tid()
    step = wp.vec3(increments[frame, 0], increments[frame, 1], increments[frame, 2])
    turn = wp.vec3(increments[frame, 3], increments[frame, 4], increments[frame, 5])
    poses_out[frame] = advance_pose(poses[frame], step, turn)


def advance_poses(poses, increments, *, poses_out):
    """Launch :func:`_advance_poses` over all frames."""
    wp.launch(
        _advance_poses,
        dim=poses_out.shape[0],
        inputs=[poses, increments],
        outputs=[poses_out],
        device=poses_out.device,
    )


@wp.kernel
def _project_points(
    points: wp.array2d[wp.vec3],  # [frame, point] camera frame
    focal: wp.vec2,
    center: wp.vec2,
    first: int,
    screen_out: wp.array2d[wp.vec3],  # [frame, point] u, v [px], depth [m]
):
    """Pinhole projection.  Behind the near plane the depth is passed on, so that readers can cull by it."""
    frame, index = wp.tid()
    point = first + index
    position = points[frame, point]
    depth = wp.max(position[2], NEAR)
    screen_out[frame, point] = wp.vec3(
        focal[0] * position[0] / depth + center[0],
        focal[1] * position[1] / depth + center[1],
        position[2],
    )


def project_points(points, focal, center, *, first=0, count=None, screen_out):
    """Launch :func:`_project_points` over all frames and over ``count`` points from ``first`` on (all by default)."""
    wp.launch(
        _project_points,
        dim=(screen_out.shape[0], screen_out.shape[1] - first if count is None else count),
        inputs=[points, focal, center, first],
        outputs=[screen_out],
        device=screen_out.device,
    )
