"""Arrays of others written back: what is replaced, what stays, and what is refused."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from warpprior.formats.parts.npz_back import replace_arrays
from warpprior.formats.parts.pose_files import read_pose_track
from warpprior.support.errors import InputError


@pytest.fixture
def archive(tmp_path):
    """Real numbers in single precision, whole numbers, and an array that nobody touches."""
    path = tmp_path / "before.npz"
    arrays = {"place": np.zeros((2, 3), np.float32), "frame": np.arange(2), "other": np.arange(5.0)}
    np.savez(path, **arrays)
    return path


def test_values_are_put_in_the_types_that_were_there(archive, tmp_path):
    """Shape and type of the file's own; all else byte for byte."""
    replace_arrays(archive, tmp_path / "after.npz", {"place": np.arange(6.0), "frame": np.array([4.0, 5.0])})
    after = np.load(tmp_path / "after.npz")
    assert after["place"].dtype == np.float32 and after["frame"].dtype == np.arange(2).dtype
    np.testing.assert_array_equal(after["place"], np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(after["frame"], [4, 5])
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(tmp_path / "after.npz") as new:
        assert old.read("other.npy") == new.read("other.npy") and old.namelist() == new.namelist()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"pose": np.zeros(3)}, "has no array pose"),
        ({"place": np.zeros(5)}, "has shape"),
        ({"frame": np.array([0.5, 1.0])}, "cannot hold the values"),
        ({"frame": np.array([np.nan, 1.0])}, "cannot hold the values"),
    ],
)
def test_what_the_archive_cannot_hold_is_refused(archive, tmp_path, values, said):
    """Never left out or cut off without a word."""
    with pytest.raises(InputError, match=said):
        replace_arrays(archive, tmp_path / "after.npz", values)


def test_poses_of_whole_numbers_are_not_cut_off(tmp_path):
    """A file of whole numbers takes these back, and is refused where the values have fractions."""
    path = tmp_path / "poses.npy"
    np.save(path, np.tile(np.eye(4, dtype=np.int32), (2, 1, 1)))
    track = read_pose_track(path, [])
    moved = np.tile(np.eye(4), (2, 1, 1))
    moved[:, 2, 3] = 2.0
    track.save(tmp_path / "after.npy", moved)
    np.testing.assert_array_equal(np.load(tmp_path / "after.npy"), moved)
    moved[:, 2, 3] = 0.5
    with pytest.raises(InputError, match="cannot hold the values"):
        track.save(tmp_path / "after.npy", moved)
