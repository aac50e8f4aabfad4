"""Given: points of a body that no picture shows stay near the places where its given poses put them."""

import warp as wp

from warpprior.kernels.robust import Scale, trust_of
from warpprior.kernels.rows import System, add_entry, add_place, close_row

wp.set_module_options({"enable_backward": False})


@wp.kernel
def _add_given(
    vertices: wp.array2d[wp.vec3],  # [frame, scene vertex] camera frame
    chosen: wp.array[wp.int32],  # [point] scene vertices, which are places
    given: wp.array2d[wp.vec3],  # [frame, point] camera frame
    origins: wp.array[wp.vec3],  # [frame] of the body, as given
    trusted: wp.array[wp.float32],  # [frame] 0 where no pose was given
    poses: wp.array[wp.transform],  # [frame]
    scale: wp.array[Scale],  # [1] of a metre
    start: int,  # column of the body's root
    factor: wp.array[wp.float32],  # [1] of the body's size, with which what was given grows about its origin
    size_column: int,  # of the logarithm of that, -1 where it is not estimated
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Pull points to where they were given."""
    frame = wp.tid()
    if trusted[frame] == 0.0:
        return
    reach = scale[0].reach
    cost = wp.float64(0.0)
    for number in range(chosen.shape[0]):
        place = chosen[number]
        point = vertices[frame, place]
        target = given[frame, number]
        arm = wp.vec3(0.0, 0.0, 0.0)
        if size_column >= 0:
            arm = (target - origins[frame]) * factor[0]
            target = origins[frame] + arm
        miss = point - target
        trust = trust_of(wp.length(miss), reach)
        weight = wp.float64(scale[0].weight * trust * trust)
        cost += wp.float64(scale[0].weight * trust * wp.dot(miss, miss))
        for axis in range(3):
            direction = wp.vec3(0.0, 0.0, 0.0)
            direction[axis] = 1.0
            pull = weight * wp.float64(miss[axis])
            count = add_place(system, frame, 0, start, poses[frame], place, point, direction, pull)
            if size_column >= 0:
                count = add_entry(system, frame, frame, 0, count, size_column, -arm[axis], pull)
            close_row(system, frame, 0, count, weight, pull)
    wp.atomic_add(cost_out, frame, cost)


def add_given(
    vertices, chosen, given, origins, trusted, poses, scale, start, factor, size_column, system, *, cost_out
):  # fmt: skip
    """Launch :func:`_add_given` over all frames."""
    wp.launch(
        _add_given,
        dim=cost_out.shape[0],
        inputs=[vertices, chosen, given, origins, trusted, poses, scale, start, factor, size_column, system],
        outputs=[cost_out],
        device=cost_out.device,
        record_tape=False,
    )
