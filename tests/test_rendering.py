"""Pictures of posed bodies: labels, masks and depth against plain geometry, occlusion, and long sequences in parts."""

from dataclasses import replace

import numpy as np
import pytest

import warpprior.render.images as rendering
from tests.estimator_scenes import CAMERA, make_arm, make_ball, make_block, make_motion, make_scene
from warpprior.render.images import render_depth, render_labels, render_masks
from warpprior.scene import IGNORE_LABEL, Scene, SceneBody
from warpprior.support.errors import InputError


def poses_of(scene):
    return {body.name: body.truth for body in scene.bodies}


@pytest.fixture(scope="module")
def scene():
    """A plate in front of a ball, a little to the side, and three frames."""
    plate = make_motion((0.02, 0.0, 0.3), (0.0, 0.0, 0.0), drift=(0.005, 0.0, 0.0), frames=3)
    ball = make_motion((0.0, 0.0, 0.4), drift=(0.0, 0.004, 0.01), frames=3)
    return make_scene((make_block("plate", (0.02, 0.03, 0.001)), make_ball()), (plate, ball), (plate, ball))


def test_a_plate_covers_the_pixels_whose_centres_it_covers(device, scene):
    """Every pixel whose ray meets the plate has its label, and only those."""
    found = render_labels(scene, poses_of(scene), device) == 1
    y, x = np.mgrid[:96, :96] + 0.5
    for frame, image in enumerate(found):
        across, down, depth = scene.body("plate").truth.position[frame] - [0.0, 0.0, 0.001]
        ray_x, ray_y = (x - CAMERA.cx) / CAMERA.fx * depth, (y - CAMERA.cy) / CAMERA.fy * depth
        inside = (np.abs(ray_x - across) < 0.02) & (np.abs(ray_y - down) < 0.03)
        assert (image != inside).mean() < 0.003


def test_the_nearer_body_is_seen(device, scene):
    """Masks overlap, labels do not: where both bodies are, the plate's label is."""
    masks, labels = render_masks(scene, poses_of(scene), device), render_labels(scene, poses_of(scene), device)
    assert masks["ball"].dtype == bool
    both = masks["plate"] & masks["ball"]
    assert both.any()
    assert (labels[both] == 1).all()
    np.testing.assert_array_equal(labels == 2, masks["ball"] & ~masks["plate"])
    np.testing.assert_array_equal(labels > 0, masks["ball"] | masks["plate"])


def test_depth_of_a_sphere(device):
    """At each pixel the depth where its ray meets the sphere, to the facets' error; zero beside it."""
    motion = make_motion((0.01, -0.005, 0.4), frames=1)
    scene = make_scene((make_ball(subdivisions=4),), (motion,), (motion,))
    depth = render_depth(scene, poses_of(scene), device)[0]
    y, x = np.mgrid[:96, :96] + 0.5
    rays = np.stack([(x - CAMERA.cx) / CAMERA.fx, (y - CAMERA.cy) / CAMERA.fy, np.ones_like(x)], axis=2)
    along, square = rays @ motion.position[0], (rays**2).sum(axis=2)
    root = along**2 - square * (motion.position[0] @ motion.position[0] - 0.025**2)
    expected = np.where(root > 0, (along - np.sqrt(np.maximum(root, 0.0))) / square, 0.0)
    assert ((depth > 0) != (expected > 0)).mean() < 0.003
    # At grazing angles a facet is far from the sphere along the ray.
    facing = (depth > 0) & (root > 2e-5)
    np.testing.assert_allclose(depth[facing], expected[facing], atol=2e-4)
    assert depth.dtype == np.float32


def test_depth_agrees_with_labels(device, scene):
    """There is depth exactly where there is a label, and the plate's is its own."""
    depth, labels = render_depth(scene, poses_of(scene), device), render_labels(scene, poses_of(scene), device)
    np.testing.assert_array_equal(depth > 0, labels > 0)
    np.testing.assert_allclose(depth[labels == 1], 0.299, atol=1e-5)


def test_bodies_outside_or_behind_are_not_drawn(device):
    """A body behind the camera, and one beside the picture, leave it empty."""
    for place in ((0.0, 0.0, -0.4), (1.0, 0.0, 0.4)):
        motion = make_motion(place, frames=1)
        scene = make_scene((make_ball(),), (motion,), (motion,))
        assert not render_labels(scene, poses_of(scene), device).any()
        assert not render_depth(scene, poses_of(scene), device).any()


def test_more_bodies_than_keys_can_tell_apart_are_refused(device):
    """Sixteen bodies: labels and depth are refused with a sentence; single masks need one channel and are drawn."""
    names = [f"ball {number}" for number in range(16)]
    motion = make_motion((0.0, 0.0, 0.4), frames=1)
    bodies = tuple(SceneBody(make_ball(name), 1 + i, True, motion) for i, name in enumerate(names))
    scene, poses = Scene("crowd", CAMERA, 30.0, bodies), dict.fromkeys(names, motion)
    for draw in (render_labels, render_depth):
        with pytest.raises(InputError, match="16; at most 15"):
            draw(scene, poses, device)
    assert all(mask.any() for mask in render_masks(scene, poses, device).values())


def test_long_sequences_in_parts_are_the_same(device, scene, monkeypatch):
    """The number of frames drawn at once does not show."""
    expected = render_labels(scene, poses_of(scene), device)
    monkeypatch.setattr(rendering, "CHUNK_PIXELS", 1)
    np.testing.assert_array_equal(render_labels(scene, poses_of(scene), device), expected)


def test_scale_joints_and_labels_are_taken_into_account(device):
    """A body half as large covers a quarter; a bent arm looks different; labels are the scene's own numbers."""
    motion = make_motion((0.0, 0.0, 0.4), frames=1)
    scene = make_scene((make_ball(),), (motion,), (motion,))
    scene = replace(scene, bodies=(replace(scene.bodies[0], label=77),))
    full = render_labels(scene, {"ball": motion}, device)
    half = render_labels(scene, {"ball": replace(motion, scale=0.5)}, device)
    assert set(np.unique(full)) == {0, 77}
    assert (half > 0).sum() == pytest.approx(0.25 * (full > 0).sum(), rel=0.05)
    arm = make_motion((-0.05, 0.0, 0.5), (0.0, 0.0, 0.0), frames=2, joints=[[0.0, 0.0], [0.8, 0.5]])
    scene = make_scene((make_arm(),), (arm,), (arm,))
    straight, bent = render_labels(scene, poses_of(scene), device)
    assert (straight != bent).sum() > 100
    assert IGNORE_LABEL not in straight
