"""Hands: what moves objects.  Hands, robots, bodies that are known: their points and how those move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import warp as wp

from warpprior.bodies.body import Body
from warpprior.bodies.model import BodyModel
from warpprior.geometry.sampling import sample_surface
from warpprior.kernels.tracked_points import UNUSED, linearise_points
from warpprior.observations import HandPose
from warpprior.scene import SceneBody
from warpprior.support.replay import Replay
from warpprior.system.surface_motion import descendants
from warpprior.tracking.manifold import covariance_at
from warpprior.tracking.settings import ControlNoise, TrackSettings
from warpprior.tracking.twin_arrays import TwinArray, twin_zeros

RANGE_SHARE = 6.0  # the noise of a joint is at most its range over this


class TrackedHand:
    """One body that moves objects, reduced to its keypoints and the points that may come into contact.

    Args:
        body: the scene's body; shape and scale are those of its initial poses.
        settings: of the tracker.
        anchors: how many points are followed for contacts.
        device: Warp device.

    Attributes:
        name: of the body.
        scale: size factor of its surface.
        noise: of its control.
        animated: it is given by its surface alone.
        width: of its error: six, and its joint coordinates.
        candidates: which of :attr:`device_points` may come into contact (point,).
        points: the candidates in the camera frame (point, 3) [m], current after :meth:`place`.
        keypoint_slots: which slot holds each keypoint (keypoint,).
        slot_points: where slots are (slot, 3) [m], and ``jacobians`` (slot, 3, width), current after
            :meth:`linearise`.  The first slots are those of anchors.
        surface: vertices of a hand that is given by them (vertex, 3), camera frame [m]; else None.
        tips: which keypoints are fingertips (keypoint,) bool.
        links: name of the link that each candidate moves with most (point,).
    """

    def __init__(self, body: SceneBody, settings: TrackSettings, anchors: int, device):
        self.name, self.scale = body.name, body.initial.scale
        self.noise: ControlNoise = settings.measured if body.known else settings.estimated
        self.animated = body.body.animation is not None
        reduced, self.candidates, keypoints = _reduce(body.body, settings.contact_points, settings.seed)
        self._chosen = reduced.chosen
        touching = reduced.chosen[self.candidates]
        heaviest = body.body.skin_weights[touching].argmax(axis=1)
        followed = np.take_along_axis(body.body.skin_links[touching], heaviest[:, None], axis=1)[:, 0]
        self.links = np.array(body.body.link_names, dtype=object)[followed]
        self.surface: np.ndarray | None = None
        self.model = BodyModel(reduced.body, device)
        self.state = self.model.state(1, requires_grad=False)
        shape = np.asarray(body.initial.shape, dtype=np.float32)
        if shape.size:
            self.state.shape.assign(shape)
        self.state.scale.fill_(float(self.scale))
        self.model.shape(self.state)
        self.width = 6 + reduced.body.coordinate_count
        self._variances = np.zeros(self.width)
        self._variances[3:6] = self.noise.rotation_rad**2
        self._variances[6:] = joint_sigmas(reduced.body, self.noise.joint_rad) ** 2
        self.tips = np.zeros(0, bool) if body.body.keypoints is None else body.body.keypoints.tips
        slot_count = anchors + len(keypoints)
        self.keypoint_slots = anchors + np.arange(len(keypoints))
        self._vertices = twin_zeros((1, reduced.body.vertex_count), wp.vec3, device)
        self._slots = twin_zeros((1, max(slot_count, 1)), wp.int32, device)
        self._slots.host[:] = UNUSED
        self._slots.host[0, anchors:slot_count] = keypoints
        self._slots.push()
        self._slot_points = twin_zeros((1, max(slot_count, 1)), wp.vec3, device)
        self._jacobians = twin_zeros((1, max(slot_count, 1), 3, self.width), wp.float32, device)
        self._origins = twin_zeros(1, wp.vec3, device)
        self._poses, self._joints = TwinArray(self.state.poses), TwinArray(self.state.joints)
        self._rest = twin_zeros(reduced.body.vertex_count, wp.vec3, device) if self.animated else None
        self._descends = wp.array(descendants(reduced.body), dtype=wp.int32, device=device)
        self._placing = Replay(self._launch_placing, device, capture=True)
        self._linearising = Replay(self._launch_linearising, device, capture=True)

    @property
    def points(self) -> np.ndarray:
        return self._vertices.host[0].take(self.candidates, axis=0)

    @property
    def device_points(self) -> wp.array:
        """Keypoint vertices and candidates, camera frame [point] vec3."""
        return self._vertices.array[0]  # pyright: ignore[reportReturnType] - a row is an array

    @property
    def slot_points(self) -> np.ndarray:
        return self._slot_points.host[0]

    @property
    def jacobians(self) -> np.ndarray:
        return self._jacobians.host[0]

    def control(self, pose: HandPose) -> HandPose:
        """A control as this body takes it: a hand of vertices alone turns about their middle."""
        if self._rest is None:
            return pose
        vertices = self.surface = np.asarray(pose.vertices, dtype=np.float64)
        middle = vertices.mean(axis=0)
        self._rest.host[:] = (vertices - middle)[self._chosen]
        wp.copy(self.state.rest_vertices, self._rest.push())
        return HandPose(middle, np.array([0.0, 0.0, 0.0, 1.0]), np.zeros(0))

    def covariance(self, position: np.ndarray) -> np.ndarray:
        """Covariance of the control's error when the root is at ``position`` (width, width)."""
        out = np.diag(self._variances)
        out[:3, :3] = covariance_at(position, self.noise.lateral_m, self.noise.depth_m)
        return out

    def follow(self, slot: int, candidate: int) -> None:
        """Let an anchor's slot hold a candidate for contact; -1 empties it."""
        self._slots.host[0, slot] = UNUSED if candidate < 0 else self.candidates[candidate]

    def place(self, position: np.ndarray, rotation: np.ndarray, joints: np.ndarray) -> None:
        """Pose the body; fills :attr:`points`."""
        self._poses.host[0, :3], self._poses.host[0, 3:] = position, rotation
        self._origins.host[0] = position
        self._joints.host[0] = joints
        for twin in (self._poses, self._origins, self._joints):
            twin.push()
        self._placing()
        self._vertices.pull()

    def linearise(self) -> None:
        """Place the slots and differentiate them at the current pose."""
        self._slots.push()
        self._linearising()
        self._slot_points.pull()
        self._jacobians.pull()

    def _launch_placing(self) -> None:
        self.model.pose(self.state)
        self.model.skin(self.state, self._vertices.array)

    def _launch_linearising(self) -> None:
        model, state = self.model, self.state
        rest = state.rest_vertices.reshape((1, -1)) if state.blended is None else state.blended
        linearise_points(
            self._slots.array,
            model.tree,
            self._descends,
            self._origins.array,
            state.joints,
            state.links,
            state.skin,
            rest,
            model.skin_links,
            model.skin_weights,
            points_out=self._slot_points.array,
            jacobians_out=self._jacobians.array,
        )


class _Reduced:
    """A body of few points; ``chosen`` are their vertices in the whole one."""

    def __init__(self, body: Body, chosen: np.ndarray):
        self.body, self.chosen = body, chosen


def _reduce(body: Body, count: int, seed: int) -> tuple[_Reduced, np.ndarray, np.ndarray]:
    """Body of keypoint vertices and points to touch with; its candidates, and the places of its keypoints."""
    links = np.zeros(0, dtype=np.int64)
    vertices = np.zeros(0, dtype=np.int64)
    if body.keypoints is not None:
        links, vertices = np.asarray(body.keypoints.links), np.asarray(body.keypoints.vertices)
    named = vertices[vertices >= 0]
    if body.face_count:
        faces, barycentrics, _ = sample_surface(body, count, seed)
    else:
        faces, barycentrics = np.zeros(0, np.int64), np.zeros((0, 3), np.float32)
    corners = body.faces[faces]
    nearest = np.take_along_axis(corners, barycentrics.argmax(axis=1)[:, None], axis=1)[:, 0]
    rigid = body.skin_links.shape[1] == 1 and not body.shape_count and not body.pose_directions.size
    if rigid and body.animation is None:  # faces do not bend: points may lie inside them
        touching = np.einsum("pc,pcx->px", barycentrics, body.vertices[corners])
    else:
        nearest = np.unique(nearest)
        touching = body.vertices[nearest]
    chosen = np.concatenate([named, nearest]).astype(np.int64)
    changes = {
        "vertices": np.concatenate([body.vertices[named], touching]).astype(np.float32),
        "faces": np.zeros((0, 3), np.int32),
        "skin_links": body.skin_links[chosen],
        "skin_weights": body.skin_weights[chosen],
        "shape_directions": body.shape_directions[chosen],
        "pose_directions": body.pose_directions[chosen],
        "colors": None,
        "texture_coordinates": None,
        "keypoints": None,
        "contact_zones": {},
        "animation": None,
    }
    places = np.where(vertices >= 0, np.cumsum(vertices >= 0) - 1, -1 - links)
    candidates = len(named) + np.arange(len(nearest))
    return _Reduced(replace(body, **changes), chosen), candidates, places.astype(np.int32)


def joint_sigmas(body: Body, sigma: float) -> np.ndarray:
    """Standard deviations of joint coordinates (coordinate,) [rad or m]: ``sigma``, but little beside their ranges."""
    span = np.asarray(body.upper, dtype=float) - np.asarray(body.lower, dtype=float)
    return np.minimum(sigma, np.where(np.isfinite(span), span, np.inf) / RANGE_SHARE) + 1e-6
