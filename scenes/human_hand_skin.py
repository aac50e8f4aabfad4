"""How our human hand's surface follows its bones, and which parts of it have names."""

from __future__ import annotations

import numpy as np

from warpprior.scenes.human_hand_form import DIGITS, FINGERS, Digit, Form
from warpprior.scenes.human_hand_mesh import Net

# Half of the length over which a joint bends the skin, on the back and on the inside [mm].
_REACH = {"knuckle": (11.0, 15.0), "finger": (7.5, 8.5), "thumb_root": (13.0, 14.0), "thumb": (9.0, 10.0)}
_INFLUENCES = 4


def skin_weights(net: Net, form: Form, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Links (vertex, 4) and weights (vertex, 4) for the links of :func:`link_names`, the rest surface given [mm]."""
    weights = np.zeros((len(vertices), 16))
    shares = _shares(net, form, vertices)
    for name in DIGITS:
        digit, first = form.digits[name], 1 + 3 * DIGITS.index(name)
        bends = [_bend(digit, joint, vertices) for joint in range(3)]
        inside = shares[name]
        weights[:, first] = inside * bends[0] * (1.0 - bends[1])
        weights[:, first + 1] = inside * bends[0] * bends[1] * (1.0 - bends[2])
        weights[:, first + 2] = inside * bends[0] * bends[1] * bends[2]
    weights[:, 0] = 1.0 - weights[:, 1:].sum(axis=1)
    weights = _even_out(weights, net)
    links = np.argsort(-weights, axis=1, kind="stable")[:, :_INFLUENCES]
    chosen = np.take_along_axis(weights, links, axis=1)
    chosen[chosen < 0.01] = 0.0
    chosen /= chosen.sum(axis=1, keepdims=True)
    return np.where(chosen > 0.0, links, links[:, :1]), chosen


def _ramp(x: np.ndarray) -> np.ndarray:
    """0 below -1, 1 above 1, smooth in between."""
    x = np.clip(0.5 * (x + 1.0), 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def _bend(digit: Digit, joint: int, vertices: np.ndarray) -> np.ndarray:
    """How far each vertex has passed a joint (vertex,), 0 to 1."""
    if digit.name == "thumb":
        kind = "thumb_root" if joint == 0 else "thumb"
    else:
        kind = "knuckle" if joint == 0 else "finger"
    before, after = digit.frames[max(joint - 1, 0)], digit.frames[joint]
    along = 0.5 * (before[:, 2] + after[:, 2])
    local = vertices - digit.joints[joint]
    height = local @ after[:, 1]
    share = _ramp(-height / (8.0 * digit.thickness))
    reach = (1.0 - share) * _REACH[kind][0] + share * _REACH[kind][1]
    size = 1.0 if digit.name == "thumb" or joint == 0 else digit.thickness
    shift = 3.0 * share if kind == "knuckle" else 0.0
    return _ramp((local @ along / np.linalg.norm(along) - shift) / (reach * size))


def _shares(net: Net, form: Form, vertices: np.ndarray) -> dict[str, np.ndarray]:
    """How much of a vertex is each digit's: all on its rings, divided up in the palm {digit: (vertex,)}."""
    shares = {}
    nearness = {}
    for name in FINGERS:
        digit = form.digits[name]
        sideways = (vertices - digit.joints[0]) @ digit.frames[0][:, 0]
        nearness[name] = np.exp(-0.5 * (sideways / (5.5 * digit.thickness)) ** 2)
    total = sum(nearness.values()) + 1e-9
    thumb = form.digits["thumb"]
    to_thumb = _distance(vertices, thumb.joints[0] + 6.0 * thumb.frames[0][:, 2], thumb.joints[1])
    rest = [_distance(vertices, 0.25 * form.digits[n].joints[0], form.digits[n].joints[0]) for n in FINGERS]
    thumb_share = _ramp((np.min(rest, axis=0) - to_thumb - 2.0) / 12.0)
    for name in FINGERS:
        shares[name] = (1.0 - thumb_share) * nearness[name] / total
    shares["thumb"] = thumb_share
    for name in DIGITS:
        own = np.r_[net.rings[name][1:].ravel(), net.tips[name]]
        for other in DIGITS:
            shares[other][own] = float(other == name)
    return shares


def _distance(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    axis = end - start
    share = np.clip((points - start) @ axis / (axis @ axis), 0.0, 1.0)
    return np.linalg.norm(points - start - share[:, None] * axis, axis=1)


def _even_out(weights: np.ndarray, net: Net, rounds: int = 4) -> np.ndarray:
    """Averages over neighbours in the palm and at the roots of the digits; rings further out stay as they are."""
    count = len(weights)
    pairs = np.concatenate([net.faces[:, [0, 1]], net.faces[:, [1, 2]], net.faces[:, [2, 0]]])
    degree = np.bincount(pairs[:, 0], minlength=count)[:, None]
    moving = np.unique(
        np.concatenate([net.palm.ravel(), net.sides[net.sides >= 0], net.webs.ravel(), net.rings["thumb"][1]])
    )
    for _ in range(rounds):
        mean = np.stack([np.bincount(pairs[:, 0], column[pairs[:, 1]], count) for column in weights.T], 1) / degree
        weights[moving] += 0.5 * (mean - weights)[moving]
    weights[net.cap] = np.eye(weights.shape[1])[0]
    return weights


def link_names() -> tuple[str, ...]:
    """Names of the 16 links, in MANO's order."""
    return ("wrist", *(f"{digit}{number}" for digit in DIGITS for number in (1, 2, 3)))


def contact_zones(net: Net) -> dict[str, np.ndarray]:
    """Vertices of the pads of the digits and of the palm."""
    zones = {}
    for name in ("thumb", *FINGERS):
        pad = net.rings[name][-4:, 3:7]
        zones[f"{name}_pad"] = np.r_[pad.ravel(), net.tips[name]]
    zones["palm"] = net.palm[2:, :, 1].ravel()
    return zones
