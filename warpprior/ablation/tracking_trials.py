"""What a tracker observes in its study: noise that is exactly what the filter supposes, and what may go wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.scene import Poses, Scene, SceneBody, box_center
from warpprior.scenes.noise import Point3DNoise, measure_center, measure_keypoints, split_by_sight
from warpprior.scenes.noise.correlated import correlated
from warpprior.support.errors import InputError
from warpprior.tracking.hands import joint_sigmas
from warpprior.tracking.settings import ControlNoise, TrackSettings

OURS, FRAME_TO_FRAME, PRINTED = "ours", "frame to frame", "as printed"
VARIANTS = (OURS, FRAME_TO_FRAME, PRINTED)
OBSERVED = {"hand": ("fingertips",), "object": ("center",), "hand + object": ("fingertips", "center")}
BOTH = "hand + object"
SUPPOSED, NETWORK = "as supposed", "network"
CONTROLS = (SUPPOSED, NETWORK)

SMOOTHED, LAG, HIDDEN, IRREGULAR = "smoothed", "lag 5", "object hidden", "irregular times"
OUTLIERS = {"outliers, gate": "gate", "outliers, huber": "huber", "outliers, none": "none"}
TRIALS = (SMOOTHED, LAG, HIDDEN, *OUTLIERS, IRREGULAR)
LAG_FRAMES = 5
HIDDEN_FRAMES, AFTER_FRAMES = 20, 10
OUTLIER_SHARE, OUTLIER_M = 0.05, 0.06
DROPPED = 1.0 / 3.0  # share of frames that are missing with irregular times

_PURPOSES = ("control", "points", "start", "drop")
_STREAM = 0x747261636B  # keeps the draws apart from those of the scene, which has the same seed


@dataclass(frozen=True)
class Case:
    """One way to track a scene.

    Attributes:
        variant: ``ours``, ``frame to frame`` or ``as printed``.
        observed: a key of :data:`OBSERVED`.
        control: where the hand's poses come from: noise as the filter supposes, or the scene's own.
        trial: one of :data:`TRIALS`, or empty for plain tracking.
    """

    variant: str
    observed: str
    control: str
    trial: str = ""

    @property
    def name(self) -> str:
        """Unique among cases."""
        return " | ".join(part for part in (self.control, self.variant, self.observed, self.trial) if part)

    @property
    def sensors(self) -> tuple[str, ...]:
        """Names of the sensors that are believed."""
        return OBSERVED[self.observed]


def all_cases() -> list[Case]:
    """Every case of the study."""
    cases = []
    for control in CONTROLS:
        for variant in VARIANTS:
            cases += [Case(variant, observed, control) for observed in OBSERVED]
        cases += [Case(OURS, BOTH, control, trial) for trial in TRIALS]
    return cases


def case_settings(case: Case, settings: TrackSettings) -> TrackSettings:
    """Settings of a case, from those of ours."""
    if case.variant == FRAME_TO_FRAME:
        return replace(settings, anchors=0)
    if case.variant == PRINTED:
        plain, literal = TrackSettings().__dict__, TrackSettings.paper_literal().__dict__
        return replace(settings, **{name: value for name, value in literal.items() if value != plain[name]})
    return replace(settings, robust=OUTLIERS.get(case.trial, settings.robust))


def hidden_frames(frame_count: int) -> range:
    """Frames in which the object is hidden, from the middle on, when the hand holds it."""
    start = frame_count // 2
    return range(start, start + min(HIDDEN_FRAMES, frame_count // 3))


def tracked_object(scene: Scene) -> SceneBody:
    """The object of a scene.

    Raises:
        InputError: it has none or several, or truth is missing.
    """
    found = [body for body in scene.bodies if body.body.is_rigid and not body.known]
    if len(found) != 1 or any(body.truth is None for body in scene.bodies):
        raise InputError(f"scene {scene.name!r}", f"{len(found)} objects", "one, and truth for all bodies")
    return found[0]


def true_motion(body: SceneBody) -> Poses:
    """The truth of a body, which the scenes of the study have of all."""
    assert body.truth is not None, "tracked_object has seen to it"
    return body.truth


class Trials:
    """One simulated scene as each case shows it to a tracker.

    Args:
        scene: with truth; its pictures are not used.
        settings: whose noise is drawn: of control, fingertips, centre, and the object's first pose.
        seed: of all draws.  All cases share them.

    Attributes:
        object: the body that is tracked.
        frame_count: of the scene.
    """

    def __init__(self, scene: Scene, settings: TrackSettings, seed: int):
        self.object = tracked_object(scene)
        self._scene, self._settings, self.frame_count = scene, settings.with_sigmas(scene.noise), scene.frame_count
        self._streams = np.random.SeedSequence([seed, _STREAM]).spawn(len(_PURPOSES))
        self._hands = [body for body in scene.bodies if body.body.coordinate_count]
        random = self._random("control")
        self._supposed = {
            hand.name: suppose_control(hand, settings.estimated, scene.fps, random) for hand in self._hands
        }
        self._start = suppose_start(self.object, settings, self._random("start"))

    def _random(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng(self._streams[_PURPOSES.index(purpose)])

    def scene(self, case: Case) -> Scene:
        """What the tracker is given in this case."""
        scene, thing = self._scene, self.object
        bodies = []
        for body in scene.bodies:
            initial = body.initial
            if body is thing:
                initial = self._start
            elif case.control == SUPPOSED:
                initial = self._supposed.get(body.name, initial)
            bodies.append(replace(body, initial=initial))
        random, settings = self._random("points"), self._settings
        stray = OUTLIER_SHARE if case.trial in OUTLIERS else 0.0
        sigmas = settings.noise_of("keypoints3d"), settings.noise_of("centers")
        noise = Point3DNoise(*sigmas, outliers=stray, outlier_distance=OUTLIER_M)
        keypoints = {
            hand.name: measure_keypoints(hand.body, true_motion(hand), scene.camera, random, noise)
            for hand in self._hands
            if hand.body.keypoints is not None
        }
        center = measure_center(thing.body, true_motion(thing), scene.camera, random, replace(noise, outliers=0.0))
        if case.trial == HIDDEN:
            center[list(hidden_frames(scene.frame_count))] = np.nan
        shown = Scene(
            name=scene.name,
            camera=scene.camera,
            fps=scene.fps,
            bodies=tuple(bodies),
            keypoints3d=keypoints,
            centers={thing.name: center},
            timestamps=scene.timestamps,
            noise=scene.noise,
        )
        return pick_frames(shown, self.frames(case))

    def frames(self, case: Case) -> np.ndarray:
        """Frames of the scene that a case has (n,)."""
        count = self._scene.frame_count
        if case.trial != IRREGULAR:
            return np.arange(count)
        kept = self._random("drop").random(count) >= DROPPED
        kept[0] = True
        return np.flatnonzero(kept)


def pick_frames(scene: Scene, frames: np.ndarray) -> Scene:
    """Some frames of a scene without pictures, at the times that they have."""
    bodies = tuple(
        replace(body, initial=body.initial.frames(frames), truth=body.truth and body.truth.frames(frames))
        for body in scene.bodies
    )
    return replace(
        scene,
        bodies=bodies,
        keypoints3d={name: values[frames] for name, values in scene.keypoints3d.items()},
        centers={name: values[frames] for name, values in scene.centers.items()},
        timestamps=scene.times[frames],
    )


def suppose_control(hand: SceneBody, noise: ControlNoise, fps: float, random: np.random.Generator) -> Poses:
    """Poses of a hand as the filter supposes the control to err: first-order autoregressive, in camera axes.

    Args:
        hand: the true motion and the ranges of its joints; joints are not kept within them.
        noise: standard deviations and correlation time.
        fps: frames per second.
        random: source of the noise.
    """
    truth, body = true_motion(hand), hand.body
    correlation = float(np.exp(-1.0 / (fps * noise.correlation_s))) if noise.correlation_s > 0.0 else 0.0
    errors = correlated(random, truth.frame_count, 6 + body.coordinate_count, correlation)
    turns = Rotation.from_rotvec(noise.rotation_rad * errors[:, 3:6])
    return replace(
        truth,
        position=truth.position + _shift(errors[:, :3], truth.position, noise.lateral_m, noise.depth_m),
        rotation=(turns * Rotation.from_quat(truth.rotation)).as_quat(),
        joints=truth.joints + joint_sigmas(body, noise.joint_rad) * errors[:, 6:],
        covariance=None,
        imputed=None,
    )


def suppose_start(thing: SceneBody, settings: TrackSettings, random: np.random.Generator) -> Poses:
    """Poses of an object whose first one errs as the filter supposes: its middle, and a turn about that.

    Only the first frame is used by a tracker; the others are as far off.
    """
    truth = true_motion(thing)
    arm = box_center(thing.body, truth.scale)
    rotation = Rotation.from_quat(truth.rotation)
    middle = truth.position + rotation.apply(arm)
    errors = random.normal(size=(1, 6))
    middle = middle + _shift(errors[:, :3], middle, settings.initial_lateral_m, settings.initial_depth_m)
    turned = Rotation.from_rotvec(settings.initial_rotation_rad * errors[:, 3:]) * rotation
    return replace(truth, position=middle - turned.apply(arm), rotation=turned.as_quat(), covariance=None, imputed=None)


def _shift(errors: np.ndarray, position: np.ndarray, lateral: float, depth: float) -> np.ndarray:
    """Unit errors (frame, 3) as shifts across and along the lines of sight to positions (frame, 3)."""
    across, along = split_by_sight(errors, position)
    return lateral * across + depth * along
