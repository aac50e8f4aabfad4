"""Faults of evidence, beside those of form that :mod:`warpprior.bench.checks.faults` makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bench.checks.faults import held_by, of_another_thing
from warpprior.scene import IGNORE_LABEL, Scene

SCALE = 1.25


def label_ends(scene: Scene) -> Scene:
    """What is held is labelled in the first half alone."""
    assert scene.labels is not None
    labels, label = scene.labels.copy(), scene.body(held_by(scene)).label
    later = labels[scene.frame_count // 2 :]
    later[later == label] = 0
    return replace(scene, labels=labels)


def label_stays(scene: Scene) -> Scene:
    """From a third on, what is held is labelled where it was."""
    assert scene.labels is not None
    labels, label = scene.labels.copy(), scene.body(held_by(scene)).label
    since = scene.frame_count // 3
    for frame in range(since + 1, scene.frame_count):
        labels[frame][labels[frame] == label] = 0
        labels[frame][labels[since] == label] = label
    return replace(scene, labels=labels)


def hidden(scene: Scene) -> Scene:
    """Nothing is seen in the middle third."""
    assert scene.labels is not None
    labels, third = scene.labels.copy(), scene.frame_count // 3
    labels[third : 2 * third] = IGNORE_LABEL
    points = {name: np.array(values, dtype=float) for name, values in scene.keypoints2d.items()}
    measured = {name: np.array(values, dtype=float) for name, values in scene.keypoints3d.items()}
    centers = {name: np.array(values, dtype=float) for name, values in scene.centers.items()}
    for values in (*points.values(), *measured.values(), *centers.values()):
        values[third : 2 * third] = np.nan
    for values in (*points.values(), *measured.values()):
        values[third : 2 * third, :, -1] = 0.0
    return replace(scene, labels=labels, keypoints2d=points, keypoints3d=measured, centers=centers)


def turned_over(scene: Scene) -> Scene:
    """First guesses of what is held are half a turn off."""
    name = held_by(scene)
    initial = scene.body(name).initial
    turned = Rotation.from_quat(initial.rotation) * Rotation.from_rotvec([0.0, 0.0, np.pi])
    return scene.with_poses({name: replace(initial, rotation=turned.as_quat())})


def far_away(scene: Scene) -> Scene:
    """First guesses of what is held are 1.7 times as far, and a third to the side."""
    name = held_by(scene)
    initial = scene.body(name).initial
    position = 1.7 * initial.position + 0.3 * initial.position[:, 2:] * [1.0, 0.0, 0.0]
    return scene.with_poses({name: replace(initial, position=position)})


def all_larger(scene: Scene) -> Scene:
    """Everything 1.25 times as large and as far: the pictures are the same."""
    bodies = []
    for body in scene.bodies:
        model = body.body
        if model.is_rigid:
            model = replace(model, vertices=(model.vertices * SCALE).astype(np.float32))
            initial = replace(body.initial, position=SCALE * body.initial.position)
        else:
            initial = replace(body.initial, position=SCALE * body.initial.position, scale=SCALE * body.initial.scale)
        bodies.append(replace(body, body=model, initial=initial))
    measured = {}
    for name, values in scene.keypoints3d.items():
        measured[name] = np.array(values, dtype=float)
        measured[name][..., :3] *= SCALE
    depth = scene.read_depth

    def read(frame: int) -> np.ndarray | None:
        image = None if depth is None else depth(frame)
        return None if image is None else image * np.float32(SCALE)

    return replace(
        scene,
        bodies=tuple(bodies),
        keypoints3d=measured,
        centers={name: SCALE * np.asarray(values) for name, values in scene.centers.items()},
        read_depth=None if depth is None else read,
    )


OWN_FAULTS: dict[str, Callable[[Scene], Scene]] = {
    "label ends half way": label_ends,
    "label stays behind": label_stays,
    "another thing labelled in a third": partial(of_another_thing, frames=(4, 5, 6, 7)),
    "hidden in a third": hidden,
    "first guess half a turn off": turned_over,
    "first guess far away": far_away,
    "everything of another size": all_larger,
}
UNTRACED = ("everything of another size",)
