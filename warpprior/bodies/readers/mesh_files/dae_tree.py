"""The elements of a COLLADA file by their names, and the arrays in them."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from warpprior.bodies.readers.safe_xml import read_xml
from warpprior.bodies.readers.text_numbers import text_numbers
from warpprior.support.errors import InputError

MAX_BYTES = 128 * 2**20


class DaeTree:
    """One file.

    Args:
        path: the file; nothing outside it is read.

    Attributes:
        root: its root element.
        unit: metres per unit of the file.

    Raises:
        InputError: no well-formed XML, a document type, another format, or a unit that is none.
    """

    def __init__(self, path: Path):
        self.path = path
        self.root = read_xml(path, "a COLLADA file", limit=MAX_BYTES)
        if self.root.tag != "COLLADA":
            raise InputError(str(path), f"its root element is <{self.root.tag[:60]}>", "give a COLLADA file")
        self._named = {element.get("id", ""): element for element in self.root.iter() if element.get("id")}
        self._arrays: dict[str, np.ndarray] = {}
        unit = self.root.find("asset/unit")
        self.unit = 1.0 if unit is None else float(unit.get("meter", "1"))
        if not 1e-9 < self.unit < 1e9:
            raise InputError(str(path), f"its unit is {self.unit} m", "the file is damaged")

    def named(self, address: str) -> Element:
        """The element that an address like ``#name`` names.

        Raises:
            InputError: there is none of that name, or it is in another file.
        """
        found = self._named.get(address[1:]) if address.startswith("#") else None
        if found is None:
            raise InputError(str(self.path), f"names {address[:60]!r}, which is not in it", "give a complete file")
        return found

    def scene(self) -> Element | None:
        """The scene that the file shows, or its first one."""
        shown = self.root.find("scene/instance_visual_scene")
        if shown is not None:
            return self.named(shown.get("url", ""))
        return self.root.find("library_visual_scenes/visual_scene")

    def array(self, address: str) -> np.ndarray:
        """The rows (element, width) of a source, or of the positions of a ``vertices`` element."""
        if address not in self._arrays:
            element = self.named(address)
            if element.tag == "vertices":
                inputs = [entry for entry in element.iterfind("input") if entry.get("semantic") == "POSITION"]
                element = self.named(inputs[0].get("source", ""))
            self._arrays[address] = self._source(element)
        return self._arrays[address]

    def _source(self, source: Element) -> np.ndarray:
        accessor = source.find("technique_common/accessor")
        values = source.find("float_array")
        if accessor is None or values is None:
            raise ValueError("a source without numbers")
        numbers = read_floats(values)
        width, first = int(accessor.get("stride", "1")), int(accessor.get("offset", "0"))
        count = int(accessor.get("count", "0"))
        if width < 1 or min(first, count) < 0 or first + width * count > len(numbers):
            raise ValueError("a source that is larger than its array")
        return numbers[first : first + width * count].reshape(count, width)


def read_floats(element: Element, count: int | None = None) -> np.ndarray:
    """The numbers in an element, as many as they must be.

    Raises:
        ValueError: another number of them, or what is no number.
    """
    try:
        numbers = text_numbers(element.text or "")
    except ValueError:
        raise ValueError(f"<{element.tag}> holds what is no number") from None
    if count is not None and len(numbers) != count:
        raise ValueError(f"<{element.tag}> has {len(numbers)} numbers, not {count}")
    return numbers


def read_integers(element: Element) -> np.ndarray:
    """The whole numbers in an element.

    Raises:
        ValueError: what is no whole number.
    """
    numbers = read_floats(element)
    if not np.isfinite(numbers).all() or (np.abs(numbers) > 2**31).any() or (numbers % 1.0).any():
        raise ValueError(f"<{element.tag}> holds what is no whole number")
    return numbers.astype(np.int64)
