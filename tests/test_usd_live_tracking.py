"""Estimates in a stage as they come: where a stage that is written whole has them, sample by sample."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from result_samples import make_arm, make_scene
from stage_samples import make_hand_scene

from warpprior.support.errors import InputError

pytest.importorskip("pxr", reason="OpenUSD is not installed")
from pxr import Sdf, Tf, Usd, UsdGeom

from warpprior.usd import LiveStage, StageOptions, Take, check_stage, write


def make_stage(up, unit, rate):
    """An empty stage that says what it is."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, unit)
    for set_rate in (stage.SetTimeCodesPerSecond, stage.SetFramesPerSecond):
        set_rate(rate)
    stage.SetStartTimeCode(5.0)
    stage.SetEndTimeCode(50.0)
    return stage


def estimates(scene, poses):
    """What a tracker that is always right says."""
    for frame in range(scene.frame_count):
        yield SimpleNamespace(
            timestamp=12.0 + frame / scene.fps,
            position={name: motion.position[frame] for name, motion in poses.items()},
            rotation={name: motion.rotation[frame] * (-1.0) ** frame for name, motion in poses.items()},
            joints={name: motion.joints[frame] for name, motion in poses.items()},
        )


def make_case(name):
    """A scene and its motion: a box, with links that carry their surface, with a surface that bends; or a hand."""
    if name == "hand":
        return make_hand_scene(5)
    scene = make_scene() if name == "box" else make_scene(arm=make_arm(bends=name == "bends"))
    return scene, {body.name: body.truth for body in scene.bodies}


@pytest.mark.parametrize("name", ["box", "links", "bends", "hand"])
@pytest.mark.parametrize("kind", [("Z", 1.0, 30.0), ("Y", 0.01, 24.0)])
def test_it_is_what_is_written_whole(name, kind):
    """All samples and all defaults of everything that moves agree, in any units."""
    scene, poses = make_case(name)
    whole, live = make_stage(*kind), make_stage(*kind)
    expected = write(whole, Take(scene, poses), prim="/take")
    door = LiveStage(live, SimpleNamespace(scene=scene), prim="/take")
    codes = [door.write(estimate) for estimate in estimates(scene, poses)]
    np.testing.assert_allclose(codes, np.linspace(expected.first_code, expected.last_code, scene.frame_count))
    moving = 0
    for prim in whole.Traverse():
        for attribute in prim.GetAuthoredAttributes():
            own = live.GetPrimAtPath(prim.GetPath()).GetAttribute(attribute.GetName())
            if "warpprior" in attribute.GetName() or attribute.GetNumTimeSamples() == 0:
                continue
            moving += 1
            np.testing.assert_allclose(own.GetTimeSamples(), attribute.GetTimeSamples())
            for code in (Usd.TimeCode.Default(), *map(Usd.TimeCode, attribute.GetTimeSamples())):
                found, wanted = (_numbers(one.Get(code)) for one in (own, attribute))
                tolerance = 4.0e-5 if attribute.GetName() == "normals" else 4.0e-6 / kind[1]
                sign = np.sign(found @ wanted) if attribute.GetName() == "xformOp:orient" else 1.0
                np.testing.assert_allclose(sign * found, wanted, atol=tolerance, err_msg=str(attribute.GetPath()))
            if attribute.GetName() == "xformOp:orient":
                turns = [_numbers(own.Get(code)) for code in own.GetTimeSamples()]
                assert all(a @ b > 0.0 for a, b in itertools.pairwise(turns))
    assert moving >= 2
    if kind[0] == "Z":
        live.SetDefaultPrim(live.GetPrimAtPath("/take"))
        assert check_stage(live) == []


def _numbers(value):
    """Of a vector, quaternion or array, flat float64."""
    if hasattr(value, "GetImaginary"):
        return np.array([*value.GetImaginary(), value.GetReal()], dtype=np.float64)
    return np.asarray(value, dtype=np.float64).ravel()


def test_without_a_record_only_the_default_changes():
    """Nothing grows: there are no samples, and the default is the newest."""
    scene, poses = make_case("box")
    stage = make_stage("Z", 1.0, 30.0)
    door = LiveStage(stage, scene, record=False)
    attribute = stage.GetPrimAtPath("/sample/box").GetAttribute("xformOp:translate")
    seen = []
    for estimate in estimates(scene, poses):
        door.write(estimate)
        seen.append(np.array(attribute.Get()))
    assert attribute.GetNumTimeSamples() == 0 and len(np.unique(np.array(seen), axis=0)) == 5


def test_only_one_layer_changes_and_each_step_is_one_notice():
    """In a layer that was named; whoever listens is told once for each estimate."""
    scene, poses = make_case("links")
    stage, layer = make_stage("Z", 1.0, 30.0), Sdf.Layer.CreateAnonymous("live.usda")
    layer.timeCodesPerSecond = 30.0
    stage.GetRootLayer().subLayerPaths.append(layer.identifier)
    before = stage.GetRootLayer().ExportToString()
    door = LiveStage(stage, scene, layer=layer)
    told = []
    listener = Tf.Notice.Register(Usd.Notice.ObjectsChanged, lambda notice, sender: told.append(sender), stage)
    for estimate in estimates(scene, poses):
        door.write(estimate)
    listener.Revoke()
    assert len(told) == scene.frame_count and stage.GetRootLayer().ExportToString() == before


def test_a_camera_that_moves_and_what_is_refused():
    """The camera's place is where bodies are seen from; joints of physics and rigs of hands are not moved."""
    scene, poses = make_case("box")
    stage = make_stage("Z", 1.0, 30.0)
    door = LiveStage(stage, scene)
    first = next(estimates(scene, poses))
    stand = np.array([1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0])
    code = door.write(first, world_from_camera=stand)
    place = stage.GetPrimAtPath("/sample/box").GetAttribute("xformOp:translate").Get(code)
    np.testing.assert_allclose(place, stand[:3] + first.position["box"], atol=1e-6)
    for options, accepted in (
        (StageOptions(robot="articulation"), "kinematic"),
        (StageOptions(hand_rig="skel"), "points"),
    ):
        with pytest.raises(InputError, match=f"LiveStage: .*{accepted}"):
            LiveStage(stage, scene, prim="/other", options=options)
    assert not stage.GetPrimAtPath("/other")


def test_surfaces_that_are_given():
    """Of a body given as vertices its surface comes with each estimate; one that is missing is named."""
    from dataclasses import replace

    from warpprior.bodies import animated_body
    from warpprior.scene import Poses

    scene, poses = make_case("box")
    box = scene.bodies[0].body
    shown = box.vertices[None] + 0.01 * np.arange(5)[:, None, None] + np.array([0.0, 0.0, 0.5])
    skin = animated_body("skin", shown, box.faces)
    body = replace(scene.bodies[0], body=skin, initial=Poses.identity(5), truth=None, label=2, known=True)
    scene = replace(scene, bodies=(*scene.bodies, body))
    stage = make_stage("Z", 1.0, 30.0)
    door = LiveStage(stage, scene)
    first = next(estimates(scene, poses))
    with pytest.raises(InputError, match="surfaces: skin: missing"):
        door.write(first)
    assert stage.GetPrimAtPath("/sample/box").GetAttribute("xformOp:translate").GetNumTimeSamples() == 0
    code = door.write(first, surfaces={"skin": skin.animation[3]})
    points = np.asarray(UsdGeom.Mesh.Get(stage, "/sample/skin/skin").GetPointsAttr().Get(code))
    assert np.ptp(points, axis=0) == pytest.approx(np.ptp(box.vertices, axis=0)[[0, 2, 1]], abs=1e-5)
