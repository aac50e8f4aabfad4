"""Meshes of stages that are open, of prims and of packages; stages that are open are checked where they are."""

import sys

import numpy as np
import pytest
from result_samples import make_box, make_scene

from tests.small_scene import BOX_FACES, BOX_VERTICES
from warpprior.bodies import read_animated, read_mesh
from warpprior.support.errors import InputError, MissingExtraError, RunError
from warpprior.support.openusd import missing_openusd
from warpprior.usd import check_stage, export_usd

pytest.importorskip("pxr", reason="OpenUSD is not installed")
from pxr import Gf, Usd, UsdGeom, Vt


@pytest.fixture
def stage():
    """A box in centimetres below a frame that is turned, shifted and twice as large, and below an instance of it."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    frame = UsdGeom.Xform.Define(stage, "/World/mug")
    frame.AddTranslateOp().Set(Gf.Vec3d(10.0, 20.0, 30.0))
    frame.AddRotateZOp().Set(90.0)
    frame.AddScaleOp().Set(Gf.Vec3f(2.0))
    mesh = UsdGeom.Mesh.Define(stage, "/World/mug/body")
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray([3] * len(BOX_FACES)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray(BOX_FACES.ravel().tolist()))
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(BOX_VERTICES / 0.02, dtype=np.float32)))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateDisplayColorAttr([Gf.Vec3f(1.0, 0.2140411, 0.0)])
    return stage


def test_a_stage_is_read_in_its_world_and_a_prim_in_its_own_frame(stage):
    """In metres, whatever the size of the frames above; colours as pictures have them."""
    world = read_mesh(stage, "mug")
    turned = BOX_VERTICES @ np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]) + [0.1, 0.2, 0.3]
    np.testing.assert_allclose(world.vertices, turned, atol=1e-6)
    np.testing.assert_allclose(world.colors, np.tile([1.0, 0.5, 0.0], (8, 1)), atol=1e-4)
    for body in (read_mesh(stage.GetPrimAtPath("/World/mug"), "mug"), read_mesh(stage, "mug", prim="/World/mug")):
        np.testing.assert_allclose(body.vertices, BOX_VERTICES, atol=1e-6)
        np.testing.assert_array_equal(body.faces, world.faces)
        assert body.closed
    with pytest.raises(InputError, match="has no prim '/World/cup'"):
        read_mesh(stage, "mug", prim="/World/cup")


def test_files_and_packages_say_the_same(stage, tmp_path):
    """``.usda``, ``.usdc`` and ``.usdz``, each read apart."""
    from pxr import Sdf, UsdUtils

    expected = read_mesh(stage, "mug", prim="/World/mug")
    stage.GetRootLayer().Export(str(tmp_path / "mug.usdc"))
    stage.GetRootLayer().Export(str(tmp_path / "mug.usda"))
    UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(tmp_path / "mug.usdc")), str(tmp_path / "mug.usdz"))
    for name in ("mug.usda", "mug.usdc", "mug.usdz"):
        body = read_mesh(tmp_path / name, "mug", prim="/World/mug")
        assert body.vertices.tobytes() == expected.vertices.tobytes() and body.colors is not None
    (tmp_path / "bad.usdz").write_bytes(b"PK and no more")
    with pytest.raises(InputError, match=r"bad\.usdz: cannot be read"):
        read_mesh(tmp_path / "bad.usdz", "mug")


def test_what_colours_are_left_out_is_said(stage):
    """Colours of faces are not read."""
    mesh = UsdGeom.Mesh.Get(stage, "/World/mug/body")
    mesh.CreateDisplayColorPrimvar("uniform").Set([Gf.Vec3f(0.1 * face) for face in range(12)])
    body = read_mesh(stage, "mug")
    assert body.colors is None and any("colours are left out" in warning for warning in body.warnings)


def test_motion_of_a_stage_and_of_a_package(tmp_path):
    """The box of an exported stage, as a stage, a prim and a package: as in the file."""
    scene = make_scene()
    for ending in ("usdc", "usdz"):
        export_usd(scene, {"box": scene.bodies[0].truth}, tmp_path / f"a.{ending}")
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    moving = {"frame_count": 5, "fps": scene.fps}
    expected = read_animated(tmp_path / "a.usdc", "box", prim="/World/box", **moving).animation
    for source, prim in (
        (stage, "/World/box"),
        (stage.GetPrimAtPath("/World/box"), None),
        (tmp_path / "a.usdz", "/World/box"),
    ):
        assert read_animated(source, "box", prim=prim, **moving).animation.tobytes() == expected.tobytes()
    np.testing.assert_allclose(read_mesh(stage, "box", prim="/World/box").vertices, make_box().vertices, atol=1e-6)


def test_a_stage_that_is_open_is_checked(tmp_path):
    """Before it is saved."""
    scene = make_scene()
    export_usd(scene, {"box": scene.bodies[0].truth}, tmp_path / "a.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    assert check_stage(stage) == []
    stage.GetPrimAtPath("/World/box").GetAttribute("xformOp:orient").Set(Gf.Quatf(0, 0, 0, 0), 1)
    assert "xformOp:orient at 1" in [finding.what for finding in check_stage(stage)]


def test_inside_kit_it_is_said_what_to_do(stage, tmp_path, monkeypatch):
    """No Python is started there, and no usd-core is asked for; a stage that is open is read."""
    stage.GetRootLayer().Export(str(tmp_path / "mug.usda"))
    assert isinstance(missing_openusd("USD export"), MissingExtraError)
    monkeypatch.setitem(sys.modules, "carb", object())
    for read in (lambda: read_mesh(tmp_path / "mug.usda", "mug"), lambda: check_stage(tmp_path / "mug.usda")):
        with pytest.raises(RunError, match=r"cannot be started in Kit; open the stage yourself and hand it over"):
            read()
    assert read_mesh(stage, "mug").vertex_count == 8
    assert "omni.usd.libs" in str(missing_openusd("USD export"))
