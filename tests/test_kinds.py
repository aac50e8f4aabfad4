"""Kinds of bodies in scene folders: the table, and a kind from outside it."""

from __future__ import annotations

import dataclasses
import re
import typing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.small_scene import BOX_FACES, BOX_VERTICES
from warpprior.bodies import BodyKind, register_kind, rigid_body
from warpprior.bodies.readers import kinds
from warpprior.bodies.readers.kinds import KINDS, find_kind
from warpprior.io import load_scene, save_scene
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.limits import RANGE, number

FORMAT = (Path(__file__).resolve().parents[1] / "docs" / "scene_format.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class BrickKeys:
    """Keys of a brick in ``scene.toml``."""

    size_m: float = number(0.1, 0.01, 1.0)
    courses: int = number(1, 1, 9)
    colour: typing.Literal["red", "grey"] = "red"
    hollow: bool = False
    maker: str | None = None


class BrickKind(BodyKind):
    """A box of any size: what somebody may add from outside."""

    name = "brick"
    Keys = BrickKeys
    has_file = False

    def read(self, source):
        """The box."""
        keys = source.keys
        half = 0.5 * keys.size_m * np.array([1.0, 1.0, keys.courses])
        vertices = np.sign(BOX_VERTICES - BOX_VERTICES.mean(axis=0)) * half
        return dataclasses.replace(rigid_body(source.name, vertices, BOX_FACES), kind="brick"), None

    def write(self, body, target):
        """Its keys."""
        x, _, z = np.ptp(body.vertices, axis=0)
        return {"size_m": float(x), "courses": round(float(z / x)), "hollow": True}


@pytest.fixture
def brick():
    """The kind, in the table for one test."""
    before = dict(KINDS)
    register_kind(BrickKind())
    yield
    KINDS.clear()
    KINDS.update(before)


@pytest.fixture
def scene(brick):
    """One brick of three courses."""
    source = kinds.BodySource("wall", None, Path(), 2, 30.0, BrickKeys(0.2, 3))
    body, _ = BrickKind().read(source)
    place = np.tile([0.0, 0.0, 2.0], (2, 1))
    poses = Poses(place, np.tile([0.0, 0.0, 0.0, 1.0], (2, 1)), np.zeros((2, 0)))
    return Scene("bricks", Camera(64, 48, 60.0, 60.0, 32.0, 24.0), 30.0, (SceneBody(body, 3, False, poses),))


def test_a_kind_of_ones_own_is_read_and_written(scene, tmp_path):
    """One class, entered once: a scene folder with such a body is written and read back."""
    folder = save_scene(scene, tmp_path / "scene")
    text = (folder / "scene.toml").read_text()
    assert 'kind = "brick"\nsize_m = 0.2' in text and "courses = 3\nhollow = true" in text
    found = load_scene(folder).body("wall")
    assert found.body.kind == "brick" and found.source is None
    np.testing.assert_allclose(found.body.vertices, scene.body("wall").body.vertices, atol=1e-7)
    np.testing.assert_array_equal(found.body.faces, BOX_FACES)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("courses = 10", "courses: is 10; needs a whole number from 1 to 9"),
        ("courses = 2.5", "courses: is 2.5; needs a whole number from 1 to 9"),
        ("size_m = 2", "size_m: is 2; needs a number from 0.01 to 1"),
        ("size_m = nan", "size_m: is nan; needs a number from 0.01 to 1"),
        ('colour = "blue"', "colour: is 'blue'; accepted: red, grey"),
        ("hollow = 1", "hollow: is 1; needs true or false"),
        ("maker = 3", "maker: is 3; needs a text"),
        ("colours = 3", "did you mean 'colour'?"),
        ('path = "brick.obj"', "'path': is not a known key"),
    ],
)
def test_its_keys_are_checked(scene, tmp_path, line, says):
    """What the dataclass of its keys declares is what scene.toml may say."""
    folder = save_scene(scene, tmp_path / "scene")
    text = (folder / "scene.toml").read_text()
    key = line.partition(" =")[0]
    text = re.sub(rf"^{key} = .*\n", "", text, flags=re.MULTILINE)
    (folder / "scene.toml").write_text(text.replace('kind = "brick"', f'kind = "brick"\n{line}'))
    with pytest.raises(InputError) as caught:
        load_scene(folder)
    assert says in str(caught.value)


def test_keys_that_are_left_out_have_their_defaults(scene, tmp_path):
    """None of its own keys needs to be there."""
    folder = save_scene(scene, tmp_path / "scene")
    text = (folder / "scene.toml").read_text()
    (folder / "scene.toml").write_text(re.sub(r"^(size_m|courses|hollow) = .*\n", "", text, flags=re.MULTILINE))
    np.testing.assert_allclose(np.ptp(load_scene(folder).body("wall").body.vertices, axis=0), 0.1, atol=1e-7)


def test_the_kind_of_the_page_works(tmp_path):
    """The program of docs/scene_format.md enters a kind whose bodies are closed, saved and read back."""
    code = next(
        code for code in re.findall(r"^```python\n(.*?)^```", FORMAT, re.DOTALL | re.MULTILINE) if "Kind" in code
    )
    before, values = dict(KINDS), {"__name__": "page"}
    try:
        exec(compile(code, "scene_format.md", "exec", dont_inherit=True), values)
        source = kinds.BodySource("ball", None, Path(), 1, 30.0, values["BallKeys"](0.04))
        body, _ = find_kind("ball").read(source)
        corners = body.vertices[body.faces]
        assert np.linalg.det(corners).min() > 0.0  # every face looks outward
        poses = Poses(np.array([[0.0, 0.0, 1.0]]), np.array([[0.0, 0.0, 0.0, 1.0]]), np.zeros((1, 0)))
        made = Scene("balls", Camera(64, 48, 60.0, 60.0, 32.0, 24.0), 30.0, (SceneBody(body, 1, False, poses),))
        found = load_scene(save_scene(made, tmp_path / "scene")).body("ball").body
        np.testing.assert_allclose(found.vertices, body.vertices, atol=1e-7)
    finally:
        KINDS.clear()
        KINDS.update(before)


def test_without_its_kind_a_scene_is_refused(scene, tmp_path):
    """A kind that is not in the table is neither read nor written; the message lists those there are."""
    folder = save_scene(scene, tmp_path / "scene")
    del KINDS["brick"]
    with pytest.raises(
        InputError, match=r"kind: is 'brick'; .*accepted: mesh, urdf, hand, body, mano, smpl, skin, umetrack"
    ):
        load_scene(folder)
    with pytest.raises(InputError, match="is of kind 'brick'; bodies of kind mesh, urdf, hand"):
        save_scene(scene, tmp_path / "other")


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (lambda: rigid_body("wall", np.full((3, 3), np.nan), np.array([[0, 1, 2]])), "vertices is not finite; a body"),
        (lambda: rigid_body("wall", np.eye(3), np.array([[0, 1, 2]])), "read returned a Body; a body and its"),
    ],
    ids=["no numbers", "body alone"],
)
def test_a_reader_that_returns_no_body_is_refused(scene, tmp_path, monkeypatch, returned, says):
    """With the file, the body and the kind."""
    folder = save_scene(scene, tmp_path / "scene")
    monkeypatch.setattr(BrickKind, "read", lambda self, source: returned())
    with pytest.raises(InputError, match=rf"scene.toml: body 'wall' of kind 'brick': .*{says}"):
        load_scene(folder)


@pytest.mark.parametrize(
    ("kind", "says"), [(BrickKind, "the class BrickKind"), (None, "a NoneType"), (BodyKind(), "kind BodyKind: no name")]
)
def test_what_is_no_kind_is_refused(kind, says):
    """It would be found in the middle of a scene otherwise."""
    with pytest.raises(InputError, match=says):
        register_kind(kind)


def test_a_name_is_taken_once(brick):
    """Entering one kind twice is refused where it would hide another."""
    with pytest.raises(InputError, match="kind 'brick': there is one of that name"):
        register_kind(BrickKind())
    register_kind(find_kind("brick"))


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_stands_in_its_module(name):
    """The table's names are the kinds' own; every number among their keys has a range."""
    kind = find_kind(name)
    assert kind.name == name
    hints = typing.get_type_hints(kind.Keys)
    for field in dataclasses.fields(kind.Keys):
        assert hints[field.name] not in (int, float, int | None, float | None) or RANGE in field.metadata
        assert f"`{field.name}`" in FORMAT


def test_the_format_lists_every_kind():
    """docs/scene_format.md has the kinds of the table, in its order."""
    row = next(line for line in FORMAT.splitlines() if line.startswith("| `kind`"))
    assert re.findall(r'`"(\w+)"`', row) == list(KINDS)
