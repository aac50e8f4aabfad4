"""Many scenes in one process: a result folder and a line each, whatever becomes of others."""

import numpy as np
import pytest
from small_scene import write_scene

import warpprior
from warpprior.cli import main
from warpprior.cli.many import folder_names, worst
from warpprior.formats import Place
from warpprior.refinement.together import Together
from warpprior.support.errors import InputError


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Two scenes, and between them one without its mesh."""
    root = tmp_path_factory.mktemp("many")
    for name in ("one", "other"):
        write_scene(root / name)
    broken = write_scene(root / "broken")
    next(broken.glob("*.obj")).unlink()
    return [root / "one", broken, root / "other"]


def test_a_scene_that_fails_does_not_stop_the_others(places, tmp_path, capsys):
    """The poses are those of a command of its own; a line says how each fits; the exit code is the worst."""
    words = ["--device", "cpu", "--iterations", "2", "--num-frames", "2"]
    out = tmp_path / "out"
    assert main(["refine", *map(str, places), "--output-dir", str(out), *words]) == 2
    said = capsys.readouterr()
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["one", "other"]
    lines = said.out.splitlines()[-3:]
    assert [line.partition(": ")[0] for line in lines[:2]] == [str(out / "one"), str(out / "other")]
    assert all("2 frames in" in line for line in lines[:2]) and lines[2] == "2 of 3 scenes refined"
    assert said.err.count("error: broken:") == 1
    assert main(["refine", str(places[2]), "--output-dir", str(tmp_path / "alone"), "--quiet", *words]) == 0
    with np.load(out / "other" / "poses.npz") as many, np.load(tmp_path / "alone" / "poses.npz") as alone:
        assert set(many) == set(alone)
        for key in alone:
            np.testing.assert_array_equal(many[key], alone[key])
    capsys.readouterr()
    assert main(["refine", *map(str, places), "--output-dir", str(out), "--resume", *words]) == 2
    assert capsys.readouterr().out.count("complete: nothing to resume") == 2


def test_folders_from_python(places, tmp_path):
    """What became of each is told as it comes, and returned; nothing of it is raised."""
    told = []
    settings = warpprior.RefineSettings(iterations=1)
    found = warpprior.refine_folders(places[1:], tmp_path, settings, num_frames=2, device="cpu", told=told.append)
    assert found == told and [one.exit_code for one in found] == [2, 0]
    assert found[0].scene == places[1] and str(places[1]) in found[0].said
    assert found[1].output_dir == tmp_path / "other" and (tmp_path / "other" / "report.html").is_file()
    again = warpprior.refine_folders([places[2]], tmp_path, settings, num_frames=2, device="cpu")
    assert [one.exit_code for one in again] == [2] and "not empty" in again[0].said


def test_folders_that_go_together(places, tmp_path):
    """One fails, one is there already, the others are refined in the same launches: the same files as by themselves."""
    settings, how = warpprior.RefineSettings(iterations=2), {"num_frames": 2, "device": "cpu"}
    alone = warpprior.refine_folders(places, tmp_path / "alone", settings, **how, together=False)
    told = []
    out = tmp_path / "together"
    found = warpprior.refine_folders(places, out, settings, **how, together=True, told=told.append)
    assert found == told and sorted(one.exit_code for one in found) == [0, 0, 2]
    assert {one.scene for one in found} == {one.scene for one in alone}
    for name in ("one", "other"):
        with np.load(out / name / "poses.npz") as ours, np.load(tmp_path / "alone" / name / "poses.npz") as theirs:
            assert set(ours) == set(theirs)
            for key in theirs:
                np.testing.assert_array_equal(ours[key], theirs[key])
    found = warpprior.refine_folders(places, out, settings, **how, together=True, resume=True)
    assert [one.said for one in found if one.exit_code == 0] == ["complete: nothing to resume"] * 2


def test_what_is_wrong_for_all_is_said_of_each(places, tmp_path):
    """A size of memory that is none."""
    how = {"num_frames": 2, "device": "cpu", "together": True, "memory": "much"}
    found = warpprior.refine_folders([places[0], places[2]], tmp_path, warpprior.RefineSettings(iterations=1), **how)
    assert [one.exit_code for one in found] == [2, 2] and all("much" in one.said for one in found)


def test_ctrl_c_among_folders_that_go_together(places, tmp_path, monkeypatch):
    """The best so far of all that had begun is written, and can be resumed."""

    def stop(self, number, clips, report):
        raise KeyboardInterrupt

    settings, how = warpprior.RefineSettings(iterations=2), {"num_frames": 2, "device": "cpu", "together": True}
    monkeypatch.setattr(Together, "run", stop)
    found = warpprior.refine_folders([places[0], places[2]], tmp_path, settings, **how)
    assert [one.exit_code for one in found] == [130, 130]
    monkeypatch.undo()
    found = warpprior.refine_folders([places[0], places[2]], tmp_path, settings, **how, resume=True)
    assert [one.exit_code for one in found] == [0, 0] and "nothing" not in found[0].said


def test_what_nobody_expected_is_one_scene_s_too(places, tmp_path, monkeypatch):
    """An error of a library is told as the program tells it; Ctrl-C ends all of it."""
    calls = []

    def fail(self, *_, **__):
        calls.append(self)
        raise [ValueError("of a library"), KeyboardInterrupt()][len(calls) - 1]

    monkeypatch.setattr("warpprior.cli.refining.Asked.refined", fail)
    told = []
    with pytest.raises(KeyboardInterrupt):
        warpprior.refine_folders(places[::2], tmp_path, told=told.append)
    assert [one.exit_code for one in told] == [1] and "ValueError: of a library" in told[0].said

    def interrupted(*_, **__):
        yield from ()
        return 130, "interrupted"

    monkeypatch.setattr("warpprior.cli.refining.folder_work", interrupted)
    assert len(warpprior.refine_folders(places, tmp_path)) == 1


def test_names_tell_scenes_apart(tmp_path):
    """The folder's own name where that does, else with what is above it; the same scene twice is refused."""
    assert list(folder_names(["a/mug", "b/drill"]).values()) == ["mug", "drill"]
    assert list(folder_names(["a/scene", "b/scene"]).values()) == ["a-scene", "b-scene"]
    assert folder_names([tmp_path / "x", tmp_path / "y" / "x"]) == {
        Place(tmp_path / "x"): f"{tmp_path.name}-x",
        Place(tmp_path / "y" / "x"): "y-x",
    }
    with pytest.raises(InputError, match="given twice"):
        folder_names([tmp_path / "x", tmp_path / "y" / ".." / "x"])
    assert [worst(codes) for codes in ([], [0, 3], [3, 2, 0], [2, 1], [1, 130])] == [0, 3, 2, 1, 130]


def test_initial_poses_are_of_one_scene(places, tmp_path, capsys):
    """Poses to start from belong to one scene."""
    words = ["--output-dir", str(tmp_path / "out"), "--initial", str(tmp_path)]
    assert main(["refine", *map(str, places), *words]) == 2
    assert "--initial: given for 3 scenes" in capsys.readouterr().err
