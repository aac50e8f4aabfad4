"""Hands alone, by keypoints: MediaPipe's landmarks and Aria's, into our own hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.format_files.hand_tables import FRAMES, keypoints, write_aria, write_mediapipe
from tests.format_files.samples import simulated
from warpprior.bodies import posed_keypoints
from warpprior.formats import read
from warpprior.support.errors import InputError

SIZE = {"width": 160, "height": 120, "focal": 150.5}


@pytest.mark.parametrize("script", [False, True])
def test_landmarks_are_put_where_the_picture_shows_them(tmp_path, script):
    """2D to the pixel, world landmarks at their true depth; the surer of two hands; frames without one say nothing."""
    write_mediapipe(tmp_path / "hands.json", script=script, missing=(2,))
    recording = read(tmp_path / "hands.json", **SIZE)
    scene, camera = recording.scene, simulated().camera
    assert [item.name for item in scene.bodies] == ["hand_right"]
    truth = keypoints()
    flat, deep = scene.keypoints2d["hand_right"], scene.keypoints3d["hand_right"]
    drawn = truth[..., :2] / truth[..., 2:] * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    for frame in (0, 1, 3, 4):
        assert np.abs(flat[frame, :, :2] - drawn[frame]).max() < 1e-6 and (flat[frame, :, 2] == 0.9).all()
        assert np.abs(deep[frame, :, :3] - truth[frame]).max() < 0.02  # its focal lengths are not the same
    assert not flat[2].any() and not deep[2].any()
    assert list(np.flatnonzero(scene.bodies[0].initial.imputed)) == [2]
    item = scene.bodies[0]
    found = posed_keypoints(item.body, item.initial)[[0, 1, 3, 4]] - truth[[0, 1, 3, 4]]
    assert np.median(np.linalg.norm(found, axis=2)) < 0.015
    assert any("two hands were said" in note for note in recording.notes)


def test_words_of_mirrored_pictures_are_exchanged_and_told(tmp_path):
    """A right hand that is called left bends the wrong way: a note; --mirrored makes it right."""
    write_mediapipe(tmp_path / "hands.json", mirrored=True)
    wrong = read(tmp_path / "hands.json", **SIZE)
    assert [item.name for item in wrong.scene.bodies] == ["hand_left"]
    assert any("--mirrored" in note for note in wrong.notes)
    right = read(tmp_path / "hands.json", mirrored=True, **SIZE)
    assert [item.name for item in right.scene.bodies] == ["hand_right"]
    assert not any("--mirrored" in note for note in right.notes)


def test_sizes_of_pictures_have_to_be_said(tmp_path):
    """Shares of a picture are no pixels."""
    write_mediapipe(tmp_path / "hands.json")
    with pytest.raises(InputError, match="--width and --height"):
        read(tmp_path / "hands.json")
    (tmp_path / "hands.json").write_text('[{"handedness": [[{"category_name": "Up"}]], "hand_landmarks": [[]]}]')
    with pytest.raises(InputError, match="'up'"):
        read(tmp_path / "hands.json", "mediapipe", **SIZE)


def test_aria_hands_have_their_own_order_and_a_moving_device(tmp_path):
    """Tips first and palm last; -1 is no hand, whatever stands there; the device's poses by nearest time, gravity."""
    write_aria(tmp_path / "mps", missing=(1,))
    recording = read(tmp_path / "mps")
    scene = recording.scene
    assert [item.name for item in scene.bodies] == ["hand_right"]
    deep, truth = scene.keypoints3d["hand_right"], keypoints()
    given = [row for row in range(21) if row != 1]  # the base of the thumb is not among the landmarks
    for frame in (0, 2, 3, 4):
        assert np.abs(deep[frame, given, :3] - truth[frame, given]).max() < 1e-9
        assert (deep[frame, given, 3] == 0.9).all() and deep[frame, 1, 3] == 0.0
    assert not deep[1].any() and scene.frame_count == FRAMES and scene.fps == pytest.approx(30.0, rel=1e-3)
    assert np.allclose(recording.world.gravity, [0.0, 0.0, -1.0])
    assert np.allclose(recording.world.camera.position[3], [0.06, 1.0, 0.0])
    assert any("left" in note and "left out" in note for note in recording.notes)


def test_hands_beside_the_device_are_kept(tmp_path):
    """The made-up camera stands farther back, and so do its poses: in the world nothing moves."""
    from tests.format_files.hand_tables import write_aria_beside

    write_aria_beside(tmp_path / "mps")
    recording = read(tmp_path / "mps")
    deep, matrices = recording.scene.keypoints3d["hand_right"], recording.world.camera.matrices()
    assert deep[..., 2][deep[..., 3] > 0.0].min() == pytest.approx(0.15)
    expected = keypoints()[:, 0] - [0.0, 0.0, 0.6]
    turned = np.einsum("fab,fb->fa", matrices[:, :3, :3], expected)
    device = np.column_stack([0.02 * np.arange(FRAMES), np.ones(FRAMES), np.zeros(FRAMES)])
    found = np.einsum("fab,fb->fa", matrices[:, :3, :3], deep[:, 0, :3]) + matrices[:, :3, 3]
    assert np.abs(found - turned - device).max() < 1e-6
