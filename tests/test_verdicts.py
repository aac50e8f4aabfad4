"""Verdicts: what is right is believed, what is moved is named with its reason, and nothing else changes."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from warpprior.bench.verdicts.calibrate import area_under_curve, fit_weights
from warpprior.bench.verdicts.faults import OWN_FAULTS
from warpprior.bench.verdicts.rows import described
from warpprior.bench.verdicts.sequences import Sequence, errors, is_wrong, sequences
from warpprior.bench.verdicts.table import table
from warpprior.cli.results import exit_code
from warpprior.finding import Finding
from warpprior.io import load_poses, save_result
from warpprior.result import Result
from warpprior.scene import Camera
from warpprior.scenes import simulate
from warpprior.support.tables import format_verdicts
from warpprior.verdicts.doubt import DETECTED, SEEN, SUSPECT, doubt_of, signs
from warpprior.verdicts.judge import fits_badly, judged
from warpprior.verdicts.traces import find_traces
from warpprior.verdicts.weights import WEIGHTS

FRAMES = 6
CAMERA = Camera(240, 180, 230.0, 230.0, 120.0, 90.0)
SIGMA = np.diag([2e-3] * 3 + [0.01] * 3) ** 2


@pytest.fixture(scope="module")
def scene():
    """A hand lifts a box."""
    return simulate("grasp_lift", object="box", mask_noise="M0", frame_count=FRAMES, camera=CAMERA, seed=3)


def result_of(scene, **moved):
    """The truth as a result, some bodies moved [m] in all frames or turned by a rotation; sure by 2 mm."""
    poses = {}
    for body in scene.bodies:
        own = replace(body.truth, covariance=np.tile(_padded(body), (scene.frame_count, 1, 1)))
        change = moved.get(body.name)
        if isinstance(change, Rotation):
            own = replace(own, rotation=(Rotation.from_quat(own.rotation) * change).as_quat())
        elif change is not None:
            own = replace(own, position=own.position + change)
        poses[body.name] = own
    return Result(scene=scene, poses=poses, history={})


def _padded(body):
    covariance = np.eye(6 + body.body.coordinate_count) * 0.05**2
    covariance[:6, :6] = SIGMA
    return covariance


def pictures_alone(scene):
    """Without what was measured in space."""
    return replace(scene, keypoints3d={}, centers={})


def without_colors(scene):
    """Without pictures."""
    return replace(scene, read_rgb=None)


def test_a_right_result_is_believed_in_all_frames(scene):
    """No doubt, no reasons, no note, no badness; also by pictures alone."""
    for given in (scene, pictures_alone(scene), without_colors(scene), without_colors(pictures_alone(scene))):
        result = judged(result_of(given))
        assert set(result.verdicts) == {"hand", "box"}
        for verdict in result.verdicts.values():
            assert verdict.doubt.shape == verdict.status.shape == verdict.reasons.shape == (FRAMES,)
            assert set(verdict.status) == {"ok"}
            assert set(verdict.reasons) == {""}
            assert np.all((verdict.doubt >= 0.0) & (verdict.doubt < SUSPECT))
        assert result.notes == ()
        assert not fits_badly(result)


@pytest.mark.parametrize("moved", [[0.05, 0.0, 0.0], [0.0, -0.05, 0.0], [0.0, 0.0, 0.10]])
def test_an_object_that_is_moved_is_named_with_a_reason(scene, moved):
    """5 cm aside, or 10 cm away: it is doubted in all frames, a note names it and says by how many mm it is off."""
    result = judged(result_of(scene, box=np.array(moved)))
    verdict = result.verdicts["box"]
    assert not (verdict.status == "ok").any()
    assert all("mm" in reason for reason in verdict.reasons)
    assert fits_badly(result)
    (note,) = [note for note in result.notes if note.startswith("box: ")]
    assert "fits badly" in note
    assert f"frames 0-{FRAMES - 1}" in note


def test_pictures_alone_show_what_is_aside(scene):
    """6 cm aside, and nothing measured: doubted in nearly all frames, and far more than what is right."""
    for given in (pictures_alone(scene), without_colors(pictures_alone(scene))):
        verdict = judged(result_of(given, box=np.array([0.06, 0.0, 0.0]))).verdicts["box"]
        assert np.count_nonzero(verdict.status != "ok") >= FRAMES - 1
        assert (verdict.doubt > judged(result_of(given)).verdicts["box"].doubt + 0.2).all()


def test_colours_show_what_is_turned_over(scene):
    """Hues of the right box are nearer to the picture's than those of one that is half a turn off."""
    right = find_traces(result_of(scene))["box"]["hue"]
    turned = find_traces(result_of(scene, box=Rotation.from_rotvec([0.0, np.pi, 0.0])))["box"]["hue"]
    aside = find_traces(result_of(scene, box=np.array([0.06, 0.0, 0.0])))["box"]["hue"]
    assert np.isfinite(right).all()
    assert np.nanmedian(right) < 0.1
    assert np.nanmedian(turned) > 2.0 * np.nanmedian(right)
    assert np.nanmedian(aside) > 2.0 * np.nanmedian(right)
    assert "hue" not in find_traces(result_of(without_colors(scene)))["box"]


def test_one_wrong_frame_is_found_among_right_ones(scene, device):
    """It is the most doubtful by far."""
    right = result_of(scene)
    position = right.poses["hand"].position.copy()
    position[2] += [0.08, 0.0, 0.0]
    poses = {**right.poses, "hand": replace(right.poses["hand"], position=position)}
    verdict = judged(replace(right, poses=poses), device).verdicts["hand"]
    assert verdict.doubt.argmax() == 2
    assert verdict.status[2] != "ok"
    assert (verdict.status[[0, 5]] == "ok").all()


def test_long_recordings_are_looked_up_in_parts(scene, monkeypatch):
    """What is found is the same."""
    whole = find_traces(result_of(scene))
    monkeypatch.setattr("warpprior.verdicts.contact.MOST_FACES", 4 * len(scene.body("box").body.faces))
    monkeypatch.setattr("warpprior.verdicts.pictures.AT_ONCE", 4)
    parts = find_traces(result_of(scene))
    for name in whole:
        for trace, values in whole[name].items():
            np.testing.assert_allclose(parts[name][trace], values, atol=1e-3, err_msg=f"{name} {trace}")


def test_frames_to_the_next_label_are_counted(scene):
    """Both ways, whichever is nearer; without any label, as many as there are."""
    labels = scene.labels.copy()
    box = scene.body("box").label
    for frame in (0, 1, 3, 4):
        labels[frame][labels[frame] == box] = 0
    assert find_traces(result_of(replace(scene, labels=labels)))["box"]["unseen"].tolist() == [2, 1, 0, 1, 1, 0]
    labels[labels == box] = 0
    assert find_traces(result_of(replace(scene, labels=labels)))["box"]["unseen"].tolist() == [FRAMES] * FRAMES


def test_a_verdict_changes_nothing_else(scene):
    """Poses are the same objects; all else but notes and verdicts is what it was."""
    before = result_of(scene, box=np.array([0.05, 0.0, 0.0]))
    after = judged(before)
    assert after.poses is before.poses
    assert after.scene is before.scene
    assert after.notes[: len(before.notes)] == before.notes


def test_errors_of_the_check_raise_doubt_and_those_of_detections_hush_keypoints(scene):
    """Of the camera: more doubt of all bodies.  Of swapped keypoints: what they miss by says nothing."""
    result = result_of(pictures_alone(scene))
    camera = Finding("intrinsics_scale", "error", None, (), "intrinsics are of another picture")
    plain, found = judged(result), judged(replace(result, findings=(camera,)))
    for name in ("hand", "box"):
        assert (found.verdicts[name].doubt > plain.verdicts[name].doubt).all()
    traces = find_traces(result)["hand"] | {"keypoints_mm": np.full(FRAMES, 200.0)}
    swapped = Finding("keypoints_swapped_uv", "error", "hand", (), "v comes before u")
    assert signs("hand", traces, (), {})["keypoints_mm"].min() > 1.0
    assert signs("hand", traces, (swapped,), {})["keypoints_mm"].max() == 0.0
    assert signs("hand", traces, (replace(swapped, body="other"),), {})["keypoints_mm"].min() > 1.0


def test_evidence_that_was_left_out_says_nothing_of_the_estimate(scene):
    """Frames whose labels were left out have no sign from them, but one that they were."""
    traces = find_traces(result_of(scene, box=np.array([0.05, 0.0, 0.0])))["box"]
    kept, left = signs("box", traces, (), {}), signs("box", traces, (), {"labels": (1,), "keypoints2d": (2,)})
    for sign in (name for name in (*SEEN, *DETECTED) if name in traces):
        assert left[sign][1 if sign in SEEN else 2] == 0.0
    assert kept["border_mm"][1] > 0.5
    np.testing.assert_array_equal(left["border_mm"][[0, 2, 3]], kept["border_mm"][[0, 2, 3]])
    assert np.flatnonzero(left["label left out"]).tolist() == [1]


@pytest.mark.filterwarnings("error")
def test_measured_points_at_one_place_do_not_tell_a_turn(scene):
    """They say where the hand is and not how it is turned; in other frames both are told."""
    points = np.array(scene.keypoints3d["hand"], dtype=float)
    points[1, :, :3] = points[1, 0, :3]
    found = find_traces(result_of(replace(scene, keypoints3d={"hand": points})))["hand"]
    assert np.isfinite(found["measured_mm"]).all()
    assert np.flatnonzero(np.isnan(found["measured_deg"])).tolist() == [1]


def test_doubt_grows_with_every_sign(scene):
    """No weight is negative, and a larger trace never lowers doubt."""
    for weights in WEIGHTS.values():
        assert min(weight for name, weight in weights.items() if name) > 0.0
        assert weights[""] < -3.0
    for given in (scene, pictures_alone(scene)):
        traces = find_traces(result_of(given))["box"]
        least = doubt_of(signs("box", traces, (), {}))
        for trace in ("border_mm", "sigma_deg", "measured_middle_mm", "inside_mm"):
            more = doubt_of(signs("box", traces | {trace: traces[trace] + 40.0}, (), {}))
            assert (more >= least).all(), trace
            told = np.isfinite(traces[trace]) & (more > least + 0.002)
            assert told.all() == np.isfinite(traces[trace]).all() or trace == "border_mm", trace


def test_verdicts_are_written(scene, tmp_path):
    """Into poses.npz, which reads as before, metrics.json, history.csv and the report."""
    result = judged(result_of(scene, box=np.array([0.05, 0.0, 0.0])))
    result = replace(result, history={"stage": np.zeros(3), "contour": np.ones(3)})
    save_result(result, tmp_path, video=False, usd=False, report=True)
    with np.load(tmp_path / "poses.npz") as arrays:
        for name in ("hand", "box"):
            for field in ("doubt", "status", "reasons"):
                np.testing.assert_array_equal(arrays[f"{name}/{field}"], getattr(result.verdicts[name], field))
    load_poses(tmp_path / "poses.npz", [body.body for body in scene.bodies])
    written = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))["verdicts"]
    assert written["box"]["frames"]["ok"] == 0
    assert written["box"]["status"] == result.verdicts["box"].status.tolist()
    assert written["hand"]["frames"]["ok"] == np.sum(result.verdicts["hand"].status == "ok")
    lines = (tmp_path / "history.csv").read_text(encoding="utf-8").splitlines()
    columns = lines[0].split(",")
    assert float(lines[-1].split(",")[columns.index("doubt/box")]) == pytest.approx(result.verdicts["box"].doubt.mean())
    assert lines[1].split(",")[columns.index("doubt/box")] == "nan"
    assert "Whether it is believed" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_printed_table_counts_frames(scene):
    """A row per body, a column per status."""
    result = judged(result_of(scene, box=np.array([0.05, 0.0, 0.0])))
    lines = format_verdicts({name: verdict.counts() for name, verdict in result.verdicts.items()}).splitlines()
    assert lines[0].split()[-3:] == ["ok", "suspect", "lost"]
    rows = {line.split()[0]: [int(word) for word in line.split()[1:]] for line in lines[1:]}
    assert set(rows) == {"hand", "box"}
    assert rows["box"][0] == 0
    assert [sum(row) for row in rows.values()] == [FRAMES, FRAMES]
    assert format_verdicts({}) == ""


def test_strict_tells_a_bad_fit_by_the_exit_code(scene, capsys):
    """3 where it fits badly, with a line that says why; else, and where it was not asked for, 0."""
    right, wrong = judged(result_of(scene)), judged(result_of(scene, box=np.array([0.05, 0.0, 0.0])))
    assert [exit_code(right, strict=True), exit_code(wrong, strict=True), exit_code(wrong)] == [0, 3, 0]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("warpprior: fits badly: box;")


def test_weights_tell_what_signs_tell():
    """Of two signs, one of them telling and one of noise, with truth by the known odds."""
    random = np.random.default_rng(0)
    telling, noise = random.exponential(size=4000), random.exponential(size=4000)
    wrong = random.random(4000) < 1.0 / (1.0 + np.exp(3.0 - 2.0 * telling))
    weights = fit_weights({"telling": telling, "noise": noise}, wrong, np.arange(4000) // 12)
    assert weights["telling"] == pytest.approx(2.0, abs=0.3)
    assert weights.get("noise", 0.0) < 0.2
    assert weights[""] == pytest.approx(-3.0, abs=0.4)
    assert area_under_curve(telling, wrong) > 0.7
    assert area_under_curve(noise, wrong) == pytest.approx(0.5, abs=0.05)
    assert area_under_curve(wrong.astype(float), wrong) == 1.0


def test_the_table_counts_what_is_found(scene):
    """A right estimate and one that is 6 cm aside: all found, no alarm; what leaves no trace stands apart."""
    sequence = Sequence("lift", "", scene, scene, 3)
    rows = []
    for fault, moved, traced in (("", 0.0, True), ("aside", 0.06, True), ("alike", 0.06, False)):
        result = result_of(scene, box=np.array([moved, 0.0, 0.0]))
        row = {"name": "lift", "fault": fault, "traced": traced, "moved": False}
        rows.append(row | described(result, errors(sequence, result)))
    assert rows[0]["bodies"]["box"]["wrong"] == [0] * FRAMES
    assert rows[1]["bodies"]["box"]["wrong"] == [1] * FRAMES
    lines = list(table(rows))
    assert lines[0].startswith("3 sequences, 0 of them refused before computing, 2 that can be told")
    assert lines[1].endswith(f"{4 * FRAMES} frames of bodies, {FRAMES} of them wrong")
    assert "found 100.0%" in lines[2]
    figures = {line.split()[0]: line.split()[1:] for line in lines[8:]}
    assert figures["aside"][:4] == ["1", str(FRAMES), str(FRAMES), "100.0%"]
    assert figures["none"][:5] == ["1", "0", str(2 * FRAMES), "-", "0.0%"]
    assert "alike*" in figures


def test_faults_make_scenes_that_differ_and_sequences_go_on_where_they_were_left(scene):
    """Each fault changes the evidence or the first guess; the fourth sequence is the fourth, whatever was skipped."""
    for name, fault in OWN_FAULTS.items():
        if "another thing" in name:
            continue  # of frames that this scene does not have
        changed = fault(scene)
        same = np.array_equal(changed.labels, scene.labels) and all(
            np.array_equal(getattr(one.initial, field), getattr(other.initial, field))
            for one, other in zip(changed.bodies, scene.bodies, strict=True)
            for field in ("position", "rotation")
        )
        assert not same, name
    (late,) = sequences(4, 50, skip=3)
    assert late.name.endswith(" 51")
    assert late.fault == ""
    assert is_wrong(np.array([5.0, 25.0, 5.0]), np.array([5.0, 5.0, 25.0])).tolist() == [False, True, True]
