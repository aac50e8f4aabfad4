"""What a tracker is told has the form it needs, before anything of it is believed."""

from __future__ import annotations

import numpy as np

from warpprior.errors import InputError
from warpprior.scene import UNIT_TOLERANCE, Scene, SceneBody
from warpprior.tracking.observation import HandPose, Observation

WORDS = {
    "keypoints3d": "3D keypoints",
    "keypoints2d": "2D keypoints",
    "joints": "joints",
    "centers": "centre",
    "boxes": "box",
}


def check_observation(observation: Observation, scene: Scene) -> None:
    """Refuse arrays that do not fit the bodies and the camera of a scene.

    Raises:
        InputError: names the body, what was found, and what is accepted.
    """
    bodies = {body.name: body for body in scene.bodies}
    for name, pose in observation.hands.items():
        _check_pose(_owner("pose", name, bodies), pose)
    for key, words in WORDS.items():
        for name, values in getattr(observation, key).items():
            accepted = _shapes(key, _owner(words, name, bodies))
            if np.shape(values) not in accepted:
                wanted = " or ".join(str(shape) for shape in accepted)
                raise InputError(f"{words} of {name!r}", f"shape {np.shape(values)}", f"shape {wanted}")
    size = (scene.camera.height, scene.camera.width)
    for words, picture in (("label image", observation.labels), ("depth image", observation.depth)):
        if picture is not None and np.shape(picture) != size:
            raise InputError(words, f"shape {np.shape(picture)}", f"shape {size}")


def _owner(words: str, name: str, bodies: dict[str, SceneBody]) -> SceneBody:
    if name not in bodies:
        raise InputError(f"{words} of {name!r}", "no such body", f"one of {', '.join(bodies)}")
    return bodies[name]


def _shapes(key: str, owner: SceneBody) -> tuple[tuple[int, ...], ...]:
    """Shapes that an array may have."""
    count = owner.body.keypoint_count
    return {
        "keypoints3d": ((count, 3), (count, 4)),
        "keypoints2d": ((count, 3),),
        "joints": ((owner.body.coordinate_count,),),
        "centers": ((3,),),
        "boxes": ((4,),),
    }[key]


def _check_pose(owner: SceneBody, pose: HandPose) -> None:
    if owner.body.animation is not None:
        wanted = (owner.body.vertex_count, 3)
        if pose.vertices is None or np.shape(pose.vertices) != wanted:
            found = "none" if pose.vertices is None else f"shape {np.shape(pose.vertices)}"
            raise InputError(f"vertices of {owner.name!r}", found, f"shape {wanted}")
        return
    widths = {"position": 3, "rotation": 4, "joints": owner.body.coordinate_count}
    for name, width in widths.items():
        found = np.shape(getattr(pose, name))
        if found != (width,):
            raise InputError(f"pose of {owner.name!r}: {name}", f"shape {found}", f"shape {(width,)}")
    length = float(np.linalg.norm(pose.rotation))
    if abs(length - 1.0) > UNIT_TOLERANCE:  # NaN is not greater: such a pose is a missing one
        raise InputError(f"pose of {owner.name!r}: rotation", f"length {length:.4g}", "a unit quaternion xyzw")
