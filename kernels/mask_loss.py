"""Squared difference between antialiased masks and label images, and its derivative by the coverage.  Forward only.

The hard labels are compared everywhere, in one pass over the pixels; what antialiasing changes is added at the owned
pixel pairs alone (see :mod:`warpprior.kernels.silhouette`).  The derivative, too, is only written there: the adjoint
of the coverage reads it nowhere else.
"""

import warp as wp

from warpprior.kernels.pixel_rows import next_difference
from warpprior.kernels.silhouette import (
    BACKGROUND,
    IGNORE,
    Crop,
    Outline,
    dominant_lines,
    nearer_pixel,
    visit_owned,
    walk_edge,
)
from warpprior.kernels.visibility import key_channel

wp.set_module_options({"enable_backward": False})


@wp.func
def hard_residual(label: int, target: int, channel: int) -> float:
    """Rendered label minus target of a channel in one pixel; zero where the target is ignored."""
    if target == IGNORE:
        return 0.0
    residual = float(0.0)
    if label == channel:
        residual = residual + 1.0
    if target == channel:
        residual = residual - 1.0
    return residual


@wp.kernel
def _compare_labels(
    keys: wp.array2d[wp.uint64],  # [frame, pixel]
    targets: wp.array2d[wp.uint8],  # [frame, pixel] channel, BACKGROUND or IGNORE
    scales: wp.array2d[wp.float32],  # [frame, channel] loss per pixel of squared error, times sigma
    sigma: wp.array[wp.float32],  # [1]
    crop: Crop,
    lanes: int,
    row: int,
    rows_out: wp.array2d[wp.float32],  # [term, frame] added to
):
    """Squared difference of hard labels, ``lanes`` threads per frame and pixel row.

    :func:`_settle_coverage` adds what antialiasing changes.
    """
    frame, line, lane = wp.tid()
    own_keys, own_targets = keys[frame], targets[frame]
    total = float(0.0)
    pixel = line * crop.width + lane
    stop = (line + 1) * crop.width
    while pixel < stop:  # a third faster than range() with a step
        if lanes == 1:
            pixel = next_difference(own_keys, own_targets, pixel, stop)
        key = own_keys[pixel]
        target = int(own_targets[pixel])
        if key != wp.uint64(0) or target != BACKGROUND:
            label = key_channel(key)
            if label != target and target != IGNORE:
                if label < crop.channel_count:
                    total += scales[frame, label]
                if target < crop.channel_count:
                    total += scales[frame, target]
        pixel += lanes
    if total > 0.0:
        wp.atomic_add(rows_out, row, frame, total / sigma[0])


def compare_labels(keys, targets, scales, sigma, crop, row, *, lanes, rows_out):
    """Launch :func:`_compare_labels` over all frames and pixel rows."""
    wp.launch(
        _compare_labels,
        dim=(keys.shape[0], crop.height, lanes),
        inputs=[keys, targets, scales, sigma, crop, lanes, row],
        outputs=[rows_out],
        device=rows_out.device,
        record_tape=False,
    )


@wp.kernel
def _mark_residuals(
    outline: Outline,
    stride: int,
    targets: wp.array2d[wp.uint8],  # [frame, pixel]
    scales: wp.array2d[wp.float32],  # [frame, channel]
    sigma: wp.array[wp.float32],  # [1]
    differences_out: wp.array3d[wp.float32],  # [frame, channel, pixel] written at both pixels of owned pairs
):
    """Derivative of the loss by the coverage, of the hard labels alone, where the adjoint will read it."""
    frame, start = wp.tid()
    for slot in range(start, outline.counts[frame], stride):
        walk = walk_edge(outline, frame, slot)
        for index in range(walk.line_count):
            crossing = visit_owned(outline, walk, index)
            if crossing.valid == 1:
                for side in range(2):
                    pixel = crossing.inside
                    if side == 1:
                        pixel = crossing.outside
                    target = int(targets[frame, pixel])
                    label = key_channel(outline.keys[frame, pixel])
                    for channel in range(outline.crop.channel_count):
                        factor = 2.0 * scales[frame, channel] / sigma[0]
                        differences_out[frame, channel, pixel] = factor * hard_residual(label, target, channel)


def mark_residuals(outline, targets, scales, sigma, *, stride, differences_out):
    """Launch :func:`_mark_residuals` with ``stride`` threads per frame sharing the listed edges."""
    wp.launch(
        _mark_residuals,
        dim=(differences_out.shape[0], stride),
        inputs=[outline, stride, targets, scales, sigma],
        outputs=[differences_out],
        device=differences_out.device,
        record_tape=False,
    )


@wp.kernel
def _settle_coverage(
    outline: Outline,
    stride: int,
    targets: wp.array2d[wp.uint8],  # [frame, pixel]
    scales: wp.array2d[wp.float32],  # [frame, channel]
    sigma: wp.array[wp.float32],  # [1]
    row: int,
    coverage_out: wp.array3d[wp.float32],  # [frame, channel, pixel] taken away: zero afterwards
    differences_out: wp.array3d[wp.float32],  # [frame, channel, pixel] derivative of the loss by coverage, at owners
    rows_out: wp.array2d[wp.float32],  # [term, frame] added to
):
    """What antialiasing adds to the squared error of the labels, and the derivative of the whole by the coverage.

    Whoever takes a pixel's coverage first accounts for it; the others find zero.  ``differences_out`` must hold the
    hard residuals (:func:`_mark_residuals`).
    """
    frame, start = wp.tid()
    total = float(0.0)
    for slot in range(start, outline.counts[frame], stride):
        walk = walk_edge(outline, frame, slot)
        lines = dominant_lines(walk)
        for index in range(lines[0], lines[1]):
            crossing = visit_owned(outline, walk, index)
            if crossing.valid == 1:
                pixel = nearer_pixel(crossing)
                target = int(targets[frame, pixel])
                label = key_channel(outline.keys[frame, pixel])
                for channel in range(outline.crop.channel_count):
                    covered = wp.atomic_exch(coverage_out, frame, channel, pixel, 0.0)
                    if covered != 0.0 and target != IGNORE:
                        scale = scales[frame, channel] / sigma[0]
                        total += scale * covered * (covered + 2.0 * hard_residual(label, target, channel))
                        wp.atomic_add(differences_out, frame, channel, pixel, 2.0 * scale * covered)
    if total != 0.0:
        wp.atomic_add(rows_out, row, frame, total)


def settle_coverage(outline, targets, scales, sigma, row, *, stride, coverage_out, differences_out, rows_out):
    """Launch :func:`_settle_coverage` with ``stride`` threads per frame sharing the listed edges."""
    wp.launch(
        _settle_coverage,
        dim=(coverage_out.shape[0], stride),
        inputs=[outline, stride, targets, scales, sigma, row],
        outputs=[coverage_out, differences_out, rows_out],
        device=coverage_out.device,
        record_tape=False,
    )
