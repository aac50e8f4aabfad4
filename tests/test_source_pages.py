"""The pages of docs/sources do what they say: their commands run on files in the layouts of the pages, and say so."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests import page_files
from warpprior.cli import main

ROOT = Path(__file__).resolve().parents[1] / "docs/sources"
MADE = {
    "hamer_sam2": page_files.loose_files,
    "video_to_data": page_files.video_to_data,
    "dexycb": page_files.dexycb_set,
    "ho3d": page_files.ho3d_set,
    "bop_hot3d": page_files.bop_and_hot3d,
    "cluster": page_files.many_clips,
    "moving_camera": page_files.moving_camera,
    "size": page_files.mesh_without_size,
}
ELSEWHERE = "# on "  # how blocks begin that are for other machines
QUICK = ("--iterations", "2", "--device", "cpu")  # for refine, repair and batch; pages say what comes of many
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
BLOCK = re.compile(r"^```(bash|text|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def plain(line: str) -> str:
    """A line without its numbers, which differ between machines."""
    return " ".join(NUMBER.sub("#", line).split())


def unsaid(text: str, said: str) -> list[str]:
    """Lines of a page that no printed line holds; dots stand for anything at the end of one, or for lines."""
    lines = [plain(line) for line in said.splitlines()]
    wanted = [plain(line.removesuffix("...")) for line in text.splitlines()]
    return [line for line in wanted if not any(line in one for one in lines)]


def run(line: str) -> int:
    """Exit code of one command."""
    words = shlex.split(line, comments=True)[1:]
    more = QUICK if words[0] in ("refine", "repair", "batch") else ()
    try:
        return main([*words, *more])
    except SystemExit as end:
        return int(end.code or 0)


@pytest.mark.parametrize("name", MADE)
def test_the_commands_of_a_page_run_and_say_what_it_says(name, tmp_path, monkeypatch, capsys):
    """Each block of commands ends well, and prints every line of the text behind it, but for numbers and dots."""
    MADE[name](tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WARPPRIOR_MANO", raising=False)
    said, asked = "", 0
    for kind, block in BLOCK.findall((ROOT / f"{name}.md").read_text(encoding="utf-8")):
        if kind == "text":
            assert not said or unsaid(block, said) == [], said
            said = ""
            continue
        if kind == "python":
            exec(block, {})
        elif not block.startswith(ELSEWHERE):
            for line in block.splitlines():
                if line.startswith("cp "):
                    shutil.copyfile(*line.split()[1:])
                if line.startswith("warpprior "):
                    asked += 1
                    expected = int(found[1]) if (found := re.search(r"# exit code (\d+)", line)) else 0
                    assert run(line) == expected, (line, capsys.readouterr())
        out = capsys.readouterr()
        said = out.out + out.err
    assert asked > 1


def test_every_page_is_run_and_listed():
    """A page without files to run on would say what nobody checks."""
    pages = {path.stem for path in ROOT.glob("*.md")} - {"index"}
    assert pages == set(MADE)
    index = (ROOT / "index.md").read_text(encoding="utf-8")
    assert {page for page in pages if f"]({page}.md)" not in index} == set()


def test_what_is_not_printed_is_found():
    """Other numbers are the same line, other words are not."""
    said = "mug     before\n  ADD [mm]   3.50   1e-3\nopen: a"
    assert unsaid("  ADD [mm]  12.01  0.1\n...\nopen...\n", said) == []
    assert unsaid("  ADD [px]  12.01  0.1\n", said) == ["ADD [px] # #"]
