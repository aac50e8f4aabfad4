"""Moments of the visible silhouette of one body - area, centroid, spread - and what moving the bodies does to them.

The picture is drawn at any resolution in a window around the body.  Owners of pixel pairs (:mod:`silhouette`) make the
moments of the hard labels exact along the border, and carry the derivatives: where a contour moves by ``dn`` along its
normal, the integral of ``f`` over the silhouette grows by the line integral of ``f dn``.  The derivatives are summed
straight into a matrix per body, [moment, pose]; a contour of the body itself moves with it, a contour of what hides it
moves with that, and the border of the picture does not move.

Within the sums a moment is the integral of a monomial 1, x, y, xx, xy, yy of the place in the window, from its middle.
"""

import warp as wp

from warpprior.kernels.camera import NEAR
from warpprior.kernels.silhouette import Crop, Crossing, claim_entry, claim_epoch, cross_line, is_dominant
from warpprior.kernels.visibility import key_channel

wp.set_module_options({"enable_backward": False})

Moments = wp.types.vector(length=6, dtype=wp.float64)
MomentMatrix = wp.types.matrix(shape=(6, 6), dtype=wp.float64)

EDGE = wp.constant(2.0)  # the window is wider than the body on each side [its pixels]
CLOSEST = wp.constant(8.0)  # the picture is magnified at most this much
LEAST_AREA = wp.constant(wp.float64(0.25))  # less is nothing [the window's pixels^2]


@wp.struct
class PictureView:
    """The camera whose picture is measured."""

    focal: wp.vec2
    center: wp.vec2
    size: wp.vec2  # width, height [px]


@wp.func
def aim_axis(low: float, high: float, size: float) -> wp.vec2:
    """Part of [low, high] within the picture, all of the picture where there is none."""
    first = wp.max(low, 0.0)
    last = wp.min(high, size)
    if not first < last:
        return wp.vec2(0.0, size)
    return wp.vec2(first, last)


@wp.kernel
def _aim_window(
    poses: wp.array[wp.transform],  # [body]
    watched: int,
    corners: wp.array[wp.vec3],  # [8] of a box around the watched body, in its own frame
    view: PictureView,
    crop: Crop,
    window_out: wp.array[wp.vec3],  # [1] scale, left, top: window = scale * (picture - (left, top))
):
    """Place the window around what the picture shows of the watched body, as large as fits."""
    index = wp.tid()
    pose = poses[watched]
    low = wp.vec2(view.size[0], view.size[1])
    high = wp.vec2(0.0, 0.0)
    near = int(0)
    for corner in range(corners.shape[0]):
        place = wp.transform_point(pose, corners[corner])
        if place[2] > NEAR:
            u = view.focal[0] * place[0] / place[2] + view.center[0]
            v = view.focal[1] * place[1] / place[2] + view.center[1]
            low = wp.vec2(wp.min(low[0], u), wp.min(low[1], v))
            high = wp.vec2(wp.max(high[0], u), wp.max(high[1], v))
        else:
            near = 1
    if near == 1:
        low = wp.vec2(0.0, 0.0)
        high = view.size
    across = aim_axis(low[0], high[0], view.size[0])
    down = aim_axis(low[1], high[1], view.size[1])
    scale = wp.min(
        (float(crop.width) - 2.0 * EDGE) / (across[1] - across[0]),
        (float(crop.height) - 2.0 * EDGE) / (down[1] - down[0]),
    )
    scale = wp.min(scale, CLOSEST)
    left = 0.5 * (across[0] + across[1]) - 0.5 * float(crop.width) / scale
    top = 0.5 * (down[0] + down[1]) - 0.5 * float(crop.height) / scale
    window_out[index] = wp.vec3(scale, left, top)


def aim_window(poses, watched, corners, view, crop, *, window_out):
    """Launch :func:`_aim_window`."""
    wp.launch(
        _aim_window,
        dim=1,
        inputs=[poses, watched, corners, view, crop],
        outputs=[window_out],
        device=window_out.device,
        record_tape=False,
    )


@wp.kernel
def _project_window(
    vertices: wp.array2d[wp.vec3],  # [frame, vertex] camera frame
    window: wp.array[wp.vec3],  # [1]
    view: PictureView,
    screen_out: wp.array2d[wp.vec3],  # [frame, vertex] place in the window [its pixels], depth [m]
):
    """Pinhole projection into the window."""
    frame, vertex = wp.tid()
    place = vertices[frame, vertex]
    depth = wp.max(place[2], NEAR)
    u = view.focal[0] * place[0] / depth + view.center[0]
    v = view.focal[1] * place[1] / depth + view.center[1]
    aim = window[0]
    screen_out[frame, vertex] = wp.vec3(aim[0] * (u - aim[1]), aim[0] * (v - aim[2]), place[2])


def project_window(vertices, window, view, *, screen_out):
    """Launch :func:`_project_window` over all vertices."""
    wp.launch(
        _project_window,
        dim=screen_out.shape,
        inputs=[vertices, window, view],
        outputs=[screen_out],
        device=screen_out.device,
        record_tape=False,
    )


@wp.func
def picture_span(window: wp.vec3, view: PictureView, axis: int) -> wp.vec2:
    """Where the picture begins and ends in the window, along x (axis 0) or y (axis 1)."""
    corner = window[1 + axis]
    return wp.vec2(-window[0] * corner, window[0] * (view.size[axis] - corner))


@wp.func
def clip_span(start: float, stop: float, bounds: wp.vec2, middle: float) -> wp.vec2d:
    """Both ends of a span held within bounds, and counted from the middle of the window; may run backwards."""
    first = wp.clamp(start, bounds[0], bounds[1])
    last = wp.clamp(stop, bounds[0], bounds[1])
    return wp.vec2d(wp.float64(first - middle), wp.float64(last - middle))


@wp.func
def span_moments(span: wp.vec2d) -> wp.vec3d:
    """Integrals of 1, x and x^2 over a span, negative where it runs backwards."""
    a = span[0]
    b = span[1]
    length = b - a
    return wp.vec3d(
        length, wp.float64(0.5) * length * (a + b), length * (a * a + a * b + b * b) * wp.float64(1.0 / 3.0)
    )


@wp.func
def cell_moments(across: wp.vec3d, down: wp.vec3d) -> Moments:
    """Integrals of the monomials over a rectangle, from those over its sides."""
    return Moments(
        across[0] * down[0],
        across[1] * down[0],
        across[0] * down[1],
        across[2] * down[0],
        across[1] * down[1],
        across[0] * down[2],
    )


@wp.kernel
def _sum_pixels(
    keys: wp.array2d[wp.uint64],  # [1, pixel]
    channel: int,
    window: wp.array[wp.vec3],  # [1]
    view: PictureView,
    crop: Crop,
    lanes: int,
    sums_out: wp.array[Moments],  # [1] added to
):
    """Moments of the pixels whose middle shows the channel, as far as they lie within the picture."""
    lane = wp.tid()
    bounds_x = picture_span(window[0], view, 0)
    bounds_y = picture_span(window[0], view, 1)
    middle_x = 0.5 * float(crop.width)
    middle_y = 0.5 * float(crop.height)
    total = Moments()
    for row in range(lane, crop.height, lanes):
        across = wp.vec3d()
        for column in range(crop.width):
            if key_channel(keys[0, row * crop.width + column]) == channel:
                across += span_moments(clip_span(float(column), float(column + 1), bounds_x, middle_x))
        if across[0] > wp.float64(0.0):
            down = span_moments(clip_span(float(row), float(row + 1), bounds_y, middle_y))
            total += cell_moments(across, down)
    if total[0] > wp.float64(0.0):
        wp.atomic_add(sums_out, 0, total)


def sum_pixels(keys, channel, window, view, crop, *, lanes, sums_out):
    """Launch :func:`_sum_pixels` with ``lanes`` threads sharing the rows."""
    wp.launch(
        _sum_pixels,
        dim=lanes,
        inputs=[keys, channel, window, view, crop, lanes],
        outputs=[sums_out],
        device=sums_out.device,
        record_tape=False,
    )


@wp.func
def crossing_sign(crossing: Crossing, keys: wp.array2d[wp.uint64], channel: int) -> float:
    """What the channel gains where the crossing moves towards larger x or y: 1, -1, or 0 on a border of others."""
    sign = float(0.0)
    if key_channel(keys[0, crossing.inside]) == channel:
        sign = 1.0
    elif key_channel(keys[0, crossing.outside]) == channel:
        sign = -1.0
    if crossing.inside_first == 0:
        sign = -sign
    return sign


@wp.func
def place_monomials(x: wp.float64, y: wp.float64) -> Moments:
    return Moments(wp.float64(1.0), x, y, x * x, x * y, y * y)


@wp.func
def pose_row(place: wp.vec3, origin: wp.vec3, normal: wp.vec2, scale: float, view: PictureView) -> Moments:
    """How fast a point moves along a normal of the window when its body shifts, and turns about its origin."""
    push = wp.vec2(scale * view.focal[0] * normal[0], scale * view.focal[1] * normal[1])
    inverse = 1.0 / place[2]
    shift = wp.vec3(
        push[0] * inverse, push[1] * inverse, -(push[0] * place[0] + push[1] * place[1]) * inverse * inverse
    )
    turn = wp.cross(place - origin, shift)
    return Moments(
        wp.float64(shift[0]),
        wp.float64(shift[1]),
        wp.float64(shift[2]),
        wp.float64(turn[0]),
        wp.float64(turn[1]),
        wp.float64(turn[2]),
    )


@wp.struct
class Border:
    """What the crossings of one drawing are made of."""

    screen: wp.array(dtype=wp.vec3, ndim=2)  # [1, vertex]
    vertices: wp.array(dtype=wp.vec3, ndim=2)  # [1, vertex] camera frame
    poses: wp.array(dtype=wp.transform)  # [body]
    edges: wp.array(dtype=wp.vec4i)  # [edge]
    edge_bodies: wp.array(dtype=wp.int32)  # [edge] body of the edge, which is its channel
    keys: wp.array(dtype=wp.uint64, ndim=2)  # [1, pixel]
    owners: wp.array(dtype=wp.uint64, ndim=2)  # [1, pixel pair]
    epoch: wp.array(dtype=wp.int32)  # [1]
    window: wp.array(dtype=wp.vec3)  # [1]


@wp.func
def add_crossing(
    slot: int,
    channel: int,
    outline: Border,
    view: PictureView,
    crop: Crop,
    sums: wp.array[Moments],
    border: wp.array[MomentMatrix],
    jacobians: wp.array[MomentMatrix],
):
    """Add what one owned pixel pair says, if it lies on the channel's border."""
    entry = claim_entry(outline.owners[0, slot])
    edge = entry // 2
    ends = outline.edges[edge]
    a = outline.screen[0, ends[0]]
    b = outline.screen[0, ends[1]]
    axis = int(0)
    pixel = slot
    if slot >= crop.width * crop.height:
        axis = 1
        pixel = slot - crop.width * crop.height
    row = pixel // crop.width
    column = pixel - row * crop.width
    line = row
    if axis == 1:
        line = column
    crossing = cross_line(a, b, entry % 2, axis, line, wp.vec2i(0, 0), crop)
    sign = crossing_sign(crossing, outline.keys, channel)
    if sign == 0.0:
        return
    aim = outline.window[0]
    bounds_x = picture_span(aim, view, 0)
    bounds_y = picture_span(aim, view, 1)
    middle_x = 0.5 * float(crop.width)
    middle_y = 0.5 * float(crop.height)
    normal = wp.normalize(wp.vec2(b[1] - a[1], a[0] - b[0]))
    # From the middle of the pair's first pixel the crossing is offset away, and the seam between the two 0.5.
    x = float(column) + 0.5
    y = float(row) + 0.5
    across = clip_span(x - 0.5, x + 0.5, bounds_x, middle_x)
    down = clip_span(y - 0.5, y + 0.5, bounds_y, middle_y)
    share = float(0.0)  # of the pair that lies in the picture, across its line
    if axis == 0:
        across = clip_span(x + 0.5, x + crossing.offset, bounds_x, middle_x)
        x = x + crossing.offset
        if x > bounds_x[0] and x < bounds_x[1]:
            share = float(down[1] - down[0])
    else:
        down = clip_span(y + 0.5, y + crossing.offset, bounds_y, middle_y)
        y = y + crossing.offset
        if y > bounds_y[0] and y < bounds_y[1]:
            share = float(across[1] - across[0])
    if is_dominant(a, b, axis):
        wp.atomic_add(sums, 0, wp.float64(sign) * cell_moments(span_moments(across), span_moments(down)))
    if share > 0.0:
        monomials = place_monomials(wp.float64(x - middle_x), wp.float64(y - middle_y))
        if is_dominant(a, b, axis):
            piece = wp.float64(share / wp.abs(normal[axis]))
            wp.atomic_add(border, 0, wp.outer(piece * monomials, monomials))
        body = outline.edge_bodies[edge]
        root = wp.transform_get_translation(outline.poses[body])
        start = pose_row(outline.vertices[0, ends[0]], root, normal, aim[0], view)
        stop = pose_row(outline.vertices[0, ends[1]], root, normal, aim[0], view)
        speed = wp.float64(1.0 - crossing.weight) * start + wp.float64(crossing.weight) * stop
        gain = wp.float64(sign * share * normal[axis]) * monomials
        wp.atomic_add(jacobians, body, wp.outer(gain, speed))


@wp.kernel
def _sum_crossings(
    outline: Border,
    channel: int,
    view: PictureView,
    crop: Crop,
    lanes: int,
    sums_out: wp.array[Moments],  # [1] added to
    border_out: wp.array[MomentMatrix],  # [1] line integral of products of monomials along the border, added to
    jacobians_out: wp.array[MomentMatrix],  # [body] [moment, pose] by position and by rotation, added to
):
    """Owned crossings on the channel's border: the share of pixels beyond it, its length, and what moves it.

    Nothing is summed up in variables: Warp would copy them in every round of the loop.
    """
    lane = wp.tid()
    epoch = outline.epoch[0]
    for slot in range(lane, 2 * crop.width * crop.height, lanes):
        if claim_epoch(outline.owners[0, slot]) == epoch:
            add_crossing(slot, channel, outline, view, crop, sums_out, border_out, jacobians_out)


def sum_crossings(outline, channel, view, crop, *, lanes, sums_out, border_out, jacobians_out):
    """Launch :func:`_sum_crossings` with ``lanes`` threads sharing the pixel pairs."""
    wp.launch(
        _sum_crossings,
        dim=lanes,
        inputs=[outline, channel, view, crop, lanes],
        outputs=[sums_out, border_out, jacobians_out],
        device=sums_out.device,
        record_tape=False,
    )


@wp.func
def power_scale(inverse: wp.float64) -> Moments:
    """Factors of the monomials from the window's pixels to the picture's."""
    square = inverse * inverse
    return Moments(wp.float64(1.0), inverse, inverse, square, square, square)


@wp.func
def central_map(sums: Moments) -> MomentMatrix:
    """Derivative of area, centroid and central second moments by the integrals of the monomials.

    Applied to the monomials of a place on the border it is what the border gains there when it moves outwards.
    """
    one = wp.float64(1.0)
    two = wp.float64(2.0)
    zero = wp.float64(0.0)
    share = one / sums[0]
    x = sums[1] * share
    y = sums[2] * share
    # The second moments about the middle, m = M / A - c c, change with M, c and A; c changes with its own sum.
    xx = sums[3] * share - two * x * x
    xy = sums[4] * share - two * x * y
    yy = sums[5] * share - two * y * y
    return MomentMatrix(
        one, zero, zero, zero, zero, zero,
        -x * share, share, zero, zero, zero, zero,
        -y * share, zero, share, zero, zero, zero,
        -xx * share, -two * x * share, zero, share, zero, zero,
        -xy * share, -y * share, -x * share, zero, share, zero,
        -yy * share, zero, -two * y * share, zero, zero, share,
    )  # fmt: skip


@wp.kernel
def _finish_moments(
    sums: wp.array[Moments],  # [1]
    border: wp.array[MomentMatrix],  # [1]
    jacobians: wp.array[MomentMatrix],  # [body]
    window: wp.array[wp.vec3],  # [1]
    crop: Crop,
    result_out: wp.array[MomentMatrix],  # [2 + body] moments in the first row of the first; border; jacobians
):
    """From sums in the window to moments in the picture; all zero where nothing is seen."""
    index = wp.tid()
    result = MomentMatrix()
    if sums[0][0] >= LEAST_AREA:
        aim = window[0]
        inverse = wp.float64(1.0) / wp.float64(aim[0])
        powers = power_scale(inverse)
        scaled = inverse * inverse * wp.cw_mul(powers, sums[0])
        central = central_map(scaled)
        if index == 0:
            area = scaled[0]
            x = scaled[1] / area
            y = scaled[2] / area
            result[0, 0] = area
            result[0, 1] = wp.float64(aim[1]) + wp.float64(0.5) * wp.float64(crop.width) * inverse + x
            result[0, 2] = wp.float64(aim[2]) + wp.float64(0.5) * wp.float64(crop.height) * inverse + y
            result[0, 3] = scaled[3] / area - x * x
            result[0, 4] = scaled[4] / area - x * y
            result[0, 5] = scaled[5] / area - y * y
        elif index == 1:
            units = wp.outer(inverse * powers, powers)
            result = central * wp.cw_mul(units, border[0]) * wp.transpose(central)
        else:
            units = wp.diag(inverse * inverse * powers)
            result = central * units * jacobians[index - 2]
    result_out[index] = result


def finish_moments(sums, border, jacobians, window, crop, *, result_out):
    """Launch :func:`_finish_moments`."""
    wp.launch(
        _finish_moments,
        dim=result_out.shape[0],
        inputs=[sums, border, jacobians, window, crop],
        outputs=[result_out],
        device=result_out.device,
        record_tape=False,
    )
