"""Changes to files.  A mutator takes a random generator, a file and another of its kind, and gives a changed file."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random

Mutator = Callable[[Random, bytes, bytes], bytes]

INTEGERS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
NUMBERS = (
    *("0", "-0", "1", "-1", "2", "255", "256", "65536", "2147483647", "-2147483648", "4294967296", "9" * 40, "9" * 400),
    *("nan", "inf", "-inf", "1e39", "-1e39", "1e308", "1e309", "1e-320", "0.5", "1e6", "0x10", "1_000", "1,5", "", "x"),
    *("1e", "--1", "+1", "NaN", "true", "null", "1e-39", "3.4e38", "٣"),
)
TEXTS = (
    "",
    " ",
    "x" * 5000,
    "\0",
    "\n",
    "../../x",
    "/etc/hostname",
    "\u202e",
    "\ud7ff",
    "%s%n",
    "{0}",
    '"',
    "'",
    "<",
    "&",
)
_NUMBER = re.compile(rb"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")


def flip_bits(random: Random, data: bytes, other: bytes) -> bytes:
    """A few bits inverted."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def set_bytes(random: Random, data: bytes, other: bytes) -> bytes:
    """A short run of bytes replaced by random ones, by zeros or by ones."""
    start, count = random.randrange(len(data) + 1), random.choice((1, 2, 4, 16))
    fill = random.choice((random.randbytes(count), b"\0" * count, b"\xff" * count))
    return data[:start] + fill + data[start + count :]


def set_integer(random: Random, data: bytes, other: bytes) -> bytes:
    """One number of one to eight bytes replaced by an extreme one, at a place that is often a multiple of its size."""
    code, size = random.choice((("B", 1), ("H", 2), ("I", 4), ("Q", 8)))
    if len(data) < size:
        return data
    start = random.randrange(len(data) - size + 1)
    start -= start % random.choice((1, size))
    value = (random.choice(INTEGERS) + random.choice((0, 0, -1, 1))) % 2 ** (8 * size)
    return data[:start] + struct.pack(random.choice("<>") + code, value) + data[start + size :]


def set_float(random: Random, data: bytes, other: bytes) -> bytes:
    """One floating-point number replaced by an extreme one."""
    code, size = random.choice((("f", 4), ("d", 8)))
    if len(data) < size:
        return data
    start = random.randrange(len(data) - size + 1)
    start -= start % random.choice((1, 4))
    value = random.choice((float("nan"), float("inf"), -1.0, 0.0, 3e38, -3e38, 1e-40, 1e10))
    return data[:start] + struct.pack(f"<{code}", value) + data[start + size :]


def cut(random: Random, data: bytes, other: bytes) -> bytes:
    """The end, the beginning or a part in the middle is missing."""
    start = random.randrange(len(data) + 1)
    stop = random.choice((len(data), min(len(data), start + random.choice((1, 4, 64, 1000)))))
    return data[start:] if random.random() < 0.1 else data[:start] + data[stop:]


def repeat(random: Random, data: bytes, other: bytes) -> bytes:
    """A part comes twice, or many times."""
    start = random.randrange(len(data) + 1)
    part = data[start : start + random.choice((1, 4, 16, 256))]
    return data[:start] + part * random.choice((2, 2, 3, 50)) + data[start + len(part) :]


def splice(random: Random, data: bytes, other: bytes) -> bytes:
    """The beginning of one file with the end of another, or a part of it inside."""
    start, place = random.randrange(len(data) + 1), random.randrange(len(other) + 1)
    if random.random() < 0.5:
        return data[:start] + other[place:]
    part = other[place : place + random.choice((4, 16, 64, 512))]
    return data[:start] + part + data[start + len(part) :]


def change_number(random: Random, data: bytes, other: bytes) -> bytes:
    """One number written as text replaced by an extreme one."""
    found = list(_NUMBER.finditer(data))
    if not found:
        return flip_bits(random, data, other)
    one = random.choice(found)
    return data[: one.start()] + random.choice(NUMBERS).encode() + data[one.end() :]


def change_lines(random: Random, data: bytes, other: bytes) -> bytes:
    """A line is missing, comes twice, at another place, from another file, or very often."""
    lines, others = data.split(b"\n"), other.split(b"\n")
    place, to = random.randrange(len(lines)), random.randrange(len(lines))
    what = random.randrange(6)
    if what == 0:
        del lines[place]
    elif what == 1:
        lines[place], lines[to] = lines[to], lines[place]
    elif what == 2:
        lines.insert(to, random.choice(others))
    elif what == 3:
        lines[place:place] = [lines[place]] * random.choice((1, 2, 300))
    elif what == 4:
        words = lines[place].split(b" ")
        words[random.randrange(len(words))] = random.choice(TEXTS).encode("utf-8", "surrogatepass")
        lines[place] = b" ".join(words)
    else:
        lines[place] = lines[place][: random.randrange(len(lines[place]) + 1)]
    return b"\n".join(lines)


def change_words(random: Random, data: bytes, other: bytes) -> bytes:
    """One word replaced by another of either file, or by an odd text."""
    pattern = rb"[A-Za-z_][\w.]*"
    found, words = list(re.finditer(pattern, data)), re.findall(pattern, data + b" " + other)
    if not found:
        return set_bytes(random, data, other)
    one = random.choice(found)
    odd = random.choice(TEXTS).encode("utf-8", "surrogatepass")
    return data[: one.start()] + (odd if random.random() < 0.2 else random.choice(words)) + data[one.end() :]


def nest(random: Random, data: bytes, other: bytes) -> bytes:
    """Brackets opened very often at some place."""
    start, depth = random.randrange(len(data) + 1), random.choice((5, 200, 5000))
    opened, closed = random.choice(((b"[", b"]"), (b"{", b"}"), (b"(", b")"), (b"<a>", b"</a>"), (b'{"a":', b"}")))
    return data[:start] + opened * depth + closed * random.choice((0, depth)) + data[start:]


BYTES: Sequence[Mutator] = (flip_bits, set_bytes, set_integer, set_float, cut, repeat, splice)
TEXT: Sequence[Mutator] = (*BYTES, *(change_number, change_lines, change_words) * 3, nest)


def change_value(random: Random, value: object) -> object:
    """Another value in place of one of a tree: an extreme one, one of another type, or a great many."""
    odd: list[object] = [None, True, 0, -1, 1, 2**31, -(2**63), 10**30, 1e308, float("nan"), float("inf"), -0.5, 1e-320]
    odd += [*TEXTS, [], {}, [[]], [None], {"": None}, [value, value], [value] * 300]
    return random.choice(odd)


def change_tree(random: Random, tree: object) -> None:
    """One change somewhere in a tree of dictionaries and lists, in place."""
    place = tree
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place))) if isinstance(place, list) else []
        if not keys:
            return
        key = random.choice(keys)
        child = place[key]  # type: ignore[index]
        if isinstance(child, (dict, list)) and child and random.random() < 0.8:
            place = child
            continue
        what = random.randrange(5)
        if what == 0:
            del place[key]  # type: ignore[attr-defined]
        elif what == 1:
            place[key] = place[random.choice(keys)]  # type: ignore[index]
        elif what == 2 and isinstance(place, dict):
            place[random.choice([*TEXTS, "extras", str(random.choice(keys))])] = place.pop(key)
        elif what == 3 and isinstance(child, (int, float)) and not isinstance(child, bool):
            place[key] = child + random.choice((-1, 1, 0.5, 10, 1000))  # type: ignore[index]
        else:
            place[key] = change_value(random, child)  # type: ignore[index]
        return


def mutate(random: Random, mutators: Sequence[Mutator], files: Sequence[bytes]) -> bytes:
    """One file changed one to four times."""
    data, other = random.choice(files), random.choice(files)
    for _ in range(random.choice((1, 1, 1, 2, 2, 4))):
        change = random.choice(mutators)
        with suppress(Exception):  # a file that was changed before may be beyond what a change understands
            data = change(random, data, other)
    return data
