"""Float64 twin of glTF's skinning: nodes placed one below the other, joints by their inverse bind matrices."""

import json
import struct

import numpy as np
from scipy.spatial.transform import Rotation

KINDS = {5121: "u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


def read(data):
    """The tree of a file and a function that gives the array of an accessor."""
    (size,) = struct.unpack_from("<I", data, 12)
    tree, binary = json.loads(data[20 : 20 + size]), data[28 + size :]

    def array(index):
        accessor = tree["accessors"][index]
        view = tree["bufferViews"][accessor["bufferView"]]
        width, start = WIDTHS[accessor["type"]], view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        kind = KINDS[accessor["componentType"]]
        return np.frombuffer(binary, kind, accessor["count"] * width, start).reshape(-1, width)

    return tree, array


def local(node):
    """parent_from_node (4, 4)."""
    result = np.eye(4)
    result[:3, :3] = Rotation.from_quat(node.get("rotation", [0, 0, 0, 1])).as_matrix() @ np.diag(
        node.get("scale", [1, 1, 1])
    )
    result[:3, 3] = node.get("translation", [0, 0, 0])
    return result


def surface(data, turns, parents=None):
    """Vertices (vertex, 3) in the scene of the first primitive of the first mesh, as stored, seams and all.

    Args:
        data: the file.
        turns: rotation vector of each joint in its own frame, by name.
        parents: parent of each joint by name where the nodes do not say it; then every joint stands where it was
            bound in the frame of its parent.
    """
    tree, array = read(data)
    nodes, skin = tree["nodes"], tree["skins"][0]
    names = [nodes[joint]["name"] for joint in skin["joints"]]
    inverses = array(skin["inverseBindMatrices"]).astype(np.float64).reshape(-1, 4, 4).transpose(0, 2, 1)
    turned = {}
    for name in names:
        turned[name] = np.eye(4)
        turned[name][:3, :3] = Rotation.from_rotvec(turns.get(name, np.zeros(3))).as_matrix()
    above = {child: index for index, node in enumerate(nodes) for child in node.get("children", [])}

    def of_node(index):
        own = local(nodes[index])
        own = own @ turned.get(nodes[index].get("name"), np.eye(4))
        return own if index not in above else of_node(above[index]) @ own

    def of_name(name):
        bound = np.linalg.inv(inverses[names.index(name)])
        if name not in parents:
            return bound @ turned[name]
        parent = parents[name]
        return of_name(parent) @ inverses[names.index(parent)] @ bound @ turned[name]

    world = [of_node(joint) for joint in skin["joints"]] if parents is None else [of_name(name) for name in names]
    attributes = tree["meshes"][0]["primitives"][0]["attributes"]
    points = array(attributes["POSITION"]).astype(np.float64)
    links, weights = array(attributes["JOINTS_0"]), array(attributes["WEIGHTS_0"]).astype(np.float64)
    blended = np.einsum("vi,vixy->vxy", weights, (np.array(world) @ inverses)[links])
    return np.einsum("vxy,vy->vx", blended[:, :3, :3], points) + blended[:, :3, 3]
