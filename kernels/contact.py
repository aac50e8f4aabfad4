"""Contact between points of one body and the distance grids of another: weights, penetration, sliding, contact value.

``points`` are in the camera frame [m].  The touched body's parts are placed by ``camera_from_link``; a rigid body is
one part, and the distance to several parts is the least over them.  Values go to ``rows_out[row, frame]``, added to
what is there.  Gradients flow to the points and to the transforms; which part is nearest, contact weights and contact
normals are frozen.
"""

import warp as wp

from warpprior.kernels.distance import GridSet, grid_distance, grid_sample


@wp.func
def huber(x: float, knee: float) -> float:
    """``x^2 / 2`` up to the knee, linear beyond; for x >= 0."""
    if x < knee:
        return 0.5 * x * x
    return knee * (x - 0.5 * knee)


@wp.func
def huber_of_square(square: float, knee: float) -> float:
    """:func:`huber` of ``sqrt(square)``, with a finite gradient at zero."""
    if square < knee * knee:
        return 0.5 * square
    return knee * (wp.sqrt(square) - 0.5 * knee)


@wp.func
def to_link(camera_from_link: wp.transform, position: wp.vec3) -> wp.vec3:
    """A camera-frame position in the link's frame."""
    offset = position - wp.transform_get_translation(camera_from_link)
    return wp.quat_rotate_inv(wp.transform_get_rotation(camera_from_link), offset)


@wp.func
def nearest_grid(
    grids: GridSet,
    camera_from_link: wp.array2d[wp.transform],
    frame: int,
    position: wp.vec3,
) -> int:
    """Index of the grid whose part is nearest to a camera-frame position, or deepest around it; frozen."""
    nearest = int(0)
    if grids.links.shape[0] == 1:
        return nearest
    least = float(1.0e9)
    for grid in range(grids.links.shape[0]):
        local = to_link(camera_from_link[frame, grids.links[grid]], position)
        distance = grid_distance(grids.values[grid], grids.origins[grid], grids.inverse_spacings[grid], local)
        if distance < least:
            least = distance
            nearest = grid
    return nearest


@wp.func_grad(nearest_grid)
def adj_nearest_grid(
    grids: GridSet,
    camera_from_link: wp.array2d[wp.transform],
    frame: int,
    position: wp.vec3,
    adj_ret: int,
):
    # Which part is nearest is piecewise constant.
    pass


@wp.func
def signed_distance(
    grids: GridSet,
    camera_from_link: wp.array2d[wp.transform],
    frame: int,
    position: wp.vec3,
) -> float:
    """Signed distance [m] of a camera-frame position to the body; differentiable in position and transforms."""
    grid = nearest_grid(grids, camera_from_link, frame, position)
    local = to_link(camera_from_link[frame, grids.links[grid]], position)
    return grid_distance(grids.values[grid], grids.origins[grid], grids.inverse_spacings[grid], local)


@wp.kernel
def _measure_contact_value(
    points: wp.array2d[wp.vec3],  # [frame, point]
    camera_from_link: wp.array2d[wp.transform],  # [frame, link]
    grids: GridSet,
    reference_m: float,
    # outputs:
    value_out: wp.array2d[wp.float32],  # [frame, point]
):
    """One point at one frame: contact value ``s0 / max(phi, s0)`` in (0, 1], 1 on the surface and inside it."""
    frame, point = wp.tid()
    distance = signed_distance(grids, camera_from_link, frame, points[frame, point])
    value_out[frame, point] = reference_m / wp.max(distance, reference_m)


def measure_contact_value(points, camera_from_link, grids, reference_m, *, value_out):
    """Contact value of moving points; ``reference_m`` is the distance s0 below which it is 1 (1 mm in ContactOpt)."""
    wp.launch(
        _measure_contact_value,
        dim=value_out.shape,
        inputs=[points, camera_from_link, grids, reference_m],
        outputs=[value_out],
        device=value_out.device,
    )


@wp.kernel
def _add_penetration(
    points: wp.array2d[wp.vec3],  # [frame, point]
    camera_from_link: wp.array2d[wp.transform],  # [frame, link]
    grids: GridSet,
    areas: wp.array[wp.float32],  # [point] shares of the surface
    sigma: wp.array[wp.float32],  # [1] [m]
    allowance: float,
    knee: float,
    cap: float,
    row: int,
    # outputs:
    rows_out: wp.array2d[wp.float32],  # [term, frame]
):
    """One point at one frame: ``a huber(cap tanh(d / cap) / sigma)`` with ``d = max(0, -phi - allowance)``.

    Eq. 3 with the sign it needs.  The cap bounds what a point deep inside can do, where the nearest way out may flip.
    """
    frame, point = wp.tid()
    depth = -signed_distance(grids, camera_from_link, frame, points[frame, point]) - allowance
    if depth > 0.0:
        x = cap * wp.tanh(depth / cap) / sigma[0]
        wp.atomic_add(rows_out, row, frame, areas[point] * huber(x, knee))


def add_penetration(points, camera_from_link, grids, areas, *, sigma, allowance, knee, cap, row, rows_out):
    """Add each frame's penetration, averaged over the surface, in units of sigma squared."""
    wp.launch(
        _add_penetration,
        dim=points.shape,
        inputs=[points, camera_from_link, grids, areas, sigma, allowance, knee, cap, row],
        outputs=[rows_out],
        device=rows_out.device,
    )


@wp.kernel
def _add_penetration_literal(
    points: wp.array2d[wp.vec3],  # [frame, point]
    camera_from_link: wp.array2d[wp.transform],  # [frame, link]
    grids: GridSet,
    row: int,
    # outputs:
    rows_out: wp.array2d[wp.float32],  # [term, frame] [m]
):
    """One point at one frame: ``max(0, -phi)`` [m], Eq. 3 as printed but for its sign."""
    frame, point = wp.tid()
    distance = signed_distance(grids, camera_from_link, frame, points[frame, point])
    if distance < 0.0:
        wp.atomic_add(rows_out, row, frame, -distance)


def add_penetration_literal(points, camera_from_link, grids, *, row, rows_out):
    """Add each frame's sum of penetration depths [m]."""
    wp.launch(
        _add_penetration_literal,
        dim=points.shape,
        inputs=[points, camera_from_link, grids, row],
        outputs=[rows_out],
        device=rows_out.device,
    )


@wp.kernel(enable_backward=False)
def _weigh_contacts(
    points: wp.array2d[wp.vec3],  # [frame, point]
    camera_from_link: wp.array2d[wp.transform],  # [frame, link]
    grids: GridSet,
    contact_distance: wp.array[wp.float32],  # [1] tau [m]
    softness: wp.array[wp.float32],  # [1] eta [m]
    # outputs:
    distance_out: wp.array2d[wp.float32],  # [frame, point] [m]
    normal_out: wp.array2d[wp.vec3],  # [frame, point] in the frame of the nearest part
    grid_out: wp.array2d[wp.int32],  # [frame, point] nearest part
    weight_out: wp.array2d[wp.float32],  # [frame, point] last time's in, this time's out
):
    """One point at one frame: soft contact weight ``sigmoid((tau - phi) / eta)``, switched with hysteresis.

    A point comes into contact below ``tau - eta`` and leaves it above ``tau + 2 eta``; out of contact it weighs zero.
    """
    frame, point = wp.tid()
    position = points[frame, point]
    grid = nearest_grid(grids, camera_from_link, frame, position)
    local = to_link(camera_from_link[frame, grids.links[grid]], position)
    sample = grid_sample(grids.values[grid], grids.origins[grid], grids.inverse_spacings[grid], local)
    distance = sample[3]
    margin = contact_distance[0] - distance
    weight = 1.0 / (1.0 + wp.exp(-wp.clamp(margin / softness[0], -30.0, 30.0)))
    touching = weight_out[frame, point] > 0.0
    if margin > softness[0]:
        touching = True
    if margin < -2.0 * softness[0]:
        touching = False
    distance_out[frame, point] = distance
    normal_out[frame, point] = wp.normalize(wp.vec3(sample[0], sample[1], sample[2]))
    grid_out[frame, point] = grid
    weight_out[frame, point] = wp.where(touching, weight, 0.0)


def weigh_contacts(
    points, camera_from_link, grids, *, contact_distance, softness, distance_out, normal_out, grid_out, weight_out
):
    """Refresh what is in contact; ``weight_out`` remembers and must start at zero.  Forward only."""
    wp.launch(
        _weigh_contacts,
        dim=weight_out.shape,
        inputs=[points, camera_from_link, grids, contact_distance, softness],
        outputs=[distance_out, normal_out, grid_out, weight_out],
        device=weight_out.device,
    )


@wp.kernel(enable_backward=False)
def _pair_contacts(
    weight: wp.array2d[wp.float32],  # [frame, point]
    normal: wp.array2d[wp.vec3],  # [frame, point]
    grid: wp.array2d[wp.int32],  # [frame, point]
    areas: wp.array[wp.float32],  # [point]
    segment: wp.array[wp.int32],  # [frame] frames of one sequence share a number
    # outputs:
    pair_weight_out: wp.array2d[wp.float32],  # [frame, point]
    pair_normal_out: wp.array2d[wp.vec3],  # [frame, point]
    total_out: wp.array[wp.float32],  # [frame] sum of the pair weights, zero before
):
    """One point at one frame: area share times the weights of this and the previous frame, and their mean normal."""
    frame, point = wp.tid()
    pair_weight = float(0.0)
    direction = wp.vec3(0.0, 0.0, 0.0)
    if frame > 0:
        if segment[frame] == segment[frame - 1] and grid[frame, point] == grid[frame - 1, point]:
            pair_weight = areas[point] * weight[frame, point] * weight[frame - 1, point]
            direction = wp.normalize(normal[frame, point] + normal[frame - 1, point])
    pair_weight_out[frame, point] = pair_weight
    pair_normal_out[frame, point] = direction
    if pair_weight > 0.0:
        wp.atomic_add(total_out, frame, pair_weight)


def pair_contacts(weight, normal, grid, areas, segment, *, pair_weight_out, pair_normal_out, total_out):
    """Contacts shared by consecutive frames of a sequence; ``total_out`` must be zero before.  Forward only."""
    wp.launch(
        _pair_contacts,
        dim=pair_weight_out.shape,
        inputs=[weight, normal, grid, areas, segment],
        outputs=[pair_weight_out, pair_normal_out, total_out],
        device=pair_weight_out.device,
    )


@wp.kernel
def _add_sliding(
    points: wp.array2d[wp.vec3],  # [frame, point]
    camera_from_link: wp.array2d[wp.transform],  # [frame, link]
    links: wp.array[wp.int32],  # [grid]
    grid: wp.array2d[wp.int32],  # [frame, point]
    pair_weight: wp.array2d[wp.float32],  # [frame, point]
    pair_normal: wp.array2d[wp.vec3],  # [frame, point]
    total: wp.array[wp.float32],  # [frame]
    sigma: wp.array[wp.float32],  # [1] [m]
    knee: float,
    area_floor: float,
    row: int,
    # outputs:
    rows_out: wp.array2d[wp.float32],  # [term, frame]
):
    """One contact point at one frame: Huber of the tangential way it slid over the touched body since the last frame.

    ``q = R^T (v - p)``, ``e = (I - n n^T) (q_t - q_{t-1})``, ``w huber(|e| / sigma) / (sum w + area_floor)``.
    """
    frame, point = wp.tid()
    share = pair_weight[frame, point]
    if share > 0.0:
        link = links[grid[frame, point]]
        here = to_link(camera_from_link[frame, link], points[frame, point])
        before = to_link(camera_from_link[frame - 1, link], points[frame - 1, point])
        way = here - before
        normal = pair_normal[frame, point]
        slip = (way - normal * wp.dot(normal, way)) / sigma[0]
        value = share / (total[frame] + area_floor) * huber_of_square(wp.dot(slip, slip), knee)
        wp.atomic_add(rows_out, row, frame, value)


def add_sliding(
    points,
    camera_from_link,
    *,
    links,
    grid,
    pair_weight,
    pair_normal,
    total,
    sigma,
    knee,
    area_floor,
    row,
    rows_out,
):
    """Add each frame's mean slip of what was in contact at it and at the frame before, in units of sigma squared."""
    wp.launch(
        _add_sliding,
        dim=points.shape,
        inputs=[
            points,
            camera_from_link,
            links,
            grid,
            pair_weight,
            pair_normal,
            total,
            sigma,
            knee,
            area_floor,
            row,
        ],
        outputs=[rows_out],
        device=rows_out.device,
    )


@wp.kernel
def _add_sliding_literal(
    points: wp.array2d[wp.vec3],  # [frame, point]
    camera_from_link: wp.array2d[wp.transform],  # [frame, link]
    links: wp.array[wp.int32],  # [grid]
    grid: wp.array2d[wp.int32],  # [frame, point]
    distance: wp.array2d[wp.float32],  # [frame, point] [m]
    segment: wp.array[wp.int32],  # [frame]
    threshold: float,
    row: int,
    # outputs:
    rows_out: wp.array2d[wp.float32],  # [term, frame] [m]
):
    """One point closer than the threshold [m]: ``|q_t - q_{t-1}|`` [m], as the paper prints it (gradient 0 at rest)."""
    frame, point = wp.tid()
    if frame > 0:
        if segment[frame] == segment[frame - 1] and distance[frame, point] < threshold:
            link = links[grid[frame, point]]
            here = to_link(camera_from_link[frame, link], points[frame, point])
            before = to_link(camera_from_link[frame - 1, link], points[frame - 1, point])
            wp.atomic_add(rows_out, row, frame, wp.length(here - before))


def add_sliding_literal(points, camera_from_link, *, links, grid, distance, segment, threshold, row, rows_out):
    """Add each frame's sum of the ways its contact points moved on the touched body [m]."""
    wp.launch(
        _add_sliding_literal,
        dim=points.shape,
        inputs=[points, camera_from_link, links, grid, distance, segment, threshold, row],
        outputs=[rows_out],
        device=rows_out.device,
    )
