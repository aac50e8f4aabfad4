"""Ray casting: against a float64 twin, against the rasteriser, and at the edges of picture and camera."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.gradcheck import POISON
from tests.reference import raycast as reference
from warpprior.bodies.body import rigid_body
from warpprior.bodies.posing import posed_vertices
from warpprior.kernels import raycast
from warpprior.render.images import render_depth, render_labels
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.scenes.objects import bottle, box
from warpprior.scenes.observe import Actor, Backdrop, Light, cast_actors, cast_labels

CAMERA = Camera(64, 48, 61.0, 60.0, 33.0, 23.5)


def poses_at(positions, *, turn=(0.0, 0.0, 0.0), spin=0.0):
    """Poses at (frame, 3) [m], turning by ``spin`` [rad] a frame."""
    positions = np.atleast_2d(np.asarray(positions, dtype=float))
    spins = Rotation.from_rotvec(np.outer(np.arange(len(positions)) * spin, [0.3, 1.0, 0.2]))
    rotation = (spins * Rotation.from_rotvec(turn)).as_quat().reshape(-1, 4)
    return Poses(positions, rotation, np.zeros((len(positions), 0)))


@pytest.fixture(scope="module")
def actors():
    """A bottle before a box, three frames, the bottle leaving the picture."""
    bottle_poses = poses_at([[0.0, 0.0, 0.45], [0.02, 0.01, 0.45], [0.22, 0.1, 0.4]], turn=(1.3, 0.2, 0.0), spin=0.4)
    box_poses = poses_at(np.tile([[0.05, 0.03, 0.62]], (3, 1)), turn=(0.3, 0.8, 0.1))
    return [Actor(bottle(sides=16), 3, bottle_poses), Actor(box(spacing=0.03), 7, box_poses)]


def twin_pictures(camera, actors, frame):
    """Depth, label and face of every pixel by the float64 twin."""
    corners = [posed_vertices(a.body, a.poses)[frame].astype(float)[a.body.faces] for a in actors]
    labels = np.concatenate([np.full(a.body.face_count, a.label) for a in actors])
    depth, face, weights = reference.cast_rays(reference.pixel_rays(camera), np.concatenate(corners))
    return np.where(face >= 0, depth, 0.0), np.where(face >= 0, labels[face], 0), face, weights


def test_pictures_equal_float64_twin(actors, device):
    """Labels and depths of every pixel are the twin's, but for a few with an edge through their middle."""
    pictures = cast_actors(CAMERA, actors, device=device)
    for frame in range(3):
        depth, label, _, _ = twin_pictures(CAMERA, actors, frame)
        same = pictures.labels[frame].ravel() == label
        assert (~same).sum() <= 2
        np.testing.assert_allclose(pictures.depths[frame].ravel()[same], depth[same], atol=2e-5)
    assert set(np.unique(pictures.labels)) == {0, 3, 7}


def test_every_output_is_written(actors, device):
    """Faces, barycentric weights and normals agree with the twin, also where nothing was hit."""
    vertices = np.concatenate([posed_vertices(a.body, a.poses) for a in actors], axis=1)[:1]
    faces = np.concatenate([actors[0].body.faces, actors[1].body.faces + actors[0].body.vertex_count])
    points = wp.array(vertices, dtype=wp.vec3, device=device)
    mesh = wp.Mesh(points[0], wp.array(faces.ravel(), dtype=int, device=device))
    meshes = wp.array([mesh.id], dtype=wp.uint64, device=device)
    size = (1, CAMERA.height, CAMERA.width)
    boxes = wp.array([[10**6, 10**6, -(10**6), -(10**6)]], dtype=int, device=device)
    labels = wp.full(size, 99, dtype=wp.uint8, device=device)
    depths = wp.full(size, POISON, dtype=float, device=device)
    hits = wp.full(size, -99, dtype=int, device=device)
    barycentrics = wp.full(size, wp.vec2(POISON), dtype=wp.vec2, device=device)
    normals = wp.full(size, wp.vec3(POISON), dtype=wp.vec3, device=device)
    focal, center = wp.vec2(CAMERA.fx, CAMERA.fy), wp.vec2(CAMERA.cx, CAMERA.cy)
    raycast.bound_vertices(points, focal, center, 0.01, boxes_out=boxes)
    raycast.cast_pixels(
        meshes,
        boxes,
        wp.full(len(faces), 5, dtype=wp.uint8, device=device),
        wp.zeros(size[1:], dtype=float, device=device),
        focal,
        center,
        labels_out=labels,
        depths_out=depths,
        faces_out=hits,
        barycentrics_out=barycentrics,
        normals_out=normals,
    )
    depth, _, face, weights = twin_pictures(CAMERA, actors, 0)
    same = hits.numpy().ravel() == face
    assert (~same).sum() <= 6  # pixels on an edge may take either face
    hit = same & (face >= 0)
    np.testing.assert_allclose(barycentrics.numpy().reshape(-1, 2)[hit], weights[hit, :2], atol=2e-3)
    corners = vertices[0].astype(float)[faces[face[hit]]]
    expected = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(normals.numpy().reshape(-1, 3)[hit], expected, atol=1e-4)
    missed = face < 0
    assert not labels.numpy().ravel()[missed & same].any()
    assert not depths.numpy().ravel()[missed & same].any()
    np.testing.assert_allclose(depths.numpy().ravel()[hit], depth[hit], atol=2e-5)
    first_row, first_column, last_row, last_column = boxes.numpy()[0]
    rows, columns = np.nonzero((face >= 0).reshape(CAMERA.height, CAMERA.width))
    assert first_row <= rows.min() and last_row >= rows.max()
    assert first_column <= columns.min() and last_column >= columns.max()


def test_rasteriser_agrees(actors, device):
    """Labels and depth of the rasteriser, which shares nothing with the ray caster, are the same."""
    members = tuple(SceneBody(a.body, a.label, False, a.poses) for a in actors)
    scene = Scene("two", CAMERA, 30.0, members)
    poses = {a.body.name: a.poses for a in actors}
    labels, drawn = cast_labels(scene, poses, device), render_labels(scene, poses, device)
    assert (labels != drawn).mean() < 1e-3
    depths, same = cast_actors(CAMERA, actors, device=device).depths, labels == drawn
    difference = np.abs(depths - render_depth(scene, poses, device))[same]
    assert np.quantile(difference, 0.999) < 1e-4


def test_pixel_centres(device):
    """A square that ends between two pixel centres covers exactly the pixels whose centres it holds."""
    camera = Camera(12, 10, 10.0, 10.0, 6.0, 5.0)
    left, right, top, bottom = 2.6, 7.4, 3.4, 8.6  # columns 3 to 6 and rows 3 to 8 have their centres inside
    corners = [
        ((u - 6.0) / 10.0, (v - 5.0) / 10.0, 1.0)
        for u, v in ((left, top), (right, top), (right, bottom), (left, bottom))
    ]
    square = rigid_body("square", np.array(corners), np.array([[0, 2, 1], [0, 3, 2]]))
    labels = cast_actors(camera, [Actor(square, 1, poses_at([0, 0, 0]))], device=device).labels[0]
    expected = np.zeros((10, 12), dtype=np.uint8)
    expected[3:9, 3:7] = 1
    np.testing.assert_array_equal(labels, expected)


def test_body_around_the_camera(device):
    """A body that reaches behind the camera opens the crop to the whole picture."""
    room = box("room", size=(1.0, 1.0, 1.0), spacing=0.5)
    pictures = cast_actors(CAMERA, [Actor(room, 4, poses_at([0.1, 0.0, 0.2]))], device=device)
    assert (pictures.labels == 4).all()
    assert pictures.depths.min() > 0.2


def test_body_out_of_sight(device):
    """A body beside the picture or behind the camera leaves it empty."""
    poses = poses_at([[3.0, 0.0, 0.5], [0.0, 0.0, -1.0]])
    pictures = cast_actors(CAMERA, [Actor(box(), 1, poses)], light=Light(), device=device)
    assert not pictures.labels.any()
    assert not pictures.colors.any()


def test_backdrop_hides_what_is_behind(actors, device):
    """A backdrop nearer than the box but not the bottle hides the box and shows its own colour there."""
    size = (CAMERA.height, CAMERA.width)
    backdrop = Backdrop(np.full(size, 0.53, np.float32), np.full((*size, 3), 0.25, np.float32))
    pictures = cast_actors(CAMERA, actors, backdrop=backdrop, light=replace(Light(), shadow=0.0), device=device)
    assert (pictures.labels == 3).any()
    assert not (pictures.labels == 7).any()
    np.testing.assert_array_equal(pictures.colors[pictures.labels == 0], np.float32(0.25))


def test_shading(device):
    """A surface facing the light is brighter than one turned away, and a body casts a shadow on the backdrop."""
    size = (CAMERA.height, CAMERA.width)
    plate = box("plate", size=(0.1, 0.1, 0.01), spacing=0.1)
    backdrop = Backdrop(np.full(size, 1.0, np.float32), np.ones((*size, 3), np.float32))
    mean = {}
    for name, toward in (("front", (0.0, 0.0, -1.0)), ("side", (0.3, 0.0, -0.3)), ("behind", (0.0, 0.0, 1.0))):
        light = Light(toward=toward, ambient=0.2, shadow=0.5)
        pictures = cast_actors(
            CAMERA, [Actor(plate, 1, poses_at([0, 0, 0.7]))], backdrop=backdrop, light=light, device=device
        )
        mean[name] = pictures.colors[pictures.labels == 1].mean()
        shadowed = (pictures.colors[pictures.labels == 0] < 1.0).any()
        assert shadowed == (name == "side")  # from the front its shadow hides behind it
        assert pictures.colors.min() >= 0.0 and pictures.colors.max() <= 1.0
    assert mean["front"] > mean["side"] > mean["behind"] > 0.0


def test_many_frames_equal_single_frames(actors, device):
    """Frames do not depend on which others are cast with them, also past the end of a slab."""
    poses = [a.poses for a in actors]
    many = [replace(a, poses=p.frames(np.array([0, 1, 2, 0, 1]))) for a, p in zip(actors, poses, strict=True)]
    together = cast_actors(CAMERA, many, light=Light(), device=device)
    last = [replace(a, poses=p.frames(slice(1, 2))) for a, p in zip(actors, poses, strict=True)]
    alone = cast_actors(CAMERA, last, light=Light(), device=device)
    np.testing.assert_array_equal(together.labels[4], alone.labels[0])
    np.testing.assert_array_equal(together.colors[4], alone.colors[0])
