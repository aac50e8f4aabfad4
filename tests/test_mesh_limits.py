"""Hostile meshes are refused, or read, within a fixed memory: what they ask for is counted before it is expanded."""

import importlib.util
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from tests.glb_files import GlbBuilder, finger
from tests.mesh_files import box_dae, box_glb, box_obj, box_ply
from warpprior.bodies.repair import MAX_FACES

ROOT = Path(__file__).resolve().parents[1]
MEMORY = 1_200 * 2**20  # bytes beyond what the program takes before it reads

READ_ALL = """
import resource, sys
from pathlib import Path
from warpprior.bodies import read_mesh, read_skin
from warpprior.support.errors import InputError
import cv2, scipy.sparse.csgraph, scipy.spatial.transform
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]),) * 2)
for path in sorted(Path(sys.argv[2]).iterdir()):
    if path.suffix in (".png", ".mtl"):
        continue
    try:
        body = (read_skin if path.stem.startswith("skin") else read_mesh)(path, "x")
        print(path.name, "|", body.face_count, "faces", "|", *body.warnings)
    except InputError as error:
        print(path.name, "|", error)
"""


def shared_mesh(builder, count):
    """Many nodes that show the first mesh."""
    builder.tree["nodes"] = [{"mesh": 0} for _ in range(count)]
    return builder.data()


def imagined_arrays():
    """Accessors without data, which stand for zeros, worn by many primitives."""
    builder = GlbBuilder()
    accessor = {"componentType": 5126, "type": "VEC3", "count": 3 * MAX_FACES // 2}
    builder.tree["accessors"] = [accessor] * 100
    parts = [{"attributes": {"POSITION": index}, "mode": 4} for index in range(100)]
    builder.tree |= {"meshes": [{"primitives": parts}], "nodes": [{"mesh": 0}]}
    return builder.data()


def one_huge_attribute():
    """Small primitives that each name one large array as their colour."""
    builder = box_glb()
    primitive = builder.tree["meshes"][0]["primitives"][0]
    primitive["attributes"]["COLOR_0"] = builder.add(np.zeros((500_000, 4)), "|u1", normalized=True)
    builder.tree["meshes"][0]["primitives"] = [primitive] * 10_000
    return builder.data()


def deep_nodes():
    """A chain of 20,000 nodes, beside 60,000 children of one."""
    builder = box_glb()
    chain = [{"children": [index + 1]} for index in range(20_000)]
    flat = {"mesh": 0, "children": list(range(20_001, 80_000))}
    builder.tree["nodes"] = [*chain, flat, *({} for _ in range(59_999))]
    return builder.data()


def json_glb(text):
    """A GLB of a JSON chunk alone."""
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON") + text


def bomb_png(width, height):
    """A PNG that claims a large picture of nothing."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    chunks = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", head), (b"IDAT", body), (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


def hostile_files():
    """Names, contents, and what their message or result must hold; None for files that others name."""
    places = {"u": ("float", np.full(8, 0.3)), "v": ("float", np.full(8, 0.4))}
    lists = box_ply(kind="binary_little_endian").replace(b"list uchar int", b"list uint int")
    at = lists.index(b"end_header\n") + 11 + 8 * 12
    doubled = "".join(
        f'<node id="n{i}"><instance_node url="#n{i + 1}"/><instance_node url="#n{i + 1}"/></node>' for i in range(40)
    )
    doubled = f'<library_nodes>{doubled}<node id="n40"/></library_nodes>'
    names = "\n".join(f"usemtl {'m' * 500}{i}\nf 1 2 3" for i in range(20_000))
    heads = "\n".join(f"newmtl m{i}\nmap_Kd {'./' * i}bomb.png" for i in range(1000))
    worn = [(face, f"usemtl m{face}") for face in range(12)]
    yield "nodes.glb", shared_mesh(box_glb(), 100_000), "shows 100000 primitives"
    yield "faces.glb", shared_mesh(grid_glb(), 15_000), "faces; simplify it"
    yield "imagined.glb", imagined_arrays(), "vertices; simplify it|faces; simplify it"
    yield "attribute.glb", one_huge_attribute(), "some colours cannot be read (has 500000 elements"
    yield "deep.glb", deep_nodes(), "12 faces"
    yield "deep_json.glb", json_glb(b"[" * 1_000_000), "nested too deep|cannot be read"
    yield "wide_json.glb", json_glb(b"[" + b"1," * 5_000_000 + b"1]"), "more than 4000000 values"
    yield "skin_nodes.glb", skin_nodes(), "shows 2020000 vertices|vertices with 3 joints|shows"
    yield "lines.obj", b"\n" * (12 * MAX_FACES + 1), "more than 24000000 lines"
    yield "faces.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\n" + b"f 1 2 3\n" * (MAX_FACES + 1), "more than 2000000 faces"
    yield "polygon.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf" + b" 1" * 10_000_000, "is longer than"
    yield "endless.obj", b"v 0 0 0\nf" + b"\\\n" * 3_000_000, "is longer than"
    yield "names.obj", box_obj(head="mtllib names.mtl").encode() + names.encode(), "13 faces"
    yield "textures.obj", box_obj(head="mtllib a.mtl\nvt 0 0", corner="{0}/1", per_face=worn).encode(), "megapixels"
    yield "a.mtl", heads.encode(), None
    yield "lists.ply", lists[:at] + b"\xf0\xff\xff\xff" + lists[at + 4 :], "claims 12 of 'face'"
    yield "rows.ply", b"ply\nformat ascii 1.0\nelement vertex 4000000000\nend_header\n", "claims 4000000000"
    yield "text.ply", box_ply().replace(b"\n3 ", b"\n4000000000 ", 1), "claims 12 of 'face'"
    yield "properties.ply", properties_ply(), "more than 256 properties"
    yield "picture.ply", box_ply(comments=["TextureFile bomb.png"], vertex=places), "megapixels"
    yield "words.stl", b"solid x\n" + b"a " * 10_000_000 + b"\nendsolid", "no faces|0 faces|0 vertices"
    yield "facets.stl", b"solid x\n" + b"endfacet\n" * (MAX_FACES + 1) + b"endsolid", "2000001 faces"
    yield "doubled.dae", box_dae(nodes=doubled, scene='<node><instance_node url="#n0"/></node>').encode(), "nodes"
    yield "laughs.dae", b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><COLLADA>&b;</COLLADA>', "DOCTYPE"
    yield "loop.dae", box_dae(scene='<node id="l"><instance_node url="#l"/></node>').encode(), "deep"
    yield "bomb.png", bomb_png(60_000, 60_000), None


def grid_glb():
    """A mesh of 200 faces."""
    builder = box_glb()
    primitive = builder.tree["meshes"][0]["primitives"][0]
    primitive["indices"] = builder.add(np.arange(600) % 8, "<u2")
    return builder


def skin_nodes():
    """Twenty thousand nodes that show one skinned mesh."""
    builder = finger()
    builder.tree["nodes"] += [{"mesh": 0, "skin": 0} for _ in range(19_999)]
    return builder.data()


def properties_ply():
    """A header of 1,000 properties."""
    lines = [f"property uchar p{i}" for i in range(1000)]
    return "\n".join(["ply", "format ascii 1.0", "element vertex 1", *lines, "end_header", ""]).encode()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux to limit memory")
@pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="needs OpenCV")
def test_hostile_meshes_stay_within_memory(tmp_path):
    """Each file ends in its sentence, in one process that may take no more than a fixed amount of memory."""
    wanted = {}
    for name, content, message in hostile_files():
        (tmp_path / name).write_bytes(content)
        if message is not None:
            wanted[name] = message
    command = [sys.executable, "-c", READ_ALL, str(MEMORY), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
    said = dict(line.split(" | ", 1) for line in done.stdout.splitlines())
    assert done.returncode == 0, done.stderr[-2000:]
    for name, message in wanted.items():
        assert any(part in said[name] for part in message.split("|")), f"{name}: {said[name]}"
        assert "more memory" not in said[name] and "Error" not in said[name], f"{name}: {said[name]}"
    assert set(said) == set(wanted)


def test_small_header_of_a_large_mesh_is_refused_by_its_count(tmp_path):
    """The message says how much a file of shared meshes shows, exactly."""
    from warpprior.bodies import read_mesh
    from warpprior.support.errors import InputError

    (tmp_path / "a.glb").write_bytes(shared_mesh(grid_glb(), 10_001))
    with pytest.raises(InputError, match="shows 2000200 faces"):
        read_mesh(tmp_path / "a.glb", "a")
