"""Penetration (Eq. 3): points of one body stay out of another, be it rigid or a surface that bends.

One residual, the depth beyond what soft contact excuses, with two ways to look it up.
"""

import warp as wp

from warpprior.kernels.contacts import DEEPEST, Contacts, add_distance
from warpprior.kernels.rows import PointBody, System, add_carried, add_entry, add_face, add_point, close_row
from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False})


@wp.struct
class Push:
    """What depth costs."""

    weight: wp.float32  # of a square [1/m^2]
    allowance: wp.float32  # depth that costs nothing [m]
    estimated: wp.int32  # 1: more than that may cost nothing, and how much is an unknown
    column: wp.int32  # of that unknown
    touching: wp.float32  # points closer than this share the weight, on a surface that bends [m]


@wp.struct
class BentSurface:
    """Points of one body, and where they are nearest to the surface of another that bends."""

    points: wp.array(dtype=wp.vec3, ndim=2)  # [frame, point] camera frame
    areas: wp.array(dtype=wp.float32)  # [point]
    body: PointBody  # whose points these are
    body_poses: wp.array(dtype=wp.transform)  # [frame]
    start: wp.int32  # column of the root of the body with the surface
    first_vertex: wp.int32  # of that body
    faces: wp.array(dtype=wp.int32, ndim=2)  # [face, 3] of that body
    poses: wp.array(dtype=wp.transform)  # [frame] of that body
    distances: wp.array(dtype=wp.float32, ndim=2)  # [frame, point] signed distance
    normals: wp.array(dtype=wp.vec3, ndim=2)  # [frame, point] outward
    closest: wp.array(dtype=wp.int32, ndim=2)  # [frame, point] face, -1 for none
    barycentrics: wp.array(dtype=wp.vec3, ndim=2)  # [frame, point] closest point on it
    shares: wp.array(dtype=wp.float32)  # [frame] of the points' surface that touches, as last taken


@wp.func
def allowed(push: Push, beyond: wp.array(dtype=wp.float32), segment: int) -> float:
    """Depth that costs nothing [m]; ``beyond`` [segment] is how much more than usual, where that is estimated."""
    if push.estimated == 1:
        return push.allowance + beyond[segment]
    return push.allowance


@wp.func
def push_of(depth: float) -> float:
    """The residual [m]: the depth beyond the allowance, cut where the nearest surface may be the far side."""
    return wp.min(depth, DEEPEST)


@wp.func
def push_cost(depth: float, push: float) -> float:
    """Its cost: a square, going on as a line where it was cut [m^2]."""
    return push * (2.0 * depth - push)


@wp.kernel
def _add_penetration(
    first_frame: int,
    contacts: Contacts,
    push: wp.array[Push],  # [1]
    beyond: wp.array[wp.float32],  # [segment] see allowed
    segments: wp.array[wp.int32],  # [frame]
    system: System,
    lanes: int,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Points inside a rigid body, averaged over what is in contact."""
    slab_frame, lane = wp.tid()
    frame = first_frame + slab_frame
    if push[0].weight == 0.0:
        return
    cost = wp.float64(0.0)
    push_scale = push[0].weight / (contacts.sums[frame, 0] + 1.0e-4)
    allowance = allowed(push[0], beyond, segments[frame])
    for point in range(lane, contacts.weights.shape[1], lanes):
        sample = contacts.samples[frame, point]
        depth = -sample[3] - allowance
        if depth > 0.0:
            residual = push_of(depth)
            scale = wp.float64(push_scale * contacts.areas[point])
            pull = -wp.float64(residual) * scale
            count = add_distance(system, contacts, frame, 2 * lane, point, pull)
            if push[0].estimated == 1:  # the row is minus the derivative of the depth
                count = add_entry(system, frame, frame, 2 * lane, count, push[0].column, 1.0, pull)
            close_row(system, frame, 2 * lane, count, scale, pull)
            cost += scale * wp.float64(push_cost(depth, residual))
    if cost > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, cost)


def add_penetration(contacts, push, segments, system, *, lanes, cost_out, beyond=None):
    """Launch :func:`_add_penetration` with ``lanes`` threads per frame sharing the points."""
    launch_slabs(
        _add_penetration,
        dim=(cost_out.shape[0], lanes),
        inputs=[contacts, push, beyond, segments, system, lanes],
        outputs=[cost_out],
        device=cost_out.device,
    )


@wp.func
def touching_share(bent: BentSurface, frame: int, distance: float) -> float:
    """Share of the points' surface that is closer than ``distance``."""
    total = float(0.0)
    for point in range(bent.areas.shape[0]):
        if bent.distances[frame, point] < distance:
            total += bent.areas[point]
    return total


@wp.func
def add_surface(
    system: System,
    bent: BentSurface,
    frame: int,
    lane: int,
    count: int,
    face: int,
    point: int,
    surface: wp.vec3,
    normal: wp.vec3,
    pull: wp.float64,
) -> int:
    """Add how the closest point of the surface moves against ``normal``."""
    total = add_carried(system, frame, frame, lane, count, bent.start, bent.poses[frame], surface, -normal, pull)
    corners = wp.vec3i(bent.faces[face, 0], bent.faces[face, 1], bent.faces[face, 2])
    corners = corners + wp.vec3i(bent.first_vertex, bent.first_vertex, bent.first_vertex)
    return add_face(system, frame, frame, lane, total, corners, bent.barycentrics[frame, point], -normal, pull)


@wp.kernel
def _add_bent_penetration(
    first_frame: int,
    bent: BentSurface,
    push: wp.array[Push],  # [1]
    hold_shares: int,  # 1: divide by what touched when that was last taken
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Push points out of a surface that bends, and the surface away from the points."""
    frame = first_frame + wp.tid()
    if push[0].weight == 0.0:
        return
    cost = wp.float64(0.0)
    if hold_shares == 0:
        bent.shares[frame] = touching_share(bent, frame, push[0].touching)
    push_scale = push[0].weight / (bent.shares[frame] + 1.0e-4)
    for point in range(bent.areas.shape[0]):
        depth = -bent.distances[frame, point] - push[0].allowance
        face = bent.closest[frame, point]
        if depth > 0.0 and face >= 0:
            residual = push_of(depth)
            scale = wp.float64(push_scale * bent.areas[point])
            pull = -wp.float64(residual) * scale
            normal = bent.normals[frame, point]
            place = bent.points[frame, point]
            count = add_point(system, bent.body, frame, frame, 0, bent.body_poses[frame], point, place, normal, pull)
            if bent.start >= 0:
                surface = place - normal * bent.distances[frame, point]
                count = add_surface(system, bent, frame, 0, count, face, point, surface, normal, pull)
            close_row(system, frame, 0, count, scale, pull)
            cost += scale * wp.float64(push_cost(depth, residual))
    if cost > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, cost)


def add_bent_penetration(bent, push, system, *, hold_shares=0, cost_out):
    """Launch :func:`_add_bent_penetration` over all frames."""
    launch_slabs(
        _add_bent_penetration,
        dim=(cost_out.shape[0],),
        inputs=[bent, push, hold_shares, system],
        outputs=[cost_out],
        device=cost_out.device,
    )
