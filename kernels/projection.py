"""Where a place of a body is drawn, as a residual of one column or row of the picture."""

import warp as wp

from warpprior.kernels.rows import System, add_entry, add_place

wp.set_module_options({"enable_backward": False})


@wp.func
def add_pixel(
    system: System,
    frame: int,
    start: int,
    place: int,
    pose: wp.transform,
    point: wp.vec3,
    focal: wp.vec2,
    axis: int,
    pull: wp.float64,
) -> int:
    """Begin a row: how the column (axis 0) or row (1) at which a place is drawn depends on the body that carries it."""
    direction = wp.vec3(0.0, 0.0, 0.0)
    direction[axis] = focal[axis] / point[2]
    direction[2] = -focal[axis] * point[axis] / (point[2] * point[2])
    count = add_place(system, frame, 0, start, pose, place, point, direction, pull)
    if system.focal_column >= 0:
        spread = focal[axis] * point[axis] / point[2]
        count = add_entry(system, frame, frame, 0, count, system.focal_column, spread, pull)
    return count
