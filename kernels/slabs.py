"""Launch slabs of frames on CPU threads: Warp runs a CPU launch serially, but lets other Python threads run meanwhile.

Frames are independent in the kernels launched this way, so the bits do not depend on the number of threads.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import warp as wp

FEWEST_FRAMES = 4  # per thread: below, handing over costs more than it gains


def thread_count() -> int:
    """Threads for CPU launches: ``WARPPRIOR_THREADS``, else the cores this process may use, at most eight."""
    asked = os.environ.get("WARPPRIOR_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 8)


THREAD_NAME = "warpprior-slab"


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=threads, thread_name_prefix=THREAD_NAME)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked child inherits the pool, but none of its threads


def launch_slabs(kernel, dim, *, inputs, outputs, device):
    """Launch a kernel over ``dim``, whose first axis is the frame; not recorded on a tape.

    The kernel's first argument is the first frame of the slab: its frame is that plus its first thread index.  On a GPU
    there is one slab.
    """
    frame_count = dim[0]
    device = wp.get_device(device)
    threads = min(thread_count(), frame_count // FEWEST_FRAMES)
    # A graph records what its own thread launches; kernels compiled for debugging crash when they run side by side.
    if not device.is_cpu or device.is_capturing or wp.config.mode == "debug":
        threads = 1

    def launch(first: int, count: int) -> None:
        wp.launch(
            kernel,
            dim=(count, *dim[1:]),
            inputs=[first, *inputs],
            outputs=outputs,
            device=device,
            record_tape=False,
        )

    if threads < 2:
        launch(0, frame_count)
        return
    wp.load_module(kernel.module.name, device=device)  # one thread compiles, not all
    bounds = [frame_count * part // threads for part in range(threads + 1)]
    (first, stop), *others = pairwise(bounds)
    jobs = [_pool(threads).submit(launch, start, end - start) for start, end in others]
    launch(first, stop - first)
    for job in jobs:
        job.result()


def frames_of(kind, struct, names, cut):
    """A struct of the same kind whose arrays ``names`` are of some frames in a row, which ``cut`` takes of each."""
    part = kind()
    for name in kind.vars:
        value = getattr(struct, name)
        setattr(part, name, cut(value) if name in names and value is not None else value)
    return part
