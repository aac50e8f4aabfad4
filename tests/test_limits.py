"""Ranges of settings: what cannot be meant is refused with its name, from the command line and from Python alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from warpprior.render.canvas import EPOCH_LIMIT
from warpprior.settings import RefineSettings
from warpprior.support.errors import InputError
from warpprior.support.limits import ABOVE_ZERO, FINITE, check_ranges, number, within, without_range
from warpprior.support.overrides import apply_overrides, known_keys
from warpprior.tracking.settings import TrackSettings

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


@pytest.mark.parametrize("settings", [RefineSettings(), TrackSettings()], ids=lambda settings: type(settings).__name__)
def test_every_number_declares_its_range(settings):
    """No number of the settings goes without."""
    assert without_range(settings) == []


def test_a_declared_range_counts():
    """A field's own range is the one that holds; without one any finite number will do."""

    @dataclass(frozen=True)
    class Declared:
        sigma: float = number(0.0, -1.0, 1.0)
        counts: tuple[int, ...] = number((1, 2), 1, 5)
        perhaps: int | None = number(None, 0, 3)
        tolerance: float = 0.5

    check_ranges(Declared())
    assert without_range(Declared()) == ["tolerance"]
    for change, says in [
        ({"sigma": -2.0}, "ours: sigma: -2.0; a number from -1 to 1"),
        ({"counts": (1, 6)}, "ours: counts.1: 6; a whole number from 1 to 5"),
        ({"counts": (1, 2.0)}, "ours: counts.1: 2.0; a whole number from 1 to 5"),
        ({"perhaps": 4}, "ours: perhaps: 4; a whole number from 0 to 3"),
        ({"tolerance": float("nan")}, "ours: tolerance: nan; a finite number"),
    ]:
        with pytest.raises(InputError) as caught:
            check_ranges(Declared(**change), "ours")
        assert str(caught.value) == says


@pytest.mark.parametrize(
    ("value", "limits", "whole", "expected"),
    [
        (1, (0, 2), True, True),
        (1.0, (0, 2), True, False),
        (True, (0, 2), True, False),
        ("1", (0, 2), False, False),
        (None, (0, 2), False, False),
        (float("nan"), (0, 2), False, False),
        (float("inf"), FINITE, False, False),
        (10**400, FINITE, False, False),
        (-3, FINITE, False, True),
        (0, ABOVE_ZERO, False, False),
        (1e-300, ABOVE_ZERO, False, True),
    ],
)
def test_what_is_within_a_range(value, limits, whole, expected):
    """Numbers only: no NaN, no truth value, no text; whole numbers of any length compare."""
    assert within(value, *limits, whole=whole) is expected


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
