"""Fixtures shared by all tests."""

import os
from contextlib import contextmanager
from pathlib import Path

import pytest
import warp as wp

SHARED_DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"


def pytest_configure(config):
    """Quiet Warp; with WARPPRIOR_TEST_DEBUG=1 check array bounds, overwrites and finite values in every kernel."""
    if hasattr(wp, "LOG_WARNING"):
        wp.config.log_level = wp.LOG_WARNING
    else:
        wp.config.quiet = True
    if hasattr(wp.config, "LaunchArrayAccessMode"):
        wp.config.launch_array_access_mode = wp.config.LaunchArrayAccessMode.STRICT
    if os.environ.get("WARPPRIOR_TEST_DEBUG") == "1":
        wp.config.mode = "debug"
        wp.config.verify_fp = True
        wp.config.verify_autograd_array_access = True


def pytest_generate_tests(metafunc):
    """Run every test that takes ``device`` on the CPU and, where there is one, on the first CUDA device."""
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", ["cpu", *(["cuda:0"] if wp.is_cuda_available() else [])])


@pytest.fixture
def shared_data():
    """The folder of reference recordings beside the checkout; tests that need it skip without it."""
    folder = SHARED_DATA.resolve()
    if not folder.is_dir():
        pytest.skip("the reference recordings (../shared/data) are not on this machine")
    return folder


@pytest.fixture
def graphs_or_skip(device):
    """Opens blocks that capture graphs; where this Warp captures none of what is in one, the test is skipped."""

    @contextmanager
    def attempt():
        try:
            yield
        except (RuntimeError, TypeError) as error:
            if wp.get_device(device).is_cuda:  # every Warp captures there
                raise
            pytest.skip(f"Warp {wp.__version__} captures no graph of this on {device}: {error}")

    return attempt


@pytest.fixture
def nan_allowed():
    """For tests about values that are not finite: Warp's debug mode stops at the first one."""
    if wp.config.verify_fp:
        pytest.skip("debug mode stops at values that are not finite")
