"""A stage of foreign files, opened in a process with limits: nothing outside the folder of the file is looked at."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from warpprior.bodies.readers.usd_layers import ACCEPTED, MOST_PRIMS, STANDS_ALONE, check_prims, look_through
from warpprior.support.errors import InputError
from warpprior.support.openusd import ENDINGS

if TYPE_CHECKING:
    from pxr import Sdf, Usd

MOST_FILES = 256
MOST_BYTES = 2 << 30  # of all files together


def open_stage(path: str, where: str) -> Usd.Stage:
    """The stage of a file and of those it is composed of, which have to be in its folder or below.

    Args:
        path: absolute.
        where: names it in messages.

    Raises:
        InputError: damaged, composed of what is elsewhere or not there, too large, or too many prims.
    """
    from pxr import Sdf, Usd

    layers = _layers(path, where)
    prims = 0
    for layer in layers:
        prims += look_through(layer, where)
        if prims > MOST_PRIMS:
            raise InputError(where, f"holds {prims} prims", f"at most {MOST_PRIMS} are read")
    whole = layers[0] if len(layers) == 1 else Sdf.Layer.FindOrOpen(path)
    stage = Usd.Stage.Open(whole)
    if stage is None:
        raise InputError(where, "cannot be read as a USD stage", ACCEPTED)
    check_prims(stage, where)
    return stage


def _layers(path: str, where: str) -> list[Sdf.Layer]:
    """The layer of a file, then those that it is composed of."""
    from pxr import Sdf

    folder = os.path.dirname(os.path.realpath(path))
    packed = _packed(path, where) if path.lower().endswith(".usdz") else None
    found: dict[str, Sdf.Layer] = {}
    waiting, size = [path], 0
    while waiting:
        file = waiting.pop(0)
        if file in found:
            continue
        size += 0 if packed is not None else os.path.getsize(file)
        if len(found) >= MOST_FILES or size > MOST_BYTES:
            raise InputError(where, "is composed of too many files, or too large ones", STANDS_ALONE)
        layer = Sdf.Layer.OpenAsAnonymous(file)
        if layer is None:
            found_what = "cannot be read as a USD file" if not found else f"its part {shown(file)} cannot be read"
            raise InputError(where, found_what, ACCEPTED)
        found[file] = layer
        # An empty one is the file itself.
        for other in sorted(filter(None, layer.GetCompositionAssetDependencies())):
            if packed is None:
                waiting.append(_inside(other, file, folder, where))
            else:
                waiting.append(_in_package(other, file, path, packed, where))
    return list(found.values())


def shown(text: str) -> str:
    """A name from a file, for messages."""
    return repr(text[-80:])


def _inside(name: str, file: str, folder: str, where: str) -> str:
    """The file that another one names, with links followed."""
    if "://" in name or "[" in name or ":" in name or not name.lower().endswith(ENDINGS[:-1]):
        raise InputError(where, f"is composed of {shown(name)}, which is no USD file beside it", STANDS_ALONE)
    found = os.path.realpath(os.path.join(os.path.dirname(file), name))
    if os.path.isabs(name) or os.path.commonpath([found, folder]) != folder:
        raise InputError(where, f"is composed of {shown(name)}, outside of its folder", STANDS_ALONE)
    if not os.path.isfile(found):
        raise InputError(where, f"is composed of {shown(name)}, which is not there", STANDS_ALONE)
    return found


def _packed(path: str, where: str) -> set[str]:
    """Names of the files in a package."""
    try:
        with zipfile.ZipFile(path) as package:
            entries = package.infolist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        raise InputError(where, "cannot be read as a USD package", ACCEPTED) from None
    if not 1 <= len(entries) <= MOST_FILES:
        raise InputError(where, f"is a package of {len(entries)} files", f"1 to {MOST_FILES}")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
        raise InputError(where, "is a package whose files are compressed", "USD packages store files as they are")
    if sum(entry.file_size for entry in entries) > min(MOST_BYTES, 2 * os.path.getsize(path)):
        raise InputError(where, "is a package whose files are larger than itself", ACCEPTED)
    return {entry.filename for entry in entries}


def _in_package(name: str, file: str, package: str, packed: set[str], where: str) -> str:
    """The place in a package that a file of it names."""
    own = file[len(package) + 1 : -1] if file.endswith("]") else ""
    inner = os.path.normpath(os.path.join(os.path.dirname(own), name)).replace(os.sep, "/")
    if os.path.isabs(name) or inner not in packed or not inner.lower().endswith(ENDINGS[:-1]):
        raise InputError(where, f"is composed of {shown(name)}, which its package has not", STANDS_ALONE)
    return f"{package}[{inner}]"


def each_prim(root: Usd.Prim) -> Iterator[Usd.Prim]:
    """A prim and all below it, those of instances too; what is below a point instancer belongs to that alone."""
    from pxr import Usd, UsdGeom

    walk = iter(Usd.PrimRange(root, Usd.TraverseInstanceProxies()))
    for prim in walk:
        yield prim
        if prim.IsA(UsdGeom.PointInstancer):
            walk.PruneChildren()
