"""PNG files as chunks, looked at before a decoder is: some decoders make room for whatever a damaged chunk claims."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_CHUNKS = 1 << 17  # encoders write 8 kB or more into each
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Kind, body and whether the checksum holds, of each chunk that is all there, of the first ones."""
    place = len(SIGNATURE)
    for _ in range(MOST_CHUNKS):
        if place + 12 > len(data):
            return
        (length,) = struct.unpack_from(">I", data, place)
        if place + 12 + length > len(data):
            return
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, place + 8 + length)
        yield kind, body, zlib.crc32(body, zlib.crc32(kind)) == checksum
        place += 12 + length


def png_from(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG file of these chunks (kind, body)."""
    parts = [SIGNATURE]
    for kind, body in chunks:
        parts += [struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))]
    return b"".join(parts)


def plain_png(data: bytes) -> bytes | None:
    """The picture of a PNG file alone, without texts, profiles and further frames; None where it is damaged."""
    chunks = list(png_chunks(data)) if data.startswith(SIGNATURE) else []
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13 or chunks[-1][0] != b"IEND":
        return None
    kept = [(kind, body) for kind, body, holds in chunks if kind in _NEEDED and holds]
    damaged = any(kind in _NEEDED and not holds for kind, _, holds in chunks)
    repeated = sum(kind == b"IHDR" for kind, _ in kept) > 1
    return None if damaged or repeated else png_from(kept)
