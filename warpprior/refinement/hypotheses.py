"""Poses to choose among: a frame's own, its neighbours' carried over by the dynamics, and half turns of its own.

Silhouettes are blind to many half turns, and first guesses may lie in another valley altogether.  Every hypothesis is
given a few iterations of its own; which of them is right is decided over the whole sequence, by the cheapest path.
Iterations are spent where they may tell something new: a half turn is tried in a few frames first, and what a neighbour
carries only where it is not much the same as what the frame has, or has had.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import warp as wp

from warpprior.geometry.transfer import Transfer
from warpprior.refinement.body_fit import BodyFit
from warpprior.refinement.resting import carry_at_rest, in_world
from warpprior.refinement.rotation_search import Found, frames_to_search, say_what_came, search_rotations
from warpprior.refinement.symmetry import other_looks, seen_angles
from warpprior.refinement.tries import Search, Try, search_alone
from warpprior.system.motion import frame_paces
from warpprior.world import CameraPath

SETTLING = 5  # Gauss-Newton iterations a hypothesis is given
CONVERGED = 10  # and one that fits poorly, before others are looked for
CARRIED_SETTLING = 3  # and one that a neighbour carried
JUMP_RAD, JUMP_M = 0.3, 0.03  # motion between two frames that is half-way to a jump, at JUMP_FPS and above
JUMP_FPS = 30.0
JUMP_COST = 3.0  # of a jump, in typical costs of a frame
LEAST_JUMP_COST = 5.0
SETTLED = 0.1  # jumps smaller than this mend themselves
NEWS = 0.5  # poses that are less of a jump apart are one
OUTLYING = 3.0  # a picture that costs so many times what is usual, whatever is tried, contradicts: it decides among
SAYS_LITTLE = 0.2  # what is tried by so much of a jump at most
GUESS_RAD = 0.6  # half-way to having nothing to do with the first guess
GUESS_COST = 2.5  # what that costs: it decides where the pictures cannot
TOGETHER = 4  # frames of which one is tried first, the others where it may be as good there as what there is
SAME = 0.01  # of a jump, within which a pose was tried before


def choose_poses(
    fit: BodyFit, rounds: int, *, turns: bool = True, report: Callable[[float], None] = lambda share: None
) -> int:
    """Try hypotheses in every frame and take the cheapest path through the sequence.

    Args:
        fit: the body alone, in a stage.
        rounds: a good pose travels at most this many frames in each direction.
        turns: try half turns about the body's axes, too, and of a body of revolution the other way it may lean.
        report: called with the share of the tries that are done.

    Returns:
        The number of poses that were replaced.
    """
    return search_alone(fit, search_poses(fit, rounds, turns=turns, report=report))


def search_poses(
    fit: BodyFit, rounds: int, *, turns: bool = True, report: Callable[[float], None] = lambda share: None
) -> Search[int]:
    """The same, for whoever tries what it asks for."""
    segments = fit.motion.segments.numpy()
    search = _Search(fit, segments[1:] == segments[:-1])
    start = fit.poses
    _, costs = yield Try()
    search.add(start, costs)
    others = other_looks(start, fit.body.symmetry) if turns else []
    turned = len(others) / max(len(others) + rounds, 1)
    if turns:
        yield from search.settle(start)  # as long as the turned ones
        few = search.costliest()
        for number, other in enumerate(others):
            yield from search.settle(other, frames=few)
            yield from search.settle(other, frames=search.beside_rivals(few))
            report(turned * (number + 1) / len(others))
        search.take_path()
    if turns and fit.motion.known:  # neighbours' poses may hide how deep in them it lies
        yield from search.look_far(shared=True)
    if fit.motion.frame_count > 1:
        yield from search.carry(rounds, lambda share: report(turned + (1.0 - turned) * share))
    if turns and (yield from search.look_far(shared=True)):
        yield from search.carry(rounds)
    if turns:
        yield from search.look_far(shared=False)
    for found, before in search.found:
        say_what_came(fit, found, before)
    return int((fit.poses != start).any(axis=1).sum())


class _Search:
    """Hypotheses so far, and the cheapest path through them.

    Attributes:
        found: what searches for far rotations handed on, and the poses before each (frame, 7).
    """

    def __init__(self, fit: BodyFit, joined: np.ndarray):
        self._fit, self._joined = fit, joined
        self._hypotheses: list[tuple[np.ndarray, np.ndarray]] = []
        self._tried: list[tuple[np.ndarray, np.ndarray]] = []  # poses (frame, 7), and where (frame,)
        # Two sequences of poses, where they were compared, and where the second fits better.
        self._compared: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        self.found: list[tuple[Found, np.ndarray]] = []
        scene = fit.motion.scene
        self._camera = None if fit.motion.world is None else fit.motion.world.now()
        self._pace = np.maximum(JUMP_FPS / (scene.fps * frame_paces(scene)[1:]), 1.0)

    def add(self, poses: np.ndarray, costs: np.ndarray) -> None:
        """Remember poses (frame, 7) and what they cost (frame,)."""
        self._hypotheses.append((poses, costs))

    def settle(self, tried: np.ndarray, iterations: int = SETTLING, frames: np.ndarray | None = None) -> Search[None]:
        """Let poses (frame, 7) go for a few iterations, and remember where they went.

        With ``frames`` (frame,) bool in these alone; of the others nothing is learnt.
        """
        frames = np.ones(len(tried), dtype=bool) if frames is None else frames
        if not frames.any():
            return
        self._tried.append((tried, frames))
        arrived, costs = yield Try(tried, frames, iterations)
        self.add(arrived, np.where(frames, costs, np.inf))

    def costliest(self) -> np.ndarray:
        """Of every few frames the one that fits worst so far (frame,) bool."""
        least = np.stack([costs for _, costs in self._hypotheses]).min(axis=0)
        chosen = np.zeros(len(least), dtype=bool)
        chosen[[part[np.argmax(least[part])] for part in _parts(len(least))]] = True
        return chosen

    def beside_rivals(self, few: np.ndarray) -> np.ndarray:
        """Frames around those few (frame,) bool where what was tried last is about as good as all else (frame,)."""
        costs = np.stack([costs for _, costs in self._hypotheses])
        rivals = costs[-1] < costs[:-1].min(axis=0) + GUESS_COST + LEAST_JUMP_COST
        beside = np.zeros(len(few), dtype=bool)
        for part in _parts(len(few)):
            beside[part] = (rivals & few)[part].any()
        return beside & ~few

    def take_path(self) -> np.ndarray:
        """Move the body along the cheapest path; returns it (frame, 7)."""
        body = self._fit.body
        guess, symmetry = body.initial.rotation, body.symmetry
        how = {"symmetry": symmetry, "pace": self._pace, "camera": self._camera}
        path = cheapest_path(self._hypotheses, self._joined, guess, **how)
        self._fit.place(path)
        return path

    def look_far(self, *, shared: bool) -> Search[bool]:
        """Where the poses fit poorly all the same, in most frames or in a few, try the best of all rotations.

        Returns:
            Whether there were any to try.
        """
        fit = self._fit
        before = fit.poses
        fit.draw()
        frames = frames_to_search(fit, shared=shared)
        if not len(frames):
            return False
        poor = np.zeros(len(before), dtype=bool)
        poor[frames] = True
        yield from self.settle(before, CONVERGED, poor)  # what is only on its way is not lost
        self.take_path()
        fit.draw()
        found = search_rotations(fit, shared=shared)
        if found is None:
            return False
        now = fit.poses
        for tried in found.tries:
            yield from self.settle(tried, frames=_jumps(tried, now) > SETTLED)
        self.take_path()
        self.found.append((found, before))
        return True

    def carry(self, rounds: int, report: Callable[[float], None] = lambda share: None) -> Search[None]:
        """Try the poses of the frames before and after, moved along with the contacts, until the path changes no more.

        Contacts are points of the other body that is closest.  What a hand passes by may rest: where the neighbour's
        pose as it is fits better than the one moved along, it is tried instead.

        A stretch that fits as well upside down is put upright all at once or not at all: each frame alone would only
        move the jump.  So what arrives in a frame goes on to the next, chosen or not, until the path would gain more by
        a jump than by all that it costs so far.
        """
        fit, motion = self._fit, self._fit.motion
        pair_count = motion.frame_count - 1
        transfer = Transfer(pair_count, motion.device)
        fit.draw()
        points, weights = _closest_points(fit)
        earlier, later = slice(0, pair_count), slice(1, pair_count + 1)
        path = fit.poses
        fronts, prices = [path, path], [np.zeros(len(path)), np.zeros(len(path))]
        camera = self._camera
        for number in range(rounds):
            before, tried_any = path, False
            for way, (source, target) in enumerate(((earlier, later), (later, earlier))):
                given = wp.array(np.ascontiguousarray(fronts[way][source]), dtype=wp.transform, device=motion.device)
                resting = fronts[way][source]
                if camera is not None:
                    resting = carry_at_rest(camera, resting, source, target, transfer)
                # Slices of arrays are arrays.
                transfer.carry(points[source], points[target], weights[source], given)  # pyright: ignore[reportArgumentType]
                carried = self._next(path, transfer.poses_after.numpy(), target)
                rested = self._next(path, resting, target)
                tried = yield from self._better(carried, rested, path)
                frames = self._news(tried, path)
                if not frames.any():
                    fronts[way], prices[way] = path, np.zeros(len(path))
                    continue
                tried_any = True
                yield from self.settle(tried, CARRIED_SETTLING, frames)
                arrived, costs = self._hypotheses[-1]
                every = np.stack([each for _, each in self._hypotheses])
                led_astray = contradicting(every) & frames
                if led_astray.any():
                    arrived = np.where(led_astray[:, None], tried, arrived)
                    _, plain = yield Try(tried, led_astray)
                    every[-1] = np.where(led_astray, plain, costs)
                    self._hypotheses[-1] = arrived, every[-1]
                path = self.take_path()
                every = believed(every)
                price = np.zeros(len(path))
                price[target] = prices[way][source]
                price += every[-1] - every.min(axis=0)
                news = (_jumps(arrived, path) > NEWS) & (price < jump_price(every))
                fronts[way] = np.where(news[:, None], arrived, path)
                prices[way] = np.where(news, price, 0.0)
            report((number + 1) / rounds)
            if not tried_any:
                break
            if _jumps(before, path).max() < SETTLED and not any((_jumps(front, path) > NEWS).any() for front in fronts):
                break
        fit.place(path)

    def _next(self, path: np.ndarray, poses: np.ndarray, target: slice) -> np.ndarray:
        """The path, with a neighbour's poses in the frames that they are for (frame, 7)."""
        tried = path.copy()
        tried[target] = np.where(self._joined[:, None], poses, path[target])
        return tried

    def _better(self, one: np.ndarray, other: np.ndarray, path: np.ndarray) -> Search[np.ndarray]:
        """Of two sequences of poses (frame, 7), those that fit better as they are; the first where they are alike.

        Only where either is news to the path does it matter.
        """
        frames = (_jumps(one, other) > SETTLED) & (self._news(one, path) | self._news(other, path))
        better = np.zeros(len(path), dtype=bool)
        for known in self._compared:
            same = frames & known[2] & (_jumps(one, known[0]) < SAME) & (_jumps(other, known[1]) < SAME)
            better |= same & known[3]
            frames &= ~same
        if frames.any():
            (_, rested), (_, carried) = (yield Try(other, frames)), (yield Try(one, frames))
            better |= frames & (rested < carried)
            self._compared.append((one, other, frames, better))
        return np.where(better[:, None], other, one)

    def _news(self, tried: np.ndarray, path: np.ndarray) -> np.ndarray:
        """Where poses (frame, 7) are neither much the same as the path's nor as what was tried before (frame,) bool."""
        found = _jumps(tried, path) > SETTLED
        for poses, frames in self._tried:
            found &= ~frames | (_jumps(tried, poses) > SAME)
        return found


def _parts(frame_count: int) -> list[np.ndarray]:
    """Numbers of the frames, a few in a row at a time."""
    return np.array_split(np.arange(frame_count), -(-frame_count // TOGETHER))


def jump_price(costs: np.ndarray) -> float:
    """What a jump costs where hypotheses cost so much (hypothesis, frame)."""
    return JUMP_COST * float(np.median(np.where(np.isfinite(costs), costs, np.inf).min(axis=0))) + LEAST_JUMP_COST


def contradicting(costs: np.ndarray) -> np.ndarray:
    """In which frames the picture contradicts whatever is tried (frame,), by the costs (hypothesis, frame)."""
    least = np.where(np.isfinite(costs), costs, np.inf).min(axis=0)
    return np.isfinite(least) & (least > OUTLYING * float(np.median(least)) + LEAST_JUMP_COST)


def believed(costs: np.ndarray) -> np.ndarray:
    """Costs (hypothesis, frame), of which pictures that contradict whatever is tried say little.

    Labels of noise, or of everything, cost some of the wrong poses less than the right one, and by much.
    """
    costs = np.where(np.isfinite(costs), costs, np.inf)  # what was not tried in a frame is not tried
    frames = contradicting(costs)
    least = costs[:, frames].min(axis=0)
    little = LEAST_JUMP_COST + SAYS_LITTLE * jump_price(costs) * (1.0 - least / costs[:, frames])
    costs[:, frames] = np.where(np.isfinite(costs[:, frames]), little, np.inf)
    return costs


def cheapest_path(
    hypotheses: list[tuple[np.ndarray, np.ndarray]],
    joined: np.ndarray,
    guess: np.ndarray,
    *,
    symmetry: str = "none",
    pace: np.ndarray | float = 1.0,
    camera: CameraPath | None = None,
) -> np.ndarray:
    """Poses (frame, 7) that fit the pictures, do not jump and agree with the first guess as far as that goes.

    Viterbi's path through the hypotheses.  Where pictures cannot tell one half turn from the other, most of the first
    guesses may.

    Args:
        hypotheses: poses (frame, 7) and their costs (frame,); the first wins where all are equal.
        joined: whether each frame but the first belongs to the sequence of the one before (frame - 1,).
        guess: quaternions of the first guess (frame, 4).
        symmetry: of the body: of turns that cannot be seen the first guess knows nothing.
        pace: how much farther bodies move than at JUMP_FPS, from each frame to the next (frame - 1,) or everywhere.
        camera: where it is, if it moves: poses jump in the world.
    """
    poses = np.stack([each for each, _ in hypotheses]).astype(np.float64)  # (hypothesis, frame, 7)
    costs = np.stack([each for _, each in hypotheses])
    jump = jump_price(costs)
    costs = believed(costs)
    angles = seen_angles(poses[..., 3:], guess, symmetry)
    costs = costs + GUESS_COST * _saturated((angles / GUESS_RAD) ** 2)
    count, frame_count = costs.shape
    poses = poses if camera is None else np.stack([in_world(camera, each) for each in poses])
    paces = np.broadcast_to(pace, max(frame_count - 1, 0))
    totals, origins = costs[:, 0].copy(), np.zeros((frame_count, count), dtype=int)
    for frame in range(1, frame_count):
        arrive = totals[:, None]
        if joined[frame - 1]:
            arrive = arrive + jump * _leap(poses[:, frame - 1], poses[:, frame], paces[frame - 1])
        else:
            arrive = np.broadcast_to(arrive, (count, count))
        origins[frame] = arrive.argmin(axis=0)
        totals = arrive.min(axis=0) + costs[:, frame]
    path = np.empty(frame_count, dtype=int)
    path[-1] = totals.argmin()
    for frame in range(frame_count - 1, 0, -1):
        path[frame - 1] = origins[frame, path[frame]]
    return np.stack([hypotheses[which][0][frame] for frame, which in enumerate(path)])


def _jumps(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How much of a jump it is from each pose to the one in the same place, both (..., 7): 0 none, 1 far."""
    cosines = np.clip(np.abs(np.sum(before[..., 3:] * after[..., 3:], axis=-1)), 0.0, 1.0)
    angles = 2.0 * np.arccos(cosines) / JUMP_RAD
    distances = np.linalg.norm(before[..., :3] - after[..., :3], axis=-1) / JUMP_M
    return _saturated(angles**2 + distances**2)


def _leap(before: np.ndarray, after: np.ndarray, pace: float = 1.0) -> np.ndarray:
    """How much of a jump it is from each pose before to each after, both (hypothesis, 7): 0 none, 1 far."""
    cosines = np.clip(np.abs(before[:, 3:] @ after[:, 3:].T), 0.0, 1.0)
    angles = 2.0 * np.arccos(cosines) / JUMP_RAD
    distances = np.linalg.norm(before[:, None, :3] - after[None, :, :3], axis=2) / JUMP_M
    return _saturated((angles**2 + distances**2) / pace**2)


def _saturated(square: np.ndarray) -> np.ndarray:
    """0 for nothing, one half at 1, and at most 1."""
    return square / (1.0 + square)


def _closest_points(fit: BodyFit) -> tuple[wp.array, wp.array]:
    """Points and contact weights of the body whose contacts weigh most; one weightless point without other bodies."""
    motion = fit.motion
    pairs = fit.problem.contacts(fit.body).pairs.values()
    if not pairs:
        shape = (motion.frame_count, 1)
        return wp.zeros(shape, dtype=wp.vec3, device=motion.device), wp.zeros(shape, dtype=float, device=motion.device)
    closest = max(pairs, key=lambda pair: float(pair.contacts.sums.numpy()[:, 0].sum()))
    points = motion.points[closest.partner.name]
    weights = closest.contacts.weights.numpy() * points.shape[1]
    return points, wp.array(weights, dtype=float, device=motion.device)
