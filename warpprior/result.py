"""Result: what an estimator returns.  Writing it to a folder is :mod:`warpprior.io.results`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from warpprior.finding import Finding
from warpprior.scene import Poses, Scene

STATUSES = ("ok", "suspect", "lost")


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class ContactPoints:
    """Points of one body on or near another at each frame, for pictures and for USD heat.

    Attributes:
        body, other: names of the body that owns the points and of the body they touch.
        points: positions in the camera frame (frame, point, 3) [m].
        weight: contact weight in [0, 1] (frame, point).
        normals: out of the other body at its nearest place, camera frame (frame, point, 3); None where not measured.
        depth: how far inside the other body [m], negative outside (frame, point); None where not measured.
        slip: speed along the other body's surface [m/s] where it touches in this and the frame before (or, where it
            just came, the next), else 0 (frame, point); None where not measured.
    """

    body: str
    other: str
    points: np.ndarray
    weight: np.ndarray
    normals: np.ndarray | None = None
    depth: np.ndarray | None = None
    slip: np.ndarray | None = None


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Verdict:
    """Whether the estimate of one body is believed, frame by frame.

    Attributes:
        doubt: probability that the body is more than 2 cm or 20 degrees off, as simulated faults have it (frame,).
        status: ``ok``, ``suspect`` or ``lost`` (frame,) str.
        reasons: why, empty where it is believed (frame,) str.
    """

    doubt: np.ndarray
    status: np.ndarray
    reasons: np.ndarray

    def counts(self) -> dict[str, int]:
        """How many frames are of each status."""
        return {status: int(np.count_nonzero(self.status == status)) for status in STATUSES}


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Result:
    """An estimated motion and how it came about.

    Attributes:
        scene: the scene it was estimated from (its ``initial`` poses are the start); its camera is the refined one
            where the focal length was estimated.
        poses: motion of every body, known ones included, by body name.
        history: cost of every term at every iteration {column name: (iteration,) array}, NaN where a part of the run
            has no such term; ``stage`` numbers the stages of the alignment.
        metrics: before and after; per frame and summary (:mod:`warpprior.metrics`).
        contacts: contact points per (body, other) pair.
        settings: the resolved settings as plain data.
        notes: warnings and remarks for the report, one sentence each.
        complete: False when it was interrupted and holds the best so far.
        left_out: frames whose evidence contradicts the rest and was not used, {body: {channel: frames}}; channels are
            ``labels`` and ``keypoints2d``.
        shared: what all frames share and was estimated, {name: {"value", "sigma"}}: ``bias`` of labels [px], ``focal``
            (logarithm of a factor), ``BODY misfit`` of its surface [m], ``BODY shape K``, ``KNOWN in BODY``, how much
            deeper than usual they overlap [m].  A sigma of 0 says that it was held, None that nothing was learnt.
        findings: what a check of the scene found before the estimate; see :func:`warpprior.check`.
        residuals: of each body and term, cost of each frame over what is expected of a good one (frame,), NaN where the
            term says nothing; the cost itself where nothing is expected.  Of Gauss-Newton alone.
        verdicts: whether each estimated body is believed, by name; see :func:`warpprior.verdicts.judge.judged`.
    """

    scene: Scene
    poses: dict[str, Poses]
    history: dict[str, np.ndarray]
    metrics: dict = field(default_factory=dict)
    contacts: tuple[ContactPoints, ...] = ()
    settings: dict = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    complete: bool = True
    left_out: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    shared: dict[str, dict[str, float | None]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    residuals: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
