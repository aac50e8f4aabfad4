"""Recordings of hand joints as OpenXR programs and EgoDex keep them, of a simulated hand in a world of its own."""

import json

import numpy as np
from scipy.spatial.transform import Rotation

from tests.format_files.samples import FRAMES, hand_item, simulated
from warpprior.bodies import posed_keypoints

NAMES = ["PALM", "WRIST", *(f"THUMB_{part}" for part in ("METACARPAL", "PROXIMAL", "DISTAL", "TIP"))] + [
    f"{finger}_{part}"
    for finger in ("INDEX", "MIDDLE", "RING", "LITTLE")
    for part in ("METACARPAL", "PROXIMAL", "INTERMEDIATE", "DISTAL", "TIP")
]
# Axes of OpenXR's and ARKit's worlds (y up) in our camera's frame: it looks along -z there.
TURN = np.diag([1.0, -1.0, -1.0])


def joints(side="right"):
    """26 places (frame, 26, 3) [m] in a world with y up, and quaternions xyzw: z along a bone away from the tip."""
    item = hand_item(simulated(side))
    places = posed_keypoints(item.body, item.initial).astype(np.float64) @ TURN.T + [0.1, 1.2, 0.3]
    fingers = places[:, 1:].reshape(FRAMES, 5, 4, 3)
    rows = [places[:, 0], *(fingers[:, 0, part] for part in range(4))]
    for finger in range(1, 5):
        rows += [0.75 * places[:, 0] + 0.25 * fingers[:, finger, 0], *(fingers[:, finger, part] for part in range(4))]
    rows.insert(0, 0.5 * (rows[10] + rows[11]))
    found = np.stack(rows, axis=1)
    turns = np.zeros((FRAMES, 26, 4))
    wrist, index, little = found[:, 1], found[:, 7], found[:, 22]
    back = np.cross(little - wrist, index - wrist) * (1.0 if side == "right" else -1.0)
    for frame in range(FRAMES):
        for row, name in enumerate(NAMES):
            before, after = (row - 1, row) if name.endswith("TIP") else (row, row + 1)
            z = found[frame, before] - found[frame, after]
            z = z / np.linalg.norm(z)
            x = np.cross(back[frame], z)
            x = x / np.linalg.norm(x)
            turns[frame, row] = Rotation.from_matrix(np.stack([x, np.cross(z, x), z], axis=1)).as_quat()
    return found, turns


def write_openxr(path, form, *, missing=(), times=None, hands=("right",)):
    """A recording.

    Args:
        path: of the file.
        form: ``by number``, ``by name`` (WebXR, JSON lines), ``unity`` (left-handed axes) or ``npz``.
        missing: frames without a hand, each in another way.
        times: of the frames, as they are stored.
        hands: those that are there.
    """
    times = np.arange(FRAMES) / 50.0 if times is None else times
    data = {side: joints(side) for side in hands}
    if form == "npz":
        whole = {f"{side}_joints": np.concatenate(parts, axis=2).astype(np.float32) for side, parts in data.items()}
        for values in whole.values():
            values[list(missing)] = 0.0
        np.savez(path, timestamps=times, **whole)
        return
    frames = []
    for frame in range(FRAMES):
        entry = {"timestamp": times[frame]}
        for side, (places, turns) in data.items():
            gone = frame in missing
            if form == "by name":
                names = [name.lower().replace("_", "-") for name in NAMES]
                names = [name if name.count("-") == 0 else name.replace("-", "-finger-", 1) for name in names]
                hand = {name: {"position": places[frame, row].tolist(), "radius": 0.01}
                        for row, name in enumerate(names) if name != "palm"}  # fmt: skip
                entry[f"{side}_hand"] = None if gone else hand
                continue
            flip, around = (np.array([1.0, 1.0, -1.0]), [1.0, 1.0, -1.0, -1.0]) if form == "unity" else (1.0, 1.0)
            moved, spun = places[frame] * flip, turns[frame] * np.array(around)
            if form == "unity":  # the mirror image of a frame, whose z axis is turned round as well
                matrices = np.diag([1.0, 1, -1]) @ Rotation.from_quat(turns[frame]).as_matrix() @ np.diag([1.0, 1, -1])
                spun = Rotation.from_matrix(matrices).as_quat()
            listed = [
                {
                    "pose": {
                        "position": dict(zip("xyz", place, strict=True)),
                        "orientation": dict(zip("xyzw", turn, strict=True)),
                    },
                    "radius": 0.01,
                    "locationFlags": 0 if gone and frame % 2 else 15,
                }
                for place, turn in zip((np.zeros_like(moved) if gone else moved).tolist(), spun.tolist(), strict=True)
            ]
            entry[side] = {"isActive": not gone or bool(frame % 2), "jointLocations": listed}
        frames.append(entry)
    text = "\n".join(map(json.dumps, frames)) if path.suffix == ".jsonl" else json.dumps({"frames": frames})
    path.write_text(text)


def egodex_names(side):
    """EgoDex's names of our 21 keypoints."""
    parts = ("Knuckle", "IntermediateBase", "IntermediateTip", "Tip")
    fingers = ("Thumb", "IndexFinger", "MiddleFinger", "RingFinger", "LittleFinger")
    return [f"{side}Hand", *(f"{side}{finger}{part}" for finger in fingers for part in parts)]


def egodex_camera():
    """world_from_camera (frame, 4, 4) of a moving head in a world with y up; z forward."""
    poses = np.tile(np.eye(4), (FRAMES, 1, 1))
    steps = np.arange(FRAMES)
    nods = Rotation.from_rotvec(np.outer(steps, [0.02, 0.03, -0.01])).as_matrix()
    poses[:, :3, :3] = nods @ TURN
    poses[:, :3, 3] = np.outer(steps, [0.01, 0.0, -0.02]) + np.array([0.2, 1.5, 0.1])
    return poses


def write_egodex(path, *, missing=(), video=True, frames=FRAMES):
    """An episode: the simulated hand as the right one, the left one never sure; true keypoints in the camera."""
    import h5py

    scene = simulated()
    item, way = hand_item(scene), egodex_camera()
    truth = posed_keypoints(item.body, item.initial).astype(np.float64)
    world = np.einsum("fab,fkb->fka", way[:, :3, :3], truth) + way[:, None, :3, 3]
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        camera = scene.camera
        matrix = [[camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5], [0, 0, 1]]
        file.create_dataset("camera/intrinsic", data=np.array(matrix, np.float32))
        file.create_dataset("transforms/camera", data=way.astype(np.float32))
        for side in ("left", "right"):
            for row, name in enumerate(egodex_names(side)):
                poses = np.tile(np.eye(4, dtype=np.float32), (FRAMES, 1, 1))
                poses[:, :3, 3] = world[:, row] if side == "right" else 0.1 * row
                sure = np.full(FRAMES, 0.8 if side == "right" else 0.0, np.float32)
                sure[list(missing)] = 0.0
                file.create_dataset(f"transforms/{name}", data=poses)
                file.create_dataset(f"confidences/{name}", data=sure)
            file.create_dataset(f"transforms/{side}IndexFingerMetacarpal", data=poses)
        file.attrs["llm_description"] = "lifts a mug"
    if video:
        import cv2

        writer = cv2.VideoWriter(str(path.with_suffix(".mp4")), cv2.VideoWriter_fourcc(*"mp4v"), 30.0, (160, 120))
        for frame in range(frames):
            writer.write(np.ascontiguousarray(scene.read_rgb(min(frame, FRAMES - 1))[..., ::-1]))
        writer.release()
    return truth
