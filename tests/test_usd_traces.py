"""What our use of USD leaves changed in a program that embeds it: nothing, whosever OpenUSD it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = "a warning of the program around it"  # as usd_traces.py, which Windows cannot import, has it
ROOT = Path(__file__).resolve().parents[1]
# Pythons of other environments, such as one with usd-exchange and one with Newton: WARPPRIOR_USD_PYTHONS=A:B
OTHERS = [path for path in os.environ.get("WARPPRIOR_USD_PYTHONS", "").split(os.pathsep) if path]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are compared")
@pytest.mark.parametrize("python", [sys.executable, *OTHERS])
def test_nothing_is_left_changed(python, tmp_path):
    """Environment, threads, signals, Warp's settings, folder, hooks, path, diagnostics; no second pxr."""
    if python == sys.executable:
        pytest.importorskip("pxr", reason="OpenUSD is not installed")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [python, "-m", "tests.usd_traces"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout.strip().splitlines()[-1])
    assert said["changed"] == {}
    assert said["found"] == [8, 8, 8, True, 0]
    assert PROBE in run.stderr
    assert list(tmp_path.iterdir()) == []
