"""Pickles as plain data: dictionaries, lists, text, numbers and arrays, of NumPy, joblib and PyTorch, nothing called.

joblib writes the bytes of an array behind the object that stands for it.  PyTorch's tensors are views of storages:
those lie in files of the zip archive that ``torch.save`` writes, behind the pickle in its older form, or as bytes
inside the pickle where another program saved the tensor.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import accumulate
from operator import mul
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from warpprior.bodies.readers import safe_pickle
from warpprior.bodies.readers.pickled_arrays import PickledArrays
from warpprior.bodies.readers.safe_pickle import Interpreter, Made, Name
from warpprior.bodies.readers.unreadable import refuse_unreadable
from warpprior.support.errors import InputError
from warpprior.support.files import check_size, read_bytes
from warpprior.support.npz import MOST_HEADER, NpzArrays, read_header

MOST_BYTES = 1 << 30
MOST_NODES = 5_000_000
MOST_DEPTH = 40
_WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
_TENSORS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
_PARAMETER, _STORED = "torch._utils._rebuild_parameter", "torch.storage._load_from_bytes"
_PERSISTENT = "a storage that is kept elsewhere"
_STORAGES = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "?",
}
_DEVICE = "torch.device"
_PATHS = tuple(f"pathlib{part}.{kind}Path" for part in ("", "._local") for kind in ("Posix", "Windows", "PurePosix"))
_DEFAULTS = "collections.defaultdict"
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_ZIP, _GZIP = b"PK\x03\x04", b"\x1f\x8b"
_PACKED = (b"x\x01", b"x\x9c", b"x\xda", _GZIP)
_NPY = b"\x93NUMPY"
_SHORT = 4  # bytes of less are no array whose place is of use


def read_plain(path: Path, what: str) -> Any:
    """What a pickle, an ``.npy`` or an ``.npz`` file holds, as plain data; its kind is told by how it begins.

    Args:
        path: of any protocol, by ``pickle``, ``joblib.dump``, ``torch.save``, ``numpy.save`` or ``numpy.savez``, packed
            by joblib or not.
        what: what it should be, for messages.

    Returns:
        dictionaries with keys of text or whole numbers, lists, text, numbers, truth values, None, bytes and arrays.

    Raises:
        InputError: missing, too large or damaged, or it asks for an object that is no plain data.
    """
    where, accepted = str(path), f"give {what}; it may hold numbers, text, lists, dictionaries and arrays only"
    with open(path, "rb") if path.is_file() else BytesIO() as stream:
        start = stream.read(len(_NPY))
    if start.startswith(_ZIP) and _is_of_torch(path):
        with refuse_unreadable(where, accepted):
            return _of_torch_archive(read_bytes(path, what, limit=MOST_BYTES), where, accepted)
    if start.startswith(_ZIP):
        return _of_npz(path, where, what, accepted)
    data = read_bytes(path, what, limit=MOST_BYTES)
    with refuse_unreadable(where, accepted):
        if start.startswith(_PACKED):
            data = _unpacked(data, where, what)
        return _of_npy(data, where, accepted) if data.startswith(_NPY) else _of_pickle(data, where, accepted)


@dataclass(eq=False)
class PlainFile:
    """A pickle or an ``.npy`` file whose arrays can be changed in place.

    Attributes:
        tree: as of :func:`read_plain`.
        data: the bytes of the file.
        placed: arrays of the tree, where each begins in the file, and how it lies there.
    """

    tree: Any
    data: bytes
    placed: list[tuple[np.ndarray, int, np.dtype, Literal["C", "F"]]]

    def changed(self) -> bytes:
        """The file with the numbers that its arrays have now, all else byte for byte."""
        made = bytearray(self.data)
        for array, place, dtype, order in self.placed:
            stored = array.astype(dtype).tobytes(order)
            made[place : place + len(stored)] = stored
        return bytes(made)


def read_changeable(path: Path, what: str) -> PlainFile:
    """A file of one pickle, or an ``.npy`` file, whose arrays may then be changed.

    Raises:
        InputError: as of :func:`read_plain`, or the file is packed or an archive.
    """
    where, accepted = str(path), f"give {what}; it may hold numbers, text, lists, dictionaries and arrays only"
    data = read_bytes(path, what, limit=MOST_BYTES)
    if data.startswith((*_PACKED, _ZIP)):
        raise InputError(where, "is packed, or an archive", f"needs {what} in a plain pickle to be changed in place")
    placed: list[tuple[np.ndarray, int, np.dtype, Literal["C", "F"]]] = []
    with refuse_unreadable(where, accepted):
        if not data.startswith(_NPY):
            return PlainFile(_of_pickle(data, where, accepted, placed), data, placed)
        tree = _of_npy(data, where, accepted, placed)
        if isinstance(tree, np.ndarray) and not placed:
            tree, order = np.array(tree), "F" if tree.flags.f_contiguous and not tree.flags.c_contiguous else "C"
            placed.append((tree, len(data) - tree.nbytes, tree.dtype, order))
        return PlainFile(tree, data, placed)


def _unpacked(data: bytes, where: str, what: str) -> bytes:
    """Of zlib or gzip, as joblib packs."""
    machine = zlib.decompressobj(31 if data.startswith(_GZIP) else 15)
    found = machine.decompress(data, MOST_BYTES + 1)
    check_size(len(found), where, what, MOST_BYTES)
    return found


def _is_of_torch(path: Path) -> bool:
    try:
        if path.stat().st_size > MOST_BYTES:
            return False
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/data.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def _of_npz(path: Path, where: str, what: str, accepted: str) -> dict[str, Any]:
    arrays = NpzArrays(path, what, accepted, limit=MOST_BYTES, unpacked=MOST_BYTES)
    found: dict[str, Any] = {}
    for name in arrays:
        if arrays.is_plain(name):
            found[name] = arrays[name]
        else:
            with refuse_unreadable(f"{where}: {name[:80]}", accepted):
                found[name] = _of_npy(arrays.stored(name), f"{where}: {name[:80]}", accepted)
    return found


def _of_npy(data: bytes, where: str, accepted: str, placed: list | None = None) -> Any:
    """A plain array, or what the pickle of an array of objects holds."""
    stream = BytesIO(data[:MOST_HEADER])
    shape, fortran, dtype = read_header(stream)
    start = stream.tell()
    if dtype.hasobject:
        return _of_pickle(_Placed.of(data[start:], start), where, accepted, placed)
    if start + math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError("it is not as long as it says")
    return np.ndarray(shape, dtype, data, start, order="F" if fortran else "C")


def _of_pickle(data: bytes, where: str, accepted: str, placed: list | None = None) -> Any:
    """Plain data of a pickle; arrays whose bytes lie in the file as they are are appended to ``placed``."""
    machine = _Reader(where, data, accepted)
    tree, storages = machine.run(), {}
    if type(tree) is int and tree == _TORCH_MAGIC:
        tree, storages = _older_torch(machine)
    return _Plain(where, storages, placed).of(tree)


class _Placed(bytes):
    """Bytes of a file that know where they begin in it."""

    place: int

    @staticmethod
    def of(data: bytes, place: int) -> _Placed:
        found = _Placed(data)
        found.place = place
        return found


def _older_torch(machine: _Reader) -> tuple[Any, Mapping[str, Callable[[], bytes]]]:
    """The tree of ``torch.save`` before it wrote archives: version, description, tree, keys, then the storages."""
    machine.run(), machine.run()
    tree, keys = machine.run(), machine.run()
    sizes = machine.storages
    found: dict[str, Callable[[], bytes]] = {}
    for key in keys if isinstance(keys, list) else []:
        if not isinstance(key, str) or key not in sizes:
            raise ValueError("a storage that nothing mentions")
        dtype, count = sizes[key]
        if machine.number("<q") != count:
            raise ValueError("a storage of another size than it is said to have")
        raw = machine.take(count * dtype.itemsize)
        found[key] = partial(_itself, raw)
    return tree, found


def _itself(raw: bytes) -> bytes:
    return raw


def _of_torch_archive(data: bytes, where: str, accepted: str) -> Any:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        names = {name for name in archive.namelist() if len(name) < 1000}
        pickled = min((name for name in names if name.endswith("/data.pkl")), key=len)
        folder = pickled.removesuffix("data.pkl")
        left = [MOST_BYTES]

        def read(name: str) -> bytes:
            info = archive.getinfo(name)
            if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or not info.file_size <= left[0]:
                raise ValueError(f"{name[:80]} is packed, or too large")
            left[0] -= info.file_size
            return archive.read(info)

        machine = _Reader(where, read(pickled), accepted)
        tree = machine.run()
        order = read(f"{folder}byteorder") if f"{folder}byteorder" in names else b"little"
        if order.strip() != b"little":
            raise ValueError("its numbers are big-endian")
        storages = {key: partial(read, f"{folder}data/{key}") for key in machine.storages}
        return _Plain(where, storages).of(tree)


class _Reader(Interpreter):
    """An interpreter that knows joblib's arrays, PyTorch's tensors and paths.

    Attributes:
        storages: type and count of numbers of each storage that is kept elsewhere, by its key.
    """

    names: ClassVar[frozenset[str]] = Interpreter.names | {
        *(_WRAPPER, *_TENSORS, _PARAMETER, _STORED, *_STORAGES, _DEVICE, *_PATHS, _DEFAULTS),
        *("__builtin__.list", "__builtin__.int", "__builtin__.float", "numpy.bool_"),
    }

    def __init__(self, where: str, data: bytes, accepted: str):
        super().__init__(where, data, accepted)
        self.storages: dict[str, tuple[np.dtype, int]] = {}
        self._begin = data.place if isinstance(data, _Placed) else 0

    def take(self, count: int) -> bytes:
        taken = super().take(count)
        return taken if count < _SHORT else _Placed.of(taken, self._begin + self._place - count)

    def build(self) -> None:
        super().build()
        target = self.stack[-1]
        if isinstance(target, Made) and target.name == _WRAPPER and isinstance(target.state, dict):
            target.state["bytes"] = self._inline(target.state)

    def make(self) -> None:
        """What others make, and dictionaries with a default, which are filled afterwards."""
        arguments, maker = self.stack[-1], self.stack[-2]
        if isinstance(maker, Name) and maker.name == _DEFAULTS and isinstance(arguments, tuple):
            del self.stack[-2:]
            self.push({})
            return
        super().make()

    def _inline(self, state: dict) -> bytes:
        """The bytes of an array behind its wrapper, aligned where the wrapper says so."""
        shape, kind = state["shape"], state["dtype"]
        if state.get("numpy_array_alignment_bytes") is not None:
            self.take(self.take(1)[0])
        size = _plain_dtype(kind).itemsize
        return self.take(size * math.prod(int(number) for number in shape))

    def persistent(self) -> None:
        """Note a storage that is kept elsewhere: ('storage', type, key, place, count)."""
        mark = self.pop()
        if not isinstance(mark, tuple) or len(mark) < 5 or mark[0] != "storage" or not isinstance(mark[1], Name):
            raise ValueError("something that is kept elsewhere")
        dtype, key, count = np.dtype(_STORAGES[mark[1].name]), str(mark[2]), int(mark[4])
        if count < 0:
            raise ValueError("a storage of less than nothing")
        self.storages[key] = dtype, count
        self.push(Made(_PERSISTENT, (key, dtype)))


_Reader.more_steps = {**Interpreter.more_steps, ord("Q"): _Reader.persistent}


def _plain_dtype(node: object) -> np.dtype:
    if not isinstance(node, Made) or node.name != safe_pickle.DTYPE:
        raise ValueError("an array without a type")
    code = str(node.arguments[0])
    if not (len(code) <= 3 and code[:1] in "biuf" and code[1:].isdigit()):
        raise ValueError(f"an array of type {code[:20]!r}")
    order = "=" if node.state is None else str(node.state[1])
    return np.dtype(code).newbyteorder(order if order in ("<", ">") else "=")


class _Plain(PickledArrays):
    """Makes plain data of a tree.

    Args:
        where: the file.
        storages: what reads the bytes of those that are kept elsewhere, by key.
        placed: arrays, where they begin in the file, their type there and order are appended.
    """

    def __init__(self, where: str, storages: Mapping[str, Callable[[], bytes]], placed: list | None = None):
        super().__init__(where, {})
        self._storages, self._read = storages, {}
        self._placed = [] if placed is None else placed
        self._nodes = MOST_NODES

    def of(self, value: Any, depth: int = 0) -> Any:
        self._nodes -= 1
        if depth > MOST_DEPTH or self._nodes < 0:
            raise self._refuse("is nested too deeply, or far too large")
        if isinstance(value, dict):
            return {key: self.of(part, depth + 1) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.of(part, depth + 1) for part in value]
        if isinstance(value, Made):
            return self._of_made(value, depth)
        return None if isinstance(value, Name) else value

    def _of_made(self, node: Made, depth: int) -> Any:
        if node.name == safe_pickle.ARRAY and _is_of_objects(node.state[-3]):
            shape, values = tuple(int(size) for size in node.state[1]), node.state[-1]
            if not isinstance(values, list) or math.prod(shape) != len(values):
                raise self._refuse("has another number of objects than its shape needs")
            self._nodes -= max(accumulate(shape[:-1], mul), default=0)  # lists that hold lists, or nothing
            if self._nodes < 0:
                raise self._refuse("is nested too deeply, or far too large")
            found = [self.of(one, depth + 1) for one in values]
            return found[0] if shape == () else _nested(found, shape)
        if node.name == safe_pickle.SCALAR:
            return self._scalar(node, depth).item()
        if node.name == _WRAPPER:
            state = node.state
            order = "F" if state.get("order") == "F" else "C"
            return self._from_bytes(self._shape(state["shape"]), state["dtype"], state["bytes"], order)
        if node.name in _TENSORS:
            return self._tensor(node)
        if node.name == _PARAMETER:
            return self.of(node.arguments[0], depth + 1)
        if node.name in _PATHS:
            return "/".join(str(part) for part in node.arguments)
        if node.name == _DEVICE:
            return None
        return self._compute(node, depth)

    def _from_bytes(self, shape: tuple[int, ...], kind: object, raw: object, order: Literal["C", "F"]) -> np.ndarray:
        found = super()._from_bytes(shape, kind, raw, order)
        if isinstance(raw, _Placed):
            self._placed.append((found, raw.place, self._kind(kind), order))
        return found

    def _tensor(self, node: Made) -> np.ndarray:
        """A view of a storage: where it begins, its shape, and steps in numbers."""
        flat, begin = self._storage(node.arguments[0]), int(node.arguments[1])
        shape, steps = (tuple(int(number) for number in part) for part in node.arguments[2:4])
        if len(shape) != len(steps) or begin < 0 or min(steps, default=0) < 0:
            raise ValueError("a tensor of no shape")
        self._shape(shape)
        last = begin + sum((size - 1) * step for size, step in zip(shape, steps, strict=True))
        if math.prod(shape) and last >= len(flat):
            raise ValueError("a tensor beyond its storage")
        if not math.prod(shape):
            return np.zeros(shape, flat.dtype)
        strides = tuple(step * flat.itemsize for step in steps)
        view = np.lib.stride_tricks.as_strided(flat[begin:], shape, strides, writeable=False)
        found = np.array(view, order="C")
        if view.flags.c_contiguous and isinstance(flat.base, _Placed):
            self._placed.append((found, flat.base.place + begin * flat.itemsize, flat.dtype, "C"))
        return found

    def _storage(self, node: Any) -> np.ndarray:
        """Numbers of a storage (n,): kept elsewhere, or as bytes of an older ``torch.save``."""
        if not isinstance(node, Made) or node.name not in (_PERSISTENT, _STORED):
            raise ValueError("a tensor without a storage")
        if node.name == _STORED:
            data = node.arguments[0]
            if not isinstance(data, bytes):
                raise ValueError("a storage without bytes")
            machine = _Reader(self._where, data, "needs a tensor of numbers")
            if machine.run() != _TORCH_MAGIC:
                raise ValueError("a storage of a form that is not known")
            inner, storages = _older_torch(machine)
            if not isinstance(inner, Made) or inner.name != _PERSISTENT:  # or each would hold a copy of the next
                raise ValueError("a storage within a storage")
            return _Plain(self._where, storages, self._placed)._storage(inner)
        key, dtype = node.arguments
        if key not in self._read:
            self._read[key] = np.frombuffer(self._storages[key](), dtype)
        return self._read[key]


def _is_of_objects(kind: object) -> bool:
    return isinstance(kind, Made) and kind.name == safe_pickle.DTYPE and str(kind.arguments[0]).startswith("O")


def _nested(values: list, shape: tuple[int, ...]) -> list:
    if len(shape) < 2:
        return values
    size = math.prod(shape[1:])
    return [_nested(values[row * size : (row + 1) * size], shape[1:]) for row in range(shape[0])]
