"""Simulated scenes of people: feet that stand, contact with the object, what is seen, and how far first guesses are."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from warpprior.bodies.posing import posed_vertices
from warpprior.geometry.signed_distance import DistanceField
from warpprior.scene import Camera
from warpprior.scenes import simulate
from warpprior.scenes.registry import PERSON_SCENES
from warpprior.support.errors import InputError

SMALL = Camera(160, 120, 153.75, 153.75, 80.0, 60.0)
FRAMES = 6
_PALMS = ("left_palm", "right_palm")
TOUCHING = {"person_box": _PALMS, "person_ball": _PALMS}  # zones, in every frame


@pytest.fixture(scope="module", params=sorted(PERSON_SCENES))
def scene(request):
    """Each scene with exact masks, small."""
    return simulate(request.param, frame_count=FRAMES, seed=2, camera=SMALL, mask_noise="M0", images=False)


@pytest.fixture(scope="module")
def vertices(scene):
    """Of the person (frame, vertex, 3), camera frame [m]."""
    return posed_vertices(scene.bodies[0].body, scene.bodies[0].truth).astype(float)


@pytest.fixture(scope="module")
def depths(scene, vertices):
    """Signed distances (frame, vertex) of the person's vertices to the object [m]."""
    thing = scene.bodies[1]
    turns, field = Rotation.from_quat(thing.truth.rotation), DistanceField(thing.body)
    local = [turns[f].inv().apply(vertices[f] - thing.truth.position[f]) for f in range(FRAMES)]
    return np.stack([field.signed_distance(points) for points in local])


def test_the_person_touches_without_entering(scene, depths):
    """The zones that hold touch the object within millimetres, and nothing is deeper in it than flesh gives way."""
    zones = scene.bodies[0].body.contact_zones
    for name in TOUCHING[scene.name]:
        nearest = depths[:, zones[name]].min(axis=1)
        assert np.abs(nearest).max() < 0.003, name
        assert ((depths[:, zones[name]] < 0.004).sum(axis=1) >= 30).all(), name
    assert depths.min() > -0.004


def test_palms_lie_at_the_sides_and_stay(scene, vertices):
    """The middle of each palm is on its side of the object, level with its middle, and does not wander over it."""
    person, thing = scene.bodies
    turns, zones = Rotation.from_quat(thing.truth.rotation), person.body.contact_zones
    half = np.ptp(thing.body.vertices[:, 0]) / 2.0
    for name, side in (("left_palm", 1.0), ("right_palm", -1.0)):
        middle = turns.inv().apply(vertices[:, zones[name]].mean(axis=1) - thing.truth.position)
        np.testing.assert_allclose(middle, np.tile([side * half, 0.0, 0.0], (FRAMES, 1)), atol=0.012)
        assert np.linalg.norm(middle - middle[0], axis=1).max() < 0.002


def test_feet_stand_where_they_stood(scene, vertices):
    """No sole slides, and what moves is the person above them."""
    zones = scene.bodies[0].body.contact_zones
    for side in ("left_sole", "right_sole"):
        assert np.abs(vertices[:, zones[side]] - vertices[:1, zones[side]]).max() < 0.002
    assert np.linalg.norm(vertices[-1] - vertices[0], axis=1).max() > 0.1
    joints, body = scene.bodies[0].truth.joints, scene.bodies[0].body
    assert (joints > body.lower - 1e-6).all() and (joints < body.upper + 1e-6).all()


def test_all_of_the_person_is_in_the_picture(scene):
    """The whole person from some metres away, the object beside, keypoints of COCO, both with boxes."""
    person, thing = scene.bodies
    assert set(np.unique(scene.labels)) == {0, 1, 2}
    border = np.concatenate([scene.labels[:, 0], scene.labels[:, -1]], axis=1)
    assert not border.any() and not scene.labels[:, :, [0, -1]].any()
    assert min((labels == 1).mean() for labels in scene.labels) > 0.02
    assert min((labels == 2).mean() for labels in scene.labels) > 0.003
    assert 2.4 < person.truth.position[:, 2].min() and person.truth.position[:, 2].max() < 5.0
    assert scene.keypoints2d["person"].shape == (FRAMES, 17, 3)
    assert (scene.keypoints2d["person"][..., 2] > 0.6).mean() > 0.5  # deep joints are seen through the flesh on them
    assert set(scene.boxes) == {"person", thing.name}


def test_first_guesses_are_at_the_scale_of_a_body(scene):
    """Some centimetres across, more along the ray, for both; exact levels leave the truth."""
    for member in scene.bodies:
        errors = np.linalg.norm(member.initial.position - member.truth.position, axis=1)
        assert 0.02 < np.median(errors) < 0.6, member.name
    exact = simulate(
        scene.name,
        frame_count=2,
        camera=SMALL,
        images=False,
        pose_noise="exact",
        hand_noise="exact",
    )
    for member in exact.bodies:
        np.testing.assert_allclose(member.initial.position, member.truth.position, atol=1e-9)
        np.testing.assert_allclose(member.initial.joints, member.truth.joints, atol=1e-9)


def test_options_of_hands_are_refused(scene):
    """A scene of people says so rather than passing over an option."""
    for option in ({"side": "left"}, {"occluded_frames": (0, 1)}, {"object": "mug"}, {"camera_motion": "head"}):
        with pytest.raises(InputError, match=f"given for {scene.name}"):
            simulate(scene.name, frame_count=2, **option)


def test_the_same_seed_gives_the_same_scene():
    """With pictures; another seed gives another."""
    first, again, other = (
        simulate("person_box", frame_count=2, camera=SMALL, seed=seed, depth=True) for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.read_rgb(1), again.read_rgb(1))
    np.testing.assert_array_equal(first.read_depth(1), again.read_depth(1))
    np.testing.assert_array_equal(first.bodies[0].initial.joints, again.bodies[0].initial.joints)
    assert np.abs(first.bodies[1].truth.position - other.bodies[1].truth.position).max() > 0.01
