"""Layers as files: whole, or as they were."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from warpprior.io.atomic import atomic_path, writing_alone
from warpprior.support.errors import InputError, RunError
from warpprior.support.openusd import openusd_reason

if TYPE_CHECKING:
    from pxr import Sdf

LAYERS = (".usdc", ".usd", ".usda")
FORMATS = (*LAYERS, ".usdz")


def check_ending(path: Path, accepted: tuple[str, ...] = FORMATS) -> None:
    """InputError where the ending of a file to write is another."""
    if path.suffix.lower() not in accepted:
        raise InputError(str(path), f"file ending {path.suffix!r}", f"one of {', '.join(accepted)}")


def write_file(layer: Sdf.Layer, path: Path) -> None:
    """Write a layer, or a package that has it alone, to a file that appears whole or not at all.

    Raises:
        RunError: the file could not be written.
    """
    from pxr import Tf

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with writing_alone(path), atomic_path(path) as partial:
            written = _package if path.suffix.lower() == ".usdz" else _export
            if not written(layer, str(partial)):
                raise RunError(f"{path}: OpenUSD could not write the file")
    except Tf.ErrorException as error:
        raise RunError(f"{path}: cannot write it: {openusd_reason(error)}") from error
    except OSError as error:
        raise RunError(f"{path}: cannot write it: {error.strerror or error}") from error


def _export(layer: Sdf.Layer, path: str) -> bool:
    return layer.Export(path)


def _package(layer: Sdf.Layer, path: str) -> bool:
    """Write a package whose first layer is ``scene.usdc``."""
    from pxr import Sdf, UsdUtils

    with tempfile.TemporaryDirectory() as folder:
        first, package = os.path.join(folder, "scene.usdc"), os.path.join(folder, "scene.usdz")
        if not (_export(layer, first) and UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(first), package)):
            return False
        shutil.copyfile(package, path)
    return True
