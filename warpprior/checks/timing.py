"""Observations that are some frames late, and frames that follow each other faster than anything moves."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from warpprior.checks.evidence import FEWEST_PIXELS, Evidence, compare_points, moments
from warpprior.checks.registry import check
from warpprior.finding import Finding
from warpprior.scene import IGNORE_LABEL, Scene, trust_of

LABELS, KEYPOINTS, BOXES, SPACE, GUESS = "labels", "2D keypoints", "boxes", "measured points", "first guesses"
MOST_FRAMES = 2  # that anything is late or early
FEWEST_STEPS = 6
ALIKE_STEPS = 2.0  # steps whose errors count as one: what errs here errs alike in the next frame
LEAST_GAIN = 10.0  # of the log likelihood, by moving one kind of observation
MOST_LEFT = 0.7  # of the squared differences of steps, in most pairs
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
    camera = scene.camera

    def project(places: np.ndarray) -> np.ndarray:
        depth = np.where(places[..., 2:] > 1e-3, places[..., 2:], np.nan)
        return places[..., :2] / depth * [camera.fx, camera.fy] + [camera.cx, camera.cy]

    for item in scene.bodies:
        name = item.name
        if scene.labels is not None:
            thin = scene.labels[:, step // 2 :: step, step // 2 :: step]
            area, centre = moments(thin == item.label)
            hidden = (thin == IGNORE_LABEL).mean(axis=(1, 2)) > 0.5
            good = (area >= FEWEST_PIXELS) & ~hidden
            yield Track(name, LABELS, np.where(good[:, None], centre * step, np.nan))
        view = evidence.views[name]
        middle = view.all_middles
        yield Track(name, GUESS, project(middle))
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
            yield Track(name, SPACE, project(np.where(whole[:, None], np.nanmean(values[..., :3], axis=1), np.nan)))
        elif name in scene.centers:
            yield Track(name, SPACE, project(np.asarray(scene.centers[name], dtype=float)))


@dataclass(frozen=True)
class Delay:
    """How much better one kind of observation agrees with the others when it is moved.

    Attributes:
        kind: of observation.
        frames: by which it is late; negative: early.
        gain: of the log likelihood.
        left: of the squared differences of steps, median over pairs.
        pairs: how many were compared.
        others: kinds that it was compared with.
    """

    kind: str
    frames: int
    gain: float
    left: float
    pairs: int
    others: tuple[str, ...]


def delays(evidence: Evidence) -> Iterator[Delay]:
    """The most likely delay of each kind of observation against all others, the likeliest first."""
    found = [track for track in evidence.once(tracks) if np.isfinite(track.places).all(axis=1).sum() > FEWEST_STEPS]
    answers = []
    for kind in dict.fromkeys(track.kind for track in found):
        pairs = [(a, b) for a in found for b in found if a.kind == kind != b.kind and a.body == b.body]
        rows = [row for row in (_left(a.places, b.places) for a, b in pairs) if row is not None]
        if not rows:
            continue
        counts, squares = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
        still = squares[:, MOST_FRAMES : MOST_FRAMES + 1]
        gains = (counts[:, None] / ALIKE_STEPS * np.log(still / squares)).sum(axis=0)
        best = int(np.argmax(gains))
        left = float(np.median(squares[:, best] / still[:, 0]))
        others = tuple(dict.fromkeys(b.kind for _, b in pairs))
        answers.append(Delay(kind, best - MOST_FRAMES, float(gains[best]), left, len(rows), others))
    yield from sorted(answers, key=lambda each: -each.gain)


def _left(ours: np.ndarray, others: np.ndarray) -> tuple[int, np.ndarray] | None:
    """How many steps were compared, and robust mean squares of their differences, by how late ours are taken to be."""
    first, second = np.diff(ours, axis=0), np.diff(others, axis=0)
    count = len(first)
    inner = np.arange(MOST_FRAMES, count - MOST_FRAMES)
    shifts = np.arange(-MOST_FRAMES, MOST_FRAMES + 1)
    moved = first[inner[None] + shifts[:, None]]  # what is late shows at t + k what was at t
    apart = np.linalg.norm(moved - second[inner], axis=2)
    known = np.isfinite(apart).all(axis=0)
    if known.sum() < FEWEST_STEPS:
        return None
    apart = apart[:, known]
    usual = np.maximum(np.median(apart, axis=1, keepdims=True), 0.2)
    square = apart**2 / (1.0 + (apart / (4.0 * usual)) ** 2)
    return int(known.sum()), np.mean(square, axis=1) + 0.04  # [px^2] no track is surer than that


@check
def frame_offsets(evidence: Evidence) -> Iterator[Finding]:
    """One kind of observation that shows the same motion some frames later or earlier than the others."""
    found = [each for each in evidence.once(delays) if each.frames]
    if not found or found[0].gain < LEAST_GAIN or found[0].left > MOST_LEFT:
        return
    best = found[0]
    rivals = [each for each in found[1:] if each.gain > 0.8 * best.gain and each.frames == -best.frames]
    late = f"{abs(best.frames)} frame{'s' if abs(best.frames) > 1 else ''} {'late' if best.frames > 0 else 'early'}"
    words = (
        f"{best.kind} are {late}: so moved, their steps differ by {100 * best.left:.0f} % of the squares from those of "
        f"{', '.join(best.others)}"
    )
    if rivals:
        words += f"; or else {rivals[0].kind} are as much {'early' if best.frames > 0 else 'late'}"
    numbers = {"frames_late": best.frames, "log_likelihood_gain": best.gain, "squares_left": best.left}
    yield Finding(
        "frame_offset",
        "warning" if rivals else "error",
        None,
        tuple(range(evidence.scene.frame_count)),
        words,
        f"take {best.kind} of frame t from frame t {'+' if best.frames > 0 else '-'} {abs(best.frames)}",
        numbers,
        functools.partial(_moved, kind=best.kind, frames=best.frames) if best.kind in (LABELS, KEYPOINTS) else None,
    )


def _moved(scene: Scene, *, kind: str, frames: int) -> Scene:
    """The scene with observations so many frames earlier, and none where they run out."""
    if kind == LABELS:
        assert scene.labels is not None
        return replace(scene, labels=_shifted(scene.labels, frames, IGNORE_LABEL))
    values = {name: _shifted(np.asarray(v, dtype=float), frames, np.nan) for name, v in scene.keypoints2d.items()}
    for each in values.values():
        each[~np.isfinite(each).all(axis=2), 2] = 0.0
    return replace(scene, keypoints2d=values)


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
    fastest: tuple[float, str] | None = None
    for track in evidence.once(tracks):
        if track.kind not in (LABELS, KEYPOINTS):
            continue
        depth = np.median(evidence.views[track.body].all_middles[:, 2])
        steps = np.linalg.norm(np.diff(track.places, axis=0), axis=1) / np.diff(scene.times) * depth / scene.camera.fx
        steps = steps[np.isfinite(steps)]
        if len(steps) >= FEWEST_STEPS:
            fastest = max(fastest or (0.0, ""), (float(np.median(steps)), track.body))
    if fastest is not None and fastest[0] > MOST_SPEED:
        speed, name = fastest
        words = f"{name} moves at {speed:.3g} m/s (median of its steps), faster than hands: is fps {scene.fps:g} right?"
        cure = "[frames] fps: frames per second of the recording, after frames were left out"
        yield Finding("frame_rate", "warning", name, (), words, cure, {"speed_m_s": speed})


def _at_rate(scene: Scene, *, rate: float) -> Scene:
    return replace(scene, fps=rate)
