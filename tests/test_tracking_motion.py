"""The prediction: errors of controls live on and stay as large as told, and what follows is what its Jacobian says."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.test_tracking_contact import Grasp
from warpprior.observations import HandPose
from warpprior.tracking.manifold import difference
from warpprior.tracking.prediction import FLIES, HELD, LOST, RESTS, TOUCHED
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.update import Rows

DT = 1.0 / 30.0


@pytest.fixture
def grasp(device):
    """The gripper at the block, not yet in contact."""
    grasp = Grasp(device)
    grasp.motion.begin(grasp.belief, [control_of(grasp)])
    return grasp


def control_of(grasp, shift=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0)):
    """The pose that the hand has in the scene, moved."""
    pose = grasp.scene.bodies[0].initial
    rotation = Rotation.from_rotvec(turn) * Rotation.from_quat(pose.rotation[0])
    return HandPose(pose.position[0] + shift, rotation.as_quat(), pose.joints[0].copy())


def test_errors_of_the_control_stay_as_large_as_told(grasp):
    """Its covariance is the same after any number of frames and at any rate; what is correlated with it fades."""
    hand = grasp.belief.hand(0)
    told = grasp.hands[0].covariance(grasp.belief.position[0])
    np.testing.assert_allclose(grasp.belief.covariance[hand, hand], told)
    for dt in (DT, DT, 0.5 * DT, 0.4, 1e-4):
        follows = grasp.motion.predict(grasp.belief, [control_of(grasp)], dt)
        np.testing.assert_allclose(grasp.belief.covariance[hand, hand], told, rtol=1e-9)
        remains = np.exp(-dt / grasp.settings.estimated.correlation_s)
        np.testing.assert_allclose(follows[hand, hand], remains * np.eye(8), atol=1e-12)


def test_noise_of_the_control_lies_along_the_ray(grasp):
    """Depth is less sure than what is across; joints are no less sure than a sixth of their range."""
    noise = grasp.settings.estimated
    place = np.array([0.3, -0.4, 1.2])
    told = grasp.hands[0].covariance(place)
    ray = place / np.linalg.norm(place)
    np.testing.assert_allclose(ray @ told[:3, :3] @ ray, noise.depth_m**2)
    values = np.linalg.eigvalsh(told[:3, :3])
    np.testing.assert_allclose(values, np.square([noise.lateral_m, noise.lateral_m, noise.depth_m]), rtol=1e-9)
    np.testing.assert_allclose(told[3:6, 3:6], noise.rotation_rad**2 * np.eye(3))
    np.testing.assert_allclose(np.sqrt(np.diagonal(told)[6:]), [noise.joint_rad, 0.07 / 6.0], rtol=1e-3)
    assert not told[:3, 3:].any() and not told[3:6, 6:].any()


def test_a_corrected_hand_keeps_its_correction(grasp):
    """What was learnt of the error is carried to the next control, less with time, along the camera's axes."""
    change = np.zeros(grasp.belief.width)
    change[:8] = [0.01, -0.005, 0.02, 0.05, 0.1, -0.04, 0.03, 0.004]
    grasp.belief.move(change)
    control = control_of(grasp, shift=(0.03, 0.01, 0.0), turn=(0.2, -0.5, 0.1))
    grasp.motion.predict(grasp.belief, [control], DT)
    remains = np.exp(-DT / grasp.settings.estimated.correlation_s)
    np.testing.assert_allclose(grasp.belief.position[0] - control.position, remains * change[:3], atol=1e-12)
    off = difference(grasp.belief.rotation[0], control.rotation)
    np.testing.assert_allclose(off, remains * change[3:6], atol=1e-9)
    np.testing.assert_allclose(grasp.belief.joints[0] - control.joints, remains * change[6:8], atol=1e-12)


def test_a_silent_hand_stays_and_grows_uncertain(grasp):
    """Position by its speed, rotation and joints by theirs; a control ends it at once."""
    hand, settings = grasp.belief.hand(0), grasp.settings
    before, place = grasp.belief.covariance[hand, hand].copy(), grasp.belief.position[0].copy()
    for frame in range(1, 4):
        grasp.motion.predict(grasp.belief, [None], DT)
        np.testing.assert_array_equal(grasp.belief.position[0], place)
        grown = np.diagonal(grasp.belief.covariance[hand, hand] - before)
        np.testing.assert_allclose(grown[:3], frame * (settings.gap_speed_m_s * DT) ** 2)
        np.testing.assert_allclose(grown[3:], frame * (settings.gap_speed_rad_s * DT) ** 2)
    grasp.motion.predict(grasp.belief, [control_of(grasp)], DT)
    np.testing.assert_allclose(grasp.belief.covariance[hand, hand], before, rtol=1e-9)


def hold(grasp):
    """Let everything that is near be in contact."""
    grasp.refresh(first=True)
    grasp.motion.place_hands(grasp.belief)
    grasp.motion.touched = grasp.contacts.touched
    return grasp


def test_a_held_object_goes_with_the_hand(grasp):
    """As one body, with its anchors; what is not known of them turns along and is shared by all."""
    hold(grasp)
    belief = grasp.belief
    before = distance_variance(belief, grasp.held)
    place, rotation = belief.position[1].copy(), belief.rotation[1].copy()
    anchors, slots = belief.anchors.copy(), grasp.held
    shift, turn = np.array([0.02, -0.01, 0.015]), Rotation.from_rotvec([0.1, 0.05, -0.2])
    control = control_of(grasp, turn=turn.as_rotvec())
    control = replace(control, position=turn.apply(control.position - place) + place + shift)
    follows = grasp.motion.predict(belief, [control], DT)
    assert grasp.motion.modes == [HELD]
    np.testing.assert_allclose(belief.position[1], place + shift, atol=1e-4)
    # The prior of the transfer, that objects turn little, takes a few per cent of the turn; contacts correct it later.
    turned = Rotation.from_rotvec(difference(belief.rotation[1], rotation))
    assert (turned * turn.inv()).magnitude() < 0.08 * turn.magnitude()
    found = turned.as_matrix()
    went = turned.apply(anchors[slots] - place) + belief.position[1]
    np.testing.assert_allclose(belief.anchors[slots], went, atol=1e-9)
    for own in (slice(8, 11), slice(11, 14), *(belief.anchor(slot) for slot in slots)):
        np.testing.assert_allclose(follows[own, own], found, atol=1e-9)
    # The unknown motion of a frame moves object and anchors as one: their distance stays as known, but for slip.
    one = belief.anchor(slots[0])
    assert np.trace(belief.covariance[one, one]) > 2.0 * (grasp.settings.hold_speed_m_s * DT) ** 2
    grown = distance_variance(belief, slots) - before
    np.testing.assert_allclose(grown, 2.0 * grasp.settings.sigma_slip_m**2 * DT, rtol=0.05)


def distance_variance(belief, slots):
    """Of the distance of the first and the last of some anchors [m^2]."""
    rows = np.zeros(belief.width)
    apart = belief.anchors[slots[0]] - belief.anchors[slots[-1]]
    rows[belief.anchor(slots[0])] = apart / np.linalg.norm(apart)
    rows[belief.anchor(slots[-1])] = -apart / np.linalg.norm(apart)
    return rows @ belief.covariance @ rows


def test_what_is_never_seen_is_never_known(grasp):
    """Shifting or turning hand, object and anchors together cannot be told by contacts: the rows are blind to it."""
    hold(grasp)
    belief = grasp.belief
    rows = Rows(belief.width)
    grasp.contacts.add_anchors(belief, rows)
    center = belief.position[1]
    for axis in range(3):
        together = np.zeros((belief.width, 2))
        unit = np.eye(3)[axis]
        for columns, place in [(belief.hand(0), belief.position[0]), (belief.object(0), belief.position[1])]:
            together[columns.start : columns.start + 3, 0] = unit
            together[columns.start : columns.start + 3, 1] = np.cross(unit, place - center)
            together[columns.start + 3 : columns.start + 6, 1] = unit
        for slot in grasp.held:
            together[belief.anchor(slot), 0] = unit
            together[belief.anchor(slot), 1] = np.cross(unit, belief.anchors[slot] - center)
        np.testing.assert_allclose(rows.jacobian[: rows.count] @ together, 0.0, atol=1e-6)


@pytest.mark.parametrize("literal", [False, True])
def test_from_frame_to_frame_errors_of_the_hand_reach_the_object(device, literal):
    """Without anchors: the transition against finite differences of the prediction, as printed or not."""
    settings = TrackSettings(anchors=0, literal=literal)

    def predicted(error):
        grasp = Grasp(device, settings)
        grasp.belief = type(grasp.belief)([8], grasp.belief.middles, 12, remembers=False)
        pose, block = (body.initial for body in grasp.scene.bodies)
        belief = grasp.belief
        belief.position[0], belief.rotation[0] = pose.position[0], pose.rotation[0]
        belief.joints[0][:] = pose.joints[0]
        belief.rotation[1] = block.rotation[0]
        belief.position[1] = block.position[0] + belief.arm(0)
        belief.covariance[:] = 1e-6 * np.eye(belief.width)
        grasp.motion.begin(belief, [control_of(grasp)])
        grasp.place()
        grasp.refresh(first=True)
        assert len(grasp.held) >= 6
        belief.move(error)
        grasp.motion.place_hands(belief)
        control = control_of(grasp, shift=(0.01, -0.02, 0.015), turn=(0.1, 0.05, -0.2))
        follows = grasp.motion.predict(belief, [control], DT)
        return belief, follows

    still, follows = predicted(np.zeros(14))
    columns, step = [0, 2, 4, 6, 7], 1e-3
    numeric = np.zeros((6, len(columns)))
    for number, column in enumerate(columns):
        ends = []
        for sign in (1.0, -1.0):
            error = np.zeros(14)
            error[column] = sign * step
            moved, _ = predicted(error)
            turn = difference(moved.rotation[1], still.rotation[1])
            ends.append(np.concatenate([moved.position[1] - still.position[1], turn]))
        numeric[:, number] = (ends[0] - ends[1]) / (2.0 * step)
    found = follows[8:14, columns]
    if literal:
        assert not found[:3].any()
    scale = np.maximum(np.abs(numeric).max(axis=0), 0.05 * np.abs(numeric).max())  # what hardly moves is rounding
    np.testing.assert_allclose(found / scale, numeric / scale, atol=0.02)
    assert np.abs(numeric).max() > 0.05


@pytest.mark.parametrize(
    ("mode", "speeds"),
    [(RESTS, ("rest_speed_m_s", "rest_speed_rad_s")), (TOUCHED, ("touch_speed_m_s", "touch_speed_rad_s"))],
)
def test_objects_that_nothing_holds_stay(grasp, mode, speeds):
    """And become uncertain as fast as they may move."""
    grasp.motion.touched = {0} if mode == TOUCHED else set()
    belief, columns = grasp.belief, grasp.belief.object(0)
    before, place = belief.covariance[columns, columns].copy(), belief.position[1].copy()
    grasp.motion.predict(belief, [control_of(grasp)], DT)
    assert grasp.motion.modes == [mode]
    np.testing.assert_array_equal(belief.position[1], place)
    grown = np.diagonal(belief.covariance[columns, columns] - before)
    wanted = np.repeat([getattr(grasp.settings, name) * DT for name in speeds], 3) ** 2
    np.testing.assert_allclose(grown, wanted, rtol=1e-6)


def test_what_is_let_go_in_motion_flies_until_it_is_slow(grasp):
    """Straight on, turning on; below half the speed at which it may begin to, it rests."""
    motion, belief = grasp.motion, grasp.belief
    limit = grasp.settings.flight_speed_m_s
    motion.modes[0], motion.touched = HELD, set()
    motion.velocities[0] = [1.2 * limit, 0.0, 0.0, 0.0, 0.5, 0.0]
    place, rotation = belief.position[1].copy(), belief.rotation[1].copy()
    motion.predict(belief, [control_of(grasp)], DT)
    assert motion.modes == [FLIES]
    np.testing.assert_allclose(belief.position[1] - place, [1.2 * limit * DT, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(difference(belief.rotation[1], rotation), [0.0, 0.5 * DT, 0.0], atol=1e-12)
    for speed, mode in ((0.6, FLIES), (0.4, RESTS), (0.9, RESTS)):
        motion.velocities[0, :3] = [0.0, speed * limit, 0.0]
        motion.predict(belief, [control_of(grasp)], DT)
        assert motion.modes == [mode]
    motion.modes[0] = HELD
    motion.predict(belief, [control_of(grasp)], DT)  # let go at less than the limit
    assert motion.modes == [RESTS]


def test_what_was_lost_and_found_again_has_the_speed_of_its_way(grasp):
    """Lost as long as nothing that is seen of it is believed; then its velocity is the way it went in that time."""
    motion = grasp.motion
    motion.touched = set()
    motion.lose(0, 0.2)
    motion.learn_velocity(0, np.ones(3), np.ones(3), DT, seen=False)
    motion.predict(grasp.belief, [control_of(grasp)], DT)
    assert motion.modes == [LOST] and not motion.velocities.any()
    motion.learn_velocity(0, np.array([0.1, 0.0, 0.0]), np.ones(3), DT, seen=True)
    np.testing.assert_allclose(motion.velocities[0], [0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
    motion.predict(grasp.belief, [control_of(grasp)], DT)
    assert motion.modes == [FLIES]


def test_the_motion_can_be_kept(device, grasp):
    """Modes, velocities, controls, and for how long they have been silent."""
    motion = grasp.motion
    motion.modes, motion.velocities[:], motion.lost_s[:] = [FLIES], 0.7, 0.3
    motion.predict(grasp.belief, [None], DT)
    other = Grasp(device).motion
    other.restore({name: values.copy() for name, values in motion.snapshot().items()})
    assert other.modes == motion.modes and other.silent == motion.silent == [DT]
    np.testing.assert_array_equal(other.velocities, motion.velocities)
    np.testing.assert_array_equal(other.lost_s, motion.lost_s)
    np.testing.assert_array_equal(other.controls[0].joints, motion.controls[0].joints)
