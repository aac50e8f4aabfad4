"""Hands as networks leave them: dictionaries in whatever order people saved them in, found and brought to one form.

HaMeR and WiLoR save no parameters themselves; whoever does saves a dictionary for each hand, picture or clip, in JSON,
``.npy``, ``.npz`` or a pickle.  What its numbers are is told by their names, and by their shapes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from warpprior.bodies.readers.plain_pickle import read_plain
from warpprior.formats.parts.hand_arrays import Expansion, HandRecord
from warpprior.formats.parts.hand_keys import ACCEPTED, SIDES, first, frame_of, merged, number_of, side_of
from warpprior.formats.parts.text_files import read_json
from warpprior.support.errors import InputError

ENDINGS = (".json", ".npy", ".npz", ".pkl", ".pickle", ".pth", ".pt", ".joblib")
MOST_HANDS = 200_000


def read_hand_records(path: Path, open_tree: Callable[[Path], Any] | None = None) -> list[HandRecord]:
    """All hands of a file, or of a folder with a file for each picture or hand.

    Args:
        path: the file or folder.
        open_tree: gives what a file holds; None reads it.

    Raises:
        InputError: it holds none, or one whose side or numbers cannot be told.
    """
    files = hand_files(path) if path.is_dir() else {path: None}
    found: list[HandRecord] = []
    for file, number in files.items():
        tree = (open_tree or open_hands)(file)
        side = side_in(file.stem)
        finder = _Finder(str(file), number is not None)
        found += finder.find(tree, number, side)
        if len(found) > MOST_HANDS:
            raise InputError(str(path), f"holds more than {MOST_HANDS} hands", "a clip")
    if not found:
        raise InputError(str(path), "holds no hand in any frame", ACCEPTED)
    return found


def open_hands(file: Path) -> Any:
    """What a file of hands holds, as plain data."""
    return read_json(file, "hands") if file.suffix.lower() == ".json" else read_plain(file, "hands")


def hand_files(folder: Path) -> dict[Path, int | None]:
    """Files of a folder and the number of the picture in their names, which may end in that of a person."""
    with os.scandir(folder) as entries:
        there = [entry.name for entry in islice(entries, MOST_HANDS) if not entry.name.startswith(".")]
    files = [folder / name for name in sorted(there) if os.path.splitext(name)[1].lower() in ENDINGS]
    files = [path for path in files if path.is_file()]
    endings = [path.suffix.lower() for path in files]
    kind = max(sorted(set(endings)), key=endings.count, default="")
    files = [path for path in files if path.suffix.lower() == kind]
    groups = [_numbers(path.stem) for path in files]
    width = min((len(group) for group in groups), default=0)
    if not width:
        return dict.fromkeys(files)
    columns = [[group[place] for group in groups] for place in range(width)]
    best = max(range(width), key=lambda place: len(set(columns[place])))
    return dict(zip(files, columns[best], strict=True))


def _numbers(stem: str) -> list[int]:
    words = "".join(letter if letter.isascii() and letter.isdigit() else " " for letter in stem).split()
    return [int(word) for word in words if len(word) < 19]


def side_in(name: str) -> str | None:
    """The side that is a word of a name."""
    words = set(name.lower().replace("-", "_").replace(".", "_").split("_"))
    return next((side for word, side in SIDES.items() if word in words and len(word) > 1), None)


class _Finder:
    """Looks through one file.

    Args:
        where: the file.
        of_picture: it is of one picture: what stands in a list are its hands.
    """

    def __init__(self, where: str, of_picture: bool):
        self.where, self.of_picture, self.left = where, of_picture, 4 * MOST_HANDS

    def find(
        self, node: Any, frame: int | None, side: str | None, by_row: bool = False, depth: int = 0
    ) -> list[HandRecord]:
        """All hands below a node.

        Args:
            node: of the tree.
            frame: the number of the frame that it is of, or None.
            side: of the hands in it, or None.
            by_row: ``frame`` is a place in a list.
            depth: of the node in the tree.
        """
        self.left -= 1
        if self.left < 0 or depth > 12:
            raise InputError(self.where, "is nested too deeply, or far too large", ACCEPTED)
        by_frame = frame is None and not self.of_picture
        found: list[HandRecord] = []
        if isinstance(node, list):
            for row, value in enumerate(node):
                if isinstance(value, (dict, list)):
                    found += self.find(value, row if by_frame else frame, side, by_frame or by_row, depth + 1)
        if not isinstance(node, dict):
            return found
        laid = merged(node)
        own = frame_of(first(laid, "frame", scalar=True))
        if any(first(laid, what) is not None for what in ("pose", "keypoints3d")):
            frame, by_row = (frame, by_row) if own is None else (own, False)
            return list(Expansion(self.where, node, frame, side, by_row).records())
        own = frame_of(first(node, "picture")) if own is None else own
        frame, by_row = (frame, by_row) if own is None else (own, False)
        side = side_of(first(node, "side")) or side
        numbers = number_of(node) if frame is None and not self.of_picture else {}
        for key, value in node.items():
            if isinstance(value, (dict, list)):
                named = side_of(key) if isinstance(key, str) else None
                found += self.find(value, numbers.get(key, frame), named or side, by_row and not numbers, depth + 1)
        return found
