"""Mesh files made here: boxes in the formats that are read, and the parts that tests change."""

import struct
import zlib

import numpy as np

from tests.glb_files import GlbBuilder
from warpprior.bodies.primitives import make_box

SIZE = np.array([0.1, 0.2, 0.3])
BOX = make_box(SIZE)


def png_bytes(image):
    """A PNG of an image (height, width, 3) uint8."""
    height, width = image.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(image))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def plain_png(color, size=4):
    """A PNG of one colour."""
    return png_bytes(np.full((size, size, 3), color, dtype=np.uint8))


def box_obj(*, head="", corner="{0}", per_face=()):
    """An OBJ of the box: ``head`` before the vertices, faces as ``corner`` says, ``per_face`` lines before faces."""
    lines = [head, *("v {:.9g} {:.9g} {:.9g}".format(*vertex) for vertex in BOX.vertices)]
    for number, face in enumerate(BOX.faces):
        lines += [text for first, text in per_face if first == number]
        lines.append("f " + " ".join(corner.format(int(i) + 1) for i in face))
    return "\n".join(lines) + "\n"


def box_glb(*, shift=0.0, builder=None, **primitive):
    """A builder whose next node shows the box, moved along x, as a mesh of one primitive."""
    builder = builder or GlbBuilder()
    tree = builder.tree
    attributes = {
        "POSITION": builder.add(BOX.vertices + np.array([shift, 0.0, 0.0])),
        **primitive.pop("attributes", {}),
    }
    primitive = {"attributes": attributes, "indices": builder.add(np.ravel(BOX.faces), "<u2"), **primitive}
    for key in ("meshes", "nodes", "materials", "textures", "images"):
        tree.setdefault(key, [])
    tree["meshes"].append({"primitives": [primitive]})
    tree["nodes"].append({"mesh": len(tree["meshes"]) - 1})
    return builder


def box_ply(*, comments=(), vertex=None, face=None, kind="ascii"):
    """A PLY of the box with more columns: ``{"name": (type, values (row,))}``; lists of faces (row, item)."""
    vertex, face = dict(vertex or {}), dict(face or {})
    head = [
        "ply",
        f"format {kind} 1.0",
        *(f"comment {text}" for text in comments),
        f"element vertex {len(BOX.vertices)}",
    ]
    head += [f"property float {axis}" for axis in "xyz"] + [f"property {t} {name}" for name, (t, _) in vertex.items()]
    head += [f"element face {len(BOX.faces)}", "property list uchar int vertex_indices"]
    listed = {name for name, (_, rows) in face.items() if np.ndim(rows) == 2}
    head += [f"property {'list uchar ' if name in listed else ''}{t} {name}" for name, (t, _) in face.items()]
    codes = {"float": "f", "uchar": "B", "int": "i", "ushort": "H"}
    order = ">" if kind == "binary_big_endian" else "<"
    body = []
    for number, place in enumerate(BOX.vertices):
        body.append([("f", float(value)) for value in place] + [(codes[t], v[number]) for t, v in vertex.values()])
    for number, corners in enumerate(BOX.faces):
        row = [("B", 3), *(("i", int(corner)) for corner in corners)]
        for name, (t, rows) in face.items():
            values = list(np.atleast_1d(rows[number]))
            row += ([("B", len(values))] if name in listed else []) + [(codes[t], value) for value in values]
        body.append(row)
    text = "\n".join([*head, "end_header", ""]).encode()
    if kind == "ascii":
        return text + "\n".join(" ".join(f"{value}" for _, value in row) for row in body).encode() + b"\n"
    return text + b"".join(struct.pack(order + code, value) for row in body for code, value in row)


DAE = """<?xml version="1.0" encoding="utf-8"?>
<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
<asset><unit name="centimeter" meter="0.01"/><up_axis>Y_UP</up_axis></asset>
<library_images><image id="picture"><init_from>t.png</init_from></image></library_images>
<library_effects>
<effect id="red-fx"><profile_COMMON><technique sid="t"><lambert><diffuse><color>1 0 0 1</color></diffuse></lambert>
</technique></profile_COMMON></effect>
<effect id="worn-fx"><profile_COMMON>
<newparam sid="s"><surface type="2D"><init_from>picture</init_from></surface></newparam>
<newparam sid="p"><sampler2D><source>s</source></sampler2D></newparam>
<technique sid="t"><phong><diffuse><texture texture="p" texcoord="UV"/></diffuse></phong></technique>
</profile_COMMON></effect></library_effects>
<library_materials><material id="red"><instance_effect url="#red-fx"/></material>
<material id="worn"><instance_effect url="#worn-fx"/></material></library_materials>
<library_geometries><geometry id="box"><mesh>
<source id="points"><float_array id="a" count="24">{points}</float_array>
<technique_common><accessor source="#a" count="8" stride="3"/></technique_common></source>
<source id="places"><float_array id="b" count="2">0.5 0.5</float_array>
<technique_common><accessor source="#b" count="1" stride="2"/></technique_common></source>
<vertices id="corners"><input semantic="POSITION" source="#points"/></vertices>
{shape}
</mesh></geometry></library_geometries>
{nodes}
<library_visual_scenes><visual_scene id="all">{scene}</visual_scene></library_visual_scenes>
<scene><instance_visual_scene url="#all"/></scene>
</COLLADA>
"""
DAE_SHAPE = """<{kind} material="m" count="12"><input semantic="VERTEX" source="#corners" offset="0"/>
<input semantic="TEXCOORD" source="#places" offset="1"/>{vcount}<p>{corners}</p></{kind}>"""
DAE_NODE = """<node><translate>10 0 0</translate><rotate>0 0 1 90</rotate><scale>1 1 1</scale>
<instance_geometry url="#box"><bind_material><technique_common><instance_material symbol="m" target="#{material}"/>
</technique_common></bind_material></instance_geometry></node>"""


def box_dae(*, material="red", kind="triangles", scene=None, nodes=""):
    """A COLLADA file of the box in centimetres, turned by 90 degrees about z and moved by 0.1 m along x."""
    points = " ".join(f"{value:.9g}" for value in np.ravel(BOX.vertices * 100))
    corners = " ".join(f"{corner} 0" for corner in np.ravel(BOX.faces))
    vcount = f"<vcount>{'3 ' * len(BOX.faces)}</vcount>" if kind == "polylist" else ""
    shape = DAE_SHAPE.format(kind=kind, vcount=vcount, corners=corners)
    scene = DAE_NODE.format(material=material) if scene is None else scene
    return DAE.format(points=points, shape=shape, nodes=nodes, scene=scene)
