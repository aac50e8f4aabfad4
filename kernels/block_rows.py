"""Normal equations as a block-tridiagonal matrix on the device, and what its solution says.  Forward only.

Frames are coupled with the two before them.  Two in a row make a *block*, and blocks are coupled with the next ones
only.  Segments, which nothing couples, have as many blocks each as the longest needs; those beyond a segment's end are
empty.  Of each block there is a row: itself, the block before, the block after, and right-hand sides, each padded with
the identity to whole tiles (:mod:`warpprior.kernels.block_solve`).  Unknowns are scaled so that the diagonal is one.
The first right-hand side is the gradient's, the others are the columns of what all frames of a segment share.
"""

import warp as wp

from warpprior.kernels.rows import BACK, BACK_TWO, BEFORE, OWN

wp.set_module_options({"enable_backward": False})


@wp.struct
class Equations:
    """Normal equations, and which of their columns are solved for."""

    hessian: wp.array(dtype=wp.float64, ndim=4)  # [frame, 4, column, column]
    gradient: wp.array(dtype=wp.float64, ndim=3)  # [frame, 2, column]
    first: wp.int32  # column that is solved for, and how many there are
    count: wp.int32
    width: wp.int32  # columns of a frame; behind them come those that frames share
    shared: wp.int32  # how many of these are solved for
    damping: wp.float64  # relative
    floor: wp.array(dtype=wp.float64)  # [column that is solved for]
    segments: wp.array(dtype=wp.int32)  # [frame] which it belongs to
    starts: wp.array(dtype=wp.int32)  # [segment + 1] first frame of each
    blocks: wp.int32  # of a segment


@wp.func
def frame_at(equations: Equations, segment: int, block: int, half: int) -> int:
    """A frame of a segment's block, -1 where there is none."""
    frame = equations.starts[segment] + 2 * block + half
    if block < 0 or frame >= equations.starts[segment + 1]:
        return -1
    return frame


@wp.func
def own_entry(hessian: wp.array4d[wp.float64], frame: int, one: int, other: int) -> wp.float64:
    """Of a frame with itself, by its own residuals and those of the next."""
    low, high = wp.min(one, other), wp.max(one, other)
    value = hessian[frame, OWN, high, low]
    if frame + 1 < hessian.shape[0]:
        value += hessian[frame + 1, BEFORE, high, low]
    return value


@wp.func
def entry_between(equations: Equations, frame: int, one: int, before: int, other: int) -> wp.float64:
    """Of an unknown of a frame and one of the same frame or an earlier one."""
    row, column = equations.first + one, equations.first + other
    if frame == before:
        return own_entry(equations.hessian, frame, row, column)
    if frame - before == 1:
        return equations.hessian[frame, BACK, row, column]
    if frame - before == 2:
        return equations.hessian[frame, BACK_TWO, row, column]
    return wp.float64(0.0)


@wp.func
def border_entry(equations: Equations, frame: int, k: int, one: int) -> wp.float64:
    """Of a shared unknown and one of a frame; what ties a frame to the one before depends on both of it."""
    row, column = equations.width + k, equations.first + one
    value = equations.hessian[frame, OWN, row, column]
    if frame + 1 < equations.hessian.shape[0]:
        value += equations.hessian[frame + 1, BEFORE, row, column] + equations.hessian[frame + 1, BACK, row, column]
    if frame > 0:
        value += equations.hessian[frame, BACK, column, row]
    return value


@wp.kernel
def _scale_unknowns(
    equations: Equations,
    scale_out: wp.array2d[wp.float64],  # [block, row] what makes the diagonal one
    more_out: wp.array2d[wp.float64],  # [block, row] how much of that the damping is
    failed_out: wp.array[wp.int32],  # [segment] its matrix cannot be solved
):
    """Damp the diagonal, and find the units in which it is one."""
    block, row = wp.tid()
    segment = block // equations.blocks
    frame = int(-1)
    if row < 2 * equations.count:
        frame = frame_at(equations, segment, block % equations.blocks, row // equations.count)
    scale, more = wp.float64(1.0), wp.float64(0.0)
    if frame >= 0:
        one = row % equations.count
        size = own_entry(equations.hessian, frame, equations.first + one, equations.first + one)
        damped = size * (wp.float64(1.0) + equations.damping) + equations.floor[one]
        if damped > wp.float64(0.0):
            scale = wp.float64(0.0)  # of what is infinite, and holds its unknown
            if wp.isfinite(damped):
                scale = wp.float64(1.0) / wp.sqrt(damped)
                more = equations.damping * size / damped
        else:  # NaN, too
            wp.atomic_max(failed_out, segment, 1)
    scale_out[block, row] = scale
    more_out[block, row] = more


def scale_unknowns(equations, *, scale_out, more_out, failed_out):
    """Launch :func:`_scale_unknowns` over all rows of all blocks."""
    wp.launch(
        _scale_unknowns,
        dim=scale_out.shape,
        inputs=[equations],
        outputs=[scale_out, more_out, failed_out],
        device=scale_out.device,
    )


@wp.kernel
def _fill_rows(
    equations: Equations,
    scale: wp.array2d[wp.float64],  # [block, row]
    rows_out: wp.array3d[wp.float64],  # [block, row, column] itself, the block before, the one after, right-hand sides
    failed_out: wp.array[wp.int32],  # [segment]
):
    """Put the equations where blocks are solved."""
    block, row, place = wp.tid()
    count, size = equations.count, scale.shape[1]
    segment, within, one = block // equations.blocks, block % equations.blocks, row % count
    frame = int(-1)
    if row < 2 * count:
        frame = frame_at(equations, segment, within, row // count)
    used = frame >= 0
    kind, column = place // size, place % size
    if kind > 3:
        kind, column = 3, place - 3 * size
    value = wp.float64(0.0)
    if kind < 3:
        if kind == 0 and row == column:
            value = wp.float64(1.0)
        elif used and column < 2 * count:
            beside = block
            if kind == 1:
                beside = block - 1
            elif kind == 2:
                beside = block + 1
            other_frame = frame_at(equations, segment, within + beside - block, column // count)
            other = column % count
            if other_frame >= 0 and other_frame <= frame:
                value = entry_between(equations, frame, one, other_frame, other)
            elif other_frame >= 0:
                value = entry_between(equations, other_frame, other, frame, one)
            if value != wp.float64(0.0):
                value = value * scale[block, row] * scale[beside, column]
    elif used and column == 0:
        value = equations.gradient[frame, 0, equations.first + one]
        if frame + 1 < equations.gradient.shape[0]:
            value += equations.gradient[frame + 1, 1, equations.first + one]
        value = -value * scale[block, row]
    elif used and column <= equations.shared:
        value = border_entry(equations, frame, column - 1, one) * scale[block, row]
    if not wp.isfinite(value):
        wp.atomic_max(failed_out, segment, 1)
    rows_out[block, row, place] = value


def fill_rows(equations, scale, *, rows_out, failed_out):
    """Launch :func:`_fill_rows` over all entries of all rows."""
    wp.launch(
        _fill_rows,
        dim=rows_out.shape,
        inputs=[equations, scale],
        outputs=[rows_out, failed_out],
        device=rows_out.device,
    )


@wp.func
def solved(
    equations: Equations,
    rows: wp.array3d[wp.float64],
    scale: wp.array2d[wp.float64],
    frame: int,
    one: int,
    which: int,
) -> wp.float64:
    """The solution of an unknown of a frame, by its right-hand side."""
    segment = equations.segments[frame]
    place = frame - equations.starts[segment]
    block, row = segment * equations.blocks + place // 2, (place % 2) * equations.count + one
    return rows[block, row, 3 * scale.shape[1] + which] * scale[block, row]


@wp.kernel
def _reduce_frames(
    equations: Equations,
    rows: wp.array3d[wp.float64],  # [block, row, column] solved
    scale: wp.array2d[wp.float64],  # [block, row]
    parts_out: wp.array3d[wp.float64],  # [frame, shared, shared + 1] matrix and right-hand side
):
    """What each frame says of the shared unknowns, all of its own being free."""
    frame, k, other = wp.tid()
    row, column = equations.width + k, equations.width + other
    value = wp.float64(0.0)
    if other < equations.shared:
        low, high = wp.min(row, column), wp.max(row, column)
        value = equations.hessian[frame, OWN, high, low]
        if frame > 0:
            value += equations.hessian[frame, BEFORE, high, low]
            value += equations.hessian[frame, BACK, row, column] + equations.hessian[frame, BACK, column, row]
    else:
        value = -equations.gradient[frame, 0, row] - equations.gradient[frame, 1, row]
    which = (other + 1) % (equations.shared + 1)
    for one in range(equations.count):
        value -= border_entry(equations, frame, k, one) * solved(equations, rows, scale, frame, one, which)
    parts_out[frame, k, other] = value


def reduce_frames(equations, rows, scale, *, parts_out):
    """Launch :func:`_reduce_frames` over all frames and pairs of shared unknowns."""
    wp.launch(
        _reduce_frames,
        dim=parts_out.shape,
        inputs=[equations, rows, scale],
        outputs=[parts_out],
        device=parts_out.device,
    )


@wp.struct
class Prior:
    """What else is known of shared unknowns; see :class:`warpprior.system.shared_prior.SharedPrior`."""

    values: wp.array(dtype=wp.float64, ndim=2)  # [segment, shared], as all below
    first: wp.array(dtype=wp.float64, ndim=2)
    weight: wp.array(dtype=wp.float64, ndim=2)
    lowest: wp.array(dtype=wp.float64, ndim=2)
    highest: wp.array(dtype=wp.float64, ndim=2)
    longest: wp.array(dtype=wp.float64, ndim=2)
    held: wp.array(dtype=wp.int32, ndim=2)


@wp.kernel
def _sum_segments(
    parts: wp.array3d[wp.float64],  # [frame, shared, shared + 1]
    starts: wp.array[wp.int32],  # [segment + 1] first frame of each
    prior: Prior,
    sums_out: wp.array3d[wp.float64],  # [segment, shared, shared + 1]
):
    """Add up what the frames of a segment say, in their order, and what was known."""
    segment, k, other = wp.tid()
    value = wp.float64(0.0)
    for frame in range(starts[segment], starts[segment + 1]):
        value += parts[frame, k, other]
    if other == k:
        value += prior.weight[segment, k]
    if other == parts.shape[1]:
        value -= prior.weight[segment, k] * (prior.values[segment, k] - prior.first[segment, k])
    sums_out[segment, k, other] = value


def sum_segments(parts, starts, prior, *, sums_out):
    """Launch :func:`_sum_segments` over all segments and pairs of shared unknowns."""
    wp.launch(
        _sum_segments,
        dim=sums_out.shape,
        inputs=[parts, starts, prior],
        outputs=[sums_out],
        device=sums_out.device,
    )


@wp.func
def least_step(prior: Prior, segment: int, k: int) -> wp.float64:
    """The least that a shared unknown may step."""
    if prior.held[segment, k] != 0:
        return wp.float64(0.0)
    moved = prior.values[segment, k] - prior.first[segment, k]
    return wp.min(wp.max(prior.lowest[segment, k] - moved, -prior.longest[segment, k]), wp.float64(0.0))


@wp.func
def largest_step(prior: Prior, segment: int, k: int) -> wp.float64:
    """The most that a shared unknown may step."""
    if prior.held[segment, k] != 0:
        return wp.float64(0.0)
    moved = prior.values[segment, k] - prior.first[segment, k]
    return wp.max(wp.min(prior.highest[segment, k] - moved, prior.longest[segment, k]), wp.float64(0.0))


@wp.func
def solve_free(
    sums: wp.array3d[wp.float64],
    segment: int,
    free: wp.array2d[wp.int32],
    factor: wp.array3d[wp.float64],
    steps: wp.array2d[wp.float64],
) -> int:
    """Solve for those that are free, the others having their steps; 0 where that cannot be."""
    count = steps.shape[1]
    for i in range(count):
        right = steps[segment, i]
        if free[segment, i] != 0:
            right = sums[segment, i, count]
            for j in range(count):
                if free[segment, j] == 0:
                    right -= sums[segment, i, j] * steps[segment, j]
        factor[segment, i, count] = right
    for i in range(count):
        for j in range(i + 1):
            value = wp.float64(0.0)
            if free[segment, i] != 0 and free[segment, j] != 0:
                value = sums[segment, i, j]
            elif i == j:
                value = wp.float64(1.0)
            for m in range(j):
                value -= factor[segment, i, m] * factor[segment, j, m]
            if i > j:
                factor[segment, i, j] = value / factor[segment, j, j]
            elif value > wp.float64(0.0):
                factor[segment, i, i] = wp.sqrt(value)
            else:
                return 0
        right = factor[segment, i, count]
        for m in range(i):
            right -= factor[segment, i, m] * factor[segment, m, count]
        factor[segment, i, count] = right / factor[segment, i, i]
    for back in range(count):
        i = count - 1 - back
        right = factor[segment, i, count]
        for m in range(i + 1, count):
            right -= factor[segment, m, i] * factor[segment, m, count]
        factor[segment, i, count] = right / factor[segment, i, i]
    for i in range(count):
        if free[segment, i] != 0:
            steps[segment, i] = factor[segment, i, count]
    return 1


@wp.kernel
def _step_shared(
    sums: wp.array3d[wp.float64],  # [segment, shared, shared + 1] matrix and right-hand side
    prior: Prior,
    failed_out: wp.array[wp.int32],  # [segment]
    free_out: wp.array2d[wp.int32],  # [segment, shared] workspace
    factor_out: wp.array3d[wp.float64],  # [segment, shared, shared + 1] workspace
    steps_out: wp.array2d[wp.float64],  # [segment, shared]
):
    """Solve for the shared unknowns of a segment; what would pass its bounds stays there, the others make the best."""
    segment = wp.tid()
    count = steps_out.shape[1]
    for k in range(count):
        steps_out[segment, k] = wp.float64(0.0)
        free_out[segment, k] = 1
    passed = int(count)
    while passed > 0 and failed_out[segment] == 0:
        passed = int(0)
        if solve_free(sums, segment, free_out, factor_out, steps_out) == 0:
            failed_out[segment] = 1
        for k in range(count):
            if free_out[segment, k] != 0:
                low, high = least_step(prior, segment, k), largest_step(prior, segment, k)
                step = steps_out[segment, k]
                if step < low or step > high:
                    steps_out[segment, k] = wp.min(wp.max(step, low), high)
                    free_out[segment, k] = 0
                    passed += 1
                elif not wp.isfinite(step):
                    failed_out[segment] = 1


def step_shared(sums, prior, *, failed_out, free_out, factor_out, steps_out):
    """Launch :func:`_step_shared` over all segments."""
    wp.launch(
        _step_shared,
        dim=steps_out.shape[0],
        inputs=[sums, prior],
        outputs=[failed_out, free_out, factor_out, steps_out],
        device=steps_out.device,
    )


@wp.kernel
def _check_solution(
    rows: wp.array3d[wp.float64],  # [block, row, column] solved
    failed_out: wp.array[wp.int32],  # [segment]
):
    """See whether all of it is finite."""
    block, row, which = wp.tid()
    if not wp.isfinite(rows[block, row, 3 * rows.shape[1] + which]):
        wp.atomic_max(failed_out, block // (rows.shape[0] // failed_out.shape[0]), 1)


def check_solution(rows, count, *, failed_out):
    """Launch :func:`_check_solution` over all rows and ``count`` right-hand sides."""
    wp.launch(
        _check_solution,
        dim=(*rows.shape[:2], count),
        inputs=[rows],
        outputs=[failed_out],
        device=rows.device,
    )


@wp.kernel
def _follow_shared(
    equations: Equations,
    rows: wp.array3d[wp.float64],  # [block, row, column] solved
    scale: wp.array2d[wp.float64],  # [block, row]
    shared_steps: wp.array2d[wp.float64],  # [segment, shared]
    failed: wp.array[wp.int32],  # [segment]
    own: wp.float64,  # 1: steps of the frames themselves, too, 0: only what follows from shared ones
    steps_out: wp.array2d[wp.float64],  # [frame, column]
):
    """Steps of a frame when the shared unknowns take theirs; none where there is no solution."""
    frame, one = wp.tid()
    segment = equations.segments[frame]
    value = wp.float64(0.0)
    if failed[segment] == 0:
        value = own * solved(equations, rows, scale, frame, one, 0)
        for k in range(shared_steps.shape[1]):
            value -= solved(equations, rows, scale, frame, one, k + 1) * shared_steps[segment, k]
    steps_out[frame, one] = value


def follow_shared(equations, rows, scale, shared_steps, failed, own, *, steps_out):
    """Launch :func:`_follow_shared` over all frames and columns."""
    wp.launch(
        _follow_shared,
        dim=steps_out.shape,
        inputs=[equations, rows, scale, shared_steps, failed, own],
        outputs=[steps_out],
        device=steps_out.device,
    )
