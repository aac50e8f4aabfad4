"""Evaluation: all metrics of a motion of a hand that closes around a can, as measured before and after refinement."""

from dataclasses import replace

import numpy as np

from warpprior.bench.harness import Trial, case
from warpprior.bodies import read_hand, rigid_body
from warpprior.bodies.primitives import make_cylinder
from warpprior.metrics import Evaluator
from warpprior.scene import Camera, Poses, Scene, SceneBody

FRAMES = 60
CAMERA = Camera(640, 480, 615.0, 615.0, 320.0, 240.0)


def _scene() -> Scene:
    """Fingers that close on a can until they are half a centimetre inside, both a centimetre off; no pictures."""
    hand, can = read_hand(), make_cylinder(0.028, 0.12)
    upright = can.vertices[:, [0, 2, 1]] * [1.0, 1.0, -1.0] + [0.1, 0.0, -0.038]
    mug = rigid_body("can", upright, can.faces)
    joints = np.zeros((FRAMES, hand.coordinate_count))
    bending = [index for index, name in enumerate(hand.coordinate_names) if name.endswith(".x")]
    joints[:, bending] = np.linspace(0.2, 0.7, FRAMES)[:, None]
    place = np.tile([0.0, 0.0, 0.5], (FRAMES, 1))
    straight = np.tile([0.0, 0.0, 0.0, 1.0], (FRAMES, 1))
    bodies = []
    for label, (body, coordinates) in enumerate(((hand, joints), (mug, np.zeros((FRAMES, 0)))), start=1):
        truth = Poses(place, straight, coordinates, np.zeros(body.shape_count))
        off = np.random.default_rng(label).normal(scale=0.01, size=place.shape)
        bodies.append(SceneBody(body, label, False, replace(truth, position=place + off), truth))
    return Scene("held can", CAMERA, 30.0, tuple(bodies))


@case("metrics/hand_and_object", unit="ms", target=50.0, reference="refinement: 200 ms per frame")
def prepare_metrics(device: str) -> Trial:
    """Everything ``evaluate`` measures but masks, per frame: errors, contact both ways, shared volume at 1 mm."""
    scene, found = _scene(), []
    evaluator = Evaluator(scene, device=device)
    poses = {body.name: body.initial for body in scene.bodies}
    truth = scene.body("can").truth
    assert truth is not None

    def check() -> str | None:
        away = np.linalg.norm(poses["can"].position - truth.position, axis=1)
        error = np.abs(np.array(found[-1]["per_frame"]["can"]["add_mm"]) - 1e3 * away).max()
        return None if error < 0.01 else f"ADD is {error:.3f} mm from the shift that was made"

    return Trial(run=lambda: found.append(evaluator(poses)), check=check, per=FRAMES)
