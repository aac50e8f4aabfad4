"""Faces into a key buffer on a CPU: rows of a face eight at a time, then the pixels of each row eight at a time.

Faces are small, a handful of rows of one or two pixels: what costs is deciding, over and over, whether a loop goes on.
Whole vectors hardly decide anything.  Warp does not make vectors of kernels on a CPU, so the inner part is written in
C++, with the vectors that Clang has on every machine.  The bits are those of the kernel for a GPU, in
:mod:`warpprior.kernels.visibility`, which also says what a key is.  Forward only.
"""

import warp as wp

LANES = 8  # pixels in a vector; smaller pictures are not drawn here

FILL = """
#if !defined(__CUDA_ARCH__)
    typedef float floats __attribute__((ext_vector_type(8)));
    typedef int ints __attribute__((ext_vector_type(8)));
    typedef long long longs __attribute__((ext_vector_type(8)));
    typedef unsigned long long words __attribute__((ext_vector_type(8)));
    typedef words words_anywhere __attribute__((aligned(8)));
    const ints lanes = {0, 1, 2, 3, 4, 5, 6, 7};
    const float corner_x = corner[0], corner_y = corner[1];
    const wp::vec3 corners[4] = {a, b, c, a};
    for (int top = rows[0]; top <= rows[1]; top += 8) {
        // The span of each row: what its crossings with the three edges leave of it.
        const floats y = corner_y + __builtin_convertvector(lanes + top, floats) + 0.5f;
        floats low = sides[0], high = sides[1];
        for (int edge = 0; edge < 3; edge++) {
            const float x_start = corners[edge][0], y_start = corners[edge][1];
            const float slope = corners[edge + 1][1] - y_start;
            const floats offset = -slope * x_start - (corners[edge + 1][0] - x_start) * (y - y_start);
            const floats x = -offset / slope;
            if (slope > 0.0f)
                low = x > low ? x : low;
            else if (slope < 0.0f)
                high = x < high ? x : high;
            else
                high = offset < 0.0f ? low - 1.0f : high;
        }
        ints starts = __builtin_convertvector(__builtin_elementwise_ceil(low - corner_x - 0.5f), ints);
        ints stops = __builtin_convertvector(__builtin_elementwise_floor(high - corner_x - 0.5f), ints);
        starts = starts > 0 ? starts : (ints)0;
        stops = stops < width - 1 ? stops : (ints)(width - 1);
        const floats rises = plane[2] * (y - a[1]);
        const int count = rows[1] - top < 8 ? rows[1] - top + 1 : 8;
        for (int row = 0; row < count; row++) {
            unsigned long long* line = keys.data + (size_t)(top + row) * width;
            const int start = starts[row], stop = stops[row], most = pixel_count - (top + row) * width - 8;
            for (int place = start; place <= stop; place += 8) {
                const int from = place < most ? place : most;  // no vector reaches beyond the picture
                const ints column = lanes + from;
                const floats x = corner_x + __builtin_convertvector(column, floats) + 0.5f;
                floats inverse = plane[0] + plane[1] * (x - a[0]) + rises[row];
                inverse = inverse > 1.0e-6f ? inverse : (floats)1.0e-6f;
                words key = __builtin_convertvector(__builtin_bit_cast(ints, inverse), words) << 32 | (words)low_bits;
                const ints inside = (column >= start) & (column <= stop);
                key = __builtin_convertvector(inside, longs) != 0 ? key : (words)0;
                words_anywhere* target = (words_anywhere*)(line + from);
                const words before = *target;
                *target = before > key ? before : key;
            }
        }
    }
#endif
"""


@wp.func_native(FILL)
def fill_face(
    a: wp.vec3,  # corners, counter-clockwise outside
    b: wp.vec3,
    c: wp.vec3,
    rows: wp.vec2i,  # first and last of the crop
    sides: wp.vec2,  # left and right, in the picture
    corner: wp.vec2,  # of the crop, in the picture
    plane: wp.vec3,  # inverse depth at the first corner, and how it grows with u and v
    low_bits: wp.uint64,  # of the keys
    width: int,
    pixel_count: int,
    keys: wp.array[wp.uint64],  # [pixel]
): ...


@wp.func
def lesser(a: float, b: float) -> float:
    """The lesser of two numbers; :func:`wp.min` minds what is not a number, at thrice the cost."""
    if b < a:
        return b
    return a


@wp.func
def greater(a: float, b: float) -> float:
    """The greater of two numbers."""
    if b > a:
        return b
    return a
