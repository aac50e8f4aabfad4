"""Mesh files: what is read, what is repaired and said, and what is refused."""

import json
import struct

import numpy as np
import pytest
import trimesh
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from warpprior.bodies import read_mesh
from warpprior.bodies.primitives import make_box, make_capsule, make_cylinder, make_sphere
from warpprior.bodies.readers.mesh_files.linear_light import to_srgb
from warpprior.support.errors import InputError
from warpprior.support.files import read_bytes

SIZE = np.array([0.1, 0.2, 0.3])
BOX = make_box(SIZE)
BOX_VOLUME = SIZE.prod()


def obj_text(vertices, faces, first=1):
    """An OBJ file of triangles or polygons."""
    lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in vertices]
    return "\n".join(lines + ["f " + " ".join(str(int(i) + first) for i in face) for face in faces]) + "\n"


def stl_bytes(surface):
    """A binary STL file."""
    corners = surface.vertices[surface.faces].astype("<f4")
    return bytes(80) + struct.pack("<I", len(corners)) + b"".join(bytes(12) + c.tobytes() + bytes(2) for c in corners)


def volume(body):
    """Signed volume of a body's surface [m3]."""
    return float(np.linalg.det(body.vertices[body.faces].astype(np.float64)).sum() / 6.0)


@pytest.fixture
def write(tmp_path):
    """Write bytes or text to a named file in a fresh folder and give its path."""

    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.mark.parametrize("kind", ["obj", "ply", "ascii.ply", "stl", "text.stl", "glb"])
def test_every_format_gives_the_same_box(write, kind):
    """Eight vertices, twelve faces, closed, the right volume, no warnings, from each format."""
    box = trimesh.Trimesh(BOX.vertices, BOX.faces, process=False)
    export = {"ascii.ply": {"file_type": "ply", "encoding": "ascii"}, "text.stl": {"file_type": "stl_ascii"}}
    body = read_mesh(write(f"box.{kind}", box.export(**export.get(kind, {"file_type": kind}))), "box")
    assert (body.vertex_count, body.face_count, body.closed, body.warnings) == (8, 12, True, ())
    assert volume(body) == pytest.approx(BOX_VOLUME, rel=1e-5)
    assert body.name == "box" and body.kind == "mesh" and body.is_rigid


def test_obj_polygons_negative_indices_and_odd_lines(write):
    """Quads, indices from the end, texture and normal slots, continued lines, CRLF, tabs and a byte-order mark."""
    text = "\ufeff# a box\r\n" + obj_text(BOX.vertices, []).replace("\n", "\r\n").replace("v ", "v\t")
    text += "vt 0 0\r\nvn 0 0 1\r\no side\r\ng group\r\ns off\r\n"
    quads = [[1, 3, 4, 2], [5, 6, 8, 7], [1, 2, 6, 5], [3, 7, 8, 4], [1, 5, 7, 3], [2, 4, 8, 6]]
    text += "".join("f " + " ".join(f"{i}/1/1" for i in q[:2]) + " \\\r\n" + f"{q[2]}//1 {q[3] - 9}\r\n" for q in quads)
    body = read_mesh(write("box.obj", text), "box")
    assert (body.vertex_count, body.face_count, body.closed) == (8, 12, True)
    assert volume(body) == pytest.approx(BOX_VOLUME, rel=1e-5)


def test_scale_turns_millimetres_into_metres(write):
    """A box in millimetres is refused with the cures of a likely size, read with one, doubted when it is tiny."""
    path = write("box.obj", obj_text(BOX.vertices * 1000, BOX.faces))
    with pytest.raises(InputError, match=r"100 x 200 x 300 m.*mesh_scale = 0\.001"):
        read_mesh(path, "box")
    assert volume(read_mesh(path, "box", scale=0.001)) == pytest.approx(BOX_VOLUME, rel=1e-5)
    path = write("box.obj", obj_text(BOX.vertices / SIZE * [8, 6, 12], BOX.faces))
    with pytest.raises(InputError, match=r"0\.01 \(centimetres\) makes it 120 mm, 0\.0254 \(inches\) makes it 305 mm"):
        read_mesh(path, "box")
    assert read_mesh(path, "box", scale=0.01).warnings == ()
    (said,) = read_mesh(path, "box", scale=0.001).warnings
    assert "only 12 mm" in said and "mesh_scale = 0.01 (centimetres) makes it 120 mm" in said


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_scale_must_be_a_positive_number(write, scale):
    """A scale that is zero, negative or not finite is refused."""
    with pytest.raises(InputError, match="mesh_scale"):
        read_mesh(write("box.obj", obj_text(BOX.vertices, BOX.faces)), "box", scale=scale)


def test_far_from_its_origin(write):
    """Some metres off is read with a warning; so far that float32 loses the shape is refused."""
    body = read_mesh(write("near.obj", obj_text(BOX.vertices + np.array([0.0, 3.0, 0.0]), BOX.faces)), "box")
    assert any("from its own origin" in warning for warning in body.warnings)
    with pytest.raises(InputError, match="from its own origin"):
        read_mesh(write("far.obj", obj_text(BOX.vertices + np.array([1e6, 0.0, 0.0]), BOX.faces)), "box")


def test_inside_out_and_mixed_directions_are_mended(write):
    """All faces reversed, then every other one: the result faces outwards and says what was turned."""
    mixed = np.where((np.arange(12) % 3 == 0)[:, None], BOX.faces[:, ::-1], BOX.faces)
    for name, faces in (("all.obj", BOX.faces[:, ::-1]), ("some.obj", mixed)):
        body = read_mesh(write(name, obj_text(BOX.vertices, faces)), "box")
        assert volume(body) == pytest.approx(BOX_VOLUME, rel=1e-5) and body.closed
        assert any("turned" in warning for warning in body.warnings)


def test_cavities_stay_inside_out(write):
    """An inner shell facing inwards is a cavity; two shells side by side both face outwards."""
    inner = make_box(0.5 * SIZE)
    vertices = np.concatenate([BOX.vertices, inner.vertices])
    hollow = read_mesh(write("a.obj", obj_text(vertices, np.concatenate([BOX.faces, inner.faces[:, ::-1] + 8]))), "a")
    assert volume(hollow) == pytest.approx(BOX_VOLUME * (1 - 0.125), rel=1e-5)
    beside = np.concatenate([BOX.vertices, inner.vertices + np.array([0.5, 0.0, 0.0])])
    pair = read_mesh(write("b.obj", obj_text(beside, np.concatenate([BOX.faces, inner.faces[:, ::-1] + 8]))), "b")
    assert volume(pair) == pytest.approx(BOX_VOLUME * (1 + 0.125), rel=1e-5)


def test_duplicate_and_degenerate_faces_go(write):
    """Repeated faces, faces on one edge and unused vertices are dropped and counted."""
    faces = [*BOX.faces.tolist(), BOX.faces[0].tolist(), BOX.faces[1].tolist()[::-1], [0, 0, 1], [2, 2, 2]]
    body = read_mesh(write("box.obj", obj_text(np.vstack([BOX.vertices, [[9, 9, 9]]]), faces)), "box")
    assert (body.vertex_count, body.face_count, body.closed) == (8, 12, True)
    assert body.warnings == (
        "dropped 2 of 16 faces, which have no area",
        "dropped 2 faces given more than once",
    )


def test_slivers_do_not_tear_the_surface(write):
    """A face whose corners lie on a line is turned into a split of its neighbour: the box stays closed."""
    faces = BOX.faces.tolist()
    a, b, c = faces.pop(0)
    vertices = np.vstack([BOX.vertices, 0.5 * (BOX.vertices[a] + BOX.vertices[b])])
    faces += [[a, 8, c], [8, b, c], [b, 8, a]]
    body = read_mesh(write("box.obj", obj_text(vertices, faces)), "box")
    assert body.closed and body.face_count == 14 and volume(body) == pytest.approx(BOX_VOLUME, rel=1e-5)
    corners = body.vertices[body.faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    assert area.min() > 1e-4


def test_open_surface_is_read_and_said(write):
    """A box without its top is open; an orientable surface is required of nobody, not even a Moebius strip."""
    body = read_mesh(write("open.obj", obj_text(BOX.vertices, BOX.faces[2:])), "box")
    assert not body.closed and any("open" in warning for warning in body.warnings)
    turn = np.linspace(0, np.pi, 17)[:-1]
    arm = np.stack([np.cos(2 * turn) * np.cos(turn), np.sin(2 * turn) * np.cos(turn), np.sin(turn)], axis=1)
    middle = np.stack([np.cos(2 * turn), np.sin(2 * turn), 0 * turn], axis=1)
    rim = np.concatenate([middle + 0.3 * arm, middle - 0.3 * arm])
    quads = [[k, (k + 1) % 32, (k + 17) % 32, (k + 16) % 32] for k in range(16)]
    strip = read_mesh(write("strip.obj", obj_text(rim, quads)), "strip")
    assert any("cannot be made to agree" in warning for warning in strip.warnings)


def test_colours_of_vertices_materials_and_textures(write):
    """Vertex colours, plain material colours, and a texture looked up around the corners."""
    cv2 = pytest.importorskip("cv2")
    lines = obj_text(BOX.vertices, BOX.faces).splitlines()
    painted = "\n".join(f"{line} 0.2 0.4 0.6" if line.startswith("v") else line for line in lines)
    np.testing.assert_allclose(read_mesh(write("a.obj", painted), "a").colors, [[0.2, 0.4, 0.6]] * 8, atol=1e-6)
    write("m.mtl", "newmtl red\nKd 1 0 0\nnewmtl photo\nKd 1 1 1\nmap_Kd p.png\n")
    plain = "mtllib m.mtl\nusemtl red\n" + obj_text(BOX.vertices, BOX.faces)
    np.testing.assert_allclose(read_mesh(write("b.obj", plain), "b").colors, [[1.0, 0.0, 0.0]] * 8)
    image = np.zeros((2, 2, 3), np.uint8)
    image[0] = (255, 0, 0)  # blue above, black below
    write("p.png", cv2.imencode(".png", image)[1].tobytes())
    faces = "".join(
        "f " + " ".join(f"{i + 1}/{1 if BOX.vertices[i, 2] > 0 else 2}" for i in f) + "\n" for f in BOX.faces
    )
    mapped = "mtllib m.mtl\nvt 0.1 0.9\nvt 0.1 0.1\nusemtl photo\n" + obj_text(BOX.vertices, []) + faces
    body = read_mesh(write("c.obj", mapped), "c")
    np.testing.assert_allclose(body.colors[:, 2], (body.vertices[:, 2] > 0).astype(float), atol=0.08)


def test_materials_outside_the_folder_are_not_read(write):
    """A material library or texture elsewhere is ignored."""
    write("secret.mtl", "newmtl red\nKd 1 0 0\n")
    text = "mtllib ../secret.mtl\nusemtl red\n" + obj_text(BOX.vertices, BOX.faces)
    assert read_mesh(write("inner/box.obj", text), "box").colors is None


def test_glb_scene_is_placed_and_mirrored(write):
    """Every node of a scene counts, with its transform; a twin_zeros one does not turn inside out."""
    box = trimesh.Trimesh(BOX.vertices, BOX.faces, process=False)
    box.visual.vertex_colors = [10, 20, 30, 255]
    scene = trimesh.Scene()
    scene.add_geometry(box, transform=trimesh.transformations.translation_matrix([0.5, 0, 0]))
    scene.add_geometry(box, transform=np.diag([-1.0, 1.0, 1.0, 1.0]))
    body = read_mesh(write("two.glb", scene.export(file_type="glb")), "two")
    assert (body.vertex_count, body.closed, body.warnings) == (16, True, ())
    assert volume(body) == pytest.approx(2 * BOX_VOLUME, rel=1e-5)
    np.testing.assert_allclose(body.vertices.max(axis=0), [0.55, 0.1, 0.15], atol=1e-6)
    np.testing.assert_allclose(body.colors[0], to_srgb(np.array([10, 20, 30]) / 255.0), atol=1e-6)


BROKEN_OBJ = {
    "index 0": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", r"line 4.*index 0"),
    "index past the end": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n", r"line 4.*index 4"),
    "negative past the start": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf -1 -2 -4\n", r"line 4.*index -4"),
    "index is text": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf a b c\n", r"line 4.*'a'"),
    "two corners": ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2\n", r"line 4.*2 corners"),
    "nan": ("v 0 0 0\nv nan 0 0\nv 0 1 0\nf 1 2 3\n", r"line 2.*finite"),
    "infinite": ("v 0 0 0\nv 1e999 0 0\nv 0 1 0\nf 1 2 3\n", r"line 2.*finite"),
    "decimal comma": ("v 0,1 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", r"line 1.*not 0,1"),
    "two coordinates": ("v 0 0\n", r"line 1.*2 numbers"),
    "no faces": ("v 0 0 0\nv 1 0 0\nv 0 1 0\n", "3 points and no faces"),
    "nothing": ("# nothing\n", "no faces"),
    "no area": ("v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "area"),
    "binary": (bytes(range(256)), "no faces"),
    "some colours": ("v 0 0 0 1 1 1\nv 1 0 0\n", r"line 2.*colours"),
}


@pytest.mark.parametrize("case", BROKEN_OBJ)
def test_broken_obj_is_refused(write, case):
    """Each fault of a hand-made OBJ file is named with its line."""
    content, message = BROKEN_OBJ[case]
    with pytest.raises(InputError, match=message):
        read_mesh(write("x.obj", content), "x")


def test_cut_and_lying_binary_files_are_refused(write):
    """Binary STL, PLY and GLB files cut anywhere, and headers that claim what is not there."""
    box = trimesh.Trimesh(BOX.vertices, BOX.faces, process=False)
    for kind in ("stl", "ply", "glb"):
        whole = box.export(file_type=kind)
        for size in (1, 20, 83, len(whole) // 2, len(whole) - 1):
            with pytest.raises(InputError, match=f"cut-{size}.{kind}"):
                read_mesh(write(f"cut-{size}.{kind}", whole[:size]), "x")
    lie = stl_bytes(BOX)
    with pytest.raises(InputError, match="claims 4294967295 faces"):
        read_mesh(write("lie.stl", lie[:80] + b"\xff\xff\xff\xff" + lie[84:]), "x")
    ply = box.export(file_type="ply", encoding="ascii")
    for count in (b"element face 11000000", b"element face 13"):
        with pytest.raises(InputError, match="claims"):
            read_mesh(write("lie.ply", ply.replace(b"element face 12", count)), "x")
    cut = ply[: ply.rstrip().rfind(b"\n")]
    with pytest.raises(InputError, match="claims 12"):
        read_mesh(write("cut.ply", cut), "x")


def test_bad_values_in_binary_files_are_refused(write):
    """NaN coordinates and indices out of range reach no kernel."""
    bad = BOX.vertices.copy()
    bad[3, 1] = np.nan
    surface = trimesh.Trimesh(bad, BOX.faces, process=False, validate=False)
    for kind in ("ply", "stl", "glb"):
        with pytest.raises(InputError, match="finite|cannot be read"):
            read_mesh(write(f"nan.{kind}", surface.export(file_type=kind)), "x")
    ply = trimesh.Trimesh(BOX.vertices, BOX.faces, process=False).export(file_type="ply", encoding="ascii")
    with pytest.raises(InputError, match="8"):
        read_mesh(write("range.ply", ply.replace(b"\n3 ", b"\n3 88", 1)), "x")


def glb_bytes(tree):
    """A GLB file of a JSON chunk alone."""
    chunk = json.dumps(tree).encode()
    chunk += b" " * (-len(chunk) % 4)
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(chunk), len(chunk), b"JSON") + chunk


def test_hostile_glb_is_refused(write):
    """Huge arrays of implied zeros, compression, outside buffers and deep nesting."""
    asset = {"asset": {"version": "2.0"}}
    huge = {**asset, "accessors": [{"count": 4_000_000_000, "componentType": 5126, "type": "VEC3"}]}
    huge |= {"meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}], "nodes": [{"mesh": 0}]}
    with pytest.raises(InputError, match="4000000000 elements"):
        read_mesh(write("huge.glb", glb_bytes(huge)), "x")
    with pytest.raises(InputError, match="KHR_draco_mesh_compression"):
        read_mesh(write("d.glb", glb_bytes({**asset, "extensionsRequired": ["KHR_draco_mesh_compression"]})), "x")
    outside = {**asset, "buffers": [{"uri": "../../secret.bin", "byteLength": 36}], "meshes": [], "scenes": [{}]}
    with pytest.raises(InputError):
        read_mesh(write("o.glb", glb_bytes(outside)), "x")
    deep = b"[" * 200_000
    head = struct.pack("<4sIII4s", b"glTF", 2, 20 + len(deep), len(deep), b"JSON")
    with pytest.raises(InputError):
        read_mesh(write("deep.glb", head + deep), "x")


def test_files_that_are_no_files(write, tmp_path):
    """Missing, a folder, empty, an unknown or absent extension, a name with a zero byte."""
    for path, message in (
        (tmp_path / "none.obj", "does not exist"),
        (write("empty.obj", ""), "is empty"),
        (write("shape.step", "x"), r"'\.step' files are not read"),
        (write("shape", "x"), "has no file extension"),
        ("a\0b.obj", "cannot be read|does not exist"),
    ):
        with pytest.raises(InputError, match=message):
            read_mesh(path, "x")
    (tmp_path / "folder.obj").mkdir()
    with pytest.raises(InputError, match="is not a file"):
        read_mesh(tmp_path / "folder.obj", "x")


def test_too_many_faces_or_bytes_are_refused(write, monkeypatch):
    """The limits are checked before any work is done."""
    path = write("box.obj", obj_text(BOX.vertices, BOX.faces))
    monkeypatch.setattr("warpprior.bodies.repair.MAX_FACES", 11)
    with pytest.raises(InputError, match="12 faces"):
        read_mesh(path, "x")
    with pytest.raises(InputError, match="a mesh may have up to 10 bytes"):
        read_bytes(path, "a mesh", limit=10)


EDITS = st.lists(st.tuples(st.integers(0, 5000), st.binary(min_size=1, max_size=4)), max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["obj", "ply", "stl", "glb"]), edits=EDITS, cut=st.integers(0, 40))
@example(kind="ply", edits=[(297, b"\x00\x00I")], cut=0)  # two slivers that share a neighbour
def test_damaged_files_give_a_body_or_an_input_error(write, kind, edits, cut):
    """Random edits and cuts of a valid file never raise anything but InputError, and bodies are safe for Warp."""
    whole = trimesh.Trimesh(BOX.vertices, BOX.faces, process=False).export(file_type=kind)
    data = bytearray(whole.encode() if isinstance(whole, str) else whole)
    for place, value in edits:
        place %= len(data)
        data[place : place + len(value)] = value
    path = write(f"fuzz.{kind}", bytes(data[: len(data) - cut]))
    try:
        body = read_mesh(path, "fuzz")
    except InputError:
        return
    assert np.isfinite(body.vertices).all() and body.face_count > 0
    assert 0 <= body.faces.min() and body.faces.max() < body.vertex_count


@pytest.mark.parametrize(
    ("surface", "exact"),
    [
        (make_box(SIZE), BOX_VOLUME),
        (make_cylinder(0.05, 0.2), np.pi * 0.05**2 * 0.2),
        (make_sphere(0.05), 4 / 3 * np.pi * 0.05**3),
        (make_capsule(0.05, 0.2), np.pi * 0.05**2 * 0.2 + 4 / 3 * np.pi * 0.05**3),
    ],
    ids=["box", "cylinder", "sphere", "capsule"],
)
def test_primitives_are_closed_and_face_outwards(surface, exact):
    """Watertight, consistently wound, and within 2 % of the solid's volume."""
    shape = trimesh.Trimesh(surface.vertices, surface.faces, process=False)
    assert shape.is_watertight and shape.is_winding_consistent
    assert shape.volume == pytest.approx(exact, rel=0.02)


def test_reference_meshes(shared_data):
    """The scanned objects are closed, face outwards and need no repair."""
    for file in sorted((shared_data / "ycb").glob("*.obj")):
        body = read_mesh(file, file.stem)
        assert body.closed and volume(body) > 0.0 and body.warnings == ()
        peer = trimesh.load(file, process=True)
        assert volume(body) == pytest.approx(peer.volume, rel=1e-4)


@pytest.mark.parametrize("line", [" v 0 0 0\n", "\tvt 0 0\n"])
def test_indented_lines_count_too(tmp_path, monkeypatch, line):
    """Too many of them are refused while they are read, not after the last one."""
    monkeypatch.setattr("warpprior.bodies.readers.mesh_files.obj.MAX_FACES", 10)
    (tmp_path / "a.obj").write_text(31 * line + " x\n" * 80)
    with pytest.raises(InputError, match="more than 30 "):
        read_mesh(tmp_path / "a.obj", "a")
