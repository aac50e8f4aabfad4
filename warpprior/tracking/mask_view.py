"""One body as a label image shows it: its contour drawn where it is believed to be, on the borders of its label."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import warp as wp

from warpprior.kernels.contour import Borders, add_contour
from warpprior.kernels.label_borders import count_gap, list_runs, measure_near
from warpprior.kernels.robust import Scale
from warpprior.render.window import Window
from warpprior.scene import Poses, SceneBody
from warpprior.support.replay import Replay
from warpprior.tracking.label_window import LabelWindow, fitted
from warpprior.tracking.mask_search import LEAST_PIXELS, shape_of, turn_between
from warpprior.tracking.single_frame import PoseEquations, SingleFrame
from warpprior.tracking.twin_arrays import TwinArray, twin_zeros

GPU_LANES = 256
WIDEST = 40.0  # borders are looked for within so many pixels, but no more [px]
MARGIN = WIDEST + 8.0  # labels are looked at this far around a body [px], always, so that windows keep their size
MOST_PICTURES = 2**30  # after so many their numbers begin anew
SIZES = 8  # of windows whose launches stay recorded
PASSES = 4  # of the closed form that begins a search


class MaskView:
    """One watched body: what is drawn of it, and where its label says its contour is.

    Launches are recorded for the window they look at, which moves with the body and seldom changes its size.

    Args:
        body: watched.
        frame: where the bodies are placed.
        names: of all bodies.
        clearance: another body must be this far behind the contour to count as behind it [m].
        bias: how far borders lie outside the true ones [1] [px].
        weight: of a pixel of the contour [1/px^2].

    Attributes:
        active: the body's label was in sight when it was looked for last.
        equations: about the body's pose, current after :meth:`linearise`.
    """

    def __init__(
        self, body: SceneBody, frame: SingleFrame, names: list[str], clearance: float, bias: wp.array, weight: float
    ):
        self.body, self._frame, device = body, frame, frame.device
        self._canvas = frame.canvas([body.name], outlined=True)
        self._others = frame.canvas([name for name in names if name != body.name], outlined=False)
        self._lanes = min(self._canvas.stride, GPU_LANES)
        self.equations = PoseEquations(frame, self._lanes)
        pixels = frame.camera.width * frame.camera.height
        self._fields = wp.zeros((1, 2, pixels), dtype=wp.float32, device=device)
        self._measured = wp.zeros((2, pixels), dtype=wp.int32, device=device)
        self._picture = twin_zeros(1, wp.int32, device)
        self._labels = LabelWindow(self._canvas.window, device)
        self._gap = twin_zeros(3, wp.int32, device)
        self._scale = TwinArray(wp.zeros(1, dtype=Scale, device=device))
        values: Any = self._scale.host  # one row of named values
        values["weight"] = weight
        self._reach = values["reach"]
        borders = self._borders = Borders()
        borders.fields, borders.clearance, borders.bias = self._fields, clearance, bias
        borders.shares = wp.full(1, 1.0, dtype=wp.float32, device=device)
        borders.focal, borders.center = frame.state.focal, frame.state.center
        self.active = False
        self._whole = self._near = self._canvas.window
        self._recorded: dict[tuple[int, int], list[Replay]] = {}
        for _ in range(2):  # a search must not wait for its recordings
            self._take(self._whole)
            for replay in (self._looking, self._drawing, self._linearising, self._comparing):
                replay()

    def _take(self, window: Window) -> None:
        """Look at a window of another size; launches are recorded for each size that was looked at of late."""
        self._canvas.look_at(window)
        self._others.look_at(window)
        self._labels.resize(window)
        self._borders.blockers = self._others.keys
        size, whole = (window.width, window.height), (self._whole.width, self._whole.height)
        recorded = self._recorded.pop(size, None)
        if recorded is None:
            launches = self._launch_looking, self._launch_drawing, self._launch_linearising, self._launch_comparing
            warm = bool(self._recorded)
            recorded = [Replay(launch, self._frame.device, capture=True, warm=warm) for launch in launches]
        self._recorded[size] = recorded
        if len(self._recorded) > SIZES:
            del self._recorded[next(key for key in self._recorded if key != whole)]
        self._looking, self._drawing, self._linearising, self._comparing = recorded

    def look(self, labels: np.ndarray) -> None:
        """Look at the label image around the body; without its label there is nothing to see."""
        box = self._frame.box([self.body], MARGIN)
        self.active = False
        if box is not None:
            self._near = fitted(self._near, box, self._frame.camera)
            self._look(labels, self._near)

    def look_everywhere(self, labels: np.ndarray) -> None:
        """Look at the whole picture."""
        self._look(labels, self._whole)

    def _look(self, labels: np.ndarray, window: Window) -> None:
        before = self._canvas.window
        if (window.width, window.height) == (before.width, before.height):
            self._canvas.shift(window.origins)
            self._others.shift(window.origins)
        else:
            self._take(window)
        column, row = window.origins[0].tolist()
        image = labels[row : row + window.height, column : column + window.width]
        self.active = bool((image == self.body.label).any())
        if self.active:
            self._labels.image[...] = image
            self._labels.push()
            self._picture.host[0] = self._picture.host[0] % MOST_PICTURES + 1
            self._picture.push()
            self._looking()  # others are drawn where they are predicted, whatever is found out later

    def _launch_looking(self) -> None:
        list_runs(self._labels.runs)
        self._others.draw_faces(self._frame.state.screen)

    def _launch_drawing(self) -> None:
        self._canvas.draw_faces(self._frame.state.screen)

    def linearise(self, reach: float) -> None:
        """Compare the contour, where the body is placed, with the label's border; residuals beyond ``reach`` [px] count
        less and less.
        """
        self._canvas.renew_claims()
        self._reach[0] = reach
        self._scale.push()
        self._linearising()

    def _launch_linearising(self) -> None:
        canvas, state, equations = self._canvas, self._frame.state, self.equations
        canvas.draw(state.screen)
        outline = canvas.outline(state.screen)
        measure_near(
            outline,
            self._labels.runs,
            self.body.label,
            self._others.keys,
            self._picture.array,
            stride=self._lanes,
            measured_out=self._measured,
            fields_out=self._fields,
        )
        equations.clear()
        add_contour(
            outline,
            self._borders,
            self._scale.array,
            state.states[self.body.name].poses,
            0,
            equations.system,
            stride=self._lanes,
            cost_out=equations.cost,
        )

    def gap(self, count: int) -> float:
        """Mean distance between the label's border and what was drawn last, as area over length [px].

        ``count`` is how many pixels of the whole picture have the label.
        """
        self._comparing()
        labelled, border, unshared = self._gap.pull().tolist()
        return (unshared + count - labelled) / max(border, 1)

    def _launch_comparing(self) -> None:
        self._gap.array.zero_()
        count_gap(
            self._labels.runs,
            self.body.label,
            self._frame.bounds[self.body.name].array,
            self._canvas.origins,
            self._canvas.keys,
            self._others.keys,
            counts_out=self._gap.array,
        )

    def find_label(self, pose: Poses) -> tuple[np.ndarray, float]:
        """Where the body must be (3,) [m] for what is seen of it to have its label's size and middle.

        The view looks at the whole picture, the body is placed at ``pose``, and how it is turned stays; by how much its
        label is turned against it is the second that is returned [rad].
        """
        frame, camera, position = self._frame, self._frame.camera, pose.position[0]
        label = shape_of(self._labels.image == self.body.label)
        hidden = self._others.keys.numpy().reshape(camera.height, camera.width)
        turn = 0.0
        for _ in range(PASSES):
            self._drawing()
            drawn = self._canvas.keys.numpy().reshape(hidden.shape)
            left, top, right, bottom = frame.box([self.body], 1.0) or (0, 0, 0, 0)
            part = slice(top, bottom), slice(left, right)
            found = shape_of(drawn[part] > hidden[part], (left, top))  # nearer keys are larger
            if min(found.area, label.area) < LEAST_PIXELS:
                break
            turn = turn_between(found, label)
            shift = (label.middle - found.middle) / [camera.fx, camera.fy]
            bearing = np.append(position[:2] / position[2] + shift, 1.0)
            position = position[2] * np.sqrt(found.area / label.area) * bearing
            frame.place({self.body.name: replace(pose, position=position[None])})
        return position, turn
