"""Skinned GLB files made here: a finger of three joints below an armature, or whatever a test makes of it."""

import json
import struct

import numpy as np
from scipy.spatial.transform import Rotation

KINDS = {"|u1": 5121, "<u2": 5123, "<u4": 5125, "<f4": 5126}
TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


class GlbBuilder:
    """Collects arrays and writes the file; ``tree`` may be changed before."""

    def __init__(self):
        self.tree = {"asset": {"version": "2.0"}, "accessors": [], "bufferViews": [], "buffers": [{}]}
        self._binary = b""

    def add(self, values, kind="<f4", **extra):
        """Number of the accessor of an array (element, width)."""
        values = np.ascontiguousarray(values, dtype=kind)
        values = values.reshape(len(values), -1)
        self.tree["bufferViews"].append({"buffer": 0, "byteOffset": len(self._binary), "byteLength": values.nbytes})
        accessor = {"bufferView": len(self.tree["bufferViews"]) - 1, "componentType": KINDS[np.dtype(kind).str]}
        accessor |= {"count": len(values), "type": TYPES[values.shape[1]], **extra}
        self.tree["accessors"].append(accessor)
        self._binary += values.tobytes() + b"\0" * (-values.nbytes % 4)
        return len(self.tree["accessors"]) - 1

    def data(self):
        """The bytes of the file."""
        self.tree["buffers"][0].setdefault("byteLength", len(self._binary))
        text = json.dumps(self.tree).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text
        chunks += struct.pack("<I4s", len(self._binary), b"BIN\0") + self._binary
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def finger(*, scale=1.0, names=("base", "middle", "tip"), seed=0):
    """A closed tube of 0.1 m with a seam, three nested joints, below a turned armature of some scale.

    The tube's rings stand along x of the bind frame, whose unit is ``scale`` metres; joints are turned at random.
    Returns the builder; nodes are the armature, the joints, the mesh.
    """
    builder = GlbBuilder()
    angle = 2.0 * np.pi * np.arange(9) / 8  # the last column of vertices repeats the first
    ring = np.stack([np.zeros(9), 0.01 * np.cos(angle), 0.01 * np.sin(angle)], axis=1)
    rings = [ring + np.array([x, 0.0, 0.0]) for x in np.linspace(0.0, 0.1, 11)]
    points = np.concatenate([*rings, [[0.0, 0.0, 0.0]], [[0.1, 0.0, 0.0]]])
    points[8:99:9] = points[0:99:9]
    faces = [[9 * r + i, 9 * r + i + 1, 9 * r + i + 9] for r in range(10) for i in range(8)]
    faces += [[9 * r + i + 1, 9 * r + i + 10, 9 * r + i + 9] for r in range(10) for i in range(8)]
    faces += [[99, i + 1, i] for i in range(8)] + [[100, 90 + i, 91 + i] for i in range(8)]
    armature = {"translation": [0.05, -0.03, 0.06], "rotation": [0.5, 0.5, 0.5, 0.5], "scale": [scale] * 3}
    place, worlds, joints = np.eye(4), [], []
    for number in range(3):
        local = np.eye(4)
        local[:3, :3] = Rotation.random(random_state=seed + number).as_matrix()
        local[:3, 3] = np.linalg.inv(place)[:3, :3] @ ([0.03 / scale, 0.0, 0.0] if number else np.zeros(3))
        place = place @ local
        worlds.append(place)
        rotation = Rotation.from_matrix(local[:3, :3]).as_quat()
        joints.append({"name": names[number], "translation": local[:3, 3].tolist(), "rotation": rotation.tolist()})
    joints[0]["children"], joints[1]["children"] = [2], [3]
    weights = np.exp(-np.abs(points[:, :1] - [0.0, 0.05, 0.09]) / 0.01)
    weights /= weights.sum(axis=1, keepdims=True)
    attributes = {
        "POSITION": builder.add(points / scale),
        "JOINTS_0": builder.add(np.tile([0, 1, 2, 0], (101, 1)), "|u1"),
        "WEIGHTS_0": builder.add(np.hstack([weights, np.zeros((101, 1))])),
    }
    primitive = {"attributes": attributes, "indices": builder.add(np.ravel(faces), "<u2")}
    inverses = np.linalg.inv(worlds).transpose(0, 2, 1).reshape(3, 16)
    builder.tree |= {
        "nodes": [{"name": "armature", "children": [1, 4], **armature}, *joints, {"mesh": 0, "skin": 0}],
        "meshes": [{"primitives": [primitive]}],
        "skins": [{"joints": [1, 2, 3], "inverseBindMatrices": builder.add(inverses)}],
        "materials": [],
    }
    return builder
