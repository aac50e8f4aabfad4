"""Stages from strangers: nothing outside their folder is read, and damage is one sentence."""

import os
import time
import zipfile

import numpy as np
import pytest
from hostile_usd import ABORTS, ENDLESS, write_deep
from result_samples import make_scene

from warpprior.scene import Scene
from warpprior.support.errors import InputError
from warpprior.usd import export_usd

pytest.importorskip("pxr", reason="OpenUSD is not installed")
from pxr import Gf, Sdf, Usd, UsdGeom, UsdUtils

BALL = """#usda 1.0
( metersPerUnit = 1 )
def Sphere "ball" {{
    double radius = {radius}
    double3 xformOp:translate.timeSamples = {{ 0: (0, 0, 0), 4: ({end}, 0, 0) }}
    uniform token[] xformOpOrder = ["xformOp:translate"]
}}
"""


def ball(path, *, radius="0.1", end="1"):
    """A ball that moves."""
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(BALL.format(radius=radius, end=end))
    return path


@pytest.mark.parametrize("arc", ["references", "payload"])
def test_files_in_the_folder_belong_to_a_stage_and_others_do_not(tmp_path, arc):
    """References and payloads below the folder are followed; those that lead out are refused, through links too."""
    folder = tmp_path / "stage"
    ball(folder / "parts" / "ball.usda")
    ball(tmp_path / "outside.usda")
    os.symlink(tmp_path / "outside.usda", folder / "parts" / "link.usda")
    asked = {
        "./parts/ball.usda": None,
        "../outside.usda": "outside of its folder",
        str(tmp_path / "outside.usda"): "outside of its folder",
        "./parts/link.usda": "outside of its folder",
        "./parts/none.usda": "which is not there",
        "https://example.com/a.usda": "no USD file beside it",
        "./parts/ball.obj": "no USD file beside it",
    }
    for name, said in asked.items():
        path = folder / "s.usda"
        path.write_text(f'#usda 1.0\n( metersPerUnit = 1 )\ndef "b" ( prepend {arc} = @{name}@</ball> ) {{}}\n')
        if said is None:
            assert Scene.from_stage(path).frame_count == 5
        else:
            with pytest.raises(InputError, match=said):
                Scene.from_stage(path)


def test_sublayers_follow_the_same_rule(tmp_path):
    """A sublayer in the folder is read, one of its own that leads out is not."""
    ball(tmp_path / "stage" / "below.usda")
    path = tmp_path / "stage" / "s.usda"
    path.write_text("#usda 1.0\n(\n metersPerUnit = 1\n subLayers = [ @./below.usda@ ]\n)\n")
    assert Scene.from_stage(path).bodies[0].name == "ball"
    ball(tmp_path / "out.usda")
    (tmp_path / "stage" / "below.usda").write_text("#usda 1.0\n( subLayers = [ @../out.usda@ ] )\n")
    with pytest.raises(InputError, match="outside of its folder"):
        Scene.from_stage(path)


def test_clips_and_rings_of_references_end(tmp_path):
    """Values in clips are refused; files that name each other are read once."""
    path = tmp_path / "s.usda"
    path.write_text(
        '#usda 1.0\ndef Xform "a" ( clips = { dictionary default = { asset[] assetPaths = [@a.usd@] } } ) {}\n'
    )
    with pytest.raises(InputError, match="clips"):
        Scene.from_stage(path)
    path.write_text("#usda 1.0\n( subLayers = [ @./t.usda@ ] )\n")
    (tmp_path / "t.usda").write_text("#usda 1.0\n( subLayers = [ @./s.usda@ ] )\n")
    with pytest.raises(InputError):
        Scene.from_stage(path)


@pytest.mark.parametrize("file", [ABORTS, ENDLESS], ids=lambda path: path.stem)
def test_files_that_crash_openusd_are_refused(file):
    """A few turned bits: one line within seconds, and this process goes on."""
    begun = time.monotonic()
    with pytest.raises(InputError, match=r"\.usdc"):
        Scene.from_stage(file)
    assert time.monotonic() - begun < 60.0


def test_deep_and_many_prims_are_refused(tmp_path):
    """20,000 levels, and instances of instances that make more than 200,000 prims of a few."""
    with pytest.raises(InputError):
        Scene.from_stage(write_deep(tmp_path / "deep.usda"))
    text = '#usda 1.0\ndef Xform "a0" { def Sphere "s" {} }\n'
    for level in range(1, 7):
        inner = "".join(
            f'def "i{k}" ( instanceable = true prepend references = </a{level - 1}> ) {{}}\n' for k in range(10)
        )
        text += f'def Xform "a{level}" {{ {inner} }}\n'
    (tmp_path / "many.usda").write_text(text)
    with pytest.raises(InputError, match="prims"):
        Scene.from_stage(tmp_path / "many.usda")


def test_packages_are_what_usd_packages_are(tmp_path):
    """A packed stage is read; one that is compressed, grows when unpacked or is no package is refused."""
    scene = make_scene()
    export_usd(scene, {"box": scene.bodies[0].initial}, tmp_path / "s.usdz")
    assert Scene.from_stage(tmp_path / "s.usdz").frame_count == 5
    squeezed = tmp_path / "squeezed.usdz"
    with zipfile.ZipFile(squeezed, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("a.usda", "#usda 1.0\n" + " " * 10_000_000)
    with pytest.raises(InputError, match="compressed"):
        Scene.from_stage(squeezed)
    (tmp_path / "none.usdz").write_bytes(b"no package")
    with pytest.raises(InputError, match="package"):
        Scene.from_stage(tmp_path / "none.usdz")


def test_a_package_of_several_layers_is_read_and_does_not_lead_out(tmp_path):
    """Layers in a package may name each other, and nothing else."""
    ball(tmp_path / "in" / "ball.usda")
    root = tmp_path / "in" / "root.usda"
    root.write_text('#usda 1.0\n( metersPerUnit = 1 )\ndef "b" ( prepend references = @./ball.usda@</ball> ) {}\n')
    assert UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(root)), str(tmp_path / "p.usdz"))
    assert Scene.from_stage(tmp_path / "p.usdz").frame_count == 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"radius": "nan"}, "finite"),
        ({"radius": "1e30"}, "vertex 0 is"),
        ({"end": "inf"}, "finite"),
        ({"radius": "0"}, "left out|area|size"),
    ],
)
def test_numbers_that_are_none_are_refused(tmp_path, change, said):
    """Sizes and places that are not finite or nothing at all."""
    with pytest.raises(InputError, match=said):
        Scene.from_stage(ball(tmp_path / "s.usda", **change))


def mesh_stage(points, faces, counts=None):
    """An open stage with a mesh that moves."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    mesh = UsdGeom.Mesh.Define(stage, "/thing")
    mesh.CreatePointsAttr([Gf.Vec3f(*row) for row in points])
    mesh.CreateFaceVertexCountsAttr(counts or [3] * (len(faces) // 3))
    mesh.CreateFaceVertexIndicesAttr(faces)
    move = mesh.AddTranslateOp()
    move.Set(Gf.Vec3d(0, 0, 0), 0)
    move.Set(Gf.Vec3d(1, 0, 0), 2)
    return stage


@pytest.mark.parametrize(
    ("points", "faces", "counts", "said"),
    [
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [0, 1, 7], None, "name vertices"),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [0, 1, -1], None, "name vertices"),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [0, 1, 2], [2], "do not fit"),
        ([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [0, 1, 2], [2_000_000_000], "do not fit"),
        ([[0, 0, 0], [np.nan, 0, 0], [0, 1, 0]], [0, 1, 2], None, "nan|finite"),
        ([], [], None, "no faces"),
    ],
)
def test_damaged_meshes_are_refused_by_name(points, faces, counts, said):
    """Faces that name no vertex, counts that fit nothing, points that are no numbers; named or guessed."""
    stage = mesh_stage(points, faces, counts)
    for bodies in (None, {"/thing": "mesh"}):
        with pytest.raises(InputError, match=said):
            Scene.from_stage(stage, bodies=bodies)


def test_one_damaged_body_does_not_cost_the_others():
    """Of guessed bodies the good ones are read; the other is left out with its reason."""
    stage = mesh_stage([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [0, 1, 7])
    sphere = UsdGeom.Sphere.Define(stage, "/ball")
    sphere.CreateRadiusAttr(0.1)
    move = sphere.AddTranslateOp()
    move.Set(Gf.Vec3d(0, 0, 0), 0)
    move.Set(Gf.Vec3d(1, 0, 0), 2)
    scene = Scene.from_stage(stage)
    assert [item.name for item in scene.bodies] == ["ball"]
    assert any("/thing was left out" in note and "name vertices" in note for note in scene.warnings)


def test_many_frames_are_refused_before_they_are_counted():
    """A range of time codes that nobody could hold."""
    stage = mesh_stage([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [0, 1, 2])
    for end in (1e12, float("inf"), -1.0):
        stage.SetStartTimeCode(0)
        stage.SetEndTimeCode(end)
        with pytest.raises(InputError, match="time codes"):
            Scene.from_stage(stage)
