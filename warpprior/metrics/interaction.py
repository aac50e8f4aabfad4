"""Contact of all bodies of a scene in one motion: per body and per pair of bodies."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from warpprior.metrics.contact import contact_metrics, contact_shares
from warpprior.metrics.pairs import (
    contact_scores,
    make_pair,
    pair_metrics,
    shared_boxes,
    shared_volume,
    zones_touching,
)
from warpprior.metrics.summary import summarise
from warpprior.metrics.surfaces import PosedBody, pieces
from warpprior.support.memory import give_back

Rows = dict[str, np.ndarray]


TOUCHING, BOXES = "touching", "boxes"  # of pairs


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Touch:
    """Contact of two bodies.

    Attributes:
        body: the second of them.
        touching: its points that touch the first (frame, point) bool.
    """

    body: PosedBody
    touching: np.ndarray


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Interaction:
    """Metrics of contact in one motion.

    Attributes:
        pairs: contact of the pairs of bodies by key.
        body_rows, pair_rows: metrics per frame (frame,) by body name and by pair key, NaN where not defined.
        pitches: edge of the cells in which shared volumes were counted, by pair key [m].
        defined: frames that count (frame,) bool.
    """

    pairs: dict[str, Touch]
    body_rows: dict[str, Rows]
    pair_rows: dict[str, Rows]
    pitches: dict[str, float]
    defined: np.ndarray

    def describe(self, rows: Rows, fps: float) -> dict:
        """Summaries of some of the rows, with the shares of frames in contact, overlapping and apart."""
        figures: dict = {name: summarise(name, values, fps) for name, values in rows.items()}
        return figures | contact_shares(rows)


def interact(posed: dict[str, PosedBody], defined: np.ndarray) -> Interaction:
    """Measure every pair of bodies, and every body against all others.

    Args:
        posed: at least two bodies.
        defined: frames that count (frame,) bool; in the others all metrics are NaN.
    """
    found = [_interact_in(posed, frames) for frames in pieces(len(defined))]
    bodies, of_pairs, names = zip(*found, strict=True)
    body_rows, pair_rows = (
        {key: _joined([part[key] for part in parts]) for key in parts[0]} for parts in (bodies, of_pairs)
    )
    pairs, pitches = {}, {}
    for key, rows in pair_rows.items():
        first, second = (posed[name] for name in names[0][key])
        pairs[key] = Touch(second, rows.pop(TOUCHING))
        if BOXES in rows:
            volume, pitches[key] = shared_volume(first, second, rows.pop(BOXES))
            rows["shared_volume_cm3"] = 1e6 * volume
    body_rows, pair_rows = (
        {key: _struck(rows, defined) for key, rows in every.items()} for every in (body_rows, pair_rows)
    )
    return Interaction(pairs, body_rows, pair_rows, pitches, defined)


def _interact_in(
    posed: dict[str, PosedBody], frames: slice
) -> tuple[dict[str, Rows], dict[str, Rows], dict[str, tuple[str, str]]]:
    """Rows of bodies and of pairs in some frames, and the names of each pair's bodies.

    With those of a pair come which points touch, and what the two share lies within, where both are closed.
    """
    before = min(frames.start, 1)  # slip looks one frame back
    some = {name: body.frames(slice(frames.start - before, frames.stop)) for name, body in posed.items()}
    pairs = [make_pair(*two) for two in combinations(some.values(), 2)]
    body_rows, pair_rows = {}, {}
    for name, body in some.items():
        seen = [pair.seen_by(name) for pair in pairs if name in (pair.bodies[0].name, pair.bodies[1].name)]
        points, distances = (np.concatenate(parts, axis=1) for parts in zip(*seen, strict=True))
        body_rows[name] = contact_metrics(distances, points)
        if not body.is_rigid:
            del body_rows[name]["slip_mm"]
    for pair in pairs:
        rows = pair_rows[pair.key] = pair_metrics(pair) | {TOUCHING: pair.touching}
        if all(body.is_closed for body in pair.bodies):
            rows[BOXES] = shared_boxes(pair)
    for rows in (*body_rows.values(), *pair_rows.values()):
        for name in rows:
            rows[name] = rows[name][before:]
    give_back()
    return body_rows, pair_rows, {pair.key: (pair.bodies[0].name, pair.bodies[1].name) for pair in pairs}


def _joined(parts: list[Rows]) -> Rows:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def compare_contacts(motion: Interaction, truth: Interaction, key: str) -> tuple[Rows, dict[str, float]]:
    """How well a pair's contacts are those of the truth: rows per frame (frame,), and figures over all frames."""
    defined = truth.defined
    own, true = (side.pairs[key].touching & defined[:, None] for side in (motion, truth))
    per_frame, pooled = contact_scores(own, true)
    rows, figures = {"contact_f1": per_frame}, {"contact_f1_pooled": pooled}
    zones, true_zones = (zones_touching(side.pairs[key].body, touch) for side, touch in ((motion, own), (truth, true)))
    if zones is not None and true_zones is not None:
        rows["zone_f1"], figures["zone_f1_pooled"] = contact_scores(zones, true_zones)
    return _struck(rows, defined), {name: value for name, value in figures.items() if np.isfinite(value)}


def _struck(rows: Rows, defined: np.ndarray) -> Rows:
    """The rows with NaN in frames that do not count; slip looks one frame back."""
    before = defined & np.concatenate([[True], defined[:-1]])
    return {name: np.where(before if name == "slip_mm" else defined, v, np.nan) for name, v in rows.items()}
