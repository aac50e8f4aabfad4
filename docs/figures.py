"""Measure the figures of README.md and docs/measured.md anew, and draw their pictures, by the commands beside them.

What was measured is kept in docs/figures.json, with its commands; tests/test_figures.py holds the pages to it.

    python docs/figures.py              everything, some twenty minutes on two cores
    python docs/figures.py demo robot   only these
    python docs/figures.py --write      measures nothing: writes into the pages what is recorded
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "docs" / "figures.json"
OUT = ROOT / "out" / "figures"
PICTURES = {  # and which figure they come with; docs/pictures/architecture.svg has a script and a test of its own
    "docs/pictures/demo.jpg": "demo",
    "docs/pictures/hand.png": "hand",
    "docs/pictures/body.png": "body",
    "docs/pictures/scaling.svg": "scaling",
}
FAULTS = ROOT / "docs" / "pictures" / "faults"  # by docs/faults.py
PICTURES |= {str(path.relative_to(ROOT).as_posix()): "faults" for path in sorted(FAULTS.glob("*.jpg"))}
TRACKED = ("grasp_lift", "in_hand_turn", "pour", "handover")
TRACKED_SEEDS = range(5)

# What each figure takes, in the order they are measured; OUT stands for a folder.
COMMANDS: dict[str, list[str]] = {
    "demo": ["warpprior demo --device cpu --output-dir OUT/demo --overwrite"],
    "robot": [
        "warpprior simulate robot_lift --output-dir OUT/robot/scene --overwrite",
        "warpprior refine OUT/robot/scene --output-dir OUT/robot/result --device cpu --overwrite",
    ],
    "lift": ["warpprior ablate --simulate grasp_lift --seeds 0-4 --variant full --output-dir OUT/lift --overwrite"],
    "turn": ["warpprior ablate --simulate in_hand_turn --seeds 0-4 --variant full --output-dir OUT/turn --overwrite"],
    "track": [
        command
        for name in TRACKED
        for seed in TRACKED_SEEDS
        for command in (
            f"warpprior simulate {name} --seed {seed} --output-dir OUT/track/scene --overwrite",
            f"warpprior track OUT/track/scene --output-dir OUT/track/{name}_{seed} --device cpu --overwrite",
        )
    ],
    "body": ["python -m warpprior.scenes.human_body_picture docs/pictures/body.png"],
    "hand": ["python -m warpprior.scenes.human_hand_picture docs/pictures/hand.png"],
    "faults": ["python docs/faults.py"],
    "scaling": [
        "python -m warpprior.bench.scaling --output-dir OUT/scaling --overwrite --picture docs/pictures/scaling.svg"
    ],
}

# Where figures stand: sentences of the pages, with the recorded value and how it is written in each gap.
README = (
    "the mug {demo.start_cm:.0f} cm off, nearly all in depth, the hand's joints {demo.hand_start_mm:.0f} mm.",
    "what comes out, {demo.mm:.1f} and {demo.hand_mm:.1f} mm off (medians).",
    "from {demo.start_cm:.0f} cm off: objects to {all.low_mm:.1f} to {all.high_mm:.1f} mm (median ADD), hands to "
    "{all.hand_low_mm:.1f} to {all.hand_high_mm:.1f} mm, a known robot's object to {robot.mm:.1f} mm, and "
    "{track.mm:.1f} mm tracked frame by frame.",
)
DEMO = (
    "40 frames | ADD {demo.start_mm:.0f} to {demo.mm:.1f} mm, Chamfer {demo.chamfer_start_mm:.0f} to "
    "{demo.chamfer_mm:.1f} mm | {demo.start_deg:.0f} to {demo.deg:.1f} deg | {demo.hand_start_mm:.1f} to "
    "{demo.hand_mm:.1f} mm | {demo.aligned_start_mm:.1f} to {demo.aligned_mm:.1f} mm | {demo.penetration_mm:.1f} mm "
    "({demo.true_penetration_mm:.1f}) |"
)
SEEDS = (
    "median of seeds 0 to 4 | ADD {X.start_mm:.0f} to {X.mm:.1f} mm ({X.low_mm:.1f} to {X.high_mm:.1f}), Chamfer "
    "{X.chamfer_start_mm:.0f} to {X.chamfer_mm:.1f} mm ({X.chamfer_low_mm:.1f} to {X.chamfer_high_mm:.1f}) | "
    "{X.deg:.1f} deg ({X.low_deg:.1f} to {X.high_deg:.1f}) | "
    "{X.hand_start_mm:.1f} to {X.hand_mm:.1f} mm ({X.hand_low_mm:.1f} to {X.hand_high_mm:.1f}) | "
    "{X.aligned_start_mm:.1f} to {X.aligned_mm:.1f} mm ({X.aligned_low_mm:.1f} to {X.aligned_high_mm:.1f}) | "
    "{X.penetration_mm:.1f} mm ({X.true_penetration_mm:.1f}) |"
)
ROBOT = (
    "ADD {robot.start_mm:.0f} mm, {robot.start_deg:.1f} deg | ADD median {robot.mm:.1f} mm, 95 % below "
    "{robot.p95_mm:.1f} mm; {robot.deg:.1f} deg |"
)
TRACK = (
    "object {track.start_low_cm:.0f} to {track.start_high_cm:.0f} cm off, keypoints of hands "
    "{track.hand_start_mm:.1f} mm | ADD median {track.mm:.1f} mm ({track.low_mm:.1f} to {track.high_mm:.1f}), no "
    "frame beyond {track.last_half_mm:.0f} mm in the last half; rotation {track.deg:.1f} deg; keypoints "
    "{track.hand_mm:.1f} mm |"
)
SCALING = (
    "A frame takes {scaling.frames_short_s:.2f} s of one thread in a clip of 10 frames and {scaling.frames_long_s:.2f} "
    "s in one of 160, {scaling.pixels_small_s:.2f} s at 320x240 and {scaling.pixels_large_s:.2f} s at 1920x1080, "
    "{scaling.faces_s:.2f} s with 2,560 faces and {scaling.faces_many_s:.2f} s with 163,840, {scaling.one_s:.2f} s "
    "with one body that is estimated and {scaling.four_s:.2f} s with four. The process takes {scaling.start_mib:.0f} "
    "MiB before it refines; each frame adds {scaling.vga_mib:.1f} MiB at 640x480, and at 1920x1080 12 frames together "
    "{scaling.large_mib:.0f} MiB."
)
SENTENCES: dict[str, tuple[str, ...]] = {
    "README.md": README,
    "docs/measured.md": (
        DEMO,
        f"our bottle, {SEEDS.replace('X', 'lift')}",
        f"our box, {SEEDS.replace('X', 'turn')}",
        "{all.failed:.0f} frames fail (5 cm off), the hand's acceleration error falls by a factor of "
        "{lift.smoother:.0f} and {turn.smoother:.0f}, median ({all.least_smoother:.0f} at least), and what touches "
        "slips {lift.slip_mm:.2f} and {turn.slip_mm:.2f} mm per frame ({lift.true_slip_mm:.2f} and "
        "{turn.true_slip_mm:.2f} in truth).",
        ROBOT,
        TRACK,
        SCALING,
    ),
}
_GAP = re.compile(r"\{(\w+)\.(\w+):([^}]+)\}")


def renewed(text: str, sentence: str, values: dict[str, dict[str, float]]) -> str:
    """A page with the recorded values in the gaps of a sentence.

    Raises:
        ValueError: the page does not have the sentence, or more than once.
    """
    found = [*re.finditer(pattern(sentence), text)]
    if len(found) != 1:
        raise ValueError(f"found {len(found)} times, and should be once: {sentence}")
    for number, gap in reversed([*enumerate(_GAP.finditer(sentence))]):
        group, name, form = gap.groups()
        start, end = found[0].span(number + 1)
        text = text[:start] + format(values[group][name], form) + text[end:]
    return text


def pattern(sentence: str) -> str:
    """A regular expression of the sentence, with any number in a gap, however its lines are broken."""
    pieces = [re.escape(piece).replace(r"\ ", r"\s+") for piece in re.split(_GAP.pattern.replace("(", "(?:"), sentence)]
    return r"(\d+(?:\.\d+)?)".join(pieces)


def recorded() -> dict[str, dict[str, float]]:
    """The values by figure, with what follows from several of them under ``all``."""
    values = {name: figure["values"] for name, figure in json.loads(RECORD.read_text())["figures"].items()}
    hands = [values[name] for name in ("demo", "lift", "turn")]
    ten = [values[name] for name in ("lift", "turn")]
    values["all"] = {
        "low_mm": min(one["mm"] for one in hands),
        "high_mm": max(one["mm"] for one in hands),
        "hand_low_mm": min(one["hand_mm"] for one in hands),
        "hand_high_mm": max(one["hand_mm"] for one in hands),
        "least_smoother": min(one["least_smoother"] for one in ten),
        "failed": sum(one["failed"] for one in ten),
    }
    return values


def write_pages() -> None:
    """Write what is recorded into the pages."""
    values = recorded()
    for page, sentences in SENTENCES.items():
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        for sentence in sentences:
            text = renewed(text, sentence, values)
        path.write_text(text, encoding="utf-8")


def measure(name: str) -> None:
    """Run the commands of a figure, and record what came out."""
    for command in COMMANDS[name]:
        print(command, flush=True)
        words = shlex.split(command.replace("OUT", str(OUT)))
        words[:1] = [sys.executable] if words[0] == "python" else [sys.executable, "-m", "warpprior"]
        subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    if name == "demo":
        _draw_demo()
    record = json.loads(RECORD.read_text()) if RECORD.is_file() else {"figures": {}}
    record["pictures"] = {path: digest(path) for path in PICTURES}
    if name in READERS:
        values = {key: float(f"{value:.5g}") for key, value in READERS[name]().items()}
        record["figures"][name] = {"commands": COMMANDS[name], "machine": _machine(), "values": values}
        record["figures"] = {one: record["figures"][one] for one in COMMANDS if one in record["figures"]}
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


def digest(picture: str) -> str:
    """What shows whether a picture is the one that was drawn."""
    return hashlib.sha256((ROOT / picture).read_bytes()).hexdigest()[:16]


def _machine() -> str:
    from importlib.metadata import version

    return f"{platform.machine()}, Python {platform.python_version()}, Warp {version('warp-lang')}"


def _draw_demo() -> None:
    """A few frames of the demo, as in its report."""
    from warpprior.contacts import find_contacts
    from warpprior.io import load_scene
    from warpprior.io.results import load_result_poses
    from warpprior.report import write_sheet
    from warpprior.result import Result

    folder = OUT / "demo"
    scene = load_scene(folder / "scene")
    poses = load_result_poses(folder / "result", scene)
    contacts = find_contacts(scene, poses, device="cpu")
    result = Result(scene, poses, {}, metrics=_read(folder / "result" / "metrics.json"), contacts=contacts)
    write_sheet(result, ROOT / "docs" / "pictures" / "demo.jpg")


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def _median(metrics: dict, turn: str, body: str, key: str, statistic: str = "median") -> float:
    return metrics[turn]["summary"][body][key][statistic]


def _demo() -> dict[str, float]:
    metrics = _read(OUT / "demo" / "result" / "metrics.json")
    found = _hand_and_object(metrics, "mug")
    return {**found, "start_cm": found["start_mm"] / 10.0}


def _hand_and_object(metrics: dict, thing: str) -> dict[str, float]:
    """The medians of a scene of a hand and what it holds."""
    pair = metrics["after"]["pairs"][f"{thing}+hand"]["summary"]
    found = {"penetration_mm": pair["penetration_mm"]["median"], "slip_mm": pair["slip_mm"]["median"]}
    found |= {f"true_{key}": pair["truth"][key]["median"] for key in ("penetration_mm", "slip_mm")}
    columns = (
        *(("", "mm", thing, "add_mm"), ("chamfer_", "mm", thing, "chamfer_mm"), ("", "deg", thing, "rotation_deg")),
        *(("hand_", "mm", "hand", "keypoint_mm"), ("aligned_", "mm", "hand", "keypoint_pa_mm")),
    )
    for prefix, unit, body, key in columns:
        found[f"{prefix}start_{unit}"] = _median(metrics, "before", body, key)
        found[f"{prefix}{unit}"] = _median(metrics, "after", body, key)
    rough, smooth = (_median(metrics, turn, "hand", "acceleration_error_mm", "mean") for turn in ("before", "after"))
    failed = sum(metrics["after"]["summary"][body]["failures"]["failed"] for body in (thing, "hand"))
    return {**found, "smoother": rough / smooth, "failed": failed}


def _ablated(name: str, thing: str) -> dict[str, float]:
    """Medians over the seeds, and the least and the greatest."""
    runs = [_hand_and_object(_read(path), thing) for path in sorted((OUT / name / "runs" / "full").glob("*.json"))]
    assert len(runs) == 5, "one for each seed"
    found = {key: float(np.median([run[key] for run in runs])) for key in runs[0]}
    for prefix, unit in (("", "mm"), ("", "deg"), ("chamfer_", "mm"), ("hand_", "mm"), ("aligned_", "mm")):
        values = [run[f"{prefix}{unit}"] for run in runs]
        found |= {f"{prefix}low_{unit}": min(values), f"{prefix}high_{unit}": max(values)}
    sums = {"least_smoother": min(run["smoother"] for run in runs), "failed": sum(run["failed"] for run in runs)}
    return found | sums


def _robot() -> dict[str, float]:
    metrics = _read(OUT / "robot" / "result" / "metrics.json")
    return {
        "start_mm": _median(metrics, "before", "bottle", "add_mm"),
        "start_deg": _median(metrics, "before", "bottle", "rotation_deg"),
        "mm": _median(metrics, "after", "bottle", "add_mm"),
        "p95_mm": _median(metrics, "after", "bottle", "add_mm", "p95"),
        "deg": _median(metrics, "after", "bottle", "rotation_deg"),
    }


def _tracked() -> dict[str, float]:
    """Over all runs; medians of a run are of its frames."""
    runs = [_read(OUT / "track" / f"{name}_{seed}" / "metrics.json") for name in TRACKED for seed in TRACKED_SEEDS]

    def each(turn: str, key: str) -> Iterator[tuple[float, list[float]]]:
        for run in runs:
            for body, summary in run[turn]["summary"].items():
                if key in summary and ("keypoint_mm" in summary) == (key == "keypoint_mm"):
                    yield summary[key]["median"], run[turn]["per_frame"][body][key]

    starts, ends = ([median for median, _ in each(turn, "add_mm")] for turn in ("before", "after"))
    halves = [rows[len(rows) // 2 :] for _, rows in each("after", "add_mm")]
    return {
        "start_low_cm": min(starts) / 10.0,
        "start_high_cm": max(starts) / 10.0,
        "hand_start_mm": float(np.median([median for median, _ in each("before", "keypoint_mm")])),
        "mm": float(np.median(ends)),
        "low_mm": min(ends),
        "high_mm": max(ends),
        "last_half_mm": max(value for rows in halves for value in rows if value is not None),
        "deg": float(np.median([median for median, _ in each("after", "rotation_deg")])),
        "hand_mm": float(np.median([median for median, _ in each("after", "keypoint_mm")])),
    }


def _scaling() -> dict[str, float]:
    """Times per frame, and memory, at the ends of the axes."""
    found = _read(OUT / "scaling" / "scaling.json")

    def value(axis: str, number: int, name: str = "seconds_per_frame") -> float:
        return found[axis][str(number)][name]

    large, longest = 1920 * 1080, 160
    grown = value("frames", longest, "memory_mib") - value("frames", 10, "memory_mib")
    return {
        "frames_short_s": value("frames", 10),
        "frames_long_s": value("frames", longest),
        "pixels_small_s": value("pixels", 320 * 240),
        "pixels_large_s": value("pixels", large),
        "faces_s": value("faces", 2560),
        "faces_many_s": value("faces", 163840),
        "one_s": value("bodies", 1),
        "four_s": value("bodies", 4),
        "start_mib": value("frames", 10, "before_mib"),
        "vga_mib": grown / (longest - 10),
        "large_mib": value("pixels", large, "memory_mib") - value("pixels", large, "before_mib"),
    }


READERS: dict[str, Callable[[], dict[str, float]]] = {
    "demo": _demo,
    "robot": _robot,
    "lift": lambda: _ablated("lift", "bottle"),
    "turn": lambda: _ablated("turn", "box"),
    "track": _tracked,
    "scaling": _scaling,
}


if __name__ == "__main__":
    for chosen in sys.argv[1:] or COMMANDS:
        if chosen != "--write":
            measure(chosen)
    write_pages()
