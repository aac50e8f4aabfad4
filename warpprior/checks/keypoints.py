"""Keypoints in another form: exchanged, mirrored, in another order or unit, of the other hand, or marked as missing."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from warpprior.bodies.keypoint_fit import KeypointModel
from warpprior.checks.comparison import clearly_better, likeness, may_be_bettered, nearness
from warpprior.checks.evidence import FEWEST_POINTS, Evidence, Points, compare_points, spread_out
from warpprior.checks.registry import check
from warpprior.finding import Finding
from warpprior.refinement.keypoint_outliers import keypoint_orders
from warpprior.scene import Scene, SceneBody
from warpprior.support.missing_points import SAME_PLACE_PX, at_one_place, marked_missing
from warpprior.support.wording import frame_list

FRACTION = 2.0  # no detector's points all lie so near to the corner of the picture [px]
OTHER_SCALE = 1.3  # times as large, from which points are rather of a picture of another resolution
LOST = 0.05  # share of points that another form takes off the labels, which speaks against it
MIRRORS = {"hand": ((1.0, -1.0, 1.0), (1.0, 1.0, 1.0)), "mano": ((-1.0, 1.0, 1.0), (1.0, -1.0, -1.0))}
"""How the other hand comes of one: signs of its points, and of the rotation vectors of its joints, by kind."""


@dataclass(frozen=True)
class Form:
    """What detected keypoints would be if they were stored in another form.

    Attributes:
        code: of the finding.
        words: what they look like.
        cure: what to do with them.
        points: of ours (frame, keypoint, 2) [px].
        local: keypoints of the body in its own frame, where it is the body that is another; None for its own.
        order: which column is each keypoint (keypoint,), where that is what differs.
    """

    code: str
    words: str
    cure: str
    points: np.ndarray
    local: np.ndarray | None = None
    order: np.ndarray | None = None


def forms(item: SceneBody, points: Points) -> Iterator[Form]:
    """All forms that are tried, the simplest first."""
    found, camera = points.found, points.camera
    size = np.array([camera.width, camera.height]) - 1.0
    exchange = "exchange them: keypoints2d[..., [0, 1]] = keypoints2d[..., [1, 0]]"
    yield Form("keypoints_swapped_uv", "have v before u", exchange, found[..., ::-1])
    for words, axis in (("left to right", 0), ("top to bottom", 1)):
        sign = np.where(np.arange(2) == axis, -1.0, 1.0)
        name, side = ("u", "width") if axis == 0 else ("v", "height")
        mirror = f"take {name} = {side} - 1 - {name}"
        yield Form("keypoints_mirrored", f"are mirrored {words}", mirror, (sign < 0) * size + sign * found)
    for words, order in keypoint_orders(item).items():
        yield Form(
            *("keypoint_order", f"are {words.rstrip(',')}", f"reorder the points: keypoints2d[:, {order.tolist()}]"),
            found[:, order],
            order=order,
        )
    if (local := _other_hand(item)) is not None:
        other = "left" if item.body.side == "right" else "right"
        yield Form("hand_side", f"are of a {other} hand", f'[[body]] side = "{other}"', found, local)
    like = compare_points(points.drawn, found)
    factor = float(np.exp(np.nanmedian(np.where(np.isfinite(like.miss), np.log(like.factor), np.nan))))
    if np.isfinite(factor) and abs(np.log(factor)) > np.log(OTHER_SCALE):
        words = f"are of a picture {factor:.3g} times as large"
        yield Form("keypoints_normalised", words, f"divide u and v by {factor:.4g}", found / factor)


def _other_hand(item: SceneBody) -> np.ndarray | None:
    """Keypoints of the first guess as the other hand has them, in its own frame (frame, keypoint, 3) [m]."""
    body, initial = item.body, item.initial
    if body.side is None or body.kind not in MIRRORS:
        return None
    signs, turns = MIRRORS[body.kind]
    joints = initial.joints * np.tile(turns, initial.joints.shape[1] // 3)
    return KeypointModel(body, initial.shape, initial.scale).local(joints) * np.array(signs)


@check
def keypoint_forms(evidence: Evidence) -> Iterator[Finding]:
    """2D keypoints that agree with the first guess and the labels in another form, and do not as they are."""
    for name, points in evidence.points.items():
        item = evidence.scene.body(name)
        if points.usable.sum() == 0 or item.known:
            continue
        finite = points.found[np.isfinite(points.found)]
        if np.abs(finite).max() <= FRACTION:
            yield _normalised(name, points)
            continue
        yield from _judge(item, points, evidence)


def _normalised(name: str, points: Points) -> Finding:
    largest = float(np.nanmax(np.abs(points.found)))
    return Finding(
        "keypoints_normalised",
        "error",
        name,
        tuple(int(frame) for frame in np.flatnonzero(points.usable)),
        f"no 2D keypoint of {name} is more than {largest:.3g} from the corner: these are parts of the picture, not px",
        f"keypoints2d of {name}: multiply u by {points.camera.width} and v by {points.camera.height}",
        {"largest": largest},
        functools.partial(_with_points, name=name, change=_to_pixels),
    )


def _to_pixels(values: np.ndarray, scene: Scene) -> np.ndarray:
    values[..., :2] *= [scene.camera.width, scene.camera.height]
    return values


def _judge(item: SceneBody, points: Points, evidence: Evidence) -> Iterator[Finding]:
    given, name = Form("", "", "", points.found), item.name
    before = [_agreement([given], item, points)]
    if not may_be_bettered(before):
        return
    tried = list(forms(item, points))
    inside = [_on_labels(form.points, item, evidence) for form in (given, *tried)]
    # A form that takes points off the labels is none.
    denied = np.array([np.nanmean(each - inside[0]) < -LOST for each in inside[1:]])
    choice = clearly_better(before, [_agreement(tried, item, points)], denied)
    if choice is None:
        return
    form = tried[choice.number]
    rivals = sorted({tried[number].code for number in choice.as_good} - {form.code})
    on_labels = (
        {"points_on_labels": float(np.nanmean(inside[1 + choice.number]))} if evidence.labels is not None else {}
    )
    yield Finding(
        code=form.code,
        level="warning" if rivals else "error",
        body=name,
        frames=tuple(int(frame) for frame in choice.rows),
        message=(
            f"2D keypoints of {name} {form.words}: so read they agree with its first guess by "
            f"{choice.cured:.2f} of 1, as they are by {choice.stated:.2f}, better in {frame_list(choice.rows)}"
            + (f"; {' and '.join(rivals)} would do as well" if rivals else "")
        ),
        cure=form.cure if form.code == "hand_side" else f"keypoints2d of {name}: {form.cure}",
        evidence={**choice.numbers, **on_labels},
        mend=None if form.local is not None else functools.partial(_with_form, name=name, number=choice.number),
    )


def _agreement(tried: list[Form], item: SceneBody, points: Points) -> np.ndarray:
    """How well forms agree with the first guess (form, frame), in [0, 1]; NaN where nothing was found."""
    initial, rows = item.initial, []
    for form in tried:
        drawn = points.drawn if form.local is None else points.project(initial.position, initial.rotation, form.local)
        like = compare_points(drawn, form.points)
        near = nearness(np.linalg.norm(like.shift, axis=1) / like.size, np.log(like.factor))
        rows.append(likeness(like.miss) * near)
    return np.where(points.usable, np.array(rows), np.nan)


def _on_labels(places: np.ndarray, item: SceneBody, evidence: Evidence) -> np.ndarray:
    """Share of points that lie on labels of bodies or on don't-care (frame,), NaN where the label is not seen."""
    share = np.full(len(places), np.nan)
    if evidence.labels is None:
        return share
    view, step = evidence.views[item.name], evidence.step
    on_something = spread_out(evidence.labels != 0)
    for row, frame in enumerate(evidence.frames):
        known = places[frame][np.isfinite(places[frame]).all(axis=1)]
        if not view.usable[row] or len(known) < FEWEST_POINTS:
            continue
        covered = on_something[row]
        at = np.floor(known / step).astype(int)
        inner = (at >= 0).all(axis=1) & (at[:, 0] < covered.shape[1]) & (at[:, 1] < covered.shape[0])
        share[frame] = covered[at[inner, 1], at[inner, 0]].sum() / len(known)
    return share


@check
def missing_markers(evidence: Evidence) -> Iterator[Finding]:
    """Points where nothing was found that are marked by a place, not by their confidence."""
    for name, points in evidence.points.items():
        known = np.isfinite(points.found).all(axis=2)
        marked = known & (marked_missing(points.found) | at_one_place(points.found, SAME_PLACE_PX)[:, None])
        if not marked.any():
            continue
        frames = np.flatnonzero(marked.any(axis=1))
        place = points.found[marked][0]
        yield Finding(
            "keypoints_missing_marker",
            "error",
            name,
            tuple(int(frame) for frame in frames),
            (
                f"{marked.sum()} 2D keypoints of {name} lie at ({place[0]:g}, {place[1]:g}) or all at one place, with "
                f"confidence, in {frame_list(frames)}: nothing was found there"
            ),
            f"keypoints2d of {name}: give these points confidence 0, or NaN",
            {"points": int(marked.sum()), "place_px": place.tolist()},
            functools.partial(_with_points, name=name, change=_unmarked),
        )


def _unmarked(values: np.ndarray, scene: Scene) -> np.ndarray:
    marked = marked_missing(values[..., :2]) | at_one_place(values[..., :2], SAME_PLACE_PX)[:, None]
    values[marked, 2] = 0.0
    return values


def _with_points(scene: Scene, *, name: str, change) -> Scene:
    """The scene with the 2D keypoints of a body changed."""
    values = change(np.array(scene.keypoints2d[name], dtype=np.float64), scene)
    return replace(scene, keypoints2d={**scene.keypoints2d, name: values})


def _with_form(scene: Scene, *, name: str, number: int) -> Scene:
    item = scene.body(name)
    form = list(forms(item, Points(item, scene)))[number]
    values = np.array(scene.keypoints2d[name], dtype=np.float64)
    values = values if form.order is None else values[:, form.order]
    values[..., :2] = form.points
    return replace(scene, keypoints2d={**scene.keypoints2d, name: values})
