"""Our human body: what it promises, how it bends, how it varies, and that its asset is what the generator writes."""

import numpy as np
import pytest

import warpprior
from tests.surface_checks import crossings, enclosed_volume, face_normals, unmatched_edges
from warpprior.bodies import link_transforms, posed_keypoints, posed_vertices, read_human_body
from warpprior.bodies.body_parts import KEYPOINT_ORDERS, LINK_NAMES, PARENTS, other_side
from warpprior.scene import Poses
from warpprior.scenes.human_body import shape_direction
from warpprior.scenes.human_body_form import make_form
from warpprior.scenes.human_body_measures import ARM_DROP, SHAPES, Measures
from warpprior.scenes.human_body_picture import POSES, pose_of
from warpprior.scenes.human_body_skin import level_joints, skin_weights
from warpprior.support.errors import InputError


@pytest.fixture(scope="module")
def person():
    """The body."""
    return read_human_body()


def motion(joints, shape=()):
    """The body at the origin with the given joint coordinates (frame, 69)."""
    joints = np.atleast_2d(np.asarray(joints, dtype=np.float64))
    count = len(joints)
    return Poses(np.zeros((count, 3)), np.tile([0.0, 0.0, 0.0, 1.0], (count, 1)), joints, np.asarray(shape, float))


def bent(person, **degrees):
    """Joint coordinates (69,) with some of them set: ``left_knee_x=90``."""
    joints = np.zeros(person.coordinate_count)
    for name, value in degrees.items():
        joints[person.coordinate_names.index(f"{name[:-2]}.{name[-1]}")] = np.radians(value)
    return joints


def mirror_images(person):
    """The vertex across the middle of each vertex (vertex,)."""
    from scipy.spatial import cKDTree

    far, twin = cKDTree(person.vertices).query(person.vertices * np.float32([-1.0, 1.0, 1.0]))
    assert far.max() == 0.0
    return twin


def lowered(person):
    """The surface with the arms as the form has them, feet on the floor (vertex, 3)."""
    drop = np.degrees(ARM_DROP)
    joints = bent(person, left_shoulder_z=-drop, right_shoulder_z=drop)
    return posed_vertices(person, motion(joints))[0] + level_joints(Measures.of())[0]


def test_it_has_what_was_promised(person):
    """Links in SMPL's order, 69 coordinates, 10 shape parameters, 3,000 to 7,000 vertices, everything named."""
    assert person.link_names == LINK_NAMES and person.parents.tolist() == list(PARENTS)
    assert person.coordinate_names[:4] == ("left_hip.x", "left_hip.y", "left_hip.z", "right_hip.x")
    assert (person.coordinate_count, person.shape_count, len(SHAPES)) == (69, 10, 10)
    assert 3000 <= person.vertex_count <= 7000
    assert (person.name, person.kind, person.side, person.closed) == ("person", "body", None, True)
    assert read_human_body("other").name == "other"


def test_the_surface_is_closed_and_looks_out(person):
    """Every edge has two faces, and the volume is that of an adult of 60 to 75 kg."""
    assert unmatched_edges(person.faces) == []
    assert 0.060 < enclosed_volume(person.vertices, person.faces) < 0.075


def test_it_is_its_own_mirror_image(person):
    """Surface, weights, shape directions, limits, prior and posed surface: left and right are the same."""
    twin = mirror_images(person)
    flip = np.array([-1.0, 1.0, 1.0])
    full = np.zeros((person.vertex_count, person.link_count))
    np.add.at(full, (np.arange(person.vertex_count)[:, None], person.skin_links), person.skin_weights)
    across = [LINK_NAMES.index(other_side(name)) for name in LINK_NAMES]
    np.testing.assert_allclose(full[twin][:, across], full, atol=1e-6)
    directions = person.shape_directions
    np.testing.assert_allclose(directions[twin] * flip[:, None], directions, atol=1e-4)
    random = np.random.default_rng(0)
    joints, shape = random.uniform(-0.5, 0.5, (2, 23, 3)), random.normal(size=10)
    order = [across[link] - 1 for link in range(1, 24)]
    mirrored = (joints[:, order] * (1.0, -1.0, -1.0)).reshape(2, 69)
    here = posed_vertices(person, motion(joints.reshape(2, 69), shape))
    there = posed_vertices(person, motion(mirrored, shape))
    np.testing.assert_allclose(there[:, twin] * flip, here, atol=2e-4)
    signs = np.tile([1.0, -1.0, -1.0], 23)
    columns = np.arange(69).reshape(23, 3)[order].ravel()
    low, high = person.lower[columns] * signs, person.upper[columns] * signs
    np.testing.assert_allclose(np.minimum(low, high), person.lower)
    np.testing.assert_allclose(person.pose_prior.mean[columns] * signs, person.pose_prior.mean, atol=1e-12)


def test_no_part_goes_through_another_when_the_arms_are_lowered(person):
    """No edge pierces a face, for the mean and for two shapes far from it."""
    joints = bent(person, left_shoulder_z=-45.0, right_shoulder_z=45.0)
    for shape in (np.zeros(10), 1.5 * np.eye(10)[1], np.array([0, -1, -1, 0, 1, -1, 1, -1, 1, -1.0])):
        assert len(crossings(posed_vertices(person, motion(joints, shape))[0], person.faces)) == 0


def test_triangles_are_no_slivers(person):
    """Longest side over height below 10."""
    surface = lowered(person).astype(np.float64)
    corners = surface[person.faces]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    assert (longest**2 / np.linalg.norm(face_normals(surface, person.faces), axis=1)).max() < 10.0


def test_size_and_proportions_are_those_of_adults(person):
    """Stature 1.69 m, span, breadths and girths near those of surveys (docs/body.md)."""
    surface = lowered(person)
    assert 1.67 < np.ptp(surface[:, 1]) < 1.71 and abs(surface[:, 1].min()) < 2e-3
    assert 1.62 < np.ptp(person.vertices[:, 0]) < 1.78
    pelvis = np.abs(surface[:, 1] - 0.90) < 0.02
    torso = pelvis & (np.abs(surface[:, 0]) < 0.3)
    assert 0.32 < np.ptp(surface[torso, 0]) < 0.39


def test_weights_are_few_and_smooth(person):
    """At most four influences, and neighbours differ by less than half outside hands."""
    assert person.skin_links.shape[1] <= 4
    np.testing.assert_allclose(person.skin_weights.sum(axis=1), 1.0, atol=1e-6)
    full = np.zeros((person.vertex_count, person.link_count))
    np.add.at(full, (np.arange(person.vertex_count)[:, None], person.skin_links), person.skin_weights)
    edges = person.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    assert np.abs(full[edges[:, 0]] - full[edges[:, 1]]).max() < 0.6


@pytest.mark.parametrize("pose", POSES)
def test_poses_are_within_the_limits_and_keep_the_volume(person, pose):
    """Sitting, squatting, kneeling, reaching: limits hold, and 88 % of the volume stays."""
    joints = pose_of(pose)
    assert (joints >= person.lower - 1e-6).all() and (joints <= person.upper + 1e-6).all()
    volume = enclosed_volume(posed_vertices(person, motion(joints))[0], person.faces)
    assert 0.88 < volume / enclosed_volume(person.vertices, person.faces) < 1.08


@pytest.mark.parametrize(("joint", "axis", "degrees"), [("knee", "x", 120.0), ("elbow", "y", -120.0)])
def test_far_bent_limbs_stay_round(person, joint, axis, degrees):
    """At 120 degrees no vertex near the joint comes nearer to it than 45 % of where it was."""
    joints = bent(person, **{f"left_{joint}_{axis}": degrees})
    link = LINK_NAMES.index(f"left_{joint}")
    rest = link_transforms(person, motion(np.zeros(69)))[0, link, :3]
    near = np.linalg.norm(person.vertices - rest, axis=1) < 0.09
    before = np.linalg.norm(person.vertices[near] - rest, axis=1)
    after = np.linalg.norm(posed_vertices(person, motion(joints))[0][near] - rest, axis=1)
    assert near.sum() > 30 and (after / before).min() > 0.45


def test_signs_of_the_coordinates(person):
    """Knees bend back, elbows forward, hips forward, arms come down, toes up by negative x."""
    points = {name: LINK_NAMES.index(f"left_{name}") for name in ("foot", "ankle", "knee", "wrist", "elbow")}

    def step(part, **degrees):
        both = link_transforms(person, motion([np.zeros(69), bent(person, **degrees)]))[:, points[part], :3]
        return both[1] - both[0]

    assert step("ankle", left_knee_x=30.0)[2] < -0.1
    assert step("wrist", left_elbow_y=-30.0)[2] > 0.1
    assert step("knee", left_hip_x=-30.0)[2] > 0.1
    assert step("elbow", left_shoulder_z=-30.0)[1] < -0.1
    assert step("foot", left_ankle_x=-20.0)[1] > 0.02


@pytest.mark.parametrize("order", KEYPOINT_ORDERS)
def test_keypoints_are_in_the_order_of_their_detector(order):
    """Joints are links' origins, the others lie on the skin where their names say."""
    person = read_human_body(keypoints=order)
    keypoints = person.keypoints
    assert keypoints.names == KEYPOINT_ORDERS[order]
    assert len(keypoints.names) == {"coco17": 17, "body25": 25, "smpl24": 24}[order]
    places = dict(zip(keypoints.names, posed_keypoints(person, motion(np.zeros(69)))[0], strict=True))
    links = link_transforms(person, motion(np.zeros(69)))[0, :, :3]
    for name, place in places.items():
        if name in LINK_NAMES:
            np.testing.assert_allclose(place, links[LINK_NAMES.index(name)], atol=1e-6)
        if name.startswith("left_"):
            np.testing.assert_allclose(places[other_side(name)], place * (-1.0, 1.0, 1.0), atol=1e-6)
            assert place[0] > 0.02
    if order != "smpl24":
        assert places["nose"][2] > places["left_eye"][2] > places["left_ear"][2]
        assert places["left_eye"][1] > places["nose"][1] and places["left_ear"][0] > places["left_eye"][0]
    if order == "body25":
        assert places["left_big_toe"][2] > places["left_ankle"][2] + 0.1 > places["left_heel"][2] + 0.1
        assert places["left_small_toe"][0] > places["left_big_toe"][0] + 0.03


def test_an_unknown_order_of_keypoints_is_refused():
    """The error says what is accepted."""
    with pytest.raises(InputError, match="coco17, body25, smpl24"):
        read_human_body(keypoints="coco18")


def test_zones_look_the_right_way(person):
    """Soles and palms look down, the seat and the back backwards, laps forwards; zones of a side are on that side."""
    normals = np.zeros((person.vertex_count, 3))
    for corner in range(3):
        np.add.at(normals, person.faces[:, corner], face_normals(person.vertices, person.faces))
    for zone, axis, sign in (
        *(("left_sole", 1, -1), ("right_sole", 1, -1), ("left_palm", 1, -1), ("right_palm", 1, -1)),
        *(("seat", 2, -1), ("back", 2, -1), ("left_lap", 2, 1), ("chest", 2, 1)),
    ):
        members = person.contact_zones[zone]
        assert len(members) > 20 and (normals[members, axis] * sign > 0.0).mean() > 0.95
    for name, members in person.contact_zones.items():
        if name.startswith("left_"):
            assert (person.vertices[members, 0] >= 0.0).all()
            assert len(person.contact_zones[other_side(name)]) == len(members)


def test_limits_and_prior_agree(person):
    """The relaxed person is within the limits, and so is the rest pose; the precision is a precision."""
    prior = person.pose_prior
    assert (person.lower <= 0.0).all() and (person.upper >= 0.0).all()
    assert (prior.mean >= person.lower).all() and (prior.mean <= person.upper).all()
    np.testing.assert_array_equal(prior.precision, prior.precision.T)
    assert np.linalg.eigvalsh(prior.precision).min() > 1.0


def test_shape_parameters_do_what_their_names_say(person):
    """Lengths, widths and volume change as said, and the joints with them."""
    rest = lowered(person)
    drop = bent(person, left_shoulder_z=-45.0, right_shoulder_z=45.0)

    def shaped(name, amount=1.0):
        step = amount * np.eye(10)[list(SHAPES).index(name)]
        state = motion(drop, step)
        return posed_vertices(person, state)[0], link_transforms(person, state)[0, :, :3]

    height = np.ptp(rest[:, 1])
    volume = enclosed_volume(rest, person.faces)
    assert np.ptp(shaped("size")[0][:, 1]) / height == pytest.approx(1.054, abs=1e-3)
    assert 1.04 < enclosed_volume(shaped("girth")[0], person.faces) / volume < 1.35
    assert 1.02 < enclosed_volume(shaped("muscle")[0], person.faces) / volume < 1.2
    for name, link, length in (("leg_length", "left_ankle", 0.81), ("arm_length", "left_wrist", 0.535)):
        base = LINK_NAMES.index("left_hip" if "leg" in name else "left_shoulder")
        joints = shaped(name)[1]
        far = np.linalg.norm(joints[LINK_NAMES.index(link)] - joints[base])
        assert far == pytest.approx(1.04 * length, rel=0.02)
    shoulder = LINK_NAMES.index("left_shoulder")
    assert shaped("shoulder_width")[1][shoulder, 0] > 1.04 * shaped("size", 0.0)[1][shoulder, 0]
    assert shaped("sex")[1][shoulder, 0] > shaped("sex", -1.0)[1][shoulder, 0]
    neck = LINK_NAMES.index("neck")
    assert shaped("torso_length")[1][neck, 1] == pytest.approx(1.04 * 0.57, abs=2e-3)


def test_the_asset_is_what_the_generator_writes(person):
    """The surface lies on the solid; weights and one shape direction computed anew are those of the asset."""
    form, surface = make_form(), lowered(person).astype(np.float64)
    left = surface[:, 0] >= -1e-7
    assert np.abs(form.field(surface[left])).max() < 5e-4
    full = np.zeros((person.vertex_count, person.link_count))
    np.add.at(full, (np.arange(person.vertex_count)[:, None], person.skin_links), person.skin_weights)
    twin = mirror_images(person)
    surface[twin == np.arange(len(twin)), 0] = 0.0
    np.testing.assert_allclose(skin_weights(form, surface, person.faces, twin), full, atol=2e-3)
    kept = np.flatnonzero(surface[:, 0] >= 0.0)
    middle = twin[kept] == kept
    moved, joints = shape_direction("leg_length", surface[kept], middle, full[kept])
    column = list(SHAPES).index("leg_length")
    np.testing.assert_allclose(moved, person.shape_directions[kept][:, :, column], atol=1e-3)
    np.testing.assert_allclose(joints, person.joint_shape_directions[:, :, column], atol=1e-6)


def test_a_scene_folder_holds_it(tmp_path):
    """It is written into a scene folder and read back, with the order of its keypoints."""
    camera = warpprior.Camera(64, 48, 60.0, 60.0, 32.0, 24.0)
    person = read_human_body(keypoints="body25")
    poses = Poses(np.float64([[0.0, 0.0, 3.0]]), np.float64([[1.0, 0.0, 0.0, 0.0]]), np.zeros((1, 69)), np.zeros(10))
    detected = np.concatenate([np.random.default_rng(0).uniform(5.0, 40.0, (1, 25, 2)), np.ones((1, 25, 1))], axis=2)
    body = warpprior.SceneBody(person, 1, False, poses)
    scene = warpprior.Scene("one", camera, fps=30.0, bodies=(body,), keypoints2d={"person": detected})
    warpprior.save_scene(scene, tmp_path / "one")
    again = warpprior.load_scene(tmp_path / "one")
    assert again.bodies[0].body.kind == "body"
    assert again.bodies[0].body.keypoints.names == KEYPOINT_ORDERS["body25"]
    np.testing.assert_array_equal(again.bodies[0].body.vertices, person.vertices)
