"""Ranges of settings: what cannot be meant is refused with its name, from the command line and from Python alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from warpprior.render.canvas import EPOCH_LIMIT
from warpprior.settings import RefineSettings
from warpprior.support.errors import InputError
from warpprior.support.overrides import apply_overrides, known_keys

ABSURD = [
    "seed=-1",
    "seed=99999999999999999999",
    "iterations=-1",
    "iterations=99999999999999999999",
    "initialise_passes=-3",
    "initialise_passes=100000",
    "contact_points=0",
    "contact_points=-5",
    "contact_points=1000000000",
    "window_margin=-0.6",
    "window_margin=1e30",
    "align.damping=-1",
    "align.damping=1e300",
    "align.tolerance=-1",
    "align.sigma_contour_px=1e-300",
    "align.sigma_contour_px=1e300",
    "align.contour_weight=1e39",
    "align.allowance_m=-1",
    "align.stages.0.iterations=-1",
    "align.stages.0.reach_px=0",
    "align.stages.1.contact_softness_m=0",
    "align.stages.1.contact_distance_m=-1",
    "align.stages.2.free_normal=7",
    "align.stages.2.penetration_share=-1",
    "align.stages.2.seeding_rounds=-2",
    "polish.iterations=1000000000",
    "polish.rate=0",
    "polish.final_rate=5",
    "polish.step_rad=-1",
    "polish.mask.sigma_px=1e300",
    "polish.mask.softras_sigma=1e-30",
    "polish.image.sample_count=1000000000000",
    "polish.smoothness.sigma_m=1e300",
]


@pytest.mark.parametrize("assignment", ABSURD)
def test_absurd_numbers_are_refused(assignment):
    """Negative counts, endless numbers and zeros that would be divided by: the setting is named with its range."""
    key = assignment.partition("=")[0]
    with pytest.raises(InputError) as caught:
        apply_overrides(RefineSettings(), [assignment])
    message = str(caught.value)
    assert f"settings: {key}: " in message and " from " in message and "\n" not in message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 0, "1", True, 1.5])
def test_python_is_checked_too(value):
    """The same ranges hold for settings made in Python; a count is a whole number."""
    with pytest.raises(InputError, match="settings: contact_points"):
        RefineSettings(contact_points=value)
    align = replace(RefineSettings().align, damping=float("nan"))
    with pytest.raises(InputError, match=r"settings: align\.damping: nan; a number from 0 to 1e\+09"):
        RefineSettings(align=align)


def test_as_many_iterations_as_one_graph_can_draw():
    """Claims on pixel pairs count drawings in 16 bits, and a captured graph never clears them."""
    with pytest.raises(InputError, match="polish.iterations"):
        apply_overrides(RefineSettings(), [f"polish.iterations={EPOCH_LIMIT - 1}"])


def test_what_is_odd_but_sensible_passes():
    """Zero iterations, zero weights, one contact point; the defaults and the paper's settings."""
    RefineSettings.paper_literal()
    for assignment in (
        "iterations=0",
        "contact_points=1",
        "align.damping=0",
        "polish.mask_weight=0",
        "seed=2147483647",
    ):
        assert apply_overrides(RefineSettings(), [assignment]) is not None


def test_every_number_has_a_range():
    """No number is too odd for the check to find: each of them is refused when it is negative."""
    settings = RefineSettings()
    for key in known_keys(settings):
        try:
            apply_overrides(settings, [f"{key}=-3"])
        except InputError:
            continue
        pytest.fail(f"{key}=-3 was accepted")


@pytest.mark.parametrize("method", ["edge", "contour", "softras"])
def test_a_mask_method_brings_its_own_mode(method):
    """Changing the method alone is enough: its first mode is taken."""
    settings = apply_overrides(RefineSettings(), [f"polish.mask.method={method}"])
    assert settings.polish.mask.chosen_mode == {"edge": "modal", "contour": "amodal-ignore", "softras": "union"}[method]
