"""What physics engines read of a stage: mass, friction, colliders, frames of hands, articulations."""

from dataclasses import replace

import numpy as np
import pytest
from result_samples import make_box, make_box_poses, make_scene
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation
from stage_samples import ROBOT, issues_of, make_gripper_scene, make_hand_scene

from warpprior.bodies import link_transforms, posed_vertices, read_urdf
from warpprior.bodies.mass import FRICTION, Matter
from warpprior.scene import SceneBody
from warpprior.support.errors import InputError
from warpprior.usd import StageOptions, check_stage, export_usd
from warpprior.usd.camera import WORLD_FROM_CAMERA

pytest.importorskip("pxr", reason="OpenUSD is not installed")
from pxr import Gf, Usd, UsdGeom, UsdPhysics, UsdShade


def open_stage(tmp_path, scene, poses, **options):
    """The stage of a scene, which passes every check."""
    export_usd(scene, poses, tmp_path / "a.usdc", options=StageOptions(**options))
    assert check_stage(tmp_path / "a.usdc") == []
    return Usd.Stage.Open(str(tmp_path / "a.usdc"))


def box_scene(**matter):
    """A scene of one box made of something."""
    body = SceneBody(make_box(), 1, False, make_box_poses(), matter=Matter(**matter))
    return replace(make_scene(), bodies=(body,)), {"box": make_box_poses()}


def colliders(stage, path):
    """Prims below a path that collide."""
    return [prim for prim in Usd.PrimRange(stage.GetPrimAtPath(path)) if prim.HasAPI(UsdPhysics.CollisionAPI)]


def world_of(stage, path, frame):
    """World pose of a prim: a matrix (4, 4) that is multiplied from the left."""
    return np.array(UsdGeom.XformCache(frame).GetLocalToWorldTransform(stage.GetPrimAtPath(path))).T


def test_objects_have_mass_and_friction(tmp_path):
    """Mass, centre, moments and the friction of what the scene says, on a kinematic body and its one hull."""
    scene, poses = box_scene(mass=0.4, friction=0.35)
    stage = open_stage(tmp_path, scene, poses)
    prim = stage.GetPrimAtPath("/World/box")
    assert UsdPhysics.RigidBodyAPI(prim).GetKinematicEnabledAttr().Get() is True
    mass = UsdPhysics.MassAPI(prim)
    assert mass.GetMassAttr().Get() == pytest.approx(0.4)
    turn = mass.GetPrincipalAxesAttr().Get()
    axes = Rotation.from_quat([*turn.GetImaginary(), turn.GetReal()]).as_matrix()
    inertia = axes @ np.diag(mass.GetDiagonalInertiaAttr().Get()) @ axes.T
    sides = np.array([0.08, 0.06, 0.12])
    np.testing.assert_allclose(inertia, np.diag(0.4 / 12.0 * (np.sum(sides**2) - sides**2)), rtol=1e-4, atol=1e-9)
    (hull,) = colliders(stage, "/World/box")
    material, _ = UsdShade.MaterialBindingAPI(hull).ComputeBoundMaterial("physics")
    assert UsdPhysics.MaterialAPI(material).GetDynamicFrictionAttr().Get() == pytest.approx(0.35)
    assert UsdGeom.Imageable(hull).ComputePurpose() == UsdGeom.Tokens.guide


def test_defaults_are_stated(tmp_path):
    """Nothing said: water's density and the default friction."""
    stage = open_stage(tmp_path, *box_scene())
    assert UsdPhysics.MassAPI.Get(stage, "/World/box").GetMassAttr().Get() == pytest.approx(0.576, rel=1e-5)
    friction = UsdPhysics.MaterialAPI.Get(stage, "/World/Looks/box").GetStaticFrictionAttr().Get()
    assert friction == pytest.approx(FRICTION)


@pytest.mark.parametrize("choice", ["convex_hulls", "convex_hull", "convexDecomposition", "sdf"])
def test_colliders_by_choice(tmp_path, choice):
    """Each choice gives colliders that its schemas describe, on the mesh itself or beside it."""
    stage = open_stage(tmp_path, *box_scene(), colliders=choice)
    (prim,) = colliders(stage, "/World/box")
    beside = choice in ("convex_hulls", "convex_hull")
    assert (prim.GetPath() != "/World/box/box") == beside
    found = UsdPhysics.MeshCollisionAPI(prim).GetApproximationAttr().Get()
    assert found == {"sdf": "none", "convexDecomposition": "convexDecomposition"}.get(choice, "convexHull")
    schemas = prim.GetMetadata("apiSchemas").GetAppliedItems()
    assert ("NewtonSDFCollisionAPI" in schemas) == (choice == "sdf")
    assert UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")[0]


def test_unknown_choices_are_refused():
    """The message names what there is."""
    with pytest.raises(InputError, match="convex_hulls"):
        StageOptions(colliders="boxes")
    with pytest.raises(InputError, match="articulation"):
        StageOptions(robot="dynamic")


def test_hands_have_a_frame_per_joint(tmp_path):
    """Wrist to fingertips are Xforms where the joints are, at every frame, and the covariance sits on the wrist."""
    scene, poses = make_hand_scene(covariance=True)
    stage = open_stage(tmp_path, scene, poses)
    body = scene.bodies[0].body
    links, surface = link_transforms(body, poses["hand"]), posed_vertices(body, poses["hand"])
    turn = Rotation.from_quat(WORLD_FROM_CAMERA[3:])
    names = [prim.GetName() for prim in stage.GetPrimAtPath("/World/hand/Joints").GetChildren()]
    assert set(names) == set(body.keypoints.names)
    for name, place in zip(body.keypoints.names, body.keypoints.places(links, surface).transpose(1, 0, 2), strict=True):
        link = body.keypoints.links[body.keypoints.names.index(name)]
        for frame in range(3):
            found = world_of(stage, f"/World/hand/Joints/{name}", frame)
            np.testing.assert_allclose(found[:3, 3], turn.apply(place[frame]) + WORLD_FROM_CAMERA[:3], atol=2e-6)
            expected = (turn * Rotation.from_quat(links[frame, link, 3:])).as_matrix()
            np.testing.assert_allclose(found[:3, :3], expected, atol=1e-5)
    held = [prim.GetPath() for prim in stage.Traverse() if prim.HasAttribute("primvars:warpprior:pose_covariance")]
    assert held == ["/World/hand/Joints/wrist"]


def test_bones_of_hands_collide(tmp_path):
    """Each of 16 bones is a kinematic body with one hull, which holds the skin around it at every frame."""
    scene, poses = make_hand_scene()
    stage = open_stage(tmp_path, scene, poses)
    body = scene.bodies[0].body
    bones = [
        prim
        for prim in stage.GetPrimAtPath("/World/hand/Joints").GetChildren()
        if UsdPhysics.RigidBodyAPI(prim) and prim.HasAPI(UsdPhysics.RigidBodyAPI)
    ]
    assert [prim.GetName() for prim in bones] == list(body.link_names)
    assert all(UsdPhysics.RigidBodyAPI(prim).GetKinematicEnabledAttr().Get() for prim in bones)
    assert sum(UsdPhysics.MassAPI(prim).GetMassAttr().Get() for prim in bones) == pytest.approx(0.45, abs=0.25)
    assert all(len(colliders(stage, prim.GetPath())) == 1 for prim in bones)
    skin = np.asarray(UsdGeom.Mesh.Get(stage, "/World/hand/hand").GetPointsAttr().Get(2), np.float64)
    away = np.full(len(skin), np.inf)
    for prim in bones:
        (hull,) = colliders(stage, prim.GetPath())
        points = np.asarray(UsdGeom.Mesh(hull).GetPointsAttr().Get(), np.float64)
        matrix = world_of(stage, prim.GetPath(), 2)
        placed = points @ matrix[:3, :3].T + matrix[:3, 3]
        planes = ConvexHull(placed).equations
        away = np.minimum(away, (skin @ planes[:, :3].T + planes[:, 3]).max(axis=1))
    assert np.percentile(away, 95) < 0.002 and away.max() < 0.008


def test_articulations_place_their_links(tmp_path):
    """Joints, limits, drives, mimic and states: their positions over time put each link where its Xform is."""
    scene, poses = make_gripper_scene(tmp_path)
    stage = open_stage(tmp_path, scene, poses, robot="articulation")
    assert stage.GetPrimAtPath("/World/gripper").HasAPI(UsdPhysics.ArticulationRootAPI)
    joints = {prim.GetName(): prim for prim in stage.GetPrimAtPath("/World/gripper/Joints").GetChildren()}
    assert set(joints) == {"to_world", "mount", "bend", "far", "reach"}
    bend, far, reach = (joints[name] for name in ("bend", "far", "reach"))
    assert bend.IsA(UsdPhysics.RevoluteJoint) and reach.IsA(UsdPhysics.PrismaticJoint)
    np.testing.assert_allclose(UsdPhysics.RevoluteJoint(bend).GetUpperLimitAttr().Get(), np.degrees(1.2), rtol=1e-5)
    np.testing.assert_allclose(UsdPhysics.PrismaticJoint(reach).GetUpperLimitAttr().Get(), 0.1, rtol=1e-5)
    assert far.GetRelationship("newton:mimicJoint").GetTargets() == [bend.GetPath()]
    assert far.GetAttribute("newton:mimicCoef1").Get() == pytest.approx(-0.5)
    assert far.GetAttribute("newton:mimicCoef0").Get() == pytest.approx(np.degrees(0.1), rel=1e-5)
    assert far.GetCustomDataByKey("warpprior:effort") == 1.0  # of the file; what has a drive has it there
    assert UsdPhysics.DriveAPI(bend, "angular").GetMaxForceAttr().Get() == 1.0
    assert bend.GetCustomDataByKey("warpprior:effort") is None
    assert UsdPhysics.DriveAPI(bend, "angular").GetStiffnessAttr().Get() > 0.0
    assert not far.HasAPI(UsdPhysics.DriveAPI, "angular")
    for frame in range(4):
        angle, slide = poses["gripper"].joints[frame]
        state = bend.GetAttribute("state:angular:physics:position").Get(frame)
        target = UsdPhysics.DriveAPI(bend, "angular").GetTargetPositionAttr().Get(frame)
        assert state == target == pytest.approx(np.degrees(angle), rel=1e-5)
        assert reach.GetAttribute("state:linear:physics:position").Get(frame) == pytest.approx(slide, rel=1e-5)
        for name in joints:
            np.testing.assert_allclose(moved_by_joint(stage, joints[name], frame), np.eye(4), atol=2e-5, err_msg=name)
    links = [prim for prim in stage.GetPrimAtPath("/World/gripper").GetChildren() if prim.GetName() != "Joints"]
    assert all(UsdPhysics.RigidBodyAPI(prim).GetKinematicEnabledAttr().Get() is False for prim in links)
    assert all(UsdPhysics.MassAPI(prim).GetMassAttr().Get() > 0.0 for prim in links)


WEIGHED = """<inertial><origin xyz="0 0 0.02"/><mass value="0.3"/>
  <inertia ixx="3e-4" ixy="0" ixz="0" iyy="2e-4" iyz="0" izz="4e-4"/></inertial>"""


def weighed_gripper(tmp_path):
    """The gripper with the mass of a finger and of the link without a surface, and with brakes."""
    scene, poses = make_gripper_scene(tmp_path)
    text = ROBOT.replace('<link name="near">', f'<link name="near">{WEIGHED}')
    text = text.replace('<link name="mount"/>', f'<link name="mount">{WEIGHED}</link>')
    text = text.replace(
        'upper="1.2" effort="1" velocity="1"/>',
        'upper="1.2" effort="3" velocity="2"/><dynamics damping="0.1" friction="0.2"/>',
    )
    (tmp_path / "weighed.urdf").write_text(text)
    body = replace(scene.bodies[0], body=read_urdf(tmp_path / "weighed.urdf", "gripper"))
    return replace(scene, bodies=(body,)), poses


@pytest.mark.parametrize("robot", ["kinematic", "articulation"])
def test_masses_of_files_reach_the_stage(tmp_path, robot):
    """Links have mass, centre and inertia of their file; where it says nothing, the stage says what was taken."""
    scene, poses = weighed_gripper(tmp_path)
    stage = open_stage(tmp_path, scene, poses, robot=robot)
    for name in ("near", "mount"):
        prim = stage.GetPrimAtPath(f"/World/gripper/{name}")
        mass = UsdPhysics.MassAPI(prim)
        assert mass.GetMassAttr().Get() == pytest.approx(0.3)
        np.testing.assert_allclose(mass.GetCenterOfMassAttr().Get(), [0.0, 0.0, 0.02], atol=1e-7)
        turn = mass.GetPrincipalAxesAttr().Get()
        axes = Rotation.from_quat([*turn.GetImaginary(), turn.GetReal()]).as_matrix()
        inertia = axes @ np.diag(mass.GetDiagonalInertiaAttr().Get()) @ axes.T
        np.testing.assert_allclose(inertia, np.diag([3e-4, 2e-4, 4e-4]), atol=1e-10)
        assert prim.GetCustomDataByKey("warpprior:massFrom") == "the body's file"
    base = stage.GetPrimAtPath("/World/gripper/base")
    assert base.GetCustomDataByKey("warpprior:massFrom") == "default density, 1000 kg/m^3"
    assert UsdPhysics.MassAPI(base).GetMassAttr().Get() == pytest.approx(0.192, rel=1e-4)


def test_a_mass_of_the_scene_goes_first(tmp_path):
    """It is shared by volume, whatever the file says."""
    scene, poses = weighed_gripper(tmp_path)
    scene = replace(scene, bodies=(replace(scene.bodies[0], matter=Matter(mass=1.0)),))
    stage = open_stage(tmp_path, scene, poses)
    bodies = [prim for prim in stage.Traverse() if prim.HasAPI(UsdPhysics.MassAPI)]
    assert sum(UsdPhysics.MassAPI(prim).GetMassAttr().Get() for prim in bodies) == pytest.approx(1.0, rel=1e-5)
    assert {prim.GetCustomDataByKey("warpprior:massFrom") for prim in bodies} == {"mass of the scene"}


def test_brakes_of_joints(tmp_path):
    """Effort, velocity, damping and friction per degree, of the joint whose file states them."""
    stage = open_stage(tmp_path, *weighed_gripper(tmp_path), robot="articulation")
    bend = stage.GetPrimAtPath("/World/gripper/Joints/bend")
    assert UsdPhysics.DriveAPI(bend, "angular").GetMaxForceAttr().Get() == 3.0
    assert bend.GetAttribute("newton:velocityLimit").Get() == pytest.approx(np.degrees(2.0))
    assert bend.GetAttribute("newton:damping").Get() == pytest.approx(np.radians(0.1))
    assert bend.GetAttribute("newton:friction").Get() == pytest.approx(0.2)
    assert not stage.GetPrimAtPath("/World/gripper/Joints/reach").HasAttribute("newton:damping")


def moved_by_joint(stage, prim, frame):
    """body1's pose by the joint's frames and state, relative to where body1 is: the identity for a right joint."""
    joint = UsdPhysics.Joint(prim)
    sides = []
    for relation, place, turn in (
        (joint.GetBody0Rel(), joint.GetLocalPos0Attr().Get(), joint.GetLocalRot0Attr().Get()),
        (joint.GetBody1Rel(), joint.GetLocalPos1Attr().Get(), joint.GetLocalRot1Attr().Get()),
    ):
        local = np.eye(4)
        local[:3, :3] = Rotation.from_quat([*turn.GetImaginary(), turn.GetReal()]).as_matrix()
        local[:3, 3] = place
        targets = relation.GetTargets()
        sides.append((world_of(stage, targets[0], frame) if targets else np.eye(4)) @ local)
    motion = np.eye(4)
    if prim.IsA(UsdPhysics.RevoluteJoint):
        angle = np.radians(prim.GetAttribute("state:angular:physics:position").Get(frame))
        motion[:3, :3] = Rotation.from_rotvec([angle, 0.0, 0.0]).as_matrix()
    elif prim.IsA(UsdPhysics.PrismaticJoint):
        motion[0, 3] = prim.GetAttribute("state:linear:physics:position").Get(frame)
    return np.linalg.inv(sides[1]) @ sides[0] @ motion


def test_a_robot_that_moves_is_free(tmp_path):
    """Its root is not fixed to the world; kinematic robots have no joints, and colliders on every link they draw."""
    scene, poses = make_gripper_scene(tmp_path, still=False)
    stage = open_stage(tmp_path, scene, poses, robot="articulation")
    assert not stage.GetPrimAtPath("/World/gripper/Joints/to_world")
    export_usd(scene, poses, tmp_path / "kinematic.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "kinematic.usdc"))
    assert not stage.GetPrimAtPath("/World/gripper/Joints")
    for name in ("base", "near", "far", "push"):
        prim = stage.GetPrimAtPath(f"/World/gripper/{name}")
        assert UsdPhysics.RigidBodyAPI(prim).GetKinematicEnabledAttr().Get() is True
        assert len(colliders(stage, prim.GetPath())) == 1
    assert not stage.GetPrimAtPath("/World/gripper/mount").HasAPI(UsdPhysics.RigidBodyAPI)


def _spoil_mass(stage):
    stage.GetPrimAtPath("/World/gripper/near").RemoveAPI(UsdPhysics.MassAPI)


def _spoil_colliders(stage):
    stage.GetPrimAtPath("/World/gripper/near/Colliders").SetActive(False)


def _spoil_joint(stage):
    joint = UsdPhysics.Joint.Get(stage, "/World/gripper/Joints/bend")
    joint.GetLocalPos0Attr().Set(joint.GetLocalPos0Attr().Get() * 1.1)


def _spoil_axis(stage):
    UsdPhysics.Joint.Get(stage, "/World/gripper/Joints/bend").GetLocalRot1Attr().Set(Gf.Quatf(1.0))


def _spoil_body(stage):
    UsdPhysics.Joint.Get(stage, "/World/gripper/Joints/bend").GetBody1Rel().SetTargets(["/World/gripper/nobody"])


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (_spoil_mass, "physics:mass"),
        (_spoil_colliders, "physics:collisionEnabled"),
        (_spoil_joint, "physics:localPos1 at 0"),
        (_spoil_axis, "physics:localRot1"),
        (_spoil_body, "physics:body1"),
    ],
    ids=lambda value: value.__name__[7:] if callable(value) else "",
)
def test_check_finds(tmp_path, spoil, what):
    """Every way to spoil the physics of a sound stage is found, at the place where it is."""
    stage = open_stage(tmp_path, *make_gripper_scene(tmp_path), robot="articulation")
    spoil(stage)
    stage.Save()
    assert what in [finding.what for finding in check_stage(tmp_path / "a.usdc")]


@pytest.mark.parametrize("sample", ["hand", "gripper"])
def test_validators_say_nothing(tmp_path, sample):
    """OpenUSD's validators and NVIDIA's find neither an error nor a warning."""
    scene, poses = make_hand_scene() if sample == "hand" else make_gripper_scene(tmp_path)
    stage = open_stage(tmp_path, scene, poses, robot="articulation")
    assert issues_of(stage, tmp_path / "a.usdc") == []
