"""Contact refinement (the paper's IV-D): a grasp is moved until it touches as a map of contact has it.

Each frame is a grasp by itself.  All its starts are frames of one problem: they take the same launches, and share
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from warpprior.bodies.contact_map import ContactMap, TouchingPoints
from warpprior.contacts.settings import ContactSettings
from warpprior.contacts.starts import brought_together, spread
from warpprior.refinement.steps import BodySteps
from warpprior.result import Result
from warpprior.scene import Poses, Scene, check_is_scene
from warpprior.support.device import resolve_device
from warpprior.support.errors import InputError
from warpprior.support.progress import Progress
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.problem import Problem
from warpprior.system.solver import make_solver
from warpprior.system.stage import Stage
from warpprior.system.unknown_settings import UnknownSettings
from warpprior.terms import ContactMaps, Term
from warpprior.terms.contact_map import BoundBentMap
from warpprior.terms.term import bind_terms

DEPTH_LENGTHS = 4.0  # scenes are looked at from so many lengths of their bodies away
FRAMES_AT_ONCE = 512  # starts in memory together

Wanted = ContactMap | TouchingPoints


def refine_contact(
    scene: Scene,
    maps: Sequence[Wanted] = (),
    *,
    move: Sequence[str] | None = None,
    settings: ContactSettings | None = None,
    device: str | None = None,
    progress: Progress | None = None,
) -> Result:
    """Move grasps until they touch as maps of contact have it; each frame by itself.

    Args:
        scene: bodies, and where they are at first; its pictures are not looked at.
        maps: what is wanted; none: those of the scene.
        move: names of the bodies that move; None: those that bend and are not known, or, where there are none, those
            that are not known.
        settings: defaults work.
        device: ``cpu``, ``cuda``, ``cuda:1``; None takes a GPU if there is one.
        progress: called with how much is done, how much there is in all, and what is being done.

    Returns:
        Poses of all bodies, ``residuals["contact"]``: the energy of each frame at the start and in the end
        (frame,), and what was not used in ``notes``.

    Raises:
        InputError: no map, or one that does not fit the scene; nothing to move, or no such body.
    """
    check_is_scene(scene, "refine_contact")
    device, settings = resolve_device(device), settings or ContactSettings()
    maps = tuple(maps) or scene.contact_maps
    if not maps:
        accepted = "maps, or a scene that has some (contact_maps in scene.toml)"
        raise InputError(f"scene {scene.name!r}: contact maps", "none", accepted)
    moved = _moving(scene, move)
    shift = _in_front(scene)
    bare = _bare(scene, maps, moved, shift)
    notes: list[str] = []
    found: list[dict[str, Poses]] = []
    costs: list[np.ndarray] = []
    most = max(1, FRAMES_AT_ONCE // settings.restarts)
    for first in range(0, scene.frame_count, most):
        part = _frames(bare, np.arange(first, min(first + most, scene.frame_count)))
        poses, energies, said = _refined(part, settings, device, settings.seed + first)
        found.append(poses)
        costs.append(energies)
        notes += [note for note in said if note not in notes]
        if progress is not None:
            progress(min(first + most, scene.frame_count), scene.frame_count, "meeting maps of contact")
    poses = {body.name: body.initial for body in scene.bodies}
    for name in moved:
        poses[name] = _joined([part[name] for part in found], scene.body(name).initial, shift)
    before, after = np.concatenate(costs, axis=1)
    worse = int(np.count_nonzero(after >= before))
    if worse:
        notes.append(f"in {worse} of {scene.frame_count} frames nothing was better than the start, which is kept.")
    return Result(
        replace(scene, contact_maps=maps),
        poses,
        {},
        settings=settings.describe(),
        notes=tuple(notes),
        residuals={"contact": {"before": before, "after": after}},
    )


def _moving(scene: Scene, move: Sequence[str] | None) -> list[str]:
    """Names of the bodies that move."""
    names = [body.name for body in scene.bodies]
    if move is not None:
        for name in move:
            if name not in names:
                raise InputError("contact: move", f"there is no body {name!r}", f"some of {', '.join(names)}")
            if scene.body(name).body.animation is not None:
                raise InputError("contact: move", f"{name!r} is an animation", "bodies with poses")
        if not move:
            raise InputError("contact: move", "no body", f"some of {', '.join(names)}")
        return list(move)
    free = [body for body in scene.bodies if not body.known]
    chosen = [body.name for body in free if not body.body.is_rigid] or [body.name for body in free]
    if not chosen:
        raise InputError(f"scene {scene.name!r}", "every body is known", "say which are to move (move, --move)")
    return chosen


def _in_front(scene: Scene) -> np.ndarray:
    """By how much to shift each frame to have its bodies well in front of the camera (frame, 3) [m].

    Contact says nothing of the camera, and poses may be in whatever frame they come in.
    """
    extents = [float(body.initial.scale * np.ptp(body.body.vertices, axis=0).max()) for body in scene.bodies]
    middle = np.mean([body.initial.position for body in scene.bodies], axis=0)
    return np.array([0.0, 0.0, DEPTH_LENGTHS * max(extents)]) - middle


def _bare(scene: Scene, maps: Sequence[Wanted], moved: Sequence[str], shift: np.ndarray) -> Scene:
    """Bodies and maps alone, shifted."""
    bodies = []
    for body in scene.bodies:
        initial = replace(body.initial, position=body.initial.position + shift, covariance=None, imputed=None)
        bodies.append(replace(body, known=body.name not in moved, initial=initial, truth=None, size=None))
    return Scene(scene.name, scene.camera, scene.fps, tuple(bodies), contact_maps=tuple(maps))


def _frames(scene: Scene, chosen: np.ndarray) -> Scene:
    """The scene at some frames, which may be the same ones again."""
    bodies = tuple(replace(body, initial=body.initial.frames(chosen)) for body in scene.bodies)
    return replace(scene, bodies=bodies, contact_maps=tuple(wanted.frames(chosen) for wanted in scene.contact_maps))


def _refined(
    scene: Scene, settings: ContactSettings, device: str, seed: int
) -> tuple[dict[str, Poses], np.ndarray, list[str]]:
    """Poses of all bodies, energies at the start and in the end (2, frame), and notes, of some grasps."""
    frames, random = scene.frame_count, np.random.default_rng(seed)
    every = _frames(scene, np.tile(np.arange(frames), settings.restarts))
    every = replace(every, bodies=tuple(spread(body, frames, settings, random) for body in every.bodies))
    if settings.restarts > 1:
        every = brought_together(every, np.arange(every.frame_count) >= frames, device)
    coarse, fine = settings.stages[:1], settings.stages[1:] or settings.stages
    last = settings.stages[-1]
    finalists = min(settings.finalists, settings.restarts)
    if settings.restarts > finalists:
        search = Search(every, _with_places(settings.terms, settings.coarse_places), settings.damping, device)
        costs = search.run(coarse, judged_by=coarse[-1]).reshape(settings.restarts, frames)
        best = np.argsort(costs, axis=0, kind="stable")[:finalists]  # (finalist, frame)
        chosen = (best * frames + np.arange(frames)).ravel()
        start = _frames(every.with_poses(search.motion.read()), chosen)
    else:
        start, fine = every, settings.stages
    # The start as it is competes, too: nothing ends worse than it began.
    given = Search(scene, settings.terms, settings.damping, device)
    before = given.costs(last)
    for term in given.terms:
        if isinstance(term, BoundBentMap):
            term.note_far()
    search = Search(start, settings.terms, settings.damping, device)
    after = search.run(fine, judged_by=last).reshape(-1, frames)
    winner = np.argmin(after, axis=0)
    reached = after[winner, np.arange(frames)]
    better = reached < before
    poses = {}
    arrived, stayed = search.motion.read(), given.motion.read()
    for body in scene.bodies:
        pick = winner * frames + np.arange(frames)
        went, was = arrived[body.name].frames(pick), stayed[body.name]
        poses[body.name] = replace(
            went,
            position=np.where(better[:, None], went.position, was.position),
            rotation=np.where(better[:, None], went.rotation, was.rotation),
            joints=np.where(better[:, None], went.joints, was.joints),
        )
    notes = list(dict.fromkeys([*given.problem.notes, *search.problem.notes]))
    return poses, np.stack([before, np.minimum(reached, before)]), notes


class Search:
    """Grasps that settle side by side, each frame by itself.

    Args:
        scene: with a frame for each.
        terms: those that tie frames together are left out.
        damping: relative Levenberg damping.
        device: Warp device.
    """

    def __init__(self, scene: Scene, terms: Sequence[Term], damping: float, device: str):
        self.motion = MotionState(scene, device)
        observed = observe_picture(self.motion, 0.25, calibrate=False)
        self.problem = Problem(self.motion, observed, UnknownSettings(estimate_shape=False))
        self.problem.prepare_for(terms)
        self.terms = [term for term in bind_terms(terms, self.problem) if not term.ties_frames]
        equations = self.problem.equations
        self._bodies = [BodySteps(body, self.problem) for body in self.motion.estimated]
        floor = np.concatenate([steps.floor for steps in self._bodies])
        self._solver = make_solver(equations, slice(0, equations.width), damping, floor, tied=False)

    def costs(self, stage: Stage) -> np.ndarray:
        """Energy of each frame where it is now (frame,)."""
        self._enter(stage)
        self.problem.refresh()
        self.problem.add_rows(self.terms, self.problem.costs_system)
        return np.sum([term.costs.numpy() for term in self.terms], axis=0)

    def run(self, stages: Sequence[Stage], *, judged_by: Stage) -> np.ndarray:
        """Take the steps of some stages; returns the energy of each frame in the end (frame,)."""
        for stage in stages:
            self._enter(stage)
            for _ in range(stage.iterations):
                self.problem.equations.clear()
                self.problem.refresh()
                self.problem.add_rows(self.terms, self.problem.system)
                self._solver.solve()
                for steps in self._bodies:
                    steps.take(self._solver.steps, steps.columns.start)
                self.motion.pose()
                self.motion.settle()
        return self.costs(judged_by)

    def _enter(self, stage: Stage) -> None:
        self.problem.enter(stage)
        for term in self.terms:
            term.enter(stage)


def _with_places(terms: Sequence[Term], places: int) -> tuple[Term, ...]:
    """The same with fewer places of each map."""
    return tuple(
        replace(term, places=min(places, term.places)) if isinstance(term, ContactMaps) else term for term in terms
    )


def _joined(parts: Sequence[Poses], initial: Poses, shift: np.ndarray) -> Poses:
    """Poses of all frames, where the camera had them before."""
    fields: dict[str, np.ndarray] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in ("position", "rotation", "joints")
    }
    position = fields.pop("position") - shift
    return replace(initial, position=position, **fields, covariance=None)
