"""First guesses in another convention: each that the field knows is drawn beside the labels and the keypoints."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.checks.comparison import (
    AS_GOOD,
    FEWEST_FRAMES,
    TOGETHER,
    Choice,
    agreement,
    agreement_with_label,
    clearly_better,
    may_be_bettered,
)
from warpprior.checks.evidence import PASSES, Evidence, compare_points
from warpprior.checks.missing_poses import missing_poses
from warpprior.checks.readings import Reading, may_be_radians, readings
from warpprior.checks.registry import check
from warpprior.checks.timing import FEWEST_STEPS
from warpprior.finding import Finding
from warpprior.scene import Scene, SceneBody
from warpprior.support.wording import frame_list

BRIEF_PASSES = 2  # by which each reading is laid on its label in a brief check
LEAST_OWN_GAIN = 0.04  # of the agreement, of a body that is read as all are together
FOLLOWS_WITHIN = 0.1  # of the agreement: so much worse a reading is taken for the sake of one for all bodies
SMALL_TURNS, KEPT_TURNS = np.radians([30.0, 20.0, 12.0]), 2  # by which fixed turns are varied, the best ones
JUMP, JUMP_SPEED = np.radians(80.0), np.radians(600.0)  # from frame to frame, and per second, as no body turns
FLIP, LEAST_AT_RANDOM = np.radians(160.0), 0.4  # larger steps are flips; of rotations at random 3 of 4 are smaller
ELSEWHERE = (0.25, 0.5, 0.75)  # of the frames: how far off rotations are taken from, to see whether they tell anything


@check
def pose_conventions(evidence: Evidence) -> Iterator[Finding]:
    """Another reading of the first guess that agrees with labels and keypoints where the given one does not.

    All poses of a file mostly come from one program, so bodies are asked together first, and then each by itself.
    """
    items = [item for item in evidence.scene.bodies if item.body.animation is None]
    everything = any(may_be_radians(item.initial) for item in items)
    asked = [each for each in (_Asked(item, evidence, everything) for item in items) if each.before]
    together = None
    if len(asked) > 1 and any(may_be_bettered(each.before) for each in asked):
        rows = [[np.nanmean(said, axis=0) for said in (each.before, each.after)] for each in asked]
        together = clearly_better([before for before, _ in rows], [after for _, after in rows], demands=TOGETHER)
    own = [clearly_better(each.before, each.after) if may_be_bettered(each.before) else None for each in asked]
    sure = [choice for choice in (together, *own) if choice is not None]
    leading = together or max(sure, key=lambda choice: choice.cured - choice.stated, default=None)
    for each, choice in zip(asked, own, strict=True):
        told = None if leading is None else each.told_by(leading.number)
        if told is not None and (choice is None or told.cured > choice.cured - FOLLOWS_WITHIN):
            choice = told
        supported = choice is not None and together is not None and choice.number == together.number
        if choice is not None and each.better_by_keypoints(choice):
            continue
        if choice is None:
            yield from each.jumping()
        elif each.still_jumps(choice) and (jumps := list(each.jumping())):
            yield from jumps
        elif supported or not each.as_good_turned(choice):
            yield each.finding(choice)
        else:
            yield each.undecided(choice)


class _Asked:
    """One body, and what its witnesses say of its first guess and of other readings of it."""

    def __init__(self, item: SceneBody, evidence: Evidence, everything: bool):
        self.item, self.evidence, self._everything = item, evidence, everything
        poses = item.initial.frames(evidence.frames)
        self.before = _agreements([Reading("", "", "", poses.position, poses.rotation)], item, evidence)
        self._poses = poses

    @functools.cached_property
    def tried(self) -> list[Reading]:
        return list(readings(self._poses, everything=self._everything))

    @functools.cached_property
    def after(self) -> list[np.ndarray]:
        return _agreements(self.tried, self.item, self.evidence)

    def told_by(self, number: int) -> Choice | None:
        """The reading that all bodies together have, where this one does not speak against it."""
        total, own = np.nanmean(self.after, axis=0)[number], np.nanmean(self.before, axis=0)[0]
        heard = np.isfinite(own)
        stated, cured = float(np.mean(own[heard])), float(np.mean(total[heard]))
        if not cured > stated + LEAST_OWN_GAIN:
            return None
        better = heard & (total > own)
        return Choice(number, (), stated, cured, float(better.sum() / heard.sum()), np.flatnonzero(better))

    def better_by_keypoints(self, choice: Choice) -> bool:
        """Are rather its keypoints in another form, or of another hand?"""
        from warpprior.checks.keypoints import chosen_form

        points = self.evidence.points.get(self.item.name)
        if points is None or points.usable.sum() == 0:
            return False
        found = chosen_form(self.item, points, self.evidence)
        return found is not None and found[0].cured > choice.cured

    def as_good_turned(self, choice: Choice) -> bool:
        """Would the first guess, turned in some fixed way, agree as well as the reading does, so turned, too?

        Among so many readings one comes near to whatever turn is missing, so that one has to do better than that.
        """
        place, reading = self._poses.position, self.tried[choice.number]
        if not np.allclose(reading.position, place):
            return False
        turn, quarters = Rotation.from_quat(self._poses.rotation), Rotation.create_group("O")
        others = [way for each in quarters for way in (turn * each, each * turn)]
        return self._turned(others) > self._turned([Rotation.from_quat(reading.rotation)]) - AS_GOOD

    def _turned(self, turns: list[Rotation]) -> float:
        """How well the best of some rotations (frame,) agrees once it is turned a little, alike in all frames."""

        def agreements(tried: list[Rotation]) -> np.ndarray:
            rows = [Reading("", "", "", self._poses.position, each.as_quat()) for each in tried]
            return np.nanmean(np.nanmean(_agreements(rows, self.item, self.evidence), axis=0), axis=1)

        said = agreements(turns)
        for size in SMALL_TURNS:
            kept = [turns[place] for place in np.argsort(-said)[:KEPT_TURNS]]
            ways = Rotation.from_rotvec(size * np.concatenate([np.eye(3), -np.eye(3)]))
            turns = [*kept, *(each * way for each in kept for way in ways)]
            said = agreements(turns)
        return float(said.max())

    def still_jumps(self, choice: Choice) -> bool:
        """Does the body jump about so read, too?  Then it is no cure."""
        reading = list(readings(self.item.initial, everything=self._everything))[choice.number]
        return _jumps(_steps(reading.rotation), self.evidence.scene.times)

    def jumping(self) -> Iterator[Finding]:
        """Rotations that jump from frame to frame as no body turns, and tell nothing of how it does."""
        scene, name = self.evidence.scene, self.item.name
        steps = _steps(self.item.initial.rotation)
        missing = any(finding.body == name for finding in self.evidence.once(missing_poses))
        if missing or not _jumps(steps, scene.times):
            return
        shifts = [round(share * len(self._poses.rotation)) for share in ELSEWHERE]
        moved = [np.roll(self._poses.rotation, shift, axis=0) for shift in shifts]
        others = [Reading("", "", "", self._poses.position, each) for each in moved]
        said = np.nanmean(_agreements(others, self.item, self.evidence), axis=(1, 2))
        stated = [float(np.nanmean(each)) for each in self.before]
        if any(own > other + AS_GOOD for own, other in zip(stated, said, strict=True)):
            return
        words = (
            f"the first guess of {name} turns by {np.degrees(np.median(steps)):.0f} degrees from frame to frame "
            f"(median), as no body does, and agrees with {_witnesses(self.item, self.evidence)} no better than "
            "rotations of other frames would: angles in degrees were taken for radians, or are none"
        )
        cure = f"poses of {name}: Rotation.from_euler(axes, angles, degrees=True), or numpy.radians of rotation vectors"
        numbers = {"degrees_per_frame": np.degrees(np.median(steps)), "agreement": float(np.mean(stated))}
        numbers |= {"agreement_of_other_frames": float(np.mean(said))}
        frames = tuple(int(frame) for frame in np.flatnonzero(np.append(steps > JUMP, False)))
        yield Finding("euler_or_degrees", "error", name, frames, words, cure, numbers)

    def undecided(self, choice: Choice) -> Finding:
        """A better reading that is no better than some fixed turn is: what is wrong cannot be told."""
        reading, name = self.tried[choice.number], self.item.name
        frames = self.evidence.frames[choice.rows]
        words = (
            f"the first guess of {name} is turned away from how {_witnesses(self.item, self.evidence)} has it: "
            f"{reading.words}, or another fixed turn, which cannot be told apart"
        )
        return Finding(reading.code, "note", name, tuple(int(frame) for frame in frames), words, "", choice.numbers)

    def finding(self, choice: Choice) -> Finding:
        reading, name = self.tried[choice.number], self.item.name
        frames = self.evidence.frames[choice.rows]
        rivals = sorted({self.tried[number].code for number in choice.as_good} - {reading.code})
        return Finding(
            code=reading.code,
            level="warning" if rivals else "error",
            body=name,
            frames=tuple(int(frame) for frame in frames),
            message=(
                f"the first guess of {name} looks like {reading.words}: so read it agrees with "
                f"{_witnesses(self.item, self.evidence)} by {choice.cured:.2f} of 1, as it is by {choice.stated:.2f}, "
                f"better in {frame_list(frames)}" + (f"; {' and '.join(rivals)} would do as well" if rivals else "")
            ),
            cure=f"poses of {name}: {reading.cure}",
            evidence=choice.numbers,
            mend=functools.partial(_with_reading, name=name, number=choice.number),
        )


def _steps(rotation: np.ndarray) -> np.ndarray:
    """Angles (step,) [rad] between the quaternions (frame, 4) of one frame and the next."""
    turn = Rotation.from_quat(rotation)
    return (turn[:-1].inv() * turn[1:]).magnitude()


def _jumps(steps: np.ndarray, times: np.ndarray) -> bool:
    """Are these steps (step,) [rad] those of rotations at random?  Half turns are not: what looks alike is flipped."""
    if len(steps) < FEWEST_STEPS or np.median(steps) < JUMP or np.median(steps / np.diff(times)) < JUMP_SPEED:
        return False
    return bool(np.mean((steps > JUMP / 2.0) & (steps < FLIP)) > LEAST_AT_RANDOM)


def _witnesses(item: SceneBody, evidence: Evidence) -> str:
    seen = ["its label"] if evidence.views[item.name].usable.any() else []
    return " and ".join([*seen, *(["its keypoints"] if item.name in evidence.points else [])])


def _agreements(tried: list[Reading], item: SceneBody, evidence: Evidence) -> list[np.ndarray]:
    """What each witness says of readings: agreements (reading, frame) in [0, 1], NaN where it sees nothing."""
    view, found = evidence.views[item.name], []
    position = np.stack([each.position for each in tried])
    rotation = np.stack([each.rotation for each in tried])
    if view.usable.sum() >= FEWEST_FRAMES:
        placed = view.place(rotation, BRIEF_PASSES if evidence.brief else PASSES)
        middle = view.middles(position, rotation)
        raw = view.shares(view.draw(position, rotation))
        share = agreement_with_label(view, middle, raw, placed, evidence.camera.fx)
        found.append(np.where(view.usable & (middle[..., 2] > 1e-3), share, np.where(view.usable, 0.0, np.nan)))
    if item.name in evidence.points:
        points, frames = evidence.points[item.name], evidence.frames
        usable = points.usable[frames]
        if usable.sum() >= FEWEST_FRAMES:
            rows = []
            for each in tried:
                drawn = points.project(each.position, each.rotation, points.local[frames])
                rows.append(agreement(compare_points(drawn, points.found[frames])))
            found.append(np.where(usable, np.array(rows), np.nan))
    return found


def _with_reading(scene: Scene, *, name: str, number: int) -> Scene:
    """The scene with the poses of a body read in another convention, by its place among :func:`readings`."""
    initial = scene.body(name).initial
    reading = list(readings(initial, everything=True))[number]
    return scene.with_poses({name: replace(initial, position=reading.position, rotation=reading.rotation)})
