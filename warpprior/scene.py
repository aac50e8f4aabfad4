"""Scene: what is known and observed.  Its form is checked when it is made, so that everything behind may trust it.

Files are checked further, and mended where that is possible, by :mod:`warpprior.io`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bodies.body import UNIT_TOLERANCE, Body
from warpprior.bodies.contact_map import ContactMap, TouchingPoints
from warpprior.bodies.mass import UNKNOWN, Matter
from warpprior.bodies.size_prior import SizePrior
from warpprior.observations import CHANNELS, DETECTIONS, channel, check_noise
from warpprior.support.arrays import take, to_numpy
from warpprior.support.errors import InputError
from warpprior.support.renamed import renamed_fields
from warpprior.world import World

IGNORE_LABEL = 255  # label pixels that say nothing
SYMMETRIES = ("none", "sphere", "x", "y", "z")


@dataclass(frozen=True)
class Camera:
    """A pinhole camera, OpenCV axes (x right, y down, z forward); the top-left pixel has its centre at (0.5, 0.5)."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Poses:
    """The motion of one body, float64.  Poses are camera_from_body; quaternions x, y, z, w.

    Attributes:
        position: (frame, 3) [m].
        rotation: unit quaternions (frame, 4), xyzw.
        joints: joint coordinates in the order of ``Body.coordinate_names`` (frame, coordinate) [rad or m].
        shape: shape parameters (shape,).
        scale: uniform size factor of the rest surface.
        covariance: error covariance per frame (frame, d, d), or None.
        imputed: frames whose pose was missing and was interpolated (frame,) bool.
        moments: for bodies with an animation, which of its frames these are (frame,) int; None for 0, 1, 2, ...

    Whatever :mod:`warpprior.support.arrays` takes is taken, and copied to the host; NumPy arrays are kept as they are.

    Raises:
        InputError: on construction: not numbers, or a torch tensor that requires grad.
    """

    position: np.ndarray
    rotation: np.ndarray
    joints: np.ndarray
    shape: np.ndarray = field(default_factory=lambda: np.zeros(0))
    scale: float = 1.0
    covariance: np.ndarray | None = None
    imputed: np.ndarray | None = None
    moments: np.ndarray | None = None

    def __post_init__(self):
        for name in ("position", "rotation", "joints", "shape", "covariance"):
            take(self, name, f"poses: {name}", np.float64)
        for name, kind in (("imputed", bool), ("moments", np.int64)):
            take(self, name, f"poses: {name}", kind)

    @staticmethod
    def identity(frame_count: int) -> Poses:
        """A body without joints that stays in the camera's own frame, as one whose animation is given in it."""
        rotation = np.tile([0.0, 0.0, 0.0, 1.0], (frame_count, 1))
        return Poses(np.zeros((frame_count, 3)), rotation, np.zeros((frame_count, 0)))

    @property
    def frame_count(self) -> int:
        return len(self.position)

    def frames(self, selection) -> Poses:
        """The same motion at the selected frames (slice or index array)."""
        pick = lambda a: None if a is None else a[selection]  # noqa: E731
        return replace(
            self,
            position=self.position[selection],
            rotation=self.rotation[selection],
            joints=self.joints[selection],
            covariance=pick(self.covariance),
            imputed=pick(self.imputed),
            moments=(np.arange(self.frame_count) if self.moments is None else self.moments)[selection],
        )


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class SceneBody:
    """A body in a scene: its model, its label in the label images, and its motion.

    Attributes:
        known: its poses are given, not estimated; always so for bodies with an animation.
        symmetry: ``none``, ``sphere``, or ``x``, ``y``, ``z`` (any rotation about that body axis looks the same).
        initial: the rough motion to start from; None: a scene with 2D or 3D keypoints of the body fits it to them when
            it is made, and holds it from then on.
        truth: the true motion where it is known; used for metrics only.  Frames without truth are NaN.
        source: the model file it was read from, or None for a body made in memory.
        matter: mass or density, and friction, where they are known.
        size: its size is estimated with its poses, by this prior; of rigid bodies. None: ``initial.scale`` is its size.
    """

    body: Body
    label: int
    known: bool
    initial: Poses = None  # type: ignore[assignment]  # a scene's bodies have one
    truth: Poses | None = None
    symmetry: str = "none"
    source: Path | None = None
    matter: Matter = UNKNOWN
    size: SizePrior | None = None

    @property
    def name(self) -> str:
        return self.body.name

    def first_frames(self, count: int) -> SceneBody:
        """The same body cut to the first ``count`` frames of its motion."""
        cut = slice(0, count)
        initial, truth = self.initial.frames(cut), None if self.truth is None else self.truth.frames(cut)
        assert initial.moments is not None  # cutting frames names them
        body = self.body.first_moments(int(initial.moments.max(initial=0)) + 1)
        return replace(self, body=body, initial=initial, truth=truth)


@renamed_fields(keypoints="keypoints2d")
@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Scene:
    """Camera, bodies and observations of one sequence.

    Attributes:
        name: used in titles and reports (the folder's name for scenes read from disk).
        camera: the pinhole camera; images with lens distortion were rectified at the door.
        fps: frames per second.
        bodies: in the order of ``scene.toml``.
        labels: one byte per pixel: 0 background, body labels, 255 don't-care (frame, height, width) uint8, or None.
        read_rgb: ``read_rgb(frame) -> (height, width, 3) uint8 RGB or None``, reading lazily; None without images.
        read_depth: ``read_depth(frame) -> (height, width) float32 [m], 0 unmeasured, or None``; None without depth.
        keypoints2d: detected keypoints by body name (frame, keypoint, 3): u, v [px] and confidence in [0, 1], in the
            order of ``body.keypoints``; confidence 0 and NaN say nothing.
        boxes: detected bounding boxes by body name (frame, 4): left, top, right, bottom [px], NaN for none.
        keypoints3d: measured keypoints by body name (frame, keypoint, 4): x, y, z [m] in the camera frame and
            confidence in [0, 1], in the order of ``body.keypoints``; confidence 0 and NaN say nothing.
        centers: measured place by body name (frame, 3) [m], in the camera frame, of :func:`box_center`; NaN says
            nothing.
        noise: one sigma of what was observed, by name of the channel and in its unit (see
            :data:`warpprior.observations.CHANNELS`), where it is known; :meth:`sigma` fills in the rest.
        timestamps: when each frame was taken (frame,) [s], strictly increasing; None for one every 1 / fps.
        world: poses of a moving camera, and the direction of gravity; None: the camera stands.
        contact_maps: where bodies are to touch each other, and how near they are to be.
        folder: where it was read from, or None.
        warnings: what was repaired or looks odd, one sentence each; they go into the report.

    Raises:
        InputError: on construction: no body, a name or label used twice, no initial poses and no keypoints to fit them
            to, arrays whose shapes do not fit each other, initial poses, a camera or a frame rate that are not finite,
            quaternions that are not of unit length, noise of no channel or of no size, or timestamps that do not
            increase.
    """

    name: str
    camera: Camera
    fps: float
    bodies: tuple[SceneBody, ...]
    labels: np.ndarray | None = None
    read_rgb: Callable[[int], np.ndarray | None] | None = None
    read_depth: Callable[[int], np.ndarray | None] | None = None
    keypoints2d: dict[str, np.ndarray] = field(default_factory=dict)
    boxes: dict[str, np.ndarray] = field(default_factory=dict)
    keypoints3d: dict[str, np.ndarray] = field(default_factory=dict)
    centers: dict[str, np.ndarray] = field(default_factory=dict)
    timestamps: np.ndarray | None = None
    folder: Path | None = None
    warnings: tuple[str, ...] = ()
    noise: Mapping[str, float] = field(default_factory=dict)
    world: World | None = None
    contact_maps: tuple[ContactMap | TouchingPoints, ...] = ()

    def __post_init__(self):
        _take_observations(self)
        _fit_missing_starts(self)
        check_scene(self)

    @staticmethod
    def from_stage(stage: Any, **how: Any) -> Scene:
        """The scene that a USD stage shows, of a file or an open ``pxr.Usd.Stage``; its motion is the first poses.

        ``how`` and errors are those of :func:`warpprior.usd.reading.read_stage`: prims that are bodies, label images...
        """
        return import_module("warpprior.usd.reading").read_stage(stage, **how).scene  # of a higher floor

    @property
    def frame_count(self) -> int:
        return self.bodies[0].initial.frame_count

    @property
    def times(self) -> np.ndarray:
        """When each frame was taken (frame,) [s]: the timestamps, or one every 1 / fps from zero on."""
        return np.arange(self.frame_count) / self.fps if self.timestamps is None else self.timestamps

    def sigma(self, name: str) -> float:
        """One sigma of a channel's observations, in its unit: what :attr:`noise` says, or the table's default.

        Raises:
            InputError: there is no such channel.
        """
        usual = channel(name).sigma
        return float(self.noise.get(name, usual))

    def body(self, name: str) -> SceneBody:
        """The body of that name; KeyError lists the names there are."""
        for body in self.bodies:
            if body.name == name:
                return body
        raise KeyError(f"no body {name!r}; there are {[b.name for b in self.bodies]}")

    def with_poses(self, poses: dict[str, Poses]) -> Scene:
        """The same scene starting from other poses, for instance a previous result's."""
        bodies = tuple(replace(b, initial=poses.get(b.name, b.initial)) for b in self.bodies)
        return replace(self, bodies=bodies)

    def first_frames(self, count: int) -> Scene:
        """The same scene cut to its first ``count`` frames."""
        cut = slice(0, count)
        bodies = tuple(body.first_frames(count) for body in self.bodies)
        return replace(
            self,
            bodies=bodies,
            labels=None if self.labels is None else self.labels[cut],
            timestamps=None if self.timestamps is None else self.timestamps[cut],
            world=None if self.world is None else self.world.first_frames(count),
            contact_maps=tuple(wanted.frames(cut) for wanted in self.contact_maps),
            **{key: {name: values[cut] for name, values in getattr(self, key).items()} for key in DETECTIONS},
        )


def _take_observations(scene: Scene) -> None:
    """Observations as NumPy arrays, whatever arrays they come as, and whatever the readers of images return."""
    where = f"scene {scene.name!r}"
    for name in ("labels", "timestamps", *DETECTIONS):
        take(scene, name, f"{where}: {name}")
    for name in ("read_rgb", "read_depth"):
        read = getattr(scene, name)
        if read is not None and getattr(read, "func", None) is not _read_image:
            object.__setattr__(scene, name, partial(_read_image, f"{where}: {name}", read))


def _fit_missing_starts(scene: Scene) -> None:
    """Give bodies without initial poses some that fit their keypoints, with a warning each."""
    if all(body.initial is not None for body in scene.bodies):
        return
    bodies, notes = [], []
    for body in scene.bodies:
        if body.initial is None:
            place = f"scene {scene.name!r}: body {body.name!r}: initial"
            found = {"keypoints2d": scene.keypoints2d, "keypoints3d": scene.keypoints3d}
            initial, note = fit_start(place, body.body, scene.camera, found, scene.noise, known=body.known)
            notes.append(note)
            body = replace(body, initial=initial)
        bodies.append(body)
    object.__setattr__(scene, "bodies", tuple(bodies))
    object.__setattr__(scene, "warnings", (*scene.warnings, *notes))


def fit_start(
    place: str,
    body: Body,
    camera: Camera,
    detections: Mapping[str, Mapping[str, np.ndarray]],
    noise: Mapping[str, float],
    *,
    known: bool = False,
) -> tuple[Poses, str]:
    """Initial poses of a body that has none, from its keypoints; and what is to be said of them.

    Args:
        place: of the poses, for the message.
        body: whose poses.
        camera: that sees it.
        detections: ``keypoints2d`` and ``keypoints3d`` of bodies by their names, as scenes hold them.
        noise: one sigma of some channels, as scenes hold it.
        known: its poses cannot be estimated.

    Raises:
        InputError: there is nothing to fit, or the poses have to be known.
    """
    accepted = "initial poses, or 2D or 3D keypoints of the body, to fit them to"
    if known:
        raise InputError(place, "missing", "poses in all frames: the body is known")
    found = {key: detections.get(key, {}).get(body.name) for key in ("keypoints3d", "keypoints2d")}
    given = [key for key, values in found.items() if values is not None]
    if body.keypoints is None or not given:
        raise InputError(place, "missing", accepted)
    from warpprior.bodies.keypoint_fit import Detected, KeypointModel, Pinhole
    from warpprior.bodies.keypoint_start import FEWEST_POINTS, start_from_keypoints

    model = KeypointModel(body)
    for key in given:
        values = np.asarray(found[key], dtype=np.float64)
        if values.ndim != 3 or values.shape[1:] != CHANNELS[key].shape(body.keypoint_count, 0):
            continue  # refused where the form of the scene is checked
        lens, sigma = None, noise.get(key, CHANNELS[key].sigma)
        if key == "keypoints2d":
            lens = Pinhole(np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy]))
        detected = Detected(values[..., :-1], trust_of(values), sigma, lens)
        poses, fitted = start_from_keypoints(model, detected)
        if not fitted.any():
            continue
        misses = np.linalg.norm(detected.misses(model.places(poses)), axis=-1)[detected.trust > 0.0] * sigma
        size = f"{np.median(misses):.1f} px" if lens else f"{1e3 * np.median(misses):.1f} mm"
        note = (
            f"{body.name} has no initial poses; they were fitted to its {CHANNELS[key].words} in {fitted.sum()} of "
            f"{len(fitted)} frames (off by {size}, median)"
        )
        imputed = None if fitted.all() else ~fitted
        return Poses(poses.position, poses.rotation, poses.joints, imputed=imputed), note
    raise InputError(place, f"missing, and no frame has {FEWEST_POINTS} keypoints", accepted)


def trust_of(keypoints: np.ndarray) -> np.ndarray:
    """Confidence of keypoints (frame, keypoint, 3 or 4), the last column, in [0, 1]; 0 where one is not finite."""
    return np.clip(np.where(np.isfinite(keypoints).all(axis=2), keypoints[..., -1], 0.0), 0.0, 1.0)


def _read_image(where: str, read: Callable[[int], object], frame: int) -> np.ndarray | None:
    """What a reader returns of a frame, as NumPy."""
    return None if (image := read(frame)) is None else to_numpy(image, f"{where}({frame})")


def box_center(body: Body, scale: float = 1.0) -> np.ndarray:
    """Middle of the bounding box of a body at rest, from the origin of its root (3,) float64 [m].

    Args:
        body: the body.
        scale: its size factor, :attr:`Poses.scale`.
    """
    vertices = np.asarray(body.vertices, dtype=np.float64)
    return 0.5 * scale * (vertices.min(axis=0) + vertices.max(axis=0))


def check_scene(scene: Scene) -> None:
    """The form of a scene: what every part of the project takes for granted.

    Raises:
        InputError: names the scene, the body and the field.
    """
    where = f"scene {scene.name!r}"
    if not scene.bodies:
        raise InputError(where, "no bodies", "at least one body")
    camera = scene.camera
    for name, value in (("fps", scene.fps), ("camera fx", camera.fx), ("camera fy", camera.fy)):
        if not 0.0 < value < np.inf:
            raise InputError(f"{where}: {name}", f"{value}", "a finite number above zero")
    for name, value in (("camera cx", camera.cx), ("camera cy", camera.cy)):
        if not np.isfinite(value):
            raise InputError(f"{where}: {name}", f"{value}", "a finite number")
    for key in ("name", "label"):
        values = [getattr(body, key) for body in scene.bodies]
        if len(set(values)) < len(values):
            raise InputError(f"{where}: {key}s of the bodies", f"{values}", f"every body needs its own {key}")
    for body in scene.bodies:
        place = f"{where}: body {body.name!r}"
        if not 1 <= body.label < IGNORE_LABEL:
            raise InputError(f"{place}: label", f"{body.label}", f"a number from 1 to {IGNORE_LABEL - 1}")
        if body.symmetry not in SYMMETRIES:
            raise InputError(f"{place}: symmetry", repr(body.symmetry), f"one of {', '.join(SYMMETRIES)}")
        body.matter.check(place)
        if body.body.animation is not None and not body.known:
            raise InputError(place, "an animation to be estimated", "known=True: what is animated is given")
        if body.size is not None and (body.known or not body.body.is_rigid):
            found = "to be estimated of a body that " + ("is known" if body.known else "bends")
            raise InputError(f"{place}: size", found, "a rigid body that is estimated, or size=None")
        _check_motion(f"{place}: initial", body, body.initial, scene.frame_count, gaps=False)
        if body.truth is not None:
            _check_motion(f"{place}: truth", body, body.truth, scene.frame_count, gaps=True)
    check_noise(where, scene.noise)
    for key in DETECTIONS:
        for name, values in getattr(scene, key).items():
            owner = next((body for body in scene.bodies if body.name == name), None)
            if owner is None:
                raise InputError(f"{where}: {key}", f"of {name!r}", f"one of {[b.name for b in scene.bodies]}")
            body = owner.body
            wanted = (scene.frame_count, *CHANNELS[key].shape(body.keypoint_count, body.coordinate_count))
            if np.shape(values) != wanted:
                raise InputError(f"{where}: {key} of {name!r}", f"shape {np.shape(values)}", f"shape {wanted}")
    if scene.timestamps is not None:
        check_timestamps(f"{where}: timestamps", scene.timestamps, scene.frame_count)
    if scene.world is not None:
        scene.world.check(f"{where}: world", scene.frame_count)
    for wanted in scene.contact_maps:
        wanted.check(f"{where}: contact maps", [body.body for body in scene.bodies], scene.frame_count)
    if scene.labels is not None:
        expected = (scene.frame_count, scene.camera.height, scene.camera.width)
        if scene.labels.shape != expected or scene.labels.dtype != np.uint8:
            found = f"{scene.labels.dtype} of shape {scene.labels.shape}"
            raise InputError(f"{where}: labels", found, f"uint8 of shape (frame, height, width) = {expected}")


def check_is_scene(scene: object, where: str) -> None:
    """Refuse what is no scene, such as the name of its folder.

    Raises:
        InputError: says what it is.
    """
    if not isinstance(scene, Scene):
        found = repr(scene) if isinstance(scene, str) else f"a {type(scene).__name__}"
        raise InputError(f"{where}: scene", found, "a warpprior.Scene, as warpprior.load_scene(folder) reads it")


def check_timestamps(where: str, times: np.ndarray, frame_count: int) -> None:
    """Times of frames have the right shape and are finite, each later than the one before.

    Raises:
        InputError: names the place, and the frame.
    """
    if np.shape(times) != (frame_count,):
        raise InputError(where, f"shape {np.shape(times)}", f"shape {(frame_count,)}")
    if not np.isfinite(times).all():
        raise InputError(f"{where}, frame {np.argmin(np.isfinite(times))}", "not finite", "finite seconds")
    back = np.flatnonzero(np.diff(times) <= 0.0)
    if len(back):
        found = f"{times[back[0] + 1]:.9g} s after {times[back[0]]:.9g} s"
        raise InputError(f"{where}, frame {back[0] + 1}", found, "seconds that increase from each frame to the next")


def _check_motion(where: str, body: SceneBody, poses: Poses, frame_count: int, *, gaps: bool) -> None:
    """Shapes, finite numbers, unit quaternions; with ``gaps``, frames may be NaN."""
    if not isinstance(poses, Poses):
        raise InputError(where, f"a {type(poses).__name__}", "a warpprior.Poses")
    if frame_count == 0:
        raise InputError(where, "no frames", "at least one frame")
    widths = {"position": 3, "rotation": 4, "joints": body.body.coordinate_count}
    for name, width in widths.items():
        values = getattr(poses, name)
        if np.shape(values) != (frame_count, width):
            raise InputError(f"{where} {name}", f"shape {np.shape(values)}", f"shape {(frame_count, width)}")
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(bad) and not gaps:
            raise InputError(f"{where} {name}, frame {bad[0]}", "not finite", "finite numbers")
    if not 0.0 < poses.scale < np.inf:
        raise InputError(f"{where} scale", f"{poses.scale}", "a finite number above zero")
    lengths = np.linalg.norm(poses.rotation, axis=1)
    bad = np.flatnonzero(np.abs(lengths - 1.0) > UNIT_TOLERANCE)  # NaN is not greater
    if len(bad):
        found = f"a quaternion of length {lengths[bad[0]]:.4g}"
        raise InputError(f"{where} rotation, frame {bad[0]}", found, "unit quaternions x, y, z, w")
    if body.body.animation is not None:
        _check_moments(where, poses.moments, len(body.body.animation), frame_count)


def _check_moments(where: str, moments: np.ndarray | None, moment_count: int, frame_count: int) -> None:
    """One frame of the animation for every frame of the scene."""
    if moments is None:
        if moment_count != frame_count:
            raise InputError(where, f"an animation of {moment_count} frames", f"{frame_count} frames, as the scene has")
        return
    moments = np.asarray(moments)
    if moments.shape != (frame_count,) or moments.min() < 0 or moments.max() >= moment_count:
        accepted = f"one number in [0, {moment_count}) for each of {frame_count} frames"
        raise InputError(f"{where} moments", f"shape {moments.shape} or out of range", accepted)


def depth_image(scene: Scene, frame: int) -> np.ndarray | None:
    """What a scene's depth camera measured in a frame (height, width) [m], or None.

    Raises:
        InputError: the image has another size than the camera's.
    """
    image = None if scene.read_depth is None else scene.read_depth(frame)
    size = scene.camera.height, scene.camera.width
    if image is not None and np.shape(image) != size:
        raise InputError(f"scene {scene.name!r}, frame {frame}", f"a depth image of shape {np.shape(image)}", f"{size}")
    return image
