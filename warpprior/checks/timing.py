"""Observations that are some frames late, and frames that follow each other faster than anything moves."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from warpprior.checks.evidence import FEWEST_PIXELS, Evidence, compare_points, moments, project
from warpprior.checks.registry import check
from warpprior.finding import Finding
from warpprior.render.thinning import thinned
from warpprior.scene import IGNORE_LABEL, Scene, trust_of

LABELS, KEYPOINTS, BOXES, SPACE, GUESS = "labels", "2D keypoints", "boxes", "measured points", "first guesses"
MOST_FRAMES = 2  # that anything is late or early
SHIFTS = np.arange(-MOST_FRAMES, MOST_FRAMES + 1)
FEWEST_STEPS = 6
ALIKE_STEPS = 2.0  # steps whose errors count as one: what errs here errs alike in the next frame
GOES_ON = np.array([0.0, 0.3, 0.6, 0.8, 0.9, 1.0])  # shares of a difference that are there in the next frame, too
MOST_PARTNERS = 2  # other kinds that say something new of one
LEAST_GAIN = 7.5  # of the log likelihood, by moving one kind of observation
LEAST_GAIN_OF_GUESSES = 15.0  # whose errors are large and go on, from frame to frame and body to body
MOST_LEFT = 0.7  # of the squared differences
OFF_RATE = 1.1  # times the rate of the timestamps
MOST_SPEED = 6.0  # [m/s] of hands and of what they hold, in the middle of a sequence's steps


@dataclass(frozen=True)
class Track:
    """Where one kind of observation has a body (frame, 2) [px], NaN where it does not say."""

    body: str
    kind: str
    places: np.ndarray


def tracks(evidence: Evidence) -> Iterator[Track]:
    """All that shows how bodies move in the picture."""
    scene, step = evidence.scene, evidence.step
    seen = functools.partial(project, scene.camera)
    for item in scene.bodies:
        name = item.name
        if scene.labels is not None:
            thin = thinned(scene.labels, step)
            area, centre = moments(thin == item.label)
            hidden = (thin == IGNORE_LABEL).mean(axis=(1, 2)) > 0.5
            good = (area >= FEWEST_PIXELS) & ~hidden
            yield Track(name, LABELS, np.where(good[:, None], centre * step, np.nan))
        view = evidence.views[name]
        middle = view.all_middles
        yield Track(name, GUESS, seen(middle))
        if name in evidence.points:
            points = evidence.points[name]
            like = compare_points(points.drawn, points.found)
            there = np.nanmean(points.drawn, axis=1) + like.shift
            yield Track(name, KEYPOINTS, np.where(np.isfinite(like.miss)[:, None], there, np.nan))
        if name in scene.boxes:
            box = np.asarray(scene.boxes[name], dtype=float)
            yield Track(name, BOXES, 0.5 * (box[:, :2] + box[:, 2:]))
        if name in scene.keypoints3d:
            values = np.asarray(scene.keypoints3d[name], dtype=float)
            known = trust_of(values) > 0.0
            whole = known.sum(axis=1) >= 0.9 * known.shape[1]
            yield Track(name, SPACE, seen(np.where(whole[:, None], np.nanmean(values[..., :3], axis=1), np.nan)))
        elif name in scene.centers:
            yield Track(name, SPACE, seen(np.asarray(scene.centers[name], dtype=float)))


@dataclass(frozen=True)
class Delay:
    """How much better one kind of observation agrees with the others when it is moved.

    Attributes:
        kind: of observation.
        frames: by which it is late; negative: early.
        gain: of the log likelihood.
        left: of the squared differences, geometric mean.
        others: kinds that it was compared with.
    """

    kind: str
    frames: int
    gain: float
    left: float
    others: tuple[str, ...]


def delays(evidence: Evidence) -> Iterator[Delay]:
    """The most likely delay of each kind of observation against all others, the likeliest first."""
    misread = _misread(evidence)
    found = [track for track in evidence.once(tracks) if np.isfinite(track.places).all(axis=1).sum() > FEWEST_STEPS]
    found = [track for track in found if track.kind != GUESS or track.body not in misread]
    answers = []
    for kind in dict.fromkeys(track.kind for track in found):
        gains, counts, others = np.zeros(len(SHIFTS)), 0.0, {}
        for ours in found:
            if ours.kind != kind:
                continue
            partners = [each for each in found if each.body == ours.body and each.kind != kind]
            rows = [row for row in (_gains(ours.places, each.places) for each in partners) if row is not None]
            if not rows:
                continue
            # What all have in common is our own noise: more partners say less and less that is new.
            share = min(len(rows), MOST_PARTNERS) / len(rows)
            gains += share * sum(gain for _, gain in rows)
            counts += share * sum(count for count, _ in rows)
            others |= dict.fromkeys(each.kind for each in partners)
        if counts:
            best = int(np.argmax(gains))
            left = float(np.exp(-gains[best] / counts))
            answers.append(Delay(kind, int(SHIFTS[best]), float(gains[best]), left, tuple(others)))
    yield from sorted(answers, key=lambda each: -each.gain)


def _gains(ours: np.ndarray, others: np.ndarray) -> tuple[float, np.ndarray] | None:
    """By how much the log likelihood grows with how late ours are taken to be (shift,), and of how many frames.

    Differences of two tracks are an autoregressive process about a constant: what is new in each frame counts.  How
    much goes on from frame to frame, nothing of noise and nearly all of what is hidden in part, is the likeliest.
    """
    count = len(ours)
    shown = np.arange(count) + SHIFTS[:, None]  # what is late shows at t + k what was at t
    moved = ours[np.clip(shown, 0, count - 1)] - others
    moved[(shown < 0) | (shown >= count)] = np.nan
    still = np.where(np.isfinite(moved), ours - others, np.nan)
    both = np.where(np.isfinite(moved) & np.isfinite(still), np.stack([still, moved]), np.nan)
    known = np.asarray(np.isfinite(both).all(axis=(0, 3)))
    pairs = known[:, 1:] & known[:, :-1]
    counts = pairs.sum(axis=1)
    if counts.min() < FEWEST_STEPS:
        return None
    away = both - np.nanmedian(both, axis=2, keepdims=True)
    new = away[None, :, :, 1:] - GOES_ON[:, None, None, None, None] * away[None, :, :, :-1]
    length = np.where(pairs, np.linalg.norm(new, axis=4), np.inf)  # (share that goes on, still or moved, shift, step)
    middle = np.broadcast_to((counts // 2)[:, None], (*length.shape[:3], 1))
    usual = np.maximum(np.take_along_axis(np.sort(length, axis=3), middle, axis=3), 0.2)
    apart = np.where(pairs, length, 0.0)
    square = np.sum(apart**2 / (1.0 + (apart / (4.0 * usual)) ** 2), axis=3) / counts
    square = square.min(axis=0) + 0.04  # [px^2] no track is surer than that
    used = float(counts.min()) / ALIKE_STEPS
    return used, used * np.log(square[0] / square[1])


@check
def frame_offsets(evidence: Evidence) -> Iterator[Finding]:
    """One kind of observation that shows the same motion some frames later or earlier than the others."""
    found = [each for each in evidence.once(delays) if each.frames]
    least = {GUESS: LEAST_GAIN_OF_GUESSES}
    clear = [each for each in found if each.gain >= least.get(each.kind, LEAST_GAIN) and each.left <= MOST_LEFT]
    if not clear:
        return
    best = clear[0]
    rivals = [each for each in found if each.gain > 0.7 * best.gain and each.frames == -best.frames]
    late = f"{abs(best.frames)} frame{'s' if abs(best.frames) > 1 else ''} {'late' if best.frames > 0 else 'early'}"
    words = (
        f"{best.kind} are {late}: so moved, what they differ by from {', '.join(best.others)} is "
        f"{100 * best.left:.0f} % of the squares"
    )
    if rivals:
        words += f"; or else {rivals[0].kind} are as much {'early' if best.frames > 0 else 'late'}"
    numbers = {
        "kind": best.kind,
        "frames_late": best.frames,
        "log_likelihood_gain": best.gain,
        "squares_left": best.left,
    }
    yield Finding(
        "frame_offset",
        "warning" if rivals else "error",
        None,
        tuple(range(evidence.scene.frame_count)),
        words,
        f"take {best.kind} of frame t from frame t {'+' if best.frames > 0 else '-'} {abs(best.frames)}",
        numbers,
        functools.partial(_moved, kind=best.kind, frames=best.frames),
    )


def _moved(scene: Scene, *, kind: str, frames: int) -> Scene:
    """The scene with observations so many frames earlier, and none where they run out."""
    if kind == LABELS:
        assert scene.labels is not None
        return replace(scene, labels=_shifted(scene.labels, frames, IGNORE_LABEL))
    if kind == GUESS:
        rows = np.arange(scene.frame_count) + frames
        inside = np.clip(rows, 0, scene.frame_count - 1)
        moved = {}
        for item in scene.bodies:
            if not item.known:
                poses = item.initial.frames(inside)
                gone = (rows != inside) | (False if poses.imputed is None else poses.imputed)
                moved[item.name] = replace(poses, imputed=gone, moments=item.initial.moments)
        return scene.with_poses(moved)
    if kind == BOXES:
        return replace(scene, boxes=_all_shifted(scene.boxes, frames))
    if kind == SPACE:
        changes = {"keypoints3d": scene.keypoints3d, "centers": scene.centers}
        return replace(scene, **{name: _all_shifted(values, frames) for name, values in changes.items()})
    return replace(scene, keypoints2d=_all_shifted(scene.keypoints2d, frames))


def _all_shifted(values: Mapping[str, np.ndarray], frames: int) -> dict[str, np.ndarray]:
    """What was observed of each body, so many frames earlier, and NaN where it runs out, trusted in nothing."""
    moved = {name: _shifted(np.asarray(each, dtype=float), frames, np.nan) for name, each in values.items()}
    for each in moved.values():
        if each.ndim == 3:  # points with their confidence last
            each[~np.isfinite(each).all(axis=2), -1] = 0.0
    return moved


def _shifted(values: np.ndarray, frames: int, nothing: float) -> np.ndarray:
    moved = np.full_like(values, nothing)
    count = len(values)
    source = np.arange(count) + frames
    inside = (source >= 0) & (source < count)
    moved[inside] = values[source[inside]]
    return moved


@check
def frame_rates(evidence: Evidence) -> Iterator[Finding]:
    """A frame rate that is not that of the timestamps, or at which bodies move faster than hands do."""
    scene = evidence.scene
    if scene.timestamps is not None and scene.frame_count > 2:
        rate = 1.0 / float(np.median(np.diff(scene.timestamps)))
        if abs(np.log(rate / scene.fps)) > np.log(OFF_RATE):
            words = (
                f"timestamps are {1e3 / rate:.4g} ms apart, those of {rate:.4g} frames per second; fps is {scene.fps:g}"
            )
            numbers = {"fps": scene.fps, "fps_of_timestamps": rate}
            mend = functools.partial(_at_rate, rate=rate)
            yield Finding("frame_rate", "error", None, (), words, f"[frames] fps = {rate:.4g}", numbers, mend)
            return
    elsewhere = _with_another_depth(evidence)
    if None in elsewhere:
        return
    fastest: tuple[float, str] | None = None
    for track in evidence.once(tracks):
        if track.kind not in (LABELS, KEYPOINTS) or track.body in elsewhere:
            continue
        steps = _speeds(scene, track.places, float(np.median(evidence.views[track.body].all_middles[:, 2])))
        steps = steps[np.isfinite(steps)]
        if len(steps) >= FEWEST_STEPS:
            fastest = max(fastest or (0.0, ""), (float(np.median(steps)), track.body))
    if fastest is not None and fastest[0] > MOST_SPEED:
        speed, name = fastest
        words = f"{name} moves at {speed:.3g} m/s (median of its steps), faster than hands: is fps {scene.fps:g} right?"
        cure = "[frames] fps: frames per second of the recording, after frames were left out"
        yield Finding("frame_rate", "warning", name, (), words, cure, {"speed_m_s": speed})


def _speeds(scene: Scene, places: np.ndarray, depth: float) -> np.ndarray:
    """How fast what is seen at places (frame, 2) [px] moves at a depth [m], in the world (step,) [m/s]."""
    camera = scene.camera
    flat = (places - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    points = depth * np.concatenate([flat, np.ones((len(flat), 1))], axis=1)
    if scene.world is not None and scene.world.camera is not None:
        points = scene.world.camera.moved_places(points)
    return np.linalg.norm(np.diff(points, axis=0), axis=1) / np.diff(scene.times)


def _with_another_depth(evidence: Evidence) -> set[str | None]:
    """Bodies whose first guess is not where they are, so that it does not tell how fast they move; None: all."""
    from warpprior.checks.sizes import decision

    found = decision(evidence)
    return _misread(evidence) if found is None else _misread(evidence) | {found.best.body}


def _misread(evidence: Evidence) -> set[str | None]:
    """Bodies whose first guess is in another convention."""
    from warpprior.checks.poses import pose_conventions

    return {finding.body for finding in evidence.once(pose_conventions)}


def _at_rate(scene: Scene, *, rate: float) -> Scene:
    return replace(scene, fps=rate)
