"""What a result shows, in plain words: what went well, what to look at, and what is good to know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from warpprior.metrics.contact import DEEP_M
from warpprior.report.figures import QUANTITIES, Quantity, contact_share, series, subjects, true_median, true_share
from warpprior.report.uncertainty import SIGMAS
from warpprior.result import Result
from warpprior.scene import SceneBody
from warpprior.support.stored import each_frame
from warpprior.support.wording import frame_list

GOOD, POOR, FACT = "good", "poor", "fact"

_PLACES = ("keypoint_mm", "add_mm", "add_s_mm", "translation_mm")  # the first that was measured is told
_FADED = 0.02  # of mask overlap, lost without mention
_POOR_OVERLAP = 0.75  # of masks, below which frames are named
_DEEP_MM = 1e3 * DEEP_M  # overlap of bodies from which on frames are named
_SLIPPERY_MM = 1.0  # per frame
_MOST_BEYOND = 0.05  # share of frames whose error may be beyond three sigmas
_TOUCHING = 0.5  # least weight of a contact point that carries a body


@dataclass(frozen=True)
class Finding:
    """One thing that a result shows.

    Attributes:
        tone: ``good``, ``poor`` (worth a look) or ``fact``.
        text: a sentence, with names as the scene has them.
    """

    tone: str
    text: str


def findings(result: Result) -> list[Finding]:
    """What the numbers of a result say about each estimated body and each pair, in plain words.

    Args:
        result: with its ``metrics``; without any there is little to say.
    """
    found: list[Finding] = []
    for body in (body for body in result.scene.bodies if not body.known):
        for rule in (_place, _overlap, _sureness):
            found += rule(result, body.name)
        found += _unseen(result, body)
    pairs = [name for name in subjects(result) if name not in {body.name for body in result.scene.bodies}]
    for pair in pairs:
        for rule in (_contact, _depth, _slip):
            found += rule(result, pair)
    return found


def _place(result: Result, name: str) -> Iterator[Finding]:
    """How far it is off the truth."""
    for key in _PLACES:
        before, after = (series(result, turn, name, key) for turn in (0, 1))
        if after is None:
            continue
        quantity = _quantity(key)
        now, tail = np.nanmedian(after), np.nanpercentile(after, 95)
        words = f"{name}: {now:.1f} mm off the truth (median {quantity.title}), 95 % of the frames within {tail:.1f} mm"
        better = True
        if before is not None:
            start = np.nanmedian(before)
            better = bool(now <= start)
            words += f"; {'it started' if better else 'that is worse than the start,'} {start:.1f} mm off"
        yield Finding(GOOD if better else POOR, f"{words}.")
        limit = quantity.limits[-1]
        far = np.flatnonzero(np.nan_to_num(after) > limit)
        if len(far):
            yield Finding(POOR, f"{name}: more than {limit:g} mm off in {frame_list(far)}.")
        return


def _overlap(result: Result, name: str) -> Iterator[Finding]:
    """How well it covers its mask."""
    before, after = (series(result, turn, name, "mask_iou") for turn in (0, 1))
    if after is None:
        return
    now = np.nanmedian(after)
    start = None if before is None else np.nanmedian(before)
    words = f"{now:.2f}" if start is None else f"{start:.2f} \u2192 {now:.2f}"
    good = now >= _POOR_OVERLAP and (start is None or now >= start - _FADED)
    yield Finding(GOOD if good else POOR, f"{name}: mask overlap {words} (median IoU).")
    low = np.flatnonzero(np.nan_to_num(after, nan=1.0) < _POOR_OVERLAP)
    if len(low):
        yield Finding(POOR, f"{name}: mask overlap below {_POOR_OVERLAP:g} in {frame_list(low)}.")


def _sureness(result: Result, name: str) -> Iterator[Finding]:
    """Whether errors are within what the covariances say."""
    for key, what in (("position_sigmas", "position"), ("rotation_sigmas", "rotation")):
        errors = series(result, 1, name, key)
        if errors is None:
            continue
        inside = float(np.mean(errors[np.isfinite(errors)] <= SIGMAS))
        good = inside >= 1.0 - _MOST_BEYOND
        words = f"{name}: its {what} is within {SIGMAS:g} sigmas in {100.0 * inside:.0f} % of the frames"
        yield Finding(GOOD if good else POOR, f"{words}{'' if good else ': it is surer than it may be'}.")


def _unseen(result: Result, body: SceneBody) -> Iterator[Finding]:
    """Frames in which no observation shows it, and what holds it there."""
    seen = _observed(result, body)
    hidden = np.flatnonzero(~seen)
    if not seen.any() or not len(hidden):
        return
    held = np.zeros(len(seen), dtype=bool)
    others = []
    for contact in result.contacts:
        if body.name in (contact.body, contact.other):
            touching = np.asarray(np.any(contact.weight >= _TOUCHING, axis=1))
            if touching[hidden].any():
                others.append(contact.other if contact.body == body.name else contact.body)
            held |= touching
    count = int(held[hidden].sum())
    if count == len(hidden):
        words = f"contact with {' and '.join(others)} carries it there"
    elif count:
        words = f"contact with {' and '.join(others)} carries it in {count} of them, the frames around in the others"
    else:
        words = "where it is then, follows from other frames"
    yield Finding(FACT, f"{body.name}: nothing observed shows it in {frame_list(hidden)}; {words}.")


def _observed(result: Result, body: SceneBody) -> np.ndarray:
    """Frames in which some observation is of this body (frame,) bool."""
    scene = result.scene
    seen = np.zeros(scene.frame_count, dtype=bool)
    if scene.labels is not None:
        seen |= np.array([bool((image == body.label).any()) for image in each_frame(scene.labels)])
    for channel in (scene.keypoints2d, scene.keypoints3d):
        if body.name in channel:
            seen |= (np.nan_to_num(channel[body.name][..., -1]) > 0.0).any(axis=1)
    for channel in (scene.boxes, scene.centers):
        if body.name in channel:
            seen |= np.isfinite(channel[body.name]).all(axis=1)
    return seen


def _contact(result: Result, pair: str) -> Iterator[Finding]:
    """How often the two touch, and how often they do so as no solid bodies can."""
    before, after = (contact_share(result, turn, pair, "contact_ratio") for turn in (0, 1))
    if after is None:
        return
    true = true_share(result, pair, "contact_ratio")
    deep = contact_share(result, 1, pair, "overlap_ratio")
    besides = f"; in another {100.0 * deep:.0f} % they overlap by 5 mm or more" if deep else ""
    sides = [f"{100.0 * true:.0f} % in truth"] if true is not None else []
    sides += [f"{100.0 * before:.0f} % at the start"] if before is not None else []
    aside = f" ({', '.join(sides)})" if sides else ""
    missed = true is not None and abs(after - true) > max(0.1, 0.2 * true)
    yield Finding(
        POOR if missed else FACT, f"{pair}: in contact in {100.0 * after:.0f} % of the frames{aside}{besides}."
    )


def _depth(result: Result, pair: str) -> Iterator[Finding]:
    """How deep the two are inside each other."""
    after = series(result, 1, pair, "penetration_mm")
    if after is None:
        return
    true = true_median(result, pair, "penetration_mm")
    aside = "" if true is None else f", {true:.1f} mm in truth"
    deep = np.flatnonzero(np.nan_to_num(after) > _DEEP_MM)
    words = f"{pair}: at most {np.nanmax(after):.1f} mm inside each other (median {np.nanmedian(after):.1f} mm{aside})"
    where = f"; more than {_DEEP_MM:g} mm in {frame_list(deep)}" if len(deep) else ""
    yield Finding(POOR if len(deep) else GOOD, f"{words}{where}.")


def _slip(result: Result, pair: str) -> Iterator[Finding]:
    """How much they slip where they touch."""
    after = series(result, 1, pair, "slip_mm")
    if after is None:
        return
    now, true = np.nanmedian(after), true_median(result, pair, "slip_mm")
    aside = "" if true is None else f", {true:.2f} mm in truth"
    tone = POOR if now > _SLIPPERY_MM else GOOD
    yield Finding(tone, f"{pair}: what touches slips by {now:.2f} mm per frame (median{aside}).")


def _quantity(key: str) -> Quantity:
    return next(quantity for quantity in QUANTITIES if quantity.key == key)
