"""Which face a pixel sees: all frames and bodies scatter into one key buffer per launch.  Forward only.

A key packs, from high to low bits, the inverse depth (32, as float bits, so that nearer is larger), the channel (4) and
the face (28); ``atomic_max`` keeps the nearest surface and an empty pixel is zero.  A channel is what a loss
distinguishes: a body's index in modal images, zero for all bodies in union images.
"""

import warp as wp

from warpprior.kernels.camera import NEAR
from warpprior.kernels.face_rows import LANES, fill_face, greater, lesser
from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False})

CHANNEL_NONE = wp.constant(15)  # channel of an empty pixel


@wp.func
def key_channel(key: wp.uint64) -> int:
    """Channel of a key, CHANNEL_NONE where the pixel is empty."""
    if key == wp.uint64(0):
        return CHANNEL_NONE
    return int(wp.rshift(key, wp.uint64(28)) & wp.uint64(15))


@wp.func
def key_face(key: wp.uint64) -> int:
    """Face of a key that is not empty."""
    return int(key & wp.uint64(0xFFFFFFF))


@wp.func
def key_inverse_depth(key: wp.uint64) -> float:
    """Inverse depth [1/m], zero where the pixel is empty."""
    return wp.cast(wp.uint32(wp.rshift(key, wp.uint64(32))), wp.float32)


@wp.func
def key_low_bits(channel: int, face: int) -> wp.uint64:
    """What a key says but for the depth."""
    return wp.lshift(wp.uint64(channel), wp.uint64(28)) | wp.uint64(face)


@wp.func
def inverse_depth_plane(a: wp.vec3, b: wp.vec3, c: wp.vec3, area: float) -> wp.vec3:
    """Inverse depth at the first corner of a face, and how it grows with u and v: it is affine on the screen."""
    inverse_a = 1.0 / a[2]
    rise_b = 1.0 / b[2] - inverse_a
    rise_c = 1.0 / c[2] - inverse_a
    slope_x = (rise_b * (c[1] - a[1]) - rise_c * (b[1] - a[1])) / area
    slope_y = (rise_c * (b[0] - a[0]) - rise_b * (c[0] - a[0])) / area
    return wp.vec3(inverse_a, slope_x, slope_y)


@wp.func
def pixel_within(view: wp.vec4i, column: int, row: int) -> int:
    """Number of a pixel of the image within a crop (column, row, width, height), -1 outside of it."""
    u = column - view[0]
    v = row - view[1]
    if u < 0 or v < 0 or u >= view[2] or v >= view[3]:
        return -1
    return v * view[2] + u


@wp.func
def crop_size(sizes: wp.array[wp.vec2i], frame: int, width: int, height: int) -> wp.vec2i:
    """Width and height of a frame's crop: its own, where frames have some, else those of all."""
    if sizes.shape[0] > 0:
        return sizes[frame]
    return wp.vec2i(width, height)


@wp.kernel
def _draw_faces(
    first_frame: int,
    screen: wp.array2d[wp.vec3],  # [frame, vertex] u, v, depth
    faces: wp.array[wp.vec3i],  # [face]
    face_channels: wp.array[wp.int32],  # [face]
    face_two_sided: wp.array[wp.int32],  # [face] 1: also drawn from behind (open meshes)
    origins: wp.array[wp.vec2i],  # [frame] column, row of the crop's first pixel
    sizes: wp.array[wp.vec2i],  # [frame] width and height of a frame's own crop; empty: those of all
    all_width: int,
    all_height: int,
    face_count: int,
    keys_out: wp.array2d[wp.uint64],  # [frame, row * width + column] of the crop
):
    """One thread per frame: write the pixels whose centre its faces cover."""
    frame = first_frame + wp.tid()
    points = screen[frame]
    keys = keys_out[frame]
    corner_x = float(origins[frame][0])
    corner_y = float(origins[frame][1])
    size = crop_size(sizes, frame, all_width, all_height)
    width = size[0]
    height = size[1]
    face = int(0)
    while face < face_count:
        triangle = faces[face]
        a = points[triangle[0]]
        b = points[triangle[1]]
        c = points[triangle[2]]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        drawn = a[2] > NEAR and b[2] > NEAR and c[2] > NEAR and area != 0.0
        if area > 0.0:  # image y points down: counter-clockwise outside is negative here
            if face_two_sided[face] == 0:
                drawn = False
            else:
                swap = b
                b = c
                c = swap
                area = -area
        if drawn:
            top = lesser(a[1], lesser(b[1], c[1]))
            bottom = greater(a[1], greater(b[1], c[1]))
            left = greater(lesser(a[0], lesser(b[0], c[0])), corner_x)
            right = lesser(greater(a[0], greater(b[0], c[0])), corner_x + float(width))
            first = wp.max(int(wp.ceil(top - corner_y - 0.5)), 0)
            last = wp.min(int(wp.floor(bottom - corner_y - 0.5)), height - 1)
            if first <= last and wp.ceil(left - corner_x - 0.5) <= wp.floor(right - corner_x - 0.5):
                plane = inverse_depth_plane(a, b, c, area)
                low_bits = key_low_bits(face_channels[face], face)
                rows, sides, corner = wp.vec2i(first, last), wp.vec2(left, right), wp.vec2(corner_x, corner_y)
                fill_face(a, b, c, rows, sides, corner, plane, low_bits, width, width * height, keys)
        face += 1


def draw_faces(screen, faces, face_channels, face_two_sided, origins, width, height, *, sizes=None, keys_out):
    """Launch :func:`_draw_faces`, on a CPU; pictures are of at least LANES pixels."""
    launch_slabs(
        _draw_faces,
        dim=keys_out.shape[:1],
        inputs=[screen, faces, face_channels, face_two_sided, origins, sizes, width, height, faces.shape[0]],
        outputs=[keys_out],
        device=keys_out.device,
    )


@wp.func
def clip_by_edge(start: wp.vec3, end: wp.vec3, y: float, span: wp.vec2) -> wp.vec2:
    """Part of the span of x at height y on the inner side of a directed edge of a face that is seen from outside."""
    slope = end[1] - start[1]
    offset = -slope * start[0] - (end[0] - start[0]) * (y - start[1])
    low = span[0]
    high = span[1]
    if slope > 0.0:
        low = wp.max(low, -offset / slope)
    elif slope < 0.0:
        high = wp.min(high, -offset / slope)
    elif offset < 0.0:
        high = low - 1.0
    return wp.vec2(low, high)


@wp.kernel
def _scatter_faces(
    first_frame: int,
    screen: wp.array2d[wp.vec3],  # [frame, vertex] u, v, depth
    faces: wp.array[wp.vec3i],  # [face]
    face_channels: wp.array[wp.int32],  # [face]
    face_two_sided: wp.array[wp.int32],  # [face] 1: also drawn from behind (open meshes)
    origins: wp.array[wp.vec2i],  # [frame] column, row of the crop's first pixel
    sizes: wp.array[wp.vec2i],  # [frame] width and height of a frame's own crop; empty: those of all
    all_width: int,
    all_height: int,
    slices: int,
    keys_out: wp.array2d[wp.uint64],  # [frame, row * width + column] of the crop
):
    """One thread per frame, face and row slice: write the pixels whose centre the face covers."""
    slab_frame, face, piece = wp.tid()
    frame = first_frame + slab_frame
    triangle = faces[face]
    a = screen[frame, triangle[0]]
    b = screen[frame, triangle[1]]
    c = screen[frame, triangle[2]]
    if a[2] <= NEAR or b[2] <= NEAR or c[2] <= NEAR:
        return
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    if area > 0.0:  # image y points down: counter-clockwise outside is negative here
        if face_two_sided[face] == 0:
            return
        swap = b
        b = c
        c = swap
        area = -area
    if area == 0.0:
        return

    corner_x = float(origins[frame][0])
    corner_y = float(origins[frame][1])
    size = crop_size(sizes, frame, all_width, all_height)
    width = size[0]
    height = size[1]
    first = wp.max(int(wp.ceil(wp.min(a[1], wp.min(b[1], c[1])) - corner_y - 0.5)), 0)
    last = wp.min(int(wp.floor(wp.max(a[1], wp.max(b[1], c[1])) - corner_y - 0.5)), height - 1)
    if first > last:
        return
    left = wp.max(wp.min(a[0], wp.min(b[0], c[0])), corner_x)
    right = wp.min(wp.max(a[0], wp.max(b[0], c[0])), corner_x + float(width))
    if left > right:
        return

    plane = inverse_depth_plane(a, b, c, area)
    low_bits = key_low_bits(face_channels[face], face)
    for row in range(first + piece, last + 1, slices):
        y = corner_y + float(row) + 0.5
        span = wp.vec2(left, right)
        span = clip_by_edge(a, b, y, span)
        span = clip_by_edge(b, c, y, span)
        span = clip_by_edge(c, a, y, span)
        start = wp.max(int(wp.ceil(span[0] - corner_x - 0.5)), 0)
        stop = wp.min(int(wp.floor(span[1] - corner_x - 0.5)), width - 1)
        for column in range(start, stop + 1):
            x = corner_x + float(column) + 0.5
            inverse = plane[0] + plane[1] * (x - a[0]) + plane[2] * (y - a[1])
            bits = wp.uint64(wp.cast(wp.max(inverse, 1.0e-6), wp.uint32))
            wp.atomic_max(keys_out, frame, row * width + column, wp.lshift(bits, wp.uint64(32)) | low_bits)


def scatter_faces(
    screen, faces, face_channels, face_two_sided, origins, width, height, *, sizes=None, slices=1, keys_out
):
    """Draw faces; ``keys_out`` must have been zeroed, or hold the keys of what does not move.

    ``sizes`` [frame] vec2i are of crops that differ, of at least LANES pixels; ``width`` and ``height`` of the largest.
    ``slices`` splits tall faces over threads on a GPU; 1 is right on a CPU, where :func:`draw_faces` does all this.
    """
    if keys_out.device.is_cpu and slices == 1 and width * height >= LANES:
        given = screen, faces, face_channels, face_two_sided, origins, width, height
        draw_faces(*given, sizes=sizes, keys_out=keys_out)
        return
    launch_slabs(
        _scatter_faces,
        dim=(keys_out.shape[0], faces.shape[0], slices),
        inputs=[screen, faces, face_channels, face_two_sided, origins, sizes, width, height, slices],
        outputs=[keys_out],
        device=keys_out.device,
    )


@wp.kernel
def _read_channels(
    keys: wp.array2d[wp.uint64],  # [frame, pixel]
    values: wp.array[wp.uint8],  # [16] value to write for each channel, the last for empty pixels
    channels_out: wp.array2d[wp.uint8],  # [frame, pixel]
):
    """The image a person would call a label image."""
    frame, pixel = wp.tid()
    channels_out[frame, pixel] = values[key_channel(keys[frame, pixel])]


def read_channels(keys, values, *, channels_out):
    """Launch :func:`_read_channels` over all pixels."""
    wp.launch(
        _read_channels,
        dim=channels_out.shape,
        inputs=[keys, values],
        outputs=[channels_out],
        device=channels_out.device,
        record_tape=False,
    )


@wp.kernel
def _read_depths(
    keys: wp.array2d[wp.uint64],  # [frame, pixel]
    depths_out: wp.array2d[wp.float32],  # [frame, pixel] [m], 0 where empty
):
    """Depth of the visible surface at the pixel centres."""
    frame, pixel = wp.tid()
    inverse = key_inverse_depth(keys[frame, pixel])
    depth = float(0.0)
    if inverse > 0.0:
        depth = 1.0 / inverse
    depths_out[frame, pixel] = depth


def read_depths(keys, *, depths_out):
    """Launch :func:`_read_depths` over all pixels."""
    wp.launch(
        _read_depths,
        dim=depths_out.shape,
        inputs=[keys],
        outputs=[depths_out],
        device=depths_out.device,
        record_tape=False,
    )
