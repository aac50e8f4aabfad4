"""Bodies in motion for tests of normal equations: on the device with all that kernels read, and as float64 twins."""

from dataclasses import replace

import numpy as np
import warp as wp
from scipy.spatial.transform import Rotation

from tests.gradcheck import POISON, compare_gradients, finite_difference
from tests.reference.equations import assemble, differentiate
from tests.reference.surface_motion import MovingBodies
from warpprior.bodies import JointType, Keypoints
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.system.equations import Equations
from warpprior.system.motion import MotionState
from warpprior.system.surface_motion import SurfaceMotion

CAMERA = Camera(160, 120, 150.0, 140.0, 80.3, 60.1)


def as_device(values, dtype, device):
    """A Warp array of any values."""
    kind = {wp.int32: np.int32, wp.vec2i: np.int32, wp.vec3i: np.int32, wp.float64: np.float64}.get(dtype, np.float32)
    return wp.array(np.ascontiguousarray(values, dtype=kind), dtype=dtype, device=device)


def with_keypoints(body, seed=0):
    """The body with all origins of its links and four vertices as keypoints, in mixed order."""
    random = np.random.default_rng(seed)
    vertices = np.concatenate([np.full(body.link_count, -1), random.integers(0, body.vertex_count, 4)])
    links = np.concatenate([np.arange(body.link_count), body.skin_links[vertices[-4:], 0]])
    order = random.permutation(len(links))
    names = tuple(f"keypoint{k}" for k in order)
    return replace(body, keypoints=Keypoints(names, links[order].astype(np.int32), vertices[order].astype(np.int32)))


def wander(body, frames, *, seed=0, middle=(0.05, -0.03, 0.5), speed=0.01, turn=0.1, bend=1.0, wag=0.1):
    """A motion, exact in float32, that wanders about ``middle``; joints about random values of size ``bend`` [rad].

    ``bend`` may be ``"zero"`` or ``"pi"``: coordinates of exactly that size, about random axes.
    """
    random = np.random.default_rng(seed)
    first = Rotation.from_rotvec(random.normal(size=3))
    turns = [first * Rotation.from_rotvec(turn * random.normal(size=3)) for _ in range(frames)]
    position = np.asarray(middle) + speed * random.normal(size=(frames, 3))
    rotation = np.stack([rotation.as_quat() for rotation in turns])
    joints = np.zeros((frames, body.coordinate_count))
    for start, kind in zip(body.coordinate_starts, body.joint_types, strict=True):
        width = 3 if kind == JointType.BALL else 1
        if start < 0 or bend == "zero":
            continue
        drawn = random.normal(size=width)
        drawn *= (np.pi if bend == "pi" else bend) / np.linalg.norm(drawn)
        joints[:, start : start + width] = drawn
        if bend != "pi":
            joints[:, start : start + width] += wag * random.normal(size=(frames, width))
        if kind == JointType.SLIDE:
            joints[:, start] *= 0.05
    exact = [np.asarray(values, dtype=np.float32).astype(float) for values in (position, rotation, joints)]
    shape = random.normal(size=body.shape_count).astype(np.float32).astype(float)
    return Poses(*exact, shape=shape, scale=1.0)


class Tally:
    """Normal equations of some frames for kernels to add to.

    Args:
        frames: how many.
        inner: columns of a frame.
        shared: how many columns behind them are of unknowns shared by all frames.
    """

    def __init__(self, frames, inner, device, *, shared=0):
        self.frames, self.inner, self.width = frames, inner, inner + shared
        self.device = device
        self.cost = wp.zeros(frames, dtype=wp.float64, device=device)
        self.hessian = wp.zeros((frames, 4, self.width, self.width), dtype=wp.float64, device=device)
        self.gradient = wp.zeros((frames, 2, self.width), dtype=wp.float64, device=device)

    @property
    def outputs(self):
        """Keyword arguments of every accumulator."""
        return {"hessian_out": self.hessian, "gradient_out": self.gradient, "cost_out": self.cost}

    def constants(self, values, dtype=wp.float32):
        """An array on the tally's device."""
        return as_device(values, dtype, self.device)

    def clear(self):
        """Forget what was added up."""
        for array in (self.hessian, self.gradient, self.cost):
            array.zero_()

    def read(self):
        """Dense matrix, gradient (frame, column) and cost (frame,) of what was added up."""
        blocks, gradient = self.hessian.numpy(), self.gradient.numpy()
        assert not blocks[0, 1:].any() and not blocks[1:2, 2].any() and not gradient[0, 1].any()
        matrix, vector = assemble(blocks, gradient)
        return matrix, vector, self.cost.numpy().copy()

    def bits(self):
        """Copies of all that was added up."""
        return [array.numpy().copy() for array in (self.hessian, self.gradient, self.cost)]


class Sample(Tally):
    """Bodies in some frames: motion, equations and derivatives on a device, and the twin.

    Args:
        bodies, motions: in the order of the columns.
        known: names of bodies that do not move.
        shared: names of unknowns shared by all frames.
        shapes: names of bodies whose shapes are unknown; they come after ``shared``.
        segments: sequence of each frame.

    Attributes:
        state, equations, surfaces: as the alignment has them; workspaces hold rubbish where they may.
        twin: the same motion as a function of all unknowns.
    """

    def __init__(self, bodies, motions, device, *, known=(), shared=(), shapes=(), segments=None, lanes=8, points=16):
        parts = tuple(
            SceneBody(body, index + 1, body.name in known, motion)
            for index, (body, motion) in enumerate(zip(bodies, motions, strict=True))
        )
        self.scene = Scene("sample", CAMERA, 30.0, parts)
        self.state = MotionState(self.scene, device, point_count=points)
        for part in parts:
            if part.name in shapes:
                shared = (*shared, *(f"{part.name} shape {k}" for k in range(part.body.shape_count)))
        self.equations = Equations(self.state.estimated, shared, self.state.frame_count, lanes, device)
        super().__init__(self.state.frame_count, self.equations.width, device, shared=len(shared))
        self.hessian, self.gradient = self.equations.hessian, self.equations.gradient
        if segments is not None:
            self.state.segments.assign(np.asarray(segments, dtype=np.int32))
        self.shape_starts = {name: self.equations.shared[f"{name} shape 0"] for name in shapes}
        self.surfaces = SurfaceMotion(self.state, self.equations.starts, self.shape_starts)
        self.surfaces.chains.values.fill_(POISON)
        self.surfaces.update()
        self.equations.rows.values.fill_(POISON)
        self.equations.rows.active.fill_(2**30)
        self.twin = MovingBodies(
            {part.name: part.body for part in parts},
            {part.name: part.initial for part in parts},
            self.equations.starts,
            self.shape_starts,
        )

    def read(self):
        """As of any tally; marks of rows must be clear."""
        assert not self.equations.rows.marks.numpy().any(), "a row was not cleared"
        return super().read()


def check_equations(tally, twin, name, *, step=1e-5, worst=1e-3, curvature=1e-3, cost=1e-4):
    """What kernels have added up is the twin's cost, half its derivative, and J^T J of its residuals.

    ``twin.cost`` and ``twin.residuals`` are functions of steps (frame, column), shared columns of frame 0 counting.
    """
    matrix, gradient, costs = tally.read()
    zero = np.zeros((tally.frames, tally.width))
    np.testing.assert_allclose(costs.sum(), twin.cost(zero), rtol=cost)
    inner = tally.inner
    folded = gradient.copy()
    folded[0, inner:], folded[1:, inner:] = gradient[:, inner:].sum(axis=0), 0.0
    numeric = 0.5 * finite_difference(twin.cost, zero, step)
    compare_gradients(folded, numeric, name=f"{name} gradient", worst=worst)
    jacobian = differentiate(twin.residuals, zero.shape, step)
    expected = jacobian.T @ jacobian
    found = fold(matrix, tally.frames, tally.width, inner)
    root = np.sqrt(np.diag(expected) + 1e-12 * expected.max())
    size = np.outer(root, root)
    np.testing.assert_allclose(found / size, expected / size, atol=curvature)
    assert not found[expected == 0.0].any(), f"{name}: unknowns are coupled that have nothing in common"
    assert np.linalg.eigvalsh(found / size).min() > -1e-6, f"{name}: curvature is negative"
    return costs


class Spread:
    """A twin whose shared unknowns are in every frame what they are in frame 0; ``inner`` columns are a frame's own."""

    def __init__(self, twin, inner):
        self.twin, self.inner = twin, inner

    def _spread(self, steps):
        steps = steps.copy()
        steps[1:, self.inner :] = steps[0, self.inner :]
        return steps

    def cost(self, steps):
        """As the twin's."""
        return self.twin.cost(self._spread(steps))

    def residuals(self, steps):
        """As the twin's."""
        return self.twin.residuals(self._spread(steps))


def fold(matrix, frames, width, inner):
    """The matrix with shared unknowns, which each frame has columns for, gathered in those of frame 0."""
    gather = np.eye(frames * width).reshape(frames, width, frames, width)
    for frame in range(1, frames):
        gather[frame, inner:, 0, inner:] = gather[frame, inner:, frame, inner:]
        gather[frame, inner:, frame, inner:] = 0.0
    gather = gather.reshape(matrix.shape)
    return gather.T @ matrix @ gather
