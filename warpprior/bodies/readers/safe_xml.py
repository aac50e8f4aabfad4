"""XML from outside: a small tree, and nothing that could read a file, grow without bound or recurse deeply."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from warpprior.support.errors import InputError
from warpprior.support.files import read_bytes

MAX_BYTES = 16 * 2**20
MAX_DEPTH = 64
MAX_ELEMENTS = 200_000


def read_xml(path: Path | str, what: str, *, limit: int = MAX_BYTES) -> ElementTree.Element:
    """The root element of an XML file.

    A document type is refused outright, and with it every entity but XML's own five.

    Args:
        path: the file.
        what: what it should be, for messages: ``"a URDF file"``.
        limit: largest accepted size [bytes].

    Raises:
        InputError: not well formed (with the line), a document type, nested deeper than 64, or too large.
    """
    data = read_bytes(path, what, limit=limit)
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    depth = count = 0

    def refuse(found: str, accepted: str):
        raise InputError(f"{path}, line {parser.CurrentLineNumber}", found, accepted)

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth += 1
        count += 1
        if depth > MAX_DEPTH:
            refuse(f"elements nested more than {MAX_DEPTH} deep", f"give {what}")
        if count > MAX_ELEMENTS:
            refuse(f"more than {MAX_ELEMENTS} elements", f"give {what}")
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def doctype(*_) -> None:
        refuse("a document type (DOCTYPE)", "remove it: entities are not accepted")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        text = expat.ErrorString(error.code)
        raise InputError(f"{path}, line {error.lineno}", f"is not well-formed XML ({text})", f"give {what}") from None
    except (ValueError, LookupError) as error:  # an encoding Python does not know
        raise InputError(str(path), f"cannot be decoded ({error})", f"give {what} in UTF-8") from None
    return builder.close()
