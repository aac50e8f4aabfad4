"""Whole masks of objects."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from warpprior.observations import Observation, senses
from warpprior.tracking.belief import Belief
from warpprior.tracking.mask_evidence import MaskResidual
from warpprior.tracking.sensors.base import Sensor, SensorContext, add_evidence
from warpprior.tracking.update import Rows


@senses("labels")
class Mask(Sensor):
    """The contour of each object on its label, reduced to the pose; noise ``border_px`` and its companions."""

    name = "mask"

    def begin(self, context: SensorContext) -> None:
        """Allocate what a label image is compared with."""
        super().begin(context)
        settings = context.settings
        self._residual = MaskResidual(
            context.scene,
            frame=context.single_frame,
            sigma_border_px=settings.noise_of("labels"),
            correlation_px=settings.border_length_px,
            correlated_frames=settings.alike_frames,
            sigma_bias_px=settings.border_bias_px,
        )

    def add(self, belief: Belief, observation: Observation, rows: Rows) -> None:
        """One block for each object in sight."""
        if observation.labels is None:
            return
        context = self.context
        index = {body.name: number for number, body in enumerate(context.objects)}
        found = self._residual.measure(
            observation.labels,
            context.poses(belief),
            prior=context.priors(belief),
            surfaces=context.surfaces(),
            starts=lambda name: context.elsewhere(belief, index[name]),
        )
        add_evidence(self.name, found, context, belief, rows)

    def snapshot(self) -> dict[str, np.ndarray]:
        """What was learnt of borders."""
        return self._residual.snapshot()

    def restore(self, kept: Mapping[str, np.ndarray]) -> None:
        """Take what :meth:`snapshot` returned."""
        self._residual.restore(kept)
