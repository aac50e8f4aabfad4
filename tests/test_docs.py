"""What the documentation says is there: links, commands, options, settings and snippets."""

import importlib
import inspect
import re
import runpy
import shlex
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import warpprior
from tests.small_scene import ARM_URDF, BOX_FACES, BOX_VERTICES, write_image
from warpprior.cli import build_parser, main
from warpprior.cli import commands as commands_folder
from warpprior.cli.commands import load_command
from warpprior.cli.options import read_options
from warpprior.cli.places import formats_named
from warpprior.cli.refining import chosen_settings
from warpprior.support.overrides import apply_overrides, known_keys

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])


def page_text(name: str) -> str:
    """A page by its path in the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def snippets(page: str, language: str) -> list[str]:
    """Code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page_text(page), flags=re.DOTALL | re.MULTILINE)


def commands(text: str) -> set[str]:
    """Everything that calls the program: whole lines of code blocks, and code within a line."""
    blocks = re.findall(r"^```bash\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line.partition("#")[0] for block in blocks for line in block.splitlines()]
    found = [*lines, *re.findall(r"`([^`\n]+)`", text)]
    return {line.strip() for line in found if line.startswith("warpprior ")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Every relative link of a page names a file or folder of the repository."""
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_parse(page):
    """Every complete command is accepted by the parser; short ones at least exist."""
    for command in commands(page.read_text(encoding="utf-8")):
        words = shlex.split(command)[1:]
        if words == [words[0]] and words[0] not in ("demo", "info", "bench"):
            words = [words[0], "--help"]
            with pytest.raises(SystemExit) as ended:
                build_parser().parse_args(words)
            assert ended.value.code == 0, command
        else:
            build_parser(words[0], formats_named(words)).parse_args(words)


SETTINGS = {key.partition(".")[0] for key in known_keys(warpprior.RefineSettings()) if "." in key} | {"align", "polish"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_settings_exist(page):
    """Every ``key=value`` of the settings is accepted, in the order of the page, code by code."""
    for code in re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8")):
        pairs = [word for word in code.split() if re.fullmatch(rf"({'|'.join(SETTINGS)})\.[\w.]+=\S+", word)]
        apply_overrides(warpprior.RefineSettings(), pairs)


def test_the_readme_is_for_newcomers():
    """It stays short and leads to every page of the docs; tables and figures have pages of their own."""
    text = page_text("README.md")
    assert len(text.splitlines()) < 200
    stand_ins = {"index", "changelog", "contributing"}
    pages = {path.name for path in ROOT.glob("docs/*.md") if path.stem not in stand_ins}
    assert {page for page in pages if f"](docs/{page})" not in text} == set()


def test_every_page_is_on_the_site():
    """The contents of the site, which stand in the index, name every page, and no other."""
    for folder in ("docs", "docs/reference", "docs/sources"):
        blocks = re.findall(r"^```\{toctree\}\n(.*?)^```", page_text(f"{folder}/index.md"), re.DOTALL | re.MULTILINE)
        named = {line for block in blocks for line in block.splitlines() if line and not line.startswith(":")}
        there = {path.stem for path in ROOT.glob(f"{folder}/*.md")} - {"index"}
        assert named - {"reference/index", "sources/index"} == there


def test_every_public_name_is_described():
    """What the reference lists has a docstring of its own, and every module with a page is one that exists."""
    modules = [page_text(f"docs/reference/{path.name}") for path in ROOT.glob("docs/reference/*.md")]
    names = [name for text in modules for name in re.findall(r"^```\{api\} (warpprior\S*)$", text, re.MULTILINE)]
    assert "warpprior" in names
    for module in map(importlib.import_module, names):
        for name in getattr(module, "__all__", ()):
            text = inspect.getdoc(getattr(module, name)) or ""
            assert text and not text.startswith(f"{name}("), f"{module.__name__}.{name} has no docstring"


def test_tracking_is_tuned_by_settings_that_exist():
    """What the tables of the tracking page and its examples of ``--set`` name."""
    text = page_text("docs/tracking.md")
    table = text[text.index("## Tuning") : text.index("## From Python")]
    names = [name for row in table.splitlines() if row.startswith("| ") for name in re.findall(r"`([\w.]+)`", row)]
    pairs = re.findall(r"`(?:--set )?(\w+=\w+)`", text)
    assert len(names) > 15 and len(pairs) > 3
    known = warpprior.TrackSettings().as_dict()
    for name in names:
        value = known
        for part in name.split("."):
            value = value[part]
    apply_overrides(warpprior.TrackSettings(), pairs)


def test_tracking_from_python(capsys):
    """The programs of the tracking page run, on few frames."""
    own, live, code = snippets("docs/tracking.md", "python")
    values = {}
    exec(code.replace("images=False", "images=False, frame_count=4"), values)
    assert "mug" in values["estimate"].position and "belief/covariance" in values["state"]
    assert capsys.readouterr().out.strip()
    exec(own, values)
    tracker = warpprior.Tracker(values["scene"], observe=(), sensors=[values["RangeFinder"]()], device="cpu")
    found = tracker.step(warpprior.Observation(extra={"range": 0.5}), 0.0)
    assert found.innovations["range"].dof + found.innovations["range"].rejected == 1
    exec(live, values)
    assert values["ahead"].timestamp == 0.03 and values["ahead"].twist["bottle"].shape == (6,)


def named_files(page: str, folder: Path) -> None:
    """Write the code blocks of a page that begin with the name of a file."""
    for code in snippets(page, "python"):
        name = re.match(r"# (\w+\.py)\n", code)
        if name:
            (folder / name[1]).write_text(code.partition("\n")[2], encoding="utf-8")


@pytest.fixture
def extending(tmp_path, monkeypatch):
    """The page's files as modules, and its other programs, by a word that they contain."""
    named_files("docs/extending.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for path in tmp_path.glob("*.py"):
        monkeypatch.delitem(sys.modules, path.stem, raising=False)
    yield lambda word: next(
        code for code in snippets("docs/extending.md", "python") if word in code and not code.startswith("# ")
    )
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_terms_of_ones_own(extending, tmp_path):
    """The terms of the page run, by name, and their derivatives are right by the page's own recipe."""
    values = {}
    exec(extending("TablePlane(offset_m=-0.17)"), values)
    assert values["result"].history["table"].any() and values["result"].settings["table"]["offset_m"] == -0.17
    options = build_parser().parse_args(
        ["refine", "S", "--output-dir", "O", "--term", "table.py:TablePlane", "--set", "table.sigma_m=0.002"]
    )
    settings = chosen_settings(read_options(load_command("refine").Options, options))
    assert settings.terms[-1].sigma_m == 0.002

    exec(extending("def slopes"), values)
    bodies = tuple(replace(body, known=False) for body in values["scene"].bodies)
    robot = replace(values["scene"], bodies=bodies, labels=None, read_rgb=None)
    held, lifted = importlib.import_module("held"), importlib.import_module("lifted")
    joint = robot.body("hand").body.coordinate_names[0]
    for term in (
        settings.terms[-1],
        held.Level(sigma_m_s=0.1),
        held.Held(joint=joint, angle_rad=0.5),
        lifted.Lifted(offset_m=0.05, sigma_m=0.01),
    ):
        energy, rows, numeric = values["slopes"](robot, replace(term, weight=0.1))
        assert energy == pytest.approx(numeric, rel=0.02) and abs(numeric) > 0.0, term.name
        assert rows == pytest.approx(energy if "gauss_newton" in term.uses else 0.0, rel=1e-3, abs=1e-6), term.name


def test_a_sensor_and_a_command_of_ones_own(extending, tmp_path, monkeypatch, capsys):
    """The sensor of the page tracks, and its command, found in the folder of commands, lists the bodies of a scene."""
    values = {}
    exec(extending("warpprior.track"), values)
    assert values["result"].history["dof/marker"].sum() > 0.0 and np.isfinite(float(capsys.readouterr().out))

    warpprior.save_scene(values["scene"], tmp_path / "scene")
    folder = tmp_path / "commands"
    folder.mkdir()
    (tmp_path / "bodies.py").rename(folder / "bodies.py")
    monkeypatch.setattr(commands_folder, "__path__", [*commands_folder.__path__, str(folder)])
    assert main(["bodies", str(tmp_path / "scene"), "--sizes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["hand", "hand"], ["mug", "mesh"]]


def test_terms_can_be_left_out(capsys):
    """The row about ``--without`` and the help of ``refine`` list all terms and steps, and no other."""
    from warpprior.settings import STEPS, TERMS

    row = next(line for line in page_text("docs/commands.md").splitlines() if line.startswith("| `--without"))
    assert re.findall(r"`(\w+)`", row) == [*TERMS, *STEPS]
    with pytest.raises(SystemExit):
        build_parser().parse_args(["refine", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"leave out a term ({', '.join(TERMS)}) or a step ({', '.join(STEPS)})" in text


def test_the_method_has_the_terms_and_stages_that_there_are():
    """Its table of terms names each, with its file and the solvers that use it; that of stages has their numbers."""
    from warpprior.settings import LAST_OF_ADAM, STAGES
    from warpprior.terms import TERMS

    text = page_text("docs/method.md")
    rows = re.findall(r"^\| \[`(\w+)`\]\(\.\./warpprior/terms/(\w+)\.py\) \| .*? \| (.*?) \|", text, re.MULTILINE)
    words = {("gauss_newton", "adam"): "both", ("gauss_newton",): "Gauss-Newton", ("adam",): "Adam", (): "none"}
    assert [name for name, *_ in rows] == [file for _, file, _ in rows] == [term.name for term in TERMS]
    for (_, _, used), term in zip(rows, TERMS, strict=True):
        assert used.startswith(words[term().solvers])

    table = text[text.index("### Stages") : text.index("### Costs")]
    rows = re.findall(r"^\| `(\w+)`[^|]*\|(.*)\|$", table, re.MULTILINE)
    assert {name for name, _ in rows} == {field.name for field in fields(STAGES[0])} - {"name"}
    says = {"yes": 1.0, "no": 0.0, "off": 0.0}
    for name, cells in rows:
        for stage, cell in zip((*STAGES, LAST_OF_ADAM), map(str.strip, cells.split("|")), strict=True):
            assert not cell or float(says.get(cell, cell)) == float(getattr(stage, name)), (name, stage.name)


def test_own_data(tmp_path, monkeypatch):
    """The scene of the README, its pose and keypoint files, and the robot that may be added, are a scene."""
    (pair,), (robot,) = snippets("README.md", "toml"), snippets("docs/inputs.md", "toml")
    folder = tmp_path / "recordings" / "mug"
    (folder / "robot").mkdir(parents=True)
    (folder / "scene.toml").write_text(pair.replace("count = 60", "count = 2"), encoding="utf-8")
    (folder / "robot" / "robot.urdf").write_text(ARM_URDF, encoding="utf-8")
    lines = ["v {} {} {}".format(*corner) for corner in BOX_VERTICES]
    lines += ["f {} {} {}".format(*face) for face in BOX_FACES + 1]
    (folder / "mug.obj").write_text("\n".join(lines), encoding="ascii")
    image = np.zeros((480, 640), dtype=np.uint8)
    image[200:280, 280:360], image[200:280, 360:400] = 1, 2
    for frame in range(2):
        write_image(folder / "labels" / f"{frame:06d}.png", image)
    place, turn = np.tile([0.0, 0.0, 0.5], (2, 1)), np.tile([0.0, 0.0, 0.0, 1.0], (2, 1))
    values = {"mug_position": place, "mug_rotation": turn, "hand_position": place + np.array([0.1, 0.0, 0.0])}
    values.update(hand_rotation=turn, frame_count=2, detected=np.full((2, 21, 3), [330.0, 240.0, 0.5]))
    values["detected"][..., 0] += np.arange(21.0)
    monkeypatch.chdir(tmp_path)
    exec(next(code for code in snippets("README.md", "python") if "savez" in code), values)
    scene = warpprior.load_scene(folder)
    assert [(body.name, body.known) for body in scene.bodies] == [("hand", False), ("mug", False)]
    assert scene.warnings == () and scene.keypoints2d["hand"].shape == (2, 21, 3)
    (folder / "scene.toml").write_text(pair.replace("count = 60", "count = 2") + robot, encoding="utf-8")
    image[300:320, 300:320] = 3
    for frame in range(2):
        write_image(folder / "labels" / f"{frame:06d}.png", image)
    with np.load(folder / "initial.npz") as file:
        poses = {**file, "robot/position": place, "robot/rotation": turn, "robot/joints": np.zeros((2, 2))}
    np.savez(folder / "initial.npz", **poses, **{"robot/joint_names": np.array(["bend", "reach"])})
    scene = warpprior.load_scene(folder)
    assert [(body.name, body.known) for body in scene.bodies][2:] == [("robot", True)]
    assert scene.warnings == ()


def test_python_example(tmp_path, monkeypatch, capsys):
    """The example of the Python functions runs as printed, on few frames, and gets better."""
    monkeypatch.chdir(tmp_path)
    code = next(code for code in snippets("README.md", "python") if "warpprior.save_result" in code)
    exec(code.replace("frame_count=20", "frame_count=6"), {})
    before, after = (float(line.split()[1]) for line in capsys.readouterr().out.splitlines()[-2:])
    assert after < 0.2 * before
    assert (tmp_path / "out" / "lift" / "report.html").is_file()


def test_the_architecture_is_drawn_as_it_is():
    """The picture shows the floors that the laws hold: python docs/draw_architecture.py draws it anew."""
    values = runpy.run_path(str(ROOT / "docs" / "draw_architecture.py"), run_name="drawing")
    assert (ROOT / "docs" / "pictures" / "architecture.svg").read_text(encoding="utf-8") == values["drawing"]()
