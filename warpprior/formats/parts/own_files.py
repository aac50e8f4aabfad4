"""Files of a data set: nothing is read that lies elsewhere, where links lead."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from warpprior.support.errors import InputError


def inside(path: Path, root: Path) -> Path:
    """The path; InputError where it leads out of ``root`` through links."""
    if leads_out(path, root):
        raise InputError(str(path), "leads out of its folder through a link", "needs files inside it")
    return path


def find_model(folders: Iterable[Path], names: Iterable[str], notes: list[str]) -> Path | None:
    """The first file of these names in the first folder that holds one; None where none does.

    A folder of models may itself be a link, for several data sets share one; then a note says where it leads.

    Raises:
        InputError: the file leads out of its folder through links.
    """
    names = tuple(names)
    for folder in folders:
        for name in names:
            if not (folder / name).is_file():
                continue
            said = f"models are those of {os.path.realpath(folder)}: {folder.name} is a link"
            if leads_out(folder, folder.parent) and said not in notes:
                notes.append(said)
            return inside(folder / name, folder)
    return None


def leads_out(path: Path, root: Path) -> bool:
    """Whether a path is elsewhere than below ``root``, links followed."""
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
