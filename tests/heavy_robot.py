"""A hand with far more faces than it needs, as exports of CAD programs have them: one finger chain per name.

``python -m tests.heavy_robot FOLDER FACES`` writes one with about that many faces.
"""

import struct
import sys
from pathlib import Path

import numpy as np

FINGERS = {"index": 0.04, "middle": 0.0, "ring": -0.04, "thumb": 0.07}
LENGTHS = (0.05, 0.04, 0.03)


def write_heavy_robot(folder: Path, face_count: int) -> Path:
    """Write a URDF file and its meshes; its path.  Palm and phalanges are smooth closed pillows of many faces."""
    folder.mkdir(parents=True, exist_ok=True)
    share = face_count // (len(FINGERS) * len(LENGTHS) + 1)
    write_stl(folder / "palm.stl", *pillow((0.05, 0.015, 0.05), share))
    links, joints = [link("palm", "palm.stl")], []
    for number, length in enumerate(LENGTHS):
        write_stl(folder / f"phalanx{number}.stl", *pillow((0.009, 0.008, 0.5 * length), share))
    for finger, side in FINGERS.items():
        parent, place = "palm", f"{side} 0 0.05"
        for number, length in enumerate(LENGTHS):
            name = f"{finger}{number}"
            links.append(link(name, f"phalanx{number}.stl", f"0 0 {0.5 * length}"))
            joints.append(
                f'<joint name="{name}_joint" type="revolute"><parent link="{parent}"/><child link="{name}"/>'
                f'<origin xyz="{place}"/><axis xyz="1 0 0"/><limit lower="-0.2" upper="1.6" effort="1" velocity="1"/>'
                "</joint>"
            )
            parent, place = name, f"0 0 {length}"
    path = folder / "hand.urdf"
    path.write_text(f'<robot name="heavy">{"".join(links + joints)}</robot>\n', encoding="utf-8")
    return path


def link(name: str, mesh: str, place: str = "0 0 0") -> str:
    """A link with one visual mesh."""
    shape = f'<visual><origin xyz="{place}"/><geometry><mesh filename="{mesh}"/></geometry></visual>'
    return f'<link name="{name}">{shape}</link>'


def pillow(half: tuple[float, float, float], face_count: int) -> tuple[np.ndarray, np.ndarray]:
    """A closed surface (vertices, faces) between a ball and a box, with a ripple of a twentieth of a millimetre."""
    cells = max(2, round(np.sqrt(face_count / 12)))
    vertices, faces = [], []
    line = np.linspace(-1.0, 1.0, cells + 1)
    u, v = (part.reshape(-1) for part in np.meshgrid(line, line, indexing="ij"))
    number = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, d = (part.reshape(-1) for part in (number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]))
    for axis in range(3):
        for side in (-1.0, 1.0):
            places = np.empty((len(u), 3))
            places[:, axis], places[:, (axis + 1) % 3], places[:, (axis + 2) % 3] = side, side * u, v
            faces.append(len(u) * len(vertices) + np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]))
            vertices.append(places)
    cube = np.concatenate(vertices)
    _, first, same = np.unique(np.round(cube, 9), axis=0, return_index=True, return_inverse=True)
    cube = cube[first]
    form = cube / (np.abs(cube) ** 4).sum(axis=1, keepdims=True) ** 0.25
    return form * (np.array(half) + 5e-5 * np.sin(40.0 * cube)), same.reshape(-1)[np.concatenate(faces)]


def write_stl(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """A binary STL file."""
    record = np.zeros(len(faces), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    record["corners"] = vertices[faces]
    path.write_bytes(bytes(80) + struct.pack("<I", len(faces)) + record.tobytes())


if __name__ == "__main__":
    print(write_heavy_robot(Path(sys.argv[1]), int(sys.argv[2])))
