"""Small valid files of every format, made here."""

from __future__ import annotations

import base64
import io
import json
import struct
import tempfile
from pathlib import Path

import numpy as np

from tests.small_scene import (
    ARM_URDF,
    BOX_FACES,
    BOX_VERTICES,
    FRAMES,
    HEIGHT,
    WIDTH,
    edit_text,
    label_image,
    pose_arrays,
    write_image,
    write_scene,
)

COLORS = np.linspace(0.0, 1.0, 24).reshape(8, 3)
QUADS = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
USD_FRAMES = 3


def write_whole_scene(folder: Path) -> Path:
    """The small scene with every file that a scene may name."""
    write_scene(folder)
    edit_text(folder, "fps = 10.0", 'fps = 10.0\ndepth = "depth/{:06d}.png"\ntimestamps = "timestamps.npz"')
    hand = '[[body]]\nname = "hand"\nkind = "hand"\nside = "left"\nlabel = 3\n\n[poses]'
    maps = '[contact_maps]\nfile = "contact_maps.npz"\n\n'
    edit_text(folder, "[poses]", f'[keypoints]\nfile = "keypoints.npz"\n\n{maps}[noise]\nlabels = 1.5\n\n{hand}')
    for frame in range(FRAMES):
        image = label_image(frame)
        image[2:6, 2:9] = 3
        write_image(folder / f"labels/{frame:06d}.png", image)
        write_image(folder / f"depth/{frame:06d}.png", np.full((HEIGHT, WIDTH), 500 + frame, np.uint16))
    arrays = {**pose_arrays(), **_hand_poses()}
    np.savez(folder / "initial.npz", **arrays)
    np.savez(folder / "truth.npz", **arrays)
    np.savez(folder / "timestamps.npz", timestamps=np.array([0.0, 0.11, 0.2]))
    np.savez(folder / "keypoints.npz", **_detections())
    np.savez(folder / "contact_maps.npz", **{"box/hand/distances": np.linspace(0.0, 0.05, 8)})
    return folder


def write_scene_and_result(folder: Path) -> Path:
    """The same, and in it a result of its first poses, which was interrupted."""
    from warpprior import load_scene, save_poses
    from warpprior.io.checkpoint import save_checkpoint
    from warpprior.io.result_folder import describe_parts

    scene, result = load_scene(write_whole_scene(folder)), folder / "result"
    result.mkdir()
    save_poses(result / "poses.npz", {body.name: body.initial for body in scene.bodies})
    save_checkpoint(result, {"state": np.zeros(3)}, {"inputs": {"scene": "0"}})
    (result / "metrics.json").write_text("{}")
    (result / "config.json").write_text(json.dumps({"complete": False, "parts": describe_parts(result)}))
    return folder


def write_scene_of_moving_camera(folder: Path) -> Path:
    """The small scene, with poses of its camera and the direction of gravity."""
    from warpprior.formats import CameraPath, Recording, World, write
    from warpprior.io import load_scene

    scene = load_scene(write_scene(folder.with_name("still")))
    path = CameraPath(np.zeros((FRAMES, 3)), np.tile([0.0, 0.0, 0.0, 1.0], (FRAMES, 1)), np.array([True, False, True]))
    write(Recording(scene, World(path, np.array([0.0, 1.0, 0.0]))), folder, "scene")
    return folder


def _hand_poses() -> dict[str, np.ndarray]:
    return {
        "hand/position": np.tile([0.0, -0.1, 0.5], (FRAMES, 1)),
        "hand/rotation": np.tile(np.eye(3), (FRAMES, 1, 1)),
        "hand/joints": np.zeros((FRAMES, 45)),
    }


def _detections() -> dict[str, np.ndarray]:
    along, sure = np.linspace(-1.0, 1.0, 21), np.full(21, 0.9)
    flat = np.stack([32.0 + 8.0 * along, 12.0 + 5.0 * along**2, sure], axis=1)
    deep = np.stack([0.08 * along, -0.1 + 0.05 * along**2, 0.5 + 0.01 * along, sure], axis=1)
    return {
        "hand/keypoints2d": np.tile(flat, (FRAMES, 1, 1)),
        "hand/keypoints3d": np.tile(deep, (FRAMES, 1, 1)),
        "box/box2d": np.tile([26.0, 19.0, 38.0, 30.0], (FRAMES, 1)),
        "box/center": np.tile([0.0, 0.0, 0.5], (FRAMES, 1)),
    }


def archive(**arrays: np.ndarray) -> bytes:
    """The bytes of an ``.npz`` file."""
    stored = io.BytesIO()
    np.savez(stored, **arrays)  # type: ignore[arg-type]
    return stored.getvalue()


def animations() -> list[bytes]:
    """Surfaces at every frame, with and without colours."""
    moving = (BOX_VERTICES + np.array([0, 0, 0.5]))[None] + 0.01 * np.arange(FRAMES)[:, None, None]
    plain = archive(vertices=moving.astype(np.float32), faces=BOX_FACES)
    return [plain, archive(vertices=moving, faces=BOX_FACES.astype(np.uint8), colors=COLORS)]


def pictures(channels: str) -> list[bytes]:
    """PNG files: ``labels`` grey, palette and few bits, ``rgb`` colour and alpha, ``depth`` 16-bit."""
    import cv2

    def encode(image: np.ndarray, *options: int) -> bytes:
        return cv2.imencode(".png", image, list(options))[1].tobytes()

    if channels == "labels":
        grey = label_image(1)
        return [encode(grey), encode((grey > 0).astype(np.uint8), cv2.IMWRITE_PNG_BILEVEL, 1), _palette(grey)]
    ramp = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)
    if channels == "depth":
        return [encode(ramp)]
    color = np.stack([ramp, ramp // 7, ramp // 11], axis=-1).astype(np.uint8)
    return [encode(color), encode(np.dstack([color, color[..., 0]])), encode(color[..., 0])]


def _palette(indices: np.ndarray) -> bytes:
    import zlib

    rows = b"".join(b"\0" + row.tobytes() for row in indices)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    out = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"PLTE", bytes(range(30))), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return out


def jpegs() -> list[bytes]:
    """A colour picture and a grey one."""
    import cv2

    color = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint32).reshape(HEIGHT, WIDTH, 3).astype(np.uint8)
    return [cv2.imencode(".jpg", image)[1].tobytes() for image in (color, color[..., 0])]


def objs() -> list[bytes]:
    """Plain, with colours, and with quads, normals, texture coordinates, groups and a material."""
    places = ["v {:g} {:g} {:g}".format(*place) for place in BOX_VERTICES]
    colored = ["v {:g} {:g} {:g} {:g} {:g} {:g}".format(*a, *b) for a, b in zip(BOX_VERTICES, COLORS, strict=True)]
    triangles = ["f {} {} {}".format(*(face + 1)) for face in BOX_FACES]
    rich = ["mtllib box.mtl", "o box", *places, "vt 0 0", "vt 1 0.5", "vn 0 0 1", "g all", "usemtl red", "s off"]
    rich += ["f " + " ".join(f"{corner + 1}/{1 + corner % 2}/1" for corner in quad) for quad in QUADS]
    relative = [*places, *("f {} {} {}".format(*(face - 8)) for face in BOX_FACES)]
    texts = ([*places, *triangles], [*colored, *triangles], rich, relative)
    return ["\n".join(lines).encode() + b"\n" for lines in texts]


def mtls() -> list[bytes]:
    """Materials of :func:`objs`."""
    return [b"newmtl red\nKd 0.8 0.1 0.1\nKa 0 0 0\nd 1\nillum 2\n", b"newmtl red\nKd 1 1 1\nmap_Kd box.png\n"]


def plys() -> list[bytes]:
    """As text and binary, with and without colours, with quads."""
    import trimesh

    mesh = trimesh.Trimesh(BOX_VERTICES, BOX_FACES, process=False)
    colored = trimesh.Trimesh(BOX_VERTICES, BOX_FACES, process=False, vertex_colors=(255 * COLORS).astype(np.uint8))
    head = ["ply", "format ascii 1.0", "comment TextureFile box.png", "element vertex 8"]
    head += [*(f"property float {axis}" for axis in "xyz"), "element face 6", "property list uchar int vertex_indices"]
    rows = [" ".join(f"{value:g}" for value in place) for place in BOX_VERTICES]
    rows += [" ".join(map(str, (4, *quad))) for quad in QUADS]
    quads = "\n".join([*head, "end_header", *rows, ""]).encode()
    return [
        *(one.export(file_type="ply", encoding=kind) for one in (mesh, colored) for kind in ("binary", "ascii")),
        quads,
    ]


def stls() -> list[bytes]:
    """Binary and as text."""
    corners = BOX_VERTICES[BOX_FACES].astype("<f4")
    binary = b"\0" * 80 + struct.pack("<I", len(corners))
    binary += b"".join(b"\0" * 12 + one.tobytes() + b"\0\0" for one in corners)
    text = "solid box\n"
    for one in corners:
        rows = "".join("vertex {:g} {:g} {:g}\n".format(*corner) for corner in one)
        text += f"facet normal 0 0 0\nouter loop\n{rows}endloop\nendfacet\n"
    return [binary, text.encode() + b"endsolid box\n"]


def glbs() -> list[bytes]:
    """A box of one node, and one with colours, a material, a texture and nodes in a tree."""
    import trimesh
    from PIL import Image

    mesh = trimesh.Trimesh(BOX_VERTICES, BOX_FACES, process=False)
    colored = trimesh.Trimesh(BOX_VERTICES, BOX_FACES, process=False, vertex_colors=(255 * COLORS).astype(np.uint8))
    tree = trimesh.Scene()
    tree.add_geometry(mesh, node_name="a", transform=np.diag([2.0, 1.0, 1.0, 1.0]))
    material = trimesh.visual.material.PBRMaterial(
        baseColorFactor=[200, 100, 50, 255], baseColorTexture=Image.fromarray((255 * COLORS[None]).astype(np.uint8))
    )
    textured = trimesh.Trimesh(BOX_VERTICES, BOX_FACES, process=False)
    textured.visual = trimesh.visual.TextureVisuals(uv=COLORS[:, :2], material=material)
    tree.add_geometry(textured, node_name="b", parent_node_name="a")
    return [one.export(file_type="glb") for one in (trimesh.Scene(mesh), trimesh.Scene(colored), tree)]


def gltfs() -> list[bytes]:
    """The same as text, with their binary parts in it."""
    found = []
    for data in glbs():
        (length,) = struct.unpack_from("<I", data, 12)
        tree, binary = json.loads(data[20 : 20 + length]), data[28 + length :]
        tree["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(binary).decode()
        found.append(json.dumps(tree).encode())
    return found


def daes() -> list[bytes]:
    """A box in centimetres below a node, as triangles and as polygons."""
    from tests.mesh_files import box_dae

    return [box_dae(kind=kind).encode() for kind in ("triangles", "polylist")]


def skins() -> list[bytes]:
    """A finger of three joints."""
    from tests.glb_files import finger

    return [finger().data(), finger(scale=0.01, names=("wrist", "thumb-tip", "tip"), seed=3).data()]


def urdfs() -> list[bytes]:
    """The arm of the small scene, and one with meshes, materials, mimic joints and cylinders."""
    rich = """<robot name="arm"><material name="red"><color rgba="1 0 0 1"/></material>
<link name="base"><visual><origin xyz="0 0 0" rpy="0 0.1 0"/>
<geometry><mesh filename="box.obj" scale="1 1 1"/></geometry>
<material name="red"/></visual><collision><geometry><sphere radius="0.02"/></geometry></collision></link>
<link name="a"><visual><geometry><cylinder radius="0.01" length="0.1"/></geometry></visual></link>
<link name="b"><visual><geometry><sphere radius="0.01"/></geometry></visual></link><link name="c"/>
<joint name="j" type="continuous"><parent link="base"/><child link="a"/><origin xyz="0 0 0.1"/>
<axis xyz="1 0 0"/></joint>
<joint name="k" type="revolute"><parent link="a"/><child link="b"/><axis xyz="0 0 2"/><limit lower="0" upper="1"/>
<mimic joint="j" multiplier="0.5" offset="0.1"/></joint>
<joint name="l" type="fixed"><parent link="b"/><child link="c"/></joint></robot>
"""
    return [ARM_URDF.encode(), rich.encode()]


def manos(kind: str) -> list[bytes]:
    """A MANO file with few bytes per number: as ``pkl`` of today and of Python 2 with its classes, or as ``npz``."""
    import pickle

    from tests.mano_files import mano_arrays, published, python2_pickle

    arrays = mano_arrays()
    small = {key: value.astype(np.float32) if value.dtype.kind == "f" else value for key, value in arrays.items()}
    small["posedirs"], small["hands_coeffs"] = small["posedirs"].astype(np.float16), small["hands_coeffs"][:3]
    if kind == "npz":
        return [archive(**small)]
    return [pickle.dumps(small, 2), python2_pickle(published({**arrays, "posedirs": small["posedirs"]}), 2)]


def plain_pickles(folder: Path) -> list[bytes]:
    """Data of people in protocols old and new."""
    import pickle

    tree = {
        "a": np.arange(6.0).reshape(2, 3),
        "n": np.float32(2),
        "p": Path("a/1.jpg"),
        "l": [(1, "x", None, True)] * 3,
    }
    return [pickle.dumps(tree, 2), pickle.dumps(tree, 4)]


def joblib_files(folder: Path) -> list[bytes]:
    """joblib's arrays, PyTorch's tensors in them, and an array of objects."""
    from tests.format_files.network_hands import joblib_bytes

    stored = io.BytesIO()
    np.save(stored, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    return [joblib_bytes([np.arange(24, dtype=np.float32).reshape(2, 3, 4), np.arange(6)]), stored.getvalue()]


def torch_archives(folder: Path) -> list[bytes]:
    """What torch.save writes, made by hand: a pickle, and a file for each storage."""
    import zipfile

    text = (
        b"\x80\x02}X\x01\0\0\0xctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n"
        b"X\x01\0\0\x000X\x03\0\0\0cpuK\x06tQK\0K\x02K\x03\x86K\x03K\x01\x86\x89ccollections\nOrderedDict\n)RtRs."
    )
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr("a/data.pkl", text)
        archive.writestr("a/byteorder", "little")
        archive.writestr("a/data/0", np.arange(6, dtype="<f4").tobytes())
    return [stored.getvalue()]


def usdas() -> list[bytes]:
    """A box in motion below a moving transform, with a camera."""
    points = [(BOX_VERTICES + np.array([0.01 * frame, 0, 0.5])).tolist() for frame in range(USD_FRAMES)]
    samples = "".join(f"{frame}: {[tuple(one) for one in rows]}, " for frame, rows in enumerate(points))
    mesh = f"""def Mesh "Box" (kind = "component") {{
    int[] faceVertexCounts = {[4] * 6}
    int[] faceVertexIndices = {QUADS.ravel().tolist()}
    uniform token subdivisionScheme = "none"
    point3f[] points.timeSamples = {{{samples}}}
}}
"""
    head = f"""#usda 1.0
(
    metersPerUnit = 1
    startTimeCode = 0
    endTimeCode = {USD_FRAMES - 1}
    timeCodesPerSecond = 10
    upAxis = "Y"
)
"""
    placed = f"""def Xform "World" {{
    double3 xformOp:translate.timeSamples = {{0: (0, 0, 0), 2: (0, 0.1, 0)}}
    uniform token[] xformOpOrder = ["xformOp:translate"]
{mesh}
    def Scope "Thing" {{
    }}
    def Camera "View" {{
        matrix4d xformOp:transform = ((1,0,0,0), (0,-1,0,0), (0,0,-1,0), (0,0,0,1))
        uniform token[] xformOpOrder = ["xformOp:transform"]
    }}
}}
def "Copy" (instanceable = true
    references = </World/Thing>
    variants = {{
        string look = "a"
    }}
    prepend variantSets = "look") {{
    variantSet "look" = {{
        "a" {{
            custom double a = 1
        }}
    }}
}}
"""
    return [(head + mesh).encode(), (head + placed.split('def "Copy"')[0]).encode(), (head + placed).encode()]


def usdcs() -> list[bytes]:
    """The same as binary files."""
    from pxr import Sdf

    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(usdas()[:2]):
            layer, path = Sdf.Layer.CreateAnonymous(f"{number}.usda"), f"{folder}/{number}.usdc"
            layer.ImportFromString(text.decode())
            layer.Export(path)
            found.append(Path(path).read_bytes())
    return found
