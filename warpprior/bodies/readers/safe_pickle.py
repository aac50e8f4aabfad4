"""Pickles read as data: an interpreter of the format that builds a tree and calls nothing.

Python's own unpickler imports and calls whatever a file names.  This one knows the instructions that numbers, text,
lists, dictionaries and arrays need; where a file asks for an object to be made, it notes what was asked for, as
:class:`Made`, if the name is on a short list, and refuses the file if not.  :mod:`.pickled_arrays`
gives the notes their meaning.  The format is described in the source of Python's ``pickletools``.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from warpprior.bodies.readers.unreadable import refuse_unreadable
from warpprior.support.errors import InputError
from warpprior.support.file_starts import NPZ, PICKLE, describe_start, not_what
from warpprior.support.files import read_bytes

MOST_BYTES = 1 << 30
MOST_STEPS = 2_000_000  # instructions; a MANO file has some thousands
MOST_DIGITS = 400  # of whole numbers written as text
MOST_LONG_BYTES = 128

ARRAY, SCALAR, DTYPE = "numpy.core.multiarray._reconstruct", "numpy.core.multiarray.scalar", "numpy.dtype"
BUFFER, ENCODE, BYTES = "numpy.core.numeric._frombuffer", "_codecs.encode", "__builtin__.bytes"
CHUMPY = "chumpy."  # all of its names may occur: they are notes, and few of them have a meaning
SPARSE = {f"scipy.sparse.{kind}.{kind}_matrix": kind for kind in ("csc", "csr", "coo")}
DICTIONARIES = ("collections.OrderedDict", "__builtin__.dict")  # files that were read and saved again have them
_RECONSTRUCTOR = "copy_reg._reconstructor"
_NAMES = {
    *(ARRAY, SCALAR, DTYPE, BUFFER, ENCODE, BYTES, _RECONSTRUCTOR),
    *("numpy.ndarray", "__builtin__.object", "__builtin__.set", *SPARSE, *DICTIONARIES),
}
_RENAMED = {  # modules under their names of today
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
    "copyreg": "copy_reg",
    "builtins": "__builtin__",
    **{f"scipy.sparse._{kind}": f"scipy.sparse.{kind}" for kind in SPARSE.values()},
}
_MARK = object()


class Name:
    """A name on the list that a file mentions; nothing is imported for it."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name


class Made:
    """An object a file asks for: what makes it, from which arguments, and the state it is then given."""

    __slots__ = ("arguments", "name", "state")

    def __init__(self, name: str, arguments: tuple):
        self.name, self.arguments = name, arguments
        self.state: Any = None


def read_pickle(path: Path | str, what: str) -> object:
    """The tree of a pickle of any protocol: plain Python values and :class:`Made`; Python 2 strings are bytes.

    Args:
        path: the file.
        what: what it should be, for messages.

    Raises:
        InputError: missing, too large, damaged, or it names anything that is not on the list.
    """
    data = read_bytes(path, what, limit=MOST_BYTES)
    accepted = f"give {what} as it was published; it may hold numbers and arrays only"
    described = describe_start(data)
    if data[0] not in _STEPS or described not in (None, PICKLE):
        remedy = ", or rename it to .npz" if described == NPZ else ""
        raise InputError(str(path), not_what(data, PICKLE), f"give {what} as it was published{remedy}")
    with refuse_unreadable(str(path), accepted):
        return Interpreter(str(path), data, accepted).run()


class Interpreter:
    """One file being read: its bytes, the place in them, the stack and the memo.

    Attributes:
        names: what a file may mention.
        more_steps: of instructions that others know.
    """

    names: ClassVar[frozenset[str]] = frozenset(_NAMES)
    more_steps: ClassVar[dict[int, Callable[[Any], Any]]] = {}

    def __init__(self, where: str, data: bytes, accepted: str):
        self._where, self._data, self._accepted = where, data, accepted
        self._place = 0
        self.stack: list = []
        self.memo: dict[int, object] = {}

    def run(self) -> object:
        for _ in range(MOST_STEPS):
            code = self.take(1)[0]
            if code == 0x2E:  # STOP
                return self.pop()
            step = _STEPS.get(code) or self.more_steps.get(code)
            if step is None:
                raise self.refusal(f"instruction 0x{code:02x}")
            step(self)
        raise self.refusal(f"more than {MOST_STEPS} instructions")

    def refusal(self, found: str) -> InputError:
        return InputError(self._where, f"holds {found}, which is not read", self._accepted)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        end = self._place + count
        if count < 0 or end > len(self._data):
            raise InputError(self._where, f"ends at byte {len(self._data)}, in the middle of a value", self._accepted)
        taken = self._data[self._place : end]
        self._place = end
        return taken

    def number(self, form: str) -> int:
        """One number in the binary form of :mod:`struct`."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def sized(self, form: str) -> bytes:
        """Bytes after their count."""
        return self.take(self.number(form))

    def line(self) -> bytes:
        """Bytes up to the end of the line."""
        end = self._data.find(b"\n", self._place)
        return self.take((end if end >= 0 else len(self._data)) - self._place + 1)[:-1]

    def whole(self) -> int:
        """A whole number written as text on a line of its own, with an L behind it or without."""
        text = self.line().strip().rstrip(b"L")
        if len(text) > MOST_DIGITS:
            raise self.refusal(f"a number of {len(text)} digits")
        return int(text)

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> object:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value should be")
        return value

    def pop_to_mark(self) -> list:
        """Everything above the topmost mark, which goes too."""
        for depth in range(len(self.stack) - 1, -1, -1):
            if self.stack[depth] is _MARK:
                values = self.stack[depth + 1 :]
                del self.stack[depth:]
                return values
        raise ValueError("no mark")

    def remember(self, key: int) -> None:
        if self.stack[-1] is _MARK:
            raise ValueError("a mark cannot be remembered")
        self.memo[key] = self.stack[-1]

    def name(self, module: str, attribute: str) -> None:
        """Push a name, if it is on the list."""
        full = f"{_RENAMED.get(module, module)}.{attribute}"
        if full not in self.names and not full.startswith(CHUMPY):
            raise self.refusal(f"{module}.{attribute}")
        self.push(Name(full))

    def make(self) -> None:
        """Note what is made from what; the arguments lie on top, below them the name."""
        arguments, maker = self.pop(), self.pop()
        if not isinstance(maker, Name) or not isinstance(arguments, tuple):
            raise ValueError("an object made by something that is no name")
        name = maker.name
        if name == _RECONSTRUCTOR:  # of classes without a constructor of their own: arguments are class, base, state
            name, arguments = arguments[0].name, ()
        if name in DICTIONARIES:
            self.push({})
            self.assign([part for pair in (arguments[0] if arguments else ()) for part in _pair(pair)])
            return
        self.push(Made(name, arguments))

    def build(self) -> None:
        """Give the object below the top the state on top."""
        state, target = self.pop(), self.stack[-1]
        if not isinstance(target, Made):
            raise ValueError("a state for something that has none")
        target.state = state

    def extend(self, values: list) -> None:
        if type(self.stack[-1]) is not list:
            raise ValueError("elements for something that is no list")
        self.stack[-1].extend(values)

    def assign(self, values: list) -> None:
        """Put keys and values, in turn, into the dictionary on top."""
        target = self.stack[-1]
        if type(target) is not dict or len(values) % 2:
            raise ValueError("items for something that is no dictionary")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, (bytes, str, int)):  # hashing a deep tuple would exhaust the stack
                raise ValueError("a key that is neither text nor a whole number")
            target[key.decode("latin-1") if isinstance(key, bytes) else key] = value


def _pair(value: object) -> tuple | list:
    """A key and its value, as Python 2 hands them to a dictionary."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError("a dictionary of something that is no pairs")
    return value


def _push_integer(machine: Interpreter) -> None:
    text = machine.line().strip()
    if text in (b"00", b"01"):  # how protocol 0 writes truth values
        machine.push(text == b"01")
    elif len(text) > MOST_DIGITS:
        raise machine.refusal(f"a number of {len(text)} digits")
    else:
        machine.push(int(text))


def _push_quoted(machine: Interpreter) -> None:
    text = machine.line().strip()
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
        raise ValueError("text without quotation marks")
    machine.push(codecs.escape_decode(text[1:-1])[0])


def _push_long(machine: Interpreter, form: str) -> None:
    count = machine.number(form)
    if not 0 <= count <= MOST_LONG_BYTES:
        raise machine.refusal(f"a number of {count} bytes")
    machine.push(int.from_bytes(machine.take(count), "little", signed=True))


def _push_tuple(machine: Interpreter, count: int) -> None:
    values = [machine.pop() for _ in range(count)]
    machine.push(tuple(reversed(values)))


def _push_named(machine: Interpreter) -> None:
    attribute, module = machine.pop(), machine.pop()
    machine.name(str(module), str(attribute))


def _push_dictionary(machine: Interpreter) -> None:
    items = machine.pop_to_mark()
    machine.push({})
    machine.assign(items)


def _assign_one(machine: Interpreter) -> None:
    value, key = machine.pop(), machine.pop()
    machine.assign([key, value])


_STEPS = {
    # structure
    ord("("): lambda m: m.push(_MARK),
    ord("0"): lambda m: m.stack.pop(),
    ord("1"): lambda m: m.pop_to_mark(),
    ord("2"): lambda m: m.push(m.stack[-1]),
    0x80: lambda m: m.take(1),  # protocol
    0x95: lambda m: m.take(8),  # frame
    # numbers
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("I"): _push_integer,
    ord("L"): lambda m: m.push(m.whole()),
    ord("J"): lambda m: m.push(m.number("<i")),
    ord("K"): lambda m: m.push(m.number("<B")),
    ord("M"): lambda m: m.push(m.number("<H")),
    0x8A: lambda m: _push_long(m, "<B"),
    0x8B: lambda m: _push_long(m, "<i"),
    ord("F"): lambda m: m.push(float(m.line())),
    ord("G"): lambda m: m.push(m.number(">d")),
    # text and bytes; Python 2 wrote both as strings
    ord("S"): _push_quoted,
    ord("T"): lambda m: m.push(m.sized("<i")),
    ord("U"): lambda m: m.push(m.sized("<B")),
    ord("B"): lambda m: m.push(m.sized("<I")),
    ord("C"): lambda m: m.push(m.sized("<B")),
    0x8E: lambda m: m.push(m.sized("<Q")),
    0x96: lambda m: m.push(m.sized("<Q")),
    ord("V"): lambda m: m.push(m.line().decode("raw-unicode-escape")),
    ord("X"): lambda m: m.push(m.sized("<I").decode("utf-8", "surrogatepass")),
    0x8C: lambda m: m.push(m.sized("<B").decode("utf-8", "surrogatepass")),
    0x8D: lambda m: m.push(m.sized("<Q").decode("utf-8", "surrogatepass")),
    # collections
    ord("]"): lambda m: m.push([]),
    ord("l"): lambda m: m.push(m.pop_to_mark()),
    ord("a"): lambda m: m.extend([m.pop()]),
    ord("e"): lambda m: m.extend(m.pop_to_mark()),
    ord(")"): lambda m: m.push(()),
    ord("t"): lambda m: m.push(tuple(m.pop_to_mark())),
    0x85: lambda m: _push_tuple(m, 1),
    0x86: lambda m: _push_tuple(m, 2),
    0x87: lambda m: _push_tuple(m, 3),
    ord("}"): lambda m: m.push({}),
    ord("d"): _push_dictionary,
    ord("s"): _assign_one,
    ord("u"): lambda m: m.assign(m.pop_to_mark()),
    # memo
    ord("p"): lambda m: m.remember(m.whole()),
    ord("q"): lambda m: m.remember(m.number("<B")),
    ord("r"): lambda m: m.remember(m.number("<I")),
    0x94: lambda m: m.remember(len(m.memo)),
    ord("g"): lambda m: m.push(m.memo[m.whole()]),
    ord("h"): lambda m: m.push(m.memo[m.number("<B")]),
    ord("j"): lambda m: m.push(m.memo[m.number("<I")]),
    # objects
    ord("c"): lambda m: m.name(m.line().decode("utf-8"), m.line().decode("utf-8")),
    0x93: _push_named,
    ord("R"): lambda m: m.make(),
    0x81: lambda m: m.make(),
    ord("b"): lambda m: m.build(),
}
