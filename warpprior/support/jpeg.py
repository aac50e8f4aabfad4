"""What the header of a JPEG file says, read as decoders read it: what they skip may not hide what they find."""

from __future__ import annotations

import struct
from typing import NamedTuple

START = b"\xff\xd8"
SCAN_LIMIT = 64  # of a progressive picture: each one costs as much as a picture

_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD8)}  # marks without a length
_FILL, _DATA = 0xFF, 0x00


class JpegFrame(NamedTuple):
    """Bits per channel, size [px] and channels of a picture."""

    bits: int
    height: int
    width: int
    channels: int


def jpeg_frame(data: bytes) -> JpegFrame | None:
    """The first frame of a JPEG file, None where its header is damaged or ends before one."""
    at = len(START)
    while data.startswith(START) and at + 10 <= len(data) and data[at] == 0xFF and data[at + 1] != _DATA:
        mark = data[at + 1]
        if mark in _FRAMES:
            return JpegFrame(*struct.unpack_from(">BHHB", data, at + 4))
        if mark == _FILL:
            at += 1
        elif mark in _ALONE:
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def has_many_scans(data: bytes) -> bool:
    """Whether the file has more scans than pictures need."""
    return data.count(b"\xff\xda") > SCAN_LIMIT
