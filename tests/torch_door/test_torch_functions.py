"""The torch door: shared memory, gradients against finite differences, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp
from scipy.ndimage import gaussian_filter

import warpprior.torch as door
from tests.body_samples import make_motion, make_tree_body
from tests.estimator_scenes import make_block
from tests.pose_gradients import analytic_by_pose, numeric_by_pose
from tests.silhouette_scenes import make_camera, make_ellipsoid, make_poses, make_scene
from tests.test_render_public import page_snippets
from warpprior import Observation, Poses, geometry, render, rigid_body
from warpprior.support.arrays import is_torch, to_numpy, to_warp
from warpprior.support.errors import InputError
from warpprior.torch.recording import as_array, record

torch = pytest.importorskip("torch", reason="torch is not installed; make test-torch installs it")

TREE = make_tree_body(vertices=20)
BLOCK = make_block()


def leaf(values, dtype=torch.float32):
    """A tensor that takes gradients."""
    return torch.tensor(np.asarray(values), dtype=dtype, requires_grad=True)


def block_poses(frames=2):
    """Poses (frame, 7) in front of the camera."""
    random = np.random.default_rng(3)
    rotation = random.normal(size=(frames, 4))
    position = np.tile([0.02, -0.01, 0.5], (frames, 1))
    return np.hstack([position, rotation / np.linalg.norm(rotation, axis=1, keepdims=True)]).astype(np.float32)


def check(name, function, tensors, step, worst=1e-2):
    """Gradients of a weighted sum against central differences along random directions; prints one row of a table.

    Single precision leaves differences of the function itself some 1e-4 of relative error.
    """
    outputs = function(*tensors.values())
    weights = torch.tensor(np.random.default_rng(0).normal(size=tuple(outputs.shape)), dtype=torch.float32)
    (outputs * weights).sum().backward()
    for key, tensor in tensors.items():
        random, errors, sizes = np.random.default_rng(1), [], []
        for _ in range(6):
            direction = torch.tensor(random.normal(size=tuple(tensor.shape)), dtype=torch.float32)
            direction = direction * (step / direction.norm())
            with torch.no_grad():
                moved = [{**tensors, key: tensor + sign * direction} for sign in (1.0, -1.0)]
                rise = function(*moved[0].values()).double() - function(*moved[1].values()).double()
            numeric = float((rise * weights.double()).sum()) / 2.0
            errors.append(float((tensor.grad.double() * direction.double()).sum()) - numeric)
            sizes.append(numeric)
        error = np.linalg.norm(errors) / np.linalg.norm(sizes)
        print(f"| {name} | {key} | {error:.1e} |")
        assert error < worst, f"{name} by {key}: relative error {error}"


def test_skin_agrees_with_differences():
    """By position, rotation, joints, shape and scale."""
    motion = make_motion(TREE, 2)
    tensors = {
        "position": leaf(motion["poses"][:, :3]),
        "rotation": leaf(1.3 * motion["poses"][:, 3:]),
        "joints": leaf(motion["joints"]),
        "shape": leaf(motion["shape"]),
        "scale": leaf(motion["scale"]),
    }
    check("skin", lambda p, r, j, s, k: door.skin(TREE, p, r, j, shape=s, scale=k), tensors, step=2e-3)


def test_signed_distance_agrees_with_differences():
    """By points, position and rotation, exact and from a grid; a smooth body, so that differences meet no edge."""
    ball = make_ellipsoid("ball", (0.05, 0.04, 0.03), 4)
    poses = block_poses()
    directions = np.random.default_rng(0).normal(size=(2, 20, 3))
    points = poses[:, None, :3] + 0.06 * directions / np.linalg.norm(directions, axis=2, keepdims=True)
    for method, step in (("exact", 1e-3), ("grid", 3e-4)):
        tensors = {"points": leaf(points), "position": leaf(poses[:, :3]), "rotation": leaf(poses[:, 3:])}
        check(
            f"signed_distance, {method}",
            lambda p, t, r, method=method: door.signed_distance(ball, p, (t, r), method=method)[0],
            tensors,
            step=step,
            worst=2e-2,
        )


def test_transfer_agrees_with_differences():
    """By contacts, weights and the pose before."""
    random = np.random.default_rng(0)
    before = random.normal(scale=0.03, size=(2, 8, 3)) + np.array([0.0, 0.0, 0.5])
    after = before + 0.01 * random.normal(size=before.shape)
    tensors = {
        "before": leaf(before),
        "after": leaf(after),
        "weights": leaf(random.uniform(0.2, 1.0, (2, 8))),
        "position": leaf(block_poses()[:, :3]),
        "rotation": leaf(block_poses()[:, 3:]),
    }
    check("transfer", lambda b, a, w, p, r: door.transfer(b, a, (p, r), w)[0], tensors, step=2e-3)


def test_depth_agrees_with_differences():
    """By the pose of a body that covers the whole picture, whose faces are large: differences cross few edges."""
    corners = np.array([[-1.0, -1.0, 0.3], [1.0, -1.0, 0.0], [1.0, 1.0, -0.2], [-1.0, 1.0, 0.1]])
    sheet = rigid_body("sheet", corners, np.array([[0, 1, 2], [0, 2, 3]]), closed=False)
    camera = make_camera(48, 48)
    tensors = {"position": leaf([[0.05, -0.03, 0.9]]), "rotation": leaf([[0.05, 0.02, 0.01, 1.0]])}
    check("depth", lambda p, r: door.depth(sheet, {"sheet": (p, r)}, camera=camera), tensors, step=1e-3)


def test_silhouette_agrees_with_supersampling():
    """By the pose of a body that hides another: finite differences of supersampled coverage."""
    scene = make_scene(thing=make_ellipsoid("object", (0.05, 0.04, 0.03), 4))
    camera, poses = scene.camera, {body.name: body.initial for body in scene.bodies}
    found, truth = [], []
    for seed in range(6):
        weights = gaussian_filter(np.random.default_rng(seed).normal(size=(1, 2, 128, 128)), (0, 0, 6, 6))
        tensors = {name: (leaf(p.position), leaf(p.rotation)) for name, p in poses.items()}
        image = door.silhouette(scene, {b.name: door.skin(b.body, *tensors[b.name]) for b in scene.bodies})
        (image * torch.tensor(weights, dtype=torch.float32)).sum().backward()
        for body in scene.bodies:
            arrays = [as_array(t) for t in tensors[body.name]]
            for array, tensor in zip(arrays, tensors[body.name], strict=True):
                array.grad = wp.from_torch(tensor.grad)
            found.append(analytic_by_pose(*arrays))
            truth.append(numeric_by_pose(camera, scene.bodies, poses, body.name, weights[0]))
    scale = np.array([*[1.0] * 3, *[20.0] * 3])
    error = np.linalg.norm((np.array(found) - truth) / scale) / np.linalg.norm(np.array(truth) / scale)
    print(f"| silhouette | poses | {error:.1e} |")
    assert error < 0.03


def test_memory_is_shared():
    """A float32 tensor and the array of it, and a result and the array it came from, are the same memory."""
    seen = []

    def doubled(array):
        seen.append(array)
        out = wp.zeros_like(array)
        wp.copy(out, array)
        seen.append(out)
        return (out,)

    tensor = leaf(np.ones((4, 3)))
    (result,) = record(doubled, tensor)
    assert seen[0].ptr == tensor.data_ptr() and seen[1].ptr == result.data_ptr()
    assert as_array(tensor).ptr == tensor.data_ptr()
    result.sum().backward()
    np.testing.assert_array_equal(tensor.grad.numpy(), 1.0)


def test_the_door_for_arrays_takes_tensors():
    """Tensors become NumPy and Warp arrays, in the same memory where it can be; one that requires grad is refused."""
    tensor = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    assert is_torch(tensor) and is_torch(torch.nn.Parameter(tensor))
    assert to_numpy(tensor, "points").ctypes.data == tensor.data_ptr()
    assert to_warp(tensor, "points", wp.vec3, 1, "cpu").ptr == tensor.data_ptr()
    np.testing.assert_array_equal(to_warp(tensor.double(), "points", wp.vec3, 1, "cpu").numpy(), tensor.numpy())
    np.testing.assert_array_equal(to_warp(tensor.t(), "points", wp.vec2, 1, "cpu").numpy(), tensor.t().numpy())
    for take in (lambda t: to_numpy(t, "points"), lambda t: to_warp(t, "points", wp.vec3, 1, "cpu")):
        with pytest.raises(InputError, match=r"points: a tensor that requires grad; tensor.detach\(\)"):
            take(tensor.clone().requires_grad_())
    with pytest.raises(InputError, match="points: a torch.Tensor that cannot be read"):
        to_numpy(tensor.to(torch.bfloat16), "points")


def test_poses_of_tensors():
    """A scene's poses may be tensors; they are copied, and one that requires grad is refused in one sentence."""
    poses = block_poses()
    tensors = [torch.tensor(poses[:, :3]), torch.tensor(poses[:, 3:]), torch.zeros(2, 0)]
    found = Poses(*tensors)
    assert found.position.dtype == np.float64
    tensors[0].zero_()
    np.testing.assert_array_equal(found.position, poses[:, :3])
    with pytest.raises(InputError, match="poses: position: a tensor that requires grad"):
        Poses(leaf(poses[:, :3]), tensors[1], tensors[2])


def test_observations_of_tensors():
    """Images and detections may be tensors; one that requires grad is refused in one sentence."""
    scene = make_scene(labels=torch.zeros(1, 128, 128, dtype=torch.uint8))
    assert isinstance(scene.labels, np.ndarray) and scene.labels.dtype == np.uint8
    read = replace(scene, read_depth=lambda frame: torch.ones(128, 128)).read_depth
    assert isinstance(read(0), np.ndarray)
    assert isinstance(Observation(centers={"mug": torch.zeros(3)}).centers["mug"], np.ndarray)
    with pytest.raises(InputError, match="observation: centers of 'mug': a tensor that requires grad"):
        Observation(centers={"mug": leaf(np.zeros(3))})


def test_values_are_those_of_warp():
    """Whatever is asked, the answer is the public function's; doubles are converted, and so are their gradients."""
    poses = block_poses()
    camera = make_camera()
    position, rotation = leaf(poses[:, :3], torch.float64), leaf(poses[:, 3:], torch.float64)
    surface = door.skin(BLOCK, position, rotation)
    np.testing.assert_array_equal(surface.detach().numpy(), geometry.skin(BLOCK, poses[:, :3], poses[:, 3:]))
    expected = render.silhouette(BLOCK, {"box": surface.detach().numpy()}, camera=camera).numpy()
    image = door.silhouette(BLOCK, {"box": surface}, camera=camera)
    np.testing.assert_array_equal(image.detach().numpy(), expected)
    image.square().mean().backward()
    assert position.grad.dtype == torch.float64 and rotation.grad.abs().max() > 0.0
    at_rest, normals = door.signed_distance(BLOCK, torch.zeros(1, 3))
    np.testing.assert_allclose(at_rest.numpy(), [-0.016], atol=1e-6)
    assert normals.shape == (1, 3) and not at_rest.requires_grad
    known = {"hand": make_poses((0.0, 0.0, 0.4), frames=2), "object": surface[:, :0]}
    with pytest.raises(InputError, match="surface of body 'object': shape"):
        door.silhouette(make_scene(frames=2), known)


def test_what_is_changed_before_the_backward_pass_is_noticed():
    """Torch says so, instead of a wrong gradient."""
    position, rotation = leaf(block_poses()[:, :3]), leaf(block_poses()[:, 3:])
    surface = door.skin(BLOCK, position, rotation)
    with torch.no_grad():
        rotation.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        surface.sum().backward()


def test_backward_twice_and_twice_differentiated():
    """A kept graph gives the same gradient again; second derivatives are refused by torch."""
    position, rotation = leaf(block_poses()[:, :3]), leaf(block_poses()[:, 3:])
    loss = door.skin(BLOCK, position, rotation).square().sum()
    first = torch.autograd.grad(loss, rotation, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(loss, rotation, retain_graph=True)[0], first)
    again = torch.autograd.grad(loss, rotation, create_graph=True)[0]
    with pytest.raises(RuntimeError):
        again.sum().backward()


def test_on_a_tape_of_warps_the_door_is_closed():
    """One sentence says which functions record on it."""
    with wp.Tape(), pytest.raises(InputError, match="while a Warp tape is recording; warpprior.geometry and"):
        door.skin(BLOCK, torch.zeros(1, 3), torch.tensor([[0.0, 0.0, 0.0, 1.0]]))
    with pytest.raises(InputError, match=r"rotation: shape \(2, 4\); shape \(1, 4\)"):
        door.skin(BLOCK, torch.zeros(1, 3), torch.zeros(2, 4))


def test_the_programs_of_the_page_run(capsys):
    """As printed, one after the other."""
    values = {}
    for code in page_snippets():
        exec(code, values)
    assert values["position"].grad.abs().min() > 0.0 and "tensor" in capsys.readouterr().out
