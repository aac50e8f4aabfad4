"""Contacts of hands with objects: where they begin, what they remember, where they end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np
import warp as wp
from scipy.linalg.lapack import dsyev  # pyright: ignore[reportAttributeAccessIssue] - made at import

from warpprior.geometry.signed_distance import DistanceField, shared_field
from warpprior.kernels.tracked_points import measure_clearance
from warpprior.scene import SceneBody
from warpprior.support.errors import InputError
from warpprior.support.replay import Replay
from warpprior.tracking.belief import FORGOTTEN, Belief
from warpprior.tracking.hands import TrackedHand
from warpprior.tracking.manifold import EYE, matrix
from warpprior.tracking.moving_view import View
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.twin_arrays import twin_zeros
from warpprior.tracking.update import Rows

AXES = np.arange(3)
RANK_TOLERANCE = 1e-3  # eigenvalues below this share of the largest do not count
SLOTS = 12  # contacts that are listed where none is remembered
CARRIED_FRAMES = 5  # at most, in which a point and an object have come along together
CARRIED, WITH_IT = 3.0, 0.6  # so many stick distances at least, with the object moving no less than what remains


class Contact(NamedTuple):
    """A point of a hand that sticks to an object.

    Attributes:
        hand, object: names of the bodies.
        point: where it is, camera frame (3,) [m].
        normal: outward normal of the object there, camera axes (3,).
        link: name of the hand's link that touches.
        slip_m: how far the hand's point has moved over the object since the contact began [m].
    """

    hand: str
    object: str
    point: np.ndarray
    normal: np.ndarray
    link: str
    slip_m: float


class Clearance:
    """How far the points of one hand are from one object.

    Attributes:
        distance: (point,) [m], negative inside; ``local`` where they are, in the object's frame (point, 3).
        past: where points were in the last frames, the newest last, in the object's frame (frame, point, 3), and
            ``path`` in the camera's; ``near`` for how many frames each has been near (point,).
    """

    def __init__(self, carrier: TrackedHand, field: DistanceField, frames: int, device):
        self._hand, self._field = carrier, field
        count = carrier.device_points.shape[0]
        self._pose = twin_zeros(1, wp.transform, device)
        self._distance = twin_zeros(count, wp.float32, device)
        self._local = twin_zeros(count, wp.vec3, device)
        self._gradient = twin_zeros(count, wp.vec3, device)
        self._chosen = carrier.candidates
        self._measuring = Replay(self._launch, device, capture=True)
        self._frames = frames
        self.past = np.full((max(frames, CARRIED_FRAMES) + 1, len(self._chosen), 3), np.nan)
        self.path = self.past.copy()
        self.near = np.zeros(len(self._chosen), dtype=int)

    def measure(self, position: np.ndarray, rotation: np.ndarray) -> None:
        """Measure at the carrier's current pose and this one of the object."""
        self._pose.host[0, :3], self._pose.host[0, 3:] = position, rotation
        self._pose.push()
        self._measuring()
        self.distance = self._distance.pull().take(self._chosen)
        self.local = self._local.pull().take(self._chosen, axis=0)

    def _launch(self) -> None:
        measure_clearance(
            self._hand.device_points,
            self._pose.array,
            self._field.grid,
            self._field.origin,
            self._field.inverse_spacing,
            distance_out=self._distance.array,
            local_out=self._local.array,
            gradient_out=self._gradient.array,
        )

    def normals(self, points: np.ndarray) -> np.ndarray:
        """Outward normals of the object next to some points, in its frame (n, 3); as measured last."""
        slopes = self._gradient.pull()[self._chosen[points]].astype(float)
        return slopes / np.maximum(np.sqrt((slopes * slopes).sum(axis=1, keepdims=True)), 1e-9)

    def remember(self, reach: float) -> None:
        """Note which points are nearer than ``reach`` [m], and where they are."""
        for track in (self.past, self.path):
            for frame in range(len(track) - 1):  # one by one they do not overlap
                track[frame] = track[frame + 1]
        self.past[-1], self.path[-1] = self.local, self._hand.points
        self.near += 1
        self.near[self.distance >= reach] = 0

    def sticking(self, distance: float) -> np.ndarray:
        """Points that have been near for long enough, and stay where they are on the object.

        They have moved less than ``distance`` [m] over it.  Or the object only seems to move: they themselves rest,
        and it seems less than twice as far.  Or it comes along with them, if not quite, for it is believed to rest.
        """
        long = (self.near > self._frames).nonzero()[0]
        if not len(long):
            return long
        slid, went = self._moved(long, self._frames)
        sticks = (slid < distance) | ((slid < 2.0 * distance) & (went < distance))
        slid, went = self._moved(long, np.minimum(self.near[long] - 1, len(self.past) - 1))
        return long[sticks | ((went > CARRIED * distance) & (slid < WITH_IT * went))]

    def _moved(self, points: np.ndarray, frames: np.ndarray | int) -> tuple[np.ndarray, np.ndarray]:
        """How far points have moved over the object, and in space, in so many frames each (point,) [m]."""
        begin = len(self.past) - 1 - frames
        slid, went = (track[-1, points] - track[begin, points] for track in (self.past, self.path))
        return np.sqrt((slid * slid).sum(axis=1)), np.sqrt((went * went).sum(axis=1))


class Contacts:
    """All contacts of all hands with all objects.

    Args:
        hands: the hands.
        objects: the objects; one without a usable surface is touched by nothing.
        settings: of the tracker.
        device: Warp device.

    Attributes:
        touched: objects that a hand is near to, whether it holds them or not, and
        nearest: which hand that is, of several the nearest (object,); -1: none.
    """

    def __init__(self, hands: Sequence[TrackedHand], objects: Sequence[SceneBody], settings: TrackSettings, device):
        self.settings, self._hands = settings, hands
        self.touched: set[int] = set()
        self.nearest = np.full(len(objects), -1)
        self._starts = np.zeros((settings.anchors or SLOTS, 3))  # where contacts began, in their object's frame [m]
        self._pairs: list[tuple[int, int, Clearance]] = []
        for index, body in enumerate(objects):
            try:
                field = shared_field(body.body, device, scale=body.initial.scale)
            except InputError:
                continue
            for hand, carrier in enumerate(hands):
                if len(carrier.candidates):
                    self._pairs.append((hand, index, Clearance(carrier, field, settings.stick_frames, device)))

    def refresh(self, belief: Belief, *, first: bool = False, resumed: Collection[int] = ()) -> np.ndarray | None:
        """End contacts that are far from the surface, and begin new ones.  Hands are at the belief's mean.

        In the ``first`` frame all that is near is in contact: nothing says yet how it moves.  And so it is with objects
        that are found to be elsewhere in the hand that held them (``resumed``).

        Returns:
            How the errors before follow into those after (width, width), or None where all contacts stay.
        """
        settings = self.settings
        ended: list[int] = []
        self.touched.clear()
        self.nearest[:] = -1
        gaps = np.full(belief.object_count, np.inf)
        began: list[tuple[int, int]] = []
        for hand, index, clearance in self._pairs:
            place = belief.hand_count + index
            clearance.measure(belief.origin(index), belief.rotation[place])
            clearance.remember(settings.contact_distance_m)
            held = ((belief.anchor_hand == hand) & (belief.anchor_object == index)).nonzero()[0]
            lost = clearance.distance[belief.anchor_point[held]] > settings.release_distance_m
            lost |= belief.anchor_misses[held] >= settings.contact_patience
            for slot in held[lost].tolist():
                self._end(belief, slot)
                ended.append(slot)
            if clearance.near.any():
                self.touched.add(index)
                gap = float(clearance.distance.min())
                if gap < gaps[index]:
                    gaps[index], self.nearest[index] = gap, hand
            at_once = first or index in resumed
            near = np.flatnonzero(clearance.near) if at_once else clearance.sticking(settings.stick_distance_m)
            began += self._begin(belief, hand, index, clearance, near)
        if not (belief.remembers and (began or ended)):
            return None
        for hand in {hand for hand, _ in began}:
            self._hands[hand].linearise()
        follows = np.eye(belief.width)
        for slot in ended:
            follows[belief.anchor(slot)] = 0.0
        for hand, slot in began:
            self._remember(belief, follows, slot, hand)
        used = belief.used
        belief.covariance[:used, :used] = (
            follows[:used, :used] @ belief.covariance[:used, :used] @ follows[:used, :used].T
        )
        for slot in {slot for _, slot in began}:
            columns = belief.anchor(slot)
            belief.covariance[columns, columns] += settings.sigma_contact_m**2 * EYE
        for slot in set(ended) - {slot for _, slot in began}:
            columns = belief.anchor(slot)
            belief.covariance[columns, columns] = FORGOTTEN * EYE
        return follows

    def _end(self, belief: Belief, slot: int) -> None:
        self._hands[belief.anchor_hand[slot]].follow(slot, -1)
        belief.free(slot)

    def _begin(
        self, belief: Belief, hand: int, index: int, clearance: Clearance, near: np.ndarray
    ) -> list[tuple[int, int]]:
        """Take new contacts among ``near``, the deepest first and then those farthest from the others."""
        # Every hand has its share, so that one that takes over finds some.
        share = belief.anchor_count // len(self._hands) - np.count_nonzero(belief.anchor_hand == hand)
        free = (belief.anchor_hand < 0).nonzero()[0][: max(share, 0)]
        if not len(near) or not len(free):
            return []
        settings, points = self.settings, self._hands[hand].points
        known = belief.anchors[belief.held_by(index)]
        gaps = points[near, None] - known
        apart = np.sqrt(np.einsum("nkx,nkx->nk", gaps, gaps).min(axis=1, initial=np.inf))
        began = []
        for slot in free:
            # Without any contact yet, the deepest point is the first.
            score = apart if np.isfinite(apart).all() else -clearance.distance[near]
            best = int(np.argmax(score))
            if apart[best] < settings.contact_spacing_m:
                break
            candidate = int(near[best])
            belief.anchor_hand[slot], belief.anchor_point[slot], belief.anchor_object[slot] = hand, candidate, index
            belief.anchors[slot] = points[candidate]
            self._starts[slot] = clearance.local[candidate]
            self._hands[hand].follow(int(slot), candidate)
            began.append((hand, int(slot)))
            apart = np.minimum(apart, np.linalg.norm(points[near] - points[candidate], axis=1))
        return began

    def _remember(self, belief: Belief, follows: np.ndarray, slot: int, hand: int) -> None:
        """Begin an anchor where the hand's point is, as wrong as that is."""
        rows = follows[belief.anchor(slot)]
        rows[:] = 0.0
        rows[:, belief.hand(hand)] = self._hands[hand].jacobians[slot]

    def measure(self, belief: Belief) -> None:
        """Measure all clearances anew where the belief has hands and objects."""
        for _, index, clearance in self._pairs:
            clearance.measure(belief.origin(index), belief.rotation[belief.hand_count + index])

    def add_anchors(self, belief: Belief, rows: Rows) -> None:
        """Contacts stick: the hand's point is where the object's anchor is.  Slots are linearised at the mean."""
        for hand, carrier in enumerate(self._hands):
            slots = (belief.anchor_hand == hand).nonzero()[0]
            if not len(slots):
                continue
            jacobians = np.zeros((len(slots), 3, belief.width))
            jacobians[:, :, belief.hand(hand)] = -carrier.jacobians[slots]  # 0 = x - b: what is expected falls with x
            columns = belief.first_anchor + 3 * slots[:, None] + AXES
            jacobians[np.arange(len(slots))[:, None], AXES, columns] = 1.0
            rows.add_many(
                "contact",
                [(slot,) for slot in slots.tolist()],
                carrier.slot_points[slots] - belief.anchors[slots],
                self.settings.sigma_contact_m**2,
                jacobians,
            )

    def count_misses(self, belief: Belief, rows: Rows) -> None:
        """Remember which contacts were rejected by the last update."""
        for block in rows.blocks:
            if block.sensor == "contact":
                slot = block.key[0]
                belief.anchor_misses[slot] = 0 if block.taken else belief.anchor_misses[slot] + 1

    def release(self, belief: Belief, index: int) -> None:
        """End all contacts of an object at the next refresh; new ones must stick first."""
        belief.anchor_misses[belief.held_by(index)] = self.settings.contact_patience
        for _, own, clearance in self._pairs:
            if own == index:
                clearance.near[:] = 0

    def describe(
        self, belief: Belief, index: int, names: tuple[Sequence[str], str]
    ) -> tuple[np.ndarray, list[Contact]]:
        """All contacts of an object, as of the last refresh: their points (contact, 3) [m], and all there is to say.

        Args:
            belief: where anchors are.
            index: of the object.
            names: of the hands, and of the object.
        """
        slots = belief.held_by(index)
        if not len(slots):
            return np.zeros((0, 3)), []
        points = belief.anchors[slots]  # where they are: on the object if it remembers, else on the hand
        if not belief.remembers:
            for number, slot in enumerate(slots):
                points[number] = self._hands[int(belief.anchor_hand[slot])].points[belief.anchor_point[slot]]
        turn = matrix(belief.rotation[belief.hand_count + index])
        normals, slips, links = np.empty((len(slots), 3)), np.empty(len(slots)), np.empty(len(slots), dtype=object)
        hands, candidates, starts = belief.anchor_hand[slots], belief.anchor_point[slots], self._starts[slots]
        for hand, own, clearance in self._pairs:
            if own != index:
                continue
            chosen = hands == hand
            touching = candidates[chosen]
            normals[chosen] = clearance.normals(touching) @ turn.T
            slid = clearance.local[touching] - starts[chosen]
            slips[chosen] = np.sqrt((slid * slid).sum(axis=1))
            links[chosen] = self._hands[hand].links[touching]
        owners = [names[0][hand] for hand in hands.tolist()]
        return points, list(map(Contact, owners, repeat(names[1]), points, normals, links.tolist(), slips.tolist()))

    def see_from(self, view: View) -> None:
        """The camera has moved: so have the ways that points have gone in its frame."""
        for _, _, clearance in self._pairs:
            clearance.path[...] = view.places(clearance.path)

    def snapshot(self) -> dict[str, np.ndarray]:
        """What contacts are about to begin, to be kept."""
        kept = {"touched": np.array(sorted(self.touched), dtype=int), "starts": self._starts.copy()}
        kept["nearest"] = self.nearest.copy()
        for number, (_, _, clearance) in enumerate(self._pairs):
            for name in ("past", "path", "near"):
                kept[f"{name}/{number}"] = getattr(clearance, name).copy()
        return kept

    def restore(self, kept: dict[str, np.ndarray], belief: Belief) -> None:
        """Take what :meth:`snapshot` returned, and let the hands follow the belief's anchors."""
        self.touched = {int(index) for index in kept["touched"]}
        self._starts[...], self.nearest[...] = kept["starts"], kept["nearest"]
        for number, (_, _, clearance) in enumerate(self._pairs):
            for name in ("past", "path", "near"):
                getattr(clearance, name)[...] = kept[f"{name}/{number}"]
        for slot in range(belief.anchor_count):
            for hand, carrier in enumerate(self._hands):
                carrier.follow(slot, belief.anchor_point[slot] if belief.anchor_hand[slot] == hand else -1)


def observability(points: np.ndarray) -> tuple[int, float]:
    """How many of the six degrees of freedom of an object contacts at these points (point, 3) determine.

    Returns:
        The rank, 0 to 6 (one point 3, two 5, three that are not in line 6), and the smallest eigenvalue of the
        rotation's information matrix K for unit weights [m^2].
    """
    if not len(points):
        return 0, 0.0
    arms = points - points.sum(axis=0) / len(points)
    moment = arms.T @ arms
    least, middle, most = dsyev(moment.trace() * EYE - moment, compute_v=0)[0].tolist()
    rank = 0 if most < 1e-10 else sum(value > RANK_TOLERANCE * most for value in (least, middle, most))
    return 3 + rank, max(least, 0.0)
