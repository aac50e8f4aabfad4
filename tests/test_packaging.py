"""What pyproject.toml says about the package is what the tree holds."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import warpprior
from warpprior.support.environment import CORE, EXTRAS, LARGE

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def settings():
    """The whole pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def requirement_name(requirement: str) -> str:
    """``usd-core`` of ``usd-core>=25.5``."""
    return re.match(r"[\w.-]+", requirement).group()


def test_every_package_is_listed(settings):
    """The explicit package list is the set of folders with an __init__.py."""
    folders = {"warpprior": "warpprior", "kernels": "warpprior.kernels", "scenes": "warpprior.scenes"}
    found = set()
    for folder, package in folders.items():
        for path in (ROOT / folder).rglob("__init__.py"):
            found.add(".".join([package, *path.parent.relative_to(ROOT / folder).parts]))
    assert set(settings["tool"]["setuptools"]["packages"]) == found


def test_the_folder_mapping_covers_the_ground_floor_and_the_scenes(settings):
    """The folders beside warpprior/ are mapped into it, and exist."""
    mapping = settings["tool"]["setuptools"]["package-dir"]
    assert mapping == {"warpprior": "warpprior", "warpprior.kernels": "kernels", "warpprior.scenes": "scenes"}
    assert all((ROOT / folder / "__init__.py").is_file() for folder in mapping.values())


def test_one_version_everywhere(settings):
    """Package, pyproject, citation and changelog name the same version."""
    version = settings["project"]["version"]
    assert warpprior.__version__ == version
    assert f"version: {version}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_extras_are_the_ones_info_reports(settings):
    """``warpprior info`` looks for exactly what the extras install."""
    extras = settings["project"]["optional-dependencies"]
    for extra, modules in EXTRAS.items():
        assert {requirement_name(text) for text in extras[extra]} == set(modules)
    assert extras["all"] == [f"warpprior[{','.join(extra for extra in EXTRAS if extra not in LARGE)}]"]
    assert set(CORE) <= {requirement_name(text) for text in settings["project"]["dependencies"]}


def test_minimum_versions_follow_the_lower_bounds():
    """The constraints of `make test-min` pin every runtime dependency to its lower bound."""
    found = subprocess.run(
        [sys.executable, ROOT / ".ci" / "minimum_versions.py"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "warp-lang==1.12" in found and "numpy==1.26" in found
    assert {requirement_name(line) for line in found} >= {*CORE, *EXTRAS["usd"], *EXTRAS["cv"]}


@pytest.mark.parametrize("folder", ["kernels", "scenes"])
def test_a_bare_import_is_refused(folder):
    """``import kernels`` from the checkout says which name to use instead of making a second copy."""
    command = [sys.executable, "-c", f"import {folder}"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 1 and f"warpprior.{folder}" in found.stderr


def test_the_package_works_without_being_installed():
    """A plain checkout finds kernels/ and scenes/ under the package's name."""
    command = [sys.executable, "-S", "-c", "import sys, warpprior; print(*warpprior.__path__, sep='\\n')"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    assert [Path(line) for line in found if line] == [ROOT / "warpprior", ROOT]


def test_every_makefile_target_is_documented():
    """``make`` alone lists every target."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE).group(1).split()
    assert set(targets) == set(re.findall(r"^([a-z-]+):.*?##", makefile, re.MULTILINE))


def test_what_make_does_can_be_done_without_it(tmp_path, monkeypatch, capsys):
    """The environment is made once, and again when what it needs changes; further words are passed on."""
    tasks = import_file(ROOT / "tasks.py")
    calls = []

    def run(command, **_):
        calls.append([Path(command[0]).name, *command[1:]])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(tasks.subprocess, "run", run)
    monkeypatch.setattr(tasks, "ROOT", tmp_path)
    monkeypatch.setattr(tasks, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(tasks, "STAMP", tmp_path / ".installed")
    (tmp_path / "pyproject.toml").touch()
    assert tasks.main(["demo", "--device", "cpu"]) == 0
    assert [call[2] for call in calls] == ["venv", "pip", "warpprior"] and calls[-1][-2:] == ["--device", "cpu"]
    assert tasks.main(["test"]) == 0 and [call[2] for call in calls[3:]] == ["pytest"]
    os.utime(tmp_path / "pyproject.toml", (2**33, 2**33))
    assert tasks.main(["install"]) == 0 and [call[2] for call in calls[4:]] == ["venv", "pip"]
    assert tasks.main([]) == 2 and capsys.readouterr().out == "python tasks.py install|demo|test\n"


def import_file(path: Path):
    """A file of the checkout as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
