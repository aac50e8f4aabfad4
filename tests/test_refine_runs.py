"""How a refinement runs: the same bits again, resumed, interrupted, with parts left out, and when it refuses."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

from tests.estimator_scenes import (
    disturb,
    errors_of,
    make_arm,
    make_grasp,
    make_motion,
    make_scene,
    mask_error,
)
from warpprior.refinement.body_fit import BodyFit
from warpprior.refinement.run import refine
from warpprior.settings import STEPS, TERMS, AdamSettings, RefineSettings
from warpprior.support.errors import InputError
from warpprior.system.motion import MotionState
from warpprior.system.unknown_settings import UnknownSettings
from warpprior.terms import GAUSS_NEWTON, Far

QUICK = RefineSettings(contact_points=64)
POLISHED = replace(QUICK, adam=AdamSettings(iterations=12))


@pytest.fixture(scope="module")
def scene():
    """A box in a clamp, four frames."""
    return make_grasp(4)


def assert_same(one, other):
    """Poses and histories agree bit for bit."""
    for name, poses in one.poses.items():
        for field in ("position", "rotation", "joints"):
            np.testing.assert_array_equal(getattr(poses, field), getattr(other.poses[name], field))
    assert list(one.history) == list(other.history)
    for name, values in one.history.items():
        np.testing.assert_array_equal(values, other.history[name], err_msg=name)
    assert one.notes == other.notes
    assert one.complete == other.complete


def test_two_runs_agree_bit_for_bit(scene):
    """On a CPU nothing depends on the order of threads: alignment and descent give the same bits again."""
    assert_same(refine(scene, POLISHED, device="cpu"), refine(scene, POLISHED, device="cpu"))


def test_another_seed_moves_contact_points_only_a_little(scene):
    """Other contact points, nearly the same motion."""
    one, other = (refine(scene, replace(QUICK, seed=seed), device="cpu") for seed in (0, 1))
    assert not np.array_equal(one.poses["box"].position, other.poses["box"].position)
    np.testing.assert_allclose(one.poses["box"].position, other.poses["box"].position, atol=1e-3)


def test_resuming_from_any_part_gives_the_same_bits(scene):
    """What is kept after each part continues to the poses, history and notes of a run that was never stopped."""
    kept = []
    whole = refine(scene, POLISHED, device="cpu", keep=kept.append)
    assert [int(arrays["done"]) for arrays in kept] == [1, 2, 3, 4, 5]
    for arrays in kept:
        stored = {name: np.array(values) for name, values in arrays.items()}
        assert all(values.dtype != object for values in stored.values())
        assert_same(refine(scene, POLISHED, device="cpu", resume_from=stored), whole)


def test_a_resumed_run_remembers_the_best_and_the_notes():
    """A part that is undone goes back to the best before the stop, and what was remarked before it is not forgotten."""
    scene = make_grasp(4)
    start = scene.body("box").initial
    scene = scene.with_poses({"box": replace(start, position=start.position + np.array([1.0, 0.0, 0.0]))})
    # A rate this high throws the box out of its label in the last part.
    terms = tuple(Far(weight=0.0) if term.name == "far" else term for term in QUICK.terms)
    wild = replace(QUICK, terms=terms, adam=AdamSettings(iterations=3, rate=400.0))
    kept = []
    whole = refine(scene, wild, device="cpu", keep=kept.append)
    assert any("hardly met" in note for note in whole.notes)
    assert any("Adam: box left its labels" in note for note in whole.notes)
    assert errors_of(whole, "box").max() < 3.0
    for arrays in (kept[0], kept[3], kept[4]):
        assert_same(refine(scene, wild, device="cpu", resume_from=arrays), whole)


@pytest.mark.parametrize("part", ["closed-form start", "Gauss-Newton, stage 2 (middle)", "Adam"])
def test_an_interrupted_run_returns_what_it_has(scene, part):
    """Ctrl-C while a part is announced: the motion so far, finite, said to be incomplete, and what was kept resumes."""

    def interrupt(done, total, name):
        if name == part and (name != "Adam" or done > 0.9 * total):
            raise KeyboardInterrupt

    kept = []
    result = refine(scene, POLISHED, device="cpu", progress=interrupt, keep=kept.append)
    assert not result.complete
    for poses in result.poses.values():
        assert np.isfinite(poses.position).all()
        np.testing.assert_allclose(np.linalg.norm(poses.rotation, axis=1), 1.0, atol=1e-6)
    assert len(kept) == {"closed-form start": 0, "Gauss-Newton, stage 2 (middle)": 2, "Adam": 4}[part]
    if kept:
        assert_same(refine(scene, POLISHED, resume_from=kept[-1], device="cpu"), refine(scene, POLISHED, device="cpu"))
    else:
        np.testing.assert_allclose(result.poses["box"].position, scene.body("box").initial.position, rtol=1e-6)


@pytest.mark.parametrize("calls", [1, 8, 20])
def test_ctrl_c_in_the_middle_of_a_part(scene, monkeypatch, calls):
    """Wherever the alignment is stopped, the motion returned is no farther from the labels than the best before."""
    original, count = BodyFit.linearise, iter(range(1, 1000))

    def interrupt(self):
        if next(count) == calls:
            away = self.motion.read_transforms()["box"][:, :7]
            away[1:, 0] += 0.3  # in the middle of a trial
            self.place(away)
            raise KeyboardInterrupt
        original(self)

    monkeypatch.setattr(BodyFit, "linearise", interrupt)
    result = refine(scene, QUICK, device="cpu")
    assert not result.complete
    started = mask_error(scene, refine(scene, QUICK.leaving_out(["gauss_newton", "adam"]), device="cpu").poses).mean()
    assert mask_error(scene, result.poses).mean() < started + 0.02
    assert any("was undone" in note for note in result.notes)


def test_progress_goes_up_to_the_end(scene):
    """What is done never falls, goes by small steps, ends as the whole, and every part is announced."""
    said = []
    refine(scene, POLISHED, device="cpu", progress=lambda *what: said.append(what))
    shares = [done / total for done, total, _ in said]
    assert np.diff(shares).min() > -1e-12
    assert said[-1] == (1.0, 1.0, "done")
    names = [what[2] for what in said]
    assert [name for at, name in enumerate(names) if name not in ("compiling kernels", *names[:at])] == [
        "preparing",
        "closed-form start",
        "Gauss-Newton, stage 1 (coarse)",
        "Gauss-Newton, stage 2 (middle)",
        "Gauss-Newton, stage 3 (fine)",
        "Adam",
        "done",
    ]
    parts = [(names.count(name), name) for name in dict.fromkeys(names) if name.startswith(("Gauss", "Adam"))]
    assert min(parts) > (3, ""), parts


@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_iterations_bound_every_part(scene, iterations):
    """At most so many rows per stage and in the descent; none at all leaves the closed-form start."""
    restless = replace(POLISHED.gauss_newton, rest_px=0.0)
    result = refine(scene, replace(POLISHED, iterations=iterations, gauss_newton=restless), device="cpu")
    if iterations == 0:
        assert result.history == {}
        only = refine(scene, QUICK.leaving_out(["gauss_newton", "adam"]), device="cpu")
        np.testing.assert_array_equal(result.poses["box"].position, only.poses["box"].position)
        return
    stages = result.history["stage"]
    assert [int((stages == stage).sum()) for stage in (1, 2, 3)] == [iterations] * 3
    assert np.isnan(stages).sum() == iterations
    assert np.isfinite(result.history["coverage"]).sum() == iterations


def test_iterations_lengthen_no_part(scene):
    """The bound is an upper one: a thousand are not more than the stages have."""
    result = refine(scene, replace(QUICK, iterations=1000), device="cpu")
    stages = RefineSettings().gauss_newton.stages
    for number, stage in enumerate(stages, 1):
        assert (result.history["stage"] == number).sum() <= stage.iterations


def test_costs_go_down(scene):
    """Within each stage the sum of the costs that are minimised together is less at its end than at its beginning."""
    history = refine(scene, QUICK, device="cpu").history
    names = [term.name for term in QUICK.used_by(GAUSS_NEWTON)]
    total = sum(history[name] for name in names)
    for stage in (1, 2, 3):
        values = total[history["stage"] == stage]
        assert values[-1] <= values[0] * 1.001
    assert set(history) == {"stage", *names}


@pytest.mark.parametrize("term", TERMS)
def test_every_term_can_be_left_out(scene, term):
    """Without a term the run works, the term has no column, and the ones that matter here change the motion."""
    settings = replace(POLISHED, iterations=3)
    whole = refine(scene, settings, device="cpu")
    result = refine(scene, settings.leaving_out([term]), device="cpu")
    assert term not in result.history
    assert np.isfinite(result.poses["box"].position).all()
    changed = not np.array_equal(result.poses["box"].position, whole.poses["box"].position)
    # There are no colour pictures, depths, joints or detections, the far pull ends where the closed-form start has led,
    # nothing rests here, the camera stands, sizes are known, there are no contact maps, and SoftRas is off.
    idle = ("image", "depth", "far", "rest", "pose", "keypoints", "boxes", "softras", "given", "camera", "touch")
    idle = (*idle, "contact_map")
    assert changed == (term not in idle)


@pytest.mark.parametrize("step", STEPS)
def test_every_step_can_be_left_out(scene, step):
    """Without a step its part is not announced; the others are."""
    parts = set()
    settings = replace(POLISHED, iterations=2).leaving_out([step])
    refine(scene, settings, device="cpu", progress=lambda done, total, name: parts.add(name.split(",")[0]))
    names = {"start": "closed-form start", "gauss_newton": "Gauss-Newton", "adam": "Adam"}
    parts -= {"compiling kernels", "preparing", "done"}
    assert parts == set(names.values()) - {names.get(step)}  # hypotheses are tried within the stages


def test_everything_left_out_gives_the_start(scene):
    """A run of no parts returns the initial motion, complete."""
    result = refine(scene, QUICK.leaving_out(STEPS), device="cpu")
    assert result.complete
    assert result.history == {}
    np.testing.assert_allclose(result.poses["box"].position, scene.body("box").initial.position, rtol=1e-6)


def test_the_paper_as_printed_goes_down(scene):
    """The literal energy of SoftRas masks and plain sums falls, from near; its units are the paper's."""
    truth = scene.body("box").truth
    near = scene.with_poses({"box": disturb(truth, depth=0.03, degrees=4.0)})
    settings = replace(RefineSettings.paper_literal(), iterations=25, contact_points=64)
    result = refine(near, settings, device="cpu")
    total = sum(result.history.values())
    assert total[-1] < 0.7 * total[0]
    assert set(result.history) == {"softras", "sliding", "penetration", "consistency", "smoothness"}


def test_an_arm_and_a_box_are_refined_together():
    """Neither is known: both are aligned, then everything descends; both get better."""
    arm, joints = make_arm(), np.tile([0.4, -0.3], (3, 1))
    reach = make_motion((-0.06, 0.03, 0.5), (0.2, -0.3, 0.3), drift=(0.002, 0.001, 0.0), frames=3, joints=joints)
    grasp = make_grasp(3)
    box = grasp.body("box")
    truth = replace(box.truth, position=box.truth.position + np.array([0.02, -0.03, 0.0]))
    start = replace(disturb(reach, depth=0.03, degrees=5.0), joints=joints + 0.1)
    scene = make_scene((arm, box.body), (reach, truth), (start, disturb(truth, depth=0.08, degrees=10.0)))
    settings = replace(QUICK, unknowns=UnknownSettings(estimate_mask_bias=False), adam=AdamSettings(iterations=20))
    result = refine(scene, settings, device="cpu")
    before = mask_error(scene, {body.name: body.initial for body in scene.bodies})
    assert mask_error(scene, result.poses).mean() < 0.1 * before.mean()
    assert np.median(errors_of(result, "box")) < 2.0
    assert np.median(errors_of(result, "arm")) < 4.0
    assert np.isfinite(result.history["stage"]).any()
    assert np.isfinite(result.history["coverage"]).any()


def everything_known(scene):
    return replace(scene, bodies=tuple(replace(body, known=True) for body in scene.bodies))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (everything_known, "every body is known"),
        (lambda scene: replace(scene, labels=None), "no label images"),
        (lambda scene: replace(scene, labels=np.where(scene.labels == 2, 0, scene.labels)), "at most 0 pixels"),
    ],
)
def test_what_cannot_be_refined_is_refused(scene, change, found):
    """Nothing to estimate, or nothing to estimate it from: an error that says so."""
    with pytest.raises(InputError, match=found):
        refine(change(scene), QUICK, device="cpu")


@pytest.mark.parametrize("stopped", [False, True])
def test_a_finished_run_is_freed_at_once(scene, monkeypatch, stopped):
    """Its arrays, on a GPU perhaps, do not wait for the garbage collector, nor do those of a stopped run."""
    made = []

    class Watched(MotionState):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.extend(weakref.ref(part) for part in (self, self.vertices, self.states["box"].poses))

    def stop(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("warpprior.refinement.preparing.MotionState", Watched)
    gc.collect()
    gc.disable()
    try:
        result = refine(scene, POLISHED, device="cpu", keep=stop if stopped else None)
        left = [part() for part in made if part() is not None]
    finally:
        gc.enable()
    assert len(made) == 3 and left == []
    assert result.complete is not stopped
