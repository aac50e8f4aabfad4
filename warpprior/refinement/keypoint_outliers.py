"""Keypoints that cannot be what they are said to be: sets of frames, and single points, told before anything is fitted.

Three witnesses are heard of each frame: the keypoints among themselves (can the body be posed so that it has them?),
the label (do they lie on it?) and the first guess (where, in which order and sense, does it have them?).  A set that no
pose explains contradicts itself, unless the first guess does; any other is left out only where two witnesses speak
against it.  A first guess that is merely far off, or a label that is wrong, is outvoted by the other two.  What makes
whole sets wrong, a mirrored picture or another order, does so in many frames: where two witnesses found it in some,
the first guess is enough in others.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from warpprior.bodies.keypoint_fit import NEAREST_M, Detected, FramePoses, KeypointModel, Pinhole, fit_keypoints
from warpprior.bodies.keypoint_start import FEWEST_POINTS, HYPOTHESES, fit_hypotheses
from warpprior.refinement.start_from_detections import CONFIDENT
from warpprior.scene import IGNORE_LABEL, Scene, SceneBody, trust_of
from warpprior.support.wording import frame_list

REACH = 4.0  # [sigma]: farther points are outliers of a fit
GROSS = 2.0  # reaches: farther points are left out; what lies between, the robust weights of the equations deal with
SIZE_SHARE = 0.12  # of a set's size, that another person's body is off by
EXPLAINED = 0.6  # share of the points of a set that some pose must explain
SAME = 0.35  # of a set's size: so far two sets may be apart that are of one pose
CLEARLY = 0.45  # another reading is this much nearer to the first guess
SUPPORTED = 0.15  # of a set's size: so near is a first guess that vouches for it
SEEN_OFTEN = 2  # frames in which two witnesses say how sets are wrong, after which one is enough
INSIDE = 0.5  # share of points that lie on the label
LEAST_GAIN = 0.01  # of that share, by another reading
TAKEN_ALWAYS, TAKEN_ONCE = 0.6, 0.3  # a finger's points are this much nearer to another, usually or in one frame
DIGITS, ENDS = ("thumb", "index", "middle", "ring", "pinky"), ("1", "2", "3", "_tip")
ALIGNMENTS = 6


@dataclass(frozen=True)
class KeypointOutliers:
    """What is wrong with one body's keypoints.

    Attributes:
        frames: whose sets are left out.
        points: single ones that are left out in other frames (frame, keypoint) bool.
        notes: why, one sentence each.
    """

    frames: tuple[int, ...]
    points: np.ndarray
    notes: tuple[str, ...]


def find_keypoint_outliers(scene: Scene, body: SceneBody) -> KeypointOutliers:
    """Judge the 2D keypoints of one body of a scene; labels are those that are believed."""
    found = np.asarray(scene.keypoints2d[body.name], dtype=np.float64)
    trust = trust_of(found)
    trust = np.where(trust > CONFIDENT, trust, 0.0)
    judged = np.flatnonzero((trust > 0.0).sum(axis=1) >= FEWEST_POINTS)
    nothing = np.zeros(trust.shape, dtype=bool)
    if len(judged) == 0:
        return KeypointOutliers((), nothing, ())
    camera = scene.camera
    lens = Pinhole(np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy]))
    sets = Detected(found[judged, :, :2], trust[judged], scene.sigma("keypoints2d"), lens)
    model = KeypointModel(body.body, body.initial.shape, body.initial.scale)
    guess = FramePoses(body.initial.position, body.initial.rotation, body.initial.joints).frames(judged)
    drawn = lens.project(model.places(guess))
    misses, sizes = _misses(model, sets, guess)
    known = sets.trust > 0.0
    reach = np.maximum(REACH * sets.sigma, SIZE_SHARE * sizes[:, None])
    explained = _explained(sets, misses, sizes)
    readings = _Readings(body, scene, sets, drawn, sizes, judged)
    contradicts = (explained < EXPLAINED) & ~((readings.shape < SUPPORTED) & ~readings.agrees)
    against = readings.against(contradicts) & ~contradicts
    far = known & (misses > GROSS * reach)
    out = contradicts | against
    points = nothing.copy()
    points[judged] = far & ~out[:, None]
    vouched = ~out & (readings.shape < SUPPORTED)
    taken, notes = _taken_for_others(body, sets.frames(vouched), drawn[vouched], judged[vouched])
    if contradicts.any():
        share = f"{100 * explained[contradicts].min():.0f} to {100 * explained[contradicts].max():.0f} %"
        notes.append(
            f"{body.name}: its 2D keypoints in {frame_list(judged[contradicts])} contradict each other (the best pose "
            f"explains {share} of them){readings.agreeing(contradicts)}; they were left out."
        )
    if against.any():
        notes.append(
            f"{body.name}: its 2D keypoints in {frame_list(judged[against])} contradict {readings.evidence(against)}"
            f"{readings.agreeing(against)}; they were left out."
        )
    if points.any():
        frames, off = np.flatnonzero(points.any(axis=1)), misses[points[judged]]
        notes.append(
            f"{body.name}: {points.sum()} single 2D keypoints in {frame_list(frames)} are {off.min():.0f} to "
            f"{off.max():.0f} px from where the others have them; they were left out."
        )
    points[judged[vouched]] |= taken
    return KeypointOutliers(tuple(int(frame) for frame in judged[out]), points, tuple(notes))


def without_outliers(scene: Scene, name: str, outliers: KeypointOutliers) -> Scene:
    """The scene without what is wrong of one body's 2D keypoints: of confidence 0."""
    if not outliers.frames and not outliers.points.any():
        return scene
    values = np.array(scene.keypoints2d[name], dtype=np.float64)
    values[list(outliers.frames), :, 2] = 0.0
    values[outliers.points, 2] = 0.0
    return replace(scene, keypoints2d={**scene.keypoints2d, name: values})


def _misses(model: KeypointModel, sets: Detected, guess: FramePoses) -> tuple[np.ndarray, np.ndarray]:
    """How far each point is from the best pose's (frame, keypoint) [px], and the sizes of that (frame,) [px]."""
    aligned = _aligned(model, sets, guess)
    poses, _ = fit_keypoints(model, sets, aligned)
    misses, sizes = _compare(model, sets, poses)
    _take_better(sets, misses, sizes, *_compare(model, sets, aligned), np.arange(len(sizes)))
    doubtful = np.flatnonzero(_outlying(sets, misses, sizes))
    if len(doubtful):
        others, costs = fit_hypotheses(model, sets.frames(doubtful))
        best = others.frames(np.arange(len(doubtful)) * HYPOTHESES + costs.argmin(axis=1))
        _take_better(sets, misses, sizes, *_compare(model, sets.frames(doubtful), best), doubtful)
    return misses, sizes


def _take_better(
    sets: Detected,
    misses: np.ndarray,
    sizes: np.ndarray,
    again: np.ndarray,
    size: np.ndarray,
    frames: np.ndarray,
) -> None:
    """Put in what another pose misses in some frames, where it explains more."""
    better = _explained(sets.frames(frames), again, size) > _explained(sets, misses, sizes)[frames]
    misses[frames[better]], sizes[frames[better]] = again[better], size[better]


def _explained(sets: Detected, misses: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    near = misses <= np.maximum(REACH * sets.sigma, SIZE_SHARE * sizes[:, None])
    return (near & (sets.trust > 0.0)).sum(axis=1) / (sets.trust > 0.0).sum(axis=1)


def _outlying(sets: Detected, misses: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Frames (frame,) bool whose fit leaves so much out that another pose may be the right one."""
    return _explained(sets, misses, sizes) < 0.5 * (1.0 + EXPLAINED)


def _compare(model: KeypointModel, sets: Detected, poses: FramePoses) -> tuple[np.ndarray, np.ndarray]:
    assert sets.lens is not None
    drawn = sets.lens.project(model.places(poses))
    misses = np.linalg.norm(np.where(sets.trust[..., None] > 0.0, drawn - sets.points, 0.0), axis=2)
    return misses, _size(drawn)


def _size(points: np.ndarray) -> np.ndarray:
    """Root mean square distance of points (frame, keypoint, 2) from their middle, twice [px]."""
    away = points - points.mean(axis=1, keepdims=True)
    return 2.0 * np.sqrt(np.mean(np.sum(away**2, axis=2), axis=1))


def _aligned(model: KeypointModel, sets: Detected, guess: FramePoses) -> FramePoses:
    """The first guess moved along and across its lines of sight to the points, robustly."""
    lens = sets.lens
    assert lens is not None
    position = guess.position.copy()
    position[:, 2] = np.maximum(position[:, 2], NEAREST_M)
    for _ in range(ALIGNMENTS):
        drawn = lens.project(model.places(replace(guess, position=position)))
        factor, shift, _ = _similar(drawn, sets.points, sets.trust)
        bearing = position[:, :2] / position[:, 2:]
        middle = (bearing * lens.focal + lens.center) * factor[:, None] + shift
        depth = position[:, 2:] / np.clip(factor, 0.02, 50.0)[:, None]
        position = np.column_stack([(middle - lens.center) / lens.focal * depth, depth])
    return replace(guess, position=position)


def _similar(ours: np.ndarray, theirs: np.ndarray, trust: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scale (frame,), shift (frame, 2) that carry our points to theirs, and the median miss (frame,), all robust."""
    known = trust > 0.0
    theirs = np.where(known[..., None], theirs, 0.0)
    weight = known.astype(float)
    factor, shift, miss = np.ones(len(ours)), np.zeros((len(ours), 2)), np.zeros(known.shape)
    for _ in range(5):
        total = weight.sum(axis=1)[:, None]
        a = (weight[..., None] * ours).sum(axis=1) / total
        b = (weight[..., None] * theirs).sum(axis=1) / total
        from_a, from_b = ours - a[:, None], theirs - b[:, None]
        square = lambda away, w: np.sqrt((w * np.sum(away**2, axis=2)).sum(axis=1))  # noqa: E731
        factor = square(from_b, weight) / np.maximum(square(from_a, weight), 1e-6)
        shift = b - factor[:, None] * a
        miss = np.linalg.norm(factor[:, None, None] * ours + shift[:, None] - theirs, axis=2)
        usual = np.nanmedian(np.where(known, miss, np.nan), axis=1)
        weight = known / (1.0 + (miss / np.maximum(2.0 * usual, 1e-3)[:, None]) ** 2) ** 2
    return factor, shift, np.nanmedian(np.where(known, miss, np.nan), axis=1)


class _Readings:
    """Other readings of the same points: mirrored, turned, in another order; which one agrees with the first guess.

    Attributes:
        shape: how far the first guess's points are from those given once both have one size and place (frame,), as a
            share of it.
        agrees: frames (frame,) bool in which another reading is clearly nearer.
    """

    def __init__(
        self,
        body: SceneBody,
        scene: Scene,
        sets: Detected,
        drawn: np.ndarray,
        sizes: np.ndarray,
        frames: np.ndarray,
    ):
        self._scene, self._body, self._frames, self._sizes = scene, body, frames, sizes
        known = sets.trust > 0.0
        points = np.where(known[..., None], sets.points, np.nan)
        self.shape = _similar(drawn, points, sets.trust)[2] / np.maximum(sizes, 1.0)
        self._names = []
        shapes, moved = [], []
        for name, (other, order) in self._all(points).items():
            trust = sets.trust if order is None else sets.trust[:, order]
            self._names.append(name)
            moved.append(other)
            enough = (trust > 0.0).sum(axis=1) >= FEWEST_POINTS
            shapes.append(np.where(enough, _similar(drawn, other, trust)[2] / np.maximum(sizes, 1.0), np.inf))
        best = np.argmin(shapes, axis=0)
        self._best = best
        self.other_shape = np.min(shapes, axis=0)
        self.agrees = (self.other_shape < SAME) & (self.other_shape < CLEARLY * self.shape)
        chosen = np.array(moved)[best, np.arange(len(frames))]
        self._inside, guessed, other = (self._on_label(each) for each in (points, drawn, chosen))
        # Where the guess has the body, and where the points have it, both seen from the label and from each other.
        middle, theirs, ours = (np.nanmedian(each, axis=1) for each in (points, chosen, drawn))
        away, before = np.linalg.norm(theirs - ours, axis=1), np.linalg.norm(middle - ours, axis=1)
        nearer = (away < SAME * sizes) & (away < before - 0.25 * sizes)
        labelled = np.isfinite(self._inside)
        better = other > self._inside + 0.25
        off = labelled & (self._inside < INSIDE)
        # A body near the middle of the picture lies on its label either way; over the sequence it tells yet.
        gained = (other - self._inside)[self.agrees & labelled]
        nearer &= len(gained) == 0 or bool(np.mean(gained) > LEAST_GAIN)
        self._two = (self.agrees & (off | better | nearer)) | (off & (guessed >= INSIDE))
        self._denied = before < away - 0.25 * sizes  # by the place of the first guess

    def against(self, contradicting: np.ndarray) -> np.ndarray:
        """Frames (frame,) bool in which two witnesses speak against the points, or one where it is known how.

        Args:
            contradicting: frames (frame,) bool whose points contradict each other.
        """
        sure = self.agrees & (self._two | contradicting)
        often = [which for which, count in Counter(self._best[sure]).items() if count >= SEEN_OFTEN]
        return self._two | (self.agrees & np.isin(self._best, often) & ~self._denied)

    def _all(self, points: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
        """Readings of points (frame, keypoint, 2) by what they would be, with the order where that is another."""
        camera = self._scene.camera
        size = np.array([camera.width, camera.height]) - 1.0
        found: dict[str, tuple[np.ndarray, np.ndarray | None]] = {
            "mirrored left to right (u taken as width - 1 - u)": (np.abs([1, 0]) * size + points * [-1, 1], None),
            "mirrored top to bottom (v taken as height - 1 - v)": (np.abs([0, 1]) * size + points * [1, -1], None),
            "with u and v exchanged": (points[..., ::-1], None),
        }
        for name, order in keypoint_orders(self._body).items():
            found[name] = (points[:, order], order)
        return found

    def _on_label(self, points: np.ndarray) -> np.ndarray:
        """Share of points that lie on labels of bodies or on don't-care (frame,); NaN where the label is not seen."""
        scene, share = self._scene, np.full(len(points), np.nan)
        if scene.labels is None:
            return share
        from scipy.ndimage import binary_dilation

        reach = int(np.ceil(scene.sigma("keypoints2d")))
        height, width = scene.labels.shape[1:]
        for row, frame in enumerate(self._frames):
            image = scene.labels[frame]
            if np.count_nonzero(image == self._body.label) < FEWEST_POINTS**2 or (image == IGNORE_LABEL).mean() > 0.5:
                continue
            step = 4  # a quarter of the resolution is enough for places that err by pixels
            covered = binary_dilation(image[::step, ::step] != 0, iterations=max(reach // step, 1))
            places = points[row][np.isfinite(points[row]).all(axis=1)]
            inner = (places >= 0.0).all(axis=1) & (places[:, 0] < width) & (places[:, 1] < height)
            if inner.sum() == 0:
                share[row] = 0.0
                continue
            at = np.minimum(places[inner].astype(int) // step, np.array(covered.shape)[::-1] - 1)
            share[row] = covered[at[:, 1], at[:, 0]].sum() / len(places)
        return share

    def agreeing(self, frames: np.ndarray) -> str:
        """What would agree with the first guess in most of the frames (frame,) bool, as the rest of a sentence."""
        which = Counter(self._names[best] for best in self._best[frames & self.agrees])
        if not which:
            return ""
        (name, count), *_ = which.most_common(1)
        if 2 * count < frames.sum():
            return ""
        at = frames & self.agrees & (self._best == self._names.index(name))
        apart = f"{100 * np.median(self.other_shape[at]):.0f} % of their size from it instead of"
        return (
            f"; {name} they would agree with the first guess in {count} of {frames.sum()} frames "
            f"({apart} {100 * np.median(self.shape[at]):.0f} %)"
        )

    def evidence(self, frames: np.ndarray) -> str:
        """Whom the points contradict in frames (frame,) bool, and by how much."""
        inside = self._inside[frames]
        if np.isfinite(inside).any():
            return f"the labels and the first guess ({100 * np.nanmedian(inside):.0f} % of them lie on labels)"
        return f"the first guess ({100 * np.median(self.shape[frames]):.0f} % of their size from its, wherever it is)"


def _taken_for_others(
    body: SceneBody, sets: Detected, drawn: np.ndarray, frames: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """Points (frame, keypoint) bool of fingers that were found on another finger, as the first guess has them.

    It has most of the points of these frames, or it would be no witness.
    """
    taken, notes = np.zeros(sets.trust.shape, dtype=bool), []
    fingers = _fingers(body)
    if not fingers or len(frames) == 0:
        return taken, notes
    factor, shift, _ = _similar(drawn, np.where(sets.trust[..., None] > 0.0, sets.points, np.nan), sets.trust)
    drawn = factor[:, None, None] * drawn + shift[:, None]
    for finger, columns in fingers.items():
        known = sets.trust[:, columns] > 0.0
        enough = known.sum(axis=1) >= 3
        found = np.where(known[..., None], sets.points[:, columns], drawn[:, columns])  # a missing point may be NaN
        apart = {
            name: np.sum(np.linalg.norm(drawn[:, others] - found, axis=2) * known, axis=1)
            for name, others in fingers.items()
        }
        own = np.where(enough, apart.pop(finger), np.nan)
        name = min(apart, key=lambda each: np.nanmedian(apart[each] / own) if enough.any() else 0.0)
        ratio = np.where(enough, apart[name] / np.maximum(own, 1e-6), np.inf)
        usual = np.median(ratio[enough]) if enough.any() else np.inf
        wrong = ratio < (1.0 if usual < TAKEN_ALWAYS else TAKEN_ONCE)
        if wrong.any():
            taken[:, columns] |= wrong[:, None]
            notes.append(
                f"{body.name}: 2D keypoints of its {finger} in {frame_list(frames[wrong])} are where the first guess "
                f"has its {name} ({100 * np.median(ratio[wrong]):.0f} % as far from it as from the {finger}); left out."
            )
    return taken, notes


def _fingers(body: SceneBody) -> dict[str, list[int]]:
    """Columns of each finger of a hand whose keypoints are named as ours."""
    keypoints = body.body.keypoints
    assert keypoints is not None
    names = list(keypoints.names)
    if not all(f"{digit}{end}" in names for digit in DIGITS for end in ENDS):
        return {}
    return {digit: [names.index(f"{digit}{end}") for end in ENDS] for digit in DIGITS}


def keypoint_orders(body: SceneBody) -> dict[str, np.ndarray]:
    """Orders in which keypoints of hands may come instead of ours: column of the given array by keypoint."""
    keypoints = body.body.keypoints
    assert keypoints is not None
    names = list(keypoints.names)
    if len(names) != 1 + len(DIGITS) * len(ENDS) or "wrist" not in names or not _fingers(body):
        return {}
    mano = ["index", "middle", "pinky", "ring", "thumb"]
    inner = ["wrist"] + [f"{digit}{number}" for digit in mano for number in "123"]
    others = {
        "in the order of MANO's joints, fingertips last,": [*inner, *(f"{digit}_tip" for digit in DIGITS)],
        "with each finger from its tip": ["wrist"] + [f"{d}{e}" for d in DIGITS for e in ENDS[::-1]],
        "with the little finger first": ["wrist"] + [f"{d}{e}" for d in DIGITS[::-1] for e in ENDS],
    }
    return {name: np.array([order.index(each) for each in names]) for name, order in others.items()}
