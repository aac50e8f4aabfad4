"""The search for where a body is that its contour does not show: at once where it is lost, else a little at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from warpprior.scene import Poses
from warpprior.tracking.evidence import Evidence, move, seen_from
from warpprior.tracking.manifold import difference
from warpprior.tracking.mask_search import different, turned_in_picture
from warpprior.tracking.mask_view import MaskView
from warpprior.tracking.single_frame import WEAK, SingleFrame, coarse_to_fine, relinearise

WIDEST = 40.0  # borders are looked for within so many pixels, but no more [px]
DOUBTED = 0.04  # share of the prior's information that is believed of what was not found where it should be
PLACE, COARSE, FINE = 1, 2, 3  # what is to be done for a hypothesis: each costs about as much as the filter's own look
MOST_WAITING = 8  # hypotheses that wait for their turn


class PlaceSearch:
    """Looks for the contours of bodies where the whole picture has their labels.

    A body that is lost is searched for in one picture, from all poses that are proposed.  One that only fits worse than
    usual may wait: of its search each picture does one piece, so that no step of the filter takes much longer than the
    others.  What waits is kept as errors of the pose that is believed, which moves meanwhile.

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
        rounds = coarse_to_fine(WIDEST, reaches, WIDEST)
        self._coarse, self._fine = rounds[: -len(reaches)], list(reaches)
        # Rows of what is to be done, whether about the pose that is believed, and the error of that (6,).
        self._waiting = {body.name: np.zeros((MOST_WAITING, 8)) for body in frame.watched}

    def at_once(
        self,
        view: MaskView,
        labels: np.ndarray,
        poses: Sequence[Poses],
        prior: np.ndarray | None,
        *,
        least: float,
        enough: float,
    ) -> Evidence | None:
        """The whole search in one picture.

        Args:
            view: of the body.
            labels: of the picture (height, width).
            poses: where to begin; the first is the one that is believed, and the evidence is about it.
            prior: information (6, 6) of the first.
            least: misfit that a place must have.
            enough: misfit with which no other is looked for.
        """
        name, best = view.body.name, None
        self.forget(name)
        count = int(np.count_nonzero(labels == view.body.label))
        for pose in different(list(poses)):
            sure = self._sure(prior if pose is poses[0] else None)
            for start in self._starts(view, labels, pose):
                place = self._approach(view, start, self._coarse, sure)
                evidence, place, missed = self._judge(view, self._approach(view, place, self._fine, sure), count)
                if missed <= least:
                    best, least = seen_from(evidence, _error(place, poses[0]))._replace(anew=True), missed
            if best is not None and least <= enough:
                break
        self._frame.place({name: poses[0]})
        return best

    def begin(self, name: str, poses: Sequence[Poses]) -> None:
        """Let a body be searched for, a piece in each picture from the next on; ``poses`` as of :meth:`at_once`."""
        todo = [[PLACE, pose is poses[0], *_error(pose, poses[0])] for pose in different(list(poses))]
        self._keep(name, todo)

    def goes_on(self, name: str) -> bool:
        """Whether a search has begun and is not over."""
        return bool(self._waiting[name][0, 0])

    def forget(self, name: str) -> None:
        """Give a search up."""
        self._waiting[name][:] = 0.0

    def go_on(
        self, view: MaskView, labels: np.ndarray, believed: Poses, prior: np.ndarray | None, *, least: float
    ) -> Evidence | None:
        """The next piece of a search; what it finds with a misfit of at most ``least`` ends it."""
        name = view.body.name
        (what, own, *error), *others = [row for row in self._waiting[name].tolist() if row[0]]
        start, sure = move(believed, np.array(error)), self._sure(prior if own else None)
        found, todo = None, []
        if what == PLACE:
            todo = [(COARSE, place) for place in self._starts(view, labels, start)]
        else:
            view.look_everywhere(labels)
            if view.active and what == COARSE:
                todo = [(FINE, self._approach(view, start, self._coarse, sure))]
            elif view.active:
                count = int(np.count_nonzero(labels == view.body.label))
                evidence, place, missed = self._judge(view, self._approach(view, start, self._fine, sure), count)
                if missed <= least:
                    found = seen_from(evidence, _error(place, believed))._replace(anew=True)
        self._keep(name, [*([what, own, *_error(place, believed)] for what, place in todo), *others])
        if found is not None:
            self.forget(name)
        self._frame.place({name: believed})
        return found

    def _keep(self, name: str, todo: Sequence[Sequence[float]]) -> None:
        self.forget(name)
        for row, values in zip(self._waiting[name], todo, strict=False):
            row[:] = values

    @staticmethod
    def _sure(prior: np.ndarray | None) -> np.ndarray:
        return DOUBTED * (WEAK if prior is None else prior)

    def _starts(self, view: MaskView, labels: np.ndarray, pose: Poses) -> list[Poses]:
        """Where the body must be to have its label's size and middle, turned as it is, and as its label is."""
        self._frame.place({view.body.name: pose})
        view.look_everywhere(labels)
        if not view.active:
            return []
        position, turn = view.find_label(pose)
        moved = replace(pose, position=position[None])
        return [moved, turned_in_picture(moved, turn)] if turn else [moved]

    def _approach(self, view: MaskView, start: Poses, rounds: list[float], sure: np.ndarray) -> Poses:
        """Let a contour come to lie on its label; the view looks at the whole picture."""
        name = view.body.name
        self._frame.place({name: start})
        found = relinearise(self._frame, {name: start}, {name: rounds}, {name: sure}, self._linearise, self._size)[name]
        return move(start, np.linalg.solve(found.information + sure, found.vector))

    def _judge(self, view: MaskView, place: Poses, count: int) -> tuple[Evidence, Poses, float]:
        """Evidence about a place, that place, and the misfit there."""
        self._frame.place({view.body.name: place})
        evidence = self._linearise(view.body.name, self._fine[-1])
        return evidence, place, self._misfit(view, count)

    def snapshot(self) -> np.ndarray:
        """What waits, to be kept."""
        return np.array([*self._waiting.values()])

    def restore(self, kept: np.ndarray) -> None:
        """Take what :meth:`snapshot` returned."""
        for waiting, values in zip(self._waiting.values(), kept, strict=True):
            waiting[:] = values


def _error(place: Poses, believed: Poses) -> np.ndarray:
    """The error (6,) of a pose that is believed if the body is at another."""
    change = difference(place.rotation[0], believed.rotation[0])
    return np.concatenate([place.position[0] - believed.position[0], change])
