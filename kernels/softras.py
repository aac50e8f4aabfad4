"""The silhouette of SoftRas, the paper's renderer: one minus the product over all faces of one minus their probability.

A face's probability in a pixel is ``sigmoid(+-d^2 / softness)``, d being the distance of the pixel's centre to its
border, plus inside.  Depth plays no part, and back faces count as front faces do, so masks are larger than bodies by an
amount that depends on the mesh.  Faces scatter the logarithms, whose sum needs no order.
"""

import warp as wp

from warpprior.kernels.camera import NEAR
from warpprior.kernels.silhouette import IGNORE, Crop

wp.set_module_options({"enable_backward": False})

TAIL = wp.constant(9.2102404)  # faces less probable than 1e-4 are left out: ln(1 / 1e-4 - 1)
LEAST_AREA = wp.constant(1.0e-8)  # [px^2] faces seen edge-on have no inside


@wp.struct
class FaceView:
    """A face on the screen: its corners, and its edges as lines with the inside on their positive side."""

    a: wp.vec2
    b: wp.vec2
    c: wp.vec2
    normal_ab: wp.vec2
    normal_bc: wp.vec2
    normal_ca: wp.vec2
    left: wp.float32  # of the box that the face reaches [px]
    top: wp.float32
    right: wp.float32
    bottom: wp.float32
    reach: wp.float32  # [px]
    valid: wp.int32


@wp.func
def line_normal(start: wp.vec2, end: wp.vec2, turn: float) -> wp.vec2:
    """Unit normal of an edge; zero for an edge without length."""
    along = end - start
    return wp.vec2(-along[1], along[0]) * (turn / wp.max(wp.length(along), 1.0e-12))


@wp.func
def view_face(a: wp.vec3, b: wp.vec3, c: wp.vec3, softness: float) -> FaceView:
    """The face as pixels see it; invalid edge-on and at the near plane."""
    view = FaceView()
    view.valid = 0
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    if wp.min(a[2], wp.min(b[2], c[2])) <= NEAR or wp.abs(area) <= LEAST_AREA:
        return view
    turn = wp.sign(area)
    view.a = wp.vec2(a[0], a[1])
    view.b = wp.vec2(b[0], b[1])
    view.c = wp.vec2(c[0], c[1])
    view.normal_ab = line_normal(view.a, view.b, turn)
    view.normal_bc = line_normal(view.b, view.c, turn)
    view.normal_ca = line_normal(view.c, view.a, turn)
    view.reach = wp.sqrt(softness * TAIL)
    view.left = wp.min(a[0], wp.min(b[0], c[0])) - view.reach
    view.top = wp.min(a[1], wp.min(b[1], c[1])) - view.reach
    view.right = wp.max(a[0], wp.max(b[0], c[0])) + view.reach
    view.bottom = wp.max(a[1], wp.max(b[1], c[1])) + view.reach
    view.valid = 1
    return view


@wp.func
def clip_by_line(corner: wp.vec2, normal: wp.vec2, y: float, reach: float, span: wp.vec2) -> wp.vec2:
    """Part of the span of x at height y that lies less than ``reach`` behind a line."""
    bound = -reach - normal[1] * (y - corner[1])
    if normal[0] > 1.0e-6:
        return wp.vec2(wp.max(span[0], corner[0] + bound / normal[0]), span[1])
    if normal[0] < -1.0e-6:
        return wp.vec2(span[0], wp.min(span[1], corner[0] + bound / normal[0]))
    return span


@wp.func
def reached_rows(view: FaceView, corner_y: float, height: int) -> wp.vec2i:
    """First and one past the last row of the crop that the face may reach."""
    first = wp.max(int(wp.ceil(wp.max(view.top - corner_y, -1.0) - 0.5)), 0)
    last = wp.min(int(wp.floor(wp.min(view.bottom - corner_y, float(height)) - 0.5)), height - 1)
    return wp.vec2i(first, last + 1)


@wp.func
def reached_columns(view: FaceView, y: float, corner_x: float, width: int) -> wp.vec2i:
    """First and one past the last column of the crop, at height y, that the face may reach."""
    span = wp.vec2(view.left, view.right)
    span = clip_by_line(view.a, view.normal_ab, y, view.reach, span)
    span = clip_by_line(view.b, view.normal_bc, y, view.reach, span)
    span = clip_by_line(view.c, view.normal_ca, y, view.reach, span)
    first = wp.max(int(wp.ceil(wp.max(span[0] - corner_x, -1.0) - 0.5)), 0)
    stop = wp.min(int(wp.floor(wp.min(span[1] - corner_x, float(width)) - 0.5)) + 1, width)
    return wp.vec2i(first, stop)


@wp.struct
class Nearest:
    """Where a point is nearest to an edge, or to the border of a face."""

    square: wp.float32  # of the distance [px^2]; of a face: minus outside
    place: wp.float32  # along the edge, 0 at its start and 1 at its end
    edge: wp.int32  # of a face: 0 ab, 1 bc, 2 ca


@wp.func
def edge_place(point: wp.vec2, start: wp.vec2, end: wp.vec2) -> Nearest:
    """The nearest place on an edge."""
    along = end - start
    place = wp.clamp(wp.dot(point - start, along) / wp.max(wp.dot(along, along), 1.0e-12), 0.0, 1.0)
    offset = point - start - place * along
    found = Nearest()
    found.square = wp.dot(offset, offset)
    found.place = place
    return found


@wp.func
def signed_square(view: FaceView, point: wp.vec2) -> Nearest:
    """The nearest place on a face's border, with the squared distance to it, minus outside."""
    depth_ab = wp.dot(point - view.a, view.normal_ab)
    depth_bc = wp.dot(point - view.b, view.normal_bc)
    depth_ca = wp.dot(point - view.c, view.normal_ca)
    inside = depth_ab >= 0.0 and depth_bc >= 0.0 and depth_ca >= 0.0
    best = Nearest()
    best.square = 1.0e30
    if depth_ab < 0.0 or (inside and depth_ab <= depth_bc and depth_ab <= depth_ca):
        best = edge_place(point, view.a, view.b)
    if depth_bc < 0.0 or (inside and depth_bc < depth_ab and depth_bc <= depth_ca):
        found = edge_place(point, view.b, view.c)
        if found.square < best.square:
            best = found
            best.edge = 1
    if depth_ca < 0.0 or (inside and depth_ca < depth_ab and depth_ca < depth_bc):
        found = edge_place(point, view.c, view.a)
        if found.square < best.square:
            best = found
            best.edge = 2
    if not inside:
        best.square = -best.square
    return best


@wp.func
def softplus(x: float) -> float:
    """log(1 + exp(x)) without overflow."""
    return wp.max(x, 0.0) + wp.log(1.0 + wp.exp(-wp.abs(x)))


@wp.func
def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)) without overflow."""
    small = wp.exp(-wp.abs(x))
    if x >= 0.0:
        return 1.0 / (1.0 + small)
    return small / (1.0 + small)


@wp.kernel
def _scatter_logs(
    screen: wp.array2d[wp.vec3],  # [frame, vertex] u, v, depth
    faces: wp.array[wp.vec3i],  # [face]
    face_channels: wp.array[wp.int32],  # [face]
    origins: wp.array[wp.vec2i],  # [frame]
    crop: Crop,
    softness: wp.array[wp.float32],  # [1] [px^2]
    logs_out: wp.array3d[wp.float32],  # [frame, channel, pixel] log(1 - mask), added to
):
    """One thread per frame and face: add log(1 - probability) to the pixels that the face reaches."""
    frame, face = wp.tid()
    corners = faces[face]
    view = view_face(screen[frame, corners[0]], screen[frame, corners[1]], screen[frame, corners[2]], softness[0])
    if view.valid == 0:
        return
    corner_x = float(origins[frame][0])
    corner_y = float(origins[frame][1])
    rows = reached_rows(view, corner_y, crop.height)
    channel = face_channels[face]
    limit = -view.reach * view.reach
    inverse = 1.0 / softness[0]
    for row in range(rows[0], rows[1]):
        y = corner_y + float(row) + 0.5
        columns = reached_columns(view, y, corner_x, crop.width)
        for column in range(columns[0], columns[1]):
            found = signed_square(view, wp.vec2(corner_x + float(column) + 0.5, y))
            if found.square >= limit:
                wp.atomic_add(logs_out, frame, channel, row * crop.width + column, -softplus(found.square * inverse))


def scatter_logs(screen, faces, face_channels, origins, crop, softness, *, logs_out):
    """Launch :func:`_scatter_logs`; ``logs_out`` must have been zeroed, or hold the logs of what does not move."""
    wp.launch(
        _scatter_logs,
        dim=(logs_out.shape[0], faces.shape[0]),
        inputs=[screen, faces, face_channels, origins, crop, softness],
        outputs=[logs_out],
        device=logs_out.device,
        record_tape=False,
    )


@wp.kernel
def _compare_products(
    logs: wp.array3d[wp.float32],  # [frame, channel, pixel]
    targets: wp.array2d[wp.uint8],  # [frame, pixel] channel, background or ignored
    scales: wp.array2d[wp.float32],  # [frame, channel] loss per pixel of squared error, times sigma
    sigma: wp.array[wp.float32],  # [1]
    crop: Crop,
    lanes: int,
    row: int,
    rows_out: wp.array2d[wp.float32],  # [term, frame] added to
    differences_out: wp.array3d[wp.float32],  # [frame, channel, pixel] minus the loss's derivative by the logs
):
    """Squared difference between soft masks and hard targets, ``lanes`` threads per frame and pixel row."""
    frame, line, lane = wp.tid()
    total = float(0.0)
    for column in range(lane, crop.width, lanes):
        pixel = line * crop.width + column
        target = int(targets[frame, pixel])
        for channel in range(crop.channel_count):
            log = logs[frame, channel, pixel]
            if log != 0.0 or target == channel:
                outside = wp.exp(log)
                residual = 1.0 - outside
                if target == channel:
                    residual = -outside
                if target == IGNORE:
                    residual = 0.0
                scale = scales[frame, channel] / sigma[0]
                total += scale * residual * residual
                differences_out[frame, channel, pixel] = 2.0 * scale * residual * outside
    if total > 0.0:
        wp.atomic_add(rows_out, row, frame, total)


def compare_products(logs, targets, scales, sigma, crop, row, *, lanes, rows_out, differences_out):
    """Launch :func:`_compare_products` over all frames and pixel rows."""
    wp.launch(
        _compare_products,
        dim=(logs.shape[0], crop.height, lanes),
        inputs=[logs, targets, scales, sigma, crop, lanes, row],
        outputs=[rows_out, differences_out],
        device=logs.device,
        record_tape=False,
    )


@wp.kernel
def _push_log_gradient(
    screen: wp.array2d[wp.vec3],  # [frame, vertex]
    faces: wp.array[wp.vec3i],  # [face]
    face_channels: wp.array[wp.int32],  # [face]
    origins: wp.array[wp.vec2i],  # [frame]
    crop: Crop,
    softness: wp.array[wp.float32],  # [1] [px^2]
    differences: wp.array3d[wp.float32],  # [frame, channel, pixel] minus a loss's derivative by the logs
    row: int,
    row_gradients: wp.array2d[wp.float32],  # [term, frame]
    screen_gradients_out: wp.array2d[wp.vec3],  # [frame, vertex] added to
):
    """Adjoint of :func:`_scatter_logs`: every pixel a face reaches pulls at the two ends of its nearest edge."""
    frame, face = wp.tid()
    corners = faces[face]
    view = view_face(screen[frame, corners[0]], screen[frame, corners[1]], screen[frame, corners[2]], softness[0])
    seed = row_gradients[row, frame]
    if view.valid == 0 or seed == 0.0:
        return
    corner_x = float(origins[frame][0])
    corner_y = float(origins[frame][1])
    rows = reached_rows(view, corner_y, crop.height)
    channel = face_channels[face]
    limit = -view.reach * view.reach
    inverse = 1.0 / softness[0]
    gradient_a = wp.vec2(0.0, 0.0)
    gradient_b = wp.vec2(0.0, 0.0)
    gradient_c = wp.vec2(0.0, 0.0)
    for row_line in range(rows[0], rows[1]):
        y = corner_y + float(row_line) + 0.5
        columns = reached_columns(view, y, corner_x, crop.width)
        for column in range(columns[0], columns[1]):
            difference = differences[frame, channel, row_line * crop.width + column]
            if difference != 0.0:
                point = wp.vec2(corner_x + float(column) + 0.5, y)
                found = signed_square(view, point)
                if found.square >= limit:
                    place = found.place
                    start = view.a
                    end = view.b
                    if found.edge == 1:
                        start = view.b
                        end = view.c
                    elif found.edge == 2:
                        start = view.c
                        end = view.a
                    pull = (point - start - place * (end - start)) * (difference * sigmoid(found.square * inverse))
                    if found.square > 0.0:
                        pull = -pull
                    if found.edge == 0:
                        gradient_a += (1.0 - place) * pull
                        gradient_b += place * pull
                    elif found.edge == 1:
                        gradient_b += (1.0 - place) * pull
                        gradient_c += place * pull
                    else:
                        gradient_c += (1.0 - place) * pull
                        gradient_a += place * pull
    factor = 2.0 * inverse * seed
    wp.atomic_add(screen_gradients_out, frame, corners[0], wp.vec3(gradient_a[0], gradient_a[1], 0.0) * factor)
    wp.atomic_add(screen_gradients_out, frame, corners[1], wp.vec3(gradient_b[0], gradient_b[1], 0.0) * factor)
    wp.atomic_add(screen_gradients_out, frame, corners[2], wp.vec3(gradient_c[0], gradient_c[1], 0.0) * factor)


def push_log_gradient(
    screen,
    faces,
    face_channels,
    origins,
    crop,
    softness,
    differences,
    row,
    row_gradients,
    *,
    screen_gradients_out,
):
    """Launch :func:`_push_log_gradient` over all frames and faces."""
    wp.launch(
        _push_log_gradient,
        dim=(screen_gradients_out.shape[0], faces.shape[0]),
        inputs=[screen, faces, face_channels, origins, crop, softness, differences, row, row_gradients],
        outputs=[screen_gradients_out],
        device=screen_gradients_out.device,
        record_tape=False,
    )
