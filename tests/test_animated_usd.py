"""Surfaces in motion from USD files: where they are in the camera frame, and what is refused."""

import sys

import numpy as np
import pytest
from result_samples import make_arm, make_box_poses, make_scene
from scipy.spatial.transform import Rotation

from tests.small_scene import BOX_FACES, BOX_VERTICES
from warpprior.bodies import posed_vertices
from warpprior.bodies.readers import animated_usd, usd_layers, usd_surface
from warpprior.bodies.readers.animated import read_animated
from warpprior.support.errors import InputError, MissingExtraError
from warpprior.usd import export_usd

pytest.importorskip("pxr", reason="OpenUSD is not installed")
from pxr import Gf, Sdf, Usd, UsdGeom, Vt

FRAMES = 4
PLACE = 2.0e-6  # single precision at a few metres [m]
QUADS = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])


def corners(frame):
    """The box at a time in frames, which may be broken (8, 3) [m]."""
    return (1.0 + 0.1 * frame) * BOX_VERTICES + [0.02 * frame, 0.0, 0.5]


def add_mesh(stage, path, *, size=1.0, codes=range(FRAMES), faces=BOX_FACES):
    """A box with samples of its points, in units of ``size`` metres."""
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray([faces.shape[1]] * len(faces)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray(faces.ravel().tolist()))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    for frame, code in enumerate(codes):
        points = np.ascontiguousarray(corners(frame) / size, dtype=np.float32)
        mesh.CreatePointsAttr().Set(Vt.Vec3fArray.FromNumpy(points), code)
    return mesh


@pytest.fixture
def stage(tmp_path):
    """An empty stage of four frames at 30 per second, in a file."""
    stage = Usd.Stage.CreateNew(str(tmp_path / "hand.usda"))
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetTimeCodesPerSecond(30.0)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(FRAMES - 1)
    return stage


@pytest.fixture
def here(monkeypatch):
    """Files are read in this process, which these tests trust, and which is quicker."""

    def run(function, arguments, **_):
        assert function == "warpprior.bodies.readers.usd_surface:read"
        return usd_surface.read(**arguments)

    monkeypatch.setattr(animated_usd, "run_separately", run)


@pytest.fixture
def read(stage, here):
    """Save the stage and read a body from it."""

    def read(**options):
        stage.GetRootLayer().Save()
        path = stage.GetRootLayer().realPath
        return read_animated(path, "hand", **{"frame_count": FRAMES, "fps": 30.0, **options})

    return read


def test_points_without_a_camera_are_taken_as_they_are(stage, read):
    """They are in the camera frame already, whatever axis the stage calls up; quads are split."""
    add_mesh(stage, "/hand", faces=QUADS)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    body = read()
    np.testing.assert_allclose(body.animation, [corners(frame) for frame in range(FRAMES)], atol=PLACE)
    assert body.kind == "vertices" and body.closed and body.face_count == 12 and body.warnings == ()


def test_units_transforms_and_the_camera_count(stage, read):
    """Centimetres, a parent that moves, a scaled and twin_zeros child, and a camera that moves and is scaled itself."""
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    parent = UsdGeom.Xform.Define(stage, "/rig")
    move = parent.AddTranslateOp()
    for frame in range(FRAMES):
        move.Set(Gf.Vec3d(5.0 * frame, 0.0, -20.0), frame)
    mesh = add_mesh(stage, "/rig/hand", size=0.01)
    mesh.AddScaleOp().Set(Gf.Vec3f(-2.0, 1.0, 1.0))
    camera = UsdGeom.Camera.Define(stage, "/rigged/camera")
    UsdGeom.Xform.Define(stage, "/rigged").AddScaleOp().Set(Gf.Vec3f(3.0))
    camera.AddTranslateOp().Set(Gf.Vec3d(1.0, 2.0, 60.0))
    spin = camera.AddRotateYOp()
    for frame in range(FRAMES):
        spin.Set(10.0 * frame, frame)
    body = read()
    for frame in range(FRAMES):
        world = corners(frame) * [-2.0, 1.0, 1.0] + [0.05 * frame, 0.0, -0.2]
        turn = Rotation.from_euler("y", 10.0 * frame, degrees=True)
        expected = turn.inv().apply(world - [0.03, 0.06, 1.8]) * [1.0, -1.0, -1.0]
        np.testing.assert_allclose(body.animation[frame], expected, atol=PLACE)
    assert body.closed and any("turned" in warning for warning in body.warnings)


def test_frames_are_moments_of_the_stage(stage, read):
    """Frame i is i / fps seconds after the start, between samples where it must be."""
    stage.SetTimeCodesPerSecond(24.0)
    stage.SetStartTimeCode(8)
    stage.SetEndTimeCode(32)
    add_mesh(stage, "/hand", codes=(8, 16, 24, 32))
    body = read(frame_count=31, fps=30.0)
    np.testing.assert_allclose(body.animation[10], corners(1), atol=PLACE)
    np.testing.assert_allclose(body.animation[15], 0.5 * (corners(1) + corners(2)), atol=PLACE)
    np.testing.assert_allclose(body.animation[30], corners(3), atol=PLACE)
    with pytest.raises(InputError, match=r"31 frames at 30 per second \(time codes 8 to 32\); the sequence has 4"):
        read()


def test_without_a_range_the_samples_tell_the_length(stage, read):
    """A stage need not say when it starts and ends."""
    stage.GetRootLayer().pseudoRoot.ClearInfo("startTimeCode")
    stage.GetRootLayer().pseudoRoot.ClearInfo("endTimeCode")
    add_mesh(stage, "/hand", codes=range(5, 5 + FRAMES))
    np.testing.assert_allclose(read().animation[3], corners(3), atol=PLACE)


def test_the_mesh_that_bends_is_chosen_or_the_named_one(stage, read):
    """Of several meshes the only one with samples, or all below a prim; else the choice is asked for."""
    add_mesh(stage, "/scene/hand")
    mesh = add_mesh(stage, "/scene/table", codes=(Usd.TimeCode.Default(),))
    mesh.AddTranslateOp().Set(Gf.Vec3d(0.3, 0.0, 0.0))
    assert read().vertex_count == 8
    table = read(prim="/scene/table")
    np.testing.assert_allclose(
        table.animation, np.tile(corners(0) + np.array([0.3, 0.0, 0.0]), (FRAMES, 1, 1)), atol=PLACE
    )
    assert table.warnings == ("it does not move",)
    assert read(prim="/scene").vertex_count == 16
    add_mesh(stage, "/scene/other")
    with pytest.raises(InputError, match='holds 3 meshes; say which with prim = "..."'):
        read()
    with pytest.raises(InputError, match="no prim '/nothing'; its meshes are /scene/hand, /scene/table"):
        read(prim="/nothing")


def test_a_camera_must_be_chosen_among_several(stage, read):
    """Two cameras leave the frame open."""
    add_mesh(stage, "/hand")
    UsdGeom.Camera.Define(stage, "/left")
    UsdGeom.Camera.Define(stage, "/right").AddTranslateOp().Set(Gf.Vec3d(0.0, 0.0, 1.0))
    with pytest.raises(InputError, match='holds 2 cameras; say which with camera = "..."'):
        read()
    expected = (corners(2) - [0.0, 0.0, 1.0]) * [1.0, -1.0, -1.0]
    np.testing.assert_allclose(read(camera="/right").animation[2], expected, atol=PLACE)
    with pytest.raises(InputError, match="no camera '/up'; its cameras are /left, /right"):
        read(camera="/up")


def test_what_is_left_out_is_said(stage, read):
    """Subdivision and skeletons are."""
    mesh = add_mesh(stage, "/hand")
    mesh.GetSubdivisionSchemeAttr().Set(UsdGeom.Tokens.catmullClark)
    mesh.GetPrim().CreateRelationship("skel:skeleton")
    assert read().warnings[:2] == (
        "its cage is taken, without subdivision",
        "it hangs on a skeleton, which is not moved: bake its skinning into points",
    )


def spoil_counts(stage, mesh):
    """One corner too many."""
    mesh.GetFaceVertexCountsAttr().Set(Vt.IntArray([4] + [3] * 11))


def spoil_corners(stage, mesh):
    """A corner beyond the points."""
    mesh.GetFaceVertexIndicesAttr().Set(Vt.IntArray((BOX_FACES + 1).ravel().tolist()))


def change_faces(stage, mesh):
    """Faces with samples."""
    for code in (0, 1):
        mesh.GetFaceVertexIndicesAttr().Set(Vt.IntArray(BOX_FACES.ravel().tolist()), code)


def lose_points(stage, mesh):
    """Other points in the third frame."""
    mesh.GetPointsAttr().Set(Vt.Vec3fArray(7), 2)


def lose_numbers(stage, mesh):
    """A point that is no number in the second frame."""
    points = corners(1).astype(np.float32)
    points[4, 0] = np.nan
    mesh.GetPointsAttr().Set(Vt.Vec3fArray.FromNumpy(points), 1)


def flatten_camera(stage, mesh):
    """A camera without an inside."""
    UsdGeom.Camera.Define(stage, "/camera").AddScaleOp().Set(Gf.Vec3f(1.0, 0.0, 1.0))


def refer(stage, mesh):
    """Another file on a reference."""
    stage.DefinePrim("/table").GetReferences().AddReference("/etc/table.usda")


def refer_in_variant(stage, mesh):
    """Another file on a reference within a variant."""
    prim = stage.DefinePrim("/table")
    variants = prim.GetVariantSets().AddVariantSet("look")
    variants.AddVariant("far")
    variants.SetVariantSelection("far")
    with variants.GetVariantEditContext():
        prim.GetPayloads().AddPayload("../table.usda")


def stack(stage, mesh):
    """Another file below this one."""
    stage.GetRootLayer().subLayerPaths.append("../below.usda")


def clip(stage, mesh):
    """Values in clips."""
    api = Usd.ClipsAPI(mesh.GetPrim())
    api.SetClipAssetPaths([Sdf.AssetPath("../clip.usda")])
    api.SetClipPrimPath("/hand")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_counts, "12 faces of /hand do not fit its 36 corners"),
        (spoil_corners, "faces of /hand name vertex 8 of 8"),
        (change_faces, "the faces of /hand change over time"),
        (lose_points, "/hand has 7 points in frame 2 and 8 in frame 0"),
        (lose_numbers, "vertices, frame 1: vertex 4 is not finite"),
        (flatten_camera, "the transform of /camera is no place of a camera"),
        (refer, "is composed of other files: '/etc/table.usda'; .*usdcat --flatten"),
        (refer_in_variant, "is composed of other files: '../table.usda'"),
        (stack, "is composed of other files: '../below.usda'"),
        (clip, "/hand has its values in clips"),
    ],
)
def test_stages_that_do_not_fit_are_refused(stage, read, capfd, spoil, words):
    """One line that names the file and the prim; nothing but the file is opened."""
    mesh = add_mesh(stage, "/hand")
    spoil(stage, mesh)
    stage.GetRootLayer().Save()
    capfd.readouterr()
    with pytest.raises(InputError, match=words) as refusal:
        read()
    assert "hand.usda" in str(refusal.value) and "\n" not in str(refusal.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("ending", [".usda", ".usdc", ".usd"])
def test_damaged_files_are_refused(tmp_path, here, ending):
    """Empty, cut short, or something else."""
    stage = Usd.Stage.CreateNew(str(tmp_path / f"whole{ending}"))
    add_mesh(stage, "/hand")
    stage.GetRootLayer().Save()
    whole = (tmp_path / f"whole{ending}").read_bytes()
    for data in (b"", whole[: len(whole) // 2], b"#usda 2.0", b"PK" + bytes(200)):
        path = tmp_path / f"hand{ending}"
        path.write_bytes(data)
        with pytest.raises(InputError, match="hand") as refusal:
            read_animated(path, "hand", frame_count=FRAMES)
        assert "\n" not in str(refusal.value) and "Error in" not in str(refusal.value)
    with pytest.raises(InputError, match="is not a file"):
        read_animated(tmp_path / f"none{ending}", "hand", frame_count=FRAMES)


@pytest.mark.parametrize("ending", [".usda", ".usdc"])
def test_exported_stages_are_read_back(tmp_path, ending):
    """What bends, what is carried and what hangs together by links: all are where they were in the camera frame."""
    arm = make_arm(bends=True)
    scene = make_scene(arm=arm)
    path = tmp_path / f"scene{ending}"
    export_usd(scene, {body.name: body.truth for body in scene.bodies}, path)
    truth = posed_vertices(arm, scene.body("arm").truth)
    body = read_animated(path, "arm", frame_count=5, fps=scene.fps)
    np.testing.assert_allclose(body.animation, truth, atol=PLACE)
    box = read_animated(path, "box", frame_count=5, fps=scene.fps, prim="/World/box")
    expected = posed_vertices(scene.body("box").body, make_box_poses())
    np.testing.assert_allclose(box.animation, expected, atol=PLACE)


def test_without_openusd_it_is_asked_for(monkeypatch, read, stage):
    """The extra is named."""
    add_mesh(stage, "/hand")
    read()
    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(MissingExtraError, match="reading USD files"):
        read_animated(stage.GetRootLayer().realPath, "hand", frame_count=FRAMES)


def fall(stage, mesh):
    """More levels than anybody needs."""
    stage.DefinePrim("/a" * (usd_layers.MOST_LEVELS + 1))


def crowd(stage, mesh):
    """Instances of instances: a billion in a small file, were they counted to the end."""
    for level in range(9):
        stage.CreateClassPrim(f"/_level{level}")
        for number in range(10):
            child = stage.DefinePrim(f"/_level{level}/child{number}")
            if level:
                child.GetReferences().AddInternalReference(f"/_level{level - 1}")
                child.SetInstanceable(True)
    stage.DefinePrim("/crowd").GetReferences().AddInternalReference("/_level8")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (fall, f"its prims are nested {usd_layers.MOST_LEVELS + 1} deep; at most {usd_layers.MOST_LEVELS} levels"),
        (crowd, f"holds more than {usd_layers.MOST_PRIMS} prims in its instances"),
    ],
)
def test_what_is_too_much_is_counted_before_it_is_read(stage, read, spoil, words):
    """Levels of the file, and instances of instances."""
    spoil(stage, add_mesh(stage, "/hand"))
    with pytest.raises(InputError, match=words):
        read()
