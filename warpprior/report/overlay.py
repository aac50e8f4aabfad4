"""Before and after, side by side: a video of the whole sequence and a sheet of a few frames."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warpprior.io.atomic import atomic_write
from warpprior.report.figures import frame_caption
from warpprior.report.picture import (
    CONTACT,
    DETECTION,
    INK,
    OUTLINES,
    VERDICTS,
    View,
    backdrop,
    choose_view,
    has_rgb,
    mark_contacts,
    mark_keypoints,
    masks_of,
    outline,
    require_cv2,
    write_text,
)
from warpprior.report.uncertainty import SIGMAS, draw_spots, spots_of
from warpprior.report.video import write_video
from warpprior.result import Result
from warpprior.scene import Poses
from warpprior.support.errors import InputError
from warpprior.support.progress import Progress

_CHUNK = 30  # frames drawn at a time, so that memory does not grow with the sequence
_BAR = 30  # height of the lines of text [px]
_JPEG_QUALITY = 88
_GAP = 4  # between panels [px]
_TITLES = ("before", "after")


def write_overlay(
    result: Result,
    path: str | os.PathLike,
    *,
    crf: int = 20,
    size: tuple[int, int] = (640, 480),
    device: str = "cpu",
    progress: Progress | None = None,
) -> None:
    """Write a video of the motion before and after, each body's own outline over the image.

    Where a body is hidden by another its outline is drawn nevertheless.  Without images the labels are shown in greys.
    Detected keypoints are rings, and lines lead from them to the body's own, which are dots.
    Bodies that come with a covariance have an ellipse of three standard deviations around their middle, or their root
    and fingertips; where it would be larger than the picture, words say so.
    The picture is cropped to where the bodies are, in any frame and in either motion.

    Args:
        result: the motion, its scene (whose initial poses are "before"), contacts and metrics.
        path: ``.mp4`` file to write.
        crf: x264's constant rate factor, lower is better and larger.
        size: largest size of each of the two panels, width and height [px].
        device: Warp device that draws the masks.
        progress: called with frames done, frames in all, and what is being done.

    Raises:
        MissingExtraError: OpenCV or imageio-ffmpeg is not installed.
        RunError: the file could not be written.
    """
    require_cv2()
    film = _Film(result, size, device)
    write_video(film.frames(progress), Path(path), fps=result.scene.fps, crf=crf)


def write_sheet(
    result: Result,
    path: str | os.PathLike,
    *,
    count: int = 4,
    size: tuple[int, int] = (400, 300),
    device: str = "cpu",
) -> None:
    """Write a picture of ``count`` frames spread over the sequence, before above after.

    Args:
        result: as for :func:`write_overlay`.
        path: ``.png`` or ``.jpg`` file to write.
        count: number of frames; fewer where the sequence is shorter.
        size: largest size of each panel, width and height [px].
        device: Warp device that draws the masks.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".png", ".jpg"):
        raise InputError(str(path), f"file ending {suffix!r}", ".png or .jpg")
    stills = draw_stills(result, count=count, size=size, device=device)
    with atomic_write(path) as file:
        file.write(encoded(stills.strip, suffix))


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Stills:
    """A few frames of a result.

    Attributes:
        frames: which.
        strip: the frames side by side, before above after (height, width, 3) uint8 RGB.
        poster: one of them as in the video, before beside after (height, width, 3) uint8 RGB.
    """

    frames: tuple[int, ...]
    strip: np.ndarray
    poster: np.ndarray


def draw_stills(result: Result, *, count: int = 4, size: tuple[int, int] = (400, 300), device: str = "cpu") -> Stills:
    """Draw ``count`` frames spread over the sequence; arguments as for :func:`write_sheet`.

    Raises:
        MissingExtraError: OpenCV is not installed.
    """
    require_cv2()
    film = _Film(result, size, device)
    last = result.scene.frame_count - 1
    picked = np.unique(np.linspace(0.08 * last, 0.92 * last, count).round().astype(int))
    drawn = list(film.panels(picked))
    columns = [film.compose(frame, panels, upright=True) for frame, panels in drawn]
    gap = np.full((columns[0].shape[0], _GAP, 3), INK, np.uint8)
    strip = np.concatenate([part for column in columns for part in (column, gap)][:-1], axis=1)
    return Stills(tuple(picked.tolist()), strip, film.compose(*drawn[len(drawn) // 2]))


def encoded(image: np.ndarray, suffix: str) -> bytes:
    """An image (height, width, 3) uint8 RGB as a file of this ending, ``.png`` or ``.jpg``."""
    cv2 = require_cv2()
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality if suffix == ".jpg" else [])
    return data.tobytes()


class _Film:
    """Draws frames of a result; holds what is common to them."""

    def __init__(self, result: Result, size: tuple[int, int], device: str):
        self.result, self.scene, self.device = result, result.scene, device
        before = {body.name: _start(body.initial, result.poses[body.name]) for body in self.scene.bodies}
        self.motions: Sequence[dict[str, Poses]] = (dict(result.poses), before)
        self.view: View = choose_view(self.scene, self.motions, size, device)
        self.camera = self.view.camera(self.scene.camera)
        self.use_rgb = has_rgb(self.scene)
        self._blanks: dict[tuple[int, int], np.ndarray] = {}
        self.keypoints = [self._keypoints(motion) for motion in self.motions[::-1]]  # before, after
        self.spots = {
            body.name: spots_of(body.body, result.poses[body.name], self.camera, device)
            for body in self.scene.bodies
            if result.poses[body.name].covariance is not None
        }

    def frames(self, progress: Progress | None) -> Iterator[np.ndarray]:
        """Every frame of the video, in order; drawing runs in threads while the encoder takes what is done."""
        count = self.scene.frame_count
        for frame, panels in self.panels(np.arange(count)):
            yield self.compose(frame, panels)
            if progress is not None:
                progress(frame + 1, count, "drawing the video")

    def panels(self, frames: np.ndarray) -> Iterator[tuple[int, list[np.ndarray]]]:
        """Frame number and its two panels, before and after, in order.

        Masks of the next frames are drawn while the panels of these are.
        """
        names = [body.name for body in self.scene.bodies]
        chunks = [frames[start : start + _CHUNK] for start in range(0, len(frames), _CHUNK)]
        with ThreadPoolExecutor(max_workers=1) as ahead, ThreadPoolExecutor(max_workers=2) as pool:
            coming = ahead.submit(self._masks, chunks[0])
            for turn, chunk in enumerate(chunks):
                masks = coming.result()
                if turn + 1 < len(chunks):
                    coming = ahead.submit(self._masks, chunks[turn + 1])

                def draw(index: int, chunk=chunk, masks=masks) -> tuple[int, list[np.ndarray]]:
                    own = [[motion[name][index] for name in names] for motion in masks]
                    return int(chunk[index]), self._draw(int(chunk[index]), own)

                yield from pool.map(draw, range(len(chunk)))

    def _masks(self, frames: np.ndarray) -> list[dict[str, np.ndarray]]:
        """Masks before and after."""
        return masks_of(self.scene, self.motions, self.view, frames, self.device)[::-1]

    def _keypoints(self, motion: dict[str, Poses]) -> dict[str, np.ndarray]:
        """Keypoints of the bodies for which some were detected, in the panel (frame, keypoint, 2) [px]."""
        from warpprior.bodies import posed_keypoints

        camera, found = self.camera, {}
        for name in self.scene.keypoints2d:
            points = posed_keypoints(self.scene.body(name).body, motion[name]).astype(np.float64)
            depth = np.where(points[:, :, 2:] > 1.0e-3, points[:, :, 2:], np.nan)
            found[name] = points[:, :, :2] / depth * [camera.fx, camera.fy] + [camera.cx, camera.cy]
        return found

    def _mark_keypoints(self, panel: np.ndarray, turn: int, frame: int) -> None:
        for index, body in enumerate(self.scene.bodies):
            if body.name in self.scene.keypoints2d:
                detected = np.array(self.scene.keypoints2d[body.name][frame], dtype=np.float64)
                detected[:, :2] = self.view.place(detected[:, :2])
                color = OUTLINES[index % len(OUTLINES)]
                mark_keypoints(panel, self.keypoints[turn][body.name][frame], detected, color)

    def compose(self, frame: int, panels: Sequence[np.ndarray], *, upright: bool = False) -> np.ndarray:
        """One picture of a frame: panels side by side, or one above the other, with their lines of text."""
        width, height = self.view.width, self.view.height
        across, down = (1, 2) if upright else (2, 1)
        foot = 0 if upright else _BAR
        page = self._blank((down * (height + _BAR) + foot, across * (width + _GAP) - _GAP)).copy()
        for turn, (panel, title) in enumerate(zip(panels, _TITLES, strict=True)):
            left, top = (0, turn * (height + _BAR)) if upright else (turn * (width + _GAP), 0)
            page[top + _BAR : top + _BAR + height, left : left + width] = panel
            label = f"{title}, frame {frame}" if upright else title
            self._bar(page[top : top + _BAR, left : left + width], label, frame_caption(self.result, turn, frame))
        if not upright:
            self._legend(page[-_BAR:], frame)
        return page

    def _blank(self, size: tuple[int, int]) -> np.ndarray:
        """An empty page (height, width, 3) uint8 RGB, filled once: to copy it takes a fraction of that."""
        if size not in self._blanks:
            self._blanks[size] = np.full((*size, 3), INK, np.uint8)
        return self._blanks[size]

    def _draw(self, frame: int, masks: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
        ground = backdrop(self.scene, frame, self.view, use_rgb=self.use_rgb)
        panels = [ground.copy(), ground]
        for turn, (panel, own) in enumerate(zip(panels, masks, strict=True)):
            outline(panel, own)
            self._mark_keypoints(panel, turn, frame)
        mark_contacts(panels[1], self.camera, self.result.contacts, frame)
        self._mark_spots(panels[1], frame)
        return panels

    def _mark_spots(self, panel: np.ndarray, frame: int) -> None:
        """Ellipses, or words where a body may be anywhere."""
        top = 0
        for index, body in enumerate(self.scene.bodies):
            color = OUTLINES[index % len(OUTLINES)]
            if body.name in self.spots and not draw_spots(panel, self.spots[body.name], frame, color):
                line = np.full((20, panel.shape[1], 3), INK, np.uint8)
                end = write_text(line, f"{body.name}: place not observable", (8, 15), color) + 8
                panel[top : top + len(line), :end] = line[: len(panel) - top, :end]
                top += len(line)

    def _bar(self, bar: np.ndarray, title: str, caption: str) -> None:
        cv2 = require_cv2()
        line = np.ascontiguousarray(bar)
        end = write_text(line, title, (8, 20))
        length = cv2.getTextSize(caption, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)[0][0]
        if end + 16 + length < line.shape[1]:
            write_text(line, caption, (line.shape[1] - length - 8, 20), (176, 182, 192))
        bar[:] = line

    def _mark_verdict(self, line: np.ndarray, name: str, frame: int, place: int) -> int:
        """A bar in the colour of the verdict on a body, and the word where it is doubted; where it ends [px]."""
        verdict = self.result.verdicts.get(name)
        if verdict is None:
            return place
        status = str(verdict.status[frame])
        line[8:22, place : place + 6] = VERDICTS[status]
        return place + 6 if status == "ok" else write_text(line, status, (place + 10, 20), VERDICTS[status])

    def _legend(self, bar: np.ndarray, frame: int) -> None:
        line = np.ascontiguousarray(bar)
        place = write_text(line, f"frame {frame} of {self.scene.frame_count}", (8, 20)) + 28
        for index, body in enumerate(self.scene.bodies):
            place = write_text(line, body.name, (place, 20), OUTLINES[index % len(OUTLINES)]) + 6
            place = self._mark_verdict(line, body.name, frame, place) + 14
        if self.result.contacts:
            place = write_text(line, "contact", (place, 20), CONTACT) + 20
        if self.scene.keypoints2d:
            place = write_text(line, "o detected", (place, 20), DETECTION) + 20
        if self.spots:
            write_text(line, f"ellipses: {SIGMAS:g} sigma", (place, 20))
        bar[:] = line


def _start(initial: Poses, final: Poses) -> Poses:
    """The initial motion, or the final one itself where they are alike, so that it is drawn once."""
    fields = ("position", "rotation", "joints", "shape", "scale")
    alike = all(np.array_equal(getattr(initial, field), getattr(final, field)) for field in fields)
    return final if alike else initial
