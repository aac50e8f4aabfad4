"""Scenes without pictures whose poses are observations: contact mends them, and the motion stays."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.format_files.samples import hand_item, object_of, simulated
from warpprior import RefineSettings, refine
from warpprior.bodies import posed_vertices
from warpprior.geometry.sampling import spread_vertices
from warpprior.geometry.signed_distance import Surface
from warpprior.support.errors import InputError


def unseen(scene, **changes):
    """The scene without all that pictures show."""
    bare = {"labels": None, "read_rgb": None, "read_depth": None}
    return replace(scene, **bare, keypoints2d={}, keypoints3d={}, boxes={}, centers={}, **changes)


def pushed_in(scene, amount):
    """The hand moved towards the object [m]."""
    hand, item = hand_item(scene), object_of(scene)
    away = item.initial.position - hand.initial.position
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    moved = replace(hand.initial, position=hand.initial.position + amount * away)
    return scene.with_poses({hand.name: moved})


def deepest(scene, poses):
    """How deep the hand is in the object (frame,) [m], by exact distances."""
    hand, item = hand_item(scene), object_of(scene)
    surface, own = posed_vertices(hand.body, poses[hand.name]), poses[item.name]
    mesh = Surface(item.body.vertices, item.body.faces, "object")
    turns = Rotation.from_quat(own.rotation).as_matrix()
    inside = [(vertices - place) @ turn for vertices, place, turn in zip(surface, own.position, turns, strict=True)]
    return -np.array([mesh.measure(points)[0].min() for points in inside])


def test_penetration_of_poses_alone_is_mended_and_motion_stays():
    """2 cm deep where 1 mm is true: within 4 mm after it, and nothing moved more than the depth."""
    scene = unseen(pushed_in(simulated(object="bottle"), 0.02), noise={"poses": 0.005})
    starts = {item.name: item.initial for item in scene.bodies}
    result = refine(scene, device="cpu")
    before, after = deepest(scene, starts), deepest(scene, result.poses)
    assert np.median(before) > 0.012 and after.max() < 0.004
    for name, poses in result.poses.items():
        moved = np.linalg.norm(poses.position - starts[name].position, axis=1)
        assert np.median(moved) < 0.016, name
    assert any("given poses are held" in note for note in result.notes)


def test_poses_are_no_observations_unless_the_scene_says_so():
    """A scene whose labels were forgotten is refused as before."""
    with pytest.raises(InputError, match=r"no label images.*noise\.poses"):
        refine(unseen(simulated()), device="cpu")


def test_without_the_term_poses_are_free():
    """Held by nothing, the object goes where contact and smoothness leave it; held, it stays nearer."""
    scene = unseen(pushed_in(simulated(object="bottle"), 0.02), noise={"poses": 0.005})
    item = object_of(scene)
    far = []
    for settings in (RefineSettings(), RefineSettings().leaving_out(["given"])):
        found = refine(scene, settings, device="cpu").poses[item.name]
        far.append(np.linalg.norm(found.position - item.initial.position, axis=1).max())
    assert far[0] < far[1]


def test_points_are_spread():
    """The corners of a box come before what lies between them."""
    corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T.astype(float)
    points = np.concatenate([0.5 + 0.1 * (corners - 0.5), corners])
    assert list(spread_vertices(points, 8)) == list(range(8, 16))
