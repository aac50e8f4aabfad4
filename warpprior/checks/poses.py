"""First guesses in another convention: each that the field knows is drawn beside the labels and the keypoints."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.checks.comparison import FEWEST_FRAMES, Choice, clearly_better, likeness, may_be_bettered, nearness
from warpprior.checks.evidence import PASSES, Evidence, compare_points
from warpprior.checks.registry import check
from warpprior.checks.timing import BOXES, GUESS, KEYPOINTS, LABELS, tracks
from warpprior.finding import Finding
from warpprior.scene import Poses, Scene, SceneBody
from warpprior.support.wording import frame_list

BRIEF_PASSES = 2  # by which each reading is laid on its label in a brief check
LEAST_OWN_GAIN = 0.04  # of the agreement, of a body that is read as all are together
FOLLOWS_WITHIN = 0.1  # of the agreement: so much worse a reading is taken for the sake of one for all bodies
REPEATED = 3  # frames with one and the same pose, to the last bit
OFF_SIZES, MANY = 0.5, 1.0 / 3.0  # such frames are missing where labels are so far off; so many are worth a warning
OPENGL, PYTORCH3D = np.array([1.0, -1.0, -1.0]), np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Reading:
    """What poses would be if they were stored in another convention.

    Attributes:
        code: of the finding.
        words: what they look like.
        cure: what to do with them.
        read: makes ours of them: position (frame, 3), rotation (frame, 4).
    """

    code: str
    words: str
    cure: str
    position: np.ndarray
    rotation: np.ndarray


def readings(poses: Poses) -> Iterator[Reading]:
    """All conventions that are tried, of poses in some frames; those that are two at once come last."""
    yield from _directions(poses.position, poses.rotation, "", "")
    order = poses.rotation[:, [1, 2, 3, 0]]
    words, cure = "quaternions in the order w, x, y, z", "reorder the quaternions: rotation[:, [1, 2, 3, 0]]"
    yield Reading("quaternion_order", words, cure, poses.position, order)
    yield from _eulers(poses.position, poses.rotation)
    yield from _directions(poses.position, order, f"{words}, and ", f"{cure}; then ")


def _directions(place: np.ndarray, rotation: np.ndarray, words: str, cure: str) -> Iterator[Reading]:
    turn = Rotation.from_quat(rotation)
    inverse = turn.inv()
    back = -inverse.apply(place)

    def reading(code: str, what: str, how: str, position: np.ndarray, turned: Rotation) -> Reading:
        return Reading("quaternion_order" if words else code, words + what, cure + how, position, turned.as_quat())

    transposed = "transpose the rotations: rotation.transpose(0, 2, 1), or negate x, y, z of the quaternions"
    yield reading(
        "rotation_transposed", "rotations transposed (camera axes in the body's frame)", transposed, place, inverse
    )
    invert = "invert the poses: numpy.linalg.inv of the 4 x 4 matrices"
    yield reading("pose_inverse", "inverse poses (camera in the body's frame)", invert, back, inverse)
    for axes, name, signs in ((OPENGL, "OpenGL", "1, -1, -1"), (PYTORCH3D, "PyTorch3D", "-1, -1, 1")):
        flipped, both = (Rotation.from_matrix(axes[:, None] * each.as_matrix()) for each in (turn, inverse))
        flip = f"multiply rotations and positions by diag({signs}) from the left"
        yield reading("opengl_axes", f"poses in {name}'s camera axes", flip, place * axes, flipped)
        yield reading(
            "opengl_axes", f"inverse poses in {name}'s camera axes", f"invert, then {flip}", back * axes, both
        )


def _eulers(place: np.ndarray, rotation: np.ndarray) -> Iterator[Reading]:
    """Euler angles that were put together in the other order, about the same axes or about those of the body."""
    turn = Rotation.from_quat(rotation)
    for made in ("xyz", "zyx"):
        angles = turn.as_euler(made)
        for meant in (made.upper(), made[::-1]):
            values = angles if meant.upper() == made.upper() else angles[:, ::-1]
            if meant == made[::-1].upper():
                continue
            other = Rotation.from_euler(meant, values)
            words = f"Euler angles about {meant} that were put together about {made}"
            yield Reading("euler_or_degrees", words, f"Rotation.from_euler({meant!r}, angles)", place, other.as_quat())


@check
def pose_conventions(evidence: Evidence) -> Iterator[Finding]:
    """Another reading of the first guess that agrees with labels and keypoints where the given one does not.

    All poses of a file mostly come from one program, so bodies are asked together first, and then each by itself.
    """
    asked = [_Asked(item, evidence) for item in evidence.scene.bodies if item.body.animation is None]
    asked = [each for each in asked if each.before]
    together = None
    if any(may_be_bettered(each.before) for each in asked):
        rows = [[np.nanmean(said, axis=0) for said in (each.before, each.after)] for each in asked]
        together = clearly_better([before for before, _ in rows], [after for _, after in rows])
    own = [clearly_better(each.before, each.after) if may_be_bettered(each.before) else None for each in asked]
    sure = [choice for choice in (together, *own) if choice is not None]
    if not sure:
        return
    leading = together or max(sure, key=lambda choice: choice.cured - choice.stated)
    for each, choice in zip(asked, own, strict=True):
        told = each.told_by(leading.number)
        if told is not None and (choice is None or told.cured > choice.cured - FOLLOWS_WITHIN):
            choice = told
        if choice is not None:
            yield each.finding(choice)


class _Asked:
    """One body, and what its witnesses say of its first guess and of other readings of it."""

    def __init__(self, item: SceneBody, evidence: Evidence):
        self.item, self.evidence = item, evidence
        poses = item.initial.frames(evidence.frames)
        self.before = _agreements([Reading("", "", "", poses.position, poses.rotation)], item, evidence)
        self._poses = poses

    @functools.cached_property
    def tried(self) -> list[Reading]:
        return list(readings(self._poses))

    @functools.cached_property
    def after(self) -> list[np.ndarray]:
        return _agreements(self.tried, self.item, self.evidence)

    def told_by(self, number: int) -> Choice | None:
        """The reading that all bodies together have, where this one does not speak against it."""
        total, own = np.nanmean(self.after, axis=0)[number], np.nanmean(self.before, axis=0)[0]
        heard = np.isfinite(own)
        stated, cured = float(np.mean(own[heard])), float(np.mean(total[heard]))
        if not cured > stated + LEAST_OWN_GAIN:
            return None
        better = heard & (total > own)
        return Choice(number, (), stated, cured, float(better.sum() / heard.sum()), np.flatnonzero(better))

    def finding(self, choice: Choice) -> Finding:
        reading, name = self.tried[choice.number], self.item.name
        frames = self.evidence.frames[choice.rows]
        rivals = sorted({self.tried[number].code for number in choice.as_good} - {reading.code})
        return Finding(
            code=reading.code,
            level="warning" if rivals else "error",
            body=name,
            frames=tuple(int(frame) for frame in frames),
            message=(
                f"the first guess of {name} looks like {reading.words}: so read it agrees with "
                f"{_witnesses(self.item, self.evidence)} by {choice.cured:.2f} of 1, as it is by {choice.stated:.2f}, "
                f"better in {frame_list(frames)}" + (f"; {' and '.join(rivals)} would do as well" if rivals else "")
            ),
            cure=f"poses of {name}: {reading.cure}",
            evidence=choice.numbers,
            mend=functools.partial(_with_reading, name=name, number=choice.number),
        )


def _witnesses(item: SceneBody, evidence: Evidence) -> str:
    seen = ["its label"] if evidence.views[item.name].usable.any() else []
    return " and ".join([*seen, *(["its keypoints"] if item.name in evidence.points else [])])


def _agreements(tried: list[Reading], item: SceneBody, evidence: Evidence) -> list[np.ndarray]:
    """What each witness says of readings: agreements (reading, frame) in [0, 1], NaN where it sees nothing."""
    view, found = evidence.views[item.name], []
    position = np.stack([each.position for each in tried])
    rotation = np.stack([each.rotation for each in tried])
    if view.usable.sum() >= FEWEST_FRAMES:
        placed = view.place(rotation, BRIEF_PASSES if evidence.brief else PASSES)
        middle = view.middles(position, rotation)
        raw = view.shares(view.draw(position, rotation))
        camera, depth = evidence.camera, np.maximum(middle[..., 2], 1e-3)
        apart = (middle[..., :2] / depth[..., None] - placed.middle[..., :2] / placed.middle[..., 2:]) * camera.fx
        near = nearness(np.linalg.norm(apart, axis=2) / view.size, np.log(depth / placed.middle[..., 2]))
        share = np.maximum(raw, placed.share * near)
        found.append(np.where(view.usable & (middle[..., 2] > 1e-3), share, np.where(view.usable, 0.0, np.nan)))
    if item.name in evidence.points:
        points, frames = evidence.points[item.name], evidence.frames
        usable = points.usable[frames]
        if usable.sum() >= FEWEST_FRAMES:
            rows = []
            for each in tried:
                drawn = points.project(each.position, each.rotation, points.local[frames])
                like = compare_points(drawn, points.found[frames])
                near = nearness(np.linalg.norm(like.shift, axis=1) / like.size, np.log(like.factor))
                rows.append(likeness(like.miss) * near)
            found.append(np.where(usable, np.array(rows), np.nan))
    return found


def _with_reading(scene: Scene, *, name: str, number: int) -> Scene:
    """The scene with the poses of a body read in another convention, by its place among :func:`readings`."""
    initial = scene.body(name).initial
    reading = list(readings(initial))[number]
    return scene.with_poses({name: replace(initial, position=reading.position, rotation=reading.rotation)})


@check
def missing_poses(evidence: Evidence) -> Iterator[Finding]:
    """Frames without a first guess, marked by zeros or by one and the same pose, which the body cannot have."""
    for item in evidence.scene.bodies:
        if item.known or item.body.animation is not None:
            continue
        initial = item.initial
        zeros = ~initial.position.any(axis=1)
        _, inverse, counts = np.unique(
            np.column_stack([initial.position, initial.rotation]), axis=0, return_inverse=True, return_counts=True
        )
        which = inverse.ravel()
        runs = np.bincount(which[np.append(True, np.diff(which) != 0)], minlength=len(counts))
        # What rests keeps its pose, but what has left it does not come back to the last bit.
        repeated = (counts >= REPEATED)[which] & ((runs > 1)[which] | _away(item, evidence))
        missing = zeros | repeated
        if not missing.any():
            continue
        frames = np.flatnonzero(missing)
        what = "all zeros" if zeros.any() else "one and the same pose"
        yield Finding(
            "initial_missing",
            "warning" if zeros.any() or missing.mean() > MANY else "note",
            item.name,
            tuple(int(frame) for frame in frames),
            f"the first guess of {item.name} in {frame_list(frames)} is {what}: there is none",
            f"poses of {item.name}: mark missing ones with NaN; they are interpolated",
            {"frames": len(frames), "share": float(missing.mean())},
            functools.partial(_with_gaps_filled, name=item.name, missing=missing),
        )


def _away(item: SceneBody, evidence: Evidence) -> np.ndarray:
    """Frames (frame,) bool in which the first guess is clearly not where the body is seen."""
    away = np.zeros(item.initial.frame_count, dtype=bool)
    places = {(track.body, track.kind): track.places for track in evidence.once(tracks)}
    guess = places[item.name, GUESS]
    for kind, reach in (
        (LABELS, evidence.views[item.name].size.max() * evidence.step),
        (BOXES, None),
        (KEYPOINTS, None),
    ):
        if (item.name, kind) not in places:
            continue
        apart = np.linalg.norm(places[item.name, kind] - guess, axis=1)
        usual = np.nanpercentile(apart, 25)
        limit = OFF_SIZES * reach if reach is not None else OFF_SIZES * evidence.scene.camera.width / 4.0
        away |= (apart > limit) & (apart > 2.0 * usual)
        away |= ~np.isfinite(guess).all(axis=1)
        break
    return away


def _with_gaps_filled(scene: Scene, *, name: str, missing: np.ndarray) -> Scene:
    from scipy.spatial.transform import Slerp

    initial, there = scene.body(name).initial, np.flatnonzero(~missing)
    if len(there) < 2:
        return scene
    at = np.clip(np.arange(len(missing)), there[0], there[-1])
    fill = lambda rows: np.column_stack([np.interp(at, there, column[there]) for column in rows.T])  # noqa: E731
    turns = Slerp(there, Rotation.from_quat(initial.rotation[there]))(at).as_quat()
    joints = fill(initial.joints) if initial.joints.shape[1] else initial.joints
    changes = {"position": fill(initial.position), "rotation": turns, "joints": joints, "imputed": missing}
    return scene.with_poses({name: replace(initial, **changes)})
