"""A tiny scene folder: a two-joint arm that is known and a box that is not, three frames of 64 x 48 pixels."""

from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT, FRAMES = 64, 48, 3

SCENE_TOML = """\
[camera]
width = 64
height = 48
fx = 60.0
fy = 60.0
cx = 32.0
cy = 24.0

[frames]
count = 3
fps = 10.0
rgb = "rgb/{:06d}.png"
labels = "labels/{:06d}.png"

[[body]]
name = "arm"
kind = "urdf"
path = "arm/arm.urdf"
label = 1
known = true

[[body]]
name = "box"
kind = "mesh"
path = "box.obj"
label = 2

[poses]
initial = "initial.npz"
truth = "truth.npz"
"""

ARM_URDF = """\
<robot name="arm">
  <link name="base"><visual><geometry><box size="0.04 0.04 0.04"/></geometry></visual></link>
  <link name="upper"><visual><origin xyz="0 0 0.05"/><geometry><box size="0.02 0.02 0.1"/></geometry></visual></link>
  <link name="tip"><visual><geometry><box size="0.02 0.02 0.02"/></geometry></visual></link>
  <joint name="bend" type="revolute"><parent link="base"/><child link="upper"/><axis xyz="0 1 0"/>
    <limit lower="-1.5" upper="1.5" effort="1" velocity="1"/></joint>
  <joint name="reach" type="prismatic"><parent link="upper"/><child link="tip"/><axis xyz="0 0 1"/>
    <limit lower="0.0" upper="0.2" effort="1" velocity="1"/></joint>
</robot>
"""

# Corners of a box of 0.10 x 0.08 x 0.06 m and its twelve triangles, counter-clockwise from outside.
BOX_VERTICES = np.array([[x, y, z] for x in (-0.05, 0.05) for y in (-0.04, 0.04) for z in (-0.03, 0.03)])
BOX_FACES = np.array(
    [
        *([0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]),
        *([2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]),
    ]
)


def pose_arrays() -> dict[str, np.ndarray]:
    """Poses of both bodies: the box drifts right and turns, the arm bends."""
    turn = np.array([0.0, 0.1, 0.2])
    box_rotation = np.stack([np.zeros(3), np.sin(turn / 2), np.zeros(3), np.cos(turn / 2)], axis=1)
    return {
        "arm/position": np.tile([-0.12, 0.0, 0.5], (FRAMES, 1)),
        "arm/rotation": np.tile([0.0, 0.0, 0.0, 1.0], (FRAMES, 1)),
        "arm/joints": np.stack([np.linspace(0.0, 0.4, FRAMES), np.full(FRAMES, 0.1)], axis=1),
        "arm/joint_names": np.array(["bend", "reach"]),
        "box/position": np.stack([np.linspace(0.0, 0.02, FRAMES), np.zeros(FRAMES), np.full(FRAMES, 0.5)], axis=1),
        "box/rotation": box_rotation,
    }


def label_image(frame: int) -> np.ndarray:
    """Both bodies as rectangles, a little right of where they are in frame 0 for every later frame."""
    image = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    image[20:28, 14:20] = 1
    image[19:30, 26 + frame : 38 + frame] = 2
    return image


def write_image(path: Path, image: np.ndarray) -> None:
    """Encode by the path's suffix; OpenCV's own writer does not take every path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


def write_scene(folder: Path) -> Path:
    """Write the scene and give its folder."""
    (folder / "arm").mkdir(parents=True)
    (folder / "scene.toml").write_text(SCENE_TOML, encoding="utf-8")
    (folder / "arm" / "arm.urdf").write_text(ARM_URDF, encoding="utf-8")
    vertices = "".join("v {} {} {}\n".format(*vertex) for vertex in BOX_VERTICES)
    faces = "".join("f {} {} {}\n".format(*(face + 1)) for face in BOX_FACES)
    (folder / "box.obj").write_text(vertices + faces, encoding="utf-8")
    for frame in range(FRAMES):
        write_image(folder / f"labels/{frame:06d}.png", label_image(frame))
        color = np.full((HEIGHT, WIDTH, 3), (30, 60, 90 + frame), dtype=np.uint8)
        write_image(folder / f"rgb/{frame:06d}.png", color)
    np.savez(folder / "initial.npz", **pose_arrays())
    np.savez(folder / "truth.npz", **pose_arrays())
    return folder


def edit_text(folder: Path, old: str, new: str) -> None:
    """Replace a passage of scene.toml that must be there."""
    path = folder / "scene.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def edit_poses(folder: Path, name: str = "initial.npz", **changes) -> None:
    """Write a pose file with fields changed; ``box__position`` stands for ``box/position``, None removes a field."""
    arrays = pose_arrays()
    for key, value in changes.items():
        key = key.replace("__", "/")
        if value is None:
            del arrays[key]
        else:
            arrays[key] = np.asarray(value)
    np.savez(folder / name, **arrays)
