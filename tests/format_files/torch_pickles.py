"""Tensors as torch pickles them, written without torch: a storage of its own form inside the bytes of a call."""

import collections
import io
import pickle
import struct
from typing import ClassVar

import numpy as np

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


class Named:
    """Something of torch that a pickle names."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __call__(self, *_):
        """Never: it is only named."""
        raise AssertionError


class Storage:
    """Numbers of a tensor."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def __reduce_ex__(self, protocol):
        return Named("torch.storage", "_load_from_bytes"), (self.saved(),)

    def saved(self):
        """What ``torch.save`` makes of it, in the form before its files were archives."""
        stream = io.BytesIO()
        sizes = {"short": 2, "int": 4, "long": 4}
        system = {"protocol_version": VERSION, "little_endian": True, "type_sizes": sizes}
        for tree in (MAGIC, VERSION, system):
            pickle.dump(tree, stream, 2)
        kind = {"f4": "FloatStorage", "f8": "DoubleStorage"}[self.values.dtype.str[1:]]
        mark = ("storage", Named("torch", kind), "94021", "cuda:0", self.values.size, None)
        writer = _Pickler(stream, 2)
        writer.marked = mark
        writer.dump(self)
        pickle.dump(["94021"], stream, 2)
        stream.write(struct.pack("<q", self.values.size) + self.values.tobytes())
        return stream.getvalue()


class Tensor:
    """A tensor of some numbers, as a view of a storage."""

    def __init__(self, values, *, parameter=False, ahead=0):
        self.values, self.parameter, self.ahead = np.asarray(values), parameter, ahead

    def __reduce_ex__(self, protocol):
        shape = self.values.shape
        steps = tuple(step // self.values.itemsize for step in np.empty(shape, self.values.dtype).strides)
        whole = np.concatenate([np.full(self.ahead, 7.0, self.values.dtype), np.ravel(self.values)])
        plain = Storage(whole), self.ahead, shape, steps, True, collections.OrderedDict()
        if not self.parameter:
            return Named("torch._utils", "_rebuild_tensor_v2"), plain
        inner = Tensor(self.values, ahead=self.ahead)
        return Named("torch._utils", "_rebuild_parameter"), (inner, True, collections.OrderedDict())


class _Pickler(pickle._Pickler):
    """Writes names that nothing here has, and the mark of a storage in its place."""

    marked = None
    dispatch: ClassVar[dict] = dict(pickle._Pickler.dispatch)

    def persistent_id(self, value):
        return self.marked if self.marked is not None and isinstance(value, Storage) else None

    def save_named(self, value):
        self.write(b"c" + f"{value.module}\n{value.name}\n".encode())

    dispatch[Named] = save_named


def dumps(tree, protocol=4):
    """The bytes of a pickle with tensors in it."""
    stream = io.BytesIO()
    _Pickler(stream, protocol).dump(tree)
    return stream.getvalue()
