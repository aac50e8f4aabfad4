"""Gauss-Newton on rigid bodies over the whole sequence: contours onto labels, held by contact and smoothness.

Every frame and term enters one block-banded system, so that frames that see much carry frames that see little.  The
contour of each body is drawn as if it were alone, and each piece of it is told by the depth of the other bodies
whether it may hide there or must coincide with the label's border: occlusion becomes evidence.
"""

from __future__ import annotations

import numpy as np
import warp as wp
from scipy.ndimage import median_filter

from warpprior.canvas import Canvas
from warpprior.kernels.banded import bound_steps, solve_band
from warpprior.kernels.contact_fit import accumulate_contacts, accumulate_smoothness, sum_weights, weigh_contacts
from warpprior.kernels.contour_fit import accumulate_contour
from warpprior.overlap import Overlap
from warpprior.picture import Picture
from warpprior.priors.field import DistanceField
from warpprior.priors.label_fields import contour_fields
from warpprior.scene import SceneBody
from warpprior.settings import AlignSettings, AlignStage
from warpprior.state import MotionState

STEP_LIMITS = (0.05, 0.05, 0.1, 0.2, 0.2, 0.2)  # x/z, y/z, log z, rotation [rad]: beyond, the linearisation is off
FLOOR = 1.0  # keeps directions that nothing observes where they are
FROZEN = 1.0e12  # holds turns that cannot be seen
REST_FRAMES = 7  # frames over which a body must seem to rest
CORRELATION_LENGTH = 10.0  # neighbouring contour pixels err together over about this many [px]


def _floor(symmetry: str) -> np.ndarray:
    """Absolute damping of the six unknowns: turns about an axis of symmetry change nothing that is observed."""
    floor = np.full(6, FLOOR)
    for axis, letter in enumerate("xyz"):
        if symmetry in ("sphere", letter):
            floor[3 + axis] = FROZEN
    return floor


def _acceleration(positions: np.ndarray, fps: float) -> float:
    """Acceleration that a track of positions (frame, 3) exceeds in a tenth of the frames [m/s^2]."""
    changes = np.diff(positions, n=2, axis=0) * fps**2
    return float(np.percentile(np.linalg.norm(changes, axis=1), 90)) if len(changes) else 0.0


class BodyAligner:
    """The least-squares problem of one rigid body, the other bodies held as they are.

    Args:
        body: the body; it must be rigid and moving.
        state: the motion of the scene.
        picture: the observations.
        settings: weights.
    """

    def __init__(
        self,
        body: SceneBody,
        state: MotionState,
        picture: Picture,
        settings: AlignSettings,
    ):
        self.body, self.state, self.settings = body, state, settings
        device, frame_count = state.device, state.frame_count
        window, labels = picture.window, picture.labels
        index = [other.name for other in state.moving].index(body.name)
        alone = [0 if i == index else None for i in range(len(state.moving))]
        others = [None if i == index else 0 for i in range(len(state.moving))]
        self.canvas = Canvas(state.assembly, alone, [True] * len(alone), window, device)
        self.blockers = None
        if len(state.moving) > 1:
            self.blockers = Canvas(
                state.assembly, others, [False] * len(others), window, device, backdrop=picture.backdrop
            )
        self.backdrop = picture.backdrop
        self.field = DistanceField(body.body, device, scale=body.initial.scale)
        visible = np.zeros(frame_count)
        fields = np.zeros((frame_count, 2, window.height * window.width), dtype=np.float32)
        if labels is not None:
            visible = (labels == body.label).any(axis=(1, 2)).astype(float)
            fields = contour_fields(labels, body.label, picture.mask_bias).reshape(frame_count, 2, -1)
        self.fields = wp.array(fields, dtype=wp.float32, device=device)
        scale = settings.contour_weight * visible / (CORRELATION_LENGTH * settings.sigma_contour_px**2)
        self.scales = wp.array(scale.astype(np.float32), dtype=wp.float32, device=device)
        self._overlap = (
            None if labels is None else Overlap(body, state, picture.unbiased_labels, window, canvas=self.canvas)
        )

        def zeros(shape, dtype=wp.float64):
            return wp.zeros(shape, dtype=dtype, device=device)

        self.hessian = zeros((frame_count, 3, 6, 6))
        self.gradient = zeros((frame_count, 6))
        self.costs = {term: zeros(frame_count) for term in ("contour", "contact", "smoothness")}
        self.factor = zeros((6 * frame_count, 18))
        self.steps = zeros((frame_count, 6))
        starts = np.flatnonzero(np.diff(state.segments.numpy(), prepend=-1, append=-1) != 0).astype(np.int32)
        self.starts = wp.array(starts, dtype=wp.int32, device=device)
        self.limits = wp.array(np.array(STEP_LIMITS, dtype=np.float32), dtype=wp.float32, device=device)
        self.floor = wp.array(_floor(body.symmetry), dtype=wp.float64, device=device)
        self.damping = wp.full(1, settings.damping, dtype=wp.float64, device=device)
        self.reach = zeros(1, wp.float32)
        self.clearance = zeros(1, wp.float32)
        self.contact_distance = zeros(1, wp.float32)
        self.contact_softness = zeros(1, wp.float32)
        self.slip = zeros(3, wp.float32)
        self.press = zeros(2, wp.float32)
        self.stiffness = zeros(6, wp.float32)
        self.touch = zeros(frame_count, wp.float32)
        self.resting = zeros(frame_count, wp.float32)
        self.partners = [other for other in state.scene.bodies if other.name != body.name]
        point_counts = {other.name: state.points[other.name].shape[1] for other in self.partners}
        self.places = {n: zeros((frame_count, count), wp.vec3) for n, count in point_counts.items()}
        self.samples = {n: zeros((frame_count, count), wp.vec4) for n, count in point_counts.items()}
        self.weights = {n: zeros((frame_count, count), wp.float32) for n, count in point_counts.items()}
        self.sums = {n: zeros((frame_count, 2), wp.float32) for n in point_counts}
        self.lanes = 1 if device.is_cpu else 32

    def enter(self, stage: AlignStage) -> None:
        """Take the scales of a stage."""
        s = self.settings
        self.reach.fill_(stage.reach_px)
        self.clearance.fill_(s.clearance_m)
        self.contact_distance.fill_(stage.contact_distance_m)
        self.contact_softness.fill_(stage.contact_softness_m)
        fps = self.state.scene.fps
        # The unseen turn of a symmetric body stays as it was estimated, noise and all: nothing to be smooth about.
        turns = s.smoothness_weight if self.body.symmetry == "none" else 0.0
        turning = s.consistency_weight if self.body.symmetry == "none" else 0.0
        sigma_slip = stage.sigma_slip_m_s / fps
        slip = s.sliding_weight / sigma_slip**2
        self.slip.assign(np.array([slip, 3.0 * sigma_slip, stage.free_normal], dtype=np.float32))
        press = s.penetration_weight * stage.penetration_share / s.sigma_penetration_m**2
        self.press.assign(np.array([press, s.allowance_m], dtype=np.float32))
        # Without another body there is nothing to say what moves this one; with one, what it does not touch may rest.
        rest = s.rest_weight if self.partners and stage.rests else 0.0
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
        if state.still:
            return max(_acceleration(body.initial.position, state.scene.fps) for body in state.still)
        positions = state.states[self.body.name].poses.numpy()[:, :3].astype(np.float64)
        depth = np.maximum(np.median(positions[:, 2]), 0.05)
        across = positions * (depth / np.maximum(positions[:, 2:], 0.05))
        return _acceleration(across, state.scene.fps)

    def _seems_to_rest(self) -> np.ndarray:
        """1 where the body moves slowly across the line of sight, the direction that pictures tell best (frame,)."""
        positions = self.state.states[self.body.name].poses.numpy()[:, :3].astype(np.float64)
        bearings = positions[:, :2] / np.maximum(positions[:, 2:], 0.05)
        steps = np.linalg.norm(np.diff(bearings, axis=0), axis=1) * positions[1:, 2]
        speeds = median_filter(steps, size=REST_FRAMES, mode="nearest") * self.state.scene.fps
        return np.concatenate([[0.0], speeds < self.settings.rest_speed_m_s]).astype(np.float32)

    def linearise(self) -> None:
        """Normal equations and costs at the current motion; launches only."""
        state, name = self.state, self.body.name
        poses = state.states[name].poses
        self.hessian.zero_()
        self.gradient.zero_()
        self.touch.zero_()
        for cost in self.costs.values():
            cost.zero_()
        self.canvas.draw(state.screen)
        blockers = self.backdrop
        if self.blockers is not None:
            self.blockers.draw_faces(state.screen)
            blockers = self.blockers.keys
        canvas = self.canvas
        accumulate_contour(
            (
                state.screen, canvas.edges, canvas.counts, canvas.entries, canvas.owners, canvas.origins,
                canvas.crop, canvas.epoch,
            ),
            self.fields,
            blockers,
            self.clearance,
            poses,
            state.focal,
            state.center,
            self.scales,
            self.reach,
            stride=canvas.stride,
            hessian_out=self.hessian,
            gradient_out=self.gradient,
            cost_out=self.costs["contour"],
        )  # fmt: skip
        for partner in self.partners:
            self._add_contacts(partner.name, poses)
        accumulate_smoothness(
            poses,
            state.segments,
            self.stiffness,
            self.touch,
            self.resting,
            hessian_out=self.hessian,
            gradient_out=self.gradient,
            cost_out=self.costs["smoothness"],
        )

    def _add_contacts(self, partner: str, poses: wp.array) -> None:
        state = self.state
        weigh_contacts(
            state.points[partner],
            state.point_areas[partner],
            poses,
            self.field.grid,
            self.field.origin,
            self.field.inverse_spacing,
            self.contact_distance,
            self.contact_softness,
            places_out=self.places[partner],
            samples_out=self.samples[partner],
            weights_out=self.weights[partner],
        )
        sum_weights(self.weights[partner], sums_out=self.sums[partner], touch_out=self.touch)
        accumulate_contacts(
            poses,
            self.places[partner],
            self.samples[partner],
            self.weights[partner],
            self.sums[partner],
            state.point_areas[partner],
            state.segments,
            self.slip,
            self.press,
            lanes=self.lanes,
            hessian_out=self.hessian,
            gradient_out=self.gradient,
            cost_out=self.costs["contact"],
        )

    def solve(self) -> None:
        """Write the bounded step into the body's increments; launches only."""
        solve_band(
            self.starts,
            self.damping,
            self.floor,
            self.hessian,
            self.gradient,
            factor_out=self.factor,
            steps_out=self.steps,
        )
        bound_steps(self.steps, self.limits, increments_out=self.state.increments[self.body.name])

    def picture_costs(self) -> np.ndarray:
        """How badly each frame fits its picture at the last linearisation (frame,); without a label it costs nothing.

        The contour alone would be content with a body that is out of sight: label pixels left bare cost, too.
        """
        if self._overlap is None:
            return self.costs["contour"].numpy().copy()
        self._overlap.measure()
        bare = self._overlap.labelled[:, 0] - self._overlap.shared
        return self.costs["contour"].numpy() + self.scales.numpy() * bare

    def place(self, transforms: np.ndarray) -> None:
        """Move the body to ``transforms`` (frame, 7)."""
        self.state.states[self.body.name].poses.assign(transforms.astype(np.float32))
        self.state.settle()
        self.state.pose()

    def let_frames_go(self) -> None:
        """Switch off what ties frames together, so that each settles on its own; :meth:`enter` ties them again."""
        self.slip.zero_()
        self.stiffness.zero_()
