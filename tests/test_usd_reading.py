"""USD import: what export writes comes back the same, from files and open stages, in any units and axes."""

from dataclasses import replace

import numpy as np
import pytest
from result_samples import CAMERA, make_arm, make_box, make_box_poses, make_scene
from scipy.spatial.transform import Rotation
from stage_samples import make_gripper_scene, make_hand_scene

from warpprior.bodies import link_transforms, posed_vertices
from warpprior.bodies.mass import Matter
from warpprior.io import save_scene
from warpprior.scene import Poses, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.usd import StageOptions, export_usd
from warpprior.world import CameraPath, World

pytest.importorskip("pxr", reason="OpenUSD is not installed")
from pxr import Gf, Sdf, Usd, UsdGeom

from warpprior.usd.reading import read_stage

ARTICULATED = StageOptions(robot="articulation")


def new_stage():
    """An empty stage in metres."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    return stage


def moved(scene):
    """The motion of every body."""
    return {item.name: item.initial for item in scene.bodies}


def restaged(path, folder, *, y_up, unit):
    """The same stage, flat, turned to y up and in another unit, below a root that says both."""
    layer = Usd.Stage.Open(str(path)).Flatten()
    stage = Usd.Stage.Open(layer)
    turn = Gf.Matrix4d().SetRotate(Gf.Rotation(Gf.Vec3d(1, 0, 0), -90.0 if y_up else 0.0))
    size = Gf.Matrix4d().SetScale(1.0 / unit)
    UsdGeom.Xformable(stage.GetPrimAtPath("/World")).AddTransformOp().Set(size * turn)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y if y_up else UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, unit)
    if y_up:
        stage.GetPrimAtPath("/World/PhysicsScene").GetAttribute("physics:gravityDirection").Set(Gf.Vec3f(0, -1, 0))
    data = dict(stage.GetRootLayer().customLayerData)
    data.pop("warpprior", None)
    stage.GetRootLayer().customLayerData = data
    stage.GetRootLayer().Export(str(folder / "restaged.usdc"))
    return folder / "restaged.usdc"


def moving_camera(frames=5):
    """A camera that goes round what it sees."""
    time = np.linspace(0.0, 1.0, frames)
    turn = Rotation.from_rotvec(np.outer(time, [0.1, -0.3, 0.2]))
    place = np.stack([0.3 * time, 0.1 * time, 0.05 * np.sin(3.0 * time)], axis=1)
    return World(CameraPath(place, turn.as_quat()), np.array([0.0, 1.0, 0.0]))


def assert_same_motion(found, expected, tolerance=1e-6):
    """Places and turns agree, quaternions up to their sign."""
    np.testing.assert_allclose(found.position, expected.position, atol=tolerance)
    same = np.sign(np.einsum("ij,ij->i", found.rotation, expected.rotation))[:, None]
    np.testing.assert_allclose(same * found.rotation, expected.rotation, atol=tolerance)


def assert_same_camera(found, expected):
    """Intrinsics agree to 1e-4 px."""
    assert (found.width, found.height) == (expected.width, expected.height)
    for name in ("fx", "fy", "cx", "cy"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-4)


@pytest.mark.parametrize("ending", [".usdc", ".usda", ".usdz"])
def test_a_rigid_body_comes_back_the_same(tmp_path, ending):
    """Mesh, poses, camera, rate, label, symmetry and what it is made of; nothing that nobody said."""
    scene = make_scene()
    item = replace(scene.bodies[0], label=7, symmetry="z", matter=Matter(density=700.0, friction=0.4))
    scene = replace(scene, bodies=(item,), fps=24.0, labels=None)
    path = tmp_path / f"s{ending}"
    export_usd(scene, moved(scene), path)
    found = Scene.from_stage(path)
    (box,) = found.bodies
    np.testing.assert_array_equal(box.body.vertices, scene.bodies[0].body.vertices)
    np.testing.assert_array_equal(box.body.faces, scene.bodies[0].body.faces)
    assert_same_motion(box.initial, scene.bodies[0].initial)
    assert_same_camera(found.camera, CAMERA)
    assert (box.name, box.label, box.symmetry, box.known, found.fps) == ("box", 7, "z", False, 24.0)
    assert box.matter == scene.bodies[0].matter
    assert box.body.colors is None and found.world is None and found.name == scene.name


def test_an_open_stage_gives_what_its_file_gives_and_is_not_changed(tmp_path):
    """The same arrays from both doors, and not a letter of the stage is another."""
    scene = make_scene(arm=make_arm())
    export_usd(scene, moved(scene), tmp_path / "s.usda")
    stage = Usd.Stage.Open(str(tmp_path / "s.usda"))
    before = stage.GetRootLayer().ExportToString()
    live, file = Scene.from_stage(stage), Scene.from_stage(tmp_path / "s.usda")
    assert stage.GetRootLayer().ExportToString() == before and not stage.GetSessionLayer().rootPrims
    for one, other in zip(live.bodies, file.bodies, strict=True):
        np.testing.assert_array_equal(one.body.vertices, other.body.vertices)
        np.testing.assert_array_equal(one.initial.position, other.initial.position)
        np.testing.assert_array_equal(one.initial.joints, other.initial.joints)


@pytest.mark.parametrize("robot", ["kinematic", "articulation"])
@pytest.mark.parametrize("still", [True, False])
def test_a_robot_comes_back_with_its_joints(tmp_path, robot, still):
    """Links, limits, a mimic, joint coordinates and the surface, as links that follow or as an articulation."""
    scene, poses = make_gripper_scene(tmp_path, still=still)
    export_usd(scene, poses, tmp_path / "s.usdc", options=StageOptions(robot=robot))
    (item,) = Scene.from_stage(tmp_path / "s.usdc").bodies
    body, expected = item.body, scene.bodies[0].body
    assert body.kind == "urdf" and item.known
    assert body.coordinate_names == expected.coordinate_names and set(body.link_names) == set(expected.link_names)
    np.testing.assert_allclose(body.lower, expected.lower, atol=1e-6)
    np.testing.assert_allclose(body.upper, expected.upper, atol=1e-6)
    np.testing.assert_allclose(item.initial.joints, poses["gripper"].joints, atol=1e-5)
    assert_same_motion(item.initial, poses["gripper"])
    links = dict(zip(body.link_names, np.moveaxis(link_transforms(body, item.initial), 1, 0), strict=True))
    wanted = link_transforms(expected, poses["gripper"])
    for link, name in enumerate(expected.link_names):
        np.testing.assert_allclose(links[name][:, :3], wanted[:, link, :3], atol=2e-6)
    follower, own = list(expected.link_names).index("far"), list(body.link_names).index("far")
    assert body.coordinate_gains[own] == pytest.approx(expected.coordinate_gains[follower], abs=1e-6)
    assert body.coordinate_biases[own] == pytest.approx(expected.coordinate_biases[follower], abs=1e-6)
    with pytest.raises(InputError, match="no source file; .*joints that follow others.*take the stage in place"):
        save_scene(Scene.from_stage(tmp_path / "s.usdc"), tmp_path / "scene")
    assert not (tmp_path / "scene").exists()


def test_joints_of_every_kind_come_back_in_a_body_of_another_size(tmp_path):
    """Balls, slides and hinges of a robot that is 1.1 times as large as its model."""
    scene = make_scene(arm=make_arm())
    export_usd(scene, moved(scene), tmp_path / "s.usdc")
    item, given = Scene.from_stage(tmp_path / "s.usdc").body("arm"), scene.body("arm")
    np.testing.assert_allclose(item.initial.joints, given.initial.joints, atol=1e-5)
    found, wanted = link_transforms(item.body, item.initial), link_transforms(given.body, given.initial)
    np.testing.assert_allclose(found[..., :3], wanted[..., :3], atol=2e-6)


def test_a_hand_is_its_surface_and_joint_frames_unless_its_model_is_named(tmp_path):
    """Points at every frame and where joints are; with the model, its joint coordinates."""
    scene, poses = make_hand_scene()
    path = tmp_path / "s.usdc"
    export_usd(scene, poses, path)
    found = read_stage(path)
    (item,) = found.scene.bodies
    given = scene.bodies[0].body
    assert item.body.kind == "vertices" and item.known
    surface = posed_vertices(given, poses["hand"])
    np.testing.assert_allclose(posed_vertices(item.body, item.initial), surface, atol=1e-6)
    links = link_transforms(given, poses["hand"])
    for link, name in enumerate(given.link_names):
        np.testing.assert_allclose(found.frames["hand"][name][:, :3], links[:, link, :3], atol=1e-6)
    assert any("name its model" in note for note in found.scene.warnings)

    named = Scene.from_stage(path, bodies={"/World/hand": "hand:right"}).bodies[0]
    assert named.body.kind == "hand" and not named.known
    np.testing.assert_allclose(named.initial.joints, poses["hand"].joints, atol=1e-5)
    assert_same_motion(named.initial, poses["hand"])


def test_the_shape_and_size_of_a_named_model_are_found(tmp_path):
    """A model with shape parameters, 1.2 times as large, from where its joints are."""
    body = make_arm(bends=True)
    scene = make_scene(arm=body)
    poses = moved(scene)
    poses["arm"] = replace(poses["arm"], scale=1.2, shape=np.array([0.4, -0.3]))
    export_usd(scene, poses, tmp_path / "s.usdc")
    item = Scene.from_stage(tmp_path / "s.usdc", bodies={"/World/arm": body}).bodies[0]
    assert item.initial.scale == pytest.approx(1.2, abs=1e-3)
    found, wanted = posed_vertices(item.body, item.initial), posed_vertices(body, poses["arm"])
    assert np.abs(found - wanted).max() < 2e-3
    np.testing.assert_allclose(item.initial.joints, poses["arm"].joints, atol=2e-3)


@pytest.mark.parametrize("gravity", [True, False])
def test_a_camera_that_moves_comes_back_with_its_world(tmp_path, gravity):
    """Poses camera_from_body, the camera's own way but for where its world begins, and where things fall."""
    scene = make_scene()
    world = moving_camera()
    scene = replace(scene, world=world if gravity else replace(world, gravity=None))
    export_usd(scene, moved(scene), tmp_path / "s.usdc")
    found = Scene.from_stage(tmp_path / "s.usdc")
    assert_same_motion(found.bodies[0].initial, scene.bodies[0].initial)
    ways = [CameraPath(path.position, path.rotation).from_its_first() for path in (found.world.camera, world.camera)]
    assert_same_motion(*ways)
    if not gravity:
        assert found.world.gravity is None
        return
    ours = Rotation.from_quat(found.world.camera.rotation[2]).inv().apply(found.world.gravity)
    theirs = Rotation.from_quat(world.camera.rotation[2]).inv().apply(world.gravity)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("y_up", [True, False])
@pytest.mark.parametrize("unit", [0.01, 1.0])
@pytest.mark.parametrize("moves", [True, False])
def test_units_and_axes_of_the_stage_make_no_difference(tmp_path, y_up, unit, moves):
    """A box, a robot by its links and a camera, restaged with y up and in centimetres; the world falls along -y."""
    scene = make_scene(arm=make_arm())
    scene = replace(scene, world=moving_camera() if moves else None)
    export_usd(scene, moved(scene), tmp_path / "s.usdc")
    found = Scene.from_stage(restaged(tmp_path / "s.usdc", tmp_path, y_up=y_up, unit=unit))
    for item in found.bodies:
        given = scene.body(item.name)
        assert_same_motion(item.initial, given.initial)
        np.testing.assert_allclose(item.initial.joints, given.initial.joints, atol=1e-5)
    np.testing.assert_allclose(found.body("box").body.vertices, scene.body("box").body.vertices, atol=1e-8)
    assert_same_camera(found.camera, CAMERA)
    if moves:
        falls = [0.0, -1.0, 0.0] if y_up else [0.0, 0.0, -1.0]
    else:
        falls = [0.0, 1.0, 0.0]  # the frame of a camera that stands is the world: y down
    np.testing.assert_allclose(found.world.gravity, falls, atol=1e-6)


@pytest.mark.parametrize("unit", [0.01, 1.0])
def test_an_articulation_in_another_unit_is_the_same_robot(tmp_path, unit):
    """Joint frames, limits and positions of slides are in the stage's lengths, those of hinges are not."""
    scene, poses = make_gripper_scene(tmp_path)
    export_usd(scene, poses, tmp_path / "s.usdc", options=ARTICULATED)
    path = restaged(tmp_path / "s.usdc", tmp_path, y_up=True, unit=unit)
    stage = Usd.Stage.Open(str(path))
    for prim in stage.Traverse():  # joints are said in units of the stage, links are scaled above
        if prim.GetTypeName() == "PhysicsPrismaticJoint":
            for name in ("state:linear:physics:position", "physics:lowerLimit", "physics:upperLimit"):
                attribute = prim.GetAttribute(name)
                for time in (Usd.TimeCode.Default(), *map(Usd.TimeCode, attribute.GetTimeSamples())):
                    attribute.Set(attribute.Get(time) / unit, time)
    (item,) = Scene.from_stage(stage).bodies
    np.testing.assert_allclose(item.initial.joints, poses["gripper"].joints, atol=1e-5)
    np.testing.assert_allclose(item.body.upper, scene.bodies[0].body.upper, atol=1e-6)
    found, wanted = (
        link_transforms(b, p) for b, p in ((item.body, item.initial), (scene.bodies[0].body, poses["gripper"]))
    )
    names = list(scene.bodies[0].body.link_names)
    order = [names.index(name) for name in item.body.link_names]
    np.testing.assert_allclose(found[..., :3], wanted[:, order, :3], atol=2e-6)


def test_frames_follow_the_rate_and_what_lies_between_samples_is_said(tmp_path):
    """A stage of 60 time codes per second at 30 frames; a gap of samples is interpolated and marked."""
    stage = Usd.Stage.CreateNew(str(tmp_path / "s.usda"))
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetTimeCodesPerSecond(60.0)
    stage.SetFramesPerSecond(30.0)
    stage.SetStartTimeCode(10.0)
    stage.SetEndTimeCode(22.0)
    mug = UsdGeom.Xform.Define(stage, "/mug")
    cube = UsdGeom.Cube.Define(stage, "/mug/cube")
    cube.CreateSizeAttr(0.1)
    place = mug.AddTranslateOp()
    for code in (10.0, 12.0, 20.0, 22.0):
        place.Set(Gf.Vec3d(code, 0.0, 0.0), code)
    stage.Save()
    scene = Scene.from_stage(tmp_path / "s.usda")
    (item,) = scene.bodies
    assert scene.fps == 30.0 and scene.frame_count == 7
    steps = np.linalg.norm(np.diff(item.initial.position, axis=0), axis=1)
    np.testing.assert_allclose(steps, 2.0, atol=1e-9)
    assert item.initial.imputed.tolist() == [False, False, True, True, True, False, False]
    assert any("3 of 7 frames have no sample" in note for note in scene.warnings)
    assert any("2 time codes apart" in note for note in scene.warnings)
    assert Scene.from_stage(tmp_path / "s.usda", fps=60.0).frame_count == 13


def test_labels_beside_a_stage_are_observed(tmp_path):
    """Label images by their names; their size is the camera's, whose lens scales with them."""
    import cv2

    scene = make_scene()
    export_usd(scene, moved(scene), tmp_path / "s.usdc")
    (tmp_path / "labels").mkdir()
    for frame, image in enumerate(scene.labels):
        large = np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)
        cv2.imwrite(str(tmp_path / "labels" / f"{frame:04d}.png"), large)
    found = Scene.from_stage(tmp_path / "s.usdc", labels="labels/{:04d}.png")
    assert found.labels.shape == (5, 2 * CAMERA.height, 2 * CAMERA.width)
    np.testing.assert_array_equal(found.labels[:, ::2, ::2], scene.labels)
    assert found.camera.fx == pytest.approx(2.0 * CAMERA.fx) and found.camera.cy == pytest.approx(2.0 * CAMERA.cy)
    with pytest.raises(InputError, match="one frame number"):
        Scene.from_stage(tmp_path / "s.usdc", labels="labels/0000.png")


def test_apertures_alone_make_the_camera(tmp_path):
    """Without the lens schema focal length, apertures and offsets give the intrinsics, for pictures of any size."""
    scene = make_scene()
    export_usd(scene, moved(scene), tmp_path / "s.usda")
    stage = Usd.Stage.Open(str(tmp_path / "s.usda"))
    prim = stage.GetPrimAtPath("/World/Camera")
    prim.RemoveProperty("omni:lensdistortion:model")
    found = Scene.from_stage(stage, intrinsics=None, rgb=None)
    assert found.camera.width == 1280 and any("size of pictures is not said" in note for note in found.warnings)
    for name, size in (("fx", CAMERA.width), ("cx", CAMERA.width)):
        assert getattr(found.camera, name) * size / 1280 == pytest.approx(getattr(CAMERA, name), abs=1e-4)
    prim.GetAttribute("focalLength").Set(0.5, 0.0)
    prim.GetAttribute("focalLength").Set(0.6, 3.0)
    with pytest.raises(InputError, match="focalLength changes over time"):
        Scene.from_stage(stage)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bodies": {"/World/nothing": "mesh"}}, "has no prim '/World/nothing'"),
        ({"bodies": {"/World/box": "ball"}}, "hand:left"),
        ({"bodies": {"/World/box": "skin"}}, "has no skinned mesh"),
        ({"bodies": {"/World/box": "hand:right"}}, "no frame for"),
        ({"camera": "/World/Eye"}, "its cameras are /World/Camera"),
        ({"known": ["mug"]}, "bodies are box"),
        ({"num_frames": 3}, "has 5 frames"),
        ({"bodies": {}}, "names none"),
    ],
)
def test_what_is_not_there_is_refused_by_name(tmp_path, change, said):
    """Prims, kinds, cameras and bodies that a stage has not, with what it has."""
    scene = make_scene()
    export_usd(scene, moved(scene), tmp_path / "s.usdc")
    with pytest.raises(InputError, match=said):
        Scene.from_stage(tmp_path / "s.usdc", **change)


def test_a_body_that_changes_its_size_is_a_surface_at_every_frame(tmp_path):
    """A scale that grows over time is no pose; the surface is given at every frame, and it is said."""
    stage = new_stage()
    cube = UsdGeom.Cube.Define(stage, "/ball")
    cube.CreateSizeAttr(0.1)
    size = cube.AddScaleOp()
    for frame in range(3):
        size.Set(Gf.Vec3f(1.0 + frame), float(frame))
    found = Scene.from_stage(stage)
    assert found.bodies[0].body.kind == "vertices"
    sizes = [np.ptp(places, axis=0).max() for places in found.bodies[0].body.animation]
    np.testing.assert_allclose(np.array(sizes) / sizes[0], [1.0, 2.0, 3.0], rtol=1e-5)
    assert any("change their size" in note for note in found.warnings)


def test_a_mirrored_and_left_handed_mesh_still_looks_outwards(tmp_path):
    """A negative scale and left-handed faces turn the surface inside out by themselves, and both not at all."""
    for mirrored in (False, True):
        for left in (False, True):
            stage = new_stage()
            frame = UsdGeom.Xform.Define(stage, "/thing")
            move = frame.AddTranslateOp()
            for code in range(2):
                move.Set(Gf.Vec3d(0.1 * code, 0, 0), float(code))
            mesh = UsdGeom.Mesh.Define(stage, "/thing/mesh")
            box = make_box()
            points = box.vertices * ([-1.0, 1.0, 1.0] if mirrored else [1.0, 1.0, 1.0])
            faces = box.faces[:, ::-1] if left != mirrored else box.faces
            mesh.CreatePointsAttr([Gf.Vec3f(*row) for row in points.tolist()])
            mesh.CreateFaceVertexCountsAttr([3] * len(faces))
            mesh.CreateFaceVertexIndicesAttr(faces.ravel().tolist())
            mesh.CreateOrientationAttr("leftHanded" if left else "rightHanded")
            mesh.CreateSubdivisionSchemeAttr("none")
            if mirrored:
                mesh.AddScaleOp().Set(Gf.Vec3f(-1.0, 1.0, 1.0))
            (item,) = Scene.from_stage(stage).bodies
            assert not any("turned" in note or "inside out" in note for note in item.body.warnings)
            corners = item.body.vertices[item.body.faces].astype(np.float64)
            assert np.linalg.det(corners).sum() > 0.0 and item.body.closed
            np.testing.assert_allclose(np.ptp(item.body.vertices, axis=0), np.ptp(box.vertices, axis=0), atol=1e-7)


def test_an_animated_stage_without_a_camera_gets_one_that_sees_everything(tmp_path):
    """It is said, bodies are in front of it, and things fall down in its picture."""
    stage = new_stage()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    ball = UsdGeom.Sphere.Define(stage, "/ball")
    ball.CreateRadiusAttr(0.1)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    move = ball.AddTranslateOp()
    for code in range(4):
        move.Set(Gf.Vec3d(0.0, 1.0 - 0.1 * code**2, 0.0), float(code))
    scene = Scene.from_stage(stage)
    assert any("no camera" in note for note in scene.warnings)
    places = scene.bodies[0].initial.position
    assert (places[:, 2] > 0.3).all()
    pixels = places[:, :2] / places[:, 2:] * scene.camera.fx + [scene.camera.cx, scene.camera.cy]
    assert (np.diff(pixels[:, 1]) > 0.0).all() and (pixels > 0.0).all()
    assert (pixels < [scene.camera.width, scene.camera.height]).all()
    assert scene.world.gravity[1] > 0.0


def test_a_unit_that_nobody_says_is_said():
    """Without metersPerUnit USD means centimetres, which the notes say."""
    stage = Usd.Stage.CreateInMemory()
    ball = UsdGeom.Sphere.Define(stage, "/ball")
    ball.CreateRadiusAttr(5.0)
    ball.AddTranslateOp().Set(Gf.Vec3d(0, 0, 0), 0.0)
    ball.GetPrim().GetAttribute("xformOp:translate").Set(Gf.Vec3d(10.0, 0, 0), 1.0)
    scene = Scene.from_stage(stage)
    assert any("0.01 metres per unit" in note for note in scene.warnings)
    (item,) = scene.bodies
    np.testing.assert_allclose(np.ptp(item.body.vertices, axis=0), 0.1, rtol=0.01)
    assert np.linalg.norm(np.diff(item.initial.position, axis=0)) == pytest.approx(0.1)


def test_static_things_are_left_out_with_a_sentence(tmp_path):
    """A table that nothing says moves is named among what was left out; alone it is refused with its name."""
    stage = new_stage()
    UsdGeom.Cube.Define(stage, "/table").CreateSizeAttr(0.5)
    with pytest.raises(InputError, match="/table"):
        Scene.from_stage(stage)
    ball = UsdGeom.Sphere.Define(stage, "/ball")
    ball.CreateRadiusAttr(0.1)
    move = ball.AddTranslateOp()
    move.Set(Gf.Vec3d(0, 0, 0), 0.0)
    move.Set(Gf.Vec3d(1, 0, 0), 5.0)
    scene = Scene.from_stage(stage)
    assert [item.name for item in scene.bodies] == ["ball"]
    assert any("left out" in note and "/table" in note for note in scene.warnings)
    assert len(Scene.from_stage(stage, bodies={"/table": None, "/ball": "mesh"}).bodies) == 2


def test_a_hidden_layer_of_edits_is_read_and_kept(tmp_path):
    """What is overridden in the session layer of an open stage is what is seen, and stays as it is."""
    scene = make_scene()
    export_usd(scene, moved(scene), tmp_path / "s.usda")
    stage = Usd.Stage.Open(str(tmp_path / "s.usda"))
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        stage.GetPrimAtPath("/World/box").SetDisplayName("mug")
    before = stage.GetSessionLayer().ExportToString()
    assert Scene.from_stage(stage).bodies[0].name == "mug"
    assert stage.GetSessionLayer().ExportToString() == before
    assert stage.GetEditTarget().GetLayer() == stage.GetRootLayer()
    assert Sdf.Layer.Find(str(tmp_path / "s.usda")) is not None


def test_poses_of_bodies_without_samples_are_repeated(tmp_path):
    """A body that does not move has the same pose in every frame."""
    scene = make_scene()
    still = make_box_poses().frames(np.zeros(5, dtype=int))
    still = Poses(still.position, still.rotation, still.joints)
    other = SceneBody(replace(make_box("other"), colors=np.full((8, 3), 0.25, np.float32)), 2, True, still)
    scene = replace(scene, bodies=(*scene.bodies, other))
    export_usd(scene, moved(scene), tmp_path / "s.usdc")
    found = Scene.from_stage(tmp_path / "s.usdc").body("other")
    assert found.known
    assert_same_motion(found.initial, still)
    np.testing.assert_allclose(found.body.colors, 0.25, atol=1e-6)
