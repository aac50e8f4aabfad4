"""Moments of masks as rows of an update, linearised where they lead to: far off, they are not nearly linear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from warpprior.scene import Scene, SceneBody
from warpprior.tracking.actuators import Actuator
from warpprior.tracking.belief import Belief
from warpprior.tracking.manifold import difference, exp, left_jacobian, multiply
from warpprior.tracking.moments import Silhouette, SilhouetteMoments, label_moments
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.update import Rows

# Rows of moments by name of the sensor: area, centroid u, v, central second moments uu, uv, vv.
MOMENT_ROWS = {"area": (0,), "center2d": (1, 2), "moments": (0, 1, 2, 3, 4, 5)}
LEAST_AREA = 30.0  # silhouettes and labels smaller than this say nothing [px^2]
ROUNDS, HALVINGS = 6, 4  # at most
NEAR_M, NEAR_RAD = 0.002, 0.02  # steps shorter than this need no other linearisation
CAMERA = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])  # pose of a surface that is given in the camera frame


class MomentSensor:
    """What the masks' areas, centroids and spreads say of all objects.

    Args:
        scene: the model: camera and bodies.
        actuators: hands, in the belief's order.
        objects: objects, likewise.
        names: which of ``area``, ``center2d`` and ``moments``.
        settings: noise.
        device: Warp device.
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
        self.settings, self._actuators, self._objects = settings, actuators, objects
        self._pick = np.array(sorted({row for name in names for row in MOMENT_ROWS[name]}))
        self._sensor = "+".join(names)
        self._silhouettes = [SilhouetteMoments(scene.camera, scene.bodies, body.name, device) for body in objects]

    def add(self, belief: Belief, labels: np.ndarray, surfaces: Mapping[str, np.ndarray], rows: Rows) -> None:
        """Add one block of rows for each object in sight.

        Args:
            belief: the mean is where moments are expected.
            labels: label image (height, width) uint8.
            surfaces: vertices of hands that are given by them, camera frame, by name.
            rows: of the update.
        """
        scales = {actuator.name: actuator.scale for actuator in self._actuators}
        surfaces = {name: surface / scales[name] for name, surface in surfaces.items()}
        placed = {}
        for hand, actuator in enumerate(self._actuators):
            parts = [belief.position[hand], belief.rotation[hand], belief.joints[hand]]
            placed[actuator.name] = CAMERA if actuator.animated else np.concatenate(parts)
        for index, body in enumerate(self._objects):
            placed[body.name] = np.concatenate([belief.origin(index), belief.rotation[belief.hand_count + index]])
        for index, body in enumerate(self._objects):
            seen = label_moments(labels, body.label)
            if seen[0] >= LEAST_AREA:
                self._add_object(belief, index, seen, placed, surfaces, rows)

    def _add_object(
        self, belief: Belief, index: int, seen: np.ndarray, placed: dict, surfaces: dict, rows: Rows
    ) -> None:
        """Let moments lead an object to where they fit best in the belief's light, and linearise them there.

        Args:
            belief: says how far they may lead it.
            index: of the object.
            seen: moments of its label (6,).
            placed: rows of :meth:`SilhouetteMoments.measure`, by name; the object's own is moved.
            surfaces: likewise.
            rows: of the update.
        """
        body, silhouette, pick, settings = self._objects[index], self._silhouettes[index], self._pick, self.settings
        expected = silhouette.measure(placed, surfaces)
        if expected.values[0] < LEAST_AREA:
            return
        noise = expected.noise(settings.border_px, settings.border_length_px, settings.border_bias_px)
        whiten = np.linalg.inv(np.linalg.cholesky(noise[np.ix_(pick, pick)] * settings.alike_frames))
        sure = belief.information(index)

        def misses(found: Silhouette) -> np.ndarray:
            return whiten @ (seen - found.values)[pick]

        def move(pose: np.ndarray, step: np.ndarray) -> Silhouette:
            placed[body.name] = np.concatenate([pose[:3] + step[:3], multiply(exp(step[3:]), pose[3:])])
            return silhouette.measure({body.name: placed[body.name]})

        start, error = placed[body.name], np.zeros(6)
        miss = misses(expected)
        cost = miss @ miss
        for _ in range(ROUNDS):
            slope = whiten @ expected.jacobians[body.name][pick]
            step = np.linalg.solve(slope.T @ slope + sure, slope.T @ miss - sure @ error)
            if np.abs(step[:3]).max() < NEAR_M and np.abs(step[3:]).max() < NEAR_RAD:
                break
            pose = placed[body.name]
            for _ in range(HALVINGS):
                found = move(pose, step)
                way = np.concatenate([placed[body.name][:3] - start[:3], difference(placed[body.name][3:], start[3:])])
                better = misses(found)
                if found.values[0] >= LEAST_AREA and better @ better + way @ sure @ way < cost:
                    break
                step *= 0.5
            else:
                move(pose, np.zeros(6))
                break
            expected, miss, error = found, better, way
            cost = miss @ miss + error @ sure @ error
        # Told about the belief's mean: the error there has this much of it behind it already.
        follows = np.eye(6)
        follows[3:, 3:] = left_jacobian(error[3:])
        slope = whiten @ expected.jacobians[body.name][pick] @ follows
        own = rows.add(self._sensor, (index,), miss + slope @ error, 1.0)
        if own is None:
            return
        own[:, belief.object(index)] = slope @ belief.to_origin(index)
        for hand, actuator in enumerate(self._actuators):
            if not actuator.animated:
                first = belief.hand(hand).start
                own[:, first : first + 6] = whiten @ expected.jacobians[actuator.name][pick]
