"""Which contacts stick and which slide, told by how far they slip over several frames.  Forward only."""

import warp as wp

from warpprior.kernels.contacts import Contacts
from warpprior.kernels.robust import trust_of
from warpprior.kernels.sliding import Slip, slip_of

wp.set_module_options({"enable_backward": False})

LEAST_CONTACT = wp.constant(1.0e-12)  # less is none


@wp.kernel
def _weigh_sticking(
    contacts: Contacts,
    segments: wp.array[wp.int32],  # [frame]
    paces: wp.array[wp.float32],  # [frame] nominal time between frames over the true one since the frame before
    slip: wp.array[Slip],  # [1]
    around: int,  # intervals before and after that count
    drifts_out: wp.array2d[wp.vec4],  # [frame, point] slip that is believed, object frame [m], and weight of the rest
):
    """Trust (Geman-McClure) in a contact's sticking since the frame before, by its mean slip in the time around.

    Noise of single frames goes to and fro and averages out; what slides goes on.  Intervals count by contact weight.
    """
    frame, point = wp.tid()
    mean = wp.vec3(0.0, 0.0, 0.0)
    total = float(0.0)
    first = wp.max(frame - around, 1)
    last = wp.min(frame + around, contacts.weights.shape[0] - 1)
    for other in range(first, last + 1):
        if segments[other] == segments[frame] and segments[other - 1] == segments[frame]:
            weight = wp.sqrt(contacts.weights[other, point] * contacts.weights[other - 1, point])
            mean += slip_of(contacts, slip[0], other, point) * (weight * paces[other])
            total += weight
    if total > LEAST_CONTACT:
        mean = mean / total
    trust = trust_of(wp.length(mean), slip[0].slide)
    slides = 1.0 - trust * trust
    weight = 1.0 - slides * (1.0 - slip[0].drifting)
    drifts_out[frame, point] = wp.vec4(slides * mean[0], slides * mean[1], slides * mean[2], weight)


def weigh_sticking(contacts, segments, paces, slip, around, *, drifts_out):
    """Launch :func:`_weigh_sticking` over all frames and points."""
    wp.launch(
        _weigh_sticking,
        dim=drifts_out.shape,
        inputs=[contacts, segments, paces, slip, around],
        outputs=[drifts_out],
        device=drifts_out.device,
        record_tape=False,
    )
