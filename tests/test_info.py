"""What ``warpprior info`` says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import warpprior
from warpprior.cli import main
from warpprior.support import environment


@pytest.fixture(scope="module")
def found():
    """The answer, once."""
    return warpprior.info()


def test_it_is_plain_data(found):
    """Everything survives a trip through JSON."""
    assert json.loads(json.dumps(found)) == found


def test_versions_devices_and_cache_are_there(found):
    """The facts a bug report needs."""
    assert found["versions"]["warpprior"] == warpprior.__version__
    assert found["versions"]["warp-lang"] and found["versions"]["numpy"]
    assert found["devices"][0]["name"] == "cpu" and found["devices"][0]["memory_bytes"] is None
    assert found["cpu_cores"] >= 1
    assert Path(found["kernel_cache"]["folder"]).is_dir() and found["kernel_cache"]["bytes"] >= 0
    assert set(found["extras"]) == set(environment.EXTRAS)


def test_missing_extras_come_with_a_remedy(found):
    """The text says how to install what is missing and names what is there."""
    extras = {"usd": {"pxr": None}, "cv": {"cv2": "5.0", "imageio_ffmpeg": None}}
    text = environment.format_info({**found, "extras": extras})
    assert "pxr missing: pip install 'warpprior[usd]'" in text
    assert "cv2 5.0; imageio_ffmpeg missing: pip install 'warpprior[cv]'" in text


def test_gpus_are_described(found):
    """A CUDA device is listed with its architecture and memory."""
    gpu = {"name": "cuda:0", "title": "H200", "arch": 90, "memory_bytes": 139 * 2**30}
    assert "cuda:0     H200, sm_90, 139 GiB" in environment.format_info({**found, "devices": [gpu]})


def test_any_provider_of_an_extra_counts():
    """pxr and cv2 count as present whichever distribution brought them; a missing module does not."""
    assert environment._module_version("no-such-distribution", "json") == "present"
    assert environment._module_version("numpy", "no_such_module") is None


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_prints_it(capsys, as_json):
    """``info`` prints text, ``info --json`` JSON, and nothing on standard error."""
    assert main(["info", *(["--json"] if as_json else [])]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    if as_json:
        assert json.loads(said.out)["versions"]["warpprior"] == warpprior.__version__
    else:
        assert said.out.startswith(f"warpprior {warpprior.__version__}\n") and "kernel cache" in said.out
