"""Size and place of bodies in the picture against where they are said to be, and what explains the difference.

Each witness of where a body is, its first guess, 3D keypoints, a measured middle, depth images, what it touches, says
where in the picture it must be and how large.  Labels and 2D keypoints say where it is and how large.  A camera of
another resolution, a mesh of another size and the rest each leave a mark of their own in these differences: the cost of
each explanation, robust squares in sigmas, is compared with that of the others and of none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from warpprior.checks.evidence import Evidence, View, compare_points, project, spread_out
from warpprior.scene import depth_image, trust_of

REACH = 5.0  # [sigma]: larger differences cost little more
MOST_COUNTED = 4.0  # frames of one witness, for their errors go together
FACTORS = np.exp(np.linspace(np.log(1e-4), np.log(1e4), 1843))  # that are tried, 1 % apart
FIRST, POINTS, CENTRES, DEPTH, BESIDE = (
    "first guess",
    "3D keypoints",
    "measured middle",
    "depth images",
    "what it touches",
)
LATERAL_M, LATERAL_SIZES = 0.015, 0.12  # one sigma of a first guess across the view: at least, and of the label's size
ROUGH, BENDING, GIVEN = 0.35, 0.12, 0.05  # one sigma of the log of depth: of a first guess, of a hand's, of known poses
TOUCHING, MEASURED = 0.15, 0.08
UNLIKE = 0.5  # sigma of the log of a size, of what does not overlap its label at all
SHAPE_SHARE = 0.45  # overlap of a drawing laid on its label, from which its size tells something
TOUCHING_SHARE = 0.6
OWN_SIGMAS = {CENTRES: MEASURED, DEPTH: MEASURED, BESIDE: TOUCHING}  # of a size, what is seen of the body left aside
NEAREST = 1e-6  # [m]: bodies in a wrong unit may be very near, and say which
FEWEST_SIZES = 3  # frames in which a witness knows a size
CONTRADICTS = 2.0  # sigmas by which a witness is apart from the others
LEAST_EXPLAINED, MOST_LEFT = 15.0, 0.75  # of the cost of no explanation, for one to be worth a word
RIVALS_WITHIN = 8.0  # of the cost: what explains nearly as much is not told apart


@dataclass(frozen=True)
class Witness:
    """What one source says of one body, beside what is seen of it.

    Attributes:
        body: its name.
        source: what says where it is.
        frames: in which (frame,).
        stated: where it should be seen (frame, 2) [px], NaN where the source does not say.
        seen: where it is seen (frame, 2) [px].
        size: log of how many times larger it is seen than stated (frame,); NaN where that is not known.
        sigma_px, sigma_size: of these (frame,), and of the log.
        by_mesh: its size in the picture is that of the drawn mesh, not of keypoints.
    """

    body: str
    source: str
    frames: np.ndarray
    stated: np.ndarray
    seen: np.ndarray
    size: np.ndarray
    sigma_px: np.ndarray
    sigma_size: float | np.ndarray
    by_mesh: bool


@dataclass(frozen=True)
class Explanation:
    """What would explain all differences.

    Attributes:
        kind: ``nothing``, ``resolution`` (all of the camera scaled), ``focal``, ``middle`` (the principal point),
            ``mesh`` (its size), ``guess`` (depth of the first guess), ``crop`` (the same, along lines through the
            principal point), ``shift`` (of the first guess), ``unit`` (of depth images).
        body: whose; None for the whole scene.
        factor: by which; 1 where it is a shift.
        offset: (2,) [px].
        cost: robust squares in sigmas, with what the explanation itself costs.
    """

    kind: str
    body: str | None
    factor: float
    offset: np.ndarray
    cost: float


PRICES = {"nothing": 0.0, "resolution": 4.0, "focal": 4.0, "middle": 6.0, "mesh": 4.0, "unit": 4.0}
PRICES |= {"guess": 3.0, "crop": 4.0, "shift": 6.0}


def witnesses(evidence: Evidence) -> Iterator[Witness]:
    """All that is said and seen of where bodies are."""
    from warpprior.checks.keypoints import keypoint_forms
    from warpprior.checks.labels import labels_swapped
    from warpprior.checks.missing_poses import missing_poses
    from warpprior.checks.poses import pose_conventions

    misread = {finding.body for finding in evidence.once(pose_conventions)}
    nowhere = evidence.scene.frame_count
    misread |= {finding.body for finding in evidence.once(missing_poses) if len(finding.frames) == nowhere}
    if evidence.once(labels_swapped):
        return
    unread = {finding.body for finding in evidence.once(keypoint_forms) if finding.level != "note"}
    for name, view in evidence.views.items():
        rough = GIVEN if view.item.known else BENDING if view.item.body.coordinate_count else ROUGH
        if name not in misread:
            yield from _first_guess(evidence, view, rough, points=name not in unread)
        yield from _measured(evidence, view, points=name not in unread)
    yield from _touched(evidence, misread)


def _seen(evidence: Evidence, view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the body is seen (frame, 2) [px], at which depth (frame,) [m], and in which frames that is known."""
    placed = view.fitted.middle[0]
    if view.item.known:  # where it is drawn is where it is, unless another place is better
        given = view.middles(view.poses.position[None], view.poses.rotation[None])[0]
        placed = np.where((view.first_share >= view.fitted.share[0])[:, None], given, placed)
    good = view.usable & (view.fitted.share[0] >= SHAPE_SHARE)
    return project(evidence.scene.camera, placed, NEAREST), placed[:, 2], good


def _with_shape(view: View, sigma: float) -> np.ndarray:
    """One sigma of the log of a size (frame,): what does not look like its label has not the area of its size."""
    return np.hypot(sigma, UNLIKE * (1.0 - view.fitted.share[0]))


def _first_guess(evidence: Evidence, view: View, rough: float, *, points: bool) -> Iterator[Witness]:
    name, focal, frames = view.item.name, evidence.scene.camera.fx, evidence.frames
    if points and name in evidence.points:
        found = evidence.points[name]
        like = compare_points(found.drawn, found.found)
        picked = frames[found.usable[frames] & np.isfinite(like.miss[frames]) & (like.miss[frames] < 0.3)]
        middle = np.nanmean(found.drawn, axis=1)
        if len(picked):
            sigma = np.maximum(LATERAL_SIZES * like.size, 6.0)[picked]
            seen, size = middle[picked] + like.shift[picked], np.log(like.factor[picked])
            yield Witness(name, FIRST, picked, middle[picked], seen, size, sigma, rough, False)
    if not view.usable.any():
        return
    given = view.middles(view.poses.position[None], view.poses.rotation[None])[0]
    seen, depth, good = _seen(evidence, view)
    good &= given[:, 2] > NEAREST
    if good.any():
        size = np.log(given[:, 2] / depth)
        stated = project(evidence.scene.camera, given, NEAREST)
        sigma = np.maximum(LATERAL_SIZES * view.size * evidence.step, LATERAL_M * focal / given[:, 2])
        sigma = np.maximum(GIVEN * view.size * evidence.step, 2.0) if view.item.known else sigma
        yield Witness(
            name,
            FIRST,
            frames[good],
            stated[good],
            seen[good],
            size[good],
            sigma[good],
            _with_shape(view, rough)[good],
            True,
        )


def _measured(evidence: Evidence, view: View, *, points: bool) -> Iterator[Witness]:
    scene, name, frames = evidence.scene, view.item.name, evidence.frames
    if name in scene.keypoints3d and name in evidence.points and points:
        values, found = np.asarray(scene.keypoints3d[name], dtype=float)[frames], evidence.points[name].found[frames]
        places = np.where((trust_of(values) > 0.0)[..., None], values[..., :3], np.nan)
        drawn = project(evidence.scene.camera, places, NEAREST)
        like = compare_points(drawn, found)
        good = np.isfinite(like.miss) & (like.miss < 0.3)
        middle = np.nanmean(np.where(np.isfinite(found), drawn, np.nan), axis=1)
        if good.any():
            sigma = np.full(good.sum(), 6.0)
            seen = middle + like.shift
            yield Witness(
                name, POINTS, frames[good], middle[good], seen[good], np.log(like.factor)[good], sigma, 0.04, False
            )
    if not view.usable.any():
        return
    seen, depth, good = _seen(evidence, view)
    if name in scene.centers:
        places = np.asarray(scene.centers[name], dtype=float)[frames]
        with_center = good & np.isfinite(places).all(axis=1) & (places[:, 2] > 0.0)
        if with_center.any():
            sigma = np.maximum(
                scene.sigma("centers") * scene.camera.fx / places[:, 2], 0.08 * view.size * evidence.step
            )
            size = np.log(places[:, 2] / depth)
            stated, at = project(evidence.scene.camera, places, NEAREST), with_center
            yield Witness(
                name,
                CENTRES,
                frames[at],
                stated[at],
                seen[at],
                size[at],
                sigma[at],
                _with_shape(view, MEASURED)[at],
                True,
            )
    if scene.read_depth is not None and not view.item.known:
        size = np.full(len(frames), np.nan)
        for row in np.flatnonzero(good):
            image = depth_image(scene, int(frames[row]))
            if image is None or scene.labels is None:
                continue
            own = image[(scene.labels[frames[row]] == view.item.label) & (image > 0.0)]
            if len(own) >= 20:
                size[row] = np.log(np.median(own) / (depth[row] - 0.3 * np.ptp(view.item.body.vertices, axis=0).min()))
        if np.isfinite(size).any():
            yield _of_size(view, DEPTH, frames, size, MEASURED)


def _of_size(view: View, source: str, frames: np.ndarray, size: np.ndarray, sigma: float) -> Witness:
    """A witness that says how large a body is where ``size`` (frame,) is known, and not where."""
    known = np.isfinite(size)
    nothing, one = np.full((known.sum(), 2), np.nan), np.ones(known.sum())
    sigmas = _with_shape(view, sigma)[known]
    return Witness(view.item.name, source, frames[known], nothing, nothing, size[known], one, sigmas, True)


def _touched(evidence: Evidence, misread: set[str | None]) -> Iterator[Witness]:
    """A rigid body is as far away as the hand that it touches."""
    if evidence.labels is None:
        return
    hands = [view for view in evidence.views.values() if view.item.body.coordinate_count or view.item.known]
    for view in evidence.views.values():
        if view.item.known or not view.item.body.is_rigid:
            continue
        _, depth, good = _seen(evidence, view)
        around = spread_out(evidence.labels == view.item.label)
        sizes = []
        for hand in hands:
            if hand.item.name in misread:
                continue
            if hand.item.known:
                there = hand.middles(hand.poses.position[None], hand.poses.rotation[None])[0, :, 2]
                known = hand.usable & (hand.first_share > TOUCHING_SHARE)
            else:
                there = hand.first.middle[0, :, 2]
                known = hand.usable & (hand.first.share[0] > TOUCHING_SHARE)
            near = (around & (evidence.labels == hand.item.label)).any(axis=(1, 2))
            sizes.append(np.where(good & known & near, np.log(there / depth), np.nan))
        if not sizes:
            continue
        rows = np.array(sizes)
        # Of two hands, the one that agrees more: the other may only pass by.
        best = np.nanargmin(np.where(np.isfinite(rows), np.abs(rows), np.inf), axis=0)
        size = rows[best, np.arange(rows.shape[1])]
        if np.isfinite(size).sum() >= 3:
            yield _of_size(view, BESIDE, evidence.frames, size, TOUCHING)


def explanations(evidence: Evidence) -> Iterator[Explanation]:
    """What may explain the differences, the most likely first."""
    heard = evidence.once(witnesses)
    if not heard:
        return
    camera = evidence.scene.camera
    center = np.array([camera.cx, camera.cy])
    found = [_with_factor("nothing", None, heard, center, np.ones(1))]
    found += [_with_factor(kind, None, heard, center, FACTORS) for kind in ("resolution", "focal")]
    found.append(_with_offset("middle", None, heard))
    if any(each.source == DEPTH for each in heard):
        found.append(_with_factor("unit", None, heard, center, FACTORS))
    for name in dict.fromkeys(each.body for each in heard):
        item = evidence.scene.body(name)
        if item.known:
            continue
        if any(each.body == name and each.by_mesh for each in heard):
            found.append(_with_factor("mesh", name, heard, center, FACTORS))
        if any(each.body == name and each.source == FIRST for each in heard):
            found += [_with_factor(kind, name, heard, center, FACTORS) for kind in ("guess", "crop")]
            found.append(_with_offset("shift", name, heard))
    yield from sorted(found, key=lambda each: each.cost)


def _with_factor(
    kind: str, name: str | None, heard: tuple[Witness, ...], center: np.ndarray, factors: np.ndarray
) -> Explanation:
    """The best factor of an explanation."""
    total = np.zeros(len(factors))
    for each in heard:
        ours = name in (None, each.body)
        first = each.source == FIRST
        places = np.broadcast_to(each.stated, (len(factors), *each.stated.shape))
        size = np.zeros(len(factors))
        logs = np.log(factors)
        if kind in ("resolution", "focal"):
            about = center if kind == "focal" else np.zeros(2)
            places = about + factors[:, None, None] * (each.stated - about)
            size = logs if each.source != BESIDE else size  # both are as much nearer
        elif kind == "mesh" and ours and each.by_mesh:
            size = -logs
        elif kind == "unit" and each.source == DEPTH:
            size = logs
        elif kind in ("guess", "crop") and ours and first:
            size = logs
            if kind == "crop":
                places = center + factors[:, None, None] * (each.stated - center)
        total += _cost(each, places, size)
    best = int(np.argmin(total))
    return Explanation(kind, name, float(factors[best]), np.zeros(2), float(total[best]) + PRICES[kind])


def _with_offset(kind: str, name: str | None, heard: tuple[Witness, ...]) -> Explanation:
    moved = [each for each in heard if name is None or (each.body == name and each.source == FIRST)]
    apart = np.concatenate([each.seen - each.stated for each in moved])
    weight = np.concatenate([1.0 / each.sigma_px for each in moved])
    offset = np.array([_weighted_median(column, weight) for column in apart.T])
    total = 0.0
    for each in heard:
        places = each.stated + (offset if any(each is other for other in moved) else 0.0)
        total += float(_cost(each, places[None], np.zeros(1))[0])
    return Explanation(kind, name, 1.0, offset, total + PRICES[kind])


def _cost(each: Witness, places: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Robust squares (factor,) of what is left of a witness's differences; frames count as MOST_COUNTED at most."""
    square = np.sum((each.seen - places) ** 2, axis=2) / each.sigma_px**2
    square = np.nan_to_num(square) + np.nan_to_num((each.size - size[:, None]) / each.sigma_size) ** 2
    count = square.shape[1]
    return np.mean(square / (1.0 + square / REACH**2), axis=1) * min(count, MOST_COUNTED)


def _weighted_median(values: np.ndarray, weight: np.ndarray) -> float:
    known = np.isfinite(values)
    if not known.any():
        return 0.0
    order = np.argsort(values[known])
    total = np.cumsum(weight[known][order])
    return float(values[known][order][np.searchsorted(total, 0.5 * total[-1])])


@dataclass(frozen=True)
class Decision:
    """The explanation that the scene's evidence decides for.

    Attributes:
        best: the explanation.
        nothing: cost of none.
        rivals: others that explain nearly as much.
        sure: there are none.
    """

    best: Explanation
    nothing: float
    rivals: tuple[Explanation, ...]

    @property
    def sure(self) -> bool:
        return not self.rivals

    @property
    def numbers(self) -> dict[str, float]:
        """The costs, for a finding's evidence."""
        return {"cost_as_given": self.nothing, "cost_cured": self.best.cost}


def decision(evidence: Evidence) -> Decision | None:
    """What explains the differences clearly better than nothing does; None where nothing needs to be explained."""
    found = evidence.once(explanations)
    if not found:
        return None
    nothing = next(each.cost for each in found if each.kind == "nothing")
    best = found[0]
    if best.kind == "nothing" or nothing - best.cost < LEAST_EXPLAINED or best.cost > MOST_LEFT * nothing:
        return None
    rivals = tuple(each for each in found[1:] if each.cost - best.cost < RIVALS_WITHIN and each.kind != "nothing")
    return Decision(best, nothing, rivals)


@dataclass(frozen=True)
class Size:
    """How many times larger a body is seen than witnesses other than its first guess say, by its log and sigma."""

    log: float
    sigma: float
    sources: tuple[str, ...]


def measured_size(evidence: Evidence, name: str) -> Size | None:
    """Size of a body by all that is measured, and by what it touches; None without, or where they contradict.

    Of each witness the middle frame counts, with the sigma of a single one: what errs there errs alike in all frames.
    What is seen of the body is the same for all of them, and so is how that errs.
    """
    rows = []
    for each in evidence.once(witnesses):
        known = np.isfinite(each.size)
        if each.body != name or not each.by_mesh or each.source == FIRST or known.sum() < FEWEST_SIZES:
            continue
        rows.append((float(np.median(each.size[known])), OWN_SIGMAS[each.source], each.source))
    view = evidence.views[name]
    if not rows or not view.usable.any():
        return None
    common = float(np.median(UNLIKE * (1.0 - view.fitted.share[0][view.usable])))
    logs, sigmas = (np.array(column) for column in list(zip(*rows, strict=True))[:2])
    weight = sigmas**-2
    mean, sigma = float(weight @ logs / weight.sum()), float(weight.sum() ** -0.5)
    if np.any(np.abs(logs - mean) > CONTRADICTS * np.hypot(sigmas, sigma)):
        return None
    return Size(mean, float(np.hypot(sigma, common)), tuple(source for *_, source in rows))


def frames_of(evidence: Evidence, body: str | None) -> tuple[int, ...]:
    """Frames in which some witness of a body, or of any, was heard."""
    frames = [each.frames for each in evidence.once(witnesses) if body in (None, each.body)]
    return tuple(int(frame) for frame in np.unique(np.concatenate(frames)))


def who_says(evidence: Evidence, body: str | None) -> str:
    """The witnesses of a body, or of any, in words."""
    sources = dict.fromkeys(each.source for each in evidence.once(witnesses) if body in (None, each.body))
    return ", ".join(sources)
