"""Prim names: an injective map from any text to ASCII USD identifiers."""

from __future__ import annotations

import re
import sys

RESERVED = frozenset(
    {"Camera", "Colliders", "Contacts", "Joints", "Light", "Looks", "PhysicsScene", "Rig", "Sun"}
)  # prims of our own
_EMPTY = "_x110000_"  # one past the last code point: no other text maps here

# Foreign characters, and underscores that would read as the start of an escape once the rest has been escaped.
_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]+[^A-Za-z0-9])|[^A-Za-z0-9_]")
_ESCAPE = re.compile(r"_x([0-9A-F]+)_")


def prim_name(text: str) -> str:
    """A valid ASCII prim name; different texts always give different names.

    Letters, digits and underscores stay; anything else, a leading digit and the first letter of a reserved name become
    ``_xHEX_``, so that ``link_0.0`` reads ``link_0_x2E_0``.  (``Tf.MakeValidIdentifier`` turns every three-byte
    character into ``___``, so that names of equal length collide.)
    """
    if text == "":
        return _EMPTY
    name = _ESCAPED.sub(lambda match: _escape(match[0]), text)
    if name[0].isdigit() or name in RESERVED:
        name = _escape(name[0]) + name[1:]
    return name


def text_of(name: str) -> str:
    """The text that :func:`prim_name` made a name of; other names stay as they are."""
    if name == _EMPTY:
        return ""
    text = _ESCAPE.sub(_character, name)
    return text if prim_name(text) == name else name


def _character(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if code <= sys.maxunicode and not 0xD800 <= code < 0xE000 else match[0]


def _escape(character: str) -> str:
    return f"_x{ord(character):X}_"
