"""Tracking: one step of the filter while the object is held, with few and many observations, and the smoother."""

import time
from collections.abc import Sequence
from functools import cache

import numpy as np

from warpprior.bench.harness import Trial, case
from warpprior.scene import Scene
from warpprior.tracking.estimate import Estimate
from warpprior.tracking.recorded import observe_frame
from warpprior.tracking.run import Tracker

FRAMES = 40
HELD = 28  # frames from here on are timed: the object is in the hand
PAPER = "the paper: 29 ms per frame"


@cache
def _scene(name: str) -> Scene:
    """A scene whose object is in the hand from frame :data:`HELD` on, 640x480, exact masks and first pose."""
    from warpprior.scenes import simulate

    return simulate(name, frame_count=FRAMES, mask_noise="M0", pose_noise="exact", images=False)


def _miss(estimate: Estimate, scene: Scene, frame: int, allowed: float) -> str | None:
    """What is wrong with the bottle's pose, if anything; allowed [mm]."""
    if not estimate.contacts:
        return "the bottle is not held"
    truth = scene.body("bottle").truth
    assert truth is not None
    error = 1e3 * float(np.linalg.norm(estimate.position["bottle"] - truth.position[frame]))
    return None if error < allowed else f"the bottle is {error:.1f} mm off, at most {allowed} is right"


def _steps(scene_name: str, sensors: str, allowed: float, device: str) -> Trial:
    """Steps from one remembered state to the last frame; observations are read beforehand."""
    scene = _scene(scene_name)
    tracker = Tracker(scene, observe=sensors, device=device)
    seen = [observe_frame(scene, frame, tracker.sensors) for frame in range(FRAMES)]
    times: Sequence[float] = [float(moment) for moment in scene.times]
    for frame in range(HELD):
        tracker.step(seen[frame], times[frame])
    kept, found = tracker.save(), []

    def run() -> float:
        tracker.restore(kept)
        start = time.perf_counter()
        for frame in range(HELD, FRAMES):
            estimate = tracker.step(seen[frame], times[frame])
        elapsed = time.perf_counter() - start
        found[:] = [estimate]
        return elapsed

    return Trial(run=run, check=lambda: _miss(found[0], scene, FRAMES - 1, allowed), per=FRAMES - HELD)


@case("track/fingertips", unit="ms", target=1.5, reference=PAPER)
def prepare_fingertips(device: str) -> Trial:
    """A hand of 45 coordinates and a bottle: five fingertips and the bottle's middle, in space."""
    return _steps("grasp_lift", "fingertips,center", 20.0, device)


@case("track/keypoints", unit="ms", target=3.0, reference=PAPER)
def prepare_keypoints(device: str) -> Trial:
    """The same with all 21 keypoints, in space and in the picture."""
    return _steps("grasp_lift", "keypoints3d,keypoints2d,center", 20.0, device)


@case("track/robot_moments", unit="ms", reference=PAPER)
def prepare_moments(device: str) -> Trial:
    """A robot hand of known joints: centroid and area of the bottle's mask."""
    return _steps("robot_lift", "center2d,area", 15.0, device)


@case("track/robot_mask", unit="ms", reference=PAPER)
def prepare_mask(device: str) -> Trial:
    """The same with the whole mask."""
    return _steps("robot_lift", "mask", 10.0, device)


@case("track/smooth", unit="ms", reference="the filter's step")
def prepare_smooth(device: str) -> Trial:
    """The smoother, per frame of a finished sequence, with fingertips and the bottle's middle."""
    scene = _scene("grasp_lift")
    tracker = Tracker(scene, observe="fingertips,center", device=device, lag=FRAMES)
    for frame, moment in enumerate(scene.times):
        tracker.step(observe_frame(scene, frame, tracker.sensors), float(moment))
    found = []

    def run() -> None:
        found[:] = tracker.smoothed()

    return Trial(run=run, check=lambda: _miss(found[HELD], scene, HELD, 20.0), per=FRAMES)
