"""Hands of networks written back: in the file, camera and convention that they came in, and nothing else changed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.format_files.network_hands import by_long_lens, hamer_record, plain, write_dynhamr, write_hawor
from tests.format_files.samples import FRAMES
from tests.test_format_network_hands import NEAR, SEEN, both, mano, surface, write_records
from warpprior.bodies.readers.plain_pickle import read_plain
from warpprior.formats import read, write

__all__ = ["mano"]


def moved(recording):
    """Poses of all hands, moved, turned and bent."""
    turn = Rotation.from_rotvec([0.05, -0.1, 0.08])
    return {
        item.name: replace(
            item.initial,
            position=item.initial.position + np.array([0.01, -0.02, 0.03]),
            rotation=(turn * Rotation.from_quat(item.initial.rotation)).as_quat(),
            joints=item.initial.joints + 0.02 * np.cos(np.arange(45)),
        )
        for item in recording.scene.bodies
    }


def differing(before, after, place=""):
    """Where two trees differ: keys on the way, joined."""
    if isinstance(before, dict):
        assert list(before) == list(after)
        return {one for key in before for one in differing(before[key], after[key], f"{place}/{key}")}
    if isinstance(before, list) and any(isinstance(part, (dict, list)) for part in before):
        assert len(before) == len(after)
        return {one for pair in zip(before, after, strict=True) for one in differing(*pair, place)}
    return set() if np.array_equal(np.asarray(before), np.asarray(after)) else {place.rpartition("/")[2]}


def tree_of(path):
    if path.is_dir():
        return {file.name: read_plain(file, "hands") for file in sorted(path.iterdir())}
    return json.loads(path.read_text()) if path.suffix == ".json" else read_plain(path, "hands")


def round_trip(source, target, recording, options, name):
    """What is read of a copy of the source with the files that were written in it."""
    said = write(recording.with_poses(moved(recording)), target / "out")
    again = target / "again"
    if source.is_dir():
        shutil.copytree(source, again)
        inner = target / "out" / source.name
        shutil.copytree(inner if inner.is_dir() else target / "out", again, dirs_exist_ok=True)
        return read(again, name, **options), again, said
    again.mkdir()
    return (
        read(shutil.copy(target / "out" / source.name, again / source.name), name, **options),
        again / source.name,
        said,
    )


@pytest.mark.parametrize("form", ["npy by hand", "json by frame", "pickle of a list", "npz of rows", "long lens"])
def test_hands_go_back_into_their_dictionaries(tmp_path, mano, form):
    """Both sides, in every container; unmoved nothing changes, moved what is read again is where it was put."""
    folder, models = mano
    left, right = both(models)
    options = {"mano": folder, **SEEN}
    if form == "long lens":
        hands = [[by_long_lens(hand, 3000.0) for hand in side] for side in (left, right)]
        records = [[hamer_record(hand, focal=3000.0) for hand in pair] for pair in zip(*hands, strict=True)]
        (path := tmp_path / "hands.json").write_text(json.dumps(plain(records)))
    else:
        path = write_records(tmp_path / "hands", form, left, right)
    recording = read(path, "hamer", **options)
    write(recording, tmp_path / "same")
    assert not differing(tree_of(path), tree_of(tmp_path / "same" / path.name))
    again, new, said = round_trip(path, tmp_path, recording, options, "hamer")
    expected = recording.with_poses(moved(recording))
    frames = [frame for frame in range(FRAMES) if form == "long lens" or frame != 2]
    for side in ("left", "right"):
        assert np.abs(surface(again, side) - surface(expected, side))[frames].max() < 5e-6, side
    changed = differing(tree_of(path), tree_of(new))
    poses = {"global_orient", "hand_pose", "pred_cam_t_full", "cam_t", "pred_keypoints_3d", "keypoints_3d"}
    assert changed and changed <= poses, changed
    assert not any("not written" in sentence or ("are" in sentence and "off" in sentence) for sentence in said)
    assert not any("off those in the file" in note for note in again.notes)


def test_what_cannot_be_changed_in_place_is_said(tmp_path, mano):
    """Pickles of protocol 2 hold arrays as text."""
    folder, models = mano
    path = write_records(tmp_path / "hands", "wilor-mini", *both(models))
    recording = read(path, "hamer", mano=folder, **SEEN)
    said = write(recording.with_poses(moved(recording)), tmp_path / "out")
    assert any("not written, for its numbers" in sentence for sentence in said)
    assert not list((tmp_path / "out").iterdir())


def test_results_in_the_world_go_back(tmp_path, mano):
    """Dyn-HaMR's arrays and HaWoR's list, with the camera's way, left hands in both conventions; the rest stays."""
    folder, models = mano
    write_dynhamr(tmp_path / "run", models)
    write_hawor(tmp_path / "video", models)
    file = "smooth_fit/clip_000060_world_results.npz"
    for name, source, changed in (
        ("dyn_hamr", tmp_path / "run" / file, {"trans", "root_orient", "pose_body"}),
        ("hawor", tmp_path / "video", {"world_space_res.pth"}),
    ):
        recording = read(source, name, mano=folder)
        place = tmp_path / f"of_{name}"
        place.mkdir()
        again, new, _ = round_trip(source, place, recording, {"mano": folder}, name)
        expected = recording.with_poses(moved(recording))
        for side in ("left", "right"):
            assert np.abs(surface(again, side) - surface(expected, side)).max() < 2 * NEAR, (name, side)
        if name == "dyn_hamr":
            assert differing(read_plain(source, "r"), read_plain(new, "r")) == changed
        else:
            before, after = (read_plain(at / "world_space_res.pth", "r") for at in (source, new))
            assert np.array_equal(before[3], after[3]) and np.array_equal(before[4], after[4])
            assert {path.name for path in (place / "out").rglob("*") if path.is_file()} == changed
