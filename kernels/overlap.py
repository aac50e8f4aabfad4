"""How a drawn body overlaps its label: areas and centroids per frame, for initialisation and gates.  Forward only."""

import warp as wp

from warpprior.kernels.slabs import launch_slabs
from warpprior.kernels.visibility import crop_size, key_channel, pixel_within

wp.set_module_options({"enable_backward": False})


@wp.func
def canvas_view(origin: wp.vec2i, size: wp.vec2i, corner: wp.vec2i) -> wp.vec4i:
    """Where a canvas lies in the label images: first column and row, width and height."""
    return wp.vec4i(origin[0] - corner[0], origin[1] - corner[1], size[0], size[1])


@wp.func
def key_within(keys: wp.array2d[wp.uint64], frame: int, view: wp.vec4i, column: int, row: int) -> wp.uint64:
    """Key of a pixel of the label images, zero where the canvas does not reach."""
    pixel = pixel_within(view, column, row)
    if pixel < 0:
        return wp.uint64(0)
    return keys[frame, pixel]


@wp.kernel
def _measure_overlap(
    first_frame: int,
    keys: wp.array2d[wp.uint64],  # [frame, pixel] of a canvas with the body alone, as channel 0
    origins: wp.array[wp.vec2i],  # [frame] first column and row of the canvas in the picture
    sizes: wp.array[wp.vec2i],  # [frame] of the canvas, if they differ; else empty
    key_width: int,
    labels: wp.array2d[wp.uint8],  # [frame, pixel]
    corners: wp.array[wp.vec2i],  # [frame] first column and row of the label images
    widths: wp.array[wp.int32],  # [frame] of the label images, if they differ; else empty
    label: int,
    all_width: int,
    boxes: wp.array[wp.vec4i],  # [frame] first column and row of the label in these, and one past its last
    drawn_out: wp.array2d[wp.float32],  # [frame, 3] count, sum of columns, sum of rows of pixels drawn in the open
    labelled_out: wp.array2d[wp.float32],  # [frame, 3] the same of the label's pixels
    shared_out: wp.array[wp.float32],  # [frame] pixels that are both
):
    """One thread per frame and row of the label images; pixels with another label, or don't-care, are left out.

    Places are counted from the corner of the label images.
    """
    slab_frame, row = wp.tid()
    frame = first_frame + slab_frame
    drawn = wp.vec3(0.0, 0.0, 0.0)
    labelled = wp.vec3(0.0, 0.0, 0.0)
    shared = float(0.0)
    size = crop_size(sizes, frame, key_width, keys.shape[1] // key_width)
    view = canvas_view(origins[frame], size, corners[frame])
    width = all_width
    if widths.shape[0] > 0:
        width = widths[frame]
    box = boxes[frame]
    start = width
    stop = int(0)
    if row >= box[1] and row < box[3]:
        start = box[0]
        stop = box[2]
    if row >= view[1] and row < view[1] + view[3]:
        start = wp.min(start, wp.max(view[0], 0))
        stop = wp.max(stop, wp.min(view[0] + view[2], width))
    for column in range(start, stop):
        key = key_within(keys, frame, view, column, row)
        found = int(labels[frame, row * width + column])
        if key != wp.uint64(0) or found == label:
            covered = key_channel(key) == 0
            place = wp.vec3(1.0, float(column) + 0.5, float(row) + 0.5)
            if found == label:
                labelled += place
                if covered:
                    shared += 1.0
            if covered and (found == label or found == 0):
                drawn += place
    wp.atomic_add(shared_out, frame, shared)
    for item in range(3):
        wp.atomic_add(drawn_out, frame, item, drawn[item])
        wp.atomic_add(labelled_out, frame, item, labelled[item])


def measure_overlap(
    keys, origins, key_width, labels, corners, label, width, boxes,
    *, sizes=None, widths=None, rows=None, drawn_out, labelled_out, shared_out,
):  # fmt: skip
    """Launch :func:`_measure_overlap`; the outputs must have been zeroed.

    Of crops that differ, ``sizes`` [frame] vec2i are those of the canvas, ``widths`` [frame] those of the label images,
    the highest of which has ``rows``.
    """
    launch_slabs(
        _measure_overlap,
        dim=(keys.shape[0], rows or labels.shape[1] // width),
        inputs=[keys, origins, sizes, key_width, labels, corners, widths, label, width, boxes],
        outputs=[drawn_out, labelled_out, shared_out],
        device=keys.device,
    )


@wp.kernel
def _count_bare(
    first_frame: int,
    keys: wp.array2d[wp.uint64],  # [frame, pixel] of a canvas with the body alone, as channel 0
    origins: wp.array[wp.vec2i],  # [frame] first column and row of the canvas in the picture
    sizes: wp.array[wp.vec2i],  # [frame] of the canvas, if they differ; else empty
    key_width: int,
    labels: wp.array2d[wp.uint8],  # [frame, pixel]
    corners: wp.array[wp.vec2i],  # [frame] first column and row of the label images
    widths: wp.array[wp.int32],  # [frame] of the label images, if they differ; else empty
    label: int,
    all_width: int,
    boxes: wp.array[wp.vec4i],  # [frame] first column and row of the label in these, and one past its last
    bare_out: wp.array[wp.float32],  # [frame] pixels of the label where the body is not drawn
):
    """One thread per frame, which looks where the label is alone."""
    frame = first_frame + wp.tid()
    box = boxes[frame]
    size = crop_size(sizes, frame, key_width, keys.shape[1] // key_width)
    view = canvas_view(origins[frame], size, corners[frame])
    width = all_width
    if widths.shape[0] > 0:
        width = widths[frame]
    bare = int(0)
    for row in range(box[1], box[3]):
        for column in range(box[0], box[2]):
            if int(labels[frame, row * width + column]) == label:
                if key_channel(key_within(keys, frame, view, column, row)) != 0:
                    bare += 1
    bare_out[frame] = float(bare)


def count_bare(keys, origins, key_width, labels, corners, label, width, boxes, *, sizes=None, widths=None, bare_out):
    """Launch :func:`_count_bare`; crops that differ as of :func:`measure_overlap`."""
    launch_slabs(
        _count_bare,
        dim=(keys.shape[0],),
        inputs=[keys, origins, sizes, key_width, labels, corners, widths, label, width, boxes],
        outputs=[bare_out],
        device=keys.device,
    )
