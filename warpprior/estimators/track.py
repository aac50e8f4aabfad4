"""Tracking: an error-state filter that is told one frame after the other, and says how sure it is.

Hands follow their control, objects follow the contacts that stick, and whatever is observed corrects both (the paper's
section III-E, with the errors of the control in the state; see :mod:`warpprior.tracking`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from warpprior.device import resolve_device
from warpprior.errors import InputError
from warpprior.scene import Scene, SceneBody
from warpprior.tracking.actuators import Actuator, center_of
from warpprior.tracking.belief import Belief
from warpprior.tracking.contact import Contacts, observability
from warpprior.tracking.manifold import difference
from warpprior.tracking.motion import Motion
from warpprior.tracking.observation import HandPose, Observation, choose_sensors
from warpprior.tracking.sensors import Sensors
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.smoother import Step
from warpprior.tracking.update import Innovation, Rows, Updater

SLOTS = 12  # contacts that are listed where none is remembered
DOUBT = 9.0  # a sensor that is rejected again and again makes an object this much more uncertain, as a variance
LEAST_STEP = 1e-6  # [s]

Progress = Callable[[float, float, str], None]


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Estimate:
    """What a tracker believes at one time.

    Attributes:
        timestamp: of the observation [s].
        position, rotation: camera_from_body by name (3,) [m], (4,) xyzw.
        joints: joint coordinates of hands by name (coordinate,) [rad or m].
        covariance: of the errors by name (6 + coordinate, 6 + coordinate): shift [m] and rotation [rad] along the
            camera's axes, R_true = Exp(rotation) R, then joint coordinates.
        modes: what each object does: ``held``, ``rests``, ``flies``, or ``moves unseen``.
        contacts: (hand, object, place in the camera frame (3,) [m]) of each contact.
        ranks: degrees of freedom of each object that its contacts determine, 0 to 6.
        stiffness: smallest eigenvalue of the contacts' rotation information, for unit weights [m^2].
        innovations: what each sensor told.
    """

    timestamp: float
    position: dict[str, np.ndarray]
    rotation: dict[str, np.ndarray]
    joints: dict[str, np.ndarray]
    covariance: dict[str, np.ndarray]
    modes: dict[str, str]
    contacts: tuple[tuple[str, str, np.ndarray], ...]
    ranks: dict[str, int]
    stiffness: dict[str, float]
    innovations: dict[str, Innovation]


class Tracker:
    """Tracks the objects and hands of a scene, one observation at a time.

    Args:
        scene_model: camera and bodies; of their poses only the first frame is used, as the start.
        settings: of the filter.
        observe: names of sensors, see :data:`warpprior.tracking.observation.SENSORS`; ``auto`` takes what the scene
            offers.
        device: Warp device; None takes a GPU if there is one.
        record: keep what a smoother needs.

    Bodies that are estimated and rigid are objects; all others are hands: they move as they are told, nearly.

    Raises:
        InputError: nothing to track, or a sensor that does not exist.
    """

    def __init__(
        self,
        scene_model: Scene,
        settings: TrackSettings | None = None,
        *,
        observe: Sequence[str] | str = "auto",
        device: str | None = None,
        record: bool = False,
    ):
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
            widths, np.array([center_of(body) for body in self.objects]), slots, remembers=settings.anchors > 0
        )
        self._motion = Motion(self.actuators, len(self.objects), slots, settings, device)
        self._contacts = Contacts(self.actuators, self.objects, settings, device)
        self._sensors = Sensors(scene_model, self.actuators, self.objects, self.sensors, settings, device)
        self._updater, self._rows = Updater(settings), Rows(self.belief.width)
        self.steps: list[Step] | None = [] if record else None
        self.timestamp: float | None = None
        self._began: np.ndarray | None = None
        self._misses: dict[str, int] = {}
        self._place_objects()

    def _place_objects(self) -> None:
        belief, settings = self.belief, self.settings
        for index, body in enumerate(self.objects):
            place, columns = belief.hand_count + index, belief.object(index)
            belief.rotation[place] = body.initial.rotation[0]
            belief.position[place] = body.initial.position[0] + belief.arm(index)
            ray = belief.position[place] / max(float(np.linalg.norm(belief.position[place])), 1e-9)
            along = np.outer(ray, ray)
            own = np.zeros((6, 6))
            own[:3, :3] = settings.initial_lateral_m**2 * (np.eye(3) - along) + settings.initial_depth_m**2 * along
            own[3:, 3:] = settings.initial_rotation_rad**2 * np.eye(3)
            belief.covariance[columns, columns] = own

    def step(self, observation: Observation, timestamp: float) -> Estimate:
        """Take one observation.

        Args:
            observation: what is seen; whatever is missing is left out.
            timestamp: when [s]; later than the last one.

        Raises:
            InputError: the time does not advance, or an array has the wrong shape.
        """
        belief, motion, rows = self.belief, self._motion, self._rows
        controls = [self._control(observation, actuator) for actuator in self.actuators]
        before = (belief.position.copy(), belief.rotation.copy())
        dt = 0.0
        if self.timestamp is None:
            follows = np.eye(belief.width)
            motion.begin(belief, controls)
            motion.place_hands(belief)
        else:
            dt = float(timestamp) - self.timestamp
            if not LEAST_STEP <= dt < np.inf:
                raise InputError("track: timestamp", f"{timestamp} after {self.timestamp}", "times that advance")
            follows = motion.predict(belief, controls, dt)
            if self._began is not None:
                follows = follows @ self._began
        self.timestamp = float(timestamp)
        predicted = (belief.means(), belief.covariance.copy()) if self.steps is not None else None
        rows.clear()
        self._contacts.add_touch(belief, rows)
        if belief.remembers:
            self._contacts.add_anchors(belief, rows)
        self._sensors.add(belief, observation, rows)
        _, innovations = self._updater(belief, rows)
        self._contacts.count_misses(belief, rows)
        self._doubt(innovations)
        motion.place_hands(belief, linearise=False)
        if self.steps is not None:
            self.steps.append(Step(follows, *predicted, belief.means(), belief.covariance.copy()))
        if dt > 0.0:
            for index in range(len(self.objects)):
                place = belief.hand_count + index
                turn = difference(belief.rotation[place], before[1][place])
                motion.learn_velocity(index, belief.position[place] - before[0][place], turn, dt)
        self._began = self._contacts.refresh(belief)
        return self._estimate(innovations)

    def _control(self, observation: Observation, actuator: Actuator) -> HandPose | None:
        pose = observation.hands.get(actuator.name)
        if pose is None:
            return None
        if actuator.animated:
            count = actuator.body.vertex_count
            if pose.vertices is None or np.shape(pose.vertices) != (count, 3):
                found = "none" if pose.vertices is None else f"shape {np.shape(pose.vertices)}"
                raise InputError(f"vertices of {actuator.name!r}", found, f"shape {(count, 3)}")
            return pose if np.isfinite(pose.vertices).all() else None
        for name, values, width in (
            ("position", pose.position, 3),
            ("rotation", pose.rotation, 4),
            ("joints", pose.joints, actuator.width - 6),
        ):
            if np.shape(values) != (width,):
                found = f"shape {np.shape(values)}"
                raise InputError(f"pose of {actuator.name!r}: {name}", found, f"shape {(width,)}")
            if not np.isfinite(values).all():
                return None
        length = float(np.linalg.norm(pose.rotation))
        if abs(length - 1.0) > 1e-3:
            raise InputError(f"pose of {actuator.name!r}: rotation", f"length {length:.4g}", "a unit quaternion xyzw")
        return pose

    def _doubt(self, innovations: dict[str, Innovation]) -> None:
        """A sensor that is rejected again and again may be right: make room for it."""
        for name, told in innovations.items():
            if name in ("contact", "touch"):
                continue
            self._misses[name] = self._misses.get(name, 0) + 1 if told.rejected and not told.dof else 0
            if self._misses[name] >= self.settings.patience:
                self._misses[name] = 0
                for columns in self.belief.bodies:
                    self.belief.covariance[columns] *= np.sqrt(DOUBT)
                    self.belief.covariance[:, columns] *= np.sqrt(DOUBT)

    def _estimate(self, innovations: dict[str, Innovation]) -> Estimate:
        belief, names = self.belief, self.names
        contacts, ranks, stiffness = [], {}, {}
        position = {name: belief.position[i].copy() for i, name in enumerate(names)}
        covariance = {
            name: belief.covariance[columns, columns].copy() for name, columns in zip(names, belief.bodies, strict=True)
        }
        for index, body in enumerate(self.objects):
            place, held = belief.hand_count + index, belief.held_by(index)
            points = np.array([self._contact_point(slot) for slot in held]).reshape(-1, 3)
            position[body.name] = belief.origin(index)
            to_origin = belief.to_origin(index)
            covariance[body.name] = to_origin @ covariance[body.name] @ to_origin.T
            ranks[body.name], stiffness[body.name] = observability(points)
            for slot, point in zip(held, points, strict=True):
                contacts.append((names[belief.anchor_hand[slot]], names[place], point))
        return Estimate(
            timestamp=self.timestamp,
            position=position,
            rotation={name: belief.rotation[i].copy() for i, name in enumerate(names)},
            joints={actuator.name: belief.joints[i].copy() for i, actuator in enumerate(self.actuators)},
            covariance=covariance,
            modes={body.name: self._motion.modes[index] for index, body in enumerate(self.objects)},
            contacts=tuple(contacts),
            ranks=ranks,
            stiffness=stiffness,
            innovations=innovations,
        )

    def _contact_point(self, slot: int) -> np.ndarray:
        """Where a contact is, on the object if it remembers, else on the hand."""
        belief = self.belief
        if belief.remembers:
            return belief.anchors[slot].copy()
        return self.actuators[belief.anchor_hand[slot]].points[belief.anchor_point[slot]].astype(float)
