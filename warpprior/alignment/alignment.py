"""The stages of the alignment, coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from warpprior.alignment.aligner import BodyAligner
from warpprior.alignment.seed import seed_neighbours
from warpprior.history import History
from warpprior.picture import Picture
from warpprior.replay import Replay
from warpprior.scene import SceneBody
from warpprior.settings import RefineSettings
from warpprior.state import MotionState

COLUMNS = ("contour", "contact", "smoothness")
CHECK_EVERY = 4  # iterations between looks at the cost


class Alignment:
    """The stages of the alignment of all rigid moving bodies.

    Args:
        bodies: the rigid moving bodies.
        state: the motion of the scene.
        picture: the observations.
        settings: of the whole refinement.
        capture: replay iterations as a graph; None does so on a GPU.
    """

    def __init__(
        self,
        bodies: Sequence[SceneBody],
        state: MotionState,
        picture: Picture,
        settings: RefineSettings,
        *,
        capture: bool | None = None,
    ):
        self.state, self.settings, self._capture = state, settings, capture
        self.aligners = [BodyAligner(body, state, picture, settings.align) for body in bodies]

    def run(self, number: int) -> list[dict[str, float]]:
        """Run one stage; returns the cost of every term at every iteration."""
        stage = self.settings.align.stages[number]
        limit = stage.iterations
        if self.settings.iterations is not None:
            limit = min(limit, self.settings.iterations)
        history = History(COLUMNS, limit, self.state.device)
        for aligner in self.aligners:
            aligner.enter(stage)
            if stage.seeding_rounds and limit:
                seed_neighbours(aligner, stage.seeding_rounds)
                aligner.enter(stage)
        iterate = Replay(lambda: self.iterate(history), self.state.device, capture=self._capture)
        for iteration in range(limit):
            iterate()
            if iteration % CHECK_EVERY == CHECK_EVERY - 1 and self._settled(history.read()):
                break
        return [{"stage": float(number + 1), **dict(zip(COLUMNS, row, strict=True))} for row in history.read()]

    def iterate(self, history: History) -> None:
        """One Gauss-Newton step of every body at once; launches only."""
        for aligner in self.aligners:
            aligner.linearise()
            aligner.solve()
            for term in COLUMNS:
                history.add(term, aligner.costs[term])
        history.close_row()
        self.state.pose()
        self.state.settle()

    def _settled(self, rows: np.ndarray) -> bool:
        totals = rows.sum(axis=1)
        if len(totals) <= CHECK_EVERY:
            return False
        before, now = totals[-1 - CHECK_EVERY], totals[-1]
        return abs(before - now) <= self.settings.align.tolerance * max(abs(now), 1e-12)
