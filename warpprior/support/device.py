"""Devices and the kernel cache: choose where to run, and keep a damaged or unwritable cache from stopping a run."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from warpprior.support.errors import InputError

if TYPE_CHECKING:
    import warp as wp

Value = TypeVar("Value")


def resolve_device(name: str | None = None) -> str:
    """The Warp device to run on.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:<n>``; ``auto`` or None takes the first CUDA device if there is one.

    Returns:
        ``"cpu"`` or ``"cuda:<n>"``.

    Raises:
        InputError: the device is not there, or the name is not one of the above.
    """
    import warp as wp

    start_warp()
    wanted = "auto" if name is None else str(name).strip().lower()
    cuda_names = [device.alias for device in wp.get_cuda_devices()]
    if wanted == "auto":
        return cuda_names[0] if cuda_names else "cpu"
    if wanted == "cuda" and cuda_names:
        return cuda_names[0]
    if wanted == "cpu" or wanted in cuda_names:
        return wanted
    if wanted != "cuda" and not (wanted.startswith("cuda:") and wanted[5:].isdigit()):
        raise InputError("--device", f"{name!r} is not a device", "give auto, cpu, cuda or cuda:<n>")
    if cuda_names:
        raise InputError("--device", f"{name!r} is not there", f"this machine has cpu, {', '.join(cuda_names)}")
    raise InputError("--device", f"{name!r}, but no CUDA device was found", "run with --device cpu")


def start_warp() -> None:
    """Start Warp, if nobody has, without the messages that it has for its own users."""
    import warp as wp

    from warpprior.kernels import has_started  # the import silences it

    if not has_started():
        with _driver_warning_dropped(), _sound_cache_home():
            wp.init()


def warp_device(name: Any) -> wp.Device:
    """The Warp device of this name, Warp being started as :func:`start_warp` does."""
    import warp as wp

    start_warp()
    return wp.get_device(name)


def prepare_kernel_cache() -> Path:
    """Start Warp, silent, with a kernel cache that can be written to; call before the first kernel is launched.

    A cache folder that cannot be created or written is replaced by a private one in the temporary folder, with a
    warning.  Only programs call this: importing warpprior leaves Warp's settings alone.

    Returns:
        The folder in use.
    """
    import warp as wp

    from warpprior.kernels import silence_warp

    silence_warp()
    try:
        start_warp()
        assert wp.config.kernel_cache_dir is not None  # wp.init has chosen one
        cache = Path(wp.config.kernel_cache_dir)
        problem = _write_problem(cache)
    except OSError as error:
        cache, problem = Path(wp.config.kernel_cache_dir or error.filename or ""), error
    if problem is None:
        return cache
    private = _private_cache()
    wp.config.kernel_cache_dir = str(private)
    start_warp()
    warnings.warn(
        f"the kernel cache {cache} cannot be used ({problem.strerror or problem}); using {private}, "
        "set WARP_CACHE_PATH to choose another",
        stacklevel=2,
    )
    return Path(wp.config.kernel_cache_dir)


def self_healing(function: Callable[[], Value]) -> Value:
    """Call ``function()``; when a cached kernel module cannot be loaded, have it rebuilt and call again.

    A file cut short by a full disk or a killed process would otherwise fail on every later run.  The call is repeated
    as often as another module turns out damaged, so ``function`` must be safe to call twice.
    """
    healed: set[Path] = set()
    while True:
        try:
            return function()
        except Exception as error:
            damaged = _damaged_builds(error)
            if not damaged or damaged & healed:
                raise
        for folder in damaged:
            _forget_build(folder)
        healed |= damaged
        names = ", ".join(sorted(folder.name for folder in damaged))
        warnings.warn(f"damaged kernels in the cache are compiled again: {names}", stacklevel=2)


def forget_unfinished_builds() -> None:
    """Delete what this process has begun to compile and will not finish; what is complete has been moved already."""
    wp = sys.modules.get("warp")
    cache = getattr(getattr(wp, "config", None), "kernel_cache_dir", None)
    for folder in [] if cache is None else Path(cache).glob(f"*_p{os.getpid()}_t*"):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _driver_warning_dropped() -> Iterator[None]:
    """Keep Warp's native code from telling everybody without a GPU, on standard error, that there is none."""
    stream = sys.stderr
    try:
        terminal = None if stream is None else os.dup(2)
    except OSError:
        terminal = None
    if stream is None or terminal is None:  # a program with windows has none, and others have closed it
        yield
        return
    stream.flush()
    with tempfile.TemporaryFile() as heard:
        os.dup2(heard.fileno(), 2)
        try:
            yield
        finally:
            stream.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            heard.seek(0)
            lines = heard.read().decode(errors="replace").splitlines(keepends=True)
            stream.writelines(line for line in lines if "Could not find or load the NVIDIA CUDA driver" not in line)


@contextmanager
def _sound_cache_home() -> Iterator[None]:
    """Within it WARP_CACHE_PATH is unset where it is empty, XDG_CACHE_HOME where it is empty or no absolute path.

    By the specification of the second that is the same; Warp would put its cache into the current folder.
    """
    unsound = {name: os.environ.get(name) for name in ("WARP_CACHE_PATH", "XDG_CACHE_HOME")}
    if unsound["WARP_CACHE_PATH"]:
        del unsound["WARP_CACHE_PATH"]
    if os.path.isabs(unsound["XDG_CACHE_HOME"] or ""):
        del unsound["XDG_CACHE_HOME"]
    before = {name: value for name, value in unsound.items() if value is not None}
    for name in before:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(before)


def _write_problem(folder: Path) -> OSError | None:
    """Why nothing can be written in ``folder``, or None."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0" * 4096)
    except OSError as error:
        return error
    return None


def _private_cache() -> Path:
    """A folder for compiled kernels only this user can write to: what is in it gets executed."""
    owner = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"warpprior-kernels-{owner}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
        safe = stat.S_ISDIR(state.st_mode) and state.st_uid == owner and not state.st_mode & 0o022
    except OSError:
        safe = False
    return folder if safe else Path(tempfile.mkdtemp(prefix="warpprior-kernels-"))


def _damaged_builds(error: Exception) -> set[Path]:
    """The cached builds because of which Warp's loader failed; none when ``error`` is about something else."""
    import warp as wp

    cache = Path(wp.config.kernel_cache_dir or "")
    # Warp before 1.13 does not notice a broken CPU binary until it looks for a kernel in it.
    refused = re.match(r"Failed to (?:load \w+|find \w+ kernel '[^']+' from) module '([^']+)'", str(error))
    if refused is not None:
        return {path for path in cache.glob(f"wp_{refused.group(1)}_*") if path.is_dir()}
    if isinstance(error, json.JSONDecodeError) and _raised_in_warp(error):
        return {path.parent for path in cache.glob("wp_*/*.meta") if not _is_json(path)}
    return set()


def _forget_build(folder: Path) -> None:
    """Delete a cached build, and have Warp build the module again when it is used next."""
    import warp as wp

    shutil.rmtree(folder, ignore_errors=True)
    module = wp.get_module(folder.name.removeprefix("wp_").rpartition("_")[0])
    module.unload()
    for kernel in module.kernels.values():  # Warp before 1.13 would skip kernels that once failed
        kernel.adj.skip_build = False


def _raised_in_warp(error: Exception) -> bool:
    import warp as wp

    frames = traceback.extract_tb(error.__traceback__)
    return any(Path(frame.filename).is_relative_to(Path(wp.__file__).parent) for frame in frames)


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True
