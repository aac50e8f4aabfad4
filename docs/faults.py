"""Draw docs/pictures/faults/*.jpg and write docs/faults.md: what goes wrong, what the check says, what cures it.

Each fault is put into a simulated scene; the check says what it says, and its cure is applied.

    python docs/faults.py     half a minute on two cores
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

import warpprior
from warpprior.bench.checks import faults
from warpprior.checks.run import cure
from warpprior.finding import Finding
from warpprior.report.check_page import draw_first_guess
from warpprior.report.overlay import encoded
from warpprior.scene import Scene
from warpprior.scenes import simulate

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "faults.md"
PICTURES = "docs/pictures/faults"
FRAMES, WIDTH = 16, 400  # of the scene; of each half of a picture [px]
LINE = 120


@dataclass(frozen=True)
class Example:
    """A fault, and how it is shown.

    Attributes:
        title: what is wrong.
        where: whence such data comes.
        make: puts the fault into a scene.
        frame: that is shown.
        labels: show labels in greys instead of the image.
    """

    title: str
    where: str
    make: Callable[[Scene], Scene]
    frame: int = 12
    labels: bool = False


def turned_in_the_picture(scene: Scene) -> Scene:
    """What is held is labelled elsewhere in three frames."""
    return faults.of_another_thing(scene, frames=(5, 6, 12))


EXAMPLES: dict[str, Example] = {
    "quaternion_order": Example(
        "Quaternions with w first",
        "Blender, MuJoCo, PyTorch3D and most papers write w, x, y, z; SciPy, ROS and warpprior x, y, z, w.",
        faults.reordered,
    ),
    "euler_or_degrees": Example(
        "Angles in another unit",
        "Euler angles in radians that a reader took for degrees: hardly any rotation is left.",
        faults.in_radians,
    ),
    "intrinsics_scale": Example(
        "Intrinsics of another resolution",
        "The pictures were made half as large, and K was not. Everything is drawn nearer to the corner, and smaller.",
        partial(faults.with_camera, focal=0.5, center=0.5),
    ),
    "mesh_scale": Example(
        "A mesh of another size",
        "Generated meshes have no unit, and scanned ones are of another copy of the thing.",
        partial(faults.resized, factor=1.6),
    ),
    "depth_of_crop_camera": Example(
        "The depth of a crop's camera",
        "Networks that look at a crop of the hand suppose a focal length of their own, and give a depth to match.",
        faults.at_the_depth_of_a_crop,
    ),
    "hand_side": Example(
        "The other hand",
        "Detectors that were trained on right hands mirror left ones, and not all mirror their answers back.",
        faults.of_the_other_hand,
    ),
    "keypoints_swapped_uv": Example(
        "Rows before columns",
        "Arrays are indexed by row and column, points by u and v.",
        faults.exchanged,
    ),
    "keypoint_order": Example(
        "Keypoints in another order",
        "MANO's joints come without fingertips, or with them at the end; detectors go finger by finger.",
        faults.in_another_order,
    ),
    "frame_offset": Example(
        "Labels that are late",
        "The segmenter was started two frames later, or its files were numbered from 1.",
        partial(faults.labels_late, frames=2),
        frame=10,
        labels=True,
    ),
    "label_instance": Example(
        "Labels of something else",
        "A segmenter loses its object and takes another one for a while.",
        turned_in_the_picture,
        labels=True,
    ),
}


def scene_to_spoil() -> Scene:
    """A hand that lifts a mug: first guesses of a network for the hand, rough ones for the mug."""
    return simulate("grasp_lift", object="mug", seed=3, frame_count=FRAMES, pose_noise="rough")


def said_of(code: str, scene: Scene) -> tuple[Scene, list[Finding]]:
    """The scene with a fault, and the findings that name it, one of each body."""
    wrong = EXAMPLES[code].make(scene)
    return wrong, [each for each in warpprior.check(wrong) if each.code == code]


def draw(code: str, wrong: Scene, found: list[Finding]) -> None:
    """The first guess over a frame, as it is and with the cures."""
    mended, _ = cure(wrong, found)
    example = EXAMPLES[code]
    halves = [
        draw_first_guess(each, np.array([example.frame]), WIDTH, use_rgb=not example.labels) for each in (wrong, mended)
    ]
    gap = np.full((halves[0].shape[0], 8, 3), 255, np.uint8)
    path = ROOT / PICTURES / f"{code}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(np.concatenate([halves[0], gap, halves[1]], axis=1), ".jpg"))


def part(code: str, finding: Finding) -> str:
    """One fault on the page."""
    example = EXAMPLES[code]
    fill = partial(textwrap.fill, width=LINE, break_long_words=False, break_on_hyphens=False)
    said = textwrap.fill(f"{finding.level} {finding.code}: {finding.message}", LINE, subsequent_indent="  ")
    cured = textwrap.fill(f"  cure: {finding.cure}", LINE, subsequent_indent="  ")
    alt = f"{example.title}: the first guess as it is, and with the cure"
    return (
        f"## {example.title}\n\n{fill(example.where)}\n\n![{alt}](pictures/faults/{code}.jpg)\n\n"
        f"```text\n{said}\n{cured}\n```\n"
    )


HEAD = """# What goes wrong

Ten usual slips, what [`warpprior check`](checks.md) says of each, and what cures it. Each was put into one simulated
scene, a hand that lifts a mug, with first guesses as networks make them. Left is the first guess as it is, right with
the cure that `warpprior check SCENE --fix OUTPUT_SCENE` applies: outlines and dots are the guess, rings are detected
keypoints, greys are labels. What is off at the right, too, is the error of first guesses, which `warpprior refine`
takes off.

`python docs/faults.py`, a part of `make figures`, puts in the faults, asks the check, draws the pictures and writes
this page.
"""


def main() -> None:
    """Draw all pictures and write the page."""
    scene, parts = scene_to_spoil(), [HEAD]
    for code in EXAMPLES:
        wrong, found = said_of(code, scene)
        draw(code, wrong, found)
        parts.append(part(code, found[0]))
        print(code, flush=True)
    PAGE.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
