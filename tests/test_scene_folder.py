"""Scene folders: what load_scene gives, what it mends with a warning, and that save_scene is its inverse."""

import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.small_scene import BOX_VERTICES, HEIGHT, WIDTH, edit_poses, edit_text, label_image, pose_arrays, write_scene
from warpprior.bodies import posed_vertices
from warpprior.io import load_scene, save_scene
from warpprior.support.errors import InputError, RunError


@pytest.fixture
def folder(tmp_path):
    """The small scene on disk."""
    return write_scene(tmp_path / "scene")


def test_scene_is_read_as_written(folder):
    """Camera, bodies, poses, labels and colour arrive unchanged and without a warning."""
    scene = load_scene(folder)
    assert scene.warnings == ()
    assert (scene.camera.width, scene.camera.height, scene.camera.fx, scene.fps) == (64, 48, 60.0, 10.0)
    assert [(body.name, body.label, body.known) for body in scene.bodies] == [("arm", 1, True), ("box", 2, False)]
    assert scene.name == "scene" and scene.folder == folder
    arrays = pose_arrays()
    box, arm = scene.body("box"), scene.body("arm")
    np.testing.assert_array_equal(box.initial.position, arrays["box/position"])
    np.testing.assert_allclose(box.truth.rotation, arrays["box/rotation"], atol=1e-15)
    np.testing.assert_array_equal(arm.initial.joints, arrays["arm/joints"])
    np.testing.assert_array_equal(scene.labels, [label_image(frame) for frame in range(3)])
    assert scene.read_rgb(2)[0, 0].tolist() == [92, 60, 30]
    assert box.body.vertex_count == len(BOX_VERTICES) and box.initial.imputed is None
    assert box.source == (folder / "box.obj").resolve()


def test_only_the_first_frames_are_read(folder):
    """num_frames cuts every stream, and files beyond it are not opened."""
    (folder / "labels/000002.png").write_bytes(b"broken")
    scene = load_scene(folder, num_frames=2)
    assert scene.frame_count == 2 and scene.labels.shape == (2, HEIGHT, WIDTH)
    assert scene.body("box").truth.frame_count == 2


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_byte_order_mark_and_line_ends_do_not_matter(folder, mark, line_end):
    """A scene.toml saved by any editor reads the same."""
    text = (folder / "scene.toml").read_text(encoding="utf-8").replace("\n", line_end)
    (folder / "scene.toml").write_bytes((mark + text).encode("utf-8"))
    assert load_scene(folder).camera.fx == 60.0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_folder_name_that_is_no_text_is_escaped(tmp_path):
    """Bytes that are not UTF-8 come out as escapes in the scene's name, which goes into JSON, HTML and USD."""
    folder = write_scene(tmp_path / os.fsdecode(b"mug\xff"))
    assert load_scene(folder).name == "mug\\udcff"


def test_folder_names_of_any_kind_work(tmp_path):
    """Spaces, line breaks and other scripts in paths are no obstacle."""
    folder = write_scene(tmp_path / "sz\u00e9n\u0101 \u624b\n1")
    assert load_scene(folder).name == folder.name


def test_missing_pose_is_interpolated_and_flagged(folder):
    """A frame of NaN lies half way between its neighbours, in position and on the rotation's great arc."""
    arrays = pose_arrays()
    position, rotation = arrays["box/position"], arrays["box/rotation"]
    expected = position[1].copy(), rotation[1].copy()
    position[1], rotation[1] = np.nan, np.nan
    rotation[2] *= -1
    edit_poses(folder, box__position=position, box__rotation=rotation)
    scene = load_scene(folder)
    poses = scene.body("box").initial
    np.testing.assert_allclose(poses.position[1], expected[0], atol=1e-15)
    np.testing.assert_allclose(abs(poses.rotation[1] @ expected[1]), 1.0, atol=1e-14)
    assert poses.imputed.tolist() == [False, True, False]
    assert any("initial.npz: box has no finite pose in frame 1; it was interpolated" in w for w in scene.warnings)


def test_missing_poses_at_the_ends_are_held(folder):
    """Before the first and after the last usable frame the nearest pose is kept."""
    position = pose_arrays()["box/position"]
    position[[0, 2], 1] = np.inf
    edit_poses(folder, box__position=position)
    poses = load_scene(folder).body("box").initial
    np.testing.assert_array_equal(poses.position, np.tile(position[1], (3, 1)))
    assert poses.imputed.tolist() == [True, False, True]


def test_truth_keeps_its_gaps(folder):
    """Frames without truth stay NaN, for they must not be scored."""
    position = pose_arrays()["box/position"]
    position[1, 2] = np.nan
    edit_poses(folder, "truth.npz", box__position=position)
    scene = load_scene(folder)
    assert np.isnan(scene.body("box").truth.rotation[1]).all()
    assert any("truth.npz: box has no pose in frame 1; not scored there" in w for w in scene.warnings)


def test_truth_of_some_bodies_is_enough(folder):
    """A body that the truth file leaves out has no truth."""
    changes = {key.replace("/", "__"): None for key in pose_arrays() if key.startswith("arm")}
    edit_poses(folder, "truth.npz", **changes)
    scene = load_scene(folder)
    assert scene.body("arm").truth is None and scene.body("box").truth is not None


def test_quaternions_are_normalised_with_a_warning(folder):
    """A norm that is off by a percent is mended and told."""
    edit_poses(folder, box__rotation=pose_arrays()["box/rotation"] * 1.01)
    scene = load_scene(folder)
    np.testing.assert_allclose(np.linalg.norm(scene.body("box").initial.rotation, axis=1), 1.0, atol=1e-15)
    assert any("box/rotation was normalised in frames 0-2" in w for w in scene.warnings)


def test_single_precision_quaternions_are_no_reason_to_warn(folder):
    """Rounding is not an error."""
    edit_poses(folder, box__rotation=pose_arrays()["box/rotation"].astype(np.float32))
    assert load_scene(folder).warnings == ()


def test_rotation_matrices_are_taken(folder):
    """Matrices (frame, 3, 3) mean the same as the quaternions they come from."""
    from scipy.spatial.transform import Rotation

    rotation = pose_arrays()["box/rotation"]
    matrices = Rotation.from_quat(rotation).as_matrix()
    edit_poses(folder, box__rotation=matrices + 1e-4)
    scene = load_scene(folder)
    np.testing.assert_allclose(np.abs(np.sum(scene.body("box").initial.rotation * rotation, axis=1)), 1, atol=1e-6)
    assert any("made orthonormal" in w for w in scene.warnings)


def test_identity_in_the_other_order_is_hinted_at(folder):
    """(1, 0, 0, 0) in every frame is probably identity in w, x, y, z."""
    edit_poses(folder, box__rotation=np.tile([1.0, 0, 0, 0], (3, 1)))
    assert any("order w, x, y, z" in w for w in load_scene(folder).warnings)


def test_joints_are_brought_into_the_models_order(folder):
    """Columns follow their names, and columns the model does not have are left out with a warning."""
    joints = pose_arrays()["arm/joints"]
    shuffled = np.column_stack([joints[:, 1], np.full(3, 7.0), joints[:, 0]])
    edit_poses(folder, arm__joints=shuffled, arm__joint_names=["reach", "other", "bend"])
    scene = load_scene(folder)
    np.testing.assert_array_equal(scene.body("arm").initial.joints, joints)
    assert any("arm/joint_names has other" in w for w in scene.warnings)


def test_joints_outside_their_limits_are_clamped(folder):
    """The model's limits win, and the worst excess is told."""
    joints = pose_arrays()["arm/joints"]
    joints[1, 0] = 1.75
    edit_poses(folder, arm__joints=joints)
    scene = load_scene(folder)
    assert scene.body("arm").initial.joints[1, 0] == 1.5
    assert any("bend outside the limits in frame 1, by up to 0.25 rad; clamped" in w for w in scene.warnings)


def test_frames_behind_the_camera_are_interpolated(folder):
    """An estimated body cannot be behind the camera; a known one may."""
    position = pose_arrays()["box/position"]
    position[1, 2] *= -1
    arm = pose_arrays()["arm/position"] * [1, 1, -1]
    edit_poses(folder, box__position=position, arm__position=arm)
    scene = load_scene(folder)
    assert scene.body("box").initial.position[1, 2] == 0.5
    assert scene.body("box").initial.imputed.tolist() == [False, True, False]
    assert scene.body("arm").initial.position[0, 2] == -0.5 and scene.body("arm").initial.imputed is None
    assert sum("behind the camera" in w for w in scene.warnings) == 2


def test_strangers_in_a_pose_file_are_told(folder):
    """Bodies and fields nobody asked for are named, not dropped in silence."""
    edit_poses(folder, ghost__position=np.zeros((3, 3)), box__rotatoin=np.zeros(3))
    warnings = " ".join(load_scene(folder).warnings)
    assert "holds ghost, which no body is called" in warnings
    assert "box/rotatoin is not a known field (did you mean 'rotation'?" in warnings


def test_odd_intrinsics_are_told(folder):
    """A principal point outside the image and pixels far from square are read, with a warning."""
    edit_text(folder, "cx = 32.0", "cx = 70.0")
    edit_text(folder, "fy = 60.0", "fy = 160.0")
    warnings = " ".join(load_scene(folder).warnings)
    assert "principal point is outside the image" in warnings and "far from square" in warnings


def test_a_scene_survives_saving(folder, tmp_path):
    """load, save, load gives the same scene: models, poses, truth with gaps, labels, colour, symmetry."""
    position = pose_arrays()["box/position"]
    position[1] = np.nan
    edit_poses(folder, "truth.npz", box__position=position)
    edit_text(folder, "label = 2", 'label = 2\nsymmetry = "y"')
    scene = load_scene(folder)
    save_scene(scene, tmp_path / "copy")
    copy = load_scene(tmp_path / "copy")
    assert copy.camera == scene.camera and copy.fps == scene.fps
    np.testing.assert_array_equal(copy.labels, scene.labels)
    np.testing.assert_array_equal(copy.read_rgb(1), scene.read_rgb(1))
    for ours, theirs in zip(scene.bodies, copy.bodies, strict=True):
        assert (ours.name, ours.label, ours.known, ours.symmetry) == (
            theirs.name,
            theirs.label,
            theirs.known,
            theirs.symmetry,
        )
        np.testing.assert_array_equal(ours.body.vertices, theirs.body.vertices)
        np.testing.assert_array_equal(ours.body.faces, theirs.body.faces)
        for name in ("initial", "truth"):
            for field in ("position", "rotation", "joints"):
                np.testing.assert_array_equal(
                    getattr(getattr(ours, name), field), getattr(getattr(theirs, name), field)
                )


def test_names_that_are_no_file_names_can_be_saved(folder, tmp_path):
    """Bodies called alike up to odd characters get files of their own."""
    scene = load_scene(folder)
    arm, box = scene.bodies
    other = replace(box, body=replace(box.body, name="b\u00f6x"), label=3)
    third = replace(box, body=replace(box.body, name='b"x'), label=4)
    labels = scene.labels.copy()
    labels[:, 0, :4], labels[:, 1, :4] = 3, 4
    scene = replace(scene, bodies=(arm, box, other, third), labels=labels)
    copy = load_scene(save_scene(scene, tmp_path / "copy"))
    assert [body.name for body in copy.bodies] == ["arm", "box", "b\u00f6x", 'b"x']


def test_saving_refuses_and_keeps_what_is_there(folder, tmp_path):
    """An existing folder is left alone unless overwriting is asked for; a failure leaves it whole."""
    scene = load_scene(folder)
    before = sorted(path.name for path in folder.rglob("*"))
    with pytest.raises(InputError, match="exists and is not empty"):
        save_scene(scene, folder)
    failing = replace(scene, read_rgb=lambda frame: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(RunError, match="No space left"):
        save_scene(failing, folder, overwrite=True)
    assert sorted(path.name for path in folder.rglob("*")) == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    save_scene(scene, folder, overwrite=True)
    assert load_scene(folder).frame_count == 3


def test_only_scene_folders_are_replaced(folder, tmp_path):
    """Overwriting never deletes what is no part of a scene: other folders, notes, results beside the labels."""
    scene = load_scene(folder)
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("years", encoding="utf-8")
    with pytest.raises(InputError, match=r"no part of a scene: thesis\.txt"):
        save_scene(scene, home, overwrite=True)
    (folder / "out").mkdir()
    with pytest.raises(InputError, match="no part of a scene: out"):
        save_scene(scene, folder, overwrite=True)
    assert (home / "thesis.txt").is_file() and (folder / "labels/000000.png").is_file()


def test_bodies_made_in_memory_must_say_where_they_came_from(folder, tmp_path):
    """A URDF body without its file is written anew, but for one whose joints mimic others."""
    scene = load_scene(folder)
    scene = replace(scene, bodies=(replace(scene.bodies[0], source=None), *scene.bodies[1:]))
    again = load_scene(save_scene(scene, tmp_path / "copy")).bodies[0]
    assert again.body.coordinate_names == scene.bodies[0].body.coordinate_names
    assert np.array_equal(again.body.lower, scene.bodies[0].body.lower)
    places = [posed_vertices(item.body, item.initial) for item in (again, scene.bodies[0])]
    assert np.abs(places[0] - places[1]).max() < 1e-6
    body = replace(scene.bodies[0].body, coordinate_gains=2.0 * scene.bodies[0].body.coordinate_gains)
    scene = replace(scene, bodies=(replace(scene.bodies[0], body=body), *scene.bodies[1:]))
    with pytest.raises(InputError, match="has no source file"):
        save_scene(scene, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_meshes_of_a_robot_are_copied(folder, tmp_path):
    """URDF files beside and above their meshes keep finding them after a copy, however they write their names."""
    robot = folder / "arm"
    (robot / "urdf").mkdir()
    (robot / "meshes").mkdir()
    for name in ("part.obj", "a part & more.obj"):
        (robot / "meshes" / name).write_bytes((folder / "box.obj").read_bytes())
    text = (robot / "arm.urdf").read_text(encoding="utf-8")
    text = text.replace('<box size="0.04 0.04 0.04"/>', '<mesh filename="../meshes/part.obj"/>')
    names = ("package://arm/meshes/a%20part%20&amp;%20more.obj", r"..\meshes\a part &amp; more.obj", "../../gone.obj")
    other, windows, unused = (f'<mesh filename="{name}"/>' for name in names)
    text = text.replace('<box size="0.02 0.02 0.02"/>', other, 1)
    extra = f"<visual><geometry>{windows}</geometry></visual><collision><geometry>{unused}</geometry></collision>"
    text = text.replace("</visual>", f"</visual>{extra}", 1)
    (robot / "urdf/arm.urdf").write_text(text, encoding="utf-8")
    edit_text(folder, "arm/arm.urdf", "arm/urdf/arm.urdf")
    scene = load_scene(folder)
    copy = load_scene(save_scene(scene, tmp_path / "copy"))
    np.testing.assert_array_equal(copy.body("arm").body.vertices, scene.body("arm").body.vertices)
    assert (tmp_path / "copy/arm/meshes/part.obj").is_file()


@pytest.mark.parametrize("name", ["allegro_mustard", "ball_on_table"])
def test_reference_recordings_are_read_without_a_warning(shared_data, name):
    """Real scene folders are clean, but for material libraries left behind and the inertias of a robot's makers."""
    scene = load_scene(shared_data / name)
    said = " material", "an inertia that no body can have"
    assert all(any(words in warning for words in said) for warning in scene.warnings), scene.warnings
    assert scene.labels.shape[0] == scene.frame_count == scene.bodies[0].truth.frame_count
    assert scene.read_rgb(0).shape == (scene.camera.height, scene.camera.width, 3)
