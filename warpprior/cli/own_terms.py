"""Terms from outside the package, named on the command line; their file is a program, and is run as one."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from warpprior.support.errors import InputError

if TYPE_CHECKING:
    from warpprior.terms import Term

ACCEPTED = "FILE.py:NAME or MODULE:NAME, of a term or of what makes one without arguments"


_LOADED: set[str] = set()  # names of modules that --term named


def place_in_own_terms(error: BaseException) -> str | None:
    """File and line of the innermost frame of an error that lies in what ``--term`` loaded; None if none does."""
    found = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_globals.get("__name__") in _LOADED:
            found = f"{frame.f_code.co_filename}, line {line}"
    return found


def load_term(place: str) -> Term:
    """The term at ``FILE.py:NAME`` or ``MODULE:NAME``.

    Raises:
        InputError: it is not there, or no term.
    """
    from warpprior.terms import Term

    source, _, name = place.rpartition(":")
    if not source or not name.isidentifier():
        raise InputError("--term", repr(place), ACCEPTED)
    try:
        module = _load(source)
    except FileNotFoundError:
        raise InputError(f"--term {place}", "there is no such file", ACCEPTED) from None
    except ModuleNotFoundError as error:
        raise InputError(f"--term {place}", f"there is no module {error.name!r}", ACCEPTED) from error
    except Exception as error:  # whatever their program raises
        raise InputError(
            f"--term {place}", f"{type(error).__name__}: {error}", "a program that can be loaded"
        ) from error
    if not hasattr(module, name):
        raise InputError(f"--term {place}", f"nothing is called {name!r} there", ACCEPTED)
    _LOADED.add(module.__name__)
    found = getattr(module, name)
    try:
        term = found() if callable(found) else found
    except TypeError as error:
        raise InputError(f"--term {place}", str(error), ACCEPTED) from error
    if not isinstance(term, Term):
        raise InputError(f"--term {place}", f"is {type(term).__name__}", ACCEPTED)
    return term


def programs_of(terms: Iterable[Term]) -> dict[str, str]:
    """Hash of the program that each term from outside the package comes from, by its name: all of it that is not in its
    settings.
    """
    import hashlib
    import inspect

    from warpprior.terms import Term

    package = Term.__module__.partition(".")[0]
    own = (term for term in terms if type(term).__module__.partition(".")[0] != package)
    return {term.name: hashlib.sha256(Path(inspect.getfile(type(term))).read_bytes()).hexdigest() for term in own}


def _load(source: str) -> ModuleType:
    if not source.endswith(".py"):
        return importlib.import_module(source)
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(source)
    name = f"warpprior_term_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and Warp look their module up
    spec.loader.exec_module(module)
    return module
