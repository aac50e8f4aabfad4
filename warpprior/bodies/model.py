"""A body's arrays on a device, and the launches that turn coordinates into a surface in the camera frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import warp as wp

from warpprior.bodies.body import Body
from warpprior.kernels import kinematics, skinning
from warpprior.support.device import warp_device


@dataclass(frozen=True)
class BodyState:
    """The motion of one body on a device, and what follows from it.  All arrays carry gradients where asked for.

    Attributes:
        poses: camera_from_body [frame] transform.
        joints: joint coordinates [frame, coordinate] float [rad or m].
        shape: shape parameters [shape] float.
        scale: uniform size factor of the body at rest [1] float.
        offsets: parent_from_joint of this shape [link] transform.
        rest_links: root_from_link of this shape with no joint moved [link] transform.
        links: camera_from_link [frame, link] transform.
        skin: camera_from_rest [frame, link] transform: carries a point of the rest surface that follows the link.
        rest_vertices: the rest surface of this shape [vertex] vec3.
        turns: (R - I) of each non-root joint, which drives the pose blend shapes [frame, link - 1]; None without any.
        blended: the rest surface corrected for each pose, or animated, [frame, vertex] vec3; None for other bodies.
        animated: the frames of the body's animation that are shown [frame, vertex] vec3; None without one.
        animation: all of its frames, on the host (moment, vertex, 3) float32; None without one.
    """

    poses: wp.array
    joints: wp.array
    shape: wp.array
    scale: wp.array
    offsets: wp.array
    rest_links: wp.array
    links: wp.array
    skin: wp.array
    rest_vertices: wp.array
    turns: wp.array | None
    blended: wp.array | None
    animated: wp.array | None = None
    animation: np.ndarray | None = None

    @property
    def frame_count(self) -> int:
        """Frames of the motion."""
        return self.poses.shape[0]


class BodyModel:
    """A :class:`Body` on a device: constant arrays, and launches that a tape can record.

    Args:
        body: the body.
        device: a Warp device or its name.

    Nothing is allocated by :meth:`shape`, :meth:`pose` and :meth:`skin`; :meth:`state` allocates what they fill.
    """

    def __init__(self, body: Body, device: wp.DeviceLike = "cpu"):
        self.body = body
        self.device = warp_device(device)
        self.vertices = self._array(body.vertices, wp.vec3)
        self.faces = self._array(body.faces, int)
        self.tree = kinematics.Tree()
        self.tree.parents = self._array(body.parents, int)
        self.tree.types = self._array(body.joint_types, int)
        self.tree.axes = self._array(body.joint_axes, wp.vec3)
        self.tree.starts = self._array(body.coordinate_starts, int)
        self.tree.gains = self._array(body.coordinate_gains, float)
        self.tree.biases = self._array(body.coordinate_biases, float)
        self.joint_offsets = self._array(body.joint_offsets, wp.transform)
        self.shape_directions = self._array(np.swapaxes(body.shape_directions, 1, 2), wp.vec3)
        self.joint_shape_directions = self._array(np.swapaxes(body.joint_shape_directions, 1, 2), wp.vec3)
        self.has_pose_directions = body.pose_directions.size > 0
        self.pose_directions = None
        if self.has_pose_directions:
            directions = body.pose_directions.reshape(body.vertex_count, 3, body.link_count - 1, 9)
            self.pose_directions = self._array(np.swapaxes(directions, 1, 2), kinematics.TurnDirections)
        self.skin_links = self._array(body.skin_links, int)
        self.skin_weights = self._array(body.skin_weights, float)
        self.follows_one_link = body.skin_links.shape[1] == 1
        # A rigid body at the origin of its own frame is carried by its pose alone.
        follows_root = body.link_count == 1 and body.shape_count == 0
        self.follows_pose = follows_root and np.array_equal(body.joint_offsets[0], [0, 0, 0, 0, 0, 0, 1])

    def _array(self, values: np.ndarray, dtype) -> wp.array:
        """Constant device array; the trailing axes of a vector or matrix type are dropped, empty axes are kept."""
        values = np.ascontiguousarray(values)
        inner = 0 if dtype in (int, float) else len(dtype._shape_)
        shape = values.shape[: values.ndim - inner]
        if values.size == 0:
            return wp.zeros(shape, dtype=dtype, device=self.device)
        return wp.array(values, dtype=dtype, shape=shape, device=self.device)

    def state(self, frame_count: int, *, requires_grad: bool = True, shape_requires_grad: bool = False) -> BodyState:
        """Arrays for a motion of ``frame_count`` frames, at the identity pose, zero coordinates and shape, scale 1.

        Args:
            frame_count: number of frames.
            requires_grad: gradients reach ``poses`` and ``joints``.
            shape_requires_grad: gradients reach ``shape`` and ``scale`` too; costs one gradient per rest vertex.
        """
        body, links = self.body, self.body.link_count
        skinned, blends = requires_grad or shape_requires_grad, self.has_pose_directions
        animated = None
        if body.animation is not None:  # its first frames, and the last one for as long as there are none
            moments = np.minimum(np.arange(frame_count), len(body.animation) - 1)
            animated = self._array(body.animation[moments], wp.vec3)
        changes = blends or animated is not None

        def zeros(shape, dtype, grad):
            return wp.zeros(shape, dtype=dtype, device=self.device, requires_grad=grad)

        poses = zeros(frame_count, wp.transform, requires_grad)
        poses.fill_(wp.transform_identity())
        scale = zeros(1, float, shape_requires_grad)
        scale.fill_(1.0)
        if self.follows_pose:
            link_transforms = poses.reshape((frame_count, 1))
            skin = link_transforms
        else:
            link_transforms = zeros((frame_count, links), wp.transform, skinned)
            skin = zeros((frame_count, links), wp.transform, skinned)
        return BodyState(
            poses=poses,
            joints=zeros((frame_count, body.coordinate_count), float, requires_grad),
            shape=zeros(body.shape_count, float, shape_requires_grad),
            scale=scale,
            offsets=zeros(links, wp.transform, shape_requires_grad),
            rest_links=zeros(links, wp.transform, shape_requires_grad),
            links=link_transforms,
            skin=skin,
            rest_vertices=zeros(body.vertex_count, wp.vec3, shape_requires_grad),
            turns=zeros((frame_count, links - 1), kinematics.Turn, requires_grad) if blends else None,
            blended=zeros((frame_count, body.vertex_count), wp.vec3, skinned) if changes else None,
            animated=animated,
            animation=body.animation,
        )

    def shape(self, state: BodyState) -> None:
        """Rest surface and joint places of ``state.shape`` and ``state.scale``; needed once if neither changes."""
        kinematics.shape_offsets(
            self.joint_offsets, self.joint_shape_directions, state.shape, state.scale, offsets_out=state.offsets
        )
        kinematics.pose_rest_links(self.tree, state.offsets, rest_links_out=state.rest_links)
        skinning.shape_vertices(
            self.vertices, self.shape_directions, state.shape, state.scale, vertices_out=state.rest_vertices
        )
        if state.animated is not None and state.blended is not None:
            skinning.shape_vertices(
                state.animated.reshape(state.animated.size),
                self.shape_directions,
                state.shape,
                state.scale,
                vertices_out=state.blended.reshape(state.blended.size),
            )

    def pose(self, state: BodyState) -> None:
        """Link transforms of ``state.poses`` and ``state.joints``."""
        if self.follows_pose:
            return
        kinematics.pose_links(self.tree, state.offsets, poses=state.poses, joints=state.joints, links_out=state.links)
        kinematics.relate_to_rest(state.links, state.rest_links, skin_out=state.skin)

    def skin(self, state: BodyState, vertices_out: wp.array, vertex_offset: int = 0) -> None:
        """Surface in the camera frame, written to ``vertices_out[:, vertex_offset:]`` [frame, scene vertex] vec3."""
        rest = state.rest_vertices.reshape((1, self.body.vertex_count)) if state.animated is None else state.blended
        if self.has_pose_directions:
            kinematics.measure_turns(self.tree, joints=state.joints, turns_out=state.turns)
            skinning.blend_pose(
                state.rest_vertices, self.pose_directions, state.turns, state.scale, blended_out=state.blended
            )
            rest = state.blended
        if self.follows_one_link:
            links = self.skin_links.reshape(self.body.vertex_count)
            skinning.carry_vertices(state.skin, rest, links, vertex_offset=vertex_offset, vertices_out=vertices_out)
        else:
            skinning.skin_vertices(
                state.skin,
                rest,
                self.skin_links,
                self.skin_weights,
                vertex_offset=vertex_offset,
                vertices_out=vertices_out,
            )


@lru_cache(maxsize=64)
def _kept_model(body: Body, device: str) -> BodyModel:
    return BodyModel(body, device)


def shared_model(body: Body, device: wp.DeviceLike = "cpu") -> BodyModel:
    """A body's constant arrays on a device, kept for those that were used last; not to be written to."""
    return _kept_model(body, str(warp_device(device)))
