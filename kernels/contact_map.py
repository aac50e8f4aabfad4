"""Contact maps: places of one body are as near to another's surface as a map has it, and face it as it says.

Distances are compared, not contact values: those hardly change where a hand is far from what it shall touch.
"""

import warp as wp

from warpprior.kernels.contacts import Contacts, add_distance
from warpprior.kernels.penetration import BentSurface, add_surface
from warpprior.kernels.robust import log_one_plus, trust_of
from warpprior.kernels.rows import (
    GRADIENT,
    PointBody,
    System,
    add_carried,
    add_face,
    add_point,
    add_root,
    add_share,
    close_row,
    vec6d,
)
from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False})


@wp.struct
class Miss:
    """What it costs to be nearer or farther than a map has it."""

    weight: wp.float32  # of the mean of squares [1/m^2]
    width: wp.float32  # what is off by more counts less and less [m]
    missing: wp.float32  # factor of the weight of places that are too far away
    touching: wp.float32  # places that are to be nearer than this are to touch [m]
    growth: wp.float32  # by how much sigma grows, as a share, per metre of the distance that is wanted [1/m]
    facing: wp.float32  # weight of the mean of squares of differences of normals


@wp.struct
class Wanted:
    """A map: what is wanted of each place of a body."""

    distances: wp.array(dtype=wp.float32, ndim=2)  # [frame, place] [m]; those up to ``touching`` are contact
    normals: wp.array(dtype=wp.vec3, ndim=2)  # [frame, place] of the body, in the frame of the other; zero: not told
    shares: wp.array(dtype=wp.float32, ndim=2)  # [frame, place] sum to one where anything is told; 0: not told


@wp.struct
class Joined:
    """Places of two bodies, each of which is to touch one of the other."""

    points: wp.array(dtype=wp.vec3, ndim=2)  # [frame, place] camera frame
    body: PointBody
    body_poses: wp.array(dtype=wp.transform)  # [frame]
    other_points: wp.array(dtype=wp.vec3, ndim=2)  # [frame, place] camera frame
    other: PointBody
    other_poses: wp.array(dtype=wp.transform)  # [frame]
    shares: wp.array(dtype=wp.float32, ndim=2)  # [frame, place] sum to one where anything is told


@wp.func
def miss_of(distance: float, wanted: float, touching: float) -> float:
    """The residual [m]: what is to touch is not too near, for penetration is no affair of a map."""
    if wanted <= touching:
        return wp.max(distance - touching, 0.0)
    return distance - wanted


@wp.func
def miss_weight(miss: Miss, residual: float, wanted: float, share: float) -> float:
    """Weight of its square [1/m^2]: distances are known the less the larger they are."""
    spread = 1.0 + miss.growth * wp.max(wanted, 0.0)
    weight = share * miss.weight / (spread * spread)
    if residual > 0.0:
        weight = weight * miss.missing
    return weight


@wp.func
def cut_cost(residual: float, width: float) -> wp.float64:
    """Cost of a residual of weight one [m^2]."""
    scale = wp.float64(width * width)
    return scale * log_one_plus(wp.float64(residual) * wp.float64(residual) / scale)


@wp.kernel
def _add_rigid_map(
    first_frame: int,
    contacts: Contacts,  # the places, and the rigid body that they are to be near to
    wanted: Wanted,
    miss: wp.array[Miss],  # [1]
    system: System,
    lanes: int,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Places of a body at a rigid one."""
    slab_frame, lane = wp.tid()
    frame = first_frame + slab_frame
    cost = wp.float64(0.0)
    for point in range(lane, contacts.samples.shape[1], lanes):
        share = wanted.shares[frame, point]
        if share > 0.0:
            target = wanted.distances[frame, point]
            residual = miss_of(contacts.samples[frame, point][3], target, miss[0].touching)
            if residual != 0.0:
                full = miss_weight(miss[0], residual, target, share)
                weight = wp.float64(full * trust_of(residual, miss[0].width))
                pull = weight * wp.float64(residual)
                count = add_distance(system, contacts, frame, 2 * lane, point, pull)
                close_row(system, frame, 2 * lane, count, weight, pull)
                cost += wp.float64(full) * cut_cost(residual, miss[0].width)
    if cost > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, cost)


def add_rigid_map(contacts, wanted, miss, system, *, lanes, cost_out):
    """Launch :func:`_add_rigid_map` with ``lanes`` threads per frame sharing the places."""
    launch_slabs(
        _add_rigid_map,
        dim=(cost_out.shape[0], lanes),
        inputs=[contacts, wanted, miss, system, lanes],
        outputs=[cost_out],
        device=cost_out.device,
    )


@wp.kernel
def _add_bent_map(
    first_frame: int,
    bent: BentSurface,  # the places, and the surface that they are to be near to
    wanted: Wanted,
    miss: wp.array[Miss],  # [1]
    system: System,
    lanes: int,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Places of a body at a surface that bends; those beyond the reach of its look-up cost as much as at it."""
    slab_frame, lane = wp.tid()
    frame = first_frame + slab_frame
    cost = wp.float64(0.0)
    for point in range(lane, bent.distances.shape[1], lanes):
        share = wanted.shares[frame, point]
        face = bent.closest[frame, point]
        if share > 0.0:
            target = wanted.distances[frame, point]
            distance = bent.distances[frame, point]  # the reach where nothing is nearer
            residual = miss_of(distance, target, miss[0].touching)
            if face < 0:
                residual = wp.max(residual, 0.0)  # so far away, or farther
            if residual != 0.0:
                full = miss_weight(miss[0], residual, target, share)
                cost += wp.float64(full) * cut_cost(residual, miss[0].width)
                if face >= 0:
                    weight = wp.float64(full * trust_of(residual, miss[0].width))
                    pull = weight * wp.float64(residual)
                    normal = bent.normals[frame, point]
                    place = bent.points[frame, point]
                    own, pose = 2 * lane, bent.body_poses[frame]
                    count = add_point(system, bent.body, frame, frame, own, pose, point, place, normal, pull)
                    if bent.start >= 0:
                        surface = place - normal * distance
                        count = add_surface(system, bent, frame, own, count, face, point, surface, normal, pull)
                    close_row(system, frame, own, count, weight, pull)
    if cost > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, cost)


def add_bent_map(bent, wanted, miss, system, *, lanes, cost_out):
    """Launch :func:`_add_bent_map` with ``lanes`` threads per frame sharing the places."""
    launch_slabs(
        _add_bent_map,
        dim=(cost_out.shape[0], lanes),
        inputs=[bent, wanted, miss, system, lanes],
        outputs=[cost_out],
        device=cost_out.device,
    )


@wp.func
def corner_pull(one: wp.vec3, two: wp.vec3, three: wp.vec3, normal: wp.vec3, length: float, axis: wp.vec3) -> wp.vec3:
    """Derivative of ``dot(axis, normal)`` of a triangle by its first corner; ``length`` is twice its area."""
    along = (axis - normal * wp.dot(normal, axis)) / length
    return wp.cross(two - three, along)


@wp.func
def turning(spin: wp.vec3) -> vec6d:
    """Derivative by a root of what its position does not move."""
    zero = wp.float64(0.0)
    return vec6d(zero, zero, zero, wp.float64(spin[0]), wp.float64(spin[1]), wp.float64(spin[2]))


@wp.kernel
def _add_facing(
    first_frame: int,
    vertices: wp.array2d[wp.vec3],  # [frame, vertex] of all estimated bodies, camera frame
    body: PointBody,  # whose faces these are; estimated
    body_poses: wp.array[wp.transform],  # [frame]
    other_start: int,  # column of the other body's root, -1 to hold it
    other_poses: wp.array[wp.transform],  # [frame]
    wanted: Wanted,
    miss: wp.array[Miss],  # [1]
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Normals of faces, in the frame of the other body, are those of the map."""
    frame = first_frame + wp.tid()
    if miss[0].facing == 0.0:
        return
    cost = wp.float64(0.0)
    turn = wp.transform_get_rotation(other_poses[frame])
    own_turn = wp.transform_get_rotation(body_poses[frame])
    for point in range(wanted.normals.shape[1]):
        share = wanted.shares[frame, point]
        target = wanted.normals[frame, point]
        if share > 0.0 and wp.length_sq(target) > 0.25:
            corners = body.corners[point]
            one = vertices[frame, corners[0]]
            two = vertices[frame, corners[1]]
            three = vertices[frame, corners[2]]
            area = wp.cross(two - one, three - one)
            length = wp.length(area)
            if length > 1.0e-12:
                normal = area / length
                weight = wp.float64(share * miss[0].facing)
                difference = wp.quat_rotate_inv(turn, normal) - target
                for i in range(3):
                    axis = wp.quat_rotate(turn, wp.vec3(float(i == 0), float(i == 1), float(i == 2)))
                    pull = weight * wp.float64(difference[i])
                    count = int(0)
                    if system.mode != GRADIENT:  # the gradient by the corners holds the root's
                        spin = wp.quat_rotate_inv(own_turn, wp.cross(normal, axis))
                        count = add_root(system, frame, frame, 0, count, body.start, turning(spin), pull)
                    pulls = corner_pull(one, two, three, normal, length, axis)
                    count = add_share(system, frame, frame, 0, count, corners[0], pulls, 1.0, pull)
                    pulls = corner_pull(two, three, one, normal, length, axis)
                    count = add_share(system, frame, frame, 0, count, corners[1], pulls, 1.0, pull)
                    pulls = corner_pull(three, one, two, normal, length, axis)
                    count = add_share(system, frame, frame, 0, count, corners[2], pulls, 1.0, pull)
                    if other_start >= 0:
                        spin = -wp.quat_rotate_inv(turn, wp.cross(normal, axis))
                        count = add_root(system, frame, frame, 0, count, other_start, turning(spin), pull)
                    close_row(system, frame, 0, count, weight, pull)
                    cost += pull * wp.float64(difference[i])
    if cost > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, cost)


def add_facing(vertices, body, body_poses, other_start, other_poses, wanted, miss, system, *, cost_out):
    """Launch :func:`_add_facing` over all frames."""
    launch_slabs(
        _add_facing,
        dim=(cost_out.shape[0],),
        inputs=[vertices, body, body_poses, other_start, other_poses, wanted, miss, system],
        outputs=[cost_out],
        device=cost_out.device,
    )


@wp.kernel
def _add_joined(
    first_frame: int,
    joined: Joined,
    miss: wp.array[Miss],  # [1]
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Places that are to touch each other come together."""
    frame = first_frame + wp.tid()
    cost = wp.float64(0.0)
    for point in range(joined.points.shape[1]):
        share = joined.shares[frame, point]
        if share > 0.0:
            place = joined.points[frame, point]
            other = joined.other_points[frame, point]
            apart = place - other
            distance = wp.length(apart)
            full = share * miss[0].weight
            weight = wp.float64(full * trust_of(distance, miss[0].width))
            for i in range(3):
                axis = wp.vec3(float(i == 0), float(i == 1), float(i == 2))
                pull = weight * wp.float64(apart[i])
                pose = joined.body_poses[frame]
                count = add_point(system, joined.body, frame, frame, 0, pose, point, place, axis, pull)
                if joined.other.start >= 0:
                    start = joined.other.start
                    carrier = joined.other_poses[frame]
                    count = add_carried(system, frame, frame, 0, count, start, carrier, other, -axis, pull)
                    corners = joined.other.corners[point]
                    barycentrics = joined.other.barycentrics[point]
                    count = add_face(system, frame, frame, 0, count, corners, barycentrics, -axis, pull)
                close_row(system, frame, 0, count, weight, pull)
            cost += wp.float64(full) * cut_cost(distance, miss[0].width)
    if cost > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, cost)


def add_joined(joined, miss, system, *, cost_out):
    """Launch :func:`_add_joined` over all frames."""
    launch_slabs(
        _add_joined,
        dim=(cost_out.shape[0],),
        inputs=[joined, miss, system],
        outputs=[cost_out],
        device=cost_out.device,
    )
