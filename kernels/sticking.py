"""Which contacts stick and which slide, told by slip that goes on, of most of what touches.  Forward only."""

import warp as wp

from warpprior.kernels.contacts import Contacts
from warpprior.kernels.sliding import Slip, slip_of

wp.set_module_options({"enable_backward": False})

LEAST_CONTACT = wp.constant(1.0e-12)  # less is none
LEAST_PAIRS = wp.constant(0.1)  # share of all: what touches in one interval alone tells nothing of what goes on
SURE = wp.constant(5.0)  # logarithm of the odds that a contact without slip sticks


@wp.kernel
def _find_sliding(
    contacts: Contacts,
    segments: wp.array[wp.int32],  # [frame]
    paces: wp.array[wp.float32],  # [frame] nominal time between frames over the true one since the frame before
    slip: wp.array[Slip],  # [1]
    around: int,  # intervals before and after that count
    found_out: wp.array2d[wp.vec4],  # [frame, point] mean slip, object frame [m], and how likely the contact slides
):
    """How likely a contact slides since the frame before, by its slip in the intervals around: a mixture of two kinds.

    Of those that stick, slip is noise, alike in no two intervals; those that slide go on, at any speed.  So the inner
    products of slips in different intervals tell: on average they are the square of what goes on, however strong the
    noise is, and a jump in one interval leaves no trace.  Intervals count by contact weight.  Deep inside there is no
    evidence, for what slides does so on a surface.
    """
    frame, point = wp.tid()
    slips = wp.vec3(0.0, 0.0, 0.0)
    total = float(0.0)
    squares = float(0.0)  # of slips
    own = float(0.0)  # weights of intervals paired with themselves
    first = wp.max(frame - around, 1)
    last = wp.min(frame + around, contacts.weights.shape[0] - 1)
    for other in range(first, last + 1):
        apart = wp.min(contacts.frozen[other, point][3], contacts.frozen[other - 1, point][3])
        if segments[other] == segments[frame] and segments[other - 1] == segments[frame] and apart > -slip[0].deepest:
            weight = wp.sqrt(contacts.weights[other, point] * contacts.weights[other - 1, point])
            move = slip_of(contacts, slip[0], other, point) * (weight * paces[other])
            slips += move
            total += weight
            squares += wp.length_sq(move)
            own += weight * weight
    pairs = total * total - own
    if pairs < LEAST_PAIRS * total * total or total < LEAST_CONTACT:
        found_out[frame, point] = wp.vec4(0.0, 0.0, 0.0, 0.0)
        return
    onward = (wp.length_sq(slips) - squares) / pairs
    slides = 1.0 / (1.0 + wp.exp(SURE * (1.0 - onward / (slip[0].slide * slip[0].slide))))
    mean = slips / total
    found_out[frame, point] = wp.vec4(mean[0], mean[1], mean[2], slides)


def find_sliding(contacts, segments, paces, slip, around, *, found_out):
    """Launch :func:`_find_sliding` over all frames and points."""
    wp.launch(
        _find_sliding,
        dim=found_out.shape,
        inputs=[contacts, segments, paces, slip, around],
        outputs=[found_out],
        device=found_out.device,
        record_tape=False,
    )


@wp.kernel
def _share_sliding(
    weights: wp.array2d[wp.float32],  # [frame, point] of contacts
    found: wp.array2d[wp.vec4],  # [frame, point] as :func:`_find_sliding` gives it
    shares_out: wp.array[wp.float32],  # [frame] of what touches, how much slides
):
    """Share of sliding contacts in a frame."""
    frame = wp.tid()
    total = float(0.0)
    sliding = float(0.0)
    for point in range(weights.shape[1]):
        total += weights[frame, point]
        sliding += weights[frame, point] * found[frame, point][3]
    shares_out[frame] = sliding / wp.max(total, LEAST_CONTACT)


def share_sliding(weights, found, *, shares_out):
    """Launch :func:`_share_sliding` over all frames."""
    wp.launch(
        _share_sliding,
        dim=shares_out.shape,
        inputs=[weights, found],
        outputs=[shares_out],
        device=shares_out.device,
        record_tape=False,
    )


@wp.kernel
def _believe_sliding(
    found: wp.array2d[wp.vec4],  # [frame, point] as :func:`_find_sliding` gives it
    shares: wp.array[wp.float32],  # [frame] of what touches, how much slides
    slip: wp.array[Slip],  # [1]
    drifts_out: wp.array2d[wp.vec4],  # [frame, point] slip that is believed, object frame [m], and weight of the rest
):
    """Believe slip as far as most of what touches slides, too: a finger that slips alone is misplaced."""
    frame, point = wp.tid()
    share = shares[frame] * shares[frame]
    rest = (1.0 - shares[frame]) * (1.0 - shares[frame])
    drift = found[frame, point]
    slides = drift[3] * share / (share + rest)
    weight = 1.0 - slides * (1.0 - slip[0].drifting)
    drifts_out[frame, point] = wp.vec4(slides * drift[0], slides * drift[1], slides * drift[2], weight)


def believe_sliding(found, shares, slip, *, drifts_out):
    """Launch :func:`_believe_sliding` over all frames and points."""
    wp.launch(
        _believe_sliding,
        dim=drifts_out.shape,
        inputs=[found, shares, slip],
        outputs=[drifts_out],
        device=drifts_out.device,
        record_tape=False,
    )
