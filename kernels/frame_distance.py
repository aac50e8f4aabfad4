"""Exact distance of points to surfaces that change from frame to frame, one triangle mesh per frame.  Forward only."""

import warp as wp

from warpprior.kernels.distance import is_usable, winding_sign
from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False})


@wp.kernel
def _measure_frames(
    first_point: int,
    points: wp.array[wp.vec3],  # [point] frame of the mesh
    frames: wp.array[wp.int32],  # [point] whose mesh is meant
    meshes: wp.array[wp.uint64],  # [frame]
    max_distance: float,
    with_sign: int,
    distance_out: wp.array[wp.float32],  # [point]
):
    """One point: distance to the closest triangle of its frame, signed by the winding number where that is asked."""
    point = first_point + wp.tid()
    position = points[point]
    mesh = meshes[frames[point]]
    distance = max_distance
    if is_usable(position):
        query = wp.mesh_query_point_no_sign(mesh, position, max_distance)
        if query.result:
            distance = wp.length(position - wp.mesh_eval_position(mesh, query.face, query.u, query.v))
            if with_sign != 0:
                distance = distance * winding_sign(mesh, position, distance)
    distance_out[point] = distance


def measure_frames(points, frames, meshes, max_distance, with_sign, *, distance_out):
    """Distance of each point to the mesh of its frame, ``max_distance`` where none is that near.

    Signed distances need meshes built with winding-number support; on a CPU the points are shared by the threads.
    """
    launch_slabs(
        _measure_frames,
        distance_out.shape,
        inputs=[points, frames, meshes, max_distance, int(with_sign)],
        outputs=[distance_out],
        device=distance_out.device,
    )
