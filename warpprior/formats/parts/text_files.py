"""JSON, YAML and plain numbers, read with bounds: a size before anything is parsed, and no object but plain data."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.support.errors import InputError, MissingExtraError, reason_of
from warpprior.support.files import read_bytes

JSON_LIMIT = 256 << 20
YAML_LIMIT = 4 << 20
TEXT_LIMIT = 64 << 20
MOST_VALUE = 1e30  # squares and products of a few stay within double precision


def read_json(path: Path, what: str, *, limit: int = JSON_LIMIT) -> Any:
    """What a JSON file holds.

    Args:
        path: the file.
        what: what it should be, for messages.
        limit: largest accepted size [bytes].

    Raises:
        InputError: missing, too large, or no JSON.
    """
    data = read_bytes(path, what, limit=limit)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(str(path), f"is not JSON: {reason_of(error)}", f"give {what}") from None


def read_yaml(path: Path, what: str, *, limit: int = YAML_LIMIT) -> Any:
    """What a YAML file holds; files that refer to their own parts are refused, for they can grow without bound.

    Arguments and errors as of :func:`read_json`.

    Raises:
        MissingExtraError: PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("reading YAML files", "formats") from error

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent, index):
            if self.check_event(yaml.events.AliasEvent):
                raise yaml.YAMLError("it refers to its own parts")
            return super().compose_node(parent, index)

    data = read_bytes(path, what, limit=limit)
    try:
        return yaml.load(data, Loader)  # a safe loader that is safer
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, OverflowError, AttributeError) as error:
        raise InputError(str(path), f"is not YAML: {reason_of(error)}", f"give {what}") from None


def read_text(path: Path, what: str, *, limit: int = TEXT_LIMIT) -> str:
    """The text of a file.

    Raises:
        InputError: missing, too large, or no UTF-8.
    """
    data = read_bytes(path, what, limit=limit)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(str(path), reason_of(error), f"give {what}") from None


def read_table(path: Path, what: str, *, limit: int = TEXT_LIMIT) -> tuple[list[str], list[dict[str, str]]]:
    """Names of columns and rows of a CSV file with a head.

    Raises:
        InputError: missing, too large, or no such table.
    """
    reader = csv.DictReader(io.StringIO(read_text(path, what, limit=limit), newline=""))
    try:
        rows = list(reader)
        return list(reader.fieldnames or ()), rows
    except csv.Error as error:
        raise InputError(str(path), f"is no table: {reason_of(error)}", f"give {what}") from None


def read_number_rows(path: Path, what: str) -> list[list[float]]:
    """Numbers of a text file, row by row, separated by blanks, commas, brackets or semicolons; ``#`` begins a remark.

    Raises:
        InputError: anything that is no number.
    """
    table = str.maketrans(dict.fromkeys(",;[]", " "))
    rows = []
    for number, line in enumerate(read_text(path, what).splitlines(), start=1):
        words = line.partition("#")[0].translate(table).split()
        if not words:
            continue
        try:
            row = [float(word) for word in words]
        except ValueError:
            row = [MOST_VALUE * 2.0]
        rows.append(row)
        if any(abs(value) > MOST_VALUE for value in row):
            raise InputError(f"{path}: line {number}", "is not numbers", f"give {what}") from None
    return rows


def numbers(value: Any, shape: tuple[int | None, ...], where: str, *, finite: bool = True) -> np.ndarray:
    """Numbers of plain data as an array (``shape``) float64, None for an axis of any length.

    Raises:
        InputError: not numbers, of another shape, or not finite.
    """
    wanted = f"needs numbers of shape ({', '.join('any' if n is None else str(n) for n in shape)})"
    try:
        array = np.asarray(value)
        good = array.dtype.kind in "iuf" and array.ndim == len(shape)
        with np.errstate(invalid="ignore"):  # of numbers that are none, in a form of their own
            array = array.astype(np.float64) if good else array
    except (ValueError, TypeError, OverflowError):
        raise InputError(where, "is not an array of numbers", wanted) from None
    if not good or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        raise InputError(where, f"has shape {array.shape} and type {str(array.dtype)[:20]}", wanted)
    if finite and not np.isfinite(array).all():
        raise InputError(where, "is not finite", wanted)
    check_reach(array, where)
    return array


def check_reach(values: np.ndarray, where: str) -> None:
    """InputError for numbers that nothing measured; those that are not finite pass."""
    with np.errstate(invalid="ignore"):
        if np.any(np.abs(np.where(np.isfinite(values), values, 0.0)) > MOST_VALUE):
            raise InputError(where, f"has numbers above {MOST_VALUE:g}", "needs metres, millimetres or pixels")


def entry(tree: Any, key: str, where: str) -> Any:
    """One value of a dictionary.

    Raises:
        InputError: it is no dictionary, or has no such key.
    """
    if not isinstance(tree, dict):
        raise InputError(where, f"is a {type(tree).__name__}", "needs a dictionary")
    if key not in tree:
        there = ", ".join(str(name)[:30] for name in list(tree)[:8]) or "nothing"
        raise InputError(f"{where}: {key}", "is missing", f"it has {there}")
    return tree[key]
