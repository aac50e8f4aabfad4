"""Normal equations of contact and smoothness for rigid bodies, for Gauss-Newton.  Forward only.

Points of one body press on, and stick to, another whose signed distance is baked on a grid.  The unknowns are the
increments of the other body's pose, six per frame (:func:`warpprior.kernels.camera.advance_pose`).
"""

import warp as wp

from warpprior.kernels.camera import NEAR
from warpprior.kernels.contour_fit import mat66d, point_derivative, vec6d
from warpprior.kernels.distance import grid_sample
from warpprior.kernels.rotations import so3_log, so3_right_jacobian_inverse

# Unrolled, the 6x6 sums make the CUDA compiler work for a minute and run no faster.
wp.set_module_options({"enable_backward": False, "max_unroll": 1})

TOUCH = wp.constant(0.002)  # share of the surface in contact from which a body no longer rests
DEEPEST = wp.constant(0.02)  # [m] beyond, the nearest surface may be the far side: the push no longer grows
SMOOTH_SIGMAS = wp.constant(3.0)  # motion beyond this many sigmas is a jump and costs only in proportion


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
def place_derivative(pose: wp.transform, place: wp.vec3, axis: wp.vec3) -> vec6d:
    """Derivative of ``dot(axis, place)`` by the pose's increment, for a point fixed in the camera frame.

    ``place`` and ``axis`` are in the object frame; the place of a fixed point moves against the object.
    """
    rotation = wp.transform_get_rotation(pose)
    return -point_derivative(pose, wp.quat_rotate(rotation, place), wp.quat_rotate(rotation, axis))


@wp.func
def log_one_plus(x: wp.float64) -> wp.float64:
    """log(1 + x) for x >= 0, precise near zero."""
    if x < wp.float64(1.0e-5):
        return x * (wp.float64(1.0) - wp.float64(0.5) * x)
    return wp.log(wp.float64(1.0) + x)


@wp.kernel
def _accumulate_contacts(
    poses: wp.array[wp.transform],  # [frame] camera_from_object
    places: wp.array2d[wp.vec3],  # [frame, point] object frame
    samples: wp.array2d[wp.vec4],  # [frame, point]
    weights: wp.array2d[wp.float32],  # [frame, point]
    sums: wp.array2d[wp.float32],  # [frame, 2]
    areas: wp.array[wp.float32],  # [point]
    segments: wp.array[wp.int32],  # [frame]
    slip: wp.array[wp.float32],  # [3] weight [1/m^2], robust width [m], share of the normal direction that is free
    press: wp.array[wp.float32],  # [2] weight [1/m^2], allowance [m]
    lanes: int,
    hessian_out: wp.array4d[wp.float64],  # [frame, lag, 6, 6] added to
    gradient_out: wp.array2d[wp.float64],  # [frame, 6] added to
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Sticking between a frame and the one before (Eq. of sliding), and penetration (Eq. 3), in object coordinates."""
    frame, lane = wp.tid()
    pose = poses[frame]
    own = mat66d()
    before = mat66d()
    across = mat66d()
    own_gradient = vec6d()
    before_gradient = vec6d()
    cost = wp.float64(0.0)
    touched = bool(False)
    joined = bool(False)
    before_pose = pose
    if frame > 0:
        joined = segments[frame - 1] == segments[frame]
        before_pose = poses[frame - 1]
    press_scale = press[0] / (sums[frame, 0] + 1.0e-4)
    slip_scale = slip[0] / (sums[frame, 1] + 1.0e-3)
    for point in range(lane, weights.shape[1], lanes):
        sample = samples[frame, point]
        normal = wp.vec3(sample[0], sample[1], sample[2])
        depth = -sample[3] - press[1]
        if depth > 0.0 and press[0] > 0.0:
            touched = True
            push = wp.min(depth, DEEPEST)
            scale = press_scale * areas[point]
            derivative = place_derivative(pose, places[frame, point], normal)
            own += wp.outer(derivative, derivative) * wp.float64(scale)
            own_gradient += derivative * wp.float64(-push * scale)
            cost += wp.float64(scale * push * (2.0 * depth - push))
        if joined and slip[0] > 0.0:
            weight = wp.sqrt(weights[frame, point] * weights[frame - 1, point])
            if weight > 1.0e-8:
                touched = True
                move = places[frame, point] - places[frame - 1, point]
                move = move - normal * (slip[2] * wp.dot(normal, move))
                # Cauchy: points that pass by, as a hand does that comes to grasp, do not drag the object along.
                square = wp.dot(move, move) / (slip[1] * slip[1])
                scale = slip_scale * weight / (1.0 + square)
                cost += wp.float64(slip_scale * weight * slip[1] * slip[1]) * log_one_plus(wp.float64(square))
                for i in range(3):
                    axis = wp.vec3(0.0, 0.0, 0.0)
                    axis[i] = 1.0
                    axis = axis - normal * (slip[2] * normal[i])
                    now = place_derivative(pose, places[frame, point], axis)
                    then = -place_derivative(before_pose, places[frame - 1, point], axis)
                    own += wp.outer(now, now) * wp.float64(scale)
                    before += wp.outer(then, then) * wp.float64(scale)
                    across += wp.outer(now, then) * wp.float64(scale)
                    own_gradient += now * wp.float64(scale * move[i])
                    before_gradient += then * wp.float64(scale * move[i])
    if touched:
        wp.atomic_add(cost_out, frame, cost)
        for i in range(6):
            wp.atomic_add(gradient_out, frame, i, own_gradient[i])
            if joined:
                wp.atomic_add(gradient_out, frame - 1, i, before_gradient[i])
            for j in range(6):
                wp.atomic_add(hessian_out, frame, 0, i, j, own[i, j])
                if joined:
                    wp.atomic_add(hessian_out, frame - 1, 0, i, j, before[i, j])
                    wp.atomic_add(hessian_out, frame, 1, i, j, across[i, j])


def accumulate_contacts(
    poses, places, samples, weights, sums, areas, segments, slip, press,
    *, lanes, hessian_out, gradient_out, cost_out,
):  # fmt: skip
    """Launch :func:`_accumulate_contacts` with ``lanes`` threads per frame sharing the points."""
    wp.launch(
        _accumulate_contacts,
        dim=(cost_out.shape[0], lanes),
        inputs=[poses, places, samples, weights, sums, areas, segments, slip, press, lanes],
        outputs=[hessian_out, gradient_out, cost_out],
        device=cost_out.device,
    )


@wp.func
def position_derivative(pose: wp.transform, axis: int) -> vec6d:
    """Derivative of one coordinate of the position by the pose's increment."""
    direction = wp.vec3(0.0, 0.0, 0.0)
    direction[axis] = 1.0
    return point_derivative(pose, wp.vec3(0.0, 0.0, 0.0), direction)


@wp.func
def turn_derivative(jacobian: wp.mat33, axis: int) -> vec6d:
    """Derivative of one coordinate of a rotation vector by the increment, whose turn acts through ``jacobian``."""
    return vec6d(
        wp.float64(0.0), wp.float64(0.0), wp.float64(0.0),
        wp.float64(jacobian[axis, 0]), wp.float64(jacobian[axis, 1]), wp.float64(jacobian[axis, 2]),
    )  # fmt: skip


@wp.kernel
def _accumulate_smoothness(
    poses: wp.array[wp.transform],  # [frame]
    segments: wp.array[wp.int32],  # [frame]
    stiffness: wp.array[wp.float32],  # [6] of acceleration, velocity, rest, each [1/m^2], [1/rad^2]
    touch: wp.array[wp.float32],  # [frame] contact weight shared with the frame before
    resting: wp.array[wp.float32],  # [frame] 1: the body does not seem to move between this frame and the one before
    hessian_out: wp.array4d[wp.float64],  # [frame, lag, 6, 6] added to
    gradient_out: wp.array2d[wp.float64],  # [frame, 6] added to
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Consistency (Eq. 4) and smoothness (Eq. 5) of a rigid body's position and rotation; robust against jumps.

    Rest is consistency of what nothing touches and does not seem to move: then it does not move at all.
    """
    frame = wp.tid()
    if frame < 1:
        return
    if segments[frame - 1] != segments[frame]:
        return
    second = bool(False)
    if frame > 1:
        second = segments[frame - 2] == segments[frame]
    last = poses[frame]
    middle = poses[frame - 1]
    first = middle
    if second:
        first = poses[frame - 2]
    p_last = wp.transform_get_translation(last)
    p_middle = wp.transform_get_translation(middle)
    p_first = wp.transform_get_translation(first)
    if wp.min(p_last[2], wp.min(p_middle[2], p_first[2])) < NEAR:
        return
    q_middle = wp.quat_inverse(wp.transform_get_rotation(middle))
    turn_after = so3_log(q_middle * wp.transform_get_rotation(last))
    turn_before = -so3_log(q_middle * wp.transform_get_rotation(first))
    velocity = p_last - p_middle
    acceleration = velocity - (p_middle - p_first)
    spin = turn_after - turn_before
    jacobian_last = so3_right_jacobian_inverse(turn_after)
    jacobian_first = so3_right_jacobian_inverse(-turn_before)
    untouched = resting[frame] / (1.0 + (touch[frame] / TOUCH) * (touch[frame] / TOUCH))
    for term in range(6):
        miss = wp.length(velocity)
        if term == 0:
            miss = wp.length(acceleration)
        elif term == 1:
            miss = wp.length(spin)
        elif term % 2 == 1:
            miss = wp.length(turn_after)
        # Pseudo-Huber: a jump costs in proportion, so that stray frames are still called back.
        sigmas = miss * wp.sqrt(stiffness[term]) / SMOOTH_SIGMAS
        root = wp.sqrt(1.0 + sigmas * sigmas)
        scale = wp.float64(stiffness[term] / root)
        amount = wp.float64(stiffness[term] * miss * miss * 2.0 / (root + 1.0))
        if term >= 4:
            # Cauchy: what moves all the same, or a camera that does, is let go.
            scale = wp.float64(untouched * stiffness[term] / (root * root))
            amount = wp.float64(untouched * SMOOTH_SIGMAS * SMOOTH_SIGMAS) * log_one_plus(wp.float64(sigmas * sigmas))
        if scale > wp.float64(0.0) and (term >= 2 or second):
            wp.atomic_add(cost_out, frame, amount)
            # The middle frame's turn acts from the left, through the transposes.
            jacobian_middle = wp.transpose(jacobian_last)
            if term == 1:
                jacobian_middle = jacobian_middle + wp.transpose(jacobian_first)
            for axis in range(3):
                if term % 2 == 0:
                    at_last = position_derivative(last, axis)
                    at_middle = -position_derivative(middle, axis)
                    at_first = position_derivative(first, axis)
                    residual = wp.float64(velocity[axis])
                    if term == 0:
                        at_middle = at_middle * wp.float64(2.0)
                        residual = wp.float64(acceleration[axis])
                else:
                    at_last = turn_derivative(jacobian_last, axis)
                    at_middle = -turn_derivative(jacobian_middle, axis)
                    at_first = turn_derivative(jacobian_first, axis)
                    residual = wp.float64(turn_after[axis])
                    if term == 1:
                        residual = wp.float64(spin[axis])
                for i in range(6):
                    wp.atomic_add(gradient_out, frame, i, scale * residual * at_last[i])
                    wp.atomic_add(gradient_out, frame - 1, i, scale * residual * at_middle[i])
                    if term < 2:
                        wp.atomic_add(gradient_out, frame - 2, i, scale * residual * at_first[i])
                    for j in range(6):
                        wp.atomic_add(hessian_out, frame, 0, i, j, scale * at_last[i] * at_last[j])
                        wp.atomic_add(hessian_out, frame - 1, 0, i, j, scale * at_middle[i] * at_middle[j])
                        wp.atomic_add(hessian_out, frame, 1, i, j, scale * at_last[i] * at_middle[j])
                        if term < 2:
                            wp.atomic_add(hessian_out, frame - 2, 0, i, j, scale * at_first[i] * at_first[j])
                            wp.atomic_add(hessian_out, frame - 1, 1, i, j, scale * at_middle[i] * at_first[j])
                            wp.atomic_add(hessian_out, frame, 2, i, j, scale * at_last[i] * at_first[j])


def accumulate_smoothness(poses, segments, stiffness, touch, resting, *, hessian_out, gradient_out, cost_out):
    """Launch :func:`_accumulate_smoothness` over all frames."""
    wp.launch(
        _accumulate_smoothness,
        dim=cost_out.shape[0],
        inputs=[poses, segments, stiffness, touch, resting],
        outputs=[hessian_out, gradient_out, cost_out],
        device=cost_out.device,
    )
