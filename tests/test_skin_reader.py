"""Skinned GLB files: surfaces that move as glTF says, hands of WebXR, and files that are damaged or mean harm."""

import json
import struct

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.glb_files import finger
from tests.reference import gltf
from warpprior.bodies import JointType, link_transforms, posed_keypoints, posed_vertices, read_skin
from warpprior.bodies.hand_parts import KEYPOINT_NAMES
from warpprior.bodies.readers.mesh_files.linear_light import to_srgb
from warpprior.bodies.readers.webxr import CHAINS, PARENTS
from warpprior.scene import Poses
from warpprior.support.errors import InputError

IDENTITY = np.array([[0.0, 0.0, 0.0, 1.0]])


@pytest.fixture
def read(tmp_path):
    """Reads a builder or bytes as a skin."""

    def read(source, name="finger.glb"):
        path = tmp_path / name
        path.write_bytes(source if isinstance(source, bytes) else source.data())
        return read_skin(path, "finger")

    return read


@pytest.fixture(params=["left", "right"])
def webxr_file(request, shared_data):
    """A WebXR hand, and its side."""
    return shared_data / "webxr_hand" / f"webxr_{request.param}.glb", request.param


def posed(body, turns, position=(0.0, 0.0, 0.0), rotation=IDENTITY[0]):
    """The surface (vertex, 3) with joints turned by rotation vectors by name."""
    joints = np.zeros((1, body.coordinate_count))
    for name, turn in turns.items():
        if f"{name}.x" in body.coordinate_names:
            start = body.coordinate_names.index(f"{name}.x")
            joints[0, start : start + 3] = turn
    poses = Poses(np.array([position]), np.array([rotation]), joints)
    return posed_vertices(body, poses)[0], poses


def nearest(expected, found):
    """Distance from each expected vertex to the vertex of the body at the same place at rest."""
    from scipy.spatial import cKDTree

    return cKDTree(found).query(expected)


def assert_same_surface(body, data, turns, atol, parents=None):
    """Every vertex of the file is where its welded vertex of the body is."""
    gap, place = nearest(gltf.surface(data, {}, parents), body.vertices.astype(np.float64))
    assert gap.max() < 1e-6
    np.testing.assert_allclose(posed(body, turns)[0][place], gltf.surface(data, turns, parents), atol=atol)


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_a_skin_moves_as_gltf_says(read, scale):
    """Nested joints below a turned armature, in metres or in centimetres, against float64 from the file itself."""
    builder = finger(scale=scale)
    body = read(builder)
    turns = dict(zip(("middle", "tip"), np.random.default_rng(1).normal(size=(2, 3)), strict=True))
    assert body.link_names == ("base", "middle", "tip") and body.parents.tolist() == [-1, 0, 1]
    assert body.coordinate_names == tuple(f"{name}.{axis}" for name in ("middle", "tip") for axis in "xyz")
    assert_same_surface(body, builder.data(), turns, 1e-6)


def test_the_root_pose_moves_the_scene_of_the_file(read):
    """The body's pose is camera_from_scene: the file's own frame, turned and shifted."""
    body = read(finger())
    rotation = Rotation.from_rotvec([0.3, -0.5, 1.0])
    position = np.array([0.1, 0.2, 0.7])
    moved, poses = posed(body, {}, position, rotation.as_quat())
    np.testing.assert_allclose(moved, rotation.apply(body.vertices) + position, atol=1e-6)
    root = link_transforms(body, poses)[0, 0]
    np.testing.assert_allclose(root[:3], rotation.apply([0.05, -0.03, 0.06]) + position, atol=1e-6)


def test_seams_are_welded(read):
    """Vertices given twice along a seam are one, and the surface is closed."""
    body = read(finger())
    assert body.vertex_count == 90 and body.face_count == 176 and body.closed and body.warnings == ()


@pytest.mark.parametrize("kind", ["|u1", "<u2"])
def test_weights_may_be_whole_numbers(read, kind):
    """Normalised integers mean parts of their largest value."""
    builder = finger()
    most = np.iinfo(kind).max
    attributes = builder.tree["meshes"][0]["primitives"][0]["attributes"]
    weights = np.tile([most - most // 4, most // 4, 0, 0], (101, 1))
    attributes["WEIGHTS_0"] = builder.add(weights, kind, normalized=True)
    body = read(builder)
    np.testing.assert_allclose(body.skin_weights, [[0.75, 0.25]] * 90, atol=3e-3)


def test_a_second_set_of_weights_counts(read):
    """Five influences: those of both sets."""
    builder = finger()
    attributes = builder.tree["meshes"][0]["primitives"][0]["attributes"]
    attributes["WEIGHTS_0"] = builder.add(np.tile([0.5, 0.0, 0.0, 0.0], (101, 1)))
    attributes["WEIGHTS_1"] = builder.add(np.tile([0.5, 0.0, 0.0, 0.0], (101, 1)))
    attributes["JOINTS_1"] = builder.add(np.tile([2, 0, 0, 0], (101, 1)), "|u1")
    body = read(builder)
    assert (np.sort(body.skin_links, axis=1) == [0, 2]).all() and np.allclose(body.skin_weights, 0.5)


def test_joints_that_move_nothing_are_fixed(read):
    """A joint no vertex follows has no coordinates; one whose children move does."""
    builder = finger()
    attributes = builder.tree["meshes"][0]["primitives"][0]["attributes"]
    attributes["WEIGHTS_0"] = builder.add(np.tile([0.5, 0.5, 0.0, 0.0], (101, 1)))
    assert read(builder).joint_types.tolist() == [JointType.FREE, JointType.BALL, JointType.FIXED]
    attributes["WEIGHTS_0"] = builder.add(np.tile([0.5, 0.0, 0.5, 0.0], (101, 1)))
    assert read(builder).joint_types.tolist() == [JointType.FREE, JointType.BALL, JointType.BALL]


def test_joints_side_by_side_hang_from_a_root(read):
    """Without a common joint, a link that is the scene's frame carries them all."""
    builder = finger()
    nodes = builder.tree["nodes"]
    nodes[0]["children"], nodes[1]["children"], nodes[2]["children"] = [1, 2, 3, 4], [], []
    body = read(builder)
    assert body.link_names == ("root", "base", "middle", "tip") and body.parents.tolist() == [-1, 0, 0, 0]
    assert body.coordinate_count == 9
    np.testing.assert_array_equal(body.joint_offsets[0], [0, 0, 0, 0, 0, 0, 1])


def test_a_file_that_is_not_in_its_bind_pose_says_so(read):
    """Zero coordinates are the bind pose, whatever the nodes' own pose is."""
    builder = finger()
    rest = read(builder)
    builder.tree["nodes"][2]["rotation"] = [0.0, 0.0, 0.0, 1.0]
    body = read(builder)
    assert any("zero is the bind pose" in warning for warning in body.warnings)
    np.testing.assert_allclose(body.vertices, rest.vertices, atol=1e-6)
    np.testing.assert_allclose(body.joint_offsets, rest.joint_offsets, atol=1e-6)


def test_colours_come_from_vertices_and_material(read):
    """Linear colours of material and vertices multiply; a file that says none gives none."""
    builder = finger()
    primitive = builder.tree["meshes"][0]["primitives"][0]
    assert read(builder).colors is None
    builder.tree["materials"] = [{"pbrMetallicRoughness": {"baseColorFactor": [0.8, 0.6, 0.5, 1.0]}}]
    primitive["material"] = 0
    color = np.array([0.8, 0.6, 0.5])
    np.testing.assert_allclose(read(builder).colors, np.tile(to_srgb(color), (90, 1)), atol=1e-6)
    primitive["attributes"]["COLOR_0"] = builder.add(np.tile([255, 0, 51], (101, 1)), "|u1", normalized=True)
    np.testing.assert_allclose(read(builder).colors, np.tile(to_srgb(color * [1, 0, 0.2]), (90, 1)), atol=1e-6)


@pytest.mark.parametrize(("name", "side"), [("my_left_hand.glb", "left"), ("RightArm.glb", "right"), ("arm.glb", None)])
def test_the_side_is_taken_from_names(read, name, side):
    """Names of files and joints that say one side."""
    assert read(finger(), name).side == side


def test_webxr_hands_are_hands(webxr_file):
    """25 joints, the wrist first, 57 coordinates, a closed surface, 21 keypoints, zones, limits, a prior."""
    path, side = webxr_file
    body = read_skin(path, "hand")
    assert (body.link_count, body.coordinate_count, body.side, body.closed) == (25, 57, side, True)
    assert body.warnings == () and body.vertex_count == 1159 and body.link_names[0] == "wrist"
    fixed = [name for name, kind in zip(body.link_names, body.joint_types, strict=True) if kind == JointType.FIXED]
    assert fixed == [chain[-1] for chain in CHAINS.values()]
    assert body.keypoints.names == KEYPOINT_NAMES
    assert all(len(zone) >= 10 for zone in body.contact_zones.values()) and len(body.contact_zones) == 6
    assert (body.lower < body.upper).all() and (body.lower <= 0.0).all() and (body.upper >= 0.0).all()
    assert (body.pose_prior.mean >= body.lower).all() and (body.pose_prior.mean <= body.upper).all()


def test_webxr_hands_move_as_their_bind_matrices_say(webxr_file):
    """Every joint turned, against float64 from the file's inverse bind matrices and the tree of the specification."""
    path, _ = webxr_file
    random = np.random.default_rng(2)
    turns = {name: random.normal(scale=0.4, size=3) for name in PARENTS if not name.endswith("tip")}
    assert_same_surface(read_skin(path, "hand"), path.read_bytes(), turns, 2e-6, PARENTS)


def test_webxr_fingers_close_about_minus_x(webxr_file):
    """Flexion brings the finger tips towards the palm and the wrist, on both hands."""
    path, _ = webxr_file
    body = read_skin(path, "hand")
    turns = {name: (-1.2, 0.0, 0.0) for chain in CHAINS.values() for name in chain[-4:-1] if "thumb" not in name}
    open_points, fist = (posed_keypoints(body, posed(body, t)[1])[0] for t in ({}, turns))
    palm = body.vertices[body.contact_zones["palm"]].mean(axis=0)
    tips = [KEYPOINT_NAMES.index(f"{finger}_tip") for finger in ("index", "middle", "ring", "pinky")]
    before, after = (np.linalg.norm(points[tips] - palm, axis=1) for points in (open_points, fist))
    assert (after < 0.5 * before).all()


def test_the_prior_of_webxr_hands_knows_how_fingers_close(webxr_file):
    """A hand that closes all fingers alike costs less than one that bends every other one."""
    body = read_skin(webxr_file[0], "hand")
    prior, names = body.pose_prior, body.coordinate_names

    def cost(amounts):
        moved = np.zeros(len(names))
        for chain, amount in zip(list(CHAINS.values())[1:], amounts, strict=True):
            for joint, part in zip(chain[1:4], (1.0, 1.0, 2.0 / 3.0), strict=True):
                moved[names.index(f"{joint}.x")] = part * amount - prior.mean[names.index(f"{joint}.x")]
        return moved @ prior.precision @ moved

    together, apart = cost((-0.6, -0.6, -0.6, -0.6)), cost((-1.1, -0.1, -1.1, -0.1))
    assert np.linalg.eigvalsh(prior.precision).min() > 0.0
    assert together < 0.2 * apart


def edited(**changes):
    """A file whose tree is changed by functions or values, by key."""
    builder = finger()
    for key, change in changes.items():
        if callable(change):
            change(builder.tree[key])
        else:
            builder.tree[key] = change
    return builder.data()


def with_tree(text):
    """A file with any JSON."""
    text = text.encode() + b" " * (-len(text) % 4)
    chunk = struct.pack("<I4s", len(text), b"JSON") + text
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunk)) + chunk


BAD_FILES = {
    "no glTF": (b"glXF" + finger().data()[4:], "no binary glTF 2"),
    "short": (finger().data()[:15], "less than a header"),
    "cut": (finger().data()[:-40], "its header claims"),
    "no JSON": (struct.pack("<4sIII4s", b"glTF", 2, 24, 4, b"BIN\0") + b"0000", "no complete JSON"),
    "bad JSON": (with_tree("{]"), "cannot be read"),
    "a list": (with_tree("[]"), "its JSON is no object"),
    "deep JSON": (with_tree('{"nodes":' + "[" * 100_000), "nested too deep"),
    "no skin": (edited(skins=[], nodes=[{"mesh": 0}]), "has no skinned mesh"),
    "lists of text": (edited(nodes="x" * 5), "no list of objects"),
    "other file": (edited(buffers=[{"uri": "../../secret.bin", "byteLength": 10**6}]), "lies in another file"),
    "data address": (edited(buffers=[{"uri": "data:;base64,AAAA", "byteLength": 3}]), "lies in another file"),
    "network": (edited(buffers=[{"uri": "https://example.org/a.bin", "byteLength": 10**6}]), "lies in another file"),
    "huge count": (edited(accessors=lambda a: a[0].update(count=10**12)), "claims 1000000000000 elements"),
    "count beyond": (edited(accessors=lambda a: a[0].update(count=5000)), "reaches beyond its data"),
    "negative count": (edited(accessors=lambda a: a[0].update(count=-1)), "claims -1"),
    "count a text": (edited(accessors=lambda a: a[0].update(count="9")), "claims 9"),
    "negative offset": (edited(accessors=lambda a: a[0].update(byteOffset=-4)), "reaches beyond its data"),
    "negative place": (edited(bufferViews=lambda v: v[1].update(byteOffset=-4)), "reaches beyond its data"),
    "long view": (edited(bufferViews=lambda v: v[0].update(byteLength=10**9, byteOffset=10**8)), "reaches beyond"),
    "small stride": (edited(bufferViews=lambda v: v[0].update(byteStride=1)), "reaches beyond its data"),
    "huge stride": (edited(bufferViews=lambda v: v[0].update(byteStride=2**62)), "reaches beyond its data"),
    "zeros of any size": (edited(accessors=lambda a: a[0].pop("bufferView")), "sparse or has no data"),
    "accessor beyond": (edited(skins=lambda s: s[0].update(inverseBindMatrices=99)), "names accessors 99"),
    "joint beyond": (edited(skins=lambda s: s[0].update(joints=[1, 2, 99])), "cannot be read|names nodes 99"),
    "joint negative": (edited(skins=lambda s: s[0].update(joints=[1, 2, -1])), "names nodes -1"),
    "no joints": (edited(skins=lambda s: s[0].update(joints=[])), "has 0 joints"),
    "too many joints": (edited(skins=lambda s: s[0].update(joints=list(range(300)))), "has 300 joints"),
    "fewer joints": (edited(skins=lambda s: s[0].update(joints=[1, 2])), "weights name joints|cannot be read"),
    "a ring of nodes": (edited(nodes=lambda n: n[3].update(children=[1])), "two parents|own ancestors"),
    "two parents": (edited(nodes=lambda n: n[3].update(children=[2])), "two parents"),
    "its own child": (edited(nodes=lambda n: n[4].update(children=[4])), "two parents"),
    "node not finite": (edited(nodes=lambda n: n[1].update(translation=[float("nan"), 0, 0])), "no finite place"),
    "no unit quaternion": (edited(nodes=lambda n: n[1].update(rotation=[0, 0, 0, 5])), "cannot be read"),
    "flat armature": (edited(nodes=lambda n: n[0].update(scale=[1, 0, 1])), "cannot be read"),
    "compressed": (edited(extensionsRequired=["KHR_draco_mesh_compression"]), "needs KHR_draco"),
    "no triangles": (edited(meshes=lambda m: m[0]["primitives"][0].update(mode=1)), "no triangles"),
    "millimetres": (finger(scale=0.001).data().replace(b"0.001, 0.001, 0.001", b"100.0, 100.0, 100.0"), "its size is"),
}


@pytest.mark.parametrize(("data", "message"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_files_are_refused(read, data, message):
    """Damage, references to anything outside, sizes without data, and trees that are none: one sentence."""
    with pytest.raises(InputError, match=message) as refused:
        read(data)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [np.nan, -0.5, np.inf])
def test_bad_weights_are_refused(read, value):
    """Weights that are not finite or negative."""
    builder = finger()
    attributes = builder.tree["meshes"][0]["primitives"][0]["attributes"]
    attributes["WEIGHTS_0"] = builder.add(np.tile([1.0 - 0.5, value, 0.0, 0.0], (101, 1)))
    with pytest.raises(InputError):
        read(builder)


def test_vertices_without_a_joint_follow_the_first(read):
    """Weights of zero are mended with a warning."""
    builder = finger()
    attributes = builder.tree["meshes"][0]["primitives"][0]["attributes"]
    weights = np.tile([0.0, 1.0, 0.0, 0.0], (101, 1))
    weights[:9] = 0.0
    attributes["WEIGHTS_0"] = builder.add(weights)
    body = read(builder)
    assert any("9 vertices follow no joint" in warning for warning in body.warnings)
    assert (body.skin_links[:8, 0] == 0).all()


def test_random_damage_ends_in_a_sentence(read):
    """Bytes changed anywhere give a body or a refusal; nothing else is raised."""
    data = finger().data()
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(data)
        for place in random.integers(12, len(data), 4):
            damaged[place] = random.integers(256)
        try:
            read(bytes(damaged))
        except InputError:
            refused += 1
    assert refused > 20


def test_other_suffixes_are_refused(tmp_path):
    """glTF with files beside it is not read."""
    (tmp_path / "hand.gltf").write_text(json.dumps({}), encoding="utf-8")
    with pytest.raises(InputError, match="give a skinned mesh as .glb"):
        read_skin(tmp_path / "hand.gltf", "hand")
