"""The paper's masks: both modes pull back, in pixels or in sigmas, and put bodies too far away."""

import numpy as np
import pytest

from tests.silhouette_scenes import (
    bind,
    check_replay,
    depth_optimum,
    depth_scan,
    draw_labels,
    evaluate,
    make_scene,
    shift,
)
from warpprior.support.errors import InputError
from warpprior.terms import Softras
from warpprior.terms.softras import MODES


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("known", [(), ("hand",)], ids=["both move", "hand known"])
def test_every_mode_pulls_back(device, mode, known):
    """Three pixels off, descent leads straight back, and the value is smaller at the truth."""
    scene = make_scene(known=known)
    labels = draw_labels(scene)
    step = np.zeros((1, 6))
    step[0, :2] = 2.4 / scene.camera.fx, 1.8 / scene.camera.fy
    value, gradients = evaluate(bind(shift(scene, "object", step), labels, device, Softras(mode=mode)))
    pull = gradients["object"][0, :2]
    assert pull @ step[0, :2] > 0.9 * np.linalg.norm(pull) * np.linalg.norm(step[0, :2])
    assert evaluate(bind(scene, labels, device, Softras(mode=mode)))[0][0] < value[0]


def test_plain_sum_of_squares(device):
    """Without normalisation the value is about the number of pixels that differ, as the paper prints it."""
    scene = make_scene()
    labels = draw_labels(scene)
    moved = shift(scene, "object", [[4.0 / scene.camera.fx, 0.0, 0.0, 0.0, 0.0, 0.0]])
    hard = ((draw_labels(moved) > 0) != (labels > 0)).sum()
    found = evaluate(bind(moved, labels, device, Softras(normalise=False, softness=1e-6)))[0][0]
    np.testing.assert_allclose(found, hard, rtol=0.1)


def test_softras_puts_bodies_too_far_away(device):
    """The paper's masks are dilated, so that their optimum is several per cent behind the true depth."""
    steps = np.linspace(-0.02, 0.12, 15)
    assert depth_optimum(depth_scan((0.05, 0.04, 0.03), steps, device, Softras()), steps) > 0.02


@pytest.mark.parametrize("mode", MODES)
def test_frames_without_labels_count_nothing(device, mode):
    """A label that is missing, and labels that are all don't-care: no value, no gradient, nothing not finite."""
    scene = make_scene(frames=3)
    labels = draw_labels(scene)
    labels[1][:] = 0
    labels[2][:] = 255
    values, gradients = evaluate(bind(scene, labels, device, Softras(mode=mode)))
    assert values[0] > 0.0 and (values[1:] == 0.0).all()
    for gradient in gradients.values():
        assert np.isfinite(gradient).all() and (gradient[1:] == 0.0).all()


def test_replays_in_a_captured_graph(device):
    """Forward and backward, captured once, give the eager result at poses set after the capture."""
    check_replay(Softras(), device)


@pytest.mark.parametrize(
    ("settings", "where"),
    [({"mode": "modal"}, "mode"), ({"sigma_px": 0.0}, "sigma_px"), ({"softness": "1e-4"}, "softness")],
)
def test_bad_settings_are_named(settings, where):
    """The message names the setting."""
    with pytest.raises(InputError, match=where):
        Softras(**settings)
