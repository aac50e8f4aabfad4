"""Slabs of frames on threads: the same bits whatever the number of threads."""

import os

import numpy as np
import pytest
import warp as wp

from warpprior.kernels import slabs
from warpprior.kernels.slabs import _pool, launch_slabs, only_in, runs_of, thread_count


@wp.kernel(enable_backward=False)
def _mix_numbers(
    first_frame: int,
    values: wp.array2d[wp.float32],  # [frame, item]
    sums_out: wp.array[wp.float32],  # [frame] added to
):
    slab_frame, item = wp.tid()
    frame = first_frame + slab_frame
    wp.atomic_add(sums_out, frame, wp.sin(values[frame, item]) * float(item + 1))


def mix(values: np.ndarray) -> np.ndarray:
    """Sums of one launch over all frames."""
    sums = wp.zeros(len(values), dtype=wp.float32, device="cpu")
    array = wp.array(values, dtype=wp.float32, device="cpu")
    launch_slabs(_mix_numbers, dim=values.shape, inputs=[array], outputs=[sums], device="cpu")
    return sums.numpy()


@pytest.mark.parametrize("frames", [1, 7, 8, 37])
def test_bits_do_not_depend_on_threads(monkeypatch, frames):
    """One, two, three and more threads than frames give identical bits, and every frame is done once."""
    values = np.random.default_rng(0).normal(size=(frames, 50)).astype(np.float32)
    monkeypatch.setenv("WARPPRIOR_THREADS", "1")
    alone = mix(values)
    expected = (np.sin(values.astype(np.float64)) * np.arange(1, 51)).sum(axis=1)
    np.testing.assert_allclose(alone, expected, rtol=1e-4, atol=1e-3)
    for threads in ("2", "3", "64"):
        monkeypatch.setenv("WARPPRIOR_THREADS", threads)
        np.testing.assert_array_equal(mix(values), alone)


@pytest.mark.parametrize("threads", ["1", "2", "3"])
def test_chosen_frames_alone_are_launched(monkeypatch, threads):
    """Each once and to the same bits, however they are shared out; afterwards all are launched again."""
    monkeypatch.setenv("WARPPRIOR_THREADS", threads)
    rng = np.random.default_rng(1)
    values = rng.normal(size=(41, 20)).astype(np.float32)
    for chosen in (rng.random(41) < 0.6, np.arange(41) == 40, np.zeros(41, dtype=bool)):
        with only_in(runs_of(chosen)):
            some = mix(values)
        every = mix(values)
        assert every.all()
        np.testing.assert_array_equal(some, np.where(chosen, every, 0.0))


def test_a_gpu_launches_what_lies_between_chosen_frames(monkeypatch):
    """One slab from the first to the last; one run alone is as it is."""
    monkeypatch.setattr(slabs, "launches_between", lambda device: True)
    values = np.random.default_rng(1).normal(size=(41, 20)).astype(np.float32)
    chosen = np.isin(np.arange(41), [3, 4, 20])
    with only_in(runs_of(chosen)):
        assert slabs.chosen_runs(41, None) == ((3, 18),)
        some = mix(values)
    np.testing.assert_array_equal(np.flatnonzero(some), np.arange(3, 21))
    with only_in([(3, 2)]):
        assert list(slabs.chosen_runs(41, None)) == [(3, 2)]


def test_thread_count_follows_the_environment(monkeypatch):
    """A number is taken, anything else means the cores there are, at most eight."""
    monkeypatch.setenv("WARPPRIOR_THREADS", "3")
    assert thread_count() == 3
    for text in ("", "0", "-2", "many"):
        monkeypatch.setenv("WARPPRIOR_THREADS", text)
        assert 1 <= thread_count() <= 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_gets_threads_of_its_own(monkeypatch):
    """The pool of the parent is none to its child, which would wait for threads that are not there."""
    monkeypatch.setenv("WARPPRIOR_THREADS", "2")
    mix(np.ones((16, 4), dtype=np.float32))
    assert _pool.cache_info().currsize > 0
    child = os.fork()
    if child == 0:
        os._exit(_pool.cache_info().currsize)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_errors_of_a_thread_reach_the_caller(monkeypatch):
    """A launch that fails on a thread is not lost."""
    monkeypatch.setenv("WARPPRIOR_THREADS", "2")
    with pytest.raises(Exception, match=r"(?i)argument|param|expects|array"):
        launch_slabs(_mix_numbers, dim=(16, 4), inputs=["no array"], outputs=[None], device="cpu")
