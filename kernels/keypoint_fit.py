"""Normal equations of detected keypoints and bounding boxes, for Gauss-Newton.  Forward only."""

import warp as wp

from warpprior.kernels.camera import NEAR
from warpprior.kernels.robust import trust_of
from warpprior.kernels.rows import Chains, Rows, add_chain, add_entry, add_root, close_row, point_derivative

wp.set_module_options({"enable_backward": False})


@wp.kernel
def _place_keypoints(
    keypoints: wp.array[wp.vec2i],  # [keypoint] scene vertex, or -1, and link
    vertices: wp.array2d[wp.vec3],  # [frame, scene vertex] camera frame
    links: wp.array2d[wp.transform],  # [frame, link] camera_from_link
    places_out: wp.array2d[wp.vec3],  # [frame, keypoint] camera frame
):
    """Where the keypoints are."""
    frame, keypoint = wp.tid()
    vertex = keypoints[keypoint][0]
    if vertex >= 0:
        places_out[frame, keypoint] = vertices[frame, vertex]
    else:
        places_out[frame, keypoint] = wp.transform_get_translation(links[frame, keypoints[keypoint][1]])


def place_keypoints(keypoints, vertices, links, *, places_out):
    """Launch :func:`_place_keypoints` over all frames and keypoints."""
    wp.launch(
        _place_keypoints,
        dim=places_out.shape,
        inputs=[keypoints, vertices, links],
        outputs=[places_out],
        device=places_out.device,
    )


@wp.func
def add_pixel(
    rows: Rows,
    chains: Chains,
    frame: int,
    start: int,
    chain: int,
    pose: wp.transform,
    place: wp.vec3,
    focal: wp.vec2,
    focal_column: int,
    axis: int,
) -> int:
    """Begin a row: how the column (axis 0) or row (1) at which a place is drawn depends on the body that carries it."""
    direction = wp.vec3(0.0, 0.0, 0.0)
    direction[axis] = focal[axis] / place[2]
    direction[2] = -focal[axis] * place[axis] / (place[2] * place[2])
    offset = place - wp.transform_get_translation(pose)
    count = add_root(rows, frame, 0, 0, start, point_derivative(pose, offset, direction))
    count = add_chain(rows, chains, frame, 0, count, chain, direction)
    if focal_column >= 0:
        count = add_entry(rows, frame, 0, count, focal_column, focal[axis] * place[axis] / place[2])
    return count


@wp.kernel
def _accumulate_keypoints(
    places: wp.array2d[wp.vec3],  # [frame, keypoint] camera frame
    chain_ids: wp.array[wp.int32],  # [keypoint]
    detected: wp.array2d[wp.vec3],  # [frame, keypoint] u, v [px], confidence
    poses: wp.array[wp.transform],  # [frame]
    focal: wp.vec2,
    center: wp.vec2,
    scale: wp.array[wp.float32],  # [2] weight [1/px^2], reach [px]
    chains: Chains,
    rows: Rows,
    start: int,  # column of the body's root
    focal_column: int,  # -1 where the focal length is not sought
    hessian_out: wp.array4d[wp.float64],  # [frame, 4, column, column] added to
    gradient_out: wp.array3d[wp.float64],  # [frame, 2, column] added to
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Pull projected keypoints to where they were detected."""
    frame = wp.tid()
    cost = wp.float64(0.0)
    for keypoint in range(places.shape[1]):
        place = places[frame, keypoint]
        seen = detected[frame, keypoint]
        if seen[2] > 0.0 and place[2] > NEAR:
            miss = wp.vec2(
                focal[0] * place[0] / place[2] + center[0] - seen[0],
                focal[1] * place[1] / place[2] + center[1] - seen[1],
            )
            trust = trust_of(wp.length(miss), scale[1])
            believed = scale[0] * seen[2] * seen[2]
            weight = wp.float64(believed * trust * trust)
            cost += wp.float64(believed * trust * wp.dot(miss, miss))
            for axis in range(2):
                chain = chain_ids[keypoint]
                count = add_pixel(rows, chains, frame, start, chain, poses[frame], place, focal, focal_column, axis)
                scaled = weight * wp.float64(miss[axis])
                close_row(rows, frame, 0, count, weight, scaled, hessian_out, gradient_out)
    wp.atomic_add(cost_out, frame, cost)


def accumulate_keypoints(
    places, chain_ids, detected, poses, focal, center, scale, chains, rows,
    *, start, focal_column=-1, hessian_out, gradient_out, cost_out,
):  # fmt: skip
    """Launch :func:`_accumulate_keypoints` over all frames."""
    wp.launch(
        _accumulate_keypoints,
        dim=cost_out.shape[0],
        inputs=[places, chain_ids, detected, poses, focal, center, scale, chains, rows, start, focal_column],
        outputs=[hessian_out, gradient_out, cost_out],
        device=cost_out.device,
    )


@wp.func
def outermost(screen: wp.array2d[wp.vec3], frame: int, first: int, count: int, side: int) -> int:
    """The vertex that is farthest left, up, right or down, of those in front of the camera; -1 without any."""
    best = int(-1)
    extreme = float(1.0e30)
    for vertex in range(first, first + count):
        point = screen[frame, vertex]
        value = point[side % 2]
        if side >= 2:
            value = -value
        if point[2] > NEAR and value < extreme:
            extreme = value
            best = vertex
    return best


@wp.kernel
def _accumulate_boxes(
    screen: wp.array2d[wp.vec3],  # [frame, scene vertex] u, v [px], depth [m]
    vertices: wp.array2d[wp.vec3],  # [frame, scene vertex] camera frame
    first: int,
    count: int,
    boxes: wp.array2d[wp.float32],  # [frame, 4] left, top, right, bottom [px]; NaN for none
    poses: wp.array[wp.transform],  # [frame]
    focal: wp.vec2,
    scale: wp.array[wp.float32],  # [2] weight [1/px^2], reach [px]
    chains: Chains,
    rows: Rows,
    start: int,  # column of the body's root
    focal_column: int,  # -1 where the focal length is not sought
    hessian_out: wp.array4d[wp.float64],  # [frame, 4, column, column] added to
    gradient_out: wp.array3d[wp.float64],  # [frame, 2, column] added to
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Pull the outermost vertices to the sides of a bounding box."""
    frame = wp.tid()
    cost = wp.float64(0.0)
    for side in range(4):
        edge = boxes[frame, side]
        vertex = outermost(screen, frame, first, count, side)
        if wp.isfinite(edge) and vertex >= 0:
            axis = side % 2
            place = vertices[frame, vertex]
            miss = screen[frame, vertex][axis] - edge
            trust = trust_of(miss, scale[1])
            weight = wp.float64(scale[0] * trust * trust)
            cost += wp.float64(scale[0] * trust * miss * miss)
            entries = add_pixel(rows, chains, frame, start, vertex, poses[frame], place, focal, focal_column, axis)
            scaled = weight * wp.float64(miss)
            close_row(rows, frame, 0, entries, weight, scaled, hessian_out, gradient_out)
    wp.atomic_add(cost_out, frame, cost)


def accumulate_boxes(
    screen, vertices, first, count, boxes, poses, focal, scale, chains, rows,
    *, start, focal_column=-1, hessian_out, gradient_out, cost_out,
):  # fmt: skip
    """Launch :func:`_accumulate_boxes` over all frames."""
    wp.launch(
        _accumulate_boxes,
        dim=cost_out.shape[0],
        inputs=[screen, vertices, first, count, boxes, poses, focal, scale, chains, rows, start, focal_column],
        outputs=[hessian_out, gradient_out, cost_out],
        device=cost_out.device,
    )
