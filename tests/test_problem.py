"""What terms share: contacts looked up once, queries and overlaps made once, drawings for those who look at them."""

import numpy as np
import pytest

from tests.estimator_scenes import make_arm, make_block, make_motion, make_problem, make_scene
from warpprior.kernels.rows import COSTS, GRADIENT, ROWS
from warpprior.settings import STAGES
from warpprior.terms import Coverage, Keypoints, Penetration, Sliding, Smoothness

FRAMES = 3


@pytest.fixture
def problem(device):
    """Two blocks a millimetre apart and a post between that touches neither; only one block is known."""
    left = make_motion((-0.0305, 0.0, 0.5), (0.0, 0.0, 0.0), drift=(0.0, 0.001, 0.0), frames=FRAMES)
    right = make_motion((0.0305, 0.0, 0.5), (0.0, 0.0, 0.0), frames=FRAMES)
    post = make_motion((0.0, 0.2, 0.6), (0.0, 0.0, 0.0), frames=FRAMES)
    bodies = (make_block("left"), make_block("right"), make_block("post", (0.01, 0.01, 0.01)))
    return make_problem(make_scene(bodies, (left, right, post), (left, right, post), known=("right",)), device)


def read(contacts):
    """Copies of what was looked up."""
    return {name: getattr(contacts, name).numpy().copy() for name in ("places", "samples", "frozen", "weights", "sums")}


def test_contacts_are_looked_up_once_for_all_terms(problem):
    """Sliding, penetration and whoever asks next are given the same pairs, one for each other body."""
    body = problem.motion.estimated[0]
    contacts = problem.contacts(body)
    for term in (Sliding(), Penetration()):
        list(term.bind(problem))
        assert problem.contacts(body) is contacts
    assert set(contacts.pairs) == {"right", "post"}
    assert [other.name for other in problem.partners(body)] == ["right", "post"]


def test_what_touches_is_found_when_refreshed_and_held_when_looked_at(problem):
    """Once the body moves, places and distances follow; which points are contacts, and how many, stays."""
    body = problem.motion.estimated[0]
    contacts = problem.contacts(body)
    problem.enter(STAGES[2])
    problem.refresh()
    pair = contacts.pairs["right"].contacts
    before, touch = read(pair), contacts.touch.numpy().copy()
    assert before["weights"].any() and touch[0] == 0.0 and (touch[1:] > 0.0).all()
    away = problem.motion.read_transforms()["left"]
    away[:, 0] -= 0.01
    problem.motion.assign_transforms({"left": away, "post": problem.motion.read_transforms()["post"]})
    problem.look()
    held = read(pair)
    np.testing.assert_allclose(held["places"] - before["places"], [[[0.01, 0.0, 0.0]] * 128] * FRAMES, atol=1e-6)
    assert (held["samples"] != before["samples"]).any()
    for name in ("frozen", "weights", "sums"):
        np.testing.assert_array_equal(held[name], before[name])
    np.testing.assert_array_equal(contacts.touch.numpy(), touch)
    problem.refresh()
    after = read(pair)
    assert after["weights"].max() < 0.1 * before["weights"].max()
    assert (contacts.touch.numpy() <= touch).all() and contacts.touch.numpy()[1] < 0.5 * touch[1]


def test_touch_is_that_of_all_pairs(problem):
    """What the surface shares with the frame before, over every other body."""
    contacts = problem.contacts(problem.motion.estimated[0])
    problem.enter(STAGES[0])
    problem.refresh()
    total = sum(pair.contacts.sums.numpy()[:, 1] for pair in contacts.pairs.values())
    np.testing.assert_allclose(contacts.touch.numpy(), total, rtol=1e-6)


def test_contacts_asked_for_in_a_stage_are_ready(problem):
    """Who asks late need not wait for the next refresh."""
    problem.enter(STAGES[2])
    contacts = problem.contacts(problem.motion.estimated[0])
    assert contacts.pairs["right"].contacts.weights.numpy().any()


def test_one_body_is_refreshed_alone(problem):
    """Its contacts are found anew, those of the others stay as they are."""
    left, post = problem.motion.estimated
    problem.enter(STAGES[2])
    both = [problem.contacts(body) for body in (left, post)]
    before = [read(contacts.pairs["right"].contacts)["places"] for contacts in both]
    moved = problem.motion.read_transforms()
    for rows in moved.values():
        rows[:, 1] += 0.003
    problem.motion.assign_transforms(moved)
    problem.refresh_body("left")
    after = [read(contacts.pairs["right"].contacts)["places"] for contacts in both]
    assert (after[0] != before[0]).any()
    np.testing.assert_array_equal(after[1], before[1])


def test_drawings_are_made_for_terms_that_look_at_them(problem):
    """Without one of those nothing is drawn anew; with one, bodies are where they are."""
    canvas = problem.drawings.alone["left"]
    drawn = canvas.keys.numpy().copy()
    moved = problem.motion.read_transforms()
    moved["left"][:, 0] -= 0.02
    problem.motion.assign_transforms(moved)
    problem.prepare_for([Smoothness(), Keypoints()])
    assert not problem.compares_labels
    problem.refresh()
    np.testing.assert_array_equal(canvas.keys.numpy(), drawn)
    problem.prepare_for([Smoothness(), Coverage()])
    assert problem.compares_labels
    problem.refresh()
    assert (canvas.keys.numpy() != drawn).any() == Coverage.draws


def test_queries_and_overlaps_are_made_once(device):
    """A surface that bends is built once, and a drawing compared with its label by one object."""
    motion = make_motion((-0.04, 0.0, 0.5), frames=2, joints=np.zeros((2, 2)))
    problem = make_problem(make_scene((make_arm(),), (motion,), (motion,)), device, points=8)
    (body,) = problem.motion.estimated
    assert problem.surface_query(body, 0.04) is problem.surface_query(body, 0.04)
    assert problem.overlap(body) is problem.overlap(body)


def test_notes_are_said_once(problem):
    """However many bodies have something to say."""
    for text in ("no colours", "no colours", "no depth"):
        problem.note(text)
    assert problem.notes == ["no colours", "no depth"]


def test_uses_share_unknowns_and_have_places_of_their_own(problem):
    """Three systems, one set of columns; the energy's gradient has a row for every vertex."""
    systems = problem.system, problem.costs_system, problem.gradient_system
    assert [system.mode for system in systems] == [ROWS, COSTS, GRADIENT]
    places = problem.gradient_system.place_gradients
    assert places.shape == (FRAMES, problem.motion.vertices.shape[1])
    assert problem.gradient_system.unknown_gradients.shape == (FRAMES, problem.equations.width)
    assert problem.gradient_system is systems[2]
