"""URDF files: the tree, its motion against an independent reader, shapes, mimics, limits, and what is refused."""

import re

import numpy as np
import pytest
import trimesh
import yourdfpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.reference.kinematics import matrices
from warpprior.bodies import JointType, link_transforms, posed_vertices, read_urdf
from warpprior.bodies.primitives import make_box
from warpprior.bodies.readers.urdf_writer import write_urdf
from warpprior.scene import Poses
from warpprior.support.errors import InputError

BOX = '<visual><geometry><box size="0.1 0.1 0.1"/></geometry></visual>'

# Every accepted joint type, rotated origins, skewed axes, a branch, a chain of mimics declared before its source.
ROBOT = f"""<?xml version="1.0"?>
<robot name="sample">
  <material name="blue"><color rgba="0 0 1 1"/></material>
  <joint name="claw" type="revolute"><parent link="arm"/><child link="claw"/><origin xyz="0 0 0.1" rpy="0.1 0.2 0.3"/>
    <axis xyz="0 0 2"/><limit lower="-3" upper="3" effort="1" velocity="1"/>
    <mimic joint="thumb" multiplier="-0.5" offset="0.1"/></joint>
  <link name="claw">{BOX}</link>
  <link name="base"><visual><geometry><sphere radius="0.05"/></geometry><material name="blue"/></visual></link>
  <link name="turntable"/>
  <link name="arm"><collision><origin xyz="0 0 0.05" rpy="0 1.5707963 0"/>
    <geometry><cylinder radius="0.02" length="0.1"/></geometry></collision></link>
  <link name="rail">{BOX}<visual><origin xyz="0 0.1 0"/><geometry><capsule radius="0.01" length="0.1"/></geometry>
    <material name="own"><color rgba="1 0 0 1"/></material></visual></link>
  <link name="thumb">{BOX}</link>
  <joint name="turn" type="continuous"><parent link="base"/><child link="turntable"/><axis xyz="0 0 1"/></joint>
  <joint name="bolt" type="fixed"><parent link="turntable"/><child link="arm"/>
    <origin xyz="0.1 0 0" rpy="1 0 -1"/></joint>
  <joint name="slide" type="prismatic"><parent link="arm"/><child link="rail"/><origin xyz="0 0 0.2"/>
    <axis xyz="0.6 0.8 0"/><limit lower="-0.05" upper="0.1" effort="1" velocity="1"/></joint>
  <joint name="thumb" type="revolute"><parent link="base"/><child link="thumb"/><origin xyz="0.05 0 0"/>
    <limit lower="-1" upper="2" effort="1" velocity="1"/>
    <mimic joint="slide" multiplier="10" offset="-0.2"/></joint>
  <transmission name="t"><joint name="slide"/></transmission>
</robot>
"""


@pytest.fixture
def write(tmp_path):
    """Write text or bytes to a named file in a fresh folder and give its path."""

    def write(content, name="robot.urdf"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def wrap(*parts):
    """A robot of these parts."""
    return f"<robot name='r'>{''.join(parts)}</robot>"


def joint(name, parent, child, kind="fixed", inner=""):
    """A joint element."""
    return f"<joint name='{name}' type='{kind}'><parent link='{parent}'/><child link='{child}'/>{inner}</joint>"


def poses_of(joints):
    """Poses at the identity with these joint coordinates."""
    frames = len(joints)
    return Poses(np.zeros((frames, 3)), np.tile([0.0, 0.0, 0.0, 1.0], (frames, 1)), joints)


def assert_same_links(body, peer, joints, atol):
    """Every link is where the independent reader puts it."""
    found = matrices(link_transforms(body, poses_of(joints)))
    for frame, values in enumerate(joints):
        peer.update_cfg(values)
        for link, name in enumerate(body.link_names):
            np.testing.assert_allclose(found[frame, link], peer.get_transform(name), atol=atol, err_msg=name)


def test_tree_limits_and_mimics(write):
    """Parents first, moving joints in the order of the file, limits, and mimics resolved to their source."""
    body = read_urdf(write(ROBOT), "robot")
    assert body.name == "robot" and body.kind == "urdf"
    assert body.link_names == ("base", "turntable", "arm", "claw", "rail", "thumb")
    assert body.parents.tolist() == [-1, 0, 1, 2, 2, 0]
    hinge, slide, fixed = JointType.HINGE, JointType.SLIDE, JointType.FIXED
    assert body.joint_types.tolist() == [JointType.FREE, hinge, fixed, hinge, slide, hinge]
    assert body.coordinate_names == ("turn", "slide")
    assert body.lower.tolist() == [-np.inf, pytest.approx(-0.05)] and body.upper.tolist() == [
        np.inf,
        pytest.approx(0.1),
    ]
    assert body.coordinate_starts.tolist() == [-1, 0, -1, 1, 1, 1]
    # claw = -0.5 * thumb + 0.1, thumb = 10 * slide - 0.2
    length, grey = body.warnings
    assert "'claw'" in length and "unit length" in length and "4 links have shapes without a colour" in grey
    np.testing.assert_allclose(body.coordinate_gains, [1, 1, 1, -5, 1, 10])
    np.testing.assert_allclose(body.coordinate_biases, [0, 0, 0, 0.2, 0, -0.2], atol=1e-7)


def test_links_move_as_in_an_independent_reader(write):
    """Forward kinematics equals yourdfpy's; it is given no capsule and no mimic of a mimic, which are checked apart."""
    text = ROBOT.replace(
        '<mimic joint="thumb" multiplier="-0.5" offset="0.1"/>', '<mimic joint="turn" multiplier="-0.5"/>'
    )
    path = write(text.replace("<capsule", "<cylinder"))
    body = read_urdf(path, "robot")
    peer = yourdfpy.URDF.load(str(path), load_meshes=False)
    assert list(body.coordinate_names) == list(peer.actuated_joint_names)
    joints = np.random.default_rng(0).uniform([-4, -0.05], [4, 0.1], (20, 2))
    assert_same_links(body, peer, joints, atol=1e-6)


def test_chained_mimics_move_by_their_source(write):
    """The claw follows the thumb, which follows the slide."""
    body = read_urdf(write(ROBOT), "robot")
    found = matrices(link_transforms(body, poses_of(np.array([[0.0, 0.06]]))))[0]
    thumb = Rotation.from_rotvec([10 * 0.06 - 0.2, 0, 0]).as_matrix()
    np.testing.assert_allclose(found[5, :3, :3], thumb, atol=1e-6)
    turned = found[2, :3, :3].T @ found[3, :3, :3]
    claw = Rotation.from_euler("xyz", [0.1, 0.2, 0.3]).as_matrix() @ Rotation.from_rotvec([0, 0, -0.1]).as_matrix()
    np.testing.assert_allclose(turned, claw, atol=1e-6)


def test_shapes_follow_their_links(write):
    """The surface of each link is its shapes placed by its transform; collision shapes stand in; colours are kept."""
    body = read_urdf(write(ROBOT), "robot")
    joints = np.array([[0.7, 0.03]])
    links = matrices(link_transforms(body, poses_of(joints)))[0]
    surface = posed_vertices(body, poses_of(joints))[0]
    assert body.closed and set(body.skin_links[:, 0]) == {0, 2, 3, 4, 5}

    def local(link):
        mine = body.skin_links[:, 0] == link
        return surface[mine].astype(np.float64) @ links[link, :3, :3] - links[link, :3, 3] @ links[link, :3, :3]

    np.testing.assert_allclose(np.linalg.norm(local(0), axis=1), 0.05, atol=1e-6)
    np.testing.assert_allclose(np.abs(local(3)), 0.05, atol=1e-6)
    low, high = local(2).min(axis=0), local(2).max(axis=0)
    np.testing.assert_allclose([low, high], [[-0.05, -0.02, 0.03], [0.05, 0.02, 0.07]], atol=1e-6)
    assert len(local(4)) > 8 and local(4)[:, 1].max() == pytest.approx(0.11, abs=1e-6)
    colors = body.colors[body.skin_links[:, 0] == 0]
    np.testing.assert_allclose(colors, np.tile([0.0, 0.0, 1.0], (len(colors), 1)))
    np.testing.assert_allclose(body.colors[body.skin_links[:, 0] == 3], 0.7)


def test_meshes_are_found_scaled_and_mirrored(write):
    """Relative, package and file addresses; a negative scale keeps the surface facing outwards."""
    box = make_box([1.0, 1.0, 1.0])
    mesh = trimesh.Trimesh(box.vertices + np.full(3, 0.5), box.faces, process=False).export(file_type="stl")
    folder = write(mesh, "meshes/box.stl").parent.parent
    names = [
        "meshes/box.stl",
        "package://any/meshes/box.stl",
        f"file://{folder}/meshes/box.stl",
        "./x/../meshes/box.stl",
    ]
    visuals = "".join(
        f"<visual><geometry><mesh filename='{name}' scale='-0.1 0.1 0.2'/></geometry></visual>" for name in names
    )
    body = read_urdf(write(wrap(f"<link name='a'>{visuals}</link>")), "r")
    assert (body.vertex_count, body.face_count, body.closed, body.is_rigid) == (32, 48, True, True)
    np.testing.assert_allclose([body.vertices.min(axis=0), body.vertices.max(axis=0)], [[-0.1, 0, 0], [0, 0.1, 0.2]])
    volume = np.linalg.det(body.vertices[body.faces].astype(np.float64)).sum() / 6
    assert volume == pytest.approx(4 * 0.1 * 0.1 * 0.2, rel=1e-5)


def test_mesh_folder_may_lie_above_the_file(write):
    """With mesh_folder the usual layout of a ROS package is read; without it the mesh is outside."""
    write(trimesh.creation.box((0.1, 0.1, 0.1)).export(file_type="stl"), "pkg/meshes/box.stl")
    text = wrap("<link name='a'><visual><geometry><mesh filename='{}'/></geometry></visual></link>")
    for name in ("package://pkg/meshes/box.stl", "../meshes/box.stl"):
        path = write(text.format(name), "pkg/urdf/r.urdf")
        assert read_urdf(path, "r", mesh_folder=path.parent.parent).face_count == 12
        with pytest.raises(InputError, match="outside|missing"):
            read_urdf(path, "r")


def test_missing_meshes_are_listed_together(write):
    """One message names every missing file."""
    shape = "<visual><geometry><mesh filename='{}'/></geometry></visual>"
    text = wrap("<link name='a'>", shape.format("one.stl"), shape.format("sub/two.obj"), BOX, "</link>")
    with pytest.raises(InputError, match=r"2 mesh files are missing: 'one.stl', 'sub/two.obj'"):
        read_urdf(write(text), "r")


@pytest.mark.parametrize("kind", ["floating", "planar"])
def test_joint_that_places_the_robot_is_its_pose(write, kind):
    """Empty links above a floating or planar joint are left out; the plane of a planar one is said to be lost."""
    above = "<link name='world'/><link name='odometry'/>" + joint("w", "world", "odometry", "fixed")
    robot = f"<link name='a'>{BOX}</link><link name='b'>{BOX}</link>" + joint("j", "a", "b", "continuous")
    body = read_urdf(write(wrap(above, joint("f", "odometry", "a", kind), robot)), "r")
    assert body.link_names == ("a", "b") and body.coordinate_names == ("j",)
    assert body.joint_types.tolist() == [JointType.FREE, JointType.HINGE]
    assert [warning for warning in body.warnings if "plane" in warning] == (
        ["joint 'f': is planar and places the robot; its pose is free, its plane is not kept"]
        if kind == "planar"
        else []
    )
    chain = joint("f", "world", "odometry", kind) + joint("g", "odometry", "a", "floating")
    body = read_urdf(write(wrap("<link name='world'/><link name='odometry'/>", chain, robot)), "r")
    assert body.link_names == ("a", "b")


def test_joint_without_limits_is_free_and_said(write):
    """A revolute joint without limits moves without bound, with a warning."""
    body = read_urdf(write(wrap(f"<link name='a'>{BOX}</link><link name='b'/>", joint("j", "a", "b", "revolute"))), "r")
    assert body.lower.tolist() == [-np.inf] and any("'j'" in w and "no limits" in w for w in body.warnings)


LINKS = f"<link name='a'>{BOX}</link><link name='b'/>"
MESH = "<link name='a'><visual><geometry><mesh filename='{}'/></geometry></visual></link>"
HINGE = "<limit lower='0' upper='1'/>"
REFUSED = {
    "not xml": ("hello", "not well-formed"),
    "cut short": (ROBOT[:900], "not well-formed"),
    "wrong root": ("<sdf/>", "root element is <sdf>"),
    "xacro": ("<robot xmlns:xacro='x'><xacro:include filename='f'/></robot>", "xacro"),
    "no links": (wrap(), "no links"),
    "no shape": (wrap("<link name='a'/>"), "no link has a shape"),
    "two links of a name": (wrap(LINKS, "<link name='b'/>"), "two links are called 'b'"),
    "nameless link": (wrap("<link/>"), "without a name"),
    "two joints of a name": (wrap(LINKS, joint("j", "a", "b"), joint("j", "a", "b")), "two joints are called 'j'"),
    "two roots": (wrap(LINKS), "2 links have no parent: 'a', 'b'"),
    "two parents": (
        wrap(LINKS, "<link name='c'/>", joint("j", "a", "b"), joint("k", "c", "b")),
        "joint 'k'.*joint 'j'",
    ),
    "unknown link": (wrap(LINKS, joint("j", "a", "z")), "joint 'j'.*'z', which does not exist"),
    "no parent": (wrap(LINKS, "<joint name='j' type='fixed'><child link='b'/></joint>"), "joint 'j'.*no parent"),
    "all in a loop": (wrap(LINKS, joint("j", "a", "b"), joint("k", "b", "a")), "loop"),
    "loop aside": (
        wrap(
            LINKS, "<link name='c'/><link name='d'/>", joint("j", "a", "b"), joint("k", "c", "d"), joint("l", "d", "c")
        ),
        "loop through links 'c', 'd'",
    ),
    "its own child": (wrap(LINKS, joint("j", "a", "b"), "<link name='c'/>", joint("k", "c", "c")), "loop"),
    "floating": (wrap(LINKS, joint("j", "a", "b", "floating")), "joint 'j'.*type 'floating'.*between empty links"),
    "planar": (
        wrap(LINKS, f"<link name='c'>{BOX}</link>", joint("k", "b", "a", "revolute"), joint("j", "b", "c", "planar")),
        "joint 'j'.*type 'planar'",
    ),
    "many floating": (
        wrap(LINKS, *(f"<link name='l{i}'/>" + joint(f"j{i}", "a", f"l{i}", "floating") for i in range(9))),
        "9 floating or planar joints",
    ),
    "unknown type": (wrap(LINKS, joint("j", "a", "b", "magic")), "joint 'j'.*type 'magic'"),
    "no type": (wrap(LINKS, "<joint name='j'/>"), "joint 'j'.*type ''"),
    "zero axis": (wrap(LINKS, joint("j", "a", "b", "revolute", "<axis xyz='0 0 0'/>" + HINGE)), "joint 'j'.*axis"),
    "endless axis": (
        wrap(LINKS, joint("j", "a", "b", "revolute", "<axis xyz='0 1e300 0'/>" + HINGE)),
        "joint 'j'.*axis",
    ),
    "mimic of itself": (wrap(LINKS, joint("j", "a", "b", "revolute", HINGE + "<mimic joint='j'/>")), "mimics itself"),
    "axis of two": (wrap(LINKS, joint("j", "a", "b", "revolute", "<axis xyz='0 1'/>" + HINGE)), "joint 'j'.*'0 1'"),
    "nan origin": (wrap(LINKS, joint("j", "a", "b", "fixed", "<origin xyz='0 nan 0'/>")), "joint 'j'.*'0 nan 0'"),
    "decimal comma": (wrap(LINKS, joint("j", "a", "b", "fixed", "<origin xyz='0,1 0 0'/>")), "joint 'j'.*'0,1 0 0'"),
    "limits crossed": (
        wrap(LINKS, joint("j", "a", "b", "revolute", "<limit lower='1' upper='0'/>")),
        "joint 'j'.*exceeds",
    ),
    "limit is text": (wrap(LINKS, joint("j", "a", "b", "revolute", "<limit lower='x' upper='0'/>")), "joint 'j'.*'x'"),
    "limit beyond single precision": (
        wrap(LINKS, joint("j", "a", "b", "revolute", "<limit lower='0' upper='1e39'/>")),
        "joint 'j'.*upper is '1e39'",
    ),
    "mimics beyond it together": (
        wrap(
            LINKS,
            "<link name='c'/><link name='d'/>",
            joint("j", "a", "b", "revolute", HINGE),
            joint("k", "b", "c", "revolute", HINGE + "<mimic joint='j' multiplier='1e30'/>"),
            joint("l", "c", "d", "revolute", HINGE + "<mimic joint='k' multiplier='1e30'/>"),
        ),
        "joint 'l'.*mimics joint 'j' by 1e\\+60",
    ),
    "mimic of nothing": (
        wrap(LINKS, joint("j", "a", "b", "revolute", HINGE + "<mimic joint='z'/>")),
        "joint 'j'.*mimics joint 'z'.*joints: 'j'",
    ),
    "mimic of a fixed joint": (
        wrap(LINKS, "<link name='c'/>", joint("f", "b", "c"), joint("j", "a", "b", "revolute", "<mimic joint='f'/>")),
        "joint 'j'.*'f', which is fixed",
    ),
    "mimics in a circle": (
        wrap(
            LINKS,
            "<link name='c'/>",
            joint("j", "a", "b", "revolute", "<mimic joint='k'/>"),
            joint("k", "b", "c", "revolute", "<mimic joint='j'/>"),
        ),
        "mimics itself",
    ),
    "unknown shape": (wrap("<link name='a'><visual><geometry><cone/></geometry></visual></link>"), "link 'a'.*'cone'"),
    "no geometry": (wrap("<link name='a'><visual/></link>"), "link 'a'.*0 geometries"),
    "negative radius": (
        wrap("<link name='a'><visual><geometry><sphere radius='-1'/></geometry></visual></link>"),
        "link 'a'.*radius is '-1'",
    ),
    "no size": (wrap("<link name='a'><visual><geometry><box/></geometry></visual></link>"), "link 'a'.*no 'size'"),
    "mesh without a name": (wrap("<link name='a'><visual><geometry><mesh/></geometry></visual></link>"), "no filename"),
    "mesh of another format": (wrap(MESH.format("robot.urdf")), "'robot.urdf' is not a format"),
    "mesh above": (wrap(MESH.format("../../etc/passwd")), "outside.*mesh_folder"),
    "absolute mesh": (wrap(MESH.format("/etc/passwd")), "outside"),
    "package above": (wrap(MESH.format("package://../../etc/passwd")), "outside"),
    "escaped package": (wrap(MESH.format("package://x/%2e%2e/%2e%2e/%2e%2e/etc/passwd")), "outside"),
    "file elsewhere": (wrap(MESH.format("file:///etc/passwd")), "outside"),
    "backslashes": (wrap(MESH.format(r"..\..\etc\passwd")), "outside"),
    "from the net": (wrap(MESH.format("http://example.com/a.stl")), "is not a file"),
    "robot in millimetres": (
        wrap(f"<link name='a'>{BOX.replace('0.1', '100')}</link>"),
        "100 x 100 x 100 m.*URDF in metres",
    ),
    "doctype": ("<!DOCTYPE robot>" + wrap(LINKS), "DOCTYPE"),
    "outside entity": ("<!DOCTYPE r [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><robot name='&e;'/>", "DOCTYPE"),
    "laughs": ("<!DOCTYPE r [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]><robot>&b;</robot>", "DOCTYPE"),
    "undefined entity": ("<robot name='r'>&x;</robot>", "not well-formed"),
    "deep": ("<robot>" + "<a>" * 200_000, "64 deep"),
    "wide": ("<robot>" + "<a/>" * 200_001 + "</robot>", "more than 200000 elements"),
    "unknown encoding": (b"<?xml version='1.0' encoding='klingon'?><robot/>", "not well-formed|decoded"),
    "utf-16 doctype": ("<!DOCTYPE robot><robot/>".encode("utf-16"), "DOCTYPE"),
    "empty": ("", "is empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_robots_are_refused(write, case):
    """Each fault is named with its joint, link or line, and nothing outside the folder is opened."""
    content, message = REFUSED[case]
    with pytest.raises(InputError) as caught:
        read_urdf(write(content), "r")
    assert re.search(message, str(caught.value)), caught.value
    assert "root:" not in str(caught.value)


def test_link_out_of_the_folder_is_not_followed(write, tmp_path):
    """A symbolic link that leads out of the folder counts as outside."""
    target = write(trimesh.creation.box((0.1, 0.1, 0.1)).export(file_type="stl"), "elsewhere/box.stl")
    path = write(wrap(MESH.format("box.stl")), "robot/r.urdf")
    (path.parent / "box.stl").symlink_to(target)
    with pytest.raises(InputError, match="outside"):
        read_urdf(path, "r")


def test_broken_mesh_of_a_robot_names_the_mesh(write):
    """A fault inside a mesh is reported with the mesh's own path."""
    write("v 0 0 0\nf 0 0 0\n", "a.obj")
    with pytest.raises(InputError, match=r"a\.obj, line 2"):
        read_urdf(write(wrap(MESH.format("a.obj"))), "r")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.integers(0, 5000), st.text("<>/'\"=0123456789.- joint&;#", max_size=5)), max_size=5))
def test_damaged_robots_give_a_body_or_an_input_error(write, edits):
    """Random edits of a valid file never raise anything but InputError, and trees stay sorted and finite."""
    text = ROBOT
    for place, value in edits:
        place %= len(text)
        text = text[:place] + value + text[place + len(value) :]
    try:
        body = read_urdf(write(text), "fuzz")
    except InputError:
        return
    assert (body.parents < np.arange(body.link_count)).all() and np.isfinite(body.vertices).all()
    assert np.isfinite(body.joint_offsets).all() and np.isfinite(body.coordinate_gains).all()
    assert body.coordinate_starts.max() < body.coordinate_count


def test_reference_hand(shared_data):
    """A real hand of 23 links: closed, no repairs, and its links move as in an independent reader to 1e-6."""
    path = shared_data / "allegro_mustard" / "hand" / "allegro_hand_right.urdf"
    body = read_urdf(path, "hand")
    assert body.coordinate_count == 16 and body.link_count == 23 and body.closed
    *bare, inertias = body.warnings
    assert all("material" in warning for warning in bare)  # its libraries are not among the samples
    assert inertias.startswith("an inertia that no body can have") and inertias.endswith("'link_7.0_tip' and 7 more")
    peer = yourdfpy.URDF.load(str(path), load_meshes=False)
    assert list(body.coordinate_names) == list(peer.actuated_joint_names)
    for name, low, high in zip(body.coordinate_names, body.lower, body.upper, strict=True):
        limit = peer.joint_map[name].limit
        assert (low, high) == (pytest.approx(limit.lower), pytest.approx(limit.upper))
    joints = np.random.default_rng(1).uniform(-2, 2, (10, 16))
    assert_same_links(body, peer, joints, atol=1e-6)


INERTIAL = """<inertial><origin xyz="0.01 0 0" rpy="0 0 1.5707963267948966"/><mass value="0.2"/>
  <inertia ixx="3e-4" ixy="0" ixz="0" iyy="2e-4" iyz="0" izz="4e-4"/></inertial>"""


def test_masses_and_forces(write):
    """Mass, centre, inertia in the link's frame, and what brakes a joint; NaN and None where nothing is said."""
    hinge = '<axis xyz="0 0 1"/><limit effort="3" velocity="0" lower="0" upper="1"/><dynamics damping="0.1"/>'
    text = wrap(
        f"<link name='a'>{BOX}{INERTIAL}</link><link name='b'>{BOX}</link>", joint("j", "a", "b", "revolute", hinge)
    )
    body = read_urdf(write(text), "r")
    own, nothing = body.dynamics.masses
    assert nothing is None and own.mass == 0.2 and body.warnings == ()
    axes = Rotation.from_quat(own.axes).as_matrix()
    np.testing.assert_allclose(axes @ np.diag(own.moments) @ axes.T, np.diag([2e-4, 3e-4, 4e-4]), atol=1e-12)
    np.testing.assert_allclose(own.center, [0.01, 0.0, 0.0])
    forces = body.dynamics.forces
    np.testing.assert_array_equal(forces.effort, [np.nan, 3.0])
    np.testing.assert_array_equal(forces.damping, [np.nan, 0.1])
    assert np.isnan(forces.velocity).all() and np.isnan(forces.friction).all()  # a velocity of 0 says nothing
    assert read_urdf(write(wrap(f"<link name='a'>{BOX}</link>")), "r").dynamics is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('ixx="3e-4"', 'ixx="0"', "not positive"),
        ('izz="4e-4"', 'izz="9e-4"', "no body can have"),
        ('value="0.2"', 'value="-0.2"', "no link can have"),
        ('value="0.2"', 'value="much"', "no numbers"),
        ('ixy="0"', 'ixy="nan"', "no numbers"),
        ('value="0.2"', 'value="0"', None),
    ],
)
def test_unusable_masses_are_said(write, old, new, said):
    """They never refuse a file: inertia of the shape instead, kept as it is, or left out."""
    text = wrap(f"<link name='a'>{BOX}{INERTIAL.replace(old, new)}</link>")
    body = read_urdf(write(text), "r")
    warnings = [text for text in body.warnings if "'a'" in text]
    assert len(warnings) == (said is not None) and all(said in text for text in warnings)
    if said == "not positive":  # a box of 0.1 m: m s^2 / 6
        np.testing.assert_allclose(body.dynamics.masses[0].moments, 0.2 * 0.1**2 / 6.0, rtol=1e-5)
    elif said == "no body can have":
        np.testing.assert_allclose(sorted(body.dynamics.masses[0].moments), [2e-4, 3e-4, 9e-4])
    else:
        assert body.dynamics is None


def test_masses_are_written(tmp_path, write):
    """A robot that is written without its file keeps masses and forces."""
    hinge = '<axis xyz="0 0 1"/><limit effort="3" velocity="2" lower="0" upper="1"/><dynamics friction="0.2"/>'
    links = f"<link name='a'>{BOX}</link><link name='b'>{BOX}{INERTIAL}</link>"
    body = read_urdf(write(wrap(links, joint("j", "a", "b", "revolute", hinge))), "r")
    again = read_urdf(write_urdf(body, tmp_path / "again"), "r")
    own, found = body.dynamics.masses[1], again.dynamics.masses[1]
    tensors = [(Rotation.from_quat(m.axes).as_matrix(), m.moments) for m in (own, found)]
    tensors = [axes @ np.diag(moments) @ axes.T for axes, moments in tensors]
    np.testing.assert_allclose(tensors[1], tensors[0], atol=1e-10)
    assert again.dynamics.masses[0] is None and found.mass == pytest.approx(0.2)
    for name, values in vars(body.dynamics.forces).items():
        np.testing.assert_array_equal(np.nan_to_num(getattr(again.dynamics.forces, name)), np.nan_to_num(values))
