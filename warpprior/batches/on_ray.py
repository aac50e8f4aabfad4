"""Workers on a Ray cluster: an actor for each GPU or core, which Ray starts again, and its clip too, where it dies.

Scenes and the folder of the batch must be where every node finds them under the same path, and warpprior installed on
each.  Ray does what :mod:`warpprior.batches.local` does itself: it places, restarts and retries; a node that runs out
of memory is its business, too.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warpprior.batches.clips import Clip
from warpprior.batches.record import DIED, LATE, RefinedClip
from warpprior.batches.team import FAILED_STARTS, SPARED, Lane, Team
from warpprior.batches.work import LOG_FOLDER, Task, Work, ended, last_words, log_file, refine_clip
from warpprior.batches.worker import environment, prepare
from warpprior.support.environment import usable_cores
from warpprior.support.errors import InputError, MissingExtraError, WarppriorError, shorten
from warpprior.support.memory import free_bytes, held_bytes

if TYPE_CHECKING:
    from warpprior.batches.run import Plan

LOCAL, AUTO = "local", "auto"


class Refiner:
    """What an actor does.

    Args:
        own_terms: places of terms from outside, which are loaded before the work that names them.
        work: the :class:`Work`, as Ray packs it.
        device: as asked for.
        run: a name for this run of the batch.
        workers: how many share the machine's cores; None: as many as it has cores, as Ray reserves one for each.
    """

    def __init__(
        self, own_terms: tuple[str, ...], work: bytes, device: str | None, run: str, workers: int | None = None
    ):
        from ray import cloudpickle  # pyright: ignore[reportMissingImports]

        from warpprior.cli.own_terms import load_term

        for name, value in environment(workers or usable_cores()).items():
            os.environ.setdefault(name, value)
        for place in own_terms:
            load_term(place)
        self._work: Work = cloudpickle.loads(work)
        self._wanted, self._run = device, run
        self._device: str | None = None

    def ready(self) -> int:
        """Start Warp, compile what is not compiled; the number of the process."""
        if self._device is None:
            self._device, _ = prepare(self._work, self._wanted, first=True)
        return os.getpid()

    def refine(self, task: Task) -> RefinedClip:
        """Refine a clip; where Ray has begun it before in this run, from where that was."""
        self.ready()
        assert self._device is not None
        begun = _begun(self._work, task.clip, self._run)
        attempt = 1 + _number_in(begun) if task.attempt == 1 else task.attempt
        begun.write_text(str(attempt), encoding="ascii")
        memory = task.memory
        if memory is None and self._device == "cpu":
            free = free_bytes()
            memory = None if free is None else int(SPARED * (free + held_bytes()) / usable_cores())
        record = refine_clip(self._work, replace(task, attempt=attempt, memory=memory), self._device)
        begun.unlink(missing_ok=True)
        return record


@dataclass
class _Lane(Lane):
    """An actor."""

    actor: Any = None
    waited: Any = None  # for: that it is ready, or its clip
    late: str = ""


class RayTeam(Team[_Lane]):
    """Actors on a Ray cluster.

    Args:
        work: what is done with clips.
        plan: address, actors (None: one for each GPU, or core where there is none), device, retries.
        clips: that there are.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: there is no such cluster.
    """

    retries_itself = True

    def __init__(self, work: Work, plan: Plan, clips: int):
        super().__init__()
        try:
            import ray  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise MissingExtraError("--ray", "ray") from error
        self._ray, self._plan, self._clips = ray, plan, clips
        self._work = replace(work, output_dir=work.output_dir.absolute())
        self._run = uuid.uuid4().hex[:12]
        self._most, self._started = 1, False

    def __enter__(self) -> RayTeam:
        self._connect()
        found = self._ray.cluster_resources()
        gpus = 0 if (self._plan.device or "").startswith("cpu") else int(found.get("GPU", 0))
        self._most = min(self._plan.jobs or gpus or max(int(found.get("CPU", 1)), 1), self._clips)
        self._gpus = min(1.0, gpus / self._most)
        try:
            self._start()  # the others when it has compiled
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for lane in self._lanes:
            self._ray.kill(lane.actor, no_restart=True)
        if self._started:
            self._ray.shutdown()
        for path in (self._work.output_dir / LOG_FOLDER).glob(f".*.{self._run}"):
            path.unlink(missing_ok=True)

    def give(self, number: int, task: Task) -> None:
        lane = self._lanes[number]
        memory = None if self._plan.memory is None else self._plan.memory // len(self._lanes)
        task = replace(task, clip=_absolute(task.clip), memory=memory)
        lane.task, lane.began, lane.late = task, time.monotonic(), ""
        lane.waited = lane.actor.refine.remote(task)

    def stop(self, number: int, said: str) -> None:
        """End an actor that takes too long at its clip; Ray starts both again, as often as the plan has it."""
        lane = self._lanes[number]
        lane.late, lane.began = said, time.monotonic()
        self._ray.kill(lane.actor, no_restart=False)

    def wait(self, seconds: float) -> list[tuple[Task, RefinedClip]]:
        waited = {lane.waited: lane for lane in self._lanes if lane.waited is not None}
        if not waited:
            time.sleep(seconds)
            return []
        done, _ = self._ray.wait(list(waited), num_returns=1, timeout=seconds)
        return [answer for one in done for answer in self._hear(waited[one])]

    def _connect(self) -> None:
        if self._ray.is_initialized():  # by the program that we are part of
            return
        how: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        if self._plan.ray == LOCAL:
            how |= {"address": LOCAL, "num_cpus": self._plan.jobs or usable_cores(), "include_dashboard": False}
        else:
            how |= {"address": self._plan.ray}
        try:
            self._ray.init(**how)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            accepted = "the address of a running cluster, auto, or local"
            raise InputError(f"--ray {self._plan.ray}", shorten(f"{error}", 120), accepted) from error
        self._started = True

    def _start(self) -> None:
        from ray import cloudpickle  # pyright: ignore[reportMissingImports]

        limits = {"num_cpus": 1, "num_gpus": self._gpus, "max_restarts": -1, "max_task_retries": self._plan.retries}
        actor = self._ray.remote(Refiner).options(**limits)
        packed = cloudpickle.dumps(self._work)
        workers = self._plan.jobs if self._started and self._plan.ray == LOCAL else None
        made = actor.remote(self._work.own_terms, packed, self._plan.device, self._run, workers)
        self._lanes.append(_Lane(len(self._lanes), actor=made, waited=made.ready.remote()))

    def _hear(self, lane: _Lane) -> list[tuple[Task, RefinedClip]]:
        """What a lane waited for."""
        waited, task, lane.waited = lane.waited, lane.task, None
        try:
            answer = self._ray.get(waited)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, WarppriorError):
                raise error.cause from None
            raise
        except self._ray.exceptions.RayError as error:  # it died more often than Ray was to begin again
            return self._died(lane, error)
        lane.task = None
        if task is not None:
            return [(task, answer)]
        lane.ready, lane.failed_starts = True, 0
        while len(self._lanes) < self._most:
            self._start()
        return []

    def _died(self, lane: _Lane, error: Exception) -> list[tuple[Task, RefinedClip]]:
        task, lane.task, lane.ready = lane.task, None, False
        lane.waited = lane.actor.ready.remote()
        if task is None:
            lane.failed_starts += 1
            if lane.failed_starts >= FAILED_STARTS:
                raise InputError("--ray", shorten(f"actors die before they begin: {error}", 160), "see Ray's own logs")
            return []
        words = last_words(log_file(self._work.output_dir, task.clip.name))
        said = lane.late or shorten("its process ended without a word" + (f": {words}" if words else ""))
        attempts = max(_number_in(_begun(self._work, task.clip, self._run)), task.attempt)
        status, seconds = LATE if lane.late else DIED, time.monotonic() - lane.began
        return [(task, ended(replace(task, attempt=attempts), self._work, status, said, seconds))]


def _begun(work: Work, clip: Clip, run: str) -> Path:
    """A file that says how often a clip was begun in this run; actors that Ray starts again know nothing else of it."""
    return work.output_dir / LOG_FOLDER / f".{clip.name}.{run}"


def _number_in(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _absolute(clip: Clip) -> Clip:
    """The clip as seen from any working folder."""
    place = replace(clip.place, path=clip.place.path.absolute())
    return replace(clip, place=place, initial=None if clip.initial is None else os.path.abspath(clip.initial))
