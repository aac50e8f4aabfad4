"""What a file is, by how it begins: for messages about files that are not what their name says."""

from __future__ import annotations

PICKLE = "a pickle"
NPZ = "an .npz archive of arrays"
NPY = "a single NumPy array (.npy)"
_SHOWN = 24  # bytes of a beginning that a message quotes

_STARTS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself: fetch it with `git lfs pull`"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "compressed with gzip: unpack it"),
    (b"BZh", "compressed with bzip2: unpack it"),
    (b"\xfd7zXZ", "compressed with xz: unpack it"),
    (b"(\xb5/\xfd", "compressed with zstd: unpack it"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it"),
    (b"Rar!", "a RAR archive: unpack it"),
    (b"\x93NUMPY", NPY),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"glTF", "a binary glTF file"),
    (b"MATLAB", "a MATLAB file"),
    (b"{", "JSON text"),
)
_PAGE = (b"<!doctype html", b"<html", b"<head", b"<?xml", b"<!--")


def describe_start(data: bytes) -> str | None:
    """What a file is that begins so, in words for ``is ...``, or None where it is nothing that is often mistaken.

    Args:
        data: the file, or its first kilobytes.
    """
    text = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_PAGE):
        markup = "an XML text" if text.startswith(b"<?xml") and b"html" not in text else "a web page (HTML)"
        return f"{markup}, as a server sends it in place of a file: sign in and download it again"
    if data.startswith(b"PK\x03\x04"):
        inside = {b".npy": NPZ, b"/data.pkl": "a file of torch.save"}
        return next((words for name, words in inside.items() if name in data[:256]), "a zip archive: unpack it")
    if len(data) > 1 and data[0] == 0x80 and 2 <= data[1] <= 5:
        return PICKLE
    return next((words for start, words in _STARTS if data.startswith(start)), None)


def not_what(data: bytes, wanted: str) -> str:
    """``is not a pickle but a web page (HTML) ... (it begins with b'<!DOCTYPE')``: what is found, for an error.

    Args:
        data: the file, or its first kilobytes.
        wanted: what it should be: ``a pickle``.
    """
    described = describe_start(data)
    instead = "" if described is None else f" but {described}"
    return f"is not {wanted}{instead} (it begins with {data[:_SHOWN]!r})"
