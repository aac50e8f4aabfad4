"""Touch: a body that moves is touched by another; where the two are nearest, nothing lies between them."""

import warp as wp

from warpprior.kernels.contacts import Contacts, add_distance
from warpprior.kernels.robust import log_one_plus
from warpprior.kernels.rows import System, close_row
from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False})


@wp.struct
class Gap:
    """What a gap costs."""

    weight: wp.float32  # of a square [1/m^2]
    width: wp.float32  # gaps beyond which count less and less [m]


@wp.kernel
def _find_nearest(
    first_frame: int,
    samples: wp.array2d[wp.vec4],  # [frame, point] distance to the surface last
    pair: int,
    distances_out: wp.array[wp.float32],  # [frame] of the nearest point of all pairs so far
    nearest_out: wp.array[wp.vec2i],  # [frame] pair and point
):
    """Which point of a pair is nearest, where it is nearer than those of the pairs before."""
    frame = first_frame + wp.tid()
    for point in range(samples.shape[1]):
        distance = samples[frame, point][3]
        if distance < distances_out[frame]:
            distances_out[frame] = distance
            nearest_out[frame] = wp.vec2i(pair, point)


def find_nearest(samples, pair, *, distances_out, nearest_out):
    """Launch :func:`_find_nearest` over all frames."""
    launch_slabs(
        _find_nearest,
        dim=(distances_out.shape[0],),
        inputs=[samples, pair],
        outputs=[distances_out, nearest_out],
        device=distances_out.device,
    )


@wp.kernel
def _add_touch(
    first_frame: int,
    contacts: Contacts,
    pair: int,
    nearest: wp.array[wp.vec2i],  # [frame] pair and point; held
    moving: wp.array[wp.float32],  # [frame] 1 where the body moves
    gap: wp.array[Gap],  # [1]
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Pull the surface and the point that is nearest to it together, or apart where they overlap."""
    frame = first_frame + wp.tid()
    if moving[frame] == 0.0 or nearest[frame][0] != pair:
        return
    point = nearest[frame][1]
    distance = contacts.samples[frame, point][3]
    ratio = (distance / gap[0].width) * (distance / gap[0].width)
    weight = wp.float64(gap[0].weight / (1.0 + ratio))
    pull = weight * wp.float64(distance)
    count = add_distance(system, contacts, frame, 0, point, pull)
    close_row(system, frame, 0, count, weight, pull)
    scale = wp.float64(gap[0].weight * gap[0].width * gap[0].width)
    wp.atomic_add(cost_out, frame, scale * log_one_plus(wp.float64(ratio)))


def add_touch(contacts, pair, nearest, moving, gap, system, *, cost_out):
    """Launch :func:`_add_touch` over all frames."""
    launch_slabs(
        _add_touch,
        dim=(cost_out.shape[0],),
        inputs=[contacts, pair, nearest, moving, gap, system],
        outputs=[cost_out],
        device=cost_out.device,
    )
