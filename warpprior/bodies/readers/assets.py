"""Where our own models are: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

import warpprior

_ASSETS = Path("scenes") / "assets"


def find_asset(name: str) -> Path:
    """The file of one of our models.

    Raises:
        FileNotFoundError: this installation lacks it.
    """
    for folder in warpprior.__path__:
        if (Path(folder) / _ASSETS / name).is_file():
            return Path(folder) / _ASSETS / name
    raise FileNotFoundError(f"{_ASSETS / name} is missing from this installation of warpprior")
