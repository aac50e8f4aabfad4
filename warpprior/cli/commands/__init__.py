"""The commands, a module each, found by listing this folder: ``convert_mano.py`` is ``warpprior convert-mano``.

A module has ``SUMMARY`` (a line of help), ``Options`` (a frozen dataclass made of :func:`warpprior.cli.options.option`,
built on :class:`warpprior.cli.shared.Common`) and ``run(options)``, which returns the exit code.  ``PLACE`` is its
place in the list of commands; those without come last.  What is slow to import is imported in ``run``.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

_LAST = 1000


def command_names() -> list[str]:
    """The commands as typed."""
    return [module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)]


def load_command(name: str) -> ModuleType:
    """The module of one command."""
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")


def load_commands() -> dict[str, ModuleType]:
    """The modules of all commands by name, in the order of the help."""
    found = {name: load_command(name) for name in command_names()}
    return dict(sorted(found.items(), key=lambda item: getattr(item[1], "PLACE", _LAST)))
