"""Label borders of one picture, near a contour: exact distances where the contour is, and no picture of them.

Rows of labels are kept as runs.  The nearest pixel of some kind in a row is found by a binary search, and rows farther
away than what was found are not looked at; so a distance costs about as many steps as it is long.  Forward only.
"""

import warp as wp

from warpprior.kernels.contour import first_pixel
from warpprior.kernels.pixel_rows import count_beside, count_empty, count_nearer, next_edge
from warpprior.kernels.silhouette import Outline, dominant_lines, visit_owned, walk_edge
from warpprior.kernels.visibility import key_inverse_depth

wp.set_module_options({"enable_backward": False})

NOWHERE = wp.constant(1 << 30)  # squared distance to what there is none of
UNKNOWN = wp.constant(255)  # label of don't-care pixels
EIGHT_TIMES = wp.constant(wp.uint64(0x0101010101010101))


@wp.struct
class Runs:
    """A label image, and where in its rows labels change."""

    labels: wp.array(dtype=wp.uint8)  # [row * width + column]
    words: wp.array(dtype=wp.uint64)  # the same memory, eight pixels at a time
    starts: wp.array2d(dtype=wp.int16)  # [row, run] first column of each run
    counts: wp.array(dtype=wp.int32)  # [row] how many there are
    width: wp.int32
    height: wp.int32


@wp.kernel
def _list_runs(runs: Runs, starts_out: wp.array2d[wp.int16], counts_out: wp.array[wp.int32]):
    """One thread per row; pixels that are all like the one before are passed over eight at a time."""
    row = wp.tid()
    first = row * runs.width
    before = runs.labels[first]
    starts_out[row, 0] = wp.int16(0)
    count = int(1)
    column = int(1)
    while column < runs.width:
        place = first + column
        if place % 8 == 0 and runs.words[place // 8] == wp.uint64(before) * EIGHT_TIMES:
            column += 8
        else:
            label = runs.labels[place]
            if label != before:
                starts_out[row, count] = wp.int16(column)
                count += 1
                before = label
            column += 1
    counts_out[row] = count


def list_runs(runs):
    """Launch :func:`_list_runs`, which fills the starts and counts of ``runs`` from its labels."""
    wp.launch(
        _list_runs,
        dim=runs.height,
        inputs=[runs],
        outputs=[runs.starts, runs.counts],
        device=runs.labels.device,
        record_tape=False,
    )


SAME = wp.constant(0)  # pixels that have a label,
OTHER = wp.constant(1)  # another one, background or not,
FOREIGN = wp.constant(2)  # or another one that is not background


@wp.func
def is_wanted(label: int, wanted: int, kind: int) -> bool:
    """Whether a pixel is of a kind, as seen from a label."""
    if kind == SAME:
        return label == wanted
    if kind == OTHER:
        return label != wanted
    return label != wanted and label != 0


@wp.func
def squared_in_row(runs: Runs, row: int, column: int, wanted: int, kind: int, limit: int) -> int:
    """Squared distance along a row to the nearest pixel that is wanted; what is not nearer than ``limit`` may be it."""
    first = row * runs.width
    if is_wanted(int(runs.labels[first + column]), wanted, kind):
        return 0
    low = int(0)
    high = int(runs.counts[row])
    while high - low > 1:  # the run that holds the column
        middle = (low + high) // 2
        if int(runs.starts[row, middle]) <= column:
            low = middle
        else:
            high = middle
    best = int(limit)
    run = int(low)
    while run > 0:
        place = int(runs.starts[row, run]) - 1
        gap = column - place
        if gap * gap >= best:
            break
        if is_wanted(int(runs.labels[first + place]), wanted, kind):
            best = gap * gap
            break
        run -= 1
    run = int(low + 1)
    while run < runs.counts[row]:
        place = int(runs.starts[row, run])
        gap = place - column
        if gap * gap >= best:
            break
        if is_wanted(int(runs.labels[first + place]), wanted, kind):
            best = gap * gap
            break
        run += 1
    return best


@wp.func
def squared_to(runs: Runs, column: int, row: int, wanted: int, kind: int, limit: int) -> int:
    """Squared distance between the middles of a pixel and the nearest one of a kind; ``limit`` if that is not less."""
    best = int(squared_in_row(runs, row, column, wanted, kind, limit))
    for step in range(1, runs.height):
        far = step * step
        if far >= best:
            break
        if row - step >= 0:
            best = far + squared_in_row(runs, row - step, column, wanted, kind, best - far)
        if row + step < runs.height and far < best:
            best = far + squared_in_row(runs, row + step, column, wanted, kind, best - far)
    return best


@wp.func
def distance_to(runs: Runs, column: int, row: int, wanted: int, kind: int) -> float:
    """Distance [px] to the nearest pixel of a kind; width and height together where there is none."""
    squared = squared_to(runs, column, row, wanted, kind, NOWHERE)
    if squared >= NOWHERE:
        return float(runs.width + runs.height)
    return wp.sqrt(float(squared))


@wp.func
def border_distance(runs: Runs, column: int, row: int, own: int, layer: int) -> float:
    """What :func:`warpprior.system.label_fields.contour_fields` has at a pixel, without a bias."""
    label = int(runs.labels[row * runs.width + column])
    if label == own:
        return 0.5 - distance_to(runs, column, row, own, OTHER)
    if layer == 0:
        if label != 0:
            return 0.0
        return distance_to(runs, column, row, 0, OTHER) - 0.5
    if label == UNKNOWN:
        return 0.0
    return distance_to(runs, column, row, own, SAME) - 0.5


@wp.kernel
def _measure_near(
    outline: Outline,
    stride: int,
    runs: Runs,
    own: int,  # label of the body
    blockers: wp.array2d[wp.uint64],  # [frame, pixel] keys of the other bodies
    picture: wp.array[wp.int32],  # [1] which label image this is
    measured_out: wp.array2d[wp.int32],  # [2, pixel] in which one each distance was measured last
    fields_out: wp.array3d[wp.float32],  # [frame, 2, pixel] where the contour is, and only there
):
    """One frame: the pictures of distances at the pixels that the body's contour lies between."""
    start = wp.tid()
    origin = outline.origins[0]
    for slot in range(start, outline.counts[0], stride):
        walk = walk_edge(outline, 0, slot)
        lines = dominant_lines(walk)
        for index in range(lines[0], lines[1]):
            crossing = visit_owned(outline, walk, index)
            if crossing.valid == 1:
                t = crossing.weight
                x = walk.a[0] + t * (walk.b[0] - walk.a[0]) - float(origin[0])
                y = walk.a[1] + t * (walk.b[1] - walk.a[1]) - float(origin[1])
                corner = first_pixel(x, y, runs.width, runs.height)
                layers = int(1)
                if key_inverse_depth(blockers[0, crossing.inside]) > 0.0:
                    layers = 2  # the other body may be in front or behind
                for place in range(4):
                    column = corner[0] + place % 2
                    row = corner[1] + place // 2
                    for layer in range(layers):
                        pixel = row * runs.width + column
                        if measured_out[layer, pixel] != picture[0]:
                            fields_out[0, layer, pixel] = border_distance(runs, column, row, own, layer)
                            measured_out[layer, pixel] = picture[0]


def measure_near(outline, runs, own, blockers, picture, *, stride, measured_out, fields_out):
    """Launch :func:`_measure_near`; ``stride`` threads share the edges."""
    wp.launch(
        _measure_near,
        dim=stride,
        inputs=[outline, stride, runs, own, blockers, picture],
        outputs=[measured_out, fields_out],
        device=fields_out.device,
        record_tape=False,
    )


@wp.kernel
def _count_gap(
    runs: Runs,
    own: int,  # label of the body
    bounds: wp.array[wp.float32],  # [6] of the body on the screen, see :mod:`warpprior.kernels.screen_bounds`
    origins: wp.array[wp.vec2i],  # [1] of the window
    keys: wp.array2d[wp.uint64],  # [frame, pixel] of the body alone
    blockers: wp.array2d[wp.uint64],  # [frame, pixel] of the others
    counts_out: wp.array[wp.int32],  # [3] added to
):
    """One thread per row: pixels of the label, those at its border, and those that label and drawing do not share.

    Of a body that may be hidden, pixels count in which nothing is in front of it and the picture shows background.
    """
    row = wp.tid()
    first = row * runs.width
    last = first + runs.width - 1
    left = first + wp.max(int(bounds[0]) - origins[0][0] - 1, 0)
    right = first + wp.min(int(bounds[3]) - origins[0][0] + 2, runs.width)
    own_keys, others = keys[0], blockers[0]
    labelled = int(0)
    border = int(0)
    unshared = int(0)
    count = runs.counts[row]
    for run in range(count):
        begin = first + int(runs.starts[row, run])
        end = last + 1
        if run + 1 < count:
            end = first + int(runs.starts[row, run + 1])
        label = int(runs.labels[begin])
        if label == own:
            labelled += end - begin
            unshared += count_empty(own_keys, begin, end)
            if row > 0 and row < runs.height - 1:
                # The pixels at both ends are at the border, if they are not at that of the window.
                border += count_beside(runs.labels, runs.width, own, begin + 1, end - 1)
                if begin > first and begin < last:
                    border += 1
                if end - 1 > begin and end - 1 < last:
                    border += 1
        elif label == 0:
            unshared += count_nearer(own_keys, others, wp.max(begin, left), wp.min(end, right))
    wp.atomic_add(counts_out, 0, labelled)
    wp.atomic_add(counts_out, 1, border)
    wp.atomic_add(counts_out, 2, unshared)


def count_gap(runs, own, bounds, origins, keys, blockers, *, counts_out):
    """Launch :func:`_count_gap`; ``counts_out`` must have been zeroed."""
    wp.launch(
        _count_gap,
        dim=runs.height,
        inputs=[runs, own, bounds, origins, keys, blockers],
        outputs=[counts_out],
        device=counts_out.device,
        record_tape=False,
    )


@wp.kernel
def _sum_known_borders(
    runs: Runs,
    own: int,  # label of what is drawn
    keys: wp.array2d[wp.uint64],  # [frame, pixel] of what is drawn
    area: wp.array[wp.int32],  # [4] left, top, right, bottom within the window: what is compared
    reach: float,  # borders farther apart are not the same border [px]
    apart: float,  # other labels nearer than this make a border something else [px]
    sums_out: wp.array[wp.float64],  # [2] added to: how far borders lie outside [px], and how many pixels of them
):
    """One thread per row: borders of what is drawn, and those of its label, where both meet the background."""
    row = wp.tid()
    if row < area[1] or row >= area[3]:
        return
    total = wp.float64(0.0)
    count = wp.float64(0.0)
    column = int(area[0]) - 1
    while column + 1 < area[2]:
        column = next_edge(keys[0], runs.width, runs.height, row, column + 1, area[2])
        pixel = row * runs.width + column
        if keys[0, pixel] != wp.uint64(0):
            beside = int(0)
            corner = int(0)
            for place in range(9):
                x = column + place % 3 - 1
                y = row + place // 3 - 1
                if x >= 0 and x < runs.width and y >= 0 and y < runs.height:
                    if keys[0, y * runs.width + x] == wp.uint64(0):
                        corner = 1
                        beside = wp.max(beside, place % 2)
            if corner == 1:
                drawn = float(0.5)
                if beside == 0:
                    drawn = wp.sqrt(2.0) - 0.5
                outside = float(0.0)
                # A little farther than anything that counts.
                limit = int(reach + 3.0) * int(reach + 3.0)
                if int(runs.labels[pixel]) == own:
                    outside = wp.sqrt(float(squared_to(runs, column, row, own, OTHER, limit))) - 0.5 - drawn
                else:
                    outside = 0.5 - wp.sqrt(float(squared_to(runs, column, row, own, SAME, limit))) - drawn
                if wp.abs(outside) < reach:
                    near = int(apart * apart) + 1
                    if squared_to(runs, column, row, own, FOREIGN, near) == near:
                        total += wp.float64(outside)
                        count += wp.float64(1.0)
    if count > wp.float64(0.0):
        wp.atomic_add(sums_out, 0, total)
        wp.atomic_add(sums_out, 1, count)


def sum_known_borders(runs, own, keys, area, reach, apart, *, sums_out):
    """Launch :func:`_sum_known_borders`."""
    wp.launch(
        _sum_known_borders,
        dim=runs.height,
        inputs=[runs, own, keys, area, reach, apart],
        outputs=[sums_out],
        device=sums_out.device,
        record_tape=False,
    )
