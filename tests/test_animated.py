"""Bodies given as a surface at every frame: where they are posed, and what their files are read as or refused for."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.small_scene import BOX_FACES, BOX_VERTICES
from warpprior.bodies import BodyModel, assign_poses, posed_vertices
from warpprior.bodies.readers.animated import animated_body, read_animated
from warpprior.geometry.bending_surface import SurfaceQuery
from warpprior.geometry.signed_distance import DistanceField, LinkFields, Surface
from warpprior.scene import Poses
from warpprior.support.errors import InputError

FRAMES = 5


def waves(frames=FRAMES):
    """A box half a metre away that drifts, turns and swells (frame, vertex, 3)."""
    time = np.linspace(0.0, 1.0, frames)
    turned = Rotation.from_rotvec(np.outer(time, [0.2, 0.9, -0.4]))
    sizes = 1.0 + 0.3 * time[:, None, None] * np.array([1.0, 0.0, -0.5])
    places = np.stack([t.apply(corners) for t, corners in zip(turned, sizes * BOX_VERTICES, strict=True)])
    return places + np.column_stack([0.1 * time, 0.02 * time, 0.5 + 0.05 * time])[:, None]


def moves(frames=FRAMES, scale=1.0):
    """Poses that are not the identity."""
    random = np.random.default_rng(0)
    rotation = Rotation.random(frames, random_state=1).as_quat()
    return Poses(random.normal(size=(frames, 3)), rotation, np.zeros((frames, 0)), scale=scale)


@pytest.fixture
def box():
    """The box as a body."""
    return animated_body("box", waves(), BOX_FACES)


@pytest.fixture
def file(tmp_path):
    """Write an .npz of the box with arrays changed, None for left out; returns its path."""

    def write(**changes):
        arrays = {"vertices": waves(), "faces": BOX_FACES, **changes}
        path = tmp_path / "box.npz"
        np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
        return path

    return write


def test_frames_of_an_animation_stand_at_their_poses(box, device):
    """Frame i is scale R_i x + p_i of the animation's frame i, also where frames are picked out of a motion."""
    poses = moves(scale=1.2)
    turned = [r.apply(1.2 * x) for r, x in zip(Rotation.from_quat(poses.rotation), waves(), strict=True)]
    expected = np.stack(turned) + poses.position[:, None]
    np.testing.assert_allclose(posed_vertices(box, poses, device), expected, atol=1e-6)
    for picked in (slice(1, 4), [4, 0], np.array([3])):
        found = posed_vertices(box, poses.frames(picked), device)
        np.testing.assert_allclose(found, expected[picked], atol=1e-6)
    again = poses.frames(slice(1, 5)).frames([2])
    np.testing.assert_allclose(posed_vertices(box, again, device), expected[[3]], atol=1e-6)


def test_an_animation_is_neither_rigid_nor_baked(box):
    """Its first frame is no shape that distances to it could be kept in."""
    assert not box.is_rigid and box.kind == "vertices" and box.coordinate_count == 0
    np.testing.assert_array_equal(box.vertices, box.animation[0])
    assert replace(box, animation=None).is_rigid
    for field in (DistanceField, LinkFields):
        with pytest.raises(InputError, match="a surface that bends"):
            field(box)


def test_motions_of_frames_that_are_not_there_are_refused(box):
    """More poses than the animation has frames, or a frame beyond its end."""
    model = BodyModel(box)
    with pytest.raises(ValueError, match="motion of 6 frames for an animation of 5"):
        assign_poses(model.state(6), moves(6))
    with pytest.raises(ValueError, match="motion of 2 frames for an animation of 5"):
        assign_poses(model.state(2), replace(moves(2), moments=np.array([1, 5])))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (waves()[:, :7], "needs"),
        (waves()[0], "needs"),
        (np.zeros((0, 8, 3)), "needs"),
        (np.where(np.arange(8)[:, None] == 3, np.nan, waves()), "finite"),
    ],
)
def test_bodies_check_their_animation(box, wrong, words):
    """Kernels check neither shape nor numbers."""
    with pytest.raises(ValueError, match=f"body 'box': animation .*{words}"):
        replace(box, animation=wrong)


def test_distances_to_an_animation_are_those_to_its_frames(box, device):
    """A query that is refitted to each frame answers as the frame's own surface does."""
    points = waves().mean(axis=1)[:, None] + np.random.default_rng(2).uniform(-0.07, 0.07, (FRAMES, 40, 3))
    query = SurfaceQuery(box, FRAMES, device, reach_m=0.2)
    model = BodyModel(box, device)
    state = model.state(FRAMES)
    model.shape(state)
    query.refit(state.blended)
    found = query.measure(points)[0]
    for frame in range(FRAMES):
        expected = Surface(waves()[frame], BOX_FACES, "box", device).measure(points[frame])[0]
        np.testing.assert_allclose(found[frame], expected, atol=1e-6)


def test_faces_are_turned_outwards_and_seams_closed():
    """Vertices that are at one place all the time count as one; those that are so only at first do not."""
    split = np.concatenate([waves(), waves()[:, :4]], axis=1)
    faces = np.concatenate([np.where((BOX_FACES < 4), BOX_FACES + 8, BOX_FACES)[:6], BOX_FACES[6:]])
    body = animated_body("box", split, faces[:, ::-1])
    assert body.closed and body.vertex_count == 12
    assert any("turned 12 faces" in warning for warning in body.warnings)
    corners = body.vertices[body.faces].astype(float) - body.vertices.mean(axis=0)
    assert np.einsum("fx,fx->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) > 0.0
    split[2:, 8:] += 0.01
    assert not animated_body("box", split, faces).closed


def test_arrays_are_read_as_written(file):
    """Vertices, faces and colours come back, in single precision."""
    colors = np.linspace(0.0, 1.0, 24).reshape(8, 3)
    body = read_animated(file(colors=colors, other=np.zeros(3)), "box", frame_count=FRAMES)
    np.testing.assert_array_equal(body.animation, waves().astype(np.float32))
    np.testing.assert_array_equal(body.faces, BOX_FACES)
    np.testing.assert_allclose(body.colors, colors, atol=1e-7)
    assert body.closed and body.warnings == ()


def changed(frame, vertex, value):
    """The box's vertices with one coordinate changed."""
    vertices = waves()
    vertices[frame, vertex, 1] = value
    return vertices


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vertices": None}, "has no array 'vertices'"),
        ({"faces": None}, "has no array 'faces'"),
        ({"vertices": waves()[0]}, r"vertices: float64 of shape \(8, 3\)"),
        ({"vertices": waves().astype(complex)}, "complex128"),
        ({"vertices": waves(4)}, "vertices: 4 frames; the sequence has 5"),
        ({"vertices": changed(3, 6, np.nan)}, "vertices, frame 3: vertex 6 is not finite"),
        ({"vertices": changed(2, 1, -np.inf)}, "vertices, frame 2: vertex 1 is not finite"),
        ({"vertices": changed(2, 1, 1e300)}, "vertices, frame 2: vertex 1 is not finite"),
        ({"vertices": changed(4, 0, 9.0)}, "vertices, frame 4: its size is .* m; sizes from 1 mm to 5 m"),
        ({"vertices": 1e3 * waves()}, "vertices, frame 3: its size is 147.* millimetres"),
        ({"vertices": 1e-3 * waves()}, "vertices, frame 0: its size is 0.0001 m"),
        ({"vertices": waves() + 200.0}, "vertices, frame 4: it reaches to"),
        ({"faces": BOX_FACES + 1}, "faces: name vertices from 1 to 8; vertices are numbered from 0 to 7"),
        ({"faces": BOX_FACES - 1}, "faces: name vertices from -1"),
        ({"faces": BOX_FACES.astype(float)}, "faces: float64"),
        ({"faces": BOX_FACES[:, :2]}, r"faces: int64 of shape \(12, 2\)"),
        ({"faces": BOX_FACES[:0]}, "faces: int64 of shape"),
        ({"faces": BOX_FACES[:, [0, 0, 1]]}, "none of the 12 faces has any area"),
        ({"colors": np.full((8, 3), 200)}, "colors: int64"),
        ({"colors": np.full((7, 3), 0.5)}, r"colors: float64 of shape \(7, 3\)"),
        ({"faces": np.array([{}], dtype=object)}, "pickled objects"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(file, changes, words):
    """One line that names the file, the array, and the frame where there is one."""
    with pytest.raises(InputError, match=words) as refusal:
        read_animated(file(**changes), "box", frame_count=FRAMES)
    assert "box.npz" in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize("keep", [0, 1, 40, 500])
def test_damaged_archives_are_refused(file, keep):
    """Cut short anywhere."""
    path = file()
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="box.npz"):
        read_animated(path, "box", frame_count=FRAMES)


def test_other_files_are_refused(tmp_path, file):
    """By their endings; and an archive has no prims."""
    for name, words in (("a.npy", "'.npy' files are not read"), ("a", "has no file extension")):
        with pytest.raises(InputError, match=words):
            read_animated(tmp_path / name, "box", frame_count=FRAMES)
    with pytest.raises(InputError, match="prim or camera given"):
        read_animated(file(), "box", frame_count=FRAMES, prim="/box")
