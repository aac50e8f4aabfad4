"""A tracker's steps allocate nothing on the device, and nothing for good on the host."""

import gc
import tracemalloc

import pytest
import warp as wp

from tests.track_samples import make_scene
from warpprior.tracking.recorded import observe_frame
from warpprior.tracking.run import Tracker
from warpprior.tracking.settings import TrackSettings

FRAMES = 40


@pytest.fixture(scope="module")
def grip():
    """The gripper carries the block."""
    return make_scene(FRAMES, seed=1)


@pytest.fixture
def allocated(monkeypatch):
    """Shapes of the device arrays that are made, but for views of others."""
    made = []
    plain = wp.array.__init__

    def record(self, *arguments, **options):
        plain(self, *arguments, **options)
        if options.get("ptr") is None and self.ptr:
            made.append(self.shape)

    monkeypatch.setattr(wp.array, "__init__", record)
    return made


def walk(tracker, scene, frames):
    """Step through some frames."""
    for frame in frames:
        tracker.step(observe_frame(scene, frame, tracker.sensors), scene.times[frame])


def test_arrays_are_counted(device, allocated):
    """What the tests below look for is found where it happens, and views are not counted."""
    array = wp.zeros(5, dtype=float, device=device)
    wp.array([1.0, 2.0], dtype=float, device=device)
    array[1:3].reshape((1, 2))
    assert allocated == [(5,), (2,)]


@pytest.mark.parametrize(("sensors", "anchors"), [("keypoints3d,center", 12), ("fingertips", 12), ("center", 0)])
def test_steps_allocate_nothing_on_the_device(device, grip, allocated, sensors, anchors):
    """From the third frame on, while contacts begin and last, with anchors and from frame to frame."""
    tracker = Tracker(grip, TrackSettings(anchors=anchors), observe=sensors, device=device)
    walk(tracker, grip, range(3))
    assert allocated
    allocated.clear()
    walk(tracker, grip, range(3, FRAMES))
    assert tracker.belief.held_by(0).size or sensors == "center"
    assert allocated == []


def test_steps_keep_nothing(grip):
    """A hundred steps more leave memory as it was, to less than two kilobytes a step; without a lag, nothing is kept.

    Counting begins earlier: what a tracker holds anyway, such as the last thirty innovations, is made anew as it goes.
    """
    tracker = Tracker(grip, TrackSettings(adaptive=True), observe="keypoints3d,center", device="cpu")
    walk(tracker, grip, range(FRAMES))
    seen = observe_frame(grip, FRAMES - 1, tracker.sensors)
    time = grip.times[-1]
    tracemalloc.start()
    try:
        for step in range(35):
            tracker.step(seen, time + (step + 1) / 30.0)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for step in range(35, 135):
            tracker.step(seen, time + (step + 1) / 30.0)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 200_000


def test_a_lag_keeps_so_many_frames(grip):
    """And no more, however long it goes on."""
    tracker = Tracker(grip, observe="keypoints3d,center", device="cpu", lag=4)
    for frame in range(FRAMES):
        walk(tracker, grip, [frame])
        assert len(tracker.smoothed()) == min(frame + 1, 5)
