"""Settings: leaving out terms and steps, the paper's own, and their plain form."""

import json

import pytest

from warpprior.settings import ALIGNED_ONLY, STEPS, TERMS, PolishSettings, RefineSettings
from warpprior.support.errors import InputError
from warpprior.support.overrides import apply_overrides


@pytest.mark.parametrize("term", TERMS)
def test_leaving_out_a_term_zeroes_its_weights(term):
    """In the descent and, where it takes part, in the alignment; nothing else changes."""
    before, after = RefineSettings().as_dict(), RefineSettings().leaving_out([term]).as_dict()
    changed = {
        f"{part}.{key}" for part in ("align", "polish") for key in before[part] if before[part][key] != after[part][key]
    }
    weight = ALIGNED_ONLY.get(term, f"{term}_weight")
    expected = {f"{part}.{weight}" for part in ("align", "polish") if before[part].get(weight, 0.0) != 0.0}
    if term == "mask":
        expected.add("align.contour_weight")
    assert changed == expected
    assert all(after[part].get(f"{term}_weight", 0.0) == 0.0 for part in ("align", "polish"))
    assert {key: value for key, value in before.items() if key not in ("align", "polish")} == {
        key: value for key, value in after.items() if key not in ("align", "polish")
    }


def test_leaving_out_steps():
    """Each step has its own switch; all of them and all terms together are accepted."""
    settings = RefineSettings()
    assert settings.leaving_out(["initialise"]).initialise_passes == 0
    assert settings.leaving_out(["align"]).align.stages == ()
    assert settings.leaving_out(["polish"]).polish.iterations == 0
    assert settings.leaving_out([]) == settings
    bare = settings.leaving_out(TERMS + STEPS)
    assert bare.align.contour_weight == bare.polish.mask_weight == 0.0


@pytest.mark.parametrize(
    ("term", "near"),
    [("slidng", "sliding"), ("masks", "mask"), ("polsh", "polish"), ("aline", None), ("xyz", None), ("", None)],
)
def test_unknown_terms_are_refused_with_the_nearest(term, near):
    """The message names what was asked for, the nearest there is, and all there are."""
    with pytest.raises(InputError) as caught:
        RefineSettings().leaving_out(["image", term])
    message = str(caught.value)
    assert message.startswith(f"--without: no term {term!r}; ")
    assert all(name in message for name in TERMS + STEPS)
    if near:
        assert f"did you mean {near!r}? " in message


def test_the_paper_s_settings_are_its_equations():
    """Every term is literal, masks are SoftRas unions, and only Adam runs."""
    settings = RefineSettings.paper_literal()
    polish = settings.polish
    terms = (polish.sliding, polish.penetration, polish.consistency, polish.smoothness, polish.image)
    assert all(term.literal for term in terms)
    assert (polish.mask.method, polish.mask.mode, polish.mask.normalise) == ("softras", "union", False)
    assert settings.align.stages == ()
    assert settings.initialise_passes == 0
    assert not settings.calibrate_masks
    assert polish.iterations > 0
    assert polish.far_weight == 0.0
    assert all(not getattr(PolishSettings(), term).literal for term in ("sliding", "penetration", "smoothness"))


def test_plain_form_is_json():
    """Nested dataclasses become plain data that is stored and read back as it was."""
    plain = RefineSettings().as_dict()
    assert json.loads(json.dumps(plain)) == json.loads(json.dumps(plain))
    assert plain["align"]["stages"][0]["reach_px"] == RefineSettings().align.stages[0].reach_px
    assert plain["polish"]["mask"]["method"] == RefineSettings().polish.mask.method


def test_stages_go_from_coarse_to_fine():
    """Reaches, contact distances and slips shrink from stage to stage, and penetration comes in."""
    stages = RefineSettings().align.stages
    for name in ("reach_px", "contact_distance_m", "contact_softness_m", "sigma_slip_m_s"):
        values = [getattr(stage, name) for stage in stages]
        assert values == sorted(values, reverse=True)
    shares = [stage.penetration_share for stage in stages]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize("name", ["shape", "focal", "mask_bias"])
def test_what_was_sought_is_estimated(name):
    """The words of earlier versions are taken, and say the new ones."""
    value = not getattr(RefineSettings().align, f"estimate_{name}")
    with pytest.warns(UserWarning, match=f"align.seek_{name}: this setting is called align.estimate_{name} now"):
        settings = apply_overrides(RefineSettings(), [f"align.seek_{name}={value}"])
    assert getattr(settings.align, f"estimate_{name}") is value
