"""Pixels of a row, counted or passed over many at a time on a CPU.

Kernels see to one pixel after the other there, since Warp addresses arrays by strides.  These loops are written in C++
over pixels that lie side by side, which Clang makes vectors of; what needs vectors by name is for a CPU alone.
"""

import warp as wp

NEXT_DIFFERENCE = """
#if !defined(__CUDA_ARCH__)
    typedef unsigned long long words __attribute__((ext_vector_type(8), aligned(8)));
    typedef unsigned char bytes __attribute__((ext_vector_type(8), aligned(1)));
    const words background = 254, unknown = 255;
    for (; pixel + 8 < stop; pixel += 8) {
        const words key = *(const words*)(keys.data + pixel);
        const words target = __builtin_convertvector(*(const bytes*)(targets.data + pixel), words);
        const words label = key == 0 ? background : (key >> 28) & 15;
        const words different = (label != target & target != unknown) != 0 ? label ^ target : (words)0;
        if (__builtin_reduce_or(different))
            break;
    }
#endif
    return pixel;
"""

NEXT_EDGE = """
#if !defined(__CUDA_ARCH__)
    typedef unsigned long long words __attribute__((ext_vector_type(8), aligned(8)));
    typedef long long marks __attribute__((ext_vector_type(8)));
    if (row > 0 && row + 1 < height && column > 0)
        for (; column + 8 < stop && column + 8 < width; column += 8) {
            marks empty = 0;
            for (int beside = 0; beside < 9; beside++) {
                const int place = (row + beside / 3 - 1) * width + column + beside % 3 - 1;
                empty |= *(const words*)(keys.data + place) == 0;
            }
            if (__builtin_reduce_or(empty & (*(const words*)(keys.data + row * width + column) != 0)))
                break;
        }
#endif
    return column;
"""

COUNT_EMPTY = """
    int count = 0;
    const unsigned long long* key = keys.data;
    for (int pixel = start; pixel < stop; pixel++)
        count += key[pixel] == 0;
    return count;
"""

COUNT_NEARER = """
    int count = 0;
    const unsigned long long *key = keys.data, *other = others.data;
    for (int pixel = start; pixel < stop; pixel++)
        count += key[pixel] > other[pixel];
    return count;
"""

COUNT_BESIDE = """
    int count = 0;
    const unsigned char *above = labels.data - width, *below = labels.data + width;
    for (int pixel = start; pixel < stop; pixel++)
        count += (above[pixel] != label) | (below[pixel] != label);
    return count;
"""


@wp.func_native(NEXT_DIFFERENCE)
def next_difference(keys: wp.array[wp.uint64], targets: wp.array[wp.uint8], pixel: int, stop: int) -> int:
    """This pixel or one after it, before ``stop``: none between them has another label than its target.

    On a CPU whole vectors are passed over; on a GPU neighbours are others' and it is this one.
    """
    ...


@wp.func_native(NEXT_EDGE)
def next_edge(keys: wp.array[wp.uint64], width: int, height: int, row: int, column: int, stop: int) -> int:
    """This column or one after it, before ``stop``: no pixel between them is drawn and has an empty one beside it.

    Passed over as by :func:`next_difference`.
    """
    ...


@wp.func_native(COUNT_EMPTY)
def count_empty(keys: wp.array[wp.uint64], start: int, stop: int) -> int:
    """How many pixels are empty."""
    ...


@wp.func_native(COUNT_NEARER)
def count_nearer(keys: wp.array[wp.uint64], others: wp.array[wp.uint64], start: int, stop: int) -> int:
    """In how many pixels keys are nearer than others."""
    ...


@wp.func_native(COUNT_BESIDE)
def count_beside(labels: wp.array[wp.uint8], width: int, label: int, start: int, stop: int) -> int:
    """How many pixels have another label than this one above or below them."""
    ...
