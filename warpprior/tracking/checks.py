"""What a tracker is given has the form it needs, before anything of it is believed."""

from __future__ import annotations

import numbers
import warnings

import numpy as np

from warpprior.bodies.body import UNIT_TOLERANCE
from warpprior.observations import CHANNELS, HandPose, Observation
from warpprior.scene import IGNORE_LABEL, Scene, SceneBody
from warpprior.support.errors import InputError

BY_BODY = tuple(channel for channel in CHANNELS.values() if channel.rows is not None)
LEAST_STEP, MOST_STEP = 1e-6, 1e6  # [s]
MOST_LATE = 10.0  # [s]
COARSE = 1e-3  # [s]: what times of 32 bits must tell apart
MOST = 1000.0  # of poses [m, rad]: control is not judged, it is believed


def check_lag(lag: int) -> None:
    """Refuse what is no number of frames.

    Raises:
        InputError: says what it is.
    """
    if not isinstance(lag, numbers.Integral) or lag < 0:
        raise InputError("track: lag", repr(lag), "a whole number of frames, 0 or more")


def check_late(late_s: float) -> None:
    """Refuse what is no time, or too long to keep all that came in it.

    Raises:
        InputError: says what it is.
    """
    if not isinstance(late_s, numbers.Real) or not 0.0 <= late_s <= MOST_LATE:
        raise InputError("track: late_s", repr(late_s), f"seconds from 0 to {MOST_LATE:g}")


def read_time(timestamp: object) -> float:
    """A time as a number.

    Raises:
        InputError: it is none.
    """
    try:
        return float(timestamp)  # pyright: ignore[reportArgumentType] - whatever float takes
    except (TypeError, ValueError):
        raise InputError("track: timestamp", repr(timestamp), "seconds, a number") from None


def bits_missing(timestamp: float) -> str:
    """What is to be said of a time that has no more digits than 32 bits hold, where frames need them; else nothing."""
    with np.errstate(over="ignore", invalid="ignore"):
        single = np.float32(timestamp)
        coarse = bool(single == timestamp) and bool(np.spacing(np.abs(single)) > COARSE)
    return "; this one looks like 32 bits, give 64" if coarse else ""


def check_time(timestamp: float, last: float | None) -> None:
    """Refuse times that do not advance, or so far that they cannot be seconds.

    Args:
        timestamp: of an observation [s].
        last: of the one before, None if there was none.

    Raises:
        InputError: says both.
    """
    after = "" if last is None else f" after {last}"
    if not np.isfinite(timestamp) or (last is not None and timestamp - last < LEAST_STEP):
        raise InputError("track: timestamp", f"{timestamp}{after}", f"times that advance{bits_missing(timestamp)}")
    if last is not None and timestamp - last > MOST_STEP:
        accepted = f"seconds, at most {MOST_STEP:g} from one to the next; divide nanoseconds by 1e9"
        raise InputError("track: timestamp", f"{timestamp}{after}", accepted)


def check_observation(observation: Observation, scene: Scene, *, live: bool = False) -> None:
    """Refuse arrays that do not fit the bodies and the camera of a scene.

    Args:
        observation: what is seen.
        scene: the model.
        live: nobody has read and checked a recording before.

    Raises:
        InputError: names the body, what was found, and what is accepted.
    """
    if not isinstance(observation, Observation):
        raise InputError("track: observation", f"a {type(observation).__name__}", "a warpprior.Observation")
    bodies = {body.name: body for body in scene.bodies}
    for name, pose in observation.hands.items():
        _check_pose(_owner("pose", name, bodies), pose)
    for channel in BY_BODY:
        for name, values in getattr(observation, channel.name).items():
            owner = _owner(channel.words, name, bodies).body
            shape = channel.shape(owner.keypoint_count, owner.coordinate_count)
            without_confidence = ((*shape[:-1], shape[-1] - 1),) if channel.per_keypoint else ()
            accepted = (*without_confidence, shape)
            _check_array(f"{channel.words} of {name!r}", values, accepted)
    if observation.camera is not None:
        _check_camera(observation.camera)
    size = (scene.camera.height, scene.camera.width)
    for words, picture in (("label image", observation.labels), ("depth image", observation.depth)):
        if picture is not None:
            _check_array(words, picture, (size,))
    if observation.labels is not None:
        _check_labels(np.asarray(observation.labels), {body.name: body.label for body in scene.bodies}, live)


def _check_camera(camera: object) -> None:
    """Where the camera is; NaN: that is not known."""
    where = "pose of the camera"
    _check_array(where, camera, ((7,),))
    length = float(np.linalg.norm(np.asarray(camera, dtype=float)[3:]))
    if abs(length - 1.0) > UNIT_TOLERANCE:
        raise InputError(f"{where}: rotation", f"length {length:.4g}", "a unit quaternion xyzw")


def _check_labels(labels: np.ndarray, own: dict[str, int], live: bool) -> None:
    """Every pixel is a label; a picture of probabilities is none, and masks do not say whose they are."""
    if labels.dtype == np.bool_ and list(own.values()) != [1]:
        wanted = ", ".join(f"{label} where {name} is" for name, label in list(own.items())[:4])
        raise InputError("label image", "true and false, which would be label 1", f"a picture with {wanted}")
    if live and labels.dtype == np.uint8 and len(own) == 1 and IGNORE_LABEL not in own.values():
        if labels.any() and not (labels % IGNORE_LABEL).any() and not labels.all():
            ((name, label),) = own.items()
            told = f"label image: no values but 0 and 255, which is don't-care; if that is {name}, give mask // 255"
            warnings.warn(told + (f" * {label}" if label != 1 else ""), stacklevel=4)
    if labels.dtype in (np.uint8, np.bool_):
        return
    wrong = ~((labels >= 0) & (labels <= IGNORE_LABEL))
    if labels.dtype.kind == "f":
        wrong |= labels != np.round(labels)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        found = f"{labels[row, column]} at row {row}, column {column}"
        raise InputError("label image", found, f"whole numbers from 0 to {IGNORE_LABEL}")


def _check_array(where: str, values: object, accepted: tuple[tuple[int, ...], ...]) -> None:
    """It holds numbers and has one of these shapes."""
    try:
        values = np.asarray(values)
    except (TypeError, ValueError):
        raise InputError(where, "lists of different lengths", f"shape {accepted[0]}") from None
    if values.dtype.kind not in "biuf":
        raise InputError(where, f"values of type {values.dtype}", "real numbers")
    if values.shape not in accepted:
        wanted = " or ".join(str(shape) for shape in accepted)
        raise InputError(where, f"shape {values.shape}", f"shape {wanted}")


def _owner(words: str, name: str, bodies: dict[str, SceneBody]) -> SceneBody:
    if name not in bodies:
        raise InputError(f"{words} of {name!r}", "no such body", f"one of {', '.join(bodies)}")
    return bodies[name]


def _check_pose(owner: SceneBody, pose: HandPose) -> None:
    if not isinstance(pose, HandPose):
        raise InputError(f"pose of {owner.name!r}", f"a {type(pose).__name__}", "a HandPose; leave out what is missing")
    if owner.body.animation is not None:
        _check_array(f"vertices of {owner.name!r}", pose.vertices, ((owner.body.vertex_count, 3),))
        return
    widths = {"position": 3, "rotation": 4, "joints": owner.body.coordinate_count}
    for name, width in widths.items():
        where, values = f"pose of {owner.name!r}: {name}", getattr(pose, name)
        _check_array(where, values, ((width,),))
        largest = float(np.abs(values).max()) if width else 0.0
        if MOST < largest < np.inf:  # what is not finite is missing
            raise InputError(where, f"{largest:g}", f"metres and radians, at most {MOST:g}")
    length = float(pose.rotation @ pose.rotation) ** 0.5
    if not pose.rotation.any():  # no rotation is: such a pose is a missing one, as many networks mark it
        return
    if abs(length - 1.0) > UNIT_TOLERANCE:  # NaN is not greater: such a pose is a missing one
        raise InputError(f"pose of {owner.name!r}: rotation", f"length {length:.4g}", "a unit quaternion xyzw")
