"""Settings: leaving out terms and steps, the paper's own, and their plain form."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from warpprior.settings import STEPS, TERMS, RefineSettings
from warpprior.support.errors import InputError
from warpprior.support.overrides import apply_overrides
from warpprior.terms import Term
from warpprior.terms.term import ADAM, GAUSS_NEWTON, SOLVERS


def used(settings: RefineSettings) -> dict[str, list[str]]:
    """Names of the terms that each solver uses."""
    return {solver: [term.name for term in settings.used_by(solver)] for solver in SOLVERS}


@pytest.mark.parametrize("term", TERMS)
def test_leaving_out_a_term_takes_it_from_both_solvers(term):
    """No solver uses it any more; nothing else changes."""
    before, after = RefineSettings(), RefineSettings().leaving_out([term])
    assert used(after) == {solver: [name for name in names if name != term] for solver, names in used(before).items()}
    assert replace(after, without=()) == before


def test_a_term_without_weight_is_not_used():
    """A weight of zero is as good as leaving it out."""
    settings = apply_overrides(RefineSettings(), ["contour.weight=0"])
    assert used(settings) == used(RefineSettings().leaving_out(["contour"]))
    assert "contour" in used(RefineSettings())[GAUSS_NEWTON]


def test_leaving_out_steps():
    """Each step has its own name; all of them and all terms together are accepted."""
    settings = RefineSettings()
    for step in STEPS:
        assert settings.leaving_out([step]) == replace(settings, without=(step,))
    assert settings.leaving_out([]) == settings
    bare = settings.leaving_out(TERMS + STEPS)
    assert used(bare) == {GAUSS_NEWTON: [], ADAM: []} and set(bare.without) == {*TERMS, *STEPS}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mask", ("contour", "coverage", "softras")),
        ("initialise", ("start",)),
        ("align", ("gauss_newton",)),
        ("polish", ("adam",)),
    ],
)
def test_old_names_can_be_left_out(old, new):
    """The words of earlier versions are taken, and say the new ones."""
    with pytest.warns(UserWarning, match=f"--without {old}: it is called {' and '.join(new)} now"):
        settings = RefineSettings().leaving_out([old])
    assert settings == RefineSettings().leaving_out(new)


@pytest.mark.parametrize(
    ("term", "near"),
    [("slidng", "sliding"), ("contuor", "contour"), ("adm", "adam"), ("gausnewton", "gauss_newton"), ("xyz", None)],
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


def test_no_name_is_no_term():
    """An empty name is refused like any other that there is not."""
    with pytest.raises(InputError, match="without: 'mask'; called contour and coverage and softras now"):
        RefineSettings(without=("mask",))
    with pytest.raises(InputError, match="--without: no term ''"):
        RefineSettings().leaving_out([""])


def test_terms_have_names_of_their_own():
    """Two terms of one name are refused."""
    settings = RefineSettings()
    with pytest.raises(InputError, match="settings: terms: 'contour' twice"):
        replace(settings, terms=(*settings.terms, settings.terms[TERMS.index("contour")]))


def test_the_paper_s_settings_are_its_equations():
    """Terms are literal, masks are SoftRas unions, and only Adam runs."""
    settings = RefineSettings.paper_literal()
    terms: dict[str, Term] = {term.name: term for term in settings.terms}
    for name in ("sliding", "penetration", "consistency", "smoothness", "image"):
        assert type(terms[name]).__name__ == f"Literal{name.title()}"
    assert (terms["softras"].mode, terms["softras"].normalise) == ("union", False)
    assert used(settings)[GAUSS_NEWTON] == [] and "softras" in used(settings)[ADAM]
    assert "far" not in terms and "coverage" not in terms and "contour" not in terms
    assert {"start", "gauss_newton"} <= set(settings.without) and "adam" not in settings.without
    assert not settings.calibrate_masks
    assert settings.adam.iterations > 0
    assert not any(type(term).__name__.startswith("Literal") for term in RefineSettings().terms)


def test_plain_form_is_json():
    """Nested dataclasses become plain data that is stored and read back as it was."""
    settings = RefineSettings()
    plain = settings.as_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["gauss_newton"]["stages"]["coarse"]["reach_px"] == settings.gauss_newton.stages[0].reach_px
    assert plain["coverage"]["method"] == "edge"
    assert plain["without"] == []


def test_stages_go_from_coarse_to_fine():
    """Reaches, contact distances and slips shrink from stage to stage, and penetration comes in."""
    stages = RefineSettings().gauss_newton.stages
    assert [stage.name for stage in stages] == ["coarse", "middle", "fine", "firm"]
    for name in ("reach_px", "reach_factor", "contact_distance_m", "contact_softness_m", "sigma_slip_m_s"):
        values = [getattr(stage, name) for stage in stages]
        assert values == sorted(values, reverse=True)
    shares = [stage.penetration_share for stage in stages]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


OLD = [
    ("align.seek_shape=true", "unknowns.estimate_shape", lambda s: s.unknowns.estimate_shape, True),
    ("align.seek_focal=true", "unknowns.estimate_focal", lambda s: s.unknowns.estimate_focal, True),
    ("align.seek_mask_bias=no", "unknowns.estimate_mask_bias", lambda s: s.unknowns.estimate_mask_bias, False),
    ("align.tolerance=0.01", "gauss_newton.tolerance", lambda s: s.gauss_newton.tolerance, 0.01),
    ("align.damping=1", "gauss_newton.damping", lambda s: s.gauss_newton.damping, 1.0),
    ("align.stages.1.seeding_rounds=3", "gauss_newton.stages.middle.carry_frames", None, 3),
    ("polish.iterations=9", "adam.iterations", lambda s: s.adam.iterations, 9),
    ("initialise_passes=2", "start_passes", lambda s: s.start_passes, 2),
]


@pytest.mark.parametrize(("assignment", "current", "read", "value"), OLD, ids=[row[0] for row in OLD])
def test_settings_of_earlier_versions_are_taken(assignment, current, read, value):
    """Old keys set the new ones, and a warning names them."""
    read = read or (lambda s: s.gauss_newton.stages[1].carry_frames)
    old = assignment.partition("=")[0]
    with pytest.warns(UserWarning, match=f"--set {old}: this setting is called {current} now"):
        settings = apply_overrides(RefineSettings(), [assignment])
    assert read(settings) == value


@pytest.mark.parametrize("module", ["warpprior.settings", "warpprior.terms", "warpprior.tracking.settings"])
def test_settings_load_without_warp(module):
    """Help and completion read settings: a term imports its kernels when it is bound."""
    script = f"import sys, {module}; assert 'warp' not in sys.modules and 'scipy' not in sys.modules"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_every_old_key_leads_somewhere():
    """Each one is a setting of today, stands for some, or says in a sentence what became of it."""
    from warpprior.settings import OLD_KEYS
    from warpprior.support.overrides import known_keys

    known = known_keys(RefineSettings())
    for old, new in OLD_KEYS.items():
        assert old not in known, old
        assert " " in new or new in known or (new.endswith(".") and any(key.startswith(new) for key in known)), old


def test_what_has_one_setting_now_is_refused_with_a_sentence():
    """The weights that only the descent had are no weights of both solvers: the old keys are not taken for those."""
    with pytest.raises(InputError, match="polish.sliding_weight: is no setting any more; .* see sliding.weight"):
        apply_overrides(RefineSettings(), ["polish.sliding_weight=3"])
