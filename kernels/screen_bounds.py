"""Where on the screen some vertices are: the box around them.  Forward only."""

import warp as wp

wp.set_module_options({"enable_backward": False})

FAR = wp.constant(1.0e30)
LANES = 256  # threads that share the vertices on a GPU


@wp.kernel
def _reset_bounds(bounds_out: wp.array[wp.float32]):
    """Bounds of nothing."""
    side = wp.tid()
    bounds_out[side] = wp.where(side < 3, FAR, -FAR)


def reset_bounds(*, bounds_out):
    """Launch :func:`_reset_bounds`."""
    wp.launch(_reset_bounds, dim=6, inputs=[], outputs=[bounds_out], device=bounds_out.device, record_tape=False)


@wp.kernel
def _bound_vertices(
    screen: wp.array2d[wp.vec3],  # [frame, vertex] u, v [px], depth [m]
    first: int,
    count: int,
    lanes: int,
    bounds_out: wp.array[wp.float32],  # [6] least u, v and depth, then the greatest
):
    """One frame.  What has no place on the screen makes the least depth negative."""
    lane = wp.tid()
    low = wp.vec3(FAR, FAR, FAR)
    high = wp.vec3(-FAR, -FAR, -FAR)
    for vertex in range(first + lane, first + count, lanes):
        place = screen[0, vertex]
        if not (wp.isfinite(place[0]) and wp.isfinite(place[1]) and wp.isfinite(place[2])):
            place = wp.vec3(0.0, 0.0, -1.0)
        low = wp.min(low, place)
        high = wp.max(high, place)
    for axis in range(3):
        wp.atomic_min(bounds_out, axis, low[axis])
        wp.atomic_max(bounds_out, 3 + axis, high[axis])


def bound_vertices(screen, first, count, *, bounds_out):
    """Bounds of ``count`` vertices from ``first`` on, in the only frame of ``screen``."""
    device = screen.device
    lanes = 1 if device.is_cpu else LANES
    reset_bounds(bounds_out=bounds_out)
    wp.launch(
        _bound_vertices,
        dim=lanes,
        inputs=[screen, first, count, lanes],
        outputs=[bounds_out],
        device=device,
        record_tape=False,
    )
