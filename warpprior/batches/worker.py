"""A worker: a process that refines one clip after the other, and ends when told to, or with the one that started it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from warpprior.support.environment import usable_cores

if TYPE_CHECKING:  # libraries read the environment when they are imported, which happens in the worker
    from multiprocessing.connection import Connection

    from warpprior.batches.work import Work

_THREADS = (
    *("WARPPRIOR_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("PXR_WORK_THREAD_LIMIT", "OPENCV_FOR_THREADS_NUM"),
)


def environment(jobs: int) -> dict[str, str]:
    """Variables that keep a worker to its share of the cores: what somebody has set stays."""
    return {name: os.environ.get(name) or str(max(usable_cores() // jobs, 1)) for name in _THREADS}


@contextmanager
def surroundings(variables: dict[str, str]) -> Iterator[None]:
    """Within it processes are started with these variables; afterwards they are as before."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def serve(pipe: Connection, own_terms: tuple[str, ...], parent: int) -> None:
    """The life of a worker.

    It is sent its :class:`Work`, the device and whether it is the first; it answers ``("ready", facts)``; then tasks
    come, each is answered by ``("done", record, bytes held)``, and None ends it.  What keeps it from starting is
    ``("refused", error)``.
    """
    _end_with(parent)
    _leave_signals_to_the_parent()
    from warpprior.support.errors import WarppriorError

    try:
        from warpprior.cli.own_terms import load_term

        for place in own_terms:  # the settings name their classes
            load_term(place)
        work, device, first = pipe.recv()
        chosen, facts = prepare(work, device, first=first)
    except EOFError:
        return
    except WarppriorError as error:
        pipe.send(("refused", error))
        return
    with suppress(EOFError, OSError):
        pipe.send(("ready", facts))
        _work(pipe, work, chosen)


def prepare(work: Work, device: str | None, *, first: bool) -> tuple[str, dict[str, Any]]:
    """Start Warp, and of the first worker compile what clips will launch, once for all.

    Returns:
        the device; and ``device``, ``devices`` (those that workers may take, it alone where it was named) and ``free``,
        bytes that each device has, of GPUs.

    Raises:
        InputError: there is no such device.
    """
    import faulthandler

    import warp as wp

    from warpprior.cli.running import start_warp
    from warpprior.refinement.preparing import kernels_of
    from warpprior.support.kernel_loading import load_kernels

    with suppress(ValueError, OSError, AttributeError):  # a stream without a descriptor
        faulthandler.enable()
    chosen = start_warp(device)
    named = device is not None and device.strip().lower() not in ("auto", "cuda")
    gpus = [] if named or chosen == "cpu" else [one.alias for one in wp.get_cuda_devices()]
    devices = gpus or [chosen]
    free = {name: int(wp.get_device(name).free_memory) for name in devices if name != "cpu"}
    if first:
        for name in devices[:1]:
            load_kernels(kernels_of(work.settings, name), name)
    return chosen, {"device": chosen, "devices": devices, "free": free}


def _work(pipe: Connection, work: Work, device: str) -> None:
    import gc

    from warpprior.batches.work import refine_clip
    from warpprior.support.memory import held_bytes

    while (task := pipe.recv()) is not None:
        record = refine_clip(work, task, device)
        gc.collect()  # before the next takes as much memory
        pipe.send(("done", record, held_bytes()))


def _end_with(parent: int) -> None:
    """End when the process that started this one ends, whatever either is at."""
    import threading
    from multiprocessing import connection, parent_process

    first_to_go()
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)
    above = parent_process()
    if above is None:
        return

    def watch() -> None:
        connection.wait([above.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def first_to_go() -> None:
    """Where memory runs out, Linux shall end this process, whose clip is begun again, and not another one."""
    with suppress(OSError):
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("600")


def _leave_signals_to_the_parent() -> None:
    """Whoever asks all processes of a terminal or a job to end asks the parent, too, which ends this one."""
    import signal

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        with suppress(AttributeError, ValueError, OSError):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
