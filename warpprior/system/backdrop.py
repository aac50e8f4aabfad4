"""What is behind the estimated bodies: the known ones, drawn once."""

from __future__ import annotations

import warp as wp

from warpprior.bodies.assembly import Assembly, assemble
from warpprior.kernels.camera import project_points
from warpprior.render.canvas import Canvas
from warpprior.render.window import Window
from warpprior.system.motion import MotionState


def known_screen(state: MotionState) -> tuple[Assembly, wp.array]:
    """Topology of the known bodies and their vertices on the screen [frame, vertex] u, v [px], depth [m]."""
    assembly = assemble([body.body for body in state.known])
    vertices = wp.zeros((state.frame_count, assembly.vertex_count), dtype=wp.vec3, device=state.device)
    for index, body in enumerate(state.known):
        state.pose_surface(body.name, vertices, int(assembly.vertex_starts[index]))
    screen = wp.zeros(vertices.shape, dtype=wp.vec3, device=state.device)
    project_points(vertices, state.focal, state.center, screen_out=screen)
    return assembly, screen


def draw_known(state: MotionState, window: Window, channels: list[int]) -> wp.array | None:
    """Key buffer of the known bodies on the given channels [frame, pixel], None without known bodies."""
    if not state.known:
        return None
    assembly, screen = known_screen(state)
    canvas = Canvas(assembly, channels, [False] * len(channels), window, state.device)
    canvas.draw_faces(screen)
    return canvas.keys
