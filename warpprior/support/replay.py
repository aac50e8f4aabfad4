"""Replay: the same launches again and again, as one graph where that pays."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Sequence
from typing import Any

import warp as wp

from warpprior.kernels.slabs import THREAD_NAME
from warpprior.support.device import warp_device

CPU_GRAPHS = (1, 14)  # the first Warp whose graphs on a CPU take all arguments


class Replay:
    """Calls that only launch: the first runs as it is, the second is recorded, later ones replay the recording.

    Whatever changes between calls must live in device arrays, and no array may be replaced.

    Args:
        launches: what to run; it must not wait for the device.
        device: where it launches.
        capture: record a graph; None does so on a GPU.  True does so on a CPU too, where Warp can and no other thread
            runs whose launches would get into the recording.
        warm: the same kernels ran before, so that the first call can be recorded.
    """

    def __init__(self, launches: Callable[[], None], device, *, capture: bool | None = None, warm: bool = False):
        self._launches = launches
        self._device = warp_device(device)
        self._capture = self._device.is_cuda if capture is None else capture and _can_record(self._device)
        self._warm = warm
        self._graph = None

    def __call__(self) -> None:
        """Run the launches once; what records them meanwhile gets them as they are."""
        if self._device.is_capturing:
            self._launches()
            return
        if self._capture and self._warm and self._graph is None and _is_alone(self._device):
            self._record()
        if self._graph is None:
            self._launches()
            self._warm = True
        else:
            wp.capture_launch(self._graph)

    def _record(self) -> None:
        """Record the launches; arrays that the collector frees meanwhile would spoil the graph."""
        collecting = gc.isenabled()
        gc.disable()
        try:
            with wp.ScopedCapture(device=self._device) as recording:
                self._launches()
            self._graph = recording.graph
        finally:
            if collecting:
                gc.enable()


class Replays:
    """The same for launches that are made with some arrays or others: those of the last ones stay recorded.

    Args:
        device, capture: as of :class:`Replay`.
    """

    def __init__(self, device, *, capture: bool | None = None):
        self._device, self._capture = device, capture
        self._key: tuple | None = None
        self._replay: Replay | None = None

    def __call__(self, launches: Callable[[], None], arrays: Sequence[Any], *others) -> None:
        """Run ``launches``, which depend on these arrays and on whatever else is named."""
        key = (*((array.ptr, array.shape) for array in arrays), *others)
        if self._replay is None or key != self._key:
            self._key, self._replay = key, Replay(launches, self._device, capture=self._capture)
        self._replay()


def _can_record(device: wp.Device) -> bool:
    return device.is_cuda or tuple(int(part) for part in wp.__version__.split(".")[:2]) >= CPU_GRAPHS


def _is_alone(device: wp.Device) -> bool:
    """Whether a recording gets this thread's launches only; Warp sees to that on a GPU.

    Threads that launch slabs of frames wait until a thread such as this one has work for them.
    """
    waiting = sum(thread.name.startswith(THREAD_NAME) for thread in threading.enumerate())
    return device.is_cuda or threading.active_count() - waiting <= 1
