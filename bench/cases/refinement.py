"""Refinement: one Gauss-Newton iteration of a sequence, and all of it; one step of Adam on the full energy."""

from functools import cache

import numpy as np

from warpprior.alignment.alignment import COLUMNS, Alignment
from warpprior.alignment.initialise import initialise
from warpprior.bench.harness import Trial, case
from warpprior.descent.descent import Descent
from warpprior.descent.energy import Energy
from warpprior.descent.terms import build_terms
from warpprior.estimators.refine import refine
from warpprior.history import History
from warpprior.picture import prepare_picture
from warpprior.scene import Poses, Scene
from warpprior.settings import RefineSettings
from warpprior.state import MotionState

FRAMES = 30
ALLOWED = 2.0  # median distance of the bottle's origin from the truth, with exact masks [mm]


@cache
def _scene() -> Scene:
    """A robot hand that lifts a bottle, 640x480, exact masks, the usual rough start."""
    from warpprior.scenes import simulate

    return simulate("robot_lift", frame_count=FRAMES, mask_noise="M0", images=False)


def _miss(poses: Poses) -> str | None:
    """What is wrong with the bottle's motion, if anything."""
    truth = _scene().body("bottle").truth
    error = 1e3 * float(np.median(np.linalg.norm(poses.position - truth.position, axis=1)))
    return None if error < ALLOWED else f"the bottle is {error:.2f} mm off, at most {ALLOWED} is right"


@case("refine/robot_lift", unit="ms", target=200.0, reference="the paper: 5830 ms per frame on a GPU")
def prepare_refine(device: str) -> Trial:
    """The whole estimate per frame, without files: set-up, start, alignment."""
    found = []
    scene = _scene()
    return Trial(
        run=lambda: found.append(refine(scene, device=device)),
        check=lambda: _miss(found[-1].poses["bottle"]),
        per=FRAMES,
    )


@case("refine/gauss_newton", unit="ms", reference="mask term alone, 640x480: 0.8 ms")
def prepare_gauss_newton(device: str) -> Trial:
    """One iteration per frame: drawing, contours, contact, smoothness, the banded solution."""
    settings = RefineSettings()
    state = MotionState(_scene(), device)
    picture = prepare_picture(state, settings.window_margin)
    for body in state.moving:
        initialise(body, state, picture.unbiased_labels, picture.window, passes=4)
    alignment = Alignment(state.moving, state, picture, settings)
    for number in range(len(settings.align.stages)):
        alignment.run(number)
    history = History(COLUMNS, 1, device)
    return Trial(
        run=lambda: alignment.iterate(history),
        check=lambda: _miss(state.read()["bottle"]),
        per=FRAMES,
    )


@case("refine/adam", unit="ms", reference="mask term alone, 640x480: 0.8 ms")
def prepare_adam(device: str) -> Trial:
    """One step per frame on every term of the energy, from the truth: taping, backward pass, Adam."""
    scene = _scene()
    scene = scene.with_poses({"bottle": scene.body("bottle").truth})
    state = MotionState(scene, device)
    settings = RefineSettings().polish
    terms = build_terms(state, prepare_picture(state, 0.5), settings, lambda text: None)
    descent = Descent(state, Energy(state, terms), settings)

    def run() -> None:
        descent.run(1, lambda done: None)

    return Trial(
        run=run,
        check=lambda: _miss(state.read()["bottle"]),
        per=FRAMES,
    )
