"""From tracked cases to the figures of the tables: each seed counts once, and sureness is averaged over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from warpprior.ablation.run_figures import TOUCH_MM, Samples
from warpprior.ablation.statistics import median_interval, wilson
from warpprior.ablation.tracking_runs import ERRORS, NEES
from warpprior.ablation.tracking_trials import (
    AFTER_FRAMES,
    HIDDEN,
    OURS,
    SMOOTHED,
    Case,
    all_cases,
    hidden_frames,
)
from warpprior.metrics.calibration import describe_squares, mean_band

SETTLED = 10  # frames in which the first pose is found; what is worst counts from then on
DIVERGED_MM = 100.0  # of ADD
COMPARED = ("translation_mm", "rotation_deg", "chamfer_mm", "add_mm")
SIGMAS = 3.0

Pairs = list[tuple[dict, dict]]  # a scene's record, and its run of one case


def summarise_tracking(records: Sequence[dict]) -> dict[str, dict[str, dict]]:
    """Figures by scene and case.

    Args:
        records: of :func:`warpprior.ablation.tracking_runs.track_cases`.

    Returns:
        ``{scene: {case: {figure: {statistic: number}}}}``; ``docs/evaluation.md`` says what they are.
    """
    found: dict[str, dict[str, dict]] = {}
    for scene in dict.fromkeys(record["scene"] for record in records):
        own = [record for record in records if record["scene"] == scene]
        found[scene] = {case.name: case_figures(own, case) for case in all_cases()}
    return found


def case_figures(records: Sequence[dict], case: Case) -> dict[str, dict]:
    """Figures of one case over the seeds of one scene."""
    every = [(record, record["runs"][case.name]) for record in records]
    pairs = [(record, run) for record, run in every if "error" not in run]
    samples = Samples()
    for record, run in pairs:
        sample = str(record["seed"]), ""
        for name in ERRORS:
            if name not in NEES:
                samples.add_frames(name, sample, run.get(name))
        samples.add("milliseconds", sample, run.get("milliseconds"))
    row = samples.figures()
    row["diverged"] = _diverged(every)
    if pairs:
        late = [_known(run["chamfer_mm"][_settled(record) :]).max(initial=0.0) for record, run in pairs]
        row["worst_chamfer_mm"] = {"median": float(np.median(late)), "worst": float(max(late)), "sequences": len(late)}
        for name in NEES:
            if all(name in run for _, run in pairs):
                row[name] = mean_nees([run for _, run in pairs], name)
    row |= _sensor_figures([run for _, run in pairs]) | _contact_figures(pairs)
    base = Case(OURS, case.observed, case.control)
    if base != case:
        _add_ratios(row, [(record["runs"][base.name], run) for record, run in pairs])
    if case.trial == SMOOTHED and pairs:
        row |= _smoothing_figures(pairs, base)
    if case.trial == HIDDEN and pairs:
        row |= _hidden_figures(pairs, base)
    return row


def _settled(record: dict) -> int:
    return min(SETTLED, record["frames"] // 2)


def _known(values: Sequence[float | None]) -> np.ndarray:
    return np.array([value for value in values if value is not None], dtype=float)


def _diverged(every: Pairs) -> dict:
    """Share of seeds in which the filter failed, or ADD exceeded the limit once it had settled."""
    failed = 0
    for record, run in every:
        if "error" in run or _known(run["add_mm"][_settled(record) :]).max(initial=0.0) > DIVERGED_MM:
            failed += 1
    low, high = wilson(failed / len(every), len(every))
    return {"share": failed / len(every), "low": low, "high": high, "failed": failed, "sequences": len(every)}


def mean_nees(runs: Sequence[dict], name: str = "nees") -> dict:
    """NEES averaged over seeds at each frame, against the 95 % band of such an average.

    Args:
        runs: of one case.
        name: one of :data:`warpprior.ablation.tracking_runs.NEES`.

    Returns:
        ``mean`` over degrees of freedom, and the shares of frames ``inside`` the band, ``above`` it (too sure) and
        ``below`` it (too careful).
    """
    dof = float(np.mean([run["dof"][name] for run in runs]))
    places, total = [], []
    for frame in range(len(runs[0][name])):
        values = _known([run[name][frame] for run in runs])
        if len(values):
            low, high = mean_band(dof, len(values))
            places.append(int(values.mean() > high) - int(values.mean() < low))
            total.append(values.mean() / dof)
    places = np.array(places)
    shares = {name: float(np.mean(places == place)) for name, place in (("inside", 0), ("above", 1), ("below", -1))}
    return {"mean": float(np.mean(total)), **shares, "sequences": len(runs)}


def _sensor_figures(runs: Sequence[dict]) -> dict[str, dict]:
    """NIS of each sensor over all seeds and frames; ``rho``, how alike innovations of neighbouring frames are."""
    found = {}
    for sensor in dict.fromkeys(name for run in runs for name in run.get("sensors", {})):
        seen = [run["sensors"][sensor] for run in runs if sensor in run.get("sensors", {})]
        squares = np.array([np.nan if value is None else value for one in seen for value in one["nis"]])
        dof = np.array([value for one in seen for value in one["dof"]])
        square = sum(one["square"] for one in seen)
        rejected, taken = sum(sum(one["rejected"]) for one in seen), dof.sum() / 3.0  # all of them are points
        found[f"nis/{sensor}"] = describe_squares(squares, dof) | {
            "rho": sum(one["product"] for one in seen) / square if square else float("nan"),
            "rejected": float(rejected / max(rejected + taken, 1.0)),
        }
    return found


def _contact_figures(pairs: Pairs) -> dict[str, dict]:
    """Since contact began, the share of frames with one; and where the true hand touches, how near the estimate is."""
    kept, touching, depths = [], [], []
    for record, run in pairs:
        counts = np.array(run.get("contacts", ()))
        first = np.flatnonzero([bool(count) for count in counts])
        if len(first):
            kept.append(float(np.mean([count > 0 for count in counts[first[0] :] if count is not None])))
        elif len(counts):
            kept.append(0.0)
        true = np.array(record["truth_distance_mm"]) < TOUCH_MM
        near = _known([value for value, there in zip(run["distance_mm"], true, strict=True) if there])
        if len(near):
            touching.append(float(np.mean(near < TOUCH_MM)))
            depths.append(float(np.median(np.maximum(-near, 0.0))))
    found = {}
    for name, values in (("contact_kept", kept), ("touching", touching)):
        if values:
            found[name] = {"mean": float(np.mean(values)), "worst": min(values), "sequences": len(values)}
    if depths:
        found["depth_mm"] = {"median": float(np.median(depths)), "worst": max(depths), "sequences": len(depths)}
    return found


def _add_ratios(row: dict, runs: Sequence[tuple[dict, dict]]) -> None:
    """Add to figures their ratio to those of our plain filter, seed by seed, over the frames that both have."""
    for name in COMPARED:
        ratios = []
        for base, run in runs:
            if "error" in base or name not in run:
                continue
            both = [(a, b) for a, b in zip(base[name], run[name], strict=True) if a is not None and b is not None]
            first, second = np.median(np.array(both, dtype=float).reshape(-1, 2), axis=0)
            if first > 0.0:
                ratios.append(second / first)
        if ratios:
            low, high = median_interval(ratios)
            row[name]["to_ours"] = {"median": float(np.median(ratios)), "low": low, "high": high}


def _smoothing_figures(pairs: Pairs, base: Case) -> dict[str, dict]:
    """In how many seeds smoothing made the median or the root mean square error larger, and how many times at most."""
    found = {}
    for name in COMPARED:
        both = [
            (_known(run[name]), _known(record["runs"][base.name][name]))
            for record, run in pairs
            if "error" not in record["runs"][base.name] and name in run
        ]
        for way, measure in (("median", np.median), ("rms", lambda values: np.sqrt(np.mean(values**2)))):
            ratios = [float(measure(after) / measure(before)) for after, before in both]
            if ratios:
                worse = sum(ratio > 1.0 for ratio in ratios)
                found[f"worse/{way}/{name}"] = {"failed": worse, "worst": max(ratios), "sequences": len(ratios)}
    return found


def _hidden_figures(pairs: Pairs, base: Case) -> dict[str, dict]:
    """Errors of an object that is hidden for a while, beside those of the run in which it never was."""
    within, errors, others, sizes, held = {"position": [], "rotation": []}, {}, {}, [], []
    for record, run in pairs:
        gap = hidden_frames(record["frames"])
        for name, kept in within.items():
            if f"{name}_sigmas" in run:
                kept += [(run[f"{name}_sigmas"][frame] or 0.0) <= SIGMAS for frame in gap]  # None: it knows nothing
        sizes += [run["translation_mm"][k] <= SIGMAS * run["stated_position_mm"][k] for k in gap]
        held += [run["held"][frame] for frame in gap]
        plain = record["runs"][base.name]
        after = min(gap.stop - 1 + AFTER_FRAMES, record["frames"] - 1)
        for moment, frame in (("before", gap.start - 1), ("end", gap.stop - 1), ("after", after)):
            for name in ("translation_mm", "add_mm"):
                key = f"{moment}/{name}"
                if "error" not in plain:
                    errors.setdefault(key, []).append(run[name][frame])
                    others.setdefault(key, []).append(plain[name][frame])
    found = {f"within/{name}": _share(kept) for name, kept in within.items() if kept}
    found |= {"within/size": _share(sizes), "held": _share(held)}
    for key, values in errors.items():
        median, other = float(np.median(values)), float(np.median(others[key]))
        found[key] = {"median": median, "worst": float(max(values)), "unhidden": other, "sequences": len(values)}
    return found


def _share(flags: Sequence[bool]) -> dict:
    return {"share": float(np.mean(flags)), "frames": len(flags)}
