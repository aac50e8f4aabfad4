"""The examples run as they are printed, on few frames."""

import runpy
import sys
from pathlib import Path

import pytest

import warpprior
from tests.mano_files import mano_arrays, published, python2_pickle

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """``run(name, *arguments)`` runs an example as a program, in an empty folder."""

    def run_example(name, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")

    return run_example


def test_refine_a_folder(run, tmp_path, capsys):
    """A scene folder becomes a result folder with a report and a stage, and the masks fit better."""
    scene = warpprior.simulate("robot_lift", frame_count=12)
    warpprior.save_scene(scene, tmp_path / "scene")
    run("01_refine_a_folder.py", tmp_path / "scene", "--output-dir", "out", "--device", "cpu", "--num-frames", 8)
    before, after = (float(words.split()[0]) for words in capsys.readouterr().out.split("IoU ")[1].split(", ")[:2])
    assert after > before
    assert {"report.html", "poses.npz"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_simulate_and_refine(run, capsys):
    """The bottle ends nearer to the truth than it started."""
    run("02_simulate_and_refine.py", "--num-frames", 6, "--device", "cpu")
    before, after = (float(line.split("off by")[1].split()[0]) for line in capsys.readouterr().out.splitlines()[-2:])
    assert after < 0.3 * before


def test_export_usd(run, tmp_path, capsys):
    """A stage with contacts that passes its checks."""
    pytest.importorskip("pxr", reason="OpenUSD is not installed")
    run("03_export_usd.py", "--num-frames", 6, "--output", "lift.usdc")
    printed = capsys.readouterr().out
    assert "no findings" in printed and "1 pair(s)" in printed
    assert (tmp_path / "lift.usdc").is_file()


def test_scene_from_arrays(run, capsys):
    """The parcel comes back to within a millimetre or so."""
    run("04_scene_from_arrays.py", "--num-frames", 8, "--device", "cpu")
    before, after = (float(line.split()[-2]) for line in capsys.readouterr().out.splitlines()[-2:])
    assert after < 2.0 < before


def test_own_term(run, capsys):
    """The table holds the parcel up, and has a column of its own in the history."""
    run("10_own_term.py", "--num-frames", 6, "--device", "cpu")
    lines = [line for line in capsys.readouterr().out.splitlines() if "below it" in line]
    without, with_it = (float(line.split("below it, ")[1].split()[0]) for line in lines)
    assert with_it < 0.4 * without
    assert lines[1].endswith(", table") and not lines[0].endswith("table")


def test_hand_and_mug(run, tmp_path, capsys):
    """Both get better, and a result folder is written."""
    run("05_hand_and_mug.py", "--num-frames", 6, "--device", "cpu", "--output-dir", "out")
    lines = [line for line in capsys.readouterr().out.splitlines() if "off by" in line]
    before, after = ([float(part.split()[0]) for part in line.split("by")[1:]] for line in lines)
    assert after[0] < 0.6 * before[0] and after[1] < 0.2 * before[1]
    assert {"report.html", "poses.npz"} <= {path.name for path in (tmp_path / "out").iterdir()}


@pytest.mark.parametrize("side", ["right", "left"])
def test_keypoints_only(run, capsys, side):
    """Depth, turn and fingers come back from keypoints."""
    run("06_keypoints_only.py", "--num-frames", 8, "--side", side, "--device", "cpu")
    lines = capsys.readouterr().out.splitlines()[-2:]
    before, after = ([float(part.split()[0]) for part in line.split("by")[1:]] for line in lines)
    assert after[0] < 0.4 * before[0] and after[1] < 0.4 * before[1]


def test_mano_hand(run, tmp_path, capsys):
    """A file in MANO's layout is read and refined; without one the example says where it comes from."""
    run("07_mano_hand.py", "--device", "cpu")
    assert "mano.is.tue.mpg.de" in capsys.readouterr().out
    (tmp_path / "MANO_LEFT.pkl").write_bytes(python2_pickle(published(mano_arrays("left")), 2))
    run("07_mano_hand.py", "MANO_LEFT.pkl", "--num-frames", 6, "--device", "cpu")
    lines = capsys.readouterr().out.splitlines()[-2:]
    before, after = ([float(part.split()[0]) for part in line.split("by")[1:]] for line in lines)
    assert after[0] < 0.3 * before[0] and after[1] < 0.3 * before[1]


def test_track_online(run, tmp_path, capsys):
    """Though masks come late, the bottle is found and predicted, held in the end, and the state is in a file."""
    run("09_track_online.py", "--num-frames", 45, "--state", "end.npz")
    lines = capsys.readouterr().out.splitlines()
    off = [float(line.split(" mm")[0].split()[-1]) for line in lines if "mm" in line and " s  " in line]
    first = float(next(line for line in lines if "first pose" in line).split("off by")[1].split()[0])
    last = float(lines[-1].split("off by")[1].split()[0])
    assert len(off) == 8 and last < 5.0 < 0.2 * first
    assert "the bottle is held by" in lines[-2]
    assert (tmp_path / "end.npz").is_file()


def test_own_tape(run, capsys):
    """Along the gradient the parcel comes back to within a millimetre."""
    run("11_own_tape.py", "--num-frames", 4)
    off = [float(line.split()[-2]) for line in capsys.readouterr().out.splitlines() if line.startswith("step")]
    assert off[0] > 19.0 and off[-1] < 1.0


def test_torch_loop_without_torch(run, capsys, monkeypatch):
    """It says in one sentence what to install; with torch it is tested by `make test-torch`."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SystemExit, match=r"pip install 'warpprior\[torch\]'"):
        run("12_torch_loop.py")


def test_every_example_is_tested():
    """No example without a test above."""
    text = Path(__file__).read_text(encoding="utf-8")
    assert [path.name for path in EXAMPLES.glob("*.py") if path.name not in text] == []


def test_hand_of_vertices(run, tmp_path, capsys):
    """The bottle comes to where the surface of the hand holds it."""
    run("08_hand_of_vertices.py", "--num-frames", 8, "--device", "cpu", "--output", "hand.npz")
    before, after = (float(line.split()[-2]) for line in capsys.readouterr().out.splitlines()[-2:])
    assert after < 0.1 * before
    assert (tmp_path / "hand.npz").is_file()
