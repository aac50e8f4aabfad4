"""How sure a refined motion is: the covariance of every pose and joint, and of what all frames share.

At the end all residuals are linearised once more, each term's by themselves, and the inverse of their normal matrix is
the covariance, but for three things.  Errors of borders and of neighbouring frames are alike and count once.  How large
they are shows in how well residuals fit.  And what nothing observes is not held by anything: neither by damping, nor,
where a body looks the same after a turn, by how its mesh happens to be cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.refinement.residuals import Residuals
from warpprior.scene import SceneBody
from warpprior.settings import CovarianceSettings
from warpprior.support.wording import frame_list
from warpprior.system.covariance import Information, Marginals, Piece, diagonals, invert
from warpprior.system.equations import Equations
from warpprior.system.problem import Problem
from warpprior.system.stage import Stage
from warpprior.terms.camera import BoundCamera
from warpprior.terms.contour import BoundContour
from warpprior.terms.pose import BoundPose
from warpprior.terms.term import BoundTerm
from warpprior.uncertainty import POSITION_LIMIT, TURN_LIMIT, UNSURE_M, UNSURE_RAD

BIAS = "bias"
SIGMA_MEASURED_BIAS = 0.25  # of what known bodies say of it [px]
FAR = 4.0  # times the limits of what counts as known: as vaguely are poses known beforehand
STATED = 3.0  # the stated noise of a term is believed as if so many measurements had shown it
ROUNDS = 2  # noise and covariance depend on each other
NEAREST = 0.05  # [m]


@dataclass(frozen=True, eq=False)
class Sureness:
    """Standard deviations and covariances of a motion.

    Attributes:
        poses: of each estimated body (frame, 6 + coordinate, 6 + coordinate), see :mod:`warpprior.uncertainty`.
        shared: standard deviation of each shared unknown, by name.
        noise: of each term whose residuals tell, their variance over the stated one.
        residuals: of each body and term, cost of each frame over what is expected where errors are as stated (frame,),
            NaN where the term says nothing; the cost itself where nothing is expected.
        notes: which bodies are not observed, in which frames, one sentence each.
        camera: of the offsets of a camera whose poses were estimated (frame, 6, 6), else None.
    """

    poses: dict[str, np.ndarray]
    shared: dict[str, float]
    noise: dict[str, float]
    residuals: dict[str, dict[str, np.ndarray]]
    notes: tuple[str, ...]
    camera: np.ndarray | None = None


@dataclass(eq=False)
class _Part:
    """What one term says of all bodies.

    Attributes:
        informations: of its residuals, at their stated noise.
        alike: the same with what errors have in common counted once.
        cost: of them.
        count: how many measurements that is of; 0: that is not told.
        assumed: it is about motion and contact, not about what was seen: it is never trusted more than stated.
    """

    informations: list[Information]
    alike: list[Information]
    cost: float
    count: float
    assumed: bool
    noise: float = 1.0

    def add(self, other: _Part) -> None:
        """Take what another says that has the same noise."""
        self.informations += other.informations
        self.alike += other.alike
        self.cost += other.cost
        self.count += other.count

    def learn(self, explained: float) -> None:
        """Take the noise that the residuals have, the unknowns having taken up so many degrees of freedom."""
        if self.assumed:
            self.noise = max(1.0, self.cost / self.count)
        else:
            left = max(self.count - explained / self.noise, 0.0)
            self.noise = (STATED + self.cost) / (STATED + left)


def measure_sureness(
    problem: Problem, terms: Sequence[BoundTerm], stage: Stage, settings: CovarianceSettings, sigma_bias: float
) -> Sureness:
    """How sure the current motion is.

    Args:
        problem: the sequence's.
        terms: what the motion was found with.
        stage: whose scales they take.
        settings: how errors of labels are alike.
        sigma_bias: how far all borders may lie outside the true ones, where that is not estimated [px].

    Raises:
        numpy.linalg.LinAlgError: the motion is where residuals are no numbers.
    """
    equations = _equations(problem)
    width, floor = equations.width, known_beforehand(problem, equations, sigma_bias)
    considered = [column for name, column in equations.shared.items() if name not in problem.equations.shared]
    parts, residuals = _linearise(problem, terms, stage, equations, settings)

    def inverted() -> Marginals:
        told = [(1.0 / part.noise, information) for part in parts.values() for information in part.alike]
        return invert(told, width, floor, considered)

    found = inverted()
    telling = [part for part in parts.values() if part.count > 0.0]
    for _ in range(ROUNDS):
        every = [information for part in telling if not part.assumed for information in part.informations]
        explained = iter(found.explained(every))
        for part in telling:
            part.learn(0.0 if part.assumed else sum(next(explained) for _ in part.informations))
        found = inverted()
    own = [_OfBody(problem, body, equations) for body in problem.motion.estimated]
    start = equations.camera
    camera = None if start < 0 else np.zeros((equations.frame_count, 6, 6))
    for piece in found.each():
        for one in own:
            one.take(piece)
        if camera is not None:
            camera[piece.frames] = piece.own[:, start : start + 6, start : start + 6]
    poses = {one.body.name: one.covariance for one in own}
    sigmas = np.sqrt(np.maximum(found.shared.diagonal(), 0.0))
    shared = {name: float(sigmas[column - width]) for name, column in equations.shared.items()}
    noise = {name: part.noise for name, part in parts.items() if part.count > 0.0}
    return Sureness(poses, shared, noise, residuals.found, tuple(note for one in own for note in one.notes()), camera)


def _equations(problem: Problem) -> Equations:
    """Equations of the problem, with a bias of labels in any case: that it was held does not make it known."""
    own = problem.equations
    if BIAS in own.shared or problem.observed.labels is None:
        return own
    motion = problem.motion
    return Equations(
        motion.estimated, [*own.shared, BIAS], own.frame_count, own.lanes, motion.device, camera=own.camera >= 0
    )


def _linearise(
    problem: Problem, terms: Iterable[BoundTerm], stage: Stage, equations: Equations, settings: CovarianceSettings
) -> tuple[dict[str, _Part], Residuals]:
    """What each term says at the current motion, by its name; terms whose noise is not told are one, ``""``."""
    terms = list(terms)
    problem.refresh_backdrop()
    problem.enter(stage)
    for term in terms:
        term.enter(stage)
    problem.refresh()
    system = problem.system if equations is problem.equations else problem.rows_of(equations)
    parts: dict[str, _Part] = {}
    residuals = Residuals()
    for term in terms:
        equations.clear()
        problem.add_rows([term], system)
        hessian = equations.hessian.numpy()
        if not hessian.any():
            continue
        pixels = _pixels(problem, equations, term.body, diagonals(hessian))
        count = term.measurements(float(pixels.sum()))
        costs, share = term.costs.numpy(), 1.0
        cost = float(costs.sum())
        if not isinstance(term, BoundCamera):
            residuals.add(term, costs, count, pixels)
        if isinstance(term, BoundContour):
            share = term.term.correlation_px / settings.border_length_px
        told = Information.read(hessian, share)
        # What a prior says in every frame is the same, too.
        persists = term.observes or isinstance(term, BoundPose)
        alike = told.alike(settings.alike_frames) if persists else told
        name = "" if count is None else term.name
        part = _Part([told], [alike], share * cost, share * (count or 0.0), not persists)
        if name in parts:
            parts[name].add(part)
        else:
            parts[name] = part
    return parts, residuals


def _pixels(problem: Problem, equations: Equations, body: SceneBody, diagonal: np.ndarray) -> np.ndarray:
    """What each frame says of a shift of a body by one pixel, both ways [1/px^2]: bearings are in focal lengths."""
    start, camera = equations.starts[body.name], problem.motion.camera
    return diagonal[:, start] / camera.fx**2 + diagonal[:, start + 1] / camera.fy**2


def known_beforehand(problem: Problem, equations: Equations, sigma_bias: float) -> np.ndarray:
    """What is known of unknowns beforehand: next to nothing of poses, their priors of those that frames share."""
    far = FAR * np.sqrt(problem.motion.frame_count)  # frames that move together add their floors up
    floor = np.full(equations.total, 1.0 / (far * TURN_LIMIT) ** 2)
    for body in problem.motion.estimated:
        start = equations.starts[body.name]
        depth = float(np.median(problem.motion.states[body.name].poses.numpy()[:, 2]))
        floor[start : start + 3] = (max(depth, NEAREST) / (far * POSITION_LIMIT)) ** 2
    floor[equations.width :] = [*problem.shared.prior.weight.numpy()[0], 1.0 / sigma_bias**2][: len(equations.shared)]
    return floor


class _OfBody:
    """How sure one body's pose and joints are.

    Attributes:
        body: as given.
        covariance: of its pose and joints (frame, d, d).
    """

    def __init__(self, problem: Problem, body: SceneBody, equations: Equations):
        self.body = body
        self._poses = problem.motion.states[body.name].poses.numpy().astype(np.float64)
        self._depth = np.maximum(self._poses[:, 2], NEAREST)
        start, count = equations.starts[body.name], equations.counts[body.name]
        # The depth of a body whose size is estimated goes with that.
        self._own, self._size = slice(start, start + count), problem.size_columns.get(body.name)
        self._axes = _unseen_axes(body)
        self.covariance = np.zeros((len(self._poses), count, count))
        self._sigmas = np.zeros((len(self._poses), 6))  # of the unknowns of the root

    def take(self, piece: Piece) -> None:
        """Take the covariance of the unknowns of some frames."""
        frames, own = piece.frames, piece.own[:, self._own, self._own]
        if self._size is not None:
            own = with_size(own, piece.own[:, self._own, self._size], piece.own[:, self._size, self._size])
        poses = self._poses[frames]
        jacobian = np.tile(np.eye(own.shape[1]), (len(poses), 1, 1))
        jacobian[:, :3, :3] = self._depth[frames, None, None] * np.eye(3)  # by x/z and y/z
        jacobian[:, :3, 2] = poses[:, :3]  # by log z
        jacobian[:, 3:6, 3:6] = Rotation.from_quat(poses[:, 3:]).as_matrix()
        covariance = jacobian @ own @ jacobian.transpose(0, 2, 1)
        if self._axes:
            turns = jacobian[:, 3:6, [3 + axis for axis in self._axes]]
            covariance[:, 3:6, 3:6] += (FAR * TURN_LIMIT) ** 2 * turns @ turns.transpose(0, 2, 1)
        self.covariance[frames] = 0.5 * (covariance + covariance.transpose(0, 2, 1))
        self._sigmas[frames] = np.sqrt(np.maximum(own.diagonal(axis1=1, axis2=2)[:, :6], 0.0))

    def notes(self) -> Iterator[str]:
        """Where the body is, and how it is turned, where that is hardly known at all."""
        name, sigma = self.body.name, self._sigmas
        place = self._depth * sigma[:, :3].max(axis=1)
        turn = np.delete(sigma[:, 3:], self._axes, axis=1).max(axis=1, initial=0.0)
        lost, loose = np.flatnonzero(place > UNSURE_M), np.flatnonzero(turn > UNSURE_RAD)
        if len(lost):
            most = f"up to {1e3 * min(place.max(), POSITION_LIMIT):.0f} mm (1 sigma)"
            yield f"{name}: where it is, is hardly observed in {frame_list(lost)}: {most}."
        if len(loose):
            most = f"up to {np.degrees(min(turn.max(), TURN_LIMIT)):.0f} degrees (1 sigma)"
            yield f"{name}: how it is turned is hardly observed in {frame_list(loose)}: {most}."


def with_size(own: np.ndarray, across: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Covariance of a body's unknowns where the logarithm of its size is a part of that of its depth.

    Args:
        own: without it (frame, column, column).
        across: of the columns and the size (frame, column).
        size: of the size (frame,).
    """
    own = own.copy()
    own[:, 2] += across
    own[:, :, 2] += across
    own[:, 2, 2] += size
    return own


def _unseen_axes(body: SceneBody) -> list[int]:
    """The body's own axes about which no picture shows how it is turned, and no surface that it touches."""
    if body.symmetry == "none":
        return []
    return [0, 1, 2] if body.symmetry == "sphere" else ["xyz".index(body.symmetry)]
