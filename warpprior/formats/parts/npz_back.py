"""Archives of arrays written back with some of them changed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from warpprior.formats.parts.stored_type import in_type_of
from warpprior.support.errors import InputError
from warpprior.support.files import check_size

MOST_BYTES = 2 << 30


def replace_arrays(source: Path, target: Path, new: Mapping[str, np.ndarray]) -> None:
    """Copy an archive with some arrays in the place of others, in their types; all else byte for byte.

    Raises:
        InputError: the archive lacks one of them, or has it in a shape or type that cannot hold the values.
    """
    with zipfile.ZipFile(source) as before:
        infos = before.infolist()
        check_size(sum(info.file_size for info in infos), str(source), "an archive of arrays", MOST_BYTES)
        names = [info.filename.removesuffix(".npy") for info in infos]
        lacking = sorted(set(new) - set(names))
        if lacking:
            raise InputError(str(source), f"has no array {', '.join(lacking)} to write into", f"has {', '.join(names)}")
        with zipfile.ZipFile(target, "w") as after:
            for info, name in zip(infos, names, strict=True):
                data = before.read(info)
                if name in new:
                    stored = np.load(io.BytesIO(data), allow_pickle=False)
                    packed = io.BytesIO()
                    made = in_type_of(stored, np.asarray(new[name]), f"{source}: {name}")
                    np.save(packed, made, allow_pickle=False)
                    data = packed.getvalue()
                after.writestr(info, data, info.compress_type)
