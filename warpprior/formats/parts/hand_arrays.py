"""Arrays of one hand, of those of a picture, or of those of a clip, brought to records of one hand in one picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from warpprior.formats.parts.crop_camera import crop_focal
from warpprior.formats.parts.hand_keys import ACCEPTED, KEYS, first, frame_of, holder, merged, side_of
from warpprior.formats.parts.motion import complete
from warpprior.formats.parts.text_files import check_reach
from warpprior.support.errors import InputError

_ANGLES, _ENTRIES = 45, 135
_WRITTEN = ("pose", "orient", "cam_t", "transl", "crop_camera", "keypoints3d")  # what changes with a pose


@dataclass(frozen=True, eq=False)
class Spot:
    """Where the numbers of one hand stand in the tree of a file.

    Attributes:
        node, key: the dictionary, and under which key.
        row, count: which of so many hands it is there.
    """

    node: dict[str, Any]
    key: str
    row: int
    count: int

    def put(self, values: np.ndarray) -> str:
        """Put numbers in the place of those there, into arrays in place; what hinders it, or nothing.

        Numbers that are the same to seven digits stay as they are.
        """
        stored = self.node[self.key]
        whole = np.asarray(stored, dtype=np.float64)
        if whole.size != self.count * values.size:
            return f"{self.key} is one for several hands"
        made = whole.reshape(self.count, -1).copy()
        if np.allclose(made[self.row], values.ravel(), rtol=1e-7, atol=1e-7):
            return ""
        made[self.row] = values.ravel()
        if isinstance(stored, np.ndarray) and stored.dtype.kind == "f":
            stored[...] = made.reshape(stored.shape)
        else:
            self.node[self.key] = made.reshape(whole.shape).tolist()
        return ""


@dataclass(frozen=True, eq=False)
class HandRecord:
    """One hand in one picture, as a network sees it.

    Attributes:
        frame: its number, as files have it, or None.
        by_row: the number is the place in a list, counted from 0, not a name.
        side: ``left`` or ``right``.
        orient, joints: rotations (3, 3) and (15, 3, 3), None where only keypoints are given.
        shape: (10,), None without parameters.
        components: principal components (n,) in the place of joints, or None.
        translation: (3,) [m], None where the file has none.
        of_crop: ``translation`` is of the network's camera, from which the hand is seen as by a long lens.
        flat: zero joints are the flat hand; None where the file does not say it.
        mirrored: the rotations of a left hand were mirrored already; None where the file does not say it.
        corrected: shapes are of MANO's left model whose shape directions were corrected.
        focal, size: of the camera of ``translation`` [px], the pictures' size as the network had them, or None.
        keypoints3d: (21, 3) [m], keypoints2d: (21, 2) [px], or None.
        score: from 0 to 1.
        spots: where its numbers stand, by what they are.
    """

    side: str
    frame: int | None = None
    orient: np.ndarray | None = None
    joints: np.ndarray | None = None
    components: np.ndarray | None = None
    shape: np.ndarray | None = None
    translation: np.ndarray | None = None
    of_crop: bool = False
    flat: bool | None = None
    mirrored: bool | None = None
    corrected: bool = False
    focal: float | None = None
    size: tuple[float, float] | None = None
    keypoints3d: np.ndarray | None = None
    keypoints2d: np.ndarray | None = None
    score: float = 1.0
    by_row: bool = False
    spots: Mapping[str, Spot] = field(default_factory=dict)


class Expansion:
    """The hands of one dictionary: one, those of a picture, or those of a clip, of one track or several."""

    def __init__(self, where: str, raw: Mapping[str, Any], frame: int | None, side: str | None, by_row: bool):
        self.where, self.node, self.frame, self.side, self.by_row = where, merged(raw), frame, side, by_row
        self._held = {what: found for what in _WRITTEN if (found := holder(raw, what)) is not None}

    def records(self) -> Iterator[HandRecord]:
        pose = first(self.node, "pose")
        if pose is None:
            joints = components = orient = None
            keypoints = self._array(first(self.node, "keypoints3d"), "keypoints_3d")
            if keypoints.shape[-2:] != (21, 3):
                raise InputError(f"{self.where}: keypoints_3d", f"has shape {keypoints.shape}", "needs (21, 3)")
            lead = keypoints.shape[:-2]
        else:
            joints, components, lead = self._joints(pose)
        count = int(np.prod(lead, dtype=int))
        if count == 0:
            return
        orient = None if pose is None else self._rotations(count)
        shape, scores = self._rows("shape", count, 10), self._rows("score", count, 1)
        deep, plane = self._rows("keypoints3d", count, 63), self._rows("keypoints2d", count, 42)
        translation, of_crop = self._translation(count)
        sides, valid = self._sides(count), self._flags("valid", count)
        frames, by_row = self._frames(count, lead)
        size, focal = self._size(), self._rows("focal", count, 1)
        flat = _flag(self.node.get("flat_hand_mean"))
        mirrored = True if self.node.get("wilor_preds") is True else _flag(self.node.get("mirrored"))
        for row in np.flatnonzero(valid):
            given = [part[row] for part in (joints, components, orient, translation) if part is not None]
            if not all(np.isfinite(part).all() for part in given) or (given and not any(part.any() for part in given)):
                continue
            yield HandRecord(
                side=sides[row],
                frame=frames[row],
                orient=None if orient is None else orient[row],
                joints=None if joints is None else joints[row],
                components=None if components is None else components[row],
                shape=None if shape is None else shape[row],
                translation=None if translation is None else translation[row],
                of_crop=of_crop,
                flat=flat,
                mirrored=mirrored,
                corrected=_flag(self.node.get("left_shape_corrected")) is True,
                focal=None if focal is None else float(focal[row, 0]),
                size=size,
                keypoints3d=None if deep is None else deep[row].reshape(21, 3),
                keypoints2d=None if plane is None else plane[row].reshape(21, 2),
                by_row=by_row,
                spots={what: Spot(*found, int(row), count) for what, found in self._held.items()},
                score=1.0 if scores is None else float(np.clip(np.nan_to_num(scores[row, 0]), 1e-3, 1.0)),
            )

    def _array(self, value: Any, what: str) -> np.ndarray:
        place = f"{self.where}: {what}"
        try:
            with np.errstate(invalid="ignore"):  # of numbers that are none, in a form of their own
                array = np.asarray(value, dtype=np.float64)
        except (ValueError, TypeError, OverflowError):
            raise InputError(place, "is not an array of numbers", ACCEPTED) from None
        check_reach(array, place)
        return array

    def _joints(self, value: Any) -> tuple[np.ndarray | None, np.ndarray | None, tuple[int, ...]]:
        """Rotations (row, 15, 3, 3), or principal components (row, n), and the axes before them."""
        array, place = self._array(value, "hand_pose"), f"{self.where}: hand_pose"
        shape = array.shape
        width = shape[-1] if shape else 0
        if shape[-3:] == (15, 3, 3) or width == _ENTRIES:
            lead = shape[:-3] if width == 3 else shape[:-1]
            return array.reshape(-1, 15, 3, 3), None, lead
        if shape[-2:] == (15, 3) or (width == _ANGLES and _flag(self.node.get("use_pca")) is not True):
            lead = shape[:-2] if width == 3 else shape[:-1]
            return _matrices(array.reshape(-1, 3)).reshape(-1, 15, 3, 3), None, lead
        if 6 <= width <= _ANGLES:
            return None, array.reshape(-1, width), shape[:-1]
        raise InputError(place, f"has shape {shape}", "needs 15 rotations of a hand, or principal components")

    def _rotations(self, count: int) -> np.ndarray:
        value = first(self.node, "orient")
        if value is None:
            raise InputError(f"{self.where}: global_orient", "is missing", ACCEPTED)
        array = self._array(value, "global_orient")
        if array.size == 9 * count:
            return array.reshape(count, 3, 3)
        if array.size == 3 * count:
            return _matrices(array.reshape(count, 3))
        found = f"has shape {array.shape} for {count} hands"
        raise InputError(f"{self.where}: global_orient", found, "needs a rotation of each hand")

    def _rows(self, what: str, count: int, width: int) -> np.ndarray | None:
        """Numbers (row, width) of each hand, or the same for all; None where there are none."""
        value = first(self.node, what)
        if value is None:
            return None
        array = self._array(value, KEYS[what][0])
        if array.size == count * width:
            return array.reshape(count, width)
        if array.size == width:
            return np.broadcast_to(array.reshape(1, width), (count, width))
        if array.size and count % (array.size // width or 1) == 0 and array.size % width == 0:
            return np.repeat(array.reshape(-1, width), count // (array.size // width), axis=0)  # of tracks
        if what == "keypoints2d":
            return None  # with confidences, or of another order
        raise InputError(f"{self.where}: {KEYS[what][0]}", f"has shape {array.shape} for {count} hands", ACCEPTED)

    def _translation(self, count: int) -> tuple[np.ndarray | None, bool]:
        found = self._rows("cam_t", count, 3)
        if found is not None:
            return found, True
        found = self._rows("transl", count, 3)
        if found is not None:
            return found, False
        return self._of_crop(count), True

    def _of_crop(self, count: int) -> np.ndarray | None:
        """Of pred_cam and the crop: (s, x, y) see the hand as wide as the crop is [px], whose middle is known."""
        camera, center = self._rows("crop_camera", count, 3), self._rows("crop_center", count, 2)
        width, size = self._rows("crop_size", count, 1), self._size()
        if camera is None or center is None or width is None or size is None:
            return None
        focal = self._rows("focal", count, 1)
        focal = np.full((count, 1), crop_focal(size)) if focal is None else focal
        signs = np.array([1.0 if side == "right" else -1.0 for side in self._sides(count)])
        across = camera[:, 0] * width[:, 0] + 1e-9
        shift = 2.0 * (center - 0.5 * np.asarray(size)) / across[:, None]
        depth = 2.0 * focal[:, 0] / across
        return np.column_stack([camera[:, 1] * signs + shift[:, 0], camera[:, 2] + shift[:, 1], depth])

    def _size(self) -> tuple[float, float] | None:
        value = first(self.node, "size")
        if value is None:
            return None
        array = self._array(value, "img_size").reshape(-1)
        if len(array) < 2 or not (np.isfinite(array[:2]).all() and (array[:2] >= 2).all()):
            raise InputError(f"{self.where}: img_size", f"is {str(value)[:40]}", "needs width and height")
        return float(array[0]), float(array[1])

    def _sides(self, count: int) -> list[str]:
        value = first(self.node, "side")
        if value is None:
            value = self.side
        one = side_of(value)
        if one is not None:
            return [one] * count
        values = _items(value, f"{self.where}: is_right") if value is not None else []
        if values and count % len(values) == 0:
            found = [side_of(each) for each in values]
            if None not in found:
                return [side for side in found for _ in range(count // len(found))]  # type: ignore[misc]
        raise InputError(f"{self.where}: is_right", "does not say which hand it is", "needs is_right: 1 or 0")

    def _flags(self, what: str, count: int) -> np.ndarray:
        found = self._rows(what, count, 1)
        return np.ones(count, dtype=bool) if found is None else np.nan_to_num(found[:, 0]) > 0.5

    def _frames(self, count: int, lead: tuple[int, ...]) -> tuple[list[int | None], bool]:
        """Numbers of the frames, as the record says them or the picture's, or places; and whether they are places."""
        value = first(self.node, "frame")
        value = first(self.node, "picture") if value is None else value
        if value is not None:
            plain = not isinstance(value, list) and np.ndim(value) == 0
            found = [frame_of(each) for each in ([value] if plain else _items(value, f"{self.where}: frames"))]
            if len(found) in (1, count) and None not in found:
                return found * (count // len(found)), False
        if self.frame is not None or count == 1:
            return [self.frame] * count, self.by_row
        last = lead[-1]
        return [row % last for row in range(count)], True


def _items(value: Any, where: str) -> list[Any]:
    """What lists and arrays hold, one after the other."""
    try:
        values = np.ravel(np.asarray(value, dtype=object))
    except ValueError:
        raise InputError(where, "holds arrays of different shapes", ACCEPTED) from None
    return [each.item() if isinstance(each, np.generic) else each for each in values]


def _flag(value: Any) -> bool | None:
    return None if value is None or np.size(value) != 1 else bool(np.ravel(value)[0])


def _matrices(vectors: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    gone = ~complete(vectors)
    found = Rotation.from_rotvec(np.where(gone[:, None], 0.0, vectors)).as_matrix()
    found[gone] = np.nan
    return found
