"""How a drawn body overlaps its label: areas and centroids per frame, for initialisation and gates.  Forward only."""

import warp as wp

from warpprior.kernels.slabs import launch_slabs
from warpprior.kernels.visibility import key_channel

wp.set_module_options({"enable_backward": False})


@wp.kernel
def _measure_overlap(
    first_frame: int,
    keys: wp.array2d[wp.uint64],  # [frame, pixel] of a canvas with the body alone, as channel 0
    origins: wp.array[wp.vec2i],  # [frame] first column and row of the canvas in the picture
    key_width: int,
    labels: wp.array2d[wp.uint8],  # [frame, pixel]
    corners: wp.array[wp.vec2i],  # [frame] first column and row of the label images
    label: int,
    width: int,
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
    left = origins[frame][0] - corners[frame][0]
    key_row = row - origins[frame][1] + corners[frame][1]
    box = boxes[frame]
    start = width
    stop = int(0)
    if row >= box[1] and row < box[3]:
        start = box[0]
        stop = box[2]
    covers = key_row >= 0 and key_row < keys.shape[1] // key_width
    if covers:
        start = wp.min(start, wp.max(left, 0))
        stop = wp.max(stop, wp.min(left + key_width, width))
    for column in range(start, stop):
        key = wp.uint64(0)
        if covers and column >= left and column < left + key_width:
            key = keys[frame, key_row * key_width + column - left]
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
    keys, origins, key_width, labels, corners, label, width, boxes, *, drawn_out, labelled_out, shared_out
):
    """Launch :func:`_measure_overlap`; the outputs must have been zeroed."""
    launch_slabs(
        _measure_overlap,
        dim=(keys.shape[0], labels.shape[1] // width),
        inputs=[keys, origins, key_width, labels, corners, label, width, boxes],
        outputs=[drawn_out, labelled_out, shared_out],
        device=keys.device,
    )


@wp.kernel
def _count_bare(
    first_frame: int,
    keys: wp.array2d[wp.uint64],  # [frame, pixel] of a canvas with the body alone, as channel 0
    origins: wp.array[wp.vec2i],  # [frame] first column and row of the canvas in the picture
    key_width: int,
    labels: wp.array2d[wp.uint8],  # [frame, pixel]
    corners: wp.array[wp.vec2i],  # [frame] first column and row of the label images
    label: int,
    width: int,
    boxes: wp.array[wp.vec4i],  # [frame] first column and row of the label in these, and one past its last
    bare_out: wp.array[wp.float32],  # [frame] pixels of the label where the body is not drawn
):
    """One thread per frame, which looks where the label is alone."""
    frame = first_frame + wp.tid()
    box = boxes[frame]
    left = origins[frame][0] - corners[frame][0]
    top = origins[frame][1] - corners[frame][1]
    bare = int(0)
    for row in range(box[1], box[3]):
        covers = row >= top and row - top < keys.shape[1] // key_width
        for column in range(box[0], box[2]):
            if int(labels[frame, row * width + column]) == label:
                key = wp.uint64(0)
                if covers and column >= left and column < left + key_width:
                    key = keys[frame, (row - top) * key_width + column - left]
                if key_channel(key) != 0:
                    bare += 1
    bare_out[frame] = float(bare)


def count_bare(keys, origins, key_width, labels, corners, label, width, boxes, *, bare_out):
    """Launch :func:`_count_bare`."""
    launch_slabs(
        _count_bare,
        dim=(keys.shape[0],),
        inputs=[keys, origins, key_width, labels, corners, label, width, boxes],
        outputs=[bare_out],
        device=keys.device,
    )
