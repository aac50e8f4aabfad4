"""Distances to label borders for pictures of many frames at once, exact, in two passes.  Forward only.

The first goes along columns: how far above or below the nearest pixel of each kind is.  The second goes along rows,
from each pixel outward, as far as something nearer may come: squares of both add up.
"""

import warp as wp

wp.set_module_options({"enable_backward": False})

OWN = wp.constant(0)  # kinds of pixels: of the body,
BACKGROUND = wp.constant(1)
HIDING = wp.constant(2)  # of others, or nobody's, which it may be behind
NOWHERE = wp.constant(wp.int16(32767))  # no pixel of the kind in the column


@wp.struct
class Crops:
    """Where pictures of frames lie in their label images, and in one array behind each other."""

    labels: wp.array(dtype=wp.uint8, ndim=3)  # [frame, row, column]
    own: wp.uint8  # label of the body
    ignored: wp.uint8  # label of pixels that nothing is known of
    places: wp.array(dtype=wp.vec4i)  # [frame] column, row, width, height
    starts: wp.array(dtype=wp.int32)  # [frame] first pixel


@wp.func
def kind_of(label: wp.uint8, own: wp.uint8) -> int:
    """What kind of pixel a label makes it."""
    if label == own:
        return OWN
    if label == wp.uint8(0):
        return BACKGROUND
    return HIDING


@wp.kernel
def _scan_columns(
    crops: Crops,
    gaps_out: wp.array2d[wp.int16],  # [kind, pixel]
):
    """Rows between each pixel of a column and the nearest one of each kind."""
    frame, column = wp.tid()
    place, start = crops.places[frame], crops.starts[frame]
    width, height = place[2], place[3]
    if column >= width:
        return
    for way in range(2):
        last = wp.vec3i(-1, -1, -1)
        for walked in range(height):
            row = walked
            if way == 1:
                row = height - 1 - walked
            last[kind_of(crops.labels[frame, place[1] + row, place[0] + column], crops.own)] = walked
            pixel = start + row * width + column
            for kind in range(3):
                gap = NOWHERE
                if last[kind] >= 0:
                    gap = wp.int16(walked - last[kind])
                if way == 1:
                    gap = wp.min(gap, gaps_out[kind, pixel])
                gaps_out[kind, pixel] = gap


def scan_columns(crops, widest, *, gaps_out):
    """Launch :func:`_scan_columns` over all frames, of which the widest picture has ``widest`` columns."""
    wp.launch(
        _scan_columns,
        dim=(crops.places.shape[0], widest),
        inputs=[crops],
        outputs=[gaps_out],
        device=gaps_out.device,
    )


@wp.func
def distance_along(gaps: wp.array2d[wp.int16], kind: int, first: int, column: int, width: int, height: int) -> float:
    """Distance [px] to the nearest pixel of a kind, by the gaps of its row; width and height together without any."""
    best = int(2147483647)
    for away in range(wp.max(column + 1, width - column)):
        if away * away >= best:
            break
        if column - away >= 0:
            gap = gaps[kind, first + column - away]
            if gap != NOWHERE:
                best = wp.min(best, away * away + int(gap) * int(gap))
        if column + away < width:
            gap = gaps[kind, first + column + away]
            if gap != NOWHERE:
                best = wp.min(best, away * away + int(gap) * int(gap))
    if best == int(2147483647):
        return float(width + height)
    return wp.sqrt(float(best))


@wp.kernel
def _measure_fields(
    crops: Crops,
    gaps: wp.array2d[wp.int16],  # [kind, pixel]
    bias: float,
    fields_out: wp.array[wp.float16],  # [2 pixels]
):
    """Both signed distances of a pixel; see :func:`warpprior.system.label_fields.contour_fields`."""
    frame, pixel = wp.tid()
    place, start = crops.places[frame], crops.starts[frame]
    width, height = place[2], place[3]
    if pixel >= width * height:
        return
    row, column = pixel // width, pixel % width
    first = start + row * width
    label = crops.labels[frame, place[1] + row, place[0] + column]
    kind = kind_of(label, crops.own)
    hidden, seen = float(0.0), float(0.0)
    to_hiding = float(0.0)
    if kind != HIDING:
        to_hiding = distance_along(gaps, HIDING, first, column, width, height) - 0.5
    if kind == OWN:
        to_background = distance_along(gaps, BACKGROUND, first, column, width, height) - 0.5 - bias
        hidden = -wp.min(to_background, to_hiding)
        seen = hidden
    elif label != crops.ignored:
        seen = distance_along(gaps, OWN, first, column, width, height) - 0.5 + bias
        if kind == BACKGROUND:
            hidden = wp.min(seen, to_hiding)
    fields_out[2 * (start + pixel)] = wp.float16(hidden)
    fields_out[2 * (start + pixel) + 1] = wp.float16(seen)


def measure_fields(crops, gaps, bias, largest, *, fields_out):
    """Launch :func:`_measure_fields` over all frames, of which the largest picture has ``largest`` pixels."""
    wp.launch(
        _measure_fields,
        dim=(crops.places.shape[0], largest),
        inputs=[crops, gaps, bias],
        outputs=[fields_out],
        device=fields_out.device,
    )
