"""A term of your own: a box slides over a table whose plane is known, and labels that are too small put it below.

Command: python examples/10_own_term.py
The same from the command line: warpprior refine SCENE --output-dir out --term examples/10_own_term.py:TablePlane
"""

import argparse
from dataclasses import dataclass, replace

import numpy as np
import trimesh
import warp as wp
from scipy.ndimage import binary_erosion
from scipy.spatial.transform import Rotation

import warpprior
from warpprior.kernels.rows import PointBody, System, add_point, close_row
from warpprior.terms import BoundTerm, Term

MIDDLE, NORMAL = np.array([0.0, 0.0, 0.55]), (0.0, -(0.5**0.5), -(0.5**0.5))  # of the table, camera axes [m]
OFFSET = float(MIDDLE @ np.array(NORMAL))  # its plane: NORMAL . place = OFFSET


@wp.kernel(enable_backward=False)
def _add_table(
    points: wp.array2d[wp.vec3],  # [frame, point] camera frame
    body: PointBody,
    poses: wp.array[wp.transform],  # [frame]
    normal: wp.vec3,
    offset: float,
    weight: wp.float64,  # [1/m^2]
    system: System,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Depth of points below the plane: residual, weight, derivative, cost; the system does the rest."""
    frame = wp.tid()
    for point in range(points.shape[1]):
        height = wp.dot(normal, points[frame, point]) - offset
        if height < 0.0:
            pull = weight * wp.float64(height)
            count = add_point(system, body, frame, frame, 0, poses[frame], point, points[frame, point], normal, pull)
            close_row(system, frame, 0, count, weight, pull)
            wp.atomic_add(cost_out, frame, pull * wp.float64(height))


@dataclass(frozen=True)
class TablePlane(Term):
    """No body is below a known table."""

    name = "table"

    normal: tuple[float, float, float] = NORMAL
    offset_m: float = OFFSET
    sigma_m: float = 0.001

    def bind(self, problem):
        return [BoundTablePlane(self, body, problem) for body in problem.motion.estimated]


class BoundTablePlane(BoundTerm):
    def add(self, system, *, alone=False):
        term, motion = self.term, self.problem.motion
        points, poses = motion.points[self.body.name], motion.states[self.body.name].poses
        weight = term.weight / (points.shape[1] * term.sigma_m**2)
        plane = [self.problem.point_body(self.body), poses, wp.vec3(*term.normal), term.offset_m, weight]
        wp.launch(_add_table, self.costs.shape, [points, *plane, system], [self.costs], device=motion.device)


def main():
    """Refine with and without the table, and say how deep the box ends up in it."""
    parser = argparse.ArgumentParser(description="Refine with a term of your own.")
    parser.add_argument("--num-frames", type=int, default=20)
    parser.add_argument("--device", help="cpu or cuda:0; the first GPU if there is one")
    args = parser.parse_args()
    scene = make_scene(args.num_frames)
    settings = warpprior.RefineSettings(guard=False)  # it would undo what leaves the labels, and these are wrong
    own = [*warpprior.terms.default(scene), TablePlane()]
    for title, terms in (("without the table", own[:-1]), ("with it", own)):
        result = warpprior.refine(scene, settings, terms=terms, device=args.device)
        corners = warpprior.bodies.posed_vertices(scene.bodies[0].body, result.poses["parcel"])
        below = np.maximum(0.0, OFFSET - (corners @ np.array(NORMAL)).min(axis=1))
        error = np.linalg.norm(result.poses["parcel"].position - scene.bodies[0].truth.position, axis=1)
        print(
            f"{title:>18}: {1e3 * np.median(below):4.1f} mm below it, {1e3 * np.median(error):4.1f} mm off;"
            f" terms {', '.join(key for key in result.history if key != 'stage')}"
        )


def make_scene(frame_count):
    """A parcel that slides over the table, seen from above at 45 degrees, with labels 2 px too small all around."""
    mesh = trimesh.creation.box((0.10, 0.06, 0.08)).subdivide().subdivide()
    body = warpprior.rigid_body("parcel", mesh.vertices, mesh.faces)
    camera = warpprior.Camera(width=320, height=240, fx=300.0, fy=300.0, cx=160.0, cy=120.0)
    time = np.arange(frame_count) / 30.0
    along = np.stack([0.2 * time - 0.06, 0.0 * time, 0.0 * time], axis=1)
    position = MIDDLE + 0.03 * np.array(NORMAL) + along  # its middle is 3 cm above the table
    upright = Rotation.from_rotvec([np.radians(45.0), 0.0, 0.0])
    rotation = upright * Rotation.from_rotvec(np.outer(time, [0.0, 0.5, 0.0]))
    truth = warpprior.Poses(position, rotation.as_quat(), np.zeros((frame_count, 0)))
    rough = replace(truth, position=position * 1.05)
    parcel = warpprior.SceneBody(body, label=1, known=False, initial=rough, truth=truth)
    scene = warpprior.Scene("parcel", camera, fps=30.0, bodies=(parcel,))
    labels = warpprior.render.labels(scene, {"parcel": truth}).numpy()
    small = np.stack([binary_erosion(image > 0, iterations=2) for image in labels])
    return replace(scene, labels=small.astype(np.uint8))


if __name__ == "__main__":
    main()
