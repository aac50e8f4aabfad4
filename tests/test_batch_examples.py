"""The examples for clusters: they parse, and their command lines are commands; the one for Slurm runs."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_scene import write_scene

from warpprior.cli import build_parser

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_slurm(tmp_path):
    """A shard of an array refines its clips, and is run again without harm."""
    for name in ("a", "b"):
        write_scene(tmp_path / "in" / name)
    program = tmp_path / "bin" / "warpprior"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m warpprior "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": "2"}
    environment["PYTHONPATH"] = str(EXAMPLES.parent)
    words = ["--iterations", "1", "--num-frames", "2", "--device", "cpu"]
    for _ in range(2):
        command = ["bash", str(EXAMPLES / "batch_slurm.sh"), str(tmp_path / "in"), str(tmp_path / "out"), *words]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        with open(tmp_path / "out" / "summary.csv", encoding="utf-8", newline="") as file:
            assert [(row["clip"], row["status"]) for row in csv.DictReader(file)] == [("b", "done")]
    lines = (EXAMPLES / "batch_slurm.sh").read_text(encoding="utf-8").splitlines()
    (array,) = [line.partition("=")[2] for line in lines if line.startswith("#SBATCH --array")]
    (shards,) = [line.partition("=")[2].split()[0] for line in lines if line.startswith("SHARDS")]
    assert array == f"1-{shards}"


def test_kubernetes():
    """A pod for each shard, and a command that shells and the program take."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    spec = yaml.safe_load((EXAMPLES / "batch_kubernetes.yaml").read_text(encoding="utf-8"))["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    shell, flag, script = container["command"]
    assert (shell, flag) == ("sh", "-c")
    shards = []
    for index in (0, spec["completions"] - 1):
        printed = script.replace("exec warpprior", "printf '%s\\n'")
        environment = {**os.environ, "JOB_COMPLETION_INDEX": str(index)}
        words = subprocess.run(
            ["sh", "-c", printed], env=environment, capture_output=True, text=True, check=True
        ).stdout
        shards.append(build_parser().parse_args(words.splitlines()).shard)
    assert shards == ["1/16", "16/16"] and spec["completions"] == spec["parallelism"] == 16


def test_osmo():
    """A workflow whose values are all given, and whose command the program takes."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    text = (EXAMPLES / "batch_osmo.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)["default-values"]
    for name, value in {**values, "input:0": "/osmo/input/0", "output": "/osmo/output"}.items():
        text = text.replace("{{" + name + "}}", str(value))
    assert "{{" not in text
    (task,) = yaml.safe_load(text)["workflow"]["tasks"]
    assert task["command"] == ["warpprior"]
    given = build_parser().parse_args(task["args"])
    assert (given.source, given.shard) == ("/osmo/input/0/recordings", "1/16")
