"""Small scenes whose data is plausible and wrong, as it comes out of the field's tools: what a check says of them."""

from __future__ import annotations

import functools
import json
import re
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import warpprior
from warpprior.bench.checks.faults import FAULTS
from warpprior.checks.codes import CODES
from warpprior.cli import main
from warpprior.io import save_scene
from warpprior.scenes import simulate

COUNT = 8
ROOT = Path(__file__).resolve().parents[1]


@functools.cache
def alone(object_name="box", frames=COUNT):
    """An object that turns before the camera, seen whole, with exact poses and labels."""
    scene = simulate("robot_lift", object=object_name, seed=2, frame_count=3, images=False, mask_noise="M0")
    item = next(body for body in scene.bodies if not body.known)
    share = np.linspace(0.0, 1.0, frames)[:, None]
    turn = Rotation.from_rotvec([0.7, -0.4, 1.9]) * Rotation.from_rotvec(share * [0.5, 0.9, 0.2])
    place = np.array([-0.06, -0.02, 0.5]) + share * [0.12, 0.05, 0.04]
    poses = warpprior.Poses(place, turn.as_quat(), np.zeros((frames, 0)))
    empty = replace(scene, bodies=(replace(item, initial=poses, truth=poses),), labels=None, keypoints3d={}, centers={})
    empty = replace(empty, boxes={}, keypoints2d={}, timestamps=None, read_rgb=None, read_depth=None)
    return labelled(empty)


def labelled(scene):
    """The scene with exact labels of its one body."""
    from warpprior.render.images import render_masks

    (item,) = scene.bodies
    masks = render_masks(scene, {item.name: item.truth})[item.name]
    return replace(scene, labels=(masks * item.label).astype(np.uint8))


def guessed(scene, **changes):
    """The scene with another first guess."""
    (item,) = scene.bodies
    return scene.with_poses({item.name: replace(item.initial, **changes)})


def said(scene, level="error"):
    """Findings at a level, by code."""
    return {finding.code: finding for finding in warpprior.check(scene) if finding.level == level}


@pytest.fixture(scope="module")
def hand():
    """A hand that takes a mug; first guesses of a network."""
    return simulate("grasp_lift", object="mug", seed=11, frame_count=12, images=False)


def test_nothing_is_said_of_right_data():
    """Neither error nor warning of one object alone, at exact poses."""
    assert not [each for each in warpprior.check(alone()) if each.level != "note"]


def test_quaternions_with_w_first():
    """The other order agrees clearly better, and is said to."""
    found = said(guessed(alone(), rotation=alone().bodies[0].initial.rotation[:, [3, 0, 1, 2]]))
    assert set(found) == {"quaternion_order"}
    assert found["quaternion_order"].evidence["agreement_cured"] > 0.9
    assert "w, x, y, z" in found["quaternion_order"].message


def test_inverse_poses():
    """Inverses are told from OpenGL's axes, which negative depths alone would suggest."""
    poses = alone().bodies[0].initial
    turn = Rotation.from_quat(poses.rotation).inv()
    found = said(guessed(alone(), position=-turn.apply(poses.position), rotation=turn.as_quat()))
    assert set(found) == {"pose_inverse"}


def test_a_mesh_without_unit():
    """A mesh 1 m large seen as one of 12 cm: the size that would agree is named."""
    scene = alone()
    (item,) = scene.bodies
    size = float(np.ptp(item.body.vertices, axis=0).max())
    unit = replace(item, body=replace(item.body, vertices=(item.body.vertices / size).astype(np.float32)))
    found = said(replace(scene, bodies=(unit,)))
    assert set(found) == {"mesh_scale"}
    assert found["mesh_scale"].evidence["agreeing_scale"] == pytest.approx(size, rel=0.1)
    assert "no unit" in found["mesh_scale"].message


def test_files_numbered_from_one(tmp_path, capsys):
    """The file beyond the last frame is named, and that frames are numbered from 0; ``--json`` says the same."""
    folder = save_scene(alone(frames=4), tmp_path / "scene")
    for path in sorted((folder / "labels").iterdir(), reverse=True):
        path.rename(path.with_name(f"{int(path.stem) + 1:06d}.png"))
    assert main(["check", str(folder), "--device", "cpu", "--json", str(tmp_path / "found.json")]) == 0
    found = json.loads((tmp_path / "found.json").read_text())["findings"]
    (late,) = (each for each in found if each["code"] == "frame_offset")
    assert late["level"] == "warning" and "000004.png" in late["message"] and "numbered from 0" in late["message"]
    assert "frame_offset" in capsys.readouterr().out


@pytest.mark.parametrize("place", [(-1.0, -1.0), (0.0, 0.0), (200.0, 100.0)])
def test_keypoints_marked_as_missing(hand, place):
    """Points all at one place in frames 3 to 5, believed: said, and cured."""
    points = np.array(hand.keypoints2d["hand"], dtype=float)
    points[3:6] = [*place, 1.0]
    wrong = replace(hand, keypoints2d={"hand": points})
    found = said(wrong)["keypoints_missing_marker"]
    assert found.frames == (3, 4, 5) and found.body == "hand"
    assert not said(found.mend(wrong))


def test_labels_of_another_instance():
    """Frames whose label jumps to something else and back, the last two of the sequence, too."""
    scene = alone(frames=12)
    labels = scene.labels.copy()
    for frame in (7, 10, 11):
        labels[frame] = np.roll(labels[frame], 220, axis=1)
    found = said(replace(scene, labels=labels), "warning")
    assert found["label_instance"].frames == (7, 10, 11)


def test_angles_in_another_unit(hand):
    """Degrees taken for radians jump about; radians taken for degrees leave no rotation; a fixed turn is neither."""

    def read(change):
        moved = {}
        for item in hand.bodies:
            turn = change(Rotation.from_quat(item.initial.rotation))
            moved[item.name] = replace(item.initial, rotation=turn.as_quat())
        return hand.with_poses(moved)

    degrees = read(lambda turn: Rotation.from_euler("xyz", turn.as_euler("xyz", degrees=True)))
    radians = read(lambda turn: Rotation.from_euler("xyz", turn.as_euler("xyz"), degrees=True))
    assert set(said(degrees)) == set(said(radians)) == {"euler_or_degrees"}
    assert "degrees were taken for radians" in said(degrees)["euler_or_degrees"].message
    mended = said(radians)["euler_or_degrees"].mend(radians)
    names = {finding.body for finding in warpprior.check(radians) if finding.code == "euler_or_degrees"}
    assert names == {"hand", "mug"} and mended is not radians


@pytest.mark.parametrize("axis", [(0.6, 0.64, 0.48), (-0.36, 0.48, 0.8)])
def test_a_guess_turned_by_a_quarter_is_no_convention(axis):
    """Turned by 90 degrees about an axis of no convention: refine looks for it; no cure is proposed."""
    poses = alone("bottle").bodies[0].initial
    turn = Rotation.from_quat(poses.rotation) * Rotation.from_rotvec(np.pi / 2 * np.array(axis))
    wrong = guessed(alone("bottle"), rotation=turn.as_quat())
    assert not [each for each in warpprior.check(wrong) if each.level == "error"]


def test_codes_are_those_that_pages_explain():
    """The table of codes, the faults of the bench and the page of pictures name codes that exist; none is left out."""
    _, _, page = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8").partition("## What is found")
    table = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert sorted(table) == sorted(CODES)
    made = {path: path.read_text(encoding="utf-8") for path in (ROOT / "warpprior" / "checks").glob("*.py")}
    text = "".join(content for path, content in made.items() if path.name != "codes.py")
    assert [code for code in CODES if f'"{code}"' not in text] == []
    assert set(FAULTS) | {"object_symmetry"} == set(CODES)


def test_the_page_of_faults_is_what_its_script_writes():
    """Ten small pictures, each of a code that exists and is named beside it."""
    script = runpy.run_path(str(ROOT / "docs" / "faults.py"), run_name="faults")
    page, pictures = script["PAGE"].read_text(encoding="utf-8"), ROOT / script["PICTURES"]
    assert len(script["EXAMPLES"]) == 10 and set(script["EXAMPLES"]) <= set(CODES)
    assert {path.stem for path in pictures.iterdir()} == set(script["EXAMPLES"])
    assert page.startswith(script["HEAD"]) and page.count("  cure: ") == 10
    for code, example in script["EXAMPLES"].items():
        part = page[page.index(f"## {example.title}\n") :].partition("\n## ")[0]
        assert f"pictures/faults/{code}.jpg" in part and re.search(rf"^(error|warning) {code}: ", part, re.MULTILINE)
        assert (pictures / f"{code}.jpg").stat().st_size < 60_000
