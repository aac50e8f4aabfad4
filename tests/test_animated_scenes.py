"""Scenes with a surface given at every frame: folders, pictures, metrics, contact and refinement by it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import warpprior
from tests.estimator_scenes import errors_of, make_grasp
from tests.small_scene import BOX_FACES, BOX_VERTICES, FRAMES, edit_poses, edit_text, label_image, write_scene
from warpprior.bodies import animated_body, posed_vertices
from warpprior.contacts import find_contacts
from warpprior.io import fingerprint, load_result_poses, load_scene, save_poses, save_scene
from warpprior.metrics import evaluate
from warpprior.render import images
from warpprior.render.images import render_labels
from warpprior.report.picture import View, masks_of
from warpprior.scene import Poses
from warpprior.settings import RefineSettings
from warpprior.support.errors import InputError
from warpprior.system.motion import MotionState

HAND = """\
kind = "vertices"
path = "arm.npz"
"""


def animate(scene, name):
    """The scene with the true motion of a body given as vertices in the camera frame."""
    item = scene.body(name)
    body = animated_body(name, posed_vertices(item.body, item.truth), item.body.faces)
    animated = replace(item, body=body, known=True, initial=Poses.identity(scene.frame_count), truth=None)
    return replace(scene, bodies=tuple(animated if other is item else other for other in scene.bodies))


@pytest.fixture(scope="module")
def grasp():
    """A box in a known clamp, six frames of 96 x 96 pixels."""
    return make_grasp()


@pytest.fixture(scope="module")
def animated(grasp):
    """The same, the clamp given as vertices."""
    return animate(grasp, "clamp")


@pytest.fixture
def folder(tmp_path):
    """The small scene on disk, its arm given as vertices that drift to the right, without a label or poses."""
    folder = write_scene(tmp_path / "scene")
    edit_text(folder, 'kind = "urdf"\npath = "arm/arm.urdf"\nlabel = 1\nknown = true\n', HAND)
    edit_poses(folder, arm__position=None, arm__rotation=None, arm__joints=None, arm__joint_names=None)
    (folder / "truth.npz").write_bytes((folder / "initial.npz").read_bytes())
    write_arm(folder, arm_vertices())
    return folder


def arm_vertices():
    """A box left of the other one, in front of the background and, at the end, of the other box."""
    drift = np.array([[-0.12, 0.0, 0.45], [-0.08, 0.0, 0.45], [-0.04, 0.0, 0.4]])
    return 0.5 * BOX_VERTICES + drift[:, None]


def write_arm(folder, vertices, faces=BOX_FACES):
    """Write the arm's file."""
    np.savez(folder / "arm.npz", vertices=vertices, faces=faces)


def test_folders_need_neither_poses_nor_a_label(folder):
    """The arm is known, in the camera frame, has a label of its own, and hides the background it covers."""
    scene = load_scene(folder)
    arm = scene.body("arm")
    assert arm.known and arm.label == 254 and arm.truth is None and arm.source == (folder / "arm.npz").resolve()
    np.testing.assert_array_equal(posed_vertices(arm.body, arm.initial), arm_vertices().astype(np.float32))
    covered = render_labels(replace(scene, bodies=(arm,)), {"arm": arm.initial}) == 254
    given = np.stack([label_image(frame) for frame in range(FRAMES)])
    given[given == 1] = 255  # no body has this label any more
    np.testing.assert_array_equal(scene.labels, np.where(covered & (given == 0), 255, given))
    assert (covered & (given == 0)).any() and (covered & (given == 2)).any()
    assert any("arm has no label; the background" in warning for warning in scene.warnings)


def test_poses_move_an_animation(folder):
    """Vertices in another frame come with poses of that frame; labels are kept as they are where there is one."""
    edit_text(folder, HAND, HAND + "label = 1\n")
    rotation = np.tile([0.0, 0.0, 1.0, 0.0], (FRAMES, 1))
    edit_poses(folder, arm__rotation=rotation, arm__joints=None, arm__joint_names=None)
    write_arm(folder, 0.5 * np.tile(BOX_VERTICES, (FRAMES, 1, 1)))
    scene = load_scene(folder)
    arm = scene.body("arm")
    expected = 0.5 * BOX_VERTICES * [-1.0, -1.0, 1.0] + [-0.12, 0.0, 0.5]
    np.testing.assert_allclose(posed_vertices(arm.body, arm.initial), np.tile(expected, (FRAMES, 1, 1)), atol=1e-6)
    assert arm.label == 1 and (scene.labels == 1).any() and not (scene.labels == 255).any()


def test_the_first_frames_are_cut(folder):
    """In the file's answer and in the scene's, with the animation."""
    whole = load_scene(folder)
    for scene in (load_scene(folder, num_frames=2), whole.first_frames(2)):
        arm = scene.body("arm")
        assert scene.frame_count == 2 and len(arm.body.animation) == 2
        np.testing.assert_array_equal(posed_vertices(arm.body, arm.initial), arm_vertices()[:2].astype(np.float32))


def test_saved_scenes_are_read_back(folder, tmp_path):
    """The vertices come back bit by bit, also of a scene that was cut, and results may leave the arm out."""
    scene = load_scene(folder)
    save_scene(scene, tmp_path / "copy")
    back = load_scene(tmp_path / "copy")
    arm, own = back.body("arm"), scene.body("arm")
    np.testing.assert_array_equal(arm.body.animation, own.body.animation)
    np.testing.assert_array_equal(arm.body.faces, own.body.faces)
    np.testing.assert_array_equal(back.labels, scene.labels)
    assert arm.known and arm.label == own.label and arm.body.closed
    parts = [replace(item, initial=item.initial.frames([2, 1]), truth=None) for item in scene.bodies]
    save_scene(replace(scene, bodies=tuple(parts), labels=None, read_rgb=None), tmp_path / "part")
    found = load_scene(tmp_path / "part").body("arm").body.animation
    np.testing.assert_array_equal(found, own.body.animation[[2, 1]])
    save_poses(tmp_path / "box.npz", {"box": scene.body("box").initial})
    np.testing.assert_array_equal(load_result_poses(tmp_path / "box.npz", scene)["arm"].position, np.zeros((3, 3)))


def test_usd_files_are_named_in_scenes(folder):
    """A time-sampled mesh of a stage of ours, named by its prim, is where it was."""
    pytest.importorskip("pxr", reason="OpenUSD is not installed")
    scene = load_scene(folder)
    warpprior.export_usd(scene, {item.name: item.initial for item in scene.bodies}, folder / "arm.usdc")
    edit_text(folder, 'path = "arm.npz"', 'path = "arm.usdc"\nprim = "/World/arm"\ncamera = "/World/Camera"')
    found = load_scene(folder).body("arm").body.animation
    np.testing.assert_allclose(found, arm_vertices(), atol=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (HAND, HAND + "known = false\n", "known: is false; vertices at every frame are given"),
        (HAND, HAND + "label = 2\n", "label: 2 is used twice"),
        (HAND, HAND + 'prim = "/a"\n', "arm.npz: prim or camera given"),
        (HAND, HAND + "mesh_scale = 0.001\n", "'mesh_scale': is not a known key"),
        ("count = 3", "count = 4", "arm.npz: vertices: 3 frames; the sequence has 4"),
        ('"arm.npz"', '"../arm.npz"', "leads out of the scene folder"),
    ],
    ids=["estimated", "label", "prim", "key", "frames", "path"],
)
def test_scenes_that_do_not_fit_are_refused(folder, old, new, words):
    """One line that names the file and the key."""
    edit_text(folder, old, new)
    with pytest.raises(InputError, match=words):
        load_scene(folder)


def test_axes_of_other_cameras_are_refused(folder):
    """Vertices behind the camera at all times, unless poses put them in front."""
    write_arm(folder, arm_vertices() * [1.0, -1.0, -1.0])
    with pytest.raises(InputError, match="behind the camera in every frame; .*OpenGL"):
        load_scene(folder)


def test_scenes_made_of_arrays_are_checked(animated):
    """An animation is known and has a frame for each of the scene's."""
    clamp, box = animated.bodies
    for changes, words in (
        ({"known": False}, "body 'clamp': an animation to be estimated"),
        ({"body": clamp.body.first_moments(5)}, "initial: an animation of 5 frames; 6 frames"),
        ({"initial": replace(clamp.initial, moments=np.arange(1, 7))}, r"one number in \[0, 6\) for each of 6"),
    ):
        with pytest.raises(InputError, match=words):
            replace(animated, bodies=(replace(clamp, **changes), box))


def test_pictures_show_the_frame_they_are_of(grasp, animated, monkeypatch):
    """Label images drawn a few frames at a time, and masks of single frames, are those of the clamp itself."""
    expected = render_labels(grasp, {item.name: item.truth for item in grasp.bodies})
    monkeypatch.setattr(images, "POSED_PIXELS", 2 * 96 * 96)
    motion = {"clamp": animated.body("clamp").initial, "box": grasp.body("box").truth}
    np.testing.assert_array_equal(render_labels(animated, motion), expected)
    frames = np.array([4, 1])
    drawn = masks_of(animated, [motion], View(0, 0, 96, 96, 96, 96), frames, "cpu")[0]
    own = masks_of(grasp, [motion | {"clamp": grasp.body("clamp").truth}], View(0, 0, 96, 96, 96, 96), frames, "cpu")[0]
    np.testing.assert_array_equal(drawn["clamp"], own["clamp"])


def test_contact_points_follow_the_animation(grasp, animated):
    """What estimators touch lies on the surface of its own frame, where it lies on the clamp."""
    points = [MotionState(scene).points["clamp"].numpy().copy() for scene in (grasp, animated)]
    steps = [np.diff(found.mean(axis=1), axis=0) for found in points]
    np.testing.assert_allclose(steps[1], steps[0], atol=2e-4)
    assert np.linalg.norm(steps[0], axis=1).min() > 3e-3


def test_metrics_and_contacts_are_those_of_the_body_itself(grasp, animated):
    """The box pressed 1.5 mm into a jaw and slipping along it: contact and masks are those of the clamp."""
    truth = grasp.body("box").truth
    inside = np.column_stack([np.full(6, 1.5e-3), np.zeros(6), 5e-4 * np.arange(6)])
    box = replace(truth, position=truth.position + Rotation.from_quat(truth.rotation).apply(inside))
    results = []
    for scene in (grasp, animated):
        motion = {"clamp": scene.body("clamp").initial, "box": box}
        found, (contact,) = evaluate(scene, motion), find_contacts(scene, motion)
        pair = found["pairs"]["box+clamp"]["summary"]
        values = [found["summary"]["box"][metric]["median"] for metric in ("add_mm", "mask_iou")]
        values += [pair[metric]["median"] for metric in ("penetration_mm", "slip_mm", "shared_volume_cm3")]
        results.append([*values, pair["contact_ratio"], float(contact.weight.sum())])
    np.testing.assert_allclose(results[1], results[0], rtol=0.02)
    assert results[0][2:4] == pytest.approx([1.5, 0.5], rel=0.1)


def test_checkpoints_tell_animations_apart(animated):
    """Other vertices in a later frame are another scene."""
    clamp, box = animated.bodies
    moved = clamp.body.animation.copy()
    moved[3, 0, 0] += 1e-3
    other = replace(animated, bodies=(replace(clamp, body=replace(clamp.body, animation=moved)), box))
    assert fingerprint(other) != fingerprint(animated)


def test_an_animation_drives_the_box_as_the_clamp_does(grasp, animated):
    """Refined with vertices instead of the clamp, the box is as near to the truth."""
    own, shown = (np.median(errors_of(warpprior.refine(scene), "box")) for scene in (grasp, animated))
    assert shown < max(1.5 * own, 0.5) and shown < 2.0  # from some 60 mm


def test_vertices_in_a_moving_frame_are_the_same(animated):
    """Poses and an animation that cancel each other leave the refinement where it was."""
    clamp, box = animated.bodies
    shift = np.linspace(0.0, 0.2, animated.frame_count)[:, None] * [1.0, -0.5, 0.3]
    body = replace(clamp.body, animation=(clamp.body.animation - shift[:, None]).astype(np.float32))
    poses = replace(clamp.initial, position=shift)
    moved = replace(animated, bodies=(replace(clamp, body=body, initial=poses), box))
    one, other = (warpprior.refine(scene).poses["box"].position for scene in (animated, moved))
    np.testing.assert_allclose(other, one, atol=3e-4)


def test_the_energy_feels_an_animation(animated):
    """Adam alone: a surface that bends slides and is kept out of; the paper's own term cannot, and says so."""
    settings = RefineSettings().leaving_out(["gauss_newton"])
    settings = replace(settings, adam=replace(settings.adam, iterations=2))
    result = warpprior.refine(animated, settings)
    assert not any("nothing is kept out of" in note for note in result.notes)
    assert all(result.history[term][0] > 0.0 for term in ("sliding", "penetration"))
    literal = warpprior.refine(animated, replace(RefineSettings.paper_literal(), adam=settings.adam))
    assert any("nothing is kept out of clamp: a surface that bends" in note for note in literal.notes)


@pytest.fixture(scope="module")
def lift():
    """The robot hand lifts our bottle, eight frames."""
    return warpprior.simulate("robot_lift", frame_count=8, images=False)


def test_a_hand_of_vertices_is_as_good_as_the_robot(lift):
    """A robot hand's motion given as vertices places the bottle as well as its joints do."""
    own, shown = (np.median(errors_of(warpprior.refine(s), "bottle")) for s in (lift, animate(lift, "hand")))
    assert shown < 1.25 * own + 0.3 and shown < 4.0
