"""Depth images in another unit."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from warpprior.checks.evidence import Evidence
from warpprior.checks.registry import check
from warpprior.checks.sizes import decision, frames_of, who_says
from warpprior.finding import Finding
from warpprior.scene import Scene

LEAST_FACTOR = 1.15


@check
def depth_scale(evidence: Evidence) -> Iterator[Finding]:
    """Depth that is too large or too small for every body in the same way."""
    found = decision(evidence)
    if found is None or found.best.kind != "unit" or abs(np.log(found.best.factor)) < np.log(LEAST_FACTOR):
        return
    factor = found.best.factor
    yield Finding(
        "depth_scale",
        "error" if found.sure else "warning",
        None,
        frames_of(evidence, None),
        f"depth images measure {factor:.3g} times the distance at which bodies are seen ({who_says(evidence, None)})",
        f"[frames] depth_scale times {1.0 / factor:.4g}",
        {"factor": factor, **found.numbers},
        functools.partial(_with_depths, factor=1.0 / factor),
    )


def _with_depths(scene: Scene, *, factor: float) -> Scene:
    read = scene.read_depth

    def read_depth(frame: int) -> np.ndarray | None:
        image = None if read is None else read(frame)
        return None if image is None else (image * factor).astype(np.float32)

    return replace(scene, read_depth=read_depth)
