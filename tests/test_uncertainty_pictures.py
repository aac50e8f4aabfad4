"""Uncertainty that people can see: ellipses in pictures and bands in plots are where samples of the poses are."""

from dataclasses import replace

import numpy as np
import pytest
from result_samples import CAMERA, make_box, make_box_poses, make_result
from scipy.spatial.transform import Rotation

from warpprior.bodies import posed_keypoints, read_hand
from warpprior.report import write_report
from warpprior.report.bands import band_figure, sensor_figure
from warpprior.report.overlay import _Film
from warpprior.report.picture import OUTLINES
from warpprior.report.plots import render_plots
from warpprior.report.uncertainty import SIGMAS, Spots, draw_spots, spots_of
from warpprior.scene import Poses

FRAMES = 3


@pytest.fixture(scope="module")
def hand():
    """Our right hand."""
    return read_hand("right")


@pytest.fixture
def grip(hand):
    """The hand half closed, half a metre away, with uncertain joints."""
    size = 6 + hand.coordinate_count
    mix = np.random.default_rng(4).normal(size=(FRAMES, size, size)) / np.sqrt(size)
    sigma = np.concatenate([np.full(3, 2e-3), np.full(3, 0.01), np.full(hand.coordinate_count, 0.01)])
    joints = np.tile(hand.pose_prior.mean, (FRAMES, 1)) + 0.1 * np.arange(FRAMES)[:, None]
    rotation = Rotation.random(FRAMES, random_state=1).as_quat()
    covariance = sigma[:, None] * (mix @ mix.transpose(0, 2, 1)) * sigma
    return Poses(np.tile([0.02, 0.01, 0.5], (FRAMES, 1)), rotation, joints, covariance=covariance)


def projected(points):
    """Pixels of points (..., 3)."""
    return points[..., :2] / points[..., 2:] * [CAMERA.fx, CAMERA.fy] + [CAMERA.cx, CAMERA.cy]


def moved(poses, frame, errors):
    """A frame's pose moved by many errors (draw, 6 + coordinate), by the definition of the error."""
    turns = Rotation.from_rotvec(errors[:, 3:6]) * Rotation.from_quat(poses.rotation[frame])
    return Poses(poses.position[frame] + errors[:, :3], turns.as_quat(), poses.joints[frame] + errors[:, 6:])


def draws(poses, frame, count):
    """Errors drawn from a frame's covariance."""
    covariance = poses.covariance[frame]
    return np.random.default_rng(frame).multivariate_normal(np.zeros(len(covariance)), covariance, count)


def test_ellipse_of_a_box_is_where_its_middle_may_be():
    """With an origin at a corner of the box, turns move the middle as well."""
    box = make_box()
    box = replace(box, vertices=np.add(box.vertices, [0.04, 0.03, 0.06]).astype(np.float32))
    sigma = np.diag([2e-3, 1e-3, 8e-3, 0.02, 0.03, 0.01])
    poses = replace(make_box_poses(FRAMES), scale=1.2, covariance=np.tile(sigma**2, (FRAMES, 1, 1)))
    spots = spots_of(box, poses, CAMERA)
    assert spots.places.shape == (FRAMES, 1, 2)
    for frame in range(FRAMES):
        motion = moved(poses, frame, draws(poses, frame, 20_000))
        middle = motion.position + Rotation.from_quat(motion.rotation).apply([0.048, 0.036, 0.072])
        pixels = projected(middle)
        spread = spots.spread[frame, 0]
        np.testing.assert_allclose(spots.places[frame, 0], pixels.mean(axis=0), atol=0.1)
        np.testing.assert_allclose(spread, np.cov(pixels.T), atol=0.04 * np.trace(spread))


def test_fingertips_follow_the_joints(hand, grip):
    """Root and five tips; the tips' ellipses hold samples of the whole hand."""
    spots = spots_of(hand, grip, CAMERA)
    assert spots.places.shape == (FRAMES, 6, 2)
    tips = [k for k, name in enumerate(hand.keypoints.names) if name.endswith("tip")]
    for frame in (0, FRAMES - 1):
        points = posed_keypoints(hand, moved(grip, frame, draws(grip, frame, 600)))[:, [0, *tips]]
        pixels = projected(points.astype(np.float64))
        np.testing.assert_allclose(spots.places[frame], pixels.mean(axis=0), atol=1.0)
        for point in range(6):
            away = pixels[:, point] - spots.places[frame, point]
            squares = np.einsum("ni,ij,nj->n", away, np.linalg.inv(spots.spread[frame, point]), away)
            assert np.mean(squares) == pytest.approx(2.0, rel=0.2)


def test_derivatives_do_not_depend_on_how_many_frames_are_posed_at_once(hand, grip, monkeypatch):
    """A body of many vertices is posed a few frames at a time."""
    whole = spots_of(hand, grip, CAMERA)
    monkeypatch.setattr("warpprior.report.uncertainty._POINTS_AT_ONCE", 2 * 45 * hand.vertex_count + 1)
    np.testing.assert_array_equal(spots_of(hand, grip, CAMERA).spread, whole.spread)


def test_an_ellipse_is_drawn_three_sigmas_wide():
    """Axes of 3 times 10 and 3 times 5 pixels around the place, turned by 30 degrees."""
    turn = Rotation.from_rotvec([0.0, 0.0, np.radians(30.0)]).as_matrix()[:2, :2]
    spread = turn @ np.diag([10.0, 5.0]) ** 2 @ turn.T
    image = np.zeros((120, 160, 3), np.uint8)
    spots = Spots(np.array([[[80.5, 60.5]]]), spread[None, None])
    assert draw_spots(image, spots, 0, OUTLINES[0])
    drawn = np.argwhere(np.abs(image.astype(int) - OUTLINES[0]).max(axis=2) < 60)[:, ::-1] + 0.5
    away = drawn - [80.5, 60.5]
    distance = np.sqrt(np.einsum("ni,ij,nj->n", away, np.linalg.inv(spread), away))
    assert len(drawn) > 60
    np.testing.assert_allclose(distance, SIGMAS, atol=0.25)
    assert np.ptp(away @ turn[:, 0]) == pytest.approx(60.0, abs=2.0)


def test_what_is_larger_than_the_picture_is_said():
    """No ellipse where the place could be anywhere; behind the camera there is nothing to say."""
    image = np.zeros((120, 160, 3), np.uint8)
    wide = np.tile(1e4 * np.eye(2), (2, 1, 1, 1))
    spots = Spots(np.array([[[80.0, 60.0]], [[np.nan, np.nan]]]), wide)
    assert not draw_spots(image, spots, 0, OUTLINES[0])
    assert draw_spots(image, spots, 1, OUTLINES[0])
    assert not image.any()


def test_video_shows_ellipses_after_only():
    """The panel after changes with a covariance, the one before does not; without one both stay bit for bit."""
    result = make_result(rgb=True)
    tracked = stating(result, np.diag([3e-3, 3e-3, 3e-3, 0.02, 0.02, 0.02]) ** 2)
    lost = stating(result, np.full((6, 6), np.nan))
    pictures = []
    for each in (result, tracked, lost):
        film = _Film(each, (320, 240), "cpu")
        (_, panels), *_ = film.panels(np.array([2]))
        pictures.append((panels, film.compose(2, panels)))
    (plain, page), (told, with_legend), (vague, _) = pictures
    np.testing.assert_array_equal(told[0], plain[0])
    assert (told[1] != plain[1]).any() and (vague[1] != plain[1]).any()
    assert (vague[1][30:] == plain[1][30:]).all()  # words in the corner only
    assert (with_legend[-30:] != page[-30:]).any()


def test_bands_hold_the_errors_they_are_made_for():
    """Six panels with the error inside plus and minus three sigmas of its component, and how much of it is within."""
    result = stating(make_result(40), np.diag([2e-3, 4e-3, 8e-3, 0.01, 0.02, 0.03]) ** 2)
    truth, motion = result.scene.bodies[0].truth, result.poses["box"]
    off = replace(motion, position=truth.position - [5e-3, 0.0, 0.0])
    off.position[:10, 0] -= 3e-3  # 8 mm are more than 3 times 2 mm
    off.covariance[30:, 0, 0] = np.nan
    figure = band_figure(replace(result, poses={"box": off}))
    assert len(figure.axes) == 6
    first, *others = figure.axes
    np.testing.assert_allclose(first.lines[-1].up, np.repeat([8.0, 5.0], [10, 30]), atol=1e-9)
    np.testing.assert_allclose(first.lines[1].up[:30], 6.0, atol=1e-9)
    assert first.limits()[1][1] < 30.0  # what is not observable leaves the picture
    assert first.title == "box: position x, 67 % within"
    sides = [axes.lines[1].up[0] for axes in others]
    np.testing.assert_allclose(sides, [12.0, 24.0, *np.degrees([0.03, 0.06, 0.09])], rtol=1e-9)
    assert all(axes.title.endswith("100 % within") for axes in others)


def test_bands_without_truth_stand_alone():
    """No error is drawn where none is known; no figure without a covariance."""
    result = stating(make_result(), 1e-6 * np.eye(6))
    blind = replace(result, scene=replace(result.scene, bodies=(replace(result.scene.bodies[0], truth=None),)))
    assert [len(axes.lines) for axes in band_figure(blind).axes] == [2] * 6
    assert band_figure(make_result()) is None and sensor_figure(make_result()) is None


def test_sensors_have_panels_and_the_loss_has_none():
    """Innovations over frames where something was measured; a history of frames is no loss."""
    squares = np.array([1.0, 3.0, np.nan, 30.0, 2.0])
    history = {
        "frame": np.arange(5),
        "nis/center": squares,
        "dof/center": np.array([3, 3, 0, 3, 3]),
        "nis/never": np.full(5, np.nan),
        "dof/never": np.zeros(5),
    }
    result = replace(stating(make_result(), 1e-6 * np.eye(6)), history=history)
    axes, empty = sensor_figure(result).axes
    assert not empty.shown and axes.title == "center: innovations, 75 % inside 95 %"
    np.testing.assert_allclose(
        np.stack([axes.lines[0].across, axes.lines[0].up], axis=1), [[0, 1 / 3], [1, 1], [3, 10], [4, 2 / 3]]
    )
    for line, side in zip(axes.lines[1:], (0.0719, 3.1161), strict=True):  # chi-squared tables, over 3
        np.testing.assert_allclose(line.up, side, atol=1e-4)
    assert set(render_plots(result)) == {"errors", "uncertainty", "sensors"}


def test_page_tells_of_uncertainty(tmp_path):
    """Both plots are on the page and the ellipses are explained; nothing of it without a covariance."""
    result = make_result()
    page = write_report(result, tmp_path).read_text(encoding="utf-8")
    assert "uncertainty" not in page and "Ellipses" not in page
    history = {"frame": np.arange(5), "nis/center": np.ones(5), "dof/center": np.full(5, 3)}
    tracked = replace(stating(result, 1e-6 * np.eye(6)), history=history)
    page = write_report(tracked, tmp_path).read_text(encoding="utf-8")
    for words in ("Errors within their uncertainty", "What the sensors said", "Ellipses: 3 standard deviations"):
        assert words in page
    assert "Optimisation" not in page


def stating(result, covariance):
    """The same result whose box states a covariance in every frame."""
    motion = result.poses["box"]
    stated = replace(motion, covariance=np.tile(covariance, (motion.frame_count, 1, 1)))
    return replace(result, poses=result.poses | {"box": stated})
