"""Points of one body near a rigid one whose signed distance is baked on a grid: places, distances, contact weights.

What sliding, penetration and rest read.  Forward only.
"""

import warp as wp

from warpprior.kernels.distance import grid_sample
from warpprior.kernels.link_blocks import Carriers
from warpprior.kernels.rows import (
    PointBody,
    System,
    add_entry,
    add_point,
    add_root,
    point_derivative,
)
from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False})

DEEPEST = wp.constant(0.02)  # [m] beyond, the nearest surface may be the far side: the push no longer grows


@wp.struct
class Reach:
    """From where on points count as contacts."""

    distance: wp.float32  # the weight is one half here [m]
    softness: wp.float32  # how gradually they begin to [m]


@wp.struct
class Contacts:
    """Points of one body, which may bend, and a rigid one; either may be known."""

    points: wp.array(dtype=wp.vec3, ndim=2)  # [frame, point] camera frame
    areas: wp.array(dtype=wp.float32)  # [point] sums to one
    body: PointBody  # whose points these are
    body_poses: wp.array(dtype=wp.transform)  # [frame] camera_from_body
    start: wp.int32  # column of the rigid body's root, -1 where its motion is known
    sized: wp.int32  # 1: its size is an unknown
    size_column: wp.int32  # of the logarithm of that
    poses: wp.array(dtype=wp.transform)  # [frame] camera_from_object, of the rigid body
    places: wp.array(dtype=wp.vec3, ndim=2)  # [frame, point] object frame
    samples: wp.array(dtype=wp.vec4, ndim=2)  # [frame, point] gradient and value of the signed distance
    frozen: wp.array(dtype=wp.vec4, ndim=2)  # [frame, point] the same, where weights were last taken
    weights: wp.array(dtype=wp.float32, ndim=2)  # [frame, point] area times contact weight
    sums: wp.array(dtype=wp.float32, ndim=2)  # [frame, 2] of the weights, and of them with those of the frame before
    carriers: Carriers  # which links carry the points


@wp.kernel
def _weigh_contacts(
    first_frame: int,
    points: wp.array2d[wp.vec3],  # [frame, point] camera frame
    areas: wp.array[wp.float32],  # [point] sums to one
    poses: wp.array[wp.transform],  # [frame] camera_from_object
    grid: wp.array3d[wp.float32],  # [x, y, z] signed distance [m]
    grid_origin: wp.vec3,
    grid_inverse_spacing: float,
    factor: wp.array[wp.float32],  # [1] the object is as many times as large as the grid has it
    reach: wp.array[Reach],  # [1]
    hold_weights: int,  # 1: leave the weights as they are
    places_out: wp.array2d[wp.vec3],  # [frame, point] object frame
    samples_out: wp.array2d[wp.vec4],  # [frame, point] gradient and value of the signed distance
    weights_out: wp.array2d[wp.float32],  # [frame, point] area times contact weight
):
    """Where each point is on the object, how far from its surface, and how much it counts as a contact."""
    slab_frame, point = wp.tid()
    frame = first_frame + slab_frame
    place = wp.transform_point(wp.transform_inverse(poses[frame]), points[frame, point])
    sample = grid_sample(grid, grid_origin, grid_inverse_spacing, place / factor[0])
    sample[3] = sample[3] * factor[0]
    places_out[frame, point] = place
    samples_out[frame, point] = sample
    if hold_weights == 1:
        return
    exponent = wp.clamp((sample[3] - reach[0].distance) / reach[0].softness, -30.0, 30.0)
    weights_out[frame, point] = areas[point] / (1.0 + wp.exp(exponent))


def weigh_contacts(
    points, areas, poses, grid, grid_origin, grid_inverse_spacing, factor, reach, hold_weights,
    *, places_out, samples_out, weights_out,
):  # fmt: skip
    """Launch :func:`_weigh_contacts` over all frames and points."""
    launch_slabs(
        _weigh_contacts,
        dim=weights_out.shape,
        inputs=[points, areas, poses, grid, grid_origin, grid_inverse_spacing, factor, reach, hold_weights],
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
        record_tape=False,
    )


@wp.func
def add_contact(
    system: System,
    contacts: Contacts,
    frame: int,  # whose rows these are
    moment: int,  # the frame that the point is in
    lane: int,
    point: int,
    axis: wp.vec3,
    pull: wp.float64,
) -> int:
    """Begin a row: how a point's place along ``axis``, both in the object's frame, depends on both bodies."""
    pose = contacts.poses[moment]
    place = contacts.points[moment, point]
    direction = wp.quat_rotate(wp.transform_get_rotation(pose), axis)
    count = add_point(
        system, contacts.body, frame, moment, lane, contacts.body_poses[moment], point, place, direction, pull
    )
    if contacts.start >= 0:
        # The place of a point moves against the object.
        offset = place - wp.transform_get_translation(pose)
        derivative = -point_derivative(pose, offset, direction)
        count = add_root(system, frame, moment, lane, count, contacts.start, derivative, pull)
    if contacts.sized == 1:
        # The object goes away as it grows.
        away = -wp.dot(direction, wp.transform_get_translation(pose))
        count = add_entry(system, frame, moment, lane, count, contacts.size_column, away, pull)
    return count


@wp.func
def add_distance(
    system: System,
    contacts: Contacts,
    frame: int,
    lane: int,
    point: int,
    pull: wp.float64,
) -> int:
    """Begin a row: how the distance of a point to the object's surface depends on both bodies, and on its size."""
    sample = contacts.samples[frame, point]
    normal = wp.vec3(sample[0], sample[1], sample[2])
    count = add_contact(system, contacts, frame, frame, lane, point, normal, pull)
    if contacts.sized == 1:
        # Of a surface that grows, distances are those of the point that comes nearer to its origin, times the factor.
        grown = sample[3] - wp.dot(normal, contacts.places[frame, point])
        count = add_entry(system, frame, frame, lane, count, contacts.size_column, grown, pull)
    return count
