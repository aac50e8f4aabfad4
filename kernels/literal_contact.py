"""Sliding and penetration as the paper prints them, on a tape: plain sums over points, no weights, no allowance.

``points`` are in the camera frame [m].  The touched body's parts are placed by ``camera_from_link``; a rigid body is
one part, and the distance to several parts is the least over them.  Values go to ``rows_out[row, frame]``, added to
what is there.  Gradients flow to the points and to the transforms; which part is nearest is frozen.
"""

import warp as wp

from warpprior.kernels.distance import GridSet, grid_sample
from warpprior.kernels.grid_distance import grid_distance


@wp.func
def to_link(camera_from_link: wp.transform, position: wp.vec3) -> wp.vec3:
    """A camera-frame position in the link's frame."""
    offset = position - wp.transform_get_translation(camera_from_link)
    return wp.quat_rotate_inv(wp.transform_get_rotation(camera_from_link), offset)


@wp.func
def nearest_grid(
    grids: GridSet,
    camera_from_link: wp.array2d[wp.transform],
    frame: int,
    position: wp.vec3,
) -> int:
    """Index of the grid whose part is nearest to a camera-frame position, or deepest around it; frozen."""
    nearest = int(0)
    if grids.links.shape[0] == 1:
        return nearest
    least = float(1.0e9)
    for grid in range(grids.links.shape[0]):
        local = to_link(camera_from_link[frame, grids.links[grid]], position)
        distance = grid_distance(grids.values[grid], grids.origins[grid], grids.inverse_spacings[grid], local)
        if distance < least:
            least = distance
            nearest = grid
    return nearest


@wp.func_grad(nearest_grid)
def adj_nearest_grid(
    grids: GridSet,
    camera_from_link: wp.array2d[wp.transform],
    frame: int,
    position: wp.vec3,
    adj_ret: int,
):
    # Which part is nearest is piecewise constant.
    pass


@wp.func
def signed_distance(
    grids: GridSet,
    camera_from_link: wp.array2d[wp.transform],
    frame: int,
    position: wp.vec3,
) -> float:
    """Signed distance [m] of a camera-frame position to the body; differentiable in position and transforms."""
    grid = nearest_grid(grids, camera_from_link, frame, position)
    local = to_link(camera_from_link[frame, grids.links[grid]], position)
    return grid_distance(grids.values[grid], grids.origins[grid], grids.inverse_spacings[grid], local)


@wp.kernel
def _add_literal_penetration(
    points: wp.array2d[wp.vec3],  # [frame, point]
    camera_from_link: wp.array2d[wp.transform],  # [frame, link]
    grids: GridSet,
    row: int,
    # outputs:
    rows_out: wp.array2d[wp.float32],  # [term, frame] [m]
):
    """One point at one frame: ``max(0, -phi)`` [m], Eq. 3 as printed but for its sign."""
    frame, point = wp.tid()
    distance = signed_distance(grids, camera_from_link, frame, points[frame, point])
    if distance < 0.0:
        wp.atomic_add(rows_out, row, frame, -distance)


def add_literal_penetration(points, camera_from_link, grids, *, row, rows_out):
    """Add each frame's sum of penetration depths [m]."""
    wp.launch(
        _add_literal_penetration,
        dim=points.shape,
        inputs=[points, camera_from_link, grids, row],
        outputs=[rows_out],
        device=rows_out.device,
    )


@wp.kernel(enable_backward=False)
def _find_nearest(
    points: wp.array2d[wp.vec3],  # [frame, point]
    camera_from_link: wp.array2d[wp.transform],  # [frame, link]
    grids: GridSet,
    # outputs:
    distance_out: wp.array2d[wp.float32],  # [frame, point] [m]
    grid_out: wp.array2d[wp.int32],  # [frame, point] nearest part
):
    """One point at one frame: the part of the body that is nearest, and how near it is."""
    frame, point = wp.tid()
    position = points[frame, point]
    grid = nearest_grid(grids, camera_from_link, frame, position)
    local = to_link(camera_from_link[frame, grids.links[grid]], position)
    sample = grid_sample(grids.values[grid], grids.origins[grid], grids.inverse_spacings[grid], local)
    distance_out[frame, point] = sample[3]
    grid_out[frame, point] = grid


def find_nearest(points, camera_from_link, grids, *, distance_out, grid_out):
    """Launch :func:`_find_nearest` over all frames and points.  Forward only."""
    wp.launch(
        _find_nearest,
        dim=distance_out.shape,
        inputs=[points, camera_from_link, grids],
        outputs=[distance_out, grid_out],
        device=distance_out.device,
    )


@wp.kernel
def _add_literal_sliding(
    points: wp.array2d[wp.vec3],  # [frame, point]
    camera_from_link: wp.array2d[wp.transform],  # [frame, link]
    links: wp.array[wp.int32],  # [grid]
    grid: wp.array2d[wp.int32],  # [frame, point]
    distance: wp.array2d[wp.float32],  # [frame, point] [m]
    segment: wp.array[wp.int32],  # [frame]
    threshold: float,
    row: int,
    # outputs:
    rows_out: wp.array2d[wp.float32],  # [term, frame] [m]
):
    """One point closer than the threshold [m]: ``|q_t - q_{t-1}|`` [m], as the paper prints it (gradient 0 at rest)."""
    frame, point = wp.tid()
    if frame > 0:
        if segment[frame] == segment[frame - 1] and distance[frame, point] < threshold:
            link = links[grid[frame, point]]
            here = to_link(camera_from_link[frame, link], points[frame, point])
            before = to_link(camera_from_link[frame - 1, link], points[frame - 1, point])
            wp.atomic_add(rows_out, row, frame, wp.length(here - before))


def add_literal_sliding(points, camera_from_link, *, links, grid, distance, segment, threshold, row, rows_out):
    """Add each frame's sum of the ways its contact points moved on the touched body [m]."""
    wp.launch(
        _add_literal_sliding,
        dim=points.shape,
        inputs=[points, camera_from_link, links, grid, distance, segment, threshold, row],
        outputs=[rows_out],
        device=rows_out.device,
    )
