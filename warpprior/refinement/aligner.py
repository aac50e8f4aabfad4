"""One body's part of the least-squares problem: its contour onto its label, held by contact and smoothness.

Every frame and term enters one block-banded system, so that frames that see much carry frames that see little.  The
contour of each body is drawn as if it were alone, and each piece of it is told by the depth of the other bodies
whether it may hide there or must coincide with the label's border: occlusion becomes evidence.
"""

from __future__ import annotations

import numpy as np
import warp as wp
from scipy.ndimage import median_filter

from warpprior.geometry.signed_distance import DistanceField
from warpprior.kernels.contour_fit import accumulate_contour
from warpprior.kernels.motion_fit import accumulate_smoothness
from warpprior.scene import SceneBody
from warpprior.settings import AlignStage
from warpprior.system.label_fields import contour_fields
from warpprior.system.overlap import Overlap
from warpprior.system.problem import Problem
from warpprior.terms.bending_rows import Presses
from warpprior.terms.contact_rows import Contacts
from warpprior.terms.depth import Depths
from warpprior.terms.detections import Detections
from warpprior.terms.image_rows import ImageFit
from warpprior.terms.pose import JointTerms

STEP_LIMITS = (0.05, 0.05, 0.1, 0.2, 0.2, 0.2)  # x/z, y/z, log z, rotation [rad]: beyond, the linearisation is off
JOINT_STEP_LIMIT = 0.3  # [rad or m]
FLOOR = 1.0  # keeps directions that nothing observes where they are
FROZEN = 1.0e12  # holds turns that cannot be seen
REST_FRAMES = 7  # frames over which a body must seem to rest
CORRELATION_LENGTH = 10.0  # neighbouring contour pixels err together over about this many [px]


def _floor(symmetry: str, count: int) -> np.ndarray:
    """Absolute damping of the unknowns: turns about an axis of symmetry change nothing that is observed."""
    floor = np.full(count, FLOOR)
    for axis, letter in enumerate("xyz"):
        if symmetry in ("sphere", letter):
            floor[3 + axis] = FROZEN
    return floor


def _acceleration(positions: np.ndarray, fps: float) -> float:
    """Acceleration that a track of positions (frame, 3) exceeds in a tenth of the frames [m/s^2]."""
    changes = np.diff(positions, n=2, axis=0) * fps**2
    return float(np.percentile(np.linalg.norm(changes, axis=1), 90)) if len(changes) else 0.0


TERMS = ("contour", "image", "contact", "smoothness", "pose", "detections", "depth")


class BodyAligner:
    """The part of one moving body in the problem of a sequence.

    Args:
        body: the body.
        problem: the sequence's.

    Attributes:
        costs: of each term at the last linearisation [frame].
        contacts: with every other body, where this one is rigid.
    """

    def __init__(self, body: SceneBody, problem: Problem):
        self.body, self.problem = body, problem
        self.state, self.settings = problem.state, problem.settings
        state, picture = problem.state, problem.picture
        device, frame_count = state.device, state.frame_count
        window, labels = picture.window, picture.labels
        self.canvas = problem.drawings.alone[body.name]
        visible = np.zeros(frame_count)
        fields = np.zeros((frame_count, 2, window.height * window.width), dtype=np.float32)
        if labels is not None:
            visible = (labels == body.label).any(axis=(1, 2)).astype(float)
            fields = contour_fields(labels, body.label, picture.mask_bias).reshape(frame_count, 2, -1)
        self.fields = wp.array(fields, dtype=wp.float32, device=device)
        scale = self.settings.contour_weight * visible / (CORRELATION_LENGTH * self.settings.sigma_contour_px**2)
        self.scales = wp.array(scale.astype(np.float32), dtype=wp.float32, device=device)
        self._overlap = (
            None if labels is None else Overlap(body, state, picture.unbiased_labels, window, canvas=self.canvas)
        )

        def zeros(shape, dtype=wp.float32):
            return wp.zeros(shape, dtype=dtype, device=device)

        self.costs = {term: zeros(frame_count, wp.float64) for term in TERMS}
        start, count = problem.equations.starts[body.name], problem.equations.counts[body.name]
        self.start, self.columns = start, slice(start, start + count)
        self.floor = _floor(body.symmetry, count)
        self.limits = np.concatenate([STEP_LIMITS, np.full(count - 6, JOINT_STEP_LIMIT)])
        self.reach, self.clearance = zeros(1), zeros(1)
        self.stiffness = zeros(6)
        self.touch, self.resting = zeros(frame_count), zeros(frame_count)
        self.partners = [other for other in state.scene.bodies if other.name != body.name]
        self.contacts: dict[str, Contacts] = {}
        if body.body.is_rigid:
            field = DistanceField(body.body, device, scale=body.initial.scale)
            self.contacts = {other.name: Contacts(body, other, field, problem) for other in self.partners}
        self.presses = None
        if self.partners and not body.body.is_rigid and body.body.closed:
            self.presses = Presses(body, self.partners, problem)
        self.joints = JointTerms(body, problem) if body.body.coordinate_count else None
        self.detections = Detections(body, problem)
        measured = state.scene.read_depth is not None and self.settings.depth_weight > 0.0
        self.depths = Depths(body, problem) if measured else None
        self.image = None
        if body.body.is_rigid and self.settings.image_weight > 0.0 and labels is not None:
            self.image = ImageFit(
                body, problem, self.settings.image, weight=self.settings.image_weight, canvas=self.canvas, channel=0
            )
        self.compares_colors = False

    def enter(self, stage: AlignStage) -> None:
        """Take the scales of a stage."""
        s = self.settings
        self.reach.fill_(stage.reach_px)
        self.clearance.fill_(s.clearance_m)
        for contact in self.contacts.values():
            contact.enter(stage)
        if self.presses is not None:
            self.presses.enter(stage)
        if self.joints is not None:
            self.joints.enter()
        self.detections.enter(stage.keypoint_reach)
        if self.depths is not None:
            self.depths.enter(stage.keypoint_reach)
        self.compares_colors = self.image is not None and stage.image_blur_px > 0.0
        if self.compares_colors:
            self.image.enter(stage.image_blur_px)
        fps = self.state.scene.fps
        # The unseen turn of a symmetric body stays as it was estimated, noise and all: nothing to be smooth about.
        turns = s.smoothness_weight if self.body.symmetry == "none" else 0.0
        turning = s.consistency_weight if self.body.symmetry == "none" else 0.0
        # Without another body there is nothing to say what moves this one; with one, what it does not touch may rest.
        rest = s.rest_weight if self.contacts and stage.rests else 0.0
        if rest:
            self.resting.assign(self._seems_to_rest())
        resting_turns = rest if self.body.symmetry == "none" else 0.0
        lively = max(1.0, self._liveliness() / s.sigma_acceleration_m_s2)
        self.stiffness.assign(
            np.array(
                [
                    s.smoothness_weight * (fps**2 / (lively * s.sigma_acceleration_m_s2)) ** 2,
                    turns * (fps**2 / (lively * s.sigma_acceleration_rad_s2)) ** 2,
                    s.consistency_weight * (fps / s.sigma_velocity_m_s) ** 2,
                    turning * (fps / s.sigma_velocity_rad_s) ** 2,
                    rest / s.sigma_rest_m**2,
                    resting_turns / s.sigma_rest_rad**2,
                ],
                dtype=np.float32,
            )
        )

    def _liveliness(self) -> float:
        """Acceleration to be ready for [m/s^2]: that of the known bodies, for what moves them moves others as fast.

        Without known bodies it is the body's own across the line of sight, the direction that pictures tell best.
        """
        state = self.state
        if state.known:
            return max(_acceleration(self._path(body), state.scene.fps) for body in state.known)
        positions = state.states[self.body.name].poses.numpy()[:, :3].astype(np.float64)
        depth = np.maximum(np.median(positions[:, 2]), 0.05)
        across = positions * (depth / np.maximum(positions[:, 2:], 0.05))
        return _acceleration(across, state.scene.fps)

    def _path(self, body: SceneBody) -> np.ndarray:
        """Where a known body is (frame, 3) [m]: its root, or the middle of an animation, whose root may stay."""
        if body.body.animation is None:
            return body.initial.position
        return self.state.points[body.name].numpy().mean(axis=1, dtype=np.float64)

    def _seems_to_rest(self) -> np.ndarray:
        """1 where the body moves slowly across the line of sight, the direction that pictures tell best (frame,)."""
        positions = self.state.states[self.body.name].poses.numpy()[:, :3].astype(np.float64)
        bearings = positions[:, :2] / np.maximum(positions[:, 2:], 0.05)
        steps = np.linalg.norm(np.diff(bearings, axis=0), axis=1) * positions[1:, 2]
        speeds = median_filter(steps, size=REST_FRAMES, mode="nearest") * self.state.scene.fps
        return np.concatenate([[0.0], speeds < self.settings.rest_speed_m_s]).astype(np.float32)

    def linearise(self) -> None:
        """The equations of this body alone, the others being where they were drawn last; launches only."""
        self.problem.drawings.draw_alone(self.body.name)
        self.problem.equations.clear()
        self.add(alone=True)

    def add(self, *, alone: bool = False) -> None:
        """Add this body's terms, and those it shares with others, to the equations; launches only.

        The bodies have been drawn where they are, and what their surfaces do is up to date.  With ``alone`` the
        unknowns of other bodies are left out.
        """
        state, equations = self.state, self.problem.equations
        poses = state.states[self.body.name].poses
        self.touch.zero_()
        for cost in self.costs.values():
            cost.zero_()
        if self._overlap is not None:
            self._add_contour(poses)
        if self.compares_colors:
            self.image.add(self.costs["image"])
        for contact in self.contacts.values():
            contact.add(self.touch, self.costs["contact"], hold_partner=alone)
        if self.presses is not None:
            self.presses.add(self.costs["contact"])
        accumulate_smoothness(
            poses,
            state.segments,
            self.stiffness,
            self.touch,
            self.resting,
            start=self.start,
            hessian_out=equations.hessian,
            gradient_out=equations.gradient,
            cost_out=self.costs["smoothness"],
        )
        if self.joints is not None:
            self.joints.add(self.costs["pose"])
        self.detections.add(self.costs["detections"])
        if self.depths is not None:
            self.depths.add(self.costs["depth"])

    def _add_contour(self, poses: wp.array) -> None:
        state, problem, equations = self.state, self.problem, self.problem.equations
        canvas = self.canvas
        accumulate_contour(
            (
                state.screen, canvas.edges, canvas.counts, canvas.entries, canvas.owners, canvas.origins,
                canvas.crop, canvas.epoch,
            ),
            self.fields,
            problem.drawings.others[self.body.name],
            self.clearance,
            poses,
            state.focal,
            state.center,
            self.scales,
            self.reach,
            problem.surfaces.chains,
            equations.rows,
            problem.shared.bias,
            start=self.start,
            bias_column=equations.shared.get("bias", -1),
            focal_column=equations.shared.get("focal", -1),
            stride=min(canvas.stride, equations.rows.values.shape[1]),  # each thread has a row of its own
            hessian_out=equations.hessian,
            gradient_out=equations.gradient,
            cost_out=self.costs["contour"],
        )  # fmt: skip

    def solve(self) -> None:
        """Write this body's bounded step, others held, into its increments."""
        steps, _ = self.problem.equations.solve(self.columns, self.settings.damping, self.floor)
        self.step(steps)

    def step(self, steps: np.ndarray) -> None:
        """Write steps (frame, unknown), no longer than a linearisation can be trusted, into the increments.

        Joints end within their limits: what the solution wants beyond them is cut off.
        """
        ratio = np.maximum(np.abs(steps) / self.limits, 1.0).max(axis=1, keepdims=True)
        increments = (steps / ratio).astype(np.float32)
        if self.joints is not None:
            joints, body = self.state.base_joints[self.body.name].numpy(), self.body.body
            increments[:, 6:] = np.clip(joints + increments[:, 6:], body.lower, body.upper) - joints
        self.state.increments[self.body.name].assign(increments)

    def picture_costs(self) -> np.ndarray:
        """How badly each frame fits its picture at the last linearisation (frame,); without a label it costs nothing.

        The contour alone would be content with a body that is out of sight: label pixels left bare cost, too.
        """
        costs = sum(self.costs[term].numpy() for term in ("contour", "image", "detections", "depth"))
        if self._overlap is None:
            return costs
        self._overlap.measure()
        bare = self._overlap.labelled[:, 0] - self._overlap.shared
        return costs + self.scales.numpy() * bare

    def place(self, transforms: np.ndarray) -> None:
        """Move the body to ``transforms`` (frame, 7)."""
        self.state.states[self.body.name].poses.assign(transforms.astype(np.float32))
        self.state.settle()
        self.state.pose()

    def let_frames_go(self) -> None:
        """Switch off what ties frames together, so that each settles on its own; :meth:`enter` ties them again."""
        for contact in self.contacts.values():
            contact.let_go()
        if self.joints is not None:
            self.joints.let_frames_go()
        self.stiffness.zero_()
