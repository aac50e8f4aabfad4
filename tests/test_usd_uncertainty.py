"""Uncertainty in a stage: it is the covariance of the pose along the world's axes, and the stage stays sound."""

from dataclasses import replace

import numpy as np
import pytest
from result_samples import make_arm, make_scene
from scipy.spatial.transform import Rotation

from warpprior.support.errors import InputError
from warpprior.uncertainty import POSITION_LIMIT, TURN_LIMIT
from warpprior.usd import check_stage, export_usd

pytest.importorskip("pxr", reason="OpenUSD is not installed")
from pxr import Usd, UsdGeom

WORLD_FROM_CAMERA = (0.3, 0.2, 1.0, *Rotation.from_rotvec([0.4, -1.0, 0.3]).as_quat().tolist())


@pytest.fixture
def scene():
    """A box and an arm of links."""
    return make_scene(arm=make_arm())


@pytest.fixture
def poses(scene):
    """Their true motions with random covariances."""
    rng = np.random.default_rng(3)
    found = {}
    for item in scene.bodies:
        size = 6 + item.body.coordinate_count
        mix = 0.01 * rng.normal(size=(scene.frame_count, size, size))
        found[item.name] = replace(item.truth, covariance=mix @ mix.transpose(0, 2, 1))
    return found


def read(path, body, name):
    """A primvar of a body at every frame, as one array."""
    stage = Usd.Stage.Open(str(path))  # must live as long as what is read from it
    primvar = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath(f"/World/{body}")).GetPrimvar(name)
    assert primvar.GetInterpolation() == UsdGeom.Tokens.constant
    return np.array([np.asarray(primvar.Get(code)) for code in primvar.GetTimeSamples()], dtype=np.float64)


def test_covariance_is_along_the_world_axes(tmp_path, scene, poses):
    """Errors seen by the camera, turned into the world, have the covariance that is written."""
    path = tmp_path / "scene.usdc"
    export_usd(scene, poses, path, world_from_camera=WORLD_FROM_CAMERA)
    turn = Rotation.from_quat(WORLD_FROM_CAMERA[3:])
    for name, motion in poses.items():
        found = read(path, name, "warpprior:pose_covariance").reshape(-1, 6, 6)
        assert len(found) == scene.frame_count
        for frame in range(scene.frame_count):
            spread, axes = np.linalg.eigh(motion.covariance[frame, :6, :6])
            errors = (axes * np.sqrt(spread)).T  # six errors whose squares add up to the covariance
            errors = np.concatenate([turn.apply(errors[:, :3]), turn.apply(errors[:, 3:])], axis=1)
            np.testing.assert_allclose(found[frame], errors.T @ errors, atol=1e-9)
        sigma = read(path, name, "warpprior:position_sigma")[:, 0]
        np.testing.assert_allclose(sigma**2, found.diagonal(axis1=1, axis2=2)[:, :3], rtol=1e-5)


def test_what_is_unknown_is_large_and_finite(tmp_path, scene, poses):
    """NaN and huge variances become the limits; checks of the stage find nothing to complain about."""
    poses["box"].covariance[1] = np.nan
    poses["box"].covariance[2] *= 1e12
    path = tmp_path / "scene.usdc"
    export_usd(scene, poses, path)
    found = read(path, "box", "warpprior:pose_covariance").reshape(-1, 6, 6)
    np.testing.assert_allclose(np.sqrt(found[1].diagonal()), [POSITION_LIMIT] * 3 + [TURN_LIMIT] * 3, rtol=1e-5)
    assert np.sqrt(found[2].diagonal()).max() < POSITION_LIMIT * 1.001
    assert check_stage(path) == []


def test_openusd_validates_it(tmp_path, scene, poses):
    """Every validator that comes with OpenUSD passes a stage with uncertainty."""
    validation = pytest.importorskip("pxr.UsdValidation", reason="this OpenUSD has no validators")
    if Usd.GetVersion() < (0, 26, 3):
        pytest.skip("validators of OpenUSD before 26.3 do not load")
    export_usd(scene, poses, tmp_path / "scene.usdc")
    validators = validation.ValidationRegistry().GetOrLoadAllValidators()
    stage = Usd.Stage.Open(str(tmp_path / "scene.usdc"))
    assert [error.GetMessage() for error in validation.ValidationContext(validators).Validate(stage)] == []


def test_check_finds_a_covariance_of_wrong_length(tmp_path, scene, poses):
    """35 numbers are not a covariance."""
    path = tmp_path / "scene.usda"
    export_usd(scene, poses, path)
    stage = Usd.Stage.Open(str(path))
    UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/box")).GetPrimvar("warpprior:pose_covariance").Set([0.0] * 35, 0)
    stage.Save()
    assert ["has 35 values where 36 are needed"] == [finding.message for finding in check_stage(path)]


def test_a_motion_without_covariance_has_none(tmp_path, scene, poses):
    """No primvar where nothing is stated, and a covariance of the wrong size is refused."""
    bare = poses | {"box": replace(poses["box"], covariance=None)}
    export_usd(scene, bare, tmp_path / "a.usda")
    text = (tmp_path / "a.usda").read_text()
    assert text.count("pose_covariance.timeSamples") == 1
    wrong = poses | {"arm": replace(poses["arm"], covariance=np.zeros((5, 6, 6)))}
    with pytest.raises(InputError, match="poses of arm: covariance: shape"):
        export_usd(scene, wrong, tmp_path / "b.usda")
