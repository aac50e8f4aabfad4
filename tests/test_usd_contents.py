"""What else a stage holds: contact points, symmetry, lights, and what is known of the estimate."""

import json
from dataclasses import replace

import numpy as np
import pytest
from result_samples import make_arm, make_contacts, make_result, make_scene
from scipy.spatial.transform import Rotation
from stage_samples import issues_of

from warpprior.io import save_result
from warpprior.usd import check_stage, export_usd
from warpprior.usd.camera import WORLD_FROM_CAMERA

pytest.importorskip("pxr", reason="OpenUSD is not installed")
from pxr import Usd, UsdGeom, UsdLux


def test_contact_points_and_symmetry(tmp_path):
    """Points that touch at some time are a Points prim with weights; those that never do are left out."""
    scene = make_scene(arm=make_arm())
    scene = replace(scene, bodies=(replace(scene.bodies[0], symmetry="z"), *scene.bodies[1:]))
    contacts = make_contacts()
    random = np.random.default_rng(0)
    normals = random.normal(size=contacts.points.shape)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    depth, slip = random.normal(scale=1e-3, size=(2, *contacts.weight.shape))
    contacts = replace(contacts, normals=normals, depth=depth, slip=np.abs(slip))
    poses = {body.name: body.truth for body in scene.bodies}
    export_usd(scene, poses, tmp_path / "a.usdc", contacts=[contacts])
    assert check_stage(tmp_path / "a.usdc") == []
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    assert stage.GetPrimAtPath("/World/box").GetCustomDataByKey("warpprior:symmetry") == "z"
    (prim,) = stage.GetPrimAtPath("/World/Contacts").GetChildren()
    assert prim.GetCustomDataByKey("warpprior:other") == contacts.other
    weight = UsdGeom.PrimvarsAPI(prim).GetPrimvar("contact")
    turn = Rotation.from_quat(WORLD_FROM_CAMERA[3:])
    for frame in range(5):
        places = np.asarray(UsdGeom.Points(prim).GetPointsAttr().Get(frame))
        np.testing.assert_allclose(places, turn.apply(contacts.points[frame, :1]) + WORLD_FROM_CAMERA[:3], atol=1e-6)
        np.testing.assert_allclose(weight.ComputeFlattened(frame), contacts.weight[frame, :1], atol=1e-6)
        primvars = {
            name: UsdGeom.PrimvarsAPI(prim).GetPrimvar(name).ComputeFlattened(frame)
            for name in ("normals", "depth", "slip")
        }
        np.testing.assert_allclose(primvars["normals"], turn.apply(contacts.normals[frame, :1]), atol=1e-6)
        np.testing.assert_allclose(primvars["depth"], contacts.depth[frame, :1], atol=1e-6)
        np.testing.assert_allclose(primvars["slip"], contacts.slip[frame, :1], atol=1e-6)


@pytest.mark.parametrize("look", [(0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (-0.6, -0.6, -0.5), (0.0, 0.0, -1.0)])
def test_the_sun_shines_down_ahead_of_the_camera(tmp_path, look):
    """Whichever way the camera looks, beside a dome; white is never more than white, in Blender's units or USD's."""
    scene = make_scene()
    along = np.array(look) / np.linalg.norm(look)
    turn = Rotation.align_vectors([along], [[0.0, 0.0, 1.0]])[0]
    export_usd(
        scene,
        {body.name: body.truth for body in scene.bodies},
        tmp_path / "a.usdc",
        world_from_camera=[1.0, 2.0, 3.0, *turn.as_quat()],
    )
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    sky, sun = (stage.GetPrimAtPath(f"/World/{name}") for name in ("Light", "Sun"))
    assert sky.IsA(UsdLux.DomeLight) and sun.IsA(UsdLux.DistantLight)
    shine = np.asarray(UsdGeom.Xformable(sun).ComputeLocalToWorldTransform(0).TransformDir((0.0, 0.0, -1.0)))
    assert shine[2] == pytest.approx(-np.sqrt(0.5), abs=1e-6) and shine @ along > 0.3
    if np.hypot(*along[:2]) > 0.1:  # from the left: ahead, and to the right
        assert np.cross(along, shine)[2] < 0.0 < along[:2] @ shine[:2]
    sky, sun = UsdLux.LightAPI(sky), UsdLux.LightAPI(sun)
    assert sun.GetNormalizeAttr().Get()
    falls = sun.GetIntensityAttr().Get() / np.pi
    assert 0.5 < sky.GetIntensityAttr().Get() + falls < 1.0 and 0.5 < 4.0 * falls < 1.0
    assert issues_of(stage, tmp_path / "a.usdc") == []


def test_results_say_how_they_came_about(tmp_path):
    """Settings, metrics, verdicts and versions of a result are in the stage it is written with."""
    result = replace(make_result(), settings={"seed": 5, "smooth": 0.5}, metrics={"iou": 0.9, "frames": [1, 2]})
    save_result(result, tmp_path / "run")
    stage = Usd.Stage.Open(str(tmp_path / "run" / "scene.usdc"))
    about = stage.GetRootLayer().customLayerData["warpprior"]
    assert about["seed"] == 5 and json.loads(about["settings"])["smooth"] == 0.5
    assert json.loads(about["metrics"]) == {"iou": 0.9}
    assert "warpprior" in json.loads(about["versions"]) and "verdicts" in about
    save_result(result, tmp_path / "seeded", seed=7)
    stage = Usd.Stage.Open(str(tmp_path / "seeded" / "scene.usdc"))
    assert stage.GetRootLayer().customLayerData["warpprior"]["seed"] == 7


def test_packages_hold_the_same(tmp_path):
    """A .usdz is one file with the stage that a .usdc has."""
    scene = make_scene(arm=make_arm())
    poses = {body.name: body.truth for body in scene.bodies}
    stages = {}
    for name in ("a.usdc", "a.usdz"):
        export_usd(scene, poses, tmp_path / name)
        assert check_stage(tmp_path / name) == []
        stages[name] = Usd.Stage.Open(str(tmp_path / name))
    assert {path.name for path in tmp_path.iterdir()} == {"a.usdc", "a.usdz"}
    texts = [stage.Flatten().ExportToString().split("\n)", 1)[1] for stage in stages.values()]
    assert texts[0] == texts[1]
