"""What a tracker believes at one time, and a finished sequence of it as a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from warpprior.result import Result
from warpprior.scene import Poses, Scene
from warpprior.tracking.hand_contacts import Contact
from warpprior.tracking.prediction import HELD
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.update import ASSUMED, Innovation
from warpprior.uncertainty import UNSURE_M, UNSURE_RAD

MOST_SPANS = 8  # that a note lists


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Estimate:
    """What a tracker believes at one time.

    Attributes:
        timestamp: of the observation [s].
        position, rotation: camera_from_body by name (3,) [m], (4,) xyzw.
        joints: joint coordinates of hands by name (coordinate,) [rad or m].
        covariance: of the errors by name (6 + coordinate, 6 + coordinate): shift [m] and rotation [rad] along the
            camera's axes, R_true = Exp(rotation) R, then joint coordinates.
        modes: what each object does: ``held``, ``touched``, ``rests``, ``flies``, ``moves`` or ``lost``.
        contacts: of hands with objects, see :class:`warpprior.tracking.hand_contacts.Contact`: names, point, outward
            normal, link, slip.
        ranks: degrees of freedom of each object that its contacts determine, 0 to 6.
        stiffness: smallest eigenvalue of the contacts' rotation information, for unit weights [m^2].
        innovations: what each sensor said, beside what was expected.
        twist: how fast each body moves, by name (6 + coordinate,): its origin [m/s], its rotation [rad/s], both along
            the camera's axes, and joint coordinates; as of this time, in the light of the frames before.
        twist_covariance: of that, by name (6 + coordinate, 6 + coordinate).
    """

    timestamp: float
    position: dict[str, np.ndarray]
    rotation: dict[str, np.ndarray]
    joints: dict[str, np.ndarray]
    covariance: dict[str, np.ndarray]
    modes: dict[str, str]
    contacts: tuple[Contact, ...]
    ranks: dict[str, int]
    stiffness: dict[str, float]
    innovations: dict[str, Innovation]
    twist: dict[str, np.ndarray]
    twist_covariance: dict[str, np.ndarray]


def tracked_result(
    scene: Scene, settings: TrackSettings, filtered: Sequence[Estimate], chosen: Sequence[Estimate], complete: bool
) -> Result:
    """A tracked sequence as a result.

    Args:
        scene: what was tracked; frames that were not reached keep their initial poses.
        settings: of the filter.
        filtered: what the filter said, whose innovations become the history.
        chosen: what is returned, filtered or smoothed.
        complete: all frames were reached.
    """
    poses = {}
    for body in scene.bodies:
        initial = body.initial
        if body.known or not chosen:
            poses[body.name] = initial
            continue
        size = 6 + body.body.coordinate_count
        position, rotation, joints = (np.array(a) for a in (initial.position, initial.rotation, initial.joints))
        covariance = np.full((scene.frame_count, size, size), np.nan)
        for frame, estimate in enumerate(chosen):
            position[frame], rotation[frame] = estimate.position[body.name], estimate.rotation[body.name]
            joints[frame] = estimate.joints.get(body.name, joints[frame])
            covariance[frame] = estimate.covariance[body.name]
        # A Gaussian knows no limits; whoever takes these poses may.
        lower, upper = np.minimum(body.body.lower, initial.joints), np.maximum(body.body.upper, initial.joints)
        joints = np.clip(joints, lower, upper)
        poses[body.name] = Poses(position, rotation, joints, initial.shape, initial.scale, covariance)
    return Result(
        scene=scene,
        poses=poses,
        history=_history(filtered),
        settings=settings.as_dict(),
        notes=tuple(_notes(filtered, chosen)),
        complete=complete,
    )


def _history(estimates: Sequence[Estimate]) -> dict[str, np.ndarray]:
    """One row per frame: what sensors said, and what held the objects."""
    columns = {
        "frame": np.arange(len(estimates)),
        "timestamp": np.array([estimate.timestamp for estimate in estimates]),
    }
    for sensor in dict.fromkeys(name for estimate in estimates for name in estimate.innovations):
        said = [estimate.innovations.get(sensor) for estimate in estimates]
        columns[f"nis/{sensor}"] = np.array([t.nis if t is not None and t.dof else np.nan for t in said])
        columns[f"dof/{sensor}"] = np.array([0 if t is None else t.dof for t in said])
        columns[f"rejected/{sensor}"] = np.array([0 if t is None else t.rejected for t in said])
    for name in estimates[0].modes if estimates else ():
        columns[f"held/{name}"] = np.array([int(estimate.modes[name] == HELD) for estimate in estimates])
        contacts = [sum(1 for contact in estimate.contacts if contact.object == name) for estimate in estimates]
        columns[f"contacts/{name}"] = np.array(contacts)
        columns[f"rank/{name}"] = np.array([estimate.ranks[name] for estimate in estimates])
        columns[f"stiffness/{name}"] = np.array([estimate.stiffness[name] for estimate in estimates])
    return columns


def _notes(filtered: Sequence[Estimate], chosen: Sequence[Estimate]) -> list[str]:
    """What each object did, and what is not known of it."""
    notes = []
    for name in filtered[0].modes if filtered else ():
        spans, frame = [], 0
        for mode, run in groupby(estimate.modes[name] for estimate in filtered):
            count = len(list(run))
            spans.append(f"{mode} in frames {frame} to {frame + count - 1}")
            frame += count
        more = f", and {len(spans) - MOST_SPANS} changes more" if len(spans) > MOST_SPANS else ""
        notes.append(f"{name}: {', '.join(spans[:MOST_SPANS])}{more}.")
        sigma = np.sqrt(np.diagonal(chosen[-1].covariance[name])[:6])
        if sigma[:3].max() > UNSURE_M:
            notes.append(f"{name}: where it is, is not observed at the end: {1e3 * sigma[:3].max():.0f} mm (1 sigma).")
        if sigma[3:].max() > UNSURE_RAD:
            spread = f"{np.degrees(sigma[3:].max()):.0f} degrees (1 sigma)"
            notes.append(f"{name}: how it is turned is not observed at the end: {spread}.")
    said = [(sensor, own.dof) for estimate in filtered for sensor, own in estimate.innovations.items()]
    for sensor in dict.fromkeys(sensor for sensor, _ in said if sensor not in ASSUMED):
        believed = [dof > 0 for name, dof in said if name == sensor]
        if 2 * sum(believed) < len(believed):
            count = f"{len(believed) - sum(believed)} of {len(believed)}"
            notes.append(f"{sensor}: nothing it said was believed in {count} frames: is it wrong, or the first poses?")
    return notes
