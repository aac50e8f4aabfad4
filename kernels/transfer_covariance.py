"""Uncertainty of where a transfer puts a body, from that of its rotation and of the middle of its contacts."""

import warp as wp

from warpprior.kernels.quasistatic import reciprocal
from warpprior.kernels.rotations import so3_hat

wp.set_module_options({"enable_backward": False})


@wp.kernel
def _spread_transfer(
    rotations: wp.array[wp.mat33],  # [pair] of the transfer
    weight_sums: wp.array[wp.float32],  # [pair]
    sums_before: wp.array[wp.vec3],  # [pair] weighted offsets of the contacts from the body's origin
    rotation_covariance: wp.array[wp.mat33],  # [pair] along the camera's axes at the frame before [rad^2]
    centroid_variance: wp.array[wp.float32],  # [pair] [m^2]
    covariance_out: wp.array3d[wp.float32],  # [pair, 6, 6] position [m], then rotation vector [rad], camera axes
):
    """One pair.  The body turns about the middle of its contacts, which is known on its own."""
    pair = wp.tid()
    rotation = rotations[pair]
    turn = rotation * rotation_covariance[pair] * wp.transpose(rotation)
    arm = so3_hat(rotation * (sums_before[pair] * reciprocal(weight_sums[pair])))
    # A turn t shifts the origin by cross(t, R (origin - middle)) = hat(R (middle - origin)) t.
    cross = arm * turn
    shift = cross * wp.transpose(arm)
    for i in range(3):
        for j in range(3):
            own = shift[i, j]
            if i == j:
                own = own + centroid_variance[pair]
            covariance_out[pair, i, j] = own
            covariance_out[pair, i, 3 + j] = cross[i, j]
            covariance_out[pair, 3 + j, i] = cross[i, j]
            covariance_out[pair, 3 + i, 3 + j] = turn[i, j]


def spread_transfer(rotations, weight_sums, sums_before, rotation_covariance, centroid_variance, *, covariance_out):
    """Launch :func:`_spread_transfer` over all pairs."""
    wp.launch(
        _spread_transfer,
        dim=covariance_out.shape[0],
        inputs=[rotations, weight_sums, sums_before, rotation_covariance, centroid_variance],
        outputs=[covariance_out],
        device=covariance_out.device,
        record_tape=False,
    )
