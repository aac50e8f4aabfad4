"""Terms as settings: what they refuse, what they need of a scene, who uses them, and one of a user's own."""

from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np
import pytest
import warp as wp

from tests.estimator_scenes import errors_of, make_grasp, make_problem
from warpprior import ContactMap, SizePrior, terms
from warpprior.cli.own_terms import load_term, programs_of
from warpprior.kernels.rows import System, add_place, close_row
from warpprior.refinement.run import refine
from warpprior.settings import TERMS, AdamSettings, RefineSettings
from warpprior.support.errors import InputError
from warpprior.support.limits import weight as weight_field
from warpprior.support.limits import without_range
from warpprior.terms import ADAM, GAUSS_NEWTON, SOLVERS, BoundTerm, Term
from warpprior.world import World

ENERGY_ALONE = {"coverage", "far", "softras"}
NEEDS = {
    **{name: {"labels"} for name in ("contour", "coverage", "softras", "far")},
    "image": {"read_rgb", "labels"},
    "keypoints": {"keypoints2d"},
    "boxes": {"boxes"},
    "depth": {"read_depth"},
    "given": {"noise.poses"},
    "camera": {"world"},
    "touch": {"body of unknown size"},
    "contact_map": {"contact_maps"},
}


@pytest.fixture(scope="module")
def scene():
    """A box in a known clamp, with labels and nothing else."""
    return make_grasp(4)


@pytest.mark.parametrize("name", ["", "my term", "3d", "a-b", "contour.sigma"])
def test_names_are_words(name):
    """As settings name them: nothing that ``--set NAME.weight=1`` could not reach."""
    with pytest.raises(InputError, match="class attribute like 'table'"):
        _named(name)()


def _named(name):
    return dataclass(frozen=True)(type("Mine", (Term,), {"name": name, "__annotations__": {}}))


@pytest.mark.parametrize("kind", terms.TERMS, ids=lambda kind: kind.name)
def test_unknown_solvers_are_refused(kind):
    """By name of the setting, with those there are."""
    with pytest.raises(InputError, match=rf"settings: {kind.name}\.solvers: 'newton'.*gauss_newton, adam"):
        kind(solvers=("newton",))


@pytest.mark.parametrize("kind", terms.TERMS, ids=lambda kind: kind.name)
def test_solvers_that_have_no_use_for_a_term_are_refused(kind):
    """Coverage, far and SoftRas have an energy alone, and so have literal ones; the camera has rows alone."""
    lack = "only adam: it has no rows" if kind.uses == (ADAM,) else "only gauss_newton: it has no energy"
    assert (kind.uses == (ADAM,)) == (kind.name in ENERGY_ALONE)
    for solver in SOLVERS:
        if solver in kind.uses:
            assert kind(solvers=(solver,)).solvers == (solver,)
        else:
            with pytest.raises(InputError, match=rf"{kind.name}\.solvers: '{solver}'.*{lack}"):
                kind(solvers=(solver,))
    assert set(kind().solvers) <= set(kind.uses)


def test_a_term_of_rows_alone_is_refused_by_adam():
    """In the words of what it lacks."""
    rows = dataclass(frozen=True)(
        type(
            "Rows",
            (Term,),
            {"name": "rows", "uses": (GAUSS_NEWTON,), "solvers": (GAUSS_NEWTON,), "__annotations__": {}},
        )
    )
    with pytest.raises(InputError, match="rows.solvers: 'adam'.*only gauss_newton: it has no energy"):
        rows(solvers=(ADAM,))


def _numbers(kind):
    """Names of a term's numbers."""
    return [field.name for field in fields(kind) if str(field.type).startswith(("float", "int"))]


@pytest.mark.parametrize("kind", terms.TERMS, ids=lambda kind: kind.name)
def test_every_number_has_a_range_and_is_held_against_it(kind):
    """NaN, infinity, minus one and texts are refused with the term's name and the setting's."""
    assert without_range(kind()) == []
    for name in _numbers(kind):
        for value in (np.nan, np.inf, -1.0, "1"):
            with pytest.raises(InputError, match=rf"settings: {kind.name}\.{name}: "):
                kind(**{name: value})
    for name in _numbers(kind):
        if name.startswith("sigma") and name != "sigma_shade":
            with pytest.raises(InputError, match=rf"{kind.name}\.{name}: 0"):
                kind(**{name: 0.0})


def test_a_weight_of_zero_leaves_a_term_out():
    """It is a setting like another, and no solver uses the term then."""
    settings = RefineSettings(terms=(terms.Contour(weight=0.0), terms.Smoothness()))
    assert [term.name for term in settings.used_by(GAUSS_NEWTON)] == ["smoothness"]
    assert settings.leaving_out(["smoothness"]).used_by(GAUSS_NEWTON) == []


def test_a_name_is_given_once():
    """Two terms of one name would share a column and a setting."""
    with pytest.raises(InputError, match="'pose' twice"):
        RefineSettings(terms=(terms.Pose(), terms.Pose(weight=2.0)))


def test_names_are_those_of_the_table():
    """Each its own, and all of them may be left out."""
    names = [kind.name for kind in terms.TERMS]
    assert tuple(names) == TERMS and len(set(names)) == len(names)
    assert {type(term) for term in terms.default()} == set(terms.TERMS)
    assert RefineSettings().leaving_out(names).used_by(GAUSS_NEWTON) == []


@pytest.mark.parametrize("kind", terms.TERMS, ids=lambda kind: kind.name)
def test_terms_say_what_they_lack(scene, kind):
    """Fields that a scene does not have, or has empty; nothing where it has them all."""
    assert set(kind.reads) == NEEDS.get(kind.name, set()) - {"noise.poses", "body of unknown size"}
    full = replace(
        scene,
        read_rgb=lambda frame: None,
        read_depth=lambda frame: None,
        keypoints2d={"box": np.zeros((4, 0, 3))},
        boxes={"box": np.ones((4, 4))},
        noise={"poses": 0.01},
        world=World(),
        contact_maps=(ContactMap("box", "clamp", np.zeros(scene.body("box").body.vertex_count)),),
        bodies=tuple(body if body.known else replace(body, size=SizePrior()) for body in scene.bodies),
    )
    bare = replace(scene, labels=None)
    assert kind().lacks(full) == ()
    assert set(kind().lacks(bare)) == NEEDS.get(kind.name, set())
    assert set(kind().lacks(scene)) == NEEDS.get(kind.name, set()) - {"labels"}


def test_default_terms_of_a_scene(scene):
    """Those that find something in it, in the order of all."""
    found = [term.name for term in terms.default(scene)]
    assert found == [kind.name for kind in terms.TERMS if NEEDS.get(kind.name, set()) <= {"labels"}]
    assert [term.name for term in terms.default(replace(scene, labels=None))] == [
        kind.name for kind in terms.TERMS if kind.name not in NEEDS
    ]


def test_what_a_term_has_not_is_said(scene, device):
    """A term without ``bind``, and a bound one without rows, say their name."""
    mine = _named("mine")()
    problem = make_problem(scene, device, points=8)
    with pytest.raises(TypeError, match="'mine' has no bind"):
        mine.bind(problem)
    bound = BoundTerm(mine, scene.body("box"), problem)
    with pytest.raises(TypeError, match="'mine' has no rows"):
        bound.add(problem.system)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("contour", "a str; a list of terms"),
        (["contour"], "'contour'; a list of terms"),
        ([None], "a NoneType"),
        ([terms.Contour], r"the class Contour; Contour\(\)"),
        (terms.Contour(), "a Contour; a list"),
        ([terms.Contour(), terms.Contour()], "'contour' twice"),
    ],
)
def test_what_is_no_list_of_terms_is_refused(scene, given, words):
    """A class would have been left out without a word."""
    with pytest.raises(InputError, match=words):
        refine(scene, terms=given)
    with pytest.raises(InputError, match=words):
        RefineSettings(terms=given)


def test_a_chosen_term_without_its_observations_is_said(scene, device):
    """Who gives a term, or settings of it, hears that it has no say; of a default nobody needs to hear."""
    settings = RefineSettings(contact_points=32, iterations=1)
    chosen = refine(scene, settings, terms=[terms.Contour(), terms.Boxes(sigma_px=3.0)], device=device)
    assert "boxes: left without a say, for the scene has no boxes." in chosen.notes
    default = refine(scene, settings, terms=[terms.Contour(), terms.Boxes()], device=device)
    assert not any(note.startswith("boxes:") for note in default.notes)


def test_the_program_of_a_term_from_outside_is_known(tmp_path):
    """So that a run is not resumed with another term of the same name and settings."""
    place = tmp_path / "mine.py"
    source = "from warpprior.terms import Term\n\n\nclass Mine(Term):\n    name = 'mine'\n"
    place.write_text(source)
    one = programs_of([*terms.default(), load_term(f"{place}:Mine")])
    assert list(one) == ["mine"] and programs_of([load_term(f"{place}:Mine")]) == one
    place.write_text(source + "    offset = 1.0\n")
    assert programs_of([load_term(f"{place}:Mine")]) != one


def test_no_terms_leave_the_start_alone(scene, device):
    """And it is said."""
    assert any(note.startswith("there is no term") for note in refine(scene, terms=[], device=device).notes)
    weightless = [replace(term, weight=0.0) for term in terms.default()]
    assert any(note.startswith("there is no term") for note in refine(scene, terms=weightless, device=device).notes)


def test_a_bind_that_returns_nothing_is_refused(scene, device):
    """A forgotten return."""

    class Forgotten(Term):
        """Binds to nothing."""

        name = "forgotten"

        def bind(self, problem):
            """Nothing."""

    with pytest.raises(InputError, match="'forgotten': bind: returned NoneType; a list"):
        refine(scene, terms=[Forgotten()], device=device)


class BoundUndefined(BoundTerm):
    """Its cost is no number."""

    def add(self, system, *, alone=False):
        """NaN in every frame."""
        self.costs.fill_(float("nan"))


@dataclass(frozen=True)
class Undefined(Term):
    """A term that divides zero by zero."""

    name: ClassVar[str] = "undefined"

    def bind(self, problem):
        """One for each estimated body."""
        return [BoundUndefined(self, body, problem) for body in problem.motion.estimated]


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_cost_that_is_no_number_is_said(device, scene, solver):
    """In the notes, which the report shows, with the name of the term."""
    others = [name for name in ("gauss_newton", "adam") if name != solver]
    settings = RefineSettings(contact_points=32, iterations=1).leaving_out(others)
    result = refine(scene, settings, terms=[*terms.default(scene), Undefined()], device=device)
    assert any(note.startswith("undefined: its cost was not finite") for note in result.notes)


@dataclass(frozen=True)
class Absent(Term):
    """A term that finds nothing to do, and says so."""

    name: ClassVar[str] = "absent"

    def bind(self, problem):
        """None."""
        problem.note("absent: nothing here.")
        return []


@pytest.mark.parametrize("solver", SOLVERS)
def test_what_a_term_notes_is_in_the_result_once(device, scene, solver):
    """Whichever solver runs."""
    others = [name for name in ("gauss_newton", "adam") if name != solver]
    settings = RefineSettings(contact_points=32, iterations=1).leaving_out(others)
    result = refine(scene, settings, terms=[*terms.default(scene), Absent()], device=device)
    assert result.notes.count("absent: nothing here.") == 1


@wp.kernel
def _add_height(
    vertices: wp.array2d[wp.vec3],  # [frame, vertex] camera frame
    first: int,
    poses: wp.array[wp.transform],  # [frame]
    start: int,
    height: float,
    weight: float,
    system: System,
    cost_out: wp.array[wp.float64],  # [frame]
):
    """Pull one vertex to a height."""
    frame = wp.tid()
    miss = vertices[frame, first][1] - height
    pull = wp.float64(weight * miss)
    wp.atomic_add(cost_out, frame, wp.float64(weight * miss * miss))
    direction = wp.vec3(0.0, 1.0, 0.0)
    count = add_place(system, frame, 0, start, poses[frame], first, vertices[frame, first], direction, pull)
    close_row(system, frame, 0, count, wp.float64(weight), pull)


@dataclass(frozen=True)
class Height(Term):
    """The first vertex of each estimated body is at a height."""

    name: ClassVar[str] = "height"

    height_m: float = weight_field(0.0)

    def bind(self, problem):
        """One for each estimated body."""
        return [BoundHeight(self, body, problem) for body in problem.motion.estimated]


class BoundHeight(BoundTerm):
    """Of one body."""

    def add(self, system, *, alone=False):
        """A row per frame."""
        motion, term = self.problem.motion, self.term
        inputs = [motion.vertices, motion.first_vertex(self.body.name), motion.states[self.body.name].poses]
        inputs += [self.problem.equations.starts[self.body.name], term.height_m, term.weight, system]
        device = motion.device
        wp.launch(_add_height, self.costs.shape[0], inputs, [self.costs], device=device, record_tape=False)


def first_heights(result):
    """Where the first vertex of the box is (frame,) [m]."""
    from warpprior.bodies import posed_vertices

    body = result.scene.body("box").body
    return posed_vertices(body, result.poses["box"])[:, 0, 1]


def test_a_term_of_a_known_body_is_refused(device, scene):
    """Its body is whose unknowns it pulls; left out without a word, it would do nothing."""

    class OfKnown(Height):
        def bind(self, problem):
            return [BoundHeight(self, body, problem) for body in problem.motion.known]

    with pytest.raises(InputError, match="term 'height': bound to 'clamp', which is known"):
        refine(scene, RefineSettings(contact_points=32), terms=[OfKnown()], device=device)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_term_of_ones_own(device, scene, solver):
    """A kernel and a few lines: rows for Gauss-Newton and an energy for Adam; it may be set and left out by name."""
    settings = RefineSettings(contact_points=32, guard=False)  # which would undo what leaves the labels
    if solver == ADAM:
        settings = replace(settings, adam=AdamSettings(iterations=120)).leaving_out(["gauss_newton"])
    else:
        settings = settings.leaving_out(["adam"])
    mine = Height(height_m=0.05, weight=1e8)
    ours = [*terms.default(scene), mine]
    pulled = refine(scene, settings, terms=ours, device=device)
    left = refine(scene, settings.leaving_out([]), device=device)
    assert np.abs(first_heights(pulled) - 0.05).max() < 2e-3
    assert np.abs(first_heights(left) - 0.05).min() > 0.01
    assert "height" in pulled.history and pulled.history["height"][-1] < pulled.history["height"][0]
    without = replace(settings, terms=tuple(ours), without=(*settings.without, "height"))
    assert "height" not in refine(scene, without, device=device).history
    assert errors_of(left, "box").max() < 10.0
