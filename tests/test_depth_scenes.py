"""Depth images of simulated scenes: noise, what is hidden, the way through a scene folder, and what they are worth."""

from dataclasses import replace

import numpy as np
import pytest

from tests.estimator_scenes import errors_of
from warpprior import cli, terms
from warpprior.io import load_scene, save_scene
from warpprior.refinement.run import refine
from warpprior.render.images import render_depth
from warpprior.scene import Camera
from warpprior.scenes import simulate
from warpprior.scenes.hand_scenes import hand_scene
from warpprior.scenes.noise import depth_sigma, sensor_depths
from warpprior.settings import RefineSettings
from warpprior.support.errors import InputError

SMALL = Camera(160, 120, 153.75, 153.75, 80.0, 60.0)
GIVEN = {"object": "mug", "seed": 1, "mask_noise": "M0", "frame_count": 8, "camera": SMALL, "images": False}


@pytest.fixture(scope="module")
def lift():
    """A mug lifted in eight frames, two of them hidden, with depth."""
    return hand_scene("grasp_lift", depth=True, occluded_frames=(3, 2), **GIVEN)


@pytest.mark.parametrize(("distance", "sigma"), [(0.4, 0.0012), (0.6, 0.001276), (1.4, 0.0031)])
def test_noise_grows_with_the_distance_as_published(distance, sigma):
    """Mean and standard deviation of ten thousand pixels; what is nothing stays nothing."""
    depths = np.full((1, 100, 100), distance, dtype=np.float32)
    depths[0, 0] = 0.0
    read = sensor_depths(depths, np.random.default_rng(0))(0)
    assert read.dtype == np.float32 and not read[0].any()
    np.testing.assert_allclose(read[1:].mean(), distance, atol=4.0 * sigma / 100.0)
    np.testing.assert_allclose(read[1:].std(), sigma, rtol=0.04)
    np.testing.assert_allclose(depth_sigma(np.array(distance)), sigma, rtol=1e-3)
    np.testing.assert_allclose(read, np.rint(read / 1e-4) * 1e-4, atol=1e-6)


def test_depth_is_that_of_hand_and_object(lift):
    """Measured where there is a label and nowhere else, as the rasteriser draws it but for noise; not while hidden."""
    truth = {body.name: body.truth for body in lift.bodies}
    drawn = render_depth(lift, truth)
    for frame in range(8):
        read = lift.read_depth(frame)
        if frame in (3, 4):
            assert not read.any()
            continue
        np.testing.assert_array_equal(read > 0.0, lift.labels[frame] > 0)
        both = (read > 0.0) & (drawn[frame] > 0.0)
        error = (read - drawn[frame])[both]
        assert abs(np.median(error)) < 3e-4
        assert np.percentile(np.abs(error), 80) < 0.004


def test_depth_changes_nothing_else(lift):
    """The same scene without it; the same images again from the same seed."""
    other = hand_scene("grasp_lift", occluded_frames=(3, 2), **GIVEN)
    assert other.read_depth is None
    np.testing.assert_array_equal(other.labels, lift.labels)
    np.testing.assert_array_equal(other.bodies[0].initial.joints, lift.bodies[0].initial.joints)
    np.testing.assert_array_equal(other.keypoints2d["hand"], lift.keypoints2d["hand"])
    again = hand_scene("grasp_lift", depth=True, occluded_frames=(3, 2), **GIVEN)
    np.testing.assert_array_equal(again.read_depth(6), lift.read_depth(6))


def test_scene_folders_keep_the_measured_values(lift, tmp_path):
    """To the tenth of a millimetre that they are stored in."""
    save_scene(lift, tmp_path / "scene")
    read = load_scene(tmp_path / "scene")
    for frame in (0, 3, 7):
        np.testing.assert_allclose(read.read_depth(frame), lift.read_depth(frame), atol=1e-6)


def test_the_robots_scenes_have_none():
    """The option is refused in words."""
    with pytest.raises(InputError, match="depth"):
        simulate("robot_lift", depth=True)


def test_the_command_writes_depth_images(tmp_path):
    """`warpprior simulate --depth`."""
    arguments = ["simulate", "grasp_lift", "--output-dir", str(tmp_path / "scene"), "--num-frames", "2", "--depth"]
    assert cli.main([*arguments, "--device", "cpu", "--quiet"]) == 0
    assert len(list((tmp_path / "scene" / "depth").glob("*.png"))) == 2


def test_depth_helps_hand_and_object(device, lift):
    """Both end nearer to the truth than without, along the line of sight above all."""
    settings = RefineSettings(contact_points=256)
    depth = terms.Depth(weight=1.0)
    measured = replace(settings, terms=[depth if term.name == depth.name else term for term in settings.terms])
    blind, found = refine(lift, settings, device=device), refine(lift, measured, device=device)
    for name in (body.name for body in lift.bodies):
        assert np.median(errors_of(found, name)) < 4.0
        assert np.median(errors_of(found, name)) < np.median(errors_of(blind, name))
