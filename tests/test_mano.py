"""MANO and SMPL files: read without running them, skinned as their papers say, in any of their conventions."""

import collections
import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.mano_files import mano_arrays, published, python2_pickle, smpl_arrays
from tests.reference import mano as reference
from warpprior.bodies import link_transforms, posed_keypoints, posed_vertices, read_mano, read_smpl
from warpprior.bodies.closing import is_closed
from warpprior.bodies.hand_parts import KEYPOINT_NAMES, vertex_normals
from warpprior.bodies.readers.mano import LINK_NAMES, TIP_VERTICES, read_mano_model
from warpprior.bodies.readers.model_file import ModelArrays
from warpprior.cli import main
from warpprior.scene import Poses
from warpprior.support.errors import InputError


@pytest.fixture
def mano_file(tmp_path):
    """Writes the arrays of a MANO file; by default as the published pickles are."""

    def write(side="right", kind=2, **changes):
        arrays = {**mano_arrays(side), **changes}
        arrays = {name: value for name, value in arrays.items() if value is not None}
        path = tmp_path / ("hand.npz" if kind == "npz" else "hand.pkl")
        if kind == "npz":
            np.savez(path, **arrays)
        else:
            path.write_bytes(python2_pickle(published(arrays), kind))
        return path

    return write


@pytest.fixture
def motion():
    """A motion of a MANO hand: three frames with large angles."""
    random = np.random.default_rng(4)
    return {
        "global_orient": random.normal(size=(3, 3)),
        "pose": random.normal(scale=0.6, size=(3, 45)),
        "shape": random.normal(size=10),
        "transl": random.normal((0.0, 0.0, 0.6), 0.1, (3, 3)),
    }


@pytest.mark.parametrize("kind", [0, 1, 2, "npz"])
def test_every_kind_of_file_gives_the_same_hand(mano_file, kind):
    """Protocols 0, 1 and 2 of Python 2, with chumpy and a sparse matrix inside, and npz, to the last bit."""
    arrays = mano_arrays("right")
    found = read_mano_model(mano_file(kind=kind)).arrays.as_dict()
    assert set(found) == set(arrays)
    for name, values in arrays.items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_pickles_cleaned_by_python_3_are_read(tmp_path, protocol):
    """Files that somebody loaded and saved again as plain arrays."""
    arrays = mano_arrays("right")
    (tmp_path / "hand.pkl").write_bytes(pickle.dumps(arrays, protocol))
    found = read_mano_model(tmp_path / "hand.pkl").arrays.as_dict()
    assert all(np.array_equal(found[name], values) for name, values in arrays.items())


@pytest.mark.parametrize("side", ["right", "left"])
def test_skinning_is_that_of_the_paper(mano_file, motion, side):
    """Surface and joints agree with the equations in float64, with global rotation, translation and shape."""
    path = mano_file(side)
    model, body = read_mano_model(path, side=side), read_mano(path, side=side)
    position, rotation = model.pose_from_mano(motion["global_orient"], motion["transl"], motion["shape"])
    poses = Poses(position, rotation, motion["pose"], motion["shape"])
    vertices, links = posed_vertices(body, poses), link_transforms(body, poses)
    for frame in range(3):
        expected, joints = reference.surface(
            mano_arrays(side),
            *(motion[k][frame] for k in ("global_orient", "pose")),
            motion["shape"],
            motion["transl"][frame],
        )
        np.testing.assert_allclose(vertices[frame], expected, atol=2e-6)
        np.testing.assert_allclose(links[frame, :, :3], joints, atol=1e-6)
    back = model.mano_from_pose(position, rotation, motion["shape"])
    np.testing.assert_allclose(back[1], motion["transl"], atol=1e-12)
    turns = [Rotation.from_rotvec(values).as_matrix() for values in (back[0], motion["global_orient"])]
    np.testing.assert_allclose(*turns, atol=1e-12)


@pytest.mark.parametrize(("pca", "flat"), [(None, True), (None, False), (6, True), (6, False)])
def test_skinning_agrees_with_smplx(tmp_path, mano_file, motion, pca, flat):
    """The smplx package computes the same surface from the same file and the same numbers, in any convention."""
    smplx, torch = pytest.importorskip("smplx"), pytest.importorskip("torch")
    path = mano_file(kind="npz").rename(tmp_path / "MANO_RIGHT.npz")
    options = {"use_pca": pca is not None, "num_pca_comps": pca or 6, "flat_hand_mean": flat}
    layer = smplx.MANO(str(path), is_rhand=True, ext="npz", batch_size=3, **options)
    stored = motion["pose"][:, :pca]
    given = {"global_orient": motion["global_orient"], "hand_pose": stored, "transl": motion["transl"]}
    given["betas"] = np.tile(motion["shape"], (3, 1))
    expected = layer(**{name: torch.tensor(value, dtype=torch.float32) for name, value in given.items()})
    model = read_mano_model(path)
    position, rotation = model.pose_from_mano(motion["global_orient"], motion["transl"], motion["shape"])
    joints = model.full_pose(stored, pca=pca is not None, flat_hand_mean=flat)
    found = posed_vertices(read_mano(path), Poses(position, rotation, joints, motion["shape"]))
    np.testing.assert_allclose(found, expected.vertices.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_wrist_is_closed_for_contact(mano_file, side):
    """The ring of 16 edges gets 14 faces that face outwards; no vertex is added and none of theirs is in a zone."""
    body = read_mano(mano_file(side))
    assert body.closed and is_closed(body.faces) and body.vertex_count == 778 and body.face_count == 1552
    lid = body.faces[1538:]
    assert len(np.unique(lid)) == 16
    corners = body.vertices[body.faces].astype(np.float64)
    volume = np.einsum("fx,fx->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6.0
    assert volume > 1e-4
    outside = 1.0 if side == "right" else -1.0  # the wrist is where the fingers are not
    assert (vertex_normals(body.vertices.astype(np.float64), lid)[np.unique(lid), 0] * outside > 0.99).all()
    assert not any(np.isin(values, lid).any() for values in body.contact_zones.values())


@pytest.mark.parametrize("side", ["right", "left"])
def test_keypoints_are_joints_and_tips(mano_file, side):
    """21 keypoints in OpenPose order: joints at their place, tips at the vertices manopth takes."""
    body = read_mano(mano_file(side))
    rest = Poses(np.zeros((1, 3)), np.array([[0.0, 0.0, 0.0, 1.0]]), np.zeros((1, 45)))
    points = posed_keypoints(body, rest)[0]
    links = link_transforms(body, rest)[0, :, :3]
    assert body.keypoints.names == KEYPOINT_NAMES and body.side == side
    for number, name in enumerate(KEYPOINT_NAMES):
        if name.endswith("_tip"):
            tip = TIP_VERTICES[side][(number - 4) // 4]
            np.testing.assert_allclose(points[number], body.vertices[tip], atol=1e-6)
        else:
            np.testing.assert_allclose(points[number], links[LINK_NAMES.index(name)], atol=1e-6)


@pytest.mark.parametrize("side", ["right", "left"])
def test_zones_lie_on_the_palm_side(mano_file, side):
    """Pads and palm are on the surface that looks along -y, the pads at the last links of their fingers."""
    body = read_mano(mano_file(side))
    normals = vertex_normals(body.vertices.astype(np.float64), body.faces[:1538])
    assert set(body.contact_zones) == {"thumb_pad", "index_pad", "middle_pad", "ring_pad", "pinky_pad", "palm"}
    for name, vertices in body.contact_zones.items():
        assert len(vertices) and (normals[vertices, 1] < (0.7 if name == "thumb_pad" else -0.29)).all(), name
        if name != "palm":
            link = LINK_NAMES.index(name.replace("_pad", "3"))
            assert (body.skin_links[vertices, 0] == link).all()


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("count", [6, 45])
def test_principal_components_become_rotation_vectors(mano_file, flat, count):
    """Coefficients times directions, plus the mean unless zero is the flat hand."""
    arrays = mano_arrays("right")
    stored = np.random.default_rng(1).normal(size=(4, count))
    expected = sum(stored[:, [i]] * arrays["hands_components"][i] for i in range(count))
    expected = expected if flat else expected + arrays["hands_mean"]
    found = read_mano_model(mano_file()).full_pose(stored, pca=True, flat_hand_mean=flat)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_pose_prior_is_that_of_the_training_poses(mano_file):
    """Poses drawn like the training poses cost about one per coordinate, and much less than others as large."""
    arrays = mano_arrays("right")
    prior = read_mano(mano_file()).pose_prior
    drawn = arrays["hands_mean"] + arrays["hands_coeffs"] @ arrays["hands_components"]
    random = np.random.default_rng(2).normal(size=drawn.shape)
    random *= np.linalg.norm(drawn - prior.mean, axis=1, keepdims=True) / np.linalg.norm(random, axis=1, keepdims=True)
    cost = [np.einsum("ni,ij,nj->n", d, prior.precision, d) for d in (drawn - prior.mean, random)]
    assert cost[0].mean() < 45.0 and cost[1].mean() > 3.0 * cost[0].mean()
    assert np.linalg.eigvalsh(prior.precision.astype(np.float64)).min() > 0.0
    assert read_mano(mano_file(hands_coeffs=None)).pose_prior is None


def test_left_shape_directions_are_corrected_on_demand(mano_file):
    """The flag reverses x of the shape directions of left hands, and is refused for right ones."""
    path = mano_file("left")
    plain, corrected = (read_mano_model(path, correct_left_shape=flag).arrays.shapedirs for flag in (False, True))
    np.testing.assert_array_equal(corrected, plain * np.array([-1.0, 1.0, 1.0])[:, None])
    with pytest.raises(InputError, match="only left hands"):
        read_mano_model(mano_file("right"), correct_left_shape=True)


def test_the_wrong_side_is_refused(mano_file):
    """A left file where a right hand was asked for; metrics could not tell."""
    with pytest.raises(InputError, match="is a left hand: its fingers point along \\+x"):
        read_mano(mano_file("left"), side="right")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": None}, "has no array 'weights'"),
        ({"v_template": np.zeros((777, 3))}, r"v_template: has shape \(777, 3\)"),
        ({"v_template": np.full((778, 3), np.nan)}, "v_template: is not finite"),
        ({"v_template": 1e3 * mano_arrays()["v_template"]}, "v_template: reaches 100 m; needs metres"),
        ({"weights": np.full((778, 16), 0.5)}, "do not sum to one"),
        ({"f": np.full((1538, 3), 778)}, "names vertices there are not"),
        ({"kintree_table": np.zeros((2, 16), dtype=np.int64)}, "is not the tree of these joints"),
        ({"shapedirs": np.zeros((778, 3, 4))}, "shapedirs: has 4 parameters"),
        ({"hands_coeffs": np.zeros((10, 12))}, "does not belong to hands_components"),
    ],
)
def test_other_models_are_refused(mano_file, changes, message):
    """Missing arrays, other shapes, other units and indices that point nowhere are named."""
    with pytest.raises(InputError, match=message):
        read_mano(mano_file(kind="npz", **changes))


def test_models_under_the_wrong_name_are_told_apart(tmp_path):
    """A pickle called .npz, arrays called .pkl: what they are is said; so is a pose file that is a pickle."""
    pickled, archived = tmp_path / "hand.npz", tmp_path / "hand.pkl"
    pickled.write_bytes(pickle.dumps({"f": 1}))
    with pytest.raises(InputError, match="is not an .npz archive but a pickle"):
        read_mano(pickled)
    with archived.open("wb") as stream:
        np.savez(stream, **mano_arrays())
    with pytest.raises(InputError, match=r"is not a pickle but an .npz archive of arrays .* or rename it to .npz"):
        read_mano(archived)


def test_a_pickle_saved_again_as_an_ordered_dictionary_is_the_same_hand(tmp_path):
    """Scripts that strip chumpy from the published file often leave one."""
    path, again = tmp_path / "hand.pkl", tmp_path / "again.pkl"
    path.write_bytes(pickle.dumps(mano_arrays()))
    again.write_bytes(pickle.dumps(collections.OrderedDict(mano_arrays())))
    np.testing.assert_array_equal(read_mano(again).vertices, read_mano(path).vertices)


def test_object_arrays_in_npz_are_refused(tmp_path):
    """An npz with pickled objects in it is not opened."""
    np.savez(tmp_path / "hand.npz", v_template=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="v_template: holds pickled objects"):
        read_mano(tmp_path / "hand.npz")


def test_smpl_is_skinned_as_in_its_paper(tmp_path):
    """24 joints, 69 coordinates, of 300 shape parameters the first ten; surface equal to the equations."""
    arrays = smpl_arrays(shapes=12)
    (tmp_path / "person.pkl").write_bytes(python2_pickle(published(arrays), 2))
    body = read_smpl(tmp_path / "person.pkl")
    random = np.random.default_rng(3)
    turn, pose, shape = random.normal(size=3), random.normal(scale=0.5, size=69), random.normal(size=10)
    expected, joints = reference.surface(arrays, turn, pose, shape, np.array([0.1, 0.2, 3.0]))
    rotation = Rotation.from_rotvec(turn).as_quat()[None]
    found = posed_vertices(body, Poses(joints[:1], rotation, pose[None], shape))[0]
    assert (body.link_count, body.coordinate_count, body.shape_count) == (24, 69, 10)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_convert_mano(mano_file, tmp_path, capsys):
    """The command writes an npz that is the same hand, and refuses to replace one unless told to."""
    source, target = mano_file("left", kind=0), tmp_path / "left.npz"
    assert main(["convert-mano", str(source), str(target)]) == 0
    assert "a left hand in" in capsys.readouterr().out
    before, after = read_mano(source), read_mano(target)
    for name in ("vertices", "faces", "skin_weights", "shape_directions", "pose_directions", "joint_offsets"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    with np.load(target, allow_pickle=False) as stored:
        assert set(stored.files) == set(ModelArrays.__dataclass_fields__)
    assert main(["convert-mano", str(source), str(target)]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["convert-mano", str(source), str(target), "--overwrite", "--quiet"]) == 0


@pytest.mark.parametrize(("name", "word"), [("out.pkl", "ends in .npz"), ("missing/../out.npz", "does not exist")])
def test_convert_mano_says_what_is_wrong(tmp_path, capsys, name, word):
    """A wrong suffix, and a model that is not there: exit code 2, one line, nothing written."""
    assert main(["convert-mano", str(tmp_path / "none.pkl"), str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert word in said and said.count("\n") == 1
    assert not (tmp_path / "out.npz").exists()


def test_a_scaled_hand_keeps_its_wrist(mano_file):
    """Size acts about the wrist, where the root frame has its origin."""
    body = read_mano(mano_file())
    rest = Poses(np.zeros((1, 3)), np.array([[0.0, 0.0, 0.0, 1.0]]), np.zeros((1, 45)))
    small, large = (posed_vertices(body, replace(rest, scale=scale))[0] for scale in (1.0, 2.0))
    np.testing.assert_allclose(large, 2.0 * small, atol=1e-6)
    np.testing.assert_array_equal(link_transforms(body, rest)[0, 0, :3], np.zeros(3))
