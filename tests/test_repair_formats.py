"""``repair`` over formats that are written back: nothing but poses and what follows from them is changed."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

import numpy as np
import pytest

from tests.format_files import bop, ho3d
from tests.fuzz import others
from warpprior.cli.program import main
from warpprior.formats.format import Format
from warpprior.formats.registry import all_formats

POSES = {
    "v2d": ("_to_camera_transform", "_to_world_transform", "_in_camera", "finger_pose"),
    "motion_v1": ("object_", "hand_", "robot_"),
    "mano_sharpa": ("object_", "mano_"),
    "lerobot": ("observation.state", "mano."),
}
"""What may differ: parts of the names of arrays and columns."""
CASES = ("v2d", "clip", "bop", "ho3d", "hot3d", "motion_v1", "mano_sharpa", "lerobot")
ELSEWHERE = {
    "dexycb": "writes results for its scorers, not files of the set",
    "scene": "writes the whole scene folder anew",
    "hamer": "tests/test_format_network_back.py",
    "hawor": "tests/test_format_network_back.py",
    "dyn_hamr": "tests/test_format_network_back.py",
}
"""Formats that are read and written without a case here, and why, or where they are tested."""


def write_source(name, folder):
    """A source of a format, and the options it is read with."""
    mano = ["--mano", str(folder / "mano")]
    if name == "v2d":
        others.write_v2d(folder)
        return folder, mano
    if name == "motion_v1":
        others.write_motion(folder)
        return folder / "motion.parquet", []
    if name == "mano_sharpa":
        others.write_sharpa(folder)
        return folder / "pour.parquet", ["--hands", "none"]
    if name == "lerobot":
        others.write_lerobot(folder)
        more = ["--mapping", str(folder / "set/map.json"), "--episode", "1", "--mano", str(folder / "set/mano")]
        return folder / "set", more
    if name == "hot3d":
        others.write_hot3d(folder)
        return folder / "P1", []
    if name == "clip":
        others.write_clips(folder)
        return folder, []
    if name == "bop":
        return bop.write_scene(folder / "set"), []
    return ho3d.write_sequence(folder)[0], mano


def arrays_of(path):
    """Arrays or columns of a file by name, as plain data."""
    if path.suffix == ".npz":
        with np.load(path) as stored:
            return {key: stored[key].tolist() for key in stored.files}
    from pyarrow import parquet

    return parquet.ParquetFile(path).read().to_pydict()


def test_every_format_that_is_written_back_is_tried():
    """A new one needs a case, or a reason."""
    both = {entry.name for entry in all_formats() if entry.writes and type(entry).read is not Format.read}
    assert both == {*CASES, *ELSEWHERE}, both.symmetric_difference({*CASES, *ELSEWHERE})


@pytest.mark.parametrize("name", CASES)
def test_repair_changes_nothing_but_poses(name, tmp_path):
    """Sources stay as they were; files written in the place of others have their names, and all their other values."""
    if name in ("motion_v1", "mano_sharpa", "lerobot") and find_spec("pyarrow") is None:
        pytest.skip("pyarrow is not installed")
    (tmp_path / "data").mkdir()
    source, options = write_source(name, tmp_path / "data")
    before = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    words = ["repair", f"{name}:{source}", "--output-dir", str(tmp_path / "out"), "--iterations", "1", "--quiet"]
    assert main([*words, "--no-check", *options]) in (0, 3)
    assert {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()} == before
    root = source if source.is_dir() else source.parent
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert written
    compared = 0
    for path in written:
        there = root / path.relative_to(tmp_path / "out")
        if name in POSES:
            assert there.is_file(), f"{path.name} is new"
        if not there.is_file() or path.suffix not in (".npz", ".parquet") or name not in POSES:
            continue
        old, new = arrays_of(there), arrays_of(path)
        assert list(old) == list(new)
        changed = [key for key in old if repr(old[key]) != repr(new[key])]
        assert changed and all(any(part in key for part in POSES[name]) for key in changed), changed
        compared += 1
    assert compared or name not in POSES


def test_hot3d_changes_poses_alone(tmp_path):
    """Unmoved poses come back; of a moved one its own cells are other ones, and every other line is as it was."""
    from warpprior.formats import read, write
    from warpprior.scene import Poses

    others.write_hot3d(tmp_path / "data")
    recording = read(tmp_path / "data/P1", "hot3d")
    poses = {item.name: item.initial for item in recording.scene.bodies}
    name = next(item.name for item in recording.scene.bodies if item.body.is_rigid)
    poses[name] = Poses(poses[name].position + np.array([0.0, 0.0, 0.01]), poses[name].rotation, poses[name].joints)
    write(recording.with_poses(poses), tmp_path / "out")
    shutil.copytree(tmp_path / "data", tmp_path / "again")
    for path in (tmp_path / "out").iterdir():
        shutil.copy(path, tmp_path / "again/P1" / path.name)
    again = read(tmp_path / "again/P1", "hot3d")
    for item in again.scene.bodies:
        assert np.abs(item.initial.position - poses[item.name].position).max() < 1e-6
        assert np.allclose(item.initial.joints, poses[item.name].joints, atol=1e-6)
    old, new = (
        (place / "P1/dynamic_objects.csv").read_text().splitlines() for place in (tmp_path / "data", tmp_path / "again")
    )
    assert len(old) == len(new) and old[0] == new[0]
    for before, after in zip(old[1:], new[1:], strict=True):
        assert len(before.split(",")) == len(after.split(","))
        assert before.split(",")[:2] == after.split(",")[:2]
