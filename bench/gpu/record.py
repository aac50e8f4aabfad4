"""What a part has found so far, in a file, so that a part that is stopped leaves what it had."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from warpprior.io.atomic import atomic_write


class Record:
    """Named findings; what is wrong is kept apart, and counts.

    Args:
        file: where they are written, each time something is added.
    """

    def __init__(self, file: Path):
        self._file = file
        self._found: dict[str, Any] = {}
        self._wrong: list[str] = []

    @property
    def wrong(self) -> tuple[str, ...]:
        """A sentence for each thing that is not as it must be."""
        return tuple(self._wrong)

    def keep(self, name: str, value: Any, wrong: str | None = None) -> None:
        """Add a finding, and what is wrong with it, if anything is."""
        self._found[name] = _short(value)
        if wrong is not None:
            self._wrong.append(f"{name}: {wrong}")
        with atomic_write(self._file) as stream:
            stream.write(json.dumps({"found": self._found, "wrong": self._wrong}, indent=1).encode())


def _short(value: Any) -> Any:
    """The same with four digits of every number that is not whole."""
    if isinstance(value, dict):
        return {key: _short(each) for key, each in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
