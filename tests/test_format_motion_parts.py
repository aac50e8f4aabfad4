"""motion_v1: objects of several parts, whole robots, end effectors and contacts, against independent computations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("pyarrow")
import pyarrow as pa

from tests.format_files.motion_v1 import LINKS, columns, read_columns, write_columns, write_motion
from tests.format_files.samples import FRAMES, hand_item, simulated, write_obj
from tests.reference import distance
from tests.small_scene import ARM_URDF, BOX_FACES, BOX_VERTICES
from warpprior.bodies import posed_vertices
from warpprior.formats import Recording, read, write
from warpprior.support.errors import InputError

NEAR = 2e-6
AXIS, PIVOT = np.array([0.6, 0.0, 0.8]), np.array([0.03, 0.05, -0.02])
REST = Rotation.from_rotvec([0.3, -0.2, 0.1])  # of the second part's frame in the first one's, at an angle of zero
PLACE = np.array([0.01, 0.02, 0.11])
ANGLES = 0.4 + 0.2 * np.arange(FRAMES)


def base(frames=FRAMES):
    """Poses of the first part in the world."""
    steps = np.arange(frames)
    turns = Rotation.from_rotvec(np.outer(steps, [0.1, -0.05, 0.2]) + np.array([0.2, 0.1, -0.3]))
    return np.outer(steps, [0.01, 0.0, 0.005]) + np.array([0.4, 0.1, 0.8]), turns


def swung(place, turn, angles):
    """Poses of the second part on its hinge, by hand: a turn about the pivot, then where the first part is."""
    swing = Rotation.from_rotvec(np.outer(angles, AXIS))
    inner = PIVOT + swing.apply(PLACE - PIVOT)
    return place + turn.apply(inner), turn * swing * REST


def two_parts(folder, second, *, stated=ANGLES, **more):
    """A file of two boxes, the second at poses (places, rotations)."""
    place, turn = base()
    places, turns = np.stack([place, second[0]], axis=1), (turn, second[1])
    wxyz = np.stack([one.as_quat()[:, [3, 0, 1, 2]] for one in turns], axis=1)
    for name, size in (("bottom", 1.0), ("top", 0.8)):
        (folder / "assets").mkdir(parents=True, exist_ok=True)
        write_obj(folder / f"assets/{name}.obj", size * BOX_VERTICES, BOX_FACES)
    return write_motion(
        folder, object_name="box", object_body_names=["bottom", "top"],
        object_mesh_paths=["/elsewhere/assets/bottom.obj", "/elsewhere/assets/top.obj"],
        object_mesh_radius=[0.07, 0.056], object_articulation=stated, object_body_position=places,
        object_body_wxyz=wxyz, object_root_position=place, object_root_axis_angle=turn.as_rotvec(), **more,
    )  # fmt: skip


def only(folder):
    """Columns of the only file below a folder."""
    (path,) = folder.rglob("*.parquet")
    return read_columns(path)


def corners(place, turn, size=1.0):
    """A box of the file in the world (frame, 8, 3)."""
    return np.stack([one.apply(size * BOX_VERTICES) + where for one, where in zip(turn, place, strict=True)])


def in_world(recording, name):
    item = recording.scene.body(name)
    poses = recording.world.camera.matrices()
    seen = posed_vertices(item.body, item.initial).astype(np.float64)
    return np.einsum("fab,fvb->fva", poses[:, :3, :3], seen) + poses[:, None, :3, 3]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_two_parts_on_a_hinge_are_one_body_with_a_joint(tmp_path, sign):
    """Its angle is the stated one, whatever its sign and zero; parts, roots and angles go along where it is moved."""
    place, turn = base()
    two_parts(tmp_path / "in", swung(place, turn, ANGLES), stated=sign * ANGLES + 0.1)
    recording = read(tmp_path / "in")
    item = recording.scene.body("box")
    assert not item.known and item.body.link_names == ("bottom", "top")
    assert np.allclose(item.initial.joints[:, 0], sign * ANGLES + 0.1, atol=1e-6)
    expected = np.concatenate([corners(place, turn), corners(*swung(place, turn, ANGLES), 0.8)], axis=1)
    found = in_world(recording, "box")
    assert np.linalg.norm(found[:, :, None] - expected[:, None], axis=3).min(axis=2).max() < 5e-6
    write(recording, tmp_path / "same")
    before, same = read_columns(next((tmp_path / "in").rglob("*.parquet"))), only(tmp_path / "same")
    for name in (name for name in before if name.startswith("object_") and "mesh" not in name and "name" not in name):
        assert np.abs(np.array(same[name], dtype=float) - np.array(before[name], dtype=float)).max() < NEAR, name
    moved, wider = item.initial.position + np.array([0.01, -0.02, 0.03]), item.initial.joints + sign * 0.15
    write(recording.with_poses({"box": replace(item.initial, position=moved, joints=wider)}), tmp_path / "moved")
    new = only(tmp_path / "moved")
    shift = recording.world.camera.matrices()[0, :3, :3] @ [0.01, -0.02, 0.03]
    second, turned = swung(place + shift, turn, ANGLES + 0.15)
    assert np.abs(np.array(new["object_articulation"]) - sign * (ANGLES + 0.15) - 0.1).max() < NEAR
    assert np.abs(np.array(new["object_root_position"]) - place - shift).max() < NEAR
    assert np.abs(np.array(new["object_body_position"]) - np.stack([place + shift, second], axis=1)).max() < 5e-6
    wxyz = np.array(new["object_body_wxyz"])[:, 1]
    assert (Rotation.from_quat(wxyz[:, [1, 2, 3, 0]]) * turned.inv()).magnitude().max() < 5e-6


def test_a_joint_that_is_not_stated_is_found(tmp_path):
    """Zeros, or angles that are not those of the parts, stay as they are, and it is said."""
    place, turn = base()
    for name, stated in (("zeros", np.zeros(FRAMES)), ("others", 3.0 * ANGLES**2)):
        two_parts(tmp_path / name, swung(place, turn, ANGLES), stated=stated)
        recording = read(tmp_path / name)
        item = recording.scene.body("box")
        assert np.ptp(item.initial.joints) == pytest.approx(np.ptp(ANGLES), abs=1e-5)
        assert any("object_articulation stays" in note for note in recording.notes)
        write(
            recording.with_poses({"box": replace(item.initial, joints=item.initial.joints + 0.1)}),
            tmp_path / f"{name}o",
        )
        new = only(tmp_path / f"{name}o")
        assert np.allclose(new["object_articulation"], stated, atol=1e-6)
        wanted = min(np.abs(np.array(new["object_body_position"])[:, 1] - swung(place, turn, ANGLES + way)[0]).max()
                      for way in (0.1, -0.1))  # fmt: skip
        assert wanted < 5e-6


def test_parts_that_move_by_themselves_are_objects_of_their_own(tmp_path):
    """As tool and target of some sets; each is estimated, and what did not move stays."""
    steps = np.arange(FRAMES)
    turned = Rotation.from_rotvec(np.outer(steps, [0, 0.4, 0]))
    other = np.outer(steps**2, [0.004, -0.01, 0.0]) + np.array([0.1, 0.3, 0.6]), turned
    two_parts(tmp_path / "in", other, stated=np.zeros(FRAMES))
    recording = read(tmp_path / "in")
    items = [recording.scene.body(name) for name in ("bottom", "top")]
    assert not any(item.known for item in items) and any("each by itself" in note for note in recording.notes)
    poses = items[1].initial
    write(
        recording.with_poses({"top": replace(poses, position=poses.position + np.array([0.0, 0.0, 0.01]))}),
        tmp_path / "out",
    )
    before, new = read_columns(next((tmp_path / "in").rglob("*.parquet"))), only(tmp_path / "out")
    apart = np.linalg.norm(np.array(new["object_body_position"]) - before["object_body_position"], axis=2)
    assert apart[:, 0].max() < NEAR and np.abs(apart[:, 1] - 0.01).max() < NEAR
    with pytest.raises(InputError, match="do not turn about one axis"):
        read(tmp_path / "in", parts="hinge")
    assert all(item.known for item in read(tmp_path / "in", parts="known").scene.bodies if item.body.is_rigid)


def test_a_joint_that_does_not_move_cannot_be_told(tmp_path):
    """Parts of one origin that stay as they are: known, unless they are said to be free."""
    place, turn = base()
    two_parts(tmp_path, (place, turn), stated=np.full(FRAMES, 0.3))
    recording = read(tmp_path)
    assert all(recording.scene.body(name).known for name in ("bottom", "top"))
    assert any("nothing tells their joint" in note for note in recording.notes)
    assert not read(tmp_path, parts="free").scene.body("top").known


def robot_columns(joints):
    """A whole robot in the place of hands: its hands' frames and end effectors are its links, places by hand."""
    place, turn = base()
    upper = turn * Rotation.from_rotvec(np.outer(joints[:, 0], [0.0, 1.0, 0.0]))
    tip = place + upper.apply(np.outer(joints[:, 1], [0.0, 0.0, 1.0]))
    quat = upper.as_quat()[:, [3, 0, 1, 2]]
    frames = np.stack([np.concatenate([where, quat], axis=1) for where in (place, tip)], axis=1)
    real, text = pa.float32(), pa.string()
    vectors, pose = pa.list_(pa.list_(real)), pa.list_(pa.list_(pa.list_(real, 7)))
    made = columns(
        motion_kind="single_robot", robot_joint_names=["bend", "reach"], robot_root_position=place,
        hand_frame_names=[["upper", "tip"]], hand_frames_w=frames[None], hand_contact_link_names=[[]],
    )  # fmt: skip
    made["robot_root_wxyz"] = turn.as_quat()[:, [3, 0, 1, 2]], vectors
    made["robot_joint_positions"] = joints, vectors
    made["ee_link_names"] = ["tip"], pa.list_(text)
    made["ee_pose_w"] = frames[:, 1:], pose
    return made, place


def test_whole_robots_are_estimated_where_that_is_asked_for(tmp_path):
    """Root, joints, end effectors and frames of its hands go along, places by an independent kinematics."""
    (tmp_path / "arm.urdf").write_text(ARM_URDF)
    joints = np.stack([np.linspace(0.1, 0.6, FRAMES), np.linspace(0.02, 0.1, FRAMES)], axis=1)
    made, place = robot_columns(joints)
    path = write_motion(tmp_path / "in")
    write_columns(path, made)
    assert read(tmp_path / "in", urdf=tmp_path / "arm.urdf").scene.body("robot").known
    recording = read(tmp_path / "in", urdf=tmp_path / "arm.urdf", estimate_robot=True)
    item = recording.scene.body("robot")
    assert not item.known and "hand_right" not in [body.name for body in recording.scene.bodies]
    write(recording, tmp_path / "same")
    before, same = read_columns(path), only(tmp_path / "same")
    for name in ("robot_root_position", "robot_root_wxyz", "robot_joint_positions", "ee_pose_w", "hand_frames_w"):
        assert np.abs(np.array(same[name]) - before[name]).max() < NEAR, name
    bent = joints + np.array([0.2, 0.03])
    poses = replace(item.initial, position=item.initial.position + np.array([0.0, 0.02, 0.0]), joints=bent)
    write(recording.with_poses({"robot": poses}), tmp_path / "out")
    new = only(tmp_path / "out")
    shift = recording.world.camera.matrices()[0, :3, :3] @ [0.0, 0.02, 0.0]
    expected, _ = robot_columns(bent)
    for name in ("ee_pose_w", "hand_frames_w"):
        wanted = np.array(expected[name][0], dtype=float)
        wanted[..., :3] += shift
        assert np.abs(np.array(new[name]) - wanted).max() < 5e-6, name
    assert np.allclose(new["robot_joint_positions"], bent, atol=1e-6)
    assert np.abs(np.array(new["robot_root_position"]) - place - shift).max() < NEAR
    assert new["robot_joint_names"] == before["robot_joint_names"]


def test_wrists_among_end_effectors_go_along_with_their_hands(tmp_path):
    """Files of two hands need them where their frames are."""
    made = columns()
    wrist = np.asarray(made["hand_frames_w"][0])[0, :, :1]
    other = np.tile([9.0, 9.0, 9.0, 1.0, 0.0, 0.0, 0.0], (FRAMES, 1, 1))
    made["ee_link_names"] = ["right_wrist", "camera"], pa.list_(pa.string())
    made["ee_pose_w"] = np.concatenate([wrist, other], axis=1), pa.list_(pa.list_(pa.list_(pa.float32(), 7)))
    write_columns(write_motion(tmp_path / "in"), made)
    recording = read(tmp_path / "in")
    moved = recording.scene.body("hand_right").initial
    moved = replace(moved, position=moved.position + np.array([0.01, 0.0, 0.0]))
    said = write(recording.with_poses({"hand_right": moved}), tmp_path / "out")
    new = only(tmp_path / "out")
    found, frames = np.array(new["ee_pose_w"]), np.array(new["hand_frames_w"])
    assert np.abs(found[:, 0] - frames[0, :, 0]).max() < 1e-6 and np.abs(found[:, 1] - other[:, 0]).max() < 1e-6
    assert any("ee_pose_w of camera stays" in sentence for sentence in said)


def test_contacts_are_those_of_an_independent_computation(tmp_path):
    """Every link's deepest or nearest vertex, by every triangle and solid angles in float64: places, normals, flags."""
    write_motion(tmp_path / "in")
    recording = read(tmp_path / "in")
    write(recording, tmp_path / "out")
    new = only(tmp_path / "out")
    scene, world = recording.scene, recording.world.camera.matrices()
    hand, mug = scene.body("hand_right"), scene.body("mug")
    surface = posed_vertices(hand.body, hand.initial).astype(np.float64)
    compared = 0
    for frame in (0, FRAMES - 1):
        turn = Rotation.from_quat(mug.initial.rotation[frame])
        own = turn.inv().apply(surface[frame] - mug.initial.position[frame])
        low, high = mug.body.vertices.min(axis=0) - 0.011, mug.body.vertices.max(axis=0) + 0.011
        near = np.flatnonzero(((own > low) & (own < high)).all(axis=1))  # others are farther than 1 cm
        away = np.full(len(own), np.inf)
        if len(near):
            away[near] = distance.signed_distances(own[near], mug.body.vertices, mug.body.faces)
        touched = []
        for link, name in enumerate(LINKS):
            of = hand.body.link_names.index({"palm": "wrist"}.get(name, name))
            region = np.flatnonzero(hand.body.skin_links[:, 0] == of)
            best = away[region].min()
            touched.append(best <= 0.01)
            assert new["hand_object_contact_part_ids"][0][frame][link] == int(best <= 0.01), (frame, name)
            rows = {
                key: np.array(new[f"hand_{key}"][0][frame][link])
                for key in (
                    "link_contact_positions",
                    "object_contact_positions",
                    "link_contact_normals",
                    "object_contact_normals",
                )
            }
            if best > 0.01:
                assert not any(values.any() for values in rows.values())
                continue
            alike = region[away[region] < best + 1e-6]  # of single precision, one of these
            places = surface[frame][alike] @ world[frame, :3, :3].T + world[frame, :3, 3]
            which = int(np.argmin(np.linalg.norm(places - rows["link_contact_positions"], axis=1)))
            assert np.linalg.norm(places[which] - rows["link_contact_positions"]) < 1e-5
            on = distance.closest_points(own[alike[which]][None], mug.body.vertices, mug.body.faces)[0]
            met = turn.apply(on) + mug.initial.position[frame]
            found = world[frame, :3, :3] @ met + world[frame, :3, 3]
            length = np.linalg.norm(own[alike[which]] - on)
            assert abs(np.linalg.norm(rows["object_contact_positions"] - places[which]) - abs(best)) < 1e-5
            if length > 2e-4:
                assert np.linalg.norm(found - rows["object_contact_positions"]) < 2e-5
                inward = -np.sign(away[alike[which]]) * (own[alike[which]] - on) / length
                inward = world[frame, :3, :3] @ turn.apply(inward)
                assert inward @ rows["object_contact_normals"] > 1.0 - 1e-4
            faces = hand.body.faces[(hand.body.faces == alike[which]).any(axis=1)]
            a, b, c = (surface[frame][faces[:, corner]] for corner in range(3))
            out = np.cross(b - a, c - a).sum(axis=0)
            assert (world[frame, :3, :3] @ out / np.linalg.norm(out)) @ rows["link_contact_normals"] > 1.0 - 1e-5
            compared += 1
        assert new["hand_contact_active"][0][frame] == float(any(touched))
    assert compared > 5


def test_articulated_objects_are_written_anew(tmp_path):
    """Beside a hand they are objects: each link a part with its mesh, the joint's angle; read again as they were."""
    from warpprior.bodies.body import rigid_body
    from warpprior.formats.parts.hinged import joined_body
    from warpprior.scene import Poses, Scene, SceneBody

    scene = simulated()
    pieces = [
        rigid_body(name, BOX_VERTICES + np.array([0.0, 0.0, up]), BOX_FACES) for name, up in (("a", 0.0), ("b", 0.1))
    ]
    body = joined_body("box", pieces, AXIS, PIVOT, ("bottom", "top"))
    place, turn = base()
    poses = Poses(place, turn.as_quat(), ANGLES[:, None])
    hand = replace(hand_item(scene), label=2)
    made = Scene(name="s", camera=scene.camera, fps=30.0, bodies=(SceneBody(body, 1, False, poses), hand))
    write(Recording(made), tmp_path / "out", "motion_v1")
    new = only(tmp_path / "out")
    assert new["object_body_names"] == ["box_bottom", "box_top"] and np.allclose(new["object_articulation"], ANGLES)
    assert new["ee_link_names"] == ["right_wrist"] and np.array(new["ee_pose_w"]).shape == (FRAMES, 1, 7)
    again = read(tmp_path / "out")
    item = again.scene.body("box")
    assert np.allclose(item.initial.joints[:, 0], ANGLES, atol=1e-6)
    expected = posed_vertices(body, poses)
    found = in_world(again, "box")
    assert np.linalg.norm(found[:, :, None] - expected[:, None], axis=3).min(axis=2).max() < 5e-6
