"""The tracker's sensors, one file each; they enter themselves in :data:`warpprior.observations.SENSORS`, by name."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib import import_module

from warpprior.observations import DETECTIONS, SENSORS, Observation
from warpprior.scene import Scene
from warpprior.support.errors import InputError
from warpprior.tracking.belief import Belief
from warpprior.tracking.sensors.base import Believed, Measurement, Sensor, SensorContext
from warpprior.tracking.update import Rows

__all__ = ["Believed", "Measurement", "Sensor", "SensorContext", "Sensors", "choose_sensors"]

# In the order in which they are listed, and in which points are added to an update.
for _file in ("keypoints3d", "fingertips", "keypoints2d", "joints", "center", "moments", "box", "mask", "depth"):
    import_module(f"{__name__}.{_file}")

RENAMED = {
    "keypoints-3d": "keypoints3d",
    "keypoints-2d": "keypoints2d",
    "object-center": "center",
    "object-center-2d": "center2d",
    "mask-area": "area",
    "centers": "center",
    "boxes": "box",
}
MOMENTS, PICTURES = ("center2d", "area", "moments"), ("mask", "depth")


class Sensors:
    """All sensors of one tracker.

    Args:
        names: of those of the package.
        own: the user's own.
        context: what they share.

    Raises:
        InputError: a sensor that is none, without a name, or of a name that is taken.
    """

    def __init__(self, names: Sequence[str], own: Sequence[Sensor], context: SensorContext):
        points = [SENSORS[name]() for name in names if name not in (*MOMENTS, *PICTURES)]
        moments = [name for name in names if name in MOMENTS]
        if moments:  # together they are one measurement
            points.append(SENSORS["moments"](moments))
        self._all: list[Sensor] = [*points, *(SENSORS[name]() for name in PICTURES if name in names)]
        taken = {sensor.name for sensor in self._all} | set(SENSORS) | {"contact"}
        for sensor in own:
            if not isinstance(sensor, Sensor):
                raise InputError("sensors", f"a {type(sensor).__name__}", "instances of warpprior.Sensor")
            if not sensor.name or "/" in sensor.name or sensor.name in taken:
                accepted = f"a name of its own, without '/', other than {', '.join(sorted(taken))}"
                raise InputError("sensors", f"the name {sensor.name!r} of a {type(sensor).__name__}", accepted)
            taken.add(sensor.name)
            self._all.append(sensor)
        for sensor in self._all:
            sensor.begin(context)

    def of_hands(self) -> set[str]:
        """Names of those that are about hands."""
        return {sensor.name for sensor in self._all if sensor.sees == "hands"}

    def add(self, belief: Belief, observation: Observation, rows: Rows) -> None:
        """Add what was observed, in the form that is checked before; hands are linearised at the mean."""
        for sensor in self._all:
            sensor.add(belief, observation, rows)

    def snapshot(self) -> dict:
        """What was learnt of the sensors, to be kept."""
        return {f"{s.name}/{key}": values for s in self._all for key, values in s.snapshot().items()}

    def restore(self, kept: dict) -> None:
        """Take what :meth:`snapshot` returned."""
        for sensor in self._all:
            start = f"{sensor.name}/"
            sensor.restore({key[len(start) :]: values for key, values in kept.items() if key.startswith(start)})


def choose_sensors(names: Sequence[str] | str, scene: Scene, *, live: bool = False, own: int = 0) -> tuple[str, ...]:
    """Names of sensors as the tracker knows them; ``auto`` is what the scene offers.

    Args:
        names: as the user gives them, a list or one text with commas.
        scene: the model, and perhaps what it observed.
        live: observations come later: every sensor that fits the bodies can be chosen.
        own: how many sensors the user adds.

    Raises:
        InputError: there is no such sensor, the scene has nothing for it, or ``auto`` finds nothing to choose from.
    """
    listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    offered = _possible(scene) if live else _offered(scene)
    if listed == ["auto"]:
        found = () if live else tuple(name for name in SENSORS if name in _worthwhile(offered))
        if not found and not own:
            choices = ", ".join(name for name in SENSORS if name in _possible(scene))
            text = "auto, but there is no data to choose by"
            raise InputError("--observe", text, f"name what will be observed, some of {choices}; or () for nothing")
        return found
    chosen = []
    for given in listed:
        name = _renamed(given)
        if name not in SENSORS:
            raise InputError("--observe", f"no sensor {given!r}", f"some of {', '.join(SENSORS)}; or auto alone")
        if name not in offered:
            found = f"{given!r}, for none of the bodies"
            if not live:
                found = f"{given!r}, of which scene {scene.name!r} has nothing"
            raise InputError("--observe", found, f"some of {', '.join(sorted(offered))}")
        chosen.append(name)
    return tuple(dict.fromkeys(chosen))


def _renamed(given: str) -> str:
    """The name of a sensor that may have been given by an old one.

    Raises:
        InputError: ``keypoints``, which once meant those in space while a scene's were those in the picture.
    """
    if given == "keypoints":
        accepted = "keypoints3d for those in space, keypoints2d for those in the picture"
        raise InputError("--observe", "'keypoints' may mean two things", accepted)
    if given in RENAMED:
        warnings.warn(f"--observe {given} is called {RENAMED[given]}", UserWarning, stacklevel=4)
    return RENAMED.get(given, given)


def _possible(scene: Scene) -> set[str]:
    """Sensors that the bodies of a scene leave something to see."""
    hands = [body for body in scene.bodies if body.known or not body.body.is_rigid]
    objects = [body for body in scene.bodies if not body.known and body.body.is_rigid]
    found = set()
    if any(hand.body.keypoint_count for hand in hands):
        found |= {"keypoints3d", "fingertips", "keypoints2d"}
    if any(hand.body.coordinate_count for hand in hands):
        found.add("joints")
    if objects:
        found |= {"center", "box", *MOMENTS, *PICTURES}
    return found


def _offered(scene: Scene) -> set[str]:
    """Sensors for which a scene has data."""
    hands = {body.name for body in scene.bodies if body.body.coordinate_count}
    has = {name: bool(getattr(scene, name)) for name in DETECTIONS}
    has["boxes"] = any(name not in hands for name in scene.boxes)
    has["labels"], has["depth"] = scene.labels is not None, scene.read_depth is not None
    has["joints"] = any(body.known and body.body.coordinate_count for body in scene.bodies)
    return {name for name, sensor in SENSORS.items() if has[sensor.channel]}


def _worthwhile(offered: set[str]) -> set[str]:
    """What ``auto`` takes: everything but what another sensor says better."""
    found = offered - {"fingertips", "center2d", "area", "joints"}  # each is part of another
    return found - {"moments", "box"} if "mask" in found else found
