"""The report page and its plots: complete, self-contained, and safe to open."""

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from result_samples import make_arm, make_result

from warpprior.report import axes, write_overlay, write_plots, write_report
from warpprior.report.figures import QUANTITIES, series
from warpprior.report.findings import FACT, GOOD, POOR, findings
from warpprior.report.plots import _loss_figure, render_plots
from warpprior.report.style import STYLE
from warpprior.support.errors import RunError

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """The tags, links and visible text of a page; complains about tags that do not nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.words, self.elements = [], [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        """Note a tag, its attributes with those of what it is in, and what it refers to."""
        self.tags.append(tag)
        self.elements.append((tag, dict(attrs)))
        self.links += [value for name, value in attrs if name in ("src", "href", "poster")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Tags close in the order they opened."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Text outside the style sheet."""
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        """All visible text."""
        return " ".join(self.words)


@pytest.fixture
def result():
    """A box, an arm and contacts over images."""
    return make_result(arm=make_arm(), rgb=True)


def test_page_stands_alone(tmp_path, result):
    """Pictures are inside; links lead to files beside the page that are there, and nowhere else."""
    write_overlay(result, tmp_path / "overlay.mp4")
    (tmp_path / "poses.npz").write_bytes(b"")
    path = write_report(result, tmp_path)
    page = Page(path.read_text(encoding="utf-8"))
    links = [link for link in page.links if not link.startswith("data:image/")]
    assert sorted(set(links)) == ["config.json", "overlay.mp4", "poses.npz"]
    assert page.tags.count("img") == 3 and "script" not in page.tags
    assert sum(link.startswith("data:image/jpeg") for link in page.links) == 2  # the strip, and the video's poster
    assert "http" not in path.read_text(encoding="utf-8").replace("data:image/svg+xml;base64", "")


def test_page_says_what_came_out(tmp_path, result):
    """Bodies, the table before and after, notes, warnings and settings are on the page."""
    scene = replace(result.scene, warnings=("mesh: one face dropped",))
    text = Page(write_report(replace(result, scene=scene), tmp_path).read_text(encoding="utf-8")).text
    for words in ("box (estimated), arm (given)", "ADD [mm]", "rotation error", "mask IoU"):
        assert words in text
    for words in ("a note", "one face dropped"):
        assert words in text
    for words in ("36.0", "1.8", "frames in contact", "50 %", "weights.mask", "100 % \u2264 3 mm"):
        assert words in text
    assert "Interrupted" not in text


def test_people_look_first(tmp_path, result):
    """Video and strip, then words, then tables and plots; without the video the strip is what there is to see."""
    write_overlay(result, tmp_path / "overlay.mp4")
    page = Page(write_report(result, tmp_path).read_text(encoding="utf-8"))
    text, tags = page.text, page.tags
    assert tags.index("video") < tags.index("img") < tags.index("ul") < tags.index("table")
    places = [
        text.index(words) for words in ("In short", "What went well", "Notes", "Numbers", "Frame by frame", "Files")
    ]
    assert places == sorted(places)
    (tmp_path / "overlay.mp4").unlink()
    page = Page(write_report(result, tmp_path).read_text(encoding="utf-8"))
    assert "video" not in page.tags and page.tags.index("img") < page.tags.index("ul")


def test_the_page_is_for_everybody(tmp_path, result):
    """Pictures and the video say what they show, headings come in order, cells of heads say what they are heads of."""
    write_overlay(result, tmp_path / "overlay.mp4")
    page = Page(write_report(result, tmp_path).read_text(encoding="utf-8"))
    named = {"img": "alt", "video": "aria-label", "th": "scope", "div": "aria-label"}
    assert [one for one in page.elements if one[0] in named and not one[1].get(named[one[0]])] == []
    levels = [int(tag[1]) for tag in page.tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1 and levels.count(1) == 1 and max(np.diff(levels)) == 1


def test_nothing_is_wider_than_a_phone(tmp_path, result):
    """Tables of numbers, the strip and plots scroll in boxes that keys reach; tables of words are laid out anew."""
    page = Page(write_report(result, tmp_path).read_text(encoding="utf-8"))
    for place, (tag, attributes) in enumerate(page.elements):
        kinds = attributes.get("class", "").split()
        if tag == "img" or "numbers" in kinds:
            around, box = page.elements[place - 1]
            assert around == "div" and box["class"] == "scroll" and box["tabindex"] == "0"
        elif tag == "table":
            assert kinds == ["pairs"]
    narrow = STYLE[STYLE.index("@media (max-width") :]
    assert ".pairs th, .pairs td { display: block;" in narrow
    numbers = [line for line in STYLE.splitlines() if line.startswith((".numbers", "td, th"))]
    assert "anywhere" not in " ".join(numbers)  # which lets columns shrink to a letter


def luminance(color):
    """Relative luminance of ``#rrggbb``, as WCAG defines it."""
    shares = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255.0
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def test_texts_stand_out():
    """Every colour of text has a contrast of 4.5 at least to the page, light and dark, in plots too."""
    light, dark = (dict(re.findall(r"--(\w+): (#\w{6})", part)) for part in STYLE.split("@media")[:2])
    for colors, ink in ((light, axes.INK), (dark, axes.INK_ON_DARK)):
        for name in ("ink", "soft", "accent", "alert", "good"):
            assert contrast(colors[name], colors["paper"]) >= 4.5, name
        assert contrast(ink, colors["paper"]) >= 4.5


def contrast(one, other):
    """Contrast of two colours, as WCAG defines it."""
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_words_tell_good_from_poor(result):
    """Near the truth and well covered is good; frames far off, faded masks and deep overlaps are named."""
    texts = {tone: [f.text for f in findings(result) if f.tone == tone] for tone in (GOOD, POOR, FACT)}
    assert texts[GOOD] == [
        "box: 1.8 mm off the truth (median ADD), 95 % of the frames within 2.1 mm; it started 36.0 mm off.",
        "box: mask overlap 0.50 \u2192 0.97 (median IoU).",
    ]
    assert texts[POOR] == [] and texts[FACT] == []
    after = result.metrics["after"]["per_frame"]["box"]
    after["add_mm"] = [1.0, 1.0, 70.0, 80.0, 70.0]
    after["mask_iou"] = [0.3, 0.4, 0.4, None, 0.4]
    after["position_sigmas"], after["rotation_sigmas"] = [1.0] * 5, [1.0, 4.0, 4.0, 1.0, 1.0]
    pair = {"penetration_mm": [0.0, 0.0, 6.0, 7.5, 0.0], "slip_mm": [None, 2.0, 2.0, 2.0, 2.0]}
    summary = {
        "contact_ratio": 0.4,
        "overlap_ratio": 0.4,
        "truth": {"contact_ratio": 0.8, "penetration_mm": {"median": 0.5}},
    }
    result.metrics["after"]["pairs"] = {"box+arm": {"per_frame": pair, "summary": summary}}
    texts = [f.text for f in findings(result) if f.tone == POOR]
    assert texts == [
        "box: 70.0 mm off the truth (median ADD), 95 % of the frames within 78.0 mm; that is worse than the start, "
        "36.0 mm off.",
        "box: more than 10 mm off in frames 2-4.",
        "box: mask overlap 0.50 \u2192 0.40 (median IoU).",
        "box: mask overlap below 0.75 in frames 0-2, 4.",
        "box: its rotation is within 3 sigmas in 60 % of the frames: it is surer than it may be.",
        "box+arm: in contact in 40 % of the frames (80 % in truth); in another 40 % they overlap by 5 mm or more.",
        "box+arm: at most 7.5 mm inside each other (median 0.0 mm, 0.5 mm in truth); more than 5 mm in frames 2-3.",
        "box+arm: what touches slips by 2.00 mm per frame (median).",
    ]


def test_words_say_what_carries_a_body_that_nothing_shows(result):
    """Frames without a label or detection are named, with what touches the body there."""
    labels = result.scene.labels.copy()
    labels[[0, 3, 4]] = 0

    def unseen(**changes):
        hidden = replace(result, scene=replace(result.scene, labels=labels, **changes))
        return [finding.text for finding in findings(hidden) if finding.tone == FACT]

    (text,) = unseen()
    assert text == (
        "box: nothing observed shows it in frames 0, 3-4; contact with arm carries it in 2 of them, the frames around "
        "in the others."
    )
    boxes = np.full((5, 4), np.nan)
    boxes[0] = 20.0, 20.0, 60.0, 60.0
    assert unseen(boxes={"box": boxes}) == [
        "box: nothing observed shows it in frames 3-4; contact with arm carries it there."
    ]
    boxes[1:] = boxes[0]
    assert unseen(boxes={"box": boxes}) == []


def test_long_lists_are_folded(tmp_path, result):
    """The first notes are in sight, the others are folded; nothing is left out, and nothing is said twice."""
    notes = tuple(f"remark {number}" for number in range(20))
    page = write_report(replace(result, notes=(*notes, "remark 3")), tmp_path).read_text(encoding="utf-8")
    assert "12 more" in page
    text = Page(page).text
    assert all(text.count(f"remark {number}") == (11 if number == 1 else 1) for number in range(20))


def test_unfinished_result_says_so(tmp_path, result):
    """An interrupted run is marked on top of the page."""
    text = Page(write_report(replace(result, complete=False), tmp_path).read_text(encoding="utf-8")).text
    assert "Interrupted" in text


def test_everything_from_outside_is_escaped(tmp_path, result):
    """Names, notes and settings with markup are shown, not obeyed."""
    bad = '<script>alert("1")</script><img src=x onerror=alert(1)>$\\frac{'
    hostile = make_result(arm=make_arm(), names=(bad, "arm"))
    hostile = replace(
        hostile,
        scene=replace(hostile.scene, name=bad, warnings=(bad,)),
        notes=(bad,),
        settings={bad: {bad: bad}},
        history={bad: np.ones(3)},
    )
    text = write_report(hostile, tmp_path).read_text(encoding="utf-8")
    assert "<script" not in text and "<img src=x" not in text
    assert Page(text).text.count('<script>alert("1")</script>') >= 6
    for data in render_plots(hostile).values():
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(data).iter()}
        assert not tags & {"script", "img"}


def test_pairs_have_rows_and_panels_with_the_truth_beside_them(tmp_path, result):
    """Contact moves from the bodies to the pair once pairs are measured, in the table and among the plots."""
    assert "box+arm" not in Page(write_report(result, tmp_path).read_text(encoding="utf-8")).text
    for turn, depth in (("before", 9.0), ("after", 1.5)):
        truth = {"penetration_mm": {"median": 0.75}}
        rows = {"penetration_mm": [depth] * 5, "contact_f1": [None, 0.5, 0.5, 0.5, 0.5]}
        pair = {"per_frame": rows, "summary": {"contact_ratio": 0.4, "overlap_ratio": 0.6, "truth": truth}}
        result.metrics[turn] |= {"pairs": {"box+arm": pair, "arm+stranger": pair}}
    text = Page(write_report(result, tmp_path).read_text(encoding="utf-8")).text
    text = " ".join(text.split())
    for words in ("penetration [mm] 9.0 1.5 9.0 1.5", "0.8 in truth", "contacts found again, F1 0.50", "40 % 40 %"):
        assert words in text, words
    assert "frames that overlap by 5 mm or more 60 % 60 %" in text and "frames without contact" not in text
    assert "stranger" not in text and text.count("frames in contact") == 1
    assert "box+arm: penetration" in render_plots(result)["errors"].decode()


def test_page_without_data(tmp_path):
    """No metrics, history, labels, images, settings or notes: a page nevertheless."""
    result = make_result()
    scene = replace(result.scene, labels=None, read_rgb=None)
    bare = replace(result, scene=scene, metrics={}, history={}, settings={}, notes=())
    page = Page(write_report(bare, tmp_path).read_text(encoding="utf-8"))
    assert "img" not in page.tags and "Notes" not in page.text


def test_page_without_a_library(tmp_path, result, monkeypatch):
    """Without OpenCV the page comes without pictures but with plots, and says what to install."""
    for name in [name for name in sys.modules if name.split(".")[0] == "cv2"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "cv2", None)
    page = Page(write_report(result, tmp_path).read_text(encoding="utf-8"))
    assert page.tags.count("img") == 2
    assert "warpprior[cv]" in page.text


def test_page_is_whole_or_not_there(tmp_path, result, monkeypatch):
    """When writing fails the old page stays."""
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(RunError, match="No space left"):
        write_report(result, tmp_path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_plots_are_svg_and_repeat(tmp_path, result):
    """Two well-formed files with the terms and metrics in them, the same bytes each time."""
    paths = write_plots(result, tmp_path)
    assert [path.name for path in paths] == ["loss.svg", "errors.svg"]
    texts = ["".join(ElementTree.fromstring(path.read_bytes()).itertext()) for path in paths]
    for words in ("mask", "smoothness", "total", "iteration"):
        assert words in texts[0]
    assert "sliding" not in texts[0]  # always zero
    for words in ("ADD", "rotation error", "mask IoU", "before", "after", "frame"):
        assert words in texts[1]
    assert {path.stem: path.read_bytes() for path in paths} == render_plots(result)


def test_stages_end_in_one_line_each(result):
    """A line where a stage of the alignment ends, the last before the descent too; none within the descent."""
    nothing = np.full(3, np.nan)
    history = {
        "stage": np.concatenate([[1.0, 1.0, 2.0, 2.0], nothing]),
        "contour": np.concatenate([[4.0, 3.0, 2.0, 1.0], nothing]),
        "mask": np.concatenate([np.full(4, np.nan), [3.0, 2.0, 1.0]]),
    }
    (panel,) = _loss_figure(replace(result, history=history)).axes
    assert panel.uprights == [2, 4]


def test_plots_survive_odd_numbers(result):
    """NaN, zero and infinite losses, a metric without any value, one frame, and many iterations."""
    history = {"mask": np.array([np.nan, 0.0, 3.0, np.inf]), "total": np.geomspace(1e9, 1e-9, 20_000)}
    odd = replace(result, history=history)
    odd.metrics["after"]["per_frame"]["box"]["rotation_deg"] = [None] * 5
    plots = render_plots(odd)
    assert set(plots) == {"loss", "errors"} and len(plots["loss"]) < 100_000
    assert set(render_plots(make_result(1))) == {"loss", "errors"}
    assert render_plots(replace(result, history={}, metrics={})) == {}


SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("logarithmic", [False, True])
def test_plots_show_points_where_their_axes_say(logarithmic):
    """Ticks tell a scale, and by it the ends of a line are the numbers drawn; a hole breaks it."""
    figure = axes.new_figure(200.0)
    (panel,) = figure.axes
    heights = np.array([3.0, 40.0, np.nan, 7.0, 250.0])
    panel.lines.append(axes.Line(np.arange(5), heights, "#123456", 1.0, "a <line>"))
    panel.logarithmic, panel.legend = logarithmic, "inside"
    tree = ElementTree.fromstring(axes.svg(figure))
    texts = [
        (float(text.get("x")), float(text.get("y")), text.get("text-anchor"), text.text)
        for text in tree.iter(SVG + "text")
    ]
    scale = np.log10 if logarithmic else np.asarray
    up = np.array([(y, scale(float(words))) for _, y, anchor, words in texts if anchor == "end"])
    across = np.array([(x, float(words)) for x, _, anchor, words in texts if anchor == "middle"])
    assert len(up) >= 2 and len(across) >= 2 and texts[-1][-1] == "a <line>"
    (path, _) = [path for path in tree.iter(SVG + "path") if path.get("stroke") == "#123456"]
    pieces = [re.findall(r"[-\d.]+ [-\d.]+", piece) for piece in path.get("d").split("M")[1:]]
    assert [len(piece) for piece in pieces] == [2, 2]
    points = np.array([point.split() for piece in pieces for point in piece], dtype=float)
    slope, start = np.polyfit(up[:, 0] - 2.8, up[:, 1], 1)
    np.testing.assert_allclose(start + slope * points[:, 1], scale(heights[[0, 1, 3, 4]]), atol=abs(0.2 * slope))
    slope, start = np.polyfit(*across.T, 1)
    np.testing.assert_allclose(start + slope * points[:, 0], [0, 1, 3, 4], atol=0.02)


def test_series_of_a_metric(result):
    """Missing values are NaN; metrics, bodies and turns that are not there are None."""
    values = series(result, 0, "box", "mask_iou")
    assert np.isnan(values[0]) and np.isfinite(values[1:]).all()
    assert series(result, 0, "box", "slip_mm") is None and series(result, 1, "cup", "add_mm") is None


def test_quantities_are_metrics():
    """Every metric that pages and plots show is one that evaluation gives, so that none silently vanishes."""
    from warpprior import metrics

    assert [quantity.key for quantity in QUANTITIES if f"``{quantity.key}``" not in metrics.__doc__] == []


def test_findings_have_a_part_of_their_own(result, tmp_path):
    """Level, body, frames, message and cure of what the check found, and no second time among the notes."""
    from warpprior.checks.first import with_findings
    from warpprior.finding import Finding

    found = (
        Finding(
            "mesh_scale", "error", "mug", (2, 3, 4), "a <b>mesh</b> too large", "mesh_scale times 0.5", {"factor": 2.0}
        ),
        Finding("object_symmetry", "note", "mug", (), "its turn is not told"),
    )
    page = write_report(with_findings(result, found), tmp_path).read_text(encoding="utf-8")
    assert "error: mesh_scale of mug, frames 2-4" in page and "Cure: mesh_scale times 0.5" in page
    assert page.count("a &lt;b&gt;mesh") == 1 and "<b>mesh" not in page
    assert page.index("note: object_symmetry of mug") > page.index("What cannot be told")
    assert "What the check of the scene found" not in write_report(result, tmp_path).read_text(encoding="utf-8")
