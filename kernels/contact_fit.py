"""Normal equations of contact, for Gauss-Newton.  Forward only.

Points of one body, which may bend, press on and stick to a rigid one whose signed distance is baked on a grid.  Either
may be known.
"""

import warp as wp

from warpprior.kernels.distance import grid_sample
from warpprior.kernels.robust import log_one_plus
from warpprior.kernels.rows import (
    BEFORE,
    Chains,
    PointBody,
    Rows,
    add_gradient,
    add_point,
    add_product,
    add_root,
    add_square,
    clear_row,
    close_row,
    point_derivative,
)
from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False})

LEAST_SHARE = wp.constant(0.01)  # contacts less likely than this are not worth their rows
DEEPEST = wp.constant(0.02)  # [m] beyond, the nearest surface may be the far side: the push no longer grows


@wp.kernel
def _weigh_contacts(
    points: wp.array2d[wp.vec3],  # [frame, point] camera frame
    areas: wp.array[wp.float32],  # [point] sums to one
    poses: wp.array[wp.transform],  # [frame] camera_from_object
    grid: wp.array3d[wp.float32],  # [x, y, z] signed distance [m]
    grid_origin: wp.vec3,
    grid_inverse_spacing: float,
    distance: wp.array[wp.float32],  # [1] contact weight is one half here [m]
    softness: wp.array[wp.float32],  # [1] [m]
    places_out: wp.array2d[wp.vec3],  # [frame, point] object frame
    samples_out: wp.array2d[wp.vec4],  # [frame, point] gradient and value of the signed distance
    weights_out: wp.array2d[wp.float32],  # [frame, point] area times contact weight
):
    """Where each point is on the object, how far from its surface, and how much it counts as a contact."""
    frame, point = wp.tid()
    place = wp.transform_point(wp.transform_inverse(poses[frame]), points[frame, point])
    sample = grid_sample(grid, grid_origin, grid_inverse_spacing, place)
    places_out[frame, point] = place
    samples_out[frame, point] = sample
    exponent = wp.clamp((sample[3] - distance[0]) / softness[0], -30.0, 30.0)
    weights_out[frame, point] = areas[point] / (1.0 + wp.exp(exponent))


def weigh_contacts(
    points, areas, poses, grid, grid_origin, grid_inverse_spacing, distance, softness,
    *, places_out, samples_out, weights_out,
):  # fmt: skip
    """Launch :func:`_weigh_contacts` over all frames and points."""
    wp.launch(
        _weigh_contacts,
        dim=weights_out.shape,
        inputs=[points, areas, poses, grid, grid_origin, grid_inverse_spacing, distance, softness],
        outputs=[places_out, samples_out, weights_out],
        device=weights_out.device,
    )


@wp.kernel
def _sum_weights(
    weights: wp.array2d[wp.float32],  # [frame, point]
    sums_out: wp.array2d[wp.float32],  # [frame, 2] of a frame, and of it together with the frame before
    touch_out: wp.array[wp.float32],  # [frame] the latter, added to
):
    """Total contact weight, to normalise by."""
    frame = wp.tid()
    alone = float(0.0)
    paired = float(0.0)
    for point in range(weights.shape[1]):
        weight = weights[frame, point]
        alone += weight
        if frame > 0:
            paired += wp.sqrt(weight * weights[frame - 1, point])
    sums_out[frame, 0] = alone
    sums_out[frame, 1] = paired
    touch_out[frame] = touch_out[frame] + paired


def sum_weights(weights, *, sums_out, touch_out):
    """Launch :func:`_sum_weights` over all frames; ``touch_out`` gathers the contacts with several bodies."""
    wp.launch(
        _sum_weights,
        dim=sums_out.shape[0],
        inputs=[weights],
        outputs=[sums_out, touch_out],
        device=sums_out.device,
    )


@wp.func
def add_place(
    rows: Rows,
    chains: Chains,
    body: PointBody,
    body_poses: wp.array[wp.transform],
    start: int,
    poses: wp.array[wp.transform],
    points: wp.array2d[wp.vec3],
    frame: int,  # whose rows these are
    moment: int,  # the frame that the point is in
    lane: int,
    point: int,
    axis: wp.vec3,
) -> int:
    """A row: how a point's place along ``axis``, both in the object's frame, depends on both bodies."""
    pose = poses[moment]
    place = points[moment, point]
    direction = wp.quat_rotate(wp.transform_get_rotation(pose), axis)
    count = add_point(rows, chains, body, frame, moment, lane, body_poses[moment], point, place, direction)
    if start >= 0:
        # The place of a point moves against the object.
        offset = place - wp.transform_get_translation(pose)
        count = add_root(rows, frame, lane, count, start, -point_derivative(pose, offset, direction))
    return count


@wp.kernel
def _accumulate_contacts(
    first_frame: int,
    points: wp.array2d[wp.vec3],  # [frame, point] camera frame
    body: PointBody,
    body_poses: wp.array[wp.transform],  # [frame] camera_from_body
    start: int,  # column of the object, -1 where its motion is known
    poses: wp.array[wp.transform],  # [frame] camera_from_object
    places: wp.array2d[wp.vec3],  # [frame, point] object frame
    samples: wp.array2d[wp.vec4],  # [frame, point]
    weights: wp.array2d[wp.float32],  # [frame, point]
    sums: wp.array2d[wp.float32],  # [frame, 2]
    areas: wp.array[wp.float32],  # [point]
    segments: wp.array[wp.int32],  # [frame]
    slip: wp.array[wp.float32],  # [3] weight [1/m^2], robust width [m], share of the normal direction that is free
    press: wp.array[wp.float32],  # [2] weight [1/m^2], allowance [m]
    chains: Chains,
    rows: Rows,
    lanes: int,
    hessian_out: wp.array4d[wp.float64],  # [frame, 4, column, column] added to
    gradient_out: wp.array3d[wp.float64],  # [frame, 2, column] added to
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Sticking between a frame and the one before (Eq. of sliding), and penetration (Eq. 3), in object coordinates."""
    slab_frame, lane = wp.tid()
    frame = first_frame + slab_frame
    now = 2 * lane
    then = 2 * lane + 1
    cost = wp.float64(0.0)
    joined = bool(False)
    before = int(frame)
    if frame > 0:
        joined = segments[frame - 1] == segments[frame]
        before = frame - 1
    press_scale = press[0] / (sums[frame, 0] + 1.0e-4)
    slip_scale = slip[0] / (sums[frame, 1] + 1.0e-3)
    for point in range(lane, weights.shape[1], lanes):
        sample = samples[frame, point]
        normal = wp.vec3(sample[0], sample[1], sample[2])
        depth = -sample[3] - press[1]
        if depth > 0.0 and press[0] > 0.0:
            push = wp.min(depth, DEEPEST)
            scale = wp.float64(press_scale * areas[point])
            count = add_place(rows, chains, body, body_poses, start, poses, points, frame, frame, now, point, normal)
            close_row(rows, frame, now, count, scale, -wp.float64(push) * scale, hessian_out, gradient_out)
            cost += scale * wp.float64(push * (2.0 * depth - push))
        if joined and slip[0] > 0.0:
            weight = wp.sqrt(weights[frame, point] * weights[before, point])
            if weight > LEAST_SHARE * areas[point]:
                move = places[frame, point] - places[before, point]
                move = move - normal * (slip[2] * wp.dot(normal, move))
                # Cauchy: points that pass by, as a hand does that comes to grasp, do not drag the object along.
                square = wp.dot(move, move) / (slip[1] * slip[1])
                scale = wp.float64(slip_scale * weight / (1.0 + square))
                cost += wp.float64(slip_scale * weight * slip[1] * slip[1]) * log_one_plus(wp.float64(square))
                for i in range(3):
                    axis = wp.vec3(0.0, 0.0, 0.0)
                    axis[i] = 1.0
                    axis = axis - normal * (slip[2] * normal[i])
                    residual = wp.float64(move[i])
                    count = add_place(
                        rows, chains, body, body_poses, start, poses, points, frame, frame, now, point, axis
                    )
                    before_count = add_place(
                        rows, chains, body, body_poses, start, poses, points, frame, before, then, point, -axis
                    )
                    add_product(rows, frame, now, count, then, before_count, scale, hessian_out)
                    close_row(rows, frame, now, count, scale, scale * residual, hessian_out, gradient_out)
                    add_square(rows, frame, then, before_count, scale, BEFORE, hessian_out)
                    add_gradient(rows, frame, then, before_count, scale * residual, 1, gradient_out)
                    clear_row(rows, frame, then, before_count)
    if cost > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, cost)


def accumulate_contacts(
    points, body, body_poses, start, poses, places, samples, weights, sums, areas, segments, slip, press, chains, rows,
    *, lanes, hessian_out, gradient_out, cost_out,
):  # fmt: skip
    """Launch :func:`_accumulate_contacts` with ``lanes`` threads per frame sharing the points."""
    launch_slabs(
        _accumulate_contacts,
        dim=(cost_out.shape[0], lanes),
        inputs=[
            points, body, body_poses, start, poses, places, samples, weights, sums, areas, segments, slip, press,
            chains, rows, lanes,
        ],
        outputs=[hessian_out, gradient_out, cost_out],
        device=cost_out.device,
    )  # fmt: skip
