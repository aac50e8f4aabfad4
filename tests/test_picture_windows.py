"""Pictures of bodies drawn in windows around them are those of the whole picture drawn at once."""

import numpy as np
import pytest
from estimator_scenes import make_block, make_motion

from warpprior.render import images
from warpprior.render.images import render_depth, render_labels, render_masks
from warpprior.render.window import whole_window
from warpprior.scene import Camera, Scene, SceneBody

CAMERA = Camera(width=120, height=90, fx=110.0, fy=110.0, cx=58.0, cy=46.0)
PLACES = [(0.0, 0.0, 0.5), (0.22, -0.15, 0.45), (2.0, 0.0, 0.5), (0.0, 0.01, 0.12), (0.0, 0.0, -0.5)]


@pytest.mark.parametrize("drawn_at_once", [10**6, 5000, 1], ids=["all", "some", "one"])
def test_windows_show_what_whole_pictures_do(monkeypatch, device, drawn_at_once):
    """In sight, across the border, out of sight, around the camera and behind it; few or many frames at once."""
    motions = [make_motion(place, (0.3, 0.4 + k, 0.1), frames=1) for k, place in enumerate(PLACES)]
    bodies = tuple(
        SceneBody(make_block(name), 1 + k, known=False, initial=motions[0]) for k, name in enumerate(("one", "two"))
    )
    scene = Scene("windows", CAMERA, 30.0, bodies)
    order = np.arange(len(PLACES))
    poses = {name: _joined(motions, order[::way]) for name, way in (("one", 1), ("two", -1))}
    monkeypatch.setattr(images, "CHUNK_PIXELS", drawn_at_once)
    pictures = [render_labels(scene, poses, device), render_depth(scene, poses, device), *_masks(scene, poses, device)]
    monkeypatch.setattr(
        images, "_window_around", lambda screen, camera: whole_window(len(screen), camera.width, camera.height)
    )
    whole = [render_labels(scene, poses, device), render_depth(scene, poses, device), *_masks(scene, poses, device)]
    for one, other in zip(pictures, whole, strict=True):
        np.testing.assert_array_equal(one, other)
    assert whole[0][0].any() and whole[2][1].any() and not whole[2][2].any()


def _masks(scene, poses, device):
    return render_masks(scene, poses, device).values()


def _joined(motions, order):
    """One motion whose frames are those of several."""
    first = motions[0]
    return type(first)(
        np.concatenate([motions[k].position for k in order]),
        np.concatenate([motions[k].rotation for k in order]),
        np.zeros((len(order), 0)),
    )
