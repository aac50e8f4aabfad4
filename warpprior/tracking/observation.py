"""What a tracker is told in one step, and how a recorded scene is told step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from warpprior.scene import Scene
from warpprior.support.errors import InputError
from warpprior.tracking.manifold import matrix

SENSORS = {
    "keypoints3d": "all keypoints of hands in space",
    "fingertips": "fingertips in space",
    "keypoints2d": "keypoints in the picture",
    "joints": "measured joint coordinates",
    "center": "middle of the objects in space",
    "center2d": "centroid of the objects' masks",
    "area": "area of the objects' masks",
    "moments": "area, centroid and second moments of the masks",
    "box": "bounding boxes of the objects",
    "mask": "whole masks",
    "depth": "depth images",
}
ALIASES = {
    "keypoints-3d": "keypoints3d",
    "keypoints": "keypoints3d",
    "keypoints-2d": "keypoints2d",
    "object-center": "center",
    "object-center-2d": "center2d",
    "mask-area": "area",
}


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class HandPose:
    """The pose of one hand in one frame, as a network or encoders tell it: the control of the filter.

    Attributes:
        position: camera_from_hand (3,) [m].
        rotation: unit quaternion (4,) xyzw.
        joints: joint coordinates (coordinate,) [rad or m].
        vertices: of a hand that is given by its surface alone, in the camera frame (vertex, 3) [m]; then the pose
            does not matter.
    """

    position: np.ndarray = field(default_factory=lambda: np.zeros(3))
    rotation: np.ndarray = field(default_factory=lambda: np.array([0.0, 0.0, 0.0, 1.0]))
    joints: np.ndarray = field(default_factory=lambda: np.zeros(0))
    vertices: np.ndarray | None = None

    def __post_init__(self):
        for name in ("position", "rotation", "joints"):  # lists are as good
            object.__setattr__(self, name, np.asarray(getattr(self, name)))


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Observation:
    """What is seen at one time; by body name, and whatever is missing is left out or NaN.

    Attributes:
        hands: poses of hands, the control.  A hand left out keeps its last pose and grows uncertain.
        keypoints3d: (keypoint, 3 or 4) x, y, z [m] in the camera frame, and confidence in [0, 1].
        keypoints2d: (keypoint, 3) u, v [px] and confidence.
        joints: measured joint coordinates (coordinate,).
        centers: middle of a body's bounding box at rest (3,) [m], camera frame.
        boxes: (4,) left, top, right, bottom [px].
        labels: label image (height, width) uint8.
        depth: depth image (height, width) float32 [m], 0 for unmeasured.
    """

    hands: Mapping[str, HandPose] = field(default_factory=dict)
    keypoints3d: Mapping[str, np.ndarray] = field(default_factory=dict)
    keypoints2d: Mapping[str, np.ndarray] = field(default_factory=dict)
    joints: Mapping[str, np.ndarray] = field(default_factory=dict)
    centers: Mapping[str, np.ndarray] = field(default_factory=dict)
    boxes: Mapping[str, np.ndarray] = field(default_factory=dict)
    labels: np.ndarray | None = None
    depth: np.ndarray | None = None


def choose_sensors(names: Sequence[str] | str, scene: Scene) -> tuple[str, ...]:
    """Names of sensors as the tracker knows them; ``auto`` is what the scene offers.

    Raises:
        InputError: there is no such sensor, or the scene has nothing for it.
    """
    listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    if listed == ["auto"]:
        return tuple(name for name in SENSORS if name in _worthwhile(scene))
    offered = _offered(scene)
    chosen = []
    for given in listed:
        name = ALIASES.get(given, given)
        if name not in SENSORS:
            raise InputError("--observe", f"no sensor {given!r}", f"some of {', '.join(SENSORS)}; or auto alone")
        if name not in offered:
            found = f"{given!r}, of which scene {scene.name!r} has nothing"
            raise InputError("--observe", found, f"some of {', '.join(sorted(offered))}")
        chosen.append(name)
    return tuple(dict.fromkeys(chosen))


def _offered(scene: Scene) -> set[str]:
    """Sensors for which a scene has data."""
    hands = {body.name for body in scene.bodies if body.body.coordinate_count}
    found = set()
    if scene.keypoints3d:
        found |= {"keypoints3d", "fingertips"}
    if scene.keypoints2d:
        found.add("keypoints2d")
    if scene.centers:
        found.add("center")
    if any(name not in hands for name in scene.boxes):
        found.add("box")
    if scene.labels is not None:
        found |= {"center2d", "area", "moments", "mask"}
    if scene.read_depth is not None:
        found.add("depth")
    if any(body.known and body.body.coordinate_count for body in scene.bodies):
        found.add("joints")
    return found


def _worthwhile(scene: Scene) -> set[str]:
    """What ``auto`` takes: everything but what another sensor tells better."""
    found = _offered(scene) - {"fingertips", "center2d", "area", "joints"}  # each is part of another
    if "mask" in found:
        found -= {"moments", "box"}
    return found


def observe_frame(scene: Scene, frame: int, sensors: Sequence[str]) -> Observation:
    """What a scene has of one frame; the initial poses of its hands are the control."""
    hands = {}
    for body in scene.bodies:
        if not body.known and body.body.is_rigid:
            continue
        initial = body.initial
        if initial.imputed is not None and initial.imputed[frame]:
            continue
        vertices = None
        if body.body.animation is not None:
            moment = frame if initial.moments is None else int(initial.moments[frame])
            surface = body.body.animation[moment] * initial.scale
            vertices = surface @ matrix(initial.rotation[frame]).T + initial.position[frame]
        hands[body.name] = HandPose(initial.position[frame], initial.rotation[frame], initial.joints[frame], vertices)
    pick = lambda values: {name: array[frame] for name, array in values.items()}  # noqa: E731
    pictures = {"center2d", "area", "moments", "mask"} & set(sensors)
    return Observation(
        hands=hands,
        keypoints3d=pick(scene.keypoints3d),
        keypoints2d=pick(scene.keypoints2d),
        joints={b.name: b.initial.joints[frame] for b in scene.bodies if b.known and b.body.coordinate_count},
        centers=pick(scene.centers),
        boxes=pick(scene.boxes),
        labels=scene.labels[frame] if pictures and scene.labels is not None else None,
        depth=scene.read_depth(frame) if "depth" in sensors and scene.read_depth is not None else None,
    )
