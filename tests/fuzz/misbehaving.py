"""Readers that do what none should, to test those who watch."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path

from tests.fuzz.formats import Format
from warpprior import InputError


def _misbehave(path: Path) -> None:
    what = path.read_text()
    if what == "crash":
        os.abort()
    elif what == "hang":
        time.sleep(60.0)
    elif what == "memory":
        raise InputError(str(path), "asks for more memory than there is", "less")
    elif what == "untyped":
        raise KeyError("vertices")
    elif what == "message":
        raise InputError("some file", "is bad", "a good one")
    elif what == "insides":
        raise InputError(str(path), "ValueError: no", "a good one")
    elif what == "warning":
        warnings.warn("overflow", RuntimeWarning, stacklevel=1)
    elif what == "output":
        os.write(2, b"Traceback")
    elif what == "refused":
        raise InputError(str(path), "is bad", "a good one")


WAYS = ("crash", "hang", "memory", "untyped", "message", "insides", "warning", "output", "refused", "accepted")


def _format(what: str) -> Format:
    return Format(
        "a.txt", lambda folder: [b"seed"], [lambda random, data, other: what.encode()], _misbehave, Path.mkdir, 0.5
    )


FORMATS = {what: _format(what) for what in WAYS}
"""One format for each way; whatever changes its file makes it so."""
