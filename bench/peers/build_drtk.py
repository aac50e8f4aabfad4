"""``python -m warpprior.bench.peers.build_drtk CLONE``: DRTK's operations for a CPU, from a clone of its repository.

Its modules name functions for CUDA that a build without CUDA has not; they are given bodies that refuse.  What is built
is kept in the environment of this Python.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import re
import shutil
import sys
import tempfile
from pathlib import Path

OPERATIONS = ("rasterize", "render", "interpolate", "edge_grad")
FLAGS = ["-O3", "-ffast-math", "-DNO_PYBIND"]  # as its own set-up optimises
_DECLARATION = re.compile(r"^[\w:<>,\s]+?\b\w+_cuda(?:_\w+)?\s*\([^;{]*?\)\s*;", re.MULTILINE)


def library_file(operation: str) -> Path:
    """Where an operation is, once it is built."""
    return Path(sys.prefix) / "lib" / "drtk_cpu" / f"drtk_{operation}.so"


def refusals(header: str) -> str:
    """C++ that defines every function of a header that is named for CUDA, where nothing else does."""
    body = '{ throw std::runtime_error("built without CUDA"); }'
    code = re.sub(r"//[^\n]*|^\s*#[^\n]*", "", header, flags=re.MULTILINE)
    return "".join(
        f"__attribute__((weak)) {found[0].strip().rstrip(';')} {body}\n" for found in _DECLARATION.finditer(code)
    )


def cuda_headers() -> list[Path]:
    """Folders of CUDA's headers, which types of the source come from, by NVIDIA's packages where they are installed."""
    found = importlib.util.find_spec("nvidia")
    roots = (found and found.submodule_search_locations) or []
    return [folder for root in roots for folder in Path(root).glob("*/include")]


def build(clone: Path) -> None:
    """Compile the operations, and put them where :func:`library_file` says."""
    load = importlib.import_module("torch.utils.cpp_extension").load
    folders = [clone / "src" / "include", *cuda_headers()]
    for operation in OPERATIONS:
        source, goal = clone / "src" / operation, library_file(operation)
        if goal.is_file():
            continue
        with tempfile.TemporaryDirectory() as name:
            rest = Path(name) / "without_cuda.cpp"
            header = source / f"{operation}_kernel.h"
            code = refusals(header.read_text(encoding="utf-8"))
            rest.write_text(f"#include <torch/types.h>\n#include <stdexcept>\n{code}", encoding="utf-8")
            files = [source / f"{operation}_module.cpp", source / f"{operation}_kernel_cpu.cpp", rest]
            load(
                name=goal.stem,
                sources=[str(file) for file in files],
                extra_cflags=FLAGS,
                extra_include_paths=[str(folder) for folder in folders],
                build_directory=name,
                is_python_module=False,
                with_cuda=False,
            )
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(name) / goal.name, goal)
        print(goal, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Build from the clone that is named."""
    parser = argparse.ArgumentParser(prog="python -m warpprior.bench.peers.build_drtk", description=__doc__)
    parser.add_argument("clone", type=Path, metavar="CLONE", help="of https://github.com/facebookresearch/DRTK")
    build(parser.parse_args(arguments).clone)
    return 0


if __name__ == "__main__":
    sys.exit(main())
