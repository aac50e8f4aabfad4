"""The one door for arrays: what it takes, in which memory, and what it refuses in which words."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import warp as wp

import warpprior
from tests.estimator_scenes import CAMERA, make_block, make_motion, make_scene
from warpprior.scene import Poses, Scene, SceneBody
from warpprior.support.arrays import device_of, is_torch, is_warp, to_numpy, to_warp
from warpprior.support.errors import InputError

POINTS = np.arange(6.0).reshape(2, 3)


class Exchanged:
    """Nothing but DLPack, as an array of another library."""

    def __init__(self, values):
        self._values = np.array(values)

    def __dlpack__(self, **words):
        return self._values.__dlpack__(**words)

    def __dlpack_device__(self):
        return self._values.__dlpack_device__()


class Unreadable(Exchanged):
    """An array that cannot be had."""

    def __dlpack__(self, **words):
        raise BufferError("not now")


class Foreign:
    """What no library can make an array of."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("nothing to read")


def test_lists_warp_arrays_and_dlpack_become_numpy(device):
    """Same numbers whatever they came in; vectors, quaternions and transforms have their last axis back."""
    assert to_numpy(POINTS, "points") is POINTS
    np.testing.assert_array_equal(to_numpy(POINTS.tolist(), "points"), POINTS)
    np.testing.assert_array_equal(to_numpy(Exchanged(POINTS), "points"), POINTS)
    vectors = wp.array(POINTS, dtype=wp.vec3, device=device)
    np.testing.assert_array_equal(to_numpy(vectors, "points", shape=(None, 3)), POINTS)
    quats = wp.array(np.eye(4), dtype=wp.quat, device=device)
    assert to_numpy(quats, "rotation").shape == (4, 4)
    assert to_numpy(wp.zeros(5, dtype=wp.transform, device=device), "poses").shape == (5, 7)


@pytest.mark.parametrize(
    ("values", "words", "sentence"),
    [
        (["a", "b"], {}, "points: values of type <U1; numbers"),
        ([[1.0], [1.0, 2.0]], {}, r"points: a builtins.list that cannot be read \(.*\); a NumPy array"),
        (Foreign(), {}, r"points: a \w+.Foreign that cannot be read \(nothing to read\)"),
        (POINTS, {"shape": (None, 4)}, r"points: shape \(2, 3\); shape \(any, 4\)"),
        ([0.0, np.nan], {"finite": True}, r"points at \(1,\): nan; finite numbers"),
    ],
)
def test_what_is_refused_on_the_host(values, words, sentence):
    """One sentence: where, what was found, what is taken."""
    with pytest.raises(InputError, match=sentence):
        to_numpy(values, "points", **words)


def test_warp_arrays_keep_their_memory_and_gradient(device):
    """The same array; and a float array seen as vectors, whose gradient arrives in the float array's own."""
    vectors = wp.zeros(2, dtype=wp.vec3, device=device)
    assert to_warp(vectors, "points", wp.vec3, 1, device) is vectors
    plain = wp.array(POINTS, dtype=float, device=device, requires_grad=True)
    seen = to_warp(plain, "points", wp.vec3, 1, device)
    assert seen.ptr == plain.ptr and seen.grad.ptr == plain.grad.ptr and seen.requires_grad
    assert seen.dtype == wp.vec3 and seen.shape == (2,)


def test_numbers_of_the_host_become_warp_arrays(device):
    """Doubles, lists and DLPack are copied; nothing at all is fine."""
    for values in (POINTS, POINTS.tolist(), Exchanged(POINTS)):
        found = to_warp(values, "points", wp.vec3, 1, device)
        assert is_warp(found) and found.device == wp.get_device(device)
        np.testing.assert_array_equal(found.numpy(), POINTS)
    assert to_warp(np.zeros((0, 3)), "points", wp.vec3, 1, device).shape == (0,)
    assert to_warp([[1, 2, 3]], "faces", wp.vec3i, 1, device).dtype == wp.vec3i


def test_what_is_refused_for_a_device(device):
    """Another type, another shape, not finite, not contiguous."""
    with pytest.raises(InputError, match="points: a Warp array of vec3d; one of vec3"):
        to_warp(wp.zeros(2, dtype=wp.vec3d, device=device), "points", wp.vec3, 1, device)
    with pytest.raises(InputError, match=r"points: shape \(2, 4\); shape \(any, 3\)"):
        to_warp(wp.zeros((2, 4), dtype=float, device=device), "points", wp.vec3, 1, device)
    with pytest.raises(InputError, match=r"points at \(0, 1\): inf; finite numbers"):
        to_warp([[0.0, np.inf, 0.0]], "points", wp.vec3, 1, device)
    with pytest.raises(InputError, match="points: a Warp array that is not contiguous"):
        to_warp(wp.zeros((3, 6), dtype=float, device=device)[:, :3], "points", wp.vec3, 1, device)


def test_the_device_is_that_of_the_first_array(device):
    """A Warp array says where; without one it is the CPU, unless a device is asked for."""
    assert device_of(POINTS, wp.zeros(1, device=device)) == wp.get_device(device)
    assert device_of(POINTS) == wp.get_device("cpu")
    assert device_of(POINTS, device=device) == wp.get_device(device)


def test_nothing_of_this_imports_torch():
    """A tensor is known by its name."""
    assert not is_torch(POINTS)
    tensor = type("Tensor", (), {"__module__": "torch"})
    assert is_torch(tensor()) and is_torch(type("Parameter", (tensor,), {})())
    assert "torch" not in sys.modules or hasattr(sys.modules["torch"], "Tensor")


def warp_poses(poses, device="cpu"):
    """The same poses from Warp arrays."""
    return Poses(
        wp.array(poses.position, dtype=wp.vec3, device=device),
        wp.array(poses.rotation, dtype=wp.quat, device=device),
        wp.zeros((poses.frame_count, 0), dtype=float, device=device),
    )


def test_poses_of_warp_arrays_pass_everything(device, tmp_path):
    """Refined, evaluated and saved: the same as from NumPy arrays of the same single-precision numbers."""
    motion = make_motion((0.0, 0.0, 0.4), frames=2)
    scene = make_scene((make_block(),), (motion,), (motion,))
    poses = warp_poses(motion, device)
    assert poses.position.dtype == np.float64 and isinstance(poses.rotation, np.ndarray)
    single = Poses(*(a.astype(np.float32).astype(float) for a in (motion.position, motion.rotation)), motion.joints)
    found = warpprior.evaluate(scene, {"box": poses})["summary"]
    assert found == warpprior.evaluate(scene, {"box": single})["summary"]
    refined = [warpprior.refine(scene.with_poses({"box": start})).poses["box"] for start in (poses, single)]
    np.testing.assert_array_equal(refined[0].position, refined[1].position)
    warpprior.save_poses(tmp_path / "poses.npz", {"box": poses})
    with np.load(tmp_path / "poses.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["box/position"], single.position)


def test_observations_of_other_arrays_become_numpy(device):
    """Labels, times and boxes of a scene."""
    motion = make_motion((0.0, 0.0, 0.4), frames=2)
    labels = wp.zeros((2, CAMERA.height, CAMERA.width), dtype=wp.uint8, device=device)
    times, boxes = wp.array([0.0, 0.1], dtype=wp.float64, device=device), wp.zeros((2, 4), device=device)
    body = SceneBody(make_block(), 1, False, motion)
    scene = Scene("box", CAMERA, 30.0, (body,), labels, boxes={"box": boxes}, timestamps=times)
    assert scene.labels.dtype == np.uint8 and scene.timestamps.tolist() == [0.0, 0.1]
    assert isinstance(scene.boxes["box"], np.ndarray)


def test_readers_may_return_other_arrays(device):
    """Images that a scene reads become NumPy, once, however often the scene is copied."""
    motion = make_motion((0.0, 0.0, 0.4), frames=1)
    depth = wp.full((CAMERA.height, CAMERA.width), 0.4, dtype=wp.float32, device=device)
    body = SceneBody(make_block(), 1, False, motion)
    scene = Scene("box", CAMERA, 30.0, (body,), read_depth=lambda frame: depth, read_rgb=lambda frame: None)
    copied = replace(scene, name="copy")
    assert isinstance(copied.read_depth(0), np.ndarray) and copied.read_rgb(0) is None
    assert copied.read_depth is scene.read_depth


def test_what_a_tracker_is_given(device):
    """Poses of hands and observations of one moment, lists and Warp arrays, become NumPy."""
    hand = warpprior.HandPose([0.0, 0.0, 0.4], wp.array([0.0, 0.0, 0.0, 1.0], device=device), [0.1, 0.2])
    labels = wp.zeros((4, 5), dtype=wp.uint8, device=device)
    seen = warpprior.Observation({"hand": hand}, centers={"mug": wp.zeros(3, device=device)}, labels=labels)
    for values in (hand.position, hand.rotation, hand.joints, seen.centers["mug"], seen.labels):
        assert isinstance(values, np.ndarray)
    assert seen.labels.dtype == np.uint8 and seen.hands["hand"] is hand
    assert warpprior.Observation(boxes={"mug": [1.0, 2.0, 3.0, 4.0]}).boxes["mug"] == [1.0, 2.0, 3.0, 4.0]
    with pytest.raises(InputError, match="observation: labels: a .*Unreadable that cannot be read"):
        warpprior.Observation(labels=Unreadable([0.0]))


def test_bodies_of_other_arrays(device):
    """A mesh from Warp arrays is the mesh from NumPy's."""
    block = make_block()
    found = warpprior.rigid_body(
        "box",
        wp.array(block.vertices, dtype=wp.vec3, device=device),
        wp.array(block.faces, dtype=wp.vec3i, device=device),
    )
    np.testing.assert_array_equal(found.vertices, block.vertices)
    np.testing.assert_array_equal(found.faces, block.faces)
