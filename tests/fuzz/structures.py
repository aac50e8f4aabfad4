"""Changes that know a format: whatever guards the file as a whole (lengths, checksums) is right again afterwards.

They raise where a file is none of the format, as one that was changed before may be.
"""

from __future__ import annotations

import io
import json
import pickletools
import re
import struct
import xml.etree.ElementTree as ElementTree
import zipfile
import zlib
from random import Random

import numpy as np

from tests.fuzz.mutators import BYTES, NUMBERS, TEXT, TEXTS, Mutator, change_tree, mutate

_PNG = b"\x89PNG\r\n\x1a\n"
_KINDS = ("<f8", "<f4", "<f2", "<i8", "<i4", "|u1", "|i1", "|b1", ">f8", "<u8", "<c16", "<U8", "|S4", "<M8[s]", "|V8")
_HEADERS = (b"'descr': '|O'", b"'descr': [('a', '<f8')]", b"'fortran_order': True", b"'shape': ()", b"'shape': (-1, 3)")
_SHAPES = (b"(99999999999, 3)", b"(0, 3)", b"(3,)", b"(3, 3, 3, 3)", b"(1e9,)", b"(9223372036854775807, 9)", b"None")


def change_json_of_glb(random: Random, data: bytes, other: bytes) -> bytes:
    """One value of the tree of a binary glTF, or of the binary chunk; the lengths fit again."""
    length = struct.unpack_from("<I", data, 12)[0]
    tree, rest = json.loads(data[20 : 20 + length]), data[20 + length :]
    for _ in range(random.choice((1, 1, 2, 3))):
        change_tree(random, tree)
    text = json.dumps(tree).encode()
    if random.random() < 0.1:
        text = mutate(random, TEXT, [text])
    text += b" " * (-len(text) % 4)
    if random.random() < 0.2:
        rest = mutate(random, BYTES, [rest])
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(text) + len(rest), len(text), 0x4E4F534A) + text + rest


def change_json(random: Random, data: bytes, other: bytes) -> bytes:
    """One value of a tree written as JSON."""
    tree = json.loads(data)
    change_tree(random, tree)
    return json.dumps(tree).encode()


def change_xml(random: Random, data: bytes, other: bytes) -> bytes:
    """An element or an attribute is missing, comes twice, elsewhere, deeper, or with another value."""
    root, second = ElementTree.fromstring(data), ElementTree.fromstring(other)
    elements, others = list(root.iter()), list(second.iter())
    one, to, what = random.choice(elements), random.choice(elements), random.randrange(6)
    if what == 0 and one.attrib:
        values = [value for element in elements + others for value in element.attrib.values()]
        odd = [*NUMBERS, *(text for text in TEXTS if text.isprintable()), "1 2", "1 2 3 4", " ".join(["1e39"] * 3)]
        one.set(random.choice(list(one.attrib)), random.choice(random.choice((values, odd))))
    elif what == 1 and one.attrib:
        del one.attrib[random.choice(list(one.attrib))]
    elif what == 2 and len(one):
        one.remove(random.choice(list(one)))
    elif what == 3:
        to.append(ElementTree.fromstring(ElementTree.tostring(random.choice(others))))
    elif what == 4:
        for _ in range(random.choice((3, 70, 250))):
            to = ElementTree.SubElement(to, one.tag, dict(one.attrib))
    else:
        one.tag = random.choice(others).tag
    return ElementTree.tostring(root)


def change_npz(random: Random, data: bytes, other: bytes) -> bytes:
    """One array of an archive in another type, shape, order or name, or with other values; a valid archive again."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(list(files))
    what = random.randrange(6)
    if what == 0:
        names = [*TEXTS[:9], "a/b.npy", "x.npy", random.choice(list(files))]
        files[random.choice(names)] = files.pop(name)
    elif what == 1:
        del files[name]
    elif what == 2:
        files[name] = _change_header(random, files[name])
    elif what == 3:
        files[name] = mutate(random, BYTES, [files[name]])
    else:
        files[name] = _change_array(random, files[name])
    stored = io.BytesIO()
    small = sum(map(len, files.values())) < 100_000
    packed = random.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)) if small else zipfile.ZIP_STORED
    with zipfile.ZipFile(stored, "w") as archive:
        for key, content in files.items():
            archive.writestr(zipfile.ZipInfo(key or "x"), content, packed)  # without the time of day
    return stored.getvalue()


def _change_header(random: Random, content: bytes) -> bytes:
    head, brace, rest = content.partition(b"}")
    new = random.choice((*_HEADERS, b"'shape': " + random.choice(_SHAPES), b"'x" + b"y" * 12_000 + b"': 1"))
    key = new.partition(b":")[0]
    changed = re.sub(re.escape(key) + rb": (\([^)]*\)|'[^']*'|\w+)", lambda _: new, head)
    changed = changed if changed != head else head + b", " + new
    start = changed.find(b"{")
    if start < 10 or random.random() < 0.2:
        return changed + brace + rest
    text = changed[start:] + brace + b"\n"
    body = rest.split(b"\n", 1)[-1]
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text + body


def _change_array(random: Random, content: bytes) -> bytes:
    values = np.load(io.BytesIO(content), allow_pickle=False)
    what = random.randrange(7)
    if what == 0:
        values = values.astype(random.choice(_KINDS))
    elif what == 1:
        values = values[..., None] if random.random() < 0.5 else values[None]
    elif what == 2:
        count = random.randrange(len(values) + 1)
        values = np.moveaxis(values, 0, -1) if random.random() < 0.5 else values[:count]
    elif what == 3:
        values = np.repeat(values, random.choice((2, 3)), axis=random.randrange(values.ndim))
    elif what == 4:
        values = np.asfortranarray(values)[::-1]
    elif values.size and values.dtype.kind in "fiu":
        odd = (np.nan, np.inf, -np.inf, 1e39, 1e300, -1.0, 0.0, 1e-300, 1e5, 2.0**31, 255.0)
        values = np.array(values)
        with np.errstate(all="ignore"):
            value = np.float64(random.choice(odd)).astype(values.dtype)
        chosen = slice(None) if random.random() < 0.3 else random.randrange(values.size)
        values.reshape(-1)[chosen] = value
    stored = io.BytesIO()
    np.save(stored, values, allow_pickle=False)
    return stored.getvalue()


def change_png(random: Random, data: bytes, other: bytes) -> bytes:
    """Chunks of a PNG changed, missing, twice or elsewhere, or other pixels packed; the checksums are right again."""
    chunks, place = [], len(_PNG)
    while data.startswith(_PNG) and place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    if not chunks:
        return data
    index = random.randrange(len(chunks))
    kind, body = chunks[index]
    what = random.randrange(7)
    if what == 0 and chunks[0][0] == b"IHDR":
        header = bytearray(chunks[0][1])
        header[random.randrange(8, 13) % max(len(header), 1)] = random.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
        chunks[0] = (b"IHDR", bytes(header))
    elif what == 1:
        del chunks[index]
    elif what == 2:
        chunks.insert(random.randrange(len(chunks) + 1), chunks[index])
    elif what == 3:
        extra = random.choice(
            (b"PLTE", b"tRNS", b"tEXt", b"acTL", b"fdAT", b"gAMA", b"iCCP", b"eXIf", b"sBIT", b"zTXt")
        )
        chunks.insert(random.randrange(len(chunks) + 1), (extra, random.randbytes(random.choice((0, 3, 8, 768)))))
    elif what == 4 and kind == b"IDAT":
        chunks[index] = (kind, zlib.compress(mutate(random, BYTES, [zlib.decompress(body)])))
    elif what == 5:
        chunks[index] = (kind, mutate(random, BYTES, [body]))
    else:
        chunks[index] = (random.randbytes(4), body)
    out = _PNG
    for kind, body in chunks:
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return out


def change_pickle(random: Random, data: bytes, other: bytes) -> bytes:
    """One instruction of a pickle missing, twice, elsewhere, or another one."""
    starts = [place for _, _, place in pickletools.genops(data) if place is not None]
    ends = [*starts[1:], len(data)]
    index, to = random.randrange(len(starts)), random.randrange(len(starts))
    start, end, what = starts[index], ends[index], random.randrange(5)
    if what == 0:
        return data[:start] + data[end:]
    if what == 1:
        return data[:end] + data[start:end] * random.choice((1, 2, 1000)) + data[end:]
    if what == 2:
        return data[:start] + data[starts[to] : ends[to]] + data[end:]
    if what == 3:
        return data[:start] + random.choice(pickletools.opcodes).code.encode("latin-1") + data[start + 1 :]
    names = (
        b"cos\nsystem\n",
        b"cbuiltins\neval\n",
        b"cnumpy\nload\n",
        b"c\n\n",
        b"cnumpy\ndtype\n",
        b"(",
        b"N",
        b"}",
        b"0",
    )
    return data[:start] + random.choice(names) + data[start:]


def with_bytes(*changes: Mutator) -> tuple[Mutator, ...]:
    """These changes mostly, and those of bytes."""
    return (*changes * 3, *BYTES)
