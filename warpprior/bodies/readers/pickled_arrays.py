"""Arrays of a pickle that was read as data: NumPy's, SciPy's sparse ones, and the small graphs chumpy leaves behind.

MANO and SMPL files were written by Python 2 with chumpy, an automatic differentiation library: several of their
arrays are nodes of its graph.  The few kinds of nodes that occur are computed here, each to an array.
"""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from warpprior.bodies.readers import safe_pickle
from warpprior.bodies.readers.safe_pickle import Made
from warpprior.support.errors import InputError, reason_of

MOST_ELEMENTS = 1 << 27  # of all arrays of a file together
MOST_DEPTH = 32
MOST_NODES = 10_000
_NUMBER = re.compile(r"b1|[biu][1248]|f[248]")


class PickledArrays:
    """Computes arrays of one file on demand.

    Args:
        where: the file, for messages.
        tree: its dictionary, as :func:`warpprior.bodies.readers.safe_pickle.read_pickle` gives it.

    Raises:
        InputError: the file holds no dictionary.
    """

    def __init__(self, where: str, tree: object):
        if not isinstance(tree, dict):
            raise InputError(where, "holds no dictionary", "give a model file with named arrays")
        self._where, self._tree = where, tree
        self._left, self._nodes = MOST_ELEMENTS, MOST_NODES

    def __contains__(self, key: str) -> bool:
        return key in self._tree

    def array(self, key: str) -> np.ndarray:
        """The array of that name, as stored or dense.

        Raises:
            InputError: it is none, or larger than any model's.
        """
        place = f"{self._where}: {key}"
        try:
            return self._compute(self._tree[key], 0)
        except InputError as error:
            raise InputError(place, error.found, error.accepted) from None
        except Exception as error:
            found = f"cannot be made an array ({reason_of(error)})"
            raise InputError(place, found, "needs an array of numbers") from None

    def _refuse(self, found: str) -> InputError:
        return InputError(self._where, found, "needs an array of numbers")

    def _spend(self, count: int) -> None:
        """Refuse before more is allocated than a model needs."""
        if not 0 <= count <= self._left:
            raise self._refuse(f"is or leads to an array of {count} elements")
        self._left -= count

    def _compute(self, value: object, depth: int) -> np.ndarray:
        self._nodes -= 1
        if depth > MOST_DEPTH or self._nodes < 0:
            raise self._refuse("is nested too deeply")
        if isinstance(value, Made):
            if value.name in safe_pickle.SPARSE:
                return self._sparse(value, depth)
            maker = _MAKERS.get(value.name)
            if value.name.startswith(safe_pickle.CHUMPY):  # classes moved between its modules
                maker = _NODES.get(value.name.rpartition(".")[2])
            if maker is None:
                raise self._refuse(f"is made by {value.name[:80]}")
            return maker(self, value, depth)
        if isinstance(value, (list, tuple)):
            self._spend(len(value))
            if all(type(v) in (int, float, bool) for v in value):
                return _numbers(np.array(value))
            return np.array([self._compute(v, depth + 1) for v in value])
        if type(value) in (int, float, bool):
            return _numbers(np.array(value))
        raise self._refuse("is no number")

    def _field(self, node: Made, key: str, depth: int) -> np.ndarray:
        return self._compute(node.state[key], depth + 1)

    def _shape(self, sizes) -> tuple[int, ...]:
        """A shape of arrays that are not too large."""
        shape = tuple(int(size) for size in sizes)
        count = 1
        for size in shape:
            if size < 0 or count * size > MOST_ELEMENTS:
                raise self._refuse(f"has shape {shape[:8]}")
            count *= size
        self._spend(count)
        return shape

    def _stored(self, node: Made, depth: int) -> np.ndarray:
        """NumPy's own array: version, shape, type, order and bytes."""
        shape, kind, fortran, raw = node.state[-4:]
        return self._from_bytes(self._shape(shape), kind, raw, "F" if fortran else "C")

    def _from_bytes(self, shape: tuple[int, ...], kind: object, raw: object, order: Literal["C", "F"]) -> np.ndarray:
        dtype, data = self._kind(kind), _bytes(raw)
        count = int(np.prod(shape))
        if data is None or len(data) != count * dtype.itemsize:
            raise self._refuse("has another number of bytes than its shape needs")
        values = np.frombuffer(data, dtype=dtype).reshape(shape, order=order)
        return values.astype(dtype.newbyteorder("="))

    def _scalar(self, node: Made, depth: int) -> np.ndarray:
        kind, raw = node.arguments
        return self._from_bytes((), kind, raw, "C")

    def _buffer(self, node: Made, depth: int) -> np.ndarray:
        raw, kind, shape, order = node.arguments
        return self._from_bytes(self._shape(shape), kind, raw, "F" if _text(order) == "F" else "C")

    def _kind(self, node: object) -> np.dtype:
        """A type of plain numbers."""
        if not isinstance(node, Made) or node.name != safe_pickle.DTYPE:
            raise self._refuse("has no type")
        code = _text(node.arguments[0])
        if not _NUMBER.fullmatch(code):
            raise self._refuse(f"has elements of type {code[:20]!r}")
        order = "=" if node.state is None else _text(node.state[1])
        return np.dtype(code).newbyteorder(order if order in ("<", ">") else "=")

    def _sparse(self, node: Made, depth: int) -> np.ndarray:
        """A sparse matrix, dense; SciPy checks every index before it is followed."""
        from scipy import sparse

        state = node.state
        shape = self._shape(state["_shape"] if "_shape" in state else state["shape"])
        if len(shape) != 2:
            raise self._refuse(f"has shape {shape}")
        data = self._field(node, "data", depth)
        if safe_pickle.SPARSE[node.name] == "coo":
            places = state["coords"] if "coords" in state else (state["row"], state["col"])
            row, column = (self._compute(place, depth + 1) for place in places)
            matrix = sparse.coo_matrix((data, (row, column)), shape=shape)
        else:
            make = sparse.csc_matrix if safe_pickle.SPARSE[node.name] == "csc" else sparse.csr_matrix
            parts = (data, self._field(node, "indices", depth), self._field(node, "indptr", depth))
            matrix = make(parts, shape=shape)
            matrix.check_format(full_check=True)
        return matrix.toarray()

    def _select(self, node: Made, depth: int) -> np.ndarray:
        """Elements of an array in row-major order, given a shape."""
        chosen = self._field(node, "a", depth).ravel()[self._field(node, "idxs", depth).astype(np.int64).ravel()]
        shape = node.state.get("preferred_shape")
        return chosen if shape is None else chosen.reshape(self._sizes(shape, depth))

    def _sizes(self, value: object, depth: int) -> tuple[int, ...]:
        return tuple(int(size) for size in self._compute(value, depth + 1).ravel())

    def _reshape(self, node: Made, depth: int) -> np.ndarray:
        return self._field(node, "a", depth).reshape(self._sizes(node.state["newshape"], depth))

    def _transpose(self, node: Made, depth: int) -> np.ndarray:
        axes = node.state.get("axes")
        return self._field(node, "a", depth).transpose(None if axes is None else self._sizes(axes, depth))

    def _product(self, node: Made, depth: int) -> np.ndarray:
        matrix, vector = self._field(node, "mtx", depth), self._field(node, "vec", depth).ravel()
        self._shape(matrix.shape[:1])
        return matrix @ vector

    def _sum(self, node: Made, depth: int) -> np.ndarray:
        first, second = self._field(node, "a", depth), self._field(node, "b", depth)
        self._shape(np.broadcast_shapes(first.shape, second.shape))
        return first + second


_MAKERS = {
    safe_pickle.ARRAY: PickledArrays._stored,
    safe_pickle.SCALAR: PickledArrays._scalar,
    safe_pickle.BUFFER: PickledArrays._buffer,
}
_NODES = {  # of chumpy
    "Ch": lambda arrays, node, depth: arrays._field(node, "x", depth),
    "Select": PickledArrays._select,
    "Reshape": PickledArrays._reshape,
    "transpose": PickledArrays._transpose,
    "MatVecMult": PickledArrays._product,
    "add": PickledArrays._sum,
}


def _numbers(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "biuf":
        raise ValueError("numbers too large")
    return values


def _bytes(value: object) -> bytes | None:
    """Bytes as Python 2 and 3 wrote them; Python 3 wrote older protocols as encoded text."""
    if isinstance(value, Made) and value.name == safe_pickle.ENCODE:
        text, encoding = value.arguments
        return text.encode("latin-1") if _text(encoding) in ("latin1", "latin-1") else None
    if isinstance(value, Made) and value.name == safe_pickle.BYTES and value.arguments == ():
        return b""
    return value if isinstance(value, bytes) else None


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
