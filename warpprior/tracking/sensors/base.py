"""What every sensor of the tracker is: one class that turns an observation into rows of an update.

A sensor of your own needs a name and :meth:`Sensor.measure`; :class:`warpprior.Tracker` takes it as it is::

    class RangeFinder(warpprior.Sensor):
        name = "range"

        def measure(self, observation, believed):
            place = believed.position("mug")
            distance = np.linalg.norm(place)
            jacobian = np.zeros((1, 6))
            jacobian[0, :3] = place / distance
            yield warpprior.Measurement("mug", [observation.extra["range"] - distance], jacobian, sigma=0.002)

    tracker = warpprior.Tracker(camera, bodies, observe=["mask"], sensors=[RangeFinder()])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from warpprior.observations import Observation
from warpprior.scene import Poses, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.tracking.belief import Belief
from warpprior.tracking.hands import TrackedHand
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.single_frame import SingleFrame
from warpprior.tracking.update import Rows

NEAR = 0.01  # what is nearer to the camera is not seen [m]


@dataclass
class SensorContext:
    """What all sensors of a tracker share.

    Attributes:
        scene: the model: camera and bodies; nothing that it observes is looked at.
        hands: the bodies that move objects, in the belief's order.
        objects: the objects, likewise.
        settings: of the tracker, every sigma filled in.
        device: name of the Warp device.
        elsewhere: other poses that an object may have than the one that is believed, from which it is searched for.
    """

    scene: Scene
    hands: Sequence[TrackedHand]
    objects: Sequence[SceneBody]
    settings: TrackSettings
    device: str
    elsewhere: Callable[[Belief, int], Sequence[Poses]] = lambda belief, index: ()

    @cached_property
    def single_frame(self) -> SingleFrame:
        """All bodies at one moment, on the device; made when the first sensor asks for it."""
        return SingleFrame(self.scene, self.device)

    def surfaces(self) -> dict[str, np.ndarray]:
        """Vertices (vertex, 3) [m] in the camera frame of hands that are given by them, by name."""
        return {h.name: h.surface for h in self.hands if h.animated and h.surface is not None}

    def poses(self, belief: Belief) -> dict[str, Poses]:
        """The belief's mean as poses of one frame, by name."""
        found = {}
        for hand, carrier in enumerate(self.hands):
            found[carrier.name] = Poses(
                belief.position[hand][None], belief.rotation[hand][None], belief.joints[hand][None]
            )
        for index, body in enumerate(self.objects):
            rotation = belief.rotation[belief.hand_count + index]
            found[body.name] = Poses(belief.origin(index)[None], rotation[None], np.zeros((1, 0)))
        return found

    def priors(self, belief: Belief) -> dict[str, np.ndarray]:
        """How sure the poses of objects are: information (6, 6) in the error of each, by name."""
        return {body.name: belief.information(index) for index, body in enumerate(self.objects)}

    @cached_property
    def _lens(self) -> tuple[np.ndarray, np.ndarray]:
        camera = self.scene.camera
        return np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where points (point, 3) [m] are drawn (point, 2) [px], and the derivatives by the points (point, 2, 3)."""
        focal, center = self._lens
        places = points[:, :2] / points[:, 2:]
        slopes = np.zeros((len(points), 2, 3))
        slopes[:, 0, 0], slopes[:, 1, 1] = (focal / points[:, 2:]).T
        slopes[:, :, 2] = -focal * places / points[:, 2:]
        return focal * places + center, slopes


class Believed:
    """Where the tracker believes bodies to be when it looks at an observation; by name, as :class:`Estimate` has it.

    Args:
        belief: of the tracker.
        context: names the bodies.
    """

    def __init__(self, belief: Belief, context: SensorContext):
        self._belief = belief
        self._names = [*(h.name for h in context.hands), *(b.name for b in context.objects)]

    def index(self, name: str) -> int:
        """Which body it is, hands first.

        Raises:
            InputError: the tracker has no such body.
        """
        if name not in self._names:
            raise InputError("sensor", f"measures {name!r}", f"one of {', '.join(self._names)}")
        return self._names.index(name)

    def position(self, name: str) -> np.ndarray:
        """Origin of a body, camera frame (3,) [m]."""
        place = self.index(name)
        hands = self._belief.hand_count
        return self._belief.position[place].copy() if place < hands else self._belief.origin(place - hands)

    def rotation(self, name: str) -> np.ndarray:
        """camera_from_body, unit quaternion (4,) xyzw."""
        return self._belief.rotation[self.index(name)].copy()

    def joints(self, name: str) -> np.ndarray:
        """Joint coordinates of a hand (coordinate,) [rad or m]; none of an object (0,)."""
        place = self.index(name)
        return self._belief.joints[place].copy() if place < self._belief.hand_count else np.zeros(0)


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Measurement:
    """One thing that was measured, which is believed or left out as a whole.

    Attributes:
        body: name of the body that it is about.
        residual: observed minus expected (n,); what is not finite says nothing.
        jacobian: of what is expected, by the error of the body's pose (n, 6 + coordinate): shift of its origin [m],
            rotation about it [rad], both along the camera's axes, and joint coordinates of a hand.  Or a mapping of
            such arrays, by names of bodies.
        sigma: standard deviation of the noise, of all or of each (n,), in the unit of the residual.
        key: which measurement of the sensor, the same from frame to frame.
    """

    body: str
    residual: Sequence[float] | np.ndarray
    jacobian: np.ndarray | Mapping[str, np.ndarray]
    sigma: float | Sequence[float] | np.ndarray
    key: object = 0


class Sensor:
    """Base of all sensors.  Yours gives :attr:`name` and :meth:`measure`; the rest may stay as it is.

    Attributes:
        name: in ``observe``, in the history and in messages.
        sees: whether it is about ``objects`` or about ``hands``: who becomes less certain when it is rejected.
        channel: of :data:`warpprior.observations.CHANNELS`, or None.
        gate: share of its true observations that pass; None takes the settings' ``gate``.
        context: what sensors share, from :meth:`begin` on.
    """

    name: str = ""
    sees: Literal["objects", "hands"] = "objects"
    channel: str | None = None
    gate: float | None = None
    context: SensorContext

    def begin(self, context: SensorContext) -> None:
        """The tracker is made.  Allocate here whatever steps need; call this one first."""
        self.context = context

    def measure(self, observation: Observation, believed: Believed) -> Iterable[Measurement]:
        """What the observation says, beside what is expected at the belief's mean.

        Args:
            observation: of one step; what your sensor reads is in ``observation.extra``, if it is there.
            believed: where the bodies are expected.
        """
        raise NotImplementedError(f"sensor {self.name!r} measures nothing")

    def read(self, scene: Scene, frame: int) -> object:
        """What :func:`warpprior.track` puts into ``extra`` under the sensor's name for a frame; None: nothing."""
        return None

    def snapshot(self) -> dict[str, np.ndarray]:
        """What was learnt and later steps depend on, as arrays of fixed shapes, to be kept."""
        return {}

    def restore(self, kept: Mapping[str, np.ndarray]) -> None:
        """Take what :meth:`snapshot` returned."""

    def add(self, belief: Belief, observation: Observation, rows: Rows) -> None:
        """Add the rows of an update.  Sensors of the package do so themselves; yours have :meth:`measure`.

        Raises:
            InputError: a measurement is of no body, of one that the sensor does not see, or its shapes do not fit.
        """
        believed = Believed(belief, self.context)
        found = self.measure(observation, believed)
        if not isinstance(found, Iterable):
            accepted = "measurements, one after the other (yield), or a list of them"
            raise InputError(f"sensor {self.name!r}", f"measure returned {type(found).__name__}", accepted)
        for measured in found:
            if not isinstance(measured, Measurement):
                raise InputError(f"sensor {self.name!r}", f"a {type(measured).__name__}", "a warpprior.Measurement")
            self._add_measurement(belief, believed, measured, rows)

    def _add_measurement(self, belief: Belief, believed: Believed, measured: Measurement, rows: Rows) -> None:
        where, place = f"sensor {self.name!r}", believed.index(measured.body)
        of_hand = place < belief.hand_count
        if of_hand != (self.sees == "hands"):
            raise InputError(where, f"measures {measured.body!r}", f"{self.sees}, as its 'sees' says")
        residual = np.asarray(measured.residual, dtype=float)
        if residual.ndim != 1:
            raise InputError(f"{where}: residual", f"shape {residual.shape}", "shape (n,)")
        sigma = np.broadcast_to(np.asarray(measured.sigma, dtype=float), residual.shape)
        if not ((sigma > 0.0) & np.isfinite(sigma)).all():
            raise InputError(f"{where}: sigma", f"{measured.sigma}", "finite numbers above zero")
        key = (place if of_hand else place - belief.hand_count, measured.key)
        own = rows.add(self.name, key, residual, sigma**2, gate=self.gate)
        if own is None:
            return
        parts = measured.jacobian if isinstance(measured.jacobian, Mapping) else {measured.body: measured.jacobian}
        for name, part in parts.items():
            body = believed.index(name)
            columns = belief.bodies[body]
            part, wanted = np.asarray(part, dtype=float), (len(residual), columns.stop - columns.start)
            if part.shape != wanted or not np.isfinite(part).all():
                raise InputError(f"{where}: jacobian by {name!r}", f"shape {part.shape}", f"finite, shape {wanted}")
            # The belief has the middle of an object, the world its origin.
            own[:, columns] = part if body < belief.hand_count else part @ belief.to_origin(body - belief.hand_count)


def add_evidence(sensor: str, found: Mapping, context: SensorContext, belief: Belief, rows: Rows) -> None:
    """Rows of what a picture says about each object, :class:`warpprior.tracking.evidence.Evidence` by name."""
    for index, body in enumerate(context.objects):
        jacobian, values = found[body.name].rows()
        if len(values):
            own = rows.add(sensor, (index,), values, 1.0)
            if own is not None:
                own[:, belief.object(index)] = jacobian @ belief.to_origin(index)
                block, said = rows.blocks[-1], found[body.name]
                block.fits, block.whole, block.anew = said.fits, said.fits, said.anew
