"""The journal of a batch: a line of JSON for each clip, appended when its fate is known; what everything is told from.

Each process that runs a batch appends to a file of its own, so that several, on several machines, may work into one
folder.  A line that is torn, as a killed process or a full disk leaves it, is passed over.
"""

from __future__ import annotations

import os
from pathlib import Path

from warpprior.batches.names import JOURNAL_FOLDER
from warpprior.batches.record import RefinedClip
from warpprior.support.errors import RunError


def journal_file(output_dir: Path, shard: tuple[int, int] | None) -> Path:
    """Where the clips of a shard are noted."""
    name = "all" if shard is None else f"shard-{shard[0]}-of-{shard[1]}"
    return output_dir / JOURNAL_FOLDER / f"{name}.jsonl"


def append(path: Path, record: RefinedClip) -> None:
    """Note what became of a clip, on disk when this returns.

    Raises:
        RunError: the file system refused.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            size = os.lseek(descriptor, 0, os.SEEK_END)
            torn = False
            if size:
                os.lseek(descriptor, size - 1, os.SEEK_SET)
                torn = os.read(descriptor, 1) != b"\n"
            line = ("\n" if torn else "") + record.line() + "\n"
            data = line.encode("ascii")
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RunError(f"{path}: cannot write it: {error.strerror or error}") from error


class Journals:
    """All journals of a batch folder, of which only what was appended is read again.

    Args:
        output_dir: the folder of the batch.
    """

    def __init__(self, output_dir: Path):
        self._folder = output_dir / JOURNAL_FOLDER
        self._read: dict[Path, int] = {}  # bytes of whole lines
        self._found: dict[str, RefinedClip] = {}

    def read(self) -> dict[str, RefinedClip]:
        """The latest record of each clip, by its name."""
        for path in sorted(self._folder.glob("*.jsonl")):
            with open(path, "rb") as stream:
                start = self._read.get(path, 0)
                if os.fstat(stream.fileno()).st_size <= start:
                    continue
                stream.seek(start)
                whole, newline, _ = stream.read().rpartition(b"\n")
            self._read[path] = start + len(whole + newline)
            for line in whole.split(b"\n"):
                record = RefinedClip.of_line(line)
                known = self._found.get(record.clip) if record else None
                if record is not None and (known is None or known.ended <= record.ended):
                    self._found[record.clip] = record
        return dict(self._found)

    def size(self) -> int:
        """Bytes of all of them, to tell whether something was appended."""
        return sum(path.stat().st_size for path in self._folder.glob("*.jsonl"))
