"""Processes that work side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context

from warpprior.support.device import prepare_kernel_cache
from warpprior.support.errors import RunError, WarppriorError
from warpprior.support.interrupts import blocked

Done = tuple[tuple, int, WarppriorError | None]  # a task, how many parts of it were done, and why it ended early


def work(run: Callable[..., Iterable], tasks: Sequence[tuple], jobs: int) -> Iterator[Done]:
    """Do ``run(*task)`` for each task, here or in other processes; what it yields is dropped.

    A task that raises a :class:`WarppriorError`, or whose process dies, ends alone: the others are done.

    Args:
        run: a function of a module, which yields after each part of the task.
        tasks: its arguments.
        jobs: processes.

    Yields:
        a task and how many parts of it were done, after each part here, or the whole task elsewhere; and at last its
        error, if it had one.
    """
    if jobs < 2 or len(tasks) < 2:
        for task in tasks:
            yield from _work_here(run, task)
        return
    lost = []
    for done in _work_in_pool(run, tasks, min(jobs, len(tasks))):
        if isinstance(done[2], _PoolBroke):
            lost.append(done[0])
        else:
            yield done
    for task in lost:  # each in a process of its own, to find the one that kills it
        yield from _work_in_pool(run, [task], 1)


class _PoolBroke(RunError):
    """A process died; the pool does not say on which of the tasks that were left."""


def _work_here(run: Callable[..., Iterable], task: tuple) -> Iterator[Done]:
    try:
        for _ in run(*task):
            yield task, 1, None
    except WarppriorError as error:
        yield task, 0, error


def _work_in_pool(run: Callable[..., Iterable], tasks: Sequence[tuple], jobs: int) -> Iterator[Done]:
    context = get_context("spawn")  # children cannot use a CUDA context they inherit
    others = {*active_children()}
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker) as pool:
        try:
            with blocked():  # Ctrl-C is for us, who end them
                waiting = {pool.submit(_count, run, task): task for task in tasks}
            for future in as_completed(waiting):
                try:
                    count, error = future.result(), None
                except BrokenProcessPool:
                    text = "its process ended without a word: out of memory, killed, or crashed"
                    count, error = 0, _PoolBroke(text)
                except WarppriorError as raised:
                    count, error = 0, raised
                yield waiting[future], count, error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in {*active_children()} - others:  # or leaving the pool would wait for what they are at
                worker.terminate()
            raise


def _start_worker() -> None:
    os.environ.setdefault("WARPPRIOR_THREADS", "1")  # the cores are taken by the other workers
    prepare_kernel_cache()


def _count(run: Callable[..., Iterable], task: tuple) -> int:
    return sum(1 for _ in run(*task))
