"""motion_v1 files as robotic_grounding/motion_schema/writer.py has them: poses x, y, z, qw, qx, qy, qz."""

from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.spatial.transform import Rotation

from tests.format_files.samples import FRAMES, hand_item, object_of, simulated, write_obj

UP = Rotation.from_euler("x", -90, degrees=True)  # world_from_camera: z up for a camera that looks along y
SHIFT = np.array([0.3, -0.2, 1.1])
LINKS = ["palm", *(f"{finger}{part}" for finger in ("thumb", "index", "middle", "ring", "pinky") for part in (1, 2, 3))]
NAMES = [
    "wrist",
    *(
        f"{finger}{part}"
        for finger in ("thumb", "index", "middle", "ring", "little")
        for part in ("1", "2", "3", "tip")
    ),
]


def in_world(position, rotation):
    """Poses (frame, 7) of the camera's frame in the world, quaternions first real."""
    turned = (UP * Rotation.from_quat(rotation)).as_quat()
    return np.concatenate([UP.apply(position) + SHIFT, turned[:, [3, 0, 1, 2]]], axis=1)


def hand_frames(item):
    """Frames of the hand's keypoints (frame, 21, 7), all turned as the wrist is."""
    from warpprior.bodies import posed_keypoints

    places = posed_keypoints(item.body, item.initial).astype(np.float64)
    rows = [in_world(places[:, key], item.initial.rotation) for key in range(places.shape[1])]
    return np.stack(rows, axis=1)


def columns(scene=None, **changed):
    """Columns of a file: values and Arrow types by name."""
    scene = simulated() if scene is None else scene
    item, hand = object_of(scene), hand_item(scene)
    count = scene.frame_count
    body = in_world(item.initial.position, item.initial.rotation)
    side = hand.body.side
    real, text = pa.float32(), pa.string()
    vectors = pa.list_(pa.list_(real))
    pose = pa.list_(real, 7)
    touched = pa.list_(pa.list_(vectors))
    empty = np.zeros((1, count, len(LINKS), 3))
    found = {
        "schema_version": ("motion_v1", text),
        "motion_kind": ("dual_hand", text),
        "source_dataset": ("made", text),
        "raw_motion_file": ("", text),
        "coord_frame": ("world", text),
        "source_kind": ("mano", text),
        "fps": (30.0, real),
        "source_payload": (b"\x80\x04cos\nsystem\n(S'touch /tmp/opened'\ntR.", pa.binary()),
        "robot_joint_names": ([], pa.list_(text)),
        "robot_root_position": ([], vectors),
        "hand_sides": ([side], pa.list_(text)),
        "hand_frame_names": ([[f"{side}_{name}" for name in NAMES]], pa.list_(pa.list_(text))),
        "hand_frames_w": (hand_frames(hand)[None], pa.list_(pa.list_(pa.list_(pose)))),
        "hand_finger_joint_names": ([[]], pa.list_(pa.list_(text))),
        "hand_finger_joints": ([[]], pa.list_(vectors)),
        "object_name": ("mug", text),
        "object_body_names": (["mug"], pa.list_(text)),
        "object_mesh_paths": (["/data/of/somebody/assets/mug/mug.obj"], pa.list_(text)),
        "object_mesh_radius": ([0.06], pa.list_(real)),
        "object_articulation": (np.zeros(count), pa.list_(real)),
        "object_root_position": (body[:, :3], vectors),
        "object_root_axis_angle": (Rotation.from_quat(body[:, [4, 5, 6, 3]]).as_rotvec(), vectors),
        "object_body_position": (body[:, None, :3], pa.list_(vectors)),
        "object_body_wxyz": (body[:, None, 3:], pa.list_(vectors)),
        "hand_contact_link_names": ([LINKS], pa.list_(pa.list_(text))),
        "hand_link_contact_positions": (empty, touched),
        "hand_object_contact_positions": (empty, touched),
        "hand_link_contact_normals": (empty, touched),
        "hand_object_contact_normals": (empty, touched),
        "hand_object_contact_part_ids": (
            np.zeros((1, count, len(LINKS)), int), pa.list_(pa.list_(pa.list_(pa.int32())))),
        "hand_contact_active": (np.zeros((1, count)), vectors),
        "ik_error_per_frame": (np.arange(float(count)), pa.list_(real)),
    }  # fmt: skip
    return found | {name: (value, found[name][1] if name in found else text) for name, value in changed.items()}


def write_columns(path, made):
    """One row."""
    plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, (value, _) in made.items()}
    schema = pa.schema([pa.field(name, kind) for name, (_, kind) in made.items()])
    arrays = [pa.array([plain[name]], kind) for name, (_, kind) in made.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, compression="zstd")
    return path


def write_motion(root, sequence="pour+1", robot="sharpa_wave", scale=1.0, scene=None, **changed):
    """A file in its partition folders, and the mesh some folders above, as big as its unit has it."""
    item = object_of(simulated() if scene is None else scene)
    folder = root / f"sequence_id={quote(sequence, safe='')}" / f"robot_name={robot}"
    (root / "assets/mug").mkdir(parents=True, exist_ok=True)
    write_obj(root / "assets/mug/mug.obj", item.body.vertices / scale, item.body.faces)
    return write_columns(folder / "0f-0.parquet", columns(scene, **changed))


def read_columns(path):
    """All values of the only row."""
    return {name: values[0] for name, values in pq.ParquetFile(path).read().to_pydict().items()}


__all__ = ["FRAMES", "columns", "read_columns", "write_motion"]
