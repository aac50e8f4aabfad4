"""What the tracker is supposed to do, and whether it does."""

from __future__ import annotations

from dataclasses import dataclass

from warpprior.ablation.tracking_trials import BOTH, HIDDEN, OURS, OUTLIERS, SMOOTHED, Case

ERRORS = {"translation_mm": "position error", "add_mm": "ADD"}
CHAMFER_MM = 20.0
INSIDE, WITHIN = 0.9, 0.99
WITHIN_FIGURES = ("within/size", "within/position", "within/rotation")
MOST_RHO = 0.1
MOST_RATIO = 1.5


@dataclass(frozen=True)
class Claim:
    """One claim: what was wanted, what was found, and whether that is enough."""

    text: str
    wanted: str
    found: str
    holds: bool


def judge_claims(rows: dict[str, dict], control: str) -> list[Claim]:
    """Claims about one scene; those whose figures are missing do not hold.

    Args:
        rows: figures by case, of :func:`warpprior.ablation.tracking_figures.summarise_tracking`.
        control: which of :data:`warpprior.ablation.tracking_trials.CONTROLS`.
    """
    plain = rows[Case(OURS, BOTH, control).name]
    claims = [_accuracy(plain), _divergence(plain), _sureness(plain), *_sensors(plain)]
    smoothed = rows[Case(OURS, BOTH, control, SMOOTHED).name]
    claims += [_smoothing(smoothed, way, name) for name in ERRORS for way in ("rms", "median")]
    hidden = rows[Case(OURS, BOTH, control, HIDDEN).name]
    claims += [_hidden(hidden), _recovery(hidden)]
    gated = next(trial for trial, robust in OUTLIERS.items() if robust == "gate")
    claims += [_outliers(rows[Case(OURS, BOTH, control, gated).name], name) for name in ERRORS]
    return [*claims, _contact(rows[Case(OURS, "hand", control).name])]


def _accuracy(row: dict) -> Claim:
    worst = row.get("worst_chamfer_mm", {}).get("worst", float("inf"))
    median = row.get("chamfer_mm", {}).get("median", float("inf"))
    text = f"{BOTH}: 3D error of any settled frame of any seed"
    return Claim(text, f"<= {CHAMFER_MM:.0f} mm", f"{worst:.1f} mm (median {median:.1f})", worst <= CHAMFER_MM)


def _divergence(row: dict) -> Claim:
    found = row["diverged"]
    text = f"{found['failed']} of {found['sequences']}"
    return Claim(f"{BOTH}: seeds that diverge", "none", text, found["failed"] == 0)


def _sureness(row: dict) -> Claim:
    found = row.get("nees", {"inside": 0.0, "above": 0.0, "mean": float("nan")})
    text = f"{_percent(found['inside'])}, {_percent(found['above'])} above; mean {found['mean']:.2f}"
    return Claim(f"{BOTH}: frames whose mean NEES is in its 95 % band", ">= 90 %", text, found["inside"] >= INSIDE)


def _sensors(row: dict) -> list[Claim]:
    claims = []
    for name in ("fingertips", "center"):
        found = row.get(f"nis/{name}", {})
        rho, inside = found.get("rho", float("nan")), found.get("inside", 0.0)
        claims.append(Claim(f"NIS of {name} in its 95 % band", ">= 90 %", _percent(inside), inside >= INSIDE))
        text = f"correlation of neighbouring innovations of {name}"
        claims.append(Claim(text, f"< {MOST_RHO}", f"{rho:+.2f}", abs(rho) < MOST_RHO))
    return claims


def _smoothing(row: dict, way: str, name: str) -> Claim:
    found = row.get(f"worse/{way}/{name}", {"failed": 0, "sequences": 0, "worst": float("nan")})
    text = f"{found['failed']} of {found['sequences']}, at most x {found['worst']:.2f}"
    good = found["failed"] == 0 and found["sequences"] > 0
    return Claim(f"seeds whose {way} {ERRORS[name]} smoothing makes larger", "none", text, good)


def _hidden(row: dict) -> Claim:
    size, position, rotation, held = (
        _percent(row.get(name, {}).get("share", 0.0)) for name in (*WITHIN_FIGURES, "held")
    )
    text = f"{size}; each axis {position}, {rotation} turned; held in {held}"
    good = row.get(WITHIN_FIGURES[0], {}).get("share", 0.0) >= WITHIN
    return Claim("hidden while held: frames within 3 sigmas", ">= 99 %", text, good)


def _recovery(row: dict) -> Claim:
    after = row.get("after/translation_mm", {"median": float("inf"), "unhidden": 1.0})
    text = f"{after['median']:.1f} mm, else {after['unhidden']:.1f} mm"
    good = after["median"] <= MOST_RATIO * after["unhidden"]
    return Claim("10 frames after it is seen again, position error", f"<= x {MOST_RATIO} never hidden", text, good)


def _outliers(row: dict, name: str) -> Claim:
    ratio = row.get(name, {}).get("to_ours", {"median": float("inf"), "high": float("inf")})
    text = f"x {ratio['median']:.2f} (to {ratio['high']:.2f})"
    return Claim(
        f"5 % outliers of 6 cm: {ERRORS[name]}", f"<= x {MOST_RATIO} clean", text, ratio["median"] <= MOST_RATIO
    )


def _contact(row: dict) -> Claim:
    kept = row.get("contact_kept", {"mean": 0.0, "worst": 0.0})
    text = f"{_percent(kept['mean'])}, least {_percent(kept['worst'])}"
    return Claim("hand only: frames in contact since it began", "all, in every seed", text, kept["worst"] == 1.0)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %".replace(".0 %", " %")
