"""Moments of the visible silhouette of one body: area, centroid and spread, from a picture at any resolution.

The picture is drawn in a window around the body.  The moments of the hard labels are summed here, their border is
followed in :mod:`warpprior.kernels.moment_border`, and both are put together here.  Within the sums a moment is the
integral of a monomial 1, x, y, xx, xy, yy of the place in the window, from its middle.
"""

import warp as wp

from warpprior.kernels.camera import NEAR
from warpprior.kernels.silhouette import Crop
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


@wp.struct
class Aim:
    """Where the window lies in the picture: window = scale * (picture - corner)."""

    scale: wp.float32  # the window's pixels per pixel of the picture
    corner: wp.vec2  # left, top [px]


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
    aim_out: wp.array[Aim],  # [1]
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
    aim = Aim()
    aim.scale = scale
    aim.corner = wp.vec2(left, top)
    aim_out[index] = aim


def aim_window(poses, watched, corners, view, crop, *, aim_out):
    """Launch :func:`_aim_window`."""
    wp.launch(
        _aim_window,
        dim=1,
        inputs=[poses, watched, corners, view, crop],
        outputs=[aim_out],
        device=aim_out.device,
        record_tape=False,
    )


@wp.kernel
def _project_window(
    vertices: wp.array2d[wp.vec3],  # [frame, vertex] camera frame
    aim: wp.array[Aim],  # [1]
    view: PictureView,
    screen_out: wp.array2d[wp.vec3],  # [frame, vertex] place in the window [its pixels], depth [m]
):
    """Pinhole projection into the window."""
    frame, vertex = wp.tid()
    place = vertices[frame, vertex]
    depth = wp.max(place[2], NEAR)
    u = view.focal[0] * place[0] / depth + view.center[0]
    v = view.focal[1] * place[1] / depth + view.center[1]
    scale = aim[0].scale
    corner = aim[0].corner
    screen_out[frame, vertex] = wp.vec3(scale * (u - corner[0]), scale * (v - corner[1]), place[2])


def project_window(vertices, aim, view, *, screen_out):
    """Launch :func:`_project_window` over all vertices."""
    wp.launch(
        _project_window,
        dim=screen_out.shape,
        inputs=[vertices, aim, view],
        outputs=[screen_out],
        device=screen_out.device,
        record_tape=False,
    )


@wp.func
def picture_span(aim: Aim, view: PictureView, axis: int) -> wp.vec2:
    """Where the picture begins and ends in the window, along x (axis 0) or y (axis 1)."""
    corner = aim.corner[axis]
    return wp.vec2(-aim.scale * corner, aim.scale * (view.size[axis] - corner))


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
    aim: wp.array[Aim],  # [1]
    view: PictureView,
    crop: Crop,
    lanes: int,
    sums_out: wp.array[Moments],  # [1] added to
):
    """Moments of the pixels whose middle shows the channel, as far as they lie within the picture."""
    lane = wp.tid()
    bounds_x = picture_span(aim[0], view, 0)
    bounds_y = picture_span(aim[0], view, 1)
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


def sum_pixels(keys, channel, aim, view, crop, *, lanes, sums_out):
    """Launch :func:`_sum_pixels` with ``lanes`` threads sharing the rows."""
    wp.launch(
        _sum_pixels,
        dim=lanes,
        inputs=[keys, channel, aim, view, crop, lanes],
        outputs=[sums_out],
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
    aim: wp.array[Aim],  # [1]
    crop: Crop,
    result_out: wp.array[MomentMatrix],  # [2 + body] moments in the first row of the first; border; jacobians
):
    """From sums in the window to moments in the picture; all zero where nothing is seen."""
    index = wp.tid()
    result = MomentMatrix()
    if sums[0][0] >= LEAST_AREA:
        corner = aim[0].corner
        inverse = wp.float64(1.0) / wp.float64(aim[0].scale)
        powers = power_scale(inverse)
        scaled = inverse * inverse * wp.cw_mul(powers, sums[0])
        central = central_map(scaled)
        if index == 0:
            area = scaled[0]
            x = scaled[1] / area
            y = scaled[2] / area
            result[0, 0] = area
            result[0, 1] = wp.float64(corner[0]) + wp.float64(0.5) * wp.float64(crop.width) * inverse + x
            result[0, 2] = wp.float64(corner[1]) + wp.float64(0.5) * wp.float64(crop.height) * inverse + y
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


def finish_moments(sums, border, jacobians, aim, crop, *, result_out):
    """Launch :func:`_finish_moments`."""
    wp.launch(
        _finish_moments,
        dim=result_out.shape[0],
        inputs=[sums, border, jacobians, aim, crop],
        outputs=[result_out],
        device=result_out.device,
        record_tape=False,
    )
