"""All formats, in one table; formats from elsewhere are entered by :func:`register_format` or an entry point.

A package enters its own under the group ``warpprior.formats``: ``mine = "mine.format:MyFormat"``, a class of
:class:`warpprior.formats.Format` or an instance.
"""

from __future__ import annotations

import importlib
import warnings
from functools import cache
from pathlib import Path

from warpprior.formats.format import Format
from warpprior.formats.place import NAME
from warpprior.support.errors import InputError
from warpprior.support.wording import nearest

# Name -> the module that has it as FORMAT, imported when it is first needed; or the format itself.
FORMATS: dict[str, str | Format] = {
    "scene": "warpprior.formats.scene",
    "v2d": "warpprior.formats.v2d",
    "clip": "warpprior.formats.clip",
    "bop": "warpprior.formats.bop",
    "arctic": "warpprior.formats.arctic",
    "contactpose": "warpprior.formats.contactpose",
    "taco": "warpprior.formats.taco",
    "hocap": "warpprior.formats.hocap",
    "dexycb": "warpprior.formats.dexycb",
    "ho3d": "warpprior.formats.ho3d",
    "motion_v1": "warpprior.formats.motion_v1",
    "mano_sharpa": "warpprior.formats.mano_sharpa",
    "hot3d": "warpprior.formats.hot3d",
    "hamer": "warpprior.formats.hamer",
    "hawor": "warpprior.formats.hawor",
    "dyn_hamr": "warpprior.formats.dyn_hamr",
    "openxr": "warpprior.formats.openxr",
    "egodex": "warpprior.formats.egodex",
    "mediapipe": "warpprior.formats.mediapipe",
    "aria_hands": "warpprior.formats.aria_hands",
    "lerobot": "warpprior.formats.lerobot",
    "hand_keypoints": "warpprior.formats.hand_keypoints",
    "mano_npz": "warpprior.formats.mano_npz",
    "foundationpose": "warpprior.formats.foundationpose",
    "spider": "warpprior.formats.spider",
    "usd": "warpprior.formats.usd",
}
GROUP = "warpprior.formats"


def find_format(name: str) -> Format:
    """The format of that name.

    Raises:
        InputError: there is none; the message names those there are.
    """
    if name not in FORMATS:
        _enter_those_of_packages()
    if name not in FORMATS:
        accepted = f"{nearest(name, FORMATS)}accepted: {', '.join(FORMATS)} (see warpprior formats)"
        raise InputError(f"format {name!r}", "there is none of that name", accepted)
    entry = FORMATS[name]
    return importlib.import_module(entry).FORMAT if isinstance(entry, str) else entry


def is_format(name: str) -> bool:
    """Is there a format of that name?"""
    if name not in FORMATS and NAME.fullmatch(name):
        _enter_those_of_packages()
    return name in FORMATS


def all_formats() -> list[Format]:
    """All formats, in the order of the table."""
    _enter_those_of_packages()
    return [find_format(name) for name in FORMATS]


def register_format(format: Format) -> None:
    """Enter a format of one's own: the command line and :func:`warpprior.read` take it from now on.

    Raises:
        InputError: no instance of a format, no name that can be one, or one that another format has.
    """
    if not isinstance(format, Format):
        found = f"the class {format.__name__}" if isinstance(format, type) else f"a {type(format).__name__}"
        raise InputError("format", found, "an instance of a warpprior.formats.Format, as register_format(Mine())")
    name = getattr(format, "name", "")
    if not NAME.fullmatch(name):
        raise InputError(f"format {type(format).__name__}", f"its name is {name!r}", "a class attribute like 'mine'")
    if name in FORMATS and find_format(name) is not format:
        raise InputError(f"format {name!r}", "there is one of that name", "choose another name")
    FORMATS[name] = format


def guess_format(path: Path) -> tuple[Format, str]:
    """The only format that recognises a path, and by what.

    Raises:
        InputError: none does, or several do.
    """
    if not path.exists():
        raise InputError(str(path), "does not exist", "give a file or folder")
    found = [(format, why) for format in all_formats() if format.reads and (why := _recognised(format, path))]
    found = [one for one in found if not one[0].general] or found
    if not found:
        accepted = f"name its format, one of {', '.join(FORMATS)}"
        raise InputError(str(path), "is of no format that is recognised", accepted)
    if len(found) > 1:
        said = ", ".join(f"{format.name} ({why})" for format, why in found)
        raise InputError(str(path), f"may be of {len(found)} formats: {said}", "name its format before it")
    return found[0]


def _recognised(format: Format, path: Path) -> str:
    """By what a format recognises a path; what it cannot look through is none of it."""
    try:
        return format.recognises(path)
    except (InputError, OSError):
        return ""


@cache
def _enter_those_of_packages() -> None:
    """Enter what installed packages offer; one that cannot be loaded costs itself alone."""
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP):
        try:
            made = point.load()
            register_format(made() if isinstance(made, type) else made)
        except Exception as error:  # a stranger's code
            warnings.warn(f"format {point.name} of {point.value}: {error}", stacklevel=2)
