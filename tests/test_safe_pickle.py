"""Pickles read as data: what they may hold arrives, whatever would run or fill the memory is refused in one line."""

import collections
import gzip
import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from scipy import sparse

from tests.mano_files import Made, chumpy_array, chumpy_node, python2_pickle
from warpprior.bodies.readers.pickled_arrays import PickledArrays
from warpprior.bodies.readers.safe_pickle import read_pickle
from warpprior.support.errors import InputError


def zipped(name, data):
    """A zip archive of one file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, data)
    return stream.getvalue()


@pytest.fixture
def read(tmp_path):
    """Reads the bytes of a pickle as a tree."""

    def read(data):
        path = tmp_path / "file.pkl"
        path.write_bytes(data)
        return read_pickle(path, "a model")

    return read


@pytest.fixture
def arrays(read):
    """Reads the arrays of a tree pickled as Python 2 did it, protocol 2."""
    return lambda tree, protocol=2: PickledArrays("file.pkl", read(python2_pickle(tree, protocol)))


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_arrive(read, protocol):
    """Numbers, text, bytes and collections of today's Python, every protocol."""
    shared = [1, 2]
    tree = {"a": [None, True, False, 0, -1, 255, 65535, -(2**31), 2**40, -(2**70), 1.5, -0.0, 1e300]}
    tree |= {
        "text": "h\u00e4nd\n\u624b",
        "tuple": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
        "shared": [shared, shared],
    }
    found = read(pickle.dumps(tree, protocol))
    assert found == tree
    assert found["shared"][0] is found["shared"][1]


@pytest.mark.parametrize("protocol", range(6))
def test_dictionaries_in_order_are_dictionaries(read, protocol):
    """A file that was read and saved again may have its names in an OrderedDict."""
    tree = collections.OrderedDict([("b", [1, 2]), ("a", collections.OrderedDict()), (3, "text")])
    assert read(pickle.dumps(tree, protocol)) == {"b": [1, 2], "a": {}, 3: "text"}


def test_dictionaries_of_python_2_come_with_their_items(read):
    """It hands the pairs to the constructor."""
    code = b"ccollections\nOrderedDict\n((lp0\n(lp1\nS'a'\naI1\naa(lp2\nS'b'\naI2\naatR."
    assert read(code) == {"a": 1, "b": 2}
    for broken in (b"ccollections\nOrderedDict\n(I1\ntR.", b"ccollections\nOrderedDict\n((lp0\nI1\natR."):
        with pytest.raises(InputError, match="cannot be read"):
            read(broken)


# What a file is that should be a pickle, and words of the message.
MISTAKEN = {
    "web page": (
        b"<!DOCTYPE html><html><body>Please sign in.",
        "is not a pickle but a web page .HTML.*sign in.*<!DOCTYPE",
    ),
    "web page later": (b"\n\n <html lang='en'>", "is not a pickle but a web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "a Git LFS pointer.*git lfs pull"),
    "gzip": (gzip.compress(pickle.dumps({"a": 1})), "compressed with gzip: unpack it"),
    "zip": (zipped("MANO_RIGHT.pkl", b"1"), "a zip archive: unpack it"),
    "npz": (zipped("v_template.npy", b"1"), "an .npz archive of arrays .*rename it to .npz"),
    "torch": (zipped("archive/data.pkl", b"1"), "a file of torch.save"),
    "text": (b"version 5", r"is not a pickle \(it begins with b'version 5'\)"),
}


@pytest.mark.parametrize(("data", "words"), MISTAKEN.values(), ids=MISTAKEN.keys())
def test_a_file_that_is_no_pickle_is_named(read, data, words):
    """One sentence: what it is, and how it begins."""
    with pytest.raises(InputError, match=words) as refused:
        read(data)
    assert len(str(refused.value)) < 300 and "it begins with b" in str(refused.value)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", ["<f8", ">f4", "<i4", "|u1", "|b1", "<f2", ">i8"])
def test_arrays_of_any_number_arrive(read, protocol, kind):
    """Every protocol, both byte orders, rows or columns first, empty ones and scalars."""
    values = np.arange(12).reshape(3, 4).astype(kind)
    tree = {"c": values, "f": np.asfortranarray(values), "empty": values[:0], "scalar": values[1, 2], "list": [1, 2.5]}
    found = PickledArrays("file.pkl", read(pickle.dumps(tree, protocol)))
    for name, expected in tree.items():
        np.testing.assert_array_equal(found.array(name), expected)
    assert found.array("c").dtype == np.dtype(kind).newbyteorder("=")


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("kind", ["csc", "csr", "coo"])
def test_sparse_matrices_arrive(read, protocol, kind):
    """SciPy's matrices of today."""
    values = sparse.random(5, 7, 0.4, random_state=1)
    tree = {"m": getattr(sparse, f"{kind}_matrix")(values)}
    found = PickledArrays("file.pkl", read(pickle.dumps(tree, protocol)))
    np.testing.assert_array_equal(found.array("m"), values.toarray())


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_graphs_of_chumpy_are_computed(arrays, protocol):
    """Leaves, selections, reshapes, transposes, sums and products give what chumpy gives."""
    values = np.random.default_rng(0).normal(size=(4, 6))
    leaf = chumpy_array(values)
    select = chumpy_node("chumpy.reordering.Select", a=leaf, idxs=np.array([5, 0, 7, 7]))
    select.state["preferred_shape"] = (2, 2)
    tree = {
        "leaf": leaf,
        "select": select,
        "reshape": chumpy_node("chumpy.reordering.Reshape", a=leaf, newshape=(2, 12)),
        "transpose": chumpy_node("chumpy.reordering.transpose", a=leaf, axes=None),
        "sum": chumpy_node("chumpy.ch_ops.add", a=leaf, b=chumpy_array(np.ones(6))),
        "product": chumpy_node("chumpy.ch.MatVecMult", mtx=leaf, vec=chumpy_array(np.arange(6.0))),
    }
    found = arrays(tree, protocol)
    np.testing.assert_array_equal(found.array("leaf"), values)
    np.testing.assert_array_equal(found.array("select"), values.ravel()[[5, 0, 7, 7]].reshape(2, 2))
    np.testing.assert_array_equal(found.array("reshape"), values.reshape(2, 12))
    np.testing.assert_array_equal(found.array("transpose"), values.T)
    np.testing.assert_array_equal(found.array("sum"), values + 1.0)
    np.testing.assert_allclose(found.array("product"), values @ np.arange(6.0))


def test_nodes_nobody_asks_for_do_not_matter(arrays):
    """Other kinds of chumpy's nodes are passed over, and refused where they are needed."""
    found = arrays({"J": chumpy_node("chumpy.linalg.svd_d", x=np.ones(2)), "v": chumpy_array(np.ones(3))})
    np.testing.assert_array_equal(found.array("v"), np.ones(3))
    with pytest.raises(InputError, match="J: is made by chumpy.linalg.svd_d"):
        found.array("J")


class Runs:
    """Pickles to a call of a function."""

    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "call",
    [
        (os.system, "touch {mark}"),
        (eval, "open('{mark}', 'w')"),
        (exec, "open('{mark}', 'w')"),
        (open, "{mark}", "w"),
        (subprocess.Popen, ["touch", "{mark}"]),
        (getattr, os, "system"),
        (np.load, "{mark}"),
        (np.memmap, "{mark}", "u1", "w+", 0, 10),
        (__import__, "os"),
        (io.FileIO, "{mark}", "w"),
        (sys.setrecursionlimit, 10),
    ],
    ids=lambda call: call[0].__name__,
)
def test_nothing_is_called(read, tmp_path, protocol, call):
    """Functions that a file names are refused by name, and have not run."""
    mark = tmp_path / "mark"
    fill = lambda a: [fill(b) for b in a] if isinstance(a, list) else a.format(mark=mark) if isinstance(a, str) else a  # noqa: E731
    if call[0] is getattr:
        data = b"c__builtin__\ngetattr\n(cos\nsystem\nS'x'\ntR."
    else:
        data = pickle.dumps({"v_template": Runs(call[0], *map(fill, call[1:]))}, protocol)
    with pytest.raises(InputError, match=r"holds [\w.]+, which is not read"):
        read(data)
    assert not mark.exists()


NDARRAY = b"cnumpy\nndarray\n"
MAKE = b"cnumpy.core.multiarray\n_reconstruct\n"
HOSTILE = {
    "name with dots": b"\x80\x04\x8c\x05numpy\x8c\x0dlib.npyio.os.\x93.",
    "name by two strings": b"\x80\x04\x8c\x05posix\x8c\x06system\x93.",
    "state for a name": NDARRAY + b"}S'__reduce__'\nNsb.",
    "state for a list": b"]}b.",
    "call of a list": b"](tR.",
    "call of text": b"S'os'\n(tR.",
    "arguments no tuple": MAKE + b"]R.",
    "made by what was made": MAKE + b"(tR(tR.",
    "old class": b"(ios\nsystem\n.",
    "old object": b"(" + NDARRAY + b"o.",
    "persistent": b"Pid\n.",
    "extension": b"\x80\x02\x82\x01.",
    "new with keywords": b"\x80\x04" + NDARRAY + b")}\x92.",
    "unknown instruction": b"\xff.",
    "deep key": b"}" + b")" + b"\x85" * 200_000 + b"Ns.",
    "list as key": b"}]Ns.",
    "odd items": b"}(Nu.",
    "no mark": b"Nt.",
    "mark as result": b"(.",
    "nothing on the stack": b".",
    "reads what was never put": b"g5\n.",
    "cut in text": b"U\xffabc",
    "cut in a line": b"S'abc",
    "no stop": b"N",
    "negative length": b"T\xff\xff\xff\xff.",
    "negative length of a number": b"\x8b\xff\xff\xff\xff.",
    "huge text": b"\x8d" + struct.pack("<Q", 2**63) + b"x.",
    "huge bytes": b"\x96" + struct.pack("<Q", 2**40) + b"x.",
    "huge number": b"\x8b" + struct.pack("<i", 2**30) + b"x.",
    "many digits": b"L" + b"9" * 100_000 + b"L\n.",
    "no number": b"Iabc\n.",
    "no UTF-8": b"\x8c\x02\xff\xfe.",
    "text without quotes": b"Sabc\n.",
    "list appended to itself then called": b"]p0\ng0\naR.",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bytes_are_refused(read, data):
    """Instructions out of place, lengths nobody has, and names that are not on the list end in one sentence."""
    with pytest.raises(InputError) as refused:
        read(data)
    assert len(str(refused.value)) < 400 and "\n" not in str(refused.value)


def test_huge_memo_keys_cost_nothing(read):
    """A memo key of four thousand millions is a key, not a size."""
    assert read(b"Nr\xff\xff\xff\xff0j\xff\xff\xff\xff.") is None


def test_a_class_cannot_be_changed(read):
    """A state for one object does not reach the next: everything made is of its own."""
    data = MAKE + b"(tR}S'array'\nI1\nsb" + MAKE + b"(tR\x86."
    first, second = read(data)
    assert first.state == {"array": 1} and second.state is None


def array(shape, raw, kind=("f8", "<")):
    """An array of a file, with any shape and bytes."""
    made = Made("numpy.dtype", (kind[0], 0, 1), (3, kind[1], None, None, None, -1, -1, 0), False)
    state = (1, shape, made, False, raw)
    return Made("numpy.core.multiarray._reconstruct", (Made("numpy.ndarray"), (0,), "b"), state, False)


def sparse_node(shape, data, indices, indptr):
    """A column-compressed matrix of a file, with any indices."""
    state = {"_shape": shape, "data": data, "indices": indices, "indptr": indptr}
    return Made("scipy.sparse.csc.csc_matrix", state=state)


def nested(depth):
    """A selection of a selection of ..."""
    node = chumpy_array(np.zeros(2))
    for _ in range(depth):
        node = chumpy_node("chumpy.reordering.Select", a=node, idxs=np.array([0]))
    return node


ONE = np.array([0], dtype=np.int32)
BAD_ARRAYS = {
    "bytes missing": (array((3,), b"\0" * 23), "another number of bytes"),
    "bytes left over": (array((3,), b"\0" * 25), "another number of bytes"),
    "huge shape": (array((2**40, 2**40), b""), "has shape"),
    "negative shape": (array((-1, -1), b"\0" * 8), "has shape"),
    "objects": (array((1,), [1], ("O8", "|")), "elements of type 'O8'"),
    "records": (array((1,), b"\0" * 8, ("V8", "|")), "elements of type 'V8'"),
    "long type": (array((1,), b"\0" * 8, ("f8,f8,f8", "|")), "elements of type"),
    "huge element": (array((1,), b"\0" * 8, ("S99999999999", "|")), "elements of type"),
    "no state": (Made("numpy.core.multiarray._reconstruct", (), None, False), "cannot be made an array"),
    "text": (b"lrotmin", "is no number"),
    "a name": (Made("numpy.ndarray"), "is no number"),
    "a set": (Made("__builtin__.set", ([],), None, False), "is made by __builtin__.set"),
    "wide product": (sparse_node((2**31, 2**31), np.zeros(1), ONE, np.array([0, 1])), "has shape"),
    "index beyond": (sparse_node((2, 2), np.ones(2), np.array([0, 7]), np.array([0, 1, 2])), "cannot be made an array"),
    "pointers fall": (
        sparse_node((2, 2), np.ones(2), np.array([0, 1]), np.array([0, 9, 2])),
        "cannot be made an array",
    ),
    "selection beyond": (
        chumpy_node("chumpy.reordering.Select", a=chumpy_array(np.zeros(3)), idxs=np.array([5])),
        "cannot be made an array",
    ),
    "nested": (nested(100), "nested too deeply"),
    "grows": (
        chumpy_node("chumpy.ch_ops.add", a=chumpy_array(np.zeros((20000, 1))), b=chumpy_array(np.zeros((1, 20000)))),
        "has shape",
    ),
    "huge integers": ([2**100, 1], "numbers too large"),
}


@pytest.mark.parametrize(("node", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS.keys())
def test_arrays_that_are_none_are_refused(arrays, node, message):
    """Shapes without bytes, types that are no numbers, indices beyond, graphs that grow: refused before allocating."""
    with pytest.raises(InputError, match=message):
        arrays({"a": node}).array("a")


def test_many_arrays_of_one_source_have_a_limit(arrays):
    """One small array used thousands of times does not fill the memory."""
    leaf = chumpy_array(np.zeros((1000, 1)))
    wide = chumpy_node("chumpy.ch_ops.add", a=leaf, b=chumpy_array(np.zeros((1, 20_000))))
    found = arrays({"a": wide})
    with pytest.raises(InputError, match="leads to an array|has shape"):
        for _ in range(20):
            found.array("a")


def test_a_cycle_ends(read):
    """A list that holds itself is data; as an array it is refused."""
    found = PickledArrays("file.pkl", read(b"}S'a'\n]p1\ng1\nas."))
    with pytest.raises(InputError, match="nested too deeply"):
        found.array("a")


@pytest.mark.parametrize("data", [b"N.", b"].", b"I5\n."])
def test_a_file_without_names_is_refused(read, data):
    """The top of a model file is a dictionary."""
    with pytest.raises(InputError, match="holds no dictionary"):
        PickledArrays("file.pkl", read(data))


def test_random_damage_ends_in_a_sentence(read):
    """Files with bytes changed or cut either read or are refused; nothing else is raised."""
    data = python2_pickle({"v": np.arange(6.0), "s": chumpy_array(np.ones(3)), "m": sparse_node((1, 1), *[ONE] * 3)}, 2)
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(data[: random.integers(1, len(data))] if random.random() < 0.3 else data)
        for place in random.integers(0, len(damaged), random.integers(1, 6)):
            damaged[place] = random.integers(256)
        try:
            found = PickledArrays("file.pkl", read(bytes(damaged)))
            for name in ("v", "s", "m"):
                if name in found:
                    found.array(name)
        except InputError:
            refused += 1
    assert refused > 100
