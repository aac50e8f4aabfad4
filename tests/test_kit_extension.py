"""The Kit extension's logic without Kit: choices, a run in the background, and what is written into a live stage."""

import importlib
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import warpprior

pytest.importorskip("pxr", reason="OpenUSD is not installed")
from pxr import Sdf, Usd

EXTENSION = Path(__file__).resolve().parents[1] / "examples/isaac/kit_extension"


@pytest.fixture(scope="module")
def logic():
    """The module, as Kit imports it: by the folder of the extension."""
    sys.path.insert(0, str(EXTENSION))
    try:
        return importlib.import_module("warpprior_kit.logic")
    finally:
        sys.path.remove(str(EXTENSION))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A lift of few frames as a stage whose bottle is where a rough guess has it, with label images beside it."""
    folder = tmp_path_factory.mktemp("kit")
    scene = warpprior.simulate("robot_lift", frame_count=4)
    warpprior.save_scene(scene, folder / "scene")
    poses = {one.name: one.initial for one in scene.bodies}
    warpprior.export_usd(scene, poses, folder / "scene/stage.usdc")
    return folder / "scene"


@pytest.fixture
def stage(folder):
    """The stage, opened anew."""
    return Usd.Stage.Open(str(folder / "stage.usdc"), Usd.Stage.LoadAll)


def chosen(logic, **other):
    """What a user would choose."""
    return logic.Choice(**{"hand": "/World/hand", "object": "/World/bottle", "camera": "/World/Camera", **other})


def test_bodies_and_cameras_are_offered(logic, stage):
    """Bodies once, not their links."""
    assert logic.prims_to_choose_from(stage) == (["/World/hand", "/World/bottle"], ["/World/Camera"])


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({}, ""),
        ({"hand": ""}, "choose a prim for the hand"),
        ({"object": "/World/hand"}, "one prim"),
        ({"camera": "/World/Gone"}, "/World/Gone is not in the stage"),
        ({"labels": ""}, "label images"),
    ],
)
def test_what_cannot_be_run_is_a_sentence(logic, stage, other, words):
    """Nothing is said of what can."""
    found = logic.problem_with(chosen(logic, **other), stage)
    assert (words in found) if words else found == ""


def test_a_stage_is_refined_where_it_is(logic, stage, folder):
    """From the open stage through a thread to a prim of the session: the bottle gets nearer to the truth."""
    before = stage.GetRootLayer().ExportToString()
    scene = logic.read_scene(stage, chosen(logic))
    job = logic.Job(scene, "cpu")
    job.wait()
    assert job.message == "done" and job.share == 1.0 and not job.running
    written = logic.write_result(stage, job.result)
    assert stage.GetRootLayer().ExportToString() == before
    assert stage.GetSessionLayer().GetPrimAtPath(written.path)
    logic.write_result(stage, job.result)  # a second run replaces what the first wrote
    truth = warpprior.load_scene(folder).body("bottle").truth.position
    off = [np.linalg.norm(one - truth, axis=1).max() for one in (scene.body("bottle").initial.position,)]
    off.append(np.linalg.norm(job.result.poses["bottle"].position - truth, axis=1).max())
    assert off[1] < 0.7 * off[0]


def test_a_result_goes_into_a_layer_of_ones_own(logic, stage, small_result):
    """The session stays empty then."""
    layer = Sdf.Layer.CreateAnonymous()
    stage.GetSessionLayer().subLayerPaths.append(layer.identifier)
    written = logic.write_result(stage, small_result, layer)
    assert layer.GetPrimAtPath(written.path) and not stage.GetSessionLayer().GetPrimAtPath(written.path)


@pytest.fixture
def small_result(folder):
    """A result that says what the scene began with."""
    scene = warpprior.load_scene(folder)
    return warpprior.Result(scene, {one.name: one.initial for one in scene.bodies}, {})


def test_a_run_can_be_stopped(logic):
    """It ends at its next step, without a result."""
    begun, go = threading.Event(), threading.Event()

    def refine(scene, *, device, progress):
        progress(1.0, 4.0, "looking")
        begun.set()
        go.wait(10.0)
        progress(2.0, 4.0, "looking")
        return scene

    job = logic.Job("a scene", refine=refine)
    begun.wait(10.0)
    assert job.running and job.share == 0.25 and job.message == "looking"
    job.stop()
    go.set()
    job.wait(10.0)
    assert not job.running and job.result is None and job.message == "stopped"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (warpprior.InputError("labels", "none", "images"), "labels"),
        (ValueError("odd"), "ValueError: odd"),
    ],
)
def test_what_goes_wrong_in_the_thread_is_told(logic, error, message):
    """The panel has one line for it."""

    def refine(scene, **_):
        raise error

    job = logic.Job("a scene", refine=refine)
    job.wait(10.0)
    assert job.result is None and message in job.message


def test_the_slider_names_whole_frames(logic):
    """Its ends are the first and the last."""
    assert [logic.code_at(share, 10.0, 14.0) for share in (-1.0, 0.0, 0.49, 0.9, 1.0)] == [10, 10, 12, 14, 14]
