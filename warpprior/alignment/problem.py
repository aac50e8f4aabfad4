"""What all parts of the alignment share: the motion, the pictures, the unknowns and their equations."""

from __future__ import annotations

import warp as wp

from warpprior.alignment.drawings import Drawings
from warpprior.alignment.equations import Equations
from warpprior.alignment.surface_motion import SurfaceMotion
from warpprior.picture import Picture
from warpprior.settings import AlignSettings
from warpprior.state import MotionState

CONTOUR_LANES = 64  # threads of a frame that gather rows: as many as canvases have strides on a CPU
GPU_LANES = 1024


class Problem:
    """The least-squares problem of a sequence.

    Args:
        state: the motion.
        picture: the observations.
        settings: weights.

    Attributes:
        equations: unknowns and normal equations.
        surfaces: how surfaces move with joint coordinates.
        drawings: canvases of the moving bodies.
        bias: how far label borders lie outside the true ones, beyond what the picture was calibrated to [1] [px].
        seeks_bias: the bias is an unknown: no known body tells it, and one that moves may.
    """

    def __init__(self, state: MotionState, picture: Picture, settings: AlignSettings):
        self.state, self.picture, self.settings = state, picture, settings
        device = state.device
        articulated = any(not body.body.is_rigid for body in state.moving)
        self.seeks_bias = settings.seek_mask_bias and picture.labels is not None and not state.still and articulated
        shared = ("bias",) if self.seeks_bias else ()
        lanes = CONTOUR_LANES if device.is_cpu else GPU_LANES
        self.equations = Equations(state.moving, shared, state.frame_count, lanes, device)
        self.surfaces = SurfaceMotion(state, self.equations.starts)
        self.drawings = Drawings(state, picture)
        self.bias = wp.zeros(1, dtype=wp.float32, device=device)
        self.refresh()

    def refresh(self) -> None:
        """Draw everything, and evaluate what surfaces do, at the current motion; launches only."""
        self.drawings.draw()
        self.surfaces.update()
