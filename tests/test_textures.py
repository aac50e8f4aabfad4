"""Textures as vertex colours: averaged where fine, exact where smooth, refused where huge."""

import io
import struct

import numpy as np
import pytest
import trimesh

from tests.mesh_files import png_bytes
from warpprior.bodies.readers.mesh import read_mesh
from warpprior.bodies.readers.mesh_files.linear_light import to_linear, to_srgb
from warpprior.bodies.readers.mesh_files.textures import look_up, paint_corners
from warpprior.support.picture_headers import PIXEL_LIMIT, read_header
from warpprior.support.png import MOST_CHUNKS, plain_png, png_chunks, png_from

SIDE = 12  # vertices along the square


@pytest.fixture
def square():
    """A flat square of triangles that wears a whole texture: vertices, faces, texture coordinates of corners."""
    u, v = np.meshgrid(np.linspace(0.02, 0.98, SIDE), np.linspace(0.02, 0.98, SIDE))
    places = np.stack([u.ravel(), v.ravel()], axis=1)
    corner = (np.arange(SIDE - 1)[:, None] * SIDE + np.arange(SIDE - 1)).ravel()
    faces = np.concatenate(
        [np.stack([corner, corner + 1, corner + SIDE + 1], 1), np.stack([corner, corner + SIDE + 1, corner + SIDE], 1)]
    )
    return np.concatenate([places, np.zeros((len(places), 1))], axis=1), faces, places[faces]


def painted(image, square):
    """The colours of the square's vertices."""
    vertices, faces, places = square
    total, weight = paint_corners(image, vertices, faces, places)
    return total / weight[:, None]


def worn_error(colors, image, square):
    """Root mean square difference between the square with interpolated colours and with its texture."""
    _, faces, places = square
    shares = np.random.default_rng(0).dirichlet(np.ones(3), size=40)
    shown = np.einsum("sc,fcx->fsx", shares, colors[faces])
    wanted = look_up(image, np.einsum("sc,fcx->fsx", shares, places).reshape(-1, 2)).reshape(shown.shape)
    return np.sqrt(((shown - wanted) ** 2).mean())


def test_smooth_textures_come_out_at_the_vertices(square):
    """A texture that changes slowly gives each inner vertex the colour at its place, u to the right and v upwards."""
    rows, columns = np.mgrid[0:200, 0:200]
    image = np.stack([columns / 199.0, 1.0 - rows / 199.0, np.full(rows.shape, 0.3)], axis=-1)
    vertices = square[0]
    colors = painted(image, square)
    inner = (np.abs(vertices[:, :2] - 0.5) < 0.44).all(axis=1)
    np.testing.assert_allclose(colors[inner, :2], vertices[inner, :2], atol=0.01)
    np.testing.assert_allclose(colors[:, 2], 0.3, atol=1e-6)
    np.testing.assert_allclose(painted((image * 255).astype(np.uint8), square), colors, atol=0.005)


def test_fine_print_becomes_its_mean(square):
    """One pixel of print does not decide a vertex: the surface is closer to its texture than with single look-ups."""
    image = np.random.default_rng(2).integers(0, 2, size=(300, 300, 1)).repeat(3, axis=2).astype(float)
    colors = painted(image, square)
    assert np.abs(colors - 0.5).max() < 0.35
    single = look_up(image, square[0][:, :2])
    assert set(np.unique(single)) == {0.0, 1.0}
    assert worn_error(colors, image, square) < 0.9 * worn_error(single, image, square)


def test_islands_do_not_bleed(square):
    """Faces that wear the red half see no blue, however close to the seam their corners are."""
    image = np.zeros((64, 64, 3))
    image[:, :32, 0], image[:, 32:, 2] = 1.0, 1.0
    vertices, faces, places = square
    shrunk = places * [0.4999, 1.0]
    colors = painted(image, (vertices, faces, shrunk))
    np.testing.assert_allclose(colors, np.tile([1.0, 0.0, 0.0], (len(colors), 1)), atol=1e-9)


def test_faces_of_no_area_do_no_harm():
    """A face without area gives no weight; no faces give nothing."""
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]])
    total, weight = paint_corners(np.ones((2, 2, 3)), corners, np.array([[0, 1, 2]]), np.zeros((1, 3, 2)))
    assert not weight.any() and not total.any()
    total, weight = paint_corners(np.ones((2, 2, 3)), corners, np.zeros((0, 3), int), np.zeros((0, 3, 2)))
    assert weight.shape == (3,) and not weight.any()


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp"])
def test_size_is_read_from_the_header(kind):
    """The header of each kind of picture tells its size; other data and cut headers tell none."""
    cv2 = pytest.importorskip("cv2")
    data = cv2.imencode(f".{kind}", np.zeros((17, 31, 3), np.uint8))[1].tobytes()
    header = read_header(data)
    assert header is not None and (header.width, header.height) == (31, 17)
    for other in (data[:5], b"GIF89a" + bytes(40), b"\xff\xd8" + b"\xff\xe0\x00\x00" * 9, b"\xff\xd8" + b"\xff" * 40):
        assert read_header(other) is None


def write_square(folder, square, texture: bytes, name: str):
    """The square as OBJ with a material that wears the texture."""
    vertices, faces, _ = square
    lines = ["mtllib m.mtl", "usemtl m"] + [f"v {x} {y} {z}" for x, y, z in vertices]
    lines += [f"vt {x} {y}" for x, y, _ in vertices]
    lines += ["f " + " ".join(f"{i + 1}/{i + 1}" for i in face) for face in faces]
    (folder / "square.obj").write_text("\n".join(lines))
    (folder / "m.mtl").write_text(f"newmtl m\nKd 0.1 0.2 0.3\nmap_Kd {name}\n")
    (folder / name).write_bytes(texture)
    return folder / "square.obj"


def test_huge_and_strange_textures_are_not_decoded(tmp_path, square):
    """A header that claims too many pixels, and data that is no picture, cost the texture with a warning."""
    pytest.importorskip("cv2")
    header = struct.pack(">II", 100_000, PIXEL_LIMIT // 100_000 + 1)
    bomb = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + header + b"\x08\x02\x00\x00\x00" + bytes(40)
    for texture, message in ((bomb, "megapixels"), (b"hello", "no PNG"), (bomb[:30], "megapixels")):
        body = read_mesh(write_square(tmp_path, square, texture, "t.png"), "square")
        assert any(message in warning for warning in body.warnings)
        np.testing.assert_allclose(body.colors, np.tile([0.1, 0.2, 0.3], (body.vertex_count, 1)), atol=1e-6)


def test_obj_and_glb_wear_the_same_colours(tmp_path, square):
    """The same square with the same texture has the same colours from OBJ and from GLB, which may tint them."""
    cv2 = pytest.importorskip("cv2")
    image_module = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 255, size=(8, 8, 3), dtype=np.uint8), (128, 128))
    texture = cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()
    plain = read_mesh(write_square(tmp_path, square, texture, "t.png"), "square")
    vertices, faces, _ = square
    for factor in (None, [255, 128, 0, 255]):
        material = trimesh.visual.material.PBRMaterial(
            baseColorTexture=image_module.open(io.BytesIO(texture)), baseColorFactor=factor
        )
        mesh = trimesh.Trimesh(vertices, faces, process=False)
        mesh.visual = trimesh.visual.TextureVisuals(uv=vertices[:, :2], material=material)
        (tmp_path / "square.glb").write_bytes(mesh.export(file_type="glb"))
        body = read_mesh(tmp_path / "square.glb", "square")
        tint = np.ones(3) if factor is None else np.array(factor[:3]) / 255.0
        order = [np.argmin(np.abs(plain.vertices - vertex).sum(axis=1)) for vertex in body.vertices]
        np.testing.assert_allclose(body.colors, to_srgb(to_linear(plain.colors[order]) * tint), atol=0.01)
    assert np.ptp(plain.colors, axis=0).min() > 0.3


def test_png_is_cut_down_to_its_picture():
    """Texts and further frames go; a chunk that claims too much, a wrong checksum and a missing end are damage."""
    image = np.random.default_rng(0).integers(0, 255, size=(5, 7, 3), dtype=np.uint8)
    data = png_bytes(image)
    chunks = [(kind, body) for kind, body, _ in png_chunks(data)]
    more = png_from([chunks[0], (b"tEXt", b"a\0b"), (b"acTL", bytes(8)), (b"fcTL", b"\xff" * 26), *chunks[1:]])
    assert plain_png(more) == plain_png(data) == data
    at = data.index(b"IDAT")
    lying = data[: at - 4] + b"\x7f\xff\xff\xff" + data[at:]
    wrong = data[: at + 6] + bytes([data[at + 6] ^ 1]) + data[at + 7 :]
    for damaged in (lying, wrong, data[:-12], data[:20], b"", png_from(chunks[1:]), png_from([chunks[0], *chunks])):
        assert plain_png(damaged) is None
    assert plain_png(png_from([chunks[0], *[(b"IDAT", b"")] * MOST_CHUNKS, *chunks[1:]])) is None


def test_damaged_png_costs_its_texture(tmp_path, square):
    """A chunk that claims gigabytes is not believed: OpenCV would make room for it."""
    pytest.importorskip("cv2")
    data = png_bytes(np.zeros((4, 4, 3), np.uint8))
    at = data.index(b"IDAT")
    lying = data[: at - 4] + b"\x7f\xff\xff\xff" + data[at:]
    body = read_mesh(write_square(tmp_path, square, lying, "t.png"), "square")
    assert any("'t.png' is damaged" in warning for warning in body.warnings)
