"""Keypoints: a body's keypoints are drawn where they were detected."""

import warp as wp

from warpprior.kernels.camera import NEAR
from warpprior.kernels.projection import add_pixel
from warpprior.kernels.robust import Scale, trust_of
from warpprior.kernels.rows import System, close_row

wp.set_module_options({"enable_backward": False})


@wp.kernel
def _place_keypoints(
    keypoints: wp.array[wp.vec2i],  # [keypoint] scene vertex, or -1, and link
    vertices: wp.array2d[wp.vec3],  # [frame, scene vertex] camera frame
    links: wp.array2d[wp.transform],  # [frame, link] camera_from_link
    points_out: wp.array2d[wp.vec3],  # [frame, keypoint] camera frame
):
    """Where the keypoints are."""
    frame, keypoint = wp.tid()
    vertex = keypoints[keypoint][0]
    if vertex >= 0:
        points_out[frame, keypoint] = vertices[frame, vertex]
    else:
        points_out[frame, keypoint] = wp.transform_get_translation(links[frame, keypoints[keypoint][1]])


def place_keypoints(keypoints, vertices, links, *, points_out):
    """Launch :func:`_place_keypoints` over all frames and keypoints."""
    wp.launch(
        _place_keypoints,
        dim=points_out.shape,
        inputs=[keypoints, vertices, links],
        outputs=[points_out],
        device=points_out.device,
        record_tape=False,
    )


@wp.kernel
def _add_keypoints(
    points: wp.array2d[wp.vec3],  # [frame, keypoint] camera frame
    places: wp.array[wp.int32],  # [keypoint]
    detected: wp.array2d[wp.vec3],  # [frame, keypoint] u, v [px], confidence
    poses: wp.array[wp.transform],  # [frame]
    focal: wp.vec2,
    center: wp.vec2,
    scale: wp.array[Scale],  # [1] of a pixel
    start: int,  # column of the body's root
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Pull projected keypoints to where they were detected."""
    frame = wp.tid()
    reach = scale[0].reach
    cost = wp.float64(0.0)
    for keypoint in range(points.shape[1]):
        point = points[frame, keypoint]
        seen = detected[frame, keypoint]
        if seen[2] > 0.0 and point[2] > NEAR:
            miss = wp.vec2(
                focal[0] * point[0] / point[2] + center[0] - seen[0],
                focal[1] * point[1] / point[2] + center[1] - seen[1],
            )
            trust = trust_of(wp.length(miss), reach)
            believed = scale[0].weight * seen[2] * seen[2]
            weight = wp.float64(believed * trust * trust)
            cost += wp.float64(believed * trust * wp.dot(miss, miss))
            for axis in range(2):
                pull = weight * wp.float64(miss[axis])
                place = places[keypoint]
                count = add_pixel(system, frame, start, place, poses[frame], point, focal, axis, pull)
                close_row(system, frame, 0, count, weight, pull)
    wp.atomic_add(cost_out, frame, cost)


def add_keypoints(points, places, detected, poses, focal, center, scale, start, system, *, cost_out):
    """Launch :func:`_add_keypoints` over all frames."""
    wp.launch(
        _add_keypoints,
        dim=cost_out.shape[0],
        inputs=[points, places, detected, poses, focal, center, scale, start, system],
        outputs=[cost_out],
        device=cost_out.device,
        record_tape=False,
    )
