"""Robots with fewer faces: the stated error, what must survive, and the cache."""

import os
from dataclasses import replace

import numpy as np
import pytest

from tests.heavy_robot import pillow, write_heavy_robot
from tests.small_scene import edit_text, write_scene
from tests.test_decimation import flat_plate, stretch
from warpprior.bodies import decimation_cache
from warpprior.bodies.primitives import make_box
from warpprior.bodies.readers.urdf import read_urdf
from warpprior.bodies.repair import Surface
from warpprior.bodies.simplify import distance_between, simplify_links, simplify_surface
from warpprior.io import load_scene, save_scene
from warpprior.support.errors import InputError

ERROR = 2e-4


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of its own for every test."""
    monkeypatch.setattr("warpprior.bodies.decimation_cache.kept_folder", lambda _: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def surface():
    """A closed pillow of 1,200 faces with two colours."""
    vertices, faces = pillow((0.009, 0.008, 0.02), 1200)
    colors = np.where(vertices[:, 2:] > 0.0, [[0.1, 0.1, 0.1]], [[0.9, 0.8, 0.7]])
    return Surface(vertices, faces, colors, closed=True)


def test_the_stated_error_is_kept_and_measured(surface):
    """Both surfaces are within 0.2 mm of each other, by the distances of tests/reference too."""
    from tests.reference.decimation import distance

    thin, measured = simplify_surface(surface, ERROR)
    assert len(thin.faces) < 0.7 * len(surface.faces) and 0.0 < measured <= ERROR
    rng = np.random.default_rng(3)
    for one, other in ((surface, thin), (thin, surface)):
        weights = rng.dirichlet([1.0, 1.0, 1.0], len(one.faces))
        points = np.einsum("fc,fck->fk", weights, one.vertices[one.faces])
        assert max(distance(point, other.vertices, other.faces) for point in points[::4]) <= ERROR
    assert thin.closed and len(stretch(thin.faces)) == 0
    assert {tuple(color) for color in thin.colors} <= {tuple(color) for color in surface.colors}


def test_a_smaller_error_leaves_more_faces(surface):
    """And none is taken where nothing can go."""
    coarse, _ = simplify_surface(surface, 5e-4)
    fine, measured = simplify_surface(surface, 2e-5)
    assert len(coarse.faces) < len(fine.faces) and measured <= 2e-5
    same, measured = simplify_surface(surface, 1e-6)
    assert len(same.faces) == len(surface.faces) and measured <= 1e-6
    box = make_box((0.1, 0.1, 0.1))
    assert simplify_surface(box, ERROR) == (box, 0.0)


def test_open_surfaces_stay_open(surface):
    """Closedness is what it was."""
    vertices, faces = flat_plate(16)
    thin, _ = simplify_surface(Surface(vertices, faces), ERROR)
    assert not thin.closed and len(thin.faces) < len(faces)
    assert thin.colors is None


def test_distances_between_surfaces_are_found_both_ways():
    """A spike that only one of them has, and a shift."""
    vertices, faces = flat_plate(8)
    spike = vertices.copy()
    spike[40, 2] = 0.003
    for one, other in ((vertices, spike), (spike, vertices)):
        assert distance_between(one, faces, other, faces, 0.01) == pytest.approx(0.003, rel=1e-3)
    assert distance_between(vertices, faces, vertices + np.array([0.0, 0.0, 0.002]), faces, 0.01) == pytest.approx(
        0.002
    )
    assert distance_between(vertices, faces, vertices + np.array([0.0, 0.0, 0.2]), faces, 0.01) == pytest.approx(0.01)


def test_what_was_found_is_kept(surface, cache, monkeypatch):
    """The second time nothing is computed, and the answer is the same bit by bit; other inputs are other entries."""
    first, measured = simplify_surface(surface, ERROR)
    assert [path.suffix for path in cache.iterdir()] == [".npz"]
    monkeypatch.setattr("warpprior.bodies.simplify.decimate", None)
    again, same = simplify_surface(surface, ERROR)
    assert same == measured
    for name in ("vertices", "faces", "colors"):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))
    moved = replace(surface, vertices=surface.vertices + 1e-9)
    for other, error in ((surface, 1.1 * ERROR), (moved, ERROR), (replace(surface, colors=None), ERROR)):
        with pytest.raises(TypeError):
            simplify_surface(other, error)
    monkeypatch.setattr("warpprior.bodies.decimation_cache.VERSION", 0)
    with pytest.raises(TypeError):
        simplify_surface(surface, ERROR)


def entry(**changes):
    """Change arrays of the one entry."""

    def change(path):
        with np.load(path) as arrays:
            stored = dict(arrays) | changes
        np.savez(path, **stored)

    return change


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-30]),
    "noise": lambda path: path.write_bytes(os.urandom(500)),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "of another surface": entry(key=np.array("0" * 40)),
    "vertices beyond": entry(kept=np.array([0, 1, 10_000], np.int32), faces=np.array([[0, 1, 2]], np.int32)),
    "other types": entry(kept=np.array([0.0, 1.0, 2.0]), faces=np.array([[0, 1, 2]], np.int32)),
    "faces beyond": entry(faces=np.array([[0, 1, 99_999]], np.int32)),
    "an open surface": entry(kept=np.array([0, 1, 2], np.int32), faces=np.array([[0, 1, 2]], np.int32)),
    "too far off": entry(error=np.array(1.0)),
    "not a number": entry(error=np.array(np.nan)),
    "objects": entry(error=np.array([{}], dtype=object)),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_and_foreign_entries_are_as_if_not_there(surface, cache, kind):
    """They are found again, and written anew where that can be done."""
    first, measured = simplify_surface(surface, ERROR)
    (path,) = cache.iterdir()
    DAMAGE[kind](path)
    again, same = simplify_surface(surface, ERROR)
    assert same == measured
    np.testing.assert_array_equal(again.faces, first.faces)
    if kind != "a folder":
        assert decimation_cache.load(path.stem, len(surface.vertices), len(surface.faces), ERROR) is not None
    assert [p.name for p in cache.iterdir()] == [path.name]


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(surface, cache, monkeypatch):
    """The surface is simplified all the same."""
    cache.write_text("a file where the folder should be", encoding="utf-8")
    assert len(simplify_surface(surface, ERROR)[0].faces) < len(surface.faces)


def test_the_cache_is_bounded(surface, cache, monkeypatch):
    """The oldest entries go."""
    monkeypatch.setattr("warpprior.support.kept_files.MOST_BYTES", 20_000)
    noise = np.random.default_rng(0).integers(0, 1 << 30, (600, 3))  # about 7 kB packed
    for number in range(6):
        found = decimation_cache.Decimated(np.arange(600), noise, 0.0)
        decimation_cache.store(f"{number:040d}", found)
        if number:
            os.utime(cache / f"{number:040d}.npz", (number, number))
    names = sorted(path.stem for path in cache.iterdir())
    assert names[-1] == f"{5:040d}" and 1 < len(names) < 6
    assert sum(path.stat().st_size for path in cache.iterdir()) < 30_000


def test_heavy_robots_are_simplified_and_it_is_said(tmp_path, monkeypatch):
    """Faces before and after and the error are in a warning; links, joints and closedness are those of the file."""
    path = write_heavy_robot(tmp_path / "robot", 6000)
    monkeypatch.setattr("warpprior.bodies.simplify.MANY_FACES", 5000)
    heavy, light = read_urdf(path, "hand", simplify=False), read_urdf(path, "hand")
    assert light.face_count < 0.7 * heavy.face_count
    assert heavy.warnings == ()
    (warning,) = light.warnings
    assert warning.startswith(f"{heavy.face_count} faces were simplified to {light.face_count}, at most 0.")
    assert warning.endswith("mm off; simplify = false keeps them, simplify = 0.0005 allows 0.5 mm")
    assert light.closed and heavy.closed and light.link_names == heavy.link_names
    places = {tuple(row) for row in np.column_stack([heavy.skin_links, heavy.vertices]).tolist()}
    assert {tuple(row) for row in np.column_stack([light.skin_links, light.vertices]).tolist()} <= places
    coarse = read_urdf(path, "hand", simplify=0.001)
    assert coarse.face_count < light.face_count


def test_readers_are_silent_and_tell_who_asks(tmp_path, monkeypatch, capfd):
    """Nothing is printed, on a terminal neither; `progress` hears of every link."""
    path = write_heavy_robot(tmp_path / "robot", 6000)
    monkeypatch.setattr("warpprior.bodies.simplify.MANY_FACES", 5000)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    told = []
    body = read_urdf(path, "hand", progress=lambda *what: told.append(what))
    assert capfd.readouterr() == ("", "")
    shares = [done / total for done, total, _ in told]
    assert shares == sorted(shares) and shares[0] == 0.0 and shares[-1] < 1.0
    assert all(text.startswith("simplifying meshes (") for _, _, text in told)
    assert {text[20:-1] for _, _, text in told} <= set(body.link_names)


def test_robots_of_few_faces_are_left_alone_unless_asked(tmp_path):
    """40,000 faces are no burden."""
    path = write_heavy_robot(tmp_path / "robot", 4000)
    assert read_urdf(path, "hand").face_count == read_urdf(path, "hand", simplify=False).face_count
    assert read_urdf(path, "hand", simplify=ERROR).face_count < read_urdf(path, "hand").face_count
    boxes = {"palm": [make_box((0.1, 0.1, 0.1))]}
    said = []
    assert len(simplify_links(boxes, ERROR, said, always=True)["palm"][0].faces) == 12 and said == []


@pytest.mark.parametrize("value", [0.0, -1e-4, 0.5, np.nan, "no", None])
def test_errors_that_are_none_are_refused(tmp_path, value):
    """In Python as in scene.toml."""
    path = write_heavy_robot(tmp_path / "robot", 100)
    with pytest.raises(InputError, match=r"hand: simplify: is .*; needs true, false, or metres from 1e-06 to 0.01"):
        read_urdf(path, "hand", simplify=value)


def test_scene_toml_says_how_far(tmp_path, monkeypatch):
    """true, false and a number; other values are refused with the key's place."""
    monkeypatch.setattr("warpprior.bodies.readers.urdf.read_urdf", refuse_after(read_urdf, asked := []))
    for text, wanted in (("", True), ("simplify = false", False), ("simplify = 0.0005", 0.0005)):
        folder = write_scene(tmp_path / f"scene{len(asked)}")
        edit_text(folder, 'path = "arm/arm.urdf"', f'path = "arm/arm.urdf"\n{text}')
        load_scene(folder)
        assert asked[-1] is wanted or asked[-1] == wanted
    folder = write_scene(tmp_path / "wrong")
    edit_text(folder, 'path = "arm/arm.urdf"', 'path = "arm/arm.urdf"\nsimplify = 2')
    with pytest.raises(InputError, match=r"\[\[body\]\] \d, simplify: is 2"):
        load_scene(folder)


def test_a_saved_scene_simplifies_alike(tmp_path):
    """What is not the default is written."""
    for text in ("", "simplify = false", "simplify = 0.0005"):
        folder = write_scene(tmp_path / f"scene {len(text)}")
        edit_text(folder, 'path = "arm/arm.urdf"', f'path = "arm/arm.urdf"\n{text}')
        save_scene(load_scene(folder), tmp_path / f"copy {len(text)}")
        written = (tmp_path / f"copy {len(text)}" / "scene.toml").read_text(encoding="utf-8")
        assert text in written and ("simplify" in written) == bool(text)


def refuse_after(read, asked):
    """The reader, noting what it is asked."""

    def noting(path, name, *, simplify=True, **others):
        asked.append(simplify)
        return read(path, name, simplify=simplify, **others)

    return noting
