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
    "start_passes=-3",
    "start_passes=100000",
    "contact_points=0",
    "contact_points=-5",
    "contact_points=1000000000",
    "window_margin=-0.6",
    "window_margin=1e30",
    "gauss_newton.damping=-1",
    "gauss_newton.damping=1e300",
    "gauss_newton.tolerance=-1",
    "contour.sigma_px=1e-300",
    "contour.sigma_px=1e300",
    "contour.weight=1e39",
    "penetration.allowance_m=-1",
    "gauss_newton.stages.coarse.iterations=-1",
    "gauss_newton.stages.coarse.reach_px=0",
    "gauss_newton.stages.middle.contact_softness_m=0",
    "gauss_newton.stages.middle.contact_distance_m=-1",
    "gauss_newton.stages.fine.free_normal=7",
    "gauss_newton.stages.fine.penetration_share=-1",
    "gauss_newton.stages.fine.carry_frames=-2",
    "adam.iterations=1000000000",
    "adam.rate=0",
    "adam.final_rate=5",
    "adam.step_rad=-1",
    "coverage.sigma_px=1e300",
    "softras.softness=1e-30",
    "image.sample_count=1000000000000",
    "smoothness.sigma_m_s2=1e300",
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
    solver = replace(RefineSettings().gauss_newton, damping=float("nan"))
    with pytest.raises(InputError, match=r"settings: gauss_newton\.damping: nan; a number from 0 to 1e\+09"):
        RefineSettings(gauss_newton=solver)


def test_as_many_iterations_as_one_graph_can_draw():
    """Claims on pixel pairs count drawings in 16 bits, and a captured graph never clears them."""
    with pytest.raises(InputError, match="adam.iterations"):
        apply_overrides(RefineSettings(), [f"adam.iterations={EPOCH_LIMIT - 1}"])


def test_what_is_odd_but_sensible_passes():
    """Zero iterations, zero weights, one contact point; the defaults and the paper's settings."""
    RefineSettings.paper_literal()
    for assignment in (
        "iterations=0",
        "contact_points=1",
        "gauss_newton.damping=0",
        "coverage.weight=0",
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
    settings, count = RefineSettings(), 0
    for key in known_keys(settings):
        with pytest.raises(InputError) as caught:
            apply_overrides(settings, [f"{key}=-3"])
        count += " from " in str(caught.value)
    assert count > 100


@pytest.mark.parametrize(("method", "mode"), [("edge", "amodal-ignore"), ("soft", "union")])
def test_a_mask_method_has_its_own_modes(method, mode):
    """The method alone can be changed, and with it the modes there are."""
    settings = apply_overrides(RefineSettings(), [f"coverage.method={method}"])
    assert apply_overrides(settings, [f"coverage.mode={mode}"]) is not None
    if method == "soft":
        with pytest.raises(InputError, match="coverage.mode: 'modal'; for soft, one of amodal-ignore, union"):
            apply_overrides(settings, ["coverage.mode=modal"])
