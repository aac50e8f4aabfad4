"""Refine: noisy poses of a whole sequence become poses that fit the pictures and the physics (the paper's III-D).

The parts run one after another and each is a thin loop over kernels: the closed-form start, Gauss-Newton in
stages, and Adam on the energy of everything that is estimated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from warpprior.checks.first import checked_first, with_findings
from warpprior.finding import Finding
from warpprior.refinement.adam import Adam
from warpprior.refinement.evidence import Evidence, judge_evidence
from warpprior.refinement.gauss_newton import GaussNewton
from warpprior.refinement.guard import Guard
from warpprior.refinement.memory import needs_of, plan_holding, walks_all_at_once
from warpprior.refinement.pace import MODULE_S, PREPARING, part_costs, whole_seconds
from warpprior.refinement.rays import note_depth, read_rays
from warpprior.refinement.shared_notes import shared_notes
from warpprior.refinement.start import start_from_labels
from warpprior.refinement.start_from_detections import start_from_detections
from warpprior.refinement.sureness import SIGMA_MEASURED_BIAS, Sureness, measure_sureness
from warpprior.refinement.symmetry import smooth_unseen_turns
from warpprior.result import Result
from warpprior.scene import Scene, check_is_scene
from warpprior.settings import RefineSettings
from warpprior.support.device import resolve_device
from warpprior.support.errors import InputError
from warpprior.support.kernel_loading import count_uncompiled, load_kernels
from warpprior.support.progress import Course, Progress
from warpprior.support.stored import each_frame, forget
from warpprior.system.allowances import overlap_notes
from warpprior.system.motion import MotionState, frame_paces
from warpprior.system.observed import observe_picture
from warpprior.system.overlap import FEWEST_PIXELS
from warpprior.system.problem import Problem
from warpprior.system.stand_ins import stand_in_notes, with_originals, with_stand_ins
from warpprior.system.unknown_settings import UnknownSettings
from warpprior.terms import ADAM, GAUSS_NEWTON, TERMS, Term, default
from warpprior.terms.given import CHANNEL, is_unseen
from warpprior.terms.penetration import Penetration
from warpprior.terms.term import check_terms
from warpprior.verdicts.judge import judged

ADAM_ITERATIONS = 200
KERNELS = (
    *("camera", "contacts", "distance", "history", "kinematics", "link_motions", "overlap", "quasistatic"),
    *("silhouette", "skinning", "visibility"),
)
KERNELS_OF_HANDS = ("joints", "kept_distance", "link_blocks", "surface_motion", "surface_query")
KERNELS_BESIDE = {"image": ("blur", "light"), "sliding": ("sticking",)}  # that terms launch besides their own
START = "closed-form start"
LEAST_NOTED_BIAS = 0.25  # mask biases smaller than this are not mentioned [px]
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
    evidence = judge_evidence(ready.scene) if settings.leave_out else Evidence(ready.scene)
    run = Run(ready, evidence, *observe(evidence, settings, device, memory), keep)
    if resume_from is not None:
        run.restore(resume_from)
    complete = True
    try:
        run.finish()
    except KeyboardInterrupt:
        complete = False
    return ready.finished(run.result(complete))


def checked_settings(settings: RefineSettings | None, terms: Sequence[Term] | None) -> RefineSettings:
    """Settings as :func:`refine` takes them, with the terms.

    Raises:
        InputError: they are none.
    """
    settings = RefineSettings() if settings is None else settings
    if not isinstance(settings, RefineSettings):
        raise InputError("refine: settings", f"a {type(settings).__name__}", "a warpprior.RefineSettings")
    return settings if terms is None else replace(settings, terms=check_terms(terms))


@dataclass(frozen=True)
class Prepared:
    """A scene that was checked, and whose kernels are there.

    Attributes:
        scene: with stand-ins for bodies of very many faces.
        settings: of the refinement.
        device: Warp device.
        progress: of the refinement itself.
        found: by a check.
    """

    scene: Scene
    settings: RefineSettings
    device: str
    progress: Progress
    found: tuple[Finding, ...]

    def finished(self, result: Result) -> Result:
        """The result with verdicts, what was found, and the bodies that there are."""
        result = judged(with_findings(result, self.found), self.device)
        said = stand_in_notes(result.scene, result.poses)
        return replace(result, scene=with_originals(result.scene), notes=(*result.notes, *said)) if said else result


def prepare(
    scene: Scene, settings: RefineSettings, device: str, *, progress: Progress | None, check_first: bool, strict: bool
) -> Prepared:
    """Check a scene, load kernels, and take stand-ins; arguments and errors as of :func:`refine`."""
    check_is_scene(scene, "refine")
    _check(scene)
    kernels, seconds = _kernels(scene, settings), whole_seconds(scene)
    uncompiled = count_uncompiled(kernels)
    shares = {"compile": MODULE_S * uncompiled, "prepare": PREPARING * seconds, "parts": (1.0 - PREPARING) * seconds}
    course = Course(progress, shares)
    load_kernels(kernels, device, course.part("compile") if uncompiled else None)
    course.part("prepare")(0.0, 1.0, "preparing")
    if all(type(term) in TERMS for term in settings.terms):  # other terms may know vertices by number
        scene = with_stand_ins(scene, settings.stand_in_px)
    found = checked_first(scene, device=device, strict=strict) if check_first else ()
    return Prepared(scene, settings, device, course.part("parts"), found)


def observe(
    evidence: Evidence,
    settings: RefineSettings,
    device: str,
    memory: str | float | None,
    motion: MotionState | None = None,
) -> tuple[Problem, list[str]]:
    """The problem of a scene, and what is to be said of it.

    Args:
        evidence: that is believed.
        settings: of the refinement.
        device: Warp device.
        memory: as of :func:`refine`.
        motion: of the scene, where its arrays are a part of those of several.
    """
    scene = evidence.scene
    if motion is None:
        motion = motion_of(scene, settings, device)
    # Of a known body drawn too large, labels and focal length may both be to blame.
    calibrate = settings.calibrate_masks and not settings.unknowns.estimate_focal
    doubtful = evidence.doubtful_labels
    observed = observe_picture(motion, settings.window_margin, calibrate=calibrate, doubtful=doubtful)
    used = settings.used_by(GAUSS_NEWTON)
    whole = walks_all_at_once(used, descends=adam_iterations(settings) > 0)
    holding, said = plan_holding(needs_of(motion, observed, used), memory, motion.device, whole=whole)
    problem = Problem(motion, observed, unknowns_for(scene, settings), holding)
    notes = [*evidence.notes, *_notes_at_the_start(problem, settings)]
    return problem, [*notes, said] if said else notes


def motion_of(scene: Scene, settings: RefineSettings, device: str) -> MotionState:
    """The motion of a scene as a run needs it."""
    return MotionState(
        scene,
        device,
        point_count=settings.contact_points,
        differentiable=adam_iterations(settings) > 0,
        seed=settings.seed,
    )


def aligns(settings: RefineSettings) -> bool:
    """Whether Gauss-Newton is used."""
    return bool(
        settings.gauss_newton.stages and "gauss_newton" not in settings.without and settings.used_by(GAUSS_NEWTON)
    )


def adam_iterations(settings: RefineSettings) -> int:
    """How long to descend: as asked, else only where Gauss-Newton is off."""
    if "adam" in settings.without or not settings.used_by(ADAM):
        return 0
    asked = settings.adam.iterations
    if asked is None:
        asked = 0 if aligns(settings) else ADAM_ITERATIONS
    limit = settings.iterations
    return asked if limit is None else min(asked, limit)


def _kernels(scene: Scene, settings: RefineSettings) -> list[str]:
    """Modules of kernels that a run launches: what all do, and those of its terms, which bear their names."""
    names = list(KERNELS)
    if not all(body.body.is_rigid for body in scene.bodies):
        names += KERNELS_OF_HANDS
    terms = [term.name for term in _used(settings) if not term.lacks(scene)]
    return names + terms + [kernel for name in terms for kernel in KERNELS_BESIDE.get(name, ())]


def _used(settings: RefineSettings) -> list[Term]:
    """Terms that some solver uses, once each."""
    used = (*settings.used_by(GAUSS_NEWTON), *settings.used_by(ADAM))
    return list({term.name: term for term in used}.values())


def _check(scene: Scene) -> None:
    moving = [body for body in scene.bodies if not body.known]
    if not moving:
        raise InputError(f"scene {scene.name!r}", "every body is known", "at least one body to estimate")
    if scene.labels is None:
        if not (scene.keypoints2d or scene.boxes or CHANNEL in scene.noise):
            accepted = "frames.labels, keypoints.file or noise.poses in scene.toml"
            raise InputError(f"scene {scene.name!r}", "no label images, keypoints or boxes", accepted)
        return
    for body in moving:
        if body.name in scene.keypoints2d or body.name in scene.boxes:
            continue
        largest = max((np.count_nonzero(image == body.label) for image in each_frame(scene.labels)), default=0)
        if largest < FEWEST_PIXELS:
            raise InputError(
                f"scene {scene.name!r}: body {body.name!r}",
                f"label {body.label} covers at most {largest} pixels of a frame",
                f"label images that show it with at least {FEWEST_PIXELS:.0f} pixels in some frame",
            )


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
        self.keep({"done": np.array(self.done), **arrays})

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
                rows[:, 3:7] = smooth_unseen_turns(rows[:, 3:7].astype(np.float64), body.symmetry, times)
                self.motion.assign_transforms({body.name: rows})

    def _align(self, number: int) -> None:
        assert self.gauss_newton is not None, "it has the stage"
        self.record(self.gauss_newton.run(number, self.report))

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
        usual = [term.allowance_m for term in _used(self.settings) if isinstance(term, Penetration)]
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
        poses = self.motion.read()
        for name, covariance in sure.poses.items() if sure else ():
            poses[name] = replace(poses[name], covariance=covariance)
        camera = self.motion.camera
        if camera != self.scene.camera:
            change = f"{self.scene.camera.fx:.1f} px became {camera.fx:.1f} px"
            self.notes.append(f"the focal length of {change}; poses and drawings are for that one.")
        return Result(
            scene=self.scene if camera == self.scene.camera else replace(self.scene, camera=camera),
            poses=poses,
            history=_columns(self.rows),
            settings=self.settings.as_dict(),
            notes=tuple(
                dict.fromkeys(
                    [
                        *self.notes,
                        *self.problem.notes,
                        *self.guard.notes(),
                        *shared_notes(self.problem),
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


def unknowns_for(scene: Scene, settings: RefineSettings) -> UnknownSettings:
    """Which unknowns frames share: shapes that nobody asked for only where depth tells size from distance."""
    unknowns = settings.unknowns
    if unknowns.estimate_shape is None and not _measures_depth(scene, settings):
        return replace(unknowns, estimate_shape=False)
    return unknowns


def _measures_depth(scene: Scene, settings: RefineSettings) -> bool:
    return scene.read_depth is not None and any(term.name == "depth" for term in settings.used_by(GAUSS_NEWTON))


def _notes_at_the_start(problem: Problem, settings: RefineSettings) -> list[str]:
    """What the observations suppose, one sentence each."""
    notes, bias = [], problem.observed.mask_bias
    if not _used(settings):
        notes.append("there is no term with a weight: bodies are where the start has them.")
    if abs(bias) > LEAST_NOTED_BIAS:
        size = f"{abs(bias):.1f} px too {'large' if bias > 0.0 else 'small'}"
        notes.append(f"labels of known bodies are {size} at their borders; all labels are taken to be.")
    usual = default()
    for term in _used(settings):
        lacks = term.lacks(problem.motion.scene)
        if lacks and term not in usual:  # who gives a term, or settings of it, wants it to do something
            notes.append(f"{term.name}: left without a say, for the scene has no {' and no '.join(lacks)}.")
    if settings.unknowns.estimate_focal and not (
        problem.motion.known or _measures_depth(problem.motion.scene, settings)
    ):
        notes.append("neither a known body nor depth shows the focal length; it may be as far off as before.")
    return notes


def _columns(rows: list[dict[str, float]]) -> dict[str, np.ndarray]:
    """Rows of named values as arrays; NaN where a row lacks a column."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
