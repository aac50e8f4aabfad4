"""Videos through OpenCV, frame by frame: never more of them in memory than a few pictures.

A video is looked through once, for its header may say another number of frames than it has, and its frames may not be
evenly spaced.  A frame is found again by its time: where the decoder lands elsewhere, it is read up to there.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from warpprior.formats.parts.pictures import Masks
from warpprior.io.images import import_cv2
from warpprior.io.rectify import Rectifier
from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.scene import Camera
from warpprior.support.errors import InputError
from warpprior.support.files import open_regular

VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm")
MOST_PIXELS = 64 << 20
_KEPT_BYTES = 32 << 20  # of decoded pictures
_EVEN = 0.02  # share of a frame's time by which evenly spaced frames may be off
_COLORED = 24  # channels of a mask differ by less, however it was packed
_WHITE = 127
_ACCEPTED = "needs a video that OpenCV reads: MP4, MOV, AVI, Matroska or WebM"


@dataclass(frozen=True, eq=False)
class Video:
    """What a video is.

    Attributes:
        path: the file.
        count: frames that can be decoded.
        size: width and height [px].
        times: of the frames (frame,) [s], from the first; zeros where the file has none.
        begin: where the file's own clock begins [s].
        stated: number of frames that its header states.
        rate: frames per second that its header states, 0 where it states none.
    """

    path: Path
    count: int
    size: tuple[int, int]
    times: np.ndarray
    stated: int
    rate: float
    begin: float = 0.0

    def frame_rate(self) -> tuple[float, bool] | None:
        """Frames per second by the times, else by the header, and whether frames are evenly spaced; None: unknown."""
        steps = np.diff(self.times)
        if len(steps) and (steps > 0.0).all():
            usual = float(np.median(steps))
            even = bool(
                np.abs(self.times - np.arange(self.count) * float(np.mean(steps))).max() < _EVEN * usual + 1.1e-3
            )
            return 1.0 / (float(np.mean(steps)) if even else usual), even
        return (self.rate, True) if 0.01 <= self.rate <= 10_000.0 else None


def is_video(path: Path) -> bool:
    """Is it called a video?"""
    return path.suffix.lower() in VIDEOS and path.is_file()


def read_video(path: Path) -> Video:
    """Look through a video.

    Raises:
        InputError: it is none, is damaged, or has too many frames or pixels.
        MissingExtraError: OpenCV is not installed.
    """
    where = str(path)
    with open_regular(path, where, _ACCEPTED) as stream:
        status, start = os.fstat(stream.fileno()), stream.read(16)
    known = (
        start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
        or start.startswith(b"\x1aE\xdf\xa3")
        or (start.startswith(b"RIFF") and start[8:12] == b"AVI ")
    )
    if not known:
        raise InputError(where, "does not begin as a video does", _ACCEPTED)
    return _looked_through(os.path.abspath(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _looked_through(path: str, size: int, changed: int) -> Video:
    cv2 = import_cv2()
    capture = _opened(path)
    stated = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    rate = capture.get(cv2.CAP_PROP_FPS)
    good, image = capture.read()
    if not good or image is None or image.ndim != 3:
        raise InputError(path, "has no frame that can be decoded", _ACCEPTED)
    times = [capture.get(cv2.CAP_PROP_POS_MSEC)]
    while capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        if len(times) > FRAME_LIMIT:
            raise InputError(path, f"has more than {FRAME_LIMIT} frames", "a clip")
    capture.release()
    seconds = np.nan_to_num(np.array(times)) / 1000.0
    height, width = image.shape[:2]
    known = int(stated) if 0 <= stated < 1e9 else 0
    rate, begin = rate if rate == rate else 0.0, float(seconds[0])
    return Video(Path(path), len(times), (width, height), seconds - begin, known, rate, begin)


def _opened(path: str) -> Any:
    cv2 = import_cv2()
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise InputError(path, "cannot be opened as a video", _ACCEPTED)
    pixels = capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    if not 1 <= pixels <= MOST_PIXELS:
        raise InputError(path, f"has frames of {pixels:.3g} pixels", f"1 to {MOST_PIXELS}")
    return capture


class VideoFrames:
    """Frames of a video (height, width, 3) uint8 BGR, in any order, in one go where they are asked for in turn.

    Args:
        video: as ``read_video`` found it.
    """

    def __init__(self, video: Video):
        self.video = video
        self._forget()

    def _forget(self) -> None:
        self._capture: Any = None
        self._next = 0
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = Lock()

    def __getstate__(self) -> dict:
        return {"video": self.video}

    def __setstate__(self, state: dict) -> None:
        self.video = state["video"]
        self._forget()

    def __call__(self, frame: int) -> np.ndarray:
        """One frame, not to be written to.

        Raises:
            InputError: it cannot be decoded any more.
        """
        with self._lock:
            if frame not in self._kept:
                image = self._decoded(frame)
                image.setflags(write=False)
                self._kept[frame] = image
                while len(self._kept) > max(1, _KEPT_BYTES // image.nbytes):
                    self._kept.popitem(last=False)
            return self._kept[frame]

    def _decoded(self, frame: int) -> np.ndarray:
        if self._capture is None or frame < self._next or frame > self._next + 32:
            self._seek(frame)
        capture: Any = self._capture
        while self._next < frame:
            if not capture.grab():
                raise self._refusal(frame)
            self._next += 1
        good, image = capture.read()
        self._next += 1
        if not good or image is None or image.shape[1::-1] != self.video.size:
            raise self._refusal(frame)
        return image

    def _seek(self, frame: int) -> None:
        """Go to a frame: by its number, which is believed where the frame before has the time it should have."""
        cv2 = import_cv2()
        if self._capture is not None:
            self._capture.release()
        self._capture, self._next = _opened(str(self.video.path)), 0
        times = self.video.times
        if frame < 64 or not (np.diff(times) > 0.0).all():
            return
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, frame - 1)
        due = times[frame - 1] + self.video.begin
        if self._capture.grab() and abs(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0 - due) < 1e-3:
            self._next = frame
            return
        self._capture.release()
        self._capture, self._next = _opened(str(self.video.path)), 0

    def _refusal(self, frame: int) -> InputError:
        found = f"frame {frame} cannot be decoded, though it could"
        return InputError(str(self.video.path), found, "is it being written to?")


@dataclass(frozen=True)
class VideoColors:
    """``Scene.read_rgb`` of a video.

    Attributes:
        frames: of the video.
        rows: frame of the video of each frame.
        rectifier: takes lens distortion out, or None.
    """

    frames: VideoFrames
    rows: dict[int, int]
    rectifier: Rectifier | None = None

    def __call__(self, frame: int) -> np.ndarray | None:
        """Colour picture (height, width, 3) uint8 RGB of one frame, or None where there is none."""
        row = self.rows.get(frame)
        if row is None:
            return None
        image = np.ascontiguousarray(self.frames(row)[..., ::-1])
        return image if self.rectifier is None else self.rectifier.linear(image)


@dataclass(frozen=True)
class VideoMasks:
    """Masks of one object in a video of grey pictures; as ``pictures.Masks``."""

    frames: VideoFrames
    rows: dict[int, int] = field(default_factory=dict)

    def __call__(self, frame: int) -> np.ndarray | None:
        row = self.rows.get(frame)
        if row is None:
            return None
        image = self.frames(row)
        spread = image.max(axis=2).astype(int) - image.min(axis=2)
        if spread.max() > _COLORED and np.count_nonzero(spread > _COLORED) > 0.001 * spread.size:
            found = f"frame {row} is coloured"
            raise InputError(str(self.frames.video.path), found, "needs masks: black, and white where the object is")
        return image[..., 1] > _WHITE


def check_video_size(video: Video, camera: Camera) -> None:
    """InputError where a video has another size than the camera's pictures."""
    if video.size != (camera.width, camera.height):
        found = f"has {video.size[0]} x {video.size[1]} pixels"
        raise InputError(str(video.path), found, f"the pictures have {camera.width} x {camera.height}")


def video_masks(path: Path, rows: dict[int, int], camera: Camera) -> Masks:
    """Masks of one object in a video, by frame."""
    video = read_video(path)
    check_video_size(video, camera)
    return VideoMasks(VideoFrames(video), rows)
