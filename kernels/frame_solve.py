"""Equations of one rigid body whose frames nothing ties, each solved by a thread of its own.  Forward only."""

import warp as wp

from warpprior.kernels.block_rows import Equations, own_entry
from warpprior.kernels.rows import ATTEMPTS, MORE_DAMPING, vec6d

wp.set_module_options({"enable_backward": False})

mat66d = wp.types.matrix(shape=(6, 6), dtype=wp.float64)


@wp.kernel
def _solve_frames(
    equations: Equations,  # of six columns
    attempts: int,
    steps_out: wp.array2d[wp.float64],  # [frame, 6]
):
    """Minus the solution of a frame; none where no damping makes it positive."""
    frame = wp.tid()
    plain, pull = mat66d(), vec6d()
    for i in range(6):
        column = equations.first + i
        pull[i] = -equations.gradient[frame, 0, column]
        if frame + 1 < equations.gradient.shape[0]:
            pull[i] = pull[i] - equations.gradient[frame + 1, 1, column]
        for j in range(i + 1):
            plain[i, j] = own_entry(equations.hessian, frame, column, equations.first + j)
    found = vec6d()
    damping = equations.damping
    sought = int(1)
    for _attempt in range(attempts):
        if sought == 1:
            factor, positive = mat66d(), int(1)
            for i in range(6):
                for j in range(i + 1):
                    value = plain[i, j]
                    if i == j:
                        value = value * (wp.float64(1.0) + damping) + equations.floor[i]
                    for m in range(j):
                        value -= factor[i, m] * factor[j, m]
                    if i == j:
                        if not (value > wp.float64(0.0)):
                            positive = int(0)
                        factor[i, i] = wp.sqrt(wp.max(value, wp.float64(0.0)))
                    else:
                        factor[i, j] = value / factor[j, j]
            if positive == 1:
                for i in range(6):
                    value = pull[i]
                    for m in range(i):
                        value -= factor[i, m] * found[m]
                    found[i] = value / factor[i, i]
                for back in range(6):
                    i = 5 - back
                    value = found[i]
                    for m in range(i + 1, 6):
                        value -= factor[m, i] * found[m]
                    found[i] = value / factor[i, i]
                sought = int(0)
            damping = damping * wp.float64(MORE_DAMPING)
    for i in range(6):
        step = found[i]
        if not wp.isfinite(step):
            sought = int(1)
    for i in range(6):
        steps_out[frame, i] = wp.where(sought == 1, wp.float64(0.0), found[i])


def solve_frames(equations, *, steps_out):
    """Launch :func:`_solve_frames` over all frames."""
    wp.launch(
        _solve_frames,
        dim=steps_out.shape[0],
        inputs=[equations, ATTEMPTS],
        outputs=[steps_out],
        device=steps_out.device,
    )
