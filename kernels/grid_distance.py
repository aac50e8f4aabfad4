"""Signed distance read from a baked grid, differentiable in points and in the poses of the body they are asked of.

In a file of its own, for Warp looks through :func:`grid_distance` as soon as its adjoint is declared, and compiles
adjoints of all kernels beside it.
"""

import warp as wp

from warpprior.kernels.distance import grid_sample


@wp.func
def grid_distance(
    values: wp.array3d[wp.float32],
    origin: wp.vec3,
    inverse_spacing: float,
    point: wp.vec3,
) -> float:
    """Signed distance [m] of a point in the frame of the grid; differentiable with respect to the point only.

    Args:
        values: signed distance at the grid's nodes [x, y, z] [m], at least two nodes along each axis.
        origin: position of node [0, 0, 0] [m].
        inverse_spacing: nodes per metre.
        point: query point in the frame the grid was baked in [m].
    """
    sample = grid_sample(values, origin, inverse_spacing, point)
    return sample[3]


@wp.func_grad(grid_distance)
def adj_grid_distance(
    values: wp.array3d[wp.float32],
    origin: wp.vec3,
    inverse_spacing: float,
    point: wp.vec3,
    adj_ret: float,
):
    """Adjoint of :func:`grid_distance`: the gradient of the interpolant, to the point alone."""
    sample = grid_sample(values, origin, inverse_spacing, point)
    wp.adjoint[point] += wp.vec3(sample[0], sample[1], sample[2]) * adj_ret


@wp.kernel
def _sample_grid(
    points: wp.array[wp.vec3],  # [point]
    values: wp.array3d[wp.float32],  # [x, y, z]
    origin: wp.vec3,
    inverse_spacing: float,
    # outputs:
    distance_out: wp.array[wp.float32],  # [point]
):
    """One point: interpolated distance.  Gradient flows to the points."""
    point = wp.tid()
    distance_out[point] = grid_distance(values, origin, inverse_spacing, points[point])


def sample_grid(points, values, origin, inverse_spacing, *, distance_out):
    """Signed distance of points in the grid's frame; differentiable with respect to the points."""
    wp.launch(
        _sample_grid,
        dim=distance_out.shape,
        inputs=[points, values, origin, inverse_spacing],
        outputs=[distance_out],
        device=distance_out.device,
    )


@wp.kernel
def _read_grid(
    points: wp.array2d[wp.vec3],  # [frame, point] camera frame
    poses: wp.array[wp.transform],  # [frame] camera_from_body
    values: wp.array3d[wp.float32],  # [x, y, z] signed distance at the nodes [m]
    origin: wp.vec3,  # of node 0, in the body's frame
    inverse_spacing: float,
    distances_out: wp.array2d[wp.float32],  # [frame, point] [m]
):
    """Interpolated distance of one point of one frame.  Gradients: points, poses."""
    frame, point = wp.tid()
    local = wp.transform_point(wp.transform_inverse(poses[frame]), points[frame, point])
    distances_out[frame, point] = grid_distance(values, origin, inverse_spacing, local)


def read_grid(points, poses, values, origin, inverse_spacing, *, distances_out):
    """Launch :func:`_read_grid` over all frames and points."""
    wp.launch(
        _read_grid,
        dim=distances_out.shape,
        inputs=[points, poses, values, origin, inverse_spacing],
        outputs=[distances_out],
        device=distances_out.device,
    )


@wp.kernel(enable_backward=False)
def _read_grid_normals(
    points: wp.array2d[wp.vec3],  # [frame, point] camera frame
    poses: wp.array[wp.transform],  # [frame]
    values: wp.array3d[wp.float32],  # [x, y, z]
    origin: wp.vec3,
    inverse_spacing: float,
    normals_out: wp.array2d[wp.vec3],  # [frame, point] camera frame
):
    """Gradient of the interpolated distance, about of unit length."""
    frame, point = wp.tid()
    local = wp.transform_point(wp.transform_inverse(poses[frame]), points[frame, point])
    sample = grid_sample(values, origin, inverse_spacing, local)
    normals_out[frame, point] = wp.transform_vector(poses[frame], wp.vec3(sample[0], sample[1], sample[2]))


def read_grid_normals(points, poses, values, origin, inverse_spacing, *, normals_out):
    """Launch :func:`_read_grid_normals` over all frames and points."""
    wp.launch(
        _read_grid_normals,
        dim=normals_out.shape,
        inputs=[points, poses, values, origin, inverse_spacing],
        outputs=[normals_out],
        device=normals_out.device,
        record_tape=False,
    )
