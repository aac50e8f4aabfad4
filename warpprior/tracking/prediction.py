"""Prediction: hands follow their control, objects follow the hands that hold them, rest, or fly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from warpprior.observations import HandPose
from warpprior.tracking.belief import Belief
from warpprior.tracking.hands import TrackedHand
from warpprior.tracking.manifold import EYE, difference, exp, hats, matrix, multiply
from warpprior.tracking.object_transfer import ObjectTransfer
from warpprior.tracking.settings import ControlNoise, TrackSettings

HELD, TOUCHED, RESTS, FLIES, MOVES, LOST = "held", "touched", "rests", "flies", "moves", "lost"
MODES = (HELD, TOUCHED, RESTS, FLIES, MOVES, LOST)
NO_SHIFT = np.zeros(3)
TURNS = np.eye(3, 6, 3)  # how an object's rotation follows from its shift and rotation
USUAL_STEP = 1.0 / 30.0  # in which contacts slip as far as the transfer supposes [s]
IN_TIME = 0.9  # share of the last interval within which a control is not missing, but still to come
ALONG = 0.5  # an object that is touched goes such a share of the hand's way, more or less
MEMORY = 0.3  # share of the newest velocity in what is remembered
NOWHERE = 1e4  # times the variances of a control: a hand that begins without any

Earlier = Sequence[tuple[np.ndarray, np.ndarray]]  # of each hand before: places of its slots, and their Jacobians


class Prediction:
    """Moves a belief from one observation to the next.

    With anchors, the transfer gives the mean alone: what the hand says of the object comes as a measurement, that
    contacts stick.  Without, the transfer's Jacobians and covariance carry errors from the hand to the object.

    Args:
        hands: the hands.
        object_count: how many objects.
        slot_count: contacts at most.
        settings: of the tracker.
        device: Warp device.

    Attributes:
        modes: what each object does (object,).
        controls: the last control of each hand (hand,); None where there was none.
        silent: for how long each hand has had no control (hand,) [s].
        intervals: between the last two controls of each hand (hand,) [s]; 0 without two.
        touched: objects that a hand is near to, as contacts say, and
        nearest: which hand that is (object,); -1: none.
        velocities: of the objects, shift [m/s] and rotation [rad/s] (object, 6).
        lost_s: for how long nothing that is seen of an object has been believed (object,) [s]; 0: it is not lost.
    """

    def __init__(
        self, hands: Sequence[TrackedHand], object_count: int, slot_count: int, settings: TrackSettings, device
    ):
        self.settings, self._hands = settings, hands
        self.anchored = settings.anchors > 0
        self.modes = [RESTS if hands else MOVES] * object_count
        self.controls: list[HandPose | None] = [None] * len(hands)
        self.silent, self.intervals = [0.0] * len(hands), [0.0] * len(hands)
        self.touched: set[int] = set()
        self.nearest = np.full(object_count, -1)
        self.velocities = np.zeros((object_count, 6))
        self.lost_s = np.zeros(object_count)
        # With anchors the hand's errors have no other way into the transfer than its noise of contacts.
        slip = settings.sigma_slip_m * USUAL_STEP**0.5
        unsure = max((_spread_m(carrier.noise) for carrier in hands), default=0.0) if self.anchored else 0.0
        sigma = float(np.linalg.norm([settings.sigma_contact_m, slip, unsure]))
        self._transfers = [
            ObjectTransfer(slot_count, sigma, device, differentiable=not self.anchored, literal=settings.literal)
            for _ in range(object_count)
        ]

    def predict(self, belief: Belief, controls: Sequence[HandPose | None], dt: float) -> np.ndarray:
        """Move a belief to the next frame; hands are placed, and their slots linearised, at the prediction.

        Returns:
            How errors before follow into those after (width, width).
        """
        follows, noise = np.eye(belief.width), np.zeros((belief.width, belief.width))
        earlier = None
        if not self.anchored:
            for carrier in self._hands:
                carrier.linearise()
            earlier = [(a.slot_points.astype(float), a.jacobians.astype(float)) for a in self._hands]
        before = belief.position[: belief.hand_count].copy(), belief.rotation[: belief.hand_count].copy()
        for hand, control in enumerate(controls):
            self._move_hand(belief, hand, control, dt, follows, noise)
        self.place_hands(belief)
        for index in range(belief.object_count):
            self._move_object(belief, index, dt, follows, noise, earlier)
            if self.modes[index] == TOUCHED:
                self._may_come_along(belief, index, before, noise)
        if self.anchored:
            slips = noise.reshape(-1)[:: belief.width + 1][belief.first_anchor :].reshape(-1, 3)
            slips[belief.anchor_hand >= 0] += self.settings.sigma_slip_m**2 * dt
        used = belief.used
        covariance, own = belief.covariance[:used, :used], follows[:used, :used]
        covariance[...] = own @ covariance @ own.T
        covariance += noise[:used, :used]
        belief.symmetrise()
        return follows

    def place_hands(self, belief: Belief, *, linearise: bool = True) -> None:
        """Let hands be where the belief says."""
        for hand, carrier in enumerate(self._hands):
            carrier.place(belief.position[hand], belief.rotation[hand], belief.joints[hand])
            if linearise:
                carrier.linearise()

    def begin(self, belief: Belief, controls: Sequence[HandPose | None]) -> None:
        """Let hands be at their first control."""
        for hand, control in enumerate(controls):
            columns, carrier = belief.hand(hand), self._hands[hand]
            known = carrier.control(control) if control is not None else None
            if known is not None:
                self._take(belief, hand, known)
                self.controls[hand] = known
            unsure = 1.0 if known is not None else NOWHERE
            belief.covariance[columns, columns] = carrier.covariance(belief.position[hand]) * unsure

    @staticmethod
    def _take(belief: Belief, hand: int, control: HandPose) -> None:
        belief.position[hand], belief.rotation[hand] = control.position, control.rotation
        belief.joints[hand][...] = control.joints

    def _move_hand(
        self,
        belief: Belief,
        hand: int,
        control: HandPose | None,
        dt: float,
        follows: np.ndarray,
        noise: np.ndarray,
    ) -> None:
        """The control plus what is left of its error; while it is silent, the hand is where it was, less and less."""
        carrier, columns, settings = self._hands[hand], belief.hand(hand), self.settings
        if control is None:
            self.silent[hand] += dt
            spread = np.full(carrier.width, (settings.gap_speed_rad_s * dt) ** 2)
            spread[:3] = (settings.gap_speed_m_s * dt) ** 2
            noise[columns, columns] += np.diag(spread)
            return
        control = carrier.control(control)
        before = self.controls[hand]
        time = carrier.noise.correlation_s
        remains = np.exp(-(dt + self.silent[hand]) / time) if time > 0.0 else 0.0
        between = self.silent[hand] < IN_TIME * self.intervals[hand]  # other sensors are faster: nothing was missing
        if before is None or (self.silent[hand] > 0.0 and not between) or not settings.control_noise:
            remains = 0.0
        error = None
        if before is not None and remains > 0.0:
            shift = remains * (belief.position[hand] - before.position)
            turn = remains * difference(belief.rotation[hand], before.rotation)
            error = shift, turn, remains * (belief.joints[hand] - before.joints)
        self._take(belief, hand, control)
        if error is not None:
            shift, turn, joints = error
            belief.position[hand] += shift
            belief.rotation[hand] = multiply(exp(turn), belief.rotation[hand])
            belief.joints[hand] += joints
        follows[columns, columns] *= remains
        noise[columns, columns] += (1.0 - remains**2) * carrier.covariance(belief.position[hand])
        if before is not None:
            self.intervals[hand] = dt + self.silent[hand]
        self.controls[hand], self.silent[hand] = control, 0.0

    def _move_object(
        self, belief: Belief, index: int, dt: float, follows: np.ndarray, noise: np.ndarray, earlier: Earlier | None
    ) -> None:
        """What the object does by itself, or with the contacts that hold it; ``earlier`` is None with anchors."""
        columns, place = belief.object(index), belief.hand_count + index
        slots = belief.held_by(index)
        sound = slots[belief.anchor_misses[slots] == 0]
        lead = sound if len(sound) else slots  # those that were just rejected lead nowhere
        mode = self.modes[index] = self._mode(index, len(slots))
        variances = np.repeat(np.square(self._spread(belief, mode, lead, dt)), 3)
        position, rotation = belief.position[place].copy(), belief.rotation[place].copy()
        if mode == FLIES:
            belief.position[place] += self.velocities[index, :3] * dt
            belief.rotation[place] = multiply(exp(self.velocities[index, 3:] * dt), rotation)
        if mode != HELD:
            noise[columns, columns] += np.diag(variances)
            return
        after = self._at_slots(belief, lead, [carrier.slot_points for carrier in self._hands])
        if earlier is None:
            before = belief.anchors[lead]
        else:
            before = self._at_slots(belief, lead, [points for points, _ in earlier])
        transfer = self._transfers[index]
        prior = NO_SHIFT if self.settings.literal else (after - before).mean(axis=0)
        belief.position[place], belief.rotation[place] = transfer(before, after, position, rotation, prior)
        turn = matrix(belief.rotation[place]) @ matrix(rotation).T
        follows[columns, columns][:3, :3] = follows[columns, columns][3:, 3:] = turn
        if earlier is None:
            self._take_along(belief, index, slots, position, turn, variances, follows, noise)
        else:
            self._lead(belief, transfer, lead, columns, follows, noise, earlier)
            noise[columns, columns] += np.diag(variances)

    def _may_come_along(
        self, belief: Belief, index: int, before: tuple[np.ndarray, np.ndarray], noise: np.ndarray
    ) -> None:
        """An object that is touched stays, or goes some way with the hand, which has moved since ``before``."""
        hand, columns = int(self.nearest[index]), belief.object(index)
        if hand < 0:
            return
        turn = difference(belief.rotation[hand], before[1][hand])
        arm = belief.position[belief.hand_count + index] - before[0][hand]
        shift = belief.position[hand] - before[0][hand] + matrix(exp(turn)) @ arm - arm
        way = ALONG * np.concatenate([shift, turn])
        noise[columns, columns] += np.outer(way, way)

    def _spread(self, belief: Belief, mode: str, lead: np.ndarray, dt: float) -> tuple[float, float]:
        """How far an object may go against its motion in ``dt`` [m], [rad]; ``lead`` are the slots that hold it."""
        settings = self.settings
        if mode == FLIES:
            late = dt**2 / MEMORY  # what is remembered of a velocity lags behind it
            return settings.free_acceleration_m_s2 * late, settings.free_acceleration_rad_s2 * late
        if mode == RESTS or (mode == HELD and not self.anchored):  # without anchors, errors of hands are led to it
            return settings.rest_speed_m_s * dt, settings.rest_speed_rad_s * dt
        if mode == TOUCHED:
            return settings.touch_speed_m_s * dt, settings.touch_speed_rad_s * dt
        if mode == HELD and any(self.silent[hand] > 0.0 for hand in set(belief.anchor_hand[lead].tolist())):
            # Nothing says where the hand goes, and the object goes with it.
            return settings.gap_speed_m_s * dt, settings.gap_speed_rad_s * dt
        return settings.hold_speed_m_s * dt, settings.hold_speed_rad_s * dt

    @staticmethod
    def _take_along(
        belief: Belief,
        index: int,
        slots: np.ndarray,
        position: np.ndarray,
        turn: np.ndarray,
        variances: np.ndarray,
        follows: np.ndarray,
        noise: np.ndarray,
    ) -> None:
        """Let anchors go with their object: they and it move as one, in what is known and in what is not.

        Args:
            belief: in which the object has moved.
            index: of the object.
            slots: its anchors.
            position: of its middle, before (3,) [m].
            turn: how it turned (3, 3).
            variances: of what it may do besides: a shift [m] of the anchors' mean, and a turn [rad] about that (6,).
            follows, noise: of the prediction, to be filled.
        """
        columns, place = belief.object(index), belief.hand_count + index
        belief.anchors[slots] = (belief.anchors[slots] - position) @ turn.T + belief.position[place]
        places = np.concatenate([belief.position[place, None], belief.anchors[slots]])
        shakes = np.zeros((1 + len(places), 3, 6))  # of the middle, the rotation, and each anchor
        shakes[:, :, :3] = EYE
        shakes[1:, :, 3:] = -hats(places - places[1:].mean(axis=0))
        shakes[0], shakes[1] = shakes[1], TURNS
        starts = np.concatenate([[columns.start, columns.start + 3], belief.first_anchor + 3 * slots])
        picked = starts[:, None] + np.arange(3)
        follows[picked[2:, :, None], picked[2:, None, :]] = turn
        picked, shakes = picked.reshape(-1), shakes.reshape(-1, 6)
        noise[picked[:, None], picked] += (shakes * variances) @ shakes.T

    @staticmethod
    def _at_slots(belief: Belief, slots: np.ndarray, points: Sequence[np.ndarray]) -> np.ndarray:
        """Which of each hand's points (slot, 3) are at these slots (n, 3)."""
        out = np.empty((len(slots), 3))
        for hand, own in enumerate(points):
            chosen = belief.anchor_hand[slots] == hand
            out[chosen] = own[slots[chosen]]
        return out

    def _lead(
        self,
        belief: Belief,
        transfer: ObjectTransfer,
        slots: np.ndarray,
        columns: slice,
        follows: np.ndarray,
        noise: np.ndarray,
        earlier: Earlier,
    ) -> None:
        """Errors of the hands reach the object through its contacts (F and G of a filter without anchors)."""
        transfer.differentiate()
        noise[columns, columns] += transfer.noise
        if not self.settings.control_noise:
            return
        for hand, carrier in enumerate(self._hands):
            own = belief.hand(hand)
            picked = (belief.anchor_hand[slots] == hand).nonzero()[0]
            if not len(picked):
                continue
            by_before = np.einsum("acx,cxd->ad", transfer.by_before[:, picked], earlier[hand][1][slots[picked]])
            by_after = np.einsum("acx,cxd->ad", transfer.by_after[:, picked], carrier.jacobians[slots[picked]])
            follows[columns, own] = by_before + by_after @ follows[own, own]
            fresh = by_after @ noise[own, own]
            noise[columns, own] += fresh
            noise[own, columns] += fresh.T
            noise[columns, columns] += fresh @ by_after.T

    def _mode(self, index: int, contact_count: int) -> str:
        """Held by a hand; else lost, or flying if it was released or found again while it moved, until it rests."""
        if not self._hands:
            return LOST if self.lost_s[index] > 0.0 else MOVES
        if contact_count:
            return HELD
        speed, limit = float(np.linalg.norm(self.velocities[index, :3])), self.settings.flight_speed_m_s
        was = self.modes[index]
        if self.lost_s[index] > 0.0:
            return LOST
        if (was in (HELD, LOST) and speed > limit) or (was == FLIES and speed > 0.5 * limit):
            return FLIES
        return TOUCHED if index in self.touched else RESTS

    def lose(self, index: int, time: float) -> None:
        """An object has been somewhere else than believed for so long [s]."""
        self.lost_s[index] = time

    def lost(self) -> list[int]:
        """Objects that were lost when the last prediction was made."""
        return [index for index, mode in enumerate(self.modes) if mode == LOST]

    def found(self, index: int) -> None:
        """An object that was lost is where it is believed to be now; how it moves is not known."""
        self.lost_s[index], self.velocities[index] = 0.0, 0.0

    def learn_velocity(self, index: int, shift: np.ndarray, turn: np.ndarray, dt: float, *, seen: bool) -> None:
        """Remember how an object moved between two frames; one that was lost, in all the time until it was ``seen``."""
        lost = self.lost_s[index]
        if lost > 0.0 and not seen:
            return
        if lost > 0.0:
            self.velocities[index, :3], self.velocities[index, 3:] = shift / lost, 0.0
            self.lost_s[index] = 0.0
            return
        newest = np.concatenate([shift, turn]) / dt
        self.velocities[index] += MEMORY * (newest - self.velocities[index])

    def snapshot(self) -> dict[str, np.ndarray]:
        """What it remembers, to be kept."""
        kept = {"modes": np.array(self.modes), "velocities": self.velocities.copy(), "silent": np.array(self.silent)}
        kept["lost"], kept["intervals"] = self.lost_s.copy(), np.array(self.intervals)
        for hand, control in enumerate(self.controls):
            if control is not None:
                kept[f"control/{hand}"] = np.concatenate([control.position, control.rotation, control.joints])
            surface = self._hands[hand].surface
            if surface is not None:
                kept[f"surface/{hand}"] = surface.copy()
        return kept

    def restore(self, kept: dict[str, np.ndarray]) -> None:
        """Take what :meth:`snapshot` returned."""
        self.modes = [str(mode) for mode in kept["modes"]]
        self.velocities[...] = kept["velocities"]
        self.lost_s[...] = kept["lost"]
        self.silent = [float(value) for value in kept["silent"]]
        self.intervals = [float(value) for value in kept["intervals"]]
        for hand in range(len(self.controls)):
            values = kept.get(f"control/{hand}")
            self.controls[hand] = None if values is None else HandPose(values[:3], values[3:7], values[7:])
            if f"surface/{hand}" in kept:
                self._hands[hand].control(HandPose(vertices=kept[f"surface/{hand}"]))


def _spread_m(noise: ControlNoise) -> float:
    """Root mean square error of a hand's place, per axis [m]."""
    return float(np.sqrt((2.0 * noise.lateral_m**2 + noise.depth_m**2) / 3.0))
