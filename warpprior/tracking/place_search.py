"""The search for where a body is that its contour does not show where it is believed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from warpprior.scene import Poses
from warpprior.tracking.evidence import Evidence, move, seen_from
from warpprior.tracking.manifold import difference
from warpprior.tracking.mask_search import different, turned_in_picture
from warpprior.tracking.mask_view import WIDEST, MaskView
from warpprior.tracking.single_frame import WEAK, SingleFrame, coarse_to_fine, relinearise

DOUBTED = 0.04  # share of the prior's information that is believed of what was not found where it should be


class PlaceSearch:
    """Looks for the contours of bodies where the whole picture has their labels.

    Args:
        frame: where the bodies are placed.
        reaches: of the last rounds, falling [px].
        linearise: evidence about a body where it is placed, with a reach.
        size: of a step (6,) [px].
        misfit: how badly a contour lies on a label of so many pixels, as drawn last [sigma].
    """

    def __init__(
        self,
        frame: SingleFrame,
        reaches: Sequence[float],
        linearise: Callable[[str, float], Evidence],
        size: Callable[[str, np.ndarray], float],
        misfit: Callable[[MaskView, int], float],
    ):
        self._frame, self._linearise, self._size, self._misfit = frame, linearise, size, misfit
        self._rounds = coarse_to_fine(WIDEST, reaches, WIDEST)

    def __call__(
        self,
        view: MaskView,
        labels: np.ndarray,
        poses: Sequence[Poses],
        prior: np.ndarray | None,
        *,
        least: float,
        enough: float,
    ) -> Evidence | None:
        """Look for a body; None if it is not found.

        Args:
            view: of the body.
            labels: of the picture (height, width).
            poses: where to begin; the first is the one that is believed, and the evidence is about it.
            prior: information (6, 6) of the first.
            least: misfit that a place must have.
            enough: misfit with which no other is looked for.
        """
        frame, name, best = self._frame, view.body.name, None
        count = int(np.count_nonzero(labels == view.body.label))
        for pose in different(list(poses)):
            frame.place({name: pose})
            view.look_everywhere(labels)
            if not view.active:
                continue
            position, turn = view.find_label(pose)
            moved = replace(pose, position=position[None])
            sure = DOUBTED * (WEAK if prior is None or pose is not poses[0] else prior)
            for start in (moved, turned_in_picture(moved, turn)) if turn else (moved,):
                frame.place({name: start})
                view.look(labels)
                if not view.active:
                    continue
                evidence, place, missed = self._settle(view, start, sure, count)
                if missed <= least:
                    change = difference(place.rotation[0], poses[0].rotation[0])
                    error = np.concatenate([place.position[0] - poses[0].position[0], change])
                    best, least = seen_from(evidence, error)._replace(anew=True), missed
            if best is not None and least <= enough:
                break
        frame.place({name: poses[0]})
        return best

    def _settle(self, view: MaskView, start: Poses, sure: np.ndarray, count: int) -> tuple[Evidence, Poses, float]:
        """Let a contour come to lie on the label: evidence about the place where it does, that place, and the misfit.

        The body is placed at ``start``, and the view looks there.
        """
        frame, name, rounds = self._frame, view.body.name, self._rounds
        found = relinearise(frame, {name: start}, {name: rounds}, {name: sure}, self._linearise, self._size)[name]
        place = move(start, np.linalg.solve(found.information + sure, found.vector))
        frame.place({name: place})
        evidence = self._linearise(name, rounds[-1])
        return evidence, place, self._misfit(view, count)
