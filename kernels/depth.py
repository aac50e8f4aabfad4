"""Depth: points of a body lie on the surface that a depth camera saw."""

import warp as wp

from warpprior.kernels.camera import NEAR
from warpprior.kernels.image import pixel_at
from warpprior.kernels.robust import Scale, trust_of
from warpprior.kernels.rows import PointBody, System, add_entry, add_point, close_row
from warpprior.kernels.slabs import launch_slabs
from warpprior.kernels.visibility import crop_size, key_inverse_depth

wp.set_module_options({"enable_backward": False})


@wp.struct
class DepthView:
    """What was measured, and the body as it is drawn."""

    depths: wp.array(dtype=wp.float32, ndim=2)  # [frame, pixel] of this body [m], 0 where there is none
    origins: wp.array(dtype=wp.vec2i)  # [frame] column, row of their crop's corner in the picture
    sizes: wp.array(dtype=wp.vec2i)  # [frame] width and height, if they differ; else empty
    width: wp.int32
    height: wp.int32
    keys: wp.array(dtype=wp.uint64, ndim=2)  # [frame, pixel] of this body alone
    key_origins: wp.array(dtype=wp.vec2i)  # [frame]
    key_sizes: wp.array(dtype=wp.vec2i)  # [frame] likewise
    key_width: wp.int32  # 0 where the body is not drawn: then what faces the camera is taken to be seen
    key_height: wp.int32
    focal: wp.vec2
    center: wp.vec2
    clearance: wp.float32  # deeper than this behind what is drawn is hidden [m]
    least_cosine: wp.float32  # between a face's normal and the line of sight


@wp.kernel
def _match_depths(
    first_frame: int,
    points: wp.array2d[wp.vec3],  # [frame, point] camera frame
    vertices: wp.array2d[wp.vec3],  # [frame, scene vertex] camera frame
    body: PointBody,
    view: DepthView,
    observed_out: wp.array2d[wp.vec3],  # [frame, point] what was measured where the point is seen, camera frame
    normals_out: wp.array2d[wp.vec3],  # [frame, point] of its face; zero where nothing was measured
):
    """The place that was measured in the pixel of each point that the camera sees."""
    slab_frame, point = wp.tid()
    frame = first_frame + slab_frame
    observed_out[frame, point] = wp.vec3(0.0, 0.0, 0.0)
    normals_out[frame, point] = wp.vec3(0.0, 0.0, 0.0)
    place = points[frame, point]
    corners = body.corners[point]
    a = vertices[frame, corners[0]]
    normal = wp.normalize(wp.cross(vertices[frame, corners[1]] - a, vertices[frame, corners[2]] - a))
    if not (place[2] > NEAR and -wp.dot(normal, place) > view.least_cosine * wp.length(place)):
        return
    x = view.focal[0] * place[0] / place[2] + view.center[0]
    y = view.focal[1] * place[1] / place[2] + view.center[1]
    if view.key_width > 0:
        corner = view.key_origins[frame]
        across = crop_size(view.key_sizes, frame, view.key_width, view.key_height)
        drawn = pixel_at(x - float(corner[0]), y - float(corner[1]), across[0], across[1])
        if drawn < 0:
            return
        inverse = key_inverse_depth(view.keys[frame, drawn])
        if place[2] * inverse > 1.0 + view.clearance * inverse:
            return
    corner = view.origins[frame]
    size = crop_size(view.sizes, frame, view.width, view.height)
    pixel = pixel_at(x - float(corner[0]), y - float(corner[1]), size[0], size[1])
    if pixel < 0:
        return
    depth = view.depths[frame, pixel]
    if not depth > NEAR:
        return
    # The middle of the pixel that the point is in.
    column = float(corner[0] + pixel % size[0]) + 0.5
    row = float(corner[1] + pixel // size[0]) + 0.5
    ray = wp.vec3((column - view.center[0]) / view.focal[0], (row - view.center[1]) / view.focal[1], 1.0)
    observed_out[frame, point] = ray * depth
    normals_out[frame, point] = normal


def match_depths(points, vertices, body, view, *, observed_out, normals_out):
    """Launch :func:`_match_depths` over all frames and points."""
    launch_slabs(
        _match_depths,
        dim=observed_out.shape,
        inputs=[points, vertices, body, view],
        outputs=[observed_out, normals_out],
        device=observed_out.device,
    )


@wp.kernel
def _add_depths(
    first_frame: int,
    points: wp.array2d[wp.vec3],  # [frame, point] camera frame
    observed: wp.array2d[wp.vec3],  # [frame, point] camera frame
    normals: wp.array2d[wp.vec3],  # [frame, point]; zero for points that do not count
    body: PointBody,
    poses: wp.array[wp.transform],  # [frame]
    scale: wp.array[Scale],  # [1] of a metre
    system: System,
    lanes: int,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Pull points onto what was measured, along the normals of the surface; matches and normals are held."""
    slab_frame, lane = wp.tid()
    frame = first_frame + slab_frame
    cost = wp.float64(0.0)
    for point in range(lane, points.shape[1], lanes):
        normal = normals[frame, point]
        if wp.dot(normal, normal) > 0.0:
            place = points[frame, point]
            seen = observed[frame, point]
            miss = wp.dot(normal, place - seen)
            trust = trust_of(miss, scale[0].reach)
            weight = wp.float64(scale[0].weight * trust * trust)
            cost += wp.float64(scale[0].weight * trust * miss * miss)
            pull = weight * wp.float64(miss)
            count = add_point(system, body, frame, frame, lane, poses[frame], point, place, normal, pull)
            if system.focal_column >= 0:
                # The longer the focal length, the closer the rays of the pixels lie to the axis.
                spread = normal[0] * seen[0] + normal[1] * seen[1]
                count = add_entry(system, frame, frame, lane, count, system.focal_column, spread, pull)
            close_row(system, frame, lane, count, weight, pull)
    if cost > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, cost)


def add_depths(points, observed, normals, body, poses, scale, system, *, lanes, cost_out):
    """Launch :func:`_add_depths` with ``lanes`` threads per frame sharing the points."""
    launch_slabs(
        _add_depths,
        dim=(cost_out.shape[0], lanes),
        inputs=[points, observed, normals, body, poses, scale, system, lanes],
        outputs=[cost_out],
        device=cost_out.device,
    )
