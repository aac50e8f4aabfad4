"""Sliding: contacts stay where they are on the body they touch (the paper's III-C)."""

import warp as wp

from warpprior.kernels.contacts import Contacts, add_contact
from warpprior.kernels.link_blocks import add_carried_step
from warpprior.kernels.robust import log_one_plus
from warpprior.kernels.rows import ROWS, System, close_pair
from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False, "max_unroll": 1})

LEAST_SHARE = wp.constant(0.01)  # contacts less likely than this are not worth their rows


@wp.struct
class Slip:
    """What slip costs."""

    weight: wp.float32  # of a square [1/m^2]
    width: wp.float32  # slip beyond which it counts less and less, at the nominal frame rate [m]
    free_normal: wp.float32  # share of the motion along the normal that is not slip
    slide: wp.float32  # contacts whose mean slip over several frames is as large are half-way to sliding [m]
    deepest: wp.float32  # what lies deeper inside does not slide [m]
    drifting: wp.float32  # weight of what slides against what sticks


@wp.func
def slip_of(contacts: Contacts, slip: Slip, frame: int, point: int) -> wp.vec3:
    """How far a point moved on the object since the frame before, object frame [m]."""
    sample = contacts.frozen[frame, point]
    normal = wp.vec3(sample[0], sample[1], sample[2])
    move = contacts.places[frame, point] - contacts.places[frame - 1, point]
    return move - normal * (slip.free_normal * wp.dot(normal, move))


@wp.func
def add_slip(
    contacts: Contacts,
    slip: Slip,
    frame: int,
    point: int,
    pace: float,
    normal: wp.vec3,
    weight: wp.float64,
    pull: wp.vec3d,
) -> int:
    """Add a point's slip along all three axes to the sums of the links that carry it."""
    axes = (wp.identity(n=3, dtype=float) - wp.outer(normal, normal) * slip.free_normal) * pace
    turn = wp.quat_to_matrix(wp.transform_get_rotation(contacts.poses[frame]))
    past_turn = wp.quat_to_matrix(wp.transform_get_rotation(contacts.poses[frame - 1]))
    return add_carried_step(
        contacts.carriers,
        frame,
        point,
        contacts.body.barycentrics[point],
        contacts.points[frame, point],
        contacts.points[frame - 1, point],
        axes * wp.transpose(turn),
        axes * wp.transpose(past_turn) * -1.0,
        weight,
        pull,
    )


@wp.kernel
def _add_sliding(
    first_frame: int,
    contacts: Contacts,
    drifts: wp.array2d[wp.vec4],  # [frame, point] slip that is believed, object frame [m], and weight of the rest; held
    segments: wp.array[wp.int32],  # [frame]
    paces: wp.array[wp.float32],  # [frame] nominal time between frames over the true one since the frame before
    slip: wp.array[Slip],  # [1]
    system: System,
    lanes: int,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Slip between a frame and the one before, in object coordinates.  Weights and normals are held.

    Cauchy: points that pass by, as a hand does that comes to grasp, do not drag the object along.
    """
    slab_frame, lane = wp.tid()
    frame = first_frame + slab_frame
    if frame == 0 or slip[0].weight == 0.0:
        return
    if segments[frame - 1] != segments[frame]:
        return
    now = 2 * lane
    then = 2 * lane + 1
    width = slip[0].width
    pace = paces[frame]
    cost = wp.float64(0.0)
    slip_scale = slip[0].weight / (contacts.sums[frame, 1] + 1.0e-3)
    for point in range(lane, contacts.weights.shape[1], lanes):
        weight = wp.sqrt(contacts.weights[frame, point] * contacts.weights[frame - 1, point])
        if weight > LEAST_SHARE * contacts.areas[point]:
            sample = contacts.frozen[frame, point]
            normal = wp.vec3(sample[0], sample[1], sample[2])
            drift = drifts[frame, point]
            weight = weight * drift[3]
            move = slip_of(contacts, slip[0], frame, point) * pace - wp.vec3(drift[0], drift[1], drift[2])
            square = wp.dot(move, move) / (width * width)
            scale = wp.float64(slip_scale * weight / (1.0 + square))
            cost += wp.float64(slip_scale * weight * width * width) * log_one_plus(wp.float64(square))
            if contacts.carriers.on == 1 and system.mode == ROWS:
                add_slip(contacts, slip[0], frame, point, pace, normal, scale, wp.vec3d(move) * scale)
            else:
                for i in range(3):
                    axis = wp.vec3(0.0, 0.0, 0.0)
                    axis[i] = pace
                    axis = axis - normal * (slip[0].free_normal * normal[i] * pace)
                    pull = scale * wp.float64(move[i])
                    count = add_contact(system, contacts, frame, frame, now, point, axis, pull)
                    before_count = add_contact(system, contacts, frame, frame - 1, then, point, -axis, pull)
                    close_pair(system, frame, now, count, then, before_count, scale, pull)
    if cost > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, cost)


def add_sliding(contacts, drifts, segments, paces, slip, system, *, lanes, cost_out):
    """Launch :func:`_add_sliding` with ``lanes`` threads per frame sharing the points."""
    launch_slabs(
        _add_sliding,
        dim=(cost_out.shape[0], lanes),
        inputs=[contacts, drifts, segments, paces, slip, system, lanes],
        outputs=[cost_out],
        device=cost_out.device,
    )
