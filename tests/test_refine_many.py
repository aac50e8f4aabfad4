"""Several scenes at once: each comes out as it does alone, whatever its companions do."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import warp as wp

import warpprior
from tests.estimator_scenes import disturb, make_arm_scene, make_grasp
from warpprior.kernels import contour
from warpprior.refinement import hypotheses, many
from warpprior.refinement.body_fit import BodyFit
from warpprior.refinement.gauss_newton import GaussNewton
from warpprior.refinement.together import Together
from warpprior.render.parts import equal_parts
from warpprior.scene import IGNORE_LABEL, Camera
from warpprior.scenes import simulate
from warpprior.settings import RefineSettings
from warpprior.support.errors import InputError
from warpprior.system.joined import joined_scene, kind_of
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.terms.term import BoundTerm, Term

QUICK = RefineSettings(contact_points=64, iterations=6)
SAME_M = 1e-5  # on a GPU, where sums have no order


@pytest.fixture
def stages(monkeypatch):
    """The clips of each stage that was run of several together."""
    found = []
    run = Together.run

    def counted(self, number, clips, report):
        found.append(tuple(clips))
        return run(self, number, clips, report)

    monkeypatch.setattr(Together, "run", counted)
    return found


def check_same(one, other, device):
    """Two results are the same, to the bit on a CPU."""
    assert not isinstance(one, Exception), one
    if wp.get_device(device).is_cuda:
        for name, poses in one.poses.items():
            np.testing.assert_allclose(poses.position, other.poses[name].position, atol=SAME_M)
        return
    for name, poses in one.poses.items():
        for key in ("position", "rotation", "joints", "covariance"):
            np.testing.assert_array_equal(getattr(poses, key), getattr(other.poses[name], key), err_msg=f"{name} {key}")
        for key in ("status", "doubt"):
            if name in other.verdicts:
                ours, theirs = getattr(one.verdicts[name], key), getattr(other.verdicts[name], key)
                np.testing.assert_array_equal(ours, theirs)
    notes = tuple(note for note in one.notes if "by itself" not in note)
    assert (notes, one.shared, one.left_out) == (other.notes, other.shared, other.left_out)
    assert [finding.code for finding in one.findings] == [finding.code for finding in other.findings]
    for found, expected in (
        (one.history, other.history),
        *((one.residuals[b], other.residuals[b]) for b in one.residuals),
    ):
        assert list(found) == list(expected)
        for key, values in found.items():
            np.testing.assert_array_equal(values, expected[key], err_msg=key)


def alone(scenes, device, settings=QUICK, **options):
    """What becomes of each scene by itself."""
    return [warpprior.refine(scene, settings, device=device, **options) for scene in scenes]


def together(scenes, device, settings=QUICK, **options):
    """And of all in the same launches."""
    return warpprior.refine_many(scenes, settings, device=device, together=True, **options)


@pytest.fixture
def frames_drawn(monkeypatch):
    """How many frames each launch of contours had."""
    found = []
    launch = contour.add_contour

    def counted(*inputs, **options):
        found.append(len(options["cost_out"]))
        return launch(*inputs, **options)

    monkeypatch.setattr(contour, "add_contour", counted)
    return found


def grasps(*frames):
    """Scenes of one kind, of so many frames."""
    return [make_grasp(count, seed=seed) for seed, count in enumerate(frames)]


def observed_window(scene, device):
    """Size of a scene's crops."""
    window = observe_picture(MotionState(scene, device, point_count=8), 0.25).window
    return window.width, window.height


def test_hand_and_object_come_out_as_they_do_alone(device, stages):
    """Nothing known; of other lengths, one far off and with a frame without labels; all that is in results."""
    scenes = [simulate("grasp_lift", object="can", seed=seed, frame_count=count) for seed, count in ((3, 2), (4, 4))]
    hard = simulate("grasp_lift", object="can", seed=5, frame_count=3)
    labels = hard.labels.copy()
    labels[1][labels[1] != 0] = IGNORE_LABEL
    start = disturb(hard.body("can").initial, depth=0.2, degrees=100.0)
    scenes.insert(1, replace(hard, labels=labels).with_poses({"can": start}))
    found = together(scenes, device)
    assert stages and set(stages) == {(0, 1, 2)}
    for one, expected in zip(found, alone(scenes, device), strict=True):
        check_same(one, expected, device)


def test_drawn_terms_of_all_clips_are_launched_at_once(device, frames_drawn, monkeypatch):
    """Colours, too, in windows of other sizes; with two frames drawn at a time, on a CPU, as well."""
    scenes = [
        simulate("grasp_lift", object="mug", seed=seed, frame_count=count, depth=True)
        for seed, count in ((6, 2), (7, 3))
    ]
    assert len({observed_window(scene, device) for scene in scenes}) == 2
    settings = RefineSettings(contact_points=64, iterations=3, without=("hypotheses",))
    settings = replace(settings, unknowns=replace(settings.unknowns, estimate_shape=False))
    terms = [replace(term, weight=1.0) if term.name == "depth" else term for term in warpprior.terms.default()]
    expected = alone(scenes, device, settings, terms=terms)
    for parts in (None, equal_parts(5, 2)):
        monkeypatch.setattr(many, "parts_of_clips", lambda *given, parts=parts: parts)
        frames_drawn.clear()
        found = together(scenes, device, settings, terms=terms)
        # Its two or three frames a clip has at the end, when it is asked how sure it is.
        assert frames_drawn[:4] == ([5] * 4 if parts is None else [1, 1, 2, 2])
        for one, other in zip(found, expected, strict=True):
            check_same(one, other, device)
            assert {"image", "depth", "contour"} <= set(one.history)


def test_hypotheses_of_all_clips_are_tried_at_once(device, monkeypatch, stages):
    """Starts turned away in some frames, in one clip in all: each takes what it takes alone, in fewer tries."""
    scenes = []
    for scene, broken in zip(grasps(5, 4, 6), ([1, 3], [0, 1, 2, 3], [2]), strict=True):
        truth = scene.body("box").truth
        turned = disturb(truth, degrees=100.0, seed=len(broken))
        rotation = truth.rotation.copy()
        rotation[broken] = turned.rotation[broken]
        scenes.append(scene.with_poses({"box": replace(truth, rotation=rotation)}))
    tries = []
    given = BodyFit.place

    def counted(self, transforms):
        tries.append(self.motion.frame_count)
        given(self, transforms)

    monkeypatch.setattr(BodyFit, "place", counted)
    expected = alone(scenes, device)
    before = len(tries)
    tries.clear()
    found = together(scenes, device)
    assert tries.count(15) > 5 and len(tries) < before and set(stages) == {(0, 1, 2)}
    for one, other, scene in zip(found, expected, scenes, strict=True):
        check_same(one, other, device)
        moved = np.abs(other.poses["box"].rotation - scene.body("box").initial.rotation).max(axis=1)
        assert moved.max() > 0.1


def test_a_search_that_fails_ends_alone(device, monkeypatch, stages):
    """In the middle of what all try together."""
    scenes, leap = grasps(4, 5, 4), hypotheses.cheapest_path

    def failing(found, joined, guess, **options):
        if len(guess) == 5:
            raise ArithmeticError("no path")
        return leap(found, joined, guess, **options)

    monkeypatch.setattr(hypotheses, "cheapest_path", failing)
    found = together(scenes, device)
    assert isinstance(found[1], ArithmeticError) and (0, 2) in stages
    for number in (0, 2):
        check_same(found[number], *alone([scenes[number]], device), device)


def test_what_is_known_and_its_overlap_are_each_clip_s_own(device, stages):
    """Known bodies in contact, uneven times in one clip; allowances, biases and stopping are a clip's own."""
    scenes = [simulate("robot_lift", object="bottle", seed=seed, frame_count=count) for seed, count in ((1, 3), (2, 4))]
    times = np.cumsum([0.0, 1.0, 0.5, 2.0]) / scenes[1].fps
    scenes[1] = replace(scenes[1], timestamps=times)
    found = together(scenes, device)
    assert set(stages) == {(0, 1)}
    for one, expected in zip(found, alone(scenes, device), strict=True):
        check_same(one, expected, device)


def test_a_clip_that_has_converged_stops(device, stages):
    """One that starts at the truth is done long before the other, which does not move it any more."""
    easy, hard = grasps(4, 5)
    easy = easy.with_poses({"box": easy.body("box").truth})
    hard = hard.with_poses({"box": disturb(hard.body("box").truth, depth=0.5, degrees=60.0, bearing=0.2)})
    usual = RefineSettings(contact_points=64)
    settings = replace(usual, gauss_newton=replace(usual.gauss_newton, tolerance=0.01))
    found, expected = together([easy, hard], device, settings), alone([easy, hard], device, settings)
    rows = [len(result.history["stage"]) for result in expected]
    assert rows[0] != rows[1]
    for one, other in zip(found, expected, strict=True):
        check_same(one, other, device)


def test_what_becomes_infinite_in_one_clip_does_not_touch_another(device, monkeypatch, nan_allowed):
    """Its guard puts it back; the clips on either side are as they are alone."""
    scenes = grasps(4, 5, 4)
    bad = scenes[1].body("box").initial.position.copy()
    set_out = GaussNewton.set_out

    def spoilt(self, still=None):
        motion = self.problem.motion
        if np.array_equal(motion.scene.body("box").initial.position, bad):
            poses = motion.states["box"].poses.numpy().copy()
            poses[[0, 4]] = np.nan
            motion.states["box"].poses.assign(poses)
            motion.settle()
            motion.pose()
        set_out(self, still)

    monkeypatch.setattr(GaussNewton, "set_out", spoilt)
    found = together(scenes, device)
    assert any("infinite" in note for note in found[1].notes)
    assert np.isfinite(found[1].poses["box"].position).all()
    for number in (0, 2):
        check_same(found[number], *alone([scenes[number]], device), device)


def test_a_clip_that_fails_ends_alone(device, monkeypatch, stages):
    """In a solution, in the middle of a stage: it has its error, the others go on as if nothing had happened."""
    scenes = grasps(4, 5, 4)
    solve, count = GaussNewton.solve, [0]

    def failing(self):
        if self.problem.motion.frame_count == 5:
            count[0] += 1
            if count[0] == 3:
                raise ArithmeticError("no step")
        solve(self)

    monkeypatch.setattr(GaussNewton, "solve", failing)
    told = []
    found = together(scenes, device, told=lambda number, what: told.append((number, what)))
    assert isinstance(found[1], ArithmeticError) and told[0] == (1, found[1])
    assert stages[0] == (0, 1, 2) and set(stages[1:]) == {(0, 2)}
    for number in (0, 2):
        check_same(found[number], *alone([scenes[number]], device), device)


def test_scenes_that_do_not_fit_go_by_themselves(device, stages):
    """Other bodies, another rate, nothing to estimate, no scene at all: the errors stand where the results would."""
    scenes = [*grasps(3, 4), make_arm_scene(3), replace(make_grasp(3), fps=25.0)]
    known = replace(scenes[0], bodies=tuple(replace(body, known=True) for body in scenes[0].bodies))
    given = [scenes[0], known, scenes[2], "no scene", scenes[3], scenes[1]]
    found = together(given, device)
    assert stages[0] == (0, 1) and len(stages) == len(RefineSettings().gauss_newton.stages) - 1  # none of joints
    assert isinstance(found[1], InputError) and "every body is known" in str(found[1])
    assert isinstance(found[3], InputError)
    fine = [number for number in range(6) if number not in (1, 3)]
    for number, expected in zip(fine, alone([given[number] for number in fine], device), strict=True):
        check_same(found[number], expected, device)
    assert len({kind_of(scene) for scene in (*scenes[:2], *scenes[2:])}) == 3
    said = [[note for note in found[number].notes if "by itself" in note] for number in fine]
    assert [len(notes) for notes in said] == [0, 1, 1, 0] and "no other has its camera, rate" in said[1][0]


@pytest.mark.parametrize("unknown", ["size", "shape"])
def test_what_one_clip_learns_of_a_body_is_not_where_the_next_begins(device, unknown):
    """Scenes that share bodies but go one after the other: each has a size, or a hand's shape, of its own."""
    options = {"object": "can", "camera": Camera(160, 120, 150.0, 150.0, 80.0, 60.0), "images": False}
    scale = {"mesh_scale": 1.6} if unknown == "size" else {}
    scenes = [simulate("grasp_lift", seed=seed, frame_count=6, **scale, **options) for seed in (61, 62)]
    scenes[1] = scenes[1].first_frames(5)
    settings = replace(QUICK, iterations=3, unknowns=replace(QUICK.unknowns, estimate_shape=unknown == "shape"))
    found = warpprior.refine_many(scenes, settings, device=device, together=True, check_first=False)
    for one, other in zip(found, alone(scenes, device, settings, check_first=False), strict=True):
        check_same(one, other, device)
        for name, poses in one.poses.items():
            assert poses.scale == other.poses[name].scale
            np.testing.assert_array_equal(poses.shape, other.poses[name].shape)


class BoundNumbered(BoundTerm):
    """Its cost in a frame is the frame's number in its own scene."""

    def add(self, system, *, alone=False):
        """Set, for nobody else adds."""
        assert self.problem.motion.frame_count == self.problem.motion.scene.frame_count
        self.costs.assign(np.arange(self.problem.motion.frame_count, dtype=np.float64))


@dataclass(frozen=True)
class Numbered(Term):
    """A term of a user's own, that knows nothing of other clips."""

    name: ClassVar[str] = "numbered"
    solvers: tuple[str, ...] = ("gauss_newton",)

    def bind(self, problem):
        """One for each estimated body."""
        return [BoundNumbered(self, body, problem) for body in problem.motion.estimated]


def test_own_terms_see_one_scene_at_a_time(device, stages):
    """And what is launched for all beside them is the same."""
    scenes, terms = grasps(3, 5), [*warpprior.terms.default(), Numbered()]
    found, expected = together(scenes, device, terms=terms), alone(scenes, device, terms=terms)
    assert stages
    for one, other, total in zip(found, expected, (3.0, 10.0), strict=True):
        check_same(one, other, device)
        assert (one.history["numbered"] == total).all()


def test_interrupted_scenes_have_their_best_so_far(device):
    """What has not begun is an error; the best so far is no worse than the start."""
    scenes = [*grasps(3, 4), make_arm_scene(3)]

    def stop(done, total, text):
        if "stage 2" in text and done > 0.3 * total:
            raise KeyboardInterrupt

    found = together(scenes, device, progress=stop)
    assert [type(one) for one in found[2:]] == [many.NotBegunError]
    for one in found[:2]:
        assert isinstance(one, warpprior.Result) and not one.complete
        assert len(one.history["stage"]) > 0 and np.isfinite(one.poses["box"].position).all()


def test_kept_arrays_go_on_alone(device):
    """What is handed out after each part of a clip is what its own refinement resumes from."""
    scenes, kept = grasps(3, 4), {}
    found = together(scenes, device, keep=lambda number, arrays: kept.setdefault(number, []).append(arrays))
    for number, scene in enumerate(scenes):
        assert [int(arrays["done"]) for arrays in kept[number]] == [1, 2, 3, 4][: len(kept[number])]
        resumed = warpprior.refine(scene, QUICK, device=device, resume_from=kept[number][1])
        check_same(found[number], resumed, device)


def test_no_more_go_together_than_there_is_memory_for(monkeypatch, device):
    """Each kind in groups, in order; a scene that does not fit with any other is a group of its own."""
    scenes = grasps(3, 3, 3, 40, 3)
    ready = {number: many.Prepared(scene, QUICK, device, lambda *a: None, ()) for number, scene in enumerate(scenes)}
    camera = scenes[0].camera
    frame = many.PIXEL_BYTES * camera.width * camera.height + many.FRAME_BYTES
    groups = lambda frames: [group for group, _ in many._groups(ready, device, frames * frame)]  # noqa: E731
    assert groups(1000) == [[0, 1, 2, 3, 4]]
    assert groups(7) == [[0, 1], [2], [3], [4]]


def test_frames_of_clips_are_one_behind_the_other():
    """Poses and detections; what belongs to pictures stays with each scene."""
    scenes = grasps(3, 4)
    boxes = {"box": np.full((3, 4), 5.0)}, {"box": np.full((4, 4), np.nan)}
    scenes = [replace(scene, boxes=box) for scene, box in zip(scenes, boxes, strict=True)]
    whole = joined_scene(scenes)
    assert whole.frame_count == 7 and whole.labels is None
    start = np.concatenate([scene.body("box").initial.position for scene in scenes])
    np.testing.assert_array_equal(whole.body("box").initial.position, start)
    assert np.isfinite(whole.boxes["box"][:3]).all() and np.isnan(whole.boxes["box"][3:]).all()
