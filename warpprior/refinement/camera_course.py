"""What a run does about a camera that moves: where it begins, what of it is kept, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from warpprior.scene import Scene
from warpprior.system.problem import Problem
from warpprior.terms import Term
from warpprior.terms.camera import CameraMotion
from warpprior.world import CameraNoise, CameraPath

OFFSETS = "camera"  # key of what is kept


def begin_camera(problem: Problem, terms: list[Term]) -> None:
    """Take the jitter out of a camera whose poses are estimated, as far as it tells that itself."""
    world, scene = problem.motion.world, problem.motion.scene
    used = [term for term in terms if isinstance(term, CameraMotion)]
    if world is not None and world.estimated and used:
        rate, paces = scene.fps**2, problem.motion.paces.numpy()
        world.smoothed_start(paces, (rate / used[0].sigma_m_s2) ** 2, (rate / used[0].sigma_rad_s2) ** 2)


def chosen_camera(scene: Scene, estimate: bool | None) -> Scene:
    """The scene with poses of its camera to be estimated, or known, as asked; None: as the scene has it."""
    world = scene.world
    if estimate is None or world is None or not world.moves or estimate == (world.noise is not None):
        return scene
    return replace(scene, world=replace(world, noise=CameraNoise() if estimate else None))


def kept_camera(problem: Problem) -> dict[str, np.ndarray]:
    """What was learnt of the camera, to be kept; nothing where it stands."""
    world = problem.motion.world
    return {OFFSETS: world.offsets.numpy().copy()} if world is not None and world.estimated else {}


def restore_camera(problem: Problem, arrays: dict[str, np.ndarray]) -> None:
    """Go on from what :func:`kept_camera` gave."""
    world = problem.motion.world
    if world is not None and OFFSETS in arrays:
        world.assign(arrays[OFFSETS])


def scene_with_camera(scene: Scene, problem: Problem, covariance: np.ndarray | None) -> Scene:
    """The scene with the camera where it was found, with the ``covariance`` (frame, 6, 6) of its offsets."""
    world = problem.motion.world
    if world is None or not world.estimated or scene.world is None:
        return scene
    found = world.path()
    if covariance is not None:
        found = replace(found, covariance=world.covariance_in_world(covariance))
    return replace(scene, world=replace(scene.world, camera=found, given=scene.world.camera))


def camera_notes(given: Scene, found: Scene) -> list[str]:
    """How a camera moved, and what became of its poses."""
    if given.world is None or not given.world.moves:
        return []
    before, after = given.world.camera, found.world.camera if found.world is not None else None
    assert before is not None and after is not None, "it moves"
    away, turned = before.travel()
    said = f"the camera moves by up to {100.0 * away:.3g} cm and {np.degrees(turned):.3g} degrees"
    if given.world.noise is None:
        return [f"{said}; its poses are known, and what compares frames does so in the world."]
    if found.world is given.world:
        return [f"{said}; its poses were measured and stay as they are, for no term says how far they are off."]
    shifts, turns = changes(before, after)
    return [
        f"{said}; its poses were estimated with the motion, and are {1e3 * np.median(shifts):.2g} mm (at most "
        f"{1e3 * shifts.max():.2g}) and {np.degrees(np.median(turns)):.2g} degrees (at most "
        f"{np.degrees(turns.max()):.2g}) from those given."
    ]


def changes(one: CameraPath, other: CameraPath) -> tuple[np.ndarray, np.ndarray]:
    """How far two paths are apart in each frame [m], and how far they are turned [rad]."""
    cosines = np.clip(np.abs(np.sum(one.rotation * other.rotation, axis=1)), 0.0, 1.0)
    return np.linalg.norm(one.position - other.position, axis=1), 2.0 * np.arccos(cosines)
