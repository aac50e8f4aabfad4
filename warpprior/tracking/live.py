"""The model of a live tracker: a camera and bodies, without anything that was recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from warpprior.bodies.body import Body
from warpprior.scene import IGNORE_LABEL, Camera, Poses, Scene, SceneBody
from warpprior.support.errors import InputError


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class TrackedBody:
    """A body to track, or one that moves others.

    Attributes:
        body: its model.
        position: where it is at first, camera_from_body (3,) [m]; of objects only: hands come with a pose in every
            observation.
        rotation: likewise, unit quaternion (4,) xyzw.
        known: its poses are measured, as a robot's are, not estimated.
        label: its label in label images; None takes one that no other body has.
        symmetry: see :class:`warpprior.SceneBody`.
        scale: size factor of its rest surface.
        shape: shape parameters (shape,).
    """

    body: Body
    position: Sequence[float] | np.ndarray = (0.0, 0.0, 0.0)
    rotation: Sequence[float] | np.ndarray = (0.0, 0.0, 0.0, 1.0)
    known: bool = False
    label: int | None = None
    symmetry: str = "none"
    scale: float = 1.0
    shape: np.ndarray = field(default_factory=lambda: np.zeros(0))


def live_scene(camera: Camera, bodies: Sequence[TrackedBody | SceneBody], noise: Mapping[str, float]) -> Scene:
    """A scene of one frame in which nothing is observed.

    Args:
        camera: that sees them.
        bodies: of a :class:`SceneBody` only the first pose is taken.
        noise: one sigma by name of the channel, see :attr:`Scene.noise`.

    Raises:
        InputError: a body is of another type, an object has no first position, or the scene does not fit together.
    """
    taken = {body.label for body in bodies if getattr(body, "label", None) is not None}
    free = iter(label for label in range(1, IGNORE_LABEL) if label not in taken)
    made = []
    for body in bodies:
        if isinstance(body, TrackedBody):
            made.append(_scene_body(body, next(free) if body.label is None else body.label))
        elif isinstance(body, SceneBody):
            made.append(replace(body, initial=body.initial.frames(slice(0, 1)), truth=None))
        else:
            raise InputError("track: bodies", f"a {type(body).__name__}", "TrackedBody or SceneBody")
    return Scene("live", camera, 30.0, tuple(made), noise=dict(noise))


def _scene_body(body: TrackedBody, label: int) -> SceneBody:
    model = body.body
    animated = model.animation is not None
    position = np.array([body.position], dtype=float)
    if model.is_rigid and not animated and not body.known and not position.any():
        accepted = "position=(x, y, z) [m], where it is at first, roughly, in front of the camera"
        raise InputError(f"track: body {model.name!r}", "an object at the camera's centre", accepted)
    pose = Poses(
        position,
        np.array([body.rotation], dtype=float),
        np.zeros((1, model.coordinate_count)),
        np.asarray(body.shape, dtype=float),
        float(body.scale),
        moments=np.zeros(1, dtype=int) if animated else None,
    )
    return SceneBody(model, label, body.known or animated, pose, symmetry=body.symmetry)
