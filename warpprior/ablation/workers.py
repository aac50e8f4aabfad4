"""Processes that work side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from warpprior.support.device import prepare_kernel_cache


def work(run: Callable[..., Iterable], tasks: Sequence[tuple], jobs: int) -> Iterator[tuple[tuple, int]]:
    """Do ``run(*task)`` for each task, here or in other processes; what it yields is dropped.

    Args:
        run: a function of a module, which yields after each part of the task.
        tasks: its arguments.
        jobs: processes.

    Yields:
        a task and how many parts of it were done, after each part here, or the whole task elsewhere.
    """
    if jobs < 2 or len(tasks) < 2:
        for task in tasks:
            for _ in run(*task):
                yield task, 1
        return
    context = get_context("spawn")  # children cannot use a CUDA context they inherit
    with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=context, initializer=_start_worker) as pool:
        waiting = {pool.submit(_count, run, task): task for task in tasks}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start_worker() -> None:
    os.environ.setdefault("WARPPRIOR_THREADS", "1")  # the cores are taken by the other workers
    prepare_kernel_cache()


def _count(run: Callable[..., Iterable], task: tuple) -> int:
    return sum(1 for _ in run(*task))
