"""Labels of another body, of another thing for a while, or with values that are no labels."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np

from warpprior.checks.comparison import clearly_better, may_be_bettered, nearness
from warpprior.checks.evidence import FEWEST_PIXELS, Evidence, View
from warpprior.checks.registry import check, thorough_check
from warpprior.finding import Finding
from warpprior.refinement.label_outliers import find_label_outliers
from warpprior.scene import IGNORE_LABEL, Scene
from warpprior.support.wording import frame_list

MOST_TONES = 16  # values that are no labels, from which they are grey levels
MIDDLE = 127  # values above are the body, where masks are taken for labels


@check
def labels_swapped(evidence: Evidence) -> Iterator[Finding]:
    """Two bodies whose labels fit better the other way round."""
    for one, other in combinations(evidence.views.values(), 2):
        both = one.usable & other.usable
        if both.sum() == 0 or not _nearer_to_each_other(one, other, evidence):
            continue
        straight = np.where(both, 0.5 * (_agreement(one, evidence) + _agreement(other, evidence)), np.nan)
        if not may_be_bettered([straight[None]]):
            continue
        views = [View(replace(a.item, label=b.item.label), evidence) for a, b in ((one, other), (other, one))]
        crossed = np.where(both, 0.5 * sum(_agreement(view, evidence) for view in views), np.nan)
        choice = clearly_better([straight[None]], [crossed[None]])
        if choice is None:
            continue
        names = one.item.name, other.item.name
        frames = evidence.frames[choice.rows]
        yield Finding(
            "labels_swapped",
            "error",
            names[0],
            tuple(int(frame) for frame in frames),
            (
                f"the labels of {names[0]} and {names[1]} are exchanged: the other way round first guesses agree by "
                f"{choice.cured:.2f} of 1, as they are by {choice.stated:.2f}, better in {frame_list(frames)}"
            ),
            f"exchange label = {one.item.label} and label = {other.item.label} of the two bodies",
            choice.numbers,
            functools.partial(_with_labels_swapped, names=names),
        )


def _nearer_to_each_other(one: View, other: View, evidence: Evidence) -> bool:
    """Do both first guesses lie nearer to the label of the other, in the middle of the frames?"""
    camera = evidence.camera
    for ours, theirs in ((one, other), (other, one)):
        given = ours.middles(ours.poses.position[None], ours.poses.rotation[None])[0]
        seen = given[:, :2] / np.maximum(given[:, 2:], 1e-3) * [camera.fx, camera.fy] + [camera.cx, camera.cy]
        own, crossed = (np.linalg.norm(seen - view.centre, axis=1) for view in (ours, theirs))
        if not np.nanmedian(crossed - own) < 0.0:
            return False
    return True


def _with_labels_swapped(scene: Scene, *, names: tuple[str, str]) -> Scene:
    one, other = (scene.body(name).label for name in names)
    swapped = {names[0]: other, names[1]: one}
    return replace(scene, bodies=tuple(replace(b, label=swapped.get(b.name, b.label)) for b in scene.bodies))


def _agreement(view: View, evidence: Evidence) -> np.ndarray:
    """How well the first guess agrees with a label (frame,), in [0, 1]."""
    given = view.middles(view.poses.position[None], view.poses.rotation[None])[0]
    placed, depth = view.first, np.maximum(given[:, 2], 1e-3)
    apart = given[:, :2] / depth[:, None] - placed.middle[0, :, :2] / placed.middle[0, :, 2:]
    near = nearness(
        np.linalg.norm(apart, axis=1) * evidence.camera.fx / view.size, np.log(depth / placed.middle[0, :, 2])
    )
    return np.maximum(view.first_share, placed.share[0] * near)


@thorough_check
def label_instances(evidence: Evidence) -> Iterator[Finding]:
    """Frames whose label is of something else, as the labels of the other frames tell."""
    scene = evidence.scene
    if scene.labels is None:
        return
    for item in scene.bodies:
        if item.known:
            continue
        found = find_label_outliers(scene, item)
        if found.frames:
            yield Finding(
                "label_instance",
                "warning",
                item.name,
                found.frames,
                f"labels of {item.name} in {frame_list(found.frames)} are {found.reason}: they are of something else",
                f"write {IGNORE_LABEL}, don't-care, there; refine leaves these frames out",
                {"frames": len(found.frames)},
                functools.partial(_without_labels, name=item.name, frames=found.frames),
            )
        if found.undecided:
            message = f"labels of {item.name}: {found.undecided}; which are right cannot be told"
            yield Finding("label_instance", "note", item.name, (), message)


def _without_labels(scene: Scene, *, name: str, frames: tuple[int, ...]) -> Scene:
    assert scene.labels is not None
    labels, rows = scene.labels.copy(), list(frames)
    labels[rows] = np.where(labels[rows] == scene.body(name).label, IGNORE_LABEL, labels[rows])
    return replace(scene, labels=labels)


@check
def label_values(evidence: Evidence) -> Iterator[Finding]:
    """A body whose label is nowhere, while the images hold values that are no body's."""
    labels, scene = evidence.labels, evidence.scene
    if labels is None:
        return
    counts = np.bincount(labels.ravel(), minlength=256)
    ours = [item.label for item in scene.bodies]
    strange = [value for value in range(1, 256) if counts[value] and value not in ours]
    lost = [item for item in scene.bodies if counts[item.label] < FEWEST_PIXELS and not item.known]
    tones = sum(value != IGNORE_LABEL for value in strange)
    if not strange or not lost:
        return
    item = lost[0]
    if tones >= MOST_TONES:
        words = f"label images hold {tones} values that are no labels, grey levels of a mask with soft edges"
    else:
        most = max(strange, key=lambda value: counts[value])
        words = f"label {item.label} of {item.name} is in no image that was looked at, while {most} is, no body's label"
    values = {"values": strange[:8], "pixels": int(counts[item.label])}
    cure, mend = f"write label numbers: (mask > {MIDDLE}) * {item.label}", None
    if len(ours) == 1:
        mend = functools.partial(_with_mask, name=item.name)
    yield Finding("label_values", "error", item.name, tuple(map(int, evidence.frames)), words, cure, values, mend)


def _with_mask(scene: Scene, *, name: str) -> Scene:
    assert scene.labels is not None
    label = scene.body(name).label
    return replace(scene, labels=np.where(scene.labels > MIDDLE, label, 0).astype(np.uint8))
