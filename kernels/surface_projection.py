"""Surfaces of single bodies projected into the screen that all bodies of a picture share."""

import warp as wp

from warpprior.kernels.camera import NEAR


@wp.kernel
def _project_surface(
    vertices: wp.array2d[wp.vec3],  # [frame, vertex] camera frame
    focal: wp.vec2,
    center: wp.vec2,
    first: int,
    screen_out: wp.array2d[wp.vec3],  # [frame, scene vertex] u, v [px], depth [m]
):
    """One vertex of one frame, as :func:`warpprior.kernels.camera.project_points` has it.  Gradients: vertices."""
    frame, vertex = wp.tid()
    position = vertices[frame, vertex]
    depth = wp.max(position[2], NEAR)
    screen_out[frame, first + vertex] = wp.vec3(
        focal[0] * position[0] / depth + center[0],
        focal[1] * position[1] / depth + center[1],
        position[2],
    )


def project_surface(vertices, focal, center, *, first, screen_out):
    """Launch :func:`_project_surface` over all frames and vertices of one body."""
    wp.launch(
        _project_surface,
        dim=vertices.shape,
        inputs=[vertices, focal, center, first],
        outputs=[screen_out],
        device=screen_out.device,
    )
