"""Likely joint coordinates: limits, the body's pose prior, the first guess."""

import warp as wp

from warpprior.kernels.rows import COSTS, GRADIENT, OWN, System, slope

wp.set_module_options({"enable_backward": False})


@wp.struct
class Likely:
    """What unlikely coordinates cost: inverse squares of what counts one."""

    limit: wp.float32  # beyond a limit [1/rad^2 or 1/m^2]
    prior: wp.float32  # in sigmas of the pose prior
    guess: wp.float32  # away from the first guess [1/rad^2 or 1/m^2]


@wp.func
def prior_pull(
    joints: wp.array2d[wp.float32],
    mean: wp.array[wp.float32],
    precision: wp.array2d[wp.float32],
    frame: int,
    coordinate: int,
) -> float:
    """One row of precision times the difference from the mean."""
    total = float(0.0)
    for other in range(mean.shape[0]):
        total += precision[coordinate, other] * (joints[frame, other] - mean[other])
    return total


@wp.kernel
def _add_pose(
    joints: wp.array2d[wp.float32],  # [frame, coordinate]
    lower: wp.array[wp.float32],  # [coordinate]
    upper: wp.array[wp.float32],  # [coordinate]
    mean: wp.array[wp.float32],  # [coordinate], or empty
    precision: wp.array2d[wp.float32],  # [coordinate, coordinate]
    guess: wp.array2d[wp.float32],  # [frame, coordinate] the first guess
    likely: wp.array[Likely],  # [1]
    start: int,  # column of the first coordinate
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """One coordinate of one frame."""
    frame, coordinate = wp.tid()
    column = start + coordinate
    value = joints[frame, coordinate]
    beyond = value - wp.clamp(value, lower[coordinate], upper[coordinate])
    strayed = value - guess[frame, coordinate]
    pull = likely[0].limit * beyond + likely[0].guess * strayed
    hold = likely[0].guess
    cost = likely[0].limit * beyond * beyond + likely[0].guess * strayed * strayed
    if beyond != 0.0:
        hold += likely[0].limit
    if mean.shape[0] > 0:
        unlikely = prior_pull(joints, mean, precision, frame, coordinate)
        pull += likely[0].prior * unlikely
        cost += likely[0].prior * unlikely * (value - mean[coordinate])
    wp.atomic_add(cost_out, frame, wp.float64(cost))
    if system.mode == COSTS:
        return
    if system.mode == GRADIENT:
        wp.atomic_add(system.unknown_gradients, frame, column, slope(system, frame, wp.float64(pull)))
        return
    if mean.shape[0] > 0:
        for other in range(coordinate + 1):
            change = wp.float64(likely[0].prior * precision[coordinate, other])
            wp.atomic_add(system.hessian, frame, OWN, column, start + other, change)
    wp.atomic_add(system.hessian, frame, OWN, column, column, wp.float64(hold))
    wp.atomic_add(system.gradient, frame, 0, column, wp.float64(pull))


def add_pose(joints, lower, upper, mean, precision, guess, likely, start, system, *, cost_out):
    """Launch :func:`_add_pose` over all frames and coordinates."""
    wp.launch(
        _add_pose,
        dim=joints.shape,
        inputs=[joints, lower, upper, mean, precision, guess, likely, start, system],
        outputs=[cost_out],
        device=cost_out.device,
        record_tape=False,
    )
