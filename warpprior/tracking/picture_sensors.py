"""Sensors that look at whole pictures: moments of masks, masks, depth images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from warpprior.scene import Poses, Scene, SceneBody
from warpprior.tracking.actuators import Actuator
from warpprior.tracking.belief import Belief
from warpprior.tracking.depth import DepthResidual
from warpprior.tracking.evidence import Evidence
from warpprior.tracking.mask import MaskResidual
from warpprior.tracking.moment_sensor import MOMENT_ROWS, MomentSensor
from warpprior.tracking.observation import Observation
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.single_frame import SingleFrame
from warpprior.tracking.update import Rows

PICTURED = {*MOMENT_ROWS, "mask", "depth"}


class PictureSensors:
    """Rows of an update from label and depth images.

    Args:
        scene: the model: camera and bodies.
        actuators: hands, in the belief's order.
        objects: objects, likewise.
        names: of the sensors that are believed.
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
        self._moments = None
        wanted = [name for name in names if name in MOMENT_ROWS]
        if wanted:
            self._moments = MomentSensor(scene, actuators, objects, wanted, settings, device)
        self._mask = self._depth = None
        frame = SingleFrame(scene, device) if {"mask", "depth"} & set(names) else None
        if "mask" in names:
            self._mask = MaskResidual(
                scene,
                frame=frame,
                sigma_border_px=settings.border_px,
                correlation_px=settings.border_length_px,
                correlated_frames=settings.alike_frames,
                sigma_bias_px=settings.border_bias_px,
            )
        if "depth" in names:
            self._depth = DepthResidual(
                scene, frame=frame, sigma_depth_m=settings.depth_m, correlated_frames=settings.alike_frames
            )

    def add(self, belief: Belief, observation: Observation, rows: Rows) -> None:
        """Add what the pictures say about the objects."""
        surfaces = {a.name: a.surface for a in self._actuators if a.animated and a.surface is not None}
        if self._moments is not None and observation.labels is not None:
            self._moments.add(belief, observation.labels, surfaces, rows)
        if self._mask is None and self._depth is None:
            return
        poses = self._poses(belief)
        prior = {body.name: belief.information(index) for index, body in enumerate(self._objects)}
        if self._mask is not None and observation.labels is not None:
            found = self._mask.measure(observation.labels, poses, prior=prior, surfaces=surfaces)
            self._add_evidence("mask", found, belief, rows)
        if self._depth is not None and observation.depth is not None:
            found = self._depth.measure(
                observation.depth, poses, labels=observation.labels, prior=prior, surfaces=surfaces
            )
            self._add_evidence("depth", found, belief, rows)

    def snapshot(self) -> dict[str, np.ndarray]:
        """What was learnt of the pictures, to be kept."""
        return {} if self._mask is None else self._mask.snapshot()

    def restore(self, kept: dict[str, np.ndarray]) -> None:
        """Take what :meth:`snapshot` returned."""
        if self._mask is not None:
            self._mask.restore(kept)

    def _add_evidence(self, sensor: str, found: dict[str, Evidence], belief: Belief, rows: Rows) -> None:
        for index, body in enumerate(self._objects):
            jacobian, values = found[body.name].rows()
            if len(values):
                own = rows.add(sensor, (index,), values, 1.0)
                if own is not None:
                    own[:, belief.object(index)] = jacobian @ belief.to_origin(index)
                    rows.blocks[-1].taken = found[body.name].fits

    def _poses(self, belief: Belief) -> dict[str, Poses]:
        """The belief's mean as poses of one frame."""
        found = {}
        for hand, actuator in enumerate(self._actuators):
            found[actuator.name] = Poses(
                belief.position[hand][None], belief.rotation[hand][None], belief.joints[hand][None]
            )
        for index, body in enumerate(self._objects):
            rotation = belief.rotation[belief.hand_count + index]
            found[body.name] = Poses(belief.origin(index)[None], rotation[None], np.zeros((1, 0)))
        return found
