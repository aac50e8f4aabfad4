"""Launch slabs of frames on CPU threads: Warp runs a CPU launch serially, but lets other Python threads run meanwhile.

Frames are independent in the kernels launched this way, so the bits do not depend on the number of threads, nor on
which other frames are launched.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from itertools import pairwise

import warp as wp

THREAD_NAME = "warpprior-slab"  # what names of the threads begin with
FEWEST_FRAMES = 4  # per thread: below, handing over costs more than it gains


def thread_count() -> int:
    """Threads for CPU launches: ``WARPPRIOR_THREADS``, else the cores this process may use, at most eight."""
    asked = os.environ.get("WARPPRIOR_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 8)


Runs = Sequence[tuple[int, int]]  # first frame and how many, of frames in a row

_CHOSEN: ContextVar[Runs | None] = ContextVar("chosen frames", default=None)


def runs_of(chosen: Iterable[bool] | None) -> Runs | None:
    """The runs of frames among ``chosen`` (frame,) bool; None for all."""
    if chosen is None:
        return None
    marks = [False, *map(bool, chosen), False]
    bounds = [place for place, (before, here) in enumerate(pairwise(marks)) if before != here]
    return [(start, stop - start) for start, stop in zip(bounds[::2], bounds[1::2], strict=True)]


@contextmanager
def only_in(runs: Runs | None) -> Iterator[None]:
    """Meanwhile slabs are launched for these frames alone, None for all: what the others had stays as it is.

    On a GPU frames between them are launched, too: who chooses must not mind.
    """
    token = _CHOSEN.set(runs)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def launches_between(device) -> bool:
    """Whether frames between those chosen are launched, too: a GPU has room for them, and each launch costs time."""
    return device.is_cuda


def chosen_runs(frame_count: int, device) -> Runs:
    """The frames that are launched now on a device."""
    runs = _CHOSEN.get()
    if runs is None:
        return ((0, frame_count),)
    if len(runs) > 1 and launches_between(device):
        first, (last, count) = runs[0][0], runs[-1]
        return ((first, last + count - first),)
    return runs


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=threads, thread_name_prefix=THREAD_NAME)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked child inherits the pool, but none of its threads


def launch_slabs(kernel, dim, *, inputs, outputs, device):
    """Launch a kernel over ``dim``, whose first axis is the frame; not recorded on a tape.

    The kernel's first argument is the first frame of the slab: its frame is that plus its first thread index.  On a GPU
    there is one slab, of all frames or of those chosen by :func:`only_in` and what lies between them.
    """
    device = wp.get_device(device)
    runs = chosen_runs(dim[0], device)
    threads = min(thread_count(), sum(count for _, count in runs) // FEWEST_FRAMES)
    # A graph records what its own thread launches; kernels compiled for debugging crash when they run side by side.
    if not device.is_cpu or device.is_capturing or wp.config.mode == "debug":
        threads = 1

    def launch(runs: Runs) -> None:
        for first, count in runs:
            wp.launch(
                kernel,
                dim=(count, *dim[1:]),
                inputs=[first, *inputs],
                outputs=outputs,
                device=device,
                record_tape=False,
            )

    if threads < 2:
        launch(runs)
        return
    wp.load_module(kernel.module.name, device=device)  # one thread compiles, not all
    own, *others = _shares(runs, threads)
    jobs = [_pool(threads).submit(launch, share) for share in others]
    launch(own)
    for job in jobs:
        job.result()


def _shares(runs: Runs, number: int) -> list[Runs]:
    """Runs of about as many frames for each of a number of threads."""
    total = sum(count for _, count in runs)
    shares: list[Runs] = []
    for part in range(number):
        low, high, before, share = total * part // number, total * (part + 1) // number, 0, []
        for first, count in runs:
            start, stop = max(low - before, 0), min(high - before, count)
            if start < stop:
                share.append((first + start, stop - start))
            before += count
        shares.append(share)
    return shares


def frames_of(kind, struct, names, cut):
    """A struct of the same kind whose arrays ``names`` are of some frames in a row, which ``cut`` takes of each."""
    part = kind()
    for name in kind.vars:
        value = getattr(struct, name)
        setattr(part, name, cut(value) if name in names and value is not None else value)
    return part
