"""Checkpoints: enough to continue an interrupted run, and to refuse continuing a different one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from warpprior.io.array_files import read_arrays, write_arrays
from warpprior.io.fingerprint import differences
from warpprior.io.output import CHECKPOINT_FILE
from warpprior.support.errors import InputError

START_AGAIN = "start again with --overwrite"
_META = "__meta__"


def save_checkpoint(folder: str | Path, arrays: Mapping[str, np.ndarray], meta: Mapping) -> None:
    """Write the state of a run into its output folder, atomically.

    Args:
        folder: the output folder.
        arrays: parameters, moments, best so far; any names but ``__meta__``.
        meta: plain data; give ``inputs`` (see :func:`warpprior.io.fingerprint`) so that another run's state is refused.

    Raises:
        RunError: the file system refused.
    """
    stored = {name: np.asarray(array) for name, array in arrays.items()}
    stored[_META] = np.array(json.dumps(dict(meta)), dtype=np.str_)
    write_arrays(Path(folder) / CHECKPOINT_FILE, stored)


def load_checkpoint(
    folder: str | Path, *, expected: Mapping[str, str] | None = None
) -> tuple[dict[str, np.ndarray], dict] | None:
    """State saved by :func:`save_checkpoint`: arrays and meta; None when there is no checkpoint.

    Args:
        folder: the output folder.
        expected: what the run that goes on is made from (:func:`warpprior.io.fingerprint`); None takes any.

    Raises:
        InputError: the file is damaged, or belongs to other inputs or settings, which are named.
    """
    path = Path(folder) / CHECKPOINT_FILE
    if not path.is_file():
        return None
    try:
        arrays = dict(read_arrays(path))
    except InputError as error:
        raise InputError(error.where, error.found, START_AGAIN) from error
    try:
        meta = json.loads(str(arrays.pop(_META, None)))
    except ValueError:
        meta = None
    if not isinstance(meta, dict):
        raise InputError(str(path), "is not a checkpoint", START_AGAIN)
    if expected is not None:
        check_same_inputs(path, meta.get("inputs"), expected)
    return arrays, meta


def check_same_inputs(place: Path, then: object, now: Mapping[str, str]) -> None:
    """Refuse to go on with what was made from something else.

    Raises:
        InputError: naming the parts that differ, with both values where they are short.
    """
    if not isinstance(then, dict) or not all(isinstance(value, str) for value in then.values()):
        raise InputError(str(place), "does not say what it was made from", START_AGAIN)
    changed = differences(then, now)
    if changed:
        raise InputError(str(place), f"was made with other inputs or settings: {changed}", START_AGAIN)
