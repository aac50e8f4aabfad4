"""The whole label image as an observation of the poses of rigid bodies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import warp as wp

from warpprior.errors import InputError
from warpprior.kernels.contour_fit import accumulate_contour
from warpprior.priors.label_fields import contour_fields
from warpprior.scene import Poses, Scene, SceneBody
from warpprior.tracking.evidence import (
    NO_EVIDENCE,
    Evidence,
    error_from_unknowns,
    move,
    seen_from,
    without_unseen_turns,
)
from warpprior.tracking.single_frame import POSE, PoseEquations, SingleFrame

MARGIN = 3.0  # of the first reach: how far around a body labels are looked at
GPU_LANES = 256


class MaskResidual:
    """Contours of rigid bodies onto the borders of their labels in one label image, Eq. 2, reduced to the poses.

    Args:
        scene: camera and bodies; bodies that are estimated and rigid are watched, all others only hide them.
        device: Warp device.
        frame: where the bodies are placed, to share it with other observations; None makes one.
        sigma_border_px: error of label borders [px].
        correlation_px: neighbouring pixels of a border err together over this length [px].
        sigma_bias_px: how far all borders may lie outside the true ones, alike [px].
        reaches_px: the contour is linearised so many times, each time where the time before led; residuals beyond
            these count less and less [px].
        clearance_m: another body must be this far behind the contour to count as behind it [m].

    Attributes:
        bias_px: how far label borders are taken to lie outside the true ones [px].
    """

    def __init__(
        self,
        scene: Scene,
        device="cpu",
        *,
        frame: SingleFrame | None = None,
        sigma_border_px: float = 2.0,
        correlation_px: float = 8.0,
        sigma_bias_px: float = 1.0,
        reaches_px: tuple[float, ...] = (8.0, 4.0),
        clearance_m: float = 0.004,
    ):
        self.frame = frame = SingleFrame(scene, device) if frame is None else frame
        self.bias_px, self.sigma_bias_px = 0.0, sigma_bias_px
        self._reaches = reaches_px
        device, names = frame.device, [body.name for body in scene.bodies]
        self._views = {body.name: _View(body, frame, names) for body in frame.watched}
        self._bias = wp.zeros(1, dtype=wp.float32, device=device)
        self._clearance = wp.full(1, clearance_m, dtype=wp.float32, device=device)
        self._scale = wp.full(1, 1.0 / (correlation_px * sigma_border_px**2), dtype=wp.float32, device=device)
        self._reach = wp.zeros(1, dtype=wp.float32, device=device)

    def measure(
        self,
        labels: np.ndarray | None,
        poses: Mapping[str, Poses],
        *,
        prior: Mapping[str, np.ndarray] | None = None,
        surfaces: Mapping[str, np.ndarray] | None = None,
    ) -> dict[str, Evidence]:
        """What a label image says about the errors of the watched bodies' poses, others being where they are.

        Args:
            labels: (height, width) uint8: 0 background, body labels, 255 don't care; None says nothing.
            poses: predicted poses of one frame, by name.
            prior: how sure they are: information (6, 6) in the error of the pose, by name.  It keeps later
                linearisations near and is no part of what is returned.
            surfaces: see :meth:`SingleFrame.place`.

        Returns:
            By name of watched body; all zero where its label is not in sight.

        Raises:
            InputError: the label image has not the size of the camera's pictures.
        """
        found = dict.fromkeys(self._views, NO_EVIDENCE)
        if labels is None:
            return found
        camera = self.frame.camera
        if labels.shape != (camera.height, camera.width):
            raise InputError("label image", f"shape {labels.shape}", f"shape {(camera.height, camera.width)}")
        self._bias.fill_(self.bias_px)
        errors = {name: np.zeros(6) for name in self._views}
        for turn, reach in enumerate(self._reaches):
            placed = dict(poses)
            for name, error in errors.items():
                if error.any():
                    placed[name] = move(poses[name], error)
            self.frame.place(placed, surfaces)
            self._reach.fill_(reach)
            for name, view in self._views.items():
                if turn == 0:
                    view.look(labels, MARGIN * reach)
                if not view.active:
                    continue
                here = self._linearise(view)
                found[name] = seen_from(here, errors[name])
                if turn + 1 < len(self._reaches):
                    sure = WEAK if prior is None or name not in prior else prior[name]
                    errors[name] = np.linalg.solve(found[name].information + sure, found[name].vector)
        return found

    def _linearise(self, view: _View) -> Evidence:
        """What is found where the bodies are placed."""
        frame, canvas, equations = self.frame, view.canvas, view.equations
        state = frame.state
        canvas.draw(state.screen)
        view.others.draw_faces(state.screen)
        equations.clear()
        accumulate_contour(
            (
                state.screen, canvas.edges, canvas.counts, canvas.entries, canvas.owners, canvas.origins,
                canvas.crop, canvas.epoch,
            ),
            view.fields,
            view.others.keys,
            self._clearance,
            state.states[view.body.name].poses,
            state.focal,
            state.center,
            self._scale,
            self._reach,
            equations.chains,
            equations.rows,
            self._bias,
            start=0,
            bias_column=POSE,
            stride=view.lanes,
            **equations.outputs,
        )  # fmt: skip
        matrix, gradient, cost = equations.read()
        # How biased borders are is not known: what it could explain is not held against the pose.
        doubt = matrix[POSE, POSE] + 1.0 / self.sigma_bias_px**2
        shared = matrix[:POSE, POSE]
        information = matrix[:POSE, :POSE] - np.outer(shared, shared) / doubt
        vector = shared * gradient[POSE] / doubt - gradient[:POSE]
        rotation = frame.rotation(view.body.name)
        change = error_from_unknowns(frame.position(view.body.name), rotation)
        change = change @ without_unseen_turns(view.body.symmetry, rotation)
        information = change.T @ information @ change
        return Evidence(0.5 * (information + information.T), change.T @ vector, cost)


WEAK = np.diag([1.0 / 0.05**2] * 3 + [1.0 / 0.5**2] * 3)  # a pose is right to 5 cm and half a radian


class _View:
    """One watched body: what is drawn of it, and where its label says its contour is."""

    def __init__(self, body: SceneBody, frame: SingleFrame, names: list[str]):
        self.body, self._frame = body, frame
        self.canvas = frame.canvas([body.name], outlined=True)
        self.others = frame.canvas([name for name in names if name != body.name], outlined=False)
        self.lanes = min(self.canvas.stride, self.canvas.stride if frame.device.is_cpu else GPU_LANES)
        self.equations = PoseEquations(frame, self.lanes)
        pixels = frame.camera.width * frame.camera.height
        self.fields = wp.zeros((1, 2, pixels), dtype=wp.float32, device=frame.device)
        self.active = False

    def look(self, labels: np.ndarray, margin: float) -> None:
        """Look at the label image around the body; without its label there is nothing to see."""
        window = self._frame.window(self.body, margin)
        self.active = False
        if window is None:
            return
        image = window.cut(labels[None])
        self.active = bool((image == self.body.label).any())
        if not self.active:
            return
        self.canvas.look_at(window)
        self.others.look_at(window)
        fields = contour_fields(image, self.body.label).reshape(2, -1)
        if self.fields.device.is_cpu:
            self.fields.numpy()[0, :, : fields.shape[1]] = fields
        else:
            for layer in range(2):
                given = wp.array(fields[layer], dtype=wp.float32, device=self.fields.device)
                wp.copy(self.fields, given, dest_offset=layer * self.fields.shape[2], count=fields.shape[1])
