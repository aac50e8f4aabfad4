"""How a refinement grows: what is refined, what is kept, and the picture."""

from __future__ import annotations

import json

import numpy as np
import pytest

from warpprior.bench.scaling import __main__ as program
from warpprior.bench.scaling import measure as measuring
from warpprior.bench.scaling.picture import draw
from warpprior.bench.scaling.points import AXES, Point, cut_in_four
from warpprior.io import save_scene
from warpprior.scenes.objects import make_object

ROW = {"seconds_per_frame": 0.2, "wall_per_frame": 0.3, "memory_mib": 500.0, "before_mib": 300.0, "error_mm": 1.5}


def test_faces_are_cut_in_four_and_the_surface_stays():
    """Four times the faces, as many square metres, the same volume, still closed."""
    body = make_object("box").body
    vertices, faces = cut_in_four(body.vertices, body.faces)
    assert len(faces) == 4 * len(body.faces)

    def sizes(vertices, faces):
        a, b, c = vertices[faces].transpose(1, 0, 2).astype(float)
        normals = np.cross(b - a, c - a)
        return 0.5 * np.linalg.norm(normals, axis=1).sum(), np.einsum("ij,ij", a, normals) / 6.0

    assert sizes(vertices, faces) == pytest.approx(sizes(body.vertices, body.faces), rel=1e-5)
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    assert set(np.unique(edges, axis=0, return_counts=True)[1]) == {2}


def test_axes_differ_in_one_number():
    """The rest is as in all others, so that what is refined twice is measured once."""
    assert set(AXES) == {"frames", "pixels", "faces", "bodies"}
    common = {Point("pixels", 640 * 480).name, Point("faces", 2560).name, Point("bodies", 2).name}
    assert len(common) == 1
    for axis, points in AXES.items():
        assert len({point.name for point in points}) == len(points) > 3
        assert all(point.axis == axis for point in points)


def test_points_are_what_they_say():
    """Frames, pixels, faces and bodies of the scenes."""
    small = Point("faces", 0, frames=2, size=(64, 48), finer=1).make()
    assert (small.frame_count, small.camera.width, small.camera.height) == (2, 64, 48)
    assert small.labels is not None and small.labels.shape == (2, 48, 64)
    assert len(small.body("bottle").body.faces) == 2560 * 4
    three = Point("bodies", 3, frames=2, size=(64, 48), bodies=3).make()
    assert sum(not item.known for item in three.bodies) == 3


def test_what_was_measured_is_kept(tmp_path, capsys):
    """Each point as it comes; a second run measures what is missing, and --overwrite all."""
    asked, failure = [], "ended with 1: no"

    def measure(point, folder):
        asked.append(point.value)
        if point.value == 40 and len(asked) == 3:
            raise KeyboardInterrupt
        return ROW if point.value < 160 else {"problem": failure}

    words = ["frames", "--output-dir", str(tmp_path / "out")]
    with pytest.raises(KeyboardInterrupt):
        program.main(words, measure)
    assert program.main([*words, "--picture", str(tmp_path / "shown.svg")], measure) == 1
    assert asked == [10, 20, 40, 40, 80, 160]
    assert failure in capsys.readouterr().out
    kept = json.loads((tmp_path / "out" / "scaling.json").read_text())
    assert kept["frames"]["20"] == ROW and kept["frames"]["160"] == {"problem": failure}
    assert (tmp_path / "shown.svg").read_bytes() == (tmp_path / "out" / "scaling.svg").read_bytes()
    assert program.main([*words, "--short", "--overwrite"], measure) == 0
    assert asked[6:] == [10, 20]
    failure = program.BEYOND
    assert program.main([*words, "--overwrite"], measure) == 0


def test_the_picture_shows_every_axis():
    """Time and memory over each; what was not reached is left out."""
    found = {axis: {point.value: ROW for point in points} for axis, points in AXES.items()}
    found["faces"][2560 * 4**4] = {"problem": "took more than 240 s"}
    text = draw(found).decode()
    for words in ("CPU s per frame", "memory [GiB]", "frames", "million pixels", "thousand faces", "bodies"):
        assert words in text
    assert text.count("<circle") == 2 * (sum(map(len, AXES.values())) - 1)
    assert "thousand faces" not in draw({**found, "faces": {1: {"problem": "no"}}}).decode()


def test_a_point_is_measured(tmp_path):
    """A refinement takes time and memory, and ends nearer to the truth than it began."""
    scene = Point("frames", 3, frames=3, size=(160, 120), bodies=1).make()
    row = measuring.measure(save_scene(scene, tmp_path / "scene"))
    assert set(row) == set(ROW)
    assert row["seconds_per_frame"] > 0.0 and row["memory_mib"] >= row["before_mib"] > 20.0
    assert 0.0 < row["error_mm"] < 60.0


def test_a_process_that_ends_is_a_problem(tmp_path, monkeypatch):
    """By a signal for its time, or in any other way; its scene is deleted."""
    scene = Point("bodies", 1, frames=2, size=(64, 48), bodies=1).make()
    monkeypatch.setattr(Point, "make", lambda point: scene)
    for code, words in ((-24, "took more than"), (1, "ended with 1: ValueError: no")):
        done = program.subprocess.CompletedProcess([], code, "", "Traceback\nValueError: no\n")
        monkeypatch.setattr(program.subprocess, "run", lambda *words, done=done, **options: done)
        row = program.measure_in_a_process(Point("bodies", 1), tmp_path / "scene")
        assert words in row["problem"] and not (tmp_path / "scene").exists()


def test_memory_is_of_the_process_itself():
    """Not of the one that started it."""
    held = np.ones(64 << 20, dtype=np.uint8)
    program_text = "from warpprior.bench.scaling.measure import peak_mib; print(peak_mib())"
    done = program.subprocess.run(
        [program.sys.executable, "-c", program_text], capture_output=True, text=True, check=True
    )
    grown = measuring.peak_mib()
    assert held.sum() == held.size and 4.0 < float(done.stdout) < grown - 64.0
