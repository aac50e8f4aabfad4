"""Without torch: the torch door can be imported, and says in one sentence what to install when it is used."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
sys.modules["torch"] = None  # as if it were not installed
import warpprior, warpprior.torch
body = warpprior.rigid_body("sheet", [[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]], closed=False)
call = {call}
try:
    call()
except warpprior.MissingExtraError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "call",
    [
        "lambda: warpprior.torch.skin(body, [[0, 0, 1]], [[0, 0, 0, 1]])",
        "lambda: warpprior.torch.silhouette(body, {})",
        "lambda: warpprior.torch.transfer([[[0, 0, 1]]], [[[0, 0, 1]]], [[0, 0, 1, 0, 0, 0, 1]])",
    ],
)
def test_first_use_says_what_is_missing(call):
    """A MissingExtraError with the command that installs it."""
    command = [sys.executable, "-c", SCRIPT.replace("{call}", call)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert "warpprior.torch needs an optional dependency: pip install 'warpprior[torch]'" in found.stdout
