"""MANO files made here: a hand-shaped tube of random numbers in MANO's exact layout, pickled as Python 2 did it.

``python2_pickle`` writes the instructions that cPickle of Python 2.7 writes for NumPy 1.16, SciPy 1.2 and chumpy 0.70.
"""

import struct
from dataclasses import dataclass, field

import numpy as np

PARENTS = (2**32 - 1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
RING, RINGS = 16, 48
# Joints of a right hand whose fingers point along -x, its thumb along z and its palm along -y [m].
JOINTS = np.array(
    [[0.09, 0.0]]
    + [[x, z] for z in (0.03, 0.01, -0.03, -0.01) for x in (0.0, -0.03, -0.06)]
    + [[x, 0.036] for x in (0.07, 0.04, 0.01)]
)


@dataclass
class Made:
    """An object in a pickle: the name of what makes it, arguments, state, and whether its class has no constructor."""

    name: str
    arguments: tuple = ()
    state: object = None
    plain: bool = field(default=True)


def mano_arrays(side="right", *, seed=0, training=True):
    """Arrays of a MANO file by name, dense: 778 vertices, 1538 faces, open at the wrist."""
    random = np.random.default_rng(seed)
    vertices, faces = _tube()
    joints = np.stack([JOINTS[:, 0], np.zeros(16), JOINTS[:, 1]], axis=1)
    distance = np.linalg.norm(vertices[None] - joints[:, None], axis=2)
    regressor = np.zeros((16, 778))
    for joint in range(16):
        regressor[joint, np.argsort(distance[joint], kind="stable")[:4]] = 0.25
    weights = np.exp(-distance.T / 0.01)
    weights[weights < np.sort(weights, axis=1)[:, -4:-3]] = 0.0
    if side == "left":
        vertices, faces = vertices * [-1.0, 1.0, 1.0], faces[:, ::-1]
    arrays = {
        "v_template": vertices,
        "shapedirs": random.normal(scale=0.002, size=(778, 3, 10)),
        "posedirs": random.normal(scale=0.001, size=(778, 3, 135)),
        "weights": weights / weights.sum(axis=1, keepdims=True),
        "J_regressor": regressor,
        "f": faces.astype(np.uint32),
        "kintree_table": np.array([PARENTS, range(16)], dtype=np.int64),
    }
    if training:
        arrays["hands_mean"] = random.normal(scale=0.2, size=45)
        arrays["hands_components"] = np.linalg.qr(random.normal(size=(45, 45)))[0]
        arrays["hands_coeffs"] = random.normal(size=(60, 45)) * np.geomspace(1.0, 0.01, 45)
    return arrays


def _tube():
    """48 rings of 16 vertices, flat as a hand, closed by 10 more at the finger tips: (778, 3) and (1538, 3)."""
    angle = 2.0 * np.pi * np.arange(RING) / RING
    ring = np.stack([np.zeros(RING), 0.012 * np.sin(angle), 0.042 * np.cos(angle)], axis=1)
    rings = [ring * np.sqrt(1.0 - 0.5 * t * t) + [0.1 - 0.18 * t, 0.0, 0.0] for t in np.linspace(0.0, 1.0, RINGS)]
    inner = 0.5 * rings[-1][np.arange(9) * RING // 9] + [0.5 * -0.086, 0.0, 0.0]
    vertices = np.concatenate([*rings, inner, [[-0.09, 0.0, 0.0]]])
    faces = []
    for r in range(RINGS - 1):
        for i in range(RING):
            a, b = r * RING + i, r * RING + (i + 1) % RING
            faces += [[a, a + RING, b], [b, a + RING, b + RING]]
    outer, centre = (RINGS - 1) * RING, RINGS * RING + 9
    for i in range(RING):  # the last ring to nine inner vertices, and those to the middle
        here, following = i * 9 // RING, (i + 1) * 9 // RING
        faces.append([outer + i, RINGS * RING + here, outer + (i + 1) % RING])
        if following != here:
            faces.append([outer + (i + 1) % RING, RINGS * RING + here, RINGS * RING + following % 9])
    faces += [[RINGS * RING + i, centre, RINGS * RING + (i + 1) % 9] for i in range(9)]
    return vertices, np.array(faces)[:, ::-1]


def smpl_arrays(*, seed=0, shapes=10):
    """Arrays of a SMPL file: 6890 vertices of a sphere, random elsewhere."""
    from warpprior.bodies.readers.smpl import PARENTS as parents

    random = np.random.default_rng(seed)
    rest = random.normal(size=(6890, 3))
    weights = random.uniform(size=(6890, 24)) * (random.uniform(size=(6890, 24)) < 0.1)
    weights[:, 0] += 1e-3
    regressor = random.uniform(size=(24, 6890)) * (random.uniform(size=(24, 6890)) < 0.001)
    regressor[:, 0] += 1e-3
    return {
        "v_template": rest / np.linalg.norm(rest, axis=1, keepdims=True),
        "shapedirs": random.normal(scale=0.01, size=(6890, 3, shapes)),
        "posedirs": random.normal(scale=0.001, size=(6890, 3, 207)),
        "weights": weights / weights.sum(axis=1, keepdims=True),
        "J_regressor": regressor / regressor.sum(axis=1, keepdims=True),
        "f": random.integers(0, 6890, (13776, 3)).astype(np.uint32),
        "kintree_table": np.array([(2**32 - 1, *parents[1:]), range(24)], dtype=np.uint32),
    }


def published(arrays):
    """The tree of a published file: chumpy nodes, a sparse regressor, and entries no reader needs."""
    from scipy import sparse

    matrix = sparse.csc_matrix(arrays["J_regressor"])
    state = {
        "_shape": matrix.shape,
        "maxprint": 50,
        "data": matrix.data,
        "indices": matrix.indices.astype(np.int32),
        "indptr": matrix.indptr.astype(np.int32),
    }
    wide = np.concatenate([arrays["shapedirs"], np.zeros_like(arrays["shapedirs"])], axis=2)
    count = arrays["shapedirs"].shape[2]
    chosen = np.arange(wide.size).reshape(wide.shape)[:, :, :count].ravel()
    select = chumpy_node("chumpy.reordering.Select", a=chumpy_array(wide), idxs=chosen)
    select.state["preferred_shape"] = arrays["shapedirs"].shape
    replaced = {
        "v_template": chumpy_array(arrays["v_template"]),
        "shapedirs": select,
        "posedirs": chumpy_array(arrays["posedirs"]),
        "J_regressor": Made("scipy.sparse.csc.csc_matrix", state=state),
        "bs_type": b"lrotmin",
        "bs_style": b"lbs",
    }
    return {**arrays, **replaced}


def chumpy_array(values):
    """A leaf of chumpy's graph."""
    return chumpy_node("chumpy.ch.Ch", x=np.asarray(values))


def chumpy_node(name, **fields):
    """A node of chumpy's graph, with the fields all of them have."""
    dirty = Made("__builtin__.set", ([key.encode() for key in fields],), plain=False)
    state = {"_make_sparse": False, "_dirty_vars": dirty, "_itr": None, "_depends_on_deps": {}, "_make_dense": False}
    return Made(name, state={**state, **fields})


def python2_pickle(tree, protocol):
    """Bytes of a pickle as cPickle of Python 2.7 wrote them, protocol 0, 1 or 2."""
    return _Writer(protocol).dump(tree)


class _Writer:
    """Writes what the tests need: text is written as Python 2 strings."""

    def __init__(self, protocol):
        self._binary, self._new = protocol > 0, protocol > 1
        self._parts = [b"\x80\x02"] if protocol > 1 else []
        self._names = {}
        self._count = 0

    def dump(self, tree):
        self._put(tree)
        return b"".join([*self._parts, b"."])

    def _add(self, *parts):
        self._parts += parts

    def _remember(self):
        self._count += 1
        if not self._binary:
            self._add(b"p%d\n" % self._count)
        elif self._count < 256:
            self._add(b"q" + bytes([self._count]))
        else:
            self._add(b"r" + struct.pack("<I", self._count))

    def _name(self, name):
        if name in self._names:
            number = self._names[name]
            short = b"h" + bytes([number]) if number < 256 else b"j" + struct.pack("<I", number)
            self._add(short if self._binary else b"g%d\n" % number)
            return
        module, _, attribute = name.rpartition(".")
        self._add(f"c{module}\n{attribute}\n".encode())
        self._remember()
        self._names[name] = self._count

    def _put(self, value):
        kinds = {bool: self._truth, int: self._integer, float: self._real, bytes: self._string, str: self._string}
        kinds |= {
            tuple: self._tuple,
            list: self._list,
            dict: self._dictionary,
            np.ndarray: self._array,
            Made: self._made,
        }
        if value is None:
            self._add(b"N")
        else:
            kinds[type(value)](value)

    def _truth(self, value):
        self._add((b"\x88" if value else b"\x89") if self._new else b"I0%d\n" % value)

    def _integer(self, value):
        if not self._binary or not -(2**31) <= value < 2**31:
            self._add(b"I%d\n" % value)
        elif 0 <= value < 256:
            self._add(b"K" + bytes([value]))
        elif 0 <= value < 65536:
            self._add(b"M" + struct.pack("<H", value))
        else:
            self._add(b"J" + struct.pack("<i", value))

    def _real(self, value):
        self._add(b"G" + struct.pack(">d", value) if self._binary else b"F%s\n" % repr(value).encode())

    def _string(self, value):
        data = value.encode() if isinstance(value, str) else value
        if not self._binary:
            self._add(b"S", repr(data)[1:].encode(), b"\n")
        elif len(data) < 256:
            self._add(b"U", bytes([len(data)]), data)
        else:
            self._add(b"T", struct.pack("<i", len(data)), data)
        self._remember()

    def _tuple(self, value):
        short = self._new and 1 <= len(value) <= 3
        self._add(b"" if short else b"(")
        for item in value:
            self._put(item)
        self._add((b"", b"\x85", b"\x86", b"\x87")[len(value)] if short else b"t")
        self._remember()

    def _list(self, value):
        self._add(b"]" if self._binary else b"(l")
        self._remember()
        for item in value:
            self._put(item)
            self._add(b"a")

    def _dictionary(self, value):
        self._add(b"}" if self._binary else b"(d")
        self._remember()
        self._add(b"(" if self._binary else b"")
        for key, item in value.items():
            self._put(key)
            self._put(item)
            self._add(b"" if self._binary else b"s")
        self._add(b"u" if self._binary else b"")

    def _array(self, value):
        kind = Made("numpy.dtype", (value.dtype.str[1:], 0, 1), (3, "<", None, None, None, -1, -1, 0), False)
        fortran = value.ndim > 1 and value.flags.f_contiguous and not value.flags.c_contiguous
        state = (1, value.shape, kind, bool(fortran), value.tobytes("F" if fortran else "C"))
        self._made(Made("numpy.core.multiarray._reconstruct", (Made("numpy.ndarray"), (0,), "b"), state, False))

    def _made(self, value):
        if value.name == "numpy.ndarray":
            self._name(value.name)
            return
        if value.plain and self._new:
            self._name(value.name)
            self._add(b")\x81")
        elif value.plain:
            self._name("copy_reg._reconstructor")
            self._add(b"(")
            self._name(value.name)
            self._name("__builtin__.object")
            self._add(b"NtR")
        else:
            self._name(value.name)
            self._tuple(value.arguments)
            self._add(b"R")
        self._remember()
        if value.state is not None:
            self._put(value.state)
            self._add(b"b")
