"""What residuals are added to: rows of the normal equations, or the gradient of the energy.  Forward only.

A frame's unknowns are columns: six for the root of each estimated body (:func:`warpprior.kernels.camera.advance_pose`),
its joint coordinates after them, and last what all frames share.  A residual on a fingertip depends on some fifteen of
the sixty.  A thread gathers them in a row of its own, and adds the row's outer product to the normal equations.

A kernel that walks the samples of a term states each residual once, its weight and its derivative, and hands them to
the functions below.  What becomes of them is the :class:`System`'s affair: ``ROWS`` carries the derivative through the
chains into the normal equations; ``GRADIENT`` adds weight x residual x derivative to the gradients of surfaces and
unknowns, the energy's adjoint; ``COSTS`` does neither, for only the cost is asked for.
"""

import warp as wp

wp.set_module_options({"enable_backward": False})

vec6d = wp.types.vector(length=6, dtype=wp.float64)

ROWS = wp.constant(0)
COSTS = wp.constant(1)
GRADIENT = wp.constant(2)

# Blocks of the normal matrix that a frame holds: its unknowns with themselves, with those of the frame before, with
# those of two before, and what it adds to the frame before with itself, so that no two frames write to one place.
OWN = wp.constant(0)
BACK = wp.constant(1)
BACK_TWO = wp.constant(2)
BEFORE = wp.constant(3)

# Where rounding left a matrix not positive, its damping is multiplied so often by so much.
ATTEMPTS = 8
MORE_DAMPING = wp.constant(10.0)


@wp.struct
class System:
    """Normal equations or gradients, and what it takes to get there.

    A *place* is a vertex of the estimated bodies, or, behind those, the origin of a link that is a keypoint.
    """

    mode: wp.int32  # ROWS, COSTS or GRADIENT
    # Chains: which joint coordinates and shared unknowns move a place, and how.
    chain_starts: wp.array(dtype=wp.int32)  # [place + 1] first entry of each place
    chain_columns: wp.array(dtype=wp.int32)  # [entry]
    chain_values: wp.array(dtype=wp.vec3, ndim=2)  # [frame, entry] derivative of the place, camera frame
    # Workspace: rows in the making.  Between residuals all marks are zero.
    values: wp.array(dtype=wp.float32, ndim=3)  # [frame, lane, column]
    marks: wp.array(dtype=wp.int32, ndim=3)  # [frame, lane, column] 1: the row has an entry there
    active: wp.array(dtype=wp.int32, ndim=3)  # [frame, lane, entry] its columns
    # Normal equations.
    hessian: wp.array(dtype=wp.float64, ndim=4)  # [frame, 4, column, column]
    gradient: wp.array(dtype=wp.float64, ndim=3)  # [frame, 2, column] of a frame, and what it adds to the one before
    # Columns of what all frames share, -1 where it is not estimated.
    bias_column: wp.int32  # how far label borders lie outside the true ones [px]
    focal_column: wp.int32  # logarithm of the focal length
    # Gradient of the energy.
    seeds: wp.array(dtype=wp.float32)  # [frame] derivative of the total by the frame's cost
    place_gradients: wp.array(dtype=wp.vec3, ndim=2)  # [frame, place]
    unknown_gradients: wp.array(dtype=wp.float32, ndim=2)  # [frame, column] beyond what places carry


SYSTEM_OF_FRAMES = ("chain_values", "values", "marks", "active", "hessian", "gradient")  # [frame, ...] of a System


@wp.struct
class PointBody:
    """A body and points on its surface."""

    start: wp.int32  # column of its root, -1 where its motion is known
    corners: wp.array(dtype=wp.vec3i)  # [point] vertices of the face that each point lies on
    barycentrics: wp.array(dtype=wp.vec3)  # [point]


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
def slope(system: System, frame: int, pull: wp.float64) -> float:
    """Derivative of the total by a residual of a frame; ``pull`` is the residual's weight times the residual."""
    return float(wp.float64(2.0) * pull) * system.seeds[frame]


@wp.func
def add_entry(
    system: System,
    frame: int,  # whose rows these are
    moment: int,  # whose unknown it is: the frame itself, or one before
    lane: int,
    count: int,
    column: int,
    value: float,
    pull: wp.float64,
) -> int:
    """Add the derivative by one unknown to a row; returns how many entries the row has."""
    if system.mode == GRADIENT:
        wp.atomic_add(system.unknown_gradients, moment, column, value * slope(system, frame, pull))
        return count
    if system.mode == COSTS:
        return count
    if system.marks[frame, lane, column] == 0:
        system.marks[frame, lane, column] = 1
        system.active[frame, lane, count] = column
        system.values[frame, lane, column] = value
        return count + 1
    system.values[frame, lane, column] = system.values[frame, lane, column] + value
    return count


@wp.func
def add_root(
    system: System,
    frame: int,
    moment: int,
    lane: int,
    count: int,
    start: int,
    derivative: vec6d,
    pull: wp.float64,
) -> int:
    """Add the derivative by a body's root, whose column is ``start``, where no point of its surface stands for it."""
    total = int(count)
    for i in range(6):
        total = add_entry(system, frame, moment, lane, total, start + i, float(derivative[i]), pull)
    return total


@wp.func
def add_share(
    system: System,
    frame: int,
    moment: int,  # the frame that the place is in
    lane: int,
    count: int,
    place: int,
    direction: wp.vec3,
    share: float,
    pull: wp.float64,
) -> int:
    """Add how a share of ``dot(direction, place)`` depends on joint coordinates and shared unknowns.

    The gradient of the place itself holds all that moves it, the root too; so where a place stands for a body in a row,
    :func:`add_carried` adds the root.
    """
    total = int(count)
    if system.mode == GRADIENT:
        wp.atomic_add(system.place_gradients, moment, place, direction * (share * slope(system, frame, pull)))
        return total
    if system.mode == COSTS:
        return total
    for entry in range(system.chain_starts[place], system.chain_starts[place + 1]):
        value = wp.dot(direction, system.chain_values[moment, entry]) * share
        total = add_entry(system, frame, moment, lane, total, system.chain_columns[entry], value, pull)
    return total


@wp.func
def add_carried(
    system: System,
    frame: int,
    moment: int,
    lane: int,
    count: int,
    start: int,
    pose: wp.transform,
    point: wp.vec3,
    direction: wp.vec3,
    pull: wp.float64,
) -> int:
    """Add how ``dot(direction, point)`` depends on the root of the body that carries the point, to a row."""
    if system.mode != ROWS:
        return count
    offset = point - wp.transform_get_translation(pose)
    return add_root(system, frame, moment, lane, count, start, point_derivative(pose, offset, direction), pull)


@wp.func
def add_place(
    system: System,
    frame: int,
    lane: int,
    start: int,
    pose: wp.transform,
    place: int,
    point: wp.vec3,
    direction: wp.vec3,
    pull: wp.float64,
) -> int:
    """Begin a row: how ``dot(direction, point)`` depends on its body, for a point that is a place."""
    count = add_carried(system, frame, frame, lane, 0, start, pose, point, direction, pull)
    return add_share(system, frame, frame, lane, count, place, direction, 1.0, pull)


@wp.func
def add_face(
    system: System,
    frame: int,
    moment: int,
    lane: int,
    count: int,
    corners: wp.vec3i,
    barycentrics: wp.vec3,
    direction: wp.vec3,
    pull: wp.float64,
) -> int:
    """Add how ``dot(direction, point)`` depends on all but the root, for a point of a face."""
    total = int(count)
    for corner in range(3):
        total = add_share(system, frame, moment, lane, total, corners[corner], direction, barycentrics[corner], pull)
    return total


@wp.func
def add_point(
    system: System,
    body: PointBody,
    frame: int,
    moment: int,
    lane: int,
    pose: wp.transform,
    point_id: int,
    point: wp.vec3,
    direction: wp.vec3,
    pull: wp.float64,
) -> int:
    """Begin a row: how ``dot(direction, point)`` depends on the body that the point is on; returns its entries."""
    if body.start < 0:
        return 0
    count = add_carried(system, frame, moment, lane, 0, body.start, pose, point, direction, pull)
    return add_face(
        system,
        frame,
        moment,
        lane,
        count,
        body.corners[point_id],
        body.barycentrics[point_id],
        direction,
        pull,
    )


@wp.func
def add_gradient(system: System, frame: int, lane: int, count: int, pull: wp.float64, place: int) -> int:
    """Add a row times ``pull``, its weight times its residual, to the gradient."""
    for i in range(count):
        column = system.active[frame, lane, i]
        wp.atomic_add(system.gradient, frame, place, column, pull * wp.float64(system.values[frame, lane, column]))
    return count


@wp.func
def add_square(system: System, frame: int, lane: int, count: int, weight: wp.float64, block: int) -> int:
    """Add the weighted outer product of a row with itself to the lower triangle of a block."""
    for i in range(count):
        one = system.active[frame, lane, i]
        scaled = weight * wp.float64(system.values[frame, lane, one])
        for j in range(i + 1):
            other = system.active[frame, lane, j]
            value = scaled * wp.float64(system.values[frame, lane, other])
            wp.atomic_add(system.hessian, frame, block, wp.max(one, other), wp.min(one, other), value)
    return count


@wp.func
def add_product(
    system: System, frame: int, lane: int, count: int, before_lane: int, before_count: int, weight: wp.float64
) -> int:
    """Add the weighted outer product of a row with one of the frame before."""
    for i in range(count):
        one = system.active[frame, lane, i]
        scaled = weight * wp.float64(system.values[frame, lane, one])
        for j in range(before_count):
            other = system.active[frame, before_lane, j]
            value = scaled * wp.float64(system.values[frame, before_lane, other])
            wp.atomic_add(system.hessian, frame, BACK, one, other, value)
    return count


@wp.func
def clear_row(system: System, frame: int, lane: int, count: int) -> int:
    """Forget a row; returns the number of entries it now has."""
    for i in range(count):
        system.marks[frame, lane, system.active[frame, lane, i]] = 0
    return 0


@wp.func
def close_row(system: System, frame: int, lane: int, count: int, weight: wp.float64, pull: wp.float64) -> int:
    """Add a row that concerns one frame alone to the equations, and forget it.

    ``weight`` is that of its residual, ``pull`` the weight times the residual.
    """
    add_square(system, frame, lane, count, weight, OWN)
    add_gradient(system, frame, lane, count, pull, 0)
    return clear_row(system, frame, lane, count)


@wp.func
def close_pair(
    system: System,
    frame: int,
    lane: int,
    count: int,
    before_lane: int,
    before_count: int,
    weight: wp.float64,
    pull: wp.float64,
) -> int:
    """The same for a residual between a frame and the one before, whose part is the row of ``before_lane``."""
    add_product(system, frame, lane, count, before_lane, before_count, weight)
    close_row(system, frame, lane, count, weight, pull)
    add_square(system, frame, before_lane, before_count, weight, BEFORE)
    add_gradient(system, frame, before_lane, before_count, pull, 1)
    return clear_row(system, frame, before_lane, before_count)
