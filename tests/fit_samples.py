"""Bodies in motion for tests of terms: on the device with all that kernels read, and as float64 twins.

A term's kernel is checked in all of its uses at once: what it adds to the normal equations against the twin, and what
it leaves for the energy, costs and gradient, against the same.
"""

from dataclasses import replace

import numpy as np
import warp as wp
from scipy.spatial.transform import Rotation

from tests.gradcheck import POISON, compare_gradients, finite_difference
from tests.reference.equations import assemble, differentiate
from tests.reference.surface_motion import MovingBodies
from warpprior.bodies import JointType, Keypoints
from warpprior.kernels.rows import COSTS, GRADIENT, ROWS, System
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.system.contacts import point_body
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
    """Normal equations of some frames for kernels to add to, and gradients of the energy.

    Args:
        frames: how many.
        inner: columns of a frame.
        shared: how many columns behind them are of unknowns shared by all frames.
        places: how many places there are.

    Attributes:
        system: what kernels add rows to.
        launched: what was added since the last :meth:`clear`, as functions of a system and an array of costs.
    """

    def __init__(self, frames, inner, device, *, shared=0, places=0):
        self.frames, self.inner, self.width, self.places = frames, inner, inner + shared, places
        self.device, self.launched = device, []
        self.cost = wp.zeros(frames, dtype=wp.float64, device=device)
        system = self.system = System()
        system.mode = ROWS
        system.hessian = wp.zeros((frames, 4, self.width, self.width), dtype=wp.float64, device=device)
        system.gradient = wp.zeros((frames, 2, self.width), dtype=wp.float64, device=device)
        system.bias_column = system.focal_column = -1

    def constants(self, values, dtype=wp.float32):
        """An array on the tally's device."""
        return as_device(values, dtype, self.device)

    def one(self, struct, **values):
        """An array of one element, as terms are given their scales."""
        return one_of(struct, self.device, **values)

    def alike(self, struct, **values):
        """An array of the same element in each frame."""
        return one_of(struct, self.device, self.frames, **values)

    def add(self, kernel, *inputs, **options):
        """Launch what adds a term's residuals to :attr:`system` and its costs to :attr:`cost`."""

        def launch(system, cost):
            kernel(*inputs, system, cost_out=cost, **options)

        launch(self.system, self.cost)
        self.launched.append(launch)

    def clear(self):
        """Forget what was added up."""
        self.launched.clear()
        for array in (self.system.hessian, self.system.gradient, self.cost):
            array.zero_()

    def read(self):
        """Dense matrix, gradient (frame, column) and cost (frame,) of what was added up."""
        blocks, gradient = self.system.hessian.numpy(), self.system.gradient.numpy()
        assert not blocks[0, 1:].any() and not blocks[1:2, 2].any() and not gradient[0, 1].any()
        matrix, vector = assemble(blocks, gradient)
        return matrix, vector, self.cost.numpy().copy()

    def bits(self):
        """Copies of all that was added up."""
        return [array.numpy().copy() for array in (self.system.hessian, self.system.gradient, self.cost)]

    def other_system(self, mode, seeds=None):
        """A system of another use, whose equations are this one's; nothing may be added to those."""
        system = System()
        for name in System.vars:
            setattr(system, name, getattr(self.system, name))
        system.mode = mode
        if mode == GRADIENT:
            system.seeds = self.constants(seeds)
            shape = (self.frames, self.places)
            system.place_gradients = wp.zeros(shape, dtype=wp.vec3, device=self.device)
            system.unknown_gradients = wp.zeros((self.frames, self.width), dtype=wp.float32, device=self.device)
        return system

    def energy_costs(self):
        """Costs (frame,) where only they are asked for."""
        cost = wp.zeros(self.frames, dtype=wp.float64, device=self.device)
        for launch in self.launched:
            launch(self.other_system(COSTS), cost)
        return cost.numpy()

    def energy_gradient(self, seeds):
        """Derivative (frame, column) of the sum of all frames' costs, each times its seed (frame,)."""
        system, cost = self.other_system(GRADIENT, seeds), wp.zeros(self.frames, dtype=wp.float64, device=self.device)
        for launch in self.launched:
            launch(system, cost)
        return system.unknown_gradients.numpy().astype(float) + self.carried(system.place_gradients)

    def carried(self, place_gradients):
        """Gradients of places by the unknowns that move them: there are none here."""
        return 0.0


def one_of(struct, device, count=1, **values):
    """An array of one struct on a device, or of more of the same."""
    filled = struct()
    for name, value in values.items():
        setattr(filled, name, value)
    array = wp.zeros(count, dtype=struct, device=device)
    array.assign([filled] * count)
    return array


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
        if segments is not None:
            self.state.segments.assign(np.asarray(segments, dtype=np.int32))
        self.shape_starts = {name: self.equations.shared[f"{name} shape 0"] for name in shapes}
        surfaces = self.surfaces = SurfaceMotion(self.state, self.equations.starts, self.shape_starts)
        surfaces.values.fill_(POISON)
        surfaces.update()
        place_count = surfaces.starts.shape[0] - 1
        inner = self.equations.width
        super().__init__(self.state.frame_count, inner, device, shared=len(shared), places=place_count)
        equations, system = self.equations, self.system
        equations.row_values.fill_(POISON)
        equations.row_active.fill_(2**30)
        system.chain_starts, system.chain_columns, system.chain_values = (
            surfaces.starts,
            surfaces.columns,
            surfaces.values,
        )
        system.values, system.marks, system.active = equations.row_values, equations.row_marks, equations.row_active
        system.hessian, system.gradient = equations.hessian, equations.gradient
        system.bias_column = equations.shared.get("bias", -1)
        system.focal_column = equations.shared.get("focal", -1)
        self.twin = MovingBodies(
            {part.name: part.body for part in parts},
            {part.name: part.initial for part in parts},
            self.equations.starts,
            self.shape_starts,
        )

    def points_of(self, name):
        """Where the contact points of a body lie, as kernels take it."""
        return point_body(self.scene.body(name), self.state, self.equations.starts.get(name, -1))

    def read(self):
        """As of any tally; marks of rows must be clear."""
        assert not self.equations.row_marks.numpy().any(), "a row was not cleared"
        return super().read()

    def carried(self, place_gradients):
        """Gradients of places (frame, place, 3) by the root that carries each, and along its chain (frame, column)."""
        gradients = place_gradients.numpy().astype(float)
        found = np.zeros((self.frames, self.width))
        starts, columns, values = (
            array.numpy() for array in (self.surfaces.starts, self.surfaces.columns, self.surfaces.values)
        )
        chain = np.repeat(np.arange(self.places), np.diff(starts))
        along = np.sum(gradients[:, chain] * values[:, : len(chain)].astype(float), axis=2)
        np.add.at(found, (slice(None), columns[: len(chain)]), along)
        for body in self.state.estimated:
            first, start = self.state.first_vertex(body.name), self.equations.starts[body.name]
            origins = self.surfaces.origin_places.get(body.name, np.zeros((0, 2), dtype=int))
            places = np.concatenate([np.arange(first, first + body.body.vertex_count), origins[:, 0]])
            for frame in range(self.frames):
                at_rest = np.zeros(self.width)
                points = np.concatenate(
                    [
                        self.twin.vertices(body.name, frame, at_rest),
                        self.twin.origins(body.name, frame, at_rest)[origins[:, 1]],
                    ]
                )
                position, turn = self.twin.pose(body.name, frame, at_rest)[:3], body.initial.rotation[frame]
                own = gradients[frame, places]
                total, torque = own.sum(axis=0), np.cross(points - position, own).sum(axis=0)
                found[frame, start : start + 2] += position[2] * total[:2]
                found[frame, start + 2] += position @ total
                found[frame, start + 3 : start + 6] += Rotation.from_quat(turn).inv().apply(torque)
        return found


def check_equations(tally, twin, name, *, step=1e-5, worst=1e-3, curvature=1e-3, cost=1e-4):
    """What kernels have added up is the twin's cost, half its derivative, and J^T J of its residuals.

    So are, in their other use, the costs and the gradient of the energy.  ``twin.cost`` and ``twin.residuals`` are
    functions of steps (frame, column), shared columns of frame 0 counting.
    """
    matrix, gradient, costs = tally.read()
    zero = np.zeros((tally.frames, tally.width))
    np.testing.assert_allclose(costs.sum(), twin.cost(zero), rtol=cost)
    inner = tally.inner
    folded = fold_shared(gradient, inner)
    numeric = 0.5 * finite_difference(twin.cost, zero, step)
    compare_gradients(folded, numeric, name=f"{name} gradient", worst=worst)
    check_energy(tally, numeric, costs, name, worst=worst)
    jacobian = differentiate(twin.residuals, zero.shape, step)
    expected = jacobian.T @ jacobian
    found = fold(matrix, tally.frames, tally.width, inner)
    root = np.sqrt(np.diag(expected) + 1e-12 * expected.max())
    size = np.outer(root, root)
    np.testing.assert_allclose(found / size, expected / size, atol=curvature)
    assert not found[expected == 0.0].any(), f"{name}: unknowns are coupled that have nothing in common"
    assert np.linalg.eigvalsh(found / size).min() > -1e-6, f"{name}: curvature is negative"
    return costs


def check_energy(tally, numeric, costs, name, *, worst):
    """Costs and gradient of the energy are those of the rows, frame by frame, and leave the equations alone.

    Args:
        tally: what was added to.
        numeric: half the derivative of the twin's cost (frame, column).
        costs: of the rows (frame,).
        name: for messages.
        worst: relative error of the gradient.
    """
    assert tally.launched, f"{name}: nothing was added"
    before = tally.bits()
    np.testing.assert_allclose(tally.energy_costs(), costs, rtol=1e-12, err_msg=name)
    gradient = fold_shared(tally.energy_gradient(np.ones(tally.frames)), tally.inner)
    compare_gradients(gradient, 2.0 * numeric, name=f"{name} gradient of the energy", worst=worst)
    seeds = np.linspace(0.5, 2.0, tally.frames)
    parts = [seed * tally.energy_gradient(one) for seed, one in zip(seeds, np.eye(tally.frames), strict=True)]
    whole = tally.energy_gradient(seeds)
    np.testing.assert_allclose(whole, sum(parts), atol=2e-5 * np.abs(whole).max() + 1e-12, err_msg=name)
    for one, other in zip(before, tally.bits(), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=f"{name}: the energy wrote into the equations")


def fold_shared(gradient, inner):
    """The gradient (frame, column) with that of shared unknowns, which each frame has columns for, in frame 0."""
    folded = gradient.copy()
    folded[0, inner:], folded[1:, inner:] = gradient[:, inner:].sum(axis=0), 0.0
    return folded


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
