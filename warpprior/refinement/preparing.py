"""From a scene to the problem that a refinement solves: what is checked, loaded and looked at before its first part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from warpprior.checks.first import checked_first, with_findings
from warpprior.finding import Finding
from warpprior.refinement.camera_course import chosen_camera
from warpprior.refinement.evidence import Evidence, judge_evidence
from warpprior.refinement.memory import needs_of, plan_holding, walks_all_at_once
from warpprior.refinement.object_sizes import with_depth_used
from warpprior.refinement.pace import MODULE_S, PREPARING, whole_seconds
from warpprior.result import Result
from warpprior.scene import Scene, check_is_scene
from warpprior.settings import RefineSettings
from warpprior.support.device import warp_device
from warpprior.support.errors import InputError
from warpprior.support.kernel_loading import OF_GPUS, count_uncompiled, load_kernels
from warpprior.support.progress import Course, Progress
from warpprior.support.stored import each_frame
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.overlap import FEWEST_PIXELS
from warpprior.system.problem import Problem
from warpprior.system.solver import solves_on_device
from warpprior.system.stand_ins import stand_in_notes, with_originals, with_stand_ins
from warpprior.system.unknown_settings import UnknownSettings
from warpprior.terms import ADAM, GAUSS_NEWTON, TERMS, Term, default
from warpprior.terms.camera import CameraMotion
from warpprior.terms.given import CHANNEL
from warpprior.terms.term import check_terms
from warpprior.verdicts.judge import judged

ADAM_ITERATIONS = 200
KERNELS = (
    *("camera", "contacts", "distance", "history", "kinematics", "link_motions", "overlap", "quasistatic"),
    *("silhouette", "skinning", "steps", "visibility"),
)
KERNELS_OF_HANDS = ("joints", "kept_distance", "link_blocks", "surface_motion", "surface_query")
KERNELS_OF_MOVING_CAMERAS = ("camera_motion", "world_motion")
KERNELS_BESIDE = {"image": ("blur", "light"), "sliding": ("sticking",)}  # that terms launch besides their own
LEAST_NOTED_BIAS = 0.25  # mask biases smaller than this are not mentioned [px]


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

    def evidence(self) -> Evidence:
        """What is believed of the scene."""
        return judge_evidence(self.scene) if self.settings.leave_out else Evidence(self.scene)

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
    settings = with_depth_used(scene, settings)
    scene = chosen_camera(scene, settings.unknowns.estimate_camera)
    kernels, seconds = kernels_of(settings, device, scene), whole_seconds(scene)
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
    motion = MotionState(
        scene,
        device,
        point_count=settings.contact_points,
        differentiable=adam_iterations(settings) > 0,
        seed=settings.seed,
    )
    used = settings.used_by(GAUSS_NEWTON) if aligns(settings) else []
    if motion.world is not None and not any(isinstance(term, CameraMotion) for term in used):
        motion.world.hold()  # nothing else says where it is
    return motion


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


def kernels_of(settings: RefineSettings, device: str, scene: Scene | None = None) -> list[str]:
    """Modules of kernels that a run launches: what all do, and those of its terms, which bear their names.

    Args:
        settings: of the refinement.
        device: Warp device.
        scene: None for all that runs with these settings may launch, whatever the scene.
    """
    of_gpus = OF_GPUS if solves_on_device(warp_device(device)) else ()
    of_hands = KERNELS_OF_HANDS if scene is None or not all(body.body.is_rigid for body in scene.bodies) else ()
    moving = () if scene is not None and not (scene.world and scene.world.moves) else KERNELS_OF_MOVING_CAMERAS
    used = [
        *(settings.used_by(GAUSS_NEWTON) if aligns(settings) else ()),
        *(settings.used_by(ADAM) if adam_iterations(settings) else ()),
    ]
    terms = dict.fromkeys(term.name for term in used if scene is None or not term.lacks(scene))
    of_sizes = ("size_motion",) if scene is None or any(body.size for body in scene.bodies) else ()
    beside = [kernel for name in terms for kernel in KERNELS_BESIDE.get(name, ())]
    return [*KERNELS, *of_gpus, *of_hands, *of_sizes, *moving, *terms, *beside]


def used_terms(settings: RefineSettings) -> list[Term]:
    """Terms that some solver uses, once each."""
    used = (*settings.used_by(GAUSS_NEWTON), *settings.used_by(ADAM))
    return list({term.name: term for term in used}.values())


def _check(scene: Scene) -> None:
    moving = [body for body in scene.bodies if not body.known]
    if not moving:
        raise InputError(f"scene {scene.name!r}", "every body is known", "at least one body to estimate")
    if scene.labels is None:
        if not (scene.keypoints2d or scene.boxes or scene.contact_maps or CHANNEL in scene.noise):
            accepted = "frames.labels, keypoints.file, contact_maps.file or noise.poses in scene.toml"
            raise InputError(f"scene {scene.name!r}", "no label images, keypoints, boxes or contact maps", accepted)
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
    if not used_terms(settings):
        notes.append("there is no term with a weight: bodies are where the start has them.")
    if abs(bias) > LEAST_NOTED_BIAS:
        size = f"{abs(bias):.1f} px too {'large' if bias > 0.0 else 'small'}"
        notes.append(f"labels of known bodies are {size} at their borders; all labels are taken to be.")
    usual = default()
    for term in used_terms(settings):
        lacks = term.lacks(problem.motion.scene)
        if lacks and term not in usual:  # who gives a term, or settings of it, wants it to do something
            notes.append(f"{term.name}: left without a say, for the scene has no {' and no '.join(lacks)}.")
    if settings.unknowns.estimate_focal and not (
        problem.motion.known or _measures_depth(problem.motion.scene, settings)
    ):
        notes.append("neither a known body nor depth shows the focal length; it may be as far off as before.")
    return notes
