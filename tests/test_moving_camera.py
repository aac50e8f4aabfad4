"""Scenes whose camera moves: refined and tracked in the world, written in both frames, read again."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import make_block, make_motion, make_scene
from warpprior.checks.run import check
from warpprior.cli import main
from warpprior.formats import Recording, read, write
from warpprior.io import load_result_poses, load_scene, save_result, save_scene
from warpprior.io.world_poses import load_result_camera
from warpprior.metrics import evaluate
from warpprior.refinement.adam import Adam
from warpprior.refinement.run import refine
from warpprior.scene import Camera, Poses
from warpprior.scenes import simulate
from warpprior.settings import RefineSettings
from warpprior.support.errors import InputError
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.problem import Problem
from warpprior.terms import literal_terms
from warpprior.tracking.run import track
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.tracker import Tracker
from warpprior.verdicts.steady import in_world, steady_camera
from warpprior.world import CameraNoise, CameraPath, World

SMALL = Camera(192, 144, 185.0, 185.0, 96.0, 72.0)
FRAMES = 10


def head_path(count, *, size=1.0, away=(0.0, 0.0, 0.0)):
    """A path that sways by centimetres and turns by degrees, at 30 frames per second."""
    times = np.arange(count)[:, None] / 30.0
    place = size * 0.04 * np.sin(5.0 * times + [0.0, 1.0, 2.0]) + away
    turn = Rotation.from_rotvec(size * 0.06 * np.sin(6.0 * times + [2.0, 0.0, 1.0]))
    return CameraPath(place, turn.as_quat())


def seen_from(path, poses):
    """World_from_body poses as the camera has them."""
    position, rotation = path.seen(poses.position, poses.rotation)
    return Poses(position, rotation, poses.joints)


@pytest.fixture(scope="module")
def head_scene():
    """A robot lifts a bottle before a camera on a head, whose poses are off by jitter and drift."""
    options = {"frame_count": FRAMES, "camera": SMALL, "images": False, "seed": 3}
    return simulate("robot_lift", camera_motion="head", camera_noise="headset", **options)


@pytest.fixture(scope="module")
def refined(head_scene):
    """What comes out of it."""
    return refine(head_scene, device="cpu", check_first=False)


def shaking(path):
    """Mean length of second differences [m]."""
    return float(np.linalg.norm(np.diff(path.position, 2, axis=0), axis=1).mean())


def test_a_measured_camera_is_estimated_with_the_motion(head_scene, refined):
    """Jitter goes, in the world and in what moves there; the bottle is where its picture has it, and the camera's own
    covariance says how sure it is.
    """
    given, found, truth = head_scene.world.camera, refined.scene.world.camera, head_scene.world.truth
    assert shaking(found) < 0.2 * shaking(given)
    turned = [Rotation.from_quat(one.rotation).inv() * Rotation.from_quat(truth.rotation) for one in (given, found)]
    assert np.median(turned[1].magnitude()) < np.median(turned[0].magnitude())
    assert refined.scene.world.given is given
    poses, bottle = refined.poses["bottle"], head_scene.body("bottle")
    assert np.median(np.linalg.norm(poses.position - bottle.truth.position, axis=1)) < 0.012
    variances = found.covariance[:, range(6), range(6)]
    assert found.covariance.shape == (FRAMES, 6, 6) and (variances > 0.0).all()
    assert np.sqrt(variances[:, :3]).max() < 0.05
    (note,) = [note for note in refined.notes if note.startswith("the camera moves")]
    assert "were estimated with the motion" in note
    measured = evaluate(refined.scene, refined.poses, device="cpu")
    before = evaluate(head_scene, {b.name: b.initial for b in head_scene.bodies}, device="cpu")
    assert measured["camera"]["summary"]["shake_mm"]["mean"] < 0.2 * before["camera"]["summary"]["shake_mm"]["mean"]
    error = "acceleration_error_mm"
    assert measured["summary"]["bottle"][error]["mean"] < 0.3 * before["summary"]["bottle"][error]["mean"]
    assert "world_mm" in measured["summary"]["bottle"]


@pytest.mark.parametrize("without", ["camera", "gauss_newton"])
def test_a_measured_camera_stays_where_no_term_holds_it(head_scene, without):
    """Without its term, or with Adam alone, nothing says how far it may go; the note does not say it was estimated."""
    settings = RefineSettings(without=(without,), iterations=3)
    found = refine(head_scene, settings, device="cpu", check_first=False)
    camera = found.scene.world.camera
    np.testing.assert_array_equal(camera.position, head_scene.world.camera.position)
    assert camera.covariance is None
    (note,) = [note for note in found.notes if note.startswith("the camera moves")]
    assert "estimated" not in note and "stay as they are" in note


def test_the_paper_knows_no_world(head_scene):
    """Its terms compare frames as the camera sees them: said where the camera moves, and by no other term."""
    settings = RefineSettings(without=("gauss_newton", "hypotheses"), terms=literal_terms(), iterations=1)
    found = refine(head_scene, settings, device="cpu", check_first=False)
    said = [note for note in found.notes if "the paper's compares frames in the camera's frame" in note]
    assert [note.partition(":")[0] for note in said] == ["consistency", "smoothness"]


def test_adam_says_what_it_holds(head_scene):
    """It steps along poses and joints: a camera that is estimated stays where least squares left it."""
    motion = MotionState(head_scene, "cpu", point_count=64)
    problem = Problem(motion, observe_picture(motion, 0.5, calibrate=False))
    Adam(problem, RefineSettings())
    assert "adam holds the camera's motion as it was before, and moves poses and joints alone." in problem.notes


def test_speeds_are_those_in_the_world():
    """A block that rests before a head that turns to and fro does not say that the frame rate is wrong."""
    turns = Rotation.from_rotvec(np.outer(0.25 * (-1.0) ** np.arange(FRAMES), [0.0, 1.0, 0.0])).as_quat()
    path = CameraPath(np.zeros((FRAMES, 3)), turns)
    block = make_block()
    poses = seen_from(path, make_motion((0.0, 0.0, 0.6), frames=FRAMES))
    scene = replace(make_scene([block], [poses], [poses], camera=SMALL), world=World(path))
    codes = [[finding.code for finding in check(one)] for one in (scene, replace(scene, world=None))]
    assert "frame_rate" not in codes[0] and "frame_rate" in codes[1]


def test_commands_measure_with_the_camera_of_the_result(tmp_path, head_scene, refined):
    """``evaluate`` says of a result folder what the result says of itself."""
    save_scene(head_scene, tmp_path / "scene")
    save_result(refined, tmp_path / "result")
    scene, poses, output = (str(tmp_path / name) for name in ("scene", "result", "a.json"))
    assert main(["evaluate", scene, "--poses", poses, "--output", output, "--device", "cpu", "--quiet"]) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    own = evaluate(refined.scene, refined.poses, device="cpu")
    shake = own["camera"]["summary"]["shake_mm"]["mean"]
    assert found["camera"]["summary"]["shake_mm"]["mean"] == pytest.approx(shake, rel=0.02)


def test_a_run_goes_on_with_its_camera(head_scene, refined):
    """Resumed after its second part, the same bits come out, of bodies and camera."""
    kept = []
    refine(head_scene, device="cpu", check_first=False, keep=lambda arrays: kept.append(dict(arrays)))
    again = refine(head_scene, device="cpu", check_first=False, resume_from=kept[2])
    np.testing.assert_array_equal(again.poses["bottle"].position, refined.poses["bottle"].position)
    np.testing.assert_array_equal(again.scene.world.camera.position, refined.scene.world.camera.position)


def test_results_have_both_frames(tmp_path, head_scene, refined):
    """poses.npz has bodies and camera in the world; the stage has an animated camera, and bodies in its world."""
    pytest.importorskip("pxr")
    from pxr import Usd, UsdGeom

    save_result(refined, tmp_path / "result", video=False, report=False)
    notes = []
    poses = load_result_poses(tmp_path / "result", head_scene, notes=notes)
    assert notes == []
    np.testing.assert_array_equal(poses["bottle"].position, refined.poses["bottle"].position)
    path = load_result_camera(tmp_path / "result", FRAMES)
    np.testing.assert_array_equal(path.covariance, refined.scene.world.camera.covariance)
    with np.load(tmp_path / "result" / "poses.npz") as arrays:
        placed = arrays["world/bottle/position"]
    np.testing.assert_allclose(placed, path.moved_places(poses["bottle"].position), atol=1e-12)
    stage = Usd.Stage.Open(str(tmp_path / "result" / "scene.usdc"))
    for frame in (0, FRAMES - 1):
        cache = UsdGeom.XformCache(Usd.TimeCode(frame))
        for name, expected in (("bottle", placed), ("Camera", path.position)):
            at = cache.GetLocalToWorldTransform(stage.GetPrimAtPath(f"/World/{name}")).ExtractTranslation()
            np.testing.assert_allclose(list(at), expected[frame], atol=1e-6)  # gravity is along -z already
        looks = cache.GetLocalToWorldTransform(stage.GetPrimAtPath("/World/Camera")).TransformDir((0.0, 0.0, -1.0))
        along = Rotation.from_quat(path.rotation[frame]).apply([0.0, 0.0, 1.0])
        np.testing.assert_allclose(list(looks), along, atol=1e-5)


def test_scene_folders_keep_the_world(tmp_path, head_scene, refined):
    """Poses of the camera, its truth, how far they are off, and gravity come back; a result's camera goes out."""
    save_scene(head_scene, tmp_path / "scene")
    again = load_scene(tmp_path / "scene")
    np.testing.assert_allclose(again.world.camera.position, head_scene.world.camera.position)
    np.testing.assert_allclose(again.world.truth.rotation, head_scene.world.truth.rotation)
    assert again.world.noise == head_scene.world.noise
    np.testing.assert_allclose(again.world.gravity, [0.0, 0.0, -1.0])
    assert load_scene(tmp_path / "scene", num_frames=4).world.camera.frame_count == 4
    recording = read(tmp_path / "scene").with_poses(refined.poses, refined.scene.world.camera)
    write(recording, tmp_path / "back", "scene")
    back = load_scene(tmp_path / "back")
    np.testing.assert_allclose(back.world.camera.position, refined.scene.world.camera.position)
    assert Recording(head_scene).world is head_scene.world


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('camera = "guess"', "'guess'"),
        ('camera = "estimate"', "without camera_poses"),
        ("camera_jitter = [0.01, 0.01]", "is given, and camera is 'known'"),
        ('camera_poses = "camera_poses.npz"\ncamera = "estimate"\ncamera_drift = [-1.0, 0.1]', "drift_m"),
    ],
)
def test_what_is_wrong_with_a_world_is_said(tmp_path, head_scene, line, found):
    """Keys that do not fit each other."""
    save_scene(head_scene, tmp_path / "scene")
    file = tmp_path / "scene" / "scene.toml"
    text = file.read_text()
    file.write_text(text[: text.index("[world]")] + f"[world]\n{line}\n")
    with pytest.raises(InputError, match=found):
        load_scene(tmp_path / "scene")


def test_scenes_refuse_paths_of_another_length(head_scene):
    """A camera needs a pose in every frame."""
    short = replace(head_scene.world, camera=head_scene.world.camera.frames(slice(0, 3)))
    with pytest.raises(InputError, match="world: camera"):
        replace(head_scene, world=short)


def block_scene(frames=8, *, size=1.0):
    """A block that rests in the world, beside another that passes by, as a camera on a head sees them."""
    path = head_path(frames, size=size)
    rest = seen_from(path, make_motion((0.02, 0.01, 0.5), frames=frames))
    other = seen_from(path, make_motion((-0.1, 0.0, 0.55), (0.1, 0.2, 0.3), drift=(0.004, 0.0, 0.0), frames=frames))
    bodies = make_block(), make_block("other")
    scene = make_scene(bodies, (rest, other), (rest, other), camera=SMALL, known=("other",))
    random = np.random.default_rng(0)
    start = replace(rest, position=rest.position + 0.004 * random.normal(size=rest.position.shape))
    scene = scene.with_poses({"box": start})
    return replace(scene, world=World(path, truth=path))


def test_what_rests_in_the_world_rests():
    """A resting block before a camera that moves by centimetres keeps still in the world, as it does not without it."""
    scene = block_scene()
    found = {}
    for name, one in (("world", scene), ("camera", replace(scene, world=None))):
        poses = refine(one, device="cpu", check_first=False).poses["box"]
        placed = scene.world.camera.moved_places(poses.position)
        found[name] = 1e3 * float(np.linalg.norm(np.diff(placed, axis=0), axis=1).mean())
        assert np.linalg.norm(poses.position - scene.body("box").truth.position, axis=1).mean() < 0.006
    print(found)
    assert found["world"] < 0.3 and found["world"] < 0.5 * found["camera"]


def test_gaps_are_carried_through_the_world(tmp_path):
    """First guesses that are missing while the camera turns are where a resting body is seen, not half-way."""
    scene = block_scene(size=4.0)
    truth = scene.body("box").truth
    save_scene(scene.with_poses({"box": truth}), tmp_path / "scene")
    file = tmp_path / "scene" / "initial.npz"
    with np.load(file) as arrays:
        kept = dict(arrays)
    kept["box/position"][2:6] = np.nan
    np.savez(file, **kept)
    found = load_scene(tmp_path / "scene").body("box").initial
    assert found.imputed[2:6].all()
    np.testing.assert_allclose(found.position, truth.position, atol=1e-6)
    turn = Rotation.from_quat(found.rotation).inv() * Rotation.from_quat(truth.rotation)
    assert turn.magnitude().max() < 1e-6


def tracked_scenes():
    """A hand lifts an object, with points in space alone; and the same before a camera that moves."""
    scene = simulate("robot_lift", frame_count=16, camera=SMALL, images=False, seed=2)
    path = head_path(16, size=2.0, away=(50.0, 0.0, -3.0))
    bodies = tuple(
        replace(item, initial=seen_from(path, item.initial), truth=seen_from(path, item.truth)) for item in scene.bodies
    )
    turn = Rotation.from_quat(path.rotation).inv()
    centers = {name: turn.apply(at - path.position) for name, at in scene.centers.items()}
    scenes = scene, replace(scene, bodies=bodies, centers=centers, world=World(path))
    return tuple(replace(one, labels=None) for one in scenes)


ISOTROPIC = TrackSettings(initial_lateral_m=0.02, initial_depth_m=0.02)


@pytest.mark.parametrize("anchors", [12, 0])
def test_tracking_does_not_depend_on_how_the_camera_moves(anchors):
    """What is tracked before a moving camera is, in the world, what is tracked before one that stands."""
    still, moving = tracked_scenes()
    noise = replace(ISOTROPIC.measured, lateral_m=0.002, depth_m=0.002)
    settings = replace(ISOTROPIC, anchors=anchors, measured=noise)
    results = [track(one, settings, observe=["center"], device="cpu", check_first=False) for one in (still, moving)]
    expected, found = (result.poses["bottle"] for result in results)
    placed, turned = moving.world.camera.moved(found.position, found.rotation)
    np.testing.assert_allclose(placed, expected.position, atol=5e-4)
    turn = Rotation.from_quat(turned).inv() * Rotation.from_quat(expected.rotation)
    assert np.degrees(turn.magnitude()).max() < 0.2
    turns = np.kron(np.eye(2), Rotation.from_quat(moving.world.camera.rotation).as_matrix())
    np.testing.assert_allclose(
        turns @ found.covariance @ turns.transpose(0, 2, 1), expected.covariance, rtol=0.05, atol=1e-6
    )
    ignored = track(replace(moving, world=None), settings, observe=["center"], device="cpu", check_first=False)
    placed, _ = moving.world.camera.moved(ignored.poses["bottle"].position, ignored.poses["bottle"].rotation)
    assert np.abs(placed - expected.position).max() > 0.004


def test_a_tracker_saves_where_its_camera_was():
    """Taken up again in the middle, the same comes out; a camera that shakes makes what it sees less sure."""
    from warpprior.tracking.recorded import observe_frame

    _, scene = tracked_scenes()
    first = Tracker(scene, ISOTROPIC, observe=["center"], device="cpu")
    for frame in range(6):
        first.step(observe_frame(scene, frame, first.sensors), frame / 30.0)
    second = Tracker(scene, ISOTROPIC, observe=["center"], device="cpu")
    second.restore(first.save())
    shaken = replace(scene, world=replace(scene.world, noise=CameraNoise()))
    third = Tracker(shaken, ISOTROPIC, observe=["center"], device="cpu")
    third.restore(first.save())
    seen = observe_frame(scene, 6, first.sensors)
    found = [one.step(seen, 0.2) for one in (first, second, third)]
    np.testing.assert_array_equal(found[0].position["bottle"], found[1].position["bottle"])
    spreads = [np.trace(one.covariance["bottle"][:3, :3]) for one in found]
    assert spreads[2] > spreads[0] == spreads[1]
    with pytest.raises(InputError, match="pose of the camera"):
        first.step(replace(seen, camera=np.zeros(6)), 0.3)


def test_verdicts_see_motion_in_the_world(head_scene):
    """Jitter of poses that were measured and not estimated is no jump of what the camera sees."""
    truth = head_scene.body("bottle").truth
    steady = in_world(steady_camera(head_scene), truth)
    shaken = in_world(head_scene.world.camera, truth)
    exact = in_world(head_scene.world.truth, truth)
    bends = [np.abs(np.diff(one.position - exact.position, 2, axis=0)).mean() for one in (steady, shaken)]
    assert bends[0] < 0.25 * bends[1]
    assert steady_camera(replace(head_scene, world=None)) is None
