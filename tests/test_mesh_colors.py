"""Colours of meshes: what each format defines, and that what cannot be read is said and costs nothing else."""

import numpy as np
import pytest

from tests.mesh_files import BOX, box_dae, box_glb, box_obj, box_ply, plain_png, png_bytes
from warpprior.bodies import read_mesh, read_urdf
from warpprior.bodies.readers.mesh_files.companions import named_files
from warpprior.bodies.readers.mesh_files.linear_light import to_linear, to_srgb
from warpprior.bodies.readers.mesh_files.textures import SCAN_LIMIT

GREEN = np.array([10, 200, 30]) / 255.0


@pytest.fixture
def read(tmp_path):
    """Write files beside each other, read the first as a mesh."""

    def read(name, content, scale=1.0, **others):
        files = {name: content} | {other.replace("_dot_", "."): data for other, data in others.items()}
        for file, data in files.items():
            (tmp_path / file).write_bytes(data.encode() if isinstance(data, str) else data)
        return read_mesh(tmp_path / name, "mesh", scale=scale)

    return read


def assert_all(body, color, atol=1e-6):
    """The body has its eight vertices, all of one colour."""
    assert body.vertex_count == len(BOX.vertices)
    np.testing.assert_allclose(body.colors, np.tile(color, (body.vertex_count, 1)), atol=atol)


def assert_bare(body, message):
    """The body has its shape, no colours, and one warning that says why."""
    assert body.face_count == len(BOX.faces) and body.closed and body.colors is None
    assert len(body.warnings) == 1 and message in body.warnings[0], body.warnings


def test_linear_light_and_back():
    """The transfer of sRGB at its known points, and both ways."""
    np.testing.assert_allclose(to_srgb(np.array([0.0, 0.0031308, 0.214041, 1.0])), [0, 0.04045, 0.5, 1.0], atol=1e-5)
    values = np.linspace(0.0, 1.0, 50)
    np.testing.assert_allclose(to_srgb(to_linear(values)), values, atol=1e-6)


def test_glb_materials_without_texture(read):
    """Each part wears its material's colour, linear in the file; where two parts meet it is their mean."""
    builder = box_glb(material=0)
    box_glb(builder=builder, shift=0.1, material=1)
    builder.tree["materials"] = [
        {"pbrMetallicRoughness": {"baseColorFactor": [1.0, 0.0, 0.0, 1.0]}},
        {"pbrMetallicRoughness": {"baseColorFactor": [0.0, 0.0, 0.214041, 1.0]}},
    ]
    body = read("two.glb", builder.data())
    assert body.vertex_count == 12
    assert [warning for warning in body.warnings if "colour" in warning] == [
        "parts of different colours meet at 4 of 12 vertices, which have the mean of them"
    ]
    left, right = body.vertices[:, 0] < 0.0, body.vertices[:, 0] > 0.1
    np.testing.assert_allclose(body.colors[left], np.tile([1.0, 0.0, 0.0], (4, 1)), atol=1e-6)
    np.testing.assert_allclose(body.colors[right], np.tile([0.0, 0.0, 0.5], (4, 1)), atol=1e-5)
    np.testing.assert_allclose(body.colors[~left & ~right].mean(axis=0), [0.5, 0.0, 0.25], atol=0.01)


def test_glb_vertex_colours_multiply_the_material(read):
    """COLOR_0 times baseColorFactor, in linear light; without a material COLOR_0 alone."""
    builder = box_glb()
    own = builder.add(np.tile([255, 128, 0, 255], (8, 1)), "|u1", normalized=True)
    builder.tree["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"] = own
    assert_all(read("a.glb", builder.data()), to_srgb(np.array([1.0, 128 / 255, 0.0])))
    builder.tree["materials"] = [{"pbrMetallicRoughness": {"baseColorFactor": [0.5, 0.5, 1.0, 1.0]}}]
    builder.tree["meshes"][0]["primitives"][0]["material"] = 0
    assert_all(read("b.glb", builder.data()), to_srgb(np.array([0.5, 64 / 255, 0.0])))


def textured_glb(factor, uri=None, texture=None):
    """A box that wears a texture, blue in its upper half, red below."""
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, :, 2], image[1, :, 0] = 255, 188
    builder = box_glb(material=0)
    places = builder.add(np.tile([0.25, 0.9], (8, 1)))
    builder.tree["meshes"][0]["primitives"][0]["attributes"]["TEXCOORD_0"] = places
    data = np.frombuffer(png_bytes(image), dtype=np.uint8)
    view = builder.tree["accessors"][builder.add(data, "|u1")]["bufferView"]
    builder.tree["images"] = [{"bufferView": view, "mimeType": "image/png"} if uri is None else {"uri": uri}]
    builder.tree["textures"] = [{"source": 0}]
    base = {"baseColorFactor": factor, "baseColorTexture": {"index": 0, **(texture or {})}}
    builder.tree["materials"] = [{"pbrMetallicRoughness": base}]
    return builder


def test_glb_textures_are_tinted_and_moved(read):
    """The factor tints in linear light; v runs downwards; KHR_texture_transform moves the coordinates."""
    pytest.importorskip("cv2")
    assert_all(read("a.glb", textured_glb([1.0, 1.0, 1.0, 1.0]).data()), [188 / 255, 0.0, 0.0])
    tinted = to_srgb(to_linear(np.array([188 / 255, 0.0, 0.0])) * 0.5)
    assert_all(read("b.glb", textured_glb([0.5, 0.5, 0.5, 1.0]).data()), tinted)
    moved = {"extensions": {"KHR_texture_transform": {"offset": [0.0, 0.5]}}}
    assert_all(read("c.glb", textured_glb([1.0, 1.0, 1.0, 1.0], texture=moved).data()), [0.0, 0.0, 1.0])


def test_glb_colours_that_cannot_be_read_cost_nothing_else(read):
    """A picture in another file, a texture coordinate or a factor that makes no sense: a warning, and no colours."""
    assert_bare(read("a.glb", textured_glb([1, 1, 1, 1], uri="other.png").data()), "'other.png' lies in another file")
    assert_bare(read("b.glb", textured_glb([1, 1, 1, 1], texture={"texCoord": 5}).data()), "some colours cannot be")
    assert_bare(read("c.glb", textured_glb([1, 1]).data()), "some colours cannot be read")
    builder = textured_glb([1, 1, 1, 1])
    builder.tree["textures"] = [{"extensions": {"KHR_texture_basisu": {"source": 0}}}]
    assert_bare(read("d.glb", builder.data()), "some colours cannot be read")
    assert read("plain.glb", box_glb().data()).colors is None and read("plain.glb", box_glb().data()).warnings == ()


def test_parts_without_a_colour_are_said(read):
    """Beside a coloured part, one without any colour is grey, with a warning that counts it."""
    builder = box_glb(material=0)
    box_glb(builder=builder, shift=0.5)
    builder.tree["materials"] = [{"pbrMetallicRoughness": {"baseColorFactor": [0.0, 1.0, 0.0, 1.0]}}]
    body = read("a.glb", builder.data())
    np.testing.assert_allclose(body.colors[:8], np.tile([0.0, 1.0, 0.0], (8, 1)))
    np.testing.assert_allclose(body.colors[8:], 0.7)
    assert len(body.warnings) == 1 and "8 of 16 vertices have no colour" in body.warnings[0]


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_ply_wears_its_texture(read, kind):
    """Coordinates of vertices (BOP, MeshLab) or of faces' corners, in every encoding."""
    pytest.importorskip("cv2")
    picture = plain_png([10, 200, 30])
    places = {"texture_u": ("float", np.full(8, 0.3)), "texture_v": ("float", np.full(8, 0.4))}
    by_vertex = box_ply(comments=["TextureFile t.png"], vertex=places, kind=kind)
    assert_all(read("a.ply", by_vertex, t_dot_png=picture), GREEN)
    corners = {"texcoord": ("float", np.full((12, 6), 0.5)), "texnumber": ("int", np.zeros(12, int))}
    by_face = box_ply(comments=["TextureFile t.png", "TextureFile u.png"], face=corners, kind=kind)
    assert_all(read("b.ply", by_face, t_dot_png=picture), GREEN)


def test_ply_without_its_texture_has_no_colours(read, capfd):
    """A missing texture, no coordinates, no name: no colours, one warning, nothing else on the screen."""
    places = {"s": ("float", np.full(8, 0.3)), "t": ("float", np.full(8, 0.4))}
    assert_bare(read("a.ply", box_ply(comments=["TextureFile gone.png"], vertex=places)), "'gone.png' is not in its")
    assert_bare(read("b.ply", box_ply(comments=["TextureFile gone.png"])), "no texture coordinates")
    assert_bare(read("c.ply", box_ply(vertex=places)), "no texture (comment TextureFile NAME)")
    outside = box_ply(comments=["TextureFile ../../t.png"], vertex=places)
    assert_bare(read("d.ply", outside), "is not in its folder")
    assert capfd.readouterr() == ("", "")


def test_ply_colours_of_vertices_and_faces(read):
    """Bytes, 16 bits and floats of vertices; those of faces where vertices have none."""
    names = ("red", "green", "blue")
    for kind, largest in (("uchar", 255), ("ushort", 65535), ("float", 1.0)):
        values = {name: (kind, [share * largest] * 8) for name, share in zip(names, (1.0, 0.0, 0.2), strict=True)}
        values = {name: (t, [v if t == "float" else int(v) for v in row]) for name, (t, row) in values.items()}
        assert_all(read("a.ply", box_ply(vertex=values)), [1.0, 0.0, 0.2], atol=1e-4)
    values = {name: ("uchar", [value] * 12) for name, value in zip(names, (255, 0, 51), strict=True)}
    assert_all(read("b.ply", box_ply(face=values, kind="binary_little_endian")), [1.0, 0.0, 0.2])


def test_missing_material_library_is_named(read):
    """The library's name is in the warning; several, and several on a line, are read."""
    head = "mtllib gone.mtl\nusemtl red"
    assert_bare(read("a.obj", box_obj(head=head)), "the material library 'gone.mtl' is not in the folder")
    head = "mtllib one.mtl two.mtl\nmtllib three words.mtl\nusemtl red"
    red = "newmtl red\nKd 1 0 0\n"
    assert_all(read("b.obj", box_obj(head=head), one_dot_mtl="", two_dot_mtl=red, **{"three words.mtl": ""}), [1, 0, 0])
    body = read("c.obj", box_obj(head="mtllib one.mtl\nusemtl blue"), one_dot_mtl=red)
    assert_bare(body, "no material library defines 'blue'")


def test_diffuse_colours_in_every_form(read):
    """Three numbers, one for all, CIE XYZ; a spectrum costs that colour alone, with a warning."""
    for text, color in (
        ("Kd 0.5", [0.5] * 3),
        ("Kd 0.1 0.2 2.0 # clipped", [0.1, 0.2, 1.0]),
        ("Kd xyz 0.9505 1.0 1.089", [1.0, 1.0, 1.0]),
        ("Kd xyz 0.4124 0.2126 0.0193", [1.0, 0.0, 0.0]),
    ):
        body = read("a.obj", box_obj(head="mtllib m.mtl\nusemtl a #1"), m_dot_mtl=f"newmtl a #1\n{text}\n")
        assert_all(body, color, atol=0.02)
        assert body.warnings == ()
    for text in ("Kd spectral x.rfl", "Kd 1 2", "Kd a b c", "Kd nan", "Kd"):
        body = read("a.obj", box_obj(head="mtllib m.mtl\nusemtl a"), m_dot_mtl=f"newmtl a\n{text}\n")
        assert_bare(body, "the colour Kd of 'a' cannot be read")
    half = box_obj(head="mtllib m.mtl\nusemtl a", per_face=[(10, "usemtl b")])
    body = read("b.obj", half, m_dot_mtl="newmtl a\nKd 0.5\nnewmtl b\nKd spectral x.rfl\n")
    assert body.vertex_count == 8 and any("Kd of 'b'" in warning for warning in body.warnings)
    np.testing.assert_allclose(body.colors, 0.5)


def test_texture_options_and_names(read):
    """Options before the name, blanks in it; a texture that is missing leaves the plain colour, with a warning."""
    pytest.importorskip("cv2")
    picture = plain_png([10, 200, 30])
    for options in ("", "-s 1 1 1 -clamp on ", "-o 0.5 -mm 0 1 ", "-bm 1.0 -t 1 2 "):
        library = f"newmtl a\nKd 1 1 1\nmap_Kd {options}a b.png\n"
        text = box_obj(head="mtllib m.mtl\nvt 0.5 0.5\nusemtl a", corner="{0}/1")
        body = read("a.obj", text, m_dot_mtl=library, **{"a b.png": picture})
        assert_all(body, GREEN)
        assert body.warnings == ()
    body = read("a.obj", text, m_dot_mtl="newmtl a\nKd 0.2 0.3 0.4\nmap_Kd -s 1 1 gone.png\n")
    assert_all(body, [0.2, 0.3, 0.4])
    assert len(body.warnings) == 1 and "'gone.png' is not in its folder" in body.warnings[0]


def test_pictures_of_many_scans_are_not_decoded(read):
    """A JPEG of more scans than any camera makes costs its colours alone."""
    cv2 = pytest.importorskip("cv2")
    data = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    data = data[:-2] + b"\xff\xda" * SCAN_LIMIT + data[-2:]
    places = {"u": ("float", np.full(8, 0.3)), "v": ("float", np.full(8, 0.4))}
    assert_bare(read("a.ply", box_ply(comments=["TextureFile t.jpg"], vertex=places), t_dot_jpg=data), "scans")


@pytest.mark.parametrize("kind", ["triangles", "polylist"])
def test_collada_is_placed_and_coloured(read, kind):
    """Centimetres, a turned node, and the diffuse colour; a texture; one that is missing."""
    body = read("a.dae", box_dae(kind=kind))
    assert_all(body, [1.0, 0.0, 0.0])
    assert body.closed and body.warnings == ()
    np.testing.assert_allclose(body.vertices.max(axis=0), [0.2, 0.05, 0.15], atol=1e-6)
    np.testing.assert_allclose(body.vertices.min(axis=0), [0.0, -0.05, -0.15], atol=1e-6)
    assert_bare(read("b.dae", box_dae(material="worn", kind=kind)), "'t.png' is not in its folder")
    assert_bare(read("c.dae", box_dae(material="gone", kind=kind)), "the material 'gone' cannot be read")
    pytest.importorskip("cv2")
    assert_all(read("d.dae", box_dae(material="worn", kind=kind), t_dot_png=plain_png([10, 200, 30])), GREEN)


def test_robots_take_materials_of_any_link(tmp_path):
    """One defined in a link and named in another; those of meshes where a link has none; what is missing is said."""
    (tmp_path / "part.dae").write_text(box_dae(), encoding="utf-8")
    (tmp_path / "bare.obj").write_text(box_obj(head="mtllib gone.mtl\nusemtl a"), encoding="utf-8")
    box = "<geometry><box size='0.08 0.06 0.06'/></geometry>"
    links = {
        "a": f"{box}<material name='red'><color rgba='1 0 0 1'/></material>",
        "b": f"{box}<material name='red'/>",
        "c": "<geometry><mesh filename='part.dae'/></geometry>",
        "d": "<geometry><mesh filename='bare.obj'/></geometry>",
        "e": "<geometry><mesh filename='bare.obj'/></geometry><material name='red'/>",
        "f": f"{box}<material name='photo'><texture filename='t.png'/></material>",
        "g": f"{box}<material name='nothing'/>",
        "h": f"{box}<material name='short'><color rgba='0.5 0.5 0.5'/></material>",
        "i": f"{box}<material name='broken'/>",
    }
    text = "".join(f"<link name='{name}'><visual>{inner}</visual></link>" for name, inner in links.items())
    text += "".join(
        f"<joint name='j{name}' type='fixed'><parent link='a'/><child link='{name}'/></joint>" for name in "bcdefghi"
    )
    text += "<material name='broken'><color rgba='a b c d'/></material>"
    (tmp_path / "r.urdf").write_text(f"<robot name='r'>{text}</robot>", encoding="utf-8")
    body = read_urdf(tmp_path / "r.urdf", "r")
    for link, name in enumerate(body.link_names):
        colors = body.colors[body.skin_links[:, 0] == link]
        expected = [1.0, 0.0, 0.0] if name in "abce" else [0.7] * 3
        np.testing.assert_allclose(colors, np.tile(expected, (8, 1)), atol=1e-6, err_msg=name)
    said = " | ".join(body.warnings)
    for part in (
        "bare.obj: the material library 'gone.mtl'",
        "'photo': is a texture",
        "'nothing': has no colour",
        "'short': its colour cannot be read (rgba is '0.5 0.5 0.5')",
        "so it is with 1 more meshes or materials",
    ):
        assert said.count(part) == 1, said
    assert "5 links have shapes without a colour; they are grey (0.7): 'd', 'f', 'g', 'h', 'i'" in said


def test_what_meshes_name_is_found_for_copies(tmp_path):
    """Libraries and their textures, buffers and pictures, but nothing outside the folder."""
    files = {
        "a.obj": "mtllib a b.mtl\nmtllib c.mtl ../up.mtl\n",
        "a b.mtl": "newmtl a\nmap_Kd -s 1 1 1 t.png\n",
        "c.mtl": "newmtl c\nmap_Kd gone.png\n",
        "a.ply": "ply\ncomment TextureFile t.png\nend_header\n",
        "a.gltf": '{"buffers": [{"uri": "t%2Epng"}, {"uri": "data:;base64,AAAA"}]}',
        "a.dae": "<image><init_from>t.png</init_from></image><init_from>../../etc/passwd</init_from>",
        "t.png": "x",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = {mesh: sorted(file.name for file in named_files(tmp_path / mesh)) for mesh in files}
    assert found == {
        "a.obj": ["a b.mtl", "c.mtl", "t.png"],
        "a b.mtl": ["t.png"],
        "c.mtl": [],
        "a.ply": ["t.png"],
        "a.gltf": ["t.png"],
        "a.dae": ["t.png"],
        "t.png": [],
    }
