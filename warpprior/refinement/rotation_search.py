"""Far rotations: poses that fit labels, searched over a grid of all rotations where the pose at hand does not.

Contours pull a body from some 30 degrees away, half turns mend themselves; all else ends in some other valley.  So a
few frames are drawn small, once for every rotation of a grid: a sequence whose frames are the hypotheses, placed in
closed form and settled by their contours alone, all in the same launches.  Which is right is not decided here: the best
of them are handed on, to be judged at full size, with colours and contact, over the whole sequence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warpprior.bodies.clustering import clustered
from warpprior.refinement.body_fit import BodyFit
from warpprior.refinement.start import start_from_labels
from warpprior.refinement.steps import BodySteps
from warpprior.refinement.symmetry import seen_angles
from warpprior.render.thinning import thinned, thinned_camera
from warpprior.scene import Poses, Scene, SceneBody
from warpprior.support.wording import frame_list
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.problem import Problem
from warpprior.system.stage import Stage
from warpprior.system.unknown_settings import UnknownSettings
from warpprior.terms.contour import Contour

POOR = 1.0  # contours this many sigmas of label borders off, on average over a frame, fit poorly
POORER = 1.5  # times as far off as other bodies' are, whose labels come from the same source
OUTLYING = 4.45  # median deviations from a body's median that are three sigmas
DEEP_M = 0.006  # and so do bodies that lie this deep in what is known
FEWEST_FRAMES = 3  # of a sequence that fit poorly, for an error that all frames may share
PICKED = 6  # frames that are drawn for every rotation
LABEL_PX = 36.0  # how large labels are drawn, root of their area [px]
FACES = 1500  # of the model that is drawn
PASSES, SETTLING = 3, 10
BEST = 5  # rotations that are handed on
APART_RAD = 0.35  # closer ones are one
REACH_PX = 12.0  # of contours, in the small pictures [px]


@dataclass(frozen=True)
class Found:
    """What a search hands on.

    Attributes:
        tries: poses of the whole sequence to be judged at full size, (frame, 7) each.
        frames: those that fit poorly.
    """

    tries: list[np.ndarray]
    frames: np.ndarray


def poor_frames(fit: BodyFit) -> tuple[np.ndarray, np.ndarray]:
    """Frames whose drawing, as last refreshed, is off its label by more than labels err; both (frame,) bool.

    How much labels err is what they are taken to, or what is left between those of other bodies and their drawings.
    The second are those of them that are off by more than the body is in most frames: labels err differently in each.
    """
    sigma, _ = fit.problem.noise("labels")
    others = [_displacement(fit, body) for body in fit.motion.estimated if body.name != fit.body.name]
    left = [np.median(each[np.isfinite(each)]) for each in others if np.isfinite(each).any()]
    own = _displacement(fit, fit.body)
    poor = own > max(POOR * sigma, POORER * min(left, default=0.0))  # NaN is not
    if not poor.any():
        return poor, poor
    usual = np.nanmedian(own)
    return poor, poor & (own > usual + OUTLYING * np.nanmedian(np.abs(own - usual)))


def _displacement(fit: BodyFit, body: SceneBody) -> np.ndarray:
    """How far a body's drawing is off its label (frame,) [px], NaN where the label says too little."""
    overlap = fit.problem.overlap(body)
    overlap.measure(fit.motion.screen)
    return np.where(overlap.usable, overlap.displacement, np.nan)


def depth_inside(fit: BodyFit) -> np.ndarray:
    """How deep the deepest point of a known body lies in the body, where it was last looked up (frame,) [m]."""
    deepest = np.zeros(fit.motion.frame_count)
    for pair in fit.problem.contacts(fit.body).pairs.values():
        if pair.partner.known:
            deepest = np.maximum(deepest, -pair.contacts.samples.numpy()[:, :, 3].min(axis=1))
    return deepest


def frames_to_search(fit: BodyFit, *, shared: bool) -> np.ndarray:
    """Frames that fit so poorly that other rotations are worth a try (frame,) int; none where it is not.

    Args:
        fit: the body alone, drawn.
        shared: look for an error that most frames share; else for errors of single frames.
    """
    if fit.motion.scene.labels is None or fit.body.symmetry == "sphere":
        return np.zeros(0, dtype=int)
    poor, outlying = poor_frames(fit)
    usable = fit.problem.overlap(fit.body).usable
    if shared:
        poor |= usable & (depth_inside(fit) > DEEP_M)
    common = poor.sum() >= max(FEWEST_FRAMES, int(usable.sum()) // 2)
    if common != shared:
        return np.zeros(0, dtype=int)
    return np.flatnonzero(poor if shared else outlying)


def search_rotations(fit: BodyFit, *, shared: bool) -> Found | None:
    """Rotations that fit the labels of a body better than its poses do; None where these fit, or nothing tells.

    Args:
        fit: the body alone, drawn; it stays where it is.
        shared: as of :func:`frames_to_search`.
    """
    frames = frames_to_search(fit, shared=shared)
    if not len(frames):
        return None
    picked = _pick(frames, fit.problem.overlap(fit.body).labelled[:, 0])
    grid = rotation_grid(fit.body.symmetry)
    poses, costs = _try_all(fit, picked, grid)
    if shared:
        return Found(_shared_turns(fit, poses, costs, picked), frames)
    return Found(_single_frames(fit.poses, poses, costs, picked, fit.body.symmetry), frames)


def say_what_came(fit: BodyFit, found: Found, before: np.ndarray) -> None:
    """Note where a rotation from the grid was taken.

    Args:
        fit: the body, at the poses that were chosen.
        found: what was tried.
        before: poses before the search (frame, 7).
    """
    angles = seen_angles(fit.poses[:, 3:], before[:, 3:], fit.body.symmetry)
    turned = found.frames[angles[found.frames] > APART_RAD]
    if len(turned):
        away = np.degrees(np.median(angles[turned]))
        fit.problem.note(
            f"{fit.body.name}: another rotation, {away:.0f} degrees away, fits better in "
            f"{frame_list(turned)} and was taken."
        )


def rotation_grid(symmetry: str = "none") -> np.ndarray:
    """Turns (turn, 4) xyzw, identity first, that leave no rotation farther than some 45 degrees from one of them.

    The rotations of an icosahedron.  Those that look alike because of a symmetry are left out.
    """
    from scipy.spatial.transform import Rotation

    group = Rotation.create_group("I").as_quat()
    group = group[np.argsort(-np.abs(group[:, 3]), kind="stable")]
    kept = [group[0]]
    for turn in group[1:]:
        if seen_angles(np.array(kept), turn, symmetry).min() > APART_RAD:
            kept.append(turn)
    return np.array(kept)


def _pick(frames: np.ndarray, area: np.ndarray) -> np.ndarray:
    """At most PICKED frames, spread over those given: of each part the one whose label is largest."""
    parts = np.array_split(frames, min(PICKED, len(frames)))
    return np.array([part[np.argmax(area[part])] for part in parts])


def _try_all(fit: BodyFit, frames: np.ndarray, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Poses (turn, frame, 7) that settled in small pictures, and what they cost there (turn, frame)."""
    small = _small_scene(fit, frames, grid)
    motion = MotionState(small, fit.motion.device.alias, point_count=8)
    observed = observe_picture(motion, 0.25, calibrate=False)
    problem = Problem(
        motion, observed, UnknownSettings(estimate_mask_bias=False, estimate_misfit=False, estimate_shape=False)
    )
    term = Contour(sigma_px=1.0)
    problem.prepare_for([term])
    bound = list(term.bind(problem))
    stage = Stage(name="search", reach_px=REACH_PX)
    for each in bound:
        each.enter(stage)
    problem.enter(stage)
    start_from_labels(small.bodies[0], problem, passes=PASSES)
    problem.refresh()
    tried = BodyFit(BodySteps(small.bodies[0], problem), bound, problem, damping=1e-3)
    tried.iterate(SETTLING)
    shape = len(grid), len(frames)
    return tried.poses.reshape(*shape, 7), tried.observed_costs().reshape(shape)


def _small_scene(fit: BodyFit, frames: np.ndarray, grid: np.ndarray) -> Scene:
    """A scene whose frames are all turns of the grid in all picked frames, drawn small; other labels may hide.

    The body is as large as it is now.
    """
    from scipy.spatial.transform import Rotation

    body, scene, own = fit.body, fit.motion.scene, fit.poses
    labels = scene.labels
    assert labels is not None, "it is what hypotheses are judged by"
    area = np.median([(labels[frame] == body.label).sum() for frame in frames])
    step = max(int(np.sqrt(area) / LABEL_PX), 1)
    images, camera = thinned(labels, step)[frames], thinned_camera(scene.camera, step)
    rotations = Rotation.from_quat(np.tile(own[frames, 3:], (len(grid), 1)))
    turns = Rotation.from_quat(np.repeat(grid, len(frames), axis=0))
    position = np.tile(own[frames, :3], (len(grid), 1)).astype(np.float64)
    model, _ = clustered(body.body, FACES)
    size = fit.motion.read_size(body)
    poses = Poses(position, (rotations * turns).as_quat(), np.zeros((len(position), 0)), scale=size)
    item = SceneBody(model, body.label, known=False, initial=poses, symmetry=body.symmetry)
    return Scene("search", camera, scene.fps, (item,), labels=np.tile(images, (len(grid), 1, 1)))


def _shared_turns(fit: BodyFit, poses: np.ndarray, costs: np.ndarray, picked: np.ndarray) -> list[np.ndarray]:
    """Whole sequences turned alike: the turns that cost least over all picked frames."""
    from scipy.spatial.transform import Rotation, Slerp

    own, symmetry = fit.poses.astype(np.float64), fit.body.symmetry
    order = np.argsort(np.median(costs, axis=1) + 0.5 * np.mean(costs, axis=1), kind="stable")
    tries: list[np.ndarray] = []
    every = np.arange(len(own))
    for which in order:
        if len(tries) == BEST:
            break
        turns = Rotation.from_quat(own[picked, 3:]).inv() * Rotation.from_quat(poses[which][:, 3:])
        if len(picked) > 1:
            between = np.clip(every, picked[0], picked[-1])
            turn = Slerp(picked, turns)(between)
        else:
            turn = Rotation.from_quat(np.tile(turns.as_quat(), (len(own), 1)))
        tried = own.copy()
        tried[:, 3:] = (Rotation.from_quat(own[:, 3:]) * turn).as_quat()
        shift = poses[which][:, :3] - own[picked, :3]
        tried[:, :3] += np.column_stack([np.interp(every, picked, column) for column in shift.T])
        far = [np.median(seen_angles(tried[:, 3:], other[:, 3:], symmetry)) > APART_RAD for other in tries]
        if all(far):
            tries.append(tried)
    return tries


def _single_frames(own: np.ndarray, poses: np.ndarray, costs: np.ndarray, picked, symmetry: str) -> list[np.ndarray]:
    """Sequences in which each picked frame takes its best rotation, or its next best; the others stay."""
    tries = [own.astype(np.float64).copy() for _ in range(BEST)]
    for column, frame in enumerate(picked):
        chosen: list[np.ndarray] = []
        for which in np.argsort(costs[:, column], kind="stable"):
            pose = poses[which, column]
            angles = [seen_angles(other[3:], pose[3:], symmetry) for other in chosen]
            if len(chosen) < BEST and min(angles, default=np.inf) > APART_RAD:
                tries[len(chosen)][frame] = pose
                chosen.append(pose)
    return tries
