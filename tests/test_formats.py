"""The table of formats, its places on the command line, and what import, export and repair do with them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import warpprior
from tests.format_files.samples import object_of, simulated, write_mano
from tests.format_files.v2d import write_run
from tests.small_scene import write_scene
from warpprior.cli import commands, main
from warpprior.cli.places import formats_named
from warpprior.formats import (
    Format,
    Place,
    Recording,
    all_formats,
    guess_format,
    read,
    register_format,
    registry,
    write,
)
from warpprior.formats.place import make_options
from warpprior.formats.table import markdown_table, option_lines
from warpprior.io import load_scene
from warpprior.io.world import CameraPath, World
from warpprior.support.errors import InputError
from warpprior.support.limits import number, without_range
from warpprior.support.options import option

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of video_to_data without moving camera, whose object is 2 cm off."""
    folder = tmp_path_factory.mktemp("formats") / "clip"
    write_run(folder, variants=("result",))
    return folder


@dataclass(frozen=True)
class BoxOptions:
    """Options of a format made here."""

    box_rate: float = option("frames per second", number(25.0, 1.0, 100.0))


class BoxFormat(Format):
    """A format in one class: the scene of a folder whose name ends in .box."""

    name = "box"
    title = "a folder of boxes"
    reads = "scene.toml"
    Options = BoxOptions

    def recognises(self, path):
        return "its name" if path.suffix == ".box" else ""

    def read(self, source, options):
        scene = load_scene(source)
        return Recording(replace(scene, fps=options.box_rate, warnings=("a box",)))


@pytest.fixture
def box(tmp_path):
    """The format entered, and a folder of it."""
    register_format(BoxFormat())
    yield write_scene(tmp_path / "a.box")
    del registry.FORMATS["box"]


def test_a_format_is_one_class(box, tmp_path, capsys):
    """Registered, it is listed, guessed, read with its options, and taken by commands in the place of a scene."""
    assert "box" in [one.name for one in all_formats()]
    recording = read(f"box:{box}", box_rate=50.0)
    assert recording.scene.fps == 50.0 and recording.origin.options == {"box_rate": 50.0}
    assert main(["import", "box", str(box), "--output-dir", str(tmp_path / "s"), "--box-rate", "40"]) == 0
    assert "a box" in capsys.readouterr().out
    assert load_scene(tmp_path / "s").fps == 40.0 and "a box" in load_scene(tmp_path / "s").warnings
    assert main(["export", f"box:{box}", "--format", "scene", "--output-dir", str(tmp_path / "t")]) == 0
    assert load_scene(tmp_path / "t").fps == 25.0
    with pytest.raises(SystemExit):
        main(["import", "box", str(box), "--output-dir", str(tmp_path / "u"), "--box-rate", "0"])
    with pytest.raises(InputError, match="format box: boxrate: is no option of it; accepted: box_rate"):
        read(box, "box", boxrate=3.0)
    with pytest.raises(InputError, match="box_rate: 0.0; a number from 1 to 100"):
        make_options("box", {"box_rate": 0.0})
    with pytest.raises(InputError, match="format box: is read only; formats that are written: scene"):
        write(recording, tmp_path / "w", "box")


def test_packages_enter_formats_by_an_entry_point(monkeypatch):
    """A class under the group warpprior.formats; one that cannot be loaded is a warning and costs itself alone."""

    class Point:
        def __init__(self, name, made):
            self.name, self.value, self._made = name, f"strange:{name}", made

        def load(self):
            if isinstance(self._made, Exception):
                raise self._made
            return self._made

    points = [Point("broken", ImportError("no module")), Point("box", BoxFormat)]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points if group == "warpprior.formats" else [])
    monkeypatch.setattr(registry, "FORMATS", dict(registry.FORMATS))
    registry._enter_those_of_packages.cache_clear()
    with pytest.warns(UserWarning, match="format broken of strange:broken: no module"):
        assert registry.find_format("box").title == "a folder of boxes"
    registry._enter_those_of_packages.cache_clear()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (BoxFormat, "the class BoxFormat"),
        (type("Nameless", (Format,), {"name": "Not a word"})(), "its name is 'Not a word'"),
        (type("Second", (Format,), {"name": "v2d"})(), "there is one of that name"),
    ],
)
def test_what_cannot_be_entered_is_refused(wrong, says):
    """No instance, no name, a name that is taken."""
    with pytest.raises(InputError, match=says):
        register_format(wrong)


def test_every_format_says_what_it_is():
    """Titles, what is read or written, against what that was verified; options have ranges and names of their own."""
    named = {"scene", "scenes", "sources", "format"}  # commands with one of them may name a format
    fields_of = [{field.name for field in option_fields(one.Options)} for one in commands.load_commands().values()]
    taken = set().union(*(fields for fields in fields_of if fields & named))
    for one in all_formats():
        assert one.title and one.verified and (one.reads or one.writes), one.name
        assert without_range(one.Options()) == [], one.name
        clash = {field.name for field in option_fields(one.Options)} & taken
        assert not clash, f"{one.name}: {clash} are options of commands"
        assert all(flag.startswith("--") and meaning for flag, meaning in option_lines(one))


def option_fields(options):
    """Fields of a dataclass."""
    from dataclasses import fields

    return fields(options)


def test_the_docs_have_the_table():
    """docs/formats.md holds what ``warpprior formats --markdown`` prints, once, and no other table of formats."""
    lines = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8").splitlines()
    table = markdown_table().splitlines()
    start = lines.index(table[0])
    end = next(number for number in range(start, len(lines)) if not lines[number].startswith("|"))
    assert lines[start:end] == table and lines.count(table[0]) == 1


def test_a_place_is_a_folder_or_names_its_format(tmp_path, monkeypatch):
    """Paths with colons stay paths where they are there; what is neither is refused in one line."""
    monkeypatch.chdir(tmp_path)
    assert Place.parse("a/b") == Place(Path("a/b"))
    assert Place.parse("v2d:a/b") == Place(Path("a/b"), "v2d")
    assert Place.parse("scene:a") == Place(Path("a"))
    assert Place.parse("C:/data") == Place(Path("C:/data"))
    (tmp_path / "night:one").mkdir()
    assert Place.parse("night:one") == Place(Path("night:one"))
    with pytest.raises(InputError, match=r"format 'v2': there is none of that name; did you mean 'v2d'\? accepted: "):
        Place.parse("v2:a")
    with pytest.raises(InputError, match="v2d:: names no path"):
        Place.parse("v2d:")


def test_formats_are_found_in_the_words_of_a_command():
    """Before paths, behind --format and import; nothing is imported for that."""
    assert formats_named(["refine", "v2d:a", "b", "v2d:c"]) == ["v2d"]
    assert formats_named(["import", "clip", "a"]) == ["clip"]
    assert formats_named(["export", "a", "--format", "bop"]) == formats_named(["export", "--format=bop"]) == ["bop"]
    assert formats_named(["refine", "a"]) == formats_named([]) == []


def test_help_of_a_format_lists_its_options(capsys):
    """``import v2d --help`` and ``refine v2d:x --help`` do; ``refine --help`` does not."""
    for words, there in ((["import", "v2d"], True), (["refine", "v2d:x"], True), (["refine"], False)):
        with pytest.raises(SystemExit):
            main([*words, "--help"])
        assert ("--without-hands" in capsys.readouterr().out) == there
    assert main(["formats"]) == 0
    assert "v2d: a result bundle" in capsys.readouterr().out


def test_what_is_not_of_its_format_says_so(tmp_path, run, capsys):
    """In one line, with what was found and what is accepted."""
    scene = write_scene(tmp_path / "scene")
    cases = {
        ("refine", "v3d:x"): "format 'v3d': there is none of that name",
        ("refine", f"v2d:{tmp_path / 'none'}"): "does not exist",
        ("refine", f"v2d:{scene}"): "holds no result bundle",
        ("refine", str(run)): "is no scene folder but looks like v2d",
        ("import", "v2d"): "v2d of nothing",
        ("import", str(tmp_path)): "is of no format that is recognised",
        ("import", "v2d", str(scene)): "holds no result bundle",
    }
    for words, says in cases.items():
        try:
            code = main([*words, "--output-dir", str(tmp_path / "out")])
        except SystemExit as done:
            code = done.code
        said = capsys.readouterr().err
        assert code == 2 and says in said and "Traceback" not in said, words
        assert not (tmp_path / "out").exists()


def test_import_guesses_and_says_what(run, tmp_path, capsys):
    """And tells what it did; the folder can be checked, refined and exported at once."""
    words = ["import", str(run), "--output-dir", str(tmp_path / "s"), "--quiet"]
    assert main(words) == 2  # its hands need a model
    assert "MANO_RIGHT" in capsys.readouterr().err and not (tmp_path / "s").exists()
    assert guess_format(run)[0].name == "v2d"
    recording = read(run, without_hands=True)
    assert recording.notes[0].startswith("taken for v2d: a result bundle")
    assert main(["import", str(run), "--output-dir", str(tmp_path / "g"), "--without-hands"]) == 0
    assert "taken for v2d" in capsys.readouterr().out
    assert main(["import", "v2d", str(run), "--output-dir", str(tmp_path / "s"), "--without-hands"]) == 0
    said = capsys.readouterr().out
    assert "0.5 px were added" in said and "5 frames of object" in said
    scene = load_scene(tmp_path / "s")
    assert any("0.5 px were added" in note for note in scene.warnings)
    text = (tmp_path / "s/scene.toml").read_text()
    assert "[source.options]\nwithout_hands = true" in text and 'camera_poses = "camera_poses.npz"' in text


def test_repair_writes_back_what_came(run, tmp_path, capsys):
    """The object is refined; all its poses are in the bundle that is written, and the bundle is read again."""
    out, result = tmp_path / "out", tmp_path / "result"
    words = ["repair", f"v2d:{run}", "--output-dir", str(out), "--without-hands", "--iterations", "4"]
    words += ["--device", "cpu", "--result-dir", str(result), "--no-check"]
    assert main(words) == 0
    assert "result: object in 5 frames written" in capsys.readouterr().out
    with np.load(result / "poses.npz") as stored:
        refined = stored["object/position"]
    with np.load(out / "result/result.npz") as stored, np.load(run / "outputs/result/result.npz") as before:
        assert np.abs(stored["object_to_camera_transform"][:, :3, 3] - refined).max() < 1e-6
        assert np.array_equal(stored["hand_left_finger_pose"], before["hand_left_finger_pose"])
    record = json.loads((result / "config.json").read_text())["scene"]["source"]
    assert record["format"] == "v2d" and record["options"] == {"without_hands": True}
    assert main(["export", str(result), "--format", "v2d", "--output-dir", str(tmp_path / "again"), "--quiet"]) == 0
    first, second = (folder / "result/result.npz" for folder in (out, tmp_path / "again"))
    assert first.read_bytes() == second.read_bytes()
    assert main(["repair", f"v2d:{run}", "--output-dir", str(run / "outputs"), "--without-hands"]) == 2


def test_a_scene_folder_keeps_camera_poses_and_gravity(tmp_path):
    """And check --fix, which writes it anew, does too."""
    scene = simulated()
    steps = np.arange(scene.frame_count)[:, None]
    path = CameraPath(0.01 * steps * [1.0, 0.0, 2.0], np.tile([0.0, 0.0, 0.0, 1.0], (len(steps), 1)), steps[:, 0] != 2)
    recording = Recording(scene, World(path, np.array([0.0, 0.6, 0.8])))
    write(recording, tmp_path / "a", "scene")
    again = read(tmp_path / "a")
    assert np.array_equal(again.world.camera.position, path.position) and np.allclose(
        again.world.gravity, [0, 0.6, 0.8]
    )
    assert list(np.flatnonzero(~again.world.camera.valid)) == [2] and again.world.camera.moves
    assert again.first_frames(2).world.camera.frame_count == 2
    write(again, tmp_path / "b")
    assert (tmp_path / "b/camera_poses.npz").read_bytes() == (tmp_path / "a/camera_poses.npz").read_bytes()
    text = (tmp_path / "a/scene.toml").read_text().replace("gravity = [0.0, 0.6, 0.8]", "gravity = [0, 0, 0]")
    (tmp_path / "a/scene.toml").write_text(text)
    with pytest.raises(InputError, match="gravity: is zero"):
        read(tmp_path / "a")


def test_overwriting_deletes_nothing_strange(tmp_path, run):
    """A folder that holds something else is not replaced."""
    recording = read(run, without_hands=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    for name in ("v2d", "scene"):
        with pytest.raises(InputError, match="letter.txt|holds something that is not v2d"):
            write(recording, tmp_path / "mine", name, overwrite=True)
    with pytest.raises(InputError, match="holds what was read"):
        write(recording, run / "outputs", overwrite=True)


def test_what_is_gone_cannot_be_written_back(run, tmp_path):
    """Nor is anything else written in its stead."""
    shutil.copytree(run, tmp_path / "clip")
    recording = read(tmp_path / "clip", without_hands=True)
    shutil.rmtree(tmp_path / "clip")
    with pytest.raises(InputError, match="is not there any more"):
        write(recording, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_mirrored_hands_are_mirror_images(tmp_path):
    """A left hand of the right one's file, in scene folders too."""
    models = write_mano(tmp_path)
    right, left = (warpprior.read_mano(tmp_path / "MANO_RIGHT.npz", mirrored=mirrored) for mirrored in (False, True))
    assert left.side == "left" and np.allclose(left.vertices, right.vertices * [-1, 1, 1], atol=1e-7)
    assert np.allclose(left.shape_directions, right.shape_directions * np.array([-1, 1, 1])[:, None], atol=1e-7)
    assert models["right"]["v_template"].shape == (778, 3) and object_of(simulated()).body.is_rigid
    with pytest.raises(InputError, match="is given with mirrored"):
        warpprior.read_mano(tmp_path / "MANO_RIGHT.npz", mirrored=True, correct_left_shape=True)
