"""Predictions for HO-3D, ``pred.json``: joints and vertices of every frame of a list, a gigabyte of text.

The layout is that of the data set's own scripts (pred.py, eval.py): ``[joints, vertices]``, each with an entry for
every line ``SEQUENCE/FRAME`` of ``evaluation.txt``; metres, OpenGL's camera, joints in MANO's order and then the tips.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from warpprior.bodies.hand_parts import FINGERS, KEYPOINT_NAMES
from warpprior.bodies.readers.mano import CHAINS
from warpprior.formats.parts.text_files import numbers, read_text
from warpprior.support.errors import InputError, reason_of
from warpprior.support.files import check_size, open_regular

OPENGL = np.diag([1.0, -1.0, -1.0])  # of its axes in OpenCV's
FILE = "pred.json"
JOINTS = tuple(
    KEYPOINT_NAMES.index(name)
    for name in (
        "wrist",
        *(f"{finger}{part}" for finger in CHAINS for part in (1, 2, 3)),
        *(f"{finger}_tip" for finger in FINGERS),
    )
)
"""Rows of our 21 keypoints in HO-3D's order."""
Key = tuple[str, int]  # sequence and number of the frame
_LIMIT = 8 << 30
_CHUNK = 64 << 20
_FRAME_LIMIT = 4 << 20
_MOST_FRAMES = 1_000_000
_DIGITS = 7  # of a metre
_WANTED = "needs [joints, vertices], a list of points for each frame"


def read_order(path: Path) -> list[Key]:
    """Sequence and frame of each line of a list such as ``evaluation.txt``.

    Raises:
        InputError: a line is not ``SEQUENCE/FRAME``, or a frame is named twice.
    """
    found: list[Key] = []
    for number, line in enumerate(read_text(path, "a list of frames").splitlines(), start=1):
        sequence, slash, frame = line.strip().rpartition("/")
        if not line.strip():
            continue
        if not slash or not sequence or not (frame.isascii() and frame.isdigit() and len(frame) < 10):
            raise InputError(f"{path}: line {number}", f"is {line.strip()[:40]!r}", "needs SEQUENCE/FRAME: SM1/0000")
        found.append((sequence, int(frame)))
    if not found or len(set(found)) < len(found):
        raise InputError(
            str(path), "names no frame" if not found else "names a frame twice", "SEQUENCE/FRAME, once each"
        )
    return found


class Predictions:
    """A file of predictions, of which only what is asked for is read.

    Args:
        path: ``pred.json``.
        order: the frame of each entry.

    Raises:
        InputError: it is no such file, or has another number of entries.
    """

    def __init__(self, path: Path, order: Sequence[Key]):
        self.path, self._row = path, {key: row for row, key in enumerate(order)}
        with open_regular(path, str(path), _WANTED) as stream:
            size = stream.seek(0, 2)
            check_size(size, str(path), "predictions of HO-3D", _LIMIT)
            if size == 0:
                raise InputError(str(path), "is empty", _WANTED)
            self._text = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self._places = self._entries()
        for places, name in zip(self._places, ("joints", "vertices"), strict=True):
            if len(places) != len(order):
                accepted = f"as many as its list of frames has lines: {len(order)}"
                raise InputError(f"{path}: {name}", f"has {len(places)} entries", accepted)

    def _entries(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the entries of both lists begin and end in the text (entry, 2)."""
        wrong = InputError(str(self.path), "is no list of two lists of frames", _WANTED)
        starts, ends, lists, depth, lowest, top = [], [], [], 0, 0, 0
        for begin in range(0, len(self._text), _CHUNK):
            chunk = np.frombuffer(self._text[begin : begin + _CHUNK], dtype=np.uint8)
            if (chunk == ord('"')).any() or (chunk == ord("{")).any():
                raise wrong
            marks = np.flatnonzero((chunk == ord("[")) | (chunk == ord("]")))
            opens = chunk[marks] == ord("[")
            after = depth + np.cumsum(np.where(opens, 1, -1))
            if len(after):
                lowest, top, depth = min(lowest, int(after.min())), max(top, int(after.max())), int(after[-1])
            lists.append(begin + marks[opens & (after == 2)])
            starts.append(begin + marks[opens & (after == 3)])
            ends.append(begin + marks[~opens & (after == 2)] + 1)
            if sum(map(len, starts)) > 2 * _MOST_FRAMES:
                raise InputError(str(self.path), "has too many frames", f"at most {_MOST_FRAMES}")
        both = np.concatenate(lists)
        if depth != 0 or lowest < 0 or top > 4 or len(both) != 2:
            raise wrong
        places = np.stack([np.concatenate(starts), np.concatenate(ends)], axis=1)
        second = int(np.searchsorted(places[:, 0], both[1]))
        return places[:second], places[second:]

    def frame(self, key: Key) -> tuple[np.ndarray, np.ndarray] | None:
        """Joints (21, 3) and vertices (n, 3) of a frame in OpenCV's axes, or None where the list has not that frame.

        Raises:
            InputError: what stands there is no such points.
        """
        if key not in self._row:
            return None
        row, where = self._row[key], f"{self.path}: {key[0]}/{key[1]:04d}"
        found = []
        for name, count, text in zip(("joints", "vertices"), (len(JOINTS), None), self.texts(row), strict=True):
            try:
                tree = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{where}: {name}", f"is not JSON: {reason_of(error)}", _WANTED) from None
            found.append(numbers(tree, (count, 3), f"{where}: {name}") @ OPENGL)
        return found[0], found[1]

    def texts(self, row: int) -> tuple[bytes, bytes]:
        """Joints and vertices of an entry as they stand in the file."""
        found = []
        for places in self._places:
            begin, end = (int(place) for place in places[row])
            if end - begin > _FRAME_LIMIT:
                raise InputError(f"{self.path}: entry {row}", f"has {end - begin} bytes", f"at most {_FRAME_LIMIT}")
            found.append(self._text[begin:end])
        return found[0], found[1]


def write_predictions(
    path: Path, order: Sequence[Key], found: Mapping[Key, tuple[np.ndarray, np.ndarray]], fill: Predictions | None
) -> None:
    """Write ``pred.json``.

    Args:
        path: the file.
        order: the frame of each entry.
        found: joints (21, 3) and vertices (n, 3) [m] by frame, in OpenCV's axes and our order of keypoints.
        fill: where the entries of other frames stand; they are written as they stand there.
    """

    def entries(which: int) -> Iterator[bytes]:
        for row, key in enumerate(order):
            if key in found:
                points = np.asarray(found[key][which], dtype=np.float64) @ OPENGL
                points = points[list(JOINTS)] if which == 0 else points
                yield json.dumps(np.round(points, _DIGITS).tolist(), separators=(",", ":")).encode()
            else:
                assert fill is not None, "frames that were not estimated are taken from elsewhere"
                yield fill.texts(row)[which]

    with path.open("wb") as stream:
        stream.write(b"[")
        for which in range(2):
            _write_list(stream, entries(which))
            stream.write(b"," if which == 0 else b"]")


def _write_list(stream, entries: Iterable[bytes]) -> None:
    stream.write(b"[")
    for row, text in enumerate(entries):
        stream.write(b"," + text if row else text)
    stream.write(b"]")
