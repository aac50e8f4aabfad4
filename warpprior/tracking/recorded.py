"""A recorded scene as observations, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from warpprior.observations import SENSORS, HandPose, Observation
from warpprior.scene import Scene
from warpprior.tracking.manifold import matrix
from warpprior.tracking.sensors.base import Sensor


def observe_frame(scene: Scene, frame: int, sensors: Sequence[str], own: Sequence[Sensor] = ()) -> Observation:
    """What a scene has of one frame; the initial poses of its hands are the control.

    Args:
        scene: the recording.
        frame: which frame.
        sensors: names of sensors; pictures that none of them looks at are not read.
        own: the user's sensors, which read what they need themselves.
    """
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
    looked_at = {SENSORS[name].channel for name in sensors}
    extra = {sensor.name: sensor.read(scene, frame) for sensor in own}
    return Observation(
        hands=hands,
        keypoints3d=pick(scene.keypoints3d),
        keypoints2d=pick(scene.keypoints2d),
        joints={b.name: b.initial.joints[frame] for b in scene.bodies if b.known and b.body.coordinate_count},
        centers=pick(scene.centers),
        boxes=pick(scene.boxes),
        labels=scene.labels[frame] if "labels" in looked_at and scene.labels is not None else None,
        depth=scene.read_depth(frame) if "depth" in looked_at and scene.read_depth is not None else None,
        camera=_camera_of(scene, frame),
        extra={name: value for name, value in extra.items() if value is not None},
    )


def _camera_of(scene: Scene, frame: int) -> np.ndarray | None:
    """World_from_camera (7,) where the camera moves; None where it stands."""
    if scene.world is None or not scene.world.moves or scene.world.camera is None:
        return None
    return np.concatenate([scene.world.camera.position[frame], scene.world.camera.rotation[frame]])
