"""The paper's equations as printed, but for the sign of Eq. 3, without which the term does harm.

Plain sums where the other terms have means, no robust costs, no allowance.  Energy alone: Warp differentiates them.
They bear the names of the terms they stand in for, so that either may be left out or compared by the same word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from warpprior.support.errors import InputError
from warpprior.support.limits import positive, weight
from warpprior.terms.term import ADAM, BoundTerm, Term

if TYPE_CHECKING:
    import warp as wp

    from warpprior.bodies.body import Body
    from warpprior.geometry.signed_distance import DistanceField, LinkFields
    from warpprior.render.canvas import Canvas
    from warpprior.scene import SceneBody
    from warpprior.system.problem import Problem


@dataclass(frozen=True)
class LiteralSliding(Term):
    """The sum of the unsquared ways [m] of the points nearer than a threshold, normal motion included.

    Attributes:
        threshold_m: printed without unit as 0.1: taken for centimetres [m].
    """

    name: ClassVar[str] = "sliding"
    uses: ClassVar[tuple[str, ...]] = (ADAM,)

    threshold_m: float = positive(0.001)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each ordered pair of bodies of which one is estimated."""
        return [BoundLiteralSliding(self, *pair, problem) for pair in touching_pairs(problem)]


class BoundLiteralSliding(BoundTerm):
    """Ways of one body's points over another."""

    term: LiteralSliding

    def __init__(
        self,
        term: LiteralSliding,
        body: SceneBody,
        other: SceneBody,
        field: DistanceField | LinkFields,
        problem: Problem,
    ):
        import warp as wp

        super().__init__(term, body, problem)
        self.factor, self._other, self._field = term.weight, other, field
        self._points = problem.motion.points[body.name]
        self._distance = wp.zeros(self._points.shape, dtype=wp.float32, device=problem.motion.device)
        self._grid = wp.zeros(self._points.shape, dtype=wp.int32, device=problem.motion.device)

    def freeze(self) -> None:
        from warpprior.kernels.literal_contact import find_nearest

        links, grids = self.problem.motion.states[self._other.name].links, self._field.grids.device_grids
        find_nearest(self._points, links, grids, distance_out=self._distance, grid_out=self._grid)

    def evaluate(self, rows: wp.array, row: int) -> None:
        from warpprior.kernels.literal_contact import add_literal_sliding

        motion = self.problem.motion
        add_literal_sliding(
            self._points,
            motion.states[self._other.name].links,
            links=self._field.grids.links,
            grid=self._grid,
            distance=self._distance,
            segment=motion.segments,
            threshold=self.term.threshold_m,
            row=row,
            rows_out=rows,
        )


@dataclass(frozen=True)
class LiteralPenetration(Term):
    """The sum of the depths of points [m]: Eq. 3, mended in sign only."""

    name: ClassVar[str] = "penetration"
    uses: ClassVar[tuple[str, ...]] = (ADAM,)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each ordered pair of bodies of which one is estimated."""
        return [BoundLiteralPenetration(self, *pair, problem) for pair in touching_pairs(problem)]


class BoundLiteralPenetration(BoundTerm):
    """Depths of one body's points in another."""

    def __init__(
        self,
        term: LiteralPenetration,
        body: SceneBody,
        other: SceneBody,
        field: DistanceField | LinkFields,
        problem: Problem,
    ):
        super().__init__(term, body, problem)
        self.factor, self._other, self._field = term.weight, other, field

    def evaluate(self, rows: wp.array, row: int) -> None:
        from warpprior.kernels.literal_contact import add_literal_penetration

        motion = self.problem.motion
        points, links = motion.points[self.body.name], motion.states[self._other.name].links
        add_literal_penetration(points, links, self._field.grids.device_grids, row=row, rows_out=rows)


def touching_pairs(problem: Problem) -> Iterator[tuple[SceneBody, SceneBody, DistanceField | LinkFields]]:
    """Ordered pairs of a body whose points touch and another with its signed distance, one of them estimated.

    Surfaces that bend are left out: no rigid grid can hold their inside.
    """
    from warpprior.geometry.signed_distance import shared_field, shared_link_fields

    scene, device = problem.motion.scene, problem.motion.device
    for other in scene.bodies:
        partners = [body for body in scene.bodies if body is not other and not (body.known and other.known)]
        if not partners:
            continue
        build = shared_field if other.body.is_rigid else shared_link_fields
        try:
            field = build(other.body, device, scale=problem.motion.read_size(other))
        except InputError as error:
            problem.note(f"nothing is kept out of {other.name}: {error.found}.")
            continue
        for body in partners:
            yield body, other, field


@dataclass(frozen=True)
class LiteralMotion(Term):
    """Sums of squares of how far a body's vertices move, or its root and joints where it bends [m^2, rad^2]."""

    uses: ClassVar[tuple[str, ...]] = (ADAM,)
    order: ClassVar[str] = ""  # which kernels of warpprior.kernels.literal_motion

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each estimated body."""
        if problem.motion.world is not None:
            said = "the paper's compares frames in the camera's frame, though it moves, not in the world"
            problem.note(f"{self.name}: {said}.")
        return [BoundLiteralMotion(self, body, problem) for body in problem.motion.estimated]


@dataclass(frozen=True)
class LiteralConsistency(LiteralMotion):
    """Of first differences, Eq. 4."""

    name: ClassVar[str] = "consistency"
    order: ClassVar[str] = "velocity"


@dataclass(frozen=True)
class LiteralSmoothness(LiteralMotion):
    """Of second differences, Eq. 5."""

    name: ClassVar[str] = "smoothness"
    order: ClassVar[str] = "acceleration"


class BoundLiteralMotion(BoundTerm):
    """The motion of one body."""

    term: LiteralMotion

    def __init__(self, term: LiteralMotion, body: SceneBody, problem: Problem):
        import warp as wp

        super().__init__(term, body, problem)
        self.factor = term.weight
        model, device = body.body, problem.motion.device

        def single(value: float) -> wp.array:
            return wp.full(1, value, dtype=wp.float32, device=device)

        # These make the kernels' means of (x / sigma)^2 / 2 plain sums of squares.
        self._sigma = single((2.0 * (model.vertex_count if model.is_rigid else 1)) ** -0.5)
        self._sigma_rotation = single(0.5**0.5)
        joint_sigmas = np.full(model.coordinate_count, (2.0 * max(model.coordinate_count, 1)) ** -0.5)
        self._joint_sigmas = wp.array(joint_sigmas.astype(np.float32), dtype=wp.float32, device=device)
        centroid, covariance = vertex_moments(model, problem.motion.read_size(body))
        self._centroid, self._covariance = wp.vec3(*centroid), wp.mat33(*covariance.ravel())
        self._intervals = wp.array(1.0 / problem.motion.paces.numpy(), dtype=wp.float32, device=device)

    def evaluate(self, rows: wp.array, row: int) -> None:
        from warpprior.kernels import literal_motion

        motion, order = self.problem.motion, self.term.order
        common = {"segment": motion.segments, "dt": self._intervals, "row": row, "rows_out": rows}
        own = motion.states[self.body.name]
        if self.body.body.is_rigid:
            moments = {"centroid": self._centroid, "covariance": self._covariance}
            getattr(literal_motion, f"add_rigid_{order}")(own.poses, sigma=self._sigma, **moments, **common)
            return
        sigmas = {"position_sigma": self._sigma, "rotation_sigma": self._sigma_rotation}
        getattr(literal_motion, f"add_root_{order}")(own.poses, **sigmas, **common)
        if own.joints.shape[1]:
            getattr(literal_motion, f"add_joint_{order}")(own.joints, sigmas=self._joint_sigmas, **common)


def vertex_moments(body: Body, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Centroid (3,) [m] and covariance (3, 3) [m^2] of a body's rest vertices, each counted once."""
    vertices = scale * body.vertices.astype(np.float64)
    centroid = vertices.mean(axis=0)
    return centroid, (vertices - centroid).T @ (vertices - centroid) / len(vertices)


@dataclass(frozen=True)
class LiteralImage(Term):
    """Eq. 1: the sum of squared differences over the picture, the other bodies cut out [grey level^2].

    The picture is black wherever its label is not the body's; no gain, no offset.
    """

    name: ClassVar[str] = "image"
    uses: ClassVar[tuple[str, ...]] = (ADAM,)

    weight: float = weight(0.0)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each estimated rigid body whose model and pictures have colours."""
        from warpprior.render.canvas import Canvas
        from warpprior.system.colors import why_no_colors

        motion = problem.motion
        bodies = [body for body in motion.estimated if body.body.is_rigid and not why_no_colors(body, motion)]
        if not bodies:
            return
        channels = [motion.scene.bodies.index(body) for body in motion.estimated]
        canvas = Canvas(
            motion.assembly,
            channels,
            [False] * len(channels),
            problem.observed.window,
            motion.device,
            backdrop=problem.observed.backdrop,
        )
        for body in bodies:
            yield BoundLiteralImage(self, body, canvas, problem)


class BoundLiteralImage(BoundTerm):
    """The rendered picture of one body against the masked one, at every pixel of its label and of the background."""

    def __init__(self, term: LiteralImage, body: SceneBody, canvas: Canvas, problem: Problem):
        import warp as wp

        super().__init__(term, body, problem)
        self.factor, self._canvas = term.weight, canvas
        motion, window, device = problem.motion, problem.observed.window, problem.motion.device
        self._channel = motion.scene.bodies.index(body)
        chosen = [self._choose(frame) for frame in range(motion.frame_count)]
        shape = (motion.frame_count, max(len(pixels) for pixels, _ in chosen))
        pixels = np.full(shape, -1, dtype=np.int32)
        observed = np.zeros((*shape, 3), dtype=np.float32)
        for frame, (places, colors) in enumerate(chosen):
            pixels[frame, : len(places)], observed[frame, : len(places)] = places, colors
        camera, corner = motion.camera, window.origins.astype(np.float64)[:, None, :]
        centers = corner + np.stack([pixels % window.width, pixels // window.width], axis=2) + 0.5
        rays = (centers - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
        colors = np.zeros((motion.assembly.vertex_count, 3), dtype=np.float32)
        first = motion.first_vertex(body.name)
        colors[first : first + body.body.vertex_count] = body.body.colors
        self._pixels = wp.array(pixels, dtype=wp.int32, device=device)
        self._observed = wp.array(observed, dtype=wp.vec3, device=device)
        self._rays = wp.array(rays.astype(np.float32), dtype=wp.vec2, device=device)
        self._colors = wp.array(colors, dtype=wp.vec3, device=device)
        self._faces = wp.full(shape, -1, dtype=wp.int32, device=device)
        self._normals = wp.zeros(shape, dtype=wp.vec3, device=device)

    def _choose(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of the window to compare in a frame (sample,), and their colours (sample, 3) in [0, 1]."""
        observed, read_rgb = self.problem.observed, self.problem.motion.scene.read_rgb
        assert read_rgb is not None and observed.labels is not None, "the scene has pictures and labels"
        image = read_rgb(frame)
        if image is None:
            return np.zeros(0, dtype=np.int32), np.zeros((0, 3), dtype=np.float32)
        window, (column, row) = observed.window, observed.window.origins[frame]
        image = image[row : row + window.height, column : column + window.width].reshape(-1, 3)
        own = observed.labels[frame] == self.body.label
        pixels = np.flatnonzero(own | (observed.labels[frame] == 0)).astype(np.int32)
        return pixels, np.where(own.ravel()[pixels, None], image[pixels] / np.float32(255.0), np.float32(0.0))

    def freeze(self) -> None:
        from warpprior.kernels.shading import find_faces

        vertices, canvas = self.problem.motion.vertices, self._canvas
        canvas.draw_faces(self.problem.motion.screen)
        find_faces(
            canvas.keys,
            self._pixels,
            self._rays,
            vertices,
            canvas.faces,
            self._channel,
            0.0,
            faces_out=self._faces,
            normals_out=self._normals,
        )

    def evaluate(self, rows: wp.array, row: int) -> None:
        from warpprior.kernels.shading import add_image_literal

        surface = (self.problem.motion.vertices, self._canvas.faces, self._colors, self._rays, self._faces)
        add_image_literal(*surface, self._observed, row, rows_out=rows)
