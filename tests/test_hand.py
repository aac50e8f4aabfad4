"""Our human hand: what it promises, how it bends, how it varies, and that its asset is what the generator writes."""

import numpy as np
import pytest

import warpprior
from tests.surface_checks import crossings, enclosed_volume, face_normals, unmatched_edges
from warpprior.bodies import link_transforms, posed_keypoints, posed_vertices, read_hand
from warpprior.bodies.body import keypoint_body
from warpprior.bodies.readers.assets import find_asset
from warpprior.scene import Poses
from warpprior.scenes.human_hand import joint_offsets, mean_hand, shape_direction
from warpprior.scenes.human_hand_form import SHAPES, make_form
from warpprior.scenes.human_hand_mesh import KNUCKLES, joint_rings, make_net
from warpprior.support.errors import InputError

FINGERS = ("index", "middle", "ring", "pinky")
DIGITS = ("index", "middle", "pinky", "ring", "thumb")  # MANO's order


@pytest.fixture(scope="module")
def hand():
    """The right hand."""
    return read_hand()


@pytest.fixture(scope="module")
def net():
    """Which vertices form which rings."""
    return make_net()


def motion(joints, shape=()):
    """The hand at the origin with the given joint coordinates (frame, 45)."""
    joints = np.atleast_2d(np.asarray(joints, dtype=np.float64))
    count = len(joints)
    return Poses(np.zeros((count, 3)), np.tile([0.0, 0.0, 0.0, 1.0], (count, 1)), joints, np.asarray(shape, float))


def bent(hand, **degrees):
    """Joint coordinates (45,) with some of them set: ``index2_x=90``."""
    joints = np.zeros(hand.coordinate_count)
    for name, value in degrees.items():
        joints[hand.coordinate_names.index(name.replace("_", "."))] = np.radians(value)
    return joints


def fist(hand):
    """Joint coordinates of a closed hand (45,)."""
    fingers = {f"{f}{n}_x": angle for f in FINGERS for n, angle in ((1, 85.0), (2, 100.0), (3, 60.0))}
    return bent(hand, **fingers, thumb1_x=15.0, thumb2_x=35.0, thumb3_x=45.0)


def ring_area(vertices, ring):
    """Area of the polygon through the vertices of a ring."""
    points = np.asarray(vertices, dtype=np.float64)[ring]
    return 0.5 * np.linalg.norm(np.cross(points - points[0], np.roll(points, -1, axis=0) - points[0]).sum(axis=0))


def test_it_has_what_was_promised(hand):
    """Links in MANO's order, 45 coordinates, 10 shape parameters, 700 to 900 vertices, everything named."""
    assert hand.link_names == ("wrist", *(f"{digit}{n}" for digit in DIGITS for n in (1, 2, 3)))
    assert hand.parents.tolist() == [-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14]
    assert hand.coordinate_names[:4] == ("index1.x", "index1.y", "index1.z", "index2.x")
    assert (hand.coordinate_count, hand.shape_count) == (45, 10) and 700 <= hand.vertex_count <= 900
    assert (hand.name, hand.kind, hand.side, hand.closed) == ("hand", "hand", "right", True)
    assert set(hand.contact_zones) == {"palm", *(f"{digit}_pad" for digit in DIGITS)}
    assert read_hand("left", name="other").name == "other"


def test_another_side_is_refused():
    """The error says what is accepted."""
    with pytest.raises(InputError, match="right or left"):
        read_hand("both")


def test_a_missing_asset_is_named(monkeypatch):
    """An installation without the asset says which file it lacks."""
    monkeypatch.setattr(warpprior, "__path__", [])
    with pytest.raises(FileNotFoundError, match=r"hand\.npz"):
        find_asset("hand.npz")


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_surface_is_closed_and_looks_out(side):
    """Every edge has two faces, and the volume is positive and that of a hand with a little wrist."""
    hand = read_hand(side)
    assert unmatched_edges(hand.faces) == []
    assert 280e-6 < enclosed_volume(hand.vertices, hand.faces) < 360e-6


def test_triangles_are_neither_slivers_nor_folds(hand):
    """Longest side over height below 10; no two neighbours fold back on each other."""
    normals = face_normals(hand.vertices, hand.faces)
    corners = hand.vertices[hand.faces].astype(np.float64)
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    assert (longest**2 / np.linalg.norm(normals, axis=1)).max() < 10.0
    units = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    owners = {}
    for face, (a, b, c) in enumerate(hand.faces):
        owners.update({(a, b): face, (b, c): face, (c, a): face})
    cosines = [units[face] @ units[owners[b, a]] for (a, b), face in owners.items()]
    assert min(cosines) > np.cos(np.radians(120.0))


@pytest.mark.parametrize("draw", [None, 0, 1, 2])
def test_no_part_goes_through_another_at_rest(hand, draw):
    """No edge pierces a face, for the mean and for random shapes."""
    shape = np.zeros(10) if draw is None else np.random.default_rng(draw).normal(size=10)
    assert len(crossings(hand.vertices + hand.shape_directions @ shape, hand.faces)) == 0


def test_a_crossing_would_be_found(hand):
    """The check above notices a fingertip pushed into the palm."""
    vertices = hand.vertices.copy()
    vertices[hand.keypoints.vertices[8]] = (0.06, 0.0, 0.0)
    assert len(crossings(vertices, hand.faces)) > 0


def test_size_and_proportions_are_those_of_adults(hand, net):
    """Hand length 187 mm, breadth 80 to 88 mm, phalanges of the middle finger as published (docs/hand.md)."""
    points = posed_keypoints(hand, motion(np.zeros(45)))[0] * 1e3
    assert points[12, 0] == pytest.approx(187.0, abs=2.0)
    row = hand.vertices[np.r_[net.palm[KNUCKLES].ravel(), net.sides[KNUCKLES]]]
    assert 80.0 < np.ptp(row[:, 1]) * 1e3 < 88.0
    bones = np.linalg.norm(np.diff(points[[9, 10, 11, 12]], axis=0), axis=1)
    np.testing.assert_allclose(bones, [44.63 + 3.0, 26.33 + 1.0, 17.40 + 3.0 + 3.95], atol=0.7)
    reach = points[[4, 8, 12, 16, 20], 0]
    assert reach.argsort().tolist() == [0, 4, 1, 3, 2] or reach.argsort().tolist() == [0, 4, 3, 1, 2]


def test_keypoints_are_in_the_usual_order(hand):
    """Wrist, thumb, index, middle, ring, pinky; a tip is a vertex beyond the last joint and follows the last link."""
    keypoints = hand.keypoints
    order = ("thumb", *FINGERS)
    assert keypoints.names == ("wrist", *(f"{d}{n}" for d in order for n in ("1", "2", "3", "_tip")))
    tips = [4, 8, 12, 16, 20]
    assert np.flatnonzero(keypoints.vertices >= 0).tolist() == tips
    for tip, digit in zip(tips, order, strict=True):
        link = hand.link_names.index(f"{digit}3")
        vertex = keypoints.vertices[tip]
        assert keypoints.links[tip] == link
        assert hand.skin_weights[vertex][hand.skin_links[vertex] == link].sum() == pytest.approx(1.0)
    points = posed_keypoints(hand, motion(np.zeros(45)))[0]
    assert (np.diff(points[[5, 6, 7, 8]], axis=0)[:, 0] > 0.0).all() and points[5, 1] > points[17, 1]


def test_keypoints_alone_are_those_of_the_whole_hand(hand):
    """Where only vertices that keypoints are on are posed, they are where the posed surface has them, bit for bit."""
    random = np.random.default_rng(3)
    joints = random.uniform(hand.lower, hand.upper, (4, hand.coordinate_count))
    turns = random.normal(size=(4, 4))
    turns /= np.linalg.norm(turns, axis=1, keepdims=True)
    poses = Poses(random.normal(size=(4, 3)), turns, joints, random.normal(size=hand.shape_count), scale=1.1)
    whole = hand.keypoints.places(link_transforms(hand, poses), posed_vertices(hand, poses))
    np.testing.assert_array_equal(posed_keypoints(hand, poses), whole)
    assert keypoint_body(hand).vertex_count < 0.05 * hand.vertex_count
    assert keypoint_body(hand) is keypoint_body(hand)


def test_weights_are_few_and_smooth(hand):
    """At most four influences, and neighbours differ by less than the width of a joint allows."""
    assert hand.skin_links.shape[1] <= 4
    full = np.zeros((hand.vertex_count, hand.link_count))
    np.add.at(full, (np.arange(hand.vertex_count)[:, None], hand.skin_links), hand.skin_weights)
    edges = hand.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    change = np.abs(full[edges[:, 0]] - full[edges[:, 1]]).max(axis=1)
    length = np.linalg.norm(hand.vertices[edges[:, 0]] - hand.vertices[edges[:, 1]], axis=1)
    assert change.max() < 0.8 and (change / length).max() < 200.0
    np.testing.assert_allclose(full.sum(axis=1), 1.0, atol=1e-6)


def test_the_left_hand_mirrors_the_right(hand):
    """The same coordinates and shape give the mirror image in y: surface and keypoints."""
    random, left = np.random.default_rng(0), read_hand("left")
    joints, shape = random.uniform(hand.lower, hand.upper, (3, 45)), random.normal(size=10)
    for evaluate in (posed_vertices, posed_keypoints):
        twin_zeros = evaluate(hand, motion(joints, shape)) * [1.0, -1.0, 1.0]
        np.testing.assert_allclose(evaluate(left, motion(joints, shape)), twin_zeros, atol=5e-7)
    np.testing.assert_array_equal(left.lower, hand.lower)
    assert left.side == "left"


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("finger", FINGERS)
def test_signs_of_the_coordinates(side, finger):
    """About x a finger closes, about y it turns to the thumb's side, about z its pad turns and its tip stays."""
    hand = read_hand(side)
    tip, toward_thumb = 8 + 4 * FINGERS.index(finger), 1.0 if side == "right" else -1.0
    moves = [bent(hand, **{f"{finger}{n}_{axis}": 10.0}) for n in (1, 2, 3) for axis in "xyz"]
    rest, *moved = posed_keypoints(hand, motion([np.zeros(45), *moves]))[:, tip]
    step = (np.array(moved) - rest).reshape(3, 3, 3)
    assert (step[:, 0, 2] < -2e-3).all()
    assert (step[:, 1, 1] * toward_thumb > 2e-3).all()
    assert (np.linalg.norm(step[:, 2], axis=1) < 1.5e-3).all()


def test_the_thumb_closes_towards_the_palm(hand):
    """About x of any of its joints the tip of the thumb nears the base of the little finger."""
    moves = [bent(hand, **{f"thumb{n}_x": 15.0}) for n in (1, 2, 3)]
    points = posed_keypoints(hand, motion([np.zeros(45), *moves]))
    distance = np.linalg.norm(points[:, 4] - points[0, 17], axis=1)
    assert (distance[1:] < distance[0] - 1e-3).all()


@pytest.mark.parametrize(
    ("finger", "bends", "thumb"),
    [
        ("index", (40, 66, 38), (19, 7, 9)),
        ("middle", (42, 75, 42), (31, 12, 11)),
        ("ring", (43, 78, 43), (40, 23, 12)),
        ("pinky", (65, 79, 42), (40, 57, 10)),
    ],
)
def test_the_thumb_meets_every_finger(hand, finger, bends, thumb):
    """A pose within the limits brings the pads of thumb and finger together."""
    pose = hand.pose_prior.mean.copy()
    for digit, angles in ((finger, bends), ("thumb", thumb)):
        for number, angle in enumerate(angles, start=1):
            pose[hand.coordinate_names.index(f"{digit}{number}.x")] = np.radians(angle)
    assert (pose >= hand.lower - 1e-6).all() and (pose <= hand.upper + 1e-6).all()
    vertices = posed_vertices(hand, motion(pose))[0]
    pads = [vertices[hand.contact_zones[f"{name}_pad"]].mean(axis=0) for name in ("thumb", finger)]
    assert np.linalg.norm(pads[0] - pads[1]) < 5e-3


@pytest.mark.parametrize("joint", [f"{finger}{n}" for finger in FINGERS for n in (1, 2, 3)] + ["thumb2", "thumb3"])
def test_bending_by_a_right_angle_keeps_the_digit_round(hand, net, joint):
    """At 90 degrees cross-sections beside a joint keep 60 % of their area, the volume 85 %, and few faces turn."""
    digit, number = joint[:-1], int(joint[-1])
    vertices = posed_vertices(hand, motion(bent(hand, **{f"{joint}_x": 90.0})))[0]
    if number == 1:
        column = 3 * FINGERS.index(digit)
        rows = net.palm[KNUCKLES - 1 : KNUCKLES + 2, column : column + 3]
        rings = [np.r_[row[:, 0], row[::-1, 1]] for row in rows]
    else:
        beside = joint_rings(digit)
        rings = net.rings[digit][beside[2 * number - 4 : 2 * number - 2] if digit != "thumb" else beside[-2:]]
    for ring in rings:
        assert ring_area(vertices, ring) > 0.6 * ring_area(hand.vertices, ring)
    volume = enclosed_volume(vertices, hand.faces)
    assert 0.85 < volume / enclosed_volume(hand.vertices, hand.faces) < 1.1
    assert turned_faces(hand, bent(hand, **{f"{joint}_x": 90.0}), vertices) <= 8


def turned_faces(hand, joints, vertices):
    """How many faces look away from where the links of their corners carry them."""
    from scipy.spatial.transform import Rotation

    links = link_transforms(hand, motion(np.stack([np.zeros(45), joints])))
    turns = Rotation.from_quat(links[1, :, 3:]) * Rotation.from_quat(links[0, :, 3:]).inv()
    strongest = hand.skin_links[np.arange(hand.vertex_count), hand.skin_weights.argmax(axis=1)]
    carried = sum(
        turns[strongest[hand.faces[:, corner]]].apply(face_normals(hand.vertices, hand.faces)) for corner in range(3)
    )
    return int(((carried * face_normals(vertices, hand.faces)).sum(axis=1) < 0.0).sum())


def test_a_fist_keeps_its_volume_and_closes(hand, net):
    """All joints far bent: 85 % of the volume, fingertips near the palm, cross-sections of 60 % at every joint."""
    vertices = posed_vertices(hand, motion(fist(hand)))[0]
    assert enclosed_volume(vertices, hand.faces) > 0.85 * enclosed_volume(hand.vertices, hand.faces)
    palm = vertices[hand.contact_zones["palm"]]
    for finger in FINGERS:
        tip = vertices[hand.contact_zones[f"{finger}_pad"]].mean(axis=0)
        assert np.linalg.norm(palm - tip, axis=1).min() < 0.02
        for ring in net.rings[finger][joint_rings(finger)]:
            assert ring_area(vertices, ring) > 0.6 * ring_area(hand.vertices, ring)
    assert turned_faces(hand, fist(hand), vertices) <= 0.03 * hand.face_count


def test_pads_and_palm_look_the_right_way(hand):
    """The palm zone looks to -z; a finger's pad lies below the middle of its last link and follows it."""
    normals = np.zeros((hand.vertex_count, 3))
    for corner in range(3):
        np.add.at(normals, hand.faces[:, corner], face_normals(hand.vertices, hand.faces))
    assert (normals[hand.contact_zones["palm"], 2] < 0.0).mean() > 0.95
    for finger in FINGERS:
        zone, link = hand.contact_zones[f"{finger}_pad"], hand.link_names.index(f"{finger}3")
        assert (hand.skin_links[zone][np.arange(len(zone)), hand.skin_weights[zone].argmax(axis=1)] == link).all()
        assert normals[zone].sum(axis=0)[2] < 0.0


def test_texture_coordinates_do_not_fold(hand):
    """All faces lie within the page, the right way round, and the middle of each is in no other face."""
    corners = hand.texture_coordinates.astype(np.float64)
    assert corners.min() > 0.0 and corners.max() < 1.0
    sides, offsets = np.roll(corners, -1, axis=1) - corners, corners.mean(axis=1)[:, None, None] - corners
    left_of = sides[..., 0] * offsets[..., 1] - sides[..., 1] * offsets[..., 0]  # [middle, face, side]
    np.testing.assert_array_equal((left_of > 0.0).all(axis=2).sum(axis=1), 1)
    areas = sides[:, 0, 0] * sides[:, 1, 1] - sides[:, 0, 1] * sides[:, 1, 0]
    assert areas.min() > 0.0


def test_limits_and_prior_agree(hand):
    """The relaxed hand is within the limits, and so is the rest pose; the precision is a precision."""
    prior = hand.pose_prior
    assert (hand.lower <= 0.0).all() and (hand.upper >= 0.0).all()
    assert (prior.mean >= hand.lower).all() and (prior.mean <= hand.upper).all()
    np.testing.assert_array_equal(prior.precision, prior.precision.T)
    assert np.linalg.eigvalsh(prior.precision).min() > 1.0


def test_the_prior_knows_which_joints_move_together(hand):
    """Bending a finger's last two joints together costs less than one alone; so do neighbouring fingers; so does
    bending rather than twisting.
    """

    def cost(**degrees):
        step = bent(hand, **degrees)
        return step @ hand.pose_prior.precision @ step

    assert cost(index2_x=30.0, index3_x=20.0) < 0.5 * cost(index2_x=30.0, index3_x=-20.0)
    assert cost(ring1_x=30.0, middle1_x=30.0) < 0.6 * (cost(ring1_x=30.0) + cost(middle1_x=30.0))
    assert cost(index2_x=10.0, index3_x=6.7) < 0.2 * cost(index2_z=10.0)
    assert np.degrees(hand.pose_prior.mean[hand.coordinate_names.index("index3.x")]) == pytest.approx(22.0, abs=1e-6)


@pytest.mark.parametrize("parameter", range(10), ids=list(SHAPES))
def test_joints_follow_the_shape_exactly(hand, parameter):
    """Joint offsets of a hand built two units off the mean are the mean's plus two directions."""
    step = 2.0 * np.eye(10)[parameter]
    built = joint_offsets(make_form(step))[0] * 1e-3
    blended = hand.joint_offsets[:, :3] + hand.joint_shape_directions @ step
    np.testing.assert_allclose(blended, built, atol=1e-6)


def test_shape_parameters_do_what_their_names_say(hand):
    """Size scales everything; a finger's length moves that finger alone; width and thickness act along y and z."""
    names = list(SHAPES)
    rest, directions = hand.vertices, hand.shape_directions
    span = lambda p, axis: np.ptp(rest[:, axis] + 2.0 * directions[:, axis, names.index(p)]) / np.ptp(rest[:, axis])  # noqa: E731
    assert span("size", 0) == pytest.approx(1.126, abs=0.01) and span("size", 1) == pytest.approx(1.126, abs=0.01)
    moved = np.linalg.norm(directions[:, :, names.index("ring_length")], axis=1) > 5e-4
    ring = [hand.link_names.index(f"ring{n}") for n in (1, 2, 3)]
    strongest = hand.skin_links[np.arange(hand.vertex_count), hand.skin_weights.argmax(axis=1)]
    assert np.isin(strongest[moved], ring).mean() > 0.9 and moved[strongest == ring[2]].all()
    palm = hand.contact_zones["palm"]
    for name, axis in (("palm_length", 0), ("palm_width", 1), ("palm_thickness", 2)):
        size = np.abs(directions[palm][:, :, names.index(name)]).mean(axis=0)
        assert size.argmax() == axis


def test_the_asset_is_what_the_generator_writes(hand):
    """Rebuilding the mean hand and one shape direction gives the arrays of the asset."""
    fresh = mean_hand()
    np.testing.assert_allclose(fresh["vertices"], hand.vertices, atol=1e-6)
    np.testing.assert_array_equal(fresh["faces"], hand.faces)
    np.testing.assert_allclose(fresh["skin_weights"], hand.skin_weights, atol=1e-5)
    np.testing.assert_allclose(fresh["texture_coordinates"], hand.texture_coordinates, atol=1e-5)
    np.testing.assert_array_equal(fresh["colors"], hand.colors)
    surface, joints = shape_direction(list(SHAPES).index("middle_length"))
    np.testing.assert_allclose(surface, hand.shape_directions[:, :, 3], atol=1e-6)
    np.testing.assert_allclose(joints, hand.joint_shape_directions[:, :, 3], atol=1e-6)
