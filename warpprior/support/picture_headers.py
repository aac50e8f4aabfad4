"""What the header of a PNG, JPEG or BMP file claims, looked at before a decoder makes room for it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from warpprior.support.jpeg import START, jpeg_frame
from warpprior.support.png import SIGNATURE as PNG

BMP = b"BM"
PIXEL_LIMIT = 64_000_000
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PALETTE = 3


@dataclass(frozen=True)
class PictureHeader:
    """What a picture's header says.

    Attributes:
        format: ``png``, ``jpeg`` or ``bmp``.
        width, height: [px].
        bits: per channel (per pixel for palettes); 0 for BMP.
        channels: 1 grey or palette, 2 grey and alpha, 3 colour, 4 colour and alpha; 0 for BMP.
        palette: pixel values are indices into a colour table.
    """

    format: str
    width: int
    height: int
    bits: int
    channels: int
    palette: bool = False


def read_header(data: bytes) -> PictureHeader | None:
    """The header of a picture; None where it is cut short or damaged, or the file is of another kind."""
    if data.startswith(PNG):
        return _read_png(data)
    if data.startswith(START):
        return _read_jpeg(data)
    if data.startswith(BMP) and len(data) >= 26:
        width, height = struct.unpack_from("<ii", data, 18)
        return PictureHeader("bmp", abs(width), abs(height), 0, 0)
    return None


def _read_png(data: bytes) -> PictureHeader | None:
    if len(data) < 26 or data[12:16] != b"IHDR" or data[25] not in _PNG_CHANNELS:
        return None
    width, height, bits, kind = struct.unpack_from(">IIBB", data, 16)
    return PictureHeader("png", width, height, bits, _PNG_CHANNELS[kind], kind == _PALETTE)


def _read_jpeg(data: bytes) -> PictureHeader | None:
    frame = jpeg_frame(data)
    return None if frame is None else PictureHeader("jpeg", frame.width, frame.height, frame.bits, frame.channels)
