"""Contacts: where they begin and end, what the filter then knows of them, and what they determine."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import make_block
from tests.track_samples import CAMERA, HALF, grasp_motion, make_gripper
from warpprior.bodies import rigid_body
from warpprior.scene import Poses, Scene, SceneBody, box_center
from warpprior.tracking.belief import FORGOTTEN, Belief
from warpprior.tracking.hand_contacts import Contacts, observability
from warpprior.tracking.hands import TrackedHand
from warpprior.tracking.prediction import Prediction
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.update import Rows


class Grasp:
    """The gripper with its jaws on the block, as the belief has them; ``hands`` of them at the same place."""

    def __init__(self, device, settings=None, hands=1, count=12):
        self.settings = settings or TrackSettings()
        gripper, block = (poses.frames(slice(10, 11)) for poses in grasp_motion(11))
        parts = [(make_gripper(f"hand{n}"), gripper) for n in range(hands)] + [(make_block("block", HALF), block)]
        bodies = tuple(SceneBody(body, label, False, pose) for label, (body, pose) in enumerate(parts, start=1))
        self.scene = Scene("grasp", CAMERA, 30.0, bodies)
        self.hands = [TrackedHand(body, self.settings, count, device) for body in bodies[:-1]]
        middle = box_center(bodies[-1].body)
        self.belief = Belief([carrier.width for carrier in self.hands], middle[None], count)
        for place, (_, pose) in enumerate(parts):
            self.belief.position[place], self.belief.rotation[place] = pose.position[0], pose.rotation[0]
            if place < hands:
                self.belief.joints[place][:] = pose.joints[0]
        self.belief.position[-1] += self.belief.arm(0)
        self.belief.covariance[:] = 1e-6 * np.eye(self.belief.width)
        self.motion = Prediction(self.hands, 1, count, self.settings, device)
        self.contacts = Contacts(self.hands, [bodies[-1]], self.settings, device)
        self.place()

    def place(self, *, width=None, shift=None, hand=0):
        """Put the hands where the belief has them, one with its jaws at ``width``, or moved."""
        if width is not None:
            self.belief.joints[hand][1] = width
        if shift is not None:
            self.belief.position[hand] += shift
        self.motion.place_hands(self.belief)

    def refresh(self, times=1, **options):
        """Look for contacts so many times, as in so many frames; how errors followed at last."""
        for _ in range(times):
            follows = self.contacts.refresh(self.belief, **options)
        return follows

    @property
    def held(self):
        """Slots of the contacts."""
        return self.belief.held_by(0)


@pytest.fixture
def grasp(device):
    """Nothing is held yet."""
    return Grasp(device)


def test_points_that_stay_near_stick(grasp):
    """Not in the first frames, but after so many; apart from each other, on the surface, on both sides."""
    frames = grasp.settings.stick_frames
    grasp.refresh(frames)
    assert not len(grasp.held) and grasp.contacts.touched == {0}
    grasp.refresh()
    points = grasp.belief.anchors[grasp.held]
    assert len(points) >= 6
    distances = np.linalg.norm(points[:, None] - points, axis=2)[~np.eye(len(points), dtype=bool)]
    assert distances.min() >= grasp.settings.contact_spacing_m
    local = Rotation.from_quat(grasp.belief.rotation[-1]).inv().apply(points - grasp.belief.position[-1])
    assert (np.abs(np.abs(local[:, 0]) - HALF[0]) < grasp.settings.contact_distance_m).all()
    assert (local[:, 0] > 0.0).any() and (local[:, 0] < 0.0).any()


def test_in_the_first_frame_all_that_is_near_holds(grasp):
    """Nothing tells yet how it moves."""
    assert grasp.refresh(first=True) is not None and len(grasp.held) >= 6


def test_points_that_slide_do_not_stick(grasp):
    """Jaws that move 3 mm in each frame along a block that stays: near all the time, but never in contact."""
    along = Rotation.from_quat(grasp.belief.rotation[-1]).apply([0.0, 0.0, -0.003])
    for _ in range(8):
        grasp.place(shift=along)
        grasp.refresh()
        assert not len(grasp.held) and grasp.contacts.touched == {0}


def test_what_comes_along_is_held(grasp):
    """The hand goes 5 mm per frame, and the estimate of the block follows by half: it cannot be at rest."""
    random = np.random.default_rng(0)
    for _ in range(8):
        step = np.array([0.0, -0.005, 0.0])
        grasp.belief.position[-1] += 0.6 * step + 0.0003 * random.normal(size=3)
        grasp.place(shift=step)
        grasp.refresh()
    assert len(grasp.held) >= 2


def test_a_block_that_seems_to_waver_is_held_by_jaws_at_rest(grasp):
    """Its estimate goes to and fro by 6 mm, as a noisy centre makes it do."""
    for frame in range(6):
        grasp.belief.position[-1] += [0.0, 0.006 * (-1.0) ** frame, 0.0]
        grasp.refresh()
    assert len(grasp.held) >= 4


def test_anchors_begin_as_wrong_as_the_hand(grasp):
    """Where its points are, with their covariance and all that they are correlated with, and a little more."""
    belief = grasp.belief
    mix = np.random.default_rng(1).normal(size=(belief.first_anchor, belief.first_anchor))
    belief.covariance[: belief.first_anchor, : belief.first_anchor] = 1e-6 * mix @ mix.T
    before = belief.covariance[: belief.first_anchor, : belief.first_anchor].copy()
    follows = grasp.refresh(first=True)
    carrier, slot = grasp.hands[0], int(grasp.held[0])
    jacobian = carrier.jacobians[slot].astype(float)
    np.testing.assert_allclose(belief.anchors[slot], carrier.points[belief.anchor_point[slot]], atol=1e-7)
    own, hand = belief.anchor(slot), belief.hand(0)
    expected = jacobian @ before[hand, hand] @ jacobian.T + grasp.settings.sigma_contact_m**2 * np.eye(3)
    np.testing.assert_allclose(belief.covariance[own, own], expected, atol=1e-12)
    np.testing.assert_allclose(
        belief.covariance[own, : own.start][:, : len(before)], jacobian @ before[hand], atol=1e-12
    )
    np.testing.assert_allclose(follows[own, hand], jacobian)
    np.testing.assert_array_equal(belief.covariance[: len(before), : len(before)], before)
    assert np.linalg.eigvalsh(belief.covariance)[0] > 0.0


def test_contacts_end_where_the_jaws_are_gone(grasp):
    """Beyond the distance of release, and their anchors are forgotten."""
    grasp.refresh(first=True)
    slots = grasp.held
    grasp.place(width=0.5 * grasp.settings.release_distance_m)
    assert grasp.refresh() is None or len(grasp.held) >= len(slots)
    grasp.place(width=1.5 * grasp.settings.release_distance_m)
    follows = grasp.refresh()
    assert not len(grasp.held) and not grasp.contacts.touched
    for slot in slots:
        own = grasp.belief.anchor(slot)
        assert not follows[own].any()
        np.testing.assert_array_equal(grasp.belief.covariance[own, own], FORGOTTEN * np.eye(3))
        assert not grasp.belief.covariance[own, : own.start].any()
    assert grasp.refresh() is None


def test_contacts_end_that_are_rejected_again_and_again(device, grasp):
    """One that is taken in between begins to count anew."""
    grasp.refresh(first=True)
    slot, other = int(grasp.held[0]), int(grasp.held[1])
    fresh = Grasp(device).contacts.snapshot()
    rows = Rows(grasp.belief.width)
    for frame in range(grasp.settings.contact_patience):
        assert grasp.belief.anchor_hand[slot] == 0
        rows.clear()
        grasp.contacts.add_anchors(grasp.belief, rows)
        for block in rows.blocks:
            block.taken = block.key != (slot,) and not (block.key == (other,) and frame != 1)
        grasp.contacts.count_misses(grasp.belief, rows)
        grasp.contacts.restore(fresh, grasp.belief)  # nothing new begins meanwhile
        grasp.refresh()
    assert grasp.belief.anchor_hand[slot] == -1
    assert grasp.belief.anchor_hand[other] == 0 and grasp.belief.anchor_misses[other] == 1


def test_letting_go_ends_all_contacts_and_new_ones_must_stick(grasp):
    """Even of jaws that stay where they are."""
    grasp.refresh(grasp.settings.stick_frames + 1)
    assert len(grasp.held)
    grasp.contacts.release(grasp.belief, 0)
    for _ in range(grasp.settings.stick_frames):
        grasp.refresh()
        assert not len(grasp.held)
    grasp.refresh()
    assert len(grasp.held)


@pytest.mark.parametrize("count", [2, 5, 12])
def test_there_are_no_more_contacts_than_anchors(device, count):
    """The first is the deepest, the others are spread."""
    grasp = Grasp(device, replace(TrackSettings(), anchors=count), count=count)
    grasp.refresh(first=True)
    assert len(grasp.held) <= count
    if count <= 5:
        assert len(grasp.held) == count


def test_hands_share_the_anchors(device):
    """Each has its half, so that a second one finds some."""
    grasp = Grasp(device, hands=2)
    grasp.refresh(first=True)
    counts = [np.count_nonzero(grasp.belief.anchor_hand == hand) for hand in range(2)]
    assert max(counts) <= 6 and min(counts) >= 1


def test_what_is_no_surface_is_not_touched(device):
    """An object of a single triangle without area: no contact, and no error."""
    grasp = Grasp(device)
    flat = rigid_body("flat", np.zeros((3, 3)), np.array([[0, 1, 2]]))
    still = Poses(np.array([[0.0, 0.0, 0.5]]), np.array([[0.0, 0.0, 0.0, 1.0]]), np.zeros((1, 0)))
    contacts = Contacts(grasp.hands, [SceneBody(flat, 9, False, still)], grasp.settings, device)
    assert contacts.refresh(grasp.belief, first=True) is None and not contacts.touched


def test_what_is_about_to_begin_can_be_kept(device):
    """After restoring, contacts begin in the same frame, with the same points."""
    one, two = Grasp(device), Grasp(device)
    one.refresh(2)
    kept = {name: values.copy() for name, values in one.contacts.snapshot().items()}
    two.contacts.restore(kept, two.belief)
    assert two.contacts.touched == {0}
    for grasp in (one, two):
        grasp.refresh(2)
    assert len(one.held)
    np.testing.assert_array_equal(one.belief.anchor_point, two.belief.anchor_point)
    np.testing.assert_array_equal(one.belief.anchors, two.belief.anchors)


def test_what_contacts_determine():
    """Nothing, a place, all but the turn about a line, everything; coplanar points are as good as any."""
    line = np.outer([0.0, 0.01, 0.03], [0.6, 0.0, 0.8]) + np.array([0.1, 0.2, 0.5])
    plane = np.array([[0.0, 0.0, 0.0], [0.03, 0.0, 0.0], [0.0, 0.02, 0.0]]) + np.array([0.1, 0.2, 0.5])
    for points, rank in (
        (np.zeros((0, 3)), 0),
        (line[:1], 3),
        (np.tile(line[:1], (4, 1)), 3),
        (line[:2], 5),
        (line, 5),
        (plane, 6),
        (plane * 1e-2, 6),
    ):
        found, stiffness = observability(points)
        assert found == rank
        assert (stiffness > 1e-12) == (rank == 6)
    arms = plane - plane.mean(axis=0)
    matrix = (arms**2).sum() * np.eye(3) - arms.T @ arms
    np.testing.assert_allclose(observability(plane)[1], np.linalg.eigvalsh(matrix)[0], rtol=1e-9)
