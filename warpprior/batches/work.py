"""The work on one clip, in whatever process: refine it into its folder, and say what became of it."""

from __future__ import annotations

import faulthandler
import os
import platform
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import warpprior
from warpprior.batches.clips import Clip
from warpprior.batches.finished import check_version, stamp_of, still_holds
from warpprior.batches.names import LOG_FOLDER
from warpprior.batches.record import DONE, FAILED, RefinedClip, read_numbers
from warpprior.settings import RefineSettings
from warpprior.support.errors import InputError

_FATAL = "Fatal Python error: "
_BEFORE = 0.9  # share of the time that a clip may take after which its log is told what it is at


@dataclass(frozen=True)
class Work:
    """What is to be done with every clip.

    Attributes:
        output_dir: the folder of the batch.
        settings: of the refinement.
        num_frames: use only the first frames of each.
        overwrite, resume, check_first, strict: as of ``warpprior refine``.
        clip_timeout_s: seconds after which a clip is given up.
        own_terms: places of terms from outside, which a process loads before it takes the settings.
    """

    output_dir: Path
    settings: RefineSettings = field(default_factory=RefineSettings)
    num_frames: int | None = None
    overwrite: bool = False
    resume: bool = False
    check_first: bool = True
    strict: bool = False
    clip_timeout_s: float = 3600.0
    own_terms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """One attempt at a clip.

    Attributes:
        clip: which.
        attempt: from 1.
        earlier: what was noted of it in an earlier run.
        memory: bytes that the process, or the run on a GPU, may have; None: nobody knows.
    """

    clip: Clip
    attempt: int = 1
    earlier: RefinedClip | None = None
    memory: int | None = None


def log_file(output_dir: Path, clip: str) -> Path:
    """Where the errors and warnings of a clip go; it stays only where the clip is not done."""
    return output_dir / LOG_FOLDER / f"{clip}.txt"


def refine_clip(work: Work, task: Task, device: str) -> RefinedClip:
    """Refine a clip, or find that it is finished; whatever goes wrong is in the record."""
    began, clip = time.perf_counter(), task.clip
    log = log_file(work.output_dir, clip.name)
    with _written_to(log), _telling_every(_BEFORE * work.clip_timeout_s):
        record = _refined(work, task, device, began)
    if record.status == DONE:
        with suppress(OSError):
            log.unlink(missing_ok=True)
    return record


def ended(task: Task, work: Work, status: str, said: str, seconds: float) -> RefinedClip:
    """The record of a clip whose process can say nothing any more."""
    _remove_empty(log_file(work.output_dir, task.clip.name))
    return _record(work, task, status, 1, said, seconds)


def last_words(log: Path) -> str:
    """How a log ends: with which error, and where; empty where it says nothing."""
    try:
        with open(log, "rb") as stream:
            stream.seek(-min(os.fstat(stream.fileno()).st_size, 1 << 16), os.SEEK_END)
            lines = [line.strip() for line in stream.read().decode("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        return ""
    for number, line in enumerate(lines):
        if line.startswith(_FATAL):  # Python's own account of a crash
            place = next((below for below in lines[number:] if below.startswith("File ")), "")
            return ", ".join(filter(None, [line.removeprefix(_FATAL), place]))
    return lines[-1] if lines else ""


@contextmanager
def _telling_every(seconds: float) -> Iterator[None]:
    """Write to standard error, every so many seconds, what all threads are at.

    A thread does that which holds the interpreter: :func:`faulthandler.dump_traceback_later` reads frames of threads
    that run meanwhile, which may crash the process.
    """
    over = threading.Event()

    def tell() -> None:
        while not over.wait(min(seconds, threading.TIMEOUT_MAX)):
            faulthandler.dump_traceback(file=2)  # standard error

    teller = threading.Thread(target=tell, name="what the clip is at", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _refined(work: Work, task: Task, device: str, began: float) -> RefinedClip:
    from warpprior.cli.messages import explained
    from warpprior.cli.refining import COMPLETE, How, refine_folder
    from warpprior.cli.running import FITS_BADLY, OK
    from warpprior.support.errors import WarppriorError

    clip, folder = task.clip, work.output_dir / task.clip.name
    fields: dict[str, Any] = {}
    code, said = 1, ""
    try:
        settings = settings_of(work, clip)
        frames = work.num_frames if clip.num_frames is None else clip.num_frames
        fields["stamp"] = stamp_of(clip, _depends_on(settings, frames, clip))
        if work.resume and task.earlier is not None and still_holds(task.earlier, fields["stamp"], folder):
            return task.earlier
        how = How(
            num_frames=frames,
            initial=None if clip.initial is None else Path(clip.initial),
            device=device,
            overwrite=work.overwrite,
            resume=_resumes(work, task, folder),
            check_first=work.check_first,
            strict=work.strict,
            memory=task.memory,
            quiet=True,
        )
        started = time.perf_counter()
        code, said = refine_folder(clip.place, folder, settings, how)
        fields["work_seconds"] = time.perf_counter() - started
        if code in (OK, FITS_BADLY):
            fields |= {"status": DONE, **read_numbers(folder)}
        if said == COMPLETE:  # refined before, and its end was not noted, or files were touched
            known = task.earlier if task.earlier is not None and task.earlier.written == fields["written"] else None
            fields |= {"work_seconds": None if known is None else known.work_seconds}
            said = "was complete" if known is None else known.said
    except (Exception, SystemExit) as error:
        if not isinstance(error, WarppriorError):
            traceback.print_exc()
        code, said = explained(error) if isinstance(error, Exception) else (1, f"its program left: {error}")
        fields.pop("work_seconds", None)
    record = _record(work, task, FAILED, code, said, time.perf_counter() - began)
    return replace(record, **fields)


def settings_of(work: Work, clip: Clip) -> RefineSettings:
    """The settings of a clip.

    Raises:
        InputError: the clip asks for a setting that there is not.
    """
    from warpprior.support.overrides import apply_overrides

    try:
        return apply_overrides(work.settings, clip.settings)
    except InputError as error:
        raise InputError(f"{clip.where or clip.name}: {error.where}", error.found, error.accepted) from error


def _depends_on(settings: RefineSettings, frames: int | None, clip: Clip) -> dict[str, Any]:
    from warpprior.cli.own_terms import programs_of

    return {
        **settings.as_dict(),
        "programs": programs_of(settings.terms),
        "num_frames": frames,
        "initial": None if clip.initial is None else os.path.abspath(clip.initial),
    }


def _resumes(work: Work, task: Task, folder: Path) -> bool:
    """Whether a clip goes on from what is in its folder: of an earlier run, or of an earlier attempt of this one.

    Raises:
        InputError: it would, and that is another version's.
    """
    if not (work.resume or (task.attempt > 1 and not work.overwrite)):
        return False
    try:
        check_version(folder)
    except InputError:
        if not work.overwrite:
            raise
        return False
    return True


def _record(work: Work, task: Task, status: str, code: int, said: str, seconds: float) -> RefinedClip:
    return RefinedClip(
        task.clip.name,
        task.clip.scene,
        str(work.output_dir / task.clip.name),
        status,
        code,
        said,
        attempts=task.attempt,
        seconds=seconds,
        versions={"warpprior": warpprior.__version__},
        host=platform.node(),
        peak_mib=_peak_mib(),
        ended=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
    )


def _peak_mib() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used // (2**20 if sys.platform == "darwin" else 2**10)


@contextmanager
def _written_to(log: Path) -> Iterator[None]:
    """Within it what the process prints, native code too, goes to a file, which is gone where nothing was said."""
    try:
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
    except OSError:  # a full disk; the clip will say so
        target = os.open(os.devnull, os.O_WRONLY)
    _flush()
    before = [os.dup(1), os.dup(2)]
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        os.close(target)
        yield
    finally:
        _flush()
        for number, descriptor in enumerate(before, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        _remove_empty(log)


def _remove_empty(log: Path) -> None:
    with suppress(OSError):
        if log.stat().st_size == 0:
            log.unlink()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
