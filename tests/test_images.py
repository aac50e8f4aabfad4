"""Pictures: every way labels are stored, damage that is found before decoding, rectification, depth."""

import os
import struct
import zlib

import cv2
import numpy as np
import pytest

from tests.small_scene import HEIGHT, WIDTH, edit_text, label_image, write_image, write_scene
from warpprior.io import load_scene
from warpprior.scene import IGNORE_LABEL
from warpprior.support.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """The small scene on disk."""
    return write_scene(tmp_path / "scene")


def encode_png(rows: np.ndarray, bits: int, color_type: int, palette: bytes = b"", filter_type: int = 0) -> bytes:
    """A PNG of packed byte rows (height, bytes); filter 0 is none, 2 the difference to the row above."""
    if filter_type == 2:
        rows = np.concatenate([rows[:1], np.diff(rows.astype(np.int16), axis=0).astype(np.uint8)])
    raw = b"".join(bytes([filter_type]) + row.tobytes() for row in rows)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, color_type, 0, 0, 0)
    palette_chunk = chunk(b"PLTE", palette) if palette else b""
    body = chunk(b"IHDR", header) + palette_chunk + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def first_label(folder) -> np.ndarray:
    """Label image of frame 0 as the scene has it."""
    return load_scene(folder).labels[0]


@pytest.mark.parametrize("filter_type", [0, 2])
def test_palette_indices_are_labels(folder, filter_type):
    """A palette picture means its indices, even where two of its colours are equal."""
    palette = bytes([10, 20, 30, 0, 255, 0, 10, 20, 30])
    data = encode_png(label_image(0), 8, 3, palette, filter_type)
    (folder / "labels/000000.png").write_bytes(data)
    np.testing.assert_array_equal(first_label(folder), label_image(0))


@pytest.mark.parametrize("color_type", [0, 3])
@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits_are_not_stretched(folder, bits, color_type):
    """Pictures of two or four bits per pixel keep their values."""
    image = label_image(0).reshape(HEIGHT, -1, 8 // bits)
    shifts = np.arange(8 - bits, -1, -bits)
    packed = np.sum(image << shifts, axis=2).astype(np.uint8)
    palette = bytes(3 * 4) if color_type == 3 else b""
    (folder / "labels/000000.png").write_bytes(encode_png(packed, bits, color_type, palette))
    np.testing.assert_array_equal(first_label(folder), label_image(0))


def test_grey_stored_in_more_channels_or_bits_is_taken_with_a_warning(folder):
    """Equal colour channels and small 16-bit values lose nothing."""
    write_image(folder / "labels/000000.png", np.repeat(label_image(0)[..., None], 3, axis=2))
    write_image(folder / "labels/000001.png", label_image(1).astype(np.uint16))
    opaque = np.dstack([*[label_image(2)] * 3, np.full((HEIGHT, WIDTH), 255, dtype=np.uint8)])
    write_image(folder / "labels/000002.png", opaque)
    scene = load_scene(folder)
    np.testing.assert_array_equal(scene.labels, [label_image(frame) for frame in range(3)])
    warnings = " ".join(scene.warnings)
    assert "frames 0, 2 stored with equal colour channels" in warnings and "frame 1 stored with 16 bits" in warnings


def test_unknown_values_become_dont_care(folder):
    """Another object's label says nothing about ours, and is told."""
    image = label_image(1)
    image[40:, :5] = 77
    write_image(folder / "labels/000001.png", image)
    scene = load_scene(folder)
    assert np.all(scene.labels[1, 40:, :5] == IGNORE_LABEL) and not np.any(scene.labels == 77)
    assert any("frame 1 hold values of no body (77; 40 pixels)" in w for w in scene.warnings)


def test_missing_label_image_says_nothing(folder):
    """A frame without a file is don't-care throughout, and is told."""
    (folder / "labels/000001.png").unlink()
    scene = load_scene(folder)
    assert np.all(scene.labels[1] == IGNORE_LABEL)
    assert any("labels: frame 1 missing" in w for w in scene.warnings)


def test_invisible_cut_and_full_bodies_are_told(folder):
    """Frames in which a body is hidden, cut by the border or all there is are named."""
    write_image(folder / "labels/000000.png", np.where(label_image(0) == 2, 0, label_image(0)).astype(np.uint8))
    cut = label_image(1)
    cut[:12, 20:30] = 2
    write_image(folder / "labels/000001.png", cut)
    write_image(folder / "labels/000002.png", np.full((HEIGHT, WIDTH), 2, dtype=np.uint8))
    warnings = " ".join(load_scene(folder).warnings)
    assert "box is not visible in frame 0" in warnings
    assert "box touches the image border in frame 1" in warnings
    assert "box fills the whole image in frame 2" in warnings


def test_exchanged_labels_are_noticed(folder):
    """Labels of two bodies given the wrong way round are suspected."""
    assert load_scene(folder).warnings == ()
    for frame in range(3):
        write_image(folder / f"labels/{frame:06d}.png", np.array([0, 2, 1], dtype=np.uint8)[label_image(frame)])
    warnings = load_scene(folder).warnings
    assert len(warnings) == 1 and "those of arm and box look exchanged" in warnings[0]


def test_jpeg_mask_of_a_single_body_is_thresholded(folder):
    """One body drawn white survives JPEG; the threshold is told."""
    text = (folder / "scene.toml").read_text(encoding="utf-8")
    start, end = text.index('[[body]]\nname = "arm"'), text.index('[[body]]\nname = "box"')
    text = (text[:start] + text[end:]).replace("labels/{:06d}.png", "labels/{:06d}.jpg")
    (folder / "scene.toml").write_text(text, encoding="utf-8")
    for frame in range(3):
        write_image(folder / f"labels/{frame:06d}.jpg", np.where(label_image(frame) == 2, 255, 0).astype(np.uint8))
    scene = load_scene(folder)
    np.testing.assert_array_equal(scene.labels == 2, [label_image(frame) == 2 for frame in range(3)])
    assert any("stored as JPEG; values above 127 were taken as the body" in w for w in scene.warnings)


def test_jpeg_labels_of_several_bodies_are_refused(folder):
    """Compression invents labels along every border."""
    edit_text(folder, "labels/{:06d}.png", "labels/{:06d}.jpg")
    for frame in range(3):
        write_image(folder / f"labels/{frame:06d}.jpg", label_image(frame))
    with pytest.raises(InputError, match=r"000000\.jpg \(frame 0\).*JPEG.*save label images as PNG"):
        load_scene(folder)


@pytest.mark.parametrize("keep", [0, 20, 33, 60, -1])
def test_truncated_label_image_names_its_frame(folder, keep):
    """Wherever a file ends early, the frame is named and nothing is decoded in part."""
    path = folder / "labels/000001.png"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"labels/000001\.png \(frame 1\)"):
        load_scene(folder)


def test_flipped_bit_is_found(folder):
    """A damaged byte inside the pixels fails its checksum."""
    path = folder / "labels/000002.png"
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 12] ^= 4
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"frame 2.*truncated or damaged"):
        load_scene(folder)


def test_truncated_colour_pictures_are_refused_at_the_door(folder):
    """JPEG pictures are complete or refused, never half grey, and not only after a long computation."""
    edit_text(folder, "rgb/{:06d}.png", "rgb/{:06d}.jpg")
    random = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for frame in range(3):
        write_image(folder / f"rgb/{frame:06d}.jpg", random)
    path = folder / "rgb/000001.jpg"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"rgb/000001\.jpg \(frame 1\)"):
        load_scene(folder)


def test_more_labels_than_memory_are_refused(folder, monkeypatch):
    """Before anything is allocated, with what to do about it."""
    monkeypatch.setattr(os, "sysconf", lambda name: 100)
    with pytest.raises(InputError, match=r"count: 3 label images need .* GiB.*; use fewer frames \(--num-frames\)"):
        load_scene(folder)
    assert load_scene(folder, num_frames=1).frame_count == 1


def test_missing_colour_pictures_are_none(folder):
    """A colour frame that is not there is told at the door and reads as None."""
    (folder / "rgb/000001.png").unlink()
    scene = load_scene(folder)
    assert scene.read_rgb(1) is None and scene.read_rgb(0) is not None
    assert any("rgb: frame 1 missing" in w for w in scene.warnings)


def test_huge_picture_is_refused_by_its_header(folder):
    """A file of a few bytes that claims 100,000 x 100,000 pixels is not decoded."""
    path = folder / "rgb/000000.png"
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"frame 0.*100000 x 100000 pixels.*at most 64 megapixels"):
        load_scene(folder)


def test_depth_is_read_in_metres(folder):
    """16-bit depth arrives unclipped, scaled, and 8-bit depth is refused at the door."""
    edit_text(folder, "fps = 10.0", 'fps = 10.0\ndepth = "depth/{:06d}.png"\ndepth_scale = 0.0005')
    depth = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)
    for frame in range(3):
        write_image(folder / f"depth/{frame:06d}.png", depth)
    scene = load_scene(folder)
    np.testing.assert_allclose(scene.read_depth(2), depth * 0.0005, rtol=1e-6)
    write_image(folder / "depth/000001.png", depth.astype(np.uint8))
    with pytest.raises(InputError, match=r"depth/000001\.png \(frame 1\).*16-bit grey PNG"):
        load_scene(folder)


def test_rectification_agrees_with_the_lens_model(folder):
    """A blob drawn at a distorted pixel is found at the pinhole's pixel, to a fraction of a pixel.

    The lens model is evaluated here from its definition; pixel centres are at half integers.
    """
    distortion = [-0.2, 0.05, 0.002, -0.003, 0.01]
    edit_text(folder, "cy = 24.0", f"cy = 24.0\ndistortion = {distortion}")
    k1, k2, p1, p2, k3 = distortion
    pinhole = np.array([44.3, 13.7])
    x, y = (pinhole - [32.0, 24.0]) / 60.0
    square = x * x + y * y
    radial = 1 + square * (k1 + square * (k2 + square * k3))
    seen_x = 60.0 * (x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x)) + 32.0
    seen_y = 60.0 * (y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y) + 24.0
    columns, rows = np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5
    blob = np.exp(-((columns - seen_x) ** 2 + (rows[:, None] - seen_y) ** 2) / 8.0)
    write_image(folder / "rgb/000000.png", np.repeat(np.uint8(250 * blob)[..., None], 3, axis=2))
    scene = load_scene(folder)
    found = scene.read_rgb(0)[..., 0].astype(float)
    centre = np.array([np.sum(found * columns), np.sum(found * rows[:, None])]) / found.sum()
    np.testing.assert_allclose(centre, pinhole, atol=0.1)
    assert any("rectified" in w for w in scene.warnings)


def test_rectified_labels_stay_labels(folder):
    """Labels are resampled to the nearest value, and what no ray saw is don't-care."""
    edit_text(folder, "cy = 24.0", "cy = 24.0\ndistortion = [0.3, 0.0, 0.0, 0.0, 0.0]")
    labels = load_scene(folder).labels
    assert set(np.unique(labels)) == {0, 1, 2, IGNORE_LABEL}
    assert labels[0, 0, 0] == IGNORE_LABEL and labels[0, 24, 32] == 2


def test_rectification_of_no_distortion_is_none(folder):
    """Five zeros leave the pictures alone."""
    edit_text(folder, "cy = 24.0", "cy = 24.0\ndistortion = [0, 0, 0, 0, 0]")
    scene = load_scene(folder)
    assert scene.warnings == ()
    np.testing.assert_array_equal(scene.labels[0], label_image(0))


def test_turned_photographs_keep_their_pixels(folder):
    """An orientation mark in a JPEG does not turn the picture: intrinsics belong to the stored pixels."""
    edit_text(folder, "rgb/{:06d}.png", "rgb/{:06d}.jpg")
    image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    image[:, :20] = 200
    data = cv2.imencode(".jpg", image)[1].tobytes()
    exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    turned = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    for frame in range(3):
        (folder / f"rgb/{frame:06d}.jpg").write_bytes(turned)
    read = load_scene(folder).read_rgb(0)
    assert read.shape == (HEIGHT, WIDTH, 3) and read[24, 5, 0] > 150 > read[24, 40, 0]


@pytest.mark.parametrize("ending", ["npz", "npy"])
def test_masks_in_arrays_are_told_how_to_be_written(folder, ending):
    """As networks that segment give them."""
    edit_text(folder, "labels/{:06d}.png", "labels/{:06d}." + ending)
    for frame in range(3):
        path, mask = folder / f"labels/{frame:06d}.{ending}", label_image(frame) == 2
        np.savez(path, masks=mask[None]) if ending == "npz" else np.save(path, mask)
    with pytest.raises(InputError, match=r"is not PNG or JPEG but an? .*array.*\(mask > 0\) \* label as 8-bit PNG"):
        load_scene(folder)
