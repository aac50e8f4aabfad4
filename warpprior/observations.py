"""Observations: every channel by which something is seen, in one table, and what is seen at one moment.

The table says what a channel is called, what its values are, and how noisy they are unless a scene says otherwise
(:attr:`warpprior.Scene.noise`).  It imports neither those who read channels from files nor the tracker's sensors: they
enter themselves under a channel's name (:func:`reads`, :func:`senses`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from warpprior.support.arrays import take
from warpprior.support.errors import InputError

LEAST_SIGMA, MOST_SIGMA = 1e-6, 1e6  # their squares and sums stay well within double precision
Entry = TypeVar("Entry", bound=Callable)
SensorClass = TypeVar("SensorClass", bound=type[Any])  # one of warpprior.tracking.sensors, which stands above


@dataclass(frozen=True)
class Channel:
    """One kind of observation.

    Attributes:
        name: of the channel: the field of :class:`warpprior.Scene` and :class:`Observation` that holds it, and the key
            of its noise.
        words: what one observation is called in messages.
        unit: of its values and of its sigma.
        columns: what the values of a row are.
        rows: how many rows a body has: one, or one per ``keypoint`` or ``coordinate``; None for whole pictures.
        sigma: standard deviation of each value, where the scene does not say (of pictures: see ``meaning``).
        reach: beyond so many sigmas an observation is taken for an outlier.
        meaning: of sigma, in a sentence.
        stored: what files call it (``<body>/<stored>``); None if detections files do not hold it.
    """

    name: str
    words: str
    unit: str
    columns: tuple[str, ...]
    rows: str | None
    sigma: float
    reach: float
    meaning: str
    stored: str | None = None

    @property
    def per_keypoint(self) -> bool:
        """There is a row for each keypoint of the body."""
        return self.rows == "keypoint"

    def shape(self, keypoint_count: int, coordinate_count: int) -> tuple[int, ...]:
        """Shape of one body's values at one moment.

        Raises:
            InputError: the channel holds whole pictures.
        """
        if self.rows is None:
            raise InputError(f"channel {self.name!r}", "holds pictures", "their shape is that of the camera's pictures")
        if self.rows == "coordinate":
            return (coordinate_count,)
        return (keypoint_count, len(self.columns)) if self.per_keypoint else (len(self.columns),)


CHANNELS: dict[str, Channel] = {
    channel.name: channel
    for channel in (
        Channel(
            *("keypoints2d", "2D keypoints", "px", ("u", "v", "confidence"), "keypoint", 7.0, 4.0),
            "of each axis of a keypoint of confidence 1 in the picture",
            "keypoints2d",
        ),
        Channel(
            *("boxes", "box", "px", ("left", "top", "right", "bottom"), "one", 5.0, 4.0),
            "of each side of a bounding box in the picture",
            "box2d",
        ),
        Channel(
            *("keypoints3d", "3D keypoints", "m", ("x", "y", "z", "confidence"), "keypoint", 0.004, 4.0),
            "of each axis of a keypoint in space",
            "keypoints3d",
        ),
        Channel(
            *("centers", "centre", "m", ("x", "y", "z"), "one", 0.015, 4.0),
            "of each axis of the middle of a body in space",
            "center",
        ),
        Channel(
            *("joints", "joints", "rad or m", ("value",), "coordinate", 0.01, 4.0),
            "of each measured joint coordinate",
        ),
        Channel(
            *("labels", "label image", "px", ("label",), None, 2.0, 4.0),
            "of how far the border of a label lies off",
        ),
        Channel(
            *("depth", "depth image", "m", ("z",), None, 0.005, 4.0),
            "of each measured depth",
        ),
        Channel(
            *("poses", "given poses", "m", ("x", "y", "z"), None, 0.005, 4.0),
            "of each point of a body whose given poses are all that was observed of it",
        ),
    )
}
"""All channels by name."""

DETECTIONS = tuple(name for name, channel in CHANNELS.items() if channel.stored is not None)
"""Channels that a scene holds as arrays by body name, with a row per frame."""

READERS: dict[str, Callable] = {}
"""What reads a channel from a file, by name of the channel; see :func:`reads`."""

SENSORS: dict[str, type[Any]] = {}
"""Classes of the tracker's sensors, by their own names; each has its ``channel``; see :func:`senses`."""


def channel(name: str) -> Channel:
    """The channel of that name.

    Raises:
        InputError: there is none; the message names those there are.
    """
    if name not in CHANNELS:
        raise InputError("observations", f"no channel {name!r}", f"one of {', '.join(CHANNELS)}")
    return CHANNELS[name]


def reads(name: str) -> Callable[[Entry], Entry]:
    """A decorator that enters what reads a channel from a file."""
    channel(name)

    def enter(reader: Entry) -> Entry:
        READERS[name] = reader
        return reader

    return enter


def senses(name: str) -> Callable[[SensorClass], SensorClass]:
    """A class decorator that enters a sensor of the tracker under the channel that it looks at."""
    channel(name)

    def enter(sensor: SensorClass) -> SensorClass:
        sensor.channel = name
        SENSORS[sensor.name] = sensor
        return sensor

    return enter


def check_noise(where: str, noise: Mapping[str, float]) -> None:
    """Refuse noise of no channel, and sigmas that cannot be.

    Raises:
        InputError: names the place, the channel, and what would be accepted.
    """
    for name, sigma in noise.items():
        if name not in CHANNELS:
            raise InputError(f"{where}: noise", f"of {name!r}", f"of {', '.join(CHANNELS)}")
        good = isinstance(sigma, (int, float, np.integer, np.floating)) and not isinstance(sigma, bool)
        if not good or not LEAST_SIGMA <= sigma <= MOST_SIGMA:
            accepted = f"one sigma [{CHANNELS[name].unit}], a number from {LEAST_SIGMA:g} to {MOST_SIGMA:g}"
            raise InputError(f"{where}: noise of {name}", f"{sigma!r}", accepted)


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class HandPose:
    """The pose of one hand in one frame, as a network or encoders give it: the control of the filter.

    Attributes:
        position: camera_from_hand (3,) [m].
        rotation: unit quaternion (4,) xyzw; one of zeros marks a missing pose, as NaN does.
        joints: joint coordinates (coordinate,) [rad or m].
        vertices: of a hand that is given by its surface alone, in the camera frame (vertex, 3) [m]; then the pose
            does not matter.

    Raises:
        InputError: on construction: an array that :mod:`warpprior.support.arrays` refuses.
    """

    position: np.ndarray = field(default_factory=lambda: np.zeros(3))
    rotation: np.ndarray = field(default_factory=lambda: np.array([0.0, 0.0, 0.0, 1.0]))
    joints: np.ndarray = field(default_factory=lambda: np.zeros(0))
    vertices: np.ndarray | None = None

    def __post_init__(self):
        for name in ("position", "rotation", "joints", "vertices"):
            take(self, name, f"hand: {name}", arrays_only=True)
        for name in ("position", "rotation", "joints"):  # lists are as good
            object.__setattr__(self, name, np.asarray(getattr(self, name)))


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Observation:
    """What is seen at one time; by body name, and whatever is missing is left out or NaN.

    Attributes:
        hands: poses of hands, the control.  A hand left out keeps its last pose and grows uncertain.
        keypoints3d: (keypoint, 3 or 4) x, y, z [m] in the camera frame, and confidence in [0, 1].
        keypoints2d: (keypoint, 2 or 3) u, v [px], and confidence in [0, 1].
        joints: measured joint coordinates (coordinate,).
        centers: middle of a body's bounding box at rest (3,) [m], camera frame.
        boxes: (4,) left, top, right, bottom [px].
        labels: label image (height, width) uint8.
        depth: depth image (height, width) float32 [m], 0 for unmeasured.
        camera: where the camera is, world_from_camera: position [m] and quaternion xyzw (7,); None: it has not moved
            since it was last said.  What rests, is carried or flies does so in that world.
        extra: what sensors of your own look at, by their names.

    Raises:
        InputError: on construction: an array that :mod:`warpprior.support.arrays` refuses.
    """

    hands: Mapping[str, HandPose] = field(default_factory=dict)
    keypoints3d: Mapping[str, np.ndarray] = field(default_factory=dict)
    keypoints2d: Mapping[str, np.ndarray] = field(default_factory=dict)
    joints: Mapping[str, np.ndarray] = field(default_factory=dict)
    centers: Mapping[str, np.ndarray] = field(default_factory=dict)
    boxes: Mapping[str, np.ndarray] = field(default_factory=dict)
    labels: np.ndarray | None = None
    depth: np.ndarray | None = None
    camera: np.ndarray | None = None
    extra: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self):
        for name in (name for name in CHANNELS if name in self.__dataclass_fields__):
            take(self, name, f"observation: {name}", arrays_only=True)
        take(self, "camera", "observation: camera", arrays_only=True)
