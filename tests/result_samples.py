"""Small scenes and results for tests of what is exported and drawn: a box carried past a camera, an arm, a blob."""

from dataclasses import replace

import cv2
import numpy as np
from body_samples import make_motion, make_tree_body
from scipy.spatial.transform import Rotation

from warpprior.bodies import rigid_body
from warpprior.result import ContactPoints, Result
from warpprior.scene import Camera, Poses, Scene, SceneBody

CAMERA = Camera(width=160, height=120, fx=150.0, fy=152.0, cx=83.5, cy=56.25)
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
_QUADS = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


def make_box(name="box", half=(0.04, 0.03, 0.06)):
    """A box of 12 triangles, counter-clockwise from outside."""
    faces = [(a, b, c) for a, b, c, d in _QUADS] + [(a, c, d) for a, b, c, d in _QUADS]
    return rigid_body(name, _CORNERS * half, np.array(faces))


def make_box_poses(frames=5, *, offset=0.0, seed=0):
    """A box that drifts and turns in front of the camera; ``offset`` [m] moves it away from its true path."""
    time = np.linspace(0.0, 1.0, frames)
    position = np.stack([0.1 * time - 0.05 + offset, 0.02 * time, 0.6 + 0.1 * time + offset], axis=1)
    rotation = (Rotation.random(random_state=seed) * Rotation.from_rotvec(np.outer(time, [0.5, 2.5, 0.3]))).as_quat()
    return Poses(position, rotation, np.zeros((frames, 0)))


def make_arm(*, bends=False):
    """A tree with every joint type; its surface is carried by its links, or bends."""
    if bends:
        return replace(make_tree_body(shapes=2, vertices=60), name="arm")
    body = make_tree_body(influences=1, shapes=0, pose_blend=False, vertices=60)
    rng = np.random.default_rng(1)
    groups = [np.flatnonzero(body.skin_links[:, 0] == link) for link in range(body.link_count)]
    faces = [rng.permutation(group)[:3] for group in groups if len(group) >= 3 for _ in range(4)]
    return replace(body, name="arm", faces=np.array(faces, dtype=np.int32))


def make_arm_poses(body, frames=5):
    """Random motion of an arm, scaled by 1.1."""
    motion = make_motion(body, frames)
    poses = motion["poses"].astype(np.float64)
    poses[:, 3:] /= np.linalg.norm(poses[:, 3:], axis=1, keepdims=True)
    return Poses(poses[:, :3], poses[:, 3:], motion["joints"].astype(np.float64), motion["shape"], float(1.1))


def make_scene(frames=5, *, arm=None, names=("box", "arm"), rgb=False):
    """A box, drawn into the labels, and an arm if one is given, with its own motion as known."""
    truth = make_box_poses(frames)
    box = replace(make_box(), name=names[0])
    bodies = [SceneBody(box, 1, False, make_box_poses(frames, offset=0.02), truth)]
    if arm is not None:
        poses = make_arm_poses(arm, frames)
        bodies.append(SceneBody(replace(arm, name=names[1]), 2, True, poses, poses))
    labels = np.zeros((frames, CAMERA.height, CAMERA.width), np.uint8)
    for frame, image in enumerate(labels):
        points = Rotation.from_quat(truth.rotation[frame]).apply(box.vertices) + truth.position[frame]
        spots = points[:, :2] / points[:, 2:] * [CAMERA.fx, CAMERA.fy] + [CAMERA.cx, CAMERA.cy] - 0.5
        cv2.fillConvexPoly(image, cv2.convexHull(np.round(spots).astype(np.int32)), 1)

    def read_rgb(frame):
        return np.stack([np.where(labels[frame] > 0, 200, 30 + 20 * channel) for channel in range(3)], axis=2).astype(
            np.uint8
        )

    return Scene("sample", CAMERA, 30.0, tuple(bodies), labels, read_rgb if rgb else None)


def make_contacts(frames=5):
    """Two points of the arm on the box's +x side: one in touch at all times but the first frame, one never."""
    truth = make_box_poses(frames)
    local = np.array([[0.04, 0.0, 0.0], [0.04, 0.02, 0.05]])
    points = np.stack([Rotation.from_quat(q).apply(local) + p for p, q in zip(*_pairs(truth), strict=True)])
    weight = np.tile([1.0, 0.0], (frames, 1))
    weight[0] = 0.0
    return ContactPoints("arm", "box", points, weight)


def make_result(frames=5, *, arm=None, rgb=False, names=("box", "arm")):
    """The box brought from its start to its true path, with metrics and a history that look like the real ones."""
    scene = make_scene(frames, arm=arm, names=names, rgb=rgb)
    iteration = np.arange(40)
    history = {
        "iteration": iteration,
        "mask": 5.0 * np.exp(-iteration / 8.0),
        "sliding": np.zeros(40),
        "smoothness": 1.0 / (1.0 + iteration),
    }
    history["total"] = history["mask"] + history["smoothness"]
    metrics = {}
    for turn, size in (("before", 30.0), ("after", 1.5)):
        values = (size * (1.0 + 0.1 * np.arange(frames))).tolist()
        rows = {"add_mm": values, "rotation_deg": values, "mask_iou": [None] + [1.0 - size / 60.0] * (frames - 1)}
        metrics[turn] = {"per_frame": {names[0]: rows}, "summary": {names[0]: {"contact_ratio": size / 60.0}}}
    contacts = (replace(make_contacts(frames), body=names[1], other=names[0]),) if arm is not None else ()
    return Result(
        scene=scene,
        poses={body.name: body.truth for body in scene.bodies},
        history=history,
        metrics=metrics,
        contacts=contacts,
        settings={"iterations": 40, "weights": {"mask": 1.0}},
        notes=("a note",),
    )


def _pairs(poses):
    return poses.position, poses.rotation
