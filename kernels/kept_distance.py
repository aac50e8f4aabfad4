"""Which distances to a surface that moves must be measured again: those that may have passed what decides.

A distance changes by no more than its point and the surface have moved, so one that is far from all that matters need
not be known better for a while.  Motion is measured in the frame of the body whose points ask: what they share with
the surface changes nothing.  Forward only.
"""

import warp as wp

from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False})


@wp.kernel
def _measure_moves(
    first_frame: int,
    vertices: wp.array2d[wp.vec3],  # [frame, scene vertex] camera frame
    first_vertex: int,
    poses: wp.array[wp.transform],  # [frame] of the body whose points ask
    lanes: int,
    before_out: wp.array2d[wp.vec3],  # [frame, vertex] where the surface was, in that body's frame; renewed
    moves_out: wp.array[wp.float32],  # [frame] how far any vertex has moved [m]
):
    """How far the surface has moved since the last time, at most."""
    slab_frame, lane = wp.tid()
    frame = first_frame + slab_frame
    into = wp.transform_inverse(poses[frame])
    farthest = float(0.0)
    for vertex in range(lane, before_out.shape[1], lanes):
        place = wp.transform_point(into, vertices[frame, first_vertex + vertex])
        move = place - before_out[frame, vertex]
        farthest = wp.max(farthest, wp.dot(move, move))
        before_out[frame, vertex] = place
    wp.atomic_max(moves_out, frame, wp.sqrt(farthest))


def measure_moves(vertices, first_vertex, poses, *, lanes, before_out, moves_out):
    """Launch :func:`_measure_moves` with ``lanes`` threads per frame sharing the vertices of the surface."""
    moves_out.zero_()
    launch_slabs(
        _measure_moves,
        dim=(len(moves_out), lanes),
        inputs=[vertices, first_vertex, poses, lanes],
        outputs=[before_out, moves_out],
        device=moves_out.device,
    )


@wp.kernel
def _spend_waits(
    first_frame: int,
    points: wp.array2d[wp.vec3],  # [frame, point] camera frame
    poses: wp.array[wp.transform],  # [frame] of their body
    moves: wp.array[wp.float32],  # [frame] of the surface [m]
    before_out: wp.array2d[wp.vec3],  # [frame, point] where they were, in the body's frame; renewed
    waits_out: wp.array2d[wp.float32],  # [frame, point] how far point and surface may still move, together [m]
):
    """Take what has moved off what may move."""
    slab_frame, point = wp.tid()
    frame = first_frame + slab_frame
    place = wp.transform_point(wp.transform_inverse(poses[frame]), points[frame, point])
    moved = moves[frame] + wp.length(place - before_out[frame, point])
    before_out[frame, point] = place
    left = waits_out[frame, point] - moved
    if not left > 0.0:  # NaN, too
        left = 0.0
    waits_out[frame, point] = left


def spend_waits(points, poses, moves, *, before_out, waits_out):
    """Launch :func:`_spend_waits` over all frames and points."""
    launch_slabs(
        _spend_waits,
        dim=waits_out.shape,
        inputs=[points, poses, moves],
        outputs=[before_out, waits_out],
        device=waits_out.device,
    )
