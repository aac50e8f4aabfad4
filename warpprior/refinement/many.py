"""Refine several scenes: those that fit together in the same launches, all others one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from warpprior.refinement.memory import SPARED, free_on, parts_of_clips
from warpprior.refinement.preparing import (
    Prepared,
    adam_iterations,
    aligns,
    checked_settings,
    motion_of,
    observe,
    prepare,
)
from warpprior.refinement.run import Run
from warpprior.refinement.together import Together, are_alike
from warpprior.result import Result
from warpprior.scene import Scene
from warpprior.settings import RefineSettings
from warpprior.support.device import resolve_device, warp_device
from warpprior.support.errors import RunError
from warpprior.support.memory import read_size
from warpprior.support.progress import Progress
from warpprior.system.joined import Joined, joined_scene, kind_of, why_not_joined
from warpprior.terms import Term

Keep = Callable[[int, dict[str, np.ndarray]], None]
Told = Callable[[int, "Result | Exception"], None]
Made = TypeVar("Made")

PIXEL_BYTES = 56  # of a body in a frame, at most: its drawings, by its clip and by all, and distances to its label
UNLIKE = "no other has its camera, rate, bodies and kinds of observations"  # why a scene goes by itself
FEW = "no other was left"
FRAME_BYTES = 2_000_000  # of a frame besides: equations, surfaces, contacts


def refine_many(
    scenes: Sequence[Scene],
    settings: RefineSettings | None = None,
    *,
    terms: Sequence[Term] | None = None,
    device: str | None = None,
    together: bool | None = None,
    progress: Progress | None = None,
    keep: Keep | None = None,
    told: Told | None = None,
    check_first: bool = True,
    strict: bool = False,
    memory: str | float | None = None,
) -> list[Result | Exception]:
    """Refine several scenes; each result is what :func:`warpprior.refine` makes of its scene, to the bit on a CPU.

    Scenes may go together that have camera, rate, bodies and kinds of observations in common: their frames are drawn,
    compared and moved in the same launches, and each converges by itself.  Where Adam is used, where shapes or the
    focal length are estimated, a body is an animation or the camera moves, scenes go one by one.  What was to go with
    others and did not says why in its notes.

    Args:
        scenes: the scenes.
        settings, terms, device, check_first, strict: as of :func:`warpprior.refine`, for each; terms of your own see
            one scene at a time.
        together: let scenes go together; None does so on a GPU, for a CPU gains next to nothing.
        progress: called with how much of all is done, how much there is, and what is being done.
        keep: called after each part of a scene with its number and arrays for ``resume_from`` of
            :func:`warpprior.refine`.
        told: called with the number of a scene and what became of it, as soon as that is known.
        memory: as of :func:`warpprior.refine`; as many scenes go together as fit.

    Returns:
        For each scene its result, or the exception that ended it, which the others do not notice.  After Ctrl-C scenes
        that had begun have their best so far, with ``complete=False``, and the others a ``RunError``.

    Raises:
        InputError: there are no such settings, or no such device.
    """
    device, settings = resolve_device(device), checked_settings(settings, terms)
    if together is None:
        together = warp_device(device).is_cuda
    work = _Work(scenes, progress, keep, told)

    def prepared(number: int) -> Prepared:
        how = {"progress": work.progress(number), "check_first": check_first, "strict": strict}
        return prepare(scenes[number], settings, device, **how)

    if not together or not aligns(settings) or adam_iterations(settings):
        why = "settings use Adam, or no least squares" if together else None
        for number in range(len(scenes)):
            work.attempt(number, lambda number=number: _refine_one(number, prepared(number), memory, work, why))
            if work.interrupted:
                break
        return work.found()
    ready = work.of_each(range(len(scenes)), prepared)
    for group, why in _groups(ready, device, memory):
        _refine_group({number: ready.pop(number) for number in group}, memory, work, why)
        if work.interrupted:
            break
    return work.found()


class NotBegunError(RunError):
    """Ctrl-C came before a scene's turn."""


class _Work:
    """What has become of the scenes so far.

    Args:
        scenes: all of them.
        progress, keep, told: as of :func:`refine_many`.

    Attributes:
        interrupted: by Ctrl-C; nothing more is begun.
    """

    def __init__(self, scenes: Sequence[Scene], progress: Progress | None, keep: Keep | None, told: Told | None):
        self.interrupted = False
        self._found: list[Result | Exception | None] = [None] * len(scenes)
        self._progress, self._keep, self._told = progress, keep, told
        self._whole = [float(getattr(scene, "frame_count", 1)) for scene in scenes]
        self._done = [0.0] * len(scenes)

    def close(self, number: int, what: Result | Exception) -> None:
        """A scene has come to its end."""
        self._found[number], self._done[number] = what, self._whole[number]
        if self._told is not None:
            self._told(number, what)

    def goes_on(self, number: int) -> bool:
        """Whether a scene has not come to its end."""
        return self._found[number] is None

    def attempt(self, number: int, work: Callable[[], object]) -> None:
        """Do something for a scene that goes on; what goes wrong ends it alone."""
        if self.goes_on(number):
            try:
                work()
            except Exception as error:
                self.close(number, error)

    def of_each(self, numbers: Iterable[int], make: Callable[[int], Made]) -> dict[int, Made]:
        """Make something for each of some scenes, by number; where that goes wrong, it is left out, and ends alone."""
        made: dict[int, Made] = {}
        for number in numbers:
            self.attempt(number, lambda number=number: made.update({number: make(number)}))
        return made

    def progress(self, number: int) -> Progress:
        """What tells how far a scene is."""

        def report(done: float, total: float, text: str) -> None:
            if self._progress is not None:
                self._done[number] = self._whole[number] * (done / total if total > 0.0 else 1.0)
                self._progress(sum(self._done), sum(self._whole), text)

        return report

    def keep(self, number: int) -> Callable[[dict[str, np.ndarray]], None] | None:
        """What takes the arrays of a scene that its refinement may be resumed from."""
        keep = self._keep
        return None if keep is None else lambda arrays: keep(number, arrays)

    def found(self) -> list[Result | Exception]:
        """What became of each."""
        return [NotBegunError("interrupted before it began") if one is None else one for one in self._found]


def _refine_one(number: int, ready: Prepared, memory: str | float | None, work: _Work, why: str | None) -> None:
    """Refine a scene by itself, ``why`` not with others, if it was to."""
    evidence = ready.evidence()
    problem, notes = observe(evidence, ready.settings, ready.device, memory)
    said = [] if why is None else [_by_itself(why)]
    _finish_one(number, ready, Run(ready, evidence, problem, [*notes, *said], work.keep(number)), work)


def _by_itself(why: str) -> str:
    """What is said of a scene that was to go with others."""
    return f"refined by itself, not in the same launches as other scenes: {why}."


def _finish_one(number: int, ready: Prepared, run: Run, work: _Work) -> None:
    """Do what is left of a scene, by itself."""
    try:
        run.finish()
    except KeyboardInterrupt:
        work.interrupted = True
    _take_result(number, ready, run, work)


def _take_result(number: int, ready: Prepared, run: Run, work: _Work) -> None:
    """The end of a scene: what its run has come to."""
    work.close(number, ready.finished(run.result(not work.interrupted)))


def _groups(
    ready: Mapping[int, Prepared], device: str, memory: str | float | None
) -> Iterator[tuple[list[int], str | None]]:
    """Numbers of scenes that go together: of one kind, and no more than there is memory for; why one does not."""
    free = free_on(warp_device(device))
    budget = np.inf if free is None else SPARED * free
    if memory is not None:
        budget = read_size(memory, "memory")
    kinds: dict[object, list[int]] = {}
    for number, one in ready.items():
        kinds.setdefault(kind_of(one.scene) or number, []).append(number)
    for kind, numbers in kinds.items():
        group: list[int] = []
        alone = FEW if len(ready) < 2 else UNLIKE
        if isinstance(kind, int):
            alone = "a body is an animation, or the camera moves"
        elif len(numbers) > 1:
            alone = "there is no memory for more at once"
        taken = 0.0
        for number in numbers:
            scene = ready[number].scene
            pixels = scene.camera.width * scene.camera.height * sum(not body.known for body in scene.bodies)
            size = scene.frame_count * (PIXEL_BYTES * pixels + FRAME_BYTES)
            if group and taken + size > budget:
                yield group, alone
                group, taken = [], 0.0
            group.append(number)
            taken += size
        yield group, alone


def _refine_group(ready: dict[int, Prepared], memory: str | float | None, work: _Work, why: str | None) -> None:
    """Refine scenes of one kind together, or the only one by itself, and say why."""
    ready = {number: one for number, one in ready.items() if work.goes_on(number)}
    if len(ready) < 2:
        for number, one in ready.items():
            work.attempt(number, lambda number=number, one=one: _refine_one(number, one, memory, work, why))
        return
    judged = work.of_each(ready, lambda number: ready[number].evidence())
    if len(judged) < len(ready):
        return _refine_group(ready, memory, work, FEW)  # of those that are left
    scenes = [evidence.scene for evidence in judged.values()]
    settings, device = next(iter(ready.values())).settings, next(iter(ready.values())).device
    motion = motion_of(joined_scene(scenes), settings, device)
    motion.divide(scenes)
    clips = {number: clip for number, (_, clip) in zip(judged, motion.clips, strict=True)}
    problems = work.of_each(judged, lambda number: observe(judged[number], settings, device, memory, clips[number]))
    if len(problems) < len(ready):
        return _refine_group(ready, memory, work, FEW)
    each, joined = [problem for problem, _ in problems.values()], None
    why = why_not_joined(each)
    if why is None:
        parts = parts_of_clips([problem.observed for problem in each], len(motion.estimated), motion.device)
        joined = Joined(motion, each, parts)
    runs = work.of_each(
        problems, lambda number: Run(ready[number], judged[number], *problems[number], work.keep(number))
    )
    if len(runs) < len(ready):
        return _refine_group(ready, memory, work, FEW)
    solvers = [run.gauss_newton for run in runs.values() if run.gauss_newton is not None]
    if joined is None or not are_alike(solvers):
        for number, run in runs.items():
            run.notes.append(_by_itself(why or "observations leave other terms without a say"))
            work.attempt(number, lambda number=number, run=run: _finish_one(number, ready[number], run, work))
            if work.interrupted:
                break
        return None
    return _finish_together(ready, runs, Together(solvers, joined), work)


def _finish_together(ready: Mapping[int, Prepared], runs: dict[int, Run], together: Together, work: _Work) -> None:
    """Do all parts of several runs, each of all before the next."""
    numbers = list(runs)

    def report(clip: int, share: float) -> None:
        runs[numbers[clip]].report(share)

    def left() -> dict[int, Run]:
        return {number: run for number, run in runs.items() if work.goes_on(number)}

    try:
        for part in next(iter(runs.values())).parts:
            if part.stage is None:
                for number, run in left().items():
                    work.attempt(number, lambda run=run, part=part: part.do(run))
            else:
                found = together.run(part.stage, [numbers.index(number) for number in left()], report)
                for clip, what in found.items():
                    if isinstance(what, Exception):
                        work.close(numbers[clip], what)
                    else:
                        runs[numbers[clip]].record(what)
            for number, run in left().items():
                work.attempt(number, run.close)
    except KeyboardInterrupt:
        work.interrupted = True
        for number, run in left().items():
            if run.done < len(run.parts):
                work.attempt(number, run.check)  # half a part may be worse than none
    for number, run in left().items():
        work.attempt(number, lambda number=number, run=run: _take_result(number, ready[number], run, work))
