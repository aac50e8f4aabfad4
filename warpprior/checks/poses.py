"""First guesses in another convention: each that the field knows is drawn beside the labels and the keypoints."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.checks.comparison import FEWEST_FRAMES, clearly_better, likeness, may_be_bettered, nearness
from warpprior.checks.evidence import Evidence, compare_points
from warpprior.checks.finding import Finding
from warpprior.checks.registry import check
from warpprior.scene import Poses, Scene, SceneBody
from warpprior.support.wording import frame_list

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
    """Another reading of the first guess that agrees with labels and keypoints where the given one does not."""
    for item in evidence.scene.bodies:
        if item.body.animation is None:
            yield from _judge(item, evidence)


def _judge(item: SceneBody, evidence: Evidence) -> Iterator[Finding]:
    poses = item.initial.frames(evidence.frames)
    before = _agreements([Reading("", "", "", poses.position, poses.rotation)], item, evidence)
    if not may_be_bettered(before):
        return
    tried = list(readings(poses))
    choice = clearly_better(before, _agreements(tried, item, evidence))
    if choice is None:
        return
    reading, name = tried[choice.number], item.name
    frames = evidence.frames[choice.rows]
    rivals = sorted({tried[number].code for number in choice.as_good} - {reading.code})
    yield Finding(
        code=reading.code,
        level="warning" if rivals else "error",
        body=name,
        frames=tuple(int(frame) for frame in frames),
        message=(
            f"the first guess of {name} looks like {reading.words}: so read it agrees with "
            f"{_witnesses(item, evidence)} by {choice.cured:.2f} of 1, as it is by {choice.stated:.2f}, better in {frame_list(frames)}"
            + (f"; {' and '.join(rivals)} would do as well" if rivals else "")
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
        placed = view.place(rotation)
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
