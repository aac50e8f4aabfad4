"""Hands as networks leave them: dictionaries in whatever order people saved them in, found and brought to one form.

HaMeR and WiLoR save no parameters themselves; whoever does saves a dictionary for each hand, picture or clip, in JSON,
``.npy``, ``.npz`` or a pickle.  What its numbers are is told by their names, and by their shapes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from warpprior.bodies.readers.plain_pickle import read_plain
from warpprior.formats.parts.hand_arrays import Expansion, HandRecord
from warpprior.formats.parts.hand_keys import ACCEPTED, SIDES, first, frame_of, merged, number_of, side_of
from warpprior.formats.parts.text_files import read_json
from warpprior.support.errors import InputError

ENDINGS = (".json", ".npy", ".npz", ".pkl", ".pickle", ".pth", ".pt", ".joblib")
MOST_HANDS = 200_000


def read_hand_records(path: Path) -> list[HandRecord]:
    """All hands of a file, or of a folder with a file for each picture or hand.

    Raises:
        InputError: it holds none, or one whose side or numbers cannot be told.
    """
    files = hand_files(path) if path.is_dir() else {path: None}
    found: list[HandRecord] = []
    for file, number in files.items():
        tree = read_json(file, "hands") if file.suffix.lower() == ".json" else read_plain(file, "hands")
        side = next((side for word, side in SIDES.items() if word in words(file.stem) and len(word) > 1), None)
        finder = _Finder(str(file), len(files) > 1 or number is not None)
        found += finder.find(tree, number, side)
        if len(found) > MOST_HANDS:
            raise InputError(str(path), f"holds more than {MOST_HANDS} hands", "a clip")
    if not found:
        raise InputError(str(path), "holds no hand in any frame", ACCEPTED)
    return found


def hand_files(folder: Path) -> dict[Path, int | None]:
    """Files of a folder and the number of the picture in their names, which may end in that of a person."""
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in ENDINGS and path.is_file()]
    files = [path for path in files if not path.name.startswith(".")]
    endings = [path.suffix.lower() for path in files]
    kind = max(sorted(set(endings)), key=endings.count, default="")
    files = [path for path in files if path.suffix.lower() == kind]
    groups = [_numbers(path.stem) for path in files]
    width = min((len(group) for group in groups), default=0)
    if not width:
        return dict.fromkeys(files) if len(files) == 1 else {}
    columns = [[group[place] for group in groups] for place in range(width)]
    best = max(range(width), key=lambda place: len(set(columns[place])))
    return dict(zip(files, columns[best], strict=True))


def _numbers(stem: str) -> list[int]:
    words = "".join(letter if letter.isascii() and letter.isdigit() else " " for letter in stem).split()
    return [int(word) for word in words if len(word) < 19]


def words(text: str) -> set[str]:
    return set(text.lower().replace("-", "_").replace(".", "_").split("_"))


class _Finder:
    """Looks through one file.

    Args:
        where: the file.
        of_picture: it is of one picture: what stands in a list are its hands.
    """

    def __init__(self, where: str, of_picture: bool):
        self.where, self.of_picture, self.left = where, of_picture, 4 * MOST_HANDS

    def find(self, node: Any, frame: int | None, side: str | None, depth: int = 0) -> list[HandRecord]:
        self.left -= 1
        if self.left < 0 or depth > 12:
            raise InputError(self.where, "is nested too deeply, or far too large", ACCEPTED)
        if isinstance(node, list):
            return self._of_list(node, frame, side, depth)
        if not isinstance(node, dict):
            return []
        laid = merged(node)
        if any(first(laid, what) is not None for what in ("pose", "keypoints3d")):
            own = frame_of(first(laid, "frame", scalar=True))
            frame = frame if own is None else own
            return list(Expansion(self.where, laid, frame, side).records())
        found: list[HandRecord] = []
        own = frame_of(first(node, "frame", scalar=True))
        own = frame_of(first(node, "picture")) if own is None else own
        frame = frame if own is None else own
        own_side = side_of(first(node, "side"))
        side = side if own_side is None else own_side
        numbers = number_of(node) if frame is None and not self.of_picture else {}
        for key, value in node.items():
            if isinstance(value, (dict, list)):
                named = side_of(key) if isinstance(key, str) else None
                found += self.find(value, numbers.get(key, frame), side if named is None else named, depth + 1)
        return found

    def _of_list(self, node: list, frame: int | None, side: str | None, depth: int) -> list[HandRecord]:
        by_frame = frame is None and not self.of_picture
        found: list[HandRecord] = []
        for row, value in enumerate(node):
            if isinstance(value, (dict, list)):
                flat = by_frame and isinstance(value, dict) and first(merged(value), "frame", scalar=True) is not None
                found += self.find(value, row if by_frame and not flat else frame, side, depth + 1)
        return found
