"""The table of channels, the noise of a scene in memory and on disk, and old names."""

from dataclasses import replace

import numpy as np
import pytest

from tests.small_scene import BOX_FACES, BOX_VERTICES
from warpprior import observations
from warpprior.bodies import read_hand, rigid_body
from warpprior.io import fingerprint, load_scene, save_scene
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.support.errors import InputError

FRAMES = 3


@pytest.fixture
def scene():
    """A hand and a box without anything observed."""
    place = np.tile([0.0, 0.0, 0.5], (FRAMES, 1))
    turn = np.tile([0.0, 0.0, 0.0, 1.0], (FRAMES, 1))
    hand = read_hand()
    bodies = (
        SceneBody(hand, 1, False, Poses(place, turn, np.zeros((FRAMES, hand.coordinate_count)))),
        SceneBody(rigid_body("box", BOX_VERTICES, BOX_FACES), 2, False, Poses(place, turn, np.zeros((FRAMES, 0)))),
    )
    return Scene("seen", Camera(64, 48, 60.0, 60.0, 32.0, 24.0), 30.0, bodies)


def test_every_channel_says_what_it_is():
    """Names are fields of a scene or of an observation; sigmas and reaches are positive; files are read by someone."""
    fields = observations.Observation.__dataclass_fields__
    for name, channel in observations.CHANNELS.items():
        assert channel.name == name and (name in fields or name == "poses")  # poses are the scene's own
        assert channel.sigma > 0.0 and channel.reach > 1.0 and channel.unit and channel.meaning
        assert (channel.stored is None) or name in observations.READERS
    assert set(observations.DETECTIONS) <= set(Scene.__dataclass_fields__)
    assert observations.channel("keypoints3d").shape(21, 45) == (21, 4)
    assert observations.channel("joints").shape(21, 45) == (45,) and observations.channel("boxes").shape(0, 0) == (4,)


def test_channels_that_are_not_there_are_refused(scene):
    """By the table, by who enters itself, and by a scene that is asked."""
    for call in (observations.channel, observations.reads, observations.senses, scene.sigma):
        with pytest.raises(InputError, match="no channel 'keypoints'; one of keypoints2d, boxes"):
            call("keypoints")


def test_a_scene_says_its_noise_once(scene):
    """What it says counts, the table's default otherwise."""
    quiet = replace(scene, noise={"centers": 0.003, "boxes": 2})
    assert quiet.sigma("centers") == 0.003 and quiet.sigma("boxes") == 2.0
    assert quiet.sigma("keypoints3d") == observations.CHANNELS["keypoints3d"].sigma
    assert quiet.first_frames(2).sigma("centers") == 0.003 and quiet.with_poses({}).sigma("boxes") == 2.0


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        ({"keypoints": 3.0}, "scene 'seen': noise: of 'keypoints'; of keypoints2d"),
        ({"boxes": 0.0}, r"noise of boxes: 0.0; one sigma \[px\], a number from"),
        ({"boxes": -1.0}, "noise of boxes: -1.0"),
        ({"centers": float("nan")}, r"noise of centers: nan; one sigma \[m\]"),
        ({"centers": "1"}, "noise of centers: '1'"),
        ({"depth": True}, "noise of depth: True"),
    ],
    ids=["no channel", "zero", "below zero", "nan", "text", "bool"],
)
def test_noise_that_cannot_be_is_refused(scene, noise, words):
    """In one line that names the channel and its unit."""
    with pytest.raises(InputError, match=words):
        replace(scene, noise=noise)


def test_noise_is_written_and_read(scene, tmp_path):
    """To the last bit; a scene without any has no such table."""
    noise = {"keypoints2d": 6.123456789012345, "depth": 0.002}
    assert load_scene(save_scene(replace(scene, noise=noise), tmp_path / "noisy")).noise == noise
    folder = save_scene(scene, tmp_path / "plain")
    assert load_scene(folder).noise == {} and "noise" not in (folder / "scene.toml").read_text()
    assert fingerprint(scene) != fingerprint(replace(scene, noise=noise))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("keypoint2d = 4", r"\[noise\], 'keypoint2d': is not a known key; did you mean 'keypoints2d'"),
        ("boxes = 0", r"\[noise\], boxes: is 0; needs a finite number greater than zero"),
        ("boxes = 1e9", r"\[noise\], boxes: is 1e\+?0?9|needs a number from 1e-06 to 1e\+06"),
        ("boxes = 'wide'", r"\[noise\], boxes: is 'wide'"),
    ],
    ids=["name", "zero", "huge", "text"],
)
def test_noise_in_a_file_is_checked(scene, tmp_path, lines, words):
    """The file, the table and the key are named."""
    folder = save_scene(scene, tmp_path / "scene")
    with open(folder / "scene.toml", "a", encoding="utf-8") as stream:
        stream.write(f"\n[noise]\n{lines}\n")
    with pytest.raises(InputError, match=words) as caught:
        load_scene(folder)
    assert "\n" not in str(caught.value)


def test_the_old_name_of_detected_keypoints_is_taken(scene):
    """As an argument, as an attribute and by dataclasses.replace, each with a warning that says the new one."""
    found = {"hand": np.zeros((FRAMES, 21, 3))}
    with pytest.warns(DeprecationWarning, match="Scene.keypoints is now called keypoints2d"):
        made = Scene(scene.name, scene.camera, scene.fps, scene.bodies, keypoints=found)
    with pytest.warns(DeprecationWarning, match="keypoints2d"):
        changed = replace(made, keypoints={})
    with pytest.warns(DeprecationWarning, match="keypoints2d"):
        old = made.keypoints
    assert made.keypoints2d is found and old is found and changed.keypoints2d == {}
