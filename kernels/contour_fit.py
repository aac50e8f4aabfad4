"""Normal equations that pull a body's contour onto a label image, for Gauss-Newton.  Forward only."""

import warp as wp

from warpprior.kernels.rows import Chains, Rows, add_chain, add_entry, add_root, close_row, point_derivative
from warpprior.kernels.silhouette import Crop, claim_key, cross_line, crossed_lines, is_dominant
from warpprior.kernels.slabs import launch_slabs
from warpprior.kernels.visibility import key_inverse_depth

wp.set_module_options({"enable_backward": False})

LOOSE = wp.constant(1.0e-6)  # [px] residuals this small are those of contours that may hide


@wp.func
def sample_field(
    fields: wp.array3d[wp.float32], frame: int, layer: int, x: float, y: float, width: int, height: int
) -> wp.vec3:
    """Bilinear value and gradient of a picture at (x, y) px from the crop's corner."""
    u = wp.clamp(x - 0.5, 0.0, float(width) - 1.001)
    v = wp.clamp(y - 0.5, 0.0, float(height) - 1.001)
    column = wp.min(int(u), width - 2)  # the clamp itself is rounded in very wide pictures
    row = wp.min(int(v), height - 2)
    s = u - float(column)
    t = v - float(row)
    pixel = row * width + column
    f00 = fields[frame, layer, pixel]
    f10 = fields[frame, layer, pixel + 1]
    f01 = fields[frame, layer, pixel + width]
    f11 = fields[frame, layer, pixel + width + 1]
    top = f00 + s * (f10 - f00)
    bottom = f01 + s * (f11 - f01)
    return wp.vec3(top + t * (bottom - top), (1.0 - t) * (f10 - f00) + t * (f11 - f01), bottom - top)


@wp.kernel
def _accumulate_contour(
    first_frame: int,
    screen: wp.array2d[wp.vec3],  # [frame, vertex]
    edges: wp.array[wp.vec4i],  # [edge]
    counts: wp.array[wp.int32],  # [frame]
    entries: wp.array2d[wp.int32],  # [frame, slot]
    owners: wp.array2d[wp.uint64],  # [frame, pixel pair]
    origins: wp.array[wp.vec2i],  # [frame]
    crop: Crop,
    epoch: wp.array[wp.int32],  # [1]
    stride: int,
    fields: wp.array3d[wp.float32],  # [frame, 2, pixel] signed distances [px], see below
    blockers: wp.array2d[wp.uint64],  # [frame, pixel] keys of the other bodies
    clearance: wp.array[wp.float32],  # [1] how far behind the contour another body must be to count as behind [m]
    poses: wp.array[wp.transform],  # [frame]
    focal: wp.vec2,
    center: wp.vec2,
    scales: wp.array[wp.float32],  # [frame] weight of a pixel of contour [1/px^2]
    reach: wp.array[wp.float32],  # [1] residuals beyond this count less and less [px]
    chains: Chains,
    rows: Rows,
    start: int,  # column of the body's root
    bias_column: int,  # of how far borders with the background lie outside [px], and
    focal_column: int,  # of the logarithm of the focal length; -1 where it is not sought
    bias: wp.array[wp.float32],  # [1] [px], beyond what the distance pictures hold
    hessian_out: wp.array4d[wp.float64],  # [frame, 4, column, column] added to
    gradient_out: wp.array3d[wp.float64],  # [frame, 2, column] added to
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Pull the visible contour towards the zero of a distance picture, along the contour's normal.

    Where no other body is behind the contour, it may hide: the first picture is zero all over other bodies' labels.
    Where another body is behind it, the body must end where its own label ends: the second picture.
    """
    slab_frame, lane = wp.tid()
    frame = first_frame + slab_frame
    origin = origins[frame]
    pose = poses[frame]
    position = wp.transform_get_translation(pose)
    width = reach[0]
    cost = wp.float64(0.0)
    for slot in range(lane, counts[frame], stride):
        entry = entries[frame, slot]
        edge = edges[entry // 2]
        a = screen[frame, edge[0]]
        b = screen[frame, edge[1]]
        axis = int(1)
        if is_dominant(a, b, 0):
            axis = 0
        along = wp.normalize(wp.vec2(b[0] - a[0], b[1] - a[1]))
        normal = wp.vec2(along[1], -along[0])
        if entry % 2 == 0:
            normal = -normal
        lines = crossed_lines(a, b, axis, origin, crop)
        for line in range(lines[0], lines[1]):
            crossing = cross_line(a, b, entry % 2, axis, line, origin, crop)
            if crossing.valid == 1:
                if owners[frame, crossing.slot] == claim_key(epoch[0], crossing, entry):
                    t = crossing.weight
                    x = a[0] + t * (b[0] - a[0])
                    y = a[1] + t * (b[1] - a[1])
                    depth = 1.0 / ((1.0 - t) / a[2] + t / b[2])
                    layer = int(0)
                    blocker = key_inverse_depth(blockers[frame, crossing.inside])
                    if blocker > 0.0 and 1.0 / blocker > depth + clearance[0]:
                        layer = 1
                    found = sample_field(
                        fields, frame, layer, x - float(origin[0]), y - float(origin[1]), crop.width, crop.height
                    )
                    residual = found[0]
                    biased = bias_column >= 0 and layer == 0 and wp.abs(residual) > LOOSE
                    if biased:
                        residual += bias[0]
                    slope = found[1] * normal[0] + found[2] * normal[1]
                    ratio = residual / width
                    trust = 1.0 / (1.0 + ratio * ratio)
                    length = 1.0 / wp.max(wp.abs(along[1 - axis]), 0.5)
                    weight = scales[frame] * trust * trust * length
                    cost += wp.float64(scales[frame] * length * residual * residual * trust)
                    ray = wp.vec3((x - center[0]) / focal[0], (y - center[1]) / focal[1], 1.0)
                    pull_x = slope * normal[0] * focal[0] / depth
                    pull_y = slope * normal[1] * focal[1] / depth
                    direction = wp.vec3(pull_x, pull_y, -pull_x * ray[0] - pull_y * ray[1])
                    # The point's share of the far end, in space: nearer ends are drawn larger.
                    far = t * depth / b[2]
                    count = add_root(
                        rows, frame, lane, 0, start, point_derivative(pose, ray * depth - position, direction)
                    )
                    count = add_chain(rows, chains, frame, lane, count, edge[0], direction * (1.0 - far))
                    count = add_chain(rows, chains, frame, lane, count, edge[1], direction * far)
                    if biased:
                        count = add_entry(rows, frame, lane, count, bias_column, 1.0)
                    if focal_column >= 0:
                        spread = slope * (normal[0] * (x - center[0]) + normal[1] * (y - center[1]))
                        count = add_entry(rows, frame, lane, count, focal_column, spread)
                    scaled = wp.float64(weight * residual)
                    close_row(rows, frame, lane, count, wp.float64(weight), scaled, hessian_out, gradient_out)
    if cost > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, cost)


def accumulate_contour(
    canvas_arrays,
    fields,
    blockers,
    clearance,
    poses,
    focal,
    center,
    scales,
    reach,
    chains,
    rows,
    bias,
    *,
    start,
    bias_column=-1,
    focal_column=-1,
    stride,
    hessian_out,
    gradient_out,
    cost_out,
):
    """Launch :func:`_accumulate_contour`; ``canvas_arrays`` are its arguments from ``screen`` to ``epoch``."""
    launch_slabs(
        _accumulate_contour,
        dim=(cost_out.shape[0], stride),
        inputs=[
            *canvas_arrays, stride, fields, blockers, clearance, poses, focal, center, scales, reach,
            chains, rows, start, bias_column, focal_column, bias,
        ],
        outputs=[hessian_out, gradient_out, cost_out],
        device=cost_out.device,
    )  # fmt: skip
