"""Costs of a run kept on the device, so that the loop never waits for the host.  Forward only."""

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def _record_cost(
    costs: wp.array[wp.float64],  # [frame]
    starts: wp.array[wp.int32],  # [clip + 1] first frame of each clip, and one past the last; empty: one clip has all
    count: wp.array[wp.int32],  # [1] rows complete so far
    column: int,
    history_out: wp.array3d[wp.float64],  # [clip, iteration, term]
):
    """Sum one term over a clip's frames into its current row; one thread, in order: runs agree bit for bit."""
    clip = wp.tid()
    first = int(0)
    end = costs.shape[0]
    if starts.shape[0] > 0:
        first = starts[clip]
        end = starts[clip + 1]
    total = wp.float64(0.0)
    for frame in range(first, end):
        total += costs[frame]
    row = wp.min(count[0], history_out.shape[1] - 1)
    history_out[clip, row, column] += total


def record_cost(costs, starts, count, column, *, history_out):
    """Launch :func:`_record_cost` over all clips."""
    wp.launch(
        _record_cost,
        dim=history_out.shape[0],
        inputs=[costs, starts, count, column],
        outputs=[history_out],
        device=history_out.device,
    )


@wp.kernel
def _record_rows(
    rows: wp.array2d[wp.float32],  # [term, frame]
    count: wp.array[wp.int32],  # [1] rows complete so far
    history_out: wp.array3d[wp.float64],  # [1, iteration, term]
):
    """Sum every term over the frames into the current row; one thread per term, in order."""
    term = wp.tid()
    total = wp.float64(0.0)
    for frame in range(rows.shape[1]):
        total += wp.float64(rows[term, frame])
    history_out[0, wp.min(count[0], history_out.shape[1] - 1), term] = total


def record_rows(rows, count, *, history_out):
    """Launch :func:`_record_rows` over all terms."""
    wp.launch(_record_rows, dim=rows.shape[0], inputs=[rows, count], outputs=[history_out], device=history_out.device)


@wp.kernel
def _next_row(
    count_out: wp.array[wp.int32],  # [1]
):
    """Close the current row."""
    count_out[0] = count_out[0] + 1


def next_row(*, count_out):
    """Launch :func:`_next_row`."""
    wp.launch(_next_row, dim=1, inputs=[], outputs=[count_out], device=count_out.device)
