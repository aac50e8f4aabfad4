"""Tracking a recorded scene from its first frame to its last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from warpprior.checks.first import checked_first, with_findings
from warpprior.result import Result
from warpprior.scene import Scene, check_is_scene
from warpprior.support.device import resolve_device
from warpprior.support.errors import InputError
from warpprior.support.progress import Progress
from warpprior.tracking.checks import check_lag
from warpprior.tracking.estimate import Estimate, tracked_result
from warpprior.tracking.recorded import observe_frame
from warpprior.tracking.sensors import Sensor
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.tracker import Tracker
from warpprior.verdicts.judge import judged

__all__ = ["Tracker", "track"]


def track(
    scene: Scene,
    settings: TrackSettings | None = None,
    *,
    observe: Sequence[str] | str = "auto",
    sensors: Sequence[Sensor] = (),
    smooth: bool = False,
    lag: int | None = None,
    device: str | None = None,
    progress: Progress | None = None,
    check_first: bool = True,
    strict: bool = False,
) -> Result:
    """Track a recorded scene from its first frame to its last.

    The initial poses of hands are their control in every frame; of objects only the first one is used.

    Args:
        scene: what is known and observed.
        settings: of the filter.
        observe: names of sensors, as for :class:`Tracker`.
        sensors: your own, which :meth:`~warpprior.Sensor.read` what they look at.
        smooth: correct every frame by all later ones (Rauch, Tung, Striebel).
        lag: correct every frame by so many later ones.
        device: Warp device; None takes a GPU if there is one.
        progress: called with frames done, frames in all, and what is being done.
        check_first: find out once whether the data is what it is taken for, briefly; see :func:`warpprior.check`.
        strict: an error that is found ends the run before it begins.

    Returns:
        Poses with covariances; bodies that are known as they were given.  ``history`` has one row per frame.

    Raises:
        InputError: nothing to track, no such sensor, no such lag, or both ``smooth`` and ``lag``; or, if strict,
            data that is not what it is taken for.
    """
    check_is_scene(scene, "track")
    scene = _with_sizes_known(scene)
    if smooth and lag is not None:
        raise InputError("track", "smooth and lag", "one of them")
    if lag is not None:
        check_lag(lag)
    count = scene.frame_count
    reach = count if smooth else min(lag or 0, count)
    if progress is not None:
        progress(0, count, "preparing")
    tracker = Tracker(scene, settings, observe=observe, sensors=sensors, device=device, lag=reach)
    device = resolve_device(device)
    found = checked_first(scene, device=device, strict=strict) if check_first else ()
    filtered: list[Estimate] = []
    chosen: list[Estimate] = []
    complete = True
    try:
        for frame, time in enumerate(scene.times):
            observation = observe_frame(scene, frame, tracker.sensors, sensors)
            filtered.append(tracker.step(observation, float(time)))
            if not reach:
                chosen.append(filtered[-1])
            elif not smooth and frame >= reach:
                chosen.append(tracker.smoothed()[0])
            if progress is not None:
                progress(frame + 1, count, "tracking")
    except KeyboardInterrupt:
        if not filtered:
            raise
        complete = False
    if reach:
        chosen += tracker.smoothed()[len(chosen) - len(filtered) :]
    result = tracked_result(scene, tracker.settings, filtered, chosen, complete)
    return judged(with_findings(result, found), device)


def _with_sizes_known(scene: Scene) -> Scene:
    """The scene for what does not estimate sizes: those of the initial poses are taken, with a warning each."""
    sized = [body for body in scene.bodies if body.size is not None]
    if not sized:
        return scene
    notes = [
        f"{body.name}: its size is not estimated here, and {body.initial.scale:g} times that of its mesh is taken; "
        "refine a part of the sequence, and start from the poses of its result, which have the size."
        for body in sized
    ]
    bodies = tuple(replace(body, size=None) for body in scene.bodies)
    return replace(scene, bodies=bodies, warnings=(*scene.warnings, *notes))
