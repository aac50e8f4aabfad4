"""Archives of arrays: as NumPy writes them, and those that claim what they do not hold."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from warpprior.support.errors import InputError
from warpprior.support.npz import NpzArrays, read_npz

MIB = 1 << 20


def opened(path, unpacked=MIB):
    """The file's arrays."""
    return NpzArrays(path, "an archive", "do this", limit=64 * MIB, unpacked=unpacked)


def header(shape, kind="<f8", version=1, extra=""):
    """First bytes of an array as NumPy writes them."""
    text = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, {extra}}}\n".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text


def archive(path, members, **options):
    """A zip file of raw members, deflated."""
    with zipfile.ZipFile(path, "w", **({"compression": zipfile.ZIP_DEFLATED} | options)) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_those_that_were_written(tmp_path, save):
    """Of every kind, order and size, to be written into; names with strokes and dots."""
    rng = np.random.default_rng(0)
    given = {
        "a/b": rng.normal(size=(100, 3, 70)),
        "fortran": np.asfortranarray(rng.normal(size=(5, 4))),
        "big": rng.integers(0, 9, (4, 2)).astype(">i4"),
        "none": np.zeros((0, 3)),
        "one": np.array(2.5),
        "words.npy.": np.array(["ä", "bcd"]),
        "truth": np.array([True, False]),
        "half": np.ones(3, np.float16),
    }
    save(tmp_path / "a.npz", **given)
    read = opened(tmp_path / "a.npz")
    assert list(read) == list(given) and len(read) == len(given) and "a/b" in read and "c" not in read
    for name, value in given.items():
        assert read[name].dtype == value.dtype and read[name].shape == value.shape
        np.testing.assert_array_equal(read[name], value)
        assert read[name].flags.writeable and read[name] is read[name]
    with pytest.raises(KeyError):
        read["c"]


def test_only_what_is_asked_for_is_unpacked(tmp_path):
    """Others may be damaged, pickled or larger than the limit."""
    path = archive(tmp_path / "a.npz", {"big.npy": header((1 << 40,)), "x.npy": header((1,)) + bytes(8), "n.txt": b"1"})
    assert {k: v.tolist() for k, v in read_npz(path, "", "", ("x", "y"), limit=MIB, unpacked=8).items()} == {"x": [0.0]}


LIES = {
    "4 GiB that are not there": ({"a.npy": header((1 << 29,))}, "not as long as it says"),
    "5 MiB of zeros": ({"a.npy": header((5 << 17,)) + bytes(5 << 20)}, r"shape \(655360,\) and type float64, 5 MiB"),
    "too short": ({"a.npy": header((4,)) + bytes(31)}, "not as long as it says"),
    "too long": ({"a.npy": header((4,)) + bytes(33)}, "not as long as it says"),
    "negative": ({"a.npy": header((-1,))}, "does not say what array"),
    "product of negatives": ({"a.npy": header((-2, -2)) + bytes(32)}, "does not say what array"),
    "texts without letters": ({"a.npy": header((1 << 50,), "<U0")}, "not as long as it says"),
    "objects": ({"a.npy": header((1,), "|O") + b"cos\nsystem\n"}, "holds pickled objects"),
    "records": ({"a.npy": header((1,), [("x", "<f8")]) + bytes(8)}, "holds records"),
    "no header": ({"a.npy": b"1" * 200}, "does not say what array"),
    "a header of 4 GiB": ({"a.npy": b"\x93NUMPY\2\0\xff\xff\xff\xff" + b" " * 9000}, "does not say what array"),
    "a program for a header": ({"a.npy": header("__import__('os').abort()")}, "does not say what array"),
    "a deep header": ({"a.npy": header("(" * 1900 + ")" * 1900)}, "does not say what array"),
    "another version": ({"a.npy": header((1,), version=9) + bytes(8)}, "does not say what array"),
    "no array": ({"a": b"text"}, "is not an array"),
}


@pytest.mark.parametrize("name", LIES)
def test_what_arrays_claim_is_compared_before_they_are_unpacked(tmp_path, name):
    """Each is refused by its name, in a short line."""
    members, words = LIES[name]
    read = opened(archive(tmp_path / "a.npz", members))
    with pytest.raises(InputError, match=words) as caught:
        read["a"]
    assert "a.npz: a: " in str(caught.value) and "; " in str(caught.value) and len(caught.value.found) < 120


def test_the_limit_is_of_all_arrays_together(tmp_path):
    """Two of 600 kB are more than 1 MiB."""
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(75_000), b=np.zeros(75_000))
    read = opened(tmp_path / "a.npz")
    assert read["a"].sum() == 0.0
    with pytest.raises(InputError, match="at most 1 MiB in all are read"):
        read["b"]


def patched(path, old, new):
    """The archive with bytes changed in its list."""
    data = path.read_bytes()
    place = data.rindex(old)
    path.write_bytes(data[:place] + new + data[place + len(old) :])
    return path


def test_sizes_in_the_list_are_not_believed(tmp_path):
    """More than deflate can pack is no array, whatever its header says."""
    size = 1 << 30
    packed = header((size // 8,)) + bytes(100)
    path = archive(tmp_path / "a.npz", {"a.npy": packed})
    patched(path, struct.pack("<I", len(packed)), struct.pack("<I", size + len(packed) - 100))
    with pytest.raises(InputError, match="cannot hold"):
        opened(path, unpacked=2 * size)["a"]


def test_damage_anywhere_is_found(tmp_path):
    """A changed byte is refused or not part of what is read; nothing else is raised."""
    values = np.arange(12.0).reshape(3, 4)
    np.savez_compressed(tmp_path / "a.npz", a=values)
    data = (tmp_path / "a.npz").read_bytes()
    outcomes = set()
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]
        (tmp_path / "b.npz").write_bytes(changed)
        try:
            read = opened(tmp_path / "b.npz")
            for name in read:
                np.testing.assert_array_equal(read[name], values)
            outcomes.add("read")
        except InputError:
            outcomes.add("refused")
        (tmp_path / "b.npz").write_bytes(data[:place])
        with pytest.raises(InputError):
            opened(tmp_path / "b.npz")
    assert outcomes == {"read", "refused"}


def test_archives_that_list_too_much_are_not_listed(tmp_path):
    """The size of the list is known from its end, also from the end of archives of more than 2 GiB."""
    names = {f"{number:0300d}.npy": b"" for number in range(4000)}
    with pytest.raises(InputError, match="lists far too many arrays"):
        opened(archive(tmp_path / "a.npz", names))
    path = archive(tmp_path / "b.npz", {"a.npy": header((1,)) + bytes(8)})
    data = path.read_bytes()
    end = data.rindex(b"PK\5\6")
    large = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, 1 << 33, 0)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
    path.write_bytes(data[:end] + large + locator + data[end:])
    with pytest.raises(InputError, match="lists far too many arrays"):
        opened(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing_are_refused(tmp_path, method):
    """NumPy writes none of them, and one may ask for gigabytes before its first byte."""
    path = archive(tmp_path / "a.npz", {"a.npy": header((1,)) + bytes(8)}, compression=method)
    with pytest.raises(InputError, match="packed in another way"):
        opened(path)["a"]


def test_an_array_given_twice_is_refused(tmp_path):
    """Which one is meant?"""
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        for _ in range(2):
            file.writestr("a.npy", header((1,)) + bytes(8))
    with pytest.raises(InputError, match="a: is in the file twice"):
        opened(tmp_path / "a.npz")


def test_version_two_of_the_header_is_read(tmp_path):
    """NumPy writes it for long names of fields."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.arange(3), version=(2, 0))
    assert opened(archive(tmp_path / "a.npz", {"a.npy": stream.getvalue()}))["a"].tolist() == [0, 1, 2]


def test_large_files_are_not_read_whole(tmp_path):
    """What is at both ends says that it is no archive."""
    with open(tmp_path / "a.npz", "wb") as stream:
        stream.write(b"PK\3\4")
        stream.truncate(256 << 20)
    tracemalloc.start()
    with pytest.raises(InputError, match="is damaged, or lists far too many arrays"):
        NpzArrays(tmp_path / "a.npz", "arrays", "give arrays", limit=4 << 30, unpacked=MIB)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MIB


def test_arrays_of_a_file_that_was_replaced_are_not_mixed(tmp_path):
    """An array asked for later is of the same file, or refused."""
    np.savez(tmp_path / "a.npz", one=np.zeros(3), two=np.zeros(3))
    arrays = opened(tmp_path / "a.npz")
    assert arrays["one"].tolist() == [0.0, 0.0, 0.0]
    np.savez(tmp_path / "a.npz", one=np.ones(300), two=np.ones(300))
    with pytest.raises(InputError, match="was written to while it was read"):
        arrays["two"]
