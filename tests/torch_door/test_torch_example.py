"""The torch example runs as it is printed, on fewer frames and steps."""

import re
import runpy
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed; make test-torch installs it")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_torch_loop(monkeypatch, capsys):
    """From 20 mm off to within 2 mm in every frame."""
    monkeypatch.setattr(sys, "argv", ["12_torch_loop.py", "--num-frames", "2", "--num-steps", "150"])
    runpy.run_path(str(EXAMPLES / "12_torch_loop.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert float(lines[0].split("off by")[1].split()[0]) > 19.9
    assert float(lines[-1].split("off by")[1].split()[0]) < 2.0


def test_the_program_of_the_readme_runs():
    """As printed: the loss has gradients by position and rotation."""
    text = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    code = next(code for code in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.M) if "import torch" in code)
    values = {}
    exec(code, values)
    assert values["position"].grad.abs().max() > 0.0 and values["rotation"].grad.abs().max() > 0.0
    assert "penetration" in values["result"].history
