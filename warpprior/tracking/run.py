"""Tracking: an error-state filter that is told one frame after the other, and says how sure it is.

Hands follow their control, objects follow the contacts that stick, and whatever is observed corrects both (the paper's
section III-E, with the errors of the control in the state; see :mod:`warpprior.tracking`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from warpprior.result import Result
from warpprior.scene import Scene, SceneBody, box_center
from warpprior.support.blas import one_thread
from warpprior.support.device import resolve_device
from warpprior.support.errors import InputError, RunError
from warpprior.support.progress import Progress
from warpprior.tracking.actuators import Actuator
from warpprior.tracking.belief import Belief, origin_from_middle
from warpprior.tracking.checks import check_lag, check_observation, check_time
from warpprior.tracking.contact import Contacts, observability
from warpprior.tracking.estimate import Estimate, tracked_result
from warpprior.tracking.manifold import covariance_at, difference, matrix
from warpprior.tracking.observation import HandPose, Observation, choose_sensors, observe_frame
from warpprior.tracking.prediction import Motion
from warpprior.tracking.sensors import Sensors
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.smoother import Step, smooth_steps
from warpprior.tracking.state import check_state
from warpprior.tracking.update import Innovation, Rows, Updater

SLOTS = 12  # contacts that are listed where none is remembered
DOUBT = 3.0  # a sensor that is rejected again and again makes what it sees so many times more uncertain,
WIDENINGS = 3  # of what is believed of the first poses
MOST_DOUBT_M, MOST_DOUBT_RAD = 0.3, 1.0  # until it is this uncertain
HAND_SENSORS = {"keypoints3d", "fingertips", "keypoints2d", "joints"}


class Tracker:
    """Tracks the objects and hands of a scene, one observation at a time.

    Args:
        scene_model: camera and bodies; of their poses only the first frame is used, as the start.
        settings: of the filter.
        observe: names of sensors, see :data:`warpprior.tracking.observation.SENSORS`; ``auto`` takes what the scene
            offers.
        device: Warp device; None takes a GPU if there is one.
        lag: keep what it takes to smooth the last so many frames, see :meth:`smoothed`.

    Bodies that are estimated and rigid are objects; all others are hands: they move as they are told, nearly.

    Attributes:
        scene, settings: as given.
        objects: the bodies that are objects.
        actuators: the hands.
        names: of hands, then of objects.
        sensors: names of those that are believed.
        belief: mean and covariance after the last step.
        timestamp: of the last step [s]; None before the first.

    Raises:
        InputError: nothing to track, a sensor that does not exist, or ``lag`` is no whole number of frames.
    """

    def __init__(
        self,
        scene_model: Scene,
        settings: TrackSettings | None = None,
        *,
        observe: Sequence[str] | str = "auto",
        device: str | None = None,
        lag: int = 0,
    ):
        check_lag(lag)
        self.scene, self.settings = scene_model, settings or TrackSettings()
        settings, device = self.settings, resolve_device(device)
        self.objects: list[SceneBody] = [b for b in scene_model.bodies if not b.known and b.body.is_rigid]
        hands = [b for b in scene_model.bodies if b.known or not b.body.is_rigid]
        if not self.objects and not any(not hand.known for hand in hands):
            raise InputError(f"scene {scene_model.name!r}", "every body is known", "a body to track")
        slots = settings.anchors or SLOTS
        self.sensors = choose_sensors(observe, scene_model)
        self.actuators = [Actuator(hand, settings, slots, device) for hand in hands]
        self.names = [*(hand.name for hand in hands), *(body.name for body in self.objects)]
        widths = [actuator.width for actuator in self.actuators]
        self.belief = Belief(
            widths,
            np.array([box_center(body.body, body.initial.scale) for body in self.objects]),
            slots,
            remembers=settings.anchors > 0,
        )
        self._motion = Motion(self.actuators, len(self.objects), slots, settings, device)
        self._contacts = Contacts(self.actuators, self.objects, settings, device)
        self._sensors = Sensors(scene_model, self.actuators, self.objects, self.sensors, settings, device)
        self._updater, self._rows = Updater(settings), Rows(self.belief.width)
        self._lag, self._steps, self._recent = lag, [], []
        self.timestamp: float | None = None
        self._began: np.ndarray | None = None  # how errors followed when contacts began or ended after the last update
        self._misses: dict[str, int] = {}
        self._place_objects()

    def _place_objects(self) -> None:
        belief, settings = self.belief, self.settings
        for index, body in enumerate(self.objects):
            place, columns = belief.hand_count + index, belief.object(index)
            belief.rotation[place] = body.initial.rotation[0]
            belief.position[place] = body.initial.position[0] + belief.arm(index)
            own = np.zeros((6, 6))
            own[:3, :3] = covariance_at(belief.position[place], settings.initial_lateral_m, settings.initial_depth_m)
            own[3:, 3:] = settings.initial_rotation_rad**2 * np.eye(3)
            belief.covariance[columns, columns] = own

    def step(self, observation: Observation, timestamp: float) -> Estimate:
        """Take one observation.

        Args:
            observation: what is seen; whatever is missing is left out.
            timestamp: when [s]; later than the last one.

        Returns:
            What is believed after it.

        Raises:
            InputError: the time does not advance, or an array has the wrong shape; nothing is changed.
            RunError: numbers of too different size in the covariance; the tracker is of no more use.
        """
        with one_thread():
            try:
                return self._step(observation, float(timestamp))
            except np.linalg.LinAlgError as error:
                found = f"track: at {float(timestamp):g} s, {error}: some noise is far too large beside the rest"
                raise RunError(f"{found}; bring the settings nearer to the defaults") from error

    def _step(self, observation: Observation, timestamp: float) -> Estimate:
        belief, motion, rows = self.belief, self._motion, self._rows
        check_observation(observation, self.scene)
        check_time(timestamp, self.timestamp)
        controls = [self._control(observation, actuator) for actuator in self.actuators]
        positions, rotations = belief.position.copy(), belief.rotation.copy()
        dt = 0.0
        first = self.timestamp is None
        if first:
            follows = np.eye(belief.width)
            motion.begin(belief, controls)
            motion.place_hands(belief)
            self._place_widely(observation)
        else:
            dt = timestamp - self.timestamp
            follows = motion.predict(belief, controls, dt)
            if self._lag and self._began is not None:
                follows = follows @ self._began
        self.timestamp = timestamp
        predicted = (belief.means(), belief.covariance.copy()) if self._lag else None
        self._expect(observation)
        _, innovations = self._updater(belief, rows)
        self._contacts.count_misses(belief, rows)
        seen = self._doubt(rows, dt)
        motion.place_hands(belief, linearise=False)
        if self._lag:
            self._steps.append(Step(follows, *predicted, belief.means(), belief.covariance.copy()))
        if dt > 0.0:
            for index in range(len(self.objects)):
                place = belief.hand_count + index
                turn = difference(belief.rotation[place], rotations[place])
                shift = belief.position[place] - positions[place]
                motion.learn_velocity(index, shift, turn, dt, seen=place in seen)
        self._began = self._contacts.refresh(belief, first=first)
        motion.touched = self._contacts.touched
        estimate = self._estimate(innovations)
        if self._lag:
            self._recent.append(estimate)
            del self._recent[: -self._lag - 1], self._steps[: -self._lag - 1]
        return estimate

    def _expect(self, observation: Observation) -> None:
        """Fill the rows of an update with what is expected at the belief's mean."""
        self._rows.clear()
        if self.belief.remembers:
            self._contacts.add_anchors(self.belief, self._rows)
        self._sensors.add(self.belief, observation, self._rows)

    def _place_widely(self, observation: Observation) -> None:
        """First poses may be worse than they are said to be: be as unsure of where objects are as it takes."""
        belief, rows = self.belief, self._rows
        for _ in range(WIDENINGS):
            self._expect(observation)
            self._updater.judge(belief, rows)
            found = {about: good for about, good in rows.believed().items() if about[0] not in HAND_SENSORS}
            missed = {index for _, index in found} - {index for (_, index), good in found.items() if good}
            if not missed:
                return
            for index in missed:
                columns = slice(belief.object(index).start, belief.object(index).start + 3)
                belief.covariance[columns] *= DOUBT
                belief.covariance[:, columns] *= DOUBT

    def smoothed(self) -> list[Estimate]:
        """The last frames, ``lag`` and the newest, each in the light of all later ones; oldest first."""
        if not self._steps:
            return []
        with one_thread():
            found = smooth_steps(self.belief, self._steps)
        out = []
        for estimate, (means, covariance) in zip(self._recent, found, strict=True):
            position, rotation, joints, spread = self._read(means, covariance)
            out.append(replace(estimate, position=position, rotation=rotation, joints=joints, covariance=spread))
        return out

    def _control(self, observation: Observation, actuator: Actuator) -> HandPose | None:
        """The pose that a hand is told to have, or None where that is missing."""
        pose = observation.hands.get(actuator.name)
        if pose is None:
            return None
        parts = (pose.vertices,) if actuator.animated else (pose.position, pose.rotation, pose.joints)
        return pose if all(np.isfinite(values).all() for values in parts) else None

    def _doubt(self, rows: Rows, dt: float) -> set[int]:
        """A sensor that is rejected again and again may be right: make room for it; returns which bodies were seen.

        Where nothing that is seen of an object is believed any more, room is made in every frame until something is,
        and contacts, which are only assumed, let go of it.
        """
        belief, settings = self.belief, self.settings
        taken = rows.believed()
        bodies = {about: about[1] + belief.hand_count * (about[0] not in HAND_SENSORS) for about in taken}
        seen = {bodies[about] for about, good in taken.items() if good}
        doubted = set()
        for about, good in taken.items():
            name, body = f"{about[0]}/{about[1]}", bodies[about]
            misses = self._misses[name] = 0 if good else self._misses.get(name, 0) + 1
            if misses < settings.patience:
                continue
            doubted.add(body)
            if body in seen:
                self._misses[name] = 0
            elif body >= belief.hand_count:
                self._contacts.let_go(belief, about[1])
                self._motion.lose(about[1], misses * dt)
        for body in doubted:
            columns = belief.bodies[body]
            sigma = np.sqrt(np.diagonal(belief.covariance)[columns])
            grows = np.ones(belief.width)
            grows[columns][:3] = DOUBT if sigma[:3].max() < MOST_DOUBT_M else 1.0
            grows[columns][3:] = DOUBT if sigma[3:6].max() < MOST_DOUBT_RAD else 1.0
            belief.covariance *= grows[:, None]
            belief.covariance *= grows
        return seen

    def _read(self, means: dict[str, np.ndarray], covariance: np.ndarray) -> tuple[dict, dict, dict, dict]:
        """Positions and rotations of all bodies, joints of hands and covariances, by name."""
        belief = self.belief
        position, rotation, joints, spread = {}, {}, {}, {}
        start = 0
        for number, (name, columns) in enumerate(zip(self.names, belief.bodies, strict=True)):
            position[name], rotation[name] = means["position"][number].copy(), means["rotation"][number].copy()
            spread[name] = covariance[columns, columns].copy()
            if number < belief.hand_count:
                stop = start + columns.stop - columns.start - 6
                joints[name] = means["joints"][start:stop].copy()
                start = stop
            else:  # the belief has the middle of an object, the world its origin
                arm = matrix(rotation[name]) @ belief.middles[number - belief.hand_count]
                position[name] -= arm
                to_origin = origin_from_middle(arm)
                spread[name] = to_origin @ spread[name] @ to_origin.T
        return position, rotation, joints, spread

    def _estimate(self, innovations: dict[str, Innovation]) -> Estimate:
        belief, names = self.belief, self.names
        position, rotation, joints, covariance = self._read(belief.means(), belief.covariance)
        contacts, ranks, stiffness = [], {}, {}
        for index, body in enumerate(self.objects):
            held = belief.held_by(index)
            points = self._contact_points(held)
            ranks[body.name], stiffness[body.name] = observability(points)
            for hand, point in zip(belief.anchor_hand[held].tolist(), points, strict=True):
                contacts.append((names[hand], body.name, point))
        return Estimate(
            timestamp=self.timestamp,
            position=position,
            rotation=rotation,
            joints=joints,
            covariance=covariance,
            modes={body.name: self._motion.modes[index] for index, body in enumerate(self.objects)},
            contacts=tuple(contacts),
            ranks=ranks,
            stiffness=stiffness,
            innovations=innovations,
        )

    def _contact_points(self, slots: np.ndarray) -> np.ndarray:
        """Where contacts are (n, 3), on the object if it remembers, else on the hand."""
        belief = self.belief
        points = belief.anchors[slots]
        if not belief.remembers:
            for number, slot in enumerate(slots):
                points[number] = self.actuators[belief.anchor_hand[slot]].points[belief.anchor_point[slot]]
        return points

    def save(self) -> dict[str, np.ndarray]:
        """Everything that later steps depend on, as plain arrays; not what :meth:`smoothed` needs."""
        kept = {f"belief/{name}": values for name, values in self.belief.means().items()}
        kept["belief/covariance"] = self.belief.covariance.copy()
        kept |= {f"motion/{name}": values for name, values in self._motion.snapshot().items()}
        kept |= {f"contacts/{name}": values for name, values in self._contacts.snapshot().items()}
        kept |= {f"updater/{name}": values for name, values in self._updater.snapshot().items()}
        kept |= {f"sensors/{name}": values for name, values in self._sensors.snapshot().items()}
        kept |= {f"misses/{name}": np.array(count) for name, count in self._misses.items()}
        kept["timestamp"] = np.array(np.nan if self.timestamp is None else self.timestamp)
        if self._began is not None:
            kept["began"] = self._began.copy()
        return kept

    def restore(self, kept: dict[str, np.ndarray]) -> None:
        """Take what :meth:`save` returned, of a tracker of the same scene, sensors and settings.

        Raises:
            InputError: it is of another tracker, or broken; nothing is changed.
        """
        kept = check_state(kept, self.save(), self.actuators)
        part = lambda name: {k[len(name) + 1 :]: v for k, v in kept.items() if k.startswith(f"{name}/")}  # noqa: E731
        means = part("belief")
        self.belief.assign(means, means.pop("covariance"))
        self._motion.restore(part("motion"))
        self._contacts.restore(part("contacts"), self.belief)
        self._updater.restore(part("updater"))
        self._sensors.restore(part("sensors"))
        self._misses = {name: int(count) for name, count in part("misses").items()}
        self.timestamp = None if np.isnan(kept["timestamp"]) else float(kept["timestamp"])
        self._began = kept["began"].copy() if "began" in kept else None
        self._steps, self._recent = [], []
        self._motion.touched = self._contacts.touched
        self._motion.place_hands(self.belief)


def track(
    scene: Scene,
    settings: TrackSettings | None = None,
    *,
    observe: Sequence[str] | str = "auto",
    smooth: bool = False,
    lag: int | None = None,
    device: str | None = None,
    progress: Progress | None = None,
) -> Result:
    """Track a recorded scene from its first frame to its last.

    The initial poses of hands are their control in every frame; of objects only the first one is used.

    Args:
        scene: what is known and observed.
        settings: of the filter.
        observe: names of sensors, as for :class:`Tracker`.
        smooth: correct every frame by all later ones (Rauch, Tung, Striebel).
        lag: correct every frame by so many later ones.
        device: Warp device; None takes a GPU if there is one.
        progress: called with frames done, frames in all, and what is being done.

    Returns:
        Poses with covariances; bodies that are known as they were given.  ``history`` has one row per frame.

    Raises:
        InputError: nothing to track, no such sensor, no such lag, or both ``smooth`` and ``lag``.
    """
    if smooth and lag is not None:
        raise InputError("track", "smooth and lag", "one of them")
    if lag is not None:
        check_lag(lag)
    count = scene.frame_count
    reach = count if smooth else min(lag or 0, count)
    tracker = Tracker(scene, settings, observe=observe, device=device, lag=reach)
    filtered: list[Estimate] = []
    chosen: list[Estimate] = []
    complete = True
    try:
        for frame, time in enumerate(scene.times):
            filtered.append(tracker.step(observe_frame(scene, frame, tracker.sensors), float(time)))
            if not reach:
                chosen.append(filtered[-1])
            elif not smooth and frame >= reach:
                chosen.append(tracker.smoothed()[0])
            if progress is not None:
                progress(frame + 1, count, "track")
    except KeyboardInterrupt:
        if not filtered:
            raise
        complete = False
    if reach:
        chosen += tracker.smoothed()[len(chosen) - len(filtered) :]
    return tracked_result(scene, tracker.settings, filtered, chosen, complete)
