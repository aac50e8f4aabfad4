"""glTF 2 files, binary or text: the JSON tree, its arrays, where its nodes are; all checked before it is followed."""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from warpprior.bodies.readers.mesh_files.textures import beside, quoted
from warpprior.bodies.repair import MAX_FACES
from warpprior.support.errors import InputError
from warpprior.support.files import MAX_BYTES, read_bytes

ACCEPTED = "give a complete glTF 2 file, best self-contained (.glb)"
MOST_ELEMENTS = 3 * MAX_FACES  # of one array
MOST_NODES = 100_000
MOST_PARTS = 20_000  # primitives that are drawn, each as often as nodes show it
MOST_TOKENS = 4_000_000  # of the JSON tree, which takes some hundred bytes for each
_COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_UNDERSTOOD = ("KHR_mesh_quantization", "KHR_texture_transform", "KHR_materials_", "KHR_lights_", "EXT_texture_")


class Glb:
    """One file.

    Args:
        path: the file. A ``.glb`` is read alone, a ``.gltf`` with what it names in its folder.

    Raises:
        InputError: damaged, cut short, or it needs other files or compression.

    Methods raise what Python raises on a tree that does not make sense (KeyError, TypeError, ...): callers turn that
    into an :class:`InputError` by :func:`warpprior.bodies.readers.unreadable.refuse_unreadable`.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.binary = self.path.suffix.lower() != ".gltf"
        self._where = str(path)
        self._lists: dict[str, list[dict]] = {}
        self._buffers: dict[int, bytes] = {}
        self._named_bytes = 0
        data = read_bytes(path, "a glTF file")
        self.tree = self._parse(self._chunks(data) if self.binary else data)
        self._check_extensions()

    def _chunks(self, data: bytes) -> bytes:
        """The JSON chunk; the binary one becomes buffer 0."""
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
        at = 20 + size
        while at + 8 <= len(data):
            length, kind = struct.unpack_from("<I4s", data, at)
            if kind == b"BIN\0":
                self._buffers[0] = data[at + 8 : at + 8 + length]
                break
            at += 8 + length
        return data[20 : 20 + size]

    def _parse(self, text: bytes) -> dict:
        if sum(text.count(mark) for mark in (b",", b"[", b"{")) > MOST_TOKENS:
            raise InputError(self._where, f"its JSON has more than {MOST_TOKENS} values", "simplify it")
        try:
            tree = json.loads(text)
        except (ValueError, RecursionError) as error:
            reason = str(error)[:80] if isinstance(error, ValueError) else "nested too deep"
            raise InputError(self._where, f"its JSON cannot be read ({reason})", ACCEPTED) from None
        if not isinstance(tree, dict):
            raise InputError(self._where, "its JSON is no object", ACCEPTED)
        return tree

    def _check_extensions(self) -> None:
        needed = [str(name) for name in self.tree.get("extensionsRequired", [])]
        strange = [name for name in needed if not name.startswith(_UNDERSTOOD)]
        if strange:
            raise InputError(self._where, f"needs {', '.join(strange)[:80]}", "save it without compression, plain")

    def listed(self, key: str) -> list[dict]:
        """A list of objects of the tree, empty where there is none."""
        if key not in self._lists:
            found = self.tree.get(key, [])
            if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
                raise InputError(self._where, f"its {key} are no list of objects", ACCEPTED)
            self._lists[key] = found
        return self._lists[key]

    def item(self, key: str, index: object) -> dict:
        """One element of such a list."""
        items = self.listed(key)
        if type(index) is not int or not 0 <= index < len(items):
            raise InputError(self._where, f"names {key} {str(index)[:20]} of {len(items)}", ACCEPTED)
        return items[index]

    def count(self, index: object) -> int:
        """Elements that an accessor claims, within the limit."""
        count = self.item("accessors", index)["count"]
        if type(count) is not int or not 0 <= count <= MOST_ELEMENTS:
            found = f"claims {str(count)[:20]} elements"
            raise InputError(f"{self._where}: array {index}", found, f"at most {MOST_ELEMENTS}")
        return count

    def array(self, index: object, count: int | None = None) -> np.ndarray:
        """The array of an accessor (element, width), normalised integers as floats; a copy of its own.

        Args:
            index: of the accessor.
            count: how many elements it must have, if that is known.
        """
        accessor = self.item("accessors", index)
        found, width = self.count(index), _WIDTHS[accessor["type"]]
        place = f"{self._where}: array {index}"
        if found != (found if count is None else count):
            raise InputError(place, f"has {found} elements for {count} vertices", "the file is damaged")
        count = found
        if "sparse" in accessor or "bufferView" not in accessor:
            raise InputError(place, "is sparse or has no data", "save it with plain arrays")
        kind = np.dtype(_COMPONENTS[accessor["componentType"]])
        view = self.item("bufferViews", accessor["bufferView"])
        buffer = self._buffer(view["buffer"])
        first, inside = int(view.get("byteOffset", 0)), int(accessor.get("byteOffset", 0))
        size, stride = width * kind.itemsize, int(view.get("byteStride", width * kind.itemsize))
        end = inside + (count - 1) * stride + size if count else inside
        if min(first, inside, stride - size) < 0 or end > int(view["byteLength"]) or first + end > len(buffer):
            raise InputError(place, "reaches beyond its data", "the file is damaged")
        steps = (stride, kind.itemsize)
        values = np.ndarray((count, width), kind, buffer, first + inside, steps).copy()
        if accessor.get("normalized") and kind.kind in "iu":
            return np.maximum(values / float(np.iinfo(kind).max), -1.0)
        return values

    def view_bytes(self, index: object) -> bytes:
        """The bytes of a buffer view."""
        view = self.item("bufferViews", index)
        first, length = int(view.get("byteOffset", 0)), int(view["byteLength"])
        buffer = self._buffer(view["buffer"])
        if min(first, length) < 0 or first + length > len(buffer):
            raise InputError(f"{self._where}: view {index}", "reaches beyond its data", "the file is damaged")
        return buffer[first : first + length]

    def _buffer(self, index: object) -> bytes:
        buffer = self.item("buffers", index)
        number = int(str(index))
        if "uri" not in buffer:
            return self._buffers.get(number, b"") if number == 0 else b""
        if self.binary:
            raise InputError(f"{self._where}: buffer {number}", "lies in another file", ACCEPTED)
        if number not in self._buffers:
            self._buffers[number] = self.named_bytes(buffer["uri"])
        return self._buffers[number]

    def named_bytes(self, uri: object) -> bytes:
        """What a ``data:`` address holds, or the file beside this one that an address names.

        Raises:
            InputError: it is not there, outside the folder, or all that is named is more than 256 MiB.
        """
        if not isinstance(uri, str):
            raise InputError(self._where, "an address that is no text", ACCEPTED)
        if uri.startswith("data:"):
            head, _, body = uri.partition(",")
            try:
                data = base64.b64decode(body, validate=True) if head.endswith(";base64") else b""
            except (binascii.Error, ValueError):
                data = b""
            if not data:
                raise InputError(self._where, "a data: address that cannot be decoded", ACCEPTED)
        else:
            file = beside(self.path, unquote(uri))
            if file is None:
                found = f"{quoted(uri)} is not in its folder"
                raise InputError(self._where, found, "put it beside the file or below")
            data = read_bytes(file, "a part of a glTF file")
        self._named_bytes += len(data)
        if self._named_bytes > MAX_BYTES:
            raise InputError(self._where, f"names more than {MAX_BYTES // 2**20} MiB", "simplify it")
        return data

    def check_drawn(self, nodes: list[dict]) -> int:
        """Refuse meshes that are too large together, each counted as often as these nodes show it.

        Returns:
            how many vertices they have together.

        Raises:
            InputError: more than 2,000,000 faces, three times as many vertices, or 20,000 primitives.
        """
        sizes: dict[int, np.ndarray] = {}
        total = np.zeros(3, dtype=object)  # whole numbers without end
        for node in nodes:
            index = node["mesh"]
            if index not in sizes:
                sizes[index] = sum((self._size(part) for part in self.item("meshes", index)["primitives"]), 0 * total)
            total = total + sizes[index]
        limits = {"faces": MAX_FACES, "vertices": 3 * MAX_FACES, "primitives": MOST_PARTS}
        for (what, limit), found in zip(limits.items(), total, strict=True):
            if found > limit:
                raise InputError(self._where, f"shows {str(found)[:20]} {what}", f"simplify it to at most {limit}")
        return int(total[1])

    def _size(self, primitive: dict) -> np.ndarray:
        """Faces, vertices and primitives of a primitive, as its arrays claim."""
        points = self.count(primitive["attributes"]["POSITION"]) if "POSITION" in primitive["attributes"] else 0
        corners = self.count(primitive["indices"]) if "indices" in primitive else points
        return np.array([corners if primitive.get("mode") in (5, 6) else corners // 3, points, 1], dtype=object)

    def shown_nodes(self) -> list[int]:
        """Nodes of the scene that the file shows first, or all where it names none."""
        nodes = self.listed("nodes")
        if not self.listed("scenes"):
            return list(range(len(nodes)))
        waiting = list(self.item("scenes", self.tree.get("scene", 0)).get("nodes", []))
        shown: set[int] = set()
        while waiting:
            index = waiting.pop()
            if index not in shown:
                shown.add(index)
                waiting.extend(self.item("nodes", index).get("children", []))
        return sorted(shown)

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
            with np.errstate(all="ignore"):
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
    result = np.eye(4)
    scale = np.array(node.get("scale", (1.0, 1.0, 1.0)), dtype=np.float64).reshape(3)
    if "rotation" in node:
        from scipy.spatial.transform import Rotation

        turn = np.array(node["rotation"], dtype=np.float64)
        if not math.isclose(float(np.linalg.norm(turn)), 1.0, abs_tol=1e-2):
            raise ValueError("a rotation that is no unit quaternion")
        result[:3, :3] = Rotation.from_quat(turn).as_matrix()
    result[:3, :3] *= scale
    result[:3, 3] = np.array(node.get("translation", (0.0, 0.0, 0.0)), dtype=np.float64).reshape(3)
    return result
