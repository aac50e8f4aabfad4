"""The catalogue of bad scene folders: each is refused in one sentence that names the place; nothing is touched."""

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.small_scene import FRAMES, HEIGHT, WIDTH, edit_poses, edit_text, label_image, pose_arrays, write_image
from tests.small_scene import write_scene as write_small_scene
from warpprior.io import load_scene
from warpprior.support.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """The small scene on disk."""
    return write_small_scene(tmp_path / "scene")


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below the folder's parent, with its content."""
    return {str(path): path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}


def refused(folder: Path, **options) -> str:
    """The message load_scene refuses the folder with; it has three parts, one line, and leaves every file alone."""
    before = snapshot(folder)
    with pytest.raises(InputError) as caught:
        load_scene(folder, **options)
    message = str(caught.value)
    assert snapshot(folder) == before
    assert caught.value.exit_code == 2 and "\n" not in message and len(message) < 600
    assert caught.value.where and caught.value.found and caught.value.accepted
    return message


# What is replaced in scene.toml, and words the message must hold.
SETTINGS = {
    "unknown key": ("fps = 10.0", "fps = 10.0\nlabel = 1", ["[frames]", "'label'", "did you mean 'labels'"]),
    "unknown table": ("[poses]", "[extra]\nx = 1\n[poses]", ["'extra'", "accepted", "camera"]),
    "misspelt key": ("fx = 60.0", "fxx = 60.0", ["[camera]", "fx", "is missing", "did you mean 'fxx'"]),
    "syntax": ("fx = 60.0", "fx = = 60", ["scene.toml", "is not TOML", "line 4"]),
    "fx zero": ("fx = 60.0", "fx = 0.0", ["[camera], fx", "is 0.0", "greater than zero"]),
    "fx negative": ("fx = 60.0", "fx = -60", ["[camera], fx", "is -60"]),
    "fy not a number": ("fy = 60.0", "fy = nan", ["[camera], fy", "is nan", "finite"]),
    "fx infinite": ("fx = 60.0", "fx = inf", ["[camera], fx", "is inf", "finite"]),
    "fx of many digits": ("fx = 60.0", f"fx = {'9' * 400}", ["[camera], fx", "finite"]),
    "fx beyond printing": ("fx = 60.0", f"fx = 0x{'f' * 9000}", ["[camera], fx", "too many digits"]),
    "fx a text": ("fx = 60.0", 'fx = "60"', ["[camera], fx", "is '60'", "number"]),
    "fx a truth value": ("fx = 60.0", "fx = true", ["[camera], fx", "is True", "number"]),
    "cx of another resolution": ("cx = 32.0", "cx = 320.0", ["[camera], cx", "320", "64 x 48", "another resolution"]),
    "width a fraction": ("width = 64", "width = 64.5", ["[camera], width", "64.5", "whole number"]),
    "image too large": ("width = 64\nheight = 48", "width = 90000\nheight = 90000", ["90000", "64 megapixels"]),
    "distortion of seven": ("cy = 24.0", "cy = 24.0\ndistortion = [0,0,0,0,0,0,0]", ["4, 5 or 8 finite", "k1"]),
    "fisheye of five": ("cy = 24.0", 'cy = 24.0\nlens = "fisheye"\ndistortion = [0,0,0,0,0]', ["4 or 12 finite", "k1"]),
    "fisheye of nothing": ("cy = 24.0", 'cy = 24.0\nlens = "fisheye"', ["distortion", "is missing", "FISHEYE624"]),
    "lens of another kind": ("cy = 24.0", 'cy = 24.0\nlens = "fish"', ["[camera], lens", "accepted: opencv, fisheye"]),
    "distortion not finite": ("cy = 24.0", "cy = 24.0\ndistortion = [0,0,nan,0,0]", ["distortion", "finite"]),
    "distortion huge": ("cy = 24.0", f"cy = 24.0\ndistortion = [{'9' * 400},0,0,0,0]", ["distortion", "finite"]),
    "distortion folding": (
        "cy = 24.0",
        "cy = 24.0\ndistortion = [-2.0,0,0,0,0]",
        ["distortion", "folds", "k1, k2, p1"],
    ),
    "other lens model": ("cy = 24.0", 'cy = 24.0\nmodel = "fisheye"', ["'model'", "accepted", "distortion"]),
    "no frames": ("count = 3", "count = 0", ["[frames], count", "is 0", "from 1"]),
    "endless frames": ("count = 3", "count = 99999999999", ["[frames], count", "to 1000000"]),
    "fps of a glacier": ("fps = 10.0", "fps = 1e-9", ["[frames], fps", "is 1e-09", "from 0.01 to 10000"]),
    "fps beyond counting": ("fps = 10.0", "fps = 1e-300", ["[frames], fps", "is 1e-300", "from 0.01 to 10000"]),
    "fx of a fly": ("fx = 60.0", "fx = 1e-300", ["[camera], fx", "is 1e-300", "from 0.64 to 64000"]),
    "fy of a telescope": ("fy = 60.0", "fy = 1e200", ["[camera], fy", "is 1e+200", "from 0.48 to 48000"]),
    "endless name": ('name = "box"', f'name = "{"x" * 5000}"', ["[[body]] 2, name", "5000 characters", "at most 200"]),
    "fps zero": ("fps = 10.0", "fps = 0", ["[frames], fps", "is 0", "greater than zero"]),
    "template without number": ("labels/{:06d}.png", "labels/0.png", ["[frames], labels", "{:06d}"]),
    "template with two numbers": ("labels/{:06d}.png", "labels/{}/{}.png", ["[frames], labels", "{:06d}"]),
    "template with attributes": ("labels/{:06d}.png", "labels/{0.__class__}.png", ["[frames], labels", "{:06d}"]),
    "template of great width": ("labels/{:06d}.png", "labels/{:0999999999d}.png", ["[frames], labels", "{:06d}"]),
    "template out of the folder": ("labels/{:06d}.png", "../{:06d}.png", ["[frames], labels", "out of the scene"]),
    "no body": ("[[body]]", "[[bodies]]", ["'bodies'", "did you mean 'body'"]),
    "unreadable kind": ('kind = "mesh"', 'kind = "fbx"', ["kind", "'fbx'", "accepted: mesh, urdf"]),
    "misspelt kind": ('kind = "mesh"', 'kind = "mseh"', ["[[body]] 2, kind", "did you mean 'mesh'"]),
    "kind a list": ('kind = "mesh"', 'kind = ["mesh"]', ["kind", "accepted: mesh, urdf"]),
    "misspelt symmetry": ("label = 2", 'label = 2\nsymmetry = "shpere"', ["symmetry", "did you mean 'sphere'"]),
    "same name": ('name = "box"', 'name = "arm"', ["name", "'arm' is used twice"]),
    "same label": ("label = 2", "label = 1", ["label", "1 is used twice"]),
    "label of background": ("label = 2", "label = 0", ["[[body]] 2, label", "is 0", "from 1 to 254"]),
    "label of don't-care": ("label = 2", "label = 255", ["[[body]] 2, label", "is 255", "from 1 to 254"]),
    "name with a slash": ('name = "box"', 'name = "a/b"', ["[[body]] 2, name", "'a/b'", "key in the pose files"]),
    "name with a line break": ('name = "box"', 'name = "a\\nb"', ["[[body]] 2, name", "control"]),
    "empty name": ('name = "box"', 'name = " "', ["[[body]] 2, name", "needs a text"]),
    "known a text": ("known = true", 'known = "yes"', ["[[body]] 1, known", "true or false"]),
    "absolute path": ('path = "box.obj"', 'path = "/etc/passwd"', ["path", "out of the scene folder"]),
    "path out of the folder": ('path = "box.obj"', 'path = "../box.obj"', ["path", "out of the scene folder"]),
    "path with a zero byte": ('path = "box.obj"', 'path = "box\\u0000.obj"', ["path", "control"]),
    "missing model": ('path = "box.obj"', 'path = "bxo.obj"', ["[[body]] 2, path", "'bxo.obj' does not exist"]),
    "model a folder": ('path = "box.obj"', 'path = "arm"', ["[[body]] 2, path", "is a folder"]),
    "missing pose file": ('initial = "initial.npz"', 'initial = "i.npz"', ["[poses], initial", "does not exist"]),
    "no initial poses": ('initial = "initial.npz"\n', "", ["[poses], initial", "'arm'", "missing"]),
    "mesh in millimetres": ("label = 2", "label = 2\nmesh_scale = 1000", ["box.obj", "size", "mesh_scale"]),
    "scale of a robot": ("known = true", "known = true\nmesh_scale = 2", ["[[body]] 1", "'mesh_scale'"]),
    "camera a number": ("[camera]", "camera = 1\n[[camera2]]", ["camera", "is 1", "needs a table, [camera]"]),
    "no poses": ("[poses]", "[keypoints]", ["scene.toml: [keypoints], file", "is missing"]),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_bad_settings(folder, name):
    """scene.toml is checked key by key."""
    old, new, words = SETTINGS[name]
    edit_text(folder, old, new)
    message = refused(folder)
    assert "scene.toml" in message or "box.obj" in message
    for word in words:
        assert word in message, message


def changed(key: str, frames, value) -> np.ndarray:
    """The field of the pose file with some frames set to a value."""
    array = pose_arrays()[key].astype(float)
    array[frames] = value
    return array


# Fields changed in the pose file, and words the message must hold.
POSES = {
    "no finite pose": ({"box__position": np.full((3, 3), np.nan)}, ["box", "no frame has a finite pose"]),
    "nothing but zeros": ({"box__rotation": np.zeros((3, 4))}, ["box", "no frame has a finite pose"]),
    "quaternion far from unit": (
        {"box__rotation": changed("box/rotation", [2], 3)},
        ["box/rotation, frame 2", "norm 6", "x, y, z, w"],
    ),
    "overflowing quaternion": ({"box__rotation": changed("box/rotation", [2], 1e300)}, ["rotation, frame 2", "norm"]),
    "rotation vectors": ({"box__rotation": np.zeros((3, 3))}, ["box/rotation", "(3, 3)", "rotation vectors"]),
    "rotation vectors of one hand": ({"box__rotation": np.zeros((3, 1, 3))}, ["(3, 1, 3)", "rotation vectors"]),
    "transforms": ({"box__rotation": np.tile(np.eye(4), (3, 1, 1))}, ["(3, 4, 4)", "like transforms", "[:, :3, 3]"]),
    "rotations of six numbers": ({"box__rotation": np.ones((3, 6))}, ["(3, 6)", "first two columns", "(frame, 3, 3)"]),
    "stretched matrices": (
        {"box__rotation": np.tile(2.0 * np.eye(3), (3, 1, 1))},
        ["box/rotation", "frames 0-2", "not a rotation matrix"],
    ),
    "twin_zeros matrices": (
        {"box__rotation": np.tile(np.diag([1.0, 1, -1]), (3, 1, 1))},
        ["box/rotation", "left-handed", "twin_zeros"],
    ),
    "too few frames": ({"box__position": np.zeros((2, 3))}, ["box/position", "has 2 frames", "the sequence has 3"]),
    "streams that differ": ({"box__rotation": np.zeros((4, 4))}, ["box/rotation", "has 4 frames", "has 3"]),
    "wrong shape": ({"box__position": np.zeros((3, 2))}, ["box/position", "(3, 2)", "(frame, 3): x, y, z [m]"]),
    "a single number": ({"box__position": np.float64(1)}, ["box/position", "shape ()", "(frame, 3)"]),
    "texts": ({"box__position": np.full((3, 3), "1")}, ["box/position", "<U1", "plain numbers"]),
    "complex numbers": ({"box__position": np.ones((3, 3), complex)}, ["box/position", "complex128"]),
    "missing body": ({"box__position": None}, ["box/position", "is missing", "the file has"]),
    "missing rotation": ({"box__rotation": None}, ["box/rotation", "is missing"]),
    "missing joints": ({"arm__joints": None, "arm__joint_names": None}, ["arm/joints", "is missing"]),
    "too few joints": ({"arm__joints": np.zeros((3, 1)), "arm__joint_names": None}, ["arm/joints", "bend, reach"]),
    "a joint without column": ({"arm__joint_names": ["bend", "raech"]}, ["no reach", "did you mean 'raech'"]),
    "a joint named twice": ({"arm__joint_names": ["bend", "bend"]}, ["joint_names", "bend twice"]),
    "more names than columns": ({"arm__joint_names": ["bend", "reach", "x"]}, ["joint_names", "2 in all"]),
    "degrees": ({"arm__joints": np.full((3, 2), 45.0)}, ["arm/joints, frame 0", "bend is 45 rad", "degrees"]),
    "behind the camera": (
        {"box__position": pose_arrays()["box/position"] * [1, 1, -1]},
        ["box/position", "behind the camera in every frame", "OpenGL", "diag(1, -1, -1)", "IoU with the label"],
    ),
    "millimetres": ({"box__position": 1e3 * pose_arrays()["box/position"]}, ["box/position", "500 m", "millimetres"]),
    "beyond printing": ({"box__position": np.full((3, 3), 1e300)}, ["box/position", "1e+300 m", "needs metres"]),
    "scale of a mountain": ({"box__scale": 1e9}, ["box/scale", "1e+08 m large", "1 mm to 5 m"]),
    "scale of an atom": ({"box__scale": 1e-9}, ["box/scale", "1e-10 m large", "1 mm to 5 m"]),
    "scale of zero": ({"box__scale": 0.0}, ["box/scale", "is 0.0", "above zero"]),
    "scale not a number": ({"box__scale": np.nan}, ["box/scale", "is nan"]),
    "covariance not square": (
        {"box__covariance": np.zeros((3, 6, 5))},
        ["box/covariance", "(3, 6, 5)", "(frame, d, d)"],
    ),
    "covariance without joints": ({"arm__covariance": np.zeros((3, 6, 6))}, ["arm/covariance", "(3, 6, 6)", "here 8"]),
    "covariance of nothing": ({"box__covariance": np.zeros((3, 0, 0))}, ["box/covariance", "(3, 0, 0)", "here 6"]),
    "infinite covariance": (
        {"box__covariance": np.eye(6) + np.full((3, 6, 6), np.inf)},
        ["box/covariance, frames 0-2", "infinite", "NaN where nothing is known"],
    ),
    "covariance not symmetric": (
        {"box__covariance": np.stack([np.eye(6), np.eye(6) + 1e-3 * np.eye(6, k=1), np.eye(6)])},
        ["box/covariance, frame 1", "is not symmetric"],
    ),
    "variance below zero": ({"box__covariance": -np.tile(np.eye(6), (3, 1, 1))}, ["covariance", "below zero"]),
}


@pytest.mark.parametrize("name", POSES)
def test_bad_poses(folder, name):
    """Pose files are checked value by value."""
    changes, words = POSES[name]
    edit_poses(folder, **changes)
    message = refused(folder)
    assert "initial.npz" in message
    for word in words:
        assert word in message, message


def damage_pose_file(kind: str, path: Path) -> None:
    """Replace a pose file by something else."""
    if kind == "objects":
        np.savez(path, **{"box/position": np.array([{}, 1, 2], dtype=object)})
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:-300])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "pickle":
        path.write_bytes(b"cos\nsystem\n(S'touch /nowhere'\ntR.")
    elif kind == "not arrays":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("box/position", "1 2 3")
    elif kind == "bomb":
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("box/position.npy", "w") as entry,
        ):
            header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999, 3), }\n"
            entry.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    elif kind == "a folder":
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("kind", ["objects", "truncated", "empty", "pickle", "not arrays", "bomb", "a folder"])
def test_files_that_are_no_pose_files(folder, kind):
    """Pickled objects are not executed, damaged and lying archives not believed."""
    damage_pose_file(kind, folder / "initial.npz")
    message = refused(folder)
    assert "initial.npz" in message


def grey(value: int) -> np.ndarray:
    """A label image of one value."""
    return np.full((HEIGHT, WIDTH), value, dtype=np.uint8)


def write_all_labels(folder: Path, image: np.ndarray) -> None:
    """The same label image for every frame."""
    for frame in range(FRAMES):
        write_image(folder / f"labels/{frame:06d}.png", image)


# Images changed in the folder, and words the message must hold.
PICTURES = {
    "smaller labels": (
        lambda f: write_image(f / "labels/000001.png", label_image(1)[:24, :32]),
        ["labels/000001.png (frame 1)", "32 x 24", "64 x 48", "never resized"],
    ),
    "smaller pictures": (
        lambda f: write_image(f / "rgb/000002.png", np.zeros((24, 32, 3), np.uint8)),
        ["rgb/000002.png (frame 2)", "32 x 24", "64 x 48"],
    ),
    "one pixel": (lambda f: write_image(f / "labels/000000.png", np.ones((1, 1), np.uint8)), ["frame 0", "1 x 1"]),
    "coloured labels": (
        lambda f: write_image(f / "labels/000001.png", np.random.default_rng(0).integers(0, 9, (HEIGHT, WIDTH, 3))),
        ["frame 1", "colour picture", "one byte per pixel"],
    ),
    "large 16-bit labels": (
        lambda f: write_image(f / "labels/000001.png", np.full((HEIGHT, WIDTH), 1000, np.uint16)),
        ["frame 1", "16-bit", "1000"],
    ),
    "empty file": (lambda f: (f / "labels/000002.png").write_bytes(b""), ["labels/000002.png (frame 2)", "is empty"]),
    "empty picture": (lambda f: (f / "rgb/000002.png").write_bytes(b""), ["rgb/000002.png (frame 2)", "is empty"]),
    "not a picture": (
        lambda f: (f / "labels/000001.png").write_bytes(b"GIF89a" * 9),
        ["frame 1", "is not PNG or JPEG but a GIF picture (it begins with b'GIF89a"],
    ),
    "a pointer in place of a picture": (
        lambda f: (f / "rgb/000001.png").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a"),
        ["rgb/000001.png (frame 1)", "is not PNG or JPEG but a Git LFS pointer", "git lfs pull"],
    ),
    "a folder for a picture": (
        lambda f: ((f / "labels/000001.png").unlink(), (f / "labels/000001.png").mkdir()),
        ["labels/000001.png (frame 1)", "not a file but a folder"],
    ),
    "truncated picture": (
        lambda f: (f / "rgb/000001.png").write_bytes((f / "rgb/000001.png").read_bytes()[:-20]),
        ["rgb/000001.png (frame 1)", "truncated or damaged", "missing frame is skipped"],
    ),
    "a pipe for a label image": (
        lambda f: ((f / "labels/000001.png").unlink(), os.mkfifo(f / "labels/000001.png")),
        ["labels/000001.png (frame 1)", "not a regular file"],
    ),
    "a pipe for a picture": (
        lambda f: ((f / "rgb/000001.png").unlink(), os.mkfifo(f / "rgb/000001.png")),
        ["rgb/000001.png (frame 1)", "not a regular file"],
    ),
    "no label image at all": (lambda f: shutil.rmtree(f / "labels"), ["labels/000000.png", "no label image", "from 0"]),
    "no picture at all": (lambda f: shutil.rmtree(f / "rgb"), ["rgb/000000.png", "no picture was found"]),
    "body nowhere": (lambda f: write_all_labels(f, grey(1)), ["label 2 of body 'box'", "values there are 1"]),
    "black and white": (
        lambda f: write_all_labels(f, np.uint8(255) * (label_image(0) > 0)),
        ["label 2 of body 'box'", "values there are 0, 255", "255 means don't-care"],
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_bad_pictures(folder, name):
    """Pictures are checked for size, kind and completeness before they are decoded."""
    change, words = PICTURES[name]
    change(folder)
    message = refused(folder)
    for word in words:
        assert word in message, message


@pytest.mark.parametrize(
    "link", ["scene.toml", "box.obj", "arm/arm.urdf", "labels/000001.png", "rgb/000000.png", "initial.npz", "truth.npz"]
)
def test_links_out_of_the_folder_are_not_followed(folder, link):
    """A scene folder from elsewhere cannot make us read other files."""
    outside = folder.parent / "outside"
    outside.mkdir()
    shutil.move(folder / link, outside / "file")
    (folder / link).symlink_to(outside / "file")
    assert "out of the scene folder" in refused(folder)


def test_absolute_paths_are_refused_even_inside(folder):
    """A scene folder must work wherever it is moved to."""
    edit_text(folder, 'path = "box.obj"', f"path = '{folder / 'box.obj'}'")
    assert "out of the scene folder" in refused(folder)


def test_links_within_the_folder_are_followed(folder):
    """A link to a neighbour is fine."""
    shutil.move(folder / "labels", folder / "masks")
    (folder / "labels").symlink_to(folder / "masks")
    assert load_scene(folder).warnings == ()


@pytest.mark.parametrize("place", ["nowhere", "scene/scene.toml", "scene/labels"])
def test_what_is_no_scene_folder(folder, place):
    """A path that does not exist, a file, a folder without scene.toml."""
    message = refused_path(folder.parent / place)
    assert place in message and "scene.toml" in message


def refused_path(path: Path) -> str:
    """The message a path is refused with."""
    with pytest.raises(InputError) as caught:
        load_scene(path)
    return str(caught.value)


@pytest.mark.parametrize("count", [0, -1, 4])
def test_frames_that_are_not_there(folder, count):
    """Asking for none or for more than there are."""
    assert "the scene has 3 frames" in refused(folder, num_frames=count)


def test_settings_that_are_no_text(folder):
    """Other encodings and endless files are refused."""
    (folder / "scene.toml").write_bytes("# \u00e9".encode("latin-1"))
    assert "is not UTF-8 at byte 2" in refused(folder)
    (folder / "scene.toml").write_bytes(b"#" * (2 << 20))
    assert "may have up to 1 MiB" in refused(folder)
    (folder / "scene.toml").write_bytes(b"a = " + b"[" * 50_000)
    assert "is not TOML" in refused(folder)


def test_damaged_truth_is_refused_too(folder):
    """Truth is only for metrics, but a wrong number would be a wrong metric."""
    edit_poses(folder, "truth.npz", box__rotation=changed("box/rotation", [1], 3))
    message = refused(folder)
    assert "truth.npz" in message and "has norm 6" in message
    edit_poses(folder, "truth.npz", box__position=changed("box/position", [1], 1e30))
    message = refused(folder)
    assert "truth.npz" in message and "box/position, frame 1: is 1.732e+30 m from the camera" in message


@pytest.mark.parametrize("value", [1e4, 1e30, 1e300])
@pytest.mark.parametrize("body", ["arm", "box"])
def test_a_pose_out_of_this_world_is_interpolated(folder, body, value):
    """A single wild position is treated as a missing one."""
    edit_poses(folder, **{f"{body}__position": changed(f"{body}/position", [1], value)})
    scene = load_scene(folder)
    motion = scene.body(body).initial
    assert motion.imputed.tolist() == [False, True, False]
    np.testing.assert_allclose(motion.position[1], motion.position[[0, 2]].mean(axis=0))
    assert f"initial.npz: {body} is more than 100 m from the camera in frame 1; it was interpolated" in scene.warnings


def test_names_from_outside_keep_a_message_on_one_line(folder):
    """Line breaks, escape codes and undecodable bytes in names are written as escapes."""
    edit_poses(folder, box__position=None, **{"bo\nx\x1b[2J__position": np.zeros((3, 3))})
    message = refused(folder)
    assert "bo\\nx\\x1b[2J/position" in message and message.isprintable()
    assert str(InputError("a\udcffb", "line\u2028break", "x")) == "a\\udcffb: line\\u2028break; x"


def test_a_locale_with_commas_changes_nothing(folder):
    """Numbers are read the same in every country."""
    import locale

    before = locale.setlocale(locale.LC_NUMERIC)
    try:
        locale.setlocale(locale.LC_NUMERIC, "de_DE.UTF-8")
    except locale.Error:
        pytest.skip("this machine has no locale with decimal commas")
    try:
        assert load_scene(folder).camera.fx == 60.0
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)


FUZZ = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def mutate(data: bytes, edits: list[tuple[int, int]], keep: int) -> bytes:
    """Bytes with some replaced and the end cut off."""
    changed_data = bytearray(data)
    for place, value in edits:
        changed_data[place % len(changed_data)] = value
    return bytes(changed_data[: max(len(data) - keep, 0)])


edit_lists = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=4)
cuts = st.one_of(st.just(0), st.integers(0, 4000))


@pytest.mark.parametrize("name", ["scene.toml", "initial.npz", "labels/000001.png", "rgb/000000.png", "box.obj"])
def test_damaged_bytes_never_crash(tmp_path, name):
    """Any file with random bytes changed or cut off is read or refused, nothing else."""
    folder = write_small_scene(tmp_path / "scene")
    original = (folder / name).read_bytes()
    outcomes = set()

    @FUZZ
    @given(edits=edit_lists, keep=cuts)
    def attempt(edits, keep):
        (folder / name).write_bytes(mutate(original, edits, keep))
        try:
            scene = load_scene(folder)
            scene.read_rgb(0)
            assert all(np.isfinite(body.initial.position).all() for body in scene.bodies)
            outcomes.add("read")
        except InputError as error:
            assert "\n" not in str(error)
            outcomes.add("refused")

    attempt()
    assert outcomes == {"read", "refused"}


@FUZZ
@given(text=st.text(max_size=300), place=st.integers(0, 700))
def test_any_text_in_the_settings_is_read_or_refused(tmp_path_factory, text, place):
    """Text put anywhere into scene.toml never raises anything but InputError."""
    folder = tmp_path_factory.mktemp("scene") / "scene"
    write_small_scene(folder)
    original = (folder / "scene.toml").read_text(encoding="utf-8")
    changed_text = original[:place] + text + original[place:]
    (folder / "scene.toml").write_bytes(changed_text.encode("utf-8", "surrogatepass"))
    try:
        load_scene(folder)
    except InputError as error:
        assert os.linesep not in str(error)


def test_opencv_says_nothing_on_the_way(folder, capfd):
    """Damage is found before OpenCV sees it, so nothing is printed."""
    path = folder / "labels/000001.png"
    path.write_bytes(path.read_bytes()[:60])
    refused(folder)
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == ""
