"""What holds for every term: a file and a history column of its name, documented settings, what its solvers need."""

import inspect
import pkgutil
import re
from dataclasses import fields

import pytest

from tests.estimator_scenes import make_grasp, make_problem
from warpprior import terms
from warpprior.refinement.adam import Adam
from warpprior.refinement.gauss_newton import GaussNewton
from warpprior.refinement.run import refine
from warpprior.settings import TERMS as NAMES
from warpprior.settings import AdamSettings, RefineSettings
from warpprior.support.limits import without_range
from warpprior.terms import ADAM, GAUSS_NEWTON, TERMS, Term, literal_terms
from warpprior.terms.term import BoundTerm

EVERY = (*TERMS, *{type(term): None for term in literal_terms() if type(term) not in TERMS})


def documented(kind):
    """Names in the ``Attributes`` section of a class's docstring."""
    _, _, listed = inspect.getdoc(kind).partition("Attributes:\n")
    return {name for found in re.findall(r"^    ([a-z_0-9, ]+):", listed, re.M) for name in found.split(", ")}


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_setting_is_documented_and_has_a_range(kind):
    """Fields are explained where they are declared, those of all terms in the base class; numbers declare ranges."""
    own = {field.name for field in fields(kind)} - {field.name for field in fields(Term)}
    explained = documented(kind) | set().union(*(documented(base) for base in kind.__mro__[1:-1] if base is not Term))
    assert own <= explained, f"undocumented: {own - explained}"
    assert documented(kind) <= {field.name for field in fields(kind)}, "documented, but not there"
    assert not without_range(kind())


def test_settings_of_all_terms_are_documented_once():
    """What all terms have, constants of the class included."""
    constants = {name for name in Term.__annotations__ if name != "name"} | {"name"}
    assert documented(Term) == constants


def test_names_are_unique_and_those_of_their_files():
    """The file is called as the term is, and every file holds one that is listed."""
    names = [kind.name for kind in TERMS]
    assert len(set(names)) == len(names)
    for kind in TERMS:
        assert kind.__module__ == f"warpprior.terms.{kind.name}"
    files = {module.name for module in pkgutil.iter_modules(terms.__path__)}
    assert files == {*names, "term", "literal", "loss"}
    assert tuple(names) == NAMES


def test_the_printed_equations_bear_the_names_of_what_they_stand_in_for():
    """So that one word leaves either out."""
    names = [term.name for term in literal_terms()]
    assert len(set(names)) == len(names)
    assert set(names) <= set(NAMES)
    assert all(term.solvers == (ADAM,) for term in literal_terms())


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_a_term_has_what_its_solvers_need(kind):
    """One that Gauss-Newton uses adds rows; one without rows evaluates itself."""
    source = inspect.getmodule(kind)
    bound = [
        value
        for value in vars(source).values()
        if inspect.isclass(value) and issubclass(value, BoundTerm) and value is not BoundTerm
    ]
    rows = {one.add is not BoundTerm.add for one in bound}
    own = {one.evaluate is not BoundTerm.evaluate for one in bound}
    assert rows == {GAUSS_NEWTON in kind.uses}
    assert own == {GAUSS_NEWTON not in kind.uses}


def test_history_columns_are_names():
    """Both solvers report each term that they use by its one name, whatever number of bodies it concerns."""
    scene, settings = make_grasp(3), RefineSettings(iterations=2, adam=AdamSettings(iterations=2))
    result = refine(scene, settings)
    newton, adam = GaussNewton(make_problem(scene, "cpu"), settings), Adam(make_problem(scene, "cpu"), settings)
    assert set(newton.names) <= set(NAMES) and set(adam.energy.names) <= set(NAMES)
    assert set(newton.names) == {term.name for term in settings.used_by(GAUSS_NEWTON)}
    assert set(adam.energy.names) <= {term.name for term in settings.used_by(ADAM)}
    assert set(result.history) - {"stage", "iteration"} == {*newton.names, *adam.energy.names}
    assert {"contour", "coverage", "sliding", "penetration"} <= set(result.history)
