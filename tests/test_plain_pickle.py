"""Pickles as plain data: of NumPy's objects, joblib and PyTorch; nothing else is made, and nothing is called."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
import tracemalloc
import zlib
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest

from tests.format_files.network_hands import joblib_bytes
from warpprior.bodies.readers.plain_pickle import read_plain
from warpprior.support.errors import InputError


def test_data_of_people_is_read(tmp_path):
    """Dictionaries in object arrays, paths, defaults, numbers of NumPy; packed by joblib or not."""
    tree = {
        "a": np.arange(6.0).reshape(2, 3), "n": np.float32(2.5), "b": np.bool_(True), "t": ("x", None, 3),
        "p": Path("a/000012.jpg"), "o": OrderedDict(k=1), "d": defaultdict(list, {0: [np.int64(4)]}),
    }  # fmt: skip
    expected = {"n": 2.5, "b": True, "t": ["x", None, 3], "p": "a/000012.jpg", "o": {"k": 1}, "d": {0: [4]}}
    for protocol in range(5):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(tree, protocol))
        found = read_plain(tmp_path / "a.pkl", "data")
        assert np.array_equal(found.pop("a"), tree["a"]) and found == expected
    np.save(tmp_path / "a.npy", tree, allow_pickle=True)
    assert read_plain(tmp_path / "a.npy", "data")["p"] == "a/000012.jpg"
    np.savez(tmp_path / "a.npz", data=np.array([{"x": 1}, None, {"x": 3}], dtype=object), plain=np.eye(2))
    found = read_plain(tmp_path / "a.npz", "data")
    assert found["data"] == [{"x": 1}, None, {"x": 3}] and np.array_equal(found["plain"], np.eye(2))
    for pack in (zlib.compress, gzip.compress):
        (tmp_path / "a.joblib").write_bytes(pack(pickle.dumps([1, "x"])))
        assert read_plain(tmp_path / "a.joblib", "data") == [1, "x"]


def test_tensors_and_arrays_of_joblib(tmp_path):
    """Storages inside the pickle, and bytes behind the wrapper, as written by hand."""
    values = [np.arange(24, dtype=np.float32).reshape(2, 3, 4), np.array([[True, False, True]])]
    (tmp_path / "a.pth").write_bytes(joblib_bytes(values))
    found = read_plain(tmp_path / "a.pth", "data")
    assert all(np.array_equal(one, other) for one, other in zip(found, values, strict=True))


def test_tensors_and_arrays_of_the_genuine_writers(tmp_path):
    """joblib and PyTorch themselves, where they are installed."""
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    values = {"a": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "b": [np.arange(3, dtype=np.int16), "x"]}
    joblib.dump(values, tmp_path / "a.joblib")
    found = read_plain(tmp_path / "a.joblib", "data")
    assert np.array_equal(found["a"], values["a"]) and np.array_equal(found["b"][0], values["b"][0])


def test_tensors_of_pytorch(tmp_path):
    """Archives of today, the older form, and views with steps of their own."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    base = torch.arange(12.0).reshape(3, 4)
    tree = {"x": base.t(), "y": [base[1:, 2], 3], "z": torch.ones(2, dtype=torch.float64)}
    for older in (False, True):
        torch.save(tree, tmp_path / "a.pt", _use_new_zipfile_serialization=not older)
        found = read_plain(tmp_path / "a.pt", "data")
        assert np.array_equal(found["x"], tree["x"].numpy()) and np.array_equal(found["y"][0], [6.0, 10.0])
        assert found["z"].dtype == np.float64


def nested_storages(count):
    """A tensor whose storage is a file of PyTorch's older form, whose tree is one again, and so on."""

    def loaded(inner):
        return b"ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(inner)) + inner + b"\x85R"

    file = bytes(1 << 20)
    for _ in range(count):
        head = b"".join(pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, {}))
        file = head + b"\x80\x02" + loaded(file) + b"." + pickle.dumps([], 2)
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + loaded(file) + b"K\x00K\x01\x85K\x01\x85tR."


class Evil:
    """Whose pickle asks for a command to be run."""

    def __reduce__(self):
        return os.system, ("touch /tmp/warpprior-was-here",)


@pytest.mark.parametrize("form", ["pickle", "object array", "archive of objects", "cut", "text", "deep", "wide"])
def test_what_is_no_plain_data_is_refused(tmp_path, form):
    """In one line, and without calling anything."""
    path = tmp_path / "a.pkl"
    if form == "pickle":
        path.write_bytes(pickle.dumps({"a": Evil()}))
    elif form == "object array":
        np.save(path := tmp_path / "a.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    elif form == "archive of objects":
        np.savez(path := tmp_path / "a.npz", a=np.array([Evil()], dtype=object))
    elif form == "cut":
        path.write_bytes(joblib_bytes([np.arange(24, dtype=np.float32)])[:-9])
    elif form == "text":
        path.write_bytes(b"import os\n")
    elif form == "deep":
        path.write_bytes(b"(" * 100 + b"l" * 100 + b".")
    else:
        layer: object = 1.0
        for _ in range(30):
            layer = [layer] * 10  # the same list ten times over: a thousand bytes, and more than all memory holds
        path.write_bytes(pickle.dumps(layer))
    with pytest.raises(InputError) as caught:
        read_plain(path, "hands")
    assert len(str(caught.value)) < 400 and str(path) in str(caught.value)
    assert not Path("/tmp/warpprior-was-here").exists()


@pytest.mark.parametrize("form", ["empty", "nested"])
def test_small_files_take_little_memory(tmp_path, form):
    """Ten million lists that hold nothing, in 200 bytes; and storages, each a copy of the next."""
    path = tmp_path / "a.pkl"
    if form == "empty":
        given = pickle.dumps(np.empty((7, 0), dtype=object), 2)
        shape, most = b"K\x07K\x00\x86", b"J" + struct.pack("<i", 10_000_000) + b"K\x00\x86"
        assert given.count(shape) == 1
        path.write_bytes(given.replace(shape, most))
    else:
        path.write_bytes(nested_storages(40))
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            read_plain(path, "hands")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 << 20
