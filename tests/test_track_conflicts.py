"""Where what is assumed contradicts what is observed: contacts that let go, and first poses that are far off."""

from dataclasses import replace

import numpy as np
import pytest

from warpprior.scenes import simulate
from warpprior.tracking.belief import Belief
from warpprior.tracking.recorded import observe_frame
from warpprior.tracking.run import Tracker
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.update import Rows, Updater

CONTACTS = 8


def let_go(hand_moved):
    """A hand at eight anchors has moved along x [m], while what it held is seen where it was."""
    belief = Belief([6], np.zeros((1, 3)), CONTACTS)
    belief.anchor_hand[:] = belief.anchor_object[:] = 0
    common = np.zeros((belief.width, 6))  # object and anchors move as one, by 10 mm more or less
    for start in (belief.object(0).start, *(belief.anchor(slot).start for slot in range(CONTACTS))):
        common[start : start + 3, :3] = np.eye(3)
    common[belief.object(0).start + 3 : belief.object(0).stop, 3:] = np.eye(3)
    belief.covariance[...] = 1e-4 * common @ common.T + 1e-6 * np.eye(belief.width)
    belief.covariance[belief.hand(0), belief.hand(0)] = 1e-5 * np.eye(6)
    rows = Rows(belief.width)
    for slot in range(CONTACTS):
        own = rows.add("contact", (slot,), np.array([hand_moved, 0.0, 0.0]), 1e-6)
        own[:, belief.hand(0).start : belief.hand(0).start + 3] = -np.eye(3)
        own[:, belief.anchor(slot)] = np.eye(3)
    own = rows.add("keypoints3d", (0, 0), np.zeros(3), 1e-6)
    own[:, :3] = np.eye(3)
    own = rows.add("center", (0,), np.zeros(3), 1e-6)
    own[:, belief.object(0).start : belief.object(0).start + 3] = np.eye(3)
    return belief, rows


@pytest.mark.parametrize(("hand_moved", "stuck"), [(0.0, True), (0.002, True), (0.03, False)])
def test_contacts_do_not_outvote_what_is_seen(hand_moved, stuck):
    """Each of eight contacts is judged in the light of the hand that moved and the object that did not."""
    belief, rows = let_go(hand_moved)
    Updater(TrackSettings())(belief, rows)
    taken = {block.sensor: block.taken for block in rows.blocks}
    assert taken == {"contact": stuck, "keypoints3d": True, "center": True}
    assert abs(belief.position[1, 0]) < 0.003


def test_judging_changes_nothing():
    """Asking which blocks would be left out leaves the belief and the noise as they are."""
    belief, rows = let_go(0.03)
    before, noise = belief.covariance.copy(), rows.variance.copy()
    Updater(TrackSettings()).judge(belief, rows)
    assert not rows.blocks[0].taken
    np.testing.assert_array_equal(belief.covariance, before)
    np.testing.assert_array_equal(rows.variance, noise)


@pytest.mark.parametrize("off", [0.1, 0.3])
def test_first_poses_far_off_are_doubted_at_once(device, off):
    """An object that is not where it was said to be is found in the first frame, and does not seem to fly there."""
    scene = simulate("grasp_lift", images=False, hand_noise="exact", pose_noise="exact").first_frames(6)
    held = next(body for body in scene.bodies if not body.known and body.body.is_rigid)
    wrong = replace(held.initial, position=held.initial.position * (1.0 + off / held.initial.position[0, 2]))
    tracker = Tracker(scene.with_poses({held.name: wrong}), observe="center", device=device)
    for frame, time in enumerate(scene.times):
        estimate = tracker.step(observe_frame(scene, frame, tracker.sensors), float(time))
        miss = np.linalg.norm(estimate.position[held.name] - held.truth.position[frame])
        assert miss < 0.07
        assert estimate.modes[held.name] in ("rests", "touched")
