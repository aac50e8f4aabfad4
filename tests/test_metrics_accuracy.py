"""Chamfer distances, keypoint errors and failures through the evaluator, against all triangles and by construction."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
import warp as wp
from scipy.spatial.transform import Rotation

from tests.reference import distance as distances
from tests.reference import metrics as reference
from warpprior.bodies import posed_keypoints, posed_vertices, rigid_body
from warpprior.bodies.readers.hand import read_hand
from warpprior.metrics import Evaluator, evaluate, surfaces
from warpprior.metrics.accuracy import failures
from warpprior.metrics.chamfer import chamfer_2d, pixel_size
from warpprior.metrics.surfaces import SurfacePoints
from warpprior.scene import Camera, Poses, Scene, SceneBody

FRAMES = 3
CAMERA = Camera(640, 480, 600.0, 620.0, 310.0, 250.0)


@pytest.fixture(scope="module")
def hand_body():
    """Our right hand."""
    return read_hand()


def motion_of(body, seed=0, spread=0.0):
    """A random motion before the camera; ``spread`` [m] and ten times that [rad] away from it."""
    random = np.random.default_rng(0)
    position = np.array([0.0, 0.0, 0.6]) + random.normal(scale=0.03, size=(FRAMES, 3))
    rotation = Rotation.random(FRAMES, random)
    joints = 0.3 * random.random((FRAMES, body.coordinate_count))
    away = np.random.default_rng(seed + 1)
    position = position + away.normal(scale=spread, size=position.shape)
    rotation = rotation * Rotation.from_rotvec(away.normal(scale=10 * spread, size=(FRAMES, 3)))
    joints = joints + away.normal(scale=10 * spread, size=joints.shape)
    return Poses(position, rotation.as_quat(), joints, np.zeros(body.shape_count))


def measure(body, estimate, truth, device):
    """Per frame and summary of one body alone."""
    scene = Scene("one", CAMERA, 30.0, (SceneBody(body, 1, False, estimate, truth),))
    found = evaluate(scene, {body.name: estimate}, device=device)
    return found["per_frame"][body.name], found["summary"][body.name]


def wedge():
    """A body without symmetry: a box with one corner pulled out."""
    mesh = trimesh.creation.box(extents=(0.08, 0.05, 0.03))
    vertices = mesh.vertices.copy()
    vertices[0] *= 1.5
    return rigid_body("wedge", vertices, mesh.faces)


def test_the_truth_is_prepared_once(hand_body, device, monkeypatch):
    """A second motion costs the meshes of its own frames alone, and gives what an evaluator of its own gives."""
    truth, first, second = (motion_of(hand_body, seed, 0.003 * seed) for seed in range(3))
    scene = Scene("one", CAMERA, 30.0, (SceneBody(hand_body, 1, False, first, truth),))
    made = []

    def mesh(*given, make=wp.Mesh, **options):
        made.append(make(*given, **options))
        return made[-1]

    evaluator = Evaluator(scene, device=device)
    monkeypatch.setattr(wp, "Mesh", mesh)
    evaluator({hand_body.name: first})
    assert len(made) == 2 * FRAMES
    found = evaluator({hand_body.name: second})
    assert len(made) == 3 * FRAMES
    assert found == evaluate(scene, {hand_body.name: second}, device=device)


def test_what_is_known_is_posed_once(device, monkeypatch):
    """A known body moves alike before and after, so it is posed for the first motion only."""
    body, other = wedge(), replace(wedge(), name="other")
    motion = replace(motion_of(body), joints=np.zeros((FRAMES, 0)))
    posed, pose = [], surfaces.posed_vertices

    def counted(of, *given, **options):
        posed.append(of)
        return pose(of, *given, **options)

    monkeypatch.setattr(surfaces, "posed_vertices", counted)
    bodies = SceneBody(body, 1, True, motion), SceneBody(other, 2, False, motion)
    evaluator = Evaluator(Scene("two", CAMERA, 30.0, bodies), device=device)
    for _ in range(2):
        evaluator({body.name: motion, other.name: replace(motion)})
    assert [posed.count(each) for each in (body, other)] == [1, 2]


def chamfer_by_all_triangles(body, estimate, truth, device):
    """Both one-sided means over the same points, with every triangle asked, camera frame."""
    spread, sides = SurfacePoints(body), [posed_vertices(body, poses, device) for poses in (estimate, truth)]
    points = [spread.place(vertices)[:, ::4] for vertices in sides]
    result = []
    for frame in range(FRAMES):
        one_sided = []
        for own, other in ((0, 1), (1, 0)):
            asked, target = points[own][frame].astype(float), sides[other][frame].astype(float)
            closest = np.concatenate(
                [distances.closest_points(p, target, body.faces) for p in np.array_split(asked, 20)]
            )
            one_sided.append(np.linalg.norm(asked - closest, axis=1).mean())
        result.append(1e3 * np.mean(one_sided))
    return result


def test_chamfer_of_a_rigid_body_equals_all_triangles(device):
    """Mean of the two one-sided means, exact distances to the surface."""
    body = wedge()
    estimate, truth = motion_of(body, spread=0.01), motion_of(body)
    rows, _ = measure(body, estimate, truth, device)
    np.testing.assert_allclose(rows["chamfer_mm"], chamfer_by_all_triangles(body, estimate, truth, device), atol=1e-3)


def test_chamfer_of_a_hand_equals_all_triangles(hand_body, device):
    """The same where both surfaces bend differently in every frame; one frame of it."""
    estimate, truth = (motion_of(hand_body, spread=s) for s in (0.01, 0.0))
    rows, _ = measure(hand_body, estimate, truth, device)
    first = [poses.frames(slice(0, 1)) for poses in (estimate, truth)]
    sides = [posed_vertices(hand_body, poses, device)[0].astype(float) for poses in first]
    points = [SurfacePoints(hand_body).place(side[None])[0, ::40] for side in sides]
    expected = [
        np.abs(distances.signed_distances(points[own], sides[other], hand_body.faces)).mean()
        for own, other in ((0, 1), (1, 0))
    ]
    assert rows["chamfer_mm"][0] == pytest.approx(1e3 * np.mean(expected), rel=0.1)  # a tenth of the points
    exact, _ = measure(hand_body, truth, truth, device)
    assert max(exact["chamfer_mm"]) < 1e-3


def test_chamfer_is_blind_to_a_flip_that_add_sees(device):
    """Half a turn of a bottle-like box about its middle is a centimetre of Chamfer and a decimetre of ADD."""
    mesh = trimesh.creation.box(extents=(0.06, 0.06, 0.25)).subdivide().subdivide()
    body = rigid_body("box", mesh.vertices, mesh.faces)
    truth = motion_of(body)
    flip = Rotation.from_quat(truth.rotation) * Rotation.from_rotvec([np.pi, 0, 0])
    rows, _ = measure(body, replace(truth, rotation=flip.as_quat()), truth, device)
    assert max(rows["chamfer_mm"]) < 1e-2 < 100.0 < min(rows["add_mm"])


def test_chamfer_in_the_picture_equals_all_pairs():
    """Projected by hand; every distance of every pair; pixels have a size at the depth of the truth."""
    random = np.random.default_rng(0)
    points, truth = (random.normal([0, 0, 0.6], 0.05, (2, 300, 3)) for _ in range(2))
    found = chamfer_2d(CAMERA, points, truth)
    for frame in range(2):
        own, true = (
            np.stack([600 * p[:, 0] / p[:, 2] + 310, 620 * p[:, 1] / p[:, 2] + 250], axis=1)
            for p in (points[frame], truth[frame])
        )
        pairs = np.linalg.norm(own[:, None] - true[None], axis=2)
        assert found[frame] == pytest.approx(0.5 * (pairs.min(0).mean() + pairs.min(1).mean()), abs=1e-9)
    points[1, 7, 2] = -0.1
    assert np.isnan(chamfer_2d(CAMERA, points, truth)).tolist() == [False, True]
    assert pixel_size(CAMERA, np.array([[0.1, 0.2, 0.61]]))[0] == pytest.approx(0.001)


def test_an_error_in_depth_alone_hardly_shows_in_the_picture(device):
    """Ten centimetres along the ray are ten of Chamfer in space and a fraction of that in the picture."""
    body = wedge()
    truth = motion_of(body)
    far = truth.position * (1.0 + 0.1 / np.linalg.norm(truth.position, axis=1, keepdims=True))
    rows, summary = measure(body, replace(truth, position=far), truth, device)
    assert min(rows["chamfer_mm"]) > 65.0 and max(rows["chamfer_2d_mm"]) < 5.0
    np.testing.assert_allclose(rows["depth_mm"], 100.0, atol=1e-6)
    assert summary["failures"] == {"frames": 3, "failed": 3, "share": 1.0, "by": "chamfer_mm"}


def test_keypoints_of_a_hand_equal_the_twin(hand_body, device):
    """All kinds of error and their areas from posed keypoints and vertices."""
    estimate, truth = (motion_of(hand_body, spread=s) for s in (0.01, 0.0))
    rows, summary = measure(hand_body, estimate, truth, device)
    roots = [posed_keypoints(hand_body, poses, device)[:, :1].astype(float) for poses in (estimate, truth)]
    for what, pose in (("keypoint", posed_keypoints), ("vertex", posed_vertices)):
        own, true = (pose(hand_body, poses, device).astype(float) for poses in (estimate, truth))
        aligned = {
            "": own,
            "_root": own - roots[0] + roots[1],
            "_pa": np.stack([reference.align_proper(o, t) for o, t in zip(own, true, strict=True)]),
            "_pa_mirror": np.stack([reference.align_any(o, t) for o, t in zip(own, true, strict=True)]),
        }
        for kind, placed in aligned.items():
            errors = 1e3 * np.linalg.norm(placed - true, axis=2)
            name = "add_mm" if (what, kind) == ("vertex", "") else f"{what}{kind}_mm"
            np.testing.assert_allclose(rows[name], errors.mean(1), atol=1e-6)
            assert summary[f"{what}{kind}_auc"] == pytest.approx(reference.area_under_curve(errors), abs=1e-9)
    scores = [reference.f_score(o, t, 0.005) for o, t in zip(own, true, strict=True)]
    np.testing.assert_allclose(rows["f_score_5mm"], scores, atol=1e-9)


def test_frames_without_truth_have_no_error(hand_body, device):
    """Every new error is None there, and only there."""
    estimate, truth = (motion_of(hand_body, spread=s) for s in (0.01, 0.0))
    position = truth.position.copy()
    position[1] = np.nan
    rows, summary = measure(hand_body, estimate, replace(truth, position=position), device)
    for name in ("chamfer_mm", "chamfer_2d_px", "keypoint_mm", "vertex_pa_mm", "f_score_15mm"):
        assert [value is None for value in rows[name]] == [False, True, False]
    assert summary["failures"]["frames"] == 2
    nothing, summary = measure(hand_body, estimate, replace(truth, position=np.full((3, 3), np.nan)), device)
    assert nothing["keypoint_mm"] == [None] * 3 and "failures" not in summary and "keypoint_auc" not in summary


def test_a_hand_fails_by_its_keypoints():
    """Keypoints count before Chamfer; more than 5 cm is a failure, 5 cm is not."""
    rows = {"chamfer_mm": np.array([90.0, 90, 90]), "keypoint_mm": np.array([50.0, 50.1, np.nan])}
    found = failures(rows)
    assert found["failures"] == {"frames": 2, "failed": 1, "share": 0.5, "by": "keypoint_mm"}
    assert found["failures_chamfer"]["failed"] == 3 and "failures_add" not in found
    assert failures({"chamfer_mm": rows["chamfer_mm"]})["failures"]["failed"] == 3
    assert failures({}) == failures({"add_mm": np.full(2, np.nan)}) == {}


def test_each_error_has_its_own_failures():
    """A bottle upside down is 10 cm off by ADD and 1 cm by Chamfer: both are said, by name."""
    found = failures({"add_mm": np.array([109.0, 51.0, 2.0]), "chamfer_mm": np.array([8.0, 7.0, 1.0])})
    assert found["failures_add"] == {"frames": 3, "failed": 2, "share": 2 / 3}
    assert found["failures_chamfer"]["failed"] == 0 and found["failures"]["by"] == "chamfer_mm"
