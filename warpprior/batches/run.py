"""Run a batch: clips to workers, what became of them into the journal and the tables, until all are done."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from warpprior.batches import journal
from warpprior.batches.clips import Clip, clips_of, frames_of, of_shard, read_shard
from warpprior.batches.outlook import Outlook
from warpprior.batches.record import DONE, FAILED, RefinedClip
from warpprior.batches.summary import Summary
from warpprior.batches.team import Team
from warpprior.batches.work import LOG_FOLDER, Task, Work, settings_of
from warpprior.cli.running import BAD_INPUT
from warpprior.settings import RefineSettings
from warpprior.support.errors import InputError

_LOOKED_EVERY = 0.25  # [s]


@dataclass(frozen=True)
class Plan:
    """How a batch is run.

    Attributes:
        jobs: clips side by side; None: as many as cores, memory and GPUs have room for.
        shard: number, from 1, and count of those that share the clips; None takes all.
        device: as of :func:`warpprior.refine`; None or ``auto`` shares all GPUs out.
        retries: how often a clip is begun again that failed, died or was given up; bad input is not.
        memory: bytes that all workers may take together; None: most of what is free.
        ray: address of a Ray cluster, ``auto`` or ``local``; None: processes of this machine.
    """

    jobs: int | None = None
    shard: tuple[int, int] | None = None
    device: str | None = None
    retries: int = 1
    memory: int | None = None
    ray: str | None = None


@dataclass(frozen=True)
class Standing:
    """How far a batch has come.

    Attributes:
        done: clips whose fate is known, of this run's.
        failed: of these, those without a result.
        total: clips of this run.
        left: how long the rest takes, in words; empty as long as that cannot be told.
        seconds_per_clip: mean of recent ones.
        seconds_per_frame: the same per frame, None where frames are not known.
    """

    done: int
    failed: int
    total: int
    left: str
    seconds_per_clip: float
    seconds_per_frame: float | None


Told = Callable[[RefinedClip, Standing], None]


def batch(
    source: str | Path | Sequence[str | Path],
    output_dir: str | Path,
    settings: RefineSettings | None = None,
    *,
    jobs: int | None = None,
    subset: str | None = None,
    shard: str | None = None,
    device: str | None = None,
    num_frames: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    check_first: bool = True,
    strict: bool = False,
    clip_timeout_s: float = 3600.0,
    retries: int = 1,
    memory: str | float | None = None,
    ray: str | None = None,
    told: Callable[[RefinedClip], None] | None = None,
) -> list[RefinedClip]:
    """Refine many clips, each in a folder of its own, in processes side by side, as ``warpprior batch`` does.

    A clip that fails, hangs or kills its process costs itself alone.  ``output_dir`` holds the result folders, by the
    names of the clips; ``summary.csv`` (and ``summary.parquet``, where pyarrow is installed) and ``index.html``, which
    are renewed while it runs; ``journal/``, from which they are made; and ``logs/``, what clips said that are not done.

    Args:
        source: a folder in which scene folders are, at any depth; a manifest; ``FORMAT:ROOT``; or a sequence of scene
            folders and ``FORMAT:PATH``.
        output_dir: made when it does not exist.
        settings: of all clips; defaults work.  Classes of your own terms must be in a module that can be imported.
        jobs: clips side by side; None: as many as cores, memory and GPUs have room for.
        subset: only sequences of this split, as the data set defines it, as ``s0_test`` of DexYCB; None: all.
        shard: ``i/n`` takes every n-th clip from the i-th, for n machines that work into one folder.
        device: as of :func:`warpprior.refine`; None or ``auto`` shares all GPUs out.
        num_frames: use only the first frames of each.
        resume: finished clips stay, others are refined, from where they were; see ``docs/batch.md``.
        overwrite: results that are there are replaced; with ``resume``, those of other inputs or settings alone.
        check_first, strict: as of :func:`warpprior.refine`; strict, a clip that fits badly has exit code 3.
        clip_timeout_s: seconds after which a clip is given up.
        retries: how often a clip is begun again that failed, died or was given up; bad input is not.
        memory: what all workers may take together on a CPU, or runs on each GPU: ``16GiB``, or bytes; None: most of
            what is free.
        ray: address of a Ray cluster, ``auto`` or ``local``; None: processes of this machine.  Needs the extra ``ray``.
        told: called with what became of each clip, as soon as it is known.

    Returns:
        What became of each clip of the shard, in the order of the source.

    Raises:
        InputError: the source or an option is not what it should be; or there is an earlier batch in ``output_dir``,
            and neither ``resume`` nor ``overwrite``; or another run is at the same shard.
        MissingExtraError: ``ray`` is asked for and not installed.
        RunError: no worker can be started, or the journal cannot be written.
    """
    from warpprior.support.memory import read_size

    work = Work(
        Path(output_dir),
        RefineSettings() if settings is None else settings,
        num_frames=num_frames,
        overwrite=overwrite,
        resume=resume,
        check_first=check_first,
        strict=strict,
        clip_timeout_s=clip_timeout_s,
    )
    plan = Plan(
        jobs,
        None if shard is None else read_shard(shard),
        device,
        retries,
        None if memory is None else read_size(memory),
        ray,
    )
    clips = clips_of(source, subset=subset)
    return run_batch(clips, work, plan, None if told is None else lambda record, _: told(record))


def run_batch(clips: Sequence[Clip], work: Work, plan: Plan, told: Told | None = None) -> list[RefinedClip]:
    """Refine clips, those of the plan's shard.

    Args:
        clips: all of them, whatever the shard.
        work: what is done with each.
        plan: how.
        told: called with what became of each clip, and how far all have come.

    Returns, raises:
        as :func:`batch`.
    """
    own = of_shard(clips, plan.shard)
    for clip in own:
        if clip.settings:
            settings_of(work, clip)  # refused before anything is computed
    file = journal.journal_file(work.output_dir, plan.shard)
    with _alone(work.output_dir, file):
        earlier = _earlier(work, own)
        tasks = deque(Task(clip, earlier=earlier.get(clip.name)) for clip in own)
        found: dict[str, RefinedClip] = {}
        with Summary(work.output_dir, len(clips)) as summary:
            if tasks:
                with _team(work, plan, len(tasks)) as team:
                    _supervise(tasks, team, plan, work, summary, found, told)
            summary.finish()
    return [found[clip.name] for clip in own if clip.name in found]


def _supervise(
    tasks: deque[Task],
    team: Team,
    plan: Plan,
    work: Work,
    summary: Summary,
    found: dict[str, RefinedClip],
    told: Told | None,
) -> None:
    """Hand clips out and take what became of them, until there are none."""
    total, file = len(tasks), journal.journal_file(work.output_dir, plan.shard)
    frames = {task.clip.name: frames_of(task.clip, work.num_frames) for task in tasks}
    outlook = Outlook()
    while tasks or team.busy():
        for number in team.free():
            if tasks:
                team.give(number, tasks.popleft())
        answers = team.wait(_LOOKED_EVERY)
        for number, _, began in team.busy():
            if time.monotonic() - began > work.clip_timeout_s:
                team.stop(number, f"took longer than {work.clip_timeout_s:g} s (--clip-timeout)")
        for task, record in answers:
            if record != task.earlier:  # else it was finished
                outlook.note(record.frames or frames[task.clip.name], record.seconds or 0.0)
                if _again(task, record, plan, team):
                    tasks.append(Task(task.clip, task.attempt + 1, task.earlier))
                    continue
                journal.append(file, record)
            found[record.clip] = record
            if told is not None:
                told(record, _standing(found, total, tasks, team, outlook, frames))
        summary.renew(len(team.busy()))


def _again(task: Task, record: RefinedClip, plan: Plan, team: Team) -> bool:
    """Whether a clip is begun again."""
    if record.status == DONE or record.exit_code == BAD_INPUT or task.attempt > plan.retries:
        return False
    return record.status == FAILED or not team.retries_itself


def _standing(found: dict, total: int, tasks: deque[Task], team: Team, outlook: Outlook, frames: dict) -> Standing:
    now = time.monotonic()
    running = [(frames[task.clip.name], now - began) for _, task, began in team.busy()]
    waiting = [frames[task.clip.name] for task in tasks]
    failed = sum(record.status != DONE for record in found.values())
    left = outlook.left(waiting, running, team.size)
    per_clip, per_frame = outlook.seconds_per_clip(), outlook.seconds_per_frame()
    return Standing(len(found), failed, total, left, per_clip, per_frame)


def _earlier(work: Work, own: Sequence[Clip]) -> dict[str, RefinedClip]:
    """What was noted of the clips by earlier runs; of one that begins anew, nothing.

    Raises:
        InputError: there is something, and it was not said what to do with it.
    """
    noted = journal.Journals(work.output_dir).read()
    known = {clip.name: noted[clip.name] for clip in own if clip.name in noted}
    if known and not (work.resume or work.overwrite):
        found = f"holds an earlier batch, in which {len(known)} of these clips were noted"
        raise InputError(str(work.output_dir), found, "--resume to go on with it, or --overwrite")
    return known if work.resume else {}


@contextmanager
def _alone(output_dir: Path, file: Path):
    """Hold the journal of a shard: two runs at the same one would do everything twice."""
    from warpprior.io.locks import holding

    try:
        for folder in (output_dir, file.parent, output_dir / LOG_FOLDER):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found = f"cannot be made: {error.strerror or error}"
        raise InputError(str(output_dir), found, "choose a folder you may write to") from error
    with holding(file, lock=file.parent / f".lock-{file.stem}"):
        yield


def _team(work: Work, plan: Plan, clips: int):
    if plan.ray is not None:
        from warpprior.batches.on_ray import RayTeam

        return RayTeam(work, plan, clips)
    from warpprior.batches.local import LocalTeam

    return LocalTeam(work, plan.jobs, clips, plan.device, plan.memory)
