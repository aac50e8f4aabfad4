"""Joint coordinates as a base and an increment, kept within their limits."""

import warp as wp


@wp.kernel
def _advance_joints(
    joints: wp.array2d[wp.float32],  # [frame, coordinate]
    increments: wp.array2d[wp.float32],  # [frame, 6 + coordinate]
    joints_out: wp.array2d[wp.float32],  # [frame, coordinate]
):
    """Joint coordinates after an increment."""
    frame, coordinate = wp.tid()
    joints_out[frame, coordinate] = joints[frame, coordinate] + increments[frame, 6 + coordinate]


def advance_joints(joints, increments, *, joints_out):
    """Launch :func:`_advance_joints` over all frames and coordinates."""
    wp.launch(
        _advance_joints,
        dim=joints_out.shape,
        inputs=[joints, increments],
        outputs=[joints_out],
        device=joints_out.device,
    )


@wp.kernel(enable_backward=False)
def _bound_joints(
    lower: wp.array[wp.float32],  # [coordinate]
    upper: wp.array[wp.float32],  # [coordinate]
    joints_out: wp.array2d[wp.float32],  # [frame, coordinate] changed in place
):
    """Clamp joint coordinates to their limits, after a step."""
    frame, coordinate = wp.tid()
    joints_out[frame, coordinate] = wp.clamp(joints_out[frame, coordinate], lower[coordinate], upper[coordinate])


def bound_joints(lower, upper, *, joints_out):
    """Launch :func:`_bound_joints` over all frames and coordinates."""
    wp.launch(
        _bound_joints, dim=joints_out.shape, inputs=[lower, upper], outputs=[joints_out], device=joints_out.device
    )
