"""Binary glTF 2 files: the JSON tree, its arrays, and where its nodes are; everything checked before it is followed."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import numpy as np

from warpprior.bodies.readers.files import read_bytes
from warpprior.bodies.repair import MAX_FACES
from warpprior.support.errors import InputError

ACCEPTED = "give a self-contained GLB (binary glTF 2) file"
MOST_ELEMENTS = 3 * MAX_FACES  # of one array
MOST_NODES = 100_000
_COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_UNDERSTOOD = ("KHR_mesh_quantization", "KHR_texture_transform", "KHR_materials_", "KHR_lights_", "EXT_texture_")


class Glb:
    """One file.

    Args:
        path: the file; nothing outside it is read.

    Raises:
        InputError: damaged, cut short, or it needs other files or compression.

    Methods raise what Python raises on a tree that does not make sense (KeyError, TypeError, ...): callers turn that
    into an :class:`InputError` by :func:`warpprior.bodies.readers.files.refuse_unreadable`.
    """

    def __init__(self, path: Path | str):
        self._where = str(path)
        data = read_bytes(path, "a GLB file")
        if len(data) < 20:
            raise InputError(self._where, f"has {len(data)} bytes, less than a header", ACCEPTED)
        magic, version, length = struct.unpack_from("<4sII", data)
        if magic != b"glTF" or version != 2:
            raise InputError(self._where, "is no binary glTF 2 file", ACCEPTED)
        if length != len(data):
            raise InputError(self._where, f"its header claims {length} bytes, it has {len(data)}", ACCEPTED)
        size, kind = struct.unpack_from("<I4s", data, 12)
        if kind != b"JSON" or 20 + size > len(data):
            raise InputError(self._where, "has no complete JSON chunk", ACCEPTED)
        self.tree = json.loads(data[20 : 20 + size])
        if not isinstance(self.tree, dict):
            raise InputError(self._where, "its JSON is no object", ACCEPTED)
        self._binary = self._binary_chunk(data, 20 + size)
        self._check_extensions()

    def _binary_chunk(self, data: bytes, start: int) -> bytes:
        while start + 8 <= len(data):
            size, kind = struct.unpack_from("<I4s", data, start)
            if kind == b"BIN\0":
                return data[start + 8 : start + 8 + size]
            start += 8 + size
        return b""

    def _check_extensions(self) -> None:
        needed = [str(name) for name in self.tree.get("extensionsRequired", [])]
        strange = [name for name in needed if not name.startswith(_UNDERSTOOD)]
        if strange:
            raise InputError(self._where, f"needs {', '.join(strange)[:80]}", "save it without compression, plain")

    def listed(self, key: str) -> list[dict]:
        """A list of objects of the tree, empty where there is none."""
        found = self.tree.get(key, [])
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise InputError(self._where, f"its {key} are no list of objects", ACCEPTED)
        return found

    def item(self, key: str, index: object) -> dict:
        """One element of such a list."""
        items = self.listed(key)
        if type(index) is not int or not 0 <= index < len(items):
            raise InputError(self._where, f"names {key} {str(index)[:20]} of {len(items)}", ACCEPTED)
        return items[index]

    def array(self, index: object) -> np.ndarray:
        """The array of an accessor (element, width), normalised integers as floats; a copy of its own."""
        accessor = self.item("accessors", index)
        count, width = accessor["count"], _WIDTHS[accessor["type"]]
        place = f"{self._where}: array {index}"
        if type(count) is not int or not 0 <= count <= MOST_ELEMENTS:
            raise InputError(place, f"claims {str(count)[:20]} elements", f"at most {MOST_ELEMENTS}")
        if "sparse" in accessor or "bufferView" not in accessor:
            raise InputError(place, "is sparse or has no data", "save it with plain arrays")
        kind = np.dtype(_COMPONENTS[accessor["componentType"]])
        view = self.item("bufferViews", accessor["bufferView"])
        buffer = self.item("buffers", view["buffer"])
        if view["buffer"] != 0 or "uri" in buffer:
            raise InputError(place, "lies in another file", ACCEPTED)
        first, inside = int(view.get("byteOffset", 0)), int(accessor.get("byteOffset", 0))
        size, stride = width * kind.itemsize, int(view.get("byteStride", width * kind.itemsize))
        end = inside + (count - 1) * stride + size if count else inside
        if min(first, inside, stride - size) < 0 or end > int(view["byteLength"]) or first + end > len(self._binary):
            raise InputError(place, "reaches beyond its data", "the file is damaged")
        steps = (stride, kind.itemsize)
        values = np.ndarray((count, width), kind, self._binary, first + inside, steps).copy()
        if accessor.get("normalized") and kind.kind in "iu":
            return np.maximum(values / float(np.iinfo(kind).max), -1.0)
        return values

    def world(self) -> tuple[np.ndarray, np.ndarray]:
        """scene_from_node of every node (node, 4, 4), and the parent of every node (node,), -1 for none."""
        nodes = self.listed("nodes")
        if len(nodes) > MOST_NODES:
            raise InputError(self._where, f"has {len(nodes)} nodes", f"at most {MOST_NODES}")
        parents = np.full(len(nodes), -1)
        for index, node in enumerate(nodes):
            for child in node.get("children", []):
                self.item("nodes", child)
                if parents[child] != -1 or child == index:
                    raise InputError(self._where, f"node {child} has two parents", "nodes must form trees")
                parents[child] = index
        placed = np.zeros((len(nodes), 4, 4))
        waiting = [index for index in range(len(nodes)) if parents[index] == -1]
        done = 0
        while waiting:
            index = waiting.pop()
            own = node_matrix(nodes[index])
            placed[index] = own if parents[index] == -1 else placed[parents[index]] @ own
            waiting.extend(nodes[index].get("children", []))
            done += 1
        if done < len(nodes):
            raise InputError(self._where, "some nodes are their own ancestors", "nodes must form trees")
        if not np.isfinite(placed).all():
            raise InputError(self._where, "some node has no finite place", ACCEPTED)
        return placed, parents


def node_matrix(node: dict) -> np.ndarray:
    """parent_from_node (4, 4) of a node: its matrix, or translation, rotation (xyzw) and scale."""
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    from scipy.spatial.transform import Rotation

    result = np.eye(4)
    turn = np.array(node.get("rotation", (0.0, 0.0, 0.0, 1.0)), dtype=np.float64)
    if not math.isclose(float(np.linalg.norm(turn)), 1.0, abs_tol=1e-2):
        raise ValueError("a rotation that is no unit quaternion")
    scale = np.array(node.get("scale", (1.0, 1.0, 1.0)), dtype=np.float64).reshape(3)
    result[:3, :3] = Rotation.from_quat(turn).as_matrix() * scale
    result[:3, 3] = np.array(node.get("translation", (0.0, 0.0, 0.0)), dtype=np.float64).reshape(3)
    return result
