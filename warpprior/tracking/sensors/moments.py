"""Moments of masks as rows of an update, linearised where they lead to: far off, they are not nearly linear."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from warpprior.observations import SENSORS, Observation, senses
from warpprior.tracking.belief import Belief
from warpprior.tracking.manifold import difference, exp, left_jacobian, multiply
from warpprior.tracking.sensors.base import Sensor, SensorContext
from warpprior.tracking.silhouette_moments import Silhouette, SilhouetteMoments, label_moments
from warpprior.tracking.update import Rows

LEAST_AREA = 30.0  # silhouettes and labels smaller than this say nothing [px^2]
ROUNDS, HALVINGS = 6, 4  # at most
NEAR_M, NEAR_RAD = 0.002, 0.02  # steps shorter than this need no other linearisation
CAMERA = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])  # pose of a surface that is given in the camera frame


class MomentSensor(Sensor):
    """What the masks' areas, centroids and spreads say of all objects; noise as that of masks.

    Args:
        names: which of ``area``, ``center2d`` and ``moments``: together they are one measurement.
    """

    moments: tuple[int, ...] = ()  # which rows of moments it looks at by itself

    def __init__(self, names: Sequence[str] = ()):
        names = tuple(names) or (self.name,)
        self.name = "+".join(names)
        self._pick = np.array(sorted({row for name in names for row in SENSORS[name].moments}))

    def begin(self, context: SensorContext) -> None:
        """Allocate a window for each object."""
        super().begin(context)
        bodies, camera = context.scene.bodies, context.scene.camera
        self._silhouettes = [SilhouetteMoments(camera, bodies, body.name, context.device) for body in context.objects]

    def add(self, belief: Belief, observation: Observation, rows: Rows) -> None:
        """One block of rows for each object in sight."""
        labels, context = observation.labels, self.context
        if labels is None:
            return
        scales = {carrier.name: carrier.scale for carrier in context.hands}
        surfaces = {name: surface / scales[name] for name, surface in context.surfaces().items()}
        placed = {}
        for hand, carrier in enumerate(context.hands):
            parts = [belief.position[hand], belief.rotation[hand], belief.joints[hand]]
            placed[carrier.name] = CAMERA if carrier.animated else np.concatenate(parts)
        for index, body in enumerate(context.objects):
            placed[body.name] = np.concatenate([belief.origin(index), belief.rotation[belief.hand_count + index]])
        for index, body in enumerate(context.objects):
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
        body, silhouette, pick = self.context.objects[index], self._silhouettes[index], self._pick
        settings = self.context.settings
        expected = silhouette.measure(placed, surfaces)
        if expected.values[0] < LEAST_AREA:
            return
        noise = expected.noise(settings.noise_of("labels"), settings.border_length_px, settings.border_bias_px)
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
        # About the belief's mean: the error there has this much of it behind it already.
        follows = np.eye(6)
        follows[3:, 3:] = left_jacobian(error[3:])
        slope = whiten @ expected.jacobians[body.name][pick] @ follows
        own = rows.add(self.name, (index,), miss + slope @ error, 1.0)
        if own is None:
            return
        own[:, belief.object(index)] = slope @ belief.to_origin(index)
        for hand, carrier in enumerate(self.context.hands):
            if not carrier.animated:
                first = belief.hand(hand).start
                own[:, first : first + 6] = whiten @ expected.jacobians[carrier.name][pick]


@senses("labels")
class Center2D(MomentSensor):
    """The centroid of masks."""

    name, moments = "center2d", (1, 2)


@senses("labels")
class Area(MomentSensor):
    """The area of masks."""

    name, moments = "area", (0,)


@senses("labels")
class Moments(MomentSensor):
    """Area, centroid and central second moments uu, uv, vv of masks."""

    name, moments = "moments", (0, 1, 2, 3, 4, 5)
