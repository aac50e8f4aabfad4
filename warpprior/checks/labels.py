"""Labels of another body, of another thing for a while, or with values that are no labels."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np

from warpprior.checks.comparison import agreement_with_label, clearly_better, may_be_bettered
from warpprior.checks.evidence import FEWEST_PIXELS, Evidence, View
from warpprior.checks.meshes import mesh_sizes
from warpprior.checks.registry import check, thorough_check
from warpprior.checks.timing import LABELS, frame_offsets, tracks
from warpprior.finding import Finding
from warpprior.refinement.label_outliers import find_label_outliers
from warpprior.scene import IGNORE_LABEL, Scene
from warpprior.support.wording import frame_list

MOST_TONES = 16  # values that are no labels, from which they are grey levels
SIZES_AWAY, USUALLY_AWAY = 0.8, 5.0  # labels of another thing are so many sizes off, and times what is usual
FEWEST_KINDS = 2  # of observation, that must contradict labels which move as a body does
MOST_AWAY = 0.4  # of the frames: more cannot be the exception
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
    """Do the first guesses, both together, lie nearer to the label of the other, in the middle of the frames?"""
    camera, gains = evidence.camera, []
    for ours, theirs in ((one, other), (other, one)):
        given = ours.middles(ours.poses.position[None], ours.poses.rotation[None])[0]
        seen = given[:, :2] / np.maximum(given[:, 2:], 1e-3) * [camera.fx, camera.fy] + [camera.cx, camera.cy]
        own, crossed = (np.linalg.norm(seen - view.centre, axis=1) for view in (ours, theirs))
        gains.append(np.nanmedian(own - crossed))
    return bool(sum(gains) > 0.0)


def _with_labels_swapped(scene: Scene, *, names: tuple[str, str]) -> Scene:
    one, other = (scene.body(name).label for name in names)
    swapped = {names[0]: other, names[1]: one}
    return replace(scene, bodies=tuple(replace(b, label=swapped.get(b.name, b.label)) for b in scene.bodies))


def _agreement(view: View, evidence: Evidence) -> np.ndarray:
    """How well the first guess agrees with a label (frame,), in [0, 1]."""
    given = view.middles(view.poses.position[None], view.poses.rotation[None])
    return agreement_with_label(view, given, view.first_share[None], view.first, evidence.camera.fx)[0]


@thorough_check
def label_instances(evidence: Evidence) -> Iterator[Finding]:
    """Frames whose label is of something else, as the labels of the other frames tell, or all else that is seen."""
    scene = evidence.scene
    if scene.labels is None or evidence.once(labels_swapped):
        return
    of_another_size = {finding.body for finding in evidence.once(mesh_sizes)}
    late = any(finding.evidence["kind"] == LABELS for finding in evidence.once(frame_offsets))
    for item in scene.bodies:
        if item.known or item.name in of_another_size:
            continue
        found = find_label_outliers(scene, item)
        frames, reason = found.frames, found.reason
        if not late and (found.undecided or not frames):
            away = _away_from_all(item.name, evidence, fewest=1 if found.undecided else FEWEST_KINDS)
            if away is not None:
                frames, reason = away
        if frames:
            yield Finding(
                "label_instance",
                "warning",
                item.name,
                frames,
                f"labels of {item.name} in {frame_list(frames)} are {reason}: they are of something else",
                f"write {IGNORE_LABEL}, don't-care, there; refine leaves these frames out",
                {"frames": len(frames)},
                functools.partial(_without_labels, name=item.name, frames=frames),
            )
        elif found.undecided:
            message = f"labels of {item.name}: {found.undecided}; which are right cannot be told"
            yield Finding("label_instance", "note", item.name, (), message)


def _away_from_all(name: str, evidence: Evidence, *, fewest: int) -> tuple[tuple[int, ...], str] | None:
    """Frames whose label is away from where everything else has the body, and how far in words; None without any.

    Args:
        name: of the body.
        evidence: of the scene.
        fewest: kinds of observation that must say so, all of them that see it in that frame.
    """
    places = {track.kind: track.places for track in evidence.once(tracks) if track.body == name}
    if LABELS not in places:
        return None
    label, reach = places[LABELS], SIZES_AWAY * float(np.max(evidence.views[name].size)) * evidence.step
    said, agreed, least = np.zeros(len(label), int), np.ones(len(label), bool), np.full(len(label), np.inf)
    for kind, place in places.items():
        if kind == LABELS:
            continue
        apart = label - place
        away = np.linalg.norm(apart - np.nanmedian(apart, axis=0), axis=1)
        there = np.isfinite(away)
        said += there
        agreed &= ~there | (away > max(reach, USUALLY_AWAY * np.nanmedian(away)))
        least = np.where(there, np.minimum(least, away), least)
    wrong = np.flatnonzero(agreed & (said >= fewest))
    if not len(wrong) or len(wrong) > MOST_AWAY * np.isfinite(label).all(axis=1).sum():
        return None
    low, high = least[wrong].min(), least[wrong].max()
    span = f"{low:.0f} px" if round(low) == round(high) else f"{low:.0f} to {high:.0f} px"
    return tuple(
        int(frame) for frame in wrong
    ), f"{span} away from where {', '.join(k for k in places if k != LABELS)} have it"


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
    elif len(strange) == len(lost) == 1:
        mend = functools.partial(_with_value, name=item.name, value=strange[0])
    yield Finding("label_values", "error", item.name, tuple(map(int, evidence.frames)), words, cure, values, mend)


def _with_value(scene: Scene, *, name: str, value: int) -> Scene:
    """The scene with one value of its label images taken for the label of a body that has none."""
    assert scene.labels is not None
    labels = np.where(scene.labels == value, scene.body(name).label, scene.labels)
    return replace(scene, labels=labels.astype(np.uint8))


def _with_mask(scene: Scene, *, name: str) -> Scene:
    assert scene.labels is not None
    label = scene.body(name).label
    return replace(scene, labels=np.where(scene.labels > MIDDLE, label, 0).astype(np.uint8))
