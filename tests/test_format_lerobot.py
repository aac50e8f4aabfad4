"""LeRobot: data sets written anew, read by a mapping, and written back; by lerobot's own reader where it is here."""

from __future__ import annotations

import json
import os
import subprocess

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.format_files.samples import FRAMES, hand_item, object_of, simulated, transforms, write_mano, write_obj
from tests.test_format_writers import in_a_room, leveled
from warpprior.bodies import posed_keypoints, posed_vertices
from warpprior.formats import guess_format, read, write
from warpprior.formats.parts.lerobot_mapping import WIDTHS, from_quaternions, to_quaternions
from warpprior.scene import Poses
from warpprior.support.errors import InputError

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
parquet = pytest.importorskip("pyarrow.parquet")
NEAR = 1e-6


def columns_of(root, *names):
    """Columns of the first data file as arrays."""
    table = parquet.read_table(root / "data/chunk-000/file-000.parquet")
    return [np.array(table.column(name).to_pylist()) for name in names]


def test_a_data_set_anew_has_the_layout_of_version_3(tmp_path):
    """Two episodes: files, indices, statistics and times as lerobot's reader takes them; poses in the level world."""
    recordings = [in_a_room(), in_a_room()]
    said = write(recordings, tmp_path / "set", "lerobot", task="lift the mug")
    assert said[0] == f"2 episodes, {2 * FRAMES} frames"
    info = json.loads((tmp_path / "set/meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0" and (info["total_episodes"], info["total_frames"]) == (2, 2 * FRAMES)
    state, action, stamp, episode, index = columns_of(
        tmp_path / "set", "observation.state", "action", "timestamp", "episode_index", "index"
    )
    assert info["features"]["observation.state"]["shape"] == [state.shape[1]]
    assert np.array_equal(index, np.arange(2 * FRAMES)) and np.array_equal(episode, np.repeat([0, 1], FRAMES))
    assert np.allclose(stamp, np.tile(np.arange(FRAMES) / info["fps"], 2), atol=1e-6)
    assert np.array_equal(action[: FRAMES - 1], state[1:FRAMES]) and np.array_equal(action[-1], state[-1])
    names = info["features"]["observation.state"]["names"]
    item = object_of(recordings[0].scene)
    place = state[:FRAMES, [names.index(f"object.{axis}") for axis in "xyz"]]
    assert np.abs(place - leveled(recordings[0], item.initial.position[:, None])[:, 0]).max() < NEAR
    tasks = parquet.read_table(tmp_path / "set/meta/tasks.parquet")
    assert tasks.column("task").to_pylist() == ["lift the mug"]
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["task"]
    rows = parquet.read_table(tmp_path / "set/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [row["dataset_to_index"] for row in rows] == [FRAMES, 2 * FRAMES] and rows[1]["tasks"] == ["lift the mug"]
    assert np.allclose(rows[0]["stats/observation.state/mean"], state[:FRAMES].mean(axis=0), atol=1e-5)
    assert rows[1]["videos/observation.images.camera/from_timestamp"] == pytest.approx(FRAMES / info["fps"])
    whole = json.loads((tmp_path / "set/meta/stats.json").read_text())
    assert np.shape(whole["observation.images.camera"]["mean"]) == (3, 1, 1) and whole["action"]["count"] == [
        2 * FRAMES
    ]


def test_the_video_shows_all_episodes_one_after_the_other(tmp_path):
    """As many pictures as frames, each near the one that was recorded."""
    cv2 = pytest.importorskip("cv2")
    recording = in_a_room()
    write([recording, recording], tmp_path / "set", "lerobot")
    film = cv2.VideoCapture(str(tmp_path / "set/videos/observation.images.camera/chunk-000/file-000.mp4"))
    pictures = []
    while (shown := film.read())[0]:
        pictures.append(shown[1][..., ::-1].astype(float))
    assert len(pictures) == 2 * FRAMES
    for row in (0, FRAMES, 2 * FRAMES - 1):
        assert np.abs(pictures[row] - recording.scene.read_rgb(row % FRAMES)).mean() < 12.0


def test_what_was_written_is_read_back_by_its_own_mapping(tmp_path):
    """Objects and the camera to a micrometre; our own hand by its keypoints."""
    recording = in_a_room()
    write([recording, recording], tmp_path / "set", "lerobot", no_video=True)
    assert not (tmp_path / "set/videos").exists()
    assert guess_format(tmp_path / "set")[0].name == "lerobot"
    again = read(tmp_path / "set", episode=1)
    item, found = object_of(recording.scene), again.scene.body("object")
    assert np.abs(posed_vertices(found.body, found.initial) - posed_vertices(item.body, item.initial)).max() < 2 * NEAR
    hand = hand_item(recording.scene)
    places = posed_keypoints(hand.body, hand.initial)
    assert np.abs(again.scene.keypoints3d["hand_right"][..., :3] - places).max() < 2 * NEAR
    assert np.allclose(again.world.gravity, [0, 0, -1])
    for options, message in (
        ({"episode": 2}, "has 2 episodes, and no 2"),
        ({"mapping": tmp_path / "a"}, "no standard"),
    ):
        with pytest.raises(InputError, match=message):
            read(tmp_path / "set", "lerobot", **options)
    with pytest.raises(InputError, match="as the first has: hand_right, object"):
        write([recording, in_a_room("left")], tmp_path / "odd", "lerobot")


def strangers_set(root, forms, *, version="v3.0"):
    """A data set in somebody's own columns, millimetres, an object and MANO, other forms of rotations, 2 episodes."""
    scene, item = simulated(), object_of(simulated())
    matrices = transforms(item.initial)
    turns = Rotation.from_matrix(matrices[:, :3, :3])
    state = np.concatenate([np.full((FRAMES, 2), 7.0), 1000.0 * matrices[:, :3, 3], values_of(turns, forms[0])], axis=1)
    fingers = np.random.default_rng(3).normal(scale=0.2, size=(FRAMES, 15, 3))
    wrist = Rotation.from_rotvec(np.random.default_rng(4).normal(scale=0.3, size=(FRAMES, 3)))
    place = np.array([0.0, 50.0, 500.0]) + np.arange(FRAMES)[:, None]
    full = values_of(Rotation.from_rotvec(fingers.reshape(-1, 3)), forms[1]).reshape(FRAMES, -1)
    other = np.random.default_rng(5).normal(size=state.shape)
    columns = {
        "observation.state": np.concatenate([other, state]),
        "mano.fingers": np.concatenate([full, full]),
        "mano.place": np.concatenate([place, place]),
        "mano.turn": np.tile(values_of(wrist, "rotvec"), (2, 1)),
        "sound": np.ones((2 * FRAMES, 3)) * np.nan,
    }
    table = {name: pa.array(values.tolist(), pa.list_(pa.float64())) for name, values in columns.items()}
    table["episode_index"] = pa.array(np.repeat([0, 1], FRAMES))
    table["frame_index"] = pa.array(np.tile(np.arange(FRAMES), 2))
    table["instruction"] = pa.array(["lift"] * (2 * FRAMES))
    info = {"codebase_version": version, "total_episodes": 2, "fps": 20, "chunks_size": 1000}
    root.joinpath("meta").mkdir(parents=True)
    if version == "v3.0":
        folder = root / "data/chunk-000"
        folder.mkdir(parents=True)
        parquet.write_table(pa.table(table), folder / "file-000.parquet", row_group_size=FRAMES)
        (root / "meta/episodes/chunk-000").mkdir(parents=True)
        rows = {"episode_index": [0, 1], "data/chunk_index": [0, 0], "data/file_index": [0, 0]}
        parquet.write_table(pa.table(rows), root / "meta/episodes/chunk-000/file-000.parquet")
    else:
        folder = root / "data/chunk-000"
        folder.mkdir(parents=True)
        parquet.write_table(pa.table(table).slice(FRAMES), folder / "episode_000001.parquet")
        info["data_path"] = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
        (root / "meta/episodes.jsonl").write_text("{}\n")
    (root / "meta/info.json").write_text(json.dumps(info))
    write_obj(root / "mug.obj", item.body.vertices, item.body.faces)
    width = WIDTHS[forms[0]]
    mapping = {
        "frame": "camera",
        "unit": 0.001,
        "bodies": {
            "mug": {
                "mesh": "mug.obj",
                "position": "observation.state[2:5]",
                "rotation": f"observation.state[5:{5 + width}]",
                "form": forms[0],
            },
            "hand_right": {
                "mano": True,
                "side": "right",
                "position": "mano.place",
                "rotation": "mano.turn",
                "form": "rotvec",
                "joints": "mano.fingers",
                "joints_form": forms[1],
                "shape": [0.1] * 10,
                "wrist": False,
            },
        },
    }
    (root / "map.json").write_text(json.dumps(mapping))
    write_mano(root / "mano")
    return columns, scene


def values_of(turns, form):
    """Rotations in a form, by SciPy alone."""
    matrices = turns.as_matrix()
    return {
        "xyzw": turns.as_quat,
        "wxyz": lambda: turns.as_quat()[:, [3, 0, 1, 2]],
        "rotvec": turns.as_rotvec,
        "rpy": lambda: turns.as_euler("xyz"),
        "matrix": lambda: matrices.reshape(-1, 9),
        "rows6": lambda: matrices[:, :2].reshape(-1, 6),
        "columns6": lambda: np.concatenate([matrices[:, :, 0], matrices[:, :, 1]], axis=1),
    }[form]()


@pytest.mark.parametrize("forms", [("wxyz", "rows6"), ("columns6", "rotvec"), ("matrix", "xyzw"), ("rpy", "rotvec")])
def test_strangers_columns_are_read_and_written_back(tmp_path, forms):
    """By a mapping, in the forms that they came in; what is not mapped, and other episodes, stay as they were."""
    columns, scene = strangers_set(tmp_path / "set", forms)
    how = {"mapping": tmp_path / "set/map.json", "episode": 1, "mano": tmp_path / "set/mano"}
    recording = read(tmp_path / "set", "lerobot", **how)
    item, found = object_of(scene), recording.scene.body("mug")
    assert np.abs(posed_vertices(found.body, found.initial) - posed_vertices(item.body, item.initial)).max() < NEAR
    write(recording, tmp_path / "same")
    before = parquet.read_table(tmp_path / "set/data/chunk-000/file-000.parquet")
    same = parquet.read_table(tmp_path / "same/data/chunk-000/file-000.parquet")
    assert same.schema.equals(before.schema) and same.num_rows == before.num_rows
    for name, values in columns.items():
        assert np.allclose(np.array(same.column(name).to_pylist()), values, atol=1e-5, equal_nan=True)
    assert same.column("instruction").equals(before.column("instruction"))
    poses = {one.name: one.initial for one in recording.scene.bodies}
    shift = np.array([0.0, 0.01, 0.0])
    moved = recording.scene.body("mug").initial
    poses["mug"] = Poses(moved.position + shift, moved.rotation, moved.joints)
    said = write(recording.with_poses(poses), tmp_path / "moved")
    assert "mug, hand_right in 5 frames of episode 1" in said[0]
    after = np.array(
        parquet.read_table(tmp_path / "moved/data/chunk-000/file-000.parquet").column("observation.state").to_pylist()
    )
    change = after - columns["observation.state"]
    assert np.abs(change[FRAMES:, 2:5] - 1000.0 * shift).max() < 1e-5
    assert not change[:FRAMES].any() and np.abs(np.delete(change[FRAMES:], [2, 3, 4], axis=1)).max() < 1e-6


def test_version_2_and_several_tables_of_episodes(tmp_path):
    """A file for each episode there; what does not fit says so."""
    strangers_set(tmp_path / "old", ("wxyz", "rotvec"), version="v2.1")
    how = {"mapping": tmp_path / "old/map.json", "episode": 1, "mano": tmp_path / "old/mano"}
    assert read(tmp_path / "old", "lerobot", **how).scene.frame_count == FRAMES
    tree = json.loads((tmp_path / "old/map.json").read_text())
    cases = (
        (("position", "observation.state[2:99]"), "not 99"),
        (("position", "nothing[0:3]"), "no such column"),
        (("form", "matrix"), "needs 9"),
        (("rotation", "observation.state[0:4]"), "quaternions of length"),
        (("rotation", "observation.state[4:2]"), "needs a column"),
        (("mesh", "../secret.obj"), "is not there"),
        (("colour", "red"), "is no key of it"),
    )
    for (key, value), message in cases:
        changed = json.loads(json.dumps(tree))
        changed["bodies"]["mug"][key] = value
        (tmp_path / "old/map.json").write_text(json.dumps(changed))
        with pytest.raises(InputError, match=message):
            read(tmp_path / "old", "lerobot", **how)


@pytest.mark.parametrize("form", WIDTHS)
def test_forms_of_rotations_go_there_and_back(form):
    """As SciPy has them; of two signs and of whole turns, the one that was there stays."""
    turns = Rotation.from_rotvec(np.random.default_rng(0).normal(size=(20, 3)))
    given = values_of(turns, form)
    if form in ("xyzw", "wxyz"):
        given[::2] *= -1.0
    if form == "rpy":
        given[::2] += 2.0 * np.pi
    found = to_quaternions(given, form, "here")
    assert (Rotation.from_quat(found) * turns.inv()).magnitude().max() < 1e-9
    assert np.abs(from_quaternions(found, form, given) - given).max() < 1e-9


READER = """
import json, sys
import av
from lerobot.datasets.lerobot_dataset import LeRobotDataset
plain = LeRobotDataset("a/b", root=sys.argv[1])
rows = [plain[i] for i in range(len(plain))]
data = LeRobotDataset("a/b", root=sys.argv[2])
key = "observation.images.camera"
film = av.open(str(data.root / data.meta.get_video_file_path(1, key)))
print(json.dumps({"episodes": data.meta.total_episodes, "tasks": [row["task"] for row in rows],
    "state": [row["observation.state"].tolist() for row in rows], "keys": data.meta.video_keys,
    "mean": data.meta.stats["observation.state"]["mean"].tolist(), "shape": data.meta.stats[key]["mean"].shape,
    "from": data.meta.episodes[1][f"videos/{key}/from_timestamp"], "times": [f.time for f in film.decode(video=0)]}))
"""


def test_lerobots_own_reader_takes_it(tmp_path):
    """WARPPRIOR_LEROBOT names a Python that has lerobot; tables, tasks, statistics and pictures at their times."""
    python = os.environ.get("WARPPRIOR_LEROBOT")
    if python is None:
        pytest.skip("WARPPRIOR_LEROBOT names no Python with lerobot")
    recording = in_a_room()
    write([recording, recording], tmp_path / "plain", "lerobot", no_video=True)
    write([recording, recording], tmp_path / "set", "lerobot")
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    words = [python, "-c", READER, str(tmp_path / "plain"), str(tmp_path / "set")]
    ran = subprocess.run(words, env=env, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout.splitlines()[-1])
    (state,) = columns_of(tmp_path / "set", "observation.state")
    assert found["episodes"] == 2 and found["tasks"] == ["move mug"] * (2 * FRAMES)
    assert np.abs(np.array(found["state"]) - state).max() < 1e-7
    assert np.allclose(found["mean"], state.mean(axis=0), atol=1e-5) and found["shape"] == [3, 1, 1]
    assert found["keys"] == ["observation.images.camera"]
    assert np.abs(np.array(found["times"]) - np.arange(2 * FRAMES) / recording.scene.fps).max() < 1e-4
    assert found["from"] == pytest.approx(FRAMES / recording.scene.fps)
