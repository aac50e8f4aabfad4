"""check.html: what a check found, with the first guess over some frames, as it is and with the cures."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np

from warpprior.checks.evidence import Points
from warpprior.finding import Finding
from warpprior.report.checked import checked_parts
from warpprior.report.frame import write_page
from warpprior.report.overlay import encoded
from warpprior.report.picture import INK, OUTLINES, View, backdrop, has_rgb, mark_keypoints, masks_of, outline
from warpprior.scene import Scene
from warpprior.support.errors import MissingExtraError

CHECK_FILE = "check.html"
FRAMES, PANEL, GAP = 4, 300, 4  # frames side by side, their width and what is between them [px]


def write_check(
    folder: Path, found: Sequence[Finding], scene: Scene | None, mended: Scene | None, *, device: str = "cpu"
) -> Path:
    """Write ``check.html`` into a folder.  Without OpenCV it comes without pictures, and says so.

    Args:
        folder: where to.
        found: what the check found.
        scene: that was checked; None where it could not be read.
        mended: the same with the cures that can be applied; None without any.
        device: Warp device that draws the bodies.

    Returns:
        the page's path.
    """
    title = "check" if scene is None else scene.name
    parts = [f"<h1>{escape(title)}</h1>", *_pictures(scene, mended, device), *checked_parts(found, "Findings")]
    path = folder / CHECK_FILE
    write_page(path, f"{title} - check", parts)
    return path


def _pictures(scene: Scene | None, mended: Scene | None, device: str) -> Iterator[str]:
    shown = {"as it is": scene, "with the cures that can be applied": mended}
    for words, one in shown.items():
        if one is None:
            continue
        yield f"<h2>The first guess, {words}</h2>"
        try:
            data = base64.b64encode(encoded(_strip(one, device), ".jpg")).decode()
        except MissingExtraError as error:
            yield f"<p>{escape(str(error))}</p>"
            return
        yield f'<img class="wide" alt="first guess, {words}" src="data:image/jpeg;base64,{data}">'


def _strip(scene: Scene, device: str) -> np.ndarray:
    """Some frames side by side (height, width, 3) uint8 RGB."""
    frames = np.unique(np.linspace(0, scene.frame_count - 1, FRAMES).round().astype(int))
    return draw_first_guess(scene, frames, PANEL, use_rgb=has_rgb(scene), device=device)


def draw_first_guess(
    scene: Scene, frames: np.ndarray, width: int, *, use_rgb: bool = True, device: str = "cpu"
) -> np.ndarray:
    """Frames side by side with the outlines and keypoints of the first guess.

    Args:
        scene: whose.
        frames: which (frame,).
        width: of each [px].
        use_rgb: over the images; else over the labels, in greys.
        device: Warp device that draws the bodies.

    Returns:
        the picture (height, width, 3) uint8 RGB.

    Raises:
        MissingExtraError: OpenCV is not there.
    """
    camera = scene.camera
    height = 2 * round(width * camera.height / camera.width / 2)
    view = View(0, 0, camera.width, camera.height, width, height)
    (masks,) = masks_of(scene, [{item.name: item.initial for item in scene.bodies}], view, frames, device)
    panels = []
    points = {item.name: Points(item, scene) for item in scene.bodies if item.name in scene.keypoints2d}
    for row, frame in enumerate(frames.tolist()):
        panel = np.ascontiguousarray(backdrop(scene, frame, view, use_rgb=use_rgb))
        outline(panel, [masks[item.name][row] for item in scene.bodies])
        for number, item in enumerate(scene.bodies):
            if item.name in points:
                one = points[item.name]
                detected = np.column_stack([view.place(one.found[frame]), one.trust[frame]])
                mark_keypoints(panel, view.place(one.drawn[frame]), detected, OUTLINES[number % len(OUTLINES)])
        panels += [panel, np.full((height, GAP, 3), INK, np.uint8)]
    return np.concatenate(panels[:-1], axis=1)
