"""The older parquet files as robotic_grounding/retarget/data_logger.py has them: hands of MANO in the world."""

import numpy as np
import pyarrow as pa

from tests.format_files.mano_hand import hand_motion, mano_vertices
from tests.format_files.motion_v1 import LINKS, columns, write_columns
from tests.format_files.samples import FRAMES, object_of, simulated, write_mano, write_obj

MANOPTH = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)
TIPS = {"right": (745, 317, 444, 556, 673), "left": (745, 317, 445, 556, 673)}


def hand_columns(side, model, *, flat, centre, seed):
    """Columns of one hand, and its vertices (frame, 778, 3)."""
    orient, shifts, fingers, betas = hand_motion(FRAMES, seed=seed, place=(0.3, 0.4, 1.0))
    mean = np.zeros(45) if flat else model["hands_mean"]
    vertices, joints = [], []
    for frame in range(FRAMES):
        surface, bones = mano_vertices(model, orient[frame], fingers[frame] + mean, betas)
        if centre == 0:
            surface, bones = surface - bones[0], bones - bones[0]
        places = np.concatenate([bones, surface[list(TIPS[side])]])[list(MANOPTH)] + shifts[frame]
        vertices.append(surface + shifts[frame])
        joints.append(places)
    real = pa.float32()
    vectors, touched = pa.list_(pa.list_(real)), pa.list_(pa.list_(pa.list_(real)))
    key, count = f"mano_{side}", len(LINKS)
    empty = np.zeros((FRAMES, count, 3))
    found = {
        f"{key}_betas": (betas, pa.list_(real)),
        f"{key}_trans": (shifts, vectors),
        f"{key}_global_orient": (orient, vectors),
        f"{key}_finger_pose": (fingers, vectors),
        f"{key}_joints": (np.array(joints), touched),
        f"{key}_joints_wxyz": (np.tile([1.0, 0.0, 0.0, 0.0], (FRAMES, 21, 1)), touched),
        f"{key}_fitting_err": (np.zeros(FRAMES), pa.list_(real)),
        f"{key}_object_contact_part_ids": (np.zeros((FRAMES, count), int), pa.list_(pa.list_(pa.int32()))),
    }
    kinds = [f"{key}_{of}_contact_{what}" for of in ("link", "object") for what in ("positions", "normals")]
    return found | dict.fromkeys(kinds, (empty, touched)), np.array(vertices)


def write_sharpa(root, *, flat=False, centre=-1, sides=("right", "left"), **changed):
    """A file, its mesh and the models; vertices of the hands by side."""
    models = write_mano(root / "mano")
    text = pa.string()
    kept = {name: value for name, value in columns().items() if name.startswith("object_")}
    made = {
        "sequence_id": ("pour", text),
        "raw_motion_file": ("", text),
        "robot_name": ("sharpa_wave", text),
        "fps": (30.0, pa.float32()),
        "mano_flat_hand_mean": (flat, pa.bool_()),
        "mano_center_idx": (centre, pa.int32()),
        "mano_link_names": (LINKS, pa.list_(text)),
        "robot_right_wrist_position": (np.zeros((FRAMES, 3)), pa.list_(pa.list_(pa.float32()))),
    }
    vertices = {}
    for number, side in enumerate(sides):
        found, vertices[side] = hand_columns(side, models[side], flat=flat, centre=centre, seed=number)
        made |= found
    item = object_of(simulated())
    (root / "assets/mug").mkdir(parents=True, exist_ok=True)
    write_obj(root / "assets/mug/mug.obj", item.body.vertices, item.body.faces)
    made |= kept
    made |= {name: (value, made[name][1]) for name, value in changed.items()}
    return write_columns(root / "pour.parquet", made), vertices
