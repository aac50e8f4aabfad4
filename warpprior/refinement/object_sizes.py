"""The size of an object that has none of its own: where to begin, and what is to be said of what was found.

A body twice as large, twice as far away, looks the same.  Along that line contacts pull only where they are near, so
its sizes are walked through: where what moves is touched, and nothing lies in another, are the places to begin.  While
poses hardly fit yet they are compared as they are, by what hides what and what touches; before contact becomes fine
each is given a few iterations of the whole problem.  The one that costs least is gone on with, and it costs not to be
held from several sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from warpprior.refinement.sureness import known_beforehand
from warpprior.scene import Scene, SceneBody
from warpprior.settings import RefineSettings
from warpprior.support.history import History
from warpprior.system.covariance import Information, diagonals, invert
from warpprior.system.problem import Problem
from warpprior.system.shared_unknowns import size_name
from warpprior.system.stage import Stage
from warpprior.terms.depth import Depth, measured_depths
from warpprior.terms.term import BoundTerm
from warpprior.terms.touch import Touch, moving_frames

if TYPE_CHECKING:
    from warpprior.refinement.gauss_newton import GaussNewton

STEP = 0.02  # of the logarithm of sizes that are walked through: a centimetre at half a metre
APART = 0.08  # sizes nearer to each other than this settle to one
MOST_TRIED = 5
GRIP = 0.1  # of all that there is to explain: so much a size costs at which the body is held from one side only
HOLD_M, HOLD_SOFTNESS_M = 0.012, 0.004  # from where on skin holds, for poses are rough [m]
LEAST_HOLD = 0.1  # share of the surface of what touches, much less than which hardly holds
SETTLING = 6  # iterations of the whole problem that a size is given
TOLD = 0.5  # sigmas that are smaller than this share of the prior's tell the size
SPEAKS = 0.01  # share of what is known beforehand, below which a term says nothing but rounding
TELLS = 0.9  # of the sigma beforehand, less than which it is by a term that is named
RIVAL = 0.05  # share of the least cost, by less than which sizes cannot well be told from each other


def with_depth_used(scene: Scene, settings: RefineSettings) -> RefineSettings:
    """Settings that compare measured depth where a size is to be found from it, unless that was said otherwise."""
    if scene.read_depth is None or all(body.size is None for body in scene.bodies):
        return settings
    terms = [replace(term, weight=1.0) if term == Depth() else term for term in settings.terms]
    return replace(settings, terms=tuple(terms))


@dataclass
class _Place:
    """Where everything is: base poses of bodies, and what frames share."""

    transforms: dict[str, np.ndarray]
    shared: np.ndarray

    @classmethod
    def of(cls, problem: Problem) -> _Place:
        return cls(problem.motion.read_transforms(), problem.shared.values)

    def go(self, problem: Problem) -> None:
        """Put everything there."""
        problem.shared.assign(self.shared)
        problem.motion.assign_transforms(self.transforms)

    def grown(self, problem: Problem, body: SceneBody, log_factor: float) -> _Place:
        """The same with a body as much larger, and farther away, as the logarithm of a factor says."""
        shared, transforms = self.shared.copy(), dict(self.transforms)
        shared[problem.shared.sizes[body.name]] += log_factor
        rows = transforms[body.name].copy()
        rows[:, :3] *= np.float32(np.exp(log_factor))
        return _Place(shared=shared, transforms={**transforms, body.name: rows})


def seed_sizes(solver: GaussNewton, stage: Stage) -> list[str]:
    """Begin with the size of each body that costs least; returns what is to be said of it, one sentence each.

    Args:
        solver: of the whole problem; its motion is put there.
        stage: that comes next.
    """
    problem = solver.problem
    # Contact is to be told from overlap here, however coarse what comes next may be.
    looks = replace(stage, contact_distance_m=0.015, contact_softness_m=0.004, penetration_share=1.0, rests=False)
    notes = []
    for body in problem.motion.estimated:
        if body.size is not None:
            notes += _seed(solver, body, looks, settle=stage.rests)
    return notes


def _seed(solver: GaussNewton, body: SceneBody, stage: Stage, *, settle: bool) -> list[str]:
    problem = solver.problem
    problem.refresh_backdrop()
    problem.enter(stage)
    for term in solver.terms:
        term.enter(stage)
    before = _Place.of(problem)
    grip = GRIP * _cost(solver, tied=settle)
    steps = _candidates(solver, body, before, grip)
    tried: list[tuple[float, _Place]] = []
    for step in steps:
        before.grown(problem, body, step).go(problem)
        cost = _settled_cost(solver) if settle else _cost(solver, tied=False)
        cost += grip * _one_sidedness(solver.problem, body)
        if np.isfinite(cost):
            tried.append((cost, _Place.of(problem)))
        before.go(problem)
    if not tried:
        return []
    tried.sort(key=lambda each: each[0])
    cost, best = tried[0]
    best.go(problem)
    if not settle:  # it is asked again
        return []
    place = problem.shared.sizes[body.name]
    found = best.shared[place]
    rivals = [
        (other.shared[place], more - cost)
        for more, other in tried[1:]
        if more < (1.0 + RIVAL) * cost and abs(other.shared[place] - found) > APART
    ]
    return [
        f"{body.name}: a size of {np.exp(size):.2f} explains nearly as much as {np.exp(found):.2f} (costs {more:.0f} "
        f"more than {cost:.0f})."
        for size, more in rivals[:1]
    ]


def _candidates(solver: GaussNewton, body: SceneBody, before: _Place, grip: float) -> list[float]:
    """Steps of the logarithm of the size that are worth a try, the one that leaves it among them."""
    problem = solver.problem
    assert body.size is not None, "its size is estimated"
    least, most = body.size.limits
    now = before.shared[problem.shared.sizes[body.name]]
    steps = np.arange(np.ceil((least - now) / STEP), np.floor((most - now) / STEP) + 1.0) * STEP
    costs = ((now + steps) / body.size.sigma) ** 2
    near = [term for term in solver.terms if term.body.name == body.name and term.name in ("touch", "penetration")]
    contacts = problem.contacts(body)
    for number, step in enumerate(steps):
        before.grown(problem, body, step).go(problem)
        contacts.update()
        problem.add_rows(near, problem.costs_system, alone=body.name)
        costs[number] += sum(float(term.costs.numpy().sum()) for term in near)
        costs[number] += grip * _one_sidedness(problem, body)
    before.go(problem)
    ends = np.concatenate([[np.inf], costs, [np.inf]])
    low = np.flatnonzero((costs <= ends[:-2]) & (costs <= ends[2:]))
    chosen = [0.0, *_depth_steps(problem, body)]
    for step in steps[low[np.argsort(costs[low], kind="stable")]]:
        if len(chosen) < MOST_TRIED and all(abs(step - other) > APART for other in chosen):
            chosen.append(float(step))
    return chosen


def _one_sidedness(problem: Problem, body: SceneBody) -> float:
    """How far what touches a body that moves does so from one side: 0 where normals balance, 1 where they all agree.

    What is carried is held from several sides, or it would fall; a body in front of a hand, or behind it, touches that
    on one.  The square of the mean normal of what touches, in the middle one of the frames in which the body moves; the
    less touches, the nearer to 1.
    """
    moving = moving_frames(problem.motion, body, Touch.speed_lengths_s)
    pairs = problem.contacts(body).pairs
    if not pairs or not moving.any():
        return 0.0
    weights, normals = [], []
    for pair in pairs.values():
        samples, areas = pair.contacts.samples.numpy()[moving].astype(np.float64), pair.contacts.areas.numpy()
        # What lies deep inside holds nothing.
        apart = np.clip((np.abs(samples[..., 3]) - HOLD_M) / HOLD_SOFTNESS_M, -30.0, 30.0)
        weights.append(areas / (1.0 + np.exp(apart)))
        normals.append(samples[..., :3] / np.maximum(np.linalg.norm(samples[..., :3], axis=2, keepdims=True), 1e-9))
    weight, normal = np.concatenate(weights, axis=1), np.concatenate(normals, axis=1)
    mean = np.linalg.norm(np.einsum("fp,fpx->fx", weight, normal), axis=1) + LEAST_HOLD
    return float(np.median((mean / (weight.sum(axis=1) + LEAST_HOLD)) ** 2))


def _depth_steps(problem: Problem, body: SceneBody) -> list[float]:
    """How much farther away measured depth has the body than it is now, as a step of the logarithm."""
    if problem.motion.scene.read_depth is None or problem.observed.labels is None:
        return []
    _, depths = measured_depths(body, problem)
    drawn = problem.motion.points[body.name].numpy()[..., 2]
    ratios = [
        np.median(image[image > 0.0])
        / np.quantile(points, 0.25)  # about half of what is seen is nearer than its middle
        for image, points in zip(depths, drawn, strict=True)
        if np.any(image > 0.0) and np.all(points > 0.0)
    ]
    return [float(np.log(np.median(ratios)))] if ratios else []


def _settled_cost(solver: GaussNewton) -> float:
    """What everything costs after a few iterations from where it is."""
    problem = solver.problem
    history = History(solver.names, SETTLING, problem.motion.device)
    problem.drawings.renew()
    for _ in range(SETTLING):
        solver.linearise(history)
        solver.solve()
        solver.advance()
    return _cost(solver, tied=True)


def _cost(solver: GaussNewton, *, tied: bool) -> float:
    """What everything costs where it is; else without what ties frames together, which comes with contact."""
    problem, shared = solver.problem, solver.problem.shared
    problem.drawings.renew()
    problem.refresh(chains=False)
    terms = [term for term in solver.terms if tied or not term.ties_frames]
    problem.add_rows(terms, problem.costs_system)
    likely = float(np.sum(shared.prior.weight.numpy()[0] * (shared.values - shared.first) ** 2))
    return sum(float(term.costs.numpy().sum()) for term in terms) + likely


def size_notes(problem: Problem, terms: Sequence[BoundTerm]) -> list[str]:
    """What was found of each size, how sure it is, and what told it, one sentence a body; terms are as last entered."""
    if not problem.shared.sizes:
        return []
    told = _alone(problem, terms)
    notes = []
    for body in problem.motion.estimated:
        if body.size is None:
            continue
        place = problem.shared.sizes[body.name]
        value, sigma = float(problem.shared.values[place]), float(problem.shared.sigmas[place])
        found = told[body.name]
        named = ", ".join(f"{name} (alone +- {_share(alone)})" for name, alone in found)
        size = f"{np.exp(value):.3f} times the size of its mesh"
        unsure = f"+- {_share(sigma)} (+- {_share(body.size.sigma)} beforehand)"
        if not np.isfinite(sigma):
            notes.append(f"{body.name}: it is {size}; how sure that is was not worked out.")
        elif sigma < TOLD * body.size.sigma:
            notes.append(f"{body.name}: it is {size}, {unsure}, as told by {named or 'several terms together'}.")
        else:
            why = f"all that says something of it is {named}" if named else "no contact, depth or other body shows it"
            notes.append(
                f"{body.name}: its size cannot be told, and stays near what was given: {size}, {unsure}; {why}, and "
                "pictures do not tell size from distance: its depth is as unsure."
            )
    return notes


def _share(sigma: float) -> str:
    """A sigma of a logarithm in words."""
    return f"{100.0 * sigma:.1f} %"


def _alone(problem: Problem, terms: Sequence[BoundTerm]) -> dict[str, list[tuple[str, float]]]:
    """Terms that tell each size, and its sigma by each alone, beside pictures: {body: [(term, sigma)]}, least first."""
    problem.refresh()
    equations, width = problem.equations, problem.equations.width
    informations: dict[str, list[Information]] = {}
    speak: set[str] = set()
    columns = [equations.shared[size_name(name)] for name in problem.shared.sizes]
    least = SPEAKS * problem.shared.prior.weight.numpy()[0][[column - width for column in columns]]
    for term in terms:
        equations.clear()
        problem.add_rows([term], problem.system)
        hessian = equations.hessian.numpy()
        if not hessian.any():
            continue
        informations.setdefault(term.name, []).append(Information.read(hessian))
        if np.any(diagonals(hessian).sum(axis=0)[columns] > least):
            speak.add(term.name)
    floor = known_beforehand(problem, equations, 1.0)

    def sigmas(heard: str) -> np.ndarray:
        told = [
            (1.0, each) for name, found in informations.items() if name not in speak or name == heard for each in found
        ]
        found = invert(told, width, floor).shared.diagonal()
        return np.sqrt(np.maximum([found[column - width] for column in columns], 0.0))

    named: dict[str, list[tuple[str, float]]] = {name: [] for name in problem.shared.sizes}
    try:
        alone = {name: sigmas(name) for name in informations if name in speak}
    except np.linalg.LinAlgError:
        return named
    for place, name in enumerate(named):
        beforehand = problem.motion.scene.body(name).size
        assert beforehand is not None, "it is estimated"
        found = [(term, float(each[place])) for term, each in alone.items()]
        named[name] = sorted((each for each in found if each[1] < TELLS * beforehand.sigma), key=lambda each: each[1])
    return named
