"""Refine: noisy poses of a whole sequence become poses that fit the pictures and the physics (the paper's III-D).

The parts run one after another and each is a thin loop over kernels: the closed-form start, Gauss-Newton in
stages, and Adam on the energy of everything that is estimated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from warpprior.refinement.adam import Adam
from warpprior.refinement.camera_course import (
    begin_camera,
    camera_notes,
    kept_camera,
    restore_camera,
    scene_with_camera,
)
from warpprior.refinement.evidence import Evidence
from warpprior.refinement.gauss_newton import GaussNewton
from warpprior.refinement.guard import Guard
from warpprior.refinement.object_sizes import size_notes
from warpprior.refinement.pace import part_costs
from warpprior.refinement.preparing import (
    Prepared,
    adam_iterations,
    aligns,
    checked_settings,
    observe,
    prepare,
    used_terms,
)
from warpprior.refinement.rays import note_depth, read_rays
from warpprior.refinement.shared_notes import shared_notes
from warpprior.refinement.start import start_from_labels
from warpprior.refinement.start_from_detections import start_from_detections
from warpprior.refinement.sureness import SIGMA_MEASURED_BIAS, Sureness, measure_sureness
from warpprior.refinement.symmetry import smooth_unseen_turns
from warpprior.result import Result
from warpprior.scene import Scene
from warpprior.settings import RefineSettings
from warpprior.support.device import resolve_device
from warpprior.support.memory import give_back
from warpprior.support.progress import Course, Progress
from warpprior.support.stored import forget
from warpprior.system.allowances import overlap_notes
from warpprior.system.motion import frame_paces
from warpprior.system.problem import Problem
from warpprior.terms import GAUSS_NEWTON, Term
from warpprior.terms.given import is_unseen
from warpprior.terms.penetration import Penetration

START = "closed-form start"
HARDLY_MET = 0.1  # overlap of a drawing and its label at the start, below which it is noted

Keep = Callable[[dict[str, np.ndarray]], None]


def refine(
    scene: Scene,
    settings: RefineSettings | None = None,
    *,
    terms: Sequence[Term] | None = None,
    device: str | None = None,
    progress: Progress | None = None,
    keep: Keep | None = None,
    resume_from: dict[str, np.ndarray] | None = None,
    check_first: bool = True,
    strict: bool = False,
    memory: str | float | None = None,
) -> Result:
    """Refine the motion of every body of a scene that is not marked known.

    Args:
        scene: camera, bodies and observations; see :class:`warpprior.Scene`.
        settings: defaults work.
        terms: what makes the motion right, instead of the settings' own: those of :func:`warpprior.terms.default` and
            any of your own, which ``settings.without`` may name, and the history does.
        device: ``cpu``, ``cuda``, ``cuda:1``; None takes a GPU if there is one.
        progress: called with how much is done, how much there is in all, and what is being done.
        keep: called after each part with arrays from which ``resume_from`` continues.
        resume_from: arrays that ``keep`` was given; the run goes on after the part they close, to the same bits.
        check_first: find out whether the data is what it is taken for, briefly; see :func:`warpprior.check`.  What is
            found is in ``Result.findings``, and errors and warnings in its notes.
        strict: an error that is found ends the run before it begins.
        memory: what the process may have on a CPU, or the run on a GPU: ``4GiB``, or bytes; None: most of what is free.
            Of long or large sequences fewer frames are drawn at a time; the result is the same.

    Returns:
        The refined motion.  After Ctrl-C it is the best so far, with ``complete=False``.

    Raises:
        InputError: nothing to estimate, or nothing to estimate it from; or, if strict, data that is not what it is
            taken for; or more memory than ``memory`` would be needed.
    """
    device, settings = resolve_device(device), checked_settings(settings, terms)
    ready = prepare(scene, settings, device, progress=progress, check_first=check_first, strict=strict)
    evidence = ready.evidence()
    run = Run(ready, evidence, *observe(evidence, ready.settings, device, memory), keep)
    if resume_from is not None:
        run.restore(resume_from)
    complete = True
    try:
        run.finish()
    except KeyboardInterrupt:
        complete = False
    result = run.result(complete)
    del run  # what it held is wanted for what follows
    give_back()
    return ready.finished(result)


class Run:
    """One run: the state, the parts still to do, and what was learnt on the way.

    Args:
        ready: the scene, and what is wanted of it.
        evidence: that is believed of it.
        problem: of that; terms are bound to it here.
        notes: what is to be said of it.
        keep: as of :func:`refine`.
    """

    def __init__(self, ready: Prepared, evidence: Evidence, problem: Problem, notes: list[str], keep: Keep | None):
        self.scene, self.settings, self.keep = ready.scene, ready.settings, keep
        self.evidence, self.problem, self.motion = evidence, problem, problem.motion
        self.notes, settings = list(notes), ready.settings
        self.rows: list[dict[str, float]] = []
        self.parts: list[_Part] = []
        if settings.start_passes and "start" not in settings.without:
            self.parts.append(_Part(START, Run._start))
        self.gauss_newton = None
        if aligns(settings):
            begin_camera(self.problem, settings.used_by(GAUSS_NEWTON))
            self.gauss_newton = GaussNewton(self.problem, settings)
            for number, stage in enumerate(self.gauss_newton.stages):
                name = f"Gauss-Newton, stage {number + 1} ({stage.name})"
                self.parts.append(_Part(name, lambda run, number=number: run._align(number), number))
        self.guard = Guard(self.problem)
        for images in (self.scene.labels, evidence.scene.labels, problem.observed.labels):
            if images is not None:
                forget(images)
        iterations = adam_iterations(settings)
        if iterations:
            self.parts.append(_Part("Adam", lambda run: run._descend(iterations)))
        stages = [] if self.gauss_newton is None else self.gauss_newton.stages
        starts = bool(self.parts) and self.parts[0].name == START
        costs = part_costs(self.scene, settings, start=starts, stages=stages, descent=iterations)
        self.progress, names = ready.progress, [part.name for part in self.parts]
        self.course = Course(ready.progress, dict(zip(names, costs, strict=True)))
        self.done = 0

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Continue from what :meth:`_keep` handed out."""
        self.done = int(arrays["done"])
        self.problem.shared.restore({name: arrays[name] for name in ("shared", "held", "sigmas")})
        restore_camera(self.problem, arrays)
        self.motion.assign_transforms({k[5:]: v for k, v in arrays.items() if k.startswith("base/")})
        self.guard.restore({k[5:]: v for k, v in arrays.items() if k.startswith("best/")})
        self.notes = [str(note) for note in arrays["notes"]]
        columns = [key[4:] for key in arrays if key.startswith("row/")]
        count = len(arrays[f"row/{columns[0]}"]) if columns else 0
        self.rows = [{c: float(arrays[f"row/{c}"][i]) for c in columns} for i in range(count)]

    def finish(self) -> None:
        """Do the parts that are left."""
        while self.done < len(self.parts):
            self.report(0.0)
            try:
                self.parts[self.done].do(self)
            except KeyboardInterrupt:
                self.check()  # half a part may be worse than none
                raise
            self.close()
        self.progress(1.0, 1.0, "done")

    def close(self) -> None:
        """End the part whose turn it is."""
        self.check()
        self.done += 1
        self._keep()

    def check(self) -> None:
        """Put bodies back that the part led away from their labels, or made infinite."""
        self.notes += self.guard.check(self.parts[self.done].name, undo=self.settings.guard)

    def _keep(self) -> None:
        if self.keep is None:
            return
        arrays = {f"base/{name}": values for name, values in self.motion.read_transforms().items()}
        arrays.update({f"best/{name}": values for name, values in self.guard.arrays().items()})
        arrays.update({**self.problem.shared.arrays(), "notes": np.array(self.notes, dtype=np.str_)})
        arrays.update({f"row/{column}": values for column, values in _columns(self.rows).items()})
        self.keep({"done": np.array(self.done), **arrays, **kept_camera(self.problem)})

    def _start(self) -> None:
        self._smooth_unseen_turns()
        for body in self.motion.estimated:
            passes = self.settings.start_passes
            _, before = read_rays(body, self.motion)
            if start_from_detections(body, self.motion, passes=passes):
                self.notes += note_depth(body, self.motion, before)
                continue
            if is_unseen(self.scene, body):
                self.notes.append(f"{body.name}: nothing shows it; its given poses are held, and contact mends them.")
                continue
            if self.scene.labels is None:
                self.notes.append(f"{body.name}: nothing shows it; only what it touches says where it is.")
                continue
            overlap = start_from_labels(body, self.problem, passes=passes)
            self.notes += note_depth(body, self.motion, before)
            if overlap < HARDLY_MET:
                self.notes.append(f"{body.name}: its drawing hardly met its label at the start (IoU {overlap:.2f}).")

    def _smooth_unseen_turns(self) -> None:
        """Take the noise out of the turns that no picture shows, lest contact drag it along."""
        times = np.cumsum(1.0 / frame_paces(self.scene)) / self.scene.fps
        transforms = self.motion.read_transforms()
        for body in self.motion.estimated:
            if body.symmetry != "none":
                rows = transforms[body.name]
                rows[:, 3:7] = self._smoothed(rows[:, :7].astype(np.float64), body.symmetry, times)
                self.motion.assign_transforms({body.name: rows})

    def _smoothed(self, poses: np.ndarray, symmetry: str, times: np.ndarray) -> np.ndarray:
        """Rotations of poses (frame, 7) whose unseen turns go slowly, in the world."""
        world = self.motion.world
        if world is None:
            return smooth_unseen_turns(poses[:, 3:], symmetry, times)
        path = world.now()
        place, turned = path.moved(poses[:, :3], poses[:, 3:])
        return path.seen(place, smooth_unseen_turns(turned, symmetry, times))[1]

    def _align(self, number: int) -> None:
        assert self.gauss_newton is not None, "it has the stage"
        self.record(self.gauss_newton.run(number, self.report))
        self.notes = [*dict.fromkeys([*self.notes, *self.gauss_newton.notes])]

    def _descend(self, iterations: int) -> None:
        descent = Adam(self.problem, self.settings)
        self.record(descent.run(iterations, lambda done: self.report(done / iterations)))
        self.notes += self.problem.notes
        if descent.skipped:
            self.notes.append(f"{descent.skipped} steps were left out, for their gradients were not finite.")

    def record(self, rows: list[dict[str, float]]) -> None:
        """Add a part's rows to the history, and say whose costs were no numbers."""
        self.rows += rows
        part = self.parts[self.done].name
        counts = Counter(name for row in rows for name, value in row.items() if not np.isfinite(value))
        for name, count in counts.items():
            self.notes.append(f"{name}: its cost was not finite in {count} of {len(rows)} iterations of {part}.")

    def report(self, share: float) -> None:
        """Say how much of the part is done whose turn it is."""
        name = self.parts[self.done].name
        self.course.part(name)(share, 1.0, name)

    def _overlap_notes(self) -> list[str]:
        """Which bodies contact was allowed to have deeper in one another than usual."""
        shared = self.problem.shared
        found = {name: float(shared.values[shared.names.index(name)]) for name in shared.overlaps}
        usual = [term.allowance_m for term in used_terms(self.settings) if isinstance(term, Penetration)]
        return overlap_notes(found, usual[0]) if usual else []

    def _sureness(self) -> Sureness | None:
        """How sure the motion is, as the terms of Gauss-Newton see it."""
        solver = self.gauss_newton
        if solver is None or not solver.stages or not self.settings.covariance.stated:
            return None
        bias = SIGMA_MEASURED_BIAS if self.problem.observed.mask_bias else self.settings.unknowns.sigma_mask_bias_px
        self.problem.prepare_for(self.settings.used_by(GAUSS_NEWTON))
        try:
            found = measure_sureness(self.problem, solver.terms, solver.stages[-1], self.settings.covariance, bias)
        except np.linalg.LinAlgError:
            self.notes.append("how sure the result is cannot be told: its residuals are no numbers.")
            return None
        self.problem.shared.state(found.shared)
        return found

    def result(self, complete: bool) -> Result:
        """The motion as it is now."""
        self.motion.hold_finite()
        sure = self._sureness() if complete else None
        sizes = size_notes(self.problem, self.gauss_newton.terms if self.gauss_newton else ())
        poses = self.motion.read()
        for name, covariance in sure.poses.items() if sure else ():
            poses[name] = replace(poses[name], covariance=covariance)
        camera = self.motion.camera
        if camera != self.scene.camera:
            change = f"{self.scene.camera.fx:.1f} px became {camera.fx:.1f} px"
            self.notes.append(f"the focal length of {change}; poses and drawings are for that one.")
        scene = self.scene if camera == self.scene.camera else replace(self.scene, camera=camera)
        scene = scene_with_camera(scene, self.problem, sure.camera if sure else None)
        return Result(
            scene=scene,
            poses=poses,
            history=_columns(self.rows),
            settings=self.settings.as_dict(),
            notes=tuple(
                dict.fromkeys(
                    [
                        *self.notes,
                        *camera_notes(self.scene, scene),
                        *self.problem.notes,
                        *self.guard.notes(),
                        *shared_notes(self.problem),
                        *sizes,
                        *self._overlap_notes(),
                        *(sure.notes if sure else ()),
                    ]
                )
            ),
            complete=complete,
            left_out=self.evidence.left_out,
            shared=self.problem.shared.found(),
            residuals=sure.residuals if sure else {},
        )


@dataclass(frozen=True)
class _Part:
    """A part of a run.

    It is given the run when it is its turn: if it held it, nothing of a finished run could be freed.

    Attributes:
        name: for people.
        do: does it.
        stage: its number, if it is one of Gauss-Newton.
    """

    name: str
    do: Callable[[Run], None]
    stage: int | None = None


def _columns(rows: list[dict[str, float]]) -> dict[str, np.ndarray]:
    """Rows of named values as arrays; NaN where a row lacks a column."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
