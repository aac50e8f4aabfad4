"""Replayed launches: recorded where that is possible and safe, run as they are elsewhere, and the same either way."""

import threading

import numpy as np
import pytest
import warp as wp

from warpprior.support import replay
from warpprior.support.replay import Replay, Replays


@pytest.fixture
def launches(device):
    """What copies one array to another and counts how often it is called; the two arrays, and the count."""
    source, target = (wp.zeros(3, dtype=float, device=device) for _ in range(2))
    calls = []

    def run():
        calls.append(1)
        wp.copy(target, source)

    return run, source, target, calls


def follow(again, source, target):
    """Whether the target follows the source through some calls."""
    for number in range(5):
        source.assign(np.full(3, float(number), dtype=np.float32))
        target.fill_(1e6)
        again()
        np.testing.assert_array_equal(target.numpy(), number)


@pytest.fixture
def alone(monkeypatch):
    """As if no other thread ran: whatever runs the tests may have its own."""
    monkeypatch.setattr(replay.threading, "active_count", lambda: 1)


def records(device):
    """Whether this Warp records on this device."""
    return wp.get_device(device).is_cuda or tuple(map(int, wp.__version__.split(".")[:2])) >= replay.CPU_GRAPHS


def test_recordings_follow_the_arrays(device, launches, alone):
    """What is in the arrays at the time counts; the second call records, and no later one launches again."""
    run, source, target, calls = launches
    follow(Replay(run, device, capture=True), source, target)
    assert len(calls) == (2 if records(device) else 5)


@pytest.mark.parametrize("capture", [None, False])
def test_a_cpu_records_on_demand_only(launches, device, capture, alone):
    """Otherwise everything is launched again; a GPU records unless it is told not to."""
    run, source, target, calls = launches
    follow(Replay(run, device, capture=capture), source, target)
    assert len(calls) == (2 if capture is None and wp.get_device(device).is_cuda else 5)


def test_nothing_is_recorded_beside_other_threads_on_a_cpu(launches, device, monkeypatch):
    """Their launches would get into the recording; once they are gone it is made."""
    if wp.get_device(device).is_cuda:
        pytest.skip("a GPU records one thread's launches")
    run, source, target, calls = launches
    again, done = Replay(run, device, capture=True), threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    follow(again, source, target)
    done.set()
    other.join()
    assert len(calls) == 5
    monkeypatch.setattr(replay.threading, "active_count", lambda: 1)
    follow(again, source, target)
    assert len(calls) == (6 if records(device) else 10)


def test_a_warp_that_cannot_record_launches(launches, device, alone, monkeypatch):
    """On a CPU old versions cannot."""
    if wp.get_device(device).is_cuda:
        pytest.skip("every Warp records on a GPU")
    monkeypatch.setattr(replay, "CPU_GRAPHS", (10**6, 0))
    run, source, target, calls = launches
    follow(Replay(run, device, capture=True), source, target)
    assert len(calls) == 5


def test_each_has_its_own_recording(device, alone):
    """Other arrays, or something else that is named, begin a recording of their own; what was in use is right again."""
    calls, replays = [], Replays(device, capture=True)
    pairs = [[wp.zeros(3, dtype=float, device=device) for _ in range(2)] for _ in range(2)]

    def go(number, *others):
        source, target = pairs[number]

        def run():
            calls.append(number)
            wp.copy(target, source)

        replays(run, (source, target), *others)

    for number in (0, 1, 0):
        source, target = pairs[number]
        follow(lambda number=number: go(number, "some"), source, target)
    go(0, "others")
    assert calls == ([0, 0, 1, 1, 0, 0, 0] if records(device) else [0] * 5 + [1] * 5 + [0] * 6)
