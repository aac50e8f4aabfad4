"""Boxes: a body's outermost vertices are drawn on the sides of its detected bounding box."""

import warp as wp

from warpprior.kernels.camera import NEAR
from warpprior.kernels.projection import add_pixel
from warpprior.kernels.robust import Scale, trust_of
from warpprior.kernels.rows import System, close_row

wp.set_module_options({"enable_backward": False, "max_unroll": 1})


@wp.func
def outermost(screen: wp.array2d[wp.vec3], frame: int, first: int, count: int, side: int) -> int:
    """The vertex that is farthest left, up, right or down, of those in front of the camera; -1 without any."""
    best = int(-1)
    extreme = float(1.0e30)
    for vertex in range(first, first + count):
        point = screen[frame, vertex]
        value = point[side % 2]
        if side >= 2:
            value = -value
        if point[2] > NEAR and value < extreme:
            extreme = value
            best = vertex
    return best


@wp.kernel
def _add_boxes(
    screen: wp.array2d[wp.vec3],  # [frame, scene vertex] u, v [px], depth [m]
    vertices: wp.array2d[wp.vec3],  # [frame, scene vertex] camera frame
    first: int,
    count: int,
    boxes: wp.array2d[wp.float32],  # [frame, 4] left, top, right, bottom [px]; NaN for none
    poses: wp.array[wp.transform],  # [frame]
    focal: wp.vec2,
    scale: wp.array[Scale],  # [1] of a pixel
    start: int,  # column of the body's root
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Pull the outermost vertices to the sides of a bounding box.  Which vertex is outermost is held."""
    frame = wp.tid()
    cost = wp.float64(0.0)
    for side in range(4):
        edge = boxes[frame, side]
        vertex = int(-1)
        if wp.isfinite(edge):  # of most frames, whose labels say more, no side counts
            vertex = outermost(screen, frame, first, count, side)
        if vertex >= 0:
            axis = side % 2
            miss = screen[frame, vertex][axis] - edge
            trust = trust_of(miss, scale[0].reach)
            weight = wp.float64(scale[0].weight * trust * trust)
            cost += wp.float64(scale[0].weight * trust * miss * miss)
            pull = weight * wp.float64(miss)
            point = vertices[frame, vertex]
            entries = add_pixel(system, frame, start, vertex, poses[frame], point, focal, axis, pull)
            close_row(system, frame, 0, entries, weight, pull)
    wp.atomic_add(cost_out, frame, cost)


def add_boxes(screen, vertices, first, count, boxes, poses, focal, scale, start, system, *, cost_out):
    """Launch :func:`_add_boxes` over all frames."""
    wp.launch(
        _add_boxes,
        dim=cost_out.shape[0],
        inputs=[screen, vertices, first, count, boxes, poses, focal, scale, start, system],
        outputs=[cost_out],
        device=cost_out.device,
        record_tape=False,
    )
