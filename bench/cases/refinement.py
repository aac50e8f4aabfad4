"""Refinement: one Gauss-Newton iteration of a sequence, and all of it; one step of Adam on the full energy."""

from functools import cache

import numpy as np

from warpprior.bench.harness import Trial, case
from warpprior.refinement.adam import Adam
from warpprior.refinement.gauss_newton import GaussNewton
from warpprior.refinement.preparing import unknowns_for
from warpprior.refinement.run import refine
from warpprior.refinement.start import start_from_labels
from warpprior.scene import Poses, Scene
from warpprior.settings import RefineSettings
from warpprior.support.history import History
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.problem import Problem

FRAMES = 30
GRASP_FRAMES = 12
GRASP_ALLOWED = 10.0  # the same of a human hand and what it holds, which are both unknown [mm]
ALLOWED = 2.0  # median distance of the bottle's origin from the truth, with exact masks [mm]


@cache
def _scene() -> Scene:
    """A robot hand that lifts a bottle, 640x480, exact masks, the usual rough start."""
    from warpprior.scenes import simulate

    return simulate("robot_lift", frame_count=FRAMES, mask_noise="M0", images=False)


def _miss(poses: Poses) -> str | None:
    """What is wrong with the bottle's motion, if anything."""
    truth = _scene().body("bottle").truth
    assert truth is not None
    error = 1e3 * float(np.median(np.linalg.norm(poses.position - truth.position, axis=1)))
    return None if error < ALLOWED else f"the bottle is {error:.2f} mm off, at most {ALLOWED} is right"


@case("refine/robot_lift", unit="ms", target=200.0, reference="the paper: 5830 ms per frame on a GPU")
def prepare_refine(device: str) -> Trial:
    """The whole estimate per frame, without files: set-up, start, Gauss-Newton."""
    found = []
    scene = _scene()
    return Trial(
        run=lambda: found.append(refine(scene, device=device)),
        check=lambda: _miss(found[-1].poses["bottle"]),
        per=FRAMES,
    )


@case("refine/grasp_lift", unit="ms", target=400.0, reference="the paper: 5830 ms per frame on a GPU")
def prepare_grasp(device: str) -> Trial:
    """A human hand and the bottle it lifts, both unknown: the whole estimate per frame, without files."""
    from warpprior.scenes import simulate

    scene, found = simulate("grasp_lift", frame_count=GRASP_FRAMES, mask_noise="M0", images=False), []

    def check() -> str | None:
        errors = {}
        for item in scene.bodies:
            assert item.truth is not None
            away = np.linalg.norm(found[-1].poses[item.name].position - item.truth.position, axis=1)
            errors[item.name] = 1e3 * float(np.median(away))
        worst = max(errors, key=lambda name: errors[name])
        good = errors[worst] < GRASP_ALLOWED
        return None if good else f"{worst} is {errors[worst]:.1f} mm off, at most {GRASP_ALLOWED} is right"

    return Trial(run=lambda: found.append(refine(scene, device=device)), check=check, per=GRASP_FRAMES)


@case("refine/gauss_newton", unit="ms", reference="mask term alone, 640x480: 0.8 ms")
def prepare_gauss_newton(device: str) -> Trial:
    """One iteration per frame: drawing, contours, contact, smoothness, the banded solution."""
    solver, problem = refined(_scene(), device)
    history = History(solver.names, 1, device)

    def run() -> None:
        solver.linearise(history)
        solver.solve()
        solver.advance()

    return Trial(
        run=run,
        check=lambda: _miss(problem.motion.read()["bottle"]),
        per=FRAMES,
    )


def refined(scene: Scene, device: str) -> tuple[GaussNewton, Problem]:
    """A solver after its stages, which can go on."""
    settings = RefineSettings()
    problem = _problem(scene, device, settings)
    for body in problem.motion.estimated:
        start_from_labels(body, problem, passes=4)
    solver = GaussNewton(problem, settings)
    for number in range(len(solver.stages)):
        solver.run(number)
    return solver, problem


def _problem(scene: Scene, device: str, settings: RefineSettings) -> Problem:
    motion = MotionState(scene, device)
    return Problem(motion, observe_picture(motion, settings.window_margin), unknowns_for(scene, settings))


@case("refine/adam", unit="ms", reference="mask term alone, 640x480: 0.8 ms")
def prepare_adam(device: str) -> Trial:
    """One step per frame on every term of the energy, from the truth: taping, backward pass, Adam."""
    scene = _scene()
    truth = scene.body("bottle").truth
    assert truth is not None
    scene = scene.with_poses({"bottle": truth})
    settings = RefineSettings(window_margin=0.5)
    problem = _problem(scene, device, settings)
    descent = Adam(problem, settings)

    def run() -> None:
        descent.run(1, lambda done: None)

    return Trial(
        run=run,
        check=lambda: _miss(problem.motion.read()["bottle"]),
        per=FRAMES,
    )
