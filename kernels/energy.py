"""From gradients by places and unknowns to those of surfaces, links and increments: the end of the energy's adjoint."""

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def _add_costs(
    costs: wp.array[wp.float64],  # [frame]
    row: int,
    rows_out: wp.array2d[wp.float32],  # [term, frame] added to
):
    """The costs of one bound term, to its row of the energy."""
    frame = wp.tid()
    rows_out[row, frame] = rows_out[row, frame] + float(costs[frame])


def add_costs(costs, row, *, rows_out):
    """Launch :func:`_add_costs` over all frames."""
    wp.launch(
        _add_costs,
        dim=costs.shape[0],
        inputs=[costs, row],
        outputs=[rows_out],
        device=rows_out.device,
        record_tape=False,
    )


@wp.kernel
def _spread_surface(
    place_gradients: wp.array2d[wp.vec3],  # [frame, place]
    vertex_gradients_out: wp.array2d[wp.vec3],  # [frame, vertex] added to; the first places
):
    """Gradients of places that are vertices."""
    frame, vertex = wp.tid()
    vertex_gradients_out[frame, vertex] = vertex_gradients_out[frame, vertex] + place_gradients[frame, vertex]


def spread_surface(place_gradients, *, vertex_gradients_out):
    """Launch :func:`_spread_surface` over all frames and vertices."""
    wp.launch(
        _spread_surface,
        dim=vertex_gradients_out.shape,
        inputs=[place_gradients],
        outputs=[vertex_gradients_out],
        device=vertex_gradients_out.device,
        record_tape=False,
    )


@wp.kernel
def _spread_origins(
    place_gradients: wp.array2d[wp.vec3],  # [frame, place]
    origins: wp.array[wp.vec2i],  # [origin] place, and the link whose origin it is
    link_gradients_out: wp.array2d[wp.transform],  # [frame, link] added to
):
    """Gradients of places that are origins of a body's links; a link may be listed more than once."""
    frame, origin = wp.tid()
    gradient = place_gradients[frame, origins[origin][0]]
    wp.atomic_add(
        link_gradients_out, frame, origins[origin][1], wp.transformation(gradient, wp.quat(0.0, 0.0, 0.0, 0.0))
    )


def spread_origins(place_gradients, origins, *, link_gradients_out):
    """Launch :func:`_spread_origins` over all frames and origins."""
    wp.launch(
        _spread_origins,
        dim=(link_gradients_out.shape[0], origins.shape[0]),
        inputs=[place_gradients, origins],
        outputs=[link_gradients_out],
        device=link_gradients_out.device,
        record_tape=False,
    )


@wp.kernel
def _spread_unknowns(
    unknown_gradients: wp.array2d[wp.float32],  # [frame, column]
    start: int,
    increment_gradients_out: wp.array2d[wp.float32],  # [frame, unknown of the body] added to
):
    """Gradients of one body's unknowns, which its places do not carry."""
    frame, unknown = wp.tid()
    gradient = unknown_gradients[frame, start + unknown]
    increment_gradients_out[frame, unknown] = increment_gradients_out[frame, unknown] + gradient


def spread_unknowns(unknown_gradients, start, *, increment_gradients_out):
    """Launch :func:`_spread_unknowns` over all frames and unknowns."""
    wp.launch(
        _spread_unknowns,
        dim=increment_gradients_out.shape,
        inputs=[unknown_gradients, start],
        outputs=[increment_gradients_out],
        device=increment_gradients_out.device,
        record_tape=False,
    )
