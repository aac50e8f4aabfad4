"""What this installation consists of: the answer to ``warpprior info``."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import warpprior
from warpprior.support.device import prepare_kernel_cache

# extra: {distribution name: module it provides}.  Several distributions provide pxr and cv2; any will do.
EXTRAS = {
    "usd": {"usd-core": "pxr"},
    "cv": {"opencv-python-headless": "cv2", "imageio-ffmpeg": "imageio_ffmpeg"},
    "formats": {"pyyaml": "yaml", "pyarrow": "pyarrow", "h5py": "h5py"},
    "ray": {"ray": "ray"},
}
LARGE = ("ray",)  # left out of the extra ``all``
CORE = ("warp-lang", "numpy", "scipy")


def info() -> dict:
    """Versions, devices, extras and the kernel cache, as plain data.

    Returns:
        ``versions`` {name: version or None}, ``platform``, ``cpu_cores``, ``devices`` (list of {name, title, arch,
        memory_bytes}; the last two are None for the CPU), ``extras`` {extra: {module: version or None}} and
        ``kernel_cache`` {folder, bytes, modules}.
    """
    import warp as wp

    cache = prepare_kernel_cache()
    sizes = [path.stat().st_size for path in _files(cache)]
    return {
        "versions": versions(),
        "platform": platform.platform(),
        "cpu_cores": usable_cores(),
        "devices": [
            {
                "name": device.alias,
                "title": device.name,
                "arch": device.arch if device.is_cuda else None,
                "memory_bytes": device.total_memory if device.is_cuda else None,
            }
            for device in wp.get_devices()
        ],
        "extras": {
            extra: {module: _module_version(name, module) for name, module in needs.items()}
            for extra, needs in EXTRAS.items()
        },
        "kernel_cache": {
            "folder": str(cache),
            "bytes": sum(sizes),
            "modules": sum(path.is_dir() for path in cache.glob("wp_*")),
        },
    }


def versions(*others: str) -> dict[str, str | None]:
    """Versions of warpprior, Python, the libraries every run uses, and others; None for one that is absent."""
    return {
        "warpprior": warpprior.__version__,
        "python": platform.python_version(),
        **{name: _distribution_version(name) for name in (*CORE, *others)},
    }


def format_info(found: dict) -> str:
    """The answer of :func:`info` as text for a terminal."""
    lines = [f"warpprior {found['versions']['warpprior']}"]
    lines += [
        f"  {name:10} {version or 'absent'}" for name, version in found["versions"].items() if name != "warpprior"
    ]
    lines += [f"  {'platform':10} {found['platform']}, {found['cpu_cores']} CPU cores", "devices"]
    for device in found["devices"]:
        cuda = f", sm_{device['arch']}, {device['memory_bytes'] / 2**30:.0f} GiB" if device["arch"] else ""
        lines.append(f"  {device['name']:10} {device['title']}{cuda}")
    lines.append("extras")
    for extra, modules in found["extras"].items():
        missing = [module for module, version in modules.items() if version is None]
        present = ", ".join(f"{module} {version}" for module, version in modules.items() if version is not None)
        absent = f"{', '.join(missing)} missing: pip install 'warpprior[{extra}]'" if missing else ""
        lines.append(f"  {extra:10} {'; '.join(filter(None, [present, absent]))}")
    cache = found["kernel_cache"]
    lines.append("kernel cache")
    lines.append(f"  {cache['folder']} ({cache['modules']} modules, {cache['bytes'] / 2**20:.1f} MiB)")
    return "\n".join(lines)


def _distribution_version(name: str) -> str | None:
    from importlib import metadata  # slow to import, and needed only here

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _module_version(distribution: str, module: str) -> str | None:
    """Version of the distribution, ``present`` when another one provides the module, None when nothing does."""
    try:
        found = module in sys.modules or find_spec(module) is not None
    except (ImportError, ValueError):
        found = False
    return (_distribution_version(distribution) or "present") if found else None


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())
