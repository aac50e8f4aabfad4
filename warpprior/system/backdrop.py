"""What is behind the estimated bodies: the known ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import warp as wp

from warpprior.bodies.assembly import Assembly, assemble
from warpprior.kernels.camera import project_points
from warpprior.render.canvas import Canvas
from warpprior.render.parts import Part, Parts
from warpprior.render.window import Window
from warpprior.system.motion import MotionState

if TYPE_CHECKING:
    from warpprior.system.observed import ObservedPicture


def known_screen(state: MotionState) -> tuple[Assembly, wp.array]:
    """Topology of the known bodies and their vertices on the screen [frame, vertex] u, v [px], depth [m]."""
    assembly = assemble([body.body for body in state.known])
    vertices = wp.zeros((state.frame_count, assembly.vertex_count), dtype=wp.vec3, device=state.device)
    for index, body in enumerate(state.known):
        state.pose_surface(body.name, vertices, int(assembly.vertex_starts[index]))
    screen = wp.zeros(vertices.shape, dtype=wp.vec3, device=state.device)
    project_points(vertices, state.focal, state.center, screen_out=screen)
    return assembly, screen


def draw_known(
    state: MotionState, window: Window, channels: list[int], *, frames: np.ndarray | None = None
) -> wp.array | None:
    """Key buffer of the known bodies on the given channels [frame, pixel], None without known bodies.

    With ``frames`` (frame,) int it is of these alone, in their order.
    """
    if not state.known:
        return None
    assembly, screen = known_screen(state)
    if frames is not None:
        screen = wp.array(screen.numpy()[frames], dtype=wp.vec3, device=state.device)
        window = Window(window.origins[frames], window.width, window.height)
    canvas = Canvas(assembly, channels, [False] * len(channels), window, state.device)
    canvas.draw_faces(screen)
    return canvas.keys


class Backdrop:
    """The known bodies behind what is drawn now: drawn once for all frames, or again with each part.

    Attributes:
        keys: channels being the bodies' places in the scene [frame, pixel] uint64, of the part's frames; None without
            known bodies.
    """

    keys: wp.array | None

    def __init__(self, motion: MotionState, observed: ObservedPicture, parts: Parts, *, hold: bool = True):
        self._motion, self._observed = motion, observed
        self._canvas: Canvas | None = None
        window = observed.window
        self._all: wp.array | None = None
        if motion.known and (hold or len(parts) == 1):
            self._all = observed.backdrop
        elif motion.known:
            assembly, self._screen = known_screen(motion)
            channels = known_channels(motion)
            self._canvas = Canvas(assembly, channels, [False] * len(channels), window, motion.device, parts=parts)
        self.turn_to(parts[0])

    def turn_to(self, part: Part) -> None:
        """Be of these frames; launches only."""
        if self._canvas is not None:
            self._canvas.turn_to(part)
            if self._observed.labels is not None:
                self._canvas.draw_faces(self._screen)
            self.keys = self._canvas.keys
        elif self._all is None:
            self.keys = None
        else:
            self.keys = part.of(self._all)

    def refresh(self) -> None:
        """Take the known bodies where the focal length has them now."""
        if self._canvas is not None:
            _, screen = known_screen(self._motion)
            wp.copy(self._screen, screen)
        self._observed.refresh_backdrop()


def known_channels(motion: MotionState) -> list[int]:
    """Places of the known bodies in the scene."""
    return [motion.scene.bodies.index(body) for body in motion.known]
