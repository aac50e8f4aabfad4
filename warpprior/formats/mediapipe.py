"""``mediapipe``: results of MediaPipe's hand landmarker as JSON, a list with an entry for each frame.

An entry has ``handedness``, ``hand_landmarks`` (x, y in shares of the picture) and ``hand_world_landmarks`` (metres
about the hand's middle), in the names of Python or of JavaScript (mediapipe/tasks/python/vision/hand_landmarker.py).
Hands have no number: which is which is told by handedness, whose words are those of a mirrored picture in
early releases.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.formats.format import Format
from warpprior.formats.parts.crop_camera import placed
from warpprior.formats.parts.hands_alone import hands_recording
from warpprior.formats.parts.text_files import read_json
from warpprior.formats.recording import Recording
from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.scene import Camera
from warpprior.support.errors import InputError
from warpprior.support.limits import number
from warpprior.support.options import option

_KEYS = {
    "sides": ("handedness", "handednesses"),
    "flat": ("hand_landmarks", "landmarks", "handLandmarks"),
    "deep": ("hand_world_landmarks", "worldLandmarks", "world_landmarks", "handWorldLandmarks"),
}
_ACCEPTED = "give results of MediaPipe's hand landmarker, an entry for each frame"
_WORDS = ("category_name", "categoryName", "display_name", "displayName", "label")
_POINTS = 21
_DEEP_SIGMA_M = 0.015


@dataclass(frozen=True)
class MediaPipeOptions:
    """Options of ``mediapipe``."""

    width: int | None = option("width of the pictures in pixels", number(None, 16, 16384))
    height: int | None = option("height of the pictures in pixels", number(None, 16, 16384))
    focal: float | None = option("focal length in pixels (default: the pictures' longer side)", number(None, 1.0, 1e6))
    mirrored: bool = option("words for left and right are those of a mirrored picture: exchange them", False)
    fps: float = option("frames per second", number(30.0, 0.01, 10_000.0))


class MediaPipeFormat(Format):
    """Results of MediaPipe's hand landmarker."""

    name = "mediapipe"
    title = "results of MediaPipe's hand landmarker (JSON, an entry for each frame)"
    reads = "both hands as our own: 2D keypoints, and world landmarks put where the picture shows them; missing frames"
    verified = "files in its layout in the names of Python and JavaScript; nothing of it ran here"
    Options = MediaPipeOptions

    def recognises(self, path: Path) -> str:
        if path.suffix.lower() != ".json" or not path.is_file():
            return ""
        with open(path, "rb") as stream:
            start = stream.read(1 << 16)
        key = next((key for key in (*_KEYS["deep"], *_KEYS["flat"][::2]) if f'"{key}"'.encode() in start), "")
        return f"{key} in {path.name}" if key else ""

    def read(self, source: Path, options: MediaPipeOptions) -> Recording:
        return _read(source, options)


def _read(source: Path, options: MediaPipeOptions) -> Recording:
    tree = read_json(source, "results of MediaPipe")
    frames = tree.get("frames", tree.get("results")) if isinstance(tree, dict) else tree
    if not isinstance(frames, list) or not 1 <= len(frames) <= FRAME_LIMIT:
        raise InputError(str(source), "is no list of frames", _ACCEPTED)
    if options.width is None or options.height is None:
        raise InputError(str(source), "does not say how large its pictures were", "--width and --height")
    notes: list[str] = []
    width, height = int(options.width), int(options.height)
    focal = options.focal or float(max(width, height))
    if options.focal is None:
        notes.append(f"focal length: guessed to be {focal:g} px, the longer side of the pictures: --focal")
    camera = Camera(width, height, focal, focal, 0.5 * width, 0.5 * height)
    flat = {side: np.zeros((len(frames), _POINTS, 3)) for side in ("left", "right")}
    deep = {side: np.zeros((len(frames), _POINTS, 4)) for side in ("left", "right")}
    twice = 0
    for row, frame in enumerate(frames):
        where = f"{source}: frame {row}"
        for side, score, points, places in _hands(frame, where, options.mirrored):
            twice += bool(flat[side][row, 0, 2] > 0.0)
            if score <= flat[side][row, 0, 2]:
                continue
            pixels = points[:, :2] * [width, height]
            flat[side][row] = np.column_stack([pixels, np.full(_POINTS, score)])
            if places is not None:
                deep[side][row, :, :3] = placed(places, pixels, camera)
                deep[side][row, :, 3] = score * (deep[side][row, :, 2] > 0.0)
    if twice:
        notes.append(f"{twice} times two hands were said to be of one side; the surer one was taken")
    if options.mirrored:
        notes.append("left and right were exchanged, as asked")
    deep = {side: values for side, values in deep.items() if values[..., 3].any()}
    if deep:
        notes.append("world landmarks were put where the picture shows them, at the depth that their size tells")
    noise = {"keypoints3d": _DEEP_SIGMA_M} if deep else {}
    return hands_recording(source.stem, camera, options.fps, flat, deep, notes, noise=noise)


def _hands(frame: Any, where: str, mirrored: bool):
    """Side, score, landmarks (21, 3) and world landmarks (21, 3) or None of each hand of a frame."""
    if frame is None:
        return
    if not isinstance(frame, dict):
        raise InputError(where, f"is a {type(frame).__name__}", _ACCEPTED)
    lists = {key: next((frame[name] for name in names if name in frame), []) or [] for key, names in _KEYS.items()}
    if not all(isinstance(value, list) for value in lists.values()) or len(lists["sides"]) != len(lists["flat"]):
        raise InputError(where, "has no handedness for each hand", _ACCEPTED)
    for index, said in enumerate(lists["sides"]):
        said = said[0] if isinstance(said, list) and said else said
        said = said if isinstance(said, dict) else {}
        words = (said.get(key) for key in _WORDS)
        side = next((word.lower() for word in words if isinstance(word, str) and word), "")
        if side not in ("left", "right"):
            raise InputError(where, f"a hand that is {side[:20]!r}", "Left or Right")
        if mirrored:
            side = {"left": "right", "right": "left"}[side]
        score = said.get("score", 1.0)
        score = min(max(float(score), 1e-3), 1.0) if isinstance(score, (int, float)) and score == score else 1.0
        deep = _points(lists["deep"][index], where) if index < len(lists["deep"]) else None
        yield side, score, _points(lists["flat"][index], where), deep


def _points(value: Any, where: str) -> np.ndarray:
    """Landmarks (21, 3)."""
    try:
        found = np.array([[float(point[axis]) for axis in "xyz"] for point in value])
    except (TypeError, KeyError, ValueError, IndexError, OverflowError):
        raise InputError(where, "has landmarks without x, y and z", _ACCEPTED) from None
    if found.shape != (_POINTS, 3) or not (np.abs(found) < 1e4).all():
        raise InputError(where, f"has landmarks of shape {found.shape}, or not finite", f"needs {_POINTS} of a hand")
    return found


FORMAT = MediaPipeFormat()
