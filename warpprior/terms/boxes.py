"""Boxes: a body is drawn as wide and as high as its detected bounding box."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from warpprior.scene import IGNORE_LABEL
from warpprior.support.limits import positive
from warpprior.support.stored import each_frame
from warpprior.terms.term import BoundTerm, Term

if TYPE_CHECKING:
    from warpprior.kernels.rows import System
    from warpprior.scene import Camera, SceneBody
    from warpprior.system.problem import Problem
    from warpprior.system.stage import Stage

BORDER_PX = 2.0  # sides of boxes nearer to the picture's border are taken to be cut off there
BESIDE_PX = 6  # another body may hide the rest where it is seen so far outside of a side,
HIDING = 0.1  # along so much of it


@dataclass(frozen=True)
class Boxes(Term):
    """Distance of a body's outermost vertices from the sides of its box, where no label shows the body.

    Attributes:
        sigma_px: error of the sides of detected boxes [px]; None: what the scene says.
    """

    name: ClassVar[str] = "boxes"
    observes: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("boxes",)

    sigma_px: float | None = positive(None)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each estimated body with detected boxes."""
        found = problem.motion.scene.boxes
        return [BoundBoxes(self, body, problem) for body in problem.motion.estimated if body.name in found]


class BoundBoxes(BoundTerm):
    """The boxes of one body."""

    term: Boxes

    def __init__(self, term: Boxes, body: SceneBody, problem: Problem):
        import warp as wp

        from warpprior.kernels.robust import Scale

        super().__init__(term, body, problem)
        motion, device = problem.motion, problem.motion.device
        boxes = []
        for scene in (clip.scene for _, clip in motion.clips):
            labels = scene.labels if problem.compares_labels else None
            boxes.append(useful_sides(scene.boxes[body.name], labels, body.label, scene.camera))
        self._boxes = wp.array(np.concatenate(boxes).astype(np.float32), dtype=wp.float32, device=device)
        self._scale = wp.zeros(1, dtype=Scale, device=device)
        self._first, self._start = motion.first_vertex(body.name), problem.equations.starts[body.name]

    def across(self, joined: Problem, clips: Sequence[BoundTerm]) -> BoundTerm:
        return BoundBoxes(self.term, joined.motion.scene.body(self.body.name), joined)

    def enter(self, stage: Stage) -> None:
        term = self.term
        self._scale.assign([self.problem.robust_scale("boxes", stage, term.weight, term.sigma_px)])

    def add(self, system: System, *, alone: bool = False) -> None:
        from warpprior.kernels.boxes import add_boxes

        motion = self.problem.motion
        add_boxes(
            motion.screen,
            motion.vertices,
            self._first,
            self.body.body.vertex_count,
            self._boxes,
            motion.states[self.body.name].poses,
            motion.focal,
            self._scale,
            self._start,
            system,
            cost_out=self.costs,
        )


def useful_sides(boxes: np.ndarray, labels: np.ndarray | None, label: int, camera: Camera) -> np.ndarray:
    """Sides of boxes that say where a body ends (frame, 4) [px], NaN for the others.

    A box is drawn around what is seen of a body.  Its label says that better, and says what else may hide the rest.  A
    side on the picture's border says only that the body does not end before it, and so does one beyond which another
    body is seen.

    Args:
        boxes: left, top, right, bottom (frame, 4) [px].
        labels: label images (frame, height, width), or None.
        label: of the body.
        camera: of the scene.
    """
    sides = np.array(boxes, dtype=np.float64)
    sides[cut_off(sides, camera)] = np.nan
    if labels is not None:
        sides[[bool((image == label).any()) for image in each_frame(labels)]] = np.nan
        for frame in np.flatnonzero(np.isfinite(sides).any(axis=1)):
            sides[frame, _beside_another(boxes[frame], labels[frame], label)] = np.nan
    return sides


def _beside_another(box: np.ndarray, image: np.ndarray, label: int) -> list[int]:
    """Sides of a box (4,) [px] beyond which a label image shows another body."""
    left, top, right, bottom = np.nan_to_num(np.round(box), nan=0.0).astype(int)
    columns, rows = slice(max(left, 0), max(right, 0)), slice(max(top, 0), max(bottom, 0))
    strips = (
        (rows, slice(max(left - BESIDE_PX, 0), max(left, 0))),
        (slice(max(top - BESIDE_PX, 0), max(top, 0)), columns),
        (rows, slice(max(right, 0), max(right + BESIDE_PX, 0))),
        (slice(max(bottom, 0), max(bottom + BESIDE_PX, 0)), columns),
    )
    shown = [image[strip] for strip in strips]
    others = [(each != 0) & (each != IGNORE_LABEL) & (each != label) for each in shown]
    return [side for side, each in enumerate(others) if each.size and each.mean() > HIDING]


def cut_off(boxes: np.ndarray, camera: Camera) -> np.ndarray:
    """Sides of detected boxes (frame, 4) [px] that are where the picture ends, not the body (frame, 4) bool."""
    return np.concatenate(
        [boxes[:, :2] < BORDER_PX, boxes[:, 2:] > np.array([camera.width, camera.height]) - BORDER_PX], axis=1
    )
