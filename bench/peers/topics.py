"""What is asked: signed distance to a sphere, and the mask loss of a hand over an object with its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from warpprior.bench.cases import distance, masks
from warpprior.bench.peers.harness import Topic
from warpprior.render.images import render_labels
from warpprior.scene import Scene

DEVICE = "cpu"
DISTANCE_MM = 0.25  # how far an answer may be off: the polyhedron lies 0.2 mm inside its sphere
LOSS_SHARE = 0.2  # of the loss; antialiased images have less of it than labels
SLOPE_SHARE = 0.25  # of the slope; renderers that drop pairs of pixels at borders between bodies are off by some 10 %


@dataclass(frozen=True)
class DistanceData:
    """A closed surface and points near it.

    Attributes:
        vertices: [V, 3] [m].
        faces: [T, 3], counter-clockwise from outside.
        points: [P, 3] [m].
        truth: [P] of the sphere, positive outside [m].
    """

    vertices: np.ndarray
    faces: np.ndarray
    points: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True)
class MaskData:
    """Two bodies in a picture, and labels that show them elsewhere.

    Attributes:
        vertices: [V, 3] of both in the camera's frame, z forward, y down [m].
        screen: [V, 3] column and row [px], the first pixel's centre being at 0.5, and depth [m].
        faces: [T, 3] of both; counter-clockwise from outside.
        body: [V] 0 or 1.
        target: [2, H, W] 0 or 1: where each is in the labels.
        focal: [px].
        loss: mean over pixels of the squared differences of both channels, of labels where the bodies stand.
        shift: how far they stand to the right of the labels [px]; the loss grows in proportion to it.
    """

    vertices: np.ndarray
    screen: np.ndarray
    faces: np.ndarray
    body: np.ndarray
    target: np.ndarray
    focal: float
    loss: float
    shift: float


@dataclass(frozen=True)
class MaskAnswer:
    """A loss, and its derivative when everything moves to the right [1/px]."""

    loss: float
    slope: float


def distance_data() -> DistanceData:
    """What ``distance/...`` of the benchmark has."""
    vertices, faces = distance.sphere()
    points, truth = distance.points_near_the_sphere()
    return DistanceData(vertices, faces, points, truth)


def check_distances(data: DistanceData, found: np.ndarray) -> str | None:
    """Whether signed distances [P] [m], positive outside, are those to the sphere."""
    if np.shape(found) != data.truth.shape:
        return f"the answer is of shape {np.shape(found)}, {data.truth.shape} is right"
    error = 1e3 * float(np.max(np.abs(found - data.truth)))
    return None if error <= DISTANCE_MM else f"off by {error:.3f} mm, at most {DISTANCE_MM} is right"


def mask_data(width: int, height: int, focal: float) -> MaskData:
    """What ``mask/...`` of the benchmark has."""
    scene = masks.hand_over_object(width, height, focal)
    assert scene.labels is not None
    vertices, faces, body = _surface(scene)
    middle = np.array([scene.camera.cx, scene.camera.cy])
    screen = np.concatenate([vertices[:, :2] / vertices[:, 2:] * focal + middle, vertices[:, 2:]], axis=1)
    target = _channels(scene.labels)
    start = _channels(render_labels(scene, {item.name: item.initial for item in scene.bodies}))
    loss = float(np.mean(np.sum((start - target) ** 2, axis=0)))
    return MaskData(vertices, screen, faces, body, target, focal, loss, masks.SHIFT_PX)


def check_mask(data: MaskData, found: MaskAnswer) -> str | None:
    """Whether loss and slope are those of the picture."""
    slope = data.loss / data.shift
    good = abs(found.loss - data.loss) <= LOSS_SHARE * data.loss and abs(found.slope - slope) <= SLOPE_SHARE * slope
    return (
        None if good else f"loss {found.loss:.4g}, slope {found.slope:.4g}; {data.loss:.4g} and {slope:.4g} are right"
    )


def _surface(scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices where the bodies start, faces, and whose each vertex is; bodies are not turned."""
    vertices, faces, body, count = [], [], [], 0
    for number, item in enumerate(scene.bodies):
        vertices.append(item.body.vertices + item.initial.position[0])
        faces.append(item.body.faces + count)
        body.append(np.full(len(item.body.vertices), number))
        count += len(item.body.vertices)
    return np.concatenate(vertices), np.concatenate(faces), np.concatenate(body)


def _channels(labels: np.ndarray) -> np.ndarray:
    """[2, H, W] of the first frame's labels."""
    return np.stack([labels[0] == number for number in (1, 2)]).astype(np.float32)


def _mask_topic(case: str, width: int, height: int, focal: float, goal: float) -> Topic:
    return Topic(
        kind="mask",
        data=cache(partial(mask_data, width, height, focal)),
        ours={case: partial(masks.mask_trial, DEVICE, width, height, focal)},
        check=check_mask,
        goals={(case, "DRTK"): goal},
    )


TOPICS = {
    "distance": Topic(
        kind="distance",
        data=distance_data,
        ours={
            "distance/exact_778_points": partial(distance.prepare_exact, DEVICE),
            "distance/grid_778_points": partial(distance.prepare_grid, DEVICE),
        },
        check=check_distances,
        goals={("distance/exact_778_points", "Open3D"): 1.5, ("distance/grid_778_points", "Open3D"): 50.0},
    ),
    "mask_256x256": _mask_topic("mask/256x256", 256, 256, masks.FOCAL_256, 20.0),
    "mask_640x480": _mask_topic("mask/640x480", 640, 480, masks.FOCAL_640, 40.0),
}
