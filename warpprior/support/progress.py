"""A progress bar for people: on a terminal only, never in logs, and gone when the work is done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[float, int, str], None]  # steps done, steps in all, what is being done


@contextmanager
def progress_bar(title: str, *, quiet: bool = False) -> Iterator[Progress]:
    """Yield ``progress(done, total, text)``; it draws on standard error when that is a terminal, else does nothing.

    Args:
        title: stands before the bar.
        quiet: draw nothing on a terminal either.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda done, total, text: None
        return
    from tqdm import tqdm

    with tqdm(desc=title, leave=False, file=sys.stderr, dynamic_ncols=True) as bar:

        def show(done: float, total: int, text: str) -> None:
            bar.total = total
            bar.set_postfix_str(text, refresh=False)
            bar.update(done - bar.n)

        yield show
