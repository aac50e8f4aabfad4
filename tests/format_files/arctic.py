"""A sequence in the layout of ARCTIC: pickled dictionaries in .npy files, objects of two parts in millimetres."""

import json

import numpy as np
from scipy.spatial.transform import Rotation

from tests.format_files.clip import matrix_of
from tests.format_files.lenses import LENSES, bent_pictures
from tests.format_files.mano_hand import hand_motion, mano_vertices
from tests.format_files.samples import FRAMES, simulated, write_mano, write_obj, write_png
from tests.format_files.v2d import cameras

DIST8 = LENSES["opencv of 8"][1]
OFFSET = 3  # of picture numbers
BOX = np.array([[x, y, z] for x in (-50.0, 50.0) for y in (-40.0, 40.0) for z in (0.0, 30.0)])
FACES = np.array(
    [
        *([0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]),
        *([2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]),
    ]
)


def looking(frame):
    """World_from_camera of the third camera that stands."""
    turn = Rotation.from_euler("y", 0.3).as_matrix()
    return np.block([[turn, np.array([[-0.1], [0.05], [-0.2]])], [np.zeros((1, 3)), np.ones((1, 1))]])


def write_sequence(root):
    """``root/raw_seqs/s01/box_use_01`` with meta, images and models; what is in the world.

    Returns:
        path of the hands' file, vertices (frame, 778, 3) of both hands by side and of the object's parts by name.
    """
    scene, models = simulated(), write_mano(root / "mano")
    folder, meta = root / "raw_seqs/s01", root / "meta"
    folder.mkdir(parents=True)
    hands, world = {}, {}
    for seed, side in enumerate(("right", "left")):
        orient, shift, pose, betas = hand_motion(FRAMES, seed=20 + seed, place=(0.1 * seed, 0.0, 0.6))
        hands[side] = {"rot": orient, "pose": pose, "trans": shift, "shape": betas, "fitting_err": np.zeros(FRAMES)}
        mean = models[side]["hands_mean"]
        world[side] = np.stack(
            [mano_vertices(models[side], orient[f], pose[f] + mean, betas, shift[f])[0] for f in range(FRAMES)]
        )
    path = folder / "box_use_01.mano.npy"
    np.save(path, hands, allow_pickle=True)
    steps = np.arange(FRAMES)[:, None]
    motion = np.concatenate([0.2 + 0.1 * steps, [0.3, -0.2, 0.5] + 0.05 * steps, [20.0, 30.0, 550.0] + 4.0 * steps], 1)
    np.save(folder / "box_use_01.object.npy", motion)
    egos = np.linalg.inv(cameras(True))
    camera = {
        "R_k_cam_np": egos[:, :3, :3],
        "T_k_cam_np": egos[:, :3, 3:],
        "intrinsics": matrix_of(scene.camera),
        "dist8": np.array(DIST8),
        "ego_markers.label": ["a", "b"],
    }
    np.save(folder / "box_use_01.egocam.dist.npy", camera, allow_pickle=True)
    template = meta / "object_vtemplates/box"
    template.mkdir(parents=True)
    vertices = np.concatenate([BOX - [0.0, 0.0, 30.0], BOX * [1.0, 1.0, 0.5]])
    write_obj(template / "mesh.obj", vertices, np.concatenate([FACES, FACES + 8]))
    (template / "parts.json").write_text(json.dumps([1] * 8 + [0] * 8))
    parts = {"bottom": vertices[:8], "top": vertices[8:]}
    for name, part in parts.items():
        placed = []
        for angle, *pose in motion:
            turned = part @ Rotation.from_rotvec([0.0, 0.0, -angle if name == "top" else 0.0]).as_matrix().T
            placed.append((turned @ Rotation.from_rotvec(pose[:3]).as_matrix().T + pose[3:]) / 1000.0)
        world[name] = np.stack(placed)
    stands = np.linalg.inv(looking(0))
    others = [np.eye(4).tolist()] * 2
    misc = {
        "gender": "female",
        "ioi_offset": OFFSET,
        "image_size": [[160, 120]] * 9,
        "intris_mat": [matrix_of(scene.camera).tolist()] * 8,
        "world2cam": [*others, stands.tolist(), *others, *others, np.eye(4).tolist()],
    }
    (meta / "misc.json").write_text(json.dumps({"s01": misc}))
    for frame in range(FRAMES):
        for view in (0, 3):
            image = scene.read_rgb(frame)[..., ::-1]
            write_png(root / f"images/s01/box_use_01/{view}/{frame + OFFSET:05d}.png", image)
    bent_pictures(root / "images/s01/box_use_01/0", scene.camera, "opencv", DIST8)
    splits = root / "splits_json"
    splits.mkdir()
    (splits / "protocol_p1.json").write_text(json.dumps({"train": [], "val": ["s01/box_use_01"], "test": []}))
    return path, world
