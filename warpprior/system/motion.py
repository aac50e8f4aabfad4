"""MotionState: a scene's motion as arrays on a device, ready for terms and solvers."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import warp as wp

from warpprior.bodies.assembly import Assembly, assemble
from warpprior.bodies.model import BodyModel
from warpprior.bodies.posing import assign_poses
from warpprior.geometry.sampling import sample_surface
from warpprior.kernels.camera import advance_poses, project_points
from warpprior.kernels.joints import advance_joints
from warpprior.kernels.size_motion import carry_depth, take_size
from warpprior.kernels.skinning import interpolate_points
from warpprior.render.parts import Part, one_part
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.support.device import warp_device
from warpprior.system.moving_camera import moving_camera

CONTACT_POINTS = 512  # per body, spread over its surface
NEAREST_M = 0.05  # origins nearer to the camera than this, or behind it, are taken to be here
STATES_OF_FRAMES = ("poses", "joints", "links", "skin", "turns", "blended")  # [frame, ...] of a BodyState
STATES_AT_REST = ("shape", "scale", "offsets", "rest_links", "rest_vertices")  # what follows from shape and size


class MotionState:
    """Poses of all bodies, the surfaces of the estimated ones, and contact points of all, on one device.

    The poses of an estimated body are a base and an increment: the increment is what solvers
    differentiate and step, :meth:`settle` folds it into the base, where rotations stay on the manifold.

    Args:
        scene: the scene; the initial poses of its bodies are the start.
        device: Warp device.
        point_count: contact points per body.
        differentiable: arrays have gradients, as :class:`warpprior.system.energy.Energy` wants them.
        seed: of the contact points.

    Attributes:
        estimated, known: the scene's bodies.
        assembly: topology of the estimated bodies, where there are some.
        vertices, screen: their surfaces in the camera frame, and projected: u, v [px], depth [m]
            [frame, vertex] vec3, with gradients.
        poses: camera_from_body by body name [frame] transform, with gradients.
        increments: (x/z, y/z, log z, rotation vector, joints...) by name of estimated body [frame, 6 + coordinate].
        points: contact points in the camera frame by body name [frame, point] vec3, with gradients.
        point_areas: share of the body's surface that each point stands for, by body name [point].
        segments: sequence that each frame belongs to [frame] int32.
        factors: of each body's size, times which it is what it was given with, by name [1]: 1 unless it is estimated.
        paces: nominal time between two frames over the true one since the frame before [frame], 1 at the first.
        camera: the scene's, unless :meth:`zoom` changed its focal length; ``focal`` and ``center`` are its numbers.
        world: a camera that moves, None where it stands.
        clips: the sequences in it, one behind the other: their frames, and their motion, which has a scene of its own
            and whose arrays are a part of these.  One, itself, unless :meth:`divide` made more.
    """

    def __init__(
        self,
        scene: Scene,
        device: wp.DeviceLike = "cpu",
        *,
        point_count: int = CONTACT_POINTS,
        differentiable: bool = True,
        seed: int = 0,
    ):
        self.scene, self._differentiable = scene, differentiable
        self.device = warp_device(device)
        self.frame_count = scene.frame_count
        self.center = wp.vec2(scene.camera.cx, scene.camera.cy)
        self.zoom(0.0)
        self.estimated = tuple(body for body in scene.bodies if not body.known)
        self.known = tuple(body for body in scene.bodies if body.known)

        vertex_count = self.assembly.vertex_count if self.estimated else 0
        self.vertices = self._zeros((self.frame_count, vertex_count), wp.vec3)
        self.screen = self._zeros((self.frame_count, vertex_count), wp.vec3)
        self.segments = wp.zeros(self.frame_count, dtype=wp.int32, device=self.device)
        self.paces = wp.array(frame_paces(scene).astype(np.float32), dtype=wp.float32, device=self.device)
        self.world = moving_camera(scene, self.device)
        self._clips: tuple[tuple[Part, MotionState], ...] = ()
        self.models: dict[str, BodyModel] = {}
        self.states = {}
        self.base_poses, self.base_joints, self.increments = {}, {}, {}
        self.points, self.point_areas, self._point_places, self.factors = {}, {}, {}, {}
        for body in scene.bodies:
            self._add(body, point_count, seed)
        for body in self.known:
            self._pose_known(body)
        self.pose()

    def _zeros(self, shape, dtype) -> wp.array:
        return wp.zeros(shape, dtype=dtype, device=self.device, requires_grad=self._differentiable)

    def _add(self, body: SceneBody, point_count: int, seed: int) -> None:
        name = body.name
        model = BodyModel(body.body, self.device)
        state = model.state(self.frame_count, requires_grad=self._differentiable)
        assign_poses(state, body.initial)
        model.shape(state)
        self.models[name], self.states[name] = model, state
        self.factors[name] = wp.full(1, 1.0, dtype=wp.float32, device=self.device)
        faces, barycentrics, areas = sample_surface(body.body, point_count, seed)
        self._point_places[name] = (
            wp.array(faces, dtype=wp.int32, device=self.device),
            wp.array(barycentrics, dtype=wp.vec3, device=self.device),
        )
        self.points[name] = self._zeros((self.frame_count, point_count), wp.vec3)
        self.point_areas[name] = wp.array(areas, dtype=wp.float32, device=self.device)
        if not body.known:
            self.base_poses[name] = wp.clone(state.poses, requires_grad=False)
            self.base_joints[name] = wp.clone(state.joints, requires_grad=False)
            self.increments[name] = self._zeros((self.frame_count, 6 + body.body.coordinate_count), wp.float32)

    @property
    def clips(self) -> tuple[tuple[Part, MotionState], ...]:
        return self._clips or tuple((part, self) for part in one_part(self.frame_count))

    def divide(self, scenes: Sequence[Scene]) -> None:
        """Take the frames for those of several scenes, one behind the other, that have nothing to do with each other.

        Args:
            scenes: with the same bodies, camera and rate; no body is an animation, shapes and focal length stay.
        """
        ends = np.cumsum([0, *(scene.frame_count for scene in scenes)])
        parts = [Part(int(start), int(stop), self.frame_count) for start, stop in pairwise(ends)]
        self.segments.assign(np.repeat(np.arange(len(scenes), dtype=np.int32), np.diff(ends)))
        self.paces.assign(np.concatenate([frame_paces(scene) for scene in scenes]).astype(np.float32))
        self._clips = tuple((part, self._clip(part, scene)) for part, scene in zip(parts, scenes, strict=True))

    def of_part(self, part: Part, scene: Scene) -> MotionState:
        """The motion of some frames, whose arrays are a part of these; those of one of several scenes."""
        clip, of = copy(self), part.of
        clip.scene, clip.frame_count, clip._clips = scene, part.count, ()
        clip.estimated = tuple(body for body in scene.bodies if not body.known)
        clip.known = tuple(body for body in scene.bodies if body.known)
        clip.segments = wp.zeros(part.count, dtype=wp.int32, device=self.device)
        for name in ("vertices", "screen", "paces"):
            setattr(clip, name, of(getattr(self, name)))
        for name in ("base_poses", "base_joints", "increments", "points"):
            setattr(clip, name, {key: of(array) for key, array in getattr(self, name).items()})
        clip.states = {
            name: replace(state, **{key: _part_of(part, getattr(state, key)) for key in STATES_OF_FRAMES})
            for name, state in self.states.items()
        }
        return clip

    def _clip(self, part: Part, scene: Scene) -> MotionState:
        """The motion of one of several scenes, of which each may go by itself: with shapes and sizes of its own."""
        clip = self.of_part(part, scene)
        clip.factors = {name: wp.clone(factor) for name, factor in self.factors.items()}
        clip.states = {
            name: replace(state, **{key: wp.clone(getattr(state, key)) for key in STATES_AT_REST})
            for name, state in clip.states.items()
        }
        return clip

    def zoom(self, log_factor: float) -> None:
        """Let the focal length be the scene's times the exponential of ``log_factor``; then :meth:`pose` is due.

        It is an argument of launches, which a recorded graph does not learn of.
        """
        camera, factor = self.scene.camera, float(np.exp(log_factor))
        self.camera: Camera = replace(camera, fx=camera.fx * factor, fy=camera.fy * factor) if log_factor else camera
        self.focal = wp.vec2(self.camera.fx, self.camera.fy)

    def assign_shape(self, name: str, shape: wp.array) -> None:
        """Give a body other shape parameters [shape] float; then :meth:`pose` is due; launches only."""
        wp.copy(self.states[name].shape, shape)
        self.models[name].shape(self.states[name])

    def assign_size(self, name: str, log_factor: wp.array) -> None:
        """Give a body the size that it was given times exp(``log_factor``) [1]; launches only.

        It stays where it is, but see :meth:`grow`; then :meth:`pose` is due.
        """
        given, state = float(self.scene.body(name).initial.scale), self.states[name]
        take_size(log_factor, given, factor_out=self.factors[name], scale_out=state.scale)
        self.models[name].shape(state)

    def grow(self, name: str, steps: wp.array, column: int) -> None:
        """Let a body go as much farther away as it grows, in its increments; launches only.

        Args:
            name: of the body.
            steps: of what is shared [segment, shared] float64.
            column: of the logarithm of its size among them.
        """
        carry_depth(steps, column, self.segments, increments_out=self.increments[name])

    def read_size(self, body: SceneBody) -> float:
        """Size factor of a body now, exactly the initial one where it is not estimated."""
        return body.initial.scale if body.size is None else float(self.states[body.name].scale.numpy()[0])

    def read_shape(self, name: str) -> np.ndarray:
        """Shape parameters of a body (shape,): exactly the initial ones until others are assigned."""
        initial = self.scene.body(name).initial.shape
        current = self.states[name].shape.numpy()
        given = np.zeros(len(current)) if np.size(initial) == 0 else np.asarray(initial)
        return initial if np.array_equal(current, given.astype(np.float32)) else current.astype(np.float64)

    @cached_property
    def assembly(self) -> Assembly:
        return assemble([body.body for body in self.estimated])

    @property
    def poses(self) -> dict[str, wp.array]:
        return {name: state.poses for name, state in self.states.items()}

    @property
    def joints(self) -> dict[str, wp.array]:
        return {name: state.joints for name, state in self.states.items()}

    def in_world(self, places: np.ndarray) -> np.ndarray:
        """Places (frame, 3) [m] of the camera's frames in the world; where the camera stands, as they are."""
        return places if self.world is None else self.world.now().moved_places(places)

    def if_at_rest(self, places: np.ndarray) -> np.ndarray:
        """Where the next frame's camera would see places (frame, 3) [m], if they rested in the world; of the last, as
        it sees them itself.
        """
        return places if self.world is None else self.world.now().seen_next(places)

    def if_at_rest_since(self, before: np.ndarray, after: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Where cameras of frames ``after`` would see places (n, 3) [m] of frames ``before``, if they rested."""
        if self.world is None:
            return places
        path, unturned = self.world.now(), np.tile([0.0, 0.0, 0.0, 1.0], (len(places), 1))
        return path.frames(after).seen(*path.frames(before).moved(places, unturned))[0]

    def first_vertex(self, name: str) -> int:
        """Where an estimated body's vertices start in :attr:`vertices`."""
        return int(self.assembly.vertex_starts[[body.name for body in self.estimated].index(name)])

    def _pose_known(self, body: SceneBody) -> None:
        vertices = wp.zeros((self.frame_count, body.body.vertex_count), dtype=wp.vec3, device=self.device)
        self.pose_surface(body.name, vertices, 0)
        self._interpolate(body.name, vertices, 0)

    def point_places(self, name: str) -> tuple[wp.array, wp.array]:
        """The face each contact point lies on [point], and where on it, barycentric [point] vec3."""
        return self._point_places[name]

    def pose_surface(self, name: str, vertices_out: wp.array, first: int) -> None:
        """Surface of a body at its current poses, in the camera frame [frame, vertex]."""
        model, state = self.models[name], self.states[name]
        model.pose(state)
        model.skin(state, vertices_out, first)

    def _interpolate(self, name: str, vertices: wp.array, first: int) -> None:
        faces, barycentrics = self._point_places[name]
        interpolate_points(
            vertices,
            self.models[name].faces,
            faces,
            barycentrics,
            vertex_offset=first,
            points_out=self.points[name],
        )

    def pose(self, alone: str | None = None) -> None:
        """Poses, surfaces, projections and contact points of the estimated bodies; what a tape records.

        Args:
            alone: name of the body that alone has moved; None for all.
        """
        for index, body in enumerate(self.estimated):
            if alone is not None and body.name != alone:
                continue
            name, state = body.name, self.states[body.name]
            first = int(self.assembly.vertex_starts[index])
            advance_poses(self.base_poses[name], self.increments[name], poses_out=state.poses)
            if body.body.coordinate_count:
                advance_joints(self.base_joints[name], self.increments[name], joints_out=state.joints)
            self.pose_surface(name, self.vertices, first)
            project_points(
                self.vertices,
                self.focal,
                self.center,
                first=first,
                count=body.body.vertex_count,
                screen_out=self.screen,
            )
            self._interpolate(name, self.vertices, first)

    def settle(self) -> None:
        """Fold the increments into the base poses and zero them.  The poses were updated by :meth:`pose` before."""
        for body in self.estimated:
            state = self.states[body.name]
            wp.copy(self.base_poses[body.name], state.poses)
            if body.body.coordinate_count:
                wp.copy(self.base_joints[body.name], state.joints)
            self.increments[body.name].zero_()

    def assign(self, poses: dict[str, Poses]) -> None:
        """Take other base poses for the estimated bodies among ``poses`` and pose them."""
        for body in self.estimated:
            if body.name in poses:
                assign_poses(self.states[body.name], poses[body.name])
        self.settle()
        self.pose()

    def read(self) -> dict[str, Poses]:
        """The current motion of every body as NumPy arrays; known bodies exactly as they were given."""
        motions = {body.name: body.initial for body in self.known}
        for body in self.estimated:
            transforms = self.states[body.name].poses.numpy().astype(np.float64)
            rotation = transforms[:, 3:] / np.linalg.norm(transforms[:, 3:], axis=1, keepdims=True)
            motions[body.name] = Poses(
                position=transforms[:, :3],
                rotation=rotation,
                joints=self.states[body.name].joints.numpy().astype(np.float64),
                shape=self.read_shape(body.name),
                scale=self.read_size(body),
            )
        return {body.name: motions[body.name] for body in self.scene.bodies}

    def read_transforms(self) -> dict[str, np.ndarray]:
        """Base poses and joints of the estimated bodies, bit for bit: {name: (frame, 7 + coordinate) float32}."""
        return {
            name: np.concatenate([poses.numpy(), self.base_joints[name].numpy()], axis=1)
            for name, poses in self.base_poses.items()
        }

    def assign_transforms(self, values: dict[str, np.ndarray]) -> None:
        """Take base poses and joints that :meth:`read_transforms` returned."""
        for name, rows in values.items():
            self.base_poses[name].assign(np.ascontiguousarray(rows[:, :7]))
            if rows.shape[1] > 7:
                self.base_joints[name].assign(np.ascontiguousarray(rows[:, 7:]))
            self.increments[name].zero_()
        self.pose()

    def hold_finite(self) -> list[str]:
        """Put frames that are not finite back to where the scene starts; returns the bodies that had some."""
        held = []
        current = self.read_transforms()
        for body in self.estimated:
            rows = current[body.name]
            bad = ~np.isfinite(rows).all(axis=1)
            if bad.any():
                start = [body.initial.position, body.initial.rotation, body.initial.joints]
                rows[bad] = np.concatenate(start, axis=1)[bad]
                held.append(body.name)
        if held:
            self.assign_transforms(current)
        return held


def _part_of(part: Part, array: wp.array | None) -> wp.array | None:
    return None if array is None else part.of(array)


def frame_paces(scene: Scene) -> np.ndarray:
    """Nominal time between two frames over the true one since the frame before (frame,): 1 without timestamps.

    A difference between two frames times its pace is what it would be at the scene's nominal rate.
    """
    if scene.timestamps is None:
        return np.ones(scene.frame_count)
    return np.concatenate([[1.0], 1.0 / (np.diff(scene.timestamps) * scene.fps)])
