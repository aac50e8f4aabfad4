"""Archives of arrays written back with some of them changed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from warpprior.support.files import check_size

MOST_BYTES = 2 << 30


def replace_arrays(source: Path, target: Path, new: Mapping[str, np.ndarray]) -> None:
    """Copy an archive with some arrays in the place of others, in their types; all else byte for byte."""
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
        check_size(sum(info.file_size for info in before.infolist()), str(source), "an archive of arrays", MOST_BYTES)
        for info in before.infolist():
            name = info.filename.removesuffix(".npy")
            data = before.read(info)
            if name in new:
                stored = np.load(io.BytesIO(data), allow_pickle=False)
                packed = io.BytesIO()
                np.save(packed, np.asarray(new[name]).astype(stored.dtype).reshape(stored.shape), allow_pickle=False)
                data = packed.getvalue()
            after.writestr(info, data, info.compress_type)
