"""Draw docs/pictures/architecture.svg: the floors of the code, and how a label image and a setting go through them.

The floors are those of tests/test_laws.py, which also tests that this picture is the one that is drawn here.

    python docs/draw_architecture.py
"""

import ast
import html
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "pictures" / "architecture.svg"
# What each room holds, in a few words.
ROOMS = {
    "kernels": "every Warp kernel with its launcher",
    "support": "errors, devices, ranges, texts",
    "bodies": "what moves; readers of its files",
    "geometry": "distance, sampling, transfer",
    "observations": "channels, noise",
    "scene": "known and observed",
    "world": "where the camera is",
    "finding": "what looks wrong",
    "result": "what came out",
    "uncertainty": "covariances",
    "render": "labels, depth, silhouettes",
    "system": "unknowns, equations",
    "terms": "one file per term",
    "settings": "of a refinement",
    "refinement": "a whole sequence: Gauss-Newton, Adam",
    "checks": "is the data what it is taken for?",
    "verdicts": "is the estimate right?",
    "tracking": "frame by frame: a Kalman filter",
    "torch": "gradients for torch; imported by nothing else",
    "metrics": "errors",
    "io": "files",
    "usd": "stages",
    "report": "pictures",
    "contacts": "who touches whom",
    "formats": "others' files, one module each",
    "scenes": "simulated scenes with known truth",
    "ablation": "what each part is worth",
    "cli": "the commands, a file each",
    "batches": "many clips, in many processes",
}
# Where the label image (numbers) and the setting (letters) of docs/architecture.md stop.
LABELS = {"io": "1", "scene": "2", "system": "3", "render": "4", "terms": "5", "kernels": "5", "refinement": "6",
          "tracking": "7", "metrics": "8", "report": "8"}  # fmt: skip
SETTING = {"cli": "a", "support": "b", "settings": "c", "terms": "d", "kernels": "e", "io": "f"}
WIDTH, ROW, GAP, LEFT = 960, 52, 8, 12
BLUE, ORANGE, INK, FILL, EDGE = "#1f5fa8", "#b4530f", "#20242b", "#f3f1ec", "#b9b4a8"


def floors() -> list[list[str]]:
    """The floors as the law has them, lowest first, without private modules."""
    tree = ast.parse((ROOT / "tests" / "test_laws.py").read_text(encoding="utf-8"))
    (law,) = (node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FLOORS")
    return [[room for room in floor if not room.startswith("_")] for floor in ast.literal_eval(law.value)]


def drawing() -> str:
    """The picture as SVG."""
    stack = floors()[::-1]
    height = len(stack) * (ROW + GAP) + 48
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        text(LEFT, 24, "A room imports from its own floor and from those below it.", 14),
        text(WIDTH - 330, 24, "label image", 13, BLUE, bold=True),
        text(WIDTH - 230, 24, "setting", 13, ORANGE, bold=True),
    ]
    for level, rooms in enumerate(stack):
        top = 40 + level * (ROW + GAP)
        width = (WIDTH - 2 * LEFT - GAP * (len(rooms) - 1)) / len(rooms)
        for place, room in enumerate(rooms):
            parts += box(room, LEFT + place * (width + GAP), top, width)
    return "\n".join([*parts, "</svg>"]) + "\n"


def box(room: str, left: float, top: float, width: float) -> list[str]:
    """One room, with its stops."""
    parts = [
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{ROW}" rx="5" fill="{FILL}" stroke="{EDGE}"/>',
        text(left + 10, top + 22, room, 15, bold=True),
        text(left + 10, top + 41, ROOMS[room], 12),
    ]
    right = left + width - 16
    for stops, color in ((SETTING, ORANGE), (LABELS, BLUE)):
        if room in stops:
            parts.append(f'<circle cx="{right:.1f}" cy="{top + 16}" r="10" fill="{color}"/>')
            parts.append(text(right, top + 20, stops[room], 12, "#ffffff", bold=True, anchor="middle"))
            right -= 24
    return parts


def text(x: float, y: float, words: str, size: int, color: str = INK, *, bold: bool = False, anchor: str = "start"):
    """One line of text."""
    weight = ' font-weight="bold"' if bold else ""
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{color}" text-anchor="{anchor}"'
    return f"<text {place}{weight}>{html.escape(words)}</text>"


if __name__ == "__main__":
    PICTURE.write_text(drawing(), encoding="utf-8")
    print(PICTURE)
