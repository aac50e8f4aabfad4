"""The law of the two uses: rows and energy of a term come from one residual, and both are its cost's derivative."""

import numpy as np
import pytest
import warp as wp

from tests.gradcheck import POISON, compare_gradients, finite_difference
from tests.two_uses_scenes import COSTS, SCENES, cost_of, freeze, problem_of, stance_of
from warpprior.system.energy import Energy
from warpprior.terms import (
    SOLVERS,
    TERMS,
    Boxes,
    Consistency,
    ContactMaps,
    Contour,
    Depth,
    Given,
    Image,
    Keypoints,
    Penetration,
    Pose,
    Rest,
    Sliding,
    Smoothness,
    Touch,
)

CASES = {
    "keypoints": [("touching", Keypoints(sigma_px=4.0)), ("tree", Keypoints(sigma_px=4.0))],
    "boxes": [("touching", Boxes(sigma_px=4.0)), ("tree", Boxes(sigma_px=4.0))],
    "depth": [("touching", Depth(weight=1.0, sigma_m=0.02)), ("tree", Depth(weight=1.0, sigma_m=0.02))],
    "given": [("unseen", Given()), ("unseen tree", Given(sigma_m=0.01))],
    "contour": [("seen", Contour())],
    "image": [("seen", Image(sample_count=120))],
    "sliding": [("touching", Sliding()), ("known arm", Sliding())],
    "penetration": [(scene, Penetration()) for scene in ("touching", "known arm", "known box")],
    "smoothness": [("touching", Smoothness()), ("tree", Smoothness())],
    "consistency": [("touching", Consistency(weight=1.0)), ("tree", Consistency(weight=1.0))],
    "rest": [("touching", Rest(speed_m_s=1.0))],
    "touch": [("sized", Touch())],
    "contact_map": [("mapped", ContactMaps())],
    "pose": [("touching", Pose()), ("tree", Pose(sigma_prior=2.0))],
}
EVERY = [(scene, term) for cases in CASES.values() for scene, term in cases]
STEP = 1e-6
NAMES = [f"{term.name} {scene}" for scene, term in EVERY]


@pytest.fixture(scope="module")
def scenes():
    """Scenes, made when first asked for."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = SCENES[name]()
        return made[name]

    return get


def test_every_term_that_has_both_uses_is_held_to_the_law():
    """A new term with rows and an energy needs a twin here."""
    both = {term.name for term in TERMS if set(term.uses) == set(SOLVERS)}
    assert both == set(CASES) == set(COSTS)


@pytest.fixture
def may_hold_nan(request):
    """Sides of boxes that say nothing are NaN, at which debug mode stops."""

    def ask(term):
        if term.name == "boxes":
            request.getfixturevalue("nan_allowed")

    return ask


class Uses:
    """A term at one frozen state: its rows, its energy and its twin."""

    def __init__(self, scene, term, device, *, swelling=False):
        self.problem = problem_of(scene, device)
        self.bound = freeze(self.problem, term)
        self.motion = stance_of(self.problem, swelling=swelling)
        self.costs = [cost_of(bound, self.motion) for bound in self.bound]
        self.energy = Energy(self.problem, self.bound)

    def cost(self, stance):
        """The twin's."""
        return sum(cost(stance) for cost in self.costs)

    def slopes(self, move, width):
        """Derivative of the twin's cost by steps (frame, column); what rounding alone leaves is zero."""
        found = finite_difference(lambda s: self.cost(move(s)), np.zeros((self.motion.frames, width)), STEP)
        rounding = 1e-14 * self.cost(self.motion.start) / STEP
        return np.where(np.abs(found) > rounding, found, 0.0)

    def rows(self):
        """Gradient of the normal equations by a frame's own columns (frame, column), the next frame's part included."""
        self.problem.equations.clear()
        for bound in self.bound:
            bound.add(self.problem.system)
        found = self.problem.equations.gradient.numpy()
        total = found[:, 0].copy()
        total[:-1] += found[1:, 1]
        return total[:, : self.motion.width]

    def tape(self):
        """Gradients of the energy by places, by unknowns that they do not carry, and by increments."""
        self.energy.differentiate()
        system, motion = self.problem.gradient_system, self.problem.motion
        found = [system.place_gradients.numpy(), system.unknown_gradients.numpy()[:, : self.motion.width]]
        return *found, np.concatenate([motion.increments[b.name].grad.numpy() for b in motion.estimated], axis=1)


@pytest.mark.parametrize(("scene", "term"), EVERY, ids=NAMES)
def test_rows_and_energy_are_one_residual(device, scenes, may_hold_nan, scene, term):
    """Before the chains the tape's gradient is the twin's slope, behind them it is the rows', and that of the twin."""
    may_hold_nan(term)
    uses = Uses(scenes(scene), term, device)
    places, unknowns, increments = uses.tape()
    name, frames = f"two_uses {term.name} {scene}", uses.motion.frames
    energy = float((uses.energy.rows.numpy() * uses.energy.factors[:, None]).sum())
    np.testing.assert_allclose(energy, uses.cost(uses.motion.start), rtol=1e-3)

    split = 3 * uses.motion.place_count
    free = uses.slopes(uses.motion.free, split + uses.motion.width)
    by_places, by_unknowns = free[:, :split].reshape(frames, -1, 3), free[:, split:]
    compare_gradients(places, by_places, name=f"{name}, places", worst=1e-3, cosine=0.9999)
    compare_columns(unknowns, by_unknowns, f"{name}, unknowns")

    rows = 2.0 * uses.rows()
    numeric = uses.slopes(uses.motion.carried, uses.motion.width)
    compare_columns(increments, rows, f"{name}, increments and rows")
    compare_columns(increments, numeric, f"{name}, increments")
    compare_columns(rows, numeric, f"{name}, rows")


@pytest.mark.parametrize("name", sorted(set(CASES) - {"contour", "image"}))
def test_costs_between_freezes_follow_the_gradient(device, scenes, may_hold_nan, name):
    """With what was frozen held, the energy's own values have the slope that its gradient says, any way one goes.

    Contours and colours are measured where they were frozen: their values follow at the next freeze.
    """
    scene, term = CASES[name][0]
    may_hold_nan(term)
    uses = Uses(scenes(scene), term, device)
    motion, gradient = uses.problem.motion, uses.tape()[2].copy()
    random = np.random.default_rng(0)
    for _ in range(4):
        way = 1e-4 * random.normal(size=gradient.shape)
        costs = []
        for sign in (1.0, -1.0):
            for body in motion.estimated:
                start = uses.problem.equations.starts[body.name]
                increments = motion.increments[body.name]
                increments.assign((sign * way[:, start : start + increments.shape[1]]).astype(np.float32))
            uses.energy.evaluate()
            costs.append(sum(bound.costs.numpy().sum() for bound in uses.bound))
        slope = (gradient * way).sum()
        scale = np.linalg.norm(gradient * way)
        assert costs[0] - costs[1] == pytest.approx(2.0 * slope, rel=0.02, abs=0.02 * scale)


def test_chains_leave_out_how_blend_shapes_swell(nan_allowed, device, scenes):
    """Blend shapes that move vertices by 2 mm: the tape has them, rows lack them, and the joints' columns say so."""
    uses = Uses(scenes("hand"), Boxes(sigma_px=4.0), device, swelling=True)
    increments, rows = uses.tape()[2], 2.0 * uses.rows()
    numeric = uses.slopes(uses.motion.carried, uses.motion.width)
    compare_columns(increments, numeric, "two_uses boxes hand, increments")
    compare_columns(rows[:, :6], numeric[:, :6], "two_uses boxes hand, roots of rows")
    missing = np.linalg.norm(rows[:, 6:] - numeric[:, 6:]) / np.linalg.norm(numeric[:, 6:])
    print(f"rows lack {100.0 * missing:.1f} % of the joints' slopes")
    assert 0.01 < missing < 0.1


@pytest.mark.parametrize("name", CASES)
def test_costs_alone_leave_no_trace(device, scenes, may_hold_nan, name):
    """Evaluated without a tape a term adds to its own row and to nothing else, the same every time."""
    scene, term = CASES[name][0]
    may_hold_nan(term)
    uses = Uses(scenes(scene), term, device)
    problem, equations = uses.problem, uses.problem.equations
    system = problem.gradient_system
    held = [equations.hessian, equations.gradient, system.place_gradients, system.unknown_gradients]
    held += [problem.motion.vertices.grad, *(array.grad for array in problem.motion.increments.values())]
    for array in held:
        array.fill_(POISON)
    rows = wp.full((3, uses.motion.frames), 1.0, dtype=wp.float32, device=device, requires_grad=True)
    for bound in uses.bound:
        bound.evaluate(rows, 1)
    once = rows.numpy().copy()
    assert (once[[0, 2]] == 1.0).all() and once[1].max() > 1.0
    for bound in uses.bound:
        bound.evaluate(rows, 1)
    np.testing.assert_allclose(rows.numpy()[1] - once[1], once[1] - 1.0, rtol=1e-4, atol=1e-5)
    for array in held:
        assert (array.numpy() == POISON).all()
    assert not equations.row_marks.numpy().any()


def compare_columns(found, expected, name):
    """Compare gradients (frame, column) whose columns differ in unit: each in units of its largest."""
    largest = np.abs(expected).max(axis=0)
    scale = np.where(largest > 1e-6 * largest.max(), largest, max(largest.max(), 1e-300))
    compare_gradients(found / scale, expected / scale, name=name, worst=1e-3, cosine=0.9999)
