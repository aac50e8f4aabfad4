"""Keypoints, boxes and middles of bodies that were detected or measured, as files hold them: checked, undistorted.

Keys are ``<body>/keypoints2d`` (frame, keypoint, 3): u, v [px] and confidence in [0, 1], which may be left out,
``<body>/keypoints3d`` (frame, keypoint, 3 or 4): x, y, z [m] in the camera frame and perhaps confidence, both in the
order of the model's keypoints or that of ``<body>/keypoint_names``; ``<body>/box2d`` (frame, 4): left, top, right,
bottom [px]; and ``<body>/center`` (frame, 3) [m]: where the middle of the body's bounding box is in the camera frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from warpprior.bodies.body import Body
from warpprior.io.array_files import note_strangers, read_arrays, write_arrays
from warpprior.io.axes import take_shape
from warpprior.io.pose_arrays import FAR_M
from warpprior.observations import CHANNELS, DETECTIONS, READERS, reads
from warpprior.scene import Camera, Scene
from warpprior.support.errors import InputError
from warpprior.support.missing_points import SAME_PLACE_M, SAME_PLACE_PX, at_one_place, marked_missing
from warpprior.support.wording import frame_list

STORED = {name: stored for name in DETECTIONS if (stored := CHANNELS[name].stored) is not None}
"""Fields of a scene, and what they are called in files."""
FIELDS = (*STORED.values(), "keypoint_names")
FAR = 10.0  # image sizes outside the picture: nothing that is looked for
FRACTION = 2.0  # [px]: points that all lie within are stated in parts of the picture
_BORDER = 32  # points along each side of a box whose lens distortion is removed

Rectify = Callable[[np.ndarray], np.ndarray]
Arrays = Mapping[str, np.ndarray]


def load_detections(
    path: str | Path,
    bodies: Iterable[Body],
    camera: Camera,
    *,
    frame_count: int,
    rectify: Rectify | None = None,
    notes: list[str],
) -> dict[str, dict[str, np.ndarray]]:
    """Read what was detected in pictures and measured in space.

    Args:
        path: an ``.npz`` file.
        bodies: the bodies of the scene.
        camera: whose pictures they were found in.
        frame_count: frames the file must have.
        rectify: removes lens distortion from points (..., 2) [px]; NaN where there is no such point.
        notes: warnings are appended, one sentence each.

    Returns:
        by field of a scene and body name, float64: ``keypoints2d`` (frame, keypoint, 3), ``boxes`` (frame,
        4), ``keypoints3d`` (frame, keypoint, 4) and ``centers`` (frame, 3).  Keypoints that say nothing, and those that
        were not found and marked so by their place, are NaN with confidence 0, boxes and centres that say nothing NaN.

    Raises:
        InputError: naming file, body and field.
    """
    arrays, bodies = read_arrays(path, frame_count=frame_count), list(bodies)
    reader = _Reader(path, arrays, camera, frame_count, rectify)
    note_strangers(arrays, {body.name for body in bodies}, FIELDS, reader.notes)
    found = {
        field: {body.name: READERS[field](reader, body) for body in bodies if f"{body.name}/{key}" in arrays}
        for field, key in STORED.items()
    }
    if not any(found.values()):
        names = ", ".join(body.name for body in bodies)
        accepted = "keys are " + ", ".join(f"<body>/{field}" for field in STORED.values())
        raise InputError(str(path), f"has nothing that was detected of {names}", accepted)
    notes.extend(f"{Path(path).name}: {note}" for note in dict.fromkeys(reader.notes))
    return found


def save_detections(path: str | Path, scene: Scene) -> None:
    """Write what a scene holds of them as :func:`load_detections` reads it, atomically.

    Raises:
        RunError: the file system refused.
    """
    arrays = {
        f"{name}/{key}": values for field, key in STORED.items() for name, values in getattr(scene, field).items()
    }
    for name in {**scene.keypoints2d, **scene.keypoints3d}:
        keypoints = scene.body(name).body.keypoints
        assert keypoints is not None  # a scene has none of bodies without
        names = keypoints.names
        arrays[f"{name}/keypoint_names"] = np.array(names, dtype=np.str_)
    write_arrays(path, arrays)


class _Reader:
    """One file being read."""

    def __init__(self, path: str | Path, arrays: Arrays, camera: Camera, frame_count: int, rectify: Rectify | None):
        self._path, self._arrays, self._camera = path, arrays, camera
        self._frame_count, self._rectify = frame_count, rectify
        self.notes: list[str] = []

    @reads("keypoints2d")
    def keypoints2d(self, body: Body) -> np.ndarray:
        """Keypoints of one body in the picture (frame, keypoint, 3) in the model's order."""
        key, names, count = self._columns(body, "keypoints2d")
        place = f"{self._path}: {key}"
        accepted = f"needs (frame, {count}, 3): u, v [px] and confidence of {count} keypoints"
        frames = self._frame_count
        stored = self._numbers(place, key, accepted, (frames, count, 3), (frames, count, 2))
        if stored.shape[-1] == 2:
            self.notes.append(f"{key} has no confidences; taken as 1 where there is a point")
            stored = np.concatenate([stored, np.ones((*stored.shape[:2], 1))], axis=-1)
        points, confidence = stored[..., :2], stored[..., 2]
        self._note_negative(key, confidence)
        missing = ~np.isfinite(stored).all(axis=-1) | (confidence <= 0.0)
        missing |= self._unmarked(key, np.where(missing[..., None], np.nan, points))
        usable = np.where(missing[..., None], np.nan, points)
        self._check_pixels(place, usable)
        confidence = self._limited(key, np.where(missing, 0.0, confidence))
        far = self._far(usable)
        if far.any():
            frames = frame_list(np.flatnonzero(far.any(axis=1)))
            self.notes.append(f"{key} is far outside the picture in {frames}; left out")
        usable = np.where(far[..., None], np.nan, usable)
        if self._rectify is not None:
            usable = self._rectify(usable)
        known = np.isfinite(usable).all(axis=-1)
        if not known.any():
            raise InputError(place, "no point is usable", "needs finite points of a confidence above zero")
        return self._in_order(body, names, usable, np.where(known, confidence, 0.0))

    @reads("keypoints3d")
    def keypoints3d(self, body: Body) -> np.ndarray:
        """Keypoints of one body in space (frame, keypoint, 4) in the model's order."""
        key, names, count = self._columns(body, "keypoints3d")
        place = f"{self._path}: {key}"
        accepted = f"needs (frame, {count}, 3) or (frame, {count}, 4): x, y, z [m] and perhaps confidence"
        stored = self._numbers(place, key, accepted, *((self._frame_count, count, width) for width in (3, 4)))
        confidence = stored[..., 3] if stored.shape[-1] == 4 else np.ones(stored.shape[:2])
        missing = ~np.isfinite(stored).all(axis=-1) | (confidence <= 0.0)
        confidence = self._limited(key, np.where(missing, 0.0, confidence))
        usable = self._in_reach(place, key, np.where(missing[..., None], np.nan, stored[..., :3]))
        usable = np.where(self._together(key, usable, SAME_PLACE_M)[..., None], np.nan, usable)
        return self._in_order(body, names, usable, np.where(np.isnan(usable[..., 0]), 0.0, confidence))

    @reads("centers")
    def centers(self, body: Body) -> np.ndarray:
        """Middle of one body in space (frame, 3)."""
        key = f"{body.name}/center"
        place = f"{self._path}: {key}"
        stored = self._numbers(place, key, "needs (frame, 3): x, y, z [m] of the middle", (self._frame_count, 3))
        missing = ~np.all(np.isfinite(stored), axis=1)
        return self._in_reach(place, key, np.where(missing[:, None], np.nan, stored))

    @reads("boxes")
    def boxes(self, body: Body) -> np.ndarray:
        """Boxes of one body (frame, 4); with distortion, the box around the rectified outline."""
        place = f"{self._path}: {body.name}/box2d"
        key, accepted = f"{body.name}/box2d", "needs (frame, 4): left, top, right, bottom [px]"
        box = self._numbers(place, key, accepted, (self._frame_count, 4))
        missing = ~np.all(np.isfinite(box), axis=1)
        marked = np.all(marked_missing(box.reshape(-1, 2, 2)), axis=1)
        if marked.any():
            self.notes.append(f"{key} is all zeros or -1 in {frame_list(np.flatnonzero(marked))}; taken as no box")
        missing |= marked
        wrong = ~missing & ((box[:, 2] <= box[:, 0]) | (box[:, 3] <= box[:, 1]))
        if wrong.any():
            frame = int(np.flatnonzero(wrong)[0])
            found = f"is {np.round(box[frame], 1).tolist()}"
            accepted = "needs left, top, right, bottom (not width, height) with left < right and top < bottom, or NaN"
            raise InputError(f"{place}, frame {frame}", found, accepted)
        corners = np.where(missing[:, None], np.nan, box).reshape(-1, 2, 2)
        self._check_pixels(place, corners)
        if self._rectify is not None:
            corners = self._rectified_corners(corners, self._rectify)
        result = corners.reshape(-1, 4)
        result[~np.isfinite(result).all(axis=1)] = np.nan
        if np.isnan(result).all():
            raise InputError(place, "no box is finite", "needs a box in one frame at least; leave the field out")
        return result

    def _columns(self, body: Body, field: str) -> tuple[str, np.ndarray | None, int]:
        """Key of a body's keypoints, the names of their columns if they are stated, and how many there must be."""
        key = f"{body.name}/{field}"
        if body.keypoint_count == 0:
            found = f"the {body.kind} {body.name!r} has no keypoints"
            raise InputError(f"{self._path}: {key}", found, "leave the field out")
        names = self._arrays.get(f"{body.name}/keypoint_names")
        return key, names, body.keypoint_count if names is None else len(np.atleast_1d(names))

    def _numbers(self, place: str, key: str, accepted: str, *shapes: tuple[int, ...]) -> np.ndarray:
        value = self._arrays[key]
        if value.dtype.kind not in "fiu":
            raise InputError(place, f"has values of type {value.dtype}", "needs plain numbers")
        return take_shape(value, shapes, place, accepted, self.notes).astype(np.float64)

    def _unmarked(self, key: str, points: np.ndarray) -> np.ndarray:
        """Points (frame, keypoint) bool that were not found, though their confidence does not say so; with a note."""
        missing = self._together(key, points, SAME_PLACE_PX)
        marked = marked_missing(points) & ~missing
        if marked.any():
            frames = frame_list(np.flatnonzero(marked.any(axis=1)))
            self.notes.append(f"{key}: {marked.sum()} points at (-1, -1) or (0, 0) in {frames}; left out as not found")
        return missing | marked

    def _together(self, key: str, points: np.ndarray, reach: float) -> np.ndarray:
        """Points (frame, keypoint) bool of frames in which all points lie at one place; with a note."""
        together = at_one_place(points, reach)
        if together.any():
            frames = np.flatnonzero(together)
            known = np.isfinite(points[frames[0]]).all(axis=-1)
            where = ", ".join(f"{value:g}" for value in points[frames[0], np.argmax(known)])
            found = f"all points lie at one place, ({where}), in {frame_list(frames)}"
            if not (np.isfinite(points).all(axis=-1) & ~together[:, None]).any():
                raise InputError(f"{self._path}: {key}", found, "needs points that were found, NaN where none was")
            self.notes.append(f"{key}: {found} ({len(frames)} of {self._frame_count}); left out as not found")
        return np.broadcast_to(together[:, None], points.shape[:2])

    def _in_reach(self, place: str, key: str, points: np.ndarray) -> np.ndarray:
        """Points (frame, ..., 3) [m], NaN where there are none: what cannot be where it is said to be is left out."""
        known = np.isfinite(points[..., 0])
        if not known.any():
            raise InputError(place, "no point is usable", "needs finite points; leave the field out if there are none")
        with np.errstate(invalid="ignore"):
            far = (np.abs(points) > FAR_M).any(axis=-1)
            behind = ~far & (points[..., 2] <= 0.0)
        if 2 * far.sum() >= known.sum():
            found = f"is {np.median(np.linalg.norm(points[known], axis=-1)):.0f} m from the camera"
            raise InputError(place, found, f"needs metres, at most {FAR_M:g}; mark what is missing with NaN")
        if (far | behind)[known].all():
            accepted = "z points forward; points in OpenGL axes have y and z reversed"
            raise InputError(place, "is nowhere in front of the camera", accepted)
        for wrong, words in ((far, f"more than {FAR_M:g} m from the camera"), (behind, "not in front of the camera")):
            if wrong.any():
                frames = frame_list(np.flatnonzero(wrong.reshape(self._frame_count, -1).any(axis=1)))
                self.notes.append(f"{key} is {words} in {frames}; left out")
        return np.where((far | behind)[..., None], np.nan, points)

    def _check_pixels(self, place: str, points: np.ndarray) -> None:
        """Refuse points in parts of the picture instead of pixels."""
        finite = points[np.isfinite(points).all(axis=-1)]
        if len(finite) > 1 and np.abs(finite).max() <= FRACTION:
            found = f"no point is more than {np.abs(finite).max():.3g} from the corner of the picture"
            raise InputError(place, found, f"needs pixels of a picture of {self._camera.width} x {self._camera.height}")

    def _far(self, points: np.ndarray) -> np.ndarray:
        size = np.array([self._camera.width, self._camera.height])
        with np.errstate(invalid="ignore"):
            return np.any((points < -FAR * size) | (points > (1.0 + FAR) * size), axis=-1)

    def _note_negative(self, key: str, confidence: np.ndarray) -> None:
        """A third number below zero, but for -1, is no confidence: MediaPipe's is a depth."""
        below = (confidence < 0.0) & (confidence != -1.0)
        if below.any():
            found = f"{np.count_nonzero(below)} confidences below 0, down to {confidence[below].min():.3g}"
            advice = "if the third number is MediaPipe's depth, give u, v alone"
            self.notes.append(f"{key} has {found}; those points were left out; {advice}")

    def _limited(self, key: str, confidence: np.ndarray) -> np.ndarray:
        """Confidence, at most 1."""
        above = confidence > 1.0
        if above.any():
            frames = frame_list(np.flatnonzero(above.any(axis=1)))
            self.notes.append(f"{key} has confidences up to {confidence.max():.3g} in {frames}; taken as 1")
        return np.minimum(confidence, 1.0)

    @staticmethod
    def _rectified_corners(corners: np.ndarray, rectify: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Corners (frame, 2, 2) of the box around the outline of each box, seen by the pinhole camera."""
        t = np.linspace(0.0, 1.0, _BORDER, endpoint=False)
        zero, one = np.zeros_like(t), np.ones_like(t)
        shares = np.concatenate([np.stack(side, axis=1) for side in ((t, zero), (one, t), (1 - t, one), (zero, 1 - t))])
        low, high = corners[:, None, 0], corners[:, None, 1]
        outline = rectify(low + shares * (high - low))
        return np.stack([outline.min(axis=1), outline.max(axis=1)], axis=1)

    def _in_order(self, body: Body, names: np.ndarray | None, points: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        """Points and confidence in one array, columns in the model's order; those the file has not say nothing."""
        points = np.where(confidence[..., None] > 0.0, points, np.nan)
        values = np.concatenate([points, confidence[..., None]], axis=-1)
        if names is None:
            return values
        place = f"{self._path}: {body.name}/keypoint_names"
        if names.dtype.kind != "U" or names.ndim != 1:
            found = f"has type {names.dtype} and shape {names.shape}"
            raise InputError(place, found, "needs one text per keypoint")
        stated = [str(name) for name in names]
        if len(set(stated)) < len(stated):
            raise InputError(place, "names a keypoint twice", "needs each keypoint once")
        own = body.keypoints.names if body.keypoints is not None else ()
        strange = [name for name in stated if name not in own]
        if len(strange) == len(stated):
            raise InputError(place, f"has none of the model's keypoints: {', '.join(strange[:4])}", ", ".join(own))
        if strange:
            self.notes.append(f"{body.name}/keypoint_names has {', '.join(strange[:8])}, which the model has not")
        result = np.full((len(values), len(own), values.shape[-1]), np.nan)
        result[..., -1] = 0.0
        for column, name in enumerate(own):
            if name in stated:
                result[:, column] = values[:, stated.index(name)]
        return result
