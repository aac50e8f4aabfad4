"""Where a belief turns out to be wrong: what slips, moves, stayed behind or is lost, in one place for the tracker."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from warpprior.tracking.belief import Belief
from warpprior.tracking.hand_contacts import Contacts
from warpprior.tracking.prediction import Prediction
from warpprior.tracking.recovery import LastSeen, leave_out, take_found
from warpprior.tracking.release import Release
from warpprior.tracking.restless import Restless
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.slip import Added, Slip
from warpprior.tracking.update import Rows


class Surprises:
    """What the tracker learns about its own mistakes.

    Args:
        belief: of the tracker.
        settings: likewise.
        of_hands: names of sensors that are about hands.

    Attributes:
        slip, restless: process noise that is learnt.
        release: whether objects stayed behind.
        last_seen: where objects were.
        moved: objects that the last frame placed anew.
        resumed: those of them that a hand went on holding.
    """

    def __init__(self, belief: Belief, settings: TrackSettings, of_hands: Collection[str]):
        self._belief, self._of_hands = belief, of_hands
        self.slip = Slip(belief.hand_count, belief.object_count, settings)
        self.restless = Restless(belief.object_count)
        self.release = Release(belief.object_count, settings)
        self.last_seen = LastSeen(belief)
        self.moved: set[int] = set()
        self.resumed: set[int] = set()

    def predict(self, dt: float, lost: Collection[int]) -> None:
        """Time passes [s]; ``lost`` objects go on with their hands."""
        self.slip.predict(dt)
        self.restless.predict(dt)
        for index in lost:
            self.last_seen.carry(self._belief, index)

    def learn_speeds(self, rows: Rows, residual: np.ndarray, innovation: np.ndarray) -> list[Added]:
        """See :meth:`Restless.learn`."""
        return self.restless.learn(self._belief, rows, residual, innovation, self._of_hands)

    def place_anew(
        self,
        rows: Rows,
        misses: dict[str, int],
        dt: float,
        contacts: Contacts,
        prediction: Prediction,
        follows: np.ndarray | None = None,
    ) -> None:
        """Believe what searches found, and that what a hand has left stayed where it did.

        Args:
            rows: of the update, not yet judged; changed.
            misses: rejections in a row of each sensor and what it looks at; changed.
            dt: since the last frame [s].
            contacts: of which some end.
            prediction: is told.
            follows: how errors follow from those before; objects that are placed anew follow from nothing.
        """
        belief = self._belief
        held = {index for index in range(belief.object_count) if len(belief.held_by(index))}
        found = take_found(belief, rows, misses, self._of_hands)
        loose = self.slip.loose
        released = {
            index
            for index in sorted(held - found)
            if self.release.compare(belief, rows, index, dt, self._of_hands, loose(index))
        }
        leave_out(belief, rows, released, self._of_hands)
        self.moved, self.resumed = found | released, found & held
        for index in self.moved:
            contacts.release(belief, index)
            prediction.found(index)
            self.restless.forget(index, restless=index in found)
            if follows is not None:
                follows[belief.object(index)] = 0.0
        for index in found:
            self.slip.forget(index, loose=index in held)
            for about in misses:
                sensor, number = about.split("/")
                if sensor not in self._of_hands and int(number) == index:
                    misses[about] = 0

    def remember(self, seen: Collection[int], nearest: np.ndarray) -> None:
        """A frame is over: which bodies were ``seen``, and the hand that is ``nearest`` to each object, or -1."""
        belief = self._belief
        for index in range(belief.object_count):
            if not len(belief.held_by(index)):
                self.release.forget(index)
            elif belief.hand_count + index in seen:
                self.release.remember(belief, index)
        self.last_seen.remember(belief, seen, nearest)

    def snapshot(self) -> dict[str, np.ndarray]:
        """What was learnt, to be kept."""
        return {f"{part}/{name}": values for part in PARTS for name, values in getattr(self, part).snapshot().items()}

    def restore(self, kept: dict[str, np.ndarray]) -> None:
        """Take what :meth:`snapshot` returned."""
        for part in PARTS:
            start = f"{part}/"
            own = {name[len(start) :]: values for name, values in kept.items() if name.startswith(start)}
            getattr(self, part).restore(own)


PARTS = ("slip", "restless", "release", "last_seen")
