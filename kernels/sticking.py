"""Which contacts stick and which slide, told by how far they slip over several frames.  Forward only."""

import warp as wp

from warpprior.kernels.contacts import Contacts
from warpprior.kernels.sliding import Slip, slip_of

wp.set_module_options({"enable_backward": False})

LEAST_CONTACT = wp.constant(1.0e-12)  # less is none
LEAST_PAIRS = wp.constant(
    0.1
)  # share of all: what hardly touches but in one interval tells nothing of slip that goes on
SURE = wp.constant(5.0)  # logarithm of the odds that a contact without slip sticks


@wp.kernel
def _weigh_sticking(
    contacts: Contacts,
    segments: wp.array[wp.int32],  # [frame]
    paces: wp.array[wp.float32],  # [frame] nominal time between frames over the true one since the frame before
    slip: wp.array[Slip],  # [1]
    around: int,  # intervals before and after that count
    drifts_out: wp.array2d[wp.vec4],  # [frame, point] slip that is believed, object frame [m], and weight of the rest
):
    """How likely a contact slides since the frame before, by its slip in the intervals around: a mixture of two kinds.

    Of those that stick, slip is noise, alike in no two intervals; those that slide go on, at any speed.  So the inner
    products of slips in different intervals tell: on average they are the square of what goes on, however strong the
    noise is, and a jump in one interval leaves no trace.  Intervals count by contact weight.  Turns about an axis of
    symmetry are not seen, so there is no evidence of slip along them.
    """
    frame, point = wp.tid()
    unseen = wp.normalize(wp.cross(slip[0].symmetry, contacts.places[frame, point]))
    slips = wp.vec3(0.0, 0.0, 0.0)
    total = float(0.0)
    squares = float(0.0)  # of slips
    own = float(0.0)  # weights of intervals paired with themselves
    first = wp.max(frame - around, 1)
    last = wp.min(frame + around, contacts.weights.shape[0] - 1)
    for other in range(first, last + 1):
        if segments[other] == segments[frame] and segments[other - 1] == segments[frame]:
            weight = wp.sqrt(contacts.weights[other, point] * contacts.weights[other - 1, point])
            move = slip_of(contacts, slip[0], other, point) * (weight * paces[other])
            move -= unseen * wp.dot(unseen, move)
            slips += move
            total += weight
            squares += wp.length_sq(move)
            own += weight * weight
    pairs = total * total - own
    if pairs < LEAST_PAIRS * total * total or total < LEAST_CONTACT:
        drifts_out[frame, point] = wp.vec4(0.0, 0.0, 0.0, 1.0)
        return
    onward = (wp.length_sq(slips) - squares) / pairs
    slides = 1.0 / (1.0 + wp.exp(SURE * (1.0 - onward / (slip[0].slide * slip[0].slide))))
    mean = slips / total
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
