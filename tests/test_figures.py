"""What the README and the page of measurements say is what was measured last: docs/figures.json, by docs/figures.py."""

import importlib.util
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from warpprior.cli import build_parser

ROOT = Path(__file__).resolve().parents[1]
figures = runpy.run_path(str(ROOT / "docs" / "figures.py"), run_name="figures")
RECORD = json.loads((ROOT / "docs" / "figures.json").read_text(encoding="utf-8"))
# Lengths of the README that are no measurements of `make figures`, and the page that has them too.
STATED = {
    "some 12 mm off": "keypoints 12 mm off",
    "it ends 2.5 mm off": "to 2.5 mm (median",
}


def page_text(name):
    """A page by its path in the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", figures["SENTENCES"])
def test_pages_say_what_was_measured(page):
    """Each sentence stands on its page once, with the recorded values: else run `make figures`."""
    values, text = figures["recorded"](), page_text(page)
    for sentence in figures["SENTENCES"][page]:
        assert figures["renewed"](text, sentence, values) == text, sentence


def test_every_length_of_the_readme_was_measured():
    """No figure stands there that nothing renews, or that the page of limits does not have too."""
    text = re.sub(r"^```.*?^```", "", page_text("README.md"), flags=re.DOTALL | re.MULTILINE)
    spans = [re.search(figures["pattern"](sentence), text).span() for sentence in figures["SENTENCES"]["README.md"]]
    for words, elsewhere in STATED.items():
        spans.append(re.search(re.escape(words).replace(r"\ ", r"\s+"), text).span())
        assert elsewhere in " ".join(page_text("docs/limits.md").split())
    lengths = [*re.finditer(r"\d+(\.\d+)?\s+(mm|cm)\b", text)]
    assert len(lengths) >= 8
    assert [one[0] for one in lengths if not any(low <= one.start() < high for low, high in spans)] == []


def test_the_record_is_of_these_commands():
    """Each figure was measured by its commands of today, which the program takes, and which stand beside it."""
    page = page_text("docs/measured.md")
    assert set(RECORD["figures"]) == set(figures["READERS"])
    for name, figure in RECORD["figures"].items():
        commands = figures["COMMANDS"][name]
        assert figure["commands"] == commands and figure["machine"]
        assert figure["values"] and all(np.isfinite(value) for value in figure["values"].values())
        for program, *words in map(str.split, commands):
            if program == "python":
                assert importlib.util.find_spec(words[words.index("-m") + 1]), words
            else:
                build_parser().parse_args(words)
        words = commands[0].partition(" --seed ")[0].partition(" --output-dir")[0]
        assert words.replace("in_hand_turn", "grasp_lift") in page
    assert "the same with `in_hand_turn`" in page


def test_pictures_are_those_that_were_drawn():
    """Every picture of the README and of our hand is made by a figure, and is the one that was made last."""
    shown = set(re.findall(r"!\[[^]]*\]\(([^)]+)\)", page_text("README.md")))
    assert shown and shown <= set(figures["PICTURES"])
    assert set(figures["PICTURES"].values()) <= set(figures["COMMANDS"])
    assert RECORD["pictures"] == {path: figures["digest"](path) for path in figures["PICTURES"]}
    assert all((ROOT / path).stat().st_size < 300_000 for path in figures["PICTURES"])


def test_renewing_a_sentence():
    """Numbers change and nothing else does, line breaks and markup included; what is not there once is refused."""
    sentence = "off by {one.mm:.1f} to {two.mm:.0f} mm (95 %)"
    values = {"one": {"mm": 1.26}, "two": {"mm": 12.4}}
    text = "*It is\noff by 9\nto 8.25 mm (95 %)*, and 3 mm."
    assert figures["renewed"](text, sentence, values) == "*It is\noff by 1.3\nto 12 mm (95 %)*, and 3 mm."
    for wrong in ("off by much", f"{text} {text}"):
        with pytest.raises(ValueError, match="once"):
            figures["renewed"](wrong, sentence, values)
