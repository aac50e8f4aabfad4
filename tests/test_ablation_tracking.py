"""The tracker's study: the noise that is drawn, which runs are made, and what the figures say of them."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import chi2

from tests.track_samples import make_gripper, make_scene
from warpprior.ablation import tracking_runs as runs
from warpprior.ablation.sources import Source, collect_tracking_sources
from warpprior.ablation.tracking_claims import judge_claims
from warpprior.ablation.tracking_figures import case_figures, mean_nees, summarise_tracking
from warpprior.ablation.tracking_runs import ERRORS, NEES, Score, describe_sensors, run_case, run_cases, track_cases
from warpprior.ablation.tracking_table import format_study
from warpprior.ablation.tracking_trials import (
    BOTH,
    FRAME_TO_FRAME,
    HIDDEN,
    IRREGULAR,
    LAG,
    NETWORK,
    OURS,
    PRINTED,
    SMOOTHED,
    SUPPOSED,
    Case,
    Trials,
    all_cases,
    case_settings,
    hidden_frames,
    suppose_control,
    suppose_start,
)
from warpprior.cli import main
from warpprior.scene import Poses, SceneBody
from warpprior.support.errors import InputError
from warpprior.tracking.hands import TrackedHand
from warpprior.tracking.run import Tracker, track
from warpprior.tracking.settings import ControlNoise, TrackSettings
from warpprior.tracking.update import Innovation
from warpprior.uncertainty import pose_errors

PLAIN = Case(OURS, BOTH, SUPPOSED)


@pytest.fixture(scope="module")
def scene():
    """A gripper takes a block and lifts it, in 36 frames."""
    return make_scene(36)


@pytest.fixture(scope="module")
def trials(scene):
    """The scene as the cases show it."""
    return Trials(scene, TrackSettings(), 3)


@pytest.fixture(scope="module")
def score(scene):
    """Measures the block."""
    return Score(scene.body("block"), "cpu")


def test_control_errs_as_the_filter_supposes():
    """Spread along each axis and from frame to frame, and no correlation between axes, over 20,000 frames."""
    body, count = make_gripper(), 20_000
    truth = Poses(np.tile([0.3, 0.0, 0.4], (count, 1)), np.tile([0.0, 0.0, 0.6, 0.8], (count, 1)), np.zeros((count, 2)))
    hand = SceneBody(body, 1, False, truth, truth)
    noise = ControlNoise(lateral_m=0.003, depth_m=0.009, rotation_rad=0.03, joint_rad=0.02, correlation_s=0.1)
    given = suppose_control(hand, noise, 50.0, np.random.default_rng(0))
    errors = -pose_errors(given, truth)
    settings = replace(TrackSettings(), estimated=noise)
    expected = TrackedHand(hand, settings, 1, "cpu").covariance(truth.position[0])
    scale = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(np.cov(errors.T) / np.outer(scale, scale), expected / np.outer(scale, scale), atol=0.06)
    alike = np.sum(errors[1:] * errors[:-1], axis=0) / np.sum(errors**2, axis=0)
    np.testing.assert_allclose(alike, np.exp(-0.2), atol=0.02)


def test_the_first_pose_errs_as_the_filter_supposes():
    """In units of the tracker's own first covariance, squared errors of the middle and the turn are chi-squared."""
    scene, settings = make_scene(2, middle=(0.0, 0.02, 0.05)), TrackSettings()
    block, squares = scene.body("block"), []
    for seed in range(300):
        start = suppose_start(block, settings, np.random.default_rng(seed))
        given = replace(scene, bodies=(scene.body("hand"), replace(block, initial=start)))
        if not seed:
            tracker = Tracker(given, settings, observe=["center"], device="cpu")
            covariance = tracker.belief.covariance[tracker.belief.object(0), tracker.belief.object(0)].copy()
        error = pose_errors(start, block.truth)[0]
        arms = [Rotation.from_quat(one.rotation[0]).apply([0.0, 0.02, 0.05]) for one in (block.truth, start)]
        error[:3] += arms[0] - arms[1]
        squares.append(error @ np.linalg.solve(covariance, error))
    low, high = chi2.ppf([0.001, 0.999], 6 * 300) / 300
    assert low < np.mean(squares) < high


def test_all_cases_share_their_draws(scene, trials):
    """Only what a trial is about differs: the centre while hidden, some keypoints by 6 cm, frames, the hand's poses."""
    plain = trials.scene(PLAIN)
    again = Trials(scene, TrackSettings(), 3).scene(Case(PRINTED, "hand", SUPPOSED))
    np.testing.assert_array_equal(plain.keypoints3d["hand"], again.keypoints3d["hand"])
    np.testing.assert_array_equal(plain.body("block").initial.position, again.body("block").initial.position)

    hidden = trials.scene(replace(PLAIN, trial=HIDDEN)).centers["block"]
    gone = list(hidden_frames(36))
    assert gone == list(range(18, 30)) and np.isnan(hidden[gone]).all()
    np.testing.assert_array_equal(np.delete(hidden, gone, axis=0), np.delete(plain.centers["block"], gone, axis=0))

    stray = trials.scene(replace(PLAIN, trial="outliers, huber"))
    moved = np.linalg.norm((stray.keypoints3d["hand"] - plain.keypoints3d["hand"])[..., :3], axis=-1)
    assert 0.02 < np.mean(moved > 0.0) < 0.08
    np.testing.assert_allclose(moved[moved > 0.0], 0.06, rtol=1e-9)
    np.testing.assert_array_equal(stray.centers["block"], plain.centers["block"])

    case = replace(PLAIN, trial=IRREGULAR)
    some, frames = trials.scene(case), trials.frames(case)
    assert frames[0] == 0 and 18 <= len(frames) < 32
    np.testing.assert_allclose(some.timestamps, frames / 30.0)
    np.testing.assert_array_equal(some.centers["block"], plain.centers["block"][frames])
    np.testing.assert_array_equal(some.body("hand").initial.joints, plain.body("hand").initial.joints[frames])

    network = trials.scene(replace(PLAIN, control=NETWORK))
    np.testing.assert_array_equal(network.body("hand").initial.position, scene.body("hand").initial.position)
    np.testing.assert_array_equal(network.keypoints3d["hand"], plain.keypoints3d["hand"])
    assert not np.array_equal(plain.body("hand").initial.position, scene.body("hand").initial.position)
    assert len({case.name for case in all_cases()}) == len(all_cases()) == 32


def test_settings_of_the_variants_follow_from_ours():
    """What makes a variant is its own, all else is shared."""
    ours = TrackSettings(center_m=0.02, robust="huber")
    assert case_settings(PLAIN, ours) == ours
    assert case_settings(Case(FRAME_TO_FRAME, BOTH, NETWORK), ours) == replace(ours, anchors=0)
    assert case_settings(Case(PRINTED, BOTH, NETWORK), ours) == replace(TrackSettings.paper_literal(), center_m=0.02)
    assert case_settings(replace(PLAIN, trial="outliers, none"), ours).robust == "none"
    assert case_settings(replace(PLAIN, trial=HIDDEN), ours) == ours


def test_a_run_measures_what_the_tracker_says(scene, trials, score):
    """Errors are those of the tracked poses; smoothing, lag and dropped frames are what they are called."""
    shown = trials.scene(PLAIN)
    result = track(shown, TrackSettings(), observe=PLAIN.sensors, device="cpu")
    run = run_case(trials, PLAIN, TrackSettings(), score, "cpu")
    error = pose_errors(result.poses["block"], scene.body("block").truth)
    np.testing.assert_allclose(run["translation_mm"], 1e3 * np.linalg.norm(error[:, :3], axis=1), rtol=1e-6)
    for name, own in (("nees", slice(0, 6)), ("nees_position", slice(0, 3)), ("nees_rotation", slice(3, 6))):
        inverse = np.linalg.inv(result.poses["block"].covariance[:, own, own])
        squares = np.einsum("fi,fij,fj->f", error[:, own], inverse, error[:, own])
        np.testing.assert_allclose(run[name], squares, rtol=1e-6)
    np.testing.assert_array_equal(run["contacts"], result.history["contacts/block"])
    np.testing.assert_array_equal(run["held"], result.history["held/block"])
    np.testing.assert_allclose(np.array(run["sensors"]["center"]["nis"], float), result.history["nis/center"])
    assert run["dof"] == {"nees": 6.0, "nees_position": 3.0, "nees_rotation": 3.0}
    assert run["milliseconds"] > 0.0 and set(ERRORS) | set(NEES) <= set(run)

    for trial, smoothing in ((SMOOTHED, {"smooth": True}), (LAG, {"lag": 5})):
        later = track(shown, TrackSettings(), observe=PLAIN.sensors, device="cpu", **smoothing).poses["block"]
        run = run_case(trials, replace(PLAIN, trial=trial), TrackSettings(), score, "cpu")
        error = pose_errors(later, scene.body("block").truth)
        np.testing.assert_allclose(run["translation_mm"], 1e3 * np.linalg.norm(error[:, :3], axis=1), rtol=1e-6)

    case = replace(PLAIN, trial=IRREGULAR)
    run = run_case(trials, case, TrackSettings(), score, "cpu")
    there = [frame for frame, value in enumerate(run["add_mm"]) if value is not None]
    assert there == list(trials.frames(case)) and len(run["add_mm"]) == 36


def test_the_distance_of_hand_and_object(scene, score):
    """The palm stays 20 mm from the block, and the jaws close on it."""
    found = score.distance(scene, {body.name: body.truth for body in scene.bodies})
    assert found[4] == pytest.approx(20.0, abs=0.1)
    assert np.abs(found[8:]).max() < 0.1


def test_a_filter_that_fails_is_told(trials, score, monkeypatch):
    """Its error stands in place of figures, and counts as diverged."""

    def fail(*given, **named):
        raise np.linalg.LinAlgError("not positive definite")

    monkeypatch.setattr(runs, "Tracker", fail)
    run = run_case(trials, PLAIN, TrackSettings(), score, "cpu")
    assert run == {"error": "not positive definite"}
    row = case_figures([{"seed": 0, "scene": "s", "frames": 36, "runs": {PLAIN.name: run}}], PLAIN)
    assert row["diverged"]["share"] == 1.0 and "add_mm" not in row


def test_innovations_are_compared_with_those_before():
    """The ratio of the sums is the correlation of an autoregressive series; gaps and other sizes are passed over."""

    def told(white):
        found = {} if white is None else {"center": Innovation(float(white @ white), len(white), 1, white)}
        return SimpleNamespace(innovations=found)

    random, series = np.random.default_rng(0), [np.zeros(3)]
    for _ in range(4000):
        series.append(0.6 * series[-1] + 0.8 * random.normal(size=3))
    found = describe_sensors([told(white) for white in series])["center"]
    assert found["product"] / found["square"] == pytest.approx(0.6, abs=0.02)
    one, two = np.array([1.0, 2.0, 2.0]), np.array([2.0, -1.0, 0.0])
    found = describe_sensors([told(white) for white in (one, two, None, one, one[:2])])["center"]
    assert (found["product"], found["square"]) == (0.0, 0.5 * (9.0 + 5.0))
    assert found["nis"] == [9.0, 5.0, None, 9.0, 5.0] and found["dof"] == [3, 3, 0, 3, 2]
    assert found["rejected"] == [1, 1, 0, 1, 1]


def test_sureness_is_averaged_over_seeds():
    """Draws from chi-squared are in the band in about 95 % of frames; others above it or below."""
    draws = np.random.default_rng(0).chisquare(6, (20, 2000))
    for scale, name, share in ((1.0, "inside", 0.95), (2.0, "above", 1.0), (0.5, "below", 1.0)):
        found = mean_nees([{"nees": list(scale * row), "dof": {"nees": 6.0}} for row in draws])
        assert found[name] == pytest.approx(share, abs=0.02)
        assert found["mean"] == pytest.approx(scale, rel=0.02)
        assert found["inside"] + found["above"] + found["below"] == pytest.approx(1.0)
    dof = {"nees": 6.0}
    partly = [{"nees": [1.0, None, None], "dof": dof}, {"nees": [1.0, 6.0, None], "dof": dof}]
    assert mean_nees(partly)["mean"] == pytest.approx((1 / 6 + 1.0) / 2)


def made_run(error, *, frames=40, nees=6.0, sigmas=1.0, contacts=3):
    """A run with the same error in all frames."""
    values = {name: [float(error)] * frames for name in ERRORS}
    values |= {"nees": [nees] * frames, "position_sigmas": [sigmas] * frames, "rotation_sigmas": [0.5] * frames}
    sensor = {"nis": [15.0] * frames, "dof": [15] * frames, "rejected": [0] * frames, "product": 0.0, "square": 1.0}
    return values | {
        "stated_position_mm": [error / sigmas] * frames,
        "distance_mm": [-1.0] * frames,
        "contacts": [0] * 10 + [contacts] * (frames - 10),
        "held": [0] * 10 + [1] * (frames - 10),
        "dof": {"nees": 6.0},
        "milliseconds": 2.0,
        "sensors": {"fingertips": sensor, "center": sensor},
    }


def made_records(changes=None):
    """Four seeds, errors of 4, 4.4, 4.8, 5.2 mm in all cases but for ``changes``, a function of case and seed."""
    records = []
    for seed in range(4):
        runs = {case.name: made_run(4.0 + 0.4 * seed) for case in all_cases()}
        if changes is not None:
            runs |= {case.name: run for case in all_cases() if (run := changes(case, seed)) is not None}
        distances = [30.0] * 10 + [0.0] * 30
        records.append({"scene": "s", "seed": seed, "frames": 40, "truth_distance_mm": distances, "runs": runs})
    return records


@pytest.fixture(scope="module")
def good_rows():
    """Figures of runs with nothing to complain about."""
    return summarise_tracking(made_records())["s"]


def changed_rows(good_rows, changes, cases):
    """The same with some runs changed, and the figures of these cases made anew."""
    records = made_records(changes)
    return good_rows | {case.name: case_figures(records, case) for case in cases}


def test_good_figures_make_every_claim_hold(good_rows):
    """Medians, shares and ratios of made runs, and nothing to complain about."""
    row = good_rows[PLAIN.name]
    assert row["add_mm"]["median"] == pytest.approx(4.6) and row["worst_chamfer_mm"]["worst"] == pytest.approx(5.2)
    assert row["diverged"]["failed"] == 0 and "to_ours" not in row["add_mm"]
    assert good_rows[Case(PRINTED, BOTH, SUPPOSED).name]["add_mm"]["to_ours"]["median"] == pytest.approx(1.0)
    assert row["contact_kept"]["worst"] == 1.0 and row["touching"]["mean"] == 1.0 and row["depth_mm"]["median"] == 1.0
    assert row["nis/center"]["mean"] == 1.0 and row["nis/center"]["inside"] == 1.0
    assert all(claim.holds for claim in judge_claims(good_rows, SUPPOSED))


@pytest.mark.parametrize(
    ("trial", "run", "says"),
    [
        ("", made_run(21.0), "3D error"),
        ("", made_run(101.0), "diverge"),
        ("", {"error": "not positive definite"}, "diverge"),
        ("", made_run(4.0, nees=12.0), "NEES"),
        (SMOOTHED, made_run(6.0), "smoothing"),
        (HIDDEN, made_run(4.0, sigmas=3.5), "sigmas"),
        (HIDDEN, made_run(9.0), "seen again"),
        ("outliers, gate", made_run(9.0), "outliers"),
    ],
)
def test_bad_figures_make_a_claim_fail(trial, run, says, good_rows):
    """Each claim notices what it is about; nothing else is said of the other control."""
    case = replace(PLAIN, trial=trial)
    rows = changed_rows(good_rows, lambda other, seed: run if other == case else None, [PLAIN, case])
    failed = [claim.text for claim in judge_claims(rows, SUPPOSED) if not claim.holds]
    assert any(says in text for text in failed)
    assert all(claim.holds for claim in judge_claims(rows, NETWORK))


def test_everything_failing_is_told():
    """Where no filter ever finishes there are tables all the same, and no claim holds but those about nothing."""
    records = made_records(lambda case, seed: {"error": "not finite"})
    rows = {case.name: case_figures(records, case) for case in all_cases()}
    assert not any(claim.holds for claim in judge_claims(rows, SUPPOSED))
    assert "| ours, hand + object " in format_study({"s": rows})


def test_one_seed_that_smoothing_spoils_is_counted(good_rows):
    """Seed by seed, not on average; contact that is lost once likewise."""
    smoothed, alone = replace(PLAIN, trial=SMOOTHED), Case(OURS, "hand", SUPPOSED)

    def change(case, seed):
        if case == smoothed:
            return made_run(5.3 if seed == 3 else 2.0)
        lost = made_run(4.0)
        lost["contacts"][-3:] = [0, 0, 0]
        return lost if case == alone and seed == 1 else None

    rows = changed_rows(good_rows, change, [smoothed, alone])
    worse = rows[smoothed.name]["worse/median/add_mm"]
    assert (worse["failed"], worse["sequences"]) == (1, 4) and worse["worst"] == pytest.approx(5.3 / 5.2)
    kept = rows[alone.name]["contact_kept"]
    assert kept["worst"] == pytest.approx(0.9) and kept["mean"] == pytest.approx(0.975)
    failed = {claim.text for claim in judge_claims(rows, SUPPOSED) if not claim.holds}
    assert {text.split()[0] for text in failed} == {"seeds", "hand"}


def test_tables_are_markdown(good_rows):
    """Every table has the same columns in every line, for both controls."""
    text = format_study({"s": good_rows})
    tables = [part for part in text.split("\n\n") if part.startswith("|")]
    assert len(tables) == 16 and text.count("## s, 4 seeds") == 2
    for table in tables:
        assert len({len(line) for line in table.splitlines()}) == 1


def test_the_command_writes_runs_and_tables(tmp_path, monkeypatch, capsys):
    """One file per seed, three tables; what is there is not tracked again unless it is of other settings."""
    opened = []

    def open_sample(source, device):
        opened.append(source)
        return make_scene(6, seed=source.seed)

    monkeypatch.setattr(Source, "open", open_sample)
    words = ["ablate-tracking", "grasp_lift", "--seeds", "4", "--device", "cpu", "--output-dir", str(tmp_path / "out")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "## grasp_lift, 1 seeds, control network" in said and "### Claims" in said
    record = json.loads((tmp_path / "out" / "tracking.json").read_text())
    assert record["seeds"] == {"grasp_lift": [4]} and record["settings"] == TrackSettings().as_dict()
    assert len(record["claims"]["grasp_lift"][SUPPOSED]) == len(judge_claims(record["rows"]["grasp_lift"], SUPPOSED))
    with open(tmp_path / "out" / "tracking.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["case"] for row in rows} == {case.name for case in all_cases()}
    assert main([*words, "--quiet"]) == 0
    assert [(source.seed, source.images) for source in opened] == [(4, False)]

    sources, folder = collect_tracking_sources(["grasp_lift"], [4]), tmp_path / "out"
    assert next(iter(run_cases(sources[0], TrackSettings(), folder, "cpu"))) == all_cases()[0].name
    steps = []
    track_cases(sources, TrackSettings(), folder, progress=lambda done, total, text: steps.append((done, total)))
    assert steps == [(32, 32)]
    monkeypatch.setattr(runs, "run_cases", lambda *given: iter(given[1:2]))
    track_cases(sources, TrackSettings(center_m=0.03), folder, progress=lambda done, total, text: steps.append(done))
    assert steps[1:] == [0, 1]


def test_only_hands_are_studied(tmp_path, capsys):
    """A robot's scene, an unknown one, and several objects are refused."""
    for name in ("robot_lift", "no_such_scene"):
        assert main(["ablate-tracking", name, "--output-dir", str(tmp_path / "out")]) == 2
        assert name in capsys.readouterr().err
    scene = make_scene(3)
    second = replace(scene.body("block"), label=3, body=replace(scene.body("block").body, name="other"))
    with pytest.raises(InputError, match="2 objects"):
        Trials(replace(scene, bodies=(*scene.bodies, second)), TrackSettings(), 0)
