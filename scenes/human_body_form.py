"""The form of our human body: a skeleton and a soft solid around it, its arms lowered.

The solid is that of the left half; what it says of a point of the right half is said of its mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warpprior.scenes.human_body_limbs import make_arm, make_hand, make_leg, make_toes
from warpprior.scenes.human_body_measures import Measures, arm_frame
from warpprior.scenes.human_body_solid import Cone, Part, blend_min, union
from warpprior.scenes.human_body_trunk import make_trunk


@dataclass(frozen=True)
class Form:
    """A body of one shape, but for its size.

    Attributes:
        measures: of it, among them where its joints are.
        trunk, leg, arm, palm: what they are put together from.
        fingers, toes: the thumb first; those of a hand blend with its palm alone, and not with each other.
    """

    measures: Measures
    trunk: list[Part]
    leg: list[Part]
    arm: list[Part]
    palm: list[Part]
    fingers: list[list[Part]]
    toes: list[Cone]

    def field(self, points: np.ndarray) -> np.ndarray:
        """About the distance to the surface, negative inside (point,) [m]."""
        points = np.column_stack([np.abs(points[:, 0]), points[:, 1:]])
        joints = self.measures.joints
        value = union(self.trunk, points)
        near = np.flatnonzero(points[:, 1] < joints["left_hip"][1] + 0.25)
        value[near] = blend_min(value[near], self._leg(points[near]), 0.05)
        near = np.flatnonzero(points[:, 0] > 0.5 * joints["left_shoulder"][0])
        value[near] = blend_min(value[near], self._arm(points[near]), 0.035)
        return value

    def _leg(self, points: np.ndarray) -> np.ndarray:
        joints = self.measures.joints
        value = union(self.leg, points)
        near = np.flatnonzero(points[:, 1] < joints["left_ankle"][1] + 0.02)
        toes = np.min([toe.field(points[near]) for toe in self.toes], axis=0)
        value[near] = blend_min(value[near], toes, 0.006)
        floor = joints["left_foot"][1] - 0.022 * self.measures.leg
        return -blend_min(-value, points[:, 1] - floor, 0.008)

    def _arm(self, points: np.ndarray) -> np.ndarray:
        value = union(self.arm, points)
        along = (points - self.measures.joints["left_wrist"]) @ arm_frame()[0]
        near = np.flatnonzero(along > -0.06)
        hand = blend_min(value[near], union(self.palm, points[near]), 0.015)
        fingers = [blend_min(hand, union(finger, points[near]), 0.008) for finger in self.fingers]
        value[near] = np.min(fingers, axis=0)
        return value


def make_form(shape: np.ndarray | None = None) -> Form:
    """The body of some shape parameters, the mean without any."""
    body = Measures.of(shape)
    palm, fingers = make_hand(body)
    return Form(body, make_trunk(body), make_leg(body), make_arm(body), palm, fingers, make_toes(body))
