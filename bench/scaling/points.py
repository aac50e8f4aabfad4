"""What is refined: scenes that differ in one number each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from warpprior.bodies.body import Body, rigid_body
from warpprior.scene import Camera, Scene, SceneBody
from warpprior.scenes import simulate

FRAMES = 12  # where their number is not what differs
SIZES = ((320, 240), (640, 480), (1280, 720), (1920, 1080))
FOCAL = 615.0 / 640.0  # of the width
BODIES: dict[int, tuple[str, dict[str, Any]]] = {  # estimated bodies: scene, options
    1: ("robot_lift", {"object": "bottle"}),
    2: ("grasp_lift", {"object": "bottle"}),
    3: ("grasp_lift", {"object": "bottle", "second_object": "box"}),
    4: ("handover", {"second_object": "box"}),
}


@dataclass(frozen=True)
class Point:
    """One refinement.

    Attributes:
        axis: what differs: a key of :data:`AXES`.
        value: how many.
        frames, size: of the clip, and of its pictures [px].
        finer: how often each face of the object is cut into four.
        bodies: how many are estimated; two are a hand and a bottle.
    """

    axis: str
    value: int
    frames: int = FRAMES
    size: tuple[int, int] = (640, 480)
    finer: int = 0
    bodies: int = 2

    @property
    def name(self) -> str:
        """Of its file; points of two axes that are one refinement have one."""
        width, height = self.size
        return f"{self.frames}_frames_{width}x{height}_{2560 * 4**self.finer}_faces_{self.bodies}_bodies"

    def make(self) -> Scene:
        """Simulate it."""
        width, height = self.size
        focal = FOCAL * width
        name, options = BODIES[self.bodies]
        scene = simulate(
            name,
            frame_count=self.frames,
            camera=Camera(width, height, focal, focal, width / 2, height / 2),
            mask_noise="M1",
            images=False,
            device="cpu",
            **options,
        )
        bodies = tuple(_with_more_faces(item, self.finer) for item in scene.bodies)
        return replace(scene, bodies=bodies) if self.finer else scene


AXES = {
    "frames": tuple(Point("frames", count, frames=count) for count in (10, 20, 40, 80, 160)),
    "pixels": tuple(Point("pixels", width * height, size=(width, height)) for width, height in SIZES),
    "faces": tuple(Point("faces", 2560 * 4**finer, finer=finer) for finer in range(5)),
    "bodies": tuple(Point("bodies", count, bodies=count) for count in BODIES),
}
SHORT = {axis: points[: 2 if axis == "frames" else 1] for axis, points in AXES.items()}
TITLES = {
    "frames": ("frames", 1.0),
    "pixels": ("million pixels", 1e6),
    "faces": ("thousand faces", 1e3),
    "bodies": ("bodies", 1.0),
}  # of the picture: name and unit


def cut_in_four(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same surface with four faces for each, by the middles of edges, which neighbours share."""
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, which = np.unique(edges, axis=0, return_inverse=True)
    ab, bc, ca = which.reshape(-1, 3).T + len(vertices)
    a, b, c = faces.T
    corners = np.concatenate([np.stack(each, axis=1) for each in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    return np.concatenate([vertices, vertices[unique].mean(axis=1)]), corners


def _with_more_faces(item: SceneBody, finer: int) -> SceneBody:
    return item if item.body.keypoints is not None else replace(item, body=_finer(item.body, finer))


def _finer(body: Body, times: int) -> Body:
    vertices, faces = body.vertices, body.faces
    for _ in range(times):
        vertices, faces = cut_in_four(vertices, faces)
    return rigid_body(body.name, vertices, faces)
