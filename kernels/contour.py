"""Contour (Eq. 2): a body's contour, drawn as if it were alone, comes to lie on the border of its label."""

import warp as wp

from warpprior.kernels.link_blocks import Carriers, add_carried_row
from warpprior.kernels.robust import Scale, trust_of
from warpprior.kernels.rows import ROWS, System, add_carried, add_entry, add_share, close_row
from warpprior.kernels.silhouette import Outline, crop_of, dominant_lines, is_dominant, visit_owned, walk_edge
from warpprior.kernels.slabs import launch_slabs
from warpprior.kernels.visibility import key_inverse_depth, pixel_within

wp.set_module_options({"enable_backward": False})

LOOSE = wp.constant(1.0e-6)  # [px] residuals this small are those of contours that may hide


@wp.struct
class Borders:
    """Where a body's label ends, and what may hide that."""

    fields: wp.array(dtype=wp.float32, ndim=3)  # [frame, 2, pixel] signed distances [px], see below; or empty, and
    pictures: wp.array(dtype=wp.float16)  # [2 * pixel + layer] the same, one frame's crop of the canvas after another
    starts: wp.array(dtype=wp.int32)  # [frame] first pixel of each
    crops: wp.array(dtype=wp.vec4i)  # [frame] column and row in the image, width, height
    blockers: wp.array(dtype=wp.uint64, ndim=2)  # [frame, pixel] keys of what else is there; empty: nothing
    walls: wp.array(dtype=wp.vec4i)  # [frame] where those are, as crops are; empty: where the outline is
    bodies: wp.array(dtype=wp.uint64, ndim=2)  # [body, place] keys of bodies drawn alone, this one among them
    views: wp.array(dtype=wp.vec4i, ndim=2)  # [body, frame] where those are; one frame's pixels after another's
    sizes: wp.array(dtype=wp.int32)  # [body] pixels that a frame has there
    number: wp.int32  # of this one
    clearance: wp.float32  # how far behind the contour another body must be to count as behind [m]
    shares: wp.array(dtype=wp.float32)  # [frame] how much a frame counts
    clips: wp.array(dtype=wp.int32)  # [frame] which clip it belongs to; empty: all to one
    bias: wp.array(dtype=wp.float32)  # [clip] how far borders lie outside the true ones, beyond what fields hold [px]
    misfit: wp.array(dtype=wp.float32)  # [clip] how far the true surface lies outside this [m]; empty: it does not
    misfit_column: wp.int32  # of that unknown
    focal: wp.vec2
    center: wp.vec2
    carriers: Carriers  # which links carry the edges; residuals depend on bias, misfit and focal length


BORDERS_OF_FRAMES = ("shares", "clips")  # [frame] of Borders, beside distances and what others hide


@wp.func
def first_pixel(x: float, y: float, width: int, height: int) -> wp.vec2i:
    """Column and row of the first of the four pixels between whose middles a place is, or is nearest to."""
    u = wp.clamp(x - 0.5, 0.0, float(width) - 1.001)
    v = wp.clamp(y - 0.5, 0.0, float(height) - 1.001)
    return wp.vec2i(wp.min(int(u), width - 2), wp.min(int(v), height - 2))  # clamps round in very wide pictures


@wp.func
def sample_field(
    fields: wp.array3d[wp.float32], frame: int, layer: int, x: float, y: float, width: int, height: int
) -> wp.vec3:
    """Bilinear value and gradient of a picture at (x, y) px from the crop's corner."""
    corner = first_pixel(x, y, width, height)
    s = wp.clamp(x - 0.5, 0.0, float(width) - 1.001) - float(corner[0])
    t = wp.clamp(y - 0.5, 0.0, float(height) - 1.001) - float(corner[1])
    pixel = corner[1] * width + corner[0]
    f00 = fields[frame, layer, pixel]
    f10 = fields[frame, layer, pixel + 1]
    f01 = fields[frame, layer, pixel + width]
    f11 = fields[frame, layer, pixel + width + 1]
    top = f00 + s * (f10 - f00)
    bottom = f01 + s * (f11 - f01)
    return wp.vec3(top + t * (bottom - top), (1.0 - t) * (f10 - f00) + t * (f11 - f01), bottom - top)


@wp.func
def sample_picture(borders: Borders, frame: int, layer: int, x: float, y: float) -> wp.vec3:
    """The same of a crop of its own at (x, y) px of the image.

    Beyond it distances grow, but where nothing pulls nothing does beyond, either.
    """
    crop = borders.crops[frame]
    width = crop[2]
    u = x - float(crop[0]) - 0.5
    v = y - float(crop[1]) - 0.5
    s = wp.clamp(u, 0.0, float(width) - 1.001)
    t = wp.clamp(v, 0.0, float(crop[3]) - 1.001)
    beyond = wp.vec2(u - wp.clamp(u, 0.0, float(width) - 1.0), v - wp.clamp(v, 0.0, float(crop[3]) - 1.0))
    column = wp.min(int(s), width - 2)
    row = wp.min(int(t), crop[3] - 2)
    s = s - float(column)
    t = t - float(row)
    place = 2 * (borders.starts[frame] + row * width + column) + layer
    f00 = float(borders.pictures[place])
    f10 = float(borders.pictures[place + 2])
    f01 = float(borders.pictures[place + 2 * width])
    f11 = float(borders.pictures[place + 2 * width + 2])
    top = f00 + s * (f10 - f00)
    bottom = f01 + s * (f11 - f01)
    value = top + t * (bottom - top)
    along = (1.0 - t) * (f10 - f00) + t * (f11 - f01)
    down = bottom - top
    reach = wp.length(beyond)
    if reach > 0.0 and wp.abs(value) > LOOSE:
        value += reach
        along += beyond[0] / reach
        down += beyond[1] / reach
    return wp.vec3(value, along, down)


@wp.func
def blocking_key(borders: Borders, outline: Outline, frame: int, pixel: int) -> wp.uint64:
    """The nearest of all other bodies in a pixel of the outline's crop."""
    nearest = wp.uint64(0)
    origin = outline.origins[frame]
    width = crop_of(outline, frame).width
    column = origin[0] + pixel % width
    row = origin[1] + pixel // width
    if borders.blockers.shape[0] > 0:
        wall = pixel
        if borders.walls.shape[0] > 0:
            wall = pixel_within(borders.walls[frame], column, row)
        if wall >= 0:
            nearest = borders.blockers[frame, wall]
    for body in range(borders.bodies.shape[0]):
        if body != borders.number:
            view = borders.views[body, frame]
            place = pixel_within(view, column, row)
            if place >= 0:
                nearest = wp.max(nearest, borders.bodies[body, frame * borders.sizes[body] + place])
    return nearest


@wp.kernel
def _add_contour(
    first_frame: int,
    outline: Outline,
    stride: int,
    borders: Borders,
    scale: wp.array[Scale],  # [1] of a pixel, per pixel of contour
    poses: wp.array[wp.transform],  # [frame]
    start: int,  # column of the body's root
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Pull the visible contour towards the zero of a distance picture, along the contour's normal.

    Where no other body is behind the contour, it may hide: the first picture is zero all over other bodies' labels.
    Where another body is behind it, the body must end where its own label ends: the second picture.
    """
    slab_frame, lane = wp.tid()
    frame = first_frame + slab_frame
    origin = outline.origins[frame]
    pose = poses[frame]
    width = scale[0].reach
    believed = scale[0].weight * borders.shares[frame]
    clip = int(0)
    if borders.clips.shape[0] > 0:
        clip = borders.clips[frame]
    cost = wp.float64(0.0)
    for slot in range(lane, outline.counts[frame], stride):
        walk = walk_edge(outline, frame, slot)
        axis = int(1)
        if is_dominant(walk.a, walk.b, 0):
            axis = 0
        along = wp.normalize(wp.vec2(walk.b[0] - walk.a[0], walk.b[1] - walk.a[1]))
        normal = wp.vec2(along[1], -along[0])
        if walk.entry % 2 == 0:
            normal = -normal
        lines = dominant_lines(walk)
        for index in range(lines[0], lines[1]):
            crossing = visit_owned(outline, walk, index)
            if crossing.valid == 1:
                t = crossing.weight
                x = walk.a[0] + t * (walk.b[0] - walk.a[0])
                y = walk.a[1] + t * (walk.b[1] - walk.a[1])
                depth = 1.0 / ((1.0 - t) / walk.a[2] + t / walk.b[2])
                layer = int(0)
                blocker = key_inverse_depth(blocking_key(borders, outline, frame, crossing.inside))
                if blocker > 0.0 and 1.0 / blocker > depth + borders.clearance:
                    layer = 1
                u = x - float(origin[0])
                v = y - float(origin[1])
                found = wp.vec3(0.0, 0.0, 0.0)
                if borders.pictures.shape[0] > 0:
                    found = sample_picture(borders, frame, layer, x, y)
                else:
                    found = sample_field(borders.fields, frame, layer, u, v, outline.crop.width, outline.crop.height)
                residual = found[0]
                loose = wp.abs(residual) <= LOOSE
                biased = system.bias_column >= 0 and layer == 0 and not loose
                misfit_px = float(0.0)
                per_metre = borders.focal[0] / depth
                fits = borders.misfit.shape[0] == 0 or loose
                if not fits:
                    misfit_px = borders.misfit[clip] * per_metre
                if biased:
                    residual += borders.bias[clip]
                residual += misfit_px
                slope_px = found[1] * normal[0] + found[2] * normal[1]
                trust = trust_of(residual, width)
                length = 1.0 / wp.max(wp.abs(along[1 - axis]), 0.5)
                weight = believed * trust * trust * length
                cost += wp.float64(believed * length * residual * residual * trust)
                pull = wp.float64(weight * residual)
                ray_x = (x - borders.center[0]) / borders.focal[0]
                ray_y = (y - borders.center[1]) / borders.focal[1]
                pull_x = slope_px * normal[0] * borders.focal[0] / depth
                pull_y = slope_px * normal[1] * borders.focal[1] / depth
                direction = wp.vec3(pull_x, pull_y, -pull_x * ray_x - pull_y * ray_y - misfit_px / depth)
                place = wp.vec3(ray_x, ray_y, 1.0) * depth
                # The point's share of the far end, in space: nearer ends are drawn larger.
                far = t * depth / walk.b[2]
                shared = wp.vec3(0.0, 0.0, 0.0)
                if biased:
                    shared[0] = 1.0
                if not fits:
                    shared[1] = per_metre
                if system.focal_column >= 0:
                    spread = slope_px * (normal[0] * (x - borders.center[0]) + normal[1] * (y - borders.center[1]))
                    shared[2] = spread + misfit_px
                if borders.carriers.on == 1 and system.mode == ROWS:
                    add_carried_row(
                        borders.carriers,
                        frame,
                        walk.entry // 2,
                        wp.vec3(1.0 - far, far, 0.0),
                        place,
                        direction,
                        shared,
                        wp.float64(weight),
                        pull,
                    )
                else:
                    near = direction * (1.0 - far)
                    count = add_carried(system, frame, frame, lane, 0, start, pose, place, direction, pull)
                    count = add_share(system, frame, frame, lane, count, walk.ends[0], near, 1.0, pull)
                    count = add_share(system, frame, frame, lane, count, walk.ends[1], direction * far, 1.0, pull)
                    if biased:
                        count = add_entry(system, frame, frame, lane, count, system.bias_column, shared[0], pull)
                    if not fits:
                        count = add_entry(system, frame, frame, lane, count, borders.misfit_column, shared[1], pull)
                    if system.focal_column >= 0:
                        count = add_entry(system, frame, frame, lane, count, system.focal_column, shared[2], pull)
                    close_row(system, frame, lane, count, wp.float64(weight), pull)
    if cost > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, cost)


def add_contour(outline, borders, scale, poses, start, system, *, stride, cost_out):
    """Launch :func:`_add_contour`; ``stride`` threads of a frame share the edges."""
    launch_slabs(
        _add_contour,
        dim=(cost_out.shape[0], stride),
        inputs=[outline, stride, borders, scale, poses, start, system],
        outputs=[cost_out],
        device=cost_out.device,
    )
