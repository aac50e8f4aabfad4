"""Known motion, evaluated once: surfaces and link transforms of given poses as NumPy arrays.

``poses`` is anything with the fields of :class:`warpprior.scene.Poses`: ``position`` (frame, 3) [m], ``rotation``
(frame, 4) xyzw, ``joints`` (frame, coordinate), ``shape`` (shape,), empty for the mean, ``scale``, and ``moments``
(frame,), which frames of an animation these are, or None for the first ones.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import warp as wp

from warpprior.bodies.body import Body, keypoint_body
from warpprior.bodies.model import BodyModel, BodyState, shared_model


class Motion(Protocol):
    """What this floor needs to know of a body's poses (they are defined one floor up)."""

    @property
    def position(self) -> np.ndarray: ...
    @property
    def rotation(self) -> np.ndarray: ...
    @property
    def joints(self) -> np.ndarray: ...
    @property
    def shape(self) -> np.ndarray: ...
    @property
    def scale(self) -> float: ...
    @property
    def moments(self) -> np.ndarray | None: ...


def assign_poses(state: BodyState, poses: Motion) -> None:
    """Copy a motion into the device arrays of ``state``; :meth:`BodyModel.shape` and :meth:`BodyModel.pose` are due.

    Args:
        state: made by :meth:`BodyModel.state` for as many frames.
        poses: the motion, camera_from_body.

    Raises:
        ValueError: the number of frames, coordinates or shape parameters is not that of ``state``, or an animation
            does not have these frames.
    """
    transforms = np.concatenate([poses.position, poses.rotation], axis=1).astype(np.float32)
    joints = np.asarray(poses.joints, dtype=np.float32).reshape(len(transforms), -1)
    shape = np.asarray(poses.shape, dtype=np.float32)
    if shape.size == 0:
        shape = np.zeros(state.shape.shape[0], dtype=np.float32)
    for name, array, values in (("joints", state.joints, joints), ("shape", state.shape, shape)):
        if values.shape != array.shape:
            raise ValueError(f"{name} has shape {values.shape}, the body needs {array.shape}")
    if len(transforms) != state.frame_count:
        raise ValueError(f"motion of {len(transforms)} frames for a state of {state.frame_count}")
    state.poses.assign(transforms)
    if joints.size:
        state.joints.assign(joints)
    if shape.size:
        state.shape.assign(shape)
    state.scale.fill_(float(poses.scale))
    if state.animation is not None and state.animated is not None:
        moments = np.arange(len(transforms)) if poses.moments is None else np.asarray(poses.moments)
        if len(moments) != len(transforms) or (len(moments) and moments.max() >= len(state.animation)):
            raise ValueError(f"motion of {len(transforms)} frames for an animation of {len(state.animation)}")
        state.animated.assign(state.animation[moments])


def posed_state(body: Body, poses: Motion, device: wp.DeviceLike = "cpu") -> tuple[BodyModel, BodyState]:
    """Model and state of a body at a given motion, without gradients; link transforms are evaluated."""
    model = shared_model(body, device)
    state = model.state(len(poses.position), requires_grad=False)
    assign_poses(state, poses)
    model.shape(state)
    model.pose(state)
    return model, state


def posed_vertices(body: Body, poses: Motion, device: wp.DeviceLike = "cpu") -> np.ndarray:
    """The surface at each frame (frame, vertex, 3) float32 [m], camera frame.

    Args:
        body: whose surface.
        poses: its motion, camera_from_body.
        device: Warp device that computes it.

    Raises:
        ValueError: the motion does not fit the body; see :func:`assign_poses`.
    """
    model, state = posed_state(body, poses, device)
    vertices = wp.zeros((state.frame_count, body.vertex_count), dtype=wp.vec3, device=model.device)
    model.skin(state, vertices)
    return vertices.numpy()


def link_transforms(body: Body, poses: Motion, device: wp.DeviceLike = "cpu") -> np.ndarray:
    """camera_from_link at each frame (frame, link, 7) float32: position [m], then quaternion xyzw.

    Args:
        body: whose links.
        poses: its motion, camera_from_body.
        device: Warp device that computes them.

    Raises:
        ValueError: the motion does not fit the body; see :func:`assign_poses`.
    """
    _, state = posed_state(body, poses, device)
    return state.links.numpy().reshape(state.frame_count, body.link_count, 7)


def posed_keypoints(body: Body, poses: Motion, device: wp.DeviceLike = "cpu") -> np.ndarray:
    """The body's keypoints at each frame (frame, keypoint, 3) float32 [m], camera frame; none for most bodies.

    Args:
        body: whose keypoints.
        poses: its motion, camera_from_body.
        device: Warp device that computes them.

    Raises:
        ValueError: the motion does not fit the body; see :func:`assign_poses`.
    """
    frame_count = len(poses.position)
    if body.keypoints is None:
        return np.zeros((frame_count, 0, 3), dtype=np.float32)
    body = keypoint_body(body)
    assert body.keypoints is not None, "it keeps them"
    model, state = posed_state(body, poses, device)
    vertices = wp.zeros((frame_count, body.vertex_count), dtype=wp.vec3, device=model.device)
    model.skin(state, vertices)
    return body.keypoints.places(state.links.numpy().reshape(frame_count, body.link_count, 7), vertices.numpy())
