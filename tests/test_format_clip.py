"""Folders of loose outputs: each file in the form that its program writes, recognised, read, and written back."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.format_files.clip import (
    masks_of,
    matrix_of,
    packed,
    palette_png,
    runs_of,
    write_clip,
    write_json_poses,
    write_text_poses,
    write_tum,
    write_v2d_poses,
)
from tests.format_files.samples import FRAMES, hand_item, object_of, simulated, transforms, write_obj, write_png
from warpprior.bodies import posed_keypoints, posed_vertices
from warpprior.cli import main
from warpprior.formats import guess_format, read, write
from warpprior.formats.parts.keypoints import ORDERS, guess_order
from warpprior.formats.parts.rle import decode_rle
from warpprior.support.errors import InputError

NEAR = 1e-6


@pytest.fixture
def clip(tmp_path):
    """A whole clip, to be changed."""
    write_clip(tmp_path / "clip")
    return tmp_path / "clip"


def off(recording, name="mug"):
    """How far the object's surface is from the truth, at most [m]."""
    item, truth = recording.scene.body(name), object_of(simulated())
    return np.abs(posed_vertices(item.body, item.initial) - posed_vertices(truth.body, truth.initial)).max()


def test_a_run_of_foundation_pose_is_read_as_it_is(clip):
    """Poses, mesh, mask, camera: what each file is, is said; the camera is half a pixel on."""
    assert guess_format(clip)[0].name == "clip"
    recording = read(clip)
    assert off(recording) < NEAR and recording.scene.frame_count == FRAMES
    camera, truth = recording.scene.camera, simulated().camera
    assert np.allclose([camera.fx, camera.fy, camera.cx, camera.cy], [truth.fx, truth.fy, truth.cx, truth.cy])
    assert np.array_equal(recording.scene.labels == 1, simulated().labels == object_of(simulated()).label)
    assert np.array_equal(recording.scene.read_rgb(2), simulated().read_rgb(2))
    assert "ob_in_cam as poses of an object" in recording.notes[1] and "cam_K.txt as intrinsics" in recording.notes[1]
    assert any("0.5 px were added" in note for note in recording.notes)


@pytest.mark.parametrize("form", ["npy", "json", "tum", "v2d", "kitti"])
def test_every_form_of_poses(clip, form):
    """Arrays, JSON by frame, a trajectory with its frame rate, JSON by file with w first, rows of 12."""
    matrices = transforms(object_of(simulated()).initial)
    shutil.rmtree(clip / "ob_in_cam")
    if form == "npy":
        np.save(clip / "object_poses.npy", matrices)
    elif form == "json":
        write_json_poses(clip / "object_poses.json", matrices)
    elif form == "tum":
        write_tum(clip / "object_pose.txt", matrices, rate=25.0)
    elif form == "kitti":
        np.savetxt(clip / "poses.txt", matrices[:, :3].reshape(-1, 12))
    else:
        write_v2d_poses(clip / "poses", matrices)
    options = {"object_poses": (clip / "poses.txt",)} if form == "kitti" else {}
    recording = read(clip, "clip", **options)
    assert off(recording) < NEAR
    assert recording.scene.fps == pytest.approx(25.0 if form == "tum" else 30.0)
    moved = replace(recording.scene.bodies[0].initial, position=recording.scene.bodies[0].initial.position + 0.01)
    write(recording.with_poses({"mug": moved}), clip.parent / "out")
    for path in (clip.parent / "out").rglob("*"):
        if path.is_file():
            shutil.copyfile(path, clip / path.relative_to(clip.parent / "out"))
    again = read(clip, "clip", **options).scene.body("mug").initial
    assert np.abs(again.position - moved.position).max() < NEAR and np.abs(again.rotation - moved.rotation).max() < NEAR


def test_missing_frames_and_numbers(tmp_path):
    """Numbered from 7, one pose gone: it is interpolated, flagged, and not written back."""
    clip = tmp_path / "clip"
    write_clip(clip, first=7)
    (clip / "ob_in_cam/000009.txt").unlink()
    recording = read(clip, "clip")
    item = recording.scene.body("mug").initial
    assert list(np.flatnonzero(item.imputed)) == [2] and recording.scene.frame_count == FRAMES
    truth = object_of(simulated()).initial.position
    assert np.abs(item.position - truth)[[0, 1, 3, 4]].max() < NEAR
    assert any("first frame is number 7" in note for note in recording.notes)
    write(recording, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out/ob_in_cam").iterdir()}
    assert names == {path.name for path in (clip / "ob_in_cam").iterdir()}
    for name in names:
        assert (
            np.abs(np.loadtxt(tmp_path / "out/ob_in_cam" / name) - np.loadtxt(clip / "ob_in_cam" / name)).max() < NEAR
        )


def test_zeros_and_millimetres(clip):
    """A pose of zeros is none; translations of hundreds are millimetres, and are written back as such."""
    matrices = transforms(object_of(simulated()).initial)
    matrices[:, :3, 3] *= 1000.0
    matrices[3] = 0.0
    shutil.rmtree(clip / "ob_in_cam")
    np.save(clip / "object_poses.npy", matrices)
    recording = read(clip)
    assert list(np.flatnonzero(recording.scene.body("mug").initial.imputed)) == [3]
    assert any("taken for millimetres" in note for note in recording.notes)
    write(recording, clip.parent / "out")
    again = np.load(clip.parent / "out/object_poses.npy")
    assert np.abs(again - matrices).max() < 1e-3 and not again[3].any()


def test_opengl_and_inverse_poses(clip):
    """Are refused with what cures it, and read when it is said."""
    matrices = transforms(object_of(simulated()).initial)
    for turned, option in (
        (np.diag([1.0, -1.0, -1.0, 1.0]) @ matrices, "opengl"),
        (np.linalg.inv(matrices), "inverse_poses"),
    ):
        shutil.rmtree(clip / "ob_in_cam")
        write_text_poses(clip / "ob_in_cam", turned)
        if option == "opengl":
            with pytest.raises(InputError, match="--opengl"):
                read(clip, "clip")
        recording = read(clip, "clip", **{option: True})
        assert off(recording) < NEAR
        write(recording, clip.parent / option)
        again = np.loadtxt(clip.parent / option / "ob_in_cam/000001.txt")
        assert np.abs(again - turned[1]).max() < NEAR
        flag = f"--{option.replace('_', '-')}"
        words = ["export", f"clip:{clip}", flag, "--format", "clip", "--output-dir", str(clip.parent / f"{option}-2")]
        assert main([*words, "--quiet"]) == 0
        again = np.loadtxt(clip.parent / f"{option}-2" / "ob_in_cam/000001.txt")
        assert np.abs(again - turned[1]).max() < NEAR


@pytest.mark.parametrize(("scale", "unit"), [(1.0, None), (100.0, "centimetres"), (1000.0, "millimetres")])
def test_meshes_in_any_unit(tmp_path, scale, unit):
    """Their size tells, and it is said."""
    write_clip(tmp_path / "clip", scale=scale)
    recording = read(tmp_path / "clip", "clip")
    assert off(recording) < 2e-6
    assert any("taken for " in note and (unit or "-") in note for note in recording.notes) == (unit is not None)


INTRINSICS = {
    "intrinsics.json": lambda c: json.dumps(
        {"fx": c.fx, "fy": c.fy, "cx": c.cx - 0.5, "cy": c.cy - 0.5, "width": c.width, "height": c.height}
    ),
    "camera_info.yaml": lambda c: (
        f"image_width: {c.width}\nimage_height: {c.height}\ndistortion_model: plumb_bob\n"
        f"distortion_coefficients: {{rows: 1, cols: 5, data: [0, 0, 0, 0, 0]}}\n"
        f"camera_matrix:\n  rows: 3\n  cols: 3\n  data: {matrix_of(c).ravel().tolist()}\n"
    ),
    "camera.json": lambda c: json.dumps(
        {"width": c.width, "height": c.height, "intrinsic_matrix": matrix_of(c).T.ravel().tolist()}
    ),
    "cameras.txt": lambda c: f"# Camera list\n1 PINHOLE {c.width} {c.height} {c.fx} {c.fy} {c.cx} {c.cy}\n",
    "K.txt": lambda c: f"{c.fx} {c.fy} {c.cx - 0.5} {c.cy - 0.5}\n",
    "calib.json": lambda c: json.dumps({"color": {"fx": c.fx, "fy": c.fy, "ppx": c.cx - 0.5, "ppy": c.cy - 0.5}}),
    "cam_K.json": lambda c: json.dumps(matrix_of(c).tolist()),
}


@pytest.mark.parametrize("name", INTRINSICS)
def test_every_form_of_intrinsics(clip, name):
    """JSON, ROS's YAML, Open3D's JSON with columns first, COLMAP without half a pixel more, text."""
    if name.endswith("yaml"):
        pytest.importorskip("yaml", reason="PyYAML is not installed")
    (clip / "cam_K.txt").unlink()
    (clip / name).write_text(INTRINSICS[name](simulated().camera))
    recording = read(clip, "clip")
    found, truth = recording.scene.camera, simulated().camera
    assert np.allclose([found.fx, found.fy, found.cx, found.cy], [truth.fx, truth.fy, truth.cx, truth.cy])
    assert any("0.5 px were added" in note for note in recording.notes) == (name != "cameras.txt")


def test_lens_distortion_is_taken_out_and_others_are_refused(clip):
    """Four or five numbers of OpenCV, as scene folders have it."""
    tree = {"K": matrix_of(simulated().camera).tolist(), "dist": [0.4, 0.0, 0.0, 0.0]}
    (clip / "cam_K.txt").unlink()
    (clip / "intrinsics.json").write_text(json.dumps(tree))
    recording = read(clip)
    assert any("rectified" in note for note in recording.notes)
    assert not np.array_equal(recording.scene.read_rgb(0), simulated().read_rgb(0))
    assert not np.array_equal(recording.scene.labels == 1, simulated().labels == object_of(simulated()).label)
    (clip / "intrinsics.json").write_text(json.dumps({**tree, "dist": [0.1] * 6}))
    with pytest.raises(InputError, match="has 6 numbers; needs 4, 5 or 8"):
        read(clip)


def two_masks(scene):
    """The object's mask and the hand's."""
    masks = masks_of(scene)
    return masks["mug"], masks["hand_right"]


MASKS = {
    "palette": lambda folder, mug, hand: write_palettes(folder / "masks", mug, hand),
    "ids": lambda folder, mug, hand: [
        write_png(folder / f"masks/{frame:06d}.png", (1 * mug[frame] + 2 * hand[frame]).astype(np.uint8))
        for frame in range(FRAMES)
    ],
    "by object, 0 and 1": lambda folder, mug, hand: [
        write_png(folder / f"masks/{name}/{frame:05d}.png", mask[frame].astype(np.uint8))
        for name, mask in (("001", mug), ("002", hand))
        for frame in range(FRAMES)
    ],
    "npz": lambda folder, mug, hand: np.savez(folder / "masks.npz", **{"1": mug, "2": hand}),
    "npy of ids": lambda folder, mug, hand: np.save(folder / "masks.npy", (1 * mug + 2 * hand).astype(np.uint8)),
    "rle": lambda folder, mug, hand: write_rles(folder / "masks.json", mug, hand, runs_of),
    "compressed rle": lambda folder, mug, hand: write_rles(
        folder / "masks_rle.json", mug, hand, lambda mask: packed(runs_of(mask))
    ),
    "list of annotations": lambda folder, mug, hand: (folder / "sam2_masks.json").write_text(
        json.dumps(
            [
                [
                    {"object_id": number, "segmentation": {"size": [120, 160], "counts": runs_of(mask[frame])}}
                    for number, mask in ((1, mug), (2, hand))
                ]
                for frame in range(FRAMES)
            ]
        )
    ),
}


def write_palettes(folder, mug, hand):
    """A palette picture for each frame."""
    folder.mkdir()
    for frame in range(FRAMES):
        (folder / f"{frame:05d}.png").write_bytes(palette_png(1 * mug[frame] + 2 * hand[frame]))


def write_rles(path, mug, hand, counts):
    """By frame and object."""
    tree = {
        f"{frame:05d}": {
            str(number): {"size": [120, 160], "counts": counts(mask[frame])} for number, mask in ((1, mug), (2, hand))
        }
        for frame in range(FRAMES)
    }
    path.write_text(json.dumps(tree))


@pytest.mark.parametrize("form", MASKS)
def test_every_form_of_masks(clip, form):
    """Of two things: whose they are is asked for in one line, and read when it is said."""
    scene = simulated()
    mug, hand = two_masks(scene)
    shutil.rmtree(clip / "masks")
    MASKS[form](clip, mug, hand)
    first, second = ("001", "002") if form.startswith("by object") else ("1", "2")
    with pytest.raises(InputError, match=r"whose are they\?; --labels BODY=MASK decides"):
        read(clip, "clip")
    recording = read(clip, "clip", labels=(f"mug={first}",))
    assert np.array_equal(recording.scene.labels == 1, mug)
    with pytest.raises(InputError, match=rf"--labels: 'cup={first}'; bodies mug, masks {first}, {second}"):
        read(clip, "clip", labels=(f"cup={first}",))


def test_run_lengths_are_cocos(tmp_path):
    """Columns first; packed text with differences from the third run on; what does not fill the picture is refused."""
    random = np.random.default_rng(0)
    for _ in range(20):
        height, width = random.integers(1, 60, 2)
        mask = random.random((height, width)) < random.random()
        for counts in (runs_of(mask), packed(runs_of(mask))):
            size = [int(height), int(width)]
            assert np.array_equal(decode_rle({"size": size, "counts": counts}, "m"), mask)
    for bad in ([3], "", "~~~", [1, 2, "x"], 5):
        with pytest.raises(InputError, match="m: counts"):
            decode_rle({"size": [2, 5], "counts": bad}, "m")
    with pytest.raises(InputError, match="m: size"):
        decode_rle({"size": [10**6, 10**6], "counts": []}, "m")


def test_names_tell_whose_masks_are(clip):
    """The hand's and the object's by their folders' names; the hand of 21 keypoints."""
    scene = simulated()
    mug, hand = two_masks(scene)
    shutil.rmtree(clip / "masks")
    for name, mask in (("mug", mug), ("right_hand", hand)):
        for frame in range(FRAMES):
            write_png(clip / f"masks/{name}/{frame:06d}.png", 255 * mask[frame].astype(np.uint8))
    item = hand_item(scene)
    np.save(clip / "hand_right_keypoints.npy", posed_keypoints(item.body, item.initial))
    recording = read(clip, "clip")
    assert np.array_equal(recording.scene.labels == 2, hand) and np.array_equal(recording.scene.labels == 1, mug)
    assert [item.known for item in recording.scene.bodies] == [False, False]


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_of_keypoints(clip, order):
    """Told by how near neighbours are, in metres or pixels; and written back in it."""
    item = hand_item(simulated())
    ours = posed_keypoints(item.body, item.initial).astype(np.float64)
    theirs = np.zeros((FRAMES, max(ORDERS[order]) + 1, 3))
    theirs[:, 1:] = ours[:, :1]  # what others have more of lies somewhere in the palm
    for row, place in enumerate(ORDERS[order]):
        theirs[:, place] = ours[:, row]
    theirs[2] = np.nan
    assert guess_order(theirs) == order
    np.save(clip / "hand_right_keypoints.npy", theirs)
    recording = read(clip, "clip", masks=clip / "masks")
    found = recording.scene.keypoints3d["hand_right"]
    assert np.abs(found[[0, 1, 3, 4], :, :3] - ours[[0, 1, 3, 4]]).max() < NEAR and not found[2].any()
    assert recording.scene.body("hand_right").body.side == "right"
    assert any(f"in the order {order}, by their distances" in note for note in recording.notes)
    write(recording, clip.parent / "out")
    again = np.load(clip.parent / "out/hand_right_keypoints.npy")
    fitted = posed_keypoints(recording.scene.body("hand_right").body, recording.scene.body("hand_right").initial)
    assert np.abs(again[:, list(ORDERS[order])][[0, 1, 3, 4]] - fitted[[0, 1, 3, 4]]).max() < NEAR
    assert np.isnan(again[2]).all()


def test_keypoints_of_left_hands_in_pixels_and_millimetres(clip):
    """JSON by frame; a hand that no file names a side of, or keypoints about the wrist, are refused."""
    item = hand_item(simulated())
    places = posed_keypoints(item.body, item.initial).astype(np.float64)
    camera = simulated().camera
    pixels = places[..., :2] / places[..., 2:] * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    tree = {"left": {str(frame): pixels[frame].tolist() for frame in range(FRAMES)}}
    (clip / "hand_keypoints.json").write_text(json.dumps(tree))
    recording = read(clip, "clip")
    assert np.abs(recording.scene.keypoints2d["hand_left"][..., :2] - pixels).max() < NEAR
    assert recording.scene.body("hand_left").known  # it has no mask
    (clip / "hand_keypoints.json").write_text(json.dumps((1000.0 * places).tolist()))
    with pytest.raises(InputError, match="does not say which hand it is of; --side"):
        read(clip, "clip")
    recording = read(clip, "clip", side="right")
    assert np.abs(recording.scene.keypoints3d["hand_right"][..., :3] - places).max() < NEAR
    (clip / "hand_keypoints.json").write_text(json.dumps((places - places[:, :1]).tolist()))
    with pytest.raises(InputError, match="relative to the wrist"):
        read(clip, "clip", side="right")


def test_a_moving_camera_is_kept(clip):
    """A trajectory called after the camera is its own, not an object's."""
    steps = np.arange(FRAMES)
    world = np.tile(np.eye(4), (FRAMES, 1, 1))
    world[:, 0, 3] = 0.02 * steps
    write_tum(clip / "camera_trajectory.txt", world)
    recording = read(clip, "clip")
    assert np.abs(recording.world.camera.matrices() - world).max() < NEAR and off(recording) < NEAR
    assert any("the camera moves by up to 8 cm" in note for note in recording.notes)


def test_two_objects_are_told_by_their_names(clip):
    """A folder of poses, a mesh and masks each; without a mesh for one, it says which."""
    truth = object_of(simulated())
    shutil.move(clip / "ob_in_cam", clip / "poses" / "mug") if (clip / "poses").mkdir() is None else None
    moved = transforms(truth.initial)
    moved[:, 0, 3] += 0.2
    write_text_poses(clip / "poses/bowl", moved)
    with pytest.raises(InputError, match="no one mesh for the poses bowl"):
        read(clip, "clip")
    write_obj(clip / "mesh/bowl.obj", truth.body.vertices, truth.body.faces)
    (clip / "masks").rename(clip / "mug")
    (clip / "masks").mkdir()
    (clip / "mug").rename(clip / "masks/mug")
    recording = read(clip, "clip")
    assert [item.name for item in recording.scene.bodies] == ["bowl", "mug"] and off(recording) < NEAR
    assert [item.known for item in recording.scene.bodies] == [True, False]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda clip: (clip / "cam_K.txt").unlink(), "holds no intrinsics; cam_K.txt"),
        (lambda clip: shutil.copytree(clip / "rgb", clip / "color"), "may each be colour pictures; --rgb PATH decides"),
        (lambda clip: shutil.copy(clip / "cam_K.txt", clip / "K.txt"), "may each be intrinsics; --intrinsics PATH"),
        (lambda clip: (clip / "mesh/mug.obj").unlink(), "no one mesh for the poses"),
        (lambda clip: shutil.rmtree(clip / "ob_in_cam"), "holds nothing that can be estimated"),
        (lambda clip: (clip / "ob_in_cam/000001.txt").write_text("1 2 3"), "has 3 numbers; needs a 4x4 matrix"),
        (lambda clip: (clip / "cam_K.txt").write_text("1 0 0\n0 1 0\n0 0 2\n"), "no matrix of a pinhole camera"),
    ],
    ids=["intrinsics", "two rgb", "two intrinsics", "mesh", "poses", "a pose", "K"],
)
def test_what_cannot_be_told_is_asked_in_one_line(clip, change, says):
    """With the option that decides."""
    change(clip)
    with pytest.raises(InputError, match=says):
        read(clip, "clip")


def test_options_decide(clip):
    """Of two folders of colours, the one that is named."""
    shutil.copytree(clip / "rgb", clip / "color")
    assert read(clip, "clip", rgb="color").scene.frame_count == FRAMES
    with pytest.raises(InputError, match="--rgb: colour is not there"):
        read(clip, "clip", rgb="colour")


def test_run_lengths_are_those_of_pycocotools():
    """Both ways, where it is installed."""
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    random = np.random.default_rng(1)
    for _ in range(30):
        height, width = (int(size) for size in random.integers(1, 90, 2))
        mask = random.random((height, width)) < random.random()
        text = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
        assert packed(runs_of(mask)) == text
        assert np.array_equal(decode_rle({"size": [height, width], "counts": text}, "m"), mask)
