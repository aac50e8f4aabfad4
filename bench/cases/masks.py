"""Mask loss and gradient of a hand over an object: 642 and 2,562 vertices, one image."""

import numpy as np
import warp as wp

from warpprior.bench.harness import Trial, case
from warpprior.bodies import rigid_body
from warpprior.render.images import render_labels
from warpprior.render.window import whole_window, window_around
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.system.motion import MotionState
from warpprior.system.observed import ObservedPicture
from warpprior.system.problem import Problem
from warpprior.terms import BoundTerm, Coverage, Softras

RADII = {"hand": (0.045, 0.06, 0.03), "object": (0.075, 0.06, 0.045)}
PLACES = {"hand": (-0.025, 0.012, 0.62), "object": (0.03, -0.01, 0.70)}
FOCAL_256, FOCAL_640 = 566.0, 794.0  # [px]
SHIFT_PX = 3.0  # between labels and start
OTHERS_256 = "DRTK 10.5 ms, PyTorch3D (backward repaired) 1,525 ms"
OTHERS_640 = "DRTK 38.7 ms, PyTorch3D (backward repaired) 6,490 ms"


def hand_over_object(width: int, height: int, focal: float) -> Scene:
    """Labels of the bodies in place; they start ``SHIFT_PX`` to the right."""
    import trimesh

    camera = Camera(width, height, focal, focal, width / 2, height / 2)
    bodies = []
    for label, (name, radii) in enumerate(RADII.items(), start=1):
        ball = trimesh.creation.icosphere(subdivisions=2 + label, radius=1.0)
        position, rotation = np.array([PLACES[name]]), np.array([[0.0, 0.0, 0.0, 1.0]])
        poses = Poses(position, rotation, np.zeros((1, 0)))
        body = rigid_body(name, ball.vertices * np.array(radii), ball.faces)
        bodies.append(SceneBody(body, label, False, poses))
    scene = Scene("bench", camera, 30.0, tuple(bodies))
    labels = render_labels(scene, {body.name: body.initial for body in bodies})
    shifted = {}
    for body in bodies:
        position = body.initial.position + np.array([SHIFT_PX / focal * body.initial.position[0, 2], 0.0, 0.0])
        shifted[body.name] = Poses(position, body.initial.rotation, np.zeros((1, 0)))
    return Scene("bench", camera, 30.0, scene.with_poses(shifted).bodies, labels)


def _slope(masks: BoundTerm, motion: MotionState, rows: wp.array) -> float:
    """Derivative of the value when everything moves along u, by central differences [1/px]."""
    screen, values = motion.screen.numpy().copy(), []
    for step in (0.1, -0.1):
        motion.screen.assign(screen + np.array([step, 0.0, 0.0], dtype=np.float32))
        rows.zero_()
        masks.evaluate(rows, 0)
        values.append(float(rows.numpy()[0, 0]))
    motion.screen.assign(screen)
    return (values[0] - values[1]) / 0.2


def mask_trial(
    device: str, width: int, height: int, focal: float, *, soft: bool = False, cropped: bool = False
) -> Trial:
    """Loss and gradient by the vertices on screen, of the whole picture or in a window around the labels."""
    scene = hand_over_object(width, height, focal)
    labels = scene.labels
    assert labels is not None
    motion = MotionState(scene, device, point_count=16)
    gradient = motion.screen.grad
    assert gradient is not None
    window = whole_window(1, width, height)
    if cropped:
        rows, columns = np.nonzero(labels[0])
        box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], dtype=float)
        window = window_around(box, width, height, margin=0.05)
    cut = window.cut(labels)
    problem = Problem(motion, ObservedPicture(motion, window, cut, 0.0, cut))
    (masks,) = (Softras() if soft else Coverage()).bind(problem)
    rows = wp.zeros((1, 1), dtype=wp.float32, device=device, requires_grad=True)
    seed = wp.ones((1, 1), dtype=wp.float32, device=device)

    def run() -> None:
        rows.zero_()
        with wp.Tape() as tape:
            masks.evaluate(rows, 0)
        gradient.zero_()
        tape.backward(grads={rows: seed})

    def check() -> str | None:
        value, pull = float(rows.numpy()[0, 0]), float(gradient.numpy()[0, :, 0].sum())
        if soft:
            slope = _slope(masks, motion, rows)
            return None if abs(pull - slope) < 0.01 * abs(slope) else f"pull {pull:.3f}, by differences {slope:.3f}"
        # The contour is off by SHIFT_PX along u: the mean distance along its normal is about 2 / pi of that.
        low, high = 0.5 * SHIFT_PX, 0.8 * SHIFT_PX
        slope = pull * SHIFT_PX / max(value, 1e-9)  # the loss grows in proportion to the shift
        return None if low < value < high and 0.9 < slope < 1.1 else f"loss {value:.3f}, slope {slope:.3f}"

    return Trial(run=run, check=check)


@case("mask/256x256", unit="ms", target=1.0, reference=OTHERS_256)
def prepare_small(device: str) -> Trial:
    """Owner edge-crossing, whole picture."""
    return mask_trial(device, 256, 256, FOCAL_256)


@case("mask/640x480", unit="ms", target=2.0, reference=OTHERS_640)
def prepare_large(device: str) -> Trial:
    """Owner edge-crossing, whole picture."""
    return mask_trial(device, 640, 480, FOCAL_640)


@case("mask/640x480_window", unit="ms", reference=OTHERS_640)
def prepare_cropped(device: str) -> Trial:
    """Owner edge-crossing, in a window around the labels."""
    return mask_trial(device, 640, 480, FOCAL_640, cropped=True)


@case("mask/softras_640x480", unit="ms", target=100.0, reference="PyTorch3D (backward repaired) 6,490 ms")
def prepare_softras(device: str) -> Trial:
    """The paper's product over faces, sigma 1e-4."""
    return mask_trial(device, 640, 480, FOCAL_640, soft=True)
