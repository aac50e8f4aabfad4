"""One moment of a scene on a device: all bodies where they are predicted, ready to be compared with its pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import warp as wp
from scipy.linalg.lapack import dgesv, dsyev  # pyright: ignore[reportAttributeAccessIssue] - made at import

from warpprior.kernels.camera import project_points
from warpprior.kernels.rows import ROWS, System
from warpprior.kernels.screen_bounds import bound_vertices
from warpprior.render.canvas import Canvas
from warpprior.render.window import Window, whole_window
from warpprior.scene import Poses, Scene, SceneBody
from warpprior.support.replay import Replay
from warpprior.system.motion import CONTACT_POINTS, MotionState
from warpprior.tracking.drawn_bodies import allowed_error, drawn_with_fewer
from warpprior.tracking.evidence import (
    NO_EVIDENCE,
    Evidence,
    error_from_unknowns,
    move,
    seen_from,
    without_unseen_turns,
)
from warpprior.tracking.manifold import matrix
from warpprior.tracking.twin_arrays import TwinArray, twin_zeros

POSE = 6  # unknowns of a rigid body
LONGEST, TURN = 0.05, 0.15  # steps no longer than this share of the distance, and this [rad], can be trusted
ENOUGH = 3.0  # reaches of so many times the last step
WEAK = np.diag([1.0 / 0.05**2] * 3 + [1.0 / 0.5**2] * 3)  # a pose is right to 5 cm and half a radian


class SingleFrame:
    """Surfaces of all bodies of a scene at one moment, and canvases to draw them on; made once, placed in every frame.

    Args:
        scene: camera and bodies; what it observes is not looked at.
        device: Warp device.
        point_count: points on each surface that measured depth is compared with.

    Attributes:
        state: a motion of one frame in which every body moves; those of many faces that are not watched have fewer.
        watched: the rigid bodies that are estimated.
        known: the bodies whose poses are given.
        bounds: of those bodies on the screen, as they are placed (6,), see :mod:`warpprior.kernels.screen_bounds`; by
            name.
    """

    def __init__(self, scene: Scene, device: wp.DeviceLike = "cpu", *, point_count: int = CONTACT_POINTS):
        self.camera = scene.camera
        self.watched = tuple(b for b in scene.bodies if not b.known and b.body.is_rigid)
        self.known = tuple(b for b in scene.bodies if b.known)
        error = allowed_error(scene.camera, list(self.watched))
        drawn = [(b, None) if b in self.watched else drawn_with_fewer(b, error) for b in scene.bodies]
        self._kept = {body.name: kept for body, kept in drawn}
        self._counts = {body.name: body.body.vertex_count for body, _ in drawn}
        model = Scene(scene.name, scene.camera, scene.fps, tuple(_any_moment(body) for body, _ in drawn))
        self.state = MotionState(model, device, point_count=point_count)
        self.device = self.state.device
        self._bodies = {body.name: body for body in scene.bodies}
        self.bounds = {body.name: twin_zeros(6, wp.float32, self.device) for body in (*self.watched, *self.known)}
        self._poses = {name: TwinArray(own.poses) for name, own in self.state.states.items()}
        self._joints = {name: TwinArray(own.joints) for name, own in self.state.states.items()}
        self._placing = {name: self._recorded(name) for name in self._bodies}
        self._radii = {
            body.name: body.initial.scale * float(np.linalg.norm(body.body.vertices, axis=1).max())
            for body in self.watched
        }

    def place(self, poses: Mapping[str, Poses], surfaces: Mapping[str, np.ndarray] | None = None) -> None:
        """Put bodies where they are at this moment.

        Args:
            poses: poses of one frame, by name; bodies that are not named stay where they were.
            surfaces: vertices (vertex, 3) [m] in the camera frame of bodies whose surface is given, by name.
        """
        state, surfaces = self.state, surfaces or {}
        for name, motion in poses.items():
            own, body = self._poses[name], self._bodies[name].body
            own.host[0, :3], own.host[0, 3:] = motion.position[0], motion.rotation[0]
            own.push()
            if body.coordinate_count:
                self._joints[name].host[0] = motion.joints[0]
                self._joints[name].push()
            given = surfaces.get(name)
            if given is None and body.animation is not None:
                moment = 0 if motion.moments is None else int(motion.moments[0])
                given = motion.scale * body.animation[moment] @ self.rotation(name).T + motion.position[0]
            if given is None:
                self._placing[name]()
            else:
                kept = self._kept[name]
                given = given if kept is None else np.asarray(given)[kept]
                given = wp.array(np.ascontiguousarray(given, dtype=np.float32), dtype=wp.vec3, device=self.device)
                wp.copy(state.vertices, given, dest_offset=state.first_vertex(name), count=self._counts[name])
                self._project(name)

    def _recorded(self, name: str) -> Replay:
        """Launches that place a body."""
        state = self.state

        def place() -> None:
            state.pose_surface(name, state.vertices, state.first_vertex(name))
            self._project(name)

        return Replay(place, self.device, capture=True)

    def _project(self, name: str) -> None:
        state, first, count = self.state, self.state.first_vertex(name), self._counts[name]
        project_points(state.vertices, state.focal, state.center, first=first, count=count, screen_out=state.screen)
        if name in self.bounds:
            bound_vertices(state.screen, first, count, bounds_out=self.bounds[name].array)

    def rotation(self, name: str) -> np.ndarray:
        """camera_from_body of a body as it is placed (3, 3)."""
        return matrix(self._row(name)[3:])

    def position(self, name: str) -> np.ndarray:
        """Of a body as it is placed (3,) [m]."""
        return self._row(name)[:3]

    def spread(self, name: str, moment: np.ndarray) -> tuple[float, float]:
        """How far the surface of a body moves across the line of sight, and along it [m].

        ``moment`` (6, 6) is a covariance of the body's pose, or a step times itself.
        """
        radius = self._radii[name]
        arm = radius**2 * float(dsyev(moment[3:, 3:], compute_v=0)[0][-1])
        # What comes nearer grows: its border moves by its radius over its distance.
        across, along = max(moment[0, 0], moment[1, 1]), float(moment[2, 2])
        grows = (radius / max(float(self._poses[name].host[0, 2]), 0.05)) ** 2 * along
        return math.sqrt(across + arm + grows), math.sqrt(along + arm)

    def _row(self, name: str) -> np.ndarray:
        return self._poses[name].host[0].astype(np.float64)

    def canvas(self, names: list[str], *, outlined: bool) -> Canvas:
        """A canvas for some bodies, of the whole picture."""
        channels = [0 if name in names else None for name in self._bodies]
        window = whole_window(1, self.camera.width, self.camera.height)
        return Canvas(self.state.assembly, channels, [outlined] * len(channels), window, self.device)

    def box(self, bodies: Sequence[SceneBody], margin: float) -> tuple[int, int, int, int] | None:
        """The part of the picture around bodies, ``margin`` [px] wider: left, top, one past the right, and the bottom.

        None where they are out of sight.
        """
        bounds = [self.bounds[body.name].pull().tolist() for body in bodies]
        if min(each[2] for each in bounds) <= 0.0:
            return None
        camera = self.camera
        left = math.floor(max(min(each[0] for each in bounds) - margin, 0.0))
        top = math.floor(max(min(each[1] for each in bounds) - margin, 0.0))
        right = math.ceil(min(max(each[3] for each in bounds) + margin, camera.width))
        bottom = math.ceil(min(max(each[4] for each in bounds) + margin, camera.height))
        return (left, top, right, bottom) if right - left > 1 and bottom - top > 1 else None

    def window(self, bodies: Sequence[SceneBody], margin: float) -> Window | None:
        """That part as a window."""
        box = self.box(bodies, margin)
        if box is None:
            return None
        left, top, right, bottom = box
        return Window(np.array([[left, top]], dtype=np.int32), right - left, bottom - top)


def _any_moment(body: SceneBody) -> SceneBody:
    """A body that moves, at one moment; an animated one is given its surface anew in every frame."""
    model = replace(body.body, animation=None) if body.body.animation is not None else body.body
    return replace(body, body=model, known=False, initial=body.initial.frames(slice(0, 1)), truth=None)


class PoseEquations:
    """Normal equations of one rigid body in one frame, and of one more unknown.

    Args:
        frame: whose vertices have no unknowns of their own.
        lanes: threads that gather rows.

    Attributes:
        system: what kernels add rows to; no vertex has an entry, and the one more unknown is the bias of labels.
        cost: [1] float64.
    """

    def __init__(self, frame: SingleFrame, lanes: int):
        device = frame.device

        def zeros(shape, dtype):
            return wp.zeros(shape, dtype=dtype, device=device)

        system = self.system = System()
        system.mode = ROWS
        system.chain_starts = zeros(frame.state.assembly.vertex_count + 1, wp.int32)
        system.chain_columns = zeros(1, wp.int32)
        system.chain_values = zeros((1, 1), wp.vec3)
        system.values = zeros((1, lanes, POSE + 1), wp.float32)
        system.marks = zeros((1, lanes, POSE + 1), wp.int32)
        system.active = zeros((1, lanes, POSE + 1), wp.int32)
        system.hessian = zeros((1, 4, POSE + 1, POSE + 1), wp.float64)
        system.gradient = zeros((1, 2, POSE + 1), wp.float64)
        system.bias_column, system.focal_column = POSE, -1
        self.cost = zeros(1, wp.float64)
        self._hessian, self._gradient = TwinArray(system.hessian), TwinArray(system.gradient)
        self._cost = TwinArray(self.cost)

    def clear(self) -> None:
        """Begin anew."""
        for array in (self.system.hessian, self.system.gradient, self.cost):
            array.zero_()

    def read(self, frame: SingleFrame, body: SceneBody, sigma_extra: float = 1.0) -> Evidence:
        """What was added up about a body as it is placed.

        The other unknown has a Gaussian of ``sigma_extra`` around zero; what it could explain is not held against the
        pose.
        """
        lower, gradient = self._hessian.pull()[0, 0], self._gradient.pull()[0, 0]
        information = lower[:POSE, :POSE]
        information = information + information.T
        information.reshape(-1)[:: POSE + 1] *= 0.5
        doubt, shared = lower[POSE, POSE] + 1.0 / sigma_extra**2, lower[POSE, :POSE]
        information -= shared[:, None] * (shared / doubt)
        vector = shared * (gradient[POSE] / doubt) - gradient[:POSE]
        rotation = frame.rotation(body.name)
        change = error_from_unknowns(frame.position(body.name), rotation)
        if body.symmetry != "none":
            change = change @ without_unseen_turns(body.symmetry, rotation)
        information = change.T @ information @ change
        cost = float(self._cost.pull()[0])
        return Evidence(0.5 * (information + information.T), change.T @ vector, cost)

    def residual_px(self, frame: SingleFrame) -> float:
        """Root mean square of residuals that are distances in the picture, without those that count little [px]."""
        hessian = self._hessian.pull()[0, 0]
        weight = hessian[0, 0] / frame.camera.fx**2 + hessian[1, 1] / frame.camera.fy**2
        return math.sqrt(self._cost.pull()[0] / weight) if weight > 0.0 else 0.0


def relinearise(
    frame: SingleFrame,
    poses: Mapping[str, Poses],
    reaches: Mapping[str, Sequence[float]],
    prior: Mapping[str, np.ndarray] | None,
    linearise: Callable[[str, float], Evidence],
    size: Callable[[str, np.ndarray], float],
    starts: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Evidence]:
    """Linearise at the predicted poses, or where a search begins, then where that leads, and so on.

    Args:
        frame: the bodies.
        poses: predicted poses of one frame.
        reaches: of each round, falling, by name of the bodies to move.
        prior: information (6, 6) of the predicted poses, which keeps the next place near; by name.
        linearise: evidence about a body where it is placed, with a reach.
        size: of a step (6,), in units of the reaches; rounds that reach much farther are left out, but the last.
        starts: errors of the predicted poses (6,) to begin with, by name; the bodies are placed at the predicted ones.

    Returns:
        By name, about the errors of the predicted poses.
    """
    found = dict.fromkeys(reaches, NO_EVIDENCE)
    for name, (first, *later) in reaches.items():
        last = later[-1:]
        sure = WEAK if prior is None or name not in prior else prior[name]
        error = np.zeros(POSE)
        if starts is not None:
            error = starts[name]
            frame.place({name: move(poses[name], error)})
        found[name] = seen_from(linearise(name, first), error)
        while later:
            step = dgesv(found[name].information + sure, found[name].vector)[2] - error
            most = np.abs(step)
            far = max(most[:3].max() / (LONGEST * frame.position(name)[2]), most[3:].max() / TURN)
            step = step / max(1.0, float(far))
            error = error + step
            frame.place({name: move(poses[name], error)})
            reach, *later = [reach for reach in later[:-1] if reach <= ENOUGH * size(name, step)] + last
            found[name] = seen_from(linearise(name, reach), error)
        if len(reaches) > 1:
            frame.place({name: poses[name]})
    return found


def coarse_to_fine(widest: float, reaches: Sequence[float], limit: float) -> list[float]:
    """``reaches`` after wider ones, twice each and half of those before, if ``widest`` asks for it; none above
    ``limit``.
    """
    found, reach = [], min(widest, limit)
    while reach > 1.5 * reaches[0]:
        found += [reach, reach]
        reach *= 0.5
    return [*found, *reaches]
