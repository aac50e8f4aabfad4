"""A data set of one scene in the BOP layout, as bop_toolkit documents it: millimetres, matrices row by row."""

import json

import cv2
import numpy as np

from tests.format_files.clip import matrix_of
from tests.format_files.lenses import bent_pictures
from tests.format_files.samples import FRAMES, object_of, simulated, transforms, write_png
from tests.format_files.v2d import cameras

ITEM = 14


def write_ply(path, vertices, faces):
    """A mesh as PLY text."""
    head = ["ply", "format ascii 1.0", f"element vertex {len(vertices)}", *(f"property float {axis}" for axis in "xyz")]
    head += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header"]
    rows = ["{:.9g} {:.9g} {:.9g}".format(*place) for place in vertices]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*head, *rows, *("3 {} {} {}".format(*face) for face in faces), ""]))


def write_scene(root, *, sensor="", gone=(), masks=True):
    """``root/test/000007`` and ``root/models``; the folder of the scene.

    Args:
        root: the data set.
        sensor: suffix of all names.
        gone: images in which the object is not to be seen: R and t are -1.
        masks: of what is visible.
    """
    scene, item = simulated(), object_of(simulated())
    folder, tail = root / "test/000007", f"_{sensor}" if sensor else ""
    matrices, worlds = transforms(item.initial), np.linalg.inv(cameras(True))
    views, truth, infos = {}, {}, {}
    for frame in range(FRAMES):
        turn, shift = matrices[frame, :3, :3].ravel().tolist(), (1000.0 * matrices[frame, :3, 3]).tolist()
        if frame in gone:
            turn, shift = [-1.0] * 9, [-1.0] * 3
        views[str(frame)] = {
            "cam_K": matrix_of(scene.camera).ravel().tolist(),
            "depth_scale": 0.1,
            "cam_R_w2c": worlds[frame, :3, :3].ravel().tolist(),
            "cam_t_w2c": (1000.0 * worlds[frame, :3, 3]).tolist(),
        }
        other = {"obj_id": 3, "cam_R_m2c": np.eye(3).ravel().tolist(), "cam_t_m2c": [200.0, 0.0, 900.0]}
        truth[str(frame)] = [other, {"obj_id": ITEM, "cam_R_m2c": turn, "cam_t_m2c": shift}]
        infos[str(frame)] = [{"visib_fract": 0.0}, {"visib_fract": float(frame not in gone)}]
        write_png(folder / f"rgb{tail}/{frame:06d}.png", scene.read_rgb(frame)[..., ::-1])
        write_png(folder / f"depth{tail}/{frame:06d}.png", np.full((120, 160), 5000 + frame, np.uint16))
        if masks and frame not in gone:
            mask = (scene.labels[frame] == item.label).astype(np.uint8) * 255
            write_png(folder / f"mask_visib{tail}/{frame:06d}_{1:06d}.png", mask)
    for name, tree in (("scene_camera", views), ("scene_gt", truth), ("scene_gt_info", infos)):
        (folder / f"{name}{tail}.json").write_text(json.dumps(tree))
    for number in (3, ITEM):
        write_ply(root / f"models/obj_{number:06d}.ply", 1000.0 * item.body.vertices, item.body.faces)
    info = {str(ITEM): {"diameter": 100.0, "symmetries_continuous": [{"axis": [0, 0, 1], "offset": [0, 0, 0]}]}}
    (root / "models/models_info.json").write_text(json.dumps(info))
    return folder


def crop_images(folder, offsets):
    """Cut every image of a scene to a window of 128 x 96 pixels at its own place (left, top), and say so in cam_K."""
    views = json.loads((folder / "scene_camera.json").read_text())
    for frame, (left, top) in enumerate(offsets):
        matrix = views[str(frame)]["cam_K"]
        matrix[2], matrix[5] = matrix[2] - left, matrix[5] - top
        for path in folder.glob(f"*/{frame:06d}*.png"):
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            write_png(path, image[top : top + 96, left : left + 128])
    (folder / "scene_camera.json").write_text(json.dumps(views))


def see_through(folder, numbers):
    """Pictures and masks of a scene as FISHEYE624 shows them, and scene_camera.json as HOT3D has it."""
    camera = simulated().camera
    views = json.loads((folder / "scene_camera.json").read_text())
    lens = [camera.fx, camera.fy, camera.cx - 0.5, camera.cy - 0.5, *numbers]
    for view in views.values():
        del view["cam_K"]
        view["cam_model"] = {
            "label": "camera-rgb",
            "projection_model_type": "CameraModelType.FISHEYE624",
            "projection_params": lens,
            "image_width": camera.width,
            "image_height": camera.height,
        }
    (folder / "scene_camera.json").write_text(json.dumps(views))
    for name in sorted({path.parent for path in folder.rglob("*.png")}):
        bent_pictures(name, camera, "fisheye", numbers)
