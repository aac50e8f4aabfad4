"""A block-tridiagonal matrix solved by cyclic reduction, in tiles of 32 x 32 double precision numbers.  Forward only.

Every second block is eliminated, all at once; what is left is block-tridiagonal again with half as many.  So blocks
are solved in log2(blocks) rounds, of three launches each, whatever couples them; those of several segments, each of as
many blocks, in the same ones.  A group of threads has a block, or a
tile of its row.  Rows are those of :mod:`warpprior.kernels.block_rows`, of tiles: ``q`` for the block itself, ``q`` for
the one before, ``q`` for the one after, and right-hand sides.

A block that rounding left not positive is damped more, alone, until it is; a Cholesky factor counts where its product
is the block again, whatever a library made of a negative pivot.

One module, which a CPU compiles only where it is asked to solve this way.  Compiled for sm_90 it takes some 5 s: with
cuBLASDx and cuSOLVERDx, which are switched off, a kernel with one product took 12 s, one with one factor 4 s, in tiles
of 16 to 64 alike (tiles of 57 did not compile in 260 s).
"""

import warp as wp

from warpprior.kernels.rows import ATTEMPTS, MORE_DAMPING

wp.set_module_options(
    {
        "enable_backward": False,
        "enable_mathdx_gemm": False,
        "enable_mathdx_solver": False,
        "max_unroll": 1,
        "block_dim": 128,
    }
)

TILE = wp.constant(32)
THREADS = 128
OFF = wp.constant(wp.float64(1e-7))  # of a diagonal of one at most: a product that is not the block again


@wp.func
def is_off(residual: wp.float64, factor: wp.float64, diagonal: wp.float64) -> wp.float64:
    """1 where a factor is not one: its product is not the matrix, or its diagonal not positive."""
    right = wp.abs(residual) <= OFF and (diagonal == wp.float64(0.0) or factor > wp.float64(0.0))
    return wp.where(right, wp.float64(0.0), wp.float64(1.0))


@wp.kernel
def _factor_blocks(
    rows: wp.array3d[wp.float64],  # [block, row, column]
    more: wp.array2d[wp.float64],  # [block, row] how much of the diagonal is damping
    first: int,  # block of each segment that is factored, and the distance of the next
    step: int,
    each: int,  # how many of a segment
    attempts: int,
    factor_out: wp.array3d[wp.float64],  # [block, row, column] Cholesky factor; on its diagonal tiles their inverses
    failed_out: wp.array[wp.int32],  # [segment]
):
    """Factor blocks, those that are not positive with more damping."""
    which = wp.tid()
    blocks = factor_out.shape[0] // failed_out.shape[0]
    block = (which // each) * blocks + first + (which % each) * step
    count = factor_out.shape[1] // TILE
    eye = wp.tile_diag_add(
        wp.tile_zeros(shape=(TILE, TILE), dtype=wp.float64), wp.tile_ones(shape=TILE, dtype=wp.float64)
    )
    larger, off = wp.float64(1.0), wp.float64(1.0)
    for _attempt in range(attempts):
        off = wp.float64(0.0)
        for k in range(count):
            plain = wp.tile_load(rows[block], shape=(TILE, TILE), offset=(k * TILE, k * TILE), storage="shared")
            extra = wp.tile_load(more[block], shape=TILE, offset=k * TILE, storage="shared")
            own = wp.tile_diag_add(plain, extra * (larger - wp.float64(1.0)))
            for m in range(k):
                left = wp.tile_load(
                    factor_out[block], shape=(TILE, TILE), offset=(k * TILE, m * TILE), storage="shared"
                )
                wp.tile_matmul(left, wp.tile_transpose(left), own, alpha=wp.float64(-1.0))
            lower = wp.tile_cholesky(own)
            inverse = wp.tile_lower_solve(lower, eye)
            wp.tile_store(factor_out[block], inverse, offset=(k * TILE, k * TILE))
            wp.tile_matmul(lower, wp.tile_transpose(lower), own, alpha=wp.float64(-1.0))
            count_off = wp.tile_sum(wp.tile_map(is_off, own, lower, eye))
            off += count_off[0]
            for i in range(k + 1, count):
                below = wp.tile_load(rows[block], shape=(TILE, TILE), offset=(i * TILE, k * TILE), storage="shared")
                for m in range(k):
                    one = wp.tile_load(
                        factor_out[block], shape=(TILE, TILE), offset=(i * TILE, m * TILE), storage="shared"
                    )
                    other = wp.tile_load(
                        factor_out[block], shape=(TILE, TILE), offset=(k * TILE, m * TILE), storage="shared"
                    )
                    wp.tile_matmul(one, wp.tile_transpose(other), below, alpha=wp.float64(-1.0))
                wp.tile_store(
                    factor_out[block],
                    wp.tile_matmul(below, wp.tile_transpose(inverse)),
                    offset=(i * TILE, k * TILE),
                )
        if off == wp.float64(0.0):
            break
        larger = larger * wp.float64(MORE_DAMPING)
    if off > wp.float64(0.0):
        wp.atomic_max(failed_out, which // each, 1)


def factor_blocks(rows, more, first, step, count, *, factor_out, failed_out):
    """Launch :func:`_factor_blocks` over ``count`` blocks of each segment."""
    wp.launch_tiled(
        _factor_blocks,
        dim=[failed_out.shape[0] * count],
        inputs=[rows, more, first, step, count, ATTEMPTS],
        outputs=[factor_out, failed_out],
        block_dim=THREADS,
        device=rows.device,
    )


@wp.kernel
def _solve_rows(
    factor: wp.array3d[wp.float64],  # [block, row, column]
    first: int,
    step: int,
    each: int,  # blocks of a segment that are solved
    blocks: int,  # and that there are
    from_tile: int,  # of a row
    rows_out: wp.array3d[wp.float64],  # [block, row, column]
):
    """Multiply a column of tiles of each block's row by the inverse of its factor, in place."""
    which, part = wp.tid()
    block = (which // each) * blocks + first + (which % each) * step
    column = (from_tile + part) * TILE
    for i in range(factor.shape[1] // TILE):
        right = wp.tile_load(rows_out[block], shape=(TILE, TILE), offset=(i * TILE, column), storage="shared")
        for m in range(i):
            left = wp.tile_load(factor[block], shape=(TILE, TILE), offset=(i * TILE, m * TILE), storage="shared")
            above = wp.tile_load(rows_out[block], shape=(TILE, TILE), offset=(m * TILE, column), storage="shared")
            wp.tile_matmul(left, above, right, alpha=wp.float64(-1.0))
        inverse = wp.tile_load(factor[block], shape=(TILE, TILE), offset=(i * TILE, i * TILE), storage="shared")
        wp.tile_store(rows_out[block], wp.tile_matmul(inverse, right), offset=(i * TILE, column))


def solve_rows(factor, first, step, count, from_tile, *, segments=1, rows_out):
    """Launch :func:`_solve_rows` over ``count`` blocks of each segment and columns of tiles from ``from_tile`` on."""
    wp.launch_tiled(
        _solve_rows,
        dim=[segments * count, rows_out.shape[2] // TILE - from_tile],
        inputs=[factor, first, step, count, factor.shape[0] // segments, from_tile],
        outputs=[rows_out],
        block_dim=THREADS,
        device=rows_out.device,
    )


@wp.kernel
def _join_neighbours(
    step: int,  # from a block that stays to those that were eliminated
    each: int,  # blocks of a segment that stay
    blocks: int,  # and that there are
    rows_out: wp.array3d[wp.float64],  # [block, row, column]
):
    """What the eliminated blocks on both sides leave to one that stays, a tile of its row at a time."""
    which, a, u = wp.tid()
    q = rows_out.shape[1] // TILE
    within = 2 * step * (which % each)
    block = (which // each) * blocks + within
    before, after = block - step, block + step
    # Of the columns of an eliminated block's row: those of this one, and those that meet the tile's.
    meets_before, meets_after = u, u
    if u < q:
        meets_before, meets_after = u + 2 * q, u + q
    stays = u < q or u >= 3 * q  # what couples it with its new neighbours is new
    old = wp.tile_load(rows_out[block], shape=(TILE, TILE), offset=(a * TILE, u * TILE), storage="shared")
    own = old * wp.where(stays, wp.float64(1.0), wp.float64(0.0))
    if within >= step and (u < 2 * q or u >= 3 * q):
        for m in range(q):
            one = wp.tile_load(
                rows_out[before], shape=(TILE, TILE), offset=(m * TILE, (2 * q + a) * TILE), storage="shared"
            )
            other = wp.tile_load(
                rows_out[before], shape=(TILE, TILE), offset=(m * TILE, meets_before * TILE), storage="shared"
            )
            wp.tile_matmul(wp.tile_transpose(one), other, own, alpha=wp.float64(-1.0))
    if within + step < blocks and (u < q or u >= 2 * q):
        for m in range(q):
            one = wp.tile_load(rows_out[after], shape=(TILE, TILE), offset=(m * TILE, (q + a) * TILE), storage="shared")
            other = wp.tile_load(
                rows_out[after], shape=(TILE, TILE), offset=(m * TILE, meets_after * TILE), storage="shared"
            )
            wp.tile_matmul(wp.tile_transpose(one), other, own, alpha=wp.float64(-1.0))
    wp.tile_store(rows_out[block], own, offset=(a * TILE, u * TILE))


def join_neighbours(step, count, *, segments=1, rows_out):
    """Launch :func:`_join_neighbours` over ``count`` blocks of each segment that stay and all tiles of their rows."""
    wp.launch_tiled(
        _join_neighbours,
        dim=[segments * count, rows_out.shape[1] // TILE, rows_out.shape[2] // TILE],
        inputs=[step, count, rows_out.shape[0] // segments],
        outputs=[rows_out],
        block_dim=THREADS,
        device=rows_out.device,
    )


@wp.kernel
def _solve_back(
    factor: wp.array3d[wp.float64],  # [block, row, column]
    first: int,
    step: int,
    reach: int,  # to the neighbours, which are solved
    each: int,  # blocks of a segment that are solved
    blocks: int,  # and that there are
    rows_out: wp.array3d[wp.float64],  # [block, row, column]
):
    """Solve eliminated blocks, a column of tiles of right-hand sides at a time."""
    which, part = wp.tid()
    q = factor.shape[1] // TILE
    within = first + (which % each) * step
    block, column = (which // each) * blocks + within, (3 * q + part) * TILE
    before, after = block - reach, block + reach
    for down in range(q):
        i = q - 1 - down
        own = wp.tile_load(rows_out[block], shape=(TILE, TILE), offset=(i * TILE, column), storage="shared")
        if within >= reach:
            for m in range(q):
                left = wp.tile_load(
                    rows_out[block], shape=(TILE, TILE), offset=(i * TILE, (q + m) * TILE), storage="shared"
                )
                known = wp.tile_load(rows_out[before], shape=(TILE, TILE), offset=(m * TILE, column), storage="shared")
                wp.tile_matmul(left, known, own, alpha=wp.float64(-1.0))
        if within + reach < blocks:
            for m in range(q):
                left = wp.tile_load(
                    rows_out[block], shape=(TILE, TILE), offset=(i * TILE, (2 * q + m) * TILE), storage="shared"
                )
                known = wp.tile_load(rows_out[after], shape=(TILE, TILE), offset=(m * TILE, column), storage="shared")
                wp.tile_matmul(left, known, own, alpha=wp.float64(-1.0))
        for m in range(i + 1, q):
            left = wp.tile_load(factor[block], shape=(TILE, TILE), offset=(m * TILE, i * TILE), storage="shared")
            below = wp.tile_load(rows_out[block], shape=(TILE, TILE), offset=(m * TILE, column), storage="shared")
            wp.tile_matmul(wp.tile_transpose(left), below, own, alpha=wp.float64(-1.0))
        inverse = wp.tile_load(factor[block], shape=(TILE, TILE), offset=(i * TILE, i * TILE), storage="shared")
        wp.tile_store(rows_out[block], wp.tile_matmul(wp.tile_transpose(inverse), own), offset=(i * TILE, column))


def solve_back(factor, first, step, reach, count, *, segments=1, rows_out):
    """Launch :func:`_solve_back` over ``count`` blocks of each segment and all right-hand sides."""
    wp.launch_tiled(
        _solve_back,
        dim=[segments * count, (rows_out.shape[2] - 3 * rows_out.shape[1]) // TILE],
        inputs=[factor, first, step, reach, count, factor.shape[0] // segments],
        outputs=[rows_out],
        block_dim=THREADS,
        device=rows_out.device,
    )
