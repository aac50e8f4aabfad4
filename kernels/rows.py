"""Rows of a Jacobian with few entries: how one residual depends on the unknowns of a frame.  Forward only.

A frame's unknowns are columns: six for the root of each moving body (:func:`warpprior.kernels.camera.advance_pose`),
its joint coordinates after them, and last what all frames share.  A residual on a fingertip depends on some fifteen of
the sixty.  A thread gathers them in a row of its own, and adds the row's outer product to the normal equations.
"""

import warp as wp

wp.set_module_options({"enable_backward": False})

vec6d = wp.types.vector(length=6, dtype=wp.float64)

# Blocks of the normal matrix that a frame holds: its unknowns with themselves, with those of the frame before, with
# those of two before, and what it adds to the frame before with itself, so that no two frames write to one place.
OWN = wp.constant(0)
BACK = wp.constant(1)
BACK_TWO = wp.constant(2)
BEFORE = wp.constant(3)


@wp.struct
class Chains:
    """Which joint coordinates, and shared unknowns, move a vertex, and how."""

    starts: wp.array(dtype=wp.int32)  # [vertex + 1] first entry of each vertex
    columns: wp.array(dtype=wp.int32)  # [entry]
    values: wp.array(dtype=wp.vec3, ndim=2)  # [frame, entry] derivative of the vertex, camera frame


@wp.struct
class Rows:
    """Workspace: rows in the making.  Between residuals all marks are zero."""

    values: wp.array(dtype=wp.float32, ndim=3)  # [frame, lane, column]
    marks: wp.array(dtype=wp.int32, ndim=3)  # [frame, lane, column] 1: the row has an entry there
    active: wp.array(dtype=wp.int32, ndim=3)  # [frame, lane, entry] its columns


@wp.func
def point_derivative(pose: wp.transform, offset: wp.vec3, direction: wp.vec3) -> vec6d:
    """Derivative of ``dot(direction, point)`` by the pose's increment, for a point that it carries.

    ``offset``, from the pose's position to the point, and ``direction`` are in the camera frame.
    """
    position = wp.transform_get_translation(pose)
    turn = wp.quat_rotate_inv(wp.transform_get_rotation(pose), wp.cross(offset, direction))
    return vec6d(
        wp.float64(direction[0] * position[2]),
        wp.float64(direction[1] * position[2]),
        wp.float64(wp.dot(direction, position)),
        wp.float64(turn[0]),
        wp.float64(turn[1]),
        wp.float64(turn[2]),
    )


@wp.func
def add_entry(rows: Rows, frame: int, lane: int, count: int, column: int, value: float) -> int:
    """Add to one entry of a row; returns how many entries it has."""
    if rows.marks[frame, lane, column] == 0:
        rows.marks[frame, lane, column] = 1
        rows.active[frame, lane, count] = column
        rows.values[frame, lane, column] = value
        return count + 1
    rows.values[frame, lane, column] = rows.values[frame, lane, column] + value
    return count


@wp.func
def add_root(rows: Rows, frame: int, lane: int, count: int, start: int, derivative: vec6d) -> int:
    """Add the six entries of a body's root, from column ``start`` on."""
    total = int(count)
    for i in range(6):
        total = add_entry(rows, frame, lane, total, start + i, float(derivative[i]))
    return total


@wp.func
def add_share(
    rows: Rows,
    chains: Chains,
    frame: int,  # whose rows these are
    moment: int,  # the frame that the vertex is in
    lane: int,
    count: int,
    vertex: int,
    direction: wp.vec3,
    share: float,
) -> int:
    """Add how a share of ``dot(direction, vertex)`` depends on joint coordinates and shared unknowns."""
    total = int(count)
    for entry in range(chains.starts[vertex], chains.starts[vertex + 1]):
        value = wp.dot(direction, chains.values[moment, entry]) * share
        total = add_entry(rows, frame, lane, total, chains.columns[entry], value)
    return total


@wp.func
def add_chain(rows: Rows, chains: Chains, frame: int, lane: int, count: int, vertex: int, direction: wp.vec3) -> int:
    """Add how ``dot(direction, vertex)`` depends on joint coordinates and shared unknowns."""
    return add_share(rows, chains, frame, frame, lane, count, vertex, direction, 1.0)


@wp.func
def add_face(
    rows: Rows,
    chains: Chains,
    frame: int,
    moment: int,
    lane: int,
    count: int,
    corners: wp.vec3i,
    barycentrics: wp.vec3,
    direction: wp.vec3,
) -> int:
    """Add the same for a point of a face, from its corners."""
    total = int(count)
    for corner in range(3):
        total = add_share(rows, chains, frame, moment, lane, total, corners[corner], direction, barycentrics[corner])
    return total


@wp.struct
class PointBody:
    """A body and points on its surface."""

    start: wp.int32  # column of its root, -1 where its motion is known
    corners: wp.array(dtype=wp.vec3i)  # [point] vertices of the face that each point lies on
    barycentrics: wp.array(dtype=wp.vec3)  # [point]


@wp.func
def add_point(
    rows: Rows,
    chains: Chains,
    body: PointBody,
    frame: int,
    moment: int,
    lane: int,
    pose: wp.transform,
    point_id: int,
    point: wp.vec3,
    direction: wp.vec3,
) -> int:
    """Begin a row: how ``dot(direction, point)`` depends on the body that the point is on; returns its entries."""
    if body.start < 0:
        return 0
    offset = point - wp.transform_get_translation(pose)
    count = add_root(rows, frame, lane, 0, body.start, point_derivative(pose, offset, direction))
    corners = body.corners[point_id]
    return add_face(rows, chains, frame, moment, lane, count, corners, body.barycentrics[point_id], direction)


@wp.func
def add_gradient(
    rows: Rows,
    frame: int,
    lane: int,
    count: int,
    scaled: wp.float64,
    place: int,
    gradient_out: wp.array3d[wp.float64],  # [frame, 2, column]
) -> int:
    """Add a row times ``scaled``, its weight times its residual, to the gradient."""
    for i in range(count):
        column = rows.active[frame, lane, i]
        wp.atomic_add(gradient_out, frame, place, column, scaled * wp.float64(rows.values[frame, lane, column]))
    return count


@wp.func
def add_square(
    rows: Rows,
    frame: int,
    lane: int,
    count: int,
    weight: wp.float64,
    block: int,
    hessian_out: wp.array4d[wp.float64],  # [frame, 4, column, column]
) -> int:
    """Add the weighted outer product of a row with itself to the lower triangle of a block."""
    for i in range(count):
        one = rows.active[frame, lane, i]
        scaled = weight * wp.float64(rows.values[frame, lane, one])
        for j in range(i + 1):
            other = rows.active[frame, lane, j]
            value = scaled * wp.float64(rows.values[frame, lane, other])
            wp.atomic_add(hessian_out, frame, block, wp.max(one, other), wp.min(one, other), value)
    return count


@wp.func
def add_product(
    rows: Rows,
    frame: int,
    lane: int,
    count: int,
    before_lane: int,
    before_count: int,
    weight: wp.float64,
    hessian_out: wp.array4d[wp.float64],  # [frame, 4, column, column]
) -> int:
    """Add the weighted outer product of a row with one of the frame before."""
    for i in range(count):
        one = rows.active[frame, lane, i]
        scaled = weight * wp.float64(rows.values[frame, lane, one])
        for j in range(before_count):
            other = rows.active[frame, before_lane, j]
            value = scaled * wp.float64(rows.values[frame, before_lane, other])
            wp.atomic_add(hessian_out, frame, BACK, one, other, value)
    return count


@wp.func
def clear_row(rows: Rows, frame: int, lane: int, count: int) -> int:
    """Forget a row; returns the number of entries it now has."""
    for i in range(count):
        rows.marks[frame, lane, rows.active[frame, lane, i]] = 0
    return 0


@wp.func
def close_row(
    rows: Rows,
    frame: int,
    lane: int,
    count: int,
    weight: wp.float64,
    scaled: wp.float64,
    hessian_out: wp.array4d[wp.float64],  # [frame, 4, column, column]
    gradient_out: wp.array3d[wp.float64],  # [frame, 2, column]
) -> int:
    """Add a row that concerns one frame alone to the equations, and forget it.

    ``weight`` is that of its residual, ``scaled`` the weight times the residual.
    """
    add_square(rows, frame, lane, count, weight, OWN, hessian_out)
    add_gradient(rows, frame, lane, count, scaled, 0, gradient_out)
    return clear_row(rows, frame, lane, count)
