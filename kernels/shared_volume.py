"""Cells of a grid whose centres are inside two closed surfaces, counted in every frame.  Forward only.

Every triangle finds the columns along z that pass through it, and where; the winding number of a centre is the number
of triangles below it that face down, less those that face up.
"""

import warp as wp

from warpprior.kernels.slabs import launch_slabs

# Triangles that meet at an edge must see the same area with opposite signs: products may not be rounded apart.
wp.set_module_options({"enable_backward": False, "fuse_fp": False})

_TINY = wp.constant(wp.float64(1e-200))


@wp.struct
class Grids:
    """A grid in each frame, whose cells are behind one another; columns have one entry more than cells."""

    origins: wp.array[wp.vec3d]  # [frame] centre of the first cell [m]
    counts: wp.array[wp.vec3i]  # [frame] cells along each axis
    starts: wp.array[wp.int32]  # [frame] where the first column of a frame begins
    pitch: wp.float64  # edge of a cell [m]


@wp.func
def _cross(first: wp.vec2d, second: wp.vec2d) -> wp.float64:
    """Cross product of two directions in the plane, of either sign but never zero where they differ.

    Where a column meets an edge it is taken to lie beside it, in the same direction for all edges: so of the triangles
    around the edge it passes through the right ones.
    """
    zero = wp.float64(0.0)
    area = first[0] * second[1] - first[1] * second[0]
    if area == zero:
        across, along = second[1] - first[1], second[0] - first[0]
        if across != zero:
            area = wp.where(across > zero, -_TINY, _TINY)
        elif along != zero:
            area = wp.where(along > zero, _TINY, -_TINY)
    return area


@wp.kernel
def _change_windings(
    first_frame: int,
    vertices: wp.array2d[wp.vec3d],  # [frame, vertex]
    faces: wp.array[wp.vec3i],  # [face] counter-clockwise seen from outside
    grids: Grids,
    changes_out: wp.array[wp.int32],  # [entry of a column] added to: change of the winding number at a centre
):
    """One thread per frame and face."""
    slab_frame, face = wp.tid()
    frame = first_frame + slab_frame
    counts, origin = grids.counts[frame], grids.origins[frame]
    corners = faces[face]
    a = (vertices[frame, corners[0]] - origin) / grids.pitch
    b = (vertices[frame, corners[1]] - origin) / grids.pitch
    c = (vertices[frame, corners[2]] - origin) / grids.pitch
    low, high = wp.min(a, wp.min(b, c)), wp.max(a, wp.max(b, c))
    least, most = wp.float64(-1.0), wp.vec3d(wp.float64(counts[0]), wp.float64(counts[1]), wp.float64(counts[2]))
    if high[0] < least or high[1] < least or low[0] > most[0] or low[1] > most[1] or low[2] > most[2]:
        return
    zero = wp.float64(0.0)
    for x in range(wp.max(int(wp.ceil(low[0])), 0), wp.min(int(wp.floor(high[0])), counts[0] - 1) + 1):
        for y in range(wp.max(int(wp.ceil(low[1])), 0), wp.min(int(wp.floor(high[1])), counts[1] - 1) + 1):
            column = wp.vec2d(wp.float64(x), wp.float64(y))
            to_a = wp.vec2d(a[0], a[1]) - column
            to_b = wp.vec2d(b[0], b[1]) - column
            to_c = wp.vec2d(c[0], c[1]) - column
            # Twice the signed areas opposite to a, b and c: all of one sign where the column passes through.
            own_a, own_b, own_c = _cross(to_b, to_c), _cross(to_c, to_a), _cross(to_a, to_b)
            up = own_a > zero and own_b > zero and own_c > zero
            if up or (own_a < zero and own_b < zero and own_c < zero):
                height = (own_a * a[2] + own_b * b[2] + own_c * c[2]) / (own_a + own_b + own_c)
                above = int(wp.clamp(wp.ceil(height), zero, most[2]))
                entry = grids.starts[frame] + (x * counts[1] + y) * (counts[2] + 1) + above
                wp.atomic_add(changes_out, entry, wp.where(up, -1, 1))


def change_windings(vertices, faces, grids, *, changes_out):
    """Add a closed surface, which may intersect itself: sums along columns are winding numbers."""
    launch_slabs(
        _change_windings,
        dim=(vertices.shape[0], len(faces)),
        inputs=[vertices, faces, grids],
        outputs=[changes_out],
        device=vertices.device,
    )


@wp.kernel
def _count_shared(
    first_frame: int,
    grids: Grids,
    first: wp.array[wp.int32],  # [entry of a column]
    second: wp.array[wp.int32],  # [entry of a column]
    cells_out: wp.array[wp.int32],  # [frame] added to
):
    """One thread per frame and column, of as many as the largest grid has."""
    slab_frame, column = wp.tid()
    frame = first_frame + slab_frame
    counts = grids.counts[frame]
    if column >= counts[0] * counts[1]:
        return
    start = grids.starts[frame] + column * (counts[2] + 1)
    one, other, cells = int(0), int(0), int(0)
    for cell in range(counts[2]):
        one += first[start + cell]
        other += second[start + cell]
        if one >= 1 and other >= 1:
            cells += 1
    if cells > 0:
        wp.atomic_add(cells_out, frame, cells)


def count_shared(grids, columns, first, second, *, cells_out):
    """Count centres with a winding number of at least one in both surfaces; ``columns`` of the largest grid."""
    launch_slabs(
        _count_shared,
        dim=(len(grids.starts), columns),
        inputs=[grids, first, second],
        outputs=[cells_out],
        device=cells_out.device,
    )
