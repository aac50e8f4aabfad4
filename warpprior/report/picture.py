"""Pictures of a frame: the image, cropped to what moves, with the outline of each body and the contact points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from warpprior.result import ContactPoints
from warpprior.scene import IGNORE_LABEL, Camera, Poses, Scene
from warpprior.support.errors import MissingExtraError

# Outline of each body, in the order of the scene (RGB): far apart, and unlike the colours of most objects.
OUTLINES = ((45, 200, 255), (255, 70, 160), (130, 235, 80), (255, 176, 40), (170, 130, 255), (240, 240, 240))
CONTACT = (255, 238, 70)
DETECTION = (250, 250, 250)
VERDICTS = {"ok": (90, 200, 120), "suspect": (255, 190, 60), "lost": (255, 80, 80)}  # of what is believed or not
INK = (18, 20, 24)
PAPER = (232, 234, 238)

_SPECK = 30.0  # outlines of smaller areas are left out [px^2]
_MARGIN = 0.12  # free space around the bodies, as a share of their size
_LEAST = 0.2  # the smallest crop, as a share of the image
_ENLARGE = 4.0
_DOT = 3.4  # radius of a contact point with its rim [px]
_KEYPOINT, _DETECTED = 3.4, 5.0  # radius of a keypoint of the model with its rim, and of a detected one [px]
_LEAST_CONFIDENCE = 0.2  # detected keypoints with less are not drawn
_TOUCHING = 0.5  # contact points with less weight are not drawn
_CIRCLE = np.stack([f(np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)) for f in (np.cos, np.sin)], axis=1)
_PROBES = 12  # frames looked at to choose the crop
_IMAGES = 5  # frames read to see whether there are images


def require_cv2():
    """OpenCV, or an error that says how to get it."""
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError("drawing pictures", "cv") from error
    return cv2


@dataclass(frozen=True)
class View:
    """A crop of the image, enlarged or reduced to a panel.

    Attributes:
        left, top, right, bottom: the crop in image pixels; right and bottom are exclusive.
        width, height: size of the panel [px], both even.
    """

    left: int
    top: int
    right: int
    bottom: int
    width: int
    height: int

    def camera(self, camera: Camera) -> Camera:
        """The camera whose image is the panel."""
        across, down = self.width / (self.right - self.left), self.height / (self.bottom - self.top)
        return Camera(
            width=self.width,
            height=self.height,
            fx=camera.fx * across,
            fy=camera.fy * down,
            cx=(camera.cx - self.left) * across,
            cy=(camera.cy - self.top) * down,
        )

    def place(self, points: np.ndarray) -> np.ndarray:
        """Where points of the image (..., 2) [px] are in the panel."""
        size = np.array([self.right - self.left, self.bottom - self.top])
        return (points - [self.left, self.top]) * [self.width, self.height] / size

    def cut(self, image: np.ndarray, *, smooth: bool) -> np.ndarray:
        """The crop of an image at panel size; ``smooth`` for pictures, not for labels."""
        cv2 = require_cv2()
        crop = np.ascontiguousarray(image[self.top : self.bottom, self.left : self.right])
        method = cv2.INTER_AREA if self.width < crop.shape[1] else cv2.INTER_CUBIC
        return cv2.resize(crop, (self.width, self.height), interpolation=method if smooth else cv2.INTER_NEAREST)


def choose_view(scene: Scene, motions: Sequence[Mapping[str, Poses]], size: tuple[int, int], device: str) -> View:
    """The crop that holds every body in all motions, in the image's proportions where it can, at most ``size`` [px]."""
    camera = scene.camera
    picked = np.unique(np.linspace(0, scene.frame_count - 1, _PROBES).round().astype(int))
    boxes = [_label_box(scene.labels[picked])] if scene.labels is not None else []
    for motion in motions:
        boxes += [_body_box(camera, body.body, motion[body.name].frames(picked), device) for body in scene.bodies]
    boxes = [box for box in boxes if box is not None]
    whole = np.array([0.0, 0.0, camera.width, camera.height])
    box = np.concatenate([np.min(boxes, axis=0)[:2], np.max(boxes, axis=0)[2:]]) if boxes else whole
    spans = (box[2:] - box[:2]) * (1.0 + 2.0 * _MARGIN)
    spans = np.maximum(spans, _LEAST * whole[2:])
    # Grow the short side towards the panel's proportions.
    across = max(spans[0], spans[1] * size[0] / size[1])
    spans = np.minimum([across, max(spans[1], across * size[1] / size[0])], whole[2:])
    start = np.clip((box[:2] + box[2:] - spans) / 2.0, 0.0, whole[2:] - spans)
    left, top = np.floor(start).astype(int).tolist()
    right, bottom = np.minimum(np.ceil(start + spans), whole[2:]).astype(int).tolist()
    scale = min(size[0] / (right - left), size[1] / (bottom - top), _ENLARGE)
    width, height = (max(2, 2 * round(scale * length / 2)) for length in (right - left, bottom - top))
    return View(left, top, right, bottom, width, height)


def backdrop(scene: Scene, frame: int, view: View, *, use_rgb: bool) -> np.ndarray:
    """The panel's background: the image, or the labels in greys where there is none (height, width, 3) uint8 RGB."""
    image = scene.read_rgb(frame) if use_rgb and scene.read_rgb is not None else None
    if image is not None:
        return view.cut(image, smooth=True)
    greys = np.zeros(256, np.uint8)
    greys[:] = 34
    for index, body in enumerate(scene.bodies):
        greys[body.label] = 78 + 40 * (index % 4)
    greys[IGNORE_LABEL] = 54
    if scene.labels is None:
        return np.full((view.height, view.width, 3), 34, np.uint8)
    return np.repeat(greys[view.cut(scene.labels[frame], smooth=False)][..., None], 3, axis=2)


def has_rgb(scene: Scene) -> bool:
    """Whether all of a few frames have an image; a sequence with gaps is shown over its labels throughout."""
    if scene.read_rgb is None:
        return False
    picked = np.unique(np.linspace(0, scene.frame_count - 1, _IMAGES).round().astype(int))
    return all(scene.read_rgb(int(frame)) is not None for frame in picked)


def masks_of(
    scene: Scene, motions: Sequence[Mapping[str, Poses]], view: View, frames: np.ndarray, device: str
) -> list[dict[str, np.ndarray]]:
    """Each body's own silhouette in the panel, for each motion: ``{body: (frame, height, width) bool}``.

    A body that moves alike in two motions is drawn once.
    """
    from warpprior.render.images import render_masks

    drawn: list[dict[str, np.ndarray]] = []
    for turn, motion in enumerate(motions):
        known = {name: drawn[0][name] for name in motion if turn > 0 and motion[name] is motions[0][name]}
        rest = tuple(body for body in scene.bodies if body.name not in known)
        if rest:
            part = Scene(scene.name, view.camera(scene.camera), scene.fps, rest)
            known |= render_masks(part, {body.name: motion[body.name].frames(frames) for body in rest}, device)
        drawn.append(known)
    return drawn


def outline(image: np.ndarray, masks: Iterable[np.ndarray]) -> None:
    """Draw the outline of each mask (height, width) in its body's colour with a dark rim; changes ``image``."""
    cv2 = require_cv2()
    lines = []
    for mask, color in zip(masks, _repeated(OUTLINES), strict=False):
        found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        lines.append(([_softened(line) for line in found if cv2.contourArea(line) > _SPECK], color))
    for rim, thickness in ((True, 4), (False, 2)):
        for found, color in lines:
            cv2.polylines(image, found, True, INK if rim else color, thickness, cv2.LINE_AA, shift=4)


def mark_contacts(image: np.ndarray, camera: Camera, contacts: Iterable[ContactPoints], frame: int) -> int:
    """Draw the touching points of a frame, the surest of those that would overlap; returns how many were drawn."""
    cv2 = require_cv2()
    count = 0
    for contact in contacts:
        points, weight = contact.points[frame].astype(np.float64), contact.weight[frame]
        chosen = (weight >= _TOUCHING) & (points[:, 2] > 1.0e-3) & np.isfinite(points).all(axis=1)
        points, weight = points[chosen], weight[chosen]
        spots = points[:, :2] / points[:, 2:] * [camera.fx, camera.fy] + [camera.cx - 0.5, camera.cy - 0.5]
        seen = np.all((spots > -_DOT) & (spots < [camera.width + _DOT, camera.height + _DOT]), axis=1)
        spots = spots[seen][np.argsort(-weight[seen], kind="stable")]
        _, first = np.unique(np.floor(spots / (2.5 * _DOT)), axis=0, return_index=True)
        for spot in spots[first]:
            for radius, color in ((_DOT, INK), (_DOT - 1.0, CONTACT)):
                corners = np.round(16.0 * (spot + radius * _CIRCLE)).astype(np.int32)
                cv2.fillConvexPoly(image, corners, color, cv2.LINE_AA, shift=4)
        count += len(first)
    return count


def mark_keypoints(image: np.ndarray, places: np.ndarray, detected: np.ndarray, color: tuple[int, int, int]) -> None:
    """Draw a body's keypoints: a dot where the model has one, a ring where it was detected, a line between the two.

    Args:
        image: panel to draw on.
        places: keypoints of the model (keypoint, 2) [px of the panel], NaN behind the camera.
        detected: keypoints as detected (keypoint, 3), [px of the panel] and confidence; faint ones are left out.
        color: of the body.
    """
    cv2 = require_cv2()
    reach = 2.0 * np.array([image.shape[1], image.shape[0]])

    def drawable(points: np.ndarray) -> np.ndarray:
        return np.all((points > -reach) & (points < 2.0 * reach), axis=1)  # NaN is neither

    def fixed(point: np.ndarray) -> tuple[int, int]:
        column, row = np.round(16.0 * (point - 0.5))
        return int(column), int(row)

    modelled, seen = drawable(places), drawable(detected[:, :2]) & (detected[:, 2] >= _LEAST_CONFIDENCE)
    for place, spot in zip(places[modelled & seen], detected[modelled & seen, :2], strict=True):
        cv2.line(image, fixed(place), fixed(spot), DETECTION, 1, cv2.LINE_AA, shift=4)
    for spot in detected[seen, :2]:
        for thickness, paint in ((2, INK), (1, DETECTION)):
            cv2.circle(image, fixed(spot), round(16.0 * _DETECTED), paint, thickness, cv2.LINE_AA, shift=4)
    for place in places[modelled]:
        for radius, paint in ((_KEYPOINT, INK), (_KEYPOINT - 1.0, color)):
            cv2.circle(image, fixed(place), round(16.0 * radius), paint, cv2.FILLED, cv2.LINE_AA, shift=4)


def write_text(
    image: np.ndarray, text: str, place: tuple[int, int], color: tuple[int, int, int] = PAPER, *, size: float = 0.5
) -> int:
    """Write a line with its left end of the baseline at ``place``; returns the x where it ends."""
    cv2 = require_cv2()
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, color, 1, cv2.LINE_AA)
    return place[0] + cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0]


def _softened(line: np.ndarray) -> np.ndarray:
    """A pixel contour (point, 1, 2) with its stairs smoothed out, in sixteenths of a pixel."""
    points = line[:, 0].astype(np.float32)
    if len(points) >= 12:
        padded = np.concatenate([points[-2:], points, points[:2]])
        points = (padded[:-4] + 2 * padded[1:-3] + 3 * padded[2:-2] + 2 * padded[3:-1] + padded[4:]) / 9.0
    return np.round(16.0 * points).astype(np.int32)[:, None]


def _repeated(colors: Sequence[tuple[int, int, int]]) -> Iterable[tuple[int, int, int]]:
    while True:
        yield from colors


def _label_box(labels: np.ndarray) -> np.ndarray | None:
    """Bounds of the labelled pixels: left, top, right, bottom; None without any."""
    seen = ((labels != 0) & (labels != IGNORE_LABEL)).any(axis=0)
    if not seen.any():
        return None
    columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)


def _body_box(camera: Camera, body, poses: Poses, device: str) -> np.ndarray | None:
    """Bounds of a posed body's picture, cut to the image; None where it is out of sight."""
    from warpprior.bodies import posed_vertices

    points = posed_vertices(body, poses, device).reshape(-1, 3).astype(np.float64)
    points = points[points[:, 2] > 1.0e-3]
    if len(points) == 0:
        return None
    spot = points[:, :2] / points[:, 2:] * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    box = np.concatenate([spot.min(axis=0), spot.max(axis=0)])
    box = np.clip(box, 0.0, [camera.width, camera.height, camera.width, camera.height])
    return box if np.all(box[2:] - box[:2] >= 1.0) else None
