"""A soft mask from the distance to the nearest visible contour: ``sigmoid(+-distance / tau)``, plus inside.

The contour is made of the silhouette edges that own pixel pairs, each clipped to where it does, so that folds and
hidden edges inside the mask are no contour.  The blur does not depend on the mesh, and the level 1/2 is the true
contour.
"""

import warp as wp

from warpprior.kernels.silhouette import Crop, Outline, Walk, visit_owned, walk_edge
from warpprior.kernels.softras import edge_place, sigmoid
from warpprior.kernels.visibility import key_channel

wp.set_module_options({"enable_backward": False})

BAND = wp.constant(6.0)  # the mask is 0 or 1 beyond this many tau
UNKNOWN = wp.constant(1.0e6)  # distance of pixels whose label is unknown [px]
OVERHANG = wp.constant(0.71)  # owned pieces of edges are lengthened by half a pixel's diagonal [px]


@wp.kernel
def _clip_edges(
    outline: Outline,
    stride: int,
    spans_out: wp.array2d[wp.vec2],  # [frame, slot] first and last place along the edge; first > last: none
):
    """Where along each silhouette edge it owns pixel pairs."""
    frame, start = wp.tid()
    for slot in range(start, outline.counts[frame], stride):
        walk = walk_edge(outline, frame, slot)
        low = float(2.0)
        high = float(-1.0)
        for index in range(walk.line_count):
            crossing = visit_owned(outline, walk, index)
            if crossing.valid == 1:
                low = wp.min(low, crossing.weight)
                high = wp.max(high, crossing.weight)
        if low <= high:
            length = wp.length(wp.vec2(walk.b[0] - walk.a[0], walk.b[1] - walk.a[1]))
            overhang = OVERHANG / wp.max(length, 1.0e-6)
            low = wp.max(low - overhang, 0.0)
            high = wp.min(high + overhang, 1.0)
        spans_out[frame, slot] = wp.vec2(low, high)


def clip_edges(outline, *, stride, spans_out):
    """Launch :func:`_clip_edges` with ``stride`` threads per frame sharing the listed edges."""
    wp.launch(
        _clip_edges,
        dim=(spans_out.shape[0], stride),
        inputs=[outline, stride],
        outputs=[spans_out],
        device=spans_out.device,
        record_tape=False,
    )


@wp.func
def reached_lines(a: float, b: float, reach: float, corner: int, count: int) -> wp.vec2i:
    """First and one past the last pixel line within ``reach`` of the interval between a and b, within the crop."""
    shift = float(corner) + 0.5
    first = int(wp.ceil(wp.max(wp.min(a, b) - reach - shift, 0.0)))
    stop = int(wp.floor(wp.min(wp.max(a, b) + reach - shift, float(count - 1)))) + 1
    return wp.vec2i(first, stop)


@wp.func
def place_on(walk: Walk, place: float) -> wp.vec2:
    """Where on the screen a place along an edge is, from 0 at its start to 1 at its end."""
    return wp.vec2(walk.a[0], walk.a[1]) + place * wp.vec2(walk.b[0] - walk.a[0], walk.b[1] - walk.a[1])


@wp.func
def nearness_key(epoch: int, square: float, reach: float, entry: int) -> wp.uint64:
    """What a piece of contour writes into the pixels it reaches: later epochs win, then the nearest."""
    distance = wp.min(wp.sqrt(square) / reach, 1.0)
    nearness = 65535 - int(distance * 65535.0)
    return wp.lshift(wp.uint64(epoch), wp.uint64(48)) | wp.lshift(wp.uint64(nearness), wp.uint64(32)) | wp.uint64(entry)


@wp.kernel
def _spread_contour(
    outline: Outline,
    spans: wp.array2d[wp.vec2],  # [frame, slot]
    tau: wp.array[wp.float32],  # [1] [px]
    stride: int,
    band_out: wp.array2d[wp.uint64],  # [frame, pixel] never cleared
):
    """Write into the pixels around each piece of contour how near it is."""
    frame, start = wp.tid()
    origin = outline.origins[frame]
    reach = BAND * tau[0]
    for slot in range(start, outline.counts[frame], stride):
        span = spans[frame, slot]
        if span[0] <= span[1]:
            walk = walk_edge(outline, frame, slot)
            head = place_on(walk, span[0])
            tail = place_on(walk, span[1])
            rows = reached_lines(head[1], tail[1], reach, origin[1], outline.crop.height)
            columns = reached_lines(head[0], tail[0], reach, origin[0], outline.crop.width)
            for row in range(rows[0], rows[1]):
                for column in range(columns[0], columns[1]):
                    point = wp.vec2(float(origin[0] + column) + 0.5, float(origin[1] + row) + 0.5)
                    found = edge_place(point, head, tail)
                    if found.square < reach * reach:
                        key = nearness_key(outline.epoch[0], found.square, reach, walk.entry)
                        wp.atomic_max(band_out, frame, row * outline.crop.width + column, key)


def spread_contour(outline, spans, tau, *, stride, band_out):
    """Launch :func:`_spread_contour` with ``stride`` threads per frame sharing the listed edges."""
    wp.launch(
        _spread_contour,
        dim=(band_out.shape[0], stride),
        inputs=[outline, spans, tau, stride],
        outputs=[band_out],
        device=band_out.device,
        record_tape=False,
    )


@wp.func
def soften(depth: float) -> float:
    """Mask at a signed distance in tau, plus inside; exactly 0 and 1 beyond the band."""
    if depth >= BAND:
        return 1.0
    if depth <= -BAND:
        return 0.0
    return sigmoid(depth)


@wp.func
def band_depth(key: wp.uint64, band: wp.uint64, epoch: int) -> float:
    """Signed distance to the contour in tau, plus inside; as far as the band is wide where none is near."""
    depth = float(BAND)
    if int(wp.rshift(band, wp.uint64(48))) == epoch:
        nearness = int(wp.rshift(band, wp.uint64(32)) & wp.uint64(65535))
        depth = BAND * float(65535 - nearness) / 65535.0
    if key_channel(key) != 0:
        depth = -depth
    return depth


@wp.kernel
def _read_soft_mask(
    keys: wp.array2d[wp.uint64],  # [frame, pixel]
    band: wp.array2d[wp.uint64],  # [frame, pixel]
    epoch: wp.array[wp.int32],  # [1]
    masks_out: wp.array2d[wp.float32],  # [frame, pixel]
):
    """The soft mask as an image."""
    frame, pixel = wp.tid()
    masks_out[frame, pixel] = soften(band_depth(keys[frame, pixel], band[frame, pixel], epoch[0]))


def read_soft_mask(keys, band, epoch, *, masks_out):
    """Launch :func:`_read_soft_mask` over all pixels."""
    wp.launch(
        _read_soft_mask,
        dim=masks_out.shape,
        inputs=[keys, band, epoch],
        outputs=[masks_out],
        device=masks_out.device,
        record_tape=False,
    )


@wp.kernel
def _compare_soft_masks(
    keys: wp.array2d[wp.uint64],  # [frame, pixel]
    band: wp.array2d[wp.uint64],  # [frame, pixel]
    targets: wp.array2d[wp.float32],  # [frame, pixel] signed distance of the label, plus inside [px]; or UNKNOWN
    scales: wp.array[wp.float32],  # [frame] loss per pixel of squared error, times sigma
    sigma: wp.array[wp.float32],  # [1]
    tau: wp.array[wp.float32],  # [1] [px]
    crop: Crop,
    epoch: wp.array[wp.int32],  # [1]
    lanes: int,
    row: int,
    rows_out: wp.array2d[wp.float32],  # [term, frame] added to
    differences_out: wp.array2d[wp.float32],  # [frame, pixel] derivative of the loss by the contour moving out
):
    """Squared difference of the soft mask and the equally soft label, ``lanes`` threads per frame and pixel row."""
    frame, line, lane = wp.tid()
    scale = scales[frame] / sigma[0]
    total = float(0.0)
    for column in range(lane, crop.width, lanes):
        pixel = line * crop.width + column
        key = keys[frame, pixel]
        near = band[frame, pixel]
        target = targets[frame, pixel]
        fresh = int(wp.rshift(near, wp.uint64(48))) == epoch[0]
        residual = float(0.0)
        slope = float(0.0)
        if target < UNKNOWN:
            mask = soften(band_depth(key, near, epoch[0]))
            residual = mask - soften(target / tau[0])
            slope = mask * (1.0 - mask) / tau[0]
        total += residual * residual
        if fresh:
            differences_out[frame, pixel] = 2.0 * scale * residual * slope
    if total > 0.0:
        wp.atomic_add(rows_out, row, frame, total * scale)


def compare_soft_masks(keys, band, targets, scales, sigma, tau, crop, epoch, row, *, lanes, rows_out, differences_out):
    """Launch :func:`_compare_soft_masks` over all frames and pixel rows."""
    wp.launch(
        _compare_soft_masks,
        dim=(keys.shape[0], crop.height, lanes),
        inputs=[keys, band, targets, scales, sigma, tau, crop, epoch, lanes, row],
        outputs=[rows_out, differences_out],
        device=rows_out.device,
        record_tape=False,
    )


@wp.kernel
def _push_contour_gradient(
    outline: Outline,
    spans: wp.array2d[wp.vec2],  # [frame, slot]
    band: wp.array2d[wp.uint64],  # [frame, pixel]
    tau: wp.array[wp.float32],  # [1] [px]
    stride: int,
    differences: wp.array2d[wp.float32],  # [frame, pixel] derivative of a loss by the contour moving outward [1/px]
    row: int,
    row_gradients: wp.array2d[wp.float32],  # [term, frame]
    screen_gradients_out: wp.array2d[wp.vec3],  # [frame, vertex] added to
):
    """Adjoint of the soft mask: each pixel of the band pulls at the place of the contour that is nearest to it."""
    frame, start = wp.tid()
    seed = row_gradients[row, frame]
    if seed == 0.0:
        return
    origin = outline.origins[frame]
    reach = BAND * tau[0]
    for slot in range(start, outline.counts[frame], stride):
        span = spans[frame, slot]
        if span[0] <= span[1]:
            walk = walk_edge(outline, frame, slot)
            head = place_on(walk, span[0])
            tail = place_on(walk, span[1])
            rows = reached_lines(head[1], tail[1], reach, origin[1], outline.crop.height)
            columns = reached_lines(head[0], tail[0], reach, origin[0], outline.crop.width)
            outward = wp.normalize(wp.vec2(walk.b[1] - walk.a[1], -(walk.b[0] - walk.a[0])))
            if walk.entry % 2 == 0:
                outward = -outward
            start_gradient = wp.vec2(0.0, 0.0)
            end_gradient = wp.vec2(0.0, 0.0)
            for line in range(rows[0], rows[1]):
                for column in range(columns[0], columns[1]):
                    point = wp.vec2(float(origin[0] + column) + 0.5, float(origin[1] + line) + 0.5)
                    found = edge_place(point, head, tail)
                    pixel = line * outline.crop.width + column
                    if found.square < reach * reach:
                        if band[frame, pixel] == nearness_key(outline.epoch[0], found.square, reach, walk.entry):
                            place = span[0] + found.place * (span[1] - span[0])
                            normal = outward
                            if found.square > 1.0e-6:
                                normal = (point - head - found.place * (tail - head)) / wp.sqrt(found.square)
                                if key_channel(outline.keys[frame, pixel]) == 0:
                                    normal = -normal
                            pull = normal * (differences[frame, pixel] * seed)
                            start_gradient += (1.0 - place) * pull
                            end_gradient += place * pull
            wp.atomic_add(screen_gradients_out, frame, walk.ends[0], wp.vec3(start_gradient[0], start_gradient[1], 0.0))
            wp.atomic_add(screen_gradients_out, frame, walk.ends[1], wp.vec3(end_gradient[0], end_gradient[1], 0.0))


def push_contour_gradient(outline, spans, band, tau, differences, row, row_gradients, *, stride, screen_gradients_out):
    """Launch :func:`_push_contour_gradient` with ``stride`` threads per frame sharing the listed edges."""
    wp.launch(
        _push_contour_gradient,
        dim=(screen_gradients_out.shape[0], stride),
        inputs=[outline, spans, band, tau, stride, differences, row, row_gradients],
        outputs=[screen_gradients_out],
        device=screen_gradients_out.device,
        record_tape=False,
    )
