"""Damaged files of every format, some of each; ``make fuzz`` tries them by the thousand."""

import pytest

from tests.fuzz.campaign import format_tallies, fuzz
from tests.fuzz.formats import FORMATS
from tests.fuzz.misbehaving import WAYS
from tests.fuzz.worker import Reader

FEW = {
    "clip-keypoints-json": 6,
    "clip-hand_right_keypoints.npy": 6,
    "usda": 1,
    "usdc": 1,
    **dict.fromkeys(("usd-usda", "usd-usdc", "usd-usdz"), 2),
    "mano-npz": 4,
    "mano-pickle": 6,
    "v2d-npz": 4,
    "ho3d-predictions": 4,
    **dict.fromkeys(("hamer-json", "hamer-pkl", "hamer-npy", "dynhamr-npz", "dynhamr-tracks"), 5),
    **dict.fromkeys(("hawor-result", "hawor-slam", "hawor-camera"), 5),
    **dict.fromkeys(("openxr-json", "openxr-npz", "egodex-hdf5"), 6),
    "dexycb-results": 4,
    "dexycb-joints": 4,
}  # which take longer than the others
CASES = 15


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_are_read_or_refused_in_one_line(name):
    """Never another exception, a warning of NumPy's, or a message that is long or names no file; files repeat."""
    if name.startswith("usd"):
        pytest.importorskip("pxr", reason="OpenUSD is not installed")
    with Reader(FORMATS[name]) as reader:
        files = [reader.changed("0/short", case) for case in range(FEW.get(name, CASES))]
        assert files == [reader.changed("0/short", case) for case in range(FEW.get(name, CASES))]
        assert not set(files) <= set(reader.files)
        for number, data in enumerate(files):
            outcome = reader.read(data)
            assert not outcome.is_finding, f"{number}: {outcome}"


@pytest.mark.parametrize("what", WAYS)
def test_every_fault_is_found(what, tmp_path, capsys):
    """A worker that crashes or hangs is a finding and not the end; the file is kept with the command that shows it."""
    tally = fuzz([what], cases=2 if what == "crash" else 1, jobs=1, folder=tmp_path, module="tests.fuzz.misbehaving")[0]
    kind = "message" if what == "insides" else what
    assert set(tally.counts) == {kind} and tally.tried == (2 if what == "crash" else 1)
    fine = what in ("refused", "accepted")
    assert len(tally.findings) == (0 if fine else tally.tried)
    for finding in tally.findings:
        assert finding.path.read_bytes() == what.encode() and str(finding.path) in finding.command
        assert finding.command in capsys.readouterr().err or finding is not tally.findings[0]
    assert format_tallies([tally]).splitlines()[1].split()[:5] == [
        *(what, str(tally.tried)),
        *(str(tally.counts[kind]) for kind in ("refused", "accepted")),
        str(len(tally.findings)),
    ]
