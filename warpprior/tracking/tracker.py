"""The tracker: an error-state filter that is given one observation after the other, and says how sure it is.

Hands follow their control, objects follow the contacts that stick, and whatever is observed corrects both (the paper's
section III-E, with the errors of the control in the state; see :mod:`warpprior.tracking`).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from warpprior.observations import HandPose, Observation
from warpprior.scene import Camera, Scene, SceneBody, box_center, check_is_scene, with_sizes_known
from warpprior.support.blas import one_thread
from warpprior.support.device import resolve_device
from warpprior.support.errors import InputError, RunError
from warpprior.tracking.belief import Belief, origin_from_middle
from warpprior.tracking.checks import MOST_STEP, check_lag, check_late, check_observation, check_time, read_time
from warpprior.tracking.estimate import Estimate
from warpprior.tracking.hand_contacts import SLOTS, Contacts, observability
from warpprior.tracking.hands import TrackedHand
from warpprior.tracking.late import TakenStep, TakenSteps, copied
from warpprior.tracking.live import TrackedBody, live_scene
from warpprior.tracking.manifold import covariance_at, matrix
from warpprior.tracking.moving_view import View, see_from, shake
from warpprior.tracking.prediction import Prediction
from warpprior.tracking.saved_state import check_state
from warpprior.tracking.sensors import Sensor, SensorContext, Sensors, choose_sensors
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.smoother import Step, smooth_steps
from warpprior.tracking.surprises import Surprises
from warpprior.tracking.twists import Twists, extrapolated
from warpprior.tracking.update import Innovation, Rows, Updater

DOUBT = 3.0  # a sensor that is rejected again and again makes what it sees so many times more uncertain,
WIDENINGS = 3  # of what is believed of the first poses
MOST_DOUBT_M, MOST_DOUBT_RAD = 0.3, 1.0  # until it is this uncertain
LATE_S = 0.2  # how late an observation of a live system may come, unless the user says [s]


class Tracker:
    """Tracks the objects and hands of a scene, one observation at a time.

    ``Tracker(camera, bodies, observe=["mask", "joints"])`` is for live data; ``Tracker(scene)`` for a recorded scene,
    of whose poses only the first frame is used, as the start.

    Args:
        scene: a :class:`warpprior.Camera`, or a recorded :class:`warpprior.Scene`.
        bodies: with a camera: :class:`warpprior.TrackedBody` or :class:`warpprior.SceneBody`.
        settings: of the filter.
        observe: names of sensors, see :data:`warpprior.observations.SENSORS`; ``auto`` takes what a recorded scene
            offers; () observes nothing.
        sensors: your own, see :class:`warpprior.Sensor`.
        noise: with a camera: one sigma by name of the channel, as :attr:`warpprior.Scene.noise`.
        device: Warp device; None takes a GPU if there is one.
        lag: keep what it takes to smooth the last so many frames, see :meth:`smoothed`.
        late_s: an observation may come so late [s]; the steps after it are then taken again.  None: 0.2 with a camera,
            0 with a recorded scene, which is in order.

    Bodies that are estimated and rigid are objects; all others are hands: they move as their control says, nearly.

    Attributes:
        scene: the model, camera and bodies.
        settings: as given, the noise of all sensors filled in.
        objects: the bodies that are objects.
        hands: the others.
        names: of hands, then of objects.
        sensors: names of the package's sensors that are believed.
        belief: mean and covariance after the last step.
        timestamp: of the newest observation [s]; None before the first.

    Raises:
        InputError: nothing to track, a sensor that does not exist, ``auto`` without any data to choose by, or ``lag``
            is no whole number of frames.
    """

    def __init__(
        self,
        scene: Scene | Camera,
        bodies: Sequence[TrackedBody | SceneBody] | TrackSettings | None = None,
        settings: TrackSettings | None = None,
        *,
        observe: Sequence[str] | str = "auto",
        sensors: Sequence[Sensor] = (),
        noise: Mapping[str, float] | None = None,
        device: str | None = None,
        lag: int = 0,
        late_s: float | None = None,
    ):
        self._live = live = isinstance(scene, Camera)
        late_s = (LATE_S if live else 0.0) if late_s is None else late_s
        check_lag(lag)
        check_late(late_s)
        if isinstance(bodies, TrackSettings):  # Tracker(scene, settings)
            bodies, settings = None, bodies
        if live != (bodies is not None) or (noise is not None and not live):
            found = "a camera without bodies" if live else "a scene, and bodies or noise beside it"
            raise InputError("track", found, "Tracker(camera, bodies, noise=...) or Tracker(scene)")
        if isinstance(scene, Camera):
            assert bodies is not None, "a camera has bodies beside it"
            scene = live_scene(scene, bodies, noise or {})
        check_is_scene(scene, "track")
        self.scene: Scene = with_sizes_known(scene)
        for said in self.scene.warnings[len(scene.warnings) :]:
            warnings.warn(said, stacklevel=2)
        self.settings = settings = (settings or TrackSettings()).with_sigmas(self.scene.noise)
        device = resolve_device(device)
        self.objects: list[SceneBody] = [b for b in self.scene.bodies if not b.known and b.body.is_rigid]
        others = [b for b in self.scene.bodies if b.known or not b.body.is_rigid]
        if not self.objects and not any(not body.known for body in others):
            raise InputError(f"scene {self.scene.name!r}", "every body is known", "a body to track")
        slots = settings.anchors or SLOTS
        self.sensors = choose_sensors(observe, self.scene, live=live, own=len(sensors))
        self.hands = [TrackedHand(body, settings, slots, device) for body in others]
        self.names = [*(hand.name for hand in self.hands), *(body.name for body in self.objects)]
        self.belief = Belief(
            [hand.width for hand in self.hands],
            np.array([box_center(body.body, body.initial.scale) for body in self.objects]),
            slots,
            remembers=settings.anchors > 0,
        )
        self._prediction = Prediction(self.hands, len(self.objects), slots, settings, device)
        self._contacts = Contacts(self.hands, self.objects, settings, device)
        starts = lambda belief, index: self._surprises.last_seen.starts(belief, index)  # noqa: E731
        context = SensorContext(self.scene, self.hands, self.objects, settings, device, starts)
        self._sensors = Sensors(self.sensors, sensors, context)
        self._of_hands = self._sensors.of_hands()
        self._surprises = Surprises(self.belief, settings, self._of_hands)
        self._updater = Updater(settings, self._surprises.slip, self._surprises.learn_speeds)
        self._rows = Rows(self.belief.width)
        self._twists = Twists(self.belief)
        self._lag, self._steps, self._recent = lag, [], []
        self._taken, self._careful = TakenSteps(late_s), bool(sensors)
        self.timestamp: float | None = None
        self._began: np.ndarray | None = None  # how errors followed when contacts began or ended after the last update
        self._camera: np.ndarray | None = None  # world_from_camera of the last observation that said it
        self._misses: dict[str, int] = {}
        self._place_objects()

    def __reduce__(self):
        raise TypeError("a Tracker holds arrays on a device and cannot be pickled: make one in the other process")

    @property
    def actuators(self) -> list[TrackedHand]:
        """The old name of :attr:`hands`."""
        warnings.warn("Tracker.actuators is now called hands", DeprecationWarning, stacklevel=2)
        return self.hands

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
            timestamp: when [s]; later than the last one, or at most ``late_s`` before it.  A late one is merged: what
                came after it is taken again, so that the result is that of all in order, to the bit.

        Returns:
            What is believed at the newest time.

        Raises:
            InputError: the time does not advance and is too late, or an array has the wrong shape; nothing is changed.
            RunError: numbers of too different size in the covariance; the tracker is of no more use.
        """
        timestamp = read_time(timestamp)
        with one_thread():
            try:
                check_observation(observation, self.scene, live=self._live)
                if self.timestamp is not None and timestamp <= self.timestamp:
                    self._taken.check(timestamp, self.timestamp)
                    return self._merge(observation, timestamp)
                check_time(timestamp, self.timestamp)
                return self._take(observation, timestamp)
            except np.linalg.LinAlgError as error:
                found = f"track: at {timestamp:g} s, {error}: some noise is far too large beside the rest"
                raise RunError(f"{found}; bring the settings nearer to the defaults") from error

    def predict(self, timestamp: float) -> Estimate:
        """What is expected at a time, such as that at which an answer will arrive; the tracker stays as it is.

        Every body moves on as fast as it does (:attr:`Estimate.twist`), and becomes less sure as that is unsure.

        Args:
            timestamp: when [s]; not before the newest observation.

        Raises:
            InputError: nothing was observed yet, or the time is before that.
        """
        if self.timestamp is None:
            raise InputError("track: predict", "nothing was observed yet", "a step first")
        time = read_time(timestamp) - self.timestamp
        if not 0.0 <= time <= MOST_STEP:
            accepted = f"a time from the newest observation on, {self.timestamp}"
            raise InputError("track: predict", f"{timestamp}", accepted)
        newest = self._estimate({})
        return extrapolated(newest, time) if time > 0.0 else newest

    def _merge(self, observation: Observation, timestamp: float) -> Estimate:
        """Go back to the state before a late observation, and take it and all that came after it."""
        kept, steps, recent = self.save(), list(self._steps), list(self._recent)
        later = self._taken.take_from(timestamp)
        try:
            self._resume(later[0].before)
            del self._steps[-len(later) :], self._recent[-len(later) :]
            estimate = self._take(observation, timestamp)
            for step in later:
                estimate = self._take(step.observation, step.timestamp)
        except Exception:  # of a sensor of the user's
            self._taken.take_from(float(later[0].before["timestamp"]))
            for step in later:
                self._taken.keep(step)
            self._steps, self._recent = steps, recent
            self._resume(kept)
            raise
        return estimate

    def _take(self, observation: Observation, timestamp: float) -> Estimate:
        """Take an observation that is the newest, and keep what it takes to come back."""
        if not self._taken.span_s and not self._careful:
            return self._step(observation, timestamp)
        before = self.save()
        try:
            estimate = self._step(observation, timestamp)
        except Exception:  # of a sensor of the user's
            self._resume(before)
            raise
        if self._taken.span_s:
            self._taken.keep(TakenStep(timestamp, copied(observation), before))
        return estimate

    def _step(self, observation: Observation, timestamp: float) -> Estimate:
        belief, prediction, rows = self.belief, self._prediction, self._rows
        controls = [self._control(observation, hand) for hand in self.hands]
        dt, last = 0.0, self.timestamp
        seen_from = self._see_from(observation, [control is not None for control in controls], timestamp)
        means = belief.means()
        if last is None:
            follows = np.eye(belief.width)
            prediction.begin(belief, controls)
            prediction.place_hands(belief)
            self._place_widely(observation)
        else:
            dt = timestamp - last
            follows = prediction.predict(belief, controls, dt)
            self._surprises.predict(dt, prediction.lost())
            if seen_from is not None:
                follows = follows @ seen_from
            if self._lag and self._began is not None:
                follows = follows @ self._began
        self.timestamp = timestamp
        self._expect(observation)
        surprises = self._surprises
        surprises.place_anew(rows, self._misses, dt, self._contacts, prediction, follows)
        predicted = (belief.means(), belief.covariance.copy()) if self._lag else None
        _, innovations = self._updater(belief, rows)
        if predicted is not None:
            for added in self._updater.slipped:
                predicted[1][np.ix_(added.columns, added.columns)] += added.covariance
        self._contacts.count_misses(belief, rows)
        seen = self._doubt(rows, dt) | {belief.hand_count + index for index in surprises.moved}
        prediction.place_hands(belief, linearise=False)
        if predicted is not None:
            self._steps.append(Step(follows, *predicted, belief.means(), belief.covariance.copy()))
        if dt > 0.0:
            step = self._twists.learn(belief, means, dt)
            for index in range(len(self.objects)):
                own = step[belief.object(index)]
                if index in surprises.moved:
                    continue
                prediction.learn_velocity(index, own[:3], own[3:], dt, seen=belief.hand_count + index in seen)
        self._began = self._contacts.refresh(belief, first=last is None, resumed=surprises.resumed)
        surprises.remember(seen, self._contacts.nearest)
        prediction.touched, prediction.nearest = self._contacts.touched, self._contacts.nearest
        estimate = self._estimate(innovations)
        if self._lag:
            self._recent.append(estimate)
            del self._recent[: -self._lag - 1], self._steps[: -self._lag - 1]
        return estimate

    def _see_from(self, observation: Observation, controlled: list[bool], timestamp: float) -> np.ndarray | None:
        """Take the camera for where it is now; returns how errors follow from those in its last frame, if it moved."""
        if observation.camera is None or not np.isfinite(observation.camera).all():
            return None
        before, self._camera = self._camera, np.array(observation.camera, dtype=float)
        if before is None or self.timestamp is None:
            return None
        view, belief = View(before, self._camera), self.belief
        follows = see_from(view, belief, self._prediction, self._contacts, self._surprises, self._twists)
        noise = None if self.scene.world is None else self.scene.world.noise
        if noise is not None:
            shake(belief, controlled, noise, timestamp - self.timestamp)
        return follows

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
            found = {about: good for about, good in rows.believed().items() if about[0] not in self._of_hands}
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

    def _control(self, observation: Observation, hand: TrackedHand) -> HandPose | None:
        """The pose that a hand should have, or None where that is missing."""
        pose = observation.hands.get(hand.name)
        if pose is None:
            return None
        if hand.animated:
            assert pose.vertices is not None, "an observation is checked before"
            return pose if np.isfinite(pose.vertices).all() else None
        parts = (pose.position, pose.rotation, pose.joints)
        return pose if all(np.isfinite(values).all() for values in parts) and pose.rotation.any() else None

    def _doubt(self, rows: Rows, dt: float) -> set[int]:
        """A sensor that is rejected again and again may be right: make room for it; returns which bodies were seen.

        Where nothing that is seen of an object is believed any more, room is made in every frame until something is,
        and contacts, which are only assumed, end.
        """
        belief, settings = self.belief, self.settings
        taken = rows.believed()
        bodies = {about: about[1] + belief.hand_count * (about[0] not in self._of_hands) for about in taken}
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
                self._contacts.release(belief, about[1])
                self._prediction.lose(about[1], misses * dt)
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
        assert self.timestamp is not None, "a step was taken"
        contacts, ranks, stiffness, twist, spread = [], {}, {}, {}, {}
        for index, body in enumerate(self.objects):
            points, held = self._contacts.describe(belief, index, (names, body.name))
            ranks[body.name], stiffness[body.name] = observability(points)
            contacts += held
        for number, name in enumerate(names):
            twist[name], spread[name] = self._twists.of(number)
            if number >= belief.hand_count:
                to_origin = origin_from_middle(belief.position[number] - position[name])
                twist[name], spread[name] = to_origin @ twist[name], to_origin @ spread[name] @ to_origin.T
        return Estimate(
            timestamp=self.timestamp,
            position=position,
            rotation=rotation,
            joints=joints,
            covariance=covariance,
            modes={body.name: self._prediction.modes[index] for index, body in enumerate(self.objects)},
            contacts=tuple(contacts),
            ranks=ranks,
            stiffness=stiffness,
            innovations=innovations,
            twist=twist,
            twist_covariance=spread,
        )

    def save(self) -> dict[str, np.ndarray]:
        """Everything that later steps depend on, as plain arrays; not what :meth:`smoothed` needs."""
        kept = {f"belief/{name}": values for name, values in self.belief.means().items()}
        kept["belief/covariance"] = self.belief.covariance.copy()
        kept |= {f"motion/{name}": values for name, values in self._prediction.snapshot().items()}
        kept |= {f"contacts/{name}": values for name, values in self._contacts.snapshot().items()}
        kept |= {f"surprises/{name}": values for name, values in self._surprises.snapshot().items()}
        kept |= {f"updater/{name}": values for name, values in self._updater.snapshot().items()}
        kept |= {f"sensors/{name}": values for name, values in self._sensors.snapshot().items()}
        kept |= {f"twists/{name}": values for name, values in self._twists.snapshot().items()}
        kept |= {f"misses/{name}": np.array(count) for name, count in self._misses.items()}
        kept["timestamp"] = np.array(np.nan if self.timestamp is None else self.timestamp)
        if self._began is not None:
            kept["began"] = self._began.copy()
        if self._camera is not None:
            kept["camera"] = self._camera.copy()
        return kept

    def restore(self, kept: dict[str, np.ndarray]) -> None:
        """Take what :meth:`save` returned, of a tracker of the same scene, sensors and settings.

        Raises:
            InputError: it is of another tracker, or broken; nothing is changed.
        """
        self._resume(check_state(kept, self.save(), self.hands))
        self._steps, self._recent = [], []
        self._taken.clear()

    def _resume(self, kept: dict[str, np.ndarray]) -> None:
        """Take a state that fits."""
        part = lambda name: {k[len(name) + 1 :]: v for k, v in kept.items() if k.startswith(f"{name}/")}  # noqa: E731
        means = part("belief")
        self.belief.assign(means, means.pop("covariance"))
        self._prediction.restore(part("motion"))
        self._contacts.restore(part("contacts"), self.belief)
        self._surprises.restore(part("surprises"))
        self._updater.restore(part("updater"))
        self._sensors.restore(part("sensors"))
        self._twists.restore(part("twists"))
        self._misses = {name: int(count) for name, count in part("misses").items()}
        self.timestamp = None if np.isnan(kept["timestamp"]) else float(kept["timestamp"])
        self._began = kept["began"].copy() if "began" in kept else None
        self._camera = kept["camera"].copy() if "camera" in kept else None
        self._prediction.touched, self._prediction.nearest = self._contacts.touched, self._contacts.nearest
        self._prediction.place_hands(self.belief)
        self._contacts.measure(self.belief)
