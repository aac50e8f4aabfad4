"""Headers of JPEG files are read as decoders read them."""

import struct

import numpy as np
import pytest

from tests.small_scene import HEIGHT, WIDTH, edit_text, write_image, write_scene
from warpprior.io import load_scene
from warpprior.support.errors import InputError
from warpprior.support.jpeg import jpeg_frame
from warpprior.support.picture_headers import read_header

cv2 = pytest.importorskip("cv2")


def encoded(width: int, height: int) -> bytes:
    """A grey picture."""
    return cv2.imencode(".jpg", np.full((height, width, 3), 128, np.uint8))[1].tobytes()


def hidden(data: bytes, width: int, height: int) -> bytes:
    """The same with a mark that has no length, and a second frame where the next mark was if it had one."""
    body = data[2:]
    data = b"\xff\xd8\xff\x01" + body
    at = 4 + struct.unpack_from(">H", body)[0]
    return data.ljust(at, b"\0")[:at] + b"\xff\xc0\x00\x11\x08" + struct.pack(">HHB", height, width, 3) + bytes(40)


@pytest.mark.parametrize("between", [b"", b"\xff", b"\xff\x01", b"\xff\xd0\xff\xd7", b"\xff\xfe\x00\x05abc"])
def test_the_frame_is_found_behind_other_marks(between):
    """Fill bytes, marks that stand alone, and comments; cut short there is none."""
    data = encoded(31, 17)
    data = data[:2] + between + data[2:]
    assert jpeg_frame(data) == (8, 17, 31, 3)
    assert jpeg_frame(data[:20]) is None


def test_the_frame_is_the_one_that_decoders_find():
    """A size further on does not stand for the one before it."""
    data = hidden(encoded(640, 480), 16, 16)
    header = read_header(data)
    assert jpeg_frame(data) == (8, 480, 640, 3) and header is not None and (header.width, header.height) == (640, 480)


@pytest.mark.parametrize("between", [b"\0", b"\xff\0\0\x02", b"ab"])
def test_what_decoders_search_through_has_no_frame(between):
    """Damaged headers are refused, not searched."""
    data = encoded(31, 17)
    assert jpeg_frame(data[:2] + between + data[2:]) is None


def test_a_picture_of_a_hidden_size_is_refused_before_it_is_decoded(tmp_path):
    """So is one of more scans than any camera makes."""
    folder = write_scene(tmp_path / "scene")
    edit_text(folder, "rgb/{:06d}.png", "rgb/{:06d}.jpg")
    for frame in range(3):
        write_image(folder / f"rgb/{frame:06d}.jpg", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    path = folder / "rgb/000001.jpg"
    small = path.read_bytes()
    path.write_bytes(hidden(encoded(640, 480), WIDTH, HEIGHT))
    with pytest.raises(InputError, match=r"\(frame 1\): has 640 x 480 pixels"):
        load_scene(folder)
    path.write_bytes(small[:-2] + b"\xff\xda" * 70 + small[-2:])
    with pytest.raises(InputError, match=r"\(frame 1\): has more than 64 scans"):
        load_scene(folder)
