"""What all checks look at, computed once: bodies drawn small in a few frames, beside their labels."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body
from warpprior.bodies.keypoint_fit import KeypointModel, turned
from warpprior.bodies.triangles import mean_cross_section
from warpprior.render.images import render_masks
from warpprior.render.thinning import thinned, thinned_camera
from warpprior.scene import Camera, Poses, Scene, SceneBody, trust_of

MOST_FRAMES, BRIEF_FRAMES = 12, 5  # that are looked at
SMALL_PX = 160  # longer side of the pictures that are drawn
FEWEST_PIXELS = 30  # of a label in a small picture, that say something
DRAWN_M = 0.2  # size at which a body is drawn, whatever its own
STEPS = np.array([0.15, 0.15, 0.3])  # across the view [sizes], along it [log], and about an axis [rad]
ROUNDS, BRIEF_ROUNDS = 4, 2  # of steps
TILTS = 0.5 * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])  # [rad] from which a fit at a depth starts
TILT_ROUNDS = 4
PASSES = 3  # by which a drawing is laid on its label
NEAREST = 1e-3  # [m] what is nearer to the camera is not seen
FEWEST_POINTS = 6  # detected keypoints that tell how a body lies


@dataclass(frozen=True)
class Placed:
    """A body turned in several ways and moved until its drawing has the area and the middle of its label.

    Attributes:
        share: intersection over union with the label (reading, frame).
        position: of the body's origin (reading, frame, 3) [m].
        middle: of its surface (reading, frame, 3) [m].
    """

    share: np.ndarray
    position: np.ndarray
    middle: np.ndarray


class View:
    """One body beside its labels, in the frames that are looked at.

    Args:
        item: the body.
        evidence: of its scene.

    Attributes:
        area: pixels of the label in the small pictures (frame,).
        centre: its centroid there (frame, 2) [px], NaN without a label.
        usable: which frames show the label large enough (frame,) bool.
    """

    def __init__(self, item: SceneBody, evidence: Evidence):
        self.item, self._evidence = item, evidence
        labels = evidence.labels
        if labels is None:
            self._own = np.zeros((len(evidence.frames), evidence.camera.height, evidence.camera.width), dtype=bool)
            self._open = ~self._own
        else:
            self._own = labels == item.label
            self._open = self._own | (labels == 0)  # behind another body it may be anywhere
        self.area, self.centre = moments(self._own)
        self.usable: np.ndarray = self.area >= FEWEST_PIXELS

    @functools.cached_property
    def poses(self) -> Poses:
        """The first guess in the frames that are looked at."""
        return self.item.initial.frames(self._evidence.frames)

    @functools.cached_property
    def size(self) -> np.ndarray:
        """Root of the label's area (frame,) [px of the small pictures]."""
        return np.sqrt(np.maximum(self.area, 1.0))

    @functools.cached_property
    def extent(self) -> float:
        """Largest side of the box around the surface at rest [m]."""
        return float(np.ptp(self.item.body.surfaces[0], axis=0).max()) * self.poses.scale

    @functools.cached_property
    def _unit(self) -> float:
        return DRAWN_M / max(self.extent, 1e-9)

    @functools.cached_property
    def rest_middle(self) -> np.ndarray:
        """Middle of the surface in the body's own frame, its joints not moved (frame or 1, 3) [m]."""
        return _rest_middle(self.item.body, self.poses)

    def draw(self, position: np.ndarray, rotation: np.ndarray) -> np.ndarray:
        """Masks (reading, frame, height, width) bool of the body alone at positions and rotations (reading, frame, .).

        What falls on other labels or on don't-care is left out: it may hide there.
        """
        readings, frames = position.shape[:2]
        chosen = np.tile(np.arange(frames), readings)
        # Of another size, and as much nearer or farther: the picture is the same, and nothing is too near to be drawn.
        poses = replace(
            self.poses.frames(chosen),
            position=position.reshape(-1, 3) * self._unit,
            rotation=rotation.reshape(-1, 4),
            scale=self.poses.scale * self._unit,
            imputed=None,
        )
        part = Scene("part", self._evidence.camera, 1.0, (replace(self.item, initial=poses, truth=None),))
        drawn = render_masks(part, {self.item.name: poses}, self._evidence.device)[self.item.name]
        return drawn.reshape(readings, frames, *drawn.shape[1:]) & self._open

    def shares(self, drawn: np.ndarray) -> np.ndarray:
        """Intersection over union (reading, frame) of masks with the label."""
        shared = np.count_nonzero(drawn & self._own, axis=(2, 3))
        return shared / np.maximum(np.count_nonzero(drawn | self._own, axis=(2, 3)), 1)

    @functools.cached_property
    def first_share(self) -> np.ndarray:
        """Intersection over union of the first guess as it is with the label (frame,)."""
        return self.shares(self.draw(self.poses.position[None], self.poses.rotation[None]))[0]

    @functools.cached_property
    def first(self) -> Placed:
        """The first guess laid on the label, its rotation kept: one reading."""
        return self.place(self.poses.rotation[None])

    @functools.cached_property
    def fitted(self) -> Placed:
        """The first guess laid on the label, and moved from there by small steps that overlap it more.

        What a hand hides in part is larger than what is seen of it, which area and middle alone do not tell.
        """
        first = self.first
        if self.item.known or not self.item.body.is_rigid or not self.usable.any():
            return first
        return self._climbed(first.middle[0], self.poses.rotation, BRIEF_ROUNDS if self._evidence.brief else ROUNDS)

    def fitted_at(self, factor: float) -> np.ndarray:
        """Overlap (frame,) of the body so many times as far away, moved across the view and turned until it is best."""
        middle, best = self.fitted.middle[0] * factor, np.zeros(len(self.poses.rotation))
        for turn in Rotation.from_rotvec(TILTS):
            rotation = (turn * Rotation.from_quat(self.poses.rotation)).as_quat()
            best = np.maximum(best, self._climbed(middle, rotation, TILT_ROUNDS, along=False).share[0])
        return best

    def _climbed(self, middle: np.ndarray, rotation: np.ndarray, rounds: int, *, along: bool = True) -> Placed:
        """A body at middles (frame, 3) and rotations (frame, 4), moved from there by steps that overlap its label more.

        Args:
            middle, rotation: where it starts.
            rounds: of steps.
            along: may it come nearer and go farther?
        """
        rows, size = np.arange(len(rotation)), STEPS * [1.0, float(along), 1.0]
        share = self.shares(self.draw(middle[None] - self._arms(rotation[None]), rotation[None]))[0]
        for _ in range(rounds):
            tried_middle, tried_rotation = self._stepped(middle, rotation, size)
            shares = self.shares(self.draw(tried_middle - self._arms(tried_rotation), tried_rotation))
            best = shares.argmax(axis=0)
            better = shares[best, rows] > share
            share = np.where(better, shares[best, rows], share)
            middle = np.where(better[:, None], tried_middle[best, rows], middle)
            rotation = np.where(better[:, None], tried_rotation[best, rows], rotation)
            size = size * 0.7
        return Placed(share[None], (middle - self._arms(rotation[None])[0])[None], middle[None])

    def _stepped(self, middle: np.ndarray, rotation: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Poses (step, frame, .) a step away: nearer or farther, across the view, both at once, or turned."""
        across, along, tilt = size
        shifts = np.array([(x, y, z) for z in (-1, 0, 1) for x, y in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))])
        shifts = shifts[np.any(shifts != 0, axis=1)] * [across, across, along]
        depth = middle[:, 2] * np.exp(shifts[:, 2:])  # (step, frame)
        bearing = middle[:, :2] / middle[:, 2:] + shifts[:, None, :2] * (self.size / self._evidence.camera.fx)[:, None]
        moved = np.concatenate([bearing * depth[..., None], depth[..., None]], axis=2)
        turns = np.concatenate([np.eye(3), -np.eye(3)]) * tilt if self.item.body.is_rigid else np.zeros((0, 3))
        turned = [(Rotation.from_rotvec(turn) * Rotation.from_quat(rotation)).as_quat() for turn in turns]
        same = np.broadcast_to(rotation, (len(moved), *rotation.shape))
        still = np.broadcast_to(middle, (len(turned), *middle.shape))
        return np.concatenate([moved, still]), np.concatenate([same, *(each[None] for each in turned)])

    def place(self, rotation: np.ndarray, passes: int = PASSES) -> Placed:
        """Lay the body, turned by quaternions (reading, frame, 4), on its label, in so many passes.

        Only the open part of a drawing counts: what falls on other bodies' labels may hide there.
        """
        camera = self._evidence.camera
        focal, center = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])
        body = self.item.body
        section = mean_cross_section(body.vertices * self.poses.scale, body.faces)
        arms = self._arms(rotation)
        shape = rotation.shape[:2]
        depth = np.broadcast_to(np.sqrt(focal.prod() * section / np.maximum(self.area, 1.0)), shape).copy()
        bearing = np.broadcast_to((np.nan_to_num(self.centre) - center) / focal, (*shape, 2)).copy()
        best, best_middle = np.full(shape, -1.0), np.zeros((*shape, 3))
        for _ in range(passes):
            middle = np.concatenate([bearing * depth[..., None], depth[..., None]], axis=2)
            drawn = self.draw(middle - arms, rotation)
            share = self.shares(drawn)
            better = share > best
            best, best_middle = np.where(better, share, best), np.where(better[..., None], middle, best_middle)
            area, centre = moments(drawn)
            seen = area >= FEWEST_PIXELS
            factor = np.sqrt(np.maximum(area, 1.0) / np.maximum(self.area, 1.0))
            depth = np.where(seen, depth * np.clip(factor, 0.25, 4.0), depth)
            moved = (self.centre - centre) / focal
            bearing = np.where((seen & self.usable)[..., None], bearing + np.nan_to_num(moved), bearing)
        return Placed(best, best_middle - arms, best_middle)

    def _arms(self, rotation: np.ndarray) -> np.ndarray:
        """From the body's origin to its middle (reading, frame, 3) [m], in the camera frame."""
        readings, frames = rotation.shape[:2]
        middle = np.broadcast_to(self.rest_middle, (frames, 3))
        turned = Rotation.from_quat(rotation.reshape(-1, 4)).apply(np.tile(middle, (readings, 1)))
        return turned.reshape(readings, frames, 3)

    @functools.cached_property
    def all_middles(self) -> np.ndarray:
        """Middles of the surface of the first guess in all frames of the scene (frame, 3) [m]."""
        item = self.item
        middle = _rest_middle(item.body, item.initial)
        return Rotation.from_quat(item.initial.rotation).apply(middle) + item.initial.position

    def middles(self, position: np.ndarray, rotation: np.ndarray) -> np.ndarray:
        """Middles of the surface (reading, frame, 3) [m] at positions and rotations."""
        return position + self._arms(rotation)


def project(camera: Camera, places: np.ndarray, nearest: float = NEAREST) -> np.ndarray:
    """Where places (..., 3) [m] are seen (..., 2) [px]; NaN of what is nearer than ``nearest`` [m], or behind."""
    depth = np.where(places[..., 2:] > nearest, places[..., 2:], np.nan)
    return places[..., :2] / depth * [camera.fx, camera.fy] + [camera.cx, camera.cy]


def _rest_middle(body: Body, poses: Poses) -> np.ndarray:
    """Middle of a surface in the body's own frame, of an animation at the moments of its poses (frame or 1, 3) [m]."""
    middle = 0.5 * (body.surfaces.min(axis=1) + body.surfaces.max(axis=1)).astype(np.float64) * poses.scale
    return middle if body.animation is None or poses.moments is None else middle[poses.moments]


class Points:
    """Detected keypoints of one body beside those of its first guess, in all frames.

    Args:
        item: the body.
        scene: with keypoints of it.

    Attributes:
        found: as they were given (frame, keypoint, 2) [px], NaN where nothing was found.
        usable: frames in which enough were found (frame,) bool.
    """

    def __init__(self, item: SceneBody, scene: Scene):
        values = np.asarray(scene.keypoints2d[item.name], dtype=np.float64)
        trust = trust_of(values)
        self.item, self.camera = item, scene.camera
        self.found = np.where((trust > 0.0)[..., None], values[..., :2], np.nan)
        self.trust = trust
        self.usable: np.ndarray = (trust > 0.0).sum(axis=1) >= FEWEST_POINTS

    @functools.cached_property
    def local(self) -> np.ndarray:
        """Keypoints of the first guess in the body's own frame (frame, keypoint, 3) [m]."""
        initial = self.item.initial
        return KeypointModel(self.item.body, initial.shape, initial.scale).local(initial.joints)

    def project(self, position: np.ndarray, rotation: np.ndarray, local: np.ndarray | None = None) -> np.ndarray:
        """Where keypoints are seen (frame, keypoint, 2) [px] at poses (frame, .); NaN behind the camera."""
        return project(self.camera, turned(rotation, self.local if local is None else local) + position[:, None])

    @functools.cached_property
    def drawn(self) -> np.ndarray:
        """Keypoints of the first guess in the picture (frame, keypoint, 2) [px]."""
        return self.project(self.item.initial.position, self.item.initial.rotation)


@dataclass(frozen=True)
class Likeness:
    """How alike two sets of points are in each frame.

    Attributes:
        factor: how much larger the second is (frame,).
        shift: from the middle of the first to that of the second (frame, 2) [px].
        size: of the second: twice the root mean square distance from its middle (frame,) [px].
        miss: median distance once both have one place and size, as a share of the size (frame,); inf without points.
    """

    factor: np.ndarray
    shift: np.ndarray
    size: np.ndarray
    miss: np.ndarray


def compare_points(ours: np.ndarray, theirs: np.ndarray) -> Likeness:
    """Compare sets of points (frame, keypoint, 2) [px], NaN where there is none; robustly, without turning them."""
    known: np.ndarray = np.all(np.isfinite(ours) & np.isfinite(theirs), axis=2)
    enough = known.sum(axis=1) >= FEWEST_POINTS
    first, second = (np.where(known[..., None], each, 0.0) for each in (ours, theirs))
    weight = known.astype(float)
    square = lambda away, weights: np.sqrt((weights * np.sum(away**2, axis=2)).sum(axis=1))  # noqa: E731
    factor, miss, middles = np.ones(len(ours)), np.zeros(known.shape), (np.zeros((len(ours), 2)),) * 2
    for _ in range(5):
        total = np.maximum(weight.sum(axis=1), 1e-9)[:, None]
        middles = tuple((weight[..., None] * each).sum(axis=1) / total for each in (first, second))
        away, target = first - middles[0][:, None], second - middles[1][:, None]
        factor = square(target, weight) / np.maximum(square(away, weight), 1e-6)
        miss = np.where(known, np.linalg.norm(factor[:, None, None] * away - target, axis=2), np.nan)
        usual = np.nanmedian(np.where(enough[:, None], miss, 0.0), axis=1)
        weight = known / (1.0 + (np.nan_to_num(miss) / np.maximum(2.0 * usual, 1e-3)[:, None]) ** 2) ** 2
    count = np.maximum(known.sum(axis=1), 1)
    middle = second.sum(axis=1) / count[:, None]
    spread = np.where(known[..., None], second - middle[:, None], 0.0)
    size = np.maximum(2.0 * np.sqrt(np.sum(spread**2, axis=(1, 2)) / count), 1e-6)
    median = np.nanmedian(np.where(enough[:, None], miss, 0.0), axis=1)
    return Likeness(factor, middles[1] - middles[0], size, np.where(enough, median / size, np.inf))


class Evidence:
    """Everything that checks share.

    Args:
        scene: that is checked.
        brief: fewer frames are looked at, and less closely.
        device: where bodies are drawn.

    Attributes:
        frames: which frames are looked at (frame,).
        camera: of the small pictures.
        labels: the label images thinned to their size (frame, height, width) uint8, or None.
    """

    def __init__(self, scene: Scene, *, brief: bool = False, device: str = "cpu"):
        self.scene, self.device, self.brief = scene, device, brief
        frame_count = BRIEF_FRAMES if brief else MOST_FRAMES
        self.frames = np.unique(np.linspace(0, scene.frame_count - 1, frame_count).round().astype(int))
        camera = scene.camera
        step = max(1, -(-max(camera.width, camera.height) // SMALL_PX))
        self.step = step
        self._made: dict[Callable, tuple] = {}
        self.labels = None if scene.labels is None else thinned(scene.labels, step)[self.frames]
        self.camera = thinned_camera(camera, step)

    def once(self, make: Callable[[Evidence], Iterable[Any]]) -> tuple:
        """What a function of the evidence yields, called when the first asks for it."""
        if make not in self._made:
            self._made[make] = tuple(make(self))
        return self._made[make]

    @functools.cached_property
    def views(self) -> dict[str, View]:
        """Each body beside its labels, by name."""
        return {item.name: View(item, self) for item in self.scene.bodies}

    @functools.cached_property
    def points(self) -> dict[str, Points]:
        """Detected keypoints beside those of the first guess, by name of the bodies that have some."""
        return {
            item.name: Points(item, self.scene) for item in self.scene.bodies if item.name in self.scene.keypoints2d
        }


def moments(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Areas (...,) and centroids (..., 2) [px] of masks (..., height, width); NaN of empty ones."""
    rows, columns = np.count_nonzero(masks, axis=-1), np.count_nonzero(masks, axis=-2)
    area = rows.sum(axis=-1).astype(np.float64)
    divisor = np.where(area > 0.0, area, np.nan)
    x = columns @ (np.arange(masks.shape[-1]) + 0.5) / divisor
    y = rows @ (np.arange(masks.shape[-2]) + 0.5) / divisor
    return area, np.stack([x, y], axis=-1)


def spread_out(masks: np.ndarray, reach: int = 2) -> np.ndarray:
    """Masks (frame, height, width) bool with all that is within so many pixels along rows and columns."""
    masks = masks.copy()
    for _ in range(reach):
        grown = masks.copy()
        grown[:, 1:] |= masks[:, :-1]
        grown[:, :-1] |= masks[:, 1:]
        grown[:, :, 1:] |= masks[:, :, :-1]
        grown[:, :, :-1] |= masks[:, :, 1:]
        masks = grown
    return masks
