"""Moments of a body's surface on the screen against those of its label: a pull that needs no overlap."""

import warp as wp

from warpprior.kernels.camera import NEAR

LEAST_SPREAD = wp.constant(1.0e-2)  # [px^2] a body this small has no size


@wp.kernel
def _gather_moments(
    points: wp.array2d[wp.vec3],  # [frame, point] camera frame
    shares: wp.array[wp.float32],  # [point] of the surface, sum 1
    focal: wp.vec2,
    moments_out: wp.array[wp.vec3],  # [frame] means of u, v and u^2 + v^2 from the principal point [px], added to
):
    """First and second moments of the surface on the screen."""
    frame, point = wp.tid()
    position = points[frame, point]
    depth = wp.max(position[2], NEAR)
    u = focal[0] * position[0] / depth
    v = focal[1] * position[1] / depth
    wp.atomic_add(moments_out, frame, wp.vec3(u, v, u * u + v * v) * shares[point])


def gather_moments(points, shares, focal, *, moments_out):
    """Launch :func:`_gather_moments`; ``moments_out`` must have been zeroed."""
    wp.launch(
        _gather_moments,
        dim=points.shape,
        inputs=[points, shares, focal],
        outputs=[moments_out],
        device=moments_out.device,
    )


@wp.kernel
def _compare_moments(
    moments: wp.array[wp.vec3],  # [frame]
    targets: wp.array[wp.vec4],  # [frame] u, v from the principal point [px], radius [px], weight of the radius
    gates: wp.array[wp.float32],  # [frame] share of the pull that acts
    sigma: wp.array[wp.float32],  # [1] [px]
    row: int,
    rows_out: wp.array2d[wp.float32],  # [term, frame] added to
):
    """Distance of centre and radius from the target in sigmas: quadratic near zero, linear beyond one."""
    frame = wp.tid()
    moment = moments[frame]
    target = targets[frame]
    across = moment[0] - target[0]
    down = moment[1] - target[1]
    spread = wp.max(moment[2] - moment[0] * moment[0] - moment[1] * moment[1], LEAST_SPREAD)
    wide = target[3] * target[2] * (0.5 * wp.log(spread) - wp.log(wp.max(target[2], 0.1)))
    square = (across * across + down * down + wide * wide) / (sigma[0] * sigma[0])
    wp.atomic_add(rows_out, row, frame, gates[frame] * (wp.sqrt(1.0 + square) - 1.0))


def compare_moments(moments, targets, gates, sigma, row, *, rows_out):
    """Launch :func:`_compare_moments` over all frames."""
    wp.launch(
        _compare_moments,
        dim=moments.shape[0],
        inputs=[moments, targets, gates, sigma, row],
        outputs=[rows_out],
        device=rows_out.device,
    )


@wp.kernel(enable_backward=False)
def _close_gates(
    drawn: wp.array2d[wp.float32],  # [frame, 3] pixels drawn in the open, first
    labelled: wp.array2d[wp.float32],  # [frame, 3] pixels of the label, first
    shared: wp.array[wp.float32],  # [frame] pixels that are both
    limits: wp.array[wp.float32],  # [2] overlap below which the gate is open, and above which it is closed
    gates_out: wp.array[wp.float32],  # [frame]
):
    """Open where drawing and label hardly overlap, closed where they do; closed where there is no label."""
    frame = wp.tid()
    gate = float(0.0)
    if labelled[frame, 0] > 0.0:
        union = drawn[frame, 0] + labelled[frame, 0] - shared[frame]
        gate = wp.clamp((limits[1] - shared[frame] / union) / (limits[1] - limits[0]), 0.0, 1.0)
    gates_out[frame] = gate


def close_gates(drawn, labelled, shared, limits, *, gates_out):
    """Launch :func:`_close_gates` over all frames."""
    wp.launch(
        _close_gates,
        dim=gates_out.shape[0],
        inputs=[drawn, labelled, shared, limits],
        outputs=[gates_out],
        device=gates_out.device,
        record_tape=False,
    )
