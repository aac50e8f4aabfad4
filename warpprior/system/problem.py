"""What all parts of the alignment share: the motion, the pictures, the unknowns and their equations."""

from __future__ import annotations

import warp as wp

from warpprior.settings import AlignSettings
from warpprior.system.backdrop import draw_known
from warpprior.system.drawings import Drawings
from warpprior.system.equations import Equations
from warpprior.system.motion import MotionState
from warpprior.system.picture import Picture
from warpprior.system.shared_unknowns import SharedUnknowns
from warpprior.system.surface_motion import SurfaceMotion

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
        shared: the unknowns that all frames share.
        surfaces: how surfaces move with joint coordinates.
        drawings: canvases of the moving bodies.
        estimates_focal: the focal length is an unknown.
    """

    def __init__(self, state: MotionState, picture: Picture, settings: AlignSettings):
        self.state, self.picture, self.settings = state, picture, settings
        device = state.device
        self.shared = SharedUnknowns(state, picture, settings)
        self.estimates_focal = "focal" in self.shared.names
        lanes = CONTOUR_LANES if device.is_cpu else GPU_LANES
        self.equations = Equations(state.estimated, self.shared.names, state.frame_count, lanes, device)
        shapes = {name: self.equations.width + place for name, place in self.shared.shapes.items()}
        self.surfaces = SurfaceMotion(state, self.equations.starts, shapes)
        self.drawings = Drawings(state, picture)
        self.refresh()

    def refresh(self) -> None:
        """Draw everything, and evaluate what surfaces do, at the current motion; launches only."""
        self.drawings.draw()
        self.surfaces.update()

    def refresh_backdrop(self) -> None:
        """Draw the still bodies anew where the focal length may have changed."""
        if self.estimates_focal and self.state.known:
            channels = [self.state.scene.bodies.index(body) for body in self.state.known]
            wp.copy(self.picture.backdrop, draw_known(self.state, self.picture.window, channels))
