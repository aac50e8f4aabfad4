"""Track every case of every simulated scene; each scene's runs are one file, so that nothing is computed twice."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from warpprior.ablation.runs import RUNS_FOLDER, kept_run, read_run, run_key
from warpprior.ablation.sources import Source
from warpprior.ablation.tracking_trials import (
    LAG,
    LAG_FRAMES,
    SMOOTHED,
    Case,
    Trials,
    all_cases,
    case_settings,
    true_motion,
)
from warpprior.ablation.workers import work
from warpprior.bodies import posed_vertices
from warpprior.geometry.signed_distance import Surface
from warpprior.io.results import write_json
from warpprior.metrics import Evaluator
from warpprior.metrics.pose_errors import matrices
from warpprior.scene import Poses, Scene, SceneBody
from warpprior.support.device import self_healing
from warpprior.support.errors import WarppriorError
from warpprior.support.progress import Progress
from warpprior.tracking.estimate import Estimate, tracked_result
from warpprior.tracking.prediction import HELD
from warpprior.tracking.recorded import observe_frame
from warpprior.tracking.run import Tracker, track
from warpprior.tracking.settings import TrackSettings
from warpprior.uncertainty import normalised_squares, pose_errors

ERRORS = (  # metrics of the object whose value at each frame is kept
    *("translation_mm", "rotation_deg", "chamfer_2d_px", "chamfer_2d_mm", "chamfer_mm", "add_mm"),
    *("nees", "position_sigmas", "rotation_sigmas", "stated_position_mm", "stated_rotation_deg"),
)
NEES = {"nees": slice(0, 6), "nees_position": slice(0, 3), "nees_rotation": slice(3, 6)}  # and their coordinates


def track_cases(
    sources: Sequence[Source],
    settings: TrackSettings,
    folder: Path,
    *,
    device: str = "cpu",
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[dict]:
    """Track every case of every scene, but for the scenes that ``folder`` holds already.

    Args:
        sources: simulated scenes of human hands and one object.
        settings: of our filter; the others follow from them.
        folder: where the runs are kept, in ``runs/<scene>.json``.  They are used again if scene, settings and version
            of the program are the same.
        device: Warp device.
        jobs: processes that work side by side; results do not depend on it, but times do.
        progress: called with runs done, runs in all, and the scene that is worked on.

    Returns:
        for each source ``scene``, ``seed``, ``frames``, ``truth_distance_mm`` per frame, and ``runs``: for each name of
        :func:`~warpprior.ablation.tracking_trials.all_cases` what :func:`run_case` says; or ``scene``, ``seed`` and
        ``error`` where it could not be made.
    """
    report = progress or (lambda done, total, text: None)
    each = len(all_cases())
    tasks = [
        (source, settings, folder, device)
        for source in sources
        if (read_run(_path(folder, source)) or {}).get("key") != run_key(source, settings)
    ]
    done, total = each * (len(sources) - len(tasks)), each * len(sources)
    report(done, total, "")
    refused: dict[str, str] = {}
    for task, count, error in work(run_cases, tasks, jobs):
        done += count
        if error is not None:
            refused[task[0].name] = str(error)
        report(done, total, task[0].name)
    return [
        {"scene": source.simulated, "seed": source.seed, "error": refused[source.name]}
        if source.name in refused
        else kept_run(_path(folder, source))
        for source in sources
    ]


def _path(folder: Path, source: Source) -> Path:
    return folder / RUNS_FOLDER / f"{source.name}.json"


def run_cases(source: Source, settings: TrackSettings, folder: Path, device: str) -> Iterator[str]:
    """Track every case of one scene, and write them; yields the name of each case when it is done."""
    scene = self_healing(lambda: source.open(device))
    trials = Trials(scene, settings, source.seed)
    score = Score(trials.object, device)
    record = {
        "key": run_key(source, settings),
        "scene": source.simulated,
        "seed": source.seed,
        "frames": scene.frame_count,
        "device": device,
        "truth_distance_mm": score.distance(scene, {body.name: true_motion(body) for body in scene.bodies}),
        "runs": {},
    }
    for case in all_cases():
        record["runs"][case.name] = self_healing(
            lambda case=case: run_case(trials, case, case_settings(case, settings), score, device)
        )
        yield case.name
    path = _path(folder, source)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, record)


class Score:
    """Measures motions of one object.

    Args:
        thing: the object.
        device: Warp device.
    """

    def __init__(self, thing: SceneBody, device: str):
        self.thing, self.device = thing, device
        scale = true_motion(thing).scale
        self._evaluators: dict[bytes, Evaluator] = {}  # by the times of their frames
        self._surface = Surface(thing.body.vertices * np.float32(scale), thing.body.faces, thing.name, device)

    def errors(self, scene: Scene, poses: Poses) -> dict:
        """Errors of the object at each frame, and ``dof``, the mean degrees of freedom of each kind of NEES."""
        times = scene.times.tobytes()
        if times not in self._evaluators:
            alone = Scene(scene.name, scene.camera, scene.fps, (scene.body(self.thing.name),))
            self._evaluators[times] = Evaluator(alone, device=self.device)
        found = self._evaluators[times]({self.thing.name: poses})
        rows, summary = found["per_frame"][self.thing.name], found["summary"][self.thing.name]
        kept = {name: rows[name] for name in ERRORS if name in rows}
        kept["dof"] = {"nees": summary["consistency"]["pose"]["dof"]}
        if self.thing.symmetry == "none":
            assert poses.covariance is not None, "a tracker says how sure it is"
            errors = pose_errors(poses, true_motion(scene.body(self.thing.name)))
            for name, own in NEES.items():
                if name != "nees":
                    lengths = 3 if own.start == 0 else 0
                    squares, dof = normalised_squares(errors[:, own], poses.covariance[:, own, own], lengths)
                    kept[name], kept["dof"][name] = squares.tolist(), float(dof.mean())
        return kept

    def distance(self, scene: Scene, poses: dict[str, Poses]) -> np.ndarray:
        """Least signed distance of the hands' vertices to the object at each frame (frame,) [mm]."""
        own = poses[self.thing.name]
        turns, least = matrices(own.rotation), np.full(own.frame_count, np.inf)
        for hand in scene.bodies:
            if hand.body.coordinate_count:
                vertices = posed_vertices(hand.body, poses[hand.name], device=self.device)
                local = (vertices - own.position[:, None]) @ turns
                distances = self._surface.measure(local.reshape(-1, 3))[0].reshape(vertices.shape[:2])
                least = np.minimum(least, distances.min(axis=1))
        return 1e3 * least


def run_case(trials: Trials, case: Case, settings: TrackSettings, score: Score, device: str) -> dict:
    """Track one case.

    Returns:
        at each frame of the scene, None for those that the case leaves out: what :data:`ERRORS` names,
        ``distance_mm`` (least signed distance of the hand to the object), and of filters ``contacts``, ``held`` and
        ``rejected``; ``dof``; of filters ``sensors`` (see :func:`describe_sensors`) and
        ``milliseconds``, the median per step: of processor time on a CPU.  Or ``error`` where the filter failed.
    """
    scene = trials.scene(case)
    observe = case.sensors
    try:
        if case.trial in (SMOOTHED, LAG):
            lag = LAG_FRAMES if case.trial == LAG else None
            later = {"smooth": lag is None, "lag": lag}
            result = track(scene, settings, observe=observe, **later, device=device, check_first=False)
            more, rows = {}, {}
        else:
            estimates, milliseconds = _filter(scene, settings, observe, device)
            result = tracked_result(scene, settings, estimates, estimates, True)
            name = score.thing.name
            rows = {
                "contacts": [sum(contact[1] == name for contact in estimate.contacts) for estimate in estimates],
                "held": [int(estimate.modes[name] == HELD) for estimate in estimates],
            }
            more = {"sensors": describe_sensors(estimates), "milliseconds": milliseconds}
        lost = [name for name, poses in result.poses.items() if not _finite(poses)]
        if lost:
            return {"error": f"{', '.join(lost)}: not finite"}
        found = score.errors(scene, result.poses[score.thing.name])
        rows["distance_mm"] = score.distance(scene, result.poses).tolist()
    except (WarppriorError, np.linalg.LinAlgError) as error:
        return {"error": str(error)}
    more["dof"] = found.pop("dof")
    frames, count = trials.frames(case), trials.frame_count
    return {name: _spread(values, frames, count) for name, values in (found | rows).items()} | more


def _filter(scene: Scene, settings: TrackSettings, observe: Sequence[str], device: str) -> tuple[list[Estimate], float]:
    """Estimates of all frames, and milliseconds per step."""
    tracker = Tracker(scene, settings, observe=observe, device=device)
    clock = time.process_time if device == "cpu" else time.perf_counter
    estimates, seconds = [], []
    for frame, moment in enumerate(scene.times):
        observation = observe_frame(scene, frame, tracker.sensors)
        start = clock()
        estimates.append(tracker.step(observation, float(moment)))
        seconds.append(clock() - start)
    return estimates, 1e3 * float(np.median(seconds))


def describe_sensors(estimates: Sequence[Estimate]) -> dict[str, dict]:
    """What each sensor's innovations were.

    Returns:
        by sensor, ``nis``, ``dof`` and ``rejected`` at each frame, and sums over pairs of frames in which as much was
        taken: ``product`` of their whitened innovations, and ``square``, the mean of the two frames' squares, whose
        ratio is the correlation of one frame with the next.
    """
    found = {}
    for sensor in dict.fromkeys(name for estimate in estimates for name in estimate.innovations):
        innovations = [estimate.innovations.get(sensor) for estimate in estimates]
        white = [None if one is None or not one.dof else one.whitened for one in innovations]
        product = square = 0.0
        for before, after in pairwise(white):
            if before is not None and after is not None and len(before) == len(after):
                product += float(before @ after)
                square += 0.5 * float(before @ before + after @ after)
        found[sensor] = {
            "nis": [None if one is None or not one.dof else one.nis for one in innovations],
            "dof": [0 if one is None else one.dof for one in innovations],
            "rejected": [0 if one is None else one.rejected for one in innovations],
            "product": product,
            "square": square,
        }
    return found


def _finite(poses: Poses) -> bool:
    return all(np.isfinite(values).all() for values in (poses.position, poses.rotation, poses.joints))


def _spread(values: Sequence, frames: np.ndarray, count: int) -> list:
    """Values of some frames at their places among all."""
    out = [None] * count
    for frame, value in zip(frames, values, strict=True):
        out[frame] = value
    return out
