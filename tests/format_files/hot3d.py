"""Recordings of HOT3D in their raw layout, and clips: a made-up UmeTrack hand, fisheye cameras on a moving head."""

import csv
import io
import json
import tarfile

import numpy as np
from scipy.spatial.transform import Rotation

FRAMES, START = 4, 43124400000000
LENS = [110.0, 111.0, 79.0, 60.0, 0.04, -0.04, 0.016, -0.01, 0.003, -0.0005, 1e-3, -5e-4, 2e-4, 1e-5, -1e-4, 2e-5]
WIDTH, HEIGHT, UID = 160, 120, "265826671143948"
SIZE = 0.06  # of the cube [m]


def profile():
    """A left hand: a palm and five fingers of four joints, each bone a small box [mm]."""
    random = np.random.default_rng(4)
    vertices, faces, bones, places, axes = [], [], [], [], []

    def box(low, high, bone):
        first = len(vertices)
        corners = [[(low, high)[(index >> axis) & 1][axis] for axis in range(3)] for index in range(8)]
        vertices.extend(corners)
        quads = [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]]
        faces.extend([first + q[i] for i in tri] for q in quads for tri in ((0, 1, 2), (0, 2, 3)))
        bones.extend([bone] * 8)

    box((0, -40, -10), (90, 40, 10), 0)
    for finger in range(5):
        y = 40 - 20 * finger
        for joint in range(4):
            places.append([92.0 + 22 * max(joint - 1, 0), float(y), 0.0])
            axis = random.normal(size=3) + ([0, 0, 3] if joint == 0 else [0, 3, 0])
            axes.append((axis / np.linalg.norm(axis)).tolist())
        for part in range(3):
            x = 92 + 22 * part
            box((x, y - 7, -7), (x + 20, y + 7, 7), 2 + 3 * finger + part)
    weights = np.zeros((len(vertices), 17))
    weights[np.arange(len(vertices)), bones] = 1.0
    tips = [[92.0 + 64, 40.0 - 20 * finger, 0.0] for finger in range(5)]
    model = {
        "mesh_vertices": [[float(x) for x in vertex] for vertex in vertices],
        "mesh_triangles": [[int(x) for x in face] for face in faces],
        "dense_bone_weights": weights.tolist(),
        "joint_rest_positions": [*places, [0.0] * 3, [0.0] * 3],
        "joint_rotation_axes": [*axes, [1.0, 0, 0], [0, 1.0, 0]],
        "joint_parent": [*(255 if joint % 4 == 0 else joint - 1 for joint in range(20)), 255, 255],
        "joint_limits": [[-0.8, 1.3]] * 22,
        "landmark_rest_positions": tips + [[0.0] * 3] * 16,
        "hand_scale": 1.0,
    }
    return {"hand_model": model}


def posed(side, wrist, angles):
    """Vertices (n, 3) [m] of a hand: turns about fixed axes through fixed places, one after the other."""
    model = {key: np.array(value) for key, value in profile()["hand_model"].items()}
    bones = [np.eye(4), np.eye(4)]
    for finger in range(5):
        chain = np.eye(4)
        for joint in range(4 * finger, 4 * finger + 4):
            turn = np.eye(4)
            turn[:3, :3] = Rotation.from_rotvec(angles[joint] * model["joint_rotation_axes"][joint]).as_matrix()
            place = model["joint_rest_positions"][joint]
            turn[:3, 3] = place - turn[:3, :3] @ place
            chain = chain @ turn
            if joint % 4:
                bones.append(chain)
    blended = np.einsum("vb,bij->vij", model["dense_bone_weights"], np.array(bones))
    vertices = np.einsum("vij,vj->vi", blended[:, :3, :3], model["mesh_vertices"]) + blended[:, :3, 3]
    matrix = wrist[:3, :3].copy()
    if side == "right":
        matrix[:, 0] *= -1.0
    return vertices @ matrix.T / 1000.0 + wrist[:3, 3]


def project(points):
    """Pixels (n, 2) of the lens, its first pixel's centre at (0, 0); one point at a time."""
    fx, fy, cx, cy, *rest = LENS
    k, p, s = rest[:6], rest[6:8], rest[8:]
    found = []
    for x, y, z in points:
        r = np.hypot(x / z, y / z)
        theta = np.arctan(r)
        bent = theta * (1 + sum(value * theta ** (2 * i + 2) for i, value in enumerate(k)))
        a, b = (bent / r * x / z, bent / r * y / z) if r > 0 else (0.0, 0.0)
        q = a * a + b * b
        u = a + 2 * a * (a * p[0] + b * p[1]) + q * p[0] + s[0] * q + s[1] * q * q
        v = b + 2 * b * (a * p[0] + b * p[1]) + q * p[1] + s[2] * q + s[3] * q * q
        found.append([fx * u + cx, fy * v + cy])
    return np.array(found)


def pose(place, turn):
    """A transform."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = Rotation.from_rotvec(turn).as_matrix(), place
    return matrix


CAMERA = pose([0.02, -0.1, -0.03], [0.1, -0.2, 0.05])  # device_from_camera


def motion():
    """world_from_device, world_from_object, and by side world_from_wrist and angles, of each frame."""
    device = [pose([0.1 + 0.01 * f, 1.2, 0.3], [0.3, 0.02 * f, -0.1]) for f in range(FRAMES)]
    in_camera = [pose([0.01 * f, 0.0, 0.5], [0.1 * f, 0.5, 0.0]) for f in range(FRAMES)]
    things = [d @ CAMERA @ c for d, c in zip(device, in_camera, strict=True)]
    hands = {}
    for number, side in enumerate(("left", "right")):
        held = [pose([0.1 - 0.2 * number, 0.05, 0.55], [0.2, 0.5 + 0.1 * f, -0.3]) for f in range(FRAMES)]
        wrists = [d @ CAMERA @ h for d, h in zip(device, held, strict=True)]
        angles = np.random.default_rng(number).uniform(0.0, 0.8, size=(FRAMES, 22))
        hands[side] = wrists, angles
    return device, things, hands


def wxyz(matrix):
    """Quaternion, w first."""
    return Rotation.from_matrix(matrix[:3, :3]).as_quat()[[3, 0, 1, 2]].tolist()


def write_table(path, uid, poses, stamps):
    """A table of poses."""
    head = ["object_uid", "timestamp[ns]", *(f"t_wo_{a}[m]" for a in "xyz"), *(f"q_wo_{a}" for a in "wxyz")]
    rows = [[uid, stamp, *pose[:3, 3].tolist(), *wxyz(pose)] for stamp, pose in zip(stamps, poses, strict=True)]
    with open(path, "w", newline="") as stream:
        csv.writer(stream).writerows([head, *rows])


def stated(matrix):
    """As JSON has it."""
    return {"quaternion_wxyz": wxyz(matrix), "translation_xyz": matrix[:3, 3].tolist()}


def cube():
    """A binary glTF file of a cube in millimetres below a node that makes metres of them."""
    import trimesh

    scene = trimesh.Scene()
    mesh = trimesh.creation.box((60.0, 60.0, 60.0))
    scene.add_geometry(mesh, node_name="x", transform=np.diag([1e-3, 1e-3, 1e-3, 1.0]))
    return scene.export(file_type="glb")


def write_recording(folder, *, missing=()):
    """The raw layout; poses in ``missing`` frames are nonsense, and masks say that they are not to be used."""
    device, things, hands = motion()
    stamps = [START + 33333333 * frame for frame in range(FRAMES)]
    (folder / "masks").mkdir(parents=True)
    library = folder.parent / "object_library"
    library.mkdir(exist_ok=True)
    (library / f"{UID}.glb").write_bytes(cube())
    (library / "instance.json").write_text(json.dumps({UID: {"instance_name": "mouse"}}))
    things = [pose([9.0, 9.0, 9.0], [0, 0, 0]) if frame in missing else one for frame, one in enumerate(things)]
    write_table(folder / "headset_trajectory.csv", "586", device, stamps)
    write_table(folder / "dynamic_objects.csv", UID, things, stamps)
    for name in ("object_pose", "headset_pose"):
        rows = [f"{stamp},1201-1,{frame not in missing or name[0] == 'h'}" for frame, stamp in enumerate(stamps)]
        (folder / f"masks/mask_{name}_available.csv").write_text("\n".join(["timestamp[ns],stream_id,mask", *rows]))
    lines = []
    for frame, stamp in enumerate(stamps):
        wrists = {side: {"t_xyz": w[frame][:3, 3].tolist(), "q_wxyz": wxyz(w[frame])} for side, (w, _) in hands.items()}
        found = {
            str(number): {"wrist_xform": wrists[side], "joint_angles": hands[side][1][frame].tolist()}
            for number, side in enumerate(("left", "right"))
        }
        lines.append(json.dumps({"timestamp_ns": stamp, "hand_poses": found}))
    (folder / "umetrack_hand_pose_trajectory.jsonl").write_text("\n".join(lines))
    (folder / "umetrack_hand_user_profile.json").write_text(json.dumps(profile()))
    camera = {"projectionModelType": "CameraModelType.FISHEYE624", "projectionParams": LENS, "stream_id": "1201-1"}
    camera |= {"imageWidth": WIDTH, "imageHeight": HEIGHT, "T_Device_Camera": stated(CAMERA)}
    (folder / "camera_models.json").write_text(json.dumps([camera]))
    return things, hands, [d @ CAMERA for d in device]


def mask_of(points):
    """The box around projected points (height, width) bool."""
    pixels = project(points)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    (left, top), (right, bottom) = pixels.min(axis=0), pixels.max(axis=0)
    return (x >= left) & (x <= right) & (y >= top) & (y <= bottom)


def run_lengths(mask):
    """Starts from one on and lengths, row by row."""
    flat = np.concatenate([[0], mask.ravel().astype(int), [0]])
    starts, stops = np.flatnonzero(np.diff(flat) == 1), np.flatnonzero(np.diff(flat) == -1)
    runs = np.stack([starts + 1, stops - starts], axis=1).ravel()
    return {"height": HEIGHT, "width": WIDTH, "rle": runs.tolist()}


def write_clip(path):
    """A clip of the same motion, with pictures and masks of its camera; masks by frame."""
    import cv2

    device, things, hands = motion()
    path.parent.mkdir(parents=True, exist_ok=True)
    library = path.parent / "object_models"
    library.mkdir(exist_ok=True)
    (library / "obj_000031.glb").write_bytes(cube())
    calibration = {"projection_model_type": "CameraModelType.FISHEYE624", "projection_params": LENS}
    calibration |= {"image_width": WIDTH, "image_height": HEIGHT, "T_device_from_camera": stated(CAMERA)}
    corners = SIZE * (np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), axis=-1).reshape(-1, 3) - 0.5)
    masks = []
    with tarfile.open(path, "w") as archive:

        def add(name, data):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

        for frame in range(FRAMES):
            world_from_camera = device[frame] @ CAMERA
            seen = np.linalg.inv(world_from_camera) @ things[frame]
            masks.append(mask_of(corners @ seen[:3, :3].T + seen[:3, 3]))
            camera = {"calibration": calibration, "T_world_from_camera": stated(world_from_camera)}
            thing = {"T_world_from_object": stated(things[frame]), "masks_modal": {"1201-1": run_lengths(masks[-1])}}
            held = {
                side: {"umetrack_pose": {"joint_angles": a[frame][:20].tolist(), "wrist_xform": w[frame].tolist()}}
                for side, (w, a) in hands.items()
            }
            image = np.where(masks[-1], 200, 30).astype(np.uint8)
            add(f"{frame:06d}.cameras.json", json.dumps({"1201-1": camera}).encode())
            add(f"{frame:06d}.objects.json", json.dumps({"31": [thing]}).encode())
            add(f"{frame:06d}.hands.json", json.dumps(held).encode())
            stamps = {"image_timestamps_ns": {"1201-1": START + 33333333 * frame}}
            add(f"{frame:06d}.info.json", json.dumps(stamps).encode())
            add(f"{frame:06d}.image_1201-1.jpg", cv2.imencode(".jpg", image)[1].tobytes())
        add("__hand_shapes.json__", json.dumps({"mano": [0.0] * 10, "umetrack": profile()}).encode())
    return masks
