"""Refine: noisy poses of a whole sequence become poses that fit the pictures and the physics (the paper's III-D).

The parts run one after another and each is a thin loop over kernels: the closed-form start, Gauss-Newton stages on
the rigid bodies, and Adam on the full energy of everything that moves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from warpprior.refinement.adam import Descent
from warpprior.refinement.adam_terms import build_terms
from warpprior.refinement.gauss_newton import Alignment
from warpprior.refinement.start import initialise
from warpprior.refinement.start_from_detections import initialise_from_detections
from warpprior.result import Result
from warpprior.scene import Scene
from warpprior.settings import RefineSettings
from warpprior.support.device import resolve_device
from warpprior.support.errors import InputError
from warpprior.support.progress import Progress
from warpprior.system.energy import Energy
from warpprior.system.motion import MotionState
from warpprior.system.overlap import FEWEST_PIXELS, Overlap
from warpprior.system.picture import prepare_picture

TOLERATED_LOSS = 0.02  # of overlap with the labels, for the sake of physics
POLISH_ITERATIONS = 200
WORTH_TELLING = 0.25  # mask biases smaller than this are not mentioned [px]

Keep = Callable[[dict[str, np.ndarray]], None]


def refine(
    scene: Scene,
    settings: RefineSettings | None = None,
    *,
    device: str | None = None,
    progress: Progress | None = None,
    keep: Keep | None = None,
    resume_from: dict[str, np.ndarray] | None = None,
) -> Result:
    """Refine the motion of every body of a scene that is not marked known.

    Args:
        scene: camera, bodies and observations; see :class:`warpprior.Scene`.
        settings: defaults work.
        device: ``cpu``, ``cuda``, ``cuda:1``; None takes a GPU if there is one.
        progress: called with steps done, steps in all, and what is being done.
        keep: called after each part with arrays from which ``resume_from`` continues.
        resume_from: arrays that ``keep`` was given; the run goes on after the part they close, to the same bits.

    Returns:
        The refined motion.  After Ctrl-C it is the best so far, with ``complete=False``.

    Raises:
        InputError: nothing to estimate, or nothing to estimate it from.
    """
    settings = RefineSettings() if settings is None else settings
    _check(scene)
    run = _Run(scene, settings, resolve_device(device), progress, keep)
    if resume_from is not None:
        run.restore(resume_from)
    complete = True
    try:
        run.finish()
    except KeyboardInterrupt:
        complete = False
    return run.result(complete)


def _check(scene: Scene) -> None:
    moving = [body for body in scene.bodies if not body.known]
    if not moving:
        raise InputError(f"scene {scene.name!r}", "every body is known", "at least one body to estimate")
    if scene.labels is None:
        if not (scene.keypoints2d or scene.boxes):
            accepted = "frames.labels or keypoints.file in scene.toml"
            raise InputError(f"scene {scene.name!r}", "no label images, keypoints or boxes", accepted)
        return
    for body in moving:
        if body.name in scene.keypoints2d or body.name in scene.boxes:
            continue
        largest = max((np.count_nonzero(image == body.label) for image in scene.labels), default=0)
        if largest < FEWEST_PIXELS:
            raise InputError(
                f"scene {scene.name!r}: body {body.name!r}",
                f"label {body.label} covers at most {largest} pixels of a frame",
                f"label images that show it with at least {FEWEST_PIXELS:.0f} pixels in some frame",
            )


class _Run:
    """One run: the state, the parts still to do, and what was learnt on the way."""

    def __init__(
        self, scene: Scene, settings: RefineSettings, device: str, progress: Progress | None, keep: Keep | None
    ):
        self.scene, self.settings, self.progress, self.keep = scene, settings, progress, keep
        self.state = MotionState(scene, device, point_count=settings.contact_points, seed=settings.seed)
        # Of a known body drawn too large, labels and focal length may both be to blame.
        calibrate = settings.calibrate_masks and not settings.align.estimate_focal
        self.picture = prepare_picture(self.state, settings.window_margin, calibrate=calibrate)
        self.notes: list[str] = []
        if abs(self.picture.mask_bias) > WORTH_TELLING:
            size = "large" if self.picture.mask_bias > 0.0 else "small"
            told = f"{abs(self.picture.mask_bias):.1f} px too {size}"
            self.notes.append(f"labels of known bodies are {told} at their borders; all labels are taken to be.")
        told = self.state.known or (settings.align.depth_weight > 0.0 and scene.read_depth is not None)
        if settings.align.estimate_focal and not told:
            self.notes.append("neither a known body nor depth tells the focal length; it may be as far off as before.")
        self.rows: list[dict[str, float]] = []
        # Parts are told the run when it is their turn: if they held it, nothing of a finished run could be freed.
        self.parts: list[tuple[str, Callable[[_Run], None]]] = []
        if settings.initialise_passes:
            self.parts.append(("closed-form start", _Run._initialise))
        self.alignment = None
        if settings.align.stages:
            self.alignment = Alignment(self.state, self.picture, settings)
            for number in range(len(self.alignment.stages)):
                self.parts.append((f"align, stage {number + 1}", lambda run, number=number: run._align(number)))
        self.overlaps = []
        if scene.labels is not None:
            labels, window = self.picture.unbiased_labels, self.picture.window
            self.overlaps = [Overlap(body, self.state, labels, window) for body in self.state.estimated]
        self.best = (self._score(), self.state.read_transforms(), self._read_shared())
        iterations = self._polish_iterations(bool(settings.align.stages))
        if iterations:
            self.parts.append(("polish", lambda run: run._polish(iterations)))
        self.done = 0

    def _polish_iterations(self, aligned: bool) -> int:
        """How long to descend: as asked, else only where nothing was aligned."""
        asked = self.settings.polish.iterations
        if asked is None:
            asked = 0 if aligned else POLISH_ITERATIONS
        limit = self.settings.iterations
        return asked if limit is None else min(asked, limit)

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Continue from what :meth:`_keep` handed out."""
        self.done = int(arrays["done"])
        self._assign_shared(arrays["shared"])
        self.state.assign_transforms({k[5:]: v for k, v in arrays.items() if k.startswith("base/")})
        best = {k[5:]: v for k, v in arrays.items() if k.startswith("best/")}
        self.best = (float(arrays["best score"]), best, arrays["best shared"])
        self.notes = [str(note) for note in arrays["notes"]]
        columns = [key[4:] for key in arrays if key.startswith("row/")]
        count = len(arrays[f"row/{columns[0]}"]) if columns else 0
        self.rows = [{c: float(arrays[f"row/{c}"][i]) for c in columns} for i in range(count)]

    def finish(self) -> None:
        """Do the parts that are left."""
        for number in range(self.done, len(self.parts)):
            name, part = self.parts[number]
            self._tell(name, 0.0)
            try:
                part(self)
            except KeyboardInterrupt:
                self._guard(name)  # half a part may be worse than none
                raise
            self._guard(name)
            self.done = number + 1
            self._keep()
        if self.progress is not None:
            self.progress(len(self.parts), len(self.parts), "done")

    def _score(self) -> float:
        """Mean overlap of the moving bodies with their labels; 0 without labels."""
        if not self.overlaps:
            return 0.0
        for overlap in self.overlaps:
            overlap.measure()
        return float(np.mean([overlap.mean for overlap in self.overlaps]))

    def _guard(self, name: str) -> None:
        """Go back to the best motion so far where a part left the labels or became infinite."""
        held = self.state.hold_finite()
        if not (held or self.settings.guard):
            return
        score = self._score()
        if held or score < self.best[0] - TOLERATED_LOSS:
            self._assign_shared(self.best[2])
            self.state.assign_transforms(self.best[1])
            reason = "became infinite" if held else f"left the labels (IoU {self.best[0]:.2f} to {score:.2f})"
            self.notes.append(f"{name}: the motion {reason}; what it did was undone.")
        elif score > self.best[0]:
            self.best = (score, self.state.read_transforms(), self._read_shared())

    def _read_shared(self) -> np.ndarray:
        """What all frames share and is sought: mask bias, focal length, shapes (unknown,)."""
        return np.zeros(0) if self.alignment is None else self.alignment.problem.shared.values.copy()

    def _assign_shared(self, values: np.ndarray) -> None:
        if self.alignment is not None:
            self.alignment.problem.shared.assign(values)

    def _keep(self) -> None:
        if self.keep is None:
            return
        arrays = {f"base/{name}": values for name, values in self.state.read_transforms().items()}
        arrays.update({f"best/{name}": values for name, values in self.best[1].items()})
        arrays.update({"best score": np.array(self.best[0]), "best shared": self.best[2]})
        arrays.update({"shared": self._read_shared(), "notes": np.array(self.notes, dtype=np.str_)})
        arrays.update({f"row/{column}": values for column, values in _columns(self.rows).items()})
        self.keep({"done": np.array(self.done), **arrays})

    def _initialise(self) -> None:
        for body in self.state.estimated:
            passes = self.settings.initialise_passes
            if initialise_from_detections(body, self.state, passes=passes):
                continue
            if self.scene.labels is None:
                self.notes.append(f"{body.name}: nothing shows it; only what it touches tells where it is.")
                continue
            overlap = initialise(body, self.state, self.picture.unbiased_labels, self.picture.window, passes=passes)
            if overlap < 0.1:
                self.notes.append(f"{body.name}: its drawing hardly met its label at the start (IoU {overlap:.2f}).")

    def _align(self, number: int) -> None:
        self.rows += self.alignment.run(number)

    def _polish(self, iterations: int) -> None:
        terms = build_terms(self.state, self.picture, self.settings.polish, self.notes.append)
        descent = Descent(self.state, Energy(self.state, terms), self.settings.polish)
        self.rows += descent.run(iterations, lambda done: self._tell("polish", done / iterations))
        if descent.skipped:
            self.notes.append(f"{descent.skipped} steps were left out, for their gradients were not finite.")

    def _tell(self, name: str, share: float) -> None:
        if self.progress is not None:
            self.progress(self.done + share, len(self.parts), name)

    def result(self, complete: bool) -> Result:
        """The motion as it is now."""
        self.state.hold_finite()
        camera = self.state.camera
        if camera != self.scene.camera:
            told = f"{self.scene.camera.fx:.1f} px became {camera.fx:.1f} px"
            self.notes.append(f"the focal length of {told}; poses and drawings are for that one.")
        return Result(
            scene=self.scene if camera == self.scene.camera else replace(self.scene, camera=camera),
            poses=self.state.read(),
            history=_columns(self.rows),
            settings=self.settings.as_dict(),
            notes=tuple(self.notes),
            complete=complete,
        )


def _columns(rows: list[dict[str, float]]) -> dict[str, np.ndarray]:
    """Rows of named values as arrays; NaN where a row lacks a column."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
