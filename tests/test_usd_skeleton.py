"""Bodies that bend as UsdSkel characters: OpenUSD's surface is our own, and points stay what is seen first."""

from dataclasses import replace

import numpy as np
import pytest
from body_samples import make_motion, make_tree_body
from glb_files import finger
from mano_files import mano_arrays
from result_samples import make_scene
from stage_samples import issues_of, make_hand_scene

from warpprior.bodies import posed_vertices, read_mano, read_skin
from warpprior.scene import Poses, SceneBody
from warpprior.usd import StageOptions, check_stage, export_usd
from warpprior.usd.camera import WORLD_FROM_CAMERA
from warpprior.usd.samples import in_world

pytest.importorskip("pxr", reason="OpenUSD is not installed")
from pxr import Gf, Usd, UsdGeom, UsdSkel, Vt

FRAMES = 4


def hand(_folder):
    """Our own hand in motion."""
    scene, poses = make_hand_scene(FRAMES)
    joints = poses["hand"].joints * np.linspace(0.3, 1.0, FRAMES)[:, None]
    return scene.bodies[0].body, replace(poses["hand"], joints=joints)


def moved(body):
    """A body in a motion of large angles, with a shape and a size of its own."""
    motion = make_motion(body, FRAMES, angle=1.2)
    poses, scale = motion["poses"].astype(np.float64), float(motion["scale"][0])
    return body, Poses(poses[:, :3], poses[:, 3:], motion["joints"].astype(np.float64), motion["shape"], scale)


def mano(folder):
    """A made-up model in MANO's layout: pose correctives, 16 influences."""
    arrays = mano_arrays()
    arrays["weights"] = 0.9 * arrays["weights"] + 0.1 / 16.0  # the published ones are smooth, too
    np.savez(folder / "hand.npz", **arrays)
    return moved(read_mano(folder / "hand.npz", "hand"))


def skin(folder):
    """A skinned GLB file."""
    (folder / "finger.glb").write_bytes(finger().data())
    return moved(read_skin(folder / "finger.glb", "hand"))


def tree(_folder):
    """Every kind of joint, mimics and pose correctives."""
    return moved(replace(make_tree_body(), name="hand"))


def export(folder, body, poses, **options):
    """The stage with a rig, which passes every check, ours and others', in either variant."""
    scene = replace(make_scene(FRAMES), bodies=(SceneBody(body, 1, False, poses, poses),))
    export_usd(scene, {"hand": poses}, folder / "a.usdc", options=StageOptions(hand_rig="skel", **options))
    assert check_stage(folder / "a.usdc") == []
    return Usd.Stage.Open(str(folder / "a.usdc"))


def export_rig(folder, sample):
    """The stage of a sample with the rig selected."""
    stage = export(folder, *sample(folder))
    choose(stage, "skel")
    return stage


def choose(stage, name):
    """Select a representation of the hand."""
    stage.GetPrimAtPath("/World/hand").GetVariantSets().GetVariantSet("handRepresentation").SetVariantSelection(name)


@pytest.mark.parametrize("sample", [hand, mano, skin, tree], ids=lambda sample: sample.__name__)
def test_openusd_skins_as_we_do(tmp_path, sample):
    """BakeSkinning gives our vertices to 10 um at every frame."""
    body, poses = sample(tmp_path)
    stage = export(tmp_path, body, poses)
    choose(stage, "skel")
    assert not stage.GetPrimAtPath("/World/hand/hand")
    assert UsdSkel.BakeSkinning(stage.Traverse(), Gf.Interval(0, FRAMES - 1))
    points = UsdGeom.Mesh.Get(stage, "/World/hand/Rig/hand").GetPointsAttr()
    expected = in_world(np.array(WORLD_FROM_CAMERA), posed_vertices(body, poses))
    place = UsdGeom.XformCache()
    for frame in range(FRAMES):
        place.SetTime(frame)
        matrix = np.array(place.GetLocalToWorldTransform(points.GetPrim()))
        found = np.asarray(points.Get(frame), np.float64) @ matrix[:3, :3] + matrix[3, :3]
        np.testing.assert_allclose(found, expected[frame], atol=1e-5)


def test_points_are_the_default(tmp_path):
    """Who chooses nothing sees points, with their heat; the rig has no animated primvar, and all that readers need."""
    body, poses = mano(tmp_path)
    scene = replace(make_scene(FRAMES), bodies=(SceneBody(body, 1, False, poses, poses),))
    heat = {"hand": np.tile(np.linspace(0.0, 1.0, body.vertex_count), (FRAMES, 1)) * [[0.2], [0.5], [0.8], [1.0]]}
    export_usd(scene, {"hand": poses}, tmp_path / "a.usdc", heat=heat, options=StageOptions(hand_rig="skel"))
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    choices = stage.GetPrimAtPath("/World/hand").GetVariantSets().GetVariantSet("handRepresentation")
    assert choices.GetVariantNames() == ["points", "skel"] and choices.GetVariantSelection() == "points"
    assert stage.GetPrimAtPath("/World/hand/hand") and not stage.GetPrimAtPath("/World/hand/Rig")
    assert UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/hand/hand")).GetPrimvar("contact")
    assert stage.GetPrimAtPath("/World/hand/Joints/wrist")
    choose(stage, "skel")
    mesh = stage.GetPrimAtPath("/World/hand/Rig/hand")
    primvars = UsdGeom.PrimvarsAPI(mesh).GetPrimvarsWithAuthoredValues()
    assert not any(primvar.ValueMightBeTimeVarying() for primvar in primvars)
    assert UsdSkel.BindingAPI(mesh).GetJointIndicesPrimvar().GetElementSize() == 16
    animation = UsdSkel.Animation.Get(stage, "/World/hand/Rig/Skeleton/Animation")
    weights = np.array([animation.GetBlendShapeWeightsAttr().Get(frame) for frame in range(FRAMES)])
    assert weights.shape == (FRAMES, 270) and weights.min() == 0.0 and 0.0 < weights.max() <= 1.0
    assert len(animation.GetScalesAttr().Get()) == 16
    root = UsdSkel.Root.Get(stage, "/World/hand/Rig")
    for frame in range(FRAMES):
        box = UsdGeom.Boundable.ComputeExtentFromPlugins(root, frame)
        np.testing.assert_allclose(root.GetExtentAttr().Get(frame), box, atol=1e-6)


def test_only_rigs_that_are_asked_for(tmp_path):
    """No rig by default; one of a licensed model says so, one of our own hand need not."""
    body, poses = mano(tmp_path)
    stage = export(tmp_path, body, poses)
    choose(stage, "skel")
    assert "MANO" in stage.GetPrimAtPath("/World/hand/Rig").GetCustomDataByKey("warpprior:licence")
    scene = replace(make_scene(FRAMES), bodies=(SceneBody(body, 1, False, poses, poses),))
    export_usd(scene, {"hand": poses}, tmp_path / "b.usdc")
    assert not Usd.Stage.Open(str(tmp_path / "b.usdc")).GetPrimAtPath("/World/hand").HasVariantSets()


def test_rigs_of_our_own_hand_need_no_licence(tmp_path):
    """The sentence is for models of others alone."""
    stage = export_rig(tmp_path, hand)
    assert stage.GetPrimAtPath("/World/hand/Rig").GetCustomDataByKey("warpprior:licence") is None


@pytest.mark.parametrize("variant", ["points", "skel"])
@pytest.mark.parametrize("sample", [hand, mano], ids=lambda sample: sample.__name__)
def test_validators_say_nothing(tmp_path, sample, variant):
    """OpenUSD's validators and NVIDIA's find neither an error nor a warning in either representation."""
    stage = export(tmp_path, *sample(tmp_path))
    choose(stage, variant)
    stage.Save()
    assert issues_of(stage, tmp_path / "a.usdc") == []


def _spoil_index(stage):
    indices = UsdSkel.BindingAPI(stage.GetPrimAtPath("/World/hand/Rig/hand")).GetJointIndicesPrimvar()
    values = np.array(indices.Get())
    values[3] = 77
    indices.Set(Vt.IntArray.FromNumpy(values))


def _spoil_weights(stage):
    weights = UsdSkel.BindingAPI(stage.GetPrimAtPath("/World/hand/Rig/hand")).GetJointWeightsPrimvar()
    weights.Set(Vt.FloatArray.FromNumpy(0.9 * np.array(weights.Get(), np.float32)))


def _spoil_scales(stage):
    stage.GetPrimAtPath("/World/hand/Rig/Skeleton/Animation").GetAttribute("scales").Block()


def _spoil_turns(stage):
    animation = UsdSkel.Animation.Get(stage, "/World/hand/Rig/Skeleton/Animation")
    animation.GetRotationsAttr().Set(animation.GetRotationsAttr().Get(1)[:-1], 1)


def _spoil_shapes(stage):
    prim = UsdSkel.BindingAPI(stage.GetPrimAtPath("/World/hand/Rig/hand"))
    prim.GetBlendShapeTargetsRel().SetTargets(prim.GetBlendShapeTargetsRel().GetTargets()[1:])


def _spoil_bind(stage):
    skeleton = UsdSkel.Skeleton.Get(stage, "/World/hand/Rig/Skeleton")
    skeleton.GetBindTransformsAttr().Set(skeleton.GetBindTransformsAttr().Get()[1:])


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (_spoil_index, "primvars:skel:jointIndices"),
        (_spoil_weights, "primvars:skel:jointWeights"),
        (_spoil_scales, "scales"),
        (_spoil_turns, "rotations at 1"),
        (_spoil_shapes, "skel:blendShapes"),
        (_spoil_bind, "bindTransforms"),
    ],
    ids=lambda value: value.__name__[7:] if callable(value) else "",
)
def test_check_finds(tmp_path, spoil, what):
    """Faults of a rig are found although points are selected, at the place where they are."""
    stage = export_rig(tmp_path, mano)
    variant = stage.GetPrimAtPath("/World/hand").GetVariantSets().GetVariantSet("handRepresentation")
    with variant.GetVariantEditContext():
        spoil(stage)
    variant.SetVariantSelection("points")
    stage.Save()
    findings = check_stage(tmp_path / "a.usdc")
    assert what in [finding.what for finding in findings]
    assert all("{handRepresentation=skel}" in finding.prim for finding in findings)
