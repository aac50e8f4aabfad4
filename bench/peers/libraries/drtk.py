"""DRTK: images of two channels and their gradient at edges, by the four operations that it has for a CPU.

Its own set-up builds for CUDA alone: ``bench/peers/build_drtk.py`` builds what is measured here from its source.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from warpprior.bench.peers.build_drtk import OPERATIONS, library_file
from warpprior.bench.peers.harness import Library, MissingLibraryError, Work, installed
from warpprior.bench.peers.topics import MaskAnswer, MaskData

HALF_PIXEL = 0.5  # its first pixel's centre is at 0


def _version() -> str:
    torch = installed("torch")
    for name in OPERATIONS:
        if not library_file(name).is_file():
            raise MissingLibraryError(f"{library_file(name)} is not built")
        torch.ops.load_library(str(library_file(name)))
    return f"from source, torch {torch.__version__}"


def _mask(data: MaskData) -> Work:
    torch = installed("torch")
    torch.set_num_threads(1)
    _, height, width = data.target.shape
    screen = data.screen - np.array([HALF_PIXEL, HALF_PIXEL, 0.0])
    vertices = torch.tensor(screen[None], dtype=torch.float32, requires_grad=True)
    faces = torch.tensor(data.faces[None], dtype=torch.int32)
    colours = torch.tensor(np.eye(2)[data.body][None], dtype=torch.float32)
    target = torch.tensor(data.target[None])
    operations = torch.ops

    def run() -> tuple[Any, Any]:
        vertices.grad = None
        _, index = operations.rasterize_ext.rasterize(vertices, faces, height, width, False)
        _, weights = operations.render_ext.render(vertices, faces, index)
        image = operations.interpolate_ext.interpolate(colours, faces, index, weights)
        image = image * (index != -1)[:, None]
        place = operations.interpolate_ext.interpolate(vertices, faces, index, weights.detach())
        image = operations.edge_grad_ext.edge_grad_estimator(vertices, place, faces, image, index, 1e4)
        loss = ((image - target) ** 2).sum() / (height * width)
        loss.backward()
        return loss.detach(), vertices.grad

    def read(found: tuple[Any, Any]) -> MaskAnswer:
        loss, gradient = found
        return MaskAnswer(float(loss), float(gradient[0, :, 0].sum()))

    return Work(run, read)


LIBRARY = Library(
    name="DRTK",
    install="pip install torch setuptools ninja nvidia-cuda-runtime-cu12 nvidia-cuda-nvcc-cu12; "
    "git clone https://github.com/facebookresearch/DRTK; "
    "python -m warpprior.bench.peers.build_drtk DRTK",
    version=_version,
    topics={"mask": _mask},
)
