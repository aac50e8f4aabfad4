"""Errors a user can act on.  The command line prints their message on one line and exits with ``exit_code``."""

from __future__ import annotations

import struct

MOST_CHARACTERS = 300  # of a message
MOST_REASON = 120  # of what a parser says
# What each part of an InputError's message may have at least, and the gap that stands for what was left out.
_SHARES, _GAP = {"where": 90, "found": 90, "accepted": 116}, " ... "


def one_line(text: object) -> str:
    """The text with line breaks, control characters and undecodable bytes written as escapes.

    Names of files and of arrays come from outside: they shall neither break a message in two nor move the cursor.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shorten(text: object, most: int = MOST_CHARACTERS, *, start: float = 0.75) -> str:
    """The text on one line, in at most so many characters: what is too long loses its middle.

    Args:
        text: anything; escapes count as they are printed.
        most: characters.
        start: share of what is kept that comes from the text's start.
    """
    text = _ends(text)
    if len(text) <= most:
        return text
    kept = max(most - len(_GAP), 0)
    head = round(start * kept)
    return (text[:head].rstrip() + _GAP + text[len(text) - (kept - head) :].lstrip()).strip()


def _ends(text: object) -> str:
    """The text on one line; of millions of characters only those at both ends, which are more than are shown."""
    text = str(text)
    return one_line(text if len(text) <= 2 * MOST_CHARACTERS else text[:MOST_CHARACTERS] + text[-MOST_CHARACTERS:])


def _restore(kind: type[WarppriorError], *arguments: object) -> WarppriorError:
    return kind.__new__(kind, *arguments)


class WarppriorError(Exception):
    """Base of every error the project raises on purpose; its message is one printable line of at most 300 characters.

    It can be pickled and copied, and so goes from one process to another.
    """

    exit_code = 1

    def __init__(self, message: object = ""):
        super().__init__(shorten(message))

    def __reduce__(self):
        return _restore, (type(self), *self.args), self.__dict__  # subclasses take other arguments than the message


class InputError(WarppriorError):
    """Bad input or usage: says where, what was found, and what is accepted.

    Where the three are too long for a message, paths keep their ends, and the others lose their middle.

    Args:
        where: the file, frame or field at fault, for example ``"initial.npz: mug/rotation, frame 3"``.
        found: what was found there.
        accepted: what would be accepted, or how to mend it.
    """

    exit_code = 2

    def __init__(self, where: str, found: str, accepted: str):
        self.where, self.found, self.accepted = str(where), found, accepted
        super().__init__(_compose(self.where, found, accepted))


class RunError(WarppriorError):
    """Something failed while running; the best result so far, if any, was kept."""

    exit_code = 1


class MissingExtraError(WarppriorError):
    """An optional dependency is needed for what was asked."""

    exit_code = 2

    def __init__(self, what: str, extra: str):
        super().__init__(f"{what} needs an optional dependency: pip install 'warpprior[{extra}]'")


def reason_of(error: Exception) -> str:
    """What is wrong with a file as far as a parser's exception tells, for those who do not know the parser."""
    text = shorten(" ".join(str(error).split()), MOST_REASON)
    if isinstance(error, MemoryError):
        return "it asks for more memory than there is"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, UnicodeDecodeError):
        return f"it is not {error.encoding} text at byte {error.start}"
    if isinstance(error, KeyError):  # whose text is the key
        return f"it has no {text}, which it refers to or needs"
    if isinstance(error, (EOFError, struct.error)):
        return "it ends too early, or is damaged"
    if isinstance(error, (TypeError, AttributeError, IndexError, AssertionError)):  # of the parser's own insides
        return "its parts are missing, or not what the format has there"
    return text or "it is damaged"


def _compose(where: str, found: str, accepted: str) -> str:
    """The message of an :class:`InputError`: the parts share the room, ``accepted`` first, then ``where``."""
    path, colon, field = (_ends(text) for text in where.partition(": "))
    parts = {"where": path + colon + field, "found": _ends(found), "accepted": _ends(accepted)}
    lengths = {name: min(len(parts[name]), share) for name, share in _SHARES.items()}
    left = MOST_CHARACTERS - len(": ") - len("; ") - sum(lengths.values())
    for name in ("accepted", "where", "found"):
        more = min(len(parts[name]) - lengths[name], left)
        lengths[name], left = lengths[name] + more, left - more
    place = _shorten_place(path, colon, field, lengths["where"])
    return f"{place}: {shorten(parts['found'], lengths['found'])}; {shorten(parts['accepted'], lengths['accepted'])}"


def _shorten_place(path: str, colon: str, field: str, most: int) -> str:
    """A place in at most so many characters: the end of its path, and the field of the file behind it."""
    if len(path + colon + field) <= most:
        return path + colon + field
    field = shorten(field, max(most - len(path) - len(colon), most // 2), start=0.5)
    return shorten(path, most - len(colon) - len(field), start=0.0) + colon + field
