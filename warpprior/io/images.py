"""Reading pictures: size and kind from the header first, the whole file checked, then decoded by OpenCV."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpprior.scene import Camera
from warpprior.support.errors import InputError, MissingExtraError
from warpprior.support.file_starts import NPY, NPZ, describe_start, not_what
from warpprior.support.files import read_bytes
from warpprior.support.jpeg import SCAN_LIMIT, START, has_many_scans
from warpprior.support.picture_headers import PIXEL_LIMIT, PictureHeader, read_header
from warpprior.support.png import SIGNATURE as PNG
from warpprior.support.png import png_chunks, png_from

BYTES_LIMIT = 1 << 30

_GREY = 0  # colour type of PNG
_AGAIN = "export it again, or delete it: a missing frame is skipped"


def import_cv2():
    """OpenCV; MissingExtraError when it is not installed."""
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError("reading and writing pictures", "cv") from error
    return cv2


def read_image_file(path: Path, where: str, camera: Camera) -> tuple[PictureHeader, bytes]:
    """Header and bytes of a picture, complete to its end mark (and by checksum for PNG) but not decoded yet.

    Raises:
        InputError: the file is unreadable, empty, truncated or damaged, neither PNG nor JPEG, over the size limits, or
            not of the camera's size.
    """
    accepted = "needs a readable PNG or JPEG file; a missing frame is skipped"
    data = read_bytes(path, "a picture", limit=BYTES_LIMIT, where=where, accepted=accepted)
    header = _check_header(data, where, camera)
    whole = _png_is_whole(data) if header.format == "png" else _jpeg_is_whole(data)
    if not whole:
        raise InputError(where, f"is truncated or damaged ({len(data)} bytes)", _AGAIN)
    return header, data


def decode_image(header: PictureHeader, data: bytes, where: str, *, color: bool = False) -> np.ndarray:
    """Decode a picture as stored: (height, width) or (height, width, channel) in OpenCV's channel order.

    Args:
        header, data: from :func:`read_image_file`.
        where: frame and file, for messages.
        color: give (height, width, 3) uint8 RGB whatever is stored.

    Raises:
        InputError: OpenCV cannot decode it.
        MissingExtraError: OpenCV is not installed.
    """
    cv2 = import_cv2()
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION if color else cv2.IMREAD_UNCHANGED
    try:
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error:
        image = None
    if image is None or image.shape[:2] != (header.height, header.width):
        raise InputError(where, f"is a damaged {header.format.upper()} file", _AGAIN)
    return np.ascontiguousarray(image[..., ::-1]) if color else image


def decode_indices(header: PictureHeader, data: bytes, where: str) -> np.ndarray:
    """Stored pixel values (height, width) uint8 of a palette PNG, or of a grey one of fewer than 8 bits.

    OpenCV would turn indices into colours and stretch few bits to 8.  Filters and compression do not depend on the
    colour type, so the same bytes declared grey decode to the indices themselves.
    """
    chunks = [(kind, body) for kind, body, _ in png_chunks(data) if kind not in (b"PLTE", b"tRNS")]
    grey = [(kind, body[:9] + bytes([_GREY]) + body[10:] if kind == b"IHDR" else body) for kind, body in chunks]
    image = decode_image(header, png_from(grey), where)
    return image if header.bits == 8 else image // np.uint8(255 // (2**header.bits - 1))


def _check_header(data: bytes, where: str, camera: Camera) -> PictureHeader:
    header = read_header(data)
    if header is None or header.format == "bmp":
        if data.startswith((PNG, START)):
            raise InputError(where, "is truncated or damaged", _AGAIN)
        accepted = "save pictures as PNG or JPEG"
        if describe_start(data) in (NPY, NPZ):
            accepted = f"{accepted}; of a mask in an array, (mask > 0) * label as 8-bit PNG"
        raise InputError(where, not_what(data, "PNG or JPEG"), accepted)
    if header.format == "jpeg" and has_many_scans(data):
        raise InputError(where, f"has more than {SCAN_LIMIT} scans", _AGAIN)
    if header.width * header.height > PIXEL_LIMIT:
        accepted = f"at most {PIXEL_LIMIT // 1_000_000} megapixels"
        raise InputError(where, f"says it has {header.width} x {header.height} pixels", accepted)
    if (header.width, header.height) != (camera.width, camera.height):
        accepted = f"[camera] says {camera.width} x {camera.height}: pictures are never resized silently"
        raise InputError(where, f"has {header.width} x {header.height} pixels", accepted)
    return header


def _png_is_whole(data: bytes) -> bool:
    ended = False
    for kind, _, holds in png_chunks(data):
        if not holds:
            return False
        ended = ended or kind == b"IEND"
    return ended


def _jpeg_is_whole(data: bytes) -> bool:
    # Thumbnails in the header have end marks of their own, so look behind the start of the scan.
    scan = data.rfind(b"\xff\xda")
    return scan >= 0 and data.find(b"\xff\xd9", scan) >= 0
