"""Messages: one printable line of at most 300 characters, which keeps what a user needs of what is too long."""

import pytest

from warpprior.bodies.readers.unreadable import refuse_unreadable
from warpprior.support.errors import MOST_CHARACTERS, InputError, RunError, shorten

DEEP = "/data" + "/recordings" * 40 + "/mug/initial.npz"


@pytest.mark.parametrize(
    ("where", "found", "accepted", "kept"),
    [
        ("a.npz: x", "is 3", "needs 4", ["a.npz: x: is 3; needs 4"]),
        (DEEP, "is empty", "needs an .npz file", ["/mug/initial.npz: is empty; needs an .npz file"]),
        (f"{DEEP}: mug/rotation, frame 3", "y" * 999, "z" * 99, ["initial.npz: mug/rotation, frame 3: yyy", "z" * 90]),
        (f"{DEEP}: {'k' * 9999}", "is 3", "needs 4", ["/mug/initial.npz: kkk", "kkk: is 3; needs 4"]),
        ("a.npz", f"has {'x' * 9999} at its end", "needs 4", ["a.npz: has xxx", "xxx at its end; needs 4"]),
        ("a.npz", "is 3", f"one of {'x' * 9999}, none", ["a.npz: is 3; one of xxx", "xxx, none"]),
        ("a\n" * 400, "b\0" * 400, "c\u2028" * 400, ["\\n: b\\x00", "; c\\u2028"]),
        ("x" * 10_000_000, "y" * 10_000_000, "z" * 10_000_000, ["xxx: yyy", "yyy; zzz"]),
    ],
    ids=["short", "long path", "all long", "long field", "long found", "long accepted", "escapes", "huge"],
)
def test_messages_are_short(where, found, accepted, kept):
    """The end of the path and of its field, the start of what was found, and what is accepted are there."""
    error = InputError(where, found, accepted)
    message = str(error)
    assert len(message) <= MOST_CHARACTERS and message.isprintable()
    for part in kept:
        assert part in message, message
    assert (error.where, error.found, error.accepted) == (where, found, accepted)


def test_other_errors_are_short():
    """A message that is one sentence loses its middle."""
    message = str(RunError(f"{'a' * 500}\n{'b' * 500}"))
    assert len(message) <= MOST_CHARACTERS and message.startswith("aaa") and message.endswith("bbb")
    assert shorten("abcdefghij", 9, start=0.5) == "ab ... ij" and shorten("abcdefghij", 10) == "abcdefghij"


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (TypeError("'NoneType' object is not subscriptable"), "not what the format has there"),
        (AttributeError("'list' object has no attribute 'get'"), "not what the format has there"),
        (IndexError("list index out of range"), "not what the format has there"),
        (AssertionError(), "not what the format has there"),
        (KeyError("POSITION"), "it has no 'POSITION'"),
        (ValueError("no PLY header"), "cannot be read (no PLY header)"),
        (ValueError("x" * 10_000), "cannot be read (xxx"),
        (RuntimeError(), "cannot be read (it is damaged)"),
        (EOFError(), "ends too early"),
        (UnicodeDecodeError("utf-8", b"a\xff", 1, 2, "invalid start byte"), "is not utf-8 text at byte 1"),
        (RecursionError("maximum recursion depth exceeded"), "nested too deep"),
        (MemoryError(), "more memory than there is"),
        (InputError("mug.obj", "is 3", "needs 4"), "mug.obj: is 3; needs 4"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_a_parser_raises_is_said_in_words(raised, words):
    """No name of an exception, nothing of a parser's own insides; what it knows about the file."""
    with pytest.raises(InputError) as refused, refuse_unreadable("mug.glb", "give a GLB file"):
        raise raised
    message = str(refused.value)
    assert words in message and len(message) <= MOST_CHARACTERS
    assert "Error" not in message and "NoneType" not in message and "object" not in message
