"""Stages in the layouts of others' programs, made here by plain OpenUSD: what is read of them is what they say."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from warpprior.bodies import link_transforms, posed_vertices, read_urdf
from warpprior.scene import Scene
from warpprior.support.errors import InputError

pytest.importorskip("pxr", reason="OpenUSD is not installed")
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics, UsdShade, Vt

IDENTITY = Gf.Quatf(1, 0, 0, 0)


def stage_of(fps=30, *, start=0, end=4, up="Z"):
    """An empty stage in metres."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y if up == "Y" else UsdGeom.Tokens.z)
    stage.SetTimeCodesPerSecond(fps)
    stage.SetStartTimeCode(start)
    stage.SetEndTimeCode(end)
    return stage


def place(prim, position, rotation=None, scale=None):
    """Translate, orient and scale of a prim at rest."""
    form = UsdGeom.Xformable(prim)
    form.AddTranslateOp().Set(Gf.Vec3d(*position))
    x, y, z, w = (Rotation.identity() if rotation is None else rotation).as_quat().tolist()
    form.AddOrientOp().Set(Gf.Quatf(w, x, y, z))
    if scale is not None:
        form.AddScaleOp().Set(Gf.Vec3f(*scale))


def define_quads(stage, path, points, quads):
    """A mesh of quadrilaterals without subdivision."""
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr([Gf.Vec3f(*row) for row in np.asarray(points, float).tolist()])
    mesh.CreateFaceVertexCountsAttr([4] * len(quads))
    mesh.CreateFaceVertexIndicesAttr(np.ravel(quads).tolist())
    mesh.CreateSubdivisionSchemeAttr("none")
    return mesh


CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * [0.05, 0.04, 0.03]
QUADS = np.array([(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])


def test_the_layout_of_newtons_viewer():
    """Prototypes that are hidden, instances that refer to them, every value a sample and none a default."""
    stage = stage_of()
    hidden = UsdGeom.Xform.Define(stage, "/viewer/geometry/box_0")
    cube = UsdGeom.Cube.Define(stage, "/viewer/geometry/box_0/geom")
    cube.GetSizeAttr().Set(2.0, 0)
    cube.AddScaleOp().Set(Gf.Vec3f(0.05, 0.04, 0.03), 0)
    ball = UsdGeom.Sphere.Define(stage, "/viewer/geometry/sphere_1")
    ball.GetRadiusAttr().Set(0.02, 0)
    ground = define_quads(stage, "/viewer/geometry/plane_2", np.diag([9.0, 9.0, 0.0]).repeat(2, 0)[:4], [[0, 1, 2, 3]])
    for prototype in (hidden, ball, ground):
        UsdGeom.Imageable(prototype).GetVisibilityAttr().Set("invisible", 0)
    places = {}
    for number, name in enumerate(("box_0", "sphere_1", "plane_2")):
        prim = stage.DefinePrim(f"/viewer/model/shapes/shape_{number}/instance_0")
        prim.GetReferences().AddInternalReference(f"/viewer/geometry/{name}")
        UsdGeom.Imageable(prim).GetVisibilityAttr().Set("inherited", 0)
        form = UsdGeom.Xformable(prim)
        form.ClearXformOpOrder()
        move, turn, size = form.AddTranslateOp(), form.AddOrientOp(), form.AddScaleOp()
        rows = []
        for frame in range(5):
            rows.append([0.3 * number, 0.01 * frame * (number < 2), 1.0 - 0.02 * frame * (number == 0)])
            move.Set(Gf.Vec3d(*rows[-1]), frame)
            turn.Set(IDENTITY, frame)
            size.Set(Gf.Vec3f(1.0), frame)
        places[number] = np.array(rows)
        colors = UsdGeom.PrimvarsAPI(prim).CreatePrimvar("displayColor", Sdf.ValueTypeNames.Color3fArray, "constant")
        for frame in range(5):
            colors.GetAttr().Set(Vt.Vec3fArray([Gf.Vec3f(0.5, 0.25, 1.0)]), frame)
    scene = Scene.from_stage(stage)
    assert [item.name for item in scene.bodies] == ["shape_0_instance_0", "shape_1_instance_0"]
    box, sphere = scene.bodies
    np.testing.assert_allclose(np.sort(np.ptp(box.body.vertices, axis=0)), [0.06, 0.08, 0.1], atol=1e-7)
    np.testing.assert_allclose(np.ptp(sphere.body.vertices, axis=0), 0.04, rtol=0.02)
    apart = np.linalg.norm(box.initial.position - sphere.initial.position, axis=1)
    np.testing.assert_allclose(apart, np.linalg.norm(places[0] - places[1], axis=1), atol=1e-7)
    np.testing.assert_allclose(box.body.colors[0], [0.7354, 0.5371, 1.0], atol=1e-3)
    assert any("shape_2" in note and "left out" in note for note in scene.warnings)


def test_the_layout_of_blenders_exporter():
    """Frames from 1, turns as Euler angles, quadrilaterals, a camera without a size, materials by name."""
    stage = stage_of(24, start=1, end=6)
    crate = UsdGeom.Xform.Define(stage, "/viewer/crate")
    move, turn = crate.AddTranslateOp(), crate.AddRotateXYZOp()
    size = crate.AddScaleOp()
    truth = []
    for frame in range(6):
        angles = [3.0 * frame, -2.0 * frame, 10.0 * frame]
        move.Set(Gf.Vec3d(0.02 * frame, 0.0, 0.5), frame + 1)
        turn.Set(Gf.Vec3f(*angles), frame + 1)
        size.Set(Gf.Vec3f(1.0), frame + 1)
        turned = Rotation.from_euler("xyz", angles, degrees=True)
        truth.append(turned.apply(CORNERS) + np.array([0.02 * frame, 0.0, 0.5]))
    mesh = define_quads(stage, "/viewer/crate/Cube", CORNERS, QUADS)
    material = UsdShade.Material.Define(stage, "/viewer/_materials/red")
    shader = UsdShade.Shader.Define(stage, "/viewer/_materials/red/Principled_BSDF")
    shader.CreateIdAttr("UsdPreviewSurface")
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(0.8, 0.1, 0.05))
    material.CreateSurfaceOutput().ConnectToSource(shader.CreateOutput("surface", Sdf.ValueTypeNames.Token))
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
    camera = UsdGeom.Camera.Define(stage, "/viewer/Cam/Cam")
    camera.CreateFocalLengthAttr(0.35)
    camera.CreateHorizontalApertureAttr(0.36)
    camera.CreateVerticalApertureAttr(0.27)
    eye = UsdGeom.Xformable(stage.GetPrimAtPath("/viewer/Cam"))
    UsdGeom.Xform.Define(stage, "/viewer/Cam")
    eye.AddTranslateOp().Set(Gf.Vec3d(0.0, -1.0, 0.5))
    eye.AddRotateXYZOp().Set(Gf.Vec3f(90.0, 0.0, 0.0))
    scene = Scene.from_stage(stage)
    (item,) = scene.bodies
    assert item.name == "crate" and scene.fps == 24.0 and scene.frame_count == 6
    # The camera looks along y: x to the right, -z of the world down.
    wanted = np.array(truth) - [0.0, -1.0, 0.5]
    wanted = np.stack([wanted[..., 0], -wanted[..., 2], wanted[..., 1]], axis=-1)
    seen = posed_vertices(item.body, item.initial)
    gaps = np.linalg.norm(seen[:, :, None] - wanted[:, None], axis=-1).min(axis=2)
    assert gaps.max() < 1e-6
    assert scene.camera.fx == pytest.approx(1280 * 0.35 / 0.36) and scene.camera.height == 960
    np.testing.assert_allclose(item.body.colors[0], [0.9063, 0.3492, 0.2478], atol=1e-3)
    np.testing.assert_allclose(scene.world.gravity, [0.0, 1.0, 0.0], atol=1e-6)


URDF = """
<robot name="arm">
  <link name="base"><visual><geometry><box size="0.08 0.08 0.03"/></geometry></visual></link>
  <link name="near"><visual><origin xyz="0 0 0.03"/><geometry><box size="0.02 0.02 0.06"/></geometry></visual></link>
  <link name="far"><visual><origin xyz="0 0 0.03"/><geometry><cylinder radius="0.01" length="0.06"/></geometry></visual>
  </link>
  <joint name="bend" type="revolute"><parent link="base"/><child link="near"/>
    <origin xyz="0.03 0 0.01" rpy="0.3 0 0.2"/><axis xyz="0 0.6 0.8"/>
    <limit lower="-1" upper="1.2" effort="1" velocity="1"/></joint>
  <joint name="too" type="revolute"><parent link="near"/><child link="far"/><origin xyz="0 0 0.06"/><axis xyz="-1 0 0"/>
    <limit lower="-2" upper="2" effort="1" velocity="1"/><mimic joint="bend" multiplier="-0.5" offset="0.1"/></joint>
</robot>
"""


def converted(stage, *, reverse=False, state=None, physx=False):
    """The robot as converters of URDF write it: links within links, simple solids, joints beside them.

    Args:
        reverse: joints name the child first.
        state: angle of the first joint [rad] by frame, as joint states; links stay at rest.
        physx: the mimic joint as PhysX says it.
    """
    robot = UsdGeom.Xform.Define(stage, "/arm")
    Usd.ModelAPI(robot).SetKind("component")
    rest = {
        "near": (Rotation.from_euler("xyz", [0.3, 0.0, 0.2]), [0.03, 0.0, 0.01]),
        "far": (Rotation.identity(), [0.0, 0.0, 0.06]),
    }
    paths = {"base": "/arm/Geometry/base", "near": "/arm/Geometry/base/near", "far": "/arm/Geometry/base/near/far"}
    for name, path in paths.items():
        link = UsdGeom.Xform.Define(stage, path).GetPrim()
        UsdPhysics.RigidBodyAPI.Apply(link)
        UsdPhysics.MassAPI.Apply(link).CreateMassAttr(0.5)
        if name in rest:
            place(link, rest[name][1], rest[name][0], (1.0, 1.0, 1.0))
    UsdPhysics.ArticulationRootAPI.Apply(stage.GetPrimAtPath(paths["base"]))
    place(UsdGeom.Cube.Define(stage, f"{paths['base']}/box").GetPrim(), (0, 0, 0), scale=(0.04, 0.04, 0.015))
    place(UsdGeom.Cube.Define(stage, f"{paths['near']}/box").GetPrim(), (0, 0, 0.03), scale=(0.01, 0.01, 0.03))
    rod = UsdGeom.Cylinder.Define(stage, f"{paths['far']}/rod")
    rod.CreateRadiusAttr(0.01)
    rod.CreateHeightAttr(0.06)
    place(rod.GetPrim(), (0, 0, 0.03))
    held = UsdPhysics.FixedJoint.Define(stage, "/arm/Physics/root_joint")
    held.CreateBody0Rel().SetTargets(["/arm"])
    held.CreateBody1Rel().SetTargets([paths["base"]])
    for name, parent, child, axis, ends in (
        ("bend", "base", "near", [0.0, 0.6, 0.8], (-1.0, 1.2)),
        ("too", "near", "far", [-1.0, 0.0, 0.0], (-2.0, 2.0)),
    ):
        joint = UsdPhysics.RevoluteJoint.Define(stage, f"/arm/Physics/{name}")
        to_axis = Rotation.align_vectors([axis], [[1.0, 0.0, 0.0]])[0]
        turn, shift = rest[child]
        frames = [(parent, shift, turn * to_axis), (child, [0.0, 0.0, 0.0], to_axis)]
        sides = frames[::-1] if reverse else frames
        sign = -1.0 if reverse else 1.0  # seen from the other side, it turns the other way
        for side, (link, position, rotation) in enumerate(sides):
            x, y, z, w = rotation.as_quat().tolist()
            (joint.CreateBody0Rel if side == 0 else joint.CreateBody1Rel)().SetTargets([paths[link]])
            (joint.CreateLocalPos0Attr if side == 0 else joint.CreateLocalPos1Attr)(Gf.Vec3f(*position))
            (joint.CreateLocalRot0Attr if side == 0 else joint.CreateLocalRot1Attr)(Gf.Quatf(w, x, y, z))
        low, high = sorted(np.degrees(sign * np.array(ends)))
        joint.CreateAxisAttr("X")
        joint.CreateLowerLimitAttr(low)
        joint.CreateUpperLimitAttr(high)
        prim = joint.GetPrim()
        if name == "too" and physx:
            stem = "physxMimicJoint:rotX"
            prim.CreateRelationship(f"{stem}:referenceJoint").SetTargets(["/arm/Physics/bend"])
            prim.CreateAttribute(f"{stem}:gearing", Sdf.ValueTypeNames.Float).Set(0.5)
            prim.CreateAttribute(f"{stem}:offset", Sdf.ValueTypeNames.Float).Set(-np.degrees(sign * 0.1))
        elif name == "too":
            prim.CreateRelationship("newton:mimicJoint").SetTargets(["/arm/Physics/bend"])
            prim.CreateAttribute("newton:mimicCoef1", Sdf.ValueTypeNames.Float).Set(-0.5)
            prim.CreateAttribute("newton:mimicCoef0", Sdf.ValueTypeNames.Float).Set(np.degrees(sign * 0.1))
        elif state is not None:
            said = prim.CreateAttribute("state:angular:physics:position", Sdf.ValueTypeNames.Float)
            for frame, angle in enumerate(state):
                said.Set(float(np.degrees(sign * angle)), frame)
    return stage


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("physx", [False, True])
def test_a_converted_urdf_is_the_robot_of_the_file(tmp_path, reverse, physx):
    """Links, joints, limits, mimics and where links go are those that the URDF reader finds; masses add up."""
    (tmp_path / "arm.urdf").write_text(URDF)
    given = read_urdf(tmp_path / "arm.urdf", "arm")
    angles = np.linspace(-0.5, 0.9, 5)
    (item,) = Scene.from_stage(converted(stage_of(), reverse=reverse, state=angles, physx=physx)).bodies
    body = item.body
    assert body.link_names == given.link_names and body.coordinate_names == given.coordinate_names
    assert item.known and item.matter.mass == pytest.approx(1.5)
    sign = -1.0 if reverse else 1.0
    np.testing.assert_allclose(item.initial.joints[:, 0], sign * angles, atol=1e-6)
    np.testing.assert_allclose(sorted(sign * np.array([body.lower[0], body.upper[0]])), [-1.0, 1.2], atol=1e-6)
    from warpprior.scene import Poses

    same = Poses(np.zeros((5, 3)), np.tile([0.0, 0.0, 0.0, 1.0], (5, 1)), angles[:, None])
    here = Poses(same.position, same.rotation, item.initial.joints)
    np.testing.assert_allclose(link_transforms(body, here)[..., :3], link_transforms(given, same)[..., :3], atol=1e-6)
    surface, wanted = posed_vertices(body, here), posed_vertices(given, same)
    gaps = np.linalg.norm(surface[:, :, None] - wanted[:, None], axis=-1).min(axis=2)
    assert gaps.max() < 2e-6


def test_links_that_move_say_where_joints_are():
    """An articulation without joint states: positions follow from its links, of which one is turned by hand."""
    stage = converted(stage_of())
    link = stage.GetPrimAtPath("/arm/Geometry/base/near")
    axis = np.array([0.0, 0.6, 0.8])
    turn = UsdGeom.XformOp(link.GetAttribute("xformOp:orient"))
    for frame in range(5):
        moved = Rotation.from_euler("xyz", [0.3, 0.0, 0.2]) * Rotation.from_rotvec(0.2 * frame * axis)
        x, y, z, w = moved.as_quat().tolist()
        turn.Set(Gf.Quatf(w, x, y, z), frame)
    (item,) = Scene.from_stage(stage).bodies
    np.testing.assert_allclose(item.initial.joints[:, 0], 0.2 * np.arange(5), atol=1e-6)


def test_joints_that_cannot_be_used_are_said():
    """A loop is left out; a joint of several ways to move is refused by its name."""
    stage = converted(stage_of())
    extra = UsdPhysics.FixedJoint.Define(stage, "/arm/Physics/loop")
    extra.CreateBody0Rel().SetTargets(["/arm/Geometry/base"])
    extra.CreateBody1Rel().SetTargets(["/arm/Geometry/base/near/far"])
    extra.CreateExcludeFromArticulationAttr(True)
    assert any("loop closes a loop" in note for note in Scene.from_stage(stage).warnings)
    stage = converted(stage_of())
    stage.GetPrimAtPath("/arm/Physics/bend").SetTypeName("PhysicsJoint")
    with pytest.raises(InputError, match="moves in 6 ways"):
        Scene.from_stage(stage)


@pytest.mark.parametrize("instanceable", [False, True])
def test_instances_and_instancers_are_part_of_the_surface(instanceable):
    """Native instances and a point instancer's below one prim that moves are merged in its frame."""
    stage = stage_of()
    thing = UsdGeom.Xform.Define(stage, "/thing")
    move = thing.AddTranslateOp()
    for frame in range(5):
        move.Set(Gf.Vec3d(0.1 * frame, 0, 0), frame)
    stage.CreateClassPrim("/prototype")
    define_quads(stage, "/prototype/mesh", CORNERS, QUADS)
    for number, shift in enumerate((-0.2, 0.2)):
        prim = stage.DefinePrim(f"/thing/part_{number}", "Xform")
        prim.GetReferences().AddInternalReference("/prototype")
        prim.SetInstanceable(instanceable)
        place(prim, (shift, 0, 0))
    many = UsdGeom.PointInstancer.Define(stage, "/thing/many")
    knob = UsdGeom.Sphere.Define(stage, "/thing/many/knob")
    knob.CreateRadiusAttr(0.01)
    many.CreatePrototypesRel().SetTargets([knob.GetPath()])
    many.CreateProtoIndicesAttr([0, 0, 0])
    many.CreatePositionsAttr([Gf.Vec3f(0, 0.3 * k, 0) for k in range(3)])
    many.CreateScalesAttr([Gf.Vec3f(1 + k) for k in range(3)])
    (item,) = Scene.from_stage(stage).bodies
    vertices = item.body.vertices
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    np.testing.assert_allclose(low[0], -0.25, atol=1e-6)
    np.testing.assert_allclose(high[:2], [0.25, 0.63], atol=1e-3)
    assert len(vertices) > 16 + 3 * 100
    np.testing.assert_allclose(np.linalg.norm(np.diff(item.initial.position, axis=0), axis=1), 0.1, atol=1e-7)


def test_colours_of_parts_faces_and_corners():
    """Materials of subsets go before that of the whole, and displayColor by face and corner is averaged."""
    stage = stage_of()
    for name, kind in (("parts", None), ("faces", "uniform"), ("corners", "faceVarying")):
        mesh = define_quads(stage, f"/{name}", CORNERS, QUADS)
        move = mesh.AddTranslateOp()
        for frame in range(5):
            move.Set(Gf.Vec3d(0.1 * frame, 0, 0), frame)
        if kind is None:
            for part, (rows, color) in enumerate((([0], (1, 0, 0)), ([1, 2, 3, 4, 5], (0, 0, 1)))):
                subset = UsdGeom.Subset.Define(stage, f"/{name}/part_{part}")
                subset.CreateElementTypeAttr("face")
                subset.CreateIndicesAttr(rows)
                material = UsdShade.Material.Define(stage, f"/Looks/m{part}")
                shader = UsdShade.Shader.Define(stage, f"/Looks/m{part}/s")
                shader.CreateIdAttr("UsdPreviewSurface")
                shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(*color))
                material.CreateSurfaceOutput().ConnectToSource(shader.CreateOutput("surface", Sdf.ValueTypeNames.Token))
                UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(material)
            continue
        count = 6 if kind == "uniform" else 24
        colors = np.zeros((count, 3), np.float32)
        colors[: count // 6] = 1.0  # the first face is white
        mesh.CreateDisplayColorPrimvar(kind).Set(Vt.Vec3fArray.FromNumpy(colors))
    scene = Scene.from_stage(stage)
    for item in scene.bodies:
        first = item.body.vertices[:, 0] < 0.0  # of the first face, at -x
        white = item.body.colors[first]
        other = item.body.colors[~first]
        if item.name == "parts":
            assert (white[:, 0] > 0.3).all() and (other[:, 0] < 1e-6).all() and (other[:, 2] > 0.9).all()
        else:
            assert (white > 0.3).all() and (other < 1e-6).all()


def test_lenses_of_opencv_and_what_they_are_not():
    """Intrinsics of the lens schema, its distortion rectified away; thin prisms and other models are refused."""
    stage = stage_of()
    ball = UsdGeom.Sphere.Define(stage, "/ball")
    ball.CreateRadiusAttr(0.05)
    move = ball.AddTranslateOp()
    for frame in range(5):
        move.Set(Gf.Vec3d(0.01 * frame, 0, -1), frame)
    prim = UsdGeom.Camera.Define(stage, "/Camera").GetPrim()
    prim.AddAppliedSchema("OmniLensDistortionOpenCvPinholeAPI")
    stem = "omni:lensdistortion"
    prim.CreateAttribute(f"{stem}:model", Sdf.ValueTypeNames.Token).Set("opencvPinhole")
    for name, value in (("fx", 600.0), ("fy", 610.0), ("cx", 310.0), ("cy", 250.0), ("k1", 0.1)):
        prim.CreateAttribute(f"{stem}:opencvPinhole:{name}", Sdf.ValueTypeNames.Float).Set(value)
    prim.CreateAttribute(f"{stem}:opencvPinhole:imageSize", Sdf.ValueTypeNames.Int2).Set(Gf.Vec2i(640, 480))
    scene = Scene.from_stage(stage)
    assert (scene.camera.width, scene.camera.fx, scene.camera.cy) == (640, 600.0, 250.0)
    np.testing.assert_allclose(scene.bodies[0].initial.position[0], [0.0, 0.0, 1.0], atol=1e-7)
    prim.CreateAttribute(f"{stem}:opencvPinhole:s1", Sdf.ValueTypeNames.Float).Set(0.1)
    with pytest.raises(InputError, match="thin-prism"):
        Scene.from_stage(stage)
    prim.GetAttribute(f"{stem}:model").Set("ftheta")
    with pytest.raises(InputError, match="ftheta"):
        Scene.from_stage(stage)


def test_animated_meshes_and_masses_of_other_units():
    """Points that move are a surface at every frame; densities of a stage in centimetres and grams are in SI."""
    stage = stage_of()
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 0.001)
    wave = define_quads(stage, "/cloth", CORNERS * 100, QUADS)
    for frame in range(5):
        wave.GetPointsAttr().Set(Vt.Vec3fArray.FromNumpy((CORNERS * (100 + 10 * frame)).astype(np.float32)), frame)
    block = define_quads(stage, "/block", CORNERS * 100, QUADS)
    UsdPhysics.RigidBodyAPI.Apply(block.GetPrim())
    UsdPhysics.MassAPI.Apply(block.GetPrim()).CreateDensityAttr(1.2)
    scene = Scene.from_stage(stage)
    cloth, heavy = scene.body("cloth"), scene.body("block")
    assert cloth.body.kind == "vertices" and cloth.known
    assert np.ptp(cloth.body.animation[4], axis=0).max() == pytest.approx(
        1.4 * np.ptp(cloth.body.animation[0], axis=0).max(), rel=1e-5
    )
    assert heavy.matter.density == pytest.approx(1200.0)
