"""Contact of all bodies of a scene in one motion: per body and per pair of bodies."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from warpprior.metrics.contact import contact_metrics, contact_shares
from warpprior.metrics.pairs import Pair, contact_scores, make_pair, pair_metrics, zones_touching
from warpprior.metrics.summary import summarise
from warpprior.metrics.surfaces import PosedBody

Rows = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Interaction:
    """Metrics of contact in one motion.

    Attributes:
        pairs: the pairs of bodies by key.
        body_rows, pair_rows: metrics per frame (frame,) by body name and by pair key, NaN where not defined.
        pitches: edge of the cells in which shared volumes were counted, by pair key [m].
        defined: frames that count (frame,) bool.
    """

    pairs: dict[str, Pair]
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
    pairs = {pair.key: pair for pair in (make_pair(*two) for two in combinations(posed.values(), 2))}
    body_rows, pair_rows, pitches = {}, {}, {}
    for name, body in posed.items():
        seen = [pair.seen_by(name) for pair in pairs.values() if name in (pair.bodies[0].name, pair.bodies[1].name)]
        points, distances = (np.concatenate(parts, axis=1) for parts in zip(*seen, strict=True))
        rows = contact_metrics(distances, points)
        if not body.is_rigid:
            del rows["slip_mm"]
        body_rows[name] = _struck(rows, defined)
    for key, pair in pairs.items():
        rows, pitch = pair_metrics(pair)
        pair_rows[key] = _struck(rows, defined)
        if pitch is not None:
            pitches[key] = pitch
    return Interaction(pairs, body_rows, pair_rows, pitches, defined)


def compare_contacts(motion: Interaction, truth: Interaction, key: str) -> tuple[Rows, dict[str, float]]:
    """How well a pair's contacts are those of the truth: rows per frame (frame,), and figures over all frames."""
    defined = truth.defined
    own, true = (side.pairs[key].touching & defined[:, None] for side in (motion, truth))
    per_frame, pooled = contact_scores(own, true)
    rows, figures = {"contact_f1": per_frame}, {"contact_f1_pooled": pooled}
    zones, true_zones = (zones_touching(side.pairs[key], touch) for side, touch in ((motion, own), (truth, true)))
    if zones is not None and true_zones is not None:
        rows["zone_f1"], figures["zone_f1_pooled"] = contact_scores(zones, true_zones)
    return _struck(rows, defined), {name: value for name, value in figures.items() if np.isfinite(value)}


def _struck(rows: Rows, defined: np.ndarray) -> Rows:
    """The rows with NaN in frames that do not count; slip looks one frame back."""
    before = defined & np.concatenate([[True], defined[:-1]])
    return {name: np.where(before if name == "slip_mm" else defined, v, np.nan) for name, v in rows.items()}
