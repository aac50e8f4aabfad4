"""UsdSkel characters of others: joints, weights and poses, hands of WebXR, and a surface where that is asked for."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from warpprior.bodies import link_transforms, posed_vertices
from warpprior.bodies.readers import webxr
from warpprior.io import save_scene
from warpprior.scene import Scene
from warpprior.support.errors import InputError

pytest.importorskip("pxr", reason="OpenUSD is not installed")
from pxr import Gf, Usd, UsdGeom, UsdSkel, Vt

from warpprior.usd.reading import read_stage

FRAMES = 4


def matrices(turns, places):
    """Rotations and places (..., 3) as (..., 4, 4)."""
    found = np.zeros((*np.shape(places)[:-1], 4, 4))
    found[..., :3, :3], found[..., :3, 3], found[..., 3, 3] = turns.as_matrix(), places, 1.0
    return found


def row_vectors(values):
    """Matrices (n, 4, 4) of columns as USD has them."""
    return Vt.Matrix4dArray([Gf.Matrix4d(*matrix.T.ravel().tolist()) for matrix in values])


def character(joints, bind, local, points, faces, links, weights, *, unit=1.0, place=None):
    """A stage with a SkelRoot as others write it: Y up, bind in the world, an animation beside the mesh.

    Args:
        joints: paths.
        bind: skeleton_from_joint (joint, 4, 4).
        local: parent_from_joint (frame, joint, 4, 4).
        points, faces: the mesh as it was bound.
        links, weights: (vertex, k).
        unit: metres per unit; all lengths above are in it.
        place: world_from_root (4, 4) of the SkelRoot.
    """
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, unit)
    stage.SetTimeCodesPerSecond(30)
    stage.SetStartTimeCode(1)
    stage.SetEndTimeCode(len(local))
    root = UsdSkel.Root.Define(stage, "/Character")
    stage.SetDefaultPrim(root.GetPrim())
    if place is not None:
        UsdGeom.Xformable(root).AddTransformOp().Set(Gf.Matrix4d(*place.T.ravel().tolist()))
    skeleton = UsdSkel.Skeleton.Define(stage, "/Character/Rig")
    skeleton.CreateJointsAttr(joints)
    skeleton.CreateBindTransformsAttr(row_vectors(bind))
    skeleton.CreateRestTransformsAttr(row_vectors(local[0]))
    animation = UsdSkel.Animation.Define(stage, "/Character/Rig/Take")
    animation.CreateJointsAttr(joints)
    for frame, rows in enumerate(local):
        turns = Rotation.from_matrix(rows[:, :3, :3]).as_quat().tolist()
        animation.CreateRotationsAttr().Set(Vt.QuatfArray([Gf.Quatf(w, x, y, z) for x, y, z, w in turns]), frame + 1)
        places = rows[:, :3, 3].astype(np.float32)
        animation.CreateTranslationsAttr().Set(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(places)), frame + 1)
    animation.CreateScalesAttr(Vt.Vec3hArray([Gf.Vec3h(1, 1, 1)] * len(joints)))
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    mesh = UsdGeom.Mesh.Define(stage, "/Character/Body")
    mesh.CreateSubdivisionSchemeAttr("none")
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(points, np.float32)))
    mesh.CreateFaceVertexCountsAttr([3] * len(faces))
    mesh.CreateFaceVertexIndicesAttr(np.ravel(faces).tolist())
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    binding.CreateJointIndicesPrimvar(False, links.shape[1]).Set(np.ravel(links).tolist())
    binding.CreateJointWeightsPrimvar(False, links.shape[1]).Set(np.ravel(weights).tolist())
    return stage


def baked(stage, code):
    """Points of the mesh as UsdSkel itself moves them, in the world of the stage [m]."""
    copy = Usd.Stage.Open(stage.Flatten())
    UsdSkel.BakeSkinning(copy.Traverse(), Gf.Interval(1, FRAMES))
    mesh = UsdGeom.Mesh.Get(copy, "/Character/Body")
    placed = np.array(UsdGeom.XformCache(code).GetLocalToWorldTransform(mesh.GetPrim()))
    points = np.asarray(mesh.GetPointsAttr().Get(code), np.float64)
    return UsdGeom.GetStageMetersPerUnit(stage) * (points @ placed[:3, :3] + placed[3, :3])


def tube(rings, height, radius):
    """A closed tube along y with rings of eight, from below to above."""
    angles = 2.0 * np.pi * np.arange(8) / 8
    levels = np.linspace(0.0, height, rings)
    points = np.array([[radius * np.cos(a), y, radius * np.sin(a)] for y in levels for a in angles])
    faces = []
    for ring in range(rings - 1):
        for k in range(8):
            a, b = 8 * ring + k, 8 * ring + (k + 1) % 8
            faces += [[a, a + 8, b], [b, a + 8, b + 8]]
    faces += [[0, k, k + 1] for k in range(1, 7)]
    top = 8 * (rings - 1)
    faces += [[top, top + k + 1, top + k] for k in range(1, 7)]
    return points, np.array(faces)


def bending_tube(*, unit=1.0, root_moves=True, place=None):
    """A tube of three joints below one that nothing follows; its hips go about."""
    joints = ["World", "World/hips", "World/hips/spine", "World/hips/spine/neck"]
    rng = np.random.default_rng(0)
    offsets = np.array([[0.0, 0.0, 0.0], [0.0, 0.02, 0.0], [0.0, 0.1, 0.0], [0.0, 0.1, 0.0]]) / unit
    rest = matrices(Rotation.from_rotvec(rng.normal(size=(4, 3)) * [[0.0], [0.3], [0.2], [0.1]]), offsets)
    bind = rest.copy()
    for joint in range(1, 4):
        bind[joint] = bind[joint - 1] @ rest[joint]
    local = np.tile(rest, (FRAMES, 1, 1, 1))
    for frame in range(FRAMES):
        turns = Rotation.from_rotvec(0.2 * frame * rng.normal(size=(4, 3)) * [[0.0], [1.0], [1.0], [1.0]])
        local[frame, :, :3, :3] = rest[:, :3, :3] @ turns.as_matrix()
        if root_moves:
            local[frame, 1, :3, 3] += np.array([0.05, 0.02, 0.0]) * frame / unit
    points, faces = tube(9, 0.3 / unit, 0.03 / unit)
    share = np.clip(points[:, 1] * unit / 0.3 * 2.0, 0.0, 2.0)
    low = np.minimum(share.astype(int), 1)
    links = np.stack([1 + low, 2 + low], axis=1)
    weights = np.stack([1.0 - (share - low), share - low], axis=1)
    return character(joints, bind, local, points, faces, links, weights, unit=unit, place=place)


@pytest.mark.parametrize("unit", [1.0, 0.01])
@pytest.mark.parametrize("form", ["skin", "vertices"])
def test_a_character_moves_as_usd_moves_it(unit, form):
    """The surface at every frame is that of USD's own skinning, as joints with poses and as points."""
    place = matrices(Rotation.from_rotvec([0.2, 0.5, -0.1]), np.array([0.3, -0.2, 0.1]) / unit)
    stage = bending_tube(unit=unit, place=place)
    found = read_stage(stage, bodies={"/Character": form})
    (item,) = found.scene.bodies
    assert item.body.kind == form and item.known == (form == "vertices")
    surface = posed_vertices(item.body, item.initial)
    # The scene's camera is made up; where it is follows from any three points, so distances tell all.
    for frame in range(FRAMES):
        wanted = baked(stage, frame + 1)
        apart = np.linalg.norm(wanted[:, None] - wanted[None], axis=-1)
        seen = np.linalg.norm(surface[frame][:, None] - surface[frame][None], axis=-1)
        np.testing.assert_allclose(seen, apart, atol=2e-6)
    middle = np.array([baked(stage, frame + 1).mean(axis=0) for frame in range(FRAMES)])
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(surface.mean(axis=1), axis=0), axis=1),
        np.linalg.norm(np.diff(middle, axis=0), axis=1),
        atol=2e-6,
    )
    if form == "skin":
        assert item.body.link_names == ("hips", "spine", "neck")
        assert not any("away from where they were bound" in note for note in found.scene.warnings)


def test_a_character_is_guessed_and_joints_that_leave_their_place_are_said():
    """A SkelRoot is a skin; a joint below another one that moves away cannot be, and by how far is said."""
    stage = bending_tube()
    assert Scene.from_stage(stage).bodies[0].body.kind == "skin"
    animation = UsdSkel.Animation.Get(stage, "/Character/Rig/Take")
    places = animation.GetTranslationsAttr().Get(2)
    places[3] = places[3] + Gf.Vec3f(0.0, 0.05, 0.0)
    animation.GetTranslationsAttr().Set(places, 2)
    notes = Scene.from_stage(stage).warnings
    assert any("move up to 50 mm away" in note for note in notes)


def webxr_hand(dashes):
    """A hand with WebXR's joints side by side, each a short bar of its own; and where joints are by frame."""
    names = list(webxr.JOINT_NAMES)
    rng = np.random.default_rng(1)
    places = {"wrist": np.zeros(3)}
    for number, chain in enumerate(webxr.CHAINS.values()):
        side = 0.02 * (2 - number)
        for step, name in enumerate(chain):
            places[name] = np.array([-side, 0.0, -0.03 * (step + 1)])
    bind = matrices(Rotation.identity(len(names)), np.array([places[name] for name in names]))
    world = np.tile(bind, (FRAMES, 1, 1, 1))
    parents = [names.index(webxr.PARENTS[name]) if name in webxr.PARENTS else -1 for name in names]
    for frame in range(FRAMES):
        turns = 0.3 * frame * rng.normal(size=(len(names), 3)) * [-1.0, 0.1, 0.0]
        for joint, parent in enumerate(parents):
            own = matrices(Rotation.from_rotvec(turns[joint]), np.zeros(3))
            if parent < 0:
                world[frame, joint] = matrices(
                    Rotation.from_rotvec(0.1 * turns[joint]), np.array([0.0, 0.01 * frame, 0])
                )
            else:
                world[frame, joint] = world[frame, parent] @ np.linalg.inv(bind[parent]) @ bind[joint] @ own
    points, faces, links = [], [], []
    bar, sides = tube(2, 0.02, 0.006)
    for joint in range(len(names)):
        faces.append(sides + len(bar) * joint)
        points.append(bar @ Rotation.from_rotvec([-np.pi / 2, 0, 0]).as_matrix().T + bind[joint, :3, 3])
        links += [[joint]] * len(bar)
    joints = names if dashes else [name.replace("-", "_") for name in names]
    links = np.array(links)
    stage = character(joints, bind, world, np.concatenate(points), np.concatenate(faces), links, np.ones(links.shape))
    return stage, names, world


def test_a_webxr_hand_is_known_by_its_joints():
    """25 joints side by side: they hang together as a hand does, with a side, keypoints, limits and a prior."""
    stage, names, world = webxr_hand(False)
    found = read_stage(stage)
    (item,) = found.scene.bodies
    body = item.body
    assert body.kind == "skin" and body.side == "right" and body.keypoint_count == 21
    assert body.pose_prior is not None and set(body.link_names) >= set(names)
    links = link_transforms(body, item.initial).astype(np.float64)
    wrist = body.link_names.index("wrist")
    for name in ("index-finger-tip", "thumb-tip", "pinky-finger-phalanx-distal"):
        row = body.link_names.index(name)
        seen = np.linalg.norm(links[:, row, :3] - links[:, wrist, :3], axis=1)
        given = np.linalg.norm(world[:, names.index(name), :3, 3] - world[:, 0, :3, 3], axis=1)
        np.testing.assert_allclose(seen, given, atol=2e-6)


def test_damaged_skins_are_refused_in_a_sentence():
    """Influences beyond the joints, too few of them, and transforms that are not finite."""
    stage = bending_tube()
    binding = UsdSkel.BindingAPI(stage.GetPrimAtPath("/Character/Body"))
    rows = list(binding.GetJointIndicesPrimvar().Get())
    binding.GetJointIndicesPrimvar().Set([77, *rows[1:]])
    with pytest.raises(InputError, match="joints that are not there"):
        Scene.from_stage(stage, bodies={"/Character": "skin"})
    binding.GetJointIndicesPrimvar().Set(rows[:-2])
    with pytest.raises(InputError, match="/Character"):
        Scene.from_stage(stage, bodies={"/Character": "skin"})
    stage = bending_tube()
    UsdSkel.Skeleton.Get(stage, "/Character/Rig").GetBindTransformsAttr().Set(
        Vt.Matrix4dArray([Gf.Matrix4d(np.nan)] * 4)
    )
    with pytest.raises(InputError, match="not finite"):
        Scene.from_stage(stage, bodies={"/Character": "skin"})


def test_a_character_cannot_become_a_scene_folder(tmp_path):
    """There is no file of it to copy; what to do instead is said, and no folder is left."""
    scene = Scene.from_stage(bending_tube(), bodies={"/Character": "skin"})
    with pytest.raises(InputError, match="kind skin are copied.*take the stage in place of a scene folder"):
        save_scene(scene, tmp_path / "scene")
    assert not (tmp_path / "scene").exists()
