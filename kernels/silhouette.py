"""Differentiable silhouettes by owner edge-crossing.

A mask changes only where a silhouette edge moves.  Each silhouette edge walks the pixel rows and columns it crosses;
between the two pixel centres on either side of a crossing, the outermost crossing of the visible surface *owns* the
pixel pair.  Owners carry everything: they add the analytic coverage that makes the mask antialiased, and they carry
the derivative of any loss of the mask back to the two vertices of their edge.  The work is proportional to the length
of the silhouette; nothing is blurred, so nothing is biased.

The derivative is that of the area each label covers (a boundary integral), not of the antialiased image itself.
"""

import warp as wp

from warpprior.kernels.camera import NEAR
from warpprior.kernels.slabs import launch_slabs
from warpprior.kernels.visibility import key_channel, key_inverse_depth

wp.set_module_options({"enable_backward": False})

BACKGROUND = wp.constant(254)  # target channel of pixels where no body is
IGNORE = wp.constant(255)  # target channel of pixels whose label is unknown


@wp.struct
class Crop:
    """The window of the image that buffers cover; its size is the same in all frames, but where they have their own."""

    width: wp.int32
    height: wp.int32
    channel_count: wp.int32


@wp.struct
class Outline:
    """The silhouette that a canvas has drawn, for the kernels that walk it.

    Its arrays take no part in a tape: the adjoints that walk an outline are written by hand, and add to the gradient
    of the screen positions, which their caller hands them.
    """

    screen: wp.array2d[wp.vec3]  # [frame, vertex] u, v [px], depth [m]
    edges: wp.array[wp.vec4i]  # [edge] two vertices, then the vertices opposite (the same twice at a boundary)
    counts: wp.array[wp.int32]  # [frame] how many edges are listed
    entries: wp.array2d[wp.int32]  # [frame, slot] 2 * edge + (1: body on the left of the edge)
    keys: wp.array2d[wp.uint64]  # [frame, pixel] the nearest face, see :mod:`visibility`
    owners: wp.array2d[wp.uint64]  # [frame, pixel pair: rows first, then columns] claims
    origins: wp.array[wp.vec2i]  # [frame] column, row of the crop's first pixel
    sizes: wp.array[wp.vec2i]  # [frame] width and height of a frame's own crop, no larger; empty: those of all
    crop: Crop
    epoch: wp.array[wp.int32]  # [1] claims of other rounds are void


@wp.func
def crop_of(outline: Outline, frame: int) -> Crop:
    """The crop of one frame."""
    crop = outline.crop
    if outline.sizes.shape[0] > 0:
        crop.width = outline.sizes[frame][0]
        crop.height = outline.sizes[frame][1]
    return crop


@wp.struct
class Crossing:
    """Where a silhouette edge crosses the line through a row or column of pixel centres."""

    inside: wp.int32  # pixel on the body's side, within the crop
    outside: wp.int32  # pixel on the other side
    slot: wp.int32  # identifies the pixel pair
    offset: wp.float32  # distance from the pair's first pixel centre, in [0, 1)
    weight: wp.float32  # position along the edge: 0 at its first vertex, 1 at its second
    inside_first: wp.int32  # 1: the body's side is the pair's first pixel
    valid: wp.int32


@wp.func
def line_range(low: float, high: float, corner: int, count: int) -> wp.vec2i:
    """First and one past the last pixel line whose centre lies in [low, high), within the crop."""
    shift = float(corner) + 0.5
    first = wp.max(int(wp.ceil(low - shift)), 0)
    stop = wp.min(int(wp.ceil(high - shift)), count)
    return wp.vec2i(first, stop)


@wp.func
def crossed_lines(a: wp.vec3, b: wp.vec3, axis: int, origin: wp.vec2i, crop: Crop) -> wp.vec2i:
    """Rows (axis 0) or columns (axis 1) of the crop that the edge crosses."""
    if axis == 0:
        return line_range(wp.min(a[1], b[1]), wp.max(a[1], b[1]), origin[1], crop.height)
    return line_range(wp.min(a[0], b[0]), wp.max(a[0], b[0]), origin[0], crop.width)


@wp.func
def cross_line(a: wp.vec3, b: wp.vec3, left: int, axis: int, line: int, origin: wp.vec2i, crop: Crop) -> Crossing:
    """Crossing of the edge a-b with the centre line of a row (axis 0) or column (axis 1) of the crop."""
    crossing = Crossing()
    crossing.valid = 0
    crossing.inside_first = 0
    if axis == 0:
        crossing.weight = (float(origin[1] + line) + 0.5 - a[1]) / (b[1] - a[1])
        place = a[0] + crossing.weight * (b[0] - a[0]) - float(origin[0]) - 0.5
        first = int(wp.floor(place))
        crossing.offset = place - float(first)
        if first < 0 or first + 1 >= crop.width:
            return crossing
        if (left == 1) == (b[1] > a[1]):
            crossing.inside_first = 1
        pixel = line * crop.width + first
        step = int(1)
        crossing.slot = pixel
    else:
        crossing.weight = (float(origin[0] + line) + 0.5 - a[0]) / (b[0] - a[0])
        place = a[1] + crossing.weight * (b[1] - a[1]) - float(origin[1]) - 0.5
        first = int(wp.floor(place))
        crossing.offset = place - float(first)
        if first < 0 or first + 1 >= crop.height:
            return crossing
        if (left == 1) == (b[0] < a[0]):
            crossing.inside_first = 1
        pixel = first * crop.width + line
        step = crop.width
        crossing.slot = crop.width * crop.height + pixel
    if crossing.inside_first == 1:
        crossing.inside = pixel
        crossing.outside = pixel + step
    else:
        crossing.inside = pixel + step
        crossing.outside = pixel
    crossing.valid = 1
    return crossing


@wp.func
def claim_key(epoch: int, crossing: Crossing, entry: int) -> wp.uint64:
    """What a crossing writes into its slot: later epochs beat earlier ones, then the more outward crossing wins."""
    outward = crossing.offset
    if crossing.inside_first == 0:
        outward = 1.0 - crossing.offset
    return (
        wp.lshift(wp.uint64(epoch), wp.uint64(48))
        | wp.lshift(wp.uint64(int(wp.clamp(outward, 0.0, 1.0) * 65535.0)), wp.uint64(32))
        | wp.uint64(entry)
    )


@wp.func
def claim_epoch(key: wp.uint64) -> int:
    """Round in which a claim was made."""
    return int(wp.rshift(key, wp.uint64(48)))


@wp.func
def claim_entry(key: wp.uint64) -> int:
    """Who made a claim: 2 * edge + (1: body on the left of the edge)."""
    return int(key & wp.uint64(0xFFFFFFFF))


@wp.func
def is_dominant(a: wp.vec3, b: wp.vec3, axis: int) -> bool:
    """True for the axis along which a pixel-long piece of this edge has exactly one crossing."""
    steep = wp.abs(b[1] - a[1]) >= wp.abs(b[0] - a[0])
    return steep == (axis == 0)


@wp.struct
class Walk:
    """A listed edge and the lines of pixel centres that it crosses: rows first, then columns."""

    entry: wp.int32
    frame: wp.int32
    crop: Crop  # of the frame
    ends: wp.vec2i  # its vertices
    a: wp.vec3  # where they are on the screen
    b: wp.vec3
    first_row: wp.int32
    first_column: wp.int32
    row_count: wp.int32
    line_count: wp.int32


@wp.func
def walk_edge(outline: Outline, frame: int, slot: int) -> Walk:
    """Begin the walk along a listed edge; its lines are those of :func:`visit_line` from 0 to ``line_count``."""
    walk = Walk()
    walk.frame = frame
    walk.crop = crop_of(outline, frame)
    walk.entry = outline.entries[frame, slot]
    edge = outline.edges[walk.entry // 2]
    walk.ends = wp.vec2i(edge[0], edge[1])
    walk.a = outline.screen[frame, edge[0]]
    walk.b = outline.screen[frame, edge[1]]
    rows = crossed_lines(walk.a, walk.b, 0, outline.origins[frame], walk.crop)
    columns = crossed_lines(walk.a, walk.b, 1, outline.origins[frame], walk.crop)
    walk.first_row = rows[0]
    walk.first_column = columns[0]
    walk.row_count = wp.max(rows[1] - rows[0], 0)
    walk.line_count = walk.row_count + wp.max(columns[1] - columns[0], 0)
    return walk


@wp.func
def dominant_lines(walk: Walk) -> wp.vec2i:
    """First and one past the last line of a walk along its dominant axis."""
    if is_dominant(walk.a, walk.b, 0):
        return wp.vec2i(0, walk.row_count)
    return wp.vec2i(walk.row_count, walk.line_count)


@wp.func
def visit_line(outline: Outline, walk: Walk, index: int) -> Crossing:
    """Where a walk crosses one of its lines; not valid outside the crop."""
    axis = int(0)
    line = walk.first_row + index
    if index >= walk.row_count:
        axis = 1
        line = walk.first_column + index - walk.row_count
    return cross_line(walk.a, walk.b, walk.entry % 2, axis, line, outline.origins[walk.frame], walk.crop)


@wp.func
def visit_owned(outline: Outline, walk: Walk, index: int) -> Crossing:
    """The same; not valid, either, where the edge does not own the pixel pair."""
    crossing = visit_line(outline, walk, index)
    if crossing.valid == 1:
        if outline.owners[walk.frame, crossing.slot] != claim_key(outline.epoch[0], crossing, walk.entry):
            crossing.valid = 0
    return crossing


@wp.kernel
def _list_silhouette_edges(
    first_frame: int,
    screen: wp.array2d[wp.vec3],  # [frame, vertex] u, v, depth
    edges: wp.array[wp.vec4i],  # [edge] two vertices, then the vertices opposite (the same twice at a boundary)
    edge_count: int,
    stride: int,
    counts_out: wp.array[wp.int32],  # [frame] zeroed before
    entries_out: wp.array2d[wp.int32],  # [frame, slot] 2 * edge + (1: body on the left of the edge)
):
    """Edges whose two faces lie on the same side of it on the screen; ``stride`` threads per frame share them."""
    slab_frame, edge = wp.tid()
    frame = first_frame + slab_frame
    points = screen[frame]
    while edge < edge_count:
        ends = edges[edge]
        a = points[ends[0]]
        b = points[ends[1]]
        c = points[ends[2]]
        d = points[ends[3]]
        side_c = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        side_d = (b[0] - a[0]) * (d[1] - a[1]) - (b[1] - a[1]) * (d[0] - a[0])
        if side_c * side_d > 0.0 and wp.min(wp.min(a[2], b[2]), wp.min(c[2], d[2])) > NEAR:
            slot = wp.atomic_add(counts_out, frame, 1)
            left = int(0)
            if side_c > 0.0:
                left = 1
            entries_out[frame, slot] = 2 * edge + left
        edge += stride


def list_silhouette_edges(screen, edges, *, counts_out, entries_out):
    """Launch :func:`_list_silhouette_edges`; ``counts_out`` must have been zeroed."""
    edge_count = edges.shape[0]
    stride = 1 if entries_out.device.is_cpu else edge_count
    launch_slabs(
        _list_silhouette_edges,
        dim=(entries_out.shape[0], stride),
        inputs=[screen, edges, edge_count, stride],
        outputs=[counts_out, entries_out],
        device=entries_out.device,
    )


@wp.kernel
def _claim_pairs(
    first_frame: int,
    outline: Outline,
    edge_channels: wp.array[wp.int32],  # [edge]
    stride: int,
    owners_out: wp.array2d[wp.uint64],  # [frame, pixel pair: rows first, then columns]
):
    """Let the outermost visible crossing own each pixel pair."""
    slab_frame, start = wp.tid()
    frame = first_frame + slab_frame
    for slot in range(start, outline.counts[frame], stride):
        walk = walk_edge(outline, frame, slot)
        channel = edge_channels[walk.entry // 2]
        for index in range(walk.line_count):
            crossing = visit_line(outline, walk, index)
            if crossing.valid == 1:
                outside = outline.keys[frame, crossing.outside]
                if key_channel(outline.keys[frame, crossing.inside]) == channel and key_channel(outside) != channel:
                    inverse = (1.0 - crossing.weight) / walk.a[2] + crossing.weight / walk.b[2]
                    if key_inverse_depth(outside) < inverse:
                        key = claim_key(outline.epoch[0], crossing, walk.entry)
                        wp.atomic_max(owners_out, frame, crossing.slot, key)


def claim_pairs(outline, edge_channels, *, stride, owners_out):
    """Launch :func:`_claim_pairs` with ``stride`` threads per frame sharing the listed edges."""
    launch_slabs(
        _claim_pairs,
        dim=(owners_out.shape[0], stride),
        inputs=[outline, edge_channels, stride],
        outputs=[owners_out],
        device=owners_out.device,
    )


@wp.func
def outward_reach(crossing: Crossing) -> float:
    """How far the inside's label reaches beyond the border between the two pixels [px], in [-0.5, 0.5]."""
    reach = crossing.offset - 0.5
    if crossing.inside_first == 0:
        reach = -reach
    return reach


@wp.func
def nearer_pixel(crossing: Crossing) -> int:
    """The pixel of the pair that the crossing lies in: the one of mixed colour."""
    if outward_reach(crossing) < 0.0:
        return crossing.inside
    return crossing.outside


@wp.kernel
def _cover_pixels(
    outline: Outline,
    stride: int,
    coverage_out: wp.array3d[wp.float32],  # [frame, channel, pixel] coverage beyond the hard label, added to
):
    """Antialias: owners hand over the share of a pixel that lies between its border and their crossing."""
    frame, start = wp.tid()
    for slot in range(start, outline.counts[frame], stride):
        walk = walk_edge(outline, frame, slot)
        lines = dominant_lines(walk)
        for index in range(lines[0], lines[1]):
            crossing = visit_owned(outline, walk, index)
            if crossing.valid == 1:
                reach = outward_reach(crossing)
                pixel = nearer_pixel(crossing)
                mine = key_channel(outline.keys[frame, crossing.inside])
                other = key_channel(outline.keys[frame, crossing.outside])
                wp.atomic_add(coverage_out, frame, mine, pixel, reach)
                if other < outline.crop.channel_count:
                    wp.atomic_add(coverage_out, frame, other, pixel, -reach)


def cover_pixels(outline, *, stride, coverage_out):
    """Launch :func:`_cover_pixels` with ``stride`` threads per frame sharing the listed edges."""
    wp.launch(
        _cover_pixels,
        dim=(coverage_out.shape[0], stride),
        inputs=[outline, stride],
        outputs=[coverage_out],
        device=coverage_out.device,
        record_tape=False,
    )


@wp.func
def channel_gain(
    gradients: wp.array3d[wp.float32], frame: int, pixel: int, mine: int, other: int, channel_count: int
) -> float:
    """What the loss gains when a pixel's coverage goes from the other channel to mine."""
    gain = gradients[frame, mine, pixel]
    if other < channel_count:
        gain = gain - gradients[frame, other, pixel]
    return gain


@wp.kernel
def _push_coverage_gradient(
    outline: Outline,
    stride: int,
    gradients: wp.array3d[wp.float32],  # [frame, channel, pixel] derivative of a loss by the coverage image
    row: int,
    row_gradients: wp.array2d[wp.float32],  # [term, frame]
    screen_gradients_out: wp.array2d[wp.vec3],  # [frame, vertex] added to
):
    """Adjoint of the coverage image: what each owner gains when its crossing moves, given to the ends of its edge.

    Row crossings give the derivative in u alone and column crossings that in v alone, so nothing is divided by a slope.
    """
    frame, start = wp.tid()
    seed = row_gradients[row, frame]
    if seed == 0.0:
        return
    count = outline.crop.channel_count
    for slot in range(start, outline.counts[frame], stride):
        walk = walk_edge(outline, frame, slot)
        start_gradient = wp.vec3(0.0, 0.0, 0.0)
        end_gradient = wp.vec3(0.0, 0.0, 0.0)
        owned = int(0)
        for index in range(walk.line_count):
            crossing = visit_owned(outline, walk, index)
            if crossing.valid == 1:
                owned = 1
                mine = key_channel(outline.keys[frame, crossing.inside])
                other = key_channel(outline.keys[frame, crossing.outside])
                inside_share = 0.5 - outward_reach(crossing)
                gain = inside_share * channel_gain(gradients, frame, crossing.inside, mine, other, count)
                gain += (1.0 - inside_share) * channel_gain(gradients, frame, crossing.outside, mine, other, count)
                if crossing.inside_first == 0:
                    gain = -gain
                pull = gain * seed
                if index < walk.row_count:
                    start_gradient += wp.vec3((1.0 - crossing.weight) * pull, 0.0, 0.0)
                    end_gradient += wp.vec3(crossing.weight * pull, 0.0, 0.0)
                else:
                    start_gradient += wp.vec3(0.0, (1.0 - crossing.weight) * pull, 0.0)
                    end_gradient += wp.vec3(0.0, crossing.weight * pull, 0.0)
        if owned == 1:
            normal = wp.normalize(wp.vec3(walk.b[1] - walk.a[1], walk.a[0] - walk.b[0], 0.0))
            wp.atomic_add(screen_gradients_out, frame, walk.ends[0], normal * wp.dot(normal, start_gradient))
            wp.atomic_add(screen_gradients_out, frame, walk.ends[1], normal * wp.dot(normal, end_gradient))


def push_coverage_gradient(outline, gradients, row, row_gradients, *, stride, screen_gradients_out):
    """Launch :func:`_push_coverage_gradient` with ``stride`` threads per frame sharing the listed edges."""
    wp.launch(
        _push_coverage_gradient,
        dim=(screen_gradients_out.shape[0], stride),
        inputs=[outline, stride, gradients, row, row_gradients],
        outputs=[screen_gradients_out],
        device=screen_gradients_out.device,
        record_tape=False,
    )


@wp.kernel
def _advance_epoch(
    epoch_out: wp.array[wp.int32],  # [1]
    counts_out: wp.array[wp.int32],  # [frame]
):
    """Start a new round: old claims lose against new ones, so the slots are never cleared."""
    frame = wp.tid()
    counts_out[frame] = 0
    if frame == 0:
        epoch_out[0] = epoch_out[0] + 1


def advance_epoch(*, epoch_out, counts_out):
    """Launch :func:`_advance_epoch`.  The caller clears the owner slots every 65,535 rounds, when the epoch wraps."""
    wp.launch(
        _advance_epoch,
        dim=counts_out.shape[0],
        inputs=[],
        outputs=[epoch_out, counts_out],
        device=counts_out.device,
        record_tape=False,
    )
