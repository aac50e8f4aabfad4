"""Sensors: what each kind of observation expects at the belief's mean, and how that depends on its errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from warpprior.scene import Camera, Scene, SceneBody, box_center
from warpprior.tracking.actuators import Actuator
from warpprior.tracking.belief import Belief
from warpprior.tracking.manifold import hat, matrix
from warpprior.tracking.observation import Observation
from warpprior.tracking.picture_sensors import PICTURED, PictureSensors
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.update import Rows

LEAST_CONFIDENCE = 0.05
NEAR = 0.01  # what is nearer to the camera is not seen [m]


class Sensors:
    """Turns an observation into rows of an update.

    Args:
        scene: the model: camera and bodies.
        actuators: hands, in the belief's order.
        objects: objects, likewise.
        names: of the sensors that are believed.
        settings: noise.
        device: Warp device, for what draws.
    """

    def __init__(
        self,
        scene: Scene,
        actuators: Sequence[Actuator],
        objects: Sequence[SceneBody],
        names: Sequence[str],
        settings: TrackSettings,
        device,
    ):
        self.names, self.settings = tuple(names), settings
        self._camera: Camera = scene.camera
        self._focal = np.array([scene.camera.fx, scene.camera.fy])
        self._principal = np.array([scene.camera.cx, scene.camera.cy])
        self._actuators, self._objects = actuators, objects
        self._pictures = None
        if PICTURED & set(names):
            self._pictures = PictureSensors(scene, actuators, objects, names, settings, device)
        self._hulls = [_hull(body) for body in objects] if "box" in names else []

    def add(self, belief: Belief, observation: Observation, rows: Rows) -> None:
        """Add what was observed, in the form that is checked before; actuators are linearised at the mean."""
        for name in self.names:
            if name not in PICTURED:
                getattr(self, f"_add_{name}")(belief, observation, rows)
        if self._pictures is not None:
            self._pictures.add(belief, observation, rows)

    def snapshot(self) -> dict[str, np.ndarray]:
        """What was learnt of the sensors, to be kept."""
        return {} if self._pictures is None else self._pictures.snapshot()

    def restore(self, kept: dict[str, np.ndarray]) -> None:
        """Take what :meth:`snapshot` returned."""
        if self._pictures is not None:
            self._pictures.restore(kept)

    def _add_keypoints3d(self, belief: Belief, observation: Observation, rows: Rows, tips: bool = False) -> None:
        name = "fingertips" if tips else "keypoints3d"
        for hand, actuator in enumerate(self._actuators):
            seen, slots = observation.keypoints3d.get(actuator.name), actuator.keypoint_slots
            if seen is None or not len(slots):
                continue
            seen = np.asarray(seen, dtype=float)
            told = np.ones(len(seen), dtype=bool) if seen.shape[1] == 3 else seen[:, 3] >= LEAST_CONFIDENCE
            chosen = np.flatnonzero(told & actuator.tips if tips else told)
            rows.add_many(
                name,
                [(hand, keypoint) for keypoint in chosen.tolist()],
                seen[chosen, :3] - actuator.slot_points[slots[chosen]],
                self.settings.keypoint3d_m**2,
                actuator.jacobians[slots[chosen]],
                belief.hand(hand),
            )

    def _add_fingertips(self, belief: Belief, observation: Observation, rows: Rows) -> None:
        self._add_keypoints3d(belief, observation, rows, tips=True)

    def _add_keypoints2d(self, belief: Belief, observation: Observation, rows: Rows) -> None:
        for hand, actuator in enumerate(self._actuators):
            seen, slots = observation.keypoints2d.get(actuator.name), actuator.keypoint_slots
            if seen is None or not len(slots):
                continue
            seen = np.asarray(seen, dtype=float)
            points = actuator.slot_points[slots].astype(float)
            confidence = np.minimum(seen[:, 2:3], 1.0)
            chosen = np.flatnonzero((seen[:, 2] >= LEAST_CONFIDENCE) & (points[:, 2] >= NEAR))
            expected, slopes = self._project(points[chosen])
            rows.add_many(
                "keypoints2d",
                [(hand, keypoint) for keypoint in chosen.tolist()],
                seen[chosen, :2] - expected,
                (self.settings.keypoint2d_px / confidence[chosen]) ** 2,
                slopes @ actuator.jacobians[slots[chosen]],
                belief.hand(hand),
            )

    def _add_joints(self, belief: Belief, observation: Observation, rows: Rows) -> None:
        for hand, actuator in enumerate(self._actuators):
            seen = observation.joints.get(actuator.name)
            if seen is None or actuator.width == 6:
                continue
            wanted = actuator.width - 6
            rows.add_many(
                "joints",
                [(hand, joint) for joint in range(wanted)],
                (np.asarray(seen, dtype=float) - belief.joints[hand])[:, None],
                self.settings.joint_rad**2,
                np.eye(wanted, actuator.width, 6)[:, None],
                belief.hand(hand),
            )

    def _add_center(self, belief: Belief, observation: Observation, rows: Rows) -> None:
        for index, body in enumerate(self._objects):
            seen = observation.centers.get(body.name)
            if seen is None:
                continue
            seen = np.asarray(seen, dtype=float)
            place = belief.hand_count + index
            own = rows.add("center", (index,), seen - belief.position[place], self.settings.center_m**2)
            if own is not None:
                start = belief.object(index).start
                own[:, start : start + 3] = np.eye(3)

    def _add_box(self, belief: Belief, observation: Observation, rows: Rows) -> None:
        """Each side of the box is a row of the corner of the hull that is farthest out."""
        for index, body in enumerate(self._objects):
            seen = observation.boxes.get(body.name)
            if seen is None:
                continue
            seen = np.asarray(seen, dtype=float)
            place = belief.hand_count + index
            arms = self._hulls[index] @ matrix(belief.rotation[place]).T
            points = arms + belief.position[place]
            if points[:, 2].min() < NEAR:
                continue
            camera = self._camera
            places, slopes = self._project(points)
            columns, size = belief.object(index), (camera.width, camera.height)
            for side in range(4):
                axis = side % 2
                corner = int(places[:, axis].argmin() if side < 2 else places[:, axis].argmax())
                # A side on the picture's border only says that the body reaches it.
                cut = seen[side] <= 1.0 if side < 2 else seen[side] >= size[axis] - 1.0
                if cut:
                    continue
                residual = np.array([seen[side] - places[corner, axis]])
                own = rows.add("box", (index, side), residual, self.settings.alike_frames * self.settings.box_px**2)
                if own is not None:
                    slope = slopes[corner, axis]
                    own[0, columns.start : columns.start + 3] = slope
                    own[0, columns.start + 3 : columns.stop] = -slope @ hat(arms[corner])

    def _project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where points are drawn (point, 2) [px], and the derivatives by the points (point, 2, 3)."""
        focal = self._focal
        places = points[:, :2] / points[:, 2:]
        slopes = np.zeros((len(points), 2, 3))
        slopes[:, 0, 0], slopes[:, 1, 1] = (focal / points[:, 2:]).T
        slopes[:, :, 2] = -focal * places / points[:, 2:]
        return focal * places + self._principal, slopes


def _hull(body: SceneBody) -> np.ndarray:
    """Corners of the convex hull, from the middle of the body along its axes (corner, 3) [m]."""
    from scipy.spatial import ConvexHull, QhullError

    scale = body.initial.scale
    vertices = body.body.vertices.astype(np.float64) * scale - box_center(body.body, scale)
    try:
        return vertices[ConvexHull(vertices).vertices]
    except QhullError:  # flat
        return vertices
