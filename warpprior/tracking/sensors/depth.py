"""Depth images of objects."""

from __future__ import annotations

from warpprior.observations import Observation, senses
from warpprior.tracking.belief import Belief
from warpprior.tracking.depth_evidence import DepthResidual
from warpprior.tracking.sensors.base import Sensor, SensorContext, add_evidence
from warpprior.tracking.update import Rows


@senses("depth")
class Depth(Sensor):
    """Points of each object's surface on measured depth, reduced to the pose; noise ``depth_m``."""

    name = "depth"

    def begin(self, context: SensorContext) -> None:
        """Allocate what a depth image is compared with."""
        super().begin(context)
        settings = context.settings
        self._residual = DepthResidual(
            context.scene,
            frame=context.single_frame,
            sigma_depth_m=settings.noise_of("depth"),
            correlated_frames=settings.alike_frames,
        )

    def add(self, belief: Belief, observation: Observation, rows: Rows) -> None:
        """One block for each object in sight; only pixels of its label count, if there is a label image."""
        if observation.depth is None:
            return
        context = self.context
        found = self._residual.measure(
            observation.depth,
            context.poses(belief),
            labels=observation.labels,
            prior=context.priors(belief),
            surfaces=context.surfaces(),
        )
        add_evidence(self.name, found, context, belief, rows)
