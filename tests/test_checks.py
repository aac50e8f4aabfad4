"""Wrong but plausible data is named by ``warpprior.check``, and right data is not."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import warpprior
from warpprior.bodies import read_hand
from warpprior.checks.run import cure
from warpprior.cli import main
from warpprior.io import save_scene
from warpprior.refinement.keypoint_outliers import keypoint_orders
from warpprior.scenes import simulate

FLIP = np.array([1.0, -1.0, -1.0])


@pytest.fixture(scope="module")
def clean():
    """A hand that lifts a mug; first guesses of a network, rough labels."""
    return simulate("grasp_lift", object="mug", seed=3, frame_count=12, images=False)


@pytest.fixture(scope="module")
def robot():
    """A known robot hand and a bottle."""
    return simulate("robot_lift", seed=5, frame_count=10, images=False)


def codes(scene, *levels):
    """Codes that a check finds at these levels, or at all that matter."""
    levels = levels or ("error", "warning")
    return {finding.code for finding in warpprior.check(scene) if finding.level in levels}


def with_poses(scene, change):
    """The scene with the first guess of every body changed: position and rotation."""
    moved = {}
    for item in scene.bodies:
        position, rotation = change(item.initial.position, Rotation.from_quat(item.initial.rotation))
        moved[item.name] = replace(item.initial, position=position, rotation=rotation.as_quat())
    return scene.with_poses(moved)


def reordered(scene):
    """Quaternions w, x, y, z."""
    return with_poses(scene, lambda p, r: (p, Rotation.from_quat(r.as_quat()[:, [3, 0, 1, 2]])))


def transposed(scene):
    return with_poses(scene, lambda p, r: (p, r.inv()))


def inverse(scene):
    return with_poses(scene, lambda p, r: (-r.inv().apply(p), r.inv()))


def opengl(scene):
    return with_poses(scene, lambda p, r: (p * FLIP, Rotation.from_matrix(FLIP[:, None] * r.as_matrix())))


def other_eulers(scene):
    return with_poses(scene, lambda p, r: (p, Rotation.from_euler("xyz", r.as_euler("XYZ"))))


def with_camera(scene, focal=1.0, center=1.0, offset=(0.0, 0.0)):
    """The scene with other intrinsics."""
    c = scene.camera
    x, y = offset
    camera = replace(c, fx=focal * c.fx, fy=focal * c.fy, cx=center * c.cx + x, cy=center * c.cy + y)
    return replace(scene, camera=camera)


def resized(scene, factor):
    """The scene with a mesh of another size."""
    change = lambda body: replace(body, vertices=(body.vertices * factor).astype(np.float32))  # noqa: E731
    bodies = [replace(b, body=change(b.body)) if b.body.is_rigid else b for b in scene.bodies]
    return replace(scene, bodies=tuple(bodies))


def with_points(scene, change):
    """The scene with other 2D keypoints of the hand."""
    values = change(np.array(scene.keypoints2d["hand"], dtype=float))
    return replace(scene, keypoints2d={**scene.keypoints2d, "hand": values})


def exchanged(scene):
    return with_points(scene, lambda points: points[..., [1, 0, 2]])


def mirrored(scene):
    width = scene.camera.width - 1.0
    return with_points(scene, lambda points: points * [-1.0, 1.0, 1.0] + [width, 0.0, 0.0])


def in_another_order(scene):
    order = next(iter(keypoint_orders(scene.body("hand")).values()))
    return with_points(scene, lambda points: points[:, np.argsort(order)])


def in_parts_of_the_picture(scene):
    return with_points(scene, lambda points: points / [scene.camera.width, scene.camera.height, 1.0])


def marked(scene):
    def change(points):
        points[3:6] = [-1.0, -1.0, 1.0]
        return points

    return with_points(scene, change)


def of_the_other_hand(scene):
    hand = replace(scene.body("hand"), body=read_hand("left"))
    return replace(scene, bodies=tuple(hand if b.name == "hand" else b for b in scene.bodies))


def at_the_depth_of_a_crop(scene):
    hand = scene.body("hand").initial
    far = 5000.0 / 256.0 * scene.camera.width / scene.camera.fx
    return scene.with_poses({"hand": replace(hand, position=hand.position * [1.0, 1.0, far])})


FAULTS = {
    "quaternion_order": (reordered,),
    "rotation_transposed": (transposed,),
    "pose_inverse": (inverse,),
    "opengl_axes": (opengl,),
    "euler_or_degrees": (other_eulers,),
    "intrinsics_scale": (
        partial(with_camera, focal=0.5, center=0.5),
        partial(with_camera, focal=2.0, center=2.0),
        partial(with_camera, focal=1.3),
    ),
    "principal_point": (partial(with_camera, offset=(60.0, -45.0)),),
    "mesh_scale": (partial(resized, factor=1.3), partial(resized, factor=8.0)),
    "mesh_units": (partial(resized, factor=0.01), partial(resized, factor=100.0)),
    "keypoints_swapped_uv": (exchanged,),
    "keypoints_mirrored": (mirrored,),
    "keypoint_order": (in_another_order,),
    "keypoints_normalised": (in_parts_of_the_picture,),
    "keypoints_missing_marker": (marked,),
    "hand_side": (of_the_other_hand,),
    "depth_of_crop_camera": (at_the_depth_of_a_crop,),
}
OF_HANDS = ("keypoint", "hand_side", "depth_of_crop")


@pytest.mark.parametrize(("code", "fault"), [(code, fault) for code, faults in FAULTS.items() for fault in faults])
def test_faults_are_named(clean, code, fault):
    """Each kind of fault is found under its code, and under no other at the same level, in a scene of a human hand."""
    assert codes(fault(clean), "error") == {code}


@pytest.mark.parametrize("code", [code for code in FAULTS if not code.startswith(OF_HANDS)])
def test_faults_are_named_beside_a_known_robot(robot, code):
    """Those that are not of hands are found in a scene without keypoints, too."""
    for fault in FAULTS[code]:
        assert code in codes(fault(robot)), fault


def test_right_data_is_passed_over(clean, robot):
    """Neither errors nor warnings where nothing is wrong but the noise."""
    assert codes(clean) == codes(robot) == set()


@pytest.mark.parametrize("fault", [reordered, inverse, exchanged, mirrored, in_another_order, marked])
def test_cures_undo_faults(clean, fault):
    """The scene with the cures applied is the one before the fault."""
    wrong = fault(clean)
    mended, applied = cure(wrong, warpprior.check(wrong))
    assert applied
    for item in clean.bodies:
        there = mended.body(item.name).initial
        assert np.allclose(there.position, item.initial.position, atol=1e-9)
        turn = Rotation.from_quat(there.rotation).inv() * Rotation.from_quat(item.initial.rotation)
        assert turn.magnitude().max() < 1e-6
    given, kept = clean.keypoints2d["hand"], mended.keypoints2d["hand"]
    known = kept[..., 2] > 0.0
    assert np.allclose(kept[known], given[known]) and known.mean() > 0.6


def test_the_command_says_and_writes_what_it_found(clean, tmp_path, capsys):
    """Exit code 2 with an error, 0 without; findings are lines and JSON; the fixed scene has none."""
    save_scene(inverse(clean), tmp_path / "wrong")
    words = ["check", str(tmp_path / "wrong"), "--json", str(tmp_path / "found.json"), "--device", "cpu"]
    assert main([*words, "--fix", str(tmp_path / "right")]) == 2
    found = json.loads((tmp_path / "found.json").read_text())["findings"]
    assert {finding["code"] for finding in found if finding["level"] == "error"} == {"pose_inverse"}
    assert set(found[0]) == {"code", "level", "body", "frames", "evidence", "message", "cure"}
    assert found[0]["evidence"]["agreement_cured"] > 2 * found[0]["evidence"]["agreement"]
    said = capsys.readouterr().out
    assert "error pose_inverse" in said and "cure: poses of" in said
    assert main(["check", str(tmp_path / "right"), "--device", "cpu"]) == 0
    assert main([*words]) == 2 and "exists" in capsys.readouterr().err  # without --overwrite


def test_refine_says_what_a_check_finds(clean):
    """Findings are in the result and its notes; with ``strict`` an error ends the run first; it can be left out."""
    wrong = reordered(clean.first_frames(6))
    settings = warpprior.RefineSettings(iterations=1)
    result = warpprior.refine(wrong, settings, device="cpu")
    assert {finding.code for finding in result.findings if finding.level == "error"} == {"quaternion_order"}
    assert any("quaternion_order" in note and "cure" in note for note in result.notes)
    with pytest.raises(warpprior.InputError, match="quaternion_order"):
        warpprior.refine(wrong, settings, device="cpu", strict=True)
    unchecked = warpprior.refine(wrong, settings, device="cpu", check_first=False)
    assert unchecked.findings == () and not any("quaternion_order" in note for note in unchecked.notes)
    for name, poses in result.poses.items():
        assert np.array_equal(poses.position, unchecked.poses[name].position)
