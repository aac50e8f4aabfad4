"""A data set of LeRobot v3 made anew, an episode of each recording.

Written with pyarrow alone; the layout is that of lerobot 0.6 (src/lerobot/datasets/{utils,dataset_writer,io_utils,
compute_stats}.py).  What is in which column stands in ``meta/warpprior.json``, a mapping that we read back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bodies.hand_parts import KEYPOINT_NAMES
from warpprior.bodies.posing import posed_keypoints
from warpprior.formats.parts.lerobot_mapping import FILE as MAPPING_FILE
from warpprior.formats.parts.lerobot_video import IMAGE_KEY, image_stats, write_video
from warpprior.formats.parts.motion_columns import level_world, write_obj
from warpprior.formats.parts.parquet_row import arrow
from warpprior.formats.parts.virtual_camera import into_world, points_into_world
from warpprior.formats.recording import Recording
from warpprior.scene import SceneBody
from warpprior.support.errors import InputError

VERSION = "v3.0"
STATE, ACTION, CAMERA, VALID = "observation.state", "action", "observation.camera", "observation.valid"
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
INDEX = {
    **{"timestamp": "float32", "frame_index": "int64", "episode_index": "int64"},
    **{"index": "int64", "task_index": "int64"},
}
POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")
CHUNK, DATA_MB, VIDEO_MB = 1000, 100, 200
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
MESH = "meshes/episode_{episode:06d}/%s.obj"
# Without it, readers that use pandas take the number of the row for the task.
_PANDAS = {
    "index_columns": ["task"],
    "column_indexes": [],
    "columns": [
        {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": stored, "metadata": None}
        for name, kind, stored in (("task_index", "int64", "int64"), ("task", "unicode", "object"))
    ],
}
Values = dict[str, np.ndarray]  # by feature (frame, value)


@dataclass(frozen=True)
class Episode:
    """One recording as columns.

    Attributes:
        values: float32 by feature (frame, value).
        names: of the values of each feature.
        task: in words.
        bodies: by their names in the data set.
    """

    values: Values
    names: dict[str, list[str]]
    task: str
    bodies: dict[str, SceneBody]

    @property
    def frame_count(self) -> int:
        return len(self.values[STATE])


def write_data_set(recordings: Sequence[Recording], folder: Path, task: str | None, video: bool) -> tuple[str, ...]:
    """Write the data set.

    Args:
        recordings: of the same bodies: objects are called object, object_2, ..., hands by their side.
        folder: where to.
        task: what is done, in words; None says what is moved.
        video: also the pictures, where all have some of one size.

    Raises:
        InputError: recordings differ in their bodies or frame rates, or a body cannot be written.
    """
    said: list[str] = []
    episodes = [_episode(recording, task, said) for recording in recordings]
    first = episodes[0]
    for recording, episode in zip(recordings, episodes, strict=True):
        if episode.names != first.names or recording.scene.fps != recordings[0].scene.fps:
            found = f"has {', '.join(episode.bodies)} at {recording.scene.fps:g} Hz"
            accepted = f"as the first has: {', '.join(first.bodies)} at {recordings[0].scene.fps:g} Hz"
            raise InputError(f"scene {recording.scene.name!r}", found, accepted)
    fps = recordings[0].scene.fps
    if any(
        np.abs(recording.scene.times - np.arange(recording.scene.frame_count) / fps).max() > 0.5 / fps
        for recording in recordings
    ):
        said.append(f"times are uneven; frames were written {fps:g} per second")
    for number, episode in enumerate(episodes):
        for name, item in episode.bodies.items():
            if item.body.is_rigid:
                write_obj(folder / (MESH % name).format(episode=number), item.body, item.initial.scale)
    ends = write_video(recordings, folder, VIDEO, said) if video else None
    _write_tables(episodes, recordings, folder, fps, ends)
    _write_mapping(first, folder, said)
    return (f"{len(episodes)} episodes, {sum(episode.frame_count for episode in episodes)} frames", *said)


def _episode(recording: Recording, task: str | None, said: list[str]) -> Episode:
    scene = recording.scene
    notes: list[str] = []
    path = level_world(recording, notes)
    said += [note for note in notes if note not in said]
    items = [item for item in scene.bodies if item.body.animation is None]
    rigid = [item for item in items if item.body.is_rigid]
    bodies: dict[str, SceneBody] = {}
    for item in items:
        if item.body.is_rigid:
            number = rigid.index(item) + 1
            bodies["object" if number == 1 else f"object_{number}"] = item
        else:
            name = f"hand_{item.body.side}" if item.body.side is not None else item.name
            if name in bodies:
                raise InputError(f"scene {scene.name!r}", f"has two of {name}", "one of each")
            bodies[name] = item
    if not bodies:
        raise InputError(f"scene {scene.name!r}", "has no body to write", "an object, a hand or a robot")
    state, names, values = [], [], {}
    for name, item in bodies.items():
        position, rotation = into_world(path, item.initial.position, item.initial.rotation)
        state += [position, _steady(rotation), item.initial.joints]
        names += [f"{name}.{part}" for part in (*POSE, *item.body.coordinate_names)]
    values[STATE] = np.concatenate(state, axis=1)
    values[ACTION] = np.concatenate([values[STATE][1:], values[STATE][-1:]])
    words = {STATE: names, ACTION: names}
    for name, item in bodies.items():
        keypoints = item.body.keypoints
        if keypoints is not None and tuple(keypoints.names) == KEYPOINT_NAMES:
            places = points_into_world(path, posed_keypoints(item.body, item.initial).astype(np.float64))
            values[f"observation.{name}.keypoints"] = places.reshape(len(places), -1)
            words[f"observation.{name}.keypoints"] = [f"{point}.{axis}" for point in KEYPOINT_NAMES for axis in "xyz"]
        if item.initial.shape.size:
            values[f"observation.{name}.shape"] = np.tile(item.initial.shape, (scene.frame_count, 1))
            words[f"observation.{name}.shape"] = [f"shape_{number}" for number in range(item.initial.shape.size)]
    if recording.world.camera is not None:
        values[CAMERA] = np.concatenate([path.position, _steady(path.rotation)], axis=1)
        words[CAMERA] = list(POSE)
    there = [
        np.zeros(scene.frame_count) if item.initial.imputed is None else item.initial.imputed
        for item in bodies.values()
    ]
    values[VALID], words[VALID] = 1.0 - np.stack(there, axis=1), list(bodies)
    moved = " and ".join(item.name for item in rigid) or scene.name
    values = {key: value.astype(np.float32) for key, value in values.items()}
    return Episode(values, words, task or f"move {moved}", bodies)


def _steady(rotation: np.ndarray) -> np.ndarray:
    """Quaternions without changes of sign."""
    signs = np.where(np.sum(rotation[1:] * rotation[:-1], axis=1) < 0.0, -1.0, 1.0)
    return rotation * np.concatenate([[1.0], np.cumprod(signs)])[:, None]


def stats_of(values: np.ndarray) -> dict[str, list]:
    """Statistics of a feature (frame, value) as LeRobot has them."""
    values = values.astype(np.float64)
    found = {
        "min": values.min(axis=0),
        "max": values.max(axis=0),
        "mean": values.mean(axis=0),
        "std": values.std(axis=0),
        "count": np.array([len(values)]),
    }
    found |= {name: np.quantile(values, share, axis=0) for name, share in QUANTILES.items()}
    return {name: value.tolist() for name, value in found.items()}


def _write_tables(
    episodes: list[Episode], recordings: Sequence[Recording], folder: Path, fps: float, ends: list[float] | None
) -> None:
    """The data, what is said of the episodes, tasks, statistics and ``info.json``."""
    pa, _ = arrow()
    tasks = list(dict.fromkeys(episode.task for episode in episodes))
    gathered, begin = [], 0
    for which, episode in enumerate(episodes):
        frames, columns = np.arange(episode.frame_count), dict(episode.values)
        columns["timestamp"] = (frames / fps).astype(np.float32)[:, None]
        columns["frame_index"], columns["index"] = frames[:, None], begin + frames[:, None]
        columns["episode_index"] = np.full((len(frames), 1), which)
        columns["task_index"] = np.full((len(frames), 1), tasks.index(episode.task))
        gathered.append(columns)
        begin += len(frames)
    files, rows, begin = _write_data(gathered, folder), [], 0
    for which, (episode, columns) in enumerate(zip(episodes, gathered, strict=True)):
        row: dict[str, Any] = {
            "episode_index": which,
            "tasks": [episode.task],
            "length": episode.frame_count,
            "data/chunk_index": files[which] // CHUNK,
            "data/file_index": files[which] % CHUNK,
            "dataset_from_index": begin,
            "dataset_to_index": begin + episode.frame_count,
        }
        stats = {name: stats_of(values) for name, values in columns.items()}
        if ends is not None:
            row |= {f"videos/{IMAGE_KEY}/chunk_index": 0, f"videos/{IMAGE_KEY}/file_index": 0}
            row[f"videos/{IMAGE_KEY}/from_timestamp"] = ends[which - 1] if which else 0.0
            row[f"videos/{IMAGE_KEY}/to_timestamp"] = ends[which]
            stats[IMAGE_KEY] = image_stats([recordings[which]], QUANTILES)
        row |= {f"stats/{name}/{key}": value for name, found in stats.items() for key, value in found.items()}
        rows.append(row | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0})
        begin += episode.frame_count
    _write_parquet(folder / "meta/episodes/chunk-000/file-000.parquet", pa.Table.from_pylist(rows))
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks)})
    _write_parquet(folder / "meta/tasks.parquet", table.replace_schema_metadata({"pandas": json.dumps(_PANDAS)}))
    whole = {name: stats_of(np.concatenate([columns[name] for columns in gathered])) for name in gathered[0]}
    if ends is not None:
        whole[IMAGE_KEY] = image_stats(recordings, QUANTILES)
    info = {
        "codebase_version": VERSION,
        "robot_type": "human_hand" if any(name.startswith("hand_") for name in episodes[0].bodies) else None,
        "total_episodes": len(episodes),
        "total_frames": begin,
        "total_tasks": len(tasks),
        "chunks_size": CHUNK,
        "data_files_size_in_mb": DATA_MB,
        "video_files_size_in_mb": VIDEO_MB,
        "fps": _plain(fps),
        "splits": {"train": f"0:{len(episodes)}"},
        "data_path": DATA,
        "video_path": VIDEO if ends is not None else None,
        "features": _features(episodes[0], recordings[0], ends is not None),
    }
    for name, value in (("info.json", info), ("stats.json", whole)):
        (folder / "meta" / name).write_text(json.dumps(value, indent=4) + "\n", encoding="utf-8")


def _write_data(gathered: list[Values], folder: Path) -> list[int]:
    """The parquet files of frames, a row group for each episode; the number of the file of each."""
    pa, parquet = arrow()
    scalars = {name: pa.float32() if kind == "float32" else pa.int64() for name, kind in INDEX.items()}
    widths = {name: values.shape[1] for name, values in gathered[0].items()}
    schema = pa.schema([(name, scalars.get(name) or pa.list_(pa.float32(), width)) for name, width in widths.items()])
    writer, number, size, files = None, -1, 0, []
    for columns in gathered:
        bytes_of = sum(values.nbytes for values in columns.values())
        if writer is None or size + bytes_of > DATA_MB * 2**20:
            if writer is not None:
                writer.close()
            number, size = number + 1, 0
            target = folder / DATA.format(chunk_index=number // CHUNK, file_index=number % CHUNK)
            target.parent.mkdir(parents=True, exist_ok=True)
            writer = parquet.ParquetWriter(target, schema, compression="snappy")
        size += bytes_of
        arrays = []
        for name, values in columns.items():
            flat = pa.array(values.ravel(), type=scalars.get(name, pa.float32()))
            arrays.append(flat if name in scalars else pa.FixedSizeListArray.from_arrays(flat, widths[name]))
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        files.append(number)
    assert writer is not None, "there is an episode"
    writer.close()
    return files


def _features(episode: Episode, recording: Recording, video: bool) -> dict[str, Any]:
    """What each column is."""
    found: dict[str, Any] = {
        name: {"dtype": "float32", "shape": [values.shape[1]], "names": episode.names[name]}
        for name, values in episode.values.items()
    }
    found |= {name: {"dtype": kind, "shape": [1], "names": None} for name, kind in INDEX.items()}
    if video:
        camera = recording.scene.camera
        found[IMAGE_KEY] = {
            "dtype": "video",
            "shape": [camera.height, camera.width, 3],
            "names": ["height", "width", "channels"],
            "info": {
                "video.height": camera.height,
                "video.width": camera.width,
                "video.codec": "mpeg4",
                "video.pix_fmt": "yuv420p",
                "video.is_depth_map": False,
                "video.fps": _plain(recording.scene.fps),
                "video.channels": 3,
                "has_audio": False,
            },
        }
    return found


def _plain(fps: float) -> int | float:
    return int(fps) if fps == int(fps) else fps


def _write_parquet(target: Path, table: Any) -> None:
    _, parquet = arrow()
    target.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, target, compression="snappy")


def _write_mapping(episode: Episode, folder: Path, said: list[str]) -> None:
    """What is where, so that the data set is read back."""
    place, bodies = 0, {}
    for name, item in episode.bodies.items():
        width = len(POSE) + item.body.coordinate_count
        found: dict[str, Any] = {
            "position": f"{STATE}[{place}:{place + 3}]",
            "rotation": f"{STATE}[{place + 3}:{place + 7}]",
            "form": "xyzw",
            "valid": f"{VALID}[{len(bodies)}:{len(bodies) + 1}]",
            "known": bool(item.known),
        }
        if item.body.is_rigid:
            found["mesh"] = MESH % name
        elif item.body.kind == "mano":
            found |= {"mano": True, "side": item.body.side, "wrist": True, "flat_hand_mean": True}
            found |= {"joints": f"{STATE}[{place + 7}:{place + width}]", "shape": f"observation.{name}.shape"}
        elif f"observation.{name}.keypoints" in episode.values:
            found = {"keypoints": f"observation.{name}.keypoints", "side": item.body.side, "valid": found["valid"]}
        else:
            found |= {"joints": f"{STATE}[{place + 7}:{place + width}]"}
            said.append(f"{MAPPING_FILE} names no URDF of {name}: add it to read it back")
        bodies[name] = found
        place += width
    tree: dict[str, Any] = {"frame": "world", "bodies": bodies}
    if "z may not point up: the direction of gravity is not known" not in said:
        tree["gravity"] = [0.0, 0.0, -1.0]
    if CAMERA in episode.values:
        tree["camera"] = {"position": f"{CAMERA}[0:3]", "rotation": f"{CAMERA}[3:7]", "form": "xyzw"}
    (folder / MAPPING_FILE).write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
