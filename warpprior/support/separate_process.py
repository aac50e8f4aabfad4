"""A function of the package, run in a Python process of its own: what native code does there ends that process only.

For readers of foreign files that are written in C++: such a file may abort them, keep them for ever, or ask for all
memory.  Nothing is pickled: arguments go over as JSON, arrays come back as their bytes, described by JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from warpprior.support.errors import InputError, RunError, reason_of
from warpprior.support.interrupts import blocked
from warpprior.support.openusd import in_kit

PYTHON_VARIABLE = "WARPPRIOR_PYTHON"
MOST_TEXT = 16 << 20  # bytes of what is said beside arrays
_KINDS = "biuf"  # of arrays that may come back

# The first line that the other side reads is its search path, so that nothing is imported from anywhere else.
_START = """\
import sys
sys.path[:] = sys.stdin.buffer.readline().decode("utf-8", "surrogateescape")[:-1].split("\\0")
from importlib.util import module_from_spec, spec_from_file_location
folder = sys.path.pop()
spec = spec_from_file_location("warpprior", folder + "/__init__.py", submodule_search_locations=[folder])
sys.modules["warpprior"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["warpprior"])
from warpprior.support.separate_process import serve
serve()
"""


@dataclass(frozen=True)
class Limits:
    """What the other process may use.

    Where the system has no such limits (Windows), or does not keep them (address space on macOS), ``wall_s`` and
    ``answer_bytes`` remain.

    Attributes:
        cpu_s: computing time [s].
        memory_bytes: address space.
        wall_s: time until the answer is complete [s].
        answer_bytes: size of the arrays that come back.
    """

    cpu_s: float = 8.0
    memory_bytes: int = 2 << 30
    wall_s: float = 90.0
    answer_bytes: int = 2 << 30


def run_separately(
    function: str, arguments: dict[str, Any], *, where: str, accepted: str, limits: Limits
) -> tuple[dict[str, np.ndarray], Any]:
    """Call a function of the package in a process of its own.

    The process has the search path of this one and imports the function's module, but not the packages above it.  It
    ends with this process, and with an interrupt, and what it prints is dropped.

    Args:
        function: ``package.module:name``; it takes keyword arguments, and returns arrays by name and what JSON can
            hold.
        arguments: what JSON can hold.
        where: names the file in messages.
        accepted: what to give instead, for messages.
        limits: of the process.

    Returns:
        What the function returned.

    Raises:
        InputError: the function raised it, or the process failed, crashed or came to a limit.
        RunError: no Python can be started.
    """
    request = {
        "function": function,
        "arguments": arguments,
        "limits": asdict(limits),
        "python": sys.version_info[:2],
        "parent": os.getpid(),
    }
    places = [os.path.abspath(place) for place in sys.path if isinstance(place, str)]
    path = "\0".join([*places, str(Path(__file__).resolve().parents[1])]).encode("utf-8", "surrogateescape")
    late = threading.Event()
    with _started() as process:
        assert process.stdin is not None and process.stdout is not None
        timer = threading.Timer(limits.wall_s, lambda: (late.set(), process.kill()))
        timer.daemon = True
        timer.start()
        try:
            process.stdin.write(path + b"\n" + json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            head, arrays = _receive(process.stdout, limits)
        except (OSError, EOFError):
            raise InputError(where, f"cannot be read ({_reason(process, late, limits)})", accepted) from None
        except (ValueError, TypeError, LookupError) as error:
            raise InputError(where, f"cannot be read (its reader's answer makes no sense: {error})", accepted) from None
        finally:
            timer.cancel()
    if head["kind"] == "result":
        return arrays, head["said"]
    if head["kind"] == "input":
        raise InputError(*head["said"])
    if head["kind"] == "python":
        raise RunError(f"{_python()} is Python {head['said']}, not this one; {_REMEDY}")
    raise InputError(where, f"cannot be read ({head['said']})", accepted)


_INSTEAD = "open the stage yourself and hand it over in place of its path: Usd.Stage.Open(path)"
_REMEDY = f"set {PYTHON_VARIABLE} to a python{sys.version_info[0]}.{sys.version_info[1]} that can be started"


@contextmanager
def _started() -> Iterator[subprocess.Popen]:
    """The other process, which is gone when the block ends, however it ends."""
    python = _python()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONINSPECT"}
    # One thread: address space that is never used would count, and so would the time of threads that wait.
    environment |= {"PXR_WORK_THREAD_LIMIT": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(subprocess, "CREATE_NO_WINDOW", 0)
    with blocked():
        try:
            process = subprocess.Popen(
                [python, "-s", "-S", "-c", _START],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                creationflags=flags,
            )
        except OSError as error:
            raise RunError(f"{python} cannot be started: {error.strerror or error}; {_REMEDY}") from error
    try:
        yield process
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # what was not written yet has nowhere to go
                pass
        process.wait()


def _python() -> str:
    """A Python of this version that can be started; ``sys.executable`` may be a program that Python is embedded in."""
    given = os.environ.get(PYTHON_VARIABLE)
    if given:
        return given
    if in_kit():
        raise RunError("USD files are read by a Python beside this one, which cannot be started in Kit; " + _INSTEAD)
    named = [getattr(sys, "executable", None), getattr(sys, "_base_executable", None)]
    candidates = [Path(name) for name in named if name and Path(name).name.lower().startswith("python")]
    names = (f"python{sys.version_info[0]}.{sys.version_info[1]}", "python3", "python")
    for prefix in dict.fromkeys((sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)):
        folders = [Path(prefix), Path(prefix) / "Scripts"] if os.name == "nt" else [Path(prefix) / "bin"]
        candidates += [folder / name for folder in folders for name in ("python.exe",) if os.name == "nt"]
        candidates += [folder / name for folder in folders for name in names if os.name != "nt"]
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate)
    raise RunError(f"there is no Python beside {sys.executable or 'this program'} to read the file with; {_REMEDY}")


def _receive(pipe: IO[bytes], limits: Limits) -> tuple[dict, dict[str, np.ndarray]]:
    """What the other side sends; EOFError where it ends early, ValueError where it is something else."""
    size = int.from_bytes(_exactly(pipe, 8), "little")
    if size > MOST_TEXT:
        raise ValueError(f"{size} bytes of text")
    head = json.loads(_exactly(pipe, size))
    arrays, left = {}, limits.answer_bytes
    for name, kind, shape in head["arrays"]:
        dtype = np.dtype(kind)
        left -= prod(shape) * dtype.itemsize
        if dtype.kind not in _KINDS or min(shape, default=0) < 0 or left < 0:
            raise ValueError(f"{kind} of shape {shape}, beyond {limits.answer_bytes} bytes")
        arrays[name] = np.empty(shape, dtype)
        rest = memoryview(arrays[name].reshape(-1).view(np.uint8))
        while len(rest):
            count = pipe.readinto(rest)  # type: ignore[attr-defined]
            if not count:
                raise EOFError("it ends early")
            rest = rest[count:]
    return head, arrays


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError("it ends early")
    return data


def _reason(process: subprocess.Popen, late: threading.Event, limits: Limits) -> str:
    """Why the process ended without an answer, in words."""
    try:
        code = process.wait(timeout=5.0)
    except subprocess.TimeoutExpired:
        return "its reader hung up"
    if late.is_set():
        return f"its reader gave no answer within {limits.wall_s:.0f} s"
    name = signal.Signals(-code).name if -code in {*signal.Signals} else str(code)
    if name == "SIGXCPU":
        return f"its reader found no end within {limits.cpu_s:.0f} s of computing"
    deep = ", as damage or too many levels make it" if name == "SIGSEGV" else ""
    return f"its reader crashed: {name}{deep}"


def serve() -> None:
    """The other side: answer one request on standard input, and end."""
    request = json.loads(sys.stdin.buffer.readline())
    answer = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):  # what native code prints would get between
        os.dup2(nowhere, descriptor)
    if tuple(request["python"]) != sys.version_info[:2]:
        _send(answer, "python", "{}.{}".format(*sys.version_info))
        return
    limits = Limits(**request["limits"])
    _end_with(request["parent"])
    _limit(limits)
    try:
        arrays, said = _load(request["function"])(**request["arguments"])
        _send(answer, "result", said, arrays)
    except InputError as error:
        _send(answer, "input", [error.where, error.found, error.accepted])
    except MemoryError:
        _send(answer, "failure", f"it asks for more than {limits.memory_bytes / 2**30:.1f} GiB of memory")
    except Exception as error:
        _send(answer, "failure", reason_of(error))
    answer.close()
    os._exit(0)  # destructors of half-read files may crash, too


def allow_more(*, cpu_s: float = 0.0, memory_bytes: int = 0) -> None:
    """On the other side: so much more, for what has been counted and found to be within bounds."""
    _raise_limit("RLIMIT_CPU", cpu_s)
    _raise_limit("RLIMIT_AS", memory_bytes)


def _raise_limit(name: str, more: float) -> None:
    try:
        import resource

        kind = getattr(resource, name)
        soft, hard = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            resource.setrlimit(kind, (int(soft + more), hard))
    except (ImportError, AttributeError, ValueError, OSError):  # there are no such limits here
        pass


def _limit(limits: Limits) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    for name, value in (("RLIMIT_CPU", limits.cpu_s), ("RLIMIT_AS", limits.memory_bytes), ("RLIMIT_CORE", 0)):
        try:
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            wanted = int(value) if hard == resource.RLIM_INFINITY else min(int(value), hard)
            resource.setrlimit(kind, (wanted, hard))
        except (AttributeError, ValueError, OSError):  # not on this system
            pass


def _end_with(parent: int) -> None:
    """End when the process that asked ends."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG, whatever native code is at
        if os.getppid() != parent:
            os._exit(1)
        return

    def watch() -> None:
        sys.stdin.buffer.read(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _load(function: str) -> Callable[..., tuple[dict[str, np.ndarray], Any]]:
    """The function of ``package.module:name``; packages above it are not run, as they import what is not needed."""
    from importlib import import_module
    from types import ModuleType

    module, _, name = function.partition(":")
    folder, parts = Path(__file__).resolve().parents[1], module.split(".")
    for depth in range(2, len(parts)):
        package = ModuleType(".".join(parts[:depth]))
        package.__path__ = [str(folder.joinpath(*parts[1:depth]))]
        sys.modules.setdefault(package.__name__, package)
    return getattr(import_module(module), name)


def _send(answer: IO[bytes], kind: str, said: Any, arrays: dict[str, np.ndarray] | None = None) -> None:
    plain = {name: np.asarray(array, order="C") for name, array in (arrays or {}).items()}
    described = [[name, array.dtype.str, array.shape] for name, array in plain.items()]
    head = json.dumps({"kind": kind, "said": said, "arrays": described}).encode()
    answer.write(len(head).to_bytes(8, "little") + head)
    for array in plain.values():
        answer.write(array.reshape(-1).view(np.uint8).data)
    answer.flush()
