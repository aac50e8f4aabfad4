"""Hands of networks: every container and convention, from the network's camera into the picture's, and from worlds."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.format_files.clip import write_clip
from tests.format_files.network_hands import (
    FOCAL,
    HEIGHT,
    WIDTH,
    by_long_lens,
    camera_way,
    hamer_record,
    plain,
    seen,
    wilor_mini_record,
    write_dynhamr,
    write_hawor,
)
from tests.format_files.samples import FRAMES, simulated, write_mano
from warpprior.bodies import posed_keypoints, posed_vertices
from warpprior.formats import guess_format, read, write
from warpprior.formats.parts.crop_camera import crop_focal
from warpprior.formats.parts.hand_records import read_hand_records
from warpprior.support.errors import InputError

NEAR = 1e-6
SEEN = {"focal": FOCAL, "width": WIDTH, "height": HEIGHT}


@pytest.fixture(scope="module")
def mano(tmp_path_factory):
    """Made-up models, and their folder."""
    folder = tmp_path_factory.mktemp("mano")
    return folder, write_mano(folder)


def surface(recording, side):
    item = recording.scene.body(f"hand_{side}")
    return posed_vertices(item.body, item.initial)[:, :778]


def off(recording, hands, side, frames=range(FRAMES)):
    """How far vertices are from the truth in some frames, at most [m]."""
    found = surface(recording, side)
    return max(np.abs(found[frame] - hands[frame]["vertices"]).max() for frame in frames)


def both(models):
    return seen(models, "left"), seen(models, "right")


def write_records(path, form, left, right, *, missing=2):
    """Hands of all frames but one, in a form."""
    frames = {
        frame: [] if frame == missing else [hamer_record(left[frame]), hamer_record(right[frame])]
        for frame in range(FRAMES)
    }
    if form == "npy by hand":
        path.mkdir()
        for frame, hands in frames.items():
            for person, hand in enumerate(hands):
                np.save(path / f"{frame + 7:06d}_{person}_mano.npy", hand, allow_pickle=True)
    elif form == "json by frame":
        (path := path.with_suffix(".json")).write_text(json.dumps(plain(frames)))
    elif form == "pickle of a list":
        (path := path.with_suffix(".pkl")).write_bytes(pickle.dumps(list(frames.values()), protocol=4))
    elif form == "npz of rows":
        rows = [(frame, hand) for frame, hands in frames.items() for hand in hands]
        params = [hand["pred_mano_params"] for _, hand in rows]
        np.savez(
            path := path.with_suffix(".npz"),
            global_orient=np.stack([one["global_orient"] for one in params]),
            hand_pose=np.stack([one["hand_pose"] for one in params]),
            betas=np.stack([one["betas"] for one in params]),
            cam_t=np.stack([hand["pred_cam_t_full"] for _, hand in rows]),
            keypoints_3d=np.stack([hand["pred_keypoints_3d"] for _, hand in rows]),
            is_right=np.array([hand["is_right"] for _, hand in rows]),
            focal_length=np.full(len(rows), FOCAL),
            frame=np.array([frame for frame, _ in rows]),
        )
    else:
        frames = {
            frame: [] if frame == missing else [wilor_mini_record(left[frame]), wilor_mini_record(right[frame])]
            for frame in range(FRAMES)
        }
        (path := path.with_suffix(".pkl")).write_bytes(pickle.dumps(frames, protocol=2))
    return path


@pytest.mark.parametrize("form", ["npy by hand", "json by frame", "pickle of a list", "npz of rows", "wilor-mini"])
def test_every_container(tmp_path, mano, form):
    """To a micrometre of an independent MANO; the left hand mirrored; the missing frame is interpolated and flagged."""
    folder, models = mano
    left, right = both(models)
    path = write_records(tmp_path / "hands", form, left, right)
    assert guess_format(path)[0].name == "hamer"
    recording = read(path, mano=folder, **SEEN)
    assert recording.scene.frame_count == FRAMES and recording.scene.noise["poses"] == 0.01
    for side, hands in (("left", left), ("right", right)):
        assert off(recording, hands, side, (0, 1, 3, 4)) < NEAR
        assert list(np.flatnonzero(recording.scene.body(f"hand_{side}").initial.imputed)) == [2]
        assert recording.scene.body(f"hand_{side}").body.side == side


@pytest.mark.parametrize("way", ["right", "mirrored", "native"])
def test_conventions_of_left_hands_are_told_by_keypoints(tmp_path, mano, way):
    """What makes the keypoints in the file is taken, and said; without them, what is usual or asked for."""
    folder, models = mano
    left = seen(models, "left")
    turn = np.ones(3) if way == "right" else np.array([1.0, -1.0, -1.0])
    records = {}
    for frame, hand in enumerate(left):
        shown = hand
        if way == "native":
            from tests.format_files.mano_hand import mano_vertices
            from tests.format_files.network_hands import keypoints_of

            made = mano_vertices(
                models["left"], hand["orient"] * turn, (hand["joints"].reshape(-1, 3) * turn).ravel(), hand["betas"]
            )
            hand["vertices"] = made[0] + hand["cam_t"]
            shown = hand | {"keypoints": keypoints_of(*made)}
        shown = shown | {"orient": hand["orient"] * turn, "joints": (hand["joints"].reshape(-1, 3) * turn).ravel()}
        records[frame] = [hamer_record(shown)]
    (tmp_path / "a.json").write_text(json.dumps(plain(records)))
    recording = read(tmp_path / "a.json", mano=folder, **SEEN)
    assert off(recording, left, "left") < NEAR
    assert any("so they make the keypoints of the file" in note for note in recording.notes)
    for hands in records.values():
        del hands[0]["pred_keypoints_3d"]
    (tmp_path / "b.json").write_text(json.dumps(plain(records)))
    assert off(read(tmp_path / "b.json", mano=folder, left_hands=way, **SEEN), left, "left") < NEAR
    usual = read(tmp_path / "b.json", mano=folder, **SEEN)
    assert (off(usual, left, "left") < NEAR) == (way == "right")
    assert any("as is usual: nothing in the file tells it" in note for note in usual.notes)


@pytest.mark.parametrize("stated", ["scaled", "of the crop", "nothing"])
def test_hands_of_the_crops_camera_come_to_where_they_are(tmp_path, mano, stated):
    """30 m away in the network's camera; where a file states the focal length of the crop, or none, as well."""
    folder, models = mano
    right = seen(models, "right")
    focal = crop_focal((WIDTH, HEIGHT))
    records = []
    for hand in right:
        record = hamer_record(by_long_lens(hand, focal), focal=focal)
        assert record["pred_cam_t_full"][2] > 8.0
        if stated != "scaled":
            del record["scaled_focal_length"]
        records.append([record | ({"focal_length": 5000.0} if stated == "of the crop" else {})])
    (tmp_path / "hands.pkl").write_bytes(pickle.dumps(records))
    recording = read(tmp_path / "hands.pkl", mano=folder, **SEEN)
    item = recording.scene.body("hand_right")
    wrist = np.array([hand["keypoints"][0] + hand["cam_t"] for hand in right])
    assert np.abs(item.initial.position - wrist)[:, :2].max() < 0.002
    assert np.abs(item.initial.position[:, 2] / wrist[:, 2] - 1.0).max() < 0.02
    assert any("it was moved there" in note for note in recording.notes)
    assert any(
        "it was moved there" in note
        for note in read(tmp_path / "hands.pkl", mano=folder, width=WIDTH, height=HEIGHT).notes
    )


def test_principal_components_and_the_mean_pose(tmp_path, mano):
    """MANO's npz of others: coefficients about the mean of the training poses, in the camera, one row a frame."""
    folder, models = mano
    arrays = models["right"]
    random = np.random.default_rng(3)
    coefficients = random.normal(scale=0.3, size=(FRAMES, 15))
    right = seen(models, "right")
    from tests.format_files.mano_hand import mano_vertices

    for hand, one in zip(right, coefficients, strict=True):
        full = arrays["hands_mean"] + one @ arrays["hands_components"][:15]
        hand["vertices"] = mano_vertices(arrays, hand["orient"], full, hand["betas"], hand["cam_t"])[0]
    common = {
        "global_orient": np.stack([hand["orient"] for hand in right]),
        "betas": right[0]["betas"],
        "transl": np.stack([hand["cam_t"] for hand in right]),
        "is_right": np.array(True),
    }
    np.savez(tmp_path / "pca.npz", hand_pose=coefficients, **common)
    recording = read(tmp_path / "pca.npz", mano=folder, **SEEN)
    assert off(recording, right, "right") < NEAR and any("about the mean pose" in note for note in recording.notes)
    full = coefficients @ arrays["hands_components"][:15]
    np.savez(tmp_path / "full.npz", hand_pose=full, flat_hand_mean=np.array(False), **common)
    assert off(read(tmp_path / "full.npz", mano=folder, **SEEN), right, "right") < NEAR


def test_axes_of_opengl_are_told_by_hands_behind_the_camera(tmp_path, mano):
    """y up and z backward are turned, hand and place, and it is said."""
    from scipy.spatial.transform import Rotation

    folder, models = mano
    right, turn = seen(models, "right"), np.diag([1.0, -1.0, -1.0])
    wrists = np.array([hand["keypoints"][0] for hand in right])
    turned = Rotation.from_matrix(turn) * Rotation.from_rotvec([hand["orient"] for hand in right])
    transl = (wrists + [hand["cam_t"] for hand in right]) @ turn - wrists
    np.savez(
        tmp_path / "hand_right.npz",
        global_orient=turned.as_rotvec(), hand_pose=[hand["joints"] for hand in right], betas=right[0]["betas"],
        transl=transl, flat_hand_mean=True,
    )  # fmt: skip
    recording = read(tmp_path / "hand_right.npz", mano=folder, **SEEN)
    assert off(recording, right, "right") < NEAR and any("OpenGL's axes" in note for note in recording.notes)


def test_what_we_write_as_parameters_of_mano_is_read_again(tmp_path, mano):
    """mano_npz: both hands, the left one mirrored or of its own model with corrected shapes; gaps are gaps again."""
    folder, models = mano
    write_hawor(tmp_path / "video", models, filled=(2,))
    write_dynhamr(tmp_path / "run", models, missing=(3,))
    for source, frame in (("video", 2), ("run", 3)):
        first = read(tmp_path / source, mano=folder)
        write(first, tmp_path / f"{source}_out", "mano_npz")
        again = read(tmp_path / f"{source}_out", "hamer", mano=folder, **SEEN)
        kept = [row for row in range(FRAMES) if row != frame]
        for side in ("left", "right"):
            assert np.abs(surface(again, side) - surface(first, side))[kept].max() < NEAR
        assert list(np.flatnonzero(again.scene.body("hand_left").initial.imputed)) == [frame]
        assert guess_format(tmp_path / f"{source}_out")[0].name == "hamer"


def test_without_a_model_hands_are_held_to_their_keypoints(tmp_path, mano, monkeypatch):
    """Our own hand, in both channels, where the picture's camera sees them; a left one's are mirrored; it is said."""
    monkeypatch.delenv("WARPPRIOR_MANO", raising=False)
    item = next(one for one in simulated().bodies if not one.body.is_rigid)
    truth = posed_keypoints(item.body, item.initial).astype(np.float64)
    records = []
    for frame, places in enumerate(truth):
        middle = places.mean(axis=0)
        record = {"is_right": 0, "pred_keypoints_3d": (places - middle), "pred_cam_t_full": middle * [-1.0, 1.0, 1.0],
                  "scaled_focal_length": FOCAL, "img_size": [WIDTH, HEIGHT]}  # fmt: skip
        right = record | {"is_right": 1, "pred_cam_t_full": middle}
        records.append([record, right] if frame != 3 else [])
    (tmp_path / "hands.json").write_text(json.dumps(plain({"frames": records})))
    recording = read(tmp_path / "hands.json", **SEEN)
    scene = recording.scene
    assert [body.body.kind for body in scene.bodies] == ["hand", "hand"]
    mirrored = truth * [-1.0, 1.0, 1.0]
    for side, places in (("left", mirrored), ("right", truth)):
        deep, flat = scene.keypoints3d[f"hand_{side}"], scene.keypoints2d[f"hand_{side}"]
        kept = [0, 1, 2, 4]
        assert np.abs(deep[kept, :, :3] - places[kept]).max() < NEAR and not deep[3].any() and not flat[3].any()
        drawn = FOCAL * places[..., :2] / places[..., 2:] + [WIDTH / 2 + 0.5, HEIGHT / 2 + 0.5]
        assert np.abs(flat[kept, :, :2] - drawn[kept]).max() < 1e-6
    assert any("no parameters; our own hand is fitted" in note for note in recording.notes)
    assert any("those of a right hand, mirrored here" in note for note in recording.notes)


def test_the_surer_of_two_hands_of_one_side(tmp_path, mano):
    """What is said twice is noted; a hand without a side, or without a place, is refused."""
    folder, models = mano
    right = seen(models, "right")
    wrong = [hamer_record({**hand, "cam_t": hand["cam_t"] + 0.3}) | {"score": 0.4} for hand in right]
    records = [[bad, hamer_record(hand) | {"score": 0.8}] for bad, hand in zip(wrong, right, strict=True)]
    (tmp_path / "hands.pkl").write_bytes(pickle.dumps(records))
    recording = read(tmp_path / "hands.pkl", mano=folder, **SEEN)
    assert off(recording, right, "right") < NEAR
    assert any("5 times two right hands" in note for note in recording.notes)
    for key, says in (("is_right", "does not say which hand"), ("pred_cam_t_full", "has no place in the camera")):
        changed = [[{name: value for name, value in records[0][0].items() if name != key}]]
        (tmp_path / "bad.pkl").write_bytes(pickle.dumps(changed))
        with pytest.raises(InputError, match=says):
            read(tmp_path / "bad.pkl", "hamer", mano=folder, **SEEN)


def test_dynhamr_mirrors_left_hands_after_they_are_in_the_world(tmp_path, mano, monkeypatch):
    """The last result of a run, into the camera; frames in which a track is not seen are flagged; the camera's way."""
    monkeypatch.delenv("WARPPRIOR_MANO", raising=False)
    folder, models = mano
    truth = write_dynhamr(tmp_path / "run", models, missing=(3,))
    with pytest.raises(InputError, match=r"--mano DIR, or WARPPRIOR_MANO$"):
        read(tmp_path / "run")
    assert guess_format(tmp_path / "run")[0].name == "dyn_hamr"
    for source in (tmp_path / "run", tmp_path / "run/smooth_fit/clip_000060_world_results.npz"):
        recording = read(source, mano=folder)
        for side in ("left", "right"):
            assert np.abs(surface(recording, side) - truth[side])[[0, 1, 2, 4]].max() < 3e-6  # float32 at 1.5 m
        imputed = [recording.scene.body(f"hand_{side}").initial.imputed for side in ("left", "right")]
        assert list(np.flatnonzero(imputed[0])) == [3] and imputed[1] is None
        assert np.abs(recording.world.camera.matrices() - camera_way()).max() < NEAR
        assert recording.scene.camera.cx == WIDTH / 2 + 0.5 and recording.scene.camera.fx == FOCAL


@pytest.mark.parametrize("world", [True, False])
def test_hawor_from_the_world_and_from_the_camera(tmp_path, mano, world):
    """Its left model with corrected shapes; the camera's way with its scale; what it filled in is flagged."""
    folder, models = mano
    images = [np.full((HEIGHT, WIDTH, 3), 20 * frame, np.uint8) for frame in range(FRAMES)]
    truth = write_hawor(tmp_path / "video", models, filled=(2,), pictures=images, world=world)
    assert guess_format(tmp_path / "video")[0].name == "hawor"
    recording = read(tmp_path / "video", mano=folder)
    kept = slice(None) if world else [0, 1, 3, 4]
    for side in ("left", "right"):
        assert np.abs(surface(recording, side) - truth[side])[kept].max() < NEAR
    imputed = [recording.scene.body(f"hand_{side}").initial.imputed for side in ("left", "right")]
    assert list(np.flatnonzero(imputed[0])) == [2] and imputed[1] is None
    assert np.abs(recording.world.camera.matrices() - camera_way()).max() < NEAR
    assert recording.scene.read_rgb(3)[0, 0, 0] == 60
    if world:
        assert any("hand_left was filled in by HaWoR, not seen, in frame 2" in note for note in recording.notes)


def test_clips_take_hands_of_networks(tmp_path, mano):
    """Beside an object of FoundationPose, by the real intrinsics; what it is, is said."""
    folder, models = mano
    clip = tmp_path / "clip"
    scene = write_clip(clip)
    np.savetxt(clip / "cam_K.txt", [[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    left, right = both(models)
    write_records(clip / "hands", "pickle of a list", left, right)
    assert guess_format(clip)[0].name == "clip"
    (clip / "hands.pkl").unlink()
    write_records(clip / "hamer", "npy by hand", left, right)
    assert guess_format(clip)[0].name == "clip" and guess_format(clip / "hamer")[0].name == "hamer"
    with pytest.raises(InputError, match="numbers from 0 to 4"):
        read(clip, "clip", mano=folder)  # its pictures are numbered from 7
    for path in sorted((clip / "hamer").iterdir()):
        path.rename(path.with_name(f"{int(path.name[:6]) - 7:06d}{path.name[6:]}"))
    recording = read(clip, "clip", mano=folder, labels=("mug=",))
    assert [item.name for item in recording.scene.bodies] == ["mug", "hand_left", "hand_right"]
    assert "hamer as hands of a network" in recording.notes[1 if "taken for" in recording.notes[0] else 0]
    for side, hands in (("left", left), ("right", right)):
        assert off(recording, hands, side, (0, 1, 3, 4)) < NEAR
        assert recording.scene.body(f"hand_{side}").known  # it has no mask
    assert read(clip, "clip", without_hands=True).scene.frame_count == scene.frame_count


def test_frames_are_found_however_they_are_counted(tmp_path, mano):
    """Pictures from 1 on: lists are in their order, numbers from 0 on are moved, others are what they say."""
    folder, models = mano
    write_clip(clip := tmp_path / "clip", first=1)
    np.savetxt(clip / "cam_K.txt", [[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    right = seen(models, "right")
    hands = [hamer_record(hand) for hand in right]
    forms = {
        "list": [[hand] for hand in hands],
        "from 0": {frame: [hand] for frame, hand in enumerate(hands)},
        "from 1": {f"{frame:06d}.png": [hand] for frame, hand in enumerate(hands, start=1)},
        "frame": [hand | {"frame_idx": frame} for frame, hand in enumerate(hands)],
        "later": {frame: [hand] for frame, hand in enumerate(hands[1:], start=2)},
    }
    for name, tree in forms.items():
        (clip / "hands.json").write_text(json.dumps(plain(tree)))
        recording = read(clip, "clip", mano=folder)
        assert off(recording, right, "right", range(int(name == "later"), FRAMES)) < NEAR, name
        said = any("0 is the first of them" in note for note in recording.notes)
        assert said == (name in ("from 0", "frame"))


def test_a_folder_of_hawor_with_an_object_is_a_clip(tmp_path, mano):
    """Its pictures, intrinsics and camera serve the whole; files of its own are taken for nothing else."""
    folder, models = mano
    clip = tmp_path / "clip"
    write_clip(clip)
    (clip / "cam_K.txt").unlink()
    truth = write_hawor(clip, models)
    assert guess_format(clip)[0].name == "clip"
    recording = read(clip, "clip", mano=folder)
    assert [item.name for item in recording.scene.bodies] == ["mug", "hand_left", "hand_right"]
    assert np.abs(surface(recording, "left") - truth["left"]).max() < NEAR
    assert recording.scene.camera.fx == FOCAL and recording.world.camera is not None
    assert any("intrinsics are those of the hands' program" in note for note in recording.notes)
    run = tmp_path / "other"
    write_clip(run)
    (clip / "inner").mkdir()
    images = [np.full((HEIGHT, WIDTH, 3), 20 * frame, np.uint8) for frame in range(FRAMES)]
    write_hawor(clip / "inner/video", models, pictures=images)
    for path in (clip / "rgb", clip / "cam_space", clip / "SLAM"):
        shutil.rmtree(path)
    (clip / "world_space_res.pth").unlink()
    assert read(clip, "clip", mano=folder).scene.read_rgb(2)[0, 0, 0] == 40  # HaWoR's own pictures
    write_dynhamr(run, models)
    other = read(run, "clip", mano=folder)
    assert np.abs(other.world.camera.matrices() - camera_way()).max() < NEAR
    assert replace(other.scene, name="x").bodies[1].body.side == "left"


def test_networks_saw_pictures_with_distortion(tmp_path, mano):
    """Where a lens bends the picture, a hand is put where the rectified one shows it."""
    folder, models = mano
    write_clip(clip := tmp_path / "clip")
    (clip / "cam_K.txt").unlink()
    lens = [0.3, 0.0, 0.0, 0.0]
    tree = {"fx": FOCAL, "fy": FOCAL, "cx": WIDTH / 2, "cy": HEIGHT / 2, "dist": lens}
    (clip / "intrinsics.json").write_text(json.dumps(tree))
    right = seen(models, "right")
    hands = []
    for hand in right:  # the network sees the bent picture, by a long lens
        hand["cam_t"] = hand["cam_t"] + [0.12, 0.0, 0.0]
        true = hand["keypoints"] + hand["cam_t"]
        ray = true[:, :2] / true[:, 2:]
        shown = ray * (1.0 + lens[0] * np.sum(ray**2, axis=1, keepdims=True))
        hands.append([hamer_record(by_long_lens(hand, 3125.0, pixels=FOCAL * shown), focal=3125.0)])
    (clip / "hands.pkl").write_bytes(pickle.dumps(hands))
    found = read(clip, "clip", mano=folder).scene.body("hand_right").initial.position
    wrist = np.array([hand["keypoints"][0] + hand["cam_t"] for hand in right])
    assert np.abs(found - wrist)[:, :2].max() < 0.004 and np.abs(found[:, 2] / wrist[:, 2] - 1.0).max() < 0.05


@pytest.mark.parametrize("frame", [float("inf"), float("nan"), 1.5])
def test_frames_that_are_no_numbers_are_not_stated(tmp_path, frame):
    """A record of one hand has none then."""
    path = tmp_path / "hand.json"
    tree = {"hand_pose": [[0.1] * 45], "global_orient": [[0.1] * 3], "betas": [[0] * 10], "is_right": [1]}
    path.write_text(json.dumps({**tree, "frame": frame}))
    given = read_hand_records(path)
    path.write_text(json.dumps(tree))
    assert [one.frame for one in given] == [one.frame for one in read_hand_records(path)]


@pytest.mark.parametrize("key", ["is_right", "img_name"])
def test_ragged_lists_are_refused(tmp_path, key):
    """In one line that names them."""
    path = tmp_path / "hand.pkl"
    tree = {"hand_pose": [[0.1] * 45], "global_orient": [[0.1] * 3], "betas": [[0] * 10], "is_right": [1]}
    path.write_bytes(pickle.dumps({**tree, key: [np.zeros((2, 3)), np.zeros((2, 4))]}))
    with pytest.raises(InputError, match="holds arrays of different shapes"):
        read_hand_records(path)
