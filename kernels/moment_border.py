"""The border of a body's visible silhouette, followed pixel pair by pixel pair: what it adds to the moments, and moves.

Where a border moves by ``dn`` along its normal, the integral of ``f`` over the silhouette grows by the line integral
of ``f dn``.  There are three kinds.  Contours are owned by silhouette edges (:mod:`silhouette`) and move with the body
of their edge, be it the watched one or what hides it.  Where two surfaces meet, as at the pads of fingers that hold a
thing, the border is where their depths are equal, and moves with both.  The border of the picture does not move.
The derivatives are summed straight into a matrix per body, [moment, pose].
"""

import warp as wp

from warpprior.kernels.moments import (
    Aim,
    MomentMatrix,
    Moments,
    PictureView,
    cell_moments,
    clip_span,
    picture_span,
    span_moments,
)
from warpprior.kernels.silhouette import Outline, claim_entry, claim_epoch, cross_line, is_dominant
from warpprior.kernels.visibility import CHANNEL_NONE, key_channel, key_face, key_inverse_depth

wp.set_module_options({"enable_backward": False})

GRAZING = wp.constant(0.1)  # surfaces that meet under a smaller tangent move their border as if under this one
LEAST_COSINE = wp.constant(0.02)  # of a face with the line of sight: below, its depth is not followed


@wp.struct
class Drawing:
    """Bodies drawn in the window, and how they came there."""

    outline: Outline  # of one frame; its channels are the bodies
    faces: wp.array[wp.vec3i]  # [face]
    edge_bodies: wp.array[wp.int32]  # [edge] body of the edge, which is its channel
    vertices: wp.array2d[wp.vec3]  # [1, vertex] camera frame
    poses: wp.array[wp.transform]  # [body]
    aim: wp.array[Aim]  # [1]
    view: PictureView


@wp.struct
class Place:
    """A point of the border between the middles of two pixels of a row (axis 0) or column (axis 1)."""

    x: wp.float32  # in the window
    y: wp.float32
    share: wp.float32  # of the pixels that lies in the picture, across the line; 0: the point does not
    monomials: Moments
    strip: Moments  # integrals of the monomials from the seam between the pixels to the border


@wp.func
def border_sign(first: int, second: int, channel: int) -> float:
    """What the channel gains where a border between two pixels moves to the second: 1, -1, or 0 if it is neither."""
    if first == channel:
        return 1.0
    if second == channel:
        return -1.0
    return 0.0


@wp.func
def place_between(axis: int, column: int, row: int, offset: float, drawing: Drawing):
    """The place that is ``offset`` away from the middle of the first pixel; the seam is 0.5 away."""
    crop = drawing.outline.crop
    bounds_x = picture_span(drawing.aim[0], drawing.view, 0)
    bounds_y = picture_span(drawing.aim[0], drawing.view, 1)
    middle_x = 0.5 * float(crop.width)
    middle_y = 0.5 * float(crop.height)
    place = Place()
    place.x = float(column) + 0.5
    place.y = float(row) + 0.5
    across = clip_span(place.x - 0.5, place.x + 0.5, bounds_x, middle_x)
    down = clip_span(place.y - 0.5, place.y + 0.5, bounds_y, middle_y)
    place.share = 0.0
    if axis == 0:
        across = clip_span(place.x + 0.5, place.x + offset, bounds_x, middle_x)
        place.x = place.x + offset
        if place.x > bounds_x[0] and place.x < bounds_x[1]:
            place.share = float(down[1] - down[0])
    else:
        down = clip_span(place.y + 0.5, place.y + offset, bounds_y, middle_y)
        place.y = place.y + offset
        if place.y > bounds_y[0] and place.y < bounds_y[1]:
            place.share = float(across[1] - across[0])
    place.strip = cell_moments(span_moments(across), span_moments(down))
    x = wp.float64(place.x - middle_x)
    y = wp.float64(place.y - middle_y)
    place.monomials = Moments(wp.float64(1.0), x, y, x * x, x * y, y * y)
    return place


@wp.func
def pose_row(shift: wp.vec3, arm: wp.vec3) -> Moments:
    """Derivative by a body's pose: by its position, given, and by turns of an arm that ends at the place."""
    turn = wp.cross(arm, shift)
    return Moments(
        wp.float64(shift[0]),
        wp.float64(shift[1]),
        wp.float64(shift[2]),
        wp.float64(turn[0]),
        wp.float64(turn[1]),
        wp.float64(turn[2]),
    )


@wp.func
def contour_row(place: wp.vec3, root: wp.vec3, normal: wp.vec2, scale: float, view: PictureView) -> Moments:
    """How fast a point moves along a normal of the window with the pose of its body."""
    push = wp.vec2(scale * view.focal[0] * normal[0], scale * view.focal[1] * normal[1]) / place[2]
    shift = wp.vec3(push[0], push[1], -(push[0] * place[0] + push[1] * place[1]) / place[2])
    return pose_row(shift, place - root)


@wp.func
def add_contour(
    axis: int,
    column: int,
    row: int,
    owner: wp.uint64,
    channel: int,
    drawing: Drawing,
    sums: wp.array[Moments],
    border: wp.array[MomentMatrix],
    jacobians: wp.array[MomentMatrix],
):
    """Add what a pixel pair that a silhouette edge owns says, if it lies on the channel's border."""
    crop = drawing.outline.crop
    pixel = row * crop.width + column
    step = int(1)
    line = row
    if axis == 1:
        step = crop.width
        line = column
    first = key_channel(drawing.outline.keys[0, pixel])
    second = key_channel(drawing.outline.keys[0, pixel + step])
    sign = border_sign(first, second, channel)
    if sign == 0.0:
        return
    entry = claim_entry(owner)
    edge = entry // 2
    ends = drawing.outline.edges[edge]
    a = drawing.outline.screen[0, ends[0]]
    b = drawing.outline.screen[0, ends[1]]
    crossing = cross_line(a, b, entry % 2, axis, line, wp.vec2i(0, 0), crop)
    place = place_between(axis, column, row, crossing.offset, drawing)
    normal = wp.normalize(wp.vec2(b[1] - a[1], a[0] - b[0]))
    if is_dominant(a, b, axis):
        wp.atomic_add(sums, 0, wp.float64(sign) * place.strip)
        piece = wp.float64(place.share / wp.abs(normal[axis]))
        wp.atomic_add(border, 0, wp.outer(piece * place.monomials, place.monomials))
    if place.share > 0.0:
        # Rows say what a shift along x does and columns what one along y does; only the part along the normal is real.
        body = drawing.edge_bodies[edge]
        root = wp.transform_get_translation(drawing.poses[body])
        start = contour_row(drawing.vertices[0, ends[0]], root, normal, drawing.aim[0].scale, drawing.view)
        stop = contour_row(drawing.vertices[0, ends[1]], root, normal, drawing.aim[0].scale, drawing.view)
        speed = wp.float64(1.0 - crossing.weight) * start + wp.float64(crossing.weight) * stop
        gain = wp.float64(sign * place.share * normal[axis]) * place.monomials
        wp.atomic_add(jacobians, body, wp.outer(gain, speed))


@wp.func
def depth_slope(face: int, drawing: Drawing) -> wp.vec2:
    """How the inverse depth of a face changes along x and y of the window [1/m per pixel]."""
    corners = drawing.faces[face]
    a = drawing.outline.screen[0, corners[0]]
    b = drawing.outline.screen[0, corners[1]]
    c = drawing.outline.screen[0, corners[2]]
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    rise_b = 1.0 / b[2] - 1.0 / a[2]
    rise_c = 1.0 / c[2] - 1.0 / a[2]
    slope_x = (rise_b * (c[1] - a[1]) - rise_c * (b[1] - a[1])) / area
    slope_y = (rise_c * (b[0] - a[0]) - rise_b * (c[0] - a[0])) / area
    return wp.vec2(slope_x, slope_y)


@wp.func
def depth_row(face: int, body: int, place: wp.vec3, drawing: Drawing) -> Moments:
    """How the inverse depth of a face, where its plane meets a line of sight, changes with the pose of its body."""
    corners = drawing.faces[face]
    a = drawing.vertices[0, corners[0]]
    normal = wp.normalize(wp.cross(drawing.vertices[0, corners[1]] - a, drawing.vertices[0, corners[2]] - a))
    facing = wp.dot(normal, place)
    least = LEAST_COSINE * wp.length(place)
    if wp.abs(facing) < least:
        return Moments()
    shift = normal * (-1.0 / (facing * place[2]))
    return pose_row(shift, place - wp.transform_get_translation(drawing.poses[body]))


@wp.func
def add_meeting(
    axis: int,
    column: int,
    row: int,
    channel: int,
    drawing: Drawing,
    sums: wp.array[Moments],
    border: wp.array[MomentMatrix],
    jacobians: wp.array[MomentMatrix],
):
    """Add what a pixel pair on the channel's border says where the two surfaces seen in it go through each other."""
    crop = drawing.outline.crop
    pixel = row * crop.width + column
    step = int(1)
    if axis == 1:
        step = crop.width
    first_key = drawing.outline.keys[0, pixel]
    second_key = drawing.outline.keys[0, pixel + step]
    first = key_channel(first_key)
    second = key_channel(second_key)
    sign = border_sign(first, second, channel)
    if sign == 0.0 or first == CHANNEL_NONE or second == CHANNEL_NONE:
        return
    slope_first = depth_slope(key_face(first_key), drawing)
    slope_second = depth_slope(key_face(second_key), drawing)
    slope = slope_first - slope_second
    # How much nearer the first surface is at the middles of the two pixels.
    apart = key_inverse_depth(first_key) - key_inverse_depth(second_key)
    lead = apart + slope_second[axis]
    lag = -apart - slope_first[axis]
    # Rows or columns follow the border, not both: those that it crosses more steeply.  Where the planes of the faces
    # do not meet between the pixels, one hides the other.
    if not (lead > 0.0 and lag > 0.0 and wp.abs(slope[axis]) > wp.abs(slope[1 - axis])):
        return
    offset = lead / (lead + lag)
    place = place_between(axis, column, row, offset, drawing)
    wp.atomic_add(sums, 0, wp.float64(sign) * place.strip)
    if place.share > 0.0:
        piece = wp.float64(place.share * wp.length(slope) / wp.abs(slope[axis]))
        wp.atomic_add(border, 0, wp.outer(piece * place.monomials, place.monomials))
        aim = drawing.aim[0]
        view = drawing.view
        inverse = key_inverse_depth(first_key) + offset * slope_first[axis]
        ray = wp.vec3(
            (place.x / aim.scale + aim.corner[0] - view.center[0]) / view.focal[0],
            (place.y / aim.scale + aim.corner[1] - view.center[1]) / view.focal[1],
            1.0,
        )
        meeting = ray / inverse
        steepness = wp.max(lead + lag, GRAZING * inverse / (aim.scale * view.focal[axis]))
        gain = wp.float64(sign * place.share / steepness) * place.monomials
        wp.atomic_add(jacobians, first, wp.outer(gain, depth_row(key_face(first_key), first, meeting, drawing)))
        wp.atomic_add(jacobians, second, wp.outer(-gain, depth_row(key_face(second_key), second, meeting, drawing)))


@wp.kernel
def _sum_border(
    drawing: Drawing,
    channel: int,
    lanes: int,
    sums_out: wp.array[Moments],  # [1] added to
    border_out: wp.array[MomentMatrix],  # [1] line integral of products of monomials along the border, added to
    jacobians_out: wp.array[MomentMatrix],  # [body] [moment, pose] by position and by rotation, added to
):
    """All pixel pairs on the channel's border: the share of pixels beyond it, its length, and what moves it.

    Nothing is summed up in variables: Warp would copy them in every round of the loop.
    """
    lane = wp.tid()
    crop = drawing.outline.crop
    epoch = drawing.outline.epoch[0]
    for line in range(lane, 2 * crop.height, lanes):
        axis = int(0)
        row = line
        step = int(1)
        if line >= crop.height:
            axis = 1
            row = line - crop.height
            step = crop.width
        columns = crop.width - 1 + axis
        if axis == 1 and row == crop.height - 1:
            columns = 0
        for column in range(columns):
            owner = drawing.outline.owners[0, line * crop.width + column]
            if claim_epoch(owner) == epoch:
                add_contour(axis, column, row, owner, channel, drawing, sums_out, border_out, jacobians_out)
            else:
                pixel = row * crop.width + column
                if key_channel(drawing.outline.keys[0, pixel]) != key_channel(drawing.outline.keys[0, pixel + step]):
                    add_meeting(axis, column, row, channel, drawing, sums_out, border_out, jacobians_out)


def sum_border(drawing, channel, *, lanes, sums_out, border_out, jacobians_out):
    """Launch :func:`_sum_border` with ``lanes`` threads sharing the lines of pixel pairs."""
    wp.launch(
        _sum_border,
        dim=lanes,
        inputs=[drawing, channel, lanes],
        outputs=[sums_out, border_out, jacobians_out],
        device=sums_out.device,
        record_tape=False,
    )
