"""Detected keypoints and bounding boxes of one body, as normal equations."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.kernels.keypoint_fit import accumulate_boxes, accumulate_keypoints, place_keypoints
from warpprior.scene import Camera, SceneBody
from warpprior.system.problem import Problem

BORDER_PX = 2.0  # sides of boxes nearer to the picture's border are taken to be cut off there


class Detections:
    """What detectors said of a body.

    Args:
        body: a moving body.
        problem: the sequence's.
    """

    def __init__(self, body: SceneBody, problem: Problem):
        self.body, self.problem = body, problem
        state, device = problem.state, problem.state.device
        scene = state.scene
        self.start = problem.equations.starts[body.name]
        self.first = state.first_vertex(body.name)
        self.scale = wp.zeros(2, dtype=wp.float32, device=device)
        self.box_scale = wp.zeros(2, dtype=wp.float32, device=device)
        self.detected = self.boxes = None
        s = problem.settings
        if body.name in scene.keypoints2d and s.keypoint_weight > 0.0:
            detected = np.array(scene.keypoints2d[body.name], dtype=np.float32)
            detected[~np.isfinite(detected).all(axis=2)] = 0.0
            self.detected = wp.array(detected, dtype=wp.vec3, device=device)
            keypoints = body.body.keypoints
            vertices = np.where(keypoints.vertices >= 0, keypoints.vertices + self.first, -1)
            table = np.column_stack([vertices, keypoints.links]).astype(np.int32)
            self.keypoints = wp.array(table, dtype=wp.vec2i, device=device)
            chains = problem.surfaces.keypoint_chains[body.name]
            self.chain_ids = wp.array(chains, dtype=wp.int32, device=device)
            self.places = wp.zeros(detected.shape[:2], dtype=wp.vec3, device=device)
        if body.name in scene.boxes and s.box_weight > 0.0:
            labels = problem.picture.labels if s.contour_weight > 0.0 else None
            boxes = telling_boxes(scene.boxes[body.name], labels, body.label, scene.camera)
            self.boxes = wp.array(boxes.astype(np.float32), dtype=wp.float32, device=device)

    def enter(self, keypoint_reach: float) -> None:
        """Take the scales of a stage: detections farther off than about ``keypoint_reach`` sigmas are outliers."""
        s = self.problem.settings
        self.scale.assign(
            np.array([s.keypoint_weight / s.sigma_keypoint_px**2, keypoint_reach * s.sigma_keypoint_px], np.float32)
        )
        self.box_scale.assign(np.array([s.box_weight / s.sigma_box_px**2, keypoint_reach * s.sigma_box_px], np.float32))

    def add(self, cost: wp.array) -> None:
        """Add to the equations and to ``cost`` [frame]; launches only."""
        state, equations, surfaces = self.problem.state, self.problem.equations, self.problem.surfaces
        own = state.states[self.body.name]
        if self.detected is not None:
            place_keypoints(self.keypoints, state.vertices, own.links, places_out=self.places)
            accumulate_keypoints(
                self.places,
                self.chain_ids,
                self.detected,
                own.poses,
                state.focal,
                state.center,
                self.scale,
                surfaces.chains,
                equations.rows,
                start=self.start,
                focal_column=equations.shared.get("focal", -1),
                hessian_out=equations.hessian,
                gradient_out=equations.gradient,
                cost_out=cost,
            )
        if self.boxes is not None:
            accumulate_boxes(
                state.screen,
                state.vertices,
                self.first,
                self.body.body.vertex_count,
                self.boxes,
                own.poses,
                state.focal,
                self.box_scale,
                surfaces.chains,
                equations.rows,
                start=self.start,
                focal_column=equations.shared.get("focal", -1),
                hessian_out=equations.hessian,
                gradient_out=equations.gradient,
                cost_out=cost,
            )


def telling_boxes(boxes: np.ndarray, labels: np.ndarray | None, label: int, camera: Camera) -> np.ndarray:
    """Sides of boxes that say where a body ends (frame, 4) [px], NaN for the others.

    A box is drawn around what is seen of a body.  Its label says that better, and says what else may hide the rest;
    and a side on the picture's border says only that the body does not end before it.

    Args:
        boxes: left, top, right, bottom (frame, 4) [px].
        labels: label images, or their part around the bodies (frame, height, width), or None.
        label: of the body.
        camera: of the scene.
    """
    sides = np.array(boxes, dtype=np.float64)
    sides[cut_off(sides, camera)] = np.nan
    if labels is not None:
        sides[(labels == label).any(axis=(1, 2))] = np.nan
    return sides


def cut_off(boxes: np.ndarray, camera: Camera) -> np.ndarray:
    """Sides of detected boxes (frame, 4) [px] that are where the picture ends, not the body (frame, 4) bool."""
    return np.concatenate(
        [boxes[:, :2] < BORDER_PX, boxes[:, 2:] > np.array([camera.width, camera.height]) - BORDER_PX], axis=1
    )
