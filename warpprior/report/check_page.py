"""check.html: what a check found, with the first guess over some frames, as it is and with the cures."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np

import warpprior
from warpprior.checks.evidence import Points
from warpprior.finding import Finding
from warpprior.io.atomic import atomic_write
from warpprior.report.overlay import encoded
from warpprior.report.picture import INK, OUTLINES, View, backdrop, has_rgb, mark_keypoints, masks_of, outline
from warpprior.report.style import STYLE
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
    parts = [f"<h1>{escape(title)}</h1>", *_pictures(scene, mended, device), *_findings(found)]
    page = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)} - check</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n'
        + "\n".join(parts)
        + f"\n<footer>warpprior {escape(warpprior.__version__)}</footer>\n</main>\n</body>\n</html>\n"
    )
    path = folder / CHECK_FILE
    with atomic_write(path, "w") as file:
        file.write(page)
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
    """Frames side by side with the outlines and keypoints of the first guess (height, width, 3) uint8 RGB."""
    camera = scene.camera
    height = 2 * round(PANEL * camera.height / camera.width / 2)
    view = View(0, 0, camera.width, camera.height, PANEL, height)
    frames = np.unique(np.linspace(0, scene.frame_count - 1, FRAMES).round().astype(int))
    (masks,) = masks_of(scene, [{item.name: item.initial for item in scene.bodies}], view, frames, device)
    use_rgb, panels = has_rgb(scene), []
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


def _findings(found: Sequence[Finding]) -> Iterator[str]:
    yield "<h2>Findings</h2>"
    if not found:
        yield "<p>None: what the scene shows agrees with what it says.</p>"
        return
    for finding in found:
        whose = "" if finding.body is None else f" of {finding.body}"
        yield f"<h3>{escape(f'{finding.level}: {finding.code}{whose}')}</h3>"
        tone = ' class="alert"' if finding.level == "error" else ""
        yield f"<p{tone}>{escape(finding.message)}</p>"
        if finding.cure:
            yield f"<p>Cure: {escape(finding.cure)}</p>"
        rows = finding.as_dict()["evidence"].items()
        cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in rows)
        yield f'<table class="pairs">{cells}</table>' if cells else ""
