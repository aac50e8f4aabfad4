"""What a study leaves: a table for people as Markdown, for programs as CSV and JSON, written as a whole."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

from warpprior.io.atomic import atomic_write
from warpprior.io.results import write_json
from warpprior.io.staging import staged
from warpprior.support.environment import info


def write_study_files(
    folder: Path, names: tuple[str, str, str], text: str, write_csv: Callable[[IO[str]], None], record: dict[str, Any]
) -> None:
    """Write the three files; the record gets the environment, the command and the time.

    Args:
        folder: where to.
        names: of the Markdown, the CSV and the JSON file.
        text: in Markdown.
        write_csv: writes the rows.
        record: plain data.
    """
    written = datetime.now(timezone.utc).isoformat(timespec="seconds")
    record = record | {"environment": info(), "command": sys.argv, "written": written}
    with staged(folder, names) as staging:
        with atomic_write(staging / names[0], "w") as stream:
            stream.write(text)
        with atomic_write(staging / names[1], "w") as stream:
            write_csv(stream)
        write_json(staging / names[2], record)
