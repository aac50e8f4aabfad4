"""Evidence that is believed: a scene without the frames of labels and detections that contradict the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from warpprior.refinement.keypoint_outliers import find_keypoint_outliers, without_outliers
from warpprior.refinement.label_outliers import find_label_outliers
from warpprior.scene import IGNORE_LABEL, Scene
from warpprior.support.stored import stored_copy
from warpprior.support.wording import frame_list

LeftOut = dict[str, dict[str, tuple[int, ...]]]
"""Frames {body: {channel: frames}} whose evidence is not used."""


@dataclass(frozen=True)
class Evidence:
    """What a run believes of its scene.

    Attributes:
        scene: the scene with what is left out unsaid: labels are don't-care there, boxes unknown, keypoints of
            confidence 0.
        left_out: what that is.
        notes: why, one sentence each.
    """

    scene: Scene
    left_out: LeftOut = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def doubtful_labels(self) -> list[int]:
        """Frames in which some body's label was left out."""
        return sorted({frame for channels in self.left_out.values() for frame in channels.get("labels", ())})


def judge_evidence(scene: Scene) -> Evidence:
    """Leave out what contradicts the rest, as the evidence itself tells before anything is fitted.

    Args:
        scene: as it was given.
    """
    left_out: LeftOut = {}
    notes = []
    for body in scene.bodies:
        if body.known or scene.labels is None:
            continue
        found = find_label_outliers(scene, body)
        if found.undecided:
            notes.append(f"{body.name}: {found.undecided}; which are right cannot be told, and all are used.")
        if found.frames:
            left_out.setdefault(body.name, {})["labels"] = found.frames
            notes.append(
                f"{body.name}: its labels in {frame_list(found.frames)} are {found.reason}; they were left out, and "
                "contact and smoothness carry it there."
            )
    believed = believed_scene(scene, left_out)
    for body in scene.bodies:
        if body.known or body.name not in scene.keypoints2d:
            continue
        outliers = find_keypoint_outliers(believed, body)
        believed = without_outliers(believed, body.name, outliers)
        notes += outliers.notes
        if outliers.frames:
            left_out.setdefault(body.name, {})["keypoints2d"] = outliers.frames
    return Evidence(believed, left_out, tuple(notes))


def believed_scene(scene: Scene, left_out: Mapping[str, Mapping[str, tuple[int, ...]]]) -> Scene:
    """The scene without what is left out.

    A box comes from the detector that the label comes from, so it goes with it.
    """
    if not left_out:
        return scene
    labels, boxes = scene.labels, dict(scene.boxes)
    for name, channels in left_out.items():
        frames = list(channels.get("labels", ()))
        if not frames:
            continue
        if labels is not None:
            labels = stored_copy(labels) if labels is scene.labels else labels
            images = labels[frames]
            labels[frames] = np.where(images == scene.body(name).label, IGNORE_LABEL, images)
        if name in boxes:
            boxes[name] = np.array(boxes[name], dtype=float)
            boxes[name][frames] = np.nan
    return replace(scene, labels=labels, boxes=boxes)
