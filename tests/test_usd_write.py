"""Writing into stages of others: where it lands, in whose units and times, and that nothing else changes."""

import numpy as np
import pytest
from result_samples import make_arm, make_box, make_box_poses, make_contacts, make_scene
from scipy.spatial.transform import Rotation
from stage_samples import make_gripper_scene, make_hand_scene

from warpprior.bodies import posed_vertices
from warpprior.support.errors import InputError
from warpprior.usd import StageOptions, Take, check_stage, export_takes, export_usd, write
from warpprior.usd.camera import WORLD_FROM_CAMERA
from warpprior.usd.units import OF_SLIDES, POWERS, Conversion, convert

pytest.importorskip("pxr", reason="OpenUSD is not installed")
from pxr import Sdf, Usd, UsdGeom, UsdPhysics, UsdShade

LYING = Rotation.from_rotvec([-np.pi / 2, 0.0, 0.0])  # Y up from Z up


def make_stage(up="Z", unit=1.0, rate=30.0, span=(0.0, 100.0)):
    """A stage with a default prim and a cube of its own."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, unit)
    stage.SetTimeCodesPerSecond(rate)
    stage.SetFramesPerSecond(rate)
    if span is not None:
        stage.SetStartTimeCode(span[0])
        stage.SetEndTimeCode(span[1])
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, "/Room").GetPrim())
    UsdGeom.Cube.Define(stage, "/Room/Cube")
    return stage


def make_take(**bodies):
    """A box in motion and what else is asked for, with contacts."""
    scene = make_scene(**bodies)
    return Take(scene, {body.name: body.truth for body in scene.bodies}, [make_contacts()])


def text(layer):
    """All of a layer."""
    return layer.ExportToString()


def box_in_world(stage, root, code):
    """The box's corners in the stage's world at a time code [m]."""
    prim = stage.GetPrimAtPath(f"{root}/box/box")
    matrix = np.array(UsdGeom.XformCache(code).GetLocalToWorldTransform(prim))
    points = np.asarray(UsdGeom.Mesh(prim).GetPointsAttr().Get(code), dtype=np.float64)[:8]
    return UsdGeom.GetStageMetersPerUnit(stage) * (points @ matrix[:3, :3] + matrix[3, :3])


def expected_box(up):
    """Likewise, by the shortest way (frame, corner, 3) [m]."""
    turn = Rotation.from_quat(WORLD_FROM_CAMERA[3:]).as_matrix()
    world = posed_vertices(make_box(), make_box_poses()).astype(np.float64) @ turn.T + WORLD_FROM_CAMERA[:3]
    return world if up == "Z" else world @ LYING.as_matrix().T


@pytest.mark.parametrize(
    ("up", "unit", "rate", "start"),
    [("Z", 1.0, 30.0, 0.0), ("Y", 0.01, 24.0, 1.0), ("Y", 1.0, 60.0, -3.5), ("Z", 0.001, 30.0, 1001.0)],
)
def test_it_is_where_it_should_be_in_any_units(up, unit, rate, start):
    """Places in metres are the same whatever the stage's axis, unit, rate and first time code; metadata stays."""
    stage = make_stage(up, unit, rate, (start, start + 100.0))
    before = {key: stage.GetMetadata(key) for key in ("upAxis", "metersPerUnit", "timeCodesPerSecond", "defaultPrim")}
    written = write(stage, make_take(arm=make_arm()))
    assert written.path == "/Room/sample" and written.notes == ()
    assert (written.first_code, written.last_code) == (start, pytest.approx(start + 4 * rate / 30.0))
    for frame, expected in enumerate(expected_box(up)):
        found = box_in_world(stage, written.path, start + frame * rate / 30.0)
        np.testing.assert_allclose(found, expected, atol=3.0e-6)
    assert before == {key: stage.GetMetadata(key) for key in before}
    assert not stage.HasAuthoredMetadata("kilogramsPerUnit") and "warpprior" not in stage.GetRootLayer().customLayerData
    assert [str(prim.GetPath()) for prim in stage.GetPseudoRoot().GetChildren()] == ["/Room"]
    material = UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/Room/sample/box/box")).ComputeBoundMaterial()[0]
    assert material.GetPath() == "/Room/sample/Looks/box"


def test_camera_sees_the_same_in_centimetres_and_y_up():
    """The pixel of a place does not depend on the stage's units."""
    pixels = []
    for stage in (make_stage(), make_stage("Y", 0.01)):
        written = write(stage, make_take())
        corners = box_in_world(stage, written.path, 2.0) / UsdGeom.GetStageMetersPerUnit(stage)
        camera = UsdGeom.Camera(stage.GetPrimAtPath(f"{written.path}/Camera"))
        frustum = camera.GetCamera(2.0).frustum
        matrix = np.array(frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix())
        clip = np.c_[corners, np.ones(8)] @ matrix
        pixels.append(clip[:, :2] / clip[:, 3:])
    np.testing.assert_allclose(pixels[0], pixels[1], atol=1e-5)
    assert camera.GetHorizontalApertureAttr().Get() == pytest.approx(20.955)


def test_mass_and_joints_in_grams_and_centimetres(tmp_path):
    """Mass, inertia, drives, limits and joint frames say the same of a robot in other units."""
    scene, poses = make_gripper_scene(tmp_path)
    options, found = StageOptions(robot="articulation"), []
    for unit, kilograms in ((1.0, 1.0), (0.01, 0.001)):
        stage = make_stage(unit=unit)
        UsdPhysics.SetStageKilogramsPerUnit(stage, kilograms)
        root = write(stage, Take(scene, poses), options=options).path
        prims = {str(prim.GetPath()).removeprefix(root): prim for prim in Usd.PrimRange(stage.GetPrimAtPath(root))}
        values = {}
        for path, prim in prims.items():
            slides = prim.IsA(UsdPhysics.PrismaticJoint)
            for attribute in prim.GetAuthoredAttributes():
                length, mass = (OF_SLIDES if slides else {}).get(attribute.GetName()) or POWERS.get(
                    attribute.GetName(), (0, 0)
                )
                value = attribute.Get()
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    values[f"{path}.{attribute.GetName()}"] = value * unit**length * kilograms**mass
        found.append(values)
        mass = UsdPhysics.MassAPI(prims["/gripper/base"])
        assert mass.GetMassAttr().Get() * kilograms == pytest.approx(1000 * 0.08 * 0.08 * 0.03, rel=1e-3)
        inertia = np.sort(np.array(mass.GetDiagonalInertiaAttr().Get()) * kilograms * unit**2)
        expected = 0.192 / 12 * np.sort([0.08**2 + 0.03**2, 0.08**2 + 0.03**2, 2 * 0.08**2])
        np.testing.assert_allclose(inertia, expected, rtol=1e-3)
        reach = UsdPhysics.PrismaticJoint(prims["/gripper/Joints/reach"])
        assert reach.GetUpperLimitAttr().Get() * unit == pytest.approx(0.1)
        bend = UsdPhysics.RevoluteJoint(prims["/gripper/Joints/bend"])
        assert bend.GetUpperLimitAttr().Get() == pytest.approx(np.degrees(1.2))
    assert found[0].keys() == found[1].keys() and len(found[0]) > 20
    for name, value in found[0].items():
        assert found[1][name] == pytest.approx(value, rel=1e-5, abs=1e-9), name


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("PhysicsPrismaticJoint", {"damping": 1e3, "friction": 1e5, "velocityLimit": 1e2}),
        ("PhysicsRevoluteJoint", {"damping": 1e7, "friction": 1e7, "velocityLimit": 1.0}),
    ],
)
def test_brakes_of_joints_in_grams_and_centimetres(kind, expected):
    """Slides have forces and lengths per second where hinges have torques and degrees."""
    layer = Sdf.Layer.CreateAnonymous()
    joint = Sdf.CreatePrimInLayer(layer, "/joint")
    joint.typeName = kind
    for name in (*expected, "maxJointVelocity"):
        prefix = "newton" if name in expected else "physxJoint"
        Sdf.AttributeSpec(joint, f"{prefix}:{name}", Sdf.ValueTypeNames.Float).default = 1.0
    convert(layer, Conversion(per_metre=100.0, per_kilogram=1000.0))
    for name, value in expected.items():
        assert joint.attributes[f"newton:{name}"].default == pytest.approx(value)
    assert joint.attributes["physxJoint:maxJointVelocity"].default == pytest.approx(expected["velocityLimit"])


def test_every_attribute_with_a_unit_of_length_is_known(tmp_path):
    """Of a robot, a hand and contacts: attributes whose numbers are converted, and those known to need none."""
    plain = ("normals", "primvars:", "xformOp:orient", "omni:", "puts:", "physics:localRot", "physics:principalAxes")
    plain += ("physics:staticFriction", "physics:dynamicFriction", "physics:restitution", "state:angular", "newton:")
    plain += ("drive:angular:physics:targetPosition", "physics:lowerLimit", "physics:upperLimit")
    gripper = Take(*make_gripper_scene(tmp_path))
    for take in (gripper, Take(*make_hand_scene(covariance=True)), make_take(arm=make_arm(bends=True))):
        stage = make_stage()
        written = write(stage, take, options=StageOptions(robot="articulation"))
        for prim in Usd.PrimRange(stage.GetPrimAtPath(written.path)):
            for attribute in prim.GetAuthoredAttributes():
                name, kind = attribute.GetName(), str(attribute.GetTypeName())
                if any(word in kind for word in ("float", "double", "3f", "point", "vector", "matrix", "quat")):
                    known = name in POWERS or name.removeprefix("in").removeprefix("out").startswith(plain)
                    assert known, f"{prim.GetPath()}.{name}: convert it, or say here that it has no unit"


def test_only_the_layer_that_was_named_changes(tmp_path):
    """The root and other sublayers stay as they are, byte by byte."""
    root, weak, results = (Sdf.Layer.CreateNew(str(tmp_path / f"{name}.usda")) for name in ("root", "weak", "results"))
    root.subLayerPaths[:] = ["./results.usda", "./weak.usda"]
    root.timeCodesPerSecond = weak.timeCodesPerSecond = 30.0
    results.timeCodesPerSecond = 60.0
    Sdf.CreatePrimInLayer(weak, "/World").specifier = Sdf.SpecifierDef
    stage = Usd.Stage.Open(root)
    before = [text(layer) for layer in (root, weak)]
    written = write(stage, make_take(), prim="/World/takes/first", layer=results)
    assert [text(layer) for layer in (root, weak)] == before
    assert written.layer == results and results.GetPrimAtPath("/World/takes/first")
    assert results.GetPrimAtPath("/World").specifier == Sdf.SpecifierOver
    assert stage.GetPrimAtPath("/World/takes").GetTypeName() == "Xform"
    for frame, expected in enumerate(expected_box("Y")):  # the stage says no up axis
        scale = UsdGeom.GetStageMetersPerUnit(stage)
        assert scale == 0.01
        np.testing.assert_allclose(box_in_world(stage, written.path, frame), expected, atol=3.0e-6)
    assert stage.GetPrimAtPath("/World/takes/first/box").GetAttribute("xformOp:translate").GetTimeSamples() == [
        *range(5)
    ]
    assert results.ListTimeSamplesForPath("/World/takes/first/box.xformOp:translate") == [0, 2, 4, 6, 8]
    assert "upAxis Y, metersPerUnit 0.01" in written.notes[0] and "no time range" in written.notes[1]


def test_edit_target_is_respected():
    """In a sublayer with an offset, and in a variant, samples and targets land right."""
    stage, sub = make_stage(), Sdf.Layer.CreateAnonymous("sub.usda")
    sub.timeCodesPerSecond = 30.0
    stage.GetRootLayer().subLayerPaths.append(sub.identifier)
    stage.GetRootLayer().subLayerOffsets[0] = Sdf.LayerOffset(10.0, 2.0)
    before = text(stage.GetRootLayer())
    with Usd.EditContext(stage, stage.GetEditTargetForLocalLayer(sub)):
        written = export_usd(make_take().scene, make_take().poses, stage)
    assert text(stage.GetRootLayer()) == before and written.layer == sub
    np.testing.assert_allclose(box_in_world(stage, written.path, 3.0), expected_box("Z")[3], atol=3.0e-6)

    variants = stage.GetPrimAtPath("/Room").GetVariantSets().AddVariantSet("look")
    variants.AddVariant("a")
    with pytest.raises(InputError, match="there already"):
        write(stage, make_take())
    variants.SetVariantSelection("a")
    with variants.GetVariantEditContext():
        written = write(stage, make_take(), prim="/Room/here")
    binding = UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/Room/here/box/box")).ComputeBoundMaterial()[0]
    assert binding.GetPath() == "/Room/here/Looks/box"
    variants.SetVariantSelection("")
    assert not stage.GetPrimAtPath("/Room/here")


def test_what_is_there_is_not_written_over():
    """Prims of others are never replaced; ours when that is said, as a whole."""
    stage = make_stage()
    with pytest.raises(InputError, match="/Room/Cube: is there already, and was not written by this"):
        write(stage, make_take(), prim="/Room/Cube", replace=True)
    write(stage, make_take(arm=make_arm()), prim="/Room/take")
    with pytest.raises(InputError, match="replace=True"):
        write(stage, make_take(), prim="/Room/take")
    assert stage.GetPrimAtPath("/Room/take/arm")
    write(stage, make_take(), prim="/Room/take", replace=True)
    assert not stage.GetPrimAtPath("/Room/take/arm") and stage.GetPrimAtPath("/Room/take/box")
    other = Sdf.Layer.CreateAnonymous("other.usda")
    stage.GetSessionLayer().subLayerPaths.append(other.identifier)
    with pytest.raises(InputError, match="is there already, in"):
        write(stage, make_take(), prim="/Room/take", layer=other, replace=True)


@pytest.mark.parametrize(
    ("prim", "says"), [("box", "path of a prim"), ("/", "path of a prim"), ("/a.b", "path of a prim"), ("/a b", "path")]
)
def test_paths_that_are_none(prim, says):
    """Relative paths, properties and what is no path are refused."""
    with pytest.raises(InputError, match=says):
        write(make_stage(), make_take(), prim=prim)


def test_places_where_nothing_can_be_written():
    """Below instances and inactive prims, in layers that must not change or are muted, and what is no stage."""
    stage = make_stage()
    UsdGeom.Xform.Define(stage, "/Thing/part")
    copy = UsdGeom.Xform.Define(stage, "/Copy").GetPrim()
    copy.GetReferences().AddInternalReference("/Thing")
    copy.SetInstanceable(True)
    stage.GetPrimAtPath("/Room/Cube").SetActive(False)
    locked, muted = Sdf.Layer.CreateAnonymous(), Sdf.Layer.CreateAnonymous()
    locked.SetPermissionToEdit(False)
    stage.GetRootLayer().subLayerPaths.append(muted.identifier)
    stage.MuteLayer(muted.identifier)
    before = text(stage.GetRootLayer())
    for options, says in (
        ({"prim": "/Copy/part/take"}, "instance"),
        ({"prim": "/Room/Cube/take"}, "not active"),
        ({"layer": locked}, "must not be edited"),
        ({"layer": muted}, "is muted"),
    ):
        with pytest.raises(InputError, match=says):
            write(stage, make_take(), **options)
    with pytest.raises(InputError, match=r"a str; a Usd\.Stage"):
        write("scene.usd", make_take())
    assert text(stage.GetRootLayer()) == before


@pytest.mark.parametrize("take", [None, "one"])
@pytest.mark.parametrize("there", [False, True])
def test_failure_in_the_middle_leaves_the_layer_as_it_was(monkeypatch, take, there):
    """Whether it fails while the take is made or while it is put into the layer."""
    stage = make_stage()
    if there:
        write(stage, make_take(arm=make_arm()), prim="/Room/new/take", take=take)
    before = text(stage.GetRootLayer())

    def fail(*_):
        raise MemoryError

    for place in ("warpprior.usd.author.write_contacts", "warpprior.usd.layers._clear_kinds"):
        with monkeypatch.context() as patch:
            patch.setattr(place, fail)
            with pytest.raises(MemoryError):
                write(stage, make_take(), prim="/Room/new/take", take=take, replace=True)
        assert text(stage.GetRootLayer()) == before


def test_takes_are_variants(tmp_path):
    """Each take is found at the same paths when it is chosen, at its own pace; the first one is shown."""
    slow = make_scene(3)
    slow = Take(slow, {"box": slow.bodies[0].truth})
    slow = Take(type(slow.scene)(**{**vars(slow.scene), "fps": 10.0}), slow.poses)
    path = tmp_path / "takes.usdc"
    export_takes({"fast": make_take(arm=make_arm()), "slow one": slow}, path)
    assert check_stage(path) == []
    stage = Usd.Stage.Open(str(path))
    assert (stage.GetTimeCodesPerSecond(), stage.GetEndTimeCode()) == (30.0, 6.0)
    takes = stage.GetPrimAtPath("/World").GetVariantSet("take")
    assert takes.GetVariantNames() == ["fast", "slow_x20_one"] and takes.GetVariantSelection() == "fast"
    np.testing.assert_allclose(box_in_world(stage, "/World", 4.0), expected_box("Z")[4], atol=3.0e-6)
    assert stage.GetPrimAtPath("/World/arm")
    takes.SetVariantSelection("slow_x20_one")
    assert stage.GetPrimAtPath("/World/box").GetAttribute("xformOp:translate").GetTimeSamples() == [0.0, 3.0, 6.0]
    assert not stage.GetPrimAtPath("/World/arm") and stage.GetPrimAtPath("/World/PhysicsScene")
    assert stage.GetPrimAtPath("/World").GetCustomDataByKey("warpprior")["scene"] == "sample"


def test_takes_in_a_live_stage():
    """A second take joins the first and does not change which is shown; another take is not written over."""
    stage = make_stage()
    for name in ("a", "b"):
        write(stage, make_take(), prim="/Room/takes", take=name)
    takes = stage.GetPrimAtPath("/Room/takes").GetVariantSet("take")
    assert takes.GetVariantNames() == ["a", "b"] and takes.GetVariantSelection() == "a"
    with pytest.raises(InputError, match="take b is there already"):
        write(stage, make_take(), prim="/Room/takes", take="b")
    with pytest.raises(InputError, match="holds takes as variants"):
        write(stage, make_take(), prim="/Room/takes", replace=True)
    with pytest.raises(InputError, match="was not written by this"):
        write(stage, make_take(), prim="/Room", take="c")


def test_a_layer_of_its_own_in_a_file(tmp_path):
    """It is saved, can be opened alone, and becomes a sublayer only when that is said."""
    stage = make_stage("Y", 0.01, 24.0)
    stage.GetRootLayer().Export(str(tmp_path / "room.usda"))
    stage = Usd.Stage.Open(str(tmp_path / "room.usda"))
    before = text(stage.GetRootLayer())
    written = write(stage, make_take(), layer=tmp_path / "a.usdc")
    assert text(stage.GetRootLayer()) == before and not stage.GetPrimAtPath(written.path)
    alone = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    assert UsdGeom.GetStageUpAxis(alone) == "Y" and alone.GetDefaultPrim().GetPath() == "/Room"
    np.testing.assert_allclose(box_in_world(alone, written.path, 2.4), expected_box("Y")[3], atol=3.0e-6)
    with pytest.raises(InputError, match="exists already"):
        write(stage, make_take(), layer=tmp_path / "a.usdc", sublayer=True)
    write(stage, make_take(), layer=str(tmp_path / "b.usda"), sublayer=True)
    assert list(stage.GetRootLayer().subLayerPaths) == ["./b.usda"]
    np.testing.assert_allclose(box_in_world(stage, written.path, 2.4), expected_box("Y")[3], atol=3.0e-6)


def test_kinds_fit_the_stage():
    """Below a prim that is no model nothing becomes one; where models may be, prims are."""
    stage = make_stage()
    inner = write(stage, make_take())
    outer = write(stage, make_take(), prim="/Results/box/one")
    assert not Usd.ModelAPI(stage.GetPrimAtPath(f"{inner.path}/box")).GetKind()
    assert Usd.ModelAPI(stage.GetPrimAtPath(f"{outer.path}/box")).GetKind() == "component"
    assert Usd.ModelAPI(stage.GetPrimAtPath("/Results/box")).GetKind() == "group"


def test_validators_pass_what_was_written_into_a_stage():
    """Of OpenUSD's validators none finds an error in a stage in centimetres with Y up."""
    validation = pytest.importorskip("pxr.UsdValidation", reason="this OpenUSD has no validators")
    if Usd.GetVersion() < (0, 26, 3):
        pytest.skip("validators of OpenUSD before 26.3 do not load")
    stage = make_stage("Y", 0.01)
    write(stage, make_take(arm=make_arm(bends=True)))
    validators = validation.ValidationRegistry().GetOrLoadAllValidators()
    errors = validation.ValidationContext(validators).Validate(stage)
    assert [f"{error.GetName()}: {error.GetMessage()}" for error in errors] == []


def test_beyond_the_range_is_said():
    """The stage's range stays; frames that do not fit are named."""
    stage = make_stage(span=(2.0, 4.0))
    written = write(stage, make_take())
    assert written.notes == ("the frames are at time codes 2 to 6, beyond the stage's 2 to 4",)
    assert stage.GetEndTimeCode() == 4.0
