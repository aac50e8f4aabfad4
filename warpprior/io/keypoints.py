"""Keypoints and boxes that detectors found in the pictures, as files hold them: checked, and freed of distortion.

Keys are ``<body>/keypoints2d`` (frame, keypoint, 3): u, v [px] and confidence in [0, 1], in the order of the model's
keypoints or that of ``<body>/keypoint_names``, and ``<body>/box2d`` (frame, 4): left, top, right, bottom [px].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from warpprior.bodies.body import Body
from warpprior.errors import InputError
from warpprior.io.arrays import read_arrays, write_arrays
from warpprior.io.wording import frame_list, nearest
from warpprior.scene import Camera, Scene

FIELDS = ("keypoints2d", "keypoint_names", "box2d")
FAR = 10.0  # image sizes outside the picture: nothing that is looked for
FRACTION = 2.0  # [px]: points that all lie within are stated in parts of the picture
_BORDER = 32  # points along each side of a box whose lens distortion is removed

Rectify = Callable[[np.ndarray], np.ndarray]


def load_detections(
    path: str | Path,
    bodies: Iterable[Body],
    camera: Camera,
    *,
    frame_count: int,
    rectify: Rectify | None = None,
    notes: list[str],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Read detected keypoints and boxes.

    Args:
        path: an ``.npz`` file.
        bodies: the bodies of the scene.
        camera: whose pictures they were found in.
        frame_count: frames the file must have.
        rectify: removes lens distortion from points (..., 2) [px]; NaN where there is no such point.
        notes: warnings are appended, one sentence each.

    Returns:
        keypoints (frame, keypoint, 3) and boxes (frame, 4) by body name, float64: points that say nothing are NaN
        with confidence 0, boxes that say nothing NaN.

    Raises:
        InputError: naming file, body and field.
    """
    arrays, bodies = read_arrays(path), list(bodies)
    reader = _Reader(path, arrays, camera, frame_count, rectify)
    reader.note_strangers({body.name for body in bodies})
    keypoints, boxes = {}, {}
    for body in bodies:
        if f"{body.name}/keypoints2d" in arrays:
            keypoints[body.name] = reader.keypoints(body)
        if f"{body.name}/box2d" in arrays:
            boxes[body.name] = reader.boxes(body.name)
    if not keypoints and not boxes:
        names = [body.name for body in bodies]
        found = f"has neither keypoints2d nor box2d of {', '.join(names)}"
        raise InputError(str(path), found, "keys are <body>/keypoints2d and <body>/box2d")
    notes.extend(f"{Path(path).name}: {note}" for note in reader.notes)
    return keypoints, boxes


def save_detections(path: str | Path, scene: Scene) -> None:
    """Write the keypoints and boxes of a scene as :func:`load_detections` reads them, atomically.

    Raises:
        RunError: the file system refused.
    """
    arrays = {f"{name}/keypoints2d": values for name, values in scene.keypoints.items()}
    for name in scene.keypoints:
        names = scene.body(name).body.keypoints.names
        arrays[f"{name}/keypoint_names"] = np.array(names, dtype=np.str_)
    arrays |= {f"{name}/box2d": values for name, values in scene.boxes.items()}
    write_arrays(path, arrays)


class _Reader:
    """One file being read."""

    def __init__(self, path: str | Path, arrays: dict, camera: Camera, frame_count: int, rectify: Rectify | None):
        self._path, self._arrays, self._camera = path, arrays, camera
        self._frame_count, self._rectify = frame_count, rectify
        self.notes: list[str] = []

    def note_strangers(self, names: set[str]) -> None:
        strangers = sorted({key.partition("/")[0] for key in self._arrays} - names)
        if strangers:
            self.notes.append(f"holds {', '.join(strangers)}, which no body is called; ignored")
        for key in self._arrays:
            name, _, field = key.partition("/")
            if name in names and field not in FIELDS:
                self.notes.append(f"{key} is not a known field ({nearest(field, FIELDS)}ignored)")

    def keypoints(self, body: Body) -> np.ndarray:
        """Keypoints of one body (frame, keypoint, 3) in the model's order."""
        place = f"{self._path}: {body.name}/keypoints2d"
        if body.keypoint_count == 0:
            raise InputError(place, f"the {body.kind} {body.name!r} has no keypoints", "leave the field out")
        names = self._arrays.get(f"{body.name}/keypoint_names")
        count = body.keypoint_count if names is None else len(np.atleast_1d(names))
        stored = self._numbers(place, f"{body.name}/keypoints2d", (self._frame_count, count, 3))
        points, confidence = stored[..., :2], stored[..., 2]
        missing = ~np.isfinite(stored).all(axis=-1) | (confidence <= 0.0)
        usable = np.where(missing[..., None], np.nan, points)
        self._check_pixels(place, usable)
        self._limit_confidence(body.name, np.where(missing, 0.0, confidence))
        far = self._far(usable)
        if far.any():
            frames = frame_list(np.flatnonzero(far.any(axis=1)))
            self.notes.append(f"{body.name}/keypoints2d is far outside the picture in {frames}; left out")
        usable = np.where(far[..., None], np.nan, usable)
        if self._rectify is not None:
            usable = self._rectify(usable)
        known = np.isfinite(usable).all(axis=-1)
        result = np.concatenate([usable, np.where(known, np.minimum(confidence, 1.0), 0.0)[..., None]], axis=-1)
        result[~known, :2] = np.nan
        if not known.any():
            raise InputError(place, "no point is usable", "needs finite points of a confidence above zero")
        return result if names is None else self._in_order(body, names, result)

    def boxes(self, name: str) -> np.ndarray:
        """Boxes of one body (frame, 4); with distortion, the box around the rectified outline."""
        place = f"{self._path}: {name}/box2d"
        box = self._numbers(place, f"{name}/box2d", (self._frame_count, 4))
        missing = ~np.isfinite(box).all(axis=1)
        wrong = ~missing & ((box[:, 2] <= box[:, 0]) | (box[:, 3] <= box[:, 1]))
        if wrong.any():
            frame = int(np.flatnonzero(wrong)[0])
            found = f"is {np.round(box[frame], 1).tolist()}"
            accepted = "needs left, top, right, bottom with left < right and top < bottom, or NaN"
            raise InputError(f"{place}, frame {frame}", found, accepted)
        corners = np.where(missing[:, None], np.nan, box).reshape(-1, 2, 2)
        self._check_pixels(place, corners)
        if self._rectify is not None:
            corners = self._rectified_corners(corners)
        result = corners.reshape(-1, 4)
        result[~np.isfinite(result).all(axis=1)] = np.nan
        if np.isnan(result).all():
            raise InputError(place, "no box is finite", "needs a box in one frame at least; leave the field out")
        return result

    def _numbers(self, place: str, key: str, shape: tuple[int, ...]) -> np.ndarray:
        value = self._arrays[key]
        if value.dtype.kind not in "fiu" or value.shape != shape:
            found = f"has shape {value.shape} and type {value.dtype}"
            raise InputError(place, found, f"needs numbers of shape {shape}")
        return value.astype(np.float64)

    def _check_pixels(self, place: str, points: np.ndarray) -> None:
        """Refuse points in parts of the picture instead of pixels."""
        finite = points[np.isfinite(points).all(axis=-1)]
        if len(finite) > 1 and np.abs(finite).max() <= FRACTION:
            found = f"no point is more than {np.abs(finite).max():.3g} from the corner of the picture"
            raise InputError(place, found, f"needs pixels of a picture of {self._camera.width} x {self._camera.height}")

    def _far(self, points: np.ndarray) -> np.ndarray:
        size = np.array([self._camera.width, self._camera.height])
        with np.errstate(invalid="ignore"):
            return ((points < -FAR * size) | (points > (1.0 + FAR) * size)).any(axis=-1)

    def _limit_confidence(self, name: str, confidence: np.ndarray) -> None:
        above = confidence > 1.0
        if above.any():
            frames = frame_list(np.flatnonzero(above.any(axis=1)))
            self.notes.append(
                f"{name}/keypoints2d has confidences up to {confidence.max():.3g} in {frames}; taken as 1"
            )

    def _rectified_corners(self, corners: np.ndarray) -> np.ndarray:
        """Corners (frame, 2, 2) of the box around the outline of each box, seen by the pinhole camera."""
        t = np.linspace(0.0, 1.0, _BORDER, endpoint=False)
        zero, one = np.zeros_like(t), np.ones_like(t)
        shares = np.concatenate([np.stack(side, axis=1) for side in ((t, zero), (one, t), (1 - t, one), (zero, 1 - t))])
        low, high = corners[:, None, 0], corners[:, None, 1]
        outline = self._rectify(low + shares * (high - low))
        return np.stack([outline.min(axis=1), outline.max(axis=1)], axis=1)

    def _in_order(self, body: Body, names: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Columns by name in the model's order; those the file has not say nothing."""
        place = f"{self._path}: {body.name}/keypoint_names"
        if names.dtype.kind != "U" or names.ndim != 1:
            found = f"has type {names.dtype} and shape {names.shape}"
            raise InputError(place, found, "needs one text per keypoint")
        stated = [str(name) for name in names]
        if len(set(stated)) < len(stated):
            raise InputError(place, "names a keypoint twice", "needs each keypoint once")
        own = body.keypoints.names
        strange = [name for name in stated if name not in own]
        if len(strange) == len(stated):
            raise InputError(place, f"has none of the model's keypoints: {', '.join(strange[:4])}", ", ".join(own))
        if strange:
            self.notes.append(f"{body.name}/keypoint_names has {', '.join(strange[:8])}, which the model has not")
        result = np.full((len(values), len(own), 3), [np.nan, np.nan, 0.0])
        for column, name in enumerate(own):
            if name in stated:
                result[:, column] = values[:, stated.index(name)]
        return result
