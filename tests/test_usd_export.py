"""USD export: what is written is where the bodies are, whole, valid, and checked."""

import itertools
import math
import os
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from result_samples import CAMERA, make_arm, make_arm_poses, make_box, make_box_poses, make_contacts, make_scene
from scipy.spatial.transform import Rotation

from warpprior.bodies import posed_vertices, rigid_body
from warpprior.scene import Poses, SceneBody
from warpprior.support.errors import InputError, MissingExtraError, RunError
from warpprior.usd import check_stage, export_usd, prim_name
from warpprior.usd.camera import WORLD_FROM_CAMERA
from warpprior.usd.heat import SPREAD

pytest.importorskip("pxr", reason="OpenUSD is not installed")
from pxr import Gf, Kind, Sdf, Usd, UsdGeom, UsdPhysics, UsdShade

PLACE = 2.0e-6  # single precision at a few metres [m]


@pytest.fixture
def arm():
    """An arm whose vertices each follow one link."""
    return make_arm()


@pytest.fixture
def stage_path(tmp_path, arm):
    """A stage with a box, an arm and contacts."""
    path = tmp_path / "scene.usdc"
    scene = make_scene(arm=arm)
    export_usd(scene, truths(scene), path, contacts=[make_contacts()])
    return path


def truths(scene):
    """The true motion of every body."""
    return {body.name: body.truth for body in scene.bodies}


def is_shown(prim):
    """A mesh that renderers draw: no collider."""
    return prim.IsA(UsdGeom.Mesh) and UsdGeom.Imageable(prim).ComputePurpose() != UsdGeom.Tokens.guide


def world_points(stage, prim, frame):
    """Points of a mesh in the world (vertex, 3)."""
    mesh = UsdGeom.Mesh(prim)
    matrix = np.array(UsdGeom.XformCache(frame).GetLocalToWorldTransform(prim))
    points = np.asarray(mesh.GetPointsAttr().Get(frame), dtype=np.float64)
    return points @ matrix[:3, :3] + matrix[3, :3]


def expected_points(body, poses):
    """Where the surface is in the world (frame, vertex, 3), by the shortest way."""
    turn = Rotation.from_quat(WORLD_FROM_CAMERA[3:]).as_matrix()
    return posed_vertices(body, poses).astype(np.float64) @ turn.T + WORLD_FROM_CAMERA[:3]


def test_rigid_body_is_where_it_should_be(stage_path):
    """The box's mesh under its Xform is at the posed vertices in the world, at every frame."""
    stage = Usd.Stage.Open(str(stage_path))
    expected = expected_points(make_box(), make_box_poses())
    for frame in range(5):
        found = world_points(stage, stage.GetPrimAtPath("/World/box/box"), frame)
        np.testing.assert_allclose(found[:8], expected[frame], atol=PLACE)


def test_carried_links_are_where_they_should_be(tmp_path, arm):
    """An arm becomes Xforms per link over static meshes that add up to the posed surface, at scale 1.1."""
    scene = make_scene(arm=arm)
    export_usd(scene, truths(scene), tmp_path / "a.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    meshes = [prim for prim in Usd.PrimRange(stage.GetPrimAtPath("/World/arm")) if is_shown(prim)]
    assert len(meshes) > 3
    assert not any(UsdGeom.Mesh(prim).GetPointsAttr().GetTimeSamples() for prim in meshes)
    surface = expected_points(arm, make_arm_poses(arm))
    drawn = np.unique(arm.faces)
    for frame in range(5):
        found = np.concatenate([world_points(stage, prim, frame) for prim in meshes])
        expected = surface[frame, drawn]
        nearest = np.linalg.norm(found[:, None] - expected, axis=2)
        assert len(found) == len(expected)
        assert max(nearest.min(axis=0).max(), nearest.min(axis=1).max()) < PLACE


def test_bending_surface_becomes_points(tmp_path):
    """A surface of mixed weights is written as points at every frame, with fitting extents and unit normals."""
    body = make_arm(bends=True)
    scene = make_scene(arm=body)
    path = tmp_path / "scene.usdc"
    export_usd(scene, truths(scene), path)
    stage = Usd.Stage.Open(str(path))
    mesh = UsdGeom.Mesh.Get(stage, "/World/arm/arm")
    expected = expected_points(body, make_arm_poses(body))
    assert mesh.GetPointsAttr().GetTimeSamples() == [0, 1, 2, 3, 4]
    for frame in range(5):
        np.testing.assert_allclose(world_points(stage, mesh.GetPrim(), frame), expected[frame], atol=PLACE)
        np.testing.assert_allclose(np.linalg.norm(mesh.GetNormalsAttr().Get(frame), axis=1), 1.0, atol=1e-5)
    assert check_stage(path) == []


def test_faces_across_links_become_points(tmp_path, arm):
    """A face whose corners follow different links deforms, whatever its weights."""
    links = arm.skin_links[:, 0]
    across = [[int(np.flatnonzero(links == link)[0]) for link in np.unique(links)[:3]]]
    body = replace(arm, faces=np.concatenate([arm.faces, across]).astype(np.int32))
    scene = make_scene(arm=body)
    export_usd(scene, truths(scene), tmp_path / "scene.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "scene.usdc"))
    assert len(UsdGeom.Mesh.Get(stage, "/World/arm/arm").GetPointsAttr().GetTimeSamples()) == 5


def test_camera_sees_what_the_scene_camera_sees(stage_path):
    """USD's own frustum projects world points to the pixels of the pinhole camera, off-centre and with fx != fy."""
    stage = Usd.Stage.Open(str(stage_path))
    prim = stage.GetPrimAtPath("/World/Camera")
    frustum = UsdGeom.Camera(prim).GetCamera(0).frustum
    matrix = frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix()
    rng = np.random.default_rng(0)
    for x, y, z in rng.uniform((-0.3, -0.2, 0.4), (0.3, 0.2, 1.5), (50, 3)):
        world = Rotation.from_quat(WORLD_FROM_CAMERA[3:]).apply([x, y, z]) + WORLD_FROM_CAMERA[:3]
        ndc = matrix.Transform(Gf.Vec3d(*world.tolist()))
        pixel = np.array([(ndc[0] + 1) / 2 * CAMERA.width, (1 - ndc[1]) / 2 * CAMERA.height])
        np.testing.assert_allclose(pixel, [CAMERA.fx * x / z + CAMERA.cx, CAMERA.fy * y / z + CAMERA.cy], atol=1e-3)
    assert "OmniLensDistortionOpenCvPinholeAPI" in prim.GetMetadata("apiSchemas").GetAppliedItems()
    assert prim.GetAttribute("omni:lensdistortion:opencvPinhole:cx").Get() == pytest.approx(CAMERA.cx)
    assert np.array(prim.GetCustomDataByKey("warpprior:K"))[1, 2] == CAMERA.cy


def test_world_is_upright():
    """Image-up is world-up, and the camera looks along +Y with +X to its right."""
    turn = Rotation.from_quat(WORLD_FROM_CAMERA[3:])
    up, ahead, right = turn.apply([[0, -1, 0], [0, 0, 1], [1, 0, 0]])
    np.testing.assert_allclose([up, ahead, right], [[0, 0, 1], [0, 1, 0], [1, 0, 0]], atol=1e-12)


def test_stage_metadata(tmp_path):
    """Z up, metres, kilograms, the video's rate, frames as time codes, default prim, kinds, and where it came from."""
    scene = make_scene()
    export_usd(scene, truths(scene), tmp_path / "a.usda", metadata={"seed": 7})
    stage = Usd.Stage.Open(str(tmp_path / "a.usda"))
    assert UsdGeom.GetStageUpAxis(stage) == "Z" and UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert UsdPhysics.GetStageKilogramsPerUnit(stage) == 1.0
    assert (stage.GetTimeCodesPerSecond(), stage.GetFramesPerSecond()) == (30.0, 30.0)
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0.0, 4.0)
    assert stage.GetDefaultPrim().GetPath() == "/World"
    assert Usd.ModelAPI(stage.GetDefaultPrim()).GetKind() == Kind.Tokens.assembly
    assert Usd.ModelAPI(stage.GetPrimAtPath("/World/box")).GetKind() == Kind.Tokens.component
    about = stage.GetRootLayer().customLayerData["warpprior"]
    assert about["seed"] == 7 and about["scene"] == "sample" and about["version"]


def test_first_frame_is_the_default(stage_path):
    """Readers that ask for no time, as physics engines do, find each body where it starts."""
    stage = Usd.Stage.Open(str(stage_path))
    sampled = [
        attribute
        for prim in stage.Traverse()
        for attribute in prim.GetAuthoredAttributes()
        if attribute.GetNumTimeSamples() > 0
    ]
    assert {attribute.GetName() for attribute in sampled} >= {"xformOp:translate", "xformOp:orient"}
    assert all(attribute.Get() == attribute.Get(0) for attribute in sampled)


def test_still_motion_has_no_samples(tmp_path):
    """A body that does not move is written once."""
    still = make_box_poses(1)
    poses = Poses(np.tile(still.position, (5, 1)), np.tile(still.rotation, (5, 1)), np.zeros((5, 0)))
    scene = make_scene()
    export_usd(scene, {"box": poses}, tmp_path / "a.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    prim = stage.GetPrimAtPath("/World/box")
    assert all(attribute.GetNumTimeSamples() == 0 for attribute in prim.GetAuthoredAttributes())


def test_quaternions_do_not_jump(tmp_path):
    """Equal rotations of opposite sign in the input come out as neighbours."""
    poses = make_box_poses()
    flipped = replace(poses, rotation=poses.rotation * np.array([1, -1, 1, -1, 1])[:, None])
    scene = make_scene()
    export_usd(scene, {"box": flipped}, tmp_path / "a.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    orient = stage.GetPrimAtPath("/World/box").GetAttribute("xformOp:orient")
    values = [orient.Get(frame) for frame in range(5)]
    assert all(Gf.Dot(a, b) > 0.0 for a, b in itertools.pairwise(values))


def test_heat_reaches_both_bodies_and_the_colour(stage_path):
    """A contact warms the near vertices of the box in its frames only, and turns them red."""
    stage = Usd.Stage.Open(str(stage_path))
    mesh = stage.GetPrimAtPath("/World/box/box")
    contact = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("contact")
    color = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("displayColor")
    assert contact.GetTimeSamples() == color.GetTimeSamples() == [0, 1, 2, 3, 4]
    assert contact.GetInterpolation() == UsdGeom.Tokens.vertex
    assert not np.any(contact.ComputeFlattened(0))
    points = np.asarray(UsdGeom.Mesh(mesh).GetPointsAttr().Get())
    for frame in range(1, 5):
        heat, red = np.asarray(contact.ComputeFlattened(frame)), np.asarray(color.ComputeFlattened(frame))[:, 0]
        near = np.linalg.norm(points - [0.04, 0.0, 0.0], axis=1) < SPREAD
        assert heat[near].min() > 0.3 and red[near].min() > red[~near].max() - 0.3
        assert not np.any(heat[np.linalg.norm(points - [0.04, 0.0, 0.0], axis=1) > 3.0 * SPREAD])


def test_given_heat_goes_first(tmp_path):
    """Heat handed over as numbers replaces what contacts would give, and is stored as it is."""
    scene = make_scene(arm=make_arm())
    heat = np.tile(np.linspace(0.0, 1.0, 8), (5, 1))
    export_usd(scene, truths(scene), tmp_path / "a.usdc", contacts=[make_contacts()], heat={"box": heat})
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    mesh = stage.GetPrimAtPath("/World/box/box")
    stored = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("contact").Get(2)
    np.testing.assert_allclose(stored, heat[2], atol=0.5 / 255 + 1e-6)
    red, green, _ = np.asarray(UsdGeom.PrimvarsAPI(mesh).GetPrimvar("displayColor").ComputeFlattened(2))[-1]
    assert red > 0.5 and green < 0.01


def test_material_follows_display_color(stage_path):
    """The bound surface shader reads displayColor through a primvar reader."""
    stage = Usd.Stage.Open(str(stage_path))
    material, _ = UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/World/box/box")).ComputeBoundMaterial()
    surface = material.ComputeSurfaceSource()[0]
    source = surface.GetInput("diffuseColor").GetConnectedSources()[0][0].source
    reader = UsdShade.Shader(source.GetPrim())
    assert surface.GetIdAttr().Get() == "UsdPreviewSurface"
    assert (reader.GetIdAttr().Get(), reader.GetInput("varname").Get()) == ("UsdPrimvarReader_float3", "displayColor")


def test_vertex_colours_are_kept(tmp_path):
    """A body with vertex colours shows them, converted to linear values."""
    colors = np.linspace(0.0, 1.0, 24).reshape(8, 3)
    box = make_box()
    body = rigid_body("box", box.vertices, box.faces, colors=colors)
    scene = replace(make_scene(), bodies=(SceneBody(body, 1, False, make_box_poses()),))
    export_usd(scene, {"box": make_box_poses()}, tmp_path / "a.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    mesh = stage.GetPrimAtPath("/World/box/box")
    stored = np.asarray(UsdGeom.PrimvarsAPI(mesh).GetPrimvar("displayColor").ComputeFlattened())
    np.testing.assert_allclose(stored, colors**2.2, atol=0.03)


@pytest.mark.parametrize("frames", [1, 2])
def test_short_sequences(tmp_path, frames):
    """One and two frames export and check."""
    scene = make_scene(frames, arm=make_arm(bends=True))
    export_usd(scene, truths(scene), tmp_path / "a.usdc", contacts=[make_contacts(frames)])
    assert check_stage(tmp_path / "a.usdc") == []


def test_universal_scene_description_validates(stage_path):
    """Every validator that comes with OpenUSD passes."""
    validation = pytest.importorskip("pxr.UsdValidation", reason="this OpenUSD has no validators")
    if Usd.GetVersion() < (0, 26, 3):
        pytest.skip("validators of OpenUSD before 26.3 do not load")
    validators = validation.ValidationRegistry().GetOrLoadAllValidators()
    errors = validation.ValidationContext(validators).Validate(Usd.Stage.Open(str(stage_path)))
    assert [f"{error.GetName()}: {error.GetMessage()}" for error in errors] == []


@pytest.mark.parametrize("bends", [False, True])
def test_nvidia_validation_passes(tmp_path, bends):
    """NVIDIA's validator finds no failure and no error; surfaces of random triangles are another matter."""
    nvidia = pytest.importorskip("usd_validation_nvidia", reason="usd-validation-nvidia is not installed")
    scene = make_scene(arm=make_arm(bends=bends))
    export_usd(scene, truths(scene), tmp_path / "a.usdc", contacts=[make_contacts()])
    issues = nvidia.ValidationEngine().validate(str(tmp_path / "a.usdc")).issues()
    grave = [f"{issue.rule}: {issue.message}" for issue in issues if issue.severity.name != "WARNING"]
    assert grave == []


def test_robot_and_bottle_export(tmp_path, shared_data):
    """A real robot hand becomes link Xforms over static meshes and passes every check."""
    from warpprior.io import load_scene

    scene = load_scene(shared_data / "allegro_mustard", num_frames=3)
    poses = {body.name: body.initial for body in scene.bodies}
    export_usd(scene, poses, tmp_path / "a.usdc")
    assert check_stage(tmp_path / "a.usdc") == []
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    meshes = [UsdGeom.Mesh(prim) for prim in stage.Traverse() if is_shown(prim)]
    assert len(meshes) > 15 and all(mesh.GetPointsAttr().GetNumTimeSamples() == 0 for mesh in meshes)
    assert sum(len(mesh.GetPointsAttr().Get()) for mesh in meshes) <= sum(b.body.vertex_count for b in scene.bodies)


# Names


@given(st.text(alphabet="_xX2Ee.C手0", max_size=8), st.text(alphabet="_xX2Ee.C手0", max_size=8))
def test_prim_names_are_injective(first, second):
    """Different texts get different names, the treacherous ones that look like escapes too."""
    assert (prim_name(first) == prim_name(second)) == (first == second)


def test_prim_names_are_injective_exhaustively():
    """All short texts over the characters of an escape get names of their own."""
    texts = ["".join(letters) for length in range(6) for letters in itertools.product("_x2E.", repeat=length)]
    assert len({prim_name(text) for text in texts}) == len(texts)


@given(st.text(max_size=20))
def test_prim_names_are_identifiers(text):
    """Any text whatever gives a valid ASCII identifier."""
    name = prim_name(text)
    assert name.isascii() and Sdf.Path.IsValidIdentifier(name)


def test_treacherous_names_export(tmp_path):
    """Names of our own prims, digits first, scripts of equal length: all become bodies and show their own name."""
    names = ("Camera", "Looks", "3 cups", "手", "杯", "a.b", "a_b", "a/b")
    bodies = tuple(SceneBody(replace(make_box(), name=n), i, False, make_box_poses()) for i, n in enumerate(names, 1))
    scene = replace(make_scene(), bodies=bodies)
    export_usd(scene, {name: make_box_poses() for name in names}, tmp_path / "a.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    shown = [prim.GetDisplayName() for prim in stage.GetDefaultPrim().GetChildren() if prim.GetDisplayName()]
    assert sorted(shown) == sorted(names)
    assert stage.GetPrimAtPath("/World/Camera").IsA(UsdGeom.Camera)
    assert check_stage(tmp_path / "a.usdc") == []


# Bad input


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda poses: replace(poses, position=np.insert(poses.position[:4], 3, np.nan, axis=0)), "frame 3"),
        (lambda poses: replace(poses, rotation=poses.rotation * (np.arange(5) != 2)[:, None]), "frame 2"),
        (lambda poses: replace(poses, scale=math.inf), "scale"),
        (lambda poses: poses.frames(slice(0, 4)), "4 frames"),
    ],
    ids=["nan", "zero quaternion", "scale", "frames"],
)
def test_bad_poses_are_refused(tmp_path, change, words):
    """Nothing is written; the message names body, field and frame."""
    with pytest.raises(InputError, match=words) as caught:
        export_usd(make_scene(), {"box": change(make_box_poses())}, tmp_path / "a.usdc")
    assert "box" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_bad_arguments_are_refused(tmp_path):
    """A missing body, an unknown file ending and heat of the wrong shape or body are named."""
    scene, poses = make_scene(), truths(make_scene())
    with pytest.raises(InputError, match="box"):
        export_usd(scene, {}, tmp_path / "a.usdc")
    with pytest.raises(InputError, match="usdx"):
        export_usd(scene, poses, tmp_path / "a.usdx")
    for heat in ({"box": np.zeros((5, 7))}, {"cup": np.zeros((5, 8))}, {"box": np.full((5, 8), np.nan)}):
        with pytest.raises(InputError, match="heat"):
            export_usd(scene, poses, tmp_path / "a.usdc", heat=heat)


def test_missing_openusd_is_named(tmp_path, monkeypatch):
    """Without pxr the message says what to install."""
    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(MissingExtraError, match=r"warpprior\[usd\]"):
        export_usd(make_scene(), truths(make_scene()), tmp_path / "a.usdc")
    with pytest.raises(MissingExtraError, match=r"warpprior\[usd\]"):
        check_stage(tmp_path / "a.usdc")


def test_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    """When writing fails the old file stays as it was and nothing is left beside it."""
    path = tmp_path / "a.usdc"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(RunError, match="No space left"):
        export_usd(make_scene(), truths(make_scene()), path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a b.usdc", "手 ü.usdc", "line\nbreak.usdc", "x" * 240 + ".usdc", "UPPER.USDC"])
def test_odd_paths(tmp_path, name):
    """Spaces, scripts, line breaks, long names and capital endings all work, and folders are made."""
    path = tmp_path / "new folder é" / name
    scene = make_scene(2)
    export_usd(scene, truths(scene), path)
    assert path.read_bytes().startswith(b"PXR-USDC") and list(path.parent.iterdir()) == [path]


# Checks


def _spoil_points(stage):
    points = UsdGeom.Mesh.Get(stage, "/World/box/box").GetPointsAttr()
    values = np.array(points.Get())
    values[3, 1] = np.nan
    points.Set(values)


def _spoil_primvar(stage):
    attribute = stage.GetPrimAtPath("/World/box/box").GetAttribute("primvars:displayColor:indices")
    attribute.Set(np.zeros(7, np.int32), 2)


def _spoil_palette(stage):
    attribute = stage.GetPrimAtPath("/World/box/box").GetAttribute("primvars:displayColor")
    attribute.Set(np.zeros((1, 3), np.float32), 1)


def _spoil_defaults(stage):
    attribute = stage.GetPrimAtPath("/World/box").GetAttribute("xformOp:translate")
    attribute.ClearDefault()


def _spoil_quaternion(stage):
    stage.GetPrimAtPath("/World/box").GetAttribute("xformOp:orient").Set(Gf.Quatf(0, 0, 0, 0), 1)


def _spoil_index(stage):
    indices = UsdGeom.Mesh.Get(stage, "/World/box/box").GetFaceVertexIndicesAttr()
    indices.Set([100_000, *list(indices.Get())[1:]])


def _spoil_counts(stage):
    UsdGeom.Mesh.Get(stage, "/World/box/box").GetFaceVertexCountsAttr().Set([3] * 11)


def _spoil_extent(stage):
    UsdGeom.Mesh.Get(stage, "/World/box/box").GetExtentAttr().Set([(0, 0, 0), (1, 1, 1)])


def _spoil_normals(stage):
    UsdGeom.Mesh.Get(stage, "/World/box/box").GetNormalsAttr().Set([(0, 0, 1)] * 5)


def _spoil_time(stage):
    stage.SetEndTimeCode(3)


def _spoil_axis(stage):
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)


def _spoil_unit(stage):
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)


def _spoil_default(stage):
    stage.ClearDefaultPrim()


def _spoil_rate(stage):
    stage.SetFramesPerSecond(24)


def _spoil_heat(stage):
    attribute = stage.GetPrimAtPath("/World/box/box").GetAttribute("primvars:contact")
    attribute.Set([math.inf] * len(attribute.Get()), 4)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (_spoil_points, "points"),
        (_spoil_primvar, "primvars:displayColor:indices at 2"),
        (_spoil_palette, "primvars:displayColor:indices at 4"),
        (_spoil_defaults, "xformOp:translate"),
        (_spoil_quaternion, "xformOp:orient at 1"),
        (_spoil_index, "faceVertexIndices"),
        (_spoil_counts, "faceVertexCounts"),
        (_spoil_extent, "extent"),
        (_spoil_normals, "normals"),
        (_spoil_time, "xformOp:orient"),
        (_spoil_axis, "upAxis"),
        (_spoil_unit, "metersPerUnit"),
        (_spoil_default, "defaultPrim"),
        (_spoil_rate, "timeCodesPerSecond"),
        (_spoil_heat, "primvars:contact at 4"),
    ],
    ids=lambda value: value.__name__[7:] if callable(value) else "",
)
def test_check_finds(stage_path, spoil, what):
    """Every way to spoil a sound stage is found, at the place where it is."""
    assert check_stage(stage_path) == []
    stage = Usd.Stage.Open(str(stage_path))
    spoil(stage)
    stage.Save()
    assert what in [finding.what for finding in check_stage(stage_path)]


def test_check_refuses_what_is_no_stage(tmp_path):
    """A file that is no stage, or none at all, is an error with its path."""
    (tmp_path / "a.usdc").write_bytes(b"PXR-USDC and then nothing")
    for name in ("a.usdc", "missing.usda"):
        with pytest.raises(InputError, match=name):
            check_stage(tmp_path / name)
