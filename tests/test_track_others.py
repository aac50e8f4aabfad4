"""Tracking of what is not one human hand: two that hand over, a robot, and a hand given by its surface alone."""

from dataclasses import replace

import numpy as np
import pytest

import warpprior
from tests.track_samples import errors, make_scene, near
from warpprior.bodies import animated_body, posed_vertices
from warpprior.scene import Poses
from warpprior.tracking.run import track

SENSORS = "keypoints3d,center"


def test_one_hand_hands_over_to_another():
    """Both hold the object for a while; it is never lost."""
    scene = near(warpprior.simulate("handover", frame_count=60, images=False, seed=0), "cracker_box")
    result = track(scene, observe=SENSORS, device="cpu")
    print(result.notes)
    assert np.median(errors(result, "cracker_box")[0][20:]) < 0.015
    assert errors(result, "cracker_box")[0].max() < 0.05
    assert result.history["held/cracker_box"][-10:].all()


def test_a_robot_whose_joints_are_measured():
    """A known hand that is quick: its grasp is noticed, its poses are kept as given, its encoders are believed."""
    scene = near(warpprior.simulate("robot_lift", frame_count=40, images=False, seed=0), "bottle")
    result = track(scene, observe="joints,center", device="cpu")
    assert result.history["held/bottle"][20:].all()
    assert np.median(errors(result, "bottle")[0][20:]) < 0.008 and errors(result, "bottle")[0][5:].max() < 0.03
    np.testing.assert_array_equal(result.poses["hand"].joints, scene.body("hand").initial.joints)
    assert result.poses["hand"].covariance is None
    assert result.history["dof/joints"][5] == scene.body("hand").body.coordinate_count


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_hand_given_by_its_surface(scale):
    """Vertices alone drive the object as the hand they were made from does, also where they are scaled."""
    scene = make_scene(50, seed=3, known=True)
    hand = scene.body("hand")
    vertices = posed_vertices(hand.body, hand.initial)
    body = animated_body("hand", vertices / scale, hand.body.faces)
    still = replace(Poses.identity(50), scale=scale)
    animated = replace(hand, body=body, initial=still, truth=None)
    driven = replace(scene, bodies=(animated, scene.body("block")), keypoints3d={})
    ours = track(driven, observe="center", device="cpu")
    usual = track(replace(scene, keypoints3d={}), observe="center", device="cpu")
    assert ours.history["held/block"][20:].all()
    assert np.median(errors(ours)[0][20:]) < 1.5 * np.median(errors(usual)[0][20:]) + 0.002
    assert errors(ours)[0].max() < 0.04
