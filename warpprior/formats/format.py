"""What a format of others' files is: one class, in one file, that reads it, writes it, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from warpprior.formats.recording import Origin, Recording
from warpprior.support.errors import InputError


@dataclass(frozen=True)
class NoOptions:
    """A format without options."""


class Format:
    """One format; what differs from this is overridden.

    Attributes:
        name: the word on the command line, ``[a-z][a-z0-9_]+``.
        title: what it is, in a few words.
        reads: what of it is read, in words; empty where it is only written.
        writes: what of it is written, in words; empty where it is only read.
        verified: against what reading and writing were verified.
        sizes: what becomes of the size that a body was found to have: the end of ``2 times as large as its mesh, ...``.
        general: it is guessed only where no other format recognises a path.
        Options: a frozen dataclass of :func:`warpprior.cli.options.option` fields: options of the command line where
            the format is named.  Their names are no command's own.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    reads: ClassVar[str] = ""
    writes: ClassVar[str] = ""
    verified: ClassVar[str] = ""
    general: ClassVar[bool] = False
    sizes: ClassVar[str] = "which this format does not hold"
    Options: ClassVar[type] = NoOptions

    def recognises(self, path: Path) -> str:
        """By what a file or folder is known to be of this format, in a few words; empty: it is not.

        Names and sizes are looked at, and headers; nothing is read whole.
        """
        return ""

    def splits_of(self, path: Path) -> tuple[str, ...]:
        """Splits of the data set that a recognised path belongs to, as the set or its own code defines them."""
        return ()

    def read(self, source: Path, options: Any) -> Recording:
        """Read a file or folder.

        Args:
            source: the path.
            options: an instance of ``Options``.

        Raises:
            InputError: it is not of this format, or damaged.
        """
        raise InputError(f"format {self.name}", "is written only", "name one that is read: warpprior formats")

    def write(self, recording: Recording, folder: Path, options: Any) -> tuple[str, ...]:
        """Write the initial poses of a recording's scene.

        Args:
            recording: what to write; ``Recording.with_poses`` puts a result into it.
            folder: an empty folder that is there; it takes its place when this returns.
            options: an instance of ``Options``.

        Returns:
            what is to be said, one sentence each.

        Raises:
            InputError: the recording has not what the format needs.
        """
        raise InputError(f"format {self.name}", "is read only", "name one that is written: warpprior formats")

    def write_several(self, recordings: Sequence[Recording], folder: Path, options: Any) -> tuple[str, ...]:
        """Write several recordings into the same files, where the format's files hold more than one sequence.

        Arguments, returned sentences and errors as of :meth:`write`.

        Raises:
            InputError: files of the format hold one sequence each.
        """
        raise InputError(f"format {self.name}", f"{len(recordings)} recordings at once", "one: it holds one sequence")

    def origin_of(self, recording: Recording, what: str, accepted: str) -> Origin:
        """Where a recording was read from, for formats that are only written back.

        Args:
            recording: to be written.
            what: it has to have been read from, for the message; accepted: what this format takes.

        Raises:
            InputError: it was not read from this format.
        """
        origin = recording.origin
        if origin is None or origin.format != self.name:
            found = f"was not read from {what}" if origin is None else f"was read from {origin.format}"
            raise InputError(self.name, f"the recording {found}", accepted)
        return origin
