"""The ablation: which runs it makes, which it repeats, what the table says, and its statistics against others."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import bootstrap, wilcoxon

from tests.small_scene import edit_poses, write_scene
from warpprior.ablation import ablate
from warpprior.ablation.run_figures import START, summarise_runs
from warpprior.ablation.sources import Source, collect_sources, parse_seeds
from warpprior.ablation.statistics import holm, median_interval, paired_difference, wilson
from warpprior.ablation.study_table import format_tables, write_tables
from warpprior.ablation.variants import FULL, LITERAL, choose_variants, variant_names
from warpprior.cli import main
from warpprior.settings import RefineSettings
from warpprior.support.errors import InputError
from warpprior.terms.term import SOLVERS


@pytest.fixture(scope="module")
def scene_folder(tmp_path_factory):
    """A tiny scene folder whose box starts 2 cm off."""
    folder = write_scene(tmp_path_factory.mktemp("ablation") / "tiny")
    edit_poses(folder, box__position=np.stack([np.linspace(0.02, 0.04, 3), np.zeros(3), np.full(3, 0.52)], axis=1))
    return folder


def run_command(folder, output, *words):
    """The command on the tiny scene, with few iterations."""
    fast = ["--set", "iterations=2", "--device", "cpu", "--variant", "full", "--variant", "without sliding"]
    return main(["ablate", str(folder), "--output-dir", str(output), *fast, *words])


def used(settings: RefineSettings) -> set[str]:
    """Names of the terms that any solver uses."""
    return {term.name for solver in SOLVERS for term in settings.used_by(solver)}


def test_the_variants_leave_out_what_they_say():
    """Terms that are left out are used by no solver, and nothing else differs from the full settings."""
    found = choose_variants([], ["iterations=7"])
    assert list(found) == variant_names() and {FULL, LITERAL, "render only"} <= set(found)
    full = found[FULL]
    assert full == replace(RefineSettings(), iterations=7)
    assert "sliding" not in used(found["without sliding"]) and "sliding" in used(full)
    assert found["without sliding"] == full.leaving_out(["sliding"])
    bare = used(found["render only"])
    assert not bare & {"sliding", "penetration", "smoothness", "consistency"}
    assert "contour" in bare
    assert found[LITERAL] == replace(RefineSettings.paper_literal(), iterations=7)
    assert choose_variants(["without adam"]) == {"without adam": RefineSettings().leaving_out(["adam"])}
    with pytest.raises(InputError, match="without magic"):
        choose_variants(["without magic"])


def test_seeds_are_numbers_and_ranges():
    """Ranges, single ones, each once; nonsense is refused."""
    assert parse_seeds("0-3,7, 2,9-9") == [0, 1, 2, 3, 7, 9]
    for text in ("", "-1", "3-1", "a", "1-", "1-2-3", "0-99999999", str(2**31)):
        with pytest.raises(ValueError):
            parse_seeds(text)


def test_scenes_are_named_once(tmp_path, scene_folder):
    """Folders and seeds have names of their own; what is no scene, or there twice, is refused."""
    names = [source.name for source in collect_sources([scene_folder], "robot_lift", [1, 12], object_name="box")]
    assert names == ["tiny", "robot_lift-box-0001", "robot_lift-box-0012"]
    for folders, simulated, says in (
        ([], None, "no scene"),
        ([tmp_path], None, "no scene.toml"),
        ([scene_folder, scene_folder], None, "two scenes"),
        ([], "robot_fall", "robot_fall"),
    ):
        with pytest.raises(InputError, match=says):
            collect_sources(folders, simulated, [0])


def test_a_scenes_identity_follows_its_files(tmp_path):
    """Another seed, another number of frames, or a changed file is another scene."""
    folder = write_scene(tmp_path / "scene")
    source = Source("scene", folder=str(folder))
    before = source.identity()
    assert source.identity() == before != replace(source, frame_count=2).identity()
    assert Source("a", simulated="robot_lift", seed=1).identity() != Source("a", simulated="robot_lift").identity()
    edit_poses(folder, box__position=np.full((3, 3), 0.5))
    assert source.identity() != before


def test_the_command_writes_runs_and_tables(scene_folder, tmp_path, capsys):
    """One file per variant and scene, three tables, and the same on the screen."""
    assert run_command(scene_folder, tmp_path / "out") == 0
    said = capsys.readouterr().out
    runs = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("tiny.json"))
    assert runs == ["runs/full/tiny.json", "runs/without_sliding/tiny.json"]
    for words in ("| Object ", "| start ", "| full ", "| without sliding", "3D Chamfer [mm]", "2 runs"):
        assert words in said
    record = json.loads((tmp_path / "out" / "table.json").read_text())
    assert list(record["rows"]) == [START, "full", "without sliding"] and record["scenes"] == ["tiny"]
    assert record["settings"]["without sliding"]["without"] == ["sliding"]
    assert {"environment", "command", "device", "written"} <= set(record)
    with open(tmp_path / "out" / "table.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    start = next(row for row in rows if row["variant"] == START and row["figure"] == "translation_mm")
    assert float(start["median"]) == pytest.approx(np.hypot(20.0, 20.0), rel=1e-6)
    assert said.split("\n\n")[0] in (tmp_path / "out" / "table.md").read_text()


def test_runs_that_are_there_are_not_repeated(scene_folder, tmp_path, monkeypatch, capsys):
    """A second call computes only what is missing, damaged, of other settings, or asked to be repeated."""
    import warpprior.refinement.run as estimator

    counted, refine = [], estimator.refine
    monkeypatch.setattr(estimator, "refine", lambda *given, **named: counted.append(given) or refine(*given, **named))
    output = tmp_path / "out"
    assert run_command(scene_folder, output) == 0
    first = (output / "table.csv").read_text()
    assert run_command(scene_folder, output) == 0
    assert len(counted) == 2 and (output / "table.csv").read_text() == first
    (output / "runs" / "full" / "tiny.json").write_text("{")
    assert run_command(scene_folder, output) == 0
    assert len(counted) == 3
    assert run_command(scene_folder, output, "--variant", "render only") == 0
    assert len(counted) == 4
    assert run_command(scene_folder, output, "--num-frames", "2") == 0
    assert len(counted) == 6
    assert run_command(scene_folder, output, "--overwrite", "--quiet") == 0
    assert len(counted) == 8
    capsys.readouterr()


def test_processes_give_the_same_numbers(scene_folder, tmp_path):
    """Two processes find what one does, but for the times."""
    other = write_scene(tmp_path / "other")
    sources = collect_sources([scene_folder, other], None, [])
    variants = choose_variants(["without gauss_newton", "without smoothness"], ["iterations=2", "adam.iterations=0"])
    alone = ablate(sources, variants, tmp_path / "one")
    seen = []
    together = ablate(
        sources, variants, tmp_path / "two", jobs=2, progress=lambda done, total, text: seen.append((done, total))
    )
    assert seen[0] == (0, 4) and seen[-1] == (4, 4)
    for run in (*alone, *together):
        run.pop("seconds")
    assert alone == together
    assert [(run["variant"], run["scene"]) for run in alone] == [(v, s.name) for v in variants for s in sources]


def test_a_folder_with_other_things_is_refused(scene_folder, tmp_path, capsys):
    """Only an empty folder or one with earlier runs is written to."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    assert run_command(scene_folder, tmp_path / "out") == 2
    assert "exists" in capsys.readouterr().err
    assert run_command(scene_folder, scene_folder) == 2


def test_a_scene_that_is_refused_is_told(tmp_path):
    """A variant that cannot do a scene leaves an error, not a hole, and the others go on."""
    folder = write_scene(tmp_path / "blank")
    for path in (folder / "labels").iterdir():
        path.unlink()
    text = (folder / "scene.toml").read_text().replace('labels = "labels/{:06d}.png"\n', "")
    (folder / "scene.toml").write_text(text)
    runs = ablate(collect_sources([folder], None, []), choose_variants([FULL]), tmp_path / "out")
    assert "after" not in runs[0] and "no label images" in runs[0]["error"]
    rows = write_tables(tmp_path / "out", runs, {}, "cpu")
    assert rows[FULL]["errors"] == [f"blank: {runs[0]['error']}"] and "translation_mm" in rows[START]


def made_run(variant, scene, add, *, hand=None, slip=0.5, failed=0):
    """A run with the same value in every frame."""
    figures = {"acceleration_mm": {}, "acceleration_error_mm": {"mean": add}, "truth_acceleration_mm": {"mean": 1.0}}
    summary = {"mug": figures | {"failures": {"failed": failed, "frames": 10}}}
    per_frame = {"mug": {"add_mm": [add, add, 3 * add], "chamfer_mm": [None, add, add]}}
    if hand is not None:
        summary["hand"] = figures | {"keypoint_mm": {}, "failures": {"failed": 0, "frames": 10}}
        per_frame["hand"] = {"keypoint_mm": [hand] * 3, "keypoint_pa_mm": [0.5 * hand] * 3}
    pair = {"summary": {"truth": {"slip_mm": {"median": 0.25}, "distance_mm": {"min": -1.0}}}}
    pair["per_frame"] = {"slip_mm": [None, slip, slip]}
    apart = {"summary": {"truth": {"distance_mm": {"min": 30.0}}}, "per_frame": {"slip_mm": [9.0] * 3}}
    after = {"summary": summary, "per_frame": per_frame, "pairs": {"mug+hand": pair, "mug+wall": apart}}
    return {"variant": variant, "scene": scene, "frames": 10, "seconds": 5.0, "after": after}


def made_runs():
    """Six scenes with two variants; the start is 40 mm off, and a hand 12 mm."""
    start = made_run("", "", 40.0, hand=12.0, slip=8.0, failed=5)["after"]
    runs = [made_run(FULL, f"s{k}", 2.0 + 0.1 * k, hand=6.0, slip=0.2) for k in range(6)]
    runs += [made_run("without sliding", f"s{k}", 3.0 + 0.2 * k, hand=7.0, failed=k == 0) for k in range(6)]
    return [run | {"before": start} for run in runs]


def test_figures_are_medians_over_sequences():
    """Medians of medians, p95 of all frames, the worst sequence, reductions, failures, and the truth's own."""
    rows = summarise_runs(made_runs())
    assert list(rows) == [START, FULL, "without sliding"]
    add = rows[FULL]["add_mm"]
    assert (add["median"], add["worst"], add["sequences"]) == (pytest.approx(2.25), 2.5, 6)
    frames = [value for k in range(6) for value in (2.0 + 0.1 * k, 2.0 + 0.1 * k, 6.0 + 0.3 * k)]
    assert add["p95"] == pytest.approx(np.percentile(frames, 95))
    assert rows[FULL]["keypoint_reduction"]["median"] == pytest.approx(50.0)
    assert rows[FULL]["keypoint_pa_reduction"]["median"] == pytest.approx(50.0)
    assert rows[FULL]["slip_mm"]["median"] == 0.2 and rows[FULL]["slip_mm_truth"]["median"] == 0.25
    assert rows[FULL]["object_acceleration_ratio"]["median"] == pytest.approx(40.0 / 2.25, rel=0.01)
    assert rows[FULL]["seconds_per_frame"]["median"] == 0.5 and "seconds_per_frame" not in rows[START]
    failures = rows["without sliding"]["object_failures"]
    assert (failures["failed"], failures["frames"], failures["sequences"]) == (1, 60, 6)
    assert (failures["low"], failures["high"]) == wilson(1 / 60, 6)
    assert rows[START]["object_failures"]["share"] == 0.5 and rows[START]["hand_failures"]["share"] == 0.0


def test_variants_are_compared_sequence_by_sequence():
    """The median of the paired ratios, and a test of the paired differences."""
    ratio = summarise_runs(made_runs())["without sliding"]["add_mm"]["to_full"]
    expected = np.median([(3.0 + 0.2 * k) / (2.0 + 0.1 * k) for k in range(6)])
    assert ratio["median"] == pytest.approx(expected) and ratio["low"] > 1.0
    assert ratio["probability"] == pytest.approx(2 / 2**6)


def test_the_table_is_markdown():
    """Every line of a table has the same columns; stars mark what is certain; unknown columns are left out."""
    text = format_tables(summarise_runs(made_runs()))
    tables = text.split("\n\n")
    assert [table.split()[1] for table in tables] == ["Object", "Hand", "Contact"]
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1
        assert len({len(line) for line in table.splitlines()}) == 1
    assert "rotation" not in tables[0] and "1.56*" in tables[0]
    assert "50 %" in tables[1] and "2.2 (" in tables[0]


def test_wilson_equals_the_formula_of_the_square():
    """Both ends are where the normal test of the share just does not refuse it; no trials say nothing."""
    for share, count in ((0.0, 10), (1 / 60, 6), (0.4, 25), (1.0, 3)):
        for end in wilson(share, count):
            assert (share - end) ** 2 == pytest.approx(1.959963984540054**2 * end * (1 - end) / count, abs=1e-12)
    assert wilson(0.0, 10)[1] == pytest.approx(0.2775, abs=1e-4) and wilson(0.5, 0) == (0.0, 1.0)


def test_intervals_of_medians_equal_scipys():
    """The same bootstrap with SciPy's own random numbers; one value is its own interval."""
    values = np.random.default_rng(0).lognormal(1.0, 0.7, 21)
    found = median_interval(values)
    other = bootstrap((values,), np.median, n_resamples=20000, method="BCa", random_state=1).confidence_interval
    assert found[0] <= np.median(values) <= found[1]
    np.testing.assert_allclose(found, other, rtol=0.1)
    assert found == median_interval(values[::-1])
    assert median_interval([3.0]) == median_interval([3.0, 3.0]) == (3.0, 3.0)
    assert np.isnan(median_interval([])).all()


def test_paired_differences_and_their_correction():
    """Wilcoxon's test as SciPy has it, None with too few; Holm by hand."""
    random = np.random.default_rng(0)
    first, second = random.normal(size=12), random.normal(0.8, 1.0, 12)
    assert paired_difference(first, second) == pytest.approx(wilcoxon(first - second).pvalue)
    assert paired_difference(first[:4], second[:4]) is None and paired_difference(first, first) is None
    assert holm({"a": 0.01, "b": None, "c": 0.04, "d": 0.03}) == {"a": 0.03, "b": None, "c": 0.06, "d": 0.06}
