"""How much deeper than usual bodies overlap at no cost is told by labels, where a body is known."""

import re
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import make_problem
from warpprior import refine
from warpprior.bodies import animated_body, rigid_body
from warpprior.refinement.guard import Guard
from warpprior.render.images import render_labels
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.system.allowances import overlap_notes
from warpprior.system.host_solver import bounded_solution


@pytest.mark.parametrize(("value", "said"), [(0.0, 0), (0.001, 0), (0.009, 1)])
def test_only_what_is_clearly_deeper_is_said(value, said):
    """And with how deep it is in all."""
    notes = overlap_notes({"hand in box": value}, 0.001)
    assert len(notes) == said and all("10.0 mm" in note for note in notes)


def test_others_make_the_best_of_what_is_cut():
    """A cut unknown stays at its bound; the other solves what is left."""
    matrix, right = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([-3.0, 0.0])
    bounds = (np.array([0.0, -9.0]), np.array([9.0, 9.0]))
    np.testing.assert_allclose(bounded_solution(matrix, right, (-np.inf, np.inf)), [-2.0, 1.0])
    np.testing.assert_allclose(bounded_solution(matrix, right, bounds), [0.0, 0.0])
    np.testing.assert_allclose(bounded_solution(matrix, right + np.array([0.0, 4.0]), bounds), [0.0, 2.0])


def carried(overlap_m, frames=6):
    """A known surface in motion, a slab, that carries a block which it overlaps by so much; the start is 40 mm off."""
    slab, block = trimesh.creation.box((0.12, 0.02, 0.10)), trimesh.creation.box((0.06, 0.05, 0.08))
    turn = Rotation.from_euler("xyz", np.linspace((0.3, 0.2, 0.0), (0.5, 0.5, 0.2), frames))
    place = np.linspace((-0.02, 0.02, 0.5), (0.03, -0.01, 0.52), frames)
    under = slab.vertices + np.array([0.0, 0.5 * (0.05 + 0.02) - overlap_m, 0.0])  # y is down in the picture
    moving = np.einsum("fab,vb->fva", turn.as_matrix(), under) + place[:, None]
    bodies = (animated_body("hand", moving, slab.faces), rigid_body("box", block.vertices, block.faces))
    none = np.zeros((frames, 0))
    still = Poses(np.zeros((frames, 3)), np.tile([0.0, 0.0, 0.0, 1.0], (frames, 1)), none)
    truth = Poses(place, turn.as_quat(), none)
    start = replace(truth, position=place + np.array([0.02, -0.02, 0.028]))
    parts = (
        SceneBody(bodies[0], 1, known=True, initial=still, truth=still),
        SceneBody(bodies[1], 2, known=False, initial=start, truth=truth),
    )
    scene = Scene("carried", Camera(320, 240, 310.0, 310.0, 160.0, 120.0), 30.0, parts)
    return replace(scene, labels=render_labels(scene, {part.name: part.truth for part in parts}))


@pytest.mark.parametrize("overlap_mm", [0, 10])
def test_labels_win_over_contact_with_what_is_known(overlap_mm):
    """A block is where its labels are, be it deep in the flesh that holds it, and how deep is said."""
    scene = carried(1e-3 * overlap_mm)
    result = refine(scene, device="cpu")
    off = result.poses["box"].position - scene.body("box").truth.position
    assert np.abs(off).max() < 0.003  # 4.3 mm where 1 mm is all that contact is allowed, and stages are undone
    assert not any("undone" in note for note in result.notes)
    found = result.shared["hand in box"]
    assert abs(1e3 * found["value"] - max(overlap_mm - 1.0, 0.0)) < 2.0
    assert (found["sigma"] < 0.005) == (overlap_mm > 0)  # nothing is learnt of bodies that do not overlap
    deep = [note for note in result.notes if "hand in box" in note]
    assert len(deep) == (overlap_mm > 0)
    for note in deep:
        assert abs(float(re.search(r"([0-9.]+) mm", note)[1]) - overlap_mm) < 2.0


def test_a_body_goes_back_with_its_overlap():
    """The guard undoes what a part did to a box, and how deep the hand was allowed in it, but not in another."""
    scene = carried(0.005)
    box = scene.body("box")
    aside = replace(box.truth, position=box.truth.position + np.array([0.0, -0.09, 0.0]))
    other = replace(box, body=replace(box.body, name="other"), label=3, initial=aside, truth=aside)
    scene = scene.with_poses({"box": box.truth})
    scene = replace(scene, bodies=(*scene.bodies, other))
    scene = replace(scene, labels=render_labels(scene, {body.name: body.initial for body in scene.bodies}))
    problem = make_problem(scene, "cpu")
    guard, shared = Guard(problem), problem.shared
    places = [shared.names.index(f"hand in {name}") for name in ("box", "other")]
    values = shared.values.copy()
    values[places] = 0.004
    shared.assign(values)
    moved = problem.motion.read_transforms()["box"]
    moved[:, 0] += 0.03
    problem.motion.assign_transforms({"box": moved})
    assert len(guard.check("fine")) == 1
    np.testing.assert_allclose(shared.values[places], [0.0, 0.004])
