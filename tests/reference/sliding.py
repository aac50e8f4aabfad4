"""Float64 twin of what slip costs, as a function of all unknowns of both bodies, by frames' true times."""

import numpy as np

from tests.reference.motion_terms import groups, spans

LEAST_SHARE = 0.01  # contacts less likely than this do not count


class Sliding:
    """Slip of contacts over the time since the frame before, with contacts, normals and weights held at the start.

    Args:
        pair: the contacts (:class:`tests.reference.contacts.ContactPair`).
        segments: (frame,).
        paces: nominal times between frames over true ones (frame,).
        slip: weight, robust width and free share of the normal direction.
        drifts: slip that is believed and weight of the rest (frame, point, 4).
    """

    def __init__(self, pair, segments, paces, slip, drifts):
        self.pair, self.slip = pair, slip
        self.pairs = groups(np.asarray(segments), 1)
        self.times = spans(paces, self.pairs)[:, None]
        weights = np.sqrt(pair.weights[self.pairs] * pair.weights[self.pairs - 1])
        totals = weights.sum(axis=1, keepdims=True) + 1e-3
        self.weights = slip[0] * np.where(weights > LEAST_SHARE * pair.areas, weights, 0.0) / totals
        self.drifts = drifts[self.pairs, :, :3]
        self.weights = self.weights * drifts[self.pairs, :, 3]

    def moves(self, steps):
        """How fast each contact slips between its frame and the one before (pair, point, 3) [m per nominal frame]."""
        places = self.pair.places(steps)
        normals = self.pair.samples[self.pairs, :, :3]
        moves = (places[self.pairs] - places[self.pairs - 1]) / self.times
        return moves - self.slip[2] * normals * np.sum(normals * moves, axis=2, keepdims=True) - self.drifts

    def cost(self, steps):
        """Cauchy cost."""
        square = np.sum(self.moves(steps) ** 2, axis=2) / self.slip[1] ** 2
        return (self.weights * self.slip[1] ** 2 * np.log1p(square)).sum()

    def residuals(self, steps):
        """Residuals whose squares, weighted as at the start, Gauss-Newton takes for the cost."""
        trust = 1.0 / (1.0 + np.sum(self.moves(0.0 * steps) ** 2, axis=2) / self.slip[1] ** 2)
        return (np.sqrt(self.weights * trust)[..., None] * self.moves(steps)).ravel()
