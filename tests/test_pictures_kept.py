"""Colour pictures are decoded once, as long as they are few; nobody else sees what one does to them."""

import pickle

import numpy as np
import pytest
from small_scene import write_scene

from warpprior.io import load_scene, pictures


@pytest.mark.parametrize("room", [0, 1, 100], ids=["none", "one", "all"])
def test_pictures_are_decoded_once_while_there_is_room(tmp_path, monkeypatch, room):
    """The first that are asked for are kept; all are the same each time, and change with none that was given away."""
    scene = load_scene(write_scene(tmp_path / "scene"))
    first = [scene.read_rgb(frame) for frame in range(scene.frame_count)]
    monkeypatch.setattr(pictures, "KEPT_BYTES", room * first[0].nbytes)
    scene = load_scene(tmp_path / "scene")
    decoded, decode = [], pictures.decode_image
    monkeypatch.setattr(pictures, "decode_image", lambda *given, **named: decoded.append(1) or decode(*given, **named))
    for _ in range(2):
        for frame, expected in enumerate(first):
            image = scene.read_rgb(frame)
            np.testing.assert_array_equal(image, expected)
            image[:] = 0
    assert len(decoded) == 2 * len(first) - min(room, len(first))


def test_a_scene_travels_without_its_pictures(tmp_path):
    """What is kept stays behind."""
    scene = load_scene(write_scene(tmp_path / "scene"))
    light = len(pickle.dumps(scene))
    image = scene.read_rgb(1)
    heavy = pickle.dumps(scene)
    assert abs(len(heavy) - light) < 100
    np.testing.assert_array_equal(pickle.loads(heavy).read_rgb(1), image)
