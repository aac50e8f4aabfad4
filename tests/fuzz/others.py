"""Whole files and folders of others' formats, for what is changed in them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.format_files import v2d
from tests.format_files.samples import FRAMES, write_mano, write_png


def write_v2d(folder: Path) -> None:
    """A bundle with masks, intrinsics and a calibration, without frames."""
    v2d.write_bundle(folder / "result", missing=(1,))
    write_mano(folder / "mano", "right")
    for frame in range(FRAMES):
        image = np.zeros((120, 160), np.uint8)
        image[40:80, 60:90] = 255
        write_png(folder / f"masks/1/{frame:06d}.png", image)
    (folder / "intrinsics_stable.json").write_text(json.dumps({"fx": 150.0, "width": 160, "height": 120}))
    (folder / "geocalib").mkdir()
    sample = {"frame_index": 0, "gravity": {"vector_camera": [0.0, -0.8, 0.6]}}
    (folder / "geocalib/calibration.json").write_text(json.dumps({"samples": [sample, sample]}))
