"""Where a place is drawn, as a residual: rows and energy of both axes against a float64 twin."""

import numpy as np
import pytest
import warp as wp

from tests.body_samples import make_tree_body
from tests.fit_samples import CAMERA, Sample, check_equations, wander
from warpprior.kernels.projection import add_pixel
from warpprior.kernels.rows import System, close_row

FOCAL, CENTER = np.array([CAMERA.fx, CAMERA.fy]), np.array([CAMERA.cx, CAMERA.cy])
TREE = make_tree_body(vertices=24, pose_blend=False)
VERTEX, TARGET, WEIGHT = 7, (40.0, 70.0), 0.5


@wp.kernel(enable_backward=False)
def _add_vertex(
    vertices: wp.array2d[wp.vec3],  # [frame, vertex]
    vertex: int,
    poses: wp.array[wp.transform],  # [frame]
    focal: wp.vec2,
    center: wp.vec2,
    target: wp.vec2,
    axis: int,
    start: int,
    system: System,
    cost_out: wp.array[wp.float64],  # [frame]
):
    """Pull one vertex to a column or a row."""
    frame = wp.tid()
    point = vertices[frame, vertex]
    miss = focal[axis] * point[axis] / point[2] + center[axis] - target[axis]
    pull = wp.float64(0.5 * miss)
    count = add_pixel(system, frame, start, vertex, poses[frame], point, focal, axis, pull)
    close_row(system, frame, 0, count, wp.float64(0.5), pull)
    wp.atomic_add(cost_out, frame, wp.float64(0.5 * miss * miss))


def add_vertex(vertices, vertex, poses, focal, center, target, axis, start, system, *, cost_out):
    """Launch it over all frames."""
    inputs = [vertices, vertex, poses, focal, center, target, axis, start, system]
    wp.launch(_add_vertex, dim=cost_out.shape, inputs=inputs, outputs=[cost_out], device=cost_out.device)


class Pixel:
    """The vertex's column or row, off its target."""

    def __init__(self, sample, axis):
        self.sample, self.axis = sample, axis

    def residuals(self, steps):
        """Of all frames (frame,)."""
        column, axis = self.sample.system.focal_column, self.axis
        focal = FOCAL[axis] * (1.0 if column < 0 else np.exp(steps[0, column]))
        points = np.array([self.sample.twin.vertices(TREE.name, f, row)[VERTEX] for f, row in enumerate(steps)])
        missed = focal * points[:, axis] / points[:, 2] + CENTER[axis] - TARGET[axis]
        return np.sqrt(WEIGHT) * missed

    def cost(self, steps):
        """Their squares."""
        return (self.residuals(steps) ** 2).sum()


@pytest.mark.parametrize("shared", [(), ("focal",)], ids=["apart", "shared focal length"])
@pytest.mark.parametrize("axis", [0, 1], ids=["column", "row"])
def test_pixels_match_the_twin(device, axis, shared):
    """By the root, all joints that carry the vertex, and the focal length where it is estimated."""
    sample = Sample([TREE], [wander(TREE, 2, bend=0.7)], device, shared=shared, points=4)
    state, start = sample.state, sample.equations.starts[TREE.name]
    given = state.vertices, VERTEX, state.states[TREE.name].poses, state.focal, state.center, wp.vec2(*TARGET)
    sample.add(add_vertex, *given, axis, start)
    check_equations(sample, Pixel(sample, axis), f"projection axis {axis}, {len(shared)} shared")
