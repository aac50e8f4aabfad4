"""What a batch says while it runs: a bar on a terminal, else a line for each clip; what went wrong, always."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from warpprior.batches.record import DONE, RefinedClip
from warpprior.batches.run import Standing
from warpprior.batches.summary import CSV_FILE
from warpprior.support.progress import progress_bar

_MOST_NAMED = 5


class Teller:
    """Says what becomes of clips.

    Args:
        total: clips of this run.
        quiet: errors alone.
    """

    def __init__(self, total: int, *, quiet: bool = False):
        self.done = 0
        self._total, self._quiet = total, quiet
        self._bar = None
        self._open = ExitStack()

    def __enter__(self) -> Teller:
        if not self._quiet and sys.stderr.isatty():
            self._bar = self._open.enter_context(progress_bar(f"batch of {self._total} clips", foretells=False))
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        self._open.close()
        self._bar = None

    def __call__(self, record: RefinedClip, standing: Standing) -> None:
        from warpprior.cli.messages import complain
        from warpprior.cli.running import say

        self.done = standing.done - standing.failed
        if record.status != DONE:
            if self._bar is not None:
                sys.stderr.write("\r\x1b[K")  # over the bar, which is drawn anew
            complain(f"error: {record.clip}: {record.said}")
        if self._bar is not None:
            self._bar(standing.done, standing.total, in_words(standing))
        elif record.status == DONE:
            say(self._quiet, f"{in_words(standing, brief=True)}: {record.clip}: {record.said}")

    def sum_up(self, found: Sequence[RefinedClip], output_dir: Path) -> None:
        """Say how many are done, and which are not."""
        from warpprior.batches.page import INDEX_FILE
        from warpprior.cli.messages import complain
        from warpprior.cli.running import say

        self.close()
        failed = [record.clip for record in found if record.status != DONE]
        badly = sum(record.fits_badly for record in found)
        said = f"{len(found) - len(failed)} of {self._total} clips refined"
        say(self._quiet, said + (f", {badly} of them fit badly" if badly else ""))
        say(self._quiet, f"open: {output_dir / INDEX_FILE}, and as a table {output_dir / CSV_FILE}")
        if failed:
            named = ", ".join(failed[:_MOST_NAMED]) + (", ..." if len(failed) > _MOST_NAMED else "")
            complain(f"{len(failed)} of {self._total} clips without a result: {named}")


def in_words(standing: Standing, *, brief: bool = False) -> str:
    """``"41 of 200 clips, 3 failed, 5 min left, 1.9 s each (0.12 s a frame)"``; brief, without the times of clips.

    What stands last is what a narrow terminal leaves out.
    """
    said = [f"{standing.done} of {standing.total}" + ("" if brief else " clips")]
    said += [f"{standing.failed} failed"] if standing.failed else []
    said += [standing.left] if standing.left else []
    if standing.seconds_per_clip and not brief:
        per_frame = standing.seconds_per_frame
        said.append(f"{standing.seconds_per_clip:.1f} s each" + (f" ({per_frame:.2f} s a frame)" if per_frame else ""))
    return ", ".join(said)
