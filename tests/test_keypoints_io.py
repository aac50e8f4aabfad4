"""Hands of every kind in scene folders, and the keypoints and boxes that detectors found: read, checked, written."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.glb_files import finger
from tests.mano_files import mano_arrays, published, python2_pickle, smpl_arrays
from tests.reference import mano as reference
from warpprior.bodies import posed_keypoints, posed_vertices, read_hand, read_mano, read_skin, read_smpl
from warpprior.bodies.hand_parts import KEYPOINT_NAMES
from warpprior.io import load_scene, save_scene
from warpprior.io.lens import make_lens
from warpprior.io.rectify import point_rectifier
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.support.errors import InputError

CAMERA = Camera(640, 480, 600.0, 610.0, 322.0, 239.0)
LENS = (-0.28, 0.09, 0.001, -0.0007, -0.01)
FRAMES = 4


def motion(body, seed=0):
    """A motion within the limits, in front of the camera."""
    random = np.random.default_rng(seed)
    joints = np.clip(random.normal(scale=0.2, size=(FRAMES, body.coordinate_count)), body.lower, body.upper)
    place = np.tile([0.0, 0.0, 1.0 if body.kind != "smpl" else 4.0], (FRAMES, 1))
    turn = Rotation.from_rotvec(random.normal(scale=0.3, size=(FRAMES, 3))).as_quat()
    return Poses(place, turn, joints, random.normal(scale=0.5, size=body.shape_count))


def detected(body, poses):
    """Keypoints as a detector would give them (frame, keypoint, 3)."""
    points = posed_keypoints(body, poses).astype(np.float64)
    u = points[..., 0] / points[..., 2] * CAMERA.fx + CAMERA.cx
    v = points[..., 1] / points[..., 2] * CAMERA.fy + CAMERA.cy
    return np.stack([u, v, np.full_like(u, 0.8)], axis=-1)


@pytest.fixture
def hand_scene():
    """Our left hand, with keypoints and a box in every frame; no pictures at all."""
    body = read_hand("left")
    poses = motion(body)
    found = detected(body, poses)
    box = np.concatenate([found[..., :2].min(axis=1), found[..., :2].max(axis=1)], axis=1)
    item = SceneBody(body, 1, False, poses, poses)
    return Scene("hand", CAMERA, 30.0, (item,), keypoints2d={"hand": found}, boxes={"hand": box})


@pytest.fixture
def folder(hand_scene, tmp_path):
    """That scene on disk."""
    return save_scene(hand_scene, tmp_path / "scene")


def edit(folder, name="keypoints.npz", **changes):
    """Change or remove (None) fields of the hand in a file of arrays."""
    with np.load(folder / name) as stored:
        arrays = dict(stored)
    for field, value in changes.items():
        arrays.pop(f"hand/{field}", None)
        if value is not None:
            arrays[f"hand/{field}"] = value
    np.savez(folder / name, **arrays)


def test_a_scene_of_keypoints_alone_comes_back(hand_scene, folder):
    """Our hand, its side, shape and joints, keypoints and boxes, without a warning and without labels."""
    scene = load_scene(folder)
    assert scene.warnings == () and scene.labels is None
    before, after = hand_scene.body("hand"), scene.body("hand")
    assert (after.body.kind, after.body.side, after.source) == ("hand", "left", None)
    np.testing.assert_array_equal(after.body.vertices, before.body.vertices)
    for field in ("position", "rotation", "joints", "shape"):
        np.testing.assert_allclose(getattr(after.initial, field), getattr(before.initial, field), atol=1e-15)
        np.testing.assert_allclose(getattr(after.truth, field), getattr(before.truth, field), atol=1e-15)
    np.testing.assert_array_equal(scene.keypoints2d["hand"], hand_scene.keypoints2d["hand"])
    np.testing.assert_array_equal(scene.boxes["hand"], hand_scene.boxes["hand"])
    short = load_scene(folder, num_frames=2)
    assert short.keypoints2d["hand"].shape == (2, 21, 3) and short.boxes["hand"].shape == (2, 4)


@pytest.mark.parametrize("kind", ["mano", "smpl", "skin"])
def test_bodies_of_every_kind_come_back(tmp_path, kind):
    """Model files are copied; kind, side, poses and surface come back, and the saved folder can be saved again."""
    source = tmp_path / f"model.{'glb' if kind == 'skin' else 'pkl'}"
    if kind == "skin":
        source.write_bytes(finger().data())
        body = read_skin(source, "one")
    elif kind == "mano":
        source.write_bytes(python2_pickle(published(mano_arrays("left")), 2))
        body = read_mano(source, "one", correct_left_shape=True)
    else:
        source.write_bytes(python2_pickle(published(smpl_arrays()), 2))
        body = read_smpl(source, "one")
    poses = motion(body)
    scene = Scene("models", CAMERA, 30.0, (SceneBody(body, 3, False, poses, source=source),))
    save_scene(scene, tmp_path / "scene")
    source.unlink()
    found = load_scene(tmp_path / "scene").body("one")
    assert (found.body.kind, found.body.side) == (kind, body.side)
    for field in ("vertices", "faces", "shape_directions", "lower"):
        np.testing.assert_array_equal(getattr(found.body, field), getattr(body, field))
    for field in ("position", "joints", "shape"):
        np.testing.assert_array_equal(getattr(found.initial, field), getattr(poses, field))
    again = save_scene(load_scene(tmp_path / "scene"), tmp_path / "again")
    assert (again / "scene.toml").read_text() == (tmp_path / "scene" / "scene.toml").read_text()


def test_a_body_without_its_file_cannot_be_saved(tmp_path):
    """A skin made in memory, or whose file is gone: said before anything is written."""
    (tmp_path / "model.glb").write_bytes(finger().data())
    body = read_skin(tmp_path / "model.glb", "one")
    for source, words in ((None, "has no source file"), (tmp_path / "gone.glb", "is not there any more")):
        scene = Scene("models", CAMERA, 30.0, (SceneBody(body, 3, False, motion(body), source=source),))
        with pytest.raises(InputError, match=words):
            save_scene(scene, tmp_path / "scene")
        assert not (tmp_path / "scene").exists()


@pytest.fixture
def mano_folder(tmp_path):
    """Writes a scene of one MANO hand with poses as users have them, and gives its folder."""

    def write(keys="", **fields):
        folder = tmp_path / "mano"
        folder.mkdir()
        np.savez(folder / "hand.npz", **mano_arrays("right"))
        camera = "".join(f"{k} = {getattr(CAMERA, k)}\n" for k in ("width", "height", "fx", "fy", "cx", "cy"))
        body = f'name = "hand"\nkind = "mano"\npath = "hand.npz"\nlabel = 1\n{keys}'
        text = f"[camera]\n{camera}[frames]\ncount = 4\nfps = 30\n[[body]]\n{body}\n[poses]\ninitial = 'initial.npz'\n"
        (folder / "scene.toml").write_text(text)
        np.savez(folder / "initial.npz", **{f"hand/{name}": value for name, value in fields.items()})
        return folder

    return write


def mano_numbers(count=45):
    """Poses as a MANO fit gives them: global_orient, joint numbers, betas, transl."""
    random = np.random.default_rng(8)
    orient, pose = random.normal(size=(FRAMES, 3)), random.normal(scale=0.3, size=(FRAMES, count))
    return orient, pose, random.normal(size=10), np.tile([0.02, 0.01, 0.8], (FRAMES, 1))


@pytest.mark.parametrize("pca", [None, 12, 45])
@pytest.mark.parametrize("flat", [True, False])
def test_poses_of_mano_fits_are_read_in_their_convention(mano_folder, pca, flat):
    """PCA coefficients or rotation vectors, with the mean or without, MANO's translation: the surface MANO gives."""
    orient, stored, shape, transl = mano_numbers(pca or 45)
    keys = f'flat_hand_mean = {str(flat).lower()}\ntranslation = "transl"\n' + (f"pca = {pca}\n" if pca else "")
    folder = mano_folder(
        keys, position=transl, rotation=Rotation.from_rotvec(orient).as_quat(), joints=stored, shape=shape
    )
    scene = load_scene(folder)
    assert scene.warnings == ()
    arrays, item = mano_arrays("right"), scene.body("hand")
    full = stored if pca is None else stored @ arrays["hands_components"][:pca]
    full = full if flat else full + arrays["hands_mean"]
    found = posed_vertices(item.body, item.initial)
    for frame in range(FRAMES):
        expected, _ = reference.surface(arrays, orient[frame], full[frame], shape, transl[frame])
        np.testing.assert_allclose(found[frame], expected, atol=5e-6)


def test_positions_are_those_of_the_wrist_by_default(mano_folder):
    """Without ``translation``, position is where the wrist joint is."""
    orient, pose, shape, transl = mano_numbers()
    rotation = Rotation.from_rotvec(orient).as_quat()
    item = load_scene(mano_folder(position=transl, rotation=rotation, joints=pose, shape=shape)).body("hand")
    np.testing.assert_array_equal(item.initial.position, transl)
    np.testing.assert_allclose(posed_keypoints(item.body, item.initial)[:, 0], transl, atol=1e-6)


@pytest.mark.parametrize(
    ("keys", "columns", "message"),
    [
        ("", 48, "has 48 coordinates; needs 45; the global rotation in front of them goes into rotation"),
        ("", 15, "has 15 coordinates; needs 45"),
        ("pca = 12", 45, "has 45 coordinates; needs 12, for scene.toml says pca = 12"),
        ("pca = 46", 45, "pca: is 46; needs a whole number from 1 to 45"),
        ("flat_hand_mean = 1", 45, "flat_hand_mean: is 1"),
        ('translation = "wrist"', 45, "translation: is 'wrist'; accepted: root, transl"),
        ('side = "left"', 45, "is a right hand"),
        ('side = "lefft"', 45, "did you mean 'left'"),
        ("correct_left_shape = true", 45, "only left hands need the correction"),
        ("mesh_scale = 2.0", 45, "'mesh_scale': is not a known key"),
    ],
)
def test_conventions_that_do_not_fit_are_refused(mano_folder, keys, columns, message):
    """Keys of the wrong type, numbers of columns that belong to another convention, the other hand."""
    place, turn = np.tile([0.0, 0.0, 0.8], (FRAMES, 1)), np.tile([0.0, 0.0, 0.0, 1.0], (FRAMES, 1))
    folder = mano_folder(keys, position=place, rotation=turn, joints=np.zeros((FRAMES, columns)))
    with pytest.raises(InputError, match=message):
        load_scene(folder)


def test_joint_names_say_that_poses_are_ours(mano_folder):
    """PCA coefficients have no joint names: files that have both contradict themselves."""
    place, turn = np.tile([0.0, 0.0, 0.8], (FRAMES, 1)), np.tile([0.0, 0.0, 0.0, 1.0], (FRAMES, 1))
    names = np.array([f"c{i}" for i in range(12)])
    folder = mano_folder("pca = 12", position=place, rotation=turn, joints=np.zeros((FRAMES, 12)), joint_names=names)
    with pytest.raises(InputError, match="comes with joint_names"):
        load_scene(folder)


def test_points_that_say_nothing_are_nan_without_confidence(folder, hand_scene):
    """NaN in u, v or confidence, and a confidence of zero or less, all mean the same."""
    stored = hand_scene.keypoints2d["hand"].copy()
    stored[0, 1, 0], stored[1, 2, 2], stored[2, 3, 2], stored[3, 4, 2] = np.nan, np.nan, 0.0, -0.5
    edit(folder, keypoints2d=stored)
    found = load_scene(folder).keypoints2d["hand"]
    for frame in range(4):
        assert np.isnan(found[frame, frame + 1, :2]).all() and found[frame, frame + 1, 2] == 0.0
    assert (found[..., 2] > 0.0).sum() == 4 * 21 - 4


def test_keypoints_by_name_come_in_any_order(folder, hand_scene):
    """Some of the keypoints, in their own order, with one the model does not have."""
    chosen = [20, 0, 8]
    names = np.array([*(KEYPOINT_NAMES[k] for k in chosen), "elbow"])
    stored = hand_scene.keypoints2d["hand"]
    edit(folder, keypoints2d=stored[:, [*chosen, 5]], keypoint_names=names)
    scene = load_scene(folder)
    found = scene.keypoints2d["hand"]
    np.testing.assert_array_equal(found[:, chosen], stored[:, chosen])
    assert (np.delete(found, chosen, axis=1)[..., 2] == 0.0).all()
    assert any("has elbow, which the model has not" in warning for warning in scene.warnings)


def test_odd_detections_are_mended_with_a_warning(folder, hand_scene):
    """Confidences above one, points far outside, fields and bodies nobody knows."""
    stored = hand_scene.keypoints2d["hand"].copy()
    stored[1, :, 2], stored[2, 7, 0] = 1.7, 1e5
    edit(folder, keypoints2d=stored, keypoints4d=np.zeros((4, 21, 3)))
    with np.load(folder / "keypoints.npz") as file:
        np.savez(folder / "keypoints.npz", **file, **{"foot/box2d": np.zeros((4, 4))})
    scene = load_scene(folder)
    found = scene.keypoints2d["hand"]
    assert found[1, :, 2].max() == 1.0 and found[2, 7, 2] == 0.0 and np.isnan(found[2, 7, 0])
    said = " ".join(scene.warnings)
    for words in (
        "confidences up to 1.7 in frame 1",
        "far outside the picture in frame 2",
        "holds foot",
        "keypoints4d is not a known field (did you mean 'keypoints",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keypoints2d": np.ones((4, 20, 3))}, r"has shape \(4, 20, 3\); needs \(frame, 21, 3\): u, v \[px\] and conf"),
        ({"keypoints2d": np.ones((3, 21, 3))}, "has 3 frames; the sequence has 4"),
        ({"keypoints2d": np.ones((4, 21, 4))}, r"has shape \(4, 21, 4\); needs \(frame, 21, 3\)"),
        (
            {"keypoints2d": np.full((4, 21, 3), -1.0) * [1, 1, -1]},
            r"all points lie at one place, \(-1, -1\), in frames 0-3",
        ),
        ({"keypoints2d": np.full((4, 21, 3), "a")}, "has values of type <U1; needs plain numbers"),
        ({"keypoints2d": np.random.default_rng(0).random((4, 21, 3))}, "needs pixels of a picture of 640 x 480"),
        ({"keypoints2d": np.full((4, 21, 3), np.nan)}, "no point is usable"),
        ({"keypoint_names": np.array(["a"] * 21)}, "names a keypoint twice"),
        ({"keypoint_names": np.array([f"a{i}" for i in range(21)])}, "has none of the model's keypoints"),
        ({"keypoint_names": np.arange(21)}, "needs one text per keypoint"),
        ({"box2d": np.ones((4, 3))}, r"box2d: has shape \(4, 3\); needs \(frame, 4\): left, top"),
        ({"box2d": np.tile([300.0, 200.0, 100.0, 90.0], (4, 1))}, "box2d, frame 0: is .*left < right"),
        ({"box2d": np.tile([0.2, 0.2, 0.7, 0.9], (4, 1))}, "needs pixels of a picture"),
        ({"box2d": np.full((4, 4), np.nan)}, "no box is finite"),
        ({"keypoints2d": None, "box2d": None}, "has nothing that was detected of hand; keys are <body>/keypoints2d, "),
    ],
)
def test_detections_that_cannot_be_used_are_refused(folder, changes, message):
    """Shapes, parts of the picture instead of pixels, names that fit nothing: file and field are named."""
    edit(folder, **changes)
    with pytest.raises(InputError, match=message) as refused:
        load_scene(folder)
    assert "keypoints.npz" in str(refused.value)


def test_bodies_without_keypoints_have_none(tmp_path):
    """Keypoints of a body whose model has none are refused; its boxes are welcome."""
    (tmp_path / "model.glb").write_bytes(finger().data())
    body = read_skin(tmp_path / "model.glb", "hand")
    item = SceneBody(body, 1, False, motion(body), source=tmp_path / "model.glb")
    boxes = {"hand": np.tile([10.0, 20.0, 30.0, 40.0], (FRAMES, 1))}
    folder = save_scene(Scene("skin", CAMERA, 30.0, (item,), boxes=boxes), tmp_path / "scene")
    np.testing.assert_array_equal(load_scene(folder).boxes["hand"], boxes["hand"])
    edit(folder, keypoints2d=np.full((FRAMES, 21, 3), 100.0))
    with pytest.raises(InputError, match="'hand' has no keypoints"):
        load_scene(folder)


def distorted(points):
    """Where the lens shows points (n, 2) of the pinhole camera, by OpenCV."""
    rays = (points - [CAMERA.cx, CAMERA.cy]) / [CAMERA.fx, CAMERA.fy]
    matrix = np.array([[CAMERA.fx, 0.0, CAMERA.cx], [0.0, CAMERA.fy, CAMERA.cy], [0.0, 0.0, 1.0]])
    rays = np.column_stack([rays, np.ones(len(rays))])
    return cv2.projectPoints(rays, np.zeros(3), np.zeros(3), matrix, np.array(LENS))[0].reshape(-1, 2)


def test_points_are_rectified_to_the_last_hundredth_of_a_pixel():
    """The inverse of OpenCV's lens, over the whole picture; beyond what a lens shows there is nothing."""
    grid = np.stack(np.meshgrid(np.linspace(0.0, 640.0, 9), np.linspace(0.0, 480.0, 7)), axis=-1).reshape(-1, 2)
    rectify = point_rectifier(CAMERA, make_lens("opencv", LENS, "x"), "scene.toml")
    np.testing.assert_allclose(rectify(distorted(grid)), grid, atol=1e-6)
    assert np.isnan(rectify(np.array([[5000.0, 240.0]]))).all()


def test_lens_distortion_is_taken_off_keypoints_and_boxes(folder, hand_scene):
    """Points found in the distorted picture arrive where the pinhole camera sees them; boxes hold what they held."""
    straight = hand_scene.keypoints2d["hand"]
    seen = straight.copy()
    seen[..., :2] = distorted(straight[..., :2].reshape(-1, 2)).reshape(FRAMES, 21, 2)
    box = np.concatenate([seen[..., :2].min(axis=1), seen[..., :2].max(axis=1)], axis=1)
    edit(folder, keypoints2d=seen, box2d=box)
    path = folder / "scene.toml"
    path.write_text(path.read_text().replace("[frames]", f"distortion = {list(LENS)}\n[frames]"))
    scene = load_scene(folder)
    np.testing.assert_allclose(scene.keypoints2d["hand"], straight, atol=1e-6)
    found = scene.boxes["hand"]
    inside = (straight[..., :2] >= found[:, None, :2] - 0.02) & (straight[..., :2] <= found[:, None, 2:] + 0.02)
    assert inside.all()
    np.testing.assert_allclose(found, hand_scene.boxes["hand"], atol=6.0)


def test_the_fingerprint_of_a_run_knows_its_detections(hand_scene):
    """A checkpoint is not continued with other keypoints or boxes."""
    from warpprior.io import fingerprint

    moved = {"hand": hand_scene.keypoints2d["hand"] + 1.0}
    wider = {"hand": hand_scene.boxes["hand"] + 1.0}
    own = fingerprint(hand_scene)
    for scene, part in (
        (replace(hand_scene, keypoints2d=moved), "keypoints of hand"),
        (replace(hand_scene, boxes=wider), "boxes of hand"),
    ):
        other = fingerprint(scene)
        assert {name for name in own if own[name] != other[name]} == {part}


@pytest.mark.parametrize("marker", [(-1.0, -1.0), (0.0, 0.0), (320.0, 240.0), (-1000.0, -1000.0)])
@pytest.mark.parametrize("confidences", [True, False])
def test_frames_without_a_hand_count_as_such_however_they_are_marked(hand_scene, folder, marker, confidences):
    """All points at one place: exactly what NaN gives, and the frames and their number are said."""
    points = hand_scene.keypoints2d["hand"].copy()
    points[..., 2] = 1.0
    points[1:3, :, :2] = np.nan
    edit(folder, keypoints2d=points)
    expected = load_scene(folder).keypoints2d["hand"]
    points[1:3, :, :2] = marker
    edit(folder, keypoints2d=points if confidences else points[..., :2])
    scene = load_scene(folder)
    np.testing.assert_array_equal(scene.keypoints2d["hand"], expected)
    place = f"({marker[0]:g}, {marker[1]:g})"
    found = f"hand/keypoints2d: all points lie at one place, {place}, in frames 1-2 (2 of 4); left out as not found"
    assert any(found in warning for warning in scene.warnings)
    missing = "hand/keypoints2d has no confidences; taken as 1 where there is a point"
    assert confidences != any(missing in warning for warning in scene.warnings)


def test_single_points_that_were_not_found_are_left_out(hand_scene, folder):
    """Exact (-1, -1) and (0, 0) among points that were found, and boxes of zeros."""
    points, box = hand_scene.keypoints2d["hand"].copy(), hand_scene.boxes["hand"].copy()
    points[0, [4, 7], :2], points[2, 20, :2], box[1], box[2] = -1.0, 0.0, 0.0, -1.0
    edit(folder, keypoints2d=points, box2d=box)
    scene = load_scene(folder)
    confidence = scene.keypoints2d["hand"][..., 2]
    assert np.argwhere(confidence == 0.0).tolist() == [[0, 4], [0, 7], [2, 20]]
    assert np.flatnonzero(np.isnan(scene.boxes["hand"]).all(axis=1)).tolist() == [1, 2]
    words = "keypoints.npz: hand/keypoints2d: 3 points at (-1, -1) or (0, 0) in frames 0, 2; left out as not found"
    assert words in scene.warnings
    assert "keypoints.npz: hand/box2d is all zeros or -1 in frames 1-2; taken as no box" in scene.warnings


def test_keypoints_of_a_batch_are_taken(hand_scene, folder):
    """An axis of length one, of the only hand that was looked for."""
    points = hand_scene.keypoints2d["hand"]
    edit(folder, keypoints2d=points[:, None])
    scene = load_scene(folder)
    np.testing.assert_array_equal(scene.keypoints2d["hand"], points)
    assert "hand/keypoints2d has shape (4, 1, 21, 3); taken as (4, 21, 3)" in scene.warnings[0]


def test_a_depth_in_the_place_of_a_confidence_is_told(folder):
    """MediaPipe's third number may be below zero; -1 marks what was not found."""
    with np.load(folder / "keypoints.npz") as stored:
        points = stored["hand/keypoints2d"].copy()
    points[0, 3:5, 2] = -1.0
    edit(folder, keypoints2d=points)
    assert not any("below 0" in note for note in load_scene(folder).warnings)
    points[0, 3:5, 2] = -0.125
    edit(folder, keypoints2d=points)
    assert any("2 confidences below 0, down to -0.125; those points" in note for note in load_scene(folder).warnings)
