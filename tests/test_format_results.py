"""Results as the scorers of HO-3D and DexYCB take them, read here the way those do."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from tests.format_files import dexycb, ho3d
from tests.format_files.samples import FRAMES, transforms
from warpprior.bodies import posed_keypoints
from warpprior.cli.program import main
from warpprior.formats import read, write
from warpprior.formats.parts.dexycb_results import Split
from warpprior.support.errors import InputError

HO3D_FROM_OPENPOSE = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]


def two_sequences(root):
    """SM1 and MPM10 of HO-3D's evaluation split, and the list of their frames, which mixes them; vertices of each."""
    made = {name: ho3d.write_sequence(root, name=f"evaluation/{name}") for name in ("SM1", "MPM10")}
    lines = [f"{name}/{frame:04d}" for frame in (3, 0, 4, 1, 2) for name in ("SM1", "MPM10")]
    (root / "evaluation.txt").write_text("\n".join([*lines, ""]))
    return [folder for folder, _ in made.values()], lines, made["SM1"][1]["hand"]


def scored(path, count):
    """What HO-3D's eval.py makes of a file: joints (frame, 21, 3) and vertices (frame, n, 3)."""
    pred = json.loads(path.read_text())
    assert len(pred) == 2 and len(pred[0]) == len(pred[1]) == count
    return np.array(pred[0]), np.array(pred[1])


def test_ho3d_predictions_are_in_the_order_of_the_scorer(tmp_path):
    """Of two sequences in one file: OpenGL's axes, MANO's order of joints and then the tips, all in metres."""
    folders, lines, vertices = two_sequences(tmp_path)
    recordings = [read(folder, mano=tmp_path / "mano") for folder in folders]
    said = write(recordings, tmp_path / "out")
    assert "10 frames of 2 sequences" in said[0] and len(said) == 1
    joints, surfaces = scored(tmp_path / "out/pred.json", 10)
    for row, line in enumerate(lines):
        frame = int(line.rpartition("/")[2])
        assert np.abs(surfaces[row] @ ho3d.FLIP - vertices[frame]).max() < 1e-6
        item = recordings[0].scene.body("hand_right")
        places = posed_keypoints(item.body, item.initial)[frame][HO3D_FROM_OPENPOSE]
        assert np.abs(joints[row] @ ho3d.FLIP - places).max() < 1e-6
    assert (joints[..., 2] < 0.0).all()
    assert (tmp_path / "out/frames.txt").read_text().split() == lines


def test_ho3d_frames_that_were_not_estimated_stay_as_they_were(tmp_path):
    """Byte for byte, of the file that is named; without one, what is missing is said, or refused with --order."""
    folders, lines, _ = two_sequences(tmp_path)
    recording = read(folders[0], mano=tmp_path / "mano")
    said = write(recording, tmp_path / "alone")
    assert any("names 5 more, which the scorer needs" in sentence for sentence in said)
    assert (tmp_path / "alone/frames.txt").read_text().split() == lines[::2]
    with pytest.raises(InputError, match="names 5 frames that were not estimated"):
        write(recording, tmp_path / "no", order=tmp_path / "evaluation.txt")
    odd = [[[[0.1, 2e-1, -0.25]] * 21] * 10, [[[1.0, 2.0, -3.0000000001]] * 778] * 10]
    (tmp_path / "other.json").write_text(json.dumps(odd))
    said = write(recording, tmp_path / "filled", fill=tmp_path / "other.json")
    assert any("5 frames as" in sentence for sentence in said)
    text = (tmp_path / "filled/pred.json").read_text()
    assert text.count(json.dumps(odd[1][0])) == text.count(json.dumps(odd[0][0])) == 5
    joints, _ = scored(tmp_path / "filled/pred.json", 10)
    assert np.allclose(joints[1], [0.1, 0.2, -0.25]) and not np.allclose(joints[0], [0.1, 0.2, -0.25])
    for text, message in (("[[], []]", "has 0 entries"), ("[[", "no list of two lists"), ('{"a": 1}', "no list of")):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(InputError, match=message):
            write(recording, tmp_path / "bad", fill=tmp_path / "other.json")
    with pytest.raises(InputError, match="SM1/0000: is in two recordings"):
        write([recording, recording], tmp_path / "twice")
    with pytest.raises(InputError, match="has no hand_right"):
        write(read(folders[0], without_hands=True), tmp_path / "none")


def test_ho3d_starts_from_predictions_and_writes_them_back(tmp_path):
    """The evaluation split has no hand: MANO is fitted to the vertices of a file, to a tenth of a millimetre."""
    folders, _, _ = two_sequences(tmp_path)
    recording = read(folders[0], mano=tmp_path / "mano")
    write([recording, read(folders[1], mano=tmp_path / "mano")], tmp_path / "net")
    given = tmp_path / "net/pred.json"
    started = read(folders[0], "ho3d", mano=tmp_path / "mano", predictions=given)
    assert any("starts from pred.json: MANO fitted" in note for note in started.notes)
    assert started.scene.body("hand_right").truth is not None
    write(started, tmp_path / "back")
    (before, after) = (scored(place, 10)[1] for place in (given, tmp_path / "back/pred.json"))
    assert np.abs(after - before).max() < 2e-4
    assert np.array_equal(after[1::2], before[1::2])  # of the other sequence: as they stood


def test_several_results_are_exported_into_one_file(tmp_path, capsys):
    """``export RESULT RESULT --format ho3d``; formats of one sequence refuse several; a stage has takes."""
    folders, _, _ = two_sequences(tmp_path)
    for folder in folders:
        words = ["import", "ho3d", str(folder), "--mano", str(tmp_path / "mano"), "--quiet"]
        assert main([*words, "--output-dir", str(tmp_path / folder.name)]) == 0
    scenes = [str(tmp_path / folder.name) for folder in folders]
    assert main(["export", *scenes, "--format", "ho3d", "--output-dir", str(tmp_path / "out")]) == 0
    assert "10 frames of 2 sequences" in capsys.readouterr().out
    scored(tmp_path / "out/pred.json", 10)
    assert main(["export", *scenes, "--format", "foundationpose", "--output-dir", str(tmp_path / "no")]) == 2
    assert "2 recordings at once" in capsys.readouterr().err
    assert main(["export", *scenes, "--poses", "a.npz", "--output", str(tmp_path / "a.usdc")]) == 2
    assert "2 of them with --poses" in capsys.readouterr().err
    assert main(["export", scenes[0], scenes[0], "--output", str(tmp_path / "a.usdc")]) == 2
    assert "is given twice" in capsys.readouterr().err
    usd = pytest.importorskip("pxr.Usd", reason="OpenUSD is not installed")
    assert main(["export", *scenes, "--output", str(tmp_path / "a.usdc")]) == 0
    stage, said = usd.Stage.Open(str(tmp_path / "a.usdc")), capsys.readouterr().out
    names = stage.GetPrimAtPath("/World").GetVariantSet("take").GetVariantNames()
    assert len(names) == 2 and all(name in said for name in names)


def first_sample():
    """Numbers of the first sample and of the scene of subject 3's fifth sequence and the first camera in s0 test."""
    names = sorted(f"2020070{subject % 10}-subject-{subject:02d}" for subject in range(1, 11))
    chosen = [int(name[-2:]) for name in names[2:]]
    before = 0
    for subject in chosen:
        for row in range(4, 100, 5):
            if (subject, row) == (3, 4):
                return before, chosen.index(3) * 20 * 8
            before += 8 * dexycb.COUNTS[f"{subject:02d}-{row:02d}"]
    raise AssertionError("it is in the split")


def test_dexycb_results_have_the_numbers_of_samples(tmp_path):
    """Joints in millimetres by the sample's number; poses of keyframes by scene and image; read back as a start."""
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    sequence = dexycb.write_whole(tmp_path)
    recording = read(sequence, "dexycb", mano=tmp_path / "mano")
    said = write(recording, tmp_path / "out")
    assert "5 hands" in said[0] and "2 poses" in said[0] and "the scorers need all" in said[1]
    hand = recording.scene.body("hand_right")
    lines = [line.split(",") for line in (tmp_path / "out/hpe_s0_test.txt").read_text().splitlines()]
    first, scene = first_sample()
    assert [int(line[0]) for line in lines] == [first + frame for frame in range(FRAMES)]
    joints = np.array([line[1:] for line in lines], dtype=float).reshape(FRAMES, 21, 3)
    assert np.abs(joints - 1000.0 * posed_keypoints(hand.body, hand.initial)).max() < 1e-4
    rows = (tmp_path / "out/bop_s0_test.csv").read_text().splitlines()
    assert rows[0] == "scene_id,im_id,obj_id,score,R,t,time"
    truth = transforms(recording.scene.body("025_mug").initial)
    for row, frame in zip(rows[1:], (0, 4), strict=True):
        cells = row.split(",")
        assert [int(cell) for cell in cells[:3]] == [scene, frame, 14] and cells[6] == "-1"
        assert np.abs(np.array(cells[4].split(), dtype=float) - truth[frame, :3, :3].ravel()).max() < 1e-9
        assert np.abs(np.array(cells[5].split(), dtype=float) - 1000.0 * truth[frame, :3, 3]).max() < 1e-6
    given = {"results": tmp_path / "out/bop_s0_test.csv", "joints": tmp_path / "out/hpe_s0_test.txt"}
    again = read(sequence, "dexycb", mano=tmp_path / "mano", **given)
    item = again.scene.body("025_mug")
    assert np.abs(item.initial.position[[0, 4]] - truth[[0, 4], :3, 3]).max() < 1e-6
    assert list(np.flatnonzero(item.initial.imputed)) == [1, 2, 3] and item.truth is not None
    start = again.scene.body("hand_right")
    assert np.median(np.linalg.norm(posed_keypoints(start.body, start.initial) - joints / 1000.0, axis=2)) < 1e-3
    with pytest.raises(InputError, match="is not in s0 val"):
        write(recording, tmp_path / "other", split="val")
    shutil.rmtree(tmp_path / "20200704-subject-04/20200709_000001")
    with pytest.raises(InputError, match="has 99 sequences"):
        write(recording, tmp_path / "other")


@pytest.mark.parametrize(
    ("setup", "split", "subjects", "cameras", "sequences"),
    [
        *(("s0", "train", 10, 8, 80), ("s0", "val", 2, 8, 20), ("s0", "test", 8, 8, 20)),
        *(("s1", "test", 2, 8, 100), ("s2", "test", 10, 1, 100), ("s3", "test", 10, 8, 15), ("s3", "train", 10, 8, 75)),
    ],
)
def test_splits_of_dexycb_are_as_large_as_its_paper_says(setup, split, subjects, cameras, sequences):
    """Held-out sequences, subjects, cameras and objects."""
    found = Split.of(setup, split)
    assert (len(found.subjects), len(found.cameras), len(found.sequences)) == (subjects, cameras, sequences)
