"""Loose outputs as their programs leave them: FoundationPose, SAM 2, COCO, COLMAP, evo (TUM)."""

import json

import numpy as np
from scipy.spatial.transform import Rotation

from tests.format_files.samples import FRAMES, hand_item, object_of, simulated, transforms, write_obj, write_png


def matrix_of(camera):
    """K, of pixels whose centres are at integers."""
    return np.array([[camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5], [0, 0, 1.0]])


def write_clip(folder, *, first=0, scale=1.0):
    """Colours, masks of the object, poses as FoundationPose saves them, K and a mesh; the scene that they are of.

    Args:
        folder: to make.
        first: number of the first frame.
        scale: units of the mesh in a metre.
    """
    scene = simulated()
    item = object_of(scene)
    for frame in range(FRAMES):
        write_png(folder / f"rgb/{frame + first:06d}.png", scene.read_rgb(frame)[..., ::-1])
        write_png(folder / f"masks/{frame + first:06d}.png", 255 * (scene.labels[frame] == item.label).astype(np.uint8))
    write_text_poses(folder / "ob_in_cam", transforms(item.initial), first=first)
    np.savetxt(folder / "cam_K.txt", matrix_of(scene.camera))
    (folder / "mesh").mkdir()
    write_obj(folder / "mesh/mug.obj", scale * item.body.vertices, item.body.faces)
    return scene


def write_text_poses(folder, matrices, *, first=0):
    """A 4x4 text file for each frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame, matrix in enumerate(matrices):
        np.savetxt(folder / f"{frame + first:06d}.txt", matrix.reshape(4, 4))


def write_tum(path, matrices, *, rate=25.0):
    """A trajectory: t x y z qx qy qz qw."""
    turns = Rotation.from_matrix(matrices[:, :3, :3]).as_quat()
    rows = [
        f"{frame / rate:.6f} " + " ".join(f"{value:.12f}" for value in (*matrix[:3, 3], *turn))
        for frame, (matrix, turn) in enumerate(zip(matrices, turns, strict=True))
    ]
    path.write_text("\n".join(["# timestamp tx ty tz qx qy qz qw", *rows, ""]))


def write_json_poses(path, matrices):
    """By frame: nested lists."""
    path.write_text(json.dumps({f"{frame:06d}": matrix.tolist() for frame, matrix in enumerate(matrices)}))


def write_v2d_poses(folder, matrices):
    """A file for each frame: rotation w, x, y, z, translation and scale."""
    folder.mkdir(parents=True)
    for frame, matrix in enumerate(matrices):
        x, y, z, w = Rotation.from_matrix(matrix[:3, :3]).as_quat()
        tree = {"rotation": [w, x, y, z], "translation": matrix[:3, 3].tolist(), "scale": [1.0, 1.0, 1.0]}
        (folder / f"{frame:06d}.json").write_text(json.dumps(tree))


def runs_of(mask):
    """COCO's uncompressed counts: down the columns, zeros first."""
    flat = mask.T.ravel().astype(int)
    changes = np.flatnonzero(np.diff(flat)) + 1
    places = [0, *changes, len(flat)]
    lengths = np.diff(places).tolist()
    return [0, *lengths] if flat[0] else lengths


def packed(runs):
    """COCO's compressed counts, by its published rule (maskApi.c)."""
    text = ""
    for index, run in enumerate(runs):
        value = run - runs[index - 2] if index > 2 else run
        more = True
        while more:
            code = value & 0x1F
            value >>= 5
            more = value != -1 if code & 0x10 else value != 0
            text += chr((code | 0x20 if more else code) + 48)
    return text


def masks_of(scene):
    """Masks (frame, height, width) of the object and the hand."""
    return {"mug": scene.labels == object_of(scene).label, "hand_right": scene.labels == hand_item(scene).label}


def palette_png(indices):
    """The bytes of an 8-bit palette PNG."""
    import struct
    import zlib

    height, width = indices.shape
    rows = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in indices)
    out = b"\x89PNG\r\n\x1a\n"
    parts = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)), (b"PLTE", bytes(range(90))))
    for kind, body in (*parts, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return out
