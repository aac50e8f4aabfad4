"""Grasps that meet maps of contact, maps that motions have, their files and commands."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.grasps_on_maps import finger_on_box, perturbed
from warpprior import ContactMap, ContactSettings, TouchingPoints, predict_contact, refine, refine_contact
from warpprior.bodies import posed_vertices
from warpprior.cli import main
from warpprior.contacts.starts import brought_together
from warpprior.geometry.signed_distance import Surface
from warpprior.io import load_scene, save_scene
from warpprior.io.contact_maps import load_contact_maps, save_contact_maps
from warpprior.metrics import evaluate
from warpprior.support.errors import InputError

POINTS = {"arm/box/points": np.zeros((2, 3)), "arm/box/other_points": np.zeros((2, 3))}
QUICK = ContactSettings(restarts=3, finalists=1)


def errors(scene, poses, name="arm"):
    """Mean distance of vertices from the true ones, in the frame of the box (frame,) [mm]."""
    body, box = scene.body(name), scene.body("box")
    found = posed_vertices(body.body, poses[name], "cpu")
    true = posed_vertices(body.body, body.truth, "cpu")
    if not body.known and name == "box":
        return 1e3 * np.linalg.norm(found - true, axis=2).mean(axis=1)
    turns = [Rotation.from_quat(motion.rotation).inv() for motion in (poses["box"], box.truth)]
    own = [
        np.stack(
            [turn.apply(points - place) for turn, points, place in zip(turn, surface, motion.position, strict=True)]
        )
        for turn, surface, motion in zip(turns, (found, true), (poses["box"], box.truth), strict=True)
    ]
    return 1e3 * np.linalg.norm(own[0] - own[1], axis=2).mean(axis=1)


@pytest.mark.parametrize("robot", [True, False])
def test_a_finger_meets_the_map_it_was_taken_from(device, robot):
    """From 3 cm off to a third of a millimetre, for links that are rigid and for a surface that bends."""
    scene = finger_on_box(robot=robot)
    start = perturbed(scene)
    result = refine_contact(start, predict_contact(scene, device=device), settings=QUICK, device=device)
    assert errors(scene, {b.name: b.initial for b in start.bodies}).min() > 15.0
    assert errors(scene, result.poses).max() < 0.35
    assert (result.residuals["contact"]["after"] < 0.1 * result.residuals["contact"]["before"]).all()


def test_contact_values_of_both_sides_are_enough(device):
    """Values in (0, 1] of both, as the paper has them, without normals and without what is not scanned."""
    scene = finger_on_box()
    maps = []
    for found in predict_contact(scene, device=device):
        values = np.nan_to_num(found.values)
        values[:, ::7] = 0.0
        maps.append(ContactMap.from_values(found.body, found.other, values))
    result = refine_contact(perturbed(scene), maps, settings=QUICK, device=device)
    assert errors(scene, result.poses).max() < 1.5


def test_pairs_that_touch_bring_a_finger_there(device):
    """Vertices of the finger and points of the box that were in one place come together, and nothing else is known."""
    scene = finger_on_box(1)
    arm, box = scene.bodies
    (found,) = predict_contact(scene, pairs=[("arm", "box")], device=device)
    chosen = np.argsort(np.abs(found.distances[0]))[:12]
    surface = posed_vertices(arm.body, arm.truth, "cpu")[0, chosen]
    places = Rotation.from_quat(box.truth.rotation[0]).inv().apply(surface - box.truth.position[0])
    points = TouchingPoints("arm", "box", arm.body.vertices[chosen], places + np.array([0.0, 0.0, 0.2]))
    with_note = refine_contact(perturbed(scene), [points], settings=QUICK, device=device)
    assert any("off the surface of box" in note for note in with_note.notes)
    points = replace(points, other_points=places)
    result = refine_contact(perturbed(scene), [points], settings=QUICK, device=device)
    moved = posed_vertices(arm.body, result.poses["arm"], "cpu")[0, chosen]
    assert 1e3 * np.linalg.norm(moved - surface, axis=1).max() < 6.0
    pairs = TouchingPoints.of_vertices(arm.body, box.body, np.array([[3, 5], [40, 9]]))
    np.testing.assert_array_equal(pairs.other_points, box.body.vertices[[5, 9]])


def test_what_is_beyond_reach_is_no_map_that_is_met(device):
    """Places that a look-up does not find at a surface that bends cost as much as at its reach, and it is said."""
    scene = finger_on_box(robot=False)
    maps = predict_contact(scene, pairs=[("box", "arm")], device=device)
    start = scene.body("arm").initial
    costs = []
    for away in (0.1, 1.0):
        moved = replace(start, position=start.position - [away, 0.0, 0.0])
        result = refine_contact(scene.with_poses({"arm": moved}), maps, settings=QUICK, device=device)
        costs.append(result.residuals["contact"]["before"])
    assert (costs[1] > costs[0]).all()
    assert any("places start more than 30 cm from its surface" in note for note in result.notes)


def test_the_object_moves_where_it_is_asked_to(device):
    """The finger stays to the bit, the box comes."""
    scene = finger_on_box()
    maps = predict_contact(scene, device=device)
    start = perturbed(scene, "box", joints=0.0)
    result = refine_contact(start, maps, move=["box"], settings=QUICK, device=device)
    assert result.poses["arm"] is start.body("arm").initial
    assert errors(scene, result.poses).max() < 0.5


def test_nothing_ends_worse_than_it_began(device):
    """A start that meets its map is kept, to the bit, and that is said."""
    scene = finger_on_box()
    maps = [replace(found, distances=np.nan_to_num(found.distances)) for found in predict_contact(scene, device=device)]
    unmoved = replace(QUICK, stages=tuple(replace(stage, iterations=0) for stage in QUICK.stages))
    result = refine_contact(scene, maps, settings=unmoved, device=device)
    found, start = result.poses["arm"], scene.body("arm").initial
    np.testing.assert_allclose(found.position, start.position, atol=1e-6)
    np.testing.assert_allclose(found.joints, start.joints, atol=1e-6)
    assert any("which is kept" in note for note in result.notes)


def test_scenes_may_lie_anywhere(device):
    """Poses about the origin, where no camera could be, give what they give in front of one."""
    scene = finger_on_box()
    maps = predict_contact(scene, device=device)
    there = perturbed(scene)
    away = np.array([0.0, 0.0, 0.4])
    here = there.with_poses({b.name: replace(b.initial, position=b.initial.position - away) for b in there.bodies})
    one, two = (refine_contact(each, maps, settings=QUICK, device=device) for each in (there, here))
    np.testing.assert_allclose(two.poses["arm"].position + away, one.poses["arm"].position, atol=2e-5)


def test_the_same_seed_gives_the_same_bits(device):
    """Twice, and another seed ends elsewhere in the last digits."""
    scene = finger_on_box()
    maps = predict_contact(scene, device=device)
    seeds = (0, 0, 1)
    found = [
        refine_contact(perturbed(scene), maps, settings=replace(QUICK, seed=seed), device=device).poses["arm"].position
        for seed in seeds
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def test_a_map_is_a_term_of_a_sequence_like_any_other(device):
    """A sequence without pictures whose first frames have a map: they meet it, and the last is carried along."""
    scene = finger_on_box(4)
    maps = []
    for found in predict_contact(scene, device=device):
        distances = found.distances.copy()
        distances[3] = np.nan
        maps.append(ContactMap(found.body, found.other, distances))
    start = perturbed(scene, shift=0.006, turn=0.05, joints=0.05)
    result = refine(replace(start, contact_maps=tuple(maps)), device=device)
    before = errors(scene, {b.name: b.initial for b in start.bodies})
    after = errors(scene, result.poses)
    assert after[:3].max() < 1.0 < before[:3].min()
    assert after[3] < before[3]
    assert "contact_map" in result.history


def test_predicted_maps_are_exact(device):
    """Distances to a box and which of its faces is nearest; normals in its frame; links on both sides."""
    scene = finger_on_box()
    (found,) = predict_contact(scene, pairs=[("arm", "box")], device=device)
    arm, box = scene.bodies
    surface = posed_vertices(arm.body, arm.initial, "cpu")[0]
    turn = Rotation.from_quat(box.initial.rotation[0]).inv()
    expected, _, _ = Surface(box.body.vertices, box.body.faces, "box").measure(
        turn.apply(surface - box.initial.position[0])
    )
    np.testing.assert_allclose(found.distances[0], expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.normals, axis=2), 1.0, atol=1e-5)
    assert set(found.links) == {0, 1, 2} and set(found.other_links.ravel()) == {0}
    (near,) = predict_contact(scene, pairs=[("arm", "box")], reach_m=0.01, device=device)
    far = found.distances > 0.0101
    assert np.isnan(near.distances[far]).all() and (near.faces[far] == -1).all()
    np.testing.assert_allclose(found.values[found.distances > 0.001], 0.001 / found.distances[found.distances > 0.001])
    assert (found.values[found.distances <= 0.001] == 1.0).all()


def test_how_well_maps_are_met_is_measured(device):
    """A map of the motion itself is met in full; a body that went away touches nothing."""
    scene = finger_on_box()
    scene = replace(scene, contact_maps=predict_contact(scene, device=device))
    start = {body.name: body.initial for body in scene.bodies}
    met = evaluate(scene, start, device=device)["maps"]["arm on box"]["summary"]
    assert met["map_f1"]["median"] == 1.0 and met["map_mm"]["max"] < 0.01
    away = replace(start["arm"], position=start["arm"].position + np.array([0.3, 0.0, 0.0]))
    missed = evaluate(scene, start | {"arm": away}, device=device)["maps"]["arm on box"]["summary"]
    assert missed["map_f1"]["median"] == 0.0 and missed["map_mm"]["median"] > 50.0
    far = replace(scene.contact_maps[0], distances=np.full_like(scene.contact_maps[0].distances, 0.05))
    both = evaluate(replace(scene, contact_maps=(scene.contact_maps[0], far)), start, device=device)["maps"]
    assert both["arm on box"]["summary"]["map_f1"]["median"] == 1.0
    assert both["arm on box (2)"]["summary"]["map_f1"]["median"] == 0.0


def test_files_hold_maps_and_points(tmp_path):
    """What is written is read again, alone and as a part of a scene folder."""
    scene = finger_on_box()
    (found,) = predict_contact(scene, pairs=[("arm", "box")], device="cpu")
    maps = (
        ContactMap("arm", "box", found.distances, normals=found.normals),
        ContactMap("box", "arm", [0.001, np.nan], places=np.eye(3)[:2] * 0.03),
        TouchingPoints("arm", "box", np.zeros((1, 3)), np.ones((1, 3)), np.array([[True], [False]])),
    )
    save_contact_maps(tmp_path / "maps.npz", maps)
    bodies = [body.body for body in scene.bodies]
    again = load_contact_maps(tmp_path / "maps.npz", bodies, frame_count=2, notes=[])
    assert {type(one).__name__ for one in again} == {"ContactMap", "TouchingPoints"}
    for one in maps:
        (other,) = (each for each in again if type(each) is type(one) and each.body == one.body)
        for key, values in vars(one).items():
            np.testing.assert_array_equal(values, getattr(other, key), err_msg=key)
    still = scene.bodies[1]
    blocks = (still, replace(still, body=replace(still.body, name="lid"), label=3))
    folder = save_scene(
        replace(scene, bodies=blocks, contact_maps=(ContactMap("box", "lid", np.full(98, 0.01)),)), tmp_path / "s"
    )
    (read,) = load_scene(folder).contact_maps
    assert (read.body, read.other) == ("box", "lid")
    np.testing.assert_array_equal(read.distances, np.full(98, 0.01))


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"arm/box/distances": np.zeros(5)}, "shape (5,)"),
        ({"arm/box/values": np.full(294, 2.0)}, "from 0 to 1"),
        ({"arm/box/values": np.zeros(294), "arm/box/distances": np.zeros(294)}, "has both distances and values"),
        ({"arm/box/normals": np.zeros((294, 3))}, "has normals alone"),
        ({"arm/box/points": np.zeros((2, 3))}, "has points alone"),
        ({**POINTS, "arm/box/touch": np.array([1.0, np.nan])}, "neither 0 nor 1"),
        ({**POINTS, "arm/box/touch": np.array([1.0, 0.4])}, "neither 0 nor 1"),
        ({**POINTS, "arm/box/touch": np.ones((2, 2, 2))}, "shape (2, 2, 2)"),
        ({"arm/box/distances": np.zeros(0), "arm/box/places": np.zeros((0, 3))}, "of no place"),
        ({"arm/box/pairs": np.array([[0, 500]])}, "vertices of box, 0 to 97"),
        ({"arm/box/distances": np.array(["a"])}, "needs numbers"),
        ({"foot/box/distances": np.zeros(3)}, "has no contact of arm, box"),
    ],
)
def test_files_that_cannot_be_maps_are_refused(tmp_path, arrays, says):
    """In one line that names the file."""
    np.savez(tmp_path / "maps.npz", **arrays)
    bodies = [body.body for body in finger_on_box().bodies]
    with pytest.raises(InputError) as caught:
        load_contact_maps(tmp_path / "maps.npz", bodies, frame_count=2, notes=[])
    assert says in str(caught.value) and (
        "maps.npz" in str(caught.value) or "arm and box" in str(caught.value) or "arm on box" in str(caught.value)
    )


def test_many_points_at_a_large_body_take_little_memory(device):
    """What they bring together grows with the points, not with points times vertices."""
    scene = finger_on_box(robot=False)
    points = scene.body("arm").body.vertices[np.arange(60_000) % scene.body("arm").body.vertex_count]
    others = scene.body("box").body.vertices[np.arange(60_000) % scene.body("box").body.vertex_count]
    scene = replace(scene, contact_maps=(TouchingPoints("arm", "box", points, others),))
    tracemalloc.start()
    brought_together(scene, np.array([False, True]), device)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 50e6  # as a matrix of points and vertices: 140 MB


def test_distances_that_contradict_those_around_them_are_doubted(device):
    """A tenth of a map turned round: those few, and no others, are hardly believed; the grasp is found all the same."""
    scene = finger_on_box()
    random, maps = np.random.default_rng(0), []
    for found in predict_contact(scene, device=device):
        wrong = random.random(found.distances.shape[1]) < 0.1
        values = np.where(wrong, 1.0 - found.values[0], found.values[0])
        turned = ContactMap.from_values(found.body, found.other, np.clip(values, 0.01, 1.0))
        trust = turned.trust(scene.body(found.body).body)
        far = wrong & (np.abs(turned.distances - np.maximum(found.distances[0], 0.001)) > 0.02)
        if found.body == "arm":  # vertices of the box are too far from each other
            assert far.any() and np.median(trust[far]) < 0.1
        assert np.median(trust[~wrong]) > 0.6
        maps.append(turned)
    result = refine_contact(perturbed(scene), maps, settings=QUICK, device=device)
    assert errors(scene, result.poses).max() < 6.0
    assert any("contradict those around them" in note for note in result.notes)


def test_what_cannot_be_met_is_refused(device):
    """No map, no such body, nothing that moves."""
    scene = finger_on_box()
    maps = predict_contact(scene, device=device)
    for arguments, says in (
        (((), {}), "contact maps"),
        ((maps, {"move": ["foot"]}), "no body 'foot'"),
        ((maps, {"move": []}), "no body"),
        (([ContactMap("arm", "foot", np.zeros(294))], {}), "there is no body 'foot'"),
    ):
        with pytest.raises(InputError) as caught:
            refine_contact(scene, arguments[0], device=device, **arguments[1])
        assert says in str(caught.value)


def test_commands_go_from_a_scene_to_a_grasp(tmp_path, capsys):
    """``predict-contact`` of true poses writes what ``contact`` meets, with pictures, meshes and numbers."""
    from warpprior.scenes import simulate

    scene = simulate("grasp_lift", object="box", frame_count=12, images=False)
    save_scene(scene, tmp_path / "scene")
    words = ["predict-contact", str(tmp_path / "scene"), "--poses", str(tmp_path / "scene" / "truth.npz")]
    assert main([*words, "--output-dir", str(tmp_path / "maps")]) == 0
    assert "hand on box: touches in" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "maps").iterdir()}
    assert names >= {"contact_maps.npz", "hand.ply", "box.ply"}
    head = (tmp_path / "maps" / "hand.ply").read_bytes()[:400]
    assert b"property float quality" in head
    maps = str(tmp_path / "maps" / "contact_maps.npz")
    out = tmp_path / "result"
    words = ["contact", str(tmp_path / "scene"), "--map", maps, "--num-frames", "2", "--restarts", "2"]
    assert main([*words, "--output-dir", str(out)]) == 0
    assert (out / "contact.png").read_bytes()[:4] == b"\x89PNG" and (out / "poses.npz").is_file()
    assert "contact of the map met" in capsys.readouterr().out
    assert main([*words, "--output-dir", str(out), "--overwrite", "--move", "foot"]) == 2
