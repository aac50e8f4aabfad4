"""Splits of data sets: those of their own files and code, and batches of one of them."""

from __future__ import annotations

import json

import pytest

from tests.format_files.bop import write_scene
from warpprior.batches.clips import clips_of
from warpprior.formats import find_format
from warpprior.formats.place import Place
from warpprior.support.errors import InputError


def sequences(root, subject, count=100):
    """Folders of a subject of DexYCB, each with a meta.yml and a label."""
    for row in range(count):
        folder = root / subject / f"2020_{row:03d}"
        (folder / "839512060362").mkdir(parents=True)
        (folder / "meta.yml").touch()
        (folder / "839512060362/labels_000000.npz").touch()
    return root / subject


def test_those_of_dexycb_go_by_subject_sequence_and_camera(tmp_path):
    """As its code counts: the fifth of five, subjects 7 to 9, the last two cameras, twenty objects by fives."""
    split = find_format("dexycb").splits_of
    first, eighth = (sequences(tmp_path, name) for name in ("20200709-subject-01", "20201002-subject-08"))
    assert split(first / "2020_003") == ("s0_train", "s1_train", "s3_train")
    assert split(first / "2020_004") == ("s0_val", "s1_train", "s3_train")
    assert split(first / "2020_015") == ("s0_train", "s1_train", "s3_val")
    assert split(eighth / "2020_039") == ("s0_test", "s1_test", "s3_test")
    assert split(first / "2020_003/839512060362") == ("s0_train", "s1_train", "s2_train", "s3_train")
    assert "s2_test" in split(first / "2020_003/932122062010") and "s2_val" in split(first / "2020_003/932122061900")
    some = sequences(tmp_path, "20200918-subject-06", count=3)
    assert split(some / "2020_001") == ("s1_train",)  # its place among the hundred is not known


def test_those_of_ho3d_and_bop_are_their_folders(tmp_path):
    """And the targets that scenes of BOP have."""
    assert find_format("ho3d").splits_of(tmp_path / "evaluation/SM1") == ("evaluation",)
    assert find_format("ho3d").splits_of(tmp_path / "mine/SM1") == ()
    folder = write_scene(tmp_path / "set")
    assert find_format("bop").splits_of(folder) == ("test",)
    (tmp_path / "set/test_targets_bop19.json").write_text(json.dumps([{"scene_id": 7, "im_id": 0, "obj_id": 1}]))
    (tmp_path / "set/test_targets_bop24.json").write_text(json.dumps([{"scene_id": 8, "im_id": 0}]))
    assert find_format("bop").splits_of(folder) == ("test", "bop19")
    (tmp_path / "set/test_targets_odd.json").write_text(json.dumps([{"scene_id": [7]}, 7, None]))
    assert find_format("bop").splits_of(folder) == ("test", "bop19")


def test_those_of_hot3d_are_its_folders_and_its_list(tmp_path):
    """Clips are numbered; the list may be by devices."""
    split, clip = find_format("hot3d").splits_of, tmp_path / "test_quest3/clip-001290.tar"
    assert split(clip) == ("test_quest3",) and split(tmp_path) == ()
    listed = {"train": {"quest3": [5], "aria": [6]}, "test_bop": {"quest3": [1288, 1290]}, "test_ht_pose": [1290]}
    (tmp_path / "clip_splits.json").write_text(json.dumps(listed))
    assert split(clip) == ("test_quest3", "test_bop", "test_ht_pose")


def test_a_batch_takes_one_split(tmp_path):
    """Of what is at or below a root; one that nothing is of is refused, with those that there are."""
    for place in ("train/a", "train/b", "evaluation/c"):
        for name in ("meta", "rgb"):
            (tmp_path / place / name).mkdir(parents=True)
        (tmp_path / place / "meta/0000.pkl").touch()
    source = Place(tmp_path, "ho3d")
    assert [clip.name for clip in clips_of(source)] == ["evaluation-c", "train-a", "train-b"]
    assert [clip.name for clip in clips_of(source, subset="train")] == ["train-a", "train-b"]
    with pytest.raises(InputError, match="--subset val: nothing of .* belongs to it; there are evaluation, train"):
        clips_of(source, subset="val")
