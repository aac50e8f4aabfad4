"""A body's size factor is the same as a larger body, from the first drawing to the last figure."""

from dataclasses import replace

import numpy as np
import pytest

from tests.estimator_scenes import disturb, make_grasp
from warpprior.contacts import find_contacts
from warpprior.metrics import evaluate
from warpprior.refinement.run import refine
from warpprior.settings import AdamSettings, RefineSettings


@pytest.fixture
def scenes():
    """A box in a clamp, and the same with a box of half the size that is scaled by two."""
    scene = make_grasp(6)
    box = scene.body("box")
    start = disturb(box.truth, depth=0.02, degrees=3.0)
    halved = replace(box.body, vertices=box.body.vertices / 2)
    scaled = replace(box, body=halved, initial=replace(start, scale=2.0), truth=replace(box.truth, scale=2.0))
    return tuple(
        replace(scene, bodies=tuple(changed if body is box else body for body in scene.bodies))
        for changed in (replace(box, initial=start), scaled)
    )


def test_scale_is_the_same_as_a_larger_body(scenes, device):
    """Alignment, every term of the descent, metrics and contacts agree; on a CPU to the last bit."""
    settings = RefineSettings(adam=AdamSettings(iterations=4))
    plain, scaled = (refine(scene, settings, device=device) for scene in scenes)
    assert (plain.poses["box"].scale, scaled.poses["box"].scale) == (1.0, 2.0)
    tolerance = {"rtol": 1e-3, "atol": 1e-4} if device != "cpu" else {"rtol": 0.0, "atol": 0.0}
    np.testing.assert_allclose(scaled.poses["box"].position, plain.poses["box"].position, **tolerance)
    assert list(scaled.history) == list(plain.history)
    if device == "cpu":
        for name, column in plain.history.items():
            np.testing.assert_array_equal(scaled.history[name], column, err_msg=name)
        measured = [
            evaluate(scene, result.poses, device=device) for scene, result in zip(scenes, (plain, scaled), strict=True)
        ]
        assert measured[0] == measured[1]
    touching = [
        find_contacts(scene, plain.poses | {"box": result.poses["box"]}, device=device)
        for scene, result in zip(scenes, (plain, scaled), strict=True)
    ]
    assert [(c.body, c.other, c.points.shape[0]) for c in touching[0]] == [
        (c.body, c.other, c.points.shape[0]) for c in touching[1]
    ]
