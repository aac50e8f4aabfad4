"""Normal equations of penetration into a surface that bends, for Gauss-Newton.  Forward only."""

import warp as wp

from warpprior.kernels.contact_fit import DEEPEST
from warpprior.kernels.rows import (
    Chains,
    PointBody,
    Rows,
    add_face,
    add_point,
    add_root,
    close_row,
    point_derivative,
)
from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False})


@wp.func
def touching_share(
    distances: wp.array2d[wp.float32], areas: wp.array[wp.float32], frame: int, distance: float
) -> float:
    """Share of the points' surface that is closer than ``distance``."""
    total = float(0.0)
    for point in range(areas.shape[0]):
        if distances[frame, point] < distance:
            total += areas[point]
    return total


@wp.kernel
def _accumulate_presses(
    first_frame: int,
    points: wp.array2d[wp.vec3],  # [frame, point] camera frame
    body: PointBody,  # whose points these are
    body_poses: wp.array[wp.transform],  # [frame]
    start: int,  # column of the body that they press into, -1 where it is known
    first_vertex: int,  # of that body
    faces: wp.array2d[wp.int32],  # [face, 3] of that body
    poses: wp.array[wp.transform],  # [frame] of that body
    distances: wp.array2d[wp.float32],  # [frame, point] signed distance
    normals: wp.array2d[wp.vec3],  # [frame, point] outward
    closest: wp.array2d[wp.int32],  # [frame, point] face, -1 for none
    barycentrics: wp.array2d[wp.vec3],  # [frame, point] closest point on it
    areas: wp.array[wp.float32],  # [point]
    press: wp.array[wp.float32],  # [2] weight [1/m^2], allowance [m]
    touching: wp.array[wp.float32],  # [1] points closer than this share the weight [m]
    chains: Chains,
    rows: Rows,
    hessian_out: wp.array4d[wp.float64],  # [frame, 4, column, column] added to
    gradient_out: wp.array3d[wp.float64],  # [frame, 2, column] added to
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Push points out of a surface, and the surface away from the points (Eq. 3)."""
    frame = first_frame + wp.tid()
    cost = wp.float64(0.0)
    press_scale = press[0] / (touching_share(distances, areas, frame, touching[0]) + 1.0e-4)
    for point in range(areas.shape[0]):
        depth = -distances[frame, point] - press[1]
        face = closest[frame, point]
        if depth > 0.0 and face >= 0 and press[0] > 0.0:
            push = wp.min(depth, DEEPEST)
            scale = wp.float64(press_scale * areas[point])
            normal = normals[frame, point]
            place = points[frame, point]
            count = add_point(rows, chains, body, frame, frame, 0, body_poses[frame], point, place, normal)
            if start >= 0:
                pose = poses[frame]
                surface = place - normal * distances[frame, point]
                offset = surface - wp.transform_get_translation(pose)
                count = add_root(rows, frame, 0, count, start, -point_derivative(pose, offset, normal))
                corners = wp.vec3i(faces[face, 0], faces[face, 1], faces[face, 2])
                corners = corners + wp.vec3i(first_vertex, first_vertex, first_vertex)
                weights = barycentrics[frame, point]
                count = add_face(rows, chains, frame, frame, 0, count, corners, weights, -normal)
            close_row(rows, frame, 0, count, scale, -wp.float64(push) * scale, hessian_out, gradient_out)
            cost += scale * wp.float64(push * (2.0 * depth - push))
    if cost > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, cost)


def accumulate_presses(
    points, body, body_poses, start, first_vertex, faces, poses, distances, normals, closest, barycentrics, areas,
    press, touching, chains, rows, *, hessian_out, gradient_out, cost_out,
):  # fmt: skip
    """Launch :func:`_accumulate_presses` over all frames."""
    launch_slabs(
        _accumulate_presses,
        dim=(cost_out.shape[0],),
        inputs=[
            points, body, body_poses, start, first_vertex, faces, poses, distances, normals, closest, barycentrics,
            areas, press, touching, chains, rows,
        ],
        outputs=[hessian_out, gradient_out, cost_out],
        device=cost_out.device,
    )  # fmt: skip
