"""Videos in folders of loose outputs: colours and masks, streamed, with their own times and numbers of frames."""

from __future__ import annotations

import pickle
import shutil
import subprocess

import numpy as np
import pytest

from tests.format_files.clip import masks_of, write_clip
from tests.format_files.samples import FRAMES, hand_item, simulated
from warpprior.bodies import posed_keypoints
from warpprior.cli import main
from warpprior.formats import read
from warpprior.formats.parts import videos
from warpprior.formats.parts.videos import VideoFrames, read_video
from warpprior.support.errors import InputError


def write_video(path, images, *, rate=25.0):
    """Without loss: RGB pictures (height, width, 3)."""
    import cv2

    size = images[0].shape[1::-1]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"FFV1"), rate, size)
    assert writer.isOpened()
    for image in images:
        writer.write(np.ascontiguousarray(image[..., ::-1]))
    writer.release()


def grey(masks):
    return [np.repeat(255 * mask[..., None].astype(np.uint8), 3, axis=2) for mask in masks]


def colors(scene):
    return [scene.read_rgb(frame) for frame in range(FRAMES)]


@pytest.fixture
def clip(tmp_path):
    """A clip whose colours and masks are videos."""
    folder = tmp_path / "clip"
    scene = write_clip(folder)
    shutil.rmtree(folder / "rgb")
    shutil.rmtree(folder / "masks")
    write_video(folder / "take_3.mkv", colors(scene))
    write_video(folder / "mask.mkv", grey(masks_of(scene)["mug"]))
    return folder


def test_colours_and_masks_of_videos(clip):
    """To the bit where nothing is lost; the frame rate is the video's; what it is, is said; a scene can be pickled."""
    scene = simulated()
    recording = read(clip, "clip")
    found = recording.scene
    assert found.frame_count == FRAMES and found.fps == pytest.approx(25.0) and found.timestamps is None
    for reader in (found.read_rgb, pickle.loads(pickle.dumps(found.read_rgb))):
        for frame in (3, 0, 4, 1, 1):
            assert np.array_equal(reader(frame), scene.read_rgb(frame))
    assert np.array_equal(found.labels == 1, masks_of(scene)["mug"])
    assert "take_3.mkv as colour pictures" in recording.notes[0] and "mask.mkv as masks" in recording.notes[0]
    assert main(["import", "clip", str(clip), "--output-dir", str(clip.parent / "scene"), "--quiet"]) == 0


def test_masks_of_several_things_by_name(clip):
    """A folder with a video for each."""
    scene = simulated()
    (clip / "mask.mkv").unlink()
    (clip / "masks").mkdir()
    for name, masks in masks_of(scene).items():
        write_video(clip / "masks" / f"{name}.mkv", grey(masks))
    item = hand_item(scene)
    np.save(clip / "hand_right_keypoints.npy", posed_keypoints(item.body, item.initial))
    labels = read(clip, "clip").scene.labels
    assert np.array_equal(labels == 1, masks_of(scene)["mug"])
    assert np.array_equal(labels == 2, masks_of(scene)["hand_right"])


def test_uneven_numbers_of_frames_are_said(clip):
    """Masks of fewer frames leave the rest unknown; poses of fewer rows end the clip, of more are cut."""
    scene = simulated()
    write_video(clip / "mask.mkv", grey(masks_of(scene)["mug"][:3]))
    recording = read(clip, "clip")
    assert recording.scene.frame_count == FRAMES and set(np.unique(recording.scene.labels[3:])) == {255}
    assert any("mug has no mask in frames 3-4" in note for note in recording.notes)
    poses = np.stack([np.loadtxt(path) for path in sorted((clip / "ob_in_cam").iterdir())])
    shutil.rmtree(clip / "ob_in_cam")
    np.save(clip / "object_poses.npy", poses[:4])
    recording = read(clip, "clip")
    assert recording.scene.frame_count == 4
    assert any("take_3.mkv: 5 frames, others have 4; those were taken" in note for note in recording.notes)
    np.save(clip / "object_poses.npy", np.concatenate([poses, poses[-1:]]))
    recording = read(clip, "clip")
    assert recording.scene.frame_count == FRAMES
    assert any("6 rows for 5 frames; 1 at its end were left out" in note for note in recording.notes)


def test_frames_at_uneven_times(clip):
    """Keep their times."""
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed").get_ffmpeg_exe()
    images = np.stack(colors(simulated()))
    times = "setpts='if(eq(N,0),0,if(eq(N,1),40,if(eq(N,2),80,if(eq(N,3),200,240))))/1000/TB'"
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "160x120", "-r", "1000", "-i", "-"]
    words = [
        ffmpeg,
        "-y",
        "-loglevel",
        "error",
        *raw,
        "-vf",
        times,
        "-c:v",
        "ffv1",
        str(clip / "take_3.mkv"),
    ]
    subprocess.run(words, input=images.tobytes(), check=True)
    recording = read(clip, "clip")
    assert np.allclose(recording.scene.timestamps, [0.0, 0.04, 0.08, 0.2, 0.24], atol=1e-6)
    assert any("not evenly spaced" in note for note in recording.notes)
    assert np.array_equal(recording.scene.read_rgb(3), images[3])


def test_long_videos_are_streamed(tmp_path, monkeypatch):
    """Any frame is found again, few are kept, and going on by one opens nothing."""
    random = np.random.default_rng(0)
    images = [random.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(200)]
    write_video(tmp_path / "long.mkv", images)
    frames = VideoFrames(read_video(tmp_path / "long.mkv"))
    monkeypatch.setattr(videos, "_KEPT_BYTES", 4 * images[0].nbytes)
    opened = []
    monkeypatch.setattr(videos, "_opened", lambda path, open=videos._opened: opened.append(path) or open(path))
    for frame in (*range(50), 150, 151, 3, 199, 70, 69, 68):
        assert np.array_equal(frames(frame)[..., ::-1], images[frame]), frame
        assert len(frames._kept) <= 4
    assert len(opened) <= 14


def test_what_is_no_video_is_refused(clip):
    """Text, a playlist that names other files, a cut file, coloured masks, and another size; in one line."""
    data = (clip / "take_3.mkv").read_bytes()
    for bad, says in (
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n", "does not begin as a video does"),
        (b"ffconcat version 1.0\nfile mask.mkv\n", "does not begin as a video does"),
        (data[:60], "cannot be opened|no frame"),
    ):
        (clip / "take_3.mkv").write_bytes(bad)
        with pytest.raises(InputError, match=says):
            read(clip, "clip")
    (clip / "take_3.mkv").write_bytes(data)
    shutil.copy(clip / "take_3.mkv", clip / "mask.mkv")
    with pytest.raises(InputError, match="is coloured"):
        read(clip, "clip")
    write_video(clip / "mask.mkv", [np.zeros((60, 80, 3), np.uint8)] * FRAMES)
    with pytest.raises(InputError, match="has 80 x 60 pixels"):
        read(clip, "clip")


def test_a_video_beside_its_pictures_is_not_asked_about(tmp_path):
    """The pictures are taken; renderings are none."""
    scene = write_clip(tmp_path / "clip")
    for name in ("input.mkv", "overlay.mkv"):
        write_video(tmp_path / "clip" / name, colors(scene))
    recording = read(tmp_path / "clip", "clip")
    assert any("not used" in note and "input.mkv" in note and "overlay.mkv" in note for note in recording.notes)
