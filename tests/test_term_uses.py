"""One residual, two uses: of every term that has both, the energy's gradient is that of the rows, carried by a tape.

Rows go through the chains of :mod:`warpprior.system.surface_motion`, the energy through skinning, kinematics and poses
as Warp differentiates them: two ways that share the term's residual alone.
"""

from dataclasses import replace

import numpy as np
import pytest

from tests.estimator_scenes import make_block, make_motion, make_problem, make_scene
from tests.fit_samples import wander
from tests.gradcheck import compare_gradients
from tests.test_bodies_together import CAMERA, make_tongs_scene, seen_keypoints, shifted
from tests.test_image_alone import film, painted
from warpprior.bodies import posed_vertices, read_hand
from warpprior.render.images import render_depth
from warpprior.scenes.observe import Light
from warpprior.settings import STAGES
from warpprior.system.energy import Energy
from warpprior.terms import ADAM, GAUSS_NEWTON, TERMS

STAGE = replace(
    STAGES[1], contact_distance_m=0.03, contact_softness_m=0.01, sigma_slip_m_s=0.5, penetration_share=1.0, rests=True
)
BOTH = [term for term in TERMS if set(term.uses) == {GAUSS_NEWTON, ADAM}]


def hand_and_box():
    """A hand with a box in its palm, three frames at uneven times, both a little off; everything was observed."""
    hand, joints = read_hand(), np.tile([0.3, 0.0, 0.0] * 15, (3, 1))
    reach = make_motion((-0.02, 0.0, 0.5), (1.4, 0.3, 0.2), drift=(0.004, 0.002, 0.003), frames=3, joints=joints)
    middle = posed_vertices(hand, reach).astype(float).mean(axis=1)
    lying = replace(make_motion((0.0, 0.0, 0.5), frames=3), position=middle + np.array([0.02, 0.03, 0.0]))
    starts = (shifted(reach, 0.004, joints=0.3, seed=1), shifted(lying, 0.004, seed=2))
    scene = make_scene((hand, make_block()), (reach, lying), starts, camera=CAMERA)
    depths = render_depth(scene, {"hand": reach, "box": lying})
    screen = posed_vertices(hand, reach).astype(float)
    screen = screen[..., :2] / screen[..., 2:] * [CAMERA.fx, CAMERA.fy] + [CAMERA.cx, CAMERA.cy]
    boxes = np.concatenate([screen.min(axis=1), screen.max(axis=1)], axis=1)
    return replace(
        scene,
        keypoints2d={"hand": seen_keypoints(hand, reach)},
        boxes={"hand": np.clip(boxes, 5.0, 100.0)},
        read_depth=lambda frame: depths[frame],
        timestamps=np.array([0.0, 1.0, 3.0]) / 30.0,
    )


def painted_box():
    """A painted box alone, filmed, a little off."""
    block = painted(make_block(subdivisions=4), wave=0.02)
    motion = wander(block, 2, seed=2, middle=(0.0, 0.0, 0.35), turn=0.3)
    return film([block], [motion], light=Light()).with_poses({"box": shifted(motion, 0.002)})


@pytest.fixture(scope="module")
def scenes():
    """By kind: a hand and a box, tongs and a box, a painted box."""
    return {"hand": hand_and_box(), "tongs": make_tongs_scene(3, distance=0.004), "painted": painted_box()}


def bound(kind, problem):
    """The term, with settings in which everything counts, bound to what it concerns."""
    settings = {"rest": {"speed_m_s": 100.0}}.get(kind.name, {})
    term = kind(**{"weight": 1.0, **settings})
    problem.prepare_for([term])
    found = list(term.bind(problem))
    problem.enter(STAGE)
    for one in found:
        one.enter(STAGE)
    return found


def rows_of(terms, problem):
    """Gradient (frame, column) and cost (frame,) of the normal equations."""
    problem.equations.clear()
    problem.refresh()
    for term in terms:
        term.costs.zero_()
        term.freeze()
        term.add(problem.system)
    assert not problem.equations.row_marks.numpy().any()
    found = problem.equations.gradient.numpy()
    gradient = found[:, 0].copy()
    gradient[:-1] += found[1:, 1]
    return gradient, sum(term.costs.numpy() for term in terms)


@pytest.mark.parametrize("kind", BOTH, ids=lambda kind: kind.name)
def test_energy_and_rows_pull_alike(device, scenes, kind):
    """Of each body: the derivative of the energy by its increments is twice the rows' gradient; costs are the same."""
    met = 0
    for scene in scenes:
        problem = make_problem(scenes[scene], device, points=48)
        terms = bound(kind, problem)
        gradient, costs = rows_of(terms, problem)
        if not np.any(costs):
            continue  # nothing in this scene
        met += 1
        energy = Energy(problem, terms)
        energy.freeze()
        energy.differentiate()
        np.testing.assert_allclose(energy.rows.numpy().sum(axis=0) * energy.factors[0], costs, rtol=1e-5, atol=1e-9)
        for body in problem.motion.estimated:
            start, count = problem.equations.starts[body.name], problem.equations.counts[body.name]
            found = problem.motion.increments[body.name].grad.numpy()
            expected = 2.0 * gradient[:, start : start + count]
            compare_gradients(found, expected, name=f"{kind.name} of {body.name}, {scene}: energy and rows")
        energy.clear()
    assert met, f"no scene has anything for {kind.name}"
