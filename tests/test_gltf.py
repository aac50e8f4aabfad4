"""glTF files: strips and fans, scenes, instances, files beside a .gltf, and what is refused."""

import base64
import json

import numpy as np
import pytest

from tests.glb_files import GlbBuilder
from tests.mesh_files import BOX, box_glb, plain_png
from warpprior.bodies import read_mesh
from warpprior.support.errors import InputError


@pytest.fixture
def read(tmp_path):
    """Write bytes under a name, and read them as a mesh."""

    def read(data, name="a.glb"):
        (tmp_path / name).write_bytes(data)
        return read_mesh(tmp_path / name, "a")

    return read


def as_gltf(builder, uri):
    """The text of the builder's file with its binary chunk elsewhere, and that chunk."""
    data = builder.data()
    size = int.from_bytes(data[12:16], "little")
    tree, binary = json.loads(data[20 : 20 + size]), data[28 + size :]
    tree["buffers"][0]["uri"] = uri or "data:application/octet-stream;base64," + base64.b64encode(binary).decode()
    return json.dumps(tree).encode(), binary


@pytest.mark.parametrize("mode", [4, 5, 6])
def test_triangles_strips_and_fans(read, mode):
    """Two triangles of a square face the same way in each mode, with and without indices."""
    corners = {4: [0, 1, 2, 0, 2, 3], 5: [0, 1, 3, 2], 6: [0, 1, 2, 3]}[mode]
    square = 0.1 * np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    for indexed in (True, False):
        builder = GlbBuilder()
        primitive = {"attributes": {"POSITION": builder.add(square if indexed else square[corners])}, "mode": mode}
        primitive |= {"indices": builder.add(corners, "<u2")} if indexed else {}
        builder.tree |= {"meshes": [{"primitives": [primitive]}], "nodes": [{"mesh": 0}]}
        body = read(builder.data())
        a, b, c = np.moveaxis(body.vertices[body.faces].astype(np.float64), 1, 0)
        np.testing.assert_allclose(np.cross(b - a, c - a)[:, 2], 0.01, rtol=1e-6)
        assert (body.vertex_count, body.face_count) == (4, 2)


def test_points_and_lines_are_left_out(read):
    """They are said; a file of nothing else is refused."""
    builder = box_glb()
    primitives = builder.tree["meshes"][0]["primitives"]
    primitives.append({**primitives[0], "mode": 1})
    assert read(builder.data()).warnings == ("lines and points were left out",)
    del primitives[0]
    with pytest.raises(InputError, match="no faces"):
        read(builder.data())


def test_the_scene_that_is_shown_counts(read):
    """Nodes of other scenes are not shown; children and instances are."""
    builder = box_glb()
    builder.tree["nodes"] = [
        {"children": [1, 2], "translation": [0.5, 0, 0]},
        {"mesh": 0},
        {"mesh": 0, "translation": [0, 0.5, 0]},
        {"mesh": 0, "translation": [0, 0, 2.0]},
    ]
    builder.tree |= {"scenes": [{"nodes": [3]}, {"nodes": [0]}], "scene": 1}
    body = read(builder.data())
    assert body.vertex_count == 16
    np.testing.assert_allclose(body.vertices.max(axis=0), [0.55, 0.6, 0.15], atol=1e-6)


def test_gltf_with_files_beside_it(read, tmp_path):
    """A buffer and a picture beside the file or in data: addresses; nothing outside the folder."""
    pytest.importorskip("cv2")
    builder = box_glb(material=0)
    places = builder.add(np.full((8, 2), 0.5))
    builder.tree["meshes"][0]["primitives"][0]["attributes"]["TEXCOORD_0"] = places
    builder.tree |= {"textures": [{"source": 0}], "images": [{"uri": "a%20picture.png"}]}
    builder.tree["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
    (tmp_path / "a picture.png").write_bytes(plain_png([10, 200, 30]))
    text, binary = as_gltf(builder, "parts/a.bin")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.bin").write_bytes(binary)
    for content in (text, as_gltf(builder, None)[0]):
        body = read(content, "a.gltf")
        assert body.warnings == () and (body.vertex_count, body.face_count) == (len(BOX.vertices), len(BOX.faces))
        np.testing.assert_allclose(body.colors, np.tile(np.array([10, 200, 30]) / 255, (8, 1)), atol=1e-6)
    for uri, message in (
        ("../a.bin", "'../a.bin' is not in its folder"),
        ("/etc/passwd", "is not in its folder"),
        ("data:;base64,&&&", "cannot be decoded"),
        ("parts/none.bin", "is not in its folder"),
    ):
        with pytest.raises(InputError, match=message):
            read(as_gltf(builder, uri)[0], "a.gltf")


def test_broken_gltf_is_refused(read):
    """A face beyond its part's vertices, a node with two parents, arrays of other lengths, a JSON that is none."""
    builder = box_glb()
    box_glb(builder=builder, shift=0.5)
    bad = builder.add(np.array([0, 1, 9]), "<u2")
    builder.tree["meshes"][0]["primitives"][0]["indices"] = bad
    with pytest.raises(InputError, match="a face uses vertex 9 of 8"):
        read(builder.data())
    builder = box_glb()
    builder.tree["nodes"] = [{"children": [2]}, {"children": [2]}, {"mesh": 0}]
    with pytest.raises(InputError, match="two parents"):
        read(builder.data())
    builder = box_glb()
    builder.tree["accessors"][0]["sparse"] = {}
    with pytest.raises(InputError, match="sparse"):
        read(builder.data())
    with pytest.raises(InputError, match="JSON cannot be read"):
        read(b"{", "a.gltf")
