"""Workers of this machine: started, given clips, watched, ended and replaced."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, replace
from multiprocessing import connection, get_context
from typing import Any

from warpprior.batches.record import DIED, LATE, RefinedClip
from warpprior.batches.team import FAILED_STARTS, SPARED, Lane, Team
from warpprior.batches.work import Task, Work, ended, last_words, log_file
from warpprior.batches.worker import environment, serve, surroundings
from warpprior.support.environment import usable_cores
from warpprior.support.errors import RunError, shorten
from warpprior.support.interrupts import blocked
from warpprior.support.memory import free_bytes, held_bytes, write_size

RENEWED_AFTER = 200  # clips that a process refines: what libraries leak is given back
MOST_OVER = 1.5  # times its share that a worker may hold before it is ended: what runs plan with is an estimate
LEAST_HELD = 1 << 30  # bytes that a worker may always hold
_WATCHED_EVERY = 0.5  # [s]
_START_S = 1800.0  # compilers may take long on a slow machine


@dataclass
class _Lane(Lane):
    """A place for a worker; the worker may be replaced.  Without a task, ``began`` is when the worker was started."""

    process: Any = None
    pipe: Any = None
    clips: int = 0
    device: str | None = None
    because: tuple[str, str] | None = None  # status and words, of one that was ended


class LocalTeam(Team[_Lane]):
    """Workers in processes of their own, each with its share of cores and memory.

    Args:
        work: what is done with clips.
        jobs: workers; None: one for each GPU, or as many as cores and memory have room for.
        clips: that there are.
        device: as asked for; None or ``auto`` shares all GPUs out.
        memory: bytes that all may take together on the CPU, or on each GPU; None: most of what is free.
    """

    retries_itself = False

    def __init__(self, work: Work, jobs: int | None, clips: int, device: str | None, memory: int | None = None):
        super().__init__()
        self._work, self._device, self._memory = work, device, memory
        self._jobs, self._clips = jobs, clips
        self._lanes.append(_Lane(0))  # the first one tells what devices there are
        self._environment = environment(min(jobs or _room(memory), clips))
        self._facts: dict[str, Any] | None = None
        self._context = get_context("spawn")  # Warp has threads, and a GPU is not inherited
        self._watched = 0.0

    def __enter__(self) -> LocalTeam:
        self._start(self._lanes[0])
        return self

    def __exit__(self, *_) -> None:
        with blocked():
            for lane in self._lanes:
                if lane.process is not None:
                    lane.process.kill()
            for lane in self._lanes:
                self._forget(lane)

    def give(self, number: int, task: Task) -> None:
        lane = self._lanes[number]
        lane.task, lane.began, lane.because = replace(task, memory=self._share(lane)), time.monotonic(), None
        try:
            lane.pipe.send(lane.task)
        except OSError:
            pass  # it has died just now, and will be missed

    def stop(self, number: int, said: str) -> None:
        self._end(self._lanes[number], LATE, said)

    def wait(self, seconds: float) -> list[tuple[Task, RefinedClip]]:
        pipes = {lane.pipe: lane for lane in self._lanes if lane.pipe is not None}
        ends = {lane.process.sentinel: lane for lane in self._lanes if lane.process is not None}
        happened = connection.wait([*pipes, *ends], seconds)
        found = []
        for pipe in [one for one in happened if one in pipes]:
            found += self._hear(pipes[pipe])
        for sentinel in [one for one in happened if one in ends]:
            lane = ends[sentinel]
            if lane.process is not None and lane.process.sentinel == sentinel:
                found += self._hear(lane) + self._bury(lane)
        self._watch()
        return found

    def _start(self, lane: _Lane) -> None:
        """Start a worker; the first one compiles, so the others come after it."""
        if self._facts is not None:
            devices = self._facts["devices"]
            lane.device = devices[lane.number % len(devices)]
        else:
            lane.device = self._device
        here, there = self._context.Pipe()
        arguments = (there, self._work.own_terms, os.getpid())
        lane.process = self._context.Process(target=serve, args=arguments, daemon=True)
        with surroundings(self._environment), blocked():  # Ctrl-C is for us, who end it
            lane.process.start()
        there.close()
        lane.pipe, lane.ready, lane.clips, lane.began = here, False, 0, time.monotonic()
        try:
            here.send((self._work, lane.device, self._facts is None))
        except OSError:
            pass  # it has ended at once, and will be missed

    def _hear(self, lane: _Lane) -> list[tuple[Task, RefinedClip]]:
        """Take what a worker says."""
        found = []
        try:
            while lane.pipe is not None and lane.pipe.poll():
                kind, *said = lane.pipe.recv()
                if kind == "refused":
                    raise said[0]
                if kind == "ready":
                    lane.ready, lane.failed_starts = True, 0
                    self._take_facts(said[0])
                elif lane.task is not None:
                    record, held = said
                    found.append((lane.task, record))
                    lane.task, lane.clips = None, lane.clips + 1
                    self._renew_if_old(lane, held)
        except (EOFError, OSError):
            pass  # its end is told by the sentinel
        return found

    def _take_facts(self, facts: dict[str, Any]) -> None:
        if self._facts is not None:
            return
        self._facts = facts
        most = self._jobs or (len(facts["devices"]) if facts["free"] else _room(self._memory))
        for number in range(1, min(most, self._clips)):
            self._lanes.append(_Lane(number))
            self._start(self._lanes[-1])

    def _renew_if_old(self, lane: _Lane, held: int) -> None:
        share = self._share(lane) if self._on_cpu(lane) else None
        if lane.clips >= RENEWED_AFTER or (share is not None and held > max(share // 2, LEAST_HELD)):
            try:
                lane.pipe.send(None)
            except OSError:
                pass
            lane.ready = False

    def _bury(self, lane: _Lane) -> list[tuple[Task, RefinedClip]]:
        """A worker has ended: say what became of its clip, and start the next one."""
        lane.process.join()
        code, task, was_ready = lane.process.exitcode, lane.task, lane.ready or lane.clips
        found = []
        if task is not None:
            seconds = time.monotonic() - lane.began
            status, said = lane.because or (DIED, self._how_it_died(code, task))
            found.append((task, ended(task, self._work, status, said, seconds)))
        elif not was_ready:
            lane.failed_starts += 1
            if lane.failed_starts >= FAILED_STARTS:
                raise RunError(f"workers end before they begin: {_in_words(code)}")
        self._forget(lane)
        self._start(lane)
        return found

    def _how_it_died(self, code: int | None, task: Task) -> str:
        words = last_words(log_file(self._work.output_dir, task.clip.name))
        return shorten(f"its process ended without a word: {_in_words(code)}" + (f"; {words}" if words else ""))

    def _forget(self, lane: _Lane) -> None:
        if lane.process is not None:
            lane.process.join(5.0)
            lane.pipe.close()
        lane.process = lane.pipe = lane.task = lane.because = None
        lane.ready = False

    def _end(self, lane: _Lane, status: str, said: str) -> None:
        if lane.process is not None and lane.because is None:
            lane.because = status, said
            lane.process.kill()

    def _on_cpu(self, lane: _Lane) -> bool:
        return (lane.device or "") == "cpu" or not (self._facts or {}).get("free")

    def _share(self, lane: _Lane) -> int | None:
        """Bytes that a worker may have: on the CPU its process, on a GPU its run."""
        if not self._on_cpu(lane):
            assert self._facts is not None
            sharing = sum(other.device == lane.device for other in self._lanes)
            free = SPARED * self._facts["free"][lane.device]
            return int((free if self._memory is None else self._memory) / max(sharing, 1))
        if self._memory is not None:
            return self._memory // len(self._lanes)
        free = free_bytes()
        if free is None:
            return None
        held = sum(held_bytes(other.process.pid) for other in self._lanes if other.process is not None)
        return int(SPARED * (free + held) / len(self._lanes))

    def _watch(self) -> None:
        """End workers that hold far more than their share, and those that do not come to begin."""
        now = time.monotonic()
        if now - self._watched < _WATCHED_EVERY:
            return
        self._watched = now
        for lane in self._lanes:
            if lane.process is None:
                continue
            if not lane.ready and not lane.clips and lane.task is None and now - lane.began > _START_S:
                self._end(lane, DIED, "it did not begin")
            if lane.task is None or lane.task.memory is None or not self._on_cpu(lane):
                continue
            held, most = held_bytes(lane.process.pid), max(MOST_OVER * lane.task.memory, LEAST_HELD)
            if held > most:
                share = write_size(lane.task.memory)
                said = f"its process took {write_size(held)}, of which {share} are its share (--memory, --jobs)"
                self._end(lane, DIED, said)


def _room(memory: int | None) -> int:
    """Workers that cores and memory have room for."""
    free = free_bytes() if memory is None else memory
    return max(min(usable_cores(), usable_cores() if free is None else free // LEAST_HELD), 1)


def _in_words(code: int | None) -> str:
    """How a process ended."""
    if code is None or code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}, killed or out of memory" if name == "SIGKILL" else name
