"""Compile every kernel module for CUDA ahead of time; needs neither GPU nor driver.  Exit code 1 when any fails."""

import argparse
import importlib
import pkgutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def kernel_modules() -> list[str]:
    """Import names of the modules of warpprior.kernels."""
    import warpprior.kernels

    return sorted(found.name for found in pkgutil.walk_packages(warpprior.kernels.__path__, "warpprior.kernels."))


def compile_module(name: str, arch: int, folder: str) -> int:
    """Compile one module into ``folder``; the number of kernels in it."""
    import warp as wp

    wp.config.log_level = wp.LOG_WARNING
    loaded = importlib.import_module(name)
    count = len(wp.get_module(name).kernels)
    if count:
        artifacts = wp.compile_aot_module(loaded, arch=arch, module_dir=folder)
        if not artifacts or not all(Path(artifact).stat().st_size for artifact in artifacts):
            raise RuntimeError(f"{name}: the compiler left no binary")
    return count


def main() -> int:
    """Compile all modules and print a line for each; 1 when any failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", type=int, default=90, help="compute capability, 90 for 9.0 (default: %(default)s)")
    options = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in kernel_modules():
            start = time.perf_counter()
            try:
                count = compile_module(name, options.arch, str(Path(folder) / name))
            except Exception as error:  # whatever the code generator or NVRTC raises, report it and go on
                failed.append(name)
                print(f"FAILED {name}: {error}", flush=True)
            else:
                print(f"ok {name}: {count} kernels, {time.perf_counter() - start:.1f} s", flush=True)
    print(f"sm_{options.arch}: {'FAILED ' + ', '.join(failed) if failed else 'every kernel module compiles'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
