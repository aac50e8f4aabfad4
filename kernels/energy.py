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


@wp.kernel
def _sum_rows(
    rows: wp.array2d[wp.float32],  # [term, frame]
    factors: wp.array[wp.float32],  # [term]
    totals_out: wp.array[wp.float32],  # [frame]
):
    """The cost of each frame over all terms."""
    frame = wp.tid()
    total = float(0.0)
    for term in range(rows.shape[0]):
        total += rows[term, frame] * factors[term]
    totals_out[frame] = total


def sum_rows(rows, factors, *, totals_out):
    """Launch :func:`_sum_rows` over all frames."""
    wp.launch(
        _sum_rows,
        dim=totals_out.shape[0],
        inputs=[rows, factors],
        outputs=[totals_out],
        device=totals_out.device,
        record_tape=False,
    )


@wp.kernel
def _seed_rows(
    gradients: wp.array[wp.float32],  # [frame] of the totals
    factors: wp.array[wp.float32],  # [term]
    seeds_out: wp.array2d[wp.float32],  # [term, frame]
):
    """Its adjoint: the gradient of every term's value in every frame."""
    term, frame = wp.tid()
    seeds_out[term, frame] = gradients[frame] * factors[term]


def seed_rows(gradients, factors, *, seeds_out):
    """Launch :func:`_seed_rows` over all terms and frames."""
    wp.launch(
        _seed_rows,
        dim=seeds_out.shape,
        inputs=[gradients, factors],
        outputs=[seeds_out],
        device=seeds_out.device,
        record_tape=False,
    )


@wp.kernel
def _pull_poses(
    poses: wp.array[wp.transform],  # [frame]
    increment_gradients: wp.array2d[wp.float32],  # [frame, unknown]
    pose_gradients_out: wp.array[wp.transform],  # [frame] added to
):
    """From the gradient by a pose's increment, (x/z, y/z, log z, rotation vector), to that by the pose.

    By the quaternion it is the part along the sphere of unit quaternions; across it nothing changes.
    """
    frame = wp.tid()
    position = wp.transform_get_translation(poses[frame])
    rotation = wp.transform_get_rotation(poses[frame])
    along_x = increment_gradients[frame, 0] / position[2]
    along_y = increment_gradients[frame, 1] / position[2]
    rest = increment_gradients[frame, 2] - position[0] * along_x - position[1] * along_y
    turn = wp.quat(increment_gradients[frame, 3], increment_gradients[frame, 4], increment_gradients[frame, 5], 0.0)
    by_rotation = (rotation * turn) * 2.0
    by_position = wp.vec3(along_x, along_y, rest / position[2])
    pose_gradients_out[frame] = pose_gradients_out[frame] + wp.transformation(by_position, by_rotation)


def pull_poses(poses, increment_gradients, *, pose_gradients_out):
    """Launch :func:`_pull_poses` over all frames."""
    wp.launch(
        _pull_poses,
        dim=poses.shape[0],
        inputs=[poses, increment_gradients],
        outputs=[pose_gradients_out],
        device=poses.device,
        record_tape=False,
    )


@wp.kernel
def _pull_joints(
    increment_gradients: wp.array2d[wp.float32],  # [frame, unknown]
    joint_gradients_out: wp.array2d[wp.float32],  # [frame, coordinate] added to
):
    """The part of the increments' gradient that is the joints'."""
    frame, coordinate = wp.tid()
    gradient = increment_gradients[frame, 6 + coordinate]
    joint_gradients_out[frame, coordinate] = joint_gradients_out[frame, coordinate] + gradient


def pull_joints(increment_gradients, *, joint_gradients_out):
    """Launch :func:`_pull_joints` over all frames and coordinates."""
    wp.launch(
        _pull_joints,
        dim=joint_gradients_out.shape,
        inputs=[increment_gradients],
        outputs=[joint_gradients_out],
        device=joint_gradients_out.device,
        record_tape=False,
    )
