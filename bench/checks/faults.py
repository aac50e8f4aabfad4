"""Wrong but plausible data, made of right data: one kind of fault for each code of :func:`warpprior.check`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies import read_hand
from warpprior.refinement.keypoint_outliers import keypoint_orders
from warpprior.render.images import render_depth
from warpprior.scene import Scene

Fault = Callable[[Scene], Scene]
FLIP = np.array([1.0, -1.0, -1.0])


def hand_of(scene: Scene) -> str:
    """Name of the first hand that has keypoints."""
    return next(iter(scene.keypoints2d))


def held_by(scene: Scene) -> str:
    """Name of the first rigid body that is estimated."""
    return next(body.name for body in scene.bodies if body.body.is_rigid and not body.known)


def with_poses(scene: Scene, change: Callable) -> Scene:
    """The scene with the first guess of every body changed: position and rotation."""
    moved = {}
    for item in scene.bodies:
        position, rotation = change(item.initial.position, Rotation.from_quat(item.initial.rotation))
        moved[item.name] = replace(item.initial, position=position, rotation=rotation.as_quat())
    return scene.with_poses(moved)


def reordered(scene: Scene) -> Scene:
    """Quaternions w, x, y, z."""
    return with_poses(scene, lambda p, r: (p, Rotation.from_quat(r.as_quat()[:, [3, 0, 1, 2]])))


def transposed(scene: Scene) -> Scene:
    """Rotations of the camera in the body's frame."""
    return with_poses(scene, lambda p, r: (p, r.inv()))


def inverse(scene: Scene) -> Scene:
    """Poses of the camera in the body's frame."""
    return with_poses(scene, lambda p, r: (-r.inv().apply(p), r.inv()))


def opengl(scene: Scene) -> Scene:
    """y up, z backward."""
    return with_poses(scene, lambda p, r: (p * FLIP, Rotation.from_matrix(FLIP[:, None] * r.as_matrix())))


def other_eulers(scene: Scene) -> Scene:
    """Angles about the body's axes, put together about fixed ones."""
    return with_poses(scene, lambda p, r: (p, Rotation.from_euler("xyz", r.as_euler("XYZ"))))


def with_camera(scene: Scene, focal: float = 1.0, center: float = 1.0, offset: tuple = (0.0, 0.0)) -> Scene:
    """Other intrinsics."""
    c = scene.camera
    x, y = offset
    camera = replace(c, fx=focal * c.fx, fy=focal * c.fy, cx=center * c.cx + x, cy=center * c.cy + y)
    return replace(scene, camera=camera)


def resized(scene: Scene, factor: float) -> Scene:
    """Meshes of another size."""
    change = lambda body: replace(body, vertices=(body.vertices * factor).astype(np.float32))  # noqa: E731
    bodies = [replace(b, body=change(b.body)) if b.body.is_rigid and not b.known else b for b in scene.bodies]
    return replace(scene, bodies=tuple(bodies))


def with_points(scene: Scene, change: Callable) -> Scene:
    """Other 2D keypoints of every hand."""
    points = {name: change(np.array(values, dtype=float)) for name, values in scene.keypoints2d.items()}
    return replace(scene, keypoints2d=points)


def exchanged(scene: Scene) -> Scene:
    """v before u."""
    return with_points(scene, lambda points: points[..., [1, 0, 2]])


def mirrored(scene: Scene) -> Scene:
    """Detected on the mirrored picture."""
    return with_points(scene, lambda points: points * [-1.0, 1.0, 1.0] + [scene.camera.width - 1.0, 0.0, 0.0])


def in_another_order(scene: Scene) -> Scene:
    """In that of MANO's joints, fingertips last."""
    order = next(iter(keypoint_orders(scene.body(hand_of(scene))).values()))
    return with_points(scene, lambda points: points[:, np.argsort(order)])


def in_parts_of_the_picture(scene: Scene) -> Scene:
    """Divided by the picture's size."""
    return with_points(scene, lambda points: points / [scene.camera.width, scene.camera.height, 1.0])


def marked(scene: Scene) -> Scene:
    """(-1, -1) with confidence 1 where nothing was found."""

    def change(points: np.ndarray) -> np.ndarray:
        points[3:6] = [-1.0, -1.0, 1.0]
        return points

    return with_points(scene, change)


def points_late(scene: Scene, frames: int = 1) -> Scene:
    """2D keypoints some frames late."""

    def change(points: np.ndarray) -> np.ndarray:
        late = np.roll(points, frames, axis=0)
        late[:frames] = [np.nan, np.nan, 0.0]
        return late

    return with_points(scene, change)


def of_the_other_hand(scene: Scene) -> Scene:
    """Hands of the other side."""
    other = {"left": "right", "right": "left"}
    change = lambda b: replace(b, body=read_hand(other[b.body.side], name=b.name))  # noqa: E731
    return replace(scene, bodies=tuple(change(b) if b.body.kind == "hand" else b for b in scene.bodies))


def at_the_depth_of_a_crop(scene: Scene) -> Scene:
    """The depth of the focal length that HaMeR supposes."""
    far = 5000.0 / 256.0 * scene.camera.width / scene.camera.fx
    hands = {name: scene.body(name).initial for name in scene.keypoints2d}
    return scene.with_poses({n: replace(p, position=p.position * [1.0, 1.0, far]) for n, p in hands.items()})


def labels_late(scene: Scene, frames: int = 1) -> Scene:
    """Labels some frames late; early if negative."""
    assert scene.labels is not None
    labels = np.roll(scene.labels, frames, axis=0)
    labels[:frames] = 0 if frames > 0 else labels[:frames]
    labels[frames:] = 0 if frames < 0 else labels[frames:]
    return replace(scene, labels=labels)


def with_labels_swapped(scene: Scene) -> Scene:
    """The labels of the first two bodies exchanged."""
    assert scene.labels is not None
    one, other = (body.label for body in scene.bodies[:2])
    labels = np.where(scene.labels == one, other, np.where(scene.labels == other, one, scene.labels))
    return replace(scene, labels=labels.astype(np.uint8))


def of_another_thing(scene: Scene, frames: tuple = (5, 6)) -> Scene:
    """What is held is labelled at the other side of the picture in some frames."""
    assert scene.labels is not None
    labels, label = scene.labels.copy(), scene.body(held_by(scene)).label
    height, width = labels.shape[1:]
    for frame in frames:
        rows, columns = np.nonzero(labels[frame] == label)
        if len(rows) == 0:
            continue
        down = int((-0.38 if rows.mean() > height / 2 else 0.38) * height)
        right = int((0.45 if columns.mean() < width / 2 else -0.45) * width)
        there = np.roll(labels[frame] == label, (down, right), axis=(0, 1)) & (labels[frame] == 0)
        labels[frame][labels[frame] == label] = 0
        labels[frame][there] = label
    return replace(scene, labels=labels)


def as_masks(scene: Scene) -> Scene:
    """255 for what is held."""
    assert scene.labels is not None
    label = scene.body(held_by(scene)).label
    return replace(scene, labels=np.where(scene.labels == label, 255, scene.labels).astype(np.uint8))


def without_some_poses(scene: Scene, place: tuple = (0.0, 0.0, 0.0)) -> Scene:
    """Every other pose of what is held is zeros, or what a program falls back to."""
    name = held_by(scene)
    initial = scene.body(name).initial
    position, rotation = initial.position.copy(), initial.rotation.copy()
    position[::2], rotation[::2] = place, (0.0, 0.0, 0.0, 1.0)
    return scene.with_poses({name: replace(initial, position=position, rotation=rotation)})


def at_another_rate(scene: Scene) -> Scene:
    """Timestamps of half the frame rate."""
    return replace(scene, timestamps=2.0 * np.arange(scene.frame_count) / scene.fps)


def with_depth(scene: Scene, factor: float = 1.0) -> Scene:
    """Exact depth images in another unit."""
    images = render_depth(scene, {b.name: b.initial if b.truth is None else b.truth for b in scene.bodies})
    images *= np.float32(factor)
    return replace(scene, read_depth=lambda frame: images[frame])


FAULTS: dict[str, dict[str, Fault]] = {
    "quaternion_order": {"w, x, y, z": reordered},
    "rotation_transposed": {"all": transposed},
    "pose_inverse": {"all": inverse},
    "opengl_axes": {"all": opengl},
    "euler_or_degrees": {"xyz for XYZ": other_eulers},
    "intrinsics_scale": {
        "half resolution": partial(with_camera, focal=0.5, center=0.5),
        "double resolution": partial(with_camera, focal=2.0, center=2.0),
        "focal x 1.3": partial(with_camera, focal=1.3),
        "focal / 1.3": partial(with_camera, focal=1.0 / 1.3),
    },
    "principal_point": {"60, -45 px": partial(with_camera, offset=(60.0, -45.0))},
    "mesh_scale": {
        "x 1.3": partial(resized, factor=1.3),
        "/ 1.3": partial(resized, factor=1.0 / 1.3),
        "x 8": partial(resized, factor=8.0),
    },
    "mesh_units": {"x 0.01": partial(resized, factor=0.01), "x 100": partial(resized, factor=100.0)},
    "keypoints_swapped_uv": {"all": exchanged},
    "keypoints_mirrored": {"all": mirrored},
    "keypoint_order": {"MANO's": in_another_order},
    "keypoints_normalised": {"all": in_parts_of_the_picture},
    "keypoints_missing_marker": {"three frames": marked},
    "hand_side": {"all": of_the_other_hand},
    "depth_of_crop_camera": {"HaMeR": at_the_depth_of_a_crop},
    "frame_offset": {
        "labels 1 late": labels_late,
        "labels 2 early": partial(labels_late, frames=-2),
        "keypoints 1 late": points_late,
    },
    "frame_rate": {"timestamps": at_another_rate},
    "labels_swapped": {"all": with_labels_swapped},
    "label_instance": {"two frames": of_another_thing},
    "label_values": {"255": as_masks},
    "initial_missing": {"zeros": without_some_poses, "one metre ahead": partial(without_some_poses, place=(0, 0, 1))},
    "depth_scale": {"x 10": partial(with_depth, factor=10.0), "x 0.1": partial(with_depth, factor=0.1)},
}
"""Faults by code and name."""

OF_HANDS = ("keypoint", "hand_side", "depth_of_crop")
"""How codes begin that are of hands with keypoints."""


def applies(code: str, name: str, scene: Scene) -> bool:
    """Can the scene have this fault?"""
    return bool(scene.keypoints2d) or not (code.startswith(OF_HANDS) or name.startswith("keypoints"))
