"""The overlay video and the sheet of frames: what is drawn is where the bodies are."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from result_samples import make_arm, make_contacts, make_result

from warpprior.bodies import Keypoints, posed_keypoints
from warpprior.report import write_overlay, write_sheet
from warpprior.report.overlay import _Film
from warpprior.report.picture import CONTACT, DETECTION, OUTLINES, choose_view, mark_contacts, mark_keypoints, outline
from warpprior.report.video import write_video
from warpprior.scene import Camera
from warpprior.support.errors import InputError, MissingExtraError, RunError

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed")


@pytest.fixture
def result():
    """A box, an arm and contacts over images."""
    return make_result(arm=make_arm(), rgb=True)


def decoded(path):
    """Frames of a video (frame, height, width, 3) RGB and its stream's description."""
    reader = imageio_ffmpeg.read_frames(str(path))
    about = next(reader)
    width, height = about["size"]
    return np.stack([np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader]), about


def near(image, color, reach=40):
    """Pixels within ``reach`` of a colour (height, width) bool."""
    return np.abs(image.astype(int) - color).max(axis=2) < reach


def test_video_plays_in_browsers(tmp_path, result):
    """H.264, yuv420p, even sizes, one picture per frame at the scene's rate."""
    path = tmp_path / "overlay.mp4"
    write_overlay(result, path)
    frames, about = decoded(path)
    assert len(frames) == 5
    assert about["codec"] == "h264" and about["pix_fmt"].startswith("yuv420p")
    assert about["fps"] == pytest.approx(30.0)
    assert frames.shape[1] % 2 == frames.shape[2] % 2 == 0
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # playing starts before the whole file is there
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_looks_like_an_option(tmp_path, result, monkeypatch):
    """A relative path that begins with a dash is a path to the encoder, too."""
    monkeypatch.chdir(tmp_path)
    Path("-o").mkdir()
    write_overlay(result, Path("-o/overlay.mp4"))
    assert [path.name for path in (tmp_path / "-o").iterdir()] == ["overlay.mp4"]


def test_outline_follows_the_label(tmp_path):
    """After: the outline runs along the labelled box.  Before: it does not."""
    film = _Film(make_result(), (640, 480), "cpu")
    (_, panels), *_ = film.panels(np.array([2]))
    labels = film.view.cut(film.scene.labels[2], smooth=False)
    contours, _ = cv2.findContours((labels == 1).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    distances = []
    for panel in panels:
        drawn = np.argwhere(near(panel, OUTLINES[0]))[:, ::-1].astype(np.float32)
        spots = [cv2.pointPolygonTest(contours[0], spot.tolist(), True) for spot in drawn]
        distances.append(np.percentile(np.abs(spots), 90))
    before, after = distances
    scale = film.view.width / (film.view.right - film.view.left)
    assert after < 1.5 * scale < before


def test_view_holds_all_bodies_and_enlarges_them():
    """The crop contains every labelled pixel and both motions, at up to four times the size."""
    result = make_result(arm=make_arm())
    film = _Film(result, (640, 480), "cpu")
    rows, columns = np.nonzero((result.scene.labels == 1).any(axis=0))
    view = film.view
    assert view.left <= columns.min() and columns.max() < view.right
    assert view.top <= rows.min() and rows.max() < view.bottom
    assert 1.0 < view.width / (view.right - view.left) <= 4.05
    assert view.width % 2 == view.height % 2 == 0 and view.width <= 640 and view.height <= 480


def test_view_projects_as_the_scene_camera():
    """A point's pixel in the panel is its image pixel, moved and scaled."""
    scene = make_result().scene
    view = choose_view(scene, [{"box": scene.bodies[0].truth}], (640, 480), "cpu")
    camera, panel = scene.camera, view.camera(scene.camera)
    point = np.array([0.03, -0.02, 0.7])
    image = point[:2] / point[2] * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    spot = point[:2] / point[2] * [panel.fx, panel.fy] + [panel.cx, panel.cy]
    scale = np.array([view.width / (view.right - view.left), view.height / (view.bottom - view.top)])
    np.testing.assert_allclose(spot, (image - [view.left, view.top]) * scale)


def test_bodies_out_of_sight_show_the_whole_image():
    """With nothing in view and no labels the crop is the image."""
    result = make_result()
    body = result.scene.bodies[0]
    behind = replace(body.truth, position=body.truth.position * [1, 1, -1])
    scene = replace(result.scene, labels=None, bodies=(replace(body, initial=behind),))
    view = choose_view(scene, [{"box": behind}], (640, 480), "cpu")
    assert (view.left, view.top, view.right, view.bottom) == (0, 0, scene.camera.width, scene.camera.height)


def test_contacts_are_drawn_where_they_project():
    """A sure contact is one yellow dot at its pixel; faint, hidden, double and far ones are left out."""
    image = np.zeros((120, 160, 3), np.uint8)
    camera = Camera(160, 120, 100.0, 100.0, 80.0, 60.0)
    faint, behind, missing, far = [0.0, 0.0, 0.5], [0.0, 0.0, -1.0], [np.nan, 0.0, 1.0], [9e9, 0.0, 1e-2]
    points = np.array([[[0.105, 0.105, 0.5], [0.106, 0.106, 0.5], faint, behind, missing, far]])
    weight = np.array([[1.0, 0.9, 0.1, 1.0, 1.0, 1.0]])
    contact = replace(make_contacts(1), points=points, weight=weight)
    assert mark_contacts(image, camera, [contact], 0) == 1
    rows, columns = np.nonzero(near(image, CONTACT))
    assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((101.0, 81.0), abs=0.5)


def test_outlines_of_specks_and_of_many_bodies():
    """Colours repeat when there are more bodies than colours, empty masks draw nothing, specks are left out."""
    image = np.zeros((60, 80, 3), np.uint8)
    masks = np.zeros((8, 60, 80), bool)
    masks[7, 10:40, 10:60] = True
    masks[3, 50:53, 50:53] = True
    outline(image, masks)
    assert near(image, OUTLINES[7 % len(OUTLINES)]).any() and not near(image, OUTLINES[3]).any()


@pytest.mark.parametrize("gap", ["no images", "gaps", "no labels", "nothing"])
def test_missing_pictures(tmp_path, gap):
    """Without images the labels are shown; gaps do not flicker; with neither the outlines stand alone."""
    result = make_result(rgb=gap != "no images")
    scene, read = result.scene, result.scene.read_rgb
    if gap == "gaps":
        scene = replace(scene, read_rgb=lambda frame: read(frame) if frame < 3 else None)
    elif gap == "no labels":
        scene = replace(scene, labels=None)
    elif gap == "nothing":
        scene = replace(scene, labels=None, read_rgb=None)
    film = _Film(replace(result, scene=scene), (320, 240), "cpu")
    panels = [panel for _, (panel, _) in film.panels(np.arange(5))]
    greys = [np.mean(panel.max(axis=2) == panel.min(axis=2)) > 0.8 for panel in panels]
    assert len(set(greys)) == 1 and greys[0] == (gap != "no labels")


def test_sheet(tmp_path, result):
    """A picture of as many frames as asked for, or as there are; PNG and JPEG."""
    for name, count, columns in (("a.png", 3, 3), ("b.jpg", 9, 5)):
        write_sheet(result, tmp_path / name, count=count, size=(200, 150))
        image = cv2.imread(str(tmp_path / name))
        width = _Film(result, (200, 150), "cpu").view.width
        assert image.shape[1] == columns * (width + 4) - 4
    with pytest.raises(InputError, match="gif"):
        write_sheet(result, tmp_path / "c.gif")


@pytest.mark.parametrize("frames", [1, 2])
def test_short_sequences(tmp_path, frames):
    """One frame is a video too."""
    result = make_result(frames)
    write_overlay(result, tmp_path / "a.mp4")
    write_sheet(result, tmp_path / "a.png")
    assert len(decoded(tmp_path / "a.mp4")[0]) == frames


def test_captions_give_the_frame_s_errors(result):
    """Metrics of the frame stand over each panel; undefined ones are left out."""
    from warpprior.report.figures import frame_caption

    assert frame_caption(result, 0, 1) == "ADD 33.0 mm  mask IoU 0.500"
    assert frame_caption(result, 1, 0) == "ADD 1.5 mm"
    assert frame_caption(replace(result, metrics={}), 0, 0) == ""


def test_names_in_any_script(tmp_path):
    """Body names that the font lacks do not stop the video."""
    write_overlay(make_result(names=("手のひら", "é\n")), tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").stat().st_size > 1000


def test_long_sequences_keep_their_order(result, monkeypatch):
    """Drawing ahead in threads keeps frames in order over several chunks."""
    monkeypatch.setattr("warpprior.report.overlay._CHUNK", 2)
    film = _Film(result, (160, 120), "cpu")
    ahead = [(frame, panels[1]) for frame, panels in film.panels(np.arange(5))]
    assert [frame for frame, _ in ahead] == [0, 1, 2, 3, 4]
    for frame, panel in ahead:
        (_, (_, alone)), *_ = film.panels(np.array([frame]))
        np.testing.assert_array_equal(panel, alone)


def keypoints_of(body):
    """Five vertices of a body as its keypoints."""
    places = np.arange(0, 50, 10, dtype=np.int32)
    return replace(body, keypoints=Keypoints(tuple("abcde"), np.zeros(5, np.int32), places))


def test_keypoints_are_drawn_where_they_are(result):
    """Rings where keypoints were detected, dots of the body's colour where it has them, and a line between the two."""
    scene = result.scene
    arm = scene.body("arm")
    arm = replace(arm, body=keypoints_of(arm.body))
    camera = scene.camera
    points = posed_keypoints(arm.body, result.poses["arm"]).astype(float)
    spots = points[:, :, :2] / points[:, :, 2:] * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    detected = np.concatenate([spots + np.array([9.0, 0.0]), np.ones((5, 5, 1))], axis=2)
    detected[:, 1, 2] = 0.0
    detected[:, 2] = np.nan
    scene = replace(scene, bodies=(scene.body("box"), arm), read_rgb=None, keypoints2d={"arm": detected})
    with_keypoints = _Film(replace(result, scene=scene), (640, 480), "cpu")
    without = _Film(replace(result, scene=replace(scene, keypoints2d={})), (640, 480), "cpu")
    (_, (_, drawn)), *_ = with_keypoints.panels(np.array([2]))
    (_, (_, plain)), *_ = without.panels(np.array([2]))
    changed = (drawn != plain).any(axis=2)
    view = with_keypoints.view

    def pixel(point):
        column, row = np.floor(view.place(point)).astype(int)
        return row, column

    for keypoint in range(5):
        place = pixel(spots[2, keypoint])
        assert (drawn[place] == OUTLINES[1]).all(), keypoint
        middle = pixel(spots[2, keypoint] + [4.5, 0.0])
        if keypoint in (1, 2):  # nothing detected
            continue
        assert changed[middle], keypoint
        row, column = pixel(detected[2, keypoint, :2])
        assert near(drawn[row - 8 : row + 9, column - 8 : column + 9], DETECTION, 60).sum() >= 8, keypoint
    assert changed.sum() < 0.05 * changed.size
    assert (with_keypoints.compose(2, [drawn, drawn]) != without.compose(2, [drawn, drawn])).any()  # the legend


def test_keypoints_behind_the_camera_are_left_out():
    """NaN, and places far outside, are not drawn and raise nothing."""
    panel = np.zeros((40, 60, 3), np.uint8)
    places = np.array([[np.nan, 5.0], [1e9, 3.0], [-1e7, -1e7]])
    detected = np.array([[np.inf, 0.0, 1.0], [1e12, 2.0, 1.0], [-1e9, 1.0, 1.0]])
    mark_keypoints(panel, places, detected, OUTLINES[0])
    assert not panel.any()


def test_failing_encoder_keeps_the_old_file(tmp_path, monkeypatch):
    """When ffmpeg fails its last words are reported, the old file stays and nothing is left beside it."""
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    frames = [np.zeros((30, 31, 3), np.uint8)] * 300  # yuv420p takes no odd width
    with pytest.raises(RunError, match="ffmpeg"):
        write_video(frames, path, fps=30.0)
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(RunError, match="No space left"):
        write_video([np.zeros((30, 30, 3), np.uint8)], path, fps=30.0)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_error_while_drawing_stops_the_encoder(tmp_path):
    """An error in the source of frames comes through, with no file left behind."""

    def frames():
        yield np.zeros((30, 30, 3), np.uint8)
        raise InputError("rgb/000001.png", "is cut short", "a whole image")

    with pytest.raises(InputError, match="cut short"):
        write_video(frames(), tmp_path / "a.mp4", fps=30.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["cv2", "imageio_ffmpeg"])
def test_missing_libraries_are_named(tmp_path, result, monkeypatch, module):
    """Without OpenCV or imageio-ffmpeg the message says what to install."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"warpprior\[cv\]"):
        write_overlay(result, tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []
